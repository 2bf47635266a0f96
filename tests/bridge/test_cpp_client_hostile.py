"""The C++ client with servers that lie, that are of another version, or that say nothing."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge.driver import HEIGHT, WIDTH, Driver, plate, request, result_name
from hosts.stub_server import WELCOME, Header, StubServer, stub_server
from latensify_bridge.folders import shared_folder
from latensify_bridge.protocol import Segment
from latensify_bridge.segments import write_from

pytestmark = pytest.mark.timeout(900)  # the first build compiles libzmq

RGB = plate(50)[..., :3].copy()
MATTE = plate(51)[..., 0].copy()
PIXELS = RGB.tobytes() + MATTE.tobytes()
RESULT: Header = {
    "type": "result",
    "frame": 5,
    "box": {"x0": 0, "y0": 0, "width": WIDTH, "height": HEIGHT},
    "depth": "half",
    "model": "stub",
    "model_hash": "",
    "key": "",
    "cached": False,
}


@pytest.fixture
def driver(bridge_test: Path, home: Path) -> Iterator[Driver]:
    with Driver(bridge_test) as running:
        yield running


def shares_memory(_: Header, __: list[bytes]) -> list[Any]:
    """A welcome that proves to come from this machine."""
    folder, name, token = shared_folder(), f"token-{secrets.token_hex(8)}", secrets.token_hex(16)
    (folder / name).write_text(token)
    return [{**WELCOME, "shared_memory": {"name": name, "token": token}}]


def always(*answer: Any) -> Any:
    return lambda _, __: list(answer)


def said(driver: Driver, folder: Path, **answers: Any) -> tuple[str, str]:
    """The failure of an edit by a server that gives these answers."""
    with stub_server(**answers) as stub:
        return driver.failure(request(folder, stub.endpoint))


def edited(driver: Driver, folder: Path, stub: StubServer, **changes: Any) -> dict[str, Any]:
    answer = driver.ask(request(folder, stub.endpoint, **changes))
    assert "edited" in answer, answer
    return answer["edited"]


# --- versions ---


def test_another_version_in_the_welcome_names_both(driver: Driver, tmp_path: Path) -> None:
    """Even where the rest of the welcome has changed."""
    changed = {"type": "welcome", "server": "7.1.0", "protocol": 7, "models": {"tiny": 1}}
    for welcome in ({**WELCOME, "server": "7.1.0", "protocol": 7}, changed):
        code, sentence = said(driver, tmp_path, hello=always(welcome))
        assert code == "version"
        assert "server 7.1.0 speaks protocol 7 and Latensify test speaks 1" in sentence


def test_a_refusal_of_our_version_is_passed_on(driver: Driver, tmp_path: Path) -> None:
    refusal = {"type": "failure", "code": "version", "message": "You speak 1 and I speak 7."}
    assert said(driver, tmp_path, hello=always(refusal)) == ("version", "You speak 1 and I speak 7.")


# --- lies ---


def test_an_honest_stub_is_believed(driver: Driver, tmp_path: Path) -> None:
    with stub_server(submit=always(RESULT, RGB.tobytes(), MATTE.tobytes())) as stub:
        answer = edited(driver, tmp_path, stub)
        assert answer["pixels"] == result_name(RGB, MATTE) and answer["note"] == "" and answer["server"] == "9.9.9"


BOX = RESULT["box"]
DEEP = msgspec.msgpack.encode({"type": "result", "id": "a"})[:-1] + b"\x91" * 500_000


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ([{**RESULT, "frame": 6}, PIXELS], "another frame or depth than frame 5"),
        ([{**RESULT, "depth": "float"}, PIXELS * 2], "another frame or depth"),
        ([{**RESULT, "box": {**BOX, "x0": 1}}, PIXELS], "outside the frame"),
        ([{**RESULT, "box": {**BOX, "height": HEIGHT + 1}}, PIXELS], "outside the frame"),
        ([{**RESULT, "box": {**BOX, "y0": -1}}, PIXELS], "'y0' cannot be"),
        ([{**RESULT, "box": {**BOX, "width": 2**40}}, PIXELS], "'width' cannot be"),
        ([RESULT, PIXELS[:-2]], "too few or too many bytes"),
        ([RESULT, PIXELS, b"\0\0"], "too few or too many bytes"),
        ([RESULT], "too few or too many bytes"),
        ([{**RESULT, "segment": {"name": "seg-1", "offset": 0, "size": 9}}], "segment that it was not given"),
        (
            [{**RESULT, "box": {**BOX, "width": 0}, "segment": {"name": "seg-1", "offset": 0, "size": 0}}],
            "segment that it was not given",
        ),
        ([{"type": "stored", "frame": "0" * 32}], "answered 'stored' where 'result' was due"),
        ([{"type": "reboot"}], "answered 'reboot' where 'result' was due"),
        ([{key: RESULT[key] for key in RESULT if key != "frame"}, PIXELS], "without 'frame'"),
        ([{**RESULT, "cached": "no"}, PIXELS], "'cached' of the wrong type"),
        ([b""], "no msgpack map"),
        ([b"\xc1\xff\x00garbage"], "no msgpack map"),
        ([DEEP], "no msgpack map"),
        ([msgspec.msgpack.encode({"id": "a"})], "without 'type'"),
    ],
)
@pytest.mark.parametrize("near", [False, True], ids=["inline", "shared"])
def test_a_lie_in_a_result_misbehaves(
    driver: Driver, tmp_path: Path, near: bool, answer: list[Any], sentence: str
) -> None:
    hello = shares_memory if near else always(WELCOME)
    code, told = said(driver, tmp_path, hello=hello, submit=always(*answer))
    assert code == "misbehaved" and sentence in told


def test_a_lie_before_the_edit_misbehaves_too(driver: Driver, tmp_path: Path) -> None:
    for lie, sentence in (
        ({"hello": always({"type": "stored", "frame": "0" * 32})}, "answered 'stored' where 'welcome' was due"),
        ({"hello": always({**WELCOME, "effects": [1]})}, "'effects' of the wrong type"),
        ({"hello": always(b"\x80")}, "without 'type'"),
        ({"have": always({"type": "need", "frames": "all"})}, "'frames' of the wrong type"),
        ({"put": always({"type": "stored", "frame": "0" * 32})}, "took another frame than was sent"),
    ):
        code, told = said(driver, tmp_path, **lie)
        assert code == "misbehaved" and sentence in told


def test_a_frame_larger_than_the_server_takes_is_not_sent(driver: Driver, tmp_path: Path) -> None:
    with stub_server(hello=always({**WELCOME, "max_frame_bytes": 1000})) as stub:
        code, told = driver.failure(request(tmp_path, stub.endpoint))
        assert code == "busy" and "--max-frame-mb" in told
        assert {header["type"] for header in stub.asked} == {"hello"}


def test_progress_that_is_no_number_stays_within_bounds(driver: Driver, tmp_path: Path) -> None:
    for fraction, seen in ((float("nan"), 0), (-3, 0), (float("inf"), 0), (1e300, 1), (0.5, 0.5)):
        step = {"type": "progress", "fraction": fraction, "stage": "step", "ahead": -(2**60)}
        with stub_server(submit=always(step)) as stub:
            answer = driver.ask(request(tmp_path, stub.endpoint, abort_after_s=0.3))
        assert answer["failure"]["code"] == "cancelled" and answer["seen"] == [[seen, "step", 0]]


def test_a_lie_does_not_spoil_the_next_request(driver: Driver, tmp_path: Path) -> None:
    answers = iter([[{**RESULT, "frame": 6}, PIXELS], [RESULT, PIXELS], [b"\xc1"], [RESULT, PIXELS]])
    with stub_server(submit=lambda *_: next(answers)) as stub:
        for expected in ("misbehaved", None, "misbehaved", None):
            answer = driver.ask(request(tmp_path, stub.endpoint))
            assert answer.get("failure", {}).get("code") == expected


# --- silence ---


def test_silence_is_told_within_five_seconds(driver: Driver, tmp_path: Path) -> None:
    with stub_server(submit=lambda *_: None) as stub:
        answer = driver.ask(request(tmp_path, stub.endpoint))
    assert answer["failure"]["code"] == "unreachable" and answer["elapsed_s"] < 5


def test_answers_to_other_questions_are_not_taken_and_do_not_stop_the_clock(driver: Driver, tmp_path: Path) -> None:
    with stub_server(submit=always({**RESULT, "id": "someone-1"}, PIXELS)) as stub:
        code, told = driver.failure(request(tmp_path, stub.endpoint, timeout_s=0.5))
    assert code == "timeout" and "0.5 s" in told


@pytest.mark.parametrize(("limit", "code"), [("abort_after_s", "cancelled"), ("timeout_s", "timeout")])
def test_what_is_given_up_is_cancelled_at_the_server(driver: Driver, tmp_path: Path, limit: str, code: str) -> None:
    with stub_server(submit=lambda *_: None) as stub:
        assert driver.failure(request(tmp_path, stub.endpoint, **{limit: 0.3}))[0] == code
        driver.ask(request(tmp_path, stub.endpoint, **{limit: 0.3}))  # the cancel has come before this one
        (submit, _), (cancel, *_) = stub.submits(), [each for each in stub.asked if each["type"] == "cancel"]
        assert cancel == {"type": "cancel", "id": submit["id"]}


def test_the_answer_to_a_request_given_up_is_not_taken_for_the_next(driver: Driver, tmp_path: Path) -> None:
    late: list[Header] = []

    def answer(submit: Header, _: list[bytes]) -> list[Any] | None:
        late.append(submit)
        if len(late) == 1:
            return None
        return [{**RESULT, "id": late[0]["id"]}, bytes(len(PIXELS))]

    with stub_server(submit=answer) as stub:
        assert driver.failure(request(tmp_path, stub.endpoint, timeout_s=0.2))[0] == "timeout"
        assert driver.failure(request(tmp_path, stub.endpoint, timeout_s=0.5))[0] == "timeout"


# --- shared memory ---


def into_segment(submit: Header, _: list[bytes]) -> list[Any]:
    output = submit["output"]
    write_from(shared_folder(), Segment(**output), [memoryview(RGB.tobytes()), memoryview(MATTE.tobytes())])
    return [{**RESULT, "segment": output}]


def test_pixels_travel_in_segments_on_one_machine(driver: Driver, tmp_path: Path) -> None:
    with stub_server(hello=shares_memory, submit=into_segment) as stub:
        assert edited(driver, tmp_path, stub)["pixels"] == result_name(RGB, MATTE)
        put = next(header for header in stub.asked if header["type"] == "put")
        assert put["segment"]["size"] == plate(5).nbytes
        assert put["segment"]["name"] != stub.submits()[0]["output"]["name"]


@pytest.mark.parametrize(
    "offer",
    [
        {"name": "token-12", "token": ""},  # no such file holds nothing
        {"name": "token-12", "token": "0"},
        {"name": "token-../../../etc/hostname", "token": "0"},
        {"name": "../token-12", "token": ""},
    ],
)
def test_a_proof_that_does_not_hold_is_not_believed(driver: Driver, tmp_path: Path, offer: dict[str, str]) -> None:
    with stub_server(hello=always({**WELCOME, "shared_memory": offer}), submit=always(RESULT, PIXELS)) as stub:
        assert edited(driver, tmp_path, stub)["pixels"] == result_name(RGB, MATTE)
        assert stub.submits()[0]["output"] is None
    assert not list(shared_folder().glob("seg-*"))


def test_pixels_travel_inline_where_shared_memory_is_full(bridge_test: Path, home: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands in for a full file system: space is refused in the same call."""
    full = ("/bin/sh", "-c", 'trap \'\' XFSZ; ulimit -f 8; exec "$0" "$@"')  # less than a frame
    with (
        Driver(bridge_test, prefix=full) as driver,
        stub_server(hello=shares_memory, submit=always(RESULT, PIXELS)) as stub,
    ):
        assert edited(driver, tmp_path, stub)["pixels"] == result_name(RGB, MATTE)
        put = next(header for header in stub.asked if header["type"] == "put")
        assert put["segment"] is None and stub.submits()[0]["output"] is None
