"""Movies in: frames by number, decoded by PyAV as RGB(A) of 8 or 16 bit, in display order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import OpenImageIO as oiio
from av.video.reformatter import ColorRange, Colorspace

from latensify_bridge.errors import BadInput
from latensify_server.media.image import Image

HD_HEIGHT = 720  # movies that do not say are taken for Rec.601 below this height, else for Rec.709
UNSPECIFIED = 2  # ITU-T H.273, matrix coefficients


class Movie:
    """A movie whose first frame is number `start`. Frames are found by their time stamps, so that any can be read.

    Raises BadInput where there is no movie in it.
    """

    def __init__(self, path: Path, start: int) -> None:
        self.name = str(path)
        self._path = path
        self._start = start
        try:
            self._file = av.open(self.name)
            self._stream = self._file.streams.video[0]
            self._stream.thread_type = "AUTO"
            found = [  # of every packet only its time: the file may be larger than memory
                (packet.pts, packet.is_keyframe)
                for packet in self._file.demux(self._stream)
                if packet.pts is not None and not packet.is_discard
            ]
        except (av.error.FFmpegError, IndexError) as error:
            raise BadInput(f"{path} cannot be read as a movie ({_reason(error)}); write it again.") from None
        self._times = sorted({time for time, _ in found})
        self._keys = sorted(time for time, key in found if key)
        if not self._times:
            raise BadInput(f"{path} holds no frames; write it again.")
        self.numbers: Sequence[int] = range(start, start + len(self._times))
        self.fps = float(self._stream.average_rate) if self._stream.average_rate else None
        self._decoder: Iterator[av.VideoFrame] = iter(())
        self._ahead = -1  # the index that the decoder gives next, or -1

    def files(self, frame: int) -> Path:
        return self._path

    def read(self, frame: int) -> Image:
        index = frame - self._start
        if not 0 <= index < len(self._times):
            raise BadInput(f"{self.name} has frames {self.numbers[0]}-{self.numbers[-1]}, not {frame}.")
        try:
            return self._image(self._decoded(index), frame)
        except (av.error.FFmpegError, StopIteration) as error:
            self._ahead = -1
            raise BadInput(f"Frame {frame} of {self.name} is damaged ({_reason(error)}); write it again.") from None

    def _decoded(self, index: int) -> av.VideoFrame:
        if self._ahead < 0 or index < self._ahead or self._key_before(index) > self._ahead:
            self._file.seek(self._times[index], stream=self._stream, backward=True)
            self._decoder = self._file.decode(self._stream)
        wanted = self._times[index]
        self._ahead = -1
        frame = next(found for found in self._decoder if found.pts is not None and found.pts >= wanted)
        if frame.pts != wanted:
            raise StopIteration
        self._ahead = index + 1
        return frame

    def _key_before(self, index: int) -> int:
        """The index of the key frame from which a seek to `index` would decode."""
        key = bisect_right(self._keys, self._times[index]) - 1
        return bisect_right(self._times, self._keys[key]) - 1 if key >= 0 else 0

    def _image(self, frame: av.VideoFrame, number: int) -> Image:
        components = frame.format.components
        deep = max(component.bits for component in components) > 8
        clear = any(component.is_alpha for component in components)
        form = {(False, False): "rgb24", (False, True): "rgba", (True, False): "rgb48le", (True, True): "rgba64le"}
        pixels = _rgb(frame, form[deep, clear])
        spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], oiio.UINT16 if deep else oiio.UINT8)
        spec.attribute("oiio:UnassociatedAlpha", 1)
        if self._stream.sample_aspect_ratio:
            spec.attribute("PixelAspectRatio", float(self._stream.sample_aspect_ratio))
        return Image(f"frame {number} of {self.name}", pixels, spec)

    def close(self) -> None:
        self._file.close()


def _rgb(frame: av.VideoFrame, form: str) -> np.ndarray:
    space = None
    if frame.colorspace == UNSPECIFIED and not frame.format.is_rgb:
        space = Colorspace.ITU709 if frame.height >= HD_HEIGHT else Colorspace.ITU601
    rgb = frame.reformat(format=form, src_colorspace=space, dst_color_range=ColorRange.JPEG)
    return np.ascontiguousarray(np.rot90(rgb.to_ndarray(), frame.rotation // 90))


def _reason(error: Exception) -> str:
    if isinstance(error, av.error.FFmpegError):
        return str(error.strerror).rstrip(".")
    return "there is no such picture in it" if isinstance(error, StopIteration) else "there are no pictures in it"
