"""Plates and mattes on disk: what is read, what is sent, what is written back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import OpenImageIO as oiio
import pytest
from numpy.typing import NDArray

from latensify_bridge.choices import ColourSpace, MaskChannel, MaskSource
from latensify_bridge.effects import Panel
from latensify_bridge.errors import BadInput, OutputFailed
from latensify_bridge.frames import Box, Edited
from latensify_server.media.clip import open_clip
from latensify_server.media.colour import colour_space_of
from latensify_server.media.image import Rectangle, read_image
from latensify_server.media.matte import Mattes
from latensify_server.media.movie import Movie
from latensify_server.media.movie_write import CODECS, Sound, movie_metadata, writing_movie
from latensify_server.media.pixels import canvas, lay, straight
from latensify_server.media.write import TEMPORARY, prepare_folder, replacing, write_image
from server.plates import HEIGHT, WIDTH, hdr, read, write


def random(dtype: type[np.generic], channels: int, seed: int = 0) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "u":
        return rng.integers(0, np.iinfo(dtype).max + 1, (HEIGHT, WIDTH, channels)).astype(dtype)
    return rng.uniform(-0.1, 40, (HEIGHT, WIDTH, channels)).astype(dtype)


def everything(value: float, matte: float = 1.0) -> Edited:
    """An edit of the whole frame to one value."""
    shape = (HEIGHT, WIDTH)
    return Edited(Box(0, 0, WIDTH, HEIGHT), np.full((*shape, 3), value, np.float16), np.full(shape, matte, np.float16))


# --- stored frames ---


@pytest.mark.parametrize(
    ("name", "dtype", "channels"),
    [
        ("a.exr", np.float16, 4),
        ("a.exr", np.float32, 3),
        ("a.exr", np.float32, 7),
        ("a.png", np.uint8, 4),
        ("a.png", np.uint16, 4),
        ("a.png", np.uint8, 1),
        ("a.tif", np.uint16, 4),
        ("a.tif", np.float32, 3),
        ("a.dpx", np.uint16, 3),
        ("a.tga", np.uint8, 4),
    ],
)
def test_an_untouched_frame_is_written_as_it_was_read(
    tmp_path: Path, name: str, dtype: type[np.generic], channels: int
) -> None:
    pixels = random(dtype, channels)
    write(tmp_path / name, pixels, **({"oiio__UnassociatedAlpha": 1} if name != "a.exr" else {}))
    image = read_image(tmp_path / name)
    write_image(tmp_path / f"b.{name[2:]}", lay(image, everything(0.5, matte=0), 1.0), {"effect": "restyle"})
    again, _, spec = read(tmp_path / f"b.{name[2:]}")
    assert again.dtype == pixels.dtype
    assert again.tobytes() == pixels.tobytes()
    assert spec.nchannels == channels


def test_half_and_float_channels_in_one_file_stay_what_they_are(tmp_path: Path) -> None:
    spec = oiio.ImageSpec(WIDTH, HEIGHT, 4, oiio.HALF)
    spec.channelnames, spec.channelformats = ("R", "G", "B", "Z"), ("half", "half", "half", "float")
    pixels = hdr(1, 4)
    pixels[..., 3] *= 1e6  # more than half holds
    pixels[0, 0, :3] = np.nan, np.inf, -np.inf
    out = oiio.ImageOutput.create("exr")
    assert out is not None
    assert out.open(str(tmp_path / "a.exr"), spec)
    assert out.write_image(pixels)
    assert out.close()
    write_image(tmp_path / "b.exr", read_image(tmp_path / "a.exr"), {})
    before, _, _ = read(tmp_path / "a.exr")
    after, _, spec = read(tmp_path / "b.exr")
    assert [str(kind) for kind in spec.channelformats] == ["half", "half", "half", "float"]
    assert before.tobytes() == after.tobytes()


def test_windows_aspect_and_metadata_are_kept_in_exr(tmp_path: Path) -> None:
    where = {"x": -4, "y": 3, "full_x": 0, "full_y": 0, "full_width": 80, "full_height": 45}
    write(tmp_path / "a.exr", random(np.float16, 4), "R,G,B,A", **where, PixelAspectRatio=2.0, scene="sc10")
    write_image(tmp_path / "b.exr", read_image(tmp_path / "a.exr"), {"seed": 3, "params": '{"a":1}'})
    _, found, spec = read(tmp_path / "b.exr")
    assert {name: getattr(spec, name) for name in where} == where
    assert found["PixelAspectRatio"] == 2.0
    assert found["scene"] == "sc10"
    assert found["latensify:seed"] == 3
    assert found["latensify:params"] == '{"a":1}'


def test_other_parts_of_a_file_are_carried(tmp_path: Path) -> None:
    first, second = oiio.ImageSpec(WIDTH, HEIGHT, 3, oiio.HALF), oiio.ImageSpec(WIDTH, HEIGHT, 1, oiio.FLOAT)
    first.attribute("oiio:subimagename", "beauty")
    second.attribute("oiio:subimagename", "depth")
    second.channelnames = ("Z",)
    depth = random(np.float32, 1)
    out = oiio.ImageOutput.create("exr")
    assert out is not None
    assert out.open(str(tmp_path / "a.exr"), (first, second))
    assert out.write_image(random(np.float16, 3))
    assert out.open(str(tmp_path / "a.exr"), second, "AppendSubimage")
    assert out.write_image(depth)
    assert out.close()
    write_image(tmp_path / "b.exr", lay(read_image(tmp_path / "a.exr"), everything(0.5), 1.0), {})
    image = read_image(tmp_path / "b.exr")
    assert (image.pixels == np.float16(0.5)).all()
    assert len(image.parts) == 1
    assert image.parts[0].pixels.tobytes() == depth.tobytes()


def test_a_lossy_compression_is_not_used_again(tmp_path: Path) -> None:
    write(tmp_path / "a.exr", random(np.float16, 3), compression="dwaa")
    image = read_image(tmp_path / "a.exr")
    write_image(tmp_path / "b.exr", image, {})
    assert read(tmp_path / "b.exr")[0].tobytes() == image.pixels.tobytes()


def test_the_time_of_writing_is_not_in_the_file(tmp_path: Path) -> None:
    write(tmp_path / "a.exr", random(np.float16, 3))
    image = read_image(tmp_path / "a.exr")
    image.spec.erase_attribute("DateTime")
    write_image(tmp_path / "b.exr", image, {})
    assert read(tmp_path / "b.exr")[1]["DateTime"] == read(tmp_path / "a.exr")[1]["DateTime"]


@pytest.mark.parametrize(
    ("name", "depth", "dtype"),
    [
        ("b.exr", "half", np.float16),
        ("b.exr", "float", np.float32),
        ("b.tif", "uint8", np.uint8),
        ("b.png", "uint16", np.uint16),
    ],
)
def test_depth_is_changed_when_asked(tmp_path: Path, name: str, depth: str, dtype: type[np.generic]) -> None:
    values = np.linspace(0, 1, HEIGHT * WIDTH * 3, dtype=np.float32).reshape(HEIGHT, WIDTH, 3)
    write(tmp_path / "a.tif", values)
    write_image(tmp_path / name, read_image(tmp_path / "a.tif"), {}, depth)
    pixels, _, _ = read(tmp_path / name)
    assert pixels.dtype == dtype
    levels = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    np.testing.assert_allclose(pixels.astype(np.float64) / levels, values, atol=0.501 / 255)


def test_straight_png_becomes_premultiplied_exr(tmp_path: Path) -> None:
    pixels = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    pixels[...] = 200, 100, 50, 51
    write(tmp_path / "a.png", pixels, oiio__UnassociatedAlpha=1)
    write_image(tmp_path / "b.exr", read_image(tmp_path / "a.png"), {})
    values, _, _ = read(tmp_path / "b.exr")
    np.testing.assert_allclose(values[0, 0].astype(float), [40 / 255, 20 / 255, 10 / 255, 51 / 255], rtol=2e-3)


@pytest.mark.parametrize("damage", [b"", b"hello", None])
def test_a_damaged_file_is_named(tmp_path: Path, damage: bytes | None) -> None:
    path = write(tmp_path / "a.exr", random(np.float16, 3))
    path.write_bytes(path.read_bytes()[:4000] if damage is None else damage)
    with pytest.raises(BadInput, match=r"a\.exr"):
        read_image(path)


def test_integer_ids_are_refused_rather_than_changed(tmp_path: Path) -> None:
    spec = oiio.ImageSpec(WIDTH, HEIGHT, 4, oiio.HALF)
    spec.channelnames, spec.channelformats = ("R", "G", "B", "id"), ("half", "half", "half", "uint")
    out = oiio.ImageOutput.create("exr")
    assert out is not None
    assert out.open(str(tmp_path / "a.exr"), spec)
    assert out.write_image(hdr(1, 4))
    assert out.close()
    with pytest.raises(BadInput, match=r"a\.exr has channels of type uint"):
        read_image(tmp_path / "a.exr")


# --- what is sent, and the edit laid back ---


def test_premultiplied_plates_are_sent_straight(tmp_path: Path) -> None:
    pixels = np.zeros((HEIGHT, WIDTH, 4), np.float16)
    pixels[...] = 0.25, 0.5, 1, 0.5
    pixels[0, 0] = 0.25, 0, 0, 0
    sent = straight(read_image(write(tmp_path / "a.exr", pixels, "R,G,B,A")))
    assert sent.dtype == np.float16
    assert sent[1, 1].tolist() == [0.5, 1, 2, 0.5]
    assert sent[0, 0].tolist() == [0.25, 0, 0, 0]


def test_overscan_is_sent_and_a_crop_is_filled(tmp_path: Path) -> None:
    pixels = random(np.float16, 3)
    over = read_image(
        write(tmp_path / "a.exr", pixels, x=-8, y=-4, full_width=WIDTH - 16, full_height=HEIGHT - 8, full_x=0, full_y=0)
    )
    assert canvas(over) == Rectangle(-8, -4, WIDTH, HEIGHT)
    crop = read_image(
        write(tmp_path / "b.exr", pixels, x=8, y=4, full_width=WIDTH + 16, full_height=HEIGHT + 8, full_x=0, full_y=0)
    )
    sent = straight(crop)
    assert sent.shape == (HEIGHT + 8, WIDTH + 16, 4)
    assert (sent[4 : HEIGHT + 4, 8 : WIDTH + 8, :3] == pixels).all()
    assert not sent[:4].any()
    assert not sent[:, :8].any()


def test_an_edit_lands_where_it_belongs_in_a_crop(tmp_path: Path) -> None:
    pixels = random(np.float16, 3)
    image = read_image(
        write(tmp_path / "a.exr", pixels, x=8, y=4, full_width=WIDTH + 16, full_height=HEIGHT + 8, full_x=0, full_y=0)
    )
    edit = Edited(Box(0, 0, 10, 6), np.full((6, 10, 3), 0.5, np.float16), np.ones((6, 10), np.float16))
    laid = lay(image, edit, 1.0).pixels
    assert (laid[:2, :2] == np.float16(0.5)).all()
    laid[:2, :2] = pixels[:2, :2]
    assert laid.tobytes() == pixels.tobytes()
    beside = Edited(Box(0, 0, 4, 4), np.full((4, 4, 3), 0.5, np.float16), np.ones((4, 4), np.float16))
    assert lay(image, beside, 1.0).pixels.tobytes() == pixels.tobytes()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32])
def test_outside_the_matte_every_bit_stays(tmp_path: Path, dtype: type[np.generic]) -> None:
    pixels = random(dtype, 4)
    if np.dtype(dtype).kind == "f":
        pixels[0, 0] = np.nan, np.inf, -np.inf, -0.0
    path = tmp_path / ("a.exr" if np.dtype(dtype).kind == "f" else "a.png")
    image = read_image(write(path, pixels, "R,G,B,A", oiio__UnassociatedAlpha=int(path.suffix == ".png")))
    edit = everything(0.5, matte=0)
    edit.matte[5:9, 5:9] = 1
    laid = lay(image, edit, 1.0).pixels
    assert (laid[5:9, 5:9, :3] != pixels[5:9, 5:9, :3]).any()
    assert (laid[..., 3] == pixels[..., 3]).all()
    laid[5:9, 5:9] = pixels[5:9, 5:9]
    assert laid.tobytes() == pixels.tobytes()


def test_a_grey_plate_gets_the_luminance(tmp_path: Path) -> None:
    image = read_image(write(tmp_path / "a.png", random(np.uint8, 1)))
    edit = Edited(
        Box(0, 0, WIDTH, HEIGHT),
        np.broadcast_to(np.array([1, 0, 0], np.float16), (HEIGHT, WIDTH, 3)),
        np.ones((HEIGHT, WIDTH), np.float16),
    )
    assert (lay(image, edit, 1.0).pixels == round(0.2126 * 255)).all()


# --- colour spaces ---


def test_colour_space_is_told_by_the_kind_of_file(tmp_path: Path) -> None:
    linear = read_image(write(tmp_path / "a.exr", random(np.float16, 3)))
    assert colour_space_of("a.exr", linear) is ColourSpace.LINEAR_REC709
    picture = read_image(write(tmp_path / "a.png", random(np.uint8, 3)))
    assert colour_space_of("a.png", picture) is ColourSpace.SRGB
    assert colour_space_of("a.mov", picture) is ColourSpace.REC709


def test_an_exr_that_names_acescg_is_acescg(tmp_path: Path) -> None:
    path = tmp_path / "a.exr"
    spec = oiio.ImageSpec(WIDTH, HEIGHT, 3, oiio.HALF)
    spec.attribute("chromaticities", "float[8]", (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767))
    out = oiio.ImageOutput.create("exr")
    assert out is not None
    assert out.open(str(path), spec)
    assert out.write_image(random(np.float16, 3))
    assert out.close()
    assert colour_space_of("a.exr", read_image(path)) is ColourSpace.ACESCG


# --- mattes ---


def mattes(source: MaskSource, clip: Path | None = None, channel: MaskChannel | None = None, **panel: Any) -> Mattes:
    opened = open_clip(str(clip), 1) if clip else None
    return Mattes(Panel(mask_source=source, **panel), opened, channel)


def test_a_matte_is_alpha_where_there_is_one_else_luminance(tmp_path: Path) -> None:
    plate = read_image(write(tmp_path / "p.exr", random(np.float16, 3)))
    rgba = np.zeros((HEIGHT, WIDTH, 4), np.float16)
    rgba[..., :3], rgba[:10, :, 3] = 0.5, 1
    found = mattes(MaskSource.CLIP, write(tmp_path / "a.exr", rgba, "R,G,B,A")).of(1, plate)
    assert found is not None
    assert found.dtype == np.float16
    assert found[:10].all()
    assert not found[10:].any()
    rgba[..., 3] = 1
    found = mattes(MaskSource.CLIP, write(tmp_path / "b.exr", rgba, "R,G,B,A")).of(1, plate)
    assert found is not None
    np.testing.assert_allclose(found.astype(float), 0.5, atol=1e-3)
    forced = mattes(MaskSource.CLIP, tmp_path / "b.exr", MaskChannel.ALPHA).of(1, plate)
    assert forced is not None
    assert forced.all()


def test_alpha_that_is_not_there_is_told(tmp_path: Path) -> None:
    plate = read_image(write(tmp_path / "p.exr", random(np.float16, 3)))
    write(tmp_path / "a.exr", random(np.float16, 3))
    with pytest.raises(BadInput, match="no alpha"):
        mattes(MaskSource.CLIP, tmp_path / "a.exr", MaskChannel.ALPHA).of(1, plate)


def test_a_matte_of_another_size_is_told_with_both_sizes(tmp_path: Path) -> None:
    plate = read_image(write(tmp_path / "p.exr", random(np.float16, 3)))
    write(tmp_path / "a.exr", np.ones((8, 9, 1), np.float16), "Y")
    with pytest.raises(BadInput, match=rf"9x8.*{WIDTH}x{HEIGHT}"):
        mattes(MaskSource.CLIP, tmp_path / "a.exr").of(1, plate)


def test_box_alpha_and_inverted_mattes(tmp_path: Path) -> None:
    pixels = np.ones((HEIGHT, WIDTH, 4), np.float16)
    pixels[: HEIGHT // 2, :, 3] = 0
    plate = read_image(write(tmp_path / "p.exr", pixels, "R,G,B,A"))
    box = mattes(MaskSource.BOX, box_x=0.5, box_y=0.25, box_width=0.75, box_height=0.5).of(1, plate)
    assert box is not None
    rows, columns = np.nonzero(box)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (32, 63, 9, 26)
    own = mattes(MaskSource.SOURCE_ALPHA, mask_invert=True).of(1, plate)
    assert own is not None
    assert own[: HEIGHT // 2].all()
    assert not own[HEIGHT // 2 :].any()
    assert mattes(MaskSource.NONE).of(1, plate) is None


# --- whole files or none ---


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def fill_the_disk() -> None:
        with replacing(tmp_path / "a") as temporary:
            temporary.write_text("half of it")
            raise OSError(28, "No space left on device")

    with pytest.raises(OutputFailed, match="no space is left"):
        fill_the_disk()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_what_a_killed_renderer_left_is_cleared(tmp_path: Path) -> None:
    old, young = tmp_path / f"{TEMPORARY}1-x.exr", tmp_path / f"{TEMPORARY}2-x.exr"
    old.touch()
    young.touch()
    os.utime(old, (0, 0))
    prepare_folder(tmp_path)
    assert not old.exists()
    assert young.exists()


# --- movies ---


def picture(index: int, width: int = WIDTH) -> NDArray[np.uint8]:
    pixels = np.zeros((HEIGHT, width, 3), np.uint8)
    pixels[..., 0] = index * 10
    pixels[..., 1] = np.linspace(0, 255, width).astype(np.uint8)
    pixels[..., 2] = 128
    return pixels


def make_movie(path: Path, count: int, width: int = WIDTH, sound: Sound | None = None) -> Path:
    with writing_movie(path, 24, sound) as movie:
        for index in range(count):
            source = write(path.with_name("one.png"), picture(index, width))
            movie.write(read_image(source), {"seed": 4, "params": '{"prompt":"ü"}'})
    return path


@pytest.mark.parametrize("extension", sorted(CODECS))
@pytest.mark.parametrize("width", [WIDTH, WIDTH - 1])
def test_movies_have_every_frame_in_any_order(tmp_path: Path, extension: str, width: int) -> None:
    movie = Movie(make_movie(tmp_path / f"a{extension}", 20, width), 100)
    assert list(movie.numbers) == list(range(100, 120))
    assert movie.fps == pytest.approx(24)
    forwards = {number: movie.read(number).pixels for number in movie.numbers}
    for number in (119, 103, 103, 104, 100, 110, 109):
        assert (movie.read(number).pixels == forwards[number]).all()
    levels = np.iinfo(forwards[100].dtype).max
    for index in range(20):
        error = forwards[100 + index] / levels - picture(index, width) / 255
        assert np.abs(error).mean() < 2 / 255
    assert movie_metadata(tmp_path / f"a{extension}")["latensify:params"] == '{"prompt":"ü"}'


def test_frames_outside_a_movie_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"0-4, not 5"):
        Movie(make_movie(tmp_path / "a.mp4", 5), 0).read(5)


def test_a_damaged_movie_is_named(tmp_path: Path) -> None:
    path = make_movie(tmp_path / "a.mp4", 5)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(BadInput, match=r"a\.mp4"):
        Movie(path, 0)


def test_a_movie_that_fails_leaves_nothing(tmp_path: Path) -> None:
    frame = read_image(write(tmp_path / "one.png", picture(0)))

    def stop_halfway() -> None:
        with writing_movie(tmp_path / "a.mov", 24) as movie:
            movie.write(frame, {})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stop_halfway()
    assert [path.name for path in tmp_path.iterdir()] == ["one.png"]


def test_sound_goes_along(tmp_path: Path) -> None:
    source = tmp_path / "source.mp4"
    with av.open(str(source), "w") as file:
        stream = file.add_stream("aac", 48000, layout="mono")
        video = file.add_stream("libx264", 24)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        tone = (0.3 * np.sin(np.arange(48000) * 0.05)).astype(np.float32)[None]
        for start in range(0, 48000, 1024):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(tone[:, start : start + 1024]), "fltp", "mono")
            frame.sample_rate, frame.pts = 48000, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
        for index in range(24):
            file.mux(video.encode(av.VideoFrame.from_ndarray(picture(index), "rgb24")))
        file.mux(video.encode(None))
    make_movie(tmp_path / "part.mp4", 12, sound=Sound(source, 0.25, 0.5))
    with av.open(str(tmp_path / "part.mp4")) as file:
        seconds = sum(frame.samples for frame in file.decode(audio=0)) / 48000
    assert seconds == pytest.approx(0.5, abs=0.05)
    assert len(Movie(tmp_path / "part.mp4", 0).numbers) == 12
