"""The results, on disk, by content: files written under a temporary name and renamed, so that a killed process leaves
no half entry. Each entry ends with a checksum all the same, for disks that lie."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import msgspec
import xxhash

from latensify_bridge.errors import OutputFailed
from latensify_bridge.folders import private
from latensify_bridge.frames import Box, Depth, Edited, pack, unpack

_MAGIC = b"LTSY1\n"
_DIGEST = 16
_HEAD = 4


class Entry(msgspec.Struct, frozen=True):
    """What stands before the pixels of an entry."""

    box: Box
    depth: Depth
    model: str
    model_hash: str
    seconds: float
    note: str = ""


class Cache:
    """At most `limit_bytes` of results in `folder`; the least recently used go first. Safe for many processes."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.folder = private(folder)
        self.limit_bytes = limit_bytes
        self._guess_bytes = limit_bytes  # what lies there, at most as far as we know: the first put looks
        for left in self.folder.glob("*.tmp"):
            with contextlib.suppress(OSError):  # renamed by its writer, or somebody else's
                if time.time() - left.stat().st_mtime > 3600:  # a writer that is alive finishes sooner
                    left.unlink()

    def __contains__(self, key: str) -> bool:
        return (self.folder / key).exists()

    def get(self, key: str) -> tuple[Entry, Edited] | None:
        """An entry, or None. One that is damaged is removed."""
        path = self.folder / key
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        try:
            return _parse(data)
        except (ValueError, msgspec.MsgspecError):
            path.unlink(missing_ok=True)
            return None

    def also(self, key: str, other: str) -> None:
        """Gives an entry a second name."""
        temporary = self.folder / f"{other}.{os.getpid()}.tmp"
        try:
            os.link(self.folder / key, temporary)
            temporary.replace(self.folder / other)
        except OSError as error:
            raise OutputFailed(f"Cannot keep a result in {self.folder}: {error.strerror}.") from None
        finally:
            temporary.unlink(missing_ok=True)  # still there when the two names were one file already

    def put(self, key: str, entry: Entry, edited: Edited) -> None:
        """Raises OutputFailed when the disk is full or the folder cannot be written."""
        head = msgspec.msgpack.encode(entry)
        parts: list[bytes | memoryview] = [_MAGIC, len(head).to_bytes(_HEAD, "little"), head, *pack(edited)]
        digest = xxhash.xxh3_128()
        temporary = private(self.folder) / f"{key}.{os.getpid()}.tmp"  # somebody may have cleaned up meanwhile
        try:
            with open(temporary, "wb") as file:
                for part in parts:
                    digest.update(part)
                    file.write(part)
                file.write(digest.digest())
            temporary.replace(self.folder / key)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise OutputFailed(
                f"Cannot keep a result in {self.folder}: {error.strerror}; free some space there or set LATENSIFY_HOME."
            ) from None
        self._guess_bytes += sum(map(len, parts))
        if self._guess_bytes > self.limit_bytes:
            self._evict(keep=key)

    def _entries(self) -> list[tuple[float, int, Path]]:
        found = []
        for path in self.folder.glob("*"):
            try:
                status = path.stat()
            except OSError:
                continue
            if not path.name.endswith(".tmp"):
                found.append((status.st_mtime, status.st_size, path))
        return sorted(found)

    def _evict(self, keep: str) -> None:
        entries = self._entries()
        total = sum(size for _, size, _ in entries)
        for _, size, path in entries:
            if total > self.limit_bytes and path.name != keep:
                with contextlib.suppress(OSError):
                    path.unlink()
                    total -= size
        self._guess_bytes = total

    def usage(self) -> tuple[int, int]:
        """How many entries, and their bytes."""
        entries = self._entries()
        return len(entries), sum(size for _, size, _ in entries)


def _parse(data: bytes) -> tuple[Entry, Edited]:
    body, digest = memoryview(data)[:-_DIGEST], data[-_DIGEST:]
    if not data.startswith(_MAGIC) or xxhash.xxh3_128(body).digest() != digest:
        raise ValueError("damaged")
    start = len(_MAGIC) + _HEAD
    end = start + int.from_bytes(body[len(_MAGIC) : start], "little")
    entry = msgspec.msgpack.decode(body[start:end], type=Entry)
    return entry, unpack(body[end:], entry.box, entry.depth)
