"""How a render goes: a bar on a terminal, plain lines elsewhere (one a frame, and one a second while it works)."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from latensify_server.fit_shot import Step
from latensify_server.render import Reporter

EVERY_S = 1.0


class Lines:
    """For logs: farms take a silent task for a stuck one."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._count = 0
        self._frame = 0
        self._told = 0.0

    def begin(self, frame: int) -> None:
        self._count += 1
        self._frame = frame
        self._told = time.monotonic()

    def step(self, fraction: float, stage: str, ahead: int) -> None:
        if time.monotonic() - self._told >= EVERY_S:
            self._told = time.monotonic()
            waiting = f", {ahead} ahead" if ahead else ""
            self._say(f"{stage} {fraction:.0%}{waiting}")

    def done(self, frame: int, how: str, seconds: float) -> None:
        self._say(f"{how} {seconds:.2f} s")

    def note(self, text: str) -> None:
        click.echo(f"latensify: {text}", err=True)

    def _say(self, text: str) -> None:
        click.echo(f"frame {self._frame} ({self._count}/{self._total}) {text}", err=True)


class Bar:
    """For people: all frames, and the frame at work within them."""

    def __init__(self, total: int, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=total, stage="")
        self._finished = 0

    def begin(self, frame: int) -> None:
        self._bar.update(self._task, description=f"frame {frame}", stage="")

    def step(self, fraction: float, stage: str, ahead: int) -> None:
        waiting = f" ({ahead} ahead)" if ahead else ""
        self._bar.update(self._task, completed=self._finished + fraction, stage=stage + waiting)

    def done(self, frame: int, how: str, seconds: float) -> None:
        self._finished += 1
        self._bar.update(self._task, completed=self._finished, stage=how)

    def note(self, text: str) -> None:
        self._bar.console.print(f"latensify: {text}", markup=False)


@contextlib.contextmanager
def fitting() -> Iterator[Step]:
    """Shows how a fit goes, where the errors go."""
    if not sys.stderr.isatty():
        yield _FitLines().step
        return
    columns = (
        TextColumn("fit"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[stage]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=1.0, stage="")

        def step(fraction: float, stage: str, ahead: int) -> None:
            bar.update(task, completed=fraction, stage=stage)

        yield step


class _FitLines:
    """One a second, for logs."""

    def __init__(self) -> None:
        self._told = 0.0

    def step(self, fraction: float, stage: str, ahead: int) -> None:
        if time.monotonic() - self._told >= EVERY_S:
            self._told = time.monotonic()
            click.echo(f"fit {stage} {fraction:.0%}", err=True)


@contextlib.contextmanager
def reporting(total: int) -> Iterator[Reporter]:
    """The reporter for where the errors go."""
    if not sys.stderr.isatty():
        yield Lines(total)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[stage]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield Bar(total, bar)
