"""Instruct: the whole frame edited by an instruction, with the source as condition.

InstructPix2Pix (Brooks et al., "InstructPix2Pix: Learning to Follow Image Editing Instructions", 2023): denoised from
noise alone, the source's latents beside it, under two guidances, one for the instruction and one for the source.
"""

from __future__ import annotations

from torch import Tensor

from latensify_bridge.effects import Instruct
from latensify_bridge.errors import BadParameter
from latensify_bridge.frames import Edited
from latensify_server.diffusion import pictures, sampling
from latensify_server.diffusion.matte import Matte
from latensify_server.diffusion.model import Model
from latensify_server.diffusion.parallel import Report
from latensify_server.diffusion.sampling import Glances
from latensify_server.diffusion.whole_frame import whole_frames
from latensify_server.engine import ProgressCall, WindowEdit


def instruct(model: Model, work: WindowEdit, progress: ProgressCall) -> list[Edited]:
    """One edited frame for each plate of the window; where a matte is given, the model changes only what it covers.

    Raises BadParameter without an instruction, and what `progress` raises.
    """
    params = work.params
    assert isinstance(params, Instruct)
    if not params.text():
        raise BadParameter("Instruct needs an instruction: type a prompt, or choose a preset.")

    def sample(source: Tensor, matte: Matte, report: Report, glances: Glances) -> Tensor | None:
        if params.strength == 0:
            return None
        return sampling.edit(
            model,
            source,
            pictures.latent_mask(model, matte, source),
            params.text(),
            params.negative_prompt,
            params.strength,
            params.guidance_scale,
            pictures.steps_of(params),
            pictures.still_noise(model, source, params.seed),
            report,
            glances=glances,
            image_guidance_scale=params.image_guidance_scale,
        )

    return whole_frames(model, work, progress, sample)
