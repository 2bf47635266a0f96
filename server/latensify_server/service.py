"""The service: answers clients, keeps the queue, hands work to the worker process. One thread; it never edits.

client --Submit--> service --Order--> worker        (docs/protocol.md; worker.py)
client <--Progress, Result-- service <--Step, Done-- worker
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import logging
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

import msgspec
import zmq

from latensify_bridge import __version__
from latensify_bridge.effects import EFFECTS
from latensify_bridge.errors import (
    BadRequest,
    Busy,
    Cancelled,
    EngineFailed,
    FrameMissing,
    LatensifyError,
    Misbehaved,
    OutputFailed,
    Refused,
    from_code,
    reason_of,
)
from latensify_bridge.folders import private, shared_folder
from latensify_bridge.frames import pack
from latensify_bridge.keys import on_this_machine
from latensify_bridge.protocol import (
    HEARTBEAT_S,
    MOST_PARTS,
    PART_BYTES,
    PROTOCOL,
    UNREADABLE,
    Cancel,
    DeviceMemory,
    Failure,
    Fit,
    Fitted,
    FromClient,
    Have,
    Hello,
    Message,
    Need,
    Progress,
    Put,
    Report,
    Result,
    Segment,
    SharedMemory,
    Source,
    Status,
    Stored,
    Submit,
    Welcome,
    decode_from_client,
    encode,
    failure,
    version_mismatch,
)
from latensify_bridge.segments import TokenFile, sweep, write_from
from latensify_server.cache import Cache, Entry
from latensify_server.engine import FitChoice, ModelChoice
from latensify_server.engines import ENGINES
from latensify_server.fits import Fits, fit_key, frames_of, settings_of
from latensify_server.frames_check import check_sources
from latensify_server.jobs import Job, Queue
from latensify_server.keys import Gate, needed
from latensify_server.plan import Plan, edit_of, plan
from latensify_server.segment_owners import SegmentOwners
from latensify_server.settings import Settings
from latensify_server.store import Store
from latensify_server.tally import CACHED, DONE, DROPPED, Tally
from latensify_server.worker import Done, Failed, FromWorker, Order, Ready, Room, Step, Stop

log = logging.getLogger("latensify.service")
log.addHandler(logging.NullHandler())  # within another command, its own failures are told by that command

TICK_MS = 100
SWEEP_S = 30.0
KEEPING_S = 20.0  # that a fit may take to write what it has done
NO_MODEL = ModelChoice("", "")  # a fit begins with nothing
LONGEST_NAME = 64  # of an id or an effect
MOST_GREETED = 4096  # clients whose names are remembered
RETRY_S = 10.0  # an engine that could not be started is not tried again sooner


class Service:
    """Binds at once, so that a bad address fails in the constructor; `run` returns after `stop`.

    Raises OutputFailed where it cannot listen, BadRequest where other machines could reach it and it has no keys.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kind = ENGINES[settings.engine]
        self._shared = private(shared_folder())
        self._context = zmq.Context()
        self._gate: Gate | None = None
        self._router = self._bound(settings.endpoint)
        self._segments = SegmentOwners(self._shared, self._lives)
        self._cache = Cache(settings.cache, settings.cache_bytes)
        self._fits = Fits(settings.fits)
        self._store = Store(self._shared, settings.frames, settings.frames_bytes, settings.client_frames_bytes)
        self._queue = Queue(settings.max_jobs, settings.max_client_jobs)
        self._proof = SharedMemory(f"token-{secrets.token_hex(8)}", secrets.token_hex(16))
        self._token = TokenFile(self._shared / self._proof.name, self._proof.token)
        self.endpoint = self._router.getsockopt_string(zmq.LAST_ENDPOINT)
        self._stopping = threading.Event()
        self._heard_s = time.monotonic()
        self._swept_s = 0.0
        self._device = "starting"
        self.tally = Tally()
        self._memory: DeviceMemory | None = None
        self._greeted: collections.OrderedDict[bytes, Hello] = collections.OrderedDict()
        self._start_worker()

    def _bound(self, endpoint: str) -> zmq.Socket[bytes]:
        router = self._context.socket(zmq.ROUTER)
        router.linger = 0
        router.setsockopt(zmq.ROUTER_MANDATORY, 1)  # tells us when a client is gone
        router.setsockopt(zmq.MAXMSGSIZE, self._settings.max_part_bytes)
        try:
            if not on_this_machine(endpoint):
                pair = needed(endpoint)
                self._gate = Gate(self._context)
                self._gate.guard(router, pair)
            router.bind(endpoint)
        except LatensifyError:
            router.close()
            raise
        except zmq.ZMQError as error:
            router.close()
            if self._gate:
                self._gate.close()
            raise OutputFailed(f"Cannot listen on '{endpoint}': {error}; choose another --endpoint.") from None
        return router

    # --- life ---

    def stop(self) -> None:
        """May be called from another thread or a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        try:
            while not self._stopping.is_set() and not self._idle_too_long():
                self._turn()
        finally:
            self._close()

    def _turn(self) -> None:
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        link = self._link.fileno() if self._broken is None else None
        if link is not None:
            poller.register(link, zmq.POLLIN)
        if self._gate:
            poller.register(self._gate.socket, zmq.POLLIN)
        ready = dict(poller.poll(TICK_MS))
        if self._gate and self._gate.socket in ready:
            self._gate.answer()
        if self._router in ready:
            self._hear_client()
        if link in ready:
            self._hear_worker()
        self._dispatch()
        self._tick()

    def _idle_too_long(self) -> bool:
        limit = self._settings.idle_exit_s
        return bool(limit) and not len(self._queue) and time.monotonic() - self._heard_s > limit

    def _close(self) -> None:
        for job in list(self._queue):
            self._tell(job.client, failure(job.request.id, Cancelled("The server was stopped; start it again.")))
        self._router.close(linger=200)
        if self._gate:
            self._gate.close()
        self._context.term()
        self._link.close()
        self._end_worker()
        self._token.close()
        self._store.close()

    def _end_worker(self) -> None:
        """At once, but a fit is given the time to keep what it has done: it notices that its link is gone."""
        if self._fitting:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(KEEPING_S)
        self._process.terminate()
        self._process.wait()

    def _tick(self) -> None:
        now = time.monotonic()
        for job in list(self._queue):
            if now - job.told_s >= HEARTBEAT_S:
                self._tell_progress(job)
        if now - self._swept_s > SWEEP_S:
            self._swept_s = now
            sweep(self._shared)
            self._segments.sweep()

    # --- clients ---

    def _hear_client(self) -> None:
        frames = self._router.recv_multipart(copy=False)
        client, header = frames[0].bytes, frames[1].bytes
        parts: list[memoryview] = [frame.buffer for frame in frames[2:]]  # pixels stay where they arrived
        self._heard_s = time.monotonic()
        with self._failures_told(client, _about(header)):
            owner = self._owner(frames[0])
            self._check_size(parts)
            self._answer(client, owner, _decoded(header), parts)

    def _owner(self, frame: zmq.Frame) -> bytes:
        """Against whom the limits of a message count: its key, or where there are none its connection."""
        if self._gate is None:
            return frame.bytes
        key = str(frame.get("User-Id"))
        if self._gate.name(key) is None:
            self._forget(frame.bytes)
            raise Refused("The server trusts this user's key no longer; ask who runs it to trust it again.")
        return key.encode()

    def _check_size(self, parts: Sequence[memoryview]) -> None:
        if len(parts) > MOST_PARTS:
            raise Misbehaved(f"A message came in {len(parts)} parts; protocol {PROTOCOL} allows {MOST_PARTS}.")
        size = sum(map(len, parts))
        if size > self._settings.max_frame_bytes:
            raise Busy(f"A message of {size} bytes is more than this server takes; raise its --max-frame-mb.")

    def _check_segment(self, client: bytes, segment: Segment | None) -> None:
        if segment and self._gate:
            raise Misbehaved("A client from another machine named a segment; its pixels have to travel inline.")
        self._segments.check(client, segment)

    def _lives(self, client: bytes) -> bool:
        """Whether a client is still connected. What is sent to ask is an answer to no question, which is ignored."""
        try:
            self._router.send_multipart([client, encode(Progress(id="-", fraction=0.0, stage=""))], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            return error.errno != zmq.EHOSTUNREACH
        return True

    @contextlib.contextmanager
    def _failures_told(self, client: bytes, about: _About) -> Iterator[None]:
        """Whatever goes wrong with one request is told to its client; the loop goes on for the others."""
        try:
            yield
        except LatensifyError as error:
            self._fail(client, about, error)
        except Exception as error:
            log.exception("failed in the service", extra={"request": about.id})
            self._fail(
                client, about, EngineFailed(f"The server failed at this request ({reason_of(error)}); see its log.")
            )

    def _answer(self, client: bytes, owner: bytes, message: FromClient, parts: Sequence[memoryview]) -> None:
        if isinstance(message, Hello):
            self._tell(client, self._welcome(client, message))
        elif isinstance(message, Have):
            for name in message.frames:
                self._store.touch(name)
            self._tell(client, Need(id=message.id, frames=[name for name in message.frames if name not in self._store]))
        elif isinstance(message, Put):
            self._check_segment(client, message.segment)
            self._take(owner, message, parts)
            self._tell(client, Stored(id=message.id, frame=message.frame))
        elif isinstance(message, Submit):
            self._check_segment(client, message.output)
            self._submit(client, owner, message)
        elif isinstance(message, Fit):
            self._fit(client, owner, message)
        elif isinstance(message, Cancel):
            self._cancel(client, message.id)
        elif isinstance(message, Status):
            self._tell(client, self.report(message.id))

    def _greet(self, client: bytes, hello: Hello) -> None:
        self._greeted[client] = hello
        self._greeted.move_to_end(client)
        if len(self._greeted) > MOST_GREETED:
            self._greeted.popitem(last=False)
        log.info("a client has come", extra={"request": hello.id, "client": hello.client, "host": hello.host})

    def _welcome(self, client: bytes, hello: Hello) -> Welcome:
        if hello.protocol != PROTOCOL:
            raise version_mismatch(hello.client, hello.protocol, f"the server {__version__}")
        self._greet(client, hello)
        return Welcome(
            id=hello.id,
            protocol=PROTOCOL,
            server=__version__,
            effects=list(EFFECTS),
            models=self._kind.installed(),
            device=self._device,
            max_frame_bytes=self._settings.max_frame_bytes,
            shared_memory=None if self._gate else self._proof,
        )

    def _take(self, owner: bytes, put: Put, parts: Sequence[memoryview]) -> None:
        if put.spec.nbytes > self._settings.max_frame_bytes:
            raise Busy(f"A frame of {put.spec.nbytes} bytes is more than this server takes; raise its --max-frame-mb.")
        self._store.put(put.frame, put.spec, put.segment, parts, self._queue.pinned(), owner)

    def _submit(self, client: bytes, owner: bytes, submit: Submit) -> None:
        model = self._kind.choose(submit.effect, edit_of(submit).model)
        planned = self._plan(submit, model)
        job = Job(client, submit, model, planned.key, planned.lone_key, owner=owner)
        if (
            submit.lone
            and not submit.fresh
            and self._deliver(Job(client, submit, model, planned.lone_key), cached=True)
        ):
            return
        if self._deliver(job, cached=True):
            return
        self._enqueue(job)

    def _fit(self, client: bytes, owner: bytes, fit: Fit) -> None:
        edit = edit_of(fit)
        if not edit.fits:
            raise BadRequest(f"No model can be fitted for {fit.effect}; leave the fit out.")
        key = fit_key(settings_of(fit.effect, edit, fit.render_scale), frames_of(fit.sources))
        job = Job(client, fit, NO_MODEL, key, owner=owner)
        if not self._deliver(job, cached=True):
            self._enqueue(job)

    def _plan(self, submit: Submit, model: ModelChoice) -> Plan:
        def find(sources: Sequence[Source]) -> FitChoice | None:
            found = self._fits.find(settings_of(submit.effect, edit_of(submit), submit.render_scale), sources)
            return found.choice if found else None

        return plan(submit, model, find)

    def _enqueue(self, job: Job) -> None:
        """Puts a job in the queue, or tells its client which frames are missing."""
        self._check_engine()
        request = job.request
        missing = sorted(name for name in job.frames if name not in self._store)
        if missing:
            self._check_room(job, len(missing))
            self._count(job, FrameMissing.code)
            self._tell(
                job.client,
                Failure(
                    id=request.id,
                    code=FrameMissing.code,
                    message=f"The server does not hold {len(missing)} of the frames of this request; send them again.",
                    frames=missing,
                ),
            )
            return
        check_sources(request, {name: self._store.spec(name) for name in job.frames})
        self._queue.add(job)
        self._log(job, "queued")
        self._tell_progress(job)

    def _check_room(self, job: Job, missing: int) -> None:
        """Raises Busy where the frames of one request, of which some are missing, can never all be held."""
        held = [self._store.spec(name).nbytes for name in job.frames if name in self._store]
        need = sum(held) + missing * max(held, default=0)
        if need > self._store.limit_bytes:
            smaller = "fit to fewer frames" if isinstance(job.request, Fit) else "use a smaller window"
            raise Busy(
                f"{_what(job).capitalize()} needs about {need / 2**20:.0f} MiB of frames, and the server may hold "
                f"{self._store.limit_bytes / 2**20:.0f}; {smaller}, or start it with a larger --frames-mb."
            )

    def _cancel(self, client: bytes, id: str) -> None:
        job = self._queue.find(client, id)
        if job:
            self._log(job, "cancelled by its client")
            self._count(job, Cancelled.code)
            self._drop(job)
            self._tell(client, failure(id, Cancelled("Stopped by the user.")))

    def _drop(self, job: Job) -> None:
        """Forgets a job; one that runs goes on holding the worker until its next step."""
        self._queue.remove(job)
        if job.running:
            self._send_worker(Stop(job.request.id))

    def _deliver(self, job: Job, cached: bool) -> bool:
        """Sends a job's result when it is kept; says whether it was."""
        sent = self._send_result(job, cached)
        if sent:
            self._count(job, CACHED if cached else DONE)
            self._log(job, "answered from the cache" if cached else "done")
        return sent

    def _send_result(self, job: Job, cached: bool) -> bool:
        request = job.request
        if isinstance(request, Fit):
            if self._fits.get(job.key):
                seconds = 0.0 if cached else time.monotonic() - job.started_s
                self._tell(job.client, Fitted(id=request.id, fit=job.key, cached=cached, seconds=seconds))
            return self._fits.get(job.key) is not None
        kept = self._cache.get(job.key)
        if kept is None:
            return False
        entry, edited = kept
        if request.prime:
            self._cache.also(job.key, job.lone_key)
        parts = pack(edited)
        output = request.output
        fits = output is not None and sum(map(len, parts)) <= output.size
        if output is not None and fits:
            write_from(self._shared, output, parts)
            self._tell(job.client, _result(request, job.key, entry, cached, fits))
        else:
            pieces = [part[at : at + PART_BYTES] for part in parts for at in range(0, len(part), PART_BYTES)]
            self._tell(job.client, _result(request, job.key, entry, cached, fits), pieces)
        return True

    def _tell_progress(self, job: Job) -> None:
        job.told_s = time.monotonic()
        ahead = self._queue.ahead(job)
        running = self._queue.running()
        same = running if running and running.key == job.key else job  # one fit that several wait for is done once
        stage = same.stage if same.running else f"waiting behind {ahead}" if ahead else "waiting"
        self._tell(job.client, Progress(id=job.request.id, fraction=same.fraction, stage=stage, ahead=ahead))

    def _fail(self, client: bytes, about: _About, error: LatensifyError) -> None:
        if not isinstance(error, Cancelled):
            name = self._greeted[client].client if client in self._greeted else ""
            told = {"request": about.id, "client": name, "effect": about.effect, "code": error.code}
            log.warning("failed: %s", error, extra=told)
            self.tally.trouble(about.id, error, about.effect, name)
        if about.work:
            self.tally.count(about.effect, about.work, error.code, time.monotonic() - about.came_s)
        self._tell(client, failure(about.id or "unknown", error))

    def _count(self, job: Job, outcome: str) -> None:
        self.tally.count(job.request.effect, job.work, outcome, time.monotonic() - job.queued_s)

    def _log(self, job: Job, event: str) -> None:
        """One line about a request: `restyle frame 7 queued`."""
        told: dict[str, object] = {"request": job.request.id, "effect": job.request.effect, "frame": job.frame}
        if job.client in self._greeted:
            told |= {"client": self._greeted[job.client].client, "host": self._greeted[job.client].host}
        if event == "done":
            told["seconds"] = round(time.monotonic() - job.queued_s, 3)
        log.info("%s %s", _what(job), event, extra=told)

    def _tell(self, client: bytes, message: Message, parts: Sequence[memoryview] = ()) -> None:
        try:
            self._router.send_multipart([client, encode(message), *parts], zmq.NOBLOCK, copy=not parts)
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                self._forget(client)
            elif error.errno != zmq.EAGAIN:
                raise

    def _forget(self, client: bytes) -> None:
        """Drops what a client that has gone was waiting for."""
        for job in self._queue.of_client(client):
            self._log(job, "dropped: its client is gone")
            self._count(job, DROPPED)
            self._drop(job)
        self._greeted.pop(client, None)

    def report(self, id: str = "-") -> Report:
        """How the server does. Changes nothing, so that the thread which serves metrics may ask too."""
        entries, size = self._cache.usage()
        fits, fits_bytes = self._fits.usage()
        return Report(
            id=id,
            server=__version__,
            protocol=PROTOCOL,
            uptime_s=time.monotonic() - self.tally.began_s,
            device=self._device,
            models=self._kind.installed(),
            queue=self._queue.report(self._greeted),
            held_frames=len(self._store),
            held_bytes=self._store.held_bytes,
            cache_entries=entries,
            cache_bytes=size,
            cache_limit_bytes=self._cache.limit_bytes,
            finished=self.tally.finished,
            failed=self.tally.failed,
            last_errors=[f"{trouble.id} {trouble.code}: {trouble.message}" for trouble in self.tally.troubles],
            memory=self._memory,
            cache_hits=self.tally.cache_hits,
            cache_misses=self.tally.cache_misses,
            held_limit_bytes=self._store.limit_bytes,
            fits=fits,
            fits_bytes=fits_bytes,
            frames_per_s=self.tally.frames_per_s(),
            troubles=list(self.tally.troubles),
        )

    # --- the worker ---

    def _start_worker(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",  # the folder we happen to be in is nothing to import from
                    *(["-E"] if sys.flags.ignore_environment else []),
                    "-m",
                    "latensify_server.worker",
                    str(theirs.fileno()),
                    self._settings.engine,
                    str(self._settings.cache),
                    str(self._settings.cache_bytes),
                    str(self._settings.fits),
                    *([self._settings.log_format] if self._settings.log_format else []),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self.tally.worker_starts += 1
        self._link = Connection(ours.detach())
        self._occupied: str | None = None
        self._fitting = False
        self._reason = ""
        self._device = "starting"
        self._broken: EngineFailed | None = None

    def _check_engine(self) -> None:
        """Raises why the engine could not be started; after a while it is tried again."""
        if self._broken is None:
            return
        if time.monotonic() < self._retry_s:
            raise self._broken
        self._start_worker()

    def _dispatch(self) -> None:
        if self._device == "starting" or self._broken:
            return
        self._make_way()
        job = self._queue.start_next() if self._occupied is None else None
        if job is None:
            return
        fits: list[FitChoice | None] = []
        if isinstance(job.request, Submit):  # its fit may have been finished while it waited
            planned = self._plan(job.request, job.model)
            job.key, job.lone_key = planned.key, planned.lone_key
            fits = [window.fit for window in planned.windows]
        if self._cache.get(job.key) or self._fits.get(job.key):  # an earlier job made it
            self._finish(job, Done(job.request.id), cached=True)
            return
        specs = {name: self._store.spec(name) for name in job.frames}
        self._occupied = job.request.id
        self._fitting = isinstance(job.request, Fit)
        job.started_s = job.started_s or time.monotonic()
        self._log(job, "begun")
        self._send_worker(Order(job.request, job.model, str(self._store.folder), specs, fits))

    def _make_way(self) -> None:
        """A fit that runs is told to stop when somebody waits for a frame: it goes on from there afterwards."""
        job = self._queue.running()
        if job and isinstance(job.request, Fit) and not job.paused and self._queue.urgent():
            job.paused = True
            self._send_worker(Stop(job.request.id))

    def _send_worker(self, message: Order | Stop) -> None:
        try:
            self._link.send_bytes(msgspec.msgpack.encode(message))
        except OSError:
            pass  # its death is noticed where it is heard

    def _hear_worker(self) -> None:
        try:
            message = msgspec.msgpack.decode(self._link.recv_bytes(), type=FromWorker)
        except (EOFError, OSError):
            self._worker_died()
            return
        job = self._queue.running()
        if isinstance(message, Failed) and not message.id:
            self._reason = message.message
        elif isinstance(message, Ready):
            self._device = message.device
            log.info("engine %s ready on %s", self._settings.engine, message.device)
        elif isinstance(message, Room):
            self._memory = message.memory
        elif isinstance(message, Step):
            if job and job.request.id == message.id:
                job.fraction, job.stage = message.fraction, message.stage
                self._tell_progress(job)
        else:
            self._occupied = None
            self._fitting = False
            if job and job.request.id == message.id:
                if job.paused and isinstance(message, Failed) and message.code == Cancelled.code:
                    self._log(job, "makes way for a frame")
                    self._queue.pause(job)
                else:
                    self._finish(job, message)

    def _finish(self, job: Job, message: Done | Failed, cached: bool = False) -> None:
        self._queue.remove(job)
        with self._failures_told(job.client, _about_job(job)):
            if isinstance(message, Failed):
                raise from_code(message.code, message.message)
            if not self._deliver(job, cached):
                raise EngineFailed(
                    "The result was let go before it could be sent; start the server with a larger --cache-mb."
                )
            self.tally.finished += 1

    def _worker_died(self) -> None:
        """One that was ready is started again. One that never was would only die again: all that waits is told why."""
        code = self._process.wait()
        cause = (
            f"signal {-code}" + (", probably out of memory" if code == -9 else "") if code < 0 else f"exit code {code}"
        )
        self._link.close()
        if self._device == "starting":
            self._broken = EngineFailed(self._reason or f"The worker process ended while it started ({cause}).")
            self._retry_s = time.monotonic() + RETRY_S
            self._give_up(list(self._queue), self._broken)
            return
        again = f"The worker process ended ({cause}); it was started again: render the frame once more."
        self._give_up([job for job in self._queue if job.running], EngineFailed(again))
        self._start_worker()

    def _give_up(self, jobs: list[Job], error: EngineFailed) -> None:
        log.error("%s", error)
        for job in jobs:
            self._queue.remove(job)
            self._fail(job.client, _about_job(job), error)


def _what(job: Job) -> str:
    """A job in words, for the log and for sentences."""
    request = job.request
    return f"the fit for {request.effect}" if isinstance(request, Fit) else f"{request.effect} frame {request.frame}"


def _result(submit: Submit, key: str, entry: Entry, cached: bool, in_segment: bool) -> Result:
    return Result(
        id=submit.id,
        frame=submit.frame,
        box=entry.box,
        depth=entry.depth,
        model=entry.model,
        model_hash=entry.model_hash,
        key=key,
        cached=cached,
        seconds=0.0 if cached else entry.seconds,
        note=entry.note,
        segment=submit.output if in_segment else None,
    )


class _Greeting(msgspec.Struct):
    """As much of a Hello as every version of the protocol will have."""

    type: str
    id: str
    protocol: int = PROTOCOL
    client: str = "The client"


def _decoded(header: bytes) -> FromClient:
    """A message; a Hello of another version is read as far as it can be, so that it can be told both versions."""
    try:
        return decode_from_client(header)
    except Misbehaved:
        try:
            greeting = msgspec.msgpack.decode(header, type=_Greeting)
        except UNREADABLE:
            raise BadRequest("A message is not one of protocol 1 (docs/protocol.md).") from None
        if greeting.type == "hello" and greeting.protocol != PROTOCOL:
            return Hello(id=greeting.id, protocol=greeting.protocol, client=greeting.client)
        raise


@dataclasses.dataclass(frozen=True)
class _About:
    """What is known of a request when it fails. `work` as in Tally; empty for a message that asks for no work."""

    id: str
    effect: str
    work: str
    came_s: float


class _Request(msgspec.Struct):
    """As much of a message as tells whose failure it was."""

    type: str
    id: str
    effect: Any = ""


def _about(header: bytes) -> _About:
    now = time.monotonic()
    try:
        request = msgspec.msgpack.decode(header, type=_Request)
    except UNREADABLE:
        return _About("", "", "", now)
    work = {"submit": "frame", "fit": "fit"}.get(request.type, "")
    effect = request.effect if isinstance(request.effect, str) and len(request.effect) <= LONGEST_NAME else ""
    return _About(request.id if len(request.id) <= LONGEST_NAME else "", effect, work, now)


def _about_job(job: Job) -> _About:
    return _About(job.request.id, job.request.effect, job.work, job.queued_s)
