"""The parts of `latensify bench bridge`: the server that gives frames back, the rivals, the report."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from latensify_bridge.client import Session
from latensify_bridge.effects import Restyle
from latensify_bridge.errors import BadParameter, ModelMissing
from latensify_bridge.frames import Depth, Edited, FrameSpec, Pixels
from latensify_bridge.protocol import Source
from latensify_server.bench.bridge import PATHS, Frame, Row, chosen_paths, frame_of
from latensify_server.bench.echo import Echo, middle
from latensify_server.bench.host import found_program, rss_mib
from latensify_server.bench.rivals import Rivals, rivals

WIDTH, HEIGHT = 64, 36


def plate(dtype: type) -> Pixels:
    return (np.random.default_rng(3).random((HEIGHT, WIDTH, 4), np.float32)).astype(dtype)


@pytest.fixture
def echo(home: Path) -> Iterator[str]:
    server = Echo(4 * WIDTH * HEIGHT * 8)
    threading.Thread(target=server.run, daemon=True).start()
    yield server.endpoint
    server.close()


def echoed(endpoint: str, number: int, side: str) -> tuple[Pixels, Edited]:
    pixels = plate(np.float16)
    pixels[0, 0, 0] = number
    with Session(endpoint, "test") as session:
        source = Source(number, session.send(pixels))
        edit = Restyle(prompt=side, window=1, overlap=0)
        return pixels, session.edit("restyle", edit, number, number, number, [source], (WIDTH, HEIGHT))[0]


@pytest.mark.parametrize("side", ["0.5", "1"])
def test_the_echo_gives_back_the_frame_in_its_box(echo: str, side: str) -> None:
    for number in range(1, 8):  # more than the server may hold
        pixels, edited = echoed(echo, number, side)
        rows, columns = edited.box.slices
        assert edited.box == middle(FrameSpec(WIDTH, HEIGHT, 4, Depth.HALF), float(side))
        np.testing.assert_array_equal(edited.rgb, pixels[rows, columns, :3])
        assert (edited.matte == 1).all()


def test_the_echo_gives_back_frames_that_travel_inline(echo: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENSIFY_SHM", str(home / "elsewhere"))
    pixels, edited = echoed(echo, 1, "1")
    np.testing.assert_array_equal(edited.rgb, pixels[..., :3])


@pytest.fixture
def others(tmp_path: Path) -> Iterator[Rivals]:
    with rivals(tmp_path) as running:
        yield running


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_each_rival_gives_back_the_frame(others: Rivals, dtype: type) -> None:
    pixels = plate(dtype)
    assert {"http-png", "exr-disk"} <= others.trips.keys() <= set(PATHS)
    for name, trip in others.trips.items():
        back = trip(pixels)
        assert back.dtype == dtype, name
        assert np.abs(back.astype(np.float32) - pixels).max() <= (6e-4 if name == "http-png" else 0), name


def test_a_row_tells_the_median_and_its_ratio_to_the_floor() -> None:
    row = Row(Frame(3840, 2160, Depth.FLOAT), "same-machine", 0.5, (90.0, 30.0, 40.0), (20.0, 10.0, 80.0))
    told = row.to_json()
    assert (told["size"], told["depth"], told["path"], told["edited"]) == ("3840x2160", "float", "same-machine", 0.25)
    assert (told["round_trip_ms"], told["ratio_to_floor"], told["fastest_ms"], told["rounds"]) == (40.0, 2.0, 30.0, 3)


def test_paths_and_sizes_are_checked() -> None:
    assert chosen_paths(()) == PATHS
    assert chosen_paths(["grpc"]) == ("grpc",)
    with pytest.raises(BadParameter, match="no path 'carrier-pigeon'"):
        chosen_paths(["carrier-pigeon"])
    assert frame_of("1920x1080", "half") == Frame(1920, 1080, Depth.HALF)
    for size in ("1920", "1920x", "x1080", "0x0", "1920x1080x4", "9999999x16"):
        with pytest.raises(BadParameter, match="is no size"):
            frame_of(size, "half")


def test_a_program_that_was_not_built_is_told_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="make bench-bridge"):
        found_program(tmp_path / "bridge_bench")


def test_resident_memory_is_read() -> None:
    assert 5 < rss_mib(os.getpid()) < 100_000
