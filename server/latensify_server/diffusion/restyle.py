"""Restyle: the whole frame under a prompt, laid over the plate through its matte."""

from __future__ import annotations

import torch
from torch import Tensor

from latensify_bridge.effects import Restyle
from latensify_bridge.frames import Edited
from latensify_server.diffusion import pictures, sampling
from latensify_server.diffusion.matte import Matte
from latensify_server.diffusion.model import Model
from latensify_server.diffusion.parallel import Report
from latensify_server.diffusion.sampling import Glances
from latensify_server.diffusion.whole_frame import whole_frames
from latensify_server.engine import ProgressCall, WindowEdit


def restyle(model: Model, work: WindowEdit, progress: ProgressCall) -> list[Edited]:
    """One edited frame for each plate of the window. Raises what `progress` raises."""
    params = work.params
    assert isinstance(params, Restyle)

    def sample(source: Tensor, matte: Matte, report: Report, glances: Glances) -> Tensor | None:
        if params.strength == 0 or not params.text():
            return None
        return sampling.edit(
            model,
            source,
            torch.ones_like(source[:, :1]),
            params.text(),
            params.negative_prompt,
            params.strength,
            params.guidance_scale,
            pictures.steps_of(params),
            pictures.still_noise(model, source, params.seed),
            report,
            glances=glances,
        )

    return whole_frames(model, work, progress, sample)
