"""Checks of the exercises of the chapter `stochastic_optimization`."""

import math

import numpy as np

from ._exercise import exercise
from .cross_entropy import _numbers
from .gradient_clipping import _mistake

__all__ = [
    "adam_step",
    "batch_error",
    "circuit_slope",
    "fair_comparison",
    "saga_direction",
    "soft_threshold",
    "step_for_ball",
    "svm_subgradient",
]


def _reals(answer):
    """What a reader's function returned, as an array of floats; complex numbers are none."""
    if np.iscomplexobj(answer):
        raise TypeError("it is complex, and real numbers are asked")
    return _numbers(answer)


def _one_number(answer, cases):
    """(hint, outputs) of a function that returns one number for each case."""
    outputs = []
    for case in cases:
        with np.errstate(all="ignore"):
            got = _reals(answer(*case))
        if got.shape != ():
            return f"One number is asked; yours has shape {got.shape}.", None
        outputs.append([got])
    return None, outputs


def _shown(array, digits=4):
    """Rounded, as a list for a hint, without a -0.0."""
    return (array.round(digits) + 0.0).tolist()


@exercise
def batch_error(answer):
    """`answer(variance, B, N, replace)`: the expected squared error of the mean gradient of a batch."""
    cases = [
        (276.0, 32, 1200, True),
        (276.0, 32, 1200, False),
        (3.0, 7, 10, False),
        (2.5, 1, 10, False),  # one draw cannot come twice
        (2.5, 10, 10, False),  # everyone
        (2.5, 10, 10, True),
        (4.0, 20, 10, True),  # more than there are
    ]
    hint, outputs = _one_number(answer, cases)
    if hint:
        return hint

    def rule(mean, factor=lambda B, N: (N - B) / (N - 1)):
        def expected(variance, B, N, replace):
            return [np.float64(mean(variance, B, N)) * (1 if replace else np.float64(factor(B, N)))]

        return expected

    def over_batch(variance, B, N):
        return variance / B

    right = rule(over_batch)
    wrong = [
        (
            rule(over_batch, lambda B, N: 1),
            "`replace` makes no difference in yours. Without replacement everyone may have been asked, and "
            "then there is no error.",
        ),
        (
            lambda v, B, N, replace: right(v, B, N, False),
            "You treat both as draws without replacement. If an example may come twice, draws are "
            "independent, and no factor is needed.",
        ),
        (
            lambda v, B, N, replace: right(v, B, N, not replace),
            "The two are the wrong way round: `replace=True` means that an example may come twice.",
        ),
        (
            rule(over_batch, lambda B, N: (N - B) / N),
            "The factor is (N - B) over N - 1, not over N. With a batch of one both ways to draw are the "
            "same.",
        ),
        *(
            (
                one_less,
                "Parentheses are missing: (N - B) / N - 1 divides first and then takes off 1. It is "
                "(N - B) / (N - 1).",
            )
            for one_less in (
                rule(over_batch, lambda B, N: (N - B) / N - 1),
                lambda v, B, N, replace: [np.float64(v / B if replace else v / B * (N - B) / N - 1)],
            )
        ),
        (
            rule(over_batch, lambda B, N: np.float64(N - 1) / (N - B)),
            "The factor is upside down: without replacement the error is smaller.",
        ),
        (
            rule(over_batch, lambda B, N: np.sqrt((N - B) / (N - 1))),
            "The root of the factor belongs to the standard deviation. Asked is the square.",
        ),
        (
            lambda v, B, N, replace: np.sqrt(right(v, B, N, replace)),
            "That is the root of it. Asked is the *squared* distance.",
        ),
        (
            rule(lambda v, B, N: v / np.sqrt(B)),
            "A variance falls with B, and its root with the root of B. Divide by B.",
        ),
        (rule(lambda v, B, N: v), "The variance of one example is not divided by B."),
        (
            rule(lambda v, B, N: v * B),
            "It grows with the batch. The variance of a *mean* of B is one B-th.",
        ),
        (
            rule(lambda v, B, N: v / B**2),
            "It is divided by B twice. B variances are added, then divided by B².",
        ),
        (rule(lambda v, B, N: v / N), "You divide by N. It is a mean of B that is asked."),
        (
            rule(lambda v, B, N: np.float64(v) / (B - 1)),
            "B - 1 belongs to an estimate of the variance from a sample. This variance is known.",
        ),
        (
            rule(lambda v, B, N: np.float64(v**2) / B),
            "The variance is a square already.",
        ),
    ]

    def otherwise(k):
        variance, B, N, replace = cases[k]
        return (
            f"For a variance of {variance:g} and {B} of {N} drawn {'with' if replace else 'without'} "
            f"replacement it is {right(*cases[k])[0]:.4g}; yours is {outputs[k][0]:.4g}."
        )

    return _mistake(cases, outputs, right, wrong, otherwise)


@exercise
def step_for_ball(answer):
    """`answer(h, variance, size)`: the step size whose noise ball has this mean square."""
    cases = [(1.0, 1.0, 1 / 3), (2.0, 0.5, 0.1), (0.3, 4.0, 7.0), (5.0, 0.2, 30.0), (0.7, 9.0, 0.001)]
    hint, outputs = _one_number(answer, cases)
    if hint:
        return hint

    def rule(formula):
        return lambda h, v, q: [np.float64(formula(h, v, q))]

    right = rule(lambda h, v, q: 2 * h * q / (v + h**2 * q))
    wrong = [
        (
            rule(lambda h, v, q: 2 * h * q / v),
            "That neglects ηh beside 2, which is right for small steps. The exact step is smaller, and never "
            "above 2/h.",
        ),
        (
            rule(lambda h, v, q: 2 * h * q**2 / (v + h**2 * q**2)),
            "`size` was squared. It is the mean of θ² already.",
        ),
        (
            rule(lambda h, v, q: 2 * h * math.sqrt(q) / (v + h**2 * math.sqrt(q))),
            "You took the root of `size`. It is the mean of θ², as in the formula.",
        ),
        (rule(lambda h, v, q: 2 * h * q / (v**2 + h**2 * q)), "The variance is s² already. You squared it."),
        (
            rule(lambda h, v, q: 2 * h * q / (math.sqrt(v) + h**2 * q)),
            "You took the root of the variance. The formula has s².",
        ),
        (
            rule(lambda h, v, q: 2 * h * q / (v + h * q)),
            "An h is missing in the denominator: in h (2 - ηh) it comes twice beside η.",
        ),
        (
            rule(lambda h, v, q: 2 * q / (v + h**2 * q)),
            "An h is missing in the numerator: η s² = h (2 - ηh) q.",
        ),
        (
            rule(lambda h, v, q: 2 * h * q / (v - h**2 * q)),
            "A sign: -η h² q, brought to the side of η s², becomes positive.",
        ),
        (rule(lambda h, v, q: h * q / (v + h**2 * q)), "It is half of the right step: a 2 is missing."),
        (
            rule(lambda h, v, q: v * q / (h * (2 - q * h))),
            "You put `size` in for the step: that is the ball of such a step. Solve for η.",
        ),
        (
            rule(lambda h, v, q: h * q / v),
            "From (1 - ηh) without its square? The square of the weight is multiplied by (1 - ηh)².",
        ),
        (rule(lambda h, v, q: (v + h**2 * q) / (2 * h * q)), "The fraction is upside down."),
        (rule(lambda h, v, q: 2 / h), "At 2/h the ball has no bound. That is the end of all steps."),
        (rule(lambda h, v, q: 1 / h), "The step 1/h gives one ball, of size s²/h². Another one is asked."),
    ]

    def otherwise(k):
        (h, v, q), eta = cases[k], float(outputs[k][0])
        if not 0 < eta < 2 / h:
            return (
                f"For h = {h:g} a step must lie between 0 and 2/h = {2 / h:.4g}, or nothing settles; yours "
                f"is {eta:.4g}."
            )
        return (
            f"For h = {h:g} and a variance of {v:g} your step {eta:.4g} settles at "
            f"{eta * v / (h * (2 - eta * h)):.4g}; asked was {q:.4g}."
        )

    return _mistake(cases, outputs, right, wrong, otherwise)


def _svm(w, A, t, mu):
    """The function of the exercise, at one point or at each row of many."""
    return np.maximum(0, 1 - t * (w @ A.T)).mean(axis=-1) + mu * np.abs(w).sum(axis=-1)


def _svm_slope(w, A, t, mu, alpha=0.0, at_zero=0.0):
    """The subgradient with these slopes on the kinks."""
    margins = t * (A @ w)
    costs = np.where(margins < 1, 1.0, np.where(margins == 1, alpha, 0.0))
    return -(t * costs) @ A / len(t) + mu * np.where(w == 0, at_zero, np.sign(w))


def _below(g, w, A, t, mu, rng, slack=0.0):
    """Whether the plane through the point w with the slope g lies nowhere above, at all of many points.

    A `slack` above 0 forgives an error of the slope of that size.
    """
    axes = np.eye(len(w))
    away = g - _svm_slope(w, A, t, mu, 0.5)  # where it would be above, if anywhere near
    ways = np.concatenate([axes, -axes, [away, -away], A, -A, rng.normal(size=(400, len(w)))])
    ways = ways / np.maximum(np.linalg.norm(ways, axis=1, keepdims=True), 1e-300)
    moves = np.concatenate([scale * ways for scale in (1 / 64, 1.0, 16.0)])
    rises = _svm(w + moves, A, t, mu) - _svm(w, A, t, mu)
    return bool(np.all(rises >= moves @ g - slack * np.linalg.norm(moves, axis=1) - 1e-11))


@exercise
def svm_subgradient(answer):
    """`answer(w, A, t, mu)`: one subgradient of the mean hinge and mu times the sum of absolute weights."""
    rng = np.random.default_rng(0)
    A = rng.normal(size=(6, 4))
    t = np.array([1.0, 1.0, -1.0, 1.0, -1.0, -1.0])
    grid = np.array([[2.0, 0.0, 1.0], [1.0, 1.0, -1.0], [0.0, 4.0, 2.0], [-2.0, 1.0, 0.0], [4.0, -2.0, 2.0]])
    signs = np.array([1.0, 1.0, 1.0, -1.0, 1.0])
    plain, hinge, zero = "plain", "hinge", "zero"
    cases = [  # where f is smooth; a margin of exactly 1; weights of exactly 0; both
        (plain, (np.array([0.4, 0.9, -0.3, 1.2]), A, t, 0.3)),
        (plain, (3 * rng.normal(size=4), A[:5], t[:5], 1.5)),
        (zero, (np.array([0.4, 0.0, 0.0, -0.3]), A, t, 0.3)),
        (zero, (np.zeros(4), A, t, 0.7)),
        (hinge, (np.array([0.25, -0.5, 0.5]), grid, signs, 0.125)),  # margins 1, -0.75, -1, 1, 3
        (hinge, (np.array([0.5, 0.25, -0.25]), grid, signs, 0.25)),  # margins 0.75, 1, 0.5, 0.75, 1
        ("both", (np.array([0.5, 0.0, 0.0]), grid, signs, 0.5)),  # margins 1, 0.5, 0, 1, 2
        ("both", (np.array([0.0, 0.25, 0.0]), grid, signs, 0.0)),  # margins 0, 0.25, 1, -0.25, -0.5
    ]
    for kind, (w, rows, labels, mu) in cases:
        mine = w.copy(), rows.copy(), labels.copy()
        with np.errstate(all="ignore"):
            g = _reals(answer(*mine, mu))
        if not all(map(np.array_equal, mine, (w, rows, labels))):
            return "It changed an array that was given. Compute into a new one."
        if g.shape == ():
            return "That is one number. A subgradient has an entry for each weight."
        if g.shape == labels.shape and g.shape != w.shape:
            return f"One number for each word: shape {g.shape}. Multiply by the rows of A: an entry a weight."
        if g.shape != w.shape:
            return f"A subgradient has the shape of w, {w.shape}; yours has {g.shape}."
        if np.isnan(g).any():
            if (w == 0).any():
                return (
                    "A weight is 0, and 0 over |0| says NaN. At 0 any slope from -1 to 1 will do; np.sign "
                    "says 0."
                )
            return "It holds NaN."
        if _below(g, w, rows, labels, mu, rng):
            continue
        if _below(g, w, rows, labels, mu, rng, 1e-5):
            return "Nearly: that is a difference quotient; write the slope down, it is exact."
        if kind == plain:
            return _svm_hint(g, w, rows, labels, mu)
        if kind == zero:
            s = (g - _svm_slope(w, rows, labels, 0.0)) / mu
            j = np.flatnonzero(w == 0)[np.argmax(np.abs(s[w == 0]))]
            if np.allclose(s[w != 0], np.sign(w[w != 0])) and abs(s[j]) > 1:
                return (
                    f"A weight is 0, and yours takes {s[j]:.3g} for the slope of its |w|. At 0 it may be any "
                    "number from -1 to 1, and no other."
                )
        if kind == hinge:
            here, x = labels * (rows @ w) == 1, 0.0
            x = -(labels * here) @ rows / len(labels)
            rest = g - _svm_slope(w, rows, labels, mu)
            alpha = rest @ x / (x @ x)
            if np.allclose(rest, alpha * x) and not -1e-9 <= alpha <= 1 + 1e-9:
                return (
                    f"A margin is exactly 1, and there yours has α = {alpha:.3g}. On the kink α may be any "
                    "number from 0 to 1, and no other."
                )
        where = {zero: "weights are exactly 0", hinge: "a margin is exactly 1"}.get(kind, "both kinks meet")
        return (
            f"Right where f is smooth; where {where}, at w = {w.tolist()}, its plane is above f at some "
            "points."
        )
    return None


def _svm_hint(g, w, A, t, mu):
    """The hint for a slope that is wrong where there is only one."""
    margins, n, d = t * (A @ w), len(t), len(w)
    costs, slope = margins < 1, mu * np.sign(w)
    hinge = -(t * costs) @ A / n
    wrong = [
        (-hinge + slope, "The sign of the hinge: it falls as the margin grows, so there is a minus."),
        (hinge * n + slope, "The mean over the words is missing: divide by n."),
        (hinge * n / d + slope, "It is divided by the number of weights. The mean is over the n words."),
        (
            hinge * n / max(costs.sum(), 1) + slope,
            "You divide by the words that cost something. The mean is over all n.",
        ),
        (hinge, "The penalty is missing."),
        (slope, "The hinge is missing."),
        (hinge - slope, "The sign of the penalty: it pulls toward 0, so its slope has the sign of w."),
        (hinge + np.sign(w), "The penalty is not multiplied by mu."),
        (hinge + slope / n, "The penalty is divided by n. It stands outside the mean."),
        (hinge + mu * w, "mu w is the slope of a squared penalty. That of |w| does not grow with w."),
        (hinge + 2 * mu * w, "2 mu w is the slope of a squared penalty. That of |w| does not grow with w."),
        (hinge + mu * np.abs(w), "You added mu |w| itself. Its slope is asked."),
        (hinge + mu, "The slope of |w| is +1 on the right of 0 and -1 on the left. Yours is +1 everywhere."),
        (-(costs @ A) / n + slope, "The labels are missing: a word of label -1 pulls the other way."),
        (
            -((A @ w < 1) @ A) / n + slope,
            "The labels are missing everywhere: the margin is t times the score, and a word of label -1 "
            "pulls the other way.",
        ),
        (
            -(t * (margins > 1)) @ A / n + slope,
            "You took the words with a margin above 1. Those cost nothing: take those below.",
        ),
        (
            -(t * (margins < 0)) @ A / n + slope,
            "You took the words that are wrong. Those that are right by less than 1 cost something, too.",
        ),
        (
            -(t * (A @ w < 1)) @ A / n + slope,
            "The margin is t times the score. You compared the score alone.",
        ),
        (-t @ A / n + slope, "All words pull in yours. Those with a margin above 1 are flat."),
        (-(t * costs * (1 - margins)) @ A / n + slope, "That has the cost as a factor. The slope is 1 or 0."),
        (-2 * (t * np.maximum(0, 1 - margins)) @ A / n + slope, "That is the slope of the squared hinge."),
        (-(hinge + slope), "The sign is turned: that is the direction of a step. Asked is the slope."),
        *(
            (
                -t[i] * A[i] / parts + slope,
                "That is the hinge of one word, as in a *stochastic* step. Asked is a *sub*gradient of f: "
                "the mean over all n words.",
            )
            for i in range(n)
            for parts in (1, n)
        ),
    ]
    for value, hint in wrong:
        if np.allclose(g, value, rtol=1e-7, atol=1e-9):
            return hint
    right = hinge + slope
    return f"At w = {_shown(w)} f is smooth, with the slope {_shown(right)}; yours is {_shown(g)}."


@exercise
def soft_threshold(answer):
    """`answer(w, tau)`: the entries of w moved toward 0 by tau, and not beyond."""
    rng = np.random.default_rng(0)
    cases = [
        (np.array([3.0, -2.5, 0.75, -0.5, 0.0, 1.0, -1.0]), 1.0),
        (np.array([0.3, -4.0, 0.1, -0.1, 0.0, 0.2]), 0.2),
        (2 * rng.normal(size=(2, 3)), 0.6),
        (np.array([0.5, -0.25, 0.0]), 0.0),  # nothing to move
        (np.array([0.5, -0.25, 0.0]), 9.0),  # all the way
        (np.array(-2.0), 0.5),
    ]
    outputs = []
    for w, tau in cases:
        mine = w.copy()
        try:
            with np.errstate(all="ignore"):
                given = answer(mine, tau)
        except (IndexError, TypeError, ValueError) as error:
            if w.ndim != 1:  # with one axis it could be used
                return (
                    "`w` may have two axes, or none; a loop over `w` sees rows. Use np.where, or a formula."
                )
            if "truth value" not in str(error):
                raise
            return (
                "It asks `if` of a whole array. Use np.where, or a formula, which take each entry by itself."
            )
        got = _reals(given)
        if not np.array_equal(mine, w):
            return "It changed the array that was given. A new one is asked."
        if isinstance(given, np.ndarray) and np.shares_memory(given, mine):
            return "That is the caller's own array, not a new one."
        if got.shape != w.shape:
            return f"The shape of w is {w.shape}; yours is {got.shape}."
        if np.isnan(got).any():
            return "It says NaN where an entry is 0. A 0 stays 0."
        outputs.append([got])

    def rule(formula):
        return lambda w, tau: [formula(w, tau)]

    right = rule(lambda w, tau: np.sign(w) * np.maximum(np.abs(w) - tau, 0))
    wrong = [
        (
            rule(lambda w, tau: np.where(np.abs(w) > tau, w, 0)),
            "That is hard thresholding: the small ones become 0 and the others stay. Those move by tau, too.",
        ),
        (
            rule(lambda w, tau: np.where(np.abs(w) >= tau, w, 0)),
            "That is hard thresholding: the small ones become 0 and the others stay. Those move by tau, too.",
        ),
        (rule(lambda w, tau: np.maximum(np.abs(w) - tau, 0)), "The signs are lost: -3 has to stay negative."),
        (
            rule(lambda w, tau: w - tau * np.sign(w)),
            "An entry closer to 0 than tau went past it, to the other side. It has to stop at 0.",
        ),
        (
            rule(lambda w, tau: np.sign(w) * np.abs(np.abs(w) - tau)),
            "An entry closer to 0 than tau comes back out. It has to stop at 0.",
        ),
        (
            rule(lambda w, tau: w - tau),
            "All entries moved down. The negative ones have to move up, toward 0.",
        ),
        (
            rule(lambda w, tau: np.maximum(w - tau, 0)),
            "The negative entries became 0. They move up by tau.",
        ),
        (
            rule(lambda w, tau: np.where(w > 0, np.maximum(w - tau, 0), w)),
            "Only the positive entries moved.",
        ),
        (
            rule(lambda w, tau: np.where(w > tau, w - tau, np.where(w < tau, w + tau, 0))),
            "A minus sign is lost: up by tau move the entries below -tau. Those between -tau and tau "
            "become 0.",
        ),
        (
            rule(lambda w, tau: w * max(1 - tau / np.linalg.norm(w), 0)),
            "The whole vector was shrunk by its norm. Each entry moves by tau, whatever the others are.",
        ),
        (
            rule(lambda w, tau: w * (1 - tau / np.linalg.norm(w))),
            "The whole vector was shrunk by its norm. Each entry moves by tau, whatever the others are.",
        ),
        (rule(lambda w, tau: w + tau * np.sign(w)), "They moved away from 0."),
        (
            rule(lambda w, tau: np.clip(w, -tau, tau)),
            "That cuts the entries at tau: it is the part that is to be taken off. Subtract it from w.",
        ),
        (
            rule(lambda w, tau: w * max(1 - tau, 0)),
            "All were multiplied by 1 - tau. They move by tau, all alike.",
        ),
        (rule(lambda w, tau: w * (1 - tau)), "All were multiplied by 1 - tau. They move by tau, all alike."),
        (
            rule(lambda w, tau: w / (1 + tau)),
            "That is the step for a squared penalty, which shrinks by a factor. |u| moves all by tau alike.",
        ),
        (
            rule(lambda w, tau: np.sign(w) * np.maximum(np.abs(w) - tau / 2, 0)),
            "They moved by tau/2.",
        ),
        (
            rule(lambda w, tau: np.sign(w) * np.maximum(np.abs(w) - 2 * tau, 0)),
            "They moved by 2 tau.",
        ),
        (
            rule(lambda w, tau: np.sign(w) * np.maximum(np.abs(w), tau)),
            "Small entries were raised to tau. Subtract tau, and take the larger of that and 0.",
        ),
        (rule(lambda w, tau: w.copy()), "Nothing moved."),
    ]

    def otherwise(k):
        w, tau = cases[k]
        return (
            f"For w = {_shown(w)} and tau = {tau:g} it is {_shown(right(w, tau)[0])}; yours is "
            f"{_shown(outputs[k][0])}."
        )

    return _mistake(cases, outputs, right, wrong, otherwise)


def _adam(
    mean=lambda m, g, b: b * m + (1 - b) * g,
    square=lambda v, g, b: b * v + (1 - b) * g**2,
    correct=lambda m, v, b1, b2, k: (m / (1 - b1**k), v / (1 - b2**k)),
    divide=lambda m, v, eps: m / (np.sqrt(v) + eps),
    result=lambda theta, lr, step: theta - lr * step,
    keep=lambda m, v, corrected: (m, v),
):
    """Adam's step with one of its parts replaced."""

    def rule(theta, g, m, v, k, lr, b1, b2, eps):
        m, v = mean(m, g, b1), square(v, g, b2)
        corrected = correct(m, v, b1, b2, np.float64(k))
        return [result(theta, lr, divide(*corrected, eps)), *keep(m, v, corrected)]

    return rule


@exercise
def adam_step(answer):
    """`answer(theta, g, m, v, k, lr, beta1, beta2, eps)`: the new theta, m and v of one step of Adam."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 2, 3))
    cases = [
        (np.array([1.0, -2.0]), np.array([3.0, -0.5]), np.zeros(2), np.zeros(2), 1, 0.4, 0.8, 0.95, 0.25),
        (
            np.array([0.3, 4.0]),
            np.array([-2.0, 0.7]),
            np.array([0.6, -0.1]),
            np.array([0.4, 0.02]),
            2,
            0.1,
            0.8,
            0.95,
            0.125,
        ),
        (x[0], x[1], x[2], x[3] ** 2, 7, 0.2, 0.9, 0.99, 0.01),
        (np.array([2.0, 5.0]), np.array([0.0, 1.0]), np.zeros(2), np.zeros(2), 1, 0.5, 0.9, 0.999, 1e-3),
        (np.array(1.5), np.array(-3.0), np.array(0.2), np.array(0.9), 400, 0.01, 0.9, 0.999, 0.5),
    ]
    names, outputs = ("theta", "m", "v"), []
    for case in cases:
        mine = [a.copy() for a in case[:4]]
        with np.errstate(all="ignore"):
            given = answer(*mine, *case[4:])
        for name, a, before in zip(("theta", "g", "m", "v"), mine, case[:4], strict=True):
            if not np.array_equal(a, before):
                return f"It changed the array `{name}` that was given. Write {name} = ..., not {name} += ..."
        if given is None:
            return "It returns nothing; is there a `return`?"
        if not isinstance(given, tuple | list) or len(given) != 3:
            return "Three arrays are asked, in a tuple: theta, m, v."
        got = [_reals(a) for a in given]
        for name, a, new in zip(names, got, given, strict=True):
            if a.shape != case[0].shape:
                return f"The new {name} should have the shape {case[0].shape}; yours has {a.shape}."
            if isinstance(new, np.ndarray) and any(np.shares_memory(new, old) for old in mine):
                return f"The {name} that it returns is an array that was given, not a new one."
        outputs.append(got)
    right = _adam()
    wrong = [
        (
            _adam(correct=lambda m, v, b1, b2, k: (m, v)),
            "The correction is missing: divide m by 1 - beta1**k and v by 1 - beta2**k before the step.",
        ),
        (
            _adam(correct=lambda m, v, b1, b2, k: (m / (1 - b1**k), v)),
            "m is corrected, v is not. Both started at 0.",
        ),
        (
            _adam(correct=lambda m, v, b1, b2, k: (m, v / (1 - b2**k))),
            "v is corrected, m is not. Both started at 0.",
        ),
        (
            _adam(correct=lambda m, v, b1, b2, k: (m / (1 - b1 ** (k - 1)), v / (1 - b2 ** (k - 1)))),
            "The correction counts the steps from 0. `k` is 1 in the first step: use it as it is.",
        ),
        (
            _adam(correct=lambda m, v, b1, b2, k: (m / (1 - b1 ** (k + 1)), v / (1 - b2 ** (k + 1)))),
            "The correction uses k + 1. `k` is 1 in the first step already.",
        ),
        (
            _adam(correct=lambda m, v, b1, b2, k: (m / (1 - b1), v / (1 - b2))),
            "You divide by 1 - beta. The power k is missing, which makes the correction fade.",
        ),
        (
            _adam(correct=lambda m, v, b1, b2, k: (m / (1 - b1 * k), v / (1 - b2 * k))),
            "You divide by 1 - beta * k. It is beta to the *power* k.",
        ),
        (
            _adam(correct=lambda m, v, b1, b2, k: (m * (1 - b1**k), v * (1 - b2**k))),
            "You multiply by 1 - beta**k. The memories are too small: divide.",
        ),
        (
            _adam(correct=lambda m, v, b1, b2, k: (m / (1 - b1**k) ** 2, v / (1 - b2**k) ** 2)),
            "It is corrected twice.",
        ),
        (
            _adam(correct=lambda m, v, b1, b2, k: (m / (1 - b1**k) ** 2, v / (1 - b2**k))),
            "m is corrected twice.",
        ),
        (
            _adam(correct=lambda m, v, b1, b2, k: (m / (1 - b2**k), v / (1 - b1**k))),
            "The corrections are exchanged: beta1 belongs to m, beta2 to v.",
        ),
        (
            _adam(divide=lambda m, v, eps: m / np.sqrt(v + eps)),
            "eps is inside the root. It is added after it.",
        ),
        (_adam(divide=lambda m, v, eps: m / np.sqrt(v)), "eps is missing: a gradient of 0 is divided by 0."),
        (
            _adam(divide=lambda m, v, eps: m / (np.sqrt(v) + 1e-8)),
            "eps is missing, or not the one that was given.",
        ),
        (
            _adam(correct=lambda m, v, b1, b2, k: (m / (1 - b1**k), v / (1 - b2**k) ** 2)),
            "The root of v is divided by 1 - beta2**k, or v is corrected twice. v is corrected first, once, "
            "and then comes the root.",
        ),
        (
            _adam(correct=lambda m, v, b1, b2, k: (m / (1 - b1**k) * np.sqrt(1 - b2**k), v)),
            "eps is added to the uncorrected root, as in the form with both corrections folded into the step "
            "size. Correct v, take the root, and then add eps.",
        ),
        (_adam(divide=lambda m, v, eps: m / (v + eps)), "The root is missing: divide by the root of v."),
        (_adam(divide=lambda m, v, eps: m / np.sqrt(v) + eps), "eps is added to the fraction: parentheses."),
        (_adam(divide=lambda m, v, eps: np.sqrt(v) / (m + eps)), "The fraction is upside down."),
        (
            _adam(keep=lambda m, v, corrected: corrected),
            "You return the corrected m and v. The next step needs "
            "the uncorrected ones, or they are corrected twice.",
        ),
        (
            _adam(keep=lambda m, v, corrected: (corrected[0], v)),
            "You return the corrected m. The next step needs the uncorrected one.",
        ),
        (
            _adam(keep=lambda m, v, corrected: (m, corrected[1])),
            "You return the corrected v. The next step needs the uncorrected one.",
        ),
        (_adam(square=lambda v, g, b: b * v + (1 - b) * g), "v is the mean of g². You put g into it."),
        (
            _adam(square=lambda v, g, b: b * v + (1 - b) * np.abs(g)),
            "v is the mean of g². You put |g| into it.",
        ),
        (
            _adam(square=lambda v, g, b: b * v + (1 - b) ** 2 * g**2),
            "In v you squared 1 - beta2 together with g.",
        ),
        (
            _adam(mean=lambda m, g, b: (1 - b) * m + b * g, square=lambda v, g, b: (1 - b) * v + b * g**2),
            "beta and 1 - beta are exchanged: beta keeps the old, and 1 - beta lets the new in.",
        ),
        (
            _adam(mean=lambda m, g, b: b * m + g, square=lambda v, g, b: b * v + g**2),
            "The factor 1 - beta of the new gradient is missing.",
        ),
        (_adam(mean=lambda m, g, b: b * m + g), "In m the factor 1 - beta1 of the new gradient is missing."),
        (_adam(square=lambda v, g, b: b * v + g**2), "In v the factor 1 - beta2 of the square is missing."),
        (_adam(result=lambda theta, lr, step: theta + lr * step), "The sign: it goes up. Subtract the step."),
        (_adam(result=lambda theta, lr, step: theta - step), "The step is not multiplied by lr."),
        *(
            (
                _adam(result=lambda theta, lr, step, always=always: theta - always * step),
                f"The step size is {always:g} in yours, whatever `lr` was given.",
            )
            for always in (0.1, 0.01, 0.001, 3e-4, 1e-4)
        ),
        (_adam(result=lambda theta, lr, step: lr * step), "You return the step. Asked is the new theta."),
        (_adam(result=lambda theta, lr, step: -lr * step), "You return the step. Asked is the new theta."),
        (
            lambda theta, g, m, v, k, lr, b1, b2, eps: right(theta, g, m, v, k, lr, b2, b1, eps),
            "The betas are exchanged: beta1 belongs to m, beta2 to v.",
        ),
        (
            lambda theta, g, m, v, k, lr, b1, b2, eps: [
                theta - lr * g / (np.sqrt(right(theta, g, m, v, k, lr, b1, b2, eps)[2] / (1 - b2**k)) + eps),
                *right(theta, g, m, v, k, lr, b1, b2, eps)[1:],
            ],
            "The step takes g where the corrected m belongs.",
        ),
        (
            lambda theta, g, m, v, k, lr, b1, b2, eps: [
                theta - lr * (m / (1 - b1**k)) / (np.sqrt(v / (1 - b2**k)) + eps),
                *right(theta, g, m, v, k, lr, b1, b2, eps)[1:],
            ],
            "The step takes m and v as they were. First the gradient goes into both.",
        ),
        (
            lambda theta, g, m, v, k, lr, b1, b2, eps: _adam(
                square=lambda v, _, b: b * v + (1 - b) * (b1 * m + (1 - b1) * g) ** 2
            )(theta, g, m, v, k, lr, b1, b2, eps),
            "v takes the square of the new m. It is the gradient that is squared.",
        ),
        (
            lambda *case: [right(*case)[i] for i in (1, 2, 0)],
            "The three are right, in another order: theta, m, v.",
        ),
        (
            lambda *case: [right(*case)[i] for i in (0, 2, 1)],
            "m and v are exchanged in what it returns: theta, m, v.",
        ),
    ]

    def otherwise(k):
        true = right(*cases[k])
        j = next(j for j in (1, 2, 0) if not np.allclose(outputs[k][j], true[j], rtol=1e-5, atol=1e-9))
        return (
            f"In case {k + 1}, step {cases[k][4]}, the new {names[j]} should be {_shown(true[j])}; "
            f"yours is {_shown(outputs[k][j])}."
        )

    return _mistake(cases, outputs, right, wrong, otherwise)


_ONE_ANGLE = "There is 1 angle here; yours assumes 3."


class _Circuit:
    """A function that is a sine wave of each of its angles, and remembers where it was asked."""

    def __init__(self, d, rng):
        self.a, self.b, self.c = rng.normal(size=(3, d)) + [[2.0], [0.5], [-0.5]]
        self.asked, self.hint, self.given = [], None, None

    def __call__(self, angles):
        if np.iscomplexobj(angles):
            self.hint = "It asks for a complex angle. A gate cannot be turned by one: use the shift."
        elif self.a.shape == (1,) and np.shape(angles) == (3,):  # the 3 of the first case
            self.hint = _ONE_ANGLE
        elif np.shape(angles) != self.a.shape:
            self.hint = f"`f` takes an array of all {len(self.a)} angles; its shape was {np.shape(angles)}."
        if self.hint:
            raise ValueError(self.hint)
        if isinstance(angles, np.ndarray) and np.shares_memory(angles, self.given[0]):
            if not np.array_equal(angles, self.given[1]):
                self.hint = "It changed `angles` for a call of f, and not a copy of them."
        self.asked.append(np.array(angles, dtype=float))
        return float(self.value(self.asked[-1]))

    def value(self, angles):
        return np.prod(self.a + self.b * np.cos(angles) + self.c * np.sin(angles))

    def slope(self, angles, rule):
        """The gradient by a rule for one angle, which may be asked for at any angle."""
        d = len(angles)

        def along(j):
            return lambda by: self.value(angles + by * np.eye(d)[j])

        return np.array([rule(along(j)) for j in range(d)])

    def true(self, angles):
        waves = self.a + self.b * np.cos(angles) + self.c * np.sin(angles)
        slopes = -self.b * np.sin(angles) + self.c * np.cos(angles)
        return np.array([slopes[j] * np.prod(np.delete(waves, j)) for j in range(len(angles))])


@exercise
def circuit_slope(answer):
    """`answer(f, angles)`: the gradient by the parameter-shift rule, with two calls an angle."""
    rng = np.random.default_rng(0)
    quarter = np.pi / 2
    wrong = [
        (lambda f: f(quarter) - f(-quarter), "It is twice the slope: the half is missing."),
        (lambda f: (f(-quarter) - f(quarter)) / 2, "The sign is turned: plus first, then minus."),
        (
            lambda f: (f(quarter) - f(-quarter)) / np.pi,
            "You divide by the distance of the two points, as in a difference quotient. The rule divides by "
            "2.",
        ),
        (
            lambda f: (f(quarter) - f(-quarter)) / quarter,
            "You divide by pi/2, the shift. The rule divides by 2.",
        ),
        (
            lambda f: (f(np.pi) - f(-np.pi)) / 2,
            "You go half a turn to either side, and come to the same place twice (a quarter turn is pi/2), "
            "or a and b are one array: `a = angles` makes no copy.",
        ),
        (lambda f: (f(np.pi / 4) - f(-np.pi / 4)) / 2, "You go an eighth of a turn. A quarter turn is pi/2."),
        (lambda f: (f(90) - f(-90)) / 2, "The angles are in radians. A quarter turn is pi/2, not 90."),
        (lambda f: (f(1) - f(-1)) / 2, "You go by 1. A quarter turn is pi/2."),
        (
            lambda f: f(quarter) - f(0),
            "You compare with the point itself. Go a quarter turn to *either* side.",
        ),
        (lambda f: (f(quarter) - f(0)) / 2, "You compare with the point itself. Go to *either* side."),
        (
            lambda f: (f(quarter) + f(-quarter)) / 2,
            "You take the mean of the two. Their difference is asked.",
        ),
        (lambda f: f(quarter) + f(-quarter), "You add the two. Their difference is asked."),
    ]
    for d in (3, 1, 4):
        circuit, angles = _Circuit(d, rng), rng.uniform(-2, 2, d)
        mine = angles.copy()
        circuit.given = mine, angles

        def f(at, circuit=circuit):
            return circuit(at)

        try:
            got = answer(f, mine)
        except ValueError:
            if circuit.hint:
                return circuit.hint
            raise
        except IndexError:
            if d == 1:  # with 3 angles it could be used
                return _ONE_ANGLE
            raise
        if circuit.hint:
            return circuit.hint
        if not np.array_equal(mine, angles):
            return "It changed `angles`. Work on a copy, or add a shift."
        got = _reals(got)
        if got.shape == ():
            return "That is one number. A gradient has an entry for each angle: turn one at a time."
        if d == 1 and got.shape == (3,):
            return _ONE_ANGLE
        if got.shape != (d,):
            return f"For {d} angles an array of shape {(d,)} is asked; yours has {got.shape}."
        calls, true = len(circuit.asked), circuit.true(angles)
        if calls > 2 * d:
            return f"`f` was called {calls} times for {d} angles. Two for each are enough."
        if np.allclose(got, true, rtol=0, atol=1e-12):  # a difference quotient is never so close
            continue
        for rule, hint in wrong:
            if np.allclose(got, circuit.slope(angles, rule), rtol=0, atol=1e-9):
                return hint
        if d > 1 and calls and all(np.all(at != angles) for at in circuit.asked):
            return "You turn all angles at once. Turn one, and leave the others where they are."
        if np.allclose(got, true, rtol=0.02, atol=0.02):
            return (
                "Nearly: that is a difference quotient. The rule is exact, and its step is large, a quarter "
                "turn."
            )
        return (
            f"At {_shown(angles, 3)} the slope of a test function is {_shown(true)}; yours is {_shown(got)}."
        )
    return None


@exercise
def saga_direction(answer):
    """`answer(new, i, table)`: the direction of SAGA's step; `new` goes into the table, in place."""
    rng = np.random.default_rng(0)
    cases, outputs = [], []
    for n, d, picks in ((4, 3, (2, 0, 2)), (7, 1, (6,)), (3, 5, (1, 1))):
        table = rng.normal(size=(n, d)) + 1
        for i in picks:
            new = rng.normal(size=d)
            given, mine = new.copy(), table.copy()
            got = answer(given, i, mine)
            if not np.array_equal(given, new):
                return "It changed `new`. Compute the direction into a new array."
            if isinstance(got, tuple):
                return "It returns several things. The table is changed in place; return the direction alone."
            kept, got = got, _reals(got)
            if got.shape != (d,):
                return f"The direction has an entry for each weight, shape {(d,)}; yours has {got.shape}."
            if isinstance(kept, np.ndarray) and (
                np.shares_memory(kept, mine) or np.shares_memory(kept, given)
            ):
                return (
                    "The direction is a view of the table or of `new`, and will change with it. A new array "
                    "is asked."
                )
            cases.append((new, i, table))
            outputs.append((got.copy(), mine))
            table = table.copy()
            table[i] = new

    def rule(formula):
        return lambda new, i, table: [formula(new, table[i], table.mean(axis=0), len(table))]

    wrong = [
        (
            rule(lambda g, old, mean, n: g - old + mean + (g - old) / n),
            "The mean is that of the table *after* `new` went in. First the direction, then the table.",
        ),
        (
            rule(lambda g, old, mean, n: mean + (g - old) / n),
            "Either `new` went into the table first, and is subtracted from itself; or the difference was "
            "divided by n, which is SAG, and biased.",
        ),
        (
            rule(lambda g, old, mean, n: mean),
            "new - table[i] came out as 0: table[i] is a view, and was overwritten before it was subtracted.",
        ),
        (
            rule(lambda g, old, mean, n: g - old),
            "The mean of the table is missing: the old gradient is taken "
            "off, and on average it has to come back.",
        ),
        (rule(lambda g, old, mean, n: g + mean), "The old gradient of example i is not subtracted."),
        (
            rule(lambda g, old, mean, n: g - mean),
            "table[i] is missing. It is the old gradient of example i that is subtracted; the mean is added.",
        ),
        (
            rule(lambda g, old, mean, n: g - old + n * mean / (n - 1)),
            "The sum of the table is divided by n - 1. Its mean is the sum over n.",
        ),
        (rule(lambda g, old, mean, n: g), "That is plain stochastic descent. The memory is not used."),
        (rule(lambda g, old, mean, n: g + old - mean), "The signs: minus the old gradient, plus the mean."),
        (rule(lambda g, old, mean, n: g - old - mean), "The sign of the mean: it is added."),
        (rule(lambda g, old, mean, n: g + old + mean), "The sign of the old gradient: it is subtracted."),
        (rule(lambda g, old, mean, n: old - g + mean), "The difference is turned: new minus old."),
        (
            rule(lambda g, old, mean, n: -(g - old + mean)),
            "The sign is turned. Asked is the direction that a step subtracts.",
        ),
        (
            rule(lambda g, old, mean, n: g - old + n * mean),
            "You added the sum of the table. Its mean is asked.",
        ),
        (
            rule(lambda g, old, mean, n: g - old + (n * mean - old) / (n - 1)),
            "Your mean leaves example i out. It is that of the whole table.",
        ),
        (
            lambda new, i, table: [new - table[i] + table.mean()],
            "The mean of all numbers of the table is one number. Take it over the examples: axis=0.",
        ),
        (
            lambda new, i, table: [new - table[i - 1] + table.mean(axis=0)],
            "It subtracts another row: examples count from 0.",
        ),
    ]

    def right(new, i, table):
        return [new - table[i] + table.mean(axis=0)]

    def otherwise(k):
        new, i, table = cases[k]
        return (
            f"For new = {_shown(new, 3)}, i = {i} and the table {_shown(table, 3)} it is "
            f"{_shown(right(*cases[k])[0], 3)}; yours is {_shown(outputs[k][0], 3)}."
        )

    hint = _mistake(cases, [[direction] for direction, _ in outputs], right, wrong, otherwise)
    if hint:
        return hint

    def filled(new, i, table):
        return [np.where(np.arange(len(table))[:, None] == i, new, table)]

    wrong = [
        (
            lambda new, i, table: [table],
            "The direction is right, and the table is as it was. Put `new` into it: table[i] = new, not into "
            "a copy.",
        ),
        (
            lambda new, i, table: [filled(new + table[i], i, table)[0]],
            "`new` was added to the row. It takes the place of what was there.",
        ),
        (
            lambda new, i, table: [filled(new - table[i] + table.mean(axis=0), i, table)[0]],
            "You put the direction into the table. It holds gradients: put `new` there.",
        ),
        (
            lambda new, i, table: [np.broadcast_to(new, table.shape)],
            "All rows became `new`. Only row i does.",
        ),
        (
            lambda new, i, table: [filled(new, (i + 1) % len(table), table)[0]],
            "`new` went into another row.",
        ),
    ]
    return _mistake(
        cases,
        [[table] for _, table in outputs],
        filled,
        wrong,
        lambda k: "The direction is right; the table is not. Row i becomes `new`, all other rows stay.",
    )


_NAN, _LOST = math.nan, math.inf

# For each rule and step size: the scores of the tuning seeds, and those of the fresh seeds.
_DUEL = {
    "quick": {
        1.0: ([0.1, 9.0, 0.9], [0.5, 0.5]),  # the best single run
        0.1: ([0.6, 0.7, 8.0], [1.0, 2.0]),  # the lowest median, 0.7
        0.01: ([1.5, 1.4, 1.6], [0.2, 0.1]),  # the lowest mean, and the best fresh scores
        3.0: ([1.55, 1.55, 1.55], [9.0, 9.0]),  # the lowest worst
    },
    "steady": {
        1.0: ([_NAN, 0.3, _NAN], [0.1, 0.1]),  # two of three are lost
        0.1: ([3.0, 4.0, 5.0], [3.0, 2.5]),  # as good as the next, and the larger step
        0.01: ([4.0, 4.0, 4.0], [2.5, 2.25]),
        3.0: ([9.0, 9.0, 9.0], [9.0, 9.0]),
    },
    "frail": {
        1.0: ([_LOST, 2.0, 2.5], [4.0, 4.5]),  # one run is lost, and the median is the lowest
        0.1: ([1.9, 3.0, 3.5], [4.5, 0.3]),  # the best single run
        0.01: ([_NAN, _NAN, _NAN], [0.2, 0.2]),
        3.0: ([9.0, 9.0, 9.0], [9.0, 9.0]),
    },
}
_MIXED = {  # four ways to win, and none is clear
    "low worst": {0.3: ([1.0], [4.0, 4.0, 4.0])},
    "low median": {0.3: ([1.0], [2.5, 9.0, 2.5])},
    "low mean": {0.3: ([1.0], [3.0, 4.5, 3.0])},
    "low best": {0.3: ([1.0], [8.0, 1.0, 8.0])},
}
_CLOSE = {
    "right": {
        0.5: ([2.0, _LOST, 2.0, 2.0], [3.0, 5.0, 4.0]),
        0.2: ([_LOST, _NAN, 1.0, 0.5], [7.0, 7.0, 7.0]),
    },
    "left": {0.5: ([1.0, 1.0, 2.0, 2.0], [2.0, 1.0, 3.0]), 0.2: ([3.0, 1.0, 1.0, 3.0], [0.1, 0.1, 0.1])},
}
_EVEN = {  # an even number of tuning seeds; A is clearly better than B, and not than C
    "A": {0.4: ([2.0, 9.0, 1.0, 6.0], [4.0, 4.0]), 0.2: ([5.0, 5.0, 5.0, 5.0], [9.0, 9.0])},
    "B": {0.4: ([7.0, 2.0, 6.0, 1.0], [9.0, 9.0]), 0.2: ([3.0, 4.0, 3.0, 4.0], [4.5, 5.0])},
    "C": {0.4: ([2.0, 2.0, 2.0, 2.0], [1.0, 9.0]), 0.2: ([3.0, 3.0, 3.0, 3.0], [9.0, 9.0])},
}
_LOSSES = {
    "a": {0.3: ([_NAN, _LOST], [_NAN, 1.0]), 0.1: ([_LOST, _LOST], [_NAN, 2.0])},
    "b": {0.3: ([5.0, 6.0], [5.0, 6.0]), 0.1: ([5.0, 7.0], [4.0, _NAN])},
}
_LAST = {"a": {0.3: ([2.0], [8.0, _NAN])}, "b": {0.3: ([2.0], [9.0, 7.0])}, "c": {0.3: ([1.0], [6.0, 6.5])}}


class _Train:
    """The function `train` of the exercise: scores from a table, and a list of all calls."""

    def __init__(self, scores, tuning, fresh):
        self.scores, self.tuning, self.fresh, self.calls, self.hint = scores, tuning, fresh, [], None

    def __call__(self, rule, lr, seed):
        if not (isinstance(rule, str) and rule in self.scores):
            self.hint = f"`train` was called with {rule!r} for the rule: train(rule, lr, seed)."
        elif isinstance(lr, str) or lr not in self.scores[rule]:
            self.hint = f"`train` was called with {lr!r} for the step size, which is none of `lrs`."
        elif seed not in self.tuning + self.fresh:
            self.hint = (
                f"`train` was called with the seed {seed!r}, which is neither a tuning nor a fresh seed."
            )
        if self.hint:
            raise ValueError(self.hint)
        self.calls.append((rule, lr, seed))
        tried, judged = self.scores[rule][lr]
        return tried[self.tuning.index(seed)] if seed in self.tuning else judged[self.fresh.index(seed)]


def _finite(values):
    return [_LOST if math.isnan(value) else value for value in values]


def _choose(steps, typical, last=False):
    """The step size with the lowest `typical` score, the smaller of equal ones."""
    return min(sorted(steps, reverse=last), key=lambda lr: typical(steps[lr][0]))


def _winner(fresh, clear):
    return next(
        (r for r in fresh if all(clear(fresh[r], fresh[other]) for other in fresh if other != r)), None
    )


@exercise
def fair_comparison(answer):
    """`answer(train, rules, lrs, tuning_seeds, fresh_seeds)`: the fresh scores, and the clear winner."""
    for scores, lrs, tuning, fresh in (
        (_DUEL, [1.0, 0.1, 0.01, 3.0], [0, 1, 2], [10, 11]),
        (_MIXED, [0.3], [12], [13, 15, 14]),
        (_EVEN, [0.4, 0.2], [0, 1, 2, 3], [8, 9]),
        (_CLOSE, [0.5, 0.2], [3, 4, 5, 6], [2, 1, 0]),
        (_LOSSES, [0.1, 0.3], [7, 8], [20, 30]),
        (_LAST, [0.3], [1], [5, 4]),
    ):
        with np.errstate(all="ignore"):
            hint = _compare(answer, scores, lrs, tuning, fresh)
        if hint:
            return hint
    return None


def _compare(answer, scores, lrs, tuning, fresh):
    table, rules = _Train(scores, tuning, fresh), list(scores)

    def train(rule, lr, seed):
        return table(rule, lr, seed)

    given = rules.copy(), lrs.copy(), tuple(tuning), tuple(fresh)
    try:
        got = answer(train, *given)
    except ValueError:
        if table.hint:
            return table.hint
        raise
    if table.hint:
        return table.hint
    if given[:2] != (rules, lrs):
        return "It changed the list of rules or of step sizes. `sorted` makes a new list."
    if got is None:
        return "It returns nothing; is there a `return`?"
    if not isinstance(got, tuple | list) or len(got) != 2:
        return "Two things are asked, in a tuple: the dictionary of fresh scores, and the winner."
    if isinstance(got[1], dict):
        return "First the dictionary, then the winner."
    found, winner = got
    if not isinstance(found, dict) or set(found) != set(rules):
        return f"The first is a dictionary with an entry for each rule: {rules}."
    chosen = {rule: _choose(steps, lambda tried: np.median(_finite(tried))) for rule, steps in scores.items()}
    hint = _tries(table, chosen)
    if hint:
        return hint
    true = {rule: _finite(scores[rule][lr][1]) for rule, lr in chosen.items()}
    for rule in rules:
        hint = _scores_hint(rule, found[rule], true[rule], scores[rule], chosen[rule], tuning, fresh)
        if hint:
            return hint
    return _winner_hint(winner, true)


def _tries(table, chosen):
    """A hint about how often `train` was called, and with which of the seeds."""
    tuning, fresh, picked = table.tuning, table.fresh, {}
    for rule, steps in table.scores.items():
        calls = [call[1:] for call in table.calls if call[0] == rule]
        if any((lr, seed) not in calls for lr in steps for seed in tuning):
            left = sum((lr, seed) not in calls for lr in steps for seed in tuning)
            return (
                f"{rule!r} got fewer tries: {left} of {len(steps) * len(tuning)} pairs of a step size and a "
                "tuning seed were not trained. All rules get the same."
            )
        judged = [lr for lr, seed in calls if seed in fresh]
        if not judged:
            return (
                f"{rule!r} was never trained with a fresh seed. The seeds that choose must not be those that "
                "judge."
            )
        if len(set(judged)) > 1:
            return (
                f"{rule!r} was trained with several step sizes on the fresh seeds. Choose by the tuning "
                "seeds, and then judge the chosen one alone."
            )
        if any((judged[0], seed) not in calls for seed in fresh):
            return f"{rule!r} was not trained with each of the fresh seeds."
        if len(set(calls)) < len(calls):
            return f"{rule!r} was trained more than once with the same step size and seed. Keep the score."
        picked[rule] = judged[0]
    return None if picked == chosen else _choice_hint(picked, table.scores, chosen)


def _choice_hint(picked, scores, chosen):
    """Why wrong step sizes may have been chosen: what explains all of them goes before what explains one."""

    def by(rule, typical, last=False):
        return _choose(scores[rule], lambda tried: typical(_finite(tried)), last)

    rule = next(rule for rule in scores if picked[rule] != chosen[rule])
    lr, right = picked[rule], chosen[rule]
    tried = {step: pair[0] for step, pair in scores[rule].items()}
    same = f"For {rule!r} the steps {lr:g} and {right:g} have the same median. Then the smaller one is asked."
    other = [
        (
            lambda values: sorted(values)[(len(values) - 1) // 2],
            "the lowest *lower* median. The median of an even number is the mean of the two in the middle",
        ),
        (
            lambda values: sorted(values)[len(values) // 2],
            "the lowest *upper* median. The median of an even number is the mean of the two in the middle",
        ),
        (np.mean, "the lowest mean. One run, lost or lucky, moves a mean: the median is asked"),
        (max, "the lowest worst score. One lost run decides it: the median is asked"),
        (min, "the best single run. That is luck: the median is asked"),
        (lambda values: -np.median(values), "the highest median. Lower scores are better"),
    ]
    if all(picked[r] == by(r, np.median, True) for r in scores):
        return same
    for typical, hint in other:
        if all(picked[r] == by(r, typical) for r in scores):
            return f"For {rule!r} it chose the step {lr:g}, which has {hint}."
    if len(set(picked.values())) == 1:
        return f"It chose the step {lr:g} for all rules together. Each rule gets its own best one."
    if lr == by(rule, np.median, True):
        return same
    if any(map(math.isnan, tried[lr])):
        return (
            f"For {rule!r} it chose the step {lr:g}, with the scores {tried[lr]}. NaN is a lost run and "
            "counts as inf; left out, or compared as it is, it can win."
        )
    for typical, hint in other:
        if lr == by(rule, typical):
            return f"For {rule!r} it chose the step {lr:g}, which has {hint}."
    return f"For {rule!r} it chose the step {lr:g}; the lowest median of {tried} has {right:g}."


def _scores_hint(rule, given, true, steps, lr, tuning, fresh):
    """A hint about the list of fresh scores of one rule."""
    if given is None or isinstance(given, str | dict):
        return f"For {rule!r} a list of {len(fresh)} scores is asked, one for each fresh seed."
    values = _reals(given)
    if values.shape == ():
        if values == lr:
            return f"For {rule!r} it gives the step size. The scores with it are asked."
        return f"For {rule!r} it gives one number. All {len(fresh)} fresh scores are asked, in a list."
    if values.shape != (len(fresh),):
        if values.size == len(fresh) + len(tuning):
            return f"The list of {rule!r} holds the tuning scores, too. They have done their work."
        return f"For {rule!r} a list of {len(fresh)} scores is asked; yours has shape {values.shape}."
    if np.isnan(values).any():
        return f"The list of {rule!r} holds NaN. A lost run is to stand there as inf."
    if np.allclose(values, true):
        return None
    if np.allclose(np.sort(values), np.sort(true)):
        return f"The scores of {rule!r} are in another order than the fresh seeds."
    return f"The fresh scores of {rule!r} are {true}; yours are {values.tolist()}."


def _winner_hint(winner, fresh):
    """A hint about the name of the winner, with the right scores in hand."""
    right = _winner(fresh, lambda mine, other: max(mine) < min(other))
    if winner is None and right is None or isinstance(winner, str) and winner == right:
        return None
    if winner is not None and not (isinstance(winner, str) and winner in fresh):
        return f"The second is the name of a rule or None, and not {winner!r}."
    if winner is None:
        return (
            f"It found no winner where there is one: the worst of {right!r} is better than the best of all "
            f"others, in {fresh}."
        )
    for typical in (max, np.median):
        first, second = sorted(fresh, key=lambda rule, typical=typical: typical(fresh[rule]))[:2]
        if winner == first and max(fresh[first]) < min(fresh[second]):
            return (
                f"In {fresh} {winner!r} does not win: you compared it with the runner-up {second!r} alone. "
                "Its worst has to be lower than the best of *every* other."
            )
    for clear, hint in (
        (
            lambda mine, other: max(mine) <= min(other),
            "its worst only equals the best of another. It has to be lower",
        ),
        (
            lambda mine, other: max(mine) < max(other),
            "you compared worst with worst. The worst has to be lower than the *best* of every other",
        ),
        (
            lambda mine, other: np.median(mine) < np.median(other),
            "you compared medians. Its *worst* score has to be lower than the best of every other",
        ),
        (
            lambda mine, other: np.mean(mine) < np.mean(other),
            "you compared means. Its *worst* score has to be lower than the best of every other",
        ),
        (
            lambda mine, other: min(mine) < min(other),
            "you compared best with best, and that is luck. The *worst* "
            "has to be lower than the best of every other",
        ),
        (lambda mine, other: min(mine) > max(other), "it is the worst of all. Lower scores are better"),
    ):
        if winner == _winner(fresh, clear):
            return f"In {fresh} {winner!r} does not win: {hint}."
    return f"In {fresh} {winner!r} does not win; {right!r} would be right."
