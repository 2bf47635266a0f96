"""Measures of a tiny model, and pictures to look at: reconstruction, obedience to prompts, inpainting.

python -m latensify_server.training.measure --model build/train/run/model --out build/train
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latensify_server.diffusion import model as models
from latensify_server.diffusion import sampling
from latensify_server.training import data, looks, photos, scenes
from latensify_server.training.looks import Image

HELD_OUT_SEED = 10**9
STEPS, GUIDANCE = 16, 3.0


def psnr(a: Image, b: Image) -> float:
    """Peak signal-to-noise ratio in dB of two images in 0..1."""
    return float(-10 * np.log10(max(float(np.square(a - b).mean()), 1e-12)))


def to_tensor(image: Image) -> Tensor:
    """[h, w, 3] to [1, 3, h, w]."""
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]


def to_image(tensor: Tensor) -> Image:
    """[1, 3, h, w] to [h, w, 3]."""
    return tensor[0].permute(1, 2, 0).float().numpy()


def held_out_views(count: int, width: int = 128, height: int = 128) -> list[data.View]:
    """Scenes of seeds that training does not draw, and the photographs kept from it."""
    pictures = [
        (scene, scenes.draw(scene, width, height))
        for scene in map(scenes.random_scene, range(HELD_OUT_SEED, HELD_OUT_SEED + count))
    ]
    drawn = [data.View(picture.image, picture.regions, scene, picture.masks) for scene, picture in pictures]
    return drawn + [data.View(image, photos.regions_of(image), None, ()) for image in photos.held_out(width, height)]


def reconstruction(model: models.Model, views: list[data.View]) -> list[float]:
    """PSNR of each view after encoding and decoding."""
    return [
        psnr(view.image, to_image(models.decode(model, models.encode(model, to_tensor(view.image))))) for view in views
    ]


def restyle(model: models.Model, image: Image, prompt: str, strength: float = 1.0, guidance: float = GUIDANCE) -> Image:
    """One image under a prompt, by the whole path: encode, edit, decode."""
    source = models.encode(model, to_tensor(image))
    noise = sampling.noise(source.shape[1:], 0, [0], model.device, model.dtype)
    edited = sampling.edit(
        model, source, torch.ones_like(source[:, :1]), prompt, "", strength, guidance, STEPS, noise, lambda done: None
    )
    return to_image(models.decode(model, edited))


def fill(model: models.Model, image: Image, mask: Image, prompt: str = "") -> Image:
    """One image with its hole filled and the rest put back."""
    source = models.encode(model, to_tensor(looks.mix(image, data.GREY, mask)))
    hole = torch.nn.functional.max_pool2d(torch.from_numpy(mask)[None, None], 8).gt(0.5).to(source)
    noise = sampling.noise(source.shape[1:], 0, [0], model.device, model.dtype)
    edited = sampling.edit(model, source, hole, prompt, "", 1.0, GUIDANCE, STEPS, noise, lambda done: None)
    return looks.mix(image, to_image(models.decode(model, edited)), mask)


def obedience(model: models.Model, views: list[data.View]) -> dict[str, dict[str, float]]:
    """For each preset: PSNR to the look asked for, from the result and from the untouched source, and how often the
    result lies nearer to that look than to any other."""
    report = {}
    for prompt in data.PRESETS[:-1]:
        after, before, right = [], [], []
        for view in views:
            wanted = {
                name: looks.apply(name, view.image, view.regions, np.random.default_rng(0)) for name in data.PRESETS
            }
            result = restyle(model, view.image, prompt)
            after.append(psnr(result, wanted[prompt]))
            before.append(psnr(view.image, wanted[prompt]))
            right.append(max(wanted, key=lambda name: psnr(result, wanted[name])) == prompt)
        report[prompt] = {
            "psnr": round(float(np.mean(after)), 2),
            "psnr_of_source": round(float(np.mean(before)), 2),
            "nearest": round(float(np.mean(right)), 2),
        }
    return report


def inpainting(model: models.Model, views: list[data.View]) -> dict[str, float]:
    """PSNR inside the hole of objects taken out of scenes, against the scene without them; Telea's for comparison."""
    ours, telea = [], []
    for view in views:
        if not view.scene or not view.scene.things:
            continue
        mask = data.grown(view.masks[-1], np.random.default_rng(0))
        truth = scenes.draw(
            data.removed(view.scene, len(view.masks) - 1), view.image.shape[1], view.image.shape[0]
        ).image
        inside = mask > 0.5
        painted = cv2.inpaint((view.image * 255).astype(np.uint8), (mask * 255).astype(np.uint8), 3, cv2.INPAINT_TELEA)
        ours.append(psnr(fill(model, view.image, mask)[inside], truth[inside]))
        telea.append(psnr(painted[inside].astype(np.float32) / 255, truth[inside]))
    return {
        "psnr": round(float(np.mean(ours)), 2),
        "psnr_of_telea": round(float(np.mean(telea)), 2),
        "holes": len(ours),
    }


def sheet(model: models.Model, views: list[data.View], prompts: tuple[str, ...] = data.PRESETS) -> NDArray[np.uint8]:
    """A contact sheet: a row per view, with the source, its reconstruction, a filled hole and each prompt."""
    rows = []
    for number, view in enumerate(views):
        height, width = view.image.shape[:2]
        mask = data.hole(width, height, np.random.default_rng(number))
        back = to_image(models.decode(model, models.encode(model, to_tensor(view.image))))
        rows.append(
            np.hstack(
                [
                    view.image,
                    back,
                    looks.mix(view.image, data.GREY, mask),
                    fill(model, view.image, mask),
                    *(restyle(model, view.image, prompt) for prompt in prompts),
                ]
            )
        )
    return (np.vstack(rows) * 255).astype(np.uint8)


def write_sheet(file: Path, picture: NDArray[np.uint8]) -> None:
    """Save an RGB picture."""
    if not cv2.imwrite(str(file), picture[..., ::-1]):
        raise OSError(f"The contact sheet can't be written to {file}.")


def main() -> None:
    """The command line of the measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for measures.json and samples.png")
    parser.add_argument("--views", type=int, default=12, help="scenes measured, beside the photographs")
    options = parser.parse_args()
    model, views = models.load(options.model), held_out_views(options.views)
    rebuilt = reconstruction(model, views)
    report = {
        "vae_psnr_scenes": round(float(np.mean(rebuilt[: options.views])), 2),
        "vae_psnr_photos": dict(
            zip(photos.HELD_OUT, (round(value, 2) for value in rebuilt[options.views :]), strict=True)
        ),
        "obedience": obedience(model, views[-6:]),
        "inpainting": inpainting(model, views),
    }
    (options.out / "measures.json").write_text(json.dumps(report, indent=2) + "\n")
    write_sheet(options.out / "samples.png", sheet(model, views[-6:]))
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
