"""Finding the object in a picture whose world is not known, and its outline.

A pixel speaks for an object of a named colour as far as that colour is commoner on such objects than in backgrounds of
its height (Jones and Rehg, "Statistical Color Models with Application to Skin Detection", 2002). The piece of picture
with the most such evidence is the object's coloured part; GrabCut (Rother et al., 2004) then takes what belongs to it,
roofs and wheels too. Pictures are about 128 pixels high.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from latensify_server.bench.colours import NAMES, lab, names_of
from latensify_server.bench.measures import Picture, Region

BINS = 24
BANDS = (0.38, 0.5)
"""Where backgrounds change, as parts of the height: sky and tops, what stands on the horizon, ground."""

RARE = 2e-6
CLIP = 3.0
EVIDENCE = (1.2, 0.5, 0.0)
"""Mean evidence from which pixels count; the weaker ones only where the stronger find nothing."""

SMALLEST, LARGEST = 0.006, 0.4
LOWEST_FOOT, WIDEST = 0.4, 0.9
JOINED_PX = (3, 9)
"""Gaps across and down that stripes and windows may leave."""

ROOM = 0.25
SILHOUETTE_PX = 32
SPREAD = 2.6
"""Side of a silhouette's square over the root of its area."""


@dataclass(frozen=True)
class Finder:
    """Logarithms of how much commoner a colour is on things than behind them: [colours, bands, BINS, BINS, BINS]."""

    evidence: NDArray[np.float32]


def learned(examples: Sequence[tuple[Picture, Region, str]]) -> Finder:
    """A finder from pictures, where their only thing is, and its colour."""
    cube = (BINS, BINS, BINS)
    on = {name: np.zeros(cube) for name in NAMES}
    behind = np.zeros((len(BANDS) + 1, *cube))
    for picture, thing, colour in examples:
        cells, bands = _cells(picture), _bands(picture)
        own = thing & (names_of(picture) == NAMES.index(colour))
        np.add.at(on[colour], tuple(cells[own].T), 1)
        clear = cv2.dilate(thing.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
        np.add.at(behind, (bands[clear], *cells[clear].T), 1)
    everywhere = _shares(behind.sum(axis=0))
    backgrounds = [0.75 * _shares(band) + 0.25 * everywhere for band in behind]
    ratios = [[np.log((_shares(on[name]) + RARE) / (band + RARE)) for band in backgrounds] for name in NAMES]
    return Finder(np.clip(np.array(ratios), -CLIP, CLIP).astype(np.float32))


def _cells(picture: Picture) -> NDArray[np.int64]:
    values = lab(picture)
    scaled = np.stack([values[..., 0] / 100, values[..., 1] / 200 + 0.5, values[..., 2] / 200 + 0.5], axis=-1)
    return np.clip((scaled * BINS).astype(np.int64), 0, BINS - 1)


def _bands(picture: Picture) -> NDArray[np.int64]:
    height, width = picture.shape[:2]
    rows = np.digitize((np.arange(height) + 0.5) / height, BANDS)
    return np.broadcast_to(rows[:, None], (height, width))


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """A smoothed histogram that adds up to one."""
    for axis in range(3):
        counts = (np.roll(counts, 1, axis) + 2 * counts + np.roll(counts, -1, axis)) / 4
    return np.asarray(counts / max(counts.sum(), 1e-9))


def coloured_part(
    finder: Finder, picture: Picture, colour: str | None = None, within: Region | None = None
) -> Region | None:
    """The piece with the most evidence for an object of one colour or of any, holes filled; None if there is none."""
    maps = _evidence(finder, picture, colour, within)
    for threshold in EVIDENCE:
        found = [(float(each[piece].sum()), piece) for each in maps for piece in _pieces(each, threshold)]
        if found:
            return filled(max(found, key=lambda scored: scored[0])[1])
    return None


def _evidence(finder: Finder, picture: Picture, colour: str | None, within: Region | None) -> list[NDArray[np.float32]]:
    """For each colour asked for, what each pixel says for an object of it."""
    cells, bands, names = _cells(picture), _bands(picture), names_of(picture)
    maps = []
    for number, name in enumerate(NAMES):
        if colour in (None, name):
            said = finder.evidence[number][(bands, *np.moveaxis(cells, -1, 0))]
            said = np.where(names == number, said, np.minimum(said, -1))
            maps.append(said if within is None else np.where(within, said, -CLIP))
    return maps


def _pieces(evidence: NDArray[np.float32], threshold: float) -> list[Region]:
    """Connected pieces of good evidence that could be an object by their size and place."""
    height, width = evidence.shape
    strong = (cv2.blur(evidence, (3, 3)) > threshold).astype(np.uint8)
    joined = cv2.morphologyEx(strong, cv2.MORPH_CLOSE, np.ones(JOINED_PX[::-1], np.uint8))
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(joined)
    pieces = []
    for label, (_, top, wide, tall, area) in enumerate(statistics):
        sized = SMALLEST * height * width < area < LARGEST * height * width
        if label and sized and top + tall >= LOWEST_FOOT * height and wide <= WIDEST * width:
            pieces.append(labels == label)
    return pieces


def whole_of(picture: Picture, part: Region, within: Region | None = None) -> Region:
    """The whole object of which a part is known, by GrabCut around it."""
    rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    room = 3 + int(ROOM * max(np.ptp(rows) + 1, np.ptp(columns) + 1))
    near = np.zeros(part.shape, bool)
    near[max(0, rows[0] - room) : rows[-1] + 1 + room, max(0, columns[0] - room) : columns[-1] + 1 + room] = True
    near &= True if within is None else within
    marks = np.where(near, cv2.GC_PR_BGD, cv2.GC_BGD).astype(np.uint8)
    marks[part] = cv2.GC_PR_FGD
    core = cv2.erode(part.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    marks[core] = cv2.GC_FGD
    if not core.any() or not (marks == cv2.GC_BGD).any():
        return part
    cv2.setRNGSeed(0)
    pixels = np.ascontiguousarray(np.clip(picture * 255, 0, 255).astype(np.uint8))
    cv2.grabCut(pixels, marks, None, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    _, labels = cv2.connectedComponents(np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8))
    counts = np.bincount(labels[part])
    counts[0] = 0
    return filled(labels == counts.argmax()) if counts.any() else part


def filled(region: Region) -> Region:
    """A region with its holes filled."""
    outlines, _ = cv2.findContours(region.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    solid = np.zeros(region.shape, np.uint8)
    cv2.drawContours(solid, outlines, -1, 1, cv2.FILLED)
    return solid > 0


def silhouette(region: Region) -> Region:
    """A region brought to one place and one area, [SILHOUETTE_PX, SILHOUETTE_PX]; it is not empty."""
    rows, columns = np.nonzero(region)
    scale = float(np.sqrt(len(rows))) * SPREAD / SILHOUETTE_PX
    half = SILHOUETTE_PX / 2 * scale
    matrix = np.array([[scale, 0, columns.mean() + 0.5 - half], [0, scale, rows.mean() + 0.5 - half]])
    size = (SILHOUETTE_PX, SILHOUETTE_PX)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(region.astype(np.float32), matrix, size, flags=flags) > 0.5)
