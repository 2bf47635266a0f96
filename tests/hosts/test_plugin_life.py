"""The plugin's life in hosts that lack, lie and forget: it loads, describes, renders or fails cleanly, and goes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .expected import REMOVE, RESTYLE, assert_same, edited, mask_of, plate, report, restyle, shot, soft_matte
from .ofx_host import (
    EVERY,
    GENERIC,
    MLT,
    NATRON,
    NUKE,
    REQUIRED_SUITES,
    RESOLVE,
    SUITES,
    ActionFailed,
    HostVariant,
    K,
    OfxHost,
    in_child,
)
from .servers import Server

NOWHERE = "no address"  # refused without a wait
NO_MESSAGES = GENERIC.but(null_entries=frozenset({"message", "setPersistentMessage", "clearPersistentMessage"}))
BARE = GENERIC.without(*(set(SUITES) - REQUIRED_SUITES))
NOTHING_SAID = GENERIC.but(null_strings=EVERY, unknown=EVERY)
ENTRIES = sorted({name for structure in SUITES.values() for name, *_ in structure._fields_})  # type: ignore[misc]
Played = tuple[list[str], dict[str, Any]]


def play(bundle: Path, variant: HostVariant, endpoint: str) -> Callable[[], Played]:
    """All of a session in a host: both effects in every context, a button, edits, two renders. In a child."""

    def session() -> Played:
        found: dict[str, Any] = {}
        with OfxHost(bundle, variant) as host:
            for effect in (RESTYLE, REMOVE):
                for context in _contexts(variant):
                    found[f"{effect} {context}"] = _one(host, effect, context, endpoint)
        return [f"{one.rule}: {one.detail}" for one in host.violations], found

    return session


def _contexts(variant: HostVariant) -> list[str]:
    """Those of the host in which an effect with a Source can be used."""
    return [context for context in variant.contexts if context != "generator"]


def _one(host: OfxHost, effect: str, context: str, endpoint: str) -> Any:
    """The picture of frame 3, a status where it failed, or the status with which the plugin refused this host."""
    params = {"server": endpoint, "window": 4, "overlap": 1, "preset": 1}
    clips = {"Source": shot(0, 7), "Mask": mask_of(soft_matte())}
    try:
        instance = host.instance(effect, context, params=params, clips=clips)
    except ActionFailed as failure:
        return failure.action, failure.status
    for send in (instance.begin_edit, instance.end_edit, instance.sync, instance.purge_caches):
        send()
    instance.set("strength", 0.5)
    instance.button("refresh_status")
    instance.button("process_range")
    first, second = instance.render(3), instance.render(3, identity=False)
    assert first.status == second.status
    instance.destroy()
    return second.image if second.ok else second.status


def expected(effect: str) -> Any:
    return edited(plate(3), matte=soft_matte() if effect.startswith(REMOVE) else None)


@pytest.mark.parametrize(
    "variant",
    [GENERIC, MLT, RESOLVE, NUKE, NATRON, BARE, NO_MESSAGES, GENERIC.but(describes_twice=True), GENERIC.but(api=None)],
    ids=["generic", "MLT", "Resolve", "Nuke", "Natron", "bare", "no messages", "describes twice", "no API version"],
)
def test_host_gets_what_it_should(bundle: Path, running: Server, variant: HostVariant) -> None:
    violations, found = in_child(play(bundle, variant, running.endpoint))
    assert not violations
    assert len(found) == 2 * len(_contexts(variant))
    for name, image in found.items():
        assert_same(image, expected(name))


@pytest.mark.parametrize(
    "variant",
    [GENERIC.but(null_strings=EVERY), GENERIC.but(unknown=EVERY), NOTHING_SAID, BARE, NO_MESSAGES],
    ids=["NULL texts", "nothing known", "both", "bare", "no messages"],
)
@pytest.mark.parametrize("there", [True, False], ids=["server", "no server"])
def test_host_that_says_nothing_of_itself(bundle: Path, running: Server, variant: HostVariant, there: bool) -> None:
    violations, found = in_child(play(bundle, variant, running.endpoint if there else NOWHERE))
    assert not violations
    for context in _contexts(variant):
        if there:
            assert_same(found[f"{RESTYLE} {context}"], expected(RESTYLE))
        else:
            assert found[f"{RESTYLE} {context}"] == K.kOfxStatFailed


def test_every_suite_with_nothing_in_it(bundle: Path, running: Server) -> None:
    """One function after another is NULL: what the plugin needs makes it refuse the host, the rest it does without."""

    def session() -> tuple[list[str], list[str], list[str]]:
        refused, served, wrong = [], [], []
        for name in ENTRIES:
            variant = GENERIC.but(null_entries=frozenset({name}), contexts=("general",))
            with OfxHost(bundle, variant) as host:
                result = _one(host, RESTYLE, "general", running.endpoint)
            if isinstance(result, tuple):
                refused.append(name)
                if result != (K.kOfxActionLoad, K.kOfxStatErrMissingHostFeature):
                    wrong.append(f"{name}: {result}")
            else:
                served.append(name)
                if not np.array_equal(result, expected(RESTYLE)) or host.violations:
                    wrong.append(f"{name}: {host.violations}")
        return refused, served, wrong

    refused, served, wrong = in_child(session)
    assert not wrong
    assert {"propGetString", "clipGetImage", "paramGetValueAtTime", "paramDefine"} <= set(refused)
    assert {"abort", "message", "setPersistentMessage", "progressUpdate", "memoryAlloc", "multiThread"} <= set(served)


@pytest.mark.parametrize("missing", sorted(REQUIRED_SUITES), ids=lambda suite: str(suite[0]))
def test_needed_suite_that_is_missing_is_a_refusal(bundle: Path, missing: tuple[str, int]) -> None:
    violations, found = in_child(play(bundle, GENERIC.without(missing), NOWHERE))
    assert not violations
    assert set(found.values()) == {(K.kOfxActionLoad, K.kOfxStatErrMissingHostFeature)}


def test_loads_and_unloads_again_and_again(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        for turn in range(4):
            for plugin in host.plugins():
                host.describe(plugin, "general")
            assert_same(restyle(host, running.endpoint).render(turn).image, edited(plate(turn)))
            for plugin in host.plugins()[:: 1 if turn % 2 else -1]:
                assert host.unload(plugin) == K.kOfxStatOK
        host.check()


def test_one_effect_outlives_the_other(bundle: Path, running: Server) -> None:
    with OfxHost(bundle) as host:
        instance = restyle(host, running.endpoint)
        host.describe(REMOVE)
        assert host.unload(REMOVE) == K.kOfxStatOK
        assert_same(instance.render(1).image, edited(plate(1)))
        host.check()


def test_hosts_in_one_process_do_not_disturb_each_other(bundle: Path, running: Server) -> None:
    """Two copies of the binary, as two versions of a host's plugin folder have."""
    with OfxHost(bundle) as one, OfxHost(bundle, NATRON) as other:
        first, second = restyle(one, running.endpoint), restyle(other, running.endpoint)
        for frame in range(3):
            assert_same(first.render(frame).image, edited(plate(frame)))
            assert_same(second.render(frame).image, edited(plate(frame)))
        other.close()
        assert_same(first.render(5).image, edited(plate(5)))
        one.check()
        other.check()


def test_instances_without_number_leave_no_threads_and_no_connections(bundle: Path, running: Server) -> None:
    """As MLT has it: a new instance for each frame, several at a time, and no end of it."""

    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

    options: dict[str, Any] = {
        "params": {"server": running.endpoint, "preset": "Winter"},
        "clips": {"Source": shot()},
        "threads": 3,
    }
    with OfxHost(bundle, MLT) as host:
        before = held()
        for _ in range(4):
            results = host.render_frames(RESTYLE, "filter", range(12), **options)
            assert all(result.ok for result in results.values())
        time.sleep(0.2)  # until the host's own threads are gone
        after = held()
        host.check()
    # ZeroMQ has two threads and six files of its own; each of three connections has five files at most
    assert after[0] - before[0] <= 6 + 3 * 5 and after[1] - before[1] <= 2
    assert not report(running).queue


def test_host_may_leave_while_renders_are_under_way(bundle: Path, slow: Server) -> None:
    """No Destroy, no Unload: the process ends in the middle, as some hosts do."""

    def session() -> bool:
        host = OfxHost(bundle, MLT)
        instance = restyle(host, slow.endpoint)
        threading.Thread(target=instance.render, args=(1,), daemon=True).start()
        threading.Event().wait(0.7)
        return True

    assert in_child(session)
