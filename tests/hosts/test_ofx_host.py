"""The test host itself, proven against a tiny C plugin that inverts colour and misbehaves on request."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hosts.ofx.description import faults
from hosts.ofx_host import (
    DTYPES,
    EVERY,
    GENERIC,
    MLT,
    NATRON,
    NUKE,
    REQUIRED_SUITES,
    RESOLVE,
    SUITES,
    Abort,
    ActionFailed,
    Animated,
    Clip,
    Crashed,
    HostVariant,
    K,
    Layout,
    OfxHost,
    in_child,
)

HERE = Path(__file__).parent
INVERT = "org.latensify.sample.invert"
LAYOUTS = {"up": Layout(), "down": Layout("down"), "up padded": Layout("up", 20), "down padded": Layout("down", 12)}


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    assert compiler, "no C compiler: install gcc or clang"
    made = tmp_path_factory.mktemp("sample") / "sample.ofx"
    header = HERE.parents[1] / "ofx_plugin" / "include"
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-O1"]
    subprocess.run([compiler, *flags, f"-I{header}", str(HERE / "sample_plugin.c"), "-o", str(made)], check=True)
    return made


def plate(frame: int, channels: int = 4, depth: str = "float", size: tuple[int, int] = (6, 9)) -> np.ndarray:
    values = np.random.default_rng(frame).random((*size, channels))
    return (values * 255).astype(DTYPES[depth]) if depth in ("byte", "short") else values.astype(DTYPES[depth])


def shot(first: int = 1, last: int = 8, depth: str = "float", components: str = "RGBA", **options: Any) -> Clip:
    channels = {"RGBA": 4, "RGB": 3, "Alpha": 1}[components]
    frames = {t: plate(t, channels, depth) for t in range(first, last + 1)}
    return Clip(frames=frames, depth=depth, components=components, **options)


def inverted(pixels: np.ndarray, amount: float = 1.0) -> np.ndarray:
    white = {"u": 255 if pixels.dtype == np.uint8 else 65535, "f": 1}[pixels.dtype.kind]
    made = pixels.copy()
    if pixels.dtype != np.float16:  # the plugin copies half
        colour = pixels[..., :3].astype(np.float64)
        made[..., :3] = (colour + amount * (white - 2 * colour)).astype(pixels.dtype)
    return made


def rules(host: OfxHost) -> list[str]:
    return [violation.rule for violation in host.violations]


def test_describes(binary: Path) -> None:
    with OfxHost(binary) as host:
        effect = host.describe(INVERT, "general")
        assert host.plugins() == [INVERT]
        assert host.versions() == {INVERT: (1, 3)}
        assert (effect.label, effect.grouping, effect.thread_safety) == ("Sample invert ä", "Samples", "fully-safe")
        assert set(effect.contexts) == {"filter", "general"}
        assert effect.depths == ("float", "half", "short", "byte")
        assert effect.clips["Mask"].optional
        assert effect.clips["Source"].temporal
        amount = effect.params["amount"]
        assert (amount.type, amount.default, amount.max, amount.parent) == ("Double", 1.0, 1.0, "main")
        assert K.kOfxParamPropDisplayMax in amount.set_by_plugin
        assert effect.params["misbehave"].options[1] == "leak image"
        assert effect.params["note"].default == "café"
    host.check()
    assert host.actions()[0] == K.kOfxActionLoad
    assert host.actions()[-1] == K.kOfxActionUnload


def test_descriptions_are_checked(binary: Path) -> None:
    with OfxHost(binary) as host:
        good = host.describe(INVERT)
    params = dict(good.params)
    params["amount"] = replace(params["amount"], default=2.0, parent="note")
    params["misbehave"] = replace(params["misbehave"], default=99)
    bad = replace(good, params=params, depths=(), clips={})
    found = " ".join(faults(bad))
    for words in (
        "no pixel depth",
        "no clip Source",
        "parent note is no group",
        "default 2.0 outside",
        "default 99 of",
    ):
        assert words in found
    assert not list(faults(good))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("components", ["RGBA", "RGB", "Alpha"])
@pytest.mark.parametrize("depth", DTYPES)
def test_renders_every_kind_of_image(binary: Path, depth: str, components: str, layout: str) -> None:
    source = shot(depth=depth, components=components, layout=LAYOUTS[layout], origin=(3, -2))
    output = Clip(depth=depth, components=components, layout=LAYOUTS["up padded"])
    with OfxHost(binary) as host:
        result = host.instance(INVERT, clips={"Source": source, "Output": output}).render(4)
        assert result.ok
        assert result.window == (3, -2, 12, 4)
        assert result.image.dtype == DTYPES[depth]
        np.testing.assert_array_equal(result.image, inverted(source.frames[4]))  # type: ignore[index]
    host.check()


def test_window_scale_and_buffer(binary: Path) -> None:
    with OfxHost(binary) as host:
        inst = host.instance(INVERT, clips={"Source": shot()})
        part = inst.render(2, window=(2, 1, 7, 4))
        np.testing.assert_array_equal(part.image, inverted(plate(2))[2:5, 2:7])  # rows 1..4 from below, of 6
        half = inst.render(2, scale=(0.5, 0.5))
        assert half.window == (0, 0, 5, 3)
        assert half.image.shape == (3, 5, 4)
    host.check()


def test_temporal_fetch_follows_what_was_declared(binary: Path) -> None:
    with OfxHost(binary) as host:
        inst = host.instance(INVERT, params={"offset": 2}, clips={"Source": shot(missing=frozenset({7.0}))})
        result = inst.render(3)
        np.testing.assert_array_equal(result.image, inverted(plate(5)))
        assert ("Source", 5.0) in result.fetches
        assert inst.frames_needed(3)["Source"] == [(5.0, 5.0)]
        assert inst.time_domain() is None
        assert not inst.render(5).ok, "frame 7 is missing"
        assert not inst.render(8).ok, "frame 10 is beyond the clip"
    host.check()


def test_identity_and_animation(binary: Path) -> None:
    keys = Animated({1: 0.0, 5: 1.0})
    with OfxHost(binary) as host:
        inst = host.instance(INVERT, params={"amount": keys}, clips={"Source": shot()})
        assert inst.render(1).identity == ("Source", 1.0)
        np.testing.assert_array_equal(inst.render(1).image, plate(1))
        np.testing.assert_allclose(inst.render(2).image, inverted(plate(2), 0.25), atol=1e-6)
        assert inst.render(1, identity=False).identity is None
    host.check()


def test_button_threads_timeline_memory_and_edits(binary: Path) -> None:
    with OfxHost(binary) as host:
        inst = host.instance(INVERT, clips={"Source": shot()})
        assert inst.button("press") == K.kOfxStatOK
        assert (inst.get("amount"), inst.get("offset"), inst.get("tint")) == (0.5, -3, (0.1, 0.2, 0.3, 0.4))
        assert inst.get("note") == "4 calls, 1 to 8"
        assert inst.edited == ["amount", "tint", "offset", "note"]
        assert host.actions().count(K.kOfxActionInstanceChanged) == 5, "the button, and four edits of the plugin"
        for send in (inst.begin_edit, inst.end_edit, inst.sync, inst.purge_caches):
            assert send() == K.kOfxStatReplyDefault
    host.check()


def test_messages_and_progress(binary: Path) -> None:
    with OfxHost(binary) as host:
        inst = host.instance(INVERT, params={"misbehave": "fail"}, clips={"Source": shot()})
        failed = inst.render(1)
        assert failed.status_name == "kOfxStatFailed"
        assert [(m.kind, m.type, m.text) for m in failed.messages] == [
            ("persistent", K.kOfxMessageError, "no luck, 7 and 2.5%")
        ]
        inst.set("misbehave", "none")
        fractions = [value for event, value in inst.render(1).progress if event == "update"]
        assert fractions == [0, 0.25, 0.5, 0.75, 1]
        refused = inst.render(1, abort=Abort(after_updates=2))
        assert not refused.ok
        assert refused.progress[-1] == ("end", None)
    host.check()


MISDEEDS = {
    "leak image": "image-leak",
    "write outside window": "write-outside-window",
    "write guard": "guard-damage",
    "write source": "source-modified",
    "set param in render": "param-set-in-render",
    "unknown property": "unknown-property",
    "wrong type": "wrong-property-type",
    "bad index": "bad-property-index",
    "read only": "read-only-property",
    "bad handle": "bad-handle",
    "release twice": "bad-handle",
    "late define": "late-define",
    "open progress": "progress-unbalanced",
    "undeclared frame": "fetch-undeclared-frame",
}


@pytest.mark.parametrize("misdeed", MISDEEDS)
def test_notes_misdeeds(binary: Path, misdeed: str) -> None:
    layout = Layout("up", 16)
    with OfxHost(binary) as host:
        inst = host.instance(INVERT, params={"misbehave": misdeed}, clips={"Source": shot(layout=layout)})
        inst.render(2, window=(2, 2, 6, 4))
        assert rules(host) == [MISDEEDS[misdeed]]
        with pytest.raises(AssertionError, match=MISDEEDS[misdeed]):
            host.check()


def test_notes_misdeeds_outside_render(binary: Path) -> None:
    with OfxHost(binary) as host:
        button = host.instance(INVERT, params={"misbehave": "fetch in button"}, clips={"Source": shot()})
        assert button.button("press") == K.kOfxStatFailed
        keyed = {"misbehave": "value without time", "amount": Animated({1: 0.5, 2: 1})}
        host.instance(INVERT, params=keyed, clips={"Source": shot()}).render(1)
        host.instance(INVERT, params={"misbehave": "leak memory"}, clips={"Source": shot()}).render(1)
    assert rules(host) == ["fetch-in-instance-changed", "animated-value-without-time", "memory-leak"]


def test_pixels_read_after_release_are_nan(binary: Path) -> None:
    with OfxHost(binary) as host:
        inst = host.instance(INVERT, params={"misbehave": "keep image"}, clips={"Source": shot()})
        assert np.isnan(inst.render(1).image).all()


@pytest.mark.parametrize("make", [lambda: Abort(after_calls=3), lambda: Abort(after_s=0.1)])
def test_abort_is_timed(binary: Path, make: Callable[[], Abort]) -> None:
    with OfxHost(binary) as host:
        inst = host.instance(INVERT, params={"misbehave": "wait for abort"}, clips={"Source": shot()})
        result = inst.render(1, abort=make())
        assert not result.ok
        assert result.abort_latency_s is not None
        assert 0 <= result.abort_latency_s < 0.5
        inst.set("misbehave", "ignore abort")
        deaf = inst.render(1, abort=make())
        assert deaf.abort.largest_gap_s > 0.35, "one poll, then 400 ms of silence"
    host.check()


def test_abort_from_another_thread(binary: Path) -> None:
    with OfxHost(binary) as host:
        inst = host.instance(INVERT, params={"misbehave": "wait for abort"}, clips={"Source": shot()})
        abort = Abort()
        threading.Timer(0.2, abort.request).start()
        result = inst.render(1, abort=abort)
        assert result.abort_latency_s is not None
        assert result.abort_latency_s < 0.5
        assert result.seconds > 0.15


@pytest.mark.parametrize("variant", [GENERIC, MLT], ids=["one instance", "instance per frame"])
def test_renders_in_parallel(binary: Path, variant: HostVariant) -> None:
    frames = [5, 1, 8, 2, 7, 3, 6, 4]
    with OfxHost(binary, variant) as host:
        waiting = {"misbehave": "wait for abort"}
        started = time.monotonic()
        host.render_frames(
            INVERT, "filter", [1, 2, 3], threads=3, params=waiting, clips={"Source": shot()}, abort=Abort(after_s=0.5)
        )
        assert time.monotonic() - started < 1.3, "three waits of 0.5 s side by side"
        results = host.render_frames(INVERT, "filter", frames, threads=4, clips={"Source": shot()})
        for frame, result in results.items():
            np.testing.assert_array_equal(result.image, inverted(plate(frame)))
    host.check()


def test_an_instance_dies_while_another_renders(binary: Path) -> None:
    with OfxHost(binary) as host:
        busy = host.instance(INVERT, params={"misbehave": "wait for abort"}, clips={"Source": shot()})
        idle = host.instance(INVERT, clips={"Source": shot()})
        abort = Abort()
        worker = threading.Thread(target=lambda: busy.render(1, abort=abort))
        worker.start()
        assert idle.destroy() == K.kOfxStatReplyDefault
        abort.request()
        worker.join()
        handles = [clip.handle for clip in idle.clips.values()]
        assert all(handle not in host.runtime._objects for handle in handles)
    host.check()


def test_sequence_stops_at_a_failure_unless_statuses_are_ignored(binary: Path) -> None:
    broken = shot(missing=frozenset({2.0}))
    for variant, seen in ((GENERIC, [True, False]), (GENERIC.but(ignores_status=True), [True, False, True])):
        with OfxHost(binary, variant) as host:
            inst = host.instance(INVERT, clips={"Source": broken})
            assert [result.ok for result in inst.render_range(1, 3)] == seen
            assert host.actions().count(K.kOfxImageEffectActionBeginSequenceRender) == 1


@pytest.mark.parametrize("missing", sorted(SUITES), ids=lambda key: f"{key[0]}{key[1]}")
def test_suites_can_be_missing(binary: Path, missing: tuple[str, int]) -> None:
    with OfxHost(binary, GENERIC.without(missing)) as host:
        if missing in REQUIRED_SUITES:
            with pytest.raises(ActionFailed) as failure:
                host.describe(INVERT)
            assert failure.value.status == K.kOfxStatErrMissingHostFeature
            return
        inst = host.instance(INVERT, clips={"Source": shot()})
        assert inst.render(1).ok
        assert inst.button("press") == K.kOfxStatOK
    host.check()


def test_hostile_properties_and_entries(binary: Path) -> None:
    for variant in (GENERIC.but(null_strings=EVERY, unknown=EVERY), GENERIC.but(null_strings=EVERY)):
        with OfxHost(binary, variant) as host:
            assert host.instance(INVERT, clips={"Source": shot()}).render(1).ok
        host.check()
    with OfxHost(binary, RESOLVE) as host:  # message suite v2 with NULL entries
        inst = host.instance(INVERT, params={"misbehave": "fail"}, clips={"Source": shot()})
        assert [m.kind for m in inst.render(1).messages] == ["message"]
    no_pixel_depth = GENERIC.but(null_strings=frozenset({K.kOfxImageEffectPropPixelDepth}))

    def careless() -> None:
        with OfxHost(binary, no_pixel_depth) as host:
            host.instance(INVERT, clips={"Source": shot()}).render(1)

    with pytest.raises(Crashed, match="SIGSEGV"):
        in_child(careless)


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"unconnected": "fail"}, "no image"),
        ({"unconnected": "null"}, "no data"),
        ({"unconnected": "black", "all_connected": True}, "pixels"),
        ({"clips": frozenset({"Source", "Output"})}, "no handle"),
    ],
)
def test_what_an_unconnected_clip_gives(binary: Path, changes: dict[str, Any], seen: str) -> None:
    with OfxHost(binary, GENERIC.but(frame_ranges=False, project_known=False, **changes)) as host:
        inst = host.instance(INVERT, params={"misbehave": "fetch mask"}, clips={"Source": shot()})
        result = inst.render(1)
        assert result.ok
        assert result.messages[0].text.startswith(seen)
        source = inst.clips["Source"].properties
        assert K.kOfxImageEffectPropFrameRange not in source.specs
        assert K.kOfxImageEffectPropProjectSize not in inst.properties.specs
        inst.connect("Mask", shot(components="Alpha"))
        if "clips" not in changes:
            assert inst.render(1).messages[0].text.startswith("pixels")
    host.check()


def test_a_host_that_lies_about_time(binary: Path) -> None:
    with OfxHost(binary, MLT) as host:
        result = host.instance(INVERT, params={"offset": 1}, clips={"Source": shot()}).render(3)
        np.testing.assert_array_equal(result.image, inverted(plate(3)))
        assert rules(host) == ["temporal-fetch"]
    assert host.actions()[:4] == [
        K.kOfxActionLoad,
        K.kOfxActionDescribe,
        K.kOfxImageEffectActionDescribeInContext,
        K.kOfxActionUnload,
    ]
    assert K.kOfxActionDestroyInstance not in host.actions()
    assert K.kOfxImageEffectActionIsIdentity not in host.actions()


@pytest.mark.parametrize("variant", [MLT, RESOLVE, NUKE, NATRON], ids=lambda variant: variant.name)
def test_named_hosts(binary: Path, variant: HostVariant) -> None:
    with OfxHost(binary, variant) as host:
        context = "general" if "general" in variant.contexts else "filter"
        assert host.instance(INVERT, context, clips={"Source": shot(depth="byte")}).render(1).ok
    host.check()


def test_loads_again_and_again(binary: Path) -> None:
    with OfxHost(binary, unmap=True) as host:
        for _ in range(3):
            assert host.load(INVERT) == K.kOfxStatOK
            assert host.instance(INVERT, clips={"Source": shot()}).render(1).ok
            assert host.unload(INVERT) == K.kOfxStatReplyDefault
    host.check()


def test_children_report(binary: Path) -> None:
    assert in_child(lambda: 6 * 7) == 42
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        in_child(lambda: 1 // 0)
    with pytest.raises(Crashed, match="no end"):
        in_child(lambda: time.sleep(30), timeout_s=0.3)

    def crash() -> None:
        with OfxHost(binary) as host:
            host.instance(INVERT, params={"misbehave": "crash"}, clips={"Source": shot()}).render(1)

    with pytest.raises(Crashed, match="SIGSEGV"):
        in_child(crash)
