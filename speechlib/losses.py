"""Losses: how wrong an answer is, as one number, with its gradient. In nats, over the last axis.

Surprise between distributions first, then scores turned into probabilities, then the losses of training.

All functions take complex numbers too, so that a derivative can be checked by the complex step: the
derivative of f at x is the imaginary part of f(x + ih) / h, without the cancellation of a difference.
"""

import numpy as np


def entropy(p: np.ndarray) -> np.ndarray:
    """The surprise to expect from draws of p, `-sum(p log p)`; an outcome that never comes adds nothing.

    Parameters
    ----------
    p : np.ndarray [shape=(..., K)]
        Probabilities: not negative, with sum 1 over the last axis.

    Returns
    -------
    np.ndarray [shape=(...), nats]
        From 0 (certainty) to log K (all K outcomes equally likely).

    Raises
    ------
    ValueError
        If `p` is empty or does not hold probabilities.

    Notes
    -----
    Source: C. E. Shannon, "A mathematical theory of communication", 1948, section 6.

    Examples
    --------
    >>> entropy([[0.5, 0.5], [1.0, 0.0]]).round(4)  # log 2, and nothing
    array([0.6931, 0.    ])
    """
    p = _probabilities("p", p)
    return -np.sum(p * _log_where(p, p), axis=-1) + 0.0  # + 0.0 makes 0 of -0, the entropy of certainty


def kl_divergence(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The surprise that comes on top of the entropy when draws of p are expected by q: `sum(p log(p / q))`.

    Parameters
    ----------
    p, q : np.ndarray [shape=(..., K)]
        Probabilities: what happens, and what was expected. The same shape.

    Returns
    -------
    np.ndarray [shape=(...), nats]
        Not negative; 0 where p = q, and infinite where something happens that q holds impossible.

    Raises
    ------
    ValueError
        If the shapes differ, or `p` or `q` is empty or does not hold probabilities.

    Notes
    -----
    Source: S. Kullback and R. A. Leibler, "On information and sufficiency", 1951. Why it is not negative:
    T. M. Cover and J. A. Thomas, "Elements of information theory", 2nd edition, 2006, theorem 2.6.3.

    Examples
    --------
    >>> p, q = [0.5, 0.5], [0.25, 0.75]
    >>> print(f"{kl_divergence(p, q):.4f} {kl_divergence(q, p):.4f} {kl_divergence(p, [0, 1])}")
    0.1438 0.1308 inf
    """
    p, q = _two_distributions(p, q)
    divergence = np.sum(p * (_log_where(p, p) - _log_where(p, q)), axis=-1)
    # Rounding, also of sums that are not quite 1, must not take it below 0. Only the real part is cut: a
    # complex step from p = q lies in the other.
    return divergence - np.minimum(divergence.real, 0)


def cross_entropy(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The surprise when draws of p are expected by q, `-sum(p log q)`: entropy(p) + kl_divergence(p, q).

    Parameters
    ----------
    p, q : np.ndarray [shape=(..., K)]
        Probabilities: what happens, and what was expected. The same shape.

    Returns
    -------
    np.ndarray [shape=(...), nats]
        From entropy(p), where q = p, without an upper bound. Its gradient with respect to q is -p / q.

    Raises
    ------
    ValueError
        If the shapes differ, or `p` or `q` is empty or does not hold probabilities.

    Notes
    -----
    Source: T. M. Cover and J. A. Thomas, "Elements of information theory", 2nd edition, 2006, theorem
    5.4.3: the length of messages about p in a code that is made for q.

    Examples
    --------
    >>> print(f"{cross_entropy([0.5, 0.5], [0.25, 0.75]):.4f}")  # log 2 + 0.1438
    0.8370
    """
    p, q = _two_distributions(p, q)
    return -np.sum(p * _log_where(p, q), axis=-1) + 0.0


def logsumexp(z: np.ndarray) -> np.ndarray:
    """The logarithm of a sum of exponentials, `log(sum(exp(z)))`, without overflow.

    Parameters
    ----------
    z : np.ndarray [shape=(..., K)]
        Logarithms. `-inf`, the logarithm of 0, is allowed.

    Returns
    -------
    np.ndarray [shape=(...)]

    Raises
    ------
    ValueError
        If there is no number, or one is NaN or +infinity.

    Notes
    -----
    exp(1000) overflows. But the largest entry m can be taken out of the sum, log(sum(exp(z))) =
    m + log(sum(exp(z - m))), and then the largest exponential is 1.

    Examples
    --------
    >>> round(float(logsumexp([1000.0, 1000.0])), 4)  # 1000 + log 2
    1000.6931
    """
    z = _logarithms(z)
    m = np.max(z.real, axis=-1, keepdims=True)  # real also in a complex step
    m = np.where(np.isneginf(m), 0.0, m)  # a row of -inf alone has no largest entry to take out
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

    Raises
    ------
    ValueError
        If there is no number, or one is NaN or +infinity, or a row holds only -infinity.

    Examples
    --------
    >>> log_softmax([0.0, -1e4])
    array([     0., -10000.])
    """
    shifted = _shifted(z)  # a large z would leave few digits for the differences, which are what counts
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

    Raises
    ------
    ValueError
        If there is no number, or one is NaN or +infinity, or a row holds only -infinity.

    Notes
    -----
    Source: J. S. Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.

    Examples
    --------
    >>> softmax([0.0, np.log(3.0)])
    array([0.25, 0.75])
    """
    e = np.exp(_shifted(z))
    return e / np.sum(e, axis=-1, keepdims=True)


def softmax_cross_entropy(
    logits: np.ndarray, labels: np.ndarray, label_smoothing: float = 0.0, weight: np.ndarray | None = None
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
    weight : np.ndarray [shape=(K,)], optional
        What the surprise of each class counts; 1 for all if left out.

    Returns
    -------
    loss : float [nats]
        The mean over the examples: with `weight` and classes as labels, the sum divided by the weights of
        those classes; with probabilities as labels, divided by N.
    grad : np.ndarray [shape=(N, K)]
        Its gradient with respect to `logits`: `(softmax(logits) - target) / N` without `weight`.

    Raises
    ------
    ValueError
        If the shapes do not fit, a label is not a class, probabilities do not add up to 1, a logit is NaN
        or infinite, or the weights are negative or leave nothing to count. Also if the logits look like
        the output of a softmax: a second one would put a floor of log(1 + (K - 1) / e) under the loss.

    Notes
    -----
    The values of torch.nn.functional.cross_entropy with its default, the mean. The weights multiply the
    labels after smoothing, so that the part spread over all classes is weighted too, but as in torch only
    the weights of the labels are divided by.

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
    _refuse_probabilities(logits)
    target = _target(labels, n, k)
    weight = _weight(weight, target)
    total = np.sum(weight * target) if np.ndim(labels) == 1 else n
    target = weight * ((1 - label_smoothing) * target + label_smoothing / k)
    log_p = log_softmax(logits)
    loss = -np.sum(target * log_p) / total + 0.0
    return loss.item(), (np.exp(log_p) * target.sum(axis=1, keepdims=True) - target) / total


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
        Probabilities in place of logits are not noticed, since any numbers between 0 and 1 may be logits.
        The symptom: an example labeled 0 never costs less than log 2.

    Notes
    -----
    The values of torch.nn.functional.binary_cross_entropy_with_logits. -log p is
    computed as log(1 + exp(-z)), and -log(1 - p) as log(1 + exp(z)): nothing overflows, and no logarithm of
    a rounded probability is taken.

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
    if_yes, if_no = _softplus(-logits), _softplus(logits)
    loss = np.mean(labels * if_yes + (1 - labels) * if_no)
    p = np.exp(-if_yes)
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


def hinge(scores: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean of `max(0, 1 - label * score)`: an answer that is right by a margin of 1 costs nothing.

    Parameters
    ----------
    scores : np.ndarray [any shape]
        Positive for class +1.
    labels : np.ndarray [shape of scores]
        -1 or +1.

    Returns
    -------
    loss : float
        The mean over all entries.
    subgradient : np.ndarray [shape of scores]
        `-label / size` where the margin is below 1, else 0. At the kink, a margin of exactly 1, any number
        between the two is a subgradient; 0 is chosen.

    Raises
    ------
    ValueError
        If the shapes differ, nothing is given, a label is not -1 or +1, or a score is NaN or infinite.

    Notes
    -----
    Source: C. Cortes and V. Vapnik, "Support-vector networks", 1995, section 3, where it is called slack.

    Examples
    --------
    >>> hinge([3.0, 0.5], [1, -1])
    (0.75, array([0. , 0.5]))
    """
    scores, labels = _finite("scores", scores), _finite("labels", labels)
    _same_shape("scores", scores, "labels", labels)
    if not np.all(np.abs(labels) == 1):
        wrong = labels[np.abs(labels) != 1][0]
        raise ValueError(
            f"labels must be -1 or +1, not {wrong:g}; labels y of 0 and 1 become so by 2 * y - 1"
        )
    missing = 1 - labels * scores
    costs = missing.real > 0
    loss = np.mean(np.where(costs, missing, 0.0))
    return loss.item(), np.where(costs, -labels, 0.0) / scores.size


def _floats(z: np.ndarray) -> np.ndarray:
    return np.asarray(z, dtype=np.complex128 if np.iscomplexobj(z) else np.float64)


def _logarithms(z: np.ndarray) -> np.ndarray:
    z = _floats(z)
    if z.ndim == 0 or z.size == 0:
        raise ValueError(f"z must have shape (..., K), with at least one number, not {z.shape}")
    if np.any(np.isnan(z) | np.isposinf(z.real)):
        raise ValueError("z holds NaN or +infinity: the step size is too large, or the input at fault")
    return z


def _shifted(z: np.ndarray) -> np.ndarray:
    """z less the largest entry of its row."""
    z = _logarithms(z)
    m = np.max(z.real, axis=-1, keepdims=True)
    if np.any(np.isneginf(m)):
        raise ValueError("a row of z holds only -infinity: with every outcome impossible there is no softmax")
    return z - m


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


def _probabilities(name: str, p: np.ndarray) -> np.ndarray:
    p = _finite(f"the probabilities {name}", p)
    if p.ndim == 0 or p.size == 0:
        raise ValueError(f"{name} must have shape (..., K), K probabilities in the last axis, not {p.shape}")
    if p.real.min() < 0 or not _sums_to_one(p):
        raise ValueError(f"{name} must hold probabilities: not negative, with sum 1 over the last axis")
    return p


def _two_distributions(p: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p, q = _probabilities("p", p), _probabilities("q", q)
    _same_shape("p", p, "q", q)
    return p, q


def _sums_to_one(p: np.ndarray) -> bool:
    return np.allclose(p.real.sum(axis=-1), 1.0, rtol=0, atol=1e-6)


def _log_where(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    # log q, to be multiplied by p: where p is 0 it does not count and must not be infinite, 0 log 0 = 0.
    with np.errstate(divide="ignore"):  # elsewhere log 0 = -inf is meant
        return np.log(np.where(p != 0, q, 1.0))


def _refuse_probabilities(logits: np.ndarray) -> None:
    # Scores that are free to be any numbers add up to 1 in every row with probability 0, so the alarm is as
    # good as never false. Scores made by hand, such as [0, 1], may set it off: hence the way out.
    k = logits.shape[1]
    if k > 1 and logits.real.min() >= 0 and _sums_to_one(logits):
        raise ValueError(
            "the logits look like the output of a softmax: not negative, with sum 1 in each row. A second "
            f"softmax puts a floor of log(1 + (K - 1) / e) = {np.log1p((k - 1) / np.e):.2f} under the loss: "
            "pass the scores before the softmax. If these are scores, subtract a constant such as 1 from "
            "each row, which changes nothing and makes that plain"
        )


def _weight(weight: np.ndarray | None, target: np.ndarray) -> np.ndarray:
    """One factor a class, (K,)."""
    k = target.shape[1]
    if weight is None:
        return np.ones(k)
    weight = _finite("the weights", weight)
    if weight.shape != (k,):
        raise ValueError(f"weight must have shape ({k},), one factor a class, not {weight.shape}")
    if weight.min() < 0:
        raise ValueError(f"weights must not be negative; the smallest is {weight.min():g}")
    if not np.any(weight * target):
        raise ValueError("every class among these labels has weight 0: nothing is left to average")
    return weight


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
        if target.min() < 0 or not _sums_to_one(target):
            raise ValueError("labels of shape (N, K) are probabilities: not negative, with sum 1 in each row")
        return target
    raise ValueError(f"labels must have shape ({n},) or ({n}, {k}), as the logits do, not {labels.shape}")
