"""Contact sheets: what the figures are about, to look at. Each is made from the same held-out subjects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from latensify_bridge.errors import OutputFailed
from latensify_server.bench import asking, edits, obedience, subjects
from latensify_server.bench.measures import Picture
from latensify_server.bench.setting import Setting
from latensify_server.training import worlds

COLUMNS = 8
GAP_PX = 4
LINE_PX, LINES = 12, 3
WORDS_PX = LINE_PX * LINES + 4
INK, PAPER = (40, 40, 40), 0.97
FONT, SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.34

Tile = tuple[Picture, str]


def write(setting: Setting, folder: Path) -> list[Path]:
    """All sheets as PNG files in a folder, which is made. Raises OutputFailed."""
    made: dict[str, Callable[[Setting], list[list[Tile]]]] = {
        "reconstruction": _reconstruction,
        "generate": _generate,
        "masked": _masked,
        "instruct": _instruct,
        "whole": _whole,
    }
    written = []
    for name in setting.each("contact sheets", list(made)):
        path = folder / f"{name}.png"
        picture = sheet(made[name](setting))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not cv2.imwrite(str(path), np.rint(picture[..., ::-1] * 255).astype(np.uint8)):
                raise OSError("the file was refused")
        except (OSError, cv2.error) as error:
            raise OutputFailed(f"{path} cannot be written: {error}; choose another --out.") from None
        written.append(path)
    return written


def sheet(rows: Sequence[Sequence[Tile]]) -> Picture:
    """Rows of pictures with words beneath, each cell as large as the largest picture."""
    tall, wide = (max(tile.shape[axis] for row in rows for tile, _ in row) for axis in (0, 1))
    step_y, step_x = tall + WORDS_PX + GAP_PX, wide + GAP_PX
    height, width = GAP_PX + step_y * len(rows), GAP_PX + step_x * max(map(len, rows))
    paper = np.full((height, width, 3), PAPER, np.float32)
    for down, row in enumerate(rows):
        for across, (tile, words) in enumerate(row):
            top, left = GAP_PX + down * step_y, GAP_PX + across * step_x
            paper[top : top + tile.shape[0], left : left + tile.shape[1]] = np.clip(tile, 0, 1)
            paper[top + tall : top + tall + WORDS_PX, left : left + wide] = _written(words, wide)
    return paper


def _written(words: str, width: int) -> Picture:
    """Words on a strip of paper, in as many lines as it holds."""
    strip = np.full((WORDS_PX, width, 3), round(255 * PAPER), np.uint8)
    for number, line in enumerate(_lines(words, width - 4)[:LINES]):
        cv2.putText(strip, line, (2, LINE_PX * (number + 1) - 2), FONT, SCALE, INK, 1, cv2.LINE_AA)
    return (strip / 255).astype(np.float32)


def _lines(words: str, width: int) -> list[str]:
    """Words broken into lines of a width in pixels; a word that is wider stands alone."""
    lines: list[str] = []
    for word in words.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and cv2.getTextSize(longer, FONT, SCALE, 1)[0][0] <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _reconstruction(setting: Setting) -> list[list[Tile]]:
    drawn = [subjects.shown(worlds.random_world(seed)) for seed in subjects.seeds(COLUMNS, row=0)]
    tiles = [
        tile
        for picture in (*subjects.photographs(), *drawn)
        for tile in ((picture, "source"), (asking.rebuilt(setting.model, picture), "encoded and decoded"))
    ]
    return _cut([tiles], 4)


def _cut(rows: Sequence[Sequence[Tile]], columns: int) -> list[list[Tile]]:
    return [list(row[at : at + columns]) for row in rows for at in range(0, len(row), columns)]


def _generate(setting: Setting) -> list[list[Tile]]:
    rows = []
    for question in obedience.questions(COLUMNS):
        tiles = [
            (obedience.generated(setting, world, at), worlds.caption(world)) for at, world in enumerate(question.worlds)
        ]
        rows.append(tiles)
    return rows


def _masked(setting: Setting) -> list[list[Tile]]:
    return _cases(setting, False, 5)


def _instruct(setting: Setting) -> list[list[Tile]]:
    return _cases(setting, True, 10)


def _cases(setting: Setting, instruction: bool, row: int) -> list[list[Tile]]:
    """Two cases a row, each source, edit and answer; two rows of every kind."""
    rows = []
    for number, (kind, make) in enumerate(subjects.MAKERS.items()):
        tiles: list[Tile] = []
        for seed in subjects.seeds(4, row + number):
            case = make(seed, instruction)
            edit = edits.by_instruction(setting, case) if instruction else edits.with_mask(setting, case)
            tiles += [(case.source, "source"), (edit, case.prompt or f"{kind} (no words)"), (case.truth, "truth")]
        rows += _cut([tiles], 6)
    return rows


def _whole(setting: Setting) -> list[list[Tile]]:
    rows = []
    for number, change in enumerate(subjects.WHOLE):
        tiles: list[Tile] = []
        for seed in subjects.seeds(2, row=20 + number):
            source, truth, prompt = subjects.whole(seed, change)
            tiles += [(source, "source"), (asking.edited(setting.model, source, prompt), prompt), (truth, "truth")]
        rows.append(tiles)
    return rows
