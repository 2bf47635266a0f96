"""Where rendered frames go: numbered files, one picture, or a movie."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from latensify_bridge.errors import BadInput, BadRequest
from latensify_server.media.image import Image, read_image
from latensify_server.media.movie_write import MovieWriter, Sound, codec_of, movie_metadata, writing_movie
from latensify_server.media.names import Pattern, pattern
from latensify_server.media.stamp import KEY, key_of
from latensify_server.media.write import check_format, prepare_folder, write_image

Metadata = Mapping[str, str | int]


class Output(Protocol):
    """`key` names all that a frame depends on; it is kept in the file."""

    @property
    def name(self) -> str: ...

    def path(self, frame: int) -> Path: ...

    def finished(self, frame: int, key: str) -> bool:
        """Whether the frame is there, whole, and made from the same."""
        ...

    def write(self, frame: int, image: Image, metadata: Metadata) -> None:
        """Raises OutputFailed."""
        ...


@dataclass(frozen=True)
class Pictures:
    """One file a frame; `numbered` is None where there is but one frame."""

    name: str
    numbered: Pattern | None
    depth: str | None

    def path(self, frame: int) -> Path:
        return self.numbered.path(frame) if self.numbered else Path(self.name)

    def finished(self, frame: int, key: str) -> bool:
        path = self.path(frame)
        if not path.is_file() or key_of(path) != key:
            return False
        try:
            read_image(path)
        except BadInput:
            return False
        return True

    def write(self, frame: int, image: Image, metadata: Metadata) -> None:
        write_image(self.path(frame), image, metadata, self.depth)


@dataclass(frozen=True)
class MovieOut:
    """Frames of one movie, written in the order that they come."""

    name: str
    writer: MovieWriter

    def path(self, frame: int) -> Path:
        return Path(self.name)

    def finished(self, frame: int, key: str) -> bool:
        return False

    def write(self, frame: int, image: Image, metadata: Metadata) -> None:
        self.writer.write(image, metadata)


def movie_finished(path: Path, key: str) -> bool:
    """Whether a movie is there and made by the request of this key."""
    return movie_metadata(path).get(KEY) == key


def pictures(name: str, count: int, depth: str | None) -> Pictures:
    """Numbered files or, for one frame, one file. Raises BadRequest, OutputFailed."""
    numbered = pattern(name)
    if numbered is None and count > 1:
        raise BadRequest(f"{name} has no frame number and {count} frames are to be written; write it as out.%04d.exr.")
    out = Pictures(name, numbered, depth)
    check_format(out.path(1), depth)
    prepare_folder(out.path(1).parent)
    return out


def check_movie(name: str, depth: str | None) -> None:
    """Raises BadRequest, OutputFailed where no movie of this name can be written."""
    codec_of(Path(name))
    if depth:
        raise BadRequest("--depth is for pictures; a movie's depth is its codec's.")
    prepare_folder(Path(name).parent)


@contextlib.contextmanager
def movie(name: str, fps: float, sound: Sound | None) -> Iterator[MovieOut]:
    with writing_movie(Path(name), fps, sound) as writer:
        yield MovieOut(name, writer)
