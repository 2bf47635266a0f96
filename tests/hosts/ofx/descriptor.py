"""What a plugin describes, in the large; and the argument sets of actions."""

from __future__ import annotations

from .api import K
from .clips import ClipDescriptor
from .params import ParamSet
from .properties import PropertySet
from .runtime import Runtime
from .schema import EFFECT_DESCRIPTOR, Spec, Value
from .variants import DEPTHS

Arguments = dict[str, tuple[Value, ...]]
_LETTERS = {int: "i", float: "d", str: "s"}


class Descriptor:
    """What the plugin describes: itself (context None), or itself in a context."""

    def __init__(self, runtime: Runtime, plugin_id: str, context: str | None, path: str) -> None:
        self.runtime, self.plugin_id, self.context, self.closed = runtime, plugin_id, context, False
        self.properties = PropertySet(runtime, "effect", f"effect {plugin_id}", EFFECT_DESCRIPTOR)
        self.properties.put(K.kOfxPropType, K.kOfxTypeImageEffect)
        self.properties.put(K.kOfxPropLabel, plugin_id)
        self.properties.put(K.kOfxPluginPropFilePath, path)
        self.params = ParamSet(runtime, f"effect {plugin_id}", self, closed=context is None)
        self.clips: dict[str, ClipDescriptor] = {}
        self.handle = runtime.register(self)

    def close(self) -> None:
        self.closed = self.params.closed = True

    @property
    def depths(self) -> list[str]:
        held = self.properties.values[K.kOfxImageEffectPropSupportedPixelDepths]
        return [short for short in self.runtime.variant.depths if DEPTHS[short] in held]


def argument_set(runtime: Runtime, owner: str, values: Arguments, writable: bool, any_size: bool) -> PropertySet:
    """The in or out arguments of an action."""
    specs = {
        name: Spec(_LETTERS[type(given[0])], 0 if any_size else len(given), given) for name, given in values.items()
    }
    return PropertySet(runtime, "args", owner, specs, None if writable else frozenset())
