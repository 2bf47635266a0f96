"""What is installed: small without the heavy parts, complete with the model."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
MIB = 2**20


def needed(found: Distribution) -> set[str]:
    """The distributions that one needs by itself, without extras."""
    requirements = [Requirement(line) for line in found.requires or []]
    return {each.name.lower() for each in requirements if not each.marker or each.marker.evaluate({"extra": ""})}


def core() -> dict[str, Distribution]:
    """What `pip install latensify` brings."""
    found: dict[str, Distribution] = {}
    wanted = needed(distribution("latensify"))
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = distribution(name)
            wanted |= needed(found[name])
    return found


def size(found: Distribution) -> int:
    files = [Path(str(found.locate_file(file))) for file in found.files or []]
    return sum(file.stat().st_size for file in files if file.is_file())


def test_the_core_is_light() -> None:
    installed = core()
    assert "numpy" in installed and "torch" not in installed
    ours = sum(f.stat().st_size for part in ("bridge", "server") for f in (ROOT / part).rglob("*") if f.is_file())
    assert sum(map(size, installed.values())) + ours < 150 * MIB


@pytest.mark.slow
def test_the_wheel_holds_the_code_and_the_model_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True)
    (wheel,) = tmp_path.glob("latensify-*-py3-none-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {
        "latensify_bridge",
        "latensify_server",
        "latensify",
    }
    assert "latensify_server/models/tiny/model_index.json" in names
    assert "latensify_server/models/tiny/unet/diffusion_pytorch_model.safetensors" in names
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pt", ".bin", ".pkl"))]
    assert wheel.stat().st_size < 27 * MIB
