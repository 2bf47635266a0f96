"""`latensify train`: the models that this project trains itself."""

from __future__ import annotations

from pathlib import Path

import click

from latensify_server.cli.train_shot import shot


@click.group(commands=[shot])
def train() -> None:
    """Trains models on this machine: the small one that ships with Latensify, and one fitted to a shot."""


@train.command()
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for samples, checkpoints and the model."
)
@click.option("--minutes", type=click.FloatRange(0.1), default=80.0, show_default=True, help="Time to train for.")
@click.option("--vae-steps", type=click.IntRange(1), default=4000, show_default=True, help="Most autoencoder steps.")
@click.option("--steps", type=click.IntRange(1), default=8000, show_default=True, help="Most denoiser steps.")
@click.option("--shards", type=click.IntRange(1), default=64, show_default=True, help="Shards of 250 samples.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the data, the first weights and the noise.")
@click.option("--resume/--restart", default=True, show_default=True, help="Go on from checkpoints in --out, or not.")
def tiny(out: Path, minutes: float, vae_steps: int, steps: int, shards: int, seed: int, resume: bool) -> None:
    """Trains `tiny`: an autoencoder, a text encoder and a denoiser in diffusers' folder format."""
    from latensify_server.training.tiny import train_tiny

    folder = train_tiny(out, vae_steps, steps, shards, seed, minutes, resume)
    click.echo(f"The model is in {folder}; move it to a folder named in LATENSIFY_MODELS to use it.")
