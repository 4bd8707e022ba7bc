"""The exercises of the chapter: the stub fails, the solution passes, each typical mistake gets its hint."""

import itertools
import math

import numpy as np
import pytest
from scipy.special import expit

from speechlib import check, losses
from speechlib.autograd import Tensor


def verdict(capsys, exercise, answer):
    passed = exercise(answer)
    return passed, capsys.readouterr().out


def quotient(a, b):
    return 1 / b, -a / b**2


def layer_backward(X, W, b, dH):
    H = np.tanh(X @ W + b)
    dA = dH * (1 - H**2)
    return dA @ W.T, X.T @ dA, dA.sum(axis=0)


def layer(slope):
    """The backward pass with another factor in place of dH (1 - H²)."""

    def answer(X, W, b, dH):
        A = X @ W + b
        dA = slope(dH, np.tanh(A), A)
        return dA @ W.T, X.T @ dA, dA.sum(axis=0)

    return answer


def changed(k, change):
    """The right adjoints with one replaced: change(dA, X, W, dH)."""

    def answer(X, W, b, dH):
        parts = list(layer_backward(X, W, b, dH))
        parts[k] = change(dH * (1 - np.tanh(X @ W + b) ** 2), X, W, dH)
        return tuple(parts)

    return answer


def layer_in_place(X, W, b, dH):
    dH *= 1 - np.tanh(X @ W + b) ** 2
    return dH @ W.T, X.T @ dH, dH.sum(axis=0)


def nudged(f, x, h=1e-5, factor=1.0):
    slope = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[i] = h
        slope[i] = factor * (f(x + step) - f(x - step)) / (2 * h)
    return slope


def one_sided(f, x, h=1e-6):
    slope = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[i] = h
        slope[i] = (f(x + step) - f(x)) / h
    return slope


def four_points(f, x):
    return (4 * nudged(f, x, 1e-3) - nudged(f, x, 2e-3)) / 3


def in_place(f, x, *, copy=False, restore="value"):
    x = x.copy() if copy else x
    slope = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        old, h = x[i], 1e-5
        x[i] = old + h
        above = f(x)
        x[i] = old - h
        slope[i] = (above - f(x)) / (2 * h)
        if restore == "value":
            x[i] = old
        elif restore == "add":
            x[i] += h * (1 + 1e-9)
    return slope


def flat_only(f, x):
    slope = np.zeros(x.size)
    for i in range(x.size):
        step = np.zeros(x.shape)
        step[i] = 1e-5
        slope[i] = (f(x + step) - f(x - step)) / 2e-5
    return slope


def whole_rows(f, x):
    slope = np.zeros(x.shape)
    for i in range(len(x)):
        step = np.zeros(x.shape)
        step[i] = 1e-5
        slope[i] = (f(x + step) - f(x - step)) / 2e-5
    return slope


def flattened(f, x):
    return nudged(f, x).ravel()


def handed_flat(f, x):
    return nudged(f, x.ravel())


def everywhere(f, x):
    return (f(x + 1e-5) - f(x - 1e-5)) / 2e-5 * np.ones(x.shape)


def complex_step(f, x):
    return np.array([f(x + 1e-20j * row).imag for row in np.eye(x.size)]) / 1e-20


def softplus(x):
    size = x.relu() + (-x).relu()
    return x.relu() + ((-size).exp() + 1).log()


def two_scores(x):  # minus the logarithm of the second of two probabilities, without a kink
    return -(x.reshape(-1, 1) @ [[1.0, 0.0]]).log_softmax()[:, 1].reshape(x.shape)


def cut_softplus(x):  # right values, and a part of them computed past the tape
    return x.relu() + np.log1p(np.exp(-np.abs(x.data)))


def cut_relu(x):
    return ((-(x.relu() + (-x).relu())).exp() + 1).log() + np.maximum(x.data, 0)


def clipped(x):
    return (Tensor(np.minimum(x.data, 40.0)) + 0 * x).exp().log() * 0 + 40 - (40 - softplus(x)).relu()


def infinite_way_back(x):
    return softplus(x) + 0 * (1 / ((-x).exp() + 1))


def good_start(sizes, rng):
    return [rng.normal(size=(n, m)) * np.sqrt(2 / n) for n, m in zip(sizes[:-1], sizes[1:], strict=True)]


def start(deviation, *, mean=0.0, last=None):
    """Weights with another standard deviation, a function of (inputs, outputs)."""

    def answer(sizes, rng):
        pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
        drawn = [(rng.normal(size=s) + mean) * deviation(*s) for s in pairs]
        if last:
            drawn[-1] *= last(*pairs[-1]) / deviation(*pairs[-1])
        return drawn

    return answer


def uniform_start(sizes, rng):
    return [
        rng.uniform(-1, 1, size=(n, m)) * np.sqrt(6 / n) for n, m in zip(sizes[:-1], sizes[1:], strict=True)
    ]


def constant_start(sizes, rng):
    return [np.full((n, m), np.sqrt(2 / n)) for n, m in zip(sizes[:-1], sizes[1:], strict=True)]


def repeated_start(sizes, rng):
    seed = rng.integers(1000)
    return [
        w for k in range(1, len(sizes)) for w in good_start(sizes[k - 1 : k + 1], np.random.default_rng(seed))
    ]


def rows_start(sizes, rng):
    return [w[:, :1] + 0 * w for w in good_start(sizes, rng)]


def own_rng(sizes, rng):
    return good_start(sizes, np.random.default_rng(5))


def with_biases(sizes, rng):
    return [a for w in good_start(sizes, rng) for a in (w, np.zeros(w.shape[1]))]


def best_segments(layers):
    divisors = [s for s in range(1, layers + 1) if layers % s == 0]
    return min(divisors, key=lambda s: s + layers // s)


def least_of_all(layers):  # not of the divisors alone
    return min(range(1, layers + 1), key=lambda s: s + layers // s)


def next_divisor(layers, *, below):
    """The smallest divisor above 1, or the largest below n: a divisor, and not the best."""
    divisors = [s for s in range(2, layers) if layers % s == 0] or [1]
    return divisors[-1 if below else 0]


BUGS = ("start", "cut", "axis", "sum", "kept")


def loop(*bugs, **other):
    """The loop of the exercise with the bugs named; `other` makes mistakes that are not among the five."""

    def train_network(X, y, hidden, classes, lr, steps, rng):
        inputs = X.shape[1]
        if other.get("order"):
            W2 = rng.normal(size=(hidden, classes)) / np.sqrt(hidden)
        if "start" in bugs:
            W1 = np.ones((inputs, hidden)) * rng.normal() / np.sqrt(inputs)
        else:
            W1 = rng.normal(size=(inputs, hidden)) * other.get("scale", 1 / np.sqrt(inputs))
        if other.get("per_unit"):
            W1 = np.ones((inputs, 1)) * rng.normal(size=hidden) / np.sqrt(inputs)
        if not other.get("order"):
            W2 = rng.normal(size=(hidden, classes)) * other.get("scale2", 1 / np.sqrt(hidden))
        arrays = (W1, np.zeros(hidden), W2, np.zeros(classes))
        W1, b1, W2, b2 = params = [Tensor(a, requires_grad=True) for a in arrays]
        for _ in range(steps):
            batch = other.get("batch", lambda n: rng.choice(n, 20, replace=False))(len(X))
            if other.get("clear_first"):
                for p in params:
                    p.grad = None
            h = (Tensor(X[batch]) @ W1 + b1).tanh()
            z = Tensor(h.data) @ W2 + b2 if "cut" in bugs else h @ W2 + b2
            log_q = z.log_softmax(axis=0) if "axis" in bugs else z.log_softmax()
            chosen = log_q[np.arange(20), y[batch]]
            loss = -(chosen.sum() if "sum" in bugs else chosen.mean()) * other.get("times", 1)
            loss.backward()
            for p in params:
                if other.get("clear_early"):
                    p.grad = None
                if p.grad is not None or other.get("no_if"):
                    p.data -= lr * p.grad
                if "kept" not in bugs and not other.get("clear_first"):
                    p.grad = None
            if other.get("decay"):
                lr *= 0.9
        return other.get("returns", lambda params: [p.data for p in params])(params)

    return train_network


def by_losses(X, y, hidden, classes, lr, steps, rng):  # another right loop: the loss by hand, Glorot's start
    shapes = ((X.shape[1], hidden), (hidden, classes))
    W1, W2 = (Tensor(rng.normal(0, np.sqrt(2 / sum(s)), s), requires_grad=True) for s in shapes)
    b1, b2 = (Tensor(np.zeros(n), requires_grad=True) for n in (hidden, classes))
    for _ in range(steps):
        batch = rng.choice(len(X), 20, replace=False)
        z = (X[batch] @ W1 + b1).tanh() @ W2 + b2
        z.backward(losses.softmax_cross_entropy(z.data, y[batch])[1])
        for p in (W1, b1, W2, b2):
            p.data = p.data - lr * p.grad
            p.grad = None
    return W1.data, b1.data, W2.data, b2.data


def own_draws(*args):
    return loop()(*args[:-1], np.random.default_rng())


RIGHT = [
    (check.quotient, quotient),
    (check.layer_backward, layer_backward),
    (check.nudged_gradient, nudged),
    (check.softplus, softplus),
    (check.good_start, good_start),
    (check.best_segments, best_segments),
    (check.train_network, loop()),
]

ALSO_RIGHT = [
    (check.quotient, lambda a, b: [1 / b, -(a / b) / b]),
    (check.layer_backward, lambda X, W, b, dH: list(layer_backward(X, W, b, dH))),
    (check.nudged_gradient, lambda f, x: nudged(f, x, 1e-6)),
    (check.nudged_gradient, lambda f, x: nudged(f, x, 1e-4)),
    (check.nudged_gradient, four_points),
    (check.nudged_gradient, in_place),
    (check.nudged_gradient, lambda f, x: in_place(f, x, copy=True, restore="add")),
    (check.softplus, two_scores),
    (check.good_start, uniform_start),
    (check.good_start, start(lambda n, m: np.sqrt(2 / n), last=lambda n, m: np.sqrt(1 / n))),
    (check.good_start, lambda sizes, rng: tuple(good_start(sizes, rng))),
    (check.best_segments, lambda n: n // best_segments(n)),
    (check.best_segments, lambda n: max(s for s in range(1, n + 1) if n % s == 0 and s * s <= n)),
    (check.best_segments, lambda n: np.float64(best_segments(n))),
    (check.train_network, by_losses),
    (check.train_network, loop(clear_first=True)),
    (check.train_network, loop(no_if=True)),
    (check.train_network, loop(order=True)),
    (check.train_network, loop(returns=lambda params: tuple(p.data.copy() for p in params))),
]

WRONG = [
    (check.quotient, lambda a, b: (1 / b, a / b**2), "The sign of the second"),
    (check.quotient, lambda a, b: (1 / b, -a / b), "the square of b is missing"),
    (check.quotient, lambda a, b: (1 / b, a / b), "the quotient itself"),
    (check.quotient, lambda a, b: (1 / b, -1 / b**2), "a is missing"),
    (check.quotient, lambda a, b: (1 / b, 1 / b**2), "lacks its sign and a"),
    (check.quotient, lambda a, b: quotient(a, b)[::-1], "The two have changed places: first"),
    (check.quotient, lambda a, b: (a / b**2, 1 / b), "and the one by b has the wrong sign"),
    (check.quotient, lambda a, b: (b, a), "edges of a product"),
    (check.quotient, lambda a, b: (1, 1), "edges of a sum"),
    (check.quotient, lambda a, b: quotient(b, a)[::-1], "differentiated b / a"),
    (check.quotient, lambda a, b: 1 / b, "Two numbers are asked"),
    (check.quotient, lambda a, b: ((a, 1 / b), (b, -a / b**2)), "has shape (2, 2)"),
    (check.quotient, lambda a, b: (abs(1 / b), -a / b**2), "the two are -1.6667 and -4.7222"),
    (check.quotient, lambda a, b: quotient(max(a, 0), b), "For a = -2.3"),
    (check.layer_backward, layer(lambda dH, H, A: dH), "The tanh is missing"),
    (check.layer_backward, layer(lambda dH, H, A: dH * (1 - H)), "there is a square"),
    (check.layer_backward, layer(lambda dH, H, A: dH * (1 + H**2)), "The sign in the slope"),
    (check.layer_backward, layer(lambda dH, H, A: dH * H * (1 - H)), "the slope of a sigmoid"),
    (check.layer_backward, layer(lambda dH, H, A: dH * (1 - A**2)), "of the argument"),
    (check.layer_backward, layer(lambda dH, H, A: dH * (1 - np.tanh(H) ** 2)), "tanh once more"),
    (check.layer_backward, layer(lambda dH, H, A: dH * H), "by the value H"),
    (check.layer_backward, layer(lambda dH, H, A: H * (1 - H**2)), "What comes from above"),
    (check.layer_backward, layer(lambda dH, H, A: dH * (A > 0)), "the slope of a ReLU"),
    (check.layer_backward, layer(lambda dH, H, A: -dH * (1 - H**2)), "The sign of all three"),
    (check.layer_backward, layer(lambda dH, H, A: np.sin(dH)), "X differs from what differences say"),
    (check.layer_backward, layer_in_place, "changed the caller's dH"),
    (check.layer_backward, changed(0, lambda dA, X, W, dH: dA @ W), "the shapes do not fit"),
    (check.layer_backward, changed(1, lambda dA, X, W, dH: np.dot(X, dA)), "the shapes do not fit"),
    (check.layer_backward, changed(1, lambda dA, X, W, dH: X * dA), "the shapes do not fit"),
    (check.layer_backward, changed(0, lambda dA, X, W, dH: W @ dA.T), "X comes out transposed"),
    (check.layer_backward, changed(1, lambda dA, X, W, dH: dA.T @ X), "W comes out transposed"),
    (check.layer_backward, changed(2, lambda dA, X, W, dH: dA), "added to every row"),
    (check.layer_backward, changed(2, lambda dA, X, W, dH: dA.mean(axis=0)), "the mean of the rows"),
    (check.layer_backward, changed(2, lambda dA, X, W, dH: dA.sum(axis=1)), "added up along the units"),
    (check.layer_backward, changed(2, lambda dA, X, W, dH: dA.sum(axis=0, keepdims=True)), "too many"),
    (check.layer_backward, changed(2, lambda dA, X, W, dH: dH.sum(axis=0)), "adjoint of b the slope"),
    (check.layer_backward, changed(2, lambda dA, X, W, dH: dA.sum()), "b has (4,), yours ()"),
    (check.layer_backward, changed(2, lambda dA, X, W, dH: dA[0]), "b differs from what"),
    (check.layer_backward, changed(0, lambda dA, X, W, dH: dH @ W.T), "adjoint of X the slope"),
    (check.layer_backward, changed(1, lambda dA, X, W, dH: X.T @ dH), "adjoint of W the slope"),
    (check.layer_backward, changed(1, lambda dA, X, W, dH: X.T @ dA / len(X)), "over the rows for W"),
    (check.layer_backward, changed(1, lambda dA, X, W, dH: -X.T @ dA), "sign of the adjoint of W"),
    (check.layer_backward, lambda *given: layer_backward(*given)[::-1], "in another order than asked"),
    (check.layer_backward, lambda *given: [layer_backward(*given)[k] for k in (1, 2, 0)], "another order"),
    (check.layer_backward, lambda *given: [layer_backward(*given)[k] for k in (1, 0, 2)], "first two have"),
    (check.layer_backward, lambda *given: layer_backward(*given)[:2], "Three arrays are asked"),
    (check.layer_backward, lambda *given: layer_backward(*given)[1], "Three arrays are asked"),
    (check.nudged_gradient, one_sided, "to one side only"),
    (check.nudged_gradient, lambda f, x: one_sided(f, x, 1e-8), "to one side only"),
    (check.nudged_gradient, lambda f, x: one_sided(f, x, 1e-7), "to one side only"),
    (check.nudged_gradient, lambda f, x: one_sided(f, x, -1e-5), "to one side only"),
    (check.nudged_gradient, lambda f, x: nudged(f, x, 1e-2), "is too large"),
    (check.nudged_gradient, lambda f, x: nudged(f, x, 1e-3), "is too large"),
    (check.nudged_gradient, lambda f, x: nudged(f, x, 1e-10), "is too small: rounding"),
    (check.nudged_gradient, lambda f, x: nudged(f, x, 1e-17), "is too small: rounding"),
    (check.nudged_gradient, lambda f, x: nudged(f, x, 1e-20), "x + h is x"),
    (check.nudged_gradient, lambda f, x: nudged(f, x, factor=2), "twice the gradient"),
    (check.nudged_gradient, lambda f, x: nudged(f, x, factor=0.5), "half the gradient"),
    (check.nudged_gradient, lambda f, x: nudged(f, x, factor=-1), "The sign is turned"),
    (check.nudged_gradient, lambda f, x: nudged(f, x, factor=2e-5), "That is the difference"),
    (check.nudged_gradient, lambda f, x: nudged(f, x, factor=3), "where 1e-7 is asked"),
    (check.nudged_gradient, lambda f, x: in_place(f, x, restore="never"), "x is left changed"),
    (check.nudged_gradient, lambda f, x: in_place(f, x, restore="add"), "The last digits of x"),
    (check.nudged_gradient, flat_only, "as many numbers as x has axes"),
    (check.nudged_gradient, whole_rows, "several entries at once"),
    (check.nudged_gradient, everywhere, "several entries at once"),
    (check.nudged_gradient, flattened, "yours has (6,)"),
    (check.nudged_gradient, handed_flat, "It works for one axis"),
    (check.nudged_gradient, complex_step, "nudge x to both sides"),
    (check.nudged_gradient, lambda f, x: np.zeros(x.shape), "never asked anywhere"),
    (check.softplus, lambda x: (x.exp() + 1).log(), "At 1000 it says inf"),
    (check.softplus, lambda x: -(-x).sigmoid().log(), "At 1000 it says inf"),
    (check.softplus, lambda x: x + ((-x).exp() + 1).log(), "At -1000 it says"),
    (check.softplus, lambda x: np.log(1 + np.exp(x.data)), "Asked is a Tensor"),
    (check.softplus, lambda x: Tensor(np.log(1 + np.exp(x.data))), "forgotten what it was computed from"),
    (check.softplus, lambda x: x.relu(), "That is the ReLU"),
    (check.softplus, lambda x: softplus(-x), "the softplus of -x"),
    (check.softplus, lambda x: -softplus(x), "The sign: the logarithm"),
    (check.softplus, lambda x: x.sigmoid().log(), "logarithm of the sigmoid"),
    (check.softplus, lambda x: x.sigmoid(), "the derivative of the softplus"),
    (check.softplus, lambda x: x.exp().log(), "where is the 1"),
    (check.softplus, lambda x: x.exp() + 1, "The logarithm is missing"),
    (check.softplus, lambda x: softplus(x) / math.log(2), "base 2"),
    (check.softplus, lambda x: softplus(x) - x.relu(), "a large x itself contributes"),
    (check.softplus, lambda x: softplus(x) + (-x).relu(), "For negative x it grows"),
    (check.softplus, lambda x: softplus(x) + 1, "At x = 1.5 it should be 1.7014"),
    (check.softplus, lambda x: softplus(x).sum(), "One value for each entry"),
    (check.softplus, cut_softplus, "the gradient is that of a ReLU"),
    (check.softplus, cut_relu, "x itself passed no gradient"),
    (check.softplus, lambda x: 0 * x + softplus(Tensor(x.data)), "the gradient is 0 everywhere"),
    (check.softplus, lambda x: 0.5 * softplus(x) + 0.5 * softplus(Tensor(x.data)), "at 1.5 should be 0.8176"),
    (check.softplus, clipped, "At 1000 it says 40"),
    (check.softplus, infinite_way_back, "an infinity on the way back"),
    (check.softplus, lambda x: softplus(x) + (0 * (x + 3)) ** 0.5, "the gradient at -3 is NaN"),
    (check.softplus, lambda x: softplus(x) + 1e-3 * (x - x.data) * (abs(x.data) > 40), "clipped"),
    (check.softplus, lambda x: softplus(x)[: len(x.data)].reshape(-1), "shape (2, 3), not (6,)"),
    (check.softplus, lambda x: None, "is there a `return`"),
    (check.good_start, start(lambda n, m: np.sqrt(1 / n)), "the variance 1/n, for tanh"),
    (check.good_start, start(lambda n, m: np.sqrt(2 / m)), "2 over the outputs of the layer"),
    (check.good_start, start(lambda n, m: np.sqrt(1 / m)), "1 over the outputs"),
    (check.good_start, start(lambda n, m: 2 / n), "2/n is the variance"),
    (check.good_start, start(lambda n, m: 1 / n), "the standard deviation 1/n"),
    (check.good_start, start(lambda n, m: 2 / m), "as a standard deviation: take the inputs"),
    (check.good_start, start(lambda n, m: (2 / n) ** 0.25), "the variance sqrt(2/n)"),
    (check.good_start, start(lambda n, m: np.sqrt(2 / (n + m))), "That is 2/(n + m)"),
    (check.good_start, start(lambda n, m: np.sqrt(4 / (n + m))), "both directions"),
    (check.good_start, start(lambda n, m: 2 / np.sqrt(n)), "twice too much"),
    (check.good_start, start(lambda n, m: np.sqrt(2) / n), "The root is taken of 2 alone"),
    (check.good_start, start(lambda n, m: 1.0), "unscaled"),
    (check.good_start, start(lambda n, m: np.sqrt(2)), "does not depend on the number of inputs"),
    (check.good_start, start(lambda n, m: np.sqrt(n / 2)), "upside down"),
    (check.good_start, start(lambda n, m: np.sqrt(3 / n)), "is multiplied by 1.5"),
    (check.good_start, start(lambda n, m: np.sqrt(1 / n), mean=1.0), "do not have mean 0"),
    (check.good_start, constant_start, "All weights of a layer are equal"),
    (check.good_start, rows_start, "rows or columns of yours are all alike"),
    (check.good_start, repeated_start, "Two layers of equal shape"),
    (check.good_start, own_rng, "Two different rng"),
    (check.good_start, lambda sizes, rng: [w.T for w in good_start(sizes, rng)], "The shapes are turned"),
    (check.good_start, lambda sizes, rng: good_start(sizes, rng)[:-1], "not 4"),
    (check.good_start, with_biases, "without the biases"),
    (check.good_start, lambda sizes, rng: good_start(sizes, rng)[0], "a list of 5 matrices"),
    (check.good_start, lambda sizes, rng: good_start([n + 1 for n in sizes], rng), "ask for the shapes"),
    (check.good_start, lambda sizes, rng: [w / 0 for w in good_start(sizes, rng)], "not numbers"),
    (check.best_segments, lambda n: round(math.sqrt(n)), "10 layers do not fall into 3"),
    (check.best_segments, lambda n: int(n**0.5), "10 layers do not fall into 3"),
    (check.best_segments, lambda n: math.ceil(n**0.5), "10 layers do not fall into 4"),
    (check.best_segments, least_of_all, "do not fall into"),
    (check.best_segments, math.sqrt, "For 10 layers it says 3.162"),
    (check.best_segments, lambda n: best_segments(n) + n // best_segments(n), "That is the memory"),
    (check.best_segments, lambda n: 1, "With 1 segment"),
    (check.best_segments, lambda n: n, "With 1 segment"),
    (check.best_segments, lambda n: next_divisor(n, below=False), "keeps 2 + 32"),
    (check.best_segments, lambda n: next_divisor(n, below=True), "With 8 segments it is 16"),
    (check.best_segments, lambda n: [s for s in range(1, n + 1) if n % s == 0], "One number is asked"),
    (check.best_segments, lambda n: 0, "do not fall into 0"),
    (check.best_segments, lambda n: -8, "do not fall into -8"),
    (check.train_network, loop("cut", no_if=True), "A `.grad` is None"),
    (check.train_network, loop(returns=lambda params: params), "These are Tensors"),
    (check.train_network, loop(returns=lambda params: params[0].data), "Four arrays are asked"),
    (check.train_network, loop(returns=lambda p: [q.data for q in p[::2]]), "Four arrays are asked"),
    (check.train_network, loop(returns=lambda p: [p[k].data for k in (0, 2, 1, 3)]), "have the shapes"),
    (check.train_network, loop(returns=lambda p: [q.data.T for q in p]), "should have the shapes"),
    (check.train_network, loop(returns=lambda p: [q.data * np.nan for q in p]), "NaN or infinite"),
    (check.train_network, own_draws, "another result the second time"),
    (check.train_network, loop(scale=1.0), "weights W1 have"),
    (check.train_network, loop(scale=0.0), "the same weights"),
    (check.train_network, loop(scale2=0.0), "weights W2 have 0 times"),
    (check.train_network, loop(per_unit=True), "In W1 a unit has the same weight"),
    (check.train_network, loop(clear_early=True), "Nothing moves"),
    (check.train_network, loop(times=-1), "It climbs"),
    (check.train_network, loop(times=1 / 3), "0.333 times the right length"),
    (check.train_network, loop(decay=True), "The first step is right, the next ones are not"),
    (check.train_network, loop(batch=lambda n: np.arange(20)), "neither the right loop nor"),
    (check.train_network, loop("start", times=-1), "the same weights"),
]  # fmt: skip

JUNK = [
    lambda *given: None,
    lambda *given: "1 / b",
    lambda *given: np.ones((2, 7)),
    lambda *given: [1, [2, 3]],
    lambda *given: math.nan,
    lambda *given: (),
    lambda *given: given,
    lambda *given: [np.ones(2)] * 4,
    lambda *given: Tensor(np.ones(6)),
    lambda *given: lambda z: "yes",
    lambda *given: 1 / 0,
    lambda: 1.0,
    "an answer",
    3,
    None,
]


@pytest.mark.parametrize("exercise", [exercise for exercise, _ in RIGHT], ids=lambda e: e.__name__)
def test_the_stub_fails(capsys, exercise):
    for stub in (..., lambda *given: ...):
        passed, printed = verdict(capsys, exercise, stub)
        assert not passed and printed == "No answer yet: put yours in place of the three dots.\n"


@pytest.mark.parametrize("exercise, answer", RIGHT, ids=[exercise.__name__ for exercise, _ in RIGHT])
def test_the_solution_passes(capsys, exercise, answer):
    passed, printed = verdict(capsys, exercise, answer)
    assert passed and printed == "Right.\n", printed


@pytest.mark.parametrize(
    "exercise, answer", ALSO_RIGHT, ids=[exercise.__name__ for exercise, _ in ALSO_RIGHT]
)
def test_another_way_to_be_right_passes(capsys, exercise, answer):
    passed, printed = verdict(capsys, exercise, answer)
    assert passed and printed.endswith("Right.\n"), printed


@pytest.mark.parametrize("exercise, answer, hint", WRONG, ids=[f"{e.__name__}-{h}" for e, _, h in WRONG])
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_typical_mistake_gets_its_hint(capsys, exercise, answer, hint):
    passed, printed = verdict(capsys, exercise, answer)
    assert not passed and hint in printed, printed


@pytest.mark.parametrize("exercise", [exercise for exercise, _ in RIGHT], ids=lambda e: e.__name__)
def test_a_useless_answer_gets_a_verdict(capsys, exercise):
    for answer in JUNK:
        passed, printed = verdict(capsys, exercise, answer)
        assert not passed and ("Not yet. " in printed or "No answer yet" in printed), printed


HINT = {
    "start": "All hidden units begin with the same weights",
    "cut": "W1 never moves",
    "axis": "depends on who else is in the batch",
    "sum": "twenty times as long",
    "kept": "`.grad` when the second pass begins",
}
VARIANTS = [bugs for count in range(1, 6) for bugs in itertools.combinations(BUGS, count)]


@pytest.mark.parametrize("bugs", VARIANTS, ids="-".join)
def test_each_set_of_bugs_in_the_loop_is_named_by_its_first(capsys, bugs):
    passed, printed = verdict(capsys, check.train_network, loop(*bugs))
    assert not passed and HINT[bugs[0]] in printed and f"(Bugs that are left: {len(bugs)}.)" in printed, (
        printed
    )
    assert sum(hint in printed for hint in HINT.values()) == 1


def test_mending_what_is_named_leads_to_the_right_loop(capsys):
    bugs, named = list(BUGS), []
    while bugs:
        _, printed = verdict(capsys, check.train_network, loop(*bugs))
        named += [bug for bug in BUGS if HINT[bug] in printed]
        bugs.remove(named[-1])
    assert named == list(BUGS) and verdict(capsys, check.train_network, loop())[0]


def test_no_two_sets_of_bugs_do_the_same_to_the_check():
    problems = []

    def spy(*given):
        problems.append(given[:6])
        return loop()(*given)

    check.train_network(spy)
    given = max(problems, key=lambda problem: problem[5])
    ends = [
        np.concatenate([a.ravel() for a in loop(*bugs)(*given, np.random.default_rng(1))])
        for bugs in [(), *VARIANTS]
    ]
    assert len(ends) == 32
    assert min(np.abs(a - b).max() for a, b in itertools.combinations(ends, 2)) > 1e-3


def test_the_softplus_of_the_solution_is_the_function():
    x = np.array([-800.0, -2.0, 0.3, 800.0])
    tensor = Tensor(x, requires_grad=True)
    out = softplus(tensor)
    out.sum().backward()
    assert np.allclose(out.data, np.logaddexp(0, x)) and np.allclose(tensor.grad, expit(x))


def test_every_exercise_of_the_module_is_tested():
    from speechlib.check import backpropagation

    assert {exercise.__name__ for exercise, _ in RIGHT} == set(backpropagation.__all__)
