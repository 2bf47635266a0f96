"""What a server answers, laid over the plate: boxes, values out of range, pixels that are no numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latensify_bridge.composite import composite, quantise
from latensify_bridge.frames import Box, Edited

from .expected import HEIGHT, WIDTH, Array, assert_same, plate, restyle
from .ofx_host import GENERIC, Clip, Layout, OfxHost
from .stub_server import Answer, result, stub_server

ROWS = [Layout(), Layout("up", 12), Layout("down"), Layout("down", 20)]


def answered(box: Box, rgb: Array, matte: Array) -> Answer:
    named = {"x0": box.x0, "y0": box.y0, "width": box.width, "height": box.height}
    return result(rgb.astype(np.float16).tobytes(), matte.astype(np.float16).tobytes(), box=named)


def part(box: Box) -> tuple[Array, Array]:
    """An edit and its matte in a box: every pixel of its own value."""
    random = np.random.default_rng(box.x0 * 100 + box.y0)
    rgb = (random.random((box.height, box.width, 3)) * 30 - 1).astype(np.float16)
    return rgb, np.clip(random.random((box.height, box.width)) * 2 - 0.5, 0, 1).astype(np.float16)


@pytest.mark.parametrize("rows", ROWS, ids=["up", "up padded", "down", "down padded"])
@pytest.mark.parametrize(
    "box", [Box(x0=10, y0=5, width=20, height=7), Box(x0=0, y0=0, width=1, height=1),
            Box(x0=WIDTH - 3, y0=HEIGHT - 2, width=3, height=2), Box(x0=0, y0=30, width=WIDTH, height=1)],
    ids=["inside", "first pixel", "last corner", "row"],
)  # fmt: skip
def test_box_lies_where_it_says(bundle: Path, box: Box, rows: Layout) -> None:
    rgb, matte = part(box)
    expected = composite(plate(1), Edited(box, rgb, matte), 1.0, False)
    source = Clip({1: plate(1)}, layout=rows, origin=(-20, 7))
    with stub_server(submit=answered(box, rgb, matte)) as stub, OfxHost(bundle) as host:
        instance = restyle(host, stub.endpoint, source)
        assert_same(instance.render(1).image, expected)
        cut = instance.render(1, window=(-12, 20, 5, 40)).image  # pixels 8..25 from the left, 3..23 from the top
        assert_same(cut, expected[3:23, 8:25])
        host.check()


def test_empty_box_is_the_source(bundle: Path) -> None:
    empty = np.zeros((0, 0, 3)), np.zeros((0, 0))
    with stub_server(submit=answered(Box(x0=0, y0=0, width=0, height=0), *empty)) as stub, OfxHost(bundle) as host:
        assert_same(restyle(host, stub.endpoint).render(1).image, plate(1))
        host.check()


@pytest.mark.parametrize(("depth", "levels"), [("byte", 255), ("short", 65535)])
def test_integers_are_clamped(bundle: Path, depth: str, levels: int) -> None:
    box = Box(x0=0, y0=0, width=WIDTH, height=HEIGHT)
    rgb, matte = part(box)
    pixels = plate(1, depth=depth)
    over = composite(pixels.astype(np.float32) / np.float32(levels), Edited(box, rgb, matte), 1.0, False)
    expected = pixels.copy()
    expected[..., :3] = np.where(matte[..., None] > 0, quantise(over[..., :3], levels), pixels[..., :3])
    with stub_server(submit=answered(box, rgb, matte)) as stub, OfxHost(bundle) as host:
        found = restyle(host, stub.endpoint, Clip({1: pixels}, depth=depth)).render(1).image
    assert_same(found, expected)
    assert (found[..., :3] == 0).any() and (found[..., :3] == levels).any()


@pytest.mark.parametrize("depth", ["byte", "half", "float"])
def test_pixels_that_are_no_numbers_stay_the_sources(bundle: Path, depth: str) -> None:
    box = Box(x0=0, y0=0, width=WIDTH, height=HEIGHT)
    rgb, matte = np.full((HEIGHT, WIDTH, 3), 0.5, np.float16), np.ones((HEIGHT, WIDTH), np.float16)
    rgb[0, :, 1], rgb[1, :, 0], rgb[2, :, 2] = np.nan, np.inf, -np.inf
    matte[3], matte[4], matte[5] = np.nan, np.inf, -np.inf
    matte[6], matte[7] = 7, -7
    pixels = plate(1, depth=depth)
    with stub_server(submit=answered(box, rgb, matte)) as stub, OfxHost(bundle) as host:
        found = restyle(host, stub.endpoint, Clip({1: pixels}, depth=depth)).render(1).image
        host.check()
    assert_same(found[[0, 1, 2, 3, 4, 5, 7]], pixels[[0, 1, 2, 3, 4, 5, 7]])
    assert (found[6, :, :3] == (128 if depth == "byte" else 0.5)).all()
    assert (found[8:, :, :3] == (128 if depth == "byte" else 0.5)).all()
    assert_same(found[..., 3], pixels[..., 3])


def test_what_the_panel_says_travels_as_it_is(bundle: Path) -> None:
    stated: dict[str, Any] = {
        "prompt": 'ein Hund, "äö" 狗 🐕\n%s', "negative_prompt": "", "seed": 2**31 - 1, "strength": 0.1,
        "quality": "Draft", "colour_space": "ARRI LogC4", "mask_grow": -12.5,
    }  # fmt: skip
    with stub_server() as stub, OfxHost(bundle, GENERIC) as host:
        restyle(host, stub.endpoint, **stated).render(1)
        params = stub.submits()[0]["params"]
    expected = {**stated, "quality": "draft", "colour_space": "logc4", "preset": "winter"}
    assert {name: params[name] for name in expected} == expected
    assert isinstance(params["mask_grow"], float) and isinstance(params["seed"], int)
