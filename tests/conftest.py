"""Every test keeps its files, sockets and shared memory to itself."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from hosts.servers import Server, server

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

REPOSITORY = Path(__file__).parents[1]


def _nothing_skipped(report: Report) -> Report:
    """Where LATENSIFY_CI is set, nothing may be skipped for want of a part."""
    if report.skipped and os.environ.get("LATENSIFY_CI"):
        report.outcome = "failed"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _nothing_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _nothing_skipped((yield))


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The bundle that `make plugin` leaves; LATENSIFY_BUNDLE names another."""
    found = Path(os.environ.get("LATENSIFY_BUNDLE", REPOSITORY / "build/plugin/Latensify.ofx.bundle"))
    assert found.is_dir(), f"{found} is not there: run `make plugin` first"
    return found


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


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[None]:
    """A server that a test runs in this process logs to a stream that ends with the test: its handler goes too."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture
def slow(tmp_path: Path, home: Path) -> Iterator[Server]:
    """A server whose edit takes ten seconds, in steps of 50 ms."""
    with server(tmp_path / "slow", engine="slow-fake") as running:
        yield running
