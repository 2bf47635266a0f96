"""The headless renderer: a shot on disk in, edited frames out, asked of a server frame by frame.

A frame's windows reach over the whole shot as it lies on disk, so that a frame does not depend on which others are
rendered, in which order, or by whom.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import xxhash

from latensify_bridge import __version__
from latensify_bridge.client import Session
from latensify_bridge.effects import AnyEdit, Panel, changes_nothing
from latensify_bridge.errors import Cancelled, FrameMissing
from latensify_bridge.frames import Depth, Edited
from latensify_bridge.framing import margins_of
from latensify_bridge.protocol import Progress, Result, Source
from latensify_server.engine import REVISION
from latensify_server.media.grow import grown
from latensify_server.media.image import Image
from latensify_server.media.output import Output
from latensify_server.media.pixels import lay
from latensify_server.media.shot import Shot


class Reporter(Protocol):
    """Is told how a render goes."""

    def begin(self, frame: int) -> None: ...

    def step(self, fraction: float, stage: str, ahead: int) -> None: ...

    def done(self, frame: int, how: str, seconds: float) -> None: ...

    def note(self, text: str) -> None: ...


@dataclass(frozen=True)
class Job:
    """What to render. `fresh` not empty: results of earlier runs are not used. `prime`: results also serve hosts
    that can give only one frame. `model_hash` is the model's where it is known beforehand, for `resume`; `fit_of` gives
    the hash of the fit that has seen a frame, for edits that ask for one.
    """

    effect: str
    edit: AnyEdit
    panel: Panel
    frames: Sequence[int]
    resume: bool = False
    fresh: str = ""
    prime: bool = False
    depth: str | None = None
    model_hash: str = ""
    fit_of: Callable[[Source], str] | None = None


def frame_key(job: Job, shot: Shot, frame: int) -> str:
    """Names all that decides a rendered frame: effect, parameters, the frames of its windows, its own stored pixels."""
    sources = [each.source for each in shot.sources(frame, job.edit)]
    own = [job.panel.mix, job.depth, frame, shot.named(frame).stored]
    own += [job.fit_of(source) for source in sources] if job.fit_of else []
    deciding = [__version__, REVISION, job.effect, job.edit, job.model_hash, own, sources]
    return xxhash.xxh3_128(msgspec.msgpack.encode(deciding)).hexdigest()


@dataclass
class Summary:
    """How a render went, for `--json`."""

    effect: str
    output: str
    rendered: list[int] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    cached: int = 0
    seconds: float = 0.0
    model: str = ""
    model_hash: str = ""


class Renderer:
    """Renders the frames of a job. `connect` is called when the first frame has to be edited, if one has."""

    def __init__(
        self, job: Job, shot: Shot, connect: Callable[[], Session], report: Reporter, cancelled: Callable[[], bool]
    ) -> None:
        self._job = job
        self._shot = shot
        self._connect = connect
        self._report = report
        self._cancelled = cancelled
        self._session: Session | None = None
        self._sent: set[int] = set()
        self._noted: set[str] = set()

    def run(self, output: Output, movie_key: str = "") -> Summary:
        """Renders all frames into `output`. Raises Cancelled, and any failure of reading, editing or writing."""
        job, began = self._job, time.monotonic()
        summary = Summary(job.effect, output.name)
        same = changes_nothing(job.edit, job.panel)
        if same:
            self._note("Nothing would change (no prompt, strength 0 or mix 0): the frames are copied.")
        for frame in job.frames:
            self._report.begin(frame)
            started = time.monotonic()
            self._read(frame)
            key = movie_key or frame_key(job, self._shot, frame)
            if job.resume and output.finished(frame, key):
                summary.skipped.append(frame)
                self._report.done(frame, "finished before", 0.0)
                continue
            image, result = (self._base(frame), None) if same else self._edited(frame)
            output.write(frame, image, _metadata(job, key, result))
            how = _count(summary, frame, result)
            self._report.done(frame, how, time.monotonic() - started)
        summary.seconds = round(time.monotonic() - began, 3)
        return summary

    def _read(self, frame: int) -> None:
        """Reads the window of a frame. A large one takes a while, so it is told, and can be stopped."""
        needed = self._shot.window(frame, self._job.edit)
        for count, number in enumerate(needed):
            self._go_on()
            self._report.step(count / len(needed), "reading", 0)
            self._shot.named(number)
        self._go_on()

    def _go_on(self) -> None:
        if self._cancelled():
            raise Cancelled("Stopped; --resume goes on from here.")

    def _edited(self, frame: int) -> tuple[Image, Result]:
        self._session = self._session or self._connect()
        try:
            edited, result = self._ask(self._session, frame)
        except FrameMissing:  # the server has let a frame go: send them again, once
            self._sent.clear()
            edited, result = self._ask(self._session, frame)
        if result.note:
            self._note(result.note)
        return lay(self._base(frame), edited, self._job.panel.mix), result

    def _base(self, frame: int) -> Image:
        """What an edit is laid over: the frame as stored, with its margins where the effect has some."""
        return grown(self._shot.load(frame).image, margins_of(self._job.edit))

    def _ask(self, session: Session, frame: int) -> tuple[Edited, Result]:
        job, shot = self._job, self._shot
        named, margins = shot.sources(frame, job.edit), margins_of(job.edit)
        for number in shot.window(frame, job.edit):
            self._go_on()
            self._send(session, number)
        return session.edit(
            job.effect,
            job.edit,
            frame + job.panel.frame_offset,
            shot.first + job.panel.frame_offset,
            shot.last + job.panel.frame_offset,
            [each.source for each in named],
            (named[0].size[0] + margins.across, named[0].size[1] + margins.down),
            depth=Depth.HALF,
            pixel_aspect=shot.load(frame).image.pixel_aspect,
            interactive=False,
            fresh=job.fresh,
            prime=job.prime,
            timeout_s=job.panel.timeout_s,
            on_progress=self._progress,
        )

    def _send(self, session: Session, number: int) -> None:
        if number in self._sent:
            return
        loaded = self._shot.load(number)
        session.send(loaded.pixels)
        if loaded.mask is not None:
            session.send(loaded.mask)
        self._sent.add(number)

    def _progress(self, progress: Progress) -> None:
        self._report.step(progress.fraction, progress.stage, progress.ahead)

    def _note(self, text: str) -> None:
        if text not in self._noted:
            self._noted.add(text)
            self._report.note(text)


def _count(summary: Summary, frame: int, result: Result | None) -> str:
    summary.rendered.append(frame)
    if result is None:
        return "copied"
    summary.model, summary.model_hash = result.model, result.model_hash
    summary.cached += result.cached
    return "from the cache" if result.cached else "done"


def _parameters(job: Job) -> dict[str, object]:
    """Every parameter that had a part in the pixels."""
    panel = msgspec.structs.asdict(job.panel)
    return {**msgspec.structs.asdict(job.edit), **{n: v for n, v in panel.items() if n not in ("server", "timeout_s")}}


def _metadata(job: Job, key: str, result: Result | None) -> dict[str, str | int]:
    return {
        "effect": job.effect,
        "params": msgspec.json.encode(_parameters(job), order="sorted").decode(),
        "seed": job.edit.seed,
        "model": result.model if result else "",
        "model_hash": result.model_hash if result else "",
        "version": __version__,
        "key": key,
    }
