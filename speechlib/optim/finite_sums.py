"""Less noise from single examples: SVRG and SAGA, which correct the gradient of one by what they remember.

Both minimize the mean of n functions, one an example, and need more than a gradient: the gradient of *the
same* example at two points. They are functions and not update rules for that reason.
"""

from collections.abc import Callable

import numpy as np

from ._base import number, positive
from .loop import History


def svrg(
    fun: Callable[[np.ndarray, int], tuple[float, np.ndarray]],
    x0: np.ndarray,
    n: int,
    *,
    lr: float,
    epochs: int,
    steps: int | None = None,
    rng: np.random.Generator,
) -> History:
    """Stochastic variance-reduced gradient: correct one example's gradient by its gradient at a snapshot.

    ::

        input: functions f_1, ..., f_n; x, lr, steps
        for each epoch:
            s  <- x
            mu <- mean of the gradients of all f_i at s
            for each of `steps` steps:
                i <- one of 1 ... n, at random
                x <- x - lr * (gradient of f_i at x - gradient of f_i at s + mu)

    The correction has mean 0, so the direction is right on average, as in SGD. Near the minimum both `x` and
    `s` are near it, and the noise vanishes: the step size need not fall.

    Parameters
    ----------
    fun : Callable
        `fun(x, i) -> (value, gradient)` of example `i`, from 0 to n - 1. It must not change `x`.
    x0 : np.ndarray or float
        Where to start, of any shape. It is copied.
    n : int > 0
        The number of examples.
    lr : float > 0
        The step size; below 1 / (4 L), where L bounds the curvature of every single example.
    epochs : int >= 0
        The number of snapshots.
    steps : int > 0, optional
        The steps between two snapshots; 2 n, if it is not given.
    rng : np.random.Generator
        Draws the examples.

    Returns
    -------
    History
        Row k is snapshot k, with the mean value and the mean gradient there; row 0 is `x0`.

    Raises
    ------
    ValueError
        If a gradient has another shape than `x0`, or holds NaN or infinity.

    Notes
    -----
    Calls `fun` `n + 2 * steps` times an epoch, and n times at the end.

    Differs from the paper: the next snapshot is the last point (the paper's option I); its proof is for
    one of the points at random (option II).

    Source: R. Johnson, T. Zhang, "Accelerating stochastic gradient descent using predictive variance
    reduction", 2013, figure 1. They recommend 2 n steps for convex functions.

    Examples
    --------
    The mean of (x - a_i)² / 2 is lowest at the mean of a, 3:

    >>> a = np.array([1.0, 2.0, 6.0])
    >>> rng = np.random.default_rng(0)
    >>> svrg(lambda x, i: ((x - a[i]) ** 2 / 2, x - a[i]), 0.0, 3, lr=0.5, epochs=2, rng=rng).x
    array([0.        , 2.953125  , 2.99926758])
    """
    steps = 2 * n if steps is None else steps
    x, history = _start(x0, n, lr, epochs, steps)
    for epoch in range(epochs + 1):
        snapshot = x.copy()
        values, gradients = _all(fun, snapshot, n)
        mean = gradients.mean(axis=0)
        history.x[epoch], history.value[epoch], history.gradient[epoch] = snapshot, values.mean(), mean
        for _ in range(steps if epoch < epochs else 0):
            i = int(rng.integers(n))
            x -= lr * (_one(fun, x, i)[1] - _one(fun, snapshot, i)[1] + mean)
    return history


def saga(
    fun: Callable[[np.ndarray, int], tuple[float, np.ndarray]],
    x0: np.ndarray,
    n: int,
    *,
    lr: float,
    epochs: int,
    steps: int | None = None,
    rng: np.random.Generator,
) -> History:
    """SAGA: correct one example's gradient by the last one that was computed for the same example.

    ::

        input: functions f_1, ..., f_n; x, lr
        for each i: G_i <- gradient of f_i at x
        for each step:
            i <- one of 1 ... n, at random
            g <- gradient of f_i at x
            x <- x - lr * (g - G_i + mean of all G)
            G_i <- g

    What SVRG computes again in each epoch is remembered here: one gradient an example, a table of n times the
    size of `x`.

    Parameters
    ----------
    fun, x0, n, lr, epochs, rng
        As in `svrg`; `lr` below 1 / (3 L).
    steps : int > 0, optional
        The steps of an epoch; n, if it is not given.

    Returns
    -------
    History
        Row k is the point after k epochs, with the mean value and the mean gradient there; row 0 is `x0`.

    Raises
    ------
    ValueError
        If a gradient has another shape than `x0`, or holds NaN or infinity.

    Notes
    -----
    Calls `fun` n times for the table and `steps` times an epoch; and n times an epoch more for the history
    alone.

    Differs from the paper: no proximal step for a term that is not smooth.

    Source: A. Defazio, F. Bach, S. Lacoste-Julien, "SAGA: a fast incremental gradient method with support for
    non-strongly convex composite objectives", 2014, equations 1 and 2.

    Examples
    --------
    >>> a = np.array([1.0, 2.0, 6.0])
    >>> rng = np.random.default_rng(0)
    >>> saga(lambda x, i: ((x - a[i]) ** 2 / 2, x - a[i]), 0.0, 3, lr=0.3, epochs=20, rng=rng).x[-1].round(2)
    np.float64(3.0)
    """
    steps = n if steps is None else steps
    x, history = _start(x0, n, lr, epochs, steps)
    values, table = _all(fun, x, n)
    mean = table.mean(axis=0)
    history.x[0], history.value[0], history.gradient[0] = x, values.mean(), mean
    for epoch in range(1, epochs + 1):
        for _ in range(steps):
            i = int(rng.integers(n))
            change = _one(fun, x, i)[1] - table[i]
            x -= lr * (change + mean)
            table[i] += change
            mean = mean + change / n
        values, gradients = _all(fun, x, n)
        history.x[epoch], history.value[epoch] = x, values.mean()
        history.gradient[epoch] = gradients.mean(axis=0)
    return history


def _start(x0: np.ndarray, n: int, lr: float, epochs: int, steps: int) -> tuple[np.ndarray, History]:
    positive(n=n, lr=lr, steps=steps)
    number("epochs", epochs)
    x, rows = np.array(x0, dtype=np.float64), epochs + 1
    return x, History(np.empty((rows, *x.shape)), np.empty(rows), np.empty((rows, *x.shape)))


def _one(fun: Callable, x: np.ndarray, i: int) -> tuple[float, np.ndarray]:
    value, gradient = fun(x, i)
    if np.shape(gradient) != x.shape or np.shape(value) != ():
        raise ValueError(
            f"fun(x, i) must return (value, gradient) with shapes () and {x.shape}, not {np.shape(value)} "
            f"and {np.shape(gradient)}"
        )
    if not np.all(np.isfinite(gradient)):
        raise ValueError(f"the gradient of example {i} holds NaN or infinity: most often lr is too large")
    return value, gradient


def _all(fun: Callable, x: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    pairs = [_one(fun, x, i) for i in range(n)]
    return np.array([value for value, _ in pairs]), np.array([gradient for _, gradient in pairs])
