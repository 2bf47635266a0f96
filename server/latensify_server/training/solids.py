"""Solid primitives and the shapes that they make up; rays are met analytically.

A shape stands on its own ground at the origin, is one high, and shows its front to -z. All primitives are convex, so a
ray is inside one from `enter` to `leave`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latensify_server.training.looks import Image, floats

Vector = tuple[Image, Image, Image]
Rgb = tuple[float, float, float]
DARK, GLASS, TRUNK, ROOF, DOOR = (
    (0.09, 0.09, 0.1),
    (0.2, 0.27, 0.34),
    (0.36, 0.25, 0.16),
    (0.36, 0.28, 0.26),
    (0.3, 0.2, 0.13),
)


@dataclass(frozen=True)
class Ball:
    """A sphere."""

    centre: tuple[float, float, float]
    radius: float

    @property
    def bounds(self) -> Image:
        return floats([np.subtract(self.centre, self.radius), np.add(self.centre, self.radius)])


@dataclass(frozen=True)
class Round:
    """A cylinder or cone about y from `low` to `high`; `along_z` lays it down, then `at` is its place in x and y."""

    low: float
    high: float
    radius_low: float
    radius_high: float
    along_z: bool = False
    at: tuple[float, float] = (0.0, 0.0)

    @property
    def bounds(self) -> Image:
        wide = max(self.radius_low, self.radius_high)
        (x, y), one = self.at, 1 if self.along_z else 0
        corner = [[x - wide, y - wide, self.low], [x + wide, y + wide, self.high]]
        return floats(corner if one else [[x - wide, self.low, -wide], [x + wide, self.high, wide]])


@dataclass(frozen=True)
class Faces:
    """A convex polyhedron: planes [k, 4] (a, b, c, d), inside where a x + b y + c z <= d."""

    planes: tuple[tuple[float, float, float, float], ...]
    bounds: Image


@dataclass(frozen=True)
class Part:
    """A primitive of a shape; `colour` None takes the thing's own, `lamp` shines at night."""

    solid: Ball | Round | Faces
    colour: Rgb | None = None
    lamp: float = 0.0


def box(x0: float, x1: float, y0: float, y1: float, z0: float, z1: float) -> Faces:
    """A box along the axes."""
    planes = ((-1, 0, 0, -x0), (1, 0, 0, x1), (0, -1, 0, -y0), (0, 1, 0, y1), (0, 0, -1, -z0), (0, 0, 1, z1))
    return Faces(planes, floats([[x0, y0, z0], [x1, y1, z1]]))


def tapered(x: tuple[float, float], top_x: tuple[float, float], y: tuple[float, float], z: float) -> Faces:
    """A bar across z whose ends in x lean from `x` at the foot to `top_x` at the top."""
    (x0, x1), (t0, t1), (y0, y1) = x, top_x, y
    sides = []
    for foot, top, sign in ((x0, t0, -1.0), (x1, t1, 1.0)):
        a, b = sign * (y1 - y0), sign * (foot - top)
        length = float(np.hypot(a, b))
        sides.append((a / length, b / length, 0.0, (a * foot + b * y0) / length))
    planes = (*sides, (0.0, -1.0, 0.0, -y0), (0.0, 1.0, 0.0, y1), (0.0, 0.0, -1.0, z), (0.0, 0.0, 1.0, z))
    return Faces(planes, floats([[min(x0, t0), y0, -z], [max(x1, t1), y1, z]]))


PARTS: dict[str, tuple[Part, ...]] = {
    "ball": (Part(Ball((0, 0.5, 0), 0.5)),),
    "box": (Part(box(-0.66, 0.66, 0, 1, -0.5, 0.5)),),
    "cone": (Part(Round(0, 1, 0.47, 0.004)),),
    "cylinder": (Part(Round(0, 1, 0.3, 0.3)),),
    "tree": (
        Part(Round(0, 0.5, 0.075, 0.05), TRUNK),
        *(
            Part(Ball(at, r))
            for at, r in (
                ((0, 0.73, 0), 0.27),
                ((-0.21, 0.56, 0.02), 0.2),
                ((0.21, 0.58, 0), 0.21),
                ((0, 0.5, -0.12), 0.17),
            )
        ),
    ),
    "house": (
        Part(box(-0.58, 0.58, 0, 0.56, -0.42, 0.42)),
        Part(tapered((-0.7, 0.7), (-0.01, 0.01), (0.54, 1.0), 0.46), ROOF),
        Part(box(-0.1, 0.1, 0, 0.32, -0.425, 0), DOOR),
        Part(box(-0.42, -0.2, 0.2, 0.42, -0.425, 0), GLASS, 1.0),
        Part(box(0.2, 0.42, 0.2, 0.42, -0.425, 0), GLASS, 1.0),
        Part(box(-0.585, 0.585, 0.2, 0.42, -0.14, 0.14), GLASS, 0.7),
    ),
    "car": (
        Part(tapered((-1.12, 1.12), (-1.06, 1.04), (0.2, 0.64), 0.44)),
        Part(tapered((-0.8, 0.66), (-0.5, 0.3), (0.64, 0.94), 0.38), GLASS),
        Part(tapered((-0.53, 0.33), (-0.46, 0.25), (0.91, 1.0), 0.39)),
        Part(tapered((-0.14, -0.04), (-0.14, -0.04), (0.64, 0.94), 0.385)),
        Part(Round(-0.46, 0.46, 0.22, 0.22, True, (-0.66, 0.22)), DARK),
        Part(Round(-0.46, 0.46, 0.22, 0.22, True, (0.66, 0.22)), DARK),
        Part(box(0.98, 1.125, 0.42, 0.54, -0.45, 0.45), (0.98, 0.95, 0.8), 1.0),
        Part(box(-1.13, -1.0, 0.42, 0.54, -0.45, 0.45), (0.6, 0.06, 0.06), 0.3),
    ),
}


def meet(solid: Ball | Round | Faces, origin: Vector, ray: Vector) -> tuple[Image, Image, Vector]:
    """Where rays enter and leave a solid, in lengths of the ray (enter > leave: missed), and the normal at entry."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if isinstance(solid, Ball):
            return _meet_ball(solid, origin, ray)
        if isinstance(solid, Round):
            return _meet_round(solid, origin, ray)
        return _meet_faces(solid, origin, ray)


def _meet_ball(ball: Ball, origin: Vector, ray: Vector) -> tuple[Image, Image, Vector]:
    ox, oy, oz = (o - np.float32(c) for o, c in zip(origin, ball.centre, strict=True))
    dx, dy, dz = ray
    a = dx * dx + dy * dy + dz * dz
    b = ox * dx + oy * dy + oz * dz
    c = ox * ox + oy * oy + oz * oz - np.float32(ball.radius**2)
    root = np.sqrt(b * b - a * c)
    enter, leave = (-b - root) / a, (-b + root) / a
    missed = np.isnan(root)
    enter[missed], leave[missed] = np.inf, -np.inf
    return enter, leave, (ox + enter * dx, oy + enter * dy, oz + enter * dz)


def _meet_faces(faces: Faces, origin: Vector, ray: Vector) -> tuple[Image, Image, Vector]:
    shape = ray[0].shape
    enter, leave = np.full(shape, -np.inf, np.float32), np.full(shape, np.inf, np.float32)
    face = np.zeros(shape, np.intp)
    for index, plane in enumerate(faces.planes):
        towards, gap = np.zeros(shape, np.float32), floats([plane[3]])
        for part, o, d in zip(plane[:3], origin, ray, strict=True):
            if part:
                towards = towards + np.float32(part) * d
                gap = gap - np.float32(part) * o
        at, into = gap / towards, towards < 0
        later = into & (at > enter)
        enter, face = np.where(later, at, enter), np.where(later, index, face)
        leave = np.where(into, leave, np.fmin(leave, at))
    normals = floats([plane[:3] for plane in faces.planes])[face]
    return enter, leave, (normals[..., 0], normals[..., 1], normals[..., 2])


def _meet_round(solid: Round, origin: Vector, ray: Vector) -> tuple[Image, Image, Vector]:
    """The ray within the two end planes, and within the (one-sided) cone between them."""
    (ox, oy, oz), (dx, dy, dz) = origin, ray
    if solid.along_z:
        oy, oz, dy, dz = oz, oy - np.float32(solid.at[1]), dz, dy
    ox = ox - np.float32(solid.at[0])
    slope = np.float32((solid.radius_high - solid.radius_low) / (solid.high - solid.low))
    ends = (np.float32(solid.low) - oy) / dy, (np.float32(solid.high) - oy) / dy
    enter, leave = np.fmin(*ends), np.fmax(*ends)
    radius, widen = np.float32(solid.radius_low) + slope * (oy - np.float32(solid.low)), slope * dy
    a = dx * dx + dz * dz - widen * widen
    a = np.where(np.abs(a) < 1e-9, np.float32(1e-9), a)
    b = ox * dx + oz * dz - radius * widen
    c = ox * ox + oz * oz - radius * radius
    root = np.sqrt(b * b - a * c)
    first, last = (-b - root) / np.abs(a) * np.sign(a), (-b + root) / np.abs(a) * np.sign(a)
    first, last = np.fmin(first, last), np.fmax(first, last)
    steep, widening = a < 0, widen > 0
    side_in = np.where(steep, np.where(widening, last, -np.inf), first)
    side_out = np.where(steep, np.where(widening, np.inf, first), last)
    by_side = side_in > enter
    missed = np.isnan(root)
    enter, leave = np.where(by_side, side_in, enter), np.fmin(leave, side_out)
    enter, leave = np.where(missed, np.inf, enter), np.where(missed, -np.inf, leave)
    x, z = ox + enter * dx, oz + enter * dz
    r = np.maximum(np.sqrt(x * x + z * z), 1e-6)
    end = np.where(dy < 0, np.float32(1), np.float32(-1))
    normal = np.where(by_side, x / r, 0), np.where(by_side, -slope, end), np.where(by_side, z / r, 0)
    return (enter, leave, (normal[0], normal[2], normal[1])) if solid.along_z else (enter, leave, normal)
