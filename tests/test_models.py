"""The acoustic models: that padding is not heard, against the formulas written out, and what they refuse."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechlib import features, models
from speechlib.models import parameters_of

BINS = 12
MAKE = {
    "softmax": lambda: models.Softmax(BINS, 3, stretches=4),
    "mlp": lambda: models.MLP(BINS, 3, stretches=4, units=5),
    "classic": lambda: models.ClassicCNN(3, bins=BINS, frames=16),
    "small": lambda: models.SmallCNN(BINS, 3, channels=(3, 4, 5)),
    "time": lambda: models.TimeConvolution(BINS, 3, channels=6, layers=3),
    "rnn": lambda: models.Recurrent(BINS, 3, units=5, kind="rnn", layers=2),
    "lstm": lambda: models.Recurrent(BINS, 3, units=5, kind="lstm"),
    "gru": lambda: models.Recurrent(BINS, 3, units=5, kind="gru"),
    "attention": lambda: models.SelfAttention(BINS, 3, width=8, heads=2),
}
every_model = pytest.mark.parametrize("name", MAKE)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
    torch.set_num_threads(threads)


def model_of(name, dtype=torch.float64):
    torch.manual_seed(1)
    return MAKE[name]().to(dtype).eval()


def speech(frames, dtype=torch.float64, seed=0):
    return torch.tensor(np.random.default_rng([seed, frames]).normal(size=(frames, BINS)), dtype=dtype)


# ---- padding


@every_model
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 25), min_size=1, max_size=4),
    more=st.integers(0, 9),
    filling=st.sampled_from([0.0, 1.0, -1e3, 1e6, math.nan, math.inf]),
)
def test_padding_changes_nothing(name, dtype, tolerance, lengths, more, filling):
    """An utterance alone, and the same one in a longer batch with anything behind it."""
    model = model_of(name, dtype)
    batch = torch.full((len(lengths), max(lengths) + more, BINS), filling, dtype=dtype)
    for row, frames in zip(batch, lengths, strict=True):
        row[:frames] = speech(frames, dtype)
    given_batch = batch.clone()
    with torch.no_grad():
        together = model(batch, torch.tensor(lengths))
        alone = torch.cat([model(speech(frames, dtype)[None], [frames]) for frames in lengths])
    torch.testing.assert_close(together, alone, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(batch, given_batch, rtol=0, atol=0, equal_nan=True)  # and it is not written to


@every_model
def test_no_gradient_reaches_the_padding_and_some_reaches_every_parameter_and_frame(name):
    model = model_of(name).train()
    x = torch.stack([speech(14), speech(14, seed=1)]).requires_grad_()
    torch.nn.functional.cross_entropy(model(x, [14, 9]), torch.tensor([0, 2])).backward()
    assert (x.grad[1, 9:] == 0).all()
    # of the classic network's picture the edges fall to pooling; of a maximum only the largest count, but the
    # mean beside it takes in all
    heard = (x.grad[1, :9] != 0).any(dim=1)
    assert heard.all() if name != "classic" else heard.sum() > 5
    for label, param in model.named_parameters():
        assert param.grad is not None and torch.isfinite(param.grad).all(), label
        # a key's bias moves all scores of a query alike, and softmax does not see that
        assert (param.grad.abs().max() < 1e-12) == label.endswith("key.bias"), label


@every_model
def test_the_last_valid_frame_counts(name):
    """The mask must not cut too much: a change in the last valid frame is a change in the logits."""
    model, x = model_of(name), speech(11)[None].clone()
    before = model(x, [11])
    x[0, 10] += 3.0
    assert (model(x, [11]) - before).abs().max() > 1e-6


# ---- sizes


def test_parameters_of_the_defaults():
    assert parameters_of(models.Softmax(40, 10)) == 8 * 40 * 10 + 10 == 3_210
    assert parameters_of(models.MLP(40, 10)) == 320 * 64 + 64 + 64 * 10 + 10 == 21_194
    assert parameters_of(models.ClassicCNN(10)) == 8_923_274
    assert parameters_of(models.SmallCNN(40, 10)) == 21_178 < 75_000
    assert parameters_of(models.TimeConvolution(40, 10)) == 64_202 < 75_000
    counts = {kind: parameters_of(models.Recurrent(40, 10, kind=kind)) for kind in ("rnn", "gru", "lstm")}
    assert counts == {"rnn": 7_434, "gru": 21_002, "lstm": 27_786}
    assert parameters_of(models.SelfAttention(40, 10)) == 70_986


@pytest.mark.parametrize("make", [
    models.Softmax, models.MLP, models.SmallCNN, models.TimeConvolution, models.SelfAttention,
    *[partial(models.Recurrent, kind=kind) for kind in ("rnn", "gru", "lstm")],
    lambda bins, classes: models.ClassicCNN(classes),
])  # fmt: skip
def test_docstrings_say_how_many_parameters(make):
    model = make(40, 10)
    assert f"{parameters_of(model):,}" in type(model).__doc__


def test_frozen_parameters_do_not_count():
    model = models.Softmax(40, 10)
    model.output.bias.requires_grad_(False)
    assert parameters_of(model) == 3_200


def test_shapes_of_the_classic_network():
    shapes = []
    model = models.ClassicCNN(10)
    for layer in model.layers:
        layer.register_forward_hook(lambda _layer, _x, y: shapes.append(tuple(y.shape[1:])))
    assert model(torch.zeros(1, 50, 80), [50]).shape == (1, 10)
    convolutions = [(64, 78, 126), (64, 78, 126), (64, 39, 63), (128, 37, 61), (128, 37, 61), (128, 18, 30)]
    assert shapes == [*convolutions, (69_120,), (128,), (128,), (10,)]


def test_the_classic_network_sees_128_frames_of_a_long_utterance():
    model = model_of("classic")
    x = speech(30)[None]
    torch.testing.assert_close(model(x, [30]), model(x[:, :16], [16]))
    with pytest.raises(ValueError, match="too small"):
        models.ClassicCNN(10, bins=9)


# ---- against the formulas


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    more=st.integers(0, 3),
    stretches=st.integers(1, 9),
)
def test_stretches_are_those_of_features(lengths, more, stretches):
    x = np.random.default_rng(0).normal(size=(len(lengths), max(lengths) + more, BINS))
    ours = models.stretches_of(torch.tensor(x), torch.tensor(lengths), stretches)
    np.testing.assert_allclose(ours, features.pool(x, lengths, stretches), rtol=1e-11, atol=1e-11)


def test_softmax_and_mlp_are_their_formulas():
    x = np.stack([speech(9).numpy(), speech(9, seed=2).numpy()])
    pooled = features.pool(x, [9, 7], 4).reshape(2, -1)
    softmax, mlp = model_of("softmax"), model_of("mlp")

    def affine(layer, y):
        return y @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()

    with torch.no_grad():
        expected = affine(softmax.output, pooled)
        np.testing.assert_allclose(softmax(torch.tensor(x), [9, 7]), expected, rtol=1e-10)
        expected = affine(mlp.output, np.tanh(affine(mlp.hidden, pooled)))
        np.testing.assert_allclose(mlp(torch.tensor(x), [9, 7]), expected, rtol=1e-10)


def by_hand(cell, kind, x):
    """The state after the last frame, frame by frame, from the formulas of Elman, Hochreiter and Cho."""
    w, u, b, c = (
        getattr(cell, f"{name}_l0").detach().numpy()
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    units = u.shape[1]
    h = memory = np.zeros(units)

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    for frame in x.numpy():
        from_x, from_h = w @ frame + b, u @ h + c
        if kind == "rnn":
            h = np.tanh(from_x + from_h)
        elif kind == "gru":
            reset, update = (sigmoid((from_x + from_h)[i * units : (i + 1) * units]) for i in (0, 1))
            candidate = np.tanh(from_x[2 * units :] + reset * from_h[2 * units :])
            h = update * h + (1 - update) * candidate
        else:
            gate_in, forget, cell_in, out = np.split(from_x + from_h, 4)
            memory = sigmoid(forget) * memory + sigmoid(gate_in) * np.tanh(cell_in)
            h = sigmoid(out) * np.tanh(memory)
    return h


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_recurrent_is_the_loop_over_the_valid_frames(kind):
    model = models.Recurrent(BINS, 3, units=5, kind=kind).double()
    x = torch.stack([speech(9), speech(9, seed=3)])
    with torch.no_grad():
        logits = model(x, [9, 4])
        for row, frames, ours in zip(x, [9, 4], logits, strict=True):
            state = torch.tensor(by_hand(model.cell, kind, row[:frames]))
            torch.testing.assert_close(ours, model.output(state), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("bias", [1.0, -2.0])
def test_the_forget_bias_is_that_of_the_forget_gates_alone(bias):
    cell = models.Recurrent(BINS, 3, units=5, kind="lstm", layers=2, forget_bias=bias).cell
    for layer in (0, 1):
        total = (getattr(cell, f"bias_ih_l{layer}") + getattr(cell, f"bias_hh_l{layer}")).detach()
        assert (total[5:10] == bias).all()
        assert (total[:5] != bias).all() and (total[10:] != bias).all()


def test_attention_is_its_formula():
    """Equation 1 of Vaswani et al., head by head and query by query, over the valid keys."""
    layer = models.EncoderLayer(8, 2, dropout=0.0).double().eval()
    x, frames = torch.randn(1, 6, 8, dtype=torch.float64), 4
    with torch.no_grad():
        out, weights = layer(x, torch.arange(6)[None] < frames)
        y = layer.norm_attention(x[0])
        q, k, v = layer.query(y), layer.key(y), layer.value(y)
        answer = torch.zeros(6, 8, dtype=torch.float64)
        for head in (slice(0, 4), slice(4, 8)):
            for t in range(6):
                scores = torch.tensor([q[t, head] @ k[s, head] / math.sqrt(4) for s in range(frames)])
                share = torch.exp(scores) / torch.exp(scores).sum()
                torch.testing.assert_close(weights[0, head.start // 4, t, :frames], share.double())
                answer[t, head] = sum(share[s] * v[s, head] for s in range(frames))
        middle = x[0] + layer.join(answer)
        torch.testing.assert_close(out[0], middle + layer.frame(layer.norm_frame(middle)))


def test_attention_weights_on_request():
    model = model_of("attention")
    weights = model.attention(torch.stack([speech(7), speech(7)]), [7, 3])
    assert [tuple(w.shape) for w in weights] == [(2, 2, 7, 7)] * 2
    for layer in weights:
        torch.testing.assert_close(layer.sum(dim=3), torch.ones(2, 2, 7, dtype=torch.float64))
        assert (layer[1, :, :, 3:] == 0).all() and (layer[0] > 0).all()


def test_attention_hears_order_only_by_its_positions(monkeypatch):
    model, x = model_of("attention"), speech(8)[None]
    turned = x.flip(1)
    assert (model(x, [8]) - model(turned, [8])).abs().max() > 1e-3
    monkeypatch.setattr(models, "positions", lambda frames, width: torch.zeros(frames, width))
    torch.testing.assert_close(model(x, [8]), model(turned, [8]))


def test_utterance_norm_is_instance_norm_of_the_valid_frames():
    norm = models.UtteranceNorm(3).double()
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = torch.randn(2, 3, 7, 5, dtype=torch.float64) * 3 + 1
    mask = torch.arange(7) < torch.tensor([[7], [4]])
    with torch.no_grad():
        ours = norm(x * mask[:, None, :, None], mask)
        for i, frames in enumerate([7, 4]):
            theirs = torch.nn.functional.instance_norm(
                x[i : i + 1, :, :frames], weight=norm.weight, bias=norm.bias, eps=1e-5
            )
            torch.testing.assert_close(ours[i : i + 1, :, :frames], theirs)
            assert (ours[i, :, frames:] == 0).all()


def test_small_cnn_does_not_hear_a_gain_on_its_way_in():
    """Without a bias before the first normalization, a gain in front of it is divided out again."""
    model, x = model_of("small"), speech(20)[None]
    torch.testing.assert_close(model(100 * x, [20]), model(x, [20]), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["small", "time", "attention"])
def test_dropout_is_for_training(name):
    model, x = model_of(name), speech(20)[None]
    assert torch.equal(model(x, [20]), model(x, [20]))
    model.train()
    assert not torch.equal(model(x, [20]), model(x, [20]))


# ---- what is refused


@every_model
@pytest.mark.parametrize("x, lengths, says", [
    (torch.zeros(2, 12, BINS), [12, 0], "between 1 and 12"),
    (torch.zeros(2, 12, BINS), [13, 1], "between 1 and 12"),
    (torch.zeros(0, 12, BINS), torch.zeros(0, dtype=torch.long), "between 1 and 12"),
    (torch.zeros(2, 12, BINS), [12], "2 integers"),
    (torch.zeros(2, 12, BINS), [12.0, 3.0], "2 integers"),
    (torch.zeros(2, 12, BINS), [True, True], "2 integers"),
    (torch.zeros(2, 12, BINS + 1), [12, 3], f"frames, {BINS}"),
    (torch.zeros(12, BINS), [12], f"frames, {BINS}"),
    (torch.zeros(2, 12, BINS, dtype=torch.long), [12, 3], "floats, not torch.int64"),
    (np.zeros((2, 12, BINS)), [12, 3], "floats, not ndarray"),
    (torch.full((2, 12, BINS), math.nan), [12, 3], "utterance 0"),
    (torch.stack([torch.zeros(12, BINS), torch.full((12, BINS), math.inf)]), [12, 3], "utterance 1"),
])  # fmt: skip
def test_what_a_model_refuses(name, x, lengths, says):
    with pytest.raises(ValueError, match=says):
        model_of(name, torch.float32)(x, lengths)


def test_wrong_settings():
    with pytest.raises(ValueError, match="rnn, lstm, gru"):
        models.Recurrent(40, 10, kind="transformer")
    with pytest.raises(ValueError, match="multiple of heads"):
        models.SelfAttention(40, 10, width=66, heads=4)
