"""Keys: the files, the command, and a server that other machines can reach."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hosts.servers import free_port
from hosts.stub_server import stub_server
from latensify_bridge import keys
from latensify_bridge.client import Session
from latensify_bridge.effects import Restyle
from latensify_bridge.errors import BadInput, BadRequest, LatensifyError, Misbehaved, Refused
from latensify_bridge.frames import to_half
from latensify_bridge.protocol import Put, Segment, Source, Stored
from latensify_server.cli.keys import keys as command
from latensify_server.service import Service
from latensify_server.settings import Settings
from server.running import running

EDIT = Restyle(prompt="x", window=1, overlap=0)
PLATE = to_half(np.random.default_rng(1).random((32, 48, 4), np.float32))


def told(*words: str) -> dict[str, dict[str, str]]:
    done = CliRunner().invoke(command, [*words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: dict[str, dict[str, str]] = json.loads(done.output)
    return found


# --- the files ---


def test_new_makes_two_pairs_once_and_shows_no_secret(home: Path) -> None:
    first = told("new")
    assert set(first["own"]) == {"client", "server"} and all(len(key) == 64 for key in first["own"].values())
    assert told("new") == first == told("list")
    assert told("new", "--replace")["own"]["client"] != first["own"]["client"]
    folder = home / "config/keys"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in folder.glob("*.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    pair = keys.own("server")
    assert pair and pair.secret not in repr(pair) and pair.secret not in CliRunner().invoke(command, ["list"]).output


def test_trust_and_revoke(home: Path) -> None:
    key = told("new")["own"]["client"]
    assert told("trust", "anna", key.upper())["clients"] == {"anna": key}
    assert told("trust", "tcp://Render1:5577", key)["servers"] == {"render1:5577": key}
    assert told("trust", "[fe80::1]:7", key)["servers"] == {"render1:5577": key, "[fe80::1]:7": key}
    assert told("revoke", "render1:5577")["servers"] == {"[fe80::1]:7": key}
    assert told("revoke", "anna")["clients"] == {}
    assert not list((home / "config/keys").glob(".*.json.*")), "nothing half-written is left"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trust", "anna", "short"], "'short' is no key"),
        (["trust", "../anna", "0" * 64], "cannot name a client"),
        (["trust", "a b", "0" * 64], "cannot name a client"),
        (["trust", "render1:port", "0" * 64], "no address of a server"),
        (["revoke", "nobody"], "'nobody' is not trusted"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(words: list[str], said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        CliRunner().invoke(command, words, catch_exceptions=False)


def test_a_secret_that_others_can_read_and_a_damaged_file_are_not_used(home: Path) -> None:
    told("new")
    path = home / "config/keys/client.json"
    path.chmod(0o644)
    with pytest.raises(BadInput, match="can be read by others; run `chmod 600"):
        keys.own("client")
    path.chmod(0o600)
    for damaged in ("", "[]", '{"public": 1}', '{"public": "00", "secret": "00"}', "[" * 100_000):
        path.write_text(damaged)
        with pytest.raises(BadInput):
            keys.own("client")


def test_which_addresses_are_of_this_machine() -> None:
    for near in ("ipc:///a/b", "tcp://127.0.0.1:1", "tcp://127.9.9.9:1", "tcp://[::1]:1", "tcp://localhost:1"):
        assert keys.on_this_machine(near)
    for far in ("tcp://0.0.0.0:1", "tcp://*:1", "tcp://[::]:1", "tcp://eth0:1", "tcp://10.0.0.1:1", "tcp://a.b:1", "x"):
        assert not keys.on_this_machine(far)


# --- a server that other machines can reach ---


@pytest.fixture
def address(home: Path) -> str:
    """Where a server will listen, for whom this user has keys that are trusted on both sides."""
    port = free_port()
    own = told("new")["own"]
    told("trust", "anna", own["client"])
    told("trust", f"127.0.0.1:{port}", own["server"])
    return f"tcp://127.0.0.1:{port}"


@pytest.fixture
def server(address: str) -> Iterator[Service]:
    service = Service(Settings(endpoint=address.replace("127.0.0.1", "0.0.0.0"), engine="fake"))
    with running(service):
        yield service


def test_a_trusted_client_is_served_with_pixels_inline(server: Service, address: str) -> None:
    with Session(address, "test") as session:
        assert session.welcome.shared_memory is None
        source = Source(5, session.send(PLATE))
        edited, result = session.edit("restyle", EDIT, 5, 0, 23, [source], (48, 32))
    assert result.segment is None
    np.testing.assert_allclose(edited.rgb, 1 - PLATE[..., :3], atol=2e-3)


def refused(address: str) -> str:
    started = time.monotonic()
    with pytest.raises(Refused) as caught:
        Session(address, "test").close()
    assert time.monotonic() - started < 30, "it was not left to hang"
    return str(caught.value)


def test_a_stranger_is_turned_away(server: Service, address: str) -> None:
    told("new", "--replace")
    assert "does not know this user's key" in refused(address)


def test_who_comes_without_keys_gets_no_answer(
    server: Service, address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LATENSIFY_HOME", str(tmp_path))
    with pytest.raises(LatensifyError, match="does not answer"):
        Session(address, "test").close()


def test_another_server_at_a_trusted_address_is_not_believed(server: Service, address: str) -> None:
    told("trust", address.removeprefix("tcp://"), told("list")["own"]["client"])
    assert "is not the server whose key is trusted" in refused(address)


def test_a_server_without_keys_at_a_trusted_address_is_not_believed(home: Path) -> None:
    own = told("new")["own"]
    with stub_server() as stub:
        told("trust", stub.endpoint.removeprefix("tcp://"), own["server"])
        assert "is not the server whose key is trusted" in refused(stub.endpoint)
        assert not stub.asked, "nothing was told to it"


def test_a_revoked_key_is_out_at_once(server: Service, address: str) -> None:
    with Session(address, "test") as session:
        session.status()
        told("revoke", "anna")
        with pytest.raises(Refused, match="no longer"):
            session.status()
    assert "does not know this user's key" in refused(address)


def test_a_client_from_another_machine_may_name_no_segment(server: Service, address: str) -> None:
    with Session(address, "test") as session:
        name = "0" * 32
        spec = keys_spec()
        with pytest.raises(Misbehaved, match="have to travel inline"):
            session._ask(Put(id="a", frame=name, spec=spec, segment=Segment("seg-1", 0, 512)), Stored)


def keys_spec() -> object:
    from latensify_bridge.frames import spec_of

    return spec_of(PLATE)


def test_no_client_reaches_a_server_whose_key_it_does_not_trust() -> None:
    with pytest.raises(Refused, match=r"run `latensify keys trust render1:5577 KEY`"):
        Session("tcp://render1:5577", "test")
    told("trust", "render1:5577", "0" * 64)
    with pytest.raises(Refused, match="run `latensify keys new`"):
        Session("tcp://render1:5577", "test")


def test_serve_refuses_a_routable_address_without_keys(home: Path) -> None:
    command_line = [
        sys.executable,
        "-m",
        "latensify_server",
        "serve",
        "--engine",
        "fake",
        "--listen",
        "tcp://0.0.0.0:1",
    ]
    for setup, said in (
        (None, "run `latensify keys new` and `latensify keys trust"),
        ("new", "needs keys: run `latensify keys trust"),
    ):
        if setup:
            told(setup)
        done = subprocess.run(command_line, capture_output=True, text=True, timeout=120)
        assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1
    with pytest.raises(BadRequest, match="needs keys"):
        Service(Settings(endpoint="tcp://0.0.0.0:0", engine="fake"))
