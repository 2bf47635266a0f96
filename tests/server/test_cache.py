import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from latensify_bridge.errors import OutputFailed
from latensify_bridge.frames import Box, Depth, Edited
from latensify_server.cache import Cache, Entry


def result(value: float = 0.5, side: int = 16) -> tuple[Entry, Edited]:
    box = Box(1, 2, side, side)
    edited = Edited(box, np.full((side, side, 3), value, np.float16), np.ones((side, side), np.float16))
    return Entry(box, Depth.HALF, "tiny", "f" * 64, 1.25), edited


def test_a_result_comes_back_as_it_was(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 10**9)
    entry, edited = result()
    cache.put("a", entry, edited)
    kept = Cache(tmp_path, 10**9).get("a")
    assert kept is not None and kept[0] == entry
    np.testing.assert_array_equal(kept[1].rgb, edited.rgb)
    assert cache.get("b") is None


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    entry, edited = result()
    cache = Cache(tmp_path, 3 * 2300)  # an entry is a little more than 2048 bytes
    for number, key in enumerate("abc"):
        cache.put(key, entry, edited)
        os.utime(tmp_path / key, (number, number))
    cache.get("a")
    cache.put("d", entry, edited)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "c", "d"]
    assert cache.usage()[1] <= 3 * 2300


def test_a_damaged_entry_is_forgotten(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 10**9)
    for damage in (b"", b"LTSY1\n", b"x" * 3000):
        cache.put("a", *result())
        (tmp_path / "a").write_bytes(damage)
        assert cache.get("a") is None
        assert "a" not in cache
    cache.put("a", *result())
    data = bytearray((tmp_path / "a").read_bytes())
    data[1000] ^= 1
    (tmp_path / "a").write_bytes(data)
    assert cache.get("a") is None


WRITER = """
import sys; from pathlib import Path
import numpy as np
from latensify_bridge.frames import Box, Depth, Edited
from latensify_server.cache import Cache, Entry
cache = Cache(Path(sys.argv[1]), 10**9)
box = Box(0, 0, 512, 512)
for n in range(10**6):
    edited = Edited(box, np.full((512, 512, 3), n, np.float16), np.ones((512, 512), np.float16))
    cache.put(f"k{n % 7}", Entry(box, Depth.HALF, "m", "h", 0.0), edited)
    print(n, flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_no_corrupt_entry(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for round in range(6):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, env=env)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.01 + 0.017 * round)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        kept = [path.name for path in tmp_path.iterdir() if not path.name.endswith(".tmp")]
        assert kept
        cache = Cache(tmp_path, 10**9)
        for key in kept:
            found = cache.get(key)
            assert found is not None, f"{key} is corrupt after round {round}"
            assert len(np.unique(found[1].rgb)) == 1


def test_left_over_temporaries_are_swept_once_they_are_old(tmp_path: Path) -> None:
    for name, age_s in (("k.1.tmp", 7200), ("k.2.tmp", 5)):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (time.time() - age_s,) * 2)
    Cache(tmp_path, 10**9)
    assert [path.name for path in tmp_path.iterdir()] == ["k.2.tmp"]


def test_a_full_disk_is_told_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path, 10**9)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputFailed, match=r"Cannot keep a result in .*: No space left on device; free some space"):
        cache.put("a", *result())
    assert not list(tmp_path.iterdir())
