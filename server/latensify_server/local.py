"""A private server for the life of one command: `with local_server() as endpoint:`."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import threading
from collections.abc import Iterator

from latensify_server.service import Service
from latensify_server.settings import Settings


@contextlib.contextmanager
def local_server(settings: Settings | None = None) -> Iterator[str]:
    """Runs a service in a thread, its worker in a process, on a socket that only this user can reach."""
    with tempfile.TemporaryDirectory(prefix="latensify-") as folder:
        given = settings or Settings(endpoint="")
        service = Service(dataclasses.replace(given, endpoint=f"ipc://{folder}/server.sock"))
        thread = threading.Thread(target=service.run, name="latensify-service", daemon=True)
        thread.start()
        try:
            yield service.endpoint
        finally:
            service.stop()
            thread.join()
