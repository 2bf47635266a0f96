"""The model that ships: its folder is whole and standard, and it does what prompts ask on pictures it never saw."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from latensify_server import models as shipped  # noqa: E402
from latensify_server.diffusion import model as models  # noqa: E402
from latensify_server.training import data, looks, measure, scenes  # noqa: E402

FOLDER = shipped.find("tiny")


@pytest.fixture(scope="module")
def model() -> models.Model:
    return models.load(FOLDER)


@pytest.fixture(scope="module")
def views() -> list[data.View]:
    drawn = []
    for seed in range(measure.HELD_OUT_SEED, measure.HELD_OUT_SEED + 3):
        picture = scenes.draw(scenes.random_scene(seed), 128, 96)
        drawn.append(data.View(picture.image, picture.regions, scenes.random_scene(seed), picture.masks))
    return drawn


def test_the_folder_is_whole_and_small() -> None:
    sums = json.loads((FOLDER / "checksums.json").read_text())
    files = {path.relative_to(FOLDER).as_posix(): path for path in FOLDER.rglob("*") if path.is_file()}
    assert set(sums) == set(files) - {"checksums.json"}
    for name, digest in sums.items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == digest, name
    assert sum(path.stat().st_size for path in files.values()) < 20e6
    assert "tiny" in shipped.installed()


def test_plain_diffusers_loads_it(tmp_path: Path) -> None:
    from diffusers import StableDiffusionInpaintPipeline

    pipeline = StableDiffusionInpaintPipeline.from_pretrained(FOLDER, local_files_only=True)
    assert pipeline.unet.config.in_channels == 2 * pipeline.vae.config.latent_channels + 1
    assert (
        pipeline.scheduler.config.rescale_betas_zero_snr and pipeline.scheduler.config.prediction_type == "v_prediction"
    )


def test_its_tokenizer_knows_the_presets_and_stumbles_over_no_word(model: models.Model) -> None:
    for prompt in data.PRESETS:
        assert len(model.tokenizer(prompt).input_ids) <= 20
    ids = model.tokenizer("a xyzzy café").input_ids
    assert model.tokenizer.decode(ids, skip_special_tokens=True).split() == ["a", "xyzzy", "café"]
    one, other = models.embed(model, ["a xyzzy", "a quux"])
    assert not torch.equal(one, other)


def test_encoding_and_decoding_keep_the_picture(model: models.Model, views: list[data.View]) -> None:
    assert np.mean(measure.reconstruction(model, views)) > 21


def test_the_prompt_is_obeyed_on_scenes_it_never_saw(model: models.Model, views: list[data.View]) -> None:
    def brightness(prompt: str) -> float:
        return float(np.mean([measure.restyle(model, view.image, prompt).mean() for view in views]))

    plain = float(np.mean([view.image.mean() for view in views]))
    assert brightness("at night, street lights") < 0.5 * plain
    assert brightness("winter, snow covered, overcast") > 1.1 * plain


def test_a_look_lies_nearer_to_what_was_asked_than_the_source_does(model: models.Model, views: list[data.View]) -> None:
    for prompt in ("at night, street lights", "sunset, red sky", "thick fog", "pencil sketch on paper"):
        wanted = [looks.apply(prompt, view.image, view.regions, np.random.default_rng(0)) for view in views]
        results = [measure.restyle(model, view.image, prompt) for view in views]
        after = np.mean([measure.psnr(*pair) for pair in zip(results, wanted, strict=True)])
        before = np.mean([measure.psnr(view.image, goal) for view, goal in zip(views, wanted, strict=True)])
        assert after > before + 2, prompt


def test_results_repeat_to_the_bit(model: models.Model, views: list[data.View]) -> None:
    one, two = (measure.restyle(model, views[0].image, "thick fog") for _ in range(2))
    assert np.array_equal(one, two)
