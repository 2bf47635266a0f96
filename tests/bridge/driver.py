"""Drives the C++ client in a process of its own (bridge/cpp/tests/drive.cpp)."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from latensify_bridge.frames import Depth, FrameSpec, Pixels, frame_name, spec_of, to_half

WIDTH, HEIGHT = 48, 32

Request = dict[str, Any]
Answer = dict[str, Any]


class Driver:
    """One bridge, so idle connections last from request to request. `prefix` words start the program."""

    def __init__(self, program: Path, env: Mapping[str, str] | None = None, prefix: tuple[str, ...] = ()) -> None:
        self.process = subprocess.Popen(
            [*prefix, str(program), "drive"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.tell_no_more()
        code = self.process.wait(10)
        assert kind or code == 0, f"the client ended with {code}"

    def tell_no_more(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()

    def tell(self, request: Request) -> None:
        assert self.process.stdin
        print(json.dumps(request), file=self.process.stdin, flush=True)

    def hear(self) -> Answer:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, f"the client ended with {self.process.wait(10)}"
        answer: Answer = json.loads(line)
        return answer

    def ask(self, request: Request) -> Answer:
        self.tell(request)
        return self.hear()

    def failure(self, request: Request) -> tuple[str, str]:
        """The code and the sentence of the failure that the request must end in."""
        answer = self.ask(request)
        assert "failure" in answer, answer
        return answer["failure"]["code"], answer["failure"]["message"]


def plate(number: int, width: int = WIDTH, height: int = HEIGHT) -> Pixels:
    return to_half(np.random.default_rng(abs(number)).random((height, width, 4), np.float32))


def described(folder: Path, pixels: Pixels) -> dict[str, Any]:
    """A frame as the driver is told of it: its spec, and the file that holds it."""
    spec = spec_of(pixels)
    path = folder / frame_name(spec, pixels.tobytes())
    path.write_bytes(pixels.tobytes())
    size = {"width": spec.width, "height": spec.height, "channels": spec.channels}
    return {**size, "depth": spec.depth.value, "file": str(path)}


def request(folder: Path, endpoint: str, frame: int = 5, mask: Pixels | None = None, **changes: Any) -> Request:
    """Restyle one frame, alone in its window."""
    source = {"number": frame, "pixels": described(folder, plate(frame))}
    if mask is not None:
        source["mask"] = described(folder, mask)
    usual = {
        "name": str(frame),
        "endpoint": endpoint,
        "params": {"prompt": "x", "window": 1, "overlap": 0},
        "frame": frame,
        "first": frame,
        "last": frame,
        "sources": [source],
        "depth": "half",
        "width": WIDTH,
        "height": HEIGHT,
    }
    return {**usual, **changes}


def result_name(rgb: Pixels, matte: Pixels) -> str:
    """The name of a result's bytes, as the driver tells it."""
    depth = Depth.HALF if rgb.dtype == np.float16 else Depth.FLOAT
    return frame_name(FrameSpec(matte.shape[1], matte.shape[0], 4, depth), rgb.tobytes() + matte.tobytes())


def inverted(pixels: Pixels, depth: Depth = Depth.HALF, mask: Pixels | None = None) -> str:
    """What the fake engine makes of a plate, as the driver tells it."""
    rgb = (1 - pixels[..., :3].astype(np.float32)).astype(depth.dtype)
    matte = np.ones(pixels.shape[:2], depth.dtype) if mask is None else mask.astype(depth.dtype)
    return result_name(rgb, matte)
