"""Speed and agreement of gradients: by hand in NumPy, speechlib.autograd, PyTorch, HIPS autograd, micrograd.

    python benchmarks/autograd.py [--repeats 15] [--output benchmarks/results/autograd.json]

Forward and backward pass of a classifier with one hidden layer and of a recurrent network over 50 frames, in
float64 on one thread. The contenders take turns, so that a busy moment of the machine meets them all; the
median of the repeats counts. Time is the processor time of this process. Before anything is timed, all
gradients must agree. Most of a step is products of matrices, and NumPy and PyTorch bring different libraries
for these: both are measured alone too.

micrograd computes with single numbers and has neither tanh nor a logarithm: a small layer with relu is timed,
and its time for one multiplication and addition is multiplied by how many the networks have.
"""

import argparse
import gc
import json
import sys
import time
from pathlib import Path

from circumstances import circumstances

sys.path.pop(0)  # this folder: in it, this file would be found in place of the package autograd

import autograd
import autograd.numpy as anp
import numpy as np
import torch
from micrograd.engine import Value
from threadpoolctl import threadpool_limits

from speechlib import losses
from speechlib.autograd import Tensor

ROOT = Path(__file__).resolve().parents[1]
CODE = ["speechlib/autograd.py", "speechlib/losses.py"]  # what the results depend on
PACKAGES = ["numpy", "scipy", "torch", "autograd", "micrograd"]
BATCH, INPUTS, HIDDEN, CLASSES = 64, 2000, 128, 10
STEPS, RNN_BATCH, RNN_INPUTS, RNN_HIDDEN = 50, 32, 40, 64
SMALL = (4, 100, 16)  # micrograd's layer: examples, inputs, units
NODES = 10_000
HAND, OURS, FUSED = "NumPy by hand", "speechlib.autograd", "speechlib.autograd, fused loss"
TORCH, HIPS, MICROGRAD = "PyTorch", "HIPS autograd", "micrograd, extrapolated"
PRODUCTS, PRODUCTS_TORCH = "the products alone, NumPy", "the products alone, PyTorch"


# ---- the loss, four times


def cross_entropy_by_hand(z, labels):
    rows = np.arange(len(labels))
    z = z - z.max(axis=1, keepdims=True)
    p = np.exp(z)
    total = p.sum(axis=1, keepdims=True)
    loss = (np.log(total[:, 0]) - z[rows, labels]).mean()
    p /= total
    p[rows, labels] -= 1
    return loss, p / len(labels)


def cross_entropy_ours(z, labels):
    return -z.log_softmax()[np.arange(len(labels)), labels].mean()


def cross_entropy_hips(z, labels):
    z = z - anp.max(z, axis=1, keepdims=True)
    return anp.mean(anp.log(anp.sum(anp.exp(z), axis=1)) - z[np.arange(len(labels)), labels])


def ours(forward, x, labels, arrays, fused=False):
    """Gradients by the engine; `fused`: the loss comes with its gradient from `losses`."""
    weights = [Tensor(array, requires_grad=True) for array in arrays]

    def step():
        for weight in weights:
            weight.grad = None
        z = forward(x, *weights)
        if fused:
            z.backward(losses.softmax_cross_entropy(z.data, labels)[1])
        else:
            cross_entropy_ours(z, labels).backward()
        return [weight.grad for weight in weights]

    return step


def pytorch(forward, x, labels, arrays):
    x, labels = torch.tensor(x), torch.tensor(labels)
    weights = [torch.tensor(array, requires_grad=True) for array in arrays]

    def step():
        for weight in weights:
            weight.grad = None
        torch.nn.functional.cross_entropy(forward(x, *weights), labels).backward()
        return [weight.grad.numpy() for weight in weights]

    return step


def hips(forward, x, labels, arrays):
    gradient = autograd.grad(lambda weights: cross_entropy_hips(forward(x, *weights), labels))
    return lambda: gradient(arrays)


# ---- one hidden layer


def mlp(x, w1, b1, w2, b2):
    return (x @ w1 + b1).relu() @ w2 + b2


def mlp_hips(x, w1, b1, w2, b2):
    return anp.maximum(x @ w1 + b1, 0) @ w2 + b2


def mlp_by_hand(x, labels, arrays):
    def step():
        w1, b1, w2, b2 = arrays
        h = np.maximum(x @ w1 + b1, 0)
        _, dz = cross_entropy_by_hand(h @ w2 + b2, labels)
        da = dz @ w2.T
        da *= h > 0
        return [x.T @ da, da.sum(axis=0), h.T @ dz, dz.sum(axis=0)]

    return step


def mlp_products(x, w1, w2, g, dz):
    """The five products of matrices that a step cannot do without: two forward, three back."""
    h = x @ w1
    return h @ w2, dz @ w2.T, x.T @ g, h.T @ dz


def mlp_contenders():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(BATCH, INPUTS)), rng.integers(CLASSES, size=BATCH)
    arrays = [
        rng.normal(size=(INPUTS, HIDDEN)) / INPUTS**0.5, np.zeros(HIDDEN),
        rng.normal(size=(HIDDEN, CLASSES)) / HIDDEN**0.5, np.zeros(CLASSES),
    ]  # fmt: skip
    alone = x, arrays[0], arrays[2], rng.normal(size=(BATCH, HIDDEN)), rng.normal(size=(BATCH, CLASSES))
    alone_torch = [torch.tensor(array) for array in alone]
    steps = {
        HAND: mlp_by_hand(x, labels, arrays),
        OURS: ours(mlp, x, labels, arrays),
        FUSED: ours(mlp, x, labels, arrays, fused=True),
        TORCH: pytorch(mlp, x, labels, arrays),
        HIPS: hips(mlp_hips, x, labels, arrays),
    }
    products = {
        PRODUCTS: lambda: mlp_products(*alone),
        PRODUCTS_TORCH: lambda: mlp_products(*alone_torch),
        "X @ W, NumPy": lambda: alone[0] @ alone[1],
        "X @ W, PyTorch": lambda: alone_torch[0] @ alone_torch[1],
        "X.T @ G, NumPy": lambda: alone[0].T @ alone[3],
        "X.T @ G, PyTorch": lambda: alone_torch[0].T @ alone_torch[3],
    }
    return steps, products, BATCH * (INPUTS * HIDDEN + HIDDEN * CLASSES)


# ---- a recurrent network with its loss at the last frame


def rnn(x, w_in, w_hh, b, w_out):
    h = (x[0] @ w_in + b).tanh()
    for frame in x[1:]:
        h = (frame @ w_in + h @ w_hh + b).tanh()
    return h @ w_out


def rnn_hips(x, w_in, w_hh, b, w_out):
    h = anp.tanh(x[0] @ w_in + b)
    for frame in x[1:]:
        h = anp.tanh(frame @ w_in + h @ w_hh + b)
    return h @ w_out


def rnn_by_hand(x, labels, arrays):
    def step():
        w_in, w_hh, b, w_out = arrays
        h = [np.tanh(x[0] @ w_in + b)]
        for frame in x[1:]:
            h.append(np.tanh(frame @ w_in + h[-1] @ w_hh + b))
        _, dz = cross_entropy_by_hand(h[-1] @ w_out, labels)
        d_in, d_hh, d_b, dh = np.zeros_like(w_in), np.zeros_like(w_hh), np.zeros_like(b), dz @ w_out.T
        for t in range(STEPS - 1, -1, -1):
            da = dh * (1 - h[t] * h[t])
            d_in += x[t].T @ da
            d_b += da.sum(axis=0)
            if t:
                d_hh += h[t - 1].T @ da
                dh = da @ w_hh.T
        return [d_in, d_hh, d_b, h[-1].T @ dz]

    return step


def rnn_products(x, w_in, w_hh, h):
    """The products of the frames, forward and back; those of the last layer are few."""
    for frame in x:
        frame @ w_in, h @ w_hh, frame.T @ h, h.T @ h, h @ w_hh.T


def rnn_contenders():
    rng = np.random.default_rng(1)
    x, labels = rng.normal(size=(STEPS, RNN_BATCH, RNN_INPUTS)), rng.integers(CLASSES, size=RNN_BATCH)
    arrays = [
        rng.normal(size=(RNN_INPUTS, RNN_HIDDEN)) / RNN_INPUTS**0.5,
        rng.normal(size=(RNN_HIDDEN, RNN_HIDDEN)) / RNN_HIDDEN**0.5,
        np.zeros(RNN_HIDDEN), rng.normal(size=(RNN_HIDDEN, CLASSES)) / RNN_HIDDEN**0.5,
    ]  # fmt: skip
    alone = x, arrays[0], arrays[1], rng.normal(size=(RNN_BATCH, RNN_HIDDEN))
    alone_torch = [torch.tensor(array) for array in alone]
    steps = {
        HAND: rnn_by_hand(x, labels, arrays),
        OURS: ours(rnn, x, labels, arrays),
        FUSED: ours(rnn, x, labels, arrays, fused=True),
        TORCH: pytorch(rnn, x, labels, arrays),
        HIPS: hips(rnn_hips, x, labels, arrays),
    }
    products = {
        PRODUCTS: lambda: rnn_products(*alone),
        PRODUCTS_TORCH: lambda: rnn_products(*alone_torch),
    }
    return steps, products, RNN_BATCH * (STEPS * RNN_INPUTS + (STEPS - 1) * RNN_HIDDEN + CLASSES) * RNN_HIDDEN


# ---- micrograd, and the price of one node


def micrograd_layer():
    """A step of a small layer with relu, in single numbers; the loss is the sum of the squares."""
    rng = np.random.default_rng(2)
    examples, inputs, units = SMALL
    x, w = rng.normal(size=(examples, inputs)), rng.normal(size=(inputs, units))
    rows, columns = x.tolist(), [[Value(entry) for entry in column] for column in w.T.tolist()]

    def step():
        for value in (value for column in columns for value in column):
            value.grad = 0
        loss = 0
        for row in rows:
            for column in columns:
                loss = loss + sum(a * b for a, b in zip(column, row, strict=True)).relu() ** 2
        loss.backward()
        return np.array([[value.grad for value in column] for column in columns]).T

    weights = Tensor(w, requires_grad=True)
    ((x @ weights).relu() ** 2).sum().backward()
    assert np.abs(step() - weights.grad).max() < 1e-10 * np.abs(weights.grad).max()
    return step, examples * inputs * units


def chains():
    """A chain of additions to one number, forward and back: little but the bookkeeping of nodes."""
    start = Tensor(np.ones(1), requires_grad=True)
    start_torch = torch.ones(1, dtype=torch.float64, requires_grad=True)

    def run(y):
        for _ in range(NODES):
            y = y + 1.0
        return y

    return {
        "chain, NumPy": lambda: run(start.data),
        "chain, speechlib.autograd": lambda: run(start).backward(),
        "chain, PyTorch": lambda: run(start_torch).backward(),
    }


# ---- measuring


def agreement(steps):
    """Each contender's largest difference from the gradients by hand, in parts of the largest entry."""
    reference, largest = steps[HAND](), {}
    for name, step in steps.items():
        pairs = zip(step(), reference, strict=True)
        largest[name] = float(max(np.abs(a - b).max() / np.abs(b).max() for a, b in pairs))
        assert largest[name] < 1e-10, f"{name} differs from the gradients by hand by {largest[name]}"
    return largest


def seconds(runs, repeats, least=0.05):
    """Processor time of one run of each: turn by turn, each turn at least `least` seconds of runs."""
    counts, times = {}, {name: [] for name in runs}
    for name, run in runs.items():
        run()  # warms up
        start = time.process_time()
        run()
        counts[name] = max(1, round(least / max(time.process_time() - start, 1e-6)))
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.process_time()
            for _ in range(counts[name]):
                run()
            times[name].append((time.process_time() - start) / counts[name])
    return {
        name: {"seconds": float(np.median(t)), "fastest_repeat": min(t), "slowest_repeat": max(t)}
        for name, t in times.items()
    }


def measure(repeats):
    layer, multiplications = micrograd_layer()
    micrograd = seconds({MICROGRAD: layer}, repeats)[MICROGRAD]
    results = {
        "micrograd": {"layer": SMALL, "multiplications": multiplications, **micrograd},
        "chain": {"nodes": NODES, "rows": seconds(chains(), repeats)},
    }
    for setting, contenders in [("one hidden layer", mlp_contenders), ("recurrent", rnn_contenders)]:
        steps, products, work = contenders()
        differences = agreement(steps)
        rows = seconds(steps | products, repeats)
        for name, difference in differences.items():
            rows[name]["largest_difference"] = difference
        rows[MICROGRAD] = {key: value / multiplications * work for key, value in micrograd.items()}
        results[setting] = {"multiplications": work, "rows": rows}
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "autograd.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()  # the garbage collector need not look at what five packages made when they were imported
    with threadpool_limits(1):
        measured = measure(options.repeats)
    setting = {
        "one hidden layer": dict(batch=BATCH, inputs=INPUTS, hidden=HIDDEN, classes=CLASSES),
        "recurrent": dict(
            steps=STEPS, batch=RNN_BATCH, inputs=RNN_INPUTS, hidden=RNN_HIDDEN, classes=CLASSES
        ),
        "dtype": "float64",
        "repeats": options.repeats,
    }
    result = {**circumstances(CODE, PACKAGES), "setting": setting, "results": measured}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")

    print(f"Forward and backward pass, float64, one thread, median of {options.repeats} repeats")
    print(f"{result['cpu']}, {result['cores']} cores, load {result['load_average']}, {result['date']}")
    for name in ("one hidden layer", "recurrent"):
        show(f"{name}, ms", measured[name]["rows"])
    chain = {name: 1e9 * row["seconds"] / NODES for name, row in measured["chain"]["rows"].items()}
    print(f"\na chain of {NODES:,} additions, forward and back: nanoseconds a node")
    for name, nanoseconds in chain.items():
        print(f"{name:32}{nanoseconds:10,.0f}")


def show(title, rows):
    print(f"\n{title:32}{'median':>12}{'fastest':>12}{'slowest':>12}{'/hand':>9}{'/torch':>9}  max diff")
    for name, row in rows.items():
        line = f"{name:32}"
        line += "".join(f"{1e3 * row[key]:12,.3f}" for key in ("seconds", "fastest_repeat", "slowest_repeat"))
        line += "".join(f"{row['seconds'] / rows[other]['seconds']:9,.2f}" for other in (HAND, TORCH))
        print(line + (f"{row['largest_difference']:10.1e}" if "largest_difference" in row else ""))


if __name__ == "__main__":
    main()
