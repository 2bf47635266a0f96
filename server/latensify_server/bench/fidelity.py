"""What the autoencoder keeps of a picture, and what inversion keeps of its latents."""

from __future__ import annotations

import cv2

from latensify_server.bench import asking, subjects
from latensify_server.bench.figures import Figure
from latensify_server.bench.measures import psnr
from latensify_server.bench.setting import Setting, mean_of
from latensify_server.training import worlds

INVERSIONS = 4
"""At most so many worlds are inverted: every step is refined until it stays, which takes many evaluations."""


def reconstruction(setting: Setting) -> list[Figure]:
    """Pictures encoded and decoded, against themselves."""
    drawn = [
        psnr(picture, asking.rebuilt(setting.model, picture))
        for seed in setting.each("worlds through the autoencoder", subjects.seeds(setting.samples, row=0))
        for picture in [subjects.shown(worlds.random_world(seed))]
    ]
    photographed = [
        psnr(picture, asking.rebuilt(setting.model, picture))
        for picture in setting.each("photographs through the autoencoder", subjects.photographs())
    ]
    return [
        mean_of("vae_psnr_scenes", drawn, 32, unit="dB", note="held-out worlds of every weather, time and season"),
        mean_of("vae_psnr_photos", photographed, 30, unit="dB", note="256x256 centres of the photographs kept apart"),
    ]


def inversion(setting: Setting) -> list[Figure]:
    """DDIM inversion and back under the same prompt, on worlds under their captions and photographs under none."""
    drawn = [worlds.random_world(seed) for seed in subjects.seeds(min(setting.samples, INVERSIONS), row=1)]
    asked = [(subjects.shown(world), worlds.caption(world)) for world in drawn]
    size = (subjects.SIDE_PX, subjects.SIDE_PX)
    asked += [(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), "") for photo in subjects.photographs()]
    errors = [
        asking.inversion_error(setting.model, *each, asking.INVERSION_STEPS)
        for each in setting.each("inversion and back", asked)
    ]
    note = f"relative error of the latents, {asking.INVERSION_STEPS} steps, guidance 1"
    return [mean_of("inversion_error", errors, 1e-3, at_least=False, note=note)]
