"""Both languages give what stands in tests/golden, and read what the other writes."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bridge.conftest import Cpp
from golden import make
from latensify_bridge.composite import quantise
from latensify_bridge.errors import Misbehaved
from latensify_bridge.frames import to_half
from latensify_bridge.protocol import Message, decode_from_client, decode_from_server, encode
from latensify_bridge.windows import windows_of

pytestmark = pytest.mark.timeout(900)  # the first build compiles libzmq

MESSAGES = make.FOLDER / "messages"
READ_BY_CPP = [name for name in make.FROM_SERVER if name != "report"]
WRITTEN_BY_CPP = [name for name in make.FROM_CLIENT if name != "status"]


def plain(message: Message | bytes) -> Any:
    """A message as maps and lists, with its parameters decoded."""
    return msgspec.msgpack.decode(message if isinstance(message, bytes) else encode(message))


def stored(name: str) -> bytes:
    return (make.FOLDER / name).read_bytes()


def test_the_files_are_what_python_makes() -> None:
    stale = [path.name for path, data in make.files().items() if not path.exists() or path.read_bytes() != data]
    assert not stale, f"{', '.join(stale)}: stale; run: {make.COMMAND}"
    known = {path for path in make.FOLDER.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert known == set(make.files()), "files that nothing makes"


# --- messages ---


@pytest.mark.parametrize("name", make.FROM_CLIENT)
def test_python_reads_a_clients_message(name: str) -> None:
    assert decode_from_client(stored(f"messages/{name}.msgpack")) == make.FROM_CLIENT[name]


@pytest.mark.parametrize("name", make.FROM_SERVER)
def test_python_reads_a_servers_message(name: str) -> None:
    assert decode_from_server(stored(f"messages/{name}.msgpack")) == make.FROM_SERVER[name]


def test_cpp_reads_every_servers_message(cpp: Cpp) -> None:
    lines = cpp("read", *(MESSAGES / f"{name}.msgpack" for name in READ_BY_CPP)).splitlines()
    for name, line in zip(READ_BY_CPP, lines, strict=True):
        expected = plain(make.FROM_SERVER[name])
        if expected["type"] == "failure":
            del expected["frames"]  # the client sends all again
        assert json.loads(line) == expected


def test_python_reads_what_cpp_writes(cpp: Cpp, tmp_path: Path) -> None:
    cpp("write", tmp_path)
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(WRITTEN_BY_CPP)
    for name in WRITTEN_BY_CPP:
        read = decode_from_client((tmp_path / f"{name}.msgpack").read_bytes())
        assert plain(read) == plain(make.FROM_CLIENT[name])


def verdicts(cpp: Cpp, headers: list[bytes]) -> list[str]:
    """What C++ says of each: ok, or the code of its failure."""
    return cpp("mutants", stdin=b"".join(header.hex().encode() + b"\n" for header in headers)).decode().split()


def mutants() -> Iterator[bytes]:
    """Messages with bytes changed, cut, doubled and put in; and plain noise."""
    chance = random.Random(5)
    for name in READ_BY_CPP:
        good = stored(f"messages/{name}.msgpack")
        for _ in range(60):
            changed = bytearray(good)
            for _ in range(chance.randint(1, 4)):
                changed[chance.randrange(len(changed))] = chance.randrange(256)
            yield bytes(changed)
            at = chance.randrange(len(good))
            yield good[:at]
            yield good[:at] + chance.randbytes(chance.randint(1, 6)) + good[at:]
    yield from (chance.randbytes(chance.randint(0, 80)) for _ in range(200))


def test_no_bytes_bring_cpp_down(cpp: Cpp) -> None:
    headers = list(mutants())
    said = verdicts(cpp, headers)
    assert len(said) == len(headers) > 1000
    assert set(said) == {"ok", "misbehaved"} and said.count("misbehaved") > len(said) / 2


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xc1", id="never used"),
        pytest.param(b"\x91" * 1_000_000, id="a million lists within each other"),
        pytest.param(b"\x81\xa1a" * 300_000, id="maps within each other"),
        pytest.param(b"\x82\xa4type\xa4need\xa2id" + b"\x91" * 100_000, id="deep inside a field"),
        pytest.param(b"\xdd\xff\xff\xff\xff", id="a list of four thousand million"),
        pytest.param(b"\xdf\xff\xff\xff\xff", id="a map of four thousand million"),
        pytest.param(b"\xdb\xff\xff\xff\xffabc", id="a text of four thousand million"),
        pytest.param(b"\xc6\xff\xff\xff\xffabc", id="bytes of four thousand million"),
        pytest.param(b"\xc7\x03\x01abc", id="an extension"),
        pytest.param(b"\x81\x01\x02", id="a number as a key"),
        pytest.param(msgspec.msgpack.encode({"type": "stored", "id": "a", "frame": "a" * 2**20}), id="too long"),
        pytest.param(msgspec.msgpack.encode({"type": "stored", "id": 5, "frame": "a"}), id="an id that is a number"),
        pytest.param(msgspec.msgpack.encode({"type": "reboot", "id": "a"}), id="an unknown type"),
        pytest.param(msgspec.msgpack.encode(["type", "stored"]), id="a list"),
    ],
)
def test_hostile_headers_misbehave(cpp: Cpp, header: bytes) -> None:
    assert verdicts(cpp, [header]) == ["misbehaved"]


def ill_typed() -> Iterator[tuple[str, str, bytes]]:
    """(message, field, header): each field left out, and given every type that it may not have."""
    for name in READ_BY_CPP:
        good = plain(make.FROM_SERVER[name])
        for field in good:
            if (good["type"], field) == ("failure", "frames"):
                continue  # C++ does not read it
            if (good["type"], field) == ("result", "segment"):
                continue  # C++ compares it with the segment that it offered
            yield name, field, msgspec.msgpack.encode({key: value for key, value in good.items() if key != field})
            for value in (None, True, 7, -7, 1.5, "x", b"x", [], ["x"], [1], {}, {"x": 1}):
                changed = msgspec.msgpack.encode({**good, field: value})
                if type(value) is not type(good[field]):  # what a text may hold is another matter
                    yield name, field, changed


def test_both_languages_refuse_the_same_fields(cpp: Cpp) -> None:
    cases = list(ill_typed())
    for (name, field, header), said in zip(cases, verdicts(cpp, [case[2] for case in cases]), strict=True):
        try:
            decode_from_server(header)
            expected = "ok"
        except Misbehaved:
            expected = "misbehaved"
        assert said == expected, f"{field} of {name}: {plain(header)}"


# --- rules ---


def test_windows(cpp: Cpp) -> None:
    items = json.loads(stored("windows.json"))
    assert len(items) > 200
    lines = cpp("windows", make.FOLDER / "windows.json").splitlines()
    for item, line in zip(items, lines, strict=True):
        shot = [item.pop(key) for key in ("frame", "first", "last", "window", "overlap")]
        assert [[w.index, w.first, w.last] for w in windows_of(*shot)] == item["windows"]
        assert json.loads(line) == item, shot


def test_names(cpp: Cpp) -> None:
    expected = [item["name"] for item in json.loads(stored("names.json"))]
    assert cpp("names", make.FOLDER / "names.json", make.FOLDER / "names.bin").decode().split() == expected


def test_composites(cpp: Cpp, tmp_path: Path) -> None:
    """To the bit; where the arithmetic gives no number, both give none."""
    cpp("composite", make.FOLDER / "composite", tmp_path)
    for case in json.loads(stored("composite/cases.json")):
        name = f"composite/{case['name']}"
        expected = np.frombuffer(stored(f"{name}.out"), np.uint32)
        found = np.fromfile(tmp_path / f"{case['name']}.out", np.float32)
        found[np.isnan(found)] = np.nan
        assert np.flatnonzero(found.view(np.uint32) != expected).tolist() == [], case["name"]
        laid = make.laid(case, stored(f"{name}.plate"), stored(f"{name}.edit"))
        assert laid.tobytes() == expected.tobytes()


def test_what_is_no_number_stays_out_of_the_plate() -> None:
    """Only a plate's own NaN or infinity, under a partial matte, leaves one in the output."""
    case = next(case for case in json.loads(stored("composite/cases.json")) if case["name"] == "unreal")
    shape = (case["height"], case["width"], 4)
    plate = np.frombuffer(stored("composite/unreal.plate"), np.float32).reshape(shape)
    edit = np.frombuffer(stored("composite/unreal.edit"), np.float32)
    assert not np.isfinite(edit).all()
    out = np.frombuffer(stored("composite/unreal.out"), np.float32).reshape(shape)
    assert np.isfinite(out[np.isfinite(plate)]).all()


@pytest.mark.parametrize("levels", [255, 65535])
def test_levels(cpp: Cpp, tmp_path: Path, levels: int) -> None:
    expected = np.frombuffer(stored(f"quantise/{levels}.out"), np.uint32)
    values = np.frombuffer(stored("quantise/values"), np.float32)
    np.testing.assert_array_equal(quantise(values, levels), expected)
    cpp("quantise", levels, make.FOLDER / "quantise/values", tmp_path / "out")
    np.testing.assert_array_equal(np.fromfile(tmp_path / "out", np.uint32), expected)


def floats_around_halves() -> np.ndarray[Any, np.dtype[np.float32]]:
    """Every half, the ties between them, the floats next to both; subnormals, infinities, NaN, numbers beyond."""
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    ties = (halves[1:] + halves[:-1]) / 2
    exact = np.concatenate([halves, ties, np.float32([65519.996, 65520, 65536, 1e6, 3.4e38, np.inf])])
    near = [np.nextafter(exact, np.float32(0)), exact, np.nextafter(exact, np.float32(np.inf))]
    positive = np.concatenate([*near, np.float32([1e-45, 1e-40, 1.17e-38, 2**-25, 2**-26])])
    noise = np.arange(0, 2**32, 104729, dtype=np.uint32).view(np.float32)
    quiet = np.array([0x7FC00000, 0xFFC00000, 0x7F800001, 0x7FFFFFFF], np.uint32).view(np.float32)
    return np.concatenate([positive, -positive, noise, quiet])


def test_halves(cpp: Cpp, tmp_path: Path) -> None:
    floats = floats_around_halves()
    assert len(floats) % 8 != 0, "some are left to what converts one by one"
    floats.tofile(tmp_path / "floats")
    cpp("halves", tmp_path / "floats", tmp_path)
    with np.errstate(invalid="ignore"):
        expected = to_half(floats).view(np.uint16)
    for path in ("single", "rows"):
        found = np.fromfile(tmp_path / f"halves.{path}", np.uint16)
        assert np.flatnonzero(found != expected).tolist() == [], path
    single, rows = (np.fromfile(tmp_path / f"floats.{path}", np.float32) for path in ("single", "rows"))
    assert single.tobytes() == rows.tobytes()
    with np.errstate(invalid="ignore"):
        halves = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
    missing = np.isnan(halves)
    assert (np.isnan(single) == missing).all()
    np.testing.assert_array_equal(single[~missing].view(np.uint32), halves[~missing].view(np.uint32))
