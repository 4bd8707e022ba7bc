"""A waveform comes in: read it, check it, change its rate, its level, its noise.

A waveform is a one-dimensional float64 array with values in [-1, 1], together with its sampling rate `sr`
in hertz. What `load` and `check` do with everything else:

=======================================  =============================================================
found                                    result
=======================================  =============================================================
no file, no sound in it, empty           AudioError
cut off: the header announces more       AudioError in WAV, FLAC and MP3; else what is there
header announces less                    what it announces; in a WAV file also an AudioWarning
WAV of unknown length (from a pipe)      read to its end
16, 24, 32 bits, float, FLAC, ...        converted to float64
2 to 8 channels                          AudioWarning, their mean
more channels                            AudioError
another rate than the one asked for      resampled
rate below 1 kHz or above 384 kHz        AudioError
array of int8, uint8, int16, int32       scaled by the range of its type
array of other integers                  AudioError: their full scale is unknown
floats beyond [-8, 8]                    AudioError: unscaled integers, to be divided by 32768
floats a little beyond [-1, 1]           kept
NaN or infinity                          AudioError, with the first place
all samples equal (silence)              AudioError
shorter than one frame of 25 ms          AudioError
clipped (three equal samples, 0.99 up)   AudioWarning, with the fraction of samples
=======================================  =============================================================
"""

import math
import struct
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile

FRAME = 0.025  # seconds: the shortest sound that has a spectrum to look at
RATES = (1_000, 384_000)  # hertz: nothing outside is a recording of speech
LARGEST = 8.0  # a float this far above full scale (18 dB) is no overshoot, but another scale
MOST_CHANNELS = 8
FULL_SCALE = {"int8": (0, 2**7), "uint8": (2**7, 2**7), "int16": (0, 2**15), "int32": (0, 2**31)}  # zero, one
UNKNOWN_LENGTH = 0xFFFFFFFF  # what a program writes into a WAV header that cannot go back to fill it in


class AudioError(ValueError):
    """This is not sound that can be used; the message says why, and what to do."""


class AudioWarning(UserWarning):
    """This sound can be used, but not as it came."""


def load(path: str | Path, sr: int | None = None) -> tuple[np.ndarray, int]:
    """Read a recording, check it, and bring it to the rate asked for.

    Parameters
    ----------
    path : str or Path
        A WAV or FLAC file, or another format that libsndfile reads.
    sr : int, optional [Hz]
        The rate wanted. Without it the recording keeps its own.

    Returns
    -------
    y : np.ndarray [shape=(samples,), float64]
    sr : int [Hz]

    Raises
    ------
    AudioError
        As the table at the head of this module says.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/tone.wav", np.sin(np.arange(16_000) / 4), 16_000)
    ...     y, sr = load(f"{folder}/tone.wav", sr=8_000)
    >>> y.shape, sr
    ((8000,), 8000)
    """
    path = Path(path)
    if not path.is_file():
        raise AudioError(f"{path}: there is no such file; check the name and the folder")
    try:
        _check_chunks(path)
        y, own = _read(path)
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror})") from None
    y = _usable(y, own, f"{path}: ")
    return (y, own) if sr is None else (resample(y, own, sr), sr)


def check(y: np.ndarray, sr: int) -> np.ndarray:
    """See that an array is a usable waveform, and make it one where that is safe.

    Parameters
    ----------
    y : np.ndarray [shape=(samples,), or two axes of which the shorter holds the channels]
        Floats in [-1, 1], or integers of 8, 16 or 32 bits.
    sr : int [Hz]

    Returns
    -------
    np.ndarray [shape=(samples,), float64]
        In [-1, 1], but for floats that came a little beyond.

    Raises
    ------
    AudioError
        As the table at the head of this module says.

    Examples
    --------
    >>> check(np.array([0, 16384, -32768] * 100, dtype=np.int16), 8000)[:3]
    array([ 0. ,  0.5, -1. ])
    """
    return _usable(y, sr, "")


def resample(y: np.ndarray, orig_sr: int, target_sr: int) -> np.ndarray:
    """Change the sampling rate, after taking out what the lower rate cannot carry.

    The signal is raised to the common multiple of both rates by putting zeros between its samples,
    filtered, and thinned out. The filter passes frequencies up to 0.9 of the lower rate's Nyquist frequency
    and suppresses those above that frequency by 80 dB, which would fold back otherwise (aliasing). It does
    not shift the signal in time.

    Parameters
    ----------
    y : np.ndarray [shape=(samples,)]
    orig_sr, target_sr : int [Hz]

    Returns
    -------
    np.ndarray [shape=(ceil(samples * target_sr / orig_sr),)]

    Raises
    ------
    AudioError
        If a rate is not a whole number from 1,000 to 384,000, or the two have no simple ratio (44,101 to
        8,000).

    Notes
    -----
    Source: R. E. Crochiere, L. R. Rabiner, "Multirate Digital Signal Processing", 1983; the filter is a
    Kaiser window of the width that scipy.signal.kaiserord computes.

    Examples
    --------
    >>> resample(np.zeros(22_050), 22_050, 8_000).shape
    (8000,)
    """
    _check_rate(orig_sr)
    _check_rate(target_sr)
    if orig_sr == target_sr:
        return np.array(y, dtype=np.float64)
    divisor = math.gcd(orig_sr, target_sr)
    up, down = target_sr // divisor, orig_sr // divisor
    if max(up, down) > 20_000:
        raise AudioError(f"{orig_sr} to {target_sr} Hz is a ratio of {up} to {down}: choose simpler rates")
    return scipy.signal.resample_poly(y, up, down, window=_low_pass(max(up, down)))


def gain(y: np.ndarray, db: float) -> np.ndarray:
    """Make a signal louder or softer.

    Parameters
    ----------
    y : np.ndarray
    db : float [dB]
        20 dB is a factor of 10.

    Returns
    -------
    np.ndarray [shape of y]
        Not clipped: it may leave [-1, 1].

    Examples
    --------
    >>> gain(np.array([0.01, -0.02]), 20)
    array([ 0.1, -0.2])
    """
    return np.asarray(y) * 10 ** (db / 20)


def add_noise(
    y: np.ndarray, snr_db: float, *, rng: np.random.Generator, noise: np.ndarray | None = None
) -> np.ndarray:
    """Add noise that is `snr_db` decibels weaker than the signal, over the whole of it.

    Parameters
    ----------
    y : np.ndarray [shape=(samples,)]
    snr_db : float [dB]
        Ten times the logarithm (base 10) of the signal's energy over the noise's.
    rng : np.random.Generator
        Where chance comes from: the white noise, or the place at which `noise` begins.
    noise : np.ndarray [shape=(any number of samples,)], optional
        A recording at the same rate. A part of it is cut out; a short one is repeated. White noise, if not
        given.

    Returns
    -------
    np.ndarray [shape=(samples,)]
        Not clipped: it may leave [-1, 1].

    Raises
    ------
    AudioError
        If the signal, or the part of the noise that was drawn, is silent, or `noise` has more than one axis.

    Examples
    --------
    >>> y = np.sin(np.arange(8000) / 4)
    >>> noisy = add_noise(y, 10, rng=np.random.default_rng(0))
    >>> print(f"{10 * np.log10(np.sum(y**2) / np.sum((noisy - y)**2)):.3f} dB")
    10.000 dB
    """
    y = np.asarray(y, dtype=np.float64)
    if noise is None:
        added = rng.standard_normal(len(y))
    else:
        noise = np.asarray(noise, dtype=np.float64)
        if noise.ndim != 1 or len(noise) == 0:
            raise AudioError(f"noise has the shape {noise.shape}: it must have one axis, and samples on it")
        # A long recording is cut somewhere inside; a short one may begin anywhere, and comes round again.
        start = rng.integers(len(noise) - len(y) + 1 if len(noise) > len(y) else len(noise))
        added = noise[(start + np.arange(len(y))) % len(noise)]
    signal_energy, noise_energy = np.sum(y**2), np.sum(added**2)
    if not (signal_energy > 0 and noise_energy > 0):
        raise AudioError("a ratio to silence does not exist: the signal or the noise has no energy")
    return y + added * np.sqrt(signal_energy / noise_energy / 10 ** (snr_db / 10))


def trim(y: np.ndarray, sr: int, *, top_db: float = 40.0) -> np.ndarray:
    """Cut the silence off both ends.

    Parameters
    ----------
    y : np.ndarray [shape=(samples,)]
    sr : int [Hz]
    top_db : float > 0 [dB]
        Frames (25 ms long, 10 ms apart) more than this below the loudest one count as silence.

    Returns
    -------
    np.ndarray [shape=(at most samples,)]
        From the first frame that is not silent to the last one.

    Raises
    ------
    AudioError
        If there is nothing but silence.

    Notes
    -----
    The result of librosa.effects.trim at these lengths.

    Examples
    --------
    >>> y = np.concatenate([np.zeros(4000), np.sin(np.arange(4000)), np.zeros(4000)])
    >>> trim(y, 8000).shape
    (4240,)
    """
    length, hop = round(FRAME * sr), round(0.010 * sr)
    padded = np.pad(np.asarray(y, dtype=np.float64), length // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]
    power = np.mean(frames**2, axis=1)
    (loud,) = np.nonzero(power > power.max() * 10 ** (-top_db / 10))
    if len(loud) == 0:
        raise AudioError("all of it is silence: there is nothing to keep")
    return y[loud[0] * hop : (loud[-1] + 1) * hop]


def preemphasis(y: np.ndarray, coef: float = 0.97) -> np.ndarray:
    """Raise the high frequencies: from each sample subtract `coef` times the one before it.

    Speech loses level toward high frequencies. At sr = 8000 Hz this takes 30 dB off at 0 Hz and adds 6 dB
    at 4 kHz.

    Parameters
    ----------
    y : np.ndarray [shape=(samples,)]
    coef : float

    Returns
    -------
    np.ndarray [shape=(samples,)]
        The first sample is kept as it is.

    Examples
    --------
    >>> preemphasis(np.array([1.0, 1.0, 1.0]), coef=0.75)
    array([1.  , 0.25, 0.25])
    """
    y = np.asarray(y, dtype=np.float64)
    return np.concatenate([y[:1], y[1:] - coef * y[:-1]])


def _usable(y: np.ndarray, sr: int, source: str) -> np.ndarray:
    """What `check` does; `source` begins each message."""
    y = np.asarray(y)
    _check_rate(sr, source)
    if y.dtype.name in FULL_SCALE:
        zero, scale = FULL_SCALE[y.dtype.name]
        y = (y.astype(np.float64) - zero) / scale
    elif y.dtype.kind != "f":
        raise AudioError(f"{source}samples of type {y.dtype} have no known full scale: divide them by it")
    y = y.astype(np.float64, copy=False)
    if y.ndim == 1:
        y = y[:, np.newaxis]
    elif y.ndim == 2 and 1 <= min(y.shape) <= MOST_CHANNELS:
        y = y if y.shape[0] > y.shape[1] else y.T
    else:
        raise AudioError(f"{source}a waveform has the shape (samples,), or up to 8 channels, not {y.shape}")

    if len(y) < FRAME * sr:
        raise AudioError(
            f"{source}{len(y)} samples at {sr} Hz are shorter than one frame of {1000 * FRAME:.0f} ms: "
            "record longer, or check the rate"
        )
    bad = ~np.isfinite(y).all(axis=1)
    if bad.any():
        raise AudioError(
            f"{source}{bad.sum()} samples are NaN or infinite, the first is number {bad.argmax()}: "
            "export the sound again"
        )
    peak = np.abs(y).max()
    if peak > LARGEST:
        raise AudioError(
            f"{source}the largest sample is {peak:g}, not about 1: divide 16-bit integers by 32768"
        )
    if y.shape[1] > 1:
        warnings.warn(f"{source}the mean of {y.shape[1]} channels is taken", AudioWarning, stacklevel=3)
    y = y.mean(axis=1)
    if y.min() == y.max():
        raise AudioError(f"{source}all samples are equal, which is silence: was the microphone muted?")
    clipped = _clipped(y)
    if clipped > 0:
        warnings.warn(
            f"{source}{clipped:.2%} of the samples are clipped: record at a lower level",
            AudioWarning,
            stacklevel=3,
        )
    return y


def _check_rate(sr: int, source: str = "") -> None:
    if not isinstance(sr, (int, np.integer)) or not RATES[0] <= sr <= RATES[1]:
        raise AudioError(f"{source}a sampling rate is a whole number from 1000 to 384000 Hz, not {sr!r}")


def _check_chunks(path: Path) -> None:
    """See whether a WAV file holds the samples that its header announces; libsndfile makes do with less."""
    size = path.stat().st_size
    if size == 0:
        raise AudioError(f"{path}: the file is empty; copy or record it again")
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return
        data_seen = False
        while len(chunk := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", chunk)
            if name == b"data" and length == UNKNOWN_LENGTH:
                return
            missing = file.tell() + length - size
            if data_seen and (missing > 0 or not name.strip().isalnum()):  # this is no chunk
                warnings.warn(
                    f"{path}: the bytes after the samples announced are left out", AudioWarning, stacklevel=3
                )
                return
            if missing > 0:
                raise AudioError(
                    f"{path}: {missing} of the {length} bytes that its header announces are missing; it was "
                    "cut off, or the header is wrong: copy it again"
                )
            data_seen = data_seen or name == b"data"
            file.seek(length + length % 2, 1)  # chunks begin at even places


def _read(path: Path) -> tuple[np.ndarray, int]:
    """The samples (samples, channels), block by block: an announced length must not fill the memory."""
    blocks = []
    try:
        with soundfile.SoundFile(path) as file:
            sr, announced = file.samplerate, file.frames
            if file.channels > MOST_CHANNELS:
                raise AudioError(f"{path}: {file.channels} channels are not speech; is the header damaged?")
            while len(block := file.read(2**16, always_2d=True)):
                blocks.append(block)
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: samples without a header (.raw)
        raise AudioError(f"{path}: not readable as sound, or damaged ({error}); copy it again") from None
    y = np.concatenate(blocks) if blocks else np.zeros(0)
    if len(y) < announced < 2**40:  # libsndfile says "unknown" by a number larger than any file
        raise AudioError(f"{path}: {len(y)} of the {announced} samples announced are there; copy it again")
    return y, sr


def _clipped(y: np.ndarray) -> float:
    """The fraction of samples in runs of three or more equal ones at full scale."""
    same = (y[1:] == y[:-1]) & (np.abs(y[1:]) >= 0.99)
    run = same[1:] & same[:-1]  # sample t, t + 1 and t + 2 are equal
    inside = np.zeros(len(y), dtype=bool)
    for offset in range(3):
        inside[offset : offset + len(run)] |= run
    return float(inside.mean())


@lru_cache(maxsize=16)
def _low_pass(rate: int) -> np.ndarray:
    """A filter for `rate` times the lower sampling rate: it passes 0.9 of its Nyquist frequency, stops 1."""
    taps, beta = scipy.signal.kaiserord(80.0, 0.1 / rate)
    return scipy.signal.firwin(taps | 1, 0.95 / rate, window=("kaiser", beta))
