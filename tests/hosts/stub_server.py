"""A server for tests in a thread: keeps what it is asked, and answers well, badly or not at all."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import zmq

Header = dict[str, Any]
Answer = Callable[[Header, list[bytes]], list[Any] | None]
"""Header and parts of a request -> header (a map, or bytes as they are) and parts of its answer; None: silence."""

WELCOME = {
    "type": "welcome",
    "protocol": 1,
    "server": "9.9.9",
    "effects": ["restyle", "remove"],
    "models": ["stub"],
    "device": "stub",
    "max_frame_bytes": 2**30,
    "shared_memory": None,
}


def failed(code: str, message: str) -> Answer:
    return lambda _, __: [{"type": "failure", "code": code, "message": message}]


def result(rgb: bytes, matte: bytes, **changes: Any) -> Answer:
    """A result over the whole of the first source frame that was put."""

    def answer(submit: Header, _: list[bytes]) -> list[Any]:
        box = {"x0": 0, "y0": 0, "width": len(matte) // 2 or 1, "height": 1}
        header = {
            "type": "result", "frame": submit["frame"], "box": box, "depth": "half", "model": "stub",
            "model_hash": "", "key": "", "cached": False, "seconds": 0.0, "note": "", "segment": None, **changes,
        }  # fmt: skip
        return [header, rgb, matte]

    return answer


@dataclass
class StubServer:
    """Answers by the type of a request; `asked` holds the headers that came, in order."""

    endpoint: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[Header] = field(default_factory=list)

    def submits(self) -> list[Header]:
        return [header for header in self.asked if header["type"] == "submit"]

    def answer(self, header: Header, parts: list[bytes]) -> list[Any] | None:
        given = self.answers.get(header["type"])
        if given:
            return given(header, parts)
        usual: dict[str, list[Any]] = {
            "hello": [WELCOME],
            "have": [{"type": "need", "frames": header.get("frames", [])}],
            "put": [{"type": "stored", "frame": header.get("frame")}],
            "submit": [{"type": "failure", "code": "engine_failed", "message": "This stub edits nothing."}],
        }
        return usual.get(header["type"])


@contextlib.contextmanager
def stub_server(**answers: Answer) -> Iterator[StubServer]:
    """Ends when the block does. Keyword arguments name types of requests: hello, have, put, submit."""
    stub = StubServer(answers=answers)
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.linger = 0
    port = router.bind_to_random_port("tcp://127.0.0.1")
    stub.endpoint = f"tcp://127.0.0.1:{port}"
    ending = threading.Event()
    thread = threading.Thread(target=_serve, args=(stub, router, ending))
    thread.start()
    try:
        yield stub
    finally:
        ending.set()
        thread.join()
        router.close()
        context.term()


def _serve(stub: StubServer, router: zmq.Socket[bytes], ending: threading.Event) -> None:
    while not ending.is_set():
        if not router.poll(20):
            continue
        client, head, *parts = router.recv_multipart()
        header: Header = msgspec.msgpack.decode(head)
        stub.asked.append(header)
        answer = stub.answer(header, parts)
        if answer is not None:
            first, *rest = answer
            data = first if isinstance(first, bytes) else msgspec.msgpack.encode({"id": header["id"], **first})
            router.send_multipart([client, data, *rest])
