"""The actions by which a host asks an instance about itself: preferences, regions, frames, time domain, identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .api import K
from .clips import PREMULTIPLICATIONS, Rect
from .schema import Value
from .variants import COMPONENTS, DEPTHS

if TYPE_CHECKING:
    from .instance import Instance

Arguments = dict[str, tuple[Value, ...]]
Scale = tuple[float, float]


def _short(table: dict[str, str], name: str) -> str | None:
    return next((short for short, long in table.items() if long == name), None)


def clip_preferences(instance: Instance) -> Arguments:
    """Send GetClipPreferences and settle depth, components and premultiplication of every clip."""
    outs: Arguments = {}
    for name, clip in instance.clips.items():
        outs[f"OfxImageClipPropComponents_{name}"] = (COMPONENTS[clip.components],)
        outs[f"OfxImageClipPropDepth_{name}"] = (DEPTHS[clip.depth],)
        outs[f"OfxImageClipPropPAR_{name}"] = (clip.stated.pixel_aspect,)
    output = instance.clips["Output"]
    outs |= {
        K.kOfxImageEffectPropFrameRate: (output.stated.frame_rate,),
        K.kOfxImageEffectPropPreMultiplication: (PREMULTIPLICATIONS[output.premultiplication],),
        K.kOfxImageClipPropFieldOrder: (K.kOfxImageFieldNone,),
        K.kOfxImageClipPropContinuousSamples: (0,),
        K.kOfxImageEffectFrameVarying: (0,),
    }
    status, answer = instance.ask(K.kOfxImageEffectActionGetClipPreferences, {}, outs)
    if status == K.kOfxStatOK:
        _settle(instance, answer)
    return answer


def _settle(instance: Instance, answer: Arguments) -> None:
    runtime = instance.runtime
    mixed = runtime.variant.multiple_depths and instance.descriptor.properties.get(
        K.kOfxImageEffectPropSupportsMultipleClipDepths
    )
    for name, clip in instance.clips.items():
        components = _short(COMPONENTS, str(answer[f"OfxImageClipPropComponents_{name}"][0]))
        depth = _short(DEPTHS, str(answer[f"OfxImageClipPropDepth_{name}"][0]))
        if components not in clip.descriptor.components or depth is None:
            runtime.violate("bad-preference", f"{name}: {components} {depth}")
        elif depth != clip.depth and not mixed:
            runtime.violate("bad-preference", f"{name}: depth {depth}, but clip depths may not differ")
        else:
            clip.components, clip.depth = components, depth
    output, wanted = instance.clips["Output"], answer[K.kOfxImageEffectPropPreMultiplication][0]
    output.premultiplication = _short(PREMULTIPLICATIONS, str(wanted)) or output.premultiplication
    for clip in instance.clips.values():
        clip.publish()


def region_of_definition(instance: Instance, time: float, scale: Scale) -> Rect:
    """The output's region, canonical; the default is that of the Source clip."""
    default = instance.default_region(time)
    key = K.kOfxImageEffectPropRegionOfDefinition
    ins: Arguments = {K.kOfxPropTime: (float(time),), K.kOfxImageEffectPropRenderScale: scale}
    status, answer = instance.ask(K.kOfxImageEffectActionGetRegionOfDefinition, ins, {key: default})
    return tuple(answer[key]) if status == K.kOfxStatOK else default  # type: ignore[return-value]


def regions_of_interest(instance: Instance, time: float, scale: Scale, region: Rect) -> dict[str, Rect]:
    """What the plugin needs of each input clip to make `region`."""
    ins: Arguments = {
        K.kOfxPropTime: (float(time),),
        K.kOfxImageEffectPropRenderScale: scale,
        K.kOfxImageEffectPropRegionOfInterest: region,
    }
    outs: Arguments = {f"OfxImageClipPropRoI_{name}": region for name in instance.inputs()}
    _, answer = instance.ask(K.kOfxImageEffectActionGetRegionsOfInterest, ins, outs)
    return {name: tuple(answer[f"OfxImageClipPropRoI_{name}"]) for name in instance.inputs()}  # type: ignore[misc]


def frames_needed(instance: Instance, time: float) -> dict[str, list[tuple[float, float]]]:
    """Ranges of frames that each input clip must have ready for the render at `time`."""
    prefix = "OfxImageClipPropFrameRange_"
    outs: Arguments = {prefix + name: (float(time), float(time)) for name in instance.inputs()}
    action = K.kOfxImageEffectActionGetFramesNeeded
    _, answer = instance.ask(action, {K.kOfxPropTime: (float(time),)}, outs, any_size=True)
    ranges: dict[str, list[tuple[float, float]]] = {}
    for name in instance.inputs():
        flat = [float(value or 0) for value in answer[prefix + name]]
        if len(flat) % 2 or any(a > b for a, b in zip(flat[::2], flat[1::2], strict=False)):
            instance.runtime.violate("bad-frame-range", f"{name}: {flat}")
        ranges[name] = list(zip(flat[::2], flat[1::2], strict=False))
    return ranges


def time_domain(instance: Instance) -> tuple[float, float] | None:
    """The range the effect covers, or None where it leaves that to the host."""
    key = K.kOfxImageEffectPropFrameRange
    status, answer = instance.ask(K.kOfxImageEffectActionGetTimeDomain, {}, {key: instance.time_bounds()})
    return tuple(answer[key]) if status == K.kOfxStatOK else None  # type: ignore[return-value]


def is_identity(instance: Instance, time: float, window: tuple[int, ...], scale: Scale) -> tuple[str, float] | None:
    """The (clip, time) that equals the output, or None where a render is needed."""
    ins: Arguments = {
        K.kOfxPropTime: (float(time),),
        K.kOfxImageEffectPropFieldToRender: (K.kOfxImageFieldBoth,),
        K.kOfxImageEffectPropRenderWindow: window,
        K.kOfxImageEffectPropRenderScale: scale,
    }
    outs: Arguments = {K.kOfxPropName: ("",), K.kOfxPropTime: (float(time),)}
    status, answer = instance.ask(K.kOfxImageEffectActionIsIdentity, ins, outs)
    if status != K.kOfxStatOK:
        return None
    name = str(answer[K.kOfxPropName][0])
    if name not in instance.clips:
        instance.runtime.violate("bad-identity", f"clip {name!r}")
        return None
    return name, float(answer[K.kOfxPropTime][0] or 0)
