"""`latensify render EFFECT`: edits image sequences, stills and movies without a host."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import xxhash

from latensify_bridge import __version__
from latensify_bridge.client import Session, connect
from latensify_bridge.effects import EFFECTS, ColourSpace, MaskSource, Panel, changes_nothing, effect_named
from latensify_bridge.errors import BadRequest
from latensify_server.cli.exit_codes import EPILOG
from latensify_server.cli.options import EffectCommand, checked, from_file
from latensify_server.cli.progress import reporting
from latensify_server.cli.stopping import stoppable
from latensify_server.engine import REVISION
from latensify_server.engines import ENGINES
from latensify_server.media import framelist
from latensify_server.media.clip import Clip, open_clip
from latensify_server.media.colour import colour_space_of
from latensify_server.media.matte import Mattes
from latensify_server.media.movie_write import Sound
from latensify_server.media.names import is_movie, pattern
from latensify_server.media.output import Output, check_movie, movie, movie_finished, pictures
from latensify_server.media.shot import Shot
from latensify_server.media.write import DEPTHS
from latensify_server.render import Job, Renderer, Summary

DEFAULT_FPS = 24.0


@dataclasses.dataclass(frozen=True)
class Request:
    """What the options other than parameters say."""

    source: str
    mask: str | None
    out: str
    frames: str | None
    start: int | None
    params: Path | None
    resume: bool
    no_cache: bool
    prime: bool
    depth: str | None
    fps: float | None
    server: str | None
    engine: str
    as_json: bool


def _own() -> list[click.Option]:
    return [
        click.Option(
            ["--in", "source"], required=True, help="Plate: shot.%04d.exr, shot.####.exr, a still or a movie."
        ),
        click.Option(["--mask"], help="Matte: likewise; a movie starts with the plate, a still serves every frame."),
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
        own = {each.name: values.pop(each.name) for each in dataclasses.fields(Request)}
        given = {name: value for name, value in values.items() if value is not None}
        _run(effect, Request(**own), given)

    doc = (EFFECTS[effect].__doc__ or "").strip()
    return EffectCommand(effect, _own(), callback=run, help=doc, epilog=EPILOG)


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
    """


def _run(effect: str, request: Request, given: dict[str, Any]) -> None:
    values = {**from_file(request.params), **given}
    _no_empty_words(request)
    edit, panel = checked(effect, values)
    panel = _with_mask_source(effect, request, panel, "mask_source" in values)
    plate = open_clip(request.source, request.start)
    mask = _open_mask(request.mask, plate)
    mattes = Mattes(panel, mask, panel.mask_channel if "mask_channel" in values else None)
    panel = msgspec.structs.replace(panel, mask_channel=mattes.channel_used) if mask else panel
    shot = Shot(plate, mattes, panel.frame_offset)
    frames = framelist.parse(request.frames) if request.frames else list(plate.numbers)
    shot.check(frames)
    if edit.colour_space is ColourSpace.AUTO:
        first = shot.load(frames[0]).image
        edit = msgspec.structs.replace(edit, colour_space=colour_space_of(plate.name, first))
    fresh = secrets.token_hex(8) if request.no_cache else ""
    frames = sorted(frames) if is_movie(request.out) else frames
    known = not request.server and not changes_nothing(edit, panel)
    model_hash = ENGINES[request.engine].choose(effect, edit.model).hash if known else ""
    job = Job(effect, edit, panel, frames, request.resume, fresh, request.prime, request.depth, model_hash)
    summary = _render(job, shot, mask, request)
    if request.as_json:
        click.echo(json.dumps(dataclasses.asdict(summary)))


def _no_empty_words(request: Request) -> None:
    """Raises BadRequest for an option that is given as an empty text, as by a script's unset variable."""
    words = {"--in": request.source, "--mask": request.mask, "--out": request.out, "--frames": request.frames}
    for option, word in {**words, "--server": request.server}.items():
        if word is not None and not word.strip():
            raise BadRequest(f"{option} is empty; `latensify render --help` shows what it looks like.")


def _with_mask_source(effect: str, request: Request, panel: Panel, chosen: bool) -> Panel:
    source = panel.mask_source if chosen else MaskSource.CLIP if request.mask else EFFECTS[effect].mask_default
    if source is MaskSource.CLIP and not request.mask:
        raise BadRequest(f"{effect.title()} needs a matte: give --mask, or --mask-source box or source_alpha.")
    if source is MaskSource.NONE and EFFECTS[effect].needs_mask:
        raise BadRequest(f"{effect.title()} needs a matte, so --mask-source cannot be none: give --mask or a box.")
    if source is not MaskSource.CLIP and request.mask:
        raise BadRequest(f"--mask is given and --mask-source is {source.value}; leave one out.")
    return msgspec.structs.replace(panel, mask_source=source)


def _open_mask(mask: str | None, plate: Clip) -> Clip | None:
    if mask is None:
        return None
    return open_clip(mask, plate.numbers[0])


def _render(job: Job, shot: Shot, mask: Clip | None, request: Request) -> Summary:
    movie_key = _movie_key(job, shot, mask, request.fps) if is_movie(request.out) else ""
    _spare_inputs(request.out, job, shot, mask)
    if is_movie(request.out):
        check_movie(request.out, request.depth)
        if job.resume and movie_finished(Path(request.out), movie_key):
            click.echo(f"latensify: {request.out} is finished already.", err=True)
            return Summary(job.effect, request.out, skipped=list(job.frames))
    with stoppable() as cancelled, contextlib.ExitStack() as stack:
        report = stack.enter_context(reporting(len(job.frames)))

        def session() -> Session:
            return stack.enter_context(_session(request, cancelled))

        with _output(job, shot, request) as output:
            return Renderer(job, shot, session, report, cancelled).run(output, movie_key)


@contextlib.contextmanager
def _session(request: Request, cancelled: Callable[[], bool]) -> Iterator[Session]:
    """A session with the server asked for, else with a private one."""
    client = f"latensify render {__version__}"
    with contextlib.ExitStack() as stack:
        endpoint = request.server
        if endpoint is None:
            from latensify_server.local import local_server
            from latensify_server.settings import Settings

            endpoint = stack.enter_context(local_server(Settings(endpoint="", engine=request.engine)))
        yield stack.enter_context(connect(endpoint, client, cancelled))


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
    for clip in (shot.plate, mask) if mask else (shot.plate,):
        for frame in clip.numbers:
            if os.path.realpath(clip.files(frame)) in targets:
                raise BadRequest(f"--out would overwrite the input {clip.files(frame)}; give it another name.")


def _movie_key(job: Job, shot: Shot, mask: Clip | None, fps: float | None) -> str:
    """Names what a movie is made of: the request, and the input files by name, size and date."""
    files = sorted({str(clip.files(frame)) for clip in (shot.plate, mask) if clip for frame in clip.numbers})
    dated = [(file, os.path.getsize(file), os.stat(file).st_mtime_ns) for file in files]
    own = [job.panel, list(job.frames), fps]
    deciding = [__version__, REVISION, job.effect, job.edit, job.model_hash, own, dated]
    return xxhash.xxh3_128(msgspec.msgpack.encode(deciding)).hexdigest()
