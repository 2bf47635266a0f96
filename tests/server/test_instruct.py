"""Instruct: follows an instruction, inside its matte alone; the source's guidance costs nothing at 1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latensify_bridge.composite import composite
from latensify_bridge.effects import Instruct, Panel, changes_nothing, parse
from latensify_bridge.errors import BadParameter, Cancelled
from latensify_bridge.frames import Box, Edited

from .conftest import Edit, hdr_plates


def same(a: Edited, b: Edited) -> bool:
    return a.box == b.box and np.array_equal(a.rgb, b.rgb) and np.array_equal(a.matte, b.matte)


def test_outside_the_matte_every_bit_stays(edit: Edit) -> None:
    plates = hdr_plates()
    for plate, done in zip(plates, edit("instruct", plates, prompt="make it night"), strict=True):
        out = composite(plate.pixels, done, 1.0, premultiplied=False)
        shown = np.zeros(out.shape[:2], bool)
        shown[done.box.slices] = done.matte > 0
        assert np.isfinite(done.rgb).all() and shown.any() and not shown.all()
        assert out[~shown].tobytes() == plate.pixels[~shown].tobytes()
        assert not np.array_equal(out[shown], plate.pixels[shown])


def test_without_a_matte_the_whole_frame_is_edited(edit: Edit) -> None:
    done = edit("instruct", hdr_plates(2, mask=False), preset="night")
    assert [each.box for each in done] == [Box(0, 0, 72, 48)] * 2
    assert all((each.matte == 1).all() for each in done)


def test_every_part_of_the_request_shows(edit: Edit) -> None:
    plates = hdr_plates(2)
    first, again = edit("instruct", plates, prompt="make it night"), edit("instruct", plates, prompt="make it night")
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    others = [{"prompt": "turn it red"}, {"preset": "snow"}, {"seed": 3}, {"image_guidance_scale": 2.0}]
    for changed in others:
        other = edit("instruct", plates, **{"prompt": "make it night", **changed})
        assert not any(same(a, b) for a, b in zip(first, other, strict=True)), changed


def test_a_still_shot_stays_still_and_a_window_repeats_to_the_bit(edit: Edit) -> None:
    still = tuple(replace(plate, pixels=hdr_plates(1)[0].pixels) for plate in hdr_plates(5))
    first, again = (edit("instruct", still, prompt="make it night") for _ in range(2))
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    assert all(np.allclose(frame.rgb, first[2].rgb, rtol=1e-3, atol=1e-4) for frame in first)


def test_image_guidance_leads_away_from_what_is_said_without_a_source(edit: Edit) -> None:
    """The prediction is linear in the scale before its spread is corrected: 1 is what there was before."""
    import torch

    from latensify_server.diffusion import sampling
    from latensify_server.diffusion.model import embed, load
    from latensify_server.models import find

    model = load(find("random"))
    torch.manual_seed(1)
    latents, source = torch.randn(1, model.channels, 4, 4), torch.randn(1, model.channels, 4, 4)
    mask, text = torch.ones(1, 1, 4, 4), embed(model, ["", "make it night"])
    plain, one, two = (
        sampling.guided(model, latents, 500, mask, source, text, 3.0, *scale) for scale in ((), (1.0,), (2.0,))
    )
    assert torch.equal(plain, one) and not torch.equal(one, two)
    nothing = torch.zeros_like(source)
    none, two = (sampling.guided(model, latents, 500, mask, nothing, text, 3.0, scale) for scale in (1.0, 2.0))
    assert torch.equal(none, two), "without a source there is nothing to lead away from"


def test_no_instruction_is_told(edit: Edit) -> None:
    with pytest.raises(BadParameter, match="needs an instruction: type a prompt, or choose a preset"):
        edit("instruct", hdr_plates(1), prompt="  ")
    assert changes_nothing(Instruct(), Panel()) and not changes_nothing(parse(Instruct, {"preset": "night"}), Panel())


def test_strength_0_keeps_the_plate(edit: Edit) -> None:
    (plate,) = hdr_plates(1)
    (done,) = edit("instruct", (plate,), prompt="make it night", strength=0.0, detail=1.0)
    np.testing.assert_allclose(done.rgb, plate.pixels[done.box.slices][..., :3], atol=2e-3, rtol=2e-3)


def test_a_cancel_stops_at_the_next_step(edit: Edit) -> None:
    told: list[float] = []

    def progress(fraction: float, stage: str) -> None:
        told.append(fraction)
        if fraction > 0.1:
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        edit("instruct", hdr_plates(8), prompt="make it night", num_inference_steps=20, progress=progress)
    assert told[-1] < 0.5
