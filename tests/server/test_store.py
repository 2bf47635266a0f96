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
