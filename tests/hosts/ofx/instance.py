"""Effect instances: creation, parameters, changes, renders, destruction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from . import queries
from .api import K
from .clips import Clip, ClipInstance, Rect
from .descriptor import Arguments, Descriptor, argument_set
from .params import Param
from .properties import PropertySet
from .rendering import Abort, Render, Rendered, Window, finish, prepare
from .runtime import ActionFailed, Call, Runtime
from .schema import EFFECT_INSTANCE, EFFECT_INSTANCE_WRITABLE, PROJECT
from .variants import CONTEXTS

Scale = tuple[float, float]
Send = Callable[..., Call]


class Instance:
    """A live instance of an effect. Made by `OfxHost.instance`."""

    def __init__(
        self, runtime: Runtime, send: Send, descriptor: Descriptor, params: Mapping[str, Any], clips: Mapping[str, Clip]
    ) -> None:
        self.runtime, self._send, self.descriptor = runtime, send, descriptor
        self.now = 0.0
        self.alive = False
        self.edited: list[str] = []  # parameters that the plugin itself has set, in order
        self.handle = runtime.register(self)
        self.params = descriptor.params.instantiate(self)
        self.params.assign(params)
        self.clips = self._connect_all(clips)
        self.properties = self._properties()

    def _connect_all(self, clips: Mapping[str, Clip]) -> dict[str, ClipInstance]:
        unknown = set(clips) - set(self.descriptor.clips)
        if unknown:
            raise KeyError(f"no clip {', '.join(unknown)}; there are {', '.join(self.descriptor.clips)}")
        source = clips.get("Source", Clip())
        like_source = replace(source, frames={}, frame_range=source.range())
        made = {}
        for name, descriptor in self.descriptor.clips.items():
            stated = clips.get(name, like_source if name == "Output" else Clip(connected=False))
            made[name] = ClipInstance(self.runtime, self, descriptor, stated, self.descriptor.depths)
        return made

    def _properties(self) -> PropertySet:
        known = PROJECT if self.runtime.variant.project_known else {}
        specs = EFFECT_INSTANCE | known
        made = PropertySet(self.runtime, "effect", "instance", specs, EFFECT_INSTANCE_WRITABLE)
        made.put(K.kOfxPropLabel, self.descriptor.properties.get(K.kOfxPropLabel))
        made.put(K.kOfxImageEffectPropContext, CONTEXTS[str(self.descriptor.context)])
        made.put(K.kOfxPropIsInteractive, int(not self.runtime.variant.background))
        if known:
            x1, y1, x2, y2 = self.default_region(self.time_bounds()[0])
            first, last = self.time_bounds()
            made.put(K.kOfxImageEffectPropProjectSize, x2 - x1, y2 - y1)
            made.put(K.kOfxImageEffectPropProjectOffset, x1, y1)
            made.put(K.kOfxImageEffectPropProjectExtent, x2, y2)
            made.put(K.kOfxImageEffectInstancePropEffectDuration, last - first + 1)
        return made

    # -- what the suites ask

    def inputs(self) -> list[str]:
        return [name for name in self.clips if name != "Output"]

    def _picture(self) -> Clip:
        """The clip that says how large and how long the project is: Source, or where there is none Output."""
        source = self.clips.get("Source")
        return source.stated if source is not None and source.stated.connected else self.clips["Output"].stated

    def time_bounds(self) -> tuple[float, float]:
        return self._picture().range()

    def default_region(self, time: float) -> Rect:
        return self._picture().region(time)

    def output_region(self, time: float) -> Rect:
        call = self.runtime.current(self)
        return call.render.region if call and call.render else self.default_region(time)

    def plugin_edited(self, param: Param) -> None:
        """A paramSetValue came: as real hosts do, tell the plugin of its own edit at once."""
        self.edited.append(param.name)
        depth = sum(call.action == K.kOfxActionInstanceChanged for call in self.runtime.stack)
        if depth > 8:
            self.runtime.violate("endless-edits", param.name)
        elif depth and self.runtime.variant.echoes_edits:
            self._changed(K.kOfxTypeParameter, param.name, K.kOfxChangePluginEdited)

    # -- actions

    def action(self, name: str, ins: Arguments | None = None, outs: Arguments | None = None) -> int:
        """Send any action by name; the status."""
        return self.ask(name, ins or {}, outs or {})[0]

    def ask(self, name: str, ins: Arguments, outs: Arguments, any_size: bool = False) -> tuple[int, Arguments]:
        """Send an action with its arguments; the status and the out arguments after it."""
        call, answer = self._dispatch(name, ins, outs, any_size=any_size)
        return (call.status or 0) if call else int(K.kOfxStatReplyDefault), answer

    def _dispatch(
        self, name: str, ins: Arguments, outs: Arguments, render: Render | None = None, any_size: bool = False
    ) -> tuple[Call | None, Arguments]:
        if name in self.runtime.variant.never_calls:
            return None, outs
        given = argument_set(self.runtime, f"{name} in", ins, False, False) if ins else None
        wanted = argument_set(self.runtime, f"{name} out", outs, True, any_size) if outs else None
        call = self._send(name, self, given, wanted, render)
        for used in (given, wanted):
            if used is not None:
                self.runtime.forget(used.handle)
        return call, {key: tuple(values) for key, values in wanted.values.items()} if wanted else {}

    def create(self) -> None:
        self._must(K.kOfxActionCreateInstance)
        self.alive = True
        self.clip_preferences()

    def _must(self, name: str) -> None:
        status = self.action(name)
        if status not in (K.kOfxStatOK, K.kOfxStatReplyDefault):
            raise ActionFailed(name, status)

    def destroy(self) -> int:
        """Send DestroyInstance; every handle of the instance is dead from then on."""
        status = self.action(K.kOfxActionDestroyInstance)
        self.alive = False
        parts: list[Any] = [self, self.properties, self.params, self.params.properties]
        parts += [part for param in self.params.params.values() for part in (param, param.properties)]
        parts += [part for clip in self.clips.values() for part in (clip, clip.properties)]
        for part in parts:
            self.runtime.forget(part.handle)
        if self.params.edits_open:
            self.runtime.violate("edit-unbalanced", "paramEditBegin without paramEditEnd")
        return status

    def clip_preferences(self) -> Arguments:
        return queries.clip_preferences(self)

    def region_of_definition(self, time: float, scale: Scale = (1.0, 1.0)) -> Rect:
        return queries.region_of_definition(self, time, scale)

    def regions_of_interest(
        self, time: float, scale: Scale = (1.0, 1.0), region: Rect | None = None
    ) -> dict[str, Rect]:
        return queries.regions_of_interest(self, time, scale, region or self.region_of_definition(time, scale))

    def frames_needed(self, time: float) -> dict[str, list[tuple[float, float]]]:
        return queries.frames_needed(self, time)

    def time_domain(self) -> tuple[float, float] | None:
        return queries.time_domain(self)

    def is_identity(
        self, time: float, window: Window | None = None, scale: Scale = (1.0, 1.0)
    ) -> tuple[str, float] | None:
        render = prepare(self.clips["Output"], time, scale, self.default_region(time), window, None, None)
        return queries.is_identity(self, time, render.window, scale)

    def begin_edit(self) -> int:
        return self.action(K.kOfxActionBeginInstanceEdit)

    def end_edit(self) -> int:
        return self.action(K.kOfxActionEndInstanceEdit)

    def sync(self) -> int:
        return self.action(K.kOfxActionSyncPrivateData)

    def purge_caches(self) -> int:
        return self.action(K.kOfxActionPurgeCaches)

    # -- parameters

    def get(self, name: str, time: float | None = None) -> Any:
        values = self.params.params[name].at(self.now if time is None else time)
        return values[0] if len(values) == 1 else values

    def set(self, name: str, value: Any) -> int:
        """Change a parameter as a user does."""
        self.params.assign({name: value})
        return self.changed(name)

    def button(self, name: str) -> int:
        """Press a push button; the status of InstanceChanged."""
        return self.changed(name)

    def changed(self, name: str, reason: str = "") -> int:
        """Begin, InstanceChanged, End for a parameter or a clip of that name."""
        reason = reason or K.kOfxChangeUserEdited
        self.action(K.kOfxActionBeginInstanceChanged, {K.kOfxPropChangeReason: (reason,)})
        status = self._changed(K.kOfxTypeParameter if name in self.params.params else K.kOfxTypeClip, name, reason)
        self.action(K.kOfxActionEndInstanceChanged, {K.kOfxPropChangeReason: (reason,)})
        return status

    def _changed(self, type_: str, name: str, reason: str) -> int:
        ins: Arguments = {
            K.kOfxPropType: (type_,),
            K.kOfxPropName: (name,),
            K.kOfxPropChangeReason: (reason,),
            K.kOfxPropTime: (self.now,),
            K.kOfxImageEffectPropRenderScale: (1.0, 1.0),
        }
        return self.action(K.kOfxActionInstanceChanged, ins)

    def connect(self, name: str, clip: Clip) -> int:
        """Connect another clip, as a user does; preferences are asked again."""
        self.clips[name].stated = clip
        self.clips[name].publish()
        status = self.changed(name)
        self.clip_preferences()
        return status

    # -- rendering

    def render(
        self, time: float, *, scale: Scale = (1.0, 1.0), window: Window | None = None, bounds: Window | None = None,
        abort: Abort | None = None, thumbnail: bool = False, interactive: bool = False, draft: bool = False,
        identity: bool = True, sequence: bool = True,
    ) -> Rendered:  # fmt: skip
        """Render one frame as a host does, with all that it asks first.

        `window` and `bounds` (the buffer) are pixel rectangles (x1, y1, x2, y2) at the scale, y up; None is the
        output's region. `identity=False` skips the question whether a render is needed; `sequence=False` the
        Begin- and EndSequenceRender around it.
        """
        self.now, time = float(time), float(time)
        for clip in self.clips.values():
            clip.publish(thumbnail)
        region = self.region_of_definition(time, scale)
        render = prepare(self.clips["Output"], time, scale, region, window, bounds, abort)
        self.regions_of_interest(time, scale, region)
        if K.kOfxImageEffectActionGetFramesNeeded not in self.runtime.variant.never_calls:
            render.frames_needed = self.frames_needed(time)
        same = queries.is_identity(self, time, render.window, scale) if identity else None
        if same is not None:
            return self._identical(render, same)
        flags = self._flags(render, thumbnail, interactive, draft)
        if sequence:
            self.sequence(K.kOfxImageEffectActionBeginSequenceRender, (time, time), scale, interactive)
        result = self._render(render, flags)
        if sequence:
            self.sequence(K.kOfxImageEffectActionEndSequenceRender, (time, time), scale, interactive)
        return result

    def _flags(self, render: Render, thumbnail: bool, interactive: bool, draft: bool) -> Arguments:
        return {
            K.kOfxPropTime: (render.time,),
            K.kOfxImageEffectPropFieldToRender: (K.kOfxImageFieldBoth,),
            K.kOfxImageEffectPropRenderWindow: render.window,
            K.kOfxImageEffectPropRenderScale: render.scale,
            K.kOfxImageEffectPropSequentialRenderStatus: (0,),
            K.kOfxImageEffectPropInteractiveRenderStatus: (int(interactive),),
            K.kOfxImageEffectPropRenderQualityDraft: (int(draft),),
            K.kOfxImageEffectPropThumbnailRender: (int(thumbnail),),
        }

    def _render(self, render: Render, flags: Arguments) -> Rendered:
        render.abort.begin()
        call, _ = self._dispatch(K.kOfxImageEffectActionRender, flags, {}, render)
        render.check_output()
        return finish(render, call)

    def _identical(self, render: Render, same: tuple[str, float]) -> Rendered:
        image = self.clips[same[0]].array(same[1], render.scale)
        if image is None:
            return Rendered(K.kOfxStatFailed, render.pixels(), render.window, same, [], [], [], render.abort, 0.0, None)
        return Rendered(K.kOfxStatOK, image, render.window, same, [], [], [], render.abort, 0.0, None)

    def sequence(
        self, action: str, span: tuple[float, float], scale: Scale = (1.0, 1.0), interactive: bool = False
    ) -> int:
        """Send BeginSequenceRender or EndSequenceRender."""
        ins: Arguments = {
            K.kOfxImageEffectPropFrameRange: span,
            K.kOfxImageEffectPropFrameStep: (1.0,),
            K.kOfxPropIsInteractive: (int(interactive),),
            K.kOfxImageEffectPropRenderScale: scale,
            K.kOfxImageEffectPropSequentialRenderStatus: (0,),
            K.kOfxImageEffectPropInteractiveRenderStatus: (int(interactive),),
        }
        return self.action(action, ins)

    def render_range(self, first: int, last: int, **options: Any) -> Iterator[Rendered]:
        """Render first..last in one sequence; a failed frame ends it unless the host ignores statuses."""
        span = (float(first), float(last))
        self.sequence(K.kOfxImageEffectActionBeginSequenceRender, span)
        for time in range(first, last + 1):
            result = self.render(time, sequence=False, **options)
            yield result
            if not result.ok and not self.runtime.variant.ignores_status:
                break
        self.sequence(K.kOfxImageEffectActionEndSequenceRender, span)
