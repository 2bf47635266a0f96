"""Movies out: H.264, ProRes 422 HQ or VP9 by extension, in Rec.709, with the sound of the source where it fits."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray

from latensify_bridge.errors import BadRequest
from latensify_server.media.image import Image
from latensify_server.media.pixels import colour, place, to_stored
from latensify_server.media.write import replacing


@dataclass(frozen=True)
class Codec:
    """`odd` is the pixel format where halved chroma cannot hold the size."""

    name: str
    pixels: str
    odd: str
    options: Mapping[str, str]


_H264 = Codec("libx264", "yuv420p", "yuv444p", {"crf": "14"})
CODECS = {
    ".mp4": _H264,
    ".m4v": _H264,
    ".mkv": _H264,
    ".mov": Codec("prores_ks", "yuv422p10le", "yuv444p10le", {"profile": "3"}),
    ".webm": Codec("libvpx-vp9", "yuv420p", "yuv444p", {"crf": "18", "b": "0"}),
}


@dataclass(frozen=True)
class Sound:
    """The movie whose sound goes along: `length_s` seconds of it from `start_s`."""

    path: Path
    start_s: float
    length_s: float


def codec_of(path: Path) -> Codec:
    """Raises BadRequest when no movie of this name can be written."""
    if path.suffix.lower() not in CODECS:
        raise BadRequest(f"'{path.suffix}' movies are read but not written; use {', '.join(CODECS)}.")
    return CODECS[path.suffix.lower()]


class _Encoder:
    """An open movie: its picture and, where there is one, the source's sound as it is. Raises av's errors."""

    def __init__(self, path: Path, codec: Codec, rate: Fraction, image: Image, comment: str) -> None:
        self._file = av.open(str(path), "w")
        self._file.metadata["comment"] = comment
        width, height = image.display.width, image.display.height
        video = self._file.add_stream(codec.name, rate, options=dict(codec.options))
        video.width, video.height = width, height
        video.pix_fmt = codec.odd if width % 2 or height % 2 else codec.pixels
        video.sample_aspect_ratio = Fraction(image.pixel_aspect).limit_denominator(1000)
        video.codec_context.time_base = 1 / rate
        video.codec_context.color_range, video.codec_context.colorspace = ColorRange.MPEG, Colorspace.ITU709
        video.codec_context.color_primaries, video.codec_context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        self._video = video
        self._count = 0

    def picture(self, image: Image) -> None:
        frame = av.VideoFrame.from_ndarray(_rgb16(image), format="rgb48le").reformat(
            format=self._video.pix_fmt,
            src_color_range=ColorRange.JPEG,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
        frame.pts, self._count = self._count, self._count + 1
        self._file.mux(self._video.encode(frame))

    def add_sound(self, source: av.container.InputContainer) -> av.AudioStream | None:
        """A stream for the source's sound; None where it has none or this kind of file cannot hold it."""
        try:
            return self._file.add_stream_from_template(source.streams.audio[0])
        except (IndexError, ValueError, av.error.FFmpegError):
            return None

    def finish_picture(self) -> None:
        self._file.mux(self._video.encode(None))

    def packet(self, packet: av.Packet, stream: av.AudioStream) -> None:
        packet.stream = stream
        self._file.mux(packet)

    def close(self) -> None:
        self._file.close()


class MovieWriter:
    """Encodes frames in the order given. The file is opened with the first of them. Raises OSError."""

    def __init__(self, path: Path, codec: Codec, fps: float, sound: Sound | None) -> None:
        self._path = path
        self._codec = codec
        self._rate = Fraction(fps).limit_denominator(1001)
        self._sound = sound
        self._encoder: _Encoder | None = None
        self._streams = contextlib.ExitStack()

    def write(self, image: Image, metadata: Mapping[str, str | int]) -> None:
        with _as_os_error():
            if self._encoder is None:
                comment = json.dumps({f"latensify:{name}": value for name, value in metadata.items()})
                self._encoder = _Encoder(self._path, self._codec, self._rate, image, comment)
                self._packets = self._sound_of(self._encoder)
            self._encoder.picture(image)

    def close(self) -> None:
        """Writes what the encoder still holds, the sound and the index."""
        if self._encoder is not None:
            with _as_os_error(), self._streams:
                self._encoder.finish_picture()
                for packet, stream in self._packets:
                    self._encoder.packet(packet, stream)
                self._encoder.close()

    def abandon(self) -> None:
        self._streams.close()
        if self._encoder is not None:
            with contextlib.suppress(OSError, av.error.FFmpegError):
                self._encoder.close()

    def _sound_of(self, encoder: _Encoder) -> Iterable[tuple[av.Packet, av.AudioStream]]:
        if self._sound is None:
            return ()
        source = self._streams.enter_context(av.open(str(self._sound.path)))
        stream = encoder.add_sound(source)
        return () if stream is None else ((packet, stream) for packet in _cut(source, self._sound))


def _cut(source: av.container.InputContainer, sound: Sound) -> Iterator[av.Packet]:
    """The sound's packets within its time, moved to begin at zero."""
    stream = source.streams.audio[0]
    shift = round(sound.start_s / stream.time_base)
    for packet in source.demux(stream):
        if packet.pts is not None and 0 <= packet.pts - shift < sound.length_s / stream.time_base:
            packet.pts -= shift
            packet.dts = packet.pts
            yield packet


def _rgb16(image: Image) -> NDArray[np.uint16]:
    shown = place(np.clip(np.nan_to_num(colour(image)), 0, 1), image.data, image.display)
    return np.ascontiguousarray(to_stored(shown, np.dtype(np.uint16)))


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    try:
        yield
    except av.error.FFmpegError as error:
        raise OSError(error.errno or 0, error.strerror) from None


@contextlib.contextmanager
def writing_movie(path: Path, fps: float, sound: Sound | None = None) -> Iterator[MovieWriter]:
    """A writer whose movie takes its name at the end, or leaves nothing. Raises BadRequest, OutputFailed."""
    codec = codec_of(path)
    with replacing(path) as temporary:
        writer = MovieWriter(temporary, codec, fps, sound)
        try:
            yield writer
            writer.close()
        except BaseException:
            writer.abandon()
            raise


def movie_metadata(path: Path) -> dict[str, str]:
    """What `MovieWriter` wrote into a movie's comment, by name; empty where there is no such movie."""
    try:
        with av.open(str(path)) as file:
            tags = {name.lower(): value for name, value in file.metadata.items()}
            return {str(name): str(value) for name, value in json.loads(tags["comment"]).items()}
    except (OSError, av.error.FFmpegError, KeyError, ValueError, AttributeError):
        return {}
