"""`make demo`: the plugin in a real host (melt) over a real clip. Leaves pictures and demo/summary.json to judge it by.

The street shot by default; `--clip MOVIE` takes another, whose middle third is then taken for what Remove removes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from hosts.clips import clip as street_clip
from hosts.melt import MeltHost, ensure
from hosts.servers import server

REPOSITORY = Path(__file__).resolve().parents[2]
BUNDLE = REPOSITORY / "build/plugin/Latensify.ofx.bundle"
Picture = NDArray[np.uint8]

# Where the passer-by is in the street shot: frame of the shot (from 1), left and right edge in pixels of 640.
WALKER = {
    **{1: (20, 239), 3: (38, 290), 5: (78, 308), 7: (132, 318), 9: (176, 372), 11: (176, 495), 13: (176, 535)},
    **{15: (262, 540), 17: (304, 540), 19: (390, 590), 21: (405, 640), 23: (405, 640), 25: (435, 640)},
    **{27: (540, 640), 29: (590, 640), 31: (625, 640)},
}


@dataclass(frozen=True)
class Shot:
    """A range of a movie: `first` is its frame number there; `count` frames are shown, `seen` can be looked at."""

    movie: Path
    first: int
    count: int
    seen: int
    walker: dict[int, tuple[int, int]] | None

    def matte(self, frame: int, width: int, height: int) -> Picture:
        """What is to be removed in frame `frame` (from 1): a soft-cornered box, 255 inside."""
        matte = np.zeros((height, width), np.uint8)
        if self.walker is None:
            left, right, top, bottom = width // 3, 2 * width // 3, height // 3, 2 * height // 3
        elif frame > max(self.walker):
            return matte
        else:
            known = sorted(self.walker)
            left, right = (
                int(np.interp(frame, known, [self.walker[key][side] for key in known]) * width / 640) for side in (0, 1)
            )
            top, bottom = 0, height
        matte[top:bottom, left:right] = 255
        return matte


def read(shot: Shot) -> list[Picture]:
    """The frames of the shot, 8-bit RGB."""
    found = []
    with av.open(str(shot.movie)) as movie:
        for number, frame in enumerate(movie.decode(video=0)):
            if number >= shot.first + shot.seen:
                break
            if number >= shot.first:
                found.append(frame.to_ndarray(format="rgb24"))
    if len(found) < shot.count:
        sys.exit(
            f"{shot.movie} has too few frames: {shot.first + len(found)}, and {shot.first + shot.count} are needed."
        )
    return found


def write_plates(shot: Shot, frames: list[Picture], folder: Path) -> None:
    """Plates as PNG whose alpha is the matte: the one way to hand a matte to a host that connects no second clip."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames, 1):
        matte = shot.matte(number, frame.shape[1], frame.shape[0])
        cv2.imwrite(str(folder / f"plate.{number:04d}.png"), np.dstack([frame[..., ::-1], matte]))


def label(picture: Picture, text: str) -> Picture:
    out = picture.copy()
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.6, 1)
    cv2.rectangle(out, (0, 0), (width + 20, height + 16), (0, 0, 0), cv2.FILLED)
    cv2.putText(out, text, (8, height + 8), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1, cv2.LINE_AA)
    return out


def outlined(picture: Picture, matte: Picture) -> Picture:
    edges, _ = cv2.findContours(matte, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return cv2.drawContours(picture.copy(), edges, -1, (255, 220, 0), 2)  # type: ignore[return-value]


def load(pattern: Path, count: int) -> list[Picture]:
    pictures = [cv2.imread(str(pattern) % number, cv2.IMREAD_COLOR) for number in range(1, count + 1)]
    return [np.ascontiguousarray(picture[..., ::-1]) for picture in pictures]


def contact_sheet(shot: Shot, rows: dict[str, list[Picture]], out: Path) -> None:
    """Four moments side by side: source with the matte outlined, then a row for each effect."""
    picks = np.linspace(0, shot.count - 1, 4).astype(int)
    sheet = []
    for name, frames in rows.items():
        shown = [frames[pick] for pick in picks]
        if name == "source":
            height, width = shown[0].shape[:2]
            shown = [outlined(f, shot.matte(int(p) + 1, width, height)) for f, p in zip(shown, picks, strict=True)]
        sheet.append(np.hstack([label(frame, name) for frame in shown]))
    cv2.imwrite(str(out), np.vstack(sheet)[..., ::-1])


def movie(rows: dict[str, list[Picture]], out: Path, rate: int) -> None:
    """Source above, effects below it."""
    with av.open(str(out), "w") as file:
        height, width = next(iter(rows.values()))[0].shape[:2]
        stream = file.add_stream("libx264", rate=rate, options={"crf": "14"})
        stream.width, stream.height, stream.pix_fmt = width & ~1, (height * len(rows)) & ~1, "yuv420p"
        for pictures in zip(*rows.values(), strict=True):
            stack = np.vstack([label(picture, name) for picture, name in zip(pictures, rows, strict=True)])
            frame = av.VideoFrame.from_ndarray(stack[: stream.height, : stream.width], format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


def latensify(*arguments: str) -> dict[str, str]:
    """The command line, as a user would call it; the summary that it ends with."""
    print("+ latensify", *arguments, flush=True)
    command = [sys.executable, "-m", "latensify_server", *arguments, "--json"]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    summary: dict[str, str] = json.loads(said.splitlines()[-1])
    return summary


def timed(name: str, frames: int, work: Callable[[], object]) -> dict[str, object]:
    started = time.monotonic()
    work()
    seconds = time.monotonic() - started
    print(f"{name}: {frames} frames in {seconds:.1f} s", flush=True)
    return {
        "effect": name,
        "frames": frames,
        "seconds": round(seconds, 2),
        "seconds_a_frame": round(seconds / frames, 3),
    }


def run(shot: Shot, host: MeltHost, out: Path) -> None:
    frames = read(shot)
    plates = out / "plates/plate.%04d.png"
    write_plates(shot, frames, plates.parent)
    last = str(len(frames))
    look = {"preset": "Golden hour", "strength": "0.9"}
    restyled, removed, exr = out / "restyle/%04d.png", out / "remove/%04d.png", out / "exr/remove.%04d.exr"
    exr.parent.mkdir(parents=True, exist_ok=True)
    done = []
    with server(out / "home", engine="diffusion") as running:
        asked = {"server": running.endpoint}
        window = (shot.first, shot.first + shot.count - 1)
        raw = out / "restyle/%04d.raw.png"

        def restyle() -> None:
            chosen = [("org.latensify.restyle", {**look, **asked})]
            host.render(BUNDLE, shot.movie, chosen, raw, frames=window)

        done.append(timed("restyle in melt", shot.count, restyle))
        for number in range(1, shot.count + 1):
            (raw.parent / (raw.name % (shot.first + number - 1))).rename(raw.parent / (restyled.name % number))
        where = ["--window", "40", "--overlap", "0", "--mask-source", "source_alpha", "--server", running.endpoint]
        shown = f"1-{shot.count}"
        prime = ["render", "remove", "--in", str(plates), "--out", str(exr), "--frames", shown, *where, "--prime"]
        rendered: dict[str, str] = {}
        done.append(
            timed(
                "remove, headless, ahead of the host (--prime)", shot.count, lambda: rendered.update(latensify(*prime))
            )
        )

        def remove() -> None:
            chosen = [("org.latensify.remove", {"mask_source": "Alpha of the source", **asked})]
            host.render(BUNDLE, plates, chosen, removed, frames=(1, shot.count))

        done.append(timed("remove in melt, served what was made ahead", shot.count, remove))
    source = frames[: shot.count]
    rows = {"source": source, "restyle: golden hour": load(restyled, shot.count), "remove": load(removed, shot.count)}
    contact_sheet(shot, rows, out / "contact_sheet.png")
    movie(rows, out / "before_after.mp4", 25)
    summary = {
        "host": f"melt {host.version()}",
        "plugin": str(BUNDLE),
        "clip": str(shot.movie),
        "first_frame": shot.first,
        "model": rendered["model"],
        "model_hash": rendered["model_hash"],
        "runs": done,
        "seen_frames": int(last),
        "mean_change": {name: changed(source, rows[name]) for name in rows if name != "source"},
        "outputs": [str(out / name) for name in ("contact_sheet.png", "before_after.mp4", "restyle", "remove", "exr")],
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")


def changed(before: list[Picture], after: list[Picture]) -> float:
    """Mean absolute difference, 0..255: a demo whose pictures show no edit has failed."""
    return round(float(np.mean([cv2.absdiff(a, b).mean() for a, b in zip(before, after, strict=True)])), 2)


def main() -> int:
    parser = argparse.ArgumentParser(description="The plugin in a real host over a real clip.")
    parser.add_argument("--clip", type=Path, help="a movie of yours (default: a street shot)")
    parser.add_argument("--first", type=int, default=0, help="its first frame (default: 0)")
    parser.add_argument("--frames", type=int, default=16, help="how many of its frames (default: 16)")
    arguments = parser.parse_args()
    if arguments.clip:
        if not arguments.clip.is_file():
            sys.exit(f"There is no movie {arguments.clip}; give CLIP=/path/to/a.mov.")
        shot = Shot(arguments.clip.resolve(), arguments.first, arguments.frames, arguments.frames + 8, None)
    else:
        shot = Shot(street_clip(), 187, 28, 39, WALKER)
    out = REPOSITORY / "demo"
    out.mkdir(exist_ok=True)
    run(shot, ensure(), out)
    summary = json.loads((out / "summary.json").read_text())
    for name, amount in summary["mean_change"].items():
        if amount < 1:
            sys.exit(f"The demo's {name} changed almost nothing (mean {amount} of 255); see demo/home/server.log.")
    print(f"\nLook at {out / 'contact_sheet.png'} and {out / 'before_after.mp4'}; figures in {out / 'summary.json'}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
