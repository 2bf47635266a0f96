"""Latent diffusion: the only part of the server that imports torch and diffusers."""
