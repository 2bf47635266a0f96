"""Frames side by side: each is worked on by one thread, with one thread inside every operation.

A sum split over several threads has other last bits than one that is not, so torch and OpenCV get one thread each,
whatever the machine. Frames are independent; a pool of threads over them uses all cores and gives the bits of a loop.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from latensify_bridge.errors import Cancelled

Item = TypeVar("Item")
Result = TypeVar("Result")
Report = Callable[[float], None]

POLL_S = 0.1


def workers(device: torch.device) -> int:
    """How many frames are worked on at a time: one on a GPU, as many as there are cores for us on a CPU."""
    return 1 if device.type != "cpu" else len(os.sched_getaffinity(0))


def each(items: Sequence[Item], work: Callable[[Item, Report], Result], progress: Report, threads: int) -> list[Result]:
    """`work(item, report)` for every item, in their order; `report(0..1)` tells how far an item is.

    `progress(0..1)` is called from the calling thread alone. What it raises stops the work at its next report and comes
    out of here; so does the first failure of an item.
    """
    if not items:
        return []
    done = [0.0] * len(items)
    told: queue.SimpleQueue[None] = queue.SimpleQueue()
    stop = threading.Event()

    def run(index: int) -> Result:
        def report(fraction: float) -> None:
            if stop.is_set():
                raise Cancelled("Stopped.")
            done[index] = fraction
            told.put(None)

        try:
            report(0.0)
            return work(items[index], report)
        finally:
            done[index] = 1.0
            told.put(None)

    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        futures = [pool.submit(run, index) for index in range(len(items))]
        try:
            while not all(future.done() for future in futures):
                _drain(told)
                progress(sum(done) / len(items))
                for future in futures:
                    if future.done():
                        future.result()
        except BaseException:
            stop.set()
            raise
    return [future.result() for future in futures]


def _drain(told: queue.SimpleQueue[None]) -> None:
    """Waits for news, for a while at most, and takes all there is."""
    try:
        told.get(timeout=POLL_S)
        while True:
            told.get_nowait()
    except queue.Empty:
        return
