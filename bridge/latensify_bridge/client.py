"""The client: a connection to a server, for Python. cpp/client.cpp is the same for the plugin.

Every wait ends: by its answer, by `cancelled`, by a deadline, or because the server has been silent for SILENCE_S.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Self, TypeVar

import msgspec
import numpy as np
import zmq

from latensify_bridge import __version__
from latensify_bridge.curve import Handshake
from latensify_bridge.effects import Edit
from latensify_bridge.errors import (
    BadInput,
    Busy,
    Cancelled,
    LatensifyError,
    Misbehaved,
    TimedOut,
    Unreachable,
    VersionMismatch,
    from_code,
)
from latensify_bridge.folders import auto_endpoint, config_folder, private, runtime_folder, shared_folder
from latensify_bridge.frames import Depth, Edited, FrameSpec, Pixels, frame_name, spec_of, unpack
from latensify_bridge.protocol import (
    LONGEST_PART,
    MOST_FITTED,
    MOST_PARTS,
    PART_BYTES,
    PROTOCOL,
    SILENCE_S,
    SLOWEST_BYTES_PER_S,
    Cancel,
    Failure,
    Fit,
    Fitted,
    Have,
    Hello,
    Message,
    Need,
    Progress,
    Put,
    Report,
    Result,
    Source,
    Status,
    Stored,
    Submit,
    Welcome,
    decode_from_server,
    encode,
    version_mismatch,
)
from latensify_bridge.segments import SegmentFile

POLL_MS = 50
FIT_S = 7 * 86400.0  # a fit may take long: it ends by a cancel, or because the server is gone
START_S = 60.0  # a server that is started may take this long to answer

Answer = TypeVar("Answer", bound=Message)


def _never() -> bool:
    return False


@contextlib.contextmanager
def _named(id: str) -> Iterator[None]:
    """Failures are told with the id of their request."""
    try:
        yield
    except LatensifyError as error:
        error.request = id
        raise


class Session:
    """One connection to a server, for one thread at a time.

    Raises Unreachable when nobody answers, VersionMismatch when the server speaks another protocol.
    """

    def __init__(self, endpoint: str, client: str, cancelled: Callable[[], bool] = _never) -> None:
        self._endpoint = endpoint
        self._cancelled = cancelled
        self._ids = (f"{prefix}-{n}" for prefix in [secrets.token_hex(4)] for n in itertools.count(1))
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, LONGEST_PART)
        self._segments: list[SegmentFile] = []
        self._handshake: Handshake | None = None
        try:
            self._handshake = Handshake(self._socket, endpoint)
            self._socket.connect(endpoint)
            self.welcome = self._hello(client)
            self._open_segments()
        except zmq.ZMQError as error:
            self.close()
            raise Unreachable(f"'{endpoint}' is not an address of a server: {error}.") from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for segment in self._segments:
            segment.close()
        self._segments = []
        if self._handshake:
            self._handshake.close()
        self._socket.close()

    # --- what a client asks ---

    def send(self, pixels: Pixels) -> str:
        """Makes sure that the server holds a frame [height, width, 4] or matte [height, width]; its name."""
        pixels = np.ascontiguousarray(pixels)
        data = pixels.data.cast("B")
        spec = spec_of(pixels)
        name = frame_name(spec, data)
        if len(data) > self.welcome.max_frame_bytes:
            raise Busy(
                f"A frame of {len(data)} bytes is more than this server takes ({self.welcome.max_frame_bytes}); "
                "start it with a larger --max-frame-mb."
            )
        needed = self._ask(Have(id=next(self._ids), frames=[name]), Need)[0].frames
        if name in needed:
            self._put(name, spec, data)
        return name

    def edit(
        self,
        effect: str,
        params: Edit,
        frame: int,
        first: int,
        last: int,
        sources: Sequence[Source],
        size: tuple[int, int],
        *,
        depth: Depth = Depth.HALF,
        render_scale: float = 1.0,
        pixel_aspect: float = 1.0,
        interactive: bool = True,
        fresh: str = "",
        prime: bool = False,
        lone: bool = False,
        timeout_s: float = 600.0,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> tuple[Edited, Result]:
        """The edit of one frame of `size` (width, height). `sources` holds the frames of all its windows.

        Raises FrameMissing when the server has let a frame go meanwhile (send again), and any other failure as told.
        """
        whole = size[0] * size[1] * 4 * depth.dtype.itemsize
        submit = Submit(
            id=next(self._ids),
            effect=effect,
            params=msgspec.Raw(msgspec.msgpack.encode(params)),
            frame=frame,
            first=first,
            last=last,
            sources=list(sources),
            depth=depth,
            render_scale=render_scale,
            pixel_aspect=pixel_aspect,
            interactive=interactive,
            fresh=fresh,
            prime=prime,
            lone=lone,
            output=self._segments[1].named(whole) if self._room(1, whole) else None,
        )
        inline = 0 if submit.output else whole
        with _named(submit.id):
            result, parts = self._ask(submit, Result, timeout_s=timeout_s, on_progress=on_progress, inline_bytes=inline)
            return self._edited(result, parts, submit, size), result

    def fit(
        self,
        effect: str,
        params: Edit,
        sources: Sequence[Source],
        *,
        render_scale: float = 1.0,
        timeout_s: float = FIT_S,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> Fitted:
        """Fits a model to the frames of a shot; returns at once when that was done before, sent or not.

        Raises FrameMissing when the server does not hold all frames (send them), and any other failure as told.
        """
        if len(sources) > MOST_FITTED:
            raise BadInput(
                f"A model is fitted to at most {MOST_FITTED} frames, and these are {len(sources)}; name fewer."
            )
        fit = Fit(
            id=next(self._ids),
            effect=effect,
            params=msgspec.Raw(msgspec.msgpack.encode(params)),
            sources=list(sources),
            render_scale=render_scale,
        )
        with _named(fit.id):
            return self._ask(fit, Fitted, timeout_s=timeout_s, on_progress=on_progress)[0]

    def status(self) -> Report:
        return self._ask(Status(id=next(self._ids)), Report)[0]

    # --- how ---

    def _hello(self, client: str) -> Welcome:
        welcome, _ = self._ask(Hello(id=next(self._ids), protocol=PROTOCOL, client=client), Welcome)
        if welcome.protocol != PROTOCOL:
            raise version_mismatch(f"The server {welcome.server}", welcome.protocol, f"this Latensify {__version__}")
        return welcome

    def _open_segments(self) -> None:
        """Two segments, for frames there and results back, when the server proves to be on this machine."""
        offer = self.welcome.shared_memory
        folder = shared_folder()
        try:
            if offer and (folder / offer.name).read_text() == offer.token:
                self._segments = [SegmentFile(private(folder)), SegmentFile(folder)]
        except (OSError, LatensifyError):
            self._segments = []

    def _room(self, index: int, size: int) -> bool:
        """Whether shared memory can hold `size` bytes; when it is full, pixels travel inline."""
        try:
            return bool(self._segments) and self._segments[index].view(size) is not None
        except OSError:
            return False

    def _put(self, name: str, spec: FrameSpec, data: memoryview) -> None:
        if self._room(0, len(data)):
            self._segments[0].view(len(data))[:] = data
            put, parts = Put(id=next(self._ids), frame=name, spec=spec, segment=self._segments[0].named(len(data))), []
        else:
            put = Put(id=next(self._ids), frame=name, spec=spec)
            parts = [data[start : start + PART_BYTES] for start in range(0, len(data), PART_BYTES)]
        self._ask(put, Stored, parts=parts, inline_bytes=len(data) if parts else 0)

    def _edited(self, result: Result, parts: list[bytes], submit: Submit, size: tuple[int, int]) -> Edited:
        box = result.box
        if result.frame != submit.frame or result.depth != submit.depth:
            raise Misbehaved(f"The server answered with frame {result.frame} to a request for frame {submit.frame}.")
        if box.x0 + box.width > size[0] or box.y0 + box.height > size[1]:
            raise Misbehaved(f"The server answered with a box that lies outside the frame of {size[0]}x{size[1]}.")
        nbytes = box.nbytes(submit.depth)
        data = b"".join(parts)
        if result.segment is not None:
            if result.segment != submit.output:
                raise Misbehaved("The server answered in a segment that it was not given.")
            data = bytes(self._segments[1].view(submit.output.size)[:nbytes])
        try:
            return unpack(data, box, submit.depth)
        except ValueError as error:
            raise Misbehaved(f"The server's answer for frame {result.frame} cannot be: {error}.") from None

    def _ask(
        self,
        message: Message,
        answer: type[Answer],
        parts: Sequence[memoryview] = (),
        timeout_s: float = 120.0,
        on_progress: Callable[[Progress], None] = lambda _: None,
        inline_bytes: int = 0,
    ) -> tuple[Answer, list[bytes]]:
        """The answer to a message, and its parts. `inline_bytes` travel there or back in parts, which takes time."""
        self._socket.send_multipart([encode(message), *parts], copy=not parts)
        silence_s = SILENCE_S + inline_bytes / SLOWEST_BYTES_PER_S
        deadline = time.monotonic() + timeout_s
        heard = time.monotonic()
        while True:
            if self._cancelled():
                self._cancel(message.id)
                raise Cancelled("Stopped by the user.")
            if time.monotonic() > deadline:
                self._cancel(message.id)
                raise TimedOut(f"The edit took longer than {timeout_s:g} s; raise the time limit (timeout_s).")
            if self._handshake:
                self._handshake.check()
            if time.monotonic() > heard + silence_s:
                if self._handshake:
                    self._handshake.check_silence()
                raise Unreachable(
                    f"The server at {self._endpoint} does not answer; look at its log, or start one: `latensify serve`."
                )
            if not self._socket.poll(POLL_MS):
                continue
            header, *payload = self._socket.recv_multipart()
            heard = time.monotonic()
            if len(payload) > MOST_PARTS:
                raise Misbehaved(f"The server answered in {len(payload)} parts, more than protocol {PROTOCOL} allows.")
            found = decode_from_server(header)
            if found.id != message.id:  # a late answer to a request given up
                continue
            if isinstance(found, Progress):
                on_progress(found)
            elif isinstance(found, Failure):
                raise from_code(found.code, found.message)
            elif isinstance(found, answer):
                return found, payload
            else:
                raise Misbehaved(f"The server answered {type(found).__name__} to {type(message).__name__}.")

    def _cancel(self, id: str) -> None:
        self._socket.send(encode(Cancel(id=id)), zmq.NOBLOCK)


def connect(
    endpoint: str = "auto",
    client: str = f"latensify {__version__}",
    cancelled: Callable[[], bool] = _never,
    start: bool = True,
) -> Session:
    """A session with the server at `endpoint`; `auto` is this user's own, started when none runs (if `start`)."""
    if endpoint != "auto":
        return Session(endpoint, client, cancelled)
    session = _running(client, cancelled)
    if session:
        return session
    if not start:
        raise Unreachable("No server runs on this machine; start one with `latensify serve`.")
    return _started(client, cancelled)


def _running(client: str, cancelled: Callable[[], bool]) -> Session | None:
    """A session with the user's own server, if it runs. A socket that a killed server left refuses at once."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(runtime_folder() / "server.sock"))
        except OSError:
            return None
    try:
        return Session(auto_endpoint(), client, cancelled)
    except (VersionMismatch, Misbehaved):
        raise
    except Unreachable:
        return None


def recorded_command() -> list[str]:
    """The command that starts a server, recorded by `latensify plugin install`. Raises Unreachable without one."""
    try:
        command = json.loads((config_folder() / "server.json").read_text())["command"]
        return [str(word) for word in command]
    except (OSError, ValueError, KeyError, TypeError):
        raise Unreachable(
            "No server runs, and how to start one is not recorded; run `latensify plugin install` or `latensify serve`."
        ) from None


def _started(client: str, cancelled: Callable[[], bool]) -> Session:
    command = recorded_command()
    folder = private(runtime_folder())
    with open(folder / "start.lock", "w") as lock, open(folder / "server.log", "ab") as log:
        _await_lock(lock, cancelled)
        session = _running(client, cancelled)  # another client may have started it while we waited
        if session:
            return session
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )
        return _first_answer(client, cancelled, child, folder / "server.log")


def _await_lock(lock: IO[str], cancelled: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _pause(cancelled)
        if time.monotonic() > deadline:
            raise Unreachable(f"The server is still starting after {START_S:g} s; see {runtime_folder()}/server.log.")


def _pause(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise Cancelled("Stopped by the user.")
    time.sleep(POLL_MS / 1000)


def _first_answer(client: str, cancelled: Callable[[], bool], child: subprocess.Popen[bytes], log: Path) -> Session:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if child.poll() not in (None, 0):
            raise Unreachable(f"The server could not be started (exit code {child.returncode}); see {log}.")
        session = _running(client, cancelled)
        if session:
            # so that it leaves the table of processes when it ends, however long we live
            threading.Thread(target=child.wait, name="latensify-reaper", daemon=True).start()
            return session
        _pause(cancelled)
    raise Unreachable(f"The server did not answer within {START_S:g} s of its start; see {log}.")
