"""Reverse-mode differentiation: how one number depends on each of the thousands that it was computed from.

A `Tensor` is an array that remembers what it was computed from, and for each of its inputs a small function:
given the derivative of the loss by the result, what is the derivative by this input? `backward` calls these
functions from the last result to the first, adding up what arrives at a tensor that was used more than once.

>>> w = Tensor([1.0, 2.0], requires_grad=True)
>>> loss = ((w * [3.0, 4.0]).sum() - 1.0) ** 2
>>> loss.backward()
>>> loss.data, w.grad  # 2 (3 w_0 + 4 w_1 - 1) times 3, and times 4
(array(100.), array([60., 80.]))

Sources: S. Linnainmaa, "Taylor expansion of the accumulated rounding error", 1976; A. Griewank and
A. Walther, "Evaluating Derivatives", 2008, chapter 3; the names are PyTorch's.
"""

import copy
import itertools
import numbers
from collections.abc import Callable

import numpy as np
from scipy.special import expit

from . import losses

_serial = itertools.count()  # a result has a higher number than what it was computed from
_weights = np.random.default_rng(0).random(1024)


class Tensor:
    """An array of float64 that remembers how it was computed, so that a result can be differentiated by it.

    Parameters
    ----------
    data : array_like [any shape]
        Real numbers. An array of float64 is kept, not copied: who changes it changes the tensor.
    requires_grad : bool
        Whether `backward` computes a gradient for it. True for parameters, False for constants.

    Attributes
    ----------
    data : np.ndarray
        The numbers. Of a computed tensor they are read-only, because the backward pass will read them again.
    grad : np.ndarray [shape of data] or None
        The gradient, of a tensor that was not computed from others. Passes add up until it is set to None.

    Raises
    ------
    TypeError
        If the data are not real numbers: complex, text, or a Tensor already.

    Notes
    -----
    The operators `+ - * / ** @` broadcast as NumPy's do, between tensors, arrays and numbers. At a kink
    (`relu` at 0, ties of `max`) there is no derivative; a subgradient is taken: 0 for `relu`, equal shares
    for ties, as PyTorch does.

    Examples
    --------
    >>> x = Tensor([[0.0, 1.0]], requires_grad=True)
    >>> x.log_softmax()[0, 1].backward()
    >>> x.grad.round(3)
    array([[-0.269,  0.269]])
    """

    __slots__ = ("data", "grad", "requires_grad", "_edges", "_serial")
    __array_ufunc__ = None  # makes `array + tensor` come here instead of making an array of tensors

    def __init__(self, data, requires_grad: bool = False):
        array = np.asarray(data)
        if array.dtype.kind not in "biuf":
            raise TypeError(
                "data must be an array of real numbers; of a tensor t, Tensor(t.data) makes a constant"
            )
        self.data = np.asarray(array, dtype=np.float64)
        self.grad = None
        self.requires_grad = requires_grad
        self._edges = ()  # of a result: (input, its share of a gradient, [(array, mark), ...]) for each input
        self._serial = next(_serial)

    shape = property(lambda self: self.data.shape)
    T = property(lambda self: _result(self.data.T, (self, lambda g: g.T)))

    def __repr__(self):
        return f"Tensor({self.data}{', requires_grad=True' if self.requires_grad else ''})"

    # ---- the backward pass

    def backward(self, grad: np.ndarray | None = None) -> None:
        """Add the derivatives of this tensor to the `.grad` of everything that it was computed from.

        Parameters
        ----------
        grad : np.ndarray [shape of this tensor], optional
            The derivative of the loss by this tensor, where the loss was computed from it by other means.
            For a single number 1 is meant: it is the loss.

        Raises
        ------
        ValueError
            If nothing here requires a gradient, `grad` is missing for more than one number, or has another
            shape.
        RuntimeError
            If an array was changed in place after the forward pass used it. No `.grad` is touched then.

        Notes
        -----
        Called a second time, it adds the same derivatives again, as two passes over two batches do.
        """
        if not self.requires_grad:
            raise ValueError("nothing to differentiate by: no input was made with requires_grad=True")
        if grad is None and self.data.size != 1:
            raise ValueError(f"shape {self.shape} is not one number: take .sum() or .mean(), or pass grad")
        grad = np.ones(self.shape) if grad is None else np.asarray(grad, dtype=np.float64)
        if grad.shape != self.shape:
            raise ValueError(f"the gradient has shape {grad.shape}, the tensor {self.shape}: they must agree")
        tape = self._tape()
        for tensor in tape:
            for _, _, marks in tensor._edges:
                for array, mark in marks:
                    if _mark(array) != mark:
                        raise RuntimeError(
                            f"an array of shape {array.shape} was changed in place after the forward pass "
                            "used it: these would be the derivatives of something else. Call backward before "
                            "the step, and compute the loss again after it"
                        )

        adjoints = {self: grad}  # the derivative of the loss by each tensor, complete when its turn comes
        ours = set()  # whose adjoint nobody else holds, so that it may be added to in place
        for tensor in tape:
            adjoint = adjoints.pop(tensor)
            if not tensor._edges:
                if tensor.grad is not None:
                    tensor.grad = np.asarray(tensor.grad + adjoint)
                else:
                    tensor.grad = np.asarray(adjoint) if tensor in ours else np.array(adjoint)
            for source, share, _ in tensor._edges:
                part = share(adjoint)
                if source not in adjoints:
                    adjoints[source] = part
                    if part is not adjoint and part.base is None:
                        ours.add(source)
                elif source in ours:
                    adjoints[source] += part
                else:
                    adjoints[source] = adjoints[source] + part
                    ours.add(source)

    def _tape(self):
        """Everything with a gradient that this was computed from, the latest result first."""
        found, waiting = {self}, [self]
        while waiting:
            for source, _, _ in waiting.pop()._edges:
                if source not in found:
                    found.add(source)
                    waiting.append(source)
        return sorted(found, key=lambda tensor: tensor._serial, reverse=True)

    # ---- arithmetic

    def __add__(self, other):
        other = _tensor(other)
        return _result(
            self.data + other.data,
            (self, lambda g: _fold(g, self.shape)),
            (other, lambda g: _fold(g, other.shape)),
        )

    def __mul__(self, other):
        other = _tensor(other)
        a, b = self.data, other.data
        return _result(
            a * b, (self, lambda g: _fold(g * b, a.shape), b), (other, lambda g: _fold(g * a, b.shape), a)
        )

    def __truediv__(self, other):
        other = _tensor(other)
        a, b = self.data, other.data
        return _result(
            a / b,
            (self, lambda g: _fold(g / b, a.shape), b),
            (other, lambda g: _fold(-g * a / b**2, b.shape), a, b),
        )

    def __pow__(self, exponent):
        if not isinstance(exponent, numbers.Real):
            raise TypeError("the exponent must be a number; for a tensor, write (exponent * x.log()).exp()")
        x, slope_power = self.data, exponent - 1 if exponent else 0  # not 0 * 0**-1
        return _result(x**exponent, (self, lambda g: g * (exponent * x**slope_power), x))

    def __matmul__(self, other):
        other = _tensor(other)
        a, b = self.data, other.data
        return _result(
            a @ b, (self, lambda g: _by_left(g, a, b), b), (other, lambda g: _by_right(g, a, b), a)
        )

    def __neg__(self):
        return _result(-self.data, (self, lambda g: -g))

    def __sub__(self, other):
        return self + (-_tensor(other))

    def __rsub__(self, other):
        return _tensor(other) + (-self)

    def __rtruediv__(self, other):
        return _tensor(other) / self

    def __rmatmul__(self, other):
        return _tensor(other) @ self

    __radd__ = __add__
    __rmul__ = __mul__

    # ---- functions of each number

    def exp(self):
        """The exponential of each entry."""
        y = np.exp(self.data)
        return _result(y, (self, lambda g: g * y))

    def log(self):
        """The natural logarithm of each entry."""
        x = self.data
        return _result(np.log(x), (self, lambda g: g / x, x))

    def tanh(self):
        """The hyperbolic tangent of each entry."""
        y = np.tanh(self.data)
        return _result(y, (self, lambda g: g * (1 - y * y)))

    def sigmoid(self):
        """The logistic function 1 / (1 + exp(-x)) of each entry."""
        y = expit(self.data)
        return _result(y, (self, lambda g: g * (y * (1 - y))))

    def relu(self):
        """The larger of each entry and 0."""
        y = np.maximum(self.data, 0)
        return _result(y, (self, lambda g: g * (y > 0)))

    # ---- functions of several numbers

    def sum(self, axis=None, keepdims=False):
        """The sum, of all entries or along an axis or several."""
        y = self.data.sum(axis=axis, keepdims=keepdims)
        return _result(y, (self, lambda g: np.broadcast_to(_unsummed(g, self, axis, keepdims), self.shape)))

    def mean(self, axis=None, keepdims=False):
        """The mean, of all entries or along an axis or several."""
        total = self.sum(axis, keepdims)
        return total * (total.data.size / self.data.size)

    def max(self, axis=None, keepdims=False):
        """The largest entry, of all or along an axis or several."""
        x, y = self.data, self.data.max(axis=axis, keepdims=True)

        def share(g):
            largest = x == y
            return largest * (_unsummed(g, self, axis, keepdims) / largest.sum(axis=axis, keepdims=True))

        return _result(x.max(axis=axis, keepdims=keepdims), (self, share, x))

    def log_softmax(self, axis=-1):
        """The logarithm of the softmax along an axis."""
        y = np.moveaxis(losses.log_softmax(np.moveaxis(self.data, axis, -1)), -1, axis)
        return _result(y, (self, lambda g: g - np.exp(y) * g.sum(axis=axis, keepdims=True)))

    # ---- moving numbers about

    def reshape(self, *shape):
        """The same entries in another shape."""
        return _result(self.data.reshape(*shape), (self, lambda g: g.reshape(self.shape)))

    def __getitem__(self, index):
        index = copy.deepcopy(index)  # a shuffled index would put the gradient in the wrong places

        def share(g):
            whole = np.zeros(self.shape)
            np.add.at(whole, index, g)  # adds up where an entry was taken more than once
            return whole

        return _result(self.data[index], (self, share))


def check_gradients(fn: Callable[..., Tensor], *arrays: np.ndarray) -> float:
    """Compare the gradients of `fn` with central differences.

    Parameters
    ----------
    fn : function of as many Tensors as there are arrays, returning a Tensor with one number
    *arrays : np.ndarray
        Where to take the gradients. Keep away from kinks.

    Returns
    -------
    float
        The largest difference between the two, in parts of the largest entry of the array's gradient. About
        1e-9 when the gradients are right; 1e-3 is a bug.

    Raises
    ------
    ValueError
        If `fn` does not return one number, or no array is given.

    Notes
    -----
    A difference over h is wrong by about h squared, and rounding adds about 1e-16 / h: both are small for h
    near 1e-5. Arrays whose gradient is less than a millionth of the largest drown in rounding; they are
    compared with that millionth.

    Examples
    --------
    >>> error = check_gradients(lambda x, w: (x @ w).tanh().sum(), np.ones((2, 3)), np.full((3, 1), 0.2))
    >>> error < 1e-8
    True
    """
    tensors = [Tensor(np.array(array), requires_grad=True) for array in arrays]
    result = fn(*tensors)
    if not tensors or not isinstance(result, Tensor) or result.data.size != 1:
        raise ValueError("fn must take at least one Tensor and return one with one number: .sum() the result")
    if result.requires_grad:
        result.backward()
    pairs = []
    for tensor in tensors:
        numeric = np.empty(tensor.shape)
        for i in np.ndindex(*tensor.shape):
            x = tensor.data[i]
            h = 6e-6 * max(1.0, abs(x))
            values = []
            for moved in (x + h, x - h):
                tensor.data[i] = moved
                values.append(fn(*tensors).data.item())
            tensor.data[i] = x
            numeric[i] = (values[0] - values[1]) / (2 * h)
        exact = np.zeros(tensor.shape) if tensor.grad is None else tensor.grad
        pairs.append((exact, numeric, max(np.abs(exact).max(), np.abs(numeric).max())))
    floor = max(1e-6 * max(size for *_, size in pairs), 1e-12)
    return float(np.max([np.abs(exact - numeric).max() / max(size, floor) for exact, numeric, size in pairs]))


def _tensor(x) -> Tensor:
    return x if isinstance(x, Tensor) else Tensor(x)


def _result(data, *edges) -> Tensor:
    """A computed tensor. An edge is (input, share, arrays that share reads): share turns the result's adjoint
    into what is added to the input's. It keeps the arrays, not the tensors, which may be given other data."""
    result = Tensor(data)
    result._edges = tuple(
        (source, share, [(array, _mark(array)) for array in reads if _exposed(array)])
        for source, share, *reads in edges
        if source.requires_grad
    )
    if result._edges:
        result.requires_grad = True
        result.data.setflags(write=False)
    return result


def _exposed(array) -> bool:
    # Somebody may write into it: directly, or, as it is a view, into the array below.
    return array.flags.writeable or array.base is not None


def _mark(array) -> float:
    """A number that changes when the array does: the sum of its entries with random weights, row by row."""
    flat = array.ravel(order="K")
    rows = flat.size // len(_weights)
    whole = rows * len(_weights)
    mark = flat[whole:] @ _weights[: flat.size - whole]
    if rows:  # each with a factor of its own, and none with that of the rest
        mark += flat[:whole].reshape(rows, -1) @ _weights @ (2 + np.arange(rows) / rows)
    return mark if mark == mark else 0.0  # NaN is not equal to itself


def _fold(g: np.ndarray, shape: tuple) -> np.ndarray:
    """Undo broadcasting: an entry that was used in several places gets the sum of their gradients."""
    if g.shape == shape:
        return g
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1 != g.shape[i]), keepdims=True)


def _unsummed(g, source, axis, keepdims):
    """The gradient of a sum, with the axes that were summed away back in their places, with length 1."""
    if axis is None:
        return g.reshape((1,) * source.data.ndim)
    return g if keepdims else np.expand_dims(g, axis)


def _by_left(g, a, b):
    # C = A B has the gradient G B^T by A. (A vector on the left is a matrix of one row, on the right of one
    # column.)
    if b.ndim == 2:
        return g @ b.T
    g, a2, b2 = _matrices(g, a, b)
    return _fold(g @ b2.swapaxes(-1, -2), a2.shape).reshape(a.shape)


def _by_right(g, a, b):
    # and A^T G by B.
    if a.ndim == b.ndim == 2:
        return a.T @ g
    g, a2, b2 = _matrices(g, a, b)
    if b2.ndim == 2:  # one product for a whole batch, instead of one for each of its parts and then their sum
        return (a2.reshape(-1, a2.shape[-1]).T @ g.reshape(-1, g.shape[-1])).reshape(b.shape)
    return _fold(a2.swapaxes(-1, -2) @ g, b2.shape).reshape(b.shape)


def _matrices(g, a, b):
    if b.ndim == 1:
        b, g = b[:, None], g[..., None]
    if a.ndim == 1:
        a, g = a[None, :], g[..., None, :]
    return g, a, b
