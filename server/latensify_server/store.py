"""The frames that clients have sent: files in shared memory, named by content, let go oldest first."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections import OrderedDict
from collections.abc import Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np

from latensify_bridge.errors import Busy, Misbehaved
from latensify_bridge.folders import private
from latensify_bridge.frames import FrameSpec, Pixels, frame_digest
from latensify_bridge.protocol import Segment
from latensify_bridge.segments import SLOTS, copy_out

SPARE = "spare.tmp"


class Store:
    """Holds frames up to `limit_bytes` under `root`, of one owner up to `owner_limit_bytes`, from segments in `shared`.

    One server owns it; its worker reads the files by name.
    """

    def __init__(self, shared: Path, root: Path, limit_bytes: int, owner_limit_bytes: int | None = None) -> None:
        self._shared = private(shared)
        _sweep(private(root))
        self.folder = private(root / f"server-{os.getpid():x}-{os.urandom(4).hex()}")
        self._lock = open(self.folder / "lock", "w")  # noqa: SIM115 - held open as long as the store lives
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.limit_bytes = limit_bytes
        self._owner_limit_bytes = limit_bytes if owner_limit_bytes is None else owner_limit_bytes
        self._owners: dict[str, bytes] = {}
        self._pool = ThreadPoolExecutor(min(SLOTS, os.cpu_count() or 1), "copy")
        self._spare: BinaryIO | None = None
        self._specs: OrderedDict[str, FrameSpec] = OrderedDict()
        self.held_bytes = 0

    def __contains__(self, name: str) -> bool:
        """Whether a frame is held: somebody may have cleaned up its file."""
        return name in self._specs and (self.folder / name).exists()

    def __len__(self) -> int:
        return len(self._specs)

    def spec(self, name: str) -> FrameSpec:
        return self._specs[name]

    def touch(self, name: str) -> None:
        """Marks a frame as used just now."""
        if name in self._specs:
            self._specs.move_to_end(name)

    def put(
        self,
        name: str,
        spec: FrameSpec,
        segment: Segment | None,
        parts: Sequence[bytes | memoryview],
        pinned: Container[str],
        owner: bytes = b"",
    ) -> None:
        """Takes a frame's bytes out of a client's segment or from message parts; its room counts against `owner`.

        Raises Misbehaved when they are not the frame that is named, Busy when there is no room beside the pinned ones.
        """
        if name in self:
            return
        if name in self._specs:
            self.held_bytes -= self._specs.pop(name).nbytes
        if (segment.size if segment else sum(map(len, parts))) != spec.nbytes:
            raise Misbehaved(f"A frame of {spec.width}x{spec.height} needs {spec.nbytes} bytes; another number came.")
        self._drop_spare()
        self._make_room_of(owner, spec.nbytes, pinned)
        self._make_room(spec.nbytes, pinned)
        path = private(self.folder) / f"{name}.tmp"
        try:
            with self._opened(path, spec.nbytes) as file:
                self._fill(file.fileno(), name, spec, segment, parts)
                path.rename(self.folder / name)
        except OSError as error:
            raise Busy(
                f"A frame cannot be held in {self.folder}: {error.strerror}; free space there or set LATENSIFY_SHM."
            ) from None
        finally:
            path.unlink(missing_ok=True)
        self._specs[name] = spec
        self._owners[name] = owner
        self.held_bytes += spec.nbytes

    def _opened(self, path: Path, size: int) -> BinaryIO:
        """A file of `size` bytes for a frame: one whose frame was just let go, with its pages, else a new one."""
        if self._spare is not None:
            (self.folder / SPARE).rename(path)
            file, self._spare = self._spare, None
            return file
        file = open(path, "xb")  # noqa: SIM115 - closed by who fills it
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except BaseException:
            file.close()
            raise
        return file

    def _fill(
        self, file: int, name: str, spec: FrameSpec, segment: Segment | None, parts: Sequence[bytes | memoryview]
    ) -> None:
        digest = frame_digest(spec)
        if segment:
            copy_out(self._shared, segment, file, digest.update, self._pool)
        else:
            at = 0
            for part in parts:
                digest.update(part)
                at += os.pwrite(file, part, at)
            if at != spec.nbytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if digest.hexdigest() != name:
            raise Misbehaved(f"The bytes that were sent are not those of frame {name}.")

    def _make_room(self, size: int, pinned: Container[str]) -> None:
        for name in [name for name in self._specs if name not in pinned]:
            if self.held_bytes + size <= self.limit_bytes:
                return
            self._let_go(name, size)
        if self.held_bytes + size > self.limit_bytes:
            raise Busy(
                f"The frames of waiting requests fill the {self.limit_bytes // 2**20} MiB that the server may hold; "
                "use a smaller window or start it with a larger --frames-mb."
            )

    def _make_room_of(self, owner: bytes, size: int, pinned: Container[str]) -> None:
        """An owner's own frames make way, so that one client cannot push out what the others have sent."""
        if self._owner_limit_bytes >= self.limit_bytes:
            return
        own = [name for name in self._specs if self._owners.get(name) == owner]
        held = sum(self._specs[name].nbytes for name in own)
        for name in own:
            if held + size <= self._owner_limit_bytes:
                return
            if name not in pinned:
                held -= self._specs[name].nbytes
                self._let_go(name, size)
        if held + size > self._owner_limit_bytes:
            raise Busy(
                f"One client may have {self._owner_limit_bytes // 2**20} MiB of frames held, and waiting requests need "
                "them; use a smaller window or start the server with a larger --client-frames-mb."
            )

    def _let_go(self, name: str, size: int) -> None:
        """Where it is as large as the frame of `size` that comes, and nobody reads it, that one gets its file."""
        held = self._specs.pop(name).nbytes
        self.held_bytes -= held
        self._owners.pop(name, None)
        path = self.folder / name
        file = _unread(path) if held == size and self._spare is None else None
        if file is None:
            path.unlink(missing_ok=True)
        else:
            path.rename(self.folder / SPARE)
            self._spare = file

    def _drop_spare(self) -> None:
        if self._spare is not None:
            self._spare.close()
            self._spare = None
            (self.folder / SPARE).unlink(missing_ok=True)

    def close(self) -> None:
        self._drop_spare()
        self._pool.shutdown()
        self._lock.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _unread(path: Path) -> BinaryIO | None:
    """A frame's file, locked, so that nobody begins to read it; None where somebody reads it."""
    try:
        file = open(path, "r+b")  # noqa: SIM115 - held open for its lock
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file
    except BlockingIOError:
        file.close()
        return None


def read(folder: Path, name: str, spec: FrameSpec) -> Pixels:
    """A frame of a store, mapped, for the worker. Its file is not written to again as long as the array lives.

    Raises FileNotFoundError when the frame was let go.
    """
    path = folder / name
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # the mapping holds the same open file, and so the lock
        except BlockingIOError:
            raise FileNotFoundError(f"{path} is being let go") from None
        if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
            raise FileNotFoundError(f"{path} was let go")
        return np.memmap(file, dtype=spec.depth.dtype, mode="r", shape=spec.shape)


def _sweep(shared: Path) -> None:
    """Removes the stores of servers that are gone: their lock is free."""
    for folder in shared.glob("server-*"):
        try:
            with open(folder / "lock", "r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            continue
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
