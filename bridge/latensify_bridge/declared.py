"""The declarations of effects.py as plain data, for what presents them: the C++ table, the docs, the command line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import msgspec

from latensify_bridge.choices import Choice
from latensify_bridge.effects import EFFECTS, GROUPS, Panel


@dataclass(frozen=True)
class Parameter:
    """One parameter. `kind` is double, integer, boolean, choice or string; only numbers have limits and a slider."""

    name: str
    kind: str
    default: Any
    label: str
    help: str
    group: str
    travels: bool
    minimum: float | None
    maximum: float | None
    slider: tuple[float, float] | None
    choices: tuple[Choice, ...]


_KINDS = {float: "double", int: "integer", bool: "boolean", str: "string"}


def _parameter(field: msgspec.structs.FieldInfo, travels: bool) -> tuple[bool, Parameter]:
    kind = field.type.__origin__
    metas = field.type.__metadata__
    while hasattr(kind, "__metadata__"):
        kind, metas = kind.__origin__, (*kind.__metadata__, *metas)
    shown = metas[-1]
    limits = {name: value for meta in metas for name in ("ge", "le") if (value := getattr(meta, name)) is not None}
    chosen = issubclass(kind, Choice)
    parameter = Parameter(
        name=field.encode_name,
        kind="choice" if chosen else _KINDS[kind],
        default=field.default,
        label=shown.title,
        help=shown.description,
        group=shown.extra["group"],
        travels=travels,
        minimum=limits.get("ge"),
        maximum=limits.get("le"),
        slider=shown.extra.get("slider"),
        choices=tuple(kind) if chosen else (),
    )
    return bool(shown.extra.get("first")), parameter


def parameters(effect: str) -> list[Parameter]:
    """An effect's parameters in the order of the panel: by group; within a group, those marked `first` lead.

    An effect without a Mask has of the matte's parameters only those that it declares itself.
    """
    declaration = EFFECTS[effect]
    found = [_parameter(field, True) for field in msgspec.structs.fields(declaration)]
    found += [_parameter(field, False) for field in msgspec.structs.fields(Panel)]
    if "Mask" not in declaration.clips:
        own = declaration.__annotations__
        found = [item for item in found if item[1].group != "Matte" or item[1].name in own]
    ordered = sorted(found, key=lambda item: (GROUPS.index(item[1].group), not item[0]))
    return [
        replace(parameter, default=declaration.mask_default) if parameter.name == "mask_source" else parameter
        for _, parameter in ordered
    ]
