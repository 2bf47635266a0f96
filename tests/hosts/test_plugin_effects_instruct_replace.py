"""Instruct and Replace in the host: what they send, where they show, and what they say is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .expected import assert_same, edited, mask_of, plate, shot, soft_matte
from .ofx_host import OfxHost
from .servers import Server
from .stub_server import stub_server

PRESETS = {"instruct": ("Make it night", "night"), "replace": ("Red car", "red_car")}


def stated(effect: str, endpoint: str, **params: Any) -> dict[str, Any]:
    return {"preset": PRESETS[effect][0], "server": endpoint, "window": 1, "overlap": 0, **params}


@pytest.mark.parametrize("effect", PRESETS)
def test_outside_the_matte_every_bit_stays(bundle: Path, running: Server, effect: str) -> None:
    matte = soft_matte()
    with OfxHost(bundle) as host:
        clips = {"Source": shot(), "Mask": mask_of(matte)}
        params = stated(effect, running.endpoint, mask_source="Mask input")
        result = host.instance(f"org.latensify.{effect}", "general", params=params, clips=clips).render(3)
        host.check()
    assert_same(result.image, edited(plate(3), matte=matte))


@pytest.mark.parametrize("effect", PRESETS)
def test_the_panel_travels(bundle: Path, effect: str) -> None:
    own = {"image_guidance_scale": 1.5} if effect == "instruct" else {"grain": 0.25, "detail": 0.5}
    params = {"prompt": "in the rain", "strength": 0.5, "mask_source": "Box below", **own}
    with stub_server() as stub, OfxHost(bundle) as host:
        made = stated(effect, stub.endpoint, **params)
        host.instance(f"org.latensify.{effect}", "general", params=made, clips={"Source": shot()}).render(3)
    (submit,) = stub.submits()
    assert submit["effect"] == effect and submit["sources"][0]["mask"]
    assert submit["params"]["preset"] == PRESETS[effect][1]
    assert all(submit["params"][name] == value for name, value in params.items() if name != "mask_source")


def test_instruct_needs_no_matte(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        params = stated("instruct", running.endpoint)
        result = host.instance("org.latensify.instruct", "filter", params=params, clips={"Source": shot()}).render(3)
        host.check()
    assert_same(result.image, edited(plate(3)))


def test_replace_without_a_matte_is_the_source_and_says_why(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        params = stated("replace", running.endpoint)
        result = host.instance("org.latensify.replace", "general", params=params, clips={"Source": shot()}).render(3)
        assert_same(result.image, plate(3))
        assert "Latensify Replace needs a matte and has none" in host.messages[-1].text


@pytest.mark.parametrize("effect", PRESETS)
def test_without_words_nothing_changes(bundle: Path, effect: str) -> None:
    with OfxHost(bundle) as host:
        params = stated(effect, "tcp://127.0.0.1:9", preset="Use the prompt", prompt=" \n")
        instance = host.instance(f"org.latensify.{effect}", "general", params=params, clips={"Source": shot()})
        assert instance.is_identity(3) == ("Source", 3.0)
        assert_same(instance.render(3, identity=False).image, plate(3))
