"""The exercises of the chapter: the stub fails, the solution passes, each typical mistake gets its hint."""

import math

import numpy as np
import pytest

from speechlib import check


def verdict(capsys, exercise, answer):
    passed = exercise(answer)
    return passed, capsys.readouterr().out


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def rate(kappa):
    return (kappa - 1) / (kappa + 1)


def descend(fun, theta, lr, steps):
    theta, values = theta.copy(), []
    for _ in range(steps):
        value, gradient = fun(theta)
        values.append(value)
        theta -= lr * gradient
    return theta, values


def uphill(fun, theta, lr, steps):  # the stub, with both of its bugs
    values = []
    for _ in range(steps):
        value, gradient = fun(theta)
        theta += lr * gradient
        values.append(value)
    return theta, values


def in_place(fun, theta, lr, steps):
    values = []
    for _ in range(steps):
        value, gradient = fun(theta)
        theta -= lr * gradient
        values.append(value)
    return theta, values


def late_values(fun, theta, lr, steps):
    theta, values = theta.copy(), []
    for _ in range(steps):
        theta -= lr * fun(theta)[1]
        values.append(fun(theta)[0])
    return theta, values


def gradient(theta, X, y, decay):
    return X.T @ (sigmoid(X @ theta) - y) / len(y) + decay * theta


def ball(mu, L):
    a, b = math.sqrt(mu), math.sqrt(L)
    return (2 / (a + b)) ** 2, ((b - a) / (b + a)) ** 2


def deal(speakers, k):
    names, counts = np.unique(speakers, return_counts=True)
    order = names[np.argsort(-counts, kind="stable")]
    fold = {name: i % k for i, name in enumerate(order)}
    return np.array([fold[name] for name in speakers])


def lopsided(speakers, k):
    order = np.unique(speakers)
    return np.array([min(int(np.flatnonzero(order == name)[0]), k - 1) for name in speakers])


def search(fun, theta, budget):
    lr = 1.0
    value, slope = fun(theta)
    for _ in range(budget - 1):
        trial = theta - lr * slope
        trial_value, trial_slope = fun(trial)
        if trial_value <= value - 0.1 * lr * slope @ slope:
            theta, value, slope, lr = trial, trial_value, trial_slope, 1.5 * lr
        else:
            lr = 0.5 * lr
    return theta


def steps_of(lr, count=None):
    def run(fun, theta, budget):
        for _ in range(count or budget - 1):
            theta = theta - lr * fun(theta)[1]
        return theta

    return run


def overshoot_at_the_end(fun, theta, budget):
    for lr in [0.5] * 30 + [300.0]:
        theta = theta - lr * fun(theta)[1]
        fun(theta)
    return theta


RIGHT = [
    (check.stable_limit, lambda H: 2 / np.linalg.eigvalsh(H)[-1]),
    (check.steps_needed, lambda kappa, shrink: math.ceil(math.log(shrink, rate(kappa)))),
    (check.descent_loop, descend),
    (check.logistic_gradient, gradient),
    (check.heavy_ball, ball),
    (check.speaker_folds, deal),
    (check.line_search, search),
]

WRONG = [
    (check.stable_limit, lambda H: 1 / np.linalg.eigvalsh(H)[-1], "That is 1/L"),
    (check.stable_limit, lambda H: 2 / np.linalg.eigvalsh(H)[0], "smallest eigenvalue"),
    (check.stable_limit, lambda H: 2 / np.trace(H), "sum of the eigenvalues"),
    (check.stable_limit, lambda H: 2 / np.max(H), "largest entry"),
    (check.stable_limit, lambda H: 2 / sum(np.linalg.eigvalsh(H)[[0, -1]]), "best step"),
    (check.stable_limit, lambda H: 3.0, "Which eigenvalue"),
    (check.stable_limit, lambda H: "two over L", "could not be used"),
    (check.steps_needed, lambda kappa, shrink: math.ceil(math.log(shrink, 1 - 1 / kappa)), "step 1/L"),
    (check.steps_needed, lambda kappa, shrink: math.ceil(-kappa * math.log(shrink)), "half as many"),
    (check.steps_needed, lambda kappa, shrink: math.ceil(-kappa * math.log(shrink) / 4), "objective"),
    (check.steps_needed, lambda kappa, shrink: math.ceil(math.log(shrink, rate(kappa**0.5))), "momentum"),
    (check.steps_needed, lambda kappa, shrink: math.ceil(-math.log10(shrink) * kappa / 2), "two logarithms"),
    (check.steps_needed, lambda kappa, shrink: -kappa / 2 * math.log(shrink) + 0.5, "round up"),
    (check.steps_needed, lambda kappa, shrink: 1, "it takes 311"),
    (check.descent_loop, uphill, "It climbs"),
    (check.descent_loop, in_place, "caller's array"),
    (check.descent_loop, late_values, "before each step"),
    (check.descent_loop, lambda fun, theta, lr, steps: descend(fun, theta, lr / 2, steps), "should be at"),
    (check.logistic_gradient, lambda t, X, y, d: -gradient(t, X, y, -d), "sign of the data"),
    (check.logistic_gradient, lambda t, X, y, d: -gradient(t, X, y, d), "the way down"),
    (check.logistic_gradient, lambda t, X, y, d: X.T @ (sigmoid(X @ t) - y) + d * t, "a mean"),
    (check.logistic_gradient, lambda t, X, y, d: (X.T @ (sigmoid(X @ t) - y) + d * t) * 1, "a mean"),
    (check.logistic_gradient, lambda t, X, y, d: gradient(t, X, y, 2 * d), "without the 2"),
    (check.logistic_gradient, lambda t, X, y, d: gradient(t, X, y, d / 2), "half"),
    (check.logistic_gradient, lambda t, X, y, d: gradient(t, X, y, d / len(y)), "not divided"),
    (check.logistic_gradient, lambda t, X, y, d: gradient(t, X, y, 0), "missing"),
    (check.logistic_gradient, lambda t, X, y, d: X.T @ (sigmoid(X @ t) - y[:, None]), "shape of theta"),
    (check.logistic_gradient, lambda t, X, y, d: np.ones(4), "complex step"),
    (check.heavy_ball, lambda mu, L: (2 / (mu + L), ball(mu, L)[1]), "without momentum"),
    (check.heavy_ball, lambda mu, L: (1 / L, ball(mu, L)[1]), "1/L is safe"),
    (check.heavy_ball, lambda mu, L: (ball(mu, L)[0], ball(mu, L)[1] ** 0.5), "square root of the momentum"),
    (check.heavy_ball, lambda mu, L: (ball(mu, L)[0], ((L - mu) / (L + mu)) ** 2), "square root of kappa"),
    (check.heavy_ball, lambda mu, L: (ball(mu, L)[0], 0.9), "yours is 0.9487"),
    (check.heavy_ball, lambda mu, L: (0.5, ball(mu, L)[1]), "The momentum is right"),
    (check.speaker_folds, lambda speakers, k: np.arange(len(speakers)) % k, "a voice that it has heard"),
    (check.speaker_folds, lopsided, "uneven"),
    (check.speaker_folds, lambda speakers, k: deal(speakers, k) + 1, "numbered from 0"),
    (check.speaker_folds, lambda speakers, k: deal(speakers, k - 1), "empty"),
    (check.speaker_folds, lambda speakers, k: deal(speakers, k)[:-1], "One number an utterance"),
    (check.line_search, steps_of(0.01), "grow again"),
    (check.line_search, steps_of(3.0), "grow again"),
    (check.line_search, steps_of(300.0), "Accept a step only if"),
    (check.line_search, steps_of(0.1, 400), "the budget is 120"),
    (check.line_search, overshoot_at_the_end, "better point"),
    (check.line_search, lambda fun, theta, budget: theta + 0 * fun(theta)[0], "not lower than at the start"),
]


@pytest.mark.parametrize("exercise", [exercise for exercise, _ in RIGHT], ids=lambda e: e.__name__)
def test_the_stub_fails(capsys, exercise):
    assert verdict(capsys, exercise, ...) == (False, "No answer yet: put yours in place of the three dots.\n")


STUBS = [exercise for exercise, _ in RIGHT if exercise is not check.descent_loop]  # that stub is `uphill`


@pytest.mark.parametrize("exercise", STUBS, ids=lambda e: e.__name__)
def test_a_stub_that_returns_the_dots_fails(capsys, exercise):
    passed, printed = verdict(capsys, exercise, lambda *given: ...)
    assert not passed and "No answer yet" in printed


@pytest.mark.parametrize("exercise, answer", RIGHT, ids=[exercise.__name__ for exercise, _ in RIGHT])
def test_the_solution_passes(capsys, exercise, answer):
    passed, printed = verdict(capsys, exercise, answer)
    assert passed and printed.endswith("Right.\n"), printed


@pytest.mark.parametrize("exercise, answer, hint", WRONG, ids=[f"{e.__name__}-{h}" for e, _, h in WRONG])
def test_a_typical_mistake_gets_its_hint(capsys, exercise, answer, hint):
    passed, printed = verdict(capsys, exercise, answer)
    assert not passed and hint in printed, printed


def test_every_exercise_of_the_module_is_tested():
    from speechlib.check import gradient_descent

    assert {exercise.__name__ for exercise, _ in RIGHT} == set(gradient_descent.__all__)
