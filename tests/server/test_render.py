"""`latensify render`, through a real server on a real socket with an engine that inverts what the matte shows."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from latensify_bridge import __version__
from latensify_server.engine import ModelChoice
from latensify_server.engines import ENGINES
from latensify_server.local import local_server
from latensify_server.media.movie import Movie
from latensify_server.media.movie_write import movie_metadata
from latensify_server.media.write import TEMPORARY
from latensify_server.settings import Settings
from server.plates import HEIGHT, WIDTH, call, contents, hdr, matte, read, shot, without_privileges, write

FRAMES = range(1001, 1025)
EDIT = ("--prompt", "winter", "--window", "8", "--overlap", "2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shot(tmp_path_factory.mktemp("shot"), FRAMES)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(endpoint="", engine="fake", cache=tmp_path_factory.mktemp("results"))
    with local_server(settings) as endpoint:
        yield endpoint


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENSIFY_HOME", str(tmp_path / "home"))


def command(folder: Path, out: Path | str, *more: str) -> list[str]:
    plate, mask = str(folder / "plate.%04d.exr"), str(folder / "matte.####.exr")
    return ["render", "restyle", "--in", plate, "--mask", mask, "--out", str(out), *EDIT, *more]


def failed(capsys: pytest.CaptureFixture[str]) -> str:
    """What was said, which has to be one sentence after the lines of progress."""
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("frame ")]
    assert len(lines) == 1, lines
    assert lines[0].startswith("latensify: ")
    assert "Traceback" not in lines[0]
    return lines[0]


# --- the pixels ---


def test_outside_the_matte_an_hdr_plate_keeps_every_bit(folder: Path, server: str, tmp_path: Path) -> None:
    assert call(*command(folder, tmp_path / "o.%04d.exr", "--frames", "1003", "--server", server)) == 0
    pixels, _, _ = read(tmp_path / "o.1003.exr")
    plate, mask = hdr(1003, 4), matte(1003)[..., 0]
    assert pixels.dtype == np.float32
    assert plate.min() < 0
    assert plate.max() > 39
    assert np.isfinite(pixels).all()
    assert pixels[mask == 0].tobytes() == plate[mask == 0].tobytes()
    assert pixels[..., 3].tobytes() == plate[..., 3].tobytes()
    assert (pixels[mask > 0][:, :3] != plate[mask > 0][:, :3]).all()
    np.testing.assert_allclose(pixels[mask == 1][:, :3], 1 - plate[mask == 1][:, :3], atol=0.05)


def test_at_once_in_parts_and_backwards_gives_the_same_files(folder: Path, server: str, tmp_path: Path) -> None:
    ways = {"whole": ["1001-1024"], "parts": ["1017-1024", "1001-1008", "1009-1016"], "backwards": ["1024-1001"]}
    for name, lists in ways.items():
        for frames in lists:
            out = tmp_path / name / "o.%04d.exr"
            assert call(*command(folder, out, "--frames", frames, "--server", server, "--no-cache")) == 0
    whole = contents(tmp_path / "whole")
    assert len(whole) == 24
    assert contents(tmp_path / "parts") == whole
    assert contents(tmp_path / "backwards") == whole


@pytest.mark.slow
@pytest.mark.parametrize("effect", ["restyle", "remove"])
def test_with_the_diffusion_engine_too(effect: str, folder: Path, tmp_path: Path) -> None:
    """With the model that ships: all at once, in three ranges and backwards, each computed anew."""
    plate, mask = str(folder / "plate.%04d.exr"), str(folder / "matte.%04d.exr")
    words = ["--window", "4", "--overlap", "1", "--num-inference-steps", "2", "--prompt", "fog", "--no-cache"]
    with local_server(Settings(endpoint="", cache=tmp_path / "results")) as server:
        for name, lists in {
            "whole": ["1001-1024"],
            "parts": ["1017-1024", "1001-1005", "1006-1016"],
            "back": ["1024-1001"],
        }.items():
            for frames in lists:
                out = ["--out", str(tmp_path / name / "o.%04d.exr"), "--frames", frames, "--server", server]
                assert call("render", effect, "--in", plate, "--mask", mask, *words, *out) == 0
    whole = contents(tmp_path / "whole")
    assert len(whole) == 24
    assert contents(tmp_path / "parts") == whole
    assert contents(tmp_path / "back") == whole
    outside = matte(1001)[..., 0] == 0
    reach = np.pad(~outside, 16)  # the matte, grown and feathered, reaches no further than this
    near = sum(np.roll(reach, (y, x), (0, 1)) for y in range(-8, 9) for x in range(-8, 9))[16:-16, 16:-16] > 0
    pixels = read(tmp_path / "whole" / "o.1001.exr")[0]
    assert pixels[~near].tobytes() == hdr(1001, 4)[~near].tobytes()
    assert (pixels[~outside] != hdr(1001, 4)[~outside]).any()
    assert np.isfinite(pixels).all()


def test_windows_reach_over_the_shot_and_not_just_the_frames_asked_for(
    folder: Path, server: str, tmp_path: Path
) -> None:
    lone = tmp_path / "lone"
    lone.mkdir()
    for name in ("plate.1010.exr", "matte.1010.exr"):
        shutil.copy2(folder / name, lone)
    for source, out in ((folder, "all"), (lone, "one")):
        assert call(*command(source, tmp_path / out / "o.%04d.exr", "--frames", "1010", "--server", server)) == 0
    keys = [read(tmp_path / out / "o.1010.exr")[1]["latensify:key"] for out in ("all", "one")]
    assert keys[0] != keys[1]


@pytest.mark.slow
def test_one_seed_one_result(folder: Path, tmp_path: Path) -> None:
    """With the model that ships, each time computed anew."""
    found = []
    words = [
        "--in",
        str(folder / "plate.%04d.exr"),
        "--frames",
        "1003",
        "--window",
        "1",
        "--overlap",
        "0",
        "--no-cache",
    ]
    with local_server(Settings(endpoint="", cache=tmp_path / "results")) as server:
        for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
            out = ["--out", str(tmp_path / f"{name}.exr"), "--seed", seed, "--server", server]
            assert call("render", "restyle", *words, "--preset", "night", "--num-inference-steps", "2", *out) == 0
            found.append(read(tmp_path / f"{name}.exr")[0].tobytes())
    assert found[0] == found[1] != found[2]


def test_mix_and_no_prompt(folder: Path, server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*command(folder, tmp_path / "h.exr", "--frames", "1001", "--server", server, "--mix", "0.5")) == 0
    half, plate = read(tmp_path / "h.exr")[0], hdr(1001, 4)
    full = matte(1001)[..., 0] == 1
    np.testing.assert_allclose(half[full][:, :3], 0.5, atol=0.03)
    assert half[~(matte(1001)[..., 0] > 0)].tobytes() == plate[~(matte(1001)[..., 0] > 0)].tobytes()
    capsys.readouterr()
    plain = ["render", "restyle", "--in", str(folder / "plate.%04d.exr"), "--out", str(tmp_path / "n.exr")]
    assert call(*plain, "--frames", "1001") == 0
    assert "Nothing would change" in failed(capsys)
    assert read(tmp_path / "n.exr")[0].tobytes() == plate.tobytes()


def test_eight_bit_png_and_a_box(server: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 4)).astype(np.uint8)
    write(tmp_path / "a.png", pixels, oiio__UnassociatedAlpha=1)
    words = ["--in", str(tmp_path / "a.png"), "--out", str(tmp_path / "b.png"), "--server", server]
    assert call("render", "remove", *words, "--mask-source", "box", "--box-x", "0.5") == 0
    found, said, _ = read(tmp_path / "b.png")
    changed = (found != pixels).any(axis=2)
    assert changed.any()
    rows, columns = np.nonzero(changed)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (32, 63, 9, 26)
    assert json.loads(said["latensify:params"])["colour_space"] == "srgb"


# --- what is written beside the pixels ---


def test_metadata(folder: Path, server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--frames", "1001-1002", "--server", server, "--seed", "7", "--strength", "0.25", "--json"]
    assert call(*command(folder, tmp_path / "o.%04d.exr", *words)) == 0
    _, said, spec = read(tmp_path / "o.1001.exr")
    assert said["latensify:effect"] == "restyle"
    assert said["latensify:seed"] == 7
    assert said["latensify:model"] == "fake"
    assert said["latensify:model_hash"] == "0" * 64
    assert said["latensify:version"] == __version__
    assert len(said["latensify:key"]) == 32
    params = json.loads(said["latensify:params"])
    assert (params["strength"], params["prompt"], params["colour_space"]) == (0.25, "winter", "linear_rec709")
    assert (params["mask_source"], params["mask_channel"], params["mask_invert"]) == ("clip", "luminance", False)
    assert (params["box_x"], params["frame_offset"], params["mix"]) == (0.25, 0, 1.0)
    assert not {"server", "timeout_s"} & params.keys()
    assert (said["PixelAspectRatio"], said["scene"]) == (2.0, "sc10")
    assert spec.channelnames == ("R", "G", "B", "Z")
    captured = capsys.readouterr()
    summary = json.loads(captured.out)
    assert summary["rendered"] == [1001, 1002]
    assert summary["model"] == "fake"
    frames = [line for line in captured.err.splitlines() if " s" in line]
    assert [line.split(" ")[:3] for line in frames] == [["frame", "1001", "(1/2)"], ["frame", "1002", "(2/2)"]]


# --- going on ---


def test_resume_renders_what_is_missing_damaged_or_of_another_request(
    folder: Path, server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r" / "o.%04d.exr"
    words = command(folder, out, "--frames", "1001-1006", "--server", server, "--resume", "--json")
    assert call(*words) == 0
    first = contents(out.parent)
    (out.parent / "o.1002.exr").unlink()
    damaged = out.parent / "o.1004.exr"
    damaged.write_bytes(damaged.read_bytes()[:-900])
    capsys.readouterr()
    assert call(*words) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["rendered"] == [1002, 1004]
    assert summary["skipped"] == [1001, 1003, 1005, 1006]
    assert contents(out.parent) == first
    assert call(*words, "--seed", "5") == 0
    assert json.loads(capsys.readouterr().out)["skipped"] == []


@pytest.mark.parametrize(("kind", "kept"), [(k, True) for k in ("png", "tif", "dpx", "jpg", "tga")] + [("bmp", False)])
def test_resume_knows_its_own_files_in_every_format_and_no_others(
    kind: str, kept: bool, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / f"o.1001.{kind}", np.zeros((HEIGHT, WIDTH, 3), np.uint8))  # another's, of the right size
    plain = ["render", "restyle", "--in", f"{folder}/plate.%04d.exr", "--out", f"{tmp_path}/o.%04d.{kind}"]
    words = [*plain, "--frames", "1001-1002", "--resume", "--json", "--engine", "fake"]  # no prompt: copies
    assert call(*words) == 0
    assert json.loads(capsys.readouterr().out)["rendered"] == [1001, 1002]
    assert call(*words) == 0
    assert json.loads(capsys.readouterr().out)["skipped"] == ([1001, 1002] if kept else [])


def test_copying_needs_no_model(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latensify_server.models.installed", list)
    words = ["--in", f"{folder}/plate.%04d.exr", "--frames", "1001", "--out", f"{tmp_path}/o.exr"]
    assert call("render", "restyle", *words) == 0


def test_a_text_field_keeps_what_the_plate_said(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", np.zeros((HEIGHT, WIDTH, 3), np.uint8), ImageDescription="slate 12")
    for source, out in (("a", "b"), ("b", "c")):
        words = ["--in", str(tmp_path / f"{source}.tif"), "--out", str(tmp_path / f"{out}.tif"), "--engine", "fake"]
        assert call("render", "restyle", *words) == 0
    said = read(tmp_path / "c.tif")[1]["ImageDescription"]
    assert said.startswith("slate 12 [latensify:key ")
    assert said.count("latensify") == 1


@pytest.mark.parametrize("what", ["plate", "strength", "model", "revision"])
def test_resume_renders_again_what_was_made_from_something_else(
    what: str, short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*command(short, tmp_path / "o.%04d.exr"), "--frames", "1-2", "--resume", "--json", "--engine", "fake"]
    assert call(*words, "--window", "1", "--overlap", "0") == 0
    if what == "plate":
        write(short / "plate.0002.exr", hdr(99, 4), "R,G,B,Z", PixelAspectRatio=2.0)
    elif what == "model":
        other = dataclasses.replace(ENGINES["fake"], choose=lambda effect, model: ModelChoice("fake", "1" * 64))
        monkeypatch.setitem(ENGINES, "fake", other)
    elif what == "revision":
        monkeypatch.setattr("latensify_server.render.REVISION", "another")
    capsys.readouterr()
    more = ["--strength", "0.5"] if what == "strength" else []
    assert call(*words, "--window", "1", "--overlap", "0", *more) == 0
    assert json.loads(capsys.readouterr().out)["rendered"] == ([2] if what == "plate" else [1, 2])


def test_resume_of_a_movie_at_another_rate_renders_it_again(
    short: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for fps, kept in (("25", False), ("25", True), ("30", False)):
        words = ["--in", f"{short}/plate.%04d.exr", "--out", f"{tmp_path}/m.mov", "--fps", fps, "--engine", "fake"]
        assert call("render", "restyle", *words, "--resume", "--json") == 0
        assert bool(json.loads(capsys.readouterr().out)["skipped"]) is kept
    assert Movie(tmp_path / "m.mov", 0).fps == 30


def test_resume_of_finished_frames_needs_no_server(folder: Path, server: str, tmp_path: Path) -> None:
    words = command(folder, tmp_path / "o.%04d.exr", "--frames", "1001-1002", "--resume", "--server")
    assert call(*words, server) == 0
    assert call(*words, "tcp://127.0.0.1:9") == 0


def test_no_cache_computes_again(folder: Path, server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cached = []
    for more in ([], [], ["--no-cache"]):
        words = ["--frames", "1001-1003", "--server", server, "--json", "--seed", "99", *more]
        assert call(*command(folder, tmp_path / "o.%04d.exr", *words)) == 0
        cached.append(json.loads(capsys.readouterr().out)["cached"])
    assert cached[0] < 3
    assert cached[1] == 3
    assert cached[2] == cached[0]


# --- movies ---


def test_movie_in_and_out(server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for frame in range(1, 11):
        write(tmp_path / f"p.{frame}.png", np.full((HEIGHT, WIDTH, 3), frame * 20, np.uint8))
    make = ["render", "restyle", "--in", f"{tmp_path}/p.#.png", "--out", f"{tmp_path}/p.mov", "--fps", "25"]
    assert call(*make) == 0  # with no prompt the frames are copied
    movie = Movie(tmp_path / "p.mov", 0)
    assert (len(movie.numbers), movie.fps) == (10, 25)
    edit = ["render", "restyle", "--in", f"{tmp_path}/p.mov", "--prompt", "x", "--server", server]
    assert call(*edit, "--out", f"{tmp_path}/e.mp4", "--resume") == 0
    edited = Movie(tmp_path / "e.mp4", 0)
    assert (len(edited.numbers), edited.fps) == (10, 25)
    for index in range(10):
        assert np.median(edited.read(index).pixels) == pytest.approx(255 - (index + 1) * 20, abs=3)
    said = movie_metadata(tmp_path / "e.mp4")
    assert said["latensify:model"] == "fake"
    assert json.loads(said["latensify:params"])["colour_space"] == "rec709"
    capsys.readouterr()
    assert call(*edit, "--out", f"{tmp_path}/e.mp4", "--resume") == 0
    assert "finished already" in failed(capsys)
    assert call(*edit, "--out", f"{tmp_path}/f.%02d.png", "--frames", "7-3x2", "--depth", "uint8") == 0
    assert sorted(contents(tmp_path, "f.*")) == ["f.03.png", "f.05.png", "f.07.png"]
    assert call(*edit, "--out", f"{tmp_path}/g.mov", "--frames", "7-3") == 0
    assert len(Movie(tmp_path / "g.mov", 0).numbers) == 5
    assert not list(tmp_path.glob(f"{TEMPORARY}*"))


# --- mistakes ---


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--strength", "9"], 2, "'strength' cannot be '9'"),
        (["--strength", "nan"], 2, "'strength' cannot be 'nan': it must lie between 0 and 1"),
        (["--quality", "best"], 2, "draft, final"),
        (["--strenght", "1"], 2, "--strenght"),
        (["--window", "4", "--overlap", "3"], 2, "more than half"),
        (["--frames", "1001-x"], 2, "'1001-x' is not a list"),
        (["--frames", "1020-1030"], 3, "1025"),
        (["--frames", ""], 2, "--frames is empty"),
        (["--out", ""], 2, "--out is empty"),
        (["--seed", "1.5"], 2, "'seed' cannot be '1.5': a whole number is expected"),
        (["--model", "../../etc"], 2, "letters, digits, dots, dashes"),
        (["--mask-source", "box"], 2, "--mask"),
        (["--out", "{folder}/plate.%04d.exr"], 2, "overwrite the input"),
        (["--out", "{folder}/matte.%04d.exr"], 2, "overwrite the input"),
        (["--out", "{out}/o.exr"], 2, "%04d"),
        (["--out", "{out}/o.%04d.xyz"], 2, ".xyz"),
        (["--out", "{out}/o.avi"], 2, ".avi"),
        (["--in", "{folder}/none.%04d.exr"], 3, "none.%04d.exr"),
        (["--in", "{folder}/none.exr"], 3, "none.exr"),
        (["--mask", "{folder}/none.%04d.exr"], 3, "none.%04d.exr"),
        (["--params", "{folder}/none.json"], 3, "none.json"),
        (["--server", "nonsense", "--frames", "1001"], 6, "nonsense"),
        (["--out", "/proc/none/o.%04d.exr"], 4, "/proc/none"),
    ],
)
def test_a_mistake_is_one_sentence_and_an_exit_code(
    words: list[str], code: int, said: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = [word.format(folder=folder, out=out) for word in words]
    before = contents(folder)
    assert call(*command(folder, out / "o.%04d.exr", *words)) == code
    assert said in failed(capsys)
    assert not list(out.glob("*"))
    assert contents(folder) == before


def test_unknown_effect_and_remove_without_a_matte(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--in", f"{folder}/plate.%04d.exr", "--out", f"{folder}/o.%04d.exr"]
    assert call("render", "vanish", *words) == 2
    assert "restyle, remove" in failed(capsys)
    assert call("render", "remove", *words) == 2
    assert "--mask" in failed(capsys)


def test_an_unknown_parameter_in_a_file_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text, said in (
        ('{"strenth": 1}', "'strenth'"),
        ('{"strength": NaN}', "nan"),
        ("[1]", "not a map"),
        ("{", "JSON"),
    ):
        (tmp_path / "p.json").write_text(text)
        assert call(*command(folder, tmp_path / "o.%04d.exr", "--params", str(tmp_path / "p.json"))) == 2
        assert said in failed(capsys)


@pytest.fixture
def short(tmp_path: Path) -> Path:
    return shot(tmp_path / "short", range(1, 7))


def broken(short: Path, name: str, how: str) -> None:
    path = short / name
    if how == "missing":
        path.unlink()
    elif how == "damaged":
        path.write_bytes(path.read_bytes()[:-2000])
    else:
        write(path, np.ones((8, 9, 1), np.float16), "Y")


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("plate.0003.exr", "missing"),
        ("plate.0003.exr", "damaged"),
        ("matte.0003.exr", "missing"),
        ("matte.0003.exr", "damaged"),
        ("matte.0003.exr", "another size"),
    ],
)
def test_a_broken_frame_is_named(
    name: str, how: str, short: Path, server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken(short, name, how)
    assert call(*command(short, tmp_path / "o.%04d.exr", "--frames", "1-2", "--server", server)) == 3
    assert str(short / name) in failed(capsys)
    assert not list(tmp_path.glob("*o.*.exr"))


def test_frames_of_two_sizes_are_told(
    short: Path, server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(short / "plate.0003.exr", hdr(3, 4)[:-2], "R,G,B,Z")
    write(short / "matte.0003.exr", matte(3)[:-2], "Y")
    assert call(*command(short, tmp_path / "o.%04d.exr", "--frames", "1", "--server", server)) == 3
    assert "one size" in failed(capsys)


def test_folders_that_may_not_be_read_or_written(short: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tempfile.TemporaryDirectory() as open_to_all:
        top = Path(open_to_all)
        top.chmod(0o755)
        shutil.copytree(short, top / "shot")
        shutil.copytree(short, top / "hidden")
        (top / "hidden").chmod(0)
        (top / "shut").mkdir()
        (top / "shut").chmod(0o555)
        with without_privileges():
            code = call(*command(top / "hidden", top / "shut" / "o.%04d.exr"))
            said = failed(capsys)
            assert (code, str(top / "hidden") in said) == (3, True)
            code = call(*command(top / "shot", top / "shut" / "o.%04d.exr"))
            said = failed(capsys)
            assert (code, str(top / "shut") in said) == (4, True)
        (top / "hidden").chmod(0o755)


@pytest.mark.parametrize("name", ["o.%04d.exr", "o.%04d.png", "o.%04d.tif", "o.%04d.jpg", "o.mp4", "o.mov"])
def test_a_full_disk_is_told_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    rng = np.random.default_rng(0)
    for frame in range(1, 5):
        write(tmp_path / f"p.{frame}.png", rng.integers(0, 256, (300, 400, 3)).astype(np.uint8))
    render = [sys.executable, "-m", "latensify_server", "render", "restyle", "--in", f"{tmp_path}/p.#.png"]
    words = subprocess.list2cmdline([*render, "--out", f"{disk}/{name}"])
    script = f"mount -t tmpfs -o size=64k none {disk} || exit 99; {words}; code=$?; ls -A {disk}; exit $code"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=60, env=environment(tmp_path)
    )
    if done.returncode in (1, 99) and "latensify" not in done.stderr:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    sentence = done.stderr.splitlines()[-1]
    assert done.returncode == 4, done.stderr
    assert "no space is left on the disk" in sentence
    assert str(disk) in sentence
    assert done.stdout.strip() == ""


# --- stopping ---


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "LATENSIFY_HOME": str(home / "home"), "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("out", ["o.%04d.exr", "o.mov"])
def test_a_signal_stops_it_and_nothing_is_left(
    number: signal.Signals, code: int, out: str, short: Path, tmp_path: Path
) -> None:
    words = command(short, tmp_path / "out" / out, "--engine", "slow-fake")
    with subprocess.Popen(
        [sys.executable, "-m", "latensify_server", *words],
        stderr=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()  # a step, about a second into the first frame
        assert line.startswith("frame 1 (1/6) ")
        asked = time.monotonic()
        process.send_signal(number)
        rest = process.stderr.read().splitlines()
        assert process.wait(10) == code
    assert time.monotonic() - asked < 5
    assert rest[-1].startswith("latensify: Stopped")
    assert "Traceback" not in "".join(rest)
    assert not list((tmp_path / "out").iterdir())


def test_a_server_of_its_own_is_gone_afterwards(short: Path, tmp_path: Path) -> None:
    words = command(short, tmp_path / "o.%04d.exr", "--engine", "fake")
    done = subprocess.run(
        [sys.executable, "-m", "latensify_server", *words],
        capture_output=True,
        text=True,
        env=environment(tmp_path),
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("o.*.exr"))) == 6
    assert not list((tmp_path / "home").rglob("*.sock"))
