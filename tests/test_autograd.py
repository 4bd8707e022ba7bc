"""Reverse mode: each operation and random programs against torch, and what must never go wrong in silence."""

import gc
import itertools
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechlib import autograd, losses
from speechlib.autograd import Tensor, check_gradients

F = torch.nn.functional


def close(ours, theirs, tolerance=1e-12):
    """Equal, relative to the size of the numbers."""
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def parameter(array):
    return Tensor(array, requires_grad=True)


def compare(fn, *arrays, theirs=None, differences=True):
    """Value and gradients of `fn` for a loss that weighs each entry of its result differently: as torch's.

    The same function runs on both kinds of tensors, for the methods have the same names, unless `theirs` is
    given.
    """
    ours, torches = [parameter(a) for a in arrays], [torch.tensor(a, requires_grad=True) for a in arrays]
    result, expected = fn(*ours), (theirs or fn)(*torches)
    assert isinstance(result, Tensor) and result.shape == tuple(expected.shape)
    close(result.data, expected.detach().numpy())
    weights = normal(*result.shape, seed=9)
    (result * weights).sum().backward()
    (expected * torch.tensor(weights)).sum().backward()
    for tensor, other in zip(ours, torches, strict=True):
        assert type(tensor.grad) is np.ndarray and tensor.grad.dtype == np.float64
        assert tensor.grad.shape == tensor.shape
        close(tensor.grad, other.grad.numpy())
    if differences:
        assert check_gradients(lambda *tensors: (fn(*tensors) * weights).sum(), *arrays) < 1e-7


# ---- arithmetic

SHAPES = [(), (1,), (3,), (1, 1), (2, 1), (1, 3), (2, 3), (4, 1, 1), (4, 2, 1), (1, 2, 3), (4, 2, 3)]


def binary(symbol, a, b):
    """`a (symbol) b`, divisors away from zero."""
    return {"+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a / (b * b + 1.0)}[
        symbol
    ]()


@pytest.mark.parametrize("symbol", "+-*/")
def test_arithmetic_broadcasts(symbol):
    for left, right in itertools.product(SHAPES, repeat=2):
        compare(lambda a, b: binary(symbol, a, b), normal(*left), normal(*right, seed=1))


def test_shapes_that_do_not_broadcast_are_refused():
    with pytest.raises(ValueError, match="broadcast"):
        parameter(np.ones(2)) + np.ones(3)


@pytest.mark.parametrize(
    "other", [2.5, 3, np.float64(2.5), np.int64(3), np.array(2.5), normal(3), normal(2, 1)]
)
def test_numbers_and_arrays_on_either_side(other):
    """`array + tensor` must not become an array of tensors."""
    x = normal(2, 3)
    other_torch = torch.as_tensor(other)
    for fn in (
        lambda t, o: o + t, lambda t, o: t + o, lambda t, o: o - t, lambda t, o: t - o, lambda t, o: o * t,
        lambda t, o: t * o, lambda t, o: o / (t * t + 1.0), lambda t, o: t / o,
    ):  # fmt: skip
        compare(lambda t, fn=fn: fn(t, other), x, theirs=lambda t, fn=fn: fn(t, other_torch))


def test_matrices_and_lists_on_either_side_of_a_product():
    a, b = normal(2, 3), normal(3, 4)
    compare(lambda t: a @ t, b, theirs=lambda t: torch.tensor(a) @ t)
    compare(lambda t: t @ b, a, theirs=lambda t: t @ torch.tensor(b))
    result = [[1.0, 2.0, 3.0]] @ parameter(b)
    close(result.data, [[1.0, 2.0, 3.0]] @ b)
    close(([1.0, 2.0] * parameter(np.ones(2)) + [3.0, 4.0]).data, [4.0, 6.0])


def test_negation():
    compare(lambda t: -t, normal(2, 3))


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, -1, -2, 0.5, -1.5, 2.0, 0.0, np.float64(2.5), np.int64(2)])
def test_powers(exponent):
    compare(lambda t: t**exponent, np.abs(normal(2, 3)) + 0.3, theirs=lambda t: t ** float(exponent))


def test_the_power_zero_is_constant_even_at_infinity():
    x = parameter([np.inf, 0.0, -2.0])
    (x**0).sum().backward()
    assert x.grad.tolist() == [0, 0, 0]


@pytest.mark.parametrize("exponent", [0, 1, 2, 3])
def test_powers_of_zero_and_of_negative_numbers(exponent):
    compare(lambda t: t**exponent, np.array([0.0, -1.5, 2.0]))


MATRICES = [
    ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((1, 3), (3, 1)), ((2, 1), (1, 4)),
    ((1,), (1,)),
    ((5, 2, 3), (3,)), ((5, 2, 1), (1,)), ((5, 2, 3), (3, 4)), ((3,), (5, 3, 4)), ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)), ((5, 2, 3), (1, 3, 4)), ((1, 2, 3), (5, 3, 4)), ((5, 1, 3), (5, 3, 1)),
    ((6, 5, 2, 3), (3,)), ((6, 5, 2, 3), (3, 4)), ((3,), (6, 5, 3, 4)), ((2, 3), (6, 5, 3, 4)),
    ((6, 5, 2, 3), (6, 5, 3, 4)), ((6, 5, 2, 3), (5, 3, 4)), ((5, 2, 3), (6, 5, 3, 4)), ((6, 1, 2, 3),
    (5, 3, 4)),
    ((6, 1, 2, 3), (1, 5, 3, 4)),
]  # fmt: skip


@pytest.mark.parametrize("left, right", MATRICES)
def test_matrix_products(left, right):
    compare(lambda a, b: a @ b, normal(*left), normal(*right, seed=1), differences=len(left) + len(right) < 7)


# ---- functions


def test_functions_of_each_number():
    for shape in [(), (1,), (2, 3), (2, 1, 4)]:
        x = normal(*shape)
        for name in ("exp", "tanh", "sigmoid", "relu"):
            compare(lambda t, name=name: getattr(t, name)(), x)
        compare(lambda t: t.log(), np.abs(x) + 0.1)


def test_sigmoid_does_not_overflow():
    x = parameter([-800.0, -40.0, 0.0, 40.0, 800.0])
    y = x.sigmoid()
    y.sum().backward()
    close(y.data, [0.0, np.exp(-40), 0.5, 1.0, 1.0])
    close(y.data[:2], torch.sigmoid(torch.tensor(x.data[:2])).numpy(), 1e-30)
    close(x.grad, [0.0, np.exp(-40), 0.25, 0.0, 0.0])


def test_relu_at_its_kink():
    x = parameter([-1.0, -0.0, 0.0, 2.0])
    x.relu().sum().backward()
    assert x.grad.tolist() == [0, 0, 0, 1]


TORCH = {"max": "amax"}  # its max takes one axis, and gives one of several largest entries the whole gradient
AXES = [None, 0, 1, 2, -1, -3, (0,), (0, 2), (-1, 0), (1, 2), (0, 1, 2), ()]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
def test_sum_mean_and_max_along_axes(axis, keepdims):
    x = normal(2, 3, 4)
    every = () if axis == () else axis  # torch reads an empty tuple as all axes, NumPy as none
    for name in ("sum", "mean", "max"):
        if every == ():
            compare(lambda t, name=name: getattr(t, name)((), keepdims), x, theirs=lambda t: t + 0.0)
        else:
            wanted = (0, 1, 2) if axis is None else axis
            compare(
                lambda t, name=name: getattr(t, name)(axis=axis, keepdims=keepdims),
                x,
                theirs=lambda t, name=name, wanted=wanted: getattr(t, TORCH.get(name, name))(
                    wanted, keepdims
                ),
            )


@pytest.mark.parametrize("name", ["sum", "mean", "max"])
def test_of_one_number(name):
    compare(lambda t: getattr(t, name)(), np.array(2.5))
    compare(lambda t: getattr(t, name)(axis=-1), np.array([2.5]), theirs=lambda t: t.sum())


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
def test_ties_of_max_share(axis):
    x = np.array([[1.0, 2.0, 2.0], [2.0, 0.0, 2.0]])
    wanted = (0, 1) if axis is None else axis
    compare(lambda t: t.max(axis), x, theirs=lambda t: t.amax(wanted), differences=False)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_log_softmax_along_each_axis(axis):
    compare(lambda t: t.log_softmax(axis), normal(2, 3, 4))
    for size in (1e4, -1e4):
        compare(lambda t: t.log_softmax(axis), size * normal(2, 3, 4), differences=False)
        compare(lambda t: t.log_softmax(axis), normal(2, 3, 4) + size, differences=False)


def test_log_softmax_takes_the_last_axis():
    compare(lambda t: t.log_softmax(), normal(2, 3), theirs=lambda t: t.log_softmax(-1))
    compare(lambda t: t.log_softmax(), normal(4), theirs=lambda t: t.log_softmax(-1))


# ---- moving numbers about


def test_reshape():
    x = normal(2, 3, 4)
    for shape in [(24,), (6, 4), (-1, 8), (2, -1), (1, 24, 1), (-1,)]:
        compare(lambda t, shape=shape: t.reshape(*shape), x)
        compare(lambda t, shape=shape: t.reshape(shape), x)
    compare(lambda t: t.reshape(()), np.array([[1.5]]))
    compare(lambda t: t.reshape(1, 1), np.array(1.5))


def test_transposition():
    compare(lambda t: t.T, normal(2, 3))
    compare(lambda t: t.T @ t, normal(2, 3))
    compare(lambda t: t.T, normal(2, 3, 4), theirs=lambda t: t.permute(2, 1, 0))
    compare(lambda t: t.T, normal(3), theirs=lambda t: t + 0.0)
    compare(lambda t: t.T, np.array(1.5), theirs=lambda t: t + 0.0)


INDICES = [
    0, -1, (1, 2), (1, 2, 3), slice(1, 3), slice(None, None, 2), (slice(None), 1), (Ellipsis, 0),
    (Ellipsis, None),
    None, (None, 1), Ellipsis, (), (slice(0, 2), None, slice(1, 3)), (0, Ellipsis, slice(1, 3)),
    [0, 0, 2, 0], ([0, 0, 2], [1, 1, 0]), (slice(None), [2, 2, 1]), (0, [1, 1, 1]),
    ([0, 1], slice(None), [3, 3]),
    np.array([[0, 1], [0, 0]]), (np.array([[0], [2]]), np.array([1, 1, 2])), np.array([-1, 3, 3]),
    normal(4, 3, 5) > 0, (normal(4, 3) > 0, 2),
    (slice(None), np.array([True, False, True])), np.zeros(4, bool),
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_indexing(index):
    compare(lambda t: t[index], normal(4, 3, 5))


def test_reversal():
    compare(lambda t: t[::-1, 1:], normal(4, 3), theirs=lambda t: t.flip(0)[:, 1:])


def test_an_entry_taken_twice_gets_both_gradients():
    x = parameter(np.zeros(3))
    (x[[0, 0, 2, 0]] * [1.0, 10.0, 100.0, 1000.0]).sum().backward()
    assert x.grad.tolist() == [1011, 0, 100]


# ---- random programs


def torch_of(value):
    return torch.tensor(value) if isinstance(value, np.ndarray) else value


class Program:
    """A random computation, run on both kinds of tensors while it is drawn."""

    def __init__(self, rng):
        self.rng, self.lines, self.pairs, self.leaves = rng, [], [], []

    def __repr__(self):
        return "\n".join(["", *self.lines])

    def leaf(self, shape):
        array = self.rng.normal(size=shape)
        self.lines.append(f"t{len(self.pairs)} = parameter{shape}")
        self.pairs.append((parameter(array), torch.tensor(array, requires_grad=True)))
        self.leaves.append(self.pairs[-1])

    def add(self, line, ours, theirs=None):
        """One more result: `ours` and `theirs` are functions of nothing, run here."""
        result, expected = ours(), (theirs or ours)()
        self.lines.append(f"t{len(self.pairs)} = {line}")
        largest = float(expected.detach().abs().max())
        if largest > 3:  # keeps values small: exp of exp of exp overflows
            result, expected = result * (1 / largest), expected * (1 / largest)
            self.lines[-1] += f" * {1 / largest}"
        self.pairs.append((result, expected))


@st.composite
def programs(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    program = Program(rng)
    for _ in range(draw(st.integers(1, 4))):
        program.leaf(tuple(draw(st.lists(st.integers(1, 3), max_size=3))))
    for _ in range(draw(st.integers(1, 14))):
        step(draw, program, rng)
    return program


def step(draw, program, rng):
    """Add one operation on tensors that are there; not always the latest, so that some are used again."""

    def pick():
        i = draw(st.integers(0, len(program.pairs) - 1))
        return i, *program.pairs[i]

    kind = draw(
        st.sampled_from(["binary", "constant", "matmul", "function", "reduce", "move", "index", "power"])
    )
    i, a, a_torch = pick()
    if kind == "binary":
        candidates = [j for j, (b, _) in enumerate(program.pairs) if broadcast(a.shape, b.shape)]
        j, symbol = draw(st.sampled_from(candidates)), draw(st.sampled_from("+-*/"))
        b, b_torch = program.pairs[j]
        line = f"t{i} {symbol} t{j}" + (", the divisor squared + 1" if symbol == "/" else "")
        program.add(line, lambda: binary(symbol, a, b), lambda: binary(symbol, a_torch, b_torch))
    elif kind == "constant":
        larger = (2, *a.shape)[-4:]  # one axis more, up to four
        shape = draw(st.sampled_from([None, (), a.shape, larger, (1,) * len(a.shape)]))
        c = draw(st.sampled_from([2, -0.5])) if shape is None else rng.uniform(0.5, 2, shape)
        symbol, left = draw(st.sampled_from("+-*/")), draw(st.booleans())
        line = f"{c!r} {symbol} t{i}" if left else f"t{i} {symbol} {c!r}"
        if left:
            program.add(line, lambda: binary(symbol, c, a), lambda: binary(symbol, torch_of(c), a_torch))
        else:
            program.add(line, lambda: binary(symbol, a, c), lambda: binary(symbol, a_torch, torch_of(c)))
    elif kind == "matmul":
        candidates = [j for j, (b, _) in enumerate(program.pairs) if multiply(a.shape, b.shape)]
        if candidates:
            j = draw(st.sampled_from(candidates))
            b, b_torch = program.pairs[j]
            program.add(f"t{i} @ t{j}", lambda: a @ b, lambda: a_torch @ b_torch)
        elif a.shape:
            m = rng.normal(size=(a.shape[-1], 2))
            program.add(f"t{i} @ {m!r}", lambda: a @ m, lambda: a_torch @ torch.tensor(m))
    elif kind == "function":
        name = draw(st.sampled_from(["exp", "tanh", "sigmoid", "relu", "neg", "log", "log_softmax"]))
        if name == "neg":
            program.add(f"-t{i}", lambda: -a, lambda: -a_torch)
        elif name == "log":
            program.add(f"(t{i} * t{i} + 1).log()", lambda: (a * a + 1).log(), lambda: (a_torch**2 + 1).log())
        elif name == "log_softmax":
            if a.shape:
                axis = draw(st.integers(-len(a.shape), len(a.shape) - 1))
                line = f"t{i}.log_softmax({axis})"
                program.add(line, lambda: a.log_softmax(axis), lambda: a_torch.log_softmax(axis))
        elif name != "relu" or not_near(a.data, 0.0):
            program.add(f"t{i}.{name}()", getattr(a, name), getattr(a_torch, name))
    elif kind == "reduce":
        name, keepdims = draw(st.sampled_from(["sum", "mean", "max"])), draw(st.booleans())
        every = range(len(a.shape))
        axis = tuple(draw(st.sets(st.sampled_from(every), min_size=1))) if every else None
        wanted = axis or ()
        if len(wanted) == 1 and draw(st.booleans()):
            axis = wanted[0] - draw(st.sampled_from([0, len(every)]))
        if name != "max" or not_near(a.data, a.data.max(axis=axis, keepdims=True)):
            program.add(
                f"t{i}.{name}({axis}, {keepdims})",
                lambda: getattr(a, name)(axis, keepdims),
                lambda: getattr(a_torch, TORCH.get(name, name))(wanted, keepdims),
            )
    elif kind == "move":
        if draw(st.booleans()):
            program.add(f"t{i}.T", lambda: a.T, lambda: a_torch.permute(tuple(reversed(range(a_torch.ndim)))))
        else:
            n = a.data.size
            shape = draw(st.sampled_from([(n,), (-1,), (1, n), (n, 1), (1, -1), (-1, *a.shape[1:]), a.shape]))
            program.add(f"t{i}.reshape({shape})", lambda: a.reshape(shape), lambda: a_torch.reshape(shape))
    elif kind == "index":
        lists = draw(st.booleans())  # or numbers: torch puts the axes of both together elsewhere than NumPy
        axes = a.shape[: draw(st.integers(0, len(a.shape)))]
        index = tuple(draw(one_index(n, lists)) for n in axes)
        index = draw(
            st.sampled_from([index, (None, *index) if len(a.shape) < 4 else index, (*index, Ellipsis)])
        )
        program.add(f"t{i}[{index}]", lambda: a[index], lambda: a_torch[index])
    elif kind == "power":
        exponent = draw(st.sampled_from([0, 1, 2, 3, -1, 0.5]))
        line = f"(t{i} * t{i} + 1) ** {exponent}"
        program.add(line, lambda: (a * a + 1) ** exponent, lambda: (a_torch * a_torch + 1) ** exponent)


def one_index(n, lists):
    """An index for an axis of n entries: a stretch, or one entry, or two, which may be the same."""
    entry = st.integers(-n, n - 1)
    few = st.lists(entry, min_size=2, max_size=2) if lists else entry
    return st.one_of(st.integers(0, n - 1).map(lambda k: slice(k, None)), few)


def broadcast(a, b):
    try:
        np.broadcast_shapes(a, b)
        return True
    except ValueError:
        return False


def multiply(a, b):
    try:
        np.matmul(np.zeros(a), np.zeros(b))
        return True
    except ValueError:
        return False


def not_near(x, kink):
    """Whether no entry is so close to a kink that rounding may put it on different sides."""
    gap = np.abs(x - kink)
    return not ((gap > 0) & (gap < 1e-6)).any()


@settings(max_examples=500, deadline=None)
@given(program=programs(), seed=st.integers(0, 99))
def test_random_programs_equal_torch(program, seed):
    for tensor, expected in program.pairs:
        close(tensor.data, expected.detach().numpy(), 1e-10)
    # The loss uses the last result and one more, each entry with a weight of its own.
    used = [program.pairs[-1], program.pairs[seed % len(program.pairs)]]
    weights = [normal(*tensor.shape, seed=seed) for tensor, _ in used]
    loss = sum((tensor * w).sum() for (tensor, _), w in zip(used, weights, strict=True))
    loss_torch = sum((t * torch.tensor(w)).sum() for (_, t), w in zip(used, weights, strict=True))
    close(loss.data, loss_torch.item(), 1e-10)
    loss.backward()
    loss_torch.backward()
    expected = [np.zeros(t.shape) if t.grad is None else t.grad.numpy() for _, t in program.leaves]
    size = max(1.0, *(float(np.linalg.norm(g)) for g in expected))
    for (tensor, other), g in zip(program.leaves, expected, strict=True):
        assert (tensor.grad is None) == (other.grad is None)
        if tensor.grad is not None:
            assert np.linalg.norm(tensor.grad - g) <= 1e-10 * size


@settings(max_examples=50, deadline=None)
@given(program=programs(), factor=st.floats(-3, 3))
def test_linear_in_the_gradient_that_is_passed(program, factor):
    result = program.pairs[-1][0]
    seeds = [normal(*result.shape, seed=s) for s in (1, 2)]
    grads = []
    for seed in (seeds[0], seeds[1], seeds[0] + factor * seeds[1]):
        for tensor, _ in program.leaves:
            tensor.grad = None
        result.backward(seed)
        grads.append([0.0 if t.grad is None else t.grad for t, _ in program.leaves])
    for first, second, both in zip(*grads, strict=True):
        close(both, first + factor * second, 1e-9)


@settings(max_examples=50, deadline=None)
@given(program=programs())
def test_the_gradient_of_a_sum_is_the_sum_of_the_gradients(program):
    first, second = (pair[0].mean() for pair in (program.pairs[-1], program.pairs[0]))
    first.backward()
    second.backward()  # adds up in .grad
    separate = [t.grad for t, _ in program.leaves]
    for tensor, _ in program.leaves:
        tensor.grad = None
    (first + second).backward()
    for one_by_one, (tensor, _) in zip(separate, program.leaves, strict=True):
        assert (one_by_one is None) == (tensor.grad is None)
        if one_by_one is not None:
            close(tensor.grad, one_by_one, 1e-9)


# ---- whole models


def ours_and_torch(*arrays):
    return [parameter(a) for a in arrays], [torch.tensor(a, requires_grad=True) for a in arrays]


def cross_entropy(logits, labels):
    """As a chapter writes it."""
    return -logits.log_softmax()[np.arange(len(labels)), labels].mean()


def test_multilayer_perceptron_equals_torch():
    x, labels = normal(8, 5), np.random.default_rng(0).integers(4, size=8)
    (w1, b1, w2, b2), theirs = ours_and_torch(normal(6, 5), normal(6), normal(4, 6), normal(4))
    loss = cross_entropy((x @ w1.T + b1).relu() @ w2.T + b2, labels)
    hidden = F.linear(torch.tensor(x), theirs[0], theirs[1]).relu()
    expected = F.cross_entropy(F.linear(hidden, theirs[2], theirs[3]), torch.tensor(labels))
    loss.backward()
    expected.backward()
    close(loss.data, expected.item())
    for tensor, other in zip((w1, b1, w2, b2), theirs, strict=True):
        close(tensor.grad, other.grad.numpy())


def test_recurrent_network_equals_torch():
    batch, steps, inputs, hidden, classes = 3, 7, 4, 5, 6
    net = torch.nn.RNN(inputs, hidden, batch_first=True, dtype=torch.float64)
    head = torch.nn.Linear(hidden, classes, dtype=torch.float64)
    theirs = [*net.parameters(), *head.parameters()]
    for i, p in enumerate(theirs):
        p.data = torch.tensor(normal(*p.shape, seed=i) / 2)
    x, labels = normal(batch, steps, inputs), np.array([0, 5, 2])
    expected = F.cross_entropy(head(net(torch.tensor(x))[0][:, -1]), torch.tensor(labels))
    expected.backward()

    ours = [parameter(p.detach().numpy().copy()) for p in theirs]
    w_in, w_hh, b_in, b_hh, w_out, b_out = ours
    h = np.zeros((batch, hidden))
    for t in range(steps):
        h = (x[:, t] @ w_in.T + b_in + h @ w_hh.T + b_hh).tanh()
    loss = cross_entropy(h @ w_out.T + b_out, labels)
    loss.backward()
    close(loss.data, expected.item())
    for tensor, other in zip(ours, theirs, strict=True):
        close(tensor.grad, other.grad.numpy())


def test_a_fused_loss_passes_its_gradient_in():
    x, labels = normal(6, 5), np.array([0, 1, 2, 3, 0, 1])
    w, other = parameter(5 * normal(5, 4)), parameter(5 * normal(5, 4))
    z = x @ w
    loss, dz = losses.softmax_cross_entropy(z.data, labels)
    before = dz.copy()
    z.backward(dz)
    composed = cross_entropy(x @ other, labels)
    composed.backward()
    close(loss, composed.data)
    close(w.grad, other.grad)
    assert np.array_equal(dz, before), "the caller's array was changed"
    w.grad = None
    z.backward(dz.tolist())  # a list is as good
    close(w.grad, other.grad)


def test_gradients_that_are_passed_may_be_whole_numbers():
    x = parameter([1.0, 2.0])
    x.backward([1, 2])
    assert x.grad.dtype == np.float64 and x.grad.tolist() == [1, 2]


# ---- what a Tensor is


def test_data_are_float64_and_not_copied():
    array = np.ones(3)
    t = Tensor(array)
    assert t.data is array and t.grad is None and t.requires_grad is False
    for data in (2, [1, 2], np.ones(2, np.float32), np.array([True]), [[1.5]]):
        assert Tensor(data).data.dtype == np.float64 and type(Tensor(data).data) is np.ndarray
    assert Tensor([[1, 2]]).shape == (1, 2)


def test_a_misspelled_attribute_is_refused():
    with pytest.raises(AttributeError):
        Tensor(1.0).gradient = None


def test_repr():
    assert repr(Tensor([1.0, 2.0])) == "Tensor([1. 2.])"
    assert repr(parameter(2.0)) == "Tensor(2.0, requires_grad=True)"


def test_constants_get_no_gradient_and_record_nothing():
    x, c, d = parameter([1.0, 2.0]), Tensor([3.0, 4.0]), Tensor([5.0, 6.0])
    constant = (
        ((c + d) * c / d - c).exp().log().tanh().sigmoid().relu().log_softmax().reshape(2, 1).T[0].max()
    )
    assert constant._edges == () and constant.requires_grad is False
    assert (c @ d)._edges == () and c.sum()._edges == () and c.mean()._edges == () and (c**2)._edges == ()
    (x * c + constant).sum().backward()
    assert c.grad is None and d.grad is None and constant.grad is None
    assert x.grad.tolist() == [3.0, 4.0]


def test_only_what_needs_a_gradient_is_recorded():
    x, c = parameter(normal(2, 3)), Tensor(normal(3, 4))
    for result in (x @ c, x * 2.0, 2.0 - x):
        assert [source.requires_grad for source, *_ in result._edges] == [True]
    assert (x * c.data[:, 0]).requires_grad is True


def test_intermediate_results_keep_no_gradient():
    x = parameter([1.0, 2.0])
    y = x * 3.0
    (y * y).sum().backward()
    assert y.grad is None and x.grad.tolist() == [18.0, 36.0]


def test_backward_of_a_parameter_itself():
    x = parameter(2.0)
    x.backward()
    x.backward()
    assert x.grad == 2.0 and type(x.grad) is np.ndarray and x.grad.shape == ()


# ---- reuse and accumulation


def test_a_tensor_used_more_than_once():
    for fn in (
        lambda x: x * x, lambda x: x + x, lambda x: (x + x) * x, lambda x: x - x, lambda x: x / (x * x + 1.0),
        lambda x: x @ x, lambda x: x @ x.T, lambda x: x[0] * x + x.T, lambda x: x.exp() * x + x.exp(),
    ):  # fmt: skip
        compare(fn, normal(3, 3))


def test_a_long_fan_of_uses_adds_up():
    """Third and later parts are added in place: only into an array that nobody else has."""
    x = parameter([1.0, 2.0])
    y = x * 1.0
    parts = [y + 0.0, y + 0.0, y * 2.0, -y, y.reshape(2), y.T, y[:]]
    total = sum(parts[1:], parts[0])
    (total + y).sum().backward()
    assert x.grad.tolist() == [7.0, 7.0]
    assert all(part.grad is None for part in parts)


def test_backward_twice_adds_up():
    x = parameter(normal(2, 3))
    loss = (x * x).sum()
    loss.backward()
    first = x.grad
    kept = first.copy()
    loss.backward()
    close(x.grad, 2 * kept)
    assert np.array_equal(first, kept), "the gradient of the first pass was changed in place"


def test_gradients_of_two_losses_add_up_until_set_to_none():
    x, y = parameter([1.0, 2.0]), parameter(3.0)
    (x * x * y).sum().backward()
    (x * 10.0).sum().backward()
    assert x.grad.tolist() == [16.0, 22.0] and y.grad == 5.0
    x.grad = y.grad = None
    (x * x * y).sum().backward()
    assert x.grad.tolist() == [6.0, 12.0] and y.grad == 5.0
    (y * 2.0).backward()
    assert y.grad == 7.0 and type(y.grad) is np.ndarray


def test_gradients_share_no_memory():
    """An optimizer that changes one gradient in place must change nothing else."""
    programs = [
        lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a + b + a,
        lambda a, b: a.reshape(4) + b.reshape(4),
        lambda a, b: a.T + b.T, lambda a, b: a[:] + b[None][0], lambda a, b: (a + b).sum(axis=0),
        lambda a, b: b + a,
        lambda a, b: (a + b).mean(axis=1, keepdims=True), lambda a, b: (a.T + b) * 1.0, lambda a, b: a @ b,
        lambda a, b: (a + b) + (a + b), lambda a, b: (a + b).reshape(1, 4), lambda a, b: a * b,
        lambda a, b: a + 0 * b,
        lambda a, b: (a.exp() + b.exp()).log(),
    ]  # fmt: skip
    for program in programs:
        a, b = parameter(normal(2, 2)), parameter(normal(2, 2, seed=1))
        result = program(a, b)
        seed = normal(*result.shape, seed=2)
        kept = seed.copy()
        for _ in range(2):
            result.backward(seed)
            arrays = [a.grad, b.grad, a.data, b.data, seed, result.data]
            for first, second in itertools.combinations(arrays, 2):
                assert first is result.data or second is result.data or not np.shares_memory(first, second)
            assert a.grad.flags.writeable and b.grad.flags.writeable
            assert not np.shares_memory(a.grad, result.data)
        assert np.array_equal(seed, kept)
        before = b.grad.copy()
        a.grad[...] = 99.0
        assert np.array_equal(b.grad, before)
    a, b = parameter(normal(3)), parameter(normal(3))
    (a + b).sum().backward()
    a.grad[...] = 99.0
    assert b.grad.tolist() == [1, 1, 1]
    seed = np.ones(3)
    a.grad = None
    a.backward(seed)
    assert not np.shares_memory(a.grad, seed) and not np.shares_memory(a.grad, a.data)


def test_as_many_paths_as_two_to_the_hundred():
    """Each tensor is visited once, however many ways lead to it."""
    y = x = parameter(1.0)
    for _ in range(100):
        y = y + y
    y.backward()
    assert x.grad == 2.0**100


# ---- depth

DEPTH = 100_000


def chain(x):
    y = x
    for _ in range(DEPTH):
        y = y + 1.0
    return y


def diamonds(x):
    y = x
    for _ in range(DEPTH):
        y = y + x * 0.0
    return y


@pytest.mark.parametrize("make", [chain, diamonds])
def test_no_recursion_however_deep(make):
    """Forward, backward, and the deletion of the graph, which the interpreter does."""
    x = parameter(1.0)
    y = make(x)
    y.backward()
    assert x.grad == 1.0
    del y
    y = make(x)  # deleted without a backward pass
    del y
    gc.collect()
    assert x.data == 1.0


# ---- memory: a copy for nothing costs as much time as some of the products


def peak(run):
    """The most bytes that `run` held at a time."""
    gc.collect()
    tracemalloc.start()
    try:
        result = run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        del result


@pytest.mark.parametrize(
    "fn, most",
    [
        (lambda w: normal(2, 400) @ w, 1.5),
        (lambda w: w @ normal(300, 2), 1.5),
        (lambda w: (w + 1.0) + 1.0, 1.5),
        (lambda w: sum(normal(2, 400) @ w for _ in range(5)), 2.5),
        (lambda w: sum(normal(2, 400) @ w for _ in range(5)).sum() + w, 2.5),
    ],
    ids=["right of a product", "left of a product", "sums", "often", "often, beside a part that is not ours"],
)
def test_a_backward_pass_holds_a_gradient_and_one_part_of_it(fn, most):
    w = parameter(np.ones((400, 300)))
    loss = fn(w).sum()
    assert peak(loss.backward) < most * w.data.nbytes


def test_a_weight_used_by_a_whole_batch_gets_its_gradient_in_one_product():
    w = parameter(np.ones((100, 80)))
    loss = (normal(60, 5, 100) @ w).sum()
    assert peak(loss.backward) < 10 * w.data.nbytes  # not 60, one for each part of the batch


def test_a_transposed_array_is_watched_without_a_copy():
    w, c = parameter(np.ones((300, 400))), np.ones((400, 300)).T
    assert peak(lambda: w * c) < 1.5 * c.nbytes


def test_what_nobody_can_write_into_is_not_watched():
    y = parameter(normal(3, 3)) + 1.0
    for result in (y * y, y @ y, y / y, y.log(), y**2, y.max()):
        assert all(watched == [] for *_, watched in result._edges)


# ---- what is refused


def test_what_a_tensor_cannot_hold():
    for data in (np.ones(2) * 1j, 1j, [1j], np.ones(2, complex), "2", None, Tensor([1.0]), [Tensor([1.0])]):
        with pytest.raises(TypeError, match=r"array of real numbers.*Tensor\(t\.data\) makes a constant"):
            Tensor(data)


def test_backward_needs_one_number_or_a_gradient():
    x = parameter(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"shape \(2, 3\) is not one number.*\.sum\(\)"):
        (x * 2.0).backward()
    for wrong in (np.ones(3), np.ones((3, 2)), 1.0, np.ones((1, 2, 3))):
        with pytest.raises(ValueError, match=r"gradient has shape .*the tensor \(2, 3\)"):
            (x * 2.0).backward(wrong)
    with pytest.raises(ValueError, match=r"gradient has shape \(1,\), the tensor \(\)"):
        x.sum().backward(np.ones(1))
    assert x.grad is None
    one = x[:1, :1] * 3.0  # one number in any shape is one number
    one.backward()
    assert x.grad[0, 0] == 3.0 and x.grad.sum() == 3.0


def test_backward_needs_a_parameter():
    with pytest.raises(ValueError, match="requires_grad=True"):
        (Tensor([1.0]) * 2.0).sum().backward()
    with pytest.raises(ValueError, match="requires_grad=True"):
        Tensor([1.0, 2.0]).backward(np.ones(2))


@pytest.mark.parametrize("exponent", [parameter(2.0), np.ones(3), "2", 2j, None])
def test_exponents_are_numbers(exponent):
    with pytest.raises(TypeError, match=r"exponent must be a number.*x\.log\(\)\)\.exp\(\)"):
        parameter([1.0, 2.0]) ** exponent


# ---- arrays changed in place between forward and backward


def changed(x):
    x += 1.0


CHANGES = {
    "the parameter": lambda w, c: (w.exp() * w, w.data),
    "a constant": lambda w, c: (c * w, c),
    "the left factor of a product": lambda w, c: (c @ w, c),
    "the right factor of a product": lambda w, c: (w @ c, c),
    "a divisor": lambda w, c: (w / c, c),
    "the divisor with a gradient": lambda w, c: (c / w, w.data),
    "the dividend above it": lambda w, c: (c / w, c),
    "the base of a power": lambda w, c: (w**2, w.data),
    "what a logarithm was taken of": lambda w, c: (w.log(), w.data),
    "what a maximum was taken of": lambda w, c: (w.max(axis=0), w.data),
    "a parameter seen reshaped": lambda w, c: (w.reshape(-1) * w.reshape(-1), w.data),
    "a parameter seen transposed": lambda w, c: (w.T @ w.T, w.data),
    "a slice of a parameter": lambda w, c: (w[1:] * w[1:], w.data),
    "a reshaped constant": lambda w, c: (w.reshape(-1) * Tensor(c).reshape(-1), c),
    "a view of a constant": lambda w, c: (w[0] * c[0], c),
    "a list of numbers made an array": lambda w, c: (w * Tensor(c).T, c),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_in_place_is_noticed(what):
    w, c = parameter(np.abs(normal(3, 3)) + 0.5), np.abs(normal(3, 3, seed=1)) + 0.5
    bystander = parameter(1.0)
    result, array = CHANGES[what](w, c)
    loss = result.sum() + bystander * 2.0
    array[1, 1] += 0.25 if what != "a view of a constant" else 0.0
    array[0, 1] += 0.25 if what == "a view of a constant" else 0.0
    with pytest.raises(RuntimeError, match=r"changed in place after the forward pass.*Call backward before"):
        loss.backward()
    assert w.grad is None and bystander.grad is None, "a gradient was touched"


def test_the_array_a_parameter_was_made_of_is_the_parameter():
    array = np.ones(3)
    w = parameter(array)
    loss = (w * w).sum()
    array[0] = 2.0
    with pytest.raises(RuntimeError, match=r"shape \(3,\)"):
        loss.backward()


def test_shuffled_rows_are_noticed():
    """The sums over the array, its rows and its columns do not change when rows are exchanged."""
    for shape in [(2,), (10, 3), (64, 40), (1024, 3), (3, 1024), (3000, 4)]:
        x = normal(*shape)
        w = parameter(np.ones(shape))
        for order in (np.roll(np.arange(len(x)), 1), np.arange(len(x))[::-1]):
            loss = (w * x).sum()
            x[...] = x[order]
            with pytest.raises(RuntimeError):
                loss.backward()


def test_an_entry_that_moved_is_noticed():
    """One entry that is not zero: no rounding can tell the two arrays apart, as it would by chance."""
    w, n = parameter(1.0), 1024
    moves = [
        (n * n, 3 * n + 500, 500 * n + 3),
        (n * n, 1, n),
        (2 * n, 7, n + 7),
        (n + 100, 7, n + 7),
        (n, 0, n - 1),
    ]
    for size, here, there in moves:
        c = np.zeros(size)
        c[here] = 1.0
        loss = (w * c).sum()
        c[here], c[there] = 0.0, 1.0
        with pytest.raises(RuntimeError):
            loss.backward()


@pytest.mark.parametrize("size", [1, 2, 1023, 1024, 1025, 5000, 1024**2, 1024**2 + 1, 1024**2 + 5000])
def test_one_entry_of_a_large_array_is_noticed(size):
    c, w = np.ones(size), parameter(1.0)
    for i in {0, size // 2, size - 1, min(1024, size - 1), max(0, size - 1025)}:
        loss = (w * c).sum()
        before = c[i]
        c[i] += 1e-3
        with pytest.raises(RuntimeError):
            loss.backward()
        c[i] = before
        loss.backward()  # put back: nothing has changed
    assert w.grad is not None


def test_a_weight_used_fifty_times():
    w = parameter(0.1 * normal(4, 4))
    h = Tensor(normal(2, 4))
    for _ in range(50):
        h = (h @ w).tanh()
    loss = h.sum()
    loss.backward()
    grad = w.grad
    w.data[2, 2] *= 1.001
    with pytest.raises(RuntimeError):
        loss.backward()
    assert w.grad is grad


def test_results_are_read_only():
    x = parameter(normal(2, 3))
    makers = [
        lambda: x + 1.0, lambda: x * 2.0, lambda: x @ np.ones((3, 2)), lambda: x.exp(),
        lambda: x.tanh(), lambda: x.T,
        lambda: x.sum(axis=0), lambda: x.reshape(3, 2), lambda: x[0], lambda: x[[0, 1]],
        lambda: x.log_softmax(),
        lambda: x.max(axis=1), lambda: x.relu(), lambda: x.sigmoid(), lambda: -x, lambda: x**2,
        lambda: x.mean(axis=0),
    ]  # fmt: skip
    for make in makers:
        with pytest.raises(ValueError, match="read-only"):
            changed(make().data)
    changed(x.data)  # the parameter is not
    changed((Tensor([1.0]) + 1.0).data)  # nor a result that nothing will read again


def test_a_constant_result_that_was_changed_is_noticed():
    w = parameter([1.0, 2.0])
    c = Tensor([1.0, 2.0]) * 3.0
    loss = (w * c).sum()
    changed(c.data)
    with pytest.raises(RuntimeError):
        loss.backward()


def test_a_parameter_given_new_data_keeps_the_old_derivatives():
    """`w.data = ...` changes no array: the derivatives are of what the forward pass computed."""
    for fn, grad in (
        (lambda w: w * w, 6.0), (lambda w: 6.0 / w, -2 / 3), (lambda w: w**2, 6.0), (lambda w: w @ w, 6.0),
        (lambda w: w.log(), 1 / 3), (lambda w: w.max() * 2.0, 2.0),
    ):  # fmt: skip
        w = parameter([3.0])
        loss = fn(w).sum()
        w.data = w.data - 2.0
        loss.backward()
        close(w.grad, [grad])


# no false alarms


def test_a_step_between_two_complete_rounds():
    w, x = parameter(normal(3, 2)), normal(5, 3)
    for _ in range(3):
        w.grad = None
        loss = ((x @ w) ** 2).sum() + (w * w).sum()
        loss.backward()
        w.data -= 0.01 * w.grad
    assert w.grad is not None


def test_a_step_after_a_forward_pass_that_was_thrown_away():
    w = parameter(normal(3))
    before = (w * w).sum().data  # a line search looks at a value only
    w.data *= 0.5
    loss = (w * w).sum()
    loss.backward()
    close(loss.data, before / 4)
    close(w.grad, 2 * w.data)


def test_changes_of_what_no_derivative_reads():
    w, bias, offset = parameter(normal(3)), parameter(normal(3)), normal(3)
    y = w * 2.0 + bias - offset
    loss = (y[0:2].reshape(2, 1).sum() + bias.relu().sum() + bias.exp().sum() + bias.mean()) * 1.0
    changed(bias.data)
    changed(offset)
    changed(w.data)
    loss.backward()
    close(w.grad, [2.0, 2.0, 0.0])


def test_factors_of_constants_may_change():
    """The derivative by a constant is not needed, nor what it would read."""
    w, c = parameter(normal(3, 3)), normal(3, 3)
    loss = (c @ w).sum() + (w * c).sum() + (w / (c * c + 1)).sum()
    changed(w.data)
    loss.backward()
    assert w.grad is not None


def test_not_a_number_is_no_change():
    for size in (3, 2000):
        x = np.ones(size)
        x[1] = np.nan
        w = parameter(np.ones(size))
        (w * x * w).sum().backward()
        assert np.isnan(w.grad[1]) and w.grad[0] == 2.0


def test_infinity_is_no_change():
    x = np.array([-np.inf, 1.0])
    w = parameter(np.ones(2))
    (w * x).sum().backward()
    assert w.grad.tolist() == [-np.inf, 1.0]


def test_arrays_with_gaps_are_no_change():
    """Slices with steps are copied to be summed; the sums must be the same each time."""
    store = normal(301, 40)
    w = parameter(np.ones((151, 13)))
    for _ in range(20):
        (w * store[::2, ::-3][:, :13]).sum().backward()
        store = store.copy()


def test_labels_may_be_shuffled_after_the_forward_pass():
    x = normal(5, 4)
    w, other = parameter(normal(4, 3)), parameter(normal(4, 3))
    labels = np.array([0, 1, 2, 0, 1])
    loss, expected = cross_entropy(x @ w, labels), cross_entropy(x @ other, labels.copy())
    labels[:] = labels[::-1].copy()
    loss.backward()
    expected.backward()
    close(w.grad, other.grad)

    w, index, mask = parameter(np.zeros(3)), [0, 1], np.array([True, False, False])
    picked = w[index].sum() + w[mask].sum()
    index[:] = [2, 2]
    mask[:] = True
    picked.backward()
    assert w.grad.tolist() == [2.0, 1.0, 0.0]


# ---- check_gradients


def test_check_gradients_of_right_functions():
    shapes = [(), (3,), (2, 3)]
    for shape in shapes:
        assert check_gradients(lambda x: (x.tanh() * x.exp()).sum(), normal(*shape)) < 1e-8
    for scale in (1.0, 1e6):
        assert check_gradients(lambda x, s=scale: (x / s).tanh().sum() * s, scale * normal(4)) < 1e-8
        assert check_gradients(lambda x, s=scale: (x.tanh() * s).sum(), normal(4)) < 1e-8
    assert check_gradients(lambda x: (x * x).sum(), 1e8 * normal(3)) < 1e-7


def with_gradient(forward, derivative):
    """An operation whose share of a gradient was written by hand: `derivative(g, x)`."""
    return lambda x: autograd._result(forward(x.data), (x, lambda g: derivative(g, x.data), x.data))


@pytest.mark.parametrize(
    "derivative",
    [
        lambda g, x: 2 * g * np.cos(x),
        lambda g, x: -g * np.cos(x),
        lambda g, x: g * np.sin(x),
        lambda g, x: 0 * x,
        lambda g, x: g * np.cos(x) * (1 + 5e-3 * (x == x.max())),
        lambda g, x: np.roll(g * np.cos(x), 1, axis=0),
        lambda g, x: np.where(x == x.max(), np.nan, g * np.cos(x)),
    ],
    ids=["factor two", "sign", "wrong function", "nothing", "one entry", "axis rolled", "not a number"],
)
def test_check_gradients_notices(derivative):
    x = 0.2 + np.abs(normal(3, 2)) / 3
    right, wrong = with_gradient(np.sin, lambda g, x: g * np.cos(x)), with_gradient(np.sin, derivative)
    assert check_gradients(lambda t: right(t).sum(), x) < 1e-8
    assert not check_gradients(lambda t: wrong(t).sum(), x) < 1e-3
    for arrays in ((x, normal(2)), (normal(2), x)):  # whichever array is the wrong one
        first = arrays[0] is x

        def fn(a, b, first=first):
            return wrong(a if first else b).sum() + (a * a).sum() + b.sum()

        assert not check_gradients(fn, *arrays) < 1e-3


def test_check_gradients_notices_a_missing_sum_over_what_was_broadcast(monkeypatch):
    def fn(w, b):
        return (w * b).tanh().sum()

    arrays = normal(4, 3), normal(3)
    assert check_gradients(fn, *arrays) < 1e-8
    right = autograd._fold
    monkeypatch.setattr(autograd, "_fold", lambda g, shape: g if g.shape == shape else right(g, shape) / 4)
    assert check_gradients(fn, *arrays) > 1e-1
    monkeypatch.setattr(autograd, "_fold", lambda g, shape: g if g.shape == shape else g[0])
    assert check_gradients(fn, *arrays) > 1e-1


def test_check_gradients_when_an_input_is_not_used():
    assert check_gradients(lambda a, b: (a * a).sum(), normal(3), normal(2)) < 1e-8
    assert check_gradients(lambda a: Tensor(3.0) * 2.0, normal(3)) == 0.0
    assert (
        check_gradients(lambda a, b: (a * a).sum() + (Tensor(b.data) ** 2).sum(), normal(3), normal(2)) > 0.9
    )


def test_check_gradients_compares_a_tiny_gradient_with_the_largest():
    """Beside a gradient of 1e12 in size, rounding alone makes differences of one of 1e-3."""
    assert check_gradients(lambda a, b: (a * a).sum() + (b * 1e-3).sum(), 1e6 + normal(3), normal(2)) < 1e-1


def test_check_gradients_notices_what_is_small():
    """Small in itself, or beside the gradient of another array."""
    wrong = with_gradient(np.sin, lambda g, x: 2 * g * np.cos(x))
    assert check_gradients(lambda a: (wrong(a) * 1e-6).sum(), normal(3)) > 0.1
    assert check_gradients(lambda a, b: (wrong(a) * 1e-3).sum() + b.sum(), normal(3), normal(2)) > 0.1


def test_check_gradients_takes_a_gradient_of_zero():
    assert check_gradients(lambda a: (a * 0.0).sum(), normal(3)) == 0.0


@pytest.mark.parametrize("fn", [lambda x: x * 2.0, lambda x: 3.0, lambda x: x.data.sum(), lambda x: None])
def test_check_gradients_needs_one_number(fn):
    with pytest.raises(ValueError, match=r"return one with one number: \.sum\(\)"):
        check_gradients(fn, normal(3))


def test_check_gradients_needs_an_array():
    with pytest.raises(ValueError, match="at least one Tensor"):
        check_gradients(lambda: Tensor(1.0))


def test_check_gradients_leaves_the_arrays_alone():
    x, whole = normal(2, 3), np.arange(3)
    kept = x.copy()
    x.setflags(write=False)
    assert (
        check_gradients(lambda a, b: (a * b).sum(), x, whole) < 1e-8
    )  # whole numbers are taken as real ones
    assert np.array_equal(x, kept) and whole.tolist() == [0, 1, 2]
    assert check_gradients(lambda t: (t * t).reshape(1, 1), [1.5]) < 1e-8
