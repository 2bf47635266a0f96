"""The built plugin in a real host, melt, with a real server outside it; first the host alone."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from hosts.clips import clip
from hosts.debian_root import RootError, enter, make
from hosts.melt import MeltError, MeltHost, Profile, Run, ensure
from hosts.servers import Server, free_port, server

REPOSITORY = Path(__file__).parents[2]
RESTYLE, REMOVE = "org.latensify.restyle", "org.latensify.remove"
# A look, so that there is something to do, in the middle half of the frame with hard edges.
IN_BOX = {"preset": "Night", "mask_source": "Box below", "mask_feather": "0"}
TEN = (100, 109)
Frames = NDArray[np.uint8]


@pytest.fixture(scope="module")
def host() -> MeltHost:
    return ensure()


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "Empty.ofx.bundle"
    folder.mkdir()
    return folder


@pytest.fixture
def plates(tmp_path: Path) -> Path:
    """Frames 1001 to 1004, 128x96, RGBA of noise: no two pixels, channels or frames alike."""
    pattern = tmp_path / "plates" / "plate.%04d.png"
    pattern.parent.mkdir()
    for number in range(1001, 1005):
        noise = np.random.default_rng(number).integers(0, 256, (96, 128, 4), dtype=np.uint8)
        cv2.imwrite(str(pattern) % number, noise)
    return pattern


def read(pattern: Path, frames: tuple[int, int]) -> Frames:
    """[frame, y, x, BGRA]"""
    paths = [str(pattern) % number for number in range(frames[0], frames[1] + 1)]
    return np.stack([np.asarray(cv2.imread(path, cv2.IMREAD_UNCHANGED)) for path in paths])


def middle(frames: Frames, margin: int = 0) -> tuple[Frames, Frames]:
    """What lies inside and outside the middle half; `margin` pixels on either side of its edge are in neither."""
    height, width = frames.shape[1:3]
    inside, outside = np.zeros((height, width), bool), np.ones((height, width), bool)
    for chosen, grow, value in ((inside, -margin, True), (outside, margin, False)):
        chosen[height // 4 - grow : 3 * height // 4 + grow, width // 4 - grow : 3 * width // 4 + grow] = value
    return frames[:, inside], frames[:, outside]


# --- the host alone ---


def test_version_is_new_enough(host: MeltHost) -> None:
    assert tuple(int(part) for part in host.version().split(".")[:2]) >= (7, 42)


def test_ensure_finds_the_root_again_at_once(host: MeltHost) -> None:
    started = time.monotonic()
    assert ensure() == host
    assert time.monotonic() - started < 5


def test_a_folder_that_is_no_root_of_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "precious").touch()
    with pytest.raises(RootError, match="was not made by this command"):
        make(tmp_path / "root", ["melt"], check=str)
    assert (tmp_path / "root" / "precious").exists()


def test_png_passes_through_exactly(host: MeltHost, empty: Path, plates: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "o%04d.png"
    host.render(empty, plates, [], out, frames=(1002, 1004))
    assert np.array_equal(read(out, (1002, 1004)), read(plates, (1002, 1004)))
    assert sorted(path.name for path in out.parent.iterdir()) == ["o1002.png", "o1003.png", "o1004.png"]


def test_sixteen_bit_png(host: MeltHost, empty: Path, plates: Path, tmp_path: Path) -> None:
    out = tmp_path / "o%04d.png"
    host.render(empty, plates, [], out, frames=(1001, 1001), sixteen_bit=True)
    written = read(out, (1001, 1001))
    assert written.dtype == np.uint16
    assert np.abs(written / 257 - read(plates, (1001, 1001))).max() < 2  # melt's own way to 16 bits is not exact


def test_movie_keeps_its_frames(host: MeltHost, empty: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.mp4"
    host.render(empty, clip(), [], out, frames=TEN)
    assert Profile.of(out) == Profile.of(clip())
    with av.open(str(out)) as movie:
        assert sum(1 for _ in movie.decode(video=0)) == 10


def test_the_machine_is_seen_from_inside(host: MeltHost, home: Path) -> None:
    shared = Path(os.environ["LATENSIFY_SHM"]) / "note"
    shared.write_text("seen")
    seen = subprocess.run(enter(host.root, [], "0:0", ["cat", str(shared)]), capture_output=True, text=True)
    assert seen.stdout == "seen" or not str(shared).startswith("/dev/shm")


@pytest.mark.skipif(os.geteuid() != 0, reason="reads the mounts of its own processes as root")
def test_no_mount_is_left(host: MeltHost, empty: Path, plates: Path, tmp_path: Path) -> None:
    with pytest.raises(MeltError, match="time limit"):
        host.render(empty, plates, [], tmp_path / "o%04d.png", frames=(1001, 1004), timeout_s=0.02)
    assert str(host.root) not in Path("/proc/mounts").read_text()


def test_what_melt_would_not_say(host: MeltHost, empty: Path, plates: Path, tmp_path: Path) -> None:
    out = tmp_path / "o%04d.png"
    with pytest.raises(MeltError, match=r"no .*plate\.1005\.png"):
        host.render(empty, plates, [], out, frames=(1003, 1005))
    with pytest.raises(MeltError, match="has 250 frames"):
        host.render(empty, clip(), [], out, frames=(249, 250))
    with pytest.raises(MeltError, match=r"no plugin org\.latensify\.none"):
        host.render(empty, plates, [("org.latensify.none", {})], out, frames=(1001, 1001))
    with pytest.raises(MeltError, match="no folder"):
        host.filters(tmp_path / "Absent.ofx.bundle")


def test_runs_side_by_side(host: MeltHost, empty: Path, plates: Path, tmp_path: Path) -> None:
    """Also proof against melt's lost starts, which need a busy machine."""

    def run(name: int) -> Frames:
        out = tmp_path / str(name) / "o%04d.png"
        host.render(empty, plates, [], out, frames=(1001, 1004))
        return read(out, (1001, 1004))

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(run, range(8)))
    assert all(np.array_equal(result, read(plates, (1001, 1004))) for result in results)


# --- the plugin in it ---


@dataclass(frozen=True)
class Setup:
    """melt with the bundle, and what the plugin in it needs to meet a server of this test."""

    host: MeltHost
    bundle: Path
    env: Mapping[str, str]
    shared: tuple[Path, ...]

    def render(
        self,
        source: Path,
        filters: list[tuple[str, dict[str, str]]],
        out: Path,
        frames: tuple[int, int],
        real_time: int = -1,
    ) -> Run:
        return self.host.render(
            self.bundle, source, filters, out, frames=frames, real_time=real_time,
            shared=self.shared, env=self.env, timeout_s=120,
        )  # fmt: skip


@pytest.fixture
def melt(host: MeltHost, bundle: Path, home: Path) -> Setup:
    env = {name: os.environ[name] for name in ("LATENSIFY_HOME", "LATENSIFY_SHM")}
    return Setup(host, bundle, env, tuple(Path(folder) for folder in env.values()))


@pytest.fixture
def running(home: Path) -> Iterator[Server]:
    """A server outside the host's root, with the fake engine: it inverts what the matte covers."""
    with server(home) as started:
        yield started


def test_melt_lists_the_plugins(host: MeltHost, bundle: Path) -> None:
    assert {RESTYLE, REMOVE} <= set(host.filters(bundle))
    described = host.query(RESTYLE, bundle)
    for name in ("preset", "prompt", "strength", "seed", "mix", "server"):
        assert f"identifier: {name}\n" in described


def test_a_movie_is_edited_frame_by_frame(melt: Setup, running: Server, tmp_path: Path) -> None:
    plain, edited = tmp_path / "plain%04d.png", tmp_path / "edited%04d.png"
    melt.render(clip(), [], plain, TEN)
    melt.render(clip(), [(RESTYLE, {**IN_BOX, "server": running.endpoint})], edited, TEN)
    source, result = read(plain, TEN), read(edited, TEN)
    inside, outside = middle(result, margin=2)
    source_inside, source_outside = middle(source, margin=2)
    assert np.array_equal(outside, source_outside)
    assert np.abs(inside[..., :3].astype(int) - (255 - source_inside[..., :3].astype(int))).max() <= 1
    for number, frame in enumerate(outside):  # each its own source frame, and no other's
        assert [np.array_equal(frame, other) for other in source_outside].index(True) == number


def test_an_edited_movie_can_be_written(melt: Setup, running: Server, tmp_path: Path) -> None:
    out = tmp_path / "edited.mp4"
    melt.render(clip(), [(RESTYLE, {**IN_BOX, "server": running.endpoint})], out, TEN)
    with av.open(str(out)) as movie, av.open(str(clip())) as source:
        written = [frame.to_ndarray(format="rgb24").astype(int) for frame in movie.decode(video=0)]
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in source.decode(video=0)]
    assert len(written) == 10
    assert np.abs(written[0][100:170, 200:400] - (255 - frames[100][100:170, 200:400])).mean() < 8


def test_remove_takes_its_matte_from_alpha(melt: Setup, running: Server, plates: Path, tmp_path: Path) -> None:
    frames = read(plates, (1001, 1004))
    frames[..., 3] = 0
    frames[:, 24:72, 32:96, 3] = 255
    for number, frame in enumerate(frames, 1001):
        cv2.imwrite(str(plates) % number, frame)
    out = tmp_path / "o%04d.png"
    chosen = {"mask_source": "Alpha of the source", "mask_feather": "0", "server": running.endpoint}
    melt.render(plates, [(REMOVE, chosen)], out, (1001, 1004))
    (inside, outside), (source_inside, source_outside) = middle(read(out, (1001, 1004)), 2), middle(frames, 2)
    assert np.array_equal(outside, source_outside)
    assert np.abs(inside[..., :3].astype(int) - (255 - source_inside[..., :3].astype(int))).max() <= 1


def test_mix_0_is_the_source(melt: Setup, running: Server, plates: Path, tmp_path: Path) -> None:
    out = tmp_path / "o%04d.png"
    chosen = {**IN_BOX, "mask_source": "None (whole frame)", "mix": "0", "server": running.endpoint}
    melt.render(plates, [(RESTYLE, chosen)], out, (1001, 1004))
    assert np.array_equal(read(out, (1001, 1004)), read(plates, (1001, 1004)))


def test_threads_give_what_one_gives(melt: Setup, running: Server, tmp_path: Path) -> None:
    one, two = tmp_path / "one%04d.png", tmp_path / "two%04d.png"
    for out, real_time in ((one, -1), (two, -2)):
        filters = [(RESTYLE, {**IN_BOX, "seed": "7", "server": running.endpoint})]
        melt.render(clip(), filters, out, TEN, real_time=real_time)
    assert np.array_equal(read(one, TEN), read(two, TEN))


def test_no_server_leaves_the_source_and_ends(melt: Setup, plates: Path, tmp_path: Path) -> None:
    out = tmp_path / "o%04d.png"
    nobody = f"tcp://127.0.0.1:{free_port()}"
    run = melt.render(plates, [(RESTYLE, {**IN_BOX, "server": nobody})], out, (1001, 1004))
    assert np.array_equal(read(out, (1001, 1004)), read(plates, (1001, 1004)))
    assert run.wall_s < 60


def test_a_server_killed_in_the_middle_of_a_frame(melt: Setup, home: Path, plates: Path, tmp_path: Path) -> None:
    out = tmp_path / "o%04d.png"
    with server(home, engine="slow-fake") as doomed:  # ten seconds a frame
        kill = threading.Timer(3, doomed.kill)
        kill.start()
        run = melt.render(plates, [(RESTYLE, {**IN_BOX, "server": doomed.endpoint})], out, (1001, 1003))
        kill.join()
    assert np.array_equal(read(out, (1001, 1003)), read(plates, (1001, 1003)))
    assert run.wall_s < 60


@pytest.mark.slow
def test_a_movie_through_the_host_and_latent_diffusion_and_back(melt: Setup, home: Path, tmp_path: Path) -> None:
    """With the model that ships. The box grows by the feather's 4 pixels; what lies beyond is the source."""
    two = (187, 188)
    plain, once, twice = (tmp_path / f"{name}%04d.png" for name in ("plain", "once", "twice"))
    melt.render(clip(), [], plain, two)
    look = {**IN_BOX, "preset": "Golden hour", "num_inference_steps": "4"}
    for out, folder in ((once, home / "a"), (twice, home / "b")):  # two servers: nothing is kept between them
        with server(folder, engine="diffusion") as running:
            melt.render(clip(), [(RESTYLE, {**look, "server": running.endpoint})], out, two)
    source, result = read(plain, two), read(once, two)
    inside, outside = middle(result, margin=6)
    source_inside, source_outside = middle(source, margin=6)
    assert np.array_equal(outside, source_outside)
    change = inside[..., :3].astype(int) - source_inside[..., :3].astype(int)
    blue, _, red = change.reshape(-1, 3).mean(0)
    assert red > blue + 20, "golden hour warms the picture"
    assert np.array_equal(read(twice, two), result)
