"""Make the corpus of the book: synthetic speech with people behind it, the same bytes every time.

    python data/make_corpus.py                         make everything in data/ anew
    python data/make_corpus.py --sample 6 --out DIR    make 6 of the files in DIR, to compare
    python data/make_corpus.py --check                 compare data/ with its checksums (needs no engine)

The engines are Debian's espeak-ng, flite and festival (packages in ``PACKAGES``). A voice is one engine
speaking as one person at one warp; a *speaker* is the person, whichever engine or warp. Splits are made by
speaker, so no test speaker is ever heard in training.
"""

import argparse
import csv
import hashlib
import io
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import scipy
import soundfile
from scipy.signal import resample_poly

HERE = Path(__file__).resolve().parent
SR = 8000  # Hz
PEAK = 10 ** (-1 / 20)  # -1 dB
STEP = 2**5  # 16-bit samples rounded to multiples of 32: 11 bits, which FLAC stores as 11
MARGIN = 0.03  # seconds of near silence kept on each side
FLOOR = 10 ** (-40 / 20)  # what is 40 dB below the loudest 10 ms is silence

DIGITS = "zero one two three four five six seven eight nine".split()
WORDS = "yes no up down left right on off stop go".split()
COLUMNS = "id file start frames text kind voice speaker engine accent take rate pitch split".split()
PACKAGES = (
    "espeak-ng espeak-ng-data libespeak-ng1 flite libflite1 festival libestools2.5 "
    "festlex-cmu festlex-poslex festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts"
).split()

ACCENTS = (
    "en-us en-gb en-gb-scotland en-gb-x-gbclan en-gb-x-rp en-gb-x-gbcwmd en-029 en-us-nyc"
).split()
# espeak-ng's variants. Near copies of one another are on the same side of a split or left out. Also left out:
# whispers, monsters, and what a classifier trained on people did not understand (Alicia, Lee, RicishayMax2
# and 3, kaukovalta, marcelo, norbert, shelby, zac).
ESPEAK_TRAIN = (
    "f1 m1 klatt2 Alex aunty m2 adam Diogo linda m3 klatt4 Hugo grandma m4 benjamin Mike Andrea m5 david "
    "Nguyen Annie m6 edward max robosoft4 m7 miguel Andy Marco AnxiousAndy grandpa announcer travis "
    "robosoft6 RicishayMax robosoft2"
).split()
ESPEAK_DEV = "f2 Michael f3 Denis f4 ed f5 Gene anika boris Storm gustave Jacky paul victor".split()
ESPEAK_TEST = "steph Mario belinda rob antonio pedro".split()  # Mandarin only: English is tested on people


@dataclass(frozen=True)
class Voice:
    """One engine speaking as one person, played back `warp` times as fast as it was made."""

    speaker: str
    engine: str
    model: str  # what the engine calls it
    accent: str
    split: str
    warp: int = 100  # percent

    @property
    def name(self):
        accent = self.accent.removeprefix("en-").removeprefix("gb-x-")
        return f"{self.speaker}-{self.engine}-{accent if self.engine == 'espeak' else f'{self.warp:03}'}"


def espeak(variants, split, accents=ACCENTS):
    """One voice a variant, the accents in turn."""
    pairs = zip(variants, itertools.cycle(accents), strict=False)
    return [Voice(name.lower(), "espeak", f"{accent}+{name}", accent, split) for name, accent in pairs]


def person(speaker, engine, model, accent, split, warps):
    """One voice a warp."""
    return [Voice(speaker, engine, model, accent, split, warp) for warp in warps]


PEOPLE_TRAIN = [
    *person("kal", "flite", "kal16", "en-us", "train", (90, 98, 106, 114)),
    *person("kal", "festival", "kal_diphone", "en-us", "train", (88, 94, 102, 110)),
    *person("ked", "festival", "ked_diphone", "en-us", "train", (88, 92, 96, 99, 102, 106, 110, 114)),
    *person("awb", "flite", "awb", "en-gb-scotland", "train", (88, 92, 96, 99, 102, 106, 110, 114)),
]
RMS = person("rms", "flite", "rms", "en-us", "test", (88, 90, 93, 95, 98, 100, 103, 106, 108, 111, 114))
SLT = [
    *person("slt", "flite", "slt", "en-us", "test", (88, 93, 98, 103, 108, 114)),
    *person("slt", "festival", "cmu_us_slt_arctic_hts", "en-us", "test", (90, 95, 100, 106, 111)),
]
TRAIN, DEV, PEOPLE_TEST = espeak(ESPEAK_TRAIN, "train"), espeak(ESPEAK_DEV, "dev"), RMS + SLT

# kind -> (voices, takes): how often each voice says each word; for strings, how many strings it says
PLAN = {
    "digits": [(TRAIN, 2), (PEOPLE_TRAIN, 2), (DEV, 2), (PEOPLE_TEST, 5)],
    "strings": [(TRAIN, 3), (PEOPLE_TRAIN, 6), (DEV, 3), (PEOPLE_TEST, 4)],
    "words": [(TRAIN[::3], 1), (PEOPLE_TRAIN, 1), (DEV[::2], 1), (RMS[::2] + SLT[::2], 2)],
    "mandarin_digits": [
        (espeak(ESPEAK_TRAIN[::3], "train", ["cmn"]), 1),
        (espeak(ESPEAK_DEV[::2], "dev", ["cmn"]), 1),
        (espeak(ESPEAK_TEST, "test", ["cmn"]), 2),
    ],
}


@dataclass(frozen=True)
class Take:
    """What one utterance says, and how: rate and pitch as multiples of the engine's normal ones."""

    id: str
    text: str
    prompt: str
    take: int
    rate: float
    pitch: float


def random_for(*names):
    """A generator that depends on the names alone, so that one file can be made without the others."""
    return np.random.default_rng(zlib.crc32("/".join(names).encode()))


def takes(voice, kind, count):
    """The utterances of one file, in order."""
    rng = random_for(voice.name, kind)
    words = WORDS if kind == "words" else DIGITS
    if kind == "strings":
        texts = [" ".join(rng.choice(DIGITS, size=rng.integers(3, 8))) for _ in range(count)]
        names = [(f"{n:02}", text, n) for n, text in enumerate(texts)]
    else:
        names = [(f"{word}-{take}", word, take) for take in range(count) for word in words]
    result = []
    for name, text, take in names:
        # A higher voice goes with a shorter vocal tract, so the pitch follows the warp.
        rate, pitch = rng.uniform(0.85, 1.25), voice.warp / 100 * rng.uniform(0.9, 1.12)
        if (voice.engine, voice.speaker) in (("flite", "rms"), ("festival", "slt")):
            pitch = voice.warp / 100  # these two models take no pitch from outside
        prompt = text + str(rng.choice([".", "?", "!", ",", ""]))
        if kind == "mandarin_digits":
            prompt = str(DIGITS.index(text))  # no punctuation: in Mandarin the melody is the word
        elif kind == "strings" and rng.random() < 0.3:
            spoken = text.split()
            pause = rng.integers(1, len(spoken))
            prompt = prompt.replace(text, " ".join(spoken[:pause]) + ", " + " ".join(spoken[pause:]))
        identity = f"{kind}-{voice.name}-{name}"
        result.append(Take(identity, text, prompt, take, round(float(rate), 3), round(float(pitch), 3)))
    return result


def speak(voice, batch, folder):
    """Have the engine say a list of takes; return (samples, rate in Hz) for each."""
    paths = [Path(folder) / f"{n}.wav" for n in range(len(batch))]
    # What is played back `warp` times as fast and as high is made that much slower and lower.
    warp = voice.warp / 100
    if voice.engine == "festival":
        lines = [f"(voice_{voice.model})"]
        for take, path in zip(batch, paths, strict=True):
            rate, pitch = take.rate / warp, take.pitch / warp
            if voice.speaker == "slt":
                lines.append(
                    f"(set! hts_engine_params (cons '(\"-r\" {rate:.4f}) "
                    "cmu_us_slt_arctic_hts::hts_engine_params))"
                )
            else:
                lines.append(f"(Parameter.set 'Duration_Stretch {1.1 / rate:.4f})")
                lines.append(
                    f"(set! int_lr_params '((target_f0_mean {105 * pitch:.2f}) (target_f0_std 14)"
                    " (model_f0_mean 170) (model_f0_std 34)))"
                )
            lines.append(f'(utt.save.wave (utt.synth (Utterance Text "{take.prompt}")) "{path}")')
        script = Path(folder) / "say.scm"
        script.write_text("\n".join(lines) + "\n")
        run("festival", "-b", script)
    for take, path in zip(batch, paths, strict=True):
        rate, pitch = take.rate / warp, take.pitch / warp
        if voice.engine == "espeak":
            speed, height = round(165 * rate), round(50 * pitch)
            run("espeak-ng", "-v", voice.model, "-s", speed, "-p", height, "-w", path, "--", take.prompt)
        elif voice.engine == "flite":
            diphones = voice.speaker == "kal"  # told its pitch in Hz; the statistical voices as a ratio
            tone = f"int_f0_target_mean={100 * pitch:.2f}" if diphones else f"f0_shift={pitch:.4f}"
            settings = ["--setf", f"duration_stretch={1 / rate:.4f}", "--setf", tone]
            run("flite", "-voice", voice.model, *settings, "-t", take.prompt, "-o", path)
    return [soundfile.read(path) for path in paths]


def run(*command):
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")


def tidy(y, sr, warp):
    """Play back faster, bring to 8 kHz, trim, scale to -1 dB and round to 11 bits."""
    # Where the word is, is decided before the rate is lowered: at 8 kHz little is left of an "s".
    hop = sr // 100
    level = np.sqrt(np.mean(y[: len(y) // hop * hop].reshape(-1, hop) ** 2, axis=1))
    loud = np.flatnonzero(level > FLOOR * level.max())
    margin = int(MARGIN * sr)
    y = y[max(0, loud[0] * hop - margin) : (loud[-1] + 1) * hop + margin]
    ratio = Fraction(SR * 100, sr * warp)
    y = resample_poly(y, ratio.numerator, ratio.denominator)
    y = y * (PEAK / np.abs(y).max())
    return (np.rint(y * 32768 / STEP) * STEP).astype(np.int16)


def make_file(kind, voice, count, out):
    """Make one FLAC file and return its lines of the manifest."""
    batch = takes(voice, kind, count)
    with tempfile.TemporaryDirectory() as folder:
        clips = [tidy(y, sr, voice.warp) for y, sr in speak(voice, batch, folder)]
    name = f"{kind}/{voice.name}.flac"
    sound = io.BytesIO()
    soundfile.write(sound, np.concatenate(clips), SR, format="FLAC", subtype="PCM_16", compression_level=1.0)
    replace(out / name, sound.getvalue())
    rows, start = [], 0
    for take, clip in zip(batch, clips, strict=True):
        who = [voice.name, voice.speaker, voice.engine, voice.accent]
        how = [take.take, f"{take.rate:.3f}", f"{take.pitch:.3f}", voice.split]
        rows.append([take.id, name, start, len(clip), take.text, kind, *who, *how])
        start += len(clip)
    return rows


def replace(path, content):
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(content)
    os.replace(temporary, path)


def jobs():
    """Every file of the corpus, in the order of the manifest: (kind, voice, count)."""
    return [
        (kind, voice, count) for kind, groups in PLAN.items() for voices, count in groups for voice in voices
    ]


def versions():
    """The versions that the bytes depend on, one a line."""
    query = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *PACKAGES]
    debian = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    libsndfile = soundfile.__libsndfile_version__
    python = [f"libsndfile {libsndfile}", f"numpy {np.__version__}", f"scipy {scipy.__version__}"]
    return "".join(f"{line}\n" for line in [*sorted(debian.splitlines()), *python])


def missing():
    """The engines and voices that are not installed."""
    programs = [name for name in ("espeak-ng", "flite", "festival") if shutil.which(name) is None]
    installed = []
    if shutil.which("dpkg-query"):
        query = ["dpkg-query", "-W", "-f", "${Package}\n", *PACKAGES]
        installed = subprocess.run(query, capture_output=True, text=True).stdout.split()
    return sorted({*programs, *(name for name in PACKAGES if name not in installed)})


def sums(out):
    """SHA-256 of every data file in a folder, in the format of sha256sum."""
    paths = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.flac"))
    names = [*paths, *(name for name in ("VERSIONS", "manifest.csv") if (out / name).is_file())]
    return "".join(f"{hashlib.sha256((out / name).read_bytes()).hexdigest()}  {name}\n" for name in names)


def make(out, chosen):
    """Make the chosen files on two cores and write their manifest, the versions and the checksums."""
    with ThreadPoolExecutor(2) as pool:
        rows = [row for part in pool.map(lambda job: make_file(*job, out), chosen) for row in part]
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([COLUMNS, *rows])
    replace(out / "manifest.csv", table.getvalue().encode())
    replace(out / "VERSIONS", versions().encode())
    for path in set(out.rglob("*.flac")) - {out / f"{kind}/{voice.name}.flac" for kind, voice, _ in chosen}:
        path.unlink()  # a file of an earlier plan
    replace(out / "SHA256SUMS", sums(out).encode())
    return rows


def main():
    parser = argparse.ArgumentParser(description="Make the corpus, a sample of it, or check it.")
    parser.add_argument("--sample", type=int, metavar="N", help="make only N files, spread over the corpus")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: this one)")
    parser.add_argument("--check", action="store_true", help="compare the folder with its checksums")
    options = parser.parse_args()
    if options.check:
        if sums(options.out) != (options.out / "SHA256SUMS").read_text():
            sys.exit("data/ differs from its checksums: `git checkout -- data` or `make data` mends it")
        print("every file matches its checksum")
        return
    if options.sample and options.out == HERE:
        parser.error("--sample needs --out, or it would replace the corpus by its sample")
    if missing():
        sys.exit("missing from Debian: " + " ".join(missing()) + " (install them with apt-get install)")
    everything = jobs()
    chosen = everything
    if options.sample:
        step = len(everything) / options.sample
        chosen = [everything[int((i + 0.5) * step)] for i in range(options.sample)]
    rows = make(options.out, chosen)
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file()) / 1e6
    print(f"{len(rows)} utterances in {len(chosen)} files, {size:.2f} MB in {options.out}")


if __name__ == "__main__":
    main()
