"""How the background moves between the frames of a window: homographies, and a flow for what they leave.

Features (Shi and Tomasi, 1994) are tracked there and back (Bouguet's pyramidal Lucas-Kanade) outside the mattes; RANSAC
with OpenCV's fixed seed keeps those that agree. Matrices map pixels of one picture to another's, x right, y down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from latensify_server.diffusion.fill import smooth_fill

Grey = NDArray[np.uint8]
Matrix = NDArray[np.float64]

FEATURES = 800
WINDOW, LEVELS = (21, 21), 4
BACK_PX = 0.5
"""A track that does not come back within so many pixels is dropped."""

RANSAC_PX = 1.5
FEWEST = 16


@dataclass(frozen=True)
class Place:
    """Where a picture stands: the index of the one that its stretch of the shot is aligned to, and the way there."""

    root: int
    matrix: Matrix


def places(pictures: Sequence[Grey], backgrounds: Sequence[Grey], anchor: int) -> list[Place]:
    """The place of every picture: aligned to the anchor, or, beyond a cut or a lost track, to the first one there."""
    found: dict[int, Place] = {anchor: Place(anchor, np.eye(3))}
    for indices, near in (
        (range(anchor + 1, len(pictures)), -1),
        (range(anchor - 1, -1, -1), 1),
    ):
        for index in indices:
            link = homography(pictures[index], pictures[index + near], backgrounds[index], backgrounds[index + near])
            if link is None:
                found[index] = Place(index, np.eye(3))
                continue
            root, chained = found[index + near].root, found[index + near].matrix @ link
            matrix = _refined(chained, pictures[index], pictures[root], backgrounds[index], backgrounds[root])
            found[index] = Place(root, matrix)
    return [found[index] for index in range(len(pictures))]


def homography(source: Grey, target: Grey, source_background: Grey, target_background: Grey) -> Matrix | None:
    """The homography of one picture to another by what is tracked on their backgrounds (255 there), or None."""
    tracks = _tracked(source, target, source_background, target_background)
    if len(tracks) < FEWEST:
        return None
    matrix, inliers = cv2.findHomography(tracks[:, 0], tracks[:, 1], cv2.RANSAC, RANSAC_PX, maxIters=2000)
    if matrix is None or inliers.sum() < max(FEWEST, 0.3 * len(tracks)) or not _plausible(matrix):
        return None
    return np.asarray(matrix, np.float64)


def _refined(matrix: Matrix, source: Grey, target: Grey, source_background: Grey, target_background: Grey) -> Matrix:
    """A chained homography with its drift taken out by tracking the warped source directly to the target."""
    size = target.shape[::-1]
    warped = cv2.warpPerspective(source, matrix, size)
    seen = cv2.warpPerspective(source_background, matrix, size, flags=cv2.INTER_NEAREST)
    rest = homography(warped, target, cv2.erode(seen, np.ones((5, 5), np.uint8)), target_background)
    return matrix if rest is None else rest @ matrix


def _tracked(source: Grey, target: Grey, source_background: Grey, target_background: Grey) -> NDArray[np.float32]:
    """Pairs of points [n, 2, 2] that lie on both backgrounds."""
    points = cv2.goodFeaturesToTrack(source, FEATURES, 0.005, 6, mask=source_background)
    if points is None:
        return np.zeros((0, 2, 2), np.float32)
    there, ok_there, _ = cv2.calcOpticalFlowPyrLK(source, target, points, None, winSize=WINDOW, maxLevel=LEVELS)
    back, ok_back, _ = cv2.calcOpticalFlowPyrLK(target, source, there, None, winSize=WINDOW, maxLevel=LEVELS)
    there, back = there.reshape(-1, 2), back.reshape(-1, 2)
    points = points.reshape(-1, 2)
    kept = (ok_there.ravel() == 1) & (ok_back.ravel() == 1) & (np.abs(back - points).max(axis=1) < BACK_PX)
    height, width = target.shape
    whole = np.rint(there).astype(int)
    kept &= (whole[:, 0] >= 0) & (whole[:, 0] < width) & (whole[:, 1] >= 0) & (whole[:, 1] < height)
    kept[kept] = target_background[whole[kept, 1], whole[kept, 0]] > 0
    return np.stack([points[kept], there[kept]], axis=1)


def _plausible(matrix: Matrix) -> bool:
    """No mirror, no collapse, no horizon across the picture."""
    return bool(0.2 < np.linalg.det(matrix[:2, :2]) < 5 and np.abs(matrix[2, :2]).max() < 2e-3)


def scaled(matrix: Matrix, factor: float) -> Matrix:
    """A homography between pictures for pictures `factor` times larger; pixel centres lie on whole numbers."""
    shift = (factor - 1) / 2
    up = np.array([[factor, 0, shift], [0, factor, shift], [0, 0, 1.0]])
    return np.asarray(up @ matrix @ np.linalg.inv(up), np.float64)


def remaining_flow(target: Grey, warped: Grey, trusted: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Dense flow [h, w, 2] from the target to a roughly aligned picture, carried smoothly into what is not trusted.

    DIS optical flow (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", 2016).
    """
    shown = np.where(trusted, warped, target).astype(np.uint8)
    dense = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(target, shown, None)
    inner = cv2.erode(trusted.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return smooth_fill(dense, inner)
