"""One registry of update rules, and one suite that all of them pass; then what is true of one rule alone.

A rule's record names its reference: torch.optim, the authors' package, or the paper's algorithm written down
again below.
"""

import copy
import inspect
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

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
    tolerance: float = 1e-10


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
        [{}, dict(lr_decay=0.1), dict(weight_decay=0.1, initial_accumulator_value=0.5), dict(eps=0.1)],
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
        [{}, dict(betas=(0.5, 0.7)), dict(betas=(0.0, 0.0)), dict(weight_decay=0.1), dict(amsgrad=True),
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
        [{}, dict(betas=(0.5, 0.7), eps=0.1), dict(weight_decay=0.1), dict(momentum_decay=0.5),
         dict(weight_decay=0.1, decoupled_weight_decay=True)],
        ADAM + [(dict(momentum_decay=-0.1), "momentum_decay must")],
        torch=torch.optim.NAdam,
    ),
    "Adafactor": Rule(
        optim.Adafactor,
        partial(by_torch, torch.optim.Adafactor),
        [{}, dict(beta2_decay=-0.5), dict(eps=(1e-2, 0.1)), dict(d=3.0), dict(weight_decay=0.1)],
        DECAY + [
            (dict(beta2_decay=0.1), "beta2_decay must"),
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
        tolerance=1e-9,  # the polynomials enlarge rounding: up to 3.4 times in each of five steps
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
        assert furthest(ours.params, theirs) < rule.tolerance
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
    with pytest.raises(ValueError, match="lr must be a (positive )?number"):
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
