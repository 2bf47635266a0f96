from typing import Any

import msgspec
import pytest

from latensify_bridge.effects import Remove, Restyle
from latensify_bridge.errors import BadParameter, BadRequest, UnknownEffect
from latensify_bridge.frames import Depth
from latensify_bridge.protocol import Source, Submit
from latensify_bridge.windows import frames_of
from latensify_server.engine import ModelChoice
from latensify_server.plan import plan

MODEL = ModelChoice("tiny", "hash")


def submit(
    frame: int = 5, shot: tuple[int, int] = (1, 24), params: dict[str, Any] | None = None, **more: Any
) -> Submit:
    values = {"prompt": "x", "window": 8, "overlap": 2, **(params or {})}
    needed = frames_of(frame, *shot, values["window"], values["overlap"])
    settings: dict[str, Any] = {
        "effect": "restyle",
        "sources": [Source(number, f"{number:032x}") for number in needed],
        **more,
    }
    raw = msgspec.Raw(msgspec.msgpack.encode(values))
    return Submit(id="a", params=raw, frame=frame, first=shot[0], last=shot[1], **settings)


def test_frames_of_one_window_share_its_key() -> None:
    keys = {plan(submit(frame), MODEL).windows[-1].key for frame in (6, 8, 11)}
    assert len(keys) == 1
    assert len({plan(submit(frame), MODEL).key for frame in (6, 8, 11)}) == 3


@pytest.mark.parametrize(
    "changed",
    [
        {"params": {"prompt": "y"}},
        {"params": {"seed": 1}},
        {"params": {"strength": 0.5}},
        {"depth": Depth.FLOAT},
        {"render_scale": 0.5},
        {"pixel_aspect": 2.0},
        {"fresh": "run"},
    ],
)
def test_whatever_decides_the_pixels_is_in_the_key(changed: dict[str, Any]) -> None:
    assert plan(submit(**changed), MODEL).key != plan(submit(), MODEL).key


def test_the_model_and_the_frames_are_in_the_key() -> None:
    assert plan(submit(), ModelChoice("tiny", "other")).key != plan(submit(), MODEL).key
    other = [msgspec.structs.replace(s, pixels="f" * 32) if s.number == 6 else s for s in submit().sources]
    assert plan(submit(sources=other), MODEL).key != plan(submit(), MODEL).key
    masked = [msgspec.structs.replace(s, mask="f" * 32) for s in submit().sources]
    assert plan(submit(sources=masked), MODEL).key != plan(submit(), MODEL).key


def test_who_asks_is_not_in_the_key() -> None:
    assert plan(submit(interactive=False), MODEL).key == plan(submit(), MODEL).key


def test_a_frame_in_two_windows_has_a_key_of_its_own() -> None:
    planned = plan(submit(7), MODEL)
    assert [window.weight for window in planned.windows] == pytest.approx([1 / 3, 2 / 3])
    assert planned.key not in {window.key for window in planned.windows}


def test_the_edges_of_the_shot_cut_the_window() -> None:
    assert [s.number for s in plan(submit(23), MODEL).windows[0].sources] == [18, 19, 20, 21, 22, 23, 24]


def test_bad_requests_are_told() -> None:
    with pytest.raises(BadRequest, match="Frame 30 lies outside the shot 1-24"):
        plan(submit(5, sources=[]).__class__(**{**msgspec.structs.asdict(submit(5)), "frame": 30}), MODEL)
    with pytest.raises(BadRequest, match="lacks source frame 4 of its window"):
        plan(submit(5, sources=[s for s in submit(5).sources if s.number != 4]), MODEL)
    with pytest.raises(UnknownEffect):
        plan(submit(effect="sharpen"), MODEL)
    with pytest.raises(BadParameter, match="strength"):
        plan(submit(params={"strength": 9.0}), MODEL)
    with pytest.raises(BadRequest, match="not a map"):
        plan(msgspec.structs.replace(submit(), params=msgspec.Raw(b"\x01")), MODEL)


def test_effects_differ() -> None:
    restyle, remove = plan(submit(), MODEL), plan(submit(effect="remove"), MODEL)
    assert isinstance(restyle.params, Restyle) and isinstance(remove.params, Remove)
    assert restyle.key != remove.key
