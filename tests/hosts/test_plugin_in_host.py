"""The real plugin in the host, by a real server: every kind of picture, to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .expected import (
    HEIGHT,
    WIDTH,
    assert_same,
    edited,
    mask_of,
    plate,
    restyle,
    soft_matte,
)
from .ofx_host import DTYPES, Clip, Layout, OfxHost
from .servers import Server

LAYOUTS = [
    (Layout(), Layout("down", 28)),
    (Layout("up", 20), Layout()),
    (Layout("down"), Layout("up", 4)),
    (Layout("down", 12), Layout("down")),
]  # the rows of the source, those of the output
FLOATS = ["half", "float"]


def framed(pixels: np.ndarray, **options: Any) -> Clip:
    """A clip of the one frame 1."""
    components = {4: "RGBA", 3: "RGB", 1: "Alpha"}[pixels.shape[2]]
    depth = next(name for name, dtype in DTYPES.items() if dtype == pixels.dtype)
    return Clip({1: pixels}, depth=depth, components=components, **options)


def like(source: Clip, layout: Layout) -> Clip:
    return Clip(
        {}, depth=source.depth, components=source.components, premultiplication=source.premultiplication,
        origin=source.origin, frame_range=(1, 1), layout=layout,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["RGBA", "RGBA premultiplied", "RGB"])
@pytest.mark.parametrize("depth", DTYPES)
def test_every_format_and_row_layout(bundle: Path, running: Server, depth: str, kind: str) -> None:
    premultiplied = "premultiplied" in kind
    pixels = plate(1, len(kind.split()[0]), depth)
    matte = soft_matte()
    expected = edited(pixels, depth, matte, 0.75, premultiplied)
    with OfxHost(bundle) as host:
        for rows, out_rows in LAYOUTS:
            options = {"premultiplication": "premultiplied"} if premultiplied else {}
            source = framed(pixels, layout=rows, origin=(-3, 5), **options)
            instance = restyle(
                host, running.endpoint, source, mask_of(matte, origin=(-3, 5)), mask_source="Mask input", mix=0.75
            )
            instance.clips["Output"].stated = like(source, out_rows)
            result = instance.render(1)
            assert result.ok, result.messages
            assert_same(result.image, expected)
            instance.destroy()
        host.check()


@pytest.mark.parametrize("depth", DTYPES)
def test_alpha_passes_through_untouched(bundle: Path, running: Server, depth: str) -> None:
    pixels = plate(1, 1, depth)
    with OfxHost(bundle) as host:
        instance = restyle(host, running.endpoint, framed(pixels, layout=Layout("down", 12)))
        for identity in (True, False):
            result = instance.render(1, identity=identity)
            assert result.ok and not result.messages
            assert_same(result.image, pixels)
        host.check()


@pytest.mark.parametrize("inline", [False, True], ids=["shared memory", "inline"])
@pytest.mark.parametrize("depth", FLOATS)
def test_scene_linear_plate_is_the_source_outside_the_matte(
    bundle: Path, running: Server, depth: str, inline: bool, monkeypatch: pytest.MonkeyPatch, home: Any
) -> None:
    if inline:
        monkeypatch.setenv("LATENSIFY_SHM", str(home / "elsewhere"))
    pixels = plate(2, 4, depth)
    pixels[0, 0] = [-0.0, np.inf, np.nan, 1e-7]
    pixels[20, 60] = [np.nan, np.inf, -np.inf, 0.5]
    matte = soft_matte()
    with OfxHost(bundle) as host:
        result = restyle(host, running.endpoint, framed(pixels), mask_of(matte), mask_source="Mask input").render(1)
        host.check()
    assert result.ok, result.messages
    outside, inside = matte <= 0, matte >= 1
    assert_same(result.image[outside], pixels[outside])
    assert_same(result.image[..., 3], pixels[..., 3])
    assert (result.image[inside][:, :3] != pixels[inside][:, :3]).all()
    assert np.isfinite(result.image[matte > 0]).all()
    assert_same(result.image, edited(pixels, depth, matte))


def test_render_window_smaller_than_the_bounds_off_the_origin(bundle: Path, running: Server) -> None:
    pixels = plate(3)
    expected = edited(pixels)
    windows = [(-40, 100, 31, 136), (-40, 100, -39, 101), (-12, 110, 20, 125), (30, 135, 31, 136)]
    with OfxHost(bundle) as host:
        for rows, _ in LAYOUTS:
            instance = restyle(host, running.endpoint, framed(pixels, layout=rows, origin=(-40, 100)))
            instance.clips["Output"].stated = like(instance.clips["Source"].stated, rows)
            for x1, y1, x2, y2 in windows:
                result = instance.render(1, window=(x1, y1, x2, y2), bounds=(-45, 90, 40, 140))
                assert_same(result.image, expected[136 - y2 : 136 - y1, x1 + 40 : x2 + 40])
        host.check()  # nothing outside the window was written


def test_beyond_the_source_the_output_is_black(bundle: Path, running: Server) -> None:
    pixels = plate(3, depth="byte")
    with OfxHost(bundle) as host:
        instance = restyle(host, running.endpoint, framed(pixels))
        result = instance.render(1, window=(-5, -4, WIDTH + 3, HEIGHT + 2), bounds=(-5, -4, WIDTH + 3, HEIGHT + 2))
        host.check()
    expected = np.pad(edited(pixels, "byte"), ((2, 4), (5, 3), (0, 0)))
    assert_same(result.image, expected)


@pytest.mark.parametrize("scale", [(0.5, 0.5), (0.5, 1.0)])
def test_proxy_scales_and_pixel_aspects(bundle: Path, running: Server, scale: tuple[float, float]) -> None:
    pixels = plate(4, height=61, width=151)
    with OfxHost(bundle) as host:
        instance = restyle(host, running.endpoint, framed(pixels, pixel_aspect=2.0, origin=(10, 20)))
        proxy = instance.clips["Source"].array(1, scale)
        result = instance.render(1, scale=scale)
        host.check()
    assert proxy is not None and result.ok
    assert_same(result.image, edited(proxy))


def test_picture_in_another_format_than_the_source(bundle: Path, running: Server) -> None:
    pixels = plate(5, 3, "byte")
    with OfxHost(bundle) as host:
        instance = restyle(host, running.endpoint, framed(pixels), mask_source="Box below")
        output = instance.clips["Output"]
        output.components, output.depth = "RGBA", "float"
        result = instance.render(1)
    box = np.zeros((HEIGHT, WIDTH), np.float32)
    box[9:27, 18:53] = 1
    expected = edited(pixels.astype(np.float32) / np.float32(255), "float", box)
    assert_same(result.image, np.concatenate([expected, np.ones_like(expected[..., :1])], axis=2))


def test_large_picture_travels_in_parts(bundle: Path, elsewhere: Server) -> None:
    pixels = plate(6, height=900, width=1300)  # 9.4 MB
    with OfxHost(bundle) as host:
        result = restyle(host, elsewhere.endpoint, framed(pixels, layout=Layout("down"))).render(1)
        host.check()
    assert_same(result.image, edited(pixels))
