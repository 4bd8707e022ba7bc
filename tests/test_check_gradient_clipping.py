"""The exercises of the chapter: the stub fails, the solution passes, each typical mistake gets its hint."""

import math

import numpy as np
import pytest

from speechlib import check, clip


def verdict(capsys, exercise, answer):
    passed = exercise(answer)
    return passed, capsys.readouterr().out


def length(*arrays):
    return np.sqrt(sum(np.sum(a**2) for a in arrays))


def clipped(grads, c):
    norm = np.sqrt(sum(np.sum(g**2) for g in grads))
    return [g * min(1.0, c / norm) if norm > 0 else g.copy() for g in grads]


def measured(measure):
    """The rule with another measure of length."""
    return lambda grads, c: [g * min(1.0, c / max(measure(grads), 1e-300)) for g in grads]


def each_array(grads, c):
    return [g * min(1.0, c / max(length(g), 1e-300)) for g in grads]


def clipped_in_place(grads, c):
    clip.by_norm(grads, c)
    return grads


def same_list(grads, c):
    return grads if length(*grads) <= c else clipped(grads, c)


def copies(grads, c):  # another right one, as the library does it
    new = [np.array(g) for g in grads]
    clip.by_norm(new, c)
    return tuple(new)


def one_loop(grads, c):  # another right one
    total = 0.0
    for g in grads:
        total += (g * g).sum()
    factor = c / max(c, math.sqrt(total))
    return [factor * g for g in grads]


def cosine_after(g, c):
    cut = np.clip(g, -c, c)
    return np.sum(g * cut) / np.sqrt(np.sum(g**2) * np.sum(cut**2))


def angle(rule, cut=lambda g, c: np.clip(g, -c, c)):
    """A mistake: another rule for g·cut, |g| and |cut|, or another cut."""
    return lambda g, c: rule(np.sum(g * cut(g, c)), length(g), length(cut(g, c)))


def cosine_in_place(g, c):
    before = g.copy()
    np.clip(g, -c, c, out=g)
    return np.sum(before * g) / length(before) / length(g)


def dot_product(g, c):
    cut = np.clip(g, -c, c)
    return g @ cut / np.sqrt((g @ g) * (cut @ cut))


def bound_for(norms, fraction):
    return np.sort(norms)[::-1][int(fraction * len(norms))]


def place(shift):
    return lambda norms, fraction: np.sort(norms)[::-1][int(fraction * len(norms)) + shift]


def halfway(norms, fraction):  # between the bound of the solution and the next norm above it
    s, k = np.sort(norms)[::-1], int(fraction * len(norms))
    return s[k] if k == 0 else (s[k] + s[k - 1]) / 2


def sorted_in_place(norms, fraction):
    norms.sort()
    return norms[len(norms) - 1 - int(fraction * len(norms))]


def accumulated(parts, sizes, c):
    whole = sum(n * g for n, g in zip(sizes, parts, strict=True)) / sum(sizes)
    return whole * min(1.0, c / max(np.linalg.norm(whole), 1e-300))


def weighted(parts, sizes):
    return np.average(parts, axis=0, weights=sizes)


def total(parts, sizes):
    return sum(n * g for n, g in zip(sizes, parts, strict=True))


def shorten(g, c):
    return g * min(1.0, c / max(length(g), 1e-300))


def summed_in_place(parts, sizes, c):
    for n, g in zip(sizes, parts, strict=True):
        g *= n
    return shorten(sum(parts) / sum(sizes), c)


class SafeStep:
    """The solution; the others below change one thing each."""

    def __init__(self, c, patience):
        self.c, self.patience = c, patience
        self.skipped = self.in_a_row = self.taken = self.clipped = 0

    fraction = property(lambda self: self.clipped / max(self.taken, 1))

    def healthy(self, grads):
        return all(np.isfinite(g).all() for g in grads)

    def give_up(self):
        if self.in_a_row > self.patience:
            raise RuntimeError(f"{self.in_a_row} steps in a row were not finite")

    def leave_out(self, grads):
        self.skipped, self.in_a_row = self.skipped + 1, self.in_a_row + 1
        self.give_up()

    def shorten(self, grads):
        return clip.by_norm(grads, self.c)

    def take(self, grads, update):
        norm = self.shorten(grads)
        self.in_a_row, self.taken = 0, self.taken + 1
        self.clipped += norm > self.c
        update(grads)

    def __call__(self, grads, update):
        if self.healthy(grads):
            self.take(grads, update)
        else:
            self.leave_out(grads)


class Stub:
    def __init__(self, c, patience): ...

    def __call__(self, grads, update): ...


class DotsStub(Stub):
    def __call__(self, grads, update):
        return ...


class ByException(SafeStep):  # another right one: let the library look
    def __call__(self, grads, update):
        try:
            self.take(grads, update)
        except clip.NonFiniteGradient:
            self.leave_out(grads)


class PlainAttribute(SafeStep):  # another right one: the fraction as an attribute, a list that remembers
    fraction = 0.0

    def __init__(self, c, patience):
        super().__init__(c, patience)
        self.steps = []

    def take(self, grads, update):
        norm = length(*grads)
        for g in grads:
            g *= min(1.0, self.c / norm)
        self.steps.append(norm > self.c)
        self.fraction, self.in_a_row = float(np.mean(self.steps)), 0
        update(list(grads))


class NoLook(SafeStep):
    def healthy(self, grads):
        return True

    def shorten(self, grads):
        norm = length(*grads)
        for g in grads:
            g *= min(1.0, self.c / norm)
        return norm


class OnlyNan(NoLook):
    def healthy(self, grads):
        return not any(np.isnan(g).any() for g in grads)


class OnlyPlus(NoLook):
    def healthy(self, grads):
        return not any(np.isnan(g).any() or (g == np.inf).any() for g in grads)


class FirstArray(NoLook):
    def healthy(self, grads):
        return np.isfinite(grads[0]).all()


class LetsThrough(SafeStep):
    def healthy(self, grads):
        return True


class Zeroed(SafeStep):
    def leave_out(self, grads):
        for g in grads:
            g[~np.isfinite(g)] = 0
        super().leave_out(grads)


class ClipsFirst(NoLook):
    def __call__(self, grads, update):
        norm = self.shorten(grads)
        if not np.isfinite(norm):
            return self.leave_out(grads)
        self.in_a_row, self.taken, self.clipped = 0, self.taken + 1, self.clipped + (norm > self.c)
        update(grads)


class NeverReset(SafeStep):
    def give_up(self):
        if self.skipped > self.patience:
            raise RuntimeError


class Early(SafeStep):
    def give_up(self):
        if self.in_a_row >= self.patience:
            raise RuntimeError


class Late(SafeStep):
    def give_up(self):
        if self.in_a_row > self.patience + 1:
            raise RuntimeError


class OtherError(SafeStep):
    def give_up(self):
        if self.in_a_row > self.patience:
            raise ValueError


class OwnPatience(SafeStep):
    def give_up(self):
        if self.in_a_row > 2:
            raise RuntimeError


class Shy(SafeStep):
    def give_up(self):
        if self.in_a_row > min(self.patience, 2):
            raise RuntimeError


class HealthyRaises(SafeStep):
    def take(self, grads, update):
        raise RuntimeError("no")


class Uncounted(SafeStep):
    def leave_out(self, grads):
        self.in_a_row += 1
        self.give_up()


class CountsAll(SafeStep):
    fraction = property(lambda self: self.clipped / max(self.taken + self.skipped, 1))


class Count(SafeStep):
    fraction = property(lambda self: self.clipped)


class Method(SafeStep):
    def fraction(self):
        return self.clipped / max(self.taken, 1)


class NoFraction(SafeStep):
    fraction = None


class OfShort(SafeStep):
    fraction = property(lambda self: 1 - self.clipped / max(self.taken, 1))


class LateClip(SafeStep):
    def take(self, grads, update):
        update(grads)
        super().take(grads, lambda arrays: None)


class NewArrays(SafeStep):
    def take(self, grads, update):
        super().take([g.copy() for g in grads], update)


class Unclipped(SafeStep):
    def shorten(self, grads):
        return length(*grads)


class EachArray(SafeStep):
    def shorten(self, grads):
        norm = length(*grads)
        clip.per_layer(grads, self.c)
        return norm


class ByValue(SafeStep):
    def shorten(self, grads):
        return clip.by_value(grads, self.c)


class Always(SafeStep):
    def shorten(self, grads):
        norm = length(*grads)
        for g in grads:
            g *= self.c / norm
        return norm


class Half(SafeStep):
    def shorten(self, grads):
        return clip.by_norm(grads, self.c / 2)


class OwnBound(SafeStep):
    def __init__(self, c, patience):
        super().__init__(1.0, patience)


class Twice(SafeStep):
    def take(self, grads, update):
        super().take(grads, update)
        update(grads)


class NeverUpdates(SafeStep):
    def take(self, grads, update):
        super().take(grads, lambda arrays: None)


RIGHT = [
    (check.clip_norm, clipped),
    (check.clip_angle, cosine_after),
    (check.clip_bound, bound_for),
    (check.clip_bias, lambda p, a: p / (1 - p)),
    (check.clip_accumulated, accumulated),
    (check.safe_step, SafeStep),
]

ALSO_RIGHT = [
    (check.clip_norm, copies),
    (check.clip_norm, one_loop),
    (check.clip_norm, lambda grads, c: [g * (c / (length(*grads) + 1e-8) if length(*grads) > c else 1)
                                        for g in grads]),
    (check.clip_angle, lambda g, c: dot_product(g.ravel(), c)),
    (check.clip_angle, lambda g, c: float(cosine_after(g, c))),
    (check.clip_bound, halfway),
    (check.clip_bound, lambda norms, f: sorted(norms)[len(norms) - 1 - int(f * len(norms))]),
    (check.clip_bound, lambda norms, f: np.quantile(norms, 1 - f, method="inverted_cdf")),
    (check.clip_bound, lambda norms, f: min(b for b in norms if np.mean(norms > b) <= f)),
    (check.clip_bias, lambda p, a: np.float64(1 / (1 / p - 1))),
    (check.clip_accumulated, lambda parts, sizes, c: shorten(weighted(parts, sizes), c)),
    (check.safe_step, ByException),
    (check.safe_step, PlainAttribute),
    (check.safe_step, lambda c, patience: SafeStep(c, patience)),
]  # fmt: skip

WRONG = [
    (check.clip_norm, each_array, "each array by itself"),
    (check.clip_norm, clipped_in_place, "changed the arrays that were given"),
    (check.clip_norm, same_list, "the caller's own list"),
    (check.clip_norm, lambda grads, c: [g * c / max(length(*grads), 1e-300) for g in grads], "made longer"),
    (check.clip_norm, lambda grads, c: [g / length(*grads) * min(c, length(*grads)) for g in grads], "NaN"),
    (check.clip_norm, lambda grads, c: [np.clip(g, -c, c) for g in grads], "clipping by value"),
    (check.clip_norm, measured(lambda grads: length(*grads) ** 2), "square of the norm"),
    (check.clip_norm, measured(lambda grads: sum(map(length, grads))), "Add the squares"),
    (check.clip_norm, measured(lambda grads: max(map(length, grads))), "the longest array"),
    (check.clip_norm, measured(lambda grads: sum(np.abs(g).sum() for g in grads)), "absolute values"),
    (check.clip_norm, measured(lambda grads: max(np.abs(g).max() for g in grads)), "largest entry"),
    (check.clip_norm, lambda grads, c: [g / length(*grads) if length(*grads) > c else g * 1
                                        for g in grads], "come out with length 1"),
    (check.clip_norm, lambda grads, c: [g.copy() for g in grads], "Nothing was shortened"),
    (check.clip_norm, lambda grads, c: [g * min(1, length(*grads) / c) for g in grads], "upside down"),
    (check.clip_norm, lambda grads, c: [-g for g in clipped(grads, c)], "The sign is turned"),
    (check.clip_norm, lambda grads, c: clipped(grads, c)[0], "A list of 2 arrays"),
    (check.clip_norm, lambda grads, c: clipped(grads, c)[:1], "A list of 2 arrays"),
    (check.clip_norm, lambda grads, c: [g.ravel() for g in clipped(grads, c)], "Each array keeps its shape"),
    (check.clip_norm, lambda grads, c: clipped(grads, 0.75 * c), "c = 2 yours come out with 1.5"),
    (check.clip_norm, lambda grads, c: None, "is there a `return`"),
    (check.clip_norm, lambda grads, c: [g * min(1.0, c / math.sqrt(float(length(*grads)) ** 2))
                                        for g in grads], "ZeroDivisionError"),
    (check.clip_angle, lambda g, c: np.sum(g * shorten(g, c)) / length(g) / length(shorten(g, c)),
     "It is 1 for every gradient"),
    (check.clip_angle, lambda g, c: 1.0, "It is 1 for every gradient"),
    (check.clip_angle, angle(lambda p, a, b: -p / (a * b)), "The sign is turned"),
    (check.clip_angle, angle(lambda p, a, b: p / (a * b) ** 2), "The roots are missing"),
    (check.clip_angle, angle(lambda p, a, b: (p / (a * b)) ** 2), "square of the cosine"),
    (check.clip_angle, angle(lambda p, a, b: p), "Divide by both norms"),
    (check.clip_angle, angle(lambda p, a, b: p / a), "norm of g alone"),
    (check.clip_angle, angle(lambda p, a, b: p / b), "norm of the clipped one alone"),
    (check.clip_angle, angle(lambda p, a, b: p / a**2), "norm of g twice"),
    (check.clip_angle, angle(lambda p, a, b: p / b**2), "the clipped one twice"),
    (check.clip_angle, angle(lambda p, a, b: b / a), "how much of the length"),
    (check.clip_angle, angle(lambda p, a, b: np.arccos(np.minimum(1, p / (a * b)))), "That is the angle. "),
    (check.clip_angle, angle(lambda p, a, b: np.degrees(np.arccos(np.minimum(1, p / (a * b))))), "degrees"),
    (check.clip_angle, angle(lambda p, a, b: 1 - p / (a * b)), "1 minus the cosine"),
    (check.clip_angle, angle(lambda p, a, b: p / (a * b), lambda g, c: np.minimum(g, c)), "one side only"),
    (check.clip_angle, angle(lambda p, a, b: p / (a * b), lambda g, c: np.clip(g, 0, c)), "became 0"),
    (check.clip_angle, angle(lambda p, a, b: p / (a * b), lambda g, c: np.clip(np.abs(g), 0, c)),
     "lost their sign"),
    (check.clip_angle, angle(lambda p, a, b: p / (a * b), lambda g, c: np.sign(g)), "limit of a tiny c"),
    (check.clip_angle, angle(lambda p, a, b: 0.5), "it is 0.9619; yours is 0.5"),
    (check.clip_angle, cosine_in_place, "changed the caller's g"),
    (check.clip_angle, dot_product, "not for a g of shape (3, 2)"),
    (check.clip_angle, lambda g, c: np.sum(g * np.clip(g, -c, c), axis=-1), "yours has shape (3,)"),
    (check.clip_angle, lambda g, c: np.clip(g, -c, c) / length(g), "One number is asked"),
    (check.clip_angle, lambda g, c: sum(g * np.clip(g, -c, c)) / length(g) / length(np.clip(g, -c, c)),
     "Sum over all axes"),
    (check.clip_bound, lambda norms, f: np.sort(norms)[int(f * len(norms))], "the wrong end"),
    (check.clip_bound, lambda norms, f: np.quantile(norms, f), "the wrong end"),
    (check.clip_bound, lambda norms, f: norms[int(f * len(norms))], "Sort it by length"),
    (check.clip_bound, lambda norms, f: norms[::-1][int(f * len(norms))], "steps and for the fraction"),
    (check.clip_bound, place(1), "one step more is clipped"),
    (check.clip_bound, place(-1), "a norm equal to the bound is not clipped"),
    (check.clip_bound, lambda norms, f: place(-1 if f else 0)(norms, f), "a norm equal to the bound"),
    (check.clip_bound, lambda norms, f: np.quantile(norms, 1 - f), "more than the fraction: at most 1"),
    (check.clip_bound, lambda norms, f: np.quantile(norms, 1 - f, method="higher"), "and could clip"),
    (check.clip_bound, lambda norms, f: (1 - f) * norms.max(), "a part of the largest norm"),
    (check.clip_bound, lambda norms, f: int(f * len(norms)), "That is not a norm"),
    (check.clip_bound, lambda norms, f: norms.max(), "clips 0, and could clip 5"),
    (check.clip_bound, sorted_in_place, "changed the order"),
    (check.clip_bound, lambda norms, f: np.sort(norms)[::-1], "One number is asked"),
    (check.clip_bound, lambda norms, f: math.nan, "is NaN"),
    (check.clip_bias, lambda p, a: p, "That is p."),
    (check.clip_bias, lambda p, a: p * a, "the true mean"),
    (check.clip_bias, lambda p, a: min(p * a, 1), "You clipped the mean"),
    (check.clip_bias, lambda p, a: 0, "That is the median"),
    (check.clip_bias, lambda p, a: (1 - p) / p, "Upside down"),
    (check.clip_bias, lambda p, a: p / (p - 1), "The sign is turned"),
    (check.clip_bias, lambda p, a: 1 - p, "the share of the zeros"),
    (check.clip_bias, lambda p, a: 1 - 2 * p, "nothing balances"),
    (check.clip_bias, lambda p, a: p * a / (1 - p), "the a drops out"),
    (check.clip_bias, lambda p, a: p / (1 + p), "The sign of a p"),
    (check.clip_bias, lambda p, a: 0.5, "pulls with (1 - p) w = 0.4, and the rare side with p = 0.2"),
    (check.clip_bias, lambda p, a: 0.25, "For p = 0.4"),
    (check.clip_bias, lambda p, a: (p, a), "One number is asked"),
    (check.clip_accumulated, lambda parts, sizes, c: shorten(np.mean(parts, axis=0), c), "the plain mean"),
    (check.clip_accumulated, lambda parts, sizes, c: weighted([shorten(g, c) for g in parts], sizes),
     "clipped each part and then"),
    (check.clip_accumulated, lambda parts, sizes, c: np.mean([shorten(g, c) for g in parts], axis=0),
     "clipped each part, and took their plain mean"),
    (check.clip_accumulated, lambda parts, sizes, c: shorten(sum(parts), c), "You added up the parts"),
    (check.clip_accumulated, lambda parts, sizes, c: shorten(total(parts, sizes), c), "clipped the sum over"),
    (check.clip_accumulated, lambda parts, sizes, c: shorten(total(parts, sizes), c) / sum(sizes),
     "divided afterward"),
    (check.clip_accumulated, lambda parts, sizes, c: shorten(total(parts, sizes) / len(parts), c),
     "divided by the number of parts"),
    (check.clip_accumulated, lambda parts, sizes, c: weighted(parts, sizes), "was not clipped"),
    (check.clip_accumulated, lambda parts, sizes, c: np.clip(weighted(parts, sizes), -c, c), "by value"),
    (check.clip_accumulated, lambda parts, sizes, c: weighted(parts, sizes) * c
     / max(length(weighted(parts, sizes)), 1e-300), "made longer"),
    (check.clip_accumulated, lambda parts, sizes, c: weighted(parts, sizes)
     * min(1, c / max(length(weighted(parts, sizes)) ** 2, 1e-300)), "a root is missing"),
    (check.clip_accumulated, lambda parts, sizes, c: weighted(parts, sizes) / length(weighted(parts, sizes))
     * min(c, length(weighted(parts, sizes))), "it says NaN"),
    (check.clip_accumulated, lambda parts, sizes, c: -accumulated(parts, sizes, c), "be [-2.0, 0.875]"),
    (check.clip_accumulated, summed_in_place, "changed the parts"),
    (check.clip_accumulated, lambda parts, sizes, c: length(weighted(parts, sizes)), "yours has ()"),
    (check.safe_step, NoLook, "`update` was called with a NaN"),
    (check.safe_step, FirstArray, "`update` was called with a NaN"),
    (check.safe_step, OnlyNan, "called with an infinite entry"),
    (check.safe_step, OnlyPlus, "called with an infinite entry"),
    (check.safe_step, LetsThrough, "NonFiniteGradient came out"),
    (check.safe_step, Zeroed, "its arrays changed"),
    (check.safe_step, ClipsFirst, "its arrays changed"),
    (check.safe_step, NeverReset, "begins the count anew"),
    (check.safe_step, Early, "too early. Only *more*"),
    (check.safe_step, Late, "it has not raised: too late"),
    (check.safe_step, OtherError, "A RuntimeError is asked"),
    (check.safe_step, OwnPatience, "With patience 0 it has to raise at bad step 1"),
    (check.safe_step, Shy, "With patience 3 a new object raised at bad step 3"),
    (check.safe_step, HealthyRaises, "Step 1 is healthy, and it raised: no"),
    (check.safe_step, Uncounted, "After step 3, 1 were left out; `.skipped` says 0"),
    (check.safe_step, CountsAll, "counts the steps that were left out"),
    (check.safe_step, Count, "`.fraction` is a count"),
    (check.safe_step, Method, "`.fraction` is a method"),
    (check.safe_step, NoFraction, "no number in `.fraction`"),
    (check.safe_step, OfShort, "1 of the 1 steps that were taken were clipped; `.fraction` says 0"),
    (check.safe_step, LateClip, "before it was clipped"),
    (check.safe_step, NewArrays, "clip them in place"),
    (check.safe_step, Unclipped, "of length 9 reached `update` unclipped"),
    (check.safe_step, EachArray, "Each array was clipped by itself"),
    (check.safe_step, ByValue, "clipping by value"),
    (check.safe_step, Always, "shorter than c was changed"),
    (check.safe_step, Half, "reached `update` with 0.5"),
    (check.safe_step, OwnBound, "With c = 5"),
    (check.safe_step, Twice, "more than once"),
    (check.safe_step, NeverUpdates, "`update` was not called, though"),
    (check.safe_step, lambda c, patience: 3, "nothing that can be called"),
]  # fmt: skip

JUNK = [
    lambda *given: None,
    lambda *given: "c / norm",
    lambda *given: np.ones((2, 7)),
    lambda *given: [1, [2, 3]],
    lambda *given: math.nan,
    lambda *given: (),
    lambda *given: given,
    lambda *given: [np.ones(2)] * 4,
    lambda *given: lambda z: "yes",
    lambda *given: lambda grads, update: update,
    lambda *given: lambda grads, update: update(3),
    lambda *given: 1 / 0,
    lambda: 1.0,
    dict,
    "an answer",
    3,
    None,
]


@pytest.mark.parametrize("exercise", [exercise for exercise, _ in RIGHT], ids=lambda e: e.__name__)
def test_the_stub_fails(capsys, exercise):
    for stub in (..., lambda *given: ...):
        passed, printed = verdict(capsys, exercise, stub)
        assert not passed and printed == "No answer yet: put yours in place of the three dots.\n"


@pytest.mark.parametrize("stub", [Stub, DotsStub, Stub(1.0, 2)])
def test_an_empty_class_fails(capsys, stub):
    passed, printed = verdict(capsys, check.safe_step, stub)
    assert not passed and printed.startswith(("No answer yet: put yours", "Not yet. "))


@pytest.mark.parametrize("exercise, answer", RIGHT, ids=[exercise.__name__ for exercise, _ in RIGHT])
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


@pytest.mark.parametrize("exercise", [exercise for exercise, _ in RIGHT], ids=lambda e: e.__name__)
def test_a_useless_answer_gets_a_verdict(capsys, exercise):
    for answer in JUNK:
        passed, printed = verdict(capsys, exercise, answer)
        assert not passed and ("Not yet. " in printed or "No answer yet" in printed), printed


def test_every_exercise_of_the_module_is_tested():
    from speechlib.check import gradient_clipping

    assert {exercise.__name__ for exercise, _ in RIGHT} == set(gradient_clipping.__all__)
