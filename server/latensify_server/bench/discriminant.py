"""Fisher's linear discriminant: classes told apart by the means of their measurements and one common spread.

Fisher, "The Use of Multiple Measurements in Taxonomic Problems", 1936.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

SHRINKAGE = 0.1
"""Share of the common spread that is taken for that of independent measurements, so that few examples do."""


@dataclass(frozen=True)
class Discriminant:
    """Class names, their means [classes, measurements] and what makes the common spread a unit sphere."""

    names: tuple[str, ...]
    means: Numbers
    whitening: Numbers

    def nearest(self, measurements: Sequence[float] | Numbers) -> str:
        """The class whose mean lies nearest."""
        distances = self.distances(measurements)
        return min(distances, key=lambda name: distances[name])

    def distances(self, measurements: Sequence[float] | Numbers) -> dict[str, float]:
        """Mahalanobis' distance to each class."""
        away = (np.asarray(measurements, np.float64) - self.means) @ self.whitening
        return dict(zip(self.names, (float(value) for value in np.linalg.norm(away, axis=1)), strict=True))


def learned(examples: Mapping[str, Sequence[Sequence[float] | Numbers]]) -> Discriminant:
    """The discriminant of examples by class; each class has two or more.

    Raises:
        ValueError: a class has fewer.
    """
    few = [name for name, rows in examples.items() if len(rows) < 2]
    if few:
        raise ValueError(f"Two examples or more are needed of each class; {', '.join(few)} has fewer.")
    tables = {name: np.asarray(rows, np.float64) for name, rows in examples.items()}
    means = np.stack([table.mean(axis=0) for table in tables.values()])
    residues = np.concatenate([table - table.mean(axis=0) for table in tables.values()])
    spread = residues.T @ residues / max(1, len(residues) - len(tables))
    own = np.diag(spread).clip(1e-12)
    shrunk = (1 - SHRINKAGE) * spread + SHRINKAGE * np.diag(own)
    values, vectors = np.linalg.eigh(shrunk)
    return Discriminant(tuple(tables), means, vectors / np.sqrt(values.clip(1e-12)))
