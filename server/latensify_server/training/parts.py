"""The networks and the tokenizer of the tiny model, and its folder in diffusers' format."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

CHANNELS = 8
TOKENS = 40
WORD_END = "</w>"
START, END = "<|startoftext|>", "<|endoftext|>"
INDEX = {
    "_class_name": "StableDiffusionInpaintPipeline",
    "_diffusers_version": "0.42.1",
    "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "safety_checker": [None, None],
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
}


def autoencoder() -> AutoencoderKL:
    """An untrained autoencoder, eight times smaller each way, without attention: any size of frame."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=CHANNELS,
        block_out_channels=(16, 32, 96, 128),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=2,
        mid_block_add_attention=False,
        sample_size=128,
        scaling_factor=1.0,
    )


def denoiser() -> UNet2DConditionModel:
    """An untrained denoiser; the prompt also reaches every residual block through the time embedding."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=2 * CHANNELS + 1,
        out_channels=CHANNELS,
        block_out_channels=(64, 96, 128),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=16,
        attention_head_dim=(2, 3, 4),
        cross_attention_dim=160,
        resnet_time_scale_shift="scale_shift",
        addition_embed_type="text",
        addition_embed_type_num_heads=8,
    )


def text_encoder(vocabulary: int) -> CLIPTextModel:
    """An untrained text encoder for a vocabulary of this many tokens, the last of which ends a text."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=160,
            intermediate_size=400,
            num_hidden_layers=3,
            num_attention_heads=5,
            projection_dim=160,
            max_position_embeddings=TOKENS,
            bos_token_id=vocabulary - 2,
            eos_token_id=vocabulary - 1,
            pad_token_id=vocabulary - 1,
        )
    )


def tokenizer(captions: list[str], merges: int = 500) -> CLIPTokenizer:
    """A byte-level BPE tokenizer learned from captions; bytes stay in the vocabulary, so that any word has tokens."""
    learner = Tokenizer(models.BPE(end_of_word_suffix=WORD_END))
    learner.normalizer = normalizers.Lowercase()
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    learner.train_from_iterator(
        captions,
        trainers.BpeTrainer(
            vocab_size=3 * len(letters) + merges,
            initial_alphabet=letters,
            end_of_word_suffix=WORD_END,
            show_progress=False,
        ),
    )
    learned = json.loads(learner.to_str())["model"]["merges"][:merges]
    pairs = [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in learned]
    words = list(
        dict.fromkeys(
            [*letters, *(letter + WORD_END for letter in letters), *("".join(pair) for pair in pairs), START, END]
        )
    )
    return CLIPTokenizer(vocab={word: index for index, word in enumerate(words)}, merges=pairs, model_max_length=TOKENS)


def scheduler() -> DDIMScheduler:
    """A schedule that ends in pure noise, with v-prediction."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        steps_offset=1,
        set_alpha_to_one=True,
    )


def save(
    folder: Path, vae: AutoencoderKL, unet: UNet2DConditionModel, text: CLIPTextModel, words: CLIPTokenizer, card: str
) -> None:
    """Write the model folder: fp16 safetensors, the index, the model card and the checksums of all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in (("vae", vae), ("unet", unet), ("text_encoder", text)):
        part.to(torch.float16).save_pretrained(folder / name, safe_serialization=True)
    words.save_pretrained(folder / "tokenizer")
    scheduler().save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps(INDEX, indent=2) + "\n")
    (folder / "README.md").write_text(card)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "checksums.json")
    sums = {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (folder / "checksums.json").write_text(json.dumps(sums, indent=2) + "\n")
