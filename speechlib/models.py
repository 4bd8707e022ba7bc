"""Acoustic models, in the order in which they are taught: features of an utterance in, one logit a class out.

All are called alike, `model(x, lengths)`, and none hears its padding: whatever stands in the frames beyond an
utterance's length, and however many there are, its logits are the same.
"""

import math

import torch
from torch import nn


def parameters_of(model: nn.Module) -> int:
    """How many numbers training may change.

    Parameters
    ----------
    model : nn.Module

    Returns
    -------
    int

    Examples
    --------
    >>> parameters_of(Softmax(40, 10)), parameters_of(ClassicCNN(10))
    (3210, 8923274)
    """
    return sum(param.numel() for param in model.parameters() if param.requires_grad)


def checked(
    x: torch.Tensor, lengths: torch.Tensor, bins: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What every model does first: look at what came in, and silence the padding.

    Parameters
    ----------
    x : torch.Tensor [shape=(utterances, frames, bins), float]
    lengths : torch.Tensor, np.ndarray or list [shape=(utterances,), int] [frames]
    bins : int
        What the model was made for.

    Returns
    -------
    x : torch.Tensor [shape=(utterances, frames, bins)]
        With zeros in the padded frames.
    lengths : torch.Tensor [shape=(utterances,)]
        On the device of `x`.
    mask : torch.Tensor [shape=(utterances, frames), bool]
        True where a frame is part of the utterance.

    Raises
    ------
    ValueError
        If `x` is not a float tensor of this shape, a valid frame holds NaN or infinity, or a length is not
        an integer between 1 and the number of frames.

    Examples
    --------
    >>> x, lengths, mask = checked(torch.ones(2, 3, 1), [3, 1], 1)
    >>> x[1].ravel().tolist(), mask.tolist()
    ([1.0, 0.0, 0.0], [[True, True, True], [True, False, False]])
    """
    if not isinstance(x, torch.Tensor) or not x.is_floating_point():
        what = x.dtype if isinstance(x, torch.Tensor) else type(x).__name__
        raise ValueError(f"x must be a tensor of floats, not {what}: torch.tensor(x, dtype=torch.float32)")
    if x.ndim != 3 or x.shape[2] != bins:
        raise ValueError(f"x must have the shape (utterances, frames, {bins}), not {tuple(x.shape)}")
    lengths = torch.as_tensor(lengths, device=x.device)
    if lengths.is_floating_point() or lengths.dtype == torch.bool or lengths.shape != x.shape[:1]:
        raise ValueError(
            f"lengths must be {len(x)} integers, one an utterance, not {lengths.dtype} of shape "
            f"{tuple(lengths.shape)}"
        )
    if len(x) == 0 or lengths.min() < 1 or lengths.max() > x.shape[1]:
        raise ValueError(f"lengths must lie between 1 and {x.shape[1]} frames, not {lengths.tolist()}")
    mask = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
    x = x.masked_fill(~mask[..., None], 0.0)
    bad = ~torch.isfinite(x).all(dim=2).all(dim=1)
    if bad.any():
        raise ValueError(f"x holds NaN or infinity in utterance {bad.nonzero()[0].item()} of the batch")
    return x, lengths, mask


def stretches_of(x: torch.Tensor, lengths: torch.Tensor, stretches: int) -> torch.Tensor:
    """The mean of each of `stretches` equal parts of the valid frames, as `features.pool`: a product.

    Parameters
    ----------
    x : torch.Tensor [shape=(utterances, frames, bins)]
    lengths : torch.Tensor [shape=(utterances,), int] [frames]
    stretches : int > 0

    Returns
    -------
    torch.Tensor [shape=(utterances, stretches, bins)]

    Examples
    --------
    >>> x = torch.tensor([[[1.0], [2.0], [3.0], [9.0]]])
    >>> stretches_of(x, torch.tensor([3]), 2).ravel()              # (1 + 2/2) / 1.5 and (2/2 + 3) / 1.5
    tensor([1.3333, 2.6667])
    """
    width = lengths[:, None, None].double() / stretches  # of a stretch, in frames
    start = width * torch.arange(stretches, device=x.device)[:, None]  # (N, S, 1)
    frame = torch.arange(x.shape[1], device=x.device)
    overlap = torch.minimum(start + width, frame + 1) - torch.maximum(start, frame)  # (N, S, T)
    return (overlap.clamp(min=0) / width).to(x.dtype) @ x  # (N, S, T) (N, T, D) -> (N, S, D)


def mean_and_max(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean and the largest value of each channel over the valid frames.

    Parameters
    ----------
    x : torch.Tensor [shape=(utterances, channels, frames)]
    mask : torch.Tensor [shape=(utterances, frames), bool]

    Returns
    -------
    torch.Tensor [shape=(utterances, 2 * channels)]

    Examples
    --------
    >>> mean_and_max(torch.tensor([[[1.0, 3.0, 9.0]]]), torch.tensor([[True, True, False]]))
    tensor([[2., 3.]])
    """
    mask = mask[:, None]
    mean = x.masked_fill(~mask, 0.0).sum(dim=2) / mask.sum(dim=2)
    return torch.cat([mean, x.masked_fill(~mask, -math.inf).amax(dim=2)], dim=1)


class Softmax(nn.Module):
    """One layer: the means of equal stretches of the utterance, weighed for each class.

    `stretches * bins * classes + classes` parameters: 3,210 for 40 bins and 10 classes.

    Parameters
    ----------
    bins, classes : int
    stretches : int
        An utterance of any length becomes so many vectors, each the mean of one part of its frames.
    """

    def __init__(self, bins: int, classes: int, stretches: int = 8):
        super().__init__()
        self.bins, self.stretches = bins, stretches
        self.output = nn.Linear(stretches * bins, classes)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Features (N, T, bins) and lengths (N,) -> logits (N, classes)."""
        x, lengths, _ = checked(x, lengths, self.bins)
        x = stretches_of(x, lengths, self.stretches)  # (N, T, D) -> (N, S, D)
        return self.output(x.flatten(1))  # (N, S * D) -> (N, classes)


class MLP(nn.Module):
    """A hidden layer of tanh units between the stretches and the classes.

    21,194 parameters for 40 bins, 10 classes and 64 units.

    Parameters
    ----------
    bins, classes, stretches : int
        As in `Softmax`.
    units : int
        In the hidden layer.
    """

    def __init__(self, bins: int, classes: int, stretches: int = 8, units: int = 64):
        super().__init__()
        self.bins, self.stretches = bins, stretches
        self.hidden = nn.Linear(stretches * bins, units)
        self.output = nn.Linear(units, classes)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Features (N, T, bins) and lengths (N,) -> logits (N, classes)."""
        x, lengths, _ = checked(x, lengths, self.bins)
        x = stretches_of(x, lengths, self.stretches)  # (N, T, D) -> (N, S, D)
        x = torch.tanh(self.hidden(x.flatten(1)))  # (N, S * D) -> (N, units)
        return self.output(x)


class ClassicCNN(nn.Module):
    """The network of many tutorials: the spectrogram as a picture of fixed size, and one very wide layer.

    8,923,274 parameters for 10 classes, 99 in 100 of them in the layer after the convolutions.

    Parameters
    ----------
    classes, bins : int
    frames : int
        Longer utterances are cut at the end to so many frames, shorter ones get zeros there.
    """

    def __init__(self, classes: int, bins: int = 80, frames: int = 128):
        super().__init__()
        self.bins, self.frames = bins, frames
        high, long = (((size - 2) // 2 - 2) // 2 for size in (bins, frames))
        if min(high, long) < 1:
            raise ValueError(f"a picture of {bins} x {frames} is too small: both sides need 10 at least")
        self.layers = nn.Sequential(
            nn.Conv2d(1, 64, 3),  # (N, 1, 80, 128) -> (N, 64, 78, 126)
            nn.ReLU(),
            nn.MaxPool2d(2),  # -> (N, 64, 39, 63)
            nn.Conv2d(64, 128, 3),  # -> (N, 128, 37, 61)
            nn.ReLU(),
            nn.MaxPool2d(2),  # -> (N, 128, 18, 30)
            nn.Flatten(),  # -> (N, 69120)
            nn.Linear(128 * high * long, 128),
            nn.ReLU(),
            nn.Linear(128, classes),
        )

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Features (N, T, bins) and lengths (N,) -> logits (N, classes)."""
        x, _, _ = checked(x, lengths, self.bins)
        x = nn.functional.pad(x, (0, 0, 0, self.frames - x.shape[1]))  # a negative number cuts
        return self.layers(x.transpose(1, 2)[:, None])  # (N, 128, D) -> (N, 1, D, 128) -> (N, classes)


class UtteranceNorm(nn.Module):
    """Mean 0 and variance 1 for each channel of each utterance, over its valid frames; then scale and shift.

    A louder recording, or another microphone, then looks the same; and no utterance depends on the others in
    its batch, as with batch normalization.

    Parameters
    ----------
    channels : int
    eps : float
        Keeps the division from one by zero.

    Notes
    -----
    Instance normalization (D. Ulyanov, A. Vedaldi, V. Lempitsky, "Instance normalization: the missing
    ingredient for fast stylization", 2016, equation 2) that leaves the padding out.
    """

    def __init__(self, channels: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Pictures (N, C, T, D) and mask (N, T) -> pictures with zeros in the padding."""
        mask = mask[:, None, :, None]
        count = mask.sum(dim=2, keepdim=True) * x.shape[3]
        mean = (x * mask).sum(dim=(2, 3), keepdim=True) / count  # (N, C, 1, 1)
        x = (x - mean) * mask
        variance = (x * x).sum(dim=(2, 3), keepdim=True) / count
        x = x * torch.rsqrt(variance + self.eps) * self.weight[:, None, None] + self.bias[:, None, None]
        return x * mask


class SmallCNN(nn.Module):
    """Three small convolutions over time and frequency; the frames are averaged, the bands kept apart.

    21,178 parameters for 40 bins and 10 classes. Normalized by the utterance and averaged over its valid
    frames, it takes utterances of any length.

    Parameters
    ----------
    bins, classes : int
    channels : tuple of int
        Of each convolution. After each, every second frame and band is left.
    dropout : float
        The share of the averages that is set to 0 in training.
    """

    def __init__(
        self, bins: int, classes: int, channels: tuple[int, ...] = (16, 32, 48), dropout: float = 0.1
    ):
        super().__init__()
        self.bins = bins
        before = (1, *channels[:-1])
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in zip(before, channels, strict=True)
        )
        self.norms = nn.ModuleList(UtteranceNorm(c) for c in channels)
        self.halve = nn.MaxPool2d(2, ceil_mode=True)
        self.dropout = nn.Dropout(dropout)
        bands = math.ceil(bins / 2 ** len(channels))
        self.output = nn.Linear(channels[-1] * bands, classes)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Features (N, T, bins) and lengths (N,) -> logits (N, classes)."""
        x, _, mask = checked(x, lengths, self.bins)
        x = x[:, None]  # (N, T, D) -> (N, 1, T, D)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = torch.relu(norm(convolution(x), mask))  # (N, C, T, D) -> (N, C', T, D)
            # relu leaves nothing below 0, so the zeros of the padding never win
            x, mask = self.halve(x), mask[:, ::2]  # -> (N, C', T/2, D/2), rounded up
        x = x.sum(dim=2) / mask.sum(dim=1)[:, None, None]  # (N, C, T, D) -> (N, C, D)
        return self.output(self.dropout(x.flatten(1)))


class TimeConvolution(nn.Module):
    """Convolutions over time, each added to what came before it: the workhorse of the book.

    64,202 parameters for 40 bins and 10 classes. The first layer leaves every second frame; from then on the
    distance between the frames that a layer looks at doubles from layer to layer.

    Parameters
    ----------
    bins, classes : int
    channels : int
    layers : int
    dropout : float
        The share of each layer's output, and of the averages at the end, that is set to 0 in training.

    Examples
    --------
    >>> model = TimeConvolution(40, 10)
    >>> model(torch.zeros(2, 60, 40), [60, 35]).shape              # two utterances -> ten logits each
    torch.Size([2, 10])
    """

    def __init__(self, bins: int, classes: int, channels: int = 64, layers: int = 4, dropout: float = 0.1):
        super().__init__()
        self.bins = bins
        self.first = nn.Conv1d(bins, channels, 5, padding=2, stride=2)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(channels, channels, 3, padding=2**i, dilation=2**i) for i in range(layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(layers + 1))
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(2 * channels, classes)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Features (N, T, bins) and lengths (N,) -> logits (N, classes)."""
        x, _, mask = checked(x, lengths, self.bins)
        x = self.first(x.transpose(1, 2))  # (N, T, D) -> (N, D, T) -> (N, C, T/2), rounded up
        mask = mask[:, ::2]
        for norm, convolution in zip(self.norms, self.convolutions, strict=False):
            y = norm(x.transpose(1, 2)).transpose(1, 2)  # each frame by itself
            y = torch.relu(y).masked_fill(~mask[:, None], 0.0)  # or the padding would leak in
            x = x + self.dropout(convolution(y))  # (N, C, T/2)
        x = self.norms[-1](x.transpose(1, 2)).transpose(1, 2)
        x = mean_and_max(torch.relu(x), mask)  # (N, C, T/2) -> (N, 2 C)
        return self.output(self.dropout(x))


class Recurrent(nn.Module):
    """Reads frame after frame into a state, and the answer from the state at the last valid frame.

    For 40 bins, 10 classes and 64 units: plain 7,434, GRU 21,002, LSTM 27,786 parameters.

    Parameters
    ----------
    bins, classes : int
    units : int
        The size of the state.
    kind : {"rnn", "lstm", "gru"}
        "rnn" is the plain recurrent network, with tanh units.
    layers : int
        The second reads the states of the first, and so on.
    forget_bias : float
        Of the LSTM alone: what its forget gates add before the sigmoid in the beginning. With 1 they start
        mostly open, so that what was heard early is still there at the end.

    Notes
    -----
    Source: J. Elman, "Finding structure in time", 1990; S. Hochreiter, J. Schmidhuber, "Long short-term
    memory", 1997; F. Gers et al., "Learning to forget", 2000; K. Cho et al., "Learning phrase representations
    using RNN encoder-decoder", 2014, with torch's variant of the reset gate. The forget bias: R. Jozefowicz,
    W. Zaremba, I. Sutskever, "An empirical exploration of recurrent network architectures", 2015.
    """

    def __init__(
        self,
        bins: int,
        classes: int,
        units: int = 64,
        kind: str = "rnn",
        layers: int = 1,
        forget_bias: float = 1.0,
    ):
        super().__init__()
        kinds = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
        if kind not in kinds:
            raise ValueError(f"kind must be one of {', '.join(kinds)}, not {kind!r}")
        self.bins = bins
        self.cell = kinds[kind](bins, units, num_layers=layers, batch_first=True)
        self.output = nn.Linear(units, classes)
        if kind == "lstm":
            forget = slice(units, 2 * units)  # the gates stand in the order input, forget, cell, output
            with torch.no_grad():
                for layer in range(layers):  # torch adds two biases
                    getattr(self.cell, f"bias_ih_l{layer}")[forget] = forget_bias
                    getattr(self.cell, f"bias_hh_l{layer}")[forget] = 0.0

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Features (N, T, bins) and lengths (N,) -> logits (N, classes)."""
        x, lengths, _ = checked(x, lengths, self.bins)
        states, _ = self.cell(x)  # (N, T, D) -> (N, T, units)
        last = states[torch.arange(len(x), device=x.device), lengths.long() - 1]  # -> (N, units)
        return self.output(last)


class EncoderLayer(nn.Module):
    """Self-attention, then two layers for each frame by itself; each added to what came before it.

    Parameters
    ----------
    width : int
        Numbers a frame.
    heads : int
        Each attends with `width / heads` of them.
    dropout : float
    """

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_frame = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.join = nn.Linear(width, width)
        self.frame = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Frames (N, T, width) and mask (N, T) -> frames, and the weights of attention (N, heads, T, T)."""
        y = self.norm_attention(x)
        # (N, T, width) -> (N, T, H, d) -> (N, H, T, d)
        q, k, v = (
            part(y).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])  # (N, H, T, T): query, key
        scores = scores.masked_fill(~mask[:, None, None], -math.inf)  # nobody attends to padding
        weights = torch.softmax(scores, dim=-1)
        y = (weights @ v).transpose(1, 2).flatten(2)  # (N, H, T, d) -> (N, T, width)
        x = x + self.dropout(self.join(y))
        return x + self.dropout(self.frame(self.norm_frame(x))), weights


class SelfAttention(nn.Module):
    """Every frame looks at every other, as a transformer's encoder; then the mean and maximum over frames.

    70,986 parameters for 40 bins and 10 classes.

    Parameters
    ----------
    bins, classes : int
    width : int
        Numbers a frame; even, and a multiple of `heads`.
    heads, layers : int
    dropout : float
        The share of what each layer adds that is set to 0 in training.

    Notes
    -----
    Source: A. Vaswani et al., "Attention is all you need", 2017, equation 1 and sections 3.1 to 3.5. Differs:
    normalized before each part, not after (R. Xiong et al., "On layer normalization in the transformer
    architecture", 2020), and the inner layer is twice as wide, not four times.

    Examples
    --------
    >>> model = SelfAttention(40, 10).eval()
    >>> first, second = model.attention(torch.zeros(1, 5, 40), [3])
    >>> first.shape, first[0, 0, 0, 3:].tolist()                   # nobody looks at the two padded frames
    (torch.Size([1, 4, 5, 5]), [0.0, 0.0])
    """

    def __init__(
        self, bins: int, classes: int, width: int = 64, heads: int = 4, layers: int = 2, dropout: float = 0.1
    ):
        super().__init__()
        if width % heads or width % 2:
            raise ValueError(f"width must be even and a multiple of heads, not {width} with {heads} heads")
        self.bins, self.width = bins, width
        self.first = nn.Linear(bins, width)
        self.layers = nn.ModuleList(EncoderLayer(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(2 * width, classes)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Features (N, T, bins) and lengths (N,) -> logits (N, classes)."""
        return self.answer(x, lengths)[0]

    def attention(self, x: torch.Tensor, lengths: torch.Tensor) -> list[torch.Tensor]:
        """Who looks at whom: for each layer, weights (N, heads, T, T) that add up to 1 over the last axis."""
        return self.answer(x, lengths)[1]

    def answer(self, x: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The logits, and the weights of attention of each layer."""
        x, _, mask = checked(x, lengths, self.bins)
        x = self.first(x)  # (N, T, D) -> (N, T, width)
        x = x + positions(x.shape[1], self.width).to(x)
        attention = []
        for layer in self.layers:
            x, weights = layer(x, mask)
            attention.append(weights)
        x = mean_and_max(self.norm(x).transpose(1, 2), mask)  # (N, T, width) -> (N, 2 width)
        return self.output(x), attention


def positions(frames: int, width: int) -> torch.Tensor:
    """Where a frame stands, as sines and cosines of ever slower waves: attention alone has no order.

    Parameters
    ----------
    frames, width : int
        `width` is even.

    Returns
    -------
    torch.Tensor [shape=(frames, width), float64]
        `sin(t / 10000^(2i / width))` in column 2i, the cosine in column 2i + 1.

    Examples
    --------
    >>> positions(2, 2)
    tensor([[0.0000, 1.0000],
            [0.8415, 0.5403]], dtype=torch.float64)
    """
    rate = 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = torch.arange(frames, dtype=torch.float64)[:, None] * rate  # (T, width / 2)
    return torch.stack([torch.sin(angles), torch.cos(angles)], dim=2).flatten(1)
