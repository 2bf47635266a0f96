"""What every row of the bench is given, and how it sums up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from latensify_server.bench.figures import Figure
from latensify_server.diffusion.model import Model

Item = TypeVar("Item")
Tell = Callable[[str, int, int], None]
"""Told (what is measured, how many are done, of how many); may raise to stop."""


@dataclass(frozen=True)
class Setting:
    """The model measured and its folder, how many samples a row takes, and who is told how it goes."""

    model: Model
    folder: Path
    samples: int
    tell: Tell

    def each(self, what: str, items: Iterable[Item]) -> Iterator[Item]:
        """The items one by one, telling how far it is."""
        known = list(items)
        for done, item in enumerate(known):
            self.tell(what, done, len(known))
            yield item
        self.tell(what, len(known), len(known))


def mean_of(
    name: str, values: Sequence[float], bound: float | None, at_least: bool = True, unit: str = "", note: str = ""
) -> Figure:
    """The figure that is the mean of values, one or more."""
    return Figure(name, float(np.mean(values)), bound, at_least, unit, len(values), note)
