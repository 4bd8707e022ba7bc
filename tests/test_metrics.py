"""Every metric, against scipy, scikit-learn, NumPy and counting by hand."""

import numpy as np
import pytest
import scipy.stats
import sklearn.calibration
import sklearn.metrics
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


def recognizer(seed, n, k):
    """Probabilities (n, k) from uncertain to certain, and labels that agree with them in part."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, k)) * rng.choice([0.3, 3.0, 300.0], size=(n, 1))
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    labels = np.where(rng.uniform(size=n) < 0.6, scores.argmax(axis=1), rng.integers(k, size=n))
    return e / e.sum(axis=1, keepdims=True), labels


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 60),
    k=st.integers(1, 5),
    bins=st.sampled_from([1, 4, 10, 16]),
)
def test_calibration_equals_a_plain_loop(seed, n, k, bins):
    probabilities, labels = recognizer(seed, n, k)
    expected, error = [], 0.0
    for m in range(1, bins + 1):
        inside = [i for i in range(n) if (m - 1) / bins < max(probabilities[i]) <= m / bins]
        if inside:
            confidence = sum(max(probabilities[i]) for i in inside) / len(inside)
            right = sum(list(probabilities[i]).index(max(probabilities[i])) == labels[i] for i in inside)
            expected.append((confidence, right / len(inside), len(inside)))
            error += len(inside) / n * abs(confidence - right / len(inside))
    result = metrics.calibration(probabilities, labels, bins)
    np.testing.assert_allclose(np.transpose(result[:3]), expected, rtol=1e-12)
    assert result.count.dtype.kind == "i" and result.count.sum() == n
    assert isinstance(result.error, float)
    assert result.error == pytest.approx(error, abs=1e-12) and 0 <= result.error <= 1


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 200), k=st.integers(2, 5))
def test_calibration_curve_equals_scikit_learn(seed, n, k):
    probabilities, labels = recognizer(seed, n, k)
    right = probabilities.argmax(axis=1) == labels
    accuracy, confidence = sklearn.calibration.calibration_curve(right, probabilities.max(axis=1), n_bins=10)
    result = metrics.calibration(probabilities, labels)
    np.testing.assert_allclose(result.confidence, confidence, rtol=1e-12)
    np.testing.assert_allclose(result.accuracy, accuracy, rtol=1e-12)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    probabilities = [
        [0.25, 0.25, 0.25, 0.25],
        [0.5, 0.25, 0.25, 0.0],
        [0.0, 0.0, 0.0, 1.0],
        [0.4, 0.3, 0.3, 0.0],
    ]
    result = metrics.calibration(probabilities, [0, 1, 3, 0], bins=4)
    assert result.count.tolist() == [1, 2, 1]
    np.testing.assert_allclose(result.confidence, [0.25, 0.45, 1.0])
    np.testing.assert_allclose(result.accuracy, [1.0, 0.5, 1.0])
    assert result.error == pytest.approx((0.75 + 2 * 0.05 + 0) / 4)


def test_calibration_of_the_certain():
    """Always certain: the error is the error rate; always right: nothing; always wrong: everything."""
    for wrong in range(5):
        labels = np.arange(4) < wrong
        assert metrics.calibration(np.tile([1.0, 0.0], (4, 1)), labels.astype(int)).error == wrong / 4


def test_calibration_takes_probabilities_in_single_precision():
    probabilities, labels = recognizer(1, 50, 3)
    single = metrics.calibration(probabilities.astype(np.float32), labels)
    assert single.error == pytest.approx(metrics.calibration(probabilities, labels).error, abs=1e-6)


HALVES = np.full((2, 2), 0.5)


@pytest.mark.parametrize(
    ("probabilities", "labels", "bins", "message"),
    [
        (HALVES, [0, 1, 1], 10, r"shape \(2, 2\) and labels \(3,\)"),
        (HALVES, [[0, 1]], 10, r"labels \(1, 2\)"),
        ([0.5, 0.5], [0, 1], 10, r"shape \(2,\)"),
        (np.zeros((0, 2)), [], 10, "at least one utterance"),
        (HALVES + 0.1, [0, 1], 10, "sum 1 in each row: take the softmax"),
        ([[1.5, -0.5]], [0], 10, "must not be negative"),
        ([[np.nan, 0.5]], [0], 10, "must not be negative"),
        (HALVES, [0, 2], 10, "integers from 0 to 1, one of the 2 classes"),
        (HALVES, [-1, 0], 10, "integers from 0 to 1"),
        (HALVES, [0.0, 1.0], 10, "integers from 0 to 1"),
        (HALVES, [0, 1], 0, "bins must be a positive integer, not 0"),
        (HALVES, [0, 1], 2.5, "bins must be a positive integer, not 2.5"),
    ],
)
def test_calibration_refuses(probabilities, labels, bins, message):
    with pytest.raises(ValueError, match=message):
        metrics.calibration(probabilities, labels, bins)


@settings(max_examples=200, deadline=None)
@given(
    positive=st.lists(st.integers(-3, 4) | st.floats(-5, 5), min_size=1, max_size=20),
    negative=st.lists(st.integers(-4, 3) | st.floats(-5, 5), min_size=1, max_size=20),
)
def test_auroc_equals_scikit_learn_and_every_pair(positive, negative):
    area = metrics.auroc(positive, negative)
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    assert area == pytest.approx(sum(pairs) / len(pairs), abs=1e-14)
    labels = [1] * len(positive) + [0] * len(negative)
    assert area == pytest.approx(sklearn.metrics.roc_auc_score(labels, positive + negative), abs=1e-12)
    assert metrics.auroc(negative, positive) == pytest.approx(1 - area, abs=1e-14)


def test_auroc_ends_and_middle():
    assert isinstance(metrics.auroc([1], [0]), float)
    assert metrics.auroc([2, 3], [0, 1]) == 1 and metrics.auroc([0, 1], [2, 3]) == 0
    assert metrics.auroc([1, 1, 1], [1, 1]) == 0.5
    assert metrics.auroc([np.inf, 0], [-np.inf, 0]) == 0.875  # infinite scores have an order too


@pytest.mark.parametrize("wrong", [[], [1.0, np.nan], [[1.0, 2.0]], 1.0])
def test_auroc_refuses(wrong):
    with pytest.raises(ValueError, match="^positive must be scores in one dimension"):
        metrics.auroc(wrong, [0.0])
    with pytest.raises(ValueError, match="^negative must be scores in one dimension"):
        metrics.auroc([0.0], wrong)
