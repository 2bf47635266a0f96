from hypothesis import given
from hypothesis import strategies as st

from latensify_bridge.windows import frames_of, weight, windows_of

frames = st.integers(-2000, 2000)


@st.composite
def shots(draw: st.DrawFn) -> tuple[int, int, int, int, int]:
    first = draw(frames)
    last = first + draw(st.integers(0, 300))
    window = draw(st.integers(1, 64))
    return draw(st.integers(first, last)), first, last, window, draw(st.integers(0, window // 2))


@given(shots())
def test_a_frame_lies_in_one_or_two_windows_whose_weights_sum_to_one(shot: tuple[int, int, int, int, int]) -> None:
    frame, first, last, window, overlap = shot
    found = windows_of(*shot)
    assert 1 <= len(found) <= 2
    assert all(first <= w.first <= frame <= w.last <= last for w in found)
    assert abs(sum(weight(frame, w.index, window, overlap) for w in found) - 1) < 1e-12
    assert frames_of(*shot) == range(found[0].first, found[-1].last + 1)


@given(shots())
def test_windows_do_not_depend_on_which_frame_asks(shot: tuple[int, int, int, int, int]) -> None:
    _, first, last, window, overlap = shot
    for w in windows_of(*shot):
        for other in w.frames:
            assert w in windows_of(other, first, last, window, overlap)


def test_a_window_of_one_is_the_frame_itself() -> None:
    assert [list(w.frames) for w in windows_of(-7, -100, 100, 1, 0)] == [[-7]]
