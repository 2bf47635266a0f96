"""`latensify status`: how the running server does."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click
import msgspec

from latensify_bridge.client import Session, connect
from latensify_bridge.protocol import Report, Trouble, Waiting
from latensify_server.logs import plain

if TYPE_CHECKING:
    from rich.console import RenderableType

EVERY_S = 1.0
SHOWN_TROUBLES = 5
SHOWN_WAITING = 20
PIPE_COLUMNS = 160  # where no terminal says how wide it is


@click.command()
@click.option("--server", default="auto", show_default=True, help="The server's address.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole report as JSON.")
@click.option("--watch", is_flag=True, help="Show it anew every second, until Ctrl-C; with --json a line each time.")
def status(server: str, as_json: bool, watch: bool) -> None:
    """Shows the queue, the device, the cache and the last errors of a running server."""
    with connect(server, start=False) as session:
        if watch:
            _watch(session, as_json)
        elif as_json:
            click.echo(msgspec.json.format(msgspec.json.encode(session.status())).decode())
        else:
            _print(session.status())


def _print(report: Report) -> None:
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPE_COLUMNS
    Console(highlight=False, soft_wrap=True, width=width).print(shown(report))


def _watch(session: Session, as_json: bool) -> None:
    """Ctrl-C is how it ends, so that is no failure."""
    try:
        if as_json:
            _every(lambda: click.echo(msgspec.json.encode(session.status()).decode()))
        elif not sys.stdout.isatty():
            _every(lambda: _print(session.status()))
        else:
            _watch_screen(session)
    except KeyboardInterrupt:
        return


def _watch_screen(session: Session) -> None:
    from rich.live import Live

    with Live(shown(session.status()), auto_refresh=False) as screen:
        _every(lambda: screen.update(shown(session.status()), refresh=True))


def _every(show: Callable[[], None]) -> None:
    while True:
        show()
        time.sleep(EVERY_S)


def shown(report: Report) -> RenderableType:
    """A report for people: lines about the server, then its queue, then its last errors."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(plain(line)) for line in lines(report)]
    if report.queue:
        parts.append(_queue(report.queue[:SHOWN_WAITING]))
        parts += [Text(f"and {left} more")] if (left := len(report.queue) - SHOWN_WAITING) > 0 else []
    parts += [Text(plain(_told(trouble))) for trouble in report.troubles[-SHOWN_TROUBLES:]]
    return Group(*parts)


def lines(report: Report) -> list[str]:
    """What a report says of the server itself."""
    asked = report.cache_hits + report.cache_misses
    hits = f"{report.cache_hits} of {asked} frames from there ({report.cache_hits / asked:.0%})" if asked else "unused"
    memory = report.memory
    told = [
        f"server   {report.server} (protocol {report.protocol}), up {_span(report.uptime_s)}",
        f"device   {report.device}",
        f"models   {', '.join(report.models) or 'none'}; fits {report.fits} ({_size(report.fits_bytes)})",
        f"cache    {report.cache_entries} results, {_size(report.cache_bytes)} of {_size(report.cache_limit_bytes)}; "
        + hits,
        f"frames   {report.held_frames} held, {_size(report.held_bytes)} of {_size(report.held_limit_bytes)}",
        f"requests {report.finished} finished, {report.failed} failed, {len(report.queue)} open; "
        f"{report.frames_per_s:.2f} frames a second over the last minute",
    ]
    if memory:
        told[1] += (
            f"; memory {_size(memory.used_bytes)} of {_size(memory.total_bytes)} used, "
            f"the engine's peak {_size(memory.peak_bytes)}"
        )
    return told


def _queue(queue: list[Waiting]) -> RenderableType:
    """Who waits for what."""
    from rich.table import Table
    from rich.text import Text

    table = Table("place", "request", "client", "effect", "frame", "kind", "state", "waits", box=None, pad_edge=False)
    for job in queue:
        client = f"{job.client} in {job.host}" if job.host else job.client
        kind = "interactive" if job.interactive else "background"
        state = f"{job.stage} {job.fraction:.0%}" if job.running else job.stage
        place = "now" if job.running else str(job.ahead)
        row = (place, job.id, client, job.effect, str(job.frame), kind, state, _span(job.waited_s))
        table.add_row(*(Text(plain(cell)) for cell in row))
    return table


def _told(trouble: Trouble) -> str:
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(trouble.at_s))
    whose = " ".join(part for part in (trouble.effect, trouble.client) if part)
    return f"error    {moment} {trouble.code} [{trouble.id}] {f'{whose}: ' if whose else ''}{trouble.message}"


def _size(nbytes: int) -> str:
    return f"{nbytes / 2**30:.1f} GiB" if nbytes >= 2**30 else f"{nbytes / 2**20:.0f} MiB"


def _span(seconds: float) -> str:
    """`3 s`, `4 min 5 s`, `2 h 10 min`, `3 d 4 h`."""
    whole = round(seconds)
    for unit, size, small, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // part} {small}"
    return f"{whole} s"
