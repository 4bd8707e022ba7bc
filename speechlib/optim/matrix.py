"""Rules that know that a parameter is a matrix: by the means of its rows and columns, or as an operator."""

import math

import numpy as np

from ._base import Optimizer, fraction, fractions, moving_average, number, positive
from .adaptive import corrected_ratio


class Adafactor(Optimizer):
    """Adam's division with the memory of a row and a column instead of a matrix. As torch.optim.Adafactor.

    The average squares of an n x m matrix are estimated by the product of their n row means and m column
    means. An array with one axis or none keeps all of its squares. There is no momentum, and the step size
    grows with the parameters.

    ::

        input: params theta, lr, beta2_decay, eps (eps1, eps2), d, weight_decay lambda
        R, C, V <- 0
        for t = 1, 2, ...:
            g     <- gradient of f at theta
            w     <- t^beta2_decay
            a     <- max(eps2, rms(theta)) * min(lr, 1 / sqrt(t))
            theta <- theta - lr * lambda * theta
            if theta is a matrix:
                R <- (1 - w) * R + w * (means of the rows of g²)
                C <- (1 - w) * C + w * (means of the columns of g²)
                V <- R C / mean(R)
            else:
                V <- (1 - w) * V + w * g²
            u     <- g / sqrt(V)
            theta <- theta - a * u / max(1, rms(u) / d)

    Parameters
    ----------
    params : list of np.ndarray [float]
        The arrays to learn, updated in place. With more than two axes, the last two count as the matrix.
    lr : float > 0
        The largest step size, in parts of the root mean square of a parameter.
    beta2_decay : float <= 0
        The average forgets more slowly with every step: the weight of the new is `t ** beta2_decay`.
    eps : tuple of (float > 0 or None, float >= 0)
        The smallest number to divide by (None: the precision of the parameters), and the smallest root mean
        square of a parameter to count with.
    d : float >= 1
        The update is scaled down where its root mean square exceeds this: clipping built in.
    weight_decay : float >= 0
        Each step multiplies the parameters by `1 - lr * weight_decay` first.

    Notes
    -----
    Chosen before Shampoo for its size: one idea, no roots of matrices.

    Differs from the paper, as torch does: the paper adds `eps1` to g² where here it bounds the division from
    below, and takes for `lr` 0.01 at most; weight decay is not in the paper. Of eps and d, torch checks the
    same bounds, but allows `eps1=0`.

    Source: N. Shazeer, M. Stern, "Adafactor: adaptive learning rates with sublinear memory cost", 2018,
    algorithms 4 to 6.

    Examples
    --------
    >>> x = np.ones((3, 4))
    >>> optimizer = Adafactor([x])
    >>> optimizer.step([np.full((3, 4), 5.0)])
    >>> {name: array.shape for name, (array,) in optimizer.state.items()}
    {'row_var': (3, 1), 'col_var': (1, 4)}
    """

    settings = ("lr", "beta2_decay", "eps", "d", "weight_decay")

    def __init__(
        self,
        params: list[np.ndarray],
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
    ):
        super().__init__(params, lr)
        if not (np.isscalar(beta2_decay) and np.isreal(beta2_decay) and -math.inf < beta2_decay <= 0):
            raise ValueError(f"beta2_decay must be a number that is not positive, not {beta2_decay!r}")
        if eps[0] is not None:
            positive(eps1=eps[0])
        number("eps2", eps[1])
        if number("d", d) < 1:
            raise ValueError(f"d must be at least 1, not {d!r}")
        self.beta2_decay, self.eps, self.d = beta2_decay, tuple(eps), d
        self.weight_decay = number("weight_decay", weight_decay)

    def shapes(self, name: str) -> list[tuple[int, ...]]:
        """A column and a row for a matrix, all entries for the others; what one does not need is empty."""
        wanted = {
            "row_var": lambda shape: (*shape[:-1], 1) if len(shape) > 1 else (0,),
            "col_var": lambda shape: (*shape[:-2], 1, shape[-1]) if len(shape) > 1 else (0,),
            "variance": lambda shape: shape if len(shape) < 2 else (0,),
        }
        return [wanted[name](param.shape) for param in self.params]

    def update(self, index: int, param: np.ndarray, grad: np.ndarray) -> None:
        """Move parameter number `index`, in place."""
        size = max(self.eps[1], rms(param)) * min(self.lr, 1 / math.sqrt(self.steps + 1))
        param *= 1 - self.lr * self.weight_decay
        param -= size * self.direction(index, param, grad)

    def direction(self, index: int, param: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """The gradient divided by the root of the estimated average square, and clipped."""
        eps1 = np.finfo(param.dtype).eps if self.eps[0] is None else self.eps[0]
        rate = 1 - (self.steps + 1) ** self.beta2_decay
        square = grad * grad
        if param.ndim > 1:
            rows = moving_average(self.memory("row_var")[index], rate, square.mean(axis=-1, keepdims=True))
            columns = moving_average(self.memory("col_var")[index], rate, square.mean(axis=-2, keepdims=True))
            square = rows * columns / np.maximum(rows.mean(axis=-2, keepdims=True), eps1)
        else:
            square = moving_average(self.memory("variance")[index], rate, square)
        step = grad / np.sqrt(np.maximum(square, eps1 * eps1))
        return step / max(1.0, rms(step) / self.d)


class Muon(Optimizer):
    """Momentum with all its singular values set to about 1, for matrices; AdamW for the rest.

    A gradient matrix is often dominated by a few directions. Muon steps equally far in all of them: the
    direction is the nearest matrix with orthonormal rows or columns, found by products of matrices alone
    (`newton_schulz`). The rule of torch.optim.Muon for matrices.

    ::

        input: params theta, lr, weight_decay lambda, momentum mu, nesterov, coefficients, eps, steps
        B <- 0
        for t = 1, 2, ...:
            g     <- gradient of f at theta
            if theta is not a matrix, or chosen by `adamw`:
                a step of AdamW with step size lr * adamw_factor
            else:
                B     <- mu * B + (1 - mu) * g
                O     <- newton_schulz(mu * B + (1 - mu) * g  if nesterov,  else B)
                theta <- theta - lr * lambda * theta
                theta <- theta - lr * sqrt(max(1, rows / columns)) * O

    **Which arrays count as matrices.** Those with exactly two axes whose position in `params` is not in
    `adamw`. Everything else is AdamW's: biases, gains, numbers, and kernels of convolutions with three or
    more axes. To give such a kernel to Muon, hand in a view of two axes, `kernel.reshape(out, -1)`: it shares
    its memory with the kernel.

    Parameters
    ----------
    params : list of np.ndarray [float]
        The arrays to learn, updated in place.
    lr : float > 0
        The step size. With "original", about the largest singular value of a step: 0.02 is a usual value.
    weight_decay : float >= 0
        Each step multiplies the parameters by `1 - lr * weight_decay` first; AdamW's too.
    momentum : float, from 0 up to, but not including, 1
        How slowly the average of the gradients forgets.
    nesterov : bool
        Count the present gradient once more.
    ns_coefficients, eps, ns_steps, ns_dtype
        As `coefficients`, `eps`, `steps` and `dtype` of `newton_schulz`.
    adjust_lr_fn : None, "original" or "match_rms_adamw"
        How the step grows with the shape: sqrt(max(1, rows / columns)), which None means too, or
        0.2 sqrt(max(rows, columns)), which makes the entries of a step about as large as AdamW's, so that
        AdamW's `lr` and `weight_decay` can stay.
    adamw : tuple of ints
        Positions in `params` of matrices that AdamW shall take all the same; its author names embeddings and
        the last layer.
    adamw_factor : float > 0
        AdamW's step size is `lr * adamw_factor`, so that a schedule moves both. With "original" about 0.015.
    betas : tuple of 2 floats
        AdamW's; its eps is 1e-8.

    Raises
    ------
    ValueError
        As `Optimizer` and `AdamW`; if a setting has no meaning or a position in `adamw` does not exist.

    Notes
    -----
    Differs from the source: there B is a sum, `mu * B + g`, which has the same direction. torch refuses what
    is not a matrix; here AdamW takes it. torch iterates in bfloat16, here it is float32: on a CPU, bfloat16
    took 7 to 21 times as long, and it rounds to three digits.

    Source: K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024 (a blog post).
    "match_rms_adamw": J. Liu et al., "Muon is scalable for LLM training", 2025, section 2.2.

    Examples
    --------
    A gradient that is ten times longer in one direction than in the other:

    >>> w = np.zeros((2, 2))
    >>> Muon([w], lr=1.0).step([np.diag([1000.0, 100.0])])
    >>> w.round(1)
    array([[-0.7,  0. ],
           [ 0. , -0.7]])
    """

    settings = (
        "lr", "weight_decay", "momentum", "nesterov", "ns_coefficients", "eps", "ns_steps", "ns_dtype",
        "adjust_lr_fn", "adamw", "adamw_factor", "betas",
    )  # fmt: skip

    def __init__(
        self,
        params: list[np.ndarray],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
        *,
        ns_dtype: str = "float32",
        adamw: tuple[int, ...] = (),
        adamw_factor: float = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
    ):
        super().__init__(params, lr)
        self.weight_decay = number("weight_decay", weight_decay)
        self.momentum = fraction("momentum", momentum)
        self.nesterov = nesterov
        if np.shape(ns_coefficients) != (3,):
            raise ValueError(f"ns_coefficients must be three numbers, not {ns_coefficients!r}")
        positive(eps=eps, ns_steps=ns_steps, adamw_factor=adamw_factor)
        self.ns_coefficients, self.eps, self.ns_steps = tuple(ns_coefficients), eps, ns_steps
        if ns_dtype not in ("float32", "float64"):
            raise ValueError(f"ns_dtype must be 'float32' or 'float64', not {ns_dtype!r}")
        self.ns_dtype = ns_dtype
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"adjust_lr_fn must be 'original' or 'match_rms_adamw', not {adjust_lr_fn!r}")
        self.adjust_lr_fn = adjust_lr_fn
        if wrong := set(adamw) - set(range(len(self.params))):
            raise ValueError(f"adamw names the positions {sorted(wrong)}; of {len(self.params)} params")
        self.adamw, self.adamw_factor = tuple(adamw), adamw_factor
        self.betas = fractions("betas", betas)

    def is_matrix(self, index: int) -> bool:
        """Whether parameter number `index` is Muon's own, and not left to AdamW."""
        return self.params[index].ndim == 2 and index not in self.adamw

    def shapes(self, name: str) -> list[tuple[int, ...]]:
        """Matrices have a momentum, the others AdamW's averages; what one does not need is empty."""
        of_matrices = name == "momentum"
        return [p.shape if self.is_matrix(i) == of_matrices else (0,) for i, p in enumerate(self.params)]

    def update(self, index: int, param: np.ndarray, grad: np.ndarray) -> None:
        """Move parameter number `index`, in place."""
        lr = self.lr if self.is_matrix(index) else self.lr * self.adamw_factor
        param *= 1 - lr * self.weight_decay
        param -= lr * self.direction(index, param, grad)

    def direction(self, index: int, param: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """The orthogonalized momentum of a matrix, scaled for its shape; Adam's direction for the others."""
        if not self.is_matrix(index):
            mean = moving_average(self.memory("exp_avg")[index], self.betas[0], grad)
            square = moving_average(self.memory("exp_avg_sq")[index], self.betas[1], grad * grad)
            return corrected_ratio(mean, square, self.betas, 1e-8, self.steps + 1)
        mean = moving_average(self.memory("momentum")[index], self.momentum, grad)
        if self.nesterov:
            mean = self.momentum * mean + (1 - self.momentum) * grad
        step = newton_schulz(
            mean, coefficients=self.ns_coefficients, steps=self.ns_steps, eps=self.eps, dtype=self.ns_dtype
        )
        rows, columns = param.shape
        if self.adjust_lr_fn == "match_rms_adamw":
            return 0.2 * math.sqrt(max(rows, columns)) * step
        return math.sqrt(max(1, rows / columns)) * step


def newton_schulz(
    matrix: np.ndarray,
    *,
    coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
    steps: int = 5,
    eps: float = 1e-7,
    dtype: str = "float32",
) -> np.ndarray:
    """Bring all singular values of a matrix near 1 and keep its singular vectors, by products alone.

    Each step applies the polynomial `a s + b s³ + c s⁵` to every singular value `s`, which needs no singular
    value decomposition: `X <- a X + (b A + c A²) X` with `A = X Xᵀ`.

    Parameters
    ----------
    matrix : np.ndarray [shape=(rows, columns)]
    coefficients : tuple of 3 floats
        a, b and c. The default makes small singular values grow as fast as possible and does not settle at 1:
        after five steps, all that were above 0.005 of the norm lie between 0.68 and 1.16. (2, -1.5, 0.5)
        settles at 1.
    steps : int
        The number of steps.
    eps : float > 0
        A matrix with a smaller norm is divided by this in place of its norm.
    dtype : "float32" or "float64"
        The precision of the products.

    Returns
    -------
    np.ndarray [shape=(rows, columns), dtype of matrix]

    Notes
    -----
    Source: Å. Björck, C. Bowie, "An iterative algorithm for computing the best estimate of an orthogonal
    matrix", 1971. The coefficients: K. Jordan et al., "Muon", 2024.

    Examples
    --------
    >>> newton_schulz(np.diag([1.0, 0.5, 0.1]), coefficients=(2, -1.5, 0.5), steps=15).round(6)
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """
    a, b, c = coefficients
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix  # the smaller products
    x = (x / max(np.linalg.norm(x), eps)).astype(dtype)  # no singular value exceeds the norm, now 1
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    x = x.astype(matrix.dtype)
    return x.T if matrix.shape[0] > matrix.shape[1] else x


def rms(array: np.ndarray) -> float:
    """Root mean square of all entries."""
    return math.sqrt(np.vdot(array, array) / array.size)
