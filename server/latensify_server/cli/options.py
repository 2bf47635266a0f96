"""Command-line options made from the declarations: one for each parameter of an effect."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from latensify_bridge.declared import Parameter, parameters
from latensify_bridge.effects import GROUPS, AnyEdit, Panel, effect_named, parse
from latensify_bridge.errors import BadInput, BadParameter

OWN = "Input and output"
NOT_HERE = ("server",)  # `render` has its own: a private server, unless told otherwise
PANEL = frozenset(field.encode_name for field in msgspec.structs.fields(Panel)) - set(NOT_HERE)


def shown(effect: str) -> list[Parameter]:
    """The parameters that the command line has."""
    return [parameter for parameter in parameters(effect) if parameter.name not in NOT_HERE]


def option(parameter: Parameter) -> click.Option:
    """An option whose text is checked later, by the declaration, so that every way in says the same sentence."""
    flag = "--" + parameter.name.replace("_", "-")
    if parameter.kind == "boolean":
        flag = f"{flag}/--no-{flag[2:]}"
    default = parameter.default.value if parameter.choices else parameter.default
    text = parameter.help if default == "" else f"{parameter.help}  [default: {default}]"
    boolean = parameter.kind == "boolean"
    return click.Option(
        [flag, parameter.name],
        type=bool if boolean else str,
        default=None,
        metavar=None if boolean else metavar(parameter),
        help=text,
    )


def metavar(parameter: Parameter) -> str:
    """What a value may be, in short."""
    if parameter.choices:
        return "|".join(choice.value for choice in parameter.choices)
    if parameter.minimum is None:
        return "TEXT"
    return f"{parameter.minimum:.10g}..{parameter.maximum:.10g}"


class EffectCommand(click.Command):
    """Shows its options in the groups of the panel."""

    def __init__(self, effect: str, own: Sequence[click.Option], **rest: Any) -> None:
        self._groups = {parameter.name: parameter.group for parameter in shown(effect)}
        super().__init__(effect, params=[*own, *map(option, shown(effect))], **rest)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for group in (OWN, *GROUPS):
            members = [each for each in self.get_params(ctx) if self._groups.get(each.name or "", OWN) == group]
            records = [record for each in members if (record := each.get_help_record(ctx))]
            if records:
                with formatter.section(group):
                    formatter.write_dl(records)


def from_file(path: Path | None) -> dict[str, Any]:
    """The parameters in a JSON file: a map of names to values. Raises BadInput, BadParameter."""
    if path is None:
        return {}
    try:
        values = json.loads(path.read_text())
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise BadParameter(f"{path} is not JSON: {error}.") from None
    if not isinstance(values, dict):
        raise BadParameter(f'{path} is not a map of parameters; write {{"strength": 0.5}}.')
    return values


def checked(effect: str, values: Mapping[str, Any]) -> tuple[AnyEdit, Panel]:
    """Values split into what travels and what stays, each checked. Raises BadParameter."""
    declaration = effect_named(effect)
    stays = {name: value for name, value in values.items() if name in PANEL}
    travels = {name: value for name, value in values.items() if name not in PANEL}
    _known(effect, travels)
    return parse(declaration, travels, strict=False), parse(Panel, stays, strict=False)


def _known(effect: str, values: Mapping[str, Any]) -> None:
    known = sorted(parameter.name for parameter in shown(effect))
    for name in values:
        if name not in known:
            raise BadParameter(f"{effect.title()} has no parameter '{name}'; it has {', '.join(known)}.")
