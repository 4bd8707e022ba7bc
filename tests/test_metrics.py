"""Accuracy, its interval and the confusion matrix, against scipy, NumPy and counting by hand."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from speechlib import metrics


@settings(max_examples=200, deadline=None)
@given(data=st.data(), total=st.integers(1, 5000), confidence=st.floats(0.01, 0.999))
def test_interval_equals_scipy(data, total, confidence):
    correct = data.draw(st.integers(0, total) | st.sampled_from([0, total]))
    expected = scipy.stats.binomtest(correct, total).proportion_ci(confidence, method="wilson")
    np.testing.assert_allclose(
        metrics.interval(correct, total, confidence), tuple(expected), rtol=0, atol=1e-12
    )


def test_interval_contains_the_count_and_stays_between_0_and_1():
    for total in (1, 7, 300):
        for correct in range(total + 1):
            low, high = metrics.interval(correct, total)
            assert 0 <= low <= correct / total <= high <= 1 and high - low > 0
    assert metrics.interval(0, 10)[0] == 0 and metrics.interval(10, 10)[1] == 1


def test_interval_covers_as_often_as_it_says():
    """The exact probability of covering p, averaged over p, is close to 95 %."""
    total = 50
    ranges = [metrics.interval(k, total) for k in range(total + 1)]
    coverage = [
        sum(scipy.stats.binom.pmf(k, total, p) for k, (low, high) in enumerate(ranges) if low <= p <= high)
        for p in np.linspace(0.02, 0.98, 97)
    ]
    assert abs(np.mean(coverage) - 0.95) < 0.01


def test_interval_takes_numpy_integers():
    assert metrics.interval(np.int64(285), np.int64(300)) == metrics.interval(285, 300)


@pytest.mark.parametrize(
    ("correct", "total", "confidence"),
    [(1, 0, 0.95), (0, 0, 0.95), (-1, 10, 0.95), (11, 10, 0.95), (5, 10, 0.0), (5, 10, 1.0), (5, 10, 95)],
)
def test_interval_refuses(correct, total, confidence):
    with pytest.raises(ValueError, match="total|confidence"):
        metrics.interval(correct, total, confidence)


def test_accuracy():
    assert metrics.accuracy([1, 2, 3, 4], [1, 2, 3, 3]) == 0.75
    assert metrics.accuracy(np.array(["no", "yes"]), ["no", "no"]) == 0.5
    assert isinstance(metrics.accuracy([1], [1]), float)


PAIRS = [
    ([], [], "there is no utterance"),
    ([1, 2], [1], r"shape \(2,\) and labels \(1,\)"),
    ([[0.1, 0.9]], [1], r"shape \(1, 2\).*argmax"),
    (1, 1, r"shape \(\)"),
    (["1"], [1], "compare like with like"),
]


@pytest.mark.parametrize(("predicted", "labels", "message"), PAIRS)
def test_accuracy_and_confusion_refuse(predicted, labels, message):
    with pytest.raises(ValueError, match=message):
        metrics.accuracy(predicted, labels)
    with pytest.raises(ValueError, match=message):
        metrics.confusion(predicted, labels, 10)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 300), k=st.integers(1, 12))
def test_confusion_counts_every_utterance_once(seed, n, k):
    rng = np.random.default_rng(seed)
    predicted, labels = rng.integers(k, size=n), rng.integers(k, size=n)
    counts = metrics.confusion(predicted, labels, k)
    expected = np.histogram2d(labels, predicted, bins=[np.arange(k + 1) - 0.5] * 2)[0]
    np.testing.assert_array_equal(counts, expected)
    assert counts.dtype.kind == "i" and counts.sum() == n
    assert counts.trace() / n == metrics.accuracy(predicted, labels)
    np.testing.assert_array_equal(counts.sum(axis=1), np.bincount(labels, minlength=k))


def test_confusion_rows_are_what_was_said():
    np.testing.assert_array_equal(metrics.confusion([1, 1], [0, 1], 3), [[0, 1, 0], [0, 1, 0], [0, 0, 0]])
    np.testing.assert_array_equal(metrics.confusion(["b"], ["a"], ["b", "a"]), [[0, 0], [1, 0]])


@pytest.mark.parametrize(
    ("predicted", "labels", "classes", "unknown"),
    [([3], [0], 3, "3"), ([0], [-1], 3, "-1"), (["x"], ["a"], ["a", "b"], "'x'"), ([0.5], [0.0], 3, "0.5")],
)
def test_confusion_refuses_what_is_no_class(predicted, labels, classes, unknown):
    with pytest.raises(ValueError, match=f"^{unknown} is none of the"):
        metrics.confusion(predicted, labels, classes)
