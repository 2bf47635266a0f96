"""`latensify plugin install|path|uninstall`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from latensify_bridge.client import recorded_command
from latensify_bridge.folders import config_folder
from latensify_server import plugin_install
from latensify_server.plugin_install import NAME
from server.plates import call, without_privileges

BINARY = Path("Contents/Linux-x86-64/Latensify.ofx")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENSIFY_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("OFX_PLUGIN_PATH", raising=False)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    place = tmp_path / "built" / NAME
    (place / BINARY).parent.mkdir(parents=True)
    (place / BINARY).write_bytes(b"binary")
    return place


def test_install_path_uninstall(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to = tmp_path / "plugins" / "deep"
    assert call("plugin", "install", "--bundle", bundle, "--to", to) == 0
    assert f"OFX_PLUGIN_PATH={to}" in capsys.readouterr().out
    assert (to / NAME / BINARY).read_bytes() == b"binary"
    assert recorded_command() == [sys.executable, "-E", "-P", "-m", "latensify_server", "serve", "--auto"]
    assert call("plugin", "path") == 0
    assert capsys.readouterr().out.strip() == str(to / NAME)
    (to / "Other.ofx.bundle").mkdir()
    assert call("plugin", "uninstall") == 0
    assert [path.name for path in to.iterdir()] == ["Other.ofx.bundle"]
    assert not (config_folder() / "server.json").exists()
    assert bundle.exists()


def test_a_new_bundle_replaces_the_old_one_whole(bundle: Path, tmp_path: Path) -> None:
    to = tmp_path / "plugins"
    assert call("plugin", "install", "--bundle", bundle, "--to", to) == 0
    (to / NAME / "Contents" / "stale").touch()
    (bundle / BINARY).write_bytes(b"newer")
    assert call("plugin", "install", "--bundle", bundle, "--to", to) == 0
    assert (to / NAME / BINARY).read_bytes() == b"newer"
    assert not (to / NAME / "Contents" / "stale").exists()
    assert [path.name for path in to.iterdir()] == [NAME]
    assert json.loads((config_folder() / "server.json").read_text())["installed"] == [str(to / NAME)]


def test_two_places_are_both_known_and_both_removed(bundle: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert call("plugin", "install", "--bundle", bundle, "--to", tmp_path / name) == 0
    assert plugin_install.installed() == [tmp_path / "one" / NAME, tmp_path / "two" / NAME]
    assert call("plugin", "uninstall") == 0
    assert plugin_install.installed() == []


def test_where_no_bundle_is_it_says_how_to_build_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plugin_install, "_PLACES", (tmp_path / NAME,))
    assert call("plugin", "install", "--to", tmp_path / "plugins") == 3
    assert "make plugin" in capsys.readouterr().err
    assert call("plugin", "install", "--bundle", tmp_path, "--to", tmp_path / "plugins") == 3
    assert "is not an OpenFX bundle" in capsys.readouterr().err
    assert not (tmp_path / "plugins").exists()


def test_installing_a_bundle_onto_itself_is_refused(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("plugin", "install", "--bundle", bundle, "--to", bundle.parent) == 3
    assert (bundle / BINARY).read_bytes() == b"binary"


def test_a_folder_that_cannot_be_made_is_named(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("plugin", "install", "--bundle", bundle, "--to", "/proc/none") == 4
    assert "/proc/none" in capsys.readouterr().err


def test_without_the_right_to_write_to_the_system_the_home_is_used() -> None:
    with without_privileges():
        assert plugin_install.default_folder() == Path.home() / "OFX" / "Plugins"


def test_the_recorded_command_works_under_a_host_with_a_python_of_its_own(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host's PYTHONHOME would stop our Python; a random.py where the host runs would be taken for Python's."""
    assert call("plugin", "install", "--bundle", bundle, "--to", tmp_path / "plugins") == 0
    (tmp_path / "random.py").write_text("raise SystemExit('imported from where the host runs')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONHOME", str(tmp_path / "no such python"))
    command = [*recorded_command(), "--engine", "fake", "--idle-exit", "0.5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Listening on" in done.stdout and "engine fake ready" in done.stderr
