"""The engines by name, and which model each would use. Imports torch only when an engine is made, in the worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from latensify_server import choice, models
from latensify_server.engine import Engine, FakeEngine, ModelChoice


@dataclass(frozen=True)
class EngineKind:
    """`choose(effect, model)` names the model that will serve a request, or raises ModelMissing."""

    make: Callable[[], Engine]
    choose: Callable[[str, str], ModelChoice]
    installed: Callable[[], list[str]]


def _diffusion() -> Engine:
    from latensify_server.diffusion.engine import DiffusionEngine

    return DiffusionEngine()


def _fake_choice(effect: str, model: str) -> ModelChoice:
    return ModelChoice("fake", "0" * 64)


ENGINES: dict[str, EngineKind] = {
    "diffusion": EngineKind(_diffusion, choice.choose, models.installed),
    "fake": EngineKind(FakeEngine, _fake_choice, lambda: ["fake"]),
    "slow-fake": EngineKind(lambda: FakeEngine(steps=200, step_s=0.05), _fake_choice, lambda: ["fake"]),
}
