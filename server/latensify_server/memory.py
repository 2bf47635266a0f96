"""The memory of the machine and of this process, as Linux and macOS tell it."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from latensify_bridge.protocol import DeviceMemory

KIB = 1024


def machine_memory() -> DeviceMemory:
    """For an engine that computes on the CPU. Its peak is that of this process, the libraries among it."""
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    total_bytes = page_bytes * os.sysconf("SC_PHYS_PAGES")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_bytes = peak if sys.platform == "darwin" else peak * KIB
    return DeviceMemory(total_bytes, total_bytes - _available_bytes(total_bytes), peak_bytes)


def _available_bytes(total_bytes: int) -> int:
    """What programs can still have; where that is not told, as if nothing were in use."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return total_bytes
    found = [int(line.split()[1]) * KIB for line in lines if line.startswith("MemAvailable:")]
    return found[0] if found else total_bytes
