"""The plugin between servers that lie and hosts that lack: a clear failure, never a crash, a hang or a leak."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .expected import HEIGHT, WIDTH, assert_same, edited, plate, restyle, shot
from .ofx_host import GENERIC, MLT, NUKE, REQUIRED_SUITES, SUITES, HostVariant, K, OfxHost
from .servers import Server
from .stub_server import WELCOME, Answer, failed, result, stub_server

OPTIONAL = sorted(set(SUITES) - set(REQUIRED_SUITES))
PIXELS = WIDTH * HEIGHT
WHOLE = {"x0": 0, "y0": 0, "width": WIDTH, "height": HEIGHT}


def whole(**changes: Any) -> Answer:
    return result(bytes(PIXELS * 6), bytes(PIXELS * 2), **{"box": WHOLE, **changes})


def test_a_server_that_tells_the_truth_is_believed(bundle: Path) -> None:
    with stub_server(submit=whole()) as stub, OfxHost(bundle) as host:
        rendered = restyle(host, stub.endpoint).render(1)
        host.check()
    assert rendered.ok
    assert_same(rendered.image, plate(1))  # its matte is 0 everywhere


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"hello": lambda *_: [{**WELCOME, "protocol": 7}]}, "speaks protocol 7"),
        (
            {"hello": failed("version", "Latensify speaks protocol 1 and the server speaks 7.")},
            "protocol 1 and the server",
        ),
        ({"submit": whole(frame=2)}, "another frame"),
        ({"submit": whole(depth="float")}, "depth"),
        ({"submit": whole(box={**WHOLE, "x0": 1})}, "outside the frame"),
        ({"submit": whole(box={**WHOLE, "width": -1})}, "protocol 1 does not allow"),
        ({"submit": result(bytes(PIXELS * 6), b"", box=WHOLE)}, "too few"),
        ({"submit": whole(segment={"name": "seg-1", "offset": 0, "size": PIXELS * 8})}, "segment"),
        ({"submit": lambda *_: [b"\x81\xa2id\xa1x"]}, "protocol 1 does not allow"),
        ({"submit": lambda *_: [b"\xc1\xc1\xc1"]}, "protocol 1 does not allow"),
        ({"submit": lambda *_: [b"\x91" * 100_000]}, "protocol 1 does not allow"),
        ({"put": lambda header, _: [{"type": "need", "frames": []}]}, "where 'stored' was due"),
        ({"submit": failed("model_missing", "No model named 'x' is installed: 100% sure.")}, "100% sure"),
    ],
)
def test_a_server_that_lies_fails_the_frame_with_a_sentence(
    bundle: Path, answers: dict[str, Answer], said: str
) -> None:
    with stub_server(**answers) as stub, OfxHost(bundle) as host:
        rendered = restyle(host, stub.endpoint).render(1)
        host.check()
    assert rendered.status == K.kOfxStatFailed
    sentences = " ".join(message.text for message in rendered.messages)
    assert said in sentences.replace("%%", "%"), sentences


def test_a_hung_server_fails_the_frame_and_serves_the_next_once_it_is_back(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = restyle(host, running.endpoint, seed=77)
        running.pause()
        try:
            rendered = instance.render(1)
        finally:
            running.resume()
        assert rendered.status == K.kOfxStatFailed and rendered.messages and rendered.seconds < 5
        assert instance.render(1).ok
        host.check()


@pytest.mark.parametrize("suite", OPTIONAL, ids=lambda suite: f"{suite[0]}-{suite[1]}")
def test_a_suite_that_is_missing_is_done_without(bundle: Path, running: Server, suite: tuple[str, int]) -> None:
    with OfxHost(bundle, GENERIC.without(suite)) as host:
        rendered = restyle(host, running.endpoint).render(1)
        host.check()
    assert rendered.ok
    assert_same(rendered.image, edited(plate(1)))


def test_many_renders_leave_nothing_behind(bundle: Path, lasting: tuple[Server, str], running: Server) -> None:
    def counts() -> tuple[int, int, int]:
        segments = len([name for name in os.listdir(lasting[1]) if name.startswith("seg-")])
        return len(os.listdir("/proc/self/fd")), threading.active_count(), segments

    with OfxHost(bundle) as host:
        instance = restyle(host, running.endpoint)
        for frame in range(8):
            instance.render(frame)
        before = counts()
        for round in range(200):
            assert instance.render(round % 24).ok
        after = counts()
        for had, has in zip(before, after, strict=True):
            assert has <= had + 2
        host.check()


def test_instances_come_and_go_while_others_render(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        staying = restyle(host, running.endpoint, seed=5)
        done: list[Any] = []

        def render() -> None:
            done.extend(staying.render(frame) for frame in range(20))

        thread = threading.Thread(target=render)
        thread.start()
        while thread.is_alive():
            other = restyle(host, running.endpoint, source=shot(0, 3), seed=6)
            assert other.render(1).ok
            other.destroy()
        thread.join()
        host.check()
    assert all(rendered.ok for rendered in done) and len(done) == 20
    for frame, rendered in enumerate(done):
        assert_same(rendered.image, edited(plate(frame)))
    assert not np.array_equal(done[0].image, done[1].image)


@pytest.mark.parametrize(("variant", "lone"), [(MLT, True), (GENERIC, False), (NUKE, False)], ids=str)
def test_only_a_host_without_other_frames_asks_for_what_was_made_ahead(
    bundle: Path, variant: HostVariant, lone: bool
) -> None:
    with stub_server(submit=whole()) as stub, OfxHost(bundle, variant) as host:
        assert restyle(host, stub.endpoint).render(1).ok
    (submit,) = stub.submits()
    assert submit["lone"] is lone
