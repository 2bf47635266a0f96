"""Flicker of an edited shot: its warp error along the true motion, over that of the true counterfactual shot.

One thing drifts in every shot; in a static one the camera stands still. The shot goes through the Restyle effect as a
host would send it, all frames in one window. "Raw" is the same without what the effect does against flicker: each frame
edited alone, decoded, nothing averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from latensify_bridge.choices import ColourSpace
from latensify_bridge.effects import Restyle
from latensify_bridge.frames import Depth, Edited
from latensify_server.bench import asking, subjects
from latensify_server.bench.figures import Figure
from latensify_server.bench.measures import Flow, Picture, Region, warp_error
from latensify_server.bench.setting import Setting
from latensify_server.diffusion.model import embed
from latensify_server.diffusion.restyle import restyle
from latensify_server.engine import Plate, WindowEdit
from latensify_server.training import render
from latensify_server.training.worlds import World

FRAMES = 12
SHOTS = 6
"""At most so many shots of each kind are edited."""

BOUND = 1.5
DRIFT = 0.006
"""Of a thing that stands still in its world, a frame, over its distance: some 0.8 pixels."""

PROMPT = "make it night"
MOVING = ("pan", "dolly", "orbit", "zoom", "handheld")


def flicker(setting: Setting) -> list[Figure]:
    """Static and moving shots turned to night."""
    figures = []
    for number, kind in enumerate(("static", "moving")):
        effect, raw, truth = 0.0, 0.0, 0.0
        shots = list(subjects.seeds(min(setting.samples, SHOTS), row=30 + number))
        for at, seed in enumerate(setting.each(f"flicker of {kind} shots", shots)):
            move = "still" if kind == "static" else MOVING[at % len(MOVING)]
            world = stirred(replace(subjects.plain(seed), move=move))
            source, wanted = frames_of(world), frames_of(replace(world, time="night"))
            flows, visible = motion_of(world)
            effect += warp_error(restyled(setting, source), flows, visible)
            raw += warp_error([asking.edited(setting.model, frame, PROMPT) for frame in source], flows, visible)
            truth += warp_error(wanted, flows, visible)
        note = f"{FRAMES} frames a shot, warp errors summed before the ratio; the truth's is {truth / len(shots):.2e}"
        figures += [
            Figure(f"flicker_{kind}", effect / truth, BOUND, False, "", len(shots), note),
            Figure(f"flicker_{kind}_raw", raw / truth, None, False, "", len(shots), "each frame edited alone"),
        ]
    return figures


def stirred(world: World) -> World:
    """The world with its thing drifting: where nothing moves there is no flicker to compare with."""
    (thing,) = world.things
    drift = thing.drift or DRIFT * thing.away
    return replace(world, things=(replace(thing, drift=drift),))


def frames_of(world: World) -> list[Picture]:
    """The shot of a world."""
    return [subjects.shown(world, frame=frame) for frame in range(FRAMES)]


def motion_of(world: World) -> tuple[list[Flow], list[Region]]:
    """The true motion from each frame to the next, and what is seen in both."""
    pairs = [render.flow(world, subjects.SIDE_PX, subjects.SIDE_PX, at, at + 1) for at in range(FRAMES - 1)]
    return [flow for flow, _ in pairs], [visible for _, visible in pairs]


def restyled(setting: Setting, frames: Sequence[Picture]) -> list[Picture]:
    """The shot through the Restyle effect, as one window, the model's own pixels shown."""
    params = Restyle(
        prompt=PROMPT, strength=1.0, detail=0.0, colour_space=ColourSpace.SRGB, window=len(frames), overlap=0
    )
    plates = tuple(Plate(number, _with_alpha(frame), None) for number, frame in enumerate(frames))
    embed(setting.model, [""])  # sets the tokenizer's padding before threads use it
    done = restyle(
        setting.model, WindowEdit("restyle", params, plates, Depth.FLOAT, 1.0, 1.0), lambda part, stage: None
    )
    return [_laid(frame, edited) for frame, edited in zip(frames, done, strict=True)]


def _with_alpha(frame: Picture) -> Picture:
    return np.concatenate([frame, np.ones_like(frame[..., :1])], axis=2)


def _laid(frame: Picture, edited: Edited) -> Picture:
    out = frame.copy()
    out[edited.box.slices] += (edited.rgb - out[edited.box.slices]) * edited.matte[..., None]
    return out
