"""Clips as a test states them, the clips of an instance, and the images that the plugin fetches from them."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .api import K
from .pixels import (
    CHANNELS,
    Array,
    Layout,
    Pixels,
    at_scale,
    source_pixels,
    to_components,
    to_depth,
)
from .properties import PropertySet
from .runtime import Runtime
from .schema import CLIP_DESCRIPTOR, CLIP_INSTANCE, IMAGE
from .variants import COMPONENTS, DEPTHS

Rect = tuple[float, float, float, float]
PREMULTIPLICATIONS = {
    "premultiplied": K.kOfxImagePreMultiplied,
    "unpremultiplied": K.kOfxImageUnPreMultiplied,
    "opaque": K.kOfxImageOpaque,
}
_identifiers = itertools.count()


@dataclass
class Clip:
    """What a test connects. `frames` maps a frame number to an array (h, w, c), top row first; or is a function of it.

    Arrays of the depth's own dtype (uint8, uint16, float16, float32) pass bit for bit, others are converted.
    `origin` is the pixel coordinate of the frame's bottom left corner. `outside` says what a fetch beyond
    `frame_range` gives: fail, hold (the nearest frame) or black. Times in `missing` always fail.
    """

    frames: Mapping[int, Array] | Callable[[float], Array] = field(default_factory=dict)
    depth: str = "float"
    components: str = "RGBA"
    premultiplication: str = "unpremultiplied"
    layout: Layout = field(default_factory=Layout)
    connected: bool = True
    frame_range: tuple[float, float] | None = None
    missing: frozenset[float] = frozenset()
    outside: str = "fail"
    origin: tuple[int, int] = (0, 0)
    pixel_aspect: float = 1.0
    frame_rate: float = 24.0

    def range(self) -> tuple[float, float]:
        if self.frame_range is not None:
            return self.frame_range
        if isinstance(self.frames, Mapping) and self.frames:
            return float(min(self.frames)), float(max(self.frames))
        return 0.0, 0.0

    def pixels(self, time: float) -> Array | None:
        """The frame at `time` in its own dtype, or None where there is none."""
        first, last = self.range()
        if time in self.missing:
            return None
        if not first <= time <= last:
            if self.outside == "fail":
                return None
            nearest = self._frame(min(max(time, first), last))
            return nearest if nearest is None or self.outside == "hold" else np.zeros_like(nearest)
        return self._frame(time)

    def _frame(self, time: float) -> Array | None:
        if callable(self.frames):
            return self.frames(time)
        return self.frames.get(math.floor(time))

    def region(self, time: float) -> Rect:
        """The region of definition: canonical coordinates, y up."""
        pixels = self.pixels(time)
        if pixels is None:
            pixels = self._frame(self.range()[0]) if self.range()[0] not in self.missing else None
        height, width = pixels.shape[:2] if pixels is not None else (0, 0)
        x, y = self.origin
        return x * self.pixel_aspect, float(y), (x + width) * self.pixel_aspect, float(y + height)


def pixel_bounds(region: Rect, scale: tuple[float, float], aspect: float) -> tuple[int, int, int, int]:
    """The pixels that a canonical region covers at a render scale."""
    x1, x2 = (value * scale[0] / aspect for value in (region[0], region[2]))
    y1, y2 = (value * scale[1] for value in (region[1], region[3]))
    left, bottom = math.floor(x1 + 1e-9), math.floor(y1 + 1e-9)
    return left, bottom, math.ceil(x2 - 1e-9), math.ceil(y2 - 1e-9)


class ClipDescriptor:
    def __init__(self, runtime: Runtime, name: str) -> None:
        self.name = name
        self.properties = PropertySet(runtime, "clip", f"clip {name}", CLIP_DESCRIPTOR)
        for key in (K.kOfxPropName, K.kOfxPropLabel):
            self.properties.put(key, name)
        self.properties.put(K.kOfxPropType, K.kOfxTypeClip)

    @property
    def components(self) -> list[str]:
        held = self.properties.values[K.kOfxImageEffectPropSupportedComponents]
        return [short for short, name in COMPONENTS.items() if name in held]


class ClipInstance:
    """A clip of an instance: the stated clip, and the depth and components that the host settled on."""

    def __init__(
        self, runtime: Runtime, owner: Any, descriptor: ClipDescriptor, stated: Clip, depths: list[str]
    ) -> None:
        self.runtime, self.owner, self.name, self.descriptor = runtime, owner, descriptor.name, descriptor
        self.stated = stated
        self.handle = runtime.register(self)
        self.depth = stated.depth if stated.depth in depths or not depths else depths[0]
        held = descriptor.components
        self.components = stated.components if stated.components in held or not held else held[0]
        self.premultiplication = stated.premultiplication
        self.properties = descriptor.properties.copy("clip", CLIP_INSTANCE, frozenset())
        self.publish()

    def publish(self, thumbnail: bool = False) -> None:
        """Bring the property set up to date."""
        stated, put = self.stated, self.properties.put
        if K.kOfxImageEffectPropFrameRange in self.properties.specs:
            put(K.kOfxImageEffectPropFrameRange, *stated.range())
            put(K.kOfxImageEffectPropUnmappedFrameRange, *stated.range())
        present = stated.connected or self.runtime.variant.all_connected
        put(K.kOfxImageClipPropConnected, int(present))
        put(K.kOfxImageEffectPropPixelDepth, DEPTHS[self.depth] if present else K.kOfxBitDepthNone)
        put(K.kOfxImageEffectPropComponents, COMPONENTS[self.components] if present else K.kOfxImageComponentNone)
        put(K.kOfxImageClipPropUnmappedPixelDepth, DEPTHS[stated.depth])
        put(K.kOfxImageClipPropUnmappedComponents, COMPONENTS[stated.components])
        put(K.kOfxImageEffectPropPreMultiplication, PREMULTIPLICATIONS[self.premultiplication])
        put(K.kOfxImagePropPixelAspectRatio, stated.pixel_aspect)
        put(K.kOfxImageEffectPropFrameRate, stated.frame_rate)
        put(K.kOfxImageEffectPropUnmappedFrameRate, stated.frame_rate)
        put(K.kOfxImageClipPropThumbnail, int(thumbnail))
        if not self.runtime.variant.frame_ranges:
            self.properties.drop(K.kOfxImageEffectPropFrameRange, K.kOfxImageEffectPropUnmappedFrameRange)

    def array(self, time: float, scale: tuple[float, float]) -> Array | None:
        """What the plugin gets to see at `time`: (h, w, c), top row first, in the settled depth and components."""
        pixels = self.stated.pixels(time)
        if pixels is None:
            return None
        if pixels.ndim == 2:
            pixels = pixels[..., None]
        return at_scale(to_depth(to_components(pixels, self.components), self.depth), scale)


class Image:
    """One fetched image: the property set in the plugin's hands, and the memory behind it."""

    def __init__(
        self, clip: ClipInstance, memory: Pixels, origin: tuple[int, int], region: Rect, scale: tuple[float, float],
        is_output: bool = False,
    ) -> None:  # fmt: skip
        self.clip, self.memory, self.is_output = clip, memory, is_output
        height, width = memory.view.shape[:2]
        self.bounds = (origin[0], origin[1], origin[0] + width, origin[1] + height)
        self.properties = PropertySet(clip.runtime, "image", f"image of {clip.name}", IMAGE, frozenset())
        put = self.properties.put
        put(K.kOfxPropType, K.kOfxTypeImage)
        put(K.kOfxImageEffectPropPixelDepth, DEPTHS[clip.depth])
        put(K.kOfxImageEffectPropComponents, COMPONENTS[clip.components])
        put(K.kOfxImageEffectPropPreMultiplication, PREMULTIPLICATIONS[clip.premultiplication])
        put(K.kOfxImageEffectPropRenderScale, *scale)
        put(K.kOfxImagePropPixelAspectRatio, clip.stated.pixel_aspect)
        put(K.kOfxImagePropData, memory.data)
        put(K.kOfxImagePropBounds, *self.bounds)
        put(K.kOfxImagePropRegionOfDefinition, *pixel_bounds(region, scale, clip.stated.pixel_aspect))
        put(K.kOfxImagePropRowBytes, memory.row_bytes)
        put(K.kOfxImagePropUniqueIdentifier, self._identifier())
        self.handle = self.properties.handle

    def _identifier(self) -> str:
        if self.clip.runtime.variant.random_identifiers or self.is_output:
            return f"image-{next(_identifiers)}"
        return hashlib.sha1(np.ascontiguousarray(self.memory.view).tobytes()).hexdigest()

    def check_unchanged(self) -> None:
        if self.memory.changed():
            self.clip.runtime.violate("source-modified", f"the plugin wrote into an image of {self.clip.name}")

    def without_data(self) -> Image:
        self.properties.put(K.kOfxImagePropData, None)
        return self


def source_image(clip: ClipInstance, time: float, scale: tuple[float, float]) -> Image | None:
    """The image of a clip at a time, or None where it has none there."""
    pixels = clip.array(time, scale)
    if pixels is None:
        return None
    region = clip.stated.region(time)
    origin = pixel_bounds(region, scale, clip.stated.pixel_aspect)[:2]
    memory = source_pixels(pixels, clip.components, clip.depth, clip.stated.layout)
    return Image(clip, memory, origin, region, scale)


def black_image(clip: ClipInstance, region: Rect, scale: tuple[float, float]) -> Image:
    """What some hosts hand out for a clip that is not there."""
    x1, y1, x2, y2 = pixel_bounds(region, scale, clip.stated.pixel_aspect)
    pixels = to_depth(np.zeros((y2 - y1, x2 - x1, CHANNELS[clip.components])), clip.depth)
    memory = source_pixels(pixels, clip.components, clip.depth, clip.stated.layout)
    return Image(clip, memory, (x1, y1), region, scale)
