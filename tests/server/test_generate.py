"""Generate: one picture from text, a camera move over it that depends on the frame's number alone; a Source guides."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from latensify_bridge.choices import CameraMove
from latensify_bridge.effects import Generate, Panel, changes_nothing
from latensify_bridge.errors import BadParameter
from latensify_bridge.frames import Box, Edited
from latensify_bridge.framing import generated
from latensify_server.engine import Plate
from latensify_server.media.blank import blank

from .conftest import Edit, hdr_plates, rgba
from .plates import call, read


def blanks(numbers: range, width: int = 72, height: int = 48) -> tuple[Plate, ...]:
    return tuple(Plate(number, rgba(np.zeros((height, width, 3), np.float32)), None) for number in numbers)


def same(a: Edited, b: Edited) -> bool:
    return a.box == b.box and np.array_equal(a.rgb, b.rgb) and np.array_equal(a.matte, b.matte)


NO_SOURCE = {"prompt": "a red ball", "use_source": False, "first_frame": 1, "last_frame": 9}


def test_a_still_shot_is_one_picture(edit: Edit) -> None:
    done = edit("generate", blanks(range(1, 5)), **NO_SOURCE)
    assert [each.box for each in done] == [Box(0, 0, 72, 48)] * 4
    assert all((each.matte == 1).all() and np.isfinite(each.rgb).all() for each in done)
    assert all(same(done[0], each) for each in done) and done[0].rgb.std() > 0.01


@pytest.mark.parametrize("move", ["push_in", "pull_out", "pan_left", "pan_right"])
def test_a_move_depends_on_the_frames_number_alone(edit: Edit, move: str) -> None:
    together = edit("generate", blanks(range(1, 10)), camera_move=move, **NO_SOURCE)
    alone = edit("generate", blanks(range(6, 5, -1)), camera_move=move, **NO_SOURCE)
    assert same(together[5], alone[0])
    assert not any(same(a, b) for a, b in itertools.pairwise(together)), "every frame moves on"
    beyond = edit("generate", blanks(range(9, 12)), camera_move=move, **NO_SOURCE)
    assert same(beyond[0], beyond[2]) and same(beyond[0], together[8]), "after the move the camera stands"


def test_moves_of_opposite_direction_are_the_same_backwards(edit: Edit) -> None:
    for there, back in (("pan_left", "pan_right"), ("push_in", "pull_out")):
        first, last = (
            edit("generate", blanks(range(frame, frame + 1)), camera_move=move, **NO_SOURCE)[0]
            for move, frame in ((there, 1), (back, 9))
        )
        assert same(first, last)


def test_a_pan_is_a_true_shift_of_the_picture() -> None:
    pytest.importorskip("torch")
    from latensify_server.diffusion.generate import looked_at, view_of

    params = Generate(camera_move=CameraMove.PAN_RIGHT, move_amount=0.5, first_frame=0, last_frame=8)
    picture = np.random.default_rng(1).random((8, 24, 3)).astype(np.float32)
    for frame in range(9):
        seen = looked_at(picture, view_of(params, frame), (16, 8))
        np.testing.assert_allclose(seen, picture[:, frame : frame + 16], atol=1e-5)


def test_a_push_in_goes_from_the_whole_picture_to_a_part() -> None:
    pytest.importorskip("torch")
    from latensify_server.diffusion.generate import view_of

    params = Generate(camera_move=CameraMove.PUSH_IN, move_amount=1.0, first_frame=0, last_frame=2)
    assert view_of(params, 0) == (0, 0, 1, 1)
    assert view_of(params, 2) == pytest.approx((0.25, 0.25, 0.5, 0.5))
    assert view_of(params, 1)[2] == pytest.approx(0.5**0.5), "half-way to the eye"


def test_text_and_seed_decide_the_picture(edit: Edit) -> None:
    (first,) = edit("generate", blanks(range(1, 2)), **NO_SOURCE)
    for changed in ({"prompt": "a blue box"}, {"preset": "lake"}, {"seed": 2}):
        (other,) = edit("generate", blanks(range(1, 2)), **{**NO_SOURCE, **changed})
        assert not same(first, other), changed


def test_a_source_guides_the_picture(edit: Edit) -> None:
    plates = hdr_plates(2, mask=False)
    weak, strong = (edit("generate", plates, prompt="a red ball", strength=strength) for strength in (0.35, 1.0))
    (without,) = edit("generate", plates[:1], **NO_SOURCE)
    assert all((each.matte == 1).all() for each in weak)
    assert not same(weak[0], strong[0]) and not same(strong[0], without) and not same(weak[0], weak[1])
    kept = edit("generate", plates[:1], prompt="a red ball", strength=0.0, detail=1.0)[0]
    np.testing.assert_allclose(kept.rgb, plates[0].pixels[..., :3], atol=2e-3, rtol=2e-3)


def test_what_is_missing_is_told(edit: Edit) -> None:
    with pytest.raises(BadParameter, match="needs to know what to show: type a prompt, or choose a scene"):
        edit("generate", blanks(range(1, 2)), use_source=False)
    assert changes_nothing(Generate(), Panel())
    assert changes_nothing(Generate(prompt="x", strength=0), Panel())
    assert not changes_nothing(Generate(prompt="x", strength=0, use_source=False), Panel())


def test_a_move_is_settled_to_the_shot() -> None:
    settled = generated(Generate(prompt="x"), 1001, 1048, sourced=False)
    assert isinstance(settled, Generate)
    assert (settled.first_frame, settled.last_frame, settled.use_source) == (1001, 1048, False)
    own = generated(Generate(prompt="x", first_frame=5, last_frame=9), 1001, 1048, sourced=True)
    assert isinstance(own, Generate) and (own.first_frame, own.last_frame, own.use_source) == (5, 9, True)


def test_a_shot_without_a_plate(random_models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LATENSIFY_MODELS", str(random_models))
    words = ["render", "generate", "--preset", "lake", "--camera-move", "pan_left", "--num-inference-steps", "2"]
    words += ["--model", "random", "--size", "64x40", "--shot", "1001-1008"]
    assert call(*words, "--out", str(tmp_path / "a.%04d.exr")) == 0
    assert call(*words, "--frames", "1006,1003", "--out", str(tmp_path / "b.%04d.exr")) == 0
    assert len(list(tmp_path.glob("a.*.exr"))) == 8
    for frame in (1003, 1006):
        one, two = read(tmp_path / f"a.{frame}.exr"), read(tmp_path / f"b.{frame}.exr")
        assert one[0].shape == (40, 64, 3) and one[0].dtype == np.float16
        assert np.array_equal(one[0], two[0]) and one[0].astype(np.float32).std() > 0
        assert '"use_source":false' in one[1]["latensify:params"] and '"first_frame":1001' in one[1]["latensify:params"]


@pytest.mark.parametrize(
    ("out", "depth", "dtype"),
    [
        ("a.%04d.exr", None, np.float16),
        ("a.png", None, np.uint8),
        ("a.png", "uint16", np.uint16),
        ("a.mov", None, np.uint16),
    ],
)
def test_blank_frames_have_the_depth_usual_for_their_file(out: str, depth: str | None, dtype: type) -> None:
    frames = blank("12x8", [5, 3], out, depth)
    assert list(frames.numbers) == [3, 4, 5]
    image = frames.read(4)
    assert image.pixels.shape == (8, 12, 3) and image.pixels.dtype == dtype and not image.pixels.any()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--size", "wide"], "'wide' is not a size of 1 to 16384 pixels each way; write it as 512x288."),
        ([], "Generate needs to know what to show: give --prompt or --preset."),
        (["--in", "plate.png", "--size", "4x4"], "--size and --shot are for a shot without --in; leave them out."),
    ],
)
def test_mistakes_are_one_sentence(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("render", "generate", *words, "--out", str(tmp_path / "o.%04d.exr")) == 2
    assert said in capsys.readouterr().err
