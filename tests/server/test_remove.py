"""Remove: what other frames show comes back nearly as it was; what none shows is painted; nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest

from latensify_bridge.composite import composite
from latensify_bridge.errors import Cancelled
from latensify_server import colour

from .conftest import Edit, hdr_plates
from .pan import Shot, classical, pan, psnr


def figures(edit: Edit, shot: Shot, **params: object) -> tuple[float, float]:
    """Mean PSNR in the matte over all frames: ours, and that of classical inpainting."""
    ours, theirs = [], []
    for plate, truth, done in zip(shot.plates, shot.truth, edit("remove", shot.plates, **params), strict=True):
        out = colour.encode_srgb(composite(plate.pixels, done, 1.0, premultiplied=False)[..., :3])
        hole = np.zeros(truth.shape[:2], np.float32)
        hole[done.box.slices] = done.matte
        inside = hole > 0
        ours.append(psnr(out[inside], truth[inside]))
        theirs.append(psnr(classical(plate, hole)[inside], truth[inside]))
    return float(np.mean(ours)), float(np.mean(theirs))


@pytest.mark.parametrize("motion", ["homography", "flow"])
def test_what_other_frames_show_comes_back(edit: Edit, motion: str) -> None:
    ours, theirs = figures(edit, pan(), motion=motion)
    assert ours >= 30
    assert ours >= theirs + 12


def test_a_locked_camera_needs_no_motion(edit: Edit) -> None:
    ours, _ = figures(edit, pan(camera=False), motion="static")
    assert ours >= 40


def test_another_exposure_is_matched(edit: Edit) -> None:
    ours, _ = figures(edit, pan(gain=1.3))
    assert ours >= 30


def test_a_noisy_matte_does_not_spoil_the_frame(edit: Edit) -> None:
    shot = pan()
    noisy = tuple(
        type(plate)(plate.number, plate.pixels, np.maximum(plate.mask, 1 / 255))  # type: ignore[type-var]
        for plate in shot.plates
    )
    plate, truth, done = noisy[3], shot.truth[3], edit("remove", noisy)[3]
    out = colour.encode_srgb(composite(plate.pixels, done, 1.0, premultiplied=False)[..., :3])
    assert psnr(out, truth) >= 35


def test_without_other_frames_it_falls_back(edit: Edit) -> None:
    shot = pan()
    with_others, alone = figures(edit, shot)[0], figures(edit, shot, propagate=False, fill="classical")[0]
    assert with_others > alone + 8


def test_a_static_hole_falls_to_the_model_and_stands_still(edit: Edit) -> None:
    shot = pan(moves=False, camera=False)
    painted = edit("remove", shot.plates, motion="static")
    plain = edit("remove", shot.plates, motion="static", fill="classical")
    assert not np.array_equal(painted[0].rgb, plain[0].rgb)
    middle = painted[len(painted) // 2].rgb
    for done in painted:
        assert np.abs(colour.encode_srgb(done.rgb) - colour.encode_srgb(middle)).mean() < 0.03
    unstrong = edit("remove", shot.plates, motion="static", strength=0.0)
    np.testing.assert_array_equal(unstrong[0].rgb, plain[0].rgb)


def test_two_runs_are_one_and_another_seed_is_not(edit: Edit) -> None:
    shot = pan(3, moves=False)
    first, second = edit("remove", shot.plates), edit("remove", shot.plates)
    other = edit("remove", shot.plates, seed=5)
    for a, b, c in zip(first, second, other, strict=True):
        np.testing.assert_array_equal(a.rgb, b.rgb)
        assert not np.array_equal(a.rgb, c.rgb)


def test_only_the_matte_changes_and_highlights_come_along(edit: Edit) -> None:
    plates = hdr_plates(3)
    outside = tuple(
        type(plate)(plate.number, plate.pixels, np.roll(plate.mask, 24 * (index - 1), axis=1))  # type: ignore[arg-type]
        for index, plate in enumerate(plates)
    )
    for plate, done in zip(outside, edit("remove", outside, motion="static", mask_feather=2), strict=True):
        assert np.isfinite(done.rgb).all()
        out = composite(plate.pixels, done, 1.0, premultiplied=False)
        untouched = np.ones(out.shape[:2], bool)
        untouched[done.box.slices] = done.matte <= 0
        assert out[untouched].tobytes() == plate.pixels[untouched].tobytes()
    middle = edit("remove", outside, motion="static")[1]
    assert middle.rgb.max() > 10


def test_a_matte_over_everything_is_survived(edit: Edit) -> None:
    plates = tuple(type(plate)(plate.number, plate.pixels, np.ones_like(plate.mask)) for plate in hdr_plates(2))
    for done in edit("remove", plates):
        assert np.isfinite(done.rgb).all()


def test_a_cut_in_the_window_is_not_looked_across(edit: Edit) -> None:
    shot = pan(5)
    turned = tuple(
        type(plate)(plate.number + 5, plate.pixels[::-1].copy(), plate.mask[::-1].copy())  # type: ignore[index]
        for plate in shot.plates
    )
    both = Shot(shot.plates + turned, shot.truth + tuple(truth[::-1] for truth in shot.truth))
    assert figures(edit, both, fill="classical")[0] >= figures(edit, shot, fill="classical")[0] - 1


def test_a_cancel_comes_out(edit: Edit) -> None:
    def progress(fraction: float, stage: str) -> None:
        if stage == "painting":
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        edit("remove", pan(3, moves=False).plates, progress=progress)
