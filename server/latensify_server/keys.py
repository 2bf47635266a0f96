"""Who may come in: a server's socket under CURVE, and the ZAP handler that knows its clients (ZeroMQ RFC 26 and 27)."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import zmq

from latensify_bridge.errors import BadInput, BadRequest
from latensify_bridge.keys import Pair, keys_folder, own, trusted

log = logging.getLogger("latensify.service")

ZAP = "inproc://zeromq.zap.01"
DOMAIN = b"latensify"


def needed(endpoint: str) -> Pair:
    """The server's own key pair, for an address that other machines can reach. Raises BadRequest without keys."""
    pair = own("server")
    if pair is None or not trusted("clients"):
        missing = "`latensify keys new` and " if pair is None else ""
        raise BadRequest(
            f"'{endpoint}' can be reached from other machines, which needs keys: run {missing}"
            "`latensify keys trust NAME KEY` for each client, or listen on tcp://127.0.0.1:PORT."
        )
    return pair


class Gate:
    """Lets the clients in whose keys are trusted at this moment, and nobody else.

    It must be there before the socket that it guards is bound.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self._seen: tuple[int, int] | None = (0, 0)
        self._clients: dict[str, str] = {}
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(ZAP)

    def guard(self, router: zmq.Socket[bytes], pair: Pair) -> None:
        router.curve_server = True
        router.curve_publickey = bytes.fromhex(pair.public)
        router.curve_secretkey = bytes.fromhex(pair.secret)
        router.zap_domain = DOMAIN

    def answer(self) -> None:
        """Answers one question of ZeroMQ: may a peer with this key come in? Its key becomes its User-Id."""
        version, id, _, address, _, mechanism, *credentials = self.socket.recv_multipart()
        key = credentials[0].hex() if credentials else ""
        name = self.name(key) if mechanism == b"CURVE" else None
        if name is None:
            log.warning("a stranger at %s was turned away (key %s)", address.decode(errors="replace"), key)
            self.socket.send_multipart([version, id, b"400", b"this key is not trusted", b"", b""])
        else:
            log.info("%s came in from %s", name, address.decode(errors="replace"))
            self.socket.send_multipart([version, id, b"200", b"OK", key.encode(), b""])

    def name(self, key: str) -> str | None:
        """Under which name a client's key is trusted; None: it is not, or no longer."""
        self._read()
        return self._clients.get(key)

    def _read(self) -> None:
        """The file is read when it has changed: a revoked key is out at its next message."""
        seen = _version(keys_folder() / "clients.json")
        if seen == self._seen:
            return
        try:
            self._clients = {key: name for name, key in trusted("clients").items()}
        except BadInput as error:
            log.error("nobody is let in: %s", error)
            self._clients = {}
        self._seen = seen

    def close(self) -> None:
        self.socket.close()


def _version(path: Path) -> tuple[int, int] | None:
    """Every change makes the file anew."""
    try:
        found = os.stat(path)
        return found.st_ino, found.st_mtime_ns
    except OSError:
        return None
