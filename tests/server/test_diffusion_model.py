"""Loading a model folder and sampling from it; most tests on an untrained model of the same form, for speed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from latensify_server import models as shipped  # noqa: E402
from latensify_server.diffusion import inversion, sampling  # noqa: E402
from latensify_server.diffusion import model as models  # noqa: E402
from latensify_server.diffusion.attention import Anchor  # noqa: E402
from server import untrained  # noqa: E402


def quiet(done: float) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="module", params=["unet", "dit"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained.model_folder(tmp_path_factory.mktemp("models") / "untrained", request.param)


@pytest.fixture(scope="module")
def model(folder: Path) -> models.Model:
    return models.load(folder)


def inputs(model: models.Model, frames: list[int], size: tuple[int, int] = (8, 12)) -> tuple[torch.Tensor, ...]:
    shape = (untrained.CHANNELS, *size)
    source = torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(frame)) for frame in frames])
    return source, torch.ones_like(source[:, :1]), sampling.noise(shape, 5, frames, model.device, model.dtype)


def test_encoding_is_deterministic_and_alone_per_frame(model: models.Model) -> None:
    images = torch.rand(3, 3, 64, 96)
    together = models.encode(model, images)
    assert together.shape == (3, untrained.CHANNELS, 8, 12)
    assert torch.equal(together, torch.cat([models.encode(model, one) for one in images.split(1)]))
    pictures = models.decode(model, together)
    assert pictures.shape == images.shape and pictures.min() >= 0 and pictures.max() <= 1
    assert torch.equal(pictures[1:2], models.decode(model, together[1:2]))


def test_a_size_off_the_grid_is_refused(model: models.Model) -> None:
    with pytest.raises(ValueError, match=r"100x72 can't be encoded by untrained: .* multiples of (8|16) "):
        models.encode(model, torch.rand(1, 3, 72, 100))


def test_noise_depends_on_seed_and_frame_alone(model: models.Model) -> None:
    def noise(seed: int, frames: list[int]) -> torch.Tensor:
        return sampling.noise((8, 4, 6), seed, frames, model.device, model.dtype)

    assert torch.equal(noise(1, [1001, 1002, 1003])[1:], noise(1, [1002, 1003]))
    assert not torch.equal(noise(1, [1001]), noise(2, [1001]))
    assert not torch.equal(noise(1, [1001]), noise(1, [1002]))
    assert torch.equal(noise(-3, [-7]), noise(-3, [-7]))
    assert abs(float(noise(0, list(range(50))).std()) - 1) < 0.03


def test_a_frames_result_does_not_depend_on_the_other_frames(model: models.Model) -> None:
    source, mask, noise = inputs(model, [1, 2, 3])
    together = sampling.edit(model, source, mask, "winter", "", 0.8, 3.0, 4, noise, quiet)
    alone = sampling.edit(model, source[1:2], mask[1:2], "winter", "", 0.8, 3.0, 4, noise[1:2], quiet)
    assert torch.isfinite(together).all()
    assert torch.equal(together[1:2], alone)


def test_strength_says_how_much_of_the_source_stays(model: models.Model) -> None:
    source, mask, noise = inputs(model, [1])
    assert torch.equal(sampling.edit(model, source, mask, "winter", "", 0.0, 3.0, 10, noise, quiet), source)
    other = torch.randn_like(source)
    one, two = (
        sampling.edit(model, source, mask, "winter", "", 1.0, 1.0, 2, noise, quiet, start=start)
        for start in (source, other)
    )
    assert torch.allclose(one, two, atol=1e-4), "the schedule ends in pure noise, so nothing of the start remains"


def test_progress_is_told_of_each_step_and_may_cancel(model: models.Model) -> None:
    source, mask, noise = inputs(model, [1, 2])
    told: list[float] = []
    sampling.edit(model, source, mask, "winter", "", 0.5, 1.0, 4, noise, told.append)
    assert told == [0.25, 0.5, 0.75, 1.0]

    def cancel(done: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sampling.edit(model, source, mask, "winter", "", 0.5, 1.0, 4, noise, cancel)


def test_steps_agree_with_diffusers_ddim(model: models.Model) -> None:
    scheduler = type(model.scheduler).from_config(model.scheduler.config)
    scheduler.set_timesteps(5)
    timesteps = sampling.schedule(model, 5)
    assert timesteps == scheduler.timesteps.tolist()
    latents = torch.randn(1, 8, 4, 4)
    for now, after in zip(timesteps, [*timesteps[1:], -1], strict=True):
        prediction = torch.randn(1, 8, 4, 4)
        ours = sampling.step(model, prediction, now, after, latents)
        theirs = scheduler.step(prediction, now, latents).prev_sample
        assert torch.allclose(ours, theirs, atol=1e-5)
        latents = ours


def test_inversion_comes_back(model: models.Model) -> None:
    """With velocities: what an untrained model takes for clean is nothing that an inversion could reach."""
    scheduler = type(model.scheduler).from_config(model.scheduler.config, prediction_type="v_prediction")
    model = replace(model, scheduler=scheduler)
    source, mask, _ = inputs(model, [1])
    inverted = inversion.invert(model, source, "winter", 10, quiet)
    back = sampling.edit(model, torch.zeros_like(source), mask, "winter", "", 1.0, 1.0, 10, inverted, quiet)
    assert torch.isfinite(inverted).all()
    assert (back - source).norm() < 1e-3 * source.norm()


def test_a_fixed_point_is_found_where_plain_iteration_would_creep() -> None:
    slow = torch.tensor([0.995, 0.9, 0.2, -0.5])
    wanted = torch.tensor([1.0, -2.0, 3.0, 4.0])
    found = inversion.fixed_point(lambda at: wanted + slow * (at - wanted), torch.zeros(4))
    assert torch.allclose(found, wanted, atol=1e-3)


def test_a_frame_that_equals_the_anchor_is_not_changed_by_it_and_others_are(model: models.Model) -> None:
    source, mask, noise = inputs(model, [1, 2])
    anchor = Anchor()

    def edited(index: int, glances: sampling.Glances | None) -> torch.Tensor:
        one, one_mask, one_noise = (part[index : index + 1] for part in (source, mask, noise))
        return sampling.edit(model, one, one_mask, "fog", "", 0.8, 2.0, 3, one_noise, quiet, glances=glances)

    alone = edited(0, None)
    assert torch.equal(edited(0, anchor.recorder), alone)
    assert torch.allclose(edited(0, anchor.reader), alone, atol=1e-4)
    other = edited(1, anchor.reader)
    assert not torch.allclose(other, edited(1, None), atol=1e-4)
    assert torch.equal(other, edited(1, anchor.reader))


def test_pickled_weights_and_strange_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no model_index\.json"):
        models.load(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "vae" / "diffusion_pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(ValueError, match=r"pickled weights .*convert them to safetensors"):
        models.load(copy)


def test_the_hash_names_contents_and_needs_no_torch(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(folder, copy)
    assert shipped.folder_hash(copy) == shipped.folder_hash(folder)
    (copy / "README.md").write_text("Changed.\n")
    assert shipped.folder_hash(copy) != shipped.folder_hash(folder)
    check = "import sys, latensify_server.models as m; m.installed(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_an_unknown_model_and_a_path_are_refused() -> None:
    for name in ("absent", "../tiny", "/etc", ""):
        with pytest.raises(FileNotFoundError, match="is installed"):
            shipped.find(name)
