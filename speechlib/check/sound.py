"""Checks of the exercises of the chapter `sound`."""

import numpy as np

from .. import corpus
from ..features import mel_to_hz
from ..templates import dtw
from ._exercise import exercise

__all__ = [
    "alias_of_a_tone",
    "axis_of_normalization",
    "back_from_mel",
    "digits_in_noise",
    "fewer_bits",
    "frames_in_a_second",
    "time_warping",
    "volume_knob",
]


@exercise
def alias_of_a_tone(hertz):
    """A tone of 5,500 Hz at 8,000 samples a second is heard at 2,500 Hz."""
    if np.isclose(hertz, 2500):
        return None
    if np.isclose(hertz, 5500):
        return "Nothing above half the sampling rate, 4,000 Hz, can be told apart from something below it."
    if np.isclose(hertz, 1500):
        return "That is how far it lies above the fold at 4,000 Hz: it lands that far below."
    if np.isclose(hertz, -2500):
        return "The samples of a cosine of -2,500 Hz are those of a positive frequency: which?"
    return "Which frequency f makes f and 8,000 - f the two names of this tone?"


@exercise
def frames_in_a_second(count):
    """8,000 samples hold 98 whole frames of 200, one every 80."""
    if count == 98:
        return None
    if count == 100:
        return "8,000 / 80 counts all beginnings; the last frames would reach over the end."
    if count == 97:
        return "You counted the steps between frames; there is one frame more than there are steps."
    if count == 101:
        return "That is with zeros added at both ends. Here nothing is added."
    return "At which sample can the last frame begin, at the latest? Frames begin every 80 samples from 0."


@exercise
def volume_knob(growth):
    """6 dB more is 0.6 ln 10 = 1.38 in the natural logarithm of a power."""
    if abs(growth - 0.6 * np.log(10)) < 0.006:
        return None
    if abs(growth - 0.3 * np.log(10)) < 0.006:
        return "That is the logarithm of the amplitude. A feature is the logarithm of a power, its square."
    if np.isclose(growth, 6):
        return "That is in decibels. The features are natural logarithms."
    if abs(growth - 0.6) < 0.006:
        return "That is the decimal logarithm. The features are natural logarithms."
    return "6 dB multiply the power by 10 to the 0.6. What is the natural logarithm of that?"


@exercise
def fewer_bits(quantize):
    """Rounding to the nearest of 2**bits values, the multiples of 2 / 2**bits in [-1, 1)."""
    y = np.random.default_rng(1).uniform(-1, 1, 10_000)
    for bits in (3, 8):
        step = 2 / 2**bits
        rounded = np.asarray(quantize(y.copy(), bits), dtype=float)
        if rounded.shape != y.shape:
            return f"It must return as many samples as it takes: {y.shape}, not {rounded.shape}."
        steps = rounded / step
        if not np.allclose(steps, np.round(steps)):
            return f"With {bits} bits every result must be a multiple of {step}."
        if len(np.unique(steps)) > 2**bits:
            return f"{bits} bits have {2**bits} values, and yours has one more: what happens just below 1?"
        if len(np.unique(steps)) < 2**bits:
            many = len(np.unique(steps))
            return f"{bits} bits have {2**bits} values, not {many}: is the step 2 / 2**bits?"
        error = (rounded - y)[y < 1 - step]
        if abs(error.mean()) > 0.1 * step:
            return "Every sample is moved to the same side: round to the nearest value, not down."
        if np.abs(error).max() > 0.5001 * step:
            return "Some sample moved by more than half a step: round to the nearest value."
    return None


@exercise
def back_from_mel(to_hertz):
    """The inverse of Slaney's mel scale."""
    m = np.linspace(0, 40, 161)
    f = np.asarray(to_hertz(m), dtype=float)
    if f.shape != m.shape:
        return f"It must return one frequency for each mel value: {m.shape}, not {f.shape}."
    right = np.isclose(f, mel_to_hz(m))
    if right.all():
        return None
    if right[m < 15].all():
        return "Right below 15 mel, wrong above: solve the logarithmic piece for f as well."
    if right[m >= 15].all():
        return "Right from 15 mel on, wrong below: there the scale is a straight line."
    if np.allclose(f, 700 * (10 ** (m / 2595) - 1)):
        return "That inverts the formula of HTK. Here the scale is linear up to 1 kHz."
    return "Try it on 3 mel (200 Hz) and on 15 mel (1,000 Hz) by hand."


@exercise
def axis_of_normalization(normalized):
    """Removing the mean of each bin over time."""
    x = np.random.default_rng(2).normal(size=(30, 5))
    channel = np.array([3.0, -1.0, 0.5, 2.0, 7.0])
    z = np.asarray(normalized(x + channel))
    if z.shape != x.shape:
        return f"It must return the shape it takes, {x.shape}, not {z.shape}."
    if np.allclose(z, x - x.mean(axis=0)):
        return None
    if np.allclose(z, (x + channel) - (x + channel).mean(axis=1, keepdims=True)):
        return "A microphone adds the same vector to every frame, and it is still there. Which axis is time?"
    if np.allclose(z, (x + channel) - (x + channel).mean()):
        return "One number for everything removes the volume, not the microphone: take one mean a bin."
    if np.allclose(z, (x - x.mean(axis=0)) / x.std(axis=0)):
        return "The axis is right. Only the mean was to be removed: leave the deviation as it is."
    return "Add the same vector to every frame of x: the result must not change."


@exercise
def time_warping(warped_distance):
    """Symmetric dynamic time warping of numbers, divided by n + m."""
    rng = np.random.default_rng(3)
    for n, m in ((3, 4), (6, 6), (2, 9)):
        x, y = rng.integers(0, 9, n).astype(float), rng.integers(0, 9, m).astype(float)
        mine, truth = float(warped_distance(x, y)), dtw(x[:, None], y[:, None])[0]
        if np.isclose(mine, truth):
            continue
        if np.isclose(mine, truth * (n + m)):
            return "The total is right. Divide it by the number of frames of both."
        if np.isclose(mine, _warp(x, y, diagonal=1) / (n + m)):
            return "A step in both sequences counts twice, the first frame included."
        if np.isclose(mine, _warp(x, y, diagonal=2, start=1) / (n + m)):
            return "The first pair of frames counts twice too: D[0, 0] = 2 d(0, 0)."
        return f"For x = {x.tolist()} and y = {y.tolist()} it should be {truth:.4f}, not {mine:.4f}."
    return None


def _warp(x, y, *, diagonal, start=None):
    """The total of time warping with another weight of the diagonal step, for recognizing mistakes."""
    total = np.full((len(x) + 1, len(y) + 1), np.inf)
    total[0, 0] = 0
    for i, j in np.ndindex(len(x), len(y)):
        d = abs(x[i] - y[j])
        weight = start if start is not None and i == j == 0 else diagonal
        total[i + 1, j + 1] = min(total[i, j + 1] + d, total[i + 1, j] + d, total[i, j] + weight * d)
    return total[-1, -1]


@exercise
def digits_in_noise(answers):
    """At least 80 % of the development split, in noise of 10 dB."""
    labels = corpus.digits("dev").labels
    answers = np.asarray(answers)
    if answers.shape != labels.shape:
        return f"Hand in one answer for each of the {len(labels)} utterances, not the shape {answers.shape}."
    if not np.issubdtype(answers.dtype, np.integer):
        return "Answer with the digits 0 to 9 as integers."
    share = np.mean(answers == labels)
    if share == 1:
        return "All 300 right, in noise of 10 dB? These look like the labels themselves."
    if share < 0.2:
        return f"{share:.0%}, about what guessing gives: are the answers in the order of dev?"
    if share < 0.8:
        return f"{share:.0%}. What is the noise to a recognizer that has never met any?"
    return None
