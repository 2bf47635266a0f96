"""Frames in the host: what is fetched and asked for a frame is decided by the shot alone, never by the order."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from latensify_bridge.windows import frames_of

from .expected import RESTYLE, assert_same, edited, mask_of, plate, remove, report, restyle, shot, soft_matte
from .ofx_host import GENERIC, MLT, NATRON, NUKE, RESOLVE, Clip, HostVariant, K, OfxHost, Rendered
from .servers import Server
from .stub_server import Header, stub_server

FIRST, LAST = 0, 23


def fetched(result: Rendered, clip: str = "Source") -> list[float]:
    return sorted(time for name, time in result.fetches if name == clip)


def floats(frames: range) -> list[float]:
    return [float(frame) for frame in frames]


@pytest.mark.parametrize(("window", "overlap"), [(1, 0), (5, 0), (8, 2), (6, 3), (16, 4), (64, 8)])
def test_fetches_are_the_frames_of_the_windows(bundle: Path, running: Server, window: int, overlap: int) -> None:
    with OfxHost(bundle) as host:
        instance = restyle(host, running.endpoint, window=window, overlap=overlap)
        for frame in (0, 1, 5, 11, 12, 22, 23):
            needed = frames_of(frame, FIRST, LAST, window, overlap)
            result = instance.render(frame)
            assert result.ok, result.messages
            assert fetched(result) == floats(needed)
            assert instance.frames_needed(frame)["Source"] == [(float(needed[0]), float(needed[-1]))]
            assert_same(result.image, edited(plate(frame)))
        host.check()


def test_mask_is_fetched_at_the_same_times(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = remove(host, running.endpoint, mask_of(soft_matte()), window=8, overlap=2)
        needed = frames_of(9, FIRST, LAST, 8, 2)
        span = (float(needed[0]), float(needed[-1]))
        assert instance.frames_needed(9) == {"Source": [span], "Mask": [span]}
        result = instance.render(9)
        assert sorted(set(fetched(result, "Mask"))) == floats(needed)
        assert_same(result.image, edited(plate(9), matte=soft_matte()))
        host.check()


def test_shot_that_starts_before_zero(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = restyle(host, running.endpoint, shot(-9, 5), window=8, overlap=2)
        for frame in (-9, -7, -1, 0, 5):
            result = instance.render(frame)
            assert fetched(result) == floats(frames_of(frame, -9, 5, 8, 2))
            assert_same(result.image, edited(plate(frame)))
        host.check()


def test_frame_offset_moves_the_windows_not_the_pictures(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = restyle(host, running.endpoint, window=8, overlap=2, frame_offset=1001)
        for frame in (0, 7, 23):
            needed = frames_of(frame + 1001, FIRST + 1001, LAST + 1001, 8, 2)
            result = instance.render(frame)
            assert fetched(result) == [float(number - 1001) for number in needed]
            assert_same(result.image, edited(plate(frame)))
        host.check()


@pytest.mark.parametrize(
    "variant",
    [MLT, GENERIC.but(temporal=False), GENERIC.but(frame_ranges=False), GENERIC.but(temporal=False, temporal_lie=True)],
    ids=["MLT", "no temporal access", "no frame range", "a lie about time"],
)
def test_one_frame_where_no_other_can_be_had(bundle: Path, running: Server, variant: HostVariant) -> None:
    with OfxHost(bundle, variant) as host:
        instance = restyle(host, running.endpoint, window=16, overlap=4)
        for frame in (7, 0):
            result = instance.render(frame)
            assert fetched(result) == [float(frame)]
            assert_same(result.image, edited(plate(frame)))
        if variant is not MLT:
            assert instance.frames_needed(7)["Source"] == [(7.0, 7.0)]
        host.check()


@pytest.mark.parametrize("span", [(-(2.0**31), 2.0**31), (-1e300, 1e300), (float("nan"),) * 2, (5.0, -5.0), (0.0, 2.0)])
def test_one_frame_where_the_range_makes_no_sense(bundle: Path, running: Server, span: tuple[float, float]) -> None:
    """Endless, not a number, the wrong way round; or the time is the timeline's and the range the media's."""
    source = shot(outside="hold", frame_range=(0, 23))
    with OfxHost(bundle) as host:
        instance = restyle(host, running.endpoint, source, window=8, overlap=2)
        clip = instance.clips["Source"]
        publish = clip.publish

        def lying(thumbnail: bool = False) -> None:
            publish(thumbnail)
            clip.properties.put(K.kOfxImageEffectPropFrameRange, *span)

        clip.publish = lying  # type: ignore[method-assign]
        clip.publish()
        result = instance.render(7)
        assert fetched(result) == [7.0]
        assert_same(result.image, edited(plate(7)))
        host.check()


def test_pictures_of_a_window_may_differ_in_size(bundle: Path, running: Server) -> None:
    """As data windows do: each is asked for in the bounds of the frame that is rendered."""
    frames = {frame: plate(frame, height=30 + frame, width=90 - frame) for frame in range(12)}
    with OfxHost(bundle) as host:
        instance = restyle(host, running.endpoint, Clip(frames, origin=(3, 4)), window=6, overlap=2)
        for frame in (0, 5, 11):
            assert_same(instance.render(frame).image, edited(frames[frame]))
        instance.button("process_range")
        assert_same(instance.render(5).image, edited(frames[5]))
        host.check()


def test_time_between_frames_is_rendered(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = restyle(host, running.endpoint, window=4, overlap=1)
        result = instance.render(7.25)
        assert result.ok, result.messages
        assert fetched(result) == [float(n) if n != 7 else 7.25 for n in frames_of(7, FIRST, LAST, 4, 1)]
        assert_same(result.image, edited(plate(7)))  # this host's picture of 7.25 is that of 7
        assert instance.render(1e12).status == K.kOfxStatFailed
        host.check()


def asked(bundle: Path, variant: HostVariant = GENERIC, frame: int = 7, **params: Any) -> Header:
    """The request that a render sends; it is refused."""
    with stub_server() as stub, OfxHost(bundle, variant) as host:
        source = shot(pixel_aspect=params.pop("aspect", 1.0))
        scale = params.pop("scale", (1.0, 1.0))
        result = restyle(host, stub.endpoint, source, **{"window": 8, "overlap": 2, **params}).render(
            frame, scale=scale
        )
        assert result.status == K.kOfxStatFailed
        (submit,) = stub.submits()
    return submit


def test_request_says_which_frames_of_which_shot(bundle: Path) -> None:
    submit = asked(bundle, frame_offset=100)
    assert (submit["effect"], submit["frame"], submit["first"], submit["last"]) == ("restyle", 107, 100, 123)
    numbers = [source["number"] for source in submit["sources"]]
    assert numbers == list(frames_of(107, 100, 123, 8, 2)) and submit["interactive"]
    assert (submit["params"]["window"], submit["params"]["overlap"], submit["params"]["preset"]) == (8, 2, "winter")
    assert not {"mix", "server", "mask_source", "frame_offset"} & set(submit["params"])


def test_request_of_a_host_without_temporal_access_has_one_frame(bundle: Path) -> None:
    submit = asked(bundle, MLT)
    assert (submit["frame"], submit["first"], submit["last"]) == (7, 7, 7)
    assert (submit["params"]["window"], submit["params"]["overlap"]) == (1, 0)
    assert [source["number"] for source in submit["sources"]] == [7]


def test_request_tells_scale_and_shape_of_pixels(bundle: Path) -> None:
    submit = asked(bundle, scale=(1.0, 1.0), aspect=2.0)
    assert (submit["render_scale"], submit["pixel_aspect"]) == (1.0, 2.0)
    wide = {frame: plate(frame, width=151) for frame in range(24)}
    with stub_server() as stub, OfxHost(bundle) as host:
        instance = restyle(host, stub.endpoint, Clip(wide, pixel_aspect=2.0))
        instance.render(7, scale=(0.5, 0.5))
        instance.render(7, scale=(0.5, 1.0))  # a proxy of every other column: its pixels are twice as wide
        halved, squeezed = stub.submits()
    assert (halved["render_scale"], halved["pixel_aspect"]) == (0.5, 2.0)
    assert (squeezed["render_scale"], squeezed["pixel_aspect"]) == (0.5, 4.0)


@pytest.mark.parametrize(
    ("variant", "space"),
    [(RESOLVE, "rec709"), (NUKE, "linear_rec709"), (NATRON, "linear_rec709"), (MLT, "srgb"), (GENERIC, "srgb")],
    ids=lambda value: getattr(value, "name", None),
)
def test_colour_space_auto_is_the_hosts(bundle: Path, variant: HostVariant, space: str) -> None:
    assert asked(bundle, variant)["params"]["colour_space"] == space


def test_same_pixels_in_any_order_on_any_thread_and_instance(bundle: Path, running: Server) -> None:
    """Every order asks the very same of the server: after the first, all of it is in the cache."""
    params = {"preset": "Winter", "server": running.endpoint, "window": 8, "overlap": 2, "seed": 20_001}
    options: dict[str, Any] = {"params": params, "clips": {"Source": shot()}}
    forwards = list(range(FIRST, LAST + 1))
    shuffled = random.Random(1).sample(forwards, len(forwards))
    runs = [(GENERIC, forwards, 1), (GENERIC, forwards[::-1], 1), (GENERIC, shuffled, 4)]
    runs.append((GENERIC.but(instance_per_frame=True), shuffled[::-1], 3))
    expected = {frame: edited(plate(frame)) for frame in forwards}
    entries = []
    for variant, frames, threads in runs:
        with OfxHost(bundle, variant) as host:
            results = host.render_frames(RESTYLE, "filter", frames, threads=threads, **options)
            host.check()
        for frame, result in results.items():
            assert result.ok, result.messages
            assert_same(result.image, expected[frame])
        entries.append(report(running).cache_entries)
    assert len(set(entries)) == 1, f"an order asked for something new: {entries}"


def test_missing_frame_of_the_window_is_named(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = restyle(host, running.endpoint, shot(missing=frozenset({9.0})), window=8, overlap=2)
        result = instance.render(7)
        (message,) = result.messages
        assert result.status == K.kOfxStatFailed and "Source for frame 9" in message.text
        assert instance.render(2).ok, "its window does not hold frame 9"
        host.check()
