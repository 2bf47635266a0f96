"""The headless renderer: a shot on disk in, edited frames out, asked of a server frame by frame.

A frame's windows reach over the whole shot as it lies on disk, so that a frame does not depend on which others are
rendered, in which order, or by whom.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import numpy as np
import xxhash
from numpy.typing import NDArray

from latensify_bridge import __version__
from latensify_bridge.client import Session
from latensify_bridge.effects import Panel, Remove, Restyle, changes_nothing
from latensify_bridge.errors import BadInput, Cancelled, FrameMissing
from latensify_bridge.frames import Depth, Edited, frame_name, spec_of
from latensify_bridge.protocol import Progress, Result, Source
from latensify_bridge.windows import frames_of
from latensify_server.media.clip import Clip
from latensify_server.media.image import Image
from latensify_server.media.matte import Mattes
from latensify_server.media.output import Output
from latensify_server.media.pixels import lay, straight

HELD_BYTES = 2**30


class Reporter(Protocol):
    """Is told how a render goes."""

    def begin(self, frame: int) -> None: ...

    def step(self, fraction: float, stage: str, ahead: int) -> None: ...

    def done(self, frame: int, how: str, seconds: float) -> None: ...

    def note(self, text: str) -> None: ...


@dataclass(frozen=True)
class Job:
    """What to render. `fresh` not empty: results of earlier runs are not used. `prime`: results also serve hosts
    that can give only one frame.
    """

    effect: str
    edit: Restyle | Remove
    panel: Panel
    frames: Sequence[int]
    resume: bool = False
    fresh: str = ""
    prime: bool = False
    depth: str | None = None


@dataclass(frozen=True)
class Loaded:
    """A frame of the shot: as stored, and as it travels."""

    image: Image
    pixels: NDArray[np.float16]
    mask: NDArray[np.float16] | None

    @property
    def nbytes(self) -> int:
        return self.image.pixels.nbytes + self.pixels.nbytes + (0 if self.mask is None else self.mask.nbytes)


@dataclass(frozen=True)
class Named:
    """A frame of the shot by the content of what travels and of what is stored."""

    source: Source
    stored: str
    size: tuple[int, int]


class Shot:
    """The frames of a clip and their mattes, read when needed; the latest of them stay in memory."""

    def __init__(self, plate: Clip, mattes: Mattes, offset: int) -> None:
        self.plate = plate
        self.first, self.last = plate.numbers[0], plate.numbers[-1]
        self._mattes = mattes
        self._offset = offset
        self._there = frozenset(plate.numbers)
        self._loaded: OrderedDict[int, Loaded] = OrderedDict()
        self._named: dict[int, Named] = {}

    def check(self, frames: Sequence[int]) -> None:
        """Raises BadInput, naming the first few of `frames` that are not there."""
        missing = [frame for frame in frames if frame not in self._there]
        if missing:
            some = ", ".join(str(frame) for frame in missing[:5]) + (", ..." if len(missing) > 5 else "")
            raise BadInput(
                f"{self.plate.name} has frames {self.first}-{self.last} but not {some} "
                f"({self.plate.files(missing[0])}); render what is missing or change --frames."
            )

    def window(self, frame: int, edit: Restyle | Remove) -> range:
        """Every frame that the edit of `frame` needs. Raises BadInput where one is missing."""
        shift = self._offset
        found = frames_of(frame + shift, self.first + shift, self.last + shift, edit.window, edit.overlap)
        needed = range(found.start - shift, found.stop - shift)
        for number in needed:
            if number not in self._there:
                raise BadInput(
                    f"Frame {number} of {self.plate.name} is missing ({self.plate.files(number)}), and the window of "
                    f"frame {frame} needs it; render it, or use a smaller --window."
                )
        return needed

    def load(self, frame: int) -> Loaded:
        """Raises BadInput, naming the file, where a plate or matte is missing, damaged or does not fit."""
        if frame in self._loaded:
            self._loaded.move_to_end(frame)
            return self._loaded[frame]
        image = self.plate.read(frame)
        loaded = Loaded(image, straight(image), self._mattes.of(frame, image))
        self._loaded[frame] = loaded
        while len(self._loaded) > 1 and sum(each.nbytes for each in self._loaded.values()) > HELD_BYTES:
            self._loaded.popitem(last=False)
        return loaded

    def named(self, frame: int) -> Named:
        """What a frame is called, without sending it."""
        if frame not in self._named:
            loaded = self.load(frame)
            mask = None if loaded.mask is None else _name(loaded.mask)
            source = Source(number=frame + self._offset, pixels=_name(loaded.pixels), mask=mask)
            height, width = loaded.pixels.shape[:2]
            self._named[frame] = Named(source, loaded.image.digest(), (width, height))
        return self._named[frame]

    def sources(self, frame: int, edit: Restyle | Remove) -> list[Named]:
        """The frames of the windows of `frame`. Raises BadInput where they differ in size."""
        named = [self.named(number) for number in self.window(frame, edit)]
        for number, each in zip(self.window(frame, edit), named, strict=True):
            if each.size != named[0].size:
                raise BadInput(
                    f"Frame {number} of {self.plate.name} is {each.size[0]}x{each.size[1]} and others of its shot are "
                    f"{named[0].size[0]}x{named[0].size[1]}; give every frame of the shot one size."
                )
        return named


def _name(pixels: NDArray[np.float16]) -> str:
    return frame_name(spec_of(pixels), np.ascontiguousarray(pixels).data.cast("B"))


def frame_key(job: Job, shot: Shot, frame: int) -> str:
    """Names all that decides a rendered frame: effect, parameters, the frames of its windows, its own stored pixels."""
    sources = [each.source for each in shot.sources(frame, job.edit)]
    deciding = [__version__, job.effect, job.edit, job.panel.mix, job.depth, frame, shot.named(frame).stored, sources]
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
        """Renders all frames into `output`. Raises Cancelled between frames, and any failure of reading or editing."""
        job, began = self._job, time.monotonic()
        summary = Summary(job.effect, output.name)
        same = changes_nothing(job.edit, job.panel)
        if same:
            self._note("Nothing would change (no prompt, strength 0 or mix 0): the frames are copied.")
        for frame in job.frames:
            if self._cancelled():
                raise Cancelled("Stopped; --resume goes on from here.")
            self._report.begin(frame)
            started = time.monotonic()
            key = movie_key or frame_key(job, self._shot, frame)
            if job.resume and output.finished(frame, key):
                summary.skipped.append(frame)
                self._report.done(frame, "finished before", 0.0)
                continue
            image, result = (self._shot.load(frame).image, None) if same else self._edited(frame)
            output.write(frame, image, _metadata(job, key, result))
            how = _count(summary, frame, result)
            self._report.done(frame, how, time.monotonic() - started)
        summary.seconds = round(time.monotonic() - began, 3)
        return summary

    def _edited(self, frame: int) -> tuple[Image, Result]:
        self._session = self._session or self._connect()
        try:
            edited, result = self._ask(self._session, frame)
        except FrameMissing:  # the server has let a frame go: send them again, once
            self._sent.clear()
            edited, result = self._ask(self._session, frame)
        if result.note:
            self._note(result.note)
        return lay(self._shot.load(frame).image, edited, self._job.panel.mix), result

    def _ask(self, session: Session, frame: int) -> tuple[Edited, Result]:
        job, shot = self._job, self._shot
        named = shot.sources(frame, job.edit)
        for number in shot.window(frame, job.edit):
            self._send(session, number)
        return session.edit(
            job.effect,
            job.edit,
            frame + job.panel.frame_offset,
            shot.first + job.panel.frame_offset,
            shot.last + job.panel.frame_offset,
            [each.source for each in named],
            named[0].size,
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


def _metadata(job: Job, key: str, result: Result | None) -> dict[str, str | int]:
    return {
        "effect": job.effect,
        "params": msgspec.json.encode(
            {**msgspec.structs.asdict(job.edit), "mix": job.panel.mix}, order="sorted"
        ).decode(),
        "seed": job.edit.seed,
        "model": result.model if result else "",
        "model_hash": result.model_hash if result else "",
        "version": __version__,
        "key": key,
    }
