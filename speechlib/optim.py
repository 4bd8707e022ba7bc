"""Update rules, schedules and the loop around them, in the order in which the book derives them.

An update rule is one formula: `theta <- theta - lr * direction`. The classes below differ in the direction
alone. A schedule multiplies `lr` by a factor that depends on the step.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Optimizer:
    """What all update rules share: the parameters, the step size, and what is remembered between steps.

    A rule is a subclass with a method `direction`; `step` subtracts `lr` times that direction from each
    parameter.

    Parameters
    ----------
    params : list of np.ndarray [float]
        The arrays to learn. They are updated in place: whoever holds them sees the new values.
    lr : float > 0
        The step size (learning rate). `optimizer.lr` may be set between steps, as a schedule does.

    Raises
    ------
    ValueError
        If `params` is not a list of distinct, writable float arrays, or `lr` is not a positive number.

    Notes
    -----
    A subclass keeps what it remembers in `self.state`, a dictionary from a name to one array for each
    parameter, and lists its settings in `settings`; `state_dict` and `load_state_dict` then work without
    further code.
    """

    settings: tuple[str, ...] = ("lr",)

    def __init__(self, params: list[np.ndarray], lr: float):
        self.params = _check_params(params)
        self.lr = lr
        if self.lr == 0:
            raise ValueError(f"lr must be a positive number, not {lr!r}: with it no step would move anything")
        self.steps = 0
        self.state: dict[str, list[np.ndarray]] = {}

    @property
    def lr(self) -> float:
        """The step size. Setting it to 0 is allowed, because schedules end there; below 0 it is refused."""
        return self._lr

    @lr.setter
    def lr(self, lr: float) -> None:
        self._lr = _number("lr", lr)

    def direction(self, index: int, param: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """The direction that `step` subtracts from parameter number `index`."""
        raise NotImplementedError

    def step(self, grads: list[np.ndarray]) -> None:
        """Move all parameters by one step, in place.

        Parameters
        ----------
        grads : list of np.ndarray
            The gradient with respect to each parameter, in the order and with the shapes of `params`.

        Raises
        ------
        ValueError
            If the number or a shape does not fit or a gradient holds NaN or infinity. The message says
            which one; no parameter has been changed then.
        """
        grads = _check_grads(grads, self.params)
        for index, (param, grad) in enumerate(zip(self.params, grads, strict=True)):
            param -= self.lr * self.direction(index, param, grad)
        self.steps += 1

    def state_dict(self) -> dict:
        """A copy of all that is needed to continue: settings, number of steps, and what the rule remembers.

        The parameters are not in it: they belong to the caller, who saves them too.
        """
        state = {name: [array.copy() for array in arrays] for name, arrays in self.state.items()}
        return {
            "rule": type(self).__name__,
            "settings": {name: getattr(self, name) for name in self.settings},
            "steps": self.steps,
            "state": state,
        }

    def load_state_dict(self, saved: dict) -> None:
        """Continue from a `state_dict`, bit for bit as the optimizer that saved it would have.

        Raises
        ------
        ValueError
            If `saved` comes from another rule or does not fit the shapes of the parameters.
        """
        if saved["rule"] != type(self).__name__:
            raise ValueError(f"the saved state is of {saved['rule']}, this is {type(self).__name__}")
        shapes = [param.shape for param in self.params]
        for name, arrays in saved["state"].items():
            if [array.shape for array in arrays] != shapes:
                raise ValueError(
                    f"the saved {name!r} has the shapes {[array.shape for array in arrays]}, the parameters "
                    f"have {shapes}: load it into an optimizer of the same model"
                )
        for name, value in saved["settings"].items():
            setattr(self, name, value)
        self.steps = saved["steps"]
        self.state = {name: [array.copy() for array in arrays] for name, arrays in saved["state"].items()}


class GradientDescent(Optimizer):
    """Step against the gradient.

    ::

        input: params theta, step size lr
        for t = 1, 2, ...:
            g     <- gradient of f at theta
            theta <- theta - lr * g

    Parameters
    ----------
    params : list of np.ndarray [float]
        The arrays to learn, updated in place.
    lr : float > 0
        The step size. On a function whose curvature nowhere exceeds L, every step with `lr < 2 / L` lowers
        it.

    Notes
    -----
    Differs from the paper: Cauchy chooses a new step length at each step, by moving along the line until the
    function no longer falls; here `lr` is given. See `backtracking` for a line search.

    Source: A. Cauchy, "Méthode générale pour la résolution des systèmes d'équations simultanées", 1847. The
    bound: Y. Nesterov, "Lectures on Convex Optimization", 2018, section 1.2.3.

    Examples
    --------
    On f(x) = x² / 2, whose gradient is x, a step with lr = 0.5 halves x:

    >>> x = np.array([8.0])
    >>> optimizer = GradientDescent([x], lr=0.5)
    >>> for _ in range(3):
    ...     optimizer.step([x])
    >>> x
    array([1.])
    """

    def direction(self, index: int, param: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """The gradient itself."""
        return grad


class SGD(Optimizer):
    """Gradient descent with a memory (momentum) and weight decay. The rule of torch.optim.SGD.

    The name says *stochastic* because the gradients usually come from a random part of the data; the rule
    does not know where they come from.

    ::

        input: params theta, lr, momentum mu, dampening tau, weight_decay lambda, nesterov
        for t = 1, 2, ...:
            g <- gradient of f at theta
            g <- g + lambda * theta
            if mu != 0:
                b <- g                          at t = 1
                b <- mu * b + (1 - tau) * g     at t > 1
                g <- g + mu * b  if nesterov,  else b
            theta <- theta - lr * g

    Parameters
    ----------
    params : list of np.ndarray [float]
        The arrays to learn, updated in place.
    lr : float > 0
        The step size.
    momentum : float >= 0
        How much of the last step is repeated; 0.9 remembers about 1 / (1 - 0.9) = 10 gradients.
    dampening : float
        How much less the new gradient counts than the remembered ones.
    weight_decay : float >= 0
        Adds the gradient of `weight_decay / 2 * ||theta||²`.
    nesterov : bool
        Use the gradient at the point to which momentum is about to carry the parameters.

    Raises
    ------
    ValueError
        As `Optimizer`; if `momentum` or `weight_decay` is negative, or `nesterov` comes without momentum or
        with dampening.

    Notes
    -----
    Where it differs from the papers, as torch.optim.SGD does:

    * Polyak (1964) writes `theta <- theta - lr * g + mu * (theta - theta_before)`. That is the same
      sequence as long as `lr` stays the same. When `lr` changes, Polyak's memory keeps the old steps as
      they were taken; here the memory `b` holds gradients, so a new `lr` applies to all of them at once.
      Sutskever et al. (2013) keep the steps, as Polyak does.
    * `b` starts as the first gradient, which is not dampened.
    * Nesterov (1983) lets the momentum grow from step to step by a fixed sequence; here it is constant, as in
      Sutskever et al. Their equations 3 and 4 take the gradient at a point ahead, `theta + mu * v`. Here
      `theta` *is* that point ahead: the same sequence in another variable.
    * `weight_decay` goes through the memory like any other gradient.

    Source: B. T. Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.
    Y. Nesterov, "A method for solving the convex programming problem with convergence rate O(1/k²)", 1983.
    I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum in deep
    learning", 2013, equations 1 to 4.

    Examples
    --------
    >>> x = np.array([8.0])
    >>> optimizer = SGD([x], lr=0.5, momentum=0.5)
    >>> for _ in range(2):  # steps of 0.5 * 8 and of 0.5 * (0.5 * 8 + 4)
    ...     optimizer.step([x])
    >>> x
    array([0.])
    """

    settings = ("lr", "momentum", "dampening", "weight_decay", "nesterov")

    def __init__(
        self,
        params: list[np.ndarray],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ):
        super().__init__(params, lr)
        self.momentum = _number("momentum", momentum)
        self.dampening = dampening
        self.weight_decay = _number("weight_decay", weight_decay)
        self.nesterov = nesterov
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError("nesterov=True needs a momentum above 0 and no dampening")

    def direction(self, index: int, param: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """The gradient, decayed weights added, averaged with the gradients before it."""
        if self.weight_decay != 0:
            grad = grad + self.weight_decay * param
        if self.momentum == 0:
            return grad
        memories = self.state.setdefault("momentum", [])
        if index == len(memories):  # the first step with momentum
            memories.append(np.array(grad))
        else:
            memories[index] *= self.momentum
            memories[index] += (1 - self.dampening) * grad
        return grad + self.momentum * memories[index] if self.nesterov else memories[index]


# ---- schedules: functions that make a function `step -> factor`; the step size at a step is lr * factor


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
    _positive(step_size=step_size, gamma=gamma)
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
    _positive(gamma=gamma)
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
    _positive(total_steps=total_steps)
    _number("final", final)
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
    _number("warmup_steps", warmup_steps)
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
    _positive(total_steps=total_steps, div_factor=div_factor, final_div_factor=final_div_factor)
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
    _number("warmup_steps", warmup_steps)
    _number("stable_steps", stable_steps)
    _number("decay_steps", decay_steps)

    def after(step: int) -> float:
        if step <= stable_steps or decay_steps == 0:
            return 1.0
        return max(0.0, 1 - (step - stable_steps) / decay_steps)

    return warmup(warmup_steps, then=after)


# ---- the loop, and a search for the step size


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
    _positive(lr=lr)
    if not (0 < shrink < 1 and 0 < slope < 1):
        raise ValueError(f"shrink and slope must lie between 0 and 1, not {shrink!r} and {slope!r}")
    gradient = np.asarray(gradient)
    direction = -gradient if direction is None else np.asarray(direction)
    if gradient.shape != np.shape(x) or direction.shape != np.shape(x):
        raise ValueError(
            f"x, gradient and direction differ in shape: {np.shape(x)}, {gradient.shape}, {direction.shape}"
        )
    promise = float(np.sum(gradient * direction))
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


# ---- checks


def _number(name: str, value: float) -> float:
    if not (np.isscalar(value) and np.isreal(value) and math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be a number that is not negative, not {value!r}")
    return value


def _positive(**values: float) -> None:
    for name, value in values.items():
        if _number(name, value) == 0:
            raise ValueError(f"{name} must be above 0")


def _check_params(params: list[np.ndarray]) -> list[np.ndarray]:
    if isinstance(params, np.ndarray) or not hasattr(params, "__iter__"):
        raise ValueError("params must be a list of arrays; for one array write [array]")
    params = list(params)
    if not params:
        raise ValueError("params is empty: there is nothing to learn")
    for i, param in enumerate(params):
        if not isinstance(param, np.ndarray) or param.dtype.kind != "f" or not param.flags.writeable:
            what = f"array of {param.dtype}" if isinstance(param, np.ndarray) else type(param).__name__
            raise ValueError(
                f"params[{i}] must be a writable array of floats, which can be updated in place, not: {what}"
            )
        if any(param is other for other in params[:i]):
            raise ValueError(f"params[{i}] stands in params twice: it would be moved twice in each step")
    return params


def _check_grads(grads: list[np.ndarray], params: list[np.ndarray]) -> list[np.ndarray]:
    if len(grads) != len(params):
        raise ValueError(f"{len(grads)} gradients for {len(params)} parameters: step needs one for each")
    checked = []
    for i, (grad, param) in enumerate(zip(grads, params, strict=True)):
        grad = np.asarray(grad)
        if grad.dtype.kind not in "fiu":
            raise ValueError(f"grads[{i}] must be an array of real numbers, not of {grad.dtype}")
        if grad.shape != param.shape:
            raise ValueError(f"grads[{i}] has shape {grad.shape}, its parameter has {param.shape}")
        if not np.all(np.isfinite(grad)):
            raise ValueError(
                f"grads[{i}] (shape {grad.shape}) holds NaN or infinity; no parameter was changed. Most "
                "often the step size is too large: look at the values of the last steps"
            )
        checked.append(grad.astype(param.dtype, copy=False))
    return checked
