"""A request becomes work: which windows, and under which names their results are kept.

A window's result is named by all that it depends on: the effect and its parameters, the model, the window's frames by
content and number, the sizes. A frame in two windows is a blend of both, named by the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import xxhash

from latensify_bridge import __version__, windows
from latensify_bridge.effects import Edit, effect_named, parse, wants_fit
from latensify_bridge.errors import BadRequest
from latensify_bridge.protocol import UNREADABLE, Fit, Source, Submit
from latensify_server.engine import REVISION, FitChoice, ModelChoice

FindFit = Callable[[Sequence[Source]], FitChoice | None]
"""The fit that serves these frames, if there is one."""

NOT_FITTED = "No model is fitted to this shot yet: press Fit to shot, or run `latensify train shot`."


def no_fit(sources: Sequence[Source]) -> FitChoice | None:
    """For who has none."""
    return None


@dataclass(frozen=True)
class WindowPlan:
    """One window: its sources, the key of its results, its weight in the frame asked for, the fit that serves it."""

    sources: tuple[Source, ...]
    key: str
    weight: float
    fit: FitChoice | None
    note: str


@dataclass(frozen=True)
class Plan:
    """What has to be done for one frame. `key` names its final result.

    `lone_key` names what a host that can give only this frame gets, when the shot was primed: the frame's result in its
    full window, named without its neighbours.
    """

    effect: str
    params: Edit
    frame: int
    windows: tuple[WindowPlan, ...]
    key: str
    lone_key: str


def frame_key(window_key: str, frame: int) -> str:
    """The name of one frame's result in a window."""
    return f"{window_key}-{frame}"


def plan(submit: Submit, model: ModelChoice, find_fit: FindFit = no_fit) -> Plan:
    """What to do for a request. `find_fit` is asked only by an edit that wants a fit: window by window.

    Raises UnknownEffect, BadParameter, or BadRequest when the frames do not cover the windows."""
    params = edit_of(submit)
    if not submit.first <= submit.frame <= submit.last:
        raise BadRequest(f"Frame {submit.frame} lies outside the shot {submit.first}-{submit.last}.")
    given = {source.number: source for source in submit.sources}
    found = windows.windows_of(submit.frame, submit.first, submit.last, params.window, params.overlap)
    planned = []
    for window in found:
        missing = [number for number in window.frames if number not in given]
        if missing:
            raise BadRequest(f"The request for frame {submit.frame} lacks source frame {missing[0]} of its window.")
        sources = tuple(given[number] for number in window.frames)
        share = windows.weight(submit.frame, window.index, params.window, params.overlap) if len(found) > 1 else 1.0
        fit = find_fit(sources) if wants_fit(params) else None
        key = _hash([*_deciding(submit, params, model, fit), sources, submit.fresh])
        note = NOT_FITTED if wants_fit(params) and fit is None else ""
        planned.append(WindowPlan(sources, key, share, fit, note))
    names = [frame_key(window.key, submit.frame) for window in planned]
    key = names[0] if len(names) == 1 else _hash([*names, *(window.weight for window in planned)])
    this = given[submit.frame]
    fit = find_fit([this]) if wants_fit(params) else None
    lone_key = _hash(["lone", *_deciding(submit, params, model, fit), this.pixels, this.mask])
    return Plan(submit.effect, params, submit.frame, tuple(planned), key, lone_key)


def edit_of(submit: Submit | Fit) -> Edit:
    """A request's parameters, checked. Raises BadRequest, UnknownEffect, BadParameter."""
    try:
        values = msgspec.msgpack.decode(submit.params, type=dict[str, object])
    except UNREADABLE:
        raise BadRequest("The parameters of the request are not a map of names to values.") from None
    params: Edit = parse(effect_named(submit.effect), values)
    return params


def _deciding(submit: Submit, params: Edit, model: ModelChoice, fit: FitChoice | None) -> list[object]:
    """All that a result depends on, but the frames. A window's size counts by which frames it holds."""
    values = {
        name: value for name, value in msgspec.structs.asdict(params).items() if name not in ("window", "overlap")
    }
    values["model"] = model.name
    sizes = [submit.depth, submit.render_scale, submit.pixel_aspect]
    fitted = [fit.hash if fit else ""] if wants_fit(params) else []
    return [__version__, REVISION, submit.effect, values, model.hash, sizes, *fitted]


def _hash(value: object) -> str:
    return xxhash.xxh3_128(msgspec.msgpack.encode(value, order="sorted")).hexdigest()
