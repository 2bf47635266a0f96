"""A diffusion model with random weights, of the same parts as the one that ships: the mechanics need no training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latensify_bridge.choices import ColourSpace
from latensify_bridge.effects import effect_named, parse
from latensify_bridge.frames import Depth, Edited, Pixels
from latensify_server.engine import Plate, WindowEdit

RANDOM_MODEL = "random"

Edit = Callable[..., list[Edited]]


@pytest.fixture(scope="session")
def random_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models that holds one named `random`."""
    pytest.importorskip("torch")
    from server import untrained

    folder = tmp_path_factory.mktemp("models")
    untrained.model_folder(folder / RANDOM_MODEL)
    return folder


@pytest.fixture
def edit(random_models: Path, monkeypatch: pytest.MonkeyPatch) -> Edit:
    """Edits plates with the random model: `edit("restyle", plates, prompt="fog", depth=Depth.HALF)`."""
    from latensify_server.diffusion.engine import DiffusionEngine

    monkeypatch.setenv("LATENSIFY_MODELS", str(random_models))
    engine = DiffusionEngine()

    def run(
        effect: str,
        plates: tuple[Plate, ...],
        depth: Depth = Depth.FLOAT,
        progress: Callable[[float, str], None] = lambda fraction, stage: None,
        **params: Any,
    ) -> list[Edited]:
        given = {"model": RANDOM_MODEL, "num_inference_steps": 3, "colour_space": ColourSpace.LINEAR_REC709, **params}
        checked = parse(effect_named(effect), given)
        return engine.edit(WindowEdit(effect, checked, plates, depth, 1.0, 1.0), progress)

    return run


def rgba(rgb: Pixels) -> Pixels:
    """RGB [height, width, 3] with a solid alpha."""
    return np.dstack([rgb, np.ones(rgb.shape[:2], rgb.dtype)])


def hdr_plates(count: int = 3, width: int = 72, height: int = 48, mask: bool = True) -> tuple[Plate, ...]:
    """Frames 1001.. with values from -0.1 to 40 and a round mask."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    disc = (np.hypot(x - width / 2, y - height / 2) < height / 4).astype(np.float32)
    plates = []
    for index in range(count):
        ramp = -0.1 + 0.6 * (x + index) / width
        lamp = 40 * np.exp(-((x - width / 2 - index) ** 2 + (y - height / 2) ** 2) / 20)
        rgb = np.stack([ramp + lamp, 0.5 * ramp + lamp, 0.3 + 0.2 * np.sin(y) + lamp], axis=-1)
        plates.append(Plate(1001 + index, rgba(np.clip(rgb, -0.1, 40)), disc if mask else None))
    return tuple(plates)
