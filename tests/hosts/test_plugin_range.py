"""Process range in the host: pressed in the panel, done by the next render, and stopped by whoever wants it stopped."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from .expected import (
    REMOVE,
    assert_same,
    edited,
    mask_of,
    plate,
    remove,
    report,
    restyle,
    shot,
    soft_matte,
)
from .ofx_host import GENERIC, MLT, NATRON, NUKE, RESOLVE, Abort, Animated, Clip, HostVariant, Instance, K, OfxHost
from .servers import Server
from .stub_server import stub_server

FRAMES = range(24)


def pressed(instance: Instance) -> Instance:
    assert instance.button("process_range") in (K.kOfxStatOK, K.kOfxStatReplyDefault)
    return instance


def source_times(result: Any) -> set[float]:
    return {time for clip, time in result.fetches if clip == "Source"}


@pytest.mark.parametrize("variant", [GENERIC, RESOLVE, NUKE, NATRON], ids=lambda variant: variant.name)
def test_next_render_edits_the_whole_range(bundle: Path, running: Server, variant: HostVariant) -> None:
    seed = 40_000 + len(variant.name)
    with OfxHost(bundle, variant) as host:
        instance = restyle(host, running.endpoint, seed=seed)
        before = report(running).finished
        calls = len(host.calls)
        pressed(instance)
        assert not [call for call in host.calls[calls:] if call.action == K.kOfxImageEffectActionRender]
        assert report(running).finished == before, "nothing happens in the button"
        assert instance.get("process_request") > 0, "a parameter changed, so that the host renders again"
        result = instance.render(5)
        assert result.ok and source_times(result) == set(map(float, FRAMES))
        assert report(running).finished == before + len(FRAMES)
        assert_same(result.image, edited(plate(5)))
        for frame in (0, 23, 5):
            again = instance.render(frame)
            assert source_times(again) == {float(frame)}, "the press is done with"
            assert_same(again.image, edited(plate(frame)))
        assert report(running).finished == before + len(FRAMES), "all of it was found ready"
        host.check()  # among others: no picture was fetched in the button


def test_range_with_windows_masks_and_keys(bundle: Path, running: Server) -> None:
    strength = Animated({0: 0.0, 8: 1.0})
    with OfxHost(bundle) as host:
        instance = remove(host, running.endpoint, mask_of(soft_matte()), window=8, overlap=2, strength=strength)
        before = report(running).finished
        pressed(instance)
        assert instance.frames_needed(9) == {"Source": [(0.0, 23.0)], "Mask": [(0.0, 23.0)]}
        assert instance.render(9).ok
        done = report(running).finished
        assert done > before
        for frame in FRAMES:
            assert_same(instance.render(frame).image, edited(plate(frame), matte=soft_matte()))
        assert report(running).finished == done
        host.check()


def test_frames_that_change_nothing_are_left_out(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = restyle(host, running.endpoint, seed=41_000, mix=Animated({3: 0.0, 4: 1.0}))
        before = report(running).finished
        assert pressed(instance).render(10).ok
        assert report(running).finished == before + 20
        host.check()


def test_range_is_asked_for_behind_interactive_frames(bundle: Path) -> None:
    with stub_server() as stub, OfxHost(bundle) as host:
        result = pressed(restyle(host, stub.endpoint)).render(5)
        assert result.status == K.kOfxStatFailed and result.messages
        assert [submit["interactive"] for submit in stub.submits()] == [False]
        host.check()


def test_another_instance_carries_the_press_out(bundle: Path, running: Server) -> None:
    """Hosts render with copies: the hidden parameter tells the copy."""
    with OfxHost(bundle) as host:
        before = report(running).finished
        panel = pressed(restyle(host, running.endpoint, seed=42_000))
        copy = restyle(host, running.endpoint, seed=42_000, process_request=panel.get("process_request"))
        assert copy.render(5).ok
        assert report(running).finished == before + len(FRAMES)
        host.check()


def test_abort_stops_the_range_and_the_press_with_it(bundle: Path, slow: Server) -> None:
    with OfxHost(bundle) as host:
        instance = pressed(restyle(host, slow.endpoint, shot(0, 3)))
        result = instance.render(1, abort=Abort(after_s=1.0))
        assert result.status == K.kOfxStatOK and not result.messages
        assert result.abort_latency_s is not None and result.abort_latency_s < 0.25
        assert result.progress[0] == ("start", "Latensify Restyle, frames 0-3") and result.progress[-1][0] == "end"
        deadline = time.monotonic() + 2
        while report(slow).queue and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not report(slow).queue
        result = instance.render(1, abort=Abort(after_s=0.5))
        assert source_times(result) == {1.0}
        host.check()


class StopButton(Abort):
    """The one at the progress display: the host itself does not abort."""

    def poll(self) -> bool:
        super().poll()
        return False


def test_user_stops_the_range_and_gets_the_frame_all_the_same(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = pressed(restyle(host, running.endpoint, seed=43_000))
        result = instance.render(5, abort=StopButton(after_updates=8))
        assert result.ok and result.progress[-1] == ("end", None)
        assert len(source_times(result)) < len(FRAMES) and not report(running).queue
        assert_same(result.image, edited(plate(5)))
        assert source_times(instance.render(6)) == {6.0}
        host.check()


def test_two_presses_are_one_range_each(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = restyle(host, running.endpoint, seed=44_000)
        pressed(pressed(instance))
        sizes = [len(source_times(instance.render(5))) for _ in range(3)]
        assert sizes == [len(FRAMES), 1, 1]
        host.check()


def test_threads_that_render_after_a_press_do_the_range_once(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = pressed(restyle(host, running.endpoint, seed=45_000))
        results: list[Any] = []
        threads = [threading.Thread(target=lambda n=n: results.append(instance.render(n))) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(result.ok for result in results), [result.messages for result in results]
        assert sum(len(source_times(result)) == len(FRAMES) for result in results) == 1
        host.check()


@pytest.mark.parametrize("variant", [GENERIC.but(temporal=False), MLT], ids=["no temporal access", "MLT"])
def test_host_that_gives_one_frame_at_a_time_is_told_what_to_do(
    bundle: Path, running: Server, variant: HostVariant
) -> None:
    able = variant.but(never_calls=variant.never_calls - {K.kOfxActionInstanceChanged})
    with OfxHost(bundle, able) as host:
        instance = pressed(restyle(host, running.endpoint))
        assert "latensify render restyle" in host.messages[-1].text and host.messages[-1].kind == "message"
        assert instance.get("process_request") == 0
        result = instance.render(5)
        assert source_times(result) == {5.0}
        assert_same(result.image, edited(plate(5)))
        host.check()


def test_missing_frame_in_the_range_is_named(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        source = shot(missing=frozenset({11.0}))
        instance = pressed(restyle(host, running.endpoint, source, seed=46_000))
        result = instance.render(5)
        assert result.status == K.kOfxStatFailed and "Source for frame 11" in result.messages[0].text
        assert_same(instance.render(5).image, edited(plate(5)))
        host.check()


def test_range_of_remove_without_a_mask_does_nothing(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        clips: dict[str, Clip] = {"Source": shot()}
        instance = pressed(host.instance(REMOVE, "general", params={"server": running.endpoint}, clips=clips))
        before = report(running).finished
        for identity in (True, False):
            assert_same(instance.render(5, identity=identity).image, plate(5))
        assert report(running).finished == before
        host.check()
