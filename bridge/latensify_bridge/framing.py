"""What a client settles before it asks: how far an extended frame reaches, and where a generated shot begins and ends.

ofx_plugin/src/framing.cpp is the same rule; tests/hosts/test_plugin_effects_extend.py holds the two to one another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec

from latensify_bridge.choices import Aspect
from latensify_bridge.effects import AnyEdit, Extend, Generate


@dataclass(frozen=True)
class Margins:
    """Pixels beyond each edge of a frame."""

    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0

    @property
    def across(self) -> int:
        return self.left + self.right

    @property
    def down(self) -> int:
        return self.top + self.bottom


def margins_of(edit: object, render_scale: float = 1.0) -> Margins:
    """The margins of an edit whose aspect is settled, at a render scale; none of an effect that does not grow.

    They are rounded up, so that a host's own rounding of the larger frame never reaches beyond them.
    """
    if not isinstance(edit, Extend):
        return Margins()
    sides = (edit.left, edit.right, edit.top, edit.bottom)
    return Margins(*(math.ceil(side * render_scale - 1e-6) for side in sides))


def extended(edit: AnyEdit, width: float, height: float, pixel_aspect: float) -> AnyEdit:
    """An edit with its aspect settled into margins, for a frame of that many full-resolution pixels.

    Both sides get the same; a whole number of pixel pairs, so that an even frame stays even.
    """
    if not isinstance(edit, Extend) or edit.aspect is Aspect.NONE:
        return edit
    across, _, down = edit.aspect.value.partition(":")
    ratio = float(across) / float(down) / pixel_aspect
    whole_width, whole_height = width + edit.left + edit.right, height + edit.top + edit.bottom
    wider = max(0, math.floor((whole_height * ratio - whole_width) / 2 + 0.5))
    taller = max(0, math.floor((whole_width / ratio - whole_height) / 2 + 0.5))
    return msgspec.structs.replace(
        edit,
        aspect=Aspect.NONE,
        left=edit.left + wider,
        right=edit.right + wider,
        top=edit.top + taller,
        bottom=edit.bottom + taller,
    )


def generated(edit: AnyEdit, first: int, last: int, sourced: bool) -> AnyEdit:
    """An edit with its camera move settled to the shot `first`-`last`, and its Source left out where there is none."""
    if not isinstance(edit, Generate):
        return edit
    if edit.first_frame == edit.last_frame == 0:
        edit = msgspec.structs.replace(edit, first_frame=first, last_frame=last)
    return msgspec.structs.replace(edit, use_source=edit.use_source and sourced)
