"""The small suites: memory, threads, messages, progress and timeline."""

from __future__ import annotations

import ctypes
import re
import threading
from ctypes import c_double, c_uint, c_void_p
from typing import Any

from .api import K, ThreadFunction
from .descriptor import Descriptor
from .instance import Instance
from .runtime import Message, Runtime, write


class MemorySuite:
    """OfxMemorySuiteV1: memory that the host counts."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.blocks: dict[int, Any] = {}

    def memoryAlloc(self, handle: int, size: int, answer: int) -> None:
        block = ctypes.create_string_buffer(max(size, 1))
        self.blocks[ctypes.addressof(block)] = block
        write(answer, c_void_p, ctypes.addressof(block), self.runtime, "memoryAlloc")

    def memoryFree(self, address: int) -> None:
        if self.blocks.pop(address, None) is None:
            self.runtime.violate("bad-handle", f"memoryFree of {address}", K.kOfxStatErrBadHandle)


class _Mutex:
    def __init__(self) -> None:
        self.lock = threading.RLock()


class MultiThreadSuite:
    """OfxMultiThreadSuiteV1 on Python threads, or on the calling thread alone where the variant says so."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.spawned = threading.local()
        self.cpus = 1 if runtime.variant.dummy_threads else 2

    def multiThread(self, function: int, count: int, argument: int) -> int:
        if getattr(self.spawned, "index", None) is not None:
            return int(K.kOfxStatErrExists)
        entry, count = ThreadFunction(function), min(count or self.cpus, 16)
        if self.runtime.variant.dummy_threads:
            entry(0, 1, argument)
            return int(K.kOfxStatOK)
        workers = [threading.Thread(target=self._work, args=(entry, nth, count, argument)) for nth in range(count)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return int(K.kOfxStatOK)

    def _work(self, entry: Any, nth: int, count: int, argument: int) -> None:
        self.spawned.index = nth
        entry(nth, count, argument)

    def multiThreadNumCPUs(self, answer: int) -> None:
        write(answer, c_uint, self.cpus, self.runtime, "multiThreadNumCPUs")

    def multiThreadIndex(self, answer: int) -> None:
        write(answer, c_uint, getattr(self.spawned, "index", 0), self.runtime, "multiThreadIndex")

    def multiThreadIsSpawnedThread(self) -> int:
        return int(getattr(self.spawned, "index", None) is not None)

    def mutexCreate(self, answer: int, count: int) -> None:
        mutex = _Mutex()
        for _ in range(count):
            mutex.lock.acquire()
        write(answer, c_void_p, self.runtime.register(mutex), self.runtime, "mutexCreate")

    def mutexDestroy(self, handle: int) -> None:
        self.runtime.lookup(handle, _Mutex, "mutex")
        self.runtime.forget(handle)

    def mutexLock(self, handle: int) -> None:
        self.runtime.lookup(handle, _Mutex, "mutex").lock.acquire()

    def mutexUnLock(self, handle: int) -> None:
        self.runtime.lookup(handle, _Mutex, "mutex").lock.release()

    def mutexTryLock(self, handle: int) -> int:
        taken = self.runtime.lookup(handle, _Mutex, "mutex").lock.acquire(blocking=False)
        return int(K.kOfxStatOK if taken else K.kOfxStatFailed)


class MessageSuite:
    """OfxMessageSuiteV1 and V2: what the plugin says goes to `runtime.messages`; questions are answered yes."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def message(self, handle: int, type_: bytes, id_: bytes, form: bytes, *arguments: Any) -> int:
        self._note("message", handle, type_, id_, form, arguments)
        return int(K.kOfxStatReplyYes if type_ == K.kOfxMessageQuestion.encode() else K.kOfxStatOK)

    def setPersistentMessage(self, handle: int, type_: bytes, id_: bytes, form: bytes, *arguments: Any) -> None:
        self._note("persistent", handle, type_, id_, form, arguments)

    def clearPersistentMessage(self, handle: int) -> None:
        self._note("clear", handle, None, None, b"", ())

    def _note(
        self, kind: str, handle: int, type_: bytes | None, id_: bytes | None, form: bytes | None, arguments: Any
    ) -> None:
        target = self.runtime.lookup(handle, Instance, "message", Descriptor) if handle else None
        if form is None or (kind != "clear" and type_ is None):
            self.runtime.violate("null-argument", f"{kind} message without type or text", K.kOfxStatErrValue)
        raw = (form or b"").decode(errors="replace")
        text = formatted(raw, arguments, self.runtime.variant.message_varargs)
        words = [(word or b"").decode() for word in (type_, id_)]
        message = Message(kind, words[0], words[1], text, raw, self.runtime.action_name())
        self.runtime.messages.append(message)
        call = self.runtime.current(target)
        if call is not None:
            call.messages.append(message)


def formatted(form: str, arguments: tuple[Any, ...], varargs: bool) -> str:
    """printf for what plugins pass: %s, %d, %i, %u, %f, %g, %%. Without `varargs` every argument is garbage."""
    integers, doubles = iter(arguments[:6]), iter(arguments[6:])

    def convert(match: re.Match[str]) -> str:
        flags, letter = match.groups()
        if letter == "%":
            return "%"
        if not varargs:
            return "\N{REPLACEMENT CHARACTER}"
        if letter in "fge":
            return str(f"%{flags}{letter}" % next(doubles))
        value = next(integers)
        if letter == "s":
            return (ctypes.c_char_p(value).value or b"(null)").decode(errors="replace")
        return str(ctypes.c_int(value & 0xFFFFFFFF).value)

    return re.sub(r"%([-+ 0-9.]*)l?([sdiufge%])", convert, form)


class ProgressSuite:
    """OfxProgressSuiteV1 and V2: `runtime.progress` gets ("start", label), ("update", fraction), ("end", None)."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def progressStart(self, handle: int, label: bytes, id_: bytes | None = None) -> None:
        self._open(handle, True, ("start", (label or b"").decode()))

    def progressUpdate(self, handle: int, fraction: float) -> int:
        call = self._call(handle)
        if call is None or not call.progress_open:
            self.runtime.violate("progress-unbalanced", "progressUpdate without progressStart")
        if not 0 <= fraction <= 1:
            self.runtime.violate("progress-range", f"{fraction}")
        self._note(call, ("update", fraction))
        cancelled = call is not None and call.render is not None and call.render.abort.progress_refused()
        return int(K.kOfxStatReplyNo if cancelled else K.kOfxStatOK)

    def progressEnd(self, handle: int) -> None:
        self._open(handle, False, ("end", None))

    def _call(self, handle: int) -> Any:
        effect = self.runtime.lookup(handle, Instance, "progress")
        return self.runtime.current(effect)

    def _open(self, handle: int, opening: bool, event: tuple[str, Any]) -> None:
        call = self._call(handle)
        if call is None or call.progress_open is opening:
            self.runtime.violate("progress-unbalanced", "progressStart" if opening else "progressEnd")
        self._note(call, event)
        if call is not None:
            call.progress_open = opening

    def _note(self, call: Any, event: tuple[str, Any]) -> None:
        self.runtime.progress.append(event)
        if call is not None:
            call.progress.append(event)


class TimeLineSuite:
    """OfxTimeLineSuiteV1: the time is that of the instance; a plugin that moves it is heard."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def _instance(self, handle: int) -> Instance:
        return self.runtime.lookup(handle, Instance, "timeline")

    def getTime(self, handle: int, answer: int) -> None:
        write(answer, c_double, self._instance(handle).now, self.runtime, "getTime")

    def gotoTime(self, handle: int, time: float) -> None:
        self._instance(handle).now = time

    def getTimeBounds(self, handle: int, first: int, last: int) -> None:
        bounds = self._instance(handle).time_bounds()
        for address, value in zip((first, last), bounds, strict=True):
            write(address, c_double, value, self.runtime, "getTimeBounds")
