"""Losses: how wrong an answer is, as one number, with its gradient. In nats, over the last axis.

All functions take complex numbers too, so that a derivative can be checked by the complex step: the
derivative of f at x is the imaginary part of f(x + ih) / h, without the cancellation of a difference.
"""

import numpy as np


def logsumexp(z: np.ndarray) -> np.ndarray:
    """The logarithm of a sum of exponentials, `log(sum(exp(z)))`, without overflow.

    Parameters
    ----------
    z : np.ndarray [shape=(..., K)]
        Logarithms. `-inf`, the logarithm of 0, is allowed.

    Returns
    -------
    np.ndarray [shape=(...)]

    Notes
    -----
    exp(1000) overflows. But the largest entry m can be taken out of the sum, log(sum(exp(z))) =
    m + log(sum(exp(z - m))), and then the largest exponential is 1.

    Examples
    --------
    >>> round(float(logsumexp([1000.0, 1000.0])), 4)  # 1000 + log 2
    1000.6931
    """
    z = _floats(z)
    m = _largest(z)
    with np.errstate(divide="ignore"):  # a sum of zeros has the logarithm -inf, which is meant
        return (m + np.log(np.sum(np.exp(z - m), axis=-1, keepdims=True)))[..., 0]


def log_softmax(z: np.ndarray) -> np.ndarray:
    """The logarithms of the probabilities that `softmax` makes; exact where those round to 0.

    Parameters
    ----------
    z : np.ndarray [shape=(..., K)]

    Returns
    -------
    np.ndarray [shape=(..., K)]

    Examples
    --------
    >>> log_softmax([0.0, -1e4])
    array([     0., -10000.])
    """
    z = _floats(z)
    shifted = z - _largest(z)  # a large z would leave few digits for the differences, which are what counts
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def softmax(z: np.ndarray) -> np.ndarray:
    """Turn scores into probabilities: `exp(z) / sum(exp(z))`, without overflow.

    Parameters
    ----------
    z : np.ndarray [shape=(..., K)]
        Scores (logits). Adding a constant to all of them changes nothing.

    Returns
    -------
    np.ndarray [shape=(..., K)]
        Not negative, with sum 1.

    Notes
    -----
    Source: J. S. Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.

    Examples
    --------
    >>> softmax([0.0, np.log(3.0)])
    array([0.25, 0.75])
    """
    z = _floats(z)
    e = np.exp(z - _largest(z))
    return e / np.sum(e, axis=-1, keepdims=True)


def softmax_cross_entropy(
    logits: np.ndarray, labels: np.ndarray, label_smoothing: float = 0.0
) -> tuple[float, np.ndarray]:
    """How surprised a classifier is by the right answers: the mean of `-log softmax(logits)[label]`.

    Parameters
    ----------
    logits : np.ndarray [shape=(N, K)]
        Scores, before the softmax.
    labels : np.ndarray [shape=(N,), int] or [shape=(N, K)]
        The class of each example, 0 to K - 1; or the probability of each class.
    label_smoothing : float, 0 to 1
        The part of the probability that is taken from the labels and spread evenly over all K classes.

    Returns
    -------
    loss : float [nats]
        The mean over the examples.
    grad : np.ndarray [shape=(N, K)]
        Its gradient with respect to `logits`: `(softmax(logits) - target) / N`.

    Raises
    ------
    ValueError
        If the shapes do not fit, a label is not a class, probabilities do not add up to 1, or a logit is
        NaN or infinite. (Probabilities in place of logits are valid numbers and cannot be told apart: they
        are taken as logits.)

    Notes
    -----
    The values of torch.nn.functional.cross_entropy with its default, the mean.

    Source of label smoothing: C. Szegedy et al., "Rethinking the Inception architecture for computer
    vision", 2016, section 7.

    Examples
    --------
    Without knowledge, ten classes cost log 10 nats:

    >>> loss, grad = softmax_cross_entropy(np.zeros((1, 10)), [3])
    >>> print(f"{loss:.4f}")
    2.3026
    >>> print(grad.round(2))
    [[ 0.1  0.1  0.1 -0.9  0.1  0.1  0.1  0.1  0.1  0.1]]
    """
    logits = _finite("logits", logits)
    if logits.ndim != 2 or logits.size == 0:
        raise ValueError(f"logits must have shape (N, K), N examples by K classes, not {logits.shape}")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must lie between 0 and 1, not {label_smoothing!r}")
    n, k = logits.shape
    target = (1 - label_smoothing) * _target(labels, n, k) + label_smoothing / k
    log_p = log_softmax(logits)
    loss = -np.sum(target * log_p) / n
    return loss.item(), (np.exp(log_p) - target) / n


def binary_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """How surprised a yes-or-no classifier is: the mean of `-y log p - (1 - y) log(1 - p)`, p = sigmoid(z).

    Parameters
    ----------
    logits : np.ndarray [any shape]
        Scores: positive for yes.
    labels : np.ndarray [shape of logits]
        0 or 1, or the probability of 1.

    Returns
    -------
    loss : float [nats]
        The mean over all entries.
    grad : np.ndarray [shape of logits]
        Its gradient with respect to `logits`: `(p - y) / size`.

    Raises
    ------
    ValueError
        If the shapes differ, nothing is given, a label lies outside 0 to 1, or a logit is NaN or infinite.

    Notes
    -----
    The values of torch.nn.functional.binary_cross_entropy_with_logits. It is computed as
    log(1 + exp(logit)) - y * logit, where nothing overflows and no logarithm of a rounded probability is
    taken.

    Examples
    --------
    >>> loss, grad = binary_cross_entropy([0.0, 1e4], [1, 1])
    >>> print(f"{loss:.4f}", grad)
    0.3466 [-0.25  0.  ]
    """
    logits = _finite("logits", logits)
    labels = _finite("labels", labels)
    _same_shape("logits", logits, "labels", labels)
    if labels.min() < 0 or labels.max() > 1:
        raise ValueError(
            f"labels must lie between 0 and 1, not between {labels.min():g} and {labels.max():g}; labels -1 "
            "and +1 become 0 and 1 by (labels + 1) / 2"
        )
    loss = np.mean(_softplus(logits) - labels * logits)
    p = np.exp(-_softplus(-logits))
    return loss.item(), (p - labels) / logits.size


def mean_squared_error(pred: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean of the squared differences.

    Parameters
    ----------
    pred, target : np.ndarray [same shape]

    Returns
    -------
    loss : float [square of the unit of pred]
        The mean over all entries.
    grad : np.ndarray [shape of pred]
        Its gradient with respect to `pred`: `2 (pred - target) / size`.

    Raises
    ------
    ValueError
        If the shapes differ (NumPy would stretch them silently), nothing is given, or a number is not finite.

    Examples
    --------
    >>> mean_squared_error([1.0, 2.0], [1.0, 4.0])
    (2.0, array([ 0., -2.]))
    """
    pred, target = _finite("pred", pred), _finite("target", target)
    _same_shape("pred", pred, "target", target)
    difference = pred - target
    return np.mean(difference**2).item(), 2 * difference / difference.size


def _floats(z: np.ndarray) -> np.ndarray:
    z = np.asarray(z)
    return z.astype(np.complex128 if z.dtype.kind == "c" else np.float64, copy=False)


def _largest(z: np.ndarray) -> np.ndarray:
    # A row of -inf alone has no largest entry to take out; 0 does as well. Real, also in a complex step.
    m = np.max(z.real, axis=-1, keepdims=True)
    return np.where(np.isneginf(m), 0.0, m)


def _softplus(z: np.ndarray) -> np.ndarray:
    # log(1 + exp(z)): for z > 0 as z + log(1 + exp(-z)), so that exp never sees a positive number.
    positive = z.real > 0
    return np.where(positive, z, 0) + np.log1p(np.exp(np.where(positive, -z, z)))


def _finite(name: str, values: np.ndarray) -> np.ndarray:
    values = _floats(values)
    if not np.all(np.isfinite(values)):
        raise ValueError(f"{name} hold NaN or infinity: the step size is too large, or the input at fault")
    return values


def _same_shape(name: str, a: np.ndarray, other: str, b: np.ndarray) -> None:
    if a.shape != b.shape or a.size == 0:
        raise ValueError(f"{name} has shape {a.shape}, {other} {b.shape}: they must agree, and not be empty")


def _target(labels: np.ndarray, n: int, k: int) -> np.ndarray:
    """Labels as rows of probabilities, (N, K)."""
    labels = np.asarray(labels)
    if labels.shape == (n,):
        if labels.dtype.kind not in "iu":
            raise ValueError(f"labels must be integers from 0 to {k - 1}, not {labels.dtype}")
        if labels.min() < 0 or labels.max() >= k:
            raise ValueError(
                f"labels must lie between 0 and {k - 1}, the number of classes less one; these lie between "
                f"{labels.min()} and {labels.max()}"
            )
        return np.eye(k)[labels]
    if labels.shape == (n, k):
        target = _finite("labels", labels)
        if target.min() < 0 or not np.allclose(target.sum(axis=1), 1.0, rtol=0, atol=1e-6):
            raise ValueError("labels of shape (N, K) are probabilities: not negative, with sum 1 in each row")
        return target
    raise ValueError(f"labels must have shape ({n},) or ({n}, {k}), as the logits do, not {labels.shape}")
