"""The engine that edits with latent diffusion models. A new effect is one file and one line in EFFECTS."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

import cv2
import diffusers
import torch
import transformers

from latensify_bridge.choices import Precision
from latensify_bridge.effects import effect_named
from latensify_bridge.errors import BadInput, ModelMissing, OutOfMemory
from latensify_bridge.frames import Edited
from latensify_bridge.protocol import DeviceMemory
from latensify_server import models
from latensify_server.choice import choose
from latensify_server.diffusion.extend import extend
from latensify_server.diffusion.fitting import fit_shot
from latensify_server.diffusion.generate import generate
from latensify_server.diffusion.instruct import instruct
from latensify_server.diffusion.model import Model, embed, load
from latensify_server.diffusion.remove import remove
from latensify_server.diffusion.replace import replace
from latensify_server.diffusion.restyle import restyle
from latensify_server.engine import ProgressCall, ShotFit, WindowEdit
from latensify_server.memory import machine_memory

Effect = Callable[[Model, WindowEdit, ProgressCall], list[Edited]]

EFFECTS: dict[str, Effect] = {
    "restyle": restyle,
    "remove": remove,
    "instruct": instruct,
    "replace": replace,
    "generate": generate,
    "extend": extend,
}

DTYPES = {
    Precision.FLOAT32: torch.float32,
    Precision.BFLOAT16: torch.bfloat16,
    Precision.FLOAT16: torch.float16,
}


class DiffusionEngine:
    """Keeps the model it used last. Sets torch and OpenCV, for the whole process, to give the same bits every time."""

    def __init__(self) -> None:
        for library in (diffusers, transformers):  # what they say while loading is for developers
            library.utils.logging.set_verbosity_error()
            library.utils.logging.disable_progress_bar()
        torch.set_num_threads(1)  # see parallel.py
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # or cuBLAS may add up in any order
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        cv2.setNumThreads(1)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._loaded: dict[tuple[str, str, torch.dtype], Model] = {}

    def device(self) -> str:
        return torch.cuda.get_device_name() if self._device == "cuda" else "cpu"

    def memory(self) -> DeviceMemory:
        if self._device != "cuda":
            return machine_memory()
        free_bytes, total_bytes = torch.cuda.mem_get_info()
        return DeviceMemory(total_bytes, total_bytes - free_bytes, torch.cuda.max_memory_reserved())

    def edit(self, work: WindowEdit, progress: ProgressCall) -> list[Edited]:
        """See `Engine.edit`. What in a plate is no finite number counts as 0 or as the largest half float."""
        effect_named(work.effect)
        _check_sizes(work)
        progress(0.0, "loading the model")
        model = self._model(work)
        with self._memory_told():
            return EFFECTS[work.effect](model, work, progress)

    def fit(self, work: ShotFit, progress: ProgressCall) -> None:
        """See `Engine.fit`."""
        with self._memory_told():
            fit_shot(work, progress)

    @contextlib.contextmanager
    def _memory_told(self) -> Iterator[None]:
        """Says in words that the device's memory is full. Raises OutOfMemory."""
        try:
            yield
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            raise OutOfMemory(
                f"The memory of {self.device()} is full: use draft quality or a smaller window, "
                "or close what else fills it."
            ) from None

    def _model(self, work: WindowEdit) -> Model:
        chosen = choose(work.effect, work.params.model)
        key = (chosen.name, chosen.hash, self._dtype(work.params.precision))
        if key not in self._loaded:
            self._loaded.clear()
            try:
                model = load(models.find(chosen.name), self._device, key[2])
                embed(model, [""])  # sets the tokenizer's padding, which frames in several threads must not do at once
                self._loaded[key] = model
            except (OSError, ValueError, KeyError) as error:
                raise ModelMissing(f"The model '{chosen.name}' cannot be loaded: {str(error).rstrip('.')}.") from error
        return self._loaded[key]

    def _dtype(self, precision: Precision) -> torch.dtype:
        if precision is Precision.AUTO:
            return torch.bfloat16 if self._device == "cuda" else torch.float32
        return DTYPES[precision]


def _check_sizes(work: WindowEdit) -> None:
    """Raises BadInput, naming the frame, when plates and mattes do not fit together."""
    first = work.plates[0]
    height, width = first.pixels.shape[:2]
    for plate in work.plates:
        if plate.pixels.shape[:2] != (height, width):
            raise BadInput(
                f"Frame {plate.number} is {plate.pixels.shape[1]}x{plate.pixels.shape[0]}; "
                f"frame {first.number} of the same shot is {width}x{height}."
            )
        if plate.mask is not None and plate.mask.shape != (height, width):
            raise BadInput(
                f"The matte of frame {plate.number} is {plate.mask.shape[1]}x{plate.mask.shape[0]}; "
                f"its plate is {width}x{height}: give a matte of the plate's size."
            )
        if plate.mask is None and effect_named(work.effect).needs_mask:
            raise BadInput(f"{work.effect.title()} needs a matte, and frame {plate.number} has none.")
