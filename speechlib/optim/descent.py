"""Steps against the gradient, the gradient with a memory, and the subgradient where there is no gradient."""

import math

import numpy as np

from ._base import Optimizer, number, with_decay


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
        self.momentum = number("momentum", momentum)
        self.dampening = dampening
        self.weight_decay = number("weight_decay", weight_decay)
        self.nesterov = nesterov
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError("nesterov=True needs a momentum above 0 and no dampening")

    def direction(self, index: int, param: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """The gradient, decayed weights added, averaged with the gradients before it."""
        grad = with_decay(grad, param, self.weight_decay)
        if self.momentum == 0:
            return grad
        memories = self.state.setdefault("momentum", [])
        if index == len(memories):  # the first step with momentum
            memories.append(np.array(grad))
        else:
            memories[index] *= self.momentum
            memories[index] += (1 - self.dampening) * grad
        return grad + self.momentum * memories[index] if self.nesterov else memories[index]


class Subgradient(Optimizer):
    """The subgradient method: steps that shrink as 1 / sqrt(k), and a memory of the best point.

    At a kink there are many subgradients, and a step against one of them may lead uphill: this is no descent
    method. What comes closer to the minimum in the long run are the best point so far and the average.

    ::

        input: params theta, lr a
        for k = 1, 2, ...:
            g     <- any subgradient of f at theta
            best  <- theta  if f(theta) is below all values before
            avg   <- average of all theta so far, each weighted by its step size
            theta <- theta - a / sqrt(k) * g

    Parameters
    ----------
    params : list of np.ndarray [float]
        The arrays to learn, updated in place.
    lr : float > 0
        The step size of the first step; step k takes `lr / sqrt(k)`.

    Notes
    -----
    For a convex f whose subgradients are no longer than G, started at distance R from a minimum, both `best`
    and `average` are after the steps `a_1, ..., a_n` at most `(R² + G² sum a_k²) / (2 sum a_k)` above the
    minimum: of the order of log(n) / sqrt(n) here.

    Differs from the papers: Shor normalizes the subgradient, here it is taken as it is.

    Source: N. Z. Shor, "Minimization Methods for Non-Differentiable Functions", 1985, chapter 2. The bound:
    Y. Nesterov, "Lectures on Convex Optimization", 2018, section 3.2.3. The average: A. Nemirovski, D. Yudin,
    "Problem Complexity and Method Efficiency in Optimization", 1983.

    Examples
    --------
    On `abs(x)` a step of constant length would jump to and fro for ever:

    >>> x = np.array([0.3])
    >>> optimizer = Subgradient([x], lr=1.0)
    >>> for _ in range(2):
    ...     optimizer.step([np.sign(x)], value=abs(x[0]))
    ...     print(x.round(3), optimizer.best)
    [-0.7] [array([0.3])]
    [0.007] [array([0.3])]
    """

    def shapes(self, name: str) -> list[tuple[int, ...]]:
        """One number for `best_value` and for `weight`, the sum of the step sizes."""
        return [()] if name in ("best_value", "weight") else super().shapes(name)

    @property
    def best_value(self) -> float:
        """The lowest value given to `step` so far."""
        return float(self.state["best_value"][0]) if "best_value" in self.state else math.inf

    @property
    def best(self) -> list[np.ndarray]:
        """Copies of the parameters that had the lowest value; of the present ones, if no value was given."""
        return [array.copy() for array in self.state.get("best", self.params)]

    @property
    def average(self) -> list[np.ndarray]:
        """Copies of the average of the points, weighted by the steps taken there; before, of `params`."""
        return [array.copy() for array in self.state.get("average", self.params)]

    def step(self, grads: list[np.ndarray], value: float | None = None) -> None:
        """Move all parameters by one step, in place.

        Parameters
        ----------
        grads : list of np.ndarray
            A subgradient with respect to each parameter.
        value : float, optional
            The value of the function where the subgradient was taken, before the step. Without it the point
            cannot become the best one.

        Raises
        ------
        ValueError
            As `Optimizer.step`; if `value` is not a finite number.
        """
        if value is not None and not (np.ndim(value) == 0 and np.isreal(value) and math.isfinite(value)):
            raise ValueError(f"value must be a finite number, not {value!r}; no parameter was changed")
        before = [param.copy() for param in self.params]
        weight = self.lr / math.sqrt(self.steps + 1)
        super().step(grads)
        if value is not None and value < self.best_value:
            self.state["best_value"], self.state["best"] = [np.array(float(value))], before
        if weight > 0:
            (total,), averages = self.memory("weight"), self.memory("average")
            total += weight
            for average, point in zip(averages, before, strict=True):
                average += weight / total * (point - average)

    def direction(self, index: int, param: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """The subgradient, shorter from step to step."""
        return grad / math.sqrt(self.steps + 1)
