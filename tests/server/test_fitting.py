"""The real engine fits: what it learns from a shot as it travels, and that a cut fit ends in the same bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")

import torch

from latensify_bridge.choices import ColourSpace, Fill, Quality
from latensify_bridge.effects import Extend, Remove
from latensify_bridge.errors import BadInput, Cancelled
from latensify_bridge.frames import Depth, Edited
from latensify_server import colour
from latensify_server.diffusion import fitting
from latensify_server.diffusion.engine import DiffusionEngine
from latensify_server.diffusion.extend import extend
from latensify_server.diffusion.model import Model
from latensify_server.engine import Plate, ShotFit, WindowEdit
from latensify_server.training import shot
from server.conftest import hdr_plates

EDIT = Remove(fill=Fill.FITTED, colour_space=ColourSpace.LINEAR_REC709, quality=Quality.DRAFT, mask_grow=2.0)
INDEX = "model_index.json"


def quiet(fraction: float, stage: str) -> None:
    pass


def run(out: Path, plates: tuple[Plate, ...], progress: Callable[[float, str], None] = quiet) -> Path:
    DiffusionEngine().fit(ShotFit("remove", EDIT, plates, 1.0, out), progress)
    return out


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "STEPS", {Quality.DRAFT: 2, Quality.FINAL: 3})


def weights(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.safetensors")}


def test_it_learns_from_the_display_referred_shot_outside_the_grown_matte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[list[NDArray[np.float32]], list[NDArray[np.bool_]], int, int]] = []

    def look(frames, holes, out, steps, seed, progress) -> None:  # type: ignore[no-untyped-def]
        seen.append((list(frames), list(holes), steps, seed))

    monkeypatch.setattr(shot, "fit", look)
    plates = hdr_plates()
    run(tmp_path, plates)
    ((frames, holes, steps, seed),) = seen
    assert (len(frames), len(holes), steps, seed) == (3, 3, 2, 0)
    for plate, frame, hole in zip(plates, frames, holes, strict=True):
        assert plate.mask is not None and plate.pixels.max() > 1
        assert frame.dtype == np.float32 and frame.min() >= 0 and frame.max() <= 1
        shown = np.clip(colour.to_display(plate.pixels[..., :3].astype(np.float32)), 0, 1)
        np.testing.assert_allclose(frame, shown, atol=1e-6)
        assert hole[plate.mask > 0.5].all(), "all that is taken out"
        assert (plate.mask > 0.5).sum() < hole.sum() < hole.size / 2, "grown, and no more"


def test_a_cut_fit_ends_in_the_same_bits(tmp_path: Path) -> None:
    plates = hdr_plates()
    whole = weights(run(tmp_path / "whole", plates))

    def cut(fraction: float, stage: str) -> None:
        if fraction > 0:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        run(tmp_path / "cut", plates, cut)
    assert not (tmp_path / "cut" / INDEX).exists() and any((tmp_path / "cut").iterdir())
    assert weights(run(tmp_path / "cut", plates)) == whole and whole
    assert (tmp_path / "cut" / INDEX).is_file()


def test_extend_takes_nothing_out_and_learns_from_all_of_the_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[NDArray[np.bool_]]] = []

    def look(frames, holes, out, steps, seed, progress) -> None:  # type: ignore[no-untyped-def]
        seen.append(list(holes))

    monkeypatch.setattr(shot, "fit", look)
    edit = Extend(fill=Fill.FITTED, left=8, mask_feather=4.0)
    DiffusionEngine().fit(ShotFit("extend", edit, hdr_plates(mask=False), 1.0, tmp_path), quiet)
    assert not np.any(seen)


def test_extend_paints_its_margin_with_the_fit(tmp_path: Path) -> None:
    plates = hdr_plates(2, mask=False)
    edit = Extend(fill=Fill.FITTED, left=12, colour_space=ColourSpace.LINEAR_REC709, num_inference_steps=2)
    DiffusionEngine().fit(ShotFit("extend", edit, plates, 1.0, tmp_path), quiet)
    model = cast(Model, SimpleNamespace(device=torch.device("cpu")))  # the shipped model has no part in it
    plain = msgspec.structs.replace(edit, fill=Fill.CLASSICAL)

    def extended(params: Extend, fit: Path | None) -> list[Edited]:
        return extend(model, WindowEdit("extend", params, plates, Depth.FLOAT, 1.0, 1.0, fit), quiet)

    fitted, classical = extended(edit, tmp_path), extended(plain, None)
    for with_fit, without in zip(fitted, classical, strict=True):
        assert with_fit.box == without.box and with_fit.box.width == 12
        assert np.isfinite(with_fit.rgb).all() and not np.array_equal(with_fit.rgb, without.rgb)


def test_mattes_that_leave_nothing_are_told(tmp_path: Path) -> None:
    covered = tuple(
        Plate(plate.number, plate.pixels, np.ones(plate.pixels.shape[:2], np.float16)) for plate in hdr_plates()
    )
    with pytest.raises(BadInput, match="nothing is left to fit a model to"):
        run(tmp_path, covered)
    with pytest.raises(BadInput, match="nothing is left"):
        run(tmp_path, hdr_plates(mask=False))
