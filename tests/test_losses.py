"""Losses: torch's values, gradients by two methods, logits as large as 10,000, and what is refused."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechlib import losses

F = torch.nn.functional
LARGEST = 1e4  # the size of logits up to which everything must hold


def torch_gradient(loss, logits):
    """Value and gradient of a torch loss at `logits`, in double precision."""
    z = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    value = loss(z)
    value.backward()
    return value.item(), z.grad.numpy()


def complex_step(fun, x, h=1e-100):
    """The gradient of a real function, exact to rounding: Im f(x + ih) / h, one coordinate at a time."""
    gradient = np.empty_like(x)
    for i in np.ndindex(*x.shape):
        moved = x.astype(complex)
        moved[i] += 1j * h
        gradient[i] = fun(moved).imag / h
    return gradient


def finite_differences(fun, x, h=1e-5):
    gradient = np.empty_like(x)
    for i in np.ndindex(*x.shape):
        e = np.zeros_like(x)
        e[i] = h
        gradient[i] = (fun(x + e) - fun(x - e)) / (2 * h)
    return gradient


@st.composite
def batches(draw):
    """Logits (N, K) of very different sizes, class labels, and probabilities in their place."""
    n, k = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([0.0, 1e-8, 1.0, 30.0, 1000.0, LARGEST]))
    logits = scale * rng.uniform(-1, 1, (n, k)) + draw(st.sampled_from([0.0, 0.0, LARGEST, -LARGEST]))
    return logits, rng.integers(k, size=n), rng.dirichlet(np.ones(k), size=n)


@st.composite
def distributions(draw):
    """Two rows of distributions p and q, (n, K), in the outcomes of p also zeros, in those of q none."""
    n, k = draw(st.integers(1, 5)), draw(st.integers(1, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    p = rng.dirichlet(np.full(k, draw(st.sampled_from([0.3, 1.0, 100.0]))), size=n)
    p *= rng.uniform(size=(n, k)) < draw(st.sampled_from([0.5, 1.0]))
    p[p.sum(axis=1) == 0, -1] = 1.0
    return p / p.sum(axis=1, keepdims=True), 0.99 * rng.dirichlet(np.ones(k), size=n) + 0.01 / k


def close(ours, theirs):
    """Equal to 1e-12, relative to the size of the numbers."""
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


# ---- entropy, KL divergence, cross-entropy


@settings(max_examples=200, deadline=None)
@given(pair=distributions())
def test_entropy_and_divergence_equal_scipy_and_torch(pair):
    p, q = pair
    close(losses.entropy(p), scipy.stats.entropy(p, axis=-1))
    close(losses.kl_divergence(p, q), scipy.stats.entropy(p, q, axis=-1))
    theirs = F.kl_div(torch.tensor(np.log(q)), torch.tensor(p), reduction="none").sum(-1).numpy()
    close(losses.kl_divergence(p, q), theirs)
    theirs = F.cross_entropy(torch.tensor(np.log(q)), torch.tensor(p), reduction="none").numpy()
    close(losses.cross_entropy(p, q), theirs)


@settings(max_examples=200, deadline=None)
@given(pair=distributions())
def test_properties_of_entropy_and_divergence(pair):
    p, q = pair
    entropy, extra = losses.entropy(p), losses.kl_divergence(p, q)
    assert (entropy >= 0).all() and (entropy <= np.log(p.shape[1]) + 1e-12).all()
    assert (extra >= 0).all()
    close(losses.cross_entropy(p, q), entropy + extra)
    close(losses.cross_entropy(p, p), entropy)
    assert (losses.kl_divergence(p, p) == 0).all() and (losses.kl_divergence(q, q) == 0).all()
    assert (losses.kl_divergence(q, np.roll(q, 1, axis=1)) >= 0).all()


def test_divergence_is_not_below_zero_by_rounding():
    """Neighbors as close as rounding, and a sum that is a little off: both come out below 0 without care."""
    rng = np.random.default_rng(8)
    p = rng.dirichlet(np.ones(10), size=1000)
    q = p * (1 + 1e-15 * rng.normal(size=p.shape))
    assert (losses.kl_divergence(p, q) >= 0).all()
    assert losses.kl_divergence([0.5 - 4e-7, 0.5], [0.5, 0.5]) == 0


def test_an_impossible_outcome():
    """It costs nothing if it does not happen, and everything if it does, without a warning."""
    assert losses.entropy([1.0, 0.0]) == 0 and not np.signbit(losses.entropy([1.0, 0.0]))
    close(losses.entropy([0.5, 0.0, 0.5]), np.log(2))
    close(losses.kl_divergence([1.0, 0.0], [0.5, 0.5]), np.log(2))
    close(losses.cross_entropy([0.5, 0.5, 0.0], [0.25, 0.75, 0.0]), -np.log(0.25 * 0.75) / 2)
    assert losses.kl_divergence([0.5, 0.5], [1.0, 0.0]) == np.inf
    assert losses.cross_entropy([0.5, 0.5], [1.0, 0.0]) == np.inf
    assert not np.signbit(losses.cross_entropy([1.0, 0.0], [1.0, 0.0]))


def test_distributions_in_any_number_of_axes():
    p, q = np.random.default_rng(9).dirichlet(np.ones(5), size=(2, 3, 4))
    for function in (losses.kl_divergence, losses.cross_entropy):
        assert function(p, q).shape == (3, 4)
        close(function(p, q)[1, 2], function(p[1, 2], q[1, 2]))
    assert losses.entropy(p).shape == (3, 4) and losses.entropy(p[0, 0]).shape == ()


def test_gradients_of_entropy_and_divergence_by_complex_step():
    """Written out by hand; an outcome with p = 0 does not count, wherever q moves."""
    p, q, r = np.array([[0.5, 0.0, 0.2, 0.3], [0.1, 0.2, 0.3, 0.4], [0.3, 0.3, 0.3, 0.1]])
    close(complex_step(lambda x: losses.cross_entropy(p, x), q), -p / q)
    close(complex_step(lambda x: losses.kl_divergence(p, x), q), -p / q)
    close(complex_step(lambda x: losses.cross_entropy(x, q), p), -np.log(q))
    close(complex_step(losses.entropy, q), -np.log(q) - 1)
    close(complex_step(lambda x: losses.kl_divergence(x, q), r), np.log(r / q) + 1)
    close(complex_step(lambda x: losses.kl_divergence(x, q), q), np.ones(4))
    close(complex_step(lambda x: losses.kl_divergence(q, x), q), -np.ones(4))


@pytest.mark.parametrize("h", [1e-3, -1e-3, -1e-100])
def test_a_complex_step_may_be_large_or_negative(h):
    """Only the real parts must be probabilities; also where the step starts from 0, the end of the range."""
    p, q = np.array([0.4, 0.0, 0.6]), np.array([0.2, 0.3, 0.5])
    derivative = complex_step(lambda x: losses.cross_entropy(p, x), q, h=h)
    np.testing.assert_allclose(derivative, -p / q, rtol=1e-4)
    close(complex_step(lambda x: losses.cross_entropy(x, q), p, h=h), -np.log(q))
    with pytest.raises(ValueError, match="output of a softmax"):
        losses.softmax_cross_entropy([[1.0, h * 1j]], [0])


NOT_PROBABILITIES = [
    (0.5, r"^{} must have shape \(\.\.\., K\).* not \(\)"),
    ([], r"^{} must have shape .* not \(0,\)"),
    (np.zeros((0, 3)), r"^{} must have shape"),
    ([1.2, -0.2], "^{} must hold probabilities: not negative, with sum 1"),
    ([0.5, 0.5 - 1e-5], "^{} must hold probabilities"),
    ([0.5, 0.5 + 1e-5], "^{} must hold probabilities"),
    ([[0.5, 0.5], [2.0, 3.0]], "^{} must hold probabilities"),
    ([0.5, np.nan], "^the probabilities {} hold NaN"),
    ([np.inf, 0.5], "^the probabilities {} hold NaN"),
]


@pytest.mark.parametrize(("values", "message"), NOT_PROBABILITIES)
def test_what_is_no_distribution_is_refused(values, message):
    with pytest.raises(ValueError, match=message.format("p")):
        losses.entropy(values)
    for function in (losses.kl_divergence, losses.cross_entropy):
        with pytest.raises(ValueError, match=message.format("p")):
            function(values, [0.5, 0.5])
        with pytest.raises(ValueError, match=message.format("q")):
            function([0.5, 0.5], values)


def test_sums_may_be_off_by_rounding():
    for off in (-5e-7, 5e-7):
        assert losses.entropy([0.5, 0.5 + off]) == pytest.approx(np.log(2), abs=1e-6)


@pytest.mark.parametrize("function", [losses.kl_divergence, losses.cross_entropy])
def test_distributions_are_not_stretched(function):
    with pytest.raises(ValueError, match=r"^p has shape \(2,\), q \(1, 2\): they must agree"):
        function([0.5, 0.5], [[0.5, 0.5]])
    with pytest.raises(ValueError, match=r"^p has shape \(1,\), q \(2,\)"):
        function([1.0], [0.5, 0.5])


# ---- logsumexp, log_softmax, softmax


@settings(max_examples=200, deadline=None)
@given(batch=batches())
def test_softmax_family_equals_torch_and_scipy(batch):
    logits, _, _ = batch
    z = torch.tensor(logits)
    close(losses.logsumexp(logits), torch.logsumexp(z, -1).numpy())
    close(losses.log_softmax(logits), torch.log_softmax(z, -1).numpy())
    close(losses.softmax(logits), torch.softmax(z, -1).numpy())
    close(losses.logsumexp(logits), scipy.special.logsumexp(logits, axis=-1))


def test_the_last_axis_of_any_number_of_axes():
    z = np.random.default_rng(0).normal(size=(2, 3, 4))
    assert losses.logsumexp(z).shape == (2, 3) and losses.logsumexp(z[0, 0]).shape == ()
    close(losses.softmax(z)[1, 2], losses.softmax(z[1, 2]))
    close(np.exp(losses.log_softmax(z)), losses.softmax(z))
    close(losses.softmax(z).sum(axis=-1), np.ones((2, 3)))


@settings(max_examples=100, deadline=None)
@given(batch=batches(), shift=st.floats(-1e4, 1e4))
def test_softmax_does_not_see_a_common_shift(batch, shift):
    logits, _, _ = batch
    np.testing.assert_allclose(losses.softmax(logits + shift), losses.softmax(logits), rtol=1e-7, atol=1e-11)
    close(losses.logsumexp(logits + shift), losses.logsumexp(logits) + shift)


def test_minus_infinity_is_the_logarithm_of_zero():
    row = [-np.inf, 0.0, np.log(3.0)]
    close(losses.logsumexp(row), np.log(4.0))
    close(losses.softmax(row), [0, 0.25, 0.75])
    assert losses.log_softmax(row)[0] == -np.inf
    assert losses.logsumexp([-np.inf, -np.inf]) == -np.inf  # an empty sum, without a warning


@pytest.mark.parametrize("size", [1e4, -1e4, 1e300])
def test_no_overflow(size):
    z = np.array([size, 0.0, -size])
    assert np.isfinite(losses.logsumexp(z)) and np.isfinite(losses.log_softmax(z)).all()
    close(losses.softmax(z), np.eye(3)[0 if size > 0 else 2])


def test_derivatives_of_the_softmax_family_by_complex_step():
    """Of logsumexp it is the softmax, of log p_j it is e_j - p, of p_j it is p_j (e_j - p)."""
    z = np.array([0.5, -1.0, 2.0])
    p = losses.softmax(z)
    close(complex_step(losses.logsumexp, z), p)
    for j, e in enumerate(np.eye(3)):
        close(complex_step(lambda x, j=j: losses.log_softmax(x)[j], z), e - p)
        close(complex_step(lambda x, j=j: losses.softmax(x)[j], z), p[j] * (e - p))


def test_log_softmax_is_exact_where_probabilities_round_to_zero():
    close(losses.log_softmax([0.0, -5000.0]), [0.0, -5000.0])


def test_log_softmax_keeps_the_digits_of_differences():
    """Under a common offset of 1e12, log p = z - logsumexp(z) would be off by 1e-4."""
    z = np.array([0.0, 0.25, 0.5])
    np.testing.assert_allclose(losses.log_softmax(z + 1e12), losses.log_softmax(z), rtol=0, atol=1e-12)


# ---- softmax cross-entropy


@settings(max_examples=200, deadline=None)
@given(
    batch=batches(),
    smoothing=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    soft=st.booleans(),
    weighted=st.booleans(),
    zeros=st.booleans(),
)
def test_softmax_cross_entropy_equals_torch(batch, smoothing, soft, weighted, zeros):
    logits, classes, probabilities = batch
    labels = probabilities if soft else classes
    weight = np.random.default_rng(0).uniform(0.1, 3.0, logits.shape[1]) if weighted else None
    if weighted and zeros:
        weight[np.arange(len(weight)) != classes[0]] = 0.0  # one class counts, and it occurs
    expected = torch_gradient(
        lambda z: F.cross_entropy(
            z,
            torch.tensor(labels),
            weight=torch.tensor(weight) if weighted else None,
            label_smoothing=smoothing,
        ),
        logits,
    )
    loss, grad = losses.softmax_cross_entropy(logits, labels, smoothing, weight)
    assert type(loss) is float and grad.shape == logits.shape and grad.dtype == np.float64
    close(loss, expected[0])
    close(grad, expected[1])


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("weight", [None, [0.5, 0.0, 2.0, 1.0]])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_gradient_of_softmax_cross_entropy(smoothing, scale, weight, soft):
    rng = np.random.default_rng(1)
    logits, labels = scale * rng.normal(size=(5, 4)), rng.integers(4, size=5)
    if soft:
        labels = rng.dirichlet(np.ones(4), size=5)

    def value(z):
        return losses.softmax_cross_entropy(z, labels, smoothing, weight)[0]

    grad = losses.softmax_cross_entropy(logits, labels, label_smoothing=smoothing, weight=weight)[1]
    np.testing.assert_allclose(grad, complex_step(value, logits), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(grad, finite_differences(value, logits), rtol=0, atol=1e-8)


def test_the_complex_formula_written_out():
    """The oracle shares no line with the module: log(sum(exp)) as it stands in a book."""
    rng = np.random.default_rng(2)
    logits, labels = rng.normal(size=(3, 5)), rng.integers(5, size=3)

    def value(z):
        return np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(3), labels])

    loss, grad = losses.softmax_cross_entropy(logits, labels)
    close(loss, value(logits))
    close(grad, complex_step(value, logits))


def test_a_hopeless_logit_costs_what_it_says():
    """20,000 nats of surprise; computed from rounded probabilities this would be infinite."""
    loss, grad = losses.softmax_cross_entropy([[LARGEST, -LARGEST]], [1])
    assert loss == 20_000 and grad.tolist() == [[1.0, -1.0]]


@settings(max_examples=100, deadline=None)
@given(batch=batches())
def test_gradient_rows_add_up_to_nothing_and_loss_is_not_negative(batch):
    logits, labels, _ = batch
    loss, grad = losses.softmax_cross_entropy(logits, labels)
    assert loss >= 0
    np.testing.assert_allclose(grad.sum(axis=1), 0, atol=1e-12)
    assert (grad[np.arange(len(labels)), labels] <= 0).all()


def test_weights_are_a_weighted_mean_over_the_examples():
    rng = np.random.default_rng(10)
    logits, labels, weight = rng.normal(size=(6, 3)), np.array([0, 1, 1, 2, 2, 2]), np.array([3.0, 2.0, 1.0])
    each = [losses.softmax_cross_entropy(logits[[i]], labels[[i]])[0] for i in range(6)]
    loss, grad = losses.softmax_cross_entropy(logits, labels, weight=weight)
    close(loss, np.average(each, weights=weight[labels]))
    scaled = losses.softmax_cross_entropy(logits, labels, weight=7 * weight)
    close(loss, scaled[0])
    close(grad, scaled[1])


def test_a_certain_and_right_answer_costs_nothing():
    loss = losses.softmax_cross_entropy([[LARGEST, 0.0]], [0])[0]
    assert loss == 0 and not np.signbit(loss)  # printed as 0.0, not -0.0


@pytest.mark.parametrize(
    ("weight", "labels", "message"),
    [
        ([1.0, 1.0], [0, 1], r"weight must have shape \(3,\), .* not \(2,\)"),
        (1.0, [0, 1], r"not \(\)"),
        (np.ones((2, 3)), [0, 1], r"not \(2, 3\)"),
        ([1.0, -0.5, 1.0], [0, 1], "must not be negative; the smallest is -0.5"),
        ([1.0, np.nan, 1.0], [0, 1], "^the weights hold NaN or infinity"),
        ([1.0, np.inf, 1.0], [0, 1], "^the weights hold NaN or infinity"),
        ([0.0, 0.0, 0.0], [0, 1], "every class among these labels has weight 0"),
        ([0.0, 0.0, 1.0], [0, 1], "every class among these labels has weight 0"),
        ([0.0, 0.0, 1.0], [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]], "every class among these labels has weight 0"),
    ],
)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_weights_refused(weight, labels, message, smoothing):
    with pytest.raises(ValueError, match=message):
        losses.softmax_cross_entropy(np.zeros((2, 3)), labels, smoothing, weight)


@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_probabilities_in_place_of_logits_are_refused(kind):
    rng = np.random.default_rng(11)
    scores, labels = rng.normal(size=(8, 10)), rng.integers(10, size=8)
    probabilities = losses.softmax(scores).astype(kind)
    with pytest.raises(
        ValueError, match="output of a softmax.* = 1.46 under the loss.* scores before the soft"
    ):
        losses.softmax_cross_entropy(probabilities, labels)
    # The floor the message speaks of: certain and right, but put through a second softmax.
    twice = losses.softmax_cross_entropy(np.eye(10) - 1.0, np.arange(10))[0]
    assert f"{twice:.2f}" == "1.46" and twice == pytest.approx(np.log(1 + 9 / np.e))
    # The way out it names: the same numbers as scores.
    shifted = losses.softmax_cross_entropy(probabilities - 1.0, labels)[0]
    assert shifted == pytest.approx(
        np.mean(losses.logsumexp(probabilities) - probabilities[range(8), labels])
    )


def test_logits_that_only_resemble_probabilities_are_taken():
    for logits in (
        [[0.5, 0.5], [0.5, 0.6]],  # one row does not add up to 1
        [[0.5, 0.5], [1.5, -0.5]],  # one number is negative
        [[0.5, 0.5 + 1e-5], [0.5, 0.5]],  # off by more than rounding
        [[1.0], [1.0]],  # with one class there is nothing to tell
    ):
        assert np.isfinite(losses.softmax_cross_entropy(logits, [0, 0])[0])
    with pytest.raises(ValueError, match="output of a softmax"):
        losses.softmax_cross_entropy([[1.0, 0.0], [0.5, 0.5 + 5e-7]], [0, 0])


def test_one_hot_rows_are_the_same_as_classes():
    rng = np.random.default_rng(3)
    logits, labels = rng.normal(size=(4, 3)), rng.integers(3, size=4)
    for hot in (np.eye(3)[labels], np.eye(3, dtype=int)[labels]):
        ours = losses.softmax_cross_entropy(logits, hot)
        close(ours[0], losses.softmax_cross_entropy(logits, labels)[0])
        close(ours[1], losses.softmax_cross_entropy(logits, labels)[1])


@pytest.mark.parametrize("kind", ["int8", "uint8", "int32", "uint64"])
def test_labels_of_any_integer_type(kind):
    labels = np.array([2, 0], dtype=kind)
    assert losses.softmax_cross_entropy(np.zeros((2, 3)), labels)[0] == pytest.approx(np.log(3))


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros(3), [0], r"shape \(N, K\), .* not \(3,\)"),
        (np.zeros((0, 3)), [], r"shape \(N, K\)"),
        (np.zeros((2, 0)), [0, 0], r"shape \(N, K\)"),
        (np.zeros((2, 3)), [0, 1, 2], r"labels must have shape \(2,\) or \(2, 3\).* not \(3,\)"),
        (np.zeros((2, 3)), [[0], [1]], r"not \(2, 1\)"),
        (np.zeros((2, 3)), 1, r"not \(\)"),
        (np.zeros((2, 3)), [0, 3], "between 0 and 2, .* between 0 and 3"),
        (np.zeros((2, 3)), [-1, 2], "between -1 and 2"),
        (np.zeros((2, 3)), [0.0, 1.0], "integers from 0 to 2, not float64"),
        (np.zeros((2, 3)), [True, False], "integers from 0 to 2, not bool"),
        (np.zeros((2, 3)), ["0", "1"], "integers from 0 to 2, not <U1"),
        (np.zeros((2, 3)), np.full((2, 3), 0.5), "with sum 1"),
        (np.zeros((2, 3)), [[1.5, -0.5, 0], [1, 0, 0]], "not negative"),
        (np.zeros((2, 3)), [[np.nan, 0, 0], [1, 0, 0]], "^labels hold NaN"),
        ([[0, np.nan]], [0], "^logits hold NaN or infinity"),
        ([[0, np.inf]], [0], "^logits hold NaN or infinity"),
        ([[0, -np.inf]], [0], "^logits hold NaN or infinity"),
    ],
)
def test_softmax_cross_entropy_refuses(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        losses.softmax_cross_entropy(logits, labels)


@pytest.mark.parametrize("smoothing", [-0.01, 1.01, np.nan])
def test_smoothing_is_a_part(smoothing):
    with pytest.raises(ValueError, match="label_smoothing must lie between 0 and 1"):
        losses.softmax_cross_entropy(np.zeros((1, 2)), [0], smoothing)


@pytest.mark.parametrize("function", [losses.logsumexp, losses.log_softmax, losses.softmax])
@pytest.mark.parametrize(
    ("z", "message"),
    [
        (1.0, r"z must have shape \(\.\.\., K\).* not \(\)"),
        ([], r"not \(0,\)"),
        (np.zeros((0, 3)), r"not \(0, 3\)"),
        ([[0.0, np.nan], [0.0, 0.0]], "z holds NaN or \\+infinity"),
        ([0.0, np.inf], "z holds NaN or \\+infinity"),
    ],
)
def test_softmax_family_refuses(function, z, message):
    with pytest.raises(ValueError, match=message):
        function(z)


@pytest.mark.parametrize("function", [losses.log_softmax, losses.softmax])
def test_no_softmax_of_impossible_outcomes_alone(function):
    with pytest.raises(ValueError, match="a row of z holds only -infinity"):
        function([[0.0, 1.0], [-np.inf, -np.inf]])


# ---- binary cross-entropy


@settings(max_examples=200, deadline=None)
@given(batch=batches(), soft=st.booleans())
def test_binary_cross_entropy_equals_torch(batch, soft):
    logits, _, probabilities = batch
    labels = probabilities if soft else np.round(probabilities)
    expected = torch_gradient(
        lambda z: F.binary_cross_entropy_with_logits(z, torch.tensor(labels, dtype=torch.float64)), logits
    )
    loss, grad = losses.binary_cross_entropy(logits, labels)
    assert type(loss) is float and grad.shape == logits.shape
    # torch takes the difference of two numbers as large as the logits, and is off by their rounding.
    np.testing.assert_allclose(loss, expected[0], rtol=1e-12, atol=1e-15 * max(1, np.abs(logits).max()))
    close(grad, expected[1])


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_gradient_of_binary_cross_entropy(scale):
    rng = np.random.default_rng(4)
    logits, labels = scale * rng.normal(size=(4, 3)), rng.uniform(size=(4, 3))

    def value(z):
        return losses.binary_cross_entropy(z, labels)[0]

    def written_out(z):
        p = 1 / (1 + np.exp(-z))
        return np.mean(-labels * np.log(p) - (1 - labels) * np.log(1 - p))

    grad = losses.binary_cross_entropy(logits, labels)[1]
    close(grad, complex_step(value, logits))
    np.testing.assert_allclose(grad, finite_differences(value, logits), rtol=0, atol=1e-8)
    if scale == 1.0:
        close(value(logits), written_out(logits))
        close(grad, complex_step(written_out, logits))


def test_two_classes_are_a_binary_question():
    z = np.random.default_rng(5).normal(size=7)
    labels = np.arange(7) % 2
    binary, grad = losses.binary_cross_entropy(z, labels)
    two, grads = losses.softmax_cross_entropy(np.stack([np.zeros(7), z], axis=1), labels)
    close(binary, two)
    close(grad, grads[:, 1])


def test_probabilities_in_place_of_binary_logits_show_as_a_floor():
    """The symptom the docstring names: no probability, taken as a logit, makes a 0 cost less than log 2."""
    costs = [losses.binary_cross_entropy([p], [0])[0] for p in (0.0, 0.01, 0.5, 1.0)]
    assert min(costs) == costs[0] == pytest.approx(np.log(2))


@pytest.mark.parametrize("sign", [-1, 1])
def test_binary_cross_entropy_keeps_the_digits_of_an_almost_certain_label(sign):
    """Labels of 2^-53 and 1 - 2^-53: what is left of a logit of 10,000 is 1e-12, and exact."""
    label = 2.0**-53 if sign < 0 else 1 - 2.0**-53
    assert losses.binary_cross_entropy([sign * LARGEST], [label])[0] == LARGEST * 2.0**-53


def test_binary_extremes():
    loss, grad = losses.binary_cross_entropy([LARGEST, -LARGEST], [0, 0])
    assert loss == LARGEST / 2 and grad.tolist() == [0.5, 0.0]
    assert losses.binary_cross_entropy([-50.0], [0])[0] == pytest.approx(np.exp(-50.0), rel=1e-12)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros(3), np.zeros((3, 1)), r"^logits has shape \(3,\), labels \(3, 1\)"),
        (np.zeros(3), 1.0, r"labels \(\)"),
        ([], [], "not be empty"),
        ([0.0, 0.0], [-1, 1], r"between -1 and 1; labels -1 and \+1 become 0 and 1 by"),
        ([0.0, 0.0], [0, 2], "between 0 and 1, not between 0 and 2"),
        ([0.0], [np.nan], "^labels hold NaN"),
        ([np.inf], [1], "^logits hold NaN or infinity"),
    ],
)
def test_binary_cross_entropy_refuses(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        losses.binary_cross_entropy(logits, labels)


# ---- squared error


@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 3, 4)])
def test_mean_squared_error_equals_torch(shape):
    rng = np.random.default_rng(6)
    pred, target = rng.normal(size=shape), rng.normal(size=shape)
    expected = torch_gradient(lambda p: F.mse_loss(p, torch.tensor(target)), pred)
    loss, grad = losses.mean_squared_error(pred, target)
    assert type(loss) is float and np.shape(grad) == shape
    close(loss, expected[0])
    close(grad, expected[1])
    if shape:
        close(grad, complex_step(lambda p: losses.mean_squared_error(p, target)[0], pred))


@pytest.mark.parametrize(
    ("pred", "target", "message"),
    [
        (np.zeros((3, 1)), np.zeros(3), r"^pred has shape \(3, 1\), target \(3,\): they must agree"),
        (np.zeros(3), 0.0, "they must agree"),
        ([], [], "not be empty"),
        ([np.nan], [0.0], "^pred hold NaN"),
        ([0.0], [np.inf], "^target hold NaN"),
    ],
)
def test_mean_squared_error_refuses(pred, target, message):
    with pytest.raises(ValueError, match=message):
        losses.mean_squared_error(pred, target)


@pytest.mark.parametrize("kind", ["int64", "float32"])
def test_other_number_types_are_computed_in_double_precision(kind):
    z = np.array([[3, 1], [2, 5]], dtype=kind)
    for loss in (losses.softmax_cross_entropy(z, [0, 1]), losses.binary_cross_entropy(z, np.ones((2, 2)))):
        assert loss[1].dtype == np.float64
    assert losses.softmax(z).dtype == np.float64
    close(
        losses.softmax_cross_entropy(z, [0, 1])[0], losses.softmax_cross_entropy(z.astype(float), [0, 1])[0]
    )


# ---- hinge


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 20), scale=st.sampled_from([0.0, 1.0, LARGEST]))
def test_hinge_equals_scikit_learn(seed, n, scale):
    rng = np.random.default_rng(seed)
    scores, labels = scale * rng.normal(size=n), rng.choice([-1, 1], size=n)
    labels[:2] = [-1, 1]  # scikit-learn takes a lone class +1 for the negative one
    loss, subgradient = losses.hinge(scores, labels)
    assert type(loss) is float and subgradient.shape == (n,)
    close(loss, sklearn.metrics.hinge_loss(labels, scores))
    np.testing.assert_allclose(subgradient, -labels / n * (labels * scores < 1), rtol=1e-13)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 5), kinks=st.booleans())
def test_the_subgradient_lies_under_the_hinge(seed, n, kinks):
    """hinge(t) >= hinge(s) + <g, t - s> for every t, also where s sits on the kink."""
    rng = np.random.default_rng(seed)
    labels, t = rng.choice([-1, 1], size=n), 3 * rng.normal(size=n)
    s = labels.astype(float) if kinks else 3 * rng.normal(size=n)
    loss, subgradient = losses.hinge(s, labels)
    assert losses.hinge(t, labels)[0] >= loss + subgradient @ (t - s) - 1e-12


def test_gradient_of_hinge_away_from_the_kink():
    rng = np.random.default_rng(12)
    scores, labels = 2 * rng.normal(size=(4, 3)), rng.choice([-1.0, 1.0], size=(4, 3))

    def value(s):
        return losses.hinge(s, labels)[0]

    grad = losses.hinge(scores, labels)[1]
    np.testing.assert_allclose(grad, complex_step(value, scores), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(grad, finite_differences(value, scores), rtol=0, atol=1e-8)


def test_at_the_kink_the_subgradient_is_zero():
    assert losses.hinge([1.0, -1.0], [1, -1])[1].tolist() == [0.0, 0.0]
    at_kink = complex_step(lambda s: losses.hinge(s, [1, -1])[0], np.array([1.0, -1.0]))
    assert at_kink.tolist() == [0.0, 0.0]  # the same choice
    loss, subgradient = losses.hinge([LARGEST, -LARGEST], [1, 1])
    assert loss == (1 + LARGEST) / 2 and subgradient.tolist() == [0.0, -0.5]


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([0.5, 0.5], [0, 1], r"labels must be -1 or \+1, not 0; .* by 2 \* y - 1"),
        ([0.5, 0.5, 0.5, 0.5], [-1, 3, 2, 1], "not 3;"),
        ([0.5, 0.5], [True, False], "not 0;"),
        (np.zeros(3), np.ones((3, 1)), r"^scores has shape \(3,\), labels \(3, 1\): they must agree"),
        (np.zeros(3), 1, "they must agree"),
        ([], [], "not be empty"),
        ([np.nan], [1], "^scores hold NaN"),
        ([0.0], [np.nan], "^labels hold NaN"),
    ],
)
def test_hinge_refuses(scores, labels, message):
    with pytest.raises(ValueError, match=message):
        losses.hinge(scores, labels)
