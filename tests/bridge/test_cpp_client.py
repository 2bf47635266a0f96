"""The C++ client with real servers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.driver import HEIGHT, WIDTH, Driver, Request, described, inverted, plate, request, result_name
from hosts.servers import Server, free_port, server
from latensify_bridge import __version__
from latensify_bridge.client import Session
from latensify_bridge.effects import Restyle
from latensify_bridge.frames import Depth
from latensify_bridge.protocol import PART_BYTES, Source
from latensify_bridge.windows import frames_of

pytestmark = pytest.mark.timeout(900)  # the first build compiles libzmq

PROMISED_S = 0.25  # how long an abort may take


@pytest.fixture(scope="module")
def shared() -> Iterator[dict[str, str]]:
    """The shared-memory folder of the servers that several tests use, as an environment."""
    folder = Path(tempfile.mkdtemp(prefix="lt-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    yield {"LATENSIFY_SHM": str(folder)}
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory, shared: dict[str, str]) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("fake"), env=shared) as running:
        yield running


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory, shared: dict[str, str]) -> Iterator[Server]:
    """A server whose edit takes ten seconds, in steps of 50 ms."""
    with server(tmp_path_factory.mktemp("slow"), engine="slow-fake", env=shared) as running:
        yield running


@pytest.fixture
def near(bridge_test: Path, shared: dict[str, str]) -> Iterator[Driver]:
    """A client that shares the servers' memory."""
    with Driver(bridge_test, shared) as driver:
        yield driver


# --- edits ---


def test_a_failure_has_the_id_by_which_the_log_tells_of_it(near: Driver, fake: Server, tmp_path: Path) -> None:
    failure = near.ask(request(tmp_path, fake.endpoint, params={"strength": 9.0}))["failure"]
    (line,) = [line for line in fake.log.read_text().splitlines() if f"[{failure['request']}]" in line]
    assert failure["code"] == "bad_parameter" and line.endswith(f"failed: {failure['message']}")


def test_an_edit_comes_back_then_comes_from_the_cache(near: Driver, fake: Server, tmp_path: Path) -> None:
    first = near.ask(request(tmp_path, fake.endpoint))["edited"]
    assert first["pixels"] == inverted(plate(5)) and first["box"] == [0, 0, WIDTH, HEIGHT]
    assert first["model"] == "fake" and first["server"] == __version__ and not first["cached"]
    again = near.ask(request(tmp_path, fake.endpoint))["edited"]
    assert again == {**first, "cached": True, "seconds": 0}


@pytest.mark.parametrize("depth", Depth)
def test_a_matte_travels_with_its_frame(near: Driver, fake: Server, tmp_path: Path, depth: Depth) -> None:
    mask = plate(99)[..., 0].copy()
    asked = request(
        tmp_path, fake.endpoint, 6, mask, effect="remove", depth=depth.value, params={"window": 1, "overlap": 0}
    )
    assert near.ask(asked)["edited"]["pixels"] == inverted(plate(6), depth, mask)


def test_both_clients_get_the_same_window(near: Driver, fake: Server, tmp_path: Path) -> None:
    frame, first, last, window, overlap = shot = (-3, -40, 40, 8, 3)
    with Session(fake.endpoint, "python") as session:
        numbers = frames_of(*shot)
        sources = [Source(number, session.send(plate(number))) for number in numbers]
        edit = Restyle(prompt="x", window=window, overlap=overlap)
        edited, _ = session.edit("restyle", edit, frame, first, last, sources, (WIDTH, HEIGHT))
    frames = [{"number": number, "pixels": described(tmp_path, plate(number))} for number in numbers]
    asked = request(tmp_path, fake.endpoint, frame, first=first, last=last, sources=frames)
    asked["params"] = {"prompt": "x", "window": window, "overlap": overlap}
    answer = near.ask(asked)["edited"]
    assert answer["pixels"] == result_name(edited.rgb, edited.matte)
    assert answer["cached"], "the same request: the parameters left out are the defaults"


def test_large_frames_travel_inline_between_machines(bridge_test: Path, fake: Server, tmp_path: Path) -> None:
    big = plate(1, 1000, 1100)
    assert big.nbytes > 2 * PART_BYTES
    source = {"number": 5, "pixels": described(tmp_path, big)}
    asked = request(tmp_path, fake.endpoint, sources=[source], width=1000, height=1100, depth="float")
    (tmp_path / "elsewhere").mkdir()
    with Driver(bridge_test, {"LATENSIFY_SHM": str(tmp_path / "elsewhere")}) as far:
        assert far.ask(asked)["edited"]["pixels"] == inverted(big, Depth.FLOAT)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_segments_are_reused_and_go_with_the_client(
    bridge_test: Path, fake: Server, shared: dict[str, str], tmp_path: Path
) -> None:
    def segments() -> set[Path]:
        return set(Path(shared["LATENSIFY_SHM"]).glob("seg-*"))

    before = segments()
    with Driver(bridge_test, shared) as driver:
        driver.ask(request(tmp_path, fake.endpoint, 20))
        ours = segments() - before
        assert len(ours) == 2
        big = {"number": 21, "pixels": described(tmp_path, plate(21, 400, 300))}
        answer = driver.ask(request(tmp_path, fake.endpoint, 21, sources=[big], width=400, height=300))
        assert answer["edited"]["pixels"] == inverted(plate(21, 400, 300))
        assert segments() - before == ours
    assert segments() == before


def test_threads_that_share_a_bridge_get_each_its_own_answer(near: Driver, fake: Server, tmp_path: Path) -> None:
    numbers = range(100, 108)
    for _ in range(3):  # at first all connect, then all take idle connections
        near.tell({"together": [request(tmp_path, fake.endpoint, number) for number in numbers]})
        answers = {answer["name"]: answer for answer in (near.hear() for _ in numbers)}
        for number in numbers:
            assert answers[str(number)]["edited"]["pixels"] == inverted(plate(number)), number


# --- failures that the server tells ---


def test_a_servers_sentence_is_passed_on(near: Driver, fake: Server, tmp_path: Path) -> None:
    code, said = near.failure(request(tmp_path, fake.endpoint, params={"prompt": "x", "strength": 9.0}))
    assert code == "bad_parameter" and "'strength' cannot be 9.0" in said
    code, said = near.failure(request(tmp_path, fake.endpoint, effect="sharpen"))
    assert code == "unknown_effect" and "no effect 'sharpen'" in said
    missing = [{"number": 5, "pixels": {"missing": "0" * 32}}]
    code, said = near.failure(request(tmp_path, fake.endpoint, sources=missing))
    assert code == "frame_missing" and "does not hold 1 of the frames" in said
    assert "edited" in near.ask(request(tmp_path, fake.endpoint)), "the connection is still good"


# --- waits that end ---


def test_an_abort_returns_at_once_and_frees_the_server(near: Driver, slow: Server, tmp_path: Path) -> None:
    answer = near.ask(request(tmp_path, slow.endpoint, 30, abort_after_s=1.5))
    assert answer["failure"]["code"] == "cancelled"
    assert answer["stopping_took_s"] < PROMISED_S and answer["longest_gap_s"] < PROMISED_S
    fractions = [fraction for fraction, stage, _ in answer["seen"] if stage.startswith("step")]
    assert len(fractions) > 2 and fractions == sorted(fractions)
    with Session(slow.endpoint, "look") as look:
        deadline = time.monotonic() + 5
        while look.status().queue and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not look.status().queue


def test_an_edit_that_takes_too_long_is_given_up(near: Driver, slow: Server, tmp_path: Path) -> None:
    answer = near.ask(request(tmp_path, slow.endpoint, 31, timeout_s=0.5))
    assert answer["failure"]["code"] == "timeout" and "longer than 0.5 s" in answer["failure"]["message"]
    assert answer["elapsed_s"] < 3
    with Session(slow.endpoint, "look") as look:
        assert not look.status().queue


def test_a_hung_server_is_noticed_and_waiting_for_it_can_be_stopped(near: Driver, slow: Server, tmp_path: Path) -> None:
    warm = [request(tmp_path, slow.endpoint, number, timeout_s=0.1) for number in range(40, 44)]
    near.tell({"together": warm})
    assert [near.hear()["failure"]["code"] for _ in warm] == ["timeout"] * 4  # four idle connections now
    slow.pause()
    try:
        answer = near.ask(request(tmp_path, slow.endpoint, abort_after_s=0.1))
        assert answer["failure"]["code"] == "cancelled" and answer["stopping_took_s"] < PROMISED_S
        answer = near.ask(request(tmp_path, slow.endpoint))
        assert answer["failure"]["code"] == "unreachable" and "does not answer" in answer["failure"]["message"]
        assert answer["elapsed_s"] < 5 and answer["longest_gap_s"] < PROMISED_S
    finally:
        slow.resume()


def test_a_server_may_be_killed_and_come_back(near: Driver, shared: dict[str, str], tmp_path: Path) -> None:
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with server(tmp_path / "first", "slow-fake", endpoint, shared) as running:
        near.tell(request(tmp_path, endpoint))
        with Session(endpoint, "look") as look:
            while not look.status().queue:
                time.sleep(0.02)
        running.kill()
        killed = time.monotonic()
        answer = near.hear()
        assert answer["failure"]["code"] == "unreachable" and time.monotonic() - killed < 5
    with server(tmp_path / "second", "fake", endpoint, shared):
        assert near.ask(request(tmp_path, endpoint))["edited"]["pixels"] == inverted(plate(5))
    with server(tmp_path / "third", "fake", endpoint, shared):  # while the connection was idle
        assert near.ask(request(tmp_path, endpoint))["edited"]["pixels"] == inverted(plate(5))


def test_nobody_at_the_address_is_told_within_five_seconds(near: Driver, tmp_path: Path) -> None:
    answer = near.ask(request(tmp_path, f"tcp://127.0.0.1:{free_port()}"))
    assert answer["failure"]["code"] == "unreachable" and "latensify serve" in answer["failure"]["message"]
    assert answer["elapsed_s"] < 5
    code, said = near.failure(request(tmp_path, "tcp://:nowhere"))
    assert code == "unreachable" and "'tcp://:nowhere' is not an address of a server" in said


# --- auto: this user's own server, started when none runs ---


@pytest.fixture
def own(bridge_test: Path, home: Path) -> Iterator[Driver]:
    with Driver(bridge_test) as driver:
        yield driver


def record(home: Path, *command: str) -> None:
    (home / "config").mkdir(exist_ok=True)
    (home / "config/server.json").write_text(json.dumps({"command": command}))


@pytest.fixture
def recorded(home: Path) -> Iterator[Path]:
    """A recorded command that starts a real server, and a file that gets a line for each that was started."""
    pids = home / "pids"
    script = f'echo $$ >> {pids}; exec "$0" -m latensify_server serve --engine fake'
    record(home, "/bin/sh", "-c", script, sys.executable)
    yield pids
    for pid in pids.read_text().split() if pids.exists() else []:
        end(int(pid))


def end(pid: int) -> None:
    """Kills a process that is not our child, and waits until it is gone."""
    try:
        os.kill(pid, signal.SIGKILL)
        for _ in range(200):
            if Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] == "Z":
                return  # its parent, the client, lives on
            time.sleep(0.02)
    except OSError:
        pass


def auto(folder: Path, frame: int = 5) -> Request:
    return request(folder, "auto", frame)


def test_nothing_recorded_is_told(own: Driver, home: Path, tmp_path: Path) -> None:
    code, said = own.failure(auto(tmp_path))
    assert code == "unreachable" and "how to start one is not recorded; run `latensify plugin install`" in said
    for nonsense in ("{", "[]", '{"command": []}', '{"command": "latensify serve"}', '{"command": [1]}'):
        (home / "config").mkdir(exist_ok=True)
        (home / "config/server.json").write_text(nonsense)
        assert own.failure(auto(tmp_path)) == (code, said), nonsense
    assert not (home / "run").exists()


def test_a_recorded_command_that_fails_names_the_log(own: Driver, home: Path, tmp_path: Path) -> None:
    record(home, "/bin/sh", "-c", "echo no luck; exit 3")
    code, said = own.failure(auto(tmp_path))
    log = home / "run/server.log"
    assert code == "unreachable" and said == f"The server could not be started; see {log}."
    assert log.read_text() == "no luck\n"
    record(home, "/nowhere/latensify", "serve")
    code, said = own.failure(auto(tmp_path))
    assert code == "unreachable" and "/nowhere/latensify: No such file" in said


def test_a_lock_that_cannot_be_had_is_told(own: Driver, home: Path, tmp_path: Path) -> None:
    record(home, "true")
    (home / "run/start.lock").mkdir(parents=True)
    code, said = own.failure(auto(tmp_path))
    assert code == "output_failed" and "start.lock" in said


def test_the_recorded_server_is_started_once_for_all(bridge_test: Path, recorded: Path, tmp_path: Path) -> None:
    with Driver(bridge_test) as one, Driver(bridge_test) as other:
        one.tell({"together": [auto(tmp_path, 1), auto(tmp_path, 2)]})
        other.tell(auto(tmp_path, 3))
        answers = {answer["name"]: answer for answer in (one.hear(), one.hear(), other.hear())}
        for number in (1, 2, 3):
            assert answers[str(number)]["edited"]["pixels"] == inverted(plate(number))
    assert len(recorded.read_text().split()) == 1
    with Driver(bridge_test) as later:  # it outlives the client that started it
        assert "edited" in later.ask(auto(tmp_path))
    assert len(recorded.read_text().split()) == 1


def test_a_server_that_was_killed_is_started_again(own: Driver, recorded: Path, tmp_path: Path) -> None:
    assert "edited" in own.ask(auto(tmp_path))
    end(int(recorded.read_text()))
    assert own.ask(auto(tmp_path))["edited"]["pixels"] == inverted(plate(5))
    assert len(recorded.read_text().split()) == 2


def test_a_server_that_has_ended_is_reaped_with_the_next_request(
    own: Driver, recorded: Path, fake: Server, tmp_path: Path
) -> None:
    assert "edited" in own.ask(auto(tmp_path))
    server_id = int(recorded.read_text())
    end(server_id)
    deadline = time.monotonic() + 20
    while Path(f"/proc/{server_id}").exists():  # its threads may end after it
        assert time.monotonic() < deadline
        assert "edited" in own.ask(request(tmp_path, fake.endpoint))


def test_starting_can_be_stopped(own: Driver, home: Path, tmp_path: Path) -> None:
    record(home, "/bin/sleep", "2")
    answer = own.ask({**auto(tmp_path), "abort_after_s": 0.3})
    assert answer["failure"]["code"] == "cancelled" and answer["stopping_took_s"] < PROMISED_S
    assert [stage for _, stage, _ in answer["seen"]] == ["starting the server"]


def test_a_folder_of_somebody_else_is_refused(own: Driver, home: Path, tmp_path: Path) -> None:
    record(home, "true")
    (home / "elsewhere").mkdir()
    (home / "run").symlink_to(home / "elsewhere")
    code, said = own.failure(auto(tmp_path))
    assert code == "bad_input" and "is not a folder of yours" in said
