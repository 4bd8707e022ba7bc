"""Bounding a gradient: a step may be as long as the threshold allows, and never goes to NaN.

First the bounds that are given: an entry, the whole gradient, each array, each unit measured by its weights.
Then the ones that learn the threshold from the gradients before: a percentile, a median, a z-score.

All take a list of arrays of floats, one for each parameter, and change them in place. All refuse a gradient
that holds NaN or infinity. Scaling cannot mend it: one NaN makes the norm NaN, and dividing by that norm
makes every other entry NaN too.
"""

import math
from collections import deque

import numpy as np


class NonFiniteGradient(ValueError):
    """A gradient holds NaN or infinity, or is too long for a float. When it is raised, nothing was changed.

    A training loop may catch it, count it and leave the step out. Many in a row mean that the parameters
    themselves are lost, or that the loss is at fault.
    """


def by_value(grads: list[np.ndarray], limit: float) -> float:
    """Move every entry into the range from -limit to limit, in place.

    Parameters
    ----------
    grads : list of np.ndarray [float]
    limit : float > 0
        The largest entry that is left as it is; `math.inf` only measures.

    Returns
    -------
    float
        The norm of all entries together, before.

    Raises
    ------
    NonFiniteGradient
        If an entry is NaN or infinite, or the norm is too large for a float. Nothing was changed.
    ValueError
        If `limit` is not positive, or `grads` is not a list of distinct, writable arrays of floats.

    Notes
    -----
    The result of `torch.nn.utils.clip_grad_value_`. The direction changes, because large entries lose more
    than small ones, but by less than 90 degrees: no entry changes its sign.

    Source: T. Mikolov, "Statistical language models based on neural networks", PhD thesis, 2012, section
    3.2.2. He bounds what arrives at each hidden neuron on the way back, by 15; here the gradients of the
    parameters are bounded, as libraries do.

    Examples
    --------
    >>> g = np.array([3.0, -4.0, 0.5])
    >>> round(by_value([g], 1.0), 3)
    5.025
    >>> g
    array([ 1. , -1. ,  0.5])
    """
    _threshold("limit", limit)
    grads, norm = _measured(grads)
    for grad in grads:
        np.clip(grad, -limit, limit, out=grad)
    return norm


def by_norm(grads: list[np.ndarray], max_norm: float) -> float:
    """Shorten the gradient, all arrays as one vector, to `max_norm` where it is longer; in place.

    ::

        if ||g|| > max_norm:
            g <- g * max_norm / ||g||

    Parameters
    ----------
    grads : list of np.ndarray [float]
    max_norm : float > 0
        The length that is allowed; `math.inf` only measures.

    Returns
    -------
    float
        The norm before: what a training log should show.

    Raises
    ------
    NonFiniteGradient, ValueError
        As `by_value`.

    Notes
    -----
    The rule of `torch.nn.utils.clip_grad_norm_` with one difference: torch divides by `||g|| + 1e-6`, lest it
    divide by 0. Here a gradient of length 0 is never divided. So a clipped gradient is longer than torch's by
    the factor `1 + 1e-6 / ||g||`: it has the length `max_norm`, clipping it again changes nothing, and the
    unit in which the loss is measured does not matter. The norm is computed from entries divided by the
    largest, so that squares do not overflow.

    Source: R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks",
    2013, algorithm 1.

    Examples
    --------
    >>> weights, bias = np.array([[3.0, 0.0]]), np.array([4.0])
    >>> by_norm([weights, bias], 1.0)
    5.0
    >>> print(weights, bias)
    [[0.6 0. ]] [0.8]
    """
    _threshold("max_norm", max_norm)
    grads, norm = _measured(grads)
    _shorten(grads, norm, max_norm)
    return norm


def per_layer(grads: list[np.ndarray], max_norm: float) -> list[float]:
    """Shorten each array by itself to `max_norm` where it is longer, in place.

    Parameters
    ----------
    grads : list of np.ndarray [float]
    max_norm : float > 0
        The length that is allowed to each array; `math.inf` only measures.

    Returns
    -------
    list of float
        The norm of each array, before.

    Raises
    ------
    NonFiniteGradient, ValueError
        As `by_value`.

    Notes
    -----
    One array that explodes does not shrink the steps of the others, as it does in `by_norm`. The direction of
    each array is kept, the direction of the whole is not. With n arrays the whole may be `sqrt(n) * max_norm`
    long.

    Examples
    --------
    >>> exploding, healthy = np.array([300.0, 400.0]), np.array([0.5])
    >>> per_layer([exploding, healthy], 1.0)
    [500.0, 0.5]
    >>> print(exploding, healthy)
    [0.6 0.8] [0.5]
    """
    _threshold("max_norm", max_norm)
    grads, _ = _measured(grads)
    norms = []
    for grad in grads:
        norms.append(_norm(grad).item())
        _shorten([grad], norms[-1], max_norm)
    return norms


def adaptive(
    params: list[np.ndarray],
    grads: list[np.ndarray],
    *,
    clipping: float = 0.01,
    eps: float = 1e-3,
    unit_axis: int = -1,
) -> float:
    """Let no unit's gradient be longer than a hundredth of its weights (AGC, adaptive gradient clipping).

    ::

        for the weights w of each unit, and their gradient g:
            allowed <- clipping * max(||w||, eps)
            if ||g|| > allowed:
                g <- g * allowed / ||g||

    Parameters
    ----------
    params, grads : list of np.ndarray [float]
        The parameters, which are only read, and their gradients, changed in place. A unit is what shares an
        index of `unit_axis`; an array of one axis or none is one unit.
    clipping : float > 0
        The part of a unit's length that a step with `lr = 1` may change.
    eps : float > 0
        The length that counts for shorter weights, so that a unit that starts at 0 can move.
    unit_axis : int
        The axis that numbers the units: the last for `x @ w`, 0 for the weights of a PyTorch layer.

    Returns
    -------
    float
        The share of the units that were clipped, 0 to 1.

    Raises
    ------
    NonFiniteGradient, ValueError
        As `by_value`; also if the shapes do not agree or a parameter holds NaN or infinity.

    Notes
    -----
    The authors leave the last layer, a linear one, unclipped: leave its arrays out of both lists. Their code
    treats a matrix of one row or one column as one unit; here it is cut along `unit_axis` as any other.

    Source: A. Brock, S. De, S. L. Smith, K. Simonyan, "High-performance large-scale image recognition without
    normalization", 2021, equation 3.

    Examples
    --------
    Two units; the second has a gradient as long as its weights:

    >>> w = np.array([[3.0, 0.3], [4.0, 0.4]])
    >>> g = np.array([[0.03, 0.3], [0.0, 0.4]])
    >>> adaptive([w], [g])
    0.5
    >>> g
    array([[0.03 , 0.003],
           [0.   , 0.004]])
    """
    _threshold("clipping", clipping)
    _threshold("eps", eps)
    grads, _ = _measured(grads)
    params = list(params)
    if [np.shape(param) for param in params] != [grad.shape for grad in grads]:
        raise ValueError(
            f"the parameters have the shapes {[np.shape(param) for param in params]}, the gradients "
            f"{[grad.shape for grad in grads]}: there must be one gradient for each, of its shape"
        )
    if not all(np.all(np.isfinite(param)) for param in params):
        raise ValueError("a parameter holds NaN or infinity: go back to the last one saved that did not")
    clipped = units = 0
    for param, grad in zip(params, grads, strict=True):
        axes = None if grad.ndim < 2 else tuple(np.delete(np.arange(grad.ndim), unit_axis))
        allowed = clipping * np.maximum(_norm(param, axes), eps)
        norms = _norm(grad, axes)
        grad *= allowed / np.maximum(norms, allowed)  # exactly 1 for a unit that is not too long
        clipped += int(np.count_nonzero(norms > allowed))
        units += norms.size
    return clipped / max(units, 1)


# ---- thresholds that are learned: from the norms of the gradients before


class Clipper:
    """What the three below share: `clipper(grads)` clips by norm, and learns from the norms that it meets.

    A rule is a subclass with a method `limit`.

    Parameters
    ----------
    window : int > 0 [steps]
        How many norms are remembered.

    Attributes
    ----------
    history : deque of float
        The norms of the last `window` gradients, before clipping.
    threshold : float
        The length that was allowed to the last gradient; infinite before the first.
    steps, clipped : int
        How many gradients came, and how many of them were too long.

    Notes
    -----
    A gradient that is refused leaves no trace: it is in no count and not in the history.
    """

    settings: tuple[str, ...] = ()
    memory: tuple[str, ...] = ("threshold", "steps", "clipped")

    def __init__(self, window: int):
        if not isinstance(window, int) or window < 1:
            raise ValueError(f"the number of norms to remember must be an integer above 0, not {window!r}")
        self.history = deque(maxlen=window)
        self.threshold = math.inf
        self.steps = self.clipped = 0

    @property
    def fraction(self) -> float:
        """The share of the steps that were clipped, 0 to 1; 0 before the first."""
        return self.clipped / max(self.steps, 1)

    def limit(self, norm: float) -> float:
        """The length allowed to a gradient of length `norm`, which stands last in the history already."""
        raise NotImplementedError

    def __call__(self, grads: list[np.ndarray]) -> float:
        """Shorten the gradient, all arrays as one vector, to the threshold where it is longer; in place.

        Parameters
        ----------
        grads : list of np.ndarray [float]

        Returns
        -------
        float
            The norm before.

        Raises
        ------
        NonFiniteGradient, ValueError
            As `by_value`.
        """
        grads, norm = _measured(grads)
        self.history.append(norm)
        self.threshold = self.limit(norm)
        self.steps += 1
        self.clipped += norm > self.threshold
        _shorten(grads, norm, self.threshold)
        return norm

    def state_dict(self) -> dict:
        """A copy of all that is needed to continue: settings, counts, and the norms remembered."""
        return {
            "rule": type(self).__name__,
            "settings": {name: getattr(self, name) for name in self.settings},
            "memory": {name: getattr(self, name) for name in self.memory},
            "history": list(self.history),
        }

    def load_state_dict(self, saved: dict) -> None:
        """Continue from a `state_dict`, bit for bit as the clipper that saved it would have.

        Raises
        ------
        ValueError
            If `saved` comes from another rule.
        """
        if saved["rule"] != type(self).__name__:
            raise ValueError(f"the saved state is of {saved['rule']}, this is {type(self).__name__}")
        self.__init__(**saved["settings"])
        self.history.extend(saved["history"])
        for name, value in saved["memory"].items():
            setattr(self, name, value)


class Percentile(Clipper):
    """Clip to a percentile of the norms so far (AutoClip).

    ::

        threshold <- the p-th percentile of the last `window` norms, this one included

    Parameters
    ----------
    percentile : float, 0 to 100
        10 clips about nine steps in ten, once the norms have settled; 100 clips none.
    window : int > 0 [steps]
        How many norms are remembered.

    Raises
    ------
    ValueError
        If `percentile` is not between 0 and 100, or `window` is not a positive integer.

    Notes
    -----
    The authors remember all norms; the result is the same up to `window` steps.

    Source: P. Seetharaman, G. Wichern, B. Pardo, J. Le Roux, "AutoClip: Adaptive gradient clipping for source
    separation networks", 2020.

    Examples
    --------
    >>> clipper = Percentile(50)
    >>> [clipper([np.array([norm])]) for norm in (1.0, 3.0, 9.0)]
    [1.0, 3.0, 9.0]
    >>> clipper.threshold, round(clipper.fraction, 2)  # 3 was cut to 2, and 9 to 3
    (3.0, 0.67)
    """

    settings = ("percentile", "window")

    def __init__(self, percentile: float = 10.0, window: int = 1000):
        super().__init__(window)
        if not 0 <= percentile <= 100:
            raise ValueError(f"percentile must lie between 0 and 100, not {percentile!r}")
        self.percentile = percentile
        self.window = window

    def limit(self, norm: float) -> float:
        """The percentile of the history."""
        return np.percentile(self.history, self.percentile).item()


class Median(Clipper):
    """Clip to a multiple of the median norm: what is usual passes, an outlier hardly moves the threshold.

    ::

        threshold <- factor * median of the last `window` norms, this one included

    Parameters
    ----------
    factor : float > 0
        How much longer than usual a gradient may be.
    window : int > 0 [steps]
        How many norms are remembered.

    Raises
    ------
    ValueError
        If `factor` is not positive, or `window` is not a positive integer.

    Notes
    -----
    The idea of the optimizer ScaledAdam, with which the Zipformer recognizer is trained, and its values of
    `factor` and `window`. What ScaledAdam does otherwise:

    * In its norm, each array is weighted by the root mean square of its parameters.
    * The threshold is set anew every 100 steps, and before that at steps 10, 20 and 40, doubled.
    * Of 100 sorted norms it takes the 51st; here the median is the mean of the 50th and the 51st.
    * A gradient with NaN or infinity is set to 0, and the momentum carries on; a median that is not finite
      stops the training.

    Source: D. Povey, `ScaledAdam` in the recipes of icefall, egs/librispeech/ASR/zipformer/optim.py; Z. Yao
    et al., "Zipformer: A faster and better encoder for automatic speech recognition", 2024.

    Examples
    --------
    >>> clipper = Median()
    >>> [clipper([np.array([norm])]) for norm in (1.0, 1.0, 1.0, 100.0)]
    [1.0, 1.0, 1.0, 100.0]
    >>> clipper.threshold, clipper.fraction
    (2.0, 0.25)
    """

    settings = ("factor", "window")

    def __init__(self, factor: float = 2.0, window: int = 100):
        super().__init__(window)
        self.factor = _threshold("factor", factor)
        self.window = window

    def limit(self, norm: float) -> float:
        """The factor times the median of the history."""
        return self.factor * np.median(self.history).item()


class ZScore(Clipper):
    """Clip only spikes: norms more than `z` standard deviations above a running mean (ZClip).

    ::

        the first `warmup` norms pass; their mean and standard deviation begin the running ones
        after that, for each norm:
            excess <- norm - mean
            threshold <- mean + z * std                      if excess <= z * std
                         mean + (z * std)² / excess          else: the further out, the closer to the mean
            x    <- min(norm, threshold)
            mean <- alpha * mean + (1 - alpha) * x
            std² <- alpha * std² + (1 - alpha) * (x - mean)²

    Parameters
    ----------
    z : float > 0
        How many standard deviations above the mean a norm may lie.
    alpha : float, 0 to 1
        How much of the running mean is kept at each step: 0.97 remembers about 1 / (1 - 0.97) = 33 norms.
    warmup : int > 0 [steps]
        How many norms pass before the first may be clipped; so many are remembered in `history`.

    Raises
    ------
    ValueError
        If `z` is not positive, `alpha` does not lie between 0 and 1, or `warmup` is not a positive integer.

    Notes
    -----
    The authors also bound every norm, during the warm-up too, by a fixed 1.0; for that, call `by_norm` after
    it. They divide by `std + 1e-6`; here nothing is divided by `std`.

    Source: A. Kumar, L. Owen, N. R. Chowdhury, F. Güra, "ZClip: Adaptive spike mitigation for LLM
    pre-training", 2025, with `std` as in the authors' code, around the new mean.

    Examples
    --------
    >>> clipper = ZScore(z=2.0, warmup=4)
    >>> [clipper([np.array([norm])]) for norm in (1.0, 3.0, 1.0, 3.0, 6.0)]  # mean 2, deviation 1
    [1.0, 3.0, 1.0, 3.0, 6.0]
    >>> clipper.threshold, clipper.fraction  # 2 + 2² / 4
    (3.0, 0.2)
    """

    settings = ("z", "alpha", "warmup")
    memory = (*Clipper.memory, "mean", "std")

    def __init__(self, z: float = 2.5, alpha: float = 0.97, warmup: int = 25):
        super().__init__(warmup)
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha must lie between 0 and 1, not {alpha!r}")
        self.z = _threshold("z", z)
        self.alpha = alpha
        self.warmup = warmup
        self.mean = self.std = math.nan  # until the warm-up is over

    def limit(self, norm: float) -> float:
        """The mean and z deviations; for a spike less. The running statistics then take the norm in."""
        if self.steps < self.warmup:
            self.mean = np.mean(self.history).item()
            self.std = _norm(np.subtract(self.history, self.mean)).item() / math.sqrt(len(self.history))
            return math.inf
        excess, allowed = norm - self.mean, self.z * self.std
        threshold = self.mean + (allowed if excess <= allowed else allowed * (allowed / excess))
        taken = min(norm, threshold)
        self.mean = self.alpha * self.mean + (1 - self.alpha) * taken
        self.std = math.hypot(
            math.sqrt(self.alpha) * self.std, math.sqrt(1 - self.alpha) * (taken - self.mean)
        )
        return threshold


# ---- norms and checks


def _norm(x: np.ndarray, axes: tuple[int, ...] | None = None) -> np.ndarray:
    """The square root of the sum of squares over `axes`, which are kept with length 1; over all for None."""
    x = np.asarray(x, dtype=np.float64)
    largest = np.max(np.abs(x), axis=axes, keepdims=True, initial=0.0)
    largest = np.where(largest == 0, 1.0, largest)
    # (1e200)² overflows, (1e-200)² is 0. After division by the largest entry the squares lie between 0 and 1.
    with np.errstate(over="ignore"):  # a norm above the largest float is infinite, and refused
        return largest * np.sqrt(np.sum((x / largest) ** 2, axis=axes, keepdims=True))


def _measured(grads: list[np.ndarray]) -> tuple[list[np.ndarray], float]:
    """The gradients, checked, and the norm of all their entries together."""
    if isinstance(grads, np.ndarray) or not hasattr(grads, "__iter__"):
        raise ValueError("grads must be a list of arrays; for one array write [array]")
    grads = list(grads)
    for i, grad in enumerate(grads):
        if not isinstance(grad, np.ndarray) or grad.dtype.kind != "f" or not grad.flags.writeable:
            what = f"array of {grad.dtype}" if isinstance(grad, np.ndarray) else type(grad).__name__
            raise ValueError(
                f"grads[{i}] must be a writable array of floats, which can be changed in place, not: {what}"
            )
        if any(grad is other for other in grads[:i]):
            raise ValueError(f"grads[{i}] stands in grads twice: it would be clipped twice")
    for i, grad in enumerate(grads):
        nan, infinite = np.count_nonzero(np.isnan(grad)), np.count_nonzero(np.isinf(grad))
        if nan or infinite:
            raise NonFiniteGradient(
                f"grads[{i}] (shape {grad.shape}) holds {nan} NaN and {infinite} infinite entries of "
                f"{grad.size}; nothing was changed. Leave this step out; if it happens again, look for a "
                "step size that is too large, a logarithm of 0 or a division by 0"
            )
    norm = math.hypot(*(_norm(grad).item() for grad in grads))
    if not math.isfinite(norm):
        raise NonFiniteGradient("the norm of the gradient is above the largest float; nothing was changed")
    return grads, norm


def _shorten(grads: list[np.ndarray], norm: float, threshold: float) -> None:
    if norm > threshold:
        for grad in grads:
            grad *= threshold / norm


def _threshold(name: str, value: float) -> float:
    if not (np.isscalar(value) and np.isreal(value) and value > 0):  # false also for NaN
        raise ValueError(f"{name} must be a number above 0, not {value!r}")
    return value
