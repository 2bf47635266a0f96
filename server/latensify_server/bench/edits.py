"""Edits with exact counterfactuals for answers: by mask, by instruction, and of the whole frame.

An edit is done when a judge reads the asked colour, shape, absence or time off the result. The judge is also shown the
true answer (which it should call done) and the untouched source (which it should not): `judged_...` is the share of
both that it calls right.
"""

from __future__ import annotations

import numpy as np

from latensify_server.bench import asking, colours, judges, subjects
from latensify_server.bench.figures import Figure
from latensify_server.bench.measures import Picture, psnr
from latensify_server.bench.setting import Setting, mean_of
from latensify_server.bench.subjects import MAKERS, WHOLE, Case

DONE_MASKED, INSIDE_DB = 0.95, 22.0
DONE_INSTRUCTED, OUTSIDE_DB = 0.85, 30.0
WHOLE_DB = 22.0


def masked(setting: Setting) -> list[Figure]:
    """Recolour, replace and remove with a mask. Removal is told for comparison: by mask it has no bound of its own."""
    return [figure for number, kind in enumerate(MAKERS) for figure in _masked(setting, kind, 5 + number)]


def _masked(setting: Setting, kind: str, row: int) -> list[Figure]:
    done, inside, ceiling, fair = [], [], [], []
    for seed in setting.each(f"{kind} with a mask", subjects.seeds(setting.samples, row)):
        case = MAKERS[kind](seed, False)
        region = case.mask > 0
        result = with_mask(setting, case)
        done.append(float(is_done(kind, case, result)))
        inside.append(psnr(result, case.truth, region))
        ceiling.append(psnr(asking.rebuilt(setting.model, case.truth), case.truth, region))
        fair.append(_fair(kind, case))
    bounds = (None, None) if kind == "remove" else (DONE_MASKED, INSIDE_DB)
    return [
        mean_of(f"{kind}_done", done, bounds[0]),
        mean_of(f"{kind}_inside_psnr", inside, bounds[1], unit="dB", note="inside the mask, to the counterfactual"),
        mean_of(
            f"{kind}_inside_psnr_of_vae", ceiling, None, unit="dB", note="of the answer itself, encoded and decoded"
        ),
        mean_of(f"judged_{kind}", fair, None),
    ]


def with_mask(setting: Setting, case: Case) -> Picture:
    """A case edited inside its mask and laid over its source."""
    edited = asking.edited(setting.model, case.source, case.prompt, case.mask)
    return np.where(case.mask[..., None] > 0, edited, case.source)


def by_instruction(setting: Setting, case: Case) -> Picture:
    """A case edited by its prompt alone; nothing is put back."""
    return asking.edited(setting.model, case.source, case.prompt)


def instructed(setting: Setting) -> list[Figure]:
    """Instructions with no mask: recolour, replace, remove, and night; outside the object nothing is composited."""
    figures: list[Figure] = []
    every_done: list[float] = []
    every_outside: list[float] = []
    for number, kind in enumerate(MAKERS):
        done, outside, ceiling, fair = [], [], [], []
        for seed in setting.each(f"{kind} by instruction", subjects.seeds(setting.samples, row=10 + number)):
            case = MAKERS[kind](seed, True)
            result = by_instruction(setting, case)
            done.append(float(is_done(kind, case, result)))
            fair.append(_fair(kind, case))
            if case.outside.any():
                outside.append(psnr(result, case.source, case.outside))
                ceiling.append(psnr(asking.rebuilt(setting.model, case.source), case.source, case.outside))
        figures += [
            mean_of(f"instruct_{kind}_done", done, None),
            mean_of(f"instruct_{kind}_outside_psnr", outside, None, unit="dB"),
            mean_of(f"instruct_{kind}_outside_psnr_of_vae", ceiling, None, unit="dB"),
            mean_of(f"judged_instruct_{kind}", fair, None),
        ]
        every_done, every_outside = every_done + done, every_outside + outside
    night = [
        float(judges.verdict(asking.edited(setting.model, source, prompt)).time == "night")
        for seed in setting.each("night by instruction", subjects.seeds(setting.samples, row=13))
        for source, _, prompt in [subjects.whole(seed, "day_to_night")]
    ]
    outside_note = "outside the object, nothing put back"
    return [
        mean_of("instruct_done", every_done + night, DONE_INSTRUCTED, note="the four kinds alike"),
        mean_of("instruct_outside_psnr", every_outside, OUTSIDE_DB, unit="dB", note=outside_note),
        *figures,
        mean_of("instruct_night_done", night, None),
    ]


def is_done(kind: str, case: Case, result: Picture) -> bool:
    """Whether a result shows the edit, by classical judges."""
    if kind == "remove":
        return judges.is_gone(result, case.source, case.truth, case.thing)
    thing = case.after.things[case.index]
    if kind == "recolour":
        return colours.colour_of(result, case.thing) == thing.colour
    return judges.shape_inside(result, thing.colour, case.mask > 0) == thing.shape


def _fair(kind: str, case: Case) -> float:
    """Share of the true answer and the untouched source that the judge calls right."""
    return (is_done(kind, case, case.truth) + (not is_done(kind, case, case.source))) / 2


def whole_frames(setting: Setting) -> list[Figure]:
    """Day to night, clear to snow, and back: the result and, beside it, the untouched source, to the counterfactual."""
    figures = []
    for number, change in enumerate(WHOLE):
        after, before, ceiling = [], [], []
        for seed in setting.each(change.replace("_", " "), subjects.seeds(setting.samples, row=20 + number)):
            source, truth, prompt = subjects.whole(seed, change)
            after.append(psnr(asking.edited(setting.model, source, prompt), truth))
            before.append(psnr(source, truth))
            ceiling.append(psnr(asking.rebuilt(setting.model, truth), truth))
        figures += [
            mean_of(f"{change}_psnr", after, WHOLE_DB, unit="dB", note="to the counterfactual"),
            mean_of(f"{change}_psnr_of_source", before, None, unit="dB", note="the source left as it is"),
            mean_of(f"{change}_psnr_of_vae", ceiling, None, unit="dB", note="the answer itself, encoded and decoded"),
        ]
    return figures
