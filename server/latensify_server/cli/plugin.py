"""`latensify plugin`: puts the OpenFX plugin where hosts look, and takes it away again."""

from __future__ import annotations

import os
from pathlib import Path

import click

from latensify_bridge.errors import BadInput
from latensify_server import plugin_install


@click.group()
def plugin() -> None:
    """Installs the OpenFX plugin for the hosts on this machine."""


@plugin.command()
@click.option("--to", type=click.Path(path_type=Path), help="Folder of plugins.  [default: where hosts look]")
@click.option("--bundle", type=click.Path(path_type=Path), help="Another Latensify.ofx.bundle to install.")
def install(to: Path | None, bundle: Path | None) -> None:
    """Copies the bundle, and records the command with which a host starts a server."""
    installed = plugin_install.install(bundle or plugin_install.built(), to or plugin_install.default_folder())
    click.echo(f"Installed {installed}; hosts start the server with the command in {plugin_install.record()}.")
    _tell_path(installed.parent)


@plugin.command()
def path() -> None:
    """Prints where the plugin is installed."""
    found = plugin_install.installed()
    if not found:
        raise BadInput("The plugin is not installed; run `latensify plugin install`.")
    for installed in found:
        click.echo(installed)


@plugin.command()
def uninstall() -> None:
    """Removes what `latensify plugin install` put there."""
    removed = plugin_install.uninstall()
    for place in removed:
        click.echo(f"Removed {place}.")
    if not removed:
        click.echo("Nothing was installed.")


def _tell_path(folder: Path) -> None:
    looked_in = os.environ.get("OFX_PLUGIN_PATH", "").split(os.pathsep)
    if folder != plugin_install.SYSTEM_FOLDER and str(folder) not in looked_in:
        click.echo(f"Hosts look in {plugin_install.SYSTEM_FOLDER}; for this folder set OFX_PLUGIN_PATH={folder}.")
