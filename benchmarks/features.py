"""Speed and agreement of log-mel features: speechlib, librosa, kaldi-native-fbank, python_speech_features.

    python benchmarks/features.py [--clips 3000] [--repeats 5] [--output benchmarks/results/features.json]

3,000 clips of 0.5 s from the book's corpus at 8 kHz, 40 bands, windows of 25 ms every 10 ms, one thread. The
contenders take turns, so that a busy moment of the machine meets them all; the median of the repeats counts.
Time is the processor time of this process: what other programs do meanwhile does not count.
"""

import argparse
import json
import time
from pathlib import Path

import kaldi_native_fbank
import librosa
import numpy as np
import python_speech_features
from circumstances import circumstances
from threadpoolctl import threadpool_limits

from speechlib import corpus, features

ROOT = Path(__file__).resolve().parents[1]
CODE = ["speechlib/features.py"]  # what the results depend on
PACKAGES = ["numpy", "scipy", "librosa", "kaldi_native_fbank", "python_speech_features"]
SR, SAMPLES, BANDS, SIZES = 8000, 4000, 40, {"n_fft": 256, "hop_length": 80, "win_length": 200}


def corpus_clips(count):
    """Digits of the corpus, cut or filled with zeros to half a second, repeated until there are `count`."""
    digits = [utterance.y[:SAMPLES] for utterance in corpus.digits()]
    clips = np.array([np.pad(y, (0, SAMPLES - len(y))) for y in digits])
    return np.resize(clips, (count, SAMPLES))


def librosa_log_mel(y):
    power = librosa.feature.melspectrogram(y=y, sr=SR, n_mels=BANDS, **SIZES)
    return np.swapaxes(np.log(np.maximum(power, 1e-10)), -1, -2)


def kaldi_log_mel(y):
    fbank = kaldi_native_fbank.OnlineFbank(kaldi_options())
    fbank.accept_waveform(SR, y * 32768)
    fbank.input_finished()
    return np.array([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])


def kaldi_options():
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = SR
    options.frame_opts.dither = 0.0
    options.mel_opts.num_bins = BANDS
    return options


def psf_log_mel(y):
    return python_speech_features.logfbank(y * 32768, SR, 0.025, 0.01, nfilt=BANDS, nfft=SIZES["n_fft"])


def contenders(clips):
    """Name -> (function that computes the features of all clips, whose features they should equal)."""
    single = clips.astype(np.float32)
    batch = features.log_mel_batch
    kaldi = {"convention": "kaldi", "fmin": 20.0}  # Kaldi's default for the lowest frequency
    return {
        "speechlib, batch, float32": (lambda: batch(single, SR, dtype=np.float32)[0], "librosa"),
        "speechlib, batch, float64": (lambda: batch(clips, SR)[0], "librosa"),
        "speechlib, clip by clip, float64": (
            lambda: np.array([features.log_mel(y, SR) for y in clips]),
            "librosa",
        ),
        "librosa, batch, float32": (lambda: librosa_log_mel(single), "librosa"),
        "librosa, clip by clip, float32": (
            lambda: np.array([librosa_log_mel(y) for y in single]),
            "librosa",
        ),
        "speechlib, batch, Kaldi's convention, float32": (
            lambda: batch(single, SR, dtype=np.float32, **kaldi)[0],
            "kaldi-native-fbank",
        ),
        "speechlib, batch, Kaldi's convention, float64": (
            lambda: batch(clips, SR, **kaldi)[0],
            "kaldi-native-fbank",
        ),
        "kaldi-native-fbank, clip by clip": (
            lambda: np.array([kaldi_log_mel(y) for y in single]),
            "kaldi-native-fbank",
        ),
        "python_speech_features, clip by clip": (lambda: np.array([psf_log_mel(y) for y in clips]), None),
    }


def measure(clips, repeats):
    """One row a contender: clips per second, and the difference from its reference, on the same clips."""
    runs = contenders(clips)
    references = {
        "librosa": librosa_log_mel(clips.astype(np.float32)),
        "kaldi-native-fbank": runs["kaldi-native-fbank, clip by clip"][0](),
    }
    rows, seconds = {}, {name: [] for name in runs}
    for name, (run, reference) in runs.items():
        values = run()  # warms up as well
        rows[name] = {"reference": reference, "largest_difference": None, "p99.9_difference": None}
        if reference:
            difference = np.abs(values - references[reference])
            rows[name]["largest_difference"] = float(difference.max())
            rows[name]["p99.9_difference"] = float(np.percentile(difference, 99.9))
    for _ in range(repeats):
        for name, (run, _) in runs.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    for name, row in rows.items():
        row["clips_per_second"] = len(clips) / float(np.median(seconds[name]))
        row["slowest_repeat"] = len(clips) / max(seconds[name])
        row["fastest_repeat"] = len(clips) / min(seconds[name])
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=3000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "features.json")
    options = parser.parse_args()
    with threadpool_limits(1):
        rows = measure(corpus_clips(options.clips), options.repeats)
    first = next(iter(rows.values()))["clips_per_second"]
    setting = {
        "clips": options.clips, "seconds_per_clip": SAMPLES / SR, "sr": SR, "n_mels": BANDS, **SIZES,
        "repeats": options.repeats,
    }
    result = {**circumstances(CODE, PACKAGES), "setting": setting, "rows": rows}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")

    print(f"{options.clips:,} clips of {SAMPLES / SR} s, one thread, median of {options.repeats} repeats")
    print(f"{result['cpu']}, {result['cores']} cores, load {result['load_average']}, {result['date']}")
    print(f"{'':46}{'clips/s':>8}{'ratio':>7}  {'max diff':>9}{'p99.9':>9}  compared with")
    for name, row in rows.items():
        line = f"{name:46}{row['clips_per_second']:8,.0f}{row['clips_per_second'] / first:7.2f}  "
        if row["reference"]:
            line += f"{row['largest_difference']:9.1e}{row['p99.9_difference']:9.1e}  {row['reference']}"
        else:
            line += f"{'-':>9}{'-':>9}  a convention of its own"
        print(line)


if __name__ == "__main__":
    main()
