"""Writes the golden files that pin both languages to each other: messages, windows, names, composites, levels.

    python tests/golden/make.py            writes what is stale
    python tests/golden/make.py --check    says what is stale, exit code 1 if anything is

The inputs are fixed, the outputs are those of latensify_bridge; the C++ client must give the same (tests/bridge).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from latensify_bridge.composite import composite, quantise
from latensify_bridge.frames import HALF_MAX, Box, Depth, Edited, FrameSpec, frame_name, unpack
from latensify_bridge.protocol import (
    Cancel,
    DeviceMemory,
    Failure,
    Fit,
    Fitted,
    Have,
    Hello,
    Message,
    Need,
    Progress,
    Put,
    Report,
    Result,
    Segment,
    SharedMemory,
    Source,
    Status,
    Stored,
    Submit,
    Trouble,
    Waiting,
    Welcome,
    encode,
)
from latensify_bridge.windows import frames_of, windows_of

FOLDER = Path(__file__).parent
COMMAND = "python tests/golden/make.py"

FRAME, OTHER = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
MASK = "00112233445566778899aabbccddeeff"
LOWEST, HIGHEST = -(2**31), 2**31 - 1


def _segment(size: int) -> Segment:
    return Segment("seg-1f-0123456789abcdef", 0, size)


def _params(**values: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(values))


FROM_CLIENT: dict[str, Message] = {
    "hello": Hello(id="c0ffee-1", protocol=1, client="Latensify 0.1.0", host="Resolve 19.1"),
    "have": Have(id="c0ffee-2", frames=[FRAME, OTHER]),
    "put_inline": Put(id="c0ffee-3", frame=FRAME, spec=FrameSpec(1920, 1080, 4, Depth.HALF)),
    "put_segment": Put(
        id="c0ffee-4", frame=MASK, spec=FrameSpec(2048, 858, 1, Depth.FLOAT), segment=_segment(2048 * 858 * 4)
    ),
    "submit_plain": Submit(
        id="c0ffee-5",
        effect="restyle",
        params=_params(prompt="winter", window=1, overlap=0),
        frame=7,
        first=7,
        last=7,
        sources=[Source(7, FRAME)],
    ),
    "submit_full": Submit(
        id="c0ffee-6",
        effect="remove",
        params=_params(prompt="ciel dégagé", strength=0.1, guidance_scale=7.5, seed=2**31 - 1, propagate=True),
        frame=-2,
        first=LOWEST,
        last=HIGHEST,
        sources=[Source(-3, FRAME, MASK), Source(-2, OTHER, MASK), Source(-1, FRAME)],
        depth=Depth.FLOAT,
        render_scale=0.5,
        pixel_aspect=1.4587,
        interactive=False,
        fresh="run-1",
        lone=True,
        output=_segment(1920 * 1080 * 16),
    ),
    "fit": Fit(
        id="c0ffee-8",
        effect="remove",
        params=_params(seed=7, fill="fitted"),
        sources=[Source(1001, FRAME, MASK), Source(1002, OTHER)],
        render_scale=0.5,
    ),
    "cancel": Cancel(id="c0ffee-6"),
    "status": Status(id="c0ffee-7"),
}
"""The C++ client asks no Status; it writes all others (bridge/cpp/tests/golden.cpp has the same values)."""

_WELCOME = Welcome(
    id="c0ffee-1",
    protocol=1,
    server="0.1.0",
    effects=["restyle", "remove"],
    models=["tiny", "été"],
    device="cuda:0",
    max_frame_bytes=2**30,
)
_RESULT = Result(
    id="c0ffee-5",
    frame=-7,
    box=Box(320, 0, 1600, 1080),
    depth=Depth.HALF,
    model="tiny",
    model_hash="ab" * 32,
    key="cd" * 16,
    cached=False,
    seconds=1.25,
    note="Nothing was hidden.",
)

FROM_SERVER: dict[str, Message] = {
    "welcome": _WELCOME,
    "welcome_shared": msgspec.structs.replace(
        _WELCOME, shared_memory=SharedMemory("token-0123456789abcdef", "00112233445566778899aabbccddeeff")
    ),
    "need": Need(id="c0ffee-2", frames=[OTHER]),
    "need_nothing": Need(id="c0ffee-2", frames=[]),
    "stored": Stored(id="c0ffee-3", frame=FRAME),
    "progress": Progress(id="c0ffee-5", fraction=0.375, stage="step 3 of 8", ahead=2),
    "result_inline": _RESULT,
    "result_segment": msgspec.structs.replace(_RESULT, cached=True, seconds=0.0, note="", segment=_segment(33177600)),
    "result_empty": msgspec.structs.replace(_RESULT, frame=HIGHEST, box=Box(0, 0, 0, 0), depth=Depth.FLOAT),
    "fitted": Fitted(id="c0ffee-8", fit="ef" * 16, cached=False, seconds=1200.5),
    "failure": Failure(id="c0ffee-5", code="bad_parameter", message="Parameter 'strength' cannot be 9.0."),
    "failure_frame_missing": Failure(
        id="c0ffee-5", code="frame_missing", message="The server does not hold 1 of the frames.", frames=[OTHER]
    ),
    "report": Report(
        id="c0ffee-7",
        server="0.1.0",
        protocol=1,
        uptime_s=12.5,
        device="cpu",
        models=["tiny"],
        queue=[
            Waiting(
                "c0ffee-5", "restyle", -7, True, True, 0.25, "Latensify 0.1.0", "Resolve 19.1", "step 2 of 8", 0, 3.5
            )
        ],
        held_frames=3,
        held_bytes=49766400,
        cache_entries=2,
        cache_bytes=66355200,
        cache_limit_bytes=20 * 2**30,
        finished=5,
        failed=1,
        last_errors=["c0ffee-4 bad_input: no matte"],
        memory=DeviceMemory(24 * 2**30, 9 * 2**30, 7 * 2**30),
        cache_hits=4,
        cache_misses=6,
        held_limit_bytes=8 * 2**30,
        fits=1,
        fits_bytes=52428800,
        frames_per_s=1.25,
        troubles=[Trouble(1760000000.5, "c0ffee-4", "bad_input", "no matte", "remove", "Latensify 0.1.0")],
    ),
}


def messages() -> dict[str, bytes]:
    return {f"messages/{name}.msgpack": encode(message) for name, message in {**FROM_CLIENT, **FROM_SERVER}.items()}


# --- windows ---


def _shots() -> Iterator[tuple[int, int, int, int, int]]:
    """(frame, first, last, window, overlap): every frame of some shots, and what lies at the ends of 32 bits."""
    for window, overlap in ((1, 0), (2, 1), (5, 0), (8, 2), (8, 4), (7, 3)):
        yield from ((frame, -9, 9, window, overlap) for frame in range(-9, 10))
    for window, overlap in ((16, 4), (256, 128), (256, 0), (2, 1), (1, 0)):
        for frame in (LOWEST, LOWEST + 1, LOWEST + 200, -1, 0, 1001, HIGHEST - 200, HIGHEST - 1, HIGHEST):
            yield frame, LOWEST, HIGHEST, window, overlap
            yield frame, frame, frame, window, overlap
            yield frame, max(LOWEST, frame - 3), min(HIGHEST, frame + 5), window, overlap


def _windows(shot: tuple[int, int, int, int, int]) -> dict[str, Any]:
    frames = frames_of(*shot)
    return {
        **dict(zip(("frame", "first", "last", "window", "overlap"), shot, strict=True)),
        "windows": [[w.index, w.first, w.last] for w in windows_of(*shot)],
        "frames": [frames[0], frames[-1]],
    }


def _lines(items: list[dict[str, Any]]) -> bytes:
    return ("[\n" + ",\n".join(json.dumps(item) for item in items) + "\n]\n").encode()


def windows() -> dict[str, bytes]:
    return {"windows.json": _lines([_windows(shot) for shot in _shots()])}


# --- frames ---


def _noise(count: int, seed: int) -> NDArray[np.float64]:
    """`count` numbers in 0..1 that are the same everywhere: a multiplicative congruential generator (Park & Miller)."""
    values, state = np.empty(count), seed
    for index in range(count):
        state = state * 48271 % (2**31 - 1)
        values[index] = state / (2**31 - 1)
    return values


def names() -> dict[str, bytes]:
    specs = [
        FrameSpec(1, 1, 1, Depth.HALF),
        FrameSpec(3, 2, 4, Depth.HALF),
        FrameSpec(2, 3, 4, Depth.HALF),
        FrameSpec(3, 2, 2, Depth.FLOAT),
        FrameSpec(7, 5, 4, Depth.FLOAT),
        FrameSpec(33, 9, 4, Depth.HALF),
        FrameSpec(64, 16, 1, Depth.FLOAT),
        FrameSpec(40, 25, 4, Depth.FLOAT),
    ]
    data = (_noise(16000, 1) * 256).astype(np.uint8).tobytes()
    items = [{**msgspec.to_builtins(spec), "name": frame_name(spec, data[: spec.nbytes])} for spec in specs]
    return {"names.json": _lines(items), "names.bin": data}


# --- composites ---

WIDTH, HEIGHT = 13, 3  # rows that no vector of 8 holds
NAN, INF = float("nan"), float("inf")


def _plate(channels: int) -> NDArray[np.float32]:
    """-0.1 to 40, mostly below 1; alpha 0, 1 and between."""
    noise = _noise(HEIGHT * WIDTH * channels, 2).reshape(HEIGHT, WIDTH, channels)
    plate = np.where(noise > 0.7, 40 * noise, noise - 0.1).astype(np.float32)
    if channels == 4:
        plate[..., 3] = np.clip(1.4 * noise[..., 3] - 0.2, 0, 1)
    return plate


def _edit(depth: Depth) -> NDArray[Any]:
    """RGB then matte, flat: mattes of 0, below 0, as small as can be, 1, above 1, and between."""
    rgb = 42 * _noise(HEIGHT * WIDTH * 3, 3) - 1
    matte = _noise(HEIGHT * WIDTH, 4)
    matte[:16] = [0, -0.0, -0.25, 6e-8, 1e-4, 1, 1.5, 0.99951, 1, 0, 2**-24, 0.5, 0.25, 1, 1, 0]
    values = np.concatenate([rgb, matte]).astype(np.float32)
    return values.astype(depth.dtype)


def _unreal() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A plate and an edit in which values are missing, infinite or too large for a product."""
    plate, edit = _plate(4), _edit(Depth.FLOAT)
    plate[0, 5] = NAN, 1, 2, 1
    plate[0, 11] = plate[1, 3] = NAN, INF, -INF, 1
    plate[1, 4, 3] = NAN
    rgb, matte = edit[: -HEIGHT * WIDTH].reshape(-1, 3), edit[-HEIGHT * WIDTH :]
    matte[[16, 17, 18]] = 0.5
    matte[[19, 20, 21, 22]] = NAN, INF, -INF, 1
    rgb[23], rgb[24], rgb[25], rgb[26] = (NAN, 1, 1), (1, INF, 1), (1, 1, -INF), (3e38, -3e38, HALF_MAX)
    matte[[23, 24, 25]] = 1, 0.5, 1
    return plate, edit


def _composites() -> Iterator[tuple[dict[str, Any], NDArray[np.float32], NDArray[Any]]]:
    for name, channels, depth, mix, premultiplied in (
        ("straight", 4, Depth.HALF, 1.0, False),
        ("premultiplied", 4, Depth.HALF, 1.0, True),
        ("premultiplied_mix", 4, Depth.FLOAT, 0.3, True),
        ("rgb", 3, Depth.HALF, 1.0, False),
        ("rgb_mix", 3, Depth.FLOAT, 0.7, True),
        ("mix_0", 4, Depth.FLOAT, 0.0, False),
    ):
        yield _case(name, channels, depth, mix, premultiplied), _plate(channels), _edit(depth)
    yield _case("unreal", 4, Depth.FLOAT, 0.9, False), *_unreal()
    yield _case("unreal_premultiplied", 4, Depth.FLOAT, 1.0, True), *_unreal()


def _case(name: str, channels: int, depth: Depth, mix: float, premultiplied: bool) -> dict[str, Any]:
    size = {"width": WIDTH, "height": HEIGHT, "channels": channels}
    return {"name": name, **size, "depth": depth.value, "mix": mix, "premultiplied": premultiplied}


def laid(case: dict[str, Any], plate: bytes, edit: bytes) -> NDArray[np.float32]:
    """A composite from the bytes of its plate and edit. Every NaN is the same one."""
    shape = (case["height"], case["width"], case["channels"])
    pixels = np.frombuffer(plate, np.float32).reshape(shape)
    edited: Edited = unpack(edit, Box(0, 0, case["width"], case["height"]), Depth(case["depth"]))
    out = composite(pixels, edited, case["mix"], case["premultiplied"])
    return np.where(np.isnan(out), np.float32(NAN), out)


def composites() -> dict[str, bytes]:
    files, cases = {}, []
    for case, plate, edit in _composites():
        cases.append(case)
        name = f"composite/{case['name']}"
        files[f"{name}.plate"], files[f"{name}.edit"] = plate.tobytes(), edit.tobytes()
        files[f"{name}.out"] = laid(case, plate.tobytes(), edit.tobytes()).tobytes()
    return {"composite/cases.json": _lines(cases), **files}


def levels() -> dict[str, bytes]:
    """Values at, just below and just above every step of 8 bits, and some of 16; and what lies outside 0..1."""
    steps = np.concatenate(
        [(np.arange(256) + 0.5) / 255, np.arange(256) / 255, (np.arange(0, 65536, 151) + 0.5) / 65535]
    )
    middle = steps.astype(np.float32)
    values = np.concatenate(
        [
            np.nextafter(middle, np.float32(-1)),
            middle,
            np.nextafter(middle, np.float32(2)),
            np.array([NAN, INF, -INF, -0.0, -1, 2, 1e-45], np.float32),
        ]
    )
    out = {f"quantise/{top}.out": quantise(values, top).tobytes() for top in (255, 65535)}
    return {"quantise/values": values.tobytes(), **out}


def files() -> dict[Path, bytes]:
    """Every golden file and what it should hold."""
    made = {**messages(), **windows(), **names(), **composites(), **levels()}
    return {FOLDER / name: data for name, data in made.items()}


def main(arguments: list[str]) -> int:
    made = files()
    stale = [path for path, data in made.items() if not path.exists() or path.read_bytes() != data]
    for path in stale:
        if "--check" in arguments:
            print(f"{path.relative_to(FOLDER)} is stale; run: {COMMAND}")
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(made[path])
        print(f"wrote {path.relative_to(FOLDER)}")
    return int("--check" in arguments and bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
