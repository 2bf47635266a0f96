"""Every test keeps its files, sockets and shared memory to itself."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """LATENSIFY_HOME, under a short path since sockets lie in it; shared memory beside it."""
    folder = Path(tempfile.mkdtemp(prefix="lt-"))
    shared = Path(tempfile.mkdtemp(prefix="lt-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    monkeypatch.setenv("LATENSIFY_HOME", str(folder))
    monkeypatch.setenv("LATENSIFY_SHM", str(shared))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(shared, ignore_errors=True)
