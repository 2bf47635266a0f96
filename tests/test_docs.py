"""The documentation is tested: its links lead somewhere, its commands parse, its tables are complete."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import msgspec
import pytest

from latensify_bridge import protocol
from latensify_bridge.errors import by_code
from latensify_server.cli import latensify

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def commands() -> list[str]:
    """Every `latensify …` line in a code block, without comments and output."""
    found = []
    for page in PAGES:
        for block in re.findall(r"^```(?:bash|console)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line.removeprefix("$ "), comments=True)
                if words and Path(words[0]).name == "latensify":
                    found.append(shlex.join(words[1:]))
    return sorted(set(found))


def parse(words: list[str]) -> None:
    """Parses a command line as click would, without running it. Raises click.UsageError."""
    command: click.Command = latensify
    context: click.Context | None = None
    while isinstance(command, click.Group):
        name, *words = words
        found = command.get_command(context or click.Context(command), name)
        assert found is not None, f"there is no command {name}"
        context = click.Context(command, parent=context)
        command = found
    command.make_context(command.name or "", words, parent=context)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_there_are_commands_in_the_documentation() -> None:
    assert len(commands()) > 5


@pytest.mark.parametrize("line", commands())
def test_every_command_parses(line: str) -> None:
    parse(shlex.split(line))


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE):
            assert target in targets, f"{page.name} says make {target}"


@pytest.mark.parametrize("page", ["docs/protocol.md", "docs/troubleshooting.md"])
def test_every_failure_code_is_explained(page: str) -> None:
    explained = set(re.findall(r"^\| `([a-z_]+)` \|", (ROOT / page).read_text(), re.MULTILINE))
    assert explained == set(by_code())


def test_exit_codes_in_the_protocol_are_those_of_the_errors() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| (\d+) \|", (ROOT / "docs/protocol.md").read_text(), re.MULTILINE)
    assert {code: int(number) for code, number in rows} == {c: kind.exit_code for c, kind in by_code().items()}


def test_every_message_and_field_is_in_the_protocol() -> None:
    text = (ROOT / "docs/protocol.md").read_text()
    for kind in protocol.Message.__subclasses__():
        name = kind.__name__.lower()
        row = re.search(rf"^\| \w+ \| `{name}` \| (.*)$", text, re.MULTILINE)
        assert row, f"{name} has no row"
        for field in msgspec.structs.fields(kind)[1:]:  # all have an id
            assert field.encode_name in row[1], f"{name}.{field.encode_name}"
