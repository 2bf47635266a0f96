"""The C++ decoders under the address and the undefined-behaviour sanitizer, fed with mutants of the corpus.

LATENSIFY_FUZZ_S makes it go on for so many seconds, LATENSIFY_FUZZ_SEED takes other chances. A crash leaves its bytes
in tests/fuzz/corpus/, once: name the file after what was wrong and keep it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TESTS = REPOSITORY / "tests"

pytestmark = pytest.mark.timeout(0)  # the first build compiles the decoders with sanitizers


@pytest.fixture(scope="session")
def fuzz_messages() -> Path:
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
        ["cmake", "--build", str(folder), "--target", "fuzz_messages"],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
    return folder / "bridge/fuzz_messages"


def test_mutants_of_the_corpus_bring_no_decoder_down(fuzz_messages: Path, tmp_path: Path) -> None:
    corpus = [*sorted((TESTS / "golden/messages").glob("*.msgpack")), *sorted((TESTS / "fuzz/corpus").iterdir())]
    seed, seconds = os.environ.get("LATENSIFY_FUZZ_SEED", "1"), os.environ.get("LATENSIFY_FUZZ_S", "0")
    done = subprocess.run(
        [fuzz_messages, seed, "20000", seconds, *corpus], cwd=tmp_path, capture_output=True, text=True
    )
    crash = tmp_path / "fuzz-crash"
    if crash.exists():
        shutil.copy(crash, TESTS / "fuzz/corpus/crash")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["cases"] >= 20_000 and 0 < said["read"] < said["cases"]
