"""The colour space of a clip, where nobody says: by what the file says of itself, else by its kind."""

from __future__ import annotations

import numpy as np

from latensify_bridge.choices import ColourSpace
from latensify_server.media.image import Image
from latensify_server.media.names import is_movie

_NAMES = {
    "scene_linear": ColourSpace.LINEAR_REC709,
    "linear": ColourSpace.LINEAR_REC709,
    "lin_rec709_scene": ColourSpace.LINEAR_REC709,
    "lin_rec709": ColourSpace.LINEAR_REC709,
    "lin_srgb": ColourSpace.LINEAR_REC709,
    "lin_ap1_scene": ColourSpace.ACESCG,
    "lin_ap1": ColourSpace.ACESCG,
    "acescg": ColourSpace.ACESCG,
    "acescct": ColourSpace.ACESCCT,
    "acescct_ap1_scene": ColourSpace.ACESCCT,
    "srgb_rec709_scene": ColourSpace.SRGB,
    "srgb": ColourSpace.SRGB,
    "rec709": ColourSpace.REC709,
    "logc4": ColourSpace.LOGC4,
}
_AP1 = (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767)


def colour_space_of(clip_name: str, image: Image) -> ColourSpace:
    """Movies are Rec.709, float files linear Rec.709 unless they name another space, the rest sRGB."""
    if is_movie(clip_name):
        return ColourSpace.REC709
    named = _NAMES.get(image.spec.get_string_attribute("oiio:ColorSpace").lower())
    if image.pixels.dtype.kind != "f":
        return named or ColourSpace.SRGB
    primaries = image.spec.getattribute("chromaticities")
    if primaries is not None and np.shape(primaries) == (8,) and np.allclose(primaries, _AP1, atol=1e-3):
        return ColourSpace.ACESCG
    return named or ColourSpace.LINEAR_REC709
