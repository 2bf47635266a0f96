"""A Debian unstable system in one folder: made with debootstrap, entered with chroot, nothing of it seen outside.

Every run inside has a mount namespace of its own: its mounts vanish with its last process, also after `kill -9`, and
runs in several threads or processes do not see each other's. The network, the process ids and /dev (with /dev/shm) are
the machine's, so that a server outside is reached over tcp://127.0.0.1 and through shared memory.

LATENSIFY_DEBIAN_MIRROR names another mirror than the machine's own; one of snapshot.debian.org's pins all to a day.
"""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_STAMP = "etc/latensify-root"


class RootError(Exception):
    """The system could not be made or entered: one sentence, then the last lines of what failed, if there are any."""


@dataclass(frozen=True)
class Mount:
    """A folder of the machine, seen at the absolute path `inside` by a run in the root."""

    folder: Path
    inside: str
    writable: bool = False


def enter(root: Path, mounts: Sequence[Mount], user: str, command: Sequence[str]) -> list[str]:
    """The command line, for a process with root's rights, that runs `command` in `root` as `user` ("UID:GID").

    Every step of it is an exec: the process that is started becomes the command, and killing it kills the command.
    """
    at = shlex.quote(str(root))
    script = [f"mount --rbind /{name} {at}/{name}" for name in ("proc", "dev")]
    script += [f"mount -t tmpfs tmpfs {at}/{name}" for name in ("tmp", "opt", "mnt")]
    for mount in mounts:
        target = shlex.quote(f"{root}{mount.inside}")
        options = "bind" if mount.writable else "bind,ro"
        script += [f"mkdir -p {target}", f"mount -o {options} {shlex.quote(str(mount.folder.resolve()))} {target}"]
    script += [f'exec chroot --userspec={user} {at} "$@"']
    return ["unshare", "--mount", "sh", "-ec", "\n".join(script), "sh", *command]


def as_root(command: Sequence[str], timeout_s: float) -> list[str]:
    """`command` with root's rights; through sudo it has its own time limit, for a user cannot kill what root runs."""
    if os.geteuid() == 0:
        return list(command)
    return ["sudo", "-n", "timeout", "--kill-after=2", f"{timeout_s:g}", *command]


def check_rights() -> None:
    """RootError where nothing can be entered: no root and no sudo, or a container that may not mount."""
    possible = os.geteuid() == 0 or shutil.which("sudo")
    if not possible or subprocess.run(as_root(["unshare", "--mount", "true"], 10), capture_output=True).returncode:
        raise RootError(
            "The Debian root is entered with chroot and mounts of its own, which needs root, or sudo without a "
            "password, and in a container the right to mount (docker run --privileged)."
        )


def is_made(root: Path) -> bool:
    """Whether `root` holds a whole system made by `make`."""
    return (root / _STAMP).is_file()


def make(root: Path, packages: Sequence[str], check: Callable[[Path], str]) -> None:
    """Make the system with `packages` at `root`, unless it is there. Needs root's rights and the network. RootError.

    It is made in ROOT.part and renamed when whole and when `check`, called with the folder, has returned what it found
    there: an interrupted run leaves no root, and the next starts anew. One run at a time; the others wait for it.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    with _lock(root.with_name(f"{root.name}.lock")) as lock:
        if is_made(root):
            return
        if root.exists():
            raise RootError(f"{root} exists and was not made by this command: delete it, or name another folder.")
        part = root.with_name(f"{root.name}.part")
        _fill(part, packages, _Steps(root.with_name(f"{root.name}.log"), lock))
        (part / _STAMP).write_text(f"{check(part)}\n")
        part.rename(root)


@contextmanager
def _lock(path: Path) -> Iterator[int]:
    with open(path, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Waiting for another run that holds {path}.", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


@dataclass(frozen=True)
class _Steps:
    log: Path
    lock: int

    def run(self, sentence: str, command: Sequence[str], remedy: str = "") -> None:
        """Say `sentence` and run `command`, its output in the log. It holds the lock for as long as it outlives us."""
        print(sentence, flush=True)
        with open(self.log, "w") as log:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment(), pass_fds=[self.lock]
            )
        if done.returncode:
            raise RootError(f"That failed. {remedy}The last lines of {self.log}:\n{tail(self.log.read_text())}")


def tail(text: str) -> str:
    """The last 15 lines of what a command said."""
    return "\n".join(text.strip().splitlines()[-15:])


def _fill(part: Path, packages: Sequence[str], steps: _Steps) -> None:
    if not shutil.which("debootstrap", path=SYSTEM_PATH):
        if not shutil.which("apt-get"):
            raise RootError("There is neither debootstrap nor an apt-get to install it with: install debootstrap.")
        install = "apt-get update && apt-get install -y --no-install-recommends debootstrap debian-archive-keyring"
        steps.run("Installing debootstrap with apt-get.", ["sh", "-c", install])
    if part.exists():
        steps.run(f"Removing {part}, left by an interrupted run.", ["rm", "-rf", "--one-file-system", str(part)])
    mirror = _mirror()
    steps.run(
        f"Making a Debian unstable root in {part} from {mirror}.",
        ["unshare", "--mount", "debootstrap", "--variant=minbase", "sid", str(part), mirror],
        "Is there a network, and does the mirror carry sid? LATENSIFY_DEBIAN_MIRROR names another. ",
    )
    _configure(part)
    install = f"apt-get update && apt-get install -y {shlex.join(packages)}"
    clean = "apt-get clean && rm -r /var/lib/apt/lists"
    steps.run(
        f"Installing {' '.join(packages)} there (400 MB to fetch).",
        enter(part, [], "0:0", ["env", "DEBIAN_FRONTEND=noninteractive", "sh", "-c", f"{install} && {clean}"]),
        "Unstable has days when a package cannot be installed: LATENSIFY_DEBIAN_MIRROR can name a snapshot. ",
    )


def _mirror() -> str:
    """The Debian mirror asked for, else the one that this machine's apt uses, else Debian's own."""
    named = os.environ.get("LATENSIFY_DEBIAN_MIRROR")
    if named:
        return named
    apt = Path("/etc/apt")
    lists = [path for ending in ("list", "sources") for path in sorted(apt.rglob(f"*.{ending}"))]
    for line in (line for path in lists for line in path.read_text().splitlines()):
        found = re.search(r"^(?:deb |URIs:).*?(https?://\S+/debian)/?(?:\s|$)", line)
        if found:
            return found[1]
    return "http://deb.debian.org/debian"


def _apt_network() -> dict[str, str]:
    """This machine's apt settings on the network: `Acquire::http::Proxy`, certificates and their like."""
    if not shutil.which("apt-config"):
        return {}
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    return dict(re.findall(r'^(Acquire::https?::\S+) "(.+)";$', dump, re.MULTILINE))


def _environment() -> dict[str, str]:
    """This process's variables, with apt's proxies for debootstrap, whose wget does not know them."""
    proxies = {f"{kind}_proxy": _apt_network().get(f"Acquire::{kind}::Proxy", "") for kind in ("http", "https")}
    proxies = {name: value for name, value in proxies.items() if value.startswith("http")}
    return {**proxies, **os.environ, "PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8"}


def _configure(root: Path) -> None:
    """Set apt and dpkg up in a fresh root: this machine's way to the network, and nothing that a host can spare."""
    apt = {name: value for name, value in _apt_network().items() if "Auto-Detect" not in name} | {
        "Acquire::Check-Valid-Until": "false",  # a mirror that lags, or a snapshot, is no reason to fail
        "Acquire::Retries": "3",
        "Acquire::Languages": "none",
        "APT::Install-Recommends": "false",
    }
    (root / "etc/apt/apt.conf.d/99latensify").write_text("".join(f'{name} "{value}";\n' for name, value in apt.items()))
    unwanted = "".join(f"path-exclude=/usr/share/{name}/*\n" for name in ("doc", "man", "locale"))
    (root / "etc/dpkg/dpkg.cfg.d/latensify").write_text(f"force-unsafe-io\n{unwanted}")
    services = root / "usr/sbin/policy-rc.d"  # keeps what is installed from starting services on the machine
    services.write_text("#!/bin/sh\nexit 101\n")
    services.chmod(0o755)
    certificates = Path("/etc/ssl/certs/ca-certificates.crt")
    if certificates.is_file():
        (root / "etc/ssl/certs").mkdir(parents=True, exist_ok=True)
        shutil.copy(certificates, root / "etc/ssl/certs")
