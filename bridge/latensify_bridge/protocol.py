"""Protocol v1: the messages between a host and the server (docs/protocol.md).

A message is a ZeroMQ multipart: a msgpack map whose `type` names it, then, where pixels travel inline, their bytes in
parts of at most PART_BYTES. Every request carries an `id` that its answers repeat.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from latensify_bridge import __version__
from latensify_bridge.errors import LatensifyError, Misbehaved, VersionMismatch
from latensify_bridge.frames import Box, Depth, FrameSpec

PROTOCOL = 1
PART_BYTES = 4 * 1024 * 1024
LONGEST_PART = 4 * PART_BYTES  # a connection that brings a longer one is closed by ZeroMQ
LONGEST_HEADER = 1024 * 1024
MOST_PARTS = 16_384
LONGEST_PART = 4 * PART_BYTES  # a connection that brings a longer one is closed by ZeroMQ
LONGEST_HEADER = 1024 * 1024
MOST_PARTS = 16_384
HEARTBEAT_S = 1.0  # the server says at least this often what a waiting request waits for
MOST_FITTED = 1024  # frames of one fit
SILENCE_S = 4.0  # a server that is silent for longer is taken for dead
SLOWEST_BYTES_PER_S = 4 * 1024 * 1024  # pixels that travel inline may take this much longer
SLOWEST_BYTES_PER_S = 4 * 1024 * 1024  # pixels that travel inline may take this much longer

RequestId = Annotated[str, Meta(min_length=1, max_length=64)]
FrameName = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
SegmentName = Annotated[str, Meta(pattern="^seg-[0-9a-f-]{1,60}$")]
FrameNumber = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]


class Segment(msgspec.Struct, frozen=True):
    """A part of a client's own segment file in the shared-memory folder, in bytes."""

    name: SegmentName
    offset: Annotated[int, Meta(ge=0, le=2**48)]
    size: Annotated[int, Meta(ge=0, le=2**48)]


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    id: RequestId


class Hello(Message, frozen=True, kw_only=True):
    """client -> server, first on a connection."""

    protocol: int
    client: Annotated[str, Meta(max_length=200)]
    host: Annotated[str, Meta(max_length=200)] = ""


class SharedMemory(msgspec.Struct, frozen=True):
    """A client that finds `token` in the file `name` of its own shared-memory folder is on the server's machine."""

    name: Annotated[str, Meta(pattern="^token-[0-9a-f]{1,60}$")]
    token: Annotated[str, Meta(max_length=100)]


class Welcome(Message, frozen=True, kw_only=True):
    """server -> client, the answer to Hello: versions and capabilities."""

    protocol: int
    server: str
    effects: list[str]
    models: list[str]
    device: str
    max_frame_bytes: int
    shared_memory: SharedMemory | None = None


class Have(Message, frozen=True, kw_only=True):
    """client -> server: these frames are about to be named in a request."""

    frames: Annotated[list[FrameName], Meta(max_length=1024)]


class Need(Message, frozen=True, kw_only=True):
    """server -> client, the answer to Have: those of them that the server does not hold."""

    frames: list[FrameName]


class Put(Message, frozen=True, kw_only=True):
    """client -> server: a frame's pixels, in a segment or in the parts that follow."""

    frame: FrameName
    spec: FrameSpec
    segment: Segment | None = None


class Stored(Message, frozen=True, kw_only=True):
    """server -> client, the answer to Put: the bytes have been taken; the segment may be reused."""

    frame: FrameName


class Source(msgspec.Struct, frozen=True):
    """One source frame of a window: its number, the name of its pixels and of its matte."""

    number: FrameNumber
    pixels: FrameName
    mask: FrameName | None = None


class Submit(Message, frozen=True, kw_only=True):
    """client -> server: edit frame `frame` of the shot `first`-`last`. `sources` holds every frame of its windows.

    `params` is the effect's declaration as a map; `render_scale` scales sizes given in full-resolution pixels. A
    `fresh` that is not empty names a run which must not see results of earlier runs: each is computed once for it.
    With `prime` the result also serves hosts that can give only this one frame, not its neighbours; such a host says
    `lone`.
    """

    effect: Annotated[str, Meta(max_length=64)]
    params: msgspec.Raw
    frame: FrameNumber
    first: FrameNumber
    last: FrameNumber
    sources: Annotated[list[Source], Meta(max_length=1024)]
    depth: Depth = Depth.HALF
    render_scale: Annotated[float, Meta(gt=0, le=16)] = 1.0
    pixel_aspect: Annotated[float, Meta(gt=0.01, le=100)] = 1.0
    interactive: bool = True
    fresh: Annotated[str, Meta(max_length=64)] = ""
    prime: bool = False
    lone: bool = False
    output: Segment | None = None


class Fit(Message, frozen=True, kw_only=True):
    """client -> server: fit a model to the frames of a shot, for edits that ask for it. `params` as in Submit.

    Never overtakes a frame, and makes way for interactive ones. What is fitted when it is cancelled is kept: asked for
    again, the same goes on.
    """

    effect: Annotated[str, Meta(max_length=64)]
    params: msgspec.Raw
    sources: Annotated[list[Source], Meta(min_length=1, max_length=MOST_FITTED)]
    render_scale: Annotated[float, Meta(gt=0, le=16)] = 1.0


class Progress(Message, frozen=True, kw_only=True):
    """server -> client, at least every HEARTBEAT_S while a request waits or runs. `fraction` of it is done."""

    fraction: float
    stage: str
    ahead: int = 0


class Result(Message, frozen=True, kw_only=True):
    """server -> client: the edited box of a frame, and its matte.

    Its bytes (the named part of the output segment, else the parts that follow): height x width x 3 RGB, straight, in
    the plate's colour space; then height x width matte, 0..1. `seconds` is what the edit cost, 0 when it was cached.
    """

    frame: FrameNumber
    box: Box
    depth: Depth
    model: str
    model_hash: str
    key: str
    cached: bool
    seconds: float = 0.0
    note: str = ""
    segment: Segment | None = None


class Fitted(Message, frozen=True, kw_only=True):
    """server -> client: the model is fitted, under the name `fit`. `seconds` it took; 0 if it was there before."""

    fit: str
    cached: bool
    seconds: float = 0.0


class Failure(Message, frozen=True, kw_only=True):
    """server -> client: a request failed; `code` is one of latensify_bridge.errors."""

    code: str
    message: str
    frames: list[FrameName] = []


class Cancel(Message, frozen=True, kw_only=True):
    """client -> server: forget the Submit or Fit `id`. Answered by Failure `cancelled`, if it was still open."""


class Status(Message, frozen=True, kw_only=True):
    """client -> server: how are you?"""


class Waiting(msgspec.Struct, frozen=True):
    """A request in the queue, or running: who waits for what, and behind how many others."""

    id: str
    effect: str
    frame: int
    interactive: bool
    running: bool
    fraction: float
    client: str = ""
    host: str = ""
    stage: str = ""
    ahead: int = 0
    waited_s: float = 0.0


class DeviceMemory(msgspec.Struct, frozen=True):
    """The device's memory when the engine last looked: all of it, what all programs use, and the engine's own peak."""

    total_bytes: int
    used_bytes: int
    peak_bytes: int


class Trouble(msgspec.Struct, frozen=True):
    """A request that failed: when (seconds since 1970), its id, its failure's code and sentence, and whose it was."""

    at_s: float
    id: str
    code: str
    message: str
    effect: str = ""
    client: str = ""


class Report(Message, frozen=True, kw_only=True):
    """server -> client, the answer to Status. What has a default was added later: an older server leaves it out."""

    server: str
    protocol: int
    uptime_s: float
    device: str
    models: list[str]
    queue: list[Waiting]
    held_frames: int
    held_bytes: int
    cache_entries: int
    cache_bytes: int
    cache_limit_bytes: int
    finished: int
    failed: int
    last_errors: list[str]
    memory: DeviceMemory | None = None
    cache_hits: int = 0
    cache_misses: int = 0
    held_limit_bytes: int = 0
    fits: int = 0
    fits_bytes: int = 0
    frames_per_s: float = 0.0
    troubles: list[Trouble] = []


FromClient = Hello | Have | Put | Submit | Fit | Cancel | Status
FromServer = Welcome | Need | Stored | Progress | Result | Fitted | Failure | Report

T = TypeVar("T")

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises on bytes from outside."""

_encoder = msgspec.msgpack.Encoder()
_from_client: msgspec.msgpack.Decoder[FromClient] = msgspec.msgpack.Decoder(FromClient)
_from_server: msgspec.msgpack.Decoder[FromServer] = msgspec.msgpack.Decoder(FromServer)


def encode(message: Message) -> bytes:
    return _encoder.encode(message)


def decode_from_client(header: bytes) -> FromClient:
    """Raises Misbehaved on anything that is not a message of a client."""
    return _decode(_from_client, header)


def decode_from_server(header: bytes) -> FromServer:
    """Raises VersionMismatch on the Welcome of another protocol, Misbehaved on what is no message of a server."""
    try:
        return _decode(_from_server, header)
    except Misbehaved:
        _check_version(header)
        raise


class _Foreign(msgspec.Struct):
    """As much of a Welcome as every version of the protocol will have."""

    type: str
    protocol: int
    server: str


def _check_version(header: bytes) -> None:
    try:
        welcome = msgspec.msgpack.decode(header, type=_Foreign)
    except UNREADABLE:
        return
    if welcome.type == "welcome" and welcome.protocol != PROTOCOL:
        raise version_mismatch(f"The server {welcome.server}", welcome.protocol, f"this Latensify {__version__}")


def version_mismatch(other: str, protocol: int, ours: str) -> VersionMismatch:
    """Names both versions and the remedy."""
    return VersionMismatch(
        f"{other} speaks protocol {protocol} and {ours} speaks {PROTOCOL}; install the same Latensify on both sides."
    )


def _decode(decoder: msgspec.msgpack.Decoder[T], header: bytes) -> T:
    if len(header) > LONGEST_HEADER:
        raise Misbehaved(f"A message's header has {len(header)} bytes; protocol {PROTOCOL} allows {LONGEST_HEADER}.")
    try:
        return decoder.decode(header)
    except UNREADABLE as error:
        raise Misbehaved(f"A message does not follow protocol {PROTOCOL}: {error}.") from None


def failure(id: str, error: LatensifyError) -> Failure:
    return Failure(id=id, code=error.code, message=str(error))
