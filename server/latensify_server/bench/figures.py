"""A measured figure and the bound that it is held to."""

from __future__ import annotations

from dataclasses import dataclass

DECIMALS = 5
"""To which the JSON's numbers are rounded; `met` is decided before."""


@dataclass(frozen=True)
class Figure:
    """One measurement. A figure that was not measured is absent from a report; it never stands there with a guess.

    Attributes:
        name: lower case with underscores, unique in a report.
        value: what was measured, in `unit`.
        bound: what it is held to, in the same unit; None for a figure that is told for comparison alone.
        at_least: whether the value should reach the bound from above; else it must not exceed it.
        unit: "dB", "s", "px", or "" for a share or a ratio.
        samples: how many measurements the value sums up.
        note: what a reader must know to read the value right.
    """

    name: str
    value: float
    bound: float | None
    at_least: bool
    unit: str
    samples: int
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the bound is reached; None where there is no bound. A value that is no number never meets one."""
        if self.bound is None:
            return None
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def to_json(self) -> dict[str, object]:
        """The figure as plain values, ready for `json.dumps`."""
        told: dict[str, object] = {
            "name": self.name,
            "value": round(self.value, DECIMALS),
            "bound": self.bound,
            "met": self.met,
            "at_least": self.at_least,
            "unit": self.unit,
            "samples": self.samples,
        }
        return {**told, "note": self.note} if self.note else told
