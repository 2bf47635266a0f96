"""Photographs bundled with scikit-image and scikit-learn: crops of them, changed so that a few serve as many."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from latensify_server.training.looks import Image, Regions, blur, floats, grey, highlights, ramp

VIEWS = ("astronaut.png", "camera.png", "rocket.jpg", "motorcycle_left.png", "china.jpg", "flower.jpg")
TEXTURES = ("brick.png", "grass.png", "gravel.png")
FOLDERS = {"skimage": "data", "sklearn": "datasets/images"}
HELD_OUT = ("chelsea.png", "coffee.png")


@lru_cache
def photo(name: str) -> Image:
    """A bundled photograph, float32 [h, w, 3] in 0..1.

    Raises:
        FileNotFoundError: no installed package carries it.
    """
    for package, folder in FOLDERS.items():
        spec = find_spec(package)
        path = Path(spec.origin).parent / folder / name if spec and spec.origin else Path()
        if path.is_file():
            pixels = np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR))
            return floats(floats(pixels)[..., ::-1] / 255)
    raise FileNotFoundError(f"The training photograph {name} is missing: pip install scikit-image scikit-learn.")


def foliage_of(image: Image) -> Image:
    """How green each pixel is, [h, w] in 0..1."""
    red, green, blue = np.moveaxis(blur(image, 0.006), -1, 0)
    return ramp(green - np.maximum(red * 0.96, blue), 0.01, 0.07)


def sky_of(image: Image) -> Image:
    """A guess at the sky: bright, smooth, grey or blue, and joined to the top edge; [h, w] in 0..1."""
    soft = blur(image, 0.008)
    level = grey(soft)
    rough = blur(np.abs(level - blur(level, 0.02)), 0.012)
    likely = (level > 0.42) & (rough < 0.022) & (soft[..., 2] > soft[..., 0] - 0.06)
    _, labels = cv2.connectedComponents(likely.astype(np.uint8))
    touching = [label for label in np.unique(labels[0]) if label and (labels[0] == label).mean() > 0.12]
    found = np.isin(labels, touching).astype(np.float32)
    return blur(found, 0.006) if found.mean() > 0.04 else np.zeros_like(found)


def regions_of(image: Image) -> Regions:
    """Regions guessed from the pixels alone, taking the picture for a view with the ground below."""
    height, width = image.shape[:2]
    y = np.broadcast_to(np.linspace(0, 1, height, dtype=np.float32)[:, None], (height, width))
    sky = sky_of(image)
    ground = ramp(y, 0.5, 0.8) * (1 - sky)
    return Regions(
        sky=sky,
        ground=ground,
        foliage=foliage_of(image) * (1 - sky),
        depth=np.maximum(sky, 1 - ramp(y, 0.1, 0.95)).astype(np.float32),
        lights=highlights(image, sky),
    )


def crop(image: Image, width: int, height: int, rng: np.random.Generator) -> Image:
    """A random crop, mirrored or not, of random scale and slant, resized to width x height."""
    rows, columns = image.shape[:2]
    largest = min(rows / height, columns / width)
    scale = np.exp(rng.uniform(np.log(min(0.55, largest)), np.log(largest))) * 0.98
    turn = np.deg2rad(rng.uniform(-6, 6)) if rng.random() < 0.4 else 0.0
    matrix = floats([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * scale
    matrix[:, 0] *= rng.choice([-1, 1])
    half = scale * floats([width, height]) / 2
    centre = rng.uniform(
        np.minimum(half, [columns / 2, rows / 2]),
        np.maximum(floats([columns, rows]) - half, [columns / 2, rows / 2]),
    )
    offset = centre - matrix @ floats([width, height]) / 2
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    soft = blur(image, 0.35 * scale / min(rows, columns)) if scale > 1.3 else image
    return floats(
        cv2.warpAffine(
            soft, np.column_stack([matrix, offset]), (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101
        )
    )


def jitter(image: Image, rng: np.random.Generator) -> Image:
    """White balance, exposure, contrast, saturation, hue and softness changed at random."""
    gain = np.exp(rng.normal(0, 0.09, 3) + rng.normal(0, 0.18)).astype(np.float32)
    out = np.clip(image, 0, 1) ** np.float32(np.exp(rng.normal(0, 0.18))) * gain
    level = grey(out)[..., None]
    out = level + (out - level) * np.float32(np.exp(rng.normal(0, 0.3)))
    if rng.random() < 0.35:
        hsv = cv2.cvtColor(np.clip(out, 0, 1).astype(np.float32), cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0] + rng.uniform(0, 360)) % 360
        out = mix_back(out, cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), rng)
    if rng.random() < 0.2:
        out = blur(out, rng.uniform(0.002, 0.01))
    return floats(np.clip(0.5 + (out - 0.5) * np.exp(rng.normal(0, 0.12)), 0, 1))


def mix_back(plain: Image, changed: Image, rng: np.random.Generator) -> Image:
    """A share of a change, so that shifts of hue are seldom complete."""
    return plain + (changed - plain) * np.float32(rng.uniform(0.2, 1))


def texture(width: int, height: int, rng: np.random.Generator) -> Image:
    """A jittered patch of any training photograph, to clothe scenes and collages with."""
    return jitter(crop(photo(str(rng.choice(VIEWS + TEXTURES))), width, height, rng), rng)


def held_out(width: int, height: int) -> list[Image]:
    """The photographs kept from training, centred and resized to cover width x height."""
    images = []
    for name in HELD_OUT:
        image = photo(name)
        scale = max(width / image.shape[1], height / image.shape[0])
        size = (max(width, round(image.shape[1] * scale)), max(height, round(image.shape[0] * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
        images.append(image[top : top + height, left : left + width])
    return images
