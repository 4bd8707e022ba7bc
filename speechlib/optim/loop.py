"""The loop around an update rule, and a search for the step size."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ._base import Optimizer, positive


class History(NamedTuple):
    """What `minimize` saw; row 0 is the start and row k the state after k steps.

    Parameters
    ----------
    x : np.ndarray [shape=(steps + 1, ...)]
    value : np.ndarray [shape=(steps + 1,)]
    gradient : np.ndarray [shape=(steps + 1, ...)]
    """

    x: np.ndarray
    value: np.ndarray
    gradient: np.ndarray


def minimize(
    fun: Callable[[np.ndarray], tuple[float, np.ndarray]],
    x0: np.ndarray,
    optimizer: Callable[[list[np.ndarray]], Optimizer] | Optimizer,
    steps: int,
    *,
    schedule: Callable[[int], float] | None = None,
) -> History:
    """Take `steps` steps from `x0` and remember all of them.

    Parameters
    ----------
    fun : Callable
        `fun(x) -> (value, gradient)`, the gradient with the shape of `x`. It must not change `x`.
    x0 : np.ndarray or float
        Where to start, of any shape. It is copied.
    optimizer : Callable or Optimizer
        What makes the optimizer from a list of arrays, such as `functools.partial(SGD, lr=0.1,
        momentum=0.9)`; or an optimizer over one array of the shape of `x0`, which is set to `x0` and moved.
    steps : int >= 0
        The number of steps. `fun` is called once more than that.
    schedule : Callable, optional
        `step -> factor`; step k uses `lr * schedule(k)`.

    Returns
    -------
    History
        The points, values and gradients; row 0 belongs to `x0`.

    Raises
    ------
    ValueError
        If a step meets a gradient with NaN or infinity, which a step size far too large leads to.

    Examples
    --------
    >>> from functools import partial
    >>> from speechlib.optim import GradientDescent
    >>> history = minimize(lambda x: (x**2 / 2, x), 8.0, partial(GradientDescent, lr=0.5), 3)
    >>> history.x
    array([8., 4., 2., 1.])
    >>> history.value
    array([32. ,  8. ,  2. ,  0.5])
    """
    x = np.array(x0, dtype=np.float64)
    if isinstance(optimizer, Optimizer):
        if len(optimizer.params) != 1 or optimizer.params[0].shape != x.shape:
            raise ValueError(
                f"the optimizer holds arrays of shapes {[param.shape for param in optimizer.params]}; "
                f"minimize needs one of the shape of x0, {x.shape}"
            )
        optimizer.params[0][...] = x
    else:
        optimizer = optimizer([x])
    x = optimizer.params[0]

    history = History(np.empty((steps + 1, *x.shape)), np.empty(steps + 1), np.empty((steps + 1, *x.shape)))
    lr = optimizer.lr
    for k in range(steps + 1):
        value, gradient = fun(x)
        if np.shape(gradient) != x.shape or np.shape(value) != ():
            raise ValueError(
                f"fun(x) must return (value, gradient) with shapes () and {x.shape}, not {np.shape(value)} "
                f"and {np.shape(gradient)}"
            )
        history.x[k], history.value[k], history.gradient[k] = x, value, gradient
        if k < steps:
            if schedule is not None:
                optimizer.lr = lr * schedule(k)
            optimizer.step([gradient])
    optimizer.lr = lr
    return history


def backtracking(
    fun: Callable[[np.ndarray], tuple[float, np.ndarray]],
    x: np.ndarray,
    gradient: np.ndarray,
    *,
    direction: np.ndarray | None = None,
    lr: float = 1.0,
    shrink: float = 0.5,
    slope: float = 1e-4,
) -> float:
    """Try a long step, and shorten it until the function falls far enough: a step size for this one step.

    Parameters
    ----------
    fun : Callable
        `fun(x) -> (value, gradient)`; only the value is used. A step to where it is NaN or infinite is too
        long.
    x : np.ndarray
        Where to step from.
    gradient : np.ndarray [shape of x]
        The gradient of `fun` at `x`.
    direction : np.ndarray [shape of x], optional
        Where to step to: `x + lr * direction`. Against the gradient, if it is not given.
    lr : float > 0
        The first step size to try.
    shrink : float, between 0 and 1
        What the step size is multiplied by after a failure.
    slope : float, between 0 and 1
        The part of the fall promised by the gradient that is enough.

    Returns
    -------
    float
        The first step size `t` of lr, lr * shrink, lr * shrink², ... with
        `fun(x + t * direction) <= fun(x) + slope * t * <gradient, direction>`.

    Raises
    ------
    ValueError
        If `direction` does not lead downhill, or all step sizes down to 1e-20 lr fail: then the gradient is
        wrong, or `x` is a minimum as far as rounding lets one see.

    Notes
    -----
    Source: L. Armijo, "Minimization of functions having Lipschitz continuous first partial derivatives",
    1966.

    Examples
    --------
    On f(x) = 50 x² the largest stable step size is 2 / 100:

    >>> backtracking(lambda x: (50 * x**2, 100 * x), 1.0, 100.0)
    0.015625
    """
    positive(lr=lr)
    if not (0 < shrink < 1 and 0 < slope < 1):
        raise ValueError(f"shrink and slope must lie between 0 and 1, not {shrink!r} and {slope!r}")
    gradient = np.asarray(gradient)
    direction = -gradient if direction is None else np.asarray(direction)
    if gradient.shape != np.shape(x) or direction.shape != np.shape(x):
        raise ValueError(
            f"x, gradient and direction differ in shape: {np.shape(x)}, {gradient.shape}, {direction.shape}"
        )
    promise = np.sum(gradient * direction)
    if not promise <= 0 or (promise == 0 and np.any(direction)):
        raise ValueError(f"the direction does not lead downhill: <gradient, direction> = {promise:g} >= 0")
    value = fun(x)[0]
    t = float(lr)
    while t > 1e-20 * lr:
        if fun(x + t * direction)[0] <= value + slope * t * promise:
            return t
        t *= shrink
    raise ValueError(
        f"no step size from {lr:g} down to {t:g} lowers the function as the gradient promises: check the "
        "gradient against finite differences, or stop, if x is a minimum already"
    )
