"""The image effect suite: clips, images, abort and image memory."""

from __future__ import annotations

import ctypes
from ctypes import c_void_p
from typing import Any

from .api import K, OfxRectD
from .clips import ClipDescriptor, ClipInstance, Image, black_image, source_image
from .descriptor import Descriptor
from .instance import Instance
from .rendering import Render
from .runtime import Call, Runtime, write

_CHANGED = frozenset({K.kOfxActionBeginInstanceChanged, K.kOfxActionInstanceChanged, K.kOfxActionEndInstanceChanged})


class ImageEffectSuite:
    """OfxImageEffectSuiteV1."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.locked: dict[int, int] = {}

    def _effect(self, handle: int | None) -> Descriptor | Instance:
        return self.runtime.lookup(handle, Descriptor, "effect", Instance)

    def getPropertySet(self, handle: int, answer: int) -> None:
        write(answer, c_void_p, self._effect(handle).properties.handle, self.runtime, "getPropertySet")

    def getParamSet(self, handle: int, answer: int) -> None:
        write(answer, c_void_p, self._effect(handle).params.handle, self.runtime, "getParamSet")

    # -- clips

    def clipDefine(self, handle: int, name: bytes, answer: int) -> None:
        effect, text = self._effect(handle), (name or b"").decode()
        if not isinstance(effect, Descriptor) or effect.context is None or effect.closed:
            self.runtime.violate("late-define", f"clip {text}", K.kOfxStatErrUnsupported)
        assert isinstance(effect, Descriptor)
        if text in effect.clips:
            self.runtime.violate("defined-twice", f"clip {text}", K.kOfxStatErrExists)
        effect.clips[text] = ClipDescriptor(self.runtime, text)
        if answer:
            c_void_p.from_address(answer).value = effect.clips[text].properties.handle

    def clipGetHandle(self, handle: int, name: bytes, answer: int, properties: int) -> None:
        effect, text = self._effect(handle), (name or b"").decode()
        if isinstance(effect, Descriptor):
            self.runtime.violate("late-define", f"clipGetHandle {text} on a descriptor", K.kOfxStatErrBadHandle)
        offered = self.runtime.variant.clips
        clip = effect.clips.get(text)
        if clip is None or (offered is not None and text not in offered):
            self.runtime.refuse(K.kOfxStatErrUnknown)
        assert isinstance(clip, ClipInstance)
        write(answer, c_void_p, clip.handle, self.runtime, "clipGetHandle")
        if properties:
            c_void_p.from_address(properties).value = clip.properties.handle

    def _clip(self, handle: int | None) -> ClipInstance:
        return self.runtime.lookup(handle, ClipInstance, "clip")

    def clipGetPropertySet(self, handle: int, answer: int) -> None:
        write(answer, c_void_p, self._clip(handle).properties.handle, self.runtime, "clipGetPropertySet")

    def clipGetRegionOfDefinition(self, handle: int, time: float, answer: int) -> None:
        clip = self._clip(handle)
        if not clip.stated.connected and not self.runtime.variant.all_connected:
            self.runtime.refuse(K.kOfxStatFailed)
        region = clip.owner.output_region(time) if clip.name == "Output" else clip.stated.region(time)
        if not answer:
            self.runtime.violate("null-argument", "clipGetRegionOfDefinition", K.kOfxStatErrValue)
        bounds = OfxRectD(*region)  # held until it is copied
        ctypes.memmove(answer, ctypes.addressof(bounds), ctypes.sizeof(bounds))

    # -- images

    def clipGetImage(self, handle: int, time: float, region: int, answer: int) -> None:
        clip = self._clip(handle)
        call = self._render_call(clip)
        render: Render = call.render
        image = self._image(clip, time, render)
        render.fetches.append((clip.name, time))
        if image is None:
            self.runtime.refuse(K.kOfxStatFailed)
        call.images[image.handle] = image
        self.runtime.images[image.handle] = (image, call)
        write(answer, c_void_p, image.handle, self.runtime, "clipGetImage")

    def _render_call(self, clip: ClipInstance) -> Call:
        """The render that this fetch belongs to; a fetch from anywhere else is refused."""
        call = self.runtime.current(clip.owner)
        if call is not None and call.action in _CHANGED:
            self.runtime.violate("fetch-in-instance-changed", f"{clip.name}: Resolve deadlocks", K.kOfxStatFailed)
        if call is None or call.action != K.kOfxImageEffectActionRender:
            self.runtime.violate("fetch-outside-render", clip.name, K.kOfxStatFailed)
        assert call is not None
        if call.target is not clip.owner:
            self.runtime.violate("foreign-clip", f"{clip.name} of another instance", K.kOfxStatErrBadHandle)
        return call

    def _image(self, clip: ClipInstance, time: float, render: Render) -> Image | None:
        variant = self.runtime.variant
        if clip.name == "Output":
            if time != render.time:
                self.runtime.violate("output-at-other-time", f"{time}, renders {render.time}", K.kOfxStatFailed)
            return render.output_image()
        if not clip.stated.connected:
            return self._unconnected(clip, render)
        if time != render.time:
            self._check_temporal(clip, time, render)
            if variant.temporal_lie:
                time = render.time
            elif not variant.temporal:
                return None
        return source_image(clip, time, render.scale)

    def _check_temporal(self, clip: ClipInstance, time: float, render: Render) -> None:
        effect = clip.owner.descriptor.properties.get(K.kOfxImageEffectPropTemporalClipAccess)
        if not self.runtime.variant.temporal:
            self.runtime.violate("temporal-fetch", f"{clip.name} at {time}: the host has no temporal access")
        elif not effect or not clip.properties.get(K.kOfxImageEffectPropTemporalClipAccess):
            self.runtime.violate("temporal-fetch", f"{clip.name} at {time}: temporal access was not declared")
        elif render.frames_needed is not None and not render.needs(clip.name, time):
            self.runtime.violate("fetch-undeclared-frame", f"{clip.name} at {time}, declared {render.frames_needed}")

    def _unconnected(self, clip: ClipInstance, render: Render) -> Image | None:
        how = self.runtime.variant.unconnected
        if how == "fail":
            return None
        image = black_image(clip, render.region, render.scale)
        return image if how == "black" else image.without_data()

    def clipReleaseImage(self, handle: int) -> None:
        image, call = self.runtime.images.pop(handle, (None, None))
        if image is None:
            self.runtime.violate("bad-handle", f"clipReleaseImage of {handle}", K.kOfxStatErrBadHandle)
            return
        del call.images[handle]
        call.released.append(image)  # its memory outlives the action, so that a late reader sees NaN, not a crash
        self.runtime.forget(handle)
        if not image.is_output:
            image.check_unchanged()
            image.memory.spoil()

    # -- abort and memory

    def abort(self, handle: int) -> int:
        effect = self.runtime.lookup(handle, Instance, "abort")
        call = self.runtime.current(effect)
        return int(call is not None and call.render is not None and call.render.abort.poll())

    def imageMemoryAlloc(self, handle: int, size: int, answer: int) -> None:
        if handle:
            self._effect(handle)
        memory: Any = ctypes.create_string_buffer(max(size, 1))
        write(answer, c_void_p, self.runtime.register(memory), self.runtime, "imageMemoryAlloc")

    def imageMemoryFree(self, handle: int) -> None:
        self.runtime.lookup(handle, ctypes.Array, "image memory")
        self.runtime.forget(handle)

    def imageMemoryLock(self, handle: int, answer: int) -> None:
        memory: Any = self.runtime.lookup(handle, ctypes.Array, "image memory")
        self.locked[handle] = self.locked.get(handle, 0) + 1
        write(answer, c_void_p, ctypes.addressof(memory), self.runtime, "imageMemoryLock")

    def imageMemoryUnlock(self, handle: int) -> None:
        self.runtime.lookup(handle, ctypes.Array, "image memory")
        if not self.locked.get(handle):
            self.runtime.violate("memory-unlock", "not locked", K.kOfxStatFailed)
        self.locked[handle] -= 1
