"""Waiting in the host: it can be ended at any moment, and what was asked for in vain is let go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .expected import RESTYLE, assert_same, edited, plate, report, restyle, shot
from .ofx_host import GENERIC, MLT, NATRON, RESOLVE, Abort, HostVariant, K, OfxHost, Rendered
from .servers import Server, server
from .stub_server import stub_server

PROMPT_S = 0.25  # what an abort may take


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose edit takes ten seconds, in steps of 50 ms."""
    with server(tmp_path_factory.mktemp("slow"), engine="slow-fake") as found:
        yield found


def becomes_free(running: Server, within_s: float = 2.0) -> bool:
    """Whether nothing waits or runs there soon."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not report(running).queue:
            return True
        time.sleep(0.02)
    return False


def soon(condition: Callable[[], Any], within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def assert_ended_at_once(result: Rendered) -> None:
    assert result.status == K.kOfxStatOK and not result.messages
    assert result.abort_latency_s is not None and result.abort_latency_s < PROMPT_S
    assert result.abort.largest_gap_s < PROMPT_S, "the host was not asked"


def assert_balanced(result: Rendered) -> None:
    """Starts and ends in turn, updates between them that never go back."""
    kinds = [kind for kind, _ in result.progress if kind != "update"]
    assert kinds == ["start", "end"] * (len(kinds) // 2)
    fractions = [value for kind, value in result.progress if kind == "update"]
    assert fractions == sorted(fractions) and all(0 <= value <= 1 for value in fractions)


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.5, 1.2])
def test_abort_ends_the_render_and_frees_the_server(bundle: Path, slow: Server, after_s: float) -> None:
    with OfxHost(bundle) as host:
        instance = restyle(host, slow.endpoint, window=8, overlap=2)
        result = instance.render(7, abort=Abort(after_s=after_s))
        assert_ended_at_once(result)
        assert_balanced(result)
        assert becomes_free(slow)
        host.check()


def test_abort_while_no_server_answers(bundle: Path, slow: Server) -> None:
    """In the hello, and where connections of earlier renders stand idle."""
    with OfxHost(bundle) as host:
        new = restyle(host, slow.endpoint)
        used = restyle(host, "tcp://127.0.0.1:9")
        assert_ended_at_once(used.render(1, abort=Abort(after_s=0.6)))
        threads = [threading.Thread(target=new.render, args=(n,), kwargs={"abort": Abort(after_s=0.5)}) for n in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        slow.pause()
        try:
            for after_s in (0.0, 0.1, 0.8):
                assert_ended_at_once(new.render(1, abort=Abort(after_s=after_s)))
        finally:
            slow.resume()
        host.check()
    assert becomes_free(slow)


def test_abort_while_a_server_takes_nothing_in(bundle: Path) -> None:
    for silent in ("hello", "have", "put", "submit"):
        with stub_server(**{silent: lambda *_: None}) as stub, OfxHost(bundle) as host:
            assert_ended_at_once(restyle(host, stub.endpoint).render(1, abort=Abort(after_s=0.4)))
            host.check()


def test_abort_of_one_render_leaves_the_others(bundle: Path, slow: Server, running: Server) -> None:
    with OfxHost(bundle) as host:
        instances = [restyle(host, slow.endpoint, seed=seed) for seed in range(3)]
        results: dict[int, Rendered] = {}
        aborts = [Abort(), Abort(), Abort()]

        def work(nth: int) -> None:
            results[nth] = instances[nth].render(nth, abort=aborts[nth])

        threads = [threading.Thread(target=work, args=(nth,)) for nth in range(3)]
        for thread in threads:
            thread.start()
        soon(lambda: len(report(slow).queue) == 3)
        aborts[1].request()
        threads[1].join(2)
        assert_ended_at_once(results[1])
        assert len(report(slow).queue) == 2 and set(results) == {1}
        for abort in aborts:
            abort.request()
        for thread in threads:
            thread.join()
        host.check()
    assert becomes_free(slow)


def test_progress_is_shown_and_closed(bundle: Path, slow: Server) -> None:
    without_second = GENERIC.without((K.kOfxProgressSuite, 2))
    for variant in (GENERIC, without_second, NATRON, MLT):
        with OfxHost(bundle, variant) as host:
            result = restyle(host, slow.endpoint).render(1, abort=Abort(after_s=1.0))
            assert_balanced(result)
            assert result.progress[0] == ("start", "Latensify Restyle, frame 1")
            assert sum(kind == "update" for kind, _ in result.progress) > 5
            assert any(kind == "update" and value > 0 for kind, value in result.progress)
            host.check()
    assert becomes_free(slow)


def test_what_is_ready_at_once_shows_no_progress(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = restyle(host, running.endpoint)
        instance.render(1)
        assert not instance.render(1).progress


@pytest.mark.parametrize("variant", [GENERIC, RESOLVE, GENERIC.without((K.kOfxProgressSuite, 2))], ids=["2", "R", "1"])
def test_refused_progress_is_a_cancel(bundle: Path, slow: Server, variant: HostVariant) -> None:
    with OfxHost(bundle, variant) as host:
        result = restyle(host, slow.endpoint).render(1, abort=Abort(after_updates=3))
        assert result.status == K.kOfxStatFailed and not result.messages
        assert result.abort_latency_s is not None and result.abort_latency_s < PROMPT_S
        assert_balanced(result)
        assert becomes_free(slow)
        host.check()


def test_host_without_progress_or_abort_just_waits(bundle: Path, slow: Server, running: Server) -> None:
    variant = GENERIC.without((K.kOfxProgressSuite, 1), (K.kOfxProgressSuite, 2)).but(
        null_entries=frozenset({"abort"}), ignores_status=True
    )
    with OfxHost(bundle, variant) as host:
        result = restyle(host, slow.endpoint, timeout_s=1.0).render(1)
        assert result.status == K.kOfxStatFailed and 0.9 < result.seconds < 2
        assert "longer than 1 s" in result.messages[0].text
        assert_same(restyle(host, running.endpoint).render(1).image, edited(plate(1)))
        host.check()
    assert becomes_free(slow)


def test_aborted_picture_is_not_half_written(bundle: Path, slow: Server) -> None:
    """A host that shows an aborted frame after all shows the source's or nothing, not a part of an edit."""
    with OfxHost(bundle) as host:
        image = restyle(host, slow.endpoint).render(1, abort=Abort(after_s=0.3)).image
    blank = np.full(image.nbytes, 0xCD, np.uint8).view(np.float32).reshape(image.shape)
    assert np.array_equal(image, blank) or np.array_equal(image, plate(1))


def test_host_closes_while_the_server_is_hung(bundle: Path, slow: Server) -> None:
    started = 0.0
    with OfxHost(bundle) as host:
        host.instance(RESTYLE, params={"server": slow.endpoint, "preset": "Winter"}, clips={"Source": shot()}).render(
            1, abort=Abort(after_s=0.3)
        )
        slow.pause()
        started = time.monotonic()
    slow.resume()
    assert time.monotonic() - started < 1
