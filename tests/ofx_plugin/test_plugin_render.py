"""Renders through the real binary, in the test host, by a server whose edit inverts the plate inside its matte."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hosts.ofx_host import (
    DTYPES,
    GENERIC,
    MLT,
    NATRON,
    RESOLVE,
    Abort,
    Animated,
    Clip,
    HostVariant,
    Instance,
    K,
    Layout,
    OfxHost,
    to_depth,
)
from hosts.servers import Server, server
from latensify_bridge.composite import quantise

RESTYLE, REMOVE = "org.latensify.restyle", "org.latensify.remove"
HEIGHT, WIDTH = 64, 97
LOOK = {"preset": "Winter"}
LEFT, RIGHT, TOP, BOTTOM = 24, 73, 16, 48  # the default box: a quarter to three quarters, edges to the nearest pixel
LAYOUTS = {"up": Layout(), "padded": Layout(padding=12), "down": Layout("down"), "down padded": Layout("down", 20)}
Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("server")
    with tempfile.TemporaryDirectory(prefix="lt-") as shared, server(home, env={"LATENSIFY_SHM": shared}) as found:
        yield found


def plate(frame: int, channels: int = 4, wide: bool = False) -> Array:
    """Noise; `wide`: with highlights and negative values, as scene-linear float has. The top rows are transparent."""
    values = np.random.default_rng(frame).random((HEIGHT, WIDTH, channels), np.float32)
    if wide:
        values[..., :3] = values[..., :3] * 40.1 - 0.1
    if channels == 4:
        values[:5, :, 3] = 0
    return values


SHOT = {frame: plate(frame) for frame in range(1, 25)}


def half(values: Array) -> Array:
    """As it travels."""
    result: Array = np.clip(values, -65504, 65504).astype(np.float16).astype(np.float32)
    return result


def inverted(values: Array) -> Array:
    return half(1 - half(values[..., :3]))


def restyle(host: OfxHost, running: Server, clip: Clip | None = None, **params: Any) -> Instance:
    stated = {**LOOK, "server": running.endpoint, **params}
    context = "general" if "general" in host.variant.contexts else "filter"
    return host.instance(RESTYLE, context, params=stated, clips={"Source": clip or Clip(SHOT)})


def remove(host: OfxHost, running: Server, mask: Clip, **params: Any) -> Instance:
    clips = {"Source": Clip(SHOT), "Mask": mask}
    return host.instance(REMOVE, "general", params={"server": running.endpoint, **params}, clips=clips)


def said(result: Any) -> str:
    assert len(result.messages) == 1, result.messages
    return str(result.messages[0].text)


# -- pixels


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("components", ["RGBA", "RGB"])
@pytest.mark.parametrize("depth", DTYPES)
def test_every_format_is_edited_inside_the_box_alone(
    bundle: Path, running: Server, depth: str, components: str, layout: str
) -> None:
    source = to_depth(plate(1, len(components), wide=depth in ("half", "float")), depth)
    clip = Clip({1: source}, depth=depth, components=components, layout=LAYOUTS[layout], origin=(-7, 5))
    with OfxHost(bundle) as host:
        result = restyle(host, running, clip, mask_source="Box below").render(1)
        host.check()
    assert result.ok and result.image is not None, result.messages
    levels = {"byte": 255, "short": 65535}.get(depth)
    floats = source.astype(np.float32) / np.float32(levels or 1)
    edit = inverted(floats)
    expected = source.copy()
    inside = np.s_[TOP:BOTTOM, LEFT:RIGHT]
    expected[inside][..., :3] = (quantise(edit, levels) if levels else edit)[inside]
    np.testing.assert_array_equal(result.image, expected)


def test_highlights_and_negative_values_survive_outside_bit_for_bit(bundle: Path, running: Server) -> None:
    source = plate(1, wide=True)
    source[0, 0] = [-0.0, 1e-42, 65504.5, 3e38]
    with OfxHost(bundle) as host:
        result = restyle(host, running, Clip({1: source}), mask_source="Box below").render(1)
    assert result.image is not None
    changed = (result.image.view(np.uint32) != source.view(np.uint32)).any(axis=2)
    assert changed[TOP:BOTTOM, LEFT:RIGHT].all() and changed.sum() == (BOTTOM - TOP) * (RIGHT - LEFT)


def test_premultiplied_plates_are_edited_straight(bundle: Path, running: Server) -> None:
    source = plate(1)
    source[..., :3] *= source[..., 3:]
    clip = Clip({1: source}, premultiplication="premultiplied")
    with OfxHost(bundle) as host:
        result = restyle(host, running, clip).render(1)
    alpha = source[..., 3:]
    straight = np.divide(source[..., :3], alpha, where=alpha > 0, out=source[..., :3].copy())
    assert result.image is not None
    np.testing.assert_array_equal(result.image[..., :3], inverted(straight) * alpha)
    np.testing.assert_array_equal(result.image[..., 3:], alpha)


def test_alpha_alone_passes_through(bundle: Path, running: Server) -> None:
    source = plate(1, 1)
    with OfxHost(bundle) as host:
        instance = restyle(host, running, Clip({1: source}, components="Alpha"))
        for identity in (True, False):
            np.testing.assert_array_equal(instance.render(1, identity=identity).image, source)
        host.check()


def test_only_the_render_window_is_written(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = restyle(host, running)
        whole = instance.render(10).image
        part = instance.render(10, window=(10, 20, 50, 40), bounds=(-5, -5, WIDTH + 5, HEIGHT + 5)).image
        host.check()  # what lies outside the window still holds what the host put there
    assert whole is not None
    np.testing.assert_array_equal(part, whole[HEIGHT - 40 : HEIGHT - 20, 10:50])


def test_mix_blends_and_asks_for_nothing_new(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = restyle(host, running, seed=11)
        instance.render(10)
        instance.set("mix", 0.25)
        result = instance.render(10)
        instance.set("seed", 11)  # any edit shows the last status
        assert "from the cache" in instance.get("status")
    source = SHOT[10][..., :3]
    assert result.image is not None
    np.testing.assert_array_equal(result.image[..., :3], source + (inverted(source) - source) * np.float32(0.25))


def test_thumbnails_and_tiny_pictures_cost_nothing(bundle: Path) -> None:
    nowhere = Server("tcp://127.0.0.1:9", None, Path())  # type: ignore[arg-type]
    with OfxHost(bundle) as host:
        np.testing.assert_array_equal(restyle(host, nowhere).render(10, thumbnail=True).image, SHOT[10])
        tiny = {1: SHOT[1][:, :60]}
        np.testing.assert_array_equal(restyle(host, nowhere, Clip(tiny)).render(1).image, tiny[1])


# -- mattes


def test_mask_clip_blends_by_its_values(bundle: Path, running: Server) -> None:
    matte = np.zeros((HEIGHT, WIDTH, 1), np.float32)
    matte[10:40, 20:60], matte[15:30, 30:40] = 0.5, 1
    with OfxHost(bundle) as host:
        result = remove(host, running, Clip(dict.fromkeys(SHOT, matte), components="Alpha")).render(10)
        host.check()
    source = SHOT[10][..., :3]
    edit = inverted(source)
    expected = np.where(matte <= 0, source, np.where(matte >= 1, edit, source + (edit - source) * matte))
    assert result.image is not None
    np.testing.assert_array_equal(result.image[..., :3], expected)


def test_mask_is_laid_over_the_source_by_its_coordinates(bundle: Path, running: Server) -> None:
    square = np.ones((20, 30, 4), np.float32)
    with OfxHost(bundle) as host:
        instance = remove(host, running, Clip(dict.fromkeys(SHOT, square), origin=(5, 6)))
        changed = (instance.render(10).image != SHOT[10]).any(axis=2)
        instance.set("mask_invert", True)
        rest = (instance.render(10).image != SHOT[10]).any(axis=2)
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[HEIGHT - 26 : HEIGHT - 6, 5:35] = True
    np.testing.assert_array_equal(changed, expected)
    np.testing.assert_array_equal(rest, ~expected)


def test_luminance_and_source_alpha_can_be_the_matte(bundle: Path, running: Server) -> None:
    white = np.zeros((HEIGHT, WIDTH, 4), np.float32)
    white[:20, :, :3] = 1
    with OfxHost(bundle) as host:
        instance = remove(host, running, Clip(dict.fromkeys(SHOT, white)), mask_channel="Luminance")
        changed = (instance.render(10).image != SHOT[10]).any(axis=2)
        assert changed[:20].all() and not changed[20:].any()
        instance.set("mask_source", "Alpha of the source")
        changed = (instance.render(10).image != SHOT[10]).any(axis=2)
        assert changed[5:].all() and not changed[:5].any()


def test_box_moves_with_its_keys(bundle: Path, running: Server) -> None:
    box: dict[str, Any] = {
        "mask_source": "Box below",
        "box_x": Animated({1: 0.0, 21: 0.5}),
        "box_width": 0.1,
        "box_height": 1.0,
    }
    with OfxHost(bundle) as host:
        image = restyle(host, running, **box).render(11).image
    assert image is not None
    columns = np.flatnonzero((image != SHOT[11]).any(axis=(0, 2)))
    assert (columns[0], columns[-1]) == (24, 33)


def test_mask_of_another_pixel_shape_is_refused(bundle: Path, running: Server) -> None:
    mask = Clip(dict.fromkeys(SHOT, np.ones((HEIGHT, WIDTH, 1), np.float32)), components="Alpha", pixel_aspect=2.0)
    with OfxHost(bundle) as host:
        result = remove(host, running, mask).render(10)
    assert result.status == K.kOfxStatFailed and "Mask has pixels of aspect 2" in said(result)


def test_remove_without_a_matte_is_the_source_and_says_why(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = host.instance(REMOVE, params={"server": running.endpoint}, clips={"Source": Clip(SHOT)})
        assert instance.is_identity(10) == ("Source", 10.0)
        result = instance.render(10, identity=False)
        np.testing.assert_array_equal(result.image, SHOT[10])
        assert result.ok and [m.text for m in host.messages] == [host.messages[0].text]
        assert "needs a matte" in host.messages[0].text


@pytest.mark.parametrize("params", [{"preset": 0}, {"preset": 0, "prompt": " "}, {"strength": 0.0}, {"mix": 0.0}])
def test_what_changes_nothing_is_the_source(bundle: Path, params: dict[str, Any]) -> None:
    nowhere = Server("tcp://127.0.0.1:9", None, Path())  # type: ignore[arg-type]
    with OfxHost(bundle) as host:
        instance = restyle(host, nowhere, **params)
        assert instance.is_identity(10) == ("Source", 10.0)
        np.testing.assert_array_equal(instance.render(10, identity=False).image, SHOT[10])


# -- frames


def test_frames_are_the_same_in_any_order_and_on_any_thread(bundle: Path, running: Server) -> None:
    options: dict[str, Any] = {"params": {**LOOK, "server": running.endpoint}, "clips": {"Source": Clip(SHOT)}}
    with OfxHost(bundle) as host:
        backwards = host.render_frames(RESTYLE, "filter", range(24, 0, -1), **options)
        together = host.render_frames(RESTYLE, "filter", range(1, 25), threads=4, **options)
        host.check()
    for frame, source in SHOT.items():
        image = together[frame].image
        assert image is not None
        np.testing.assert_array_equal(backwards[frame].image, image)
        np.testing.assert_array_equal(image[..., :3], inverted(source))


def test_windows_fetch_what_was_declared(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = restyle(host, running, window=8, overlap=2)
        assert instance.frames_needed(10)["Source"] == [(6.0, 13.0)]  # window 1 of stride 6
        instance.set("frame_offset", 1)
        result = instance.render(10)
        host.check()
    assert {time for clip, time in result.fetches if clip == "Source"} == set(map(float, range(5, 13)))


@pytest.mark.parametrize("variant", [MLT, GENERIC.but(frame_ranges=False)], ids=["no temporal access", "no range"])
def test_one_frame_where_no_more_can_be_had(bundle: Path, running: Server, variant: HostVariant) -> None:
    with OfxHost(bundle, variant) as host:
        result = restyle(host, running).render(10)
        assert result.ok and {time for _, time in result.fetches} == {10.0}


def test_missing_frame_is_named_and_the_message_goes_when_it_is_there(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = restyle(host, running, Clip(SHOT, missing=frozenset({12.0})))
        result = instance.render(10)
        assert result.status == K.kOfxStatFailed and "Source for frame 12" in said(result)
        instance.connect("Source", Clip(SHOT))
        assert [message.kind for message in instance.render(10).messages] == ["clear"]
        host.check()


def test_process_range_edits_all_frames_ahead(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = restyle(host, running, seed=77)
        assert instance.button("process_range") == K.kOfxStatOK
        result = instance.render(5)
        assert result.ok and {time for _, time in result.fetches} == set(map(float, SHOT))
        assert result.progress[0] == ("start", "Latensify Restyle, frames 1-24") and result.progress[-1][0] == "end"
        assert len(instance.render(5).fetches) < 24, "only the press renders the range"
        for frame in SHOT:
            assert instance.render(frame).ok
            instance.set("mix", 1.0)
            assert "from the cache" in instance.get("status")
        host.check()


def test_process_range_says_when_the_host_cannot(bundle: Path, running: Server) -> None:
    with OfxHost(bundle, GENERIC.but(temporal=False)) as host:
        instance = restyle(host, running)
        instance.button("process_range")
        assert "latensify render restyle" in host.messages[-1].text
        assert instance.get("process_request") == 0


# -- what goes wrong


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"strength": 9.0}, "Strength is 9; it must lie between 0 and 1."),
        ({"guidance_scale": float("nan")}, "Guidance scale is nan; it must lie between 0 and 30."),
        ({"window": 0}, "Window is 0; it must lie between 1 and 256."),
        ({"window": 8, "overlap": 6}, "verlap"),
        ({"prompt": "x" * 5000}, "prompt"),
    ],
)
def test_parameters_out_of_their_limits(bundle: Path, running: Server, params: dict[str, Any], sentence: str) -> None:
    with OfxHost(bundle) as host:
        result = restyle(host, running, **params).render(10)
        host.check()
    assert result.status == K.kOfxStatFailed and sentence in said(result)


def test_no_server_is_said_once(bundle: Path) -> None:
    nowhere = Server("tcp://127.0.0.1:9", None, Path())  # type: ignore[arg-type]
    with OfxHost(bundle, RESOLVE) as host:
        instance = restyle(host, nowhere)
        first, second = instance.render(10), instance.render(11)
        host.check()
    assert first.status == second.status == K.kOfxStatFailed and first.seconds < 5
    assert "127.0.0.1:9" in said(first) and not second.messages


def test_auto_starts_the_recorded_server(bundle: Path, home: Path) -> None:
    (home / "config").mkdir(parents=True)
    serve = [sys.executable, "-m", "latensify_server", "serve", "--auto", "--engine", "fake", "--idle-exit", "2"]
    (home / "config/server.json").write_text(json.dumps({"command": serve}))
    with OfxHost(bundle) as host:
        options: dict[str, Any] = {"params": {**LOOK, "server": "auto"}, "clips": {"Source": Clip(SHOT)}}
        results = host.render_frames(RESTYLE, "filter", [3, 4, 5], threads=3, **options)
        host.check()
    assert all(result.ok for result in results.values()), host.messages
    log = (home / "run/server.log").read_text()
    assert log.lower().count("listening") == 1, log  # three renders, one server


def test_auto_says_how_to_get_a_server(bundle: Path) -> None:
    with OfxHost(bundle) as host:
        result = restyle(host, Server("auto", None, Path())).render(3)  # type: ignore[arg-type]
    assert result.status == K.kOfxStatFailed and "latensify plugin install" in said(result)


def test_killed_server_fails_the_frame_and_a_new_one_serves_the_next(
    bundle: Path, slow: Server, tmp_path: Path
) -> None:
    with OfxHost(bundle, NATRON) as host:
        instance = restyle(host, slow)
        timer = _after(1.0, slow.kill)
        result = instance.render(10)
        timer.join()
        assert result.status == K.kOfxStatFailed and result.seconds < 6 and said(result)
        with server(tmp_path / "next", endpoint=slow.endpoint):
            assert instance.render(10).ok
        host.check()


def test_abort_returns_at_once(bundle: Path, slow: Server) -> None:
    with OfxHost(bundle) as host:
        instance = restyle(host, slow)
        for seconds in (0.05, 1.0):
            result = instance.render(10, abort=Abort(after_s=seconds))
            assert result.status == K.kOfxStatOK and not result.messages
            assert result.abort_latency_s is not None and result.abort_latency_s < 0.25
            assert result.abort.largest_gap_s < 0.25
        host.check()


def test_stopping_at_the_progress_display_fails_the_frame_silently(bundle: Path, slow: Server) -> None:
    with OfxHost(bundle) as host:
        result = restyle(host, slow).render(10, abort=Abort(after_updates=2))
        host.check()
    assert result.status == K.kOfxStatFailed and not result.messages


def _after(seconds: float, call: Callable[[], None]) -> threading.Timer:
    timer = threading.Timer(seconds, call)
    timer.start()
    return timer
