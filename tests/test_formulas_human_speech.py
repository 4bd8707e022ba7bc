"""The displayed formulas of the chapter on human speech, each written out as it stands there.

Each is held against an oracle that does not use it: every outcome of a small lottery counted up, a filtered
sound, a minimum searched for, Bayes' rule on a grid, differences. Next to each stand other formulas, with a
sign, factor, index or exponent changed, and the same oracle has to reject every one of them.
"""

import itertools
import math

import numpy as np
import pytest
from scipy.integrate import cumulative_trapezoid
from scipy.optimize import minimize_scalar
from scipy.stats import logistic, norm

from speechlib import features


def formula(label):
    """Say which formula a test is about."""
    return pytest.mark.parametrize("label", [label])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def only(holds, right, *wrong):
    """The formula passes, and no altered one."""
    assert holds(right)
    for k, other in enumerate(wrong):
        assert not holds(other), f"altered formula {k} passes too"


def equal(a, b):
    return np.allclose(a, b, rtol=1e-9, atol=1e-12)


# Words whose part of the mean takes one of four values, equally often; they add up to 0.
PARTS = np.array([-3.0, 0.5, 1.0, 1.5])
# Speakers' constants; their mean is not 0.
CENTERS = np.array([1.0, 2.0, 6.0])


def draws(values, n):
    """Every way to draw n values independently: [shape=(ways, n)]."""
    return np.array(list(itertools.product(values, repeat=n)))


@formula("eq-human-speech-channel")
def test_channel(label, rng):
    def displayed(x, H):
        c = np.log(np.abs(H) ** 2)
        return x + c

    wrong = [
        lambda x, H: x + np.log(np.abs(H)),
        lambda x, H: x + 2 * np.log(np.abs(H) ** 2),
        lambda x, H: x - np.log(np.abs(H) ** 2),
        lambda x, H: x * np.log(np.abs(H) ** 2),
        lambda x, H: x + np.abs(H) ** 2,
        lambda x, H: x + np.log10(np.abs(H) ** 2),
        lambda x, H: x + np.log(1 + np.abs(H) ** 2),
        lambda x, H: x,
    ]
    sound = 0.1 * rng.normal(size=8000) * (1.2 + np.sin(np.arange(8000) / 700))
    x = features.log_mel(sound, 8000, n_mels=20)

    def a_gain(rule):  # the same at all frequencies: exact
        return all(equal(features.log_mel(g * sound, 8000, n_mels=20), rule(x, g)) for g in (0.3, 1.7, -2.0))

    only(a_gain, displayed, *wrong)
    taps = np.array([1.0, 0.6])  # changes little over a band
    edges = features.mel_to_hz(np.linspace(features.hz_to_mel(0.0), features.hz_to_mel(4000.0), 22))
    H = taps @ np.exp(-2j * np.pi * np.outer(np.arange(2), edges[1:-1]) / 8000)
    filtered = features.log_mel(np.convolve(sound, taps)[:8000], 8000, n_mels=20)

    def a_filter(rule):
        return np.abs((filtered - rule(x, H)).mean(axis=0)).max() < 0.1

    only(a_filter, displayed, *wrong)
    # The spectrum is multiplied, |Y| = |H| |X|: exact where the sound is periodic.
    period, response = rng.normal(size=256), np.fft.rfft(taps, 256)
    X = np.abs(np.fft.rfft(period))
    Y = np.abs(np.fft.rfft(period + taps[1] * np.roll(period, 1)))
    only(lambda rule: equal(Y, rule(np.abs(response), X)), lambda H, X: H * X, lambda H, X: H**2 * X,
         lambda H, X: X / H, lambda H, X: H + X)  # fmt: skip
    # What is added is subtracted with the mean: no trace of c, if the words are the same.
    plain, other = features.cmvn_by([x, filtered], ["one", "two"], variance=False)
    assert np.abs(filtered - x).mean() > 0.5 and np.abs(other - plain).mean() < 0.06
    assert equal(*features.cmvn_by([x, displayed(x, H)], ["one", "two"], variance=False))


@formula("eq-human-speech-mean")
def test_mean(label):
    s2 = np.mean(PARTS**2)
    assert PARTS.sum() == 0

    def holds(rule):
        for n, c in itertools.product((1, 2, 3, 5), (0.0, 2.5)):
            m = c + draws(PARTS, n)
            error = np.mean((m.mean(axis=1) - c) ** 2)
            if not equal(error, rule(s2, n)):
                return False
        return True

    only(
        holds,
        lambda s2, n: s2 / n,
        lambda s2, n: s2,
        lambda s2, n: s2 / n**2,
        lambda s2, n: s2 / math.sqrt(n),
        lambda s2, n: s2 / (n + 1),
        lambda s2, n: s2 / max(n - 1, 1),
        lambda s2, n: math.sqrt(s2) / n,
        lambda s2, n: s2**2 / n,
        lambda s2, n: s2 * n,
        lambda s2, n: 2 * s2 / n,
    )


def mixed(w, n, s2, v):
    """E(w) as it is displayed."""
    return w**2 * s2 / n + (1 - w) ** 2 * v


CASES = [(1, 2.5, 0.9), (4, 2.5, 0.9), (3, 1.0, 5.0), (10, 7.0, 0.3), (1, 0.2, 0.2)]  # n, s2, v


@formula("eq-human-speech-mixed")
def test_mixed(label):
    s2, mu, v = np.mean(PARTS**2), CENTERS.mean(), CENTERS.var()

    def holds(rule):
        for n, w in itertools.product((1, 2, 4), (-0.3, 0.0, 0.25, 0.6, 1.0)):
            c = CENTERS[:, None]
            m_bar = c + draws(PARTS, n).mean(axis=1)  # every speaker with every draw
            error = np.mean((w * m_bar + (1 - w) * mu - c) ** 2)
            if not equal(error, rule(w, n, s2, v)):
                return False
        return True

    only(
        holds,
        mixed,
        lambda w, n, s2, v: w * s2 / n + (1 - w) ** 2 * v,
        lambda w, n, s2, v: w**2 * s2 / n + (1 - w) * v,
        lambda w, n, s2, v: w**2 * s2 / n + (1 - w**2) * v,
        lambda w, n, s2, v: (1 - w) ** 2 * s2 / n + w**2 * v,
        lambda w, n, s2, v: w**2 * s2 / n - (1 - w) ** 2 * v,
        lambda w, n, s2, v: w**2 * s2 / n + (1 + w) ** 2 * v,
        lambda w, n, s2, v: w**2 * s2 + (1 - w) ** 2 * v,
        lambda w, n, s2, v: w**2 * s2 / n + (1 - w) ** 2 * v / n,
        lambda w, n, s2, v: w**2 * s2 / n**2 + (1 - w) ** 2 * v,
        lambda w, n, s2, v: w**2 * s2 / n + (1 - w) ** 2 * v + 2 * w * (1 - w) * v,
        lambda w, n, s2, v: w**2 * s2 / n + (1 - w) ** 2 * v**2,
    )

    def slope(rule):  # a parabola: its differences are exact but for rounding
        return all(
            math.isclose((mixed(w + 0.1, *case) - mixed(w - 0.1, *case)) / 0.2, rule(w, *case), abs_tol=1e-9)
            for case in CASES
            for w in (-0.5, 0.0, 0.3, 1.0)
        )

    only(
        slope,
        lambda w, n, s2, v: 2 * w * s2 / n - 2 * (1 - w) * v,
        lambda w, n, s2, v: 2 * w * s2 / n + 2 * (1 - w) * v,
        lambda w, n, s2, v: w * s2 / n - 2 * (1 - w) * v,
        lambda w, n, s2, v: 2 * w * s2 / n - (1 - w) * v,
        lambda w, n, s2, v: 2 * w * s2 - 2 * (1 - w) * v,
        lambda w, n, s2, v: 2 * w * s2 / n - 2 * (1 + w) * v,
    )


def displayed_weight(n, kappa):
    return n / (n + kappa)


def displayed_kappa(s2, v):
    return s2 / v


def displayed_error(n, s2, kappa):
    return s2 / (n + kappa)


@formula("eq-human-speech-shrunk")
def test_shrunk(label):
    def holds(rules):
        weight, kappa_of, error = rules
        for n, s2, v in CASES:
            best = minimize_scalar(lambda w, n=n, s2=s2, v=v: mixed(w, n, s2, v), (0.0, 1.0), tol=1e-10)
            kappa = kappa_of(s2, v)
            if not math.isclose(weight(n, kappa), best.x, rel_tol=1e-5):
                return False
            if not math.isclose(error(n, s2, kappa), best.fun, rel_tol=1e-9):
                return False
        return True

    w, kappa, E = displayed_weight, displayed_kappa, displayed_error
    only(
        holds,
        (w, kappa, E),
        (lambda n, k: k / (n + k), kappa, E),
        (lambda n, k: n / (n - k), kappa, E),
        (lambda n, k: 1 / (n + k), kappa, E),
        (lambda n, k: (n + 1) / (n + 1 + k), kappa, E),
        (lambda n, k: n / (n + k**2), kappa, E),
        (lambda n, k: n**2 / (n**2 + k), kappa, E),
        (w, lambda s2, v: v / s2, E),
        (w, lambda s2, v: math.sqrt(s2 / v), E),
        (w, lambda s2, v: s2 * v, E),
        (w, lambda s2, v: s2, E),
        (w, kappa, lambda n, s2, k: s2 / (n - k)),
        (w, kappa, lambda n, s2, k: s2 / n + s2 / k),
        (w, kappa, lambda n, s2, k: s2 / (n + k) ** 2),
        (w, kappa, lambda n, s2, k: s2 * k / (n + k)),
        (w, kappa, lambda n, s2, k: n * s2 / (n + k)),
        (w, kappa, lambda n, s2, k: s2 / (n + 1 + k)),
    )
    for n, s2, v in CASES:
        kappa = displayed_kappa(s2, v)
        error = displayed_error(n, s2, kappa)
        assert math.isclose(s2 / kappa, v) and error < s2 / n and error < v  # smaller than both, always
        assert math.isclose(error, mixed(displayed_weight(n, kappa), n, s2, v))
    # The mean of the n words and of kappa more that say mu.
    words, mu = np.array([2.0, 7.0, 3.0]), -1.0
    for kappa in (1, 4):
        w = displayed_weight(3, kappa)
        assert math.isclose(w * words.mean() + (1 - w) * mu, np.mean([*words, *[mu] * kappa]))


@formula("eq-human-speech-shrunk")
def test_shrunk_is_a_posterior_mean(label, rng):
    grid = np.linspace(-30, 30, 6001)  # the constant of a speaker
    for (n, s2, v), mu in itertools.product(CASES, (0.0, 3.0)):
        words = mu + 1.5 + math.sqrt(s2) * rng.normal(size=n)
        log_p = norm.logpdf(grid, mu, math.sqrt(v)) + sum(norm.logpdf(m, grid, math.sqrt(s2)) for m in words)
        p = np.exp(log_p - log_p.max())
        p /= p.sum()
        mean = (p * grid).sum()
        kappa = displayed_kappa(s2, v)
        w = displayed_weight(n, kappa)
        assert math.isclose(mean, w * words.mean() + (1 - w) * mu, abs_tol=1e-6)
        assert math.isclose((p * (grid - mean) ** 2).sum(), displayed_error(n, s2, kappa), rel_tol=1e-5)


@formula("eq-human-speech-shrunk")
def test_words_left_over_as_the_truth(label, rng):
    """The comparison in the chapter: n of N words against the mean of the others, every choice counted."""
    N, deviations = 7, rng.normal(size=7)
    deviations -= deviations.mean()
    s2 = deviations.var(ddof=1)
    mu, centers = 0.7, np.array([-1.0, 0.5, 4.0])
    v = np.mean((centers - mu) ** 2) - s2 / N  # of the constants; centers of N words spread by s2 / N more

    def expected(n, w):
        errors = []
        for chosen in itertools.combinations(range(N), n):
            few = deviations[list(chosen)].mean()
            rest = np.delete(deviations, chosen).mean()
            errors += [(w * (c + few) + (1 - w) * mu - (c + rest)) ** 2 for c in centers]
        return np.mean(errors)

    def plain(rule):
        return all(equal(expected(n, 1.0), rule(s2, n)) for n in (1, 2, 3, 5, 6))

    only(
        plain,
        lambda s2, n: s2 / n + s2 / (N - n),
        lambda s2, n: s2 / n,
        lambda s2, n: s2 / n - s2 / (N - n),
        lambda s2, n: s2 / n + s2 / N,
        lambda s2, n: s2 / n * (1 - n / N) + s2 / (N - n),
        lambda s2, n: (N - 1) / N * (s2 / n + s2 / (N - n)),
    )

    def shrunk(rule):
        kappa = displayed_kappa(s2, v)
        return all(equal(expected(n, displayed_weight(n, kappa)), rule(n, kappa)) for n in (1, 2, 3, 5, 6))

    only(
        shrunk,
        lambda n, kappa: displayed_error(n, s2, kappa) + s2 / (N - n),
        lambda n, kappa: displayed_error(n, s2, kappa),
        lambda n, kappa: displayed_error(n, s2, kappa) + s2 / N,
        lambda n, kappa: displayed_error(n, s2, kappa) + s2 / (N - n + kappa),
        lambda n, kappa: displayed_error(n, s2, kappa) - s2 / (N - n),
    )
    assert equal(expected(2, 0.0), v + s2 / (N - 2))  # no estimate


@formula("eq-human-speech-shrunk")
def test_variance_of_centers(label):
    """What the centers of speakers spread, counted over every outcome; what kappa is computed from."""
    sizes, s, spread = (2, 3, 4), 1.5, 2.0
    s2, v = s**2, spread**2
    own, centers = [], []
    parts = [s * draws((-1, 1), n) for n in sizes]
    for place in spread * draws((-1, 1), len(sizes)):
        for chosen in itertools.product(*parts):
            words = [c + each for c, each in zip(place, chosen, strict=True)]
            centers.append(np.var([each.mean() for each in words], ddof=1))
        own += [each.var(ddof=1) for part in parts for each in part]
    within = [np.mean([each.var(ddof=1) for each in part]) for part in parts]
    assert equal(within, s2)  # n - 1 in the denominator: no bias, however many words
    n = np.array(sizes)
    only(
        lambda rule: equal(np.mean(centers), rule(s2, v)),
        lambda s2, v: v + np.mean(s2 / n),
        lambda s2, v: v,
        lambda s2, v: v - np.mean(s2 / n),
        lambda s2, v: v + s2 / n.mean(),
        lambda s2, v: v + s2 / n.sum(),
        lambda s2, v: v + np.sum(s2 / n),
        lambda s2, v: v + s2,
        lambda s2, v: 2 / 3 * (v + np.mean(s2 / n)),
    )


class Words:
    """One number x for all words of a speaker: what lies left and right of a threshold, by integration."""

    def __init__(self, density, delta):
        self.delta, self.x = delta, np.linspace(-12, 12, 120_001) + delta
        self.p = density(self.x - delta)
        self.below = cumulative_trapezoid(self.p, self.x, initial=0)
        self.sum = cumulative_trapezoid(self.p * self.x, self.x, initial=0)
        assert math.isclose(self.below[-1], 1, abs_tol=1e-6)

    def at(self, values, b):
        return np.interp(b, self.x, values)

    def left(self, b):
        return self.at(self.sum, b) / self.at(self.below, b)

    def right(self, b):
        return (self.sum[-1] - self.at(self.sum, b)) / (self.below[-1] - self.at(self.below, b))

    def next(self, b):
        return (self.left(b) + self.right(b)) / 2

    def slope(self, function, h=2e-3):  # at the right threshold
        return (function(self.delta + h) - function(self.delta - h)) / (2 * h)


def two(shape):
    return lambda a, sigma: lambda x: (shape.pdf((x - a) / sigma) + shape.pdf((x + a) / sigma)) / (2 * sigma)


NORMAL = [(a, sigma) for a in (0.0, 0.4, 1.0) for sigma in (0.5, 1.0)]
SPEAKERS = [Words(two(norm)(*pair), delta) for pair in NORMAL for delta in (0.0, -0.7)] + [
    Words(two(logistic)(1.0, 0.4), 0.4)
]


@formula("eq-human-speech-rate")
def test_rate(label):
    def holds(rule):
        for words in SPEAKERS:
            delta = words.delta
            rho = rule(words.at(words.p, delta), words.left(delta), words.right(delta), delta)
            if not math.isclose(words.slope(words.next), rho, abs_tol=1e-4):
                return False
            for step in (0.03, -0.05):  # b' - delta is about rho (b - delta); what is left is of third order
                b = delta + step
                if abs(words.next(b) - delta - rho * (b - delta)) > 4 * abs(step) ** 3 + 1e-6:
                    return False
        return True

    only(
        holds,
        lambda p, L, R, delta: p * (R - L),
        lambda p, L, R, delta: p * (L - R),
        lambda p, L, R, delta: p * (R + L),
        lambda p, L, R, delta: 2 * p * (R - L),
        lambda p, L, R, delta: p * (R - L) / 2,
        lambda p, L, R, delta: p**2 * (R - L),
        lambda p, L, R, delta: p * (R - L) ** 2,
        lambda p, L, R, delta: p / (R - L),
        lambda p, L, R, delta: 1 - p * (R - L),
        lambda p, L, R, delta: p * (R - delta),
    )
    for words in SPEAKERS:  # the steps before it
        delta, p = words.delta, words.at(words.p, words.delta)
        L, R = words.left(delta), words.right(delta)
        assert math.isclose(words.next(delta), delta, abs_tol=1e-6)
        assert math.isclose(words.slope(lambda b, w=words: w.at(w.below, b)), p, abs_tol=1e-4)
        assert math.isclose(words.slope(words.right), 2 * p * (R - delta), abs_tol=1e-4)
        assert math.isclose(words.slope(words.left), 2 * p * (delta - L), abs_tol=1e-4)


def rho_of(a, sigma):
    """The rate for normal words, as the chapter computes it."""
    folded = sigma * np.sqrt(2 / np.pi) * np.exp(-(a**2) / (2 * sigma**2))
    folded = folded + a * (1 - 2 * norm.cdf(-a / sigma))
    return 2 * norm.pdf(a / sigma) / sigma * folded


@formula("eq-human-speech-rate")
def test_rate_of_normal_words(label):
    for (a, sigma), words in zip(NORMAL, SPEAKERS[::2], strict=False):
        density = words.at(words.p, words.delta)
        assert math.isclose(density, norm.pdf(a / sigma) / sigma, rel_tol=1e-6)
        distance = np.trapezoid(words.p * np.abs(words.x - words.delta), words.x)  # E |x - delta|
        half = (words.right(words.delta) - words.left(words.delta)) / 2
        assert math.isclose(half, distance, rel_tol=1e-6)
        assert math.isclose(rho_of(a, sigma), 2 * density * distance, rel_tol=1e-6)
    ratios = rho_of(np.linspace(0, 8, 400), 1.0)
    assert math.isclose(ratios[0], 2 / np.pi) and np.all(np.diff(ratios) < 0)  # never above, and falling
    assert equal(rho_of(3.0, 2.0), rho_of(1.5, 1.0))  # only a / sigma counts


@formula("eq-human-speech-rate")
def test_thresholds_come_back_from_anywhere(label, rng):
    """Not from nearby alone: all words are believed, so each round leaves at most 2/pi of the error."""

    def moved(b, a, sigma):  # of normal words around -a and a
        z = np.array([b + a, b - a]) / sigma
        centers = np.array([[-a], [a]])
        low, high = norm.cdf(z), norm.sf(z)
        L = (centers * low - sigma * norm.pdf(z)).sum(axis=0) / low.sum(axis=0)
        R = (centers * high + sigma * norm.pdf(z)).sum(axis=0) / high.sum(axis=0)
        return (L + R) / 2

    for sigma in (0.05, 0.2, 0.5, 1.0, 3.0):
        b = np.linspace(1e-3, 1 + 8 * sigma, 300)
        ratio = moved(b, 1.0, sigma) / b
        assert np.all(ratio > -1e-12) and np.all(ratio <= 2 / np.pi)
    x = 0.4 + rng.choice([-1, 1], 20_000) + 0.5 * rng.standard_normal(20_000)
    b = 2.2  # beyond the word on the right
    path = [b]
    for _ in range(8):
        b = (x[x < b].mean() + x[x > b].mean()) / 2
        path.append(b)
    assert path[1] > 1 and abs(path[-1] - 0.4) < 0.03
