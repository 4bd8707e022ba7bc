"""Checks of the exercises of the chapter `human_speech`."""

import itertools
import math
import warnings
from functools import cache

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from .. import audio, corpus, features, metrics
from ._exercise import Unanswered, exercise

__all__ = [
    "believed",
    "kappa_of",
    "listener",
    "shrunk_mean",
    "speaker_difference",
    "leave_speaker_out",
    "worst_speaker",
]


def _real(answer):
    """What a reader's function returned, as an array of floats. Text and complex numbers are none."""
    if answer is None:
        raise TypeError("it returns nothing; is there a `return`?")
    array = np.asarray(answer)
    if array.dtype.kind not in "buif":
        raise TypeError(f"numbers are asked, not {type(answer).__name__} of {array.dtype}")
    return array.astype(float)


def _same(got, wanted):
    """Equal text, close numbers, and tuples of them."""
    if isinstance(wanted, tuple):
        return isinstance(got, tuple) and len(got) == len(wanted) and all(map(_same, got, wanted))
    if isinstance(wanted, str) or isinstance(got, str):
        return isinstance(got, str) and got == wanted
    return np.shape(got) == np.shape(wanted) and np.allclose(got, wanted, rtol=1e-5, atol=1e-9)


def _explain(cases, outputs, right, wrong, otherwise):
    """None if all outputs are right, the hint of the wrong rule that does the same, or the general hint.

    A rule that explains every case goes before one that explains the first wrong case alone.
    """
    missed = [k for k, case in enumerate(cases) if not _same(outputs[k], right(*case))]
    if not missed:
        return None
    with np.errstate(all="ignore"):
        for asked in (range(len(cases)), missed[:1]):
            for rule, hint in wrong:
                if all(_same(outputs[k], rule(*cases[k])) for k in asked):
                    return hint
    return otherwise(missed[0])


def _lists_too(judge):
    """Judge an answer that gets its names in a list, and see whether it would do with an array."""
    try:
        hint, error = judge(list), None
    except Unanswered:
        raise
    except Exception as found:  # whether that was the list's doing, the array tells
        hint, error = None, found
    if hint is None and error is None:
        return None
    try:
        other = judge(np.array)
    except Exception as found:
        if error is None:
            return hint
        raise error from found
    if error is None and other == hint:
        return hint
    return "The names come in a list, and with an array it does something else: begin with np.asarray."


@exercise
def shrunk_mean(answer):
    """`answer(words, mu, kappa)`: the mean of the words and of kappa more that say mu."""
    rng = np.random.default_rng(0)
    cases = []
    for frames, bins, kappa in (
        ((4,), 3, 2.5),
        ((2, 9, 5), 4, 2.5),
        ((7, 1, 3, 3, 12), 2, 0.5),
        ((6, 8), 3, 9.0),
    ):
        level = rng.normal(2, 1, bins)
        words = [level + rng.normal(0, 1, bins) + rng.normal(0, 0.5, (n, bins)) for n in frames]
        cases.append((words, rng.normal(-1, 1, bins), kappa))
    outputs = []
    for words, mu, kappa in cases:
        mine, center = [x.copy() for x in words], mu.copy()
        try:
            got = _real(answer(mine, center, kappa))
        except ValueError as error:
            if not any(word in str(error) for word in ("broadcast", "inhomogeneous", "dimension")):
                raise
            return (
                "Arrays of different shapes met. The words have different numbers of frames: take the mean "
                "of each over its frames, axis 0, and then go on with one number a bin."
            )
        if not np.array_equal(center, mu) or not all(map(np.array_equal, mine, words)):
            return "It changed the words or mu that were given. Add up into a new array."
        if got.shape != mu.shape:
            return f"One number a bin is asked, the shape {mu.shape}; yours has the shape {got.shape}."
        if np.isnan(got).any():
            return "There is a NaN in it."
        outputs.append(got)

    def total(words):
        return sum(x.mean(axis=0) for x in words)

    def right(words, mu, kappa):
        return (total(words) + kappa * mu) / (len(words) + kappa)

    def stacked(words):
        return np.concatenate(words)

    wrong = [
        (
            lambda words, mu, kappa: (
                (stacked(words).sum(axis=0) + kappa * mu) / (len(stacked(words)) + kappa)
            ),
            "You count frames. kappa is a number of words: each word gives its mean, and counts once.",
        ),
        (
            lambda words, mu, kappa: (
                (len(words) * stacked(words).mean(axis=0) + kappa * mu) / (len(words) + kappa)
            ),
            "A long word weighs more than a short one: you took the mean of all frames. Take the mean of "
            "each word first.",
        ),
        (
            lambda words, mu, kappa: total(words) / len(words),
            "That is the mean of the words alone; mu and kappa have no part in it.",
        ),
        (
            lambda words, mu, kappa: stacked(words).mean(axis=0),
            "That is the mean of all frames: long words weigh more, and mu and kappa have no part in it.",
        ),
        (lambda words, mu, kappa: mu, "That is mu; the words have no part in it."),
        (
            lambda words, mu, kappa: (total(words) + kappa * mu) / len(words),
            "kappa is missing in the denominator: there are n words and kappa more.",
        ),
        (
            lambda words, mu, kappa: total(words) / (len(words) + kappa),
            "mu is forgotten: the kappa words more say mu, and not 0.",
        ),
        (
            lambda words, mu, kappa: (total(words) + mu) / (len(words) + kappa),
            "mu is counted once. It is said kappa times.",
        ),
        (
            lambda words, mu, kappa: (total(words) + mu) / (len(words) + 1),
            "mu is counted as one word. It is worth kappa words.",
        ),
        (
            lambda words, mu, kappa: (
                (kappa * total(words) / len(words) + len(words) * mu) / (len(words) + kappa)
            ),
            "The weights are exchanged: n belongs to the words, kappa to mu.",
        ),
        (
            lambda words, mu, kappa: (total(words) / len(words) + kappa * mu) / (1 + kappa),
            "However many words there are, yours count as one. Their weight is n.",
        ),
        (
            lambda words, mu, kappa: (total(words) / len(words) + kappa * mu) / (len(words) + kappa),
            "The mean of the words stands where their sum belongs: its weight is n.",
        ),
        (
            lambda words, mu, kappa: (sum(x.sum(axis=0) for x in words) + kappa * mu) / (len(words) + kappa),
            "You add up the frames of each word. A word gives the mean of its frames.",
        ),
        (
            lambda words, mu, kappa: (sum(x.mean() for x in words) + kappa * mu) / (len(words) + kappa),
            "You took the mean of a word over its bins too. Each bin has its own: axis=0.",
        ),
        (
            lambda words, mu, kappa: (total(words) - kappa * mu) / (len(words) + kappa),
            "mu has the wrong sign.",
        ),
    ]

    def otherwise(k):
        words, mu, kappa = cases[k]
        return (
            f"For {len(words)} word{'s' * (len(words) > 1)} of {[len(x) for x in words]} frames, kappa = "
            f"{kappa:g} and mu = {np.round(mu, 3).tolist()} it should be "
            f"{np.round(right(*cases[k]), 3).tolist()}; yours is {np.round(outputs[k], 3).tolist()}."
        )

    return _explain(cases, outputs, right, wrong, otherwise)


@exercise
def kappa_of(answer):
    """`answer(means, speakers)`: the variance within speakers over that between them."""
    return _lists_too(lambda kind: _kappa(answer, kind))


def _kappa(answer, kind):
    rng = np.random.default_rng(0)
    cases = []
    for counts, bins in (((4, 4, 4, 4), 3), ((2, 9, 5), 2), ((3, 2, 2, 6, 12), 4)):
        names = rng.permutation(np.repeat([f"s{k}" for k in range(len(counts))], counts))
        centers = dict(zip(np.unique(names), rng.normal(0, 2, (len(counts), bins)), strict=True))
        # Voices differ in how much they vary, and bins too, so that no two ways to average agree.
        spread = {name: rng.uniform(0.5, 2, bins) for name in centers}
        means = np.array([centers[name] + rng.normal(0, spread[name]) for name in names])
        cases.append((means, names))
    outputs = []
    for means, names in cases:
        mine = means.copy()
        got = _real(answer(mine, kind(names.tolist())))
        if not np.array_equal(mine, means):
            return "It changed the means that were given."
        if got.shape == (means.shape[1],):
            return "That is one number a bin. Average both variances over the bins first, then divide."
        if got.shape != ():
            return f"One number is asked; yours has the shape {got.shape}."
        if np.isnan(got):
            return "Yours is NaN."
        outputs.append(float(got))

    def words_of(means, names):
        return [means[names == name] for name in np.unique(names)]

    def within(means, names, ddof=1):
        return np.mean([one.var(axis=0, ddof=ddof).mean() for one in words_of(means, names)])

    def between(means, names, ddof=1):
        return np.array([one.mean(axis=0) for one in words_of(means, names)]).var(axis=0, ddof=ddof).mean()

    def noise(means, names):
        return np.mean([1 / len(one) for one in words_of(means, names)])

    def kappa(means, names, low=1, high=1, correction=noise):
        s2 = within(means, names, low)
        return s2 / (between(means, names, high) - s2 * correction(means, names))

    def own_noise(means, names):  # each with the variance of that speaker
        return np.mean([one.var(axis=0, ddof=1).mean() / len(one) for one in words_of(means, names)])

    def by_bin(means, names):
        s2 = np.mean([one.var(axis=0, ddof=1) for one in words_of(means, names)], axis=0)
        centers = np.array([one.mean(axis=0) for one in words_of(means, names)])
        return np.mean(s2 / (centers.var(axis=0, ddof=1) - s2 * noise(means, names)))

    def pooled(means, names):
        squares = sum(((one - one.mean(axis=0)) ** 2).sum(axis=0) for one in words_of(means, names))
        s2 = (squares / (len(means) - len(np.unique(names)))).mean()
        return s2 / (between(means, names) - s2 * noise(means, names))

    def all_words(means, names):
        s2 = means.var(axis=0, ddof=1).mean()
        return s2 / (between(means, names) - s2 * noise(means, names))

    def correction(rule):
        return lambda means, names: kappa(means, names, correction=rule)

    wrong = [
        (
            lambda m, s: kappa(m, s, 0, 0),
            "Both variances divide by n. Use n - 1: `ddof=1`.",
        ),
        (lambda m, s: kappa(m, s, 0, 1), "s² divides by n. Use n - 1: `ddof=1`."),
        (
            lambda m, s: kappa(m, s, 1, 0),
            "The variance of the centers divides by their number. Use one less: `ddof=1`.",
        ),
        (
            correction(lambda m, s: 0),
            "The variance of the centers is not v yet: each center is the mean of a few words, and the mean "
            "over speakers of s²/n is to be subtracted.",
        ),
        (
            correction(lambda m, s: -noise(m, s)),
            "s²/n was added. The centers spread more than the true ones: subtract it.",
        ),
        (
            lambda m, s: within(m, s) / (between(m, s) - own_noise(m, s)),
            "s²/n was taken with each speaker's own variance. s² is one number for all, their mean; only n "
            "differs.",
        ),
        (
            correction(lambda m, s: len(np.unique(s)) / len(s)),
            "s² was divided by the mean number of words. The mean of s²/n is asked: divide first, then "
            "average.",
        ),
        (
            correction(lambda m, s: 1 / len(s)),
            "s² was divided by the number of all words. n is the number of one speaker's.",
        ),
        (
            correction(lambda m, s: 1 / len(np.unique(s))),
            "s² was divided by the number of speakers. n is the number of a speaker's words.",
        ),
        (
            correction(lambda m, s: sum(1 / len(one) for one in words_of(m, s))),
            "s²/n was added up over the speakers. Its mean is asked.",
        ),
        (
            correction(lambda m, s: 1),
            "All of s² was subtracted. Of a center that is the mean of n words, s²/n.",
        ),
        (
            correction(lambda m, s: np.mean([1 / len(one) ** 0.5 for one in words_of(m, s)])),
            "The variance of a mean of n words is s²/n; the root of n belongs to the deviation.",
        ),
        (
            pooled,
            "A speaker with many words weighs more in your s². It is the mean over speakers of their "
            "variances.",
        ),
        (
            all_words,
            "Your s² is the variance of all words around one mean: it contains the differences between "
            "speakers.",
        ),
        (by_bin, "You averaged the ratios of the bins. Average both variances, then divide once."),
        (lambda m, s: 1 / kappa(m, s), "Upside down: s² stands above."),
        (lambda m, s: math.sqrt(abs(kappa(m, s))), "That is the root, the ratio of the deviations."),
        (within, "That is s². Divide by v."),
        (lambda m, s: within(m, s) / kappa(m, s), "That is v. It divides s²."),
    ]

    def otherwise(k):
        means, names = cases[k]
        counts = [len(one) for one in words_of(means, names)]
        s2 = within(means, names)
        return (
            f"For speakers with {counts} words, s² = {s2:.4f} and v = {s2 / kappa(means, names):.4f} make "
            f"{kappa(means, names):.4f}; yours is {outputs[k]:.4f}."
        )

    return _explain(cases, outputs, kappa, wrong, otherwise)


def _answers(**counts):
    """Right or wrong for each word and who said it, mixed, from (right, words) for each speaker."""
    rows = [(k < right, name) for name, (right, words) in counts.items() for k in range(words)]
    order = np.random.default_rng(1).permutation(len(rows))
    return np.array([rows[i][0] for i in order]), np.array([rows[i][1] for i in order])


@exercise
def worst_speaker(answer):
    """`answer(right, speakers)`: name, accuracy and interval of the speaker who is understood worst."""
    return _lists_too(lambda kind: _worst(answer, kind))


def _worst(answer, kind):
    cases = [
        _answers(ann=(34, 40), bob=(7, 10), cyd=(2, 2)),  # six misses of 40 are fewer than three of 10
        _answers(bea=(2, 4), dan=(1, 1), eve=(5, 10), fay=(3, 6)),  # three halves, the longest in the middle
        _answers(kim=(0, 5), lou=(19, 30), max=(1, 2)),
        _answers(ira=(6, 6), jon=(8, 8)),
        _answers(gus=(5, 5), hal=(30, 70), ivy=(12, 20)),
    ]
    outputs = []
    for right, names in cases:
        mine = right.copy()
        got = answer(mine, kind(names.tolist()))
        if got is None:
            return "It returns nothing; is there a `return`?"
        if isinstance(got, str):
            return "That is a name alone. A tuple of four is asked: name, accuracy, lower end, upper end."
        got = tuple(got)
        if len(got) == 3 and np.shape(got[2]) == (2,):
            return "The interval is a tuple in the tuple. Four values are asked: unpack it with a star."
        if len(got) != 4:
            return (
                f"A tuple of four is asked, name, accuracy, lower end, upper end; yours has {len(got)} "
                f"part{'s' * (len(got) != 1)}."
            )
        if not isinstance(got[0], str) or got[0] not in names:
            return f"The first of the four is the name of one who spoke; yours is {got[0]!r}."
        numbers = [_real(value) for value in got[1:]]
        if any(value.shape != () for value in numbers):
            return "Accuracy, lower and upper end are one number each."
        if not np.array_equal(mine, right):
            return "It changed the array `right` that was given."
        outputs.append((str(got[0]), *map(float, numbers)))

    def choose(key, report=None):
        """The report on the speaker with the smallest key(right, words)."""

        def rule(right, names):
            counts = {str(s): (int(right[names == s].sum()), int(np.sum(names == s))) for s in names}
            name = min(counts, key=lambda s: key(*counts[s]))
            correct, total = counts[name]
            return name, *(report or truth)(correct, total)

        return rule

    def truth(correct, total):
        return correct / total, *metrics.interval(correct, total)

    def rate(correct, total):
        return correct / total, -total

    def normal(correct, total):
        p = correct / total
        half = 1.96 * math.sqrt(p * (1 - p) / total)
        return p, p - half, p + half

    def of_all(right, names):
        name, accuracy, *_ = choose(rate)(right, names)
        return name, accuracy, *metrics.interval(int(right.sum()), len(right))

    def misses(correct, total):
        return (1 - correct / total, *metrics.interval(total - correct, total))

    fewer = "Of two speakers with the same accuracy take the one with more words: more is known about him."
    wrong = [
        (
            choose(lambda correct, total: correct - total),
            "That is the speaker with the most words missed. Someone who said more has more to miss: compare "
            "the accuracies.",
        ),
        (
            choose(lambda correct, total: correct),
            "That is the speaker with the fewest words recognized, perhaps because there are few. Compare "
            "the accuracies.",
        ),
        (
            choose(lambda correct, total: (-correct / total, -total)),
            "That is the speaker with the highest accuracy.",
        ),
        (choose(lambda correct, total: (correct / total, total)), fewer),
        (
            choose(lambda correct, total: metrics.interval(correct, total)[0]),
            "You chose by the lower end of the interval, which is low for whoever said little. The lowest "
            "accuracy is asked.",
        ),
        (
            choose(rate, lambda correct, total: (correct / total, *metrics.interval(correct, total)[::-1])),
            "The lower end comes before the upper one.",
        ),
        (
            choose(rate, normal),
            "That is the normal interval, p plus and minus 1.96 deviations. Wilson's is asked: "
            "metrics.interval.",
        ),
        (
            choose(rate, lambda correct, total: (correct / total, *metrics.interval(correct, total, 0.9))),
            "That is the 90 % interval.",
        ),
        (
            choose(rate, lambda correct, total: (correct / total, *metrics.interval(correct, total, 0.99))),
            "That is the 99 % interval.",
        ),
        (of_all, "The interval is that of all speakers together. This one's words alone count."),
        (choose(rate, misses), "You report errors. The accuracy is the share of words that are right."),
        (
            choose(rate, lambda correct, total: (1 - correct / total, *metrics.interval(correct, total))),
            "You report the error rate. The accuracy is asked.",
        ),
        (
            choose(rate, lambda correct, total: tuple(100 * value for value in truth(correct, total))),
            "You report percents. Numbers between 0 and 1 are asked.",
        ),
    ]

    def said(report):
        return f"{report[0]!r}, {report[1]:.3f} ({report[2]:.3f} to {report[3]:.3f})"

    def otherwise(k):
        wanted, got = choose(rate)(*cases[k]), outputs[k]
        if got[0] != wanted[0] and math.isclose(got[1], wanted[1], abs_tol=1e-9):
            return fewer
        right, names = cases[k]
        counts = ", ".join(
            f"{name} {right[names == name].sum()} of {np.sum(names == name)}" for name in np.unique(names)
        )
        return f"For {counts} it is {said(wanted)}; yours is {said(got)}."

    return _explain(cases, outputs, choose(rate), wrong, otherwise)


@exercise
def leave_speaker_out(answer):
    """`answer(speakers)`: for each person the rows of the others and of this one."""
    return _lists_too(lambda kind: _folds(answer, kind))


def _folds(answer, kind):
    cases = [
        "mia ben mia zoe ben mia".split(),
        ["kal", "awb at 90 %", "ked", "awb", "kal at 110 %", "kal at 90 %", "ked", "awb at 110 %"],
        ["tom", "ada at 90 %", "tom at 90 %", "ada at 95 %", "ann kate atkins", "ann kate atkins at 90 %"],
    ]
    outputs = []
    for names in cases:
        got = answer(kind(names))
        if got is None:
            return "It returns nothing; is there a `return` or a `yield`?"
        given = list(itertools.islice(got, len(names) + 2))
        if not given:
            return "There are no folds in it."
        folds = []
        for fold in given:
            if not isinstance(fold, tuple | list) or len(fold) != 3:
                return "A fold is a triple: the name, the rows of the others, the rows of this speaker."
            name, train, test = fold
            if not isinstance(name, str):
                return f"The first of the three is a name; yours is {name!r}."
            rows = [np.asarray(part) for part in (train, test)]
            for part in rows:
                if part.dtype.kind == "b":
                    return "A mask of True and False was given. Row numbers are asked: np.flatnonzero."
                if part.dtype.kind in "US":
                    return "Row numbers are asked, not names: np.flatnonzero."
                if part.ndim != 1 or part.size and part.dtype.kind not in "iu":
                    return "The second and the third of a fold are lists of row numbers."
            folds.append((str(name), *(tuple(part.tolist()) for part in rows)))
        outputs.append(tuple(folds))

    def rows(names, keep):
        return tuple(k for k, name in enumerate(names) if keep(name))

    def person(name):
        return name.split(" at ")[0]

    def folds(of, order=sorted):
        return lambda names: tuple(
            (one, rows(names, lambda n, s=one: of(n) != s), rows(names, lambda n, s=one: of(n) == s))
            for one in order({of(name): None for name in names})
        )

    right = folds(person)

    def same_name(name):
        return name

    def stretched_stay(names):  # tests the plain recordings alone
        return tuple(
            (one, train, tuple(k for k in test if names[k] == one)) for one, train, test in right(names)
        )

    def stretched_leak(names):  # tests them alone, and trains on the fast ones of the same person
        return tuple((one, rows(names, lambda n, s=one: n != s), rows(names, lambda n, s=one: n == s))
                     for one, *_ in right(names))  # fmt: skip

    def leak(names):  # tests all of the person, and trains on the fast ones as well
        return tuple((one, rows(names, lambda n, s=one: n != s), test) for one, _, test in right(names))

    def everything(names):
        return tuple((one, tuple(range(len(names))), test) for one, _, test in right(names))

    leaks = (
        "Someone who plays a recording faster is the same speaker: in the fold of {} the training rows hold "
        "recordings of that person."
    )
    wrong = [
        (
            folds(same_name),
            "'kal at 90 %' has become another speaker, and kal is trained on and tested. What comes before "
            "' at ' is the person.",
        ),
        (
            folds(same_name, order=list),
            "'kal at 90 %' has become another speaker. What comes before ' at ' is the person; and the order "
            "is alphabetical.",
        ),
        (lambda names: tuple((one, test, train) for one, train, test in right(names)),
         "Training and test are exchanged: first the rows of the others, then those of the speaker."),
        (folds(person, order=list), "The speakers are asked in alphabetical order, and not as they appear."),
        (folds(person, order=lambda them: sorted(them, reverse=True)), "The alphabet runs backward."),
        (leak, leaks.format("kal")),
        (stretched_leak, leaks.format("kal")),
        (stretched_stay, "The words of a speaker are all of them, those played faster or slower too."),
        (
            folds(lambda name: name.split(" at")[0]),
            "'ann kate atkins' was cut at ' at' without a space behind it. The mark is ' at ', with "
            "both spaces.",
        ),
        (
            folds(lambda name: name.split("at")[0].strip()),
            "'ann kate atkins' was cut at an 'at' that belongs to the name. The mark is ' at ', with both "
            "spaces.",
        ),
        (
            folds(lambda name: name.split(" ")[0]),
            "'ann kate atkins' was cut at the first space. The mark is ' at ', with both spaces.",
        ),
        (everything, "The training rows are all rows. Those of the speaker are to be left out."),
        (
            lambda names: tuple((one, tuple(k + 1 for k in train), tuple(k + 1 for k in test))
                                for one, train, test in right(names)),
            "The rows are counted from 1. Count from 0.",
        ),
    ]  # fmt: skip

    def otherwise(k):
        names, got, wanted = cases[k], outputs[k], right(cases[k])
        if [fold[0] for fold in got] != [fold[0] for fold in wanted]:
            shown = [fold[0] for fold in got[: len(names)]]
            return f"For {names} the folds are those of {[fold[0] for fold in wanted]}; yours are {shown}."
        for mine, fold in zip(got, wanted, strict=True):
            for part, rows_here, rows_wanted in zip(("training", "test"), mine[1:], fold[1:], strict=True):
                if rows_here != rows_wanted:
                    if sorted(rows_here) == list(rows_wanted):
                        return f"The {part} rows of {fold[0]!r} are not ascending."
                    return (
                        f"For {names} the {part} rows of {fold[0]!r} are {list(rows_wanted)}; yours are "
                        f"{list(rows_here)}."
                    )
        return None

    return _explain([(names,) for names in cases], outputs, right, wrong, otherwise)


@exercise
def speaker_difference(answer):
    """`answer(a, b)`: the mean difference over speakers and the half width of its interval."""
    rng = np.random.default_rng(0)

    def drawn(names, seeds, level):
        return {name: (level + rng.normal(0, 0.06) + rng.normal(0, 0.02, n)).round(3).tolist()
                for name, n in zip(names, seeds, strict=True)}  # fmt: skip

    four, six = list("abcd"), ["geo", "jac", "luc", "nic", "the", "ywe"]
    cases = [
        (drawn(four, [3] * 4, 0.7), drawn(four, [3] * 4, 0.8)),
        (drawn(six, [5] * 6, 0.9), drawn(six[::-1], [5] * 6, 0.85)),  # another order
        (drawn(six, [2, 5, 3, 7, 2, 4], 0.8), drawn(six, [4, 3, 3, 2, 6, 2], 0.82)),  # seeds that failed
    ]
    outputs = []
    for k, (a, b) in enumerate(cases):
        mine = [{name: list(values) for name, values in given.items()} for given in (a, b)]
        try:
            got = answer(*mine)
        except ValueError:
            if k < 2:
                raise
            return (
                "It breaks where speakers have different numbers of seeds. Average the seeds of each speaker "
                "first, then subtract."
            )
        if mine != [a, b]:
            return "It changed the lists that were given."
        if got is None:
            return "It returns nothing; is there a `return`?"
        got = _real(got)
        if got.shape == ():
            return "Two numbers are asked: the mean difference, and the half width of its interval."
        if got.shape != (2,):
            return f"Two numbers are asked, the mean and the half width; yours has the shape {got.shape}."
        if np.isnan(got).any():
            return "There is a NaN in it."
        outputs.append((float(got[0]), float(got[1])))

    def each(a, b):
        return np.array([np.mean(b[name]) - np.mean(a[name]) for name in a])

    def interval(values, quantile=0.975, ddof=1, freedom=-1, root=0.5, times=1.0):
        n = len(values)
        t = student.ppf(quantile, n + freedom)
        return float(values.mean()), float(times * t * values.std(ddof=ddof) / n**root)

    def varied(**changes):
        return lambda a, b: interval(each(a, b), **changes)

    def with_mean(mean, a, b):
        return float(mean), interval(each(a, b))[1]

    def everything(given):
        return np.concatenate([np.asarray(values) for values in given.values()])

    def seeds_too(a, b):
        return np.array([y - x for name in a for x, y in zip(a[name], b[name], strict=False)])

    def z(values, ddof=1):
        return float(values.mean()), float(norm.ppf(0.975) * values.std(ddof=ddof) / len(values) ** 0.5)

    def unpaired(a, b):
        one, two = (np.array([np.mean(values) for values in given.values()]) for given in (a, b))
        half = student.ppf(0.975, len(one) - 1) * np.sqrt((one.var(ddof=1) + two.var(ddof=1)) / len(one))
        return float(two.mean() - one.mean()), float(half)

    def zipped(a, b):
        return np.array([np.mean(y) - np.mean(x) for x, y in zip(a.values(), b.values(), strict=True)])

    pooled = (
        "You took every seed as one more independent number. Two seeds say nothing about a second speaker: "
        "average the seeds first; n is the number of speakers."
    )
    gaussian = "1.96 is the quantile of the normal distribution. With so few speakers take Student's t."
    wrong = [
        (lambda a, b: interval(-each(a, b)), "That is a - b. Asked is what b has more."),
        (lambda a, b: interval(seeds_too(a, b)), pooled),
        (lambda a, b: z(seeds_too(a, b)), pooled + " And take Student's t."),
        (lambda a, b: z(seeds_too(a, b), 0), pooled + " And take Student's t."),
        (lambda a, b: interval(zipped(a, b)),
         "The two do not name the speakers in the same order. Look each up by name: b[name] - a[name]."),
        (lambda a, b: z(each(a, b)), gaussian),
        (lambda a, b: (z(each(a, b))[0], z(each(a, b))[1] * 1.96 / norm.ppf(0.975)), gaussian),
        (lambda a, b: z(each(a, b), 0), gaussian + " And the deviation divides by n - 1."),
        (varied(ddof=0), "The deviation divides by n. Use n - 1: `ddof=1`."),
        (varied(freedom=0), "Of n numbers, n - 1 degrees of freedom are left."),
        (varied(quantile=0.95),
         "That is the 95 % quantile, which leaves 5 % on each side. Half of it: the 97.5 % quantile."),
        (varied(times=-1), "A half width is not negative. Take the 97.5 % quantile, and not the 2.5 %."),
        (varied(root=0), "The root of n is missing: the mean of n numbers varies less than each of them."),
        (varied(root=1), "You divide by n. The deviation of a mean falls with the root of n."),
        (varied(times=2), "That is the whole width. Half of it is asked."),
        (lambda a, b: (each(a, b).mean(), each(a, b).std(ddof=1) / len(a) ** 0.5),
         "That is the standard error. Multiply by t."),
        (lambda a, b: (each(a, b).mean(), each(a, b).std(ddof=1)),
         "That is the deviation of the differences. Multiply by t and divide by the root of n."),
        (unpaired,
         "You compare two groups of speakers. They are the same people: take each one's difference, and "
         "their deviation."),
        (lambda a, b: with_mean(everything(b).mean() - everything(a).mean(), a, b),
         "A speaker with more seeds weighs more in your mean. Average the seeds of each first."),
        (lambda a, b: (100 * interval(each(a, b))[0], 100 * interval(each(a, b))[1]),
         "You report percent points. Leave the accuracies as they are."),
        (lambda a, b: interval(each(a, b))[::-1], "The mean comes first, then the half width."),
        (lambda a, b: (interval(each(a, b))[0] - interval(each(a, b))[1], sum(interval(each(a, b)))),
         "Those are the ends of the interval. Its middle and its half width are asked."),
    ]  # fmt: skip

    def right(a, b):
        return interval(each(a, b))

    def otherwise(k):
        (mean, half), got = right(*cases[k]), outputs[k]
        differences = np.round(each(*cases[k]), 4).tolist()
        return (
            f"The speakers' differences {differences} make {mean:.4f} and {half:.4f}; yours are {got[0]:.4f} "
            f"and {got[1]:.4f}."
        )

    return _explain(cases, outputs, right, wrong, otherwise)


def _sure(answers, sureness, classes):
    """Probabilities [shape=(words, classes)] with a given likeliest class, and how sure of it."""
    rng = np.random.default_rng(2)
    p = np.zeros((len(answers), classes))
    for row, label, sure in zip(p, answers, sureness, strict=True):
        rest = rng.uniform(0.8, 1.2, classes - 1)
        row[np.arange(classes) != label] = (1 - sure) * rest / rest.sum()
        row[label] = sure
    return p


@exercise
def believed(answer):
    """`answer(p, share)`: of each word's answers the surest share, their rows and their classes."""
    many = _sure(
        [2, 0, 2, 1, 2, 0, 2, 0, 2, 1, 2, 0, 1],
        [0.9, 0.6, 0.97, 0.7, 0.95, 0.65, 0.99, 0.5, 0.93, 0.8, 0.96, 0.85, 0.55], 4,
    )  # fmt: skip
    ties = _sure([1, 0, 1, 1, 0, 1, 0], [0.7, 0.6, 0.9, 0.7, 0.6, 0.7, 0.6], 3)
    near = np.array([[50, 46, 4], [30, 40, 30], [48, 47, 5], [20, 20, 60], [33, 42, 25], [70, 20, 10]]) / 100
    cases = [(many, 0.6), (many, 0.3), (many, 0.05), (ties, 0.6), (ties, 0.3), (many, 1.0), (near, 0.6)]
    outputs = []
    for p, share in cases:
        mine = p.copy()
        got = answer(mine, share)
        if not np.array_equal(mine, p):
            return "It changed the array p that was given."
        if got is None:
            return "It returns nothing; is there a `return`?"
        if not isinstance(got, tuple | list) or len(got) != 2:
            return "Two arrays are asked, the row numbers and the class of each: `return rows, classes`."
        rows, labels = (np.asarray(part) for part in got)
        for part in (rows, labels):
            if part.dtype.kind == "b":
                return "A mask of True and False was given. Row numbers are asked: np.flatnonzero."
            if part.ndim != 1 or part.size and part.dtype.kind not in "iuf":
                return "Two arrays of whole numbers with one axis are asked."
        if any(part.size and part.dtype.kind not in "iu" for part in (rows, labels)):
            return "The numbers came as floats, which cannot index. Integer arrays are asked."
        if len(rows) != len(labels):
            return f"There are {len(rows)} rows and {len(labels)} classes: one class for each row is asked."
        outputs.append((tuple(rows.tolist()), tuple(labels.tolist())))

    def count(share, n):
        return max(1, round(share * n))

    def of_each(many=count, order=lambda p: np.argsort(-p, kind="stable"), arrange=sorted):
        def rule(p, share):
            answers, rows = p.argmax(axis=1), []
            for label in np.unique(answers):
                own = np.flatnonzero(answers == label)
                rows += own[order(p[own, label])[: many(share, len(own))]].tolist()
            rows = tuple(arrange(rows))
            return rows, tuple(answers[list(rows)].tolist())

        return rule

    def surest(p, n):
        rows = np.sort(np.argsort(-p.max(axis=1), kind="stable")[:n])
        return tuple(rows.tolist()), tuple(p.argmax(axis=1)[rows].tolist())

    def columns(p, share):
        pairs = []
        for label in np.unique(p.argmax(axis=1)):
            n = count(share, np.sum(p.argmax(axis=1) == label))
            pairs += [(int(row), int(label)) for row in np.argsort(-p[:, label], kind="stable")[:n]]
        pairs.sort()
        return tuple(row for row, _ in pairs), tuple(label for _, label in pairs)

    def threshold(p, share):
        rows = np.flatnonzero(p.max(axis=1) >= share)
        return tuple(rows.tolist()), tuple(p.argmax(axis=1)[rows].tolist())

    def equal(p, share):
        found = len(np.unique(p.argmax(axis=1)))
        return of_each(lambda share, n: count(share, len(p) / found))(p, share)

    wrong = [
        (
            lambda p, share: surest(p, count(share, len(p))),
            "That is a share of all answers: words of which the model is less sure are hardly believed. Take "
            "the share of each class.",
        ),
        (of_each(arrange=list), "The rows come class by class. They are asked in ascending order."),
        (
            of_each(lambda share, n: round(share * n)),
            "A class with few answers has vanished: the share of it rounds to 0. One is taken at least.",
        ),
        (of_each(lambda share, n: int(share * n)), "You cut off the fraction. Round, and take one at least."),
        (
            of_each(lambda share, n: max(1, int(share * n))),
            "You cut off the fraction of share times n. Round it.",
        ),
        (of_each(lambda share, n: math.ceil(share * n)), "You round up. `round` goes to the nearest."),
        (of_each(lambda share, n: count(share, n) + 1), "One too many of each class."),
        (
            of_each(order=lambda p: np.argsort(p, kind="stable")[::-1]),
            "Of equally sure ones you take the last. The first is asked: sort -p, with kind='stable'.",
        ),
        (
            of_each(order=lambda p: np.argsort(p, kind="stable")),
            "Those are the least sure. Sort the other way.",
        ),
        (
            of_each(order=lambda p: np.arange(len(p))),
            "Those are the first rows of each class, not the surest.",
        ),
        (
            columns,
            "A row was believed for a class that is not its likeliest. Only the rows that answer with a "
            "class compete for it.",
        ),
        (threshold, "You took `share` as a threshold of p. It is a share of the answers."),
        (equal, "Each class gives equally many. n is the number of rows that answer with this class."),
    ]

    def otherwise(k):
        p, share = cases[k]
        rows, labels = of_each()(p, share)
        got, classes = outputs[k]
        answers = p.argmax(axis=1).tolist()
        if got == rows:
            return f"The rows are right; their classes are {list(labels)}, and yours {list(classes)}."
        if sorted(got) == list(rows):
            return "The rows are right, but not in ascending order."
        return (
            f"With the answers {answers}, as sure as {np.round(p.max(axis=1), 2).tolist()}, and a share "
            f"of {share:g} the rows are {list(rows)}; yours are {list(got)}."
        )

    return _explain(cases, outputs, of_each(), wrong, otherwise)


@cache
def _sound(number, sr, seconds):
    """A made-up word at any rate: silence, two vowels of its own, above 4 kHz a hiss, silence."""
    rng = np.random.default_rng(number)
    t = np.arange(round(seconds * sr)) / sr
    place = t / seconds
    loud = np.sin(np.pi * np.clip((place - 0.2) / 0.6, 0, 1)) ** 0.5
    pitch = 2 * np.pi * np.cumsum(110 + 15 * number + 30 * place) / sr
    formant = np.where(place < 0.5, *rng.uniform(400, 3000, 2))
    top = min(40, int(0.45 * sr / (150 + 15 * number)))
    voiced = sum(
        np.sin(k * pitch) * np.exp(-(((k * 130 - formant) / 500) ** 2)) / k**0.3 for k in range(1, top)
    )
    hiss = rng.normal(0, 0.02, len(t)) if sr > 8000 else 0.0
    return 0.2 * loud * (voiced + hiss) + rng.normal(0, 1e-5, len(t))


def _to_features(y, sr, *, check=True, trim="after"):
    """What a listener makes of a sound, or would with another order of steps. No rate: as it came."""
    y = audio.check(y, sr) if check else np.asarray(y, dtype=float)
    y = audio.trim(y, sr) if trim == "before" else y
    y = audio.resample(y, sr, 8000)
    y = audio.trim(y, {"after": 8000, "old rate": sr}[trim]) if trim in ("after", "old rate") else y
    return features.log_mel(y, 8000, n_mels=20)


_CHAINS = [
    (lambda y, sr: _to_features(y, sr, trim="no"), "The silence at both ends is still there: audio.trim."),
    (
        lambda y, sr: _to_features(y, sr, trim="before"),
        "You trim before the rate is changed. The order is check, resample, trim.",
    ),
    (
        lambda y, sr: _to_features(y, sr, trim="old rate"),
        "audio.trim was told the old rate. After resampling it is 8000.",
    ),
    (
        lambda y, sr: features.log_mel(audio.trim(audio.check(y, sr), sr), sr, n_mels=20),
        "The sound was not resampled: bands of another rate are other bands. audio.resample(y, sr, 8000).",
    ),
    *(
        (
            lambda y, sr, trim_sr=trim_sr: features.log_mel(
                audio.trim(audio.check(y, sr), trim_sr or sr), 8000, n_mels=20
            ),
            "The sound was not resampled, but taken as if it came at 8000 Hz: it lasts too long and sounds "
            "too low.",
        )
        for trim_sr in (8000, None)
    ),
    (
        lambda y, sr: features.log_mel(audio.trim(audio.resample(audio.check(y, sr), sr, 8000), 8000), sr,
                                       n_mels=20),
        "features.log_mel was told the old rate. After resampling it is 8000.",
    ),
    (
        lambda y, sr: _to_features(audio.check(y, sr) / np.abs(audio.check(y, sr)).max(), sr),
        "The loudness was changed. Nobody asked for that.",
    ),
]  # fmt: skip


def _removed(k, means, counts, mu, kappa, refused):
    """Wrong constants that a listener may remove from word k: pairs of a constant and its hint."""
    n, total, last = len(means), sum(means), means[-1]
    frames = sum(m * c for m, c in zip(means, counts, strict=True))
    return [
        (np.zeros(20), "No mean was removed."),
        (
            total / n,
            "The mean was removed without its shrinking: mu and kappa have no part in it.",
        ),
        (
            mu,
            "Only mu was removed. The words heard so far, this one included, have a part in the mean.",
        ),
        (
            last,
            f"At word {k} the mean of this word alone was removed, without mu. Remember the words.",
        ),
        (
            (last + kappa * mu) / (1 + kappa),
            f"At word {k} only this word was counted. The mean of all words heard so far is asked: keep "
            "them in the object.",
        ),
        (
            (total - last + kappa * mu) / (n - 1 + kappa),
            f"At word {k} the word itself was not counted. First remember it, then take the mean.",
        ),
        (
            (n * frames / sum(counts) + kappa * mu) / (n + kappa),
            "A long word weighs more than a short one. Keep the mean of each word.",
        ),
        (
            (frames + kappa * mu) / (sum(counts) + kappa),
            "You count frames. Each word gives its mean and counts once; kappa is a number of words.",
        ),
        (total / (n + kappa), "mu is forgotten: the kappa words more say mu, and not 0."),
        ((total + kappa * mu) / n, "kappa is missing in the denominator."),
        (-(total + kappa * mu) / (n + kappa), "The mean was added. Subtract it."),
        (
            (total + kappa * mu) / (n + refused + kappa) if refused else np.full(20, np.nan),
            "A sound that was refused was counted. Count a word when its features are there.",
        ),
        (
            np.full(20, ((total + kappa * mu) / (n + kappa)).mean()),
            "One number was removed from all bands. Each band has its own mean: axis=0.",
        ),
    ]


@exercise
def listener(answer):
    """`answer(model, mu, kappa)`: an object that hears a sound and says the word and its probability."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", audio.AudioWarning)  # stereo is sent on purpose
        return _listen(answer)


def _listen(answer):
    import torch  # here, because no other check needs it

    class Model(torch.nn.Module):
        """Writes down what it is given, and answers with one row of logits after the other."""

        def __init__(self, seed):
            super().__init__()
            self.logits = torch.tensor(np.random.default_rng(seed).normal(0, 2, (9, 10)), dtype=torch.float32)
            self.given = []

        def forward(self, x, lengths):
            self.given.append((x, lengths))
            return self.logits[len(self.given) - 1 : len(self.given)].clone()

    rng = np.random.default_rng(0)
    mono, high = _sound(1, 8000, 0.5), _sound(2, 16000, 0.3)
    both = np.stack([_sound(3, 44100, 0.7), 0.5 * _sound(3, 44100, 0.7)], axis=1)
    broken = _sound(4, 8000, 0.3).copy()
    broken[1000] = np.nan
    sounds = [
        ("a sound at 8000 Hz", mono, 8000),
        ("16-bit integers at 16000 Hz", (high * 32767).astype(np.int16), 16000),
        ("silence", np.zeros(8000), 8000),
        ("stereo at 44100 Hz", both, 44100),
        ("a sound with a NaN", broken, 8000),
        ("a sound at 22050 Hz", _sound(5, 22050, 0.45), 22050),
    ]
    kappa, mus = 2.5, rng.normal(-6, 2, (2, 20))

    def start(mu, seed):
        model = Model(seed)
        return answer(model, mu, kappa), model, {"means": [], "counts": [], "refused": 0}

    def tell(one, model, memory, mu, what, y, sr):
        """A hint about one call."""
        sent, center, before = y.copy(), mu.copy(), len(model.given)
        refusal = "silence" in what or "NaN" in what
        try:
            got = one(sent, sr)
        except audio.AudioError as error:
            if not refusal:
                return f"It refused {what}: {error}"
            memory["refused"] += 1
            return None
        except Exception as error:
            if refusal:
                return (
                    f"For {what} it raised {type(error).__name__}: {error}. audio.check, the first step, "
                    "raises an AudioError."
                )
            if "(40,)" in str(error):
                return "features.log_mel makes 40 bands if nothing is said. 20 are asked: n_mels=20."
            return f"For {what} it raised {type(error).__name__}: {error}"
        if got is ... or (got is None and not model.given and not getattr(one, "__dict__", None)):
            raise Unanswered
        if refusal:
            return (
                f"It should refuse {what}, and answered {got!r}. audio.check comes first, and its AudioError "
                "passes through."
            )
        if not np.array_equal(sent, y) or not np.array_equal(mu, center):
            return f"It changed the {'mu' if np.array_equal(sent, y) else 'sound'} that was given."
        if len(model.given) != before + 1:
            asked = len(model.given) - before
            return f"For {what} the model was asked {'not at all' if not asked else f'{asked} times'}."
        return _given(*model.given[-1], what, y, sr, memory, mu, kappa) or _told(
            got, model.logits[before].double().numpy(), what
        )

    first = start(mus[0], 0)
    if not callable(first[0]):
        return (
            "Listener(model, mu, kappa) gives nothing that can be called: a class with a method `__call__`?"
        )
    for what, y, sr in sounds:
        hint = tell(*first, mus[0], what, y, sr)
        if hint:
            return hint
    second = start(mus[1], 1)
    for (one, model, memory), mu, (what, y, sr) in ((second, mus[1], sounds[1]), (first, mus[0], sounds[0])):
        hint = tell(one, model, memory, mu, what, y, sr)
        if hint:
            return f"Two listeners share a memory: keep what was heard in `self`, made in __init__. ({hint})"
    return None


def _given(x, lengths, what, y, sr, memory, mu, kappa):
    """A hint about what the model got; what was right is written into the memory."""
    import torch

    if not isinstance(x, torch.Tensor):
        return f"The model was given a {type(x).__name__}. It takes a torch tensor."
    wanted = _to_features(y, sr)
    if x.ndim == 2 and x.shape[1] == 20:
        return f"The model was given the shape {tuple(x.shape)}. A batch of one has one axis more: x[None]."
    if x.ndim != 3 or x.shape[0] != 1 or x.shape[2] != 20:
        return (
            f"The model was given the shape {tuple(x.shape)}; (1, frames, 20) is asked, a batch of one "
            "word in 20 bands."
        )
    if x.dtype != torch.float32:
        return f"The model was given numbers of type {x.dtype}. torch.float32 is asked."
    got = x[0].detach().double().numpy()
    given = np.asarray(lengths)
    if given.shape != (1,) or given.dtype.kind not in "iu" or given[0] != len(got):
        return f"The lengths are {lengths!r}, and should hold one integer, the {len(got)} frames of the word."

    def alike(a, b):  # but for the constant that was removed
        return a.shape == b.shape and np.allclose(a - a.mean(axis=0), b - b.mean(axis=0), atol=2e-3)

    if not alike(got, wanted):
        for chain, hint in _CHAINS:
            if alike(got, chain(y, sr)):
                return f"{hint} (It was {what}.)"
        if len(got) != len(wanted):
            return (
                f"For {what} the model was given {len(got)} frames; the steps of the text give {len(wanted)}."
            )
        return f"For {what} the model was given other log-mel features than those of the steps of the text."
    memory["means"].append(wanted.mean(axis=0))
    memory["counts"].append(len(wanted))
    means, n = memory["means"], len(memory["means"])
    removed = wanted.mean(axis=0) - got.mean(axis=0)
    if np.allclose(removed, (sum(means) + kappa * mu) / (n + kappa), atol=2e-3):
        return None
    for constant, hint in _removed(n, means, memory["counts"], mu, kappa, memory["refused"]):
        if np.allclose(removed, constant, atol=2e-3):
            return hint
    return (
        f"From word {n} ({what}) another mean was removed than the shrunk mean of the {n} "
        f"word{'s' * (n > 1)} heard: in the first band {removed[0]:.3f}, and not "
        f"{((sum(means) + kappa * mu) / (n + kappa))[0]:.3f}."
    )


def _told(got, logits, what):
    """A hint about the answer of one call."""
    if got is None:
        return "It returns nothing; is there a `return`?"
    if not isinstance(got, tuple | list) or len(got) != 2:
        return "Two things are asked, the word and its probability: `return word, p`."
    word, p = got
    best = int(np.argmax(logits))
    if not isinstance(word, str):
        return (
            f"The first of the two is a word; yours is {word!r}. corpus.DIGITS[label] is the word of a label."
        )
    if not isinstance(p, float):
        return f"The probability is a {type(p).__name__}. A float is asked: float(p)."
    softmax = np.exp(logits - logits.max())
    softmax /= softmax.sum()
    if math.isclose(p, 1.0, rel_tol=1e-6) and softmax[best] < 0.999:
        return "The probability is 1, whatever is said: the softmax ran over the batch of one, not the words."
    if word != corpus.DIGITS[best]:
        return f"For {what} the largest logit was that of {corpus.DIGITS[best]!r}; yours says {word!r}."
    again = np.exp(softmax) / np.exp(softmax).sum()
    z = logits[best]
    for value, hint in (
        (softmax[best], None),
        (z, "That is the logit. A softmax makes it a probability."),
        (math.log(softmax[best]), "That is the logarithm of the probability."),
        (1 / (1 + math.exp(-z)), "That is the logistic function of one logit. A softmax sees all ten."),
        (again[best], "The softmax was taken twice."),
        (100 * softmax[best], "That is in percent. A number between 0 and 1 is asked."),
        (1 - softmax[best], "That is the probability of the other nine words."),
    ):
        if math.isclose(p, value, rel_tol=1e-4, abs_tol=1e-6):
            return hint
    return f"For {what} the probability is {softmax[best]:.4f}; yours is {p:.4f}."
