"""The C++ programs that tests run, built when they are asked for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def built(target: str) -> Path:
    """A program of the bridge, by its target. The first build compiles libzmq, for minutes; skips without cmake."""
    if not shutil.which("cmake"):
        pytest.skip("cmake is not installed; `make setup` installs it")
    folder = REPOSITORY / "build/gcc"
    options = [
        "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
        f"-DPython3_EXECUTABLE={sys.executable}",
        "-DLATENSIFY_BRIDGE_TESTS=ON",
    ]
    for command in (
        ["cmake", "-S", str(REPOSITORY / "ofx_plugin"), "-B", str(folder), "-G", "Ninja", *options],
        ["cmake", "--build", str(folder), "--target", target],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
    return folder / "bridge" / target
