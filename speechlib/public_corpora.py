"""Three public corpora of people speaking, each in the layout and with the splits of those who made it.

They are large: samples stay on disk and are read when asked for. Whether a sound file is whole shows when it
is read; a download is compared with its checksum as one archive, before it is unpacked.
"""

import csv
import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import soundfile

from speechlib import archives, audio
from speechlib.archives import Archive
from speechlib.utterances import COMMANDS, DIGITS, WORDS, Corpus, CorpusError, Recording, Utterance

# Sizes and SHA-256 as TensorFlow Datasets and torchaudio publish them, which agree. The last number is a
# bound on the unpacked files: flac does not shrink any more, wav does.
SPEECH_COMMANDS = Archive(
    "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
    2_428_923_189,
    "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
    2 * 2_428_923_189,
)
LIBRISPEECH = {
    subset: Archive(f"https://www.openslr.org/resources/12/{subset}.tar.gz", size, sha256, 2 * size)
    for subset, size, sha256 in (
        ("dev-clean", 337926286, "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3"),
        ("dev-other", 314305928, "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365"),
        ("test-clean", 346663984, "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23"),
        ("test-other", 328757843, "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29"),
        ("train-clean-100", 6387309499, "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2"),
        ("train-clean-360", 23049477885, "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf"),
        ("train-other-500", 30593501606, "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2"),
    )
}
COMMON_VOICE_SOURCE = "https://datacollective.mozillafoundation.org"
SEXES = {
    "M": "male",
    "F": "female",
    "male_masculine": "male",
    "female_feminine": "female",
    "do_not_wish_to_say": "",
}


# ---- Speech Commands ----


def speech_commands(
    root: str | os.PathLike | None = None, *, words: Sequence[str] | None = None, sr: int | None = None
) -> Corpus:
    """Speech Commands v2: 105,829 recordings of 35 words, about one second each, 16 kHz.

    Splits are the official ones: what validation_list.txt names is "dev", testing_list.txt "test", the rest
    "train". No speaker is in two of them. The long recordings of noise are kept apart:
    `speech_commands_noise`.

    Parameters
    ----------
    root : path, optional
        A local copy: the unpacked folder, with testing_list.txt in it, or the one above. Default: a copy in
        the user's cache, downloaded on first use (2.4 GB, and 3.4 GB unpacked).
    words : sequence of str, optional
        The words wanted, all 35 if not given. With nothing but digits (`DIGITS`) or nothing but the ten core
        commands (`WORDS`), the labels are those of `digits` and `words`, so that synthetic and human speech
        can be compared; else the places in `COMMANDS`.
    sr : int, optional [Hz]
        The rate wanted; recordings are resampled as they are read. Without it they keep their own.

    Returns
    -------
    Corpus
        Sorted by word, speaker and take. `take` is the number after ``_nohash_`` in the file's name,
        `speaker` what stands before it.

    Raises
    ------
    CorpusError
        If the folder is not a copy of Speech Commands v2, a file that a list names is missing, or the
        download fails.

    Notes
    -----
    Source: P. Warden, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition", 2018,
    arXiv:1804.03209; license CC BY 4.0. Its second archive, with a balanced test set, is not used.

    Examples
    --------
    >>> digits = speech_commands("speech_commands_v0.02", words=DIGITS, sr=8000)  # doctest: +SKIP
    """
    words, kind = _wanted_words(words)
    _check_rate(sr)
    folder = _speech_commands_folder(root)
    splits = {}
    for name, split in (("validation_list.txt", "dev"), ("testing_list.txt", "test")):
        for line in _lines(folder / name):
            if splits.setdefault(line, split) != split:
                raise CorpusError(f"{line} is in both lists of {folder}: get a fresh copy")
    utterances = []
    for word in words:
        if not (folder / word).is_dir():
            raise CorpusError(
                f"{folder} has no folder {word!r}, which version 2 of Speech Commands has: get a fresh copy, "
                "or name the words wanted"
            )
        for path in _sounds(folder / word, ".wav"):
            parts = re.fullmatch(r"([0-9a-f]+)_nohash_([0-9]+)\.wav", path.name)
            if not parts:
                raise CorpusError(
                    f"{path} is not named like a file of Speech Commands, <speaker>_nohash_<take>.wav: move "
                    "it away"
                )
            utterances.append(
                _person(
                    Recording(path, sr),
                    id=f"{word}/{path.stem}",
                    text=word,
                    speaker=parts[1],
                    split=splits.pop(f"{word}/{path.name}", "train"),
                    take=int(parts[2]),
                    kind=kind,
                )
            )
    missing = [name for name in splits if name.split("/")[0] in words]
    if missing:
        raise CorpusError(
            f"{len(missing)} of the files that the lists of {folder} name are missing, for example "
            f"{min(missing)}: get a fresh copy"
        )
    if not utterances:
        raise CorpusError(f"{folder} holds no recording of the words wanted: get a fresh copy")
    return Corpus(sorted(utterances, key=lambda one: (words.index(one.text), one.speaker, one.take)))


def speech_commands_noise(root: str | os.PathLike | None = None, *, sr: int | None = None) -> Corpus:
    """The background noise of Speech Commands: a few recordings of about a minute, for `audio.add_noise`.

    Parameters
    ----------
    root, sr
        As for `speech_commands`.

    Returns
    -------
    Corpus
        `text`, `speaker` and `split` are empty, `kind` is "noise".

    Raises
    ------
    CorpusError
        If the folder is not a copy of Speech Commands v2 with noise, or the download fails.

    Examples
    --------
    >>> noise = speech_commands_noise("speech_commands_v0.02")  # doctest: +SKIP
    >>> noise[0].id  # doctest: +SKIP
    'doing_the_dishes'
    """
    _check_rate(sr)
    folder = _speech_commands_folder(root) / "_background_noise_"
    paths = _sounds(folder, ".wav") if folder.is_dir() else []
    if not paths:
        raise CorpusError(f"{folder} holds no noise: get a fresh copy of Speech Commands")
    nobody = dict.fromkeys(("text", "speaker", "split", "voice", "engine", "accent"), "")
    return Corpus(
        Utterance(id=path.stem, y=sound, sr=sound, take=0, kind="noise", **nobody)
        for path in paths
        for sound in [Recording(path, sr)]
    )


def _wanted_words(words: Sequence[str] | None) -> tuple[Sequence[str], str]:
    """The words, and the kind that says how they are numbered."""
    if words is None:
        return COMMANDS, "commands"
    unknown = [words] if isinstance(words, str) else [word for word in words if word not in COMMANDS]
    if unknown or len(words) == 0 or len(set(words)) < len(words):
        raise CorpusError(f"words={words!r}: give a list of different words out of {', '.join(COMMANDS)}")
    if set(words) <= set(DIGITS):
        return words, "digits"
    return words, "words" if set(words) <= set(WORDS) else "commands"


def _speech_commands_folder(root: str | os.PathLike | None) -> Path:
    if root is None:
        folder = archives.cache() / "speech_commands_v0.02"
        archives.fetch(SPEECH_COMMANDS, folder, call="corpus.speech_commands('the unpacked folder')")
        return folder
    for folder in (Path(root), Path(root) / "speech_commands_v0.02"):
        if (folder / "testing_list.txt").is_file():
            return folder
    raise CorpusError(
        f"no Speech Commands in {root} (testing_list.txt is missing): give the folder into which "
        f"{SPEECH_COMMANDS.name} was unpacked, or leave root out to download it (2.4 GB)"
    )


# ---- LibriSpeech ----


def librispeech(root: str | os.PathLike | None = None, *, subset: str, sr: int | None = None) -> Corpus:
    """LibriSpeech: sentences read from English books, 16 kHz.

    Parameters
    ----------
    root : path, optional
        A local copy: the folder that holds ``LibriSpeech``, or that one, or the folder of the subset.
        Default: a copy in the user's cache, downloaded on first use.
    subset : str
        "dev-clean", "dev-other", "test-clean", "test-other" (0.3 GB each), "train-clean-100" (6.4 GB),
        "train-clean-360" (23 GB) or "train-other-500" (31 GB). "other" is harder to recognize. The split is
        the first part of the name.
    sr : int, optional [Hz]
        The rate wanted; recordings are resampled as they are read. Without it they keep their own.

    Returns
    -------
    Corpus
        Sorted by speaker, chapter and number. `text` is the official transcript (A to Z, apostrophes) in
        lower case, as everywhere in this package. `sex` is what SPEAKERS.TXT says, empty where that file is
        missing.

    Raises
    ------
    CorpusError
        If the subset is unknown or not there, a recording has no transcript or a transcript no recording,
        or the download fails.

    Notes
    -----
    Source: V. Panayotov, G. Chen, D. Povey, S. Khudanpur, "LibriSpeech: an ASR corpus based on public domain
    audio books", ICASSP 2015; openslr.org/12; license CC BY 4.0.

    Examples
    --------
    >>> dev = librispeech(subset="dev-clean")  # doctest: +SKIP
    >>> len(dev), dev[0].id  # doctest: +SKIP
    (2703, '84-121123-0000')
    """
    if subset not in list(LIBRISPEECH):
        raise CorpusError(f"no subset {subset!r} of LibriSpeech; there are: {', '.join(LIBRISPEECH)}")
    _check_rate(sr)
    folder = _librispeech_folder(root, subset)
    sexes = _librispeech_sexes(folder.parent / "SPEAKERS.TXT")
    utterances = []
    for chapter in sorted(path for path in folder.glob("[!.]*/[!.]*") if path.is_dir()):
        prefix = f"{chapter.parent.name}-{chapter.name}"
        texts = _transcripts(chapter / f"{prefix}.trans.txt")
        for path in _sounds(chapter, ".flac"):
            if not re.fullmatch(r"[0-9]+-[0-9]+-[0-9]+", path.stem) or path.stem.rpartition("-")[0] != prefix:
                raise CorpusError(f"{path} should have the name {prefix}-<number>.flac: move it away")
            if path.stem not in texts:
                raise CorpusError(f"{path} has no line in {prefix}.trans.txt: get a fresh copy of {subset}")
            utterances.append(
                _person(
                    Recording(path, sr),
                    id=path.stem,
                    text=texts.pop(path.stem),
                    speaker=chapter.parent.name,
                    split=subset.split("-")[0],
                    take=0,
                    kind="sentences",
                    sex=sexes.get(chapter.parent.name, ""),
                )
            )
        if texts:
            raise CorpusError(f"{min(texts)}.flac is missing from {chapter}: get a fresh copy of {subset}")
    if not utterances:
        raise CorpusError(f"{folder} holds no recordings: get a fresh copy of {subset}")
    return Corpus(sorted(utterances, key=lambda one: [int(part) for part in one.id.split("-")]))


def _librispeech_folder(root: str | os.PathLike | None, subset: str) -> Path:
    if root is None:
        archive = LIBRISPEECH[subset]
        folder = archives.cache() / "librispeech" / subset
        archives.fetch(archive, folder, call=f"corpus.librispeech('the unpacked folder', subset={subset!r})")
        return folder / "LibriSpeech" / subset
    root = Path(root)
    for folder in (root / "LibriSpeech" / subset, root / subset, root):
        if folder.name == subset and folder.is_dir():
            return folder
    raise CorpusError(
        f"no folder {subset} in {root} or {root / 'LibriSpeech'}: give the folder into which {subset}.tar.gz "
        "was unpacked, or leave root out to download it"
    )


def _librispeech_sexes(path: Path) -> dict[str, str]:
    """Speaker -> sex; the columns are speaker, sex, subset, minutes and name."""
    sexes = {}
    for line in _lines(path) if path.is_file() else ():
        if not line.startswith(";"):
            cells = [cell.strip() for cell in line.split("|")]
            if len(cells) < 5 or cells[1] not in SEXES:
                raise CorpusError(f"{line!r} in {path} is not 'speaker | M or F | ...': get a fresh copy")
            sexes[cells[0]] = SEXES[cells[1]]
    return sexes


def _transcripts(path: Path) -> dict[str, str]:
    """Utterance -> text."""
    texts = {}
    for line in _lines(path):
        name, _, text = line.partition(" ")
        if not text.strip():
            raise CorpusError(f"{name} has no text in {path}: get a fresh copy")
        if name in texts:
            raise CorpusError(f"{name} stands twice in {path}: get a fresh copy")
        texts[name] = " ".join(text.lower().split())
    return texts


# ---- Common Voice ----


def common_voice(root: str | os.PathLike, *, language: str, sr: int | None = None) -> Corpus:
    """Common Voice: sentences in over a hundred languages, read and recorded at home by volunteers.

    It cannot be downloaded without an account: get a language at datacollective.mozillafoundation.org,
    accept the terms there (nobody may try to find out who the speakers are) and unpack it.

    Parameters
    ----------
    root : path
        The unpacked folder (``cv-corpus-...``), or the folder of the language in it.
    language : str
        Its code there: "en", "de", "zh-CN", ...
    sr : int, optional [Hz]
        The rate wanted; recordings are resampled as they are read. Without it they keep their own.

    Returns
    -------
    Corpus
        The official splits, train.tsv, dev.tsv and test.tsv, in this order. `text` is the sentence after
        `normalize`. `sex` and `accent` are what speakers said about themselves, empty for most.

    Raises
    ------
    CorpusError
        If a table is missing or damaged, a recording that it names is missing or named twice, a sentence has
        no letters, or this build of libsndfile cannot read MP3.

    Notes
    -----
    Source: R. Ardila et al., "Common Voice: A Massively-Multilingual Speech Corpus", LREC 2020,
    arXiv:1912.06670; license CC0.

    Examples
    --------
    >>> people = common_voice("cv-corpus-21.0-2025-03-14", language="cy", sr=16_000)  # doctest: +SKIP
    """
    _check_rate(sr)
    if "MP3" not in soundfile.available_formats():
        raise CorpusError(
            f"libsndfile {soundfile.__libsndfile_version__} cannot read MP3: install soundfile 0.12 or "
            "newer, which brings a libsndfile that can"
        )
    folder = _common_voice_folder(root, language)
    present = {path.name for path in _sounds(folder / "clips", ".mp3")}
    utterances, seen = [], set()
    for split in ("train", "dev", "test"):
        table, missing = folder / f"{split}.tsv", []
        for number, row in _rows(table, language):
            path = folder / "clips" / row["path"]
            if row["path"] in seen:
                raise CorpusError(f"line {number} of {table} names {row['path']} again: get a fresh copy")
            seen.add(row["path"])
            if row["path"] not in present:
                missing.append(row["path"])
            text = normalize(row["sentence"], language)
            if not text:
                raise CorpusError(f"line {number} of {table} has no letters in its sentence: remove it")
            utterances.append(
                _person(
                    Recording(path, sr),
                    id=path.stem,
                    text=text,
                    speaker=row["client_id"],
                    split=split,
                    take=0,
                    kind="sentences",
                    accent=row.get("accents", row.get("accent", "")),
                    sex=SEXES.get(row.get("gender", ""), row.get("gender", "")),
                )
            )
        if missing:
            raise CorpusError(
                f"{len(missing)} of the recordings that {table} names are missing from clips, for example "
                f"{missing[0]}: unpack the archive again"
            )
    if not utterances:
        raise CorpusError(f"the tables in {folder} name no recordings: choose another language or version")
    return Corpus(utterances)


def _common_voice_folder(root: str | os.PathLike, language: str) -> Path:
    if not re.fullmatch(r"[A-Za-z]+(-[A-Za-z]+)*", language):
        raise CorpusError(f"language={language!r}: give a code like 'en', 'de' or 'zh-CN'")
    for folder in (Path(root) / language, Path(root)):
        if (folder / "train.tsv").is_file():
            return folder
    raise CorpusError(
        f"no Common Voice for {language!r} in {root} ({language}/train.tsv is missing): get it at "
        f"{COMMON_VOICE_SOURCE} (an account is needed), unpack it and give the folder cv-corpus-..."
    )


def _rows(table: Path, language: str):
    """The number of each line and its cells by name; quotes are part of the text in these tables."""
    lines = _lines(table, keep_empty=True)
    rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    try:
        lacking = {"client_id", "path", "sentence"} - set(rows.fieldnames or ())
        if lacking:
            raise CorpusError(f"{table} has no column {min(lacking)}: get a fresh copy")
        for row in rows:
            wrong = None
            if None in row or None in row.values():
                wrong = "has too few or too many cells"
            elif not row["client_id"]:
                wrong = "names no speaker"
            elif not re.fullmatch(r"[^./\\:][^/\\:]*\.mp3", row["path"]):
                wrong = f"names {row['path']!r}, which is not the plain name of an MP3 file"
            elif row.get("locale", language) != language:
                wrong = f"is in the language {row['locale']!r}, not {language!r}"
            if wrong:
                raise CorpusError(f"line {rows.line_num} of {table} {wrong}: get a fresh copy")
            yield rows.line_num, row
    except csv.Error as error:
        raise CorpusError(f"{table}, after line {rows.line_num}: {error}; get a fresh copy") from error


# ---- text ----

APOSTROPHES = "’‘ʼʹ´`′＇‛"
INNER = "'·׳״"  # punctuation that belongs to a word when it stands between letters: don't, col·lecció, צה״ל
JOINERS = "\u200c\u200d"  # invisible, and part of the spelling of Persian, Hindi, Malayalam


def normalize(text: str, language: str = "en") -> str:
    """Bring a sentence to the form in which recognized and reference texts are compared.

    Parameters
    ----------
    text : str
    language : str
        Only Turkish and Azerbaijani differ: I and İ are ı and i in lower case.

    Returns
    -------
    str
        In Unicode's composed form (NFC) and lower case. Apostrophes of all shapes are ``'``, and stay only
        between letters; all other punctuation and symbols become spaces, hyphens as well; invisible
        characters go; runs of spaces become one. Numbers in digits stay: spelling them out is another task.

    Examples
    --------
    >>> normalize("“Don’t!” — she said; it’s 5\\u202fo’clock…")
    "don't she said it's 5 o'clock"
    >>> normalize("IŞIK", "tr"), normalize("cafe\\u0301 au lait-cru")
    ('ışık', 'café au lait cru')
    """
    text = unicodedata.normalize("NFC", text)
    if language.split("-")[0] in ("tr", "az"):
        text = text.replace("I", "ı").replace("İ", "i")
    text = text.lower().translate(dict.fromkeys(map(ord, APOSTROPHES), "'"))
    kept = []
    for n, character in enumerate(text):
        category = unicodedata.category(character)
        if character in INNER:
            between = 0 < n < len(text) - 1 and _in_word(text[n - 1]) and _in_word(text[n + 1])
            kept.append(character if between else " ")
        elif category[0] in "PSZ" or category == "Cc":
            kept.append(" ")
        elif category[0] != "C" or character in JOINERS:
            kept.append(character)
    # Lower case, or the removal of something invisible, may have brought together what can be composed.
    return " ".join(unicodedata.normalize("NFC", "".join(kept)).split())


def _in_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"


# ---- the same for all ----


def _person(recording: Recording, *, speaker: str, accent: str = "", **about) -> Utterance:
    """An utterance on disk, not made by a synthesizer."""
    return Utterance(
        y=recording, sr=recording, speaker=speaker, voice=speaker, engine="human", accent=accent, **about
    )


def _check_rate(sr: int | None) -> None:
    try:
        if sr is not None:
            audio._check_rate(sr)
    except audio.AudioError as error:
        raise CorpusError(f"sr={sr!r}: {error}") from None


def _sounds(folder: Path, suffix: str) -> list[Path]:
    """The sound files of a folder, sorted, without what file managers leave behind (._name)."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise CorpusError(f"{folder} cannot be read ({error.strerror}): get a fresh copy") from error
    return [folder / name for name in names if name.endswith(suffix) and not name.startswith(".")]


def _lines(path: Path, keep_empty: bool = False) -> list[str]:
    """The lines of a text file in UTF-8."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path} is missing or cannot be read ({error}): get a fresh copy") from error
    # Not splitlines(): it also splits at characters that may stand in a sentence, such as U+2028.
    return [line for line in text.split("\n") if keep_empty or line.strip()]
