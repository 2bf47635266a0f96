"""Photographic looks by classical image processing: the targets from which the denoiser learns to restyle.

A look is a function (image, regions, rng) -> image; images are float32 [h, w, 3], sRGB in 0..1. What a look does
follows from what is in the picture (where the sky is, what is green, what is bright), so that it can be learned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Image = NDArray[np.float32]
GREY = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Regions:
    """What a picture holds, each [h, w] in 0..1; depth is 1 far away, lights mark lamps and windows."""

    sky: Image
    ground: Image
    foliage: Image
    depth: Image
    lights: Image


Look = Callable[[Image, Regions, np.random.Generator], Image]


def floats(numbers: ArrayLike) -> Image:
    """Numbers as an array of float32."""
    return np.asarray(numbers, np.float32)


def blur(image: Image, part: float) -> Image:
    """Gaussian blur whose sigma is a part of the image's smaller side."""
    sigma = max(0.4, part * min(image.shape[:2]))
    if sigma < 6:
        return floats(cv2.GaussianBlur(image, (0, 0), sigma))
    height, width = image.shape[:2]
    shrink = int(sigma / 3)  # a wide blur leaves nothing that a smaller picture would lack
    small = cv2.resize(image, (-(-width // shrink), -(-height // shrink)), interpolation=cv2.INTER_AREA)
    return floats(cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / shrink), (width, height)))


def grey(image: Image) -> Image:
    return image @ GREY


def mix(a: Image, b: Image | np.float32, weight: Image | float) -> Image:
    if isinstance(weight, np.ndarray) and weight.ndim == 2 and a.ndim != 2:
        weight = weight[..., None]
    return a + (b - a) * weight


def ramp(values: Image, low: float, high: float) -> Image:
    x = np.clip((values - low) / (high - low), 0, 1)
    return floats(x * x * (3 - 2 * x))


def fractal(height: int, width: int, rng: np.random.Generator, cell: float = 0.25, octaves: int = 4) -> Image:
    """Smooth noise in 0..1 whose coarsest cell is a part of the smaller side."""
    total = np.zeros((height, width), np.float32)
    size = max(2.0, cell * min(height, width))
    for octave in range(octaves):
        grid = rng.random((int(height / size) + 2, int(width / size) + 2), dtype=np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * 0.55**octave
        size = max(1.0, size / 2)
    return floats((total - total.min()) / max(float(np.ptp(total)), 1e-6))


def saturate(image: Image, amount: float) -> Image:
    level = grey(image)[..., None]
    return level + (image - level) * amount


def contrast(image: Image, amount: float, pivot: float = 0.5) -> Image:
    return pivot + (image - pivot) * amount


def vignette(image: Image, amount: float) -> Image:
    height, width = image.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return image * floats(1 - amount * np.clip(x * x + y * y - 0.3, 0, 1.5) / 1.5)[..., None]


def vertical(regions: Regions, top: tuple[float, ...], bottom: tuple[float, ...]) -> Image:
    """A vertical gradient of two colours that spans the sky seen (or the upper half where there is none)."""
    height, width = regions.sky.shape
    rows = np.flatnonzero(regions.sky.mean(axis=1) > 0.15)
    horizon = max(0.35, (rows.max() + 1) / height if len(rows) else 0.5)
    t = np.clip(np.linspace(0, 1, height, dtype=np.float32) / horizon, 0, 1)[:, None, None]
    return np.broadcast_to(floats(top) * (1 - t) + floats(bottom) * t, (height, width, 3)).astype(np.float32)


def glow(image: Image, lights: Image, colour: Image | tuple[float, ...], amount: float) -> Image:
    """Lights of a colour added with a halo, as a lens would."""
    source = lights[..., None] * np.asarray(colour, np.float32)
    halo = blur(source, 0.02) * 1.2 + blur(source, 0.06) * 1.4
    return floats(1 - (1 - np.clip(image, 0, 1)) * (1 - np.clip(amount * (source * 0.9 + halo), 0, 1)))


def highlights(image: Image, sky: Image) -> Image:
    """Where lamps and windows might shine, guessed: bright spots on a darker surround outside the sky."""
    level = grey(image)
    spots = ramp(level - blur(level, 0.05), 0.1, 0.3) * ramp(level, 0.45, 0.8)
    return floats(spots * (1 - sky) * 0.8)


def blur_within(image: Image, part: float, region: Image) -> Image:
    """Blur of what lies in a region alone, so that nothing outside it bleeds in."""
    weight = region + np.float32(1e-4)
    weights = blur(weight, part)
    if image.ndim == 3:
        return blur(image * weight[..., None], part) / weights[..., None]
    return blur(image * weight, part) / weights


def sky_of(image: Image, regions: Regions, top: tuple[float, ...], bottom: tuple[float, ...], clouds: float) -> Image:
    """The sky repainted with a gradient that keeps a part of its own clouds."""
    level = grey(image)
    detail = (level - blur_within(level, 0.2, regions.sky))[..., None]
    return mix(image, vertical(regions, top, bottom) + detail * clouds, regions.sky)


def winter(image: Image, regions: Regions, rng: np.random.Generator) -> Image:
    level = grey(image)
    detail = (level - blur_within(level, 0.04, np.maximum(regions.ground, regions.foliage)))[..., None]
    upward = ramp(-cv2.Sobel(blur(level, 0.006), cv2.CV_32F, 0, 1, ksize=3), -0.05, 0.5) * ramp(level, 0.15, 0.5)
    snow = np.clip(0.85 * regions.ground + 0.6 * regions.foliage + 0.5 * upward, 0, 0.93) * (1 - regions.sky)
    cold = saturate(image, 0.85) * floats([0.92, 0.98, 1.06]) * 0.9 + 0.05
    white = floats([0.86, 0.9, 0.95]) * (0.88 + 0.14 * ramp(level, 0.1, 0.7))[..., None] + detail * 0.9
    out = mix(cold, white, snow)
    return sky_of(out, regions, (0.72, 0.75, 0.79), (0.85, 0.87, 0.89), 0.3)


def autumn(image: Image, regions: Regions, rng: np.random.Generator) -> Image:
    level = grey(image)[..., None]
    tint = mix(
        floats([1.75, 0.8, 0.2]),
        floats([1.5, 1.05, 0.25]),
        ramp(blur_within(image[..., 1], 0.03, np.maximum(regions.foliage, regions.ground)), 0.25, 0.55),
    )
    leaves = np.clip(level * 1.1 + 0.05, 0, 1) * tint
    out = mix(image, leaves, np.clip(regions.foliage * 1.1, 0, 1))
    out = mix(out, leaves * 0.9, regions.ground * 0.2)
    out = contrast(out, 0.92) * floats([1.08, 0.99, 0.84]) + 0.01
    return sky_of(out, regions, (0.62, 0.7, 0.76), (0.9, 0.86, 0.76), 0.5)


def night(image: Image, regions: Regions, rng: np.random.Generator) -> Image:
    linear = np.clip(saturate(image, 0.85), 0, 1) ** 2.2
    dark = np.clip(linear * floats([0.13, 0.145, 0.22]), 0, 1) ** (1 / 2.2) * 0.95 + floats([0.0, 0.004, 0.02])
    dark = sky_of(dark, regions, (0.02, 0.03, 0.085), (0.08, 0.1, 0.2), 0.12)
    return glow(dark, regions.lights, (1.0, 0.72, 0.36), 0.95)


def golden_hour(image: Image, regions: Regions, rng: np.random.Generator) -> Image:
    level = grey(image)
    lit = ramp(level, 0.2, 0.75)
    warm = mix(image * floats([0.86, 0.72, 0.66]), image * floats([1.3, 1.0, 0.62]) + 0.04, lit)
    warm = mix(warm, floats([1.0, 0.78, 0.42]), regions.depth * 0.25)
    warm = sky_of(warm, regions, (0.62, 0.66, 0.72), (1.0, 0.82, 0.5), 0.5)
    return glow(warm, ramp(grey(warm), 0.65, 1.0), (1.0, 0.75, 0.4), 0.14)


def sunset(image: Image, regions: Regions, rng: np.random.Generator) -> Image:
    shade = contrast(image, 1.1, 0.4) * floats([0.86, 0.58, 0.52])
    shade = mix(shade, floats([0.95, 0.42, 0.22]), regions.depth * 0.35 + ramp(grey(image), 0.55, 0.95) * 0.12)
    out = sky_of(shade, regions, (0.42, 0.16, 0.34), (1.0, 0.45, 0.16), 0.7)
    return vignette(out, 0.3)


def rain(image: Image, regions: Regions, rng: np.random.Generator, frame: int = 0) -> Image:
    """A grey sky, wet ground that mirrors what is far, and streaks that fall from frame to frame."""
    height, width = image.shape[:2]
    dull = contrast(saturate(image, 0.75) * floats([0.74, 0.77, 0.8]), 0.92, 0.4)
    dull = mix(dull, floats([0.56, 0.6, 0.64]), regions.depth * 0.4)
    dull = sky_of(dull, regions, (0.42, 0.46, 0.5), (0.6, 0.63, 0.66), 0.5)
    far = ramp(regions.depth, 0.4, 0.75) + np.float32(1e-3)
    smear = (max(1, width // 60), max(1, height // 8))
    mirror = cv2.blur(dull * far[..., None], smear) / cv2.blur(far, smear)[..., None]
    rows = np.clip(2 * _ground_from(regions) - np.arange(height), 0, height - 1)
    dull = mix(dull, dull * 0.5 + mirror[rows] * 0.55, regions.ground * 0.8)
    return floats(dull + _streaks(height, width, rng, frame)[..., None] * np.float32(0.2))


def _streaks(height: int, width: int, rng: np.random.Generator, frame: int) -> Image:
    """Slanting drops that fall fast, [h, w] in 0..1."""
    side = min(height, width)
    count = round(95 * height * width / side**2)
    x, y, length = rng.random((3, count))
    x, y, length = (x - 0.05 * frame) % 1 * width, (y + 0.17 * frame) % 1 * height, (0.04 + 0.05 * length) * side
    drops = np.zeros((height, width), np.float32)
    thick = max(1, round(side / 160))
    for across, down, long in zip(x * 16, y * 16, length * 16, strict=True):
        start, end = (round(across), round(down)), (round(across - 0.3 * long), round(down + long))
        cv2.line(drops, start, end, 1.0, thick, cv2.LINE_AA, 4)
    return blur(drops, 0.004)


def _ground_from(regions: Regions) -> int:
    """The row from which the ground is seen, or somewhat below the middle where none is."""
    rows = np.flatnonzero(regions.ground.mean(axis=1) > 0.25)
    return int(rows[0]) if len(rows) else int(0.55 * regions.ground.shape[0])


def snowfall(image: Image, regions: Regions, rng: np.random.Generator, frame: int = 0) -> Image:
    """Fresh snow on the ground and on leaves, a white sky, and flakes in three sizes that fall from frame to frame."""
    level = grey(image)
    white = floats([0.9, 0.93, 0.97]) * (0.78 + 0.22 * ramp(level, 0.1, 0.6))[..., None]
    snow = np.clip(0.93 * regions.ground + 0.7 * regions.foliage, 0, 0.93) * (1 - regions.sky)
    out = mix(saturate(image, 0.85) * np.float32(0.92) + np.float32(0.05), white, snow)
    out = mix(out, floats([0.82, 0.85, 0.88]), regions.depth * (1 - regions.sky) * 0.5)
    out = sky_of(out, regions, (0.7, 0.73, 0.77), (0.84, 0.86, 0.88), 0.3)
    for size, count in ((0.011, 60), (0.017, 26), (0.025, 10)):
        out = mix(out, floats([0.97, 0.98, 1.0]), _flakes(image.shape[0], image.shape[1], rng, frame, size, count))
    return out


def _flakes(height: int, width: int, rng: np.random.Generator, frame: int, size: float, count: int) -> Image:
    """Soft discs of a size (part of the smaller side), count to a square, which drift down; [h, w] in 0..1."""
    count = round(count * max(height, width) / min(height, width))
    x, y, drift = rng.random((3, count))
    x, y = (x + 0.35 * size * (2 * drift - 0.4) * frame) % 1, (y + size * (1 + 0.5 * drift) * frame) % 1
    spots = np.zeros((height, width), np.float32)
    radius = max(0.6, size * min(height, width) / 2)
    for across, down in zip(x * width, y * height, strict=True):
        cv2.circle(spots, (round(across * 16), round(down * 16)), round(radius * 16), 1.0, -1, cv2.LINE_AA, 4)
    return blur(spots, size / 5) * np.float32(0.92)


def fog(image: Image, regions: Regions, rng: np.random.Generator) -> Image:
    thickness = np.clip(0.22 + 0.75 * regions.depth, 0, 1) * 0.95
    pale = contrast(saturate(image, 0.55), 0.8, 0.6) + 0.04
    return mix(pale, floats([0.79, 0.81, 0.83]), thickness)


def noir(image: Image, regions: Regions, rng: np.random.Generator) -> Image:
    level = grey(np.clip(image, 0, 1)) * 0.7 + image[..., 0] * 0.3
    level = contrast(level, 1.7, 0.5 * float(np.clip(level.mean(), 0.2, 0.7)) + 0.22)
    return vignette(np.repeat(level[..., None], 3, axis=2), 0.5)


def teal_and_orange(image: Image, regions: Regions, rng: np.random.Generator) -> Image:
    level = grey(image)[..., None]
    warmth = ramp(image[..., 0] - image[..., 2], -0.08, 0.2)[..., None] * 0.6 + ramp(level, 0.45, 0.95) * 0.4
    toned = level * (floats([0.55, 1.02, 1.12]) * (1 - warmth) + floats([1.35, 0.92, 0.6]) * warmth)
    return contrast(mix(saturate(image, 0.8), toned, 0.7), 1.25, 0.42) + floats([-0.03, 0.01, 0.03])


def vintage(image: Image, regions: Regions, rng: np.random.Generator) -> Image:
    faded = contrast(saturate(image, 0.55), 0.72, 0.55) * floats([1.08, 0.98, 0.74]) + floats([0.06, 0.03, 0.05])
    grain = blur(rng.standard_normal(image.shape[:2]).astype(np.float32), 0.004)[..., None]
    return vignette(faded + grain * 0.025, 0.35)


def watercolour(image: Image, regions: Regions, rng: np.random.Generator) -> Image:
    wash = np.clip(image, 0, 1)
    for _ in range(3):
        wash = cv2.bilateralFilter(wash, 7, 0.18, max(2.0, 0.03 * min(image.shape[:2])))
    wash = mix(wash, floats(np.round(wash * 6) / 6), 0.55)
    edges = ramp(np.abs(cv2.Laplacian(blur(grey(wash), 0.008), cv2.CV_32F, ksize=3)), 0.04, 0.3)
    paper = 0.06 * (fractal(image.shape[0], image.shape[1], rng, 0.05, 3) - 0.5)[..., None]
    light = 1 - (1 - np.clip(saturate(wash, 1.25), 0, 1)) * 0.72
    return floats(light * (1 - 0.45 * edges[..., None]) + paper)


def oil(image: Image, regions: Regions, rng: np.random.Generator) -> Image:
    """Each pixel takes the mean colour of the commonest of eight tones around it, with the relief of a brush."""
    level = np.clip(grey(image) * 8, 0, 7).astype(np.int32)
    size = (2 * max(2, round(0.022 * min(image.shape[:2]))) + 1,) * 2
    shares = np.stack([cv2.blur((level == tone).astype(np.float32), size) for tone in range(8)])
    chosen = shares.argmax(axis=0)
    sums = np.stack([cv2.blur(image * (level == tone)[..., None], size) for tone in range(8)])
    picked = np.take_along_axis(sums, chosen[None, ..., None], axis=0)[0]
    painted = picked / np.take_along_axis(shares, chosen[None], axis=0)[0][..., None]
    tone = grey(painted)
    relief = cv2.filter2D(tone, -1, floats([[-1, -1, 0], [-1, 0, 1], [0, 1, 1]])) * 0.18
    return floats(contrast(saturate(painted, 1.4), 1.12) + relief[..., None])


def pencil(image: Image, regions: Regions, rng: np.random.Generator) -> Image:
    level = np.clip(grey(image), 0, 1)
    lines = np.clip(level / np.maximum(blur(level, 0.02), 0.08), 0, 1) ** 2.2
    height, width = level.shape
    y, x = np.mgrid[:height, :width]
    hatch = 0.5 + 0.5 * np.sin((x + y) * 1.9 + 2 * fractal(height, width, rng, 0.2, 2))
    shade = 1 - (1 - ramp(level, 0.0, 0.6)) * (0.35 + 0.35 * hatch)
    return floats((lines * shade * 0.93 + 0.03)[..., None] * floats([0.97, 0.96, 0.92]))


def cyberpunk(image: Image, regions: Regions, rng: np.random.Generator) -> Image:
    level = grey(image)[..., None]
    across = np.linspace(0, 1, image.shape[1], dtype=np.float32)[None, :, None]
    hue = floats(floats([1.0, 0.12, 0.75]) * (1 - across) + floats([0.05, 0.85, 1.0]) * across)
    dark = floats(np.clip(level, 0, 1) ** 1.4 * (floats([0.30, 0.14, 0.55]) * 0.7 + hue * 0.6))
    dark = sky_of(floats(dark + floats([0.02, 0.0, 0.05])), regions, (0.05, 0.02, 0.14), (0.34, 0.06, 0.36), 0.2)
    return glow(contrast(dark, 1.15, 0.3), regions.lights, hue, 1.1)


def daylight(image: Image, regions: Regions, rng: np.random.Generator) -> Image:
    return image


LOOKS: dict[str, tuple[Look, tuple[str, ...]]] = {
    "winter, snow covered, overcast": (winter, ("winter", "make it winter", "covered in snow", "in the snow")),
    "autumn, orange leaves, soft light": (autumn, ("autumn", "make it autumn", "in the fall", "orange leaves")),
    "at night, street lights": (night, ("at night", "make it night", "night", "turn day into night")),
    "golden hour, warm low sun": (golden_hour, ("golden hour", "warm evening light", "make it golden hour")),
    "sunset, red sky": (sunset, ("sunset", "make it sunset", "at sunset", "red sky at dusk")),
    "rain, wet ground, grey sky": (rain, ("rain", "make it rain", "a rainy day", "wet and grey")),
    "thick fog": (fog, ("fog", "make it foggy", "foggy", "mist")),
    "black and white, film noir, high contrast": (noir, ("black and white", "film noir", "make it black and white")),
    "teal and orange, cinematic grade": (teal_and_orange, ("teal and orange", "cinematic", "make it cinematic")),
    "vintage film, faded colours": (vintage, ("vintage", "old film", "faded colours", "make it vintage")),
    "watercolour painting": (watercolour, ("watercolour", "a watercolour", "make it a watercolour painting")),
    "oil painting": (oil, ("an oil painting", "oil on canvas", "make it an oil painting")),
    "pencil sketch on paper": (pencil, ("pencil sketch", "a pencil drawing", "make it a pencil sketch")),
    "cyberpunk, neon light, night": (cyberpunk, ("cyberpunk", "neon", "make it cyberpunk", "neon lights at night")),
    "bright day, clear sky": (daylight, ("day", "make it day", "summer day", "in daylight")),
}


def apply(prompt: str, image: Image, regions: Regions, rng: np.random.Generator) -> Image:
    """The look of a preset's prompt, clipped to 0..1."""
    return np.clip(LOOKS[prompt][0](image, regions, rng), 0, 1).astype(np.float32)
