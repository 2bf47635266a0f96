"""The bundle and its binary: what it exports, what it needs, and that its panel is the declaration."""

from __future__ import annotations

import plistlib
import re
import subprocess
from pathlib import Path

import pytest

from hosts.ofx_host import (
    EVERY,
    GENERIC,
    MLT,
    NATRON,
    NUKE,
    REQUIRED_SUITES,
    RESOLVE,
    Clip,
    HostVariant,
    K,
    OfxHost,
    ParamDescription,
)
from latensify_bridge import __version__
from latensify_bridge.declared import Parameter, parameters
from latensify_bridge.effects import EFFECTS

IDS = {effect: f"org.latensify.{effect}" for effect in EFFECTS}
OURS = {"status", "refresh_status", "process_range", "process_request", "fit_shot", "fit_request", "page_controls"}
TYPES = {"double": "Double", "integer": "Integer", "boolean": "Boolean", "choice": "Choice", "string": "String"}
OLDEST_GLIBC = (2, 28)  # Rocky Linux 8, on which Resolve runs
EVERYWHERE = {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "ld-linux-x86-64.so.2"}
HOSTS = [GENERIC, MLT, RESOLVE, NUKE, NATRON, GENERIC.but(null_strings=EVERY), GENERIC.but(unknown=EVERY)]


def run(*command: str | Path) -> str:
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def built_by_gcc(binary: Path) -> bool:
    return "clang" not in run("readelf", "-p", ".comment", binary)


def needed(binary: Path) -> set[str]:
    return set(re.findall(r"\(NEEDED\).*\[(.+)\]", run("readelf", "-d", binary)))


# -- the files


def test_exports_only_the_entry_points(binary: Path) -> None:
    symbols = {line.split()[-1] for line in run("nm", "-D", "--defined-only", binary).splitlines()}
    assert symbols == {"OfxGetPlugin", "OfxGetNumberOfPlugins", "OfxSetHost"}


def test_brings_what_a_host_may_lack_or_have_in_another_version(binary: Path) -> None:
    # gcc's own support library is everywhere that a C++ host runs, and must be shared with it
    assert needed(binary) <= EVERYWHERE | ({"libgcc_s.so.1"} if built_by_gcc(binary) else set())


def test_runs_on_an_old_glibc(binary: Path) -> None:
    if built_by_gcc(binary):
        pytest.skip("a development build; `make plugin` makes the release")
    versions = {
        tuple(map(int, text.split("."))) for text in re.findall(r"GLIBC_([\d.]+)", run("objdump", "-T", binary))
    }
    assert versions and max(versions) <= OLDEST_GLIBC


def test_stays_mapped_when_a_host_closes_it_with_threads_running(binary: Path) -> None:
    assert "NODELETE" in run("readelf", "-d", binary)


def test_bundle_says_what_it_is(bundle: Path) -> None:
    stated = plistlib.loads((bundle / "Contents/Info.plist").read_bytes())
    assert stated["CFBundleExecutable"] == "Latensify.ofx" and stated["CFBundleShortVersionString"] == __version__
    icons = {path.stem for path in (bundle / "Contents/Resources").glob("*.svg")}
    assert icons == set(IDS.values())


# -- the panel


def test_has_one_plugin_for_each_effect(bundle: Path) -> None:
    with OfxHost(bundle) as host:
        assert host.plugins() == list(IDS.values())
        assert set(host.versions().values()) == {(1, 0)}


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("context", ["filter", "general"])
def test_panel_is_the_declaration(bundle: Path, effect: str, context: str) -> None:
    with OfxHost(bundle) as host:
        panel = host.describe(IDS[effect], context).params
        host.check()
    declared = parameters(effect)
    shown = [name for name, found in panel.items() if found.type != "Group" and name not in OURS]
    assert shown == [parameter.name for parameter in declared]
    for parameter in declared:
        _assert_same(panel[parameter.name], parameter)
    groups = [found.label for found in panel.values() if found.type == "Group"]
    assert groups == list(dict.fromkeys(parameter.group for parameter in declared))


def _assert_same(found: ParamDescription, declared: Parameter) -> None:
    assert found.type == TYPES[declared.kind], declared.name
    assert (found.label, found.hint) == (declared.label, declared.help)
    assert found.parent == f"group_{declared.group}"
    if declared.choices:
        assert found.options == tuple(choice.label for choice in declared.choices)
        assert found.default == declared.choices.index(declared.default)
    else:
        assert found.default == declared.default
    if declared.minimum is not None:
        assert (found.min, found.max) == (declared.minimum, declared.maximum)
        assert (found.display_min, found.display_max) == declared.slider


def test_own_rows(bundle: Path) -> None:
    with OfxHost(bundle) as host:
        panel = host.describe(IDS["restyle"]).params
    status, request = panel["status"], panel["process_request"]
    assert not (status.enabled or status.animates or status.persistent or status.evaluate_on_change)
    assert request.secret and not (request.persistent or request.animates) and request.evaluate_on_change
    assert panel["process_range"].type == panel["refresh_status"].type == "PushButton"
    assert not any(found.animates for found in panel.values() if found.type == "String")


@pytest.mark.parametrize("effect", EFFECTS)
def test_an_effect_that_fits_has_the_button_and_the_choice_that_it_makes(bundle: Path, effect: str) -> None:
    with OfxHost(bundle) as host:
        panel = host.describe(IDS[effect], "general").params
    assert ("fit_shot" in panel, "fit_request" in panel) == (EFFECTS[effect].fits, EFFECTS[effect].fits)
    if EFFECTS[effect].fits:
        assert panel["fit_shot"].type == "PushButton" and panel["fit_request"].secret
        fill = next(parameter for parameter in parameters(effect) if parameter.name == "fill")
        assert "fitted" in [choice.value for choice in fill.choices]


@pytest.mark.parametrize("effect", EFFECTS)
def test_effect_says_what_it_takes(bundle: Path, effect: str) -> None:
    with OfxHost(bundle) as host:
        found = host.describe(IDS[effect], "general")
    generator = EFFECTS[effect].generator
    assert found.contexts == ("filter", "general", *(["generator"] if generator else []))
    assert found.depths == ("float", "half", "short", "byte")
    assert found.thread_safety == "fully-safe" and found.temporal
    assert not (found.tiles or found.multiple_depths or found.host_frame_threading)
    assert list(found.clips) == [*EFFECTS[effect].clips, "Output"]
    assert all(set(clip.components) == {"RGBA", "RGB", "Alpha"} for clip in found.clips.values())
    optional = {"Source": generator, "Mask": True, "Output": False}
    assert {name: clip.optional for name, clip in found.clips.items()} == {name: optional[name] for name in found.clips}


# -- loading, with no server anywhere


@pytest.mark.parametrize("variant", HOSTS, ids=lambda variant: variant.name)
@pytest.mark.parametrize("effect", EFFECTS)
def test_loads_without_a_server(bundle: Path, effect: str, variant: HostVariant) -> None:
    context = variant.contexts[0]
    with OfxHost(bundle, variant) as host:
        instance = host.instance(IDS[effect], context, params={"server": "tcp://127.0.0.1:9"}, clips={"Source": Clip()})
        assert instance.begin_edit() in (K.kOfxStatOK, K.kOfxStatReplyDefault)
        instance.set("strength", 0.5)
        instance.frames_needed(1)
        instance.is_identity(1)
        assert max(call.ended - call.started for call in host.calls) < 0.5
        host.check()
    host.check()


@pytest.mark.parametrize("missing", sorted(REQUIRED_SUITES), ids=lambda suite: str(suite[0]))
def test_refuses_a_host_without_the_suites_it_needs(bundle: Path, missing: tuple[str, int]) -> None:
    with OfxHost(bundle, GENERIC.without(missing)) as host:
        assert host.load(IDS["restyle"]) == K.kOfxStatErrMissingHostFeature


def test_loads_again_after_unload(bundle: Path) -> None:
    with OfxHost(bundle) as host:
        for _ in range(3):
            for plugin in IDS.values():
                host.describe(plugin)
                host.instance(plugin, clips={"Source": Clip()})
            for plugin in IDS.values():
                assert host.unload(plugin) in (K.kOfxStatOK, K.kOfxStatReplyDefault)
        host.check()
