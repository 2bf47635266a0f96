import numpy as np
import pytest

from latensify_bridge.composite import composite, quantise
from latensify_bridge.frames import Box, Depth, Edited, frame_name, pack, spec_of, to_half, unpack


def test_a_name_depends_on_shape_depth_and_every_byte() -> None:
    pixels = np.zeros((4, 6, 4), np.float16)
    names = {frame_name(spec_of(p), p.tobytes()) for p in (pixels, pixels.reshape(6, 4, 4), pixels.astype(np.float32))}
    changed = pixels.copy()
    changed[3, 5, 3] = 1e-6
    names.add(frame_name(spec_of(changed), changed.tobytes()))
    assert len(names) == 4


def test_half_clamps_and_drops_nan() -> None:
    values = np.array([1e6, -1e6, np.inf, -np.inf, np.nan, 40.0, -0.1], np.float32)
    expected = np.array([65504, -65504, 65504, -65504, 0, 40, np.float16(-0.1)], np.float16)
    np.testing.assert_array_equal(to_half(values), expected)


@pytest.mark.parametrize("depth", Depth)
def test_a_result_survives_packing(depth: Depth) -> None:
    rng = np.random.default_rng(0)
    edited = Edited(Box(2, 1, 5, 3), rng.random((3, 5, 3)).astype(depth.dtype), rng.random((3, 5)).astype(depth.dtype))
    back = unpack(b"".join(pack(edited)), edited.box, depth)
    np.testing.assert_array_equal(back.rgb, edited.rgb)
    np.testing.assert_array_equal(back.matte, edited.matte)
    with pytest.raises(ValueError, match="needs 60 numbers"):
        unpack(b"".join(pack(edited))[:-4], edited.box, depth)


def test_the_plate_is_untouched_where_the_matte_is_zero() -> None:
    rng = np.random.default_rng(1)
    plate = (rng.random((20, 30, 4)) * 40 - 0.1).astype(np.float32)
    matte = np.zeros((10, 10), np.float32)
    matte[2:8, 2:8] = rng.random((6, 6))
    edited = Edited(Box(5, 5, 10, 10), rng.random((10, 10, 3)).astype(np.float32), matte)
    out = composite(plate, edited, 1.0, premultiplied=False)
    inside = np.zeros((20, 30), bool)
    inside[5:15, 5:15] = matte > 0
    np.testing.assert_array_equal(out[~inside], plate[~inside])
    assert (out[inside][:, :3] != plate[inside][:, :3]).any(axis=1).all()
    np.testing.assert_array_equal(out[..., 3], plate[..., 3])


def test_a_full_matte_gives_the_edit_and_mix_scales_it() -> None:
    plate = np.full((2, 2, 4), 0.5, np.float32)
    edited = Edited(Box(0, 0, 2, 2), np.ones((2, 2, 3), np.float32), np.ones((2, 2), np.float32))
    assert (composite(plate, edited, 1.0, False)[..., :3] == 1).all()
    assert (composite(plate, edited, 0.5, False)[..., :3] == 0.75).all()
    assert (composite(plate, edited, 0.0, False) == plate).all()
    assert (composite(plate, edited, 1.0, True)[..., :3] == 0.5).all()


def test_quantise_rounds_to_the_nearest_level() -> None:
    values = np.arange(256, dtype=np.float32) / np.float32(255)
    np.testing.assert_array_equal(quantise(values, 255), np.arange(256))
    np.testing.assert_array_equal(quantise(np.array([-1, 2], np.float32), 65535), [0, 65535])
