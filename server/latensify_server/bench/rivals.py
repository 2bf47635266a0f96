"""What a user would otherwise have between a host and a server: gRPC, HTTP with PNG, EXR files; for comparison.

Each sends a whole frame and gets it back. Their server is a process of its own: `python -m
latensify_server.bench.rivals`. PNG holds 16 bits, clipped to 0..1, as such tools do.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio

from latensify_bridge.errors import EngineFailed, Unreachable
from latensify_bridge.frames import Pixels

Trip = Callable[[Pixels], Pixels]
METHOD = "/latensify.bench/Echo"
NO_LIMIT = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
RAM = Path("/dev/shm")


# --- as files ---


def write_exr(path: Path, pixels: Pixels) -> None:
    """An uncompressed EXR. Raises EngineFailed when it cannot be written."""
    height, width, channels = pixels.shape
    spec = oiio.ImageSpec(width, height, channels, "half" if pixels.dtype == np.float16 else "float")
    spec.attribute("compression", "none")
    out = oiio.ImageOutput.create(str(path))
    if not out or not out.open(str(path), spec) or not out.write_image(pixels) or not out.close():
        raise EngineFailed(f"Cannot write {path}: {oiio.geterror()}.")


def read_exr(path: Path) -> Pixels:
    """The pixels of an EXR. Raises EngineFailed when it cannot be read."""
    found = oiio.ImageInput.open(str(path))
    if not found:
        raise EngineFailed(f"Cannot read {path}: {oiio.geterror()}.")
    with contextlib.closing(found):
        return np.asarray(found.read_image(found.spec().format))


def png_of(pixels: Pixels) -> bytes:
    """16 bits a channel of what lies within 0..1."""
    levels = (np.clip(pixels.astype(np.float32), 0, 1) * 65535 + 0.5).astype(np.uint16)
    return cv2.imencode(".png", levels)[1].tobytes()


def png_levels(data: bytes) -> Pixels:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))


# --- the servers ---


class _Png(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        levels = png_levels(self.rfile.read(int(self.headers["Content-Length"])))
        body = cv2.imencode(".png", levels)[1].tobytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _serve_http() -> int:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Png)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def _serve_grpc() -> tuple[int, object]:
    """The port of a gRPC server whose one call gives back its bytes, and the server, which lives as long as it is held.

    0 where grpcio is not installed.
    """
    try:
        import grpc
    except ModuleNotFoundError:
        return 0, None
    handler = grpc.method_handlers_generic_handler(
        METHOD.split("/")[1], {"Echo": grpc.unary_unary_rpc_method_handler(lambda request, _: request)}
    )
    server = grpc.server(futures.ThreadPoolExecutor(1), options=NO_LIMIT)
    server.add_generic_rpc_handlers((handler,))
    port: int = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return port, server


def serve() -> None:
    """Says its ports; then, for each line on standard input, which names a folder, gives its in.exr back as out.exr."""
    cv2.setNumThreads(1)
    port, _held = _serve_grpc()
    print(json.dumps({"grpc": port, "http": _serve_http()}), flush=True)
    for line in sys.stdin:
        folder = Path(line.strip())
        write_exr(folder / "out.exr", read_exr(folder / "in.exr"))
        print(flush=True)


# --- the clients ---


class Rivals:
    """The round trips by path's name, each with one connection that is kept. `grpc` is absent without grpcio."""

    def __init__(self, process: subprocess.Popen[str], folders: dict[str, Path]) -> None:
        self._process = process
        assert process.stdout
        ports = json.loads(process.stdout.readline())
        self._http = http.client.HTTPConnection("127.0.0.1", ports["http"])
        self.trips: dict[str, Trip] = {"http-png": self._by_png}
        if ports["grpc"]:
            self.trips["grpc"] = _by_grpc(ports["grpc"])
        for name, folder in folders.items():
            self.trips[name] = self._by_files(folder)

    def _by_png(self, pixels: Pixels) -> Pixels:
        self._http.request("POST", "/", png_of(pixels))
        levels = png_levels(self._http.getresponse().read())
        return (levels.astype(np.float32) / 65535).astype(pixels.dtype)

    def _by_files(self, folder: Path) -> Trip:
        def trip(pixels: Pixels) -> Pixels:
            write_exr(folder / "in.exr", pixels)
            assert self._process.stdin and self._process.stdout
            print(folder, file=self._process.stdin, flush=True)
            if not self._process.stdout.readline():
                raise Unreachable("The server of EXR files ended.")
            return read_exr(folder / "out.exr")

        return trip


def _by_grpc(port: int) -> Trip:
    import grpc

    call = grpc.insecure_channel(f"127.0.0.1:{port}", options=NO_LIMIT).unary_unary(METHOD)

    def trip(pixels: Pixels) -> Pixels:
        back: Pixels = np.frombuffer(call(pixels.tobytes()), pixels.dtype).reshape(pixels.shape)
        return back.copy()  # into memory of the host, which may write to it

    return trip


@contextlib.contextmanager
def rivals(disk: Path) -> Iterator[Rivals]:
    """The rivals, with files in a RAM disk where there is one and under `disk`."""
    folders = {"exr-disk": Path(tempfile.mkdtemp(prefix="lt-bench-", dir=disk))}
    if RAM.is_dir():
        folders["exr-ram"] = Path(tempfile.mkdtemp(prefix="lt-bench-", dir=RAM))
    process = subprocess.Popen(
        [sys.executable, "-m", "latensify_server.bench.rivals"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Rivals(process, folders)
    finally:
        process.kill()
        process.wait()
        for folder in folders.values():
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    serve()
