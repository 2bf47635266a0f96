"""`latensify bench`: measures what this project claims."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

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


SIZES = ("1920x1080", "3840x2160")
DEPTHS = ("half", "float")


@bench.command()
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option(
    "--size", "sizes", multiple=True, help="WIDTHxHEIGHT; may be given more than once.  [default: HD and UHD]"
)
@click.option(
    "--depth", "depths", type=click.Choice(DEPTHS), multiple=True, help="Of the host's memory. [default: both]"
)
@click.option("--path", "paths", multiple=True, help="A path to measure; may be given more than once.  [default: all]")
@click.option("--rounds", type=click.IntRange(1), default=15, show_default=True, help="Round trips of each path.")
@click.option(
    "--disk", type=click.Path(path_type=Path), help="A folder on the disk to measure files on.  [default: /tmp]"
)
@click.option(
    "--program", type=click.Path(path_type=Path), help="The C++ host.  [default: what `make bench-bridge` built]"
)
@click.option("--only-trips", is_flag=True, help="Leave out first frames, windows, many clients and resident memory.")
def bridge(
    as_json: bool,
    sizes: tuple[str, ...],
    depths: tuple[str, ...],
    paths: tuple[str, ...],
    rounds: int,
    disk: Path | None,
    program: Path | None,
    only_trips: bool,
) -> None:
    """Measures a frame's trip to a server and back, beside plain copies of memory and other ways."""
    from latensify_server.bench import bridge as trips
    from latensify_server.bench.host import found_program

    frames = [trips.frame_of(size, depth) for size in sizes or SIZES for depth in depths or DEPTHS]
    chosen = trips.chosen_paths(paths)
    built = found_program(program)
    with _telling() as tell:
        report = trips.measured(
            built, frames, chosen, rounds, disk or Path(tempfile.gettempdir()), not only_trips, tell
        )
    if as_json:
        click.echo(json.dumps({**report, "command": shlex.join(["latensify", *sys.argv[1:]])}, indent=2))
    else:
        Console().print(_trips_table(report))


def _trips_table(report: dict[str, Any]) -> Table:
    table = Table(title="Round trips", title_justify="left")
    for column in ("size", "depth", "path", "edited", "ms", "x floor"):
        table.add_column(column, justify="left" if column in ("size", "depth", "path") else "right")
    for row in report["results"]:
        numbers = f"{row['edited']:.0%}", f"{row['round_trip_ms']:.1f}", f"{row['ratio_to_floor']:.2f}"
        table.add_row(row["size"], row["depth"], row["path"], *numbers)
    return table


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
