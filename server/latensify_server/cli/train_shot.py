"""`latensify train shot`: fits a small model to a shot on disk, for the pixels that none of its frames shows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import click
import msgspec

from latensify_bridge.effects import EFFECTS, Panel
from latensify_bridge.errors import BadRequest, OutputFailed
from latensify_bridge.protocol import Fitted
from latensify_server.cli.exit_codes import EPILOG
from latensify_server.cli.fitting import fit_on_disk
from latensify_server.cli.opening import Request, opened
from latensify_server.cli.options import from_file, option, shown
from latensify_server.engines import ENGINES
from latensify_server.fits import Fits, FitSettings, fits_folder

FITTING = [effect for effect in EFFECTS if EFFECTS[effect].fits]
DECIDING = {each.name for each in (*msgspec.structs.fields(FitSettings), *msgspec.structs.fields(Panel))}
NO_PART = {"mix", "timeout_s", "frame_offset"}
NOWHERE = "."  # no frame is written


def _options() -> list[click.Parameter]:
    parameters = [each for each in shown("remove") if each.name in DECIDING - NO_PART]
    return [
        click.Option(["--in", "source"], required=True, help="Plate, as for `latensify render`."),
        click.Option(["--mask"], help="Matte of what will be taken out; it is never learned from."),
        click.Option(["--frames"], help="1001-1040, 1-100x5.  [default: all there are]"),
        click.Option(["--start"], type=int, help="Number of the first frame of a movie [default: 0] or still [1]."),
        click.Option(["--effect"], type=click.Choice(FITTING), default=FITTING[0], help="That will use the model."),
        click.Option(["--params"], type=click.Path(path_type=Path), help="JSON file of parameters; options go first."),
        click.Option(["--out"], type=click.Path(path_type=Path), help="New folder for a copy of the model."),
        click.Option(["--server"], help="Address of a server, or auto.  [default: one of its own]"),
        click.Option(["--json", "as_json"], is_flag=True, help="Print a summary as JSON at the end."),
        click.Option(["--engine"], type=click.Choice(list(ENGINES)), default="diffusion", hidden=True),
        *map(option, parameters),
    ]


def _run(effect: str, out: Path | None, as_json: bool, params: Path | None, **values: Any) -> None:
    own = {name: values.pop(name) for name in ("source", "mask", "frames", "start", "server", "engine")}
    given = {**from_file(params), **{name: value for name, value in values.items() if value is not None}}
    request = Request(**own, out=NOWHERE)
    if request.mask is not None and "Mask" not in EFFECTS[effect].clips:
        raise BadRequest(f"{effect.title()} takes no matte; leave --mask out.")
    if out is not None and out.exists():
        raise BadRequest(f"--out {out} is there already; name a new folder.")
    found = opened(effect, request, given)
    fitted = fit_on_disk(effect, found.edit, found.shot, request.server, request.engine, found.frames)
    folder = _copied(fitted, out)
    if as_json:
        click.echo(json.dumps({**_told(fitted), "frames": len(found.frames), "folder": str(folder)}))
        return
    how = "was fitted before" if fitted.cached else f"is fitted ({fitted.seconds:.0f} s)"
    where = f" in {folder}" if folder.is_dir() else " on the server"
    click.echo(f"The model of {len(found.frames)} frames {how}; it lies{where}.")
    click.echo(f"Use it with `latensify render {effect} --fill fitted`, or in the panel: Unseen pixels.")


def _told(fitted: Fitted) -> dict[str, Any]:
    return {"fit": fitted.fit, "cached": fitted.cached, "seconds": round(fitted.seconds, 3)}


def _copied(fitted: Fitted, out: Path | None) -> Path:
    """Where the model lies, or its copy. Raises OutputFailed when it lies elsewhere or cannot be copied."""
    folder = Fits(fits_folder()).path(fitted.fit)
    if out is None:
        return folder
    try:
        shutil.copytree(folder, out)
    except OSError as error:
        raise OutputFailed(f"The model in {folder} cannot be copied to {out}: {error.strerror or error}.") from None
    return out


shot = click.Command(
    "shot",
    callback=_run,
    params=_options(),
    epilog=EPILOG,
    help="""Fits a small model to a shot, for the pixels that no frame shows, of Remove and of Extend.

    \b
    latensify train shot --in shot.%04d.exr --mask matte.%04d.exr --quality draft
    latensify render remove --in shot.%04d.exr --mask matte.%04d.exr --fill fitted --out clean.%04d.exr

    What is stopped goes on when the same command is run again.
    """,
)
