"""Every displayed formula of the chapter `sound`, tested so that a wrong sign or factor fails.

Each test computes the formula as the page prints it, by itself, and compares it with the package, with an
independent library, or with the property that defines it.
"""

import librosa
import numpy as np
import pytest
import scipy.fft
import scipy.stats

from speechlib import audio, features, invert, metrics, templates

SR = 8000
RNG = np.random.default_rng(0)
Y = RNG.normal(size=4000) * 0.1
FORMULAS = {}


def formula(label):
    """Register a test under the label of the formula it covers; the lint looks for the label in this file."""

    def register(test):
        FORMULAS[label] = test
        return test

    return register


@formula("eq-sound-sampling")
def sampling():
    """y[n] = x(n / f_s): resampling a sampled tone gives the tone sampled at the other rate."""

    def x(t):
        return np.cos(2 * np.pi * 200 * t + 0.3)

    n = np.arange(4000)
    other = audio.resample(x(n / 8000), 8000, 16000)
    middle = slice(1000, 7000)  # away from the edges of the filter
    assert np.allclose(other[middle], x(np.arange(8000) / 16000)[middle], atol=1e-3)


@formula("eq-sound-alias")
def alias():
    n = np.arange(100)
    for f in (0.0, 700.0, 1000.0, 3999.0):
        left, right = np.cos(2 * np.pi * (SR - f) * n / SR), np.cos(2 * np.pi * f * n / SR)
        assert np.allclose(left, right)
    assert not np.allclose(np.cos(2 * np.pi * (SR / 2 - 700) * n / SR), np.cos(2 * np.pi * 700 * n / SR))


@formula("eq-sound-quantization")
def quantization():
    step = 2 / 2**12
    y = RNG.uniform(-1, 1, 400_000)
    error = step * np.round(y / step) - y
    assert np.mean(error**2) == pytest.approx(step**2 / 12, rel=0.01)
    e = np.linspace(-step / 2, step / 2, 100_001)
    assert np.trapezoid(e**2, e) / step == pytest.approx(step**2 / 12, rel=1e-6)


@formula("eq-sound-dft")
def dft():
    y, w = Y[:256], features.window(256)
    n, k = np.arange(256), np.arange(129)[:, None]
    assert np.allclose((w * y * np.exp(-2j * np.pi * k * n / 256)).sum(axis=1), np.fft.rfft(w * y))
    assert np.allclose((w * y * np.exp(-2j * np.pi * k * n / 256)).sum(axis=1), scipy.fft.rfft(w * y))


@formula("eq-sound-hann")
def hann():
    n = np.arange(256)
    w = 0.5 - 0.5 * np.cos(2 * np.pi * n / 256)
    assert np.allclose(w, features.window(256))
    assert np.allclose(w, scipy.signal.get_window("hann", 256))
    assert np.allclose(w + np.roll(w, 128), 1)


@formula("eq-sound-stft")
def stft():
    N, H = 256, 80
    padded = np.concatenate([np.zeros(N // 2), Y, np.zeros(N)])
    X = features.stft(Y, n_fft=N, hop_length=H)
    n, w = np.arange(N), features.window(N)
    for t, k in ((0, 0), (3, 17), (10, 128), (50, 64)):
        samples = padded[t * H + n]  # y[tH + n - N/2], zero before the beginning and after the end
        assert np.isclose(X[t, k], np.sum(w * samples * np.exp(-2j * np.pi * k * n / N)))


@formula("eq-sound-griffin-lim")
def griffin_lim():
    setting = dict(n_fft=256, hop_length=80, win_length=200)
    A = np.abs(features.stft(Y, **setting))
    phases = np.exp(2j * np.pi * np.random.default_rng(5).random(A.shape))
    X, distances = A * phases, []
    for _ in range(6):
        again = features.stft(invert.istft(X, **setting, length=len(Y)), **setting)
        distances.append(np.linalg.norm(np.abs(again) - A))
        X = A * np.exp(1j * np.angle(again))
    assert all(later <= sooner + 1e-12 for sooner, later in zip(distances, distances[1:], strict=False))
    ours = invert.griffin_lim(
        A, **setting, iterations=6, momentum=0, length=len(Y), rng=np.random.default_rng(5)
    )
    assert np.allclose(invert.istft(X, **setting, length=len(Y)), ours)


@formula("eq-sound-mel")
def mel_scale():
    f = np.array([0.0, 200.0, 999.0, 1000.0, 1001.0, 2500.0, 4000.0])
    m = np.where(f < 1000, 3 * f / 200, 15 + 27 * np.log(np.maximum(f, 1) / 1000) / np.log(6.4))
    assert np.allclose(m, features.hz_to_mel(f)) and np.allclose(m, librosa.hz_to_mel(f))


@formula("eq-sound-filterbank")
def filterbank():
    F = librosa.filters.mel(sr=SR, n_fft=256, n_mels=40)
    X = librosa.stft(Y, n_fft=256, hop_length=80, win_length=200, pad_mode="constant")
    M = np.array([[np.sum(F[b] * np.abs(X[:, t]) ** 2) for b in range(40)] for t in range(5)])
    assert np.allclose(M, features.mel(Y, SR)[:5], rtol=1e-5)


@formula("eq-sound-log")
def log_of_a_product():
    """A short filter in front of the microphone adds the same log |H|^2 to each frame."""
    h = np.array([1.0, -0.9])
    k = np.arange(129)
    H = 1 - 0.9 * np.exp(-2j * np.pi * k / 256)
    setting = dict(n_fft=256, hop_length=80)
    S, X = (np.abs(features.stft(y, **setting)) ** 2 for y in (Y, np.convolve(Y, h)[: len(Y)]))
    moved = np.median(np.log(X[5:-5] / S[5:-5]), axis=0)
    assert np.allclose(moved[3:], np.log(np.abs(H[3:]) ** 2), atol=0.1)


@formula("eq-sound-gain")
def gain():
    g = 3.7
    M = features.mel(Y, SR)
    assert np.allclose(np.log(g**2 * M), np.log(M) + 2 * np.log(g))
    assert np.allclose(features.log_mel(g * Y, SR), features.log_mel(Y, SR) + 2 * np.log(g))
    assert np.allclose(features.log_mel(audio.gain(Y, 20), SR) - features.log_mel(Y, SR), np.log(100))


@formula("eq-sound-dct")
def dct():
    x, B = features.log_mel(Y, SR), 40
    b = np.arange(B)
    c = np.array([[np.sum(frame * np.cos(np.pi * i / B * (b + 0.5))) for i in range(13)] for frame in x])
    c *= np.where(np.arange(13) == 0, np.sqrt(1 / B), np.sqrt(2 / B))
    assert np.allclose(c, features.mfcc(Y, SR))
    assert np.allclose(c, scipy.fft.dct(x, type=2, norm="ortho", axis=1)[:, :13])
    assert np.allclose(np.linalg.norm(features.dct(x, 40), axis=1), np.linalg.norm(x, axis=1))  # a rotation


@formula("eq-sound-delta")
def deltas():
    c, W = RNG.normal(size=(30, 3)), 4
    j = np.arange(-W, W + 1)
    for t in (4, 10, 25):
        d = (j[:, None] * c[t + j]).sum(axis=0) / np.sum(j**2)
        assert np.allclose(d, features.deltas(c)[t])
        assert np.allclose(d, np.polyfit(j, c[t + j], 1)[0])  # the slope of the least-squares line
    assert np.allclose(features.deltas(np.arange(20.0)[:, None]), 1)


@formula("eq-sound-snr")
def snr():
    noisy = audio.add_noise(Y, 12.5, rng=np.random.default_rng(1))
    noise = noisy - Y
    assert 10 * np.log10(np.sum(Y**2) / np.sum(noise**2)) == pytest.approx(12.5)


@formula("eq-sound-cmvn")
def cmvn():
    x = features.log_mel(Y, SR)
    T = len(x)
    mu = sum(x) / T
    sigma = np.sqrt(sum((x - mu) ** 2) / T)
    assert np.allclose((x - mu) / sigma, features.cmvn(x))
    assert np.allclose(features.cmvn(3 * x + 5), features.cmvn(x))  # what it was made to ignore
    both = features.cmvn_by([x, x + 1], ["a", "a"])
    assert np.allclose(np.concatenate(both), features.cmvn(np.concatenate([x, x + 1])))


@formula("eq-sound-dtw")
def dtw():
    for n, m in ((3, 4), (5, 5), (2, 6)):
        x, y = RNG.normal(size=(n, 2)), RNG.normal(size=(m, 2))
        d = np.linalg.norm(x[:, None] - y, axis=-1)

        def cheapest(i, j, d=d):
            """By trying every path, step by step."""
            if i == j == 0:
                return 2 * d[0, 0]
            ways = []
            if i:
                ways.append(cheapest(i - 1, j) + d[i, j])
            if j:
                ways.append(cheapest(i, j - 1) + d[i, j])
            if i and j:
                ways.append(cheapest(i - 1, j - 1) + 2 * d[i, j])
            return min(ways)

        cost, path = templates.dtw(x, y)
        assert cost == pytest.approx(cheapest(n - 1, m - 1) / (n + m))
        steps = np.diff(path, axis=0).sum(axis=1)
        weights = np.concatenate([[2], steps])  # 2 for the first pair and each diagonal step, else 1
        assert weights.sum() == n + m and cost == pytest.approx(np.average(d[tuple(path.T)], weights=weights))


@formula("eq-sound-wilson")
def wilson():
    z = scipy.stats.norm.ppf(0.975)
    for right, n in ((281, 300), (829, 1100), (0, 10), (10, 10)):
        p = right / n
        half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
        ends = [(p + z**2 / (2 * n) - half) / (1 + z**2 / n), (p + z**2 / (2 * n) + half) / (1 + z**2 / n)]
        assert np.allclose(ends, metrics.interval(right, n))
        for end in ends:  # each end is a p at which the observation lies z deviations away
            assert (p - end) ** 2 == pytest.approx(z**2 * end * (1 - end) / n, abs=1e-12)


@pytest.mark.parametrize("label", FORMULAS)
def test_formula(label):
    FORMULAS[label]()
