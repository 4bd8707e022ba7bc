"""Damaged files and odd arrays: an answer or an AudioError, never anything else.

The mutations run in a process of their own, so that a crash or a hang of the decoder is a failed test and
not the end of all tests.
"""

import os
import subprocess
import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from speechlib import audio

MUTATIONS = 500  # of each of these files
FILES = {
    "int16.wav": dict(subtype="PCM_16"),
    "int24.wav": dict(subtype="PCM_24"),
    "float.wav": dict(subtype="FLOAT"),
    "law.wav": dict(subtype="ULAW"),
    "stereo.wav": dict(subtype="PCM_16", channels=2),
    "double.wav": dict(subtype="DOUBLE", channels=2),
    "int16.flac": dict(subtype="PCM_16"),
    "int24.flac": dict(subtype="PCM_24", channels=2),
}
EXTREME = [
    0,
    1,
    2,
    7,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFF0,
    0xFFFFFFFF,
]


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """One to three injuries of a file."""
    b = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        kind = rng.choice(["flip", "header", "word", "number", "length", "cut", "drop", "insert", "noise"])
        if not b:
            break
        if kind == "flip":  # a bit anywhere
            b[rng.integers(len(b))] ^= 1 << rng.integers(8)
        elif kind == "header":  # a bit where it hurts
            b[rng.integers(min(len(b), 64))] ^= 1 << rng.integers(8)
        elif kind in ("word", "number"):  # 16 or 32 bits of the header, in either byte order
            size, order = (2, "little") if kind == "word" else (4, rng.choice(["little", "big"]))
            at = rng.integers(min(len(b), 64))
            b[at : at + size] = (int(rng.choice(EXTREME)) % 256**size).to_bytes(size, order)
        elif kind == "length" and b[:4] == b"fLaC":  # the 36 bits that announce the number of samples
            bits = int.from_bytes(b[18:26], "big") >> 36 << 36 | int(rng.integers(2 ** rng.integers(1, 37)))
            b[18:26] = bits.to_bytes(8, "big")
        elif kind == "length":  # what follows "data"
            at = b.find(b"data") + 4
            b[at : at + 4] = int(rng.integers(2 ** rng.integers(1, 33))).to_bytes(4, "little")
        elif kind == "cut":
            del b[rng.integers(len(b) + 1) :]
        elif kind == "drop":
            at = rng.integers(len(b))
            del b[at : at + rng.integers(1, 200)]
        elif kind == "insert":
            at = rng.integers(len(b))
            b[at:at] = rng.bytes(rng.integers(1, 200))
        elif kind == "noise":
            at, size = rng.integers(len(b)), rng.integers(1, 100)
            b[at : at + size] = rng.bytes(min(size, len(b) - at))
    return bytes(b)


def load_mutations(folder: Path) -> None:
    """Load mutated copies of each file; a line for each, written before it is tried, names a culprit."""
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", audio.AudioWarning)
    tracemalloc.start()
    for seed, (name, form) in enumerate(FILES.items()):
        rng = np.random.default_rng(seed)
        tone = 0.3 * np.sin(np.arange(1200) / 3)[:, np.newaxis]
        path = folder / name
        noise = rng.uniform(-0.1, 0.1, (1200, form.get("channels", 1)))
        soundfile.write(path, tone + noise, 8000, subtype=form["subtype"])
        original = path.read_bytes()
        for number in range(MUTATIONS):
            path.write_bytes(mutate(original, rng))
            print(name, number, end=" ", flush=True)
            tracemalloc.reset_peak()
            try:
                y, sr = audio.load(path, sr=8000 if number % 4 == 0 else None)
            except audio.AudioError as error:
                assert len(str(error)) > 20
                print("refused")
            else:
                assert y.dtype == np.float64 and y.ndim == 1 and np.isfinite(y).all()
                assert len(y) >= 0.025 * sr and np.abs(y).max() < 100
                print("loaded")
            peak = tracemalloc.get_traced_memory()[1]
            assert peak < 100e6, f"{peak / 1e6:.0f} MB for a file of {path.stat().st_size} bytes"


def test_mutated_files(tmp_path):
    root = str(Path(__file__).parents[1])
    result = subprocess.run(
        [sys.executable, __file__, tmp_path],
        capture_output=True,
        text=True,
        timeout=150,
        env={**os.environ, "PYTHONPATH": root},
    )
    lines = [line.split() for line in result.stdout.splitlines()]
    assert result.returncode == 0, f"at {lines[-1:]}:\n{result.stderr}"
    assert len(lines) == MUTATIONS * len(FILES) >= 2000
    for name in FILES:
        outcomes = [line[2] for line in lines if line[0] == name]
        # Were all of them refused, or none, the mutations would test nothing.
        assert 0.05 < outcomes.count("loaded") / MUTATIONS < 0.95, name


@settings(max_examples=300, deadline=None)
@given(
    y=arrays.arrays(
        dtype=st.one_of(
            arrays.floating_dtypes(), arrays.integer_dtypes(), arrays.unsigned_integer_dtypes(), st.just("?")
        ),
        shape=st.one_of(
            st.just((300,)), arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=400)
        ),
    ),
    sr=st.one_of(st.just(8000), st.integers(-10, 10**6)),
)
def test_any_array(y, sr):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", audio.AudioWarning)
        try:
            sound = audio.check(y, sr)
        except audio.AudioError:
            return
    assert sound.dtype == np.float64 and sound.ndim == 1 and np.isfinite(sound).all()
    assert np.abs(sound).max() <= 8


if __name__ == "__main__":
    load_mutations(Path(sys.argv[1]))
