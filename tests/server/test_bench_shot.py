"""The made clips are what they say, and the figures say what the scores do."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from latensify_server.bench import clips, measures, shot

SMALL, COUNT = (128, 72), 4


@pytest.mark.parametrize("name", clips.CLIPS)
def test_a_clip_is_its_truth_outside_the_mattes_and_moves_as_told(name: str) -> None:
    clip = clips.make(name, 1, SMALL, COUNT)
    assert len(clip.frames) == len(clip.truth) == len(clip.mattes) == COUNT
    far = clip.mattes[1] == 0
    if not clip.shadows:
        assert measures.psnr(clip.frames[1], clip.truth[1], far) > 30
    still = ~clip.moving[1]
    flow, inside = clip.flow(1)
    moved = measures.warped(clip.truth[2], flow)
    assert measures.psnr(moved, clip.truth[1], inside & still) > 22
    np.testing.assert_array_equal(clip.frames[0], clips.make(name, 1, SMALL, COUNT).frames[0])
    assert not np.array_equal(clip.frames[0], clips.make(name, 2, SMALL, COUNT).frames[0])


def test_a_locked_camera_shows_what_the_object_leaves() -> None:
    clip = clips.make("locked", 0, SMALL, COUNT)
    hole = clip.mattes[0] > 0.5
    later = np.any([matte < 0.01 for matte in clip.mattes[1:]], axis=0)
    assert (clip.seen(0) & hole & ~later).sum() == 0


def test_the_truth_scores_best_and_nothing_is_said_of_regions_that_are_not_there() -> None:
    clip = clips.make("locked", 0, SMALL, COUNT)
    truth = shot.score(clip, clip.truth)
    assert truth.whole_db >= 100 and math.isnan(truth.moving_warp)
    painted = shot.score(clip, [shot.telea(f, h) for f, h in zip(clip.frames, clip.holes(), strict=True)])
    assert painted.whole_db < 35


def scored(**values: float) -> shot.Score:
    plain = dict.fromkeys(shot.Score.__dataclass_fields__, math.nan)
    return shot.Score(**{**plain, **values})


def test_figures_compare_ours_with_the_methods_of_the_same_run() -> None:
    clip = clips.make("locked", 0, SMALL, COUNT)
    ours = scored(seen_db=40.0, whole_db=30.0, seen_share=0.8, unseen_texture=0.3, unseen_warp=2e-4)
    plate = scored(seen_db=39.0, unseen_texture=0.6)
    telea, truth = scored(whole_db=20.0), scored(unseen_warp=1e-4)
    case = shot.Case(clip, "locked 0", True, ours, ours, plate, telea, truth)
    found = {figure.name: figure for figure in shot.figures_of([case, replace(case, exact=False, label="locked 1")])}
    assert found["shot_seen_db_over_classical_plate"].value == pytest.approx(1.0)
    assert found["shot_seen_db_static"].met
    assert found["shot_unseen_texture_over_telea"].value == pytest.approx(0.5)
    assert found["shot_unseen_warp_over_truth"].value == pytest.approx(2.0)
    assert found["shot_whole_db_over_opencv"].value == pytest.approx(10.0)
    assert not found["shot_outside_the_matte_exact"].met
    assert "shot_moving_warp_over_truth" not in found
