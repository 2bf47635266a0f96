"""The plugin as it was built, for all tests of it."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def binary(bundle: Path) -> Path:
    return bundle / "Contents/Linux-x86-64/Latensify.ofx"
