"""The Python client where there is no good server. With one: tests/server/test_service.py."""

import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from hosts.stub_server import WELCOME, stub_server
from latensify_bridge import __version__
from latensify_bridge.client import Session, connect
from latensify_bridge.errors import Cancelled, Misbehaved, Unreachable, VersionMismatch


def record(home: Path, *command: str) -> None:
    (home / "config").mkdir(parents=True)
    (home / "config/server.json").write_text(json.dumps({"command": command}))


def test_nobody_there_is_told_within_five_seconds() -> None:
    started = time.monotonic()
    with pytest.raises(Unreachable, match=r"tcp://127\.0\.0\.1:9 does not answer"):
        Session("tcp://127.0.0.1:9", "test")
    assert time.monotonic() - started < 5


def test_nonsense_is_no_address() -> None:
    with pytest.raises(Unreachable, match="'nonsense' is not an address of a server"):
        Session("nonsense", "test")


@pytest.mark.parametrize("welcome", [{**WELCOME, "protocol": 7}, {"type": "welcome", "protocol": 7, "server": "9.9.9"}])
def test_a_server_of_another_version_is_told_with_both(welcome: dict[str, object]) -> None:
    said = rf"server 9\.9\.9 speaks protocol 7 and this Latensify {__version__} speaks 1"
    with stub_server(hello=lambda *_: [welcome]) as stub, pytest.raises(VersionMismatch, match=said):
        Session(stub.endpoint, "test")


def test_a_server_that_answers_something_else_is_refused() -> None:
    answer = {"type": "need", "frames": []}
    with stub_server(hello=lambda *_: [answer]) as stub, pytest.raises(Misbehaved, match="answered Need to Hello"):
        Session(stub.endpoint, "test")


def test_nothing_recorded_names_the_remedy(home: Path) -> None:
    with pytest.raises(Unreachable, match="run `latensify plugin install` or `latensify serve`"):
        connect("auto")
    with pytest.raises(Unreachable, match="No server runs on this machine"):
        connect("auto", start=False)


def test_the_recorded_server_is_started_once_and_found_again(home: Path) -> None:
    serve = [sys.executable, "-m", "latensify_server", "serve", "--auto", "--engine", "fake", "--idle-exit", "3"]
    record(home, *serve)
    sessions: list[Session] = []
    threads = [threading.Thread(target=lambda: sessions.append(connect("auto"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sessions) == 3
    for session in sessions:
        assert session.status().server == __version__
        session.close()
    connect("auto", start=False).close()
    assert (home / "run/server.log").read_text().count("Listening on") == 1


def test_a_server_that_we_started_and_that_has_ended_is_reaped(home: Path) -> None:
    record(home, sys.executable, "-m", "latensify_server", "serve", "--auto", "--engine", "fake", "--idle-exit", "30")
    before = psutil.Process().children()
    connect("auto").close()
    (started,) = [child for child in psutil.Process().children() if child not in before]
    started.kill()
    deadline = time.monotonic() + 10
    while started.is_running():
        assert time.monotonic() < deadline, started.status()
        time.sleep(0.05)


def test_a_command_that_fails_names_the_log(home: Path) -> None:
    record(home, sys.executable, "-c", "raise SystemExit(3)")
    with pytest.raises(Unreachable, match=r"could not be started \(exit code 3\); see .*server\.log"):
        connect("auto")


def test_starting_can_be_stopped(home: Path) -> None:
    record(home, sys.executable, "-c", "import time; time.sleep(5)")
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        connect("auto", cancelled=stop.is_set)
    assert time.monotonic() - started < 1


def test_a_socket_left_over_by_a_killed_server_costs_no_time(home: Path) -> None:
    (home / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(home / "run/server.sock"))
    started = time.monotonic()
    with pytest.raises(Unreachable, match="No server runs"):
        connect("auto", start=False)
    assert time.monotonic() - started < 0.5


def test_a_second_server_of_ones_own_leaves_the_first_alone(home: Path) -> None:
    command = [sys.executable, "-m", "latensify_server", "serve", "--engine", "fake"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None and "Listening" in first.stdout.readline()
        second = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert second.returncode == 0 and "A server of yours runs already" in second.stdout
        connect("auto", start=False).close()
        first.terminate()
