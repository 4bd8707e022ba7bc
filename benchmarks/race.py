"""The race of optimizers: how many steps each rule needs to a target, tuned alike, everything published.

    python benchmarks/race.py [--short] [--timing] [--workload NAME ...] [--contestants NAME ...] [--seed 0]
                              [--jobs 1] [--output benchmarks/results/race.json]

PyTorch computes the gradients, in float32 on one thread; the rules of speechlib.optim make the steps. The
model's start and the order of the data depend on a seed only and are the same for all rules. What is measured
is the loss on the dev split, every 10 steps and off the clock.

The manners are those of AlgoPerf (G. Dahl et al., "Benchmarking neural network training algorithms", 2023),
in small:

* The target of a workload comes from four usual rules with 20 trials each. The best trial, by its lowest dev
  loss within a third of the budget of steps, is run again with ten other seeds; the median of their lowest
  losses, again within a third of the budget, is the target.
* Every rule then has the same number of trials, drawn at random from a space that was declared before and
  knows nothing of the workload. Two rounds of three studies, each of five trials and with a seed of its own.
  The score of a study is the smallest number of steps to the target among its trials, and infinite where no
  trial got there.
* One workload is held out: nobody ran it while the number of steps and the spaces were chosen.
* Steps come first. Seconds are measured by themselves, when the machine is quiet (`--timing`): a step of each
  rule on each workload, beside a calibration kernel. Seconds to the target are steps times seconds per step.

A race may be stopped and goes on where it stopped when the same command is given again: every finished run
is kept in the folder .race, which git ignores, until all are stored. Results of another seed, or of some
workloads or contestants only, are stored under another name. `--short` takes about five minutes, has two
workloads, one round and an easier search for the target, and stores nothing.
"""

import argparse
import hashlib
import json
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from circumstances import circumstances  # noqa: I001

sys.path.pop(0)  # this folder: its files have the names of packages

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import nn
from tqdm import tqdm

from speechlib import clip, corpus, features, optim

ROOT = Path(__file__).resolve().parents[1]
STORE = ROOT / "benchmarks" / "results" / "race.json"
JOURNALS = ROOT / ".race"
CODE = [
    "speechlib/optim", "speechlib/clip.py", "speechlib/features.py", "speechlib/corpus.py",
    "speechlib/utterances.py", "data/digits",
]  # fmt: skip
PACKAGES = ["numpy", "scipy", "torch"]
STEPS = 300  # the budget of a run, on every workload
TUNED = 3  # a target is what a baseline reaches in a third of the budget; at a half, few trials got there
EVERY = 10  # steps from one look at the dev loss to the next
POINTS = 10  # dev losses of a run that are stored
# Warm-up, then a constant step: a step that falls needs to know the end, and steps to a target would depend
# on a guess of it.
WARMUP = 0.05  # part of the budget


# ---- workloads


class Split(NamedTuple):
    """Inputs and what to predict."""

    x: torch.Tensor
    y: torch.Tensor


class Data(NamedTuple):
    train: Split
    dev: Split


@dataclass(frozen=True)
class Workload:
    """What is to be learned: data, model, loss, and how a step is made of them."""

    name: str
    about: str
    data: Callable[[], Data]
    model: Callable[[], nn.Module]
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # the mean over a batch
    batch: int = 32
    clip: float | None = None  # the largest norm of the gradient
    l2: float = 0.0  # l2 / 2 * (sum of the squared weights) belongs to the training loss
    steps: int = STEPS
    held_out: bool = False


@cache
def log_mels(split):
    """The digits of a split as log-mel features less their speaker's mean, and their labels."""
    digits = corpus.digits(split)
    batch, lengths = features.log_mel_batch([one.y for one in digits], 8000)
    xs = [x[:n] for x, n in zip(batch, lengths, strict=True)]
    return features.cmvn_by(xs, [one.speaker for one in digits], variance=False), digits.labels


def standardized(train, dev, axes):
    """Both less the training set's mean and divided by its deviation, taken over `axes`."""
    center, scale = train.mean(axis=axes), train.std(axis=axes)
    return [torch.tensor((x - center) / scale, dtype=torch.float32) for x in (train, dev)]


@cache
def pooled(segments, flat=False):
    """Digits as the means of equal stretches; the label is to be predicted.

    Standardized by band, or entry by entry where all are to stand in one row.
    """
    xs, labels = zip(log_mels("train"), log_mels("dev"), strict=True)
    train, dev = (features.pool(*features.pad(x), segments) for x in xs)
    if flat:
        train, dev = train.reshape(len(train), -1), dev.reshape(len(dev), -1)
    train, dev = standardized(train, dev, axes=tuple(range(train.ndim - 1)))
    return Data(*(Split(x, torch.tensor(y)) for x, y in zip((train, dev), labels, strict=True)))


def with_context(xs, context):
    """From (frames, bands): each run of `context` frames in one row, and the frame that follows it."""
    windows = [np.lib.stride_tricks.sliding_window_view(x, context + 1, axis=0) for x in xs]
    windows = np.concatenate(windows).swapaxes(1, 2)  # (windows, context + 1, bands)
    return windows[:, :-1].reshape(len(windows), -1), windows[:, -1]


@cache
def next_frame(context=4, dev_frames=4000):
    """Standardized frames; the next is to be predicted from those before it."""
    (train, _), (dev, _) = log_mels("train"), log_mels("dev")
    every = np.concatenate(train)
    center, scale = every.mean(axis=0), every.std(axis=0)
    splits = []
    for xs in (train, dev):
        x, y = with_context([(one - center) / scale for one in xs], context)
        if xs is dev:
            kept = np.sort(np.random.default_rng(0).choice(len(x), dev_frames, replace=False))
            x, y = x[kept], y[kept]
        splits.append(Split(*(torch.tensor(a, dtype=torch.float32) for a in (x, y))))
    return Data(*splits)


class Convolution(nn.Module):
    """Two layers that see five frames each, then the mean over time."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv1d(40, 32, 5), nn.Conv1d(32, 64, 5)
        self.last = nn.Linear(64, 10)

    def forward(self, x):  # (N, T, 40) -> (N, 10)
        h = nn.functional.max_pool1d(self.first(x.transpose(1, 2)).relu(), 2)
        return self.last(self.second(h).relu().mean(dim=2))


class Recurrent(nn.Module):
    """A plain recurrent network; its last state is classified."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.RNN(40, 64, batch_first=True)
        self.last = nn.Linear(64, 10)

    def forward(self, x):  # (N, T, 40) -> (N, 10)
        return self.last(self.hidden(x)[1][0])


def softmax_model():
    return nn.Linear(320, 10)


def perceptron():
    return nn.Sequential(nn.Linear(160, 128), nn.Tanh(), nn.Linear(128, 128), nn.Tanh(), nn.Linear(128, 40))


def flat_digits():
    return pooled(8, flat=True)


def digits_for_convolution():
    return pooled(32)


def digits_for_recurrent():
    return pooled(24)


def cross_entropy(scores, labels):
    """With smoothed labels. Without, the loss on dev hangs on a few digits that a model is too sure of.

    In trials before the race, the target was then reached by a lucky dip early, or not at all.
    """
    return nn.functional.cross_entropy(scores, labels, label_smoothing=0.1)


squared_error = nn.functional.mse_loss
WORKLOADS = {
    one.name: one
    for one in [
        Workload(
            "softmax", "convex: softmax regression on 8 x 40 numbers a digit, with a little weight decay",
            flat_digits, softmax_model, cross_entropy, l2=1e-2,
        ),
        Workload(
            "convolution", "two convolutions over 32 x 40 numbers a digit, and the mean over time",
            digits_for_convolution, Convolution, cross_entropy,
        ),
        Workload(
            "recurrent", "a tanh recurrent network over 24 x 40 numbers a digit; gradients clipped at norm 1",
            digits_for_recurrent, Recurrent, cross_entropy, clip=1.0,
        ),
        Workload(
            "next_frame", "held out: the next log-mel frame from the four before it, two tanh layers",
            next_frame, perceptron, squared_error, batch=64, held_out=True,
        ),
    ]
}  # fmt: skip


# ---- contestants


@dataclass(frozen=True)
class Contestant:
    """A rule, and the space from which its trials are drawn."""

    name: str
    number: int  # stays the same when others come or go: the trials depend on it
    make: Callable  # (params, **settings) -> Optimizer
    lr: tuple[float, float]
    why: str  # what the range of lr lies around
    beta: tuple[float, float] | None = None  # the range of 1 - beta
    weight_decay: tuple[float, float] | None = None

    @property
    def space(self):
        """Setting -> the range in which it, or for beta what it lacks of 1, is log-uniform."""
        ranges = {"lr": self.lr, "beta": self.beta, "weight_decay": self.weight_decay}
        return {name: list(limits) for name, limits in ranges.items() if limits}

    def trials(self, seed, count):
        """The settings of `count` trials; the first of them do not depend on how many follow."""
        rng = np.random.default_rng([seed, self.number])
        return [{name: self.draw(name, rng) for name in self.space} for _ in range(count)]

    def draw(self, name, rng):
        low, high = np.log(self.space[name])
        drawn = float(f"{np.exp(rng.uniform(low, high)):.4g}")  # what is published is exactly what ran
        return round(1 - drawn, 6) if name == "beta" else drawn


def muon(params, lr, beta, weight_decay):
    """Kernels as matrices; the last matrix, where there are others, and all biases go to AdamW.

    As its author advises, with his proportion of the two step sizes, 3e-4 to 0.02.
    """
    params = [p.reshape(len(p), -1) if p.ndim > 2 else p for p in params]
    matrices = [i for i, p in enumerate(params) if p.ndim == 2]
    last = tuple(matrices[-1:]) if len(matrices) > 1 else ()
    return optim.Muon(params, lr, momentum=beta, weight_decay=weight_decay, adamw=last, adamw_factor=0.015)


MEMORY = (0.01, 0.3)  # 1 - beta: memories of 3 to 100 gradients
DECAY = (1e-4, 1e-1)  # around AdamW's 1e-2
CONTESTANTS = {
    one.name: one
    for one in [
        Contestant("SGD", 0, optim.SGD, (1e-3, 1.0), "0.1, the usual first guess"),
        Contestant(
            "momentum", 1, lambda params, lr, beta: optim.SGD(params, lr, momentum=beta),
            (1e-3, 1.0), "as SGD", MEMORY,
        ),
        Contestant(
            "Nesterov", 2, lambda params, lr, beta: optim.SGD(params, lr, momentum=beta, nesterov=True),
            (1e-3, 1.0), "as SGD", MEMORY,
        ),
        Contestant("Adagrad", 3, optim.Adagrad, (1e-3, 1.0), "0.01; its steps shrink, so it starts longer"),
        Contestant("RMSprop", 4, optim.RMSprop, (1e-4, 1e-1), "0.001, as Adam"),
        Contestant(
            "Adam", 5, lambda params, lr, beta: optim.Adam(params, lr, (beta, 0.999)),
            (1e-4, 1e-1), "0.001, its authors' value", MEMORY,
        ),
        Contestant(
            "AdamW", 6,
            lambda params, lr, beta, weight_decay: optim.AdamW(
                params, lr, (beta, 0.999), weight_decay=weight_decay
            ),
            (1e-4, 1e-1), "0.001, as Adam", MEMORY, DECAY,
        ),
        Contestant(
            "NAdam", 7, lambda params, lr, beta: optim.NAdam(params, lr, (beta, 0.999)),
            (1e-4, 1e-1), "0.002, its author's value", MEMORY,
        ),
        Contestant(
            "Lion", 8,
            lambda params, lr, beta, weight_decay: optim.Lion(
                params, lr, (beta, 0.99), weight_decay=weight_decay
            ),
            (1e-5, 1e-2), "a tenth of Adam's, as its authors advise", MEMORY, DECAY,
        ),
        Contestant("Muon", 9, muon, (1e-3, 1.0), "0.02, its author's value", MEMORY, DECAY),
        Contestant(
            "Adafactor", 10, optim.Adafactor, (1e-3, 1.0), "0.01 of a parameter's size, its authors' value"
        ),
        Contestant(
            "Schedule-Free", 11,
            lambda params, lr, beta, weight_decay: optim.ScheduleFreeAdamW(
                params, lr, (beta, 0.999), weight_decay=weight_decay
            ),
            (1e-4, 1e-1), "0.0025, its authors' value; the rule is Schedule-Free AdamW", MEMORY, DECAY,
        ),
    ]
}  # fmt: skip
BASELINES = ("momentum", "Nesterov", "AdamW", "NAdam")  # the targets come from these


# ---- a run


class NonFinite(ArithmeticError):
    """The loss or a gradient is NaN or infinite: the run is over."""


class Learner:
    """A model, its data in the order of the seed, and a rule that moves the model's own memory."""

    def __init__(self, workload, contestant, settings, seed):
        self.workload, self.data = workload, workload.data()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = workload.model()
        self.tensors = list(self.model.parameters())
        self.optimizer = contestant.make([p.detach().numpy() for p in self.tensors], **settings)
        self.lr = self.optimizer.lr
        self.warmup = optim.warmup(round(WARMUP * workload.steps))
        self.rows = batches(len(self.data.train.x), workload.batch, seed)

    def gradient(self):
        """Of the loss on the next batch, clipped where the workload says so."""
        rows = next(self.rows)
        x, y = self.data.train.x[rows], self.data.train.y[rows]
        self.model.zero_grad(set_to_none=True)
        loss = self.workload.loss(self.model(x), y)
        if self.workload.l2:
            squares = sum((p * p).sum() for p in self.tensors if p.ndim > 1)
            loss = loss + self.workload.l2 / 2 * squares
        loss.backward()
        grads = [p.grad.numpy() for p in self.tensors]
        if not (math.isfinite(loss.item()) and all(np.isfinite(grad).all() for grad in grads)):
            raise NonFinite
        if self.workload.clip:
            clip.by_norm(grads, self.workload.clip)
        return grads

    def step(self, grads):
        self.optimizer.lr = self.lr * self.warmup(self.optimizer.steps)
        self.optimizer.step([g.reshape(p.shape) for g, p in zip(grads, self.optimizer.params, strict=True)])

    def dev_loss(self):
        """At the weights to keep, which for an averaging rule are not those where gradients are taken."""
        params, kept = self.optimizer.params, None
        if hasattr(self.optimizer, "average"):
            kept = [p.copy() for p in params]
            assign(params, self.optimizer.average)
        with torch.no_grad():
            loss = self.workload.loss(self.model(self.data.dev.x), self.data.dev.y).item()
        if kept is not None:
            assign(params, kept)
        if not math.isfinite(loss):
            raise NonFinite
        return loss


def assign(params, values):
    for param, value in zip(params, values, strict=True):
        param[...] = value


def batches(examples, batch, seed):
    """Rows of one batch after the other: each pass in a new order, what does not fill a batch left out."""
    rng = np.random.default_rng([seed, 0])
    while True:
        rows = torch.tensor(rng.permutation(examples))
        yield from rows[: examples // batch * batch].reshape(-1, batch)


@dataclass(frozen=True)
class Task:
    """One run: all that its result depends on."""

    workload: Workload
    phase: str  # "tuning", "repeat" or "race"
    contestant: str
    seed: int
    trial: int
    settings: dict
    steps: int
    target: float | None = None

    @property
    def key(self):
        return f"{self.workload.name} {self.phase} {self.contestant} {self.seed} {self.trial}"


@contextmanager
def one_thread():
    """Sums then round alike from run to run, and no rule has help that another does not have."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1), np.errstate(all="ignore"):  # some trials diverge: that is their result
            yield
    finally:
        torch.set_num_threads(threads)


def run(task):
    """Train until the target, the end of the budget or the first number that is not finite."""
    lowest, losses, reached, failed = math.inf, {}, None, None
    with one_thread():
        learner = Learner(task.workload, CONTESTANTS[task.contestant], task.settings, task.seed)
        for step in range(1, task.steps + 1):
            try:
                learner.step(learner.gradient())
                if step % EVERY == 0:
                    losses[step] = learner.dev_loss()
            except NonFinite:
                failed = step
                break
            if step in losses:
                lowest = min(lowest, losses[step])
                if task.target is not None and lowest <= task.target:
                    reached = step
                    break
    return {
        "seed": task.seed,
        "trial": task.trial,
        **task.settings,
        "steps": reached,
        "lowest": rounded(lowest, 6),
        "failed": failed,
        "losses": [rounded(losses[step], 4) for step in grid(task.workload.steps) if step in losses],
    }


def grid(steps):
    """The steps whose dev losses are stored."""
    return sorted({max(EVERY, round(steps * i / POINTS / EVERY) * EVERY) for i in range(1, POINTS + 1)})


def rounded(x, digits):
    """To significant digits; JSON has no infinity."""
    return float(f"{x:.{digits}g}") if math.isfinite(x) else None


# ---- the race


@dataclass(frozen=True)
class Plan:
    """How much is run. Seeds: 1000 s for tuning, 1000 s + 11, ... for repeats, 1000 s + 101, ... to race."""

    seed: int = 0
    rounds: int = 2
    studies: int = 3
    trials: int = 5
    tuning_trials: int = 20
    repeats: int = 10

    def study_seed(self, part, study):
        return 1000 * self.seed + 100 * part + study

    @property
    def runs(self):
        """Of one workload before the race, and of one workload and contestant in it."""
        return len(BASELINES) * self.tuning_trials + self.repeats, self.rounds * self.studies * self.trials


def tuning_tasks(workload, plan):
    seed = 1000 * plan.seed
    return [
        Task(workload, "tuning", name, seed, trial, settings, workload.steps // TUNED)
        for name in BASELINES
        for trial, settings in enumerate(CONTESTANTS[name].trials(seed, plan.tuning_trials), 1)
    ]


def repeat_tasks(workload, plan, best):
    seeds = range(1000 * plan.seed + 11, 1000 * plan.seed + 11 + plan.repeats)
    return [
        Task(workload, "repeat", best.contestant, seed, best.trial, best.settings, workload.steps // TUNED)
        for seed in seeds
    ]


def race_tasks(workload, contestants, plan, target):
    return [
        Task(workload, "race", name, seed, trial, settings, workload.steps, target)
        for name in contestants
        for part in range(1, plan.rounds + 1)
        for seed in [plan.study_seed(part, study) for study in range(1, plan.studies + 1)]
        for trial, settings in enumerate(CONTESTANTS[name].trials(seed, plan.trials), 1)
    ]


def infinite(x):
    """What JSON keeps as null: never reached."""
    return math.inf if x is None else x


def race(workloads, contestants, plan, *, jobs=1, journal=None, quiet=False):
    """Run everything, the held-out workloads last; what the journal holds already is not run again.

    Parameters
    ----------
    workloads : list of Workload
    contestants : list of str
    plan : Plan
    jobs : int
        How many processes; the results do not depend on it.
    journal : Journal or None
    quiet : bool
        Show no progress bar.

    Returns
    -------
    dict
        What is stored, except for the circumstances.
    """
    workloads = sorted(workloads, key=lambda workload: workload.held_out)
    before, each = plan.runs
    total = len(workloads) * (before + len(contestants) * each)
    about, runs = {}, {"tuning": {}, "repeats": {}, "race": {}}
    with Runner(jobs, journal, tqdm(total=total, unit="run", disable=quiet)) as runner:
        for workload in workloads:
            name, tasks = workload.name, tuning_tasks(workload, plan)
            runner.say(f"{name}: tuning")
            tuned = runner(tasks)
            best = min(range(len(tasks)), key=lambda i: infinite(tuned[i]["lowest"]))
            if tuned[best]["lowest"] is None:
                raise RuntimeError(f"no trial of {', '.join(BASELINES)} learned anything on {name}")
            runner.say(f"{name}: target")
            repeated = runner(repeat_tasks(workload, plan, tasks[best]))
            target = float(np.median([infinite(one["lowest"]) for one in repeated]))
            if not math.isfinite(target):
                raise RuntimeError(f"the best trial on {name} failed with most of the other seeds")
            runner.say(f"{name}: race")
            raced = runner(race_tasks(workload, contestants, plan, target))
            about[name] = {
                "about": workload.about, "steps": workload.steps, "batch": workload.batch,
                "clip": workload.clip, "l2": workload.l2, "held_out": workload.held_out,
                "losses_at": grid(workload.steps),
                "parameters": sum(p.numel() for p in workload.model().parameters()),
                "target": target, "target_from": tasks[best].contestant, "settings": tasks[best].settings,
            }  # fmt: skip
            runs["tuning"][name] = split(tuned, len(BASELINES), BASELINES)
            runs["repeats"][name] = repeated
            runs["race"][name] = split(raced, len(contestants), contestants)
    return {
        "plan": {
            **asdict(plan), "evaluated_every": EVERY, "warmup": WARMUP,
            "target_within": f"1/{TUNED} of the budget",
            "baselines": list(BASELINES), "runs": total, "dtype": "float32",
            "studies_seeds": [
                [plan.study_seed(part, study) for study in range(1, plan.studies + 1)]
                for part in range(1, plan.rounds + 1)
            ],
        },
        "workloads": about,
        "contestants": {
            name: {"number": CONTESTANTS[name].number, "lr_around": CONTESTANTS[name].why,
                   "space": CONTESTANTS[name].space}
            for name in contestants
        },
        **runs,
    }  # fmt: skip


def split(runs, parts, names):
    """Runs that stand one contestant after the other: those of each."""
    size = len(runs) // parts
    return {name: runs[i * size : (i + 1) * size] for i, name in enumerate(names)}


class Runner:
    """Does tasks, here or in other processes, and keeps each result as soon as it is there."""

    def __init__(self, jobs, journal, bar):
        self.journal, self.bar = journal, bar
        self.kept = dict(journal.kept) if journal else {}
        self.pool = None
        if jobs > 1:
            # a fresh process each: threads of this one, which a copy would not have, cannot be waited for
            self.pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.bar.close()
        if self.pool:
            self.pool.shutdown(cancel_futures=True)

    def say(self, text):
        self.best = None
        self.bar.set_description(text)

    def __call__(self, tasks):
        open_tasks = [task for task in tasks if task.key not in self.kept]
        for task in tasks:
            if task.key in self.kept:
                self.show(task, self.kept[task.key])
        if self.pool:
            futures = {self.pool.submit(run, task): task for task in open_tasks}
            finished = ((futures[future], future.result()) for future in as_completed(futures))
        else:
            finished = ((task, run(task)) for task in open_tasks)
        for task, result in finished:
            self.kept[task.key] = result
            if self.journal:
                self.journal.add(task.key, result)
            self.show(task, result)
        return [self.kept[task.key] for task in tasks]

    def show(self, task, result):
        score = infinite(result["steps"] if task.phase == "race" else result["lowest"])
        if self.best is None or score < self.best[0]:
            self.best = score, task.contestant
        self.bar.set_postfix_str(f"best {self.best[1]} {self.best[0]:.4g}", refresh=False)
        self.bar.update()


# ---- the journal


class Journal:
    """Finished runs, a line each, so that an interrupted race goes on where it was.

    The first line says what the runs depend on. A journal of something else is refused.
    """

    def __init__(self, path, depends_on):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        ignore = self.path.parent / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        self.file = open(self.path, "a+b")
        lock(self.file, self.path)
        self.kept = {}
        try:
            self.read(depends_on)
        except BaseException:
            self.close()
            raise

    def read(self, depends_on):
        self.file.seek(0)
        text = self.file.read()
        whole = text[: text.rfind(b"\n") + 1]  # a kill in the middle of a line leaves it without an end
        self.file.truncate(len(whole))
        lines = whole.decode().splitlines()
        if not lines:
            self.write(depends_on)
            return
        try:
            first, *others = [json.loads(line) for line in lines]
            self.kept = dict(others)
        except (ValueError, TypeError) as error:
            raise SystemExit(f"{self.path} is damaged ({error}): remove it to begin anew") from error
        if other := sorted(key for key in depends_on if first.get(key) != depends_on[key]):
            raise SystemExit(
                f"{self.path} holds {len(self.kept)} runs of another race: different {', '.join(other)}. "
                "Remove it to begin anew, or go back to that version to finish it"
            )

    def add(self, key, result):
        self.write([key, result])

    def write(self, entry):
        self.file.write(json.dumps(entry).encode() + b"\n")
        self.file.flush()

    def close(self):
        self.file.close()

    def remove(self):
        self.close()
        self.path.unlink()


def lock(file, path):
    """Two races that write one journal would mix their lines."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise SystemExit(f"another race is running: it holds {path}. Wait for it, or stop it") from error


def depends_on(workloads, contestants, plan):
    """All that a run depends on, in a form that can be compared."""
    files = [path for part in CODE[:-1] for path in sorted((ROOT / part).rglob("*.py")) or [ROOT / part]]
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    digest.update(Path(__file__).read_text(encoding="utf-8").split("# ---- after " + "the runs")[0].encode())
    return {
        "code": digest.hexdigest(),
        "corpus": hashlib.sha256((ROOT / "data" / "SHA256SUMS").read_bytes()).hexdigest(),
        "versions": {package: version(package) for package in PACKAGES},
        "workloads": [workload.name for workload in workloads],
        "contestants": list(contestants),
        "plan": asdict(plan),
    }


# ---- after the runs: what they say (a journal stays valid when only what follows is changed)


def scores(results, measure="steps"):
    """The fewest steps, or seconds, to the target among the trials of each study; infinite for a miss.

    Parameters
    ----------
    results : dict
        As stored.
    measure : "steps" or "seconds"
        Seconds need the timing: steps times the seconds of a step.

    Returns
    -------
    dict
        workload -> contestant -> one list a round, of one number a study.
    """
    return {
        workload: {
            name: [
                [
                    unit * min(infinite(one["steps"]) for one in runs if one["seed"] == seed)
                    for seed in studies
                ]
                for studies in results["plan"]["studies_seeds"]
            ]
            for name, runs in contestants.items()
            for unit in [seconds_of(results, workload, name, measure)]
        }
        for workload, contestants in results["race"].items()
    }


def seconds_of(results, workload, name, measure):
    """What a step counts."""
    if measure == "steps":
        return 1
    if measure != "seconds":
        raise ValueError(f'the measure is "steps" or "seconds", not {measure!r}')
    if "timing" not in results:
        raise ValueError("seconds were not measured yet: python benchmarks/race.py --timing")
    return results["timing"]["steps"][workload][name]["seconds"]


def clear_wins(results, measure="steps"):
    """Who clearly beats whom: in every round the worst study of one is better than the best of the other.

    Returns
    -------
    dict
        workload -> contestant -> list of those whom it clearly beats. Between two of whom neither beats the
        other, no difference was found.
    """
    wins = {}
    for workload, contestants in scores(results, measure).items():
        wins[workload] = {
            a: [
                b
                for b, others in contestants.items()
                if all(max(mine) < min(theirs) for mine, theirs in zip(rounds, others, strict=True))
            ]
            for a, rounds in contestants.items()
        }
    return wins


def profiles(results, measure="steps", largest=4.0):
    """Performance profiles: on which share of the problems is a contestant within a factor of the best?

    A problem is a study of a workload. One that nobody solved counts as a miss for all.

    Returns
    -------
    dict
        `factors`: where a profile may rise, from 1 to `largest`; `shares`: contestant -> the share at each
        factor (constant up to the next); `area`: contestant -> the mean share between 1 and `largest`.

    Notes
    -----
    Source: E. Dolan, J. Moré, "Benchmarking optimization software with performance profiles", 2002.
    """
    by_workload = scores(results, measure)
    ratios = {}
    for contestants in by_workload.values():
        table = np.array([np.ravel(rounds) for rounds in contestants.values()])  # (contestants, problems)
        best = table.min(axis=0)
        solved = np.where(np.isfinite(best), best, 1.0)
        for name, row in zip(contestants, table, strict=True):
            ratios.setdefault(name, []).extend((row / solved).tolist())
    within = {ratio for row in ratios.values() for ratio in row if ratio < largest}
    factors = sorted(within | {1.0, largest})
    shares = {name: [float(np.mean(np.array(row) <= f)) for f in factors] for name, row in ratios.items()}
    widths = np.diff(factors)
    area = {name: float(np.dot(row[:-1], widths) / (largest - 1)) for name, row in shares.items()}
    return {"factors": factors, "shares": shares, "area": area}


def expected_best(results, measure="steps"):
    """The best score to expect after 1, 2, ... trials: its median over all choices of so many trials.

    The median, because some trials never arrive. It is exact: of n trials in order of their scores, the best
    of k chosen ones is among the first i with the probability 1 - C(n - i, k) / C(n, k).

    Returns
    -------
    dict
        workload -> contestant -> list, for 1, 2, ... trials, as many as a study has.
    """
    answer = {}
    for workload, contestants in results["race"].items():
        answer[workload] = {}
        for name, runs in contestants.items():
            unit = seconds_of(results, workload, name, measure)
            ordered = sorted(unit * infinite(one["steps"]) for one in runs)
            n = len(ordered)
            answer[workload][name] = [
                next(x for i, x in enumerate(ordered, 1) if 2 * math.comb(n - i, k) <= math.comb(n, k))
                for k in range(1, results["plan"]["trials"] + 1)
            ]
    return answer


def table(results):
    """The median score of each contestant on each workload, the clear wins, and the area of its profile.

    A single round cannot tell a clear win from luck: there, none are counted.
    """
    found, wins, area = scores(results), clear_wins(results), profiles(results)["area"]
    several = len(results["plan"]["studies_seeds"]) > 1
    head = "steps to target (clear wins)" if several else "steps to target"
    lines = [f"{head:30}" + "".join(f"{w:>18}" for w in found) + f"{'profile':>10}"]
    for name in sorted(area, key=area.get, reverse=True):
        cells = []
        for workload, contestants in found.items():
            median = np.median(contestants[name])
            steps = f"{median:.0f}" if math.isfinite(median) else "never"
            clear = f" ({len(wins[workload][name])})" if several else ""
            cells.append(f"{steps + clear:>18}")
        lines.append(f"{name:30}" + "".join(cells) + f"{area[name]:10.2f}")
    return "\n".join(lines)


# ---- seconds


def calibration(repeats=7):
    """Seconds of a fixed piece of work: products of matrices and convolutions in float32; the median."""
    rng = torch.Generator().manual_seed(0)
    a = torch.randn(256, 256, generator=rng)
    x, kernel = torch.randn(32, 40, 32, generator=rng), torch.randn(32, 40, 5, generator=rng)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(20):
            a @ a
            nn.functional.conv1d(x, kernel)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def timing(workloads, contestants, *, rounds=5, most=20, steps=20, tolerance=0.1, quiet=False):
    """Seconds of a step: the gradient with its clipping, and the rule. Off the clock: nothing else.

    Contestants take turns, in another order each round. A round whose two calibrations differ by more than
    `tolerance` is thrown away and repeated, `most` rounds in all at most.

    Returns
    -------
    dict
        `steps`: workload -> contestant -> `seconds` of a step (median over rounds of the median of a round),
        `calibrated` (the same in units of the calibration kernel), `rule` (the rule's part of it, in
        seconds), `slowest`, `fastest` (rounds); `rounds` kept and `thrown_away`; `calibrations` of each.
    """
    kept, thrown_away, calibrations = {}, 0, []
    with one_thread(), tqdm(total=rounds, unit="round", disable=quiet) as bar:
        learners = {
            (workload.name, name): Learner(workload, CONTESTANTS[name], slow(CONTESTANTS[name]), 0)
            for workload in workloads
            for name in contestants
        }
        calibration()
        while len(calibrations) < rounds and len(calibrations) + thrown_away < most:
            before = calibration()
            # in another order each round: who comes first pays for what the one before left in the caches
            order = np.random.default_rng(len(calibrations) + thrown_away).permutation(list(learners))
            measured = {key: median_step(learners[key], steps) for key in map(tuple, order.tolist())}
            after = calibration()
            if max(before, after) > (1 + tolerance) * min(before, after):
                thrown_away += 1
                continue
            unit = (before + after) / 2
            calibrations.append([before, after])
            bar.update()
            for key, (gradient, rule) in measured.items():
                kept.setdefault(key, []).append([gradient + rule, (gradient + rule) / unit, rule])
    if not calibrations:
        raise RuntimeError(
            f"in none of {most} rounds was the machine steady: try again when nothing else is running"
        )
    result = {}
    for workload, name in learners:
        rows = kept[workload, name]
        seconds, calibrated, rule = np.median(rows, axis=0)
        totals = [row[0] for row in rows]
        numbers = {"seconds": seconds, "calibrated": calibrated, "rule": rule,
                   "fastest": min(totals), "slowest": max(totals)}  # fmt: skip
        result.setdefault(workload, {})[name] = {key: rounded(x, 4) for key, x in numbers.items()}
    return {
        "rounds": len(calibrations),
        "wanted": rounds,
        "thrown_away": thrown_away,
        "steps_a_round": steps,
        "calibrations": [[rounded(x, 4) for x in pair] for pair in calibrations],
        "steps": result,
    }


def slow(contestant):
    """Settings with which nothing diverges; what a step costs does not depend on them."""
    settings = {"lr": contestant.lr[0], "beta": 0.9, "weight_decay": 1e-2}
    return {name: settings[name] for name in contestant.space}


def median_step(learner, steps):
    """Medians of the seconds of the gradient and of the rule, after some steps that do not count."""
    for _ in range(steps // 2):
        learner.step(learner.gradient())
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        grads = learner.gradient()
        middle = time.perf_counter()
        learner.step(grads)
        times.append([middle - start, time.perf_counter() - middle])
    return np.median(times, axis=0)


# ---- commands


SHORT = Plan(rounds=1, studies=3, tuning_trials=5, repeats=3)


def short(workloads=("softmax",), contestants=("SGD", "momentum", "Adagrad", "Adam", "Lion"), *, trials=3,
          seed=0):  # fmt: skip
    """A small race for a notebook: one study, and a target from five trials of each baseline.

    Parameters
    ----------
    workloads, contestants : sequence of str
        Names in WORKLOADS and CONTESTANTS.
    trials : int
    seed : int

    Returns
    -------
    dict
        Of the same kind as the stored one: for `scores`, `profiles`, `expected_best`, `clear_wins`, `table`.
    """
    plan = Plan(**{**asdict(SHORT), "studies": 1, "trials": trials, "seed": seed})
    return race(
        [WORKLOADS[known(name, WORKLOADS, "workload")] for name in workloads],
        [known(name, CONTESTANTS, "contestant") for name in contestants],
        plan,
        quiet=True,
    )


def known(name, registry, what):
    if name not in registry:
        raise ValueError(f"there is no {what} {name!r}: choose from {', '.join(registry)}")
    return name


def layout(value, depth=0):
    """JSON with one line for each innermost dictionary: short, and a change of one run changes one line."""
    children = value.values() if isinstance(value, dict) else value
    lists = [child for child in children if isinstance(child, list)]
    if not any(isinstance(child, dict) for child in [*children, *sum(lists, [])]):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    entries = [
        layout(child, depth + 1) if isinstance(child, dict | list) else json.dumps(child, allow_nan=False)
        for child in children
    ]
    if isinstance(value, dict):
        entries = [f"{json.dumps(key)}: {entry}" for key, entry in zip(value, entries, strict=True)]
    inner, outer = "\n" + " " * (depth + 1), "\n" + " " * depth
    first, last = "{}" if isinstance(value, dict) else "[]"
    return first + inner + ("," + inner).join(entries) + outer + last


def store(path, results):
    """All or nothing: a kill while writing leaves the old file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(layout(results) + "\n", encoding="utf-8")
    os.replace(draft, path)


def default_store(options):
    """The results of the whole race with seed 0 are the book's; others have other names."""
    parts = [f"seed{options.seed}"] if options.seed else []
    parts += ["+".join(names) for names in (options.workload, options.contestants) if names]
    return STORE.with_name("-".join(["race", *parts]) + ".json")


def parse(arguments):
    parser = argparse.ArgumentParser(
        description="Race the optimizers of speechlib: steps to a target, tuned alike. A race may be "
        "stopped; the same command then goes on. Until all are stored, finished runs are kept in the folder "
        ".race, which git ignores.",
    )
    parser.add_argument("--short", action="store_true", help="about five minutes; stores nothing")
    parser.add_argument("--timing", action="store_true", help="measure seconds for a stored race")
    parser.add_argument("--workload", nargs="+", metavar="NAME", help=f"some of {', '.join(WORKLOADS)}")
    parser.add_argument("--contestants", nargs="+", metavar="NAME", help=f"some of {', '.join(CONTESTANTS)}")
    parser.add_argument("--seed", type=int, default=0, help="all seeds of the race follow from this one")
    parser.add_argument("--jobs", type=int, default=1, help="processes; the results do not depend on it")
    parser.add_argument("--output", type=Path, help="where to store (benchmarks/results/race*.json)")
    options = parser.parse_args(arguments)
    for names, registry, what in [
        (options.workload, WORKLOADS, "workload"),
        (options.contestants, CONTESTANTS, "contestant"),
    ]:
        for name in names or []:
            try:
                known(name, registry, what)
            except ValueError as error:
                parser.error(str(error))
    if options.seed < 0 or options.jobs < 1:
        parser.error("--seed must be 0 or more, --jobs 1 or more")
    if options.short and options.timing:
        parser.error("--short stores nothing, so --timing has nothing to add to")
    return options


def main(arguments=None):
    options = parse(arguments)
    path = options.output or default_store(options)
    if options.timing:
        if not path.exists():
            raise SystemExit(f"{path} does not exist: run the race first, the same command without --timing")
        results = json.loads(path.read_text(encoding="utf-8"))
        measured = timing([WORKLOADS[name] for name in results["workloads"]], list(results["contestants"]))
        results["timing"] = {**circumstances(CODE, PACKAGES), **measured}
        store(path, results)
        print(f"{measured['rounds']} rounds kept, {measured['thrown_away']} thrown away; stored in {path}")
        return
    names = options.workload or (["softmax", "recurrent"] if options.short else list(WORKLOADS))
    workloads = [WORKLOADS[name] for name in dict.fromkeys(names)]
    contestants = list(dict.fromkeys(options.contestants or CONTESTANTS))
    plan = Plan(**{**asdict(SHORT if options.short else Plan()), "seed": options.seed})
    started = time.perf_counter()
    if options.short:
        print(table(race(workloads, contestants, plan, jobs=options.jobs)))
        return
    about = circumstances(CODE, PACKAGES)
    name = path.with_suffix(".jsonl").name
    with closing(Journal(JOURNALS / name, depends_on(workloads, contestants, plan))) as journal:
        resumed = len(journal.kept)
        try:
            results = race(workloads, contestants, plan, jobs=options.jobs, journal=journal)
        except KeyboardInterrupt:
            raise SystemExit("\nInterrupted; the same command goes on from here") from None
        about |= {"seconds": round(time.perf_counter() - started), "runs_kept_from_before": resumed}
        store(path, about | results)
        journal.remove()
    print(table(results))
    print(f"{results['plan']['runs']} runs; stored in {path}")


if __name__ == "__main__":
    main()
