"""Fit to shot in the host: pressed in the panel, done by the next render, stopped, gone on with, and used."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latensify_bridge.protocol import MOST_FITTED
from latensify_server.fits import Fits, Record
from latensify_server.plan import NOT_FITTED

from .expected import assert_same, edited, mask_of, plate, remove, report, shot, soft_matte
from .ofx_host import GENERIC, MLT, NATRON, NUKE, RESOLVE, Abort, Clip, HostVariant, Instance, K, OfxHost
from .servers import Server, server

LAST = 5
LABEL = "Latensify Remove, fitting a model to frames 0-5"
FILL = "Model fitted to the shot"


@pytest.fixture
def fresh(tmp_path: Path, home: Path) -> Iterator[Server]:
    """A server without any fit."""
    with server(tmp_path / "fresh") as found:
        yield found


def pressed(instance: Instance) -> Instance:
    assert instance.button("fit_shot") in (K.kOfxStatOK, K.kOfxStatReplyDefault)
    return instance


def node(host: OfxHost, endpoint: str, **params: Any) -> Instance:
    return remove(host, endpoint, mask_of(soft_matte()), shot(0, LAST), **params)


def source_times(result: Any) -> set[float]:
    return {time for clip, time in result.fetches if clip == "Source"}


def fits_of(running: Server) -> list[Record]:
    return Fits(running.log.parent / "cache/fits").all()


def shows_the_fit(found: Any, frame: int) -> None:
    """The fake engine's fit is the mean of the shot's first plate."""
    inside = soft_matte() == 1
    mean = plate(0)[..., :3].astype(np.float16).astype(np.float64).mean()
    np.testing.assert_allclose(found[inside][:, :3], mean, rtol=2e-3)
    outside = soft_matte() == 0
    assert found[outside].tobytes() == plate(frame)[outside].tobytes()


@pytest.mark.parametrize("variant", [GENERIC, RESOLVE, NUKE, NATRON], ids=lambda variant: variant.name)
def test_the_next_render_fits_to_the_whole_clip_and_uses_it(
    bundle: Path, running: Server, variant: HostVariant
) -> None:
    with OfxHost(bundle, variant) as host:
        instance = node(host, running.endpoint, seed=50_000 + len(variant.name))
        made, calls = len(fits_of(running)), len(host.calls)
        pressed(instance)
        assert not [call for call in host.calls[calls:] if call.action == K.kOfxImageEffectActionRender]
        assert len(fits_of(running)) == made, "nothing happens in the button"
        assert instance.get("fit_request") > 0, "a parameter changed, so that the host renders again"
        assert instance.frames_needed(3) == {"Source": [(0.0, float(LAST))], "Mask": [(0.0, float(LAST))]}
        result = instance.render(3)
        assert result.ok and source_times(result) == set(map(float, range(LAST + 1)))
        assert len(fits_of(running)) == made + 1 and len(fits_of(running)[0].frames) == LAST + 1
        shows_the_fit(result.image, 3)
        for frame in (0, LAST, 3):
            again = instance.render(frame)
            assert source_times(again) == {float(frame)}, "the press is done with"
            shows_the_fit(again.image, frame)
        assert len(fits_of(running)) == made + 1
        host.check()  # among others: no picture was fetched in the button


def test_the_button_chooses_the_fitted_model_and_tells(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = node(host, running.endpoint, seed=51_000)
        before = instance.get("fill")
        pressed(instance)
        assert instance.get("fill") != before
        assert instance.get("status") == "A model will be fitted to the shot with the next frame."
        host.check()


def test_without_a_fit_the_frame_is_made_otherwise_and_the_panel_says_so(bundle: Path, fresh: Server) -> None:
    with OfxHost(bundle) as host:
        instance = node(host, fresh.endpoint, seed=52_000, fill=FILL)
        assert_same(instance.render(2).image, edited(plate(2), matte=soft_matte()))
        instance.button("refresh_status")
        assert NOT_FITTED in instance.get("status")
        shows_the_fit(pressed(instance).render(2).image, 2)
        instance.button("refresh_status")
        assert "No model is fitted" not in instance.get("status")
        host.check()


def stopped_in_the_fit(instance: Instance, slow: Server) -> list[float]:
    """Renders, and aborts when the fit is under way; the progress that the host showed."""
    abort = Abort()

    def watch() -> None:
        while not any(job.running and job.fraction > 0.03 for job in report(slow).queue):
            time.sleep(0.1)
        time.sleep(0.2)  # until it was shown
        abort.request()

    thread = threading.Thread(target=watch)
    thread.start()
    result = instance.render(1, abort=abort)
    thread.join()
    assert result.status == K.kOfxStatOK and not result.messages
    assert result.progress[0] == ("start", LABEL) and result.progress[-1][0] == "end"
    while report(slow).queue:
        time.sleep(0.05)
    assert not fits_of(slow)
    return [value for kind, value in result.progress if kind == "update" and value > 0]


def test_progress_is_shown_and_what_was_stopped_goes_on(bundle: Path, slow: Server) -> None:
    with OfxHost(bundle) as host:
        first = stopped_in_the_fit(pressed(node(host, slow.endpoint)), slow)
        second = stopped_in_the_fit(pressed(node(host, slow.endpoint)), slow)
        assert first == sorted(first) and second[0] >= first[-1] > 0, "it went on from where it was"
        host.check()


class StopButton(Abort):
    """The one at the progress display, pressed once: the host itself does not abort."""

    def progress_refused(self) -> bool:
        self.updates += 1
        return self.updates == 4


def test_a_user_who_stops_the_fit_gets_the_frame_all_the_same(bundle: Path, fresh: Server) -> None:
    with OfxHost(bundle) as host:
        instance = pressed(node(host, fresh.endpoint, seed=53_000))
        result = instance.render(2, abort=StopButton())
        assert result.ok and not report(fresh).queue
        assert_same(result.image, edited(plate(2), matte=soft_matte()))
        shows_the_fit(pressed(instance).render(2).image, 2)
        host.check()


def test_a_second_press_finds_the_fit_there(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = node(host, running.endpoint, seed=54_000)
        assert pressed(instance).render(2).ok
        made = len(fits_of(running))
        assert pressed(instance).render(2).ok
        assert len(fits_of(running)) == made
        host.check()


def test_another_instance_carries_the_press_out(bundle: Path, running: Server) -> None:
    """Hosts render with copies: the hidden parameter tells the copy."""
    with OfxHost(bundle) as host:
        panel = pressed(node(host, running.endpoint, seed=55_000))
        copy = node(host, running.endpoint, seed=55_000, fill=FILL, fit_request=panel.get("fit_request"))
        shows_the_fit(copy.render(2).image, 2)
        host.check()


def test_threads_that_render_after_a_press_wait_for_the_one_fit(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = pressed(node(host, running.endpoint, seed=56_000))
        made = len(fits_of(running))
        results: dict[int, Any] = {}
        threads = [
            threading.Thread(target=lambda frame=frame: results.update({frame: instance.render(frame)}))
            for frame in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for frame, result in results.items():
            assert result.ok, result.messages
            shows_the_fit(result.image, frame)
        assert len(fits_of(running)) == made + 1
        host.check()


def test_a_fit_and_a_range_can_both_be_pressed(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = pressed(node(host, running.endpoint, seed=57_000))
        instance.button("process_range")
        before = report(running).finished
        result = instance.render(2)
        assert result.ok
        shows_the_fit(result.image, 2)
        assert report(running).finished == before + 1 + LAST + 1, "the fit, then every frame with it"
        host.check()


@pytest.mark.parametrize("variant", [GENERIC.but(temporal=False), MLT], ids=["no temporal access", "MLT"])
def test_a_host_that_gives_one_frame_at_a_time_is_told_what_to_do(
    bundle: Path, running: Server, variant: HostVariant
) -> None:
    able = variant.but(never_calls=variant.never_calls - {K.kOfxActionInstanceChanged})
    with OfxHost(bundle, able) as host:
        context = "general" if "general" in able.contexts else "filter"
        clips: dict[str, Clip] = {"Source": shot()}
        params = {"server": running.endpoint, "mask_source": "Box below"}
        instance = pressed(host.instance("org.latensify.remove", context, params=params, clips=clips))
        assert "latensify train shot" in host.messages[-1].text and host.messages[-1].kind == "message"
        assert instance.get("fit_request") == 0
        host.check()


def test_a_missing_frame_is_named(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        source = shot(0, LAST, missing=frozenset({4.0}))
        instance = pressed(remove(host, running.endpoint, mask_of(soft_matte()), source, seed=58_000))
        result = instance.render(1)
        assert result.status == K.kOfxStatFailed and "Source for frame 4" in result.messages[0].text
        host.check()


def test_a_clip_that_is_too_long_is_told(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        source = Clip(lambda frame: plate(int(frame)), frame_range=(0, 5000))
        instance = pressed(remove(host, running.endpoint, mask_of(soft_matte()), source, seed=59_000))
        result = instance.render(1)
        assert result.status == K.kOfxStatFailed
        assert f"at most {MOST_FITTED} frames, and this clip has 5001; trim it" in result.messages[0].text
        host.check()


def test_a_primed_shot_serves_its_fit_to_a_host_of_single_frames(bundle: Path, running: Server) -> None:
    """Fitted in one host, and found by the frame alone in another."""
    with OfxHost(bundle) as host:
        assert pressed(node(host, running.endpoint, seed=60_000)).render(2).ok
    with OfxHost(bundle, GENERIC.but(temporal=False)) as host:
        instance = node(host, running.endpoint, seed=60_000, fill=FILL)
        shows_the_fit(instance.render(2).image, 2)
        host.check()
