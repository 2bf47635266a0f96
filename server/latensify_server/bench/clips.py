"""Made clips for Remove: real photographs under known cameras, an object composited over them, the truth known.

Every clip is a function of its name and a seed alone. `seen_from` tells where each pixel of a frame lies in another
one, so that what other frames show, and the true motion, come from the same geometry as the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import skimage
from numpy.typing import NDArray

from latensify_server import colour
from latensify_server.bench.measures import Flow, Picture, Region
from latensify_server.training.photos import photo

WIDTH, HEIGHT, COUNT = 256, 144, 24
GRAIN = 0.006
SAFETY_PX = 3
"""A pixel of another frame this close to its matte does not count as shown."""

Matrix = NDArray[np.float64]
Grid = NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """Frames as a camera gives them, and the same without the object; sRGB [h, w, 3] in 0..1.

    Attributes:
        frames: with the object, its shadow and the grain.
        truth: without them, and without grain.
        mattes: [h, w] in 0..1, soft at the edge; the shadow is not in them.
        moving: [h, w] of each frame, where the background itself moves (water).
        grids: for (frame, other) the places [h, w, 2] of the frame's surface points in the other one.
        motion: what a user would choose for it.
        shadows: whether the shadow is to be taken too.
        grain: standard deviation in sRGB values.
    """

    name: str
    frames: tuple[Picture, ...]
    truth: tuple[Picture, ...]
    mattes: tuple[Picture, ...]
    moving: tuple[Region, ...]
    grid: Callable[[int, int], Grid]
    motion: str = "homography"
    shadows: bool = False
    grain: float = GRAIN

    def holes(self) -> list[Region]:
        return [matte > 0.02 for matte in self.mattes]

    def seen(self, frame: int) -> Region:
        """Which pixels another frame shows, still background, by the true geometry."""
        height, width = self.mattes[0].shape
        shown = np.zeros((height, width), bool)
        for other, matte in enumerate(self.mattes):
            if other == frame:
                continue
            clear = cv2.dilate((matte > 0.02).astype(np.uint8), np.ones((2 * SAFETY_PX + 1,) * 2, np.uint8)) == 0
            place = self.grid(frame, other)
            inside = (place >= 1).all(axis=-1) & (place[..., 0] <= width - 2) & (place[..., 1] <= height - 2)
            there = cv2.remap(clear.astype(np.uint8), place, None, cv2.INTER_NEAREST, borderValue=0)
            shown |= inside & (there > 0)
        return shown & ~self.moving[frame]

    def flow(self, frame: int) -> tuple[Flow, Region]:
        """The motion to the next frame, and where its end lies inside."""
        height, width = self.mattes[0].shape
        place = self.grid(frame, frame + 1)
        inside = (place >= 0).all(axis=-1) & (place[..., 0] <= width - 1) & (place[..., 1] <= height - 1)
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        return place - np.stack([x, y], axis=-1), inside


WOOD = np.array([1, 0.8, 0.6], np.float32)
DARK_WATER = np.array([0.16, 0.3, 0.38], np.float32)
BRIGHT_WATER = np.array([0.5, 0.45, 0.4], np.float32)
"""Added where waves catch the light."""

Maker = Callable[[str, np.random.Generator, tuple[int, int], int], Clip]


def make(name: str, seed: int, size: tuple[int, int] = (WIDTH, HEIGHT), count: int = COUNT) -> Clip:
    """The clip of that name; see CLIPS."""
    return CLIPS[name](name, np.random.default_rng([seed, *name.encode()]), size, count)


def _cameras(
    rng: np.random.Generator, picture: Picture, size: tuple[int, int], count: int, scale: float, **moves: float
) -> tuple[Matrix, ...]:
    """Frame pixels to photo pixels. `travel` in photo pixels, `zoom` in all, `turn` in radians, `shake` in pixels."""
    travel, zoom, turn, shake = (moves.get(key, 0.0) for key in ("travel", "zoom", "turn", "shake"))
    rows, columns = picture.shape[:2]
    tremor = cv2.GaussianBlur(rng.normal(0, 1, (count, 4)), (1, 5), 1.0) * shake
    heading = rng.uniform(-0.25, 0.25) + (np.pi if rng.random() < 0.5 else 0)
    centre = np.array([columns / 2, rows / 2]) + rng.uniform(-0.04, 0.04, 2) * [columns, rows]
    found = []
    for index in range(count):
        part = index / max(1, count - 1) - 0.5
        angle, grow = turn * part + tremor[index, 2] * 0.002, scale * (1 + zoom * part)
        cos, sin = np.cos(angle) * grow, np.sin(angle) * grow
        middle = centre + travel * part * np.array([np.cos(heading), np.sin(heading)]) + tremor[index, :2]
        matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [tremor[index, 3] * 2e-6, tremor[index, 2] * 2e-6, 1]])
        offset = matrix[:2, :2] @ (np.array(size) / 2)
        matrix[:2, 2] = middle - offset
        found.append(matrix)
    return tuple(found)


def _viewed(picture: Picture, camera: Matrix, size: tuple[int, int]) -> Picture:
    """The photograph through a camera; light is summed as a lens does it, before it is encoded."""
    blur_px = max(0.3, 0.45 * float(np.sqrt(abs(np.linalg.det(camera[:2, :2])))))
    light = cv2.GaussianBlur(colour.decode_srgb(picture), (0, 0), blur_px)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return _encoded(cv2.warpPerspective(light, camera, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101))


def _encoded(light: Picture) -> Picture:
    return colour.encode_srgb(np.clip(light, 0, 1))


def _mapped(matrix: Matrix, size: tuple[int, int]) -> Grid:
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float64), np.arange(size[1], dtype=np.float64))
    place: Grid = cv2.perspectiveTransform(np.stack([x, y], axis=-1), matrix).astype(np.float32)
    return place


def _plane(cameras: tuple[Matrix, ...], size: tuple[int, int]) -> Callable[[int, int], Grid]:
    return lambda frame, other: _mapped(np.linalg.inv(cameras[other]) @ cameras[frame], size)


def _walker(rng: np.random.Generator, size: tuple[int, int], count: int, pace: float) -> list[Picture]:
    """Mattes of a figure that crosses the picture; `pace` in picture widths over the clip."""
    width, height = size
    left = rng.random() < 0.5
    start, base = rng.uniform(0.3, 0.36) * width, rng.uniform(0.56, 0.64) * height
    mattes = []
    for index in range(count):
        x = start + pace * width * index / max(1, count - 1)
        x = x if left else width - x
        y = base + 0.02 * height * np.sin(0.9 * index)
        drawn = np.zeros((4 * height, 4 * width), np.uint8)
        centre, axes = (round(4 * x), round(4 * y)), (round(0.19 * height), round(0.62 * height))
        cv2.ellipse(drawn, centre, (2 * axes[0], 2 * axes[1] // 2), 8 * np.sin(index), 0, 360, 255, -1)
        cv2.circle(drawn, (centre[0], round(4 * y - 0.78 * height)), round(0.24 * height), 255, -1)
        matte = cv2.resize(drawn, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        mattes.append(cv2.GaussianBlur(matte, (0, 0), 0.7))
    return mattes


def _sign(cameras: tuple[Matrix, ...], size: tuple[int, int], rng: np.random.Generator, at: float) -> list[Picture]:
    """Mattes of a board that is fixed to the background: what it hides, no frame shows."""
    width, height = size
    middle = cameras[len(cameras) // 2]
    side = np.array([0.115 * width, 0.2 * height]) * rng.uniform(0.9, 1.1)
    centre = np.array([at * width, rng.uniform(0.5, 0.62) * height])
    corners = centre + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * side / 2
    fixed = cv2.perspectiveTransform(corners[None].astype(np.float64), middle)
    mattes = []
    for camera in cameras:
        here = cv2.perspectiveTransform(fixed, np.linalg.inv(camera))[0]
        drawn = np.zeros((height, width), np.uint8)
        cv2.fillPoly(drawn, [np.rint(here * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        mattes.append(cv2.GaussianBlur(drawn.astype(np.float32) / 255, (0, 0), 0.7))
    return mattes


def _finished(
    name: str,
    rng: np.random.Generator,
    truth: list[Picture],
    parts: list[list[Picture]],
    grid: Callable[[int, int], Grid],
    shade: list[Picture] | None = None,
    moving: list[Region] | None = None,
    motion: str = "homography",
    grain: float = GRAIN,
) -> Clip:
    """The clip with its objects composited, striped so that any ghost of them shows, and its grain."""
    height, width = truth[0].shape[:2]
    y, x = np.mgrid[:height, :width]
    colours = [rng.uniform(0.05, 0.95, 3).astype(np.float32) for _ in range(2 * len(parts))]
    frames, mattes = [], []
    for index, plain in enumerate(truth):
        frame = plain if shade is None else plain * (1 - 0.45 * shade[index][..., None])
        for number, part in enumerate(parts):
            stripes = (((x + 2 * y + 3 * index) // 5) % 2 > 0)[..., None]
            object_ = np.where(stripes, colours[2 * number], colours[2 * number + 1])
            frame = frame + (object_ - frame) * part[index][..., None]
        frames.append((frame + rng.normal(0, grain, frame.shape)).astype(np.float32))
        mattes.append(np.max([part[index] for part in parts], axis=0))
    still = [np.zeros((height, width), bool) for _ in truth]
    return Clip(
        name, tuple(frames), tuple(truth), tuple(mattes), tuple(moving or still), grid, motion, shade is not None, grain
    )


def _camera_clip(
    source: str,
    scale: float,
    pace: float,
    sign: float = 0.76,
    motion: str = "homography",
    grain: float = GRAIN,
    **moves: float,
) -> Maker:
    """A photograph under a moving camera; a figure crosses it, and a board stands in it at that part of the width."""

    def clip(name: str, rng: np.random.Generator, size: tuple[int, int], count: int) -> Clip:
        picture = photo(source)
        scale_px = scale * WIDTH / size[0]
        cameras = _cameras(rng, picture, size, count, scale_px, **moves)
        truth = [_viewed(picture, camera, size) for camera in cameras]
        parts = [_walker(rng, size, count, pace), _sign(cameras, size, rng, sign + rng.uniform(-0.04, 0.04))]
        return _finished(name, rng, truth, parts, _plane(cameras, size), motion=motion, grain=grain)

    return clip


def _water(name: str, rng: np.random.Generator, size: tuple[int, int], count: int) -> Clip:
    """A lake below a photograph's skyline; its waves move, the camera pans a little."""
    picture = photo("china.jpg")
    cameras = _cameras(rng, picture, size, count, 1.5 * WIDTH / size[0], travel=30.0)
    shore = 0.48 * picture.shape[0]
    waves = _waves(rng)
    truth, moving = [], []
    for index, camera in enumerate(cameras):
        place = _mapped(camera, size)
        water = (place[..., 1] > shore).astype(np.float32)
        water = cv2.GaussianBlur(water, (0, 0), 0.6)
        truth.append(_mixed(_viewed(picture, camera, size), waves(place, index), water))
        moving.append(cv2.dilate(water, np.ones((5, 5), np.uint8)) > 0.02)
    parts = [_walker(rng, size, count, 0.3), _sign(cameras, size, rng, 0.75)]
    return _finished(name, rng, truth, parts, _plane(cameras, size), moving=moving)


def _mixed(one: Picture, other: Picture, part: Picture) -> Picture:
    mixed: Picture = (one + (other - one) * part[..., None]).astype(np.float32)
    return mixed


def _waves(rng: np.random.Generator) -> Callable[[Grid, int], Picture]:
    """Colour of water at places in the photograph, at a frame: trains of waves of many lengths and headings."""
    headings, lengths = rng.normal(np.pi / 2, 0.55, 40), np.exp(rng.uniform(np.log(7), np.log(45), 40))
    phases = rng.uniform(0, 2 * np.pi, 40)

    def colour(place: Grid, frame: int) -> Picture:
        height = np.zeros(place.shape[:2], np.float32)
        for heading, length, phase in zip(headings, lengths, phases, strict=True):
            along = place[..., 0] * np.cos(heading) * 0.6 + place[..., 1] * np.sin(heading) * 1.6
            height += np.sin(2 * np.pi * along / length + phase + 1.1 * frame / np.sqrt(length / 12)) * length**0.35
        lit = 1 / (1 + np.exp(-0.14 * height))[..., None]
        return np.asarray(DARK_WATER + lit * BRIGHT_WATER, np.float32)

    return colour


def _parallax(name: str, rng: np.random.Generator, size: tuple[int, int], count: int) -> Clip:
    """A truck past a motorcycle by the disparity of its stereo pair: near things move more than far ones."""
    picture = photo("motorcycle_left.png")
    scale = min(picture.shape[1] / size[0], picture.shape[0] / size[1])
    disparity = _disparity() / scale
    view = np.array([[scale, 0, 0], [0, scale, (picture.shape[0] - scale * size[1]) / 2], [0, 0, 1.0]])
    still = _viewed(picture, view, size)
    depth = cv2.warpPerspective(disparity, view, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    depth = cv2.GaussianBlur(depth, (0, 0), 1.5)
    offsets = (np.arange(count) / max(1, count - 1) - 0.5) * rng.choice([-1, 1]) * 0.5
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))

    def origin(frame: int) -> Grid:
        across = x.copy()
        for _ in range(12):
            across = 0.5 * across + 0.5 * (x + offsets[frame] * _at(depth, across, y))
        return np.dstack([across, y]).astype(np.float32)

    origins = [origin(frame) for frame in range(count)]
    light = colour.decode_srgb(still)
    truth = [
        _encoded(cv2.remap(light, place, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)) for place in origins
    ]

    def grid(frame: int, other: int) -> Grid:
        place = origins[frame]
        across = place[..., 0] - offsets[other] * _at(depth, place[..., 0], place[..., 1])
        return np.dstack([across, place[..., 1]]).astype(np.float32)

    return _finished(name, rng, truth, [_walker(rng, size, count, 0.4)], grid, motion="flow")


def _at(values: Picture, x: Picture, y: Picture) -> Picture:
    found: Picture = cv2.remap(values, x.astype(np.float32), y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found


def _disparity() -> Picture:
    """Of the stereo pair's left picture, in its pixels, with what was not measured filled by what lies behind."""
    with np.load(Path(skimage.__file__).parent / "data" / "motorcycle_disp.npz") as file:
        found = file["arr_0"].astype(np.float32)
    known = np.isfinite(found)
    filled = np.where(known, found, 0).astype(np.float32)
    while not known.all():
        nearby = cv2.dilate(known.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        lowest = cv2.erode(np.where(known, filled, np.float32(1e6)), np.ones((3, 3), np.uint8))
        filled = np.where(nearby & ~known, lowest, filled)
        known = nearby
    smooth: Picture = cv2.medianBlur(filled, 5)
    return smooth


def _shadow(name: str, rng: np.random.Generator, size: tuple[int, int], count: int) -> Clip:
    """A ball rolls over gravel with a soft shadow beside it, which the matte leaves out."""
    picture = np.tile(cv2.resize(photo("gravel.png"), None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA), (1, 2, 1))
    cameras = _cameras(rng, picture, size, count, 1.0 * WIDTH / size[0], travel=40.0)
    truth = [_viewed(picture, camera, size) for camera in cameras]
    walker = _walker(rng, size, count, 0.42)
    shift = np.array([[1, 0, 0.085 * size[0]], [0, 0.6, 0.31 * size[1]]], np.float32)
    shade = [cv2.GaussianBlur(cv2.warpAffine(matte, shift, size), (0, 0), 2.5) for matte in walker]
    return _finished(name, rng, truth, [walker], _plane(cameras, size), shade=shade)


def _post(name: str, rng: np.random.Generator, size: tuple[int, int], count: int) -> Clip:
    """A post stands nearer than the background; the object passes behind it, and its matte is a little wide."""
    picture = photo("china.jpg")
    cameras = _cameras(rng, picture, size, count, 1.6 * WIDTH / size[0], travel=50.0)
    walker = _walker(rng, size, count, 0.4)
    width, height = size
    start, way = 0.52 * width, 0.16 * width * (1 if cameras[0][0, 2] > cameras[-1][0, 2] else -1)
    lefts = [start + way * (index / max(1, count - 1) - 0.5) for index in range(count)]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    bark = cv2.resize(
        rng.uniform(0.2, 0.7, (height // 3, 8)).astype(np.float32), (16, height), interpolation=cv2.INTER_CUBIC
    )
    truth, posts = [], []
    for index, camera in enumerate(cameras):
        across = x - np.float32(lefts[index])
        post = np.clip(8 - np.abs(across), 0, 1) * np.clip(y - 0.3 * height + 0.5, 0, 1)
        value = cv2.remap(bark, np.clip(across + 7.5, 0, 15), y, cv2.INTER_LINEAR)[..., None] * WOOD
        truth.append(_mixed(_viewed(picture, camera, size), value.astype(np.float32), post))
        posts.append(post)
    behind = _plane(cameras, size)

    def grid(frame: int, other: int) -> Grid:
        nearer = np.dstack([x + np.float32(lefts[other] - lefts[frame]), y])
        return np.where(posts[frame][..., None] > 0.5, nearer, behind(frame, other)).astype(np.float32)

    clip = _finished(name, rng, truth, [[m * (1 - p) for m, p in zip(walker, posts, strict=True)]], grid)
    wide = tuple(cv2.dilate(matte, np.ones((7, 7), np.uint8)) for matte in clip.mattes)
    return Clip(name, clip.frames, clip.truth, wide, clip.moving, grid)


CLIPS: dict[str, Maker] = {
    "locked": _camera_clip("china.jpg", 1.5, 0.42, 0.15, motion="static"),
    "pan": _camera_clip("coffee.png", 1.3, 0.35, travel=110.0),
    "zoom": _camera_clip("motorcycle_left.png", 1.6, 0.35, zoom=0.35, turn=0.08),
    "handheld": _camera_clip("astronaut.png", 1.2, 0.35, travel=30.0, shake=6.0, grain=0.015),
    "parallax": _parallax,
    "water": _water,
    "shadow": _shadow,
    "post": _post,
}
