"""A client's socket under CURVE (ZeroMQ RFC 26): its keys, and what became of the handshake. cpp/src/keys.cpp too."""

from __future__ import annotations

import zmq
from zmq.utils.monitor import recv_monitor_message

from latensify_bridge.errors import Refused
from latensify_bridge.keys import address_of, on_this_machine, own, trusted

_REFUSED = int(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
_BROKEN = int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL) | int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
_DONE = int(zmq.EVENT_HANDSHAKE_SUCCEEDED)


class Handshake:
    """Gives a socket the keys for an endpoint, before it connects.

    A private socket and loopback go without, unless the key of the server at that address is trusted. Raises Refused
    where a key is needed and missing.
    """

    def __init__(self, socket: zmq.Socket[bytes], endpoint: str) -> None:
        self._endpoint = endpoint
        self._socket = socket
        self._monitor: zmq.Socket[bytes] | None = None
        self._broken = False
        server = trusted("servers").get(address_of(endpoint)) if endpoint.startswith("tcp://") else None
        if server is None and (on_this_machine(endpoint) or not endpoint.startswith("tcp://")):
            return
        pair = own("client")
        if server is None:
            raise Refused(
                f"No key is trusted for the server at {endpoint}; ask for its key and run "
                f"`latensify keys trust {address_of(endpoint)} KEY`."
            )
        if pair is None:
            raise Refused("This user has no key to show to a server; run `latensify keys new`.")
        socket.curve_serverkey = bytes.fromhex(server)
        socket.curve_publickey = bytes.fromhex(pair.public)
        socket.curve_secretkey = bytes.fromhex(pair.secret)
        self._monitor = socket.get_monitor_socket(_REFUSED | _BROKEN | _DONE)

    def check(self) -> None:
        """Raises Refused when the server has turned our key away."""
        while self._monitor and self._monitor.poll(0):
            event = int(recv_monitor_message(self._monitor)["event"])
            self._broken = bool(event & _BROKEN)
            if event & _REFUSED:
                raise Refused(
                    f"The server at {self._endpoint} does not know this user's key; there, run "
                    "`latensify keys trust NAME KEY` with the client key that `latensify keys list` shows here."
                )

    def check_silence(self) -> None:
        """Raises Refused when the server is silent because the keys do not fit."""
        self.check()
        if self._broken:
            raise Refused(
                f"Who answers at {self._endpoint} is not the server whose key is trusted, or uses no keys; "
                "compare `latensify keys list` on both sides."
            )

    def close(self) -> None:
        if self._monitor:
            self._socket.disable_monitor()
            self._monitor = None
