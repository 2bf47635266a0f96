"""`latensify bench models` on the shipped model: subjects, rows, the report and the command line."""

from __future__ import annotations

import json
import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("diffusers")
if not (find_spec("skimage") and find_spec("sklearn")):
    pytest.skip("the renderer's photographs come with scikit-image and scikit-learn", allow_module_level=True)

from latensify_bridge.errors import BadRequest, ModelMissing
from latensify_server.bench import asking, fidelity, flicker, models, sheets, speed, subjects
from latensify_server.bench.setting import Setting
from latensify_server.cli.bench import bench

TINY_ROWS = ("vae", "prompt", "masked", "instruct", "whole", "flicker", "inversion", "speed")


@pytest.fixture(scope="module")
def setting() -> Setting:
    folder = asking.folder_of("tiny")
    return Setting(asking.load(folder), folder, 1, lambda what, done, total: None)


def test_rows_share_no_seed_and_none_is_one_of_training() -> None:
    rows = [set(subjects.seeds(1000, row)) for row in range(50)]
    assert len(set.union(*rows)) == 50 * 1000
    assert min(min(row) for row in rows) >= subjects.HELD_OUT
    assert max(max(row) for row in rows) < subjects.REFERENCE


def test_a_case_differs_inside_its_mask_alone() -> None:
    for kind, make in subjects.MAKERS.items():
        case = make(subjects.HELD_OUT + 1, False)
        assert np.abs(case.source - case.truth)[case.mask == 0].max() <= subjects.CHANGED, kind
        assert np.abs(case.source - case.truth)[case.thing].mean() > 0.05, kind
        assert not (case.outside & (case.mask > 0)).any(), kind


def test_instructions_are_worded_as_people_give_them() -> None:
    seed = subjects.HELD_OUT + 2
    thing = subjects.legible(seed).things[0]
    assert subjects.removal(seed, True).prompt == f"remove the {thing.shape}"
    assert subjects.recolour(seed, True).prompt.startswith(f"turn the {thing.shape} ")
    assert subjects.reshape(seed, True).prompt.startswith(f"turn the {thing.shape} into a ")
    assert subjects.removal(seed).prompt == ""


def test_a_row_that_is_not_there_is_named() -> None:
    assert [row.name for row in models.chosen(["speed", "vae"])] == ["vae", "speed"]
    assert models.chosen([]) == list(models.ROWS)
    with pytest.raises(BadRequest, match="no row 'beauty'"):
        models.chosen(["beauty"])


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelMissing, match="huge"):
        asking.folder_of("huge")


def test_the_command_prints_json_of_figures_measured(tmp_path: Path) -> None:
    done = CliRunner().invoke(bench, ["models", "--json", "--only", "vae", "--samples", "1"], catch_exceptions=False)
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    figures = {figure["name"]: figure for figure in told["figures"]}
    assert set(figures) == {"vae_psnr_scenes", "vae_psnr_photos"}
    assert figures["vae_psnr_photos"]["samples"] == 2 and figures["vae_psnr_scenes"]["bound"] == 32
    assert 15 < figures["vae_psnr_scenes"]["value"] < 60
    assert told["model"] == "tiny" and len(told["model_hash"]) == 64
    assert {"machine", "command", "date"} <= set(told)
    assert "photographs through the autoencoder 2/2" in done.stderr


@pytest.mark.parametrize(("factor", "error"), [(1.0, 0.0), (1.5, 0.5), (0.0, 1.0)])
def test_the_error_of_inversion_is_relative(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, factor: float, error: float
) -> None:
    monkeypatch.setattr(asking.inversion, "invert", lambda model, latents, *rest: latents)
    monkeypatch.setattr(asking.sampling, "edit", lambda *given: factor * given[8])
    picture = subjects.shown(subjects.plain(subjects.HELD_OUT))
    assert asking.inversion_error(setting.model, picture, "", 4) == pytest.approx(error, abs=1e-6)


def test_what_is_generated_follows_its_seed(setting: Setting) -> None:
    one, again, other = (asking.generated(setting.model, "a red ball on grass", seed, 64, 64) for seed in (0, 0, 1))
    assert one.shape == (64, 64, 3) and np.array_equal(one, again) and not np.array_equal(one, other)


def test_a_static_shot_moves_nowhere_but_where_its_things_drift() -> None:
    flows, visible = flicker.motion_of(subjects.plain(subjects.HELD_OUT, things=0))
    assert len(flows) == len(visible) == flicker.FRAMES - 1
    assert max(np.abs(flow[seen]).max() for flow, seen in zip(flows, visible, strict=True)) < 1e-3


def test_a_sheet_holds_its_pictures_and_their_words() -> None:
    red, blue = (np.broadcast_to(np.float32(colour), (32, 48, 3)) for colour in ((1, 0, 0), (0, 0, 1)))
    made = sheets.sheet([[(red, "red"), (blue, "blue")], [(blue, "")]])
    assert np.allclose(made[sheets.GAP_PX + 16, sheets.GAP_PX + 24], (1, 0, 0))
    words = made[sheets.GAP_PX + 32 : sheets.GAP_PX + 32 + sheets.WORDS_PX, : sheets.GAP_PX + 48]
    assert words.min() < 0.5 < words.max()
    assert np.allclose(made[-sheets.GAP_PX - sheets.WORDS_PX // 2, -10], sheets.PAPER, atol=1 / 255)
    assert sheets._lines("a red ball on grass", 1) == ["a", "red", "ball", "on", "grass"]
    assert sheets._lines("a red ball on grass", 1000) == ["a red ball on grass"]


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_every_row_measures_figures_of_its_own(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flicker, "FRAMES", 3)
    monkeypatch.setattr(fidelity, "INVERSIONS", 1)
    monkeypatch.setattr(asking, "INVERSION_STEPS", 4)
    for name, value in (("WIDTH", 128), ("HEIGHT", 72), ("FRAMES", 2)):
        monkeypatch.setattr(speed, name, value)
    figures = models.measured(setting, models.chosen(TINY_ROWS))
    names = [figure.name for figure in figures]
    assert len(names) == len(set(names))
    assert all(math.isfinite(figure.value) and figure.samples >= 1 for figure in figures)
    bounded = {figure.name for figure in figures if figure.bound is not None}
    assert {f"prompt_{each}" for each in ("colour", "shape", "background", "weather", "time")} <= bounded
    assert {"recolour_done", "replace_inside_psnr", "instruct_done", "instruct_outside_psnr"} <= bounded
    assert {f"{change}_psnr" for change in subjects.WHOLE} <= bounded
    assert {"flicker_static", "flicker_moving", "inversion_error", "restyle_512x288_24_frames_s"} <= bounded


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_contact_sheets_are_written(setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "COLUMNS", 1)
    written = sheets.write(setting, tmp_path / "new")
    assert {path.name for path in written} == {
        f"{name}.png" for name in ("reconstruction", "generate", "masked", "instruct", "whole")
    }
    assert all(path.stat().st_size > 1000 for path in written)
