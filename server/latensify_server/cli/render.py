"""`latensify render EFFECT`: edits image sequences, stills and movies without a host."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import xxhash

from latensify_bridge import __version__
from latensify_bridge.client import Session
from latensify_bridge.effects import EFFECTS, changes_nothing, effect_named, wants_fit
from latensify_bridge.errors import BadRequest
from latensify_server.cli.exit_codes import EPILOG
from latensify_server.cli.fitting import asking_for_the_fit, fit_finder, fit_on_disk
from latensify_server.cli.opening import Request, opened
from latensify_server.cli.options import EffectCommand, from_file
from latensify_server.cli.progress import reporting
from latensify_server.cli.sessions import session_with
from latensify_server.cli.stopping import stoppable
from latensify_server.engine import REVISION
from latensify_server.engines import ENGINES
from latensify_server.media.blank import SIZE, Blank
from latensify_server.media.clip import Clip
from latensify_server.media.movie_write import Sound
from latensify_server.media.names import is_movie, pattern
from latensify_server.media.output import Output, check_movie, movie, movie_finished, pictures
from latensify_server.media.shot import Shot
from latensify_server.media.write import DEPTHS
from latensify_server.render import Job, Renderer, Summary

DEFAULT_FPS = 24.0


def _own(effect: str) -> list[click.Option]:
    declaration = EFFECTS[effect]
    mask = click.Option(["--mask"], help="Matte: likewise; a movie starts with the plate, a still serves every frame.")
    fit = click.Option(["--fit"], is_flag=True, help="Fit a model to the whole shot first, if that was not done yet.")
    blank = [
        click.Option(["--size"], help=f"Size of the frames where there is no --in.  [default: {SIZE}]"),
        click.Option(["--shot"], help="All frames of the shot where there is no --in: 1-48.  [default: --frames]"),
    ]
    return [
        click.Option(
            ["--in", "source"],
            required=not declaration.generator,
            help="Plate: shot.%04d.exr, shot.####.exr, a still or a movie.",
        ),
        *([mask] if "Mask" in declaration.clips else []),
        *(blank if declaration.generator else []),
        *([fit] if declaration.fits else []),
        click.Option(["--out"], required=True, help="Result: out.%04d.exr, one picture, or .mp4 .mov .mkv .webm."),
        click.Option(["--frames"], help="1001-1040, 1-100x5, 1-10:4, 24-1, 1,5,9.  [default: all there are]"),
        click.Option(["--start"], type=int, help="Number of the first frame of a movie [default: 0] or still [1]."),
        click.Option(["--params"], type=click.Path(path_type=Path), help="JSON file of parameters; options go first."),
        click.Option(["--resume"], is_flag=True, help="Skip frames that are written and made from the same."),
        click.Option(["--no-cache"], is_flag=True, help="Compute again what an earlier run left in the cache."),
        click.Option(
            ["--prime"], is_flag=True, help="Leave results for hosts that see one frame at a time (Kdenlive)."
        ),
        click.Option(["--depth"], type=click.Choice(list(DEPTHS)), help="Depth of the pictures.  [default: as read]"),
        click.Option(["--fps"], type=click.FloatRange(0.1, 1000), help="Rate of a movie.  [default: as read, or 24]"),
        click.Option(["--server"], help="Address of a server, or auto.  [default: one of its own]"),
        click.Option(["--json", "as_json"], is_flag=True, help="Print a summary as JSON at the end."),
        click.Option(["--engine"], type=click.Choice(list(ENGINES)), default="diffusion", hidden=True),
    ]


def _command(effect: str) -> EffectCommand:
    def run(**values: Any) -> None:
        own = {each.name: values.pop(each.name, None) for each in dataclasses.fields(Request)}
        given = {name: value for name, value in values.items() if value is not None}
        _run(effect, Request(**own), given)

    doc = (EFFECTS[effect].__doc__ or "").strip()
    return EffectCommand(effect, _own(effect), callback=run, help=doc, epilog=EPILOG)


class _Effects(click.Group):
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        effect_named(args[0])  # says which there are
        return super().resolve_command(ctx, args)


@click.group(cls=_Effects, epilog=EPILOG, commands={effect: _command(effect) for effect in EFFECTS})
def render() -> None:
    """Edits image sequences, stills and movies, without a host.

    \b
    latensify render restyle --in shot.%04d.exr --out out.%04d.exr --frames 1001-1040 --preset winter
    latensify render remove --in shot.mov --mask matte.mov --out clean.mov
    latensify render extend --in shot.mov --aspect 2.39:1 --out wide.mov
    latensify render generate --preset lake --frames 1-48 --out lake.mp4
    """


def _run(effect: str, request: Request, given: dict[str, Any]) -> None:
    values = {**from_file(request.params), **given}
    found = opened(effect, request, values)
    edit, panel, shot = found.edit, found.panel, found.shot
    if request.fit:
        edit = asking_for_the_fit(edit, "fill" in values)
    fresh = secrets.token_hex(8) if request.no_cache else ""
    frames = sorted(found.frames) if is_movie(request.out) else found.frames
    same = changes_nothing(edit, panel)
    model_hash = "" if request.server or same else ENGINES[request.engine].choose(effect, edit.model).hash
    fit_of = None if request.server or not wants_fit(edit) else fit_finder(effect, edit)
    job = Job(effect, edit, panel, frames, request.resume, fresh, request.prime, request.depth, model_hash, fit_of)
    summary = _render(job, shot, found.mask, request)
    if request.as_json:
        click.echo(json.dumps(dataclasses.asdict(summary)))


def _render(job: Job, shot: Shot, mask: Clip | None, request: Request) -> Summary:
    _spare_inputs(request.out, job, shot, mask)
    if is_movie(request.out):
        check_movie(request.out, request.depth)
    if request.fit and not changes_nothing(job.edit, job.panel):
        fit_on_disk(job.effect, job.edit, shot, request.server, request.engine)
    movie_key = _movie_key(job, shot, mask, request.fps) if is_movie(request.out) else ""
    if movie_key and job.resume and movie_finished(Path(request.out), movie_key):
        click.echo(f"latensify: {request.out} is finished already.", err=True)
        return Summary(job.effect, request.out, skipped=list(job.frames))
    with stoppable() as cancelled, contextlib.ExitStack() as stack:
        report = stack.enter_context(reporting(len(job.frames)))

        def session() -> Session:
            return stack.enter_context(session_with(request.server, request.engine, cancelled))

        with _output(job, shot, request) as output:
            return Renderer(job, shot, session, report, cancelled).run(output, movie_key)


@contextlib.contextmanager
def _output(job: Job, shot: Shot, request: Request) -> Iterator[Output]:
    if not is_movie(request.out):
        yield pictures(request.out, len(job.frames), request.depth)
        return
    fps = request.fps or shot.plate.fps or DEFAULT_FPS
    with movie(request.out, fps, _sound(job, shot, fps)) as output:
        yield output


def _sound(job: Job, shot: Shot, fps: float) -> Sound | None:
    """The source's sound, where the movie shows the same frames at the same rate."""
    frames = job.frames
    unbroken = list(frames) == list(range(frames[0], frames[0] + len(frames)))
    if not is_movie(shot.plate.name) or not unbroken or fps != shot.plate.fps:
        return None
    return Sound(shot.plate.files(frames[0]), (frames[0] - shot.first) / fps, len(frames) / fps)


def _spare_inputs(out: str, job: Job, shot: Shot, mask: Clip | None) -> None:
    """Raises BadRequest where a result would take the place of an input."""
    numbered = pattern(out)
    targets = {os.path.realpath(numbered.path(frame) if numbered else out) for frame in job.frames}
    for clip in _read(shot, mask):
        for frame in clip.numbers:
            if os.path.realpath(clip.files(frame)) in targets:
                raise BadRequest(f"--out would overwrite the input {clip.files(frame)}; give it another name.")


def _read(shot: Shot, mask: Clip | None) -> list[Clip]:
    """The clips that lie on disk."""
    return [clip for clip in (shot.plate, mask) if clip and not isinstance(clip, Blank)]


def _movie_key(job: Job, shot: Shot, mask: Clip | None, fps: float | None) -> str:
    """Names what a movie is made of: the request, and the input files by name, size and date."""
    files = sorted({str(clip.files(frame)) for clip in _read(shot, mask) for frame in clip.numbers})
    dated = [(file, os.path.getsize(file), os.stat(file).st_mtime_ns) for file in files]
    fitted = [job.fit_of(shot.named(frame).source) for frame in job.frames] if job.fit_of else []
    own = [job.panel, list(job.frames), fps, *fitted, *([shot.plate.name] if isinstance(shot.plate, Blank) else [])]
    deciding = [__version__, REVISION, job.effect, job.edit, job.model_hash, own, dated]
    return xxhash.xxh3_128(msgspec.msgpack.encode(deciding)).hexdigest()
