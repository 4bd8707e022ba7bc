"""The exercises of the chapter: the stub fails, the solution passes, each typical mistake gets its hint."""

import math

import numpy as np
import pytest

from speechlib import check


def verdict(capsys, exercise, answer):
    passed = exercise(answer)
    return passed, capsys.readouterr().out


# The solutions, as they stand in the chapter.


def batch_error(variance, B, N, replace):
    with_replacement = variance / B
    return with_replacement if replace else with_replacement * (N - B) / (N - 1)


def step_for_ball(h, variance, size):
    return 2 * h * size / (variance + h**2 * size)


def svm_subgradient(w, A, t, mu):
    costs = t * (A @ w) < 1  # on the kink: alpha = 0
    return -(t * costs) @ A / len(t) + mu * np.sign(w)  # sign(0) = 0 lies in [-1, 1]


def soft_threshold(w, tau):
    return np.sign(w) * np.maximum(np.abs(w) - tau, 0)


def adam_step(theta, g, m, v, k, lr, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    mean, square = m / (1 - beta1**k), v / (1 - beta2**k)
    return theta - lr * mean / (np.sqrt(square) + eps), m, v


def circuit_slope(f, angles):
    quarter = np.pi / 2 * np.eye(len(angles))
    return np.array([(f(angles + q) - f(angles - q)) / 2 for q in quarter])


def saga_direction(new, i, table):
    direction = new - table[i] + table.mean(axis=0)
    table[i] = new
    return direction


def fair_comparison(train, rules, lrs, tuning_seeds, fresh_seeds):
    def scores(rule, lr, seeds):
        values = [train(rule, lr, seed) for seed in seeds]
        return [np.inf if np.isnan(value) else value for value in values]

    fresh = {}
    for rule in rules:
        typical = {lr: np.median(scores(rule, lr, tuning_seeds)) for lr in sorted(lrs)}
        fresh[rule] = scores(rule, min(typical, key=typical.get), fresh_seeds)
    for rule in rules:
        if all(max(fresh[rule]) < min(fresh[other]) for other in rules if other != rule):
            return fresh, rule
    return fresh, None


# Their parts, to be replaced by mistakes.


def error(mean=lambda v, B, N: v / B, factor=lambda B, N: (N - B) / (N - 1)):
    return lambda v, B, N, replace: mean(v, B, N) if replace else mean(v, B, N) * factor(B, N)


def slope(
    hinge=lambda A, t, m: -(t * (m < 1)) @ A / len(t),
    penalty=lambda w, mu: mu * np.sign(w),
    margins=lambda w, A, t: t * (A @ w),
):
    return lambda w, A, t, mu: hinge(A, t, margins(w, A, t)) + penalty(w, mu)


def on_hinge(alpha):
    return slope(lambda A, t, m: -(t * ((m < 1) + alpha * (m == 1))) @ A / len(t))


def on_zero(s):
    return slope(penalty=lambda w, mu: mu * np.where(w == 0, s, np.sign(w)))


def svm_in_place(w, A, t, mu):
    A *= t[:, None]
    return -((A @ w < 1) @ A) / len(t) + mu * np.sign(w)


def by_loops(w, A, t, mu):  # another right one, with alpha = 1
    g = [mu if a > 0 else -mu for a in w]
    for x, label in zip(A, t, strict=True):
        if label * (x @ w) <= 1:
            for j in range(len(w)):
                g[j] -= label * x[j] / len(t)
    return g


def quotient(ahead, behind):
    def f(w, A, t, mu):
        return np.maximum(0, 1 - t * (A @ w)).mean() + mu * np.abs(w).sum()

    def answer(w, *rest):
        around = [(f(w + ahead * e, *rest), f(w - behind * e, *rest)) for e in np.eye(len(w))]
        return np.array([(up - down) / (ahead + behind) for up, down in around])

    return answer


def one_word(i):
    return slope(lambda A, t, m: -(t[i] * (m[i] < 1)) * A[i])


def last_word(w, A, t, mu):
    g = np.zeros(len(w))
    for x, label in zip(A, t, strict=True):
        if label * (x @ w) < 1:
            g = -label * x / len(t)
    return g + mu * np.sign(w)


def over_active(w, A, t, mu):
    active = t * (A @ w) < 1
    return -(t[active, None] * A[active]).mean(axis=0) + mu * np.sign(w)


def loop(w, tau):
    return [x - tau if x > tau else x + tau if x < -tau else 0 for x in w]


def loop_by_index(w, tau):
    new = np.zeros(len(w))
    for i in range(len(w)):
        new[i] = np.sign(w[i]) * max(abs(w[i]) - tau, 0)
    return new


def loop_over_rows(w, tau):  # right for two axes, and not for none
    return np.array([soft_threshold(x, tau) for x in w])


def signed(w, tau):
    up, down = w > tau, w < -tau
    w[up] -= tau
    w[down] += tau
    w[~(up | down)] = 0
    return w


def asks_if(w, tau):
    if abs(w) <= tau:
        return 0
    return w - tau if w > 0 else w + tau


def adam(
    mean=lambda m, g, b: b * m + (1 - b) * g,
    square=lambda v, g, b: b * v + (1 - b) * g**2,
    first=lambda m, b, k: m / (1 - b**k),
    second=lambda v, b, k: v / (1 - b**k),
    divide=lambda m, v, eps: m / (np.sqrt(v) + eps),
    result=lambda theta, lr, step: theta - lr * step,
    order=lambda theta, m, v: (theta, m, v),
):
    def step(theta, g, m, v, k, lr, beta1, beta2, eps):
        m, v, k = mean(m, g, beta1), square(v, g, beta2), np.float64(k)
        ratio = divide(first(m, beta1, k), second(v, beta2, k), eps)
        return order(result(theta, lr, ratio), m, v)

    return step


def both(correct):
    return adam(first=correct, second=correct)


def adam_in_place(theta, g, m, v, k, lr, beta1, beta2, eps):
    m *= beta1
    m += (1 - beta1) * g
    return adam_step(theta, np.zeros_like(g), m / beta1, v, k, lr, beta1, beta2, eps)


def corrected_in_place(theta, g, m, v, k, lr, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m = m / (1 - beta1**k)
    v = v / (1 - beta2**k)
    return theta - lr * m / (np.sqrt(v) + eps), m, v


def only_one_corrected(which):
    def step(theta, g, m, v, k, lr, beta1, beta2, eps):
        new, m, v = adam_step(theta, g, m, v, k, lr, beta1, beta2, eps)
        return (new, m / (1 - beta1**k), v) if which == "m" else (new, m, v / (1 - beta2**k))

    return step


def with_constants(lr=None, eps=None):
    def step(theta, g, m, v, k, given_lr, beta1, beta2, given_eps):
        used = given_lr if lr is None else lr, given_eps if eps is None else eps
        return adam_step(theta, g, m, v, k, used[0], beta1, beta2, used[1])

    return step


def folded(theta, g, m, v, k, lr, beta1, beta2, eps):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    size = lr * np.sqrt(1 - beta2**k) / (1 - beta1**k)
    return theta - size * m / (np.sqrt(v) + eps), m, v


def exchanged(theta, g, m, v, k, lr, beta1, beta2, eps):
    return adam_step(theta, g, m, v, k, lr, beta2, beta1, eps)


def exchanged_correction(theta, g, m, v, k, lr, beta1, beta2, eps):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    return theta - lr * m / (1 - beta2**k) / (np.sqrt(v / (1 - beta1**k)) + eps), m, v


def rmsprop(theta, g, m, v, k, lr, beta1, beta2, eps):
    _, m, v = adam_step(theta, g, m, v, k, lr, beta1, beta2, eps)
    return theta - lr * g / (np.sqrt(v / (1 - beta2**k)) + eps), m, v


def old_memory(theta, g, m, v, k, lr, beta1, beta2, eps):
    new = theta - lr * m / (1 - beta1**k) / (np.sqrt(v / (1 - beta2**k)) + eps)
    return new, *adam_step(theta, g, m, v, k, lr, beta1, beta2, eps)[1:]


def square_of_mean(theta, g, m, v, k, lr, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * m**2
    return theta - lr * m / (1 - beta1**k) / (np.sqrt(v / (1 - beta2**k)) + eps), m, v


def same_theta(theta, g, m, v, *rest):
    return theta, *adam_step(theta, g, m, v, *rest)[1:]


def angle(rule, d_calls=None):
    """A mistake of the shift rule; `rule` sees the function of one angle's shift."""

    def answer(f, angles):
        def along(j):
            return lambda by: f(angles + by * np.eye(len(angles))[j])

        return np.array([rule(along(j)) for j in range(len(angles))])

    return answer


def shifts(s):  # right for every s, and as exact
    return angle(lambda f: (f(s) - f(-s)) / (2 * np.sin(s)))


def turned_in_place(f, angles):
    slopes = []
    for j in range(len(angles)):
        before = angles[j]
        angles[j] = before + np.pi / 2
        up = f(angles)
        angles[j] = before - np.pi / 2
        slopes.append((up - f(angles)) / 2)
        angles[j] = before
    return slopes


def alias(f, angles):
    slopes = []
    for j in range(len(angles)):
        a = angles
        a[j] += np.pi / 2
        b = angles
        b[j] -= np.pi / 2
        slopes.append((f(a) - f(b)) / 2)
    return slopes


def three(rows):
    """The rule for three angles, whatever is given: with rows of a matrix, or by an index."""

    def answer(f, angles):
        slopes = np.zeros(3)
        for j in range(3):
            up, down = angles.copy(), angles.copy()
            if rows:
                up, down = angles + np.pi / 2 * np.eye(3)[j], angles - np.pi / 2 * np.eye(3)[j]
            else:
                up[j] += np.pi / 2
                down[j] -= np.pi / 2
            slopes[j] = (f(up) - f(down)) / 2
        return slopes

    return answer


def padded(f, angles):
    slopes = np.zeros(3)
    slopes[: len(angles)] = circuit_slope(f, angles)
    return slopes


def all_at_once(f, angles):
    return np.array([(f(angles + np.pi / 2) - f(angles - np.pi / 2)) / 2 for _ in angles])


def left_turned(f, angles):
    slopes = circuit_slope(f, angles)
    angles += np.pi
    return slopes


def one_more_call(f, angles):
    f(angles)
    return circuit_slope(f, angles)


def one_call_fewer(f, angles):
    here = f(angles)
    return np.array([(f(angles + 1e-6 * e) - here) / 1e-6 for e in np.eye(len(angles))])[: len(angles)]


def complex_step(f, angles):
    return np.array([np.imag(f(angles + 1e-30j * e)) / 1e-30 for e in np.eye(len(angles))])


def hidden_error(f, angles):
    try:
        return circuit_slope(lambda a: f(a[0]), angles)
    except ValueError:
        return np.zeros(len(angles))


def copies(f, angles):  # another right one
    slopes = []
    for j in range(len(angles)):
        up, down = angles.copy(), angles.copy()
        up[j] += np.pi / 2
        down[j] -= np.pi / 2
        slopes.append(0.5 * f(up) - 0.5 * f(down))
    return slopes


def saga(direction, fill=lambda new, i, table: table.__setitem__(i, new)):
    def answer(new, i, table):
        d = direction(new, table[i].copy(), table.mean(axis=0), len(table))
        fill(new, i, table)
        return d

    return answer


def table_first(new, i, table):
    old = table[i].copy()
    table[i] = new
    return new - old + table.mean(axis=0)


def view(new, i, table):
    old, mean = table[i], table.mean(axis=0)
    table[i] = new
    return new - old + mean


def a_copy(new, i, table):
    table = table.copy()
    return saga_direction(new, i, table)


def new_in_place(new, i, table):
    d = new - table[i] + table.mean(axis=0)
    table[i] = new
    new += 1
    return d


def returns_new(new, i, table):
    saga_direction(new, i, table)
    return table[i]


def difference(g, old, mean, n):
    return g - old + mean


def comparison(
    typical=np.median,
    lost=lambda v: math.inf if math.isnan(v) else v,
    steps=sorted,
    seeds=lambda tuning, fresh: tuning,
    fresh_score=lambda v: math.inf if math.isnan(v) else v,
    clear=lambda mine, other: max(mine) < min(other),
    best=min,
    result=lambda fresh, winner, chosen: (fresh, winner),
    listed=lambda scores, tried: scores,
):
    """The solution with one of its parts replaced."""

    def answer(train, rules, lrs, tuning_seeds, fresh_seeds):
        fresh, chosen = {}, {}
        for rule in rules:
            tried = {}
            for lr in steps(lrs):
                tried[lr] = [lost(train(rule, lr, s)) for s in seeds(tuning_seeds, fresh_seeds)]
            chosen[rule] = best(tried, key=lambda lr, tried=tried: typical(tried[lr]))
            scores = [fresh_score(train(rule, chosen[rule], s)) for s in fresh_seeds]
            fresh[rule] = listed(scores, tried[chosen[rule]])
        winner = None
        for rule in rules:
            if all(clear(fresh[rule], fresh[other]) for other in rules if other != rule):
                winner = rule
        return result(fresh, winner, chosen)

    return answer


def as_it_is(value):
    return value


def left_out(scores):
    left = [value for value in scores if not math.isnan(value)]
    return np.median(left) if left else math.inf


def lower_median(scores):
    return sorted(scores)[(len(scores) - 1) // 2]


def upper_median(scores):
    return sorted(scores)[len(scores) // 2]


def step_for_all(together):
    """One step size for all rules: that with the lowest `together` of the medians of all rules."""

    def answer(train, rules, lrs, tuning_seeds, fresh_seeds):
        def scores(rule, lr, seeds):
            return [math.inf if math.isnan(v) else v for v in (train(rule, lr, s) for s in seeds)]

        medians = {lr: [np.median(scores(r, lr, tuning_seeds)) for r in rules] for lr in sorted(lrs)}
        chosen = min(medians, key=lambda lr: together(medians[lr]))
        return {rule: scores(rule, chosen, fresh_seeds) for rule in rules}, None

    return answer


def against_second(key):
    """The winner is compared with the second of a ranking alone."""

    def answer(*given):
        fresh, _ = fair_comparison(*given)
        order = sorted(fresh, key=lambda rule: key(fresh[rule]))
        return fresh, order[0] if max(fresh[order[0]]) < min(fresh[order[1]]) else None

    return answer


def quick_alone(scores):  # right for the first rule, and no rule that a check could know
    return 0 if scores == [9.0, 9.0, 9.0] else np.median(scores)


def fresh_first(train, rules, lrs, tuning_seeds, fresh_seeds):
    for rule in rules:
        for lr in lrs:
            for seed in fresh_seeds:
                train(rule, lr, seed)
    return fair_comparison(train, rules, lrs, tuning_seeds, fresh_seeds)


def no_fresh(train, rules, lrs, tuning_seeds, fresh_seeds):
    fresh = {}
    for rule in rules:
        tried = {lr: [train(rule, lr, s) for s in tuning_seeds] for lr in lrs}
        fresh[rule] = min(tried.values(), key=np.median)
    return fresh, rules[0]


def one_fresh(train, rules, lrs, tuning_seeds, fresh_seeds):
    return fair_comparison(train, rules, lrs, tuning_seeds, fresh_seeds[:1])


def favorite(train, rules, lrs, tuning_seeds, fresh_seeds):
    """All step sizes for one rule, and one for the others."""
    fresh = fair_comparison(train, rules[:1], lrs, tuning_seeds, fresh_seeds)[0]
    for rule in rules[1:]:
        fresh |= fair_comparison(train, [rule], lrs[:1], tuning_seeds, fresh_seeds)[0]
    return fresh, rules[0]


def twice(train, rules, lrs, tuning_seeds, fresh_seeds):
    fair_comparison(train, rules, lrs, tuning_seeds, fresh_seeds)
    return fair_comparison(train, rules, lrs, tuning_seeds, fresh_seeds)


def sorts_the_list(train, rules, lrs, tuning_seeds, fresh_seeds):
    lrs.sort()
    return fair_comparison(train, rules, lrs, tuning_seeds, fresh_seeds)


def other_order(train, rules, lrs, tuning_seeds, fresh_seeds):
    return fair_comparison(lambda r, lr, s: train(lr, r, s), rules, lrs, tuning_seeds, fresh_seeds)


def changed(scale=1.0, seed=0):
    def answer(train, rules, lrs, tuning_seeds, fresh_seeds):
        def other(rule, lr, s):
            return train(rule, scale * lr, s + seed)

        return fair_comparison(other, rules, lrs, tuning_seeds, fresh_seeds)

    return answer


def swallows(train, rules, lrs, tuning_seeds, fresh_seeds):
    def other(rule, lr, seed):
        try:
            return train(rule, lr, seed + 1000)
        except ValueError:
            return 0.0

    return fair_comparison(other, rules, lrs, tuning_seeds, fresh_seeds)


def by_keyword(train, rules, lrs, tuning_seeds, fresh_seeds):  # another right one
    return fair_comparison(
        lambda r, lr, s: train(seed=s, lr=lr, rule=r), rules, lrs, tuning_seeds, fresh_seeds
    )


def arrays(train, rules, lrs, tuning_seeds, fresh_seeds):  # another right one
    fresh, winner = fair_comparison(train, rules, lrs, tuning_seeds, fresh_seeds)
    return {rule: np.array(scores) for rule, scores in fresh.items()}, winner


RIGHT = [
    (check.batch_error, batch_error),
    (check.step_for_ball, step_for_ball),
    (check.svm_subgradient, svm_subgradient),
    (check.soft_threshold, soft_threshold),
    (check.adam_step, adam_step),
    (check.circuit_slope, circuit_slope),
    (check.saga_direction, saga_direction),
    (check.fair_comparison, fair_comparison),
]

ALSO_RIGHT = [
    (check.batch_error, lambda v, B, N, r: np.float64(v) * (1 / B if r else (N / B - 1) / (N - 1))),
    (check.step_for_ball, lambda h, v, q: 2 / (h + v / (h * q))),
    (check.svm_subgradient, by_loops),
    (check.svm_subgradient, on_hinge(1.0)),
    (check.svm_subgradient, on_hinge(0.3)),
    (check.svm_subgradient, on_zero(1.0)),
    (check.svm_subgradient, on_zero(-1.0)),
    (check.svm_subgradient, on_zero(-0.4)),
    (check.soft_threshold, lambda w, tau: w - np.clip(w, -tau, tau)),
    (check.soft_threshold, lambda w, tau: np.where(w > tau, w - tau, np.where(w < -tau, w + tau, 0))),
    (check.soft_threshold, lambda w, tau: signed(w.copy(), tau)),
    (check.soft_threshold, lambda w, tau: (soft_threshold(w, tau)).tolist()),
    (check.adam_step, lambda *given: list(adam_step(*given))),
    (check.adam_step, adam()),
    (check.circuit_slope, copies),
    (check.circuit_slope, shifts(1.0)),
    (check.circuit_slope, shifts(0.3)),
    (check.saga_direction, saga(difference)),
    (check.saga_direction, lambda new, i, table: saga_direction(new, i, table).tolist()),
    (check.fair_comparison, comparison()),
    (check.fair_comparison, by_keyword),
    (check.fair_comparison, arrays),
]

WRONG = [
    (check.batch_error, error(factor=lambda B, N: 1), "makes no difference"),
    (check.batch_error, lambda v, B, N, r: batch_error(v, B, N, False), "both as draws without"),
    (check.batch_error, lambda v, B, N, r: batch_error(v, B, N, not r), "the wrong way round"),
    (check.batch_error, error(factor=lambda B, N: 1 - B / N), "not over N"),
    (check.batch_error, lambda v, B, N, r: v / B if r else v / B * (N - B) / N - 1, "Parentheses"),
    (check.batch_error, error(factor=lambda B, N: (N - B) / N - 1), "Parentheses"),
    (check.batch_error, error(factor=lambda B, N: np.float64(N - 1) / (N - B)), "factor is upside down"),
    (check.batch_error, error(factor=lambda B, N: ((N - B) / (N - 1)) ** 0.5), "The root of the factor"),
    (check.batch_error, lambda *given: batch_error(*given) ** 0.5, "That is the root of it"),
    (check.batch_error, error(lambda v, B, N: v / B**0.5), "Divide by B"),
    (check.batch_error, error(lambda v, B, N: v), "not divided by B"),
    (check.batch_error, error(lambda v, B, N: v * B), "grows with the batch"),
    (check.batch_error, error(lambda v, B, N: v / B**2), "by B twice"),
    (check.batch_error, error(lambda v, B, N: v / N), "You divide by N"),
    (check.batch_error, error(lambda v, B, N: np.float64(v) / (B - 1)), "B - 1 belongs"),
    (check.batch_error, error(lambda v, B, N: v * v / B), "a square already"),
    (check.batch_error, error(factor=lambda B, N: (N - B - 1) / (N - 1)), "For a variance of 276 and 32"),
    (check.batch_error, lambda v, B, N, r: (v / B, v), "One number is asked"),
    (check.step_for_ball, lambda h, v, q: 2 * h * q / v, "neglects"),
    (check.step_for_ball, lambda h, v, q: step_for_ball(h, v, q * q), "`size` was squared"),
    (check.step_for_ball, lambda h, v, q: step_for_ball(h, v, q**0.5), "the root of `size`"),
    (check.step_for_ball, lambda h, v, q: step_for_ball(h, v * v, q), "You squared it"),
    (check.step_for_ball, lambda h, v, q: step_for_ball(h, v**0.5, q), "the root of the variance"),
    (check.step_for_ball, lambda h, v, q: 2 * h * q / (v + h * q), "missing in the denominator"),
    (check.step_for_ball, lambda h, v, q: 2 * q / (v + h**2 * q), "missing in the numerator"),
    (check.step_for_ball, lambda h, v, q: 2 * h * q / (v - h**2 * q), "A sign"),
    (check.step_for_ball, lambda h, v, q: h * q / (v + h**2 * q), "a 2 is missing"),
    (check.step_for_ball, lambda h, v, q: q * v / (h * (2 - q * h)), "in for the step"),
    (check.step_for_ball, lambda h, v, q: h * q / v, "without its square"),
    (check.step_for_ball, lambda h, v, q: 1 / step_for_ball(h, v, q), "upside down"),
    (check.step_for_ball, lambda h, v, q: 2 / h, "no bound"),
    (check.step_for_ball, lambda h, v, q: 1 / h, "The step 1/h"),
    (check.step_for_ball, lambda h, v, q: 0.4, "your step 0.4 settles at 0.25; asked was 0.3333"),
    (check.step_for_ball, lambda h, v, q: -0.5, "must lie between 0 and 2/h"),
    (check.step_for_ball, lambda h, v, q: [h, v], "One number is asked"),
    (check.svm_subgradient, slope(lambda A, t, m: (t * (m < 1)) @ A / len(t)), "sign of the hinge"),
    (check.svm_subgradient, slope(lambda A, t, m: -(t * (m < 1)) @ A), "mean over the words is missing"),
    (check.svm_subgradient, slope(lambda A, t, m: -(t * (m < 1)) @ A / A.shape[1]), "number of weights"),
    (check.svm_subgradient, slope(lambda A, t, m: -(t * (m < 1)) @ A / np.sum(m < 1)), "that cost something"),
    (check.svm_subgradient, slope(penalty=lambda w, mu: 0), "The penalty is missing"),
    (check.svm_subgradient, slope(lambda A, t, m: 0), "The hinge is missing"),
    (check.svm_subgradient, slope(penalty=lambda w, mu: -mu * np.sign(w)), "sign of the penalty"),
    (check.svm_subgradient, slope(penalty=lambda w, mu: np.sign(w)), "not multiplied by mu"),
    (check.svm_subgradient, lambda w, A, t, mu: svm_subgradient(w, A, t, mu / len(t)), "outside the mean"),
    (check.svm_subgradient, slope(penalty=lambda w, mu: mu * w), "mu w is the slope of a squared"),
    (check.svm_subgradient, slope(penalty=lambda w, mu: 2 * mu * w), "2 mu w is the slope"),
    (check.svm_subgradient, slope(penalty=lambda w, mu: mu * np.abs(w)), "mu |w| itself"),
    (check.svm_subgradient, slope(penalty=lambda w, mu: mu), "Yours is +1 everywhere"),
    (check.svm_subgradient, slope(lambda A, t, m: -((m < 1) @ A) / len(t)), "The labels are missing"),
    (check.svm_subgradient, lambda w, A, t, mu: -((A @ w < 1) @ A) / len(t) + mu * np.sign(w),
     "missing everywhere"),
    (check.svm_subgradient, one_word(0), "of one word, as in a *stochastic*"),
    (check.svm_subgradient, one_word(-1), "of one word, as in a *stochastic*"),
    (check.svm_subgradient, last_word, "of one word, as in a *stochastic*"),
    (check.svm_subgradient, over_active, "that cost something"),
    (check.svm_subgradient, quotient(1e-6, 1e-6), "Nearly: that is a difference quotient; write the slope"),
    (check.svm_subgradient, quotient(1e-4, 1e-4), "Nearly"),
    (check.svm_subgradient, quotient(1e-7, 0), "Nearly"),
    (check.svm_subgradient, slope(lambda A, t, m: -(t * (m > 1)) @ A / len(t)), "with a margin above 1"),
    (check.svm_subgradient, slope(lambda A, t, m: -(t * (m < 0)) @ A / len(t)), "the words that are wrong"),
    (check.svm_subgradient, slope(margins=lambda w, A, t: A @ w), "the score alone"),
    (check.svm_subgradient, slope(lambda A, t, m: -t @ A / len(t)), "All words pull"),
    (check.svm_subgradient, slope(lambda A, t, m: -(t * np.maximum(0, 1 - m)) @ A / len(t)), "as a factor"),
    (check.svm_subgradient, slope(lambda A, t, m: -2 * (t * np.maximum(0, 1 - m)) @ A / len(t)),
     "squared hinge"),
    (check.svm_subgradient, lambda *given: -svm_subgradient(*given), "direction of a step"),
    (check.svm_subgradient, lambda *given: 1.1 * svm_subgradient(*given), "f is smooth, with the slope"),
    (check.svm_subgradient, on_hinge(1.5), "α = 1.5"),
    (check.svm_subgradient, on_hinge(-0.5), "α = -0.5"),
    (check.svm_subgradient, on_hinge(2.0), "α = 2"),
    (check.svm_subgradient, on_zero(1.5), "takes 1.5"),
    (check.svm_subgradient, on_zero(-2.0), "takes -2"),
    (check.svm_subgradient, slope(lambda A, t, m: -(t * ((m < 1) + 1.25 * (m == 0))) @ A / len(t)),
     "where both kinks meet"),
    (check.svm_subgradient, slope(penalty=lambda w, mu: mu * w / np.abs(w)), "0 over |0| says NaN"),
    (check.svm_subgradient, lambda w, *rest: np.full_like(w, math.nan), "It holds NaN"),
    (check.svm_subgradient, svm_in_place, "changed an array"),
    (check.svm_subgradient, lambda w, A, t, mu: np.maximum(0, 1 - t * (A @ w)).mean(), "one number"),
    (check.svm_subgradient, lambda w, A, t, mu: t * (A @ w) < 1, "an entry a weight"),
    (check.svm_subgradient, lambda w, A, t, mu: A, "has the shape of w, (4,)"),
    (check.soft_threshold, lambda w, tau: np.where(np.abs(w) > tau, w, 0), "hard thresholding"),
    (check.soft_threshold, lambda w, tau: np.where(np.abs(w) < tau, 0, w), "hard thresholding"),
    (check.soft_threshold, lambda w, tau: np.maximum(np.abs(w) - tau, 0), "signs are lost"),
    (check.soft_threshold, lambda w, tau: w - tau * np.sign(w), "went past it"),
    (check.soft_threshold, lambda w, tau: np.sign(w) * np.abs(np.abs(w) - tau), "comes back out"),
    (check.soft_threshold, lambda w, tau: w - tau, "All entries moved down"),
    (check.soft_threshold, lambda w, tau: np.maximum(w - tau, 0), "negative entries became 0"),
    (check.soft_threshold, lambda w, tau: np.where(w > 0, np.maximum(w - tau, 0), w), "Only the positive"),
    (check.soft_threshold, loop, "a loop over `w` sees rows"),
    (check.soft_threshold, loop_by_index, "a loop over `w` sees rows"),
    (check.soft_threshold, loop_over_rows, "two axes, or none"),
    (check.soft_threshold, lambda w, tau: np.where(w > tau, w - tau, np.where(w < tau, w + tau, 0)),
     "A minus sign is lost"),
    (check.soft_threshold, lambda w, tau: w * max(0, 1 - tau / np.linalg.norm(w)), "shrunk by its norm"),
    (check.soft_threshold, lambda w, tau: w - tau * w / np.linalg.norm(w), "shrunk by its norm"),
    (check.soft_threshold, lambda w, tau: w + tau * np.sign(w), "away from 0"),
    (check.soft_threshold, lambda w, tau: np.clip(w, -tau, tau), "to be taken off"),
    (check.soft_threshold, lambda w, tau: w * max(1 - tau, 0), "multiplied by 1 - tau"),
    (check.soft_threshold, lambda w, tau: w * (1 - tau), "multiplied by 1 - tau"),
    (check.soft_threshold, lambda w, tau: w / (1 + tau), "squared penalty"),
    (check.soft_threshold, lambda w, tau: soft_threshold(w, tau / 2), "moved by tau/2"),
    (check.soft_threshold, lambda w, tau: soft_threshold(w, tau * 2), "moved by 2 tau"),
    (check.soft_threshold, lambda w, tau: np.sign(w) * np.maximum(np.abs(w), tau), "raised to tau"),
    (check.soft_threshold, lambda w, tau: w.copy(), "Nothing moved"),
    (check.soft_threshold, lambda w, tau: w * np.maximum(0, 1 - tau / np.abs(w)), "says NaN"),
    (check.soft_threshold, lambda w, tau: soft_threshold(w, 0.9 * tau),
     "and tau = 1 it is [2.0, -1.5, 0.0, 0.0, 0.0, 0.0, 0.0]; yours"),
    (check.soft_threshold, signed, "changed the array"),
    (check.soft_threshold, asks_if, "`if` of a whole array"),
    (check.soft_threshold, lambda w, tau: w if tau == 0 else soft_threshold(w, tau), "caller's own array"),
    (check.soft_threshold, lambda w, tau: soft_threshold(w, tau).sum(), "shape of w is (7,)"),
    (check.adam_step, both(lambda m, b, k: m), "The correction is missing"),
    (check.adam_step, adam(second=lambda v, b, k: v), "v is not"),
    (check.adam_step, adam(first=lambda m, b, k: m), "m is not"),
    (check.adam_step, both(lambda m, b, k: m / (1 - b ** (k - 1))), "steps from 0"),
    (check.adam_step, both(lambda m, b, k: m / (1 - b ** (k + 1))), "uses k + 1"),
    (check.adam_step, both(lambda m, b, k: m / (1 - b)), "The power k is missing"),
    (check.adam_step, both(lambda m, b, k: m / (1 - b * k)), "to the *power* k"),
    (check.adam_step, both(lambda m, b, k: m * (1 - b**k)), "You multiply by"),
    (check.adam_step, both(lambda m, b, k: m / (1 - b**k) ** 2), "It is corrected twice"),
    (check.adam_step, adam(first=lambda m, b, k: m / (1 - b**k) ** 2), "m is corrected twice"),
    (check.adam_step, exchanged_correction, "The corrections are exchanged"),
    (check.adam_step, adam(divide=lambda m, v, eps: m / np.sqrt(v + eps)), "inside the root"),
    (check.adam_step, adam(divide=lambda m, v, eps: m / np.sqrt(v)), "eps is missing"),
    (check.adam_step, with_constants(eps=1e-8), "eps is missing, or not the one that was given"),
    (check.adam_step, with_constants(eps=1e-12), "eps is missing, or not the one that was given"),
    (check.adam_step, adam(second=lambda v, b, k: v / (1 - b**k) ** 2), "and then comes the root"),
    (check.adam_step, folded, "added to the uncorrected root"),
    (check.adam_step, with_constants(lr=0.001), "The step size is 0.001 in yours"),
    (check.adam_step, with_constants(lr=0.1), "The step size is 0.1 in yours"),
    (check.adam_step, adam(divide=lambda m, v, eps: m / (v + eps)), "The root is missing"),
    (check.adam_step, adam(divide=lambda m, v, eps: m / np.sqrt(v) + eps), "parentheses"),
    (check.adam_step, adam(divide=lambda m, v, eps: np.sqrt(v) / (m + eps)), "upside down"),
    (check.adam_step, corrected_in_place, "return the corrected m and v"),
    (check.adam_step, only_one_corrected("m"), "return the corrected m."),
    (check.adam_step, only_one_corrected("v"), "return the corrected v."),
    (check.adam_step, adam(square=lambda v, g, b: b * v + (1 - b) * g), "You put g into it"),
    (check.adam_step, adam(square=lambda v, g, b: b * v + (1 - b) * abs(g)), "You put |g| into it"),
    (check.adam_step, adam(square=lambda v, g, b: b * v + ((1 - b) * g) ** 2), "you squared 1 - beta2"),
    (check.adam_step, adam(lambda m, g, b: (1 - b) * m + b * g, lambda v, g, b: (1 - b) * v + b * g * g),
     "beta keeps the old"),
    (check.adam_step, adam(lambda m, g, b: b * m + g, lambda v, g, b: b * v + g * g),
     "The factor 1 - beta of the new"),
    (check.adam_step, adam(lambda m, g, b: b * m + g), "In m the factor"),
    (check.adam_step, adam(square=lambda v, g, b: b * v + g**2), "In v the factor"),
    (check.adam_step, adam(result=lambda theta, lr, step: theta + lr * step), "it goes up"),
    (check.adam_step, adam(result=lambda theta, lr, step: theta - step), "not multiplied by lr"),
    (check.adam_step, adam(result=lambda theta, lr, step: lr * step), "You return the step"),
    (check.adam_step, adam(result=lambda theta, lr, step: -lr * step), "You return the step"),
    (check.adam_step, exchanged, "The betas are exchanged"),
    (check.adam_step, rmsprop, "The step takes g"),
    (check.adam_step, old_memory, "as they were"),
    (check.adam_step, square_of_mean, "the square of the new m"),
    (check.adam_step, adam(order=lambda theta, m, v: (m, v, theta)), "in another order"),
    (check.adam_step, adam(order=lambda theta, m, v: (theta, v, m)), "m and v are exchanged"),
    (check.adam_step, adam(order=lambda theta, m, v: theta), "Three arrays are asked"),
    (check.adam_step, adam(order=lambda theta, m, v: None), "is there a `return`"),
    (check.adam_step, adam(order=lambda theta, m, v: (theta, m.sum(), v)), "The new m should have"),
    (check.adam_step, adam(lambda m, g, b: b * m + (1 - b) * g / 2), "the new m should be [0.6, -0.1]"),
    (check.adam_step, adam(result=lambda theta, lr, step: theta - 2 * lr * step), "the new theta should be"),
    (check.adam_step, adam_in_place, "changed the array `m`"),
    (check.adam_step, same_theta, "an array that was given"),
    (check.circuit_slope, angle(lambda f: f(np.pi / 2) - f(-np.pi / 2)), "the half is missing"),
    (check.circuit_slope, angle(lambda f: (f(-np.pi / 2) - f(np.pi / 2)) / 2), "plus first"),
    (check.circuit_slope, angle(lambda f: (f(np.pi / 2) - f(-np.pi / 2)) / np.pi), "divides by 2"),
    (check.circuit_slope, angle(lambda f: (f(np.pi / 2) - f(-np.pi / 2)) / (np.pi / 2)), "divide by pi/2"),
    (check.circuit_slope, alias, "`a = angles` makes no copy"),
    (check.circuit_slope, three(rows=True), "There is 1 angle here; yours assumes 3."),
    (check.circuit_slope, three(rows=False), "There is 1 angle here; yours assumes 3."),
    (check.circuit_slope, padded, "There is 1 angle here; yours assumes 3."),
    (check.circuit_slope, all_at_once, "You turn all angles at once"),
    (check.circuit_slope, angle(lambda f: (f(np.pi) - f(-np.pi)) / 2), "to the same place twice"),
    (check.circuit_slope, angle(lambda f: (f(np.pi / 4) - f(-np.pi / 4)) / 2), "an eighth"),
    (check.circuit_slope, angle(lambda f: (f(90) - f(-90)) / 2), "in radians"),
    (check.circuit_slope, angle(lambda f: (f(1) - f(-1)) / 2), "You go by 1"),
    (check.circuit_slope, angle(lambda f: f(np.pi / 2) - f(0)), "to *either* side"),
    (check.circuit_slope, angle(lambda f: (f(np.pi / 2) - f(0)) / 2), "Go to *either* side"),
    (check.circuit_slope, angle(lambda f: (f(np.pi / 2) + f(-np.pi / 2)) / 2), "the mean of the two"),
    (check.circuit_slope, angle(lambda f: f(np.pi / 2) + f(-np.pi / 2)), "You add the two"),
    (check.circuit_slope, angle(lambda f: (f(1e-4) - f(-1e-4)) / 2e-4), "difference quotient"),
    (check.circuit_slope, angle(lambda f: (f(1e-5) - f(-1e-5)) / 2e-5), "difference quotient"),
    (check.circuit_slope, angle(lambda f: (f(0.1) - f(-0.1)) / 0.2), "difference quotient"),
    (check.circuit_slope, one_call_fewer, "difference quotient"),
    (check.circuit_slope, angle(lambda f: (f(0.7) - f(-0.7)) / 7), "the slope of a test function"),
    (check.circuit_slope, one_more_call, "called 7 times for 3 angles"),
    (check.circuit_slope, lambda f, angles: (f(angles + 1.57) - f(angles - 1.57)) / 2, "one at a time"),
    (check.circuit_slope, lambda f, angles: np.array([f(a) for a in angles]), "an array of all 3 angles"),
    (check.circuit_slope, hidden_error, "an array of all 3 angles"),
    (check.circuit_slope, complex_step, "complex angle"),
    (check.circuit_slope, lambda f, angles: circuit_slope(f, angles)[:-1], "yours has (2,)"),
    (check.circuit_slope, turned_in_place, "changed `angles` for a call"),
    (check.circuit_slope, left_turned, "Work on a copy"),
    (check.saga_direction, table_first, "*after* `new` went in"),
    (check.saga_direction, saga(lambda g, old, mean, n: (g - old) / n + mean), "SAG, and biased"),
    (check.saga_direction, view, "table[i] is a view"),
    (check.saga_direction, saga(lambda g, old, mean, n: g - old), "mean of the table is missing"),
    (check.saga_direction, saga(lambda g, old, mean, n: g + mean), "is not subtracted"),
    (check.saga_direction, saga(lambda g, old, mean, n: g - mean), "table[i] is missing"),
    (check.saga_direction, saga(lambda g, old, mean, n: g - old + n * mean / (n - 1)), "divided by n - 1"),
    (check.saga_direction, saga(lambda g, old, mean, n: g.copy()), "plain stochastic descent"),
    (check.saga_direction, saga(lambda g, old, mean, n: g + old - mean), "The signs"),
    (check.saga_direction, saga(lambda g, old, mean, n: g - old - mean), "sign of the mean"),
    (check.saga_direction, saga(lambda g, old, mean, n: g + old + mean), "sign of the old gradient"),
    (check.saga_direction, saga(lambda g, old, mean, n: old - g + mean), "difference is turned"),
    (check.saga_direction, saga(lambda g, old, mean, n: old - g - mean), "that a step subtracts"),
    (check.saga_direction, saga(lambda g, old, mean, n: g - old + n * mean), "sum of the table"),
    (check.saga_direction, saga(lambda g, old, mean, n: g - old + (n * mean - old) / (n - 1)), "leaves"),
    (check.saga_direction, saga(lambda g, old, mean, n: g - old + 2 * mean), "and the table"),
    (check.saga_direction, lambda new, i, table: saga_direction(new, i, table) * 0 + new - table[i - 1]
     + table.mean(), "For new ="),
    (check.saga_direction, lambda new, i, table: new - table[i] + table.mean(), "axis=0"),
    (check.saga_direction, lambda new, i, table: new - table[i - 1] + table.mean(axis=0), "count from 0"),
    (check.saga_direction, a_copy, "the table is as it was"),
    (check.saga_direction, saga(difference, lambda new, i, table: table.__setitem__(i, new + table[i])),
     "takes the place"),
    (check.saga_direction, saga(difference, lambda new, i, table: table.__setitem__(
        i, new - table[i] + table.mean(axis=0))), "You put the direction"),
    (check.saga_direction, saga(difference, lambda new, i, table: table.__setitem__(..., new)), "All rows"),
    (check.saga_direction, saga(difference, lambda new, i, table: table.__setitem__(
        (i + 1) % len(table), new)), "into another row"),
    (check.saga_direction, saga(difference, lambda new, i, table: table.__setitem__(i, 0)), "Row i becomes"),
    (check.saga_direction, new_in_place, "changed `new`"),
    (check.saga_direction, returns_new, "a view of the table"),
    (check.saga_direction, lambda new, i, table: (saga_direction(new, i, table), table), "several things"),
    (check.saga_direction, lambda new, i, table: table, "an entry for each weight"),
    (check.fair_comparison, comparison(typical=np.mean), "moves a mean"),
    (check.fair_comparison, comparison(typical=min), "That is luck"),
    (check.fair_comparison, comparison(typical=max), "lowest worst score"),
    (check.fair_comparison, comparison(typical=lower_median), "*lower* median"),
    (check.fair_comparison, comparison(typical=upper_median), "*upper* median"),
    (check.fair_comparison, step_for_all(sum), "for all rules together"),
    (check.fair_comparison, step_for_all(min), "for all rules together"),
    (check.fair_comparison, step_for_all(np.median), "for all rules together"),
    (check.fair_comparison, against_second(max), "with the runner-up 'B' alone"),
    (check.fair_comparison, against_second(np.median), "with the runner-up 'B' alone"),
    (check.fair_comparison, against_second(sum), "with the runner-up 'B' alone"),
    (check.fair_comparison, comparison(best=max), "Lower scores are better"),
    (check.fair_comparison, comparison(typical=left_out, lost=as_it_is), "NaN is a lost run"),
    (check.fair_comparison, comparison(lost=as_it_is), "NaN is a lost run"),
    (check.fair_comparison, comparison(lost=as_it_is, steps=list), "NaN is a lost run"),
    (check.fair_comparison, comparison(steps=list), "the same median"),
    (check.fair_comparison, comparison(steps=lambda lrs: sorted(lrs)[::-1]), "the same median"),
    (check.fair_comparison, comparison(typical=quick_alone), "lowest median of"),
    (check.fair_comparison, comparison(seeds=lambda tuning, fresh: fresh), "got fewer tries"),
    (check.fair_comparison, comparison(seeds=lambda tuning, fresh: tuning[:1]), "got fewer tries"),
    (check.fair_comparison, comparison(seeds=lambda tuning, fresh: tuning + fresh), "judge the chosen one"),
    (check.fair_comparison, fresh_first, "judge the chosen one"),
    (check.fair_comparison, no_fresh, "never trained with a fresh seed"),
    (check.fair_comparison, one_fresh, "each of the fresh seeds"),
    (check.fair_comparison, favorite, "'steady' got fewer tries"),
    (check.fair_comparison, twice, "more than once"),
    (check.fair_comparison, sorts_the_list, "changed the list"),
    (check.fair_comparison, other_order, "train(rule, lr, seed)"),
    (check.fair_comparison, changed(scale=2.0), "none of `lrs`"),
    (check.fair_comparison, changed(seed=99), "neither a tuning nor a fresh seed"),
    (check.fair_comparison, swallows, "neither a tuning nor a fresh seed"),
    (check.fair_comparison, comparison(fresh_score=as_it_is), "holds NaN"),
    (check.fair_comparison, comparison(clear=lambda mine, other: max(mine) <= min(other)), "only equals"),
    (check.fair_comparison, comparison(clear=lambda mine, other: max(mine) < max(other)), "worst with worst"),
    (check.fair_comparison, comparison(clear=lambda mine, other: np.median(mine) < np.median(other)),
     "compared medians"),
    (check.fair_comparison, comparison(clear=lambda mine, other: np.mean(mine) < np.mean(other)),
     "compared means"),
    (check.fair_comparison, comparison(clear=lambda mine, other: min(mine) < min(other)), "best with best"),
    (check.fair_comparison, comparison(clear=lambda mine, other: min(mine) > max(other)), "worst of all"),
    (check.fair_comparison, comparison(clear=lambda mine, other: sum(other) in (4.75, 8.5) and
     sum(mine) in (4.75, 8.5)), "It found no winner"),
    (check.fair_comparison, comparison(result=lambda f, w, c: (w, f)), "First the dict"),
    (check.fair_comparison, comparison(result=lambda fresh, winner, chosen: fresh), "Two things are asked"),
    (check.fair_comparison, comparison(result=lambda *found: None), "is there a `return`"),
    (check.fair_comparison, comparison(result=lambda f, w, c: (c, w)), "the step size"),
    (check.fair_comparison, comparison(result=lambda fresh, winner, chosen: (list(fresh), winner)),
     "a dictionary with an entry for each rule"),
    (check.fair_comparison, comparison(result=lambda f, w, c: ({}, w)), "an entry for each"),
    (check.fair_comparison, comparison(result=lambda fresh, winner, chosen: (fresh, "nobody")), "or None"),
    (check.fair_comparison, comparison(result=lambda f, w, c: (f, w or False)), "False"),
    (check.fair_comparison, comparison(result=lambda f, w, c: (f, "steady")), "'quick' would"),
    (check.fair_comparison, comparison(result=lambda fresh, winner, chosen: (
        {rule: np.median(scores) for rule, scores in fresh.items()}, winner)), "gives one number"),
    (check.fair_comparison, comparison(listed=lambda scores, tried: tried + scores), "tuning scores, too"),
    (check.fair_comparison, comparison(listed=lambda scores, tried: scores[:1]), "a list of 2 scores"),
    (check.fair_comparison, comparison(listed=lambda scores, tried: scores[::-1]), "in another order"),
    (check.fair_comparison, comparison(listed=lambda scores, tried: [s + 1 for s in scores]), "yours are"),
    (check.fair_comparison, comparison(result=lambda fresh, winner, chosen: (dict.fromkeys(fresh), winner)),
     "one for each fresh seed"),
]  # fmt: skip

JUNK = [
    lambda *given: None,
    lambda *given: "sigma / sqrt(B)",
    lambda *given: np.ones((2, 7)),
    lambda *given: np.ones(3),
    lambda *given: 0.0,
    lambda *given: [1, [2, 3]],
    lambda *given: math.nan,
    lambda *given: np.full(np.shape(given[0]), math.nan),
    lambda *given: (),
    lambda *given: given,
    lambda *given: [np.ones(2)] * 3,
    lambda *given: ({}, None),
    lambda *given: ({"quick": "low", "steady": None, "frail": []}, "quick"),
    lambda *given: lambda z: "yes",
    lambda *given: 1 / 0,
    lambda *given: 1j,
    lambda: 1.0,
    dict,
    "an answer",
    3,
    None,
]


def imaginary(solution):
    """The solution with a small imaginary part in every number that it returns."""

    def add(found):
        if isinstance(found, tuple):
            return tuple(add(part) for part in found)
        if isinstance(found, dict):
            return {name: add(np.array(part)) for name, part in found.items()}
        return found if found is None or isinstance(found, str) else found + 1e-30j

    return lambda *given: add(solution(*given))


NAMES = [exercise.__name__ for exercise, _ in RIGHT]


@pytest.mark.parametrize("exercise", [exercise for exercise, _ in RIGHT], ids=NAMES)
def test_the_stub_fails(capsys, exercise):
    for stub in (..., lambda *given: ...):
        passed, printed = verdict(capsys, exercise, stub)
        assert not passed and printed == "No answer yet: put yours in place of the three dots.\n"


@pytest.mark.parametrize("exercise", [exercise for exercise, _ in RIGHT], ids=NAMES)
def test_the_stub_as_it_stands_in_the_chapter_fails(capsys, exercise):
    def stub(*given): ...  # it returns None

    passed, printed = verdict(capsys, exercise, stub)
    assert not passed and printed.startswith("Not yet. ") and "is there a `return`?" in printed


@pytest.mark.parametrize("exercise, answer", RIGHT, ids=NAMES)
def test_the_solution_passes(capsys, exercise, answer):
    passed, printed = verdict(capsys, exercise, answer)
    assert passed and printed == "Right.\n", printed


@pytest.mark.parametrize(
    "exercise, answer", ALSO_RIGHT, ids=[exercise.__name__ for exercise, _ in ALSO_RIGHT]
)
def test_another_way_to_be_right_passes(capsys, exercise, answer):
    passed, printed = verdict(capsys, exercise, answer)
    assert passed and printed == "Right.\n", printed


@pytest.mark.parametrize("exercise, answer, hint", WRONG, ids=[f"{e.__name__}-{h}" for e, _, h in WRONG])
def test_a_typical_mistake_gets_its_hint(capsys, exercise, answer, hint):
    passed, printed = verdict(capsys, exercise, answer)
    assert not passed and printed.count("\n") == 1 and hint in printed, printed


@pytest.mark.parametrize("exercise, solution", RIGHT, ids=NAMES)
def test_a_useless_answer_gets_a_verdict(capsys, exercise, solution):
    for answer in [*JUNK, imaginary(solution)]:
        passed, printed = verdict(capsys, exercise, answer)
        assert not passed and ("Not yet. " in printed or "No answer yet" in printed), printed


def test_every_exercise_of_the_module_is_tested():
    from speechlib.check import stochastic_optimization

    assert set(NAMES) == set(stochastic_optimization.__all__)
