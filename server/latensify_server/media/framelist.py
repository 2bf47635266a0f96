"""Frame lists, as farms write them: `1001-1040`, `1-100x5`, `1-10:4`, `24-1`, `-5--1`, and commas between."""

from __future__ import annotations

import re
from collections.abc import Sequence

from latensify_bridge.errors import BadRequest

LIMIT = 1_000_000
_PART = re.compile(r"(-?[0-9]{1,9})(?:-(-?[0-9]{1,9})(?:[x:](-?[0-9]{1,9}))?)?")


def parse(text: str) -> list[int]:
    """The frames of a list, in its order, each once. Raises BadRequest, naming the part that cannot be read."""
    frames: dict[int, None] = {}
    for part in text.split(","):
        frames.update(dict.fromkeys(_range(part.strip())))
        if len(frames) > LIMIT:
            raise BadRequest(f"The frame list '{text}' has more than {LIMIT} frames; render it in parts.")
    return list(frames)


def _range(part: str) -> range:
    found = _PART.fullmatch(part)
    if not found:
        raise BadRequest(f"'{part}' is not a list of frames; write 1001-1040, 1-100x5, 24-1 or 1,5,9.")
    first = int(found[1])
    last = int(found[2]) if found[2] else first
    direction = 1 if last >= first else -1
    step = int(found[3]) if found[3] else direction
    step = step if first <= last or step < 0 else -step  # 24-1x2 counts down like 24-1x-2
    if step * direction <= 0:
        raise BadRequest(f"'{part}' never gets from {first} to {last} in steps of {step}.")
    if abs(last - first) // abs(step) >= LIMIT:
        raise BadRequest(f"'{part}' has more than {LIMIT} frames; render it in parts.")
    return range(first, last + direction, step)


def write(frames: Sequence[int]) -> str:
    """The shortest plain list of `frames` in their order: runs of neighbours as ranges."""
    runs: list[list[int]] = []
    for frame in frames:
        if runs and abs(frame - runs[-1][-1]) == 1 and _goes_on(runs[-1], frame):
            runs[-1].append(frame)
        else:
            runs.append([frame])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _goes_on(run: list[int], frame: int) -> bool:
    return len(run) == 1 or frame - run[-1] == run[-1] - run[-2]
