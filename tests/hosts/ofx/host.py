"""An OpenFX host for tests: loads a real plugin binary and drives it, in the manner of a `HostVariant`."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .api import SUITES, FetchSuite, K, OfxHostStruct
from .clips import Clip
from .description import Description, describe, faults
from .effect_suite import ImageEffectSuite
from .instance import Instance
from .params import ParameterSuite
from .plugin import Binary, Plugin
from .properties import PropertySet, PropertySuite
from .rendering import Rendered
from .runtime import ActionFailed, Call, Message, Runtime, Violation
from .schema import HOST
from .small_suites import MemorySuite, MessageSuite, MultiThreadSuite, ProgressSuite, TimeLineSuite
from .variants import COMPONENTS, CONTEXTS, DEPTHS, GENERIC, HostVariant

_MAKERS: dict[str, Callable[[Runtime], Any]] = {
    K.kOfxPropertySuite: PropertySuite,
    K.kOfxImageEffectSuite: ImageEffectSuite,
    K.kOfxParameterSuite: ParameterSuite,
    K.kOfxMemorySuite: MemorySuite,
    K.kOfxMultiThreadSuite: MultiThreadSuite,
    K.kOfxMessageSuite: MessageSuite,
    K.kOfxProgressSuite: ProgressSuite,
    K.kOfxTimeLineSuite: TimeLineSuite,
}


class OfxHost:
    """A host process in small. Use as a context manager, or `close` it.

    `binary` is a .ofx.bundle folder or a .ofx file. `isolate` loads a private copy, so that hosts do not share the
    plugin's statics; `unmap` closes the library in the end.
    """

    def __init__(
        self, binary: Path | str, variant: HostVariant = GENERIC, *, isolate: bool = True, unmap: bool = False
    ) -> None:
        self.variant, self._unmap = variant, unmap
        self.runtime = Runtime(variant)
        self.properties = _host_properties(self.runtime)
        self._makers = {name: make(self.runtime) for name, make in _MAKERS.items()}
        self._suites = {key: self._suite(*key) for key in SUITES if key in variant.suites}
        self._fetch = FetchSuite(self._fetch_suite)
        self._struct = OfxHostStruct(self.properties.handle, self._fetch)
        self.binary = Binary(Path(binary), isolate)
        if self.binary.exports("OfxSetHost"):
            self.binary.library.OfxSetHost(ctypes.byref(self._struct))
        path = str(self.binary.path)
        self._plugins = {one.id: one for one in (Plugin(self.runtime, s, path) for s in self.binary.structs())}
        self._instances: list[tuple[Plugin, Instance]] = []
        self._describing = threading.Lock()
        self._set_hosts()

    def __enter__(self) -> OfxHost:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _set_hosts(self) -> None:
        for plugin in self._plugins.values():
            plugin.struct.setHost(ctypes.byref(self._struct))

    def _suite(self, name: str, version: int) -> ctypes.Structure:
        structure, maker = SUITES[name, version](), self._makers[name]
        for function, prototype in structure._fields_:  # type: ignore[misc]
            if function not in self.variant.null_entries:
                setattr(structure, function, prototype(self.runtime.guarded(getattr(maker, function))))
        return structure

    def _fetch_suite(self, host: int, name: bytes, version: int) -> int | None:
        key = ((name or b"").decode(), version)
        self.runtime.suites_asked.append(key)
        if host != self.properties.handle:
            self.runtime.violate("bad-handle", f"fetchSuite with host {host}")
        if not self.runtime.running:
            self.runtime.violate("suite-outside-action", key[0])
        suite = self._suites.get(key)
        return ctypes.addressof(suite) if suite is not None else None

    # -- records

    @property
    def violations(self) -> list[Violation]:
        return self.runtime.violations

    @property
    def messages(self) -> list[Message]:
        return self.runtime.messages

    @property
    def calls(self) -> list[Call]:
        """Every action sent, in order, with its status and times (monotonic seconds)."""
        return self.runtime.calls

    def actions(self) -> list[str]:
        return [call.action for call in self.calls]

    def check(self) -> None:
        """Raise AssertionError, naming every violation so far."""
        lines = [f"{v.rule}: {v.detail} (in {v.action})" for v in self.violations]
        assert not lines, "the plugin broke the standard:\n" + "\n".join(lines)

    # -- plugins

    def plugins(self) -> list[str]:
        return list(self._plugins)

    def versions(self) -> dict[str, tuple[int, int]]:
        return {plugin.id: plugin.version for plugin in self._plugins.values()}

    def load(self, plugin_id: str) -> int:
        """Send Load; the status."""
        return self._plugins[plugin_id].load()

    def unload(self, plugin_id: str) -> int:
        """Destroy what lives, send Unload; the status."""
        plugin = self._plugins[plugin_id]
        self._destroy_all(plugin)
        return plugin.unload()

    def describe(self, plugin_id: str, context: str = "filter") -> Description:
        """Load and describe if that was not done; the description in a context, its faults noted as violations."""
        with self._describing:  # threads that each make an instance come here at the same time
            plugin = self._ready(plugin_id)
        if context not in plugin.contexts:
            raise KeyError(f"{plugin_id} is not described in {context}; it is in {', '.join(plugin.contexts)}")
        return describe(plugin.contexts[context], plugin.version)

    def _ready(self, plugin_id: str) -> Plugin:
        plugin = self._plugins[plugin_id]
        if plugin.contexts:
            return plugin
        self._load_and_describe(plugin)
        if self.variant.describes_twice:
            plugin.unload()
            self._load_and_describe(plugin)
        for effect in plugin.contexts.values():
            for fault in faults(describe(effect, plugin.version)):
                self.runtime.note("bad-description", fault, f"{plugin_id}, {effect.context}")
        return plugin

    def _load_and_describe(self, plugin: Plugin) -> None:
        status = K.kOfxStatOK if plugin.loaded else plugin.load()
        if not plugin.loaded:
            raise ActionFailed(K.kOfxActionLoad, status)
        plugin.describe_all()

    # -- instances

    def instance(
        self, plugin_id: str, context: str = "filter", *, params: Mapping[str, Any] | None = None,
        clips: Mapping[str, Clip] | None = None,
    ) -> Instance:  # fmt: skip
        """Create an instance; raises ActionFailed where the plugin refuses. A Clip for Output states its layout."""
        self.describe(plugin_id, context)
        plugin = self._plugins[plugin_id]
        made = Instance(self.runtime, plugin.send, plugin.contexts[context], params or {}, clips or {})
        made.create()
        self._instances.append((plugin, made))
        return made

    def render_frames(
        self, plugin_id: str, context: str, frames: Iterable[int], *, threads: int = 1,
        params: Mapping[str, Any] | None = None, clips: Mapping[str, Clip] | None = None, **options: Any,
    ) -> dict[int, Rendered]:  # fmt: skip
        """Render frames in this order on several threads: on one instance, or on one each where this host does."""
        shared = (
            None if self.variant.instance_per_frame else self.instance(plugin_id, context, params=params, clips=clips)
        )

        def one(frame: int) -> Rendered:
            instance = shared or self.instance(plugin_id, context, params=params, clips=clips)
            result = instance.render(frame, **options)
            if shared is None:
                instance.destroy()
            return result

        wanted = list(frames)
        with ThreadPoolExecutor(threads) as pool:
            return dict(zip(wanted, pool.map(one, wanted), strict=True))

    def _destroy_all(self, plugin: Plugin) -> None:
        for owner, instance in self._instances:
            if owner is plugin and instance.alive:
                instance.destroy()
        self._instances = [(owner, one) for owner, one in self._instances if owner is not plugin]

    def close(self) -> None:
        """Destroy instances and unload, where this host does; note memory that was not given back."""
        for plugin in self._plugins.values():
            if self.variant.cleans_up and plugin.loaded:
                self._destroy_all(plugin)
                plugin.unload()
        memory = self._makers[K.kOfxMemorySuite]
        if self.variant.cleans_up and memory.blocks:
            self.runtime.note("memory-leak", f"{len(memory.blocks)} blocks of the memory suite", "close")
        self.binary.close(self._unmap)


def _host_properties(runtime: Runtime) -> PropertySet:
    variant = runtime.variant
    made = PropertySet(runtime, "host", "host", HOST, frozenset())
    for key, values in _host_values(variant).items():
        made.put(key, *values)
    if variant.api is None:
        made.drop(K.kOfxPropAPIVersion)
    return made


def _host_values(variant: HostVariant) -> dict[str, tuple[Any, ...]]:
    return {
        K.kOfxPropType: (K.kOfxTypeImageEffectHost,),
        K.kOfxPropName: (variant.name,),
        K.kOfxPropLabel: (variant.label,),
        K.kOfxPropVersion: variant.version,
        K.kOfxPropVersionLabel: (".".join(map(str, variant.version)),),
        K.kOfxPropAPIVersion: variant.api or (0, 0),
        K.kOfxImageEffectHostPropIsBackground: (int(variant.background),),
        K.kOfxImageEffectPropSupportsMultipleClipDepths: (int(variant.multiple_depths),),
        K.kOfxImageEffectPropSupportedComponents: tuple(COMPONENTS[name] for name in variant.components),
        K.kOfxImageEffectPropSupportedContexts: tuple(CONTEXTS[name] for name in variant.contexts),
        K.kOfxImageEffectPropSupportedPixelDepths: tuple(DEPTHS[name] for name in variant.depths),
        K.kOfxImageEffectPropSupportsMultiResolution: (int(variant.multi_resolution),),
        K.kOfxImageEffectPropSupportsOverlays: (int(variant.overlays),),
        K.kOfxImageEffectPropSupportsTiles: (int(variant.tiles),),
        K.kOfxImageEffectPropTemporalClipAccess: (int(variant.temporal),),
        K.kOfxParamHostPropSupportsBooleanAnimation: (int(variant.animates_booleans),),
        K.kOfxParamHostPropSupportsChoiceAnimation: (int(variant.animates_choices),),
        K.kOfxParamHostPropSupportsStringAnimation: (int(variant.animates_strings),),
        K.kOfxParamHostPropSupportsStrChoice: (int(variant.str_choice),),
    }
