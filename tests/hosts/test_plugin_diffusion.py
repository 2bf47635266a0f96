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
        ("instruct", {"preset": "Make it night", "mask_source": "Alpha of the source"}),
        ("replace", {"preset": "Red ball", "mask_source": "Alpha of the source"}),
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


@pytest.mark.slow
def test_a_larger_frame_and_a_generated_one_through_the_model(bundle: Path, home: Path) -> None:
    quick = {"window": 3, "overlap": 0, "num_inference_steps": 2, "quality": "Draft"}
    with server(home / "one", engine="diffusion") as running, OfxHost(bundle) as host:
        quick["server"] = running.endpoint
        params = {**quick, "left": 10, "top": 6, "colour_space": "Linear Rec.709"}
        source = Clip({frame: wall(frame) for frame in range(3)})
        extended = host.instance("org.latensify.extend", "general", params=params, clips={"Source": source}).render(1)
        params = {**quick, "preset": "Lake", "camera_move": "Pan right"}
        project = Clip(lambda _: np.zeros((HEIGHT, WIDTH, 4), np.float32), frame_range=(0, 2))
        made = host.instance("org.latensify.generate", "generator", params=params, clips={"Output": project})
        first, last = made.render(0), made.render(2)
        host.check()
    assert extended.ok and extended.image is not None and np.isfinite(extended.image).all()
    assert extended.image[6:, 10:].tobytes() == wall(1).tobytes()
    assert extended.image[:6, :, :3].std() > 0.01 and (extended.image[:6, :, 3] == 1).all()
    assert first.ok and last.ok and first.image is not None and last.image is not None
    assert first.image[..., :3].std() > 0.01 and not np.array_equal(first.image, last.image)
    assert (first.image[..., 3] == 1).all()
