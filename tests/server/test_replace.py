"""Replace: shows the prompt inside its matte alone, in a view that follows the matte, and joins it to the plate."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from latensify_bridge.choices import ColourSpace
from latensify_bridge.composite import composite
from latensify_bridge.effects import Replace
from latensify_bridge.errors import BadInput, BadParameter, Cancelled
from latensify_bridge.frames import Box, Depth, Edited
from latensify_server import colour
from latensify_server.engine import Plate, WindowEdit

from .conftest import Edit, hdr_plates, rgba


def same(a: Edited, b: Edited) -> bool:
    return a.box == b.box and np.array_equal(a.rgb, b.rgb) and np.array_equal(a.matte, b.matte)


def grey_plates(count: int, value: float = 0.3, noise: float = 0.0) -> tuple[Plate, ...]:
    """A flat wall with grain, and a square matte that moves 6 pixels a frame."""
    plates = []
    for index in range(count):
        grain = np.random.default_rng(index).standard_normal((96, 160, 3)).astype(np.float32) * np.float32(noise)
        mask = np.zeros((96, 160), np.float32)
        mask[40:64, 20 + 6 * index : 44 + 6 * index] = 1
        plates.append(Plate(1001 + index, rgba(colour.decode_srgb(np.float32(value) + grain)), mask))
    return tuple(plates)


def test_outside_the_matte_every_bit_stays(edit: Edit) -> None:
    plates = hdr_plates()
    for plate, done in zip(plates, edit("replace", plates, prompt="a red ball", mask_feather=2), strict=True):
        out = composite(plate.pixels, done, 1.0, premultiplied=False)
        shown = np.zeros(out.shape[:2], bool)
        shown[done.box.slices] = done.matte > 0
        assert np.isfinite(done.rgb).all() and shown.any() and not shown.all()
        assert out[~shown].tobytes() == plate.pixels[~shown].tobytes()
        assert not np.array_equal(out[shown], plate.pixels[shown])


def test_every_part_of_the_request_shows(edit: Edit) -> None:
    plates = hdr_plates(2)
    first, again = edit("replace", plates, prompt="a red ball"), edit("replace", plates, prompt="a red ball")
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    for changed in ({"prompt": "a blue box"}, {"preset": "red_car"}, {"seed": 3}, {"strength": 0.5}, {"detail": 1.0}):
        other = edit("replace", plates, **{"prompt": "a red ball", **changed})
        assert not any(same(a, b) for a, b in zip(first, other, strict=True)), changed


def test_the_view_follows_the_matte_and_keeps_its_size() -> None:
    pytest.importorskip("torch")
    from latensify_server.diffusion.replace import views_of

    mattes = [plate.mask for plate in grey_plates(4)]
    views = views_of(mattes)  # type: ignore[arg-type]
    assert len({(view.width, view.height) for view in views}) == 1
    assert all(view.x0 + view.width <= 160 and view.y0 + view.height <= 96 for view in views)
    for matte, view in zip(mattes, views, strict=True):
        assert matte is not None and matte.sum() == matte[view.slices].sum(), "the view holds all of the matte"
    assert [b.x0 - a.x0 for a, b in itertools.pairwise(views)][-1] == 6
    whole = views_of([np.ones((96, 160), np.float32)])
    assert whole == [Box(0, 0, 160, 96)]
    assert views_of([]) == []


def made(noise: float, shift: float, grain: float) -> Edited:
    """A flat red object laid into the wall, from a model whose whole picture is `shift` too bright."""
    pytest.importorskip("torch")
    from latensify_server.diffusion.replace import laid, views_of
    from latensify_server.diffusion.steady import Pair

    (plate,) = grey_plates(1, noise=noise)
    params = Replace(prompt="a red ball", mask_feather=0, grain=grain, colour_space=ColourSpace.LINEAR_REC709)
    work = WindowEdit("replace", params, (plate,), Depth.FLOAT, 1.0, 1.0)
    (view,) = views_of([plate.mask])  # type: ignore[list-item]
    seen = np.full((view.height, view.width, 3), 0.3, np.float32)
    edited = np.where(plate.mask[view.slices][..., None] > 0, np.float32([0.6, 0.2, 0.2]), seen)  # type: ignore[index]
    return laid(work, plate, plate.mask, view, Pair(seen, edited + np.float32(shift)))  # type: ignore[arg-type]


def test_the_model_s_error_around_the_matte_is_taken_out_of_it() -> None:
    done = made(noise=0.0, shift=0.07, grain=0.0)
    assert done.box == Box(20, 40, 24, 24) and (done.matte == 1).all()
    assert np.abs(colour.to_display(done.rgb) - np.float32([0.6, 0.2, 0.2])).max() < 0.02


def test_the_plates_grain_is_put_on_the_object() -> None:
    def grain_of(done: Edited) -> float:
        return float(np.diff(colour.to_display(done.rgb), axis=1).std() / np.sqrt(2))

    assert grain_of(made(noise=0.03, shift=0.0, grain=0.0)) < 0.01
    assert 0.02 < grain_of(made(noise=0.03, shift=0.0, grain=1.0)) < 0.045


def test_an_empty_matte_edits_nothing(edit: Edit) -> None:
    plate = hdr_plates(1)[0]
    empty = Plate(plate.number, plate.pixels, np.full_like(plate.mask, 0.01))  # type: ignore[arg-type]
    first, second = edit("replace", (plate, empty), prompt="a red ball")
    assert first.box.width > 0 and second.box == Box(0, 0, 0, 0)
    assert edit("replace", (empty,), prompt="a red ball")[0].box == Box(0, 0, 0, 0)


def test_what_is_missing_is_told(edit: Edit) -> None:
    with pytest.raises(BadParameter, match="what to put there: type a prompt, or choose an object"):
        edit("replace", hdr_plates(1))
    with pytest.raises(BadInput, match="Replace needs a matte, and frame 1001 has none"):
        edit("replace", hdr_plates(1, mask=False), prompt="a red ball")


def test_a_cancel_stops_at_the_next_step(edit: Edit) -> None:
    told: list[float] = []

    def progress(fraction: float, stage: str) -> None:
        told.append(fraction)
        if fraction > 0.1:
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        edit("replace", hdr_plates(8), prompt="a red ball", num_inference_steps=20, progress=progress)
    assert told[-1] < 0.5
