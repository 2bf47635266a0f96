"""A description as tests read it, and the rules that it must keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .api import K
from .descriptor import Descriptor
from .params import Param
from .variants import COMPONENTS, CONTEXTS, DEPTHS

_SAFETY = {
    K.kOfxImageEffectRenderUnsafe: "unsafe",
    K.kOfxImageEffectRenderInstanceSafe: "instance-safe",
    K.kOfxImageEffectRenderFullySafe: "fully-safe",
}


@dataclass(frozen=True)
class ParamDescription:
    """One parameter. `type` is the standard's without its prefix (Double, Choice, PushButton, ...); values of more
    than one dimension are tuples; bounds are None where the type has none. `set_by_plugin`: the properties it set.
    """

    name: str
    type: str
    label: str
    hint: str
    parent: str
    default: Any
    min: Any
    max: Any
    display_min: Any
    display_max: Any
    options: tuple[str, ...]
    secret: bool
    enabled: bool
    animates: bool
    persistent: bool
    evaluate_on_change: bool
    string_mode: str
    children: tuple[str, ...]
    set_by_plugin: frozenset[str]


@dataclass(frozen=True)
class ClipDescription:
    name: str
    label: str
    components: tuple[str, ...]
    optional: bool
    is_mask: bool
    temporal: bool
    tiles: bool


@dataclass(frozen=True)
class Description:
    """An effect in a context. `properties` holds every property by its standard name."""

    id: str
    version: tuple[int, int]
    context: str
    label: str
    grouping: str
    contexts: tuple[str, ...]
    depths: tuple[str, ...]
    thread_safety: str
    tiles: bool
    multi_resolution: bool
    multiple_depths: bool
    temporal: bool
    host_frame_threading: bool
    params: dict[str, ParamDescription]
    clips: dict[str, ClipDescription]
    properties: dict[str, list[Any]]


def describe(effect: Descriptor, version: tuple[int, int]) -> Description:
    get, values = effect.properties.get, effect.properties.values
    return Description(
        id=effect.plugin_id,
        version=version,
        context=str(effect.context),
        label=get(K.kOfxPropLabel),
        grouping=get(K.kOfxImageEffectPluginPropGrouping),
        contexts=_short(CONTEXTS, values[K.kOfxImageEffectPropSupportedContexts]),
        depths=_short(DEPTHS, values[K.kOfxImageEffectPropSupportedPixelDepths]),
        thread_safety=_SAFETY.get(get(K.kOfxImageEffectPluginRenderThreadSafety), "invalid"),
        tiles=bool(get(K.kOfxImageEffectPropSupportsTiles)),
        multi_resolution=bool(get(K.kOfxImageEffectPropSupportsMultiResolution)),
        multiple_depths=bool(get(K.kOfxImageEffectPropSupportsMultipleClipDepths)),
        temporal=bool(get(K.kOfxImageEffectPropTemporalClipAccess)),
        host_frame_threading=bool(get(K.kOfxImageEffectPluginPropHostFrameThreading)),
        params={name: _param(param) for name, param in effect.params.params.items()},
        clips={name: _clip(clip) for name, clip in effect.clips.items()},
        properties=dict(values),
    )


def _short(table: dict[str, str], names: list[Any]) -> tuple[str, ...]:
    return tuple(next((short for short, long in table.items() if long == name), str(name)) for name in names)


def _clip(clip: Any) -> ClipDescription:
    get = clip.properties.get
    return ClipDescription(
        name=clip.name,
        label=get(K.kOfxPropLabel),
        components=_short(COMPONENTS, clip.properties.values[K.kOfxImageEffectPropSupportedComponents]),
        optional=bool(get(K.kOfxImageClipPropOptional)),
        is_mask=bool(get(K.kOfxImageClipPropIsMask)),
        temporal=bool(get(K.kOfxImageEffectPropTemporalClipAccess)),
        tiles=bool(get(K.kOfxImageEffectPropSupportsTiles)),
    )


def _param(param: Param) -> ParamDescription:
    held = param.properties.values

    def value(name: str, default: Any = None) -> Any:
        values = held.get(name)
        return default if not values else values[0] if len(values) == 1 else tuple(values)

    return ParamDescription(
        name=param.name,
        type=param.type.removeprefix("OfxParamType"),
        label=value(K.kOfxPropLabel),
        hint=value(K.kOfxParamPropHint),
        parent=value(K.kOfxParamPropParent),
        default=value(K.kOfxParamPropDefault),
        min=value(K.kOfxParamPropMin),
        max=value(K.kOfxParamPropMax),
        display_min=value(K.kOfxParamPropDisplayMin),
        display_max=value(K.kOfxParamPropDisplayMax),
        options=tuple(str(option) for option in held.get(K.kOfxParamPropChoiceOption, [])),
        secret=bool(value(K.kOfxParamPropSecret)),
        enabled=bool(value(K.kOfxParamPropEnabled)),
        animates=bool(value(K.kOfxParamPropAnimates, 0)),
        persistent=bool(value(K.kOfxParamPropPersistant, 0)),
        evaluate_on_change=bool(value(K.kOfxParamPropEvaluateOnChange, 0)),
        string_mode=value(K.kOfxParamPropStringMode, "").removeprefix("OfxParamString"),
        children=tuple(str(child) for child in held.get(K.kOfxParamPropPageChild, [])),
        set_by_plugin=frozenset(param.properties.set_by_plugin),
    )


def faults(effect: Description) -> Iterator[str]:
    """What the standard, or a host that we know, would not put up with."""
    if not effect.depths:
        yield "no pixel depth is supported"
    if effect.thread_safety == "invalid":
        yield "the render thread safety is no value of the standard"
    if effect.context not in effect.contexts:
        yield f"described in {effect.context}, which is not among its contexts"
    for name in ("Output",) if effect.context in ("general", "generator") else ("Source", "Output"):
        if name not in effect.clips:
            yield f"no clip {name}"
    yield from (f"clip {clip.name} has no components" for clip in effect.clips.values() if not clip.components)
    for param in effect.params.values():
        yield from _param_faults(param, effect.params)


def _param_faults(param: ParamDescription, params: dict[str, ParamDescription]) -> Iterator[str]:
    parent = params.get(param.parent)
    if param.parent and (parent is None or parent.type != "Group"):
        yield f"{param.name}: parent {param.parent} is no group"
    yield from (f"{param.name}: page child {child} is no parameter" for child in param.children
                if child not in params and not child.startswith("OfxParamPageSkip"))  # fmt: skip
    if param.type == "Choice" and not 0 <= param.default < len(param.options):
        yield f"{param.name}: default {param.default} of {len(param.options)} options"
    if param.type == "Boolean" and param.default not in (0, 1):
        yield f"{param.name}: default {param.default} is no boolean"
    if param.type in ("Integer", "Double"):
        if not param.min <= param.default <= param.max:
            yield f"{param.name}: default {param.default} outside {param.min}..{param.max}"
        if not param.min <= param.display_min < param.display_max <= param.max:
            yield f"{param.name}: display range {param.display_min}..{param.display_max} outside its range"
