"""The exercises of the chapter: the stub fails, the solution passes, each typical mistake gets its hint."""

import math

import numpy as np
import pytest
import torch
from scipy.special import comb as float_comb
from scipy.special import expit

from speechlib import check


def verdict(capsys, exercise, answer):
    passed = exercise(answer)
    return passed, capsys.readouterr().out


# -- the solutions of the chapter ----------------------------------------------------------------------------


def receptive_field(layers):
    field, step = 1, 1
    for width, stride, dilation in layers:
        field += (width - 1) * dilation * step
        step *= stride
    return field


def convolution_parameters(inputs, channels, widths, bias):
    return channels * (inputs * int(np.prod(widths)) + bool(bias))


def masked_mean(h, lengths):
    mask = np.arange(h.shape[1]) < np.asarray(lengths)[:, None]  # (N, T)
    return np.where(mask[..., None], h, 0).sum(axis=1) / np.asarray(lengths)[:, None]


def lstm_step(x, h, c, W, U, b):
    i, f, g, o = np.split(W @ x + U @ h + b, 4)
    i, f, o = (1 / (1 + np.exp(-z)) for z in (i, f, o))
    c = f * c + i * np.tanh(g)
    return o * np.tanh(c), c


def attend(Q, K, V, valid):
    scores = Q @ K.T / np.sqrt(Q.shape[1])
    scores = np.where(valid, scores, -np.inf)  # a column each: nobody looks there
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True) @ V


def alarm_threshold(scores, rate):
    return min(s for s in scores if np.mean(np.asarray(scores) > s) <= rate)


def hears_padding(model, x):
    lengths, alone = np.array([len(x)]), np.asarray(model(x[None], np.array([len(x)])))
    for fill in (0.0, 7.0, -7.0):
        for more in (1, 40):
            batch = np.pad(x, ((0, more), (0, 0)), constant_values=fill)[None]
            if np.abs(np.asarray(model(batch, lengths)) - alone).max() > 1e-4:
                return True
    return False


def variety(labels, batch_size):
    labels = np.asarray(labels)
    full = labels[: len(labels) // batch_size * batch_size].reshape(-1, batch_size)
    seen = np.mean([len(np.unique(batch)) for batch in full])
    n, counts = len(labels), np.unique(labels, return_counts=True)[1].tolist()
    missing = [math.comb(n - count, batch_size) / math.comb(n, batch_size) for count in counts]
    return seen / (len(counts) - sum(missing))


def train_patiently(one_pass, dev_loss, weights, passes, patience):
    best, kept, losses = None, None, []
    for number in range(passes):
        one_pass()
        losses.append(dev_loss())
        if losses[-1] < (np.inf if best is None else losses[best]):
            best, kept = number, [w.copy() for w in weights]
        if number - (-1 if best is None else best) >= patience:
            break
    for w, k in zip(weights, kept or [], strict=False):
        w[...] = k
    return best, losses


RIGHT = [
    (check.receptive_field, receptive_field),
    (check.convolution_parameters, convolution_parameters),
    (check.masked_mean, masked_mean),
    (check.lstm_step, lstm_step),
    (check.attend, attend),
    (check.alarm_threshold, alarm_threshold),
    (check.hears_padding, hears_padding),
    (check.variety, variety),
    (check.train_patiently, train_patiently),
]

# -- other answers, right and wrong --------------------------------------------------------------------------


def field(reach=lambda K, d: (K - 1) * d, above=lambda step, s, d: step * s, first=1, own=False):
    """The solution with one thing changed."""

    def answer(layers):
        total, step = first, 1
        for K, s, d in layers:
            before, step = step, above(step, s, d)
            total += reach(K, d) * (step if own else before)
        return total

    return answer


def first_to_last(layers):  # another right one: follow the two ends down
    first = last = 0
    for K, s, d in layers[::-1]:
        first, last = first * s, last * s + (K - 1) * d
    return np.int64(last - first + 1)


def used_frames(layers):
    frames = {0}
    for K, s, d in layers[::-1]:
        frames = {s * t + d * k for t in frames for k in range(K)}
    return len(frames)


def emptied(layers):
    total, step = 1, 1
    while layers:
        K, s, d = layers.pop(0)
        total, step = total + (K - 1) * d * step, step * s
    return total


def by_torch(inputs, channels, widths, bias):  # another right one: ask the library
    layer = {1: torch.nn.Conv1d, 2: torch.nn.Conv2d}[len(widths)](inputs, channels, widths, bias=bias)
    return sum(p.numel() for p in layer.parameters())


def mean_of(part=lambda row, n: row[:n], count=None):
    """The mean over another part of each utterance, or divided by another number."""

    def answer(h, lengths):
        rows = []
        for row, n in zip(h, lengths, strict=True):
            rows.append(part(row, n).sum(axis=0) / (len(part(row, n)) if count is None else count(row, n)))
        return np.array(rows)

    return answer


def mask_product(h, lengths):
    mask = np.arange(h.shape[1]) < lengths[:, None]
    return (h * mask[..., None]).sum(axis=1) / lengths[:, None]


def mask_in_place(h, lengths):
    h[np.arange(h.shape[1]) >= lengths[:, None]] = 0
    return h.sum(axis=1) / lengths[:, None]


def finite_only(h, lengths):
    return np.where(np.isfinite(h), h, 0).sum(axis=1) / np.isfinite(h).sum(axis=1)


def no_infinity(h, lengths):  # NaN is left out, infinity is not
    return mask_product(np.nan_to_num(h, nan=0.0, posinf=np.inf, neginf=-np.inf), lengths)


def lstm(cell=lambda i, f, g, o, c: f * c + i * g, out=lambda o, new, old: o * np.tanh(new), order="ifgo",
         gate=expit, news=np.tanh, z=lambda x, h, W, U, b: W @ x + U @ h + b, parts=lambda z: np.split(z, 4),
         turned=False):  # fmt: skip
    """The solution with one thing changed."""

    def answer(x, h, c, W, U, b):
        rows = dict(zip(order, parts(z(x, h, W, U, b)), strict=True))
        i, f, o, g = gate(rows["i"]), gate(rows["f"]), gate(rows["o"]), news(rows["g"])
        new = cell(i, f, g, o, c)
        return (new, out(o, new, c)) if turned else (out(o, new, c), new)

    return answer


def torch_cell(x, h, c, W, U, b):  # another right one
    cell = torch.nn.LSTMCell(len(x), len(h), dtype=torch.float64)
    with torch.no_grad():
        for mine, given in zip(cell.parameters(), (W, U, b, 0 * b), strict=True):
            mine[...] = torch.tensor(given)
        return [new.numpy() for new in cell(torch.tensor(x), (torch.tensor(h), torch.tensor(c)))]


def cell_in_place(x, h, c, W, U, b):
    i, f, g, o = np.split(W @ x + U @ h + b, 4)
    c *= expit(f)
    c += expit(i) * np.tanh(g)
    return expit(o) * np.tanh(c), c


def head(product=lambda Q, K: Q @ K.T, scale=lambda Q, V: math.sqrt(Q.shape[1]),
         mask=lambda s, valid: np.where(valid, s, -np.inf), shift=lambda s: s.max(axis=1, keepdims=True),
         total=lambda e: e.sum(axis=1, keepdims=True), after=lambda A, valid: A,
         end=lambda A, V: A @ V):  # fmt: skip
    """The solution with one thing changed."""

    def answer(Q, K, V, valid):
        scores = mask(product(Q, K) / scale(Q, V), valid)
        weights = np.exp(scores - shift(scores))
        return end(after(weights / total(weights), valid), V)

    return answer


def torch_head(Q, K, V, valid):  # another right one
    tensors = [torch.tensor(a) for a in (Q, K, V)]
    mask = torch.tensor(valid)[None].expand(len(Q), -1)
    return torch.nn.functional.scaled_dot_product_attention(*tensors, attn_mask=mask).numpy()


def valid_keys(Q, K, V, valid):  # another right one: only the valid frames, in a loop
    rows = []
    for q in Q:
        scores = K[valid] @ q / len(q) ** 0.5
        weights = np.exp(scores - np.max(scores))
        rows.append(weights @ V[valid] / np.sum(weights))
    return rows


def unmasked(scores, valid):
    return scores


def scaled_in_place(Q, K, V, valid):
    Q /= math.sqrt(Q.shape[1])
    return attend(Q * math.sqrt(Q.shape[1]), K, V, valid)


def place(index):
    """The score at a place among the sorted ones, largest first."""
    return lambda scores, rate: np.sort(scores)[::-1][index(rate * len(scores), len(scores))]


def quantile(method):
    return lambda scores, rate: np.quantile(scores, 1 - rate, method=method)


def sorted_in_place(scores, rate):
    scores.sort()
    return alarm_threshold(scores, rate)


def look(fills=(0.0, 7.0, -7.0), more=(1, 40), length=len, differ=lambda a, b: np.abs(a - b).max() > 1e-4):
    """The solution with one thing changed."""

    def answer(model, x):
        alone = np.asarray(model(x[None], [len(x)]))
        for fill in fills:
            for n in more:
                batch = np.concatenate([x, np.full((n, x.shape[1]), fill)])
                if differ(
                    np.asarray(model(batch[None], [length(batch) if length is not len else len(x)])), alone
                ):
                    return True
        return False

    return answer


def noise_and_zeros(model, x):  # another right one, in one batch
    more = np.array([0.0, 1.0, 9.0])[:, None, None] * np.random.default_rng(1).normal(size=(3, 60, 5))
    batch = np.concatenate([np.broadcast_to(x, (3, *x.shape)), more], axis=1)
    heard = model(batch, np.full(3, len(x)))
    return not np.allclose(heard, model(x[None], [len(x)]), rtol=0, atol=1e-4)


def beside_itself(model, x):
    """Compares two paddings of one length, and never the word alone."""
    batch = np.concatenate([x, np.ones((9, 5))]), np.concatenate([x, -np.ones((9, 5))])
    logits = model(np.array(batch), [len(x)] * 2)
    return bool(np.abs(logits[0] - logits[1]).max() > 1e-4)


def beside_a_longer_one(model, x):
    """The chapter's own test, with zeros behind the shorter word: not enough here."""
    batch = np.array([np.pad(x, ((0, 20), (0, 0))), np.ones((len(x) + 20, 5))])
    logits = model(batch, [len(x), len(x) + 20])
    return not np.allclose(logits[0], model(x[None], [len(x)])[0], rtol=0, atol=1e-4)


def one_axis(model, x):
    return bool(np.abs(model(x, [len(x)])).max() > 1e-4)


def writes_into_x(model, x):
    alone = model(x[None].copy(), [len(x)])
    x[-1] = 7.0
    return bool(np.abs(model(x[None], [len(x)]) - alone).max() > 1e-4)


def expected(labels, size, missing=lambda n, count, B: math.comb(n - count, B) / math.comb(n, B)):
    counts = np.unique(labels, return_counts=True)[1].tolist()
    return sum(1 - missing(len(labels), count, size) for count in counts)


def classes(labels, size, mean=np.mean, rest=0):
    stop = len(labels) if rest else len(labels) // size * size
    return mean([len(set(labels[k : k + size].tolist())) for k in range(0, stop, size)])


def every_kth(labels, size):
    k = len(labels) // size
    return np.mean([len(np.unique(labels[j::k])) for j in range(k)])


def sorted_labels(labels, size):
    labels.sort()
    return variety(labels, size)


def patient(late=0, total=False, below=lambda new, lowest, before: new < lowest, keep=lambda w: w.copy(),
            put=None, finish=True, good=None, number=lambda best, losses: best, first=math.inf,
            before=False, stop=True):  # fmt: skip
    """A trainer with one thing changed."""

    def answer(one_pass, dev_loss, weights, passes, patience):
        losses, best, kept, bad, lowest = [], None, None, 0, first
        if before:
            losses.append(dev_loss())
        early = False
        for k in range(passes):
            one_pass()
            new = dev_loss()
            better = below(new, lowest, losses)
            counts = better if good is None else good(new, lowest, losses)
            losses.append(new)
            if better:
                best, lowest, kept = k, new, [keep(w) for w in weights]
            bad = (bad if total else 0) if counts else bad + 1
            if stop and bad >= patience + late:
                early = True
                break
        if kept is not None and (early or finish):
            (put or write)(weights, kept)
        return number(best, losses), losses

    return answer


def write(weights, kept):
    for w, k in zip(weights, kept, strict=True):
        np.copyto(w, k)


def replace(weights, kept):
    weights[:] = kept


def only_the_first(weights, kept):
    weights[0][:] = kept[0]


def a_pass_late(one_pass, dev_loss, weights, passes, patience):
    """Keeps the weights as they were before the best pass."""
    best, kept, losses = None, None, []
    for k in range(passes):
        old = [w.copy() for w in weights]
        one_pass()
        losses.append(dev_loss())
        if losses[-1] < (np.inf if best is None else losses[best]):
            best, kept = k, old
        if k - (-1 if best is None else best) >= patience:
            break
    write(weights, kept or weights)
    return best, losses


def from_the_start(one_pass, dev_loss, weights, passes, patience):
    start = [w.copy() for w in weights]
    best, losses = train_patiently(one_pass, dev_loss, weights, passes, patience)
    if best is not None:
        write(weights, start)
    return best, losses


def resets_on_nan(one_pass, dev_loss, weights, passes, patience):
    start = [w.copy() for w in weights]
    best, losses = train_patiently(one_pass, dev_loss, weights, passes, patience)
    if best is None:
        write(weights, start)
    return best, losses


def lost_in_nan(one_pass, dev_loss, weights, passes, patience):
    best, losses = train_patiently(one_pass, dev_loss, weights, passes, patience)
    return int(np.nanargmin(losses)), losses


def without_end(one_pass, dev_loss, weights, passes, patience):
    best, losses, bad = None, [], 0
    while bad < patience:
        one_pass()
        losses.append(dev_loss())
        bad += 1
        if best is None or losses[-1] < losses[best]:
            best, bad = len(losses) - 1, 0
    return best, losses


def not_below_the_start(one_pass, dev_loss, weights, passes, patience):
    return patient(first=dev_loss())(one_pass, dev_loss, weights, passes, patience)


def averaged(one_pass, dev_loss, weights, passes, patience):
    best, losses = train_patiently(one_pass, dev_loss, weights, passes, patience)
    for w in weights:
        w *= 0.99
    return best, losses


def result(change):
    """The solution, with its two results changed."""
    return lambda *given: change(*train_patiently(*given))


ALSO_RIGHT = [
    (check.receptive_field, first_to_last),
    (check.receptive_field, lambda layers: 1.0 * receptive_field(tuple(layers))),
    (check.convolution_parameters, by_torch),
    (check.convolution_parameters, lambda D, C, widths, bias: C * D * math.prod(widths) + (C if bias else 0)),
    (check.masked_mean, mean_of()),
    (check.masked_mean, lambda h, n: np.mean(
        h, axis=1, where=(np.arange(h.shape[1]) < n[:, None])[..., None])),
    (check.masked_mean, lambda h, n: [row[:k].mean(axis=0).tolist() for row, k in zip(h, n, strict=True)]),
    (check.lstm_step, lstm()),
    (check.lstm_step, torch_cell),
    (check.lstm_step, lambda *given: np.array(lstm_step(*given))),
    (check.attend, torch_head),
    (check.attend, valid_keys),
    (check.attend, head(mask=lambda s, valid: s - 1e9 * ~valid)),
    (check.alarm_threshold, lambda scores, rate: float(alarm_threshold(list(scores), rate))),
    (check.alarm_threshold, quantile("inverted_cdf")),
    (check.alarm_threshold, lambda scores, rate: np.sort(scores)[math.ceil((1 - rate) * len(scores)) - 1]),
    (check.hears_padding, look()),
    (check.hears_padding, noise_and_zeros),
    (check.hears_padding, look(fills=(1.0, -1.0), more=(5,))),
    (check.variety, lambda labels, B: classes(labels, B) / expected(labels, B)),
    (check.variety, lambda labels, B: classes(labels, B)
     / expected(labels, B, lambda n, count, B: float_comb(n - count, B) / float_comb(n, B))),
    (check.train_patiently, patient()),
    (check.train_patiently, result(lambda best, losses: [None if best is None else np.int64(best), losses])),
    (check.train_patiently, result(lambda best, losses: (best, np.array(losses)))),
]  # fmt: skip

WRONG = [
    (check.receptive_field, field(own=True), "a layer's own stride"),
    (check.receptive_field, field(lambda K, d: K * d), "K - 1 steps further, not K"),
    (check.receptive_field, field(lambda K, d: K * d - 1), "not K d - 1"),
    (check.receptive_field, field(lambda K, d: K - 1), "The dilation is forgotten"),
    (check.receptive_field, field(above=lambda step, s, d: 1), "The strides are forgotten"),
    (check.receptive_field, field(first=0), "One is missing"),
    (check.receptive_field, lambda layers: receptive_field(layers[::-1]), "began at the wrong end"),
    (check.receptive_field, field(above=lambda step, s, d: s), "Only the stride of the layer just below"),
    (check.receptive_field, field(above=lambda step, s, d: step + s - 1), "The strides were added"),
    (check.receptive_field, field(above=lambda step, s, d: step * s * d),
     "multiplied the step by the dilation"),
    (check.receptive_field, used_frames, "the frames in between count too"),
    (check.receptive_field, lambda layers: receptive_field(layers[-1:]), "the last layer alone"),
    (check.receptive_field, lambda layers: math.prod(K for K, _, _ in layers), "multiplied the widths"),
    (check.receptive_field, lambda layers: math.prod(s for _, s, _ in layers),
     "units of the last layer are apart"),
    (check.receptive_field, lambda layers: sum(K for K, _, _ in layers),
     "For [(5, 1, 1), (3, 1, 1)] it is 7; yours is 8"),
    (check.receptive_field, emptied, "changed the list"),
    (check.receptive_field, lambda layers: [receptive_field(layers)], "One number is asked"),
    (check.convolution_parameters, lambda D, C, w, b: C * D * math.prod(w) + b, "one bias for the layer"),
    (check.convolution_parameters, lambda D, C, w, b: C * D * (math.prod(w) + b), "each pair of channels"),
    (check.convolution_parameters, lambda D, C, w, b: C * D * math.prod(w) + D * b, "for each input channel"),
    (check.convolution_parameters, lambda D, C, w, b: C * (math.prod(w) + b), "input channels are forgotten"),
    (check.convolution_parameters, lambda D, C, w, b: D * math.prod(w) + b, "output channels are forgotten"),
    (check.convolution_parameters, lambda D, C, w, b: C * (D * sum(w) + b), "The widths were added"),
    (check.convolution_parameters, lambda D, C, w, b: C * (D * w[0] + b), "Only the first of the widths"),
    (check.convolution_parameters, lambda D, C, w, b: C * (D * w[0] ** 2 + b), "square of the first width"),
    (check.convolution_parameters, lambda D, C, w, b: C * D * math.prod(w), "The bias is forgotten"),
    (check.convolution_parameters, lambda D, C, w, b: C * (D * math.prod(w) + 1), "count the bias always"),
    (check.convolution_parameters, lambda D, C, w, b: C * (D * math.prod(w) + (not b)), "when there is none"),
    (check.convolution_parameters, lambda D, C, w, b: C * (D + math.prod(w) + b),
     "Inputs and widths were added"),
    (check.convolution_parameters, lambda D, C, w, b: C * math.prod(w) * (D + b),
     "not multiplied by the widths"),
    (check.convolution_parameters, lambda D, C, w, b: C * (D * np.array(w) + b), "One number is asked"),
    (check.convolution_parameters, lambda D, C, w, b: 7, "bias=True it is 12864; yours is 7"),
    (check.masked_mean, mask_product, "Zero times NaN is NaN"),
    (check.masked_mean, no_infinity, "Zero times infinity is NaN"),
    (check.masked_mean, lambda h, n: h.mean(axis=1), "makes the mean NaN"),
    (check.masked_mean, mean_of(count=lambda row, n: len(row)), "You divide by all frames"),
    (check.masked_mean, mean_of(lambda row, n: np.where(np.isfinite(row), row, 0)),
     "the mean over all frames"),
    (check.masked_mean, finite_only, "what is not finite"),
    (check.masked_mean, mean_of(count=lambda row, n: 1), "That is the sum"),
    (check.masked_mean, mean_of(lambda row, n: row[: n - 1], lambda row, n: n),
     "The last valid frame is missing"),
    (check.masked_mean, mean_of(lambda row, n: row[n - 1 : n]), "That is the last valid frame"),
    (check.masked_mean, mean_of(lambda row, n: row[:n].max(axis=0, keepdims=True)), "the largest value"),
    (check.masked_mean, lambda h, n: h[:, : n.min()].mean(axis=1), "at the shortest"),
    (check.masked_mean, lambda h, n: mean_of(count=lambda row, k: n.mean())(h, n),
     "Each utterance has its own length"),
    (check.masked_mean, mask_in_place, "changed the arrays"),
    (check.masked_mean, lambda h, n: masked_mean(h, n)[:, None],
     "have the shape (3, 4); yours have (3, 1, 4)"),
    (check.masked_mean, lambda h, n: masked_mean(h, n).mean(axis=1), "yours have (3,)"),
    (check.masked_mean, lambda h, n: 2 * masked_mean(h, n), "For an utterance of"),
    (check.masked_mean, lambda h, n: h.sum(axis=1) / n, "shapes"),
    (check.lstm_step, lstm(turned=True), "wrong way round: h first"),
    (check.lstm_step, lstm(order="ifog"), "You split in the order i, f, o, g"),
    (check.lstm_step, lstm(order="figo"), "Input and forget gate are exchanged"),
    (check.lstm_step, lstm(order="iofg"), "in another order"),
    (check.lstm_step, lstm(parts=lambda z: [z[k::4] for k in range(4)]), "every fourth row"),
    (check.lstm_step, lstm(news=lambda z: z), "The tanh at g is forgotten"),
    (check.lstm_step, lstm(news=expit), "The news take tanh"),
    (check.lstm_step, lstm(gate=np.tanh), "They take the logistic function"),
    (check.lstm_step, lstm(gate=lambda z: 1 / (1 + np.exp(z))), "sign in the logistic function"),
    (check.lstm_step, lstm(gate=lambda z: z), "the logistic function is missing"),
    (check.lstm_step, lstm(out=lambda o, new, old: o * new), "The tanh at the output is forgotten"),
    (check.lstm_step, lstm(out=lambda o, new, old: np.tanh(o * new)), "outside the tanh"),
    (check.lstm_step, lstm(out=lambda o, new, old: o * np.tanh(old)), "made of the old c"),
    (check.lstm_step, lstm(out=lambda o, new, old: np.tanh(new)), "The output gate is forgotten"),
    (check.lstm_step, lstm(out=lambda o, new, old: o * expit(new)), "not the logistic function"),
    (check.lstm_step, lstm(lambda i, f, g, o, c: c + i * g), "The forget gate is forgotten"),
    (check.lstm_step, lstm(lambda i, f, g, o, c: f * c + g), "The input gate is forgotten"),
    (check.lstm_step, lstm(lambda i, f, g, o, c: f * c + (1 - f) * g), "as in a GRU"),
    (check.lstm_step, lstm(lambda i, f, g, o, c: (1 - f) * c + i * g), "what to *keep*"),
    (check.lstm_step, lstm(lambda i, f, g, o, c: i * g), "The old c is forgotten"),
    (check.lstm_step, lstm(lambda i, f, g, o, c: np.tanh(f * c + i * g)), "The cell went through tanh"),
    (check.lstm_step, lstm(lambda i, f, g, o, c: np.tanh(f * c + i * g), lambda o, new, old: o * new),
     "You keep tanh(c)"),
    (check.lstm_step, lstm(z=lambda x, h, W, U, b: W @ x + b), "The old h is forgotten"),
    (check.lstm_step, lstm(z=lambda x, h, W, U, b: W @ x + U @ h), "The biases are forgotten"),
    (check.lstm_step, lstm(z=lambda x, h, W, U, b: W @ x + U @ h + 2 * b), "added twice"),
    (check.lstm_step, lstm(z=lambda x, h, W, U, b: W @ x - U @ h + b), "sign of U @ h"),
    (check.lstm_step, lstm(news=lambda z: z, turned=True),
     "Two things: h comes first, then c; and the tanh at g"),
    (check.lstm_step, cell_in_place, "changed the arrays"),
    (check.lstm_step, lambda *given: lstm_step(*given)[0], "It returns one array"),
    (check.lstm_step, lambda *given: (*lstm_step(*given), 1), "Two arrays are asked"),
    (check.lstm_step, lambda x, h, c, W, U, b: (x, c), "has shape (2,); yours has (3,)"),
    (check.lstm_step, lstm(lambda i, f, g, o, c: 0.5 * c), "the new c should be"),
    (check.lstm_step, lstm(out=lambda o, new, old: 0.5 * o), "the new h should be"),
    (check.attend, head(shift=lambda s: 0), "exp(1000) is infinite"),
    (check.attend, head(shift=lambda s: s.max()), "largest score of *all* rows"),
    (check.attend, head(mask=unmasked, after=lambda A, v: A * v / (A * v).sum(axis=1, keepdims=True)),
     "after the softmax nothing is left"),
    (check.attend, head(scale=lambda Q, V: 1), "The root of d is forgotten"),
    (check.attend, head(scale=lambda Q, V: Q.shape[1]), "You divide by d"),
    (check.attend, head(scale=lambda Q, V: Q.shape[1] ** -0.5), "You multiply by the root"),
    (check.attend, head(scale=lambda Q, V: len(Q) ** 0.5), "root of the number of frames"),
    (check.attend, head(scale=lambda Q, V: V.shape[1] ** 0.5),
     "For 5 frames, 5 of them valid, and d = 4 row"),
    (check.attend, head(mask=unmasked), "the mask is not used"),
    (check.attend, head(mask=lambda s, v: np.where(v[:, None], s, -np.inf)), "The mask is on the rows. "),
    (check.attend, head(mask=lambda s, v: np.where(v[:, None] & v, s, -np.inf)), "on the rows as well"),
    (check.attend, head(mask=lambda s, v: np.where(v, -np.inf, s)), "upside down"),
    (check.attend, head(mask=lambda s, v: s * v), "exp(0) is 1"),
    (check.attend, head(mask=unmasked, after=lambda A, v: A * v), "do not add up to 1"),
    (check.attend, head(shift=lambda s: s.max(axis=0), total=lambda e: e.sum(axis=0)), "down the columns"),
    (check.attend, head(shift=lambda s: s.max(), total=lambda e: e.sum()), "all scores together"),
    (check.attend, head(product=lambda Q, K: K @ Q.T), "The scores are transposed"),
    (check.attend, head(product=lambda Q, K: Q @ Q.T), "The keys are in K"),
    (check.attend, head(after=lambda A, v: A.T), "A is transposed"),
    (check.attend, head(product=lambda Q, K: -Q @ K.T), "sign of the scores"),
    (check.attend, head(after=lambda A, v: A * v[:, None]), "Rows of padded frames have an answer"),
    (check.attend, lambda Q, K, V, v: V[np.where(v, Q @ K.T, -np.inf).argmax(axis=1)], "largest score alone"),
    (check.attend, lambda Q, K, V, v: np.tile(V[v].mean(axis=0), (len(V), 1)), "the mean of the values"),
    (check.attend, head(end=lambda A, V: A), "Those are the weights A"),
    (check.attend, head(end=lambda A, V: (A @ V)[0]), "has the shape of V"),
    (check.attend, head(mask=lambda s, v: s - 9.0 * ~v), "For 6 frames, 4 of them valid"),
    (check.attend, scaled_in_place, "changed the arrays"),
    (check.alarm_threshold, lambda s, r: min((t for t in s if np.mean(s >= t) <= r), default=s.max()),
     "*above* the"),
    (check.alarm_threshold, lambda s, r: min(t for t in s if np.mean(s >= t) <= r),
     "and the rate 0 it raises ValueError"),
    (check.alarm_threshold, quantile("linear"), "quantile between two"),
    (check.alarm_threshold, quantile("midpoint"), "half-way"),
    (check.alarm_threshold, quantile("higher"), "not the smallest"),
    (check.alarm_threshold, quantile("lower"), "Too low"),
    (check.alarm_threshold, lambda s, r: np.quantile(s, r), "The wrong end"),
    (check.alarm_threshold, lambda s, r: np.sort(s)[int(r * len(s))], "The wrong end"),
    (check.alarm_threshold, lambda s, r: s[int(r * len(s))], "Sort them first"),
    (check.alarm_threshold, place(lambda k, n: max(int(k) - 1, 0)),
     "a score equal to the threshold is not accepted"),
    (check.alarm_threshold, place(lambda k, n: int(k) + 1), "more than the rate are above"),
    (check.alarm_threshold, place(lambda k, n: math.ceil(k)), "Rounded up"),
    (check.alarm_threshold, lambda s, r: s.max(), "which accepts nothing"),
    (check.alarm_threshold, lambda s, r: min(t for t in s if np.mean(s < t) <= r),
     "do you count those below"),
    (check.alarm_threshold, lambda s, r: (1 - r) * s.max(), "a part of the largest score"),
    (check.alarm_threshold, lambda s, r: alarm_threshold(s, r) + 1e-3, "is none of the 20 scores"),
    (check.alarm_threshold, lambda s, r: np.partition(s, -2)[-2], "keeps it too, and is smaller"),
    (check.alarm_threshold, lambda s, r: np.sort(s)[2], "are above your threshold"),
    (check.alarm_threshold, sorted_in_place, "changed the order"),
    (check.alarm_threshold, lambda s, r: s[s > alarm_threshold(s, r)], "One number is asked"),
    (check.alarm_threshold, lambda s, r: math.nan, "is NaN"),
    (check.hears_padding, look(fills=(0.0,)), "a model to which zeros make no difference"),
    (check.hears_padding, look(fills=(0.0, 7.0)), "hears only what is negative, and yours was not"),
    (check.hears_padding, look(fills=(0.0, -7.0)), "hears only what is positive, and yours was not"),
    (check.hears_padding, look(fills=(math.nan,)), "comparisons with NaN"),
    (check.hears_padding, look(more=(0,)), "never got a frame more"),
    (check.hears_padding, look(length=lambda batch: len(batch)), "whatever stands behind"),
    (check.hears_padding, look(differ=lambda a, b: (a != b).any()), "is rounding"),
    (check.hears_padding, look(differ=lambda a, b: not np.allclose(a, b)), "is rounding"),
    (check.hears_padding, look(differ=lambda a, b: (a.argmax(1) != b.argmax(1)).any()),
     "says False for a model"),
    (check.hears_padding, look(differ=lambda a, b: np.abs(a - b).max() > 1e-2), "compare the logits"),
    (check.hears_padding, beside_a_longer_one, "a model to which zeros make no difference"),
    (check.hears_padding, beside_itself, "hears only that there is *more*"),
    (check.hears_padding, lambda model, x: np.abs(model(x[None], [12])).max(), "True or False is asked"),
    (check.hears_padding, lambda model, x: "no", "True or False is asked; it says str"),
    (check.hears_padding, lambda model, x: False, "It never calls the model"),
    (check.hears_padding, one_axis, "the model takes (utterances, frames, 5)"),
    (check.hears_padding, look(length=lambda batch: len(batch) + 1),
     "could not be used: ValueError: lengths"),
    (check.hears_padding, look(differ=lambda a, b: True), "looks at the valid frames alone"),
    (check.hears_padding, look(differ=lambda a, b: False), "takes the mean over all frames of the batch"),
    (check.hears_padding, writes_into_x, "changed the x"),
    (check.variety, lambda labels, B: classes(labels, B, rest=1) / expected(labels, B),
     "The last batch counts"),
    (check.variety, lambda labels, B: classes(labels, B) / len(set(labels)), "by the number of classes"),
    (check.variety, lambda labels, B: classes(labels, B) / (labels.max() + 1), "by the "),
    (check.variety, lambda labels, B: classes(labels, B) / B, "by the size of a batch"),
    (check.variety, classes, "That is the number of classes"),
    (check.variety, lambda labels, B: classes(labels, B)
     / expected(labels, B, lambda n, count, B: (1 - count / n) ** B), "*with* replacement"),
    (check.variety, lambda labels, B: classes(labels, B)
     / (len(set(labels)) - expected(labels, B)), "classes that are *missing*"),
    (check.variety, lambda labels, B: classes(labels, B)
     / (1 - len(set(labels)) + expected(labels, B)), "1 is taken once"),
    (check.variety, lambda labels, B: classes(labels, B)
     / expected(labels[: len(labels) // B * B], B), "drawn from *all* labels"),
    (check.variety, lambda labels, B: classes(labels, B, sum) / expected(labels, B), "Take their mean"),
    (check.variety, lambda labels, B: classes(labels, B, sum) / len(labels) * B / expected(labels, B),
     "a part of a batch"),
    (check.variety, lambda labels, B: len(set(labels[:B])) / expected(labels, B), "the first batch alone"),
    (check.variety, lambda labels, B: classes(labels, B, min) / expected(labels, B), "the fewest classes"),
    (check.variety, lambda labels, B: expected(labels, B) / classes(labels, B), "Upside down"),
    (check.variety, lambda labels, B: classes(labels, B) - expected(labels, B), "the difference"),
    (check.variety, lambda labels, B: variety(np.sort(labels), B), "You sorted the labels"),
    (check.variety, lambda labels, B: every_kth(labels, B) / expected(labels, B), "every k-th label"),
    (check.variety, sorted_labels, "changed the labels"),
    (check.variety, lambda labels, B: np.ones(3), "One number is asked"),
    (check.variety, lambda labels, B: 0.123,
     "For labels [0, 0, 1, 1, 2, 2] and batches of 2, 1 classes are seen"),
    (check.train_patiently, patient(stop=False), "It never stops early"),
    (check.train_patiently, patient(late=1), "one pass too late"),
    (check.train_patiently, patient(late=-1), "one pass too early"),
    (check.train_patiently, patient(total=True), "Only those *in a row* count"),
    (check.train_patiently, patient(below=lambda new, lowest, before: new <= lowest),
     "*equal* to the lowest"),
    (check.train_patiently, patient(below=lambda new, lowest, before: not before or new < before[-1]),
     "the loss of the pass before"),
    (check.train_patiently, patient(good=lambda new, lowest, before: not before or new < before[-1]),
     "the loss of the pass before"),
    (check.train_patiently, patient(below=lambda new, lowest, before: not new >= lowest),
     "NaN counts as better"),
    (check.train_patiently, patient(good=lambda new, lowest, before: new != new or new < lowest),
     "begin to count anew"),
    (check.train_patiently, patient(below=lambda new, lowest, before: not before or new < lowest),
     "The first loss is the lowest in yours even if it is NaN"),
    (check.train_patiently, patient(number=lambda best, losses: int(np.argmin(losses))), "For argmin a NaN"),
    (check.train_patiently, patient(number=lambda best, losses: best or 0), "None, and not 0"),
    (check.train_patiently, patient(number=lambda best, losses: -1 if best is None else best),
     "None, and not -1"),
    (check.train_patiently, patient(number=lambda best, losses: best if best is None else best + 1),
     "from 1"),
    (check.train_patiently, patient(number=lambda best, losses: len(losses) - 1),
     "the last pass, and not the best"),
    (check.train_patiently, patient(number=lambda best, losses: best if best is None else losses[best]),
     "the lowest loss"),
    (check.train_patiently, patient(number=lambda best, losses: None), "it says None for the best pass"),
    (check.train_patiently, patient(number=lambda best, losses: math.nan), "is NaN"),
    (check.train_patiently, patient(keep=lambda w: w), "keep *copies*"),
    (check.train_patiently, patient(put=lambda weights, kept: None), "Put the best ones back"),
    (check.train_patiently, patient(put=replace), "The list holds other arrays"),
    (check.train_patiently, patient(put=only_the_first), "Only some of the arrays"),
    (check.train_patiently, patient(finish=False), "When the passes run out"),
    (check.train_patiently, patient(before=True), "from before the first pass"),
    (check.train_patiently, not_below_the_start, "Is the loss from before the first pass"),
    (check.train_patiently, a_pass_late, "the weights are those after pass number 1"),
    (check.train_patiently, from_the_start, "those from before the training"),
    (check.train_patiently, resets_on_nan, "the weights stay as they are"),
    (check.train_patiently, averaged, "those of no pass at all"),
    (check.train_patiently, lost_in_nan, "If every loss is NaN it raises ValueError"),
    (check.train_patiently, without_end, "It trains more than"),
    (check.train_patiently, result(lambda best, losses: best), "Two things are asked"),
    (check.train_patiently, result(lambda best, losses: (losses, best)), "the wrong way round"),
    (check.train_patiently, result(lambda best, losses: (best, losses[: (best or 0) + 1])),
     "the list of the dev losses"),
    (check.train_patiently, lambda *given: (0, []), "It never trains"),
    (check.train_patiently, lambda *given: None, "is there a `return`"),
]  # fmt: skip


JUNK = [
    lambda *given: None,
    lambda *given: "softmax",
    lambda *given: np.ones((2, 7)),
    lambda *given: [1, [2, 3]],
    lambda *given: math.nan,
    lambda *given: 1j,
    lambda *given: (),
    lambda *given: given,
    lambda *given: given[0],
    lambda *given: [np.full(2, math.nan)] * 2,
    lambda *given: (np.ones(2) * 1j, np.ones(2)),
    lambda *given: lambda z: "yes",
    lambda *given: -1,
    lambda *given: True,
    lambda *given: (True, {}),
    lambda *given: 1 / 0,
    lambda *given: given[0].undefined,
    lambda: 1.0,
    dict,
    "an answer",
    3,
    None,
]


def name(case):
    return case.__name__


@pytest.mark.parametrize("exercise", [exercise for exercise, _ in RIGHT], ids=name)
def test_the_stub_fails(capsys, exercise):
    for stub in (..., lambda *given: ...):
        passed, printed = verdict(capsys, exercise, stub)
        assert not passed and printed == "No answer yet: put yours in place of the three dots.\n"


@pytest.mark.parametrize("exercise, answer", RIGHT, ids=[name(exercise) for exercise, _ in RIGHT])
def test_the_solution_passes(capsys, exercise, answer):
    passed, printed = verdict(capsys, exercise, answer)
    assert passed and printed == "Right.\n", printed


@pytest.mark.parametrize("exercise, answer", ALSO_RIGHT, ids=[name(exercise) for exercise, _ in ALSO_RIGHT])
def test_another_way_to_be_right_passes(capsys, exercise, answer):
    passed, printed = verdict(capsys, exercise, answer)
    assert passed and printed == "Right.\n", printed


@pytest.mark.parametrize("exercise, answer, hint", WRONG, ids=[f"{name(e)}-{h}" for e, _, h in WRONG])
def test_a_typical_mistake_gets_its_hint(capsys, exercise, answer, hint):
    with np.errstate(all="ignore"):
        passed, printed = verdict(capsys, exercise, answer)
    assert not passed and printed.count("\n") == 1 and hint in printed, printed


@pytest.mark.parametrize("exercise", [exercise for exercise, _ in RIGHT], ids=name)
def test_a_useless_answer_gets_a_verdict(capsys, exercise):
    for answer in JUNK:
        passed, printed = verdict(capsys, exercise, answer)
        assert not passed and ("Not yet. " in printed or "No answer yet" in printed), printed


def test_every_exercise_of_the_module_is_tested():
    from speechlib.check import acoustic_models

    assert {name(exercise) for exercise, _ in RIGHT} == set(acoustic_models.__all__)
