"""The C++ client's test program (bridge/cpp/tests), built once beside the plugin's development build."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.building import built

REPOSITORY = Path(__file__).parents[2]

Cpp = Callable[..., bytes]


@pytest.fixture(scope="session")
def bridge_test() -> Path:
    """The program; LATENSIFY_BRIDGE_TEST names one built otherwise. The first build compiles libzmq, for minutes."""
    given = os.environ.get("LATENSIFY_BRIDGE_TEST")
    if given:
        return Path(given)
    return built("bridge_test")


@pytest.fixture(scope="session")
def cpp(bridge_test: Path) -> Cpp:
    """Runs a command of the program: `cpp("windows", file)` is what it prints."""

    def run(*words: str | Path, stdin: bytes = b"") -> bytes:
        done = subprocess.run([bridge_test, *map(str, words)], input=stdin, capture_output=True, timeout=60)
        assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr.decode()}"
        return done.stdout

    return run
