"""The worker process: it owns the engine (and so torch and the device), edits one window at a time, and keeps results.

The service starts it as `python -m latensify_server.worker FD ENGINE CACHE LIMIT FITS [LOG_FORMAT]` and talks to it
over a socket pair. It ends when that closes, so it never outlives its server.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import numpy as np

from latensify_bridge.errors import Cancelled, EngineFailed, FrameMissing, LatensifyError, reason_of
from latensify_bridge.frames import Box, Depth, Edited, FrameSpec
from latensify_bridge.protocol import DeviceMemory, Fit, Source, Submit
from latensify_server import logs, store
from latensify_server.cache import Cache, Entry
from latensify_server.engine import Engine, FitChoice, ModelChoice, Plate, ShotFit, WindowEdit
from latensify_server.engines import ENGINES
from latensify_server.fits import Fits, frames_of, settings_of
from latensify_server.lazy import Lazy
from latensify_server.plan import Plan, WindowPlan, edit_of, frame_key, plan

log = logging.getLogger("latensify.worker")

MEMORY_S = 1.0  # how often the device's memory is told of while an edit runs


class Order(msgspec.Struct, frozen=True, tag=True):
    """service -> worker: do this request. `fits` serve the windows of a Submit, one after another."""

    request: Submit | Fit
    model: ModelChoice
    frames_folder: str
    specs: dict[str, FrameSpec]
    fits: list[FitChoice | None]


class Stop(msgspec.Struct, frozen=True, tag=True):
    """service -> worker: the request `id` is no longer wanted."""

    id: str


class Ready(msgspec.Struct, frozen=True, tag=True):
    """worker -> service: the engine is there."""

    device: str


class Step(msgspec.Struct, frozen=True, tag=True):
    """worker -> service: how far the request is."""

    id: str
    fraction: float
    stage: str


class Done(msgspec.Struct, frozen=True, tag=True):
    """worker -> service: the result is in the cache."""

    id: str


class Failed(msgspec.Struct, frozen=True, tag=True):
    """worker -> service: the request failed."""

    id: str
    code: str
    message: str


class Room(msgspec.Struct, frozen=True, tag=True):
    """worker -> service: the device's memory."""

    memory: DeviceMemory


ToWorker = Order | Stop
FromWorker = Ready | Step | Done | Failed | Room


class LinkLost(Exception):
    """The service is gone."""


class Worker:
    """Works off orders from `link`, one after another."""

    def __init__(self, link: Connection, engine: Engine, cache: Cache, fits: Fits) -> None:
        self._link = link
        self._engine = engine
        self._cache = cache
        self._fits = fits
        self._stopped: set[str] = set()
        self._orders: list[Order] = []
        self._memory_told_s = 0.0

    def run(self) -> None:
        """Returns when the service is gone."""
        self._tell(Ready(self._engine.device()))
        self._tell_memory()
        try:
            while True:
                while not self._orders:
                    self._hear()
                self._work(self._orders.pop(0))
        except LinkLost:
            return

    def _tell(self, message: FromWorker) -> None:
        try:
            self._link.send_bytes(msgspec.msgpack.encode(message))
        except OSError:
            raise LinkLost from None

    def _tell_memory(self) -> None:
        self._memory_told_s = time.monotonic()
        self._tell(Room(self._engine.memory()))

    def _hear(self) -> None:
        try:
            message = msgspec.msgpack.decode(self._link.recv_bytes(), type=ToWorker)
        except (EOFError, OSError):
            raise LinkLost from None
        if isinstance(message, Stop):
            self._stopped.add(message.id)
        else:
            self._stopped.clear()  # orders come one at a time: a stop before this one came too late for another
            self._orders.append(message)

    def _ready(self) -> bool:
        try:
            return self._link.poll()
        except OSError:
            raise LinkLost from None

    def _work(self, order: Order) -> None:
        id = order.request.id
        try:
            if isinstance(order.request, Fit):
                self._fit(order, order.request)
            else:
                chosen = iter(order.fits)  # by the service, so that both mean the same when a fit is finished meanwhile
                self._edit(order, order.request, plan(order.request, order.model, lambda _: next(chosen, None)))
            self._tell_memory()
            self._tell(Done(id))
        except LatensifyError as error:
            self._tell(Failed(id, error.code, str(error)))
        except MemoryError:
            self._tell(Failed(id, "out_of_memory", "The machine's memory is full; use a smaller window."))
        except LinkLost:
            raise
        except Exception as error:
            log.exception("the edit failed inside the engine", extra={"request": id, "effect": order.request.effect})
            self._tell(
                Failed(
                    id,
                    EngineFailed.code,
                    f"The edit failed inside the engine ({reason_of(error)}); see the server's log.",
                )
            )

    def _fit(self, order: Order, request: Fit) -> None:
        edit = edit_of(request)

        def progress(fraction: float, stage: str) -> None:
            self._progress(request.id, fraction, stage)

        def wait() -> None:
            progress(0.0, "waiting for another server that makes this fit")

        settings = settings_of(request.effect, edit, request.render_scale)
        with self._fits.making(settings, frames_of(request.sources), wait) as out:
            if out is not None:
                sources = request.sources
                plates = Lazy(len(sources), lambda index: self._plate(order, sources[index]))
                self._engine.fit(ShotFit(request.effect, edit, plates, request.render_scale, out), progress)

    def _edit(self, order: Order, submit: Submit, planned: Plan) -> None:
        parts = [
            self._window(order, submit, planned, window, index / len(planned.windows), 1 / len(planned.windows))
            for index, window in enumerate(planned.windows)
        ]
        if len(parts) > 1 and planned.key not in self._cache:
            weights = [window.weight for window in planned.windows]
            entry = parts[0][0]
            edited = blend([part[1] for part in parts], weights, submit.depth)
            seconds = sum(part[0].seconds for part in parts)
            note = next((part[0].note for part in parts if part[0].note), "")
            whole = msgspec.structs.replace(entry, box=edited.box, seconds=seconds, note=note)
            self._cache.put(planned.key, whole, edited)

    def _window(
        self, order: Order, submit: Submit, planned: Plan, window: WindowPlan, base: float, share: float
    ) -> tuple[Entry, Edited]:
        """One frame of a window's results: kept, or computed with all its neighbours and then kept."""
        kept = self._cache.get(frame_key(window.key, planned.frame))
        if kept:
            return kept

        def progress(fraction: float, stage: str) -> None:
            self._progress(submit.id, base + share * fraction, stage)

        started = time.monotonic()
        work = WindowEdit(
            effect=planned.effect,
            params=planned.params,
            plates=tuple(self._plate(order, source) for source in window.sources),
            depth=submit.depth,
            render_scale=submit.render_scale,
            pixel_aspect=submit.pixel_aspect,
            fit=self._fit_folder(window),
        )
        results = self._engine.edit(work, progress)
        seconds = (time.monotonic() - started) / len(results)
        told = (submit.depth, order.model.name, order.model.hash, seconds, window.note)
        entries = [Entry(done.box, *told) for done in results]
        for source, entry, done in zip(window.sources, entries, results, strict=True):
            self._cache.put(frame_key(window.key, source.number), entry, done)
        index = [source.number for source in window.sources].index(planned.frame)
        return entries[index], results[index]

    def _fit_folder(self, window: WindowPlan) -> Path | None:
        if window.fit is None:
            return None
        if self._fits.get(window.fit.key) is None:
            raise EngineFailed("The model fitted to this shot was cleaned away; render the frame once more.")
        self._fits.used(window.fit.key)
        return self._fits.path(window.fit.key)

    def _plate(self, order: Order, source: Source) -> Plate:
        folder = Path(order.frames_folder)
        try:
            pixels = store.read(folder, source.pixels, order.specs[source.pixels])
            mask = store.read(folder, source.mask, order.specs[source.mask]) if source.mask else None
        except FileNotFoundError:
            raise FrameMissing(f"Frame {source.number} was cleaned away from {folder}; send it again.") from None
        return Plate(source.number, pixels, mask)

    def _progress(self, id: str, fraction: float, stage: str) -> None:
        while self._ready():
            self._hear()
        if id in self._stopped:
            self._stopped.discard(id)
            raise Cancelled("Stopped by the user.")
        self._tell(Step(id, fraction, stage))
        if time.monotonic() - self._memory_told_s >= MEMORY_S:
            self._tell_memory()


def blend(parts: list[Edited], weights: list[float], depth: Depth) -> Edited:
    """The weighted mean of a frame's results in several windows, over the smallest box that holds them all."""
    filled = [part.box for part in parts if part.box.width and part.box.height] or [parts[0].box]
    x0, y0 = min(box.x0 for box in filled), min(box.y0 for box in filled)
    x1, y1 = max(box.x0 + box.width for box in filled), max(box.y0 + box.height for box in filled)
    colour = np.zeros((y1 - y0, x1 - x0, 3), np.float32)
    matte = np.zeros((y1 - y0, x1 - x0), np.float32)
    for part, weight in zip(parts, weights, strict=True):
        rows = slice(part.box.y0 - y0, part.box.y0 - y0 + part.box.height)
        columns = slice(part.box.x0 - x0, part.box.x0 - x0 + part.box.width)
        share = part.matte.astype(np.float32) * np.float32(weight)
        matte[rows, columns] += share
        colour[rows, columns] += part.rgb.astype(np.float32) * share[..., None]
    covered = matte > 0
    colour[covered] /= matte[covered][:, None]
    return Edited(Box(x0, y0, x1 - x0, y1 - y0), colour.astype(depth.dtype), matte.astype(depth.dtype))


def main(arguments: list[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the service decides
    link = Connection(int(arguments[0]))
    if len(arguments) > 5:
        logs.start(arguments[5])
    cache = Cache(Path(arguments[2]), int(arguments[3]))
    try:
        engine = ENGINES[arguments[1]].make()
    except Exception as error:
        log.exception("the engine cannot be loaded")
        sentence = f"The engine cannot be loaded ({reason_of(error)}); `latensify doctor` says what is missing."
        link.send_bytes(msgspec.msgpack.encode(Failed("", EngineFailed.code, sentence)))
        sys.exit(1)
    Worker(link, engine, cache, Fits(Path(arguments[4]))).run()
    os._exit(0)  # torch's threads and a device's runtime can take seconds to wind down


if __name__ == "__main__":
    main(sys.argv[1:])
