"""`latensify doctor`: what it finds here, and what it says when something is missing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from latensify_bridge.choices import ColourSpace, Quality
from latensify_server import doctor, models
from latensify_server.engine import FakeEngine
from latensify_server.fits import Fits, FitSettings, fits_folder
from latensify_server.models import INDEX
from server.plates import call


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENSIFY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LATENSIFY_MODELS", str(tmp_path / "models"))
    model = tmp_path / "models" / "mine"
    model.mkdir(parents=True)
    (model / INDEX).write_text("{}")


def found(name: str) -> doctor.Finding:
    return next(each for each in doctor.examine() if each.name == name)


def test_here_rendering_can_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("doctor", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["healthy"]
    findings = {each["name"]: each for each in report["findings"]}
    assert all(each["good"] for each in findings.values() if each["needed"])
    assert models.folder_hash(tmp_path / "models" / "mine")[:12] in findings["models"]["found"]
    assert not findings["server"]["found"].startswith("0.")
    assert not findings["server command"]["good"]
    assert findings["server command"]["remedy"] == "latensify plugin install"
    assert call("doctor") == 0
    assert "torch" in capsys.readouterr().out


def test_a_missing_package_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    assert call("doctor") == 1
    line = next(line for line in capsys.readouterr().out.splitlines() if " av " in line)
    assert line.startswith("MISSING")
    assert "pip install 'latensify[server]'" in line


def test_no_model_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "installed", list)
    finding = found("models")
    assert not finding.good
    assert "latensify train tiny" in finding.remedy
    assert not doctor.healthy([finding])


def test_little_shared_memory_is_told_but_does_not_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SHARED_LEAST_MIB", 2**60)
    finding = found("shared memory")
    assert not finding.good
    assert "--shm-size" in finding.remedy
    assert doctor.healthy([finding])


def test_a_running_server_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from latensify_bridge.folders import auto_endpoint, private, runtime_folder
    from latensify_server.service import Service
    from latensify_server.settings import Settings

    assert FakeEngine().device() == "fake"
    private(runtime_folder())
    service = Service(Settings(endpoint=auto_endpoint(), engine="fake"))
    thread = threading.Thread(target=service.run, daemon=True)
    thread.start()
    try:
        assert "runs on" in found("server").found
    finally:
        service.stop()
        thread.join()


def test_fits_are_counted() -> None:
    assert found("fits").found.startswith("0 made, 0 MiB in ")
    folder = fits_folder()
    settings = FitSettings("remove", ColourSpace.SRGB, 0.0, 4.0, 1.0, Quality.FINAL, 0)
    with Fits(folder).making(settings, (("a" * 32, None),), lambda: None) as out:
        assert out is not None
        (out / "weights").write_bytes(bytes(2 * 2**20))
        assert found("fits").found.startswith("0 made and 1 begun, 2 MiB in ")
    assert found("fits").found == f"1 made, 2 MiB in {folder}"
