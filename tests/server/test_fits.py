"""Fits on disk and in the queue: named by content, found by their frames, resumed, shared, and made way with."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hosts.servers import Server
from latensify_bridge.choices import ColourSpace, Fill, Quality
from latensify_bridge.client import Session
from latensify_bridge.effects import Remove, Restyle
from latensify_bridge.errors import BadInput, BadRequest, Cancelled, FrameMissing
from latensify_bridge.frames import Edited, to_half
from latensify_bridge.protocol import MOST_FITTED, Fitted, Progress, Result, Source, Submit
from latensify_server.engine import FAKE_MODEL, FakeEngine, FitChoice, ModelChoice, Plate, ShotFit
from latensify_server.fits import FORMAT, RECORD, Fits, FitSettings, fit_key, fits_folder, frames_of, settings_of
from latensify_server.local import local_server
from latensify_server.plan import NOT_FITTED, FindFit, plan
from latensify_server.settings import Settings

SETTINGS = FitSettings("remove", ColourSpace.SRGB, 0.0, 4.0, 1.0, Quality.FINAL, 0)
SIZE = (48, 32)
COUNT = 8
PLATES = [to_half(np.random.default_rng(n).random((32, 48, 4), np.float32)) for n in range(COUNT)]
MATTE = to_half(np.pad(np.ones((10, 12), np.float32), ((4, 18), (6, 30))))
EDIT = Remove(window=4, overlap=1, fill=Fill.FITTED, colour_space=ColourSpace.SRGB)


def sources(*numbers: int, mask: int | None = 999) -> list[Source]:
    return [Source(number, f"{number:032x}", None if mask is None else f"{mask:032x}") for number in numbers]


def no_wait() -> None:
    raise AssertionError("nobody else makes this fit")


def made(fits: Fits, settings: FitSettings = SETTINGS, numbers: range = range(4), weights: str = "w") -> str:
    """Keeps a fit that holds `weights`."""
    frames = frames_of(sources(*numbers))
    with fits.making(settings, frames, no_wait) as out:
        assert out is not None
        (out / "weights").write_text(weights)
    return fit_key(settings, frames)


# --- on disk ---


def test_a_fit_is_named_by_its_frames_and_settings() -> None:
    frames = frames_of(sources(1, 2))
    keys = [fit_key(SETTINGS, frames)]
    keys.append(fit_key(SETTINGS, frames_of(sources(2, 1))))
    keys.append(fit_key(SETTINGS, frames_of(sources(1, 2, 3))))
    keys.append(fit_key(SETTINGS, frames_of(sources(1, 2, mask=7))))
    changes = {"seed": 1, "quality": Quality.DRAFT, "mask_grow": 2.0, "colour_space": ColourSpace.ACESCG}
    keys += [fit_key(msgspec.structs.replace(SETTINGS, **{name: value}), frames) for name, value in changes.items()]
    assert len(set(keys)) == len(keys)
    renumbered = [msgspec.structs.replace(source, number=source.number + 1000) for source in sources(1, 2)]
    assert fit_key(SETTINGS, frames_of(renumbered)) == keys[0], "a frame is its pixels, not its number"


def test_what_decides_a_fit_comes_from_the_edit_and_the_rest_does_not() -> None:
    settings = settings_of("remove", EDIT, 0.5)
    assert (settings.colour_space, settings.render_scale, settings.seed) == (ColourSpace.SRGB, 0.5, 0)
    for name, value in {"prompt": "grass", "window": 8, "strength": 0.1, "detail": 0.2}.items():
        assert settings_of("remove", msgspec.structs.replace(EDIT, **{name: value}), 0.5) == settings


def test_a_fit_serves_every_window_that_it_has_seen_whole(tmp_path: Path) -> None:
    fits = Fits(tmp_path)
    assert fits.find(SETTINGS, sources(1)) is None
    key = made(fits)
    for numbers in ((0,), (0, 1, 2, 3), (3, 1)):
        found = fits.find(SETTINGS, sources(*numbers))
        assert found is not None and found.key == key
    assert fits.find(SETTINGS, sources(3, 4)) is None, "frame 4 was not seen"
    assert fits.find(SETTINGS, sources(1, mask=7)) is None, "another matte"
    for change in ({"colour_space": ColourSpace.ACESCG}, {"render_scale": 0.5}):
        assert fits.find(msgspec.structs.replace(SETTINGS, **change), sources(1)) is None
    assert Fits(tmp_path).find(SETTINGS, sources(1)) == fits.get(key), "another process finds the same"


def test_of_several_fits_the_one_of_these_settings_serves_else_the_newest(tmp_path: Path) -> None:
    fits = Fits(tmp_path)
    grown = msgspec.structs.replace(SETTINGS, mask_grow=3.0)
    wide = msgspec.structs.replace(SETTINGS, mask_grow=9.0)
    first = made(fits)
    second = made(fits, grown)

    def found(settings: FitSettings) -> str:
        record = fits.find(settings, sources(1, 2))
        assert record is not None
        return record.key

    assert (found(SETTINGS), found(grown), found(wide)) == (first, second, second)
    short = made(fits, SETTINGS, range(1, 4))
    assert found(SETTINGS) == first, "a fit to a part of the shot does not take the place of one to the whole"
    long = made(fits, SETTINGS, range(8))
    assert found(SETTINGS) == long
    other = made(fits, SETTINGS, range(8, 0, -1))
    assert found(SETTINGS) == other, "the newer of two as long"
    assert [record.key for record in fits.all()] == [other, long, short, second, first]


def test_the_hash_is_of_the_model_and_not_of_its_name(tmp_path: Path) -> None:
    hashes = []
    for name, weights in (("a", "w"), ("b", "w"), ("c", "other")):
        fits = Fits(tmp_path / name)
        record = fits.get(made(fits, weights=weights))
        assert record is not None
        hashes.append(record.hash)
    assert hashes[0] == hashes[1] != hashes[2]


def test_what_was_begun_is_kept_and_goes_on(tmp_path: Path) -> None:
    fits, frames = Fits(tmp_path), frames_of(sources(1, 2))
    key = fit_key(SETTINGS, frames)

    def cut() -> None:
        with fits.making(SETTINGS, frames, no_wait) as out:
            assert out is not None
            (out / "checkpoint").write_text("half")
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        cut()
    assert fits.begun(key) and fits.get(key) is None and fits.find(SETTINGS, sources(1)) is None
    with fits.making(SETTINGS, frames, no_wait) as out:
        assert out is not None and (out / "checkpoint").read_text() == "half"
    assert fits.get(key) and not fits.begun(key)
    with fits.making(SETTINGS, frames, no_wait) as out:
        assert out is None, "it is there"


def test_a_second_process_waits_for_the_first(tmp_path: Path) -> None:
    frames, waited = frames_of(sources(1)), threading.Event()
    order: list[str] = []

    def second() -> None:
        with Fits(tmp_path).making(SETTINGS, frames, waited.set) as out:
            order.append("there" if out is None else "again")

    with Fits(tmp_path).making(SETTINGS, frames, no_wait) as out:
        assert out is not None
        thread = threading.Thread(target=second)
        thread.start()
        assert waited.wait(10)
        order.append("made")
    thread.join()
    assert order == ["made", "there"]


def test_a_damaged_record_is_no_fit(tmp_path: Path) -> None:
    fits = Fits(tmp_path)
    key = made(fits)
    (tmp_path / key / RECORD).write_text("{")
    assert fits.get(key) is None and fits.all() == []
    assert made(fits) == key and fits.get(key)


def test_a_fit_of_another_version_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = made(Fits(tmp_path))
    monkeypatch.setattr("latensify_server.fits.FORMAT", FORMAT + 1)
    fits = Fits(tmp_path)
    assert fits.find(SETTINGS, sources(1)) is None
    new = made(fits)
    assert new != old and fits.path(old).is_dir() and [record.key for record in fits.all()] == [new]


def test_the_fits_used_longest_ago_go_first(tmp_path: Path) -> None:
    fits = Fits(tmp_path, limit_bytes=25_000)
    old, used = made(fits, weights="x" * 10_000), made(fits, numbers=range(5, 9), weights="x" * 10_000)
    time.sleep(0.02)
    fits.used(old)
    new = made(fits, numbers=range(10, 14), weights="x" * 10_000)
    assert [fits.get(key) is not None for key in (old, used, new)] == [True, False, True]
    count, size = fits.usage()
    assert count == 2 and 20_000 < size < 25_000


# --- in a plan ---


def test_the_fit_is_in_the_name_of_a_result_that_asks_for_it() -> None:
    def submit(fill: Fill) -> Submit:
        edit = msgspec.structs.replace(EDIT, fill=fill)
        raw = msgspec.Raw(msgspec.msgpack.encode(edit))
        return Submit(id="a", effect="remove", params=raw, frame=1, first=0, last=3, sources=sources(0, 1, 2, 3))

    def finder(hash: str) -> FindFit:
        return lambda _: FitChoice("k", hash) if hash else None

    def keys(fill: Fill, *hashes: str) -> list[tuple[str, str]]:
        model = ModelChoice("tiny", "h")
        plans = [plan(submit(fill), model, finder(h)) for h in hashes]
        return [(planned.key, planned.lone_key) for planned in plans]

    fitted = keys(Fill.FITTED, "", "a", "b")
    assert len({key for key, _ in fitted}) == len({lone for _, lone in fitted}) == 3
    assert len(set(keys(Fill.DIFFUSION, "", "a"))) == 1, "who does not ask for a fit is not touched by one"
    planned = plan(submit(Fill.FITTED), ModelChoice("tiny", "h"))
    assert [window.note for window in planned.windows] == [NOT_FITTED] * len(planned.windows)


def test_an_engine_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    told: list[float] = []

    def progress(fraction: float, stage: str) -> None:
        told.append(fraction)
        if len(told) == 3:
            raise Cancelled("enough")

    work = ShotFit("remove", EDIT, [Plate(0, PLATES[0], MATTE)], 1.0, tmp_path)
    with pytest.raises(Cancelled):
        FakeEngine().fit(work, progress)
    FakeEngine().fit(work, progress)
    assert told == [0.0, 0.25, 0.5, 0.5, 0.75]
    mean = json.loads((tmp_path / FAKE_MODEL).read_text())["mean"]
    assert mean == pytest.approx(float(PLATES[0][..., :3].astype(np.float64).mean()))


# --- through a server ---


@pytest.fixture
def endpoint(home: Path) -> Iterator[str]:
    with local_server(Settings(endpoint="", engine="fake")) as address:
        yield address


def sent(session: Session) -> list[Source]:
    mask = session.send(MATTE)
    return [Source(number, session.send(pixels), mask) for number, pixels in enumerate(PLATES)]


def fitted(session: Session, edit: Remove = EDIT) -> tuple[Fitted, list[Progress]]:
    told: list[Progress] = []
    return session.fit("remove", edit, sent(session), on_progress=told.append), told


def edited(session: Session, frame: int, edit: Remove = EDIT) -> tuple[Edited, Result]:
    shown = sent(session)
    return session.edit("remove", edit, frame, 0, COUNT - 1, shown, SIZE)


def test_a_fit_is_made_once_and_the_edit_shows_it(endpoint: str) -> None:
    with Session(endpoint, "test") as session:
        before, result = edited(session, 1)
        assert result.note == NOT_FITTED and np.ptp(before.rgb.astype(np.float32)) > 0.5
        told, progress = fitted(session)
        assert not told.cached and any("fitting, step" in step.stage for step in progress)
        again, _ = fitted(session)
        assert (again.fit, again.cached, again.seconds) == (told.fit, True, 0.0)
        after, result = edited(session, 1)
        assert result.note == "" and not result.cached, "another model gives another result"
        mean = PLATES[0][..., :3].astype(np.float64).mean()
        np.testing.assert_allclose(after.rgb.astype(np.float32), mean, atol=1e-3)
        assert edited(session, 1)[1].cached
        plain = msgspec.structs.replace(EDIT, fill=Fill.CLASSICAL)
        assert edited(session, 1, plain)[1].note == "", "who asks for no fit is told of none"
    assert Fits(fits_folder()).get(told.fit)


def test_a_frame_of_two_windows_is_told_of_the_missing_fit_too(endpoint: str) -> None:
    with Session(endpoint, "test") as session:
        assert edited(session, 3)[1].note == NOT_FITTED


def test_a_kept_fit_is_known_without_its_frames(endpoint: str) -> None:
    with Session(endpoint, "test") as session:
        told, _ = fitted(session)
        named = sent(session)
    with local_server(Settings(endpoint="", engine="fake")) as other, Session(other, "test") as session:
        again = session.fit("remove", EDIT, named)
        assert (again.fit, again.cached) == (told.fit, True)
        with pytest.raises(FrameMissing):
            session.fit("remove", msgspec.structs.replace(EDIT, seed=1), named)


def test_what_cannot_be_fitted_is_told(endpoint: str) -> None:
    with Session(endpoint, "test") as session:
        plate = session.send(PLATES[0])
        with pytest.raises(BadRequest, match="No model can be fitted for restyle"):
            session.fit("restyle", Restyle(), [Source(0, plate)])
        with pytest.raises(BadInput, match="Remove needs a matte, and frame 0 has none"):
            session.fit("remove", EDIT, [Source(0, plate)])
        with pytest.raises(BadInput, match=f"at most {MOST_FITTED} frames, and these are {MOST_FITTED + 1}"):
            session.fit("remove", EDIT, [Source(n, plate) for n in range(MOST_FITTED + 1)])


def test_a_cancelled_fit_goes_on_from_where_it_was(slow: Server, tmp_path: Path) -> None:
    stop = threading.Event()
    fractions: list[float] = []

    def watch(progress: Progress) -> None:
        fractions.append(progress.fraction)
        if progress.fraction > 0.04:
            stop.set()

    with Session(slow.endpoint, "test", cancelled=stop.is_set) as session:
        named = sent(session)
        with pytest.raises(Cancelled):
            session.fit("remove", EDIT, named, on_progress=watch)
    reached = max(fractions)
    assert [record.key for record in Fits(tmp_path / "slow/cache/fits").all()] == []
    key = fit_key(settings_of("remove", EDIT, 1.0), frames_of(named))
    deadline = time.monotonic() + 10
    while not Fits(tmp_path / "slow/cache/fits").begun(key) and time.monotonic() < deadline:
        time.sleep(0.05)
    again: list[float] = []
    begun = threading.Event()

    def look(progress: Progress) -> None:
        if "fitting" in progress.stage:
            again.append(progress.fraction)
            begun.set()

    with Session(slow.endpoint, "test", cancelled=begun.is_set) as session, pytest.raises(Cancelled):
        session.fit("remove", EDIT, named, on_progress=look)
    assert again[0] >= reached, "it did not begin again"


def test_a_fit_makes_way_for_a_frame_and_goes_on(slow: Server) -> None:
    fit_seen: list[Progress] = []
    edited_first, went_on = threading.Event(), threading.Event()

    def look() -> None:
        """Asks for a frame, until it is being edited."""

        def told(step: Progress) -> None:
            if step.stage.startswith("step"):
                edited_first.set()

        plain = msgspec.structs.replace(EDIT, fill=Fill.CLASSICAL)
        with Session(slow.endpoint, "frame", cancelled=edited_first.is_set) as session, pytest.raises(Cancelled):
            session.edit("remove", plain, 1, 0, COUNT - 1, sent(session), SIZE, on_progress=told)

    thread = threading.Thread(target=look)

    def told(step: Progress) -> None:
        fit_seen.append(step)
        if "fitting" not in step.stage:
            return
        if not thread.ident:
            thread.start()
        elif edited_first.is_set():
            went_on.set()

    with Session(slow.endpoint, "fit", cancelled=went_on.is_set) as session:
        named = sent(session)
        with pytest.raises(Cancelled):
            session.fit("remove", EDIT, named, on_progress=told)
    thread.join()
    fractions = [step.fraction for step in fit_seen if "fitting" in step.stage]
    assert fractions == sorted(fractions) and fractions[-1] > 0, "it went on where it was"


def test_two_who_ask_for_one_fit_wait_for_the_same(endpoint: str) -> None:
    with Session(endpoint, "a") as first, Session(endpoint, "b") as second:
        named = sent(first)
        results: list[Fitted] = []
        threads = [
            threading.Thread(target=lambda session=session: results.append(session.fit("remove", EDIT, named)))
            for session in (first, second)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len({result.fit for result in results}) == 1 and len(results) == 2
    assert len(Fits(fits_folder()).all()) == 1
