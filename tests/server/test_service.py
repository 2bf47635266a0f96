import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest
import zmq

from hosts.servers import Server, server
from latensify_bridge import __version__
from latensify_bridge.client import Session
from latensify_bridge.effects import EFFECTS, Remove, Restyle
from latensify_bridge.errors import (
    BadInput,
    BadParameter,
    BadRequest,
    Busy,
    Cancelled,
    EngineFailed,
    FrameMissing,
    LatensifyError,
    Misbehaved,
    OutputFailed,
    TimedOut,
    UnknownEffect,
    Unreachable,
    VersionMismatch,
)
from latensify_bridge.frames import Depth, Edited, spec_of, to_half
from latensify_bridge.protocol import PART_BYTES, Failure, Hello, Result, Source, Submit, decode_from_server, encode
from latensify_bridge.segments import sweep
from latensify_bridge.windows import frames_of
from latensify_server.local import local_server
from latensify_server.service import Service
from latensify_server.settings import Settings

SIZE = (48, 32)
SHOT = {n: to_half(np.random.default_rng(n).random((32, 48, 4), np.float32)) for n in range(24)}
EDIT = Restyle(prompt="x", window=8, overlap=2)


@pytest.fixture
def endpoint(home: Path) -> Iterator[str]:
    with local_server(Settings(endpoint="", engine="fake")) as address:
        yield address


def sources(session: Session, frame: int, edit: Restyle = EDIT) -> list[Source]:
    numbers = frames_of(frame, 0, 23, edit.window, edit.overlap)
    return [Source(number, session.send(SHOT[number])) for number in numbers]


def render(session: Session, frame: int, edit: Restyle = EDIT, **more: object) -> tuple[Edited, Result]:
    found = sources(session, frame, edit)
    return session.edit("restyle", edit, frame, 0, 23, found, SIZE, **more)  # type: ignore[arg-type]


def test_hello_tells_versions_and_capabilities(endpoint: str) -> None:
    with Session(endpoint, "test") as session:
        assert session.welcome.server == __version__
        assert session.welcome.effects == list(EFFECTS)
        assert session.welcome.shared_memory is not None


def test_a_frame_is_edited_then_comes_from_the_cache(endpoint: str) -> None:
    edit = msgspec.structs.replace(EDIT, seed=101)
    with Session(endpoint, "test") as session:
        edited, result = render(session, 5, edit)
        assert not result.cached and result.segment is not None
        np.testing.assert_allclose(edited.rgb, 1 - SHOT[5][..., :3], atol=2e-3)
        again, repeated = render(session, 5, edit)
        assert repeated.cached and repeated.key == result.key
        np.testing.assert_array_equal(again.rgb, edited.rgb)
        assert render(session, 3, edit)[1].cached, "a neighbour in the same window was made with it"


def test_pixels_travel_inline_where_memory_is_not_shared(
    endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Session(endpoint, "near") as session:
        near, _ = render(session, 7)
    monkeypatch.setenv("LATENSIFY_SHM", str(tmp_path / "elsewhere"))
    with Session(endpoint, "far") as session:
        far, result = render(session, 7)
        assert result.segment is None
        big = to_half(np.random.default_rng(0).random((1100, 1000, 4), np.float32))
        assert big.nbytes > 2 * PART_BYTES
        name = session.send(big)
        wide = Restyle(prompt="x", window=1, overlap=0)
        edited, _ = session.edit("restyle", wide, 0, 0, 0, [Source(0, name)], (1000, 1100), depth=Depth.FLOAT)
        np.testing.assert_allclose(edited.rgb, 1 - big[..., :3].astype(np.float32), atol=1e-6)
    np.testing.assert_array_equal(far.rgb, near.rgb)


def test_results_do_not_depend_on_the_order_of_requests(tmp_path: Path) -> None:
    results: list[dict[int, bytes]] = []
    for number, order in enumerate((range(24), range(23, -1, -1), [13, 2, 20, *range(24)])):
        settings = Settings(endpoint="", engine="fake", cache=tmp_path / str(number))
        with local_server(settings) as address, Session(address, "test") as session:
            results.append({frame: render(session, frame)[0].rgb.tobytes() for frame in order})
    assert results[0] == results[1] == results[2]


def test_a_run_that_asks_for_fresh_results_gets_them_once(endpoint: str) -> None:
    with Session(endpoint, "test") as session:
        render(session, 5)
        assert not render(session, 5, fresh="run-1")[1].cached
        assert render(session, 4, fresh="run-1")[1].cached
        assert not render(session, 5, fresh="run-2")[1].cached


def raw_submit(endpoint: str, **changes: object) -> LatensifyError:
    """The failure of a request whose parameters no client of ours would send."""
    with Session(endpoint, "test") as session:
        effect = str(changes.pop("effect", "restyle"))
        values = {"prompt": "x", "window": 1, "overlap": 0, **changes}
        with pytest.raises(LatensifyError) as caught:
            session.edit(effect, values, 5, 0, 23, [Source(5, session.send(SHOT[5]))], SIZE)  # type: ignore[arg-type]
        return caught.value


def test_bad_parameters_are_refused_with_a_sentence(endpoint: str) -> None:
    for changes, kind, said in (
        ({"strength": 9.0}, BadParameter, "'strength' cannot be 9.0"),
        ({"strength": float("nan")}, BadParameter, "'strength' cannot be nan"),
        ({"colour": 1}, BadParameter, "There is no parameter 'colour'"),
        ({"effect": "sharpen"}, UnknownEffect, "no effect 'sharpen'"),
    ):
        error = raw_submit(endpoint, **changes)  # type: ignore[arg-type]
        assert isinstance(error, kind) and said in str(error)


def test_frames_that_do_not_fit_are_refused(endpoint: str) -> None:
    with Session(endpoint, "test") as session:
        plate, small = session.send(SHOT[0]), session.send(SHOT[0][:16, :, 0].copy())
        one = Remove(window=1, overlap=0)
        with pytest.raises(BadInput, match="matte of frame 0 is 48x16; its plate is 48x32"):
            session.edit("remove", one, 0, 0, 0, [Source(0, plate, small)], SIZE)
        with pytest.raises(BadInput, match="Remove needs a matte, and frame 0 has none"):
            session.edit("remove", one, 0, 0, 0, [Source(0, plate)], SIZE)
        with pytest.raises(FrameMissing, match="does not hold 1 of the frames"):
            session.edit("restyle", Restyle(prompt="x", window=1, overlap=0), 0, 0, 0, [Source(0, "0" * 32)], SIZE)


def test_a_wrong_protocol_version_names_both(endpoint: str) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.connect(endpoint)
        socket.send(encode(Hello(id="a", protocol=7, client="Latensify 9.0")))
        answer = decode_from_server(socket.recv())
        socket.linger = 0
    assert isinstance(answer, Failure) and answer.code == VersionMismatch.code
    assert "speaks protocol 7" in answer.message and f"the server {__version__} speaks 1" in answer.message


@pytest.mark.parametrize(
    "nonsense", [b"", b"\xc1", b"\x80", b"\x93abc", msgspec.msgpack.encode({"type": "reboot", "id": "a"})]
)
def test_nonsense_is_answered_and_the_server_goes_on(endpoint: str, nonsense: bytes) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.connect(endpoint)
        socket.linger = 0
        socket.send(nonsense)
        assert socket.poll(2000)
        assert isinstance(decode_from_server(socket.recv()), Failure)
    with Session(endpoint, "test") as session:
        assert session.status().server == __version__


def test_a_lying_put_is_refused(endpoint: str) -> None:
    with Session(endpoint, "test") as session, pytest.raises(Misbehaved, match="not those of frame"):
        session._put("0" * 32, spec_of(SHOT[0]), memoryview(SHOT[0].tobytes()))


def test_a_cancel_frees_the_worker_for_the_next(slow: Server) -> None:
    stop = threading.Event()
    with Session(slow.endpoint, "test", cancelled=stop.is_set) as session:
        found = sources(session, 5)
        threading.Timer(0.5, stop.set).start()
        with pytest.raises(Cancelled):
            session.edit("restyle", EDIT, 5, 0, 23, found, SIZE)
        returned = time.monotonic()
    with Session(slow.endpoint, "test") as session:
        deadline = returned + 5
        while session.status().queue and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not session.status().queue
        seen: list[str] = []
        with pytest.raises(TimedOut, match="longer than 1 s"):
            render(session, 5, timeout_s=1, on_progress=lambda step: seen.append(step.stage))
        assert any(stage.startswith("step") for stage in seen), "the worker took up the next request"


def test_an_interactive_frame_overtakes_a_range(slow: Server) -> None:
    with (
        Session(slow.endpoint, "range") as background,
        Session(slow.endpoint, "ui") as ui,
        Session(slow.endpoint, "look") as look,
    ):

        def wait(session: Session, frame: int, interactive: bool) -> None:
            with pytest.raises(TimedOut):
                render(session, frame, interactive=interactive, timeout_s=3)

        with Session(slow.endpoint, "first") as first:
            threads = []
            for session, frame, interactive in ((first, 0, False), (background, 10, False), (ui, 20, True)):
                threads.append(threading.Thread(target=wait, args=(session, frame, interactive)))
                threads[-1].start()
                time.sleep(0.4)
            queue = look.status().queue
            assert [(job.frame, job.running) for job in queue] == [(0, True), (20, False), (10, False)]
            for thread in threads:
                thread.join()


def test_a_killed_server_is_noticed_within_five_seconds(slow: Server) -> None:
    with Session(slow.endpoint, "test") as session:
        found = sources(session, 5)
        killer = threading.Timer(0.5, slow.kill)
        killer.start()
        started = time.monotonic()
        with pytest.raises(Unreachable, match="does not answer"):
            session.edit("restyle", EDIT, 5, 0, 23, found, SIZE)
        assert time.monotonic() - started < 0.5 + 5


def test_a_hung_server_is_noticed_too(slow: Server) -> None:
    with Session(slow.endpoint, "test") as session:
        slow.pause()
        with pytest.raises(Unreachable, match="does not answer"):
            session.status()
        slow.resume()


def test_a_killed_worker_fails_its_request_and_is_replaced(slow: Server) -> None:
    with Session(slow.endpoint, "test") as session:
        found = sources(session, 5)
        worker = psutil.Process(slow.process.pid).children()[0]
        threading.Timer(0.5, worker.kill).start()
        with pytest.raises(LatensifyError, match=r"worker process ended \(signal 9, probably out of memory\)"):
            session.edit("restyle", EDIT, 5, 0, 23, found, SIZE)
        seen: list[str] = []
        with pytest.raises(TimedOut):
            render(session, 5, timeout_s=4, on_progress=lambda step: seen.append(step.stage))
        assert any(stage.startswith("step") for stage in seen)


def test_the_worker_does_not_outlive_a_killed_server(slow: Server) -> None:
    worker = psutil.Process(slow.process.pid).children()[0]
    slow.kill()
    assert not psutil.wait_procs([worker], timeout=5)[1]


def test_what_a_vanished_client_waited_for_is_dropped(slow: Server) -> None:
    session = Session(slow.endpoint, "gone")
    raw = msgspec.Raw(msgspec.msgpack.encode(EDIT))
    submit = Submit(id="z", effect="restyle", params=raw, frame=5, first=0, last=23, sources=sources(session, 5))
    session._socket.send(encode(submit))
    with Session(slow.endpoint, "look") as look:
        time.sleep(0.3)
        assert len(look.status().queue) == 1
        session.close()
        deadline = time.monotonic() + 5
        while look.status().queue and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not look.status().queue


def test_a_primed_shot_serves_a_host_that_gives_one_frame_at_a_time(endpoint: str) -> None:
    """FakeEngine does not look at neighbours, so the proof is in the cache: the lone frame is found there."""
    lone = msgspec.structs.replace(EDIT, window=1, overlap=0)
    with Session(endpoint, "test") as session:
        primed, _ = render(session, 5, prime=True)
        alone = [Source(99, session.send(SHOT[5]))]
        served, result = session.edit("restyle", lone, 99, 99, 99, alone, SIZE, lone=True)
        assert result.cached
        np.testing.assert_array_equal(served.rgb, primed.rgb)
        other = [Source(99, session.send(SHOT[8]))]
        assert not session.edit("restyle", lone, 99, 99, 99, other, SIZE, lone=True)[1].cached
        for asked in ({}, {"lone": True, "fresh": "run"}):  # who does not say so gets what its own window gives
            assert not session.edit("restyle", lone, 99, 99, 99, alone, SIZE, **asked)[1].cached


def test_a_client_whose_segment_shrinks_fails_alone(slow: Server) -> None:
    """The result no longer fits where the client said: a lie, or a client that died; nobody else is to suffer."""
    with Session(slow.endpoint, "liar") as liar:
        pixels = [Source(5, liar.send(SHOT[5]))]
        one = Restyle(prompt="x", window=1, overlap=0)
        threading.Timer(0.5, lambda: os.truncate(liar._segments[1]._path, 0)).start()
        with pytest.raises(Misbehaved, match="smaller than the"):
            liar.edit("restyle", one, 5, 5, 5, pixels, SIZE, timeout_s=30)
    with Session(slow.endpoint, "other") as other:
        assert other.status().failed == 1


def test_a_cache_folder_that_is_cleaned_away_is_made_again(endpoint: str, home: Path) -> None:
    with Session(endpoint, "test") as session:
        render(session, 5)
        shutil.rmtree(home / "cache")
        assert session.status().cache_entries == 0
        assert not render(session, 5)[1].cached
        assert session.status().cache_entries > 0


def nested(levels: int) -> bytes:
    return b"\x91" * levels + b"\xc0"


@pytest.mark.parametrize(
    "header",
    [
        b"\x82\xa4type\xa6cancel\xa2id\xa2\xff\xfe",
        b"\x82\xa4type\xa3\xff\xfe\xfd\xa2id\xa1a",
        b"\x83\xa4type\xa5hello\xa2id\xa1a\xa6client" + nested(100_000),
        b"\x82\xa2id\xa1a\xa6params" + nested(100_000),
    ],
)
def test_no_message_ends_the_service(endpoint: str, header: bytes) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as raw:
        raw.linger = 0
        raw.connect(endpoint)
        raw.send(header)
        assert raw.poll(2000)
        assert isinstance(decode_from_server(raw.recv()), Failure)
    with Session(endpoint, "test") as session:
        assert session.status().server == __version__


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parents[1].glob("golden/messages/*.msgpack")), ids=lambda p: p.stem
)
def test_mutated_messages_end_in_a_failure_or_an_answer(endpoint: str, path: Path) -> None:
    """Every 7th byte of every golden message, turned over: whatever comes of it, the next client is served."""
    good = path.read_bytes()
    with zmq.Context() as context, context.socket(zmq.DEALER) as raw:
        raw.linger = 0
        raw.connect(endpoint)
        for at in range(0, len(good), 7):
            raw.send(good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :])
            raw.send(good[:at])
    with Session(endpoint, "test") as session:
        assert session.status().server == __version__


def test_parameters_that_are_no_text_are_a_bad_request(endpoint: str) -> None:
    error = raw_submit(endpoint, prompt=msgspec.Raw(b"\xa2\xff\xfe"))
    assert isinstance(error, BadRequest)


def test_an_engine_that_cannot_be_loaded_is_told_to_all_that_wait(home: Path, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')\n")
    with server(home / "broken", engine="diffusion", env={"PYTHONPATH": str(tmp_path)}) as running:
        with Session(running.endpoint, "test") as session:
            for _ in range(2):
                with pytest.raises(
                    EngineFailed, match=r"cannot be loaded \(ImportError: no torch here\); `latensify doc"
                ):
                    render(session, 5, timeout_s=30)
        assert running.log.read_text().count("no torch here") < 8, "it is not started over and over"


def test_nothing_is_imported_from_the_folder_we_are_in(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('imported from the current folder')\n")
    monkeypatch.chdir(tmp_path)
    with local_server(Settings(endpoint="", engine="fake")) as address, Session(address, "test") as session:
        render(session, 5)


def test_frames_that_were_cleaned_away_are_asked_for_again(home: Path) -> None:
    shared = Path(os.environ["LATENSIFY_SHM"])
    with local_server(Settings(endpoint="", engine="fake")) as address, Session(address, "test") as session:
        found = sources(session, 5)
        for folder in shared.glob("server-*"):
            shutil.rmtree(folder)
        with pytest.raises(FrameMissing):
            session.edit("restyle", EDIT, 5, 0, 23, found, SIZE)
        assert render(session, 5)[1].frame == 5


def test_a_window_that_can_never_be_held_is_told_so(home: Path) -> None:
    small = Settings(endpoint="", engine="fake", frames_bytes=3 * SHOT[0].nbytes)
    with local_server(small) as address, Session(address, "test") as session:
        with pytest.raises(Busy, match="use a smaller window, or start it with a larger --frames-mb"):
            render(session, 5)
        assert render(session, 5, Restyle(prompt="x", window=2, overlap=0))[1].frame == 5


def test_a_damaged_result_is_computed_again(endpoint: str, home: Path) -> None:
    with Session(endpoint, "test") as session:
        first, _ = render(session, 5, prime=True)
        for entry in (home / "cache/results").iterdir():
            entry.write_bytes(entry.read_bytes()[:-1] + b"?")
        lone = [Source(5, session.send(SHOT[5]))]
        again, result = session.edit("restyle", EDIT, 5, 5, 5, lone, SIZE, lone=True)
        assert not result.cached
        np.testing.assert_array_equal(again.rgb, first.rgb)


def test_a_bad_address_leaves_nothing_behind(home: Path) -> None:
    with pytest.raises(OutputFailed, match="Cannot listen on"):
        Service(Settings(endpoint="tcp://127.0.0.1:abc", engine="fake"))
    assert not list(Path(os.environ["LATENSIFY_SHM"]).iterdir())


def test_the_token_of_a_killed_server_is_swept(slow: Server) -> None:
    shared = Path(os.environ["LATENSIFY_SHM"])
    slow.kill()
    assert len(list(shared.glob("token-*"))) == 1
    assert sweep(shared, min_age_s=0) == 1
    assert not list(shared.glob("token-*"))
