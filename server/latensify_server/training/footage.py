"""A studio's own footage as training pictures: movies, image sequences, or a folder of either."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from latensify_bridge.errors import BadInput
from latensify_server import colour
from latensify_server.media.clip import Clip, open_clip
from latensify_server.media.colour import colour_space_of
from latensify_server.media.image import Image as Stored
from latensify_server.media.image import read_image
from latensify_server.media.names import is_movie
from latensify_server.media.pixels import straight
from latensify_server.training.looks import Image, floats

Item = TypeVar("Item")
MOST_FRAMES = 240
LONG_SIDE_PX = 512
SMALLEST_PX = 64


def read(source: str) -> tuple[Image, ...]:
    """Frames [h, w, 3] in sRGB 0..1, evenly chosen, at most LONG_SIDE_PX wide or high.

    Raises:
        BadInput: nothing readable is there, or the frames are too small to learn from.
    """
    chosen = _folder(Path(source)) if Path(source).is_dir() else _clip(open_clip(source))
    if min(chosen[0].shape[:2]) < SMALLEST_PX:
        height, width = chosen[0].shape[:2]
        raise BadInput(f"The frames of {source} are {width}x{height}; at least {SMALLEST_PX} pixels a side are needed.")
    return tuple(chosen)


def _folder(folder: Path) -> list[Image]:
    """Every movie and picture in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    movies = [path for path in files if is_movie(path)]
    stills = [path for path in files if path not in movies and path.suffix.lower() not in (".txt", ".json", ".md")]
    if not files:
        raise BadInput(f"{folder} holds no movie and no picture to learn from.")
    each = max(1, MOST_FRAMES // max(1, len(movies) + bool(stills)))
    found = [frame for movie in movies for frame in _clip(open_clip(str(movie)), each)]
    return found + [_display(read_image(path), path.name) for path in _spread(stills, each)]


def _clip(clip: Clip, most: int = MOST_FRAMES) -> list[Image]:
    return [_display(clip.read(number), clip.name) for number in _spread(list(clip.numbers), most)]


def _spread(items: list[Item], most: int) -> list[Item]:
    """At most so many items, evenly spread over all."""
    return [items[index] for index in np.unique(np.linspace(0, len(items) - 1, min(most, len(items))).astype(int))]


def _display(image: Stored, name: str) -> Image:
    pixels = straight(image)[..., :3]
    shrink = max(1.0, max(pixels.shape[:2]) / LONG_SIDE_PX)
    shown = colour.to_display(colour.to_linear(pixels, colour_space_of(name, image)))
    size = (round(pixels.shape[1] / shrink), round(pixels.shape[0] / shrink))
    return floats(np.clip(cv2.resize(shown, size, interpolation=cv2.INTER_AREA), 0, 1))
