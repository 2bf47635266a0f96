"""The transfer of an edit to a plate: exact where nothing changes, true to the model where it does, never a halo."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from latensify_server import colour
from latensify_server.diffusion import pictures
from latensify_server.diffusion.transfer import transfer

SIZE = (96, 64)


@pytest.fixture(scope="module")
def plate() -> colour.Image:
    """A photograph of 384x256 in linear light, with a lamp of 40 and a patch below 0."""
    photo = cv2.resize(data.astronaut().astype(np.float32) / 255, (384, 384))[:256]
    linear = colour.decode_srgb(np.ascontiguousarray(photo))
    linear[20:30, 40:60] = 40
    linear[200:220, 300:330] = -0.1
    return linear


def seen_in(plate: colour.Image) -> colour.Image:
    """The plate at model size, blurred as an autoencoder would."""
    small = pictures.resized(np.clip(colour.to_display(plate), 0, 1), SIZE)
    return cv2.GaussianBlur(small, (0, 0), 0.8)


def test_an_edit_that_changes_nothing_gives_the_plate_back(plate: colour.Image) -> None:
    seen = seen_in(plate)
    out = transfer(plate, seen, seen, 1.0)
    np.testing.assert_allclose(out, plate, rtol=1e-4, atol=1e-4)


def test_without_detail_the_models_own_pixels_show(plate: colour.Image) -> None:
    edited = np.broadcast_to(np.float32([0.2, 0.4, 0.6]), (*SIZE[::-1], 3)).astype(np.float32)
    out = colour.encode_srgb(transfer(plate, seen_in(plate), edited, 0.0))
    np.testing.assert_allclose(out, np.broadcast_to(np.float32([0.2, 0.4, 0.6]), out.shape), atol=1e-5)


@pytest.mark.parametrize("detail", [0.5, 0.8, 1.0])
def test_highlights_stay_over_one_and_all_is_finite(plate: colour.Image, detail: float) -> None:
    seen = seen_in(plate)
    out = transfer(plate, seen, seen * np.float32([0.7, 0.8, 1.0]), detail)
    assert np.isfinite(out).all()
    assert out[22:28, 45:55].min() > 5


@pytest.mark.parametrize("detail", [0.0, 0.8, 1.0])
def test_low_frequencies_follow_the_model(plate: colour.Image, detail: float) -> None:
    seen = seen_in(plate)
    edited = np.clip(1 - seen, 0, 1)
    calm = np.minimum(plate, 0.7)
    out = np.clip(colour.encode_srgb(transfer(calm, seen, edited, detail)), 0, 1)
    error = np.abs(cv2.GaussianBlur(pictures.resized(out, SIZE), (0, 0), 2) - cv2.GaussianBlur(edited, (0, 0), 2))
    assert np.quantile(error, 0.9) < 0.08


def test_detail_brings_the_plates_edges_back(plate: colour.Image) -> None:
    seen = seen_in(plate)
    darker = seen * np.float32(0.6)
    truth = colour.to_display(plate) * np.float32(0.6)
    errors = [
        float(np.mean((colour.to_display(transfer(plate, seen, darker, detail)) - truth)[40:] ** 2))
        for detail in (0.0, 0.8)
    ]
    assert errors[1] < errors[0] / 4


def test_a_grey_edit_stays_grey(plate: colour.Image) -> None:
    seen = seen_in(plate)
    grey = np.repeat((seen @ np.float32([0.3, 0.6, 0.1]))[..., None], 3, axis=2)
    out = colour.to_display(transfer(np.clip(plate, 0, 0.8), seen, grey, 0.8))
    assert np.quantile(np.ptp(out, axis=2), 0.95) < 0.03
