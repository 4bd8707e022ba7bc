"""Update rules: torch's results, what theory says about quadratics, exact resumption, and what is refused."""

import copy
import itertools
import json
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechlib import losses, optim
from speechlib.optim import SGD, GradientDescent, minimize

SHAPES = [(3,), (2, 4), ()]


def random_arrays(rng, shapes=SHAPES):
    return [np.asarray(rng.normal(size=shape)) for shape in shapes]


class Quadratic:
    """f(x) = ½ xᵀ A x - bᵀ x with curvatures between `low` and `high`; value and gradient."""

    def __init__(self, rng, dimension, low, high):
        q, _ = np.linalg.qr(rng.normal(size=(dimension, dimension)))
        self.curvatures = np.concatenate([[low, high], rng.uniform(low, high, dimension)])[:dimension]
        self.a = (q * self.curvatures) @ q.T
        self.b = rng.normal(size=dimension)
        self.minimum = np.linalg.solve(self.a, self.b)
        self.largest = self.curvatures.max()

    def __call__(self, x):
        return 0.5 * x @ self.a @ x - self.b @ x, self.a @ x - self.b


@st.composite
def quadratics(draw):
    low = draw(st.floats(0.01, 1.0))
    high = draw(st.floats(1.0, 100.0))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    quadratic = Quadratic(rng, draw(st.integers(2, 6)), low, high)
    return quadratic, rng.normal(size=len(quadratic.b))


# ---- the rule of torch.optim.SGD

SETTINGS = [
    dict(momentum=momentum, dampening=dampening, weight_decay=decay, nesterov=nesterov)
    for momentum, dampening, decay, nesterov in itertools.product(
        (0.0, 0.5, 0.9), (0.0, 0.3), (0.0, 0.05), (False, True)
    )
    if not nesterov or (momentum > 0 and dampening == 0)
]


def with_torch(rng, ours, lr, steps, change_lr=lambda k, lr: lr, **kwargs):
    """Give the same random gradients to ours and to torch's rule; the largest difference at each step."""
    theirs = [torch.tensor(param.copy(), requires_grad=True) for param in ours.params]
    optimizer = torch.optim.SGD(theirs, lr=lr, foreach=False, **kwargs)
    for k in range(steps):
        ours.lr = optimizer.param_groups[0]["lr"] = change_lr(k, lr)
        grads = random_arrays(rng, [param.shape for param in ours.params])
        for param, grad in zip(theirs, grads, strict=True):
            param.grad = torch.tensor(grad, dtype=param.dtype)
        ours.step(grads)
        optimizer.step()
        yield max(np.abs(a - b.detach().numpy()).max() for a, b in zip(ours.params, theirs, strict=True))


@pytest.mark.parametrize("kwargs", SETTINGS, ids=str)
def test_sgd_equals_torch(kwargs):
    rng = np.random.default_rng(0)
    ours = SGD(random_arrays(rng), lr=0.1, **kwargs)
    assert max(with_torch(rng, ours, 0.1, 50, **kwargs)) < 1e-12
    assert ours.steps == 50


@pytest.mark.parametrize("kwargs", SETTINGS, ids=str)
def test_sgd_equals_torch_while_the_step_size_changes(kwargs):
    rng = np.random.default_rng(1)
    ours = SGD(random_arrays(rng), lr=0.1, **kwargs)
    assert max(with_torch(rng, ours, 0.1, 50, lambda k, lr: lr * (1 + np.cos(k)), **kwargs)) < 1e-12


def test_sgd_has_torchs_defaults():
    rng = np.random.default_rng(2)
    ours = SGD(random_arrays(rng))
    default = torch.optim.SGD([torch.zeros(1)]).param_groups[0]
    for name in SGD.settings:
        assert getattr(ours, name) == default[name]
    assert max(with_torch(rng, ours, ours.lr, 50)) < 1e-12


def test_single_precision_stays_single():
    rng = np.random.default_rng(3)
    params = [param.astype(np.float32) for param in random_arrays(rng)]
    ours = SGD(params, lr=0.1, momentum=0.9, weight_decay=0.01)
    assert max(with_torch(rng, ours, 0.1, 50, momentum=0.9, weight_decay=0.01)) < 1e-4
    assert all(param.dtype == np.float32 for param in ours.params)
    assert all(memory.dtype == np.float32 for memory in ours.state["momentum"])


def test_gradient_descent_is_sgd_without_memory():
    rng = np.random.default_rng(4)
    assert max(with_torch(rng, GradientDescent(random_arrays(rng), lr=0.1), 0.1, 50)) < 1e-12


def test_parameters_are_updated_in_place_and_gradients_left_alone():
    for rule in (
        partial(GradientDescent, lr=0.1),
        partial(SGD, lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True),
    ):
        param, grad = np.array([1.0, 2.0]), np.array([3.0, 4.0])
        optimizer = rule([param])
        for _ in range(3):
            optimizer.step([grad])
        assert optimizer.params[0] is param and param[0] < 1
        assert grad.tolist() == [3.0, 4.0]


# ---- where the docstring says it differs from the papers, and where it does not


def run(rule, fun, x0, steps):
    return minimize(fun, x0, rule, steps).x


def test_polyaks_heavy_ball_is_the_same_sequence():
    rng = np.random.default_rng(5)
    fun, x0, lr, mu = Quadratic(rng, 4, 0.5, 10), rng.normal(size=4), 0.05, 0.8
    x = [x0, x0]
    for _ in range(40):
        x.append(x[-1] - lr * fun(x[-1])[1] + mu * (x[-1] - x[-2]))
    np.testing.assert_allclose(run(partial(SGD, lr=lr, momentum=mu), fun, x0, 40), x[1:], rtol=0, atol=1e-13)


def test_polyaks_memory_keeps_the_steps_ours_the_gradients():
    """One step of 0.1, then one of 0.01, on gradients of 1: Polyak repeats 0.9 of 0.1, ours 0.9 of 0.01."""
    x = np.zeros(1)
    optimizer = SGD([x], lr=0.1, momentum=0.9)
    optimizer.step([np.ones(1)])
    optimizer.lr = 0.01
    optimizer.step([np.ones(1)])
    polyak = -0.1 - (0.01 + 0.9 * 0.1)
    assert x[0] == pytest.approx(-0.1 - 0.01 * (1 + 0.9)) and x[0] != pytest.approx(polyak)


def test_nesterov_is_sutskevers_point_ahead():
    """Sutskever et al. (2013), equations 3 and 4, seen at theta + mu v."""
    rng = np.random.default_rng(6)
    fun, x0, lr, mu = Quadratic(rng, 4, 0.5, 10), rng.normal(size=4), 0.05, 0.8
    theta, v, ahead = x0, np.zeros(4), [x0]
    for _ in range(40):
        v = mu * v - lr * fun(theta + mu * v)[1]
        theta = theta + v
        ahead.append(theta + mu * v)
    ours = run(partial(SGD, lr=lr, momentum=mu, nesterov=True), fun, x0, 40)
    np.testing.assert_allclose(ours, ahead, rtol=0, atol=1e-13)


def test_the_first_gradient_is_not_dampened():
    x = np.zeros(1)
    optimizer = SGD([x], lr=1.0, momentum=0.5, dampening=0.75)
    optimizer.step([np.ones(1)])
    assert x[0] == -1.0
    optimizer.step([np.ones(1)])
    assert x[0] == -1.0 - (0.5 + 0.25)


def test_weight_decay_minimizes_the_penalized_function():
    rng = np.random.default_rng(7)
    fun = Quadratic(rng, 3, 1, 5)
    x = run(partial(SGD, lr=0.2, momentum=0.5, weight_decay=0.7), fun, np.zeros(3), 500)[-1]
    np.testing.assert_allclose(x, np.linalg.solve(fun.a + 0.7 * np.eye(3), fun.b), rtol=0, atol=1e-12)


# ---- theory, on quadratics


@settings(max_examples=100, deadline=None)
@given(problem=quadratics(), part=st.floats(0.01, 2.2), steps=st.integers(1, 30))
def test_gradient_descent_on_a_quadratic_has_a_closed_form(problem, part, steps):
    """x_k - x* = (I - lr A)^k (x_0 - x*)."""
    fun, x0 = problem
    lr = part / fun.largest
    x = run(partial(GradientDescent, lr=lr), fun, x0, steps)[-1]
    matrix = np.linalg.matrix_power(np.eye(len(x0)) - lr * fun.a, steps)
    expected = fun.minimum + matrix @ (x0 - fun.minimum)
    size = np.abs(expected).max() + np.abs(fun.minimum).max()
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-9 * size)


@settings(max_examples=100, deadline=None)
@given(problem=quadratics(), part=st.floats(0.01, 1.99))
def test_descent_lemma(problem, part):
    """A step with lr < 2 / L falls by at least lr (1 - lr L / 2) times the squared norm of the gradient."""
    fun, x0 = problem
    lr = part / fun.largest
    history = minimize(fun, x0, partial(GradientDescent, lr=lr), 20)
    promised = lr * (1 - lr * fun.largest / 2) * np.sum(history.gradient[:-1] ** 2, axis=1)
    rounding = 1e-12 * (1 + np.abs(history.value).max())
    assert (history.value[:-1] - history.value[1:] >= promised - rounding).all()


@settings(max_examples=50, deadline=None)
@given(problem=quadratics())
def test_two_over_the_curvature_is_the_border(problem):
    """1 % below it the steepest direction shrinks, 1 % above it grows: by |1 - lr L| in each step."""
    fun, x0 = problem
    steepest = np.linalg.eigh(fun.a)[1][:, -1]
    x0 = x0 + steepest  # some way to go in that direction
    for part in (1.98, 2.02):
        x = run(partial(GradientDescent, lr=part / fun.largest), fun, x0, 300)
        along = np.abs((x - fun.minimum) @ steepest)
        if along[0] > 1e-3:
            assert (along[-1] < along[0] / 100) if part < 2 else (along[-1] > along[0] * 100)
            np.testing.assert_allclose(along[1:100] / along[:99], abs(1 - part), rtol=1e-6)


@pytest.mark.parametrize("kappa", [10.0, 100.0, 1000.0])
def test_rates_of_gradient_descent_and_momentum(kappa):
    """At the best settings a step shrinks the error by (k - 1) / (k + 1), or (sqrt k - 1) / (sqrt k + 1)."""
    curvatures = np.array([1.0, kappa])

    def fun(x):
        return 0.5 * np.sum(curvatures * x**2), curvatures * x

    def rate(rule, steps):
        distance = np.linalg.norm(run(rule, fun, np.ones(2), 2 * steps), axis=1)
        return (distance[-1] / distance[steps]) ** (1 / steps)

    root = np.sqrt(kappa)
    plain = rate(partial(GradientDescent, lr=2 / (1 + kappa)), 200)
    assert plain == pytest.approx((kappa - 1) / (kappa + 1), rel=1e-6)
    heavy = rate(
        partial(SGD, lr=(2 / (1 + root)) ** 2, momentum=((root - 1) / (root + 1)) ** 2), int(20 * root)
    )
    assert heavy == pytest.approx((root - 1) / (root + 1), rel=0.03)
    assert np.log(heavy) / np.log(plain) > root / 2  # this many plain steps in one with momentum


@settings(max_examples=60, deadline=None)
@given(
    curvature=st.floats(0.01, 10),
    part=st.floats(0.05, 1.9),
    momentum=st.floats(0.05, 0.95),
    nesterov=st.booleans(),
)
def test_momentum_in_one_dimension_is_a_linear_recursion(curvature, part, momentum, nesterov):
    """(x, b) is multiplied by one 2 x 2 matrix in each step; its powers are the whole story."""
    lr = part / curvature
    ahead = momentum if nesterov else 1.0
    now = curvature if nesterov else 0.0  # nesterov adds the present gradient once more
    # b' = momentum b + c x;  x' = x - lr (ahead b' + now x)
    matrix = np.array([[1 - lr * (ahead * curvature + now), -lr * ahead * momentum], [curvature, momentum]])
    x = run(
        partial(SGD, lr=lr, momentum=momentum, nesterov=nesterov),
        lambda x: (curvature * x**2 / 2, curvature * x),
        3.0,
        25,
    )
    expected = [(np.linalg.matrix_power(matrix, k) @ [3.0, 0.0])[0] for k in range(26)]
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


def test_softmax_regression_goes_down_at_every_step():
    """The curvature of the mean cross-entropy is at most half the largest eigenvalue of XᵀX / N."""
    rng = np.random.default_rng(8)
    x, labels = rng.normal(size=(60, 5)), rng.integers(3, size=60)
    bound = 0.5 * np.linalg.eigvalsh(x.T @ x / 60)[-1]

    def fun(w):
        loss, grad = losses.softmax_cross_entropy(x @ w, labels)
        return loss, x.T @ grad

    history = minimize(fun, np.zeros((5, 3)), partial(GradientDescent, lr=1 / bound), 12)
    assert history.value[0] == pytest.approx(np.log(3))
    assert (np.diff(history.value) < 0).all()
    promised = 1 / bound / 2 * np.sum(history.gradient[:-1] ** 2, axis=(1, 2))
    assert (history.value[:-1] - history.value[1:] >= promised).all()


# ---- state


@pytest.mark.parametrize(
    "kwargs", [dict(), dict(momentum=0.9, nesterov=True), dict(momentum=0.5, dampening=0.2)]
)
@pytest.mark.parametrize("stop", [0, 1, 13])
def test_resumed_run_is_bit_identical(kwargs, stop):
    rng = np.random.default_rng(9)
    start, grads = random_arrays(rng), [random_arrays(rng) for _ in range(30)]
    whole = SGD(copy.deepcopy(start), lr=0.1, weight_decay=0.01, **kwargs)
    first = SGD(copy.deepcopy(start), lr=0.1, weight_decay=0.01, **kwargs)
    for k, grad in enumerate(grads):
        whole.lr = 0.1 / (k + 1)
        whole.step(grad)
        if k < stop:
            first.lr = 0.1 / (k + 1)
            first.step(grad)
    saved, params = first.state_dict(), copy.deepcopy(first.params)
    for array in first.params + first.state.get("momentum", []):
        array[...] = np.nan  # what was saved must be copies
    second = SGD(params, lr=7.0)  # all settings come from the saved state
    second.load_state_dict(saved)
    for k, grad in enumerate(grads[stop:], stop):
        if k > stop:
            second.lr = 0.1 / (k + 1)
        elif stop:
            assert second.lr == 0.1 / stop
            second.lr = 0.1 / (k + 1)
        second.step(grad)
    assert second.steps == 30
    for a, b in zip(whole.params, second.params, strict=True):
        assert a.tobytes() == b.tobytes()
    for array in saved["state"].get("momentum", []):
        assert np.isfinite(array).all()
    if stop and kwargs:
        assert not np.shares_memory(saved["state"]["momentum"][0], second.state["momentum"][0])


def test_saved_state_is_plain_data():
    optimizer = SGD([np.zeros(2)], lr=0.5, momentum=0.9)
    optimizer.step([np.ones(2)])
    saved = optimizer.state_dict()
    assert json.loads(json.dumps(saved, default=np.ndarray.tolist)) == {
        "rule": "SGD",
        "settings": {"lr": 0.5, "momentum": 0.9, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False},
        "steps": 1,
        "state": {"momentum": [[1.0, 1.0]]},
    }


def test_state_of_another_rule_or_model_is_refused():
    optimizer = SGD([np.zeros(2)], lr=0.5, momentum=0.9)
    optimizer.step([np.ones(2)])
    with pytest.raises(ValueError, match="of SGD, this is GradientDescent"):
        GradientDescent([np.zeros(2)], lr=0.5).load_state_dict(optimizer.state_dict())
    for shapes in ([(3,)], [(2,), (2,)]):
        other = SGD([np.zeros(shape) for shape in shapes], lr=0.1)
        with pytest.raises(ValueError, match=r"'momentum' has the shapes \[\(2,\)\]"):
            other.load_state_dict(optimizer.state_dict())
        assert other.lr == 0.1 and other.steps == 0


# ---- what is refused


@pytest.mark.parametrize("rule", [GradientDescent, SGD])
@pytest.mark.parametrize("lr", [0, 0.0, -0.1, np.nan, np.inf, "0.1", None, np.ones(2), 1j])
def test_step_size_must_be_positive(rule, lr):
    with pytest.raises(ValueError, match="lr must be a"):
        rule([np.zeros(2)], lr=lr)


def test_step_size_may_be_set_to_nothing_but_not_below():
    optimizer = GradientDescent([np.ones(2)], lr=0.1)
    optimizer.lr = 0
    optimizer.step([np.ones(2)])
    assert optimizer.params[0].tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="lr must be a number that is not negative, not -1"):
        optimizer.lr = -1
    assert optimizer.lr == 0


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (np.zeros(3), r"a list of arrays; for one array write \[array\]"),
        (3.0, "a list of arrays"),
        ([], "params is empty"),
        ([[1.0, 2.0]], r"params\[0\] must be a writable array of floats.* list"),
        ([np.zeros(2), 1.0], r"params\[1\] must be .* float"),
        ([np.zeros(2), np.zeros(2, dtype=int)], r"params\[1\] must be .* array of int64"),
        ([np.zeros(2, dtype=complex)], "array of complex128"),
        ([torch.zeros(2)], "Tensor"),
        ([np.broadcast_to(0.0, 3)], r"params\[0\] must be a writable"),
    ],
)
def test_parameters_must_be_arrays(params, message):
    with pytest.raises(ValueError, match=message):
        GradientDescent(params, lr=0.1)


def test_a_parameter_given_twice():
    w = np.zeros(2)
    with pytest.raises(ValueError, match=r"params\[2\] stands in params twice"):
        GradientDescent([w, np.zeros(2), w], lr=0.1)


@pytest.mark.parametrize(
    ("grads", "message"),
    [
        ([np.ones(3)], "1 gradients for 2 parameters"),
        ([np.ones(3), np.ones((2, 2)), np.ones(1)], "3 gradients for 2 parameters"),
        ([np.ones(3), np.ones(2)], r"grads\[1\] has shape \(2,\), its parameter has \(2, 2\)"),
        ([np.ones(1), np.ones((2, 2))], r"grads\[0\] has shape \(1,\)"),  # would broadcast
        ([1.0, np.ones((2, 2))], r"grads\[0\] has shape \(\)"),
        ([None, np.ones((2, 2))], r"grads\[0\] must be an array of real numbers, not of object"),
        ([np.ones(3), 1j * np.ones((2, 2))], r"grads\[1\] must be an array of real numbers"),
        ([np.ones(3), np.full((2, 2), np.nan)], r"grads\[1\] \(shape \(2, 2\)\) holds NaN or infinity"),
        ([np.array([0, np.inf, 0]), np.ones((2, 2))], r"grads\[0\] .* holds NaN or infinity"),
    ],
)
def test_nothing_is_applied_when_a_gradient_is_wrong(grads, message):
    params = [np.ones(3), np.ones((2, 2))]
    optimizer = SGD(params, lr=0.1, momentum=0.9)
    optimizer.step([np.ones(3), np.ones((2, 2))])
    before = copy.deepcopy((params, optimizer.state_dict()))
    with pytest.raises(ValueError, match=message):
        optimizer.step(grads)
    np.testing.assert_equal((params, optimizer.state_dict()), before)


@pytest.mark.parametrize(
    "kwargs",
    [
        dict(momentum=-0.1),
        dict(momentum=np.nan),
        dict(weight_decay=-1.0),
        dict(nesterov=True),
        dict(nesterov=True, momentum=0.9, dampening=0.1),
    ],
    ids=str,
)
def test_settings_that_make_no_rule(kwargs):
    with pytest.raises(ValueError, match="momentum|weight_decay"):
        SGD([np.zeros(1)], lr=0.1, **kwargs)


# ---- schedules


def torch_factors(make, steps, lr=0.3):
    """The step sizes of a torch scheduler, divided by lr."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = make(optimizer)
    factors = []
    for k in range(steps):
        factors.append(optimizer.param_groups[0]["lr"] / lr)
        optimizer.step()
        if k + 1 < steps:
            scheduler.step()
    return factors


T = torch.optim.lr_scheduler
TORCH = {
    "constant": (optim.constant(), lambda o: T.ConstantLR(o, factor=1.0)),
    "step": (optim.step_decay(7), lambda o: T.StepLR(o, step_size=7)),
    "step, gamma": (optim.step_decay(10, gamma=0.5), lambda o: T.StepLR(o, step_size=10, gamma=0.5)),
    "exponential": (optim.exponential(0.93), lambda o: T.ExponentialLR(o, gamma=0.93)),
    "cosine": (optim.cosine(59), lambda o: T.CosineAnnealingLR(o, T_max=59)),
    "cosine, final": (
        optim.cosine(59, final=0.2),
        lambda o: T.CosineAnnealingLR(o, T_max=59, eta_min=0.2 * 0.3),
    ),
    "warmup": (optim.warmup(9), lambda o: T.LinearLR(o, start_factor=0.1, total_iters=9)),
    "warmup, then": (
        optim.warmup(9, then=optim.exponential(0.9)),
        lambda o: T.SequentialLR(
            o, [T.LinearLR(o, start_factor=0.1, total_iters=9), T.ExponentialLR(o, gamma=0.9)], milestones=[9]
        ),
    ),
    "one cycle": (optim.one_cycle(60), lambda o: T.OneCycleLR(o, 0.3, total_steps=60, cycle_momentum=False)),
    "one cycle, settings": (
        optim.one_cycle(60, pct_start=0.42, div_factor=10, final_div_factor=100),
        lambda o: T.OneCycleLR(
            o, 0.3, total_steps=60, pct_start=0.42, div_factor=10, final_div_factor=100, cycle_momentum=False
        ),
    ),
}


@pytest.mark.parametrize("name", TORCH)
@pytest.mark.filterwarnings(
    "ignore:The epoch parameter:UserWarning"
)  # torch's SequentialLR, on its own account
def test_schedules_equal_torch(name):
    schedule, make = TORCH[name]
    np.testing.assert_allclose(
        [schedule(k) for k in range(60)], torch_factors(make, 60), rtol=1e-12, atol=1e-14
    )


@settings(max_examples=100, deadline=None)
@given(w=st.integers(0, 50), s=st.integers(0, 50), d=st.integers(1, 50))
def test_warmup_stable_decay_has_its_three_parts(w, s, d):
    factors = np.array([optim.warmup_stable_decay(w, s, d)(k) for k in range(w + s + d + 5)])
    np.testing.assert_allclose(np.diff(factors[: w + 1]), 1 / (w + 1))
    assert factors[0] == pytest.approx(1 / (w + 1))
    assert (factors[w : w + s + 1] == 1).all()
    np.testing.assert_allclose(np.diff(factors[w + s : w + s + d + 1]), -1 / d)
    assert (factors[w + s + d :] == 0).all()
    assert (np.array([optim.warmup_stable_decay(w, s, 0)(k) for k in range(w, w + s + 5)]) == 1).all()


@settings(max_examples=100, deadline=None)
@given(total=st.integers(8, 500), step=st.integers(0, 1000))
def test_factors_stay_in_range_and_hold_their_end(total, step):
    for schedule in (
        optim.constant(),
        optim.step_decay(total),
        optim.step_decay(total, gamma=1),
        optim.exponential(0.99),
        optim.exponential(1),
        optim.cosine(total),
        optim.cosine(total, final=0.1),
        optim.warmup(total, then=optim.cosine(total)),
        optim.one_cycle(total),
        optim.warmup_stable_decay(total, total, total),
    ):
        assert isinstance(schedule(step), float) and 0 <= schedule(step) <= 1 + 1e-15
    assert optim.cosine(total, final=0.1)(total + step) == pytest.approx(0.1)
    assert optim.one_cycle(total)(total - 1 + step) == pytest.approx(1 / 25e4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.step_decay(0), "step_size must be above 0"),
        (lambda: optim.step_decay(5, gamma=0.0), "gamma must be above 0"),
        (lambda: optim.exponential(-1.0), "gamma must be a number"),
        (lambda: optim.cosine(0), "total_steps must be above 0"),
        (lambda: optim.cosine(10, final=-0.1), "final must be a number"),
        (lambda: optim.warmup(-1), "warmup_steps must be a number"),
        (lambda: optim.one_cycle(0), "total_steps must be above 0"),
        (lambda: optim.one_cycle(3), "one_cycle over 3 steps with pct_start=0.3 leaves no step"),
        (lambda: optim.one_cycle(100, pct_start=1.0), "one_cycle .* leaves no step"),
        (lambda: optim.one_cycle(100, pct_start=0.01), "one_cycle .* leaves no step"),
        (lambda: optim.one_cycle(100, div_factor=0), "div_factor must be above 0"),
        (lambda: optim.one_cycle(100, final_div_factor=0), "final_div_factor must be above 0"),
        (lambda: optim.warmup_stable_decay(-1, 1, 1), "warmup_steps must be a number"),
        (lambda: optim.warmup_stable_decay(1, -1, 1), "stable_steps must be a number"),
        (lambda: optim.warmup_stable_decay(1, 1, -1), "decay_steps must be a number"),
    ],
)
def test_schedules_that_make_no_sense(make, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make()


def test_the_shortest_cycle_rises_in_one_step():
    factor = optim.one_cycle(4, pct_start=0.5)
    assert [factor(0), factor(1)] == pytest.approx([0.04, 1.0], rel=1e-12)


def test_warmup_gives_way_at_its_last_step():
    """What follows counts from 0 there, and need not begin at 1."""
    assert optim.warmup(4, then=lambda step: 0.5 + step)(4) == 0.5


# ---- minimize


def parabola(x):
    return float(np.sum(x**2) / 2), x


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_history_begins_at_the_start_and_fits_together(shape):
    x0 = np.random.default_rng(10).normal(size=shape)
    kept = x0.copy()
    history = minimize(parabola, x0, partial(GradientDescent, lr=0.25), 6)
    assert history.x.shape == history.gradient.shape == (7, *shape) and history.value.shape == (7,)
    np.testing.assert_array_equal(x0, kept)
    np.testing.assert_array_equal(history.x[0], x0)
    for k in range(7):
        np.testing.assert_allclose(history.x[k], x0 * 0.75**k, rtol=1e-14)
        assert history.value[k] == parabola(history.x[k])[0]
        np.testing.assert_array_equal(history.gradient[k], history.x[k])


def test_zero_steps():
    history = minimize(parabola, 2.0, partial(GradientDescent, lr=0.25), 0)
    assert history.x.tolist() == [2.0] and history.value.tolist() == [2.0]


@pytest.mark.parametrize("dtype", [int, np.float32])
def test_minimize_computes_in_double_precision(dtype):
    rule = partial(GradientDescent, lr=0.1)
    history = minimize(parabola, np.ones(3, dtype=dtype), rule, 5)
    np.testing.assert_array_equal(history.x, minimize(parabola, np.ones(3), rule, 5).x)


def test_minimize_evaluates_once_a_row():
    calls = []

    def fun(x):
        calls.append(float(x))
        return parabola(x)

    history = minimize(fun, 1.0, partial(GradientDescent, lr=0.25), 5)
    assert calls == history.x.tolist()


def test_minimize_with_an_optimizer():
    """It is set to x0, moved, and remembers: going on continues the same run."""
    fun, x0 = Quadratic(np.random.default_rng(11), 3, 1, 5), np.ones(3)
    x = np.zeros(3)
    optimizer = SGD([x], lr=0.1, momentum=0.9)
    first = minimize(fun, x0, optimizer, 5)
    np.testing.assert_array_equal(x, first.x[-1])
    second = minimize(fun, x, optimizer, 5)
    whole = minimize(fun, x0, partial(SGD, lr=0.1, momentum=0.9), 10)
    np.testing.assert_array_equal(np.concatenate([first.x, second.x[1:]]), whole.x)


def test_minimize_follows_a_schedule_and_gives_the_step_size_back():
    optimizer = GradientDescent([np.zeros(1)], lr=0.5)
    history = minimize(
        lambda x: (float(x[0]), np.ones(1)), np.zeros(1), optimizer, 4, schedule=optim.exponential(0.5)
    )
    np.testing.assert_allclose(-np.diff(history.x[:, 0]), [0.5, 0.25, 0.125, 0.0625])
    assert optimizer.lr == 0.5


def test_minimize_refuses_an_optimizer_of_other_arrays():
    for params in ([np.zeros(2)], [np.zeros(3), np.zeros(3)]):
        with pytest.raises(ValueError, match=r"needs one of the shape of x0, \(3,\)"):
            minimize(parabola, np.zeros(3), GradientDescent(params, lr=0.1), 1)


@pytest.mark.parametrize(
    "fun",
    [lambda x: (np.sum(x), np.ones(2)), lambda x: (x, x), lambda x: (np.sum(x), 1.0)],
)
def test_minimize_refuses_a_function_with_other_shapes(fun):
    with pytest.raises(ValueError, match=r"must return \(value, gradient\) with shapes \(\) and \(3,\)"):
        minimize(fun, np.zeros(3), partial(GradientDescent, lr=0.1), 1)


def test_divergence_to_infinity_is_an_error_that_says_so():
    def fun(x):
        with np.errstate(over="ignore"):
            return float(np.minimum(x**2, 1e308)), 1e200 * x**3

    with pytest.raises(ValueError, match="holds NaN or infinity.*step size is too large"):
        minimize(fun, 1.0, partial(GradientDescent, lr=1.0), 10)


# ---- backtracking


@settings(max_examples=100, deadline=None)
@given(problem=quadratics(), lr=st.floats(1e-3, 1e3), shrink=st.floats(0.1, 0.9), slope=st.floats(1e-4, 0.5))
def test_backtracking_takes_the_first_step_that_falls_enough(problem, lr, shrink, slope):
    fun, x = problem
    value, gradient = fun(x)
    t = optim.backtracking(fun, x, gradient, lr=lr, shrink=shrink, slope=slope)
    squared = gradient @ gradient

    def enough(t):
        return fun(x - t * gradient)[0] <= value - slope * t * squared

    assert enough(t)
    tries = lr * shrink ** np.arange(300)
    k = np.abs(tries - t).argmin()
    assert t == pytest.approx(tries[k], rel=1e-9)
    assert not any(enough(earlier) for earlier in tries[:k])
    assert t >= min(lr, shrink * 2 * (1 - slope) / fun.largest) * (1 - 1e-9)  # what theory guarantees


def test_backtracking_along_newtons_direction():
    fun = Quadratic(np.random.default_rng(12), 4, 0.1, 100)
    x = np.ones(4)
    gradient = fun(x)[1]
    assert optim.backtracking(fun, x, gradient, direction=-np.linalg.solve(fun.a, gradient)) == 1.0
    assert optim.backtracking(fun, x, gradient) < 0.1


def test_backtracking_steps_back_from_where_there_is_no_value():
    def fun(x):
        return (np.log(x) ** 2, 2 * np.log(x) / x) if x > 0 else (np.nan, np.nan)

    t = optim.backtracking(fun, 2.0, fun(2.0)[1], lr=64.0)
    assert 2.0 - t * fun(2.0)[1] > 0


def test_backtracking_along_a_line_of_numbers():
    """With one number in the place of an array; the step size is a float, whatever `lr` is."""
    t = optim.backtracking(parabola, 2.0, 2.0, direction=-2.0, lr=1)
    assert t == 1.0 and type(t) is float


@pytest.mark.parametrize(("part", "t"), [(0.9e-4, 0.5), (1.1e-4, 1.0)])
def test_backtracking_asks_for_a_ten_thousandth_of_the_promised_fall(part, t):
    """A function that falls by `part` of the promise after a step of 1, and by half of it after 1/2."""

    def fun(x):
        return (0.0 if x == 0 else -part if x == -1 else -0.25), 1.0

    assert optim.backtracking(fun, 0.0, 1.0) == t


@pytest.mark.parametrize("lr", [1.0, 1000.0])
def test_backtracking_gives_up_at_1e20th_of_the_first_step_size(lr):
    def falls_below(part):
        return lambda x: (x if x >= -part * lr else 1.0, 1.0)

    assert 1e-20 < optim.backtracking(falls_below(2e-20), 0.0, 1.0, lr=lr) / lr <= 2e-20
    with pytest.raises(ValueError, match=f"no step size from {lr:g} down to "):
        optim.backtracking(falls_below(1e-20), 0.0, 1.0, lr=lr)
    with pytest.raises(ValueError, match=f"no step size from {lr:g} down to "):
        optim.backtracking(falls_below(1e-20), 0.0, 1.0, lr=lr, shrink=1e-20)  # the bound itself


def test_backtracking_at_a_stationary_point():
    assert optim.backtracking(parabola, np.zeros(2), np.zeros(2)) == 1.0


def test_backtracking_refuses():
    x = np.array([1.0, 2.0])
    with pytest.raises(ValueError, match="does not lead downhill: .* = 5 >= 0"):
        optim.backtracking(parabola, x, x, direction=x)
    with pytest.raises(ValueError, match="does not lead downhill"):
        optim.backtracking(parabola, x, x, direction=np.array([2.0, -1.0]))  # level
    with pytest.raises(ValueError, match="does not lead downhill: .* = 0 >= 0"):
        optim.backtracking(parabola, [1.0, 0.0], [1.0, 0.0], direction=[0.0, 1.0])  # level, along an axis
    with pytest.raises(ValueError, match="does not lead downhill: .* = 0.1 >= 0"):
        optim.backtracking(parabola, x, x, direction=0.1 * np.eye(2)[0])  # slightly uphill
    with pytest.raises(ValueError, match="check the gradient"):
        optim.backtracking(lambda x: (np.sum(np.abs(x)), None), np.zeros(2), x)  # a kink, not a slope
    with pytest.raises(ValueError, match="differ in shape"):
        optim.backtracking(parabola, x, np.ones(3))
    with pytest.raises(ValueError, match=r"differ in shape: \(2,\), \(2,\), \(1,\)"):
        optim.backtracking(parabola, x, x, direction=-np.ones(1))  # would broadcast
    with pytest.raises(ValueError, match=r"differ in shape: \(2,\), \(1,\), \(2,\)"):
        optim.backtracking(parabola, x, np.ones(1), direction=-x)
    for kwargs in (dict(lr=0.0), dict(shrink=1.0), dict(shrink=0.0), dict(slope=0.0), dict(slope=1.0)):
        with pytest.raises(ValueError, match="must"):
            optim.backtracking(parabola, x, x, **kwargs)
