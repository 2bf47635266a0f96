"""A connection for one command."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from latensify_bridge import __version__
from latensify_bridge.client import Session, connect


@contextlib.contextmanager
def session_with(server: str | None, engine: str, cancelled: Callable[[], bool]) -> Iterator[Session]:
    """A session with the server asked for, else with a private one."""
    client = f"latensify render {__version__}"
    with contextlib.ExitStack() as stack:
        endpoint = server
        if endpoint is None:
            from latensify_server.local import local_server
            from latensify_server.settings import Settings

            endpoint = stack.enter_context(local_server(Settings(endpoint="", engine=engine)))
        yield stack.enter_context(connect(endpoint, client, cancelled))
