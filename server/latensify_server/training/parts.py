"""The networks and the tokenizer of the tiny model, and its folder in diffusers' format."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import diffusers
from diffusers import AutoencoderDC, DDIMScheduler, PixArtTransformer2DModel, UNet2DConditionModel
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

CHANNELS = 32
TOKENS = 40
TEXT_WIDTH = 160
FACTOR = 8
WORD_END = "</w>"
START, END = "<|startoftext|>", "<|endoftext|>"
Denoiser: TypeAlias = UNet2DConditionModel | PixArtTransformer2DModel


def autoencoder() -> AutoencoderDC:
    """An untrained autoencoder, eight times smaller each way, of convolutions alone: any size of frame."""
    channels = (48, 48, 96, 192)
    return AutoencoderDC(
        in_channels=3,
        latent_channels=CHANNELS,
        encoder_block_types="ResBlock",
        decoder_block_types="ResBlock",
        encoder_block_out_channels=channels,
        decoder_block_out_channels=channels,
        encoder_layers_per_block=(0, 1, 1, 1),
        decoder_layers_per_block=(0, 1, 2, 2),
        encoder_qkv_multiscales=((),) * 4,
        decoder_qkv_multiscales=((),) * 4,
        encoder_out_shortcut=False,
        decoder_in_shortcut=False,
    )


def unet() -> UNet2DConditionModel:
    """An untrained U-Net denoiser; the prompt also reaches every residual block through the time embedding."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=2 * CHANNELS + 1,
        out_channels=CHANNELS,
        block_out_channels=(96, 112, 128),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=16,
        attention_head_dim=(2, 4, 4),
        cross_attention_dim=TEXT_WIDTH,
        resnet_time_scale_shift="scale_shift",
        addition_embed_type="text",
        addition_embed_type_num_heads=8,
    )


def dit() -> PixArtTransformer2DModel:
    """An untrained transformer denoiser (Peebles and Xie, "Scalable Diffusion Models with Transformers", 2023)."""
    return PixArtTransformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=2 * CHANNELS + 1,
        out_channels=CHANNELS,
        num_attention_heads=4,
        attention_head_dim=64,
        num_layers=6,
        cross_attention_dim=256,
        caption_channels=TEXT_WIDTH,
        interpolation_scale=1,
        use_additional_conditions=False,
    )


EXTRA = {"added_cond_kwargs": {"resolution": None, "aspect_ratio": None}}  # PixArt asks for them; a U-Net does not mind
DENOISERS: dict[str, Callable[[], Denoiser]] = {"unet": unet, "dit": dit}


def text_encoder(vocabulary: int) -> CLIPTextModel:
    """An untrained text encoder for a vocabulary of this many tokens, the last of which ends a text."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=TEXT_WIDTH,
            intermediate_size=400,
            num_hidden_layers=3,
            num_attention_heads=5,
            projection_dim=TEXT_WIDTH,
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
    """A schedule that ends in pure noise, with the clean latents predicted."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="sample",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        steps_offset=1,
        set_alpha_to_one=True,
    )


def tokens(words: CLIPTokenizer, texts: list[str]) -> Tensor:
    """Tokens of texts [n, TOKENS], cut and padded."""
    ids: Tensor = words(texts, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt").input_ids
    return ids


def networks(kind: str, vocabulary: int) -> nn.ModuleDict:
    """An untrained denoiser ("unet" or "dit") with its text encoder."""
    return nn.ModuleDict({"denoiser": DENOISERS[kind](), "text_encoder": text_encoder(vocabulary)})


def save(folder: Path, vae: AutoencoderDC, trained: nn.ModuleDict, words: CLIPTokenizer, card: str) -> None:
    """Write the model folder: fp16 safetensors, the index, the model card and the checksums of all."""
    folder.mkdir(parents=True, exist_ok=True)
    denoiser = trained["denoiser"]
    name = "unet" if isinstance(denoiser, UNet2DConditionModel) else "transformer"
    every: tuple[tuple[str, Any], ...] = (
        ("vae", vae),
        (name, denoiser),
        ("text_encoder", trained["text_encoder"]),
    )
    for part, network in every:
        network.half().save_pretrained(folder / part, safe_serialization=True)
    words.save_pretrained(folder / "tokenizer")
    scheduler().save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "LatensifyPipeline",
        "_diffusers_version": diffusers.__version__,
        "vae": ["diffusers", type(vae).__name__],
        name: ["diffusers", type(denoiser).__name__],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "scheduler": ["diffusers", "DDIMScheduler"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    (folder / "README.md").write_text(card)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "checksums.json")
    sums = {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (folder / "checksums.json").write_text(json.dumps(sums, indent=2) + "\n")


def predict(networks: nn.ModuleDict, noisy: Tensor, times: Tensor, tokens: Tensor) -> Tensor:
    """The denoiser's prediction for stacked inputs [n, 2c + 1, h, w] and the tokens of a prompt."""
    denoiser: Any = networks["denoiser"]
    encoder: Any = networks["text_encoder"]
    text = encoder(tokens).last_hidden_state
    predicted: Tensor = denoiser(noisy, timestep=times, encoder_hidden_states=text, **EXTRA).sample
    return predicted
