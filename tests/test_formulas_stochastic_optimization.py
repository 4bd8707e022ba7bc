"""The displayed formulas of the chapter on stochastic optimization, each written out as it stands there.

Each is held against an oracle that does not use it: all batches of a small set, PyTorch, differences, exact
fractions, a decomposition, the functions of `speechlib.optim`. A wrong sign, factor, index or exponent makes
the test of that formula fail.
"""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import torch

from speechlib import losses, optim


def formula(label):
    """Say which formula a test is about."""
    return pytest.mark.parametrize("label", [label])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def logistic(X, y):
    """Examples of a loss, in PyTorch: `grad(theta, rows)` is the gradient of their mean."""
    X, y = torch.tensor(X), torch.tensor(y)

    def grad(theta, rows):
        at = torch.tensor(theta, requires_grad=True)
        mean = torch.nn.functional.softplus(-y[rows] * (X[rows] @ at)).mean() + 0.05 * at @ at
        return torch.autograd.grad(mean, at)[0].numpy()

    return grad


@pytest.fixture
def grad(rng):
    return logistic(rng.normal(size=(5, 3)), np.array([1.0, -1.0, 1.0, 1.0, -1.0]))


def signs(count):
    """All equally likely outcomes of `count` throws of +1 or -1."""
    return np.array(list(itertools.product((-1.0, 1.0), repeat=count)))


def kinks(rng):
    """A convex function with kinks, max(|a_i x|), one of its subgradients, and its minimum 0 at 0."""
    A = rng.normal(size=(5, 3))

    def f(x):
        return np.max(np.abs(A @ x))

    def slope(x):
        i = np.argmax(np.abs(A @ x))
        return np.sign(A[i] @ x) * A[i]

    return f, slope


@formula("eq-stochastic-optimization-unbiased")
def test_unbiased(label, rng, grad):
    def estimate(theta, batch):
        B = len(batch)
        return 1 / B * sum(grad(theta, [i]) for i in batch)

    theta, N = rng.normal(size=3), 5
    for B in (1, 2, 3):
        for batches in (itertools.product(range(N), repeat=B), itertools.combinations(range(N), B)):
            mean = np.mean([estimate(theta, batch) for batch in batches], axis=0)
            assert np.allclose(mean, grad(theta, list(range(N))), rtol=1e-12)
    assert not np.allclose(estimate(theta, (0,)), grad(theta, list(range(N))), rtol=0.1)


@formula("eq-stochastic-optimization-variance")
def test_variance(label):
    def with_replacement(sigma2, B, N):
        return sigma2 / B

    def without(sigma2, B, N):
        return sigma2 / B * (N - B) / (N - 1)

    each = [(Fraction(x), Fraction(y)) for x, y in ((3, -1), (0, 2), (-5, 1), (2, 2), (1, -7), (4, 0))]
    N = len(each)

    def center(vectors):
        return tuple(sum(v[j] for v in vectors) / len(vectors) for j in range(2))

    def apart(a, b):
        return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))

    full = center(each)
    sigma2 = sum(apart(g, full) for g in each) / N
    for B in range(1, N + 1):  # exact, over all batches
        for theory, batches in (
            (without, list(itertools.combinations(each, B))),
            (with_replacement, list(itertools.product(each, repeat=B)) if B < 5 else None),
        ):
            if batches:
                mean = sum(apart(center(batch), full) for batch in batches) / len(batches)
                assert mean == theory(sigma2, B, N)
    assert without(sigma2, N, N) == 0 and without(sigma2, 1, N) == with_replacement(sigma2, 1, N)


@formula("eq-stochastic-optimization-shards")
def test_shards(label, rng):
    X, y = rng.normal(size=(12, 3)), rng.choice([-1.0, 1.0], 12)
    grad, theta = logistic(X, y), rng.normal(size=3)

    def together(shards):
        N = sum(len(shard) for shard in shards)
        return sum(len(shard) / N * grad(theta, shard) for shard in shards)

    for sizes in ((12,), (1, 11), (3, 4, 5), (1, 1, 2, 8)):
        shards = np.split(rng.permutation(12), np.cumsum(sizes)[:-1])
        assert np.allclose(together(shards), grad(theta, np.arange(12)), rtol=1e-12)
        plain = np.mean([grad(theta, shard) for shard in shards], axis=0)
        assert (len(sizes) == 1) == np.allclose(plain, grad(theta, np.arange(12)), rtol=1e-3)


@formula("eq-stochastic-optimization-ball")
def test_ball(label):
    def following(q, eta, h, s2):
        return (1 - eta * h) ** 2 * q + eta**2 * s2

    def settled(eta, h, s2):
        return eta * s2 / (h * (2 - eta * h))

    for eta, h, s2 in ((0.5, 1.0, 1.0), (0.3, 2.0, 5.0), (0.05, 0.7, 0.3), (1.9, 1.0, 2.0)):
        theta, q = np.full(1, 3.0), 9.0  # all paths, by throws of +s and -s
        for _ in range(12):
            theta = np.concatenate([theta - eta * (h * theta + e * math.sqrt(s2)) for e in (-1, 1)])
            q = following(q, eta, h, s2)
            assert math.isclose(np.mean(theta**2), q, rel_tol=1e-12)
        for _ in range(2000):
            q = following(q, eta, h, s2)
        assert math.isclose(q, settled(eta, h, s2), rel_tol=1e-9)
        path = scipy.linalg.solve_discrete_lyapunov(np.array([[1 - eta * h]]), np.array([[eta**2 * s2]]))
        assert math.isclose(path.item(), settled(eta, h, s2), rel_tol=1e-9)
        size = settled(eta, h, s2)  # the exercise: the step for a ball
        assert math.isclose(2 * h * size / (s2 + h**2 * size), eta, rel_tol=1e-12)
    assert math.isclose(settled(0.005, 1, 1) / settled(0.01, 1, 1), 0.5, rel_tol=3e-3)


@formula("eq-stochastic-optimization-mean")
def test_mean(label):
    def position(eps, h):
        k = eps.shape[-1]
        return -1 / h * 1 / k * eps.sum(axis=-1)

    def second_moment(s, h, k):
        return s**2 / (h**2 * k)

    s, h = 0.7, 3.0
    for k in (1, 2, 5, 9):
        eps = s * signs(k)
        theta = np.full(len(eps), 10.0)
        for j in range(k):
            eta, before = 1 / (h * (j + 1)), theta
            theta = theta - eta * (h * theta + eps[:, j])
            assert np.allclose((j + 1) * theta, j * before - eps[:, j] / h)
        assert np.allclose(theta, position(eps, h), atol=1e-12)
        assert math.isclose(np.mean(theta**2), second_moment(s, h, k), rel_tol=1e-12)


def test_a_step_too_small_forgets_like_a_power():
    for c in (0.1, 0.5, 0.9):
        left = np.cumprod(1 - c / np.arange(1, 100_001))
        k = np.array([999, 9_999, 99_999])
        assert np.allclose(left[k] * (k + 1.0) ** c, 1 / math.gamma(1 - c), rtol=1e-3)
    assert 0.46 < np.prod(1 - 0.1 / np.arange(1, 1001)) < 0.48  # a thousand steps halve the distance


def test_the_mean_of_the_last_points_does_not_depend_on_the_step():
    def spread(eta, h, s, K):  # exact, of the mean of K points of a walk that has settled
        a, lags = 1 - eta * h, np.arange(1, K)
        return eta**2 * s**2 / (1 - a**2) / K * (1 + 2 * np.sum((1 - lags / K) * a**lags))

    for h, s in ((1.0, 1.0), (2.0, 0.5)):
        for eta in (0.1 / h, 0.5 / h, 1.5 / h):
            assert math.isclose(spread(eta, h, s, 20_000), s**2 / (h**2 * 20_000), rel_tol=2e-3)
            assert spread(eta, h, s, 1) == pytest.approx(eta * s**2 / (h * (2 - eta * h)))


@formula("eq-stochastic-optimization-robbins")
def test_robbins(label):
    def conditions(eta, k):  # terms of the two sums
        return eta(k), eta(k) ** 2

    def diverges(terms):  # whether the sum over k from n to 2n does not shrink with n
        blocks = [terms(np.arange(n, 2 * n)).sum() for n in (2**12, 2**16)]
        return blocks[1] > 0.9 * blocks[0]

    verdicts = {}
    for p in (0.0, 0.5, 0.6, 0.75, 1.0, 1.1, 2.0):
        for c in (0.1, 3.0):
            first, second = (
                diverges(lambda k, j=j, c=c, p=p: conditions(lambda k: c * k ** (-p), k.astype(float))[j])
                for j in (0, 1)
            )
            verdicts[p] = first, not second
            assert verdicts[p] == (p <= 1, p > 0.5)
    assert [p for p, both in verdicts.items() if all(both)] == [0.6, 0.75, 1.0]

    def square(p, steps):  # E theta² on the parabola h = s = 1 with the step (k + 1)^-p / 2, from 100
        q = 100.0
        for k in range(steps):
            eta = 0.5 * (k + 1) ** -p
            q = (1 - eta) ** 2 * q + eta**2
        return q

    assert square(1.0, 100_000) < 0.01 and square(0.75, 100_000) < 0.001
    assert square(2.0, 100_000) > 10 and square(0.0, 100_000) > 0.3  # either condition alone is not enough


@formula("eq-stochastic-optimization-batch")
def test_batch(label, rng):
    H = rng.normal(size=(3, 3))
    H = H @ H.T + np.eye(3)
    each = rng.normal(size=(4, 3)) * 2 + 1
    g = each.mean(axis=0)
    Sigma = (each - g).T @ (each - g) / 4

    def change(eta, B):
        return -eta * (g @ g) + 1 / 2 * eta**2 * (g @ H @ g + 1 / B * np.trace(H @ Sigma))

    def noise_scale():
        return np.trace(H @ Sigma) / (g @ H @ g)

    def best(B):
        return -((g @ g) ** 2) / (2 * (g @ H @ g)) * 1 / (1 + noise_scale() / B)

    def J(step):  # a parabola: to second order is all there is
        return g @ step + step @ H @ step / 2

    for B in (1, 2, 5):
        batches = np.array(list(itertools.product(range(4), repeat=B)))
        means = each[batches].mean(axis=1)
        for eta in (0.01, 0.3):
            found = np.mean([J(-eta * mean) for mean in means])
            assert math.isclose(change(eta, B), found, rel_tol=1e-10)
        low = scipy.optimize.minimize_scalar(lambda eta, B=B: change(eta, B), bracket=(0, 0.1))
        assert math.isclose(best(B), low.fun, rel_tol=1e-9)
    full = scipy.optimize.minimize_scalar(lambda eta: J(-eta * g), bracket=(0, 0.1))
    assert math.isclose(best(1e12), full.fun, rel_tol=1e-9)  # the first factor
    assert math.isclose(best(noise_scale()), full.fun / 2, rel_tol=1e-9)
    small = 1e-6 * noise_scale()  # far below the noise scale: linear scaling
    low = scipy.optimize.minimize_scalar(lambda eta: change(eta, small), bracket=(0, 1e-6), tol=1e-12)
    assert math.isclose(low.x, (g @ g) * small / np.trace(H @ Sigma), rel_tol=1e-4)
    H = 3 * np.eye(3)
    assert math.isclose(noise_scale(), np.mean(np.sum((each - g) ** 2, axis=1)) / (g @ g))


@formula("eq-stochastic-optimization-subgradient")
def test_subgradient(label, rng):
    def holds(f, g, x, points):
        return all(f(y) >= f(x) + g @ (y - x) - 1e-12 for y in points)

    def absolute(y):
        return np.abs(y).sum()

    near = 0.1 * rng.normal(size=(300, 2))
    for slope in (-1.5, -1.01, -1.0, -0.3, 0.0, 0.8, 1.0, 1.01, 2.0):
        g = np.array([slope, 1.0])  # at a kink of the first, and a smooth place of the second
        points = np.array([0.0, 2.0]) + near
        assert holds(absolute, g, np.array([0.0, 2.0]), points) == (abs(slope) <= 1)
    for wrong in (0.9, 1.1, -1.0):
        assert not holds(absolute, np.array([0.0, wrong]), np.array([0.0, 2.0]), points)
    at = torch.tensor([0.3, -0.8], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(torch.logsumexp(torch.stack([at[0], at[1], at.sum()]), 0), at)

    def smooth(y):
        return losses.logsumexp(np.array([y[0], y[1], y.sum()]))

    x, gradient = at.detach().numpy(), gradient.numpy()
    points = x + 3 * rng.normal(size=(300, 2))
    assert holds(smooth, gradient, x, points)
    for way in ((0.1, 0.0), (-0.1, 0.0), (0.0, 0.1), (0.0, -0.1)):  # where f is smooth it is the only one
        assert not holds(smooth, gradient + way, x, x + near)


@formula("eq-stochastic-optimization-hinge")
def test_hinge(label, rng):
    def slope(theta, t, x):
        return -theta * t * x

    for t in (1.0, -1.0):
        x = np.array([2.0, -1.0, 0.5])
        w = t * x / (x @ x)
        assert math.isclose(t * (x @ w), 1.0)
        points = w + rng.normal(size=(200, 3)) * np.repeat([[1e-2], [3.0]], 100, axis=0)
        scores = np.array([losses.hinge(np.array([x @ p]), np.array([t]))[0] for p in points])
        for theta in (-0.5, -0.01, 0.0, 0.3, 1.0, 1.01, 2.0):
            rises = (points - w) @ slope(theta, t, x)
            assert np.all(scores >= rises - 1e-12) == (0 <= theta <= 1)


@formula("eq-stochastic-optimization-distance")
def test_distance(label, rng):
    def bound(before, eta, gain, g):
        return before - 2 * eta * gain + eta**2 * (g @ g)

    f, slope = kinks(rng)
    for eta in (0.01, 0.3, 2.0):
        x = rng.normal(size=3)
        for _ in range(60):
            g, before = slope(x), x @ x
            new = x - eta * g
            # f is a norm, so that f(x) = g x, and both sides are equal
            assert math.isclose(new @ new, bound(before, eta, f(x), g), rel_tol=1e-9)
            x = new
    for _ in range(50):  # the hinge, whose minimum is everywhere at a distance: no more than the bound
        A, t = rng.normal(size=(4, 3)), rng.choice([-1.0, 1.0], 4)
        star = np.linalg.lstsq(A[:3], 2 * t[:3], rcond=None)[0]
        t[3] = np.sign(A[3] @ star)
        star *= max(1, 1 / abs(A[3] @ star))  # all margins are at least 1: the minimum is 0
        x, eta = rng.normal(size=3), rng.uniform(0.01, 1)
        value, scores = losses.hinge(A @ x, t)
        g = A.T @ scores
        assert np.sum((x - eta * g - star) ** 2) <= bound(np.sum((x - star) ** 2), eta, value, g) + 1e-9


def test_a_step_that_goes_up_and_comes_nearer():
    def f(x):
        return abs(x[0]) + 2 * abs(x[1])

    for eta in (Fraction(1, 10), Fraction(1, 3), Fraction(1)):
        new = (1 - eta, -2 * eta)
        assert f(new) == 1 + 3 * eta
        assert sum(a * a for a in new) == 1 - 2 * eta + 5 * eta**2
        assert (sum(a * a for a in new) < 1) == (eta < Fraction(2, 5))
    grid = itertools.product(np.linspace(-2, 3, 21), repeat=2)
    assert all(f(y) >= f((1, 0)) + (y[0] - 1) + 2 * y[1] - 1e-12 for y in grid)


@formula("eq-stochastic-optimization-rate")
def test_rate(label, rng):
    def bound(R, G, etas):
        return (R**2 + G**2 * np.sum(etas**2)) / (2 * np.sum(etas))

    def at_best(R, G, k):
        return R * G / math.sqrt(k), R / (G * math.sqrt(k))

    for R, G, k in ((1.0, 1.0, 16), (3.0, 0.5, 100), (0.2, 7.0, 9)):
        value, eta = at_best(R, G, k)
        assert math.isclose(bound(R, G, np.full(k, eta)), value)
        low = scipy.optimize.minimize_scalar(lambda e, R=R, G=G, k=k: bound(R, G, np.full(k, e)),
                                             bounds=(eta / 9, 9 * eta), method="bounded")  # fmt: skip
        assert math.isclose(low.fun, value, rel_tol=1e-6) and math.isclose(low.x, eta, rel_tol=1e-2)
    f, slope = kinks(rng)
    for etas in (np.full(50, 0.1), 1 / np.sqrt(np.arange(1, 51)), rng.uniform(0.01, 0.5, 50)):
        x = start = rng.normal(size=3)
        points, lengths = [], []
        for eta in etas:
            points.append(x)
            lengths.append(np.linalg.norm(slope(x)))
            x = x - eta * slope(x)
        limit = bound(np.linalg.norm(start), max(lengths), etas)
        assert min(map(f, points)) <= limit
        assert f(np.average(points, axis=0, weights=etas)) <= limit
    for n in (4, 25, 100):  # max(x_1, ..., x_n, -1/sqrt(n)) keeps to the bound exactly
        x, values = np.zeros(n), []
        for _ in range(n):
            j = int(np.argmax(x))
            values.append(max(x[j], -1 / math.sqrt(n)))
            x[j] -= at_best(1, 1, n)[1]
        assert math.isclose(min(values) + 1 / math.sqrt(n), bound(1, 1, np.full(n, 1 / math.sqrt(n))))
        assert math.isclose(min(values) + 1 / math.sqrt(n), at_best(1, 1, n)[0])
        assert math.isclose(np.linalg.norm(np.full(n, -1 / math.sqrt(n))), 1)  # R, to the nearest minimum


@formula("eq-stochastic-optimization-svm")
def test_svm(label, rng):
    def f(w, A, t, mu):
        n = len(t)
        return 1 / n * sum(max(0, 1 - t[i] * (A[i] @ w)) for i in range(n)) + mu * np.sum(np.abs(w))

    A, t = rng.normal(size=(9, 4)), rng.choice([-1.0, 1.0], 9)
    for mu in (0.0, 0.05, 0.7):
        for w in (np.zeros(4), rng.normal(size=4), 3 * rng.normal(size=4)):
            margins = torch.tensor(t * (A @ w))
            hinge = torch.nn.functional.hinge_embedding_loss(margins, -torch.ones(9), margin=1.0)
            ones = torch.linalg.vector_norm(torch.tensor(w), ord=1)
            assert math.isclose(f(w, A, t, mu), hinge.item() + mu * ones.item(), rel_tol=1e-12)
            assert math.isclose(f(w, A, t, mu), losses.hinge(A @ w, t)[0] + mu * np.abs(w).sum())
    mu = 0.05  # the linear program of the chapter has the same minimum as the formula
    costs = np.r_[np.full(8, mu), np.full(9, 1 / 9)]
    sides = np.c_[-t[:, None] * A, t[:, None] * A, -np.eye(9)]
    exact = scipy.optimize.linprog(costs, A_ub=sides, b_ub=-np.ones(9), bounds=(0, None))
    w = exact.x[:4] - exact.x[4:8]
    assert math.isclose(f(w, A, t, mu), exact.fun, rel_tol=1e-9)
    assert all(f(w + 0.1 * rng.normal(size=4), A, t, mu) >= exact.fun - 1e-12 for _ in range(200))


@formula("eq-stochastic-optimization-soft")
def test_soft(label):
    def objective(u, w, tau):
        return 1 / 2 * (u - w) ** 2 + tau * np.abs(u)

    def soft(w, tau):
        return np.sign(w) * np.maximum(np.abs(w) - tau, 0)

    u = np.arange(-6, 6.001, 1 / 64)  # holds all of the answers
    for w, tau in itertools.product((-4.0, -1.0, -0.25, 0.0, 0.5, 1.0, 3.5), (0.0, 0.25, 1.0, 2.0)):
        assert u[np.argmin(objective(u, w, tau))] == soft(w, tau)
        torchs = torch.nn.functional.softshrink(torch.tensor(w, dtype=torch.float64), tau).item()
        assert soft(w, tau) == torchs


@formula("eq-stochastic-optimization-adam")
def test_adam(label, rng):
    def moments(m, v, g, b1, b2):
        return b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2

    def corrected(m, v, b1, b2, k):
        return m / (1 - b1**k), v / (1 - b2**k)

    def step(theta, m_hat, v_hat, eta, eps):
        return theta - eta * m_hat / (np.sqrt(v_hat) + eps)

    for eta, b1, b2, eps in ((0.1, 0.9, 0.999, 1e-8), (0.03, 0.5, 0.8, 0.3), (0.2, 0.0, 0.9, 1e-2)):
        theta, m, v = rng.normal(size=4), np.zeros(4), np.zeros(4)
        there = torch.tensor(theta.copy(), requires_grad=True)
        rule = torch.optim.Adam([there], lr=eta, betas=(b1, b2), eps=eps)
        ours = theta.copy()
        own = optim.Adam([ours], lr=eta, betas=(b1, b2), eps=eps)
        for k in range(1, 40):
            g = rng.normal(size=4) * [1, 100, 0.01, k % 7 == 0]
            m, v = moments(m, v, g, b1, b2)
            theta = step(theta, *corrected(m, v, b1, b2, k), eta, eps)
            there.grad = torch.tensor(g)
            rule.step()
            own.step([g])
            assert np.allclose(theta, there.detach().numpy(), rtol=1e-10)
            assert np.allclose(theta, ours, rtol=1e-10)
    g = np.array([3.0, -0.2])  # with both betas at 0, and no eps: the sign
    assert np.allclose(step(0, *corrected(*moments(0, 0, g, 0, 0), 0, 0, 1), 0.1, 0), -0.1 * np.sign(g))


@formula("eq-stochastic-optimization-bias")
def test_bias(label):
    def unrolled(beta, g):
        k = len(g)
        return (1 - beta) * sum(beta ** (k - j) * g[j - 1] for j in range(1, k + 1))

    def middle(beta, k, mean):
        return (1 - beta) * sum(beta**i for i in range(k)) * mean

    def right(beta, k, mean):
        return (1 - beta**k) * mean

    for beta in (0.0, 0.5, 0.9, 0.999):
        for k in (1, 2, 3, 8):
            g = 0.6 + signs(k) * 2.0  # all outcomes, of mean 0.6
            m = np.zeros(len(g))
            for j in range(k):
                m = torch.lerp(torch.tensor(m), torch.tensor(g[:, j]), 1 - beta).numpy()
            assert np.allclose(unrolled(beta, g.T), m, atol=1e-12)
            assert math.isclose(m.mean(), middle(beta, k, 0.6), rel_tol=1e-9)
            assert math.isclose(m.mean(), right(beta, k, 0.6), rel_tol=1e-9)
    # what the chapter says of the usual betas
    assert math.isclose(right(0.9, 1, 1) / math.sqrt(right(0.999, 1, 1)), math.sqrt(10), rel_tol=1e-9)
    assert 6 < right(0.9, 20, 1) / math.sqrt(right(0.999, 20, 1)) < 6.5
    assert right(0.9, 30, 1) > 0.95 and math.isclose(math.sqrt(right(0.999, 30, 1)), 1 / 6, rel_tol=0.05)


def test_how_long_a_step_of_adam_can_be():
    b1, b2 = 0.9, 0.999
    silence = [0.0] * 10_000
    rare = [*silence, 1.0]  # one gradient after a long silence
    worst = [*silence, *(b1 / b2) ** np.arange(199, -1, -1)]  # the worst of all, by Cauchy and Schwarz
    for gradients, longest in ((rare, 0.1 / math.sqrt(0.001)), (worst, 7.27)):
        theta = np.zeros(1)
        rule = optim.Adam([theta], lr=1.0, betas=(b1, b2), eps=1e-30)
        for g in gradients:
            before = theta[0]
            rule.step([np.array([g])])
        assert math.isclose(before - theta[0], longest, rel_tol=1e-3)


@formula("eq-stochastic-optimization-lion")
def test_lion(label, rng):
    def step(theta, m, g, eta, b1, b2):
        return theta - eta * np.sign(b1 * m + (1 - b1) * g), b2 * m + (1 - b2) * g

    for eta, b1, b2 in ((0.1, 0.9, 0.99), (0.02, 0.3, 0.8)):
        theta = rng.normal(size=5)
        ours, m, seen = theta.copy(), np.zeros(5), []
        rule = optim.Lion([ours], lr=eta, betas=(b1, b2))
        for k in range(1, 60):
            g = rng.normal(size=5)
            # the memory, unrolled: an average of all gradients so far, without this one
            past = sum((1 - b2) * b2 ** (len(seen) - 1 - j) * old for j, old in enumerate(seen))
            assert np.allclose(m, past if k > 1 else 0)
            by_hand = theta - eta * np.where((1 - b1) * g > -b1 * m, 1, -1)
            theta, m = step(theta, m, g, eta, b1, b2)
            rule.step([g])
            seen.append(g)
            assert np.allclose(theta, by_hand) and np.allclose(theta, ours)


@formula("eq-stochastic-optimization-adamw")
def test_adamw(label, rng):
    def step(theta, m_hat, v_hat, eta, lam, eps):
        return (1 - eta * lam) * theta - eta * m_hat / (np.sqrt(v_hat) + eps)

    for eta, lam, eps in ((0.1, 0.5, 1e-8), (0.02, 3.0, 0.2)):
        theta, m, v = rng.normal(size=4), np.zeros(4), np.zeros(4)
        there = torch.tensor(theta.copy(), requires_grad=True)
        rule = torch.optim.AdamW([there], lr=eta, betas=(0.9, 0.99), eps=eps, weight_decay=lam)
        ours = theta.copy()
        own = optim.AdamW([ours], lr=eta, betas=(0.9, 0.99), eps=eps, weight_decay=lam)
        for k in range(1, 30):
            g = rng.normal(size=4) * [1, 100, 0.01, 0]
            m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
            theta = step(theta, m / (1 - 0.9**k), v / (1 - 0.99**k), eta, lam, eps)
            there.grad = torch.tensor(g)
            rule.step()
            own.step([g])
            assert np.allclose(theta, there.detach().numpy(), rtol=1e-10)
            assert np.allclose(theta, ours, rtol=1e-10)


@formula("eq-stochastic-optimization-shampoo")
def test_shampoo(label, rng):
    def power(M, p):  # of a symmetric matrix, on what is not in its null space
        value, vector = np.linalg.eigh(M)
        keep = value > 1e-9
        return vector[:, keep] * value[keep] ** p @ vector[:, keep].T

    def left(G):
        return power(G @ G.T, -1 / 4) @ G @ power(G.T @ G, -1 / 4)

    def middle(G):
        U, S, Vt = np.linalg.svd(G, full_matrices=False)
        return U @ np.diag(S ** (-1 / 2)) @ np.diag(S) @ np.diag(S ** (-1 / 2)) @ Vt

    def right(G):
        U, _, Vt = np.linalg.svd(G, full_matrices=False)
        return U @ Vt

    for shape in ((4, 4), (7, 3), (2, 6)):
        G = rng.normal(size=shape) * 3
        tall = G if shape[0] >= shape[1] else G.T
        oracle = scipy.linalg.polar(tall)[0]  # the nearest matrix with orthonormal columns
        oracle = oracle if shape[0] >= shape[1] else oracle.T
        for side in (left, middle, right):
            assert np.allclose(side(G), oracle, atol=1e-9)
        for _ in range(20):  # the steepest of all directions that change no input by more than its length
            other = rng.normal(size=shape)
            other /= np.linalg.norm(other, 2)
            assert np.sum(G * other) <= np.sum(G * right(G))


@formula("eq-stochastic-optimization-schulz")
def test_schulz(label, rng):
    def matrix(X, a, b, c):
        return a * X + b * (X @ X.T) @ X + c * np.linalg.matrix_power(X @ X.T, 2) @ X

    def number(s, a, b, c):
        return a * s + b * s**3 + c * s**5

    for a, b, c in ((3.4445, -4.775, 2.0315), (2.0, -1.5, 0.5), (1.0, 0.7, -0.3)):
        for shape in ((3, 3), (2, 5), (5, 2)):
            X = rng.normal(size=shape)
            U, S, Vt = np.linalg.svd(X, full_matrices=False)
            assert np.allclose(matrix(X, a, b, c), U @ np.diag(number(S, a, b, c)) @ Vt)
            ours = optim.newton_schulz(X, coefficients=(a, b, c), steps=1, dtype="float64")
            assert np.allclose(matrix(X / np.linalg.norm(X), a, b, c), ours)
    assert np.allclose(X @ X.T @ X, U @ np.diag(S**3) @ Vt)
    s = np.linspace(0.01, 1, 100)
    for _ in range(20):
        s = number(s, 2.0, -1.5, 0.5)
    assert np.allclose(s, 1)


@formula("eq-stochastic-optimization-free")
def test_free(label, rng):
    def between(z, x, beta):
        return (1 - beta) * z + beta * x

    def step(z, g, eta):
        return z - eta * g

    def average(x, z, k):
        return (1 - 1 / (k + 1)) * x + 1 / (k + 1) * z

    H = np.diag([1.0, 3.0])
    for eta, beta in ((0.1, 0.9), (0.3, 0.5), (0.2, 0.0)):
        z = x = rng.normal(size=2)
        params, zs = x.copy(), []
        rule = optim.ScheduleFree([params], lr=eta, momentum=beta)
        for k in range(50):
            y = between(z, x, beta)
            assert np.allclose(y, params)
            g = H @ y + rng.normal(size=2)
            z = step(z, g, eta)
            x = average(x, z, k)
            zs.append(z)
            rule.step([g])
            assert np.allclose(x, np.mean(zs, axis=0)) and np.allclose(x, rule.average[0])
    assert np.allclose(between(z, x, 0.0), z) and np.allclose(between(z, x, 1.0), x)


@formula("eq-stochastic-optimization-svrg")
def test_svrg(label, rng, grad):
    everyone = list(range(5))

    def direction(theta, s, i):
        return grad(theta, [i]) - grad(s, [i]) + grad(s, everyone)

    def noise(theta, s):
        full = grad(theta, everyone)
        return np.mean([np.sum((direction(theta, s, i) - full) ** 2) for i in everyone])

    theta, s = rng.normal(size=(2, 3))
    mean = np.mean([direction(theta, s, i) for i in everyone], axis=0)
    assert np.allclose(mean, grad(theta, everyone), rtol=1e-12)
    correction = np.mean([-grad(s, [i]) + grad(s, everyone) for i in everyone], axis=0)
    assert np.allclose(correction, 0, atol=1e-15)
    for i in everyone:  # at the snapshot there is no noise at all
        assert np.allclose(direction(s, s, i), grad(s, everyone), rtol=1e-12)
    way = theta - s
    assert math.isclose(noise(s + 1e-3 * way, s) / noise(s + 1e-4 * way, s), 100, rel_tol=0.01)


@formula("eq-stochastic-optimization-shift")
def test_shift(label, rng):
    def slope(f, theta):
        return 1 / 2 * (f(theta + np.pi / 2) - f(theta - np.pi / 2))

    for a, b, c in rng.normal(size=(5, 3)):

        def f(theta, a=a, b=b, c=c):
            return a + b * np.cos(theta) + c * np.sin(theta)

        for theta in rng.uniform(-6, 6, 5):
            assert math.isclose(slope(f, theta), np.imag(f(theta + 1e-30j)) / 1e-30, abs_tol=1e-13)


def test_a_circuit_is_a_sine_wave_of_each_angle(rng):
    def turn(angle):
        half = torch.cos(angle / 2), torch.sin(angle / 2)
        return torch.stack([torch.stack([half[0], -half[1]]), torch.stack([half[1], half[0]])])

    flip = torch.eye(4, dtype=torch.float64)[[0, 1, 3, 2]]
    start, one = torch.eye(4, dtype=torch.float64)[0], torch.eye(2, dtype=torch.float64)

    def f(angles):
        state = torch.kron(turn(angles[2]), one) @ flip @ torch.kron(turn(angles[0]), turn(angles[1])) @ start
        return torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64) @ state**2

    angles = torch.tensor(rng.uniform(-3, 3, 3), requires_grad=True)
    (exact,) = torch.autograd.grad(f(angles), angles)
    grid = 2 * np.pi * np.arange(8) / 8
    for j in range(3):
        unit = torch.eye(3, dtype=torch.float64)[j]
        up, down = f(angles + np.pi / 2 * unit), f(angles - np.pi / 2 * unit)
        assert math.isclose((up - down).item() / 2, exact[j].item(), abs_tol=1e-14)
        waves = np.abs(np.fft.rfft([f(angles + by * unit).item() for by in grid]))
        assert np.all(waves[2:] < 1e-12)
