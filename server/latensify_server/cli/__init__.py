"""The command line, `latensify`. Each command is the module of its name here, imported only when it is asked for."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence

import click

from latensify_bridge import __version__
from latensify_bridge.errors import Cancelled, LatensifyError

COMMANDS = {
    "render": "Edits image sequences, stills and movies, without a host.",
    "serve": "Answers hosts and renderers until stopped.",
    "status": "Shows the queue, the cache and the last errors of a running server.",
    "effects": "Lists the effects and their parameters.",
    "doctor": "Says what is installed, what is missing and how to get it.",
    "keys": "Makes keys, and says whom to trust, where the server is on another machine.",
    "plugin": "Installs the OpenFX plugin for the hosts on this machine.",
    "train": "Trains the model that ships with Latensify, or fits one to a shot.",
    "bench": "Measures what this project claims, figure by figure.",
}
EXTRAS = {"av", "cv2", "diffusers", "OpenImageIO", "PyOpenColorIO", "safetensors", "skimage", "torch", "transformers"}
UNEXPECTED = 1
INTERRUPTED = 130


class _Commands(click.Group):
    """Knows its commands by name, so that `latensify --help` imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"{__name__}.{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="latensify")
def latensify() -> None:
    """Latent-diffusion edits for the timeline: the server, the headless renderer and their tools."""


def main(args: Sequence[str] | None = None) -> None:
    """Runs a command and exits: 0, or the exit code of its failure (latensify_bridge.errors)."""
    sys.exit(_run(args))


def _run(args: Sequence[str] | None) -> int:
    try:
        code = latensify.main(args, prog_name="latensify", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.ClickException as error:
        return _failed(_one_line(error.format_message()), error.exit_code)
    except Cancelled as error:
        return _failed(str(error), getattr(error, "exit_code", INTERRUPTED))
    except LatensifyError as error:
        return _failed(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _failed("Stopped.", INTERRUPTED)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            return _unexpected(error)
        return _failed(f"{error.name} is not installed; run `pip install 'latensify[server]'`.", UNEXPECTED)
    except Exception as error:
        return _unexpected(error)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _failed(sentence: str, code: int) -> int:
    click.echo(f"latensify: {sentence}", err=True)
    return code


def _unexpected(error: Exception) -> int:
    if os.environ.get("LATENSIFY_DEBUG") == "1":
        traceback.print_exception(error)
    what = _one_line(f"{type(error).__name__} {error}")
    return _failed(f"This should not have happened: {what}. Set LATENSIFY_DEBUG=1 to see where.", UNEXPECTED)
