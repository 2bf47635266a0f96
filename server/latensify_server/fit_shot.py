"""Asks a server to fit a model to a shot on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from latensify_bridge.client import Session
from latensify_bridge.effects import Edit
from latensify_bridge.errors import Cancelled, FrameMissing
from latensify_bridge.protocol import Fitted, Progress, Source
from latensify_server.media.shot import Shot

Step = Callable[[float, str, int], None]
"""Told (fraction 0..1, stage, requests ahead)."""


def sources_of(shot: Shot, numbers: Sequence[int], step: Step, cancelled: Callable[[], bool]) -> list[Source]:
    """The frames by name. Raises Cancelled, and BadInput where one is missing, damaged or does not fit."""
    found = []
    for count, number in enumerate(numbers):
        _go_on(cancelled)
        step(count / len(numbers), "reading", 0)
        found.append(shot.named(number).source)
    return found


def fit_shot(
    session: Session,
    shot: Shot,
    numbers: Sequence[int],
    sources: Sequence[Source],
    effect: str,
    edit: Edit,
    step: Step,
    cancelled: Callable[[], bool],
) -> Fitted:
    """Fits a model to the frames `numbers` of a shot, which `sources` name; sends those that the server lacks."""

    def told(progress: Progress) -> None:
        step(progress.fraction, progress.stage, progress.ahead)

    try:
        return session.fit(effect, edit, sources, on_progress=told)
    except FrameMissing:
        for count, number in enumerate(numbers):
            _go_on(cancelled)
            step(count / len(numbers), "sending", 0)
            loaded = shot.load(number)
            session.send(loaded.pixels)
            if loaded.mask is not None:
                session.send(loaded.mask)
        return session.fit(effect, edit, sources, on_progress=told)


def _go_on(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise Cancelled("Stopped before the fit began.")
