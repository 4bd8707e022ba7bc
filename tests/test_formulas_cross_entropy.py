"""The displayed formulas of the chapter on cross-entropy, each written out as it stands there.

Each is held against an oracle that does not use it: PyTorch and its differentiation, scipy, scikit-learn, an
optimizer, draws from a distribution. A wrong sign or a wrong factor makes the test of that formula fail.
"""

import math
from itertools import product

import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics
import torch
from scipy.optimize import minimize, minimize_scalar

from speechlib import losses, metrics


def formula(label):
    """Say which formula a test is about."""
    return pytest.mark.parametrize("label", [label])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def two_distributions(rng, K=5):
    return rng.dirichlet(np.ones(K)), rng.dirichlet(np.ones(K))


def one_hot(y, K):
    return np.array([[float(j == label) for j in range(K)] for label in y])


def slope(fun, *at):
    """PyTorch's derivative of a function of tensors by its first argument."""
    first, *rest = (torch.tensor(x) for x in at)
    first.requires_grad_()
    return torch.autograd.grad(fun(first, *rest), first)[0].numpy()


def torch_loss(z, p):
    return torch.nn.functional.cross_entropy(z, p)


@formula("eq-cross-entropy-surprise")
def test_surprise(label):
    for q in (1.0, 0.5, 0.1, 1e-6):
        s = -math.log(q)
        assert math.isclose(s, math.log(1 / q), abs_tol=1e-15)
        assert math.isclose(s, -scipy.stats.bernoulli(q).logpmf(1), abs_tol=1e-15)
        for other in (0.9, 0.3):  # the three wishes
            assert math.isclose(s + -math.log(other), -math.log(q * other))
            assert -math.log(q * other) > s
    assert -math.log(1.0) == 0


@formula("eq-cross-entropy-entropy")
def test_entropy(label, rng):
    p = rng.dirichlet(np.ones(6))
    H = -sum(p[j] * math.log(p[j]) for j in range(6))
    assert math.isclose(H, scipy.stats.entropy(p))
    assert math.isclose(H, losses.entropy(p))
    drawn = rng.choice(6, p=p, size=200_000)
    assert math.isclose(H, np.mean(-np.log(p)[drawn]), rel_tol=0.01)  # the mean surprise
    assert losses.entropy([0.5, 0.5, 0.0]) == losses.entropy([0.5, 0.5])  # what never comes adds nothing


@formula("eq-cross-entropy-definition")
def test_definition(label, rng):
    p, q = two_distributions(rng)
    H = -sum(p[j] * math.log(q[j]) for j in range(5))
    assert math.isclose(H, torch_loss(torch.tensor(np.log(q)[None]), torch.tensor(p[None])))
    assert math.isclose(H, losses.cross_entropy(p, q))
    drawn = rng.choice(5, p=p, size=200_000)
    assert math.isclose(H, np.mean(-np.log(q)[drawn]), rel_tol=0.01)  # drawn with p, paid by q


@formula("eq-cross-entropy-split")
def test_split(label, rng):
    p, q = two_distributions(rng)
    KL = sum(p[j] * math.log(p[j] / q[j]) for j in range(5))
    assert math.isclose(KL, scipy.stats.entropy(p, q)) and math.isclose(KL, losses.kl_divergence(p, q))
    H_pq = torch_loss(torch.tensor(np.log(q)[None]), torch.tensor(p[None])).item()
    assert math.isclose(H_pq, scipy.stats.entropy(p) + KL)


@formula("eq-cross-entropy-gibbs")
def test_gibbs(label, rng):
    for x in np.geomspace(1e-3, 1e3, 400):  # the tangent touches at 1 alone
        assert math.log(x) < x - 1
    assert math.log(1) == 1 - 1

    def chain(p, q):
        words = np.flatnonzero(p > 0)
        minus_divergence = sum(p[j] * math.log(q[j] / p[j]) for j in words)
        tangent = sum(p[j] * (q[j] / p[j] - 1) for j in words)
        assert math.isclose(minus_divergence, -scipy.stats.entropy(p, q), rel_tol=1e-6)
        return minus_divergence, tangent

    for _ in range(100):
        p, q = two_distributions(rng)
        if rng.random() < 0.5:
            p = np.append(p, 0.0)
            q = np.append(0.8 * q, 0.2)  # mass where p has none: the second inequality is strict
        left, middle = chain(p, q)
        assert left < middle <= 1 - 1 + 1e-12 and (middle < -0.19) == (len(p) == 6)
    assert chain(p, p) == (0, 0)
    t = 1e-4  # near q = p both are the mass that q has elsewhere: no factor is left free
    p, outside = np.array([0.5, 0.5, 0]), np.array([0.3, 0.2, 0.5])
    left, middle = chain(p, (1 - t) * p + t * outside)
    assert math.isclose(middle, -0.5 * t, rel_tol=1e-9) and math.isclose(left, middle, rel_tol=1e-3)


@formula("eq-cross-entropy-likelihood")
def test_likelihood(label, rng):
    z, y = rng.normal(size=(8, 4)), rng.integers(0, 4, 8)
    q = scipy.special.softmax(z, axis=1)[np.arange(8), y]
    N = 8
    whole = -1 / N * math.log(math.prod(q))
    mean = 1 / N * sum(-math.log(q[i]) for i in range(8))
    expected = torch_loss(torch.tensor(z), torch.tensor(y)).item()
    assert math.isclose(whole, expected) and math.isclose(mean, expected)
    one_by_one = losses.cross_entropy(one_hot(y, 4), losses.softmax(z))
    assert math.isclose(np.mean(one_by_one), mean)  # the text's second reading


@formula("eq-cross-entropy-softmax")
def test_softmax(label, rng):
    z = 3 * rng.normal(size=6)
    q = [math.exp(z[j]) / sum(math.exp(z[k]) for k in range(6)) for j in range(6)]
    assert np.allclose(q, scipy.special.softmax(z), rtol=1e-12)
    assert np.allclose(q, losses.softmax(z), rtol=1e-12)


@formula("eq-cross-entropy-loss")
def test_loss(label, rng):
    z = 3 * rng.normal(size=6)
    for y in range(6):
        q_y = losses.softmax(z)[y]
        loss = math.log(sum(math.exp(z[k]) for k in range(6))) - z[y]
        assert math.isclose(loss, -math.log(q_y))
        assert math.isclose(loss, torch_loss(torch.tensor(z), torch.tensor(y)))
    behind = losses.softmax_cross_entropy(np.array([[50.0, 20.0, 0.0]]), [1])[0]
    assert math.isclose(behind, 30, abs_tol=1e-9)  # as the text says: where another leads by d, about d


@formula("eq-cross-entropy-logsumexp")
def test_logsumexp(label, rng):
    for scale in (1.0, 10.0, 1e4):
        z = scale * rng.normal(size=6)
        m = max(z)
        right = m + math.log(sum(math.exp(z[k] - m) for k in range(6)))
        assert math.isclose(right, scipy.special.logsumexp(z), rel_tol=1e-12)
        if scale < 100:  # typed in as the left side stands, it overflows beyond
            assert math.isclose(right, math.log(sum(math.exp(z[k]) for k in range(6))), rel_tol=1e-12)
        assert math.isclose(right, losses.logsumexp(z), rel_tol=1e-12)


@formula("eq-cross-entropy-gradient")
def test_gradient(label, rng):
    z, soft = rng.normal(size=5), rng.dirichlet(np.ones(5))
    q = losses.softmax(z)
    for p in (one_hot([2], 5)[0], soft):
        ours = [q[j] - p[j] for j in range(5)]
        assert np.allclose(ours, slope(torch_loss, z, p), atol=1e-14)
        assert abs(sum(ours)) < 1e-15 and max(map(abs, ours)) < 1  # as the text says


@formula("eq-cross-entropy-weights")
def test_weights(label, rng):
    X, W, p = rng.normal(size=(7, 4)), rng.normal(size=(4, 3)), rng.dirichlet(np.ones(3), size=7)
    q = np.array([losses.softmax(W.T @ x) for x in X])
    N = 7
    ours = 1 / N * sum(np.outer(X[i], q[i] - p[i]) for i in range(7))
    assert np.allclose(ours, slope(lambda W, X, p: torch_loss(X @ W, p), W, X, p), atol=1e-14)
    assert np.allclose(ours, X.T @ losses.softmax_cross_entropy(X @ W, p)[1], atol=1e-14)  # the text's line


@formula("eq-cross-entropy-probabilities")
def test_probabilities(label, rng):
    p, q = two_distributions(rng)
    by_q = [-p[j] / q[j] for j in range(5)]
    assert np.allclose(by_q, slope(lambda q, p: torch.special.xlogy(p, q).sum().neg(), q, p), rtol=1e-12)
    z = np.log(q)
    jacobian = torch.autograd.functional.jacobian(lambda z: torch.softmax(z, 0), torch.tensor(z)).numpy()
    softmax_slope = [[q[j] * ((j == k) - q[k]) for k in range(5)] for j in range(5)]  # the text's
    assert np.allclose(softmax_slope, jacobian, atol=1e-15)
    assert np.allclose(by_q @ jacobian, slope(torch_loss, z, p), atol=1e-14)


@formula("eq-cross-entropy-hessian")
def test_hessian(label, rng):
    z, y = rng.normal(size=5), 3
    q = losses.softmax(z)
    H = np.array([[q[j] * (j == k) - q[j] * q[k] for k in range(5)] for j in range(5)])
    theirs = torch.autograd.functional.hessian(
        lambda z: torch.nn.functional.cross_entropy(z, torch.tensor(y)), torch.tensor(z)
    )
    assert np.allclose(H, theirs.numpy(), atol=1e-14)
    draws = np.eye(5)[rng.choice(5, p=q, size=100_000)]
    assert np.allclose(H, np.cov(draws.T), atol=0.005)  # the covariance of a draw from q

    def eigenvalues(q):
        return np.linalg.eigvalsh(np.diag(q) - np.outer(q, q))

    for _ in range(300):  # convex, and no curvature above a half
        found = eigenvalues(rng.dirichlet(np.full(rng.integers(2, 9), 0.3)))
        assert found[0] > -1e-15 and found[-1] <= 0.5 + 1e-15
    assert math.isclose(eigenvalues([0.5, 0.5, 0.0])[-1], 0.5)


@formula("eq-cross-entropy-binary")
def test_binary(label, rng):
    def theirs(z, y):
        return torch.nn.functional.binary_cross_entropy_with_logits(z, y)

    for z, y in product((-3.0, 0.2, 4.0), (0.0, 0.3, 1.0)):
        sigma = scipy.special.expit(z)
        loss = -y * math.log(sigma) - (1 - y) * math.log(1 - sigma)
        assert math.isclose(loss, theirs(*torch.tensor([z, y], dtype=torch.float64)), rel_tol=1e-12)
        assert math.isclose(loss, losses.binary_cross_entropy(np.array([z]), np.array([y]))[0])
        assert math.isclose(sigma - y, slope(theirs, np.float64(z), np.float64(y)), rel_tol=1e-9)
        assert np.allclose(
            losses.softmax(np.array([z, 0.0])), [sigma, 1 - sigma]
        )  # only the difference counts


@formula("eq-cross-entropy-brier")
def test_brier(label, rng):
    z, soft = rng.normal(size=4), rng.dirichlet(np.ones(4))
    q = losses.softmax(z)
    for p in (one_hot([1], 4)[0], soft):
        B = sum((q[j] - p[j]) ** 2 for j in range(4))
        by_z = [2 * q[j] * ((q[j] - p[j]) - sum(q[k] * (q[k] - p[k]) for k in range(4))) for j in range(4)]
        assert math.isclose(B, np.linalg.norm(q - p) ** 2)
        squared = slope(
            lambda z, p: torch.nn.functional.mse_loss(torch.softmax(z, 0), p, reduction="sum"), z, p
        )
        assert np.allclose(by_z, squared, atol=1e-15)


@formula("eq-cross-entropy-rmse")
def test_rmse(label, rng):
    pred, target = rng.normal(size=9), rng.normal(size=9)
    E, by_pred = losses.mean_squared_error(pred, target)
    of_root = by_pred / (2 * math.sqrt(E))
    theirs = slope(lambda a, b: torch.sqrt(torch.nn.functional.mse_loss(a, b)), pred, target)
    assert np.allclose(of_root, theirs, rtol=1e-12)


@formula("eq-cross-entropy-ece")
def test_ece(label, rng):
    q = losses.softmax(2 * rng.normal(size=(200, 4)))
    y = np.where(rng.random(200) < 0.6, q.argmax(axis=1), rng.integers(0, 4, 200))
    top, right = q.max(axis=1), q.argmax(axis=1) == y
    members = [(top > b / 10) & (top <= (b + 1) / 10) for b in range(10)]
    bins = [b for b in range(10) if members[b].any()]
    n_b, n = [m.sum() for m in members], 200
    acc, conf = {b: right[members[b]].mean() for b in bins}, {b: top[members[b]].mean() for b in bins}
    ECE = sum(n_b[b] / n * abs(acc[b] - conf[b]) for b in bins)
    assert math.isclose(ECE, metrics.calibration(q, y).error)
    owed = top - right  # without means: each answer's part of the broken promise, with the sign of its bin
    sign = {b: np.sign(owed[members[b]].sum()) for b in bins}
    assert math.isclose(ECE, sum(sign[b] * owed[i] for b in bins for i in np.flatnonzero(members[b])) / 200)


@formula("eq-cross-entropy-temperature")
def test_temperature(label, rng):
    z = rng.normal(size=5)
    for T in (0.3, 1.0, 2.5):
        q = [math.exp(z[j] / T) / sum(math.exp(z[k] / T) for k in range(5)) for j in range(5)]
        power = scipy.special.softmax(z) ** (
            1 / T
        )  # the same family by another road: tempered and normalized
        assert np.allclose(q, power / power.sum(), rtol=1e-12)
        assert np.argsort(q).tolist() == np.argsort(z).tolist()


@formula("eq-cross-entropy-beta")
def test_beta(label, rng):
    z, y = 2 * rng.normal(size=(40, 5)), rng.integers(0, 5, 40)
    y[:25] = z[:25].argmax(axis=1)

    def J(beta):
        return torch_loss(beta * torch.tensor(z), torch.tensor(y))

    def by_beta(beta):
        q, N = losses.softmax(beta * z), 40
        return 1 / N * sum(sum(q[i, j] * z[i, j] for j in range(5)) - z[i, y[i]] for i in range(40))

    for beta in (0.1, 0.7, 2.0):
        at = torch.tensor(beta, dtype=torch.float64, requires_grad=True)
        assert math.isclose(by_beta(beta), torch.autograd.grad(J(at), at)[0], rel_tol=1e-9)
    rising = [by_beta(beta) for beta in np.linspace(0, 5, 50)]
    assert np.all(np.diff(rising) > 0)  # convex
    best = minimize_scalar(lambda beta: J(beta).item(), bounds=(0, 5), method="bounded").x
    assert abs(by_beta(best)) < 1e-4 and 0.01 < best < 4.9


@formula("eq-cross-entropy-smoothing")
def test_smoothing(label, rng):
    z, y, epsilon, K = rng.normal(size=(6, 5)), rng.integers(0, 5, 6), 0.3, 5
    p = one_hot(y, K)
    smooth = np.array([[(1 - epsilon) * p[i, j] + epsilon / K for j in range(K)] for i in range(6)])
    assert np.allclose(smooth.sum(axis=1), 1)
    ours = np.mean(-np.sum(smooth * losses.log_softmax(z), axis=1))
    theirs = torch.nn.functional.cross_entropy(torch.tensor(z), torch.tensor(y), label_smoothing=epsilon)
    assert math.isclose(ours, theirs)
    by_z = slope(lambda z, y: torch.nn.functional.cross_entropy(z, y, label_smoothing=epsilon), z, y)
    assert np.allclose((losses.softmax(z) - smooth) / 6, by_z, atol=1e-15)


@formula("eq-cross-entropy-lead")
@pytest.mark.parametrize("epsilon, K", [(0.1, 10), (0.3, 4)])
def test_lead(label, epsilon, K):
    def smoothed(z):
        loss, by_z = losses.softmax_cross_entropy(z[None], [2], label_smoothing=epsilon)
        return loss, by_z[0]

    z = minimize(smoothed, np.zeros(K), jac=True, method="BFGS", options={"gtol": 1e-10}).x
    p = (1 - epsilon) * np.eye(K)[2] + epsilon / K
    for j in set(range(K)) - {2}:
        assert math.isclose(math.log(p[2] / p[j]), math.log(1 + K * (1 - epsilon) / epsilon))
        assert math.isclose(z[2] - z[j], math.log(1 + K * (1 - epsilon) / epsilon), rel_tol=1e-6)


@formula("eq-cross-entropy-prior")
def test_prior(label, rng):
    old, new = two_distributions(rng, 3)
    likelihood = scipy.stats.norm([0.0, 1.0, 2.5], [1.0, 0.5, 2.0])  # how the three words sound
    for x in (-1.0, 0.8, 3.0):
        joint, joint_new = old * likelihood.pdf(x), new * likelihood.pdf(x)
        z = np.log(joint / joint.sum()) + 7.0  # the logits that state the posterior, up to a constant
        shifted = [z[j] - math.log(old[j]) + math.log(new[j]) for j in range(3)]
        assert np.allclose(losses.softmax(shifted), joint_new / joint_new.sum(), rtol=1e-12)
    # and by counting: words drawn as in use, those near x = 0.8
    words = rng.choice(3, p=new, size=400_000)
    near = np.abs(likelihood.rvs(size=(400_000, 3), random_state=rng)[np.arange(400_000), words] - 0.8) < 0.05
    z = np.log(old * likelihood.pdf(0.8))
    share = np.bincount(words[near], minlength=3) / near.sum()
    assert np.allclose(losses.softmax(z - np.log(old) + np.log(new)), share, atol=0.02)


@formula("eq-cross-entropy-auroc")
def test_auroc(label, rng):
    known, unknown = rng.normal(1, 1, 60).round(1), rng.normal(0, 1, 40).round(1)  # rounded: with ties
    above = np.mean([a > b for a in known for b in unknown])
    equal = np.mean([a == b for a in known for b in unknown])
    assert equal > 0.01
    AUROC = above + 1 / 2 * equal
    alarms, hits, _ = sklearn.metrics.roc_curve(np.repeat([1, 0], [60, 40]), np.append(known, unknown))
    assert math.isclose(AUROC, np.trapezoid(hits, alarms))  # the area under the curve
    assert math.isclose(AUROC, metrics.auroc(known, unknown))


@formula("eq-cross-entropy-alignments")
@pytest.mark.parametrize("string", [[1, 2], [1, 1], [3]])
def test_alignments(label, rng, string):
    def spells(a):  # repeats count once, blanks (0) fall out
        return [word for t, word in enumerate(a) if word and (t == 0 or word != a[t - 1])] == string

    z = rng.normal(size=(5, 4))
    q = losses.softmax(z)
    loss = -math.log(
        sum(math.prod(q[t, a[t]] for t in range(5)) for a in product(range(4), repeat=5) if spells(a))
    )
    log_q = torch.log_softmax(torch.tensor(z), dim=1)[:, None]
    theirs = torch.nn.functional.ctc_loss(
        log_q, torch.tensor([string]), [5], [len(string)], reduction="sum", blank=0
    )
    assert math.isclose(loss, theirs, rel_tol=1e-9)


@formula("eq-cross-entropy-double")
@pytest.mark.parametrize("K", [3, 10])
def test_double(label, K):
    def twice(z):  # the loss of a softmax of a softmax, the right class first
        return -losses.log_softmax(losses.softmax(z))[0]

    lowest = minimize(twice, np.zeros(K), method="L-BFGS-B", bounds=[(-20, 20)] * K).fun
    vertex = -math.log(math.exp(1) / (math.exp(1) + (K - 1) * math.exp(0)))
    floor = math.log(1 + (K - 1) / math.e)
    assert math.isclose(vertex, floor, rel_tol=1e-12)
    assert floor <= lowest and math.isclose(lowest, floor, rel_tol=1e-4)  # approached, never reached
    rng = np.random.default_rng(0)
    assert min(twice(20 * rng.normal(size=K)) for _ in range(500)) >= floor - 1e-12
