"""The matte of a frame: from a clip, the plate's own alpha, or a box; on the plate's canvas, half, 0..1."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latensify_bridge.choices import MaskChannel, MaskSource
from latensify_bridge.effects import Panel
from latensify_bridge.errors import BadInput
from latensify_server.media.clip import Clip
from latensify_server.media.image import Image, as_float
from latensify_server.media.pixels import Float, alpha, canvas, luminance, place


@dataclass(frozen=True)
class Mattes:
    """Where the mattes of a shot come from. `channel` None: the one that `channel_used` finds in `clip`."""

    panel: Panel
    clip: Clip | None = None
    channel: MaskChannel | None = None

    def of(self, frame: int, plate: Image) -> NDArray[np.float16] | None:
        """The matte [height, width] of a frame, None where the whole frame is edited.

        Raises BadInput where the clip's frame is missing, damaged or of another size.
        """
        source = self.panel.mask_source
        if source is MaskSource.NONE:
            return None
        if source is MaskSource.CLIP:
            matte = self._from_clip(frame, plate)
        elif source is MaskSource.SOURCE_ALPHA:
            matte = place(_clean(alpha(plate)), plate.data, canvas(plate))
        else:
            matte = place(self._box(plate), plate.display, canvas(plate))
        return (1 - matte if self.panel.mask_invert else matte).astype(np.float16)

    @functools.cached_property
    def channel_used(self) -> MaskChannel:
        """Decided once, on the clip's first frame: alpha where that is not 1 everywhere, else luminance."""
        if self.channel is not None or self.clip is None:
            return self.channel or MaskChannel.LUMINANCE
        first = self.clip.read(self.clip.numbers[0])
        used = first.alpha is not None and bool((alpha(first) != 1).any())
        return MaskChannel.ALPHA if used else MaskChannel.LUMINANCE

    def _from_clip(self, frame: int, plate: Image) -> Float:
        assert self.clip is not None
        image = self.clip.read(frame)
        mine, its = image.display, plate.display
        if (mine.width, mine.height) != (its.width, its.height):
            raise BadInput(
                f"The matte {image.name} is {mine.width}x{mine.height} and its plate {plate.name} is "
                f"{its.width}x{its.height}; give a matte of the plate's size."
            )
        return place(_clean(self._channel(image)), image.data, canvas(plate))

    def _channel(self, image: Image) -> Float:
        if self.channel_used is MaskChannel.LUMINANCE:
            values = as_float(image.pixels[..., image.colours or (0,)])
            return luminance(values) if values.shape[2] == 3 else values[..., 0]
        if image.alpha is None:
            raise BadInput(f"The matte {image.name} has no alpha channel; use --mask-channel luminance.")
        return alpha(image)

    def _box(self, plate: Image) -> Float:
        panel, width, height = self.panel, plate.display.width, plate.display.height
        left, right = (int(x * width + 0.5) for x in (panel.box_x, panel.box_x + panel.box_width))
        top, bottom = (int(y * height + 0.5) for y in (panel.box_y, panel.box_y + panel.box_height))
        matte = np.zeros((height, width), np.float32)
        matte[top:bottom, left:right] = 1
        return matte


def _clean(values: Float) -> Float:
    return np.clip(np.nan_to_num(values, nan=0.0), 0, 1)
