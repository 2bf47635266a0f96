"""`latensify serve`: the server, in the foreground."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latensify_bridge.errors import BadRequest, LatensifyError
from latensify_bridge.folders import auto_endpoint, cache_folder, private, runtime_folder
from latensify_bridge.keys import on_this_machine
from latensify_bridge.protocol import LONGEST_PART, PART_BYTES
from latensify_server import logs
from latensify_server.engines import ENGINES
from latensify_server.keys import needed
from latensify_server.settings import MIB, Settings

if TYPE_CHECKING:
    from latensify_server.service import Service

IDLE_EXIT_S = 1800.0
log = logging.getLogger("latensify.serve")


@click.command()
@click.option(
    "--endpoint",
    "--listen",
    default="auto",
    show_default=True,
    help="auto: this user's own socket; or tcp://127.0.0.1:PORT; with keys (latensify keys) any tcp://HOST:PORT.",
)
@click.option("--auto", is_flag=True, help=f"As a host starts it: ends after {IDLE_EXIT_S / 60:g} idle minutes.")
@click.option("--engine", type=click.Choice(sorted(ENGINES)), default="diffusion", show_default=True)
@click.option(
    "--cache", type=click.Path(path_type=Path), help="Folder for results.  [default: the user's cache folder]"
)
@click.option("--cache-mb", type=click.IntRange(1), default=20 * 1024, show_default=True, help="Disk for results.")
@click.option(
    "--frames-mb", type=click.IntRange(1), help="Shared memory for source frames.  [default: by what is free]"
)
@click.option("--max-frame-mb", type=click.IntRange(1), default=1024, show_default=True, help="Largest frame taken.")
@click.option(
    "--client-frames-mb", type=click.IntRange(1), help="Source frames held for one client.  [default: as for all]"
)
@click.option(
    "--max-part-mb",
    type=click.IntRange(PART_BYTES // MIB),
    default=LONGEST_PART // MIB,
    show_default=True,
    help="Longest part of a message taken; what sends a longer one is disconnected.",
)
@click.option(
    "--max-client-jobs", type=click.IntRange(1), default=1000, show_default=True, help="Requests of one client."
)
@click.option("--max-jobs", type=click.IntRange(1), default=10_000, show_default=True, help="Requests that may wait.")
@click.option(
    "--idle-exit", "idle_exit_s", type=click.FloatRange(0), default=0.0, help="End after so many idle seconds."
)
@click.option(
    "--log-format",
    type=click.Choice(logs.FORMATS),
    default=logs.TEXT,
    show_default=True,
    help="Lines for people, or JSON lines.",
)
@click.option("--metrics", metavar="[HOST:]PORT", help="Serve Prometheus metrics, on loopback unless HOST is given.")
def serve(
    endpoint: str,
    auto: bool,
    engine: str,
    cache: Path | None,
    cache_mb: int,
    frames_mb: int | None,
    max_frame_mb: int,
    client_frames_mb: int | None,
    max_part_mb: int,
    max_client_jobs: int,
    max_jobs: int,
    idle_exit_s: float,
    log_format: str,
    metrics: str | None,
) -> None:
    """Answers hosts and renderers until stopped with Ctrl-C."""
    logs.start(log_format)
    given: dict[str, Any] = {"frames_bytes": frames_mb * MIB} if frames_mb else {}
    settings = Settings(
        endpoint=_checked(endpoint),
        engine=engine,
        cache=cache or cache_folder() / "results",
        cache_bytes=cache_mb * MIB,
        max_frame_bytes=max_frame_mb * MIB,
        client_frames_bytes=client_frames_mb * MIB if client_frames_mb else None,
        max_part_bytes=max_part_mb * MIB,
        max_client_jobs=max_client_jobs,
        max_jobs=max_jobs,
        idle_exit_s=IDLE_EXIT_S if auto and not idle_exit_s else idle_exit_s,
        log_format=log_format,
        **given,
    )
    if endpoint == "auto":
        with open(private(runtime_folder()) / "server.lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                click.echo("A server of yours runs already; `latensify status` shows it.")
                return
            _run(settings, metrics)
    else:
        _run(settings, metrics)


def _run(settings: Settings, metrics: str | None) -> None:
    from latensify_server.service import Service

    service = Service(settings)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: service.stop())
    try:
        with _metrics_served(metrics, service):
            _say_where(service, settings)
            service.run()
    except LatensifyError:  # before it ran
        service.stop()
        service.run()  # closes what it has opened
        raise


def _say_where(service: Service, settings: Settings) -> None:
    said = f"Listening on {service.endpoint}; results in {settings.cache}."
    if settings.log_format == logs.JSON:
        log.info(said)
    else:
        click.echo(said)


@contextlib.contextmanager
def _metrics_served(asked: str | None, service: Service) -> Iterator[None]:
    if asked is None:
        yield
        return
    try:
        from latensify_server.metrics import address_of, serving
    except ModuleNotFoundError:
        raise BadRequest("prometheus-client is not installed; run `pip install 'latensify[metrics]'`.") from None
    address = address_of(asked)
    with serving(address, service.report, service.tally):
        log.info("Metrics on http://%s:%d/metrics", address.host, address.port)
        yield


def _checked(endpoint: str) -> str:
    """The address to bind. Raises BadRequest where it is none, or where it needs keys and there are none."""
    if endpoint == "auto":
        return auto_endpoint()
    if endpoint.startswith(("ipc://", "tcp://")):
        if not on_this_machine(endpoint):
            needed(endpoint)
        return endpoint
    raise BadRequest(f"'{endpoint}' is no address; use auto, ipc:///PATH or tcp://HOST:PORT.")
