"""The displayed formulas of the chapter on gradient descent, each written out as it stands there.

Each is held against an oracle: the package's optimizer, a difference, brute force, another library.
A wrong sign or a wrong factor makes the test of that formula fail.
"""

import math
from functools import partial

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import approx_fprime
from scipy.optimize import minimize as scipy_minimize

from speechlib import losses
from speechlib.optim import SGD, GradientDescent, backtracking, minimize


def formula(label):
    """Say which formula a test is about."""
    return pytest.mark.parametrize("label", [label])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def quadratic(rng, d=5):
    """A least-squares problem: X (N, d), t (N,), Hessian, minimizer."""
    X, t = rng.normal(size=(40, d)) * np.geomspace(1, 3, d), rng.normal(size=40)
    return X, t, X.T @ X / 40, np.linalg.lstsq(X, t, rcond=None)[0]


def logistic(rng, n=30, d=4):
    X, y = rng.normal(size=(n, d)), rng.integers(0, 2, n).astype(float)

    def fun(theta):
        loss, slope = losses.binary_cross_entropy(X @ theta, y)
        return loss, X.T @ slope

    return X, y, fun


def worst(matrices):
    return np.max(np.abs(np.linalg.eigvals(matrices)), axis=-1)


@formula("eq-gradient-descent-promise")
def test_promise(label):
    J, first, second = np.exp, np.exp, np.exp
    for h in (0.5, -0.5, 0.1):
        rest = (J(1 + h) - J(1) - h * first(1)) / (h**2 / 2)  # must be J'' at a point in between
        low, high = sorted((second(1), second(1 + h)))
        assert low < rest < high


@formula("eq-gradient-descent-update")
def test_update(label):
    history = minimize(lambda w: (w**4, 4 * w**3), 0.7, partial(GradientDescent, lr=0.1), 1)
    assert math.isclose(history.x[1], 0.7 - 0.1 * 4 * 0.7**3)


@formula("eq-gradient-descent-parabola")
def test_parabola(label, rng):
    x, t = rng.normal(size=20), rng.normal(size=20)
    L = np.mean(x**2)
    best = scipy_minimize(lambda w: np.sum((w[0] * x - t) ** 2) / 40, 0.0)
    for w in (-1.0, 0.3, 2.0):
        assert np.isclose(np.sum((w * x - t) ** 2) / 40, best.fun + L * (w - best.x[0]) ** 2 / 2, atol=1e-9)


@formula("eq-gradient-descent-factor")
@pytest.mark.parametrize("eta", [0.1, 0.5, 0.9, 1.2])
def test_factor(label, eta):
    L, w_star = 2.0, 0.7
    history = minimize(
        lambda w: (L * (w - w_star) ** 2 / 2, L * (w - w_star)), 3.0, partial(GradientDescent, lr=eta), 8
    )
    assert np.allclose(history.x - w_star, (1 - eta * L) ** np.arange(9) * (3.0 - w_star))


@formula("eq-gradient-descent-quadratic")
def test_quadratic(label, rng):
    X, t, H, best = quadratic(rng)
    assert np.allclose(H, sum(np.outer(x, x) for x in X) / len(X))

    def J(theta):
        return np.sum((X @ theta - t) ** 2) / (2 * len(X))

    theta = rng.normal(size=5)
    assert np.isclose(J(theta), J(best) + (theta - best) @ H @ (theta - best) / 2)
    assert np.allclose(approx_fprime(theta, J, 1e-7), H @ (theta - best), atol=1e-5)


@formula("eq-gradient-descent-linear")
def test_linear(label, rng):
    X, t, H, best = quadratic(rng)
    history = minimize(
        lambda a: (0.0, X.T @ (X @ a - t) / len(X)), np.ones(5), partial(GradientDescent, lr=0.05), 1
    )
    assert np.allclose(history.x[1] - best, (np.eye(5) - 0.05 * H) @ (history.x[0] - best))


@formula("eq-gradient-descent-eigen")
def test_eigen(label, rng):
    X, t, H, best = quadratic(rng)
    eigenvalues, V = np.linalg.eigh(H)
    history = minimize(
        lambda a: (0.0, X.T @ (X @ a - t) / len(X)), np.ones(5), partial(GradientDescent, lr=0.05), 9
    )
    assert np.allclose(
        V.T @ (history.x[9] - best), (1 - 0.05 * eigenvalues) ** 9 * (V.T @ (history.x[0] - best))
    )


@formula("eq-gradient-descent-rho")
def test_rho(label):
    eigenvalues = np.array([0.1, 0.5, 2.0])
    for eta in (0.3, 0.9, 0.99, 1.1):
        rho = max(abs(1 - eta * 0.1), abs(1 - eta * 2.0))
        assert math.isclose(rho, np.max(np.abs(1 - eta * eigenvalues)))
        run = minimize(lambda c: (0.0, eigenvalues * c), np.ones(3), partial(GradientDescent, lr=eta), 400).x
        assert math.isclose(np.linalg.norm(run[400]) / np.linalg.norm(run[399]), rho, rel_tol=1e-6)


@formula("eq-gradient-descent-best-step")
def test_best_step(label):
    mu, L = 0.1, 2.0
    etas = np.linspace(0.001, 1.2, 200_001)
    rhos = np.maximum(np.abs(1 - etas * mu), np.abs(1 - etas * L))
    kappa = L / mu
    assert math.isclose(etas[np.argmin(rhos)], 2 / (L + mu), abs_tol=1e-5)
    assert math.isclose(rhos.min(), (L - mu) / (L + mu), abs_tol=1e-5)
    assert math.isclose((L - mu) / (L + mu), (kappa - 1) / (kappa + 1))
    assert (
        abs(math.log(10) / -math.log((kappa - 1) / (kappa + 1)) / (1.15 * kappa) - 1) < 0.01
    )  # the text's rule


@formula("eq-gradient-descent-logistic")
def test_logistic(label, rng):
    X, y, fun = logistic(rng)
    theta = rng.normal(size=4)
    p = sigmoid(X @ theta)
    assert np.isclose(np.mean(-y * np.log(p) - (1 - y) * np.log(1 - p)), fun(theta)[0])


@formula("eq-gradient-descent-logistic-gradient")
def test_logistic_gradient(label, rng):
    X, y, fun = logistic(rng)
    theta = rng.normal(size=4)
    p = sigmoid(X @ theta)
    ours = sum((p[i] - y[i]) * X[i] for i in range(len(y))) / len(y)
    assert np.allclose(ours, X.T @ (p - y) / len(y))
    assert np.allclose(ours, approx_fprime(theta, lambda a: fun(a)[0], 1e-7), atol=1e-6)


@formula("eq-gradient-descent-complex-step")
def test_complex_step(label):
    assert math.isclose((np.sin(0.7 + 1e-30j)).imag / 1e-30, math.cos(0.7), rel_tol=1e-15)
    errors = [abs(np.sin(0.7 + 1j * h).imag / h - math.cos(0.7)) for h in (1e-1, 1e-2)]
    assert 95 < errors[0] / errors[1] < 105  # O(h^2)


@formula("eq-gradient-descent-steepest")
def test_steepest(label, rng):
    g = rng.normal(size=3)
    u = rng.normal(size=(200_000, 3))
    ball = u / np.linalg.norm(u, axis=1, keepdims=True)
    box = u / np.max(np.abs(u), axis=1, keepdims=True)
    assert np.isclose(-g @ g / np.linalg.norm(g), -np.linalg.norm(g))
    assert -np.linalg.norm(g) <= np.min(ball @ g) < -0.999 * np.linalg.norm(g)
    assert np.isclose(-np.sign(g) @ g, -np.sum(np.abs(g)))
    assert -np.sum(np.abs(g)) <= np.min(box @ g) < -0.98 * np.sum(np.abs(g))


@formula("eq-gradient-descent-logistic-hessian")
def test_logistic_hessian(label, rng):
    X, y, fun = logistic(rng)
    theta = rng.normal(size=4)
    p = sigmoid(X @ theta)
    H = sum(p[i] * (1 - p[i]) * np.outer(X[i], X[i]) for i in range(len(y))) / len(y)
    step = 1e-6 * np.eye(4)
    differences = [(fun(theta + e)[1] - fun(theta - e)[1]) / 2e-6 for e in step]
    assert np.allclose(H, differences, atol=1e-7)
    assert np.linalg.eigvalsh(X.T @ X / len(y) / 4 - H)[0] >= 0
    at_zero = sum(np.outer(x, x) for x in X) / len(y) / 4  # the quarter is reached at p = 1/2
    assert np.allclose([(fun(e)[1] - fun(-e)[1]) / 2e-6 for e in step], at_zero, atol=1e-7)


def smooth(rng):
    X, y, fun = logistic(rng)
    return fun, np.linalg.eigvalsh(X.T @ X / len(y))[-1] / 4


@formula("eq-gradient-descent-smooth")
def test_smooth(label, rng):
    fun, L = smooth(rng)
    for _ in range(200):
        theta, d = rng.normal(size=4), rng.normal(size=4) * rng.exponential()
        J, g = fun(theta)
        assert fun(theta + d)[0] <= J + g @ d + L / 2 * d @ d
    c = np.array([1.0, 2.0])  # with equality for a bowl: no smaller factor than L / 2 would do
    assert np.isclose(3 * (c + 1) @ (c + 1) / 2, 3 * c @ c / 2 + 3 * c @ np.ones(2) + 3 / 2 * 2)


@formula("eq-gradient-descent-lemma")
def test_lemma(label, rng):
    fun, L = smooth(rng)
    for eta in (0.1 / L, 1 / L, 1.9 / L, 5 / L):
        theta = rng.normal(size=4)
        J, g = fun(theta)
        assert fun(theta - eta * g)[0] <= J - eta * (1 - eta * L / 2) * g @ g
    for eta in (0.2, 0.5):  # with equality on a bowl of curvature L = 3
        c = np.array([1.0, 2.0])
        assert np.isclose(
            1.5 * np.sum((c - eta * 3 * c) ** 2), 1.5 * c @ c - eta * (1 - eta * 3 / 2) * 9 * c @ c
        )


@formula("eq-gradient-descent-distance")
def test_distance(label, rng):
    theta, g, star = rng.normal(size=(3, 4))
    eta = 0.3
    after = theta - eta * g - star
    assert np.isclose(
        after @ after, (theta - star) @ (theta - star) - 2 * eta * g @ (theta - star) + eta**2 * g @ g
    )


@formula("eq-gradient-descent-convex")
def test_convex(label):
    # Nearly tight: |x|, rounded off within delta, has curvature 1 / delta, and descent walks on its arm.
    k, start = 50, 1.0
    delta = start / (2 * k + 1)
    eta = delta

    def huber(x):
        inside = abs(x) <= delta
        return (x**2 / (2 * delta) if inside else abs(x) - delta / 2), (x / delta if inside else np.sign(x))

    value = minimize(huber, start, partial(GradientDescent, lr=eta), k).value[k]
    bound = start**2 / (2 * eta * k)
    assert 0.45 * bound < value <= bound


@formula("eq-gradient-descent-precondition")
def test_precondition(label, rng):
    X, y, fun = logistic(rng)
    M = rng.normal(size=(4, 4))
    S = M @ M.T + np.eye(4)  # symmetric
    new = X @ np.linalg.inv(S)  # rows S^-1 x

    def in_new_units(theta):
        loss, slope = losses.binary_cross_entropy(new @ theta, y)
        return loss, new.T @ slope

    theta = rng.normal(size=4)
    assert np.isclose(in_new_units(S @ theta)[0], fun(theta)[0])
    step = minimize(in_new_units, S @ theta, partial(GradientDescent, lr=0.3), 1).x[1]
    assert np.allclose(np.linalg.solve(S, step), theta - 0.3 * np.linalg.inv(S @ S) @ fun(theta)[1])


@formula("eq-gradient-descent-armijo")
def test_armijo(label, rng):
    fun, L = smooth(rng)
    theta = rng.normal(size=4)
    J, g = fun(theta)
    c = 0.3
    eta = backtracking(fun, theta, g, lr=1000.0, slope=c)
    assert fun(theta - eta * g)[0] <= J - c * eta * g @ g
    assert fun(theta - 2 * eta * g)[0] > J - c * 2 * eta * g @ g  # the step before was refused for it
    for eta in np.geomspace(1e-3, 1, 20) * 2 * (1 - c) / L:  # as the text says, from the lemma
        assert fun(theta - eta * g)[0] <= J - c * eta * g @ g


@formula("eq-gradient-descent-heavy-ball")
def test_heavy_ball(label, rng):
    fun, L = smooth(rng)
    history = minimize(fun, np.ones(4), partial(SGD, lr=0.4, momentum=0.7), 10)
    for k in range(1, 10):
        expected = history.x[k] - 0.4 * history.gradient[k] + 0.7 * (history.x[k] - history.x[k - 1])
        assert np.allclose(history.x[k + 1], expected)


@formula("eq-gradient-descent-heavy-ball-matrix")
def test_heavy_ball_matrix(label):
    eta, beta, curvature = 0.3, 0.6, 2.0
    c = minimize(lambda c: (0.0, curvature * c), 1.0, partial(SGD, lr=eta, momentum=beta), 9).x
    M = np.array([[1 + beta - eta * curvature, -beta], [1, 0]])
    for k in range(1, 9):
        assert np.allclose(M @ [c[k], c[k - 1]], [c[k + 1], c[k]])
    roots = np.roots([1, -(1 + beta - eta * curvature), beta])  # the text's characteristic polynomial
    assert np.allclose(np.sort_complex(roots), np.sort_complex(np.linalg.eigvals(M)))


@formula("eq-gradient-descent-band")
def test_band(label):
    for beta in (0.1, 0.5, 0.9):
        for product in np.linspace(0.001, 3.99, 500):  # eta * lambda
            radius = worst(np.array([[1 + beta - product, -beta], [1, 0]]))
            inside = (1 - math.sqrt(beta)) ** 2 < product < (1 + math.sqrt(beta)) ** 2
            assert math.isclose(radius, math.sqrt(beta), rel_tol=1e-9) == inside
            assert (radius < 1) == (product < 2 * (1 + beta))  # where the text says that the cliff is


@formula("eq-gradient-descent-heavy-ball-best")
def test_heavy_ball_best(label):
    mu, L = 0.05, 2.0
    root = math.sqrt(L / mu)
    lr, rho = (2 / (math.sqrt(L) + math.sqrt(mu))) ** 2, (root - 1) / (root + 1)

    def slowest(lr, beta):
        return max(worst(np.array([[1 + beta - lr * c, -beta], [1, 0]])) for c in (mu, 0.3, L))

    assert math.isclose(slowest(lr, rho**2), rho, rel_tol=1e-6)
    around = [
        slowest(lr * a, rho**2 * b) for a in np.linspace(0.8, 1.2, 21) for b in np.linspace(0.8, 1.2, 21)
    ]
    assert min(around) > rho - 1e-6


@formula("eq-gradient-descent-nesterov")
def test_nesterov(label):
    mu, L = 0.05, 2.0
    eta, beta, curvature = 0.3, 0.6, 2.0
    c = minimize(lambda c: (0.0, curvature * c), 1.0, partial(SGD, lr=eta, momentum=beta, nesterov=True), 9).x
    still = 1 - eta * curvature
    M = np.array([[(1 + beta) * still, -beta * still], [1, 0]])
    for k in range(1, 8):  # the package keeps the point ahead, which obeys it from its second step
        assert np.allclose(M @ [c[k + 1], c[k]], [c[k + 2], c[k + 1]])

    def slowest(lr, beta):
        return max(
            worst(np.array([[(1 + beta) * (1 - lr * c), -beta * (1 - lr * c)], [1, 0]])) for c in (mu, 0.3, L)
        )

    r = math.sqrt(3 * L / mu + 1)
    lr, beta = 4 / (3 * L + mu), (r - 2) / (r + 2)
    assert math.isclose(slowest(lr, beta), 1 - 2 / r, rel_tol=1e-6)
    around = [slowest(lr * a, beta * b) for a in np.linspace(0.8, 1.2, 21) for b in np.linspace(0.8, 1.2, 21)]
    assert min(around) > 1 - 2 / r - 1e-6


@formula("eq-gradient-descent-newton")
def test_newton(label, rng):
    X, y, fun = logistic(rng)
    theta = np.zeros(4)
    for _ in range(8):
        p = sigmoid(X @ theta)
        theta = theta - np.linalg.solve(X.T @ (X * (p * (1 - p))[:, None]) / len(y), fun(theta)[1])
    assert np.linalg.norm(fun(theta)[1]) < 1e-14
    X, t, H, best = quadratic(rng)
    start = rng.normal(size=5)
    assert np.allclose(start - np.linalg.solve(H, H @ (start - best)), best)  # one step, as the text says


@formula("eq-gradient-descent-logarithm")
def test_logarithm(label):
    m = 1.7
    solved = solve_ivp(lambda t, w: m * np.exp(-m * w), (0, 50), [0.0], rtol=1e-10, atol=1e-12)
    assert math.isclose(solved.y[0, -1], math.log(1 + m**2 * 50) / m, rel_tol=1e-7)


@formula("eq-gradient-descent-saddle")
def test_saddle(label, rng):
    def J(theta):
        return (theta[0] * theta[1] - 1) ** 2 / 2

    def gradient(theta):
        a, b = theta
        return (a * b - 1) * np.array([b, a])

    theta = rng.normal(size=2)
    assert np.allclose(approx_fprime(theta, J, 1e-8), gradient(theta), atol=1e-6)
    H = np.array([[0, -1], [-1, 0]])
    assert np.allclose([(gradient(e) - gradient(-e)) / 2e-5 for e in 1e-5 * np.eye(2)], H, atol=1e-8)
    assert np.allclose(H @ [1, -1], [1, -1]) and np.allclose(H @ [1, 1], [-1, -1])  # the text's eigenvectors
    path = minimize(
        lambda t: (0.0, gradient(t)), np.array([1e-6, 1e-6]), partial(GradientDescent, lr=0.1), 20
    ).x
    assert np.allclose(path[20] / path[0], 1.1**20, rtol=1e-6)


@formula("eq-gradient-descent-random")
def test_random(label, rng):
    d = 400
    for n in (10, 100, 1000):
        u = rng.normal(size=(50, n, d))
        best = (u[..., 0] / np.linalg.norm(u, axis=-1)).max(axis=1).mean()
        assert 0.65 < best / math.sqrt(2 * math.log(n) / d) < 1.0  # from below, and closer as n grows
