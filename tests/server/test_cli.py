"""The command line as a whole: help, options from the declarations, failures, and what it does not import."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from latensify_bridge import __version__, errors
from latensify_bridge.declared import parameters
from latensify_bridge.effects import EFFECTS, GROUPS
from latensify_server import cli
from latensify_server.cli.exit_codes import EXIT_CODES
from server.plates import call

ROOT = Path(__file__).parents[2]


def python(*words: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter: `-m MODULE ...`, or one line of code."""
    given = words if words[0] == "-m" else ("-c", *words)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, *given], capture_output=True, text=True, timeout=60, env=environment)


def test_help_is_quick_to_read_and_imports_nothing_heavy() -> None:
    code = "import sys; from latensify_server.cli import _run; _run(['--help']); print(*sys.modules)"
    done = python(code)
    assert all(name in done.stdout for name in cli.COMMANDS)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"torch", "numpy", "zmq", "OpenImageIO", "av", "rich"}


def test_rendering_imports_no_torch() -> None:
    code = "import sys, latensify_server.cli.render, latensify_server.local; print('torch' in sys.modules)"
    done = python(code)
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.parametrize("effect", EFFECTS)
def test_every_parameter_is_an_option_with_its_help(effect: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("render", effect, "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    for parameter in parameters(effect):
        assert f"--{parameter.name.replace('_', '-')}" in text
        if parameter.name != "server":
            assert parameter.help in text
        for choice in parameter.choices:
            assert choice.value in text
    for group in {parameter.group for parameter in parameters(effect)} - {GROUPS[-1]}:
        assert f"{group}:" in text


def test_the_exit_codes_are_those_of_the_errors_in_the_help_and_in_the_docs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert {kind.exit_code for kind in errors.by_code().values()} <= EXIT_CODES.keys()
    assert call("render", "--help") == 0
    shown = capsys.readouterr().out
    table = dict(re.findall(r"^\| (\d+) \| (.*) \|$", (ROOT / "docs/headless.md").read_text(), re.MULTILINE))
    assert {int(code): meaning for code, meaning in table.items()} == EXIT_CODES
    for code, meaning in EXIT_CODES.items():
        assert re.search(rf"^ *{code}  {re.escape(meaning)}$", shown, re.MULTILINE)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version") == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize("words", [["nope"], ["render", "restyle"], ["effects", "--nope"], ["effects", "nope"]])
def test_usage_mistakes_are_one_sentence(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*words) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("latensify: ")


def test_every_failure_has_its_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in errors.by_code().values():

        def fail(*_: object, kind: type[Exception] = kind, **__: object) -> None:
            raise kind("The thing failed; do this.")

        monkeypatch.setattr(cli.latensify, "main", fail)
        assert call("render") == kind.exit_code
        assert capsys.readouterr().err == "latensify: The thing failed; do this.\n"


def test_the_unexpected_is_one_sentence_and_a_traceback_only_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("so\nso")

    monkeypatch.setattr(cli.latensify, "main", fail)
    monkeypatch.delenv("LATENSIFY_DEBUG", raising=False)
    assert call("render") == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "ZeroDivisionError so so" in said
    monkeypatch.setenv("LATENSIFY_DEBUG", "1")
    assert call("render") == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_missing_extra_is_named_with_its_command() -> None:
    done = python("import sys; sys.modules['av'] = None; from latensify_server.cli import main; main(['render'])")
    assert done.returncode == 1
    assert done.stderr == "latensify: av is not installed; run `pip install 'latensify[server]'`.\n"


def test_effects_as_json_is_the_declaration() -> None:
    done = python("-m", "latensify_server", "effects", "--json")
    assert done.returncode == 0
    listed = {each["name"]: each for each in json.loads(done.stdout)}
    assert list(listed) == list(EFFECTS)
    for effect, each in listed.items():
        names = [parameter["name"] for parameter in each["parameters"]]
        assert names == [parameter.name for parameter in parameters(effect) if parameter.name != "server"]
    strength = next(each for each in listed["restyle"]["parameters"] if each["name"] == "strength")
    assert (strength["minimum"], strength["maximum"], strength["default"]) == (0, 1, 0.8)
