"""Names of files with a frame number in them: `shot.%04d.exr`, `shot.####.exr`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from latensify_bridge.errors import BadInput, BadRequest

_FIELD = re.compile(r"%0?(\d*)d|(#+)")
MOVIES = frozenset({".mov", ".mp4", ".m4v", ".mkv", ".webm", ".avi", ".mxf"})


@dataclass(frozen=True)
class Pattern:
    """A numbered file name. `digits` is the least width of its number, filled with zeros."""

    text: str
    folder: Path
    before: str
    digits: int
    after: str

    def path(self, frame: int) -> Path:
        return self.folder / f"{self.before}{frame:0{self.digits}d}{self.after}"

    def frames(self) -> list[int]:
        """The frame numbers on disk, sorted. Raises BadInput when the folder cannot be read."""
        numbered = re.compile(re.escape(self.before) + r"(-?[0-9]+)" + re.escape(self.after))
        try:
            names = os.listdir(self.folder)
        except OSError as error:
            raise BadInput(f"The folder {self.folder} of {self.text} cannot be read: {error.strerror}.") from None
        found = [(int(match[1]), name) for name in names if (match := numbered.fullmatch(name))]
        return sorted(number for number, name in found if self.path(number).name == name)


def pattern(text: str) -> Pattern | None:
    """The pattern in a path's last part, or None where it names one file. Raises BadRequest on a broken one."""
    folder, name = os.path.split(text)
    if _FIELD.search(folder):
        raise BadRequest(f"{text} has its frame number in a folder's name; put it in the file's name.")
    fields = list(_FIELD.finditer(name))
    if not fields:
        return None
    field = fields[-1]
    if len(fields) > 1 and any(other[0].startswith("%") for other in fields[:-1]):
        raise BadRequest(f"{text} has more than one frame number; keep one.")
    digits = len(field[2]) if field[2] else int(field[1] or 1)
    return Pattern(text, Path(folder or "."), name[: field.start()], digits, name[field.end() :])


def is_movie(path: str | Path) -> bool:
    """Whether a path names a movie, by its extension."""
    return Path(path).suffix.lower() in MOVIES
