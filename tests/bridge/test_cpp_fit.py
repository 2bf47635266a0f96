"""Fits asked for by the C++ client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.driver import Driver, Request, plate, request
from hosts.servers import Server, server
from latensify_bridge.client import Session
from latensify_bridge.effects import Remove
from latensify_bridge.protocol import Source

pytestmark = pytest.mark.timeout(900)  # the first build compiles libzmq


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("fake")) as running:
        yield running


@pytest.fixture
def driver(bridge_test: Path) -> Iterator[Driver]:
    with Driver(bridge_test) as found:
        yield found


def fit(folder: Path, endpoint: str, **params: object) -> Request:
    mask = plate(99)[..., 0].copy()
    return request(folder, endpoint, 6, mask, effect="remove", fit=True, params={"fill": "fitted", **params})


def test_a_fit_is_made_then_found(driver: Driver, fake: Server, tmp_path: Path) -> None:
    answer = driver.ask(fit(tmp_path, fake.endpoint))
    first = answer["fitted"]
    assert not first["cached"] and first["seconds"] > 0
    assert any(stage.startswith("fitting, step") for _, stage, _ in answer["seen"])
    assert driver.ask(fit(tmp_path, fake.endpoint))["fitted"] == {**first, "cached": True, "seconds": 0}
    assert driver.ask(fit(tmp_path, fake.endpoint, seed=1))["fitted"]["fit"] != first["fit"]


def test_both_clients_mean_the_same_fit(driver: Driver, fake: Server, tmp_path: Path) -> None:
    told = driver.ask(fit(tmp_path, fake.endpoint, seed=2))["fitted"]
    with Session(fake.endpoint, "python") as session:
        source = Source(6, session.send(plate(6)), session.send(plate(99)[..., 0].copy()))
        found = session.fit("remove", Remove(fill="fitted", seed=2), [source])  # type: ignore[arg-type]
    assert (found.fit, found.cached) == (told["fit"], True)


def test_failures_of_a_fit_are_told(driver: Driver, fake: Server, tmp_path: Path) -> None:
    code, said = driver.failure({**fit(tmp_path, fake.endpoint), "effect": "restyle", "params": {}})
    assert code == "bad_request" and "No model can be fitted for restyle" in said
    source = {"number": 6, "pixels": {"missing": "0" * 32}, "mask": {"missing": "1" * 32}}
    code, said = driver.failure({**fit(tmp_path, fake.endpoint), "sources": [source]})
    assert code == "frame_missing" and "does not hold 2 of the frames" in said


def test_a_fit_can_be_stopped(driver: Driver, tmp_path: Path) -> None:
    with server(tmp_path / "slow", engine="slow-fake") as slow:
        answer = driver.ask({**fit(tmp_path, slow.endpoint), "abort_after_s": 1.0})
    assert answer["failure"]["code"] == "cancelled"
