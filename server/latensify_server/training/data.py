"""Training samples: what the denoiser sees and what it should answer, drawn deterministically by number."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from latensify_server.training import looks, photos, scenes
from latensify_server.training.looks import Image, Regions

SHAPES = ((128, 128), (192, 104), (128, 128), (160, 96), (128, 128), (256, 144), (128, 128), (192, 128))
SHARD = 250
GREY = np.float32(0.5)
PRESETS = tuple(looks.LOOKS)
NOTHING = ("", "", "empty background", "nothing there")


@dataclass(frozen=True)
class Sample:
    """One sample: images [h, w, 3] and mask [h, w] in 0..1; an absent source is mid-grey and `sourced` false."""

    source: Image
    target: Image
    mask: Image
    prompt: str
    sourced: bool = True


@dataclass(frozen=True)
class View:
    """A picture to start from; `scene` is None for photographs."""

    image: Image
    regions: Regions
    scene: scenes.Scene | None
    masks: tuple[Image, ...]


def shape_of(shard: int) -> tuple[int, int]:
    """Width and height of all samples of a shard."""
    return SHAPES[shard % len(SHAPES)]


def shard(number: int, seed: int) -> list[Sample]:
    """The samples of one shard; the same for the same number and seed."""
    width, height = shape_of(number)
    return [sample(width, height, scenes.stream(seed, f"sample {number} {index}")) for index in range(SHARD)]


def view(width: int, height: int, rng: np.random.Generator, photographic: float = 0.55) -> View:
    """A photograph's crop, or a drawn scene."""
    if rng.random() >= photographic:
        scene = scenes.random_scene(int(rng.integers(2**31)))
        picture = scenes.draw(scene, width, height)
        return View(picture.image, picture.regions, scene, picture.masks)
    names = photos.VIEWS if rng.random() < 0.93 else photos.TEXTURES
    image = photos.crop(photos.photo(str(rng.choice(names))), width, height, rng)
    regions = photos.regions_of(image)
    if rng.random() < 0.25:
        image, regions = _collage(image, width, height, rng)
    return View(photos.jitter(image, rng), regions, None, ())


def _collage(image: Image, width: int, height: int, rng: np.random.Generator) -> tuple[Image, Regions]:
    """Another photograph's piece laid over a part of the picture: textures meet that never met."""
    other = photos.crop(photos.photo(str(rng.choice(photos.VIEWS))), width, height, rng)
    cut = looks.ramp(looks.fractal(height, width, rng, 0.8, 3), 0.5, 0.53)
    mixed = looks.mix(image, other, cut)
    return mixed, photos.regions_of(mixed)


def sample(width: int, height: int, rng: np.random.Generator) -> Sample:
    """One sample of any kind."""
    kind = rng.choice(["restyle", "inpaint", "identity", "instruct", "text"], p=[0.5, 0.22, 0.05, 0.09, 0.14])
    make = {"restyle": _restyle, "inpaint": _inpaint, "identity": _identity, "instruct": _instruct, "text": _text}
    return make[str(kind)](width, height, rng)


def _restyle(width: int, height: int, rng: np.random.Generator) -> Sample:
    """A whole frame under a look; now and then from another look, back to daylight, or only inside a mask."""
    seen = view(width, height, rng)
    prompt = str(rng.choice(PRESETS[:-1]))
    source, target = seen.image, looks.apply(prompt, seen.image, seen.regions, rng)
    if rng.random() < 0.08:
        source, target, prompt = target, source, PRESETS[-1]
    text = prompt if rng.random() < 0.7 else str(rng.choice(looks.LOOKS[prompt][1]))
    if seen.scene and rng.random() < 0.25:
        text = f"{scenes.caption(seen.scene)}, {text}"
    if rng.random() < 0.1:
        mask = hole(width, height, rng)
        return Sample(source, looks.mix(source, target, mask), mask, text)
    return Sample(source, target, np.ones((height, width), np.float32), text)


def _identity(width: int, height: int, rng: np.random.Generator) -> Sample:
    image = view(width, height, rng).image
    return Sample(image, image, np.ones((height, width), np.float32), "")


def _text(width: int, height: int, rng: np.random.Generator) -> Sample:
    """Text to image: no source, the scene's caption with a look."""
    seen = view(width, height, rng, photographic=0.0)
    assert seen.scene
    prompt = str(rng.choice(PRESETS))
    image = looks.apply(prompt, seen.image, seen.regions, rng)
    blank = np.full_like(image, GREY)
    text = f"{scenes.caption(seen.scene)}, {prompt}" if rng.random() < 0.7 else scenes.caption(seen.scene)
    if "," not in text.replace(scenes.caption(seen.scene), ""):
        image = seen.image
    return Sample(blank, image, np.ones((height, width), np.float32), text, sourced=False)


def _instruct(width: int, height: int, rng: np.random.Generator) -> Sample:
    """An exact counterfactual of one object: recoloured or removed."""
    scene = _peopled(rng)
    index = int(rng.integers(len(scene.things)))
    thing = scene.things[index]
    if rng.random() < 0.5:
        colour = str(rng.choice([name for name in scenes.COLOURS if name != thing.colour]))
        changed, text = recoloured(scene, index, colour), f"turn the {thing.kind} {colour}"
    else:
        changed, text = removed(scene, index), f"remove the {thing.kind}"
    before, after = scenes.draw(scene, width, height), scenes.draw(changed, width, height)
    return Sample(before.image, after.image, np.ones((height, width), np.float32), text)


def _inpaint(width: int, height: int, rng: np.random.Generator) -> Sample:
    """A hole filled with mid-grey; the answer is what belongs there, an object named by the prompt, or none."""
    seen = view(width, height, rng)
    mask, target, text = hole(width, height, rng), seen.image, str(rng.choice(NOTHING))
    if seen.scene and seen.scene.things and rng.random() < 0.7:
        index = int(rng.integers(len(seen.scene.things)))
        thing = seen.scene.things[index]
        mask = np.maximum(grown(seen.masks[index], rng), mask if rng.random() < 0.2 else 0)
        if rng.random() < 0.6:
            target = scenes.draw(removed(seen.scene, index), width, height).image
        else:
            text = f"a {thing.colour} {thing.kind}"
        target = looks.mix(seen.image, target, mask)
    return Sample(looks.mix(target, GREY, mask), target, mask, text)


def hole(width: int, height: int, rng: np.random.Generator) -> Image:
    """A random region to fill: boxes and blobs of a twentieth to a third of the picture, 0 or 1."""
    mask = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(1, 3))):
        half = (rng.uniform(0.08, 0.28, 2) * [width, height]).astype(int) + 3
        centre = (rng.uniform(0.1, 0.9, 2) * [width, height]).astype(int)
        if rng.random() < 0.4:
            cv2.rectangle(mask, (centre - half).tolist(), (centre + half).tolist(), 1.0, -1)
        else:
            cv2.ellipse(mask, centre.tolist(), half.tolist(), rng.uniform(0, 180), 0, 360, 1.0, -1)
    ragged = looks.fractal(height, width, rng, 0.15, 3) > rng.uniform(0.0, 0.35)
    return mask * ragged.astype(np.float32)


def grown(mask: Image, rng: np.random.Generator) -> Image:
    """An object's mask with a margin, as a matte drawn around it would have; 0 or 1."""
    margin = int(rng.integers(1, 1 + max(2, mask.shape[0] // 14)))
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1,) * 2)
    return looks.floats(cv2.dilate((mask > 0.02).astype(np.float32), brush))


def recoloured(scene: scenes.Scene, index: int, colour: str) -> scenes.Scene:
    """The scene with one object of another colour."""
    things = [replace(thing, colour=colour) if at == index else thing for at, thing in enumerate(scene.things)]
    return replace(scene, things=tuple(things))


def removed(scene: scenes.Scene, index: int) -> scenes.Scene:
    """The scene without one of its objects."""
    return replace(scene, things=tuple(thing for at, thing in enumerate(scene.things) if at != index))


def _peopled(rng: np.random.Generator) -> scenes.Scene:
    while True:
        scene = scenes.random_scene(int(rng.integers(2**31)))
        if scene.things:
            return scene


def captions(seed: int, count: int = 4000) -> list[str]:
    """Prompts of the kinds that samples carry, for the tokenizer to learn from."""
    rng = scenes.stream(seed, "captions")
    fixed = [*PRESETS, *(text for _, texts in looks.LOOKS.values() for text in texts), *NOTHING]
    drawn = [scenes.caption(scenes.random_scene(int(rng.integers(2**31)))) for _ in range(count)]
    verbs = [
        f"{verb} the {kind} {colour}"
        for verb in ("turn", "remove", "replace", "add")
        for kind in scenes.KINDS
        for colour in scenes.COLOURS
    ]
    return fixed * 20 + drawn + verbs
