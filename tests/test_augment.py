"""Augmentation: scipy as oracle, properties of every change, and what is refused."""

import numpy as np
import pytest
import scipy.interpolate
from hypothesis import given
from hypothesis import strategies as st

from speechlib import augment
from speechlib.features import pad


@st.composite
def batches(draw):
    """Utterances of 1 to 30 frames, padded; no zero in a valid frame."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lengths = draw(st.lists(st.integers(1, 30), min_size=1, max_size=5))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    x, lengths = pad([rng.uniform(1, 2, (n, 6)).astype(dtype) for n in lengths])
    return x, lengths, rng


@pytest.mark.parametrize("percent", [80, 94, 100, 115, 125])
def test_speed_moves_every_frequency_and_the_duration_by_its_factor(percent):
    y = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000)
    fast = augment.speed(y, percent)
    assert len(fast) == -(-100 * len(y) // percent)
    spectrum = np.abs(np.fft.rfft(fast * np.hanning(len(fast)), 80_000))
    assert spectrum.argmax() / 10 == pytest.approx(10 * percent, abs=1)


@pytest.mark.parametrize("percent", [80, 90, 115, 125])
def test_speed_reads_the_same_curve_at_another_pace(percent):
    rng = np.random.default_rng(0)
    y = np.convolve(rng.normal(size=8000), np.hanning(41) / 20, mode="same")  # little above 400 Hz
    ours = augment.speed(y, percent)
    places = np.arange(len(ours)) * percent / 100
    expected = scipy.interpolate.CubicSpline(np.arange(len(y)), y)(places)
    assert np.abs(ours - expected)[200:-200].max() < 2e-3 * np.abs(y).max()


def test_speed_at_100_percent_changes_nothing():
    y = np.random.default_rng(0).normal(size=500)
    np.testing.assert_array_equal(augment.speed(y, 100), y)


@pytest.mark.parametrize("percent", [49, 201, 110.0, True, "115", None, np.nan])
def test_speed_refuses(percent):
    with pytest.raises(ValueError, match="50 to 200"):
        augment.speed(np.zeros(800), percent)


@given(batches(), st.floats(0.01, 3))
def test_stretch_interpolates_each_utterance_from_its_first_frame_to_its_last(batch, amount):
    x, lengths, rng = batch
    before = x.copy()
    y, new = augment.stretch(x, lengths, rng, amount=amount)
    np.testing.assert_array_equal(x, before)
    assert y.dtype == x.dtype and y.shape == (len(x), new.max(), 6)
    assert np.all(new >= 1) and np.all(new <= np.round(lengths * (1 + amount)))
    assert np.all(new >= np.maximum(1, np.floor(lengths / (1 + amount))))
    for i, (n, m) in enumerate(zip(lengths, new, strict=True)):
        assert np.all(y[i, m:] == 0)
        if n > 1:
            oracle = scipy.interpolate.interp1d(np.arange(n), x[i, :n], axis=0)
            np.testing.assert_allclose(y[i, :m], oracle(np.linspace(0, n - 1, m)), rtol=1e-5)
        else:
            np.testing.assert_allclose(y[i, :m], np.repeat(x[i, :1], m, axis=0))


def test_stretch_draws_the_logarithm_uniformly():
    x, lengths = np.ones((4000, 100, 1)), np.full(4000, 100)
    _, new = augment.stretch(x, lengths, np.random.default_rng(0), amount=0.5)
    log = np.log(new / 100) / np.log(1.5)
    assert log.min() == pytest.approx(-1, abs=0.03) and log.max() == pytest.approx(1, abs=0.03)
    assert abs(log.mean()) < 0.03 and log.var() == pytest.approx(1 / 3, rel=0.05)


@given(batches(), st.integers(0, 12), st.integers(0, 40), st.integers(0, 3))
def test_mask_blacks_out_blocks_and_nothing_else(batch, bands, frames, times):
    x, lengths, rng = batch
    before = x.copy()
    y, same = augment.mask(x, lengths, rng, bands=bands, frames=frames, times=times)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(same, lengths)
    for i, n in enumerate(lengths):
        gone = y[i, :n] == 0
        np.testing.assert_array_equal(y[i, :n][~gone], x[i, :n][~gone])
        rows, columns = gone.all(axis=1), gone.all(axis=0)
        if not rows.all():
            np.testing.assert_array_equal(gone, rows[:, None] | columns)  # whole frames and whole bands
            assert rows.sum() <= times * frames or columns.all()
        if not columns.all():
            assert columns.sum() <= times * bands or rows.all()
        if times == 0:
            assert not gone.any()


def test_mask_draws_every_width_and_reaches_every_place():
    rng = np.random.default_rng(0)
    x, lengths = np.ones((3000, 12, 9)), np.full(3000, 12)
    y, _ = augment.mask(x, lengths, rng, bands=3, frames=0, times=1)
    width = (y == 0).all(axis=1).sum(axis=1)
    assert np.all(np.abs(np.bincount(width) / 3000 - 0.25) < 0.04)
    assert np.all((y == 0).any(axis=(0, 1)))
    y, _ = augment.mask(x, lengths, rng, bands=0, frames=5, times=1)
    assert np.all((y == 0).any(axis=(0, 2)))


X, LENGTHS = np.ones((2, 5, 3)), np.array([5, 2])


@pytest.mark.parametrize("change", [augment.stretch, augment.mask])
@pytest.mark.parametrize(
    "x, lengths",
    [
        (X[0], LENGTHS),
        (X, LENGTHS[:1]),
        (X[:0], LENGTHS[:0]),
        (X, [6, 2]),
        (X, [5, 0]),
        (X, [5.0, 2.0]),
    ],
)
def test_other_batches_are_refused(change, x, lengths):
    with pytest.raises(ValueError, match="batch|between 1 and 5"):
        change(x, np.asarray(lengths), np.random.default_rng(0))


@pytest.mark.parametrize("amount", [0, -0.1, np.inf, np.nan])
def test_stretch_refuses_amounts(amount):
    with pytest.raises(ValueError, match="above 0"):
        augment.stretch(X, LENGTHS, np.random.default_rng(0), amount=amount)


@pytest.mark.parametrize("sizes", [dict(bands=-1), dict(frames=-1), dict(times=-1)])
def test_mask_refuses_sizes_below_0(sizes):
    with pytest.raises(ValueError, match="below 0"):
        augment.mask(X, LENGTHS, np.random.default_rng(0), **sizes)
