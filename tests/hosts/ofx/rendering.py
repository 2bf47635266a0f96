"""One render: what the host holds while it runs, the abort it may ask for, and what came of it."""

from __future__ import annotations

import threading
import time as clock
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .api import STATUS_NAMES, K
from .clips import ClipInstance, Image, Rect, pixel_bounds
from .pixels import Array, blank_pixels, untouched
from .runtime import Message

Window = tuple[int, int, int, int]


class Abort:
    """When the host's abort() starts to answer 1: after a number of calls, after seconds, or when `request` is called.

    `after_updates` refuses (kOfxStatReplyNo) that progress update and those that follow.
    """

    def __init__(
        self, *, after_calls: int | None = None, after_s: float | None = None, after_updates: int | None = None
    ) -> None:
        self.after_calls, self.after_s, self.after_updates = after_calls, after_s, after_updates
        self.calls = self.updates = 0
        self.started = self.last_poll = clock.monotonic()
        self.requested: float | None = None
        self.largest_gap_s = 0.0
        self._lock = threading.Lock()

    def begin(self) -> None:
        self.started = self.last_poll = clock.monotonic()

    def request(self) -> None:
        """Abort from now on (from any thread)."""
        self.requested = self.requested or clock.monotonic()

    def poll(self) -> bool:
        with self._lock:
            now = clock.monotonic()
            self.calls += 1
            self.largest_gap_s = max(self.largest_gap_s, now - self.last_poll)
            self.last_poll = now
        if self.after_calls is not None and self.calls > self.after_calls:
            self.request()
        if self.after_s is not None and now >= self.started + self.after_s:
            self.requested = self.requested or self.started + self.after_s
        return self.requested is not None

    def progress_refused(self) -> bool:
        self.updates += 1
        if self.after_updates is not None and self.updates > self.after_updates:
            self.request()
            return True
        return False


@dataclass
class Render:
    """The state of one render action."""

    output: ClipInstance
    time: float
    scale: tuple[float, float]
    region: Rect
    window: Window
    bounds: Window
    abort: Abort
    frames_needed: dict[str, list[tuple[float, float]]] | None = None
    fetches: list[tuple[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        x1, y1, x2, y2 = self.bounds
        clip = self.output
        self.memory = blank_pixels(x2 - x1, y2 - y1, clip.components, clip.depth, clip.stated.layout)

    def needs(self, clip: str, time: float) -> bool:
        return any(first <= time <= last for first, last in (self.frames_needed or {}).get(clip, []))

    def output_image(self) -> Image:
        return Image(self.output, self.memory, self.bounds[:2], self.region, self.scale, is_output=True)

    def _inside(self) -> tuple[slice, slice]:
        """The window as slices of the view, whose top row comes first."""
        x1, _, _, y2 = self.bounds
        left, bottom, right, top = self.window
        return slice(max(y2 - top, 0), y2 - bottom), slice(max(left - x1, 0), right - x1)

    def pixels(self) -> Array:
        rows, columns = self._inside()
        return np.array(self.memory.view[rows, columns])

    def check_output(self) -> None:
        """Guards whole, and nothing written outside the window."""
        runtime = self.output.runtime
        if self.memory.damaged():
            runtime.violate("guard-damage", "the plugin wrote beyond a row or the image")
        rows, columns = self._inside()
        view = self.memory.view
        outside = [view[: rows.start], view[rows.stop :], view[:, : columns.start], view[:, columns.stop :]]
        if not all(untouched(part) for part in outside if part.size):
            runtime.violate("write-outside-window", f"window {self.window}, bounds {self.bounds}")


@dataclass(frozen=True)
class Rendered:
    """What a render gave. `image` is (h, w, c), top row first: the window's pixels in the output's dtype, whatever they
    are after a failure; `identity` the clip and time that stood in for a render, whose pixels it then holds.
    """

    status: int
    image: Array
    window: Window
    identity: tuple[str, float] | None
    messages: list[Message]
    progress: list[tuple[str, Any]]
    fetches: list[tuple[str, float]]
    abort: Abort
    seconds: float
    abort_latency_s: float | None

    @property
    def ok(self) -> bool:
        return self.status in (K.kOfxStatOK, K.kOfxStatReplyDefault)

    @property
    def status_name(self) -> str:
        return str(STATUS_NAMES.get(self.status, self.status))


def prepare(
    output: ClipInstance, time: float, scale: tuple[float, float], region: Rect, window: Window | None,
    bounds: Window | None, abort: Abort | None,
) -> Render:  # fmt: skip
    """The render of `window` (None: all of the region) into a buffer of `bounds` (None: the region)."""
    whole = pixel_bounds(region, scale, output.stated.pixel_aspect)
    bounds = bounds or whole
    return Render(output, time, scale, region, window or whole, bounds, abort or Abort())


def finish(render: Render, call: Any) -> Rendered:
    """The outcome of a finished render action."""
    requested = render.abort.requested
    render.abort.largest_gap_s = max(render.abort.largest_gap_s, call.ended - render.abort.last_poll)
    latency = None if requested is None else call.ended - requested
    return Rendered(
        call.status, render.pixels(), render.window, None, call.messages, call.progress, render.fetches, render.abort,
        call.ended - call.started, latency,
    )  # fmt: skip
