"""The displayed formulas of the chapter on backpropagation, each written out as it stands there.

Each is held against an oracle that does not use it: PyTorch's differentiation and its cells, librosa, scipy's
optimizers, counting, draws of random weights. A wrong sign, factor, index or transposition makes the test of
that formula fail.
"""

import math

import librosa
import numpy as np
import pytest
import torch
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax

from speechlib import features


def formula(label):
    """Say which formula a test is about."""
    return pytest.mark.parametrize("label", [label])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def leaves(*arrays):
    return [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in arrays]


def gradients(result, *by, adjoint=None):
    """PyTorch's derivatives of a number, or of an array with a given adjoint, by each tensor."""
    adjoint = None if adjoint is None else torch.tensor(adjoint)
    return [g.numpy() for g in torch.autograd.grad(result, by, adjoint, retain_graph=True)]


def jacobian(function, at):
    return torch.autograd.functional.jacobian(function, torch.tensor(at)).numpy()


class Counted:
    """A number that counts the multiplications of its kind."""

    multiplications = 0

    def __init__(self, value):
        self.value = value

    def __mul__(self, other):
        Counted.multiplications += 1
        return Counted(self.value * other.value)

    def __add__(self, other):
        return Counted(self.value + other.value)


def counting(calculation):
    """How many multiplications of `Counted` numbers it takes."""
    before = Counted.multiplications
    calculation()
    return Counted.multiplications - before


def counted(array):
    return np.vectorize(Counted, otypes=[object])(array)


def random_program(rng, inputs=4, lines=14):
    """Lines (operation, a, b): each makes a new number from two that are there, or from one twice."""
    known = range(inputs, inputs + lines)
    return [(rng.choice(["*", "+"]), *rng.integers(max(0, count - 5), count, 2)) for count in known]


def run(program, numbers):
    """All numbers of a program, the inputs first; the last one is the loss."""
    numbers = list(numbers)
    for operation, a, b in program:
        numbers.append(numbers[a] * numbers[b] if operation == "*" else numbers[a] + numbers[b])
    return numbers


def walk(program, numbers, adjoints):
    """The program's lines from the last to the first, by the two rules of the chapter."""
    bar = adjoints
    for r, (operation, a, b) in reversed(list(enumerate(program, start=len(numbers) - len(program)))):
        if operation == "*":
            bar[a] += bar[r] * numbers[b]
            bar[b] += bar[r] * numbers[a]
        else:
            bar[a] += bar[r]
            bar[b] += bar[r]
    return bar


@formula("eq-backpropagation-lines")
def test_lines(label):
    x, t = 1.7, 4.0
    for w, b in ((1.3, 0.2), (-0.4, 2.0)):
        c = w * x
        t_hat = c + b
        e = t_hat - t
        loss = e * e
        tensors = leaves(w, b)
        inputs, targets = (torch.tensor([value], dtype=torch.float64) for value in (x, t))
        prediction = torch.nn.functional.linear(inputs, tensors[0][None, None], tensors[1])
        theirs = torch.nn.functional.mse_loss(prediction, targets)
        assert math.isclose(t_hat, prediction.item()) and math.isclose(loss, theirs.item())
        loss_bar = 1.0  # and back, line by line
        e_bar = loss_bar * e + loss_bar * e  # used twice in the last line
        t_hat_bar = e_bar
        c_bar, b_bar = t_hat_bar, t_hat_bar
        w_bar = c_bar * x
        assert np.allclose([w_bar, b_bar], gradients(theirs, *tensors), rtol=1e-12)


@formula("eq-backpropagation-adjoint")
def test_adjoint(label, rng):
    for a, b in rng.uniform(0.3, 1.5, size=(5, 2)):
        a_, b_ = leaves(a, b)
        r = [torch.sin(a_), a_ * b_, a_**3]  # three results that use a
        loss = r[0] * r[1] + torch.exp(r[2] * 0.2) * r[1]
        r_bar = gradients(loss, *r)
        slopes = [math.cos(a), b, 3 * a**2]
        a_bar = sum(r_bar[k] * slopes[k] for k in range(3))
        assert math.isclose(a_bar, gradients(loss, a_)[0], rel_tol=1e-12)


@formula("eq-backpropagation-product")
def test_product(label, rng):
    twice = 0
    for _ in range(40):
        program, inputs = random_program(rng), rng.uniform(-1.2, 1.2, 4)
        numbers = run(program, inputs)
        bar = walk(program, numbers, [0.0] * (len(numbers) - 1) + [1.0])
        tensors = leaves(*inputs)
        loss = run(program, tensors)[-1]
        theirs = [
            0.0 if g is None else g.item() for g in torch.autograd.grad(loss, tensors, allow_unused=True)
        ]
        assert np.allclose(bar[:4], theirs, rtol=1e-9, atol=1e-12)
        twice += any(a == b for _, a, b in program) and np.abs(theirs).max() > 1e-3
    assert twice > 10


@formula("eq-backpropagation-line")
def test_line(label, rng):
    x, t = rng.normal(size=7), rng.normal(size=7)
    w, b, N = 1.3, 0.2, 7
    J = 1 / N * sum((w * x[i] + b - t[i]) ** 2 for i in range(N))
    by_w = 2 / N * sum((w * x[i] + b - t[i]) * x[i] for i in range(N))
    w_, b_ = leaves(w, b)
    theirs = torch.nn.functional.mse_loss(w_ * torch.tensor(x) + b_, torch.tensor(t))
    assert math.isclose(J, theirs.item()) and math.isclose(by_w, gradients(theirs, w_)[0])
    by_b = 2 / N * sum(w * x[i] + b - t[i] for i in range(N))  # the chapter's code
    assert math.isclose(by_b, gradients(theirs, b_)[0])


@formula("eq-backpropagation-modes")
def test_modes(label, rng):
    A = [torch.tensor(rng.normal(size=shape)) for shape in ((6, 8), (3, 6), (4, 3))]
    stages = [lambda x, M=M: torch.tanh(M @ x) for M in A]
    begin, J, L = rng.normal(size=8), {}, 3
    x = begin
    for number, stage in enumerate(stages, start=1):
        J[number] = jacobian(stage, x)
        x = stage(torch.tensor(x)).numpy()
    whole = jacobian(lambda x: stages[2](stages[1](stages[0](x))), begin)

    def forward(v):
        return J[L] @ (J[2] @ (J[1] @ v))

    def reverse(u):
        return ((u.T @ J[L]) @ J[L - 1]) @ J[1]

    u, v = rng.normal(size=4), rng.normal(size=8)
    assert np.allclose(forward(v), whole @ v) and np.allclose(reverse(u), u @ whole)
    columns = np.array([forward(column) for column in np.eye(8)]).T  # one column per pass
    rows = np.array([reverse(row) for row in np.eye(4)])  # one row per pass
    assert np.allclose(columns, whole) and np.allclose(rows, whole)
    J, L = {1: counted(J[1]), 2: counted(J[2]), 3: counted(J[3][:1])}, 3  # now with one result, a loss
    each = 6 * 8 + 3 * 6 + 1 * 3
    one, eye = counted(np.ones(1)), counted(np.eye(8))
    assert counting(lambda: reverse(one)) == each  # all derivatives of the loss
    assert counting(lambda: [forward(column) for column in eye]) == 8 * each


@formula("eq-backpropagation-cost")
def test_cost(label, rng):
    for _ in range(20):
        program, n = random_program(rng), 4
        values = rng.normal(size=n)
        m = sum(operation == "*" for operation, _, _ in program)
        numbers = run(program, map(Counted, values))
        value = counting(lambda p=program, x=values: run(p, map(Counted, x)))
        adjoints = [Counted(0.0) for _ in numbers[:-1]] + [Counted(1.0)]
        backward = counting(lambda p=program, x=numbers, bar=adjoints: walk(p, x, bar))
        assert (value, backward) == (m, 2 * m)
        assert value + backward == m + 2 * m == 3 * m
        moved = values + 1e-5 * np.eye(n)
        nudges = counting(lambda p=program, rows=moved: [run(p, map(Counted, row)) for row in rows])
        assert nudges == n * m
        dual = 0  # forward mode: with each product the change of both factors, once for each input
        for k in range(n):
            dots = [Counted(float(j == k)) for j in range(n)]
            before = Counted.multiplications
            for operation, a, b in program:
                if operation == "*":
                    dots.append(dots[a] * numbers[b] + numbers[a] * dots[b])
                else:
                    dots.append(dots[a] + dots[b])
            dual += Counted.multiplications - before
            assert math.isclose(dots[-1].value, adjoints[k].value, abs_tol=1e-9)  # the same derivative
        assert dual == 2 * n * m  # as the text says: and more


@formula("eq-backpropagation-matmul")
def test_matmul(label, rng):
    for n, k, m in ((5, 3, 4), (4, 4, 4)):
        A, B, C_bar = rng.normal(size=(n, k)), rng.normal(size=(k, m)), rng.normal(size=(n, m))
        A_bar = C_bar @ B.T
        B_bar = A.T @ C_bar
        A_, B_ = leaves(A, B)
        theirs = gradients(A_ @ B_, A_, B_, adjoint=C_bar)
        assert np.allclose(A_bar, theirs[0]) and np.allclose(B_bar, theirs[1])
        for i, j in np.ndindex(n, k):  # the text's sums
            assert math.isclose(A_bar[i, j], sum(C_bar[i, c] * B[j, c] for c in range(m)))


@formula("eq-backpropagation-bias")
def test_bias(label, rng):
    X, W, b = (rng.normal(size=s) for s in ((5, 3), (3, 4), (4,)))
    Z_bar, N = rng.normal(size=(5, 4)), 5
    b_bar = [sum(Z_bar[i, k] for i in range(N)) for k in range(4)]
    X_, W_, b_ = leaves(X, W, b)
    Z = torch.nn.functional.linear(X_, W_.T, b_)
    assert np.allclose(Z.detach(), X @ W + b)
    assert np.allclose(b_bar, gradients(Z, b_, adjoint=Z_bar)[0])


@formula("eq-backpropagation-functions")
def test_functions(label, rng):
    a, r_bar = rng.normal(size=40), rng.normal(size=40)
    (a_,) = leaves(a)
    for function, by_rule in (
        (torch.tanh, lambda r: r_bar * (1 - r**2)),
        (torch.sigmoid, lambda r: r_bar * r * (1 - r)),
        (torch.relu, lambda r: r_bar * (r > 0)),
    ):
        result = function(a_)
        assert np.allclose(
            by_rule(result.detach().numpy()), gradients(result, a_, adjoint=r_bar)[0], rtol=1e-12, atol=1e-15
        )


@formula("eq-backpropagation-central")
def test_central(label):
    def difference(f, x, h):
        return (f(x + h) - f(x - h)) / (2 * h)

    def error(h, third):
        return h**2 / 6 * third

    for f, slope, third, x in (
        (np.exp, np.exp, np.exp, 0.3),
        (np.sin, np.cos, lambda x: -np.cos(x), 0.7),
        (lambda x: 1 / x, lambda x: -1 / x**2, lambda x: -6 / x**4, 1.3),
    ):
        for h in (1e-2, 3e-3):
            assert math.isclose(difference(f, x, h) - slope(x), error(h, third(x)), rel_tol=2e-3)

        def rest(xi, f=f, slope=slope, third=third, x=x):  # some xi between the two points makes it exact
            return difference(f, x, 0.2) - slope(x) - error(0.2, third(xi))

        inside = [rest(xi) for xi in np.linspace(x - 0.2, x + 0.2, 41)]
        assert min(inside) < 0 < max(inside)
    cubic = difference(lambda x: 2 * x**3 - x, 0.4, 0.5) - (6 * 0.4**2 - 1)
    assert math.isclose(cubic, error(0.5, 12.0))  # its third derivative is the same everywhere


@formula("eq-backpropagation-mlp")
def test_mlp(label, rng):
    W1, b1, W2, b2, x = (rng.normal(size=s) for s in ((5, 4), (4,), (4, 3), (3,), (5,)))
    z = W2.T @ np.tanh(W1.T @ x + b1) + b2
    theirs = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Tanh(), torch.nn.Linear(4, 3)).double()
    with torch.no_grad():
        for layer, W, b in ((theirs[0], W1, b1), (theirs[2], W2, b2)):
            layer.weight.copy_(torch.tensor(W.T))  # PyTorch keeps a row for each unit
            layer.bias.copy_(torch.tensor(b))
        assert np.allclose(z, theirs(torch.tensor(x)).numpy(), rtol=1e-12)


@formula("eq-backpropagation-variance")
@pytest.mark.parametrize("n, m", [(12, 4), (3, 9)])
def test_variance(label, rng, n, m):
    draws, sigma_w = 60_000, 0.7
    w = sigma_w * rng.choice([-1.0, 1.0], size=(draws, n, m)) * rng.uniform(0, math.sqrt(3), (draws, n, m))
    x = rng.exponential(size=(draws, n))  # its mean is not 0: E[x²] is not the variance
    z_bar = rng.normal(0.5, 1.0, size=(draws, m))
    z = [sum(w[:, j, k] * x[:, j] for j in range(n)) for k in range(m)]
    x_bar = [sum(w[:, j, k] * z_bar[:, k] for k in range(m)) for j in range(n)]
    forward = n * sigma_w**2 * 2.0  # E[x²] of the exponential distribution
    backward = m * sigma_w**2 * (1 + 0.5**2)
    assert math.isclose(np.var(z), forward, rel_tol=0.03)
    assert math.isclose(np.var(x_bar), backward, rel_tol=0.03)


@formula("eq-backpropagation-init")
def test_init(label, rng):
    def tanh_variance(n, m):
        return 2 / (n + m)

    def relu_variance(n, m):
        return 2 / n

    for n, m in ((600, 200), (150, 500)):
        torch.manual_seed(0)
        glorot = torch.nn.init.xavier_normal_(torch.empty(m, n)).var().item()
        he = torch.nn.init.kaiming_normal_(torch.empty(m, n), nonlinearity="relu").var().item()
        assert math.isclose(tanh_variance(n, m), glorot, rel_tol=0.02)
        assert math.isclose(relu_variance(n, m), he, rel_tol=0.02)
        # near zero tanh is linear: what a layer does to mean squares going forward and back, 1 on average
        w = math.sqrt(tanh_variance(n, m)) * rng.normal(size=(n, m))
        forward = np.mean((rng.normal(size=(200, n)) @ w) ** 2)
        back = np.mean((rng.normal(size=(200, m)) @ w.T) ** 2)
        assert math.isclose((forward + back) / 2, 1, rel_tol=0.03) and abs(forward - back) > 0.5

    def through(variance, widths, act, draws=150):
        """The mean square after all layers, by that of the input, in the mean over draws of the weights."""
        grown = []
        for _ in range(draws):
            x = rng.normal(size=widths[0])
            for n, m in zip(widths[:-1], widths[1:], strict=True):
                x = act(x @ (math.sqrt(variance(n, m)) * rng.standard_normal((n, m), dtype=np.float32)))
            grown.append(np.mean(x**2))
        return np.mean(grown)

    def relu(x):
        return np.maximum(x, 0)

    deep = [128] * 21
    assert math.isclose(through(relu_variance, deep, relu), 1, rel_tol=0.3)
    assert through(lambda n, m: 1 / n, deep, relu) < 1e-5 and through(lambda n, m: 4 / n, deep, relu) > 1e5
    for widths in ([100, 300], [300, 100]):
        assert math.isclose(through(relu_variance, widths, relu), 1, rel_tol=0.08)


@formula("eq-backpropagation-rnn")
def test_rnn(label, rng):
    x, h_0 = rng.normal(size=(6, 3)), rng.normal(size=4)
    U, W, b = 0.7 * rng.normal(size=(3, 4)), 0.7 * rng.normal(size=(4, 4)), rng.normal(size=4)
    h = [h_0]
    for t in range(1, 7):
        h.append(np.tanh(U.T @ x[t - 1] + W.T @ h[t - 1] + b))
    cell = torch.nn.RNN(3, 4, dtype=torch.float64)
    fill(cell, U, W, b)
    theirs = cell(torch.tensor(x), torch.tensor(h_0)[None])[0].detach().numpy()
    assert np.allclose(h[1:], theirs, rtol=0, atol=1e-13)


def fill(cell, U, W, b):
    """Give PyTorch's recurrent cell our weights; it keeps them transposed, and two biases."""
    with torch.no_grad():
        for name, value in (
            ("weight_ih_l0", U.T),
            ("weight_hh_l0", W.T),
            ("bias_ih_l0", b),
            ("bias_hh_l0", 0 * b),
        ):
            getattr(cell, name).copy_(torch.tensor(value))


def states(x, h_0, U, W, b):
    """The states of a plain recurrent network, as tensors, so that PyTorch can differentiate by each."""
    (h,) = leaves(h_0)
    passed = [h]
    for frame in x:
        h = torch.tanh(torch.nn.functional.linear(h, torch.tensor(W.T), torch.tensor(frame @ U + b)))
        passed.append(h)
    return passed


@formula("eq-backpropagation-bptt")
def test_bptt(label, rng):
    x, h_0, U, W, b = (0.6 * rng.normal(size=s) for s in ((5, 3), (4,), (3, 4), (4, 4), (4,)))
    passed = states(x, h_0, U, W, b)
    bars = gradients((passed[-1] ** 3).sum() + passed[-1][0] * passed[-1][2], *passed)
    h = [state.detach().numpy() for state in passed]
    for t in range(5, 0, -1):
        before = W @ ((1 - h[t] ** 2) * bars[t])
        assert np.allclose(before, bars[t - 1], rtol=1e-10, atol=1e-15)


@formula("eq-backpropagation-reach")
def test_reach(label, rng):
    def both(x, h_0, U, W, b, last):
        """The two sides, the left one by PyTorch."""
        passed = states(x, h_0, U, W, b)
        (left,) = gradients((passed[-1] * torch.tensor(last)).sum(), passed[0])
        h, T = [state.detach().numpy() for state in passed], len(x)
        factors = [
            np.linalg.norm(W, 2) * max(1 - h[t][i] ** 2 for i in range(len(h_0))) for t in range(1, T + 1)
        ]
        return np.linalg.norm(left), math.prod(factors) * np.linalg.norm(last)

    for scale in (0.3, 1.0, 2.0):
        for _ in range(20):
            shapes = ((6, 3), (4,), (3, 4), (4, 4), (4,))
            left, right = both(*(scale * rng.normal(size=s) for s in shapes), rng.normal(size=4))
            assert left <= right * (1 + 1e-12)
    # where it is tight, so that nothing smaller on the right would do
    nothing, rotation = np.zeros((6, 3)), np.linalg.qr(rng.normal(size=(4, 4)))[0]
    U, b = rng.normal(size=(3, 4)), np.zeros(4)
    for gain in (0.5, 1.7):  # a rotation, and states that stay at 0
        assert math.isclose(*both(nothing, b, U, gain * rotation, b, rng.normal(size=4)), rel_tol=1e-9)
    one = both(rng.normal(size=(6, 3)), np.array([0.4]), U[:, :1], np.array([[0.8]]), b[:1], np.array([2.0]))
    assert math.isclose(*one, rel_tol=1e-9)  # one unit, whose states are not 0
    stretch = np.diag([1.5, 0.3, 0.3, 0.3])  # one direction is enlarged, and the adjoint lies along it
    saturated = np.array([0.0, 2.0, 2.0, 2.0])
    tight = both(nothing, b, U, stretch, saturated, np.array([1.0, 0, 0, 0]))
    assert math.isclose(*tight, rel_tol=1e-9)


@formula("eq-backpropagation-lstm")
def test_lstm(label, rng):
    x, U, W, b = (0.8 * rng.normal(size=s) for s in ((6, 3), (3, 16), (4, 16), (16,)))
    h, c = [rng.normal(size=4)], [rng.normal(size=4)]
    sigma = expit
    for t in range(1, 7):
        i, f, g, o = np.split(x[t - 1] @ U + h[t - 1] @ W + b, 4)
        c.append(sigma(f) * c[t - 1] + sigma(i) * np.tanh(g))
        h.append(sigma(o) * np.tanh(c[t]))
    cell = torch.nn.LSTM(3, 4, dtype=torch.float64)
    fill(cell, U, W, b)
    out, (_, last) = cell(torch.tensor(x), (torch.tensor(h[0])[None], torch.tensor(c[0])[None]))
    assert np.allclose(h[1:], out.detach().numpy(), rtol=0, atol=1e-13)
    assert np.allclose(c[-1], last.detach().numpy(), rtol=0, atol=1e-13)


@formula("eq-backpropagation-gate")
def test_gate(label, rng):
    cell = torch.nn.LSTMCell(3, 4, dtype=torch.float64)
    x, h = torch.tensor(rng.normal(size=3)), torch.tensor(rng.normal(size=4))
    direct = jacobian(lambda c: cell(x, (h, c))[1], rng.normal(size=4))  # h is held: the straight way
    f = (cell.weight_ih @ x + cell.bias_ih + cell.weight_hh @ h + cell.bias_hh)[4:8].detach().numpy()
    sigma = expit
    assert np.allclose(np.diag(sigma(f)), direct, rtol=1e-12)
    assert expit(0) == 0.5 and round(expit(3), 2) == 0.95  # the text's


@formula("eq-backpropagation-checkpoints")
def test_checkpoints(label):
    def M(s, n):
        return s + n / s

    def kept(n, s):
        """The largest number of results held at once, by doing it."""
        inputs = list(range(0, n, n // s))  # the input of each segment, kept on the way forward
        most = len(inputs)
        for _ in range(s):  # the last segment first
            record = list(range(n // s))
            most = max(most, len(inputs) + len(record))
            inputs.pop()
        return most

    for n in (1, 7, 12, 36, 64, 90):
        divisors = [s for s in range(1, n + 1) if n % s == 0]
        assert [kept(n, s) for s in divisors] == [M(s, n) for s in divisors]
        bound = 2 * math.sqrt(n)
        assert all(M(s, n) >= bound - 1e-12 for s in np.geomspace(0.01, 100 * n, 500))
        best = minimize_scalar(
            M, args=(n,), bounds=(0.01, 2 * n + 1), method="bounded", options={"xatol": 1e-9}
        )
        assert math.isclose(best.fun, bound, rel_tol=1e-9) and math.isclose(
            best.x, math.sqrt(n), rel_tol=1e-3
        )
        assert math.isclose(M(math.sqrt(n), n), bound)  # with equality there


@formula("eq-backpropagation-front-end")
def test_front_end(label, rng):
    y = rng.normal(size=3000) * np.linspace(0, 0.3, 3000)
    y[:900] = 0  # silence: there the floor decides
    w = np.zeros(256)
    w[28:228] = features.window(200)  # 200 samples in the middle of 256
    angle = 2 * np.pi * np.arange(256)[:, None] * np.arange(129) / 256
    C, D = w[:, None] * np.cos(angle), w[:, None] * np.sin(angle)
    F = librosa.util.frame(np.pad(y, 128), frame_length=256, hop_length=80, axis=0)
    B = librosa.filters.mel(sr=8000, n_fft=256, n_mels=40, dtype=np.float64)
    P = (F @ C) ** 2 + (F @ D) ** 2
    ln_M = np.log(np.maximum(P @ B.T, 1e-10))
    settings = {"n_fft": 256, "hop_length": 80, "win_length": 200, "pad_mode": "constant"}
    power = librosa.feature.melspectrogram(y=y, sr=8000, n_mels=40, fmin=0, dtype=np.float64, **settings)
    assert np.allclose(P, np.abs(librosa.stft(y, **settings)).T ** 2, rtol=1e-9, atol=1e-15)
    assert np.allclose(ln_M, np.log(np.maximum(power.T, 1e-10)), rtol=0, atol=1e-6)
    assert np.allclose(ln_M, features.log_mel(y, 8000), rtol=0, atol=1e-9)
    assert np.sum(ln_M == np.log(1e-10)) > 40


@formula("eq-backpropagation-dream")
def test_dream(label, rng):
    def climbed(ln_q, k, radius, size):
        """The chapter's way: along the gradient, and back onto the ball where it is left."""
        x = np.zeros(size)
        for step in np.geomspace(0.3, 1e-4, 4000):
            x = x + step * slope(ln_q, x, k)
            x = x * min(1, radius / max(np.linalg.norm(x), 1e-9))
        return x

    def slope(ln_q, x, k):
        (at,) = leaves(x)
        return gradients(ln_q(at)[k], at)[0]

    W, b, a = torch.tensor(rng.normal(size=(5, 4))), torch.tensor(rng.normal(size=4)), rng.normal(size=5)

    def linear(x):
        return torch.log_softmax(torch.as_tensor(x) @ W + b, dim=0)

    def peaked(x):  # the best point lies inside of the ball
        z = -2 * ((torch.as_tensor(x) - torch.tensor(a)) ** 2).sum()
        return torch.log_softmax(torch.stack([z, 0 * z]), dim=0)

    r = 2.5
    for ln_q, k in ((linear, 0), (linear, 2), (peaked, 0)):

        def worth(x, ln_q=ln_q, k=k):
            return ln_q(x)[k].item()

        ball = {"type": "ineq", "fun": lambda x: r - np.linalg.norm(x)}  # the norm of x is at most r
        start = 0.1 * rng.normal(size=5)
        found = minimize(
            lambda x: -worth(x), start, method="SLSQP", constraints=ball, options={"ftol": 1e-13}
        )
        x_star = found.x
        assert np.allclose(x_star, climbed(ln_q, k, 2.5, 5), atol=2e-3)
        if ln_q is linear:  # at the rim, and the gradient points straight out
            g = slope(ln_q, x_star, k)
            assert math.isclose(np.linalg.norm(x_star), 2.5, rel_tol=1e-6) and g @ x_star > 0
            assert np.allclose(g / np.linalg.norm(g), x_star / 2.5, atol=1e-3)
        else:
            assert np.allclose(x_star, a, atol=1e-3) and np.linalg.norm(a) < 2.4
    inside = rng.normal(size=(4000, 5))
    inside *= 2.5 * rng.random((4000, 1)) ** (1 / 5) / np.linalg.norm(inside, axis=1, keepdims=True)
    assert (
        log_softmax(inside @ W.numpy() + b.numpy(), axis=1)[:, 2].max()
        <= linear(climbed(linear, 2, 2.5, 5))[2]
    )

    r = math.sqrt(320)  # a typical length of 320 standardized numbers
    x = rng.exponential(size=(500, 320)) @ np.diag(rng.uniform(1, 9, 320))
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    assert math.isclose(math.sqrt(np.mean(np.sum(x**2, axis=1))), r, rel_tol=1e-9)
