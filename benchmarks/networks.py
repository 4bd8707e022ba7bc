"""The networks of the chapter on acoustic models: compared alike, and taken apart.

    python benchmarks/networks.py [--short] [--seeds 0 1 2 3 4] [--studies NAME ...]
                                  [--output benchmarks/results/networks.json]

Everything is trained by speechlib.train.fit in float32 on one thread: AdamW, one cycle, smoothed labels,
gradients clipped at norm 5, batches of 32, 10 passes. Nothing is chosen on the test split, nor on dev, where
every convolution is right. It is chosen in a rehearsal: trained on the 720 words of the formant voices,
judged on the 480 words of the three recorded men.

* `networks`: each has the same number of trials, drawn at random from a space declared here. The best by its
  rehearsal is trained again with fresh seeds, in the rehearsal and on all 1,200 words for the test; and hears
  the dev words after some silence.
* `regularization`: one thing added at a time, the same seeds with and without it, in the rehearsal.
* `waveform`: samples against log-mel bands, at 300 and 1,200 words, with equal numbers of steps.
* `robustness`: noise and volume, with and without normalization, dev voices and rehearsal people.
* `order`: frames in their order and shuffled.
* `commands`: command words among unknown words; a threshold chosen on dev.

Other seeds give a second file; what was chosen is then taken from the first one. A study may be run alone
(`--studies`); the others stay in the file as they were. `--short` takes two minutes and stores nothing.
"""

import argparse
import json
import sys
import time
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from circumstances import circumstances  # noqa: I001

sys.path.pop(0)  # this folder: its files have the names of packages

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import nn

from speechlib import audio, augment, clip, corpus, features, metrics, models, optim
from speechlib.train import Examples, evaluate, fit

ROOT = Path(__file__).resolve().parents[1]
STORE = ROOT / "benchmarks" / "results" / "networks.json"
CODE = [
    "speechlib/models.py", "speechlib/train.py", "speechlib/augment.py", "speechlib/optim",
    "speechlib/clip.py", "speechlib/features.py", "speechlib/audio.py", "speechlib/corpus.py",
    "speechlib/utterances.py", "data/digits", "data/words",
]  # fmt: skip
PACKAGES = ["numpy", "scipy", "torch"]
MEN = ("kal", "ked", "awb")  # the recorded people of the training split
TRIALS, TRIAL_SEED = 4, 100
SPACE = {"lr": [1e-3, 1e-2], "weight_decay": [1e-3, 0.3], "dropout": [0.0, 0.1, 0.2, 0.3]}
SETTINGS = {"lr": 3e-3, "weight_decay": 0.05, "dropout": 0.1}  # of all studies but the comparison
smoothed = partial(nn.functional.cross_entropy, label_smoothing=0.1)


class Waveform(nn.Module):
    """Three convolutions on samples make 40 numbers every 10 ms, in place of the mel bands; then as before.

    80,050 parameters. An utterance is given as blocks of 80 samples, so that its length counts in frames.
    """

    def __init__(self, classes, dropout=0.1):
        super().__init__()
        self.samples = nn.Sequential(
            nn.Conv1d(1, 32, 80, stride=8, padding=36),  # (N, 1, 80 T) -> (N, 32, 10 T): 10 ms, every 1 ms
            nn.ReLU(),
            nn.Conv1d(32, 40, 5, stride=5),  # -> (N, 40, 2 T)
            nn.ReLU(),
            nn.Conv1d(40, 40, 4, stride=2, padding=1),  # -> (N, 40, T)
        )
        self.frames = models.TimeConvolution(40, classes, dropout=dropout)

    def forward(self, x, lengths):
        x, lengths, _ = models.checked(x, lengths, 80)
        return self.frames(self.samples(x.flatten(1)[:, None]).transpose(1, 2), lengths)


class Network(NamedTuple):
    """What competes: `number` fixes its trials, `field` the frames that a unit before the pooling sees."""

    number: int
    make: callable
    field: int | None = None  # None: all frames
    bins: int = 40
    passes: int = 10
    seeds: int = 5
    dropout: bool = False


def classic():
    return models.ClassicCNN(10).to(memory_format=torch.channels_last)  # the same numbers, sooner


NETWORKS = {
    "softmax": Network(0, lambda: models.Softmax(40, 10)),
    "MLP": Network(1, lambda: models.MLP(40, 10)),
    "small CNN": Network(3, lambda dropout: models.SmallCNN(40, 10, dropout=dropout), 22, dropout=True),
    "time convolution": Network(
        4, lambda dropout: models.TimeConvolution(40, 10, dropout=dropout), 65, dropout=True
    ),
    "recurrent": Network(5, lambda: models.Recurrent(40, 10, kind="rnn")),
    "LSTM": Network(6, lambda: models.Recurrent(40, 10, kind="lstm")),
    "GRU": Network(7, lambda: models.Recurrent(40, 10, kind="gru")),
    "self-attention": Network(
        8, lambda dropout: models.SelfAttention(40, 10, dropout=dropout), dropout=True
    ),
    # a pass takes half a minute: it gets two of them, and three seeds
    "classic CNN": Network(2, classic, 10, bins=80, passes=2, seeds=3),
}
WAVEFORM = Network(9, lambda dropout: Waveform(10, dropout), bins=0, dropout=True)


# ---- data


@cache
def words(split, kind="digits"):
    return getattr(corpus, kind)(split)


def log_mels(ys, groups, bins=40, norm="speaker"):
    """Log-mel features less the mean of the speaker, of the utterance, or nothing."""
    batch, lengths = features.log_mel_batch(ys, 8000, n_mels=bins)
    xs = [x[:n] for x, n in zip(batch, lengths, strict=True)]
    if norm == "speaker":
        xs = features.cmvn_by(xs, groups, variance=False)
    elif norm == "utterance":
        xs = [x - x.mean(axis=0) for x in xs]
    return [x.astype(np.float32) for x in xs]


def blocks(ys, groups):
    """Samples in blocks of 80, each speaker at the same mean power."""
    groups, loud = np.array(groups), {}
    for name in set(groups.tolist()):
        own = np.concatenate([y for y, group in zip(ys, groups, strict=True) if group == name])
        loud[name] = np.sqrt(np.mean(own**2))
    ys = [np.pad(y, (0, -len(y) % 80)) / loud[group] for y, group in zip(ys, groups, strict=True)]
    return [y.reshape(-1, 80).astype(np.float32) for y in ys]


@cache
def examples(split, bins=40):
    """Digits of a split; `bins` 0 are samples."""
    data = words(split)
    ys, speakers = [one.y for one in data], [one.speaker for one in data]
    xs = log_mels(ys, speakers, bins) if bins else blocks(ys, speakers)
    return Examples(xs, data.labels)


SHIFTS = [0, 2, 5, 10, 20]


@cache
def later(frames, bins):
    """The dev words after so many frames of silence, less the mean that their speaker had without it."""
    data, xs = words("dev"), []
    ys, speakers = [one.y for one in data], np.array([one.speaker for one in data])
    before = log_mels(ys, speakers, bins, norm="none")
    after = log_mels([np.pad(y, (80 * frames, 0)) for y in ys], speakers, bins, norm="none")
    for speaker, x in zip(speakers, after, strict=True):
        own = [y for y, name in zip(before, speakers, strict=True) if name == speaker]
        xs.append(x - np.concatenate(own).mean(axis=0))
    return Examples(xs, data.labels)


def part(data, rows):
    rows = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else rows
    return Examples([data.features[row] for row in rows], data.labels[rows])


def is_man():
    return np.isin([one.speaker for one in words("train")], MEN)


def rehearsal(bins=40):
    """Formant voices to train on, recorded men to judge by."""
    data, men = examples("train", bins), is_man()
    return part(data, ~men), part(data, men)


# ---- training


def trained(make, data, seed, *, lr, weight_decay, dropout=None, steps, schedule="one cycle", **options):
    """A model after so many steps, the seconds that it took, and what happened."""
    torch.manual_seed(seed)
    model = make() if dropout is None else make(dropout)
    started = time.process_time()
    history = fit(
        model,
        data,
        optimizer=partial(optim.AdamW, lr=lr, weight_decay=weight_decay),
        schedule=optim.one_cycle(steps, pct_start=0.15) if schedule == "one cycle" else None,
        steps=steps,
        loss=smoothed,
        clip=partial(clip.by_norm, max_norm=5.0),
        seed=seed,
        progress=False,
        **options,
    )
    return model, time.process_time() - started, history


def steps_of(data, passes):
    return passes * -(-len(data) // 32)


def trials(network, count):
    """The settings of the trials; the first do not depend on how many follow."""
    rng, drawn = np.random.default_rng([TRIAL_SEED, network.number]), []
    for _ in range(count):
        one = {}
        for name in ("lr", "weight_decay"):
            one[name] = float(f"{np.exp(rng.uniform(*np.log(SPACE[name]))):.3g}")
        if network.dropout:
            one["dropout"] = float(rng.choice(SPACE["dropout"]))
        drawn.append(one)
    return drawn


def choose(network, run):
    """The settings with the highest accuracy in the rehearsal."""
    teach, judge = rehearsal(network.bins)
    tried = []
    for settings in trials(network, run.trials):
        steps = steps_of(teach, run.passes(network))
        model, *_ = trained(network.make, teach, TRIAL_SEED, steps=steps, **settings)
        tried.append({"settings": settings, "rehearsal": evaluate(model, judge).accuracy})
    return max(tried, key=lambda one: one["rehearsal"])["settings"], tried


class Run(NamedTuple):
    seeds: list
    trials: int
    short: bool
    first: dict | None  # the file of the first run: what was chosen stands there

    def passes(self, network):
        return 1 if self.short else network.passes

    def steps(self, steps):
        return 8 if self.short else steps


# ---- studies


def compare(run):
    speakers, results = np.array([one.speaker for one in words("test")]), {}
    for name, network in NETWORKS.items():
        if run.first:
            chosen, tried = run.first["networks"][name]["chosen"], []
        else:
            chosen, tried = choose(network, run)
        (teach, judge), full = rehearsal(network.bins), examples("train", network.bins)
        row = {"chosen": chosen, "trials": tried, "field": network.field, "passes": run.passes(network)}
        for seed in run.seeds[: network.seeds]:
            steps = steps_of(teach, run.passes(network))
            model, *_ = trained(network.make, teach, seed, steps=steps, **chosen)
            add(row, "rehearsal", evaluate(model, judge).accuracy)
            steps = steps_of(full, run.passes(network))
            model, seconds, _ = trained(network.make, full, seed, steps=steps, **chosen)
            add(row, "seconds", round(seconds, 2))
            add(row, "dev", evaluate(model, examples("dev", network.bins)).accuracy)
            for frames in SHIFTS:
                add(row, f"dev {frames} frames later", evaluate(model, later(frames, network.bins)).accuracy)
            right = evaluate(model, examples("test", network.bins)).predictions == words("test").labels
            add(row, "test", float(right.mean()))
            for speaker in sorted(set(speakers.tolist())):
                add(row, f"test {speaker}", float(right[speakers == speaker].mean()))
        row["parameters"] = models.parameters_of(model)
        results[name] = row
        print(f"{name:17} {row['parameters']:9,d} {chosen}", *percents(row, "rehearsal", "dev", "test"),
              f"{np.mean(row['seconds']):.1f} s", flush=True)  # fmt: skip
    return results


def add(row, key, value):
    row.setdefault(key, []).append(value)


def percents(row, *keys):
    return [f"{key} {100 * np.mean(row[key]):.1f} ± {100 * np.std(row[key]):.1f}" for key in keys]


def both(x, lengths, rng):
    return augment.mask(*augment.stretch(x, lengths, rng), rng)


HELP = {
    "nothing": {},
    "weight decay 0.05": {"weight_decay": 0.05},
    "weight decay 0.5": {"weight_decay": 0.5},
    "dropout 0.1": {"dropout": 0.1},
    "dropout 0.3": {"dropout": 0.3},
    "masks": {"augment": augment.mask},
    "stretching": {"augment": augment.stretch},
    "masks and stretching": {"augment": both},
    "30 passes": {"schedule": None, "lr": 1e-3, "passes": 30},
    "30 passes, stopped early": {"schedule": None, "lr": 1e-3, "passes": 30, "patience": 3},
}


def regularization(run):
    make, (teach, judge), results = NETWORKS["time convolution"].make, rehearsal(), {}
    for name, change in HELP.items():
        row = {}
        for seed in run.seeds:
            settings = {"lr": SETTINGS["lr"], "weight_decay": 0.0, "dropout": 0.0} | change
            if "patience" in change:
                settings["dev"] = examples("dev")
            steps = run.steps(steps_of(teach, settings.pop("passes", 10)))
            model, _, history = trained(make, teach, seed, steps=steps, **settings)
            for key, data in (("train", teach), ("dev", examples("dev")), ("rehearsal", judge)):
                result = evaluate(model, data)
                add(row, key, result.accuracy)
                add(row, f"{key} loss", result.loss)
            add(row, "passes", len(history.epochs["loss"]))
        results[name] = row
        print(f"{name:30}", *percents(row, "train", "dev", "rehearsal"), row["passes"], flush=True)
    return results


def waveform(run):
    if run.first:
        chosen, tried = run.first["waveform"]["chosen"], []
    else:
        chosen, tried = choose(WAVEFORM, run)
    print("waveform:", chosen, [round(one["rehearsal"], 3) for one in tried], flush=True)
    kinds = {"samples": (WAVEFORM, chosen), "log-mel": (NETWORKS["time convolution"], SETTINGS)}
    results = {"chosen": chosen, "trials": tried}
    for name, (network, settings) in kinds.items():
        full = examples("train", network.bins)
        for count in (300, len(full)):
            row = {}
            for seed in run.seeds[:3]:
                rows = np.random.default_rng([seed, 1]).choice(len(full), count, replace=False)
                steps = run.steps(steps_of(full, 10))  # the same for few words
                model, seconds, _ = trained(network.make, part(full, rows), seed, steps=steps, **settings)
                add(row, "seconds", round(seconds, 2))
                for split in ("dev", "test"):
                    add(row, split, evaluate(model, examples(split, network.bins)).accuracy)
            row["parameters"] = models.parameters_of(model)
            results[f"{name}, {count} words"] = row
            print(f"{name}, {count} words", *percents(row, "dev", "test"), row["seconds"], flush=True)
    return results


SNRS = [30, 20, 10, 5, 0]
GAINS = [-40, -20, 0, 20]


def noisy(ys, snr, rng):
    """White noise; `snr` is one number, or one a word."""
    snrs = np.broadcast_to(snr, len(ys))
    return [audio.add_noise(y, one, rng=rng) for y, one in zip(ys, snrs, strict=True)]


def robustness(run):
    """Trained in the rehearsal's way; tested on voices (dev) and on people (the recorded men)."""
    digits, men, dev = words("train"), is_man(), words("dev")
    sets = {
        "voices": list(dev),
        "people": [one for one, man in zip(digits, men, strict=True) if man],
    }
    teach = [one for one, man in zip(digits, men, strict=True) if not man]
    rng, conditions = np.random.default_rng(0), {}
    for name, chosen in sets.items():
        ys = [one.y for one in chosen]
        for snr in SNRS:
            conditions[name, f"snr {snr}"] = noisy(ys, snr, rng)
        for gain in GAINS:
            conditions[name, f"gain {gain}"] = [audio.gain(y, gain) for y in ys]
        own = rng.uniform(-20, 20, len(ys))
        conditions[name, "gain of its own"] = [audio.gain(y, db) for y, db in zip(ys, own, strict=True)]
    ys, speakers = [one.y for one in teach], [one.speaker for one in teach]
    level = {speaker: rng.choice([0, 5, 10, 15, 20, 30]) for speaker in sorted(set(speakers))}
    more = noisy(ys, [level[speaker] for speaker in speakers], rng)
    labels = np.array([corpus.DIGITS.index(one.text) for one in teach])
    results = {}
    for norm in ("none", "utterance", "speaker", "speaker, noise in training"):
        how, row = norm.split(",")[0], {}
        data = Examples(log_mels(ys, speakers, norm=how), labels)
        steps = run.steps(steps_of(data, 10))
        if "noise" in norm:  # a speaker's noisy words count as another speaker
            xs = log_mels(ys + more, speakers + [f"{one} in noise" for one in speakers], norm=how)
            data = Examples(xs, np.tile(labels, 2))
        tests = {}
        for (name, condition), sounds in conditions.items():
            xs = log_mels(sounds, [one.speaker for one in sets[name]], norm=how)
            truth = np.array([corpus.DIGITS.index(one.text) for one in sets[name]])
            tests[f"{name}, {condition}"] = Examples(xs, truth)
        for seed in run.seeds:
            model, *_ = trained(NETWORKS["time convolution"].make, data, seed, steps=steps, **SETTINGS)
            for condition, test in tests.items():
                add(row, condition, evaluate(model, test).accuracy)
        results[norm] = row
        print(norm, *(f"\n    {key:28} {100 * np.mean(row[key]):.1f}" for key in row), flush=True)
    return results


def shuffled(x, lengths, rng):
    """The frames of each utterance in an order of chance."""
    x = x.copy()
    for utterance, length in zip(x, lengths, strict=True):
        utterance[:length] = utterance[rng.permutation(length)]
    return x, lengths


def order(run):
    rng = np.random.default_rng(0)
    mixed = {}
    for name, data in (("rehearsal", rehearsal()[1]), ("dev", examples("dev"))):
        xs = [x[rng.permutation(len(x))] for x in data.features]
        mixed[name] = {"in order": data, "shuffled": Examples(xs, data.labels)}
    results = {}
    for network in ("softmax", "time convolution", "LSTM", "self-attention"):
        one, teach = NETWORKS[network], rehearsal()[0]
        settings = {key: value for key, value in SETTINGS.items() if key != "dropout" or one.dropout}
        for kind, change in (("in order", None), ("shuffled", shuffled)):
            row, steps = {}, run.steps(steps_of(teach, 10))
            for seed in run.seeds:
                model, *_ = trained(one.make, teach, seed, steps=steps, augment=change, **settings)
                for judge, tests in mixed.items():
                    for heard, data in tests.items():
                        add(row, f"{judge}, {heard}", evaluate(model, data).accuracy)
            results[f"{network}, trained {kind}"] = row
            print(f"{network}, trained {kind}", *percents(row, *row), flush=True)
    return results


def command_data(split, unknown):
    """Commands are classes 0 to 9; digits are class 10, where `unknown` lists which digits take part."""
    commands, digits = words(split, "words"), words(split)
    chosen = [*commands, *(one for one in digits if corpus.DIGITS.index(one.text) in unknown)]
    xs = log_mels([one.y for one in chosen], [one.speaker for one in chosen])
    labels = [corpus.WORDS.index(one.text) if one.text in corpus.WORDS else 10 for one in chosen]
    return Examples(xs, np.array(labels))


def confidence(model, data):
    """The probability of the likeliest command, and which it is."""
    model.eval()
    with torch.no_grad():
        logits = [model(*map(torch.as_tensor, data.batch([row])[:2]))[0] for row in range(len(data))]
    p = torch.softmax(torch.stack(logits), dim=1)[:, :10]
    return p.amax(dim=1).numpy(), p.argmax(dim=1).numpy()


ALARMS = 0.05  # the declared rate


def commands(run):
    known, strange = range(5), range(5, 10)  # "old": in training for the class of the rest; "new": never
    results = {"rate": ALARMS}
    sets = {(split, name): command_data(split, unknown)
            for split in ("dev", "test") for name, unknown in (("old", known), ("new", strange))}  # fmt: skip
    for name, classes in (("largest probability", 10), ("class for the rest", 11)):
        data, row = command_data("train", known if classes == 11 else []), {}
        make = partial(models.TimeConvolution, 40, classes, 64, 4)  # dropout comes last
        for seed in run.seeds:
            model, *_ = trained(make, data, seed, steps=run.steps(300), **SETTINGS)
            seen = {key: (*confidence(model, one), one.labels) for key, one in sets.items()}
            for kind in ("old", "new"):
                sure, _, labels = seen["dev", kind]
                threshold = float(np.quantile(sure[labels == 10], 1 - ALARMS, method="higher"))
                add(row, f"threshold on {kind}", threshold)
                for (split, unknown), (sure, heard, labels) in seen.items():
                    rest = labels == 10
                    alarms, right = sure[rest] > threshold, (heard == labels)[~rest]
                    add(row, f"{split}, alarms at {unknown}, threshold on {kind}", float(alarms.mean()))
                    if unknown == "old":
                        hits = right & (sure[~rest] > threshold)
                        add(row, f"{split}, understood, threshold on {kind}", float(hits.mean()))
                        if kind == "old":
                            add(row, f"{split}, right without threshold", float(right.mean()))
            for (split, unknown), (sure, _, labels) in seen.items():
                auroc = metrics.auroc(sure[labels < 10], sure[labels == 10])
                add(row, f"{split}, auroc, {unknown}", float(auroc))
        results[name] = row
        print(name, *(f"\n    {key:44} {np.mean(row[key]):.3f}" for key in row), flush=True)
    return results


STUDIES = {
    "commands": commands,
    "order": order,
    "robustness": robustness,
    "regularization": regularization,
    "waveform": waveform,
    "networks": compare,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="to see whether it runs; stores nothing")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--studies", nargs="+", choices=STUDIES, default=list(STUDIES))
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    again = options.seeds != parser.get_default("seeds")
    first = json.loads(STORE.read_text()) if again and not options.short else None
    output = options.output or (STORE.with_stem("networks-second") if again else STORE)
    seeds = options.seeds[:2] if options.short else options.seeds
    run = Run(seeds, 1 if options.short else TRIALS, options.short, first)
    torch.set_num_threads(1)
    result = json.loads(output.read_text()) if output.exists() else {}
    result["setting"] = {"seeds": seeds, "trials": TRIALS, "space": SPACE, "settings": SETTINGS}
    with threadpool_limits(1):
        for name in options.studies:
            started = time.perf_counter()
            result[name] = STUDIES[name](run)
            minutes = round((time.perf_counter() - started) / 60, 1)
            about = {"seeds": seeds, "minutes": minutes, **circumstances(CODE, PACKAGES)}
            result.setdefault("runs", {})[name] = about
            print(f"{name}: {minutes} minutes", flush=True)
            if not options.short:
                output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
