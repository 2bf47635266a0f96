"""Shots on disk for tests of the headless side, and the command line called in this process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest
from numpy.typing import NDArray

from latensify_server.cli import main

WIDTH, HEIGHT = 64, 36
FORMATS = {np.dtype(np.uint8): oiio.UINT8, np.dtype(np.uint16): oiio.UINT16}
FORMATS |= {np.dtype(np.float16): oiio.HALF, np.dtype(np.float32): oiio.FLOAT}
NOBODY = 65534


def write(path: Path, pixels: NDArray[Any], channels: str = "", **attributes: Any) -> Path:
    """An image file of [height, width, channels]; `x`, `y`, `full_*` are the spec's own."""
    height, width, count = pixels.shape
    spec = oiio.ImageSpec(width, height, count, FORMATS[pixels.dtype])
    if channels:
        spec.channelnames = tuple(channels.split(","))
        spec.alpha_channel = spec.channelnames.index("A") if "A" in spec.channelnames else -1
    for name, value in attributes.items():
        if name in ("x", "y", "full_x", "full_y", "full_width", "full_height"):
            setattr(spec, name, value)
        else:
            spec.attribute(name.replace("__", ":"), value)
    out = oiio.ImageOutput.create(str(path))
    assert out is not None
    assert out.open(str(path), spec), out.geterror()
    assert out.write_image(pixels)
    assert out.close()
    out.geterror()
    return path


def read(path: Path) -> tuple[NDArray[Any], dict[str, Any], oiio.ImageSpec]:
    """The stored pixels, the metadata and the spec of an image file."""
    keep = oiio.ImageSpec()
    keep.attribute("oiio:UnassociatedAlpha", 1)
    file = oiio.ImageInput.open(str(path), keep)
    assert file is not None, oiio.geterror()
    spec = file.spec()
    pixels = file.read_image(0, 0, 0, spec.nchannels, spec.format)
    found = {attribute.name: attribute.value for attribute in spec.extra_attribs}
    file.close()
    return pixels.reshape(spec.height, spec.width, spec.nchannels), found, spec


def hdr(frame: int, channels: int = 3) -> NDArray[np.float32]:
    """Float values from -0.1 to 40, another picture for each frame."""
    rng = np.random.default_rng(frame)
    return rng.uniform(-0.1, 40, (HEIGHT, WIDTH, channels)).astype(np.float32)


def matte(frame: int) -> NDArray[np.float16]:
    """A moving rectangle with one soft row at its top."""
    values = np.zeros((HEIGHT, WIDTH, 1), np.float16)
    left = 10 + frame % 8
    values[12:24, left : left + 20] = 1
    values[12, left : left + 20] = 0.5
    return values


def shot(folder: Path, frames: range) -> Path:
    """plate.%04d.exr in float with a depth channel, and matte.%04d.exr."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame in frames:
        write(folder / f"plate.{frame:04d}.exr", hdr(frame, 4), "R,G,B,Z", PixelAspectRatio=2.0, scene="sc10")
        write(folder / f"matte.{frame:04d}.exr", matte(frame), "Y")
    return folder


def call(*args: str | Path) -> int:
    """Runs the command line in this process; its exit code."""
    with pytest.raises(SystemExit) as ended:
        main([str(arg) for arg in args])
    return int(ended.value.code or 0)


def contents(folder: Path, pattern: str = "*") -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob(pattern))}


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """Root may read and write everything: be nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
