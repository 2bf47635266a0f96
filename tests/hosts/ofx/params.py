"""Parameters: their definitions, their values and keyframes, and the parameter suite."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from ctypes import c_char_p, c_double, c_int, c_uint, c_void_p
from typing import Any

from .api import K, OfxRangeD
from .properties import C_TYPES, PropertySet
from .runtime import Runtime, write
from .schema import PARAM_INSTANCE_WRITABLE, PARAM_SET, PARAMS, Value

Values = tuple[Value, ...]


class Animated(dict[float, Any]):
    """Keyframes, {time: value}: doubles are interpolated linearly, everything else holds until the next key."""


def as_values(value: Any) -> Values:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


class Param:
    """One parameter of a descriptor or of an instance. Its value is a constant tuple or has keys."""

    def __init__(self, runtime: Runtime, type_: str, name: str, properties: PropertySet) -> None:
        self.runtime, self.type, self.name, self.properties = runtime, type_, name, properties
        self.handle = runtime.register(self)
        default = properties.specs.get(K.kOfxParamPropDefault)
        self.value_type = default.type if default else None
        self.keys: dict[float, Values] = {}
        self.constant: Values = tuple(properties.values[K.kOfxParamPropDefault]) if default else ()

    def set(self, value: Any) -> None:
        """A constant or Animated value; a choice may be given by its label."""
        if isinstance(value, Animated):
            if not self.properties.get(K.kOfxParamPropAnimates):
                raise ValueError(f"parameter {self.name} does not animate in this host")
            self.keys = {float(time): self._checked(key) for time, key in value.items()}
        else:
            self.keys, self.constant = {}, self._checked(value)
        self.properties.put(K.kOfxParamPropIsAnimating, int(bool(self.keys)))

    def _checked(self, value: Any) -> Values:
        if self.value_type is None:
            raise ValueError(f"parameter {self.name} ({self.type}) holds no value")
        if self.type == K.kOfxParamTypeChoice and isinstance(value, str):
            value = self.properties.values[K.kOfxParamPropChoiceOption].index(value)
        convert = {"i": int, "d": float, "s": str}[self.value_type]
        values = tuple(convert(one) for one in as_values(value))
        if len(values) != len(self.constant):
            raise ValueError(f"parameter {self.name} takes {len(self.constant)} values, got {values}")
        return values

    def at(self, time: float) -> Values:
        if not self.keys:
            return self.constant
        times = sorted(self.keys)
        after = bisect.bisect_right(times, time)
        if after in (0, len(times)) or self.value_type != "d":
            return self.keys[times[max(after - 1, 0)]]
        low, high = times[after - 1], times[after]
        part = (time - low) / (high - low)
        pairs = zip(self.keys[low], self.keys[high], strict=True)
        return tuple(a + (b - a) * part for a, b in pairs)  # type: ignore[operator]


class ParamSet:
    """The parameters of a descriptor or an instance, in order of definition."""

    def __init__(self, runtime: Runtime, owner: str, target: Any, closed: bool) -> None:
        self.runtime, self.owner, self.target, self.closed = runtime, owner, target, closed
        self.params: dict[str, Param] = {}
        self.properties = PropertySet(runtime, "paramset", f"{owner} parameters", PARAM_SET)
        self.handle = runtime.register(self)
        self.edits_open = 0

    def define(self, type_: str, name: str) -> Param:
        owner = f"parameter {name}"
        properties = PropertySet(self.runtime, "param", owner, PARAMS[type_])
        properties.put(K.kOfxParamPropType, type_)
        properties.put(K.kOfxPropType, K.kOfxTypeParameter)
        for key in (K.kOfxPropName, K.kOfxPropLabel, K.kOfxParamPropScriptName):
            properties.put(key, name)
        if K.kOfxParamPropAnimates in properties.specs:
            properties.put(K.kOfxParamPropAnimates, int(self._animates(type_)))
        self.params[name] = Param(self.runtime, type_, name, properties)
        return self.params[name]

    def _animates(self, type_: str) -> bool:
        variant = self.runtime.variant
        by_type = {
            K.kOfxParamTypeString: variant.animates_strings,
            K.kOfxParamTypeCustom: False,
            K.kOfxParamTypeChoice: variant.animates_choices,
            K.kOfxParamTypeBoolean: variant.animates_booleans,
        }
        return by_type.get(type_, True)

    def instantiate(self, target: Any) -> ParamSet:
        made = ParamSet(self.runtime, self.owner, target, closed=True)
        for name, param in self.params.items():
            properties = param.properties.copy("param", param.properties.specs, PARAM_INSTANCE_WRITABLE)
            properties.put(K.kOfxPropType, K.kOfxTypeParameterInstance)
            if K.kOfxParamPropAnimates in properties.specs and not self._animates(param.type):
                properties.put(K.kOfxParamPropAnimates, 0)
            made.params[name] = Param(self.runtime, param.type, name, properties)
        return made

    def assign(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if name not in self.params:
                raise KeyError(f"{self.owner} has no parameter {name}; it has {', '.join(self.params)}")
            self.params[name].set(value)


class ParameterSuite:
    """OfxParameterSuiteV1."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def _param(self, handle: int | None) -> Param:
        return self.runtime.lookup(handle, Param, "parameter")

    def _set(self, handle: int | None) -> ParamSet:
        return self.runtime.lookup(handle, ParamSet, "parameter set")

    def paramDefine(self, handle: int, type_: bytes, name: bytes, answer: int) -> None:
        found, kind, text = self._set(handle), (type_ or b"").decode(), (name or b"").decode()
        if found.closed:
            self.runtime.violate("late-define", f"parameter {text}", K.kOfxStatErrUnsupported)
        if text in found.params:
            self.runtime.violate("defined-twice", f"parameter {text}", K.kOfxStatErrExists)
        if kind == K.kOfxParamTypeStrChoice and not self.runtime.variant.str_choice:
            self.runtime.violate("unsupported-type", f"parameter {text}: {kind}", K.kOfxStatErrUnsupported)
        if kind not in PARAMS:
            self.runtime.violate("unsupported-type", f"parameter {text}: {kind}", K.kOfxStatErrUnknown)
        param = found.define(kind, text)
        if answer:  # the property set may be left unasked
            c_void_p.from_address(answer).value = param.properties.handle

    def paramGetHandle(self, handle: int, name: bytes, answer: int, properties: int) -> None:
        param = self._set(handle).params.get((name or b"").decode())
        if param is None:
            self.runtime.refuse(K.kOfxStatErrUnknown)
        write(answer, c_void_p, param.handle, self.runtime, "paramGetHandle")
        if properties:
            c_void_p.from_address(properties).value = param.properties.handle

    def paramSetGetPropertySet(self, handle: int, answer: int) -> None:
        write(answer, c_void_p, self._set(handle).properties.handle, self.runtime, "paramSetGetPropertySet")

    def paramGetPropertySet(self, handle: int, answer: int) -> None:
        write(answer, c_void_p, self._param(handle).properties.handle, self.runtime, "paramGetPropertySet")

    # -- values

    def paramGetValue(self, handle: int, *answers: int) -> None:
        param, call = self._param(handle), self.runtime.current()
        if param.keys and call and call.action == K.kOfxImageEffectActionRender:
            self.runtime.violate("animated-value-without-time", param.name)
        self._answer(param, param.at(call.render.time if call and call.render else 0.0), answers)

    def paramGetValueAtTime(self, handle: int, time: float, *answers: int) -> None:
        param = self._param(handle)
        self._answer(param, param.at(time), answers)

    def _answer(self, param: Param, values: Values, answers: tuple[int, ...]) -> None:
        if param.value_type is None:
            self.runtime.violate("wrong-param-type", f"{param.name} holds no value", K.kOfxStatErrValue)
        for value, address in zip(values, answers, strict=False):
            stored = self.runtime.passing_string(str(value)) if param.value_type == "s" else value
            write(address, C_TYPES[param.value_type or "i"], stored, self.runtime, param.name)

    def paramSetValue(self, handle: int, *values: Any) -> None:
        param = self._param(handle)
        self._may_set(param)
        param.constant = self._given(param, values)
        self._edited(param)

    def paramSetValueAtTime(self, handle: int, time: float, *values: Any) -> None:
        param = self._param(handle)
        self._may_set(param)
        param.keys[time] = self._given(param, values)
        param.properties.put(K.kOfxParamPropIsAnimating, 1)
        self._edited(param)

    def _may_set(self, param: Param) -> None:
        allowed = {K.kOfxActionCreateInstance, K.kOfxActionInstanceChanged, K.kOfxActionBeginInstanceChanged,
                   K.kOfxActionEndInstanceChanged, K.kOfxActionSyncPrivateData,
                   K.kOfxActionBeginInstanceEdit, K.kOfxActionEndInstanceEdit}  # fmt: skip
        call = self.runtime.stack[-1] if self.runtime.stack else None
        if call is None:
            self.runtime.violate("param-set-outside-action", param.name, K.kOfxStatErrUnsupported)
        elif call.action == K.kOfxImageEffectActionRender:
            self.runtime.violate("param-set-in-render", param.name, K.kOfxStatErrUnsupported)
        elif call.action not in allowed:
            self.runtime.violate("param-set-in-wrong-action", param.name, K.kOfxStatErrUnsupported)

    def _given(self, param: Param, values: tuple[Any, ...]) -> Values:
        size, integers, doubles = len(param.constant), values[:4], values[4:]
        if param.value_type == "d":
            return tuple(doubles[:size])
        if param.value_type == "s":
            data = c_char_p(integers[0]).value
            if data is None:
                self.runtime.violate("null-argument", f"{param.name}: set to NULL", K.kOfxStatErrValue)
            return ((data or b"").decode(),)
        return tuple(c_int(value & 0xFFFFFFFF).value for value in integers[:size])

    def _edited(self, param: Param) -> None:
        target = self.runtime.stack[-1].target
        if hasattr(target, "plugin_edited"):
            target.plugin_edited(param)

    # -- keys

    def paramGetNumKeys(self, handle: int, answer: int) -> None:
        write(answer, c_uint, len(self._param(handle).keys), self.runtime, "paramGetNumKeys")

    def paramGetKeyTime(self, handle: int, nth: int, answer: int) -> None:
        times = sorted(self._param(handle).keys)
        if nth >= len(times):
            self.runtime.refuse(K.kOfxStatErrBadIndex)
        write(answer, c_double, times[nth], self.runtime, "paramGetKeyTime")

    def paramGetKeyIndex(self, handle: int, time: float, direction: int, answer: int) -> None:
        times = sorted(self._param(handle).keys)
        side = (direction > 0) - (direction < 0)
        matches = [nth for nth, key in enumerate(times) if (key > time) - (key < time) == side]
        if not matches:
            self.runtime.refuse(K.kOfxStatFailed)
        write(answer, c_int, matches[-1 if direction < 0 else 0], self.runtime, "paramGetKeyIndex")

    def paramDeleteKey(self, handle: int, time: float) -> None:
        param = self._param(handle)
        self._may_set(param)
        if param.keys.pop(time, None) is None:
            self.runtime.refuse(K.kOfxStatErrBadIndex)

    def paramDeleteAllKeys(self, handle: int) -> None:
        param = self._param(handle)
        self._may_set(param)
        param.keys.clear()

    def paramCopy(self, to: int, source: int, offset: float, span: int | None) -> None:
        target, origin = self._param(to), self._param(source)
        self._may_set(target)
        bounds = OfxRangeD.from_address(span) if span else None
        target.constant = origin.constant
        target.keys = {
            time + offset: values
            for time, values in origin.keys.items()
            if bounds is None or bounds.min <= time <= bounds.max
        }

    def paramGetDerivative(self, handle: int, time: float, *answers: int) -> int:
        return int(K.kOfxStatErrUnsupported)

    def paramGetIntegral(self, handle: int, start: float, end: float, *answers: int) -> int:
        return int(K.kOfxStatErrUnsupported)

    def paramEditBegin(self, handle: int, name: bytes) -> None:
        self._set(handle).edits_open += 1

    def paramEditEnd(self, handle: int) -> None:
        found = self._set(handle)
        if not found.edits_open:
            self.runtime.violate("edit-unbalanced", "paramEditEnd without paramEditBegin", K.kOfxStatFailed)
        found.edits_open -= 1
