import os
import random
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from latensify_bridge.errors import Misbehaved
from latensify_bridge.protocol import Segment
from latensify_bridge.segments import PIECE_BYTES, SLOTS, SegmentFile, copy_out, sweep, write_from


def copied(folder: Path, segment: Segment) -> bytes:
    """What `copy_out` writes, which must be what it shows."""
    seen: list[bytes] = []
    with tempfile.TemporaryFile() as target, ThreadPoolExecutor(2) as pool:
        copy_out(folder, segment, target.fileno(), lambda piece: seen.append(bytes(piece)), pool)
        target.seek(0)
        written = target.read()
    assert b"".join(seen) == written
    return written


def test_bytes_travel_both_ways(tmp_path: Path) -> None:
    with SegmentFile(tmp_path) as segment:
        segment.view(8)[:] = b"12345678"
        assert copied(tmp_path, Segment(segment.name, 2, 4)) == b"3456"
        write_from(tmp_path, Segment(segment.name, 1, 5), [memoryview(b"ab"), memoryview(b"cde")])
        assert bytes(segment.view(8)) == b"1abcde78"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["../secret", "seg-../x", "/etc/passwd", "server-1", "seg-zz"])
def test_a_name_that_is_not_a_segments_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Misbehaved, match="not the name of a segment"):
        copied(tmp_path, Segment(name, 0, 1))


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "seg-1").symlink_to("/etc/passwd")
    with pytest.raises(Misbehaved, match="cannot be opened"):
        copied(tmp_path, Segment("seg-1", 0, 1))


def test_a_segment_smaller_than_said_is_refused(tmp_path: Path) -> None:
    with SegmentFile(tmp_path) as segment:
        segment.view(8)
        with pytest.raises(Misbehaved, match="smaller than the 9 bytes named"):
            copied(tmp_path, Segment(segment.name, 0, 9))
        with pytest.raises(Misbehaved, match="too small for the result"):
            write_from(tmp_path, Segment(segment.name, 0, 1), [memoryview(b"ab")])


@pytest.mark.parametrize("size", [PIECE_BYTES, PIECE_BYTES + 1, (SLOTS + 2) * PIECE_BYTES - 5])
def test_many_pieces_come_whole_and_in_order(tmp_path: Path, size: int) -> None:
    data = random.Random(5).randbytes(size + 7)
    with SegmentFile(tmp_path) as segment:
        segment.view(size + 7)[:] = data
        assert copied(tmp_path, Segment(segment.name, 7, size)) == data[7:]


def test_a_segment_that_shrinks_while_it_is_read_is_refused(tmp_path: Path) -> None:
    size = (SLOTS + 8) * PIECE_BYTES
    with SegmentFile(tmp_path) as segment, tempfile.TemporaryFile() as target, ThreadPoolExecutor(1) as pool:
        segment.view(size)

        def shrink(_: memoryview) -> None:
            os.truncate(tmp_path / segment.name, 3)

        with pytest.raises(Misbehaved, match="shrank while it was read"):
            copy_out(tmp_path, segment.named(size), target.fileno(), shrink, pool)


def test_the_segment_of_a_killed_process_is_swept_and_a_living_one_is_not(tmp_path: Path) -> None:
    code = (
        "import sys, os, pathlib; from latensify_bridge.segments import SegmentFile;"
        f"s = SegmentFile(pathlib.Path({str(tmp_path)!r})); s.view(8); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    with SegmentFile(tmp_path) as alive:
        assert len(list(tmp_path.iterdir())) == 2
        assert sweep(tmp_path) == 0  # too young to judge
        assert sweep(tmp_path, min_age_s=0) == 1
        assert [path.name for path in tmp_path.iterdir()] == [alive.name]
