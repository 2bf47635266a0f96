"""The C++ client under CURVE: with a server that knows it, that does not, and that is another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.driver import Driver, inverted, plate, request
from hosts.servers import free_port
from hosts.stub_server import stub_server
from latensify_bridge import keys
from latensify_server.service import Service
from latensify_server.settings import Settings
from server.running import running

pytestmark = pytest.mark.timeout(900)  # the first build compiles libzmq


@pytest.fixture
def address(home: Path) -> Iterator[str]:
    """Of a server that other machines can reach; its keys and this user's are trusted on both sides."""
    port = free_port()
    keys.trust("anna", keys.make("client").public)
    keys.trust(f"127.0.0.1:{port}", keys.make("server").public)
    with running(Service(Settings(endpoint=f"tcp://0.0.0.0:{port}", engine="fake"))):
        yield f"tcp://127.0.0.1:{port}"


@pytest.fixture
def driver(bridge_test: Path, home: Path) -> Iterator[Driver]:
    with Driver(bridge_test) as program:
        yield program


def test_a_trusted_client_is_served_with_pixels_inline(driver: Driver, address: str, tmp_path: Path) -> None:
    answer = driver.ask(request(tmp_path, address))
    assert answer["edited"]["pixels"] == inverted(plate(5)), answer
    large = plate(6, 1024, 600)  # in several parts, there and back
    shown = request(tmp_path, address, 6, width=1024, height=600)
    path = tmp_path / "large"
    path.write_bytes(large.tobytes())
    size = {"width": 1024, "height": 600, "channels": 4, "depth": "half", "file": str(path)}
    answer = driver.ask({**shown, "sources": [{"number": 6, "pixels": size}]})
    assert answer["edited"]["pixels"] == inverted(large), answer


def test_a_stranger_is_refused(driver: Driver, address: str, tmp_path: Path) -> None:
    keys.make("client", replace=True)
    code, said = driver.failure(request(tmp_path, address))
    assert code == "refused" and "does not know this user's key" in said


def test_a_key_that_is_revoked_is_refused_on_a_connection_that_stands(
    driver: Driver, address: str, tmp_path: Path
) -> None:
    assert "edited" in driver.ask(request(tmp_path, address))
    keys.revoke("anna")
    assert driver.failure(request(tmp_path, address))[0] == "refused"


def test_another_server_at_a_trusted_address_is_refused(driver: Driver, address: str, tmp_path: Path) -> None:
    keys.trust(address.removeprefix("tcp://"), keys.make("client").public)
    code, said = driver.failure(request(tmp_path, address))
    assert code == "refused" and "is not the server whose key is trusted" in said


def test_nothing_is_told_to_a_server_without_keys(driver: Driver, home: Path, tmp_path: Path) -> None:
    keys.make("client")
    with stub_server() as stub:
        keys.trust(stub.endpoint.removeprefix("tcp://"), keys.make("server").public)
        assert driver.failure(request(tmp_path, stub.endpoint))[0] == "refused"
        assert not stub.asked


def test_what_is_wrong_with_the_keys_is_told_before_a_connection(driver: Driver, home: Path, tmp_path: Path) -> None:
    far = request(tmp_path, "tcp://Render1:5577")
    code, said = driver.failure(far)
    assert code == "refused" and "run `latensify keys trust render1:5577 KEY`" in said
    keys.trust("render1:5577", "0" * 64)
    code, said = driver.failure(far)
    assert code == "refused" and "run `latensify keys new`" in said
    keys.make("client")
    path = home / "config/keys/client.json"
    path.chmod(0o644)
    code, said = driver.failure(far)
    assert code == "bad_input" and "chmod 600" in said
    path.chmod(0o600)
    for damaged in ("", "[]", '{"public": 1}', '{"public": "zz", "secret": "zz"}', "[" * 100_000):
        path.write_text(damaged)
        code, said = driver.failure(far)
        assert code == "bad_input" and "is damaged" in said
