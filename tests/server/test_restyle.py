"""Restyle: HDR survives, nothing leaks out of the matte, and a frame is the same whatever comes along with it."""

from __future__ import annotations

import numpy as np
import pytest

from latensify_bridge.composite import composite
from latensify_bridge.errors import Cancelled
from latensify_bridge.frames import Box, Depth, Edited

from .conftest import Edit, hdr_plates


def same(a: Edited, b: Edited) -> bool:
    return a.box == b.box and np.array_equal(a.rgb, b.rgb) and np.array_equal(a.matte, b.matte)


def test_an_hdr_plate_keeps_its_range_and_its_outside(edit: Edit) -> None:
    plates = hdr_plates()
    for plate, done in zip(plates, edit("restyle", plates, prompt="thick fog"), strict=True):
        assert np.isfinite(done.rgb).all() and done.rgb.dtype == np.float32
        assert done.rgb.max() > 1
        out = composite(plate.pixels, done, 1.0, premultiplied=False)
        grown = np.zeros(out.shape[:2], bool)
        grown[done.box.slices] = done.matte > 0
        assert out[~grown].tobytes() == plate.pixels[~grown].tobytes()
        assert not np.array_equal(out[grown], plate.pixels[grown])
        assert (done.matte[plate.mask[done.box.slices] == 1] == 1).all()  # type: ignore[index]


def test_two_runs_are_one_and_another_seed_is_not(edit: Edit) -> None:
    plates = hdr_plates()
    first, second = edit("restyle", plates, prompt="fog"), edit("restyle", plates, prompt="fog")
    assert all(same(a, b) for a, b in zip(first, second, strict=True))
    other = edit("restyle", plates, prompt="fog", seed=1)
    assert not any(same(a, b) for a, b in zip(first, other, strict=True))


def test_without_a_mask_the_whole_frame_is_edited(edit: Edit) -> None:
    (done,) = edit("restyle", hdr_plates(1, mask=False), prompt="fog")
    assert done.box == Box(0, 0, 72, 48) and (done.matte == 1).all()


def test_an_empty_mask_edits_nothing(edit: Edit) -> None:
    plate = hdr_plates(1)[0]
    empty = type(plate)(plate.number, plate.pixels, np.zeros_like(plate.mask))
    first, second = edit("restyle", (plate, empty), prompt="fog")
    assert first.box.width > 0
    assert second.box == Box(0, 0, 0, 0) and second.rgb.shape == (0, 0, 3)


@pytest.mark.parametrize("space", ["srgb", "rec709", "acescct", "davinci_intermediate", "logc4", "slog3", "log3g10"])
def test_every_space_gives_finite_half(edit: Edit, space: str) -> None:
    (done,) = edit("restyle", hdr_plates(1), prompt="fog", colour_space=space, depth=Depth.HALF)
    assert done.rgb.dtype == np.float16 and np.isfinite(done.rgb).all()


def test_what_is_no_number_does_not_spread(edit: Edit) -> None:
    plate = hdr_plates(1)[0]
    wild = plate.pixels.copy()
    wild[3, 5], wild[20, 30] = np.nan, np.inf
    (done,) = edit("restyle", (type(plate)(plate.number, wild, None),), prompt="fog")
    assert np.isfinite(done.rgb).all()


def test_a_cancel_stops_at_the_next_step(edit: Edit) -> None:
    told: list[float] = []

    def progress(fraction: float, stage: str) -> None:
        told.append(fraction)
        if fraction > 0.1:
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        edit("restyle", hdr_plates(8), prompt="fog", num_inference_steps=20, progress=progress)
    assert told[-1] < 0.5


def test_progress_reaches_the_end(edit: Edit) -> None:
    told: list[float] = []
    edit("restyle", hdr_plates(2), prompt="fog", progress=lambda fraction, stage: told.append(fraction))
    assert told == sorted(told) and told[-1] > 0.9
