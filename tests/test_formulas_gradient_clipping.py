"""The displayed formulas of the chapter on gradient clipping, each written out as it stands there.

Each is held against an oracle that does not use it: PyTorch's differentiation and its clipping, the functions
of `speechlib.clip`, differences, draws, circulation along a curve. A wrong sign, factor, index or root makes
the test of that formula fail.
"""

import itertools
import math

import numpy as np
import pytest
import torch

from speechlib import clip
from speechlib.optim import SGD


def formula(label):
    """Say which formula a test is about."""
    return pytest.mark.parametrize("label", [label])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def library(g, c):
    """One array clipped by norm, by the package."""
    g = np.array(g, dtype=float)
    clip.by_norm([g], c)
    return g


@formula("eq-gradient-clipping-cliff")
def test_cliff(label):
    def J(w, T, a):
        return 1 / 2 * (w**T - a) ** 2

    def dJ(w, T, a):
        return (w**T - a) * T * w ** (T - 1)

    for T, a in ((50, 0.5), (3, 2.0), (1, -1.0)):
        for w in (0.7, 0.9, 0.986, 1.05, 1.1):
            recurrent = torch.tensor(w, dtype=torch.float64, requires_grad=True)
            h = torch.tensor(1.0, dtype=torch.float64)
            for _ in range(T):
                h = recurrent * h
            loss = torch.nn.functional.mse_loss(h, torch.tensor(a, dtype=torch.float64)) / 2
            loss.backward()
            assert math.isclose(J(w, T, a), loss.item(), rel_tol=1e-12)
            assert math.isclose(dJ(w, T, a), recurrent.grad.item(), rel_tol=1e-12)
            differences = (J(w + 1e-6, T, a) - J(w - 1e-6, T, a)) / 2e-6
            assert math.isclose(dJ(w, T, a), differences, rel_tol=1e-6, abs_tol=1e-9)
    grid = np.linspace(0.9, 1.1, 200_001)
    assert round(grid[J(grid, 50, 0.5).argmin()], 3) == 0.986


@formula("eq-gradient-clipping-gelfand")
def test_gelfand(label, rng):
    norms = {
        "spectral": lambda A: np.linalg.norm(A, 2),
        "columns": lambda A: np.linalg.norm(A, 1),
        "rows": lambda A: np.linalg.norm(A, np.inf),
        "entries": lambda A: np.linalg.norm(A),
    }

    def root(norm, W, k):
        return norm(np.linalg.matrix_power(W, k)) ** (1 / k)

    def rho(W):
        return np.max(np.abs(np.linalg.eigvals(W)))

    symmetric = rng.normal(size=(4, 4))
    symmetric = symmetric + symmetric.T
    rotation = 1.3 * np.array([[0.6, -0.8], [0.8, 0.6]])  # both eigenvalues complex, of size 1.3
    shear = np.array([[0.9, 40.0], [0.0, 0.8]])  # not normal: the powers grow before they fade
    matrices = [
        rng.normal(size=(5, 5)),
        rng.normal(size=(3, 3)) / 4,
        symmetric,
        rotation,
        shear,
        -2 * np.eye(3),
    ]
    for W in matrices:
        S = np.linalg.eig(W)[1]  # W^k = S diag(lambda^k) S^-1, so the roots are caught between two bounds
        for norm in norms.values():
            condition = norm(S) * norm(np.linalg.inv(S))
            size = norm(np.eye(len(W)))  # 1, or sqrt(n) if all entries are measured as one vector
            for k in (1, 2, 3, 10, 60, 200):
                found = root(norm, W, k)
                assert rho(W) * (1 - 1e-9) <= found <= rho(W) * (condition * size) ** (1 / k) * (1 + 1e-9)
            assert math.isclose(root(norm, W, 200), rho(W), rel_tol=0.05)
    for W in (symmetric, rotation, -2 * np.eye(3)):  # normal matrices: no limit is needed
        for k in (1, 2, 7):
            assert math.isclose(root(norms["spectral"], W, k), rho(W), rel_tol=1e-9)
    assert math.isclose(rho(rotation), 1.3) and math.isclose(rho(shear), 0.9)
    assert all(norm(shear) > 40 for norm in norms.values())  # the norm alone says nothing about the powers
    assert norms["spectral"](np.linalg.matrix_power(shear, 5)) > 100
    assert norms["spectral"](np.linalg.matrix_power(shear, 300)) < 1e-9


@formula("eq-gradient-clipping-length")
def test_length(label, rng):
    H = [np.diag(rng.uniform(0.5, 4, n)) for n in (3, 2)]
    for eta, c in ((0.1, 1.0), (0.3, 0.05), (0.05, 7.0)):
        theta = [rng.normal(size=3) * 4, rng.normal(size=2) * 4]
        rule = SGD(theta, eta)
        clipped = []
        for _ in range(200):
            grads = [A @ x for A, x in zip(H, theta, strict=True)]
            g, before = np.concatenate(grads), np.concatenate(theta)
            clip.by_norm(grads, c)
            rule.step(grads)
            length = np.linalg.norm(np.concatenate(theta) - before)
            norm = np.linalg.norm(g)
            equal, bound = eta * min(norm, c), eta * c
            assert math.isclose(length, equal, rel_tol=1e-9)
            assert length <= bound * (1 + 1e-12)
            clipped.append(norm > c)
            assert math.isclose(length, bound, rel_tol=1e-9) == clipped[-1]
        assert any(clipped) and (c == 0.05 or not all(clipped))
    for mu in (0.5, 0.9):  # with momentum: the geometric series, reached when all gradients point one way
        theta, longest = [np.zeros(3)], 0.0
        rule = SGD(theta, 0.1, momentum=mu)
        for _ in range(200):
            before, grads = theta[0].copy(), [np.array([30.0, -40.0, 0.0])]
            clip.by_norm(grads, 2.0)
            rule.step(grads)
            longest = max(longest, np.linalg.norm(theta[0] - before))
            assert longest <= 0.1 * 2.0 / (1 - mu) * (1 + 1e-12)
        assert math.isclose(longest, 0.1 * 2.0 / (1 - mu), rel_tol=1e-6)


@formula("eq-gradient-clipping-rules")
def test_rules(label, rng):
    def value(g, c):
        return np.array([max(-c, min(g_i, c)) for g_i in g])

    def norm(g, c):
        return g * min(1, c / np.linalg.norm(g))

    for size, c in itertools.product((0.2, 1.0, 30.0), (0.1, 1.0, 5.0)):
        g = size * rng.normal(size=7)
        for written, ours, theirs in (
            (value, clip.by_value, torch.nn.utils.clip_grad_value_),
            (norm, clip.by_norm, torch.nn.utils.clip_grad_norm_),
        ):
            parts = [g[:3].copy(), g[3:].copy()]
            ours(parts, c)
            assert np.allclose(written(g, c), np.concatenate(parts), rtol=1e-12)
            tensors = [torch.zeros(n, dtype=torch.float64, requires_grad=True) for n in (3, 4)]
            tensors[0].grad, tensors[1].grad = torch.tensor(g[:3]), torch.tensor(g[3:])
            theirs(tensors, c)
            there = np.concatenate([t.grad.numpy() for t in tensors])
            assert np.allclose(written(g, c), there, rtol=2e-5, atol=0)  # torch adds 1e-6 to the norm
        if np.linalg.norm(g) > c:
            assert math.isclose(np.linalg.norm(norm(g, c)), c)
        else:
            assert np.array_equal(norm(g, c), g)
    g = rng.normal(size=40)
    assert np.allclose(value(g, 1e-6) / 1e-6, np.sign(g))  # the limit of a tiny c


@formula("eq-gradient-clipping-curl")
def test_curl(label, rng):
    def curl(F, theta):
        by = torch.autograd.functional.jacobian(F, theta)  # by[i, j]: F_i by theta_j
        return (by[1, 0] - by[0, 1]).item()

    def circulation(F, theta, r=1e-3, count=64):
        """The mean of F along a small circle, once around, by its area: what a curl is (Green)."""
        t = 2 * np.pi * np.arange(count) / count
        circle = np.stack([np.cos(t), np.sin(t)], axis=1)
        tangent = np.stack([-np.sin(t), np.cos(t)], axis=1)
        along = [
            F(theta + r * torch.tensor(p)).detach().numpy() @ d for p, d in zip(circle, tangent, strict=True)
        ]
        return np.mean(along) * 2 * np.pi * r / (np.pi * r**2)

    waves, phase, height = rng.normal(size=(6, 2)), rng.normal(size=6), rng.normal(size=6)

    def gradient(theta):  # of sum of height * sin(waves theta + phase)
        return torch.tensor(waves.T * height) @ torch.cos(torch.tensor(waves) @ theta + torch.tensor(phase))

    def by_norm(theta):
        g = gradient(theta)
        return g * torch.clamp(0.1 / torch.linalg.vector_norm(g), max=1)

    def by_value(theta):
        return torch.clamp(gradient(theta), -0.3, 0.3)

    def turning(theta):
        return torch.stack([-theta[1], 3 * theta[0]])

    found = {F: [] for F in (gradient, by_norm, by_value, turning)}
    for point in rng.normal(size=(12, 2)):
        theta = torch.tensor(point)
        assert np.allclose(clip_field(gradient, clip.by_norm, theta, 0.1), by_norm(theta))
        assert np.allclose(clip_field(gradient, clip.by_value, theta, 0.3), by_value(theta))
        for F, curls in found.items():
            curls.append(curl(F, theta))
            edges = F is by_value and np.min(np.abs(np.abs(gradient(theta)) - 0.3).numpy()) < 0.02
            assert edges or math.isclose(curls[-1], circulation(F, theta), rel_tol=1e-3, abs_tol=1e-4)
    assert np.allclose(found[gradient], 0, atol=1e-12)  # a Hessian is symmetric
    assert np.allclose(found[turning], 3 - (-1))
    assert np.median(np.abs(found[by_norm])) > 1e-3 and np.max(np.abs(found[by_value])) > 0.01


def clip_field(gradient, rule, theta, bound):
    """The clipped gradient as the package computes it."""
    g = gradient(theta).numpy().copy()
    rule([g], bound)
    return g


@formula("eq-gradient-clipping-bias")
def test_bias(label, rng):
    def cut(g, c):  # a number or a vector, by norm
        g = np.atleast_1d(g)
        return g * min(1, c / max(np.linalg.norm(g), 1e-300))

    def sides(outcomes, chances, c):
        pairs = [(np.atleast_1d(g), p) for g, p in zip(outcomes, chances, strict=True)]
        left = sum(p * cut(g, c) for g, p in pairs)  # E[clip(g)]
        right = cut(sum(p * g for g, p in pairs), c)  # clip(E[g])
        return left, right

    def gradients(w):  # the chapter's numbers: nine in ten are 0, one in ten is 10
        return [w - 0.0, w - 10.0], [0.9, 0.1]

    left, right = sides(*gradients(0.5), 1.0)
    assert np.allclose(left, 0.35) and np.allclose(right, -0.5)  # they pull in opposite directions
    outcomes, chances = gradients(0.5)
    drawn = rng.choice(outcomes, size=20_000, p=chances)
    assert np.allclose(np.mean([library([g], 1.0) for g in drawn]), left, atol=0.02)
    assert np.allclose(library([drawn.mean()], 1.0), right, atol=0.06)
    left, right = sides(*gradients(1 / 9), 1.0)
    assert np.allclose(left, 0) and np.allclose(
        right, 1 / 9 - 1
    )  # clipped descent rests, and not at the mean
    left, right = sides(*gradients(1.0), 1.0)
    assert np.allclose(left, 0.9 - 0.1) and np.allclose(right, 0)
    vectors = list(rng.normal(size=(6, 3)) * rng.exponential(size=(6, 1)) * 3)
    left, right = sides(vectors, np.full(6, 1 / 6), 1.0)
    assert np.allclose(left, np.mean([library(g, 1.0) for g in vectors], axis=0))
    assert np.allclose(right, library(np.mean(vectors, axis=0), 1.0))
    assert np.linalg.norm(left - right) > 0.1
    assert np.allclose(*sides(vectors, np.full(6, 1 / 6), 1e3))  # a bound that never bites
    noise = vectors + [-v for v in vectors]  # symmetric: where the mean is zero both are
    left, right = sides(noise, np.full(12, 1 / 12), 1.0)
    assert np.allclose(left, 0, atol=1e-15) and np.allclose(right, 0, atol=1e-15)


@formula("eq-gradient-clipping-smooth")
def test_smooth(label, rng):
    def sides(f, theta, L_0, L_1):
        at = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(f(at), at)
        hessian = torch.autograd.functional.hessian(f, torch.tensor(theta, dtype=torch.float64))
        return np.linalg.norm(hessian.numpy(), 2), L_0 + L_1 * np.linalg.norm(gradient.numpy())

    def holds(f, points, L_0, L_1):
        pairs = [sides(f, point, L_0, L_1) for point in points]
        return all(left <= right * (1 + 1e-12) for left, right in pairs)

    def cosh(theta):
        return torch.cosh(theta).sum()

    line = np.linspace(-9, 9, 61)[:, None]
    assert holds(cosh, line, 1.0, 1.0)
    assert not holds(cosh, line, 0.99, 1.0)  # tight at x = 0
    assert not holds(cosh, line, 1.0, 0.99)  # and far out
    assert not holds(cosh, line, 100.0, 0.0)  # no fixed bound on the curvature will do
    cloud = np.concatenate([np.zeros((1, 3)), 3 * rng.normal(size=(60, 3))])
    assert holds(cosh, cloud, 1.0, 1.0)
    a, H = rng.normal(size=3), rng.normal(size=(3, 3))
    H = H @ H.T
    for f, L_0, L_1 in (  # both sides are equal
        (lambda theta: torch.exp(theta @ torch.tensor(a)), 0.0, np.linalg.norm(a)),
        (lambda theta: theta @ torch.tensor(H) @ theta / 2, np.linalg.norm(H, 2), 0.0),
    ):
        for point in rng.normal(size=(5, 3)):
            assert math.isclose(*sides(f, point, L_0, L_1), rel_tol=1e-9)
    for x in (0.0, 0.5, -2.0, 6.0):  # the chapter's example
        left, right = sides(cosh, [x], 1.0, 1.0)
        assert math.isclose(left, math.cosh(x)) and math.isclose(right, 1 + abs(math.sinh(x)))
    for L_0, L_1 in ((1.0, 1.0), (3.0, 0.2), (0.1, 7.0)):  # why eta = 1 / (2 L_0) and c = L_0 / L_1 are safe
        eta, c = 1 / (2 * L_0), L_0 / L_1
        for norm in np.geomspace(1e-3, 1e3, 60) * c:
            effective = eta * min(1, c / norm)
            assert effective <= 1 / (L_0 + L_1 * norm) * (1 + 1e-12)
            assert norm < c or math.isclose(effective, 1 / (2 * L_1 * norm))
    for w in (2.0, 3.0, 5.0):  # the wall: J'' / J' is about 99 / w
        at = torch.tensor(w, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad((at**50 - 0.5) ** 2 / 2, at, create_graph=True)
        (curvature,) = torch.autograd.grad(slope, at)
        assert math.isclose((curvature / slope).item(), 99 / w, rel_tol=1e-9)


@formula("eq-gradient-clipping-accumulate")
def test_accumulate(label, rng):
    def cut(g, c):
        return g * min(1, c / max(np.linalg.norm(g), 1e-300))

    def sides(parts, c):
        m = len(parts)
        left = cut(1 / m * sum(parts), c)
        right = 1 / m * sum(cut(g, c) for g in parts)
        return left, right

    for m, c in ((2, 1.0), (5, 0.7), (9, 2.0)):
        parts = list(rng.normal(size=(m, 6)) * rng.exponential(size=(m, 1)) * 4)
        left, right = sides(parts, c)
        assert np.allclose(left, library(np.mean(parts, axis=0), c))
        assert np.allclose(right, np.mean([library(g, c) for g in parts], axis=0))
        assert np.linalg.norm(left - right) > 0.05 * c
        assert np.linalg.norm(right) <= c
        assert np.allclose(*sides([parts[0]] * m, c))  # equal parts
        assert np.allclose(*sides([0.01 * g for g in parts], c))  # none of them too long
        assert np.linalg.norm(np.subtract(*sides([(k + 1) * parts[0] for k in range(m)], 1e-3))) < 1e-12
        # one of them replaced, however large: the right side moves by at most 2 c / m, and can move so far
        for other in (rng.normal(size=6), 1e6 * rng.normal(size=6), -1e6 * parts[0]):
            moved = np.linalg.norm(right - sides([other, *parts[1:]], c)[1])
            assert moved <= 2 * c / m * (1 + 1e-12)
        far = [sign * 1e6 * parts[0] for sign in (1, -1)]
        moved = np.linalg.norm(np.subtract(*(sides([g, *parts[1:]], c)[1] for g in far)))
        assert math.isclose(moved, 2 * c / m, rel_tol=1e-9)
    left, right = sides([np.array([8.0, 0.0]), np.array([-6.0, 0.0])], 2.0)
    assert np.allclose(left, [1, 0]) and np.allclose(right, 0)
