"""The whole way with the model that ships: host, plugin, socket, latents, and back over the untouched plate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .ofx_host import Clip, OfxHost
from .servers import server

HEIGHT, WIDTH, COUNT = 48, 96, 6
INSIDE = (slice(12, 36), slice(30, 60))


def wall(frame: int) -> Any:
    """A wall seen by a camera that pans, brighter than white in places, with something dark before it."""
    rng = np.random.default_rng(3)
    coarse = rng.random((HEIGHT // 4, (WIDTH + 40) // 4, 3), np.float32).repeat(4, 0).repeat(4, 1)
    picture = (coarse * 2 - 0.1)[:, 3 * frame : 3 * frame + WIDTH]
    alpha = np.zeros((HEIGHT, WIDTH, 1), np.float32)
    alpha[INSIDE] = 1
    out = np.concatenate([picture, alpha], axis=2)
    out[INSIDE][..., :3] = 0.02
    return out


def shot() -> Clip:
    return Clip({frame: wall(frame) for frame in range(COUNT)}, premultiplication="unpremultiplied")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("effect", "params"),
    [
        ("restyle", {"preset": "Winter", "mask_source": "Alpha of the source"}),
        ("remove", {"mask_source": "Alpha of the source"}),
    ],
)
def test_a_shot_through_the_model(bundle: Path, home: Path, effect: str, params: dict[str, Any]) -> None:
    results = []
    for name, order in (("forwards", range(COUNT)), ("backwards", range(COUNT - 1, -1, -1))):
        with server(home / name, engine="diffusion") as running, OfxHost(bundle) as host:
            chosen = {**params, "window": 6, "overlap": 0, "num_inference_steps": 2, "colour_space": "Linear Rec.709"}
            asked = {**chosen, "mask_feather": 2.0, "server": running.endpoint}
            instance = host.instance(f"org.latensify.{effect}", "general", params=asked, clips={"Source": shot()})
            rendered = {frame: instance.render(frame) for frame in order}
            host.check()
        assert all(result.ok for result in rendered.values()), [result.messages for result in rendered.values()]
        results.append({frame: result.image for frame, result in rendered.items()})
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[8:40, 26:64] = False  # the matte and what its feather reaches
    for frame in range(COUNT):
        image = results[0][frame]
        assert image is not None and np.isfinite(image).all()
        assert image[outside].tobytes() == wall(frame)[outside].tobytes()
        assert image[..., 3].tobytes() == wall(frame)[..., 3].tobytes()
        assert (image[INSIDE][..., :3] != wall(frame)[INSIDE][..., :3]).any(axis=-1).mean() > 0.95
        assert np.array_equal(image, results[1][frame]), "the order of requests shows"
