"""What a server counts, for Prometheus to scrape: `latensify serve --metrics 127.0.0.1:9464`. Needs prometheus-client.

The names follow https://prometheus.io/docs/practices/naming/: base units, counters that end in _total.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from latensify_bridge.errors import BadRequest, OutputFailed
from latensify_bridge.protocol import Report
from latensify_server.tally import WITHIN_S, Kind, Tally, Times

BOUNDS = (*map(str, WITHIN_S), "+Inf")
LABELS = ("effect", "work", "outcome")


@dataclass(frozen=True)
class Address:
    """Where metrics are served."""

    host: str
    port: int


def address_of(text: str) -> Address:
    """`PORT` on loopback, `HOST:PORT` or `[IPV6]:PORT`. Raises BadRequest for anything else."""
    try:
        parts = urlsplit(f"//127.0.0.1:{text}" if text.isdecimal() else f"//{text}")
        found = Address(parts.hostname or "", parts.port or 0)
    except ValueError:
        found = Address("", 0)
    if not found.host or not found.port:
        raise BadRequest(f"'{text}' is no address for metrics; use HOST:PORT, for example 127.0.0.1:9464.")
    return found


@contextlib.contextmanager
def serving(address: Address, report: Callable[[], Report], tally: Tally) -> Iterator[int]:
    """Serves /metrics until the block ends; the port. Raises OutputFailed where nobody can listen there."""
    registry = CollectorRegistry()
    registry.register(_Counts(report, tally))
    ProcessCollector(registry=registry)
    try:
        server, thread = start_http_server(address.port, address.host, registry)
    except OSError as error:
        raise OutputFailed(
            f"Metrics cannot be served on {address.host}:{address.port}: {error.strerror}; choose another --metrics."
        ) from None
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Counts(Collector):
    """Reads the server's own figures at each scrape, so that nothing is counted twice."""

    def __init__(self, report: Callable[[], Report], tally: Tally) -> None:
        self._report = report
        self._tally = tally

    def describe(self) -> list[Metric]:
        return []  # or the registry would ask for all of it once, to learn the names

    def collect(self) -> Iterator[Metric]:
        yield from _requests(dict(self._tally.times))
        yield from _totals(self._tally)
        yield from _gauges(self._report())


def _requests(times: dict[Kind, Times]) -> Iterator[Metric]:
    total = CounterMetricFamily("latensify_requests", "Requests that have ended, by how.", labels=LABELS)
    seconds = HistogramMetricFamily(
        "latensify_request_seconds", "From a request's arrival to its end, waiting included.", labels=LABELS
    )
    for kind, took in times.items():
        labels = (kind.effect, kind.work, kind.outcome)
        total.add_metric(labels, took.count)
        seconds.add_metric(labels, list(zip(BOUNDS, itertools.accumulate(took.counts), strict=True)), took.total_s)
    yield total
    yield seconds


def _totals(tally: Tally) -> Iterator[Metric]:
    for name, text, value in (
        ("cache_hits", "Frames answered from the cache.", tally.cache_hits),
        ("cache_misses", "Frames that had to be computed.", tally.cache_misses),
        ("failures", "Failures told to clients.", tally.failed),
        ("worker_starts", "How often the worker process was started.", tally.worker_starts),
    ):
        yield CounterMetricFamily(f"latensify_{name}", text, value)


def _gauges(report: Report) -> Iterator[Metric]:
    yield GaugeMetricFamily("latensify_start_time_seconds", "When it started (unix).", time.time() - report.uptime_s)
    info = GaugeMetricFamily("latensify_info", "1; its labels say which server this is.", labels=("version", "device"))
    info.add_metric((report.server, report.device), 1)
    yield info
    running = sum(job.running for job in report.queue)
    for name, text, value in (
        ("queue_length", "Requests that wait.", len(report.queue) - running),
        ("running_requests", "Requests at work: 0 or 1.", running),
        ("cache_entries", "Results kept.", report.cache_entries),
        ("cache_bytes", "Disk that the results take.", report.cache_bytes),
        ("cache_limit_bytes", "Disk that the results may take.", report.cache_limit_bytes),
        ("held_frames", "Source frames held.", report.held_frames),
        ("held_bytes", "Memory that the source frames take.", report.held_bytes),
        ("held_limit_bytes", "Memory that the source frames may take.", report.held_limit_bytes),
        ("fits", "Models fitted to shots.", report.fits),
        ("fits_bytes", "Disk that they take.", report.fits_bytes),
    ):
        yield GaugeMetricFamily(f"latensify_{name}", text, value)
    if report.memory:
        for name, text, value in (
            ("total", "The device's memory.", report.memory.total_bytes),
            ("used", "The device's memory that all programs use.", report.memory.used_bytes),
            ("peak", "The most that the engine has used.", report.memory.peak_bytes),
        ):
            yield GaugeMetricFamily(f"latensify_device_memory_{name}_bytes", text, value)
