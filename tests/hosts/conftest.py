"""Servers for the tests of the plugin: one that stays for all of them, and slow ones to be stopped."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .servers import Server, server


@pytest.fixture(scope="session")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server whose edit inverts the plate inside its matte, and its folder in shared memory."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(prefix="lt-", dir=memory) as shared,
        server(tmp_path_factory.mktemp("fake"), env={"LATENSIFY_SHM": shared}) as found,
    ):
        yield found, shared


@pytest.fixture
def running(lasting: tuple[Server, str], home: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The lasting server, as a server on the same machine: pixels go through shared memory."""
    monkeypatch.setenv("LATENSIFY_SHM", lasting[1])
    return lasting[0]


@pytest.fixture
def elsewhere(lasting: tuple[Server, str]) -> Server:
    """The lasting server, as if on another machine: pixels go inline."""
    return lasting[0]
