"""What all parts of the host share: handles, the actions now running on each thread, and the records kept."""

from __future__ import annotations

import ctypes
import itertools
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from .api import STATUS_NAMES, K
from .variants import HostVariant

T = TypeVar("T")


class OfxError(Exception):
    """A callback's refusal: travels to the plugin as the status."""

    def __init__(self, status: int) -> None:
        super().__init__(STATUS_NAMES.get(status, str(status)))
        self.status = status


class ActionFailed(Exception):
    """The plugin answered an action, which the host needs to succeed, with a failure."""

    def __init__(self, action: str, status: int) -> None:
        super().__init__(f"{action} answered {STATUS_NAMES.get(status, status)}")
        self.action, self.status = action, status


@dataclass(frozen=True)
class Violation:
    """A rule of the standard that the plugin broke, the facts, and the action it was in."""

    rule: str
    detail: str
    action: str


@dataclass(frozen=True)
class Message:
    """`kind` is message, persistent or clear; `text` is the formatted text, `format` what the plugin passed."""

    kind: str
    type: str
    id: str
    text: str
    format: str
    action: str


@dataclass
class Call:
    """One action sent to the plugin. While it runs it also owns what must be gone when it ends."""

    action: str
    target: Any
    render: Any = None
    status: int | None = None
    started: float = 0.0
    ended: float = 0.0
    thread: int = 0
    images: dict[int, Any] = field(default_factory=dict)
    released: list[Any] = field(default_factory=list)
    strings: list[Any] = field(default_factory=list)
    progress_open: bool = False
    messages: list[Message] = field(default_factory=list)
    progress: list[tuple[str, Any]] = field(default_factory=list)


class Runtime:
    """The host's books. Safe to use from any thread: every operation is one dictionary or list operation."""

    def __init__(self, variant: HostVariant) -> None:
        self.variant = variant
        self.violations: list[Violation] = []
        self.messages: list[Message] = []
        self.progress: list[tuple[str, Any]] = []
        self.calls: list[Call] = []
        self.suites_asked: list[tuple[str, int]] = []
        self.unknown_reads: set[tuple[str, str]] = set()
        self.running: list[Call] = []
        self.images: dict[int, Any] = {}  # fetched and not yet released, by handle
        self._numbers = itertools.count(0x1000, 16)
        self._objects: dict[int, Any] = {}
        self._thread = threading.local()
        self._strings: dict[bytes, Any] = {}

    # -- handles

    def register(self, thing: Any) -> int:
        handle = next(self._numbers)
        self._objects[handle] = thing
        return handle

    def forget(self, handle: int) -> None:
        self._objects.pop(handle, None)

    def lookup(self, handle: int | None, kind: type[T], where: str, *others: type[Any]) -> T:
        """The live object of one of these classes behind a handle; anything else is refused."""
        thing: Any = self._objects.get(handle or 0)
        if not isinstance(thing, (kind, *others)):
            self.violate("bad-handle", f"{where}: {handle} is no live handle of that kind", K.kOfxStatErrBadHandle)
        return thing  # type: ignore[no-any-return]

    # -- actions

    @property
    def stack(self) -> list[Call]:
        if not hasattr(self._thread, "stack"):
            self._thread.stack = []
        return self._thread.stack  # type: ignore[no-any-return]

    def current(self, target: Any = None) -> Call | None:
        """This thread's innermost action; on a thread of the plugin's own, the newest one on `target`."""
        if self.stack:
            return self.stack[-1]
        return next((call for call in reversed(self.running) if target is None or call.target is target), None)

    def action_name(self) -> str:
        call = self.current()
        return call.action if call else "no action"

    def begin(self, action: str, target: Any, render: Any) -> Call:
        call = Call(action, target, render, started=time.monotonic(), thread=threading.get_ident())
        self.stack.append(call)
        self.running.append(call)
        self.calls.append(call)
        return call

    def end(self, call: Call, status: int) -> None:
        call.ended, call.status = time.monotonic(), status
        self.stack.pop()
        self.running.remove(call)
        for buffer in call.strings:  # the value lived as long as the action: a plugin must have copied it
            ctypes.memset(buffer, ord("?"), len(buffer) - 1)

    # -- records

    def note(self, rule: str, detail: str, action: str) -> None:
        self.violations.append(Violation(rule, detail, action))

    def violate(self, rule: str, detail: str, status: int | None = None) -> None:
        """Note a violation; with a status, also refuse the call."""
        self.note(rule, detail, self.action_name())
        if status is not None:
            raise OfxError(status)

    def refuse(self, status: int) -> NoReturn:
        """Answer a callback with a failure that is no fault of the plugin's."""
        raise OfxError(status)

    def string(self, text: str) -> int:
        """Address of a C string that lives as long as the host."""
        data = text.encode()
        buffer = self._strings.setdefault(data, ctypes.create_string_buffer(data))
        return ctypes.addressof(buffer)

    def passing_string(self, text: str) -> int:
        """Address of a C string that is overwritten when the action ends."""
        buffer = ctypes.create_string_buffer(text.encode())
        call = self.current()
        if call is None:
            return self.string(text)
        call.strings.append(buffer)
        return ctypes.addressof(buffer)

    def guarded(self, function: Callable[..., int | None]) -> Callable[..., int]:
        """A callback that answers with a status instead of raising into C."""

        def callback(*arguments: Any) -> int:
            try:
                return function(*arguments) or 0
            except OfxError as error:
                return error.status
            except Exception:
                self.violate("host-error", traceback.format_exc())
                return int(K.kOfxStatFailed)

        return callback


def write(address: int | None, kind: Any, value: Any, runtime: Runtime, where: str) -> None:
    """Store a C value where the plugin asked for it."""
    if not address:
        runtime.violate("null-argument", f"{where}: NULL where the answer should go", K.kOfxStatErrValue)
        return
    kind.from_address(address).value = value
