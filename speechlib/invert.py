"""From features back to sound, to hear what each step of `features` throws away.

The short-time Fourier transform loses nothing and has an exact inverse. Its magnitude has lost the phase, the
mel bands have lost the detail within a band, and the first cosine coefficients the detail between bands: for
each there is one function here that fills in what is missing. librosa's conventions throughout.
"""

import numpy as np
from scipy.fft import idct, irfft

from speechlib import features


def istft(spectrum, *, n_fft, hop_length, win_length=None, center=True, length=None):
    """Inverse short-time Fourier transform: the signal whose frames come closest to the given ones.

    Each frame goes back to time, is windowed once more and added in its place; the sum is divided by the sum
    of the squared windows there.

    Parameters
    ----------
    spectrum : np.ndarray [shape=(frames, 1 + n_fft // 2)], complex
    n_fft, hop_length, win_length, center
        As they were in `features.stft`.
    length : int [samples] or None
        Cut or fill the signal to this length. None means what the frames span.

    Returns
    -------
    np.ndarray [shape=(length,)]
        Zero where no window reaches.

    Raises
    ------
    ValueError
        If the shape does not belong to n_fft, or the hop leaves gaps between the windows.

    Notes
    -----
    Source: Griffin & Lim 1984, "Signal estimation from modified short-time Fourier transform", eq. 6.

    Examples
    --------
    >>> y = np.random.default_rng(0).uniform(-1, 1, 1000)
    >>> spectrum = features.stft(y, n_fft=256, hop_length=80)
    >>> np.allclose(istft(spectrum, n_fft=256, hop_length=80, length=1000), y)
    True
    """
    spectrum = _matrix(spectrum, 1 + n_fft // 2)
    win_length = n_fft if win_length is None else win_length
    if not 0 < hop_length < win_length <= n_fft:
        raise ValueError(
            f"need 0 < hop_length < win_length <= n_fft, so that windows overlap and fit, "
            f"not {hop_length}, {win_length} and {n_fft}"
        )
    taper = np.zeros(n_fft)
    start = (n_fft - win_length) // 2
    taper[start : start + win_length] = features.window(win_length)
    frames = irfft(spectrum, n_fft, axis=-1) * taper
    total = np.zeros(n_fft + hop_length * (len(frames) - 1))
    weight = np.zeros_like(total)
    for t, values in enumerate(frames):
        total[t * hop_length :][:n_fft] += values
        weight[t * hop_length :][:n_fft] += taper**2
    y = np.divide(total, weight, out=np.zeros_like(total), where=weight > 1e-12)
    if center:
        y = y[n_fft // 2 : len(y) if length is not None else len(y) - n_fft // 2]
    return y if length is None else np.pad(y, (0, max(0, length - len(y))))[:length]


def griffin_lim(magnitude, *, n_fft, hop_length, win_length=None, length=None, iterations=60, momentum=0.99,
                rng):
    """A signal with the given spectral magnitudes: find phases that fit together.

    Overlapping frames see the same samples, so not every phase is possible. Begin with random ones; go to the
    signal and back to its spectrum, keep the phase found there, restore the magnitude, repeat.

    Parameters
    ----------
    magnitude : np.ndarray [shape=(frames, 1 + n_fft // 2)], >= 0
        The absolute value of a centered `features.stft`.
    n_fft, hop_length, win_length, length
        As in `istft`.
    iterations : int >= 0
    momentum : float >= 0
        Go on this far in the direction of the last change. 0 is the plain algorithm, which never gets worse;
        0.99 is faster, and not monotone.
    rng : np.random.Generator
        Draws the first phases.

    Returns
    -------
    np.ndarray [shape=(length,)]

    Raises
    ------
    ValueError
        As `istft`, and if a magnitude is negative or length does not fit the number of frames.

    Notes
    -----
    Source: Griffin & Lim 1984 (plain); Perraudin, Balazs & Søndergaard 2013, "A fast Griffin-Lim algorithm"
    (momentum).

    Examples
    --------
    >>> y = np.cos(2 * np.pi * 440 * np.arange(4000) / 8000)
    >>> magnitude = np.abs(features.stft(y, n_fft=256, hop_length=80))
    >>> z = griffin_lim(magnitude, n_fft=256, hop_length=80, rng=np.random.default_rng(0))
    >>> error = np.abs(features.stft(z, n_fft=256, hop_length=80)) - magnitude
    >>> z.shape, bool(np.linalg.norm(error) < 0.1 * np.linalg.norm(magnitude))
    ((4000,), True)
    """
    magnitude = _matrix(magnitude, 1 + n_fft // 2)
    if (magnitude < 0).any():
        raise ValueError("magnitudes cannot be negative: is this a logarithm?")
    if length is not None and 1 + length // hop_length != len(magnitude):
        raise ValueError(f"{length} samples make {1 + length // hop_length} frames, not {len(magnitude)}")
    sizes = {"n_fft": n_fft, "hop_length": hop_length, "win_length": win_length}
    phase = np.exp(2j * np.pi * rng.random(magnitude.shape))
    previous = 0
    for _ in range(iterations):
        found = features.stft(istft(magnitude * phase, **sizes, length=length), **sizes)
        ahead = found + momentum * (found - previous)
        previous = found
        phase = ahead / np.maximum(np.abs(ahead), 1e-16)
    return istft(magnitude * phase, **sizes, length=length)


def mel_to_power(mel, sr, *, n_fft, fmin=0.0, fmax=None, iterations=200):
    """A power spectrum that has the given mel bands: non-negative least squares.

    There are fewer bands than bins, so many spectra fit; this one begins with each band spread over its
    triangle and multiplies every bin by the ratio of what the bands want to what they get.

    Parameters
    ----------
    mel : np.ndarray [shape=(frames, n_mels)], >= 0
    sr, n_fft, fmin, fmax
        As they were in `features.mel`.
    iterations : int >= 0
        Each lowers the squared error, or leaves it.

    Returns
    -------
    np.ndarray [shape=(frames, 1 + n_fft // 2)], >= 0

    Raises
    ------
    ValueError
        If mel is negative, or not a finite matrix.

    Notes
    -----
    Source: Lee & Seung 2001, "Algorithms for non-negative matrix factorization", theorem 1, with the basis
    held fixed.

    Examples
    --------
    >>> power = np.ones((1, 129))
    >>> bank = features.mel_filterbank(8000, 256, n_mels=40)
    >>> np.allclose(mel_to_power(power @ bank.T, 8000, n_fft=256) @ bank.T, power @ bank.T, rtol=1e-2)
    True
    """
    mel = _matrix(mel, np.shape(mel)[-1])
    if (mel < 0).any():
        raise ValueError("power cannot be negative: is this a logarithm? Take its exponential first")
    bank = features.mel_filterbank(sr, n_fft, n_mels=mel.shape[1], fmin=fmin, fmax=fmax)
    wanted = mel @ bank
    power = wanted.copy()
    for _ in range(iterations):
        power *= wanted / np.maximum(power @ bank.T @ bank, np.finfo(float).tiny)
    return power


def log_mel_to_audio(log_mel, sr, *, n_fft=None, hop_length=None, win_length=None, fmin=0.0, fmax=None,
                     length=None, iterations=60, rng):
    """A signal with the given log-mel features: exponential, `mel_to_power`, `griffin_lim`.

    Parameters
    ----------
    log_mel : np.ndarray [shape=(frames, n_mels)]
    sr, n_fft, hop_length, win_length, fmin, fmax
        As they were in `features.log_mel`; None means the same defaults.
    length, iterations, rng
        See `griffin_lim`.

    Returns
    -------
    np.ndarray [shape=(length,)]

    Raises
    ------
    ValueError
        As `mel_to_power` and `griffin_lim`.

    Notes
    -----
    Source: as `mel_to_power` and `griffin_lim`.

    Examples
    --------
    >>> y = np.random.default_rng(0).uniform(-0.5, 0.5, 4000)
    >>> log_mel_to_audio(features.log_mel(y, 8000), 8000, rng=np.random.default_rng(0)).shape
    (4000,)
    """
    n_fft, hop_length, win_length = features._lengths(sr, n_fft, hop_length, win_length)
    power = mel_to_power(np.exp(log_mel), sr, n_fft=n_fft, fmin=fmin, fmax=fmax)
    return griffin_lim(np.sqrt(power), n_fft=n_fft, hop_length=hop_length, win_length=win_length,
                       length=length, iterations=iterations, rng=rng)


def mfcc_to_log_mel(mfcc, *, n_mels=40):
    """The log-mel frames that cosine coefficients describe, as smooth as few coefficients make them.

    Parameters
    ----------
    mfcc : np.ndarray [shape=(..., n_mfcc)]
    n_mels : int >= n_mfcc
        Number of bands there were before the cosine transform.

    Returns
    -------
    np.ndarray [shape=(..., n_mels)]
        Of all log-mel frames with these coefficients, the one of least norm: the missing ones are zero.

    Raises
    ------
    ValueError
        If there are more coefficients than bands.

    Notes
    -----
    Source: Ahmed, Natarajan & Rao 1974, "Discrete cosine transform" (the inverse).

    Examples
    --------
    >>> x = np.arange(8.0)
    >>> np.allclose(mfcc_to_log_mel(features.dct(x, 8), n_mels=8), x)
    True
    """
    if np.shape(mfcc)[-1] > n_mels:
        raise ValueError(f"{np.shape(mfcc)[-1]} coefficients cannot come from {n_mels} bands")
    return idct(np.asarray(mfcc, dtype=float), n=n_mels, norm="ortho", axis=-1)


def _matrix(x, bins):
    x = np.asarray(x)
    if x.ndim != 2 or len(x) == 0 or x.shape[1] != bins or not np.isfinite(x).all():
        raise ValueError(f"need a finite matrix of shape (frames, {bins}), not {x.shape}")
    return x
