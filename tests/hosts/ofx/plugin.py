"""A plugin binary on disk and the plugins in it: dlopen, load, describe, unload."""

from __future__ import annotations

import _ctypes
import ctypes
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Any

from .api import K, OfxPluginStruct
from .descriptor import Descriptor, argument_set
from .runtime import ActionFailed, Call, Runtime
from .variants import CONTEXTS

_GOOD = (K.kOfxStatOK, K.kOfxStatReplyDefault)
_FOLDERS = {"Linux": "Linux-x86-64", "Darwin": "MacOS", "Windows": "Win64"}


def bundle_binary(path: Path) -> Path:
    """The .ofx file of a bundle; a file stands for itself."""
    if path.is_file():
        return path
    found = path / "Contents" / _FOLDERS[platform.system()] / f"{path.name.removesuffix('.bundle')}"
    if not found.is_file():
        raise FileNotFoundError(f"{path} holds no {found.relative_to(path)}: build the plugin first")
    return found


class Binary:
    """The loaded library. `isolate` loads a private copy of the whole bundle, so that its statics are fresh."""

    def __init__(self, path: Path, isolate: bool) -> None:
        self.folder: str | None = None
        if isolate:
            self.folder = tempfile.mkdtemp(prefix="ofx-host-")
            copy = Path(self.folder) / path.name
            path = Path(shutil.copytree(path, copy) if path.is_dir() else shutil.copy2(path, copy))
        self.path = path
        self.library = ctypes.CDLL(str(bundle_binary(path)))
        self.library.OfxGetPlugin.restype = ctypes.POINTER(OfxPluginStruct)

    def exports(self, name: str) -> bool:
        return hasattr(self.library, name)

    def structs(self) -> list[OfxPluginStruct]:
        return [self.library.OfxGetPlugin(nth).contents for nth in range(self.library.OfxGetNumberOfPlugins())]

    def close(self, unmap: bool) -> None:
        if unmap:
            _ctypes.dlclose(self.library._handle)
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


class Plugin:
    """One plugin of a binary, with the state of its loading."""

    def __init__(self, runtime: Runtime, struct: OfxPluginStruct, path: str) -> None:
        self.runtime, self.struct, self.path = runtime, struct, path
        self.id = struct.pluginIdentifier.decode()
        self.version = (struct.pluginVersionMajor, struct.pluginVersionMinor)
        self.loaded = False
        self.effect: Descriptor | None = None
        self.contexts: dict[str, Descriptor] = {}

    def send(self, action: str, target: Any = None, ins: Any = None, outs: Any = None, render: Any = None) -> Call:
        """Send an action. When it has ended, whatever it should have given back must be back."""
        call = self.runtime.begin(action, target, render)
        status = int(K.kOfxStatFailed)
        try:
            handles = [part.handle if part is not None else None for part in (target, ins, outs)]
            status = self.struct.mainEntry(action.encode(), *handles)
        finally:
            self.runtime.end(call, status)
        self._check_ended(call)
        return call

    def _check_ended(self, call: Call) -> None:
        for handle, image in list(call.images.items()):
            self.runtime.note("image-leak", image.clip.name, call.action)
            self.runtime.images.pop(handle, None)
            self.runtime.forget(handle)
        if call.progress_open:
            self.runtime.note("progress-unbalanced", "no progressEnd", call.action)

    def load(self) -> int:
        status = self.send(K.kOfxActionLoad).status
        self.loaded = status in _GOOD
        return int(status or 0)

    def describe_all(self) -> None:
        """Describe, then DescribeInContext for every context that host and plugin share."""
        self.effect = Descriptor(self.runtime, self.id, None, self.path)
        self._must(K.kOfxActionDescribe, self.effect)
        self.effect.close()
        offered = self.effect.properties.values[K.kOfxImageEffectPropSupportedContexts]
        for context in self.runtime.variant.contexts:
            if CONTEXTS[context] in offered:
                self.contexts[context] = self._in_context(context)

    def _in_context(self, context: str) -> Descriptor:
        assert self.effect is not None
        made = Descriptor(self.runtime, self.id, context, self.path)
        made.properties.values.update({key: list(values) for key, values in self.effect.properties.values.items()})
        made.properties.put(K.kOfxImageEffectPropContext, CONTEXTS[context])
        ins = argument_set(
            self.runtime, "describe in", {K.kOfxImageEffectPropContext: (CONTEXTS[context],)}, False, False
        )
        self._must(K.kOfxImageEffectActionDescribeInContext, made, ins)
        made.close()
        return made

    def _must(self, action: str, target: Any, ins: Any = None) -> None:
        status = self.send(action, target, ins).status
        if status not in _GOOD:
            raise ActionFailed(action, int(status or 0))

    def unload(self) -> int:
        self.loaded, self.effect, self.contexts = False, None, {}
        return int(self.send(K.kOfxActionUnload).status or 0)
