"""A client that lies: every lie is refused with a code, and the server goes on for the others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import zmq

from latensify_bridge.client import Session
from latensify_bridge.errors import Busy, LatensifyError, Misbehaved
from latensify_bridge.folders import shared_folder
from latensify_bridge.frames import FrameSpec, Pixels, frame_name, spec_of, to_half
from latensify_bridge.protocol import LONGEST_HEADER, PART_BYTES, decode_from_server
from latensify_bridge.segments import SegmentFile
from latensify_server.local import local_server
from latensify_server.settings import MIB, Settings

PLATE = to_half(np.random.default_rng(3).random((32, 48, 4), np.float32))
NAME = frame_name(spec_of(PLATE), PLATE.tobytes())
SPEC = {"width": 48, "height": 32, "channels": 4, "depth": "half"}
SIZE = PLATE.nbytes


@pytest.fixture
def endpoint(home: Path) -> Iterator[str]:
    limits = Settings(endpoint="", engine="fake", max_frame_bytes=MIB, max_client_jobs=2, client_frames_bytes=100_000)
    with local_server(limits) as address:
        yield address


class Liar:
    """A client that says whatever it likes."""

    def __init__(self, endpoint: str) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.connect(endpoint)

    def ask(self, header: dict[str, Any] | bytes, *parts: bytes) -> Any:
        data = header if isinstance(header, bytes) else msgspec.msgpack.encode({"id": "a", **header})
        self._socket.send_multipart([data, *parts])
        assert self._socket.poll(10_000), "no answer"
        return decode_from_server(self._socket.recv_multipart()[0])

    def put(self, segment: Any = None, *parts: bytes, **changes: Any) -> Any:
        return self.ask({"type": "put", "frame": NAME, "spec": SPEC, "segment": segment, **changes}, *parts)

    def close(self) -> None:
        self._socket.close()
        self._context.term()


@pytest.fixture
def liar(endpoint: str) -> Iterator[Liar]:
    client = Liar(endpoint)
    yield client
    client.close()


def good_segment(size: int = SIZE) -> SegmentFile:
    segment = SegmentFile(shared_folder())
    segment.view(size)[:] = PLATE.tobytes()[:size]
    return segment


def test_an_honest_put_is_taken(liar: Liar) -> None:
    assert liar.put(None, PLATE.tobytes()).frame == NAME


@pytest.mark.parametrize(
    ("segment", "said"),
    [
        ({"name": "seg-../../etc/passwd", "offset": 0, "size": SIZE}, ""),
        ({"name": "../seg-1", "offset": 0, "size": SIZE}, ""),
        ({"name": "/etc/passwd", "offset": 0, "size": SIZE}, ""),
        ({"name": "seg-1/../seg-2", "offset": 0, "size": SIZE}, ""),
        ({"name": "seg-1\n", "offset": 0, "size": SIZE}, ""),
        ({"name": "seg-1\0", "offset": 0, "size": SIZE}, ""),
        ({"name": "seg-" + "a" * 5000, "offset": 0, "size": SIZE}, ""),
        ({"name": "seg-dead", "offset": 0, "size": SIZE}, "cannot be opened"),
        ({"name": "seg-1", "offset": -1, "size": SIZE}, ""),
        ({"name": "seg-1", "offset": 2**63, "size": SIZE}, ""),
        ({"name": "seg-1", "offset": 0, "size": SIZE + 1}, "another number came"),
        ("seg-1", ""),
        (7, ""),
    ],
)
def test_a_segment_that_cannot_be_misbehaves(liar: Liar, segment: Any, said: str) -> None:
    answer = liar.put(segment)
    assert answer.code == "misbehaved" and said in answer.message


def test_bytes_outside_a_segment_are_not_read(liar: Liar) -> None:
    with good_segment() as segment:
        for offset in (1, SIZE, 2**40, 2**48):
            answer = liar.put({"name": segment.name, "offset": offset, "size": SIZE})
            assert answer.code == "misbehaved" and "smaller than" in answer.message
        assert liar.put({"name": segment.name, "offset": 0, "size": SIZE}).frame == NAME


def test_a_link_in_the_folder_is_not_followed(liar: Liar, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(PLATE.tobytes())
    (shared_folder() / "seg-11").symlink_to(secret)
    assert liar.put({"name": "seg-11", "offset": 0, "size": SIZE}).code == "misbehaved"


def test_what_is_no_file_does_not_hold_the_server_up(liar: Liar) -> None:
    os.mkfifo(shared_folder() / "seg-12")
    (shared_folder() / "seg-13").mkdir()
    for name in ("seg-12", "seg-13"):
        assert liar.put({"name": name, "offset": 0, "size": SIZE}).code == "misbehaved"


def test_another_clients_segment_is_not_to_be_named(liar: Liar, endpoint: str) -> None:
    with Session(endpoint, "honest") as honest:
        honest.send(PLATE)
        theirs = {"name": honest._segments[0].name, "offset": 0, "size": SIZE}
        for answer in (liar.put(theirs), liar.ask({**submit(), "output": theirs})):
            assert answer.code == "misbehaved" and "belongs to another client" in answer.message
        honest.send(PLATE[::-1].copy())


def test_a_client_that_comes_back_under_another_identity_keeps_its_segment(liar: Liar, endpoint: str) -> None:
    with good_segment() as segment:
        named = {"name": segment.name, "offset": 0, "size": SIZE}
        before = Liar(endpoint)
        assert before.put(named).frame == NAME
        assert liar.put(named).code == "misbehaved"
        before.close()
        answer = liar.put(named)
        for _ in range(50):  # until its end is noticed
            answer = liar.put(named)
            if not hasattr(answer, "code"):
                break
            zmq.select([], [], [], 0.02)
        assert answer.frame == NAME


@pytest.mark.parametrize(
    "changes",
    [
        {"spec": {**SPEC, "width": 0}},
        {"spec": {**SPEC, "width": 40_000}},
        {"spec": {**SPEC, "height": -1}},
        {"spec": {**SPEC, "channels": 5}},
        {"spec": {**SPEC, "depth": "double"}},
        {"spec": {**SPEC, "width": 47}},
        {"spec": None},
        {"frame": "../" + "0" * 29},
        {"frame": "0" * 31},
        {"frame": "0" * 32 + "\n"},
        {"frame": "0" * 32},
        {"frame": NAME.upper()},
    ],
)
def test_a_put_that_cannot_be_misbehaves(liar: Liar, changes: dict[str, Any]) -> None:
    assert liar.put(None, PLATE.tobytes(), **changes).code == "misbehaved"


@pytest.mark.parametrize("parts", [[], [PLATE.tobytes()[:-1]], [PLATE.tobytes(), b"\0"], [b""] * 20_000])
def test_too_few_or_too_many_bytes_misbehave(liar: Liar, parts: list[bytes]) -> None:
    assert liar.put(None, *parts).code == "misbehaved"


def submit(**changes: Any) -> dict[str, Any]:
    source = {"number": 5, "pixels": NAME}
    params = {"prompt": "x", "window": 1, "overlap": 0}
    usual = {"type": "submit", "effect": "restyle", "params": params, "frame": 5, "first": 5, "last": 5}
    return {**usual, "sources": [source], **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"effect": "../restyle"},
        {"effect": 5},
        {"params": []},
        {"params": {"prompt": 5}},
        {"params": {"__class__": "x"}},
        {"params": {"model": "../../etc"}},
        {"frame": 2**40},
        {"first": 9, "last": 1},
        {"last": 2**31 - 1, "params": {"prompt": "x", "window": 10**9}},
        {"sources": []},
        {"sources": [{"number": 5, "pixels": "../secret"}]},
        {"sources": [{"number": 5, "pixels": NAME}] * 1025},
        {"depth": "double"},
        {"render_scale": 0},
        {"render_scale": float("nan")},
        {"pixel_aspect": float("inf")},
        {"fresh": "x" * 100},
        {"output": {"name": "seg-../x", "offset": 0, "size": 2**48}},
        {"id": ""},
        {"id": "x" * 1000},
    ],
)
def test_a_submit_that_cannot_be_is_refused_with_a_code(liar: Liar, changes: dict[str, Any]) -> None:
    liar.put(None, PLATE.tobytes())
    answer = liar.ask(submit(**changes))
    assert answer.code in ("misbehaved", "bad_request", "bad_parameter", "unknown_effect", "bad_input", "model_missing")


def test_headers_are_bounded_in_size_and_depth(liar: Liar) -> None:
    for header in (
        b"\x91" * LONGEST_HEADER,
        bytes(LONGEST_HEADER + 1),
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
    ):
        assert liar.ask(header).code in ("misbehaved", "bad_request")


def different(value: int) -> Pixels:
    return np.full((64, 96, 4), value, np.float16)  # 48 KiB


def test_the_limits_of_a_client_are_told_as_busy(liar: Liar, endpoint: str) -> None:
    large = {"width": 1024, "height": 1024, "channels": 1, "depth": "half"}
    assert liar.put(None, bytes(PART_BYTES)[: 2 * MIB], spec=large).code == "busy"
    with Session(endpoint, "greedy") as session:
        names = [session.send(different(value)) for value in range(4)]
        held = session.status().held_frames
        assert held == 2, "the oldest of its own made way"
        with Session(endpoint, "other") as other:
            other.send(PLATE)
            assert other.status().held_frames == 3
            session.send(different(9))
            assert other._ask(have(NAME), need())[0].frames == [], "what others sent stays"
        assert names[3] != names[0]


def have(name: str) -> Any:
    from latensify_bridge.protocol import Have

    return Have(id="h", frames=[name])


def need() -> Any:
    from latensify_bridge.protocol import Need

    return Need


def test_a_python_client_is_told_with_the_exception(endpoint: str) -> None:
    with Session(endpoint, "test") as session:
        with pytest.raises(Busy, match="--max-frame-mb"):
            session.send(np.zeros((1024, 1024, 4), np.float16))
        with pytest.raises(Misbehaved):
            session._put("0" * 32, FrameSpec(48, 32, 4, spec_of(PLATE).depth), memoryview(PLATE.tobytes()))
        with pytest.raises(LatensifyError):
            session._put("../x", spec_of(PLATE), memoryview(PLATE.tobytes()))
        assert session.send(PLATE) == NAME
