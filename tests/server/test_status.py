"""What the server tells of itself: the report, and `latensify status`."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from hosts.servers import Server
from latensify_bridge.client import Session
from latensify_bridge.effects import Remove, Restyle
from latensify_bridge.errors import Cancelled, LatensifyError
from latensify_bridge.frames import to_half
from latensify_bridge.protocol import DeviceMemory, Report, Source, Trouble, Waiting
from latensify_server.cli import status
from latensify_server.local import local_server
from latensify_server.settings import Settings
from latensify_server.tally import CACHED, DONE, WITHIN_S, Kind, Tally, Times
from server.plates import call

SIZE = (48, 32)
PLATE = to_half(np.random.default_rng(1).random((32, 48, 4), np.float32))
ONE = Restyle(prompt="x", window=1, overlap=0)


@pytest.fixture
def endpoint(home: Path) -> Iterator[str]:
    with local_server(Settings(endpoint="", engine="fake")) as address:
        yield address


def render(session: Session, frame: int, seed: int = 0) -> None:
    edit = Restyle(prompt="x", window=1, overlap=0, seed=seed)
    session.edit("restyle", edit, frame, frame, frame, [Source(frame, session.send(PLATE))], SIZE)


def until(found: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextlib.contextmanager
def waiting(endpoint: str, name: str, frame: int, seed: int) -> Iterator[None]:
    """A client that waits for a frame until the block ends."""
    stop = threading.Event()

    def wait() -> None:
        with Session(endpoint, name, cancelled=stop.is_set) as session, pytest.raises(Cancelled):
            render(session, frame, seed)

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_frames_and_hits_are_counted(endpoint: str) -> None:
    with Session(endpoint, "test") as session:
        for frame in (1, 2, 1, 1):
            render(session, frame, seed=frame)
        report = session.status()
    assert (report.cache_hits, report.cache_misses, report.finished, report.failed) == (2, 2, 2, 0)
    assert 4 / 60 <= report.frames_per_s <= 4
    assert report.cache_entries == 2 and report.held_frames == 1
    assert 0 < report.held_bytes <= report.held_limit_bytes
    assert (report.fits, report.fits_bytes) == (0, 0)


def test_the_devices_memory_is_told(endpoint: str) -> None:
    with Session(endpoint, "test") as session:
        render(session, 1)
        memory = session.status().memory
    assert memory is not None
    assert 0 < memory.peak_bytes <= memory.total_bytes and 0 < memory.used_bytes <= memory.total_bytes


def test_a_failure_is_told_with_its_code_its_id_and_its_client(endpoint: str) -> None:
    before = time.time()
    with Session(endpoint, "Nuke 15") as session:
        sources = [Source(1, session.send(PLATE))]
        with pytest.raises(LatensifyError) as caught:
            session.edit("remove", Remove(window=1, overlap=0), 1, 1, 1, sources, SIZE)
        report = session.status()
    (trouble,) = report.troubles
    assert trouble.id == caught.value.request != ""
    assert (trouble.code, trouble.effect, trouble.client) == ("bad_input", "remove", "Nuke 15")
    assert trouble.message == str(caught.value) and before <= trouble.at_s <= time.time()
    assert report.last_errors == [f"{trouble.id} bad_input: {trouble.message}"] and report.failed == 1


def test_the_queue_tells_who_waits_for_what(slow: Server) -> None:
    with Session(slow.endpoint, "look") as look, waiting(slow.endpoint, "first", 7, 1):
        until(lambda: any(job.running and job.stage.startswith("step") for job in look.status().queue))
        with waiting(slow.endpoint, "second", 8, 2):
            until(lambda: len(look.status().queue) == 2)
            running, behind = look.status().queue
    assert (running.client, running.frame, running.running, running.ahead) == ("first", 7, True, 0)
    assert (behind.client, behind.frame, behind.running, behind.ahead) == ("second", 8, False, 1)
    assert 0 < running.fraction < 1 and running.stage.startswith("step")
    assert running.waited_s > behind.waited_s > 0


def test_status_prints_the_report_as_json(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("status", "--server", endpoint, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["device"] in ("fake", "starting") and told["queue"] == [] and "frames_per_s" in told


def test_status_prints_the_report_for_people(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with Session(endpoint, "test") as session:
        render(session, 1)
    assert call("status", "--server", endpoint) == 0
    said = capsys.readouterr().out
    assert "device   fake; memory" in said and "1 results" in said and "0 of 1 frames from there (0%)" in said


def test_nobody_answers_a_status_without_a_server(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("status") == 6
    assert "start one with `latensify serve`" in capsys.readouterr().err


@contextlib.contextmanager
def watching(endpoint: str, stdout: int, *more: str) -> Iterator[None]:
    """`latensify status --watch`, interrupted when the block ends; that is no failure."""
    words = [sys.executable, "-m", "latensify_server", "status", "--server", endpoint, "--watch", *more]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm", "COLUMNS": "160"}
    process = subprocess.Popen(words, stdout=stdout, stderr=subprocess.PIPE, env=environment)
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (0, b"")


@pytest.mark.parametrize("more", [[], ["--json"]], ids=["lines", "json"])
def test_watch_in_a_pipe_tells_it_again_and_again(endpoint: str, more: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with open(out, "wb") as file, watching(endpoint, file.fileno(), *more):
        until(lambda: out.read_text().count("fake") >= 2)
    if more:
        assert all(json.loads(line)["protocol"] == 1 for line in out.read_text().splitlines())


def test_watch_on_a_terminal_redraws(endpoint: str) -> None:
    master, terminal = pty.openpty()
    said = b""
    try:
        with watching(endpoint, terminal):
            while said.count(b"device   fake") < 3:
                assert select.select([master], [], [], 20)[0], said
                said += os.read(master, 65536)
    finally:
        os.close(terminal)
        os.close(master)
    assert b"\x1b[1A" in said, "the cursor goes up to draw it anew"


REPORT = Report(
    id="a",
    server="1.0",
    protocol=1,
    uptime_s=7265,
    device="GPU",
    models=["tiny"],
    queue=[
        Waiting("c0-1", "restyle", 7, True, True, 0.25, "Latensify 1.0", "Nuke 15", "step 2 of 8", 0, 61),
        Waiting("c0-2", "remove", 8, False, False, 0, "render\x1b[2J", "", "waiting behind 1", 1, 3),
    ],
    held_frames=3,
    held_bytes=3 * 2**20,
    cache_entries=2,
    cache_bytes=2**30,
    cache_limit_bytes=20 * 2**30,
    finished=5,
    failed=1,
    last_errors=[],
    memory=DeviceMemory(24 * 2**30, 9 * 2**30, 7 * 2**30),
    cache_hits=1,
    cache_misses=3,
    frames_per_s=1.5,
    troubles=[Trouble(0.0, "c0-3", "busy", "Full.\nfake line", "remove", "Resolve")],
)


def test_a_report_for_people_has_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    Console(width=160, soft_wrap=True).print(status.shown(REPORT))
    said = capsys.readouterr().out
    for words in ("up 2 h 1 min", "memory 9.0 GiB of 24.0 GiB used, the engine's peak 7.0 GiB", "(25%)", "1.50 frames"):
        assert words in said
    assert re.search(r"now +c0-1 +Latensify 1.0 in Nuke 15 +restyle +7 +interactive +step 2 of 8 25% +1 min 1 s", said)
    assert re.search(r"1 +c0-2 +render\\x1b\[2J +remove +8 +background +waiting behind 1 +3 s", said)
    assert re.search(r"busy \[c0-3\] remove Resolve: Full\.\\x0afake line", said)
    assert "\x1b[2J" not in said


def test_an_older_servers_report_is_shown() -> None:
    old = Report(
        id="a",
        server="0.9",
        protocol=1,
        uptime_s=1,
        device="cpu",
        models=[],
        queue=[Waiting("x", "restyle", 1, True, False, 0)],
        held_frames=0,
        held_bytes=0,
        cache_entries=0,
        cache_bytes=0,
        cache_limit_bytes=2**30,
        finished=0,
        failed=0,
        last_errors=[],
    )
    assert any("models   none" in line for line in status.lines(old))


def test_times_are_counted_by_their_bound() -> None:
    times = Times().with_one(0.0).with_one(WITHIN_S[0]).with_one(WITHIN_S[0] * 1.01).with_one(1e6)
    assert times.counts[:2] == (2, 1) and times.counts[-1] == 1 and times.count == 4
    assert times.total_s == pytest.approx(1e6, abs=1)


def test_an_effect_that_nobody_knows_has_no_row_of_its_own() -> None:
    tally = Tally()
    for name in ("restyle", "\n" * 60, "x"):
        tally.count(name, "frame", DONE, 1.0)
    tally.count("restyle", "frame", CACHED, 0.0)
    counts = {kind: times.count for kind, times in tally.times.items()}
    assert counts == {
        Kind("restyle", "frame", DONE): 1,
        Kind("unknown", "frame", DONE): 2,
        Kind("restyle", "frame", CACHED): 1,
    }
    assert (tally.cache_hits, tally.cache_misses) == (1, 3)
