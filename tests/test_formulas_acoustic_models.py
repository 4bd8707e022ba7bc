"""The displayed formulas of the chapter on acoustic models, each written out as it stands there.

Each is held against an oracle that does not use it: PyTorch's convolutions, cells and attention, its count of
parameters, differentiation, delays of arrays, loops. With each formula stand wrong ones, with another sign,
factor, index, exponent or order, and the test has to reject every one of them.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.special import expit

from speechlib import models


def formula(label):
    """Say which formula a test is about."""
    return pytest.mark.parametrize("label", [label])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def only_the_formula(holds, written, wrong):
    """The formula holds as it is written, and none of the wrong ones does."""
    assert holds(written)
    for k, other in enumerate(wrong):
        assert not holds(other), f"wrong formula number {k} holds too"


class Line:
    """A number x[t] for every integer t, all of them 0 but a few."""

    def __init__(self, values, first=0):
        self.values, self.first = np.asarray(values, dtype=float), first

    def __getitem__(self, t):
        k = t - self.first
        return self.values[k] if 0 <= k < len(self.values) else 0.0

    def __eq__(self, other):
        return all(self[t] == other[t] for t in range(-60, 120))


def line(rule, low=-60, high=120):
    """The line t -> rule(t)."""
    return Line([rule(t) for t in range(low, high)], low)


def S(n, x):
    """Delayed by n: it makes x[t - n] of x[t]."""
    return line(lambda t: x[t - n])


def convolved(w, x):
    return line(lambda t: w[0] * x[t] + w[1] * x[t + 1] + w[2] * x[t + 2])


@formula("eq-acoustic-models-three")
def test_three(label, rng):
    def holds(rule):
        for T in (3, 9, 20):
            x, w = rng.normal(size=T), rng.normal(size=3)
            theirs = torch.nn.functional.conv1d(torch.tensor(x)[None, None], torch.tensor(w)[None, None])
            if not np.allclose([rule(w, Line(x), t) for t in range(T - 2)], theirs[0, 0].numpy()):
                return False
        return True

    only_the_formula(
        holds,
        lambda w, x, t: w[0] * x[t] + w[1] * x[t + 1] + w[2] * x[t + 2],
        [
            lambda w, x, t: w[2] * x[t] + w[1] * x[t + 1] + w[0] * x[t + 2],
            lambda w, x, t: w[0] * x[t] + w[1] * x[t - 1] + w[2] * x[t - 2],
            lambda w, x, t: w[0] * x[t - 1] + w[1] * x[t] + w[2] * x[t + 1],
            lambda w, x, t: w[0] * x[t] + w[1] * x[t + 1] - w[2] * x[t + 2],
            lambda w, x, t: w[0] * x[t] + w[1] * x[t + 1],
            lambda w, x, t: (w[0] * x[t] + w[1] * x[t + 1] + w[2] * x[t + 2]) / 3,
        ],
    )
    louder = convolved((-1.0, 0.0, 1.0), Line([0, 0, 0, 1, 2, 2, 2, 1, 0]))
    assert [louder[t] for t in range(7)] == [0, 1, 2, 1, 0, -1, -2]  # positive where it becomes louder


@formula("eq-acoustic-models-shift")
def test_shift(label, rng):
    x, w = Line(rng.normal(size=12), 3), rng.normal(size=3)
    delays = (0, 1, 2, 7, 20, -4)

    def holds(sides, convolve=convolved):
        return all(left == right for left, right in (sides(convolve, n) for n in delays))

    only_the_formula(
        holds,
        lambda convolve, n: (convolve(w, S(n, x)), S(n, convolve(w, x))),
        [
            lambda convolve, n: (convolve(w, S(n, x)), S(-n, convolve(w, x))),
            lambda convolve, n: (convolve(w, S(n, x)), S(n + 1, convolve(w, x))),
            lambda convolve, n: (convolve(w, S(n, x)), S(2 * n, convolve(w, x))),
            lambda convolve, n: (convolve(w, S(n, x)), convolve(w, x)),
            lambda convolve, n: (convolve(w, S(n, x)), S(n, convolve(w[::-1], x))),
        ],
    )

    def by_place(
        w, x
    ):  # weights that depend on the place do not commute, and what is done to each frame does
        return line(lambda t: w[0] * x[t] + 0.1 * t * x[t + 1])

    def backward(w, x):
        return line(lambda t: convolved(w, x)[-t])

    def whole_layer(w, x):  # a bias, a ReLU and one more convolution
        y = convolved(w, x)
        return convolved(w, line(lambda t: max(y[t] + 0.3, 0) - 0.3))

    def written(convolve, n):
        return convolve(w, S(n, x)), S(n, convolve(w, x))

    assert not holds(written, by_place) and not holds(written, backward) and holds(written, whole_layer)


@formula("eq-acoustic-models-pool")
def test_pool(label, rng):
    def holds(pools, inside=True):
        for n in (0, 1, 5, 20):
            y = rng.normal(size=30) + 0.3
            later = np.r_[np.zeros(n), y, np.zeros(25 - n)] if inside else np.r_[np.zeros(n), y][:30]
            before = np.r_[y, np.zeros(25)] if inside else y
            if not all(math.isclose(*pool(later, before), rel_tol=1e-12) for pool in pools):
                return False
        return True

    written = [lambda a, b: (np.sum(a), np.sum(b)), lambda a, b: (np.max(a), np.max(b))]
    wrong = [
        [lambda a, b: (a[0], b[0])],  # the answer at one place
        [lambda a, b: (a[-26], b[-26])],
        [lambda a, b: (np.argmax(a), np.argmax(b))],  # where it is largest
        [lambda a, b: (a @ np.arange(len(a)), b @ np.arange(len(b)))],  # a weight for each place
        [lambda a, b: (np.sum(a[:30]), np.sum(b[:30]))],
    ]
    only_the_formula(holds, written, wrong)
    assert not holds(written[:1], inside=False) and not holds(written[1:], inside=False)  # shifted out
    y = rng.normal(size=30) + 0.3  # a mean over *more* frames is another one
    assert math.isclose(np.mean(np.r_[np.zeros(20), y]), 30 / 50 * np.mean(y))


@formula("eq-acoustic-models-stride")
def test_stride(label, rng):
    y = Line(rng.normal(size=25))

    def D(s, y):
        return line(lambda t: y[s * t])

    cases = [(s, n) for s in (2, 3, 4) for n in (0, s, 2 * s, 4 * s)]

    def holds(sides):
        return all(left == right for left, right in (sides(s, n) for s, n in cases))

    only_the_formula(
        holds,
        lambda s, n: (D(s, S(n, y)), S(n // s, D(s, y))),
        [
            lambda s, n: (D(s, S(n, y)), S(n, D(s, y))),
            lambda s, n: (D(s, S(n, y)), S(n * s, D(s, y))),
            lambda s, n: (D(s, S(n, y)), S(-n // s, D(s, y))),
            lambda s, n: (D(s, S(n, y)), S(n // s + 1, D(s, y))),
            lambda s, n: (S(n, D(s, y)), D(s, S(n // s, y))),
        ],
    )
    for s, n in ((2, 1), (2, 7), (3, 1), (3, 2), (4, 2), (4, 6)):  # and not else, by whatever delay
        assert not any(D(s, S(n, y)) == S(m, D(s, y)) for m in range(-20, 21))


def torch_convolution(rng, D, C, K, s, d, T):
    layer = torch.nn.Conv1d(D, C, K, stride=s, dilation=d, dtype=torch.float64)
    x = rng.normal(size=(T, D))
    y = layer(torch.tensor(x.T)[None])[0].T.detach().numpy()
    w = layer.weight.detach().permute(0, 2, 1).numpy()  # (C, K, D)
    return x, w, layer.bias.detach().numpy(), y


@formula("eq-acoustic-models-convolution")
def test_convolution(label, rng):
    torch.manual_seed(0)
    sizes = [
        (3, 2, 4, 1, 1, 9),
        (2, 3, 3, 2, 1, 11),
        (4, 2, 3, 1, 4, 14),
        (2, 2, 5, 3, 2, 20),
        (1, 1, 1, 2, 3, 5),
    ]
    cases = [(size, torch_convolution(rng, *size)) for size in sizes]

    def holds(rule):
        for (D, C, K, s, d, T), (x, w, b, y) in cases:
            padded = np.r_[x, np.full((60, D), 1e3)]  # so that no wrong index falls off the end
            for t in range((T - (K - 1) * d - 1) // s + 1):
                if not np.allclose([rule(padded, w, b, t, c, D, K, s, d) for c in range(C)], y[t]):
                    return False
        return True

    def total(x, w, b, t, c, D, K, s, d, at=lambda s, t, d, k: s * t + d * k, first=0):
        return sum(w[c, k, i] * x[at(s, t, d, k), i] for k in range(first, K) for i in range(D))

    def other(at):
        return lambda x, w, b, t, c, *sizes: b[c] + total(x, w, b, t, c, *sizes, at=at)

    only_the_formula(
        holds,
        lambda x, w, b, t, c, *sizes: b[c] + total(x, w, b, t, c, *sizes),
        [
            other(lambda s, t, d, k: t + d * k),
            other(lambda s, t, d, k: s * t + k),
            other(lambda s, t, d, k: d * t + s * k),
            other(lambda s, t, d, k: s * (t + d * k)),
            other(lambda s, t, d, k: s * t - d * k),
            other(lambda s, t, d, k: s * t + d * (k + 1)),
            other(lambda s, t, d, k: s * t + d + k),
            lambda x, w, b, t, c, *sizes: total(x, w, b, t, c, *sizes),
            lambda x, w, b, t, c, *sizes: -b[c] + total(x, w, b, t, c, *sizes),
            lambda x, w, b, t, c, D, K, s, d: D * K * b[c] + total(x, w, b, t, c, D, K, s, d),
            lambda x, w, b, t, c, D, K, s, d: b[c] + total(x, w, b, t, c, D, K, s, d, first=1),
            lambda x, w, b, t, c, D, K, s, d: b[c] + total(x, w[:, ::-1], b, t, c, D, K, s, d),
            lambda x, w, b, t, c, D, K, s, d: b[c] + total(x, w, b, t, c, D - 1, K, s, d),
        ],
    )


@formula("eq-acoustic-models-count")
def test_count(label):
    def numbers(layer):
        return sum(p.numel() for p in layer.parameters())

    cases = [(C, K, D, numbers(torch.nn.Conv1d(D, C, K))) for C, K, D in ((64, 5, 40), (3, 1, 7), (7, 4, 3))]
    pictures = [
        (C, a * b, D, numbers(torch.nn.Conv2d(D, C, (a, b)))) for C, a, b, D in ((6, 3, 3, 1), (5, 2, 4, 3))
    ]

    def holds(rule):
        return all(rule(C, K, D) == count for C, K, D, count in cases + pictures)

    only_the_formula(
        holds,
        lambda C, K, D: C * (K * D + 1),
        [
            lambda C, K, D: C * K * D + 1,
            lambda C, K, D: C * K * D,
            lambda C, K, D: C * K * (D + 1),
            lambda C, K, D: C * (K + 1) * D,
            lambda C, K, D: D * (K * C + 1),
            lambda C, K, D: C * (K + D + 1),
            lambda C, K, D: (C + 1) * K * D,
            lambda C, K, D: C * (K * D - 1),
        ],
    )

    def count(C, K, D):
        return C * (K * D + 1)

    assert count(64, 9, 1) == 64 * 10 and count(128, 9, 64) == 128 * 577  # the classic network
    assert (
        count(64, 9, 1) + count(128, 9, 64) == 74_496 and count(128, 1, 69_120) == 128 * 69_121 == 8_847_488
    )
    assert count(64, 5, 40) + 4 * count(64, 3, 64) == sum(
        numbers(layer)
        for layer in models.TimeConvolution(40, 10).modules()
        if isinstance(layer, torch.nn.Conv1d)
    )


@formula("eq-acoustic-models-field")
def test_field(label):
    chapter = ((5, 2, 1), (3, 1, 1), (3, 1, 2), (3, 1, 4), (3, 1, 8))
    stacks = [
        ((3, 1, 1),),
        ((4, 3, 1),),
        ((3, 1, 1), (5, 1, 2)),
        ((4, 2, 1), (5, 3, 1), (2, 1, 3)),
        ((3, 2, 2), (3, 2, 1), (3, 2, 1), (2, 5, 4)),
        chapter,
    ]

    def reached(stack):
        """The input frames with a gradient, if one unit of the last layer is differentiated."""
        x = torch.zeros(1, 1, 200, requires_grad=True)
        y = x
        for K, s, d in stack:
            y = torch.nn.functional.conv1d(y, torch.ones(1, 1, K), stride=s, dilation=d)
        y[0, 0, 0].backward()
        return x.grad[0, 0].nonzero().ravel().tolist()

    def holds(rule):
        return all(rule(stack) == reached(stack)[-1] - reached(stack)[0] + 1 for stack in stacks)

    def r(stack, first=1, reach=lambda K, d: (K - 1) * d, below=lambda ls, k: ls[:k], join=math.prod):
        terms = [reach(K, d) * join([s for _, s, _ in below(stack, k)]) for k, (K, _, d) in enumerate(stack)]
        return first + sum(terms)

    only_the_formula(
        holds,
        r,
        [
            lambda stack: r(stack, first=0),
            lambda stack: r(stack, reach=lambda K, d: K * d),
            lambda stack: r(stack, reach=lambda K, d: K - 1),
            lambda stack: r(stack, reach=lambda K, d: K * d - 1),
            lambda stack: r(stack, reach=lambda K, d: (K + 1) * d),
            lambda stack: r(stack, below=lambda ls, k: ls[: k + 1]),  # j <= l
            lambda stack: r(stack, below=lambda ls, k: ls[k + 1 :]),  # j > l
            lambda stack: r(stack, below=lambda ls, k: ls[max(k - 1, 0) : k]),
            lambda stack: r(stack, below=lambda ls, k: []),
            lambda stack: r(stack, join=lambda strides: 1 + sum(s - 1 for s in strides)),
        ],
    )
    assert r(chapter) == len(reached(chapter)) == 65 and math.isclose(0.010 * (65 - 1) + 0.025, 0.665)
    holes = ((3, 1, 8),)  # the formula counts from the first to the last: three frames alone are seen
    assert r(holes) == 17 and reached(holes) == [0, 8, 16]


@formula("eq-acoustic-models-lstm")
def test_lstm(label, rng):
    torch.manual_seed(0)
    cases = []
    for bands, units in ((3, 2), (4, 5)):
        layer = torch.nn.LSTM(bands, units, dtype=torch.float64)
        x = rng.normal(size=(6, bands)) * 2
        h, (_, c) = layer(torch.tensor(x))
        W, U, b, b_2 = (p.detach().numpy() for p in layer.parameters())
        split = zip(*(np.split(a, 4) for a in (W, U, b + b_2)), strict=True)  # torch: i, f, g, o
        cases.append((x, dict(zip("ifgo", split, strict=True)), h.detach().numpy(), c[0].detach().numpy()))

    def step(gate, x, h_before, c_before, i=expit, f=expit, g=np.tanh, o=expit, c=None, h=None):
        def argument(name):
            W, U, b = gate[name]
            return W @ x + U @ h_before + b

        i_t, f_t, g_t, o_t = i(argument("i")), f(argument("f")), g(argument("g")), o(argument("o"))
        c_t = c(f_t, c_before, i_t, g_t) if c else f_t * c_before + i_t * g_t
        return (h(o_t, c_t, c_before) if h else o_t * np.tanh(c_t)), c_t

    def holds(rule):
        for x, gate, theirs, last in cases:
            h, c, states = np.zeros(len(last)), np.zeros(len(last)), []
            for frame in x:
                h, c = rule(gate, frame, h, c)
                states.append(h)
            if not (np.allclose(states, theirs, rtol=1e-9) and np.allclose(c, last, rtol=1e-9)):
                return False
        return True

    def other(**changed):
        return lambda *given: step(*given, **changed)

    def exchanged(names):
        return lambda gate, *given: step(dict(zip("ifgo", (gate[n] for n in names), strict=True)), *given)

    def without(part):  # one of W, U, b is 0 in all gates
        return lambda gate, *given: step(
            {n: [p * (k != part) for k, p in enumerate(parts)] for n, parts in gate.items()}, *given
        )

    only_the_formula(
        holds,
        step,
        [
            other(i=np.tanh),
            other(f=np.tanh),
            other(o=np.tanh),
            other(g=expit),
            other(g=lambda z: z),
            other(i=lambda z: expit(-z)),
            other(f=lambda z: expit(-z)),
            other(c=lambda f, c, i, g: c + i * g),
            other(c=lambda f, c, i, g: f * c + g),
            other(c=lambda f, c, i, g: f * c - i * g),
            other(c=lambda f, c, i, g: f * c + (1 - f) * g),
            other(c=lambda f, c, i, g: i * c + f * g),
            other(c=lambda f, c, i, g: f * (c + i * g)),
            other(h=lambda o, c, old: o * c),
            other(h=lambda o, c, old: np.tanh(o * c)),
            other(h=lambda o, c, old: o * np.tanh(old)),
            other(h=lambda o, c, old: np.tanh(c)),
            without(0),
            without(1),
            without(2),
            *(exchanged(names) for names in itertools.permutations("ifgo") if names != tuple("ifgo")),
        ],
    )
    for f in (
        0.5,
        0.9,
        0.99,
    ):  # a gate that stays at f keeps f^k after k frames, and 1 / (1 - f) frames in sum
        c, kept = 1.0, []
        for _ in range(5000):
            kept.append(c)
            c = f * c + 0.0
        assert math.isclose(kept[7], f**7) and math.isclose(sum(kept), 1 / (1 - f))


@formula("eq-acoustic-models-gru")
def test_gru(label, rng):
    torch.manual_seed(0)
    cases = []
    for bands, units in ((3, 2), (4, 5)):
        layer = torch.nn.GRU(bands, units, dtype=torch.float64)
        x = rng.normal(size=(6, bands)) * 2
        theirs = layer(torch.tensor(x))[0].detach().numpy()
        W, U, b, b_2 = (np.split(p.detach().numpy(), 3) for p in layer.parameters())  # r, z, n
        # b_r and b_z are one vector each in the formula; the news have two, b_n and b'_n
        cases.append((x, W, U, (b[0] + b_2[0], b[1] + b_2[1], b[2], b_2[2]), theirs))

    def step(W, U, b, x, h, reset=None, mix=lambda z, n, h: (1 - z) * n + z * h, news=np.tanh, gate=expit):
        r = gate(W[0] @ x + U[0] @ h + b[0])
        z = gate(W[1] @ x + U[1] @ h + b[1])
        inner = reset(r, U[2], h, b[2], b[3]) if reset else b[2] + r * (U[2] @ h + b[3])
        return mix(z, news(W[2] @ x + inner), h)

    def holds(rule):
        for x, W, U, b, theirs in cases:
            h, states = np.zeros(theirs.shape[1]), []
            for frame in x:
                h = rule(W, U, b, frame, h)
                states.append(h)
            if not np.allclose(states, theirs, rtol=1e-9):
                return False
        return True

    def other(**changed):
        return lambda *given: step(*given, **changed)

    only_the_formula(
        holds,
        step,
        [
            other(mix=lambda z, n, h: z * n + (1 - z) * h),
            other(mix=lambda z, n, h: n + z * h),
            other(mix=lambda z, n, h: (1 - z) * n + h),
            other(mix=lambda z, n, h: (1 - z) * n - z * h),
            other(news=lambda a: a),
            other(news=expit),
            other(gate=np.tanh),
            other(reset=lambda r, U, h, b, b_2: b + U @ (r * h) + b_2),  # as in the paper
            other(reset=lambda r, U, h, b, b_2: b + r * (U @ h) + b_2),  # b' outside the gate
            other(reset=lambda r, U, h, b, b_2: r * (U @ h + b_2 + b)),
            other(reset=lambda r, U, h, b, b_2: b + r * (U @ h)),
            other(reset=lambda r, U, h, b, b_2: b + (1 - r) * (U @ h + b_2)),
            other(reset=lambda r, U, h, b, b_2: b + U @ h + b_2),
            lambda W, U, b, x, h: step((W[1], W[0], W[2]), (U[1], U[0], U[2]), (b[1], b[0], *b[2:]), x, h),
        ],
    )


@formula("eq-acoustic-models-attention")
def test_attention(label, rng):
    cases = []
    for T, d, e, length in ((5, 4, 3, 5), (7, 9, 2, 4), (4, 2, 6, 1)):
        Q, K, V = rng.normal(size=(T, d)) * 1.5, rng.normal(size=(T, d)) * 1.5, rng.normal(size=(T, e))
        valid = np.arange(T) < length
        mask = torch.tensor(valid)[None].expand(T, T)
        theirs = torch.nn.functional.scaled_dot_product_attention(
            *map(torch.tensor, (Q, K, V)), attn_mask=mask
        )
        cases.append((Q, K, V, valid, theirs.numpy()))

    def softmax(scores, axis=1):
        e = np.exp(scores - np.maximum(scores.max(axis=axis, keepdims=True), -1e9))
        return e / np.maximum(e.sum(axis=axis, keepdims=True), 1e-300)

    def M(valid, columns=True):
        return np.where(valid[None] if columns else valid[:, None], 0.0, -np.inf) + np.zeros(
            (len(valid),) * 2
        )

    def written(Q, K, V, valid):
        A = softmax(Q @ K.T / np.sqrt(Q.shape[1]) + M(valid))
        return A @ V

    def holds(rule):
        return all(np.allclose(rule(Q, K, V, valid), theirs) for Q, K, V, valid, theirs in cases)

    def scaled(scale):
        return lambda Q, K, V, valid: softmax(Q @ K.T * scale(*Q.shape) + M(valid)) @ V

    only_the_formula(
        holds,
        written,
        [
            scaled(lambda T, d: 1),
            scaled(lambda T, d: 1 / d),
            scaled(lambda T, d: np.sqrt(d)),
            scaled(lambda T, d: 1 / np.sqrt(T)),
            scaled(lambda T, d: -1 / np.sqrt(d)),
            lambda Q, K, V, valid: softmax((Q @ K.T).T / np.sqrt(Q.shape[1]) + M(valid)) @ V,
            lambda Q, K, V, valid: softmax(Q @ K.T / np.sqrt(Q.shape[1]) + M(valid), axis=0) @ V,
            lambda Q, K, V, valid: softmax(Q @ K.T / np.sqrt(Q.shape[1]) + M(valid, columns=False)) @ V,
            lambda Q, K, V, valid: softmax(Q @ K.T / np.sqrt(Q.shape[1])) @ V,
            lambda Q, K, V, valid: softmax(Q @ K.T / np.sqrt(Q.shape[1]) * valid) @ V,
            lambda Q, K, V, valid: softmax(Q @ K.T / np.sqrt(Q.shape[1]) + M(valid)).T @ V,
        ],
    )
    Q, K, V, valid, theirs = cases[0]  # reorder the frames, and the answers are reordered with them
    order = rng.permutation(len(Q))
    assert np.allclose(written(Q[order], K[order], V[order], valid[order]), theirs[order])
    products = rng.normal(size=(20_000, 64)) * rng.normal(size=(20_000, 64))  # of mean 0 and variance 1
    assert math.isclose(products.sum(axis=1).var(), 64, rel_tol=0.05)
    off = (1 + rng.normal(size=(20_000, 64))) * (1 + rng.normal(size=(20_000, 64)))  # of mean 1: not so
    assert math.isclose(off.sum(axis=1).var(), 3 * 64, rel_tol=0.05)


@formula("eq-acoustic-models-mean")
def test_mean(label, rng):
    lengths = np.array([7, 3, 1, 5])
    h = rng.normal(size=(4, 7, 6)) + 1
    m = (np.arange(7) < lengths[:, None]).astype(float)
    mask = torch.tensor(m > 0)
    library = models.mean_and_max(torch.tensor(h).transpose(1, 2), mask)[:, :6].numpy()
    alone = np.array([np.mean(row[:n], axis=0) for row, n in zip(h, lengths, strict=True)])

    def holds(rule):
        found = np.array([rule(row, weights) for row, weights in zip(h, m, strict=True)])
        return np.allclose(found, alone) and np.allclose(found, library)

    only_the_formula(
        holds,
        lambda h, m: sum(m[t] * h[t] for t in range(7)) / sum(m),
        [
            lambda h, m: sum(m[t] * h[t] for t in range(7)) / len(m),
            lambda h, m: sum(h[t] for t in range(7)) / sum(m),
            lambda h, m: sum(h[t] for t in range(7)) / len(m),
            lambda h, m: sum(m[t] * h[t] for t in range(7)),
            lambda h, m: sum(m[t] * h[t] for t in range(6)) / sum(m[:6]),
            lambda h, m: sum((1 - m[t]) * h[t] for t in range(7)) / max(sum(1 - m), 1),
            lambda h, m: sum(m[t] * h[t] for t in range(7)) / sum(m) ** 2,
        ],
    )
