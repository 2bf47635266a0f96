"""The frames of a shot and their mattes as they travel, with the windows that their edits need."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latensify_bridge.effects import AnyEdit
from latensify_bridge.errors import BadInput
from latensify_bridge.frames import frame_name, spec_of
from latensify_bridge.protocol import Source
from latensify_bridge.windows import frames_of
from latensify_server.media.clip import Clip
from latensify_server.media.image import Image
from latensify_server.media.matte import Mattes
from latensify_server.media.pixels import straight

HELD_BYTES = 2**30


@dataclass(frozen=True)
class Loaded:
    """A frame of the shot: as stored, and as it travels."""

    image: Image
    pixels: NDArray[np.float16]
    mask: NDArray[np.float16] | None

    @property
    def nbytes(self) -> int:
        return self.image.pixels.nbytes + self.pixels.nbytes + (0 if self.mask is None else self.mask.nbytes)


@dataclass(frozen=True)
class Named:
    """A frame of the shot by the content of what travels and of what is stored."""

    source: Source
    stored: str
    size: tuple[int, int]


class Shot:
    """The frames of a clip and their mattes, read when needed; the latest of them stay in memory."""

    def __init__(self, plate: Clip, mattes: Mattes, offset: int) -> None:
        self.plate = plate
        self.first, self.last = plate.numbers[0], plate.numbers[-1]
        self._mattes = mattes
        self._offset = offset
        self._there = frozenset(plate.numbers)
        self._loaded: OrderedDict[int, Loaded] = OrderedDict()
        self._named: dict[int, Named] = {}

    def check(self, frames: Sequence[int]) -> None:
        """Raises BadInput, naming the first few of `frames` that are not there."""
        missing = [frame for frame in frames if frame not in self._there]
        if missing:
            some = ", ".join(str(frame) for frame in missing[:5]) + (", ..." if len(missing) > 5 else "")
            raise BadInput(
                f"{self.plate.name} has frames {self.first}-{self.last} but not {some} "
                f"({self.plate.files(missing[0])}); render what is missing or change --frames."
            )

    def window(self, frame: int, edit: AnyEdit) -> range:
        """Every frame that the edit of `frame` needs. Raises BadInput where one is missing."""
        shift = self._offset
        found = frames_of(frame + shift, self.first + shift, self.last + shift, edit.window, edit.overlap)
        needed = range(found.start - shift, found.stop - shift)
        for number in needed:
            if number not in self._there:
                raise BadInput(
                    f"Frame {number} of {self.plate.name} is missing ({self.plate.files(number)}), and the window of "
                    f"frame {frame} needs it; render it, or use a smaller --window."
                )
        return needed

    def load(self, frame: int) -> Loaded:
        """Raises BadInput, naming the file, where a plate or matte is missing, damaged or does not fit."""
        if frame in self._loaded:
            self._loaded.move_to_end(frame)
            return self._loaded[frame]
        image = self.plate.read(frame)
        loaded = Loaded(image, straight(image), self._mattes.of(frame, image))
        self._loaded[frame] = loaded
        while len(self._loaded) > 1 and sum(each.nbytes for each in self._loaded.values()) > HELD_BYTES:
            self._loaded.popitem(last=False)
        return loaded

    def named(self, frame: int) -> Named:
        """What a frame is called, without sending it."""
        if frame not in self._named:
            loaded = self.load(frame)
            mask = None if loaded.mask is None else _name(loaded.mask)
            source = Source(number=frame + self._offset, pixels=_name(loaded.pixels), mask=mask)
            height, width = loaded.pixels.shape[:2]
            self._named[frame] = Named(source, loaded.image.digest(), (width, height))
        return self._named[frame]

    def sources(self, frame: int, edit: AnyEdit) -> list[Named]:
        """The frames of the windows of `frame`. Raises BadInput where they differ in size."""
        named = [self.named(number) for number in self.window(frame, edit)]
        for number, each in zip(self.window(frame, edit), named, strict=True):
            if each.size != named[0].size:
                raise BadInput(
                    f"Frame {number} of {self.plate.name} is {each.size[0]}x{each.size[1]} and others of its shot are "
                    f"{named[0].size[0]}x{named[0].size[1]}; give every frame of the shot one size."
                )
        return named


def _name(pixels: NDArray[np.float16]) -> str:
    return frame_name(spec_of(pixels), np.ascontiguousarray(pixels).data.cast("B"))
