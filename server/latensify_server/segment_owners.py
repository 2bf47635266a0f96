"""Whose segment is whose: a client may name those that it named first, and no other's while that one lives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from latensify_bridge.errors import Misbehaved
from latensify_bridge.protocol import Segment


class SegmentOwners:
    """`alive` says whether a client is still connected: one that came back under another identity keeps its segment."""

    def __init__(self, folder: Path, alive: Callable[[bytes], bool]) -> None:
        self._folder = folder
        self._alive = alive
        self._owners: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def check(self, client: bytes, segment: Segment | None) -> None:
        """Raises Misbehaved where the segment is another client's."""
        if segment is None or self._owners.get(segment.name) == client:
            return
        owner = self._owners.get(segment.name)
        if owner is not None and self._alive(owner):
            raise Misbehaved(f"The segment {segment.name} belongs to another client; name one of your own.")
        if (self._folder / segment.name).exists():  # what is not there is refused where it is opened
            self._owners[segment.name] = client

    def sweep(self) -> None:
        """Forgets those that are gone."""
        self._owners = {name: owner for name, owner in self._owners.items() if (self._folder / name).exists()}
