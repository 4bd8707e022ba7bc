"""One registry of update rules, and one suite that all of them pass; then what is true of one rule alone.

A rule's record names its reference: torch.optim, the authors' package, or the paper's algorithm written down
again below.
"""

import copy
import inspect
import itertools
import json
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import schedulefree
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechlib import losses, optim
from speechlib.optim import minimize

SHAPES = [(3,), (2, 4), (5, 3), (), (1, 1), (2, 3, 4)]
MATRICES = [(2, 4), (5, 3), (3, 3), (1, 1), (7, 1)]


# ---- references: each turns params, gradients, step sizes and settings into the params after each step


def by_torch(make, params, grads, lrs, **kwargs):
    """`make` is a rule of torch.optim or of the authors' package; one at a time, without foreach."""
    theirs = [torch.tensor(param, requires_grad=True) for param in params]
    if "foreach" in inspect.signature(make).parameters:
        kwargs["foreach"] = False
    optimizer = make(theirs, lr=lrs[0], **kwargs)
    if hasattr(optimizer, "train"):
        optimizer.train()
    for lr, step in zip(lrs, grads, strict=True):
        optimizer.param_groups[0]["lr"] = lr
        for param, grad in zip(theirs, step, strict=True):
            param.grad = torch.tensor(grad)
        optimizer.step()
        yield [param.detach().numpy().copy() for param in theirs]
    if hasattr(optimizer, "eval"):
        optimizer.eval()
        by_torch.evaluated = [param.detach().numpy().copy() for param in theirs]


def by_torch_muon(params, grads, lrs, ns_dtype, **kwargs):
    """torch's Muon iterates in bfloat16; here that word means another precision, and all else is torch's."""
    dtype = getattr(torch, ns_dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "bfloat16", lambda self: self.to(dtype).clone())
        yield from by_torch(torch.optim.Muon, params, grads, lrs, **kwargs)


def lion(params, grads, lrs, betas=(0.9, 0.99), weight_decay=0.0):
    """Chen et al. (2023), algorithm 2."""
    beta1, beta2 = betas
    theta, m = list(params), [0.0 * param for param in params]
    for lr, step in zip(lrs, grads, strict=True):
        for i, g in enumerate(step):
            c = beta1 * m[i] + (1 - beta1) * g
            theta[i] = theta[i] - lr * (np.sign(c) + weight_decay * theta[i])
            m[i] = beta2 * m[i] + (1 - beta2) * g
        yield list(theta)


def subgradient(params, grads, lrs):
    theta = list(params)
    for k, (lr, step) in enumerate(zip(lrs, grads, strict=True), 1):
        theta = [x - lr / k**0.5 * g for x, g in zip(theta, step, strict=True)]
        yield theta


@dataclass
class Rule:
    """What the suite needs to know of a rule: as PyTorch's OptimizerInfo."""

    make: Callable
    reference: Callable
    variants: list[dict]
    wrong: list[tuple[dict, str]] = field(default_factory=list)  # settings to refuse, and what the error says
    shapes: list[tuple[int, ...]] = field(default_factory=lambda: SHAPES)
    lr: float = 0.05
    downhill: float = 0.05  # a step size that goes downhill on the problems below
    torch: type | None = None  # whose defaults are ours


BETAS = [
    (dict(betas=(1.0, 0.9)), r"betas\[0\] must be below 1, not 1.0"),
    (dict(betas=(0.9, 1.0)), r"betas\[1\] must be below 1"),
    (dict(betas=(-0.1, 0.9)), r"betas\[0\] must be a number that is not negative"),
    (dict(betas=(0.9, np.nan)), r"betas\[1\] must be a number"),
    (dict(betas=(0.9,)), "betas must be two numbers"),
    (dict(betas=0.9), "betas must be two numbers"),
]
EPS = [(dict(eps=0.0), "eps must be above 0"), (dict(eps=-1e-8), "eps must be a number")]
DECAY = [(dict(weight_decay=-0.1), "weight_decay must be a number that is not negative, not -0.1")]
ADAM = BETAS + EPS + DECAY

OPTIMIZERS = {
    "GradientDescent": Rule(optim.GradientDescent, partial(by_torch, torch.optim.SGD), [{}]),
    "SGD": Rule(
        optim.SGD,
        partial(by_torch, torch.optim.SGD),
        [{}, dict(momentum=0.9), dict(momentum=0.9, nesterov=True, weight_decay=0.1),
         dict(momentum=0.5, dampening=0.3)],
        DECAY + [(dict(momentum=-0.1), "momentum"), (dict(nesterov=True), "nesterov=True needs a momentum")],
        torch=torch.optim.SGD,
    ),
    "Subgradient": Rule(optim.Subgradient, subgradient, [{}], downhill=0.3),
    "Adagrad": Rule(
        optim.Adagrad,
        partial(by_torch, torch.optim.Adagrad),
        [{}, dict(lr_decay=0.1), dict(weight_decay=1.0), dict(eps=0.1),
         dict(weight_decay=0.1, initial_accumulator_value=0.5)],
        EPS + DECAY + [
            (dict(lr_decay=-1.0), "lr_decay must"),
            (dict(initial_accumulator_value=-1.0), "initial_accumulator_value must"),
        ],
        torch=torch.optim.Adagrad,
        downhill=0.3,
    ),
    "RMSprop": Rule(
        optim.RMSprop,
        partial(by_torch, torch.optim.RMSprop),
        [{}, dict(alpha=0.5), dict(momentum=0.9), dict(centered=True), dict(eps=0.1),
         dict(weight_decay=1.0), dict(momentum=1.0),
         dict(centered=True, momentum=0.5, weight_decay=0.1, alpha=0.9)],
        EPS + DECAY + [
            (dict(alpha=1.0), "alpha must be below 1"),
            (dict(alpha=-0.1), "alpha must be a number"),
            (dict(momentum=-0.1), "momentum must"),
        ],
        torch=torch.optim.RMSprop,
        downhill=0.005,
    ),
    "Adam": Rule(
        optim.Adam,
        partial(by_torch, torch.optim.Adam),
        [{}, dict(betas=(0.5, 0.7)), dict(betas=(0.0, 0.0)), dict(weight_decay=1.0), dict(amsgrad=True),
         dict(eps=0.1), dict(amsgrad=True, weight_decay=0.1, betas=(0.8, 0.6), eps=0.01)],
        ADAM,
        torch=torch.optim.Adam,
    ),
    "AdamW": Rule(
        optim.AdamW,
        partial(by_torch, torch.optim.AdamW),
        [{}, dict(weight_decay=0.5), dict(weight_decay=0.0), dict(amsgrad=True, betas=(0.8, 0.6), eps=0.01)],
        ADAM,
        torch=torch.optim.AdamW,
    ),
    "NAdam": Rule(
        optim.NAdam,
        partial(by_torch, torch.optim.NAdam),
        [{}, dict(betas=(0.5, 0.7), eps=0.1), dict(weight_decay=1.0), dict(momentum_decay=0.5),
         dict(weight_decay=0.1, decoupled_weight_decay=True)],
        ADAM + [(dict(momentum_decay=-0.1), "momentum_decay must")],
        torch=torch.optim.NAdam,
    ),
    "Adafactor": Rule(
        optim.Adafactor,
        partial(by_torch, torch.optim.Adafactor),
        [{}, dict(beta2_decay=-0.5), dict(beta2_decay=0.0), dict(eps=(3.0, 0.1)), dict(d=3.0),
         dict(weight_decay=0.1)],
        DECAY + [
            (dict(beta2_decay=0.1), "beta2_decay must"),
            (dict(beta2_decay=-np.inf), "beta2_decay must"),
            (dict(beta2_decay="slow"), "beta2_decay must"),
            (dict(beta2_decay=None), "beta2_decay must"),
            (dict(beta2_decay=np.array([-0.8])), "beta2_decay must"),
            (dict(d=0.9), "d must be at least 1, not 0.9"),
            (dict(d=np.nan), "d must be a number"),
            (dict(eps=(0.0, 1e-3)), "eps1 must be above 0"),
            (dict(eps=(None, -1.0)), "eps2 must be a number"),
        ],
        torch=torch.optim.Adafactor,
        downhill=0.1,
    ),
    "Lion": Rule(
        optim.Lion,
        lion,
        [{}, dict(betas=(0.5, 0.3)), dict(weight_decay=0.5), dict(betas=(0.0, 0.0))],
        BETAS + DECAY,
        downhill=0.01,
    ),
    "Muon": Rule(
        partial(optim.Muon, ns_dtype="float64"),
        partial(by_torch_muon, ns_dtype="float64"),
        [{}, dict(nesterov=False), dict(weight_decay=0.0, momentum=0.5), dict(adjust_lr_fn="original"),
         dict(adjust_lr_fn="match_rms_adamw"), dict(ns_steps=3, ns_coefficients=(2.0, -1.5, 0.5)),
         dict(eps=10.0)],
        BETAS + EPS + DECAY + [
            (dict(momentum=1.0), "momentum must be below 1"),
            (dict(ns_steps=0), "ns_steps must be above 0"),
            (dict(ns_coefficients=(1.0, 2.0)), "ns_coefficients must be three numbers"),
            (dict(ns_dtype="bfloat16"), "ns_dtype must be 'float32' or 'float64', not 'bfloat16'"),
            (dict(adjust_lr_fn="other"), "adjust_lr_fn must be"),
            (dict(adamw=(0, 9)), r"adamw names the positions \[9\]"),
            (dict(adamw_factor=0.0), "adamw_factor must be above 0"),
        ],
        shapes=MATRICES,
        torch=torch.optim.Muon,
    ),
    "ScheduleFree": Rule(
        optim.ScheduleFree,
        partial(by_torch, schedulefree.SGDScheduleFree),
        [{}, dict(momentum=0.5), dict(weight_decay=0.1), dict(warmup_steps=7), dict(r=0.5),
         dict(weight_lr_power=0.5, warmup_steps=20)],
        DECAY + [
            (dict(momentum=1.0), "momentum must be below 1"),
            (dict(warmup_steps=-1), "warmup_steps must"),
            (dict(r=-1.0), "r must"),
            (dict(weight_lr_power=-1.0), "weight_lr_power must"),
        ],
        torch=schedulefree.SGDScheduleFree,
        downhill=0.1,
    ),
    "ScheduleFreeAdamW": Rule(
        optim.ScheduleFreeAdamW,
        partial(by_torch, schedulefree.AdamWScheduleFree),
        [{}, dict(betas=(0.5, 0.7), eps=0.1), dict(weight_decay=0.1), dict(warmup_steps=7),
         dict(r=0.5, weight_lr_power=0.5, warmup_steps=20)],
        ADAM + [(dict(warmup_steps=-1), "warmup_steps must")],
        torch=schedulefree.AdamWScheduleFree,
    ),
}  # fmt: skip
VARIANTS = [
    pytest.param(rule, kwargs, id=f"{name} {kwargs}")
    for name, rule in OPTIMIZERS.items()
    for kwargs in rule.variants
]
RULES = [pytest.param(rule, id=name) for name, rule in OPTIMIZERS.items()]
STATEFUL = [
    pytest.param(rule.make, kwargs, id=f"{name} {kwargs}")
    for name, rule in OPTIMIZERS.items()
    for kwargs in rule.variants
]


@pytest.fixture(autouse=True)
def double_precision():
    """torch.optim.NAdam keeps a product of its momenta in the default type: in float32 it is no oracle."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(default)


def arrays(rng, shapes=SHAPES):
    return [np.asarray(rng.normal(size=shape)) for shape in shapes]


def gradients(rng, shapes, steps, scale=3.0):
    """Random gradients whose lengths differ by orders of magnitude, some entries always zero."""
    return [[np.asarray(grad * scale ** rng.normal()) for grad in arrays(rng, shapes)] for _ in range(steps)]


def furthest(ours, theirs):
    return max(np.abs(a - b).max() for a, b in zip(ours, theirs, strict=True))


# ---- the suite


def test_every_rule_is_in_the_registry():
    rules = {
        name
        for name in optim.__all__
        if isinstance(getattr(optim, name), type) and issubclass(getattr(optim, name), optim.Optimizer)
    }
    assert rules - {"Optimizer"} == set(OPTIMIZERS)


@pytest.mark.parametrize(("rule", "kwargs"), VARIANTS)
@pytest.mark.parametrize("change_lr", [False, True])
def test_equals_its_reference(rule, kwargs, change_lr):
    rng = np.random.default_rng(0)
    start, grads = arrays(rng, rule.shapes), gradients(rng, rule.shapes, 50)
    lrs = [rule.lr * (1 + change_lr * np.cos(k)) for k in range(50)]
    ours = rule.make(copy.deepcopy(start), lr=rule.lr, **kwargs)
    for lr, grad, theirs in zip(lrs, grads, rule.reference(start, grads, lrs, **kwargs), strict=True):
        ours.lr = lr
        ours.step(grad)
        assert furthest(ours.params, theirs) < 1e-10
    assert ours.steps == 50
    assert furthest(ours.params, start) > 1e-2


@pytest.mark.parametrize("rule", [p for p in RULES if p.values[0].torch])
def test_has_the_defaults_of_its_reference(rule):
    ours = rule.make([np.zeros((2, 2))])
    default = rule.torch([torch.zeros(2, 2)]).param_groups[0]
    for name in set(ours.settings) & set(default) - {"ns_dtype"}:
        assert getattr(ours, name) == default[name], name
    unknown = set(ours.settings) - set(default)
    assert unknown <= ({"ns_dtype", "adamw", "adamw_factor", "betas"} if "Muon" in str(rule.make) else set())


@pytest.mark.parametrize(("make", "kwargs"), STATEFUL)
@pytest.mark.parametrize("stop", [0, 1, 7])
def test_resumed_run_is_bit_identical(make, kwargs, stop):
    rng = np.random.default_rng(1)
    start, grads = arrays(rng), gradients(rng, SHAPES, 15)
    whole = make(copy.deepcopy(start), lr=0.05, **kwargs)
    first = make(copy.deepcopy(start), lr=0.05, **kwargs)
    for grad in grads[:stop]:
        first.step(grad)
    saved, params = first.state_dict(), copy.deepcopy(first.params)
    for array in itertools.chain(first.params, *first.state.values()):
        array[...] = np.nan  # what was saved must be copies
    second = make(params, lr=7.0)  # all settings come from the saved state
    second.load_state_dict(saved)
    for k, grad in enumerate(grads):
        whole.step(grad)
        if k >= stop:
            second.step(grad)
    assert second.steps == 15
    for a, b in zip(whole.params, second.params, strict=True):
        assert a.tobytes() == b.tobytes()
    np.testing.assert_equal(second.state_dict(), whole.state_dict())
    again = make(params, lr=7.0)
    again.load_state_dict(saved)  # the saved state has not moved along
    np.testing.assert_equal(again.state_dict(), saved)


REMEMBERED = {
    "GradientDescent": [],
    "SGD": ["momentum"],
    "Subgradient": ["average", "weight"],
    "Adagrad": ["sum"],
    "RMSprop": ["grad_avg", "momentum", "square_avg"],
    "Adam": ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"],
    "AdamW": ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"],
    "NAdam": ["exp_avg", "exp_avg_sq", "mu_product"],
    "Adafactor": ["col_var", "row_var", "variance"],
    "Lion": ["exp_avg"],
    "Muon": ["exp_avg", "exp_avg_sq", "momentum"],
    "ScheduleFree": ["lr_max", "weight_sum", "x", "z"],
    "ScheduleFreeAdamW": ["exp_avg_sq", "lr_max", "weight_sum", "x", "z"],
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_is_remembered_keeps_its_names(name):
    """They stand in files that readers keep. All names of a rule, in the variant that needs most."""
    rule = OPTIMIZERS[name]
    names = set()
    for kwargs in rule.variants:
        optimizer = rule.make([np.ones((2, 3)), np.ones(2)], lr=0.05, **kwargs)
        optimizer.step([np.ones((2, 3)), np.ones(2)])
        names |= set(optimizer.state)
    assert sorted(names) == REMEMBERED[name]


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (optim.SGD, []),
        (optim.RMSprop, ["square_avg"]),
        (optim.Adam, ["exp_avg", "exp_avg_sq"]),
    ],
)
def test_nothing_is_remembered_in_vain(make, names):
    optimizer = make([np.ones(2)])
    optimizer.step([np.ones(2)])
    assert sorted(optimizer.state) == names


@pytest.mark.parametrize(("make", "kwargs"), STATEFUL)
def test_saved_state_is_plain_data(make, kwargs):
    """Numbers, words and arrays: it survives JSON and continues."""
    rng = np.random.default_rng(2)
    ours = make(arrays(rng), lr=0.05, **kwargs)
    grads = gradients(rng, SHAPES, 4)
    for grad in grads[:3]:
        ours.step(grad)
    saved = ours.state_dict()
    assert all(type(array) is np.ndarray for a in saved["state"].values() for array in a)
    text = json.dumps({**saved, "state": {}})
    other = make(copy.deepcopy(ours.params), lr=7.0)
    other.load_state_dict({**json.loads(text), "state": saved["state"]})
    for optimizer in (ours, other):
        optimizer.step(grads[3])
    assert furthest(ours.params, other.params) == 0


@pytest.mark.parametrize(("make", "kwargs"), STATEFUL)
def test_steps_are_in_place_and_gradients_left_alone(make, kwargs):
    rng = np.random.default_rng(3)
    params = arrays(rng)
    kept, before = list(params), copy.deepcopy(params)
    optimizer = make(params, lr=0.05, **kwargs)
    for grad in gradients(rng, SHAPES, 3):
        same = copy.deepcopy(grad)
        optimizer.step(grad)
        for a, b in zip(grad, same, strict=True):
            np.testing.assert_array_equal(a, b)
        for a, b in zip(optimizer.params, kept, strict=True):
            assert a is b
    assert all((a != b).any() for a, b in zip(params, before, strict=True))
    for array in itertools.chain(*optimizer.state.values()):
        assert not any(np.shares_memory(array, other) for other in params + grad)


@pytest.mark.parametrize(("make", "kwargs"), STATEFUL)
def test_views_and_single_precision(make, kwargs):
    """A transposed view of a matrix is moved where it lies; float32 stays float32."""
    rng = np.random.default_rng(4)
    start, grads = rng.normal(size=(4, 3)), rng.normal(size=(6, 4, 3))
    whole = start.copy()
    store = np.ascontiguousarray(start.T)
    single = start.astype(np.float32)
    for param in (whole, store.T, single):
        optimizer = make([param], lr=0.05, **kwargs)
        for grad in grads:
            optimizer.step([grad])
        for array in itertools.chain(*optimizer.state.values()):
            assert array.dtype in (param.dtype, np.float64) if array.ndim == 0 else array.dtype == param.dtype
    np.testing.assert_allclose(store.T, whole, rtol=0, atol=1e-12)
    np.testing.assert_allclose(single, whole, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("make", "kwargs"), STATEFUL)
def test_single_precision_is_not_left_on_the_way(make, kwargs):
    """Nothing that is remembered or computed makes the direction of a float32 matrix float64."""
    param, grad = np.ones((2, 3), dtype=np.float32), np.ones((2, 3), dtype=np.float32)
    optimizer = make([param], lr=0.05, **kwargs)
    optimizer.step([grad])
    assert optimizer.direction(0, param, grad).dtype == np.float32


def bowl():
    """A quadratic of a matrix and a vector with curvatures from 0.5 to 5; value and gradients."""
    rng = np.random.default_rng(5)
    curvatures = [rng.uniform(0.5, 5, size=shape) for shape in [(4, 3), (5,)]]
    target = [rng.normal(size=a.shape) for a in curvatures]

    def fun(params):
        away = [p - t for p, t in zip(params, target, strict=True)]
        value = sum(float(np.sum(c * a * a)) / 2 for c, a in zip(curvatures, away, strict=True))
        return value, [c * a for c, a in zip(curvatures, away, strict=True)]

    return fun, [t + 1.0 for t in target]


def logistic():
    """Logistic regression with a vector of weights and one number."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(50, 4))
    labels = (x @ rng.normal(size=4) + rng.normal(size=50) > 0).astype(int)

    def fun(params):
        value, grad = losses.binary_cross_entropy(x @ params[0][:, 0] + params[1], labels)
        return value, [(x.T @ grad)[:, None], np.asarray(grad.sum())]

    return fun, [np.zeros((4, 1)), np.zeros(())]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("problem", [bowl, logistic])
def test_goes_downhill(rule, problem):
    fun, params = problem()
    optimizer = rule.make(params, lr=rule.downhill)
    first = fun(params)[0]
    lowest = {bowl: 0.1, logistic: 0.8}[problem]
    for _ in range(200):
        optimizer.step(fun(params)[1])
    assert fun(params)[0] < lowest * first


@pytest.mark.parametrize(("make", "kwargs"), STATEFUL)
def test_zero_gradients_leave_only_the_decay(make, kwargs):
    rng = np.random.default_rng(7)
    params = [np.asarray(np.sign(param) * (1 + np.abs(param))) for param in arrays(rng)]
    before = copy.deepcopy(params)
    optimizer = make(params, lr=0.05, **kwargs)
    for _ in range(3):
        optimizer.step([np.zeros_like(param) for param in params])
    if getattr(optimizer, "weight_decay", 0) == 0:
        for a, b in zip(params, before, strict=True):
            np.testing.assert_array_equal(a, b)
    else:
        assert all((np.abs(a) < np.abs(b)).all() for a, b in zip(params, before, strict=True))


@pytest.mark.parametrize(("make", "kwargs"), STATEFUL)
def test_a_step_size_of_nothing_moves_nothing(make, kwargs):
    """Schedules end at 0. What is remembered goes on; the parameters stay."""
    rng = np.random.default_rng(8)
    params = arrays(rng)
    before = copy.deepcopy(params)
    optimizer = make(params, lr=0.05, **kwargs)
    optimizer.lr = 0
    for grad in gradients(rng, SHAPES, 2):
        optimizer.step(grad)
    for a, b in zip(params, before, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-15)
    optimizer.lr = 0.05
    optimizer.step(grad)
    assert np.isfinite(np.concatenate([p.ravel() for p in params])).all()
    assert all((a != b).any() for a, b in zip(params, before, strict=True))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("lr", [0, -0.1, np.nan, np.inf, "0.1", None])
def test_the_step_size_must_be_positive(rule, lr):
    with pytest.raises(ValueError, match="^lr must be a (positive )?number"):
        rule.make([np.zeros((2, 2))], lr=lr)


@pytest.mark.parametrize(
    ("rule", "kwargs", "message"),
    [
        pytest.param(rule, kwargs, message, id=f"{name} {kwargs}")
        for name, rule in OPTIMIZERS.items()
        for kwargs, message in rule.wrong
    ],
)
def test_settings_that_make_no_rule(rule, kwargs, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        rule.make([np.zeros((2, 2))], lr=0.1, **kwargs)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("params", "message"),
    [
        (np.zeros((2, 2)), "a list of arrays"),
        ([], "params is empty"),
        ([np.zeros((2, 2), dtype=int)], "array of int64"),
        ([np.zeros((2, 2), dtype=complex)], "array of complex128"),
        ([[1.0, 2.0]], "must be a writable array of floats"),
    ],
)
def test_parameters_that_cannot_be_learned(rule, params, message):
    with pytest.raises(ValueError, match=message):
        rule.make(params, lr=0.1)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("stop", [0, 3])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda grads: grads[:-1], "5 gradients for 6 parameters"),
        (lambda grads: [*grads[:-1], np.zeros((4, 3, 2))], r"grads\[5\] has shape \(4, 3, 2\)"),
        (lambda grads: [*grads[:-1], np.full((2, 3, 4), np.nan)], r"grads\[5\] .* holds NaN or infinity; no"),
        (lambda grads: [grads[0], grads[1] * -np.inf, *grads[2:]], r"grads\[1\] .* holds NaN or infinity"),
        (lambda grads: [*grads[:-1], 1j * grads[-1]], r"grads\[5\] must be an array of real numbers"),
    ],
    ids=["missing", "shape", "nan", "inf", "complex"],
)
def test_a_wrong_gradient_changes_nothing(rule, stop, spoil, message):
    rng = np.random.default_rng(9)
    optimizer = rule.make(arrays(rng), lr=0.05)
    grads = gradients(rng, SHAPES, 4)
    for grad in grads[:stop]:
        optimizer.step(grad)
    before = copy.deepcopy((optimizer.params, optimizer.state_dict()))
    with pytest.raises(ValueError, match=message):
        optimizer.step(spoil(grads[3]))
    np.testing.assert_equal((optimizer.params, optimizer.state_dict()), before)


@pytest.mark.parametrize("rule", RULES)
def test_state_of_another_rule_or_model_is_refused(rule):
    rng = np.random.default_rng(10)
    variant = rule.variants[-1]
    optimizer = rule.make(arrays(rng), lr=0.05, **variant)
    optimizer.step(arrays(rng))
    saved = optimizer.state_dict()
    assert saved["steps"] == 1
    larger = rule.make([np.zeros(np.add(shape, 1)) for shape in SHAPES], lr=0.3, **variant)
    fewer = rule.make([np.zeros(shape) for shape in SHAPES[:-1]], lr=0.3, **variant)
    per_parameter = {name for name, a in saved["state"].items() if len(a) == len(SHAPES)}
    for other in (larger, fewer):
        if per_parameter:
            before = other.state_dict()
            with pytest.raises(ValueError, match="has the shapes .* this model needs"):
                other.load_state_dict(saved)
            np.testing.assert_equal(other.state_dict(), before)

    class Other(optim.GradientDescent):
        pass

    with pytest.raises(ValueError, match=f"the saved state is of {saved['rule']}, this is Other"):
        Other([np.zeros(2)], lr=0.1).load_state_dict(saved)
    for key in saved:
        with pytest.raises(ValueError, match=f"not a state_dict: it has no {key}"):
            optimizer.load_state_dict({k: v for k, v in saved.items() if k != key})
    for wrong in ({**saved["settings"], "more": 1}, {}):
        with pytest.raises(ValueError, match="saved by another version"):
            optimizer.load_state_dict({**saved, "settings": wrong})


@pytest.mark.parametrize("rule", RULES)
def test_works_with_minimize(rule):
    fun, start = bowl()
    history = minimize(
        lambda x: (fun([x, start[1]])[0], fun([x, start[1]])[1][0]),
        start[0], partial(rule.make, lr=rule.downhill), 50, schedule=optim.cosine(50),
    )  # fmt: skip
    assert history.value[-1] < history.value[0]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(sorted(OPTIMIZERS)), split=st.integers(1, 11))
def test_parameters_do_not_feel_each_other(seed, name, split):
    """Moved together or each by its own optimizer: the same, for no rule here mixes parameters."""
    rng = np.random.default_rng(seed)
    start, grads = arrays(rng), gradients(rng, SHAPES, 4)
    make = OPTIMIZERS[name].make
    together = make(copy.deepcopy(start), lr=0.05)
    alone = [make([param.copy()], lr=0.05) for param in start]
    for step in grads:
        together.step(step)
        for optimizer, grad in zip(alone, step, strict=True):
            optimizer.step([grad])
    assert furthest(together.params, [optimizer.params[0] for optimizer in alone]) == 0


SCALE_FREE = ["Adagrad", "RMSprop", "Adam", "AdamW", "NAdam", "Lion", "Muon", "ScheduleFreeAdamW"]


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(SCALE_FREE), power=st.integers(-12, 12), seed=st.integers(0, 2**32 - 1))
def test_what_divides_by_the_gradients_length_does_not_see_their_scale(name, power, seed):
    rng = np.random.default_rng(seed)
    start, grads = arrays(rng), gradients(rng, SHAPES, 5)
    tiny = {} if name == "Lion" else dict(eps=1e-300)
    if name == "Muon":
        tiny["adamw"] = ()
        start, grads = arrays(rng, MATRICES), gradients(rng, MATRICES, 5)
    ours, scaled = (OPTIMIZERS[name].make(copy.deepcopy(start), lr=0.05, **tiny) for _ in range(2))
    for step in grads:
        ours.step(step)
        scaled.step([grad * 2.0**power for grad in step])
    assert furthest(ours.params, scaled.params) < 1e-12


# ---- Subgradient


def worst(x):
    """f(x) = max(|x_1|, 3 |x_2|), whose minimum is 0: value and one subgradient."""
    heights = np.abs(x) * [1.0, 3.0]
    i = heights.argmax()
    return heights[i], np.eye(2)[i] * np.sign(x[i]) * [1.0, 3.0]


@settings(max_examples=40, deadline=None)
@given(
    start=st.tuples(st.floats(-3, 3), st.floats(-3, 3)), lr=st.floats(0.05, 2.0), steps=st.integers(1, 300)
)
def test_best_and_average_keep_the_subgradient_bound(start, lr, steps):
    """Nesterov (2018), section 3.2.3: both are at most (R² + G² sum a²) / (2 sum a) above the minimum."""
    x = np.array(start)
    optimizer = optim.Subgradient([x], lr=lr)
    sizes = lr / np.sqrt(np.arange(1, steps + 1))
    points, values = [], []
    for _ in range(steps):
        value, g = worst(x)
        points.append(x.copy())
        values.append(value)
        optimizer.step([g], value=value)
    bound = (np.sum(np.square(start)) + 9 * np.sum(sizes**2)) / (2 * np.sum(sizes))
    assert optimizer.best_value == min(values) <= bound + 1e-12
    np.testing.assert_array_equal(optimizer.best[0], points[int(np.argmin(values))])
    np.testing.assert_allclose(
        optimizer.average[0], np.average(points, axis=0, weights=sizes), rtol=0, atol=1e-12
    )
    assert worst(optimizer.average[0])[0] <= bound + 1e-12


def test_single_subgradient_steps_climb_and_the_best_value_converges():
    x = np.array([0.3])
    optimizer = optim.Subgradient([x], lr=1.0)
    values = []
    for _ in range(10_000):
        values.append(abs(x[0]))
        optimizer.step([np.sign(x)], value=values[-1])
    assert np.sum(np.diff(values) > 0) > 100  # this is not a descent method
    assert optimizer.best_value < 1e-3
    assert max(values[-100:]) < 0.02  # the steps have become small


def test_best_and_average_before_the_first_step_and_without_values():
    x = np.array([2.0])
    optimizer = optim.Subgradient([x], lr=1.0)
    assert optimizer.best_value == np.inf
    for point in (optimizer.best, optimizer.average):
        assert point[0] == 2.0 and point[0] is not x
    optimizer.step([np.ones(1)])
    assert optimizer.best_value == np.inf and optimizer.best[0] == 1.0 and optimizer.average[0] == 2.0
    optimizer.step([np.ones(1)], value=np.float64(5.0))
    optimizer.step([np.ones(1)], value=5.0)  # no better: the first one stays
    assert optimizer.best_value == 5.0 and type(optimizer.best_value) is float and optimizer.best[0] == 1.0
    optimizer.best[0][...], optimizer.average[0][...] = 7.0, 7.0  # these are copies
    assert optimizer.best[0] == 1.0 and optimizer.average[0] < 2.0
    again = optim.Subgradient([x], lr=0.5)
    again.load_state_dict(optimizer.state_dict())
    assert again.best_value == 5.0 and again.best == optimizer.best and again.average == optimizer.average


def test_a_whole_number_as_value_is_kept_as_a_float():
    optimizer = optim.Subgradient([np.array([2.0])], lr=1.0)
    optimizer.step([np.ones(1)], value=2)
    assert optimizer.state["best_value"][0].dtype == np.float64


@pytest.mark.parametrize("value", [np.nan, -np.inf, np.ones(1), "low"])
def test_a_value_that_is_none_changes_nothing(value):
    x = np.array([2.0])
    optimizer = optim.Subgradient([x], lr=1.0)
    with pytest.raises(ValueError, match="value must be a finite number, not .*; no parameter was changed"):
        optimizer.step([np.ones(1)], value=value)
    assert x[0] == 2.0 and optimizer.steps == 0
    with pytest.raises(ValueError, match="NaN"):
        optimizer.step([np.array([np.nan])], value=1.0)
    assert optimizer.best_value == np.inf and optimizer.average[0] == 2.0 and optimizer.state == {}


# ---- the base


def test_the_base_has_no_rule():
    with pytest.raises(NotImplementedError):
        optim.Optimizer([np.zeros(2)], lr=0.1).step([np.ones(2)])


def test_what_the_caller_does_to_its_lists_later_changes_nothing():
    x, y = np.zeros((2, 2)), np.zeros(2)
    params, eps, coefficients, adamw = [x], [None, 1e-3], [2.0, -1.5, 0.5], [0]
    optimizers = [
        optim.Adafactor(params, eps=eps),
        optim.Muon(params, ns_coefficients=coefficients, adamw=adamw),
        optim.Adam(array for array in params),
    ]
    params.append(y)
    eps[1], coefficients[0], adamw[0] = 7.0, 7.0, 1
    assert all(len(optimizer.params) == 1 and optimizer.params[0] is x for optimizer in optimizers)
    assert optimizers[0].eps == (None, 1e-3)
    assert optimizers[1].ns_coefficients == (2.0, -1.5, 0.5) and optimizers[1].adamw == (0,)


@pytest.mark.parametrize("make", [optim.GradientDescent, optim.Adam, optim.AdamW])
def test_a_step_makes_no_new_arrays(make):
    """With arrays of millions of entries, making them takes longer than the arithmetic."""
    params, grads = [np.zeros((300, 200)), np.zeros(50_000)], [np.ones((300, 200)), np.ones(50_000)]
    optimizer = make(params, lr=0.1)
    optimizer.step(grads)
    tracemalloc.start()
    optimizer.step(grads)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < params[1].nbytes / 10


# ---- one rule and another


def walk(make, start, grads):
    params = copy.deepcopy(start)
    optimizer = make(params)
    for grad in grads:
        optimizer.step(grad)
    return params, optimizer


def test_rules_meet_where_they_should():
    rng = np.random.default_rng(11)
    start, grads = arrays(rng), gradients(rng, SHAPES, 10)

    def same(a, b, tolerance=1e-12):
        assert furthest(walk(a, start, grads)[0], walk(b, start, grads)[0]) < tolerance

    # AdamW and Adam differ in the decay alone
    same(partial(optim.AdamW, weight_decay=0), optim.Adam)
    # with nothing averaged, Adam and Lion are the sign of the gradient
    same(partial(optim.Adam, lr=0.1, betas=(0, 0), eps=1e-300), partial(optim.Lion, lr=0.1, betas=(0, 0)))
    # without momentum, schedule-free SGD moves its z by SGD, and takes the gradient there
    same(partial(optim.ScheduleFree, lr=0.1, momentum=0), partial(optim.GradientDescent, lr=0.1))
    # Adagrad's first step and Adam's
    grads = grads[:1]
    same(partial(optim.Adagrad, lr=0.1), partial(optim.Adam, lr=0.1, eps=1e-12), 1e-8)


def test_centered_rmsprop_survives_rounding():
    """A gradient that never changes has no variance; torch takes the root of a negative number there."""
    x = np.zeros(50)
    grad = np.random.default_rng(12).normal(size=50)
    optimizer = optim.RMSprop([x], alpha=0.3, centered=True)
    for _ in range(200):
        optimizer.step([grad])
    assert np.isfinite(x).all()
    memory = {name: a[0] for name, a in optimizer.state.items()}
    assert (memory["square_avg"] - memory["grad_avg"] ** 2 < 0).any()  # it does happen here


def test_large_gradients_are_not_mistaken_for_infinite_ones():
    x = np.zeros(2)
    optim.GradientDescent([x], lr=1e-200).step([np.array([1e200, -1e200])])
    assert x.tolist() == [-1.0, 1.0]


def test_whole_numbers_are_gradients():
    x = np.zeros(2)
    optim.Adam([x], lr=0.1).step([np.array([3, -(2**62)])])
    np.testing.assert_allclose(x, [-0.1, 0.1])


def test_adamw_decays_before_it_steps():
    x = np.array([2.0])
    optim.AdamW([x], lr=0.1, weight_decay=0.5).step([np.array([3.0])])
    assert x[0] == pytest.approx(2.0 * 0.95 - 0.1)


def test_lion_has_its_papers_defaults():
    """Chen et al. (2023), algorithm 2, and the authors' code; torch has no Lion to compare with."""
    ours = optim.Lion([np.zeros(2)])
    assert (ours.lr, ours.betas, ours.weight_decay) == (1e-4, (0.9, 0.99), 0.0)


def test_lion_moves_every_entry_by_the_step_size():
    rng = np.random.default_rng(13)
    x = np.zeros(100)
    optimizer = optim.Lion([x], lr=0.25)
    for _ in range(5):
        before = x.copy()
        optimizer.step([rng.normal(size=100)])
        assert (np.abs(x - before) == 0.25).all()


# ---- Adafactor and Muon


def test_adafactor_remembers_a_row_and_a_column():
    params = [np.ones((30, 20)), np.ones((2, 5, 3)), np.ones(7), np.ones(())]
    optimizer = optim.Adafactor(params)
    optimizer.step([np.ones_like(param) for param in params])
    shapes = {name: [a.shape for a in memory] for name, memory in optimizer.state.items()}
    assert shapes == {
        "row_var": [(30, 1), (2, 5, 1), (0,), (0,)],
        "col_var": [(1, 20), (2, 1, 3), (0,), (0,)],
        "variance": [(0,), (0,), (7,), ()],
    }


def test_adafactor_remembers_means_of_squares():
    optimizer = optim.Adafactor([np.ones((2, 3))])
    optimizer.step([np.array([[1.0, 2.0, 4.0], [0.0, 3.0, 0.0]])])
    assert optimizer.state["row_var"][0].tolist() == [[7.0], [3.0]]
    assert optimizer.state["col_var"][0].tolist() == [[0.5, 6.5, 8.0]]


def test_adafactors_steps_shrink_where_the_step_size_is_large():
    """From step 5 on, 1 / sqrt(t) is below an lr of 1/2."""
    rng = np.random.default_rng(29)
    start, grads = arrays(rng), gradients(rng, SHAPES, 20)
    params = walk(partial(optim.Adafactor, lr=0.5), start, grads)[0]
    *_, theirs = by_torch(torch.optim.Adafactor, start, grads, [0.5] * 20)
    assert furthest(params, theirs) < 1e-10


def test_adafactor_is_exact_for_squares_of_rank_one():
    """Where the squares are a product of rows and columns, nothing is lost: one step is the sign."""
    rng = np.random.default_rng(14)
    w = np.ones((4, 3))
    grad = np.outer(rng.normal(size=4), rng.normal(size=3))
    optim.Adafactor([w], lr=0.5).step([grad])
    np.testing.assert_allclose(w, 1 - 0.5 * np.sign(grad), rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 8),
    columns=st.integers(1, 8),
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_newton_schulz_keeps_the_singular_vectors_and_levels_the_values(rows, columns, seed, dtype):
    rng = np.random.default_rng(seed)
    k = min(rows, columns)
    u, _ = np.linalg.qr(rng.normal(size=(rows, k)))
    v, _ = np.linalg.qr(rng.normal(size=(columns, k)))
    values = rng.uniform(0.3, 1.0, size=k) * 10.0 ** rng.uniform(-3, 3)
    x = optim.newton_schulz((u * values) @ v.T, dtype=dtype)
    assert x.shape == (rows, columns) and x.dtype == np.float64
    along = u.T @ x @ v
    np.testing.assert_allclose(along - np.diag(np.diag(along)), 0, atol=1e-5 if dtype == "float32" else 1e-12)
    assert (np.diag(along) > 0.65).all() and (np.diag(along) < 1.21).all()
    s = values / np.linalg.norm(values)
    for _ in range(5):
        s = 3.4445 * s - 4.775 * s**3 + 2.0315 * s**5
    np.testing.assert_allclose(np.diag(along), s, atol=1e-5 if dtype == "float32" else 1e-12)
    polar = optim.newton_schulz((u * values) @ v.T, coefficients=(2, -1.5, 0.5), steps=25, dtype=dtype)
    np.testing.assert_allclose(polar, u @ v.T, atol=1e-5 if dtype == "float32" else 1e-10)


def test_newton_schulz_of_extreme_matrices():
    assert not optim.newton_schulz(np.zeros((2, 3))).any()
    # float32 has no 1e60: the norm is divided out before
    np.testing.assert_allclose(
        optim.newton_schulz(1e60 * np.eye(2)), optim.newton_schulz(np.eye(2)), rtol=1e-6
    )
    # below eps the matrix is divided by eps: half of that leaves norm 1/2
    half = optim.newton_schulz(np.eye(1) * 0.5e-7, steps=1, dtype="float64")
    assert half[0, 0] == pytest.approx(3.4445 / 2 - 4.775 / 8 + 2.0315 / 32, rel=1e-12)
    wide = np.random.default_rng(15).normal(size=(2, 5))
    np.testing.assert_allclose(optim.newton_schulz(wide).T, optim.newton_schulz(wide.T), rtol=0, atol=1e-6)


def test_muon_uses_single_precision_unless_told():
    rng = np.random.default_rng(16)
    start, grads = arrays(rng, MATRICES), gradients(rng, MATRICES, 10)
    single, optimizer = walk(partial(optim.Muon, lr=0.02), start, grads)
    double = walk(partial(optim.Muon, lr=0.02, ns_dtype="float64"), start, grads)[0]
    assert optimizer.ns_dtype == "float32"
    assert 1e-9 < furthest(single, double) < 1e-5


def test_muon_leaves_to_adamw_what_is_not_a_matrix():
    rng = np.random.default_rng(17)
    start, grads = arrays(rng), gradients(rng, SHAPES, 10)
    settings = dict(weight_decay=0.3, betas=(0.8, 0.9))
    make = partial(optim.Muon, lr=0.02, adamw=(2,), adamw_factor=0.25, **settings)
    params, optimizer = walk(make, start, grads)
    adamw = walk(partial(optim.AdamW, lr=0.005, **settings), start, grads)[0]
    muon = walk(partial(optim.Muon, lr=0.02, weight_decay=0.3), start, grads)[0]
    assert [optimizer.is_matrix(i) for i in range(6)] == [False, True, False, False, True, False]
    for i, (ours, a, b) in enumerate(zip(params, adamw, muon, strict=True)):
        np.testing.assert_allclose(ours, b if i in (1, 4) else a, rtol=0, atol=1e-14)
    shapes = {name: [a.shape for a in memory] for name, memory in optimizer.state.items()}
    matrices = [(0,), (2, 4), (0,), (0,), (1, 1), (0,)]
    others = [(3,), (0,), (5, 3), (), (0,), (2, 3, 4)]
    assert shapes == {"momentum": matrices, "exp_avg": others, "exp_avg_sq": others}
    defaults = optim.Muon([np.zeros(2)])
    assert defaults.betas == (0.9, 0.999) and defaults.adamw_factor == 1.0 and defaults.adamw == ()


def test_muon_loads_which_matrices_are_whose():
    rng = np.random.default_rng(27)
    start, grads = arrays(rng), gradients(rng, SHAPES, 3)
    params, optimizer = walk(partial(optim.Muon, adamw=(2,)), start, grads)
    saved = optimizer.state_dict()
    other = optim.Muon(copy.deepcopy(params))
    other.load_state_dict(saved)
    assert other.adamw == (2,)
    optimizer.step(grads[0])
    other.step(grads[0])
    assert furthest(optimizer.params, other.params) == 0
    bad = {**saved, "settings": {**saved["settings"], "lr": -1.0}}
    before = other.state_dict()
    with pytest.raises(ValueError, match="lr must be a number that is not negative"):
        other.load_state_dict(bad)
    np.testing.assert_equal(other.state_dict(), before)


def test_muon_takes_a_kernel_as_a_view():
    kernel = np.zeros((4, 2, 3))
    optim.Muon([kernel.reshape(4, -1)], lr=1.0).step([np.eye(4, 6)])
    assert np.linalg.svd(kernel.reshape(4, -1), compute_uv=False).min() > 0.6


# ---- averages


def by_torch_average(points, decay):
    swa = torch.optim.swa_utils
    module = torch.nn.ParameterList([torch.nn.Parameter(torch.tensor(p)) for p in points[0]])
    multi = None if decay is None else swa.get_ema_multi_avg_fn(decay)
    averaged = swa.AveragedModel(module, multi_avg_fn=multi)
    for point in points:
        with torch.no_grad():
            for param, value in zip(module, point, strict=True):
                param.copy_(torch.tensor(value))
        averaged.update_parameters(module)
    return [param.detach().numpy() for param in averaged.module]


@pytest.mark.parametrize("decay", [None, 0.0, 0.9, 0.999])
def test_averages_equal_torch(decay):
    rng = np.random.default_rng(18)
    points = [arrays(rng) for _ in range(50)]
    params = arrays(rng)
    ours = optim.Average(params, decay=decay)
    assert furthest(ours.average, params) == 0 and ours.updates == 0
    for k, point in enumerate(points, 1):
        for param, value in zip(params, point, strict=True):
            param[...] = value
        ours.update()
        if k == 1:
            assert furthest(ours.average, point) == 0  # what was there before counts for nothing
        if k == 20:
            saved = ours.state_dict()
    assert furthest(ours.average, by_torch_average(points, decay)) < 1e-12
    if decay is None:
        means = [np.mean([p[i] for p in points], axis=0) for i in range(len(SHAPES))]
        assert furthest(ours.average, means) < 1e-12
    # the rest of the way once more, from what was saved
    again = optim.Average(params, decay=0.5)
    again.load_state_dict(saved)
    for point in points[20:]:
        for param, value in zip(params, point, strict=True):
            param[...] = value
        again.update()
    assert again.updates == ours.updates == 50
    assert furthest(again.average, ours.average) == 0
    assert furthest(saved["average"], ours.average) > 0 or decay == 0.0


def test_averages_are_copies_and_only_read_the_parameters():
    x = np.array([1.0, 3.0])
    ours = optim.Average([x])
    ours.update()
    ours.average[0][...] = 7.0
    assert ours.average[0].tolist() == [1.0, 3.0] and x.tolist() == [1.0, 3.0]
    x += 2.0
    assert ours.average[0].tolist() == [1.0, 3.0]


def test_averages_refuse():
    for decay in (1.0, -0.1, np.nan):
        with pytest.raises(ValueError, match="^decay must"):
            optim.Average([np.zeros(2)], decay=decay)
    with pytest.raises(ValueError, match="a list of arrays"):
        optim.Average(np.zeros(2))
    ours = optim.Average([np.zeros(2)], decay=0.5)
    with pytest.raises(ValueError, match=r"the saved average has the shapes \[\(3,\)\], this model needs"):
        ours.load_state_dict(optim.Average([np.zeros(3)]).state_dict())
    assert ours.decay == 0.5


def test_averages_lie_lower_where_gradients_are_noisy():
    """x² / 2 with noise of standard deviation 1: each average against the points it is of."""
    rng = np.random.default_rng(19)
    x = np.zeros(500)  # 500 runs at once
    optimizer = optim.GradientDescent([x], lr=0.5)
    mean, recent = optim.Average([x]), optim.Average([x], decay=0.95)
    for _ in range(200):
        optimizer.step([x + rng.normal(size=500)])
        mean.update()
        recent.update()
    assert np.var(x) == pytest.approx(1 / 3, rel=0.25)  # lr / (2 - lr)
    assert np.var(recent.average[0]) < np.var(x) / 5
    assert np.var(mean.average[0]) < np.var(recent.average[0]) / 3


@pytest.mark.parametrize("name", ["ScheduleFree", "ScheduleFreeAdamW"])
def test_the_average_is_what_the_authors_package_evaluates(name):
    rule = OPTIMIZERS[name]
    rng = np.random.default_rng(20)
    start, grads = arrays(rng), gradients(rng, SHAPES, 50)
    kwargs = dict(weight_decay=0.1, warmup_steps=5)
    params, ours = walk(partial(rule.make, lr=0.05, **kwargs), start, grads)
    list(rule.reference(start, grads, [0.05] * 50, **kwargs))
    assert furthest(ours.average, by_torch.evaluated) < 1e-10
    # y lies between z and x
    for y, z, x in zip(params, ours.state["z"], ours.average, strict=True):
        np.testing.assert_allclose(y, 0.1 * z + 0.9 * x, rtol=0, atol=1e-12)
    ours.average[0][...] = 7.0
    assert not (ours.average[0] == 7.0).any()


def test_schedule_free_averages_all_z_evenly():
    rng = np.random.default_rng(21)
    y, points = np.zeros(3), []
    optimizer = optim.ScheduleFree([y], lr=0.1)
    assert optimizer.average[0].tolist() == [0, 0, 0] and optimizer.average[0] is not y
    for _ in range(20):
        optimizer.step([rng.normal(size=3)])
        points.append(optimizer.state["z"][0].copy())
        np.testing.assert_allclose(optimizer.average[0], np.mean(points, axis=0), rtol=0, atol=1e-14)


def test_schedule_free_may_be_set_before_its_first_step():
    """As `minimize` does with an optimizer that exists already."""
    y = np.zeros(1)
    optimizer = optim.ScheduleFree([y], lr=0.5)
    y[...] = 8.0
    optimizer.step([y])
    assert y[0] == 4.0 and optimizer.average[0][0] == 4.0


# ---- SVRG and SAGA


class Examples:
    """Least squares, one example at a time: f_i(x) = (a_i . x - b_i)² / 2; calls are counted."""

    def __init__(self, seed=0, n=7, dimension=3):
        rng = np.random.default_rng(seed)
        self.a, self.b = rng.normal(size=(n, dimension)), rng.normal(size=n)
        self.a /= np.linalg.norm(self.a, axis=1, keepdims=True)
        self.n, self.calls = n, 0
        self.minimum = np.linalg.lstsq(self.a, self.b, rcond=None)[0]
        self.curvature = np.max(np.sum(self.a**2, axis=1))

    def __call__(self, x, i):
        self.calls += 1
        error = self.a[i] @ x - self.b[i]
        return error**2 / 2, error * self.a[i]

    def mean(self, x):
        error = self.a @ x - self.b
        return np.mean(error**2) / 2, self.a.T @ error / self.n


class Draws:
    """In the place of a random generator: draws these."""

    def __init__(self, *draws):
        self.draws = list(draws)

    def integers(self, n):
        draw = self.draws.pop(0)
        assert 0 <= draw < n
        return draw


METHODS = [optim.svrg, optim.saga]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("first", [(), (2,), (2, 5), (5, 5, 0)])
def test_the_direction_is_right_on_average(method, first):
    """After any draws, the mean over the next draw is a step of gradient descent."""
    fun, x0, lr, steps = Examples(), np.ones(3), 0.05, len(first) + 1
    if first:
        before = method(fun, x0, fun.n, lr=lr, epochs=1, steps=len(first), rng=Draws(*first)).x[-1]
    else:
        before = x0
    after = [
        method(fun, x0, fun.n, lr=lr, epochs=1, steps=steps, rng=Draws(*first, i)).x[-1] for i in range(fun.n)
    ]
    np.testing.assert_allclose(np.mean(after, axis=0), before - lr * fun.mean(before)[1], rtol=0, atol=1e-13)
    spread = np.ptp(after, axis=0).max()
    assert spread > 1e-3 if first else spread < 1e-14  # at the start all examples are corrected to the mean


@pytest.mark.parametrize("method", METHODS)
def test_the_noise_vanishes_at_the_minimum(method):
    """One step, all draws: with plain SGD the points scatter at the minimum, here they do not."""
    fun = Examples()
    lr = 0.1 / fun.curvature
    spreads = {}
    for distance in (1.0, 0.01, 0.0):
        x0 = fun.minimum + distance
        after = [
            method(fun, x0, fun.n, lr=lr, epochs=1, steps=2, rng=Draws(0, i)).x[-1] for i in range(fun.n)
        ]
        spreads[distance] = np.linalg.norm(np.std(after, axis=0))
    assert spreads[0.01] < 0.011 * spreads[1.0] and spreads[0.0] < 1e-14
    sgd = [lr * fun(fun.minimum, i)[1] for i in range(fun.n)]
    assert np.linalg.norm(np.std(sgd, axis=0)) > 1e-2


@pytest.mark.parametrize("method", METHODS)
def test_variance_reduction_converges_with_a_step_size_that_stays(method):
    fun = Examples()
    rng = np.random.default_rng(22)
    kept = x0 = np.zeros(3)
    history = method(fun, x0, fun.n, lr=0.25 / fun.curvature, epochs=150, rng=rng)
    assert np.linalg.norm(history.x[-1] - fun.minimum) < 1e-6
    assert (kept == 0).all()
    assert history.x.shape == history.gradient.shape == (151, 3) and history.value.shape == (151,)
    np.testing.assert_array_equal(history.x[0], x0)
    for x, value, gradient in zip(*history, strict=True):
        np.testing.assert_allclose(value, fun.mean(x)[0], rtol=1e-12)
        np.testing.assert_allclose(gradient, fun.mean(x)[1], rtol=0, atol=1e-12)
    # SGD with the same step size stays where its noise is
    x, rng = np.zeros(3), np.random.default_rng(23)
    optimizer = optim.GradientDescent([x], lr=0.25 / fun.curvature)
    for _ in range(2000):
        optimizer.step([fun(x, int(rng.integers(fun.n)))[1]])
    assert np.linalg.norm(x - fun.minimum) > 1e-3


def test_svrg_and_saga_are_the_papers_algorithms():
    fun, x0, lr = Examples(), np.ones(3), 0.03
    draws = np.random.default_rng(24).integers(fun.n, size=3 * 2 * fun.n).tolist()
    x, points = x0, [x0]
    for epoch in range(3):
        snapshot = x
        for i in draws[epoch * 2 * fun.n : (epoch + 1) * 2 * fun.n]:
            x = x - lr * (fun(x, i)[1] - fun(snapshot, i)[1] + fun.mean(snapshot)[1])
        points.append(x)
    ours = optim.svrg(fun, x0, fun.n, lr=lr, epochs=3, rng=Draws(*draws))
    np.testing.assert_allclose(ours.x, points, rtol=0, atol=1e-13)

    x, points, table = x0, [x0], np.array([fun(x0, i)[1] for i in range(fun.n)])
    for k, i in enumerate(draws[: 4 * fun.n], 1):
        g = fun(x, i)[1]
        x = x - lr * (g - table[i] + table.mean(axis=0))
        table[i] = g
        if k % fun.n == 0:
            points.append(x)
    ours = optim.saga(fun, x0, fun.n, lr=lr, epochs=4, rng=Draws(*draws))
    np.testing.assert_allclose(ours.x, points, rtol=0, atol=1e-13)


def test_svrg_and_saga_call_as_often_as_they_say():
    fun, rng = Examples(), np.random.default_rng(25)
    optim.svrg(fun, np.zeros(3), fun.n, lr=0.01, epochs=3, steps=5, rng=rng)
    assert fun.calls == 3 * (7 + 2 * 5) + 7
    fun.calls = 0
    optim.saga(fun, np.zeros(3), fun.n, lr=0.01, epochs=3, steps=5, rng=rng)
    assert fun.calls == 7 + 3 * (5 + 7)


@pytest.mark.parametrize("method", METHODS)
def test_svrg_and_saga_refuse(method):
    fun, rng = Examples(), np.random.default_rng(26)
    good = dict(lr=0.1, epochs=1, rng=rng)
    for wrong, name in [
        (dict(lr=0.0), "lr must be above 0"), (dict(lr=-1.0), "lr must"), (dict(epochs=-1), "epochs must"),
        (dict(steps=0), "steps must be above 0"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=f"^{name}"):
            method(fun, np.zeros(3), fun.n, **{**good, **wrong})
    with pytest.raises(ValueError, match="^n must be above 0"):
        method(fun, np.zeros(3), 0, **good)
    for wrong in (lambda x, i: (0.0, np.ones(2)), lambda x, i: (x, x), lambda x, i: (0.0, 1.0)):
        with pytest.raises(ValueError, match=r"fun\(x, i\) must return .* shapes \(\) and \(3,\), not"):
            method(wrong, np.zeros(3), 7, **good)
    with pytest.raises(ValueError, match="the gradient of example 4 holds NaN or infinity"):
        method(lambda x, i: (0.0, x / [1.0, i != 4 or np.nan, 1.0]), np.ones(3), 7, **good)
    start = method(fun, np.ones(3), fun.n, lr=0.1, epochs=0, rng=Draws())
    assert start.x.tolist() == [[1.0, 1.0, 1.0]]


@pytest.mark.parametrize("method", METHODS)
def test_svrg_and_saga_compute_in_double_precision(method):
    fun = Examples()
    runs = [
        method(fun, np.ones(3, dtype=dtype), fun.n, lr=0.1, epochs=2, rng=np.random.default_rng(28)).x
        for dtype in (int, np.float32, float)
    ]
    np.testing.assert_array_equal(runs[0], runs[2])
    np.testing.assert_array_equal(runs[1], runs[2])


@pytest.mark.parametrize("method", METHODS)
def test_svrg_and_saga_number_examples_by_plain_ints(method):
    numbers = []

    def fun(x, i):
        numbers.append(i)
        return 0.0, x

    method(fun, np.ones(2), 3, lr=0.5, epochs=1, rng=np.random.default_rng(30))
    assert {type(i) for i in numbers} == {int}


def test_svrg_and_saga_take_a_gradient_that_is_x_itself():
    for method in METHODS:
        history = method(lambda x, i: (float(x @ x) / 2, x), np.ones(2), 3, lr=0.5, epochs=1, steps=2,
                         rng=Draws(0, 1))  # fmt: skip
        np.testing.assert_allclose(history.x[1], 0.25, rtol=1e-14)


# ---- the page


def test_the_page_names_everything():
    page = Path(__file__).parents[1].joinpath("appendices/api/optim.md").read_text(encoding="utf-8")
    for name in optim.__all__:
        assert f":: speechlib.optim.{name}\n" in page, name
