"""`latensify bench`: measures what this project claims."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from latensify_server.bench.figures import Figure

EVERY_S = 2.0
Tell = Callable[[str, int, int], None]


@click.group()
def bench() -> None:
    """Measures what this project claims, each figure beside its bound."""


@bench.command()
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option(
    "--only", multiple=True, help="A row to measure, for example vae; may be given more than once.  [default: all]"
)
@click.option("--samples", type=click.IntRange(1), default=40, show_default=True, help="Samples of each row.")
@click.option("--model", "name", default="tiny", show_default=True, help="An installed model, or a model's folder.")
@click.option("--out", type=click.Path(path_type=Path), help="Also write contact sheets into this folder.")
def models(as_json: bool, only: tuple[str, ...], samples: int, name: str, out: Path | None) -> None:
    """Measures the models that this project trains, on worlds and photographs that training never saw.

    A bound that is not met is told, and is no failure of the command.
    """
    from latensify_server.bench import asking, sheets
    from latensify_server.bench import models as rows
    from latensify_server.bench.setting import Setting

    wanted = rows.chosen(only)
    folder = asking.folder_of(name).resolve()
    with _telling() as tell:
        setting = Setting(asking.load(folder), folder, samples, tell)
        figures = rows.measured(setting, wanted)
        if out:
            for sheet in sheets.write(setting, out):
                click.echo(f"latensify: wrote {sheet}", err=True)
    if as_json:
        click.echo(json.dumps(rows.report(figures, folder, shlex.join(["latensify", *sys.argv[1:]])), indent=2))
    else:
        Console().print(_table(figures, f"{folder.name}, {rows.machine()}"))


def _table(figures: Sequence[Figure], title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column, side in (("figure", "left"), ("value", "right"), ("bound", "right"), ("met", "left"), ("n", "right")):
        table.add_column(column, justify=side)  # type: ignore[arg-type]
    table.add_column("note", style="dim")
    for figure in figures:
        bound = "" if figure.bound is None else f"{'>=' if figure.at_least else '<='} {figure.bound:g} {figure.unit}"
        met = {None: "", True: "[green]yes[/]", False: "[red]no[/]"}[figure.met]
        table.add_row(figure.name, f"{figure.value:.4g} {figure.unit}", bound, met, str(figure.samples), figure.note)
    return table


@contextlib.contextmanager
def _telling() -> Iterator[Tell]:
    """Progress on the standard error: a bar for people, a line now and then for logs."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("loading the model", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


def _lines() -> Tell:
    told = ("", 0.0)

    def tell(what: str, done: int, total: int) -> None:
        nonlocal told
        now_s = time.monotonic()
        if what != told[0] or done == total or now_s - told[1] >= EVERY_S:
            told = (what, now_s)
            click.echo(f"{what} {done}/{total}", err=True)

    return tell
