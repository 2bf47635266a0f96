"""The training data: exact pairs, determinism, looks; and a training run cut down to seconds."""

from __future__ import annotations

import csv
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
if not (find_spec("skimage") and find_spec("sklearn")):
    pytest.skip("the training photographs come with scikit-image and scikit-learn", allow_module_level=True)

from latensify_server.training import data, looks, photos, scenes

SCENE = next(scene for scene in map(scenes.random_scene, range(100)) if len(scene.things) == 2)
OTHERS = {"ground": scenes.GROUNDS, "skyline": scenes.SKYLINES, "clouds": (False, True)}


def test_a_recoloured_object_differs_inside_its_outline_alone() -> None:
    before = scenes.draw(SCENE, 128, 128)
    colour = next(name for name in scenes.COLOURS if name != SCENE.things[1].colour)
    after = scenes.draw(data.recoloured(SCENE, 1, colour), 128, 128)
    outside = before.masks[1] == 0
    assert np.array_equal(before.image[outside], after.image[outside])
    assert np.abs(before.image - after.image)[~outside].mean() > 0.05


def test_a_removed_object_leaves_the_rest_but_its_shadow() -> None:
    before, after = scenes.draw(SCENE, 128, 128), scenes.draw(data.removed(SCENE, 1), 128, 128)
    outside = before.masks[1] == 0
    darker = after.image - before.image
    assert darker[outside].min() >= 0, "only a shadow may differ outside the object"
    assert np.array_equal(before.image[before.regions.sky == 1], after.image[before.regions.sky == 1])


@pytest.mark.parametrize("attribute", OTHERS)
def test_one_attribute_changes_what_it_paints_alone(attribute: str) -> None:
    other = next(value for value in OTHERS[attribute] if value != getattr(SCENE, attribute))
    before, after = scenes.draw(SCENE, 128, 128), scenes.draw(replace(SCENE, **{attribute: other}), 128, 128)
    same = before.regions.sky == 1 if attribute == "ground" else before.regions.ground == 1
    assert same.any() and np.allclose(before.image[same], after.image[same], atol=1e-6)
    assert not np.array_equal(before.image, after.image)
    assert all(np.array_equal(a, b) for a, b in zip(before.masks, after.masks, strict=True))


def test_streams_of_different_attributes_are_independent_and_stable() -> None:
    assert scenes.stream(1, "sky").random() == scenes.stream(1, "sky").random()
    assert len({scenes.stream(1, name).random() for name in ("sky", "ground", "clouds", "grain 0")}) == 4


def test_samples_are_the_same_for_the_same_number_and_seed() -> None:
    for index in range(12):
        one, two = (data.sample(64, 64, scenes.stream(3, f"sample 0 {index}")) for _ in range(2))
        assert one.prompt == two.prompt and one.sourced == two.sourced
        assert np.array_equal(one.source, two.source) and np.array_equal(one.target, two.target)


def test_samples_are_well_formed_and_inpainting_shows_nothing_of_its_hole() -> None:
    for index in range(60):
        sample = data.sample(96, 64, scenes.stream(4, f"sample {index}"))
        for image in (sample.source, sample.target):
            assert image.shape == (64, 96, 3) and image.dtype == np.float32
            assert np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1
        holed = sample.mask > 0
        if not holed.all() and np.allclose(sample.source[sample.mask == 1], 0.5):
            assert np.array_equal(sample.source[~holed], sample.target[~holed])


@pytest.mark.parametrize("prompt", data.PRESETS[:-1])
def test_each_look_is_strong_on_photographs_kept_from_training(prompt: str) -> None:
    for image in photos.held_out(128, 128):
        changed = looks.apply(prompt, image, photos.regions_of(image), np.random.default_rng(0))
        assert changed.shape == image.shape and np.isfinite(changed).all()
        assert np.abs(changed - image).mean() > 0.03


def test_looks_do_what_they_say() -> None:
    picture = scenes.draw(SCENE, 128, 128)

    def look(prompt: str) -> np.ndarray:
        return looks.apply(prompt, picture.image, picture.regions, np.random.default_rng(0))

    assert look("at night, street lights").mean() < 0.5 * picture.image.mean()
    assert np.ptp(look("black and white, film noir, high contrast"), axis=2).max() < 1e-6
    ground = picture.regions.ground == 1
    assert looks.grey(look("winter, snow covered, overcast"))[ground].mean() > 0.7
    golden = look("golden hour, warm low sun")
    assert (golden[..., 0] - golden[..., 2]).mean() > (picture.image[..., 0] - picture.image[..., 2]).mean() + 0.1


def test_training_photographs_and_held_out_ones_are_apart() -> None:
    assert not set(photos.HELD_OUT) & set(photos.VIEWS + photos.TEXTURES)


def test_a_missing_photograph_is_named_with_its_remedy() -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.png is missing: pip install"):
        photos.photo("absent.png")


def test_any_word_has_tokens_and_known_prompts_are_short() -> None:
    from latensify_server.training import parts

    words = parts.tokenizer(data.captions(0, 200))
    for text in ("xyzzy", "café 東京", "WINTER!"):
        ids = words(text).input_ids
        assert words.unk_token_id not in ids[1:-1] and len(ids) > 2
    assert all(len(words(prompt).input_ids) <= 20 for prompt in data.PRESETS)


def test_training_runs_resumes_and_leaves_a_model_that_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from latensify_server.diffusion import model as models
    from latensify_server.training import loops, shards, tiny

    def at_once(function, arguments):  # type: ignore[no-untyped-def]
        function(*arguments)

        class Ended:
            exitcode = 0

            def is_alive(self) -> bool:
                return False

            def join(self) -> None:
                pass

        return Ended()

    monkeypatch.setattr(data, "SHARD", 12)
    monkeypatch.setattr(data, "SHAPES", ((96, 96),))
    monkeypatch.setattr(tiny, "_beside", at_once)
    threads = torch.get_num_threads()
    folder = tiny.train_tiny(tmp_path, vae_steps=1, steps=1, sample_shards=1, minutes=5)
    model = models.load(folder)
    images = torch.rand(1, 3, 64, 96)
    assert models.decode(model, models.encode(model, images)).shape == images.shape
    first = torch.load(tmp_path / "denoiser.pt", weights_only=True)
    tiny.train_tiny(tmp_path, vae_steps=1, steps=2, sample_shards=1, minutes=5)
    second = torch.load(tmp_path / "denoiser.pt", weights_only=True)
    assert (first["step"], second["step"]) == (1, 2)
    assert len(shards.ready(tmp_path / "shards", "latents")) == 1
    assert loops.Budget(10, 100).progress(5, 80) == 0.8
    torch.set_num_threads(threads)


def test_the_curve_is_a_csv(tmp_path: Path) -> None:
    from latensify_server.training import loops

    loops._log(tmp_path / "curve.csv", {"step": 50, "loss": 0.5})
    loops._log(tmp_path / "curve.csv", {"step": 100, "loss": 0.25})
    with (tmp_path / "curve.csv").open() as file:
        assert [row["loss"] for row in csv.DictReader(file)] == ["0.5", "0.25"]
