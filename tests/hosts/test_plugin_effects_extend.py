"""Extend in the host: the output is larger than the source, which keeps every bit; the margin is solid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latensify_bridge.effects import Extend, parse
from latensify_bridge.framing import extended, margins_of

from .expected import HEIGHT, WIDTH, assert_same, plate, shot
from .ofx_host import Clip, Instance, OfxHost
from .servers import Server
from .stub_server import stub_server

EXTEND = "org.latensify.extend"
MARGINS = {"left": 6, "right": 3, "top": 5, "bottom": 2}
ASPECTS = {"2.39:1": 1, "1.85:1": 2, "16:9": 3, "4:3": 4, "1:1": 5, "4:5": 6, "9:16": 7}


def extend(host: OfxHost, endpoint: str, source: Clip | None = None, **params: Any) -> Instance:
    stated = {"server": endpoint, "window": 1, "overlap": 0, **params}
    return host.instance(EXTEND, "general", params=stated, clips={"Source": source or shot()})


def assert_extended(image: Any, pixels: Any, depth: str, margins: tuple[int, int, int, int]) -> None:
    """The source untouched; around it the fake engine's edit of solid black: white."""
    left, right, top, bottom = margins
    height, width = pixels.shape[:2]
    assert image.shape == (height + top + bottom, width + left + right, pixels.shape[2])
    inside = (slice(top, top + height), slice(left, left + width))
    assert_same(image[inside], pixels)
    margin = np.ones(image.shape[:2], bool)
    margin[inside] = False
    white = {"byte": 255, "short": 65535}.get(depth, 1)
    assert (image[margin] == white).all()


@pytest.mark.parametrize("kind", ["unpremultiplied", "premultiplied"])
@pytest.mark.parametrize("depth", ["byte", "short", "half", "float"])
def test_the_source_keeps_every_bit_and_the_margin_is_solid(
    bundle: Path, running: Server, depth: str, kind: str
) -> None:
    pixels = plate(1, 4, depth)
    with OfxHost(bundle) as host:
        source = Clip({1: pixels}, depth=depth, premultiplication=kind, origin=(-3, 7))
        instance = extend(host, running.endpoint, source, **MARGINS)
        assert instance.region_of_definition(1) == (-3 - 6, 7 - 2, -3 + WIDTH + 3, 7 + HEIGHT + 5)
        result = instance.render(1)
        host.check()
    assert result.ok, result.messages
    assert_extended(result.image, pixels, depth, (6, 3, 5, 2))


def test_rgb_without_alpha(bundle: Path, running: Server) -> None:
    pixels = plate(1, 3, "float")
    with OfxHost(bundle) as host:
        result = extend(host, running.endpoint, Clip({1: pixels}, components="RGB"), **MARGINS).render(1)
        host.check()
    assert_extended(result.image, pixels, "float", (6, 3, 5, 2))


@pytest.mark.parametrize("aspect", ASPECTS)
@pytest.mark.parametrize("pixel_aspect", [1.0, 2.0])
def test_an_aspect_is_settled_as_the_command_line_does(
    bundle: Path, aspect: str, pixel_aspect: float, running: Server
) -> None:
    pixels = plate(1)
    settled = extended(parse(Extend, {"aspect": aspect, "left": 4}), WIDTH, HEIGHT, pixel_aspect)
    margins = margins_of(settled)
    label = next(choice.label for choice in type(settled.aspect) if choice.value == aspect)  # type: ignore[union-attr]
    with OfxHost(bundle) as host:
        source = Clip({1: pixels}, pixel_aspect=pixel_aspect)
        instance = extend(host, running.endpoint, source, aspect=label, left=4)
        x1, y1, x2, y2 = instance.region_of_definition(1)
        result = instance.render(1)
        host.check()
    assert (x1, x2) == (-margins.left * pixel_aspect, (WIDTH + margins.right) * pixel_aspect)
    assert (y1, y2) == (-margins.bottom, HEIGHT + margins.top)
    across, down = (float(part) for part in aspect.split(":"))
    assert (x2 - x1) / (y2 - y1) == pytest.approx(across / down, rel=2 * pixel_aspect / HEIGHT)
    assert_extended(result.image, pixels, "float", (margins.left, margins.right, margins.top, margins.bottom))


@pytest.mark.parametrize("scale", [(0.5, 0.5), (0.25, 0.25), (0.5, 1.0)])
def test_proxies_leave_no_rim(bundle: Path, running: Server, scale: tuple[float, float]) -> None:
    """Every pixel of the larger frame is either the source's or painted, whatever the host's rounding."""
    with OfxHost(bundle) as host:
        source = Clip({1: plate(1, height=151, width=307)}, origin=(5, 3))
        instance = extend(host, running.endpoint, source, left=7, right=9, top=5, bottom=3)
        result = instance.render(1, scale=scale)
        proxy = instance.clips["Source"].array(1, scale)
        host.check()
    assert result.ok and result.image is not None and proxy is not None
    assert result.image.shape[0] > proxy.shape[0] and result.image.shape[1] > proxy.shape[1]
    assert not (result.image[..., :3] == 0).all(axis=-1).any()
    assert (result.image[0, :, 3] == 1).all() and (result.image[:, -1, 3] == 1).all()


def test_the_request_says_margins_and_sends_the_source_alone(bundle: Path) -> None:
    with stub_server() as stub, OfxHost(bundle) as host:
        extend(host, stub.endpoint, Clip({1: plate(1)}), aspect="16:9", top=2).render(1)
    (submit,) = stub.submits()
    sent = parse(Extend, submit["params"])
    assert sent == extended(
        parse(Extend, {**submit["params"], "aspect": "16:9", "bottom": 0, "top": 2}), WIDTH, HEIGHT, 1
    )
    (put,) = (header for header in stub.asked if header["type"] == "put")
    assert (put["spec"]["width"], put["spec"]["height"]) == (WIDTH, HEIGHT)
    assert submit["sources"][0]["mask"] is None


def test_without_margins_the_output_is_the_source(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = extend(host, running.endpoint)
        assert instance.is_identity(1) == ("Source", 1.0)
        assert instance.region_of_definition(1) == (0, 0, WIDTH, HEIGHT)
        instance.set("left", 3)
        assert instance.is_identity(1) is None


def test_a_host_that_cannot_grow_frames_shows_the_source(bundle: Path, running: Server) -> None:
    """Some hosts hand out a buffer of the source's size whatever the region: nothing is written beyond it."""
    pixels = plate(1)
    with OfxHost(bundle) as host:
        result = extend(host, running.endpoint, Clip({1: pixels}), **MARGINS).render(
            1, window=(0, 0, WIDTH, HEIGHT), bounds=(0, 0, WIDTH, HEIGHT)
        )
        host.check()
    assert_same(result.image, pixels)


def test_there_is_no_mask(bundle: Path) -> None:
    with OfxHost(bundle) as host:
        description = host.describe(EXTEND, "general")
        host.check()
    assert list(description.clips) == ["Source", "Output"]
    assert not {"mask_source", "box_x"} & set(description.params)
    assert {"mask_grow", "mask_feather"} <= set(description.params)
