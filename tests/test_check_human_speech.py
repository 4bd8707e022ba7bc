"""The exercises of the chapter: the stub fails, the solution passes, each typical mistake gets its hint."""

import math
from statistics import NormalDist

import numpy as np
import pytest
import torch
from scipy.stats import t as student

from speechlib import audio, check, corpus, features, metrics


def verdict(capsys, exercise, answer):
    passed = exercise(answer)
    return passed, capsys.readouterr().out


def total(words):
    return sum(x.mean(axis=0) for x in words)


def shrunk(words, mu, kappa):
    return (total(words) + kappa * mu) / (len(words) + kappa)


def shrunk_by_weight(words, mu, kappa):  # another right one
    w = len(words) / (len(words) + kappa)
    return (w * np.mean([x.mean(axis=0) for x in words], axis=0) + (1 - w) * mu).tolist()


def added_into_mu(words, mu, kappa):
    mu *= kappa
    for x in words:
        mu += x.mean(axis=0)
    return mu / (len(words) + kappa)


def own_of(means, speakers):
    speakers = np.asarray(speakers)
    return [means[speakers == name] for name in np.unique(speakers)]


def kappa_by(low=1, high=1, correction=lambda s2, own: np.mean([s2 / len(one) for one in own])):
    def kappa_of(means, speakers):
        own = own_of(means, speakers)
        s2 = np.mean([one.var(axis=0, ddof=low).mean() for one in own])
        centers = np.array([one.mean(axis=0) for one in own])
        return s2 / (centers.var(axis=0, ddof=high).mean() - correction(s2, own))

    return kappa_of


def kappa_of_bins(means, speakers):  # another right one, and as the chapter does it
    own = own_of(means, speakers)
    s2 = np.mean([one.var(axis=0, ddof=1) for one in own], axis=0)
    centers = np.array([one.mean(axis=0) for one in own])
    v = centers.var(axis=0, ddof=1) - np.mean([s2 / len(one) for one in own], axis=0)
    return s2.mean() / v.mean()


def bins_apart(means, speakers, average=lambda ratio: ratio):
    own = own_of(means, speakers)
    s2 = np.mean([one.var(axis=0, ddof=1) for one in own], axis=0)
    centers = np.array([one.mean(axis=0) for one in own])
    return average(s2 / (centers.var(axis=0, ddof=1) - np.mean([s2 / len(one) for one in own], axis=0)))


def other_s2(rule):
    def kappa_of(means, speakers):
        own, s2 = own_of(means, speakers), rule(means, speakers)
        centers = np.array([one.mean(axis=0) for one in own])
        return s2 / (centers.var(axis=0, ddof=1).mean() - np.mean([s2 / len(one) for one in own]))

    return kappa_of


def s2_of(means, speakers):
    return np.mean([one.var(axis=0, ddof=1).mean() for one in own_of(means, speakers)])


def pooled_s2(means, speakers):
    own = own_of(means, speakers)
    squares = sum(((one - one.mean(axis=0)) ** 2).sum(axis=0) for one in own)
    return np.mean(squares / (len(means) - len(own)))


def kappa_needs_an_array(means, speakers):
    return kappa_by()(means, speakers) if isinstance(speakers, np.ndarray) else means[speakers == "s0"].mean()


def counts_of(right, speakers):
    right, speakers = np.asarray(right), np.asarray(speakers)
    return {str(s): (int(right[speakers == s].sum()), int(np.sum(speakers == s))) for s in set(speakers)}


def worst_by(key, report=lambda correct, n: (correct / n, *metrics.interval(correct, n))):
    def worst(right, speakers):
        counts = counts_of(right, speakers)
        name = min(sorted(counts), key=lambda s: key(*counts[s]))
        return name, *report(*counts[name])

    return worst


def rate(correct, n):
    return correct / n, -n


def normal(correct, n):
    p = correct / n
    return p, p - 1.96 * math.sqrt(p * (1 - p) / n), p + 1.96 * math.sqrt(p * (1 - p) / n)


def worst_in_a_loop(right, speakers):  # another right one
    tally = {}
    for ok, name in zip(right, speakers, strict=True):
        a, b = tally.get(name, (0, 0))
        tally[name] = (a + bool(ok), b + 1)
    (a, b), name = min(((a, b), name) for name, (a, b) in tally.items())
    for other, (c, d) in tally.items():
        if c * b < a * d or c * b == a * d and d > b:
            name, a, b = other, c, d
    low, high = metrics.interval(a, b)
    return [name, np.float64(a / b), low, high]


def first_of_a_tie(right, speakers):
    counts = counts_of(right, speakers)
    name = min(sorted(counts, reverse=True), key=lambda s: counts[s][0] / counts[s][1])
    correct, n = counts[name]
    return name, correct / n, *metrics.interval(correct, n)


def interval_of_all(right, speakers):
    name, accuracy, *_ = worst_by(rate)(right, speakers)
    return name, accuracy, *metrics.interval(int(np.sum(right)), len(right))


def worst_needs_an_array(right, speakers):
    names = np.unique(speakers)
    accuracies = [right[speakers == name].mean() for name in names]
    name = names[np.argmin(accuracies)]
    return name, min(accuracies), *metrics.interval(int(right[speakers == name].sum()), sum(speakers == name))


def folds(speakers):
    persons = np.array([name.split(" at ")[0] for name in speakers])
    for name in np.unique(persons):
        yield str(name), np.flatnonzero(persons != name), np.flatnonzero(persons == name)


def folds_in_lists(speakers):  # another right one
    persons = [name.partition(" at ")[0] for name in speakers]
    return [
        [who, [i for i, p in enumerate(persons) if p != who], [i for i, p in enumerate(persons) if p == who]]
        for who in sorted(set(persons))
    ]


def folds_by(of, order=sorted):
    def folds(speakers):
        persons = [of(name) for name in speakers]
        for one in order(dict.fromkeys(persons)):
            mine = np.array([p == one for p in persons])
            yield one, np.flatnonzero(~mine), np.flatnonzero(mine)

    return folds


def changed(change):
    """The right folds, each sent through change(speakers, name, train, test)."""
    return lambda speakers: [change(np.asarray(speakers), *fold) for fold in folds(speakers)]


def folds_need_an_array(speakers):
    for name in sorted({s.split(" at ")[0] for s in speakers}):
        mine = np.array([s.split(" at ")[0] for s in np.unique(speakers)[np.searchsorted(
            np.unique(speakers), speakers)]]) == name  # fmt: skip
        yield name, np.flatnonzero(~mine), np.flatnonzero(mine) if hasattr(speakers, "dtype") else []


def endless(speakers):
    while True:
        yield "mia", [0], [1]


def each(a, b):
    return np.array([np.mean(b[name]) - np.mean(a[name]) for name in a])


def half(d, freedom=-1, quantile=0.975, ddof=1, root=0.5):
    return student.ppf(quantile, len(d) + freedom) * d.std(ddof=ddof) / len(d) ** root


def difference(a, b):
    return each(a, b).mean(), half(each(a, b))


def differing(**changes):
    return lambda a, b: (each(a, b).mean(), half(each(a, b), **changes))


def of_numbers(collect, width=half):
    return lambda a, b: (collect(a, b).mean(), width(collect(a, b)))


def pairs(a, b):
    return np.array([y - x for name in a for x, y in zip(a[name], b[name], strict=False)])


def in_given_order(a, b):
    return np.array([np.mean(y) - np.mean(x) for x, y in zip(a.values(), b.values(), strict=True)])


def rectangular(a, b):
    return (np.array([b[name] for name in a]) - np.array([a[name] for name in a])).mean(axis=1)


def flat(given):
    return np.concatenate(list(given.values()))


def two_groups(a, b):
    x, y = (np.array([np.mean(values) for values in given.values()]) for given in (a, b))
    error = np.sqrt((x.var(ddof=1) + y.var(ddof=1)) / len(x))
    return y.mean() - x.mean(), student.ppf(0.975, len(x) - 1) * error


def student_interval(a, b):  # another right one
    d = each(a, b)
    low, high = student.interval(0.95, len(d) - 1, loc=d.mean(), scale=d.std(ddof=1) / np.sqrt(len(d)))
    return np.array([(low + high) / 2, (high - low) / 2])


def believed_by(many=lambda share, n: max(1, round(share * n)), order=lambda p: np.argsort(-p, kind="stable"),
                arrange=np.sort):  # fmt: skip
    def believed(p, share):
        answers, rows = p.argmax(axis=1), []
        for label in np.unique(answers):
            own = np.flatnonzero(answers == label)
            rows += own[order(p[own, label])[: many(share, len(own))]].tolist()
        rows = arrange(np.array(rows, dtype=int))
        return rows, answers[rows]

    return believed


def believed_in_a_loop(p, share):  # another right one
    rows = []
    for label in range(p.shape[1]):
        own = sorted((-row[label], i) for i, row in enumerate(p) if row.argmax() == label)
        if own:
            rows += [i for _, i in own[: max(1, round(share * len(own)))]]
    return [sorted(rows), [int(p[i].argmax()) for i in sorted(rows)]]


def surest_of_all(p, share):
    rows = np.sort(np.argsort(-p.max(axis=1), kind="stable")[: max(1, round(share * len(p)))])
    return rows, p.argmax(axis=1)[rows]


def surest_by_column(p, share):
    found = []
    for label, n in zip(*np.unique(p.argmax(axis=1), return_counts=True), strict=True):
        found += [(row, label) for row in np.argsort(-p[:, label], kind="stable")[: max(1, round(share * n))]]
    return tuple(np.array(part) for part in zip(*sorted(found), strict=True))


def above(p, share):
    rows = np.flatnonzero(p.max(axis=1) >= share)
    return rows, p.argmax(axis=1)[rows]


def believed_then(change):
    """The right rows and classes, sent through change(p, rows, classes)."""
    return lambda p, share: change(p, *believed_by()(p, share))


class Listener:
    """The solution; the others below change one thing each."""

    bands, kind = 20, torch.float32

    def __init__(self, model, mu, kappa):
        self.model, self.mu, self.kappa, self.heard = model, mu, kappa, []

    def sound(self, y, sr):
        return audio.trim(audio.resample(audio.check(y, sr), sr, 8000), 8000)

    def features(self, y, sr):
        return features.log_mel(y, 8000, n_mels=self.bands)

    def remember(self, x):
        self.heard.append(x.mean(axis=0))

    def mean(self, x):
        self.remember(x)
        return (sum(self.heard) + self.kappa * self.mu) / (len(self.heard) + self.kappa)

    def ask(self, x):
        with torch.no_grad():
            return self.model(torch.tensor(x, dtype=self.kind)[None], torch.tensor([len(x)]))[0]

    def say(self, logits):
        p = torch.softmax(logits, dim=0)
        return corpus.DIGITS[int(p.argmax())], float(p.max())

    def __call__(self, y, sr):
        x = self.features(self.sound(y, sr), sr)
        return self.say(self.ask(x - self.mean(x)))


def steps(sound):
    """A listener with other steps from a recording to a waveform."""
    return type("Other", (Listener,), {"sound": lambda self, y, sr: sound(y, sr)})


def with_features(rule):
    return type("Other", (Listener,), {"features": lambda self, y, sr: rule(y, sr)})


def with_mean(mean):
    """A listener that removes mean(self, x); the words are in self.heard, this one too."""

    def remembered(self, x):
        self.remember(x)
        self.frames = getattr(self, "frames", []) + [x]
        return mean(self, x)

    return type("Other", (Listener,), {"mean": remembered})


def asked(ask):
    return type("Other", (Listener,), {"ask": lambda self, x: ask(self.model, x)})


def saying(say):
    return type("Other", (Listener,), {"say": lambda self, logits: say(logits)})


class RunningMean(Listener):  # another right one, in NumPy but for the model
    def __init__(self, model, mu, kappa):
        self.model, self.sum, self.weight = model.eval(), kappa * mu, kappa

    def mean(self, x):
        self.sum, self.weight = self.sum + x.mean(0), self.weight + 1
        return self.sum / self.weight

    def ask(self, x):
        return self.model(torch.from_numpy(np.float32(x[None])), [len(x)])

    def say(self, logits):
        z = logits.detach().numpy()[0].astype(float)
        p = np.exp(z - z.max()) / np.sum(np.exp(z - z.max()))
        return [corpus.DIGITS[p.argmax()], p.max()]


class CountsFirst(Listener):
    count = 0

    def __call__(self, y, sr):
        self.count += 1
        return super().__call__(y, sr)

    def mean(self, x):
        self.remember(x)
        return (sum(self.heard) + self.kappa * self.mu) / (self.count + self.kappa)


class OneMemory(Listener):
    heard = []

    def __init__(self, model, mu, kappa):
        self.model, self.mu, self.kappa = model, mu, kappa


class FreshOneMemory(OneMemory):
    heard = []

    def __init__(self, model, mu, kappa):
        super().__init__(model, mu, kappa)
        type(self).heard = []

    def remember(self, x):
        type(self).heard = type(self).heard + [x.mean(axis=0)]


class DefaultMemory(Listener):
    def __init__(self, model, mu, kappa, heard=[]):  # noqa: B006
        super().__init__(model, mu, kappa)
        self.heard = heard


class Swallows(Listener):
    def __call__(self, y, sr):
        try:
            return super().__call__(y, sr)
        except audio.AudioError:
            return "zero", 0.0


class Complains(Listener):
    def __call__(self, y, sr):
        try:
            return super().__call__(y, sr)
        except audio.AudioError as error:
            raise RuntimeError("no sound") from error


class ChangesMu(Listener):
    def mean(self, x):
        self.mu *= self.kappa
        self.mu += x.mean(axis=0)
        return self.mu


class ChangesSound(Listener):
    def __call__(self, y, sr):
        y[0] = 0 if y.ndim == 1 and y[0] else y[0]
        return super().__call__(y, sr)


class AsksTwice(Listener):
    def ask(self, x):
        super().ask(x)
        return super().ask(x)


class NeverAsks(Listener):
    def ask(self, x):
        return torch.arange(10.0)


class Stub:
    def __init__(self, model, mu, kappa): ...

    def __call__(self, y, sr): ...


class DotsStub(Stub):
    def __call__(self, y, sr):
        return ...


def hear(y, sr):
    return audio.resample(audio.check(y, sr), sr, 8000)


def softmax(logits):
    return torch.softmax(logits, dim=0)


def best(logits):
    return corpus.DIGITS[int(logits.argmax())]


RIGHT = [
    (check.shrunk_mean, shrunk),
    (check.kappa_of, kappa_by()),
    (check.worst_speaker, worst_by(rate)),
    (check.leave_speaker_out, folds),
    (check.speaker_difference, difference),
    (check.believed, believed_by()),
    (check.listener, Listener),
]

ALSO_RIGHT = [
    (check.shrunk_mean, shrunk_by_weight),
    (check.kappa_of, kappa_of_bins),
    (check.worst_speaker, worst_in_a_loop),
    (check.leave_speaker_out, folds_in_lists),
    (check.speaker_difference, student_interval),
    (check.speaker_difference, lambda a, b: [difference(a, b)[0], difference(a, b)[1]]),
    (check.believed, believed_in_a_loop),
    (check.listener, RunningMean),
    (check.listener, lambda model, mu, kappa: Listener(model, mu, kappa)),
]

MISTAKES = {
    check.shrunk_mean: [
        (lambda w, mu, k: (np.concatenate(w).sum(0) + k * mu) / (sum(map(len, w)) + k),
         "You count frames"),
        (lambda w, mu, k: (len(w) * np.concatenate(w).mean(0) + k * mu) / (len(w) + k),
         "A long word weighs more than a short one: you took"),
        (lambda w, mu, k: total(w) / len(w), "the mean of the words alone"),
        (lambda w, mu, k: np.concatenate(w).mean(0), "the mean of all frames: long words"),
        (lambda w, mu, k: mu, "That is mu"),
        (lambda w, mu, k: (total(w) + k * mu) / len(w), "kappa is missing in the denominator"),
        (lambda w, mu, k: total(w) / (len(w) + k), "mu is forgotten"),
        (lambda w, mu, k: (total(w) + mu) / (len(w) + k), "mu is counted once"),
        (lambda w, mu, k: (total(w) + mu) / (len(w) + 1), "counted as one word"),
        (lambda w, mu, k: (k * total(w) / len(w) + len(w) * mu) / (len(w) + k), "exchanged"),
        (lambda w, mu, k: (total(w) / len(w) + k * mu) / (1 + k), "yours count as one"),
        (lambda w, mu, k: (total(w) / len(w) + k * mu) / (len(w) + k), "where their sum"),
        (lambda w, mu, k: (sum(x.sum(0) for x in w) + k * mu) / (len(w) + k),
         "You add up the frames"),
        (lambda w, mu, k: (sum(x.mean() for x in w) + k * mu) / (len(w) + k), "over its bins"),
        (lambda w, mu, k: (total(w) - k * mu) / (len(w) + k), "mu has the wrong sign"),
        (lambda w, mu, k: (sum(x.mean(axis=1) for x in w) + k * mu) / (len(w) + k),
         "different numbers of frames"),
        (lambda w, mu, k: shrunk(w, mu, k).mean(), "One number a bin is asked, the shape (3,)"),
        (lambda w, mu, k: shrunk(w, mu, 2 * k), "For 1 word of [4] frames, kappa = 2.5"),
        (lambda w, mu, k: shrunk(w, mu, k) / 0 * 0, "could not be used"),
        (lambda w, mu, k: mu + math.nan, "NaN"),
        (lambda w, mu, k: shrunk(w, mu, k) + 1e-9j, "complex"),
        (lambda w, mu, k: None, "is there a `return`"),
        (added_into_mu, "It changed the words or mu"),
    ],
    check.kappa_of: [
        (kappa_by(0, 0), "Both variances divide by n"),
        (kappa_by(0, 1), "s² divides by n."),
        (kappa_by(1, 0), "The variance of the centers divides"),
        (kappa_by(correction=lambda s2, own: 0), "is not v yet"),
        (kappa_by(correction=lambda s2, own: -np.mean([s2 / len(one) for one in own])), "was added."),
        (kappa_by(correction=lambda s2, own: np.mean([
            one.var(axis=0, ddof=1).mean() / len(one) for one in own])), "each speaker's own variance"),
        (kappa_by(correction=lambda s2, own: s2 / np.mean([len(one) for one in own])),
         "divided by the mean number"),
        (kappa_by(correction=lambda s2, own: s2 / sum(len(one) for one in own)), "of all words. n"),
        (kappa_by(correction=lambda s2, own: s2 / len(own)), "by the number of speakers"),
        (kappa_by(correction=lambda s2, own: sum(s2 / len(one) for one in own)), "added up over"),
        (kappa_by(correction=lambda s2, own: s2), "All of s² was subtracted"),
        (kappa_by(correction=lambda s2, own: np.mean([s2 / len(one) ** 0.5 for one in own])),
         "the root of n belongs"),
        (other_s2(pooled_s2), "weighs more in your s²"),
        (other_s2(lambda means, speakers: means.var(axis=0, ddof=1).mean()), "around one mean"),
        (bins_apart, "one number a bin"),
        (lambda means, speakers: bins_apart(means, speakers, np.mean), "the ratios of the bins"),
        (lambda means, speakers: 1 / kappa_by()(means, speakers), "Upside down"),
        (lambda means, speakers: math.sqrt(kappa_by()(means, speakers)), "That is the root"),
        (s2_of, "That is s²"),
        (lambda means, speakers: s2_of(means, speakers) / kappa_by()(means, speakers), "That is v"),
        (lambda means, speakers: 2.0, "s² = 1.8"),
        (lambda means, speakers: means, "One number is asked; yours has the shape (16, 3)"),
        (lambda means, speakers: math.nan, "NaN"),
        (lambda means, speakers: np.sum(means.__imul__(2)), "It changed the means"),
        (kappa_needs_an_array, "begin with np.asarray"),
    ],
    check.worst_speaker: [
        (worst_by(lambda correct, n: correct - n), "the most words missed"),
        (worst_by(lambda correct, n: correct), "the fewest words recognized"),
        (worst_by(lambda correct, n: (-correct / n, -n)), "highest accuracy"),
        (worst_by(lambda correct, n: metrics.interval(correct, n)[0]), "the lower end of"),
        (worst_by(lambda correct, n: (correct / n, n)), "take the one with more words"),
        (worst_by(lambda correct, n: correct / n), "take the one with more words"),
        (first_of_a_tie, "take the one with more words"),
        (worst_by(rate, lambda c, n: (c / n, *metrics.interval(c, n)[::-1])), "The lower end"),
        (worst_by(rate, normal), "the normal interval"),
        (worst_by(rate, lambda c, n: (c / n, *metrics.interval(c, n, 0.9))), "90 %"),
        (worst_by(rate, lambda c, n: (c / n, *metrics.interval(c, n, 0.99))), "99 %"),
        (interval_of_all, "all speakers together"),
        (worst_by(rate, lambda c, n: (1 - c / n, *metrics.interval(n - c, n))), "report errors"),
        (worst_by(rate, lambda c, n: (1 - c / n, *metrics.interval(c, n))), "the error rate"),
        (worst_by(rate, lambda c, n: (100 * c / n, *(100 * e for e in metrics.interval(c, n)))),
         "percents"),
        (worst_by(rate, lambda c, n: (c / n, metrics.interval(c, n))), "with a star"),
        (worst_by(rate, lambda c, n: (c / n,)), "yours has 2 parts"),
        (lambda right, speakers: worst_by(rate)(right, speakers)[0], "a name alone"),
        (lambda right, speakers: (0, 0.7, 0.4, 0.9), "the name of one who spoke; yours is 0"),
        (worst_by(rate, lambda c, n: (c / n, 0.4, 0.8)), "bob 7 of 10"),
        (lambda right, speakers: ("bob", np.ones(2), 0.4, 0.8), "are one number each"),
        (lambda right, speakers: (speakers[0], right.__ior__(True)[0], 0, 1), "changed the array"),
        (worst_needs_an_array, "begin with np.asarray"),
    ],
    check.leave_speaker_out: [
        (folds_by(lambda name: name), "another speaker, and kal is trained on and tested"),
        (folds_by(lambda name: name, list), "the order is alphabetical"),
        (changed(lambda s, name, train, test: (name, test, train)), "exchanged"),
        (folds_by(lambda name: name.split(" at ")[0], list), "in alphabetical order, and not"),
        (folds_by(lambda name: name.split(" at ")[0], lambda x: sorted(x)[::-1]), "backward"),
        (changed(lambda s, name, train, test: (name, np.flatnonzero(s != name), test)),
         "the training rows hold"),
        (changed(lambda s, name, train, test: (
            name, np.flatnonzero(s != name), np.flatnonzero(s == name))), "the training rows hold"),
        (changed(lambda s, name, train, test: (name, train, test[s[test] == name])),
         "The words of a speaker are all of them"),
        (folds_by(lambda name: name.split(" at")[0]), "without a space behind it"),
        (folds_by(lambda name: name.split("at")[0].strip()), "belongs to the name"),
        (folds_by(lambda name: name.split()[0]), "cut at the first space"),
        (changed(lambda s, name, train, test: (name, np.arange(len(s)), test)), "all rows"),
        (changed(lambda s, name, train, test: (name, train + 1, test + 1)), "Count from 0"),
        (changed(lambda s, name, train, test: (name, train[::-1], test)), "not ascending"),
        (changed(lambda s, name, train, test: (name, train, test[:1])), "the test rows of 'ben'"),
        (changed(lambda s, name, train, test: (name, s != name, s == name)), "A mask"),
        (changed(lambda s, name, train, test: (name, s[train], s[test])), "not names"),
        (changed(lambda s, name, train, test: (name, test)), "A fold is a triple"),
        (changed(lambda s, name, train, test: (0, train, test)), "is a name; yours is 0"),
        (changed(lambda s, name, train, test: (name, train[0], test)), "lists of row numbers"),
        (lambda speakers: list(folds(speakers))[:-1], "yours are ['ben', 'mia']"),
        (lambda speakers: [], "no folds"),
        (lambda speakers: None, "or a `yield`"),
        (endless, "yours are ['mia', 'mia'"),
        (folds_need_an_array, "begin with np.asarray"),
    ],
    check.speaker_difference: [
        (lambda a, b: difference(b, a), "That is a - b"),
        (of_numbers(pairs), "You took every seed as one more"),
        (of_numbers(pairs, lambda d: NormalDist().inv_cdf(0.975) * d.std(ddof=1)
                                              / len(d) ** 0.5), "You took every seed as one more"),
        (of_numbers(in_given_order), "in the same order"),
        (of_numbers(each, lambda d: 1.96 * d.std(ddof=1) / len(d) ** 0.5), "1.96 is"),
        (of_numbers(each, lambda d: NormalDist().inv_cdf(0.975) * d.std() / len(d) ** 0.5),
         "And the deviation divides by n - 1"),
        (differing(ddof=0), "The deviation divides by n."),
        (differing(freedom=0), "n - 1 degrees"),
        (differing(quantile=0.95), "the 97.5 % quantile"),
        (differing(quantile=0.025), "not negative"),
        (differing(root=0), "The root of n is missing"),
        (differing(root=1), "falls with the root"),
        (of_numbers(each, lambda d: 2 * half(d)), "the whole width"),
        (of_numbers(each, lambda d: d.std(ddof=1) / len(d) ** 0.5), "standard error"),
        (of_numbers(each, lambda d: d.std(ddof=1)), "the deviation of the differences"),
        (two_groups, "two groups of speakers"),
        (lambda a, b: (flat(b).mean() - flat(a).mean(), half(each(a, b))), "more seeds"),
        (lambda a, b: 100 * np.array(difference(a, b)), "percent points"),
        (lambda a, b: difference(a, b)[::-1], "The mean comes first"),
        (lambda a, b: (difference(a, b)[0] - difference(a, b)[1], sum(difference(a, b))),
         "the ends of the interval"),
        (of_numbers(rectangular), "different numbers of seeds"),
        (lambda a, b: difference(a, b)[0], "Two numbers are asked: the mean difference"),
        (lambda a, b: each(a, b), "yours has the shape (4,)"),
        (lambda a, b: (0.1, 0.2), "yours are 0.1000 and 0.2000"),
        (lambda a, b: (0.1, math.nan), "NaN"),
        (lambda a, b: [values.sort() for values in a.values()][:2], "changed the lists"),
    ],
    check.believed: [
        (surest_of_all, "a share of all answers"),
        (believed_by(arrange=lambda rows: rows), "class by class"),
        (believed_by(lambda share, n: round(share * n)), "has vanished"),
        (believed_by(lambda share, n: int(share * n)), "cut off the fraction. Round, and"),
        (believed_by(lambda share, n: max(1, int(share * n))), "cut off the fraction of share"),
        (believed_by(lambda share, n: math.ceil(share * n)), "You round up"),
        (believed_by(lambda share, n: 1 + max(1, round(share * n))), "One too many"),
        (believed_by(order=lambda p: np.argsort(p, kind="stable")[::-1]), "you take the last"),
        (believed_by(order=lambda p: np.argsort(p, kind="stable")), "the least sure"),
        (believed_by(order=lambda p: np.arange(len(p))), "the first rows of each class"),
        (surest_by_column, "not its likeliest"),
        (above, "as a threshold"),
        (lambda p, share: believed_by(lambda _, n: max(1, round(
            share * len(p) / len(set(p.argmax(axis=1))))))(p, share), "equally many"),
        (believed_then(lambda p, rows, labels: (rows, np.sort(labels))), "their classes are"),
        (believed_then(lambda p, rows, labels: (rows, p.argmax(axis=1))), "one class for each row"),
        (believed_then(lambda p, rows, labels: rows), "`return rows, classes`"),
        (believed_then(lambda p, rows, labels: (rows[::-1], labels[::-1])), "not in ascending"),
        (believed_then(lambda p, rows, labels: (rows[1:], labels[1:])), "and a share of 0.6 the rows"),
        (believed_then(lambda p, rows, labels: (rows, p[rows].max(axis=1))), "came as floats"),
        (believed_then(lambda p, rows, labels: (np.isin(np.arange(len(p)), rows), labels)), "A mask"),
        (believed_then(lambda p, rows, labels: (p, labels)), "with one axis"),
        (believed_then(lambda p, rows, labels: (rows[:0], labels[:0])), "10, 11]; yours are []"),
        (lambda p, share: (p.sort(), p), "changed the array p"),
    ],
    check.listener: [
        (steps(hear), "The silence at both ends"),
        (steps(lambda y, sr: audio.resample(audio.trim(audio.check(y, sr), sr), sr, 8000)),
         "You trim before"),
        (steps(lambda y, sr: audio.trim(hear(y, sr), sr)), "audio.trim was told the old rate"),
        (steps(lambda y, sr: audio.trim(audio.check(y, sr), sr)), "as if it came at 8000 Hz"),
        (type("Other", (Listener,), {
            "sound": lambda self, y, sr: audio.trim(audio.check(y, sr), sr),
            "features": lambda self, y, sr: features.log_mel(y, sr, n_mels=20)}), "bands of another rate"),
        (with_features(lambda y, sr: features.log_mel(y, sr, n_mels=20)), "features.log_mel was told"),
        (steps(lambda y, sr: audio.trim(audio.check(hear(y, sr), 8000) / abs(hear(y, sr)).max(), 8000)),
         "The loudness was changed"),
        (steps(lambda y, sr: audio.trim(audio.resample(y, sr, 8000), 8000)), "16-bit integers"),
        (steps(lambda y, sr: audio.trim(audio.check(audio.resample(y, sr, 8000), 8000), 8000)),
         "It refused 16-bit integers at 16000 Hz"),
        (steps(lambda y, sr: audio.trim(audio.check(y, sr)[:: sr // 8000], 8000)), "other log-mel"),
        (with_features(lambda y, sr: features.log_mel(y, 8000)), "n_mels=20"),
        (with_features(lambda y, sr: features.log_mel(y, 8000, n_mels=20)[:-1]), "frames; the steps"),
        (with_mean(lambda self, x: 0), "No mean was removed"),
        (with_mean(lambda self, x: sum(self.heard) / len(self.heard)), "without its shrinking"),
        (with_mean(lambda self, x: self.mu), "Only mu was removed"),
        (with_mean(lambda self, x: (sum(self.heard[:-1]) + self.kappa * self.mu)
                                   / (len(self.heard) - 1 + self.kappa)), "Only mu was removed"),
        (with_mean(lambda self, x: x.mean(0) if len(self.heard) > 1 else
                                   (x.mean(0) + self.kappa * self.mu) / (1 + self.kappa)),
         "this word alone was removed"),
        (with_mean(lambda self, x: (x.mean(0) + self.kappa * self.mu) / (1 + self.kappa)),
         "At word 2 only this word"),
        (with_mean(lambda self, x: (sum(self.heard[: max(1, len(self.heard) - 1)]) + self.kappa * self.mu)
                                   / (max(1, len(self.heard) - 1) + self.kappa)),
         "the word itself was not counted"),
        (with_mean(lambda self, x: (len(self.heard) * np.concatenate(self.frames).mean(0)
                                                    + self.kappa * self.mu) / (len(self.heard) + self.kappa)),
         "A long word weighs more"),
        (with_mean(lambda self, x: (np.concatenate(self.frames).sum(0) + self.kappa * self.mu)
                                   / (sum(map(len, self.frames)) + self.kappa)), "You count frames"),
        (with_mean(lambda self, x: sum(self.heard) / (len(self.heard) + self.kappa)), "mu is forgotten"),
        (with_mean(lambda self, x: (sum(self.heard) + self.kappa * self.mu) / len(self.heard)),
         "kappa is missing"),
        (with_mean(lambda self, x: -(sum(self.heard) + self.kappa * self.mu)
                                   / (len(self.heard) + self.kappa)), "The mean was added"),
        (with_mean(lambda self, x: np.mean(sum(self.heard) + self.kappa * self.mu)
                                   / (len(self.heard) + self.kappa)), "One number was removed"),
        (with_mean(lambda self, x: x.mean(0) / 2), "From word 1 (a sound at 8000 Hz) another mean"),
        (CountsFirst, "A sound that was refused was counted"),
        (OneMemory, "Two listeners share a memory"),
        (FreshOneMemory, "Two listeners share a memory"),
        (DefaultMemory, "Two listeners share a memory"),
        (Swallows, "It should refuse silence, and answered ('zero', 0.0)"),
        (Complains, "For silence it raised RuntimeError"),
        (ChangesMu, "It changed the mu"),
        (ChangesSound, "It changed the sound"),
        (AsksTwice, "the model was asked 2 times"),
        (NeverAsks, "the model was asked not at all"),
        (type("Double", (Listener,), {"kind": torch.float64}), "numbers of type torch.float64"),
        (asked(lambda model, x: model(np.float32(x[None]), [len(x)])[0]), "It takes a torch tensor"),
        (asked(lambda model, x: model(torch.tensor(np.float32(x)), [len(x)])[0]), "x[None]"),
        (asked(lambda model, x: model(torch.tensor(np.float32(x.T[None])), [len(x)])[0]),
         "(1, frames, 20) is asked"),
        (asked(lambda model, x: model(torch.tensor(np.float32(x[None])), len(x))[0]), "The lengths are"),
        (asked(lambda model, x: model(torch.tensor(np.float32(x[None])), [20])[0]), "The lengths are"),
        (asked(lambda model, x: model(torch.tensor(np.float32(x[None])))[0]), "positional argument"),
        (asked(lambda model, x: Listener.ask(Listener(model, 0, 0), x)[None]), "ran over the batch"),
        (saying(lambda z: (int(z.argmax()), float(softmax(z).max()))), "corpus.DIGITS[label]"),
        (saying(lambda z: (best(z), softmax(z).max())), "The probability is a Tensor"),
        (saying(lambda z: (best(z), softmax(z).max().numpy()[()])), "is a float32"),
        (saying(lambda z: (best(-z), float(softmax(z).max()))), "the largest logit was that of"),
        (saying(lambda z: (best(z), 1.0)), "ran over the batch"),
        (saying(lambda z: (best(z), float(z.max()))), "That is the logit"),
        (saying(lambda z: (best(z), float(softmax(z).max().log()))), "That is the logarithm"),
        (saying(lambda z: (best(z), float(torch.sigmoid(z).max()))), "the logistic function"),
        (saying(lambda z: (best(z), float(softmax(softmax(z)).max()))), "was taken twice"),
        (saying(lambda z: (best(z), 100 * float(softmax(z).max()))), "in percent"),
        (saying(lambda z: (best(z), 1 - float(softmax(z).max()))), "the other nine words"),
        (saying(lambda z: (best(z), 0.5)), "yours is 0.5"),
        (saying(lambda z: best(z)), "`return word, p`"),
        (saying(lambda z: None), "is there a `return`"),
        (lambda model, mu, kappa: 3, "nothing that can be called"),
    ],
}  # fmt: skip
WRONG = [(exercise, *mistake) for exercise, mistakes in MISTAKES.items() for mistake in mistakes]

JUNK = [
    lambda *given: None,
    lambda *given: "zero",
    lambda *given: ("kal", "0.5", "0.4", "0.6"),
    lambda *given: ("0.1", "0.2"),
    lambda *given: np.ones((2, 7)),
    lambda *given: [1, [2, 3]],
    lambda *given: math.nan,
    lambda *given: (math.nan, math.nan),
    lambda *given: 0.5 + 1j,
    lambda *given: (1j, 1j),
    lambda *given: np.full(3, math.nan),
    lambda *given: (),
    lambda *given: given,
    lambda *given: [("mia", 0, 1)] * 3,
    lambda *given: [np.ones(2)] * 4,
    lambda *given: {"a": 1, "b": 2},
    lambda *given: lambda *more: "yes",
    lambda *given: lambda *more: (1, 2),
    lambda *given: lambda *more: more,
    lambda *given: lambda *more: 1 / 0,
    lambda *given: lambda: 1,
    lambda *given: 1 / 0,
    lambda: 1.0,
    lambda a: a,
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


@pytest.mark.parametrize("stub", [Stub, DotsStub])
def test_an_empty_class_fails(capsys, stub):
    passed, printed = verdict(capsys, check.listener, stub)
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
    from speechlib.check import human_speech

    assert {exercise.__name__ for exercise, _ in RIGHT} == set(human_speech.__all__)
