"""From synthetic voices to people: what the chapter on human speech and its targets rest on.

    python benchmarks/people.py [--seeds 0 1 2 3 4] [--studies NAME ...] [--jobs 2] [--short]

All networks are speechlib.models.TimeConvolution, trained by speechlib.train.fit in float32, one thread each:
AdamW, one cycle, smoothed labels, gradients clipped at norm 5, batches of 32.

* `rehearsal`: what helps a network that has heard formant voices only to understand the three recorded people
  of the training split. Nothing else is looked at.
* `recipes`: the few recipes that seemed worth it, trained on the whole training split and judged by all of
  FSDD. The recipe for the test split is the best for FSDD's six people. The recipe by which a speaker of FSDD
  is judged is the best for the other five.
* `test`: the test split, with the recipe that was chosen; and the same networks when the speaker's mean is
  estimated from 1, 5, 20 or all of a speaker's words.
* `few`: the same networks trained further with a few words of one speaker of FSDD, tested on the official
  test takes of that speaker and of the others.
* `left_out`: FSDD with one speaker left out, trained on the five others, on them and the synthetic voices,
  or on the synthetic voices alone.
* `official`: FSDD's official split, where all speakers are known; the recipe was chosen on takes 5 to 9.
* `markov`: hidden Markov models with one Gaussian a state, the recognizers that networks displaced, on the
  same splits.

Other seeds give a second file. FSDD is downloaded if it is not there; without it the studies that need it
keep what the stored file says. `--short` trains for 8 steps and stores nothing.
"""

import argparse
import copy
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from circumstances import circumstances  # noqa: I001

sys.path.pop(0)  # this folder: its files have the names of packages

import numpy as np
import torch
from hmmlearn.hmm import GMMHMM
from threadpoolctl import threadpool_limits
from torch import nn

from speechlib import audio, augment, clip, corpus, features, models, optim
from speechlib.adapt import self_train
from speechlib.train import Examples, fit

ROOT = Path(__file__).resolve().parents[1]
STORE = ROOT / "benchmarks" / "results" / "people.json"
CODE = [
    "speechlib/models.py", "speechlib/train.py", "speechlib/augment.py", "speechlib/optim",
    "speechlib/clip.py", "speechlib/features.py", "speechlib/audio.py", "speechlib/corpus.py",
    "speechlib/utterances.py", "data/digits",
]  # fmt: skip
PACKAGES = ["numpy", "scipy", "torch", "hmmlearn"]
MEN = ("kal", "ked", "awb")  # the recorded people of the training split
smoothed = partial(nn.functional.cross_entropy, label_smoothing=0.1)
SHORT = 8


class Recipe(NamedTuple):
    """How sound becomes features, how the training words are varied, and how long to train."""

    bands: int = 40
    cepstra: int = 0  # how many cosine coefficients to keep of the bands; 0: the bands themselves
    mean: str = "speaker"  # what is removed: see `normalized`
    speeds: tuple = (100,)  # in percent: a copy of all words at each
    noise: tuple | None = None  # dB: weakest and strongest noise, drawn for each word
    stretch: float = 0.0
    mask: bool = False
    dropout: float = 0.1
    channels: int = 64
    steps: int = 750
    strength: float = 2.4  # of the prior, for "shrunk": words


class Words(NamedTuple):
    """Utterances as log-mel features, and who said what."""

    log_mels: list
    labels: np.ndarray
    speakers: np.ndarray

    def part(self, kept):
        rows = np.flatnonzero(kept)
        return Words([self.log_mels[i] for i in rows], self.labels[rows], self.speakers[rows])


@cache
def sounds(name):
    """The shipped splits and FSDD."""
    return corpus.fsdd() if name == "fsdd" else corpus.digits(name)


@cache
def words(name, bands, speeds=(100,), noise=None):
    """Log-mel bands of a corpus. A speaker at another speed is another speaker."""
    rng = np.random.default_rng(0)
    log_mels, speakers = [], []
    for percent in speeds:
        ys = [one.y if percent == 100 else augment.speed(one.y, percent) for one in sounds(name)]
        if noise is not None:
            ys = [audio.add_noise(y, rng.uniform(*noise), rng=rng) for y in ys]
        batch, lengths = features.log_mel_batch(ys, 8000, n_mels=bands, dtype=np.float32)
        log_mels += [x[:n] for x, n in zip(batch, lengths, strict=True)]
        speakers += [one.speaker + ("" if percent == 100 else f" at {percent} %") for one in sounds(name)]
    return Words(log_mels, np.tile(sounds(name).labels, len(speeds)), np.array(speakers))


@cache
def prior(bands, cepstra):
    """What the mean of a word is expected to be before anything is heard: the mean over all speakers."""
    train = spectra(words("train", bands), cepstra)
    return np.mean([x.mean(axis=0) for x in train], axis=0)


def spectra(data, cepstra):
    return [features.dct(x, cepstra) for x in data.log_mels] if cepstra else data.log_mels


def normalized(data, recipe):
    """Examples, less the mean of the speaker or of the utterance, whole or shrunk, or that of training."""
    xs, each = spectra(data, recipe.cepstra), range(len(data.labels))
    before = prior(recipe.bands, recipe.cepstra)
    match recipe.mean:
        case "speaker":
            xs = features.cmvn_by(xs, data.speakers, variance=False)
        case "speaker, deviation":
            xs = features.cmvn_by(xs, data.speakers, variance=True)
        case "utterance":
            xs = features.remove_mean(xs, each, prior=before, strength=0)
        case "shrunk":
            xs = features.remove_mean(xs, each, prior=before, strength=recipe.strength)
        case "level, shrunk":  # how loud it is, whole; the shape of the spectrum, shrunk
            xs = [x - x.mean() for x in xs]
            xs = features.remove_mean(xs, each, prior=before - before.mean(), strength=recipe.strength)
        case "none":
            xs = [x - before for x in xs]
    return Examples([x.astype(np.float32) for x in xs], data.labels)


def varied(recipe):
    """The change of a training batch, or none."""

    def change(x, lengths, rng):
        if recipe.stretch:
            x, lengths = augment.stretch(x, lengths, rng, amount=recipe.stretch)
        return augment.mask(x, lengths, rng) if recipe.mask else (x, lengths)

    return change if recipe.stretch or recipe.mask else None


def lessons(recipe, without=()):
    """The training split as the recipe varies it, without some speakers."""
    data = words("train", recipe.bands, recipe.speeds, recipe.noise)
    return normalized(data.part(~np.isin(persons(data), without)), recipe)


def persons(data):
    """The speakers, whatever their speed."""
    return np.array([name.split(" at ")[0] for name in data.speakers])


def trained(recipe, data, seed, steps, model=None, lr=3e-3):
    """A network after so many steps, and the seconds that training took."""
    torch.manual_seed(seed)
    bins = data.features[0].shape[1]
    if model is None:
        model = models.TimeConvolution(bins, 10, channels=recipe.channels, dropout=recipe.dropout)
    started = time.process_time()
    fit(
        model, data,
        optimizer=partial(optim.AdamW, lr=lr, weight_decay=0.05),
        schedule=optim.one_cycle(steps, pct_start=0.15),
        steps=steps, loss=smoothed, clip=partial(clip.by_norm, max_norm=5.0), augment=varied(recipe),
        seed=seed, progress=False,
    )  # fmt: skip
    return model, time.process_time() - started


def probabilities(model, data):
    """Of each digit, for each utterance (N, 10)."""
    each = []
    with torch.no_grad():
        for start in range(0, len(data), 100):
            x, lengths, _ = data.batch(np.arange(start, min(start + 100, len(data))))
            each.append(torch.softmax(model(torch.from_numpy(x), torch.from_numpy(lengths)), dim=1))
    return torch.cat(each).numpy()


def by_speaker(p, data):
    """The accuracy for each speaker."""
    right = p.argmax(axis=1) == data.labels
    return {str(name): float(right[data.speakers == name].mean()) for name in np.unique(data.speakers)}


# ---- studies


class Run(NamedTuple):
    """What the command line asked for, what is measured already, and the first run, where choices stand."""

    seeds: list
    pool: ProcessPoolExecutor
    short: bool
    first: dict | None
    done: dict

    @property
    def choices(self):
        """The adaptation and the recipes that were chosen, in the first run."""
        stored = self.first or self.done
        return OPTIONS[stored["adaptation"]["chosen"]], stored["recipes"]["chosen"]

    def steps(self, steps):
        return SHORT if self.short else steps

    def each(self, job, names, *more, seeds=5):
        """`job(name, seed, ...)` for all names and the first seeds, as {name: [result of each seed]}."""
        first = self.seeds[:seeds]
        asked = {name: [self.pool.submit(job, name, seed, *more) for seed in first] for name in names}
        return {name: [one.result() for one in asked[name]] for name in names}


PLAIN = Recipe()
HELP = {
    "40 mel bands": PLAIN,
    "20 mel bands": PLAIN._replace(bands=20),
    "13 cosine coefficients": PLAIN._replace(cepstra=13),
    "20 bands, deviation removed too": PLAIN._replace(bands=20, mean="speaker, deviation"),
    "20 bands, speeds": PLAIN._replace(bands=20, speeds=(100, 80, 90, 111, 125)),
    "20 bands, noise": PLAIN._replace(bands=20, noise=(5, 50)),
    "20 bands, stretched": PLAIN._replace(bands=20, stretch=0.2),
    "20 bands, masked": PLAIN._replace(bands=20, mask=True),
    "20 bands, dropout 0.3": PLAIN._replace(bands=20, dropout=0.3),
    "20 bands, utterance's mean": PLAIN._replace(bands=20, mean="utterance"),
    "20 bands, utterance's mean shrunk": PLAIN._replace(bands=20, mean="shrunk"),
    "20 bands, no mean removed": PLAIN._replace(bands=20, mean="none"),
}


def men(recipe):
    """The words of the three recorded men, as they are."""
    data = words("train", recipe.bands)
    return data.part(np.isin(data.speakers, MEN))


def rehearse(name, seed, steps):
    recipe = HELP[name]
    judge = men(recipe)
    model, _ = trained(recipe, lessons(recipe, without=MEN), seed, steps)
    return by_speaker(probabilities(model, normalized(judge, recipe)), judge)


def rehearsal(run):
    results = run.each(rehearse, HELP, run.steps(500))
    for name, each in results.items():
        print(f"{name:36}", *(f"{100 * np.mean(list(one.values())):.1f}" for one in each), flush=True)
    return results


SPEEDS = (100, 80, 90, 111, 125)
VARIED = "20 bands, speeds, noise"
STRONG = Recipe(20, speeds=SPEEDS, noise=(5, 50), steps=1100)
STRONGER = STRONG._replace(noise=(0, 40), stretch=0.2, dropout=0.2, steps=1400)
RECIPES = {  # with all words of a speaker at hand, and with one word at a time
    "known": {
        "40 bands": Recipe(40),
        VARIED: STRONG,
        VARIED + ", stretched": STRONGER,
        VARIED + ", deviation": STRONG._replace(mean="speaker, deviation"),
    },
    "unknown": {
        "40 bands, utterance's mean": Recipe(40, mean="utterance"),
        VARIED + ", utterance's mean": STRONG._replace(mean="utterance"),
        VARIED + ", stretched, level and shrunk": STRONGER._replace(mean="level, shrunk", strength=0.7),
    },
}
ALL = {name: recipe for kind in RECIPES.values() for name, recipe in kind.items()}


@cache
def learned(name, seed, steps):
    """The network of a recipe, from the whole training split, and its seconds."""
    return trained(ALL[name], lessons(ALL[name]), seed, steps)


def judge_by_people(name, seed, short):
    recipe = ALL[name]
    model, seconds = learned(name, seed, SHORT if short else recipe.steps)
    data = words("fsdd", recipe.bands)
    p = probabilities(model, normalized(data, recipe))
    return {"speakers": by_speaker(p, data), "seconds": seconds, "p": p}


def recipes(run):
    measured, results = run.each(judge_by_people, ALL, run.short, seeds=3), {}
    data = words("fsdd", 40)
    for kind, named in RECIPES.items():
        rows = {}
        for name in named:
            each, together = measured[name], np.mean([one["p"] for one in measured[name]], axis=0)
            rows[name] = {
                "speakers": {s: [one["speakers"][s] for one in each] for s in each[0]["speakers"]},
                "all seeds together": by_speaker(together, data),
                "seconds": [round(one["seconds"], 1) for one in each],
            }
            speakers = rows[name]["speakers"].items()
            print(f"{kind:8} {name:40}", *(f"{s} {100 * np.mean(v):.1f}" for s, v in speakers),
                  f"seconds {np.mean(rows[name]['seconds']):.1f}", flush=True)  # fmt: skip
        results[kind] = rows
    return {"rows": results, "chosen": run.first["recipes"]["chosen"] if run.first else chosen(results)}


def chosen(results):
    """For the test split the best of all six; for each of the six the best of the other five."""

    def best(rows, people):
        return max(rows, key=lambda name: np.mean([np.mean(rows[name]["speakers"][s]) for s in people]))

    choice = {}
    for kind, rows in results.items():
        people = list(next(iter(rows.values()))["speakers"])
        others = {s: best(rows, [one for one in people if one != s]) for s in people}
        choice[kind] = {"test": best(rows, people)} | others
    return choice


def halves(data):
    """For each speaker, two halves of the words, drawn at random: one adapts, the other one is tested."""
    rng, second = np.random.default_rng(0), np.zeros(len(data.labels), dtype=bool)
    for name in np.unique(data.speakers):
        rows = rng.permutation(np.flatnonzero(data.speakers == name))
        second[rows[: len(rows) // 2]] = True
    return second


def further(recipe, steps):
    """What `self_train` and fine-tuning do in each round: a few steps more, from a lower rate."""

    def train(model, data, seed):
        trained(recipe._replace(stretch=0.2), data, seed, steps, model=model, lr=1e-3)

    return train


def adapted(model, recipe, data, teach, seed, short, **options):
    """Probabilities for all words, each from a copy adapted to the other half of its speaker's words."""
    examples, second = normalized(data, recipe), halves(data)
    p = np.zeros((len(examples), 10), dtype=np.float32)
    for name in np.unique(data.speakers):
        for half in (second, ~second):
            mine = data.speakers == name
            heard = [examples.features[i] for i in np.flatnonzero(mine & half)]
            train = further(recipe, SHORT if short else 40)
            own = self_train(model, heard, teach, train=train, seed=seed, **options)
            test = np.flatnonzero(mine & ~half)
            p[test] = probabilities(own, Examples([examples.features[i] for i in test], data.labels[test]))
    return p


OPTIONS = {  # of self-training
    f"{rounds} rounds, {round(100 * share)} %": dict(rounds=rounds, share=share)
    for rounds, share in ((1, 0.7), (3, 0.4), (3, 0.7), (3, 1.0))
}


def rehearse_adaptation(name, seed, short):
    recipe = ALL[VARIED]
    teach, data = lessons(recipe, without=MEN), men(recipe)
    model, _ = trained(recipe, teach, seed, SHORT if short else 700)
    results = {"before": by_speaker(probabilities(model, normalized(data, recipe)), data)}
    for options in OPTIONS:
        p = adapted(model, recipe, data, teach, seed, short, **OPTIONS[options])
        results[options] = by_speaker(p, data)
    return results


def adaptation(run):
    """Self-training on the unlabeled words of the three men; what is best there is taken for all others."""
    each = run.each(rehearse_adaptation, ["men"], run.short, seeds=3)["men"]
    rows = {name: [one[name] for one in each] for name in each[0]}
    score = {name: np.mean([list(one.values()) for one in rows[name]]) for name in rows}
    for name, value in score.items():
        print(f"{name:20} {100 * value:.1f}", flush=True)
    best = max(OPTIONS, key=score.get)
    return {"rows": rows, "chosen": run.first["adaptation"]["chosen"] if run.first else best}


HEARD = (1, 5, 20, None)  # words from which a speaker's mean is estimated; None: all


def by_words(model, recipe, data, seed):
    """Accuracy when a word meets a mean from n words of its speaker, itself among them; plain and shrunk."""
    rng, results = np.random.default_rng(seed), {}
    before, xs = prior(recipe.bands, recipe.cepstra), spectra(data, recipe.cepstra)
    means = np.array([x.mean(axis=0) for x in xs])
    own = {name: np.flatnonzero(data.speakers == name) for name in np.unique(data.speakers)}
    for n in HEARD:
        for strength in (0.0, recipe.strength):
            heard = []
            for i, x in enumerate(xs):
                others = own[data.speakers[i]]
                if n is not None:
                    others = np.append(rng.choice(others[others != i], n - 1, replace=False), i)
                m = (means[others].sum(axis=0) + strength * before) / (len(others) + strength)
                heard.append((x - m).astype(np.float32))
            p = probabilities(model, Examples(heard, data.labels))
            results[f"{n or 'all'} words{', shrunk' if strength else ''}"] = by_speaker(p, data)
    return results


def examine(name, seed, short, choice, options):
    """Everything about the chosen networks of one seed."""
    results = {}
    for kind in RECIPES:
        recipe = ALL[choice[kind]]
        model, seconds = learned(choice[kind], seed, SHORT if short else recipe.steps)
        test, dev = words("test", recipe.bands), words("dev", recipe.bands)
        p = probabilities(model, normalized(test, recipe))
        row = {"test": by_speaker(p, test), "seconds": round(seconds, 1), "p": {"test": p}}
        p = probabilities(model, normalized(dev, recipe))
        row["dev"] = float((p.argmax(axis=1) == dev.labels).mean())
        if kind == "known":
            teach = lessons(recipe)
            for where in ("test", "fsdd"):
                data = words(where, recipe.bands)
                row[f"{where}, by words"] = by_words(model, recipe, data, seed)
                p = adapted(model, recipe, data, teach, seed, short, **options)
                row[f"{where}, adapted"], row["p"][f"{where}, adapted"] = by_speaker(p, data), p
            row["few"] = few(model, recipe, teach, seed, short)
        results[kind] = row
    return results


FEW = (1, 3, 10)  # labeled words of each digit


def few(model, recipe, teach, seed, short):
    """A network trained further with a few labeled words of a speaker, by themselves or beside known ones."""
    data = words("fsdd", recipe.bands)
    examples, rng = normalized(data, recipe), np.random.default_rng(seed)
    official = np.array([one.split == "test" for one in sounds("fsdd")])
    results = {}
    for name in np.unique(data.speakers):
        mine = data.speakers == name
        test = {"own": np.flatnonzero(mine & official), "others": np.flatnonzero(~mine & official)}
        ways = {"none": model}
        for k in FEW:
            of_digit = [np.flatnonzero(mine & ~official & (data.labels == digit)) for digit in range(10)]
            shots = np.concatenate([rng.choice(rows, k, replace=False) for rows in of_digit])
            beside = rng.choice(len(teach), len(shots), replace=False)
            alone = [examples.features[i] for i in shots]
            both = alone + [teach.features[i] for i in beside]
            labels = np.concatenate([data.labels[shots], teach.labels[beside]])
            for how, xs in (("alone", alone), ("beside known words", both)):
                own = copy.deepcopy(model)
                further(recipe, SHORT if short else 60)(own, Examples(xs, labels[: len(xs)]), seed)
                ways[f"{k} of each, {how}"] = own
        for way, one in ways.items():
            for whom, rows in test.items():
                part = Examples([examples.features[i] for i in rows], data.labels[rows])
                right = probabilities(one, part).argmax(axis=1) == part.labels
                results.setdefault(way, {}).setdefault(whom, {})[str(name)] = float(right.mean())
    return results


def test(run):
    options, by_people = run.choices
    choice = {kind: by_people[kind]["test"] for kind in RECIPES}
    each = run.each(examine, ["test"], run.short, choice, options)["test"]
    together = {}
    for kind in RECIPES:
        for where in each[0][kind]["p"]:
            p = np.mean([one[kind]["p"][where] for one in each], axis=0)
            together[f"{kind}, {where}"] = by_speaker(p, words(where.split(",")[0], 40))
        for one in each:
            del one[kind]["p"]
            row = one[kind]
            print(kind, row["test"], row.get("test, adapted", ""), row["seconds"], flush=True)
    return {"choice": choice, "options": options, "seeds": each, "all seeds together": together}


MIXES = ("people", "people and synthetic")


def leave_out(mix, seed, name, short, options):
    """One speaker of FSDD after the five others: as it comes, and adapted to the other half of its words."""
    recipe = ALL[VARIED]
    people = words("fsdd", recipe.bands, recipe.speeds, recipe.noise)
    people = people.part(persons(people) != name)
    teach = normalized(people, recipe)
    if mix == "people and synthetic":
        voices = lessons(recipe)
        teach = Examples(teach.features + voices.features, np.concatenate([teach.labels, voices.labels]))
    clean = words("fsdd", recipe.bands)
    data = clean.part(clean.speakers == name)
    model, _ = trained(recipe, teach, seed, SHORT if short else 1100)
    plain = probabilities(model, normalized(data, recipe)).argmax(axis=1) == data.labels
    own = adapted(model, recipe, data, teach, seed, short, **options).argmax(axis=1) == data.labels
    return {"as it comes": float(plain.mean()), "adapted": float(own.mean())}


def left_out(run):
    speakers = sorted({one.speaker for one in sounds("fsdd")})
    job = partial(run.pool.submit, leave_out, short=run.short, options=run.choices[0])
    asked = {(mix, s): [job(mix, seed, s) for seed in run.seeds[:2]] for mix in MIXES for s in speakers}
    results = {}
    for (mix, s), each in asked.items():
        for one in [job.result() for job in each]:
            for how, accuracy in one.items():
                results.setdefault(f"{mix}, {how}", {}).setdefault(s, []).append(accuracy)
    for way, each in results.items():
        print(f"{way:36}", *(f"{s} {100 * np.mean(v):.1f}" for s, v in each.items()), flush=True)
    return results


OFFICIAL = {
    "40 bands": Recipe(40, steps=1500),
    "40 bands, stretched": Recipe(40, stretch=0.2, steps=2000),
    "20 bands, speeds, noise": Recipe(20, speeds=SPEEDS, noise=(5, 50), steps=2000),
}


def takes(recipe, first, last, plain=False):
    """FSDD's takes of these numbers, varied by the recipe or as they are."""
    speeds, noise = ((100,), None) if plain else (recipe.speeds, recipe.noise)
    data = words("fsdd", recipe.bands, speeds, noise)
    examples = normalized(data, recipe)
    take = np.tile([one.take for one in sounds("fsdd")], len(speeds))
    rows = np.flatnonzero((take >= first) & (take <= last))
    return Examples([examples.features[i] for i in rows], examples.labels[rows])


def officially(name, seed, first, judged, short):
    recipe = OFFICIAL[name]
    model, seconds = trained(recipe, takes(recipe, first, 49), seed, SHORT if short else recipe.steps)
    data = takes(recipe, *judged, plain=True)
    right = probabilities(model, data).argmax(axis=1) == data.labels
    return {"accuracy": float(right.mean()), "of": len(right), "seconds": round(seconds, 1),
            "parameters": models.parameters_of(model)}  # fmt: skip


def official(run):
    if run.first:
        tried, best = {}, run.first["official"]["chosen"]
    else:
        tried = run.each(officially, OFFICIAL, 10, (5, 9), run.short, seeds=2)
        best = max(tried, key=lambda name: np.mean([one["accuracy"] for one in tried[name]]))
    results = run.each(officially, [best], 5, (0, 4), run.short)[best]
    for name, each in (tried | {f"test: {best}": results}).items():
        print(f"{name:40}", *(f"{100 * one['accuracy']:.2f}" for one in each), flush=True)
    return {"tried on takes 5 to 9": tried, "chosen": best, "test": results}


STATES = 6


class Markov:
    """One hidden Markov model a digit: six states from left to right, one Gaussian each, MFCC and deltas."""

    def __init__(self, data):
        xs = self.front(data)
        self.models = []
        for digit in range(10):
            own = [x for x, label in zip(xs, data.labels, strict=True) if label == digit]
            model = GMMHMM(STATES, 1, init_params="", params="tmcw", n_iter=10, min_covar=1e-3)
            model.startprob_ = np.eye(STATES)[0]
            model.transmat_ = (np.eye(STATES) + np.eye(STATES, k=1)) / 2
            model.transmat_[-1, -1] = 1.0
            # each state starts from an equal stretch of every word
            stretches = [np.concatenate([np.array_split(x, STATES)[k] for x in own]) for k in range(STATES)]
            model.weights_ = np.ones((STATES, 1))
            model.means_ = np.array([[one.mean(axis=0)] for one in stretches])
            model.covars_ = np.array([[one.var(axis=0) + 1e-3] for one in stretches])
            model.fit(np.concatenate(own), [len(x) for x in own])
            self.models.append(model)

    @staticmethod
    def front(data):
        xs = features.cmvn_by(spectra(data, 13), data.speakers, variance=False)
        return [np.hstack([x, features.deltas(x)]).astype(float) for x in xs]

    def right(self, data):
        scores = np.array([[model.score(x) for model in self.models] for x in self.front(data)])
        return scores.argmax(axis=1) == data.labels


def markov_on(split, short):
    people = words("fsdd", 40)
    official = np.array([one.split == "test" for one in sounds("fsdd")])
    if split == "official":
        teach, judge = people.part(~official), people.part(official)
    elif split == "synthetic":
        teach, judge = words("train", 40), people
    elif split == "test":
        teach, judge = words("train", 40), words("test", 40)
    else:
        teach, judge = people.part(people.speakers != split), people.part(people.speakers == split)
    right = Markov(teach.part(np.arange(len(teach.labels)) % 7 == 0) if short else teach).right(judge)
    return {str(name): float(right[judge.speakers == name].mean()) for name in np.unique(judge.speakers)}


def markov(run):
    speakers = sorted({one.speaker for one in sounds("fsdd")})
    splits = ["test", "synthetic", "official", *speakers]
    asked = {split: run.pool.submit(markov_on, split, run.short) for split in splits}
    results = {split: one.result() for split, one in asked.items()}
    left = {s: results.pop(s)[s] for s in speakers}
    print({split: round(float(np.mean(list(one.values()))), 4) for split, one in results.items()},
          "left out", {s: round(one, 3) for s, one in left.items()}, flush=True)  # fmt: skip
    return results | {"left out": left}


STUDIES = {
    "markov": markov,
    "rehearsal": rehearsal,
    "adaptation": adaptation,
    "recipes": recipes,
    "test": test,
    "left_out": left_out,
    "official": official,
}
PEOPLE = ["markov", "recipes", "test", "left_out", "official"]  # need FSDD


def one_thread():
    torch.set_num_threads(1)
    threadpool_limits(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--studies", nargs="+", choices=STUDIES, default=list(STUDIES))
    parser.add_argument("--jobs", type=int, default=2, help="processes, one thread each")
    parser.add_argument("--short", action="store_true", help="to see whether it runs; stores nothing")
    options = parser.parse_args()
    again = options.seeds != parser.get_default("seeds") and not options.short
    output = STORE.with_stem("people-second") if again else STORE
    first = json.loads(STORE.read_text(encoding="utf-8")) if again else None
    studies = options.studies
    try:
        sounds("fsdd")
    except corpus.CorpusError as error:
        studies = [name for name in studies if name not in PEOPLE]
        print(f"FSDD cannot be read ({error}): its studies stay as they are stored")
    result = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
    with ProcessPoolExecutor(options.jobs, initializer=one_thread) as pool:
        run = Run(options.seeds, pool, options.short, first, result)
        for name in studies:
            started = time.perf_counter()
            print(f"\n{name}", flush=True)
            result[name] = STUDIES[name](run)
            about = {"seeds": options.seeds, "minutes": round((time.perf_counter() - started) / 60, 1)}
            result.setdefault("runs", {})[name] = about | circumstances(CODE, PACKAGES)
            if not options.short:
                output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
