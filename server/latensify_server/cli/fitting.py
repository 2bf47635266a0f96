"""Models fitted to a shot, on the command line: made ahead with progress, and found again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from latensify_bridge.choices import Fill
from latensify_bridge.effects import AnyEdit, wants_fit
from latensify_bridge.errors import BadRequest, Cancelled
from latensify_bridge.protocol import Fitted, Source
from latensify_server.cli.progress import fitting
from latensify_server.cli.sessions import session_with
from latensify_server.cli.stopping import stoppable
from latensify_server.fit_shot import fit_shot, sources_of
from latensify_server.fits import Fits, fit_key, fits_folder, frames_of, settings_of
from latensify_server.media.shot import Shot


def asking_for_the_fit(edit: AnyEdit, chosen: bool) -> AnyEdit:
    """The edit with its fill fitted. Raises BadRequest where another was chosen."""
    if chosen and not wants_fit(edit):
        raise BadRequest("--fit fits a model, and --fill chooses something else; leave one out.")
    return msgspec.structs.replace(edit, fill=Fill.FITTED)


def fit_finder(effect: str, edit: AnyEdit) -> Callable[[Source], str]:
    """The hash of the fit on this machine that has seen a frame; empty where there is none."""
    fits, settings = Fits(fits_folder()), settings_of(effect, edit, 1.0)

    def find(source: Source) -> str:
        record = fits.find(settings, [source])
        return record.hash if record else ""

    return find


def fit_on_disk(
    effect: str, edit: AnyEdit, shot: Shot, server: str | None, engine: str, numbers: Sequence[int] | None = None
) -> Fitted:
    """Fits a model to a shot, or to some of its frames, with progress; asks no server when it is there already."""
    numbers = sorted(set(numbers or shot.plate.numbers))
    with stoppable() as cancelled, fitting() as step:
        sources = sources_of(shot, numbers, step, cancelled)
        key = fit_key(settings_of(effect, edit, 1.0), frames_of(sources))
        if server is None and Fits(fits_folder()).get(key):
            return Fitted(id="here", fit=key, cached=True)
        with session_with(server, engine, cancelled) as session:
            try:
                return fit_shot(session, shot, numbers, sources, effect, edit, step, cancelled)
            except Cancelled:
                raise Cancelled("Stopped; what is fitted is kept, and the same command goes on from there.") from None
