"""The training loop: its five steps against torch's own, and that nothing that happens loses or bends it."""

import errno
import json
import math
import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from speechlib import clip, models, optim, train
from speechlib.train import CheckpointError, Examples, evaluate, fit

BINS, CLASSES = 10, 3
MAKE = {
    "softmax": lambda: models.Softmax(BINS, CLASSES, stretches=3),
    "mlp": lambda: models.MLP(BINS, CLASSES, stretches=3, units=6),
    "classic": lambda: models.ClassicCNN(CLASSES, bins=BINS, frames=10),
    "small": lambda: models.SmallCNN(BINS, CLASSES, channels=(4, 4)),
    "time": lambda: models.TimeConvolution(BINS, CLASSES, channels=8, layers=2),
    "rnn": lambda: models.Recurrent(BINS, CLASSES, units=6),
    "lstm": lambda: models.Recurrent(BINS, CLASSES, units=6, kind="lstm"),
    "gru": lambda: models.Recurrent(BINS, CLASSES, units=6, kind="gru"),
    "attention": lambda: models.SelfAttention(BINS, CLASSES, width=8, heads=2, layers=1),
}
SGD = partial(optim.SGD, lr=0.1)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
    torch.set_num_threads(threads)


def examples(count=26, seed=0, dtype=np.float32):
    """Classes that differ in which bands are loud."""
    rng = np.random.default_rng([seed, count])
    labels = rng.integers(0, CLASSES, count)
    loud = np.arange(BINS) % CLASSES
    return Examples(
        [
            (rng.normal(size=(rng.integers(5, 14), BINS)) + 1.0 * (loud == label)).astype(dtype)
            for label in labels
        ],
        labels,
    )


class Noisy(nn.Module):
    """Any model behind batch normalization and dropout: with buffers, and with torch's random numbers."""

    def __init__(self, model):
        super().__init__()
        self.norm, self.dropout, self.model = nn.BatchNorm1d(BINS), nn.Dropout(0.2), model

    def forward(self, x, lengths):
        x = self.norm(x.transpose(1, 2)).transpose(1, 2)
        return self.model(self.dropout(x), lengths)


def model_of(name="mlp", seed=1):
    torch.manual_seed(seed)
    return MAKE[name]()


class Shake:
    """Augmentation that draws from its generator; `at` a given call it does what it was told."""

    def __init__(self, at=None, do=None):
        self.calls, self.at, self.do = 0, at, do

    def __call__(self, x, lengths, rng):
        self.calls += 1
        if self.calls == self.at:
            self.do()
        return x + rng.normal(0, 0.1, x.shape).astype(x.dtype), lengths


class Killed(BaseException):
    pass


def die():
    raise Killed


def weights(model):
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def assert_same_bits(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name


def assert_same_history(ours, theirs):
    for mine, other in [(ours.steps, theirs.steps), (ours.epochs, theirs.epochs)]:
        assert mine.keys() == other.keys()
        for name in mine.keys() - {"seconds"}:
            np.testing.assert_array_equal(mine[name], other[name], err_msg=name)
    assert ours.best == theirs.best


# ---- the five steps


@pytest.mark.parametrize("name", MAKE)
def test_fit_is_the_loop_one_would_write_in_torch(name):
    """AdamW with a schedule, clipping and label smoothing, against torch's, in float64."""
    data, epochs, batch = examples(22, dtype=np.float64), 2, 5
    ours, theirs = (model_of(name).double().eval() for _ in range(2))
    for module in [*ours.modules(), *theirs.modules()]:
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    loss, factor = partial(cross_entropy, label_smoothing=0.1), optim.cosine(10)
    history = fit(
        ours, data, optimizer=partial(optim.AdamW, lr=0.01, eps=1e-4), epochs=epochs, batch_size=batch,
        loss=loss, schedule=factor, clip=partial(clip.by_norm, max_norm=0.8), seed=3,
    )  # fmt: skip

    optimizer = torch.optim.AdamW(theirs.parameters(), lr=0.01, eps=1e-4)
    seen, norms = [], []
    for epoch in range(epochs):
        order = np.random.default_rng([3, 0, epoch]).permutation(22)
        for start in range(0, 22, batch):
            optimizer.param_groups[0]["lr"] = 0.01 * factor(len(seen))
            x, lengths, labels = data.batch(order[start : start + batch])
            value = loss(theirs(torch.tensor(x), lengths), torch.tensor(labels))
            optimizer.zero_grad()
            value.backward()
            norms.append(nn.utils.clip_grad_norm_(theirs.parameters(), 0.8, foreach=False).item())
            optimizer.step()
            seen.append(value.item())
    # torch divides by norm + 1e-6 where it clips
    np.testing.assert_allclose(history.steps["loss"], seen, rtol=1e-5)
    np.testing.assert_allclose(history.steps["norm"], norms, rtol=1e-4)
    assert history.clipped == np.mean(np.array(norms) > 0.8)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


def test_history():
    data, dev = examples(26), examples(9, seed=1)
    model = model_of()
    history = fit(
        model, data, dev=dev, optimizer=SGD, epochs=3, batch_size=8, schedule=optim.exponential(0.9)
    )
    assert {len(column) for column in history.steps.values()} == {12}
    assert {len(column) for column in history.epochs.values()} == {3}
    assert history.steps["examples"] == [8, 8, 8, 2] * 3
    np.testing.assert_allclose(history.steps["lr"], 0.1 * 0.9 ** np.arange(12))
    last = {name: np.array(column[-4:]) for name, column in history.steps.items()}
    for name in ("loss", "accuracy", "norm"):
        assert math.isclose(history.epochs[name][-1], (last[name] * [8, 8, 8, 2]).sum() / 26)
    assert math.isclose(history.epochs["seconds"][-1], last["seconds"].sum())
    result = evaluate(model, dev, batch_size=8)
    assert (history.epochs["dev_loss"][-1], history.epochs["dev_accuracy"][-1]) == result[:2]
    assert (history.skipped, history.clipped, history.best) == (0, 0.0, None)
    assert not model.training


def test_it_learns():
    model = model_of("time")
    fit(model, examples(60), optimizer=partial(optim.AdamW, lr=0.01), epochs=8)
    assert evaluate(model, examples(30, seed=5)).accuracy > 0.8


def test_steps_instead_of_epochs():
    history = fit(model_of(), examples(26), dev=examples(5), optimizer=SGD, steps=6, batch_size=8)
    assert len(history.steps["loss"]) == 6 and len(history.epochs["dev_loss"]) == 2


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    def run(seed, outside):
        model = Noisy(model_of())
        torch.manual_seed(outside)  # whatever was drawn before
        before = torch.get_rng_state()
        history = fit(model, examples(), optimizer=SGD, epochs=2, augment=Shake(), seed=seed)
        assert torch.equal(torch.get_rng_state(), before)
        return weights(model), history.steps["loss"]

    (first, losses), (second, _), (_, others) = run(0, 1), run(0, 2), run(1, 1)
    assert_same_bits(first, second)
    assert losses != others


def test_only_training_batches_are_augmented_and_the_data_stay_what_they_are():
    data, augment = examples(26), Shake()
    before = data.digest()

    def spoil(x, lengths, rng):
        x[:] = 0.0
        return augment(x, lengths, rng)

    history = fit(model_of(), data, dev=data, optimizer=SGD, epochs=2, batch_size=13, augment=spoil)
    assert augment.calls == 4
    assert data.digest() == before
    assert history.epochs["dev_loss"][-1] != history.epochs["loss"][-1]


def test_augmentation_may_change_lengths():
    model = model_of()
    fit(
        model,
        examples(),
        optimizer=SGD,
        epochs=1,
        augment=lambda x, lengths, rng: (x[:, :5], 0 * lengths + 5),
    )


# ---- averages and early stopping


def test_moving_average_is_evaluated_and_comes_back():
    model, data = model_of(), examples()
    seen = []

    def loss(logits, labels):
        if model.training:
            seen.append([p.detach().numpy().copy() for p in model.parameters()])
        return cross_entropy(logits, labels)

    history = fit(model, data, dev=data, optimizer=SGD, epochs=3, batch_size=13, loss=loss, average=0.5)
    assert history.epochs["dev_loss"][-1] == evaluate(model, data, batch_size=13).loss
    # the weights after step k are those that step k + 1 begins with; the last are not seen, so leave them out
    mean = seen[1]
    for point in seen[2:]:
        mean = [0.5 * a + 0.5 * p for a, p in zip(mean, point, strict=True)]
    last = [2 * p.detach().numpy() - a for p, a in zip(model.parameters(), mean, strict=True)]
    plain = model_of()
    fit(plain, data, optimizer=SGD, epochs=3, batch_size=13)
    for ours, theirs in zip(last, plain.parameters(), strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-3, atol=1e-5)


def test_mean_of_the_last_epochs():
    data, means = examples(), []
    for epochs in (3, 4):
        model = model_of()
        fit(model, data, optimizer=SGD, epochs=epochs)
        means.append(weights(model))
    model = model_of()
    fit(model, data, optimizer=SGD, epochs=4, average=2)
    for name, tensor in weights(model).items():
        torch.testing.assert_close(tensor, (means[0][name] + means[1][name]) / 2)


def test_schedule_free_comes_back_as_its_average():
    made = []

    def rule(params):
        made.append(optim.ScheduleFree(params, lr=0.5))
        return made[-1]

    model, data = model_of(), examples()
    history = fit(model, data, dev=data, optimizer=rule, epochs=2)
    for param, average in zip(model.parameters(), made[0].average, strict=True):
        np.testing.assert_array_equal(param.detach().numpy(), average)
    assert history.epochs["dev_loss"][-1] == evaluate(model, data, batch_size=32).loss
    with pytest.raises(ValueError, match="averages by itself"):
        fit(model, data, optimizer=rule, epochs=2, average=0.9)


def test_early_stopping_brings_the_best_weights_back():
    """A rate that grows ruins the model after a few epochs."""
    model, dev = Noisy(model_of()), examples(40, seed=2)
    history = fit(
        model, examples(), dev=dev, optimizer=partial(optim.SGD, lr=0.05), epochs=40, patience=3,
        schedule=lambda step: 1.5**step,
    )  # fmt: skip
    losses = history.epochs["dev_loss"]
    assert history.best == int(np.argmin(losses)) and len(losses) == history.best + 4 < 40
    assert evaluate(model, dev, batch_size=32).loss == losses[history.best]


def test_a_dev_loss_of_nan_is_never_the_best():
    model, epochs = model_of(), iter([math.nan, 1.0, math.nan])

    def loss(logits, labels):
        return cross_entropy(logits, labels) if model.training else torch.tensor(next(epochs))

    assert fit(model, examples(), dev=examples(5), optimizer=SGD, epochs=3, patience=9, loss=loss).best == 1


# ---- evaluation


class Stubborn(nn.Module):
    """Does in eval mode all that it should not: counts calls in a buffer, moves a weight, draws."""

    def __init__(self):
        super().__init__()
        self.inner = Noisy(model_of())
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x, lengths):
        self.calls = self.calls + 1
        self.inner.norm.running_mean += 1
        with torch.no_grad():
            self.inner.model.output.bias.add_(torch.rand(CLASSES))
        return self.inner(x, lengths)


def test_evaluation_changes_nothing():
    model, data = Stubborn().train(), examples()
    model.inner.norm.eval()
    before, modes, random = weights(model), [m.training for m in model.modules()], torch.get_rng_state()
    evaluate(model, data, batch_size=4)
    assert_same_bits(weights(model), before)
    assert [m.training for m in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)
    assert all(param.grad is None for param in model.parameters())
    with pytest.raises(ZeroDivisionError):
        evaluate(model, data, loss=lambda logits, labels: 1 / 0)
    assert_same_bits(weights(model), before)
    assert [m.training for m in model.modules()] == modes


def test_evaluation_counts():
    model, data = model_of(), examples(11)
    result = evaluate(model, data, batch_size=4)
    x, lengths, labels = data.batch(np.arange(11))
    logits = model(torch.tensor(x), lengths)
    assert math.isclose(result.loss, cross_entropy(logits, torch.tensor(labels)).item(), rel_tol=1e-6)
    np.testing.assert_array_equal(result.predictions, logits.argmax(dim=1))
    assert result.accuracy == np.mean(result.predictions == labels)


# ---- non-finite losses and gradients


def broken(call, part):
    """A loss that is, or whose gradient is, not finite at one call."""
    calls = iter(range(1_000))

    def loss(logits, labels):
        value = cross_entropy(logits, labels)
        if next(calls) != call:
            return value
        # the root of 0 is 0, its slope infinite
        return value * math.nan if part == "loss" else value + (0 * logits.sum()).abs().sqrt()

    return loss


@pytest.mark.parametrize(
    "part, says", [("loss", "the loss is nan"), ("gradient", "the gradient of .* holds NaN")]
)
def test_what_is_not_finite_stops_training_before_it_harms(part, says):
    good, model = Noisy(model_of()), Noisy(model_of())
    fit(good, examples(), optimizer=SGD, steps=5, batch_size=8)
    with pytest.raises(clip.NonFiniteGradient, match=says) as caught:
        fit(model, examples(), optimizer=SGD, epochs=3, batch_size=8, loss=broken(5, part))
    assert_same_bits(weights(model), weights(good))
    message = str(caught.value)
    assert "step 5 (epoch 1)" in message and "lr was 0.1" in message and "smaller lr" in message
    assert part == "loss" or "norm.weight" in message


@pytest.mark.parametrize("part", ["loss", "gradient"])
def test_or_is_skipped_and_counted(part):
    model = Noisy(model_of())
    history = fit(
        model, examples(), optimizer=SGD, epochs=2, batch_size=8, loss=broken(5, part), on_nonfinite="skip",
        clip=partial(clip.by_norm, max_norm=1e-3), average=0.5,
    )  # fmt: skip
    assert history.skipped == 1 and np.flatnonzero(np.isnan(history.steps["norm"])).tolist() == [5]
    assert history.clipped == 1.0
    assert math.isfinite(history.epochs["loss"][1])
    assert all(torch.isfinite(tensor).all() for tensor in weights(model).values())


def test_an_epoch_of_nothing_but_skipped_steps_is_an_error():
    with pytest.raises(clip.NonFiniteGradient, match="every step of epoch 0"):
        fit(
            model_of(), examples(), optimizer=SGD, epochs=2, on_nonfinite="skip",
            loss=lambda logits, labels: cross_entropy(logits, labels) * math.nan,
        )  # fmt: skip


# ---- killed and resumed


def everything_on(name, path=None, augment=None, seed=1, **changes):
    """One run with dropout, buffers, augmentation, a schedule, an average, clipping and early stopping."""
    model = Noisy(model_of(name, seed))
    options = {
        "dev": examples(7, seed=3), "optimizer": partial(optim.AdamW, lr=0.02), "epochs": 4, "batch_size": 8,
        "loss": partial(cross_entropy, label_smoothing=0.1), "schedule": optim.warmup(3, optim.cosine(12)),
        "clip": clip.Percentile(50.0, window=10), "augment": augment or Shake(), "patience": 2,
        "average": 0.7, "seed": 5, "checkpoint": path, "every": 3, **changes,
    }  # fmt: skip
    return model, fit(model, examples(), **options)


OTHERS = [
    {"average": 2, "clip": partial(clip.by_value, limit=0.1), "every": None},
    {"optimizer": partial(optim.ScheduleFreeAdamW, lr=0.05), "average": None, "clip": clip.ZScore()},
    {"optimizer": partial(optim.Muon, lr=0.02), "patience": None, "epochs": None, "steps": 14},
    {
        "optimizer": partial(optim.NAdam, lr=0.01),
        "dev": None,
        "patience": None,
        "clip": clip.Median(window=4),
    },
    {"optimizer": partial(optim.Adafactor, lr=0.01), "every": 1},
    {"optimizer": partial(optim.SGD, lr=0.05, momentum=0.9, nesterov=True), "average": None},
]


@pytest.mark.parametrize(
    "name, changes", [*((name, {}) for name in MAKE), *(("mlp", other) for other in OTHERS)]
)
def test_killed_at_random_steps_and_resumed_it_ends_with_the_same_bits(name, changes, tmp_path):
    straight, history = everything_on(name, **changes)
    steps = len(history.steps["loss"])
    rng, path, kills = np.random.default_rng([*name.encode(), len(changes)]), tmp_path / "run", 0
    while True:
        killer = Shake(int(rng.integers(1, steps + 1)) if kills < 4 else None, die)
        try:
            # the weights with which a new process begins do not matter: other seeds
            resumed, seen = everything_on(name, path, killer, seed=1 + kills, **fresh(changes))
            break
        except Killed:
            kills += 1
    assert kills
    assert_same_bits(weights(resumed), weights(straight))
    assert_same_history(seen, history)
    # finished: the same call only brings the result back
    again, seen = everything_on(name, path, Shake(1, die), seed=9, **fresh(changes))
    assert_same_bits(weights(again), weights(straight))
    assert_same_history(seen, history)
    loaded = Noisy(model_of(name, 8))
    train.load_weights(path, loaded)
    assert_same_bits(weights(loaded), weights(straight))


def fresh(changes):
    """With a clipper that remembers nothing, as a new process has."""
    clipper = changes.get("clip")
    if isinstance(clipper, clip.Clipper):
        return changes | {"clip": type(clipper)(**clipper.state_dict()["settings"])}
    return changes


def killed_process(path):
    """What the next test runs in another process."""
    torch.set_num_threads(1)
    everything_on("time", path, Shake(8, partial(os.kill, os.getpid(), signal.SIGKILL)))


def test_sigkill(tmp_path):
    straight, history = everything_on("time")
    path, here = tmp_path / "run.safetensors", Path(__file__).parent
    code = f"import test_train; test_train.killed_process({str(path)!r})"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(here), str(here.parent)])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert train.load(path)["step"] == 6
    resumed, seen = everything_on("time", path, seed=2)
    assert_same_bits(weights(resumed), weights(straight))
    assert_same_history(seen, history)


def test_killed_in_the_middle_of_a_file(tmp_path, monkeypatch):
    """What a kill leaves then is half a draft beside the last checkpoint."""
    straight, _ = everything_on("time")
    path, write_out, calls = tmp_path / "run", os.fsync, iter(range(100))

    def half_then_killed(descriptor):
        if next(calls) < 2:
            return write_out(descriptor)
        os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
        die()

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(os, "fsync", half_then_killed)
        everything_on("time", path)
    assert train.load(path)["step"] == 3
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["run", "run.tmp"]
    resumed, _ = everything_on("time", path, seed=2)
    assert_same_bits(weights(resumed), weights(straight))
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


def test_ctrl_c_saves_after_the_step_and_says_how_to_go_on(tmp_path):
    straight, _ = everything_on("mlp")
    path, before = tmp_path / "run", signal.getsignal(signal.SIGINT)
    interrupt = partial(os.kill, os.getpid(), signal.SIGINT)
    with pytest.raises(
        KeyboardInterrupt, match="after step 5 of 16, saved: the same call goes on from .*run"
    ):
        everything_on("mlp", path, Shake(5, interrupt))
    assert train.load(path)["step"] == 5
    assert signal.getsignal(signal.SIGINT) is before
    resumed, _ = everything_on("mlp", path)
    assert_same_bits(weights(resumed), weights(straight))


def test_ctrl_c_without_a_checkpoint_and_twice():
    interrupt = partial(os.kill, os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="nothing saved: to go on later, give a checkpoint"):
        everything_on("mlp", None, Shake(5, interrupt))
    with pytest.raises(KeyboardInterrupt, match="within a step"):
        everything_on("mlp", None, Shake(5, lambda: (interrupt(), interrupt())))


def test_it_trains_in_another_thread():
    """Signals belong to the main thread; nothing else of the process is touched."""
    done = []
    thread = threading.Thread(target=lambda: done.append(everything_on("mlp")))
    thread.start()
    thread.join()
    assert_same_bits(weights(done[0][0]), weights(everything_on("mlp")[0]))


# ---- checkpoints that do not fit, and places that cannot be written to


@pytest.mark.parametrize("change, says", [
    ({"name": "rnn"}, "model|weights"),
    ({"optimizer": partial(optim.Adam, lr=0.02)}, "rule: AdamW in the checkpoint, Adam here"),
    ({"optimizer": partial(optim.AdamW, lr=0.03)}, "rule settings: .*0.02.* in the checkpoint, .*0.03"),
    ({"batch_size": 9}, "batch_size: 8 in the checkpoint, 9 here"),
    ({"epochs": 5}, "steps: 16 in the checkpoint, 20 here"),
    ({"seed": 6}, "seed: 5 in"),
    ({"schedule": optim.cosine(17)}, "schedule"),
    ({"loss": cross_entropy}, r"loss: cross_entropy\(label_smoothing=0.1\) in the .*, cross_entropy here"),
    ({"clip": clip.Percentile(20.0, window=10)}, "clip: Percentile"),
    ({"clip": None}, "clip: Percentile .* in the checkpoint, None here"),
    ({"augment": lambda x, lengths, rng: (x, lengths)}, "augment: Shake in"),
    ({"patience": 3}, "patience: 2 in"),
    ({"average": 3}, "average: 0.7 in"),
    ({"dev": examples(8)}, "dev: "),
    ({"on_nonfinite": "skip"}, "on_nonfinite: stop in"),
    ({"dropout": 0.4}, r"layers, line \d+: .*p=0.2.* in the checkpoint, .*p=0.4"),
    ({"data": 1}, "data: "),
    ({"frozen": True}, "untrained: "),
])  # fmt: skip
def test_a_checkpoint_of_another_run_is_refused_and_nothing_changed(change, says, tmp_path):
    path = tmp_path / "run"
    with pytest.raises(Killed):
        everything_on("mlp", path, Shake(8, die))
    saved = path.read_bytes()
    model = Noisy(model_of(change.pop("name", "mlp"), 2))
    model.dropout.p = change.pop("dropout", 0.2)
    model.model.output.bias.requires_grad_(not change.pop("frozen", False))
    before, random = weights(model), torch.get_rng_state()
    data = examples(seed=change.pop("data", 0))
    options = {
        "dev": examples(7, seed=3), "optimizer": partial(optim.AdamW, lr=0.02), "epochs": 4, "batch_size": 8,
        "loss": partial(cross_entropy, label_smoothing=0.1), "schedule": optim.warmup(3, optim.cosine(12)),
        "clip": clip.Percentile(50.0, window=10), "augment": Shake(), "patience": 2, "average": 0.7,
        "seed": 5, "checkpoint": path, **change,
    }  # fmt: skip
    with pytest.raises(CheckpointError, match=f"nothing was loaded.*differs in .*({says})"):
        fit(model, data, **options)
    assert_same_bits(weights(model), before)
    assert torch.equal(torch.get_rng_state(), random)
    assert path.read_bytes() == saved


def test_weights_of_another_model_are_refused(tmp_path):
    path, model = tmp_path / "run", model_of("rnn")
    everything_on("mlp", path)
    before = weights(model)
    with pytest.raises(CheckpointError, match="model: Noisy in the checkpoint, Recurrent here"):
        train.load_weights(path, model)
    assert_same_bits(weights(model), before)


@pytest.mark.parametrize("keep", [0, 5, 400, 0.5, -1])
def test_a_file_that_is_cut_off_is_a_clear_error(keep, tmp_path):
    path = tmp_path / "run"
    everything_on("mlp", path)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    for read in (train.load, partial(everything_on, "mlp"), lambda p: train.load_weights(p, model_of())):
        with pytest.raises(CheckpointError, match="not a checkpoint, or is cut off"):
            read(path)


def test_a_foreign_file_is_a_clear_error(tmp_path):
    path = tmp_path / "run"
    path.write_text("steps: 3\n" * 50, encoding="utf-8")
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        train.load(path)
    safetensors.torch.save_file({"weight": torch.ones(2)}, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="no checkpoint of 'speechlib.train 1'.*'pt'"):
        train.load(path)
    with pytest.raises(FileNotFoundError):
        train.load(tmp_path / "none")


class FullDisk:
    """A file that takes some bytes and then no more."""

    def __init__(self, path, mode):
        self.file = open(path, mode)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, content):
        self.file.write(content[: len(content) // 2])
        self.file.flush()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_only(path, mode):
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


@pytest.mark.parametrize("fails", [FullDisk, read_only])
def test_a_failed_save_leaves_the_old_checkpoint(fails, tmp_path, monkeypatch):
    straight, _ = everything_on("mlp")
    path = tmp_path / "run"
    with pytest.raises(Killed):
        everything_on("mlp", path, Shake(5, die))
    saved = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(train, "open", fails, raising=False)
        with pytest.raises(CheckpointError, match="(No space|Read-only).*that was there is whole"):
            everything_on("mlp", path)
        with pytest.raises(CheckpointError, match="there is no checkpoint yet"):
            everything_on("mlp", tmp_path / "new", Shake(1, die))  # before the first step
    assert path.read_bytes() == saved
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]
    resumed, _ = everything_on("mlp", path)
    assert_same_bits(weights(resumed), weights(straight))


def test_a_folder_that_is_missing_is_found_out_before_the_first_step(tmp_path):
    with pytest.raises(CheckpointError, match="No such file or directory"):
        everything_on("mlp", tmp_path / "folder" / "run", Shake(1, die))


def test_a_link_to_a_checkpoint_stays_a_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "run")
    train.save(tmp_path / "link", {"step": 1})
    assert (tmp_path / "link").is_symlink() and train.load(tmp_path / "run") == {"step": 1}


def test_save_and_load_keep_every_bit(tmp_path):
    state = {
        "arrays": [
            np.array(0.1), np.arange(3, dtype=np.uint64) + 2**63, np.zeros((0, 2), np.float32),
            np.array([True]),
        ],
        "tensors": {
            "half": torch.tensor([1.5], dtype=torch.bfloat16), "turned": torch.arange(6).reshape(2, 3).T
        },
        "numbers": [1, 0.1, None, True, "é", np.float64(0.3), np.int64(7), math.inf],
        "empty": {}, "array": {"array": 1},
    }  # fmt: skip
    train.save(tmp_path / "run", state)
    loaded = train.load(tmp_path / "run")
    for ours, theirs in zip(loaded["arrays"], state["arrays"], strict=True):
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape and (ours == theirs).all()
    assert_same_bits(loaded["tensors"], state["tensors"])
    assert loaded["numbers"] == state["numbers"] and loaded["empty"] == {} and loaded["array"] == {"array": 1}


def test_a_checkpoint_is_tensors_and_json_alone(tmp_path):
    path = tmp_path / "run"
    everything_on("mlp", path)
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    about = header.pop("__metadata__")
    assert about["format"] == train.FORMAT and set(about) == {"format", "state"}
    assert json.loads(about["state"])
    kinds = {name: entry["dtype"] for name, entry in header.items()}
    assert kinds["/weights/model.hidden.weight"] == "F32" and kinds["/random/augment"] == "U64"
    assert kinds["/random/torch/cpu"] == "U8" and kinds["/history/steps/loss"] == "F64"


# ---- where the parameters are elsewhere, or the model is wrapped


def test_parameters_elsewhere_are_copied_and_end_with_the_same_bits(tmp_path, monkeypatch):
    straight, _ = everything_on("mlp")
    monkeypatch.setattr(train, "_shares_memory", lambda tensor: False)
    copied, _ = everything_on("mlp")
    assert_same_bits(weights(copied), weights(straight))
    with pytest.raises(Killed):
        everything_on("mlp", tmp_path / "run", Shake(6, die))
    resumed, _ = everything_on("mlp", tmp_path / "run", seed=3)
    assert_same_bits(weights(resumed), weights(straight))


def test_sharing_needs_no_copy():
    model, made = model_of(), []
    fit(
        model, examples(), optimizer=lambda params: made.append(params) or optim.SGD(params, lr=0.1), epochs=1
    )
    for param, array in zip(model.parameters(), made[0], strict=True):
        assert param.data_ptr() == array.ctypes.data


def test_bfloat16_learns_on_a_float32_copy():
    """NumPy has no bfloat16; and steps too small for its 8 bits add up in the copy."""
    model, made = model_of("softmax").to(torch.bfloat16), []
    before = weights(model)

    def rule(params):
        made.append(params)
        return optim.SGD(params, lr=1e-3)

    fit(model, examples(), optimizer=rule, epochs=30)
    for (name, param), array in zip(model.named_parameters(), made[0], strict=True):
        assert array.dtype == np.float32
        torch.testing.assert_close(param.detach(), torch.tensor(array).bfloat16(), rtol=0, atol=0)
        assert not torch.equal(param, before[name])


class Wrapped(nn.Module):
    """As DistributedDataParallel: the model is called through it and stands in `module`."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, *batch):
        return self.module(*batch)


def test_a_wrapped_model_trains_and_shares_its_checkpoints_with_the_bare_one(tmp_path):
    straight = model_of()
    fit(straight, examples(), optimizer=SGD, epochs=2)
    with pytest.raises(Killed):
        wrapped = Wrapped(model_of())
        fit(wrapped, examples(), optimizer=SGD, epochs=2, checkpoint=tmp_path / "run", loss=Dying(1))
    bare = model_of(seed=4)
    fit(bare, examples(), optimizer=SGD, epochs=2, checkpoint=tmp_path / "run", loss=Dying(None))
    assert_same_bits(weights(bare), weights(straight))


class Dying:
    """Cross entropy that dies at one call."""

    def __init__(self, at):
        self.at, self.calls = at, 0

    def __call__(self, logits, labels):
        self.calls += 1
        if self.calls - 1 == self.at:
            die()
        return cross_entropy(logits, labels)


def test_frozen_and_unused_parameters():
    model = model_of()
    model.hidden.weight.requires_grad_(False)
    model.unused = nn.Parameter(torch.ones(2))
    before = weights(model)
    fit(model, examples(), optimizer=SGD, epochs=1)
    after = weights(model)
    for name, moved in [("hidden.weight", False), ("unused", False), ("output.weight", True)]:
        assert torch.equal(before[name], after[name]) != moved
    with pytest.raises(ValueError, match="nothing to learn"):
        fit(model.requires_grad_(False), examples(), optimizer=SGD, epochs=1)


# ---- what is shown and what is refused


def test_the_bar_is_off_where_nobody_looks_and_shows_loss_and_accuracy(capsys):
    fit(model_of(), examples(), optimizer=SGD, epochs=1)
    assert capsys.readouterr() == ("", "")
    fit(model_of(), examples(), optimizer=SGD, epochs=1, progress=True)
    shown = capsys.readouterr()
    assert shown.out == "" and "loss=" in shown.err and "accuracy=" in shown.err


@pytest.mark.parametrize("options, says", [
    ({}, "either epochs or steps"),
    ({"epochs": 1, "steps": 1}, "either epochs or steps"),
    ({"epochs": 0}, "epochs must be a whole number above 0"),
    ({"epochs": 1, "batch_size": 2.5}, "batch_size"),
    ({"epochs": 1, "patience": 1}, "patience needs dev"),
    ({"epochs": 1, "on_nonfinite": "ignore"}, "'stop' or 'skip'"),
    ({"epochs": 1, "average": 1.0}, "decay must be below 1"),
    ({"epochs": 1, "average": 0}, "number of epochs"),
])  # fmt: skip
def test_arguments_that_fit_refuses(options, says):
    with pytest.raises(ValueError, match=says):
        fit(model_of(), examples(), optimizer=SGD, **options)


@pytest.mark.parametrize("features, labels, says", [
    ([], [], "one label an utterance"),
    ([np.ones((2, 3))], [0, 1], "one label an utterance"),
    ([np.ones((2, 3))], [0.0], "integers"),
    ([np.ones((2, 3))], [-1], "counted from 0"),
    ([np.ones((2, 3)), np.ones((2, 4))], [0, 1], r"features\[1\]"),
    ([np.ones(3)], [0], r"features\[0\]"),
    ([np.ones((0, 3))], [0], r"features\[0\]"),
    ([np.full((2, 3), math.nan)], [0], "finite floats"),
    ([np.ones((2, 3), int)], [0], "finite floats"),
])  # fmt: skip
def test_examples_that_are_refused(features, labels, says):
    with pytest.raises(ValueError, match=says):
        Examples(features, labels)
