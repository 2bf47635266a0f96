"""The OpenFX C API as ctypes sees it: constants read from our header, the structures, and the suites' signatures.

Variadic functions (`paramGetValue(handle, ...)`) are declared with as many integer and floating arguments as a caller
can pass in registers: on x86-64 System V and on 64-bit Arm Linux a variadic call passes its arguments in the same
registers as a plain one, so the callback finds pointers and doubles where its own signature says they are.
"""

from __future__ import annotations

import ctypes
import re
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_double, c_int, c_size_t, c_uint, c_void_p
from pathlib import Path
from types import SimpleNamespace
from typing import Any

HEADER = Path(__file__).parents[3] / "ofx_plugin" / "include" / "ofx_api.h"


def _constants(text: str) -> dict[str, str | int]:
    pairs = re.findall(r'^#define (kOfx\w+) (?:"([^"]*)"|(\d+))', text, re.MULTILINE)
    return {name: int(number) if number else string for name, string, number in pairs}


K: Any = SimpleNamespace(**_constants(HEADER.read_text(encoding="utf-8")))
STATUS_NAMES = {value: name for name, value in vars(K).items() if name.startswith("kOfxStat")}


class OfxRectD(Structure):
    _fields_ = [("x1", c_double), ("y1", c_double), ("x2", c_double), ("y2", c_double)]


class OfxRangeD(Structure):
    _fields_ = [("min", c_double), ("max", c_double)]


FetchSuite = CFUNCTYPE(c_void_p, c_void_p, c_char_p, c_int)
MainEntry = CFUNCTYPE(c_int, c_char_p, c_void_p, c_void_p, c_void_p)
ThreadFunction = CFUNCTYPE(None, c_uint, c_uint, c_void_p)


class OfxHostStruct(Structure):
    _fields_ = [("host", c_void_p), ("fetchSuite", FetchSuite)]


class OfxPluginStruct(Structure):
    _fields_ = [
        ("pluginApi", c_char_p),
        ("apiVersion", c_int),
        ("pluginIdentifier", c_char_p),
        ("pluginVersionMajor", c_uint),
        ("pluginVersionMinor", c_uint),
        ("setHost", CFUNCTYPE(None, POINTER(OfxHostStruct))),
        ("mainEntry", MainEntry),
    ]


def _suite(name: str, **functions: tuple[Any, ...]) -> type[Structure]:
    fields = [(function, CFUNCTYPE(c_int, *arguments)) for function, arguments in functions.items()]
    return type(name, (Structure,), {"_fields_": fields})


_P, _S, _I, _D, _SIZE, _L = c_void_p, c_char_p, c_int, c_double, c_size_t, ctypes.c_int64
_POINTERS = (_P,) * 4  # the values that a paramGetValue asks for
_VALUES = (_L,) * 4 + (_D,) * 4  # the values that a paramSetValue gives: integers and pointers, then doubles
_PRINTF = (_P, _S, _S, _S) + (_L,) * 6 + (_D,) * 4  # handle, type, id, format, then what the format names

SUITES: dict[tuple[str, int], type[Structure]] = {
    (K.kOfxPropertySuite, 1): _suite(
        "OfxPropertySuiteV1",
        propSetPointer=(_P, _S, _I, _P),
        propSetString=(_P, _S, _I, _S),
        propSetDouble=(_P, _S, _I, _D),
        propSetInt=(_P, _S, _I, _I),
        propSetPointerN=(_P, _S, _I, _P),
        propSetStringN=(_P, _S, _I, _P),
        propSetDoubleN=(_P, _S, _I, _P),
        propSetIntN=(_P, _S, _I, _P),
        propGetPointer=(_P, _S, _I, _P),
        propGetString=(_P, _S, _I, _P),
        propGetDouble=(_P, _S, _I, _P),
        propGetInt=(_P, _S, _I, _P),
        propGetPointerN=(_P, _S, _I, _P),
        propGetStringN=(_P, _S, _I, _P),
        propGetDoubleN=(_P, _S, _I, _P),
        propGetIntN=(_P, _S, _I, _P),
        propReset=(_P, _S),
        propGetDimension=(_P, _S, _P),
    ),
    (K.kOfxImageEffectSuite, 1): _suite(
        "OfxImageEffectSuiteV1",
        getPropertySet=(_P, _P),
        getParamSet=(_P, _P),
        clipDefine=(_P, _S, _P),
        clipGetHandle=(_P, _S, _P, _P),
        clipGetPropertySet=(_P, _P),
        clipGetImage=(_P, _D, _P, _P),
        clipReleaseImage=(_P,),
        clipGetRegionOfDefinition=(_P, _D, _P),
        abort=(_P,),
        imageMemoryAlloc=(_P, _SIZE, _P),
        imageMemoryFree=(_P,),
        imageMemoryLock=(_P, _P),
        imageMemoryUnlock=(_P,),
    ),
    (K.kOfxParameterSuite, 1): _suite(
        "OfxParameterSuiteV1",
        paramDefine=(_P, _S, _S, _P),
        paramGetHandle=(_P, _S, _P, _P),
        paramSetGetPropertySet=(_P, _P),
        paramGetPropertySet=(_P, _P),
        paramGetValue=(_P, *_POINTERS),
        paramGetValueAtTime=(_P, _D, *_POINTERS),
        paramGetDerivative=(_P, _D, *_POINTERS),
        paramGetIntegral=(_P, _D, _D, *_POINTERS),
        paramSetValue=(_P, *_VALUES),
        paramSetValueAtTime=(_P, _D, *_VALUES),
        paramGetNumKeys=(_P, _P),
        paramGetKeyTime=(_P, c_uint, _P),
        paramGetKeyIndex=(_P, _D, _I, _P),
        paramDeleteKey=(_P, _D),
        paramDeleteAllKeys=(_P,),
        paramCopy=(_P, _P, _D, _P),
        paramEditBegin=(_P, _S),
        paramEditEnd=(_P,),
    ),
    (K.kOfxMemorySuite, 1): _suite("OfxMemorySuiteV1", memoryAlloc=(_P, _SIZE, _P), memoryFree=(_P,)),
    (K.kOfxMultiThreadSuite, 1): _suite(
        "OfxMultiThreadSuiteV1",
        multiThread=(_P, c_uint, _P),
        multiThreadNumCPUs=(_P,),
        multiThreadIndex=(_P,),
        multiThreadIsSpawnedThread=(),
        mutexCreate=(_P, _I),
        mutexDestroy=(_P,),
        mutexLock=(_P,),
        mutexUnLock=(_P,),
        mutexTryLock=(_P,),
    ),
    (K.kOfxMessageSuite, 1): _suite("OfxMessageSuiteV1", message=_PRINTF),
    (K.kOfxMessageSuite, 2): _suite(
        "OfxMessageSuiteV2", message=_PRINTF, setPersistentMessage=_PRINTF, clearPersistentMessage=(_P,)
    ),
    (K.kOfxProgressSuite, 1): _suite(
        "OfxProgressSuiteV1", progressStart=(_P, _S), progressUpdate=(_P, _D), progressEnd=(_P,)
    ),
    (K.kOfxProgressSuite, 2): _suite(
        "OfxProgressSuiteV2", progressStart=(_P, _S, _S), progressUpdate=(_P, _D), progressEnd=(_P,)
    ),
    (K.kOfxTimeLineSuite, 1): _suite(
        "OfxTimeLineSuiteV1", getTime=(_P, _P), gotoTime=(_P, _D), getTimeBounds=(_P, _P, _P)
    ),
}
REQUIRED_SUITES = frozenset({(K.kOfxPropertySuite, 1), (K.kOfxImageEffectSuite, 1), (K.kOfxParameterSuite, 1)})
