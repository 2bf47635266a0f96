"""MLT's `melt` as a real OpenFX host, headless, in a Debian unstable root of its own (see debian_root.py).

Released distributions carry an MLT older than 7.42, whose OpenFX host cannot be relied on. `ensure` makes the root once
(about 1.1 GB) in build/melt, or in the folder that LATENSIFY_MELT_ROOT names.

    python -m hosts.melt ensure|version        (with tests/ on the path)
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hosts.debian_root import SYSTEM_PATH, Mount, RootError, as_root, check_rights, enter, is_made, make, tail

OLDEST_VERSION = (7, 42)
# MLT's avformat consumer starts its thread before it notes that it runs (consumer_start in consumer_avformat.c). On a
# busy machine the thread finds that note missing and ends: melt then writes nothing and ends well, or waits for ever.
_LOST_START = "finished processing -1 frames"
_STARTS = 10


class MeltError(RootError):
    """A run of melt failed: one sentence, then the last lines of what it said, if anything."""


@dataclass(frozen=True)
class Profile:
    """The picture format of a run. With the source's own, melt neither scales nor resamples."""

    width: int
    height: int
    fps: tuple[int, int] = (25, 1)

    @staticmethod
    def of(picture: Path) -> Profile:
        """The format of a movie or of one image file (which counts as 25 frames a second)."""
        return _read_header(picture)[0]

    def text(self) -> str:
        """MLT's profile file: progressive, square pixels, Rec.601 below 720 lines and Rec.709 from there on."""
        values = {
            "description": "Latensify",
            "width": self.width,
            "height": self.height,
            "progressive": 1,
            "frame_rate_num": self.fps[0],
            "frame_rate_den": self.fps[1],
            "sample_aspect_num": 1,
            "sample_aspect_den": 1,
            "display_aspect_num": self.width,
            "display_aspect_den": self.height,
            "colorspace": 709 if self.height >= 720 else 601,
        }
        return "".join(f"{name}={value}\n" for name, value in values.items())


@dataclass(frozen=True)
class Run:
    """What one run of melt, and the plugins in it, said on stdout and stderr, and how long it took."""

    text: str
    wall_s: float


@dataclass(frozen=True)
class MeltHost:
    """`melt` in the Debian root at `root`; made by `ensure`. Safe to use from several threads."""

    root: Path

    def version(self) -> str:
        """MLT's version, such as `7.42.0`; MeltError when it is too old to host OpenFX."""
        said = self._run(["-version"]).text
        found = re.search(r"melt ((\d+)\.(\d+)\.\d+)", said)
        if not found or (int(found[2]), int(found[3])) < OLDEST_VERSION:
            raise MeltError(f"{self.root} holds no MLT 7.42 or newer: delete it and make it again.\n{tail(said)}")
        return found[1]

    def filters(self, bundle: Path) -> list[str]:
        """The ids of the OpenFX plugins that melt loaded from `bundle`, a folder `NAME.ofx.bundle`."""
        said = self._run(["-query", "filters"], [_bundle(bundle)]).text
        return re.findall(r"^\s*- openfx\.(\S+)$", said, re.MULTILINE)

    def query(self, plugin_id: str, bundle: Path) -> str:
        """What melt knows of one plugin, as YAML: its parameters with their types, ranges and defaults. MeltError."""
        said = self._run(["-query", f"filter=openfx.{plugin_id}"], [_bundle(bundle)]).text
        if "No metadata for filter" in said:
            raise MeltError(f"melt loaded no plugin {plugin_id} from {bundle}.\n{tail(said)}")
        return said

    def render(
        self,
        bundle: Path,
        source: Path,
        filters: Sequence[tuple[str, Mapping[str, str]]],
        out: Path,
        *,
        frames: tuple[int, int],
        profile: Profile | None = None,
        real_time: int = -1,
        sixteen_bit: bool = False,
        shared: Sequence[Path] = (),
        env: Mapping[str, str] | None = None,
        timeout_s: float = 600,
    ) -> Run:
        """Render the frames first to last (inclusive) of `source` through OpenFX filters into `out`.

        `source` is a movie, or an image pattern such as `plate.%04d.png`; `out` is a pattern of PNG files (RGBA,
        lossless) or an .mp4 movie (H.264). Frames count from 0 in a movie and are the files' own numbers in a sequence;
        the files of `out` carry the same numbers. A filter is (plugin id, parameters): numbers and texts as they are,
        choices by label, keyframes as `frame=value;...` from 0 at the first frame. `profile` is the source's own unless
        given. `real_time=-n` renders every frame, on n threads. `sixteen_bit` writes 16-bit PNG and makes melt offer
        16 bits to the plugin (though it reads a PNG source as 8). `shared` are folders that the plugin sees, and may
        write, under their own path: the server's runtime folder. `env` is added to an otherwise clean environment.

        MeltError when melt fails, writes too few frames or needs more than `timeout_s`; not when a plugin's render
        fails: MLT ignores that status and passes the source through, so compare the pictures.
        """
        loaded = self.filters(bundle) if filters else []
        for plugin_id, _ in filters:  # melt itself leaves an unknown filter out and renders on
            if plugin_id not in loaded:
                raise MeltError(f"melt loaded no plugin {plugin_id} from {bundle}, only {', '.join(loaded) or 'none'}.")
        results = [_frame(out, number) for number in range(frames[0], frames[1] + 1)] if _is_pattern(out) else [out]
        out.parent.mkdir(parents=True, exist_ok=True)
        for path in results:
            path.unlink(missing_ok=True)
        arguments = [*_producer(source, frames)]
        for plugin_id, values in filters:
            arguments += ["-attach", f"openfx.{plugin_id}", *(f"{name}={value}" for name, value in values.items())]
        arguments += [*_consumer(out, frames[0], sixteen_bit), f"real_time={real_time}"]
        mounts = [_bundle(bundle), Mount(source.parent, "/mnt/source"), Mount(out.parent, "/mnt/out", writable=True)]
        mounts += [Mount(folder, str(folder.resolve()), writable=True) for folder in shared]
        with tempfile.TemporaryDirectory(prefix="latensify-melt-") as scratch:
            chosen = profile or Profile.of(_frame(source, frames[0]))
            Path(scratch, "profile").write_text(chosen.text())
            mounts += [Mount(Path(scratch), "/mnt/run")]
            run = self._run(["-silent", "-verbose", "-profile", "/mnt/run/profile", *arguments], mounts, env, timeout_s)
        missing = [path for path in results if not path.is_file() or not path.stat().st_size]
        if missing:
            raise MeltError(f"melt did not write {missing[0]} ({len(missing)} missing).\n{tail(run.text)}")
        return run

    def _run(
        self,
        arguments: Sequence[str],
        mounts: Sequence[Mount] = (),
        env: Mapping[str, str] | None = None,
        timeout_s: float = 60,
    ) -> Run:
        for mount in mounts:
            if not mount.folder.is_dir():
                raise MeltError(f"There is no folder {mount.folder}, which melt needs.")
        clean = {"PATH": SYSTEM_PATH, "HOME": "/tmp", "LC_ALL": "C.UTF-8", "OFX_PLUGIN_PATH": "/opt/ofx"}
        variables = {**clean, "QT_QPA_PLATFORM": "offscreen", **(env or {})}
        inside = ["env", "-i", *(f"{name}={value}" for name, value in variables.items()), "melt", *arguments]
        command = as_root(enter(self.root, mounts, f"{os.getuid()}:{os.getgid()}", inside), timeout_s)
        started = time.monotonic()
        for _ in range(_STARTS):
            text = _say(command, started + timeout_s)
            if _LOST_START not in text:
                return Run(text, time.monotonic() - started)
        raise MeltError(f"melt lost its start {_STARTS} times in a row: is this machine overloaded?\n{tail(text)}")


def _say(command: Sequence[str], deadline: float) -> str:
    """Run `command` until its end, a lost start or `deadline` (time.monotonic); what it said on stdout and stderr."""
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT) as melt,
    ):

        def said() -> str:
            return os.pread(log.fileno(), os.fstat(log.fileno()).st_size, 0).decode(errors="replace")

        try:
            while melt.poll() is None and _LOST_START not in said():
                if time.monotonic() > deadline:
                    raise MeltError(f"melt was not done in its time limit and was stopped.\n{tail(said())}")
                time.sleep(0.02)
        finally:
            if melt.poll() is None:
                _stop(melt)
        if melt.wait() and _LOST_START not in said():
            raise MeltError(f"melt ended with status {melt.returncode}.\n{tail(said())}")
        return said()


def _stop(melt: subprocess.Popen[bytes]) -> None:
    if os.geteuid() == 0:
        melt.kill()
    else:  # sudo passes SIGTERM on, to the `timeout` that ends in SIGKILL
        subprocess.run(["sudo", "-n", "kill", str(melt.pid)])


def _is_pattern(path: Path) -> bool:
    return "%" in path.name


def _frame(path: Path, number: int) -> Path:
    """The file of one frame: of a pattern the one with that number, of a movie the movie."""
    return path.with_name(path.name % number) if _is_pattern(path) else path


def _bundle(folder: Path) -> Mount:
    return Mount(folder, f"/opt/ofx/{folder.resolve().name}")


def _read_header(picture: Path) -> tuple[Profile, int]:
    """The format of a movie or of an image, and the number of its frames (0 where the file does not say)."""
    import av  # here, since `ensure` runs before anything is installed

    try:
        with av.open(str(picture)) as container:
            stream = container.streams.video[0]
            rate = stream.average_rate
            fps = (rate.numerator, rate.denominator) if rate else (25, 1)
            return Profile(stream.width, stream.height, fps), stream.frames
    except (OSError, IndexError) as error:
        raise MeltError(f"{picture} cannot be read as a picture or a movie: {error}") from error


def _producer(source: Path, frames: tuple[int, int]) -> list[str]:
    first, last = frames
    inside = f"/mnt/source/{source.name}"
    if _is_pattern(source):
        for number in range(first, last + 1):  # MLT skips a missing file without a word, and all after it would be off
            if not _frame(source, number).is_file():
                raise MeltError(f"There is no {_frame(source, number)} to render.")
        return [f"qimage:{inside}?begin={first}", "ttl=1", f"out={last - first}"]
    length = _read_header(source)[1]
    if length and last >= length:  # MLT would repeat the last frame
        raise MeltError(f"{source} has {length} frames, 0 to {length - 1}: there is no frame {last} to render.")
    return [f"avformat:{inside}", f"in={first}", f"out={last}"]


def _consumer(out: Path, first: int, sixteen_bit: bool) -> list[str]:
    target = ["-consumer", f"avformat:/mnt/out/{out.name}", "an=1"]
    if _is_pattern(out) and out.suffix == ".png":
        pixels, file_pixels = ("rgba64", "rgba64be") if sixteen_bit else ("rgba", "rgba")
        return [*target, f"mlt_image_format={pixels}", f"pix_fmt={file_pixels}", "vcodec=png", f"start_number={first}"]
    if out.suffix == ".mp4":
        return [*target, "mlt_image_format=rgba", "vcodec=libx264", "pix_fmt=yuv420p", "crf=14", "movflags=+faststart"]
    raise MeltError(f"melt is set up to write NAME.%04d.png or NAME.mp4, not {out.name}.")


def default_root() -> Path:
    """Where the root is: $LATENSIFY_MELT_ROOT, or build/melt in the repository."""
    return Path(os.environ.get("LATENSIFY_MELT_ROOT") or Path(__file__).parents[2] / "build" / "melt").resolve()


def ensure(root: Path | None = None) -> MeltHost:
    """The host at `root` (else `default_root()`), made when absent, saying so: needs root or sudo, and the network.

    RootError when it cannot be made or entered. An interrupted run leaves nothing that the next would use.
    """
    root = (root or default_root()).resolve()
    check_rights()
    if os.geteuid() == 0:
        make(root, ["melt"], check=lambda folder: f"melt {MeltHost(folder).version()}")
    elif not is_made(root):
        root.parent.mkdir(parents=True, exist_ok=True)
        _make_with_sudo(root)
    return MeltHost(root)


def _make_with_sudo(root: Path) -> None:
    names = ("LATENSIFY_DEBIAN_MIRROR", "http_proxy", "https_proxy", "no_proxy")
    kept = [f"{name}={os.environ[name]}" for name in names if name in os.environ]
    kept += [f"LATENSIFY_MELT_ROOT={root}", f"PYTHONPATH={Path(__file__).parents[1]}"]
    if subprocess.run(["sudo", "-n", "env", *kept, sys.executable, "-m", "hosts.melt", "ensure"]).returncode:
        raise RootError("melt could not be set up; the reason is above.")


def main(arguments: Sequence[str]) -> int:
    """`ensure` makes the host when absent and says where it is; `version` prints the version of one that is there."""
    try:
        if arguments == ["ensure"]:
            host = ensure()
            print(f"melt {host.version()} is in {host.root}.")
        elif arguments == ["version"]:
            if not is_made(default_root()):
                raise RootError(f"There is no melt in {default_root()}: run `make host`.")
            print(MeltHost(default_root()).version())
        else:
            print("usage: melt.py ensure|version", file=sys.stderr)
            return 2
    except RootError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
