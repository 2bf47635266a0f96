"""Whatever bytes come, the Python decoders read a message or raise Misbehaved.

LATENSIFY_FUZZ_S makes each test go on for so many seconds; without it, some hundreds of cases. The corpus is
tests/golden/messages and tests/fuzz/corpus: every message of the protocol, and what has once gone wrong.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latensify_bridge.effects import EFFECTS, parse
from latensify_bridge.errors import BadRequest, LatensifyError, Misbehaved, VersionMismatch
from latensify_bridge.frames import Box, Depth, unpack
from latensify_bridge.protocol import Segment, decode_from_client, decode_from_server
from latensify_bridge.segments import write_from
from latensify_server.service import _about, _decoded

TESTS = Path(__file__).parents[1]
CORPUS = [path.read_bytes() for path in sorted((TESTS / "golden/messages").glob("*.msgpack"))] + [
    path.read_bytes() for path in sorted((TESTS / "fuzz/corpus").iterdir())
]
FUZZ_S = float(os.environ.get("LATENSIFY_FUZZ_S", "0"))
SEED = int(os.environ.get("LATENSIFY_FUZZ_SEED", "1"))
EXAMPLES = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=80)
    | st.binary(max_size=80),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def mutant(chance: random.Random) -> bytes:
    """A message with bytes changed, cut out, doubled, swapped for those of another, or put in."""
    data = bytearray(chance.choice(CORPUS))
    for _ in range(chance.randint(1, 6)):
        at, length = chance.randrange(len(data) + 1), chance.randint(0, 12)
        kind = chance.randrange(5)
        if kind == 0 and data:
            data[at % len(data)] = chance.randrange(256)
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + length]
        elif kind == 3:
            other = chance.choice(CORPUS)
            start = chance.randrange(len(other))
            data[at : at + length] = other[start : start + length]
        else:
            data[at:at] = chance.choice(
                [b"\xc1", b"\xff" * 4, b"\x80", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\x91" * 64]
            )
    return bytes(data)


def mutants(count: int) -> Iterator[bytes]:
    """At least `count`, and as many as LATENSIFY_FUZZ_S has time for."""
    chance = random.Random(SEED)
    end = time.monotonic() + FUZZ_S
    while count > 0 or time.monotonic() < end:
        count -= 1
        yield mutant(chance)


def only_misbehaves(read: Callable[[bytes], object], data: bytes) -> bool:
    """Whether bytes were read; any failure but those that are promised fails the test, and shows them."""
    try:
        read(data)
    except (Misbehaved, BadRequest, VersionMismatch):
        return False
    except Exception as error:
        raise AssertionError(f"{type(error).__name__} at {data.hex()}") from error
    return True


@pytest.mark.timeout(0)
@pytest.mark.parametrize("read", [decode_from_client, decode_from_server, _decoded, _about])
def test_mutants_of_messages(read: Callable[[bytes], object]) -> None:
    said = [only_misbehaves(read, data) for data in mutants(2000)]
    assert any(said), "some mutants are still messages"
    if read is not _about:
        assert not all(said)


@EXAMPLES
@given(st.binary(max_size=200))
def test_noise(data: bytes) -> None:
    for read in (decode_from_client, decode_from_server, _decoded, _about):
        only_misbehaves(read, data)


@EXAMPLES
@given(
    st.sampled_from(["hello", "put", "submit", "fit", "have", "result", "welcome", "failure", "need"]), VALUES, VALUES
)
def test_messages_of_wrong_fields(kind: str, first: object, second: object) -> None:
    fields = {"id": "a", "frame": first, "frames": second, "spec": first, "segment": second, "sources": [first, second]}
    for given_fields in (fields, {**fields, "params": first, "box": second, "id": first, "effect": "restyle"}):
        data = msgspec.msgpack.encode({"type": kind, **given_fields})
        for read in (decode_from_client, decode_from_server, _decoded, _about):
            only_misbehaves(read, data)


@EXAMPLES
@given(st.sampled_from(sorted(EFFECTS)), st.dictionaries(st.text(max_size=20), VALUES, max_size=4), st.data())
def test_parameters(effect: str, values: dict[str, object], data: st.DataObject) -> None:
    names = [field.name for field in msgspec.structs.fields(EFFECTS[effect])]
    wrong = {name: data.draw(VALUES) for name in data.draw(st.lists(st.sampled_from(names), max_size=4))}
    try:
        parse(EFFECTS[effect], {**values, **wrong})
    except LatensifyError as error:
        said = str(error)
    else:
        said = "read"
    assert said


@EXAMPLES
@given(st.binary(max_size=300), st.integers(0, 6), st.integers(0, 6), st.sampled_from(Depth))
def test_results(data: bytes, width: int, height: int, depth: Depth) -> None:
    box = Box(1, 2, width, height)
    try:
        edited = unpack(data, box, depth)
    except ValueError:
        assert len(data) != box.nbytes(depth)
    else:
        assert len(data) == box.nbytes(depth)
        assert edited.rgb.shape == (height, width, 3) and edited.matte.shape == (height, width)


@EXAMPLES
@given(name=st.text(max_size=30) | st.from_regex(r"seg-[0-9a-f./-]{0,20}"), offset=st.integers(), size=st.integers())
def test_segments_that_are_not_there(name: str, offset: int, size: int) -> None:
    with pytest.raises(Misbehaved):
        write_from(TESTS, Segment(name, offset, size), [memoryview(np.zeros(8, np.uint8))])


def test_the_corpus_is_small_and_holds_what_went_wrong() -> None:
    assert len(CORPUS) > 20 and sum(map(len, CORPUS)) < 1_000_000
    for data in CORPUS:
        for read in (decode_from_client, decode_from_server, _decoded, _about):
            try:
                read(data)
            except LatensifyError:
                pass
