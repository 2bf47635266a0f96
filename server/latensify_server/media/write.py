"""Writes frames: the whole file or none of it, at the depth asked for, with what was done in its header.

A file is encoded in memory first: some of the libraries below OpenImageIO take no notice of a full disk, or exit.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import OpenImageIO as oiio

from latensify_bridge.errors import BadRequest, OutputFailed
from latensify_server.media.image import Image, Rectangle, as_float
from latensify_server.media.pixels import place, to_stored
from latensify_server.media.stamp import stamp

TEMPORARY = ".latensify-"
STALE_S = 3600.0
DEPTHS: dict[str, type[np.generic]] = {"half": np.float16, "float": np.float32, "uint8": np.uint8, "uint16": np.uint16}
_HELD = {"exr": ("half", "float"), "hdr": ("float",), "png": ("uint8", "uint16"), "dpx": ("uint8", "uint16")}
_HELD |= {"tif": ("float", "uint8", "uint16"), "tiff": ("float", "uint8", "uint16")}
_LOSSY = ("dwaa", "dwab", "b44", "b44a", "pxr24")
_CHANNELS = {"jpg": 3, "jpeg": 3, "hdr": 3, "bmp": 4, "png": 4, "dpx": 4, "tga": 4, "webp": 4}


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, which becomes `path` at the end, or is removed when something goes wrong.

    Raises OutputFailed where the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(6)}-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise OutputFailed(f"{path} cannot be written: {_why(error, path)}.") from None
    finally:
        temporary.unlink(missing_ok=True)


def _why(error: OSError, path: Path) -> str:
    with contextlib.suppress(OSError):
        free_mib = shutil.disk_usage(path.parent).free / 2**20
        if free_mib < 1 or "No space" in str(error.strerror):
            return f"no space is left on the disk ({free_mib:.1f} MiB free); free some or choose another --out"
    return f"{error.strerror or error}; choose another --out"


def prepare_folder(folder: Path) -> None:
    """Makes the folder, proves that it can be written, and clears what a killed renderer left over.

    Raises OutputFailed, naming it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f"{TEMPORARY}{secrets.token_hex(6)}"
        probe.touch()
        probe.unlink()
        for left in folder.glob(f"{TEMPORARY}*"):
            if time.time() - left.stat().st_mtime > STALE_S:
                left.unlink(missing_ok=True)
    except OSError as error:
        raise OutputFailed(f"The folder {folder} cannot be written: {error.strerror}; choose another --out.") from None


def check_format(path: Path, depth: str | None) -> None:
    """Raises BadRequest when no image of this name, or none of this depth, can be written."""
    kind = path.suffix[1:].lower()
    if oiio.ImageOutput.create(kind) is None:
        oiio.geterror()
        raise BadRequest(f"'{path.suffix}' is not a kind of image that can be written; use .exr, .tif, .dpx or .png.")
    if depth and depth not in _held(kind):
        raise BadRequest(f"A .{kind} file cannot hold {depth}; it holds {', '.join(_held(kind))}.")


def write_image(path: Path, image: Image, metadata: Mapping[str, str | int], depth: str | None = None) -> None:
    """Writes a frame at its own depth (or `depth`), or at the nearest that the format holds. Raises OutputFailed."""
    kind = path.suffix[1:].lower()
    with replacing(path) as temporary:
        file = os.memfd_create(path.name)
        try:
            _encode(f"/proc/self/fd/{file}", kind, fitted(image, kind, depth), metadata, path)
            with open(file, "rb", closefd=False) as encoded, open(temporary, "wb") as out:
                encoded.seek(0)
                shutil.copyfileobj(encoded, out, 4 * 2**20)
        finally:
            os.close(file)


def _encode(target: str, kind: str, image: Image, metadata: Mapping[str, str | int], path: Path) -> None:
    spec = image.spec
    stamp(spec, kind, metadata)
    out = oiio.ImageOutput.create(kind)
    assert out is not None  # check_format has seen to it
    parts = image.parts
    opened = out.open(target, (spec, *(part.spec for part in parts))) if parts else out.open(target, spec)
    done = opened and out.write_image(np.ascontiguousarray(image.pixels))
    for part in parts:
        done = done and out.open(target, part.spec, "AppendSubimage") and out.write_image(part.pixels)
    closed = out.close()
    reason = out.geterror().strip().splitlines()  # to be fetched even where it means nothing, as after every TIFF
    if not (done and closed):
        raise OutputFailed(f"{path} cannot be written: {reason[0] if reason else 'the format refuses it'}.")


def fitted(image: Image, kind: str, depth: str | None) -> Image:
    """The frame as files of this kind hold it: depth, channels, windows, alpha."""
    native = image.name.lower().endswith(f".{kind}") and (depth is None or DEPTHS[depth] == image.pixels.dtype)
    spec = oiio.ImageSpec(image.spec)
    image = replace(image, spec=spec)
    if not native:
        image = _converted(image, kind, DEPTHS[depth or _nearest(image, kind)])
    if spec.get_string_attribute("compression") in _LOSSY:
        image.spec.attribute("compression", "zip")
    if not image.spec.get_string_attribute("DateTime") and kind in ("exr", "tif", "tiff"):
        # else the time of writing goes in, and no two renders are the same file
        image.spec.attribute("DateTime", _changed(image.name))
    return image


def _changed(name: str) -> str:
    seconds = os.path.getmtime(name) if os.path.isfile(name) else 0
    return time.strftime("%Y:%m:%d %H:%M:%S", time.gmtime(seconds))


def _held(kind: str) -> tuple[str, ...]:
    return _HELD.get(kind, ("uint8",))


def _nearest(image: Image, kind: str) -> str:
    names = {np.dtype(dtype): name for name, dtype in DEPTHS.items()}
    own = names[image.pixels.dtype]
    held = _held(kind)
    order = {"uint8": ("half", "float"), "uint16": ("float", "uint8"), "half": ("float", "uint16", "uint8")}
    wanted = (own, *order.get(own, ("half", "uint16", "uint8")))
    return next(name for name in wanted if name in held)


def _converted(image: Image, kind: str, dtype: type[np.generic]) -> Image:
    """Another depth or another kind of file: values are converted; what only the old kind knew is left out."""
    values = as_float(image.pixels)
    if kind == "exr" and image.alpha is not None and not image.premultiplied:
        values[..., list(image.colours)] *= values[..., image.alpha, None]  # EXR is premultiplied by convention
    kept = _kept_channels(image, kind)
    window = image.data if kind == "exr" else image.display
    values = place(values[..., kept], image.data, window)
    pixels = to_stored(values, np.dtype(dtype))
    return Image(image.name, pixels, _new_spec(image, kind, pixels, kept, window), image.parts if kind == "exr" else ())


def _kept_channels(image: Image, kind: str) -> list[int]:
    if kind in ("exr", "tif", "tiff"):
        return list(range(image.pixels.shape[2]))
    alpha = [image.alpha] if image.alpha is not None and _CHANNELS.get(kind, 3) == 4 else []
    return [*image.colours, *alpha]


def _new_spec(image: Image, kind: str, pixels: np.ndarray, kept: list[int], window: Rectangle) -> oiio.ImageSpec:
    formats = {np.dtype(np.float16): oiio.HALF, np.dtype(np.float32): oiio.FLOAT}
    formats |= {np.dtype(np.uint8): oiio.UINT8, np.dtype(np.uint16): oiio.UINT16}
    spec = oiio.ImageSpec(image.spec)
    spec.set_format(formats[pixels.dtype])
    spec.channelformats = ()
    spec.nchannels = len(kept)
    spec.channelnames = tuple(image.spec.channelnames[index] for index in kept)
    spec.alpha_channel = kept.index(image.alpha) if image.alpha in kept else -1
    spec.x, spec.y, spec.width, spec.height = window.x0, window.y0, window.width, window.height
    if kind != "exr":
        spec.x = spec.y = spec.full_x = spec.full_y = 0
    if not image.name.lower().endswith(f".{kind}"):
        spec.tile_width = spec.tile_height = 0
        spec.erase_attribute("compression")
    spec.erase_attribute("oiio:BitsPerSample")
    if kind == "exr":
        spec.erase_attribute("oiio:UnassociatedAlpha")
    return spec
