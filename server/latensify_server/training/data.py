"""Training samples: what the denoiser sees and what it should answer, drawn deterministically by number.

One form serves every effect (Brooks et al., "InstructPix2Pix", 2023): a source, a mask of what may change, a text.
Counterfactuals are exact: the same world with one thing changed, or a photograph with a drawn object laid over it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from latensify_server.training import looks, mattes, photos, render, worlds
from latensify_server.training.changes import CONDITIONS, Change, change, conditioned, plain, some_seed
from latensify_server.training.looks import Image, Regions
from latensify_server.training.worlds import World

SHAPES = ((128, 128), (128, 128), (192, 104), (128, 128), (128, 128), (160, 96), (128, 128), (256, 144))
SHARD = 250
FRAMES = 24
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
    """A picture to start from; `world` is None for photographs."""

    image: Image
    regions: Regions
    world: World | None
    masks: tuple[Image, ...]


@dataclass(frozen=True)
class Canvas:
    """The size of samples, and a studio's own frames, which then stand in for worlds and photographs alike."""

    width: int
    height: int
    own: Own | None = None


@dataclass(frozen=True)
class Own:
    """Frames [h, w, 3] in sRGB 0..1 and what a prompt calls them ("": nothing)."""

    frames: tuple[Image, ...]
    caption: str = ""


def shape_of(shard: int) -> tuple[int, int]:
    """Width and height of all samples of a shard."""
    return SHAPES[shard % len(SHAPES)]


def shard(number: int, seed: int, own: Own | None = None) -> list[Sample]:
    """The samples of one shard; the same for the same number and seed."""
    canvas = Canvas(*shape_of(number), own)
    return [sample(canvas, worlds.stream(seed, f"sample {number} {index}")) for index in range(SHARD)]


def sample(canvas: Canvas, rng: np.random.Generator) -> Sample:
    """One sample of any kind that the canvas can have."""
    makers = {make: share for make, share in KINDS.items() if canvas.own is None or make in OWN_KINDS}
    shares = np.array(list(makers.values()))
    return list(makers)[int(rng.choice(len(makers), p=shares / shares.sum()))](canvas, rng)


def view(canvas: Canvas, rng: np.random.Generator, photographic: float = 0.5) -> View:
    """A photograph's crop, or a world on a clear day."""
    if canvas.own is None and rng.random() >= photographic:
        world = plain(worlds.random_world(some_seed(rng)))
        picture = render.draw(world, canvas.width, canvas.height, int(rng.integers(FRAMES)))
        return View(picture.image, picture.regions, world, picture.masks)
    image = _photograph(canvas, rng, photos.VIEWS if rng.random() < 0.93 else photos.TEXTURES)
    regions = photos.regions_of(image)
    if rng.random() < 0.25:
        image, regions = _collage(canvas, image, rng)
    return View(photos.jitter(image, rng), regions, None, ())


def _photograph(canvas: Canvas, rng: np.random.Generator, names: tuple[str, ...]) -> Image:
    """A crop of one of these photographs, or of the studio's own frames."""
    if canvas.own:
        image = canvas.own.frames[int(rng.integers(len(canvas.own.frames)))]
    else:
        image = photos.photo(str(rng.choice(names)))
    return photos.crop(image, canvas.width, canvas.height, rng)


def _collage(canvas: Canvas, image: Image, rng: np.random.Generator) -> tuple[Image, Regions]:
    """Another photograph's piece laid over a part of the picture: textures meet that never met."""
    other = _photograph(canvas, rng, photos.VIEWS)
    cut = looks.ramp(looks.fractal(canvas.height, canvas.width, rng, 0.8, 3), 0.5, 0.53)
    mixed = looks.mix(image, other, cut)
    return mixed, photos.regions_of(mixed)


def _generate(canvas: Canvas, rng: np.random.Generator) -> Sample:
    """Text to image: no source, the world's caption."""
    if canvas.own:
        image = view(canvas, rng).image
        return Sample(np.full_like(image, GREY), image, _whole(canvas), canvas.own.caption, sourced=False)
    world = worlds.random_world(some_seed(rng))
    if rng.random() < 0.25:
        world = plain(world)
    image = render.draw(world, canvas.width, canvas.height, int(rng.integers(FRAMES))).image
    return Sample(np.full_like(image, GREY), image, _whole(canvas), worlds.caption(world), sourced=False)


def _restyle(canvas: Canvas, rng: np.random.Generator) -> Sample:
    """A whole frame under a look; now and then from another look, back to daylight, or only inside a mask."""
    seen = view(canvas, rng, photographic=0.6)
    prompt = str(rng.choice(PRESETS[:-1]))
    source, target = seen.image, looks.apply(prompt, seen.image, seen.regions, rng)
    if rng.random() < 0.08:
        source, target, prompt = target, source, PRESETS[-1]
    text = prompt if rng.random() < 0.7 else str(rng.choice(looks.LOOKS[prompt][1]))
    if seen.world and rng.random() < 0.2:
        text = f"{worlds.caption(seen.world)}, {text}"
    if rng.random() < 0.1:
        mask = mattes.hole(canvas.width, canvas.height, rng)
        return Sample(source, looks.mix(source, target, mask), mask, text)
    return Sample(source, target, _whole(canvas), text)


def _condition(canvas: Canvas, rng: np.random.Generator) -> Sample:
    """A world at another time of day, in other weather or another season; nothing else differs."""
    world = worlds.random_world(some_seed(rng))
    attribute = str(rng.choice(list(CONDITIONS), p=[0.45, 0.4, 0.15]))
    if rng.random() < 0.6:
        world = plain(world)
    others = [value for value in CONDITIONS[attribute] if value != getattr(world, attribute)]
    wanted = str(rng.choice(others))
    frame = int(rng.integers(FRAMES))
    before = render.draw(world, canvas.width, canvas.height, frame).image
    after = render.draw(conditioned(world, attribute, wanted), canvas.width, canvas.height, frame).image
    now, words = wanted, CONDITIONS[attribute]
    if rng.random() < 0.4:
        before, after, now = after, before, getattr(world, attribute)
    return Sample(before, after, _whole(canvas), str(rng.choice(words[now])))


def drawn(changed: Change, canvas: Canvas, rng: np.random.Generator) -> tuple[Image, Image, Image]:
    """Before, after, and where the thing stands in either; a third of the time on a photograph."""
    frame = int(rng.integers(FRAMES))
    photographic = rng.random() < 0.35 or canvas.own is not None
    pair = (changed.before, changed.after)
    before, after = (render.draw(plain(w) if photographic else w, canvas.width, canvas.height, frame) for w in pair)
    outline = np.zeros((canvas.height, canvas.width), np.float32)
    for world, picture in zip(pair, (before, after), strict=True):
        if len(world.things) == max(len(changed.before.things), len(changed.after.things)):
            outline = np.maximum(outline, picture.masks[changed.index])
    if not photographic:
        return before.image, after.image, outline
    behind = view(canvas, rng, photographic=1).image
    return _laid_over(behind, before), _laid_over(behind, after), outline


def _laid_over(behind: Image, picture: render.Picture) -> Image:
    cover = np.clip(sum(picture.masks, np.zeros_like(behind[..., 0])), 0, 1)
    return looks.floats(looks.mix(behind, picture.image, cover))


def _instruct(canvas: Canvas, rng: np.random.Generator) -> Sample:
    """An exact counterfactual of one object, by instruction, with no mask."""
    changed = change(rng)
    before, after, _ = drawn(changed, canvas, rng)
    return Sample(before, after, _whole(canvas), changed.instruction)


def _masked(canvas: Canvas, rng: np.random.Generator) -> Sample:
    """The same inside a mask drawn around the object; the prompt names what is to stand there."""
    changed = change(rng)
    before, after, outline = drawn(changed, canvas, rng)
    mask = mattes.grown(outline, rng)
    text = changed.description or str(rng.choice(NOTHING))
    if rng.random() < 0.15:
        text = changed.instruction
    return Sample(before, looks.mix(before, after, mask), mask, text)


def _inpaint(canvas: Canvas, rng: np.random.Generator) -> Sample:
    """A hole filled with mid-grey; the answer is what belongs there, an object named by the prompt, or none."""
    if rng.random() < 0.4:
        changed = change(rng)
        before, after, outline = drawn(changed, canvas, rng)
        mask = mattes.grown(outline, rng)
        target, text = looks.mix(before, after, mask), changed.description or str(rng.choice(NOTHING))
    else:
        seen = view(canvas, rng)
        mask = (
            mattes.hole(canvas.width, canvas.height, rng)
            if rng.random() < 0.7
            else mattes.margin(canvas.width, canvas.height, rng)
        )
        target, text = seen.image, str(rng.choice(NOTHING))
    return Sample(looks.mix(target, GREY, mask), target, mask, text)


KINDS: dict[Callable[[Canvas, np.random.Generator], Sample], float] = {
    _generate: 0.24,
    _restyle: 0.2,
    _condition: 0.14,
    _instruct: 0.17,
    _masked: 0.15,
    _inpaint: 0.1,
}
OWN_KINDS = tuple(make for make in KINDS if make is not _condition)


def _whole(canvas: Canvas) -> Image:
    return np.ones((canvas.height, canvas.width), np.float32)


def captions(seed: int, count: int = 4000) -> list[str]:
    """Prompts of the kinds that samples carry, for the tokenizer to learn from."""
    rng = worlds.stream(seed, "captions")
    fixed = [*PRESETS, *(text for _, texts in looks.LOOKS.values() for text in texts), *NOTHING]
    fixed += [text for values in CONDITIONS.values() for texts in values.values() for text in texts]
    told = [worlds.caption(worlds.random_world(some_seed(rng))) for _ in range(count)]
    return fixed * 20 + told + [change(rng).instruction for _ in range(count)]
