"""The training: samples, the autoencoder's start, and runs cut down to seconds that go on where they were cut."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from latensify_bridge.errors import BadInput, BadRequest
from latensify_server.cli import latensify
from latensify_server.diffusion import model as models
from latensify_server.diffusion import sampling
from latensify_server.training import (
    changes,
    data,
    footage,
    looks,
    loops,
    mattes,
    own,
    parts,
    pca,
    photos,
    render,
    shards,
    sheets,
    tiny,
    worlds,
)

CANVAS = data.Canvas(96, 64)


def samples(kind, count: int, canvas: data.Canvas = CANVAS) -> list[data.Sample]:  # type: ignore[no-untyped-def]
    return [kind(canvas, worlds.stream(4, f"sample {index}")) for index in range(count)]


@pytest.mark.parametrize("kind", data.KINDS, ids=lambda kind: kind.__name__.strip("_"))
def test_samples_of_every_kind_are_well_formed_and_follow_from_their_stream(kind) -> None:  # type: ignore[no-untyped-def]
    for one, two in zip(samples(kind, 6), samples(kind, 6), strict=True):
        assert one.prompt == two.prompt and one.sourced == two.sourced
        assert np.array_equal(one.source, two.source) and np.array_equal(one.target, two.target)
        for image in (one.source, one.target):
            assert image.shape == (64, 96, 3) and image.dtype == np.float32
            assert np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1
        assert one.mask.shape == (64, 96) and set(np.unique(one.mask)) <= {0, 1}


@pytest.mark.parametrize("kind", [data._masked, data._inpaint])
def test_outside_a_mask_the_target_is_the_source(kind) -> None:  # type: ignore[no-untyped-def]
    for sample in samples(kind, 12):
        outside = sample.mask == 0
        assert np.array_equal(sample.source[outside], sample.target[outside])


def test_inpainting_shows_nothing_of_its_hole() -> None:
    for sample in samples(data._inpaint, 12):
        assert (sample.source[sample.mask == 1] == 0.5).all()


def test_a_masked_edit_shows_the_object_that_is_to_change() -> None:
    changed = [np.abs(sample.source - sample.target)[sample.mask == 1].mean() for sample in samples(data._masked, 12)]
    assert min(changed) > 0.005 and np.mean(changed) > 0.05


def test_a_sample_without_a_source_has_a_caption_to_go_by() -> None:
    for sample in samples(data._generate, 6):
        assert not sample.sourced and sample.prompt and (sample.source == 0.5).all()


def test_an_instruction_names_what_changes() -> None:
    for index in range(40):
        change = changes.change(worlds.stream(1, f"change {index}"))
        before = {(thing.shape, thing.colour) for thing in change.before.things}
        after = {(thing.shape, thing.colour) for thing in change.after.things}
        assert before != after
        words = set(change.instruction.split())
        assert all(words & {shape, colour} for shape, colour in before ^ after if (shape, colour) not in after)
        for shape, colour in after - before:
            assert change.description.split()[1:] == [colour, shape]


def test_a_studio_s_own_frames_take_the_place_of_all_others() -> None:
    frame = np.full((80, 120, 3), (0.9, 0.1, 0.5), np.float32)
    canvas = data.Canvas(64, 64, data.Own((frame,), "our street"))
    text = samples(data._generate, 1, canvas)[0]
    assert text.prompt == "our street"
    assert np.ptp(text.target.reshape(-1, 3), axis=0).max() < 0.05, "a flat frame stays flat, whatever its grade"
    kinds = {data.sample(canvas, worlds.stream(2, str(index))).prompt for index in range(30)}
    assert len(kinds) > 8 and not any("on grass" in prompt for prompt in kinds)


def test_holes_and_margins_leave_something_to_see() -> None:
    for index in range(30):
        rng = worlds.stream(5, f"{index}")
        assert 0 < mattes.hole(96, 64, rng).mean() < 0.7
        assert 0.05 < mattes.margin(96, 64, rng).mean() < 0.8


@pytest.mark.parametrize("prompt", data.PRESETS[:-1])
def test_each_look_is_strong_on_photographs_kept_from_training(prompt: str) -> None:
    for image in photos.held_out(128, 128):
        changed = looks.apply(prompt, image, photos.regions_of(image), np.random.default_rng(0))
        assert changed.shape == image.shape and np.isfinite(changed).all()
        assert np.abs(changed - image).mean() > 0.03


def test_looks_do_what_they_say() -> None:
    picture = render.draw(changes.plain(worlds.random_world(3, things=2)), 128, 128)

    def look(prompt: str) -> np.ndarray:
        return looks.apply(prompt, picture.image, picture.regions, np.random.default_rng(0))

    assert look("at night, street lights").mean() < 0.5 * picture.image.mean()
    assert np.ptp(look("black and white, film noir, high contrast"), axis=2).max() < 1e-6
    golden = look("golden hour, warm low sun")
    assert (golden[..., 0] - golden[..., 2]).mean() > (picture.image[..., 0] - picture.image[..., 2]).mean() + 0.05


def test_training_photographs_and_held_out_ones_are_apart() -> None:
    assert not set(photos.HELD_OUT) & set(photos.VIEWS + photos.TEXTURES)


def test_training_draws_no_world_that_is_held_out() -> None:
    drawn = [changes.some_seed(worlds.stream(6, str(index))) for index in range(100)]
    assert max(drawn) < sheets.HELD_OUT_SEED and len(set(drawn)) == 100


def test_a_missing_photograph_is_named_with_its_remedy() -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.png is missing: pip install"):
        photos.photo("absent.png")


def test_any_word_has_tokens_and_known_prompts_are_short() -> None:
    words = parts.tokenizer(data.captions(0, 200))
    for text in ("xyzzy", "café 東京", "WINTER!"):
        ids = words(text).input_ids
        assert words.unk_token_id not in ids[1:-1] and len(ids) > 2
    assert all(len(words(prompt).input_ids) <= 20 for prompt in data.PRESETS)


def test_the_autoencoder_starts_at_its_principal_components() -> None:
    torch.manual_seed(0)
    vae = parts.autoencoder()
    pca.start(vae, [sheets.signal(photos.photo("astronaut.png")), sheets.signal(photos.photo("china.jpg"))])
    photo = sheets.signal(photos.photo("chelsea.png"))
    with torch.no_grad():
        latents = vae.encode(photo[None]).latent
        rebuilt = vae.decode(latents).sample[0]
    patches = pca._patches(photo)
    known = torch.cat([pca._patches(sheets.signal(photos.photo(name))) for name in ("astronaut.png", "china.jpg")])
    mean, basis, _ = pca._components(known, parts.CHANNELS)
    linear = (patches - mean) @ basis.T @ basis + mean
    assert sheets.psnr(rebuilt, photo) == pytest.approx(sheets.psnr(linear, patches), abs=0.5)
    assert sheets.psnr(rebuilt, photo) > 33


@pytest.fixture(scope="module")
def small() -> Iterator[None]:
    """Training cut down: shards of a dozen small samples, made in this process, and short sheets."""

    class Ended:
        exitcode, pid = 0, 2**22

        def is_alive(self) -> bool:
            return False

        def join(self) -> None:
            pass

    def at_once(function, *arguments):  # type: ignore[no-untyped-def]
        function(*arguments)
        return Ended()

    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "SHARD", 8)
        patch.setattr(data, "SHAPES", ((96, 96),))
        patch.setattr(tiny, "beside", at_once)
        patch.setattr(sheets, "STEPS", 1)
        patch.setattr(sheets, "EDITS", ("make it night",))
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained(small: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model of one step."""
    out = tmp_path_factory.mktemp("tiny")
    return tiny.train_tiny(tiny.Plan(out, vae_steps=1, steps=1, sample_shards=1, batch=4))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["unet", "dit"])
def test_training_runs_and_leaves_a_model_that_loads_and_edits(small: None, tmp_path: Path, kind: str) -> None:
    plan = tiny.Plan(tmp_path, vae_steps=1, steps=1, sample_shards=1, batch=4, denoiser=kind)
    model = models.load(tiny.train_tiny(plan))
    images = torch.rand(1, 3, 64, 96)
    latents = models.encode(model, images)
    assert models.decode(model, latents).shape == images.shape
    noise = sampling.noise(latents.shape[1:], 0, [0], model.device, model.dtype)
    mask = torch.ones_like(latents[:, :1])
    edited = sampling.edit(model, latents, mask, "at night", "", 1.0, 2.0, 2, noise, lambda done: None)
    assert edited.shape == latents.shape and torch.isfinite(edited).all()
    assert (tmp_path / "curves.png").is_file() and list((tmp_path / "sheets").glob("denoiser-*.png"))


@pytest.mark.slow
def test_a_run_that_was_cut_ends_where_an_unbroken_one_does(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str) -> dict[str, torch.Tensor]:
        plan = tiny.Plan(tmp_path / name, vae_steps=1, steps=3, sample_shards=1, batch=4, minutes=1e6)
        tiny.train_tiny(plan)
        return dict(torch.load(plan.out / "unet.pt", weights_only=True)["networks"])

    whole = run("whole")
    with monkeypatch.context() as patch:
        patch.setattr(loops, "SAVE_EVERY_S", 0.0)
        patch.setattr(sheets, "watch_denoiser", lambda *rest: _stopped_at(2))
        with pytest.raises(KeyboardInterrupt):
            run("cut")
    assert torch.load(tmp_path / "cut" / "unet.pt", weights_only=True)["step"] == 2
    cut = run("cut")
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


def _stopped_at(last: int):  # type: ignore[no-untyped-def]
    def watch(step: int) -> None:
        if step == last:
            raise KeyboardInterrupt

    return watch


@pytest.mark.slow
@pytest.mark.parametrize("part", own.PARTS)
def test_training_goes_on_with_footage(trained: Path, tmp_path: Path, part: str, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    pictures = tmp_path / "footage"
    pictures.mkdir()
    for index in range(3):
        cv2.imwrite(str(pictures / f"{index}.png"), np.full((120, 160, 3), 60 * index, np.uint8))
    monkeypatch.setenv("LATENSIFY_MODELS", str(trained.parent))
    out = tmp_path / "own"
    command = ["train", "tiny", "--from", str(pictures), "--base", "model", "--part", part, "--out", str(out)]
    result = CliRunner().invoke(latensify, [*command, "--steps", "2", "--shards", "1", "--batch", "2"])
    assert result.exit_code == 0, result.output + str(result.exception)
    before, after = models.load(trained), models.load(out / "model")
    moved = {
        name: any(
            not torch.equal(a, b)
            for a, b in zip(getattr(before, name).parameters(), getattr(after, name).parameters(), strict=True)
        )
        for name in ("vae", "denoiser", "text_encoder")
    }
    expected = {"vae": {"vae"}, "denoiser": {"denoiser", "text_encoder"}, "lora": {"denoiser"}}[part]
    assert {name for name, has in moved.items() if has} == expected
    encoders = zip(before.vae.encoder.parameters(), after.vae.encoder.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in encoders), "the denoiser knows this encoder's latents"
    assert (out / "lora" / "pytorch_lora_weights.safetensors").is_file() == (part == "lora")
    assert "Continued" in (out / "model" / "README.md").read_text()


def test_footage_that_is_not_there_or_too_small_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"absent\.mov is not there"):
        footage.read(str(tmp_path / "absent.mov"))
    with pytest.raises(BadInput, match="no movie and no picture"):
        footage.read(str(tmp_path))
    cv2.imwrite(str(tmp_path / "dot.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(BadInput, match="8x8; at least 64"):
        footage.read(str(tmp_path))


def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(BadRequest, match="--device nonsense can't be used"):
        loops.device_of("nonsense")


def test_the_model_folder_is_summed_and_its_weights_are_half_floats(trained: Path) -> None:
    from safetensors import safe_open

    sums = json.loads((trained / "checksums.json").read_text())
    assert {"model_index.json", "vae/diffusion_pytorch_model.safetensors"} <= set(sums)
    with safe_open(trained / "vae" / "diffusion_pytorch_model.safetensors", "pt") as weights:
        assert all(weights.get_tensor(name).dtype == torch.float16 for name in weights.keys())  # noqa: SIM118
    total = sum(path.stat().st_size for path in trained.rglob("*") if path.is_file())
    assert total <= 25_000_000


def test_a_budget_is_used_by_steps_or_by_time() -> None:
    assert loops.Budget(10, 100).progress(5, 80) == 0.8
    assert loops.Budget(10, 100).progress(9, 80) == 0.9


def test_the_curve_is_a_csv_and_a_plot(tmp_path: Path) -> None:
    loops.log(tmp_path / "curve.csv", {"step": 50, "loss": 0.5})
    loops.log(tmp_path / "curve.csv", {"step": 100, "loss": 0.25})
    with (tmp_path / "curve.csv").open() as file:
        assert [row["loss"] for row in csv.DictReader(file)] == ["0.5", "0.25"]
    sheets.plot(tmp_path)
    assert cv2.imread(str(tmp_path / "curves.png")).std() > 5


def test_shards_within_reach_follow_from_the_step_alone() -> None:
    assert shards.reach(0, 100) == shards.FIRST
    assert shards.reach(10**6, 100) == 100
    assert shards.reach(shards.STEPS_A_SHARD, 100) == shards.FIRST + 1
