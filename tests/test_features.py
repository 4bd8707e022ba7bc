"""Features: equal to librosa and kaldi-native-fbank, and true to what defines them."""

import kaldi_native_fbank
import librosa
import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st

from speechlib import features

SR = 8000
SIZES = {"n_fft": 256, "hop_length": 80, "win_length": 200}


def speechlike(samples=6000, seed=0):
    """A voiced-like sound: decaying harmonics of a gliding pitch and some noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(samples) / SR
    phase = 2 * np.pi * np.cumsum(120 + 40 * np.sin(3 * t)) / SR
    voiced = sum(np.sin(k * phase + rng.uniform(0, 6)) / k for k in range(1, 25))
    return 0.1 * (voiced * (0.2 + np.sin(2 * np.pi * 2 * t) ** 2) + 0.1 * rng.standard_normal(samples))


def kaldi(y, **mel_options):
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = SR
    options.frame_opts.dither = 0.0
    options.mel_opts.num_bins = 40
    for name, value in mel_options.items():
        setattr(options.mel_opts, name, value)
    fbank = kaldi_native_fbank.OnlineFbank(options)
    fbank.accept_waveform(SR, (y * 32768).tolist())
    fbank.input_finished()
    return np.array([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])


# Frames and windows


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 20))
def test_frame_t_is_the_stretch_that_begins_at_t_hops(samples, length, hop):
    y = np.arange(samples)
    if samples < length:
        with pytest.raises(ValueError, match="shorter than one frame"):
            features.frame(y, length, hop)
        return
    frames = features.frame(y, length, hop)
    expected = [y[s : s + length] for s in range(0, samples - length + 1, hop)]
    np.testing.assert_array_equal(frames, expected)


@pytest.mark.parametrize("length", [2, 7, 200, 255, 256])
def test_the_hann_window_is_librosas(length):
    np.testing.assert_allclose(
        features.window(length), librosa.filters.get_window("hann", length, fftbins=True), atol=1e-15
    )


@pytest.mark.parametrize("length", [8, 200, 256])
def test_hann_windows_shifted_by_half_add_up_to_one(length):
    w = features.window(length)
    np.testing.assert_allclose(w[: length // 2] + w[length // 2 :], 1, atol=1e-15)


def test_the_povey_window_is_symmetric_and_a_power_of_hann():
    w = features.window(200, kind="povey")
    np.testing.assert_allclose(w, w[::-1], atol=1e-12)
    np.testing.assert_allclose(w, np.hanning(200) ** 0.85, atol=1e-12)


# The short-time Fourier transform


@pytest.mark.parametrize(
    "n_fft, hop, win", [(256, 80, 200), (256, 80, None), (512, 128, 400), (255, 60, 201)]
)
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 1e-4)])
def test_stft_is_librosas(n_fft, hop, win, center, dtype, tolerance):
    y = speechlike().astype(dtype)
    ours = features.stft(y, n_fft=n_fft, hop_length=hop, win_length=win, center=center)
    theirs = librosa.stft(y, n_fft=n_fft, hop_length=hop, win_length=win, center=center).T
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, atol=tolerance)


def test_stft_is_the_sum_that_defines_it():
    y = speechlike(400)
    spectrum = features.stft(y, n_fft=64, hop_length=16, win_length=48)
    padded, w = np.pad(y, 32), np.pad(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(48) / 48), 8)
    t, k = 5, 11
    direct = sum(padded[t * 16 + n] * w[n] * np.exp(-2j * np.pi * k * n / 64) for n in range(64))
    assert abs(spectrum[t, k] - direct) < 1e-12


def test_stft_keeps_the_energy_of_each_frame():
    y = speechlike()
    spectrum = features.stft(y, n_fft=256, hop_length=80)
    frames = features.frame(np.pad(y, 128), 256, 80) * features.window(256)
    weight = np.r_[1, np.full(127, 2), 1]  # each inner bin stands for itself and its mirror image
    np.testing.assert_allclose((np.abs(spectrum) ** 2 @ weight) / 256, (frames**2).sum(axis=1), rtol=1e-12)


def test_a_delay_of_one_hop_moves_the_frames_by_one():
    y = speechlike(4000)
    later = features.stft(np.concatenate([np.zeros(80), y]), **SIZES)
    np.testing.assert_allclose(later[2:], features.stft(y, **SIZES)[1:], atol=1e-12)


def test_stft_of_several_channels_is_that_of_each():
    y = np.stack([speechlike(seed=1), speechlike(seed=2)])
    np.testing.assert_allclose(
        features.stft(y, **SIZES), [features.stft(channel, **SIZES) for channel in y], atol=1e-12
    )


# The mel scale and its bands


@pytest.mark.parametrize("htk", [False, True])
def test_the_mel_scale_is_librosas(htk):
    f = np.concatenate([np.linspace(0, 11025, 5001), [1000, np.nextafter(1000, 0)]])
    mels = features.hz_to_mel(f, htk=htk)
    np.testing.assert_allclose(mels, librosa.hz_to_mel(f, htk=htk), rtol=1e-12)
    np.testing.assert_allclose(
        features.mel_to_hz(mels, htk=htk), librosa.mel_to_hz(mels, htk=htk), rtol=1e-12
    )


@pytest.mark.parametrize("htk", [False, True])
@given(st.floats(0, 20_000), st.floats(0, 20_000))
def test_the_mel_scale_has_an_inverse_and_keeps_order(htk, f, g):
    there = features.hz_to_mel(f, htk=htk)
    assert features.mel_to_hz(there, htk=htk) == pytest.approx(f, rel=1e-9, abs=1e-9)
    if f + 1e-6 < g:
        assert there < features.hz_to_mel(g, htk=htk)


def test_the_fixed_points_of_the_mel_scales():
    assert (
        features.hz_to_mel(1000) == 15
        and features.hz_to_mel(0) == 0
        and isinstance(features.hz_to_mel(1), float)
    )
    assert features.hz_to_mel(1000, htk=True) == pytest.approx(1000, abs=0.02)  # 1000 mel are 1000 Hz


@pytest.mark.parametrize(
    "sr, n_fft, n_mels, fmin, fmax",
    [
        (8000, 256, 40, 0, None),
        (16000, 400, 80, 0, None),
        (16000, 512, 40, 60, 7600),
        (22050, 2048, 128, 0, 11025),
    ],
)
def test_the_mel_filterbank_is_librosas(sr, n_fft, n_mels, fmin, fmax):
    ours = features.mel_filterbank(sr, n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)
    theirs = librosa.filters.mel(sr=sr, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax, dtype=np.float64)
    np.testing.assert_allclose(ours, theirs, atol=1e-15)


def test_librosas_triangles_have_area_one_and_kaldis_add_up_to_one():
    spacing = SR / 65536
    bank = features.mel_filterbank(SR, 65536, n_mels=40)
    np.testing.assert_allclose(bank.sum(axis=1) * spacing, 1, rtol=1e-3)
    bank = features.mel_filterbank(SR, 65536, n_mels=40, convention="kaldi")
    mels = features.hz_to_mel(np.arange(32769) * spacing, htk=True)
    step = features.hz_to_mel(SR / 2, htk=True) / 41
    inner = (mels >= step) & (mels <= 40 * step)
    np.testing.assert_allclose(bank[:, inner].sum(axis=0), 1, atol=1e-9)


def test_a_tone_excites_the_band_around_it():
    for f in (300, 1000, 2500):
        y = np.sin(2 * np.pi * f * np.arange(4000) / SR)
        band = int(features.mel(y, SR)[20].argmax())
        centers = features.mel_to_hz(np.linspace(0, features.hz_to_mel(4000), 42))[1:-1]
        assert abs(centers[band] - f) <= np.diff(centers)[min(band, 38)]


# Mel and log-mel, in both conventions


@pytest.mark.parametrize("options", [{}, {"n_mels": 23, "fmin": 100.0, "fmax": 3800.0}, {"center": False}])
def test_mel_is_librosas(options):
    y = speechlike()
    theirs = librosa.feature.melspectrogram(
        y=y, sr=SR, **SIZES, **({"n_mels": 40} | options), dtype=np.float64
    ).T
    ours = features.mel(y, SR, **options)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1e-12 * max(1, theirs.max())


def test_float64_mel_is_librosas_default_within_a_millionth():
    y = speechlike()
    theirs = librosa.feature.melspectrogram(y=y, sr=SR, **SIZES, n_mels=40).T  # its filterbank is float32
    assert np.abs(features.mel(y, SR) - theirs).max() <= 1e-6


def test_float32_log_mel_is_librosas():
    y = np.concatenate([speechlike(), np.zeros(800), 1e-4 * speechlike(3000, seed=1)]).astype(np.float32)
    theirs = librosa.feature.melspectrogram(y=y, sr=SR, **SIZES, n_mels=40).T
    ours = features.log_mel(y, SR, dtype=np.float32)
    assert ours.dtype == np.float32
    assert np.percentile(np.abs(ours - np.log(np.maximum(theirs, 1e-10))), 99.9) <= 1e-4


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("band", [{"low_freq": 20.0}, {"low_freq": 100.0, "high_freq": 3800.0}])
def test_log_mel_in_kaldis_convention_is_kaldis(dtype, band):
    y = np.concatenate([speechlike(), np.zeros(800), 1e-3 * speechlike(3000, seed=1)])
    ours = features.log_mel(
        y, SR, convention="kaldi", fmin=band["low_freq"], fmax=band.get("high_freq"), dtype=dtype
    )
    theirs = kaldi(y, **band)
    assert ours.shape == theirs.shape and ours.dtype == dtype
    assert np.percentile(np.abs(ours - theirs), 99.9) <= 1e-4
    assert np.median(np.abs(ours - theirs)) <= 1e-5
    assert ours.min() == pytest.approx(np.log(np.finfo(np.float32).eps), abs=1e-5)  # silence is at the floor


def test_kaldis_frames_do_not_see_a_constant_offset():
    y = speechlike()
    moved = features.log_mel(y + 0.1, SR, convention="kaldi")
    np.testing.assert_allclose(moved, features.log_mel(y, SR, convention="kaldi"), atol=1e-8)


def test_a_gain_adds_a_constant_and_the_sign_does_not_matter():
    y = speechlike()
    for convention in ("librosa", "kaldi"):
        base = features.log_mel(y, SR, convention=convention)
        np.testing.assert_allclose(
            features.log_mel(0.5 * y, SR, convention=convention), base - np.log(4), atol=1e-9
        )
        np.testing.assert_allclose(features.log_mel(-y, SR, convention=convention), base, atol=1e-12)


def test_power_adds_up_over_independent_tones():
    n = np.arange(4000)
    low, high = np.sin(2 * np.pi * 500 * n / SR), np.sin(2 * np.pi * 3000 * n / SR)
    total = features.mel(low + high, SR)[5:-5]
    np.testing.assert_allclose(total, (features.mel(low, SR) + features.mel(high, SR))[5:-5], atol=1e-2)


def test_silence_is_the_floor_and_finite():
    assert (features.log_mel(np.zeros(1000), SR) == np.log(1e-10)).all()
    assert np.isfinite(features.mfcc(np.zeros(1000), SR)).all()


@pytest.mark.parametrize(
    "sr, expected", [(8000, (200, 80, 256)), (16000, (400, 160, 512)), (22050, (551, 220, 1024))]
)
def test_the_default_sizes_are_25_and_10_milliseconds(sr, expected):
    y = speechlike()
    win, hop, n_fft = expected
    same = features.log_mel(y, sr, win_length=win, hop_length=hop, n_fft=n_fft)
    np.testing.assert_array_equal(features.log_mel(y, sr), same)


def test_with_n_fft_alone_the_window_fills_it_as_in_librosa():
    y = speechlike()
    theirs = librosa.feature.melspectrogram(
        y=y, sr=SR, n_fft=512, hop_length=128, n_mels=40, dtype=np.float64
    ).T
    np.testing.assert_allclose(features.mel(y, SR, n_fft=512, hop_length=128), theirs, atol=1e-12)


# Cosine transform, deltas, normalization


@pytest.mark.parametrize("bins, n", [(40, 13), (40, 40), (1, 1), (23, 7)])
def test_dct_is_scipys(bins, n):
    x = np.random.default_rng(0).standard_normal((5, bins))
    np.testing.assert_allclose(features.dct(x, n), scipy.fft.dct(x, norm="ortho")[:, :n], atol=1e-13)


def test_all_coefficients_keep_lengths_and_angles():
    basis = features.dct(np.eye(40), 40)
    np.testing.assert_allclose(basis @ basis.T, np.eye(40), atol=1e-13)


def test_mfcc_is_librosas():
    y = speechlike()
    theirs = librosa.feature.mfcc(S=features.log_mel(y, SR).T, n_mfcc=13).T
    np.testing.assert_allclose(features.mfcc(y, SR), theirs, atol=1e-11)
    assert features.mfcc(y, SR, n_mfcc=20, n_mels=30).shape == (76, 20)


def test_a_gain_changes_only_the_first_coefficient():
    y = speechlike()
    change = features.mfcc(0.1 * y, SR) - features.mfcc(y, SR)
    np.testing.assert_allclose(change[:, 0], np.log(0.01) * np.sqrt(40), atol=1e-9)
    np.testing.assert_allclose(change[:, 1:], 0, atol=1e-9)


@pytest.mark.parametrize("width", [3, 5, 9, 21])
def test_deltas_are_librosas(width):
    x = np.random.default_rng(0).standard_normal((30, 4))
    np.testing.assert_allclose(
        features.deltas(x, width), librosa.feature.delta(x, width=width, axis=0), atol=1e-13
    )


@given(st.floats(-10, 10), st.floats(-10, 10), st.sampled_from([3, 5, 9]))
def test_deltas_of_a_line_are_its_slope(slope, offset, width):
    line = slope * np.arange(12)[:, None] + offset
    np.testing.assert_allclose(features.deltas(line, width), slope, atol=1e-12)


def test_deltas_of_a_reversed_signal_change_sign():
    x = np.random.default_rng(0).standard_normal((30, 4))
    np.testing.assert_allclose(features.deltas(x[::-1])[::-1], -features.deltas(x), atol=1e-13)


@given(st.integers(2, 30), st.integers(0, 1000), st.floats(0.01, 100), st.floats(-100, 100))
def test_cmvn_gives_mean_zero_variance_one_and_forgets_gain_and_offset(frames, seed, gain, offset):
    x = np.random.default_rng(seed).standard_normal((frames, 3))
    z = features.cmvn(x)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(z.var(axis=0), 1, rtol=1e-9)
    np.testing.assert_allclose(features.cmvn(gain * x + offset), z, atol=1e-6)
    np.testing.assert_allclose(features.cmvn(x + offset, variance=False), x - x.mean(axis=0), atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("value", [0.0, 0.1, -23.02585, 1e6, 1 / 3])
def test_cmvn_of_a_constant_bin_is_zero(value, dtype):
    x = np.stack([np.full(37, value), np.arange(37.0)], axis=1).astype(dtype)
    z = features.cmvn(x)
    assert z.dtype == dtype and (z[:, 0] == 0).all() and z[:, 1].std() == pytest.approx(1, rel=1e-5)
    assert (features.cmvn(x[:1]) == 0).all()  # a single frame


# Batches


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(200, 3000), min_size=1, max_size=12),
    st.sampled_from(["librosa", "kaldi"]),
    st.booleans(),
)
def test_a_batch_is_its_clips_one_by_one(sizes, convention, center):
    if convention == "librosa" and not center:
        sizes = [max(256, size) for size in sizes]
    clips = [speechlike(size, seed) for seed, size in enumerate(sizes)]
    batch, lengths = features.log_mel_batch(clips, SR, convention=convention, center=center, n_mels=23)
    for clip, rows, length in zip(clips, batch, lengths, strict=True):
        alone = features.log_mel(clip, SR, convention=convention, center=center, n_mels=23)
        assert alone.shape == (length, 23)
        np.testing.assert_allclose(rows[:length], alone, rtol=0, atol=1e-11)
        assert (rows[length:] == 0).all()


@pytest.mark.parametrize("chunk", [1, 5_000, 10**9])
def test_the_size_of_a_chunk_does_not_matter(chunk, monkeypatch):
    clips = [speechlike(size) for size in (900, 4000, 200, 4000, 2500)]
    expected, _ = features.log_mel_batch(clips, SR)
    monkeypatch.setattr(features, "CHUNK", chunk)
    batch, lengths = features.log_mel_batch(clips, SR)
    np.testing.assert_allclose(batch, expected, atol=1e-11)
    assert lengths.tolist() == [12, 51, 3, 51, 32]


def test_an_array_of_clips_is_a_list_of_clips_and_librosas_batch():
    clips = np.stack([speechlike(4000, seed) for seed in range(40)])
    batch, lengths = features.log_mel_batch(clips, SR)
    assert batch.shape == (40, 51, 40) and (lengths == 51).all()
    np.testing.assert_array_equal(batch, features.log_mel_batch(list(clips), SR)[0])
    theirs = librosa.feature.melspectrogram(y=clips, sr=SR, **SIZES, n_mels=40, dtype=np.float64)
    np.testing.assert_allclose(batch, np.log(np.maximum(theirs, 1e-10)).transpose(0, 2, 1), atol=1e-9)
    single, _ = features.log_mel_batch(clips, SR, dtype=np.float32)
    assert single.dtype == np.float32 and np.percentile(np.abs(single - batch), 99.9) <= 1e-4


def test_pad_puts_zeros_after_each_and_keeps_the_rest():
    rng = np.random.default_rng(0)
    parts = [rng.standard_normal((n, 3)).astype(np.float32) for n in (4, 1, 6)]
    batch, lengths = features.pad(parts)
    assert batch.dtype == np.float32 and batch.shape == (3, 6, 3) and lengths.tolist() == [4, 1, 6]
    for part, rows in zip(parts, batch, strict=True):
        np.testing.assert_array_equal(rows, np.pad(part, [(0, 6 - len(part)), (0, 0)]))


@given(st.lists(st.integers(1, 20), min_size=1, max_size=5), st.integers(1, 12), st.integers(0, 100))
def test_pool_is_the_mean_of_equal_parts(sizes, segments, seed):
    rng = np.random.default_rng(seed)
    parts = [rng.standard_normal((n, 2)) for n in sizes]
    batch, lengths = features.pad(parts)
    batch[np.arange(batch.shape[1]) >= lengths[:, None]] = np.nan  # padding does not count
    pooled = features.pool(batch, lengths, segments)
    for part, row in zip(parts, pooled, strict=True):
        fine = np.repeat(part, segments, axis=0)  # each frame cut into as many pieces as there are segments
        np.testing.assert_allclose(row, fine.reshape(segments, len(part), 2).mean(axis=1), atol=1e-12)
        np.testing.assert_allclose(row.mean(axis=0), part.mean(axis=0), atol=1e-12)


# What is refused, and how it says so

Y = speechlike(1000)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: features.log_mel(np.zeros((2, 1000)), SR), "one clip"),
        (lambda: features.log_mel(np.zeros(0), SR), "no samples"),
        (lambda: features.log_mel(np.zeros(1000, dtype=np.int16), SR), "divide 16-bit integers by 32768"),
        (lambda: features.log_mel(np.r_[Y, np.nan], SR), "NaN or infinite"),
        (lambda: features.log_mel(np.r_[Y, np.inf], SR, convention="kaldi"), "NaN or infinite"),
        (lambda: features.log_mel(Y[:199], SR, convention="kaldi"), "shorter than one frame of 200"),
        (lambda: features.log_mel(Y[:255], SR, center=False), "shorter than one frame of 256"),
        (lambda: features.log_mel(Y, SR, fmax=4001), "sr / 2 = 4000"),
        (lambda: features.log_mel(Y, SR, fmin=-1), "fmin"),
        (lambda: features.log_mel(Y, SR, fmin=3000, fmax=2000), "fmin"),
        (lambda: features.log_mel(Y, SR, n_mels=0), "n_mels"),
        (lambda: features.log_mel(Y, SR, n_fft=128, win_length=200), "win_length 200 exceeds n_fft 128"),
        (
            lambda: features.stft(Y, n_fft=128, hop_length=80, win_length=200),
            "win_length 200 exceeds n_fft 128",
        ),
        (lambda: features.log_mel(Y, SR, hop_length=0), "positive"),
        (lambda: features.log_mel(Y, SR, convention="htk"), '"librosa" or "kaldi"'),
        (lambda: features.mel_filterbank(SR, 256, convention="htk"), '"librosa" or "kaldi"'),
        (lambda: features.window(200, kind="boxcar"), '"hann" or "povey"'),
        (lambda: features.window(1), "at least 2"),
        (lambda: features.mfcc(Y, SR, n_mfcc=41), "1 to 40"),
        (lambda: features.deltas(np.zeros((8, 2))), "too few"),
        (lambda: features.deltas(np.zeros((8, 2)), 4), "odd"),
        (lambda: features.deltas(np.zeros(8)), r"\(frames, bins\)"),
        (lambda: features.cmvn(np.zeros((0, 2))), "at least one frame"),
        (lambda: features.pad([]), "at least one"),
        (lambda: features.pad([np.zeros((2, 3)), np.zeros((2, 4))]), "same number of bins"),
        (lambda: features.log_mel_batch([], SR), "at least one clip"),
        (lambda: features.log_mel_batch([Y, np.zeros((2, 9))], SR), "each of shape"),
        (lambda: features.log_mel_batch([Y, Y[:99]], SR, convention="kaldi"), "clip 1 has 99 samples"),
        (lambda: features.log_mel_batch([Y, Y * np.nan], SR), "NaN or infinite"),
        (lambda: features.pool(np.zeros((2, 3, 4)), [1, 4], 2), "between 1 and 3"),
        (lambda: features.pool(np.zeros((2, 3, 4)), [0, 3], 2), "between 1 and 3"),
        (lambda: features.pool(np.zeros((3, 4)), [3], 2), "segments >= 1"),
    ],
)
def test_a_mistake_gets_an_error_that_names_it(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_bands_without_a_bin_are_warned_of():
    with pytest.warns(UserWarning, match="of 200 mel bands contain no FFT bin"):
        bank = features.mel_filterbank(SR, 256, n_mels=200)
    with pytest.warns(UserWarning, match="Empty filters"):
        theirs = librosa.filters.mel(sr=SR, n_fft=256, n_mels=200, dtype=np.float64)
    np.testing.assert_allclose(bank, theirs, atol=1e-15)


# The mean of a group, shrunk


@given(st.integers(0, 2**32 - 1), st.floats(0, 20))
def test_remove_mean_takes_the_nearest_mean_that_stays_near_the_prior(seed, strength):
    rng = np.random.default_rng(seed)
    xs = [rng.normal(size=(rng.integers(1, 9), 3)) for _ in range(7)]
    groups, prior = list("aababba"), rng.normal(size=3)
    out = features.remove_mean(xs, groups, prior=prior, strength=strength)
    for group in "ab":
        members = [i for i in range(7) if groups[i] == group]
        removed = [xs[i][0] - out[i][0] for i in members]
        np.testing.assert_allclose(removed, np.broadcast_to(removed[0], (len(members), 3)), atol=1e-12)
        # least squares: one row a word, and `strength` rows for the prior
        rows = np.vstack([np.ones((len(members), 1)), [[np.sqrt(strength)]]])
        right = np.vstack([[xs[i].mean(axis=0) for i in members], np.sqrt(strength) * prior])
        best = np.linalg.lstsq(rows, right, rcond=None)[0][0]
        np.testing.assert_allclose(removed[0], best, atol=1e-10)


def test_remove_mean_keeps_the_precision_and_the_arrays():
    xs = [np.ones((3, 2), np.float32), np.zeros((2, 2), np.float32)]
    out = features.remove_mean(xs, range(2), prior=np.zeros(2), strength=1.0)
    assert all(x.dtype == np.float32 for x in out)
    np.testing.assert_allclose(out[0], 0.5)
    assert np.all(xs[0] == 1)


@pytest.mark.parametrize(
    "groups, prior, strength",
    [(["a"], np.zeros(2), 1), ("ab", np.zeros(3), 1), ("ab", np.zeros(2), -1), ("ab", np.zeros(2), np.nan)],
)
def test_remove_mean_refuses(groups, prior, strength):
    with pytest.raises(ValueError, match="groups|prior|strength"):
        features.remove_mean([np.ones((3, 2))] * 2, groups, prior=prior, strength=strength)
