"""What became of the requests: counts, times and the last failures, for `latensify status` and for metrics.

The service's thread writes. Others may read at any time: each figure is replaced whole, each list copied at once.
"""

from __future__ import annotations

import bisect
import collections
import time
from dataclasses import dataclass, replace

from latensify_bridge.effects import EFFECTS
from latensify_bridge.errors import LatensifyError
from latensify_bridge.protocol import Trouble

WITHIN_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""The bounds that requests' times are counted by."""

MINUTE_S = 60.0
KEPT_TROUBLES = 20
DONE, CACHED, DROPPED = "done", "cached", "dropped"
"""Outcomes beside the codes of failures; `dropped`: the client was gone."""


@dataclass(frozen=True)
class Kind:
    """What requests are counted by. `effect` is one that there is, or "unknown"; `work` is "frame" or "fit"."""

    effect: str
    work: str
    outcome: str


@dataclass(frozen=True)
class Times:
    """How many requests took at most WITHIN_S (each counted once, by its smallest bound), longer, and in all."""

    counts: tuple[int, ...] = (0,) * (len(WITHIN_S) + 1)
    total_s: float = 0.0

    @property
    def count(self) -> int:
        return sum(self.counts)

    def with_one(self, seconds: float) -> Times:
        at = bisect.bisect_left(WITHIN_S, seconds)
        counts = (*self.counts[:at], self.counts[at] + 1, *self.counts[at + 1 :])
        return replace(self, counts=counts, total_s=self.total_s + seconds)


class Tally:
    """Counts since the server began."""

    def __init__(self) -> None:
        self.began_s = time.monotonic()
        self.times: dict[Kind, Times] = {}
        self.cache_hits = self.cache_misses = 0  # of the frames that were sent
        self.worker_starts = 0
        self.finished = self.failed = 0
        self.troubles: collections.deque[Trouble] = collections.deque(maxlen=KEPT_TROUBLES)
        self._answered_s: collections.deque[float] = collections.deque()

    def count(self, effect: str, work: str, outcome: str, seconds: float) -> None:
        """One request has come to its end, `seconds` after it came."""
        kind = Kind(effect if effect in EFFECTS else "unknown", work, outcome)
        self.times[kind] = self.times.get(kind, Times()).with_one(seconds)
        if work == "frame" and outcome in (DONE, CACHED):
            self.cache_hits += outcome == CACHED
            self.cache_misses += outcome == DONE
            self._answered_s.append(time.monotonic())
            while self._answered_s[0] < time.monotonic() - MINUTE_S:
                self._answered_s.popleft()

    def trouble(self, id: str, error: LatensifyError, effect: str, client: str) -> None:
        """One more failure to tell of."""
        self.failed += 1
        self.troubles.append(Trouble(time.time(), id, error.code, str(error), effect, client))

    def frames_per_s(self) -> float:
        """Frames sent in the last minute, over that minute, or over the server's life where that is shorter."""
        now = time.monotonic()
        lately = sum(at_s >= now - MINUTE_S for at_s in self._answered_s.copy())
        return lately / max(1.0, min(MINUTE_S, now - self.began_s))
