"""Which properties each OpenFX object carries: `name type[size][=default]`, one a line, after the standard's tables.

Types are i (int), d (double), s (string), p (pointer); the size is 1 when left out and any number when `*`.
"""

from __future__ import annotations

from dataclasses import dataclass

Value = int | float | str | None

_ZERO: dict[str, Value] = {"i": 0, "d": 0.0, "s": "", "p": None}


@dataclass(frozen=True)
class Spec:
    """One property's type letter, size (0: any) and default values."""

    type: str
    size: int
    default: tuple[Value, ...]


def _value(kind: str, text: str) -> Value:
    return int(text) if kind == "i" else float(text) if kind == "d" else text


def parse_spec(text: str) -> Spec:
    """`i2` or `d=1` or `s*`: see the module's docstring."""
    declared, _, default = text.partition("=")
    kind, size = declared[0], 0 if declared[1:] == "*" else int(declared[1:] or 1)
    value = _value(kind, default) if default else _ZERO[kind]
    return Spec(kind, size, (value,) * size)


def schema(table: str, *bases: dict[str, Spec]) -> dict[str, Spec]:
    own = {name: parse_spec(spec) for name, spec in (line.split() for line in table.strip().splitlines())}
    return {name: spec for part in (*bases, own) for name, spec in part.items()}


_NAMES = schema("""
OfxPropType s
OfxPropName s
OfxPropLabel s
OfxPropShortLabel s
OfxPropLongLabel s
""")

HOST = schema(
    """
OfxPropVersion i*
OfxPropVersionLabel s
OfxPropAPIVersion i2
OfxPropHostOSHandle p
OfxImageEffectHostPropIsBackground i
OfxImageEffectHostPropNativeOrigin s=kOfxImageEffectHostPropNativeOriginBottomLeft
OfxImageEffectInstancePropSequentialRender i
OfxImageEffectPropMultipleClipDepths i
OfxImageEffectPropSetableFielding i
OfxImageEffectPropSetableFrameRate i
OfxImageEffectPropSupportedComponents s*
OfxImageEffectPropSupportedContexts s*
OfxImageEffectPropSupportedPixelDepths s*
OfxImageEffectPropSupportsMultiResolution i
OfxImageEffectPropSupportsMultipleClipPARs i
OfxImageEffectPropSupportsOverlays i
OfxImageEffectPropSupportsTiles i
OfxImageEffectPropTemporalClipAccess i
OfxParamHostPropMaxPages i
OfxParamHostPropMaxParameters i=-1
OfxParamHostPropPageRowColumnCount i2
OfxParamHostPropSupportsBooleanAnimation i
OfxParamHostPropSupportsChoiceAnimation i
OfxParamHostPropSupportsCustomAnimation i
OfxParamHostPropSupportsCustomInteract i
OfxParamHostPropSupportsStrChoice i
OfxParamHostPropSupportsStrChoiceAnimation i
OfxParamHostPropSupportsStringAnimation i
""",
    _NAMES,
)

EFFECT_DESCRIPTOR = schema(
    """
OfxPropIcon s2
OfxPropPluginDescription s
OfxPropVersion i*
OfxPropVersionLabel s
OfxPluginPropFilePath s
OfxImageEffectPluginPropFieldRenderTwiceAlways i=1
OfxImageEffectPluginPropGrouping s
OfxImageEffectPluginPropHostFrameThreading i
OfxImageEffectPluginPropObsolete i
OfxImageEffectPluginPropOverlayInteractV1 p
OfxImageEffectPluginPropOverlayInteractV2 p
OfxImageEffectPluginPropSingleInstance i
OfxImageEffectPluginRenderThreadSafety s=OfxImageEffectRenderInstanceSafe
OfxImageEffectPropCPURenderSupported s=true
OfxImageEffectPropClipPreferencesSlaveParam s*
OfxImageEffectPropContext s
OfxImageEffectPropCudaRenderSupported s=false
OfxImageEffectPropMetalRenderSupported s=false
OfxImageEffectPropMultipleClipDepths i
OfxImageEffectPropNoSpatialAwareness s=false
OfxImageEffectPropOpenCLRenderSupported s=false
OfxImageEffectPropOpenGLRenderSupported s=false
OfxImageEffectPropSupportedContexts s*
OfxImageEffectPropSupportedPixelDepths s*
OfxImageEffectPropSupportsMultiResolution i=1
OfxImageEffectPropSupportsMultipleClipPARs i
OfxImageEffectPropSupportsOverlays i
OfxImageEffectPropSupportsTiles i=1
OfxImageEffectPropTemporalClipAccess i
""",
    _NAMES,
)

EFFECT_INSTANCE = schema("""
OfxPropType s=OfxTypeImageEffectInstance
OfxPropLabel s
OfxPropInstanceData p
OfxPropIsInteractive i
OfxImageEffectPropPluginHandle p
OfxImageEffectPropContext s
OfxImageEffectPropSupportsTiles i=1
OfxImageEffectInstancePropSequentialRender i
OfxImageEffectPropFrameRate d=24
""")
EFFECT_INSTANCE_WRITABLE = frozenset(
    {"OfxPropInstanceData", "OfxImageEffectPropSupportsTiles", "OfxImageEffectInstancePropSequentialRender"}
)

PROJECT = schema("""
OfxImageEffectPropProjectSize d2
OfxImageEffectPropProjectOffset d2
OfxImageEffectPropProjectExtent d2
OfxImageEffectPropPixelAspectRatio d=1
OfxImageEffectInstancePropEffectDuration d
""")

CLIP_DESCRIPTOR = schema(
    """
OfxImageEffectPropSupportedComponents s*
OfxImageEffectPropTemporalClipAccess i
OfxImageClipPropOptional i
OfxImageClipPropIsMask i
OfxImageClipPropFieldExtraction s=OfxFieldDoubled
OfxImageEffectPropSupportsTiles i=1
""",
    _NAMES,
)

CLIP_INSTANCE = schema(
    """
OfxImageEffectPropPixelDepth s
OfxImageEffectPropComponents s
OfxImageClipPropUnmappedPixelDepth s
OfxImageClipPropUnmappedComponents s
OfxImageEffectPropPreMultiplication s
OfxImagePropPixelAspectRatio d=1
OfxImageEffectPropFrameRate d=24
OfxImageEffectPropUnmappedFrameRate d=24
OfxImageEffectPropFrameRange d2
OfxImageEffectPropUnmappedFrameRange d2
OfxImageClipPropFieldOrder s=OfxFieldNone
OfxImageClipPropConnected i
OfxImageClipPropContinuousSamples i
kOfxImageClipPropThumbnail i
""",
    CLIP_DESCRIPTOR,
)

IMAGE = schema("""
OfxPropType s=OfxTypeImage
OfxImageEffectPropPixelDepth s
OfxImageEffectPropComponents s
OfxImageEffectPropPreMultiplication s
OfxImageEffectPropRenderScale d2
OfxImagePropPixelAspectRatio d=1
OfxImagePropData p
OfxImagePropBounds i4
OfxImagePropRegionOfDefinition i4
OfxImagePropRowBytes i
OfxImagePropField s=OfxFieldNone
OfxImagePropUniqueIdentifier s
""")

PARAM_SET = schema("""
OfxPropParamSetNeedsSyncing i
OfxPluginPropParamPageOrder s*
""")

_PARAM = schema(
    """
OfxPropIcon s2
OfxParamPropType s
OfxParamPropSecret i
OfxParamPropHint s
OfxParamPropScriptName s
OfxParamPropParent s
OfxParamPropEnabled i=1
OfxParamPropDataPtr p
""",
    _NAMES,
)

_VALUED = schema(
    """
OfxParamPropAnimates i=1
OfxParamPropIsAnimating i
OfxParamPropIsAutoKeying i
OfxParamPropPersistant i=1
OfxParamPropEvaluateOnChange i=1
OfxParamPropPluginMayWrite i
OfxParamPropCacheInvalidation s=OfxParamInvalidateValueChange
OfxParamPropCanUndo i=1
OfxParamPropInteractV1 p
""",
    _PARAM,
)


def _numeric(kind: str, size: int) -> dict[str, Spec]:
    low, high = ("-2147483648", "2147483647") if kind == "i" else ("-1.7e308", "1.7e308")
    bounds = {"Min": low, "Max": high, "DisplayMin": low, "DisplayMax": high}
    lines = [f"OfxParamProp{name} {kind}{size}={value}" for name, value in bounds.items()]
    lines += [f"OfxParamPropDefault {kind}{size}", f"OfxParamPropDimensionLabel s{size}"]
    if kind == "d":
        lines += ["OfxParamPropIncrement d=1", "OfxParamPropDigits i=2", "OfxParamPropShowTimeMarker i"]
        lines += ["OfxParamPropDoubleType s=OfxParamDoubleTypePlain"]
        lines += ["OfxParamPropDefaultCoordinateSystem s=OfxParamCoordinatesCanonical"]
    return schema("\n".join(lines), _VALUED)


PARAMS: dict[str, dict[str, Spec]] = {
    "OfxParamTypeInteger": _numeric("i", 1),
    "OfxParamTypeInteger2D": _numeric("i", 2),
    "OfxParamTypeInteger3D": _numeric("i", 3),
    "OfxParamTypeDouble": _numeric("d", 1),
    "OfxParamTypeDouble2D": _numeric("d", 2),
    "OfxParamTypeDouble3D": _numeric("d", 3),
    "OfxParamTypeRGB": _numeric("d", 3),
    "OfxParamTypeRGBA": _numeric("d", 4),
    "OfxParamTypeBoolean": schema("OfxParamPropDefault i", _VALUED),
    "OfxParamTypeChoice": schema(
        "OfxParamPropDefault i\nOfxParamPropChoiceOption s*\nOfxParamPropChoiceOrder i*", _VALUED
    ),
    "OfxParamTypeStrChoice": schema(
        "OfxParamPropDefault s\nOfxParamPropChoiceOption s*\nOfxParamPropChoiceEnum s*", _VALUED
    ),
    "OfxParamTypeString": schema(
        "OfxParamPropDefault s\nOfxParamPropStringMode s=OfxParamStringIsSingleLine\n"
        "OfxParamPropStringFilePathExists i=1",
        _VALUED,
    ),
    "OfxParamTypeCustom": schema("OfxParamPropDefault s\nOfxParamPropCustomCallbackV1 p", _VALUED),
    "OfxParamTypePushButton": schema("OfxParamPropInteractV1 p", _PARAM),
    "OfxParamTypeGroup": schema("OfxParamPropGroupOpen i=1", _PARAM),
    "OfxParamTypePage": schema("OfxParamPropPageChild s*", _PARAM),
}

# What the standard lets a plugin change on a parameter that lives in an instance.
PARAM_INSTANCE_WRITABLE = frozenset(
    [
        "OfxPropLabel",
        "OfxPropShortLabel",
        "OfxPropLongLabel",
        "OfxParamPropSecret",
        "OfxParamPropHint",
        "OfxParamPropEnabled",
        "OfxParamPropDataPtr",
        "OfxParamPropMin",
        "OfxParamPropMax",
        "OfxParamPropDisplayMin",
        "OfxParamPropDisplayMax",
        "OfxParamPropIncrement",
        "OfxParamPropDigits",
        "OfxParamPropChoiceOption",
        "OfxParamPropChoiceOrder",
        "OfxParamPropChoiceEnum",
        "OfxParamPropEvaluateOnChange",
        "OfxParamPropGroupOpen",
        "OfxParamPropDimensionLabel",
    ]
)
