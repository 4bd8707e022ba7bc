"""Checks of the exercises of the chapter `acoustic_models`."""

import itertools
import math
from functools import partial

import numpy as np
from scipy.special import expit

from ._exercise import exercise
from .gradient_clipping import _mistake
from .stochastic_optimization import _one_number, _reals, _shown

__all__ = [
    "alarm_threshold",
    "attend",
    "convolution_parameters",
    "hears_padding",
    "lstm_step",
    "masked_mean",
    "receptive_field",
    "train_patiently",
    "variety",
]


def _unchanged(mine, given):
    """Whether a reader's function has left the arrays alone that it was given."""
    return all(np.array_equal(a, b, equal_nan=b.dtype.kind == "f") for a, b in zip(mine, given, strict=True))


def _numeral(value):
    return f"{float(value):.6g}"


@exercise
def receptive_field(answer):
    """`answer(layers)`: input frames that a unit of the last layer sees; each (width, stride, dilation)."""
    chapter = [(5, 2, 1), *((3, 1, d) for d in (1, 2, 4, 8))]
    cases = [
        ([(3, 1, 1)],),
        ([(5, 1, 1), (3, 1, 1)],),
        ([(4, 2, 1)],),
        ([(3, 1, 1), (3, 1, 2)],),
        (chapter,),
        ([(4, 2, 1), (5, 3, 1), (2, 1, 1)],),
        ([(3, 2, 1), (3, 2, 1), (2, 3, 1), (4, 1, 2)],),
        ([(2, 1, 5)],),  # it leaves out the frames in between
    ]
    outputs = []
    for (layers,) in cases:
        mine = list(layers)
        got = _reals(answer(mine))
        if mine != layers:
            return "It changed the list that was given."
        if got.shape != ():
            return f"One number is asked; yours has shape {got.shape}."
        outputs.append([got])

    def rule(reach=lambda K, d: (K - 1) * d, above=lambda step, s, d: step * s, first=1, below=True):
        def field(layers):
            total, step = first, 1
            for width, stride, dilation in layers:
                if below:
                    total += reach(width, dilation) * step
                step = above(step, stride, dilation)
                if not below:
                    total += reach(width, dilation) * step
            return [float(total)]

        return field

    def counted(layers):  # the frames that are really used
        seen = {0}
        for width, stride, dilation in reversed(layers):
            seen = {stride * t + dilation * k for t in seen for k in range(width)}
        return [float(len(seen))]

    right = rule()
    wrong = [
        (
            rule(below=False),
            "You count a layer's own stride. Its width is taken in steps of its *input*: only the strides "
            "below it count.",
        ),
        (
            rule(reach=lambda K, d: K * d),
            "A layer of width K reaches K - 1 steps further, not K: one of its frames was there before.",
        ),
        (
            rule(reach=lambda K, d: K * d - 1),
            "The reach is (K - 1) d, and not K d - 1: there are K - 1 gaps, each of d steps.",
        ),
        (rule(reach=lambda K, d: K - 1), "The dilation is forgotten: a gap is d steps wide."),
        (
            rule(above=lambda step, s, d: 1),
            "The strides are forgotten. Above a stride of 2, neighbors are two input frames apart.",
        ),
        (rule(first=0), "One is missing. Before any layer a unit sees one frame, and not none."),
        (
            lambda layers: right(layers[::-1]),
            "You began at the wrong end. The list goes from the input upward, and the strides *below* count.",
        ),
        (
            rule(above=lambda step, s, d: s),
            "Only the stride of the layer just below counts in yours. A step is the product of *all* strides "
            "below.",
        ),
        (
            rule(above=lambda step, s, d: step + s - 1),
            "The strides were added. Every second of every third is every sixth: multiply.",
        ),
        (
            rule(above=lambda step, s, d: step * s * d),
            "You multiplied the step by the dilation as well. A dilated layer has an answer for every frame; "
            "only strides thin them out.",
        ),
        (
            counted,
            "With dilation the frames in between count too: from the first one that it sees to the last.",
        ),
        (lambda layers: right(layers[-1:]), "That is the last layer alone, seen from its own input."),
        (
            lambda layers: [float(math.prod(width for width, _, _ in layers))],
            "You multiplied the widths. Each layer *adds* to what is seen.",
        ),
        (
            lambda layers: [float(math.prod(stride for _, stride, _ in layers))],
            "That is how far the units of the last layer are apart. How wide does one see?",
        ),
    ]

    def otherwise(k):
        (layers,) = cases[k]
        return f"For {layers} it is {right(layers)[0]:g}; yours is {_numeral(outputs[k][0])}."

    return _mistake(cases, outputs, right, wrong, otherwise)


@exercise
def convolution_parameters(answer):
    """`answer(inputs, channels, widths, bias)`: the number of parameters of one convolution."""
    cases = [
        (40, 64, (5,), True),
        (40, 64, (5,), False),
        (1, 64, (3, 3), True),
        (64, 128, (3, 3), True),
        (7, 3, (2, 5), False),
        (7, 3, (2, 5), True),
        (3, 7, (4,), True),
    ]
    hint, outputs = _one_number(answer, cases)
    if hint:
        return hint

    def rule(count):  # from inputs D, channels C, the product P, the widths and 1 for a bias
        return lambda D, C, widths, bias: [float(count(D, C, math.prod(widths), widths, int(bias)))]

    right = rule(lambda D, C, P, w, b: C * (D * P + b))
    wrong = [
        (
            rule(lambda D, C, P, w, b: C * D * P + b),
            "You counted one bias for the layer. Each output channel has its own.",
        ),
        (
            rule(lambda D, C, P, w, b: C * D * (P + b)),
            "You counted a bias for each pair of channels. It is one for each *output* channel.",
        ),
        (
            rule(lambda D, C, P, w, b: C * D * P + D * b),
            "You counted a bias for each input channel. It is one for each *output* channel.",
        ),
        (
            rule(lambda D, C, P, w, b: C * (P + b)),
            "The input channels are forgotten: each output channel has weights for all of them.",
        ),
        (
            rule(lambda D, C, P, w, b: D * P + b),
            "The output channels are forgotten: that is what one of them needs.",
        ),
        (
            rule(lambda D, C, P, w, b: C * (D * sum(w) + b)),
            "The widths were added. A filter of 3 by 3 has 9 weights for each input channel.",
        ),
        (rule(lambda D, C, P, w, b: C * (D * w[0] + b)), "Only the first of the widths is counted."),
        (rule(lambda D, C, P, w, b: C * (D * w[0] ** 2 + b)), "You took the square of the first width."),
        (
            rule(lambda D, C, P, w, b: C * D * P),
            "The bias is forgotten: with `bias=True` each channel has one.",
        ),
        (
            rule(lambda D, C, P, w, b: C * (D * P + 1)),
            "You count the bias always. With `bias=False` there is none.",
        ),
        (rule(lambda D, C, P, w, b: C * (D * P + 1 - b)), "The bias is counted when there is none."),
        (rule(lambda D, C, P, w, b: C * (D + P + b)), "Inputs and widths were added. Multiply."),
        (
            rule(lambda D, C, P, w, b: C * P * (D + b)),
            "The bias is not multiplied by the widths: it is one number a channel.",
        ),
    ]

    def otherwise(k):
        inputs, channels, widths, bias = cases[k]
        return (
            f"For {inputs} inputs, {channels} channels, widths {widths} and bias={bias} it is "
            f"{right(*cases[k])[0]:.0f}; yours is {_numeral(outputs[k][0])}."
        )

    return _mistake(cases, outputs, right, wrong, otherwise)


@exercise
def masked_mean(answer):
    """`answer(h, lengths)`: the mean over the valid frames of each utterance."""
    rng = np.random.default_rng(0)
    cases = []
    for lengths, junk in (([5, 3, 1], 9.0), ([4, 2], math.nan), ([2, 6, 3, 5], math.inf), ([3], -2.0)):
        h = rng.normal(loc=1.0, size=(len(lengths), max(lengths) + (junk == -2.0), 4))
        for row, length in zip(h, lengths, strict=True):
            row[length:] = junk
        cases.append((h, np.array(lengths)))
    outputs = []
    for h, lengths in cases:
        mine = h.copy(), lengths.copy()
        with np.errstate(all="ignore"):
            got = _reals(answer(*mine))
        if not _unchanged(mine, (h, lengths)):
            return "It changed the arrays that were given. Write into new ones: np.where makes one."
        asked = h.shape[0], h.shape[2]
        if got.shape != asked:
            return f"For h of shape {h.shape} the means have the shape {asked}; yours have {got.shape}."
        outputs.append([got])
    if np.isnan(outputs[1][0]).any() or np.isnan(outputs[2][0]).any():
        what = "NaN" if np.isnan(outputs[1][0]).any() else "infinity"
        return (
            f"Padding that holds {what} makes the mean NaN. Zero times {what} is NaN: choose with np.where "
            "in place of multiplying by the mask."
        )

    def rule(total=lambda h, n: h[:n].sum(axis=0), count=lambda h, n: n):
        return lambda h, lengths: [
            np.array([total(row, n) / count(row, n) for row, n in zip(h, lengths, strict=True)])
        ]

    right = rule()
    wrong = [
        (rule(count=lambda h, n: len(h)), "You divide by all frames. Divide by the lengths."),
        (
            rule(lambda h, n: h.sum(axis=0), lambda h, n: len(h)),
            "That is the mean over all frames, padding as well.",
        ),
        (
            rule(
                lambda h, n: np.where(np.isfinite(h), h, 0).sum(axis=0),
                lambda h, n: np.isfinite(h).sum(axis=0),
            ),
            "You leave out what is not finite. Padding may hold ordinary numbers: go by the lengths.",
        ),
        (
            rule(lambda h, n: np.nansum(h, axis=0), lambda h, n: (~np.isnan(h)).sum(axis=0)),
            "You leave out what is NaN. Padding may hold ordinary numbers: go by the lengths.",
        ),
        (rule(count=lambda h, n: 1), "That is the sum. Divide by the lengths."),
        (
            rule(lambda h, n: h[: n - 1].sum(axis=0)),
            "The last valid frame is missing: frames 0 to length - 1 are valid.",
        ),
        (
            rule(lambda h, n: h[: n - 1].sum(axis=0), lambda h, n: n - 1),
            "The last valid frame is missing: frames 0 to length - 1 are valid.",
        ),
        (
            rule(lambda h, n: h[: n + 1].sum(axis=0)),
            "One frame too many: the frame with the number `length` is padding already.",
        ),
        (
            rule(lambda h, n: h[: n + 1].sum(axis=0), lambda h, n: len(h[: n + 1])),
            "One frame too many: the frame with the number `length` is padding already.",
        ),
        (
            rule(lambda h, n: h[n - 1], lambda h, n: 1),
            "That is the last valid frame. Asked is the mean of all.",
        ),
        (
            rule(lambda h, n: h[:n].max(axis=0), lambda h, n: 1),
            "That is the largest value, and not the mean.",
        ),
        (
            lambda h, lengths: rule()(h, np.full(len(lengths), lengths.min())),
            "You cut every utterance at the shortest of them.",
        ),
        (
            lambda h, lengths: rule(count=lambda row, n: lengths.mean())(h, lengths),
            "You divide by one number for all. Each utterance has its own length: lengths[:, None].",
        ),
    ]

    def otherwise(k):
        h, lengths = cases[k]
        row = int(np.argmax(np.abs(outputs[k][0] - right(h, lengths)[0]).max(axis=1)))
        return (
            f"For an utterance of {lengths[row]} frames among {h.shape[1]} the means should be "
            f"{_shown(right(h, lengths)[0][row])}; yours are {_shown(outputs[k][0][row])}."
        )

    return _mistake(cases, outputs, right, wrong, otherwise)


@exercise
def lstm_step(answer):
    """`answer(x, h, c, W, U, b)`: the new h and c of an LSTM, gates in the order i, f, g, o."""
    rng = np.random.default_rng(0)
    cases = []
    for bands, units in ((3, 2), (4, 4), (2, 5)):
        sizes = bands, units, units, (4 * units, bands), (4 * units, units), 4 * units
        cases.append(tuple(rng.normal(size=size) for size in sizes))
    outputs = []
    for case in cases:
        mine = [a.copy() for a in case]
        with np.errstate(all="ignore"):
            got = answer(*mine)
        if got is None:
            return "It returns nothing; is there a `return`?"
        if not _unchanged(mine, case):
            return (
                "It changed the arrays that were given: `c *= f` writes into the caller's c. Make new ones."
            )
        units = len(case[1])
        if isinstance(got, np.ndarray) and got.shape == (units,):
            return "It returns one array. Two are asked, the new h and the new c: `return h, c`."
        if not isinstance(got, list | tuple | np.ndarray) or len(got) != 2:
            return "Two arrays are asked, the new h and the new c."
        got = [_reals(part) for part in got]
        for name, part in zip("hc", got, strict=True):
            if part.shape != (units,):
                return f"With {units} units the new {name} has shape ({units},); yours has {part.shape}."
        outputs.append(got)

    def total(x, h, W, U, b):
        return W @ x + U @ h + b

    def below(z):
        return np.split(z, 4)

    def step(cell, show, *, z=total, parts=below, order=(0, 1, 2, 3), gate=expit, news=np.tanh):
        def both(x, h, c, W, U, b):
            rows = [parts(z(x, h, W, U, b))[k] for k in order]
            i, f, o = (gate(rows[k]) for k in (0, 1, 3))
            g = news(rows[2])
            new = cell(i, f, g, o, c)
            return [show(o, new, c), new]

        return both

    def keep(i, f, g, o, c):
        return f * c + i * g

    def out(o, new, old):
        return o * np.tanh(new)

    right = step(keep, out)

    def across(z):  # rows 0, 4, 8, ... as the first gate
        return list(z.reshape(-1, 4).T)

    def turned(rule):
        return lambda *case: rule(*case)[::-1]

    wrong = [
        (turned(right), "The two are the wrong way round: h first, then c."),
        (
            step(keep, out, order=(0, 1, 3, 2)),
            "You split in the order i, f, o, g. Here it is i, f, g, o: the news stand third.",
        ),
        (
            step(keep, out, order=(1, 0, 2, 3)),
            "Input and forget gate are exchanged: the order is i, f, g, o.",
        ),
        *(
            (
                step(keep, out, order=order),
                "The four parts are taken in another order. One under the other stand i, f, g, o.",
            )
            for order in itertools.permutations(range(4))
            if order not in ((0, 1, 2, 3), (0, 1, 3, 2), (1, 0, 2, 3))
        ),
        (
            step(keep, out, parts=across),
            "You took every fourth row for a gate. The gates stand one *under* the other: the first `units` "
            "rows are i.",
        ),
        (step(keep, out, news=lambda z: z), "The tanh at g is forgotten."),
        (
            step(keep, out, news=expit),
            "g went through the logistic function like the gates. The news take tanh: they may be negative.",
        ),
        (
            step(keep, out, gate=np.tanh),
            "The gates i, f and o went through tanh. They take the logistic function.",
        ),
        (
            step(keep, out, gate=lambda z: expit(-z)),
            "The sign in the logistic function is turned: it is 1 / (1 + exp(-z)).",
        ),
        (
            step(keep, out, gate=lambda z: z),
            "The gates are left as they are: the logistic function is missing.",
        ),
        (step(keep, lambda o, new, old: o * new), "The tanh at the output is forgotten: h = o tanh(c)."),
        (
            step(keep, lambda o, new, old: np.tanh(o * new)),
            "The output gate stands outside the tanh: h = o tanh(c).",
        ),
        (
            step(keep, lambda o, new, old: o * np.tanh(old)),
            "The new h is made of the old c. First the new c, then h from that.",
        ),
        (step(keep, lambda o, new, old: np.tanh(new)), "The output gate is forgotten: h = o tanh(c)."),
        (
            step(keep, lambda o, new, old: o * expit(new)),
            "At the output stands tanh, and not the logistic function.",
        ),
        (step(lambda i, f, g, o, c: c + i * g, out), "The forget gate is forgotten: c = f c + i g."),
        (step(lambda i, f, g, o, c: f * c + g, out), "The input gate is forgotten: c = f c + i g."),
        (
            step(lambda i, f, g, o, c: f * c + (1 - f) * g, out),
            "The news come in with 1 - f, as in a GRU. An LSTM has a gate i of its own for that.",
        ),
        (
            step(lambda i, f, g, o, c: (1 - f) * c + i * g, out),
            "f says what to *keep*: c is multiplied by f, not by 1 - f.",
        ),
        (step(lambda i, f, g, o, c: i * g, out), "The old c is forgotten: c = f c + i g."),
        (
            step(lambda i, f, g, o, c: np.tanh(f * c + i * g), lambda o, new, old: o * new),
            "You keep tanh(c). The tanh is for the output alone; the cell stays as it is.",
        ),
        (
            step(lambda i, f, g, o, c: np.tanh(f * c + i * g), out),
            "The cell went through tanh. c = f c + i g stays as it is.",
        ),
        (step(keep, out, z=lambda x, h, W, U, b: W @ x + b), "The old h is forgotten: U @ h."),
        (step(keep, out, z=lambda x, h, W, U, b: W @ x + U @ h), "The biases are forgotten."),
        (step(keep, out, z=lambda x, h, W, U, b: W @ x + U @ h + 2 * b), "The biases are added twice."),
        (step(keep, out, z=lambda x, h, W, U, b: W @ x - U @ h + b), "The sign of U @ h is turned."),
    ]
    wrong += [
        (turned(rule), f"Two things: h comes first, then c; and {hint[0].lower()}{hint[1:]}")
        for rule, hint in wrong[1:]
    ]

    def otherwise(k):
        h, c = right(*cases[k])
        part, name, should = (1, "c", c) if not np.allclose(outputs[k][1], c) else (0, "h", h)
        return (
            f"For {len(cases[k][0])} bands and {len(h)} units, drawn at random, the new {name} should be "
            f"{_shown(should)}; yours is {_shown(outputs[k][part])}."
        )

    return _mistake(cases, outputs, right, wrong, otherwise)


def _softmax(scores, axis=1):
    weights = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return weights / weights.sum(axis=axis, keepdims=True)


@exercise
def attend(answer):
    """`answer(Q, K, V, valid)`: one head of attention that does not look at padding."""
    rng = np.random.default_rng(0)

    def case(frames, d, e, length, scale=1.0):
        Q, K = (scale * rng.normal(size=(frames, d)) for _ in range(2))
        return Q, K, rng.normal(size=(frames, e)), np.arange(frames) < length

    cases = [case(5, 4, 3, 5), case(6, 3, 2, 4), case(4, 9, 5, 1), case(3, 3, 3, 2), case(7, 16, 2, 5)]
    Q, K, V, valid = case(4, 4, 3, 3)
    far = np.array([5000.0, 4998.0, -3000.0, 8000.0])  # the last one is padding
    cases += [
        (np.full((4, 4), 100.0), 20 * K, V, valid),
        (np.array([[2.0], [-2.0], [0.001], [1.0]]), far[:, None] / 2, V, valid),
        (np.full((4, 1), -1.0), np.array([[4000.0], [4001.0], [4002.0], [0.0]]), V, valid),
    ]
    outputs = []
    for given in cases:
        mine = [a.copy() for a in given]
        with np.errstate(all="ignore"):
            got = _reals(answer(*mine))
        if not _unchanged(mine, given):
            return "It changed the arrays that were given."
        frames = len(given[0])
        if got.shape != given[2].shape:
            if got.shape == (frames, frames):
                return "Those are the weights A, a row for each frame. Asked is Y = A V."
            return f"Y has the shape of V, {given[2].shape}; yours has {got.shape}."
        outputs.append([got])

    def rule(
        scale=lambda Q: math.sqrt(Q.shape[1]),
        mask=lambda scores, valid: np.where(valid, scores, -np.inf),
        weigh=_softmax,
        after=lambda A, valid: A,
        product=lambda Q, K: Q @ K.T,
    ):
        def head(Q, K, V, valid):
            return [after(weigh(mask(product(Q, K) / scale(Q), valid)), valid) @ V]

        return head

    def unmasked(scores, valid):
        return scores

    def on_rows(scores, valid):
        return np.where(valid[:, None], scores, -np.inf)

    def plain(scores):  # as the formula has it
        return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)

    def one_maximum(scores):
        weights = np.exp(scores - scores.max())
        return weights / weights.sum(axis=1, keepdims=True)

    def renormal(A, valid):
        return A * valid / (A * valid).sum(axis=1, keepdims=True)

    def zero_rows(A, valid):
        return A * valid[:, None]

    right = rule()
    wrong = [
        (
            rule(weigh=plain),
            "Large scores overflow: exp(1000) is infinite. Subtract the largest of each row before exp; "
            "the softmax stays what it is.",
        ),
        (
            rule(weigh=one_maximum),
            "You subtract the largest score of *all* rows. A row far below it has only zeros left, and 0 / "
            "0. Each row has a maximum of its own.",
        ),
        (
            rule(mask=unmasked, after=renormal),
            "A padded frame may have the largest score, thousands above the others, and after the softmax "
            "nothing is left for them. Set the scores to -inf before it.",
        ),
        (rule(scale=lambda Q: 1), "The root of d is forgotten: divide the scores by it."),
        (rule(scale=lambda Q: Q.shape[1]), "You divide by d. It is the *root* of d."),
        (rule(scale=lambda Q: 1 / math.sqrt(Q.shape[1])), "You multiply by the root of d. Divide by it."),
        (
            rule(scale=lambda Q: math.sqrt(len(Q))),
            "That is the root of the number of frames. d is the length of a row.",
        ),
        (rule(mask=unmasked), "It looks at padding: the mask is not used."),
        (
            rule(mask=on_rows),
            "The mask is on the rows. Rows are who looks; `valid` says who may be looked at, and that are "
            "the columns.",
        ),
        (
            rule(mask=lambda scores, valid: np.where(valid[:, None] & valid, scores, -np.inf)),
            "The mask is on the rows as well, and a row of nothing but -inf is 0 / 0. Only columns are "
            "masked.",
        ),
        (
            rule(mask=lambda scores, valid: np.where(valid, -np.inf, scores)),
            "The mask is upside down: True are the frames that may be looked at.",
        ),
        (
            rule(mask=lambda scores, valid: scores * valid),
            "A score of 0 is not a mask: exp(0) is 1, and a part of the attention goes there. It takes -inf.",
        ),
        (
            rule(mask=unmasked, after=lambda A, valid: A * valid),
            "You set weights to 0 after the softmax, and the others do not add up to 1. Mask the scores, "
            "before.",
        ),
        (
            rule(weigh=lambda scores: _softmax(scores, axis=0)),
            "The softmax runs down the columns. It is taken over each row, axis 1.",
        ),
        (
            rule(weigh=lambda scores: np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()),
            "The softmax is taken over all scores together. Each row adds up to 1 by itself.",
        ),
        (rule(product=lambda Q, K: K @ Q.T), "The scores are transposed: Q K^T has a row for each query."),
        (rule(product=lambda Q, K: Q @ Q.T), "Queries are compared with queries. The keys are in K."),
        (rule(after=lambda A, valid: A.T), "A is transposed: a row of A weighs the rows of V."),
        (rule(product=lambda Q, K: -Q @ K.T), "The sign of the scores is turned."),
        (
            rule(after=zero_rows),
            "Frames of the word are right. Rows of padded frames have an answer by the formula as well: M is "
            "-inf in columns alone.",
        ),
        (
            lambda Q, K, V, valid: [V[np.argmax(np.where(valid, Q @ K.T, -np.inf), axis=1)]],
            "You take the frame with the largest score alone. A softmax weighs them all.",
        ),
        (
            lambda Q, K, V, valid: [np.tile(V[valid].mean(axis=0), (len(V), 1))],
            "That is the mean of the values, the same for every frame. The scores weigh them.",
        ),
    ]

    def otherwise(k):
        Q, K, V, valid = cases[k]
        off = np.abs(outputs[k][0] - right(*cases[k])[0])
        row = int(np.argmax(np.where(np.isnan(off), np.inf, off).max(axis=1)))
        return (
            f"For {len(V)} frames, {valid.sum()} of them valid, and d = {Q.shape[1]} row {row} of Y should "
            f"be {_shown(right(*cases[k])[0][row])}; yours is {_shown(outputs[k][0][row])}."
        )

    return _mistake(cases, outputs, right, wrong, otherwise)


@exercise
def alarm_threshold(answer):
    """`answer(scores, rate)`: the smallest score above which at most that share of the scores lies."""
    rng = np.random.default_rng(0)
    logs = [rng.permutation(np.round(np.linspace(0.31, 0.97, n) ** 2, 3)) for n in (20, 7, 16)]
    ties = np.array([0.5, 0.9, 0.7, 0.7, 0.2, 0.9, 0.7, 0.4])
    cases = [(scores, rate) for scores in logs for rate in (0.25, 0.5, 0.3)]
    cases += [(ties, 0.25), (ties, 0.375), (ties, 0.5), (ties, 0.7)]
    none = [(ties, 0.0), (np.full(4, 0.6), 0.5), (logs[0], 0.0)]  # with `>=` for `>` no score would do
    outputs = []
    for scores, rate in cases + none:
        mine = scores.copy()
        try:
            got = _reals(answer(mine, rate))
        except (ValueError, IndexError) as error:
            if len(outputs) < len(cases):
                raise
            return (
                f"For the scores {scores[:8].tolist()} and the rate {rate:g} it raises "
                f"{type(error).__name__}: {error}. What is *above* the threshold is accepted, and nothing "
                "is above the largest score."
            )
        if not np.array_equal(mine, scores):
            return "It changed the order of the caller's scores. `np.sort` makes a sorted copy."
        if got.shape != ():
            return f"One number is asked, the threshold; yours has shape {got.shape}."
        if np.isnan(got):
            return "The threshold is NaN."
        outputs.append([got])

    def falling(rule):
        return lambda scores, rate: [rule(np.sort(scores)[::-1], len(scores), rate)]

    def share(passed, among=lambda scores: scores):
        """The smallest score for which so many pass; the largest where there is none."""

        def smallest(scores, rate):
            fits = [s for s in among(scores) if np.mean(passed(scores, s)) <= rate]
            return [min(fits, default=scores.max())]

        return smallest

    def between(method):
        return lambda scores, rate: [np.quantile(scores, 1 - rate, method=method)]

    right = share(np.greater)
    wrong = [
        (
            share(np.greater_equal),
            "A recording is accepted if its score is *above* the threshold, not if it is equal. A smaller "
            "score is enough.",
        ),
        (
            between("linear"),
            "That is a quantile between two scores. Asked is one of the scores, the smallest that keeps the "
            "rate.",
        ),
        (between("midpoint"), "That is half-way between two scores. Asked is one of the scores."),
        (between("higher"), "It keeps the rate, and is not the smallest score that does."),
        (between("lower"), "Too low: more than the rate are above this score."),
        (between("nearest"), "The nearest score may be too low: *at most* the rate may be above it."),
        (
            lambda scores, rate: [np.quantile(scores, rate)],
            "The wrong end: so many are *below* this threshold. Those above it are accepted.",
        ),
        (
            falling(lambda s, n, rate: s[::-1][int(rate * n)]),
            "The wrong end: so many are *below* this threshold. Those above it are accepted.",
        ),
        (
            lambda scores, rate: [scores[int(rate * len(scores))]],
            "The scores come in any order. Sort them first, or ask for each one how many are above.",
        ),
        (
            falling(lambda s, n, rate: s[int(rate * n)]),
            "Where scores are equal, a smaller one may do: equal ones are not above each other.",
        ),
        (
            falling(lambda s, n, rate: s[max(int(rate * n) - 1, 0)]),
            "Off by one: a score equal to the threshold is not accepted, so one more may lie above.",
        ),
        (
            falling(lambda s, n, rate: s[min(int(rate * n) + 1, n - 1)]),
            "Off by one: more than the rate are above this score.",
        ),
        (
            falling(lambda s, n, rate: s[min(math.ceil(rate * n), n - 1)]),
            "Rounded up: *at most* the rate, so a part of a recording does not count.",
        ),
        (
            lambda scores, rate: [max(s for s in scores if np.mean(scores > s) <= rate)],
            "That is the largest score, which accepts nothing. Asked is the smallest that keeps the rate.",
        ),
        (share(np.less), "That is the smallest score: do you count those below? Accepted are those above."),
        (
            lambda scores, rate: [max(s for s in scores if np.mean(scores > s) >= rate)],
            "You ask for *at least* the rate. Asked is at most.",
        ),
        (
            falling(lambda s, n, rate: (1 - rate) * s[0]),
            "That is a part of the largest score. Asked is a part of the recordings.",
        ),
    ]

    cases += none

    def otherwise(k):
        (scores, rate), got = cases[k], outputs[k][0]
        above, allowed = np.mean(scores > got), f"the rate is {rate:g}"
        if above > rate:
            return f"Of {len(scores)} scores {above:.3g} are above your threshold {got:.4g}; {allowed}."
        if got not in scores:
            return f"{got:.4g} is none of the {len(scores)} scores. Asked is one of them."
        return (
            f"Above your threshold {got:.4g} are {above:.3g} of {len(scores)} scores, and {allowed}: the "
            f"score {right(scores, rate)[0]:.4g} keeps it too, and is smaller."
        )

    return _mistake(cases, outputs, right, wrong, otherwise)


@exercise
def hears_padding(answer):
    """`answer(model, x)`: whether the logits for a word depend on what stands behind its end."""
    rng = np.random.default_rng(0)
    x = 0.5 * rng.normal(size=(12, 5))
    x[:, 0] = -0.2 - np.abs(x[:, 0])  # one band that is never above 0, and one never below
    x[:, 1] = 0.2 + np.abs(x[:, 1])
    for name, leaks, model in _listeners(rng.normal(size=(5, 3))):
        mine, calls = x.copy(), []

        def observed(batch, lengths, model=model, calls=calls):
            batch, lengths = np.asarray(batch, dtype=float), np.asarray(lengths).astype(int)
            if batch.ndim != 3 or batch.shape[2] != 5 or lengths.shape != batch.shape[:1]:
                raise ValueError(
                    f"the model takes (utterances, frames, 5) and one length each, not {batch.shape} and "
                    f"{lengths.shape}"
                )
            if lengths.min() < 1 or lengths.max() > batch.shape[1]:
                raise ValueError(f"lengths {lengths.tolist()} for {batch.shape[1]} frames")
            calls.append((batch.copy(), lengths.copy()))
            return model(batch, lengths)

        with np.errstate(all="ignore"):
            got = answer(observed, mine)
        if got is None:
            return "It returns nothing; is there a `return`?"
        if not np.array_equal(mine, x):
            return "It changed the x that was given. Pad into a new array: np.pad makes one."
        if np.shape(got) != () or np.asarray(got).dtype != bool:
            return f"True or False is asked; it says {type(got).__name__}."
        if bool(got) != leaks:
            return _misjudged(name, calls, x)
    return None


def _listeners(W):
    """Models that map a batch to logits, `(name, whether it hears padding, model)`, easy ones first."""

    def valid(batch, lengths):
        return (np.arange(batch.shape[1]) < lengths[:, None])[..., None]

    def mean(batch, lengths, junk=None):
        """The masked mean, as logits, and `junk` of what stands behind the end."""
        mask = valid(batch, lengths)
        found = np.where(mask, batch, 0).sum(axis=1) / lengths[:, None]
        return (found + junk(np.where(mask, 0, batch)) if junk else found) @ W

    def last(batch, lengths):
        return batch[np.arange(len(batch)), lengths - 1] @ W

    def largest(batch, lengths, floor=-np.inf):
        return np.where(valid(batch, lengths), batch, floor).max(axis=1) @ W

    def company(batch, lengths):
        return batch.shape[1] > lengths.min()

    return [
        ("all", True, lambda batch, lengths: batch.mean(axis=1) @ W),
        ("none", False, mean),
        ("end", True, lambda batch, lengths: batch[:, -1] @ W),
        ("none", False, last),
        ("none", False, largest),
        ("rounding", False, lambda b, n: mean(b, n) + 4e-5 * company(b, n)),
        ("more", True, lambda b, n: np.where(valid(b, n), b, 0).mean(axis=1) @ W),
        ("more", True, partial(largest, floor=0.0)),
        ("content", True, partial(mean, junk=lambda behind: behind.mean(axis=1))),
        (
            "neighbor",
            True,
            lambda b, n: mean(b, n) + np.pad(b, ((0, 0), (0, 1), (0, 0)))[np.arange(len(b)), n] @ W,
        ),
        ("positive", True, partial(mean, junk=lambda behind: np.maximum(behind, 0).mean(axis=1))),
        ("negative", True, partial(mean, junk=lambda behind: np.minimum(behind, 0).mean(axis=1))),
        ("quiet", True, lambda b, n: mean(b, n) + 2e-3 * company(b, n)),
    ]


def _misjudged(name, calls, x):
    """A hint about a model that was misjudged, from what it was asked."""
    if not calls:
        return "It never calls the model. Ask it for the word alone, and once more with something behind."
    rows = [pair for batch, lengths in calls for pair in zip(batch, lengths, strict=True)]
    words = [(row, n) for row, n in rows if len(row) >= len(x) and np.allclose(row[: len(x)], x)]
    longest = max((n for _, n in words), default=0)
    if longest > len(x):
        return (
            f"You told the model that the word has {longest} frames. It has {len(x)}, whatever stands behind."
        )
    if all(len(row) == len(x) for row, _ in words):
        return "The model never got a frame more than the word has. Put something behind its end."
    if name == "none":
        return "It says True for a model that looks at the valid frames alone."
    if name == "rounding":
        return "It says True for a difference of 0.00004. What is 0.0001 and less is rounding."
    behind = np.concatenate([row[len(x) :].ravel() for row, _ in words])
    if np.isnan(behind).any():
        return (
            "It says False for a model that hears its padding. With NaN behind the end the logits are NaN, "
            "and comparisons with NaN are False. Put numbers there."
        )
    if name in ("content", "neighbor") and not behind.any():
        return (
            "It says False for a model to which zeros make no difference. Put something else behind the end, "
            "too."
        )
    one_sided = (name == "positive" and behind.max() <= 0) or (name == "negative" and behind.min() >= 0)
    return (
        "It says False for a model that "
        + {
            "all": "takes the mean over all frames of the batch, padding as well.",
            "end": "reads its answer at the last frame of the batch, in the middle of the padding.",
            "more": "hears only that there is *more*: how much stands behind makes a difference to it, and "
            "not what. Compare with the word alone.",
            "content": "hears what stands behind the end, if it is not zero.",
            "neighbor": "hears only the first frame behind the end.",
            "positive": "hears only what is positive" + (", and yours was not." if one_sided else "."),
            "negative": "hears only what is negative" + (", and yours was not." if one_sided else "."),
            "quiet": "changes its logits by 0.002. Perhaps the likeliest class stays the same: compare the "
            "logits, with a bound of 0.0001.",
        }[name]
    )


@exercise
def variety(answer):
    """`answer(labels, batch_size)`: the classes in a batch, over their number in a batch drawn at random."""
    rng = np.random.default_rng(0)
    even, gaps = np.repeat(np.arange(10), 12), np.repeat([1, 4, 7, 8], [20, 3, 9, 1])
    cases = [
        (np.array([0, 0, 1, 1, 2, 2]), 2),
        (np.array([0, 1, 2, 2, 0, 1, 1]), 3),  # one is left over
        (even, 32),
        (rng.permutation(even), 32),
        (rng.permutation(gaps), 5),
        (gaps, 8),
        (rng.permutation(gaps), 33),  # all in one batch
        (rng.permutation(np.repeat(np.arange(10), 120)), 32),
    ]
    outputs = []
    for labels, size in cases:
        mine = labels.copy()
        with np.errstate(all="ignore"):
            got = _reals(answer(mine, size))
        if not np.array_equal(mine, labels):
            return "It changed the labels that were given. Their order is what is judged."
        if got.shape != ():
            return f"One number is asked; yours has shape {got.shape}."
        outputs.append([got])

    def batches(labels, size, rest=False):
        whole = len(labels) // size * size
        return [labels[k : k + size] for k in range(0, len(labels) if rest else whole, size)]

    def seen(labels, size, rest=False, mean=np.mean):
        return mean([len(np.unique(batch)) for batch in batches(labels, size, rest)])

    def missing(labels, size):
        counts = np.unique(labels, return_counts=True)[1].tolist()
        return [math.comb(len(labels) - n, size) / math.comb(len(labels), size) for n in counts]

    def expected(labels, size):
        return sum(1 - p for p in missing(labels, size))

    def independent(labels, size):
        share = np.unique(labels, return_counts=True)[1] / len(labels)
        return np.sum(1 - (1 - share) ** size)

    def rule(top=seen, bottom=expected):
        def ratio(labels, size):
            return [np.float64(top(labels, size)) / np.float64(bottom(labels, size))]

        return ratio

    right = rule()
    wrong = [
        (
            rule(top=lambda labels, size: seen(labels, size, rest=True)),
            "The last batch counts in yours, though it is not full, and has fewer classes for that reason. "
            "Leave it out.",
        ),
        (
            rule(bottom=lambda labels, size: len(np.unique(labels))),
            "You divide by the number of classes. A small batch drawn at random does not have them all: "
            "divide by the expected number.",
        ),
        (rule(bottom=lambda labels, size: labels.max() + 1), "You divide by the largest label and one."),
        (
            rule(bottom=lambda labels, size: size),
            "You divide by the size of a batch. Divide by the expected number.",
        ),
        (rule(bottom=lambda labels, size: 1), "That is the number of classes. Divide by the expected one."),
        (
            rule(bottom=independent),
            "That is what is expected of draws *with* replacement. A batch has no example twice: binomial "
            "coefficients.",
        ),
        (
            rule(bottom=lambda labels, size: np.sum(missing(labels, size))),
            "You divide by the expected number of classes that are *missing*. Take 1 minus each probability.",
        ),
        (
            rule(bottom=lambda labels, size: 1 - np.sum(missing(labels, size))),
            "1 is taken once. Each class has its own: the sum of 1 minus the probability.",
        ),
        (
            rule(bottom=lambda labels, size: expected(np.concatenate(batches(labels, size)), size)),
            "For the expected number you left out the last batch too. A batch is drawn from *all* labels.",
        ),
        (
            rule(top=lambda labels, size: seen(labels, size, mean=np.sum)),
            "You added up the classes of all batches. Take their mean.",
        ),
        (
            rule(top=lambda labels, size: seen(labels, size, mean=np.sum) / (len(labels) / size)),
            "You divide by n / B, which counts a part of a batch. Take the mean over the full ones.",
        ),
        (rule(top=lambda labels, size: len(np.unique(labels[:size]))), "That is the first batch alone."),
        (
            rule(top=lambda labels, size: seen(labels, size, mean=min)),
            "That is the batch with the fewest classes. Asked is the mean.",
        ),
        (rule(top=expected, bottom=seen), "Upside down: what is seen, by what is expected."),
        (
            lambda labels, size: [seen(labels, size) - expected(labels, size)],
            "That is the difference. Divide.",
        ),
        (
            lambda labels, size: right(np.sort(labels), size),
            "You sorted the labels. The order in which training sees them is what is judged.",
        ),
        (
            rule(
                top=lambda labels, size: np.mean(
                    [len(np.unique(labels[k :: len(labels) // size])) for k in range(len(labels) // size)]
                )
            ),
            "Your batches take every k-th label. A batch is a stretch of labels that follow each other.",
        ),
    ]

    def otherwise(k):
        labels, size = cases[k]
        what = labels.tolist() if len(labels) < 8 else f"{len(labels)} of {len(np.unique(labels))} classes"
        return (
            f"For labels {what} and batches of {size}, {seen(labels, size):.4g} classes are seen and "
            f"{expected(labels, size):.4g} expected: {right(labels, size)[0]:.4g}; yours is "
            f"{_numeral(outputs[k][0])}."
        )

    return _mistake(cases, outputs, right, wrong, otherwise)


class _Endless(Exception):
    """A reader's loop went on after the last pass."""


_NAN = math.nan
_COURSES = [  # dev losses pass by pass, passes, patience
    ([3.0, 2.0, 1.0, 1.5, 1.2, 1.1, 0.5, 0.4], 8, 3),  # stops, before it would become better
    ([3.0, 2.5, 2.6, 2.4, 2.45], 5, 3),  # runs out
    ([5.0, 3.0, 4.0, 3.5, 3.2, 2.0, 1.0], 7, 3),  # falls, but not below the lowest
    ([5.0, 6.0, 4.0, 4.5, 3.0, 3.5, 2.0, 2.5], 8, 2),  # many bad ones, never two in a row
    ([2.0, 1.0, 1.0, 1.0, 0.5], 5, 2),  # equal is not below
    ([2.0, 2.5, 1.0], 3, 1),
    ([_NAN, 2.0, _NAN, 1.0, _NAN, _NAN, 0.5], 7, 2),
    ([1.0, 1.4, _NAN, 1.2, 0.9, 0.8], 6, 4),
    ([_NAN] * 6, 6, 3),
    ([_NAN] * 3, 3, 5),
    ([4.0], 1, 1),
]


class _Training:
    """A network that counts its passes: `one_pass` adds to the weights, and `dev_loss` looks the loss up."""

    def __init__(self, losses):
        self.losses, self.done, self.early = losses, 0, False
        self.start = [np.zeros((2, 3)), np.array([0.5, -1.0, 2.0]), np.ones(1)]
        self.arrays = [w.copy() for w in self.start]

    def one_pass(self):
        if self.done == len(self.losses):
            raise _Endless
        self.done += 1
        for k, w in enumerate(self.arrays, start=1):
            w += k

    def dev_loss(self):
        state = int(self.arrays[0][0, 0])
        self.early = self.early or not state
        return self.losses[state - 1] if state else 0.0  # before any pass: lower than all that follow

    def passes(self):
        """After how many passes each array was as it is now, None if it never was."""
        gone = [
            np.unique((w - w0) / k) for k, (w, w0) in enumerate(zip(self.arrays, self.start, strict=True), 1)
        ]
        return [int(g[0]) if len(g) == 1 and g[0] in range(self.done + 1) else None for g in gone]


@exercise
def train_patiently(answer):
    """`answer(one_pass, dev_loss, weights, passes, patience)`: stops in time; the best weights are back."""
    outputs, states = [], []
    for losses, passes, patience in _COURSES:
        training = _Training(losses)
        weights = list(training.arrays)
        try:
            got = answer(training.one_pass, training.dev_loss, weights, passes, patience)
        except _Endless:
            return f"It trains more than the {passes} passes that are allowed."
        except (ValueError, TypeError, IndexError, UnboundLocalError) as error:
            if not np.isnan(losses).all():
                raise
            return f"If every loss is NaN it raises {type(error).__name__}: {error}. `None` is asked there."
        if got is None:
            return "It returns nothing; is there a `return`?"
        if not isinstance(got, list | tuple) or len(got) != 2:
            return "Two things are asked, the number of the best pass and the list of the dev losses."
        best, list_of = got
        if isinstance(best, list | tuple | np.ndarray) and np.ndim(best) == 1:
            return "The two are the wrong way round: first the number of the best pass, then the losses."
        if not training.done:
            return "It never trains: `one_pass()` is to be called once a pass."
        if best is not None and _reals(best).shape != ():
            return "The number of the best pass is one number."
        if best is None and not np.isnan(losses[: training.done]).all():
            early = " Is the loss from before the first pass the lowest in yours?" if training.early else ""
            return f"The losses were {losses[: training.done]}, and it says None for the best pass.{early}"
        if best is not None and np.isnan(_reals(best)):
            return "The number of the best pass is NaN. If every loss was NaN, `None` is asked."
        outputs.append([np.array(_NAN if best is None else float(best)), float(training.done)])
        found, happened = _reals(list_of), np.array(losses[: training.done])
        if found.shape == (training.done + 1,) and found[0] == 0.0:
            return (
                "The list begins with a loss from before the first pass. Look at the dev loss after each "
                "pass."
            )
        if not np.array_equal(found, happened, equal_nan=True):
            return (
                f"After {training.done} passes the list of the dev losses should be {happened.tolist()}; "
                f"yours is {found.tolist() if found.ndim == 1 else found}."
            )
        states.append((training, weights, best))
    cases = [(losses[:passes], patience) for losses, passes, patience in _COURSES]
    return _stopped(cases, outputs) or _restored(cases, states)


def _stopped(cases, outputs):
    """A hint about when the reader's loops stopped, and which pass they call the best."""

    def below(new, before):
        return new < min((b for b in before if b == b), default=math.inf)

    def run(better=below, late=0, total=False, good=None, choose=None):
        """The best pass and the number of passes of a loop with one mistake."""

        def both(losses, patience):
            best, bad = _NAN, 0
            for k, new in enumerate(losses):
                if better(new, losses[:k]):
                    best = k
                if (good or better)(new, losses[:k]):
                    bad = bad if total else 0
                else:
                    bad += 1
                if bad >= patience + late:
                    break
            return [choose(losses[: k + 1], best) if choose else best, float(k + 1)]

        return both

    def falls(new, before):
        return not before or new < before[-1]

    def first_counts(new, before):  # the first one is the lowest, NaN or not
        return not before or new < min(before[:1] + [b for b in before if b == b])

    def unless_worse(new, before):  # with NaN in it every comparison is False
        lowest = math.inf
        for loss in before:
            lowest = lowest if loss >= lowest else loss
        return not new >= lowest

    def lowest_of(losses, best):
        return best if best != best else int(np.nanargmin(losses))

    right = run()
    wrong = [
        (
            run(late=math.inf),
            "It never stops early. After `patience` passes without a new lowest loss it should.",
        ),
        (run(late=1), "It stops one pass too late: when `patience` passes have brought nothing, it is over."),
        (run(late=-1), "It stops one pass too early."),
        (
            run(total=True),
            "You count all passes without a gain. Only those *in a row* count: a new lowest begins anew.",
        ),
        (
            run(better=lambda new, before: new <= min((b for b in before if b == b), default=math.inf)),
            "A loss *equal* to the lowest counts as better in yours. Asked is below.",
        ),
        *(
            (
                run(good=falls, choose=choose, better=better),
                "You compare with the loss of the pass before. The lowest so far is what counts.",
            )
            for choose, better in ((None, below), (None, falls), (lowest_of, falls))
        ),
        (
            run(better=unless_worse),
            "NaN counts as better in yours: `not loss >= lowest` is True for it. Ask for `loss < lowest`.",
        ),
        (
            run(good=lambda new, before: new != new or below(new, before)),
            "After a NaN you begin to count anew. NaN is not below anything: it is a pass without a gain.",
        ),
        (
            run(better=first_counts),
            "The first loss is the lowest in yours even if it is NaN, and then nothing is ever below. "
            "Begin with infinity.",
        ),
        (
            run(choose=lambda losses, best: int(np.argmin(losses))),
            "For argmin a NaN is the smallest. The best pass is that of the lowest *number*; None if there "
            "is none.",
        ),
        (
            run(choose=lambda losses, best: 0 if best != best else best),
            "If every loss was NaN, no pass is the best one: None, and not 0.",
        ),
        (
            run(choose=lambda losses, best: -1 if best != best else best),
            "If every loss was NaN, no pass is the best one: None, and not -1.",
        ),
        (run(choose=lambda losses, best: best + 1), "The passes are counted from 1. Asked is from 0."),
        (run(choose=lambda losses, best: len(losses) - 1), "That is the last pass, and not the best."),
        (
            run(choose=lambda losses, best: np.nanmin(losses) if best == best else best),
            "That is the lowest loss. Asked is the number of its pass.",
        ),
    ]

    def otherwise(k):
        (losses, patience), (best, done) = cases[k], right(*cases[k])
        if outputs[k][1] != done:
            when = "runs to the last pass" if done == len(losses) else f"stops after {done:g} passes"
            return (
                f"With the dev losses {losses} and patience {patience} it {when}; yours ends after "
                f"{outputs[k][1]:g}."
            )
        return (
            f"With the dev losses {losses[: int(done)]} the best pass is "
            f"{'None' if best != best else best}; you say {_numeral(outputs[k][0])}."
        )

    return _mistake(cases, outputs, right, wrong, otherwise)


def _restored(cases, states):
    """A hint about the weights that the reader's loops have left."""
    for (losses, _), (training, weights, best) in zip(cases, states, strict=True):
        if len(weights) != len(training.arrays) or any(
            a is not b for a, b in zip(weights, training.arrays, strict=True)
        ):
            return (
                "The list holds other arrays now, and the network still has the old ones. Write into them: "
                "w[...] = kept."
            )
        asked = training.done if best is None else int(best) + 1
        found = training.passes()
        if all(state == asked for state in found):
            continue
        if best is None:
            return (
                "If every loss was NaN, the weights stay as they are. Yours have changed after the last pass."
            )
        if any(state == asked for state in found) and asked != training.done:
            return "Only some of the arrays in the list are back. All of them are the weights."
        if all(state == training.done for state in found):
            if training.done == len(losses):
                return (
                    "When the passes run out, the weights are those of the last pass. Put the best ones "
                    "back then as well."
                )
            return (
                "In the end the weights are those of the last pass. Put the best ones back; and keep "
                "*copies*: `list(weights)` holds the arrays that training goes on to change."
            )
        if all(state == 0 for state in found):
            return "In the end the weights are those from before the training."
        if all(state == found[0] is not None for state in found):
            return (
                f"The best pass was number {best}, counted from 0, and the weights are those after pass "
                f"number {found[0] - 1}."
            )
        return "In the end the weights are those of no pass at all."
    return None
