"""Servers that die, hang, refuse or are not there: a sentence in the host, and the next render works."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from latensify_bridge import __version__
from latensify_bridge.client import Session
from latensify_bridge.folders import auto_endpoint

from .expected import REMOVE, RESTYLE, assert_same, edited, plate, report, restyle, shot
from .ofx_host import GENERIC, MLT, NATRON, NUKE, RESOLVE, Abort, Clip, HostVariant, K, OfxHost, Rendered
from .servers import Server, free_port, server
from .stub_server import WELCOME, failed, stub_server

NOWHERE = "tcp://127.0.0.1:9"
HOSTS = [GENERIC, MLT, RESOLVE, NUKE, NATRON]
MARK = re.compile(r" \[([a-z_]+) ([0-9a-f]{8}-\d+)\]$")


def said(result: Rendered) -> str:
    """The one message of a failed render, without the code and the id that a failed request's ends with."""
    assert result.status == K.kOfxStatFailed
    (message,) = [message for message in result.messages if message.kind != "clear"]
    return MARK.sub("", message.text)


def while_it_runs(running: Server, then: Callable[[], None]) -> tuple[threading.Thread, list[float]]:
    """Does `then` once the server works on something; the thread, and when it did."""
    moments: list[float] = []

    def work() -> None:
        deadline = time.monotonic() + 20
        while not any(waiting.running for waiting in report(running).queue) and time.monotonic() < deadline:
            time.sleep(0.05)
        moments.append(time.monotonic())
        then()

    thread = threading.Thread(target=work)
    thread.start()
    return thread, moments


@pytest.mark.parametrize("variant", [GENERIC, RESOLVE], ids=lambda variant: variant.name)
def test_server_killed_in_the_middle_of_a_frame(
    bundle: Path, slow: Server, tmp_path: Path, variant: HostVariant
) -> None:
    with OfxHost(bundle, variant) as host:
        instance = restyle(host, slow.endpoint)
        thread, died = while_it_runs(slow, slow.kill)
        result = instance.render(1)
        thread.join()
        assert time.monotonic() - died[0] < 5
        assert slow.endpoint in said(result) and "latensify serve" in said(result)
        if variant is GENERIC:  # as long as it is dead, so much as this for each frame
            again = instance.render(2)
            assert again.status == K.kOfxStatFailed and again.seconds < 5 and not again.messages
        with server(tmp_path / "next", endpoint=slow.endpoint):
            result = instance.render(1)
            assert result.ok, result.messages
            assert_same(result.image, edited(plate(1)))
            kinds = [message.kind for message in result.messages]
            assert kinds == ([] if variant is RESOLVE else ["clear"])
        host.check()


def test_server_that_hangs_in_the_middle_of_a_frame(bundle: Path, slow: Server) -> None:
    with OfxHost(bundle) as host:
        instance = restyle(host, slow.endpoint)
        thread, hung = while_it_runs(slow, slow.pause)
        try:
            result = instance.render(1)
            thread.join()
            assert time.monotonic() - hung[0] < 5
            assert "does not answer" in said(result)
        finally:
            slow.resume()
        result = instance.render(1, abort=Abort(after_s=1.0))
        assert result.ok and any(kind == "update" and value > 0 for kind, value in result.progress), "it works again"
        host.check()


def test_server_killed_between_frames_is_not_missed_once_another_is_there(bundle: Path, tmp_path: Path) -> None:
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    options: dict[str, Any] = {
        "params": {"server": endpoint, "preset": "Winter", "window": 1, "overlap": 0},
        "clips": {"Source": shot()},
    }
    with OfxHost(bundle) as host:
        for number in range(2):
            with server(tmp_path / str(number), endpoint=endpoint) as one:
                results = host.render_frames(RESTYLE, "filter", range(8), threads=4, **options)
                one.kill()
            for frame, result in results.items():
                assert result.ok, result.messages
                assert_same(result.image, edited(plate(frame)))
        host.check()


@pytest.mark.parametrize("variant", HOSTS, ids=lambda variant: variant.name)
def test_project_opens_without_a_server_and_nothing_connects(bundle: Path, variant: HostVariant) -> None:
    """Everything but a render: no socket, no thread, no file."""

    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

    with stub_server() as stub, OfxHost(bundle, variant) as host:
        before = held()
        for effect in (RESTYLE, REMOVE):
            for context in set(variant.contexts) - {"generator"}:
                instance = host.instance(effect, context, params={"server": stub.endpoint}, clips={"Source": shot()})
                instance.clip_preferences()
                instance.region_of_definition(1)
                instance.regions_of_interest(1)
                instance.frames_needed(1)
                instance.is_identity(1)
                for name, value in (("prompt", "winter"), ("strength", 0.5), ("server", stub.endpoint)):
                    instance.set(name, value)
                for send in (instance.begin_edit, instance.end_edit, instance.sync, instance.purge_caches):
                    send()
                instance.button("refresh_status")
        assert held() == before and not stub.asked
        assert max(call.ended - call.started for call in host.calls) < 0.5
        host.check()


def test_no_server_is_told_clearly(bundle: Path) -> None:
    with OfxHost(bundle) as host:
        instance = restyle(host, NOWHERE)
        result = instance.render(1)
        assert result.seconds < 5
        assert said(result) == (
            f"The server at {NOWHERE} does not answer; look at its log, or start one: `latensify serve`."
        )
        instance.set("server", "no address")
        assert "'no address' is not an address of a server" in said(instance.render(1))
        host.check()


@pytest.mark.parametrize(
    "welcome", [{**WELCOME, "protocol": 7, "server": "8.1"}, {"type": "welcome", "protocol": 7, "server": "8.1"}]
)
def test_other_version_of_the_server_is_told_with_both(bundle: Path, welcome: dict[str, Any]) -> None:
    with stub_server(hello=lambda *_: [welcome]) as stub, OfxHost(bundle) as host:
        text = said(restyle(host, stub.endpoint).render(1))
    for part in ("8.1 speaks protocol 7", f"latensify-ofx {__version__} speaks 1", "install the same Latensify"):
        assert part in text


def test_other_version_of_the_plugin_is_told_what_the_server_says(bundle: Path) -> None:
    sentence = "latensify-ofx 0.1 speaks protocol 1 and the server 8.1 speaks 7; install the same Latensify."
    with stub_server(hello=failed("version", sentence)) as stub, OfxHost(bundle) as host:
        assert said(restyle(host, stub.endpoint).render(1)) == sentence


def test_refusal_of_a_real_server_arrives_as_it_is(bundle: Path, tmp_path: Path) -> None:
    with server(tmp_path / "real", engine="diffusion") as real, OfxHost(bundle) as host:
        instance = restyle(host, real.endpoint, model="nonexistent")
        assert said(instance.render(1)).startswith("No model named 'nonexistent' is installed for restyle; installed:")
        instance.set("model", "../../etc")
        assert "model" in said(instance.render(1)).lower()
        host.check()


def test_window_whose_frames_a_small_server_cannot_hold_is_refused(bundle: Path) -> None:
    sentence = "The frames of waiting requests fill the 1 MiB that the server may hold; use a smaller window."
    with stub_server(put=failed("busy", sentence)) as stub, OfxHost(bundle) as host:
        instance = restyle(host, stub.endpoint)
        first, second = instance.render(1), instance.render(2)
        assert said(first) == sentence
        assert second.status == K.kOfxStatFailed and not second.messages, "the message stands already"
        host.check()


def test_frames_that_the_server_let_go_are_sent_again(bundle: Path) -> None:
    refusal = {"type": "failure", "code": "frame_missing", "message": "Send them again."}
    with stub_server(submit=lambda *_: [{**refusal, "frames": []}]) as stub, OfxHost(bundle) as host:
        result = restyle(host, stub.endpoint).render(1)
        assert said(result) == "Send them again."
        assert len(stub.submits()) == 3 and sum(header["type"] == "put" for header in stub.asked) == 3


def test_a_message_ends_with_the_code_and_the_id_that_the_server_logs(bundle: Path, slow: Server) -> None:
    worker = psutil.Process(slow.process.pid).children()[0]
    with OfxHost(bundle) as host:
        instance = restyle(host, slow.endpoint)
        thread, _ = while_it_runs(slow, worker.kill)
        result = instance.render(1)
        thread.join()
        (message,) = [message for message in result.messages if message.kind != "clear"]
        (trouble,) = report(slow).troubles
        assert message.text == f"{trouble.message} [engine_failed {trouble.id}]"
        assert f"[{trouble.id}] failed: {trouble.message}" in slow.log.read_text()
        instance.button("refresh_status")
        assert instance.get("status") == message.text
        host.check()


def recorded(home: Path, *words: str) -> None:
    (home / "config").mkdir(parents=True, exist_ok=True)
    (home / "config/server.json").write_text(json.dumps({"command": words}))


def test_auto_starts_the_recorded_server_once_and_again_after_a_kill(bundle: Path, home: Path) -> None:
    recorded(home, sys.executable, "-m", "latensify_server", "serve", "--auto", "--engine", "fake", "--idle-exit", "3")
    log = home / "run/server.log"
    params: dict[str, Any] = {"preset": "Winter", "server": "auto", "window": 1, "overlap": 0}
    killed: list[int] = []
    with OfxHost(bundle) as host:
        for starts in (1, 2):
            options: dict[str, Any] = {"params": {**params, "seed": starts}, "clips": {"Source": shot()}}
            results = host.render_frames(RESTYLE, "filter", range(4), threads=3, **options)
            for frame, result in results.items():
                assert result.ok, result.messages
                assert_same(result.image, edited(plate(frame)))
            assert log.read_text().lower().count("listening") == starts
            with Session(auto_endpoint(), "test") as session:
                assert session.status().finished == 4
            assert not any(Path(f"/proc/{process}").exists() for process in killed), "reaped at the next start"
            killed.append(_server_of(home))
            os.kill(killed[-1], signal.SIGKILL)
        host.check()


def _server_of(home: Path) -> int:
    """The process that serves this home: the one that says so in its environment and its command."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if b"serve" in words and f"LATENSIFY_HOME={home}".encode() in (folder / "environ").read_bytes().split(
                b"\0"
            ):
                return int(folder.name)
        except OSError:
            continue
    raise AssertionError(f"no server of {home} runs")


def test_server_that_is_started_keeps_nothing_of_its_host(bundle: Path, home: Path, tmp_path: Path) -> None:
    """Neither the folder that the host runs in nor the files that it has open, though they are inherited."""
    recorded(home, sys.executable, "-m", "latensify_server", "serve", "--auto", "--engine", "fake", "--idle-exit", "3")
    held = tmp_path / "held by the host"
    file = os.open(held, os.O_CREAT | os.O_WRONLY)
    os.set_inheritable(file, True)
    try:
        with OfxHost(bundle) as host:
            result = restyle(host, "auto").render(1)
            assert result.ok, result.messages
            process = Path(f"/proc/{_server_of(home)}")
            assert os.readlink(process / "cwd") == "/"
            assert str(held) not in [os.readlink(entry) for entry in (process / "fd").iterdir()]
            os.kill(int(process.name), signal.SIGKILL)
            host.check()
    finally:
        os.close(file)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (None, "latensify plugin install"),
        (["/nonexistent/latensify", "serve"], "/nonexistent/latensify: No such file"),
        ([sys.executable, "-c", "raise SystemExit(3)"], "server.log"),
    ],
    ids=["not recorded", "not there", "fails"],
)
def test_auto_that_cannot_start_a_server_says_why(
    bundle: Path, home: Path, command: list[str] | None, sentence: str
) -> None:
    if command:
        recorded(home, *command)
    with OfxHost(bundle) as host:
        result = restyle(host, "auto").render(1)
        assert sentence in said(result) and result.seconds < 5
        host.check()


def test_abort_while_a_server_starts(bundle: Path, home: Path) -> None:
    recorded(home, sys.executable, "-c", "import time; time.sleep(3)")
    with OfxHost(bundle) as host:
        result = restyle(host, "auto").render(1, abort=Abort(after_s=0.5))
        assert result.ok and result.abort_latency_s is not None and result.abort_latency_s < 0.25
        assert result.abort.largest_gap_s < 0.25
        host.check()


def test_sentences_need_no_arguments_of_their_format(bundle: Path) -> None:
    """Natron prints garbage for what follows a format: a per cent sign in a sentence is escaped instead."""
    with stub_server(submit=failed("engine_failed", "It broke at 100% of %s.")) as stub:
        for variant in (NATRON, GENERIC, RESOLVE):
            with OfxHost(bundle, variant) as host:
                assert said(restyle(host, stub.endpoint, Clip({1: plate(1)})).render(1)) == "It broke at 100% of %s."
                assert re.search(r"100%% of %%s", host.messages[0].format)
