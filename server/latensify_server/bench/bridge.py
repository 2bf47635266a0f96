"""`latensify bench bridge`: what a frame's trip to a server and back costs, beside copies of memory and other ways.

All paths of a row are measured in one run, in turn, round after round, so that whatever else the machine does meets
them alike; a row is their medians. A trip begins with the plate in the host's memory and ends with the host's output
filled: the plate, and over it the box that came back.
"""

from __future__ import annotations

import collections
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from latensify_bridge.errors import BadParameter
from latensify_bridge.frames import Depth, Pixels
from latensify_server.bench.host import Host, Setup, rss_mib
from latensify_server.bench.rivals import Rivals, rivals

Tell = Callable[[str, int, int], None]

OURS = ("same-machine", "tcp-inline", "tcp-socket")
RIVALS = ("grpc", "http-png", "exr-ram", "exr-disk")
PATHS = (*OURS, *RIVALS)
SIDES = (0.5, 1.0)
"""Of the edited box, as a share of the frame's width and height. The rivals know no box: they send all back."""

HELD = 10
"""Frames that the server may hold: few, so that it soon lets old ones go, as one that has run for a while does."""

WINDOW = 48
MANY = 500


@dataclass(frozen=True)
class Frame:
    """The frames of a row: RGBA of this size in pixels, in the host's memory in this depth."""

    width: int
    height: int
    depth: Depth

    @property
    def size(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def fields(self) -> dict[str, object]:
        return {"width": self.width, "height": self.height, "depth": self.depth.value}

    @property
    def half_bytes(self) -> int:
        return self.width * self.height * 8

    def plate(self) -> Pixels:
        values = np.random.default_rng(7).random((self.height, self.width, 4), np.float32) * np.float32(1.25)
        return values.astype(self.depth.dtype)


def frame_of(size: str, depth: str) -> Frame:
    """Raises BadParameter for what is no size."""
    width, _, height = size.partition("x")
    if not (width.isdecimal() and height.isdecimal() and 16 <= int(width) <= 16384 and 16 <= int(height) <= 16384):
        raise BadParameter(f"'{size}' is no size; write WIDTHxHEIGHT, each from 16 to 16384, for example 1920x1080.")
    return Frame(int(width), int(height), Depth(depth))


def chosen_paths(wanted: Sequence[str]) -> tuple[str, ...]:
    """All of them, or those named. Raises BadParameter for one that there is not."""
    for path in wanted:
        if path not in PATHS:
            raise BadParameter(f"There is no path '{path}'; there are {', '.join(PATHS)}.")
    return tuple(wanted) or PATHS


@dataclass(frozen=True)
class Row:
    """Round trips by one path, in ms; `side` is the edited box's share of each side of the frame.

    `cpu_ms` is what the host's processor was busy for, which other work on the machine changes less than the time.
    """

    frame: Frame
    path: str
    side: float
    round_trips_ms: tuple[float, ...]
    floors_ms: tuple[float, ...]
    cpu_ms: tuple[float, ...] = ()
    floor_cpu_ms: tuple[float, ...] = ()

    @property
    def round_trip_ms(self) -> float:
        return statistics.median(self.round_trips_ms)

    @property
    def ratio_to_floor(self) -> float:
        return self.round_trip_ms / statistics.median(self.floors_ms)

    def to_json(self) -> dict[str, object]:
        told: dict[str, object] = {
            "size": self.frame.size,
            "depth": self.frame.depth.value,
            "path": self.path,
            "edited": self.side**2,
            "round_trip_ms": round(self.round_trip_ms, 2),
            "ratio_to_floor": round(self.ratio_to_floor, 3),
            "floor_ms": round(statistics.median(self.floors_ms), 2),
            "fastest_ms": round(min(self.round_trips_ms), 2),
            "fastest_floor_ms": round(min(self.floors_ms), 2),
            "rounds": len(self.round_trips_ms),
        }
        if not self.cpu_ms:
            return told
        cpu_ms, floor_cpu_ms = statistics.median(self.cpu_ms), statistics.median(self.floor_cpu_ms)
        return {**told, "host_cpu_ms": round(cpu_ms, 2), "floor_cpu_ms": round(floor_cpu_ms, 2)}


@dataclass(frozen=True)
class _Ours:
    """One of our paths: the program that takes it, its request."""

    path: str
    side: float
    host: Host
    request: dict[str, Any]

    def ask(self, frame: Frame, seed: int) -> dict[str, Any]:
        return self.host.ask({**frame.fields, **self.request, "side": self.side, "seed": seed})


def ours(setup: Setup, paths: Sequence[str]) -> list[_Ours]:
    """Our paths, each with each edited box."""
    near: dict[str, Any] = {"do": "trip", "endpoint": setup.server.endpoint}
    plain: dict[str, Any] = {"do": "socket", "port": setup.server.port}
    hosts = {"same-machine": (setup.near, near), "tcp-inline": (setup.far, near), "tcp-socket": (setup.far, plain)}
    return [_Ours(path, side, *hosts[path]) for path in OURS if path in paths for side in SIDES]


@dataclass
class _Times:
    """What the rounds of one path took, wall time and the host's processor time, in ms."""

    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def add(self, told: Mapping[str, float]) -> None:
        self.wall_ms.append(told["ms"])
        self.cpu_ms.append(told["cpu_ms"])


def rounds_of(frame: Frame, setup: Setup, others: Rivals, paths: Sequence[str], rounds: int, tell: Tell) -> list[Row]:
    """A row for each path, measured in turn. The first round warms up, and is not counted."""
    seeds = itertools.count(1)
    plate = frame.plate()
    _round(frame, setup, others, paths, seeds, plate)
    floor, times = _Times(), collections.defaultdict[tuple[str, float], _Times](_Times)
    for number in range(1, rounds + 1):
        told, floor_told = _round(frame, setup, others, paths, seeds, plate)
        floor.add(floor_told)
        for way, took in told.items():
            times[way].add(took) if "cpu_ms" in took else times[way].wall_ms.append(took["ms"])
        tell(f"{frame.size} {frame.depth.value}", number, rounds)
    return [
        Row(frame, path, side, tuple(t.wall_ms), tuple(floor.wall_ms), tuple(t.cpu_ms), tuple(floor.cpu_ms))
        for (path, side), t in times.items()
    ]


def _round(
    frame: Frame, setup: Setup, others: Rivals, paths: Sequence[str], seeds: Iterator[int], plate: Pixels
) -> tuple[dict[tuple[str, float], dict[str, float]], dict[str, float]]:
    """One trip by each path, and the floor."""
    floor: dict[str, float] = setup.near.ask({**frame.fields, "do": "floor"})
    told: dict[tuple[str, float], dict[str, float]] = {}
    for way in ours(setup, paths):
        told[way.path, way.side] = way.ask(frame, next(seeds))
    for name, trip in others.trips.items():
        if name in paths:
            told[name, 1.0] = {"ms": _timed_ms(trip, plate)}
    return told, floor


def _timed_ms(trip: Callable[[Pixels], Pixels], plate: Pixels) -> float:
    started = time.perf_counter()
    back = trip(plate)
    took_ms = 1000 * (time.perf_counter() - started)
    if back.shape != plate.shape:
        raise ValueError("another frame came back")
    return took_ms


# --- what else ---


def first_frame(frame: Frame, setup: Setup) -> dict[str, object]:
    """A first trip: no connection, no segment, no memory of the server's yet; and the one after it."""
    host = setup.another()
    request = {**frame.fields, "do": "trip", "endpoint": setup.server.endpoint, "side": SIDES[0]}
    with host:
        first, second = (host.ask({**request, "seed": 10_000_000 + seed})["ms"] for seed in range(2))
    return {**_named(frame), "first_ms": round(first, 2), "second_ms": round(second, 2)}


def at_once(frame: Frame, setup: Setup, clients: int, rounds: int) -> dict[str, object]:
    """Several hosts that ask at the same time."""
    request = {**frame.fields, "do": "trip", "endpoint": setup.server.endpoint, "side": SIDES[0]}
    hosts = [setup.another() for _ in range(clients)]
    times: list[float] = []
    for number in range(rounds + 1):
        for index, host in enumerate(hosts):
            host.tell({**request, "seed": 20_000_000 + number * clients + index})
        heard = [host.hear()["ms"] for host in hosts]
        times += heard if number else []  # the first is of cold segments
    for host in hosts:
        host.close()
    return {**_named(frame), "clients": clients, "round_trip_ms": round(statistics.median(times), 2)}


def window(frame: Frame, setup: Setup, held: int) -> dict[str, object]:
    """A window's frames are sent, of which the server holds `held`."""
    request = {**frame.fields, "do": "upload", "endpoint": setup.server.endpoint}
    base = 30_000_000 + 1000 * held
    seeds = list(range(base, base + WINDOW))
    if held:
        setup.near.ask({**request, "seeds": seeds[:held]})
    took = setup.near.ask({**request, "seeds": seeds})["ms"]
    return {**_named(frame), "frames": WINDOW, "held": held, "upload_ms": round(took, 1)}


def many(frame: Frame, setup: Setup, trips: int, tell: Tell) -> dict[str, object]:
    """Memory, segments and processor time over many trips: after a fifth of them, and at the end."""
    request = {**frame.fields, "do": "trip", "endpoint": setup.server.endpoint, "side": SIDES[0]}
    server_pid, host_pid = setup.server.pid, setup.near.pid
    cpu_ms = 0.0
    began_s = setup.server.cpu_s()
    for number in range(trips):
        cpu_ms += setup.near.ask({**request, "seed": 40_000_000 + number})["cpu_ms"]
        if number == trips // 5:
            warm = rss_mib(server_pid), rss_mib(host_pid), len(setup.segments())
            tell("resident memory", number, trips)
    server_ms = 1000 * (setup.server.cpu_s() - began_s)
    return {
        **_named(frame),
        "trips": trips,
        "server_rss_mib": [round(warm[0], 1), round(rss_mib(server_pid), 1)],
        "host_rss_mib": [round(warm[1], 1), round(rss_mib(host_pid), 1)],
        "segments": [warm[2], len(setup.segments())],
        "host_cpu_s_a_frame": round(cpu_ms / trips / 1000, 5),
        "server_cpu_s_a_frame": round(server_ms / trips / 1000, 5),
    }


def _named(frame: Frame) -> dict[str, object]:
    return {"size": frame.size, "depth": frame.depth.value}


# --- all ---


def measured(
    program: Path, frames: Sequence[Frame], paths: Sequence[str], rounds: int, disk: Path, more: bool, tell: Tell
) -> dict[str, object]:
    """The whole report."""
    rows: list[Row] = []
    beside: dict[str, list[dict[str, object]]] = {}
    with rivals(disk) as others:
        for frame in frames:
            with Setup.of(program, HELD * frame.half_bytes) as setup:
                rows += rounds_of(frame, setup, others, paths, rounds, tell)
    for frame in frames if more else ():
        for name, found in _beside(program, frame, rounds, tell):
            beside.setdefault(name, []).append(found)
    return {"results": [row.to_json() for row in rows], **beside}


def _beside(program: Path, frame: Frame, rounds: int, tell: Tell) -> Iterator[tuple[str, dict[str, object]]]:
    with Setup.of(program, HELD * frame.half_bytes) as setup:
        yield "first_frame", first_frame(frame, setup)
        for clients in (1, 2, 4):
            yield "at_once", at_once(frame, setup, clients, rounds)
            tell("clients at once", clients, 4)
    for held in (0, WINDOW // 2, WINDOW):
        with Setup.of(program, (WINDOW + 2) * frame.half_bytes) as setup:
            yield "window", window(frame, setup, held)
            tell("window", held, WINDOW)
    with Setup.of(program, HELD * frame.half_bytes) as setup:
        yield "many", many(frame, setup, MANY, tell)
