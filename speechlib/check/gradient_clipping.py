"""Checks of the exercises of the chapter `gradient_clipping`."""

import math

import numpy as np

from ._exercise import Unanswered, exercise
from .cross_entropy import _numbers, _recognize

__all__ = ["clip_accumulated", "clip_angle", "clip_bias", "clip_bound", "clip_norm", "safe_step"]


def _length(*arrays):
    return math.sqrt(sum(np.sum(np.square(a)) for a in arrays))


def _mistake(cases, outputs, right, wrong, otherwise):
    """None if all outputs are right, the hint of the wrong rule that does the same, or the general hint.

    A rule that explains every case goes before one that explains the first wrong case alone.
    """

    def alike(got, rule, case):
        return all(
            np.allclose(a, b, rtol=1e-5, atol=1e-9, equal_nan=True)
            for a, b in zip(got, rule(*case), strict=True)
        )

    missed = [k for k, case in enumerate(cases) if not alike(outputs[k], right, case)]
    if not missed:
        return None
    with np.errstate(all="ignore"):
        for asked in (range(len(cases)), missed[:1]):
            for rule, hint in wrong:
                if all(alike(outputs[k], rule, cases[k]) for k in asked):
                    return hint
    return otherwise(missed[0])


@exercise
def clip_norm(answer):
    """`answer(grads, c)`: new arrays, all multiplied by one number, with a common norm of at most c."""
    rng = np.random.default_rng(0)
    drawn = [rng.normal(size=shape) for shape in ((3, 2), (4,), ())]
    cases = [
        ([np.array([[3.0, 0.0]]), np.array([4.0, 12.0])], 2.0),  # 13 long
        ([np.array([0.3, -0.4]), np.array([[1.2]])], 2.0),  # 1.3 long
        ([np.zeros((2, 2)), np.zeros(3)], 1.0),
        (drawn, 0.5 * _length(*drawn)),
        ([np.array([0.06, 0.08]), np.zeros(2)], 0.05),  # below 1 and too long
    ]
    outputs = []
    for grads, c in cases:
        mine = [g.copy() for g in grads]
        with np.errstate(all="ignore"):
            got = answer(mine, c)
        if got is None:
            return "It returns nothing; is there a `return`?"
        if len(mine) != len(grads) or not all(map(np.array_equal, mine, grads)):
            return (
                "It changed the arrays that were given. Multiply into new ones: g * factor, not g *= factor."
            )
        if got is mine:
            return "That is the caller's own list. A new one is asked."
        if not isinstance(got, list | tuple) or len(got) != len(grads):
            return f"A list of {len(grads)} arrays is asked, one for each that was given."
        got = [_numbers(g) for g in got]
        for g, new in zip(grads, got, strict=True):
            if g.shape != new.shape:
                return f"Each array keeps its shape: {g.shape} came out as {new.shape}."
        outputs.append(got)
    if any(np.isnan(g).any() for g in outputs[2]):
        return "For a gradient of zeros it says NaN: 0 is divided by 0. A gradient of length 0 has to stay 0."

    def scaled(factor):
        return lambda grads, c: [factor(_length(*grads), c) * g for g in grads]

    def other(measure):  # the same with another measure of length
        return lambda grads, c: [g * min(1.0, c / max(measure(grads), 1e-300)) for g in grads]

    def shrink(n, c):
        return c / n if n > c else 1.0

    wrong = [
        (
            lambda grads, c: [g * shrink(_length(g), c) for g in grads],
            "You shorten each array by itself, and the direction of the whole turns. Take one norm of all "
            "entries together, and one factor.",
        ),
        (
            scaled(lambda n, c: c / n if n else 0.0),
            "A gradient that is short already was made longer. The factor may not be above 1.",
        ),
        (
            lambda grads, c: [np.clip(g, -c, c) for g in grads],
            "That is clipping by value: it cuts each entry.",
        ),
        (
            other(lambda grads: _length(*grads) ** 2),
            "You divide by the square of the norm: the root of the sum of squares is missing.",
        ),
        (
            other(lambda grads: sum(map(_length, grads))),
            "The norms of the arrays were added. Add the squares.",
        ),
        (other(lambda grads: max(map(_length, grads))), "That is the norm of the longest array, not of all."),
        (
            other(lambda grads: sum(np.abs(g).sum() for g in grads)),
            "You added absolute values. The norm is the root of the sum of squares.",
        ),
        (
            other(lambda grads: max(np.abs(g).max() for g in grads)),
            "You measured by the largest entry alone.",
        ),
        (
            scaled(lambda n, c: 1 / n if n > c else 1.0),
            "Too long gradients come out with length 1. Asked is the length c.",
        ),
        (scaled(lambda n, c: 1.0), "Nothing was shortened: 13 stays 13 where 2 is allowed."),
        (scaled(lambda n, c: min(1.0, n / c)), "The factor is upside down: it is c over the norm."),
        (scaled(lambda n, c: -shrink(n, c)), "The sign is turned."),
    ]

    def otherwise(k):
        return (
            f"The arrays {[g.tolist() for g in cases[k][0]]} have the norm {_length(*cases[k][0]):.3g}; with "
            f"c = {cases[k][1]:.3g} yours come out with {_length(*outputs[k]):.3g}."
        )

    return _mistake(cases, outputs, scaled(shrink), wrong, otherwise)


@exercise
def clip_angle(answer):
    """`answer(g, c)`: the cosine between g and g clipped by value to c."""
    rng = np.random.default_rng(0)
    cases = [
        (np.array([3.0, -4.0, 0.5]), 1.0),
        (np.array([-0.2, 5.0, 0.1, -2.0]), 0.5),
        (np.array([[1.0, -6.0], [0.3, 2.0], [-3.0, 0.7]]), 1.5),
        (rng.normal(size=(2, 3, 2)), 0.3),
        (np.array([0.5, -0.25]), 1.0),  # nothing to cut
    ]
    outputs = []
    for g, c in cases:
        mine = g.copy()
        try:
            got = _numbers(answer(mine, c))
        except ValueError as error:
            if not any(word in str(error) for word in ("matmul", "aligned", "broadcast")):
                raise
            return (
                f"It works for one axis, and not for a g of shape {g.shape}. Multiply entry by entry and sum."
            )
        if not np.array_equal(mine, g):
            return "It changed the caller's g, and the cosine needs g as it was. Clip a copy."
        if got.shape != ():
            if g.ndim > 1:
                return f"For a g of shape {g.shape} yours has shape {got.shape}. Sum over all axes."
            return f"One number is asked, the cosine; yours has shape {got.shape}."
        outputs.append([got])

    def measured(rule, cut=lambda g, c: np.clip(g, -c, c)):
        """One number from g·cut, |g| and |cut|."""
        return lambda g, c: [rule(np.sum(g * cut(g, c)), _length(g), _length(cut(g, c)))]

    def cosine(p, a, b):
        return p / (a * b)

    wrong = [
        (
            lambda g, c: [1.0],
            "It is 1 for every gradient. Clipping by norm keeps the direction; by value is asked, each "
            "entry by itself.",
        ),
        (measured(lambda p, a, b: -p / (a * b)), "The sign is turned: the clipped step still goes downhill."),
        (
            measured(lambda p, a, b: p / (a * b) ** 2),
            "You divide by the squares of the two norms. The roots are missing.",
        ),
        (measured(lambda p, a, b: (p / (a * b)) ** 2), "That is the square of the cosine."),
        (measured(lambda p, a, b: p), "That is the product of the two vectors. Divide by both norms."),
        (measured(lambda p, a, b: p / a), "It is divided by the norm of g alone. The other norm is missing."),
        (measured(lambda p, a, b: p / b), "It is divided by the norm of the clipped one alone."),
        (
            measured(lambda p, a, b: p / a**2),
            "You divide by the norm of g twice. One of them is of the other.",
        ),
        (measured(lambda p, a, b: p / b**2), "You divide by the norm of the clipped one twice."),
        (measured(lambda p, a, b: b / a), "That is how much of the length is left. Asked is the direction."),
        (
            measured(lambda p, a, b: math.acos(min(1.0, p / (a * b)))),
            "That is the angle. Asked is its cosine.",
        ),
        (
            measured(lambda p, a, b: math.degrees(math.acos(min(1.0, p / (a * b))))),
            "That is the angle in degrees. Asked is its cosine.",
        ),
        (measured(lambda p, a, b: 1 - p / (a * b)), "That is 1 minus the cosine."),
        (
            measured(cosine, lambda g, c: np.minimum(g, c)),
            "You cut on one side only: entries below -c are left as they are.",
        ),
        (
            measured(cosine, lambda g, c: np.clip(g, 0, c)),
            "The negative entries became 0. They are cut at -c.",
        ),
        (
            measured(cosine, lambda g, c: np.minimum(np.abs(g), c)),
            "The clipped entries have lost their sign: those below -c become -c.",
        ),
        (
            measured(cosine, lambda g, c: np.sign(g)),
            "That is the cosine with the signs, the limit of a tiny c.",
        ),
    ]

    def right(g, c):
        return measured(cosine)(g, c)

    def otherwise(k):
        g, c = cases[k]
        return f"For g = {g.tolist()} and c = {c} it is {right(g, c)[0]:.4f}; yours is {outputs[k][0]:.4f}."

    return _mistake(cases, outputs, right, wrong, otherwise)


@exercise
def clip_bound(answer):
    """`answer(norms, fraction)`: the bound that would have clipped at most that fraction of the steps."""
    rng = np.random.default_rng(0)
    logs = [rng.permutation(np.round(np.geomspace(0.7, 90, n), 3)) for n in (20, 7, 8)]
    for norms in logs:  # neither of the first entries is what it would be if the log were sorted
        norms[:] = np.roll(norms, 3)
    cases = [(norms, fraction) for norms in logs for fraction in (0.25, 0.5, 0.0)]
    outputs = []
    for norms, fraction in cases:
        mine = norms.copy()
        got = _numbers(answer(mine, fraction))
        if not np.array_equal(mine, norms):
            return (
                "It changed the order of the caller's log. `np.sort` makes a sorted copy; `.sort()` does not."
            )
        if got.shape != ():
            return f"One number is asked, the bound; yours has shape {got.shape}."
        if np.isnan(got):
            return "The bound is NaN."
        outputs.append(float(got))
    clipped = [int(np.sum(norms > bound)) for (norms, _), bound in zip(cases, outputs, strict=True)]
    allowed = [int(fraction * len(norms)) for norms, fraction in cases]
    if clipped == allowed:
        return None

    def does(rule):
        return np.allclose(outputs, [rule(np.sort(n)[::-1], n, int(f * len(n)), f) for n, f in cases])

    wrong = [
        (
            (lambda s, norms, k, f: s[::-1][k], lambda s, norms, k, f: np.quantile(norms, f)),
            "That is the wrong end: so many steps are *below* this bound. Those above it are clipped.",
        ),
        (
            (lambda s, norms, k, f: norms[k],),
            "The log is in the order of the steps. Sort it by length first.",
        ),
        (
            (lambda s, norms, k, f: s[k + 1],),
            "Off by one: one step more is clipped than the fraction allows.",
        ),
        (
            (lambda s, norms, k, f: s[k - 1], lambda s, norms, k, f: s[max(k - 1, 0)]),
            "Off by one: a norm equal to the bound is not clipped, so one more could be. (And for the "
            "fraction 0, what is at the index -1?)",
        ),
        (
            (lambda s, norms, k, f: f * s[0], lambda s, norms, k, f: (1 - f) * s[0]),
            "That is a part of the largest norm. Asked is a part of the steps.",
        ),
        (
            (lambda s, norms, k, f: f, lambda s, norms, k, f: k),
            "That is not a norm. Which of them is the bound?",
        ),
    ]
    for rules, hint in wrong:
        if any(does(rule) for rule in rules):
            return hint
    k = next(k for k in range(len(cases)) if clipped[k] != allowed[k])
    (norms, fraction), many = cases[k], clipped[k] > allowed[k]
    return (
        f"Of {len(norms)} steps and for the fraction {fraction:g} your bound {outputs[k]:.4g} clips "
        f"{clipped[k]}, {'more than the fraction: at most' if many else 'and could clip'} {allowed[k]}."
    )


@exercise
def clip_bias(answer):
    """`answer(p, a)`: where the expected step is zero if each gradient is clipped to 1."""
    for p, a in ((0.2, 7.0), (0.4, 30.0), (0.05, 100.0)):
        got = _numbers(answer(p, a))
        if got.shape != ():
            return f"One number is asked; yours has shape {got.shape}."
        wrong = [
            (p, "That is p. The frequent side pulls with (1 - p) w, and not with w."),
            (p * a, "That is the true mean, where descent *without* a bound settles. How long is the "
             "gradient of an `a`, after clipping?"),
            (min(1.0, p * a), "You clipped the mean. It is the gradients that are clipped, each by itself."),
            (0.0, "That is the median, right if every gradient came out with length 1. Near w = 0 that of a "
             "0 is w, and short: nothing is cut from it."),
            ((1 - p) / p, "Upside down: with a smaller p it should lie nearer to 0."),
            (-p / (1 - p), "The sign is turned: the rare numbers pull to the right."),
            (1 - p, "That is 1 - p, the share of the zeros."),
            (1 - 2 * p, "At w = 1 - 2p nothing balances: you took the gradient of a 0 as 1, and it is w."),
            (p * a / (1 - p), "The gradient of an `a` is w - a, and clipped to -1: the a drops out."),
            (p / (1 + p), "The sign of a p: set (1 - p) w equal to p."),
        ]  # fmt: skip
        right = p / (1 - p)
        balance = f"(1 - p) w = {(1 - p) * float(got):.3g}, and the rare side with p = {p:g}"
        hint = _recognize(
            got,
            right,
            wrong,
            f"For p = {p:g} and w = {float(got):.4g} the frequent side pulls with {balance}.",
        )
        if hint:
            return hint
    return None


@exercise
def clip_accumulated(answer):
    """`answer(parts, sizes, c)`: the mean gradient of the whole batch, clipped by norm to c."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 2))
    cases = [
        ([np.array([1.0, 2.0]), np.array([-3.0, 0.5])], [10, 30], 100.0),  # short
        ([np.array([9.0, 2.0]), np.array([-1.0, 5.0]), np.array([4.0, 4.0])], [3, 1, 4], 1.5),  # long
        ([np.array([8.0, 1.0]), np.array([-7.0, 0.0])], [2, 2], 3.0),  # long parts, a short mean
        ([x, 3 * x, -x[::-1]], [5, 1, 2], 0.4),
        ([np.zeros(3), np.zeros(3)], [4, 6], 1.0),
    ]
    outputs = []
    for parts, sizes, c in cases:
        mine, counts = [g.copy() for g in parts], list(sizes)
        with np.errstate(all="ignore"):
            got = _numbers(answer(mine, counts, c))
        if counts != sizes or len(mine) != len(parts) or not all(map(np.array_equal, mine, parts)):
            return "It changed the parts or the sizes that were given. Add up into a new array."
        if got.shape != parts[0].shape:
            return f"The mean of arrays of shape {parts[0].shape} has that shape; yours has {got.shape}."
        outputs.append([got])
    if np.isnan(outputs[-1][0]).any():
        return "For parts of zeros it says NaN: 0 is divided by 0."

    def cut(g, c):
        return g * (c / _length(g) if _length(g) > c else 1.0)

    def whole(parts, sizes):
        return np.average(parts, axis=0, weights=sizes)

    def added(parts, sizes):
        return np.tensordot(np.array(sizes, dtype=float), np.array(parts), 1)

    wrong = [
        (
            lambda parts, sizes, c: [cut(np.mean(parts, axis=0), c)],
            "You took the plain mean of the parts. A part of 30 examples weighs as much as three of 10.",
        ),
        (
            lambda parts, sizes, c: [whole([cut(g, c) for g in parts], sizes)],
            "You clipped each part and then took the mean. Clip the whole, once.",
        ),
        (
            lambda parts, sizes, c: [np.mean([cut(g, c) for g in parts], axis=0)],
            "You clipped each part, and took their plain mean. Take the mean first, weighted by the sizes, "
            "and clip that.",
        ),
        (
            lambda parts, sizes, c: [cut(np.sum(parts, axis=0), c)],
            "You added up the parts. Asked is the mean over all examples.",
        ),
        (
            lambda parts, sizes, c: [cut(added(parts, sizes), c)],
            "You clipped the sum over all examples. Divide by their number first.",
        ),
        (
            lambda parts, sizes, c: [cut(added(parts, sizes), c) / sum(sizes)],
            "You clipped the sum and divided afterward. Divide first: c is the bound of the mean.",
        ),
        (
            lambda parts, sizes, c: [cut(added(parts, sizes) / len(parts), c)],
            "It is divided by the number of parts. Divide by the number of examples.",
        ),
        (lambda parts, sizes, c: [whole(parts, sizes)], "The mean is right, and was not clipped."),
        (
            lambda parts, sizes, c: [np.clip(whole(parts, sizes), -c, c)],
            "The mean is right, and was clipped by value. By norm is asked.",
        ),
        (
            lambda parts, sizes, c: [whole(parts, sizes) * c / max(_length(whole(parts, sizes)), 1e-300)],
            "A mean that is short already was made longer. The factor may not be above 1.",
        ),
        (
            lambda parts, sizes, c: [
                whole(parts, sizes) * min(1.0, c / max(_length(whole(parts, sizes)) ** 2, 1e-300))
            ],
            "You divide by the square of the norm: a root is missing.",
        ),
    ]

    def right(parts, sizes, c):
        return [cut(whole(parts, sizes), c)]

    def otherwise(k):
        parts, sizes, c = cases[k]
        return (
            f"For parts {[g.tolist() for g in parts]} of sizes {sizes} and c = {c} it should be "
            f"{np.round(right(*cases[k])[0], 4).tolist()}; yours is {np.round(outputs[k][0], 4).tolist()}."
        )

    return _mistake(cases, outputs, right, wrong, otherwise)


_LONG, _SHORT = ([4.0, -4.0], [7.0]), ([0.3, -0.2], [0.1])
_NAN, _INFINITE, _MINUS = ([0.5, 4.0], [math.nan]), ([math.inf, 1.0], [2.0]), ([0.2, -math.inf], [0.4])
_RUN = [_LONG, _SHORT, _NAN, _NAN, _SHORT, _NAN, _SHORT, _INFINITE, _SHORT, _MINUS, _LONG, _NAN, _NAN, _NAN]


@exercise
def safe_step(answer):
    """`answer(c, patience)`: an object that clips and updates, and leaves out what is not finite."""
    with np.errstate(all="ignore"):
        return _run(answer, 2) or _patience(answer)


def _run(answer, patience):
    """Send a training run with broken gradients through the reader's object, and look at it at every step."""
    c = 1.0
    step = answer(c, patience)
    if not callable(step):
        return "SafeStep(c, patience) gives nothing that can be called: a class with a method `__call__`?"
    skipped, taken, clipped, row = 0, 0, 0, 0
    for k, values in enumerate(_RUN, start=1):
        given = [np.array(v) for v in values]
        grads, seen = [g.copy() for g in given], []
        healthy = all(np.isfinite(g).all() for g in given)
        row = 0 if healthy else row + 1
        what = "" if healthy else ("a NaN" if values is _NAN else "an infinite entry")

        def update(arrays, seen=seen):
            seen.append([np.array(a, dtype=float) for a in arrays])

        raised = None
        try:
            step(grads, update)
        except (RuntimeError, ValueError, FloatingPointError, ZeroDivisionError) as error:
            raised = error
        stop = row > patience
        if raised is not None and not stop:
            if not isinstance(raised, RuntimeError):
                if healthy:
                    raise raised
                return (
                    f"Step {k} holds {what}, and {type(raised).__name__} came out. Such a step is "
                    "to be left out, and the run goes on."
                )
            if healthy:
                return f"Step {k} is healthy, and it raised: {raised}"
            if row == patience:
                return (
                    f"It raised at the second bad step in a row, with patience {patience}: too early. Only "
                    "*more* than `patience` are too many."
                )
            return (
                "It raised at a single bad step after a healthy one. Steps *in a row* count: a step that was "
                "taken begins the count anew."
            )
        if k == 1 and not seen and not hasattr(step, "skipped") and not hasattr(step, "fraction"):
            raise Unanswered
        if not healthy:
            if seen:
                if values is _NAN:
                    return f"`update` was called with a NaN (step {k}, in the second of two arrays)."
                return (
                    "`update` was called with an infinite entry. Infinity is not finite either: np.isfinite."
                )
            if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(grads, given, strict=True)):
                return (
                    f"Step {k} holds {what} and was left out, but its arrays changed. Look before you clip."
                )
            if stop:
                if raised is None:
                    return (
                        f"{row} bad steps in a row with patience {patience}, and it has not raised: too late."
                    )
                if not isinstance(raised, RuntimeError):
                    return f"It raised a {type(raised).__name__}. A RuntimeError is asked."
                return None
            skipped += 1
        else:
            length = _length(*given)
            wanted = [g * min(1.0, c / length) for g in given]
            hint = _taken(given, wanted, grads, seen, c)
            if hint:
                return hint
            taken, clipped = taken + 1, clipped + (length > c)
        hint = _counts(step, skipped, taken, clipped, k)
        if hint:
            return hint
    return None


def _taken(given, wanted, grads, seen, c):
    """A hint about a healthy step: what `update` saw, and what has become of the arrays."""

    def same(a, b):
        return len(a) == len(b) and all(map(np.array_equal, map(np.shape, a), map(np.shape, b))) and all(
            np.allclose(x, y, rtol=1e-5, atol=1e-9) for x, y in zip(a, b, strict=True)
        )  # fmt: skip

    if not seen:
        return "`update` was not called, though all entries are finite."
    if len(seen) > 1:
        return "`update` was called more than once in one step."
    if same(seen[0], wanted) and same(grads, wanted):
        return None
    if same(seen[0], wanted):
        return "`update` got clipped arrays, but those that were given are as they were: clip them in place."
    if same(grads, wanted):
        return "`update` saw the gradient before it was clipped. First clip, then call it."
    if _length(*given) <= c:
        return "A gradient that is shorter than c was changed."
    if same(seen[0], given):
        return f"A gradient of length {_length(*given):g} reached `update` unclipped; c is {c:g}."
    if same(seen[0], [g * min(1.0, c / _length(g)) for g in given]):
        return "Each array was clipped by itself. Take one norm of all entries together."
    if same(seen[0], [np.clip(g, -c, c) for g in given]):
        return "That is clipping by value. By norm is asked."
    return (
        f"A gradient of length {_length(*given):g} reached `update` with {_length(*seen[0]):.3g}; c is {c:g}."
    )


def _counts(step, skipped, taken, clipped, k):
    """A hint about the two numbers that the object keeps."""
    for name in ("skipped", "fraction"):
        value = getattr(step, name, None)
        if value is None or value is ...:
            return f"There is no number in `.{name}` after step {k}."
        if callable(value):
            return f"`.{name}` is a method. A number is asked: make it an attribute or a property."
    found = _numbers(step.skipped)
    if found.shape != () or found != skipped:
        return f"After step {k}, {skipped} were left out; `.skipped` says {step.skipped}."
    found = _numbers(step.fraction)
    if found.shape == () and math.isclose(found, clipped / taken, abs_tol=1e-9):
        return None
    if found.shape == () and skipped and math.isclose(found, clipped / (taken + skipped), abs_tol=1e-9):
        return "`.fraction` counts the steps that were left out. Divide by those that were taken."
    if found.shape == () and found == clipped:
        return "`.fraction` is a count. Divide by the steps that were taken."
    return (
        f"After step {k}, {clipped} of the {taken} steps that were taken were clipped; `.fraction` says "
        f"{step.fraction}."
    )


def _patience(answer):
    """Two more objects: other numbers, and nothing of the first one's memory."""
    for patience in (0, 3):
        step, calls = answer(5.0, patience), []
        for k in range(1, patience + 2):
            try:
                step([np.array([math.nan, 1.0])], calls.append)
            except RuntimeError:
                if k <= patience:
                    return f"With patience {patience} a new object raised at bad step {k}: too early."
                break
        else:
            return f"With patience {patience} it has to raise at bad step {patience + 1}, and did not."
    step, seen = answer(5.0, 3), []
    step([np.array([6.0, 8.0])], lambda arrays: seen.append(_length(*arrays)))
    if not seen or not math.isclose(seen[0], 5.0, rel_tol=1e-5):
        return "With c = 5 a gradient of length 10 should reach `update` with length 5."
    return None
