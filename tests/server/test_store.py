import fcntl
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from latensify_bridge.errors import Busy, Misbehaved
from latensify_bridge.frames import FrameSpec, frame_name, spec_of
from latensify_bridge.segments import SegmentFile
from latensify_server.store import Store, read


def frame(value: float) -> tuple[str, FrameSpec, bytes]:
    pixels = np.full((8, 8, 4), value, np.float16)
    return frame_name(spec_of(pixels), pixels.tobytes()), spec_of(pixels), pixels.tobytes()


def test_a_frame_is_taken_inline_or_from_a_segment(tmp_path: Path) -> None:
    store = Store(tmp_path, tmp_path, 10**6)
    name, spec, data = frame(0.25)
    store.put(name, spec, None, [data[:100], data[100:]], ())
    np.testing.assert_array_equal(read(store.folder, name, spec), np.full((8, 8, 4), 0.25, np.float16))
    other, spec, data = frame(0.5)
    with SegmentFile(tmp_path) as segment:
        segment.view(len(data))[:] = data
        store.put(other, spec, segment.named(len(data)), [], ())
    assert (read(store.folder, other, spec) == 0.5).all()
    assert store.held_bytes == 2 * 512
    store.close()
    assert not store.folder.exists()


def test_a_lying_client_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path, tmp_path, 10**6)
    name, spec, data = frame(0.25)
    with pytest.raises(Misbehaved, match="needs 512 bytes"):
        store.put(name, spec, None, [data[:-1]], ())
    with pytest.raises(Misbehaved, match="not those of frame"):
        store.put(name, spec, None, [b"\0" * 512], ())
    assert name not in store and [path.name for path in store.folder.iterdir()] == ["lock"]


def test_old_frames_go_and_pinned_ones_stay(tmp_path: Path) -> None:
    store = Store(tmp_path, tmp_path, 3 * 512)
    names = []
    for value in range(5):
        name, spec, data = frame(value)
        store.put(name, spec, None, [data], names[:1])
        names.append(name)
    assert [name in store for name in names] == [True, False, False, True, True]
    name, spec, data = frame(9)
    with pytest.raises(Busy, match="fill the 0 MiB"):
        store.put(name, spec, None, [data], names)


def test_the_store_of_a_killed_server_is_swept_and_a_living_one_is_not(tmp_path: Path) -> None:
    code = (
        "import os, pathlib; from latensify_server.store import Store;"
        f"Store(pathlib.Path({str(tmp_path)!r}), pathlib.Path({str(tmp_path)!r}), 10); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert len(list(tmp_path.iterdir())) == 1
    first = Store(tmp_path, tmp_path, 10)
    second = Store(tmp_path, tmp_path, 10)
    assert {path.name for path in tmp_path.iterdir()} == {first.folder.name, second.folder.name}


def filled(folder: Path) -> tuple[Store, list[str], FrameSpec]:
    """A store that holds two frames, and no more."""
    store = Store(folder, folder, 2 * 512)
    names = []
    for value in (1, 2):
        name, spec, data = frame(value)
        store.put(name, spec, None, [data], ())
        names.append(name)
    return store, names, spec


def test_the_file_of_a_frame_let_go_serves_the_next(tmp_path: Path) -> None:
    store, (first, second), spec = filled(tmp_path)
    number = (store.folder / first).stat().st_ino
    name, spec, data = frame(3)
    store.put(name, spec, None, [data], ())
    assert (store.folder / name).stat().st_ino == number
    assert (read(store.folder, name, spec) == 3).all() and (read(store.folder, second, spec) == 2).all()
    assert {path.name for path in store.folder.iterdir()} == {"lock", second, name}
    with pytest.raises(FileNotFoundError):
        read(store.folder, first, spec)


def test_a_frame_that_is_read_keeps_its_pixels_though_it_is_let_go(tmp_path: Path) -> None:
    store, (first, second), spec = filled(tmp_path)
    reading = read(store.folder, first, spec)
    part = reading[2:4]
    del reading  # the mapping lives on in what was cut out of it
    for value in (3, 4):
        name, spec, data = frame(value)
        store.put(name, spec, None, [data], ())
    assert (part == 1).all()
    assert first not in store and second not in store
    assert store.held_bytes == 2 * 512


def test_a_frame_that_is_being_let_go_is_not_begun_to_be_read(tmp_path: Path) -> None:
    store, (first, _), spec = filled(tmp_path)
    with open(store.folder / first, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(FileNotFoundError, match="being let go"):
            read(store.folder, first, spec)
    assert (read(store.folder, first, spec) == 1).all()


def test_a_lie_about_a_frame_that_would_take_anothers_file_leaves_nothing(tmp_path: Path) -> None:
    store, names, spec = filled(tmp_path)
    name, _, _ = frame(3)
    with pytest.raises(Misbehaved, match="not those of frame"):
        store.put(name, spec, None, [bytes(512)], ())
    assert {path.name for path in store.folder.iterdir()} == {"lock", names[1]}
    assert store.held_bytes == 512
