"""Checks of the exercises of the chapter `backpropagation`."""

import itertools
import math

import numpy as np
from scipy.special import expit

from ..autograd import Tensor
from ._exercise import exercise
from .cross_entropy import _numbers, _recognize

__all__ = [
    "best_segments",
    "good_start",
    "layer_backward",
    "nudged_gradient",
    "quotient",
    "softplus",
    "train_network",
]


@exercise
def quotient(answer):
    """`answer(a, b)`: the derivatives of a / b by a and by b."""
    for a, b in ((1.7, -0.6), (-2.3, 1.4)):
        got = _numbers(answer(a, b))
        if got.shape != (2,):
            return f"Two numbers are asked, the derivatives alone; yours has shape {got.shape}."
        right = np.array([1 / b, -a / b**2])
        wrong = [
            ((1 / b, a / b**2), "The sign of the second: a larger b makes the quotient of a > 0 smaller."),
            ((1 / b, -a / b), "The second is not steep enough for b near 0: the square of b is missing."),
            ((1 / b, a / b), "That is the quotient itself in the second place. How does it change with b?"),
            ((1 / b, -1 / b**2), "In the second, a is missing: twice the a, twice the change."),
            ((1 / b, 1 / b**2), "The second lacks its sign and a."),
            ((-a / b**2, 1 / b), "The two have changed places: first the derivative by a, then by b."),
            ((a / b**2, 1 / b), "The two have changed places, and the one by b has the wrong sign."),
            ((b, a), "Those are the edges of a product. Here b divides."),
            ((1, 1), "Those are the edges of a sum."),
            ((-b / a**2, 1 / a), "You differentiated b / a."),
        ]
        hint = _recognize(
            got,
            right,
            wrong,
            f"For a = {a} and b = {b} the two are {right[0]:.4f} and {right[1]:.4f}; "
            f"yours are {got[0]:.4f} and {got[1]:.4f}.",
        )
        if hint:
            return hint
    return None


@exercise
def layer_backward(answer):
    """`answer(X, W, b, dH)`: from the adjoint of H = tanh(X W + b) those of X, W and b."""
    rng = np.random.default_rng(0)
    given = [rng.normal(size=shape) for shape in ((6, 5), (5, 4), (4,), (6, 4))]
    X, W, b, dH = given
    names, shapes = ("X", "W", "b"), (X.shape, W.shape, b.shape)
    A = X @ W + b
    H = np.tanh(A)

    mine = [x.copy() for x in given]
    try:
        got = answer(*mine)
    except ValueError as error:
        if not any(word in str(error) for word in ("matmul", "aligned", "broadcast")):
            raise
        return (
            f"NumPy cannot take one of your products: the shapes do not fit. X has {X.shape}, W {W.shape}, "
            f"the adjoint of H {dH.shape}: which factor must be turned, and which goes first?"
        )
    for name, before, after in zip(("X", "W", "b", "dH"), given, mine, strict=True):
        if not np.array_equal(before, after):
            return f"It changed the caller's {name}, which others may still need."
    if not isinstance(got, tuple | list) or len(got) != 3:
        return "Three arrays are asked, the adjoints of X, W and b."
    got = [_numbers(part) for part in got]
    found = [part.shape for part in got]
    if found == [b.shape, W.shape, X.shape] or found == [W.shape, b.shape, X.shape]:
        return f"The shapes are {found}, in another order than asked: X, W, b."
    if found == [W.shape, X.shape, b.shape]:
        return "The first two have changed places: first the adjoint of X, then that of W."
    for name, shape, part in zip(names, shapes, got, strict=True):
        if part.shape == shape:
            continue
        if name == "b":
            if part.shape == dH.shape:
                return "b was added to every row. What comes back from all of them adds up."
            if part.shape == (6,):
                return "For b you added up along the units. It was used once in every row: add up the rows."
            if part.shape == (1, 4):
                return "The adjoint of b has one axis too many."
        if part.shape == shape[::-1]:
            return f"The adjoint of {name} comes out transposed: {part.shape} for {shape}."
        return f"An adjoint has the shape of what it belongs to. {name} has {shape}, yours {part.shape}."

    def outputs(dA):
        return dA @ W.T, X.T @ dA, dA.sum(axis=0)

    right = outputs(dH * (1 - H**2))
    wrong = [
        (dH, "The tanh is missing: before the products the adjoint of H becomes that of X W + b."),
        (dH * (1 - H), "The slope of tanh is not 1 - H: there is a square."),
        (dH * (1 + H**2), "The sign in the slope of tanh: it is flat where H is near 1 or -1."),
        (dH * H * (1 - H), "That is the slope of a sigmoid. This layer has a tanh."),
        (dH * (1 - A**2), "You took 1 - A², of the argument. The result H belongs there."),
        (dH * (1 - np.tanh(H) ** 2), "You put H through tanh once more. It is tanh(X W + b) already."),
        (dH * H, "You multiplied by the value H. The slope of tanh at that value is asked."),
        (H * (1 - H**2), "What comes from above, dH, is missing."),
        (dH * (A > 0), "That is the slope of a ReLU. This layer has a tanh."),
        (-dH * (1 - H**2), "The sign of all three is turned: nothing here is negative."),
    ]
    for dA, hint in wrong:
        if all(np.allclose(a, c) for a, c in zip(got, outputs(dA), strict=True)):
            return hint
    dX, dW, db = right
    raw = (dH @ W.T, X.T @ dH, dH.sum(axis=0))
    mean = "For b you took the mean of the rows. It was used in each, and uses add up."
    for name, mine, true, flat in zip(names, got, right, raw, strict=True):
        averaged = f"You averaged over the rows for {name}. If the loss is a mean, dH knows it already."
        wrong = [
            (
                flat,
                f"In the adjoint of {name} the slope of tanh is missing: dH has to pass through it first.",
            ),
            (true / len(X), mean if name == "b" else averaged),
            (-true, f"The sign of the adjoint of {name} is turned."),
        ]
        hint = _recognize(mine, true, wrong, f"The adjoint of {name} differs from what differences say.")
        if hint:
            return hint
    return None


@exercise
def nudged_gradient(answer):
    """`answer(f, x)`: the gradient of f at x, of any shape, by central differences."""
    draw = np.random.default_rng(0)
    for shape in ((4,), (2, 3), (2, 1, 3), ()):
        hint = _nudged(answer, np.array(draw.normal(size=shape)))
        if hint:
            return hint
    return None


def _nudged(answer, x):
    rise = np.random.default_rng(1).uniform(0.5, 1.5, size=x.shape)
    asked = []  # where f was called

    def f(at):
        if np.iscomplexobj(at):
            raise TypeError("this function takes real numbers alone: nudge x to both sides")
        if isinstance(at, Tensor) or np.shape(at) != x.shape:
            raise ValueError(f"f was called with an array of shape {np.shape(at)}, and x has {x.shape}")
        asked.append(np.array(at, dtype=float))
        return float(100 + np.sum(rise * np.sin(2 * asked[-1])) + np.prod(1 + 0.1 * asked[-1]))

    product = np.prod(1 + 0.1 * x)
    right = 2 * rise * np.cos(2 * x) + 0.1 * product / (1 + 0.1 * x)
    mine = x.copy()
    try:
        got = _numbers(answer(f, mine))
    except IndexError as error:
        return f"IndexError for x of shape {x.shape}: {error}. An index needs as many numbers as x has axes."
    except (ValueError, TypeError) as error:
        if x.ndim == 1:
            raise
        return f"It works for one axis, and for x of shape {x.shape} says {type(error).__name__}: {error}"
    if not np.array_equal(mine, x):
        if np.allclose(mine, x, rtol=0, atol=1e-12):
            return (
                "The last digits of x are not what they were: a step added and taken away again leaves "
                "rounding behind. Keep the old value, or nudge a copy."
            )
        return "x is left changed: every nudge must be taken back before the next."
    moved = [at - x for at in asked if not np.array_equal(at, x)]
    if not moved:
        return "f was never asked anywhere but at x: no nudge, or one so small that x + h is x."
    if x.size > 1 and all(np.count_nonzero(step) > 1 for step in moved):
        return (
            f"For x of shape {x.shape} you move several entries at once. A derivative by one entry is "
            "wanted: move one and keep the others."
        )
    if got.shape != x.shape:
        return f"The gradient has the shape of x, {x.shape}; yours has {got.shape}."
    size = np.abs(right).max()
    if np.all(np.abs(got - right) < 1e-7 * size):
        return None
    for factor, hint in (
        (-1, "The sign is turned: the value after minus the value before."),
        (2, "That is twice the gradient: the two points lie 2 h apart."),
        (0.5, "That is half the gradient. How far apart are the two points?"),
    ):
        if np.allclose(got, factor * right, rtol=1e-3, atol=1e-4 * size):
            return hint
    steps = [step.ravel()[np.abs(step).argmax()] for step in moved]
    h = max(map(abs, steps))
    error = np.abs(got - right).max() / size
    if np.allclose(got, right, rtol=0, atol=0.5 * size) and (min(steps) > 0 or max(steps) < 0):
        return (
            f"You nudge to one side only, and are off by {error:.0e}: a larger h makes it worse, a smaller "
            "one leaves rounding. To both sides the larger part of the error cancels."
        )
    if h < 1e-7:
        return f"h = {h:.0e} is too small: rounding eats the difference, and the error is {error:.0e}."
    if np.allclose(got, 2 * h * right, rtol=1e-3, atol=1e-4 * h * size):
        return "That is the difference. It has to be divided by how far the two points lie apart."
    if h > 1e-4 and error < 0.5:
        return f"h = {h:.0e} is too large: the error is {error:.0e}, and goes with h²."
    return f"It differs from the gradient by {error:.0e} of it, where 1e-7 is asked."


@exercise
def softplus(answer):
    """`answer(x)`: the Tensor ln(1 + exp(x)), right in value and gradient at 1000 and -1000 too."""
    x = np.array([-3.0, -0.7, 0.4, 1.5, 6.0, -30.0])
    value, slope = np.logaddexp(0, x), expit(x)

    def asked(x):
        """Values and gradient of a reader's function, or a hint."""
        tensor, weights = Tensor(x.copy(), requires_grad=True), 1 + np.arange(x.size).reshape(x.shape)
        with np.errstate(all="ignore"):
            out = answer(tensor)
            if out is None:
                return None, None, "It returns nothing; is there a `return`?"
            if not isinstance(out, Tensor):
                return (
                    None,
                    None,
                    "Asked is a Tensor, made by the operations of Tensor: NumPy leaves no record.",
                )
            if out.shape != x.shape:
                return None, None, f"One value for each entry: shape {x.shape}, not {out.shape}."
            if not out.requires_grad:
                return None, None, "The result has forgotten what it was computed from: no gradient can come."
            out.backward(weights.astype(float))
        grad = np.zeros(x.shape) if tensor.grad is None else tensor.grad / weights
        return out.data, grad, None

    got, grad, hint = asked(x)
    if hint:
        return hint
    wrong = [
        (np.maximum(x, 0), "That is the ReLU, with its kink. What has to be added near zero?"),
        (np.logaddexp(0, -x), "That is the softplus of -x: the sign of the exponent."),
        (-value, "The sign: the logarithm of something above 1 is positive."),
        (
            -np.logaddexp(0, -x),
            "That is the logarithm of the sigmoid, x less than asked. Mind the two signs.",
        ),
        (slope, "That is the sigmoid, the derivative of the softplus."),
        (x, "The logarithm has undone the exponential: where is the 1?"),
        (1 + np.exp(x), "The logarithm is missing."),
        (value / math.log(2), "That is a logarithm to base 2."),
        (
            np.logaddexp(0, -np.abs(x)),
            "What a large x itself contributes is missing: for x = 6 it says 0.002.",
        ),
        (
            np.abs(x) + np.logaddexp(0, -np.abs(x)),
            "For negative x it grows. Take x where it is positive, not |x|.",
        ),
    ]
    hint = _recognize(got, value, wrong, f"At x = 1.5 it should be {value[3]:.4f}, and is {got[3]:.4f}.")
    if hint:
        return hint
    if np.isnan(grad).any():
        return f"The value is right; the gradient at {x[np.isnan(grad)][0]:g} is NaN."
    wrong = [
        (slope - (x > 0), "Values are right, but x itself passed no gradient: a part went past the tape."),
        (1.0 * (x > 0), "Values are right, but the gradient is that of a ReLU: the part beside it was "
         "computed from `.data`, and the tape knows nothing of it."),
        (0 * x, "The value is right, and the gradient is 0 everywhere."),
    ]  # fmt: skip
    hint = _recognize(
        grad,
        slope,
        wrong,
        f"The value is right; the gradient at 1.5 should be {slope[3]:.4f}, not {grad[3]:.4f}.",
    )
    if hint:
        return hint
    for far, right, rise in (
        (1000.0, 1000.0, 1.0),
        (-1000.0, 0.0, 0.0),
        (50.0, 50.0, 1.0),
        (-50.0, 0.0, 0.0),
    ):
        got, grad, hint = asked(np.array([far]))
        if hint:
            return hint
        if not np.isfinite(got[0]):
            return (
                f"At {far:g} it says {got[0]}: somewhere an exponential overflows, or a logarithm gets 0. No "
                "exponent may be a large positive number."
            )
        if abs(got[0] - right) > 1e-9:
            return f"At {far:g} it says {got[0]:g}, and should say {right:g}. Is something clipped?"
        if not np.isfinite(grad[0]):
            return (
                f"At {far:g} the value is right, and the gradient is {grad[0]}: an infinity on the way back."
            )
        if abs(grad[0] - rise) > 1e-9:
            return f"At {far:g} the gradient is {grad[0]:g}, and should be {rise:g}. Is something clipped?"
    return asked(np.array([[-1.0, 2.0, 0.5], [3.0, -4.0, 1.0]]))[2]


@exercise
def good_start(answer):
    """`answer(sizes, rng)`: weights of a ReLU network that keep the mean square of the signal."""
    sizes = [400, 100, 100, 100, 40, 160]
    shapes = list(zip(sizes[:-1], sizes[1:], strict=True))
    drawn = answer(list(sizes), np.random.default_rng(0))
    if not isinstance(drawn, tuple | list):
        return f"Asked is a list of {len(shapes)} matrices, one for each pair of neighboring sizes."
    W = [_numbers(w) for w in drawn]
    if [w.shape for w in W[::2]] == shapes and [w.shape for w in W[1::2]] == [(m,) for _, m in shapes]:
        return "Weights alone are asked, without the biases."
    if len(W) != len(shapes):
        return (
            f"{len(sizes)} sizes make {len(shapes)} matrices, one for each pair of neighbors, not {len(W)}."
        )
    if [w.shape for w in W] == [(m, n) for n, m in shapes]:
        return (
            "The shapes are turned: the signal is multiplied from the left, x @ W, so W has shape (in, out)."
        )
    if [w.shape for w in W] != shapes:
        return f"The sizes {sizes} ask for the shapes {shapes}; yours are {[w.shape for w in W]}."
    if not all(np.isfinite(w).all() for w in W):
        return "There are weights that are not numbers."
    if any(np.ptp(w) == 0 for w in W):
        return "All weights of a layer are equal. Then all its units are, and stay so: draw them."
    if any(np.ptp(w, axis=1).max() == 0 or np.ptp(w, axis=0).max() == 0 for w in W):
        return "Each weight needs a draw of its own: rows or columns of yours are all alike."
    other = answer(list(sizes), np.random.default_rng(1))
    if all(np.array_equal(a, c) for a, c in zip(W, other, strict=True)):
        return "Two different rng give the same weights: draw from the one that you are given."
    if np.allclose(W[1] / np.linalg.norm(W[1]), W[2] / np.linalg.norm(W[2])):
        return "Two layers of equal shape got the same numbers: the generator is begun anew for each."
    if any(abs(w.mean()) > 6 * w.std() / math.sqrt(w.size) for w in W):
        return "The weights do not have mean 0."

    n, m = np.array(shapes).T
    square = np.array([np.mean(w**2) for w in W])

    def like(variance):
        return np.all(np.abs(square / variance - 1) < 0.15)

    last_plain = np.append(2 / n[:-1], 1 / n[-1])  # no ReLU after the last layer: both keep something level
    if like(2 / n) or like(last_plain):
        return None
    wrong = [
        (1 / n, "That is the variance 1/n, for tanh. A ReLU sets half of its inputs to zero."),
        (2 / m, "That is 2 over the outputs of the layer. A sum over the n inputs has n terms."),
        (1 / m, "That is 1 over the outputs, right for tanh on the way back. Here: ReLU, forward."),
        (
            (2 / n) ** 2,
            "2/n is the variance. The numbers are multiplied by the standard deviation, its root.",
        ),
        (
            (1 / n) ** 2,
            "That is the standard deviation 1/n. Variances are inverse to n, and for a ReLU twice it.",
        ),
        ((2 / m) ** 2, "2 over the outputs, and as a standard deviation: take the inputs, and a root."),
        (np.sqrt(2 / n), "That is the variance sqrt(2/n). The root belongs to the standard deviation."),
        (2 / (n + m), "That is 2/(n + m), for tanh. A ReLU loses half of the mean square."),
        (4 / (n + m), "The mean of both directions. Here the forward signal alone is to stay level."),
        (4 / n, "That is twice too much: the signal doubles at each layer. Is it 2 times a root?"),
        (2 / n**2, "The root is taken of 2 alone: sqrt(2) / n, where sqrt(2 / n) is needed."),
        (1 + 0 * n, "Those are unscaled: each layer makes the mean square n / 2 times larger."),
        (2 + 0 * n, "The variance does not depend on the number of inputs, and has to."),
        (n / 2, "The fraction is upside down."),
    ]
    for variance, hint in wrong:
        if like(variance):
            return hint
    factor = n * square / 2
    worst = np.abs(np.log(factor)).argmax()
    return (
        f"From layer to layer the mean square of a ReLU network's signal is multiplied by "
        f"{factor[worst]:.3g} in the layer of shape {shapes[worst]}, and should be by 1."
    )


@exercise
def best_segments(answer):
    """`answer(layers)`: the divisor s of `layers` for which s + layers / s is least."""
    asked = (64, 10, 36, 7, 72, 97, 1000, 12, 1)
    given = []
    for n in asked:
        s = _numbers(answer(n))
        if s.shape != ():
            return f"One number is asked; for {n} layers yours has shape {s.shape}."
        given.append(float(s))

    def memory(n, s):
        return s + n / s

    def divisors(n):
        return [s for s in range(1, n + 1) if n % s == 0]

    least = [min(memory(n, s) for s in divisors(n)) for n in asked]
    if given == least:
        return "That is the memory. Asked is the number of segments for which it is so small."
    if all(g in (1, n) for n, g in zip(asked, given, strict=True)):
        return (
            "With 1 segment all results are kept at once, and with as many segments as layers too. The time "
            "is about the same for all; the memory s + n/s is what is to be least."
        )
    for n, s, best in zip(asked, given, least, strict=True):
        if not s.is_integer():
            return (
                f"For {n} layers it says {s:.4g}, which is not a whole number. At the root of n the minimum "
                "would be; which divisors are there?"
            )
        if s < 1 or n % s:
            return (
                f"{n} layers do not fall into {s:g} equal segments. The root shows where to look; the answer "
                "is a divisor."
            )
        if memory(n, s) > best:
            there = next(d for d in divisors(n) if memory(n, d) == best)
            return (
                f"For {n} layers it says {s:g}: that keeps {s:g} + {n / s:g} results. With {there} segments "
                f"it is {best:g}."
            )
    return None


_SHAPES = ((8, 5), (5,), (5, 3), (3,))  # of the arrays that `train_network` trains
_BUGS = {
    "cut": "W1 never moves: it comes back as it went in. On which way could the loss reach it? Look at what "
    "the second layer is given.",
    "axis": "What is said of a word depends on who else is in the batch. What competes with what: along "
    "which axis do the probabilities add up to 1?",
    "sum": "The first step is twenty times as long as asked, and with forty words in a batch it would be "
    "forty times: compare how you put the words of a batch together with the loss that the exercise names.",
    "kept": "The first step is right, and each later one goes on in the direction of all before it. What is "
    "in `.grad` when the second pass begins?",
}


def _train(start, X, y, lr, steps, rng, bugs=()):
    """The loop of the exercise from given weights, with some of its bugs, or with none."""
    W1, b1, W2, b2 = params = [Tensor(a.copy(), requires_grad=True) for a in start]
    for _ in range(steps):
        batch = rng.choice(len(X), 20, replace=False)
        h = (Tensor(X[batch]) @ W1 + b1).tanh()
        z = (Tensor(h.data) if "cut" in bugs else h) @ W2 + b2
        chosen = z.log_softmax(axis=0 if "axis" in bugs else 1)[np.arange(20), y[batch]]
        (-(chosen.sum() if "sum" in bugs else chosen.mean())).backward()
        for p in params:
            if p.grad is not None:
                p.data -= lr * p.grad
                if "kept" not in bugs:
                    p.grad = None
    return [p.data for p in params]


def _same(a, b):
    return all(np.allclose(u, v, rtol=1e-7, atol=1e-10) for u, v in zip(a, b, strict=True))


@exercise
def train_network(answer):
    """`answer(X, y, hidden, classes, lr, steps, rng)`: W1, b1, W2, b2 after a few steps of descent."""
    draw = np.random.default_rng(0)
    X = draw.normal(size=(60, 8))
    y = X[:, :3].argmax(axis=1)
    lr, steps = 0.1, 4

    def run(steps):
        """A reader's arrays, the generator as they leave it, and a hint if the arrays are of no use."""
        rng = np.random.default_rng(1)
        try:
            with np.errstate(all="ignore"):
                got = answer(X.copy(), y.copy(), 5, 3, lr, steps, rng)
        except TypeError as error:
            if "NoneType" not in str(error):
                raise
            return (
                None,
                rng,
                "A `.grad` is None: no way leads from the loss to that parameter. Where does it end?",
            )
        if not isinstance(got, tuple | list) or len(got) != 4:
            return None, rng, "Four arrays are asked, the list [W1, b1, W2, b2]."
        if any(isinstance(a, Tensor) for a in got):
            return None, rng, "These are Tensors. Return their numbers, p.data."
        arrays = [_numbers(a).copy() for a in got]
        if tuple(a.shape for a in arrays) != _SHAPES:
            told = ", ".join(str(a.shape) for a in arrays)
            return (
                None,
                rng,
                f"W1, b1, W2, b2 should have the shapes {str(_SHAPES)[1:-1]}; yours have {told}.",
            )
        return arrays, rng, None

    start, rng, hint = run(0)  # no step: the weights at the start, and a generator ready for the first batch
    if hint:
        return hint
    after, _, hint = run(steps)
    if hint:
        return hint
    if not all(np.isfinite(a).all() for a in after):
        return "After four steps there are NaN or infinite numbers in the weights."
    if not _same(after, run(steps)[0]):
        return "With the same rng it gives another result the second time: draw all random numbers from rng."

    state = rng.bit_generator.state

    def reference(steps, bugs=()):
        again = np.random.default_rng()
        again.bit_generator.state = state
        return _train(start, X, y, lr, steps, again, bugs)

    W1, _, W2, _ = start
    equal = np.ptp(W1, axis=1).max() == 0
    some = (bugs for count in range(len(_BUGS) + 1) for bugs in itertools.combinations(_BUGS, count))
    left = next((bugs for bugs in some if _same(after, reference(steps, bugs))), None)
    number = "" if left is None else f" (Bugs that are left: {len(left) + equal}.)"
    if equal:
        return (
            "All hidden units begin with the same weights: before the first step five units say what one "
            f"would say. Print the columns of W1 as it is drawn.{number}"
        )
    for name, W in (("W1", W1), ("W2", W2)):
        size = np.mean(W**2) * len(W)
        if not 0.25 < size < 4:
            return (
                f"The starting weights {name} have {size:.2g} times the variance 1/n for n inputs, which was "
                "right. Only that the units of W1 were all alike was wrong."
            )
        if np.ptp(W, axis=0).max() == 0:
            return (
                f"In {name} a unit has the same weight for all its inputs. Every weight needs its own draw."
            )
    if left is not None:
        return _BUGS[left[0]] + number if left else None

    if _same(after, start):
        return (
            "Nothing moves: after four steps all weights are what they were. Is a step taken after each pass?"
        )
    ours, theirs = (
        np.concatenate([(a - s).ravel() for a, s in zip(moved, start, strict=True)])
        for moved in (reference(1), run(1)[0])
    )
    factor = ours @ theirs / (ours @ ours)
    if not np.allclose(theirs, factor * ours, rtol=1e-6, atol=1e-9):
        return (
            "This is neither the right loop nor what the five bugs make of it. Draw W1 first, then "
            "W2, then the batches, one a step, as the stub does. What else have you changed?"
        )
    if math.isclose(factor, 1, rel_tol=1e-6):
        return (
            "The first step is right, the next ones are not. Is a new batch drawn for each step, the loss "
            "computed anew, and every gradient cleared?"
        )
    if factor < 0:
        return "It climbs: the first step goes in the direction in which the loss grows. The sign."
    return f"The first step has the right direction, and {factor:.3g} times the right length."
