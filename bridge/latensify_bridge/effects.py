"""The effects and their parameters, declared once.

The panel in the host, the checks on the wire, the command line and docs/effects.md all come from here
(`python -m latensify_bridge.generate`). A field's `Meta` holds its hard range (ge, le), label (title) and help
(description); `extra` holds its slider range and its group in the panel. Fields of `Edit` travel to the server and
decide the result; fields of `Panel` stay beside the plate.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from latensify_bridge.choices import (
    Aspect,
    Background,
    CameraMove,
    Choice,
    ColourSpace,
    Fill,
    Instruction,
    Look,
    MaskChannel,
    MaskSource,
    Motion,
    NewObject,
    Output,
    Precision,
    Preset,
    Quality,
    Scene,
)
from latensify_bridge.errors import BadParameter, UnknownEffect

Text = Annotated[str, Meta(max_length=4000)]


def _told(preset: Preset, prompt: str) -> str:
    return ", ".join(part for part in (preset.prompt, prompt.strip()) if part)


def _extra(group: str, slider: tuple[float, float] | None = None, **more: Any) -> dict[str, Any]:
    return {"group": group, **({"slider": slider} if slider else {}), **more}


class Edit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every effect's request holds. A result depends on these fields, the frames and the model alone."""

    clips: ClassVar[tuple[str, ...]] = ("Source", "Mask")
    mask_default: ClassVar[MaskSource] = MaskSource.NONE
    needs_prompt: ClassVar[bool] = False  # with no text, or at strength 0, nothing would change
    needs_mask: ClassVar[bool] = False
    generator: ClassVar[bool] = False  # works without a Source; then `use_source` travels as off
    grows: ClassVar[bool] = False  # the output is larger than the source, by `left`, `right`, `top`, `bottom`
    fits: ClassVar[bool] = False  # a model can be fitted to its shot; then `fill` has the choice `fitted`

    negative_prompt: Annotated[
        Text, Meta(title="Negative prompt", description="What should not appear.", extra=_extra("Edit"))
    ] = ""
    guidance_scale: Annotated[
        float,
        Meta(
            ge=0,
            le=30,
            title="Guidance scale",
            description="How closely the model follows the prompt. 1 is no guidance.",
            extra=_extra("Edit", (1, 12)),
        ),
    ] = 2.0
    num_inference_steps: Annotated[
        int,
        Meta(
            ge=1,
            le=200,
            title="Inference steps",
            description="Denoising steps. More is slower and finer. Draft quality uses half of them.",
            extra=_extra("Edit", (4, 50)),
        ),
    ] = 10
    seed: Annotated[
        int,
        Meta(
            ge=0,
            le=2**31 - 1,
            title="Seed",
            description="Another seed gives another result; the same seed gives the same pixels.",
            extra=_extra("Edit", (0, 1000)),
        ),
    ] = 0
    mask_grow: Annotated[
        float,
        Meta(
            ge=-500,
            le=500,
            title="Mask grow",
            description="Grows the matte by so many pixels at full resolution; negative shrinks it.",
            extra=_extra("Matte", (-50, 50)),
        ),
    ] = 0.0
    mask_feather: Annotated[
        float,
        Meta(
            ge=0,
            le=500,
            title="Mask feather",
            description="Softens the matte's edge outwards over so many pixels at full resolution.",
            extra=_extra("Matte", (0, 50)),
        ),
    ] = 4.0
    colour_space: Annotated[
        ColourSpace,
        Meta(
            title="Colour space",
            description="The colour space of the frames that the host hands over. Auto: linear Rec.709 for Nuke, "
            "Natron and EXR files, Rec.709 for Resolve and movies, else sRGB.",
            extra=_extra("Pixels"),
        ),
    ] = ColourSpace.AUTO
    detail: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            title="Detail",
            description="How much of the plate's own fine detail and highlight range is kept under the edit. "
            "0 shows the model's own pixels.",
            extra=_extra("Pixels", (0, 1)),
        ),
    ] = 0.8
    model: Annotated[
        str,
        Meta(
            max_length=200,
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
            title="Model",
            description="The model by its name in `latensify doctor`; auto picks the best installed one.",
            extra=_extra("Model"),
        ),
    ] = "auto"
    quality: Annotated[
        Quality,
        Meta(
            title="Quality",
            description="Draft is quick, for scrubbing: fewer steps and a smaller model image.",
            extra=_extra("Model"),
        ),
    ] = Quality.FINAL
    precision: Annotated[
        Precision,
        Meta(
            title="Precision",
            description="Number format of the model. Auto: bfloat16 on a GPU, 32-bit float on a CPU.",
            extra=_extra("Model"),
        ),
    ] = Precision.AUTO
    window: Annotated[
        int,
        Meta(
            ge=1,
            le=256,
            title="Window",
            description="Frames that are edited together. Hosts that give one frame at a time use 1.",
            extra=_extra("Frames", (1, 64)),
        ),
    ] = 16
    overlap: Annotated[
        int,
        Meta(
            ge=0,
            le=128,
            title="Overlap",
            description="Frames shared by neighbouring windows and blended; at most half the window.",
            extra=_extra("Frames", (0, 32)),
        ),
    ] = 4

    def __post_init__(self) -> None:
        if 2 * self.overlap > self.window:
            raise ValueError(
                f"overlap {self.overlap} is more than half of window {self.window}; use {self.window // 2} or less"
            )


class Restyle(Edit, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes the look of the shot by prompt: season, weather, time of day, grade, medium."""

    needs_prompt: ClassVar[bool] = True

    preset: Annotated[
        Look,
        Meta(
            title="Look",
            description="A ready look; with 'Use the prompt' the prompt below decides alone.",
            extra=_extra("Edit", first=True),
        ),
    ] = Look.PROMPT
    prompt: Annotated[
        Text,
        Meta(
            title="Prompt",
            description="What the shot should look like. Added to the look when one is chosen.",
            extra=_extra("Edit", first=True),
        ),
    ] = ""
    strength: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            title="Strength",
            description="How far the edit may go from the source: how much noise is added before denoising.",
            extra=_extra("Edit", (0, 1), first=True),
        ),
    ] = 0.8

    def text(self) -> str:
        """The prompt that the model is told."""
        return _told(self.preset, self.prompt)


class Remove(Edit, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Takes what the matte covers out of the shot: shows what other frames see behind it, and invents only the rest."""

    mask_default: ClassVar[MaskSource] = MaskSource.CLIP
    needs_mask: ClassVar[bool] = True
    fits: ClassVar[bool] = True

    preset: Annotated[
        Background,
        Meta(
            title="Background",
            description="What to paint where no frame shows what is behind.",
            extra=_extra("Edit", first=True),
        ),
    ] = Background.SURROUNDINGS
    prompt: Annotated[
        Text,
        Meta(
            title="Prompt",
            description="What is behind the object. Added to the background when one is chosen.",
            extra=_extra("Edit", first=True),
        ),
    ] = ""
    strength: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            title="Strength",
            description="How freely the model paints what no frame shows; 0 leaves the classical fill.",
            extra=_extra("Edit", (0, 1), first=True),
        ),
    ] = 0.7
    propagate: Annotated[
        bool,
        Meta(
            title="Use other frames",
            description="Brings in what other frames of the window show behind the object.",
            extra=_extra("Edit", first=True),
        ),
    ] = True
    motion: Annotated[
        Motion,
        Meta(
            title="Background motion",
            description="How the background moves between frames.",
            extra=_extra("Edit", first=True),
        ),
    ] = Motion.HOMOGRAPHY
    fill: Annotated[
        Fill,
        Meta(
            title="Unseen pixels",
            description="What fills the pixels that no frame shows.",
            extra=_extra("Edit", first=True),
        ),
    ] = Fill.DIFFUSION
    shadows: Annotated[
        bool,
        Meta(
            title="Shadows and reflections",
            description="Grows the matte by what changes near the object and moves with it. Needs other frames.",
            extra=_extra("Matte"),
        ),
    ] = False
    grain: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            title="Grain",
            description="How much of the plate's grain is put on what is filled in; 1 matches the plate.",
            extra=_extra("Pixels", (0, 1)),
        ),
    ] = 1.0
    output: Annotated[
        Output,
        Meta(
            title="Output",
            description="The result, or where its pixels come from: green is shown by other frames, "
            "red is invented, blue is invented as moving texture, the rest is the plate.",
            extra=_extra("Pixels"),
        ),
    ] = Output.RESULT

    def text(self) -> str:
        """The prompt that the model is told."""
        return _told(self.preset, self.prompt)


class Instruct(Edit, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Edits the shot by an instruction, such as "make it night" or "turn the car red"; no matte is needed."""

    needs_prompt: ClassVar[bool] = True

    preset: Annotated[
        Instruction,
        Meta(
            title="Instruction",
            description="A ready instruction; with 'Use the prompt' the prompt below decides alone.",
            extra=_extra("Edit", first=True),
        ),
    ] = Instruction.PROMPT
    prompt: Annotated[
        Text,
        Meta(
            title="Prompt",
            description="What to do, as one would say it. Added to the instruction when one is chosen.",
            extra=_extra("Edit", first=True),
        ),
    ] = ""
    strength: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            title="Strength",
            description="How much noise the edit starts from; 1 is noise alone, and the source is only looked at.",
            extra=_extra("Edit", (0, 1), first=True),
        ),
    ] = 1.0
    image_guidance_scale: Annotated[
        float,
        Meta(
            ge=1,
            le=10,
            title="Image guidance",
            description="How closely the source is kept. Above 1 each step takes half as long again.",
            extra=_extra("Edit", (1, 3), first=True),
        ),
    ] = 1.0

    def text(self) -> str:
        """The instruction that the model is told."""
        return _told(self.preset, self.prompt)


class Replace(Edit, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Puts a new object where the matte is, or changes the one there, by prompt."""

    mask_default: ClassVar[MaskSource] = MaskSource.CLIP
    needs_prompt: ClassVar[bool] = True
    needs_mask: ClassVar[bool] = True

    preset: Annotated[
        NewObject,
        Meta(
            title="Object",
            description="A ready object; with 'Use the prompt' the prompt below decides alone.",
            extra=_extra("Edit", first=True),
        ),
    ] = NewObject.PROMPT
    prompt: Annotated[
        Text,
        Meta(
            title="Prompt",
            description="What to show inside the matte. Added to the object when one is chosen.",
            extra=_extra("Edit", first=True),
        ),
    ] = ""
    strength: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            title="Strength",
            description="How much of what was there is given up; below 1 its light and its colours shine through.",
            extra=_extra("Edit", (0, 1), first=True),
        ),
    ] = 1.0
    detail: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            title="Detail",
            description="How much of the plate's own fine detail is kept under the edit, as for a change of colour. "
            "0 shows the model's own pixels.",
            extra=_extra("Pixels", (0, 1)),
        ),
    ] = 0.0
    grain: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            title="Grain",
            description="How much of the plate's grain is put on the new object; 1 matches the plate.",
            extra=_extra("Pixels", (0, 1)),
        ),
    ] = 1.0

    def text(self) -> str:
        """The prompt that the model is told."""
        return _told(self.preset, self.prompt)


class Generate(Edit, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Makes a shot from text: a picture, and a camera move over it. A Source, where there is one, guides it."""

    clips: ClassVar[tuple[str, ...]] = ("Source",)
    needs_prompt: ClassVar[bool] = True
    generator: ClassVar[bool] = True

    preset: Annotated[
        Scene,
        Meta(
            title="Scene",
            description="A ready scene; with 'Use the prompt' the prompt below decides alone.",
            extra=_extra("Edit", first=True),
        ),
    ] = Scene.PROMPT
    prompt: Annotated[
        Text,
        Meta(
            title="Prompt",
            description="What the shot shows. Added to the scene when one is chosen.",
            extra=_extra("Edit", first=True),
        ),
    ] = ""
    camera_move: Annotated[
        CameraMove,
        Meta(
            title="Camera move",
            description="How the camera moves over the picture, which itself stands still. Not used with a Source.",
            extra=_extra("Edit", first=True),
        ),
    ] = CameraMove.STILL
    move_amount: Annotated[
        float,
        Meta(
            ge=0,
            le=2,
            title="Move amount",
            description="How far the camera moves in all, as a part of the frame.",
            extra=_extra("Edit", (0, 1), first=True),
        ),
    ] = 0.25
    first_frame: Annotated[
        int,
        Meta(
            ge=-(10**7),
            le=10**7,
            title="Move from frame",
            description="Frame at which the move begins. From 0 to 0 means the whole shot.",
            extra=_extra("Edit", (-1000, 1000), first=True),
        ),
    ] = 0
    last_frame: Annotated[
        int,
        Meta(
            ge=-(10**7),
            le=10**7,
            title="Move to frame",
            description="Frame at which the move ends.",
            extra=_extra("Edit", (-1000, 1000), first=True),
        ),
    ] = 0
    use_source: Annotated[
        bool,
        Meta(
            title="Use the source",
            description="Starts from the Source, where there is one; off makes the picture from the text alone.",
            extra=_extra("Edit", first=True),
        ),
    ] = True
    strength: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            title="Strength",
            description="With a Source: how far the picture may go from it.",
            extra=_extra("Edit", (0, 1), first=True),
        ),
    ] = 0.8
    detail: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            title="Detail",
            description="With a Source: how much of its own fine detail and highlight range is kept. "
            "0 shows the model's own pixels.",
            extra=_extra("Pixels", (0, 1)),
        ),
    ] = 0.0

    def text(self) -> str:
        """The prompt that the model is told."""
        return _told(self.preset, self.prompt)


def _margin(side: str) -> Meta:
    return Meta(
        ge=0,
        le=8192,
        title=f"Extend {side}",
        description=f"Pixels to paint beyond the {side} edge, at full resolution.",
        extra=_extra("Edit", (0, 1000), first=True),
    )


class Extend(Edit, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Paints beyond the frame's edges, for another aspect or a larger set: what other frames show there comes first.

    The source itself keeps every bit.
    """

    clips: ClassVar[tuple[str, ...]] = ("Source",)
    grows: ClassVar[bool] = True
    fits: ClassVar[bool] = True

    preset: Annotated[
        Background,
        Meta(
            title="Background",
            description="What to paint where no frame shows what lies beyond the edge.",
            extra=_extra("Edit", first=True),
        ),
    ] = Background.SURROUNDINGS
    prompt: Annotated[
        Text,
        Meta(
            title="Prompt",
            description="What lies beyond the edge. Added to the background when one is chosen.",
            extra=_extra("Edit", first=True),
        ),
    ] = ""
    aspect: Annotated[
        Aspect,
        Meta(
            title="Aspect",
            description="Widens or heightens the frame, alike on both sides, until it has this shape. "
            "The margins below are added before.",
            extra=_extra("Edit", first=True),
        ),
    ] = Aspect.NONE
    left: Annotated[int, _margin("left")] = 0
    right: Annotated[int, _margin("right")] = 0
    top: Annotated[int, _margin("top")] = 0
    bottom: Annotated[int, _margin("bottom")] = 0
    strength: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            title="Strength",
            description="How freely the model paints what no frame shows; 0 leaves the classical fill.",
            extra=_extra("Edit", (0, 1), first=True),
        ),
    ] = 0.7
    propagate: Annotated[
        bool,
        Meta(
            title="Use other frames",
            description="Brings in what other frames of the window show beyond the edge.",
            extra=_extra("Edit", first=True),
        ),
    ] = True
    motion: Annotated[
        Motion,
        Meta(
            title="Background motion",
            description="How the background moves between frames.",
            extra=_extra("Edit", first=True),
        ),
    ] = Motion.HOMOGRAPHY
    fill: Annotated[
        Fill,
        Meta(
            title="Unseen pixels",
            description="What fills the pixels that no frame shows.",
            extra=_extra("Edit", first=True),
        ),
    ] = Fill.DIFFUSION
    mask_grow: Annotated[
        float,
        Meta(
            ge=0,
            le=500,
            title="Overlap",
            description="Paints over so many pixels of the source's own edge too, as to be rid of a dark border.",
            extra=_extra("Matte", (0, 50)),
        ),
    ] = 0.0
    mask_feather: Annotated[
        float,
        Meta(
            ge=0,
            le=500,
            title="Blend",
            description="Blends what is painted into the source over so many pixels more. "
            "With this and Overlap at 0 the source keeps every bit.",
            extra=_extra("Matte", (0, 50)),
        ),
    ] = 0.0
    grain: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            title="Grain",
            description="How much of the plate's grain is put on what is painted; 1 matches the plate.",
            extra=_extra("Pixels", (0, 1)),
        ),
    ] = 1.0

    def text(self) -> str:
        """The prompt that the model is told."""
        return _told(self.preset, self.prompt)


class Panel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stays beside the plate: where the matte comes from, the blend, and the server to ask. Never travels."""

    mask_source: Annotated[
        MaskSource,
        Meta(
            title="Mask from",
            description="Where the matte comes from. Every host can give a box.",
            extra=_extra("Matte", first=True),
        ),
    ] = MaskSource.NONE
    mask_channel: Annotated[
        MaskChannel,
        Meta(
            title="Mask channel",
            description="The channel of the Mask input that is the matte.",
            extra=_extra("Matte", first=True),
        ),
    ] = MaskChannel.ALPHA
    mask_invert: Annotated[
        bool,
        Meta(title="Invert mask", description="Edits what the matte leaves out.", extra=_extra("Matte", first=True)),
    ] = False
    box_x: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            title="Box left",
            description="Left edge, as a part of the width.",
            extra=_extra("Matte", (0, 1), first=True),
        ),
    ] = 0.25
    box_y: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            title="Box top",
            description="Top edge, as a part of the height.",
            extra=_extra("Matte", (0, 1), first=True),
        ),
    ] = 0.25
    box_width: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            title="Box width",
            description="Width, as a part of the frame's.",
            extra=_extra("Matte", (0, 1), first=True),
        ),
    ] = 0.5
    box_height: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            title="Box height",
            description="Height, as a part of the frame's.",
            extra=_extra("Matte", (0, 1), first=True),
        ),
    ] = 0.5
    mix: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            title="Mix",
            description="Blends the edit over the source. Costs no new edit.",
            extra=_extra("Pixels", (0, 1)),
        ),
    ] = 1.0
    frame_offset: Annotated[
        int,
        Meta(
            ge=-(10**7),
            le=10**7,
            title="Frame offset",
            description="Added to the host's frame number; windows are anchored to the sum.",
            extra=_extra("Frames", (-1000, 1000)),
        ),
    ] = 0
    server: Annotated[
        str,
        Meta(
            max_length=400,
            title="Server",
            description="auto starts a server on this machine when none runs; or an address such as tcp://127.0.0.1:5577.",
            extra=_extra("Server"),
        ),
    ] = "auto"
    timeout_s: Annotated[
        float,
        Meta(
            ge=1,
            le=86400,
            title="Time limit",
            description="Seconds that one frame may take before it fails.",
            extra=_extra("Server", (10, 3600)),
        ),
    ] = 600.0


GROUPS = ("Edit", "Matte", "Pixels", "Model", "Frames", "Server")

AnyEdit = Restyle | Remove | Instruct | Replace | Generate | Extend

EFFECTS: dict[str, type[AnyEdit]] = {
    "restyle": Restyle,
    "remove": Remove,
    "instruct": Instruct,
    "replace": Replace,
    "generate": Generate,
    "extend": Extend,
}


def effect_named(name: str) -> type[AnyEdit]:
    """The declaration of an effect. Raises UnknownEffect, naming the known ones."""
    if name not in EFFECTS:
        raise UnknownEffect(f"There is no effect '{name}'; there are {', '.join(EFFECTS)}.")
    return EFFECTS[name]


def changes_nothing(edit: AnyEdit, panel: Panel) -> bool:
    """Whether the output would be the source; the plugin's isIdentity is the same rule."""
    if (
        isinstance(edit, Extend)
        and edit.aspect is Aspect.NONE
        and not (edit.left or edit.right or edit.top or edit.bottom)
    ):
        return True
    kept = edit.strength == 0 and (not isinstance(edit, Generate) or edit.use_source)
    return panel.mix == 0 or (edit.needs_prompt and (kept or not edit.text()))


def wants_fit(edit: Edit) -> bool:
    """Whether an edit asks for the model fitted to its shot."""
    return edit.fits and getattr(edit, "fill", None) is Fill.FITTED


def parse(declaration: type[msgspec.Struct], values: Mapping[str, Any], strict: bool = True) -> Any:
    """Values checked against a declaration. Not strict: text from a command line is converted first.

    Raises BadParameter: one sentence that names the parameter, the value and what is allowed.
    """
    known = {field.encode_name for field in msgspec.structs.fields(declaration)}
    for name in values:
        if name not in known:
            raise BadParameter(f"There is no parameter '{name}'; there are {', '.join(sorted(known))}.")
    try:
        return msgspec.convert(values, declaration, strict=strict)
    except msgspec.ValidationError as error:
        raise BadParameter(_sentence(str(error), declaration, values)) from None


def _sentence(message: str, declaration: type[msgspec.Struct], values: Mapping[str, Any]) -> str:
    """msgspec says '... - at `$.name`'; say it with the value and what is allowed."""
    reason, _, where = message.partition(" - at `$.")
    name = where.rstrip("`")
    if not name:
        return f"{reason[0].upper()}{reason[1:]}."
    field = next(field for field in msgspec.structs.fields(declaration) if field.encode_name == name)
    return f"Parameter '{name}' cannot be {reprlib.repr(values[name])}: {_allowed(field.type, reason)}."


_EXPECTED = {float: "a number", int: "a whole number", bool: "true or false", str: "text"}


def _allowed(kind: Any, reason: str) -> str:
    limits: dict[str, Any] = {}
    while hasattr(kind, "__metadata__"):
        for meta in kind.__metadata__:
            limits |= {name: value for name in ("ge", "le", "max_length") if (value := getattr(meta, name)) is not None}
        kind = kind.__origin__
    if issubclass(kind, Choice):
        return f"expected one of {', '.join(member.value for member in kind)}"
    if ", got " in reason:
        return f"{_EXPECTED[kind]} is expected"
    if "ge" in limits:
        return f"it must lie between {limits['ge']:.10g} and {limits['le']:.10g}"
    if "regex" in reason:
        return "a name has letters, digits, dots, dashes and underscores, and begins with a letter or a digit"
    return f"it may have at most {limits['max_length']} characters"
