"""The documentation is tested: its links lead somewhere, its commands parse, its tables are complete."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import av
import click
import msgspec
import numpy as np
import OpenImageIO as oiio
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


def pictures(folder: Path) -> None:
    """What the README's commands name: shot.1001.exr to shot.1040.exr, their mattes, shot.mov."""
    rng = np.random.default_rng(0)
    for number in range(1001, 1041):
        plate = rng.random((32, 48, 3), np.float32) * 4
        matte = np.zeros((32, 48, 1), np.float32)
        matte[8:16, 8 + number % 20 : 20 + number % 20] = 1
        for name, pixels in (("shot", plate), ("matte", matte)):
            out = oiio.ImageOutput.create(f"{name}.exr")
            out.open(str(folder / f"{name}.{number}.exr"), oiio.ImageSpec(48, 32, pixels.shape[2], "half"))
            out.write_image(pixels)
            out.close()
    with av.open(str(folder / "shot.mov"), "w") as movie:
        stream = movie.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for _ in range(6):
            pixels = rng.integers(0, 255, (32, 48, 3), np.uint8)
            movie.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        movie.mux(stream.encode())


@pytest.mark.slow
def test_the_commands_of_the_readme_run(tmp_path: Path) -> None:
    """Word for word, with the model that ships."""
    pictures(tmp_path)
    text = (ROOT / "README.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("latensify render ")]
    assert len(lines) == 3
    for line in lines:
        words = [sys.executable, "-m", "latensify_server", *shlex.split(line)[1:]]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    made = {path.name for path in tmp_path.iterdir()}
    assert {f"{name}.{number}.exr" for name in ("night", "clean") for number in range(1001, 1041)} < made
    assert "snow.mov" in made
