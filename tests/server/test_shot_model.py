"""The model that is fitted to a shot: the same to the bit however often its fit was cut, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

pytest.importorskip("torch")

from latensify_bridge.errors import Cancelled
from latensify_server.diffusion import shot_model
from latensify_server.training.shot import fit

STEPS = 4


def frames() -> tuple[list[NDArray[np.float32]], list[NDArray[np.bool_]]]:
    photo = data.astronaut().astype(np.float32) / 255
    holes = []
    for index in range(3):
        hole = np.zeros((80, 96), bool)
        hole[30:54, 20 + 6 * index : 44 + 6 * index] = True
        holes.append(hole)
    return [np.where(hole[..., None], np.float32(1), photo[100:180, 100:196]) for hole in holes], holes


def run(out: Path, steps: int = STEPS, stop_at: int | None = None, seed: int = 0) -> None:
    told = []

    def progress(done: float, stage: str) -> None:
        told.append(done)
        if stop_at is not None and len(told) > stop_at:
            raise Cancelled("enough")

    fit(*frames(), out, steps, seed, progress)
    assert told == sorted(told) and told[-1] == 1


def weights(folder: Path) -> bytes:
    return (folder / "unet" / "diffusion_pytorch_model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fit")
    run(folder)
    return folder


def test_a_fit_that_was_cut_goes_on_to_the_same_bits(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(Cancelled, match="enough"):
        run(tmp_path, stop_at=2)
    assert (tmp_path / "checkpoint.pt").is_file() and not (tmp_path / "model_index.json").exists()
    run(tmp_path)
    assert weights(tmp_path) == weights(whole)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_another_seed_gives_another_model(whole: Path, tmp_path: Path) -> None:
    run(tmp_path, seed=1)
    assert weights(tmp_path) != weights(whole)


def test_what_the_mattes_cover_is_never_learned(whole: Path, tmp_path: Path) -> None:
    pictures, holes = frames()
    other = [np.where(hole[..., None], np.float32(0), picture) for picture, hole in zip(pictures, holes, strict=True)]
    fit(other, holes, tmp_path, STEPS, 0, lambda done, stage: None)
    assert weights(tmp_path) == weights(whole)


def test_a_finished_fit_is_not_begun_again(whole: Path) -> None:
    fit([], [], whole, STEPS, 0, lambda done, stage: pytest.fail("it was begun"))


def test_nothing_to_learn_from_is_told(tmp_path: Path) -> None:
    pictures, holes = frames()
    with pytest.raises(ValueError, match="no frames"):
        fit([], [], tmp_path, STEPS, 0, lambda done, stage: None)
    with pytest.raises(ValueError, match="cover every frame"):
        fit(pictures, [np.ones_like(hole) for hole in holes], tmp_path, STEPS, 0, lambda done, stage: None)
    with pytest.raises(FileNotFoundError, match="no finished fit"):
        shot_model.load(tmp_path / "nowhere")


def test_only_the_hole_is_painted_and_the_seed_decides(whole: Path) -> None:
    model = shot_model.load(whole)
    picture, hole = (part[0][:80, :96] for part in frames())

    def painted(seed: int, strength: float = 1.0) -> NDArray[np.float32]:
        return shot_model.paint(model, picture, hole, strength, 3, seed, lambda done: None)

    first = painted(0)
    np.testing.assert_array_equal(first[~hole], picture[~hole])
    assert np.isfinite(first).all() and not np.array_equal(first[hole], picture[hole])
    np.testing.assert_array_equal(first, painted(0))
    assert not np.array_equal(first, painted(1))
    np.testing.assert_array_equal(painted(0, strength=0.0), picture)
