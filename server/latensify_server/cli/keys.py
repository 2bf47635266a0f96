"""`latensify keys`: the keys by which hosts and servers on different machines know each other."""

from __future__ import annotations

import json

import click

from latensify_bridge import keys as files


@click.group()
def keys() -> None:
    """Makes this user's keys, and says which clients and servers are trusted."""


def _shown(as_json: bool) -> None:
    own: dict[str, str] = {role: pair.public for role in files.ROLES if (pair := files.own(role))}
    found = {"own": own, "clients": files.trusted("clients"), "servers": files.trusted("servers")}
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    if not own:
        click.echo("This user has no keys; `latensify keys new` makes them.")
    for heading, names in found.items():
        for name, key in names.items():
            click.echo(f"{'own' if heading == 'own' else 'trusted ' + heading[:-1]:16} {name:32} {key}")


_as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@keys.command()
@click.option("--replace", is_flag=True, help="New ones, even where there are some: who trusts the old must be told.")
@_as_json
def new(replace: bool, as_json: bool) -> None:
    """Makes this user's two keys where there are none: one to show to servers, one for a server of one's own."""
    for role in files.ROLES:
        files.make(role, replace)
    _shown(as_json)


@keys.command("list")
@_as_json
def list_(as_json: bool) -> None:
    """Shows this user's public keys and those that are trusted. Secret keys are never shown."""
    _shown(as_json)


@keys.command()
@click.argument("name")
@click.argument("key")
@_as_json
def trust(name: str, key: str, as_json: bool) -> None:
    """Lets the client with KEY in, under a NAME; or, where NAME is host:port, trusts the server there."""
    files.trust(name, key)
    _shown(as_json)


@keys.command()
@click.argument("name")
@_as_json
def revoke(name: str, as_json: bool) -> None:
    """Trusts NAME no longer. A running server turns it away from the next message on."""
    files.revoke(name)
    _shown(as_json)
