"""Extend: the source keeps every bit; the margin shows what other frames show there, and is painted where none does."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from latensify_bridge.choices import Aspect
from latensify_bridge.composite import composite
from latensify_bridge.effects import Extend, Panel, Restyle, changes_nothing
from latensify_bridge.errors import BadInput
from latensify_bridge.frames import Box, Edited
from latensify_bridge.framing import Margins, extended, margins_of
from latensify_server import colour
from latensify_server.engine import Plate
from latensify_server.media.grow import grown
from latensify_server.media.image import read_image

from .conftest import Edit, hdr_plates, rgba
from .pan import psnr
from .plates import call, read, write

WIDTH, HEIGHT, SIDE = 96, 80, 24


def same(a: Edited, b: Edited) -> bool:
    return a.box == b.box and np.array_equal(a.rgb, b.rgb) and np.array_equal(a.matte, b.matte)


def panned(count: int = 7, pace: int = 6) -> tuple[tuple[Plate, ...], np.ndarray]:
    """A camera that pans over a photograph by `pace` pixels a frame, and the photograph as far as it was seen."""
    photo = cv2.GaussianBlur(data.astronaut().astype(np.float32) / 255, (0, 0), 1.0)[250 : 250 + HEIGHT, 20:]
    plates = [
        Plate(1001 + index, rgba(colour.decode_srgb(photo[:, pace * index : pace * index + WIDTH])), None)
        for index in range(count)
    ]
    return tuple(plates), photo


def test_the_source_keeps_every_bit(edit: Edit) -> None:
    plates = hdr_plates(3, mask=False)
    done = edit("extend", plates, left=10, top=6, bottom=3)
    for plate, each in zip(plates, done, strict=True):
        around = ((6, 3), (10, 0), (0, 0))
        ground = np.pad(plate.pixels, around)
        out = composite(ground, each, 1.0, premultiplied=False)
        assert out.shape == (48 + 9, 72 + 10, 4) and np.isfinite(out).all()
        assert out[6:-3, 10:].tobytes() == plate.pixels.tobytes()
        matte = np.zeros(out.shape[:2], np.float32)
        matte[each.box.slices] = each.matte
        margin = np.ones(out.shape[:2], bool)
        margin[6:-3, 10:] = False
        assert (matte[margin] == 1).all() and (matte[~margin] == 0).all()


def test_what_other_frames_show_comes_into_the_margin(edit: Edit) -> None:
    plates, photo = panned()
    done = edit("extend", plates, right=SIDE, window=7, overlap=0)
    middle = done[2]  # the last frame sees 24 pixels further to the right
    assert middle.box == Box(WIDTH, 0, SIDE, HEIGHT)
    truth = photo[:, 2 * 6 + WIDTH : 2 * 6 + WIDTH + SIDE]
    brought = psnr(colour.encode_srgb(middle.rgb.astype(np.float32)), truth)
    (alone,) = edit("extend", plates[2:3], right=SIDE)
    assert brought >= 30
    assert brought >= psnr(colour.encode_srgb(alone.rgb.astype(np.float32)), truth) + 8


def test_margins_scale_with_a_proxy() -> None:
    edit = Extend(left=7, right=8, top=0, bottom=1)
    assert margins_of(edit) == Margins(7, 8, 0, 1)
    assert margins_of(edit, 0.5) == Margins(4, 4, 0, 1)
    assert margins_of(Restyle()) == Margins()


@pytest.mark.parametrize("aspect", [each for each in Aspect if each is not Aspect.NONE])
@pytest.mark.parametrize("size", [(1920, 1080, 1.0), (720, 576, 1.0667), (1080, 1920, 1.0), (1828, 1556, 2.0)])
def test_an_aspect_is_reached_evenly(aspect: Aspect, size: tuple[int, int, float]) -> None:
    width, height, pixel_aspect = size
    settled = extended(Extend(aspect=aspect), width, height, pixel_aspect)
    assert isinstance(settled, Extend) and settled.aspect is Aspect.NONE
    assert settled.left == settled.right and settled.top == settled.bottom and not (settled.left and settled.top)
    across, down = (float(part) for part in aspect.value.split(":"))
    whole = (width + 2 * settled.left) * pixel_aspect / (height + 2 * settled.top)
    assert whole == pytest.approx(across / down, rel=2 * pixel_aspect / min(width, height))


def test_margins_come_before_the_aspect() -> None:
    settled = extended(Extend(aspect=Aspect.SQUARE, left=100), 1000, 1000, 1.0)
    assert margins_of(settled) == Margins(100, 0, 50, 50)
    assert extended(settled, 1000, 1000, 1.0) == settled


def test_overlap_and_blend_reach_into_the_source_when_asked(edit: Edit) -> None:
    plates = hdr_plates(1, mask=False)
    done = edit("extend", plates, right=12, mask_grow=4, mask_feather=3)[0]
    matte = np.zeros((48, 72 + 12), np.float32)
    matte[done.box.slices] = done.matte
    assert (matte[:, 68:] == 1).all() and (matte[:, :64] == 0).all()
    assert ((matte[:, 65:68] > 0) & (matte[:, 65:68] < 1)).all()


def test_seed_and_prompt_decide_what_is_painted(edit: Edit) -> None:
    plates = hdr_plates(1, mask=False)
    (first,), (again,) = (edit("extend", plates, right=24, prompt="a wall") for _ in range(2))
    assert same(first, again)
    for changed in ({"seed": 4}, {"prompt": "thick fog"}, {"strength": 0.0}, {"fill": "classical"}):
        (other,) = edit("extend", plates, **{"right": 24, "prompt": "a wall", **changed})
        assert not same(first, other), changed


def test_without_margins_nothing_changes(edit: Edit) -> None:
    assert changes_nothing(Extend(), Panel()) and changes_nothing(Extend(left=4), Panel(mix=0))
    assert not changes_nothing(Extend(left=4), Panel()) and not changes_nothing(Extend(aspect=Aspect.HD), Panel())
    assert edit("extend", hdr_plates(1, mask=False))[0].box == Box(0, 0, 0, 0)


def test_a_canvas_too_large_is_told(edit: Edit) -> None:
    with pytest.raises(
        BadInput, match="would be 8264x8240; at most 64 million pixels can be edited: use smaller margins"
    ):
        edit("extend", hdr_plates(1, mask=False), left=8192, top=8192)


def test_a_frame_grows_with_its_windows_channels_and_alpha(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).random((8, 12, 5)).astype(np.float16)
    path = write(tmp_path / "a.exr", pixels, "R,G,B,A,Z", full_width=16, full_height=10, x=2, y=1)
    image = grown(read_image(path), Margins(left=3, bottom=4))
    assert (image.data, image.display) == (image.display, image.data)
    assert (image.data.x0, image.data.y0, image.data.width, image.data.height) == (-3, 0, 19, 14)
    assert image.pixels[1:9, 5:17].tobytes() == pixels.tobytes()
    assert (image.pixels[:, :3, 3] == 1).all() and (image.pixels[10:, :, 3] == 1).all()
    assert (image.pixels[0, 3:, 3] == 0).all(), "what the data window left empty stays so"
    assert (image.pixels[:, :3, [0, 1, 2, 4]] == 0).all()
    png = write(tmp_path / "a.png", (pixels[..., :3] * 255).astype(np.uint8))
    assert grown(read_image(png), Margins(left=3)).data.x0 == 0


def test_larger_files_are_written(random_models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LATENSIFY_MODELS", str(random_models))
    plates, _ = panned(3)
    for plate in plates:
        write(tmp_path / f"p.{plate.number}.exr", plate.pixels.astype(np.float32), "R,G,B,A")
    words = ["render", "extend", "--in", f"{tmp_path}/p.%04d.exr", "--model", "random", "--num-inference-steps", "2"]
    assert call(*words, "--aspect", "16:9", "--top", "4", "--out", f"{tmp_path}/o.%04d.exr") == 0
    for plate in plates:
        pixels, told, spec = read(tmp_path / f"o.{plate.number}.exr")
        left = round((84 * 16 / 9 - WIDTH) / 2)
        assert pixels.shape == (84, WIDTH + 2 * left, 4)
        assert (spec.x, spec.y, spec.full_x, spec.full_y) == (-left, -4, -left, -4)
        assert (spec.full_width, spec.full_height) == (spec.width, spec.height)
        assert pixels[4:, left : left + WIDTH].tobytes() == plate.pixels.astype(np.float32).tobytes()
        assert (pixels[..., 3] == 1).all() and pixels[:4, :, :3].std() > 0
        assert '"aspect":"none"' in told["latensify:params"]
