"""The processes of `latensify bench bridge`: bridge/cpp/bench as the host, echo.py as the server, in folders of their
own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from latensify_bridge.errors import EngineFailed, ModelMissing

REPOSITORY = Path(__file__).parents[3]
BUILT = REPOSITORY / "build/bench/bridge_bench"
ENDS_S = 20.0


def found_program(given: Path | None) -> Path:
    """The C++ program. Raises ModelMissing where it was not built."""
    program = given or BUILT
    if not os.access(program, os.X_OK):
        raise ModelMissing(f"{program} is not there: `make bench-bridge` builds it, or name it with --program.")
    return program


class Host:
    """The C++ program as a host: one bridge, one request at a time."""

    def __init__(self, program: Path, env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(env)
        )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def tell(self, request: Mapping[str, Any]) -> None:
        assert self._process.stdin
        print(json.dumps(request), file=self._process.stdin, flush=True)

    def hear(self) -> dict[str, Any]:
        """The answer. Raises EngineFailed where it is a failure."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        told: dict[str, Any] = json.loads(line) if line else {"failure": "its program ended"}
        if "failure" in told:
            raise EngineFailed(f"A round trip of the bench failed: {told['failure']}.")
        return told

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self.tell(request)
        return self.hear()

    def close(self) -> None:
        _end(self._process)


@dataclass(frozen=True)
class EchoServer:
    """The server that gives frames back: its address, and the port of the plain socket beside it."""

    process: subprocess.Popen[str]
    endpoint: str
    port: int

    @property
    def pid(self) -> int:
        return self.process.pid

    def cpu_s(self) -> float:
        """Processor seconds that it has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Setup:
    """A server, a host on its machine, and one that does not find its shared memory, as if from afar."""

    server: EchoServer
    near: Host
    far: Host
    program: Path
    env: dict[str, str]

    @staticmethod
    @contextlib.contextmanager
    def of(program: Path, frames_bytes: int) -> Iterator[Setup]:
        """With shared memory of its own. The server holds `frames_bytes` of frames."""
        shared = Path(tempfile.mkdtemp(prefix="lt-bench-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
        env = {**os.environ, "LATENSIFY_SHM": str(shared / "near")}
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, shared, ignore_errors=True)
            command = [sys.executable, "-m", "latensify_server.bench.echo", str(frames_bytes)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
            stack.callback(_end, process)
            assert process.stdout
            told = json.loads(process.stdout.readline())
            near = stack.enter_context(Host(program, env))
            far = stack.enter_context(Host(program, {**env, "LATENSIFY_SHM": str(shared / "far")}))
            yield Setup(EchoServer(process, told["endpoint"], told["port"]), near, far, program, env)

    def another(self) -> Host:
        """One more host on the server's machine."""
        return Host(self.program, self.env)

    def segments(self) -> list[str]:
        """The segments that lie in shared memory now."""
        return sorted(path.name for path in Path(self.env["LATENSIFY_SHM"]).glob("seg-*"))


def rss_mib(pid: int) -> float:
    """The memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin and process.stdout
    process.stdin.close()
    try:
        process.wait(ENDS_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
