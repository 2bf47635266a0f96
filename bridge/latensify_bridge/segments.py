"""Segments: files in the shared-memory folder through which pixels pass between processes of one machine.

A client owns its segments and holds a lock on each; the kernel drops the lock when the client dies, so that
`sweep` can tell an orphan. A reader copies with pread: a segment that shrinks gives too few bytes, not a crash.
"""

from __future__ import annotations

import collections
import fcntl
import mmap
import os
import re
import secrets
import stat
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from pathlib import Path
from typing import Self

from latensify_bridge.errors import Misbehaved
from latensify_bridge.protocol import Segment

PIECE_BYTES = 2**20
SLOTS = 4  # pieces that are copied side by side

_NAME = re.compile(r"^seg-[0-9a-f-]{1,60}$")


class SegmentFile:
    """A client's own segment, grown when needed, mapped once."""

    def __init__(self, folder: Path) -> None:
        self.name = f"seg-{os.getpid():x}-{secrets.token_hex(8)}"
        self._path = folder / self.name
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._map: mmap.mmap | None = None

    def view(self, size: int) -> memoryview:
        """The first `size` bytes. Raises OSError (ENOSPC) when shared memory is full."""
        if self._map is None or len(self._map) < size:
            os.posix_fallocate(self._file, 0, size)  # ftruncate alone would fail later, as a SIGBUS
            self._map = mmap.mmap(self._file, size)
        return memoryview(self._map)[:size]

    def named(self, size: int) -> Segment:
        return Segment(name=self.name, offset=0, size=size)

    def close(self) -> None:
        self._map = None
        self._path.unlink(missing_ok=True)
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class TokenFile:
    """A server's token, by which a client knows that they share this folder; locked while the server lives."""

    def __init__(self, path: Path, token: str) -> None:
        self._path = path
        self._file = open(path, "x")  # noqa: SIM115 - held open for its lock
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._file.write(token)
        self._file.flush()

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        self._file.close()


def _open(folder: Path, segment: Segment, flags: int) -> int:
    if not _NAME.match(segment.name):
        raise Misbehaved(f"'{segment.name}' is not the name of a segment.")
    try:
        # A pipe under that name would hold up who opens it until somebody writes.
        file = os.open(folder / segment.name, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise Misbehaved(f"The segment {segment.name} cannot be opened: {error.strerror}.") from None
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode):
        os.close(file)
        raise Misbehaved(f"The segment {segment.name} is no file.")
    if found.st_size < segment.offset + segment.size:
        os.close(file)
        raise Misbehaved(f"The segment {segment.name} is smaller than the {segment.offset + segment.size} bytes named.")
    return file


def copy_out(folder: Path, segment: Segment, target: int, seen: Callable[[memoryview], None], pool: Executor) -> None:
    """Copies a client's segment to the start of the file `target`, and shows each piece, in order, to `seen`.

    What is shown is what was written, whatever the client does meanwhile. The pieces are copied side by side in `pool`,
    while they are still in the processor's caches. Raises Misbehaved on any lie about the segment, OSError when the
    target's disk is full.
    """
    file = _open(folder, segment, os.O_RDONLY)
    slots = [memoryview(bytearray(min(PIECE_BYTES, segment.size))) for _ in range(SLOTS)]
    pending: collections.deque[Future[memoryview]] = collections.deque()

    def copy(slot: memoryview, at: int) -> memoryview:
        piece = slot[: segment.size - at]
        _read(file, segment, at, piece)
        _write(target, at, piece)
        return piece

    try:
        for index, at in enumerate(range(0, segment.size, PIECE_BYTES)):
            if len(pending) == SLOTS:  # the oldest has the slot that comes next
                seen(pending.popleft().result())
            pending.append(pool.submit(copy, slots[index % SLOTS], at))
        while pending:
            seen(pending.popleft().result())
    finally:
        wait(pending)
        os.close(file)


def _read(file: int, segment: Segment, at: int, piece: memoryview) -> None:
    done = 0
    while done < len(piece):
        count = os.preadv(file, [piece[done:]], segment.offset + at + done)
        if count == 0:
            raise Misbehaved(f"The segment {segment.name} shrank while it was read.")
        done += count


def _write(file: int, at: int, piece: memoryview) -> None:
    done = 0
    while done < len(piece):
        done += os.pwrite(file, piece[done:], at + done)


def write_from(folder: Path, segment: Segment, parts: list[memoryview]) -> None:
    """Copies parts, one after another, into a client's segment. Raises Misbehaved when they do not fit."""
    if sum(len(part) for part in parts) > segment.size:
        raise Misbehaved(f"The segment {segment.name} is too small for the result.")
    file = _open(folder, segment, os.O_WRONLY)
    try:
        offset = segment.offset
        for part in parts:
            _write(file, offset, part)
            offset += len(part)
    finally:
        os.close(file)


def sweep(folder: Path, min_age_s: float = 10.0) -> int:
    """Removes segments, and tokens of servers, whose owner is gone; says how many.

    `min_age_s` spares one that was just made and is not locked yet.
    """
    swept = 0
    for path in [*folder.glob("seg-*"), *folder.glob("token-*")]:
        try:
            file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if time.time() - os.fstat(file).st_mtime >= min_age_s:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
                swept += 1
        except BlockingIOError:
            pass
        finally:
            os.close(file)
    return swept
