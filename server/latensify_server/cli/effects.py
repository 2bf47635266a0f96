"""`latensify effects`: the effects and their parameters, as declared."""

from __future__ import annotations

import json
from typing import Any

import click

from latensify_bridge.declared import Parameter
from latensify_bridge.effects import EFFECTS, effect_named
from latensify_server.cli.options import metavar, shown


@click.command()
@click.argument("effect", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print everything that is declared as JSON.")
def effects(effect: str | None, as_json: bool) -> None:
    """Lists the effects, or the parameters of one EFFECT."""
    if effect:
        effect_named(effect)
    names = [effect] if effect else list(EFFECTS)
    if as_json:
        click.echo(json.dumps([_declared(name) for name in names], indent=2, ensure_ascii=False))
        return
    for name in names:
        click.echo(f"{name}: {_summary(name)}")
        click.echo(f"  clips: {', '.join(EFFECTS[name].clips)}")
        for parameter in shown(name):
            default = parameter.default.value if parameter.choices else parameter.default
            click.echo(f"  --{parameter.name.replace('_', '-'):22} {_values(parameter)}  [{default}]  {parameter.help}")


def _summary(effect: str) -> str:
    return " ".join((EFFECTS[effect].__doc__ or "").split())


def _values(parameter: Parameter) -> str:
    return "yes|no" if parameter.kind == "boolean" else metavar(parameter)


def _declared(effect: str) -> dict[str, Any]:
    return {
        "name": effect,
        "summary": _summary(effect),
        "clips": list(EFFECTS[effect].clips),
        "parameters": [_parameter(parameter) for parameter in shown(effect)],
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "kind": parameter.kind,
        "default": parameter.default.value if parameter.choices else parameter.default,
        "label": parameter.label,
        "help": parameter.help,
        "group": parameter.group,
        "minimum": parameter.minimum,
        "maximum": parameter.maximum,
        "slider": parameter.slider,
        "choices": {choice.value: choice.label for choice in parameter.choices},
    }
