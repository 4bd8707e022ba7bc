"""The exercises of the chapter: the stub fails, the solution passes, each typical mistake gets its hint."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from speechlib import check, losses


def verdict(capsys, exercise, answer):
    passed = exercise(answer)
    return passed, capsys.readouterr().out


def entropy(p):
    return -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1)


def entropy_in_place(p):
    p[p == 0] = 1e-300
    return -np.sum(p * np.log(p), axis=-1)


def describe(loss, classes):
    return np.exp(loss), loss / np.log(2), np.log(classes) - loss


def described(k, change):
    """The right description with one number changed."""

    def answer(loss, classes):
        numbers = list(describe(loss, classes))
        numbers[k] = change(loss, classes)
        return tuple(numbers)

    return answer


def surprise_at(z, y):
    shifted = z - np.max(z)
    return np.log(np.sum(np.exp(shifted))) - shifted[y]


def from_probability(z, y, *, add=0.0, floor=0.0, shift=True):
    e = np.exp(z - np.max(z)) if shift else np.exp(z)
    return -np.log(np.maximum(e / np.sum(e), floor) + add)[y]


def gradient(X, W, y, epsilon, *, target=None):
    classes = W.shape[1]
    p = np.eye(classes)[y]
    target = (1 - epsilon) * p + epsilon / classes if target is None else target(p, epsilon, classes)
    return X.T @ (losses.softmax(X @ W) - target) / len(X)


def labeled(target):
    return lambda X, W, y, epsilon: gradient(X, W, y, epsilon, target=target)


def temperature(z, y):
    def slope(beta):
        expected = np.sum(losses.softmax(beta * z) * z, axis=1)
        return np.mean(expected - z[np.arange(len(z)), y])

    low, high = 1e-4, 1e4
    for _ in range(100):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 1 / middle


def best(objective, low=-3, high=3):
    found = minimize_scalar(objective, bounds=(low, high), method="bounded", options={"xatol": 1e-8})
    return math.exp(found.x)


def loss_at(z, y):
    return lambda t: losses.softmax_cross_entropy(z / np.exp(t), y)[0]


def least_squares(z, y):
    return best(lambda t: np.sum((losses.softmax(z / np.exp(t)) - np.eye(z.shape[1])[y]) ** 2))


def least_errors(z, y):
    grid = np.arange(0.25, 8, 0.05)
    return grid[np.argmin([np.mean((z / t).argmax(axis=1) != y) for t in grid])]


def binned(q, y, bins, *, top=None):
    """For each bin: how many, mean confidence, share right; the solution's bins."""
    confidence, right = q.max(axis=1), q.argmax(axis=1) == y
    which = np.minimum((confidence * bins).astype(int), bins - 1 if top is None else top)
    members = [m for m in (which == b for b in range(bins + 1)) if m.any()]
    return np.array([(m.sum(), confidence[m].mean(), right[m].mean()) for m in members]).T


def calibration_error(q, y, bins):
    count, said, right = binned(q, y, bins)
    return np.sum(count * np.abs(said - right)) / len(y)


def by_right_word(q, y, bins):
    said = q[np.arange(len(y)), y]
    which = np.minimum((said * bins).astype(int), bins - 1)
    right = q.argmax(axis=1) == y
    return sum(abs(np.sum(said[which == b]) - np.sum(right[which == b])) for b in range(bins)) / len(y)


def all_probabilities(q, y, bins):
    said, right = q.ravel(), np.eye(q.shape[1])[y].ravel()
    which = np.minimum((said * bins).astype(int), bins - 1)
    return sum(abs(np.sum(said[which == b]) - np.sum(right[which == b])) for b in range(bins)) / q.size


def without_ones(q, y, bins, *, divide_by_all=True):
    confidence, right = q.max(axis=1), q.argmax(axis=1) == y
    total, seen = 0.0, 0
    for b in range(bins):
        m = (confidence >= b / bins) & (confidence < (b + 1) / bins)
        total, seen = total + abs(np.sum(confidence[m]) - np.sum(right[m])), seen + m.sum()
    return total / (len(y) if divide_by_all else seen)


def own_bin(q, y, bins):
    count, said, right = binned(q, y, bins, top=bins)
    return np.sum(count * np.abs(said - right)) / len(y)


def equal_counts(q, y, bins):
    order = np.argsort(q.max(axis=1), kind="stable")
    parts = np.array_split(order, bins)
    right = q.argmax(axis=1) == y
    return sum(abs(np.sum(q.max(axis=1)[p]) - np.sum(right[p])) for p in parts) / len(y)


def with_empty_bins(q, y, bins):
    confidence, right = q.max(axis=1), q.argmax(axis=1) == y
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    masks = [which == b for b in range(bins)]
    gaps = [abs(np.sum(confidence[m]) / np.sum(m) - np.sum(right[m]) / np.sum(m)) for m in masks]
    return np.sum([m.mean() for m in masks] * np.array(gaps))


def from_bins(combine):
    """A mistake in how counts, confidences and shares of the bins are put together."""
    return lambda q, y, bins: combine(*binned(q, y, bins), len(y), bins)


def adapt(q, old, new):
    q = q * (new / old)
    return q / q.sum(axis=-1, keepdims=True)


def rows(x):
    return x / x.sum(axis=1, keepdims=True)


def gated(score, threshold=lambda s, keep: np.quantile(s, 1 - keep), accept=np.greater_equal):
    def make_gate(z_known, keep):
        limit = threshold(score(z_known), keep)
        return lambda z: accept(score(z), limit)

    return make_gate


def doubt(z):
    return losses.entropy(losses.softmax(z))


def sure(z):
    return losses.softmax(z).max(axis=1)


def loud(z):
    return z.max(axis=1)


def lead(z):
    return np.diff(np.sort(z, axis=1)[:, -2:], axis=1)[:, 0]


def relative(z_known, keep):  # the threshold from the words it is asked about
    return lambda z: sure(z) >= np.quantile(sure(z), 1 - keep)


def memory(z_known, keep):  # knows again what it has seen, and nothing else
    seen = {row.tobytes() for row in z_known[sure(z_known) >= np.quantile(sure(z_known), 1 - keep)]}
    return lambda z: np.array([row.tobytes() in seen for row in z])


gate = gated(doubt, np.quantile, np.less_equal)

RIGHT = [
    (check.entropy_with_zeros, entropy),
    (check.loss_in_words, describe),
    (check.stable_surprise, surprise_at),
    (check.smoothed_gradient, gradient),
    (check.temperature, temperature),
    (check.calibration_error, calibration_error),
    (check.prior_shift, adapt),
    (check.gate, gate),
]

ALSO_RIGHT = [
    (check.entropy_with_zeros, losses.entropy),
    (check.entropy_with_zeros, lambda p: -np.nansum(p * np.log(p), axis=-1)),
    (check.stable_surprise, lambda z, y: np.max(z) + np.log(np.sum(np.exp(z - np.max(z)))) - z[y]),
    (check.smoothed_gradient, lambda X, W, y, e: X.T @ losses.softmax_cross_entropy(X @ W, y, e)[1]),
    (check.temperature, lambda z, y: best(loss_at(z, y))),
    (check.temperature, lambda z, y: float(f"{temperature(z, y):.3g}")),
    (check.prior_shift, lambda q, old, new: losses.softmax(np.log(q) - np.log(old) + np.log(new))),
    (check.gate, gated(sure)),
    (check.gate, gated(lead)),
]

WRONG = [
    (check.entropy_with_zeros, lambda p: -np.sum(p * np.log(p), axis=-1), "NaN"),
    (check.entropy_with_zeros, lambda p: entropy(p) / np.log(2), "in bits"),
    (check.entropy_with_zeros, lambda p: -entropy(p), "The sign"),
    (check.entropy_with_zeros, lambda p: np.sum(entropy(p)), "over all axes"),
    (check.entropy_with_zeros, lambda p: entropy(p) / p.shape[-1], "mean of the terms"),
    (check.entropy_with_zeros, lambda p: -p * np.log(np.where(p > 0, p, 1)), "the terms"),
    (check.entropy_with_zeros, lambda p: entropy(np.moveaxis(p, 0, -1)), "yours is (3, 4)"),
    (check.entropy_with_zeros, lambda p: -np.sum(p * np.log(p + 1e-4), axis=-1), "treat the zeros alone"),
    (check.entropy_with_zeros, entropy_in_place, "caller's array"),
    (check.entropy_with_zeros, lambda p: np.atleast_1d(entropy(p)), "one axis"),
    (check.entropy_with_zeros, lambda p: 1 - p.max(axis=-1), "half and half"),
    (check.loss_in_words, lambda loss, k: describe(loss, k)[::-1], "another order"),
    (check.loss_in_words, lambda loss, k: np.exp(loss), "Three numbers"),
    (check.loss_in_words, described(0, lambda loss, k: 2**loss), "2 to the loss"),
    (check.loss_in_words, described(0, lambda loss, k: 10**loss), "10 to the loss"),
    (check.loss_in_words, described(0, lambda loss, k: 2 ** (loss * np.log(2))), "First into bits"),
    (check.loss_in_words, described(0, lambda loss, k: np.exp(-loss)), "mean probability"),
    (check.loss_in_words, described(0, lambda loss, k: loss), "the loss itself"),
    (check.loss_in_words, described(0, lambda loss, k: k), "The perplexity of 1.2 nats"),
    (check.loss_in_words, described(1, lambda loss, k: loss * np.log(2)), "upside down"),
    (check.loss_in_words, described(1, lambda loss, k: loss / np.log(10)), "decimal digits"),
    (check.loss_in_words, described(1, lambda loss, k: np.log2(loss)), "logarithm of the loss"),
    (check.loss_in_words, described(1, lambda loss, k: 8.0), "The loss in bits of 1.2 nats"),
    (check.loss_in_words, described(2, lambda loss, k: loss - np.log(k)), "sign of the third"),
    (check.loss_in_words, described(2, lambda loss, k: np.log2(k) - loss), "nats from bits"),
    (check.loss_in_words, described(2, lambda loss, k: np.log2(k) - loss / np.log(2)), "that is in bits"),
    (check.loss_in_words, described(2, lambda loss, k: np.log10(k) - loss), "nats from decimal"),
    (check.loss_in_words, described(2, lambda loss, k: k - np.exp(loss)), "in choices"),
    (check.loss_in_words, described(2, lambda loss, k: np.log(k) / loss), "a ratio"),
    (check.loss_in_words, described(2, lambda loss, k: np.log(k)), "How much better"),
    (check.loss_in_words, described(2, lambda loss, k: k), "The gain over answering"),
    (check.loss_in_words, described(2, lambda loss, k: abs(np.log(k) - loss)), "worse than saying nothing"),
    (check.stable_surprise, lambda z, y: np.exp(-surprise_at(z, y)), "That is the probability"),
    (check.stable_surprise, lambda z, y: -surprise_at(z, y), "The sign"),
    (check.stable_surprise, lambda z, y: surprise_at(z, y) / np.log(2), "in bits"),
    (check.stable_surprise, lambda z, y: surprise_at(z, y) - np.max(z) - z[y], "both terms"),
    (check.stable_surprise, lambda z, y: np.log(np.sum(np.exp(z))), "Subtract the score"),
    (check.stable_surprise, lambda z, y: np.max(z) - z[y], "The others count too"),
    (check.stable_surprise, lambda z, y: surprise_at(z, y) + np.max(z), "has canceled"),
    (check.stable_surprise, lambda z, y: np.log(np.sum(np.exp(z - np.max(z)))) - z[y], "exponentials alone"),
    (check.stable_surprise, lambda z, y: surprise_at(z, np.argmax(z)), "Asked is the class y"),
    (check.stable_surprise, lambda z, y: 1.0, "For [ 0.3 -1.2  2.   0.9] and class 1"),
    (check.stable_surprise, lambda z, y: np.log(np.sum(np.exp(z))) - z[y], "before any exponential"),
    (check.stable_surprise, lambda z, y: from_probability(z, y, shift=False), "before any exponential"),
    (check.stable_surprise, from_probability, "before any exponential"),
    (check.stable_surprise, lambda z, y: from_probability(z, y, floor=1e-15), "that is clipped"),
    (check.stable_surprise, lambda z, y: from_probability(z, y, add=1e-15), "small number added"),
    (check.stable_surprise, lambda z, y: surprise_at(np.float32(z), y).astype(float), "For [ 0.3"),
    (check.stable_surprise, lambda z, y: np.round(surprise_at(z, y), 10) if len(z) < 3 else surprise_at(z, y),
     "last digits lost"),
    (check.stable_surprise, lambda z, y: surprise_at(np.round(z, 6), y), "last digits lost"),
    (check.smoothed_gradient, lambda X, W, y, e: -gradient(X, W, y, e), "The sign: model minus truth"),
    (check.smoothed_gradient, lambda X, W, y, e: gradient(X, W, y, e) * len(X), "loss is a mean: divide"),
    (check.smoothed_gradient, lambda X, W, y, e: -gradient(X, W, y, e) * len(X), "The sign is turned"),
    (check.smoothed_gradient, lambda X, W, y, e: gradient(X, W, y, e) / W.shape[1], "examples alone"),
    (check.smoothed_gradient, lambda X, W, y, e: gradient(X, W, y, 0), "no effect"),
    (check.smoothed_gradient, labeled(lambda p, e, k: (1 - e) * p + e / (k - 1) * (1 - p)), "K - 1 others"),
    (check.smoothed_gradient, labeled(lambda p, e, k: p + e / k), "add up to more than 1"),
    (check.smoothed_gradient, labeled(lambda p, e, k: (1 - e) * p), "not given to anyone"),
    (check.smoothed_gradient, labeled(lambda p, e, k: (1 - e) * p + e / k * (1 - p)), "as well"),
    (check.smoothed_gradient, labeled(lambda p, e, k: (1 - e) * p + e), "each gets epsilon / K"),
    (check.smoothed_gradient, labeled(lambda p, e, k: e * p + (1 - e) / k), "changed places"),
    (check.smoothed_gradient, lambda X, W, y, e: gradient(X, W, y, e).T, "The shape is turned"),
    (check.smoothed_gradient, lambda X, W, y, e: (X @ W) / len(X), "by the logits"),
    (check.smoothed_gradient, lambda X, W, y, e: gradient(X, W, y, e)[0], "yours has (5,)"),
    (check.smoothed_gradient, lambda X, W, y, e: np.ones_like(W), "complex step"),
    (check.temperature, lambda z, y: 1 / temperature(z, y), "That is 1 / T"),
    (check.temperature, lambda z, y: temperature(z, y) ** 2, "square of T"),
    (check.temperature, lambda z, y: temperature(z, y) ** 0.5, "square root of T"),
    (check.temperature, lambda z, y: np.log(temperature(z, y)), "logarithm of T"),
    (check.temperature, lambda z, y: 1.0, "T = 1 changes nothing"),
    (check.temperature, least_squares, "squared error least"),
    (check.temperature, lambda z, y: best(lambda t: -loss_at(z, y)(t)), "loss is the largest"),
    (check.temperature, lambda z, y: -2.0, "positive number"),
    (check.temperature, lambda z, y: math.inf, "positive number"),
    (check.temperature, lambda z, y: best(loss_at(z, y), low=0.01), "below 1"),
    (check.temperature, lambda z, y: round(temperature(z, y), 1), "finer search"),
    (check.temperature, least_errors, "number of errors does not depend on T"),
    (check.temperature, lambda z, y: 1e-4, "end of the search"),
    (check.temperature, lambda z, y: 1e4, "end of the search"),
    (check.calibration_error, from_bins(lambda n, q, a, N, B: np.mean(abs(q - a))), "plain mean of the gaps"),
    (check.calibration_error, from_bins(lambda n, q, a, N, B: np.sum(abs(q - a)) / B), "over all bins"),
    (check.calibration_error, from_bins(lambda n, q, a, N, B: np.sum(abs(q - a))), "sum of the gaps"),
    (check.calibration_error, from_bins(lambda n, q, a, N, B: n @ abs(q - a)), "not divided"),
    (check.calibration_error, from_bins(lambda n, q, a, N, B: 100 * n @ abs(q - a) / N), "in percent"),
    (check.calibration_error, from_bins(lambda n, q, a, N, B: np.max(abs(q - a))), "largest gap"),
    (check.calibration_error, from_bins(lambda n, q, a, N, B: n @ (q - a) ** 2 / N), "squared the gaps"),
    (check.calibration_error, from_bins(lambda n, q, a, N, B: n @ (q - a) / N), "sign cancel"),
    (check.calibration_error, from_bins(lambda n, q, a, N, B: n @ (a - q) / N), "sign cancel"),
    (check.calibration_error, by_right_word, "probability of the right word"),
    (check.calibration_error, all_probabilities, "binned all probabilities"),
    (check.calibration_error, own_bin, "no bin of its own"),
    (check.calibration_error, without_ones, "are lost"),
    (check.calibration_error, lambda q, y, b: without_ones(q, y, b, divide_by_all=False), "are lost"),
    (check.calibration_error, lambda q, y, b: np.mean(abs(q.max(1) - (q.argmax(1) == y))), "for each answer"),
    (check.calibration_error, equal_counts, "equally wide"),
    (check.calibration_error, with_empty_bins, "NaN: a bin without answers"),
    (check.calibration_error, lambda q, y, bins: 0.5, "you say 0.5000"),
    (check.calibration_error, lambda q, y, bins: np.bincount([0])[int(q.max() * bins)], "IndexError"),
    (check.prior_shift, lambda q, old, new: adapt(q, new, old), "a word that has become rare"),
    (check.prior_shift, lambda q, old, new: q * old / new, "places, and the rows"),
    (check.prior_shift, lambda q, old, new: q * new / old, "divide each by its sum"),
    (check.prior_shift, lambda q, old, new: rows((q * new / old).T).T, "The columns add up to 1"),
    (check.prior_shift, lambda q, old, new: q * new / old / np.sum(q * new / old), "All rows together"),
    (check.prior_shift, lambda q, old, new: np.log(q) - np.log(old) + np.log(new), "These are logarithms"),
    (check.prior_shift, lambda q, old, new: np.log(adapt(q, old, new)), "Asked are the probabilities"),
    (check.prior_shift, lambda q, old, new: rows(np.log(q * new / old)), "normalized logarithms"),
    (check.prior_shift, lambda q, old, new: losses.softmax(q + np.log(new / old)), "as logits"),
    (check.prior_shift, lambda q, old, new: losses.softmax(q * new / old), "probabilities already"),
    (check.prior_shift, lambda q, old, new: rows(q * new), "still in"),
    (check.prior_shift, lambda q, old, new: rows(q / old), "Multiply by the new"),
    (check.prior_shift, lambda q, old, new: rows(q + new - old), "not as summands"),
    (check.prior_shift, lambda q, old, new: q, "Nothing has changed"),
    (check.prior_shift, lambda q, old, new: adapt(q, old, new).argmax(axis=1), "yours is (6,)"),
    (check.prior_shift, lambda q, old, new: np.full(q.shape, 0.25), "q must become new"),
    (check.gate, gated(loud), "how loud the evidence is, not how sure"),
    (check.gate, gated(losses.logsumexp), "how loud the evidence is, not how sure"),
    (check.gate, lambda z_known, keep: sure(z_known) > 0.5, "returns a function"),
    (check.gate, lambda z_known, keep: lambda z: np.full(len(z), True), "accepts everything"),
    (check.gate, lambda z_known, keep: lambda z: np.full(len(z), False), "accepts nothing"),
    (check.gate, lambda z_known, keep: lambda z: True, "one yes or no for each"),
    (check.gate, relative, "depends on its neighbors"),
    (check.gate, gated(doubt, np.quantile, np.greater), "wrong way around"),
    (check.gate, gated(sure, np.quantile, np.less_equal), "wrong way around"),
    (check.gate, gated(sure, lambda s, keep: np.quantile(s, 0.05)), "does not look at `keep`"),
    (check.gate, gated(sure, lambda s, keep: 0.5), "does not look at `keep`"),
    (check.gate, gated(sure, np.quantile), "cuts at the wrong end"),
    (check.gate, gated(sure, lambda s, keep: 1 - keep), "accepts everything"),
    (check.gate, gated(sure, lambda s, keep: keep), "A quantile of their scores"),
    (check.gate, gated(sure, lambda s, keep: 0.9997 if keep == 0.5 else 0.8825), "does not follow"),
    (check.gate, memory, "Too few digits"),
]  # fmt: skip

JUNK = [
    lambda *given: None,
    lambda *given: "ln K",
    lambda *given: np.ones((2, 7)),
    lambda *given: [1, [2, 3]],
    lambda *given: math.nan,
    lambda *given: (),
    lambda *given: given,
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
    assert passed and printed.endswith("Right.\n"), printed


@pytest.mark.parametrize(
    "exercise, answer", ALSO_RIGHT, ids=[exercise.__name__ for exercise, _ in ALSO_RIGHT]
)
def test_another_way_to_be_right_passes(capsys, exercise, answer):
    passed, printed = verdict(capsys, exercise, answer)
    assert passed and printed.endswith("Right.\n"), printed


@pytest.mark.parametrize("exercise, answer, hint", WRONG, ids=[f"{e.__name__}-{h}" for e, _, h in WRONG])
def test_a_typical_mistake_gets_its_hint(capsys, exercise, answer, hint):
    passed, printed = verdict(capsys, exercise, answer)
    assert not passed and hint in printed, printed


@pytest.mark.parametrize("exercise", [exercise for exercise, _ in RIGHT], ids=lambda e: e.__name__)
def test_a_useless_answer_gets_a_verdict(capsys, exercise):
    for answer in JUNK:
        passed, printed = verdict(capsys, exercise, answer)
        assert not passed and ("Not yet. " in printed or "No answer yet" in printed), printed


def test_every_exercise_of_the_module_is_tested():
    from speechlib.check import cross_entropy

    assert {exercise.__name__ for exercise, _ in RIGHT} == set(cross_entropy.__all__)
