"""`latensify status`: how the running server does."""

from __future__ import annotations

import click
import msgspec

from latensify_bridge.client import connect


@click.command()
@click.option("--server", default="auto", show_default=True, help="The server's address.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole report as JSON.")
def status(server: str, as_json: bool) -> None:
    """Shows the queue, the cache and the last errors of a running server."""
    with connect(server, start=False) as session:
        report = session.status()
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report)).decode())
        return
    click.echo(f"server {report.server} (protocol {report.protocol}) on {report.device}, up {report.uptime_s:.0f} s")
    click.echo(f"models {', '.join(report.models) or 'none'}; finished {report.finished}, failed {report.failed}")
    click.echo(
        f"frames held {report.held_frames} ({report.held_bytes / 2**20:.0f} MiB); results kept {report.cache_entries} "
        f"({report.cache_bytes / 2**20:.0f} of {report.cache_limit_bytes / 2**20:.0f} MiB)"
    )
    for job in report.queue:
        state = f"{job.fraction:.0%}" if job.running else "waiting"
        click.echo(
            f"  {job.id} {job.effect} frame {job.frame} {'interactive' if job.interactive else 'background'} {state}"
        )
    for error in report.last_errors:
        click.echo(f"  last error: {error}")
