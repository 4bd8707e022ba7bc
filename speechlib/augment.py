"""Augmentation: other examples of the same word, for training alone.

`speed` changes samples before features are computed. The others change a padded batch of features and fit
`train.fit(augment=functools.partial(stretch, amount=0.2))`: they are called with `(x, lengths, rng)`, return
`(x, lengths)`, and leave the arrays that they were given as they were.
"""

import numpy as np

from .audio import resample


def speed(y: np.ndarray, percent: int) -> np.ndarray:
    """Play faster or slower, as a tape does: duration, pitch and resonances change together.

    A word at 115 % is shorter by a factor of 1.15, and every frequency in it is higher by that factor, as if
    a smaller person had said it, faster.

    Parameters
    ----------
    y : np.ndarray [shape=(samples,)]
    percent : int, 50 to 200
        Of the old speed.

    Returns
    -------
    np.ndarray [shape=(ceil(100 * samples / percent),)]
        For the old sampling rate. Where it is slower, the uppermost frequencies are empty.

    Raises
    ------
    ValueError
        If `percent` is not a whole number from 50 to 200.

    Notes
    -----
    Source: T. Ko, V. Peddinti, D. Povey, S. Khudanpur, "Audio augmentation for speech recognition", 2015.

    Examples
    --------
    >>> speed(np.zeros(8000), 125).shape
    (6400,)
    """
    if isinstance(percent, bool) or not isinstance(percent, int | np.integer) or not 50 <= percent <= 200:
        raise ValueError(f"the speed must be a whole number of percent from 50 to 200, not {percent!r}")
    return resample(y, 1000 * int(percent), 100_000)


def stretch(
    x: np.ndarray, lengths: np.ndarray, rng: np.random.Generator, *, amount: float = 0.2
) -> tuple[np.ndarray, np.ndarray]:
    """Say each word slower or faster with the same voice: its frames are interpolated in time.

    Parameters
    ----------
    x : np.ndarray [shape=(utterances, frames, bins)]
    lengths : np.ndarray [shape=(utterances,), int] [frames]
    rng : np.random.Generator
    amount : float > 0
        The new length is the old one times a factor between 1 / (1 + amount) and 1 + amount, its logarithm
        drawn uniformly; at least one frame.

    Returns
    -------
    x : np.ndarray [shape=(utterances, longest, bins)]
        Zeros after the end of each.
    lengths : np.ndarray [shape=(utterances,), int] [frames]

    Raises
    ------
    ValueError
        If the shapes disagree or the amount is not a finite number above 0.

    Examples
    --------
    >>> x, lengths = stretch(np.ones((1, 50, 3)), np.array([50]), np.random.default_rng(0))
    >>> x.shape, lengths
    ((1, 53, 3), array([53]))
    """
    x, lengths = _batch(x, lengths)
    if not 0 < amount < np.inf:
        raise ValueError(f"amount must be a finite number above 0, not {amount!r}")
    log = np.log1p(amount)
    longer = np.exp(rng.uniform(-log, log, len(x)))
    new = np.maximum(1, np.round(lengths * longer)).astype(lengths.dtype)
    stretched = np.zeros((len(x), new.max(), x.shape[2]), x.dtype)
    for i, (old, n) in enumerate(zip(lengths, new, strict=True)):
        place = np.linspace(0, old - 1, n)  # the first frame stays first, the last one last
        before = place.astype(int)
        after = np.minimum(before + 1, old - 1)
        share = (place - before)[:, None].astype(x.dtype)
        stretched[i, :n] = (1 - share) * x[i, before] + share * x[i, after]
    return stretched, new


def mask(
    x: np.ndarray,
    lengths: np.ndarray,
    rng: np.random.Generator,
    *,
    bands: int = 8,
    frames: int = 8,
    times: int = 2,
) -> tuple[np.ndarray, np.ndarray]:
    """Black out some bands and some frames, so that no single one can be relied on.

    Parameters
    ----------
    x : np.ndarray [shape=(utterances, frames, bins)]
        With mean 0 in each bin: what is blacked out becomes 0, the mean.
    lengths : np.ndarray [shape=(utterances,), int] [frames]
    rng : np.random.Generator
    bands, frames : int >= 0
        The widths of the blocks are drawn from 0 to these, or to the size of the utterance.
    times : int
        How many blocks of each kind; they may overlap.

    Returns
    -------
    x : np.ndarray [shape=(utterances, frames, bins)]
    lengths : np.ndarray [shape=(utterances,), int] [frames]
        As they were.

    Raises
    ------
    ValueError
        If the shapes disagree or a width is below 0.

    Notes
    -----
    Source: D. Park et al., "SpecAugment: a simple data augmentation method for automatic speech recognition",
    2019, section 2, without the warping of time.

    Examples
    --------
    >>> x, _ = mask(np.ones((1, 30, 40)), np.array([30]), np.random.default_rng(0), frames=0, times=1)
    >>> int((x == 0).all(axis=1).sum())                            # a block of seven bands is gone
    7
    """
    x, lengths = _batch(x, lengths)
    if min(bands, frames, times) < 0:
        raise ValueError(f"widths and times must not be below 0: {bands}, {frames}, {times}")
    x = x.copy()
    for utterance, length in zip(x, lengths, strict=True):
        for _ in range(times):
            first, width = _block(x.shape[2], bands, rng)
            utterance[:length, first : first + width] = 0
            first, width = _block(length, frames, rng)
            utterance[first : first + width] = 0
    return x, lengths


def _block(size, widest, rng):
    """Where a block begins, and its width: it lies inside."""
    width = rng.integers(min(widest, size) + 1)
    return rng.integers(size - width + 1), width


def _batch(x, lengths):
    x, lengths = np.asarray(x), np.asarray(lengths)
    if x.ndim != 3 or lengths.shape != x.shape[:1] or len(x) == 0:
        raise ValueError(
            f"need a batch (utterances, frames, bins) and one length an utterance, "
            f"not {x.shape} and {lengths.shape}"
        )
    if lengths.dtype.kind not in "iu" or lengths.min() < 1 or lengths.max() > x.shape[1]:
        raise ValueError(f"lengths must be integers between 1 and {x.shape[1]} frames")
    return x, lengths
