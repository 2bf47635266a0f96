"""Generate: a picture from text, and a camera move over it; or, from a Source, a picture of each of its frames.

The model makes pictures and not motion: without a Source all frames are views of one picture, larger than the frame as
far as the camera moves. With one it is noised and denoised under the prompt (SDEdit; Meng et al., 2022), without the
source beside the noise, so that the text decides more than in Restyle.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from latensify_bridge.choices import CameraMove, Quality
from latensify_bridge.effects import Generate
from latensify_bridge.errors import BadParameter
from latensify_bridge.frames import Edited
from latensify_server import colour
from latensify_server.colour import Image
from latensify_server.diffusion import pictures, sampling
from latensify_server.diffusion.matte import Matte, matte_of
from latensify_server.diffusion.model import Model
from latensify_server.diffusion.parallel import Report, each, workers
from latensify_server.diffusion.result import edited_box
from latensify_server.diffusion.sampling import Glances
from latensify_server.diffusion.whole_frame import whole_frames
from latensify_server.engine import ProgressCall, WindowEdit

LONG_SIDE = {Quality.FINAL: 256, Quality.DRAFT: 160}
View = tuple[float, float, float, float]
"""Left, top, width and height of what the camera sees, as parts of the picture."""


def generate(model: Model, work: WindowEdit, progress: ProgressCall) -> list[Edited]:
    """One frame for each plate of the window; without a Source, the plates say only how large and which.

    Raises BadParameter without a prompt, and what `progress` raises.
    """
    params = work.params
    assert isinstance(params, Generate)
    if not params.text():
        raise BadParameter("Generate needs to know what to show: type a prompt, or choose a scene.")
    if params.use_source:
        return _from_source(model, work, params, progress)
    picture = _picture(model, work, params, lambda done: progress(0.9 * done, "denoising"))

    def finish(index: int, report: Report) -> Edited:
        plate = work.plates[index]
        seen = looked_at(picture, view_of(params, plate.number), plate.pixels.shape[1::-1])
        return edited_box(colour.from_display(np.clip(seen, 0, 1)), matte_of(plate, work), work)

    indices = range(len(work.plates))
    return each(indices, finish, lambda done: progress(0.9 + 0.1 * done, "moving"), workers(model.device))


def _from_source(model: Model, work: WindowEdit, params: Generate, progress: ProgressCall) -> list[Edited]:
    def sample(source: Tensor, matte: Matte, report: Report, glances: Glances) -> Tensor | None:
        if params.strength == 0:
            return None
        return _sampled(model, params, source, params.strength, report, glances)

    return whole_frames(model, work, progress, sample)


@torch.no_grad()
def _picture(model: Model, work: WindowEdit, params: Generate, report: Report) -> Image:
    """The picture that the camera moves over, display-referred, at model size."""
    height, width = work.plates[0].pixels.shape[:2]
    longest = LONG_SIDE[params.quality]
    wide, high = pictures.fitted(width, height, work.pixel_aspect, longest, model.multiple)
    if params.camera_move in (CameraMove.PAN_LEFT, CameraMove.PAN_RIGHT):
        wide = model.multiple * round(wide * (1 + params.move_amount) / model.multiple)
    empty = torch.zeros(1, model.channels, high // model.factor, wide // model.factor)
    return pictures.decode_picture(model, _sampled(model, params, empty.to(model.device, model.dtype), 1.0, report))


def _sampled(
    model: Model, params: Generate, start: Tensor, strength: float, report: Report, glances: Glances | None = None
) -> Tensor:
    """Latents like `start`, from it and full noise: the same noise for every frame of that size."""
    return sampling.edit(
        model,
        torch.zeros_like(start),
        torch.ones_like(start[:, :1]),
        params.text(),
        params.negative_prompt,
        strength,
        params.guidance_scale,
        pictures.steps_of(params),
        sampling.noise(start.shape[1:], params.seed, [pictures.STILL], model.device, model.dtype),
        report,
        start=start,
        glances=glances,
    )


def view_of(params: Generate, frame: int) -> View:
    """What the camera sees at a frame: before the move its first view, after it its last."""
    length = params.last_frame - params.first_frame
    done = min(1.0, max(0.0, (frame - params.first_frame) / length)) if length else 0.0
    least = 1 / (1 + params.move_amount)
    if params.camera_move is CameraMove.STILL:
        return 0.0, 0.0, 1.0, 1.0
    if params.camera_move in (CameraMove.PAN_LEFT, CameraMove.PAN_RIGHT):
        along = done if params.camera_move is CameraMove.PAN_RIGHT else 1 - done
        return (1 - least) * along, 0.0, least, 1.0
    side = least ** (done if params.camera_move is CameraMove.PUSH_IN else 1 - done)  # of even pace to the eye
    return (1 - side) / 2, (1 - side) / 2, side, side


def looked_at(picture: Image, view: View, size: tuple[int, int]) -> Image:
    """A view of a picture [h, w, 3] at (width, height)."""
    left, top, wide, high = view
    height, width = picture.shape[:2]
    step_x, step_y = wide * width / size[0], high * height / size[1]
    matrix = np.array(
        [
            [step_x, 0, left * width + (step_x - 1) / 2],
            [0, step_y, top * height + (step_y - 1) / 2],
        ]
    )
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    seen: Image = cv2.warpAffine(picture, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return seen
