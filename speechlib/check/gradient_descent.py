"""Checks of the exercises of the chapter `gradient_descent`."""

import math
from functools import partial

import numpy as np

from .. import corpus, features, losses
from ..optim import GradientDescent, minimize
from ._exercise import exercise

__all__ = [
    "descent_loop",
    "heavy_ball",
    "line_search",
    "logistic_gradient",
    "speaker_folds",
    "stable_limit",
    "steps_needed",
]


@exercise
def stable_limit(answer):
    """`answer(H)`: the step size below which descent on a quadratic with the Hessian H converges."""
    Q = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
    H = Q @ np.diag([0.1, 0.5, 1.0, 2.0, 4.0]) @ Q.T
    got = float(answer(H.copy()))
    wrong = {
        1 / 4: "That is 1/L, the step that solves the steepest direction at once. The limit lies farther.",
        2 / 0.1: "You took the smallest eigenvalue. The steepest direction is the first to diverge.",
        2 / np.trace(H): "You took the sum of the eigenvalues. One direction alone decides.",
        2 / np.max(H): "You took the largest entry. The largest curvature is an eigenvalue, not an entry.",
        2 / (4 + 0.1): "That is the best step. The largest stable one needs the largest eigenvalue alone.",
    }
    return _compare(got, 2 / 4, wrong, "Which eigenvalue of H makes |1 - lr * eigenvalue| reach 1 first?")


@exercise
def steps_needed(answer):
    """`answer(kappa, shrink)`: steps of the best size until the distance is `shrink` of what it was."""
    kappa, shrink = 90.0, 1e-3
    got = answer(kappa, shrink)
    per_step = -math.log((kappa - 1) / (kappa + 1))
    exact = -math.log(shrink) / per_step
    root = math.sqrt(kappa)
    wrong = {
        math.log(shrink) / math.log(1 - 1 / kappa): "That is the rate of the step 1/L. The best has another.",
        -math.log(shrink) * kappa: "That is the rate of the step 1/L. The best step needs half as many.",
        exact / 2: "The objective shrinks with the square of the rate, the distance with the rate itself.",
        math.log(shrink) / math.log((root - 1) / (root + 1)): "That is the rate of momentum; here is none.",
        -math.log10(shrink) / per_step: "You mixed two logarithms: take the same for shrink and the rate.",
    }
    for value, hint in wrong.items():
        if abs(got - value) <= 1:
            return hint
    if not exact - 1e-9 <= got <= exact + 1:
        return f"For kappa = 90 and shrink = 0.001 it takes {math.ceil(exact)} steps; you say {got:g}."
    return None if float(got).is_integer() else "Steps are whole: round up."


@exercise
def descent_loop(answer):
    """`answer(fun, theta, lr, steps)` returns the last point and the list of the values on the way."""

    def fun(theta):
        return np.sum(theta**2) / 2 + theta[0] * theta[1] / 2, theta + theta[::-1] / 2

    start = np.array([3.0, -1.0])
    given = start.copy()
    theta, values = answer(fun, given, 0.1, 20)
    rule = partial(GradientDescent, lr=0.1)
    expected = minimize(fun, start, rule, 20)
    if np.allclose(theta, minimize(lambda x: (0.0, -fun(x)[1]), start, rule, 20).x[-1]):
        return "It climbs. Look at the sign of the step."
    if not np.array_equal(given, start):
        return "It walks downhill, but it moved the caller's array: the start is no longer where it was."
    if not np.allclose(theta, expected.x[-1]):
        right = np.round(expected.x[-1], 4)
        return f"After 20 steps it stands at {np.round(theta, 4)}, and should be at {right}."
    if len(values) != 20 or not np.allclose(values, expected.value[:20]):
        return "The values should be those before each step, 20 of them."
    return None


@exercise
def logistic_gradient(answer):
    """`answer(theta, X, y, decay)`: gradient of the mean cross-entropy plus decay / 2 * squared norm."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 4)), rng.integers(0, 2, 12).astype(float)
    theta, decay = rng.normal(size=4), 0.3
    data = X.T @ losses.binary_cross_entropy(X @ theta, y)[1]
    got = np.asarray(answer(theta.copy(), X.copy(), y.copy(), decay))
    if got.shape != theta.shape:
        return f"The gradient has the shape of theta, {theta.shape}; yours has {got.shape}."
    wrong = [
        (-data + decay * theta, "The sign of the data's part is wrong: where p is too large, z has to fall."),
        (-(data + decay * theta), "All signs are turned: that is the way down, not the gradient."),
        (12 * data + decay * theta, "The loss is a mean: divide the data's part by the number of examples."),
        (12 * (data + decay * theta), "The loss is a mean: divide by the number of examples, once."),
        (data + decay / 12 * theta, "The decay is added to the mean: it is not divided by N."),
        (data + 2 * decay * theta, "The derivative of decay / 2 * theta**2 is decay * theta, without the 2."),
        (data + decay / 2 * theta, "The derivative of theta**2 is 2 * theta: the half goes away."),
        (data, "The decay's part is missing."),
    ]
    if np.allclose(got, data + decay * theta):
        return None
    for value, hint in wrong:
        if np.allclose(got, value):
            return hint
    return "It differs from the complex step. Check a single example with a single feature by hand."


@exercise
def heavy_ball(answer):
    """`answer(mu, L)` returns the best (lr, momentum) for a quadratic with eigenvalues from mu to L."""
    mu, L = 0.04, 4.0
    lr, momentum = (float(value) for value in answer(mu, L))
    root = (math.sqrt(L) - math.sqrt(mu)) / (math.sqrt(L) + math.sqrt(mu))
    best_lr = (2 / (math.sqrt(L) + math.sqrt(mu))) ** 2
    if math.isclose(momentum, root, rel_tol=1e-6):
        return "That momentum is the rate itself. The rate is the square root of the momentum."
    if math.isclose(momentum, ((L - mu) / (L + mu)) ** 2, rel_tol=1e-6):
        return "You took kappa where the square root of kappa belongs."
    if not math.isclose(momentum, root**2, rel_tol=1e-6):
        return f"The rate sqrt(momentum) should be {root:.4f} here; yours is {momentum**0.5:.4f}."
    if math.isclose(lr, 2 / (L + mu), rel_tol=1e-6):
        return "That is the best step without momentum. With momentum a longer one is stable, and better."
    if math.isclose(lr, 1 / L, rel_tol=1e-6):
        return "1/L is safe, but with this momentum a step nearly four times as long is the best."
    if not math.isclose(lr, best_lr, rel_tol=1e-6):
        return f"The momentum is right. The step size should be {best_lr:.4f} here, not {lr:.4f}."
    return None


@exercise
def speaker_folds(answer):
    """`answer(speakers, k)`: the fold, 0 to k - 1, of each utterance; no speaker is in two folds."""
    counts = {"kal": 40, "ked": 40, "awb": 40, **{f"f{i}": 5 for i in range(10)}}
    speakers = np.repeat(list(counts), list(counts.values()))
    speakers = np.random.default_rng(0).permutation(speakers)
    folds = np.asarray(answer(speakers.copy(), 3))
    if folds.shape != speakers.shape:
        return f"One number an utterance is needed, {len(speakers)} of them; you give shape {folds.shape}."
    if not np.isin(folds, range(3)).all():
        return "Folds are numbered from 0 to k - 1."
    if any(len(np.unique(folds[speakers == name])) > 1 for name in counts):
        return "A speaker is in two folds: the model is then tested on a voice that it has heard."
    sizes = np.bincount(folds, minlength=3)
    if sizes.min() == 0:
        return "A fold is empty."
    if sizes.max() > 1.5 * sizes.min():
        return f"No speaker is split, but the folds are uneven, {sizes.tolist()}: deal out the largest first."
    return None


@exercise
def line_search(answer):
    """`answer(fun, theta, budget)` returns a lower point than descent with the step 1/L reaches."""
    for unit in (1.0, 0.1):  # the same words, measured in two units: no one fixed step fits both
        hint = _beats_fixed_step(answer, *_zero_or_two(unit), budget=120)
        if hint:
            return hint
    return None


def _beats_fixed_step(answer, fun, start, L, *, budget):
    used = []

    def counted(theta):
        used.append(fun(theta)[0])
        return fun(theta)

    reached = fun(answer(counted, start.copy(), budget))[0]
    fixed = minimize(fun, start, partial(GradientDescent, lr=1 / L), budget - 1).value[-1]
    print(f"the step 1/L: {fixed:.3f} nats after {budget} looks; yours: {reached:.3f} after {len(used)}")
    if len(used) > budget:
        return f"You looked at the function {len(used)} times; the budget is {budget}."
    if not used or not reached < used[0]:
        return "The loss is not lower than at the start. Accept a step only if it lowers the value enough."
    if reached > 1.2 * min(used):
        return "You passed a better point on the way. Accept a step only if it lowers the value enough."
    if reached >= fixed:
        return "Lower than at the start, but not lower than the fixed step. May your step grow again?"
    return None


def _zero_or_two(unit):
    """Logistic regression with a weak decay on a pair that the chapter does not use: (fun, start, L)."""
    words = corpus.digits("train").filter(lambda u: u.text in ("zero", "two"))
    batch, lengths = features.log_mel_batch([u.y for u in words], 8000)
    X = features.pool(batch, lengths, 3).reshape(len(words), -1)
    X = (X - X.mean(axis=0)) / X.std(axis=0) * unit
    y = (words.labels == 2).astype(float)

    decay = 0.003 * unit**2

    def fun(theta):
        loss, slope = losses.binary_cross_entropy(X @ theta, y)
        return loss + decay / 2 * theta @ theta, X.T @ slope + decay * theta

    return fun, np.zeros(X.shape[1]), np.linalg.eigvalsh(X.T @ X / len(X))[-1] / 4 + decay


def _compare(got, right, wrong, otherwise):
    """None if `got` is right, the hint of the wrong value that it equals, or the general hint."""
    if math.isclose(got, right, rel_tol=1e-9):
        return None
    for value, hint in wrong.items():
        if math.isclose(got, value, rel_tol=1e-9):
            return hint
    return otherwise
