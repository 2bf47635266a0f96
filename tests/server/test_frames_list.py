"""Frame lists and numbered file names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latensify_bridge.errors import BadInput, BadRequest
from latensify_server.media import framelist
from latensify_server.media.names import is_movie, pattern


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("7", [7]),
        ("1-5", [1, 2, 3, 4, 5]),
        ("1-10x4", [1, 5, 9]),
        ("1-10:4", [1, 5, 9]),
        ("5-1", [5, 4, 3, 2, 1]),
        ("9-1x4", [9, 5, 1]),
        ("9-1x-4", [9, 5, 1]),
        ("-3--1", [-3, -2, -1]),
        ("-1-1", [-1, 0, 1]),
        ("1, 3 ,2", [1, 3, 2]),
        ("1-3,2-4", [1, 2, 3, 4]),
        ("0010-0012", [10, 11, 12]),
        ("5-5", [5]),
    ],
)
def test_grammar(text: str, frames: list[int]) -> None:
    assert framelist.parse(text) == frames


@pytest.mark.parametrize(
    "text", ["", ",", "a", "1-", "-", "1--", "1-5x0", "1-5x-1", "1.5", "1-5xx2", "1-2-3", "\u0661"]
)
def test_what_is_no_list_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadRequest):
        framelist.parse(text)


def test_endless_lists_are_refused() -> None:
    with pytest.raises(BadRequest, match="more than"):
        framelist.parse("1-999999999")


FRAMES = st.lists(st.integers(-999, 9999), min_size=1, max_size=40, unique=True)


@given(FRAMES)
def test_any_list_is_read_back(frames: list[int]) -> None:
    assert framelist.parse(framelist.write(frames)) == frames
    assert framelist.parse(",".join(map(str, frames))) == frames


@given(st.integers(-500, 500), st.integers(-500, 500), st.integers(1, 50))
def test_a_range_is_pythons(first: int, last: int, step: int) -> None:
    sign = 1 if last >= first else -1
    assert framelist.parse(f"{first}-{last}x{step}") == list(range(first, last + sign, sign * step))


@pytest.mark.parametrize(
    ("text", "frame", "name"),
    [
        ("a/shot.%04d.exr", 12, "a/shot.0012.exr"),
        ("shot.####.exr", 12, "shot.0012.exr"),
        ("shot.#.exr", 12, "shot.12.exr"),
        ("shot.%d.exr", 12, "shot.12.exr"),
        ("shot.%04d.exr", 123456, "shot.123456.exr"),
        ("shot.%04d.exr", -3, "shot.-003.exr"),
        ("take#2.####.exr", 1, "take#2.0001.exr"),
    ],
)
def test_patterns_name_files(text: str, frame: int, name: str) -> None:
    found = pattern(text)
    assert found is not None
    assert found.path(frame) == Path(name)


def test_a_plain_name_is_no_pattern() -> None:
    assert pattern("shot.1001.exr") is None


@pytest.mark.parametrize("text", ["%04d/shot.exr", "shot.%02d.%04d.exr"])
def test_broken_patterns_are_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        pattern(text)


def test_only_files_of_the_pattern_are_frames(tmp_path: Path) -> None:
    for name in ("s.0001.exr", "s.0010.exr", "s.12.exr", "s.00013.exr", "s.-001.exr", "s.10000.exr", "xs.0002.exr"):
        (tmp_path / name).touch()
    found = pattern(f"{tmp_path}/s.%04d.exr")
    assert found is not None
    assert found.frames() == [-1, 1, 10, 10000]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    found = pattern(f"{tmp_path}/none/s.%04d.exr")
    assert found is not None
    with pytest.raises(BadInput, match=str(tmp_path / "none")):
        found.frames()


def test_movies_are_known_by_extension() -> None:
    assert is_movie("a.MOV")
    assert not is_movie("a.exr")
