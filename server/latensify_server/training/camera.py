"""The camera of a world: where it stands at a frame, rays through its pixels, and where points fall in them.

World axes: x to the right, y up, z ahead, in metres; the ground is y = 0 and the camera starts at x = z = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latensify_server.training.looks import Image, floats
from latensify_server.training.solids import Vector
from latensify_server.training.worlds import World, lens, stream

FRAMES_PER_SWAY = (47.0, 29.0, 17.0)


@dataclass(frozen=True)
class Camera:
    """Position [3] in metres, axes [3, 3] (rows: right, up, ahead) and focal length over the root of the area."""

    position: Image
    axes: Image
    focal: float


def camera(world: World, frame: int) -> Camera:
    """The camera of a world at a frame; every move starts from the same view at frame 0."""
    view, rng = lens(world.seed), stream(world.seed, f"move {world.move}")
    speed = float(rng.uniform(0.5, 1.0) * rng.choice([-1, 1]))
    position, yaw, pitch, roll, focal = (
        np.array([0.0, view.height, 0.0]),
        0.0,
        float(np.arctan(view.pitch)),
        0.0,
        view.focal,
    )
    if world.move == "pan":
        yaw = 0.007 * speed * frame
    elif world.move == "dolly":
        position[2] = 0.035 * speed * frame
    elif world.move == "orbit":
        away = min((thing.away for thing in world.things), default=6.0)
        yaw = 0.009 * speed * frame
        position[[0, 2]] = -away * np.sin(yaw), away * (1 - np.cos(yaw))
    elif world.move == "zoom":
        focal *= float(np.exp(0.008 * speed * frame))
    elif world.move == "handheld":
        sway = _sway(rng, frame)
        yaw, pitch, roll = 0.012 * sway[0], pitch + 0.01 * sway[1], 0.006 * sway[2]
        position += 0.03 * sway[3:6]
    return Camera(floats(position), _axes(yaw, pitch, roll), focal)


def _sway(rng: np.random.Generator, frame: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Six smooth wanderings about 0, which start at 0."""
    phases = rng.uniform(0, 2 * np.pi, (6, 3))
    weights = np.array([1.0, 0.6, 0.25])
    turns = 2 * np.pi * frame / np.array(FRAMES_PER_SWAY)
    return np.asarray(((np.sin(turns + phases) - np.sin(phases)) * weights).sum(axis=1))


def _axes(yaw: float, pitch: float, roll: float) -> Image:
    """The camera's axes in the world: turned right by yaw, down by pitch, clockwise by roll."""
    cy, sy, cp, sp, cr, sr = (f(angle) for angle in (yaw, pitch, roll) for f in (np.cos, np.sin))
    right, ahead = np.array([cy, 0, -sy]), np.array([sy * cp, -sp, cy * cp])
    up = np.cross(ahead, right)
    return floats([cr * right - sr * up, sr * right + cr * up, ahead])


def origin_of(view: Camera) -> Vector:
    """Where the rays of a camera begin: three arrays of one number, for all rays."""
    x, y, z = view.position[:, None]
    return x, y, z


def rays(view: Camera, x: Image, y: Image, width: int, height: int) -> tuple[Image, Image, Image]:
    """Directions through points of the picture, in pixels (centres at .5), as three arrays of the points' shape.

    Each goes one metre along the camera's axis, so that the distance along it is depth.
    """
    unit = np.float32(1 / (view.focal * np.sqrt(width * height)))
    across, up = (x - np.float32(width / 2)) * unit, (np.float32(height / 2) - y) * unit
    (rx, ry, rz), (ux, uy, uz), (ax, ay, az) = view.axes
    return across * rx + up * ux + ax, across * ry + up * uy + ay, across * rz + up * uz + az


def project(
    view: Camera, points: Image, width: int, height: int, far: bool | Image = False
) -> tuple[Image, Image, Image]:
    """Where world points [3, n] (directions where `far`) fall: x and y in pixels, and depth in metres."""
    from_camera = points - np.where(far, np.float32(0), view.position[:, None])
    across, up, depth = view.axes @ from_camera
    scale = view.focal * np.sqrt(width * height) / np.maximum(depth, 1e-6)
    return floats(width / 2 + across * scale), floats(height / 2 - up * scale), floats(depth)
