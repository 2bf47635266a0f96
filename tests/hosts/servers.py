"""A real server in its own process, for tests that need to kill it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from latensify_bridge.client import Session
from latensify_bridge.errors import Unreachable


@dataclass(frozen=True)
class Server:
    """A running server: its address, process and log."""

    endpoint: str
    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """As `kill -9` would."""
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def server(
    home: Path,
    engine: str = "fake",
    endpoint: str | None = None,
    env: Mapping[str, str] | None = None,
    more: Sequence[str] = (),
) -> Iterator[Server]:
    """`latensify serve` on loopback (or `endpoint`), with all that it keeps under `home`; ended at exit."""
    address = endpoint or f"tcp://127.0.0.1:{free_port()}"
    home.mkdir(parents=True, exist_ok=True)
    log = home / "server.log"
    command = [sys.executable, "-m", "latensify_server", "serve", "--engine", engine, "--endpoint", address, *more]
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, "LATENSIFY_HOME": str(home), **(env or {})}
        )
    try:
        _wait(address, process, log)
        yield Server(address, process, log)
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(endpoint: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            Session(endpoint, "probe").close()
            return
        except Unreachable:
            continue
    raise RuntimeError(f"the server did not start:\n{log.read_text()}")
