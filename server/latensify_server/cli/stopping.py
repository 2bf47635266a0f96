"""Ctrl-C and SIGTERM, told to work that cleans up after itself."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

import click

from latensify_bridge.errors import Cancelled

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Gives `cancelled()`, true once a signal came; what then raises Cancelled exits with 130 or 143.

    A second signal does not wait for that.
    """
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield lambda: bool(received)
    except Cancelled as error:
        if not received:
            raise
        click.echo(f"latensify: {error}", err=True)
        sys.exit(128 + received[0])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
