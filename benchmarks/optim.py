"""Speed of a step: Adam and AdamW of speechlib.optim beside PyTorch's loop and PyTorch's fused rules.

    python benchmarks/optim.py [--repeats 25] [--output benchmarks/results/optim.json]

One step over the arrays of a small network and of one with about a million parameters, in float64 on one
thread. The contenders take turns, so that a busy moment of the machine meets them all; the median of the
repeats counts. Time is the processor time of this process. Before anything is timed, all contenders take 20
steps with the same gradients and must agree.

PyTorch's loop (foreach=False) is what torch.optim takes on a CPU if nobody asks for something else; its fused
rules (fused=True) go over each array once.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from circumstances import circumstances
from threadpoolctl import threadpool_limits

from speechlib import optim

ROOT = Path(__file__).resolve().parents[1]
CODE = ["speechlib/optim"]  # what the results depend on
PACKAGES = ["numpy", "torch"]
NETWORKS = {
    "small network": [(40, 64), (64,), (64, 64), (64,), (64, 10), (10,)],
    "a million parameters": [(400, 1000), (1000,), (1000, 600), (600,), (600, 10), (10,)],
}
RULES = {"Adam": (optim.Adam, torch.optim.Adam), "AdamW": (optim.AdamW, torch.optim.AdamW)}
OURS, LOOP, FUSED = "speechlib.optim", "PyTorch, loop", "PyTorch, fused"
GOAL = 1.5  # times PyTorch's loop


def contenders(shapes, name):
    """For each: a function that takes one step, and its parameters as NumPy arrays."""
    rng = np.random.default_rng(0)
    start = [rng.normal(size=shape) for shape in shapes]
    grads = [rng.normal(size=shape) for shape in shapes]
    ours, theirs = RULES[name]
    params = [array.copy() for array in start]
    optimizer = ours(params, lr=1e-3)
    steps = {OURS: (lambda: optimizer.step(grads), params)}
    for title, settings in [(LOOP, dict(foreach=False)), (FUSED, dict(fused=True))]:
        tensors = [torch.tensor(array, requires_grad=True) for array in start]
        for tensor, grad in zip(tensors, grads, strict=True):
            tensor.grad = torch.tensor(grad)
        steps[title] = (
            theirs(tensors, lr=1e-3, **settings).step,
            [tensor.detach().numpy() for tensor in tensors],
        )
    return steps


def agreement(steps):
    """Each contender's largest difference from PyTorch's loop after 20 steps."""
    for _ in range(20):
        for step, _ in steps.values():
            step()
    reference = steps[LOOP][1]
    largest = {}
    for name, (_, params) in steps.items():
        largest[name] = float(max(np.abs(a - b).max() for a, b in zip(params, reference, strict=True)))
        assert largest[name] < 1e-12, f"{name} differs from PyTorch's loop by {largest[name]}"
    return largest


def seconds(runs, repeats, least=0.03):
    """Processor time of one run of each: turn by turn, each turn at least `least` seconds of runs."""
    counts, times = {}, {name: [] for name in runs}
    for name, run in runs.items():
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
    results = {}
    for network, shapes in NETWORKS.items():
        for rule in RULES:
            steps = contenders(shapes, rule)
            differences = agreement(steps)
            rows = seconds({name: step for name, (step, _) in steps.items()}, repeats)
            for name, row in rows.items():
                row["largest_difference"] = differences[name]
                row["times_loop"] = row["seconds"] / rows[LOOP]["seconds"]
            results[f"{rule}, {network}"] = {
                "parameters": sum(int(np.prod(shape)) for shape in shapes),
                "rows": rows,
                "goal_met": rows[OURS]["times_loop"] <= GOAL,
            }
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "optim.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        measured = measure(options.repeats)
    setting = {"networks": NETWORKS, "dtype": "float64", "repeats": options.repeats, "goal": GOAL}
    result = {**circumstances(CODE, PACKAGES), "setting": setting, "results": measured}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")

    print(f"One step, float64, one thread, median of {options.repeats} repeats")
    print(f"{result['cpu']}, {result['cores']} cores, load {result['load_average']}, {result['date']}")
    for title, measured_here in measured.items():
        print(f"\n{title + ', us':32}{'median':>12}{'fastest':>12}{'slowest':>12}{'/loop':>9}  max diff")
        for name, row in measured_here["rows"].items():
            times = (row[key] for key in ("seconds", "fastest_repeat", "slowest_repeat"))
            line = "".join(f"{1e6 * t:12,.1f}" for t in times)
            print(f"{name:32}{line}{row['times_loop']:9.2f}{row['largest_difference']:10.1e}")


if __name__ == "__main__":
    main()
