"""Run a piece of a test in a process of its own: a plugin that crashes, or hangs, then fails one test only."""

from __future__ import annotations

import faulthandler
import os
import pickle
import select
import signal
import tempfile
import time
import traceback
from collections.abc import Callable
from typing import Any


class Crashed(Exception):
    """The process died by a signal, or did not end in time."""


def in_child(function: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    """What `function` returns, computed in a forked process. Its exception arrives as AssertionError with the trace."""
    reader, writer = os.pipe()
    trace = tempfile.TemporaryFile("w+")  # noqa: SIM115 (shared with the child)
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        faulthandler.enable(trace)
        _answer(function, writer)
    os.close(writer)
    data, timed_out = _read(reader, timeout_s)
    if timed_out:
        os.kill(pid, signal.SIGKILL)
    _, code = os.waitpid(pid, 0)
    if timed_out:
        raise Crashed(f"no end after {timeout_s} s")
    if os.WIFSIGNALED(code):
        trace.seek(0)
        raise Crashed(f"died of {signal.Signals(os.WTERMSIG(code)).name}\n{trace.read()}")
    kind, value = pickle.loads(data)
    if kind == "error":
        raise AssertionError(value)
    return value


def _answer(function: Callable[[], Any], writer: int) -> None:
    """In the child: run, send the outcome, and leave without the parent's exit handlers."""
    try:
        outcome = pickle.dumps(("value", function()))
    except BaseException:
        outcome = pickle.dumps(("error", traceback.format_exc()))
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(outcome)
    os._exit(0)


def _read(reader: int, timeout_s: float) -> tuple[bytes, bool]:
    data, deadline = b"", time.monotonic() + timeout_s
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        while True:
            ready, _, _ = select.select([pipe], [], [], max(deadline - time.monotonic(), 0))
            if not ready:
                return data, True
            part = pipe.read(1 << 16)
            if not part:
                return data, False
            data += part
