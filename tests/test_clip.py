"""Clipping: torch's results, the authors' formulas, properties of every bound, and what is refused."""

import functools
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from speechlib import clip
from speechlib.clip import Median, NonFiniteGradient, Percentile, ZScore

ROUNDING = 1e-14  # a few roundings of float64
LARGEST = np.finfo(np.float64).max


def random_arrays(seed, shapes=((3,), (2, 4), (), (2, 3, 2)), scale=1.0):
    rng = np.random.default_rng(seed)
    return [np.asarray(scale * rng.normal(size=shape)) for shape in shapes]


def copies(arrays):
    return [array.copy() for array in arrays]


def flat(arrays):
    return np.concatenate([np.zeros(0), *(np.ravel(array) for array in arrays)])


def length(arrays):
    """The norm by another way: exact integers, then one square root."""
    return math.sqrt(sum(int(x * 2**60) ** 2 for x in flat(arrays))) / 2**60


def same(arrays, others):
    return all(np.array_equal(a, b) for a, b in zip(arrays, others, strict=True))


def as_torch(arrays):
    params = [torch.zeros(array.shape, dtype=torch.float64, requires_grad=True) for array in arrays]
    for param, array in zip(params, arrays, strict=True):
        param.grad = torch.tensor(array)
    return params


def grads_of(params):
    return [param.grad.numpy() for param in params]


@st.composite
def gradients(draw, smallest=0):
    """One to four arrays of zero to three axes; entries of very different sizes, some 0."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shapes = draw(st.lists(st.lists(st.integers(smallest, 4), max_size=3).map(tuple), min_size=1, max_size=4))
    scale = draw(st.sampled_from([1e-150, 1e-6, 1.0, 1e3, 1e150]))
    spread = draw(st.sampled_from([0.0, 3.0]))
    grads = []
    for shape in shapes:
        sizes = scale * np.exp(spread * rng.normal(size=shape))
        grads.append(np.asarray(sizes * rng.normal(size=shape) * (rng.random(shape) < 0.8)))
    return grads


def part_of_the_norm(grads, part):
    """A threshold: `part` of the gradient's norm, or of 1 if it is zero."""
    return part * (np.max(np.abs(flat(grads)), initial=0) or 1.0)


PARTS = st.sampled_from([1e-6, 0.1, 0.7, 1.0, 3.0, 100.0])


# ---- by value


@pytest.mark.parametrize("limit", [0.01, 0.5, 10.0])
def test_by_value_equals_torch(limit):
    grads = random_arrays(0)
    params = as_torch(grads)
    before = length(grads)
    norm = clip.by_value(grads, limit)
    torch.nn.utils.clip_grad_value_(params, limit)
    assert same(grads, grads_of(params))
    assert norm == pytest.approx(before, rel=1e-14) and isinstance(norm, float)


@given(gradients(), PARTS)
def test_by_value_treats_each_entry_by_itself(grads, part):
    limit = part_of_the_norm(grads, part)
    before = flat(grads)
    clip.by_value(grads, limit)
    after = flat(grads)
    kept = np.abs(before) <= limit
    assert np.array_equal(after[kept], before[kept])
    assert np.array_equal(after[~kept], limit * np.sign(before[~kept]))
    again = copies(grads)
    clip.by_value(again, limit)
    assert same(again, grads)


@given(gradients(smallest=1), PARTS)
def test_by_value_turns_by_less_than_a_right_angle(grads, part):
    before = flat(grads)
    assume(np.any(before))
    clip.by_value(grads, part_of_the_norm(grads, part))
    after = flat(grads) / np.max(np.abs(flat(grads)))
    assert np.dot(after, before / np.max(np.abs(before))) > 0


def test_by_value_turns_and_by_norm_does_not():
    g = np.array([100.0, 1.0])
    clip.by_value([g], 1.0)
    assert np.array_equal(g, [1.0, 1.0])  # from half a degree above the first axis to 45
    h = np.array([100.0, 1.0])
    clip.by_norm([h], 1.0)
    assert h[1] / h[0] == pytest.approx(0.01, rel=ROUNDING)


# ---- by norm


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e9])
@pytest.mark.parametrize("part", [0.01, 0.5, 1.5])
def test_by_norm_equals_torch_but_for_its_millionth(scale, part):
    grads = random_arrays(1, scale=scale)
    params = as_torch(grads)
    max_norm = part * length(grads)
    norm = clip.by_norm(grads, max_norm)
    norm_torch = torch.nn.utils.clip_grad_norm_(params, max_norm).item()
    assert norm == pytest.approx(norm_torch, rel=1e-14)
    theirs = flat(grads_of(params))
    if part < 1:
        theirs *= 1 + 1e-6 / norm
    assert flat(grads) == pytest.approx(theirs, rel=1e-12, abs=0)


def test_by_norm_equals_torch_where_the_millionth_does_not_count():
    grads = random_arrays(1, scale=1e9)
    params = as_torch(grads)
    clip.by_norm(grads, 5.0)
    torch.nn.utils.clip_grad_norm_(params, 5.0)
    assert flat(grads) == pytest.approx(flat(grads_of(params)), rel=1e-12, abs=0)


def test_torch_shortens_a_gradient_that_is_not_too_long_and_we_do_not():
    g = np.array([0.6, 0.8])
    params = as_torch([g])
    torch.nn.utils.clip_grad_norm_(params, 1.0)
    assert np.linalg.norm(params[0].grad.numpy()) == pytest.approx(1 - 1e-6, rel=1e-9)
    clip.by_norm([g], 1.0)
    assert np.array_equal(g, [0.6, 0.8])


@given(gradients(), PARTS)
def test_by_norm_never_longer_direction_kept_idempotent(grads, part):
    before = copies(grads)
    max_norm = part_of_the_norm(grads, part)
    norm = clip.by_norm(grads, max_norm)
    if norm <= max_norm:
        assert same(grads, before)
    else:
        factor = max_norm / norm
        assert flat(grads) == pytest.approx(factor * flat(before), rel=ROUNDING, abs=0)
        assert clip.by_norm(copies(grads), math.inf) == pytest.approx(max_norm, rel=ROUNDING)
    again = copies(grads)
    assert clip.by_norm(again, max_norm) <= max_norm * (1 + ROUNDING)
    assert flat(again) == pytest.approx(flat(grads), rel=ROUNDING, abs=0)


@given(gradients())
def test_norm_is_the_square_root_of_the_sum_of_squares(grads):
    scale = np.max(np.abs(flat(grads)), initial=0) or 1.0
    scaled = [grad / scale for grad in grads]
    assert clip.by_norm(grads, math.inf) / scale == pytest.approx(length(scaled), rel=1e-13)


@given(gradients(), PARTS, st.integers(-200, 200))
@pytest.mark.parametrize("method", [clip.by_value, clip.by_norm, clip.per_layer])
def test_the_unit_of_the_loss_does_not_matter(method, grads, part, exponent):
    threshold = part_of_the_norm(grads, part)
    scaled = [
        np.asarray(np.ldexp(grad, exponent)) for grad in grads
    ]  # a power of 2, so that nothing is rounded
    before = method(grads, threshold)
    assert np.array_equal(np.ldexp(before, exponent), method(scaled, math.ldexp(threshold, exponent)))
    assert same([np.ldexp(grad, exponent) for grad in grads], scaled)


@given(gradients(), PARTS, st.randoms())
def test_the_order_of_the_arrays_does_not_matter(grads, part, random):
    max_norm = part_of_the_norm(grads, part)
    order = list(range(len(grads)))
    random.shuffle(order)
    shuffled = [grads[i].copy() for i in order]
    assert clip.by_norm(grads, max_norm) == pytest.approx(clip.by_norm(shuffled, max_norm), rel=ROUNDING)
    assert flat([grads[i] for i in order]) == pytest.approx(flat(shuffled), rel=ROUNDING, abs=0)


@pytest.mark.parametrize("size", [1e200, 1e-200, 1e307, 5e-324])
def test_norms_neither_overflow_nor_underflow(size):
    grads = [np.array([3 * size, 0.0]), np.array([[4 * size]])]
    assert clip.by_norm(grads, math.inf) == pytest.approx(5 * size, rel=ROUNDING)
    assert clip.per_layer(grads, math.inf) == pytest.approx([3 * size, 4 * size], rel=ROUNDING)
    if size > 1e-200:
        clip.by_norm(grads, 1.0)
        assert flat(grads) == pytest.approx([0.6, 0, 0.8], rel=ROUNDING)


# ---- per layer


@given(gradients(), PARTS)
def test_per_layer_is_by_norm_of_each_array(grads, part):
    max_norm = part_of_the_norm(grads, part)
    alone = copies(grads)
    norms = clip.per_layer(grads, max_norm)
    assert norms == [clip.by_norm([grad], max_norm) for grad in alone]
    assert all(type(norm) is float for norm in norms)
    assert same(grads, alone)


def test_per_layer_may_be_longer_than_the_threshold_together():
    grads = random_arrays(2, shapes=[(5,)] * 4, scale=10.0)
    clip.per_layer(grads, 1.0)
    assert length(grads) == pytest.approx(2.0, rel=ROUNDING)


# ---- adaptive


def agc_loop(param, grad, clipping, eps, unit_axis):
    """Brock et al., equation 3, one unit at a time."""
    clipped = 0
    if param.ndim < 2:
        units = [...]
    else:
        units = [
            tuple(i if axis == unit_axis % param.ndim else slice(None) for axis in range(param.ndim))
            for i in range(param.shape[unit_axis])
        ]
    for unit in units:
        w, g = max(math.sqrt(np.sum(param[unit] ** 2)), eps), math.sqrt(np.sum(grad[unit] ** 2))
        if g / w > clipping:
            grad[unit] *= clipping * w / g
            clipped += 1
    return clipped, len(units)


def agc_timm(param, grad, clipping, eps):
    """What timm's adaptive_clip_grad computes: units first, as in PyTorch's layers."""

    def norm(x):
        return x.norm(2.0) if x.ndim <= 1 else x.norm(2.0, dim=tuple(range(1, x.ndim)), keepdim=True)

    param, grad = torch.tensor(param), torch.tensor(grad)
    max_norm = norm(param).clamp(min=eps) * clipping
    grad_norm = norm(grad)
    return torch.where(grad_norm < max_norm, grad, grad * max_norm / grad_norm.clamp(min=1e-6)).numpy()


def agc_authors(param, grad, clipping, eps):
    """What the authors' code computes: units last; vectors and matrices of one row or column are one unit."""

    def norm(x):
        if np.squeeze(x).ndim <= 1:
            return np.sum(x**2) ** 0.5
        axis = {2: 0, 3: 0, 4: (0, 1, 2)}[x.ndim]
        return np.sum(x**2, axis=axis, keepdims=True) ** 0.5

    max_norm = clipping * np.maximum(norm(param), eps)
    return np.where(norm(grad) < max_norm, grad, grad * (max_norm / np.maximum(norm(grad), 1e-6)))


AGC_SHAPES = [(5,), (4, 6), (3, 2, 5), (2, 3, 4, 5), ()]


def agc_case(seed):
    """Parameters with a unit at 0 and a short one; gradients of which about half are too long."""
    params, grads = random_arrays(seed, AGC_SHAPES), random_arrays(seed + 1, AGC_SHAPES, scale=0.01)
    for param in params[1:4]:
        param[..., 0] = param[0] = 0
        param[..., 1] *= 1e-5
    return params, grads


@pytest.mark.parametrize("unit_axis", [-1, 0, 1])
@pytest.mark.parametrize("settings", [{}, {"clipping": 0.02, "eps": 0.5}])
def test_adaptive_equals_a_loop_over_units(unit_axis, settings):
    params, grads = agc_case(3)
    expected, before = copies(grads), copies(params)
    counts = [
        agc_loop(p, g, settings.get("clipping", 0.01), settings.get("eps", 1e-3), unit_axis)
        for p, g in zip(params, expected, strict=True)
    ]
    share = clip.adaptive(params, grads, unit_axis=unit_axis, **settings)
    assert share == sum(clipped for clipped, _ in counts) / sum(units for _, units in counts)
    assert 0.2 < share < 0.9 and type(share) is float
    assert flat(grads) == pytest.approx(flat(expected), rel=ROUNDING, abs=0)
    assert same(params, before)


def test_adaptive_equals_timm():
    params, grads = agc_case(5)
    expected = [agc_timm(p, g, 0.01, 1e-3) for p, g in zip(params, grads, strict=True)]
    clip.adaptive(params, grads, unit_axis=0)
    assert flat(grads) == pytest.approx(flat(expected), rel=ROUNDING, abs=0)


def test_adaptive_equals_the_authors_code():
    params, grads = agc_case(7)
    del params[2], grads[2]  # three axes are the heads of an attention layer there, the first is summed
    expected = [agc_authors(p, g, 0.01, 1e-3) for p, g in zip(params, grads, strict=True)]
    clip.adaptive(params, grads)
    assert flat(grads) == pytest.approx(flat(expected), rel=ROUNDING, abs=0)


def test_adaptive_lets_a_unit_that_starts_at_zero_move():
    w, g = np.zeros((2, 3)), np.ones((2, 3))
    assert clip.adaptive([w], [g]) == 1.0
    assert np.linalg.norm(g, axis=0) == pytest.approx([1e-5] * 3)


def test_adaptive_leaves_a_gradient_at_the_border():
    w, g = np.array([3.0, 4.0]), np.array([3.0, 4.0])
    assert clip.adaptive([w], [g], clipping=1.0) == 0.0
    assert np.array_equal(g, [3.0, 4.0])
    assert clip.adaptive([w], [g], clipping=0.5) == 1.0  # one unit, clipped
    assert np.array_equal(g, [1.5, 2.0])


def test_adaptive_measures_each_unit_in_its_own_size():
    w = np.array([[3e200, 3e-200], [4e200, 4e-200]])
    g = w.copy()
    clip.adaptive([w], [g], eps=1e-300)
    assert g == pytest.approx(0.01 * w, rel=ROUNDING, abs=0)


@given(gradients(), st.integers(0, 2**32 - 1))
def test_adaptive_is_bounded_and_idempotent(grads, seed):
    assume(all(grad.ndim < 3 for grad in grads))
    params = random_arrays(seed, [grad.shape for grad in grads])
    before = copies(grads)
    share = clip.adaptive(params, grads)
    again = copies(grads)
    clip.adaptive(params, again)
    assert 0 <= share <= 1
    assert np.all(np.abs(flat(grads)) <= np.abs(flat(before)))
    assert np.array_equal(np.sign(flat(grads)), np.sign(flat(before)))
    assert flat(again) == pytest.approx(flat(grads), rel=ROUNDING, abs=0)
    for param, grad in zip(params, grads, strict=True):
        axes = 0 if grad.ndim == 2 else None
        allowed = 0.01 * np.maximum(np.sqrt(np.sum(param**2, axis=axes)), 1e-3)
        assert np.all(np.sqrt(np.sum(grad**2, axis=axes)) <= allowed * (1 + ROUNDING))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([np.ones((2, 3))], "there must be one gradient for each"),
        ([np.ones((3, 2)), np.ones(1)], "there must be one gradient for each"),
        ([np.full((3, 2), np.nan)], "a parameter holds NaN"),
        ([np.full((3, 2), -np.inf)], "a parameter holds NaN"),
    ],
)
def test_adaptive_needs_parameters_that_fit(params, message):
    g = np.ones((3, 2))
    with pytest.raises(ValueError, match=message):
        clip.adaptive(params, [g])
    assert np.all(g == 1)


# ---- learned thresholds


def run(clipper, norms):
    """The thresholds and the lengths after clipping, for gradients in the plane of given lengths."""
    thresholds, after = [], []
    for norm in norms:
        grads = [np.array([0.6 * norm]), np.array([[-0.8 * norm]])]
        assert clipper(grads) == pytest.approx(norm, rel=ROUNDING)
        assert grads[0][0] * -0.8 == pytest.approx(grads[1][0, 0] * 0.6, rel=1e-13)
        thresholds.append(clipper.threshold)
        after.append(length(grads))
    return np.array(thresholds), np.array(after)


def percentile_by_hand(norms, p, window):
    """Sort, and go p per cent of the way from the first to the last."""
    thresholds = []
    for k in range(1, len(norms) + 1):
        last = sorted(norms[max(0, k - window) : k])
        place = p / 100 * (len(last) - 1)
        low = int(place)
        thresholds.append(last[low] + (place - low) * (last[min(low + 1, len(last) - 1)] - last[low]))
    return thresholds


def zclip_by_hand(norms, z, alpha, warmup):
    """The authors' code, without its fixed bound of 1.0 and with an eps of 0."""
    thresholds, mean, var = (
        [math.inf] * min(warmup, len(norms)),
        np.mean(norms[:warmup]),
        np.var(norms[:warmup]),
    )
    for norm in norms[warmup:]:
        std = var**0.5
        score = (norm - mean) / std
        if score > z:
            threshold = used = mean + z * std / (score / z)
        else:
            threshold, used = mean + z * std, norm
        mean = alpha * mean + (1 - alpha) * used
        var = alpha * var + (1 - alpha) * (used - mean) ** 2
        thresholds.append(threshold)
    return thresholds


def log_of_norms(seed, steps=150):
    """As in training: falling, noisy, with spikes."""
    rng = np.random.default_rng(seed)
    norms = np.exp(rng.normal(scale=0.4, size=steps)) * (1 + 50 / (5 + np.arange(steps)))
    norms[rng.choice(steps, steps // 15, replace=False)] *= 30
    return norms


RULES = [
    (Percentile, {}, lambda norms: percentile_by_hand(norms, 10, 1000)),
    (Percentile, {"percentile": 93.5, "window": 40}, lambda norms: percentile_by_hand(norms, 93.5, 40)),
    (Percentile, {"percentile": 0.0}, lambda norms: np.minimum.accumulate(norms)),
    (Percentile, {"percentile": 100}, lambda norms: np.maximum.accumulate(norms)),
    (Median, {}, lambda norms: 2 * np.array(percentile_by_hand(norms, 50, 100))),
    (Median, {"factor": 1.5, "window": 7}, lambda norms: 1.5 * np.array(percentile_by_hand(norms, 50, 7))),
    (ZScore, {}, lambda norms: zclip_by_hand(norms, 2.5, 0.97, 25)),
    (ZScore, {"z": 1.0, "alpha": 0.8, "warmup": 3}, lambda norms: zclip_by_hand(norms, 1.0, 0.8, 3)),
]


@pytest.mark.parametrize(("rule", "settings", "by_hand"), RULES)
@pytest.mark.parametrize("seed", [0, 1])
def test_learned_thresholds_equal_a_recomputation_from_all_norms(rule, settings, by_hand, seed):
    norms = log_of_norms(seed)
    clipper = rule(**settings)
    thresholds, after = run(clipper, norms)
    expected = np.asarray(by_hand(norms))
    assert thresholds == pytest.approx(expected, rel=1e-12)
    assert after == pytest.approx(np.minimum(norms, expected), rel=1e-12)
    too_long = norms > expected * (1 + 1e-12)
    assert clipper.steps == len(norms)
    assert clipper.clipped == np.count_nonzero(too_long)
    assert clipper.fraction == np.mean(too_long)


def test_autoclip_as_its_authors_wrote_it():
    history, ours = [], Percentile(10)
    for seed in range(30):
        grads = random_arrays(seed, scale=1e9)
        params = as_torch(grads)
        history.append(sum(np.linalg.norm(grad.ravel()) ** 2 for grad in grads) ** 0.5)
        torch.nn.utils.clip_grad_norm_(params, np.percentile(history, 10))
        ours(grads)
        assert flat(grads) == pytest.approx(flat(grads_of(params)), rel=1e-12, abs=0)
    assert 0.5 < ours.fraction < 1


def test_history_is_bounded_and_holds_norms_before_clipping():
    norms = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    for clipper in (Percentile(10, window=4), Median(0.1, window=4), ZScore(0.1, warmup=4)):
        run(clipper, norms)
        assert clipper.clipped > 0
        assert list(clipper.history) == pytest.approx(norms[-4:], rel=ROUNDING)


def test_defaults():
    assert Percentile().state_dict()["settings"] == {"percentile": 10.0, "window": 1000}
    assert Median().state_dict()["settings"] == {"factor": 2.0, "window": 100}  # as in icefall
    assert ZScore().state_dict()["settings"] == {"z": 2.5, "alpha": 0.97, "warmup": 25}  # as in the paper


def test_before_the_first_step():
    for clipper in (Percentile(), Median(), ZScore()):
        assert (clipper.threshold, clipper.fraction, len(clipper.history)) == (math.inf, 0.0, 0)


def test_the_first_step_may_be_clipped():
    clipper = Median(0.5)
    assert run(clipper, [4.0])[1] == pytest.approx([2.0])
    assert (clipper.fraction, clipper.threshold) == (1.0, 2.0)


def test_median_lets_through_what_is_usual_and_is_not_moved_by_an_outlier():
    clipper = Median()
    run(clipper, [1.0] * 20)
    assert clipper.fraction == 0 and clipper.threshold == 2.0
    run(clipper, [1e6, 1e6])
    assert clipper.clipped == 2 and clipper.threshold == 2.0


def test_zscore_clips_a_spike_the_closer_to_the_mean_the_larger_it_is():
    lengths = []
    for spike in (4.0, 10.0, 1e3, 1e9):
        clipper = ZScore(z=1.0, warmup=4)
        lengths.append(run(clipper, [1.0, 3.0, 1.0, 3.0, spike])[1][-1])  # mean 2, deviation 1
    assert lengths == pytest.approx([2.5, 2.125, 2 + 1 / 998, 2 + 1e-9], rel=1e-12)


def test_zscore_of_norms_that_do_not_vary():
    clipper = ZScore(warmup=2)
    assert run(clipper, [1.0, 1.0, 1.0, 5.0])[1] == pytest.approx([1.0] * 4)
    assert clipper.clipped == 1


@pytest.mark.parametrize(("rule", "settings", "by_hand"), RULES)
@pytest.mark.parametrize("exponent", [-300, 300])
def test_learned_thresholds_follow_the_unit_of_the_loss(rule, settings, by_hand, exponent):
    norms = np.random.default_rng(0).exponential(size=60)
    ours, scaled = rule(**settings), rule(**settings)
    for norm in norms:
        g, h = np.array([norm, -norm]), np.ldexp([norm, -norm], exponent)
        ours([g]), scaled([h])
        assert np.array_equal(np.ldexp(g, exponent), h)
    assert scaled.fraction == ours.fraction


@given(
    st.lists(st.just(0.0) | st.floats(1e-6, 1e6), min_size=1, max_size=40),
    st.sampled_from([0, 1, 2]),
    st.data(),
)
def test_no_learned_threshold_is_exceeded(norms, which, data):
    part = data.draw(st.floats(0.1, 99))
    clipper = (Percentile(part), Median(part / 10, window=5), ZScore(part / 30, warmup=3))[which]
    for norm in norms:
        g = np.array([norm])
        clipper([g])
        assert 0 <= g[0] <= min(norm, clipper.threshold * (1 + ROUNDING))
        assert g[0] == norm or norm > clipper.threshold
    assert 0 <= clipper.clipped <= clipper.steps == len(norms)


@pytest.mark.parametrize(("rule", "settings", "by_hand"), RULES)
@pytest.mark.parametrize("stop", [0, 2, 60])
def test_resumed_clipper_is_bit_identical(rule, settings, by_hand, stop):
    norms = log_of_norms(2)
    whole, first = rule(**settings), rule(**settings)
    run(whole, norms[:stop]), run(first, norms[:stop])
    saved = json.loads(json.dumps(first.state_dict()))
    run(first, [1e9])  # must not reach what was saved
    second = rule()
    run(second, [1e9])  # must be forgotten
    second.load_state_dict(saved)
    assert second.history.maxlen == whole.history.maxlen
    assert second.fraction == whole.fraction
    run(second, [3.0])  # must not reach it either
    second.load_state_dict(saved)
    for norm in norms[stop:]:
        g, h = np.array([norm]), np.array([norm])
        whole([g]), second([h])
        assert g == h and whole.threshold == second.threshold
    assert second.state_dict() == whole.state_dict()


def test_state_of_another_rule_is_refused():
    clipper = Median()
    run(clipper, [1.0])
    with pytest.raises(ValueError, match="the saved state is of Percentile, this is Median"):
        clipper.load_state_dict(Percentile().state_dict())
    assert list(clipper.history) == [1.0]


def test_a_clipper_without_a_rule():
    with pytest.raises(NotImplementedError):
        clip.Clipper(3)([np.ones(2)])


# ---- what all share


def adaptive_with_ones(grads):
    return clip.adaptive([np.ones(np.shape(grad)) for grad in grads], grads)


METHODS = {
    "by_value": functools.partial(clip.by_value, limit=0.1),
    "by_norm": functools.partial(clip.by_norm, max_norm=0.1),
    "per_layer": functools.partial(clip.per_layer, max_norm=0.1),
    "adaptive": adaptive_with_ones,
    "Percentile": Percentile(10),
    "Median": Median(),
    "ZScore": ZScore(),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("values", [[np.nan], [np.inf], [-np.inf], [np.nan, np.inf, -np.inf]])
@pytest.mark.parametrize("where", [0, 2])
def test_a_gradient_that_is_not_finite_is_refused_and_nothing_is_changed(method, values, where):
    grads = random_arrays(4, [(6,), (2, 3), (3, 2)], scale=100.0)
    grads[where].ravel()[1 : 1 + len(values)] = values
    before = copies(grads)
    nan = np.count_nonzero(np.isnan(values))
    state = method.state_dict() if isinstance(method, clip.Clipper) else None
    with pytest.raises(NonFiniteGradient) as error:
        method(grads)
    assert str(error.value).startswith(
        f"grads[{where}] (shape {grads[where].shape}) holds {nan} NaN and {len(values) - nan} infinite "
        "entries of 6; nothing was changed. Leave this step out; if it happens again, look for"
    )
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(grads, before, strict=True))
    if state is not None:
        assert str(method.state_dict()) == str(state)  # as text, because nan differs from itself


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("arrays", [1, 2])
def test_a_norm_above_the_largest_float_is_refused(method, arrays):
    grads = [np.full(4 // arrays, 0.7 * LARGEST) for _ in range(arrays)]
    with pytest.raises(
        NonFiniteGradient, match="the norm of the gradient is above the largest float; nothing"
    ):
        method(grads)
    assert np.all(flat(grads) == 0.7 * LARGEST)


def test_nan_poisons_torch_silently():
    """The trap that the error is there for."""
    params = as_torch([np.array([1.0, 2.0]), np.array([np.nan])])
    torch.nn.utils.clip_grad_norm_(params, 1.0)
    assert np.all(np.isnan(flat(grads_of(params))))


def test_one_except_catches_both_kinds_of_refusal():
    assert issubclass(NonFiniteGradient, ValueError)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_zero_gradients_stay_zero(method):
    grads = [np.zeros(3), np.zeros((2, 0)), np.zeros(())]
    method(grads)
    assert not np.any(flat(grads))
    assert [grad.shape for grad in grads] == [(3,), (2, 0), ()]


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_an_empty_list_has_norm_zero(method):
    assert method([]) in (0.0, [])


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_views_and_single_precision_are_changed_in_place(method, dtype):
    whole = np.full((4, 6), 100, dtype=dtype)
    if isinstance(method, clip.Clipper):
        run(method, [1.0] * 30)  # past the warm-up
    method([whole[::2, 1:].T])
    assert np.all(whole[::2, 1:] < 100) and np.all(whole[1::2] == 100) and np.all(whole[:, 0] == 100)


def test_single_precision_is_measured_in_double():
    g = np.full(1000, 0.1, dtype=np.float32)
    assert clip.by_norm([g], math.inf) == pytest.approx(math.sqrt(1000) * float(np.float32(0.1)), rel=1e-14)
    assert g.dtype == np.float32


def read_only():
    array = np.ones(2)
    array.flags.writeable = False
    return array


TWICE = np.ones(2)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize(
    ("grads", "message"),
    [
        (np.ones(2), r"grads must be a list of arrays; for one array write \[array\]"),
        (1.0, "grads must be a list of arrays"),
        ([np.ones(2), [1.0]], r"grads\[1\] must be a writable array of floats, .* not: list"),
        ([np.ones(2, dtype=int)], r"grads\[0\] must be .* not: array of int64"),
        ([np.ones(2, dtype=complex)], r"grads\[0\] must be .* not: array of complex128"),
        ([read_only()], r"grads\[0\] must be a writable array"),
        ([TWICE, np.ones(2), TWICE], r"grads\[2\] stands in grads twice"),
    ],
)
def test_gradients_must_be_arrays_that_can_be_changed(method, grads, message):
    if method is adaptive_with_ones:
        method = functools.partial(clip.adaptive, [np.ones(2)])
    with pytest.raises(ValueError, match=message):
        method(grads)


def test_a_generator_of_arrays_will_do():
    grads = random_arrays(0)
    expected = copies(grads)
    assert clip.by_norm((grad for grad in grads), 1.0) == clip.by_norm(expected, 1.0)
    assert same(grads, expected)
    params = random_arrays(1)
    clip.adaptive(iter(params), iter(grads)), clip.adaptive(params, expected)
    assert same(grads, expected)


@pytest.mark.parametrize("value", [0, -1.0, math.nan, -math.inf, "1", None, 1j, [1.0]])
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("limit", lambda grads, value: clip.by_value(grads, value)),
        ("max_norm", lambda grads, value: clip.by_norm(grads, value)),
        ("max_norm", lambda grads, value: clip.per_layer(grads, value)),
        ("clipping", lambda grads, value: clip.adaptive([np.ones(2)], grads, clipping=value)),
        ("eps", lambda grads, value: clip.adaptive([np.ones(2)], grads, eps=value)),
        ("factor", lambda grads, value: Median(value)),
        ("z", lambda grads, value: ZScore(value)),
    ],
)
def test_a_threshold_must_be_above_zero(name, call, value):
    g = np.array([3.0, 4.0])
    with pytest.raises(ValueError, match=f"^{name} must be a number above 0, not "):
        call([g], value)
    assert np.array_equal(g, [3.0, 4.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Percentile(-0.1), "percentile must lie between 0 and 100, not -0.1"),
        (lambda: Percentile(100.1), "percentile must lie"),
        (lambda: Percentile(math.nan), "percentile must lie"),
        (lambda: Percentile(window=0), "the number of norms to remember must be an integer above 0, not 0"),
        (lambda: Median(window=2.5), "the number of norms to remember"),
        (lambda: ZScore(warmup=-1), "the number of norms to remember"),
        (lambda: ZScore(alpha=-0.1), "alpha must lie between 0 and 1, not -0.1"),
        (lambda: ZScore(alpha=1.1), "alpha must lie"),
        (lambda: ZScore(alpha=math.nan), "alpha must lie"),
    ],
)
def test_settings_that_make_no_rule(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_settings_at_their_borders():
    for clipper in (Percentile(0, 1), Percentile(100), ZScore(alpha=0, warmup=1), ZScore(alpha=1)):
        run(clipper, [1.0, 2.0, 3.0])
