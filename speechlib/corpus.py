"""Which utterances there are: their text, speaker, split and samples, from this book or from people.

The synthetic corpus travels in ``data/`` and is read from there; nothing is downloaded. Real speech is read
from a local folder, or fetched once, and compared with its checksum before it is used.
"""

import csv
import hashlib
import io
import os
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

import numpy as np
import soundfile

from speechlib.archives import cache as _cache
from speechlib.public_corpora import (
    common_voice,
    librispeech,
    normalize,
    speech_commands,
    speech_commands_noise,
)
from speechlib.utterances import COMMANDS, DIGITS, WORDS, Corpus, CorpusError, Recording, Utterance

__all__ = [
    "Utterance",
    "Corpus",
    "digits",
    "strings",
    "words",
    "mandarin_digits",
    "fsdd",
    "speech_commands",
    "speech_commands_noise",
    "librispeech",
    "common_voice",
    "normalize",
    "Recording",
    "CorpusError",
    "COMMANDS",
    "DIGITS",
    "WORDS",
]

# ---- the corpus that travels with the book ----


def digits(split: str | None = None) -> Corpus:
    """Isolated English digits, "zero" to "nine", 8 kHz.

    Parameters
    ----------
    split : "train", "dev", "test" or None
        None means all three. No speaker is in two splits.

    Raises
    ------
    CorpusError
        If the split is unknown, or a file is missing or damaged (it is named).

    Examples
    --------
    >>> train = digits("train")
    >>> train[0].text, train[0].sr, train[0].y.dtype
    ('zero', 8000, dtype('float64'))
    """
    return _shipped("digits", split)


def strings(split: str | None = None) -> Corpus:
    """Strings of three to seven digits, each spoken in one breath; see `digits` for the rest.

    Examples
    --------
    >>> all(3 <= len(utterance.text.split()) <= 7 for utterance in strings("dev"))
    True
    """
    return _shipped("strings", split)


def words(split: str | None = None) -> Corpus:
    """The ten command words of `WORDS`; see `digits` for the rest.

    Examples
    --------
    >>> words("test").texts[:3]
    ['yes', 'no', 'up']
    """
    return _shipped("words", split)


def mandarin_digits(split: str | None = None) -> Corpus:
    """Isolated Mandarin digits; `text` is the digit's English name; see `digits` for the rest.

    All of them come from one engine's formant voices: there is no recorded person in this test split.

    Examples
    --------
    >>> mandarin_digits("test")[7].text  # a voice says "qī"
    'seven'
    """
    return _shipped("mandarin_digits", split)


def _data() -> Path:
    """The folder of the shipped corpus."""
    return Path(os.environ.get("SPEECHLIB_DATA") or Path(__file__).resolve().parent.parent / "data")


def _shipped(kind: str, split: str | None) -> Corpus:
    if split not in ("train", "dev", "test", None):
        raise CorpusError(f"no split {split!r}; there are: train, dev, test (or None for all)")
    root = _data()
    repair = "`git checkout -- data` restores it, `make data` makes it anew"
    if not (root / "SHA256SUMS").is_file():
        raise CorpusError(
            f"no corpus in {root} (SHA256SUMS is missing): {repair}; if it lies elsewhere, set SPEECHLIB_DATA"
        )
    sums = _read_sums((root / "SHA256SUMS").read_text(encoding="utf-8"))
    table = io.StringIO(_verified(root, "manifest.csv", sums, repair).decode("utf-8"))
    rows = [row for row in csv.DictReader(table) if row["kind"] == kind and split in (row["split"], None)]
    sounds = {}
    for name in dict.fromkeys(row["file"] for row in rows):
        sounds[name] = _decode(_verified(root, name, sums, repair), name)
    utterances = []
    for row in rows:
        y, sr = sounds[row["file"]]
        start, stop = int(row["start"]), int(row["start"]) + int(row["frames"])
        if not 0 <= start < stop <= len(y):
            raise CorpusError(f"manifest.csv puts {row['id']} outside of {row['file']}: {repair}")
        about = {name: row[name] for name in "id text speaker split voice engine accent kind".split()}
        utterances.append(Utterance(y=y[start:stop], sr=sr, take=int(row["take"]), **about))
    return Corpus(utterances)


# ---- real speech ----

FSDD_URL = (
    "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/26eb9aaf76e81b692f806f9140c2d2777410d7a1.zip"
)
FSDD_ACCENTS = {
    "george": "Greek",
    "jackson": "US",
    "lucas": "German",
    "nicolas": "Belgian French",
    "theo": "US",
    "yweweler": "German",
}


def fsdd(root: str | os.PathLike | None = None) -> Corpus:
    """The Free Spoken Digit Dataset: 3,000 English digits spoken by six people, 8 kHz.

    Splits are the official ones: takes 0 to 4 are "test", 5 to 49 "train". The same six people are in both;
    `Corpus.leave_one_speaker_out` asks the harder question.

    Parameters
    ----------
    root : path, optional
        A local copy: the folder that holds ``recordings``, or that folder itself; it is never changed.
        Default: the folder named by the environment variable ``SPEECHLIB_FSDD`` if that is set, else a copy
        in the user's cache, downloaded (about 16 MB) when files are missing there.

    Raises
    ------
    CorpusError
        If a file is missing or differs from its checksum, or the download fails.

    Notes
    -----
    Source: github.com/Jakobovski/free-spoken-digit-dataset, commit 26eb9aaf; license CC BY-SA 4.0.

    Examples
    --------
    >>> people = fsdd()  # doctest: +SKIP
    >>> people.speakers  # doctest: +SKIP
    ['george', 'jackson', 'lucas', 'nicolas', 'theo', 'yweweler']
    """
    sums = _read_sums(Path(__file__).with_name("fsdd.sha256").read_text(encoding="utf-8"))
    root = root or os.environ.get("SPEECHLIB_FSDD") or None
    if root is None:
        folder = _cache() / "fsdd" / "recordings"
        _fetch(FSDD_URL, folder, sums, inside="recordings", call="corpus.fsdd")
        repair = "call corpus.fsdd() again"
    else:
        folder = Path(root) / "recordings" if (Path(root) / "recordings").is_dir() else Path(root)
        if not folder.is_dir():
            raise CorpusError(f"no folder {folder}: give the folder that holds FSDD's recordings, or none")
        repair = f"get a fresh copy from {FSDD_URL}, or leave root out to download it"
    utterances = []
    for name in sums:
        digit, speaker, take = Path(name).stem.split("_")
        y, sr = _decode(_verified(folder, name, sums, repair), name)
        utterances.append(
            Utterance(
                id=Path(name).stem,
                y=y,
                sr=sr,
                text=DIGITS[int(digit)],
                speaker=speaker,
                split="test" if int(take) < 5 else "train",
                voice=speaker,
                engine="human",
                accent=FSDD_ACCENTS[speaker],
                take=int(take),
                kind="digits",
            )
        )
    return Corpus(sorted(utterances, key=lambda one: (one.speaker, DIGITS.index(one.text), one.take)))


# ---- reading, verifying and fetching files, the same for every corpus ----


def _read_sums(text: str) -> dict[str, str]:
    """File name -> SHA-256, from the format of sha256sum."""
    return {name: digest for digest, name in (line.split("  ", 1) for line in text.splitlines() if line)}


def _verified(root: Path, name: str, sums: dict[str, str], repair: str) -> bytes:
    """The content of a file, if it is what it should be."""
    if name not in sums:
        raise CorpusError(f"{name} is in the manifest but has no checksum in SHA256SUMS of {root}: {repair}")
    try:
        content = (root / name).read_bytes()
    except OSError as error:
        raise CorpusError(f"{name} is missing from {root} ({error.strerror}): {repair}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sums[name]:
        raise CorpusError(
            f"{name} in {root} is damaged (SHA-256 {found[:12]}… instead of {sums[name][:12]}…): {repair}"
        )
    return content


def _decode(content: bytes, name: str) -> tuple[np.ndarray, int]:
    try:
        return soundfile.read(io.BytesIO(content), dtype="float64")
    except soundfile.LibsndfileError as error:
        raise CorpusError(f"{name} cannot be decoded ({error}): is libsndfile older than 1.1?") from error


def _download(url: str, path: Path) -> None:
    """Download with a progress bar; any failure is an OSError."""
    import pooch

    pooch.HTTPDownloader(progressbar=True)(url, str(path), None)


def _fetch(url: str, folder: Path, sums: dict[str, str], *, inside: str, call: str) -> None:
    """Bring a folder to the state that the checksums describe, from a zip archive on the network.

    Files that are already right are kept, so an interrupted call can be repeated. Each new file is verified
    in memory, written beside its place and then renamed: at its place is the right file or none. The archive
    itself has no checksum, because GitHub packs it anew; its members have.

    Parameters
    ----------
    url : str
        The archive; its members lie in one top folder.
    folder : Path
    sums : dict
        File name (relative to `folder`) -> SHA-256.
    inside : str
        The folder of the archive, below its top folder, that corresponds to `folder`.
    call : str
        What a reader calls to get this corpus, for the messages.
    """
    wanted = {name for name, digest in sums.items() if not _is(folder / name, digest)}
    if not wanted:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        archive = Path(temporary) / "archive.zip"
        try:
            _download(url, archive)
        except OSError as error:
            raise CorpusError(
                f"cannot download {url} ({error}). Without a network: get this file on another machine, "
                f"unpack it here and call {call}('the unpacked folder')"
            ) from error
        try:
            with zipfile.ZipFile(archive) as members:
                for member in members.namelist():
                    path = PurePosixPath(member)
                    if path.is_absolute() or ".." in path.parts or "\\" in member:
                        raise CorpusError(f"{url} holds the unsafe path {member!r}: nothing was unpacked")
                for member in members.namelist():
                    name = "/".join(PurePosixPath(member).parts[1:]).removeprefix(inside + "/")
                    if name in wanted:
                        content = members.read(member)
                        if hashlib.sha256(content).hexdigest() != sums[name]:
                            raise CorpusError(f"{name} in {url} differs from its checksum: do not use it")
                        part = Path(temporary) / "part"
                        part.write_bytes(content)
                        os.replace(part, folder / name)
                        wanted.remove(name)
        except (zipfile.BadZipFile, EOFError, zlib.error) as error:
            raise CorpusError(f"the download of {url} broke off ({error}): call {call}() again") from error
    if wanted:
        raise CorpusError(f"{url} lacks {len(wanted)} of the files, for example {min(wanted)}")


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest
