"""From a shot as it travels to what a fit learns from: display-referred pictures, and holes where the mattes are."""

from __future__ import annotations

import numpy as np

from latensify_bridge.choices import Quality
from latensify_bridge.effects import effect_named
from latensify_bridge.errors import BadInput
from latensify_server import colour
from latensify_server.colour import Image
from latensify_server.diffusion.fill import Region
from latensify_server.diffusion.matte import drawn, feather
from latensify_server.diffusion.remove import FAINT
from latensify_server.engine import Plate, ProgressCall, ShotFit
from latensify_server.lazy import Lazy

STEPS = {Quality.DRAFT: 120, Quality.FINAL: 1200}
"""About two and twenty minutes on a CPU core. A change of them is a change of fits.FORMAT."""


def fit_shot(work: ShotFit, progress: ProgressCall) -> None:
    """Fits a model to a shot, into `work.out`. Raises BadInput where there is nothing to learn from."""
    from latensify_server.training import shot  # no edit needs what trains

    progress(0.0, "reading the shot")
    count = len(work.plates)
    holes = [_hole(work.plates[index], work) for index in range(count)]
    if all(hole.all() for hole in holes):
        raise BadInput("The mattes cover every frame, so nothing is left to fit a model to; use smaller mattes.")

    def picture(index: int) -> Image:
        progress(0.0, f"reading the shot, frame {index + 1} of {count}")
        pixels = work.plates[index].pixels[..., :3]
        return np.clip(colour.to_display(colour.to_linear(pixels, work.params.colour_space)), 0, 1)

    pictures = Lazy(count, picture)
    shot.fit(pictures, holes, work.out, STEPS[work.params.quality], work.params.seed, progress)


def _hole(plate: Plate, work: ShotFit) -> Region:
    """What is to be taken out of a plate [height, width], wherever it shows at all; it is not learned from."""
    if plate.mask is None and not effect_named(work.effect).needs_mask:
        return np.zeros(plate.pixels.shape[:2], bool)  # all of it stays
    shown = (drawn(plate, work) > FAINT).astype(np.float32)
    return feather(shown, work.params.mask_feather * work.render_scale) > FAINT
