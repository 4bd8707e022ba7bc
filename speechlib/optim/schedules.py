"""Schedules: functions that make a function `step -> factor`; the step size at a step is lr * factor."""

import math
from collections.abc import Callable

from ._base import number, positive


def constant() -> Callable[[int], float]:
    """The step size as it is.

    Examples
    --------
    >>> constant()(1000)
    1.0
    """
    return lambda step: 1.0


def step_decay(step_size: int, gamma: float = 0.1) -> Callable[[int], float]:
    """Multiply by `gamma` after every `step_size` steps. The factors of torch's StepLR.

    Parameters
    ----------
    step_size : int > 0 [steps]
    gamma : float > 0

    Returns
    -------
    Callable[[int], float]
        `step -> gamma ** (step // step_size)`

    Examples
    --------
    >>> factor = step_decay(10, gamma=0.5)
    >>> [factor(step) for step in (0, 9, 10, 20)]
    [1.0, 1.0, 0.5, 0.25]
    """
    positive(step_size=step_size, gamma=gamma)
    return lambda step: float(gamma ** (step // step_size))


def exponential(gamma: float) -> Callable[[int], float]:
    """Multiply by `gamma` after every step. The factors of torch's ExponentialLR.

    Parameters
    ----------
    gamma : float > 0

    Returns
    -------
    Callable[[int], float]
        `step -> gamma ** step`

    Examples
    --------
    >>> exponential(0.5)(3)
    0.125
    """
    positive(gamma=gamma)
    return lambda step: float(gamma**step)


def cosine(total_steps: int, *, final: float = 0.0) -> Callable[[int], float]:
    """Fall from 1 to `final` along half a cosine wave. The factors of torch's CosineAnnealingLR.

    Parameters
    ----------
    total_steps : int > 0 [steps]
        The step at which `final` is reached. Unlike torch's, the factor then stays there.
    final : float >= 0
        The last factor (torch's `eta_min` divided by `lr`).

    Returns
    -------
    Callable[[int], float]
        `step -> final + (1 - final) * (1 + cos(pi * step / total_steps)) / 2`

    Notes
    -----
    Source: I. Loshchilov, F. Hutter, "SGDR: Stochastic gradient descent with warm restarts", 2017, equation
    5, without the restarts.

    Examples
    --------
    >>> factor = cosine(100)
    >>> [round(factor(step), 3) for step in (0, 50, 100, 150)]
    [1.0, 0.5, 0.0, 0.0]
    """
    positive(total_steps=total_steps)
    number("final", final)
    return lambda step: final + (1 - final) * (1 + math.cos(math.pi * min(step / total_steps, 1.0))) / 2


def warmup(warmup_steps: int, then: Callable[[int], float] | None = None) -> Callable[[int], float]:
    """Rise from near 0 to 1 in a straight line, then follow another schedule.

    Parameters
    ----------
    warmup_steps : int >= 0 [steps]
        The step at which 1 is reached.
    then : Callable[[int], float]
        The schedule that follows, counted from 0 at that step; `constant()` if it is not given.

    Returns
    -------
    Callable[[int], float]
        `step -> (step + 1) / (warmup_steps + 1)`, then `then(step - warmup_steps)`. These are the factors
        of torch's LinearLR with `start_factor=1 / (warmup_steps + 1)`. The first is not 0: no step is
        wasted.

    Notes
    -----
    Source: P. Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017, section 2.2.

    Examples
    --------
    >>> factor = warmup(4, then=cosine(10))
    >>> [round(factor(step), 2) for step in (0, 1, 4, 9, 14)]
    [0.2, 0.4, 1.0, 0.5, 0.0]
    """
    number("warmup_steps", warmup_steps)
    after = constant() if then is None else then

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / (warmup_steps + 1)
        return after(step - warmup_steps)

    return factor


def one_cycle(
    total_steps: int, *, pct_start: float = 0.3, div_factor: float = 25.0, final_div_factor: float = 1e4
) -> Callable[[int], float]:
    """Rise to 1, then fall far below the start, both along a cosine. The factors of torch's OneCycleLR.

    With `lr` as the largest step size: the factor begins at `1 / div_factor`, reaches 1 at step
    `pct_start * total_steps - 1`, and ends at `1 / (div_factor * final_div_factor)` at step `total_steps -
    1`, where it stays.

    Parameters
    ----------
    total_steps : int > 0 [steps]
    pct_start : float, between 0 and 1
        The part of the steps spent rising (a fraction, although torch's name says percent).
    div_factor, final_div_factor : float > 0

    Returns
    -------
    Callable[[int], float]
        `step -> factor`

    Raises
    ------
    ValueError
        If `total_steps` leaves no step for the rise or for the fall.

    Notes
    -----
    torch's OneCycleLR lets the momentum fall and rise against the step size as well (`cycle_momentum`); a
    schedule here is a factor of the step size alone.

    Source: L. N. Smith, N. Topin, "Super-convergence: very fast training of neural networks using large
    learning rates", 2018.

    Examples
    --------
    >>> factor = one_cycle(100)
    >>> [round(factor(step), 6) for step in (0, 29, 99)]
    [0.04, 1.0, 4e-06]
    """
    positive(total_steps=total_steps, div_factor=div_factor, final_div_factor=final_div_factor)
    top, last = pct_start * total_steps - 1, total_steps - 1
    if not 0 < top < last:
        raise ValueError(
            f"one_cycle over {total_steps} steps with pct_start={pct_start} leaves no step for the rise or "
            "for the fall: take more steps, or a pct_start further from 0 and 1"
        )
    start, end = 1 / div_factor, 1 / (div_factor * final_div_factor)

    def between(a: float, b: float, part: float) -> float:
        return b + (a - b) / 2 * (1 + math.cos(math.pi * part))

    def factor(step: int) -> float:
        if step <= top:
            return between(start, 1.0, step / top)
        return between(1.0, end, min((step - top) / (last - top), 1.0))

    return factor


def warmup_stable_decay(warmup_steps: int, stable_steps: int, decay_steps: int) -> Callable[[int], float]:
    """Rise in a straight line, stay at 1, fall in a straight line to 0.

    Unlike a cosine, the long middle does not depend on when training will end: that is decided when the
    fall begins.

    Parameters
    ----------
    warmup_steps, stable_steps, decay_steps : int >= 0 [steps]
        The lengths of the three parts; with `decay_steps=0` the factor stays 1.

    Returns
    -------
    Callable[[int], float]
        `step -> factor`; the factor is 0 from step `warmup_steps + stable_steps + decay_steps` on.

    Notes
    -----
    Source: S. Hu et al., "MiniCPM: unveiling the potential of small language models with scalable training
    strategies", 2024 (where the fall is exponential; A. Hägele et al., "Scaling laws and compute-optimal
    training beyond fixed training durations", 2024, compares shapes, the straight line among them).

    Examples
    --------
    >>> factor = warmup_stable_decay(4, 10, 5)
    >>> [round(factor(step), 2) for step in (0, 4, 14, 15, 18, 19)]
    [0.2, 1.0, 1.0, 0.8, 0.2, 0.0]
    """
    number("stable_steps", stable_steps)
    number("decay_steps", decay_steps)

    def after(step: int) -> float:
        if step <= stable_steps or decay_steps == 0:
            return 1.0
        return max(0.0, 1 - (step - stable_steps) / decay_steps)

    return warmup(warmup_steps, then=after)
