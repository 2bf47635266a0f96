"""The plugin as it was built, for all tests of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The bundle that `make plugin` leaves; LATENSIFY_BUNDLE names another."""
    found = Path(os.environ.get("LATENSIFY_BUNDLE", REPOSITORY / "build/plugin/Latensify.ofx.bundle"))
    assert found.is_dir(), f"{found} is not there: run `make plugin` first"
    return found


@pytest.fixture(scope="session")
def binary(bundle: Path) -> Path:
    return bundle / "Contents/Linux-x86-64/Latensify.ofx"
