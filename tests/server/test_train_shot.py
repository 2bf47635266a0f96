"""`latensify train shot` and `latensify render remove --fit`, through a real server with an engine that fits a mean."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hosts.servers import Server
from latensify_server.engine import FAKE_MODEL
from latensify_server.fits import Fits, fits_folder
from latensify_server.plan import NOT_FITTED
from server.plates import call, hdr, matte, read, shot

FRAMES = range(1001, 1009)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shot(tmp_path_factory.mktemp("shot"), FRAMES)


def inputs(folder: Path, engine: str = "fake") -> list[str]:
    return ["--in", f"{folder}/plate.%04d.exr", "--mask", f"{folder}/matte.%04d.exr", "--engine", engine]


def render(folder: Path, out: Path, *more: str) -> list[str]:
    window = ["--window", "4", "--overlap", "1"]
    return ["render", "remove", *inputs(folder), "--out", f"{out}/o.%04d.exr", *window, *more]


def fitted(capsys: pytest.CaptureFixture[str], folder: Path, *more: str) -> dict[str, Any]:
    capsys.readouterr()
    assert call("train", "shot", *inputs(folder), "--json", *more) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def failed(capsys: pytest.CaptureFixture[str]) -> str:
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith(("fit ", "frame "))]
    assert len(lines) == 1, lines
    return lines[0]


def shows_the_fit(picture: Path) -> bool:
    """The fake engine's fit is the mean of the shot's first plate."""
    frame = int(picture.name.split(".")[1])
    pixels = read(picture)[0]
    mean = hdr(1001, 4)[..., :3].astype(np.float16).astype(np.float64).mean()
    outside = matte(frame)[..., 0] == 0
    assert pixels[outside].tobytes() == hdr(frame, 4)[outside].tobytes()
    return bool(np.allclose(pixels[matte(frame)[..., 0] == 1][:, :3], mean, rtol=2e-3))


def test_a_fit_is_kept_where_remove_finds_it(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*render(folder, tmp_path / "before", "--fill", "fitted")) == 0
    assert NOT_FITTED in capsys.readouterr().err and not shows_the_fit(tmp_path / "before/o.1003.exr")
    told = fitted(capsys, folder)
    assert (told["cached"], told["frames"]) == (False, len(FRAMES))
    assert Path(told["folder"]) == fits_folder() / told["fit"] and (Path(told["folder"]) / FAKE_MODEL).is_file()
    assert call(*render(folder, tmp_path / "after", "--fill", "fitted")) == 0
    assert "No model is fitted" not in capsys.readouterr().err
    assert all(shows_the_fit(picture) for picture in (tmp_path / "after").iterdir())
    assert call(*render(folder, tmp_path / "plain")) == 0
    assert not shows_the_fit(tmp_path / "plain/o.1003.exr"), "who does not ask for the fit is not touched by it"


def test_the_same_again_is_there_and_another_is_not(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = fitted(capsys, folder)
    again = fitted(capsys, folder)
    assert again == {**first, "cached": True, "seconds": 0.0}
    others = [("--seed", "3"), ("--quality", "draft"), ("--mask-grow", "2"), ("--frames", "1002-1005")]
    keys = {fitted(capsys, folder, *more)["fit"] for more in others}
    assert len(keys | {first["fit"]}) == len(others) + 1
    assert len(Fits(fits_folder()).all()) == len(others) + 1


def test_the_model_is_copied_where_it_is_wanted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = fitted(capsys, folder, "--out", str(tmp_path / "model"))
    kept = fits_folder() / told["fit"]
    assert told["folder"] == str(tmp_path / "model")
    assert (tmp_path / "model" / FAKE_MODEL).read_bytes() == (kept / FAKE_MODEL).read_bytes()
    assert call("train", "shot", *inputs(folder), "--out", tmp_path / "model") == 2
    assert "is there already" in failed(capsys)


def test_fits_can_be_kept_elsewhere(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LATENSIFY_FITS", str(tmp_path / "fits"))
    told = fitted(capsys, folder)
    assert Path(told["folder"]) == tmp_path / "fits" / told["fit"]
    monkeypatch.setenv("LATENSIFY_HOME", str(tmp_path / "another"))
    assert fitted(capsys, folder)["cached"], "another task of a farm finds it"


def test_it_says_how_the_fit_goes_and_how_to_use_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("train", "shot", *inputs(folder)) == 0
    told = capsys.readouterr()
    assert told.err.startswith("fit ") and "latensify render remove --fill fitted" in told.out
    assert f"The model of {len(FRAMES)} frames is fitted" in told.out


def test_render_fits_first_if_need_be(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*render(folder, tmp_path, "--fit", "--frames", "1003")) == 0
    assert shows_the_fit(tmp_path / "o.1003.exr")
    (record,) = Fits(fits_folder()).all()
    assert len(record.frames) == len(FRAMES), "to the whole shot, whatever --frames says"
    said = json.loads(read(tmp_path / "o.1003.exr")[1]["latensify:params"])
    assert said["fill"] == "fitted"
    assert call(*render(folder, tmp_path, "--fit", "--frames", "1004")) == 0
    assert shows_the_fit(tmp_path / "o.1004.exr") and Fits(fits_folder()).all() == [record]
    capsys.readouterr()
    assert call(*render(folder, tmp_path, "--fit", "--fill", "classical")) == 2
    assert "leave one out" in failed(capsys)


def test_resume_renders_again_what_was_made_without_the_fit(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = render(folder, tmp_path, "--fill", "fitted", "--frames", "1002-1004", "--resume", "--json")

    def summary() -> dict[str, Any]:
        capsys.readouterr()
        assert call(*words) == 0
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        return told

    assert summary()["rendered"] == [1002, 1003, 1004]
    assert summary()["skipped"] == [1002, 1003, 1004]
    fitted(capsys, folder)
    assert summary()["rendered"] == [1002, 1003, 1004]
    assert summary()["skipped"] == [1002, 1003, 1004]
    assert shows_the_fit(tmp_path / "o.1003.exr")


def test_what_cannot_be_is_told_in_a_sentence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plate = f"{folder}/plate.%04d.exr"
    for words, code, said in (
        (["--in", plate], 2, "Remove needs a matte"),
        (["--in", plate, "--mask", f"{folder}/no.%04d.exr"], 3, "no.%04d.exr"),
        ([*inputs(folder), "--frames", "1007-1012"], 3, "but not 1009, 1010"),
        ([*inputs(folder), "--seed", "-1"], 2, "'seed' cannot be"),
        ([*inputs(folder), "--frames", ""], 2, "--frames is empty"),
    ):
        assert call("train", "shot", *words) == code
        assert said in failed(capsys)


def test_extend_fits_to_the_whole_frame(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plate = ["--in", f"{folder}/plate.%04d.exr", "--engine", "fake"]
    assert call("train", "shot", "--effect", "extend", *inputs(folder)) == 2
    assert "Extend takes no matte" in failed(capsys)
    words = [*plate, "--left", "8", "--frames", "1002", "--fit", "--out", str(tmp_path / "wide.exr")]
    assert call("render", "extend", *words) == 0
    (record,) = Fits(fits_folder()).all()
    assert record.settings.effect == "extend" and [mask for _, mask in record.frames] == [None] * len(FRAMES)
    assert call("train", "shot", "--effect", "extend", *plate) == 0
    assert "was fitted before" in capsys.readouterr().out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_is_stopped_goes_on(folder: Path, home: Path, number: int, code: int) -> None:
    command = [sys.executable, "-m", "latensify_server", "train", "shot", *inputs(folder, "slow-fake")]

    def lines_until(process: subprocess.Popen[str], enough: int) -> list[int]:
        """Fits for a while, then stops it; the percents that were told."""
        assert process.stderr is not None
        percents = []
        for line in process.stderr:
            if "fitting, step" in line:
                percents.append(int(line.rsplit(" ", 1)[1].rstrip("%\n")))
            if len(percents) == enough:
                break
        process.send_signal(number)
        rest = process.stderr.read().splitlines()
        assert process.wait(30) == code
        assert rest[-1] == "latensify: Stopped; what is fitted is kept, and the same command goes on from there."
        return percents

    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        first = lines_until(process, 3)
    assert not Fits(fits_folder()).all()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        second = lines_until(process, 1)
    assert second[0] >= first[-1] > 0


def test_a_server_of_ones_own_makes_the_fit(folder: Path, slow: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """It is kept where that server looks, and waits there as any request does."""
    command = [sys.executable, "-m", "latensify_server", "train", "shot", *inputs(folder), "--server", slow.endpoint]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stderr is not None
        assert any("fitting, step" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        process.stderr.read()
    parts = list((slow.log.parent / "cache/fits").glob("*.part"))
    assert len(parts) == 1 and (parts[0] / "frames.json").is_file()
