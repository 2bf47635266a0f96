"""`latensify train`: the models that this project trains itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from latensify_bridge.errors import BadRequest, ModelMissing
from latensify_server import models
from latensify_server.cli.train_shot import shot


def _model(name: str) -> Path:
    try:
        return models.find(name)
    except FileNotFoundError as error:
        raise ModelMissing(str(error)) from None


@click.group(commands=[shot])
def train() -> None:
    """Trains models on this machine: the small one that ships with Latensify, and one fitted to a shot."""


@train.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for samples, checkpoints, model.")
@click.option("--minutes", type=click.FloatRange(0.1), help="Most time to train for.  [default: 150; 30 with --from]")
@click.option("--vae-steps", type=click.IntRange(1), default=3000, show_default=True, help="Most autoencoder steps.")
@click.option("--steps", type=click.IntRange(1), help="Most denoiser steps.  [default: 12000; 2000 with --from]")
@click.option("--shards", type=click.IntRange(1), help="Shards of 250 samples.  [default: 160; 6 with --from]")
@click.option("--batch", type=click.IntRange(1), default=32, show_default=True, help="Pictures a denoiser step.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the data, the first weights and the noise.")
@click.option("--denoiser", type=click.Choice(["unet", "dit"]), default="unet", show_default=True, help="Its kind.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, mps.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Of the training on a CPU.")
@click.option("--from", "source", help="Movie, sequence or folder: go on with a trained model on this footage.")
@click.option("--base", default="tiny", show_default=True, help="Model to go on with, with --from.")
@click.option("--part", type=click.Choice(["vae", "denoiser", "lora"]), default="denoiser", show_default=True)
@click.option("--caption", default="", help="What a prompt calls the footage, with --from.")
@click.option("--resume/--restart", default=True, show_default=True, help="Go on from checkpoints in --out, or not.")
def tiny(
    out: Path,
    minutes: float | None,
    vae_steps: int,
    steps: int | None,
    shards: int | None,
    batch: int,
    seed: int,
    denoiser: str,
    device: str,
    threads: int,
    source: str | None,
    base: str,
    part: str,
    caption: str,
    resume: bool,
) -> None:
    """Trains `tiny`: an autoencoder, a text encoder and a denoiser in diffusers' folder format.

    With --from, a trained model goes on with your footage: its decoder (vae), its denoiser, or a LoRA of that. A run
    that was stopped goes on where its last checkpoint in --out left it.
    """
    if out.exists() and not out.is_dir():
        raise BadRequest(f"--out {out} is a file; name a folder.")
    if not resume and out.exists():
        shutil.rmtree(out)
    given = {"steps": steps, "minutes": minutes, "sample_shards": shards}
    common = {"batch": batch, "seed": seed, "device": device, "threads": threads}
    settings = common | {name: value for name, value in given.items() if value is not None}
    if source is None:
        from latensify_server.training.tiny import Plan, train_tiny

        folder = train_tiny(Plan(out, vae_steps=vae_steps, denoiser=denoiser, **settings))  # type: ignore[arg-type]
    else:
        from latensify_server.training import footage
        from latensify_server.training.data import Own
        from latensify_server.training.own import OwnPlan, train_own

        own = Own(footage.read(source), caption)
        folder = train_own(OwnPlan(out, _model(base), part, own, **settings))  # type: ignore[arg-type]
    click.echo(f"The model is in {folder}; move it to a folder named in LATENSIFY_MODELS to use it.")
