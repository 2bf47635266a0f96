"""Procedural scenes: pictures whose every attribute is known, so that exact counterfactual pairs can be drawn.

Each choice draws from its own random stream, named after the attribute: two scenes that differ in one attribute differ
in what it paints and in nothing else (a test holds this). A scene is drawn in plain daylight; looks change it after.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from latensify_server.training import photos
from latensify_server.training.looks import Image, Regions, blur, floats, fractal, mix, ramp

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.8, 0.1, 0.09),
    "blue": (0.1, 0.2, 0.75),
    "green": (0.1, 0.55, 0.16),
    "yellow": (0.93, 0.8, 0.1),
    "white": (0.92, 0.92, 0.9),
    "black": (0.06, 0.06, 0.07),
    "orange": (0.95, 0.48, 0.08),
    "purple": (0.48, 0.14, 0.6),
}
KINDS = ("car", "bus", "person", "box", "ball", "tree", "house", "cone")
GROUNDS = ("road", "grass", "sand", "water", "pavement")
SKYLINES = ("city", "hills", "forest", "mountains", "houses")


@dataclass(frozen=True)
class Thing:
    """An object in a scene: where it stands across (0..1), how near (0..1), and which stream details it."""

    kind: str
    colour: str
    across: float
    near: float


@dataclass(frozen=True)
class Scene:
    """Everything that a picture shows; `seed` feeds the streams of all that has no name."""

    seed: int
    ground: str
    skyline: str
    clouds: bool
    things: tuple[Thing, ...]


@dataclass(frozen=True)
class Picture:
    """A drawn scene: image, regions, and where each thing is seen ([h, w] in 0..1)."""

    image: Image
    regions: Regions
    masks: tuple[Image, ...]


def stream(seed: int, attribute: str) -> np.random.Generator:
    """The random stream of one attribute of one scene."""
    return np.random.default_rng([seed, zlib.crc32(attribute.encode())])


def random_scene(seed: int) -> Scene:
    """A scene whose attributes are each drawn from their own stream."""
    count = int(stream(seed, "count").choice([0, 1, 2, 3], p=[0.1, 0.4, 0.3, 0.2]))
    things = []
    for index in range(count):
        rng = stream(seed, f"thing {index}")
        things.append(
            Thing(
                kind=str(stream(seed, f"kind {index}").choice(KINDS)),
                colour=str(stream(seed, f"colour {index}").choice(list(COLOURS))),
                across=float(rng.uniform(0.12, 0.88)),
                near=float(rng.uniform(0.15, 1)),
            )
        )
    return Scene(
        seed=seed,
        ground=str(stream(seed, "ground").choice(GROUNDS)),
        skyline=str(stream(seed, "skyline").choice(SKYLINES)),
        clouds=bool(stream(seed, "clouds").random() < 0.5),
        things=tuple(sorted(things, key=lambda thing: thing.near)),
    )


def caption(scene: Scene) -> str:
    """What the scene shows, in a few words."""
    names = [f"{'an' if thing.colour == 'orange' else 'a'} {thing.colour} {thing.kind}" for thing in scene.things]
    place = {
        "road": "on a road",
        "grass": "on grass",
        "sand": "on sand",
        "water": "by water",
        "pavement": "on a pavement",
    }[scene.ground]
    return f"{' and '.join(names) or 'an empty view'} {place}, {scene.skyline}"


def draw(scene: Scene, width: int, height: int) -> Picture:
    """The scene in plain daylight, drawn at twice the size and reduced."""
    w, h = 2 * width, 2 * height
    rng = stream(scene.seed, "camera")
    horizon = int(h * rng.uniform(0.32, 0.58))
    sky = _sky(scene, w, h)
    skyline, outline, lights = _skyline(scene, w, h, horizon)
    image = mix(sky, skyline, outline)
    below = np.zeros((h, w), np.float32)
    below[horizon:] = 1
    image = mix(image, _ground(scene, w, h, horizon), below)
    y = np.linspace(0, 1, h, dtype=np.float32)[:, None]
    depth = np.where(below > 0, 0.85 * (1 - ramp(y, horizon / h, 1.0)), 0.9 - 0.1 * outline + 0.1 * (1 - outline))
    ground = below.copy()
    sky_mask = (1 - outline) * (1 - below)
    masks: list[Image] = []
    for index, thing in enumerate(scene.things):
        painted, mask, shine = _thing(thing, scene.seed, index, w, h, horizon)
        shadow = blur(np.roll(mask, (int(0.01 * h), int(0.03 * w)), (0, 1)), 0.015) * below * 0.35
        image = mix(image * (1 - shadow[..., None]), painted, mask)
        masks = [old * (1 - mask) for old in masks] + [mask]
        lights = lights * (1 - mask) + shine
        depth = depth * (1 - mask) + (0.8 - 0.7 * thing.near) * mask
        ground, sky_mask = ground * (1 - mask), sky_mask * (1 - mask)
    image = (
        image * floats([1.03, 1.0, 0.96]) + (fractal(h, w, stream(scene.seed, "light"), 0.6, 2)[..., None] - 0.5) * 0.12
    )

    def small(a: Image) -> Image:
        return floats(np.clip(cv2.resize(a.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA), 0, 1))

    done = small(image)
    foliage = photos.foliage_of(done) * (1 - small(sky_mask))
    return Picture(
        done,
        Regions(small(sky_mask), small(ground), foliage, small(depth), small(lights)),
        tuple(small(mask) for mask in masks),
    )


def pixels(points: ArrayLike) -> NDArray[np.int32]:
    """Points as OpenCV draws them: whole pixels, rounded towards zero."""
    return np.asarray(points).astype(np.int32)


def _sky(scene: Scene, w: int, h: int) -> Image:
    rng = stream(scene.seed, "sky")
    t = np.linspace(0, 1, h, dtype=np.float32)[:, None, None]
    top = floats([0.25, 0.45, 0.8]) + rng.uniform(-0.1, 0.12, 3).astype(np.float32)
    sky = np.broadcast_to(top * (1 - t) + floats([0.8, 0.87, 0.93]) * t, (h, w, 3))
    if not scene.clouds:
        return sky.astype(np.float32)
    puffs = ramp(fractal(h, w, stream(scene.seed, "clouds shape"), rng.uniform(0.2, 0.6), 5), 0.45, 0.75)
    return mix(sky, floats([0.92, 0.93, 0.95]), puffs * 0.9)


def _skyline(scene: Scene, w: int, h: int, horizon: int) -> tuple[Image, Image, Image]:
    """Colour, outline and lit windows of what stands on the horizon."""
    rng = stream(scene.seed, f"skyline {scene.skyline}")
    colour, outline, lights = (
        np.zeros((h, w, 3), np.float32),
        np.zeros((h, w), np.float32),
        np.zeros((h, w), np.float32),
    )
    if scene.skyline in ("city", "houses"):
        _buildings(colour, outline, lights, rng, scene.skyline == "city", horizon)
        return colour, outline, lights
    rough = {"hills": 0.7, "mountains": 0.35, "forest": 0.06}[scene.skyline]
    tall = {"hills": 0.35, "mountains": 0.85, "forest": 0.6}[scene.skyline] * rng.uniform(0.5, 1)
    ridge = fractal(1, w, rng, 1, 1)[0] if rough > 1 else fractal(h, w, rng, rough, 5)[h // 2]
    top = horizon - horizon * tall * (0.25 + 0.75 * ridge)
    outline[:] = np.clip(np.arange(h)[:, None] - top[None], 0, 1)
    base = {"hills": (0.3, 0.48, 0.22), "mountains": (0.45, 0.47, 0.5), "forest": (0.14, 0.32, 0.12)}[scene.skyline]
    grain = fractal(h, w, rng, 0.08, 5)[..., None]
    colour[:] = floats(base) * (0.55 + 0.9 * grain)
    if rng.random() < 0.4:
        cloth = photos.texture(w // 2, h // 2, rng)
        colour[:] = mix(colour, cv2.resize(cloth, (w, h)) * floats(base) * 2.2, 0.7)
    return colour, outline, lights


def _buildings(
    colour: Image, outline: Image, lights: Image, rng: np.random.Generator, tall: bool, horizon: int
) -> None:
    w = outline.shape[1]
    left = -int(rng.uniform(0, 0.1) * w)
    while left < w:
        wide = int(w * (rng.uniform(0.07, 0.24) if tall else rng.uniform(0.15, 0.35)))
        top = int(horizon * (1 - (rng.uniform(0.25, 0.95) if tall else rng.uniform(0.25, 0.55))))
        box = slice(top, horizon), slice(max(left, 0), min(left + wide, w))
        if box[1].stop > box[1].start and horizon > top:
            _facade(colour[box], lights[box], rng)
            outline[box] = 1
            if not tall and rng.random() < 0.8:
                roof = pixels([[left - 2, top], [left + wide + 2, top], [left + wide // 2, top - wide // 3]])
                cv2.fillPoly(colour, [roof], rng.uniform((0.3, 0.12, 0.1), (0.6, 0.3, 0.25)).tolist())
                cv2.fillPoly(outline, [roof], 1.0)
        left += wide + int(rng.choice([0, 0, 0.02, 0.06]) * w)


def _facade(colour: Image, lights: Image, rng: np.random.Generator) -> None:
    """A wall with rows of windows, some of which are lit at night."""
    h, w = lights.shape
    wall = np.float32(rng.uniform(0.3, 0.8)) * (1 + rng.normal(0, 0.12, 3)).astype(np.float32)
    colour[:] = wall * (0.85 + 0.3 * fractal(h, w, rng, 0.3, 4)[..., None])
    if rng.random() < 0.35:
        colour[:] = mix(colour, cv2.resize(photos.texture(64, 64, rng), (w, h)), 0.6)
    pitch_x, pitch_y = int(rng.integers(10, 26)), int(rng.integers(12, 30))
    tint = np.float32(rng.uniform(0.08, 0.45)) * floats([0.85, 0.95, 1.1])
    for y in range(pitch_y // 3, h - pitch_y // 2, pitch_y):
        for x in range(pitch_x // 3, w - pitch_x // 2, pitch_x):
            pane = slice(y, y + int(pitch_y * 0.6)), slice(x, x + int(pitch_x * 0.6))
            colour[pane] = tint * (0.8 + 0.5 * rng.random())
            lights[pane] = rng.random() < 0.35


def _ground(scene: Scene, w: int, h: int, horizon: int) -> Image:
    """The ground in perspective: its texture is drawn flat and stretched towards the viewer."""
    rng = stream(scene.seed, f"ground {scene.ground}")
    base = {
        "road": (0.33, 0.33, 0.35),
        "grass": (0.27, 0.46, 0.16),
        "sand": (0.8, 0.7, 0.5),
        "water": (0.2, 0.38, 0.5),
        "pavement": (0.58, 0.56, 0.54),
    }[scene.ground]
    flat = floats(floats(base) * (0.75 + 0.5 * fractal(256, 256, rng, 0.1, 5)[..., None]) * rng.uniform(0.75, 1.2))
    if rng.random() < 0.5:
        flat = mix(flat, photos.texture(256, 256, rng) * floats(base) * 2.0, 0.6)
    if scene.ground == "road":
        flat[:, 124:132][np.arange(256) % 40 < 22] = 0.85
        flat[:, :46] = flat[:, -46:] = (0.55, 0.54, 0.52) if rng.random() < 0.5 else (0.3, 0.45, 0.2)
    if scene.ground == "pavement":
        flat[::24] *= 0.7
        flat[:, ::24] *= 0.7
    if scene.ground == "water":
        flat = np.repeat(flat[::4], 4, axis=0) * 0.7 + fractal(256, 256, rng, 0.03, 2)[..., None] * 0.15
    far = rng.uniform(0.3, 0.7)
    shift = rng.uniform(-0.2, 0.2) * w
    corners = floats(
        [
            [w * far / 2 + shift, horizon],
            [w * (1 - far / 2) + shift, horizon],
            [w * 1.5, float(h)],
            [-w * 0.5, float(h)],
        ]
    )
    matrix = cv2.getPerspectiveTransform(floats([[0, 0], [255, 0], [255, 255], [0, 255]]), corners)
    return floats(cv2.warpPerspective(flat, matrix, (w, h), borderMode=cv2.BORDER_REFLECT_101))


def _thing(thing: Thing, seed: int, index: int, w: int, h: int, horizon: int) -> tuple[Image, Image, Image]:
    """Colour, mask and lights of one object standing on the ground."""
    foot = int(horizon + (h - horizon) * (0.12 + 0.75 * thing.near))
    size = max(10.0, (0.12 + 0.42 * thing.near) * h * {"house": 1.3, "tree": 1.3, "bus": 1.1}.get(thing.kind, 0.85))
    canvas, mask, lights = np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.float32), np.zeros((h, w), np.float32)
    main = floats(COLOURS[thing.colour])
    for shape, colour, points, shines in _parts(thing.kind, main):
        at = floats(points) * size + [thing.across * w, foot]
        if shape == "disc":
            centre, radius = at[0], abs(points[1][0]) * size
            cv2.circle(canvas, pixels(centre).tolist(), int(radius), colour, -1, cv2.LINE_AA)
            cv2.circle(mask, pixels(centre).tolist(), int(radius), 1.0, -1)
            cv2.circle(lights, pixels(centre).tolist(), int(radius), float(shines), -1)
        else:
            cv2.fillPoly(canvas, [pixels(at)], colour, cv2.LINE_AA)
            cv2.fillPoly(mask, [pixels(at)], 1.0)
            cv2.fillPoly(lights, [pixels(at)], float(shines))
    rows = np.linspace(0, 1, h, dtype=np.float32)[:, None, None]
    shade = 1.15 - 0.4 * ramp(rows, (foot - size * 0.6) / h, foot / h)
    grain = fractal(h, w, stream(seed, f"grain {index}"), 0.06, 3)[..., None]
    return canvas * shade * (0.85 + 0.3 * grain), mask, lights


def _parts(kind: str, main: Image) -> list[tuple[str, tuple[float, ...], list[tuple[float, float]], bool]]:
    """Polygons and discs (centre, radius) of an object, in units of its size, standing at (0, 0), y down."""
    tone = tuple(map(float, main))
    dark, glass, skin = (0.07, 0.07, 0.08), (0.25, 0.33, 0.4), (0.75, 0.55, 0.42)

    def box(x0: float, y0: float, x1: float, y1: float, colour: tuple[float, ...] = tone, shines: bool = False):  # type: ignore[no-untyped-def]
        return "poly", colour, [(x0, y0), (x1, y0), (x1, y1), (x0, y1)], shines

    def disc(x: float, y: float, radius: float, colour: tuple[float, ...] = tone, shines: bool = False):  # type: ignore[no-untyped-def]
        return "disc", colour, [(x, y), (radius, 0.0)], shines

    wheels = [disc(-0.38, -0.1, 0.12, dark), disc(0.38, -0.1, 0.12, dark)]
    if kind == "car":
        return [
            ("poly", tone, [(-0.4, -0.34), (-0.24, -0.55), (0.22, -0.55), (0.42, -0.34)], False),
            ("poly", glass, [(-0.32, -0.36), (-0.2, -0.5), (0.18, -0.5), (0.32, -0.36)], False),
            box(-0.66, -0.36, 0.66, -0.1),
            *wheels,
            box(0.58, -0.3, 0.66, -0.22, (0.95, 0.95, 0.8), True),
            box(-0.66, -0.3, -0.6, -0.22, (0.7, 0.1, 0.1), True),
        ]
    if kind == "bus":
        return [
            box(-0.8, -0.85, 0.8, -0.1),
            *(box(x, -0.75, x + 0.2, -0.48, glass, True) for x in (-0.72, -0.44, -0.16, 0.12, 0.4)),
            disc(-0.5, -0.1, 0.13, dark),
            disc(0.5, -0.1, 0.13, dark),
        ]
    if kind == "person":
        return [
            box(-0.13, -0.42, -0.02, 0, (0.15, 0.16, 0.22)),
            box(0.02, -0.42, 0.13, 0, (0.15, 0.16, 0.22)),
            box(-0.17, -0.8, 0.17, -0.4),
            box(-0.24, -0.78, -0.16, -0.45),
            box(0.16, -0.78, 0.24, -0.45),
            disc(0, -0.9, 0.1, skin),
        ]
    if kind == "tree":
        trunk = box(-0.06, -0.5, 0.06, 0, (0.3, 0.2, 0.12))
        return [
            trunk,
            *(disc(x, y, r) for x, y, r in ((0, -0.75, 0.3), (-0.22, -0.58, 0.2), (0.22, -0.6, 0.22), (0, -0.95, 0.2))),
        ]
    if kind == "house":
        return [
            box(-0.55, -0.6, 0.55, 0),
            ("poly", (0.42, 0.2, 0.16), [(-0.65, -0.6), (0.65, -0.6), (0, -1.0)], False),
            box(-0.4, -0.45, -0.15, -0.22, glass, True),
            box(0.15, -0.45, 0.4, -0.22, glass, True),
            box(-0.08, -0.3, 0.08, 0, (0.25, 0.16, 0.1)),
        ]
    if kind == "cone":
        return [
            ("poly", tone, [(-0.3, 0), (0.3, 0), (0.04, -0.8), (-0.04, -0.8)], False),
            ("poly", (0.95, 0.95, 0.95), [(-0.2, -0.28), (0.2, -0.28), (0.14, -0.44), (-0.14, -0.44)], False),
        ]
    if kind == "box":
        return [
            box(-0.35, -0.55, 0.35, 0),
            ("poly", tuple(0.6 * c for c in tone), [(0.35, 0), (0.35, -0.55), (0.52, -0.64), (0.52, -0.12)], False),
        ]
    return [disc(0, -0.32, 0.32), disc(-0.1, -0.42, 0.08, tuple(min(1.0, c * 0.6 + 0.4) for c in tone))]
