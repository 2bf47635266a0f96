"""CURVE keys in files: this user's own pairs, and whom they trust. cpp/src/keys.cpp reads the same files.

In config/keys/, which only this user may enter: client.json and server.json hold {"public", "secret"}; clients.json
holds {name: public}, servers.json {"host:port": public}. A key is 64 hexadecimal digits.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import json
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import zmq
from zmq.utils import z85

from latensify_bridge.errors import BadInput, BadRequest, OutputFailed
from latensify_bridge.folders import config_folder, private

Role = Literal["client", "server"]
Trusted = Literal["clients", "servers"]

ROLES: tuple[Role, ...] = ("client", "server")
_KEY = re.compile(r"^[0-9a-f]{64}$")
_CLIENT_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")


@dataclass(frozen=True)
class Pair:
    """A CURVE key pair (Curve25519, ZeroMQ RFC 26)."""

    public: str
    secret: str = field(repr=False)


def keys_folder() -> Path:
    return config_folder() / "keys"


def checked_key(text: str) -> str:
    """A public key as it is written here. Raises BadRequest."""
    key = text.strip().lower()
    if not _KEY.match(key):
        raise BadRequest(f"'{text}' is no key: a key is 64 hexadecimal digits, as `latensify keys list` shows.")
    return key


def own(role: Role) -> Pair | None:
    """This user's own pair, None where there is none. Raises BadInput where the file is damaged or open to others."""
    path = keys_folder() / f"{role}.json"
    values = _read(path)
    if not values:
        return None
    if path.stat().st_mode & 0o077:
        raise BadInput(f"{path} can be read by others; run `chmod 600 {path}`, or make a new key.")
    public, secret = values.get("public", ""), values.get("secret", "")
    if not _KEY.match(public) or not _KEY.match(secret):
        raise BadInput(f"{path} holds no key pair; remove it and run `latensify keys new`.")
    return Pair(public, secret)


def make(role: Role, replace: bool = False) -> Pair:
    """This user's own pair, made where there is none or where it shall be replaced."""
    with _changing():
        found = None if replace else own(role)
        if found:
            return found
        public, secret = (z85.decode(text).hex() for text in zmq.curve_keypair())
        _write(keys_folder() / f"{role}.json", {"public": public, "secret": secret})
        return Pair(public, secret)


def trusted(kind: Trusted) -> dict[str, str]:
    """Public keys by the name of a client, or by the host:port of a server. Raises BadInput on a damaged file."""
    path = keys_folder() / f"{kind}.json"
    values = _read(path)
    if not all(_KEY.match(key) for key in values.values()):
        raise BadInput(f"{path} holds something that is no key; remove it and trust those keys again.")
    return values


def kind_of(name: str) -> Trusted:
    """A name with a port is a server's address. Raises BadRequest on what can be neither."""
    if ":" in name:
        return "servers"
    if not _CLIENT_NAME.match(name):
        raise BadRequest(f"'{name}' cannot name a client (letters, digits, ._@-), nor a server (host:port).")
    return "clients"


def trust(name: str, key: str) -> None:
    """Trusts a client under a name, or the server at host:port. Raises BadRequest."""
    kind = kind_of(name)
    name = address_of(name) if kind == "servers" else name
    with _changing():
        _write(keys_folder() / f"{kind}.json", {**trusted(kind), name: checked_key(key)})


def revoke(name: str) -> None:
    """Trusts it no longer. Raises BadRequest where it was not trusted."""
    kind = kind_of(name)
    name = address_of(name) if kind == "servers" else name
    with _changing():
        left = trusted(kind)
        if left.pop(name, None) is None:
            raise BadRequest(f"'{name}' is not trusted; `latensify keys list` shows who is.")
        _write(keys_folder() / f"{kind}.json", left)


def address_of(endpoint: str) -> str:
    """`host:port` of an address, by which its server's key is found. Raises BadRequest."""
    parts = urlsplit(endpoint if "://" in endpoint else f"tcp://{endpoint}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme != "tcp" or not host or not port:
        raise BadRequest(f"'{endpoint}' is no address of a server; it looks like host:port.")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def on_this_machine(endpoint: str) -> bool:
    """Whether only programs of this machine can reach an address: a socket in a folder, or loopback."""
    parts = urlsplit(endpoint)
    if parts.scheme in ("ipc", "inproc"):
        return True
    try:
        host = parts.hostname or ""
        return parts.scheme == "tcp" and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


def _read(path: Path) -> dict[str, str]:
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise BadInput(f"{path} is damaged; remove it and make or trust those keys again.")
    return values


def _write(path: Path, values: dict[str, str]) -> None:
    """Whole or not at all, and never open to others."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(json.dumps(values, indent=2, sort_keys=True) + "\n")
        fresh.rename(path)
    except OSError as error:
        raise OutputFailed(f"Cannot write {path}: {error.strerror}.") from None
    finally:
        fresh.unlink(missing_ok=True)


@contextlib.contextmanager
def _changing() -> Iterator[None]:
    """One command at a time changes the files."""
    with open(private(keys_folder()) / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
