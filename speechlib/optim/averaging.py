"""Averages of the points along the way: where gradients are noisy, they lie lower than the points."""

import math

import numpy as np

from ._base import Optimizer, check_grads, check_params, fraction, fractions, moving_average, number, positive


class Average:
    """A running average of parameters: of all points (Polyak, SWA), or of the recent ones (EMA).

    ::

        input: params theta, decay
        at update n = 1, 2, ...:
            a <- theta                                     at n = 1
            a <- a + (theta - a) / n                       at n > 1, decay = None: the mean of n points
            a <- decay * a + (1 - decay) * theta           at n > 1, with decay: an exponential moving average

    The three names differ in when `update` is called: Polyak averaging after every step from some step on;
    stochastic weight averaging (SWA) once an epoch, late in training and with a large step size; an
    exponential moving average (EMA) after every step from the start, since it forgets.

    Parameters
    ----------
    params : list of np.ndarray [float]
        The arrays that an optimizer moves. They are only read.
    decay : float, from 0 up to, but not including, 1, or None
        How slowly the average forgets: 0.999 remembers about 1000 points. None forgets nothing.

    Raises
    ------
    ValueError
        If `params` is not a list of distinct, writable float arrays, or `decay` is not a fraction.

    Notes
    -----
    The results of torch.optim.swa_utils.AveragedModel. Differs from the papers: the mean begins when the
    caller says; an EMA begins as the first point, so nothing must be corrected.

    Source: B. T. Polyak, A. B. Juditsky, "Acceleration of stochastic approximation by averaging", 1992.
    P. Izmailov et al., "Averaging weights leads to wider optima and better generalization", 2018 (SWA).

    Examples
    --------
    >>> x = np.array([1.0])
    >>> mean, recent = Average([x]), Average([x], decay=0.5)
    >>> for x[0] in (1.0, 3.0, 5.0):
    ...     mean.update()
    ...     recent.update()
    >>> mean.average, recent.average
    ([array([3.])], [array([3.5])])
    """

    def __init__(self, params: list[np.ndarray], decay: float | None = None):
        self.params = check_params(params)
        self.decay = None if decay is None else fraction("decay", decay)
        self.updates = 0
        self._average = [param.copy() for param in self.params]

    @property
    def average(self) -> list[np.ndarray]:
        """Copies of the averages, in the order of `params`; of the first parameters before any update."""
        return [array.copy() for array in self._average]

    def update(self) -> None:
        """Take the present parameters into the average."""
        self.updates += 1
        # the first update replaces what is there: its rate is 0
        rate = 1 - 1 / self.updates if self.decay is None or self.updates == 1 else self.decay
        for array, param in zip(self._average, self.params, strict=True):
            moving_average(array, rate, param)

    def state_dict(self) -> dict:
        """A copy of all that is needed to continue."""
        return {"decay": self.decay, "updates": self.updates, "average": self.average}

    def load_state_dict(self, saved: dict) -> None:
        """Continue from a `state_dict`.

        Raises
        ------
        ValueError
            If `saved` is of arrays with other shapes; nothing has been changed then.
        """
        found, needed = [np.shape(a) for a in saved["average"]], [param.shape for param in self.params]
        if found != needed:
            raise ValueError(f"the saved average has the shapes {found}, this model needs {needed}")
        self.decay, self.updates = saved["decay"], saved["updates"]
        self._average = [np.array(array) for array in saved["average"]]


class ScheduleFree(Optimizer):
    """SGD without a schedule: an average of the points takes the place of a step size that falls.

    Three points go along. `z` takes the steps, with a step size that stays. `x` is the average of all `z`: it
    is the model to evaluate and to keep. `y` lies between the two: there the gradient is taken.

    ::

        input: params y, lr, momentum beta, weight_decay lambda, warmup_steps, r, weight_lr_power p
        z, x <- y
        for t = 1, 2, ...:
            g   <- gradient of f at y
            g   <- g + lambda * y
            lr  <- lr * min(1, t / warmup_steps)
            c   <- w_t / (w_1 + ... + w_t)   with  w_t = t^r * (largest lr so far)^p
            z   <- z - lr * g
            x   <- (1 - c) * x + c * z
            y   <- (1 - beta) * z + beta * x

    **Which point is where.** `params` hold `y`, where the next gradient belongs. The weights to evaluate and
    to keep are `average`, copies of `x`.

    Parameters
    ----------
    params : list of np.ndarray [float]
        The arrays to learn, updated in place. They hold `y`. Before the first step they may still be set.
    lr : float > 0
        The step size; often larger than for SGD with a schedule.
    momentum : float, from 0 up to, but not including, 1
        How far from `z` towards `x` the gradient is taken. With 0, this is SGD and its average.
    weight_decay : float >= 0
        Adds the gradient of `weight_decay / 2 * ||y||²`.
    warmup_steps : int >= 0
        Over how many steps `lr` rises from near 0 in a straight line.
    r : float
        With r > 0, later points count more in the average.
    weight_lr_power : float >= 0
        Points count with the largest `lr` so far to this power: those of the warm-up count less.

    Notes
    -----
    Differs from the paper: there, points count with the square of their `lr`; here with the power
    `weight_lr_power` of the largest so far. As in the authors' package schedulefree, which stores `y` and `z`
    and finds `x` from them where its `eval()` asks for it; here all three are stored.

    Source: A. Defazio et al., "The road less scheduled", 2024, equations 3 to 5 and section 4.

    Examples
    --------
    >>> y = np.array([8.0])
    >>> optimizer = ScheduleFree([y], lr=0.5)
    >>> for _ in range(200):
    ...     optimizer.step([y])
    >>> bool(abs(optimizer.average[0][0]) < 1e-2)
    True
    """

    settings = ("lr", "momentum", "weight_decay", "warmup_steps", "r", "weight_lr_power")

    def __init__(
        self,
        params: list[np.ndarray],
        lr: float = 1.0,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
    ):
        super().__init__(params, lr)
        self.momentum = fraction("momentum", momentum)
        self.weight_decay = number("weight_decay", weight_decay)
        self.warmup_steps = number("warmup_steps", warmup_steps)
        self.r = number("r", r)
        self.weight_lr_power = number("weight_lr_power", weight_lr_power)

    @property
    def average(self) -> list[np.ndarray]:
        """Copies of `x`, the weights to evaluate and to keep; of the parameters before the first step."""
        return [array.copy() for array in self.state.get("x", self.params)]

    def shapes(self, name: str) -> list[tuple[int, ...]]:
        """One number for `weight_sum` and for `lr_max`."""
        return [()] if name in ("weight_sum", "lr_max") else super().shapes(name)

    def step(self, grads: list[np.ndarray]) -> None:
        """Move `y`, `z` and `x` by one step, in place; as `Optimizer.step`."""
        t = self.steps + 1
        grads = check_grads(grads, self.params)
        if self.steps == 0:
            self.state["z"] = [param.copy() for param in self.params]
            self.state["x"] = [param.copy() for param in self.params]
        (total,), (largest,) = self.memory("weight_sum"), self.memory("lr_max")
        lr = self.lr * min(1.0, t / self.warmup_steps) if self.warmup_steps else self.lr
        np.maximum(largest, lr, out=largest)
        weight = t**self.r * float(largest) ** self.weight_lr_power
        total += weight
        share = weight / float(total) if total > 0 else 0.0
        for index, (y, grad) in enumerate(zip(self.params, grads, strict=True)):
            z, x = self.state["z"][index], self.state["x"][index]
            z -= lr * (self.direction(index, y, grad) + self.weight_decay * y)
            x += share * (z - x)
            y[...] = z + self.momentum * (x - z)
        self.steps = t

    def direction(self, index: int, param: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """The direction of the step of `z`: the gradient itself."""
        return grad


class ScheduleFreeAdamW(ScheduleFree):
    """Schedule-free steps along Adam's direction: `z` divides the gradient by its root mean square.

    The algorithm is that of `ScheduleFree`, with `g / (sqrt(v / (1 - beta2^t)) + eps)` in the place of `g`,
    where `v <- beta2 * v + (1 - beta2) * g²`, and the decay added after the division. The first beta is the
    momentum.

    Parameters
    ----------
    params, lr, weight_decay, warmup_steps, r, weight_lr_power
        As in `ScheduleFree`.
    betas : tuple of 2 floats, each from 0 up to, but not including, 1
        The momentum, and how slowly the average of the squares forgets.
    eps : float > 0
        Keeps the division from one by zero.

    Notes
    -----
    Differs from the paper as `ScheduleFree` does. Equal to AdamWScheduleFree of the authors' package.

    Source: A. Defazio et al., "The road less scheduled", 2024, algorithm 1.

    Examples
    --------
    >>> y = np.array([1.0, 1.0])
    >>> optimizer = ScheduleFreeAdamW([y], lr=0.1)
    >>> optimizer.step([np.array([100.0, -0.01])])
    >>> optimizer.average[0].round(6)
    array([0.9, 1.1])
    """

    settings = ("lr", "betas", "eps", "weight_decay", "warmup_steps", "r", "weight_lr_power")

    def __init__(
        self,
        params: list[np.ndarray],
        lr: float = 0.0025,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
    ):
        self.betas = betas
        super().__init__(params, lr, self.momentum, weight_decay, warmup_steps, r, weight_lr_power)
        positive(eps=eps)
        self.eps = eps

    @property
    def betas(self) -> tuple[float, float]:
        """The momentum, and how slowly the average of the squares forgets."""
        return self.momentum, self.beta2

    @betas.setter
    def betas(self, betas: tuple[float, float]) -> None:
        self.momentum, self.beta2 = fractions("betas", betas)

    def direction(self, index: int, param: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """The gradient divided by the root of the average square, corrected for its start at 0."""
        square = moving_average(self.memory("exp_avg_sq")[index], self.beta2, grad * grad)
        return grad / (np.sqrt(square) / math.sqrt(1 - self.beta2 ** (self.steps + 1)) + self.eps)
