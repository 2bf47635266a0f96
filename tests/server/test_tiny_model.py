"""The model that ships: its folder is whole and standard, and it does what prompts ask on pictures it never saw."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import diffusers
import numpy as np
import pytest
import torch
import transformers

from latensify_server import models as shipped
from latensify_server.bench import asking
from latensify_server.bench.measures import psnr
from latensify_server.diffusion import model as models
from latensify_server.training import changes, data, photos, render, sheets, worlds

FOLDER = shipped.find("tiny")
MOST_BYTES = 25_000_000


@pytest.fixture(scope="module")
def model() -> models.Model:
    return models.load(FOLDER)


@pytest.fixture(scope="module")
def days() -> list[worlds.World]:
    """Worlds that training does not draw, on a clear summer's day."""
    seeds = range(sheets.HELD_OUT_SEED, sheets.HELD_OUT_SEED + 3)
    return [changes.plain(worlds.random_world(seed, things=1)) for seed in seeds]


def drawn(some: list[worlds.World], **attributes: str) -> list[np.ndarray]:
    return [render.draw(replace(world, **attributes), 128, 128).image for world in some]  # type: ignore[arg-type]


def test_the_folder_is_whole_and_small() -> None:
    sums = json.loads((FOLDER / "checksums.json").read_text())
    files = {path.relative_to(FOLDER).as_posix(): path for path in FOLDER.rglob("*") if path.is_file()}
    assert set(sums) == set(files) - {"checksums.json"}
    for name, digest in sums.items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == digest, name
    assert sum(path.stat().st_size for path in files.values()) <= MOST_BYTES
    assert "tiny" in shipped.installed()


def test_each_part_loads_by_the_class_that_the_index_names() -> None:
    index = json.loads((FOLDER / "model_index.json").read_text())
    libraries = {"diffusers": diffusers, "transformers": transformers}
    parts = {name: entry for name, entry in index.items() if isinstance(entry, list)}
    assert {"vae", "text_encoder", "tokenizer", "scheduler"} < set(parts)
    for name, (library, kind) in parts.items():
        part = getattr(libraries[library], kind).from_pretrained(FOLDER / name, local_files_only=True)
        assert type(part).__name__ == kind


def test_the_card_tells_what_people_ask() -> None:
    card = (FOLDER / "README.md").read_text()
    for heading in ("## Data", "## Training", "## Figures", "## Limits", "## Licence"):
        assert heading in card
    assert "latensify train tiny" in card and "latensify bench models" in card


def test_its_tokenizer_knows_the_presets_and_stumbles_over_no_word(model: models.Model) -> None:
    for prompt in data.PRESETS:
        assert len(model.tokenizer(prompt).input_ids) <= 20
    ids = model.tokenizer("a xyzzy café").input_ids
    assert model.tokenizer.decode(ids, skip_special_tokens=True).split() == ["a", "xyzzy", "café"]
    one, other = models.embed(model, ["a xyzzy", "a quux"])
    assert not torch.equal(one, other)


def test_encoding_and_decoding_keep_the_picture(model: models.Model) -> None:
    seeds = range(sheets.HELD_OUT_SEED, sheets.HELD_OUT_SEED + 12)
    worlds_drawn = drawn([worlds.random_world(seed) for seed in seeds])
    assert np.mean([psnr(image, asking.rebuilt(model, image)) for image in worlds_drawn]) > 33
    assert np.mean([psnr(image, asking.rebuilt(model, image)) for image in photos.held_out(128, 128)]) > 29


@pytest.mark.parametrize(
    ("prompt", "attribute", "value"),
    [("make it night", "time", "night"), ("make it sunset", "time", "sunset"), ("make it snow", "weather", "snow")],
)
def test_an_instruction_brings_a_day_nearer_to_what_was_asked(
    model: models.Model, days: list[worlds.World], prompt: str, attribute: str, value: str
) -> None:
    before, wanted = drawn(days), drawn(days, **{attribute: value})
    after = [asking.edited(model, image, prompt) for image in before]
    gained = [psnr(a, goal) - psnr(b, goal) for a, b, goal in zip(after, before, wanted, strict=True)]
    assert np.mean(gained) > 4


def test_a_photograph_is_restyled_too(model: models.Model) -> None:
    images = photos.held_out(128, 128)
    night = [asking.edited(model, image, "at night, street lights") for image in images]
    assert np.mean(night) < 0.5 * np.mean(images)


def test_results_repeat_to_the_bit(model: models.Model, days: list[worlds.World]) -> None:
    picture = drawn(days[:1])[0]
    one, two = (asking.edited(model, picture, "thick fog") for _ in range(2))
    assert np.array_equal(one, two)
