"""Ranges become windows. The same rule stands in cpp/windows.cpp, and tests/golden/windows.json pins both.

Windows are anchored to absolute frame numbers, so a frame's windows do not depend on which range was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """Frames first..last (inclusive) that are edited together; `index` counts windows from absolute frame 0."""

    index: int
    first: int
    last: int

    @property
    def frames(self) -> range:
        return range(self.first, self.last + 1)


def windows_of(frame: int, first: int, last: int, window: int, overlap: int) -> list[Window]:
    """The one or two windows that hold `frame` of the shot first..last, in order.

    Window k covers frames k*stride .. k*stride + window - 1 with stride = window - overlap, cut to the shot.
    Needs 2 * overlap <= window and first <= frame <= last.
    """
    stride = window - overlap
    lowest = -((window - 1 - frame) // stride)  # ceil((frame - window + 1) / stride)
    return [
        Window(k, max(first, k * stride), min(last, k * stride + window - 1))
        for k in range(lowest, frame // stride + 1)
    ]


def weight(frame: int, index: int, window: int, overlap: int) -> float:
    """The part that window `index` has in `frame`; over the windows of a frame the weights sum to 1."""
    position = frame - index * (window - overlap)
    return min(position + 1, window - position, overlap + 1) / (overlap + 1)


def frames_of(frame: int, first: int, last: int, window: int, overlap: int) -> range:
    """Every source frame that the windows of `frame` need."""
    found = windows_of(frame, first, last, window, overlap)
    return range(found[0].first, found[-1].last + 1)
