"""Models fitted to a shot, kept on disk by content: named by the frames fitted to and by how. Imports nothing heavy.

FOLDER/KEY        a fitted model in diffusers' folder format, and `frames.json`: what it was fitted to (Record)
FOLDER/KEY.part   one that was begun, with its checkpoints; the same fit goes on from there
FOLDER/KEY.lock   held by who fits it
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import xxhash

from latensify_bridge.choices import ColourSpace, Quality
from latensify_bridge.effects import Edit
from latensify_bridge.errors import OutputFailed
from latensify_bridge.folders import cache_folder, private
from latensify_bridge.protocol import Source
from latensify_server import models
from latensify_server.engine import FitChoice

FORMAT = 1
"""Part of every fit; those of another format are not used. Raise it whenever the same request would be fitted to
another model than before, or a fit would be loaded otherwise."""

LIMIT_BYTES = 8 * 2**30
RECORD = "frames.json"
WAIT_S = 0.2

Frame = tuple[str, str | None]
"""The names of a frame's pixels and of its matte."""


class FitSettings(msgspec.Struct, frozen=True):
    """All that a fit depends on beside its frames."""

    effect: str
    colour_space: ColourSpace
    mask_grow: float
    mask_feather: float
    render_scale: float
    quality: Quality
    seed: int


class Record(msgspec.Struct, frozen=True):
    """A fit: its name, the hash of its files (empty until it is finished), what it was fitted to, and when."""

    key: str
    hash: str
    settings: FitSettings
    made_s: float
    frames: tuple[Frame, ...]
    format: int

    @property
    def choice(self) -> FitChoice:
        return FitChoice(self.key, self.hash)


def settings_of(effect: str, edit: Edit, render_scale: float) -> FitSettings:
    """The settings of the fit that an edit would make."""
    return FitSettings(
        effect, edit.colour_space, edit.mask_grow, edit.mask_feather, render_scale, edit.quality, edit.seed
    )


def frames_of(sources: Sequence[Source]) -> tuple[Frame, ...]:
    """A shot's frames by content, in their order; how they are numbered plays no part in a fit."""
    return tuple((source.pixels, source.mask) for source in sources)


def fit_key(settings: FitSettings, frames: Sequence[Frame]) -> str:
    """The name of a fit."""
    return xxhash.xxh3_128(msgspec.msgpack.encode([FORMAT, settings, frames], order="sorted")).hexdigest()


def fits_folder() -> Path:
    """Where fits are kept: LATENSIFY_FITS, else in this user's cache."""
    given = os.environ.get("LATENSIFY_FITS")
    return Path(given) if given else cache_folder() / "fits"


class Fits:
    """The fits in `folder`, at most `limit_bytes` of them; those used longest ago go first. Safe for many processes."""

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._read: dict[Path, tuple[int, Record, frozenset[Frame]]] = {}

    def path(self, key: str) -> Path:
        """The folder of a finished fit."""
        return self.folder / key

    def get(self, key: str) -> Record | None:
        """A finished fit, or None."""
        return self._record(self.path(key))

    def begun(self, key: str) -> bool:
        """Whether a part of a fit is kept."""
        return (self._part(key) / RECORD).exists()

    def all(self) -> list[Record]:
        """Every finished fit, newest first."""
        found = [record for folder in self._folders() if folder.suffix == "" and (record := self._record(folder))]
        return sorted(found, key=lambda record: (record.made_s, record.key), reverse=True)

    def find(self, settings: FitSettings, sources: Sequence[Source]) -> Record | None:
        """The fit to use for these frames: it has seen them all, in this colour space and at this scale.

        Of several, the longest of those made with just these settings, else the newest of all: so who fits to a whole
        shot gets that fit, whatever else lies there.
        """
        wanted = frozenset(frames_of(sources))
        able = [record for record in self.all() if _fits(record.settings, settings) and wanted <= self._seen(record)]
        same = [record for record in able if record.settings == settings]
        return max(same, key=lambda record: len(record.frames)) if same else able[0] if able else None

    def used(self, key: str) -> None:
        """Marks a fit as used just now."""
        with contextlib.suppress(OSError):
            os.utime(self.path(key))

    def usage(self) -> tuple[int, int]:
        """How many fits there are, begun ones among them, and their bytes."""
        folders = self._folders()
        return len(folders), sum(map(_size, folders))

    @contextlib.contextmanager
    def making(
        self, settings: FitSettings, frames: tuple[Frame, ...], wait: Callable[[], None]
    ) -> Iterator[Path | None]:
        """The folder to fit into, or None when the fit is there. It is kept when the block ends well.

        When the block raises, what lies in the folder stays for the next time. `wait` is called again and again while
        another process makes the same fit, and may raise. Raises OutputFailed when the disk is full.
        """
        key = fit_key(settings, frames)
        private(self.folder)
        with self._locked(key, wait):
            if self.get(key):
                yield None
                return
            part = private(self._part(key))
            record = Record(key, "", settings, time.time(), frames, FORMAT)
            _write(part, record)
            yield part
            (part / RECORD).unlink()  # no part of the model
            _write(part, msgspec.structs.replace(record, hash=models.folder_hash(part), made_s=time.time()))
            self._keep(part, key)
        self._evict(keep=key)

    def _keep(self, part: Path, key: str) -> None:
        try:
            shutil.rmtree(self.path(key), ignore_errors=True)  # one whose record was damaged
            part.rename(self.path(key))
        except OSError as error:
            raise OutputFailed(
                f"Cannot keep a fit in {self.folder}: {error.strerror}; free some space there."
            ) from None

    @contextlib.contextmanager
    def _locked(self, key: str, wait: Callable[[], None]) -> Iterator[None]:
        with open(self.folder / f"{key}.lock", "w") as lock:
            while not _held(lock.fileno()):
                wait()
                time.sleep(WAIT_S)
            yield

    def _part(self, key: str) -> Path:
        return self.folder / f"{key}.part"

    def _folders(self) -> list[Path]:
        """Of finished fits and of begun ones."""
        if not self.folder.is_dir():
            return []
        return [path for path in self.folder.iterdir() if path.suffix in ("", ".part") and path.is_dir()]

    def _record(self, folder: Path) -> Record | None:
        try:
            changed_ns = (folder / RECORD).stat().st_mtime_ns
            if folder not in self._read or self._read[folder][0] != changed_ns:
                record = msgspec.json.decode((folder / RECORD).read_bytes(), type=Record)
                self._read[folder] = changed_ns, record, frozenset(record.frames)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        record = self._read[folder][1]
        return record if record.hash and record.format == FORMAT else None

    def _seen(self, record: Record) -> frozenset[Frame]:
        return self._read[self.path(record.key)][2]

    def _evict(self, keep: str) -> None:
        aged = sorted((_age(folder), folder) for folder in self._folders())
        total = sum(_size(folder) for _, folder in aged)
        for _, folder in aged:
            if total <= self.limit_bytes:
                return
            if folder.stem != keep:
                total -= self._removed(folder)

    def _removed(self, folder: Path) -> int:
        """The bytes that a fit which nobody is making gave back."""
        size = _size(folder)
        with open(self.folder / f"{folder.stem}.lock", "w") as lock:
            if not _held(lock.fileno()):
                return 0
            shutil.rmtree(folder, ignore_errors=True)
        return size


def _fits(made: FitSettings, wanted: FitSettings) -> bool:
    return (made.effect, made.colour_space, made.render_scale) == (
        wanted.effect,
        wanted.colour_space,
        wanted.render_scale,
    )


def _held(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(folder: Path, record: Record) -> None:
    temporary = folder / f"{RECORD}.tmp"
    try:
        temporary.write_bytes(msgspec.json.encode(record))
        temporary.replace(folder / RECORD)
    except OSError as error:
        raise OutputFailed(f"Cannot keep a fit in {folder}: {error.strerror}; free some space there.") from None


def _age(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total
