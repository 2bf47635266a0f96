"""What a command line names: a shot on disk, its matte, and what is to be done to it, checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from latensify_bridge.choices import ColourSpace, MaskSource
from latensify_bridge.effects import EFFECTS, AnyEdit, Panel
from latensify_bridge.errors import BadParameter, BadRequest
from latensify_bridge.framing import extended, generated
from latensify_server.cli.options import checked
from latensify_server.media import framelist
from latensify_server.media.blank import SIZE, Blank, blank
from latensify_server.media.clip import Clip, open_clip
from latensify_server.media.colour import colour_space_of
from latensify_server.media.matte import Mattes
from latensify_server.media.pixels import canvas
from latensify_server.media.shot import Shot

SHOT = "1-24"
"""The frames of a generated shot where nobody says."""


@dataclass(frozen=True)
class Request:
    """What the options other than parameters say."""

    source: str | None
    mask: str | None
    out: str
    size: str | None = None
    shot: str | None = None
    frames: str | None = None
    start: int | None = None
    params: Path | None = None
    resume: bool = False
    fit: bool = False
    no_cache: bool = False
    prime: bool = False
    depth: str | None = None
    fps: float | None = None
    server: str | None = None
    engine: str = "diffusion"
    as_json: bool = False


@dataclass(frozen=True)
class Opened:
    """A shot on disk with what is to be done to it, checked."""

    edit: AnyEdit
    panel: Panel
    shot: Shot
    mask: Clip | None
    frames: list[int]


def opened(effect: str, request: Request, values: dict[str, Any]) -> Opened:
    """What a command line names. Raises BadRequest, BadParameter, BadInput."""
    _no_empty_words(request)
    edit, panel = checked(effect, values)
    panel = _with_mask_source(effect, request, panel, "mask_source" in values)
    plate = _plate(request)
    mask = _open_mask(request.mask, plate)
    mattes = Mattes(panel, mask, panel.mask_channel if "mask_channel" in values else None)
    panel = msgspec.structs.replace(panel, mask_channel=mattes.channel_used) if mask else panel
    shot = Shot(plate, mattes, panel.frame_offset)
    frames = framelist.parse(request.frames) if request.frames else list(plate.numbers)
    shot.check(frames)
    edit = _settled(edit, shot, panel, request.out, frames[0])
    if isinstance(plate, Blank) and not edit.text():
        raise BadParameter(f"{effect.title()} needs to know what to show: give --prompt or --preset.")
    return Opened(edit, panel, shot, mask, frames)


def _plate(request: Request) -> Clip:
    """The plate, or black frames where an effect that needs none has none. Raises BadRequest, BadInput."""
    if request.source is not None:
        if request.size or request.shot:
            raise BadRequest("--size and --shot are for a shot without --in; leave them out.")
        return open_clip(request.source, request.start)
    return blank(
        request.size or SIZE, framelist.parse(request.shot or request.frames or SHOT), request.out, request.depth
    )


def _settled(edit: AnyEdit, shot: Shot, panel: Panel, out: str, frame: int) -> AnyEdit:
    """An edit with what is left to the client settled: colour space, aspect, the length of a move."""
    image, plate, offset = shot.load(frame).image, shot.plate, panel.frame_offset
    made = isinstance(plate, Blank)
    if edit.colour_space is ColourSpace.AUTO:
        space = colour_space_of(out if made else plate.name, image)
        edit = msgspec.structs.replace(edit, colour_space=space)
    whole = canvas(image)
    edit = extended(edit, whole.width, whole.height, image.pixel_aspect)
    return generated(edit, shot.first + offset, shot.last + offset, sourced=not made)


def _no_empty_words(request: Request) -> None:
    """Raises BadRequest for an option that is given as an empty text, as by a script's unset variable."""
    words = {"--in": request.source, "--mask": request.mask, "--out": request.out, "--frames": request.frames}
    words |= {"--server": request.server, "--size": request.size, "--shot": request.shot}
    for option, word in words.items():
        if word is not None and not word.strip():
            raise BadRequest(f"{option} is empty; `latensify render --help` shows what it looks like.")


def _with_mask_source(effect: str, request: Request, panel: Panel, chosen: bool) -> Panel:
    source = panel.mask_source if chosen else MaskSource.CLIP if request.mask else EFFECTS[effect].mask_default
    if source is MaskSource.CLIP and not request.mask:
        raise BadRequest(f"{effect.title()} needs a matte: give --mask, or --mask-source box or source_alpha.")
    if source is MaskSource.NONE and EFFECTS[effect].needs_mask:
        raise BadRequest(f"{effect.title()} needs a matte, so --mask-source cannot be none: give --mask or a box.")
    if source is not MaskSource.CLIP and request.mask:
        raise BadRequest(f"--mask is given and --mask-source is {source.value}; leave one out.")
    return msgspec.structs.replace(panel, mask_source=source)


def _open_mask(mask: str | None, plate: Clip) -> Clip | None:
    if mask is None:
        return None
    return open_clip(mask, plate.numbers[0])
