"""Training: one `fit` around the five steps batch, loss, backward, clip, step; and what outlives a crash."""

import hashlib
import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from .clip import Clipper, NonFiniteGradient, by_norm
from .features import pad
from .optim import Average, Optimizer, ScheduleFree, constant

FORMAT = "speechlib.train 1"


class CheckpointError(ValueError):
    """A checkpoint could not be written or read, or is of another run. What was there before is unharmed."""


class Examples:
    """Features and the right answers: what `fit` learns from and `evaluate` counts on.

    Parameters
    ----------
    features : list of np.ndarray [shape=(frames, bins), float]
        One an utterance.
    labels : array_like [shape=(utterances,), int]
        The class of each, counted from 0.

    Raises
    ------
    ValueError
        If there are none, the numbers differ, a label is not a class, or features hold NaN or infinity.

    Examples
    --------
    >>> x, lengths, labels = Examples([np.ones((2, 3)), np.ones((4, 3))], [0, 1]).batch([1, 0])
    >>> x.shape, lengths.tolist(), labels.tolist()
    ((2, 4, 3), [4, 2], [1, 0])
    """

    def __init__(self, features: list[np.ndarray], labels: np.ndarray):
        self.features, self.labels = [np.asarray(x) for x in features], np.asarray(labels)
        if not self.features or self.labels.shape != (len(self.features),):
            raise ValueError(f"need one label an utterance: {len(self.features)}, {self.labels.shape}")
        if self.labels.dtype.kind not in "iu" or self.labels.min() < 0:
            raise ValueError("labels must be integers, counted from 0")
        for i, x in enumerate(self.features):
            if x.ndim != 2 or len(x) == 0 or x.shape[1] != self.features[0].shape[-1]:
                raise ValueError(f"features[{i}] must be (frames, bins), bins as in the first, not {x.shape}")
            if x.dtype.kind != "f" or not np.isfinite(x).all():
                raise ValueError(f"features[{i}] must be finite floats")

    def __len__(self) -> int:
        return len(self.features)

    def batch(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The utterances of these numbers, padded (N, T, D); their lengths (N,) and labels (N,)."""
        x, lengths = pad([self.features[row] for row in rows])
        return x, lengths, self.labels[rows]

    def digest(self) -> str:
        """A few letters that differ for other data: by them a checkpoint knows its own."""
        sha = hashlib.sha256()
        for array in (self.labels.astype(np.int64), *self.features):
            sha.update(repr((array.shape, array.dtype.str)).encode())
            sha.update(np.ascontiguousarray(array))
        return sha.hexdigest()[:16]


@dataclass
class History:
    """What happened in training, in lists of one number a step and one number an epoch.

    Parameters
    ----------
    steps : dict of list
        "loss", "accuracy" (of the batch, before the step), "lr", "norm" (of the gradient, before clipping),
        "clipped" (1 or 0), "examples", "seconds". NaN is the loss and the norm of a step that was left out.
    epochs : dict of list
        "loss", "accuracy", "norm" (means over the epoch), "lr" (of its last step), "seconds" (of its steps,
        without evaluation), and with dev examples "dev_loss", "dev_accuracy".
    best : int, optional
        With `patience`: the epoch whose weights came back, counted from 0.
    """

    steps: dict[str, list] = field(
        default_factory=lambda: {
            name: [] for name in ("loss", "accuracy", "lr", "norm", "clipped", "examples", "seconds")
        }
    )
    epochs: dict[str, list] = field(default_factory=dict)
    best: int | None = None

    @property
    def skipped(self) -> int:
        """The number of steps that were left out because the loss or a gradient was not finite."""
        return int(np.isnan(self.steps["norm"]).sum())

    @property
    def clipped(self) -> float:
        """The share of the steps taken whose gradient the clipper changed."""
        return sum(self.steps["clipped"]) / max(1, len(self.steps["clipped"]) - self.skipped)


class Result(NamedTuple):
    """What `evaluate` counted.

    Parameters
    ----------
    loss, accuracy : float
    predictions : np.ndarray [shape=(utterances,), int]
    probabilities : np.ndarray [shape=(utterances, classes)]
        The softmax of the logits.
    """

    loss: float
    accuracy: float
    predictions: np.ndarray
    probabilities: np.ndarray


def evaluate(
    model: nn.Module, data: Examples, *, loss: Callable = cross_entropy, batch_size: int = 64
) -> Result:
    """Let a model answer all examples, and count; it cannot learn from that.

    Parameters
    ----------
    model : nn.Module
        Evaluated in eval mode. Afterwards its weights, buffers and mode are what they were, and torch's
        random numbers go on as if nothing had happened.
    data : Examples
    loss : Callable
        `loss(logits, labels)`, the mean over a batch.
    batch_size : int

    Returns
    -------
    Result

    Examples
    --------
    >>> from speechlib.models import Softmax
    >>> data = Examples([np.ones((5, 4)), np.zeros((3, 4))], [0, 1])
    >>> model = Softmax(4, 2)
    >>> for param in model.parameters():
    ...     _ = nn.init.zeros_(param)
    >>> result = evaluate(model, data)
    >>> round(result.loss, 4), result.accuracy, result.predictions
    (0.6931, 0.5, array([0, 0]))
    """
    total, probabilities = 0.0, []
    with _unchanged(model), torch.no_grad():
        model.eval()
        for start in range(0, len(data), batch_size):
            rows = np.arange(start, min(start + batch_size, len(data)))
            x, lengths, labels = _tensors(model, *data.batch(rows))
            logits = model(x, lengths)
            total += loss(logits, labels).item() * len(rows)
            probabilities.append(torch.softmax(logits, dim=1).cpu().numpy())
    probabilities = np.concatenate(probabilities)
    predictions = probabilities.argmax(axis=1)
    return Result(total / len(data), float(np.mean(predictions == data.labels)), predictions, probabilities)


def fit(
    model: nn.Module,
    data: Examples,
    *,
    optimizer: Callable[[list[np.ndarray]], Optimizer],
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int = 32,
    loss: Callable = cross_entropy,
    schedule: Callable[[int], float] | None = None,
    clip: Callable | None = None,
    augment: Callable | None = None,
    dev: Examples | None = None,
    patience: int | None = None,
    average: float | int | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike | None = None,
    every: int | None = None,
    progress: bool | None = None,
    on_nonfinite: str = "stop",
) -> History:
    """Train a model; with a checkpoint, the same call goes on where a killed one stopped.

    Parameters
    ----------
    model : nn.Module
        `model(x, lengths) -> logits`, on any device. Training starts from its weights and leaves the new ones
        in it, in eval mode.
    data : Examples
    optimizer : Callable
        What makes the rule from a list of arrays, such as `functools.partial(optim.AdamW, lr=1e-3)`.
    epochs, steps : int
        How long; one of the two. An epoch shows every example once, in an order that depends on `seed` and
        the number of the epoch alone.
    batch_size : int
    loss : Callable
        `loss(logits, labels)`, the mean over the batch. With label smoothing: `functools.partial(
        cross_entropy, label_smoothing=0.1)`.
    schedule : Callable, optional
        `step -> factor` of the rule's `lr`; steps count from 0.
    clip : Callable, optional
        Bounds a list of gradients in place: `functools.partial(clip.by_norm, max_norm=5.0)` or a `Clipper`.
    augment : Callable, optional
        `augment(x, lengths, rng) -> (x, lengths)` changes a training batch (arrays of its own).
    dev : Examples, optional
        Evaluated after each epoch, with the same loss.
    patience : int, optional
        Stop when the dev loss has not fallen for so many epochs. The weights of the best epoch come back.
    average : float below 1, or int, optional
        A float is the decay of a moving average of the weights, taken after each step. An int is a number of
        epochs: the mean of the weights at the ends of the last ones. Where there is an average, it is
        evaluated and comes back.
    seed : int
        Of the order, of `augment` and of torch's random numbers inside (dropout). Those outside go on as if
        nothing had happened; so the first weights depend on the caller's seed, not on this one.
    checkpoint : path, optional
        A file that is written at the start, after each epoch and at the end, all or nothing. If it exists
        when training starts, training goes on from it and ends with the same bits as without the break.
    every : int, optional
        Write the checkpoint also after so many steps.
    progress : bool, optional
        Show a bar. None: where the output is a terminal.
    on_nonfinite : {"stop", "skip"}
        What to do with a step whose loss or gradient is NaN or infinite: raise, or leave it out and count it.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If the arguments contradict each other.
    NonFiniteGradient
        If the loss or a gradient is not finite; the weights are those before that step.
    CheckpointError
        If the checkpoint belongs to another run (nothing was changed) or cannot be written.
    KeyboardInterrupt
        After Ctrl-C, at the end of the step, with the checkpoint written. A second Ctrl-C does not wait.

    Notes
    -----
    Of a `ScheduleFree` rule the average is evaluated and comes back. Averages are of trained weights;
    buffers, such as those of batch normalization, are the last ones.

    The same bits need the same number of threads (`torch.set_num_threads`) and the same machine.

    Examples
    --------
    >>> from speechlib import models, optim
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(20) % 2
    >>> data = Examples([rng.normal(label, 0.1, (rng.integers(5, 9), 4)) for label in labels], labels)
    >>> model = models.Softmax(4, 2)
    >>> history = fit(model, data, optimizer=partial(optim.SGD, lr=0.5), epochs=5, batch_size=10)
    >>> len(history.steps["loss"]), evaluate(model, data).accuracy
    (10, 1.0)
    """
    if (epochs is None) == (steps is None):
        raise ValueError("say how long to train: either epochs or steps")
    if patience is not None and dev is None:
        raise ValueError("patience needs dev examples: early stopping looks at their loss")
    if on_nonfinite not in ("stop", "skip"):
        raise ValueError(f"on_nonfinite must be 'stop' or 'skip', not {on_nonfinite!r}")
    for name, value in [("epochs", epochs), ("steps", steps), ("batch_size", batch_size),
                        ("patience", patience), ("every", every)]:  # fmt: skip
        if value is not None and (not isinstance(value, int | np.integer) or value < 1):
            raise ValueError(f"{name} must be a whole number above 0, not {value!r}")
    epoch_steps = math.ceil(len(data) / batch_size)
    total = steps if steps is not None else epochs * epoch_steps
    schedule = schedule or constant()
    run = _Run(model, optimizer, clip, average, last_epoch=math.ceil(total / epoch_steps), seed=seed)

    def save_now():
        if checkpoint is not None:
            save(checkpoint, {"identity": identity, **run.state()})

    if checkpoint is not None:
        factors = np.array([schedule(step) for step in range(total)], dtype=float)
        identity = run.identity() | {
            "data": data.digest(), "dev": None if dev is None else dev.digest(), "steps": total,
            "batch_size": batch_size, "seed": seed, "loss": _describe(loss),
            "schedule": hashlib.sha256(factors).hexdigest()[:16],
            "clip": _describe(clip), "augment": _describe(augment), "patience": patience, "average": average,
            "on_nonfinite": on_nonfinite,
        }  # fmt: skip

    with _random_numbers(run.device), _CtrlC() as ctrl_c:
        torch.manual_seed(seed)
        if checkpoint is not None and Path(checkpoint).exists():
            run.restore(_of_the_same_run(load(checkpoint), identity, checkpoint))
        else:
            save_now()  # a folder that cannot be written to is found out before the work
        model.train()
        order = None
        hidden = None if progress is None else not progress  # None: tqdm asks whether this is a terminal
        with tqdm(total=total, initial=run.step, unit="step", disable=hidden) as bar:
            while run.step < total and not run.stopped:
                started = time.perf_counter()
                epoch, position = divmod(run.step, epoch_steps)
                if order is None or position == 0:
                    order = np.random.default_rng([seed, 0, epoch]).permutation(len(data))
                run.rule.lr = run.lr * schedule(run.step)
                buffers = _copies(dict(run.model.named_buffers()))
                try:
                    # 1. a batch
                    x, lengths, labels = data.batch(order[position * batch_size :][:batch_size])
                    if augment is not None:
                        x, lengths = augment(x, lengths, run.rng)
                    x, lengths, labels = _tensors(model, x, lengths, labels)

                    # 2. the loss
                    logits = model(x, lengths)
                    value = loss(logits, labels)
                    if not math.isfinite(value.item()):
                        raise NonFiniteGradient(f"the loss is {value.item()}")

                    # 3. backward: its gradient
                    model.zero_grad(set_to_none=True)
                    value.backward()
                    grads = run.gradients()
                    norm = _norm(grads, run.trained)

                    # 4. clip
                    if clip is not None:
                        clip(grads)
                    clipped = float(by_norm(grads, math.inf) != norm) if clip is not None else 0.0

                    # 5. a step
                    run.take_step(grads)
                    accuracy = (logits.argmax(dim=1) == labels).double().mean().item()
                    row = (value.item(), accuracy, run.rule.lr, norm, clipped)
                except NonFiniteGradient as error:
                    _assign(dict(run.model.named_buffers()), buffers)
                    if on_nonfinite == "stop":
                        raise NonFiniteGradient(
                            f"step {run.step} (epoch {epoch}): {error}. The weights are those before this "
                            f"step; lr was {run.rule.lr:.3g}. Try a smaller lr, a warm-up or clipping; "
                            "on_nonfinite='skip' leaves such steps out and counts them"
                        ) from error
                    row = (math.nan, math.nan, run.rule.lr, math.nan, 0.0)

                row = (*row, len(labels), time.perf_counter() - started)
                for column, entry in zip(run.history.steps.values(), row, strict=True):
                    column.append(entry)
                run.step += 1
                bar.update()
                bar.set_postfix(loss=f"{row[0]:.3f}", accuracy=f"{row[1]:.3f}", refresh=False)
                if epoch_ends := run.step % epoch_steps == 0 or run.step == total:
                    run.end_epoch(epoch, epoch * epoch_steps)
                    if dev is not None:
                        with run.wearing_average():
                            run.judge(epoch, evaluate(model, dev, loss=loss, batch_size=batch_size), patience)
                if epoch_ends or (every and run.step % every == 0) or ctrl_c.pressed:
                    save_now()
                if ctrl_c.pressed:
                    where = f"stopped after step {run.step} of {total}"
                    if checkpoint is None:
                        raise KeyboardInterrupt(f"{where}, nothing saved: to go on later, give a checkpoint")
                    raise KeyboardInterrupt(f"{where}, saved: the same call goes on from {checkpoint}")
    run.finish()
    model.eval()
    return run.history


def save(path: str | os.PathLike, state: dict) -> None:
    """Write a tree of dictionaries and lists into one safetensors file: all of it, or nothing.

    Parameters
    ----------
    path : path
        Appears, or is replaced, at once: until all is on the disk, an old file stays what it was.
    state : dict
        With str keys. Arrays and tensors become the file's tensors; the rest must be JSON (numbers, str,
        None, lists) and becomes its metadata. Nothing is pickled: reading a checkpoint runs no code from it.

    Raises
    ------
    CheckpointError
        If the disk is full, the folder is read-only or missing.
    """
    tensors: dict[str, torch.Tensor] = {}
    tree = json.dumps(_pack(state, "", tensors))
    content = safetensors.torch.save(tensors, metadata={"format": FORMAT, "state": tree})
    path = Path(path).resolve()  # a link stays a link
    draft = path.with_name(path.name + ".tmp")
    try:
        with open(draft, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        there = "the checkpoint that was there is whole" if path.exists() else "there is no checkpoint yet"
        raise CheckpointError(f"cannot write {path}: {error.strerror}; {there}") from error


def load(path: str | os.PathLike) -> dict:
    """Read what `save` wrote.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict
        Arrays and tensors are what they were; tuples are lists.

    Raises
    ------
    CheckpointError
        If the file is cut off or of another kind.
    FileNotFoundError
        If there is none.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(Path(folder) / "run.safetensors", {"step": 3, "weights": [np.ones(2)]})
    ...     load(Path(folder) / "run.safetensors")
    {'step': 3, 'weights': [array([1., 1.])]}
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} is not a checkpoint, or is cut off ({error}): remove it to start again"
        ) from error
    if about.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} holds tensors, but is no checkpoint of {FORMAT!r}: it says {about.get('format')!r}"
        )
    return _unpack(json.loads(about["state"]), tensors)


def load_weights(path: str | os.PathLike, model: nn.Module) -> None:
    """Give a model the weights of a checkpoint: the best so far, or the average, or the last.

    Parameters
    ----------
    path : path
        Written by `fit`.
    model : nn.Module
        With parameters and buffers of the same names and shapes.

    Raises
    ------
    CheckpointError
        As `load`, and if it is of another model; nothing has been changed then.
    """
    state, model = load(path), _unwrapped(model)
    about_model = {
        name: text for name, text in state["identity"].items() if name.startswith(("model", "weights "))
    }
    _of_the_same_run({"identity": about_model}, _shapes(model), path)
    best = state["best"] or {"weights": state["evaluated"] or state["weights"], "others": state["others"]}
    _assign(_everything(model), best["weights"] | best["others"])


# ---- what a run consists of


class _Run:
    """All that changes in training. `state` and `restore` know every part of it."""

    def __init__(self, model, optimizer, clip, average, *, last_epoch, seed):
        self.model = _unwrapped(model)
        self.trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        if not self.trained:
            raise ValueError("the model has no parameter that requires a gradient: there is nothing to learn")
        self.device = next(iter(self.trained.values())).device
        self.arrays = [_array(param) for param in self.trained.values()]  # what the rule moves
        self.rule = optimizer(self.arrays)
        self.lr = self.rule.lr
        self.clip = clip
        self.average, self.mean_from = None, math.inf
        if average is not None:
            if isinstance(self.rule, ScheduleFree):
                raise ValueError(f"{type(self.rule).__name__} averages by itself: leave average out")
            every_step = isinstance(average, float)
            if not every_step and (not isinstance(average, int | np.integer) or average < 1):
                raise ValueError(f"average must be a decay below 1 or a number of epochs, not {average!r}")
            self.average = Average(self.arrays, decay=average if every_step else None)
            self.mean_from = math.inf if every_step else last_epoch - average
        self.rng = np.random.default_rng([seed, 1])
        self.step, self.stopped = 0, False
        self.best = None
        self.history = History()

    def gradients(self) -> list[np.ndarray]:
        """Of each trained parameter; zeros where the loss does not depend on it."""
        return [
            np.zeros_like(array) if param.grad is None else _array(param.grad)
            for array, param in zip(self.arrays, self.trained.values(), strict=True)
        ]

    def take_step(self, grads):
        self.rule.step(grads)
        self.send()
        if self.average is not None and self.average.decay is not None:
            self.average.update()

    def send(self):
        """To where the parameters are, if that is not the memory of the arrays."""
        with torch.no_grad():
            for param, array in zip(self.trained.values(), self.arrays, strict=True):
                if not _shares_memory(param):
                    param.copy_(torch.from_numpy(array))

    def weights(self) -> dict[str, np.ndarray]:
        """Copies of the trained parameters."""
        return {name: array.copy() for name, array in zip(self.trained, self.arrays, strict=True)}

    def assign(self, weights):
        for name, array in zip(self.trained, self.arrays, strict=True):
            array[...] = weights[name]
        self.send()

    def evaluated(self) -> dict[str, np.ndarray] | None:
        """The weights to evaluate, where they are not the present ones."""
        if isinstance(self.rule, ScheduleFree):
            return dict(zip(self.trained, self.rule.average, strict=True))
        if self.average is not None and self.average.updates:
            return dict(zip(self.trained, self.average.average, strict=True))
        return None

    @contextmanager
    def wearing_average(self) -> Iterator[None]:
        """The model with the weights to evaluate."""
        present = self.weights()
        try:
            self.assign(self.evaluated() or present)
            yield
        finally:
            self.assign(present)

    def end_epoch(self, epoch, first_step):
        rows = {name: np.array(column[first_step:]) for name, column in self.history.steps.items()}
        taken = ~np.isnan(rows["norm"])
        if not taken.any():
            raise NonFiniteGradient(
                f"every step of epoch {epoch} was left out, because its loss or gradient was not finite: the "
                "weights are lost, or the loss is at fault. Train anew with a smaller lr or with clipping"
            )
        row = {
            name: float(np.average(rows[name][taken], weights=rows["examples"][taken]))
            for name in ("loss", "accuracy", "norm")
        }
        row |= {"lr": float(rows["lr"][-1]), "seconds": float(rows["seconds"].sum())}
        for name, value in row.items():
            self.history.epochs.setdefault(name, []).append(value)
        if epoch >= self.mean_from:
            self.average.update()

    def judge(self, epoch, result, patience):
        """Keep the weights that stand in the model now if they are the best, and see whether to stop."""
        self.history.epochs.setdefault("dev_loss", []).append(result.loss)
        self.history.epochs.setdefault("dev_accuracy", []).append(result.accuracy)
        if patience is None:
            return
        loss = math.inf if math.isnan(result.loss) else result.loss
        if self.best is None or loss < self.best["loss"]:
            self.best = {"loss": loss, "weights": self.weights(), "others": _copies(_others(self.model))}
            self.history.best = epoch
        self.stopped = epoch - self.history.best >= patience

    def finish(self):
        """The weights to keep."""
        if self.best is not None:
            _assign(_others(self.model), self.best["others"])
        keep = self.best["weights"] if self.best is not None else self.evaluated()
        if keep is not None:
            self.assign(keep)

    def identity(self) -> dict:
        """What must agree before a checkpoint may be loaded."""
        settings = json.loads(json.dumps(self.rule.state_dict()["settings"]))
        return {
            **_shapes(self.model),
            **{f"layers, line {i}": line for i, line in enumerate(repr(self.model).splitlines())},
            "untrained": sorted(set(_everything(self.model)) - set(self.trained)),
            "rule": type(self.rule).__name__,
            "rule settings": settings | {"lr": self.lr},
        }

    def state(self) -> dict:
        return {
            "step": self.step,
            "stopped": self.stopped,
            "weights": self.weights(),
            "evaluated": self.evaluated(),
            "others": _others(self.model),
            "rule": self.rule.state_dict(),
            "clip": self.clip.state_dict() if isinstance(self.clip, Clipper) else None,
            "average": self.average and self.average.state_dict(),
            "best": self.best,
            "random": {"torch": _random_state(self.device), "augment": _generator_state(self.rng)},
            "history": {
                "steps": {name: np.array(column) for name, column in self.history.steps.items()},
                "epochs": {name: np.array(column) for name, column in self.history.epochs.items()},
                "best": self.history.best,
            },
            "made with": {"torch": torch.__version__, "threads": torch.get_num_threads()},
        }

    def restore(self, state):
        self.rule.load_state_dict(state["rule"] | {"settings": self.rule.state_dict()["settings"]})
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        if isinstance(self.clip, Clipper):
            self.clip.load_state_dict(state["clip"])
        self.assign(state["weights"])
        _assign(_others(self.model), state["others"])
        _set_random_state(self.device, state["random"]["torch"])
        _set_generator_state(self.rng, state["random"]["augment"])
        self.step, self.stopped, self.best = state["step"], state["stopped"], state["best"]
        for mine, saved in [(self.history.steps, "steps"), (self.history.epochs, "epochs")]:
            mine.update({name: column.tolist() for name, column in state["history"][saved].items()})
        self.history.best = state["history"]["best"]


def _unwrapped(model):
    """What a wrapper holds (DistributedDataParallel is one): there the parameters have their own names."""
    inner = getattr(model, "module", None)
    wraps = isinstance(inner, nn.Module) and len([*inner.parameters()]) == len([*model.parameters()])
    return inner if wraps else model


def _shares_memory(tensor):
    """Whether NumPy can hold the tensor's own memory: on the CPU, if it knows that kind of numbers."""
    return tensor.device.type == "cpu" and tensor.dtype in (torch.float16, torch.float32, torch.float64)


def _array(tensor):
    """A tensor as an array: the same memory where that is possible, else a copy in at least float32."""
    tensor = tensor.detach()
    if _shares_memory(tensor):
        return tensor.numpy()
    wide = torch.float64 if tensor.dtype == torch.float64 else torch.float32
    return tensor.to("cpu", wide, copy=True).numpy()


def _tensors(model, x, lengths, labels):
    """A batch as tensors, where the model is and with its precision."""
    like = next(model.parameters())
    x = torch.as_tensor(x, dtype=like.dtype, device=like.device)
    return x, torch.as_tensor(lengths, device=like.device), torch.as_tensor(labels, device=like.device)


def _norm(grads, names):
    """The norm of all gradients together; an error names the parameter."""
    for name, grad in zip(names, grads, strict=True):
        if not np.isfinite(grad).all():
            raise NonFiniteGradient(f"the gradient of {name} holds NaN or infinity")
    return by_norm(grads, math.inf)


def _others(model):
    """What a model has beside its trained parameters: frozen ones, and buffers."""
    frozen = {name: param for name, param in model.named_parameters() if not param.requires_grad}
    return frozen | dict(model.named_buffers())


def _everything(model):
    return dict(model.named_parameters()) | dict(model.named_buffers())


def _shapes(model):
    tensors = _everything(model)
    shapes = {f"weights {name}": f"{tuple(tensor.shape)} {tensor.dtype}" for name, tensor in tensors.items()}
    return {"model": type(model).__qualname__, **shapes}


def _copies(tensors):
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _assign(tensors, values):
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(torch.as_tensor(values[name]))


@contextmanager
def _unchanged(model):
    """Whatever happens inside, the model comes out with the weights, buffers and modes it went in with."""
    kept, modes = _copies(_everything(model)), [(module, module.training) for module in model.modules()]
    with _random_numbers(next(model.parameters()).device):
        try:
            yield
        finally:
            _assign(_everything(model), kept)
            for module, mode in modes:
                module.training = mode


class _CtrlC:
    """The first Ctrl-C waits until the step is done, the second does not. Only the main thread hears it."""

    def __enter__(self):
        self.pressed = False
        self.listens = threading.current_thread() is threading.main_thread()
        if self.listens:
            self.before = signal.signal(signal.SIGINT, self.press)
        return self

    def press(self, *_):
        if self.pressed:
            raise KeyboardInterrupt("stopped within a step, without saving")
        self.pressed = True

    def __exit__(self, *_):
        if self.listens:
            signal.signal(signal.SIGINT, self.before)


# ---- random numbers


def _random_state(device):
    state = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        state["device"] = torch.get_device_module(device).get_rng_state()
    return state


def _set_random_state(device, state):
    torch.set_rng_state(state["cpu"])
    if device.type != "cpu":
        torch.get_device_module(device).set_rng_state(state["device"])


@contextmanager
def _random_numbers(device):
    """Random numbers of torch that are drawn inside leave no trace outside."""
    before = _random_state(device)
    try:
        yield
    finally:
        _set_random_state(device, before)


def _generator_state(rng):
    """The state of NumPy's PCG64: two numbers of 128 bits, and half of a 64-bit number not used yet."""
    state = rng.bit_generator.state
    wide = [state["state"]["state"], state["state"]["inc"]]
    halves = [part for number in wide for part in (number >> 64, number & (2**64 - 1))]
    return np.array([*halves, state["has_uint32"], state["uinteger"]], dtype=np.uint64)


def _set_generator_state(rng, saved):
    a, b, c, d, has, unused = (int(number) for number in saved)
    rng.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": a << 64 | b, "inc": c << 64 | d},
        "has_uint32": has,
        "uinteger": unused,
    }


# ---- checkpoints


def _pack(value, path, tensors):
    """Move arrays and tensors from a tree into `tensors`, leaving their names; what remains is JSON."""
    if isinstance(value, np.ndarray):
        tensors[path] = torch.tensor(value)
        return {"array": path}
    if isinstance(value, torch.Tensor):
        tensors[path] = value.detach().cpu().clone().contiguous()
        return {"tensor": path}
    if isinstance(value, dict):
        # the extra level keeps a dictionary apart from the name of an array
        return {"dict": {key: _pack(entry, f"{path}/{key}", tensors) for key, entry in value.items()}}
    if isinstance(value, list | tuple):
        return [_pack(entry, f"{path}/{i}", tensors) for i, entry in enumerate(value)]
    return value.item() if isinstance(value, np.generic) else value


def _unpack(value, tensors):
    if isinstance(value, list):
        return [_unpack(entry, tensors) for entry in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "dict":
        return {key: _unpack(entry, tensors) for key, entry in content.items()}
    return tensors[content].numpy() if kind == "array" else tensors[content]


def _describe(function):
    """A name for a function and its settings that is the same in the next process."""
    if isinstance(function, partial):
        inside = [*map(_describe, function.args)]
        inside += [f"{name}={_describe(value)}" for name, value in sorted(function.keywords.items())]
        return f"{_describe(function.func)}({', '.join(inside)})"
    if isinstance(function, Clipper):
        return f"{type(function).__name__} {json.dumps(function.state_dict()['settings'])}"
    if function is None or isinstance(function, int | float | str):
        return function
    return getattr(function, "__qualname__", type(function).__qualname__)


def _of_the_same_run(state, identity, path):
    """The state, if what it says about its run is what the present run says of itself."""
    saved, none = state["identity"], "none"
    differences = [
        f"{name}: {saved.get(name, none)} in the checkpoint, {identity.get(name, none)} here"
        for name in [*identity, *(name for name in saved if name not in identity)]
        if saved.get(name, none) != identity.get(name, none)
    ]
    if differences:
        more = f"; and {len(differences) - 4} more" if len(differences) > 4 else ""
        raise CheckpointError(
            f"{path} is of another run, and nothing was loaded from it. It differs in "
            f"{'; '.join(differences[:4])}{more}. Use another file, or remove this one to start again"
        )
    return state
