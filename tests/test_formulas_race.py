"""The displayed formulas of the page on the race, held against counting."""

import itertools
import math
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))  # last: it has the names of packages

import race  # noqa: E402


def formula(label):
    """Say which formula a test is about."""
    return pytest.mark.parametrize("label", [label])


def results(steps):
    """A stored race of one study a task; `steps`: task -> rule -> steps of its trials, None for a miss."""
    runs = {
        task: {rule: [{"seed": 1, "steps": k} for k in trials] for rule, trials in rules.items()}
        for task, rules in steps.items()
    }
    trials = max(len(trials) for rules in steps.values() for trials in rules.values())
    return {"plan": {"studies_seeds": [[1]], "trials": trials}, "race": runs}


@formula("eq-race-profile")
def test_profile(label):
    # best: 10, 40, 30, and nobody; A is within 1, 1, 3 of the best, B within 4, 1.5, 1
    stored = results(
        {
            "p": {"A": [10], "B": [40]},
            "q": {"A": [40], "B": [60]},
            "r": {"A": [90], "B": [30]},
            "s": {"A": [None], "B": [None]},
        }
    )
    t = {"A": [10, 40, 90, math.inf], "B": [40, 60, 30, math.inf]}
    best = [10, 40, 30, math.inf]

    def rho(rule, tau):  # a problem that nobody solved is a miss for all
        return sum(k <= tau * b for k, b in zip(t[rule], best, strict=True) if k < math.inf) / len(best)

    profile = race.profiles(stored)
    for rule, shares in profile["shares"].items():
        assert shares == [rho(rule, tau) for tau in profile["factors"]]
    at = dict(zip(profile["factors"], zip(*profile["shares"].values(), strict=True), strict=True))
    assert at[1.0] == (0.5, 0.25) and at[1.5] == (0.5, 0.5)
    assert at[3.0] == (0.75, 0.5) and at[4.0] == (0.75, 0.75)


@formula("eq-race-best")
@pytest.mark.parametrize("n, k", [(6, 1), (6, 2), (7, 3), (5, 5)])
def test_best_of_k(label, n, k):
    drawn = list(itertools.combinations(range(1, n + 1), k))  # trials by their place in the order
    for i in range(1, n + 1):
        probability = 1 - math.comb(n - i, k) / math.comb(n, k)
        assert probability == pytest.approx(np.mean([min(some) <= i for some in drawn]))
    steps = [10 * place for place in range(1, n + 1)]
    found = race.expected_best(results({"p": {"A": steps[::-1]}}))["p"]["A"][k - 1]
    half = next(i for i in range(1, n + 1) if 1 - math.comb(n - i, k) / math.comb(n, k) >= 0.5)
    assert found == 10 * half
