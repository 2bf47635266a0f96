import msgspec
import pytest

from latensify_bridge.effects import Restyle
from latensify_bridge.errors import BadRequest, Busy
from latensify_bridge.protocol import Source, Submit
from latensify_server.engine import ModelChoice
from latensify_server.jobs import Job, Queue


def job(id: str, interactive: bool = False, client: bytes = b"c") -> Job:
    submit = Submit(
        id=id,
        effect="restyle",
        params=msgspec.Raw(msgspec.msgpack.encode(Restyle())),
        frame=1,
        first=1,
        last=1,
        sources=[Source(1, f"{ord(id[0]):032x}", None)],
        interactive=interactive,
    )
    return Job(client, submit, ModelChoice("m", "h"), id)


def drain(queue: Queue) -> list[str]:
    order = []
    while (next_job := queue.start_next()) is not None:
        order.append(next_job.request.id)
        queue.remove(next_job)
    return order


def test_an_interactive_frame_overtakes_a_background_range() -> None:
    queue = Queue(10)
    for waiting in (job("a"), job("b"), job("i", interactive=True), job("c"), job("j", interactive=True)):
        queue.add(waiting)
    assert drain(queue) == ["i", "j", "a", "b", "c"]


def test_only_one_runs_and_a_running_one_is_not_overtaken() -> None:
    queue = Queue(10)
    first, urgent = job("a"), job("i", interactive=True)
    queue.add(first)
    assert queue.start_next() is first
    queue.add(urgent)
    assert queue.start_next() is None
    assert queue.running() is first
    assert queue.ahead(urgent) == 1
    queue.remove(first)
    assert queue.start_next() is urgent


def test_a_full_queue_and_a_repeated_id_are_refused() -> None:
    queue = Queue(2)
    queue.add(job("a"))
    with pytest.raises(BadRequest, match="request a is already open"):
        queue.add(job("a"))
    queue.add(job("a", client=b"other"))
    with pytest.raises(Busy, match="2 requests waiting already"):
        queue.add(job("b"))


def test_the_frames_of_waiting_jobs_are_pinned_and_a_clients_jobs_are_found() -> None:
    queue = Queue(10)
    queue.add(job("a"))
    queue.add(job("b", client=b"other"))
    assert queue.pinned() == {f"{ord('a'):032x}", f"{ord('b'):032x}"}
    assert [found.request.id for found in queue.of_client(b"other")] == ["b"]
    assert [waiting.id for waiting in queue.report({})] == ["a", "b"]
