"""Mattes in the host: where they come from, where they lie, and renders that change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .expected import (
    HEIGHT,
    REMOVE,
    RESTYLE,
    WIDTH,
    Array,
    assert_same,
    edited,
    mask_of,
    plate,
    remove,
    restyle,
    shot,
    soft_matte,
)
from .ofx_host import GENERIC, MLT, NATRON, NUKE, RESOLVE, Animated, Clip, K, Layout, OfxHost
from .servers import Server

NOWHERE = "tcp://127.0.0.1:9"  # nobody listens there


def colour_mask(**options: Any) -> tuple[Clip, Array]:
    """A Mask of four channels whose values also lie outside 0..1, and its pixels."""
    pixels = np.random.default_rng(7).random((HEIGHT, WIDTH, 4), np.float32) * 1.6 - 0.3
    return Clip(lambda _: pixels, frame_range=(-1000, 1000), **options), pixels


def luminance(rgb: Array) -> Array:
    r, g, b = (rgb[..., channel] for channel in range(3))
    mixed: Array = np.float32(0.2126) * r + np.float32(0.7152) * g + np.float32(0.0722) * b
    return mixed


def inside(matte: Array) -> Array:
    return np.clip(matte, np.float32(0), np.float32(1))


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("channel", ["Alpha", "Luminance"])
def test_mask_by_channel(bundle: Path, running: Server, channel: str, invert: bool) -> None:
    mask, pixels = colour_mask(layout=Layout("down", 8))
    matte = inside(pixels[..., 3] if channel == "Alpha" else luminance(pixels))
    matte = 1 - matte if invert else matte
    with OfxHost(bundle) as host:
        result = remove(host, running.endpoint, mask, mask_channel=channel, mask_invert=invert).render(1)
        host.check()
    assert result.ok, result.messages
    assert_same(result.image, edited(plate(1), matte=matte))


def test_mask_without_alpha_means_its_luminance(bundle: Path, running: Server) -> None:
    _, pixels = colour_mask()
    mask = Clip(lambda _: pixels[..., :3], components="RGB", frame_range=(0, 100))
    with OfxHost(bundle) as host:
        result = remove(host, running.endpoint, mask, mask_channel="Alpha").render(1)
    assert_same(result.image, edited(plate(1), matte=inside(luminance(pixels))))


@pytest.mark.parametrize("depth", ["byte", "short", "half"])
def test_mask_in_other_depths(bundle: Path, running: Server, depth: str) -> None:
    levels = {"byte": 255, "short": 65535}.get(depth, 1)
    pixels = np.rint(soft_matte() * levels).astype({"byte": np.uint8, "short": np.uint16, "half": np.float16}[depth])
    with OfxHost(bundle) as host:
        result = remove(host, running.endpoint, mask_of(pixels, depth=depth)).render(1)
    assert_same(result.image, edited(plate(1), matte=pixels.astype(np.float32) / np.float32(levels)))


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("origin", [(10, 5), (-30, -20), (60, 30), (400, 0)])
def test_mask_lies_where_its_bounds_say(bundle: Path, running: Server, origin: tuple[int, int], invert: bool) -> None:
    matte = soft_matte(30, 40)
    laid = np.zeros((HEIGHT + 1000, WIDTH + 1000), np.float32)
    top, left = 500 + HEIGHT - origin[1] - 30, 500 + origin[0]
    laid[top : top + 30, left : left + 40] = matte
    laid = laid[500 : 500 + HEIGHT, 500 : 500 + WIDTH]
    with OfxHost(bundle) as host:
        instance = remove(host, running.endpoint, mask_of(matte, origin=origin), mask_invert=invert)
        result = instance.render(1)
        host.check()
    assert_same(result.image, edited(plate(1), matte=1 - laid if invert else laid))


def test_source_alpha_is_the_matte(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        result = restyle(host, running.endpoint, mask_source="Alpha of the source").render(1)
        assert_same(result.image, edited(plate(1), matte=inside(plate(1)[..., 3])))
        opaque = shot(components="RGB")
        result = restyle(host, running.endpoint, opaque, mask_source="Alpha of the source").render(1)
        assert_same(result.image, edited(plate(1)[..., :3]))
        host.check()


def test_box_is_animated_and_each_frame_of_a_window_has_its_own(bundle: Path, running: Server) -> None:
    box: dict[str, Any] = {"box_x": Animated({0: 0.0, 20: 0.8}), "box_y": 0.5, "box_width": 0.1, "box_height": 0.6}
    with OfxHost(bundle) as host:
        instance = restyle(host, running.endpoint, mask_source="Box below", window=8, overlap=2, **box)
        for frame in (0, 7, 20):
            matte = np.zeros((HEIGHT, WIDTH), np.float32)
            x = 0.8 * frame / 20
            matte[18:, int(x * WIDTH + 0.5) : int((x + 0.1) * WIDTH + 0.5)] = 1
            assert_same(instance.render(frame).image, edited(plate(frame), matte=matte))
        host.check()


UNMASKED = {
    "generic": (GENERIC, "filter"),
    "MLT": (MLT, "filter"),
    "Nuke": (NUKE, "general"),
    "Natron": (NATRON, "general"),
    "Resolve": (RESOLVE, "filter"),
    "no such clip": (GENERIC.but(clips=frozenset({"Source", "Output"})), "filter"),
    "no data": (GENERIC.but(unconnected="null"), "filter"),
}


@pytest.mark.parametrize("name", UNMASKED)
def test_remove_without_a_mask_passes_through(bundle: Path, running: Server, name: str) -> None:
    variant, context = UNMASKED[name]
    params = {"server": running.endpoint, "window": 1, "overlap": 0}
    with OfxHost(bundle, variant) as host:
        instance = host.instance(REMOVE, context, params=params, clips={"Source": shot()})
        for frame, identity in ((1, True), (2, False)):
            result = instance.render(frame, identity=identity)
            assert result.ok
            assert_same(result.image, plate(frame))
        said = [message.text for message in host.messages]
        host.check()
    if variant is RESOLVE:  # there a missing mask looks connected and is black
        assert not said
    else:
        assert len(said) == 1 and "Remove needs a matte and has none" in said[0]


def test_restyle_goes_over_the_whole_frame_where_no_mask_is(bundle: Path, running: Server) -> None:
    with OfxHost(bundle, GENERIC.but(unconnected="null")) as host:
        result = restyle(host, running.endpoint, mask_source="Mask input").render(1)
        host.check()
    assert_same(result.image, edited(plate(1)))


@pytest.mark.parametrize("gone", [7.0, 9.0], ids=["the frame's own", "of the window"])
@pytest.mark.parametrize("effect", [RESTYLE, REMOVE])
def test_missing_frame_of_a_connected_mask_fails(bundle: Path, running: Server, effect: str, gone: float) -> None:
    mask = mask_of(soft_matte(), missing=frozenset({gone}))
    params = {"server": running.endpoint, "window": 8, "overlap": 2, "preset": 1, "mask_source": "Mask input"}
    with OfxHost(bundle) as host:
        instance = host.instance(effect, "general", params=params, clips={"Source": shot(), "Mask": mask})
        result = instance.render(7)
        assert result.status == K.kOfxStatFailed
        assert f"no picture of Mask for frame {gone:g}" in result.messages[0].text
        host.check()


def test_message_goes_when_nothing_is_to_be_changed_any_more(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = restyle(host, running.endpoint, shot(missing=frozenset({7.0})), window=8, overlap=2)
        assert instance.render(6).messages[0].kind == "persistent"
        instance.set("mix", 0.0)
        assert_same(instance.render(6).image, plate(6))
        assert host.messages[-1].kind == "clear"
        host.check()


def test_message_goes_once_a_mask_is_there(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = host.instance(REMOVE, "general", params={"server": running.endpoint}, clips={"Source": shot()})
        instance.render(1)
        instance.connect("Mask", mask_of(soft_matte()))
        instance.clips["Mask"].components = "Alpha"
        result = instance.render(1)
        assert [message.kind for message in host.messages] == ["persistent", "clear"]
        assert_same(result.image, edited(plate(1), matte=soft_matte()))
        host.check()


@pytest.mark.parametrize(
    "params", [{"preset": 0}, {"preset": 0, "prompt": " \t"}, {"strength": 0.0}, {"mix": 0.0}], ids=str
)
def test_what_changes_nothing_is_asked_of_no_server(bundle: Path, params: dict[str, Any]) -> None:
    for variant in (GENERIC, MLT):
        with OfxHost(bundle, variant) as host:
            instance = restyle(host, NOWHERE, **params)
            asked = instance.is_identity(1)
            assert asked == (None if variant is MLT else ("Source", 1.0))
            for identity in (True, False):
                result = instance.render(1, identity=identity)
                assert result.ok and result.seconds < 0.2 and not result.messages
                assert_same(result.image, plate(1))
            host.check()


def test_strength_of_one_frame_alone_can_be_nothing(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = restyle(host, running.endpoint, strength=Animated({3: 0.0, 4: 0.5}))
        assert instance.is_identity(3) == ("Source", 3.0) and instance.is_identity(4) is None
        assert_same(instance.render(3).image, plate(3))
        assert_same(instance.render(4).image, edited(plate(4)))
        host.check()


@pytest.mark.parametrize("mix", [0.5, 1e-3])
def test_mix_blends(bundle: Path, running: Server, mix: float) -> None:
    with OfxHost(bundle) as host:
        result = restyle(host, running.endpoint, mix=mix).render(1)
    assert_same(result.image, edited(plate(1), mix=mix))
