"""The C++ decoders under the address and the undefined-behaviour sanitizer, fed with mutants of the corpus.

LATENSIFY_FUZZ_S makes it go on for so many seconds, LATENSIFY_FUZZ_SEED takes other chances. A crash leaves its bytes
in tests/fuzz/corpus/, once: name the file after what was wrong and keep it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bridge.building import built

REPOSITORY = Path(__file__).parents[2]
TESTS = REPOSITORY / "tests"

pytestmark = pytest.mark.timeout(0)  # the first build compiles the decoders with sanitizers


@pytest.fixture(scope="session")
def fuzz_messages() -> Path:
    return built("fuzz_messages")


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
