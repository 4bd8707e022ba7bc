"""How good a recognizer is, and how sure we may be of that number."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np


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
