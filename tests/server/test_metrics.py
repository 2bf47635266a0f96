"""What Prometheus scrapes of a server, and the log that goes with it."""

from __future__ import annotations

import io
import json
import logging
import re
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from hosts.servers import Server, free_port, server
from latensify_bridge.client import Session
from latensify_bridge.effects import Remove, Restyle
from latensify_bridge.errors import BadInput, BadRequest, LatensifyError
from latensify_bridge.frames import to_half
from latensify_bridge.protocol import Source
from latensify_server import logs
from latensify_server.metrics import Address, address_of
from server.plates import call

PLATE = to_half(np.random.default_rng(1).random((32, 48, 4), np.float32))
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
def metrics_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, metrics_port: int) -> Iterator[Server]:
    """A server that tells its metrics and logs JSON lines."""
    more = ("--metrics", str(metrics_port), "--log-format", "json")
    home = tmp_path_factory.mktemp("told")
    with server(home, env={"LATENSIFY_SHM": str(home / "shm")}, more=more) as running:
        yield running


@pytest.fixture(autouse=True)
def memory_of_its_own(told: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENSIFY_SHM", str(told.log.parent / "shm"))


def scraped(port: int) -> Samples:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def of(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, tuple(sorted(labels.items()))), 0.0)


def lines(log: Path, request: str) -> list[dict[str, object]]:
    """The log's events of one request, in their order."""
    events = [json.loads(line) for line in log.read_text().splitlines()]
    return [event for event in events if event.get("request") == request]


def render(session: Session, frame: int) -> str:
    """Renders a frame; the id of its request, empty when it came from the cache."""
    seen = [""]
    edit = Restyle(prompt="x", window=1, overlap=0)
    sources = [Source(frame, session.send(PLATE))]
    session.edit("restyle", edit, frame, frame, frame, sources, (48, 32), on_progress=lambda step: seen.append(step.id))
    session.status()  # when the server answers this, it has counted and logged the frame
    return seen[-1]


def test_requests_are_counted_and_timed(told: Server, metrics_port: int) -> None:
    before = scraped(metrics_port)
    with Session(told.endpoint, "test") as session:
        render(session, 1)
        render(session, 1)
        with pytest.raises(BadInput):
            session.edit("remove", Remove(window=1, overlap=0), 1, 1, 1, [Source(1, session.send(PLATE))], (48, 32))
    after = scraped(metrics_port)

    def more(name: str, **labels: str) -> float:
        return of(after, name, **labels) - of(before, name, **labels)

    done = {"effect": "restyle", "work": "frame", "outcome": "done"}
    assert more("latensify_requests_total", **done) == 1
    assert more("latensify_requests_total", **{**done, "outcome": "cached"}) == 1
    assert more("latensify_requests_total", effect="remove", work="frame", outcome="bad_input") == 1
    assert more("latensify_request_seconds_count", **done) == 1
    assert 0 < more("latensify_request_seconds_sum", **done) < 60
    assert of(after, "latensify_request_seconds_bucket", **done, le="+Inf") == of(
        after, "latensify_requests_total", **done
    )
    assert more("latensify_cache_hits_total") == 1 and more("latensify_cache_misses_total") == 1
    assert more("latensify_failures_total") == 1 and of(after, "latensify_worker_starts_total") == 1


def test_the_gauges_are_those_of_the_report(told: Server, metrics_port: int) -> None:
    with Session(told.endpoint, "test") as session:
        render(session, 2)
        report = session.status()
    samples = scraped(metrics_port)
    assert of(samples, "latensify_queue_length") == of(samples, "latensify_running_requests") == 0
    assert of(samples, "latensify_cache_entries") == report.cache_entries > 0
    assert of(samples, "latensify_held_bytes") == report.held_bytes > 0
    assert report.memory and of(samples, "latensify_device_memory_total_bytes") == report.memory.total_bytes
    assert of(samples, "latensify_info", version=report.server, device="fake") == 1
    assert of(samples, "process_resident_memory_bytes") > 0


def test_metrics_listen_on_loopback_alone(told: Server, metrics_port: int) -> None:
    connections = psutil.Process(told.process.pid).net_connections("tcp")
    listening = [found.laddr for found in connections if found.status == psutil.CONN_LISTEN]
    assert metrics_port in [address.port for address in listening]
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_every_event_of_a_request_has_the_id_that_the_client_gave_it(told: Server) -> None:
    with Session(told.endpoint, "Nuke 15") as session:
        id = render(session, 3)
        events = lines(told.log, id)
        assert [event["message"] for event in events] == [
            "restyle frame 3 queued",
            "restyle frame 3 begun",
            "restyle frame 3 done",
        ]
        assert all((event["client"], event["effect"], event["frame"]) == ("Nuke 15", "restyle", 3) for event in events)
        assert isinstance(events[-1]["seconds"], float)
        with pytest.raises(LatensifyError) as caught:
            session.edit("remove", Remove(window=1, overlap=0), 1, 1, 1, [Source(1, session.send(PLATE))], (48, 32))
        (failed,) = lines(told.log, caught.value.request)
        assert (failed["code"], failed["level"], failed["effect"]) == ("bad_input", "warning", "remove")


def test_all_that_is_logged_is_json(told: Server) -> None:
    events = [json.loads(line) for line in told.log.read_text().splitlines()]
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT[\d:.]+\+00:00", event["time"]) for event in events)
    assert any(event["message"].startswith("Listening on tcp://127.0.0.1") for event in events)


def test_a_port_that_is_taken_is_refused_in_a_sentence(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert call("serve", "--engine", "fake", "--metrics", str(port)) == 4
    assert f"Metrics cannot be served on 127.0.0.1:{port}" in capsys.readouterr().err


def test_addresses() -> None:
    assert address_of("9464") == Address("127.0.0.1", 9464)
    assert address_of("0.0.0.0:9464") == Address("0.0.0.0", 9464)
    assert address_of("[::1]:9464") == Address("::1", 9464)
    for wrong in ("", "localhost", ":9464", "host:port", "host:99999999", "/etc/passwd"):
        with pytest.raises(BadRequest, match="no address for metrics"):
            address_of(wrong)


def logged(formatter: logging.Formatter, message: str, **extra: object) -> str:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    record = logging.makeLogRecord({"levelname": "INFO", "name": "latensify.x", "msg": message, **extra})
    handler.emit(record)
    return out.getvalue()


def test_a_client_cannot_write_lines_of_its_own_into_the_log() -> None:
    hostile = "a\nINFO [c0-9] done\x1b[2J\u2028\u009b"
    said = logged(logs.Readable(), hostile, request="c0-1\r\n")
    assert len(said.splitlines()) == 1 and "[c0-1\\x0d\\x0a] a\\x0aINFO" in said and "\x1b" not in said
    said = logged(logs.JsonLines(), hostile, request="c0-1\r\n", frame=0, code="")
    assert len(said.splitlines()) == 1 and said.isascii()
    event = json.loads(said)
    assert (event["message"], event["request"], event["frame"]) == (hostile, "c0-1\r\n", 0) and "code" not in event


def test_a_traceback_goes_with_its_event() -> None:
    try:
        raise ZeroDivisionError("so")
    except ZeroDivisionError as error:
        info = (type(error), error, error.__traceback__)
    assert "ZeroDivisionError: so" in json.loads(logged(logs.JsonLines(), "failed", exc_info=info))["exception"]
    assert logged(logs.Readable(), "failed", exc_info=info).count("\n") > 2


def test_every_metric_is_in_the_documentation(told: Server, metrics_port: int) -> None:
    text = (Path(__file__).parents[2] / "docs/headless.md").read_text()
    listed = set(re.findall(r"`(latensify_\w+?)(?:\{[\w,]+\})?`", text))
    listed |= {f"latensify_device_memory_{name}_bytes" for name in ("used", "peak") if f"`…_{name}_bytes`" in text}
    with Session(told.endpoint, "test") as session:
        render(session, 4)
    found = {re.sub(r"_seconds_(bucket|sum|count)$", "_seconds", name) for name, _ in scraped(metrics_port)}
    assert {name for name in found if name.startswith("latensify_")} == listed
