"""Property sets and the property suite, checked against the schema of the object that carries them."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_char_p, c_double, c_int, c_void_p
from typing import Any

from .api import K
from .runtime import Runtime, write
from .schema import Spec, Value

C_TYPES: dict[str, Any] = {"i": c_int, "d": c_double, "s": c_void_p, "p": c_void_p}
_VARIANT_KINDS = ("host", "effect", "clip", "param")  # what a variant's EVERY reaches


class PropertySet:
    """Named, typed, sized values of one object. `writable` names what a plugin may set; None means all."""

    def __init__(
        self, runtime: Runtime, kind: str, owner: str, specs: dict[str, Spec], writable: frozenset[str] | None = None
    ) -> None:
        self.runtime, self.kind, self.owner = runtime, kind, owner
        self.specs, self.writable = dict(specs), writable
        self.values: dict[str, list[Value]] = {name: list(spec.default) for name, spec in specs.items()}
        self.set_by_plugin: set[str] = set()
        self.handle = runtime.register(self)

    def put(self, name: str, *values: Value) -> None:
        """Host side: set all values of a known property."""
        assert self.specs[name].size in (0, len(values)), f"{self.owner}.{name} takes {self.specs[name].size} values"
        self.values[name] = list(values)

    def add(self, name: str, kind: str, *values: Value) -> None:
        """Host side: a property outside the schema."""
        self.specs[name] = Spec(kind, len(values), values)
        self.values[name] = list(values)

    def drop(self, *names: str) -> None:
        for name in names:
            self.specs.pop(name, None)
            self.values.pop(name, None)

    def get(self, name: str, index: int = 0) -> Any:
        values = self.values[name]
        return values[index] if index < len(values) else None

    def copy(self, kind: str, specs: dict[str, Spec], writable: frozenset[str] | None) -> PropertySet:
        """A set for an instance, starting from this descriptor's values."""
        made = PropertySet(self.runtime, kind, self.owner, specs, writable)
        made.values.update({name: list(values) for name, values in self.values.items() if name in specs})
        made.set_by_plugin = set(self.set_by_plugin)
        return made

    # -- plugin side

    def _spec(self, name: str, kind: str, writing: bool) -> Spec:
        spec = self.specs.get(name)
        if spec is None:
            if writing:
                self.runtime.violate("unknown-property", f"{self.owner}: sets {name}", K.kOfxStatErrUnknown)
            self.runtime.unknown_reads.add((self.owner, name))
            self.runtime.refuse(K.kOfxStatErrUnknown)
        assert spec is not None
        if kind not in (spec.type, "?"):
            detail = f"{self.owner}.{name}: is {spec.type}, used as {kind}"
            self.runtime.violate("wrong-property-type", detail, K.kOfxStatErrValue)
        return spec

    def write(self, name: str, kind: str, index: int, values: Sequence[Value], whole: bool) -> None:
        spec = self._spec(name, kind, writing=True)
        if self.writable is not None and name not in self.writable:
            self.runtime.violate("read-only-property", f"{self.owner}.{name}", K.kOfxStatErrValue)
        call = self.runtime.current()
        if self.kind == "param" and call and call.action == K.kOfxImageEffectActionRender:
            self.runtime.violate("param-set-in-render", f"{self.owner}.{name}", K.kOfxStatErrValue)
        self._check_index(spec, name, index, len(values), whole)
        held = [] if whole else list(self.values[name])
        self.values[name] = held[:index] + list(values) + held[index + len(values) :]
        self.set_by_plugin.add(name)

    def _check_index(self, spec: Spec, name: str, index: int, count: int, whole: bool) -> None:
        held = len(self.values[name])
        fits = 0 <= index <= held if spec.size == 0 else index >= 0 and index + count <= spec.size
        if (whole and spec.size not in (0, count)) or not fits:
            detail = f"{self.owner}.{name}: index {index}, count {count}, dimension {spec.size or 'any'}"
            self.runtime.violate("bad-property-index", detail, K.kOfxStatErrBadIndex)

    def read(self, name: str, kind: str, index: int, count: int) -> list[Value]:
        if self._named_by(self.runtime.variant.unknown, name):
            self.runtime.refuse(K.kOfxStatErrUnknown)
        self._spec(name, kind, writing=False)
        values = self.values[name]
        if index < 0 or index + count > len(values):
            if self.specs[name].size:
                detail = f"{self.owner}.{name}: reads {index}..{index + count}, has {len(values)}"
                self.runtime.violate("bad-property-index", detail)
            self.runtime.refuse(K.kOfxStatErrBadIndex)
        if kind == "s" and self._named_by(self.runtime.variant.null_strings, name):
            return [None] * count
        return values[index : index + count]

    def _named_by(self, names: frozenset[str], name: str) -> bool:
        return name in names or ("*" in names and self.kind in _VARIANT_KINDS and name != K.kOfxPropInstanceData)


class PropertySuite:
    """OfxPropertySuiteV1. The sixteen getters and setters are made from the table of types below."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        for word, kind in {"Pointer": "p", "String": "s", "Double": "d", "Int": "i"}.items():
            setattr(self, f"propSet{word}", self._setter(kind))
            setattr(self, f"propSet{word}N", self._array_setter(kind))
            setattr(self, f"propGet{word}", self._getter(kind, array=False))
            setattr(self, f"propGet{word}N", self._getter(kind, array=True))

    def _find(self, handle: int | None, name: bytes | None) -> tuple[PropertySet, str]:
        found = self.runtime.lookup(handle, PropertySet, f"property {name!r}")
        if name is None:
            self.runtime.violate("null-argument", f"{found.owner}: NULL property name", K.kOfxStatErrValue)
        return found, (name or b"").decode()

    def _setter(self, kind: str) -> Any:
        def set_one(handle: int, name: bytes, index: int, value: Any) -> None:
            found, text = self._find(handle, name)
            found.write(text, kind, index, [self._value(found, text, value)], whole=False)

        return set_one

    def _array_setter(self, kind: str) -> Any:
        def set_many(handle: int, name: bytes, count: int, address: int) -> None:
            found, text = self._find(handle, name)
            element = c_char_p if kind == "s" else C_TYPES[kind]
            values = (element * count).from_address(address) if count else []
            found.write(text, kind, 0, [self._value(found, text, value) for value in values], whole=True)

        return set_many

    def _value(self, found: PropertySet, name: str, value: Any) -> Value:
        if not isinstance(value, bytes):
            return value  # type: ignore[no-any-return]
        try:
            return value.decode()
        except UnicodeDecodeError:
            self.runtime.violate("not-utf8", f"{found.owner}.{name}: {value!r}")
            return value.decode(errors="replace")

    def _getter(self, kind: str, array: bool) -> Any:
        def get(handle: int, name: bytes, number: int, address: int) -> None:
            found, text = self._find(handle, name)
            values = found.read(text, kind, *((0, number) if array else (number, 1)))
            for nth, value in enumerate(values):
                stored = self.runtime.string(str(value)) if kind == "s" and value is not None else value
                target = address + nth * ctypes.sizeof(C_TYPES[kind]) if address else None
                write(target, C_TYPES[kind], stored, self.runtime, text)

        return get

    def propReset(self, handle: int, name: bytes) -> None:
        found, text = self._find(handle, name)
        spec = found._spec(text, "?", writing=True)
        found.values[text] = list(spec.default)

    def propGetDimension(self, handle: int, name: bytes, address: int) -> None:
        found, text = self._find(handle, name)
        found._spec(text, "?", writing=False)
        if found._named_by(self.runtime.variant.unknown, text):
            self.runtime.refuse(K.kOfxStatErrUnknown)
        write(address, c_int, len(found.values[text]), self.runtime, text)
