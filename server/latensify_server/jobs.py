"""The queue: an interactive frame overtakes a background range; within a kind, first come, first served."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from latensify_bridge.errors import BadRequest, Busy
from latensify_bridge.protocol import Fit, Hello, Submit, Waiting
from latensify_server.engine import ModelChoice


@dataclass
class Job:
    """A request that waits or runs, to be answered to the ZeroMQ identity `client`.

    `key` names its result; `lone_key` is the second name which that gets when the shot is primed. `paused`: told to
    stop for the sake of a more urgent one, to go on later.
    """

    client: bytes
    request: Submit | Fit
    model: ModelChoice
    key: str
    lone_key: str = ""
    owner: bytes = b""  # the key or the connection against whose limits it counts
    order: int = 0
    fraction: float = 0.0
    stage: str = "waiting"
    running: bool = False
    paused: bool = False
    started_s: float = 0.0
    queued_s: float = field(default_factory=time.monotonic)
    told_s: float = field(default=0.0, compare=False)

    @property
    def urgency(self) -> tuple[bool, int]:
        return (not self.interactive, self.order)

    @property
    def interactive(self) -> bool:
        return isinstance(self.request, Submit) and self.request.interactive

    @property
    def work(self) -> str:
        return "fit" if isinstance(self.request, Fit) else "frame"

    @property
    def frame(self) -> int:
        return self.request.frame if isinstance(self.request, Submit) else self.request.sources[0].number

    @property
    def frames(self) -> set[str]:
        names = {source.pixels for source in self.request.sources}
        return names | {source.mask for source in self.request.sources if source.mask}


class Queue:
    """At most `limit` jobs, and `owner_limit` of one owner; at most one of them runs."""

    def __init__(self, limit: int, owner_limit: int | None = None) -> None:
        self._limit = limit
        self._owner_limit = owner_limit or limit
        self._count = itertools.count()
        self._jobs: list[Job] = []

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(sorted(self._jobs, key=lambda job: (not job.running, job.urgency)))

    def add(self, job: Job) -> None:
        """Raises Busy when the queue is full, or its owner's part, BadRequest when the id is open already."""
        if len(self._jobs) >= self._limit:
            raise Busy(f"The server has {self._limit} requests waiting already; try again later.")
        if sum(other.owner == job.owner for other in self._jobs) >= self._owner_limit:
            raise Busy(
                f"One client may have {self._owner_limit} requests waiting, and these are there; wait for some, or "
                "start the server with a larger --max-client-jobs."
            )
        if self.find(job.client, job.request.id):
            raise BadRequest(f"The request {job.request.id} is already open.")
        job.order = next(self._count)
        self._jobs.append(job)

    def find(self, client: bytes, id: str) -> Job | None:
        return next((job for job in self._jobs if (job.client, job.request.id) == (client, id)), None)

    def running(self) -> Job | None:
        return next((job for job in self._jobs if job.running), None)

    def start_next(self) -> Job | None:
        """The most urgent job, now running; None when one runs already or none waits."""
        if self.running() or not self._jobs:
            return None
        job = min(self._jobs, key=lambda waiting: waiting.urgency)
        job.running = True
        return job

    def pause(self, job: Job) -> None:
        """A job that runs waits again, in its old place."""
        job.running = job.paused = False

    def urgent(self) -> bool:
        """Whether an interactive job waits."""
        return any(job.interactive and not job.running for job in self._jobs)

    def remove(self, job: Job) -> None:
        self._jobs.remove(job)

    def of_client(self, client: bytes) -> list[Job]:
        return [job for job in self._jobs if job.client == client]

    def ahead(self, job: Job) -> int:
        """How many jobs come before this one."""
        return sum(other.running or other.urgency < job.urgency for other in self._jobs if other is not job)

    def pinned(self) -> set[str]:
        """The frames that waiting and running jobs need."""
        return set().union(*(job.frames for job in self._jobs))

    def report(self, greeted: Mapping[bytes, Hello]) -> list[Waiting]:
        """What runs, then what waits, by its turn. `greeted`: how each client introduced itself."""
        now = time.monotonic()
        unknown = Hello(id="-", protocol=0, client="")
        return [
            Waiting(
                id=job.request.id,
                effect=job.request.effect + (" (fit)" if isinstance(job.request, Fit) else ""),
                frame=job.frame,
                interactive=job.interactive,
                running=job.running,
                fraction=job.fraction,
                client=greeted.get(job.client, unknown).client,
                host=greeted.get(job.client, unknown).host,
                stage=job.stage,
                ahead=self.ahead(job),
                waited_s=now - job.queued_s,
            )
            for job in self
        ]
