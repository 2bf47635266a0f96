"""Generate in the host: a generator of the project's size and length; with a Source, a filter like the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .expected import assert_same, edited, plate, shot
from .ofx_host import GENERIC, Clip, Instance, K, OfxHost
from .servers import Server
from .stub_server import stub_server

GENERATE = "org.latensify.generate"


def project(width: int = 64, height: int = 40, frames: tuple[int, int] = (1, 24), **options: Any) -> Clip:
    """An Output that says how large and how long the host's project is."""
    return Clip(lambda _: np.zeros((height, width, 4), np.float32), frame_range=frames, **options)


def generate(
    host: OfxHost, endpoint: str, output: Clip | None = None, context: str = "generator", **params: Any
) -> Instance:
    stated = {"preset": "Lake", "server": endpoint, "window": 4, "overlap": 1, **params}
    return host.instance(GENERATE, context, params=stated, clips={"Output": output or project()})


def test_it_is_a_generator(bundle: Path) -> None:
    with OfxHost(bundle) as host:
        alone, general, filter_ = (host.describe(GENERATE, each) for each in ("generator", "general", "filter"))
        host.check()
    assert alone.contexts == ("filter", "general", "generator")
    assert list(alone.clips) == ["Output"] and list(general.clips) == ["Source", "Output"]
    assert general.clips["Source"].optional and not filter_.clips["Source"].optional
    assert "mask_source" not in alone.params


@pytest.mark.parametrize("context", ["generator", "general"])
@pytest.mark.parametrize("depth", ["byte", "float"])
def test_a_frame_of_the_projects_size_from_nothing(bundle: Path, running: Server, context: str, depth: str) -> None:
    """The fake engine inverts the blank frame: white, and solid."""
    with OfxHost(bundle) as host:
        instance = generate(host, running.endpoint, project(depth=depth, pixel_aspect=2.0), context)
        assert instance.region_of_definition(5) == (0, 0, 128, 40)
        result = instance.render(5)
        host.check()
    assert result.ok, result.messages
    assert result.image is not None and result.image.shape == (40, 64, 4)
    assert (result.image == (255 if depth == "byte" else 1)).all()


def test_proxies(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        result = generate(host, running.endpoint, project(153, 41)).render(3, scale=(0.5, 0.5))
        host.check()
    assert result.image is not None and result.image.shape == (21, 77, 4) and (result.image == 1).all()


def test_the_request_says_that_there_is_no_source_and_which_shot(bundle: Path) -> None:
    with stub_server() as stub, OfxHost(bundle) as host:
        generate(host, stub.endpoint, project(frames=(3, 30)), frame_offset=1000).render(5)
        generate(host, stub.endpoint, project(frames=(3, 30)), first_frame=4, last_frame=8).render(5)
    first, second = stub.submits()
    assert (first["params"]["use_source"], first["params"]["preset"]) == (False, "lake")
    assert (first["params"]["first_frame"], first["params"]["last_frame"]) == (1003, 1030)
    assert (first["first"], first["last"], first["frame"]) == (1003, 1030, 1005)
    assert (second["params"]["first_frame"], second["params"]["last_frame"]) == (4, 8)
    assert len({source["pixels"] for source in first["sources"]}) == 1, "one blank frame stands for all"
    assert len(first["sources"]) == 6 and not first["lone"], "the frames of two windows of four"
    puts = [header for header in stub.asked if header["type"] == "put"]
    assert {(put["spec"]["width"], put["spec"]["height"]) for put in puts} == {(64, 40)}


def test_a_host_without_temporal_access_generates_whole_shots(bundle: Path) -> None:
    with stub_server() as stub, OfxHost(bundle, GENERIC.but(temporal=False)) as host:
        generate(host, stub.endpoint).render(5)
    (submit,) = stub.submits()
    assert (submit["first"], submit["last"], submit["lone"]) == (1, 24, False)


def test_with_a_source_it_edits_that(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        params = {"preset": "Lake", "server": running.endpoint, "window": 1, "overlap": 0}
        instance = host.instance(GENERATE, "general", params=params, clips={"Source": shot()})
        result = instance.render(2)
        host.check()
    assert_same(result.image, edited(plate(2)))
    with stub_server() as stub, OfxHost(bundle) as host:
        instance = host.instance(
            GENERATE, "general", params={**params, "server": stub.endpoint}, clips={"Source": shot()}
        )
        instance.render(2)
    (submit,) = stub.submits()
    assert submit["params"]["use_source"] is True and submit["params"]["last_frame"] == 23


def test_without_a_prompt_it_says_what_is_missing(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = generate(host, running.endpoint, preset="Use the prompt")
        assert instance.is_identity(1) is None, "there is no source to be the same as"
        result = instance.render(1)
        assert not result.ok
        assert "has no Source and no prompt: choose a preset, or type a prompt." in host.messages[-1].text
        instance.set("prompt", "a red ball")
        assert instance.render(1).ok
        host.check()


def test_mix_0_is_black_and_strength_0_is_not(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        black = generate(host, running.endpoint, mix=0.0).render(1)
        picture = generate(host, running.endpoint, strength=0.0).render(1)
        host.check()
    assert black.image is not None and (black.image[..., :3] == 0).all() and (black.image[..., 3] == 1).all()
    assert picture.image is not None and (picture.image == 1).all()


def test_a_host_that_says_no_project_size(bundle: Path, running: Server) -> None:
    with OfxHost(bundle, GENERIC.but(project_known=False)) as host:
        instance = generate(host, running.endpoint)
        assert not instance.render(1).ok
        assert "does not say how large its project is; connect one." in host.messages[-1].text


def test_process_range_generates_ahead(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = generate(host, running.endpoint, project(frames=(1, 6)), seed=91)
        assert instance.button("process_range") == K.kOfxStatOK
        result = instance.render(2)
        host.check()
    assert result.ok and ("start", "Latensify Generate, frames 1-6") in result.progress


def test_a_thumbnail_is_black(bundle: Path) -> None:
    with OfxHost(bundle) as host:
        result = generate(host, "tcp://127.0.0.1:9").render(1, thumbnail=True)
        host.check()
    assert result.ok and result.image is not None and (result.image[..., :3] == 0).all()
