"""The composite of an edit over the untouched plate. The same rule stands in cpp/composite.cpp.

tests/golden/composite/ pins both languages to the bit. All arithmetic is float32 in the order written, never fused.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from latensify_bridge.frames import Edited

Plate = NDArray[np.float32]


def composite(plate: Plate, edited: Edited, mix: float, premultiplied: bool) -> Plate:
    """A new plate [height, width, 3 or 4] with the edit laid over it inside its box.

    m = matte * mix. Where m <= 0 the plate is returned as it is; where m >= 1 the edit; else s + (e - s) * m.
    So it is where m or one of the edit's colours is infinite or NaN. A plate's own such values follow the arithmetic.
    On a premultiplied plate the edit is first multiplied by the plate's alpha. Alpha is always the plate's.
    """
    out = plate.copy()
    rows, columns = edited.box.slices
    s = plate[rows, columns, :3]
    e = edited.rgb.astype(np.float32)
    m = (edited.matte.astype(np.float32) * np.float32(mix))[..., None]
    shown = (m > 0) & np.isfinite(m) & np.isfinite(e).all(axis=2, keepdims=True)
    with np.errstate(invalid="ignore", over="ignore"):
        if premultiplied and plate.shape[2] == 4:
            e = e * plate[rows, columns, 3:4]
        out[rows, columns, :3] = np.where(shown, np.where(m >= 1, e, s + (e - s) * m), s)
    return out


def quantise(values: Plate, levels: int) -> NDArray[np.uint32]:
    """0..1 floats to 0..levels (255 or 65535): clamp, times levels, plus a half, cut. NaN becomes 0."""
    clamped = np.where(values > 0, np.minimum(values, np.float32(1)), np.float32(0))
    return (clamped * np.float32(levels) + np.float32(0.5)).astype(np.uint32)
