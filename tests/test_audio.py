"""Sound comes in: every row of the table that heads speechlib.audio, and the functions against oracles."""

import struct
import warnings

import librosa
import numpy as np
import pytest
import scipy.signal
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from speechlib import audio
from speechlib.audio import AudioError, AudioWarning

SR = 8000


@pytest.fixture
def tone():
    """Half a second that looks like speech to the checks: a tone under a slow envelope, below full scale."""
    t = np.arange(4000) / SR
    return 0.5 * np.sin(2 * np.pi * 440 * t) * (1.2 + np.sin(2 * np.pi * 3 * t)) / 2.2


@pytest.fixture
def wav(tmp_path, tone):
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone, SR, subtype="PCM_16")
    return path


def patch(path, offset, value):
    """Write bytes over a header field."""
    content = bytearray(path.read_bytes())
    content[offset : offset + len(value)] = value
    path.write_bytes(content)


# ---- load: what is refused


def test_missing_file(tmp_path):
    with pytest.raises(AudioError, match=r"nothing.wav: there is no such file"):
        audio.load(tmp_path / "nothing.wav")


def test_folder(tmp_path):
    with pytest.raises(AudioError, match="there is no such file"):
        audio.load(tmp_path)


@pytest.mark.parametrize("name", ["text.wav", "text.flac", "text.mp3", "text.raw", "text"])
def test_not_audio(tmp_path, name):
    path = tmp_path / name
    path.write_text("This is a sentence, not a sound. " * 100)
    with pytest.raises(AudioError, match="not readable as sound"):
        audio.load(path)


def test_zero_length(tmp_path):
    path = tmp_path / "empty.wav"
    path.touch()
    with pytest.raises(AudioError, match="the file is empty"):
        audio.load(path)


@pytest.mark.parametrize("extension", ["wav", "flac"])
def test_header_without_samples(tmp_path, extension):
    path = tmp_path / f"none.{extension}"
    soundfile.write(path, np.zeros(0), SR)
    with pytest.raises(AudioError, match="0 samples at 8000 Hz are shorter|the file is empty"):
        audio.load(path)


@pytest.mark.parametrize("keep", [0.99, 0.5, 0.1])
def test_truncated_wav(wav, keep):
    content = wav.read_bytes()
    wav.write_bytes(content[: int(keep * len(content))])
    missing = len(content) - int(keep * len(content))
    with pytest.raises(AudioError, match=f"{missing} of the 8000 bytes .* missing"):
        audio.load(wav)


def test_truncated_wav_header(wav):
    wav.write_bytes(wav.read_bytes()[:20])
    with pytest.raises(AudioError, match="missing"):
        audio.load(wav)


@pytest.mark.parametrize("keep", [0.95, 0.5, 0.1])
def test_truncated_flac(tmp_path, keep):
    path = tmp_path / "noise.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 40_000), SR)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(AudioError, match="announced|damaged"):
        audio.load(path)


@pytest.mark.skipif("MP3" not in soundfile.available_formats(), reason="libsndfile without MP3")
def test_truncated_mp3(tmp_path):
    path = tmp_path / "noise.mp3"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 40_000), SR)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioError, match="of the 40000 samples announced are there"):
        audio.load(path)


@pytest.mark.parametrize("announced", [8002, 2**31 - 1, 0xFFFFFFF0])
def test_header_announces_more(wav, announced):
    patch(wav, 40, struct.pack("<I", announced))
    with pytest.raises(AudioError, match=f"{announced - 8000} of the {announced} bytes"):
        audio.load(wav)


def test_length_unknown_is_read_to_the_end(wav, tone):
    """What `ffmpeg ... -f wav - | ...` writes: it cannot go back and fill the length in."""
    patch(wav, 40, struct.pack("<I", 0xFFFFFFFF))
    y, _ = audio.load(wav)
    assert np.abs(y - tone).max() < 1 / 32768


def test_header_announces_less(wav, tone):
    patch(wav, 40, struct.pack("<I", 2 * 1000))
    with pytest.warns(AudioWarning, match=r"tone.wav: the bytes after the samples announced are left out"):
        y, _ = audio.load(wav)
    assert np.abs(y - tone[:1000]).max() < 1 / 32768


def test_chunks_around_the_samples_are_no_reason_to_warn(wav, tone):
    content = wav.read_bytes()
    extra = b"LIST" + struct.pack("<I", 5) + b"INFOx\0"  # of odd length: a byte of padding follows
    wav.write_bytes(content[:36] + extra + content[36:] + extra + extra)
    y, _ = audio.load(wav)
    assert np.abs(y - tone).max() < 1 / 32768


def test_flac_announces_less(tmp_path, tone):
    path = tmp_path / "tone.flac"
    soundfile.write(path, tone, SR)
    bits = int.from_bytes(path.read_bytes()[18:26], "big")  # 36 of these bits are the number of samples
    patch(path, 18, (bits >> 36 << 36 | 1000).to_bytes(8, "big"))
    assert len(audio.load(path)[0]) == 1000


@pytest.mark.parametrize("announced", [4001, 10**6, 2**36 - 1])
def test_flac_announces_more(tmp_path, tone, announced):
    path = tmp_path / "tone.flac"
    soundfile.write(path, tone, SR)
    bits = int.from_bytes(path.read_bytes()[18:26], "big")
    patch(path, 18, (bits >> 36 << 36 | announced).to_bytes(8, "big"))
    with pytest.raises(AudioError, match="announced|damaged"):
        audio.load(path)


def test_too_many_channels(tmp_path):
    path = tmp_path / "many.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.1, 0.1, (400, 9)), SR)
    with pytest.raises(AudioError, match="9 channels"):
        audio.load(path)


@pytest.mark.parametrize("rate", [999, 384_001])
def test_rate_that_no_recording_has(tmp_path, tone, rate):
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone, rate)
    with pytest.raises(
        AudioError, match="tone.wav: a sampling rate is a whole number from 1000 to 384000 Hz, not"
    ):
        audio.load(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite_in_a_file(tmp_path, tone, value):
    tone[77] = value
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone, SR, subtype="FLOAT")
    with pytest.raises(AudioError, match="1 samples are NaN or infinite, the first is number 77"):
        audio.load(path)


def test_unscaled_integers_in_a_float_file(tmp_path, tone):
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone * 32768, SR, subtype="FLOAT")
    with pytest.raises(AudioError, match="divide 16-bit integers by 32768"):
        audio.load(path)


def test_unreadable_file(wav, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(wav), "open", refuse)
    with pytest.raises(AudioError, match="cannot be read .Permission denied"):
        audio.load(wav)


# ---- load: what is converted


@pytest.mark.parametrize(
    ("subtype", "step"),
    [
        ("PCM_U8", 2**-7),
        ("PCM_16", 2**-15),
        ("PCM_24", 2**-23),
        ("PCM_32", 2**-31),
        ("FLOAT", 2**-24),
        ("DOUBLE", 0),
    ],
)
def test_sample_formats(tmp_path, tone, subtype, step):
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone, SR, subtype=subtype)
    y, sr = audio.load(path)
    assert sr == SR and y.dtype == np.float64 and y.shape == tone.shape
    assert np.abs(y - tone).max() <= step


@pytest.mark.parametrize(
    ("container", "subtype"), [("FLAC", "PCM_16"), ("AIFF", "PCM_16"), ("WAVEX", "PCM_24")]
)
def test_containers(tmp_path, tone, container, subtype):
    path = tmp_path / "tone.sound"  # the content decides, not the name
    soundfile.write(path, tone, SR, subtype=subtype, format=container)
    assert np.abs(audio.load(path)[0] - tone).max() <= 2**-15


def test_path_as_text(wav):
    np.testing.assert_array_equal(audio.load(str(wav))[0], audio.load(wav)[0])


def test_longer_than_a_block(tmp_path):
    """More than the 65,536 samples that are read at a time."""
    y = np.random.default_rng(0).uniform(-0.5, 0.5, 200_001)
    soundfile.write(tmp_path / "long.wav", y, SR, subtype="DOUBLE")
    np.testing.assert_array_equal(audio.load(tmp_path / "long.wav")[0], y)


@pytest.mark.parametrize("channels", [2, 5, 8])
def test_channels_become_their_mean(tmp_path, channels):
    y = np.random.default_rng(0).uniform(-0.5, 0.5, (1000, channels))
    soundfile.write(tmp_path / "many.wav", y, SR, subtype="DOUBLE")
    with pytest.warns(AudioWarning, match=f"many.wav: the mean of {channels} channels is taken"):
        mono, _ = audio.load(tmp_path / "many.wav")
    np.testing.assert_allclose(mono, y.mean(axis=1), rtol=0, atol=1e-15)


def test_other_rate(tmp_path):
    t = np.arange(22_050) / 22_050
    soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 440 * t), 22_050)
    y, sr = audio.load(tmp_path / "tone.wav", sr=SR)
    assert sr == SR and len(y) == SR
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(SR) / SR)
    assert np.abs(y - expected)[200:-200].max() < 1e-3
    assert audio.load(tmp_path / "tone.wav")[1] == 22_050


def test_same_rate_changes_nothing(wav):
    np.testing.assert_array_equal(audio.load(wav, sr=SR)[0], audio.load(wav)[0])


def test_clipped_file_warns_with_the_fraction(tmp_path, tone):
    loud = np.clip(4 * tone, -1, 1)
    soundfile.write(tmp_path / "loud.wav", loud, SR)
    at_the_limit = np.mean(np.abs(loud) >= 1)
    with pytest.warns(AudioWarning, match=r"loud.wav: .* clipped") as caught:
        y, _ = audio.load(tmp_path / "loud.wav")
    assert len(caught) == 1 and y.max() <= 1
    reported = float(str(caught[0].message).split(": ")[1].split("%")[0]) / 100
    assert abs(reported - at_the_limit) < 0.02 and reported > 0.2


# ---- check


def test_check_keeps_good_sound(tone):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(audio.check(tone, SR), tone)


@pytest.mark.parametrize(
    ("kind", "low", "zero", "high"),
    [
        ("int8", -128, 0, 64),
        ("uint8", 0, 128, 192),
        ("int16", -(2**15), 0, 2**14),
        ("int32", -(2**31), 0, 2**30),
    ],
)
def test_check_scales_integers_by_their_type(kind, low, zero, high):
    y = audio.check(np.array([low, zero, high] * 100, dtype=kind), SR)
    assert y.dtype == np.float64 and y[:3].tolist() == [-1.0, 0.0, 0.5]


@pytest.mark.parametrize("kind", ["int64", "uint16", "uint32", "bool", "complex128", "U4", "object"])
def test_check_refuses_types_without_full_scale(kind):
    with pytest.raises(AudioError, match="no known full scale"):
        audio.check(np.ones(1000).astype(kind), SR)


def test_check_takes_single_precision(tone):
    y = audio.check(tone.astype(np.float32), SR)
    assert y.dtype == np.float64 and np.abs(y - tone).max() < 1e-7


@pytest.mark.parametrize(
    ("peak", "fine"), [(1.5, True), (8.0, True), (8.01, False), (32767.0, False), (1e300, False)]
)
def test_check_tells_overshoot_from_a_wrong_scale(tone, peak, fine):
    y = tone * peak / np.abs(tone).max()
    if fine:
        np.testing.assert_array_equal(audio.check(y, SR), y)
    else:
        with pytest.raises(AudioError, match="divide 16-bit integers by 32768"):
            audio.check(y, SR)


@pytest.mark.parametrize("value", [0.0, 0.25, -1.0])
def test_check_refuses_silence(value):
    with pytest.raises(AudioError, match="silence"):
        audio.check(np.full(1000, value), SR)


@pytest.mark.parametrize(("sr", "frame"), [(8000, 200), (16_000, 400), (44_100, 1103)])
def test_check_needs_one_frame(sr, frame):
    y = np.random.default_rng(0).uniform(-0.5, 0.5, frame)
    assert len(audio.check(y, sr)) == frame
    with pytest.raises(
        AudioError, match=f"{frame - 1} samples at {sr} Hz are shorter than one frame of 25 ms"
    ):
        audio.check(y[:-1], sr)


@pytest.mark.parametrize("axis", [0, 1])
def test_check_finds_the_axis_of_the_channels(tone, axis):
    two = np.stack([tone, 0.5 * tone], axis=axis)
    with pytest.warns(AudioWarning, match="the mean of 2 channels"):
        np.testing.assert_allclose(audio.check(two, SR), 0.75 * tone, rtol=0, atol=1e-15)


def test_check_takes_one_channel_in_two_axes_silently(tone):
    np.testing.assert_array_equal(audio.check(tone[:, None], SR), tone)


@pytest.mark.parametrize("shape", [(), (4000, 9), (2, 2, 1000), (0, 0), (1000, 0)])
def test_check_refuses_other_shapes(shape):
    with pytest.raises(AudioError, match="a waveform has the shape"):
        audio.check(np.zeros(shape), SR)


@pytest.mark.parametrize("sr", [0, -8000, 999, 384_001, 8000.0, None, "8000"])
def test_check_refuses_rates(tone, sr):
    with pytest.raises(AudioError, match="a sampling rate is"):
        audio.check(tone, sr)


def test_check_counts_bad_samples(tone):
    tone[[5, 9]] = np.nan, np.inf
    with pytest.raises(AudioError, match="2 samples are NaN or infinite, the first is number 5"):
        audio.check(tone, SR)


def test_clipping_is_a_run_at_full_scale(tone):
    for count, fraction in ((2, 0.0), (3, 3 / 4000), (7, 7 / 4000)):
        y = tone.copy()
        y[100 : 100 + count] = -1.0
        assert audio._clipped(y) == fraction
    y = np.clip(tone, -0.3, 0.3)  # cut off, but not at full scale: it may be meant
    assert audio._clipped(y) == 0
    y = tone.copy()
    y[-3:] = 1.0  # at the very end
    assert audio._clipped(y) == 3 / 4000


# ---- resample


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 3000),
    rates=st.tuples(*[st.sampled_from([8000, 11_025, 16_000, 22_050, 44_100, 48_000, 7040, 9120])] * 2),
)
def test_resampled_length(n, rates):
    orig, target = rates
    y = audio.resample(np.ones(n), orig, target)
    assert len(y) == -(-n * target // orig)  # the ceiling
    assert np.isfinite(y).all()


@pytest.mark.parametrize("orig", [16_000, 22_050, 44_100, 48_000])
def test_resample_suppresses_what_would_fold_back(orig):
    """Just above the new Nyquist frequency, in the middle, near the old one: below -75 dB."""
    t = np.arange(orig) / orig
    for frequency in (4050, (4000 + orig / 2) / 2, orig / 2 - 200):
        y = audio.resample(np.sin(2 * np.pi * frequency * t), orig, 8000)
        assert np.sqrt(np.mean(y[400:-400] ** 2)) < 10 ** (-75 / 20)


@pytest.mark.parametrize("orig", [11_025, 16_000, 44_100])
@pytest.mark.parametrize("frequency", [0, 100, 1000, 3500])
def test_resample_keeps_what_both_rates_carry(orig, frequency):
    """Same level (0.01 dB) and no shift in time."""
    y = audio.resample(np.cos(2 * np.pi * frequency * np.arange(orig) / orig), orig, 8000)
    expected = np.cos(2 * np.pi * frequency * np.arange(8000) / 8000)
    assert np.abs(y - expected)[400:-400].max() < 1.2e-3


def test_resample_agrees_with_another_resampler():
    rng = np.random.default_rng(0)
    smooth = scipy.signal.lfilter(*scipy.signal.cheby2(10, 80, 3500, fs=16_000), rng.standard_normal(16_000))
    ours = audio.resample(smooth, 16_000, 8000)
    theirs = librosa.resample(smooth, orig_sr=16_000, target_sr=8000, res_type="soxr_vhq")
    assert np.abs(ours - theirs)[200:-200].max() < 2e-3 * np.abs(theirs).max()


def test_there_and_back_again(tone):
    back = audio.resample(audio.resample(tone, 8000, 44_100), 44_100, 8000)
    assert np.abs(back - tone)[200:-200].max() < 2e-3


def test_resample_to_the_same_rate_copies(tone):
    y = audio.resample(tone, SR, SR)
    np.testing.assert_array_equal(y, tone)
    assert not np.shares_memory(y, tone)


def test_resample_refuses_a_ratio_that_is_not_simple(tone):
    with pytest.raises(AudioError, match="a ratio of 8000 to 44101"):
        audio.resample(tone, 44_101, 8000)
    with pytest.raises(AudioError, match="a sampling rate is"):
        audio.resample(tone, 8000, 0)


# ---- level and noise


def test_gain():
    y = np.array([0.1, -0.2])
    np.testing.assert_allclose(audio.gain(y, 6), y * 1.9952623149688795, rtol=1e-15)
    np.testing.assert_allclose(audio.gain(audio.gain(y, -17), 17), y, rtol=1e-15)


def snr(y, noisy):
    return 10 * np.log10(np.sum(y**2) / np.sum((noisy - y) ** 2))


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    db=st.floats(-60, 60),
    n=st.integers(2, 2000),
    m=st.one_of(st.none(), st.integers(2, 4000)),
)
def test_noise_has_the_ratio_asked_for(seed, db, n, m):
    rng = np.random.default_rng(seed)
    y = rng.uniform(-1, 1, n)
    noise = None if m is None else rng.uniform(-3, 3, m)
    assert abs(snr(y, audio.add_noise(y, db, rng=rng, noise=noise)) - db) < 1e-6


def test_noise_is_repeatable_and_white(tone):
    first = audio.add_noise(tone, 10, rng=np.random.default_rng(1)) - tone
    again = audio.add_noise(tone, 10, rng=np.random.default_rng(1)) - tone
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, audio.add_noise(tone, 10, rng=np.random.default_rng(2)) - tone)
    _, power = scipy.signal.welch(first, nperseg=64)
    assert power[1:-1].max() / power[1:-1].min() < 3  # flat, for 125 averages


def test_a_long_noise_is_cut_from_anywhere(tone):
    """Each start is possible, the last one too, and nothing wraps."""
    noise = np.arange(1.0, 4003.0)
    starts = set()
    for seed in range(60):
        added = audio.add_noise(tone, 0, rng=np.random.default_rng(seed), noise=noise) - tone
        scale = np.polyfit(np.arange(4000), added, 1)[0]
        np.testing.assert_allclose(np.diff(added), scale, rtol=1e-9)
        starts.add(round(added[0] / scale) - 1)
    assert starts == {0, 1, 2}


def test_a_short_noise_comes_round_again(tone):
    noise = np.array([1.0, 2.0, 4.0])
    added = audio.add_noise(tone, 0, rng=np.random.default_rng(3), noise=noise) - tone
    np.testing.assert_allclose(added[3:], added[:-3], rtol=1e-9)
    assert len({round(added[(i + 1) % 3] / added[i], 6) for i in range(3)} - {2.0, 0.25}) == 0


@pytest.mark.parametrize("noise", [np.zeros(100), np.zeros(0), np.ones((10, 2)), np.full(10, np.nan)])
def test_noise_that_is_none(tone, noise):
    with pytest.raises(AudioError, match="energy|samples on it"):
        audio.add_noise(tone, 10, rng=np.random.default_rng(0), noise=noise)


def test_no_ratio_to_a_silent_signal():
    with pytest.raises(AudioError, match="energy"):
        audio.add_noise(np.zeros(1000), 10, rng=np.random.default_rng(0))


# ---- trim and pre-emphasis


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("top_db", [20.0, 40.0, 60.0])
def test_trim_as_librosa(seed, top_db):
    rng = np.random.default_rng(seed)
    levels = np.repeat(10.0 ** rng.uniform(-4, 0, 12), 400)
    y = levels * rng.standard_normal(len(levels))
    expected, _ = librosa.effects.trim(y, top_db=top_db, frame_length=200, hop_length=80)
    np.testing.assert_array_equal(audio.trim(y, SR, top_db=top_db), expected)


def test_trim_of_silence():
    with pytest.raises(AudioError, match="nothing to keep"):
        audio.trim(np.zeros(1000), SR)


@pytest.mark.parametrize("coef", [0.97, 0.5, 0.0])
def test_preemphasis(tone, coef):
    y = audio.preemphasis(tone, coef)
    np.testing.assert_allclose(y, scipy.signal.lfilter([1, -coef], [1], tone), rtol=0, atol=1e-16)
    np.testing.assert_allclose(y, librosa.effects.preemphasis(tone, coef=coef, zi=[0.0]), rtol=0, atol=1e-16)


def test_preemphasis_levels_of_the_docstring():
    """30 dB off at 0 Hz, 6 dB on at the Nyquist frequency."""
    _, response = scipy.signal.freqz(audio.preemphasis(np.eye(1, 8)[0]), worN=[0, np.pi])
    np.testing.assert_allclose(20 * np.log10(np.abs(response)), [-30.46, 5.89], atol=0.01)
