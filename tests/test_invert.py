"""Inversion: exact where nothing was lost, closer at every step where something was."""

import librosa
import numpy as np
import pytest
import scipy.fft
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from speechlib import features, invert

SR = 8000
SIZES = {"n_fft": 256, "hop_length": 80, "win_length": 200}


def sound(samples=4000, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(samples) / SR
    return 0.3 * np.sin(2 * np.pi * (200 * t + 150 * t**2)) * np.sin(6 * t) ** 2 + 0.01 * rng.standard_normal(
        samples
    )


def misfit(y, magnitude):
    """Relative distance of the magnitudes over the whole circle of frequencies (inner bins count twice)."""
    weight = np.r_[1, np.full(magnitude.shape[1] - 2, 2), 1]
    found = np.abs(features.stft(y, **SIZES))
    return np.sqrt((weight * (found - magnitude) ** 2).sum() / (weight * magnitude**2).sum())


@settings(max_examples=60)
@given(st.integers(1, 3000), st.integers(30, 128), st.floats(0.1, 0.5), st.booleans(), st.integers(0, 99))
def test_istft_undoes_stft(samples, half, overlap, wide, seed):
    n_fft = 2 * half if not wide else 4 * half
    hop = max(1, int(2 * half * overlap))
    y = np.random.default_rng(seed).standard_normal(samples)
    spectrum = features.stft(y, n_fft=n_fft, hop_length=hop, win_length=2 * half)
    back = invert.istft(spectrum, n_fft=n_fft, hop_length=hop, win_length=2 * half, length=samples)
    # where one window alone reaches a sample with less than 1e-6 of its height, rounding is magnified
    frames = 1 + samples // hop
    reach = np.zeros(samples + 2 * n_fft + hop)
    for t in range(frames):
        reach[t * hop : t * hop + 2 * half] += features.window(2 * half) ** 2
    well = reach[half : half + samples] > 1e-6
    np.testing.assert_allclose(back[well], y[well], atol=1e-10)
    assert well.mean() > 0.99 or samples < 200


@pytest.mark.parametrize("n_fft, hop, win", [(256, 80, 200), (512, 128, None), (255, 60, 201)])
def test_istft_is_exact_at_the_sizes_of_the_book(n_fft, hop, win):
    y = sound(4037)
    spectrum = features.stft(y, n_fft=n_fft, hop_length=hop, win_length=win)
    back = invert.istft(spectrum, n_fft=n_fft, hop_length=hop, win_length=win, length=len(y))
    assert np.abs(back - y).max() < 1e-10


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("length", [None, 3950, 4000])
def test_istft_of_any_matrix_is_librosas(center, length):
    rng = np.random.default_rng(0)
    spectrum = rng.standard_normal((51, 129)) + 1j * rng.standard_normal((51, 129))
    spectrum[:, [0, -1]] = spectrum[:, [0, -1]].real
    ours = invert.istft(spectrum, **SIZES, center=center, length=length)
    theirs = librosa.istft(spectrum.T, **SIZES, center=center, length=length)
    assert ours.shape == theirs.shape
    inner = slice(150, len(ours) - 150)  # at the edge of an uncentered signal both divide by almost nothing
    np.testing.assert_allclose(ours[inner], theirs[inner], atol=1e-12)


def test_istft_is_torchs():
    spectrum = features.stft(sound(), n_fft=256, hop_length=64) * np.exp(1j)  # not the spectrum of any signal
    spectrum[:, [0, -1]] = spectrum[:, [0, -1]].real
    ours = invert.istft(spectrum, n_fft=256, hop_length=64)
    theirs = torch.istft(
        torch.tensor(spectrum.T), 256, 64, window=torch.hann_window(256, dtype=torch.float64)
    )
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-12)


def test_istft_is_the_closest_signal():
    """Griffin and Lim's equation 6 minimizes the distance of the spectra: no neighbor does better."""
    rng = np.random.default_rng(0)
    target = features.stft(sound(1000), **SIZES) * np.exp(1j * rng.uniform(0, 1, (13, 129)))
    target[:, [0, -1]] = target[:, [0, -1]].real
    weight = np.r_[1, np.full(127, 2), 1]

    def distance(y):
        return (weight * np.abs(features.stft(y, **SIZES) - target) ** 2).sum()

    best = invert.istft(target, **SIZES, length=1000)
    for _ in range(5):
        direction = rng.standard_normal(1000)
        slope = (distance(best + 1e-4 * direction) - distance(best - 1e-4 * direction)) / 2e-4
        assert abs(slope) < 1e-5 * distance(best + direction)
        assert distance(best + 1e-2 * direction) > distance(best)


def test_a_length_cuts_and_fills():
    spectrum = features.stft(sound(), **SIZES)
    whole = invert.istft(spectrum, **SIZES)
    assert len(whole) == 4000
    np.testing.assert_array_equal(invert.istft(spectrum, **SIZES, length=123), whole[:123])
    longer = invert.istft(spectrum, **SIZES, length=5000)
    np.testing.assert_array_equal(longer[:4000], whole)
    assert len(longer) == 5000 and (longer[4200:] == 0).all()


def test_plain_griffin_lim_never_gets_worse_and_momentum_gets_further():
    y = sound()
    magnitude = np.abs(features.stft(y, **SIZES))

    def after(iterations, momentum):
        rng = np.random.default_rng(1)
        z = invert.griffin_lim(
            magnitude, **SIZES, length=4000, iterations=iterations, momentum=momentum, rng=rng
        )
        return misfit(z, magnitude)

    plain = [after(k, 0.0) for k in range(0, 30)]
    assert np.diff(plain).max() <= 1e-12 and plain[-1] < 0.5 * plain[0]
    assert after(29, 0.99) < plain[-1]


def test_griffin_lim_keeps_a_signal_that_already_fits():
    """With the true phases as a start, nothing is left to change."""
    y = sound()
    spectrum = features.stft(y, **SIZES)

    class TruePhases:
        def random(self, shape):
            return np.angle(spectrum) / (2 * np.pi)

    z = invert.griffin_lim(
        np.abs(spectrum), **SIZES, length=4000, iterations=5, momentum=0.0, rng=TruePhases()
    )
    np.testing.assert_allclose(z, y, atol=1e-10)


@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_griffin_lim_is_librosas_from_the_same_phases(momentum):
    magnitude = np.abs(features.stft(sound(), **SIZES))

    class Transposed:  # librosa draws its phases in the shape (bins, frames)
        def random(self, shape):
            return np.random.default_rng(3).random(shape[::-1]).T

    ours = invert.griffin_lim(
        magnitude, **SIZES, length=4000, iterations=8, momentum=momentum, rng=Transposed()
    )
    theirs = librosa.griffinlim(
        magnitude.T, **SIZES, length=4000, n_iter=8, momentum=momentum, random_state=np.random.default_rng(3)
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_the_seed_decides():
    magnitude = np.abs(features.stft(sound(1000), **SIZES))
    once, again, other = (
        invert.griffin_lim(magnitude, **SIZES, iterations=3, rng=np.random.default_rng(seed))
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(once, again)
    assert np.abs(once - other).max() > 1e-3


def test_mel_to_power_never_gets_worse_and_reaches_the_best_possible():
    bank = features.mel_filterbank(SR, 256, n_mels=40)
    rng = np.random.default_rng(0)
    consistent = features.mel(sound(), SR)[::10]
    impossible = np.where(np.arange(40) % 2, 1.0, 0.05) * rng.uniform(0.5, 1.5, (3, 40)) * 1e-3
    for mel in (consistent, impossible):
        errors = []
        for iterations in (0, 1, 2, 3, 10, 30, 100, 200, 2000):
            power = invert.mel_to_power(mel, SR, n_fft=256, iterations=iterations)
            assert (power >= 0).all()
            errors.append(np.linalg.norm(power @ bank.T - mel))
        assert np.diff(errors).max() <= 1e-12
        best = np.sqrt(sum(nnls(bank, row)[1] ** 2 for row in mel))
        assert errors[-1] - best < 2e-3 * np.linalg.norm(mel)
        assert errors[-1] >= best - 1e-12


def test_the_sound_of_log_mel_has_these_log_mels():
    y = sound(4037)
    wanted = features.log_mel(y, SR)
    z = invert.log_mel_to_audio(wanted, SR, length=4037, rng=np.random.default_rng(0))
    assert z.shape == y.shape
    found = features.log_mel(z, SR)
    assert np.abs(found - wanted).mean() < 0.25  # against about 5 for a shuffled order of frames
    assert np.abs(wanted[np.random.default_rng(0).permutation(len(wanted))] - wanted).mean() > 1


def test_log_mel_to_audio_passes_its_settings_on():
    y = sound(6000)
    options = {"n_fft": 512, "hop_length": 100, "win_length": 400, "fmin": 100.0, "fmax": 3500.0}
    wanted = features.log_mel(y, SR, **options, n_mels=30)
    found = features.log_mel(
        invert.log_mel_to_audio(wanted, SR, **options, rng=np.random.default_rng(0)), SR, **options, n_mels=30
    )
    assert found.shape == wanted.shape and np.abs(found - wanted).mean() < 0.25


@pytest.mark.parametrize("n_mfcc", [1, 13, 40])
def test_mfcc_to_log_mel_is_scipys_and_the_projection(n_mfcc):
    x = features.log_mel(sound(), SR)
    coefficients = features.dct(x, n_mfcc)
    smooth = invert.mfcc_to_log_mel(coefficients, n_mels=40)
    np.testing.assert_allclose(
        smooth, scipy.fft.idct(np.pad(coefficients, [(0, 0), (0, 40 - n_mfcc)]), norm="ortho")
    )
    np.testing.assert_allclose(features.dct(smooth, n_mfcc), coefficients, atol=1e-11)
    np.testing.assert_allclose(((x - smooth) * smooth).sum(axis=1), 0, atol=1e-8)  # the rest is orthogonal
    theirs = np.log(
        librosa.feature.inverse.mfcc_to_mel(coefficients.T * 10 / np.log(10), n_mels=40, ref=1.0)
    ).T
    np.testing.assert_allclose(smooth, theirs, atol=1e-9)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: invert.istft(np.zeros((5, 100)), n_fft=256, hop_length=80), r"\(frames, 129\)"),
        (lambda: invert.istft(np.zeros(129), n_fft=256, hop_length=80), r"\(frames, 129\)"),
        (lambda: invert.istft(np.full((5, 129), np.nan), n_fft=256, hop_length=80), "finite"),
        (lambda: invert.istft(np.zeros((5, 129)), n_fft=256, hop_length=200, win_length=200), "overlap"),
        (lambda: invert.istft(np.zeros((5, 129)), n_fft=256, hop_length=80, win_length=300), "overlap"),
        (
            lambda: invert.griffin_lim(np.full((5, 129), -1.0), **SIZES, rng=np.random.default_rng(0)),
            "logarithm",
        ),
        (
            lambda: invert.griffin_lim(np.ones((5, 129)), **SIZES, length=900, rng=np.random.default_rng(0)),
            "12 frames",
        ),
        (lambda: invert.mel_to_power(np.full((5, 40), -1.0), SR, n_fft=256), "exponential"),
        (lambda: invert.mel_to_power(np.zeros((0, 40)), SR, n_fft=256), "finite matrix"),
        (lambda: invert.mfcc_to_log_mel(np.zeros((5, 41)), n_mels=40), "41 coefficients"),
    ],
)
def test_a_mistake_gets_an_error_that_names_it(call, message):
    with pytest.raises(ValueError, match=message):
        call()
