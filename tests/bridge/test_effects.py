import math

import msgspec
import pytest

from latensify_bridge import generate
from latensify_bridge.choices import Aspect, CameraMove, Instruction, NewObject, Scene
from latensify_bridge.declared import parameters
from latensify_bridge.effects import EFFECTS, Panel, Remove, Restyle, changes_nothing, effect_named, parse
from latensify_bridge.errors import BadParameter, UnknownEffect


@pytest.mark.parametrize("effect", EFFECTS)
def test_every_parameter_is_declared_in_full(effect: str) -> None:
    for parameter in parameters(effect):
        assert parameter.label and parameter.help.endswith("."), parameter.name
        if parameter.kind in ("double", "integer"):
            assert parameter.minimum is not None and parameter.maximum is not None, parameter.name
            low, high = parameter.slider or (parameter.minimum, parameter.maximum)
            assert parameter.minimum <= low < high <= parameter.maximum, parameter.name
            assert parameter.minimum <= parameter.default <= parameter.maximum, parameter.name
        if parameter.kind == "choice":
            assert parameter.default in parameter.choices, parameter.name


def test_a_prompt_has_a_preset_beside_it() -> None:
    for effect in EFFECTS:
        names = [parameter.name for parameter in parameters(effect)]
        assert names.index("prompt") == names.index("preset") + 1


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"strength": 9.0}, "Parameter 'strength' cannot be 9.0: it must lie between 0 and 1."),
        ({"strength": math.nan}, "Parameter 'strength' cannot be nan: it must lie between 0 and 1."),
        ({"strenght": 0.5}, "There is no parameter 'strenght'; there are colour_space,"),
        ({"preset": "wintry"}, "Parameter 'preset' cannot be 'wintry': expected one of prompt, winter,"),
        ({"window": 4, "overlap": 3}, "Overlap 3 is more than half of window 4; use 2 or less."),
        ({"seed": 1.5}, "Parameter 'seed' cannot be 1.5: a whole number is expected."),
        ({"seed": -1}, "Parameter 'seed' cannot be -1: it must lie between 0 and 2147483647."),
        ({"strength": "x"}, "Parameter 'strength' cannot be 'x': a number is expected."),
        ({"model": "../../etc"}, "Parameter 'model' cannot be '../../etc': a name has letters, digits, dots, dashes"),
        ({"model": "a" * 201}, "Parameter 'model' cannot be 'aaaaaaaaaaaa...aaaaaaaaaaaaa': it may have at most 200"),
        ({"prompt": "a" * 4001}, "Parameter 'prompt' cannot be 'aaaaaaaaaaaa...aaaaaaaaaaaaa': it may have at most"),
    ],
)
def test_a_bad_parameter_is_told_in_one_sentence(values: dict[str, object], said: str) -> None:
    with pytest.raises(BadParameter) as caught:
        parse(Restyle, values)
    assert str(caught.value).startswith(said)
    assert len(str(caught.value)) < 400


def test_text_from_a_command_line_is_converted() -> None:
    edit = parse(Remove, {"strength": "0.25", "propagate": "false", "motion": "flow"}, strict=False)
    assert (edit.strength, edit.propagate, edit.motion.value) == (0.25, False, "flow")


def test_an_unknown_effect_names_the_known_ones() -> None:
    with pytest.raises(UnknownEffect, match="no effect 'sharpen'; there are restyle, remove"):
        effect_named("sharpen")


def test_the_look_and_the_prompt_are_both_told_to_the_model() -> None:
    assert parse(Restyle, {"preset": "fog"}).text() == "thick fog"
    assert parse(Restyle, {"preset": "fog", "prompt": " two ships "}).text() == "thick fog, two ships"


def test_what_would_change_nothing_is_known_beforehand() -> None:
    assert changes_nothing(Restyle(), Panel())
    assert changes_nothing(Restyle(prompt="x", strength=0), Panel())
    assert changes_nothing(Remove(), Panel(mix=0))
    assert not changes_nothing(Restyle(prompt="x"), Panel())
    assert not changes_nothing(Remove(strength=0), Panel())


def test_choices_are_append_only() -> None:
    """Hosts store a choice as an index: these orders are in people's projects."""
    assert [look.value for look in msgspec.structs.fields(Restyle) and type(Restyle().preset)][:15] == [
        *("prompt", "winter", "autumn", "night", "golden_hour", "sunset", "rain", "fog"),
        *("noir", "teal_orange", "vintage", "watercolour", "oil", "sketch", "cyberpunk"),
    ]
    assert [each.value for each in Instruction][:11] == [
        *("prompt", "night", "day", "sunset", "snow", "rain", "fog", "clear", "winter", "autumn", "summer")
    ]
    assert [each.value for each in NewObject][:8] == [
        *("prompt", "red_ball", "blue_box", "yellow_cone", "orange_cylinder", "green_tree", "white_house", "red_car")
    ]
    assert [each.value for each in Scene][:8] == [
        *("prompt", "meadow", "tree", "desert", "lake", "city_night", "snowfall", "fog")
    ]
    assert [each.value for each in CameraMove][:5] == ["still", "push_in", "pull_out", "pan_left", "pan_right"]
    assert [each.value for each in Aspect][:8] == ["none", "2.39:1", "1.85:1", "16:9", "4:3", "1:1", "4:5", "9:16"]
    assert [fill.value for fill in type(Remove().fill)][:2] == ["diffusion", "classical"]
    assert [space.value for space in type(Remove().colour_space)][:10] == [
        *("auto", "srgb", "rec709", "linear_rec709", "acescg", "acescct"),
        *("davinci_intermediate", "logc4", "slog3", "log3g10"),
    ]


def test_generated_files_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"]) == 0, capsys.readouterr().out


def test_a_stale_generated_file_fails_with_the_mending_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = generate.REPOSITORY / "docs/effects.md"
    monkeypatch.setattr(generate, "files", lambda: {path: "other"})
    assert generate.main(["--check"]) == 1
    assert "docs/effects.md is stale; run: python -m latensify_bridge.generate" in capsys.readouterr().out
