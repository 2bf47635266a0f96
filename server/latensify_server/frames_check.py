"""Checks the frames of a request against each other before it waits in the queue."""

from __future__ import annotations

from collections.abc import Mapping

from latensify_bridge.effects import effect_named
from latensify_bridge.errors import BadInput
from latensify_bridge.frames import FrameSpec
from latensify_bridge.protocol import Fit, Submit


def check_sources(submit: Submit | Fit, specs: Mapping[str, FrameSpec]) -> None:
    """Raises BadInput: plates must be RGBA of one size; mattes one channel, of that size, and there where needed."""
    first = specs[submit.sources[0].pixels]
    for source in submit.sources:
        plate = specs[source.pixels]
        if plate.channels != 4 or (plate.width, plate.height) != (first.width, first.height):
            raise BadInput(
                f"Frame {source.number} is {plate.width}x{plate.height} with {plate.channels} channels; "
                f"the shot is {first.width}x{first.height} with 4."
            )
        if source.mask is None:
            if effect_named(submit.effect).needs_mask:
                raise BadInput(f"{submit.effect.title()} needs a matte, and frame {source.number} has none.")
            continue
        mask = specs[source.mask]
        if mask.channels != 1 or (mask.width, mask.height) != (plate.width, plate.height):
            raise BadInput(
                f"The matte of frame {source.number} is {mask.width}x{mask.height}; "
                f"its plate is {plate.width}x{plate.height}: give a matte of the plate's size."
            )
