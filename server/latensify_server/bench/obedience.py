"""Whether a picture generated from a prompt alone shows what the prompt says, by the judges of `judges.py`.

Each attribute is asked for where it can be read: colour, shape and ground by day in clear summer, of things that stand
out (`subjects.legible`); the weather by day; the time in clear weather. The same judges look at true renders of the
same worlds: what they miss there is their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from latensify_server.bench import asking, judges, subjects
from latensify_server.bench.figures import Figure
from latensify_server.bench.judges import Verdict
from latensify_server.bench.measures import Picture
from latensify_server.bench.setting import Setting, mean_of
from latensify_server.training import worlds
from latensify_server.training.worlds import World

BOUND = 0.9
_PLAIN = "asked by day in clear summer, of a thing that stands out"
WHERE = {
    "colour": _PLAIN,
    "shape": _PLAIN,
    "background": _PLAIN,
    "weather": "asked by day",
    "time": "asked in clear weather",
}


@dataclass(frozen=True)
class Question:
    """Worlds to ask for, and the attributes that are judged on them by what each should be."""

    what: str
    worlds: Sequence[World]
    expected: dict[str, Callable[[World], str]]


def questions(count: int) -> list[Question]:
    """What is asked, on so many worlds each; weathers and times take turns."""
    alone = [subjects.legible(seed) for seed in subjects.seeds(count, row=2)]
    weathers = [
        replace(subjects.plain(seed), weather=worlds.WEATHERS[at % len(worlds.WEATHERS)])
        for at, seed in enumerate(subjects.seeds(count, row=3))
    ]
    times = [
        replace(subjects.plain(seed), time=worlds.TIMES[at % len(worlds.TIMES)])
        for at, seed in enumerate(subjects.seeds(count, row=4))
    ]
    return [
        Question(
            "objects and grounds",
            alone,
            {
                "colour": lambda world: world.things[0].colour,
                "shape": lambda world: world.things[0].shape,
                "background": lambda world: world.ground,
            },
        ),
        Question("weathers", weathers, {"weather": lambda world: world.weather}),
        Question("times of day", times, {"time": lambda world: world.time}),
    ]


def prompts(setting: Setting) -> list[Figure]:
    """The share of generated pictures that show what was asked, for each attribute, and of true ones."""
    figures = []
    for question in questions(setting.samples):
        made: list[Verdict] = []
        true: list[Verdict] = []
        for at, world in enumerate(setting.each(f"{question.what} by prompt", question.worlds)):
            made.append(judges.verdict(generated(setting, world, at)))
            true.append(judges.verdict(subjects.shown(world)))
        for attribute, expected in question.expected.items():
            wanted = [expected(world) for world in question.worlds]
            figures += _figures(attribute, wanted, made, true)
    return figures


def generated(setting: Setting, world: World, seed: int) -> Picture:
    """What the model shows for a world's caption."""
    return asking.generated(setting.model, worlds.caption(world), seed, subjects.SIDE_PX, subjects.SIDE_PX)


def _figures(attribute: str, wanted: list[str], made: list[Verdict], true: list[Verdict]) -> list[Figure]:
    obeyed, judged = (
        [float(getattr(verdict, attribute) == value) for verdict, value in zip(verdicts, wanted, strict=True)]
        for verdicts in (made, true)
    )
    return [
        mean_of(
            f"prompt_{attribute}", obeyed, BOUND, note=f"share of generated frames that show it; {WHERE[attribute]}"
        ),
        mean_of(f"judge_{attribute}", judged, None, note="the same judge on true renders of the same worlds"),
    ]
