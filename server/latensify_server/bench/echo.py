"""A server that gives back the frame, for `latensify bench bridge`: the service's store and segments, without a queue,
an engine or a cache of results. Started as `python -m latensify_server.bench.echo FRAMES_BYTES`; says its addresses.

Beside it, on a plain TCP socket, stands what a bare connection could do with the same bytes.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from collections.abc import Callable, Sequence

import cv2
import msgspec
import numpy as np
import zmq

from latensify_bridge import __version__
from latensify_bridge.folders import private, shared_folder
from latensify_bridge.frames import Box, Depth, Edited, FrameSpec, Pixels, pack
from latensify_bridge.protocol import (
    PART_BYTES,
    PROTOCOL,
    FromClient,
    Have,
    Hello,
    Message,
    Need,
    Put,
    Result,
    SharedMemory,
    Stored,
    Submit,
    Welcome,
    decode_from_client,
    encode,
)
from latensify_bridge.segments import TokenFile, write_from
from latensify_server import store
from latensify_server.store import Store

HEAD = struct.Struct("<6i")
"""What stands before a frame on the plain socket: its width and height; x0, y0, width, height of the box wanted."""


def echoed(pixels: Pixels, box: Box) -> Edited:
    """The frame itself as an edit: what lies in the box, under a matte of one."""
    rows, columns = box.slices
    rgb = np.empty((box.height, box.width, 3), np.uint16)
    cv2.cvtColor(pixels[rows, columns].view(np.uint16), cv2.COLOR_RGBA2RGB, dst=rgb)
    return Edited(box, rgb.view(np.float16), np.ones((box.height, box.width), np.float16))


def middle(spec: FrameSpec, side: float) -> Box:
    """The box in the middle of a frame that takes `side` of its width and of its height."""
    width, height = int(spec.width * side), int(spec.height * side)
    return Box((spec.width - width) // 2, (spec.height - height) // 2, width, height)


class Echo:
    """Answers clients of the bridge, over TCP of this machine."""

    def __init__(self, frames_bytes: int) -> None:
        self._shared = private(shared_folder())
        self._store = Store(self._shared, self._shared, frames_bytes)
        self._proof = SharedMemory(f"token-{1:016x}", "bench")
        self._token = TokenFile(self._shared / self._proof.name, self._proof.token)
        self._router: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
        self._router.bind("tcp://127.0.0.1:*")
        self.endpoint: str = self._router.getsockopt_string(zmq.LAST_ENDPOINT)

    def run(self) -> None:
        """Until it is killed or its standard input ends."""
        while True:
            client, header, *parts = self._router.recv_multipart(copy=False)
            answer, payload = self._answer(decode_from_client(header.bytes), [part.buffer for part in parts])
            self._router.send_multipart([client.bytes, encode(answer), *payload], copy=not payload)

    def close(self) -> None:
        self._token.close()
        self._store.close()

    def _answer(self, message: FromClient, parts: Sequence[memoryview]) -> tuple[Message, list[memoryview]]:
        if isinstance(message, Hello):
            return self._welcome(message.id), []
        if isinstance(message, Have):
            return Need(id=message.id, frames=[name for name in message.frames if name not in self._store]), []
        if isinstance(message, Put):
            self._store.put(message.frame, message.spec, message.segment, parts, ())
            return Stored(id=message.id, frame=message.frame), []
        if isinstance(message, Submit):
            return self._result(message)
        raise ValueError(f"{type(message).__name__} is nothing to echo")

    def _welcome(self, id: str) -> Welcome:
        return Welcome(
            id=id,
            protocol=PROTOCOL,
            server=__version__,
            effects=["restyle"],
            models=["echo"],
            device="none",
            max_frame_bytes=2**30,
            shared_memory=self._proof,
        )

    def _result(self, submit: Submit) -> tuple[Result, list[memoryview]]:
        """The middle of the first source, as large as the prompt says."""
        name = submit.sources[0].pixels
        spec = self._store.spec(name)
        side = float(msgspec.msgpack.decode(submit.params)["prompt"])
        edited = echoed(store.read(self._store.folder, name, spec), middle(spec, side))
        parts = pack(edited)
        if submit.output is not None:
            write_from(self._shared, submit.output, parts)
            payload = []
        else:
            payload = [part[at : at + PART_BYTES] for part in parts for at in range(0, len(part), PART_BYTES)]
        result = Result(
            id=submit.id,
            frame=submit.frame,
            box=edited.box,
            depth=Depth.HALF,
            model="echo",
            model_hash="",
            key="",
            cached=False,
            segment=submit.output,
        )
        return result, payload


def receive_exactly(connection: socket.socket, view: memoryview) -> bool:
    """Fills `view`; says whether the other side was there to the end."""
    done = 0
    while done < len(view):
        count = connection.recv_into(view[done:])
        if count == 0:
            return False
        done += count
    return True


def answer_plainly(connection: socket.socket) -> None:
    """The same over a plain connection, into one buffer that is kept."""
    head = bytearray(HEAD.size)
    buffer = bytearray()
    while receive_exactly(connection, memoryview(head)):
        width, height, *box = HEAD.unpack(head)
        spec = FrameSpec(width, height, 4, Depth.HALF)
        if len(buffer) != spec.nbytes:
            buffer = bytearray(spec.nbytes)
        if not receive_exactly(connection, memoryview(buffer)):
            return
        pixels = np.frombuffer(buffer, np.float16).reshape(spec.shape)
        for part in pack(echoed(pixels, Box(*box))):
            connection.sendall(part)


def serve_in_threads(answer: Callable[[socket.socket], None]) -> int:
    """Listens on a port of this machine, each connection in a thread; the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def main(arguments: list[str]) -> None:
    cv2.setNumThreads(1)
    echo = Echo(int(arguments[0]))
    port = serve_in_threads(answer_plainly)
    print(json.dumps({"endpoint": echo.endpoint, "port": port}), flush=True)
    threading.Thread(target=echo.run, daemon=True).start()
    sys.stdin.read()  # until the bench closes it, or is gone
    echo.close()


if __name__ == "__main__":
    main(sys.argv[1:])
