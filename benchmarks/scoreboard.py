"""The scoreboard: what each recognizer of the book achieves, on synthetic voices and on people.

    python benchmarks/scoreboard.py

Every recognizer is the one of its chapter, trained on the train split of the shipped corpus. Where it has a
grid of settings, the one with the least loss on dev is taken. With it, and only then, it is tested on

* the test split of the shipped corpus: two recorded people, never heard in training;
* all of FSDD: six people, after training on synthetic voices;
* FSDD with one speaker left out: trained on five people, tested on the sixth, six times.

All of this is done three times, with another part of the features removed, in training and testing alike:
the mean of each utterance; the mean of each speaker, which supposes that all of a speaker's utterances are at
hand; and the mean and the deviation of each speaker. Settings are chosen with the first.

Only the weights that a network starts from are random: its row is that of seed 0, and the accuracies of
the other seeds are stored beside it. Results go to benchmarks/results/scoreboard.json, where the book reads
them. Where FSDD can be neither found nor downloaded, its results are kept from the stored run, and the
output says so.
"""

import hashlib
import itertools
import json
import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy
import soundfile

import speechlib
from speechlib import clip, corpus, features, losses, metrics, optim, templates
from speechlib.autograd import Tensor

ROOT = Path(__file__).resolve().parents[1]
CODE = [":(glob)speechlib/**/*.py", "data", ":(glob)benchmarks/*.py"]  # what the results depend on
STORE = ROOT / "benchmarks" / "results" / "scoreboard.json"
SCOPES = {
    "utterance": "utterance's mean",
    "speaker": "speaker's mean",
    "speaker_deviation": "speaker's mean and deviation",
}
# The table of the book: key, heading, where to find the result. The other results are stored with these.
COLUMNS = [
    ("dev", "dev", ("utterance", "dev")),
    ("test", "test", ("utterance", "test")),
    ("test_speaker", "test, speaker’s mean removed", ("speaker", "test")),
    ("fsdd", "FSDD, synthetic-trained", ("utterance", "fsdd")),
    ("fsdd_speaker", "FSDD, synthetic-trained, speaker’s mean removed", ("speaker", "fsdd")),
    ("fsdd_left_out", "FSDD, one speaker left out: mean (worst to best)", ("utterance", "fsdd_left_out")),
    (
        "fsdd_left_out_speaker",
        "FSDD, one speaker left out, speaker’s mean removed",
        ("speaker", "fsdd_left_out"),
    ),
]


class Data(NamedTuple):
    """A corpus as log-mel features, before normalization."""

    log_mels: list[np.ndarray]  # each (frames, 40)
    labels: np.ndarray
    speakers: np.ndarray
    recorded: np.ndarray  # whether the voice is that of a recorded person

    def part(self, which):
        """Some of the utterances, by a mask or by their numbers."""
        kept = [self.log_mels[i] for i in np.arange(len(self.labels))[which]]
        return Data(kept, self.labels[which], self.speakers[which], self.recorded[which])


def read(utterances):
    batch, lengths = features.log_mel_batch([one.y for one in utterances], 8000)
    return Data(
        [x[:n] for x, n in zip(batch, lengths, strict=True)],
        utterances.labels,
        np.array([one.speaker for one in utterances]),
        np.array([one.engine != "espeak" for one in utterances]),
    )


def normalized(xs, data, scope):
    if scope == "utterance":
        return [features.cmvn(x, variance=False) for x in xs]
    return features.cmvn_by(xs, data.speakers.tolist(), variance=scope == "speaker_deviation")


# ---- the recognizers, each as its chapter has it


class NearestMean:
    """Chapter on sound: the mean of eight equal stretches of log-mel; the nearest of ten means."""

    name = "nearest mean"
    grid = {"segments": [8]}

    def __init__(self, train, scope, segments):
        self.scope, self.segments = scope, segments
        self.model = templates.NearestMean().fit(self.pooled(train), train.labels)

    def pooled(self, data):
        xs = normalized(data.log_mels, data, self.scope)
        return features.pool(*features.pad(xs), self.segments).reshape(len(xs), -1)

    def predict(self, data):
        return self.model.predict(self.pooled(data))


class NearestTemplate:
    """Chapter on sound: MFCC, and the nearest of 120 templates by dynamic time warping.

    Of the shipped corpus the first take of each word, by all recorded people and every fourth other speaker;
    of five people of FSDD the first two takes of each word in the official training part.
    """

    name = "nearest template, dynamic time warping"
    grid = {"count": [120]}

    def __init__(self, train, scope, count):
        self.scope = scope
        kept = train.part(self.choose(train, count))
        self.model = templates.NearestTemplate().fit(self.mfcc(kept), kept.labels)

    @staticmethod
    def choose(data, count):
        people = sorted(set(data.speakers[data.recorded].tolist()))
        voices = people + sorted(set(data.speakers[~data.recorded].tolist()))[::4]
        takes = count // (10 * len(voices))
        kept = []
        for speaker, label in itertools.product(voices, range(10)):
            same = np.flatnonzero((data.speakers == speaker) & (data.labels == label))
            kept.extend(same[:takes])
        return np.array(kept)

    def mfcc(self, data):
        return normalized([features.dct(x, 13) for x in data.log_mels], data, self.scope)

    def predict(self, data):
        return self.model.predict(self.mfcc(data))


class Standardized:
    """The features of NearestMean, each with the mean 0 and the deviation 1 over the training set."""

    def __init__(self, train, scope):
        self.pooled = NearestMean(train, scope, segments=8).pooled
        x = self.pooled(train)
        self.center, self.scale = x.mean(axis=0), x.std(axis=0)

    def __call__(self, data):
        return (self.pooled(data) - self.center) / self.scale


class SoftmaxRegression:
    """Chapter on gradient descent: full-batch descent on the cross-entropy, with Nesterov's momentum.

    L bounds the curvature.
    """

    name = "softmax regression, gradient descent"
    grid = {
        "lr_times_L": [0.1, 0.3, 1.0],
        "weight_decay": [0.0, 0.003, 0.01, 0.03, 0.1],
        "momentum": [0.9],
        "steps": [400],
    }

    def __init__(self, train, scope, lr_times_L, weight_decay, momentum, steps):
        self.standardized = Standardized(train, scope)
        x = self.inputs(train)
        L = np.linalg.eigvalsh(x.T @ x / len(x))[-1] / 2
        rule = partial(
            optim.SGD, lr=lr_times_L / L, momentum=momentum, nesterov=True, weight_decay=weight_decay
        )

        def loss(weights):
            value, grad = losses.softmax_cross_entropy(x @ weights, train.labels)
            return value, x.T @ grad

        self.weights = optim.minimize(loss, np.zeros((x.shape[1], 10)), rule, steps).x[-1]

    def inputs(self, data):
        x = self.standardized(data)
        return np.column_stack([x, np.ones(len(x))])

    def predict(self, data):
        return (self.inputs(data) @ self.weights).argmax(axis=1)

    def loss(self, data):
        return losses.softmax_cross_entropy(self.inputs(data) @ self.weights, data.labels)[0]


class Network:
    """What the networks share: `inputs(data)`, `scores(inputs)` and `params` are the subclass's own."""

    def step(self, rule, x, labels, bound=None):
        """One step on a batch, its gradient no longer than `bound`."""
        z = self.scores(x)
        z.backward(losses.softmax_cross_entropy(z.data, labels)[1])
        grads = [p.grad for p in self.params]
        if bound is not None:
            clip.by_norm(grads, bound)
        rule.step(grads)
        for p in self.params:
            p.grad = None

    def predict(self, data):
        return self.scores(self.inputs(data)).data.argmax(axis=1)

    def loss(self, data):
        return losses.softmax_cross_entropy(self.scores(self.inputs(data)).data, data.labels)[0]


class MultilayerPerceptron(Network):
    """Chapter on backpropagation: tanh units between the features and the scores; descent as above."""

    name = "multilayer perceptron, backpropagation"
    grid = {
        "lr": [0.02, 0.05, 0.1],
        "weight_decay": [0.0, 0.01, 0.03],
        "momentum": [0.9],
        "units": [64],
        "steps": [400],
    }
    seeds = [0, 1, 2, 3, 4]

    def __init__(self, train, scope, lr, weight_decay, momentum, units, steps, seed=0):
        self.standardized = Standardized(train, scope)
        x = self.standardized(train)
        rng = np.random.default_rng(seed)
        W1 = rng.normal(size=(x.shape[1], units)) / np.sqrt(x.shape[1])
        W2 = rng.normal(size=(units, 10)) / np.sqrt(units)
        self.params = [Tensor(a, requires_grad=True) for a in (W1, np.zeros(units), W2, np.zeros(10))]
        rule = optim.SGD(
            [p.data for p in self.params], lr, momentum=momentum, nesterov=True, weight_decay=weight_decay
        )
        for _ in range(steps):
            self.step(rule, x, train.labels)

    def inputs(self, data):
        return self.standardized(data)

    def scores(self, x):
        W1, b1, W2, b2 = self.params
        return (Tensor(x) @ W1 + b1).tanh() @ W2 + b2


class RecurrentNetwork(Network):
    """Chapter on gradient clipping: ReLU units that begin with the identity, minibatches, clipped by norm."""

    name = "recurrent network, clipped gradients"
    grid = {"lr": [0.003, 0.01, 0.03], "bound": [1.0], "momentum": [0.9], "units": [64], "steps": [300]}
    seeds = [0, 1, 2, 3, 4]
    segments = 24

    def __init__(self, train, scope, lr, bound, momentum, units, steps, seed=0):
        self.pooled = NearestMean(train, scope, segments=self.segments).pooled
        x = self.sequences(train)
        self.center, self.scale = x.mean(axis=(0, 1)), x.std(axis=(0, 1))
        x = self.inputs(train)
        rng = np.random.default_rng(seed)
        U, V = 0.1 * rng.normal(size=(x.shape[2], units)), 0.1 * rng.normal(size=(units, 10))
        arrays = (U, np.eye(units), np.zeros(units), V, np.zeros(10))
        self.params = [Tensor(a, requires_grad=True) for a in arrays]
        rule = optim.SGD([p.data for p in self.params], lr, momentum=momentum)
        for _ in range(steps):
            rows = rng.choice(len(x), 32, replace=False)
            self.step(rule, x[rows], train.labels[rows], bound)

    def sequences(self, data):
        return self.pooled(data).reshape(len(data.labels), self.segments, -1)

    def inputs(self, data):
        return (self.sequences(data) - self.center) / self.scale

    def scores(self, x):
        U, W, b, V, c = self.params
        h = Tensor(np.zeros((len(x), W.shape[0])))
        for t in range(self.segments):
            h = (Tensor(x[:, t]) @ U + h @ W + b).relu()
        return h @ V + c


class AveragedPerceptron(MultilayerPerceptron):
    """Chapter on stochastic optimization: the same network; AdamW on minibatches, its last half averaged."""

    name = "averaged perceptron, AdamW on minibatches"
    grid = {"lr": [0.0003, 0.001, 0.003], "weight_decay": [0.01, 0.1, 1.0], "units": [64], "steps": [600]}

    def __init__(self, train, scope, lr, weight_decay, units, steps, seed=0):
        super().__init__(train, scope, lr, weight_decay, momentum=0.9, units=units, steps=0, seed=seed)
        x, arrays = self.standardized(train), [p.data for p in self.params]
        rng = np.random.default_rng([seed, 1])
        rule, average = optim.AdamW(arrays, lr, weight_decay=weight_decay), optim.Average(arrays)
        for step in range(steps):
            rows = rng.choice(len(x), 32, replace=False)
            self.step(rule, x[rows], train.labels[rows])
            if step >= steps // 2:
                average.update()
        for array, mean in zip(arrays, average.average, strict=True):
            array[...] = mean


RECOGNIZERS = [
    NearestMean,
    NearestTemplate,
    SoftmaxRegression,
    MultilayerPerceptron,
    RecurrentNetwork,
    AveragedPerceptron,
]


# ---- measuring


def count(right):
    correct, total = int(right.sum()), len(right)
    low, high = metrics.interval(correct, total)
    return dict(correct=correct, total=total, accuracy=correct / total, low=low, high=high)


def test(model, data):
    """The accuracy, overall and for each speaker if there are few."""
    right = model.predict(data) == data.labels
    result = count(right)
    speakers = sorted(set(data.speakers.tolist()))
    if len(speakers) <= 6:
        result["speakers"] = {name: count(right[data.speakers == name]) for name in speakers}
    return result


def leave_one_out(make, people):
    """Each speaker recognized after training on the others; all speakers count alike."""
    speakers = {}
    for name in sorted(set(people.speakers.tolist())):
        own = people.speakers == name
        model = make(people.part(~own))
        speakers[name] = count(model.predict(people.part(own)) == people.labels[own])
    return dict(mean=float(np.mean([one["accuracy"] for one in speakers.values()])), speakers=speakers)


def choose(recognizer, train, dev):
    """The settings with the least loss on dev, the first of equals; where there is no choice, no training."""
    grid = [
        dict(zip(recognizer.grid, values, strict=True))
        for values in itertools.product(*recognizer.grid.values())
    ]
    if len(grid) == 1:
        return grid[0], []
    tried = []
    for settings in grid:
        model = recognizer(train, "utterance", **settings)
        tried.append(dict(settings=settings, dev_loss=model.loss(dev), dev=test(model, dev)))
    return min(tried, key=lambda one: one["dev_loss"])["settings"], tried


def cell(result):
    """Percent, with the interval or the range over speakers."""
    if result is None:
        return "not measured"
    if "mean" in result:
        each = [one["accuracy"] for one in result["speakers"].values()]
        return f"{100 * result['mean']:.1f} ({100 * min(each):.1f}–{100 * max(each):.1f})"
    return f"{100 * result['accuracy']:.1f} ({100 * result['low']:.1f}–{100 * result['high']:.1f})"


def board_row(recognizer, about, sets, people, before):
    """Everything about one recognizer; without people, what the stored run says about them."""
    begun = time.perf_counter()
    settings, tried = choose(recognizer, sets["train"], sets["dev"])
    results = {}
    for scope in SCOPES:
        model = recognizer(sets["train"], scope, **settings)
        results[scope] = {name: test(model, sets[name]) for name in ("dev", "test")}
        if people is not None:
            results[scope]["fsdd"] = test(model, people)
            make = partial(recognizer, scope=scope, **settings)
            results[scope]["fsdd_left_out"] = leave_one_out(make, people)
        elif before:
            old = before["results"][scope]
            results[scope].update({key: old[key] for key in old if key.startswith("fsdd")})
    seeds = {}
    for seed in getattr(recognizer, "seeds", []):
        for scope in ("utterance", "speaker"):
            model = recognizer(sets["train"], scope, **settings, seed=seed)
            seeds.setdefault(scope, []).append(test(model, sets["test"])["accuracy"])
    if people is not None:
        fsdd_run = {key: about[key] for key in ("date", "commit", "corpus")}
    else:
        fsdd_run = before["fsdd_run"] if before else None
    return dict(
        recognizer=recognizer.name,
        **{key: cell(results[scope].get(name)) for key, _, (scope, name) in COLUMNS},
        settings=settings,
        grid=dict(declared=recognizer.grid, tried=tried),
        results=results,
        test_by_seed=seeds,
        fsdd_run=fsdd_run,
        seconds=round(time.perf_counter() - begun, 1),
    )


def about_this_run():
    def git(*arguments):
        run = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
        return run.stdout.strip() if run.returncode == 0 else None

    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    return dict(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=git("rev-parse", "HEAD"),
        changed_since_commit=bool(git("status", "--porcelain", "--", *CODE)),
        corpus=hashlib.sha256((ROOT / "data" / "SHA256SUMS").read_bytes()).hexdigest(),
        hardware=dict(cpu=cpu, cores=os.cpu_count(), threads=os.environ.get("OMP_NUM_THREADS", "not set")),
        versions=dict(
            python=platform.python_version(),
            speechlib=speechlib.__version__,
            numpy=np.__version__,
            scipy=scipy.__version__,
            soundfile=soundfile.__version__,
            libsndfile=soundfile.__libsndfile_version__,
        ),
        seeds="0 where weights are random; test_by_seed has the others",
    )


def report(row):
    """One recognizer, readable: every result, and the speakers where there are few."""
    print(f"\n{row['recognizer']}")
    for scope, title in SCOPES.items():
        for name, result in row["results"][scope].items():
            by = ", ".join(f"{k} {100 * v['accuracy']:.1f}" for k, v in result.get("speakers", {}).items())
            print(f"  {title:29s} {name:14s} {cell(result):18s} {by}")
    for scope, accuracies in row["test_by_seed"].items():
        print(f"  {SCOPES[scope]:29s} test by seed   {', '.join(f'{100 * one:.1f}' for one in accuracies)}")


def main():
    started = time.perf_counter()
    about = about_this_run()
    digits = corpus.digits()
    sets = {name: read(digits.split(name)) for name in ("train", "dev", "test")}
    stored = json.loads(STORE.read_text(encoding="utf-8"))["rows"] if STORE.exists() else []
    before = {row["recognizer"]: row for row in stored}
    try:
        everyone = corpus.fsdd()
        # The official training part first: templates are taken from there.
        people = read(corpus.Corpus([*everyone.split("train"), *everyone.split("test")]))
    except corpus.CorpusError as error:
        people = None
        print(f"FSDD cannot be read: {error}")

    print("Accuracy in percent (95 % Wilson interval; one speaker left out: mean, worst to best)")
    rows = []
    for recognizer in RECOGNIZERS:
        row = board_row(recognizer, about, sets, people, before.get(recognizer.name))
        rows.append(row)
        report(row)
        tried = f", the best of {len(row['grid']['tried'])}" if row["grid"]["tried"] else ""
        print(f"  {row['settings']}{tried}; {row['seconds']} s", flush=True)
        if people is None:
            run = row["fsdd_run"]
            print(f"  FSDD: {'kept from the stored run of ' + run['date'] if run else 'never measured'}")
            if run and run["corpus"] != about["corpus"]:
                print("  The corpus has changed since that run: repeat it with FSDD at hand")
    about["seconds"] = round(time.perf_counter() - started, 1)
    keys, heads, _ = zip(*COLUMNS, strict=True)
    STORE.parent.mkdir(exist_ok=True)
    board = dict(**about, columns=keys, heads=heads, rows=rows)
    STORE.write_text(json.dumps(board, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\n{about['seconds']:.0f} s on {about['hardware']['cpu']}; stored in {STORE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
