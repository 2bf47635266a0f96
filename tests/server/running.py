"""A service in a thread of the test."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from latensify_server.service import Service


@contextlib.contextmanager
def running(service: Service) -> Iterator[Service]:
    thread = threading.Thread(target=service.run, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.stop()
        thread.join()
