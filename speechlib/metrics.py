"""How good a recognizer is, and how sure we may be of that number."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np


class Calibration(NamedTuple):
    """What `calibration` finds; one entry for each bin that is not empty, from low to high confidence."""

    confidence: np.ndarray
    """[shape=(bins,)] The mean of the largest probability."""
    accuracy: np.ndarray
    """[shape=(bins,)] The part that was right."""
    count: np.ndarray
    """[shape=(bins,), int] The number of utterances."""
    error: float
    """The expected calibration error: the mean of `abs(confidence - accuracy)` over the utterances' bins."""


def accuracy(predicted: np.ndarray, labels: np.ndarray) -> float:
    """The part of the utterances that was recognized.

    Parameters
    ----------
    predicted, labels : np.ndarray [shape=(utterances,)]
        What was recognized and what was said: class numbers or words.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If there is no utterance, or the two differ in shape or in kind (numbers and words).

    Examples
    --------
    >>> accuracy([3, 1, 4, 1], [3, 1, 4, 2])
    0.75
    """
    predicted, labels = _pair(predicted, labels)
    return float(np.mean(predicted == labels))


def interval(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """The range of true accuracies that a count of correct answers is compatible with (Wilson's interval).

    Parameters
    ----------
    correct, total : int
        How many utterances were recognized, and of how many.
    confidence : float, between 0 and 1
        How often such an interval contains the true accuracy.

    Returns
    -------
    (float, float)
        The lower and upper end, between 0 and 1.

    Raises
    ------
    ValueError
        If `total` is not positive, `correct` does not lie between 0 and `total`, or `confidence` not
        between 0 and 1.

    Notes
    -----
    The interval takes the utterances as independent draws. Takes of one speaker are not: for a new
    *speaker* the uncertainty is larger, and the spread over speakers shows it.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927. It
    holds those accuracies p for which the observed count lies within z standard deviations, sqrt(p (1 - p)
    / total), of p.

    Examples
    --------
    >>> low, high = interval(285, 300)
    >>> print(f"{low:.3f} to {high:.3f}")
    0.919 to 0.969
    """
    if total < 1 or not 0 <= correct <= total:
        raise ValueError(f"{correct} correct of {total}: it takes a positive total, and 0 to total correct")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, such as 0.95, not {confidence!r}")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p = correct / total
    center = (p + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * math.sqrt(p * (1 - p) / total + z**2 / (4 * total**2))
    # At the ends the formula gives exactly 0 or 1, but for rounding.
    low = 0.0 if correct == 0 else center - half
    high = 1.0 if correct == total else center + half
    return low, high


def confusion(predicted: np.ndarray, labels: np.ndarray, classes: int | Sequence) -> np.ndarray:
    """Count what was recognized for each class that was said.

    Parameters
    ----------
    predicted, labels : np.ndarray [shape=(utterances,)]
        What was recognized and what was said.
    classes : int or sequence
        The number of classes, if they are numbered from 0; else the classes, in the order wanted.

    Returns
    -------
    np.ndarray [shape=(classes, classes), int]
        Row: what was said; column: what was recognized. The diagonal is what was right.

    Raises
    ------
    ValueError
        As `accuracy`, and if an answer or a label is none of the classes.

    Examples
    --------
    >>> confusion(["no", "yes", "no"], ["no", "yes", "yes"], ["yes", "no"])
    array([[1, 1],
           [0, 1]])
    """
    predicted, labels = _pair(predicted, labels)
    names = list(range(classes)) if isinstance(classes, (int, np.integer)) else list(classes)
    number = {name: i for i, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), dtype=int)
    for said, heard in zip(labels.tolist(), predicted.tolist(), strict=True):
        if said not in number or heard not in number:
            unknown = said if said not in number else heard
            raise ValueError(f"{unknown!r} is none of the {len(names)} classes: {names}")
        counts[number[said], number[heard]] += 1
    return counts


def calibration(probabilities: np.ndarray, labels: np.ndarray, bins: int = 10) -> Calibration:
    """Whether a recognizer that says 80 % is right 80 times in 100.

    Parameters
    ----------
    probabilities : np.ndarray [shape=(utterances, classes)]
        What the recognizer gives to each class: not negative, with sum 1 in each row. The largest one, the
        confidence, belongs to the answer (the first of equals).
    labels : np.ndarray [shape=(utterances,), int]
        The class that was said, from 0.
    bins : int
        Into how many stretches of equal width the confidences from 0 to 1 are sorted.

    Returns
    -------
    Calibration
        confidence, accuracy and count of each bin that is not empty, and error, their expected
        calibration error.

    Raises
    ------
    ValueError
        If the shapes do not fit, there is no utterance, `probabilities` does not hold probabilities, a
        label is not a class, or `bins` is not a positive integer.

    Notes
    -----
    Source: C. Guo et al., "On calibration of modern neural networks", 2017, section 2, where bin m of M
    holds the confidences above (m - 1) / M up to m / M. The error depends on the bins; compare numbers
    from the same bins only.

    Examples
    --------
    Confident by 0.9 on average, right in 2 of 4:

    >>> said = [[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.1]]
    >>> result = calibration(said, [0, 0, 0, 1], bins=5)
    >>> result.confidence, result.accuracy, result.count
    (array([0.9]), array([0.5]), array([4]))
    >>> round(result.error, 3)
    0.4
    """
    probabilities, labels = np.asarray(probabilities, dtype=float), np.asarray(labels)
    if probabilities.ndim != 2 or probabilities.size == 0 or labels.shape != probabilities.shape[:1]:
        raise ValueError(
            f"probabilities has shape {probabilities.shape} and labels {labels.shape}: they must be "
            "(utterances, classes) and (utterances,), with at least one utterance"
        )
    sums = probabilities.sum(axis=1)
    if not (probabilities.min() >= 0 and np.allclose(sums, 1, rtol=0, atol=1e-6)):  # NaN fails both
        raise ValueError("probabilities must not be negative and have sum 1 in each row: take the softmax")
    classes = probabilities.shape[1]
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels must be integers from 0 to {classes - 1}, one of the {classes} classes")
    if not isinstance(bins, (int, np.integer)) or bins < 1:
        raise ValueError(f"bins must be a positive integer, not {bins!r}")
    largest = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    # By the edges between the bins, 1 / M to (M - 1) / M: an edge belongs to the bin below it.
    bin_of = np.searchsorted(np.arange(1, bins) / bins, largest, side="left")
    count = np.bincount(bin_of, minlength=bins)
    used = count > 0
    count = count[used]
    confidence = np.bincount(bin_of, weights=largest, minlength=bins)[used] / count
    accuracy = np.bincount(bin_of, weights=right, minlength=bins)[used] / count
    error = np.sum(count * np.abs(confidence - accuracy)) / len(labels)
    return Calibration(confidence, accuracy, count, error.item())


def auroc(positive: np.ndarray, negative: np.ndarray) -> float:
    """How well a score separates: how often a positive's is above a negative's, a tie counted as half.

    Parameters
    ----------
    positive, negative : np.ndarray [shape=(positives,)], [shape=(negatives,)]
        The scores of the two groups.

    Returns
    -------
    float
        1 if every positive lies above every negative, 0.5 if the score says nothing. It is the area under
        the receiver operating characteristic.

    Raises
    ------
    ValueError
        If a group is empty, is not one-dimensional, or holds NaN.

    Notes
    -----
    The negatives are sorted once; where a positive would be inserted, its rank among them, counts how many
    it exceeds. That takes n log n steps, not a comparison of every pair.

    Source: J. A. Hanley and B. J. McNeil, "The meaning and use of the area under a receiver operating
    characteristic (ROC) curve", 1982, where it is the statistic of the Wilcoxon rank-sum test.

    Examples
    --------
    >>> auroc([3, 2], [2, 1])  # of the four pairs three are in order and one is a tie
    0.875
    """
    positive, negative = np.asarray(positive, dtype=float), np.asarray(negative, dtype=float)
    for name, scores in (("positive", positive), ("negative", negative)):
        if scores.ndim != 1 or scores.size == 0 or np.isnan(scores).any():
            raise ValueError(f"{name} must be scores in one dimension, at least one, none NaN: {scores}")
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    not_above = np.searchsorted(ordered, positive, side="right")
    return ((below + not_above).sum() / (2 * positive.size * negative.size)).item()


def _pair(predicted: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    predicted, labels = np.asarray(predicted), np.asarray(labels)
    if predicted.ndim != 1 or predicted.shape != labels.shape:
        raise ValueError(
            f"predicted has shape {predicted.shape} and labels {labels.shape}: both must be (utterances,); "
            "from scores (utterances, classes) take .argmax(axis=1)"
        )
    if len(labels) == 0:
        raise ValueError("there is no utterance to count")
    if (predicted.dtype.kind in "US") != (labels.dtype.kind in "US"):
        raise ValueError(f"predicted holds {predicted.dtype}, labels {labels.dtype}: compare like with like")
    return predicted, labels
