"""A clip: numbered frames that can be read in any order. An image sequence, a still or a movie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from latensify_bridge.errors import BadInput
from latensify_server.media.image import Image, read_image
from latensify_server.media.names import Pattern, is_movie, pattern


class Clip(Protocol):
    """`numbers` are the frames there are, sorted; `fps` is None where nothing says."""

    @property
    def name(self) -> str: ...

    @property
    def numbers(self) -> Sequence[int]: ...

    @property
    def fps(self) -> float | None: ...

    def read(self, frame: int) -> Image:
        """Raises BadInput, naming the file, where a frame is missing or damaged."""
        ...

    def files(self, frame: int) -> Path:
        """The file that holds a frame."""
        ...


@dataclass(frozen=True)
class ImageSequence:
    name: str
    numbered: Pattern
    numbers: Sequence[int]
    fps: float | None = None

    def read(self, frame: int) -> Image:
        return read_image(self.files(frame))

    def files(self, frame: int) -> Path:
        return self.numbered.path(frame)


@dataclass(frozen=True)
class Still:
    """One picture, one frame."""

    name: str
    path: Path
    numbers: Sequence[int]
    fps: float | None = None

    def read(self, frame: int) -> Image:
        return read_image(self.path)

    def files(self, frame: int) -> Path:
        return self.path


def open_clip(text: str, start: int | None = None) -> Clip:
    """The clip at a path or pattern. A movie's first frame is number `start` (0), a still is frame `start` (1).

    Raises BadInput where nothing is there.
    """
    numbered = pattern(text)
    if numbered:
        found = numbered.frames()
        if not found:
            raise BadInput(f"No frame of {text} is there, not even {numbered.path(1001)}; check the name.")
        return ImageSequence(text, numbered, found)
    path = Path(text)
    if not path.is_file():
        raise BadInput(f"{text} is not there; check the name (a sequence is written shot.%04d.exr or shot.####.exr).")
    if is_movie(path):
        from latensify_server.media.movie import Movie

        return Movie(path, start or 0)
    return Still(text, path, [1 if start is None else start])
