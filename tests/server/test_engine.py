"""The diffusion engine: what it refuses, in which words, and which model it takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latensify_bridge.errors import BadInput, ModelMissing, OutOfMemory, UnknownEffect

from .conftest import Edit, hdr_plates


def test_a_mask_of_another_size_names_the_frame(edit: Edit) -> None:
    good, bad = hdr_plates(2)
    bad = type(bad)(bad.number, bad.pixels, np.ones((48, 71), np.float32))
    with pytest.raises(BadInput, match=r"The matte of frame 1002 is 71x48; its plate is 72x48"):
        edit("remove", (good, bad))


def test_a_plate_of_another_size_names_the_frame(edit: Edit) -> None:
    (good,), (bad,) = hdr_plates(1), hdr_plates(1, width=80)
    with pytest.raises(BadInput, match=r"Frame 1001 is 80x48; frame 1001 of the same shot is 72x48"):
        edit("restyle", (good, bad), prompt="fog")


def test_remove_needs_a_matte(edit: Edit) -> None:
    with pytest.raises(BadInput, match="Remove needs a matte, and frame 1001 has none"):
        edit("remove", hdr_plates(1, mask=False))


def test_an_unknown_model_names_the_installed(edit: Edit) -> None:
    with pytest.raises(ModelMissing, match=r"'grand'.*random"):
        edit("restyle", hdr_plates(1), prompt="fog", model="grand")


def test_a_broken_model_is_said_to_be_broken(edit: Edit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model_index.json").write_text("{}")
    monkeypatch.setenv("LATENSIFY_MODELS", str(tmp_path))
    with pytest.raises(ModelMissing, match="'broken' cannot be loaded"):
        edit("restyle", hdr_plates(1), prompt="fog", model="broken")


def test_an_unknown_effect_is_refused(edit: Edit) -> None:
    with pytest.raises(UnknownEffect):
        edit("levitate", hdr_plates(1))


def test_a_full_memory_says_what_to_do(edit: Edit, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from latensify_server.diffusion import whole_frame

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(whole_frame, "_pair", full)
    with pytest.raises(OutOfMemory, match="smaller window"):
        edit("restyle", hdr_plates(1), prompt="fog")


def test_many_threads_give_the_bits_of_one(edit: Edit, monkeypatch: pytest.MonkeyPatch) -> None:
    from latensify_server.diffusion import whole_frame

    several = edit("restyle", hdr_plates(4), prompt="fog")
    monkeypatch.setattr(whole_frame, "workers", lambda device: 1)
    for a, b in zip(several, edit("restyle", hdr_plates(4), prompt="fog"), strict=True):
        np.testing.assert_array_equal(a.rgb, b.rgb)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("effect", ["restyle", "remove", "instruct", "replace"])
def test_every_precision_gives_finite_pixels(edit: Edit, effect: str, precision: str) -> None:
    (done,) = edit(effect, hdr_plates(1), prompt="fog", precision=precision, num_inference_steps=2)
    assert np.isfinite(done.rgb).all() and done.rgb.dtype == np.float32


def test_draft_is_another_result_of_the_same_box(edit: Edit) -> None:
    plates = hdr_plates(1, width=400, height=64)
    final, draft = (edit("restyle", plates, prompt="fog", quality=quality)[0] for quality in ("final", "draft"))
    assert final.box == draft.box and not np.array_equal(final.rgb, draft.rgb)
