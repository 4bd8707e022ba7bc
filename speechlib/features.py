"""From a waveform to features, in the order in which it is taught.

Frame, window, short-time Fourier transform, mel scale, filterbank, logarithm, cosine transform, deltas,
normalization; then many clips at once. Time comes before frequency: features have the shape (frames, bins).

Two conventions describe the same idea. "librosa" (the default) centers the first frame on the first sample
and gives the mel triangles equal areas. "kaldi" uses whole frames only, treats each of them before its
transform (samples on the 16-bit scale, mean removed, pre-emphasis, Povey's window) and draws the triangles on
the mel axis.
"""

import warnings

import numpy as np
from scipy.fft import rfft

FLOOR = {"librosa": 1e-10, "kaldi": float(np.finfo(np.float32).eps)}  # what the logarithm never goes below
CHUNK = 65_536  # samples that a batch transforms at a time: small enough for the processor's cache


def frame(y, frame_length, hop_length):
    """Cut a signal into overlapping frames, without copying it.

    Parameters
    ----------
    y : np.ndarray [shape=(..., samples)]
    frame_length, hop_length : int > 0 [samples]
        Length of a frame, and distance from the start of one to the start of the next.

    Returns
    -------
    np.ndarray [shape=(..., frames, frame_length)]
        A read-only view; samples after the last whole frame are not in it.

    Raises
    ------
    ValueError
        If the signal is shorter than one frame, or a length is not positive.

    Examples
    --------
    >>> frame(np.arange(7), 4, 2)
    array([[0, 1, 2, 3],
           [2, 3, 4, 5]])
    """
    y = np.asarray(y)
    if frame_length < 1 or hop_length < 1:
        raise ValueError(f"frame_length and hop_length must be positive, not {frame_length} and {hop_length}")
    if y.ndim == 0 or y.shape[-1] < frame_length:
        raise ValueError(
            f"a signal of shape {y.shape} is shorter than one frame of {frame_length} samples: "
            "pad it with zeros, or use a shorter frame"
        )
    return np.lib.stride_tricks.sliding_window_view(y, frame_length, axis=-1)[..., ::hop_length, :]


def window(length, *, kind="hann"):
    """Taper a frame toward its ends, so that cutting it out adds no click.

    "hann" is periodic, as a Fourier transform wants it: copies shifted by half a window add up to one.
    "povey" is Kaldi's: a symmetric Hann window to the power 0.85.

    Parameters
    ----------
    length : int > 1 [samples]
    kind : "hann" or "povey"

    Returns
    -------
    np.ndarray [shape=(length,)]

    Raises
    ------
    ValueError
        If the kind is unknown or the length is below 2.

    Notes
    -----
    Source: Harris 1978, "On the use of windows for harmonic analysis with the discrete Fourier transform";
    Kaldi's feature-window.cc.

    Examples
    --------
    >>> window(4)
    array([0. , 0.5, 1. , 0.5])
    """
    if kind not in ("hann", "povey"):
        raise ValueError(f'the window is "hann" or "povey", not {kind!r}')
    if length < 2:
        raise ValueError(f"a window needs at least 2 samples, not {length}")
    period = length if kind == "hann" else length - 1
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / period)
    return hann if kind == "hann" else hann**0.85


def stft(y, *, n_fft, hop_length, win_length=None, center=True):
    """Short-time Fourier transform: the spectrum of each windowed frame.

    Parameters
    ----------
    y : np.ndarray [shape=(..., samples)], float
    n_fft : int [samples]
        Length of the transform; its bins are sr / n_fft hertz apart.
    hop_length : int [samples]
    win_length : int <= n_fft [samples]
        Length of the Hann window, which stands in the middle of the frame. None means n_fft.
    center : bool
        Put n_fft // 2 zeros on either side of the signal: the middle of frame t is sample t * hop_length.

    Returns
    -------
    np.ndarray [shape=(..., frames, 1 + n_fft // 2)], complex
        Single precision where y is.

    Raises
    ------
    ValueError
        If y is not float, not finite or too short, or the lengths do not fit together.

    Notes
    -----
    Source: Allen & Rabiner 1977, "A unified approach to short-time Fourier analysis and synthesis".

    Examples
    --------
    >>> y = np.cos(2 * np.pi * 1000 * np.arange(8000) / 8000)           # one second at 1 kHz
    >>> spectrum = stft(y, n_fft=256, hop_length=80)
    >>> spectrum.shape, int(np.abs(spectrum[50]).argmax()) * 8000 / 256
    ((101, 129), 1000.0)
    """
    y = _samples(y)
    win_length = n_fft if win_length is None else win_length
    if win_length > n_fft:
        raise ValueError(f"win_length {win_length} exceeds n_fft {n_fft}: the window has to fit into it")
    taper = np.zeros(n_fft, dtype=y.dtype)
    start = (n_fft - win_length) // 2
    taper[start : start + win_length] = window(win_length)
    if center:
        zeros = np.zeros((*y.shape[:-1], n_fft // 2), dtype=y.dtype)
        y = np.concatenate([zeros, y, zeros], axis=-1)
    return rfft(frame(y, n_fft, hop_length) * taper, axis=-1)


def _kaldi_spectrum(y, *, n_fft, hop_length, win_length):
    """The same for Kaldi's frames: whole ones only, each treated by itself before its transform."""
    frames = frame(_samples(y) * 32768, win_length, hop_length)
    frames = frames - frames.mean(axis=-1, keepdims=True)
    before = np.concatenate([frames[..., :1], frames[..., :-1]], axis=-1)  # the first sample precedes itself
    taper = window(win_length, kind="povey").astype(frames.dtype)
    return rfft((frames - 0.97 * before) * taper, n_fft, axis=-1)


def _samples(y):
    """Refuse what is not a signal, before a wrong number travels on silently."""
    y = np.asarray(y)
    if not np.issubdtype(y.dtype, np.floating):
        raise ValueError(f"samples must be floats in [-1, 1], not {y.dtype}: divide 16-bit integers by 32768")
    if y.ndim == 0 or y.shape[-1] == 0:
        raise ValueError(f"a signal of shape {y.shape} has no samples")
    if not np.isfinite(y).all():
        raise ValueError("the signal contains NaN or infinite samples: see audio.check")
    return y


def hz_to_mel(frequencies, *, htk=False):
    """Frequency to pitch: a scale on which equal steps sound about equally far apart.

    Slaney's scale is linear below 1 kHz (3 mel per 200 Hz) and logarithmic above; `htk=True` is the formula
    2595 log10(1 + f / 700), which HTK and Kaldi use.

    Parameters
    ----------
    frequencies : np.ndarray [shape=(...)] or float [Hz]
    htk : bool

    Returns
    -------
    np.ndarray [shape=(...)] or float [mel]

    Notes
    -----
    Source: Stevens, Volkmann & Newman 1937, "A scale for the measurement of the psychological magnitude
    pitch"; Slaney 1998, "Auditory Toolbox"; O'Shaughnessy 1987, "Speech Communication" (the formula).

    Examples
    --------
    >>> hz_to_mel(np.array([0, 200, 1000, 6400]))
    array([ 0.,  3., 15., 42.])
    """
    f = np.asarray(frequencies, dtype=float)
    if htk:
        return 2595 * np.log10(1 + f / 700)
    return np.where(f < 1000, f * 3 / 200, 15 + 27 * np.log(np.maximum(f, 1000) / 1000) / np.log(6.4))[()]


def mel_to_hz(mels, *, htk=False):
    """Pitch to frequency: the inverse of `hz_to_mel`.

    Parameters
    ----------
    mels : np.ndarray [shape=(...)] or float [mel]
    htk : bool

    Returns
    -------
    np.ndarray [shape=(...)] or float [Hz]

    Notes
    -----
    Source: as `hz_to_mel`.

    Examples
    --------
    >>> mel_to_hz(np.array([0.0, 3.0, 15.0])), round(float(mel_to_hz(42)), 6)
    (array([   0.,  200., 1000.]), 6400.0)
    """
    m = np.asarray(mels, dtype=float)
    if htk:
        return 700 * (10 ** (m / 2595) - 1)
    return np.where(m < 15, m * 200 / 3, 1000 * 6.4 ** (np.maximum(m - 15, 0) / 27))[()]


def mel_filterbank(sr, n_fft, *, n_mels=40, fmin=0.0, fmax=None, convention="librosa"):
    """Overlapping triangles, equally wide in mel: how much of each FFT bin each band collects.

    Parameters
    ----------
    sr : int [Hz]
    n_fft : int [samples]
    n_mels : int
        Number of bands.
    fmin, fmax : float [Hz]
        Where the first triangle begins and the last one ends. None means sr / 2.
    convention : "librosa" or "kaldi"
        librosa: Slaney's scale, triangles straight in hertz, each of area 1. Kaldi: the HTK scale, triangles
        straight in mel, each of height 1.

    Returns
    -------
    np.ndarray [shape=(n_mels, 1 + n_fft // 2)]

    Raises
    ------
    ValueError
        If the band is empty or beyond sr / 2, or the convention is unknown.

    Warns
    -----
    UserWarning
        If a triangle falls between two FFT bins: its band would always be zero.

    Notes
    -----
    Source: Davis & Mermelstein 1980, "Comparison of parametric representations for monosyllabic word
    recognition" (triangles on a mel scale); Slaney 1998, "Auditory Toolbox" (equal areas).

    Examples
    --------
    >>> bank = mel_filterbank(8000, 256, n_mels=40)
    >>> bank.shape, np.round(bank[0, :4] * 1000, 3).tolist()
    ((40, 129), [0.0, 9.559, 15.861, 6.302])
    """
    _known(convention)
    fmax = sr / 2 if fmax is None else fmax
    if not 0 <= fmin < fmax <= sr / 2:
        raise ValueError(f"need 0 <= fmin < fmax <= sr / 2 = {sr / 2:g} Hz, not fmin={fmin}, fmax={fmax}")
    if n_mels < 1:
        raise ValueError(f"n_mels must be at least 1, not {n_mels}")
    htk = convention == "kaldi"
    bins = np.arange(1 + n_fft // 2) * sr / n_fft
    corners = np.linspace(hz_to_mel(fmin, htk=htk), hz_to_mel(fmax, htk=htk), n_mels + 2)
    if htk:
        bins = hz_to_mel(bins, htk=True)
    else:
        corners = mel_to_hz(corners)
    left, middle, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    bank = np.maximum(0, np.minimum((bins - left) / (middle - left), (right - bins) / (right - middle)))
    if not htk:
        bank *= 2 / (right - left)  # a triangle's area is half its base times its height
    if empty := int((bank.max(axis=1) == 0).sum()):
        warnings.warn(
            f"{empty} of {n_mels} mel bands contain no FFT bin and stay empty: use fewer bands (n_mels), "
            f"a longer transform (n_fft) or a wider range (fmin, fmax)",
            stacklevel=2,
        )
    return bank


def mel(y, sr, *, n_fft=None, hop_length=None, win_length=None, n_mels=40, fmin=0.0, fmax=None, center=True,
        convention="librosa", dtype=np.float64):
    """Mel spectrogram: the power that each mel band holds in each frame.

    Parameters
    ----------
    y : np.ndarray [shape=(..., samples)], float in [-1, 1]
    sr : int [Hz]
    n_fft, hop_length, win_length : int [samples]
        See `stft`. None means windows of 25 ms, hops of 10 ms and the next power of two: 200, 80 and 256 at
        8 kHz. Where n_fft is given, win_length=None means n_fft, as in librosa.
    n_mels, fmin, fmax, convention
        See `mel_filterbank`. Kaldi's own default for fmin is 20 Hz.
    center : bool
        See `stft`; Kaldi's convention never centers.
    dtype : np.float64 or np.float32
        Precision of the computation; float32 is twice as fast.

    Returns
    -------
    np.ndarray [shape=(..., frames, n_mels)]

    Raises
    ------
    ValueError
        As `stft` and `mel_filterbank`.

    Notes
    -----
    Source: Davis & Mermelstein 1980; Kaldi's feature-fbank.cc.

    Examples
    --------
    >>> mel(np.ones(4000), 8000).shape
    (51, 40)
    """
    _known(convention)
    n_fft, hop_length, win_length = _lengths(sr, n_fft, hop_length, win_length)
    y = np.asarray(y)
    y = y.astype(dtype, copy=False) if np.issubdtype(y.dtype, np.floating) else y
    if convention == "kaldi":
        spectrum = _kaldi_spectrum(y, n_fft=n_fft, hop_length=hop_length, win_length=win_length)
    else:
        spectrum = stft(y, n_fft=n_fft, hop_length=hop_length, win_length=win_length, center=center)
    power = spectrum.real**2 + spectrum.imag**2
    bank = mel_filterbank(sr, n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax, convention=convention)
    return power @ bank.T.astype(dtype)


def log_mel(y, sr, *, convention="librosa", **options):
    """Log-mel features: the natural logarithm of the mel spectrogram of one clip.

    Loudness is heard on a logarithmic scale, and a gain becomes an added constant.

    Parameters
    ----------
    y : np.ndarray [shape=(samples,)], float in [-1, 1]
    sr : int [Hz]
    convention : "librosa" or "kaldi"
        Also decides what the logarithm never goes below: power 1e-10, or 1.2e-7 on Kaldi's 16-bit scale.
    **options
        n_fft, hop_length, win_length, n_mels=40, fmin, fmax, center, dtype: see `mel`.

    Returns
    -------
    np.ndarray [shape=(frames, n_mels)]

    Raises
    ------
    ValueError
        As `mel`, and if y is not one-dimensional.

    Notes
    -----
    Source: as `mel`.

    Examples
    --------
    >>> y = np.random.default_rng(0).uniform(-0.5, 0.5, 8000)
    >>> quiet, loud = log_mel(y / 10, 8000), log_mel(y, 8000)
    >>> loud.shape, np.allclose(loud - quiet, np.log(100))
    ((101, 40), True)
    """
    if np.ndim(y) != 1:
        raise ValueError(
            f"log_mel takes one clip of shape (samples,), not {np.shape(y)}: average the channels of stereo, "
            "or use log_mel_batch for several clips"
        )
    return np.log(np.maximum(mel(y, sr, convention=convention, **options), FLOOR[convention]))


def dct(x, n):
    """Orthonormal discrete cosine transform (type II) of the last axis: its first n coefficients.

    Parameters
    ----------
    x : np.ndarray [shape=(..., bins)]
    n : int
        How many coefficients to keep, 1 to bins.

    Returns
    -------
    np.ndarray [shape=(..., n)]

    Raises
    ------
    ValueError
        If n is not between 1 and bins.

    Notes
    -----
    Source: Ahmed, Natarajan & Rao 1974, "Discrete cosine transform".

    Examples
    --------
    >>> np.round(dct(np.array([1.0, 1.0, 1.0, 1.0]), 3), 12) + 0
    array([2., 0., 0.])
    """
    bins = np.shape(x)[-1]
    if not 1 <= n <= bins:
        raise ValueError(f"{bins} bins have 1 to {bins} cosine coefficients, not {n}")
    k, m = np.arange(n)[:, None], np.arange(bins)
    basis = np.sqrt(2 / bins) * np.cos(np.pi / bins * (m + 0.5) * k)
    basis[0] /= np.sqrt(2)
    return x @ basis.T.astype(np.result_type(x, np.float32), copy=False)


def mfcc(y, sr, *, n_mfcc=13, **options):
    """Mel-frequency cepstral coefficients: each log-mel frame's cosine transform, without the fine detail.

    Parameters
    ----------
    y : np.ndarray [shape=(samples,)], float in [-1, 1]
    sr : int [Hz]
    n_mfcc : int <= n_mels
    **options
        As for `log_mel`.

    Returns
    -------
    np.ndarray [shape=(frames, n_mfcc)]

    Raises
    ------
    ValueError
        As `log_mel` and `dct`.

    Notes
    -----
    Natural logarithm, no liftering: `librosa.feature.mfcc(S=log_mel.T, n_mfcc=n_mfcc).T`.
    Source: Davis & Mermelstein 1980, eq. 1.

    Examples
    --------
    >>> mfcc(np.random.default_rng(0).uniform(-0.5, 0.5, 4000), 8000).shape
    (51, 13)
    """
    return dct(log_mel(y, sr, **options), n_mfcc)


def deltas(x, width=9):
    """How each feature is changing: the slope of the line that fits it best over `width` frames.

    The first and the last width // 2 frames lack neighbors and take the slope of the nearest full stretch.

    Parameters
    ----------
    x : np.ndarray [shape=(frames, bins)]
    width : odd int >= 3 [frames]

    Returns
    -------
    np.ndarray [shape=(frames, bins)], per frame

    Raises
    ------
    ValueError
        If the width is even or below 3, or x has fewer frames.

    Notes
    -----
    Source: Furui 1986, "Speaker-independent isolated word recognition using dynamic features of speech
    spectrum".

    Examples
    --------
    >>> deltas(3.0 * np.arange(5)[:, None], width=3).ravel()
    array([3., 3., 3., 3., 3.])
    """
    x = _features(x)
    if width < 3 or width % 2 == 0:
        raise ValueError(f"width must be odd and at least 3, not {width}")
    if len(x) < width:
        raise ValueError(f"{len(x)} frames are too few for deltas over {width}: use a smaller width")
    half = width // 2
    offsets = np.arange(-half, half + 1)
    slopes = frame(x.T, width, 1) @ (offsets / (offsets**2).sum())
    return np.pad(slopes.T, [(half, half), (0, 0)], mode="edge")


def cmvn(x, *, variance=True):
    """Remove the mean of each bin over the utterance, and scale it to unit variance.

    A fixed channel, such as a microphone or a volume knob, multiplies the spectrum: in the logarithm it is a
    constant, and this takes it out. A bin that never changes becomes zero.

    Parameters
    ----------
    x : np.ndarray [shape=(frames, bins)]
    variance : bool
        False removes the mean alone.

    Returns
    -------
    np.ndarray [shape=(frames, bins)]

    Raises
    ------
    ValueError
        If x is not two-dimensional or has no frames.

    Notes
    -----
    Source: Atal 1974, "Effectiveness of linear prediction characteristics of the speech wave for automatic
    speaker identification and verification" (mean); Viikki & Laurila 1998, "Cepstral domain segmental feature
    vector normalization for noise robust speech recognition" (mean and variance).

    Examples
    --------
    >>> cmvn(np.array([[1.0, 5.0], [3.0, 5.0]]))
    array([[-1.,  0.],
           [ 1.,  0.]])
    """
    x = _features(x)
    centered = x - x.mean(axis=0)
    rounding = 16 * np.finfo(centered.dtype).eps * np.abs(x).max(axis=0)
    centered[:, np.ptp(x, axis=0) <= rounding] = 0  # dividing rounding errors by rounding errors gives noise
    if not variance:
        return centered
    std = centered.std(axis=0)
    return centered / np.where(std > 0, std, 1)


def cmvn_by(features, groups, *, variance=True):
    """The same with the mean and the deviation of a whole group, for instance all utterances of a speaker.

    The mean over one short word holds the channel and the word. Over many words of a speaker the words
    average out, and the channel and the voice are left to be removed.

    Parameters
    ----------
    features : list of np.ndarray [shape=(frames, bins)]
    groups : list, as long as features
        What each belongs to: names of speakers, say.
    variance : bool
        False removes the mean alone.

    Returns
    -------
    list of np.ndarray [shape=(frames, bins)]
        In the order of `features`.

    Raises
    ------
    ValueError
        If the lists differ in length, or as `cmvn`.

    Examples
    --------
    >>> cmvn_by([np.array([[1.0]]), np.array([[3.0]]), np.array([[7.0]])], ["a", "a", "b"])
    [array([[-1.]]), array([[1.]]), array([[0.]])]
    """
    groups = list(groups)
    if len(features) != len(groups):
        raise ValueError(f"{len(features)} utterances need as many groups, not {len(groups)}")
    normalized = [None] * len(features)
    for group in dict.fromkeys(groups):
        members = [i for i, name in enumerate(groups) if name == group]
        together = cmvn(np.concatenate([_features(features[i]) for i in members]), variance=variance)
        ends = np.cumsum([len(features[i]) for i in members])[:-1]
        for i, x in zip(members, np.split(together, ends), strict=True):
            normalized[i] = x
    return normalized


def remove_mean(features, groups, *, prior, strength):
    """Remove the mean of each group, as far as its few utterances can tell it from one known beforehand.

    The mean of one short word holds the channel and the word. Pulled towards the mean of many other speakers
    it holds less of the word; the more utterances a group has, the less it is pulled.

    Parameters
    ----------
    features : list of np.ndarray [shape=(frames, bins)]
    groups : list, as long as features
        What each belongs to: names of speakers; or `range(len(features))` for each utterance by itself.
    prior : np.ndarray [shape=(bins,)]
        The mean that is expected before anything is heard.
    strength : float >= 0
        How many utterances that expectation is worth. 0 ignores it.

    Returns
    -------
    list of np.ndarray [shape=(frames, bins)]
        In the order of `features`, each less `(x_1 + ... + x_n + strength * prior) / (n + strength)`, where
        x_1 to x_n are the means of its group's utterances.

    Raises
    ------
    ValueError
        If the lists differ in length, the prior does not fit, or the strength is negative or not finite.

    Notes
    -----
    Source: the estimate of a mean under a normal prior; for speech, J.-L. Gauvain, C.-H. Lee, "Maximum a
    posteriori estimation for multivariate Gaussian mixture observations of Markov chains", 1994.

    Examples
    --------
    >>> xs = [np.array([[3.0]]), np.array([[6.0]])]
    >>> remove_mean(xs, ["a", "a"], prior=np.zeros(1), strength=1)  # (3 + 6 + 1 * 0) / (2 + 1) = 3
    [array([[0.]]), array([[3.]])]
    """
    features, groups, prior = [_features(x) for x in features], list(groups), np.asarray(prior)
    if len(features) != len(groups):
        raise ValueError(f"{len(features)} utterances need as many groups, not {len(groups)}")
    if not 0 <= strength < np.inf:
        raise ValueError(f"strength must be a finite number of utterances, 0 or more, not {strength!r}")
    if any(x.shape[1:] != prior.shape for x in features):
        raise ValueError(f"the prior must have one number a bin, not the shape {prior.shape}")
    means = {}
    for group, x in zip(groups, features, strict=True):
        means.setdefault(group, []).append(x.mean(axis=0))
    shrunk = {
        group: (sum(each) + strength * prior) / (len(each) + strength) for group, each in means.items()
    }
    return [x - shrunk[group].astype(x.dtype, copy=False) for group, x in zip(groups, features, strict=True)]


def pad(features):
    """Put feature matrices of different lengths into one array, with zeros after the end of each.

    Parameters
    ----------
    features : list of np.ndarray [shape=(frames, bins)]

    Returns
    -------
    batch : np.ndarray [shape=(clips, longest, bins)]
    lengths : np.ndarray [shape=(clips,)], int [frames]

    Raises
    ------
    ValueError
        If the list is empty, or the matrices differ in bins.

    Examples
    --------
    >>> batch, lengths = pad([np.ones((2, 3)), np.ones((4, 3))])
    >>> batch.shape, lengths.tolist(), batch[0, :, 0].tolist()
    ((2, 4, 3), [2, 4], [1.0, 1.0, 0.0, 0.0])
    """
    features = [_features(x) for x in features]
    if len({x.shape[1] for x in features}) != 1:
        shapes = [x.shape for x in features][:4]
        raise ValueError(f"need at least one matrix, all with the same number of bins: got {shapes}")
    lengths = np.array([len(x) for x in features])
    shape = (len(features), lengths.max(), features[0].shape[1])
    batch = np.zeros(shape, dtype=np.result_type(*{x.dtype for x in features}))
    for row, x in zip(batch, features, strict=True):
        row[: len(x)] = x
    return batch, lengths


def log_mel_batch(ys, sr, *, n_fft=None, hop_length=None, win_length=None, center=True, convention="librosa",
                  dtype=np.float64, **options):
    """Log-mel features of many clips: what `log_mel` gives for each, many times as fast.

    Parameters
    ----------
    ys : list of np.ndarray [shape=(samples,)], or np.ndarray [shape=(clips, samples)]
    sr : int [Hz]
    n_fft, hop_length, win_length, center, convention, dtype, **options
        As for `log_mel`.

    Returns
    -------
    batch : np.ndarray [shape=(clips, longest, n_mels)]
        Zeros after the end of each clip.
    lengths : np.ndarray [shape=(clips,)], int [frames]

    Raises
    ------
    ValueError
        As `log_mel`, and if there are no clips.

    Notes
    -----
    Clips of about the same length are transformed together, with zeros after the shorter ones: no frame that
    is kept reaches beyond the zeros that `log_mel` would see. A few clips at a time fit into the cache.

    Examples
    --------
    >>> batch, lengths = log_mel_batch([np.ones(4000), np.ones(1600)], 8000)
    >>> batch.shape, lengths.tolist()
    ((2, 51, 40), [51, 21])
    """
    _known(convention)
    n_fft, hop_length, win_length = _lengths(sr, n_fft, hop_length, win_length)
    centered = center and convention == "librosa"
    ys = [_samples(y) for y in ys]
    if not ys or any(y.ndim != 1 for y in ys):
        raise ValueError(f"need at least one clip, each of shape (samples,): got {[y.shape for y in ys][:4]}")
    samples = np.array([len(y) for y in ys])
    width = win_length if convention == "kaldi" else n_fft
    lengths = 1 + (samples + (2 * (n_fft // 2) if centered else 0) - width) // hop_length
    if lengths.min() < 1:
        shortest = int(samples.argmin())
        raise ValueError(f"clip {shortest} has {samples[shortest]} samples, fewer than one frame of {width}")

    bands = options.get("n_mels", 40)
    batch = np.zeros((len(ys), lengths.max(), bands), dtype=dtype)
    order = np.argsort(-samples, kind="stable")
    while len(order):
        longest = samples[order[0]]
        chunk, order = np.split(order, [max(1, CHUNK // longest)])
        clips = np.zeros((len(chunk), longest), dtype=dtype)
        for row, i in zip(clips, chunk, strict=True):
            row[: samples[i]] = ys[i]
        power = mel(clips, sr, n_fft=n_fft, hop_length=hop_length, win_length=win_length, center=center,
                    convention=convention, dtype=dtype, **options)
        values = np.log(np.maximum(power, FLOOR[convention]))
        for i, rows in zip(chunk, values, strict=True):
            batch[i, : lengths[i]] = rows[: lengths[i]]
    return batch, lengths


def pool(batch, lengths, segments):
    """Bring utterances of any length to one size: the mean of each of `segments` equal parts.

    Where a part ends inside a frame, the frame counts for both sides, in proportion.

    Parameters
    ----------
    batch : np.ndarray [shape=(clips, longest, bins)]
    lengths : np.ndarray [shape=(clips,)], int [frames]
        Frames beyond are padding and do not count.
    segments : int > 0

    Returns
    -------
    np.ndarray [shape=(clips, segments, bins)]

    Raises
    ------
    ValueError
        If the shapes disagree, a length is not within the batch, or segments is below 1.

    Examples
    --------
    >>> x = np.array([[1.0], [2.0], [3.0], [9.0]])
    >>> pool(x[None], [3], 2)[0].ravel().round(3)                  # (1 + 2/2) / 1.5 and (2/2 + 3) / 1.5
    array([1.333, 2.667])
    """
    batch, lengths = np.asarray(batch), np.asarray(lengths)
    if batch.ndim != 3 or lengths.shape != batch.shape[:1] or segments < 1:
        raise ValueError(
            f"need a batch (clips, frames, bins), one length a clip and segments >= 1, "
            f"not {batch.shape}, {lengths.shape} and {segments}"
        )
    if lengths.min() < 1 or lengths.max() > batch.shape[1]:
        raise ValueError(f"lengths must lie between 1 and {batch.shape[1]} frames")
    rows = np.arange(len(batch))[:, None]
    total = np.cumsum(batch, axis=1, dtype=float)
    total = np.concatenate([np.zeros_like(total[:, :1]), total], axis=1)  # the sum of all frames before t
    edges = lengths[:, None] * np.arange(segments + 1) / segments
    whole = np.minimum(edges.astype(int), lengths[:, None] - 1)
    up_to = total[rows, whole] + (edges - whole)[..., None] * batch[rows, whole]
    return (np.diff(up_to, axis=1) / (lengths / segments)[:, None, None]).astype(batch.dtype, copy=False)


def _lengths(sr, n_fft, hop_length, win_length):
    """Fill in what was not given: 25 ms windows, 10 ms hops, the next power of two."""
    if win_length is None:
        win_length = round(0.025 * sr) if n_fft is None else n_fft
    if n_fft is None:
        n_fft = 2 ** int(np.ceil(np.log2(win_length)))
    if win_length > n_fft:
        raise ValueError(f"win_length {win_length} exceeds n_fft {n_fft}: the window has to fit into it")
    return n_fft, round(0.010 * sr) if hop_length is None else hop_length, win_length


def _known(convention):
    if convention not in FLOOR:
        raise ValueError(f'the convention is "librosa" or "kaldi", not {convention!r}')


def _features(x):
    x = np.asarray(x)
    if x.ndim != 2 or len(x) == 0:
        raise ValueError(f"features have the shape (frames, bins), with at least one frame, not {x.shape}")
    return x if np.issubdtype(x.dtype, np.floating) else x.astype(float)
