"""The judges: on cases made by hand, and on true renders that they never saw."""

from __future__ import annotations

from importlib.util import find_spec

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")
if not (find_spec("skimage") and find_spec("sklearn")):
    pytest.skip("the renderer's photographs come with scikit-image and scikit-learn", allow_module_level=True)

from latensify_server.bench import colours, discriminant, finding, judges, obedience, subjects
from latensify_server.training import worlds


def flat(colour: tuple[float, float, float]) -> np.ndarray:
    return np.broadcast_to(np.float32(colour), (16, 16, 3)).copy()


def meadow(seed: int) -> np.ndarray:
    """A green ground under a blue sky, a little uneven."""
    picture = np.empty((128, 128, 3), np.float32)
    picture[:50], picture[50:] = (0.5, 0.7, 0.9), (0.35, 0.5, 0.25)
    return picture + np.random.default_rng(seed).normal(0, 0.01, picture.shape).astype(np.float32)


def disc(x: int, y: int, radius: int) -> np.ndarray:
    down, across = np.mgrid[:128, :128]
    return np.hypot(across - x, down - y) < radius


@pytest.mark.parametrize("name", worlds.COLOURS)
def test_a_named_colour_is_named_in_light_and_in_shade(name: str) -> None:
    for light in (1.0, 0.75) if name != "black" else (1.0, 1.5):
        picture = flat(tuple(light * part for part in worlds.COLOURS[name]))  # type: ignore[arg-type]
        assert colours.colour_of(picture, np.ones((16, 16), bool)) == name


def test_browns_and_greys_have_no_name() -> None:
    for colour in ((0.36, 0.28, 0.26), (0.3, 0.3, 0.3)):
        assert (colours.names_of(flat(colour)) == colours.NONE).all()


def test_a_striped_or_lamplit_thing_has_its_own_colour() -> None:
    striped = flat(worlds.COLOURS["blue"])
    striped[::2] = 0.92
    assert colours.colour_of(striped, np.ones((16, 16), bool)) == "blue"
    car = flat(worlds.COLOURS["white"])
    car[:2, :4] = worlds.COLOURS["red"]
    assert colours.colour_of(car, np.ones((16, 16), bool)) == "white"
    with pytest.raises(ValueError, match="no colour"):
        colours.colour_of(car, np.zeros((16, 16), bool))


def test_the_discriminant_weighs_measurements_by_their_spread() -> None:
    rng = np.random.default_rng(0)
    spread = np.array([10.0, 0.1])
    examples = {
        "low": rng.normal(0, 1, (50, 2)) * spread,
        "high": rng.normal(0, 1, (50, 2)) * spread + [0, 1],
    }
    told = discriminant.learned(examples)
    assert told.nearest([15.0, 0.05]) == "low"
    assert told.nearest([-15.0, 0.95]) == "high"
    with pytest.raises(ValueError, match="odd has fewer"):
        discriminant.learned({**examples, "odd": [[0.0, 0.0]]})


def test_a_disc_on_a_meadow_is_found_and_a_meadow_alone_holds_nothing() -> None:
    def with_disc(seed: int, colour: str, where: np.ndarray) -> np.ndarray:
        picture = meadow(seed)
        picture[where] = worlds.COLOURS[colour]
        return picture

    examples = [
        (with_disc(number, name, disc(40 + number, 80, 18)), disc(40 + number, 80, 18), name)
        for number, name in enumerate(worlds.COLOURS)
    ]
    finder = finding.learned(examples)
    where = disc(80, 75, 15)
    picture = with_disc(99, "red", where)
    part = finding.coloured_part(finder, picture)
    assert part is not None
    for region in (part, finding.whole_of(picture, part)):
        assert (region & where).sum() / (region | where).sum() > 0.9
    assert finding.coloured_part(finder, picture, "blue") is None
    assert finding.coloured_part(finder, picture, "red", within=~where) is None
    assert finding.coloured_part(finder, meadow(100)) is None


def test_a_silhouette_forgets_place_and_size_and_keeps_shape() -> None:
    def agreement(a: np.ndarray, b: np.ndarray) -> float:
        one, other = finding.silhouette(a), finding.silhouette(b)
        return float((one & other).sum() / (one | other).sum())

    square = np.zeros((128, 128), bool)
    square[20:60, 30:70] = True
    assert agreement(disc(40, 40, 15), disc(80, 90, 30)) > 0.93
    assert agreement(disc(40, 40, 20), square) < 0.92
    triangle = np.zeros((128, 128), np.uint8)
    cv2.fillPoly(triangle, [np.array([[64, 20], [30, 100], [98, 100]])], 1)
    assert agreement(disc(40, 40, 20), triangle > 0) < 0.8


def test_a_thing_is_gone_when_the_truth_is_much_nearer_than_the_source() -> None:
    source, truth, thing = flat((1, 0, 0)), flat((0, 0.5, 0)), np.ones((16, 16), bool)
    assert judges.is_gone(truth, source, truth, thing)
    assert judges.is_gone(truth + np.float32(0.2), source, truth, thing)
    assert not judges.is_gone(source, source, truth, thing)
    assert not judges.is_gone((source + truth) / 2, source, truth, thing)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_judges_are_right_on_true_renders_that_they_never_saw() -> None:
    for question in obedience.questions(24):
        seen = [judges.verdict(subjects.shown(world)) for world in question.worlds]
        for attribute, expected in question.expected.items():
            pairs = zip(seen, question.worlds, strict=True)
            right = np.mean([getattr(verdict, attribute) == expected(world) for verdict, world in pairs])
            assert right >= 0.9, attribute


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_judges_of_edits_tell_the_answer_from_the_source() -> None:
    from latensify_server.bench import edits

    for kind, make in subjects.MAKERS.items():
        cases = [make(seed, True) for seed in subjects.seeds(10, row=60)]
        assert np.mean([edits.is_done(kind, case, case.truth) for case in cases]) >= 0.9, kind
        assert not any(edits.is_done(kind, case, case.source) for case in cases), kind
