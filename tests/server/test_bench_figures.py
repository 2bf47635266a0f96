"""A figure meets its bound from the right side, and tells itself in plain values."""

from __future__ import annotations

import json
import math

import pytest

from latensify_server.bench.figures import Figure


@pytest.mark.parametrize(
    ("value", "bound", "at_least", "met"),
    [
        (32.0, 32.0, True, True),
        (31.999999, 32.0, True, False),
        (1.5, 1.5, False, True),
        (1.500001, 1.5, False, False),
        (math.nan, 1.0, True, False),
        (math.nan, 1.0, False, False),
        (5.0, None, True, None),
    ],
)
def test_a_bound_is_met_from_its_own_side(value: float, bound: float | None, at_least: bool, met: bool | None) -> None:
    assert Figure("any", value, bound, at_least, "dB", 1).met is met


def test_a_figure_is_told_in_plain_values_and_rounded_only_when_told() -> None:
    figure = Figure("vae_psnr_scenes", 31.9999999, 32.0, True, "dB", 40, "held-out seeds")
    told = json.loads(json.dumps(figure.to_json()))
    assert told == {
        "name": "vae_psnr_scenes",
        "value": 32.0,
        "bound": 32.0,
        "met": False,
        "at_least": True,
        "unit": "dB",
        "samples": 40,
        "note": "held-out seeds",
    }
    assert "note" not in Figure("any", 1.0, None, False, "", 1).to_json()
