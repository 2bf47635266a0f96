"""`latensify doctor`: what is installed, what is missing and how to get it."""

from __future__ import annotations

import json
import sys

import click

from latensify_bridge import __version__


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(as_json: bool) -> None:
    """Says what is installed, what is missing and how to get it. Exits 0 when `latensify render` can work, else 1."""
    from latensify_server.doctor import examine, healthy, report

    findings = examine()
    if as_json:
        click.echo(json.dumps(report(findings), indent=2, ensure_ascii=False))
    else:
        click.echo(f"latensify {__version__}")
        for each in findings:
            mark = "ok" if each.good else "MISSING" if each.needed else "-"
            click.echo(f"{mark:8}{each.name:24}{each.found}" + ("" if each.good else f"  ->  {each.remedy}"))
    sys.exit(0 if healthy(findings) else 1)
