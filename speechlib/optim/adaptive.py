"""A step size for each entry, learned from the gradients it has met; and, at the end, only their signs."""

import math

import numpy as np

from ._base import Optimizer, fraction, fractions, moving_average, number, positive, with_decay


class Adagrad(Optimizer):
    """Divide each entry by the root of the sum of its squared gradients. The rule of torch.optim.Adagrad.

    An entry that rarely has a gradient takes a long step when it has one: a word that is seldom spoken still
    learns.

    ::

        input: params theta, lr, lr_decay eta, weight_decay lambda, eps
        s <- initial_accumulator_value
        for t = 1, 2, ...:
            g     <- gradient of f at theta
            g     <- g + lambda * theta
            s     <- s + g²
            theta <- theta - lr / (1 + (t - 1) * eta) * g / (sqrt(s) + eps)

    Parameters
    ----------
    params : list of np.ndarray [float]
        The arrays to learn, updated in place.
    lr : float > 0
        The step size; the first step moves each entry by about as much.
    lr_decay : float >= 0
        How fast the step size shrinks on top of that.
    weight_decay : float >= 0
        Adds the gradient of `weight_decay / 2 * ||theta||²`.
    initial_accumulator_value : float >= 0
        Where the sum starts; a larger value makes the first steps shorter.
    eps : float > 0
        Keeps the division from one by zero.

    Notes
    -----
    Differs from the paper: that has neither `lr_decay` nor weight decay in this form, writes its `eps`
    (delta) beside the root as here, and also treats a full matrix in place of the diagonal. torch allows
    `eps=0`; here it is refused, because an entry without gradient would become NaN.

    Source: J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", 2011, figure 1, diagonal form.

    Examples
    --------
    The first step ignores how long the gradient is:

    >>> x = np.array([1.0, 1.0])
    >>> Adagrad([x], lr=0.1).step([np.array([100.0, 0.01])])
    >>> x
    array([0.9, 0.9])
    """

    settings = ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")

    def __init__(
        self,
        params: list[np.ndarray],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
    ):
        super().__init__(params, lr)
        self.lr_decay = number("lr_decay", lr_decay)
        self.weight_decay = number("weight_decay", weight_decay)
        self.initial_accumulator_value = number("initial_accumulator_value", initial_accumulator_value)
        positive(eps=eps)
        self.eps = eps

    def direction(self, index: int, param: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """The gradient divided by the root of the sum of all squares so far."""
        grad = with_decay(grad, param, self.weight_decay)
        total = self.memory("sum")[index]
        if self.steps == 0:
            total += self.initial_accumulator_value
        total += grad * grad
        return grad / (np.sqrt(total) + self.eps) / (1 + self.steps * self.lr_decay)


class RMSprop(Optimizer):
    """Adagrad that forgets: a moving average of the squares in place of their sum. As torch.optim.RMSprop.

    ::

        input: params theta, lr, alpha, eps, weight_decay lambda, momentum mu, centered
        v, a, b <- 0
        for t = 1, 2, ...:
            g     <- gradient of f at theta
            g     <- g + lambda * theta
            v     <- alpha * v + (1 - alpha) * g²
            if centered:
                a <- alpha * a + (1 - alpha) * g
                d <- sqrt(v - a²) + eps
            else:
                d <- sqrt(v) + eps
            b     <- mu * b + g / d
            theta <- theta - lr * b

    Parameters
    ----------
    params : list of np.ndarray [float]
        The arrays to learn, updated in place.
    lr : float > 0
        The step size.
    alpha : float, from 0 up to, but not including, 1
        How slowly the average forgets; 0.99 remembers about 1 / (1 - 0.99) = 100 gradients.
    eps : float > 0
        Keeps the division from one by zero.
    weight_decay : float >= 0
        Adds the gradient of `weight_decay / 2 * ||theta||²`.
    momentum : float >= 0
        How much of the last step is repeated.
    centered : bool
        Divide by the standard deviation of the gradients, not by their root mean square.

    Notes
    -----
    Differs from the sources: the lecture has no `eps`, Graves writes it under the root. The averages begin at
    0 and are not corrected for that, so with `momentum=0` the first step is about 1 / sqrt(1 - alpha) = 10
    times as long as the later ones. Differs from torch: where rounding makes `v - a²` negative, it counts as
    0 here and as NaN there; torch allows `eps=0` and `alpha >= 1`.

    Source: T. Tieleman, G. Hinton, "Lecture 6.5: RMSProp", Neural Networks for Machine Learning, 2012.
    Centered: A. Graves, "Generating sequences with recurrent neural networks", 2013, equations 38 to 41.

    Examples
    --------
    >>> x = np.array([1.0])
    >>> RMSprop([x], lr=0.01).step([np.array([100.0])])
    >>> x.round(6)
    array([0.9])
    """

    settings = ("lr", "alpha", "eps", "weight_decay", "momentum", "centered")

    def __init__(
        self,
        params: list[np.ndarray],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ):
        super().__init__(params, lr)
        self.alpha = fraction("alpha", alpha)
        positive(eps=eps)
        self.eps = eps
        self.weight_decay = number("weight_decay", weight_decay)
        self.momentum = number("momentum", momentum)
        self.centered = centered

    def direction(self, index: int, param: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """The gradient divided by its recent root mean square, or standard deviation, with momentum."""
        grad = with_decay(grad, param, self.weight_decay)
        square = moving_average(self.memory("square_avg")[index], self.alpha, grad * grad)
        if self.centered:
            mean = moving_average(self.memory("grad_avg")[index], self.alpha, grad)
            square = np.maximum(square - mean * mean, 0.0)  # rounding can make it negative
        step = grad / (np.sqrt(square) + self.eps)
        if self.momentum == 0:
            return step
        last = self.memory("momentum")[index]
        last *= self.momentum
        last += step
        return last


class Adam(Optimizer):
    """Momentum divided by the root mean square: RMSprop with a memory of direction. As torch.optim.Adam.

    ::

        input: params theta, lr, betas (beta1, beta2), eps, weight_decay lambda, amsgrad
        m, v, v_max <- 0
        for t = 1, 2, ...:
            g     <- gradient of f at theta
            g     <- g + lambda * theta                     (AdamW: theta <- theta - lr * lambda * theta)
            m     <- beta1 * m + (1 - beta1) * g
            v     <- beta2 * v + (1 - beta2) * g²
            v_max <- max(v_max, v)
            m_hat <- m / (1 - beta1^t)
            v_hat <- (v_max if amsgrad else v) / (1 - beta2^t)
            theta <- theta - lr * m_hat / (sqrt(v_hat) + eps)

    Parameters
    ----------
    params : list of np.ndarray [float]
        The arrays to learn, updated in place.
    lr : float > 0
        The step size; no entry moves by much more than that in a step.
    betas : tuple of 2 floats, each from 0 up to, but not including, 1
        How slowly the averages of the gradients and of their squares forget.
    eps : float > 0
        Keeps the division from one by zero; where the root is small beside it, Adam is momentum.
    weight_decay : float >= 0
        Adds the gradient of `weight_decay / 2 * ||theta||²`.
    amsgrad : bool
        Divide by the largest average of squares so far: the step sizes then never grow again.

    Raises
    ------
    ValueError
        As `Optimizer`; if a beta lies outside [0, 1), `eps` is not positive or `weight_decay` is negative.

    Notes
    -----
    Differs from the papers: weight decay is not in Adam's. The paper of AMSGrad does not correct `v` for its
    start at 0; here, as in torch, the maximum is taken of the uncorrected `v` and then corrected. torch
    allows `eps=0`.

    Source: D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1. S. J. Reddi,
    S. Kale, S. Kumar, "On the convergence of Adam and beyond", 2018, algorithm 2.

    Examples
    --------
    However long the gradient, the first step moves each entry by `lr`:

    >>> x = np.array([1.0, 1.0])
    >>> Adam([x], lr=0.1).step([np.array([100.0, -0.01])])
    >>> x.round(6)
    array([0.9, 1.1])
    """

    settings = ("lr", "betas", "eps", "weight_decay", "amsgrad")
    decoupled = False

    def __init__(
        self,
        params: list[np.ndarray],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ):
        super().__init__(params, lr)
        self.betas = fractions("betas", betas)
        positive(eps=eps)
        self.eps = eps
        self.weight_decay = number("weight_decay", weight_decay)
        self.amsgrad = amsgrad

    def update(self, index: int, param: np.ndarray, grad: np.ndarray) -> None:
        """Move parameter number `index`, in place."""
        if self.decoupled:
            param *= 1 - self.lr * self.weight_decay
        super().update(index, param, grad)

    def direction(self, index: int, param: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """The average gradient divided by the root of the average square, both corrected for their start."""
        if not self.decoupled:
            grad = with_decay(grad, param, self.weight_decay)
        (beta1, beta2), room = self.betas, self.room(param)
        mean = moving_average(self.memory("exp_avg")[index], beta1, grad, room)
        squared = np.multiply(grad, grad, out=room)
        square = moving_average(self.memory("exp_avg_sq")[index], beta2, squared, room)
        if self.amsgrad:
            largest = self.memory("max_exp_avg_sq")[index]
            square = np.maximum(largest, square, out=largest)
        return corrected_ratio(mean, square, self.betas, self.eps, self.steps + 1, room)


def corrected_ratio(
    mean: np.ndarray,
    square: np.ndarray,
    betas: tuple[float, float],
    eps: float,
    t: int,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Adam's direction from its two averages, corrected for their start at 0."""
    root = np.sqrt(square, out=out)
    root /= math.sqrt(1 - betas[1] ** t)
    root += eps
    ratio = np.divide(mean, root, out=out)
    ratio /= 1 - betas[0] ** t
    return ratio


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameters themselves. The rule of torch.optim.AdamW.

    In Adam the decay goes through the division: where the gradients are long, weights hardly decay. Here all
    decay at the same rate. The algorithm stands in `Adam`.

    Parameters
    ----------
    params, lr, betas, eps, amsgrad
        As in `Adam`.
    weight_decay : float >= 0
        Each step multiplies the parameters by `1 - lr * weight_decay` first.

    Notes
    -----
    Differs from the paper: there the decay is multiplied by the schedule's factor but not by `lr`; here, as
    in torch, by both, so that a new `lr` is also a new decay.

    Source: I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", 2019, algorithm 2.

    Examples
    --------
    Without a gradient only the decay is left:

    >>> x = np.array([1.0, 10.0])
    >>> AdamW([x], lr=0.1, weight_decay=0.5).step([np.zeros(2)])
    >>> x
    array([0.95, 9.5 ])
    """

    decoupled = True

    def __init__(
        self,
        params: list[np.ndarray],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad)


class NAdam(Adam):
    """Adam with Nesterov's momentum: the present gradient counts once more. As torch.optim.NAdam.

    ::

        input: params theta, lr, betas (beta1, beta2), eps, weight_decay lambda, momentum_decay psi
        m, v <- 0
        for t = 1, 2, ...:
            g     <- gradient of f at theta
            g     <- g + lambda * theta        (decoupled_weight_decay: theta <- theta - lr * lambda * theta)
            mu_t  <- beta1 * (1 - 0.5 * 0.96^(t * psi));  mu_t+1 alike with t + 1
            m     <- beta1 * m + (1 - beta1) * g
            v     <- beta2 * v + (1 - beta2) * g²
            m_hat <- mu_t+1 * m / (1 - mu_1 ... mu_t+1) + (1 - mu_t) * g / (1 - mu_1 ... mu_t)
            v_hat <- v / (1 - beta2^t)
            theta <- theta - lr * m_hat / (sqrt(v_hat) + eps)

    Parameters
    ----------
    params : list of np.ndarray [float]
        The arrays to learn, updated in place.
    lr, betas, eps, weight_decay
        As in `Adam`.
    momentum_decay : float >= 0
        How fast the momentum `mu` grows from half of beta1 to beta1.
    decoupled_weight_decay : bool
        Let the weights decay as in `AdamW`.

    Notes
    -----
    Differs from the paper: there `m` is averaged with `mu_t`, which changes from step to step; here, as in
    torch, with beta1. 0.96 and `momentum_decay=0.004` are the paper's.

    Source: T. Dozat, "Incorporating Nesterov momentum into Adam", 2016, algorithm 2.

    Examples
    --------
    >>> x = np.array([1.0])
    >>> NAdam([x], lr=0.1).step([np.array([100.0])])
    >>> x.round(4)
    array([0.8944])
    """

    settings = ("lr", "betas", "eps", "weight_decay", "momentum_decay", "decoupled_weight_decay")

    def __init__(
        self,
        params: list[np.ndarray],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
    ):
        super().__init__(params, lr, betas, eps, weight_decay)
        self.momentum_decay = number("momentum_decay", momentum_decay)
        self.decoupled_weight_decay = decoupled_weight_decay

    @property
    def decoupled(self) -> bool:
        """Whether the weights decay on their own, as in `AdamW`."""
        return self.decoupled_weight_decay

    def shapes(self, name: str) -> list[tuple[int, ...]]:
        """One number for `mu_product`, the product of all `mu` so far."""
        return [()] if name == "mu_product" else super().shapes(name)

    def _mu(self, t: int) -> float:
        return self.betas[0] * (1 - 0.5 * 0.96 ** (t * self.momentum_decay))

    def step(self, grads: list[np.ndarray]) -> None:
        """Move all parameters by one step, in place; as `Optimizer.step`."""
        super().step(grads)
        product = self.state.setdefault("mu_product", [np.array(1.0)])[0]
        product *= self._mu(self.steps)

    def direction(self, index: int, param: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """Adam's direction, with the average gradient as it will be after the next step."""
        if not self.decoupled:
            grad = with_decay(grad, param, self.weight_decay)
        (beta1, beta2), t = self.betas, self.steps + 1
        mean = moving_average(self.memory("exp_avg")[index], beta1, grad)
        square = moving_average(self.memory("exp_avg_sq")[index], beta2, grad * grad)
        now, ahead = self._mu(t), self._mu(t + 1)
        product = now * float(self.state["mu_product"][0]) if self.steps else now
        step = ahead / (1 - product * ahead) * mean + (1 - now) / (1 - product) * grad
        return step / (np.sqrt(square / (1 - beta2**t)) + self.eps)


class Lion(Optimizer):
    """Only the sign of the momentum: every entry moves by `lr`, and the memory is half of Adam's.

    ::

        input: params theta, lr, betas (beta1, beta2), weight_decay lambda
        m <- 0
        for t = 1, 2, ...:
            g     <- gradient of f at theta
            c     <- beta1 * m + (1 - beta1) * g
            theta <- theta - lr * (sign(c) + lambda * theta)
            m     <- beta2 * m + (1 - beta2) * g

    Parameters
    ----------
    params : list of np.ndarray [float]
        The arrays to learn, updated in place.
    lr : float > 0
        The step size, and by how much each entry moves. Three to ten times smaller than for AdamW.
    betas : tuple of 2 floats, each from 0 up to, but not including, 1
        How much of the memory goes into the step, and how slowly the memory forgets.
    weight_decay : float >= 0
        As in `AdamW`. Three to ten times larger than there, because it is multiplied by `lr`.

    Notes
    -----
    Differs from the paper: it does not. Not in torch; the authors' and this rule have the same defaults.

    Source: X. Chen et al., "Symbolic discovery of optimization algorithms", 2023, algorithm 2.

    Examples
    --------
    >>> x = np.array([1.0, 1.0, 1.0])
    >>> Lion([x], lr=0.1).step([np.array([100.0, -0.01, 0.0])])
    >>> x
    array([0.9, 1.1, 1. ])
    """

    settings = ("lr", "betas", "weight_decay")

    def __init__(
        self,
        params: list[np.ndarray],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ):
        super().__init__(params, lr)
        self.betas = fractions("betas", betas)
        self.weight_decay = number("weight_decay", weight_decay)

    def direction(self, index: int, param: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """The sign of the memory with the present gradient, and the decay."""
        beta1, beta2 = self.betas
        memory = self.memory("exp_avg")[index]
        sign = np.sign(beta1 * memory + (1 - beta1) * grad)
        moving_average(memory, beta2, grad)
        return sign + self.weight_decay * param
