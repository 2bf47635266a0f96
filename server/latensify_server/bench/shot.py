"""The figures of Remove over made clips of known truth, beside what classical methods reach in the same run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from latensify_bridge.choices import ColourSpace, Fill, Motion
from latensify_bridge.composite import composite
from latensify_bridge.effects import Remove
from latensify_bridge.frames import Depth
from latensify_bridge.windows import Window, windows_of
from latensify_server import colour
from latensify_server.bench import clips, measures
from latensify_server.bench.clips import Clip
from latensify_server.bench.figures import Figure
from latensify_server.bench.measures import Picture, Region
from latensify_server.bench.setting import Setting
from latensify_server.diffusion import motion as moving
from latensify_server.diffusion import remove as removing
from latensify_server.engine import Plate, WindowEdit

SEEDS = (0, 1, 2)
UNSEEN_FEWEST_PX = 60
LONG_SIZE, LONG_COUNT = (432, 240), 80


@dataclass(frozen=True)
class Taken:
    """A clip with its object taken out, sRGB [h, w, 3]; and whether all outside the matte is untouched."""

    frames: tuple[Picture, ...]
    exact: bool


@dataclass(frozen=True)
class Score:
    """What one method reaches on one clip; a measure is nan where the clip has nothing for it."""

    seen_db: float
    whole_db: float
    seen_share: float
    unseen_texture: float
    unseen_warp: float
    moving_texture: float
    moving_warp: float


def work_of(clip: Clip, seed: int, **params: object) -> WindowEdit:
    """The clip as one window of Remove."""
    alpha = np.ones(clip.mattes[0].shape, np.float32)
    plates = tuple(
        Plate(1001 + index, np.dstack([frame, alpha]), matte)
        for index, (frame, matte) in enumerate(zip(clip.frames, clip.mattes, strict=True))
    )
    given: dict[str, object] = {
        "colour_space": ColourSpace.SRGB,
        "motion": next(one for one in Motion if one == clip.motion),
        "mask_feather": 2.0,
        "seed": seed,
    }
    given |= {"shadows": clip.shadows, "fill": Fill.CLASSICAL, "window": len(plates), **params}
    return WindowEdit("remove", Remove(**given), plates, Depth.FLOAT, 1.0, 1.0)  # type: ignore[arg-type]


def removed(work: WindowEdit) -> Taken:
    """Remove's own result, composited as a host does."""
    frames, exact = [], True
    for plate, done in zip(work.plates, removing.classically(work, lambda fraction, stage: None), strict=True):
        out = composite(plate.pixels, done, 1.0, premultiplied=False)
        untouched = np.ones(out.shape[:2], bool)
        untouched[done.box.slices] = done.matte <= 0
        exact &= out[untouched].tobytes() == plate.pixels[untouched].tobytes()
        frames.append(out[..., :3])
    return Taken(tuple(frames), exact)


def median_plate(clip: Clip, light: bool = True) -> tuple[list[Picture], list[Region]]:
    """The classical clean plate: the temporal median of all frames under homographies, and where nothing is in it.

    `light`: frames are resampled in linear light, else as they are encoded.
    """
    pictures = [_grey(frame) for frame in clip.frames]
    clear = [cv2.dilate(hole.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0 for hole in clip.holes()]
    backgrounds = [np.where(region, np.uint8(255), np.uint8(0)) for region in clear]
    places = moving.places(pictures, backgrounds, len(pictures) // 2)
    sources = [colour.decode_srgb(frame) if light else frame for frame in clip.frames]
    filled, missing = [], []
    for target, hole in enumerate(clip.holes()):
        stack = [_brought(sources, clear, places, source, target)[hole] for source in range(len(sources))]
        found = np.asarray(np.isfinite(np.stack(stack)).all(axis=-1).any(axis=0))
        median = np.zeros((len(found), 3), np.float32)
        median[found] = np.nanmedian(np.stack(stack)[:, found], axis=0)
        plate, gap = clip.frames[target].copy(), hole.copy()
        plate[hole] = np.where(found[:, None], colour.encode_srgb(median) if light else median, plate[hole])
        gap[hole] = ~found
        filled.append(plate)
        missing.append(gap)
    return filled, missing


def _brought(
    sources: Sequence[Picture], clear: Sequence[Region], places: Sequence[moving.Place], source: int, target: int
) -> Picture:
    """A frame as another would show it, nan where it shows nothing of the background there."""
    height, width = clear[source].shape
    if source == target or places[source].root != places[target].root:
        return np.full((height, width, 3), np.nan, np.float32)
    matrix = np.linalg.inv(places[target].matrix) @ places[source].matrix
    there = cv2.warpPerspective(sources[source], matrix, (width, height), flags=cv2.INTER_CUBIC)
    shown = cv2.warpPerspective(clear[source].astype(np.float32), matrix, (width, height)) > 0.99
    return np.where(shown[..., None], there, np.float32(np.nan))


def telea(picture: Picture, hole: Region) -> Picture:
    """OpenCV's inpainting of one frame (Telea, 2004)."""
    shown = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    painted = cv2.inpaint(shown, hole.astype(np.uint8), 5, cv2.INPAINT_TELEA).astype(np.float32) / 255
    return np.where(hole[..., None], painted, picture)


def score(clip: Clip, frames: Sequence[Picture]) -> Score:
    """Measures of a clip whose objects were taken out."""
    holes = [matte > 0.5 for matte in clip.mattes]
    shown = [clip.seen(index) for index in range(len(holes))]
    seen = [one & hole for one, hole in zip(shown, holes, strict=True)]
    unseen = [hole & ~one & ~still for one, hole, still in zip(shown, holes, clip.moving, strict=True)]
    moving_ = [hole & still for hole, still in zip(holes, clip.moving, strict=True)]
    return Score(
        seen_db=_db(clip, frames, seen),
        whole_db=_db(clip, frames, holes),
        seen_share=float(sum(part.sum() for part in seen) / max(1, sum(hole.sum() for hole in holes))),
        unseen_texture=_texture(clip, frames, unseen),
        unseen_warp=_warp(clip, frames, unseen),
        moving_texture=_texture(clip, frames, moving_),
        moving_warp=_warp(clip, frames, moving_),
    )


def grained(clip: Clip) -> list[Picture]:
    """The truth with as much grain as the plates have: what a perfect result is."""
    rng = np.random.default_rng(1)
    return [(truth + rng.normal(0, clip.grain, truth.shape)).astype(np.float32) for truth in clip.truth]


def _db(clip: Clip, frames: Sequence[Picture], regions: Sequence[Region]) -> float:
    pairs = [
        (float(np.square(frame - truth)[region].mean()), int(region.sum()))
        for frame, truth, region in zip(frames, clip.truth, regions, strict=True)
        if region.any()
    ]
    if not pairs:
        return float("nan")
    error = sum(value * count for value, count in pairs) / sum(count for _, count in pairs)
    return float(-10 * np.log10(max(error, 1e-12)))


def _texture(clip: Clip, frames: Sequence[Picture], regions: Sequence[Region]) -> float:
    found = [
        measures.texture_distance(frame, truth, region)
        for frame, truth, region in zip(frames, grained(clip), regions, strict=True)
        if region.sum() >= UNSEEN_FEWEST_PX
    ]
    return float(np.mean(found)) if found else float("nan")


def _warp(clip: Clip, frames: Sequence[Picture], regions: Sequence[Region]) -> float:
    flows, visible = [], []
    for index in range(len(frames) - 1):
        flow, inside = clip.flow(index)
        there = measures.warped(np.repeat(regions[index + 1][..., None], 3, axis=2).astype(np.float32), flow)[..., 0]
        flows.append(flow)
        visible.append(regions[index] & inside & (there > 0.99))
    if sum(int(region.sum()) for region in visible) < UNSEEN_FEWEST_PX:
        return float("nan")
    return measures.warp_error(frames, flows, visible)


@dataclass(frozen=True)
class Case:
    """Scores of one clip and seed by every method."""

    clip: Clip
    label: str
    exact: bool
    ours: Score
    without_grain: Score
    plate: Score
    telea: Score
    truth: Score


def case_of(
    name: str, seed: int, size: tuple[int, int] = (clips.WIDTH, clips.HEIGHT), count: int = clips.COUNT
) -> Case:
    """One clip through Remove's classical way and through what it is held against."""
    clip = clips.make(name, seed, size, count)
    taken, smooth = removed(work_of(clip, seed)), removed(work_of(clip, seed, grain=0.0))
    plates = [median_plate(clip, light) for light in (True, False)]
    best = max((score(clip, [telea(*pair) for pair in zip(*plate, strict=True)]) for plate in plates), key=_seen_db)
    painted = [telea(frame, hole) for frame, hole in zip(clip.frames, clip.holes(), strict=True)]
    return Case(
        clip,
        f"{name} {seed}",
        taken.exact and smooth.exact,
        score(clip, taken.frames),
        score(clip, smooth.frames),
        best,
        score(clip, painted),
        score(clip, grained(clip)),
    )


def _seen_db(one: Score) -> float:
    return -np.inf if np.isnan(one.seen_db) else one.seen_db


def removal(setting: Setting) -> list[Figure]:
    """The figures of Remove without a fit, over every clip and at most three seeds."""
    wanted = [(name, seed) for seed in SEEDS[: setting.samples] for name in clips.CLIPS]
    return figures_of([case_of(name, seed) for name, seed in setting.each("taking objects out of made clips", wanted)])


def speed(setting: Setting) -> list[Figure]:
    """Seconds that Remove without a fit takes for 80 frames of 432x240, in windows as a host asks for them."""
    clip = clips.make("pan", 0, LONG_SIZE, LONG_COUNT)
    work = work_of(clip, 0, window=16)
    ranges = windows_of_range(1001, 1000 + LONG_COUNT, 16, 4)
    began = time.perf_counter()
    for window in setting.each("timing Remove", ranges):
        plates = tuple(plate for plate in work.plates if window.first <= plate.number <= window.last)
        removing.classically(replace(work, plates=plates), lambda fraction, stage: None)
    seconds = time.perf_counter() - began
    note = f"{LONG_SIZE[0]}x{LONG_SIZE[1]}, {LONG_COUNT} frames, windows of 16 with an overlap of 4, engine alone"
    return [Figure("shot_classical_432x240_80_frames_s", seconds, 60.0, False, "s", 1, note)]


def windows_of_range(first: int, last: int, window: int, overlap: int) -> list[Window]:
    """Every window of a shot once, in order."""
    every = {
        one.index: one for frame in range(first, last + 1) for one in windows_of(frame, first, last, window, overlap)
    }
    return [every[index] for index in sorted(every)]


def figures_of(cases: Sequence[Case]) -> list[Figure]:
    """What the cases say; a figure that no case has a region for is left out."""
    gaps = {_name(case): case.without_grain.seen_db - case.plate.seen_db for case in cases}
    static = {_name(case): case.without_grain.seen_db for case in cases if case.clip.motion == "static"}
    gains = {_name(case): case.ours.whole_db - case.telea.whole_db for case in cases if case.ours.seen_share >= 0.5}
    exact = {_name(case): float(case.exact) for case in cases}
    found = [
        _least("shot_seen_db_over_classical_plate", gaps, -0.3, "dB", "before grain is put back; the worst clip"),
        _least("shot_seen_db_static", static, 35.0, "dB", "before grain is put back; the worst seed"),
        _ratio("shot_unseen_texture_over_telea", cases, "unseen_texture", "plate", 0.75),
        _ratio("shot_unseen_warp_over_truth", cases, "unseen_warp", "truth", 2.0),
        _ratio("shot_moving_texture_over_median", cases, "moving_texture", "plate", 1.0),
        _ratio("shot_moving_warp_over_truth", cases, "moving_warp", "truth", 1.5),
        _mean("shot_whole_db_over_opencv", gains, 8.0, "dB", "clips whose mattes are at least half seen elsewhere"),
        _least(
            "shot_outside_the_matte_exact", exact, 1.0, "", "1 where every pixel is the plate's, bit for bit; the worst"
        ),
    ]
    return [figure for figure in found if figure is not None]


def _name(case: Case) -> str:
    return case.label


def _least(name: str, values: dict[str, float], bound: float, unit: str, note: str) -> Figure | None:
    known = {clip: value for clip, value in values.items() if np.isfinite(value)}
    if not known:
        return None
    each = ", ".join(f"{clip} {value:.1f}" for clip, value in known.items())
    return Figure(name, min(known.values()), bound, True, unit, len(known), f"{note}; {each}")


def _mean(name: str, values: dict[str, float], bound: float, unit: str, note: str) -> Figure | None:
    if not values:
        return None
    each = ", ".join(f"{clip} {value:.1f}" for clip, value in values.items())
    return Figure(
        name, float(np.mean(list(values.values()))), bound, True, unit, len(values), f"mean of {note}: {each}"
    )


def _ratio(name: str, cases: Sequence[Case], measure: str, against: str, bound: float) -> Figure | None:
    """Ours over another's, each the mean over the cases that have it."""
    pairs = [
        (_name(case), getattr(case.ours, measure), getattr(getattr(case, against), measure))
        for case in cases
        if np.isfinite(getattr(case.ours, measure)) and np.isfinite(getattr(getattr(case, against), measure))
    ]
    if not pairs:
        return None
    each = ", ".join(f"{clip} {ours / max(theirs, 1e-12):.2f}" for clip, ours, theirs in pairs)
    value = sum(ours for _, ours, _ in pairs) / max(sum(theirs for _, _, theirs in pairs), 1e-12)
    return Figure(name, float(value), bound, False, "", len(pairs), f"means over all; {each}")


def _grey(picture: Picture) -> moving.Grey:
    grey: moving.Grey = cv2.cvtColor(np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
    return grey
