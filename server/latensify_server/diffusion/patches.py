"""Filling holes with pieces of their own picture: coarse to fine, so that patches agree where they overlap.

Wexler, Shechtman and Irani, "Space-Time Completion of Video" (2007), with the nearest patches found by random search
and propagation (Barnes et al., "PatchMatch", 2009). Everything is drawn from a fixed seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from latensify_server.colour import Image
from latensify_server.diffusion.fill import Region, smooth_fill

RADIUS = 3
COARSEST_HOLE_PX = 6.0
ROUNDS = 5
FINEST_ROUNDS = 3
MOST_SEARCHED = 30_000
"""Levels with more patches than this take over what the coarser one found, and only vote."""

CONFIDENCE = 1.3
"""A pixel's say falls by this factor for each pixel that it lies deeper in the hole."""

TONE = 0.1
"""Differences at the rim below this, in display values, are of tone and evened out; larger ones are edges."""

OFFSETS = [(y, x) for y in range(-RADIUS, RADIUS + 1) for x in range(-RADIUS, RADIUS + 1)]
NEIGHBOURS = [(0, 1), (1, 0), (0, -1), (-1, 0), (0, 4), (4, 0), (0, -4), (-4, 0)]

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Canvas:
    """One level of the pyramid, padded by a patch's radius: which patches are looked for, and which may be taken."""

    hole: Region
    sources: Region
    targets: tuple[Index, Index]
    say: NDArray[np.float32]


def patch_fill(
    picture: Image,
    hole: Region,
    begin: Image | None = None,
    levels: int | None = None,
    usable: Region | None = None,
    scattered: bool = False,
) -> Image:
    """A picture [h, w, 3] whose hole is made of patches from outside it.

    Args:
        picture: display-referred; what lies in the hole does not matter.
        hole: where to fill.
        begin: what the hole looks like roughly; the smooth fill when None.
        levels: of the pyramid, the finest included; from how wide the hole is when None. One level keeps the
            structure of `begin` and gives it texture.
        usable: where patches may be taken from; everywhere outside the hole when None.
        scattered: begin with pixels drawn from all over the picture, and not with `begin` or the smooth fill.

    Returns the smooth fill (or `begin`) where there is no whole patch outside the hole to take.
    """
    rough = smooth_fill(picture, ~hole) if begin is None else np.where(hole[..., None], begin, picture)
    return _coarse_to_fine(rough, hole, levels, usable, scattered)[0]


def patch_places(rough: Image, hole: Region, usable: Region) -> Index:
    """The place [h, w, 2] (row, column) of the patch that fits best at each pixel of the hole.

    `rough` [h, w, c] may hold several pictures of one place as channels; patches then fit in all of them.
    """
    return _coarse_to_fine(rough, hole, None, usable)[1]


def _coarse_to_fine(
    rough: Image, hole: Region, levels: int | None, usable: Region | None, scattered: bool = False
) -> tuple[Image, Index]:
    width_px = 2 * float(cv2.distanceTransform(np.pad(hole, 1).astype(np.uint8), cv2.DIST_L2, 3).max())
    count = levels or 1 + max(0, round(np.log2(max(width_px, 1) / COARSEST_HOLE_PX)))
    pyramid = [(rough, hole, np.zeros_like(hole) if usable is None else ~usable)]
    while len(pyramid) < count and min(pyramid[-1][1].shape) > 8 * RADIUS:
        pyramid.append(_halved(*pyramid[-1]))
    rng = np.random.default_rng(0)
    filled, places = pyramid[-1][0], np.zeros((0, 0, 2), np.int64)
    if scattered:
        filled = _scattered(*pyramid[-1], rng)
        pyramid[-1] = (filled, *pyramid[-1][1:])
    for level in range(len(pyramid) - 1, -1, -1):
        known, gap, barred = pyramid[level]
        size = gap.shape[::-1]
        if places.size:
            filled = _resized(filled, size, cv2.INTER_LINEAR)
            places = _doubled(places, gap.shape)
        filled = np.where(gap[..., None], filled, known).astype(np.float32)
        filled, places = _settled(
            filled, gap, barred, places if places.size else None, FINEST_ROUNDS if level == 0 else ROUNDS, rng
        )
    return filled, places


def _halved(picture: Image, hole: Region, barred: Region) -> tuple[Image, Region, Region]:
    height, width = hole.shape
    size = (max(1, width // 2), max(1, height // 2))
    less = [cv2.resize(one.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0 for one in (hole, barred)]
    return _resized(picture, size, cv2.INTER_AREA), less[0], less[1]


def _scattered(picture: Image, hole: Region, barred: Region, rng: np.random.Generator) -> Image:
    """The picture with its hole full of pixels that were drawn from outside it."""
    places = np.argwhere(~hole & ~barred)
    if not len(places):
        return picture
    drawn = places[rng.integers(len(places), size=hole.shape)]
    return np.where(hole[..., None], picture[drawn[..., 0], drawn[..., 1]], picture)


def _resized(picture: Image, size: tuple[int, int], interpolation: int) -> Image:
    """OpenCV resizes four channels at most: any number of them, three by three."""
    parts = np.split(picture, range(3, picture.shape[2], 3), axis=2)
    return np.dstack([cv2.resize(part, size, interpolation=interpolation) for part in parts])


def _doubled(places: Index, shape: tuple[int, ...]) -> Index:
    """Places of a coarser level for a level of this shape."""
    rows = np.minimum(np.arange(shape[0]) // 2, places.shape[0] - 1)
    columns = np.minimum(np.arange(shape[1]) // 2, places.shape[1] - 1)
    doubled: Index = 2 * places[rows][:, columns]
    doubled[..., 0] += (np.arange(shape[0]) % 2)[:, None]
    doubled[..., 1] += (np.arange(shape[1]) % 2)[None, :]
    return doubled


def _canvas(hole: Region, barred: Region) -> Canvas:
    padded = np.pad(hole, RADIUS)
    box = np.ones((2 * RADIUS + 1, 2 * RADIUS + 1), np.uint8)
    inner = np.pad(np.ones_like(hole), RADIUS)
    sources = cv2.erode((inner & ~padded & ~np.pad(barred, RADIUS)).astype(np.uint8), box, borderValue=0) > 0
    wanted = (cv2.dilate(padded.astype(np.uint8), box) > 0) & inner
    depth = cv2.distanceTransform(padded.astype(np.uint8), cv2.DIST_L2, 3)
    y, x = np.nonzero(wanted)
    return Canvas(padded, sources, (y, x), np.float32(CONFIDENCE) ** -depth)


def _settled(
    picture: Image, hole: Region, barred: Region, places: Index | None, rounds: int, rng: np.random.Generator
) -> tuple[Image, Index]:
    """The picture after so many rounds of searching and voting, and where each patch was found [h, w, 2]."""
    canvas = _canvas(hole, barred)
    found = np.zeros((*hole.shape, 2), np.int64) if places is None else places
    if not canvas.sources.any():
        return picture, found
    current = np.pad(picture, ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)), mode="reflect")
    y, x = canvas.targets
    best = _random_sources(canvas, len(y), rng) if places is None else found[y - RADIUS, x - RADIUS] + RADIUS
    best = _inside(canvas, best, rng)
    if len(y) > MOST_SEARCHED and places is not None:
        cost = _cost(current, _patches(current, np.stack([y, x], axis=1)), best)
        current = _voted(canvas, current, best, cost)
        rounds = 0
    for _ in range(rounds):
        best, cost = _searched(canvas, current, best, rng)
        current = _voted(canvas, current, best, cost)
    found = found.copy()
    found[y - RADIUS, x - RADIUS] = best - RADIUS
    return current[RADIUS:-RADIUS, RADIUS:-RADIUS], found


def _random_sources(canvas: Canvas, count: int, rng: np.random.Generator) -> Index:
    places = np.argwhere(canvas.sources)
    return places[rng.integers(len(places), size=count)]


def _inside(canvas: Canvas, best: Index, rng: np.random.Generator) -> Index:
    """Places that are sources; others are drawn anew."""
    return np.where(_usable(canvas, best)[:, None], best, _random_sources(canvas, len(best), rng))


def _usable(canvas: Canvas, places: Index) -> NDArray[np.bool_]:
    height, width = canvas.sources.shape
    inside = (places >= 0).all(axis=1) & (places[:, 0] < height) & (places[:, 1] < width)
    usable: NDArray[np.bool_] = inside.copy()
    usable[inside] = canvas.sources[places[inside, 0], places[inside, 1]]
    return usable


def _searched(
    canvas: Canvas, current: Image, best: Index, rng: np.random.Generator
) -> tuple[Index, NDArray[np.float32]]:
    """Better places for every patch: those next to its neighbours' places, and random ones ever closer to its own."""
    y, x = canvas.targets
    own = np.stack([y, x], axis=1)
    wanted = _patches(current, own)
    best, cost = best.copy(), _cost(current, wanted, best)
    row_of = np.full(canvas.hole.shape, -1, np.int64)
    row_of[y, x] = np.arange(len(y))
    for shift in NEIGHBOURS:
        there = own + shift
        in_range = (there >= 0).all(axis=1) & (there < canvas.hole.shape).all(axis=1)
        row = np.where(in_range, row_of[there[:, 0] * in_range, there[:, 1] * in_range], -1)
        _improve(canvas, current, wanted, best, cost, np.where((row >= 0)[:, None], best[row] - shift, -1))
    reach = max(canvas.hole.shape)
    while reach >= 1:
        _improve(canvas, current, wanted, best, cost, best + rng.integers(-reach, reach + 1, size=best.shape))
        reach //= 2
    return best, cost


def _improve(
    canvas: Canvas, current: Image, wanted: Image, best: Index, cost: NDArray[np.float32], tried: Index
) -> None:
    """Takes, in place, those of the tried places that explain their patch better."""
    rows = np.flatnonzero(_usable(canvas, tried))
    new = _cost(current, wanted[rows], tried[rows])
    better = new < cost[rows]
    best[rows[better]], cost[rows[better]] = tried[rows[better]], new[better]


def _patches(current: Image, places: Index) -> Image:
    """Patches [n, 49, 3] around places."""
    shifts = np.array(OFFSETS)
    taken: Image = current[places[:, 0, None] + shifts[:, 0], places[:, 1, None] + shifts[:, 1]]
    return taken


def _cost(current: Image, wanted: Image, places: Index) -> NDArray[np.float32]:
    difference = (_patches(current, places) - wanted).reshape(len(places), len(OFFSETS) * current.shape[2])
    cost: NDArray[np.float32] = np.einsum("np,np->n", difference, difference)
    return cost


def _voted(canvas: Canvas, current: Image, best: Index, cost: NDArray[np.float32]) -> Image:
    """Every pixel of the hole as the patches over it say; those that fit well, and those near the rim, say more."""
    y, x = canvas.targets
    spread = np.quantile(cost, 0.5) * 0.1 + 1e-6
    weight = np.exp(-(cost - cost.min()) / (2 * spread)).clip(1e-6) * canvas.say[y, x]
    total = np.zeros(canvas.hole.shape, np.float32)
    summed = np.zeros_like(current)
    for shift_y, shift_x in OFFSETS:
        total[y + shift_y, x + shift_x] += weight
        summed[y + shift_y, x + shift_x] += weight[:, None] * current[best[:, 0] + shift_y, best[:, 1] + shift_x]
    said = total > 0
    meant = np.divide(summed, total[..., None], out=current.copy(), where=said[..., None])
    tone = current - meant
    rim = said & ~canvas.hole & (np.abs(tone).max(axis=-1) < TONE)
    blended = meant + smooth_fill(tone, rim)
    return np.where((canvas.hole & said)[..., None], blended, current).astype(np.float32)
