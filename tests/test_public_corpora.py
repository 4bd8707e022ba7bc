"""The public corpora, on small trees of their layout; whatever is wrong there is refused, with advice."""

import copy
import dataclasses
import errno
import functools
import hashlib
import http.server
import io
import os
import pickle
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tqdm
from hypothesis import given, settings
from hypothesis import strategies as st

from speechlib import archives, audio, corpus, public_corpora
from speechlib.corpus import Corpus, CorpusError, Utterance


def tone(seconds=0.2, sr=16_000, seed=0):
    """Something to write into a file: a tone whose height depends on `seed`."""
    return 0.5 * np.sin(2 * np.pi * (200 + 37 * seed) * np.arange(int(seconds * sr)) / sr)


@functools.cache
def encoded(suffix, sr, seed):
    sound = io.BytesIO()
    soundfile.write(sound, tone(sr=sr, seed=seed), sr, format=suffix)
    return sound.getvalue()


def write(path, sr=16_000, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(path.suffix[1:], sr, seed))


def content(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# ---- samples on disk ----


@pytest.fixture
def recording(tmp_path):
    write(tmp_path / "a.flac", sr=16_000)
    return corpus.Recording(tmp_path / "a.flac")


ABOUT = {
    "text": "a",
    "speaker": "s",
    "split": "dev",
    "voice": "s",
    "engine": "human",
    "accent": "",
    "take": 0,
}


def on_disk(recording):
    return Utterance(id="a", y=recording, sr=recording, kind="sentences", **ABOUT)


def test_samples_are_those_of_the_file_and_are_not_kept(recording):
    utterance = on_disk(recording)
    direct, sr = soundfile.read(recording.path)
    assert np.array_equal(utterance.y, direct) and utterance.sr == sr == 16_000
    assert utterance.y.dtype == np.float64 and utterance.y is not utterance.y
    assert utterance.on_disk and utterance.seconds == len(direct) / sr


def test_samples_come_at_the_rate_asked_for(recording):
    utterance = on_disk(dataclasses.replace(recording, target=8000))
    assert utterance.sr == 8000
    assert np.array_equal(utterance.y, audio.resample(soundfile.read(recording.path)[0], 16_000, 8000))
    assert utterance.seconds == 0.2


def test_an_utterance_on_disk_is_an_utterance(recording):
    utterance = on_disk(recording)
    for other in (pickle.loads(pickle.dumps(utterance)), copy.deepcopy(utterance), copy.copy(utterance)):
        assert other.on_disk and np.array_equal(other.y, utterance.y)
    louder = dataclasses.replace(utterance, y=utterance.y * 2)
    assert not louder.on_disk and louder.sr == 16_000 and louder.id == "a" and utterance.on_disk
    with pytest.raises(dataclasses.FrozenInstanceError):
        utterance.y = np.zeros(3)
    with pytest.raises(TypeError, match="y"):
        Utterance(id="a", sr=8000, kind="digits", **ABOUT)


def test_what_is_printed_opens_no_file(recording):
    pair = Corpus([on_disk(recording)] * 2)
    assert (
        pair.manifest
        == [{"id": "a", "sr": 16_000, **ABOUT, "kind": "sentences", "sex": "", "seconds": 0.2}] * 2
    )
    recording.path.unlink()
    assert repr(pair) == "Corpus(2 utterances, 1 speakers, on disk)"
    assert repr(pair[0]).startswith("Utterance(id='a', sr=Recording(") and "y=" not in repr(pair[0])
    assert len(pair.split("dev")) == 2 and pair.filter(lambda one: one.text != "a").texts == []


def test_an_utterance_in_memory_prints_as_before():
    utterance = Utterance(id="a", y=np.zeros(4000), sr=8000, kind="digits", **ABOUT)
    assert repr(utterance).startswith("Utterance(id='a', sr=8000, text='a', speaker='s', split='dev'")
    assert repr(Corpus([utterance] * 6)) == "Corpus(6 utterances, 1 speakers, 3 s)"


def _cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _stereo(path):
    soundfile.write(path, np.zeros((100, 2)), 16_000)


BROKEN = {
    "missing": (lambda path: path.unlink(), "No such file"),
    "empty": (lambda path: path.write_bytes(b""), "empty"),
    "not sound": (lambda path: path.write_bytes(b"<html>404</html>" * 99), "not readable as sound"),
    "cut": (_cut, "not readable|announce"),
    "no samples": (lambda path: soundfile.write(path, np.zeros(0), 16_000), "at least one|empty"),
    "two channels": (_stereo, "one channel"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "directory"),
}


# An MP3 file of no samples cannot be written.
BREAKABLE = [(name, suffix) for name in BROKEN for suffix in ("flac", "wav", "mp3")]
BREAKABLE.remove(("no samples", "mp3"))


@pytest.mark.parametrize(("name", "suffix"), BREAKABLE)
def test_a_broken_file_is_refused_by_name_when_it_is_read(tmp_path, name, suffix):
    path = tmp_path / f"é 1.{suffix}"
    write(path)
    damage, message = BROKEN[name]
    utterance = on_disk(corpus.Recording(path))
    damage(path)
    with pytest.raises(CorpusError, match=message) as error:
        _ = utterance.y
    assert str(path) in str(error.value) and "again" in str(error.value)


def test_a_float_file_with_nan_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([0.1, np.nan, 0.2]), 8000, subtype="FLOAT")
    with pytest.raises(CorpusError, match="finite"):
        corpus.Recording(tmp_path / "a.wav").samples()


def test_the_header_of_a_broken_file_is_refused(tmp_path):
    (tmp_path / "a.mp3").write_bytes(b"nothing")
    for ask in (corpus.Recording.rate, corpus.Recording.seconds):
        with pytest.raises(CorpusError, match="a.mp3 cannot be used"):
            ask(corpus.Recording(tmp_path / "a.mp3"))


def test_labels_tell_the_lists_of_words_apart():
    def said(text, kind):
        return Utterance(id=text, y=np.zeros(9), sr=8000, **(ABOUT | {"text": text}), kind=kind)

    assert Corpus([said("zero", "digits"), said("two", "mandarin_digits")]).labels.tolist() == [0, 2]
    assert Corpus([said("no", "words")]).labels.tolist() == [1]
    everything = Corpus(said(word, "commands") for word in reversed(corpus.COMMANDS))
    assert everything.labels.tolist() == list(range(34, -1, -1)) and everything[:1].labels.tolist() == [34]
    assert Corpus([]).labels.tolist() == []
    for mixed in ([("zero", "digits"), ("yes", "words")], [("zero", "digits"), ("zero", "commands")]):
        with pytest.raises(CorpusError, match="mixed"):
            _ = Corpus(said(*each) for each in mixed).labels
    with pytest.raises(CorpusError, match="'cat', which has no class"):
        _ = Corpus([said("zero", "commands"), said("cat", "words")]).labels


# ---- Speech Commands ----


@pytest.fixture
def commands(tmp_path):
    """Version 2 in small: each word three times, by two people, one of them in dev."""
    root = tmp_path / "speech_commands_v0.02"
    for seed, word in enumerate(corpus.COMMANDS):
        for name in ("0a2b400e_nohash_0", "0a2b400e_nohash_1", "fff00000_nohash_0"):
            write(root / word / f"{name}.wav", seed=seed)
    write(root / "_background_noise_" / "pink_noise.wav")
    write(root / "_background_noise_" / "doing_the_dishes.wav", seed=5)
    (root / "_background_noise_" / "README.md").write_text("not sound")
    (root / "validation_list.txt").write_text("zero/fff00000_nohash_0.wav\nup/fff00000_nohash_0.wav\n")
    (root / "testing_list.txt").write_text("zero/0a2b400e_nohash_1.wav\n")
    for name in ("README.md", "LICENSE", ".DS_Store", "zero/._0a2b400e_nohash_0.wav", "zero/notes.txt"):
        (root / name).write_text("left behind")
    return root


def test_speech_commands_has_35_words_speakers_takes_and_official_splits(commands):
    everything = corpus.speech_commands(commands)
    assert len(everything) == 105 and sorted(set(everything.texts)) == list(corpus.COMMANDS)
    assert everything.speakers == ["0a2b400e", "fff00000"]
    assert {one.id for one in everything.split("dev")} == {"zero/fff00000_nohash_0", "up/fff00000_nohash_0"}
    (test,) = everything.split("test")
    assert (test.id, test.take, test.speaker, test.text) == ("zero/0a2b400e_nohash_1", 1, "0a2b400e", "zero")
    assert len(everything.split("train")) == 102 and {one.kind for one in everything} == {"commands"}
    assert everything.labels.tolist() == sorted(list(range(35)) * 3)
    assert len({one.id for one in everything}) == 105 and test.engine == "human" and test.sr == 16_000
    assert [one.id for one in corpus.speech_commands(commands.parent)] == [one.id for one in everything]


def test_speech_commands_words_are_labelled_like_the_synthetic_ones(commands):
    core = corpus.speech_commands(commands, words=corpus.WORDS, sr=8000)
    assert core.labels.tolist() == sorted(list(range(10)) * 3) and {one.kind for one in core} == {"words"}
    assert core[0].sr == 8000 and len(core[0].y) == 1600 and core[0].text == "yes"
    digits = corpus.speech_commands(commands, words=["nine", "two"])
    assert digits.labels.tolist() == [9] * 3 + [2] * 3 and digits[0].kind == "digits"
    mixed = corpus.speech_commands(commands, words=("zero", "yes"))
    assert [corpus.COMMANDS[label] for label in mixed.labels] == mixed.texts


def test_noise_is_kept_apart(commands):
    noise = corpus.speech_commands_noise(commands, sr=8000)
    assert [one.id for one in noise] == ["doing_the_dishes", "pink_noise"]
    assert noise[0].kind == "noise" and noise[0].text == noise[0].speaker == "" and noise[0].sr == 8000
    noisy = audio.add_noise(tone(sr=8000, seed=1), 10, rng=np.random.default_rng(0), noise=noise[0].y)
    assert noisy.shape == (1600,)
    assert not any("background" in one.id for one in corpus.speech_commands(commands))
    for path in (commands / "_background_noise_").glob("*.wav"):
        path.unlink()
    with pytest.raises(CorpusError, match="holds no noise: get a fresh copy"):
        corpus.speech_commands_noise(commands)


@pytest.mark.parametrize("words", [[], "zero", ["zero", "zero"], ["zero", "sieben"], ["_background_noise_"]])
def test_speech_commands_refuses_words_that_it_has_not(commands, words):
    with pytest.raises(CorpusError, match="give a list of different words out of backward, bed"):
        corpus.speech_commands(commands, words=words)


def _append(path, text):
    path.write_text(path.read_text() + text)


COMMANDS_DAMAGE = {
    "no list": (lambda root: (root / "validation_list.txt").unlink(), "validation_list.txt is missing"),
    "no test list": (lambda root: (root / "testing_list.txt").unlink(), "leave root out to download"),
    "a list in no known encoding": (
        lambda root: (root / "validation_list.txt").write_bytes(b"\xff\xfe\xfa"),
        "validation_list.txt .* cannot be",
    ),
    "no word": (lambda root: (root / "cat").rename(root / "chat"), "no folder 'cat'.*version 2"),
    "a file is missing": (
        lambda root: (root / "zero/fff00000_nohash_0.wav").unlink(),
        "1 of the files .* example zero/fff00000_nohash_0.wav: get a fresh copy",
    ),
    "an odd name": (
        lambda root: write(root / "zero" / "my own.wav"),
        "my own.wav is not named like.*move it away",
    ),
    "in both lists": (
        lambda root: _append(root / "testing_list.txt", "up/fff00000_nohash_0.wav\n"),
        "is in both lists",
    ),
}


@pytest.mark.parametrize("name", COMMANDS_DAMAGE)
def test_a_damaged_copy_of_speech_commands_is_refused(commands, name):
    damage, message = COMMANDS_DAMAGE[name]
    damage(commands)
    with pytest.raises(CorpusError, match=message):
        corpus.speech_commands(commands)


def test_an_empty_copy_of_speech_commands_is_refused(commands, tmp_path):
    for path in commands.rglob("*.wav"):
        path.unlink()
    for name in ("validation_list.txt", "testing_list.txt"):
        (commands / name).write_text("")
    with pytest.raises(CorpusError, match="holds no recording"):
        corpus.speech_commands(commands)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match="no Speech Commands in .*empty"):
        corpus.speech_commands(tmp_path / "empty")


def test_words_that_are_not_wanted_need_not_be_there(commands):
    (commands / "cat").rename(commands / "chat")
    (commands / "up/fff00000_nohash_0.wav").unlink()
    assert len(corpus.speech_commands(commands, words=["zero"])) == 3


# ---- LibriSpeech ----

SPEAKERS = """; Some pipe(|) separated metadata about all LibriSpeech speakers
;ID  |SEX| SUBSET           |MINUTES| NAME
84   | F | dev-clean        |  8.02 | A Reader
1272 | M | dev-clean        |  8.03 | Reader | with a pipe
"""


@pytest.fixture
def libri(tmp_path):
    """One subset of two speakers; the folder that holds LibriSpeech."""
    lines = {
        "84/121123": ["0000 GO DO YOU HEAR", "0001 BUT IN LESS THAN FIVE MINUTES THE STAIRCASE GROANED"],
        "84/121550": ["0000 'TIS THE DOGS' DON'T"],
        "1272/128104": ["0000 MISTER QUILTER"],
    }
    top = tmp_path / "LibriSpeech"
    for chapter, sentences in lines.items():
        prefix = chapter.replace("/", "-")
        for seed, sentence in enumerate(sentences):
            write(top / "dev-clean" / chapter / f"{prefix}-{sentence[:4]}.flac", seed=seed)
        text = "".join(f"{prefix}-{sentence}\n" for sentence in sentences)
        (top / "dev-clean" / chapter / f"{prefix}.trans.txt").write_text(text)
    (top / "SPEAKERS.TXT").write_text(SPEAKERS)
    (top / "dev-clean" / ".DS_Store").write_text("left behind")
    (top / "dev-clean/84/121123/._84-121123-0000.flac").write_text("left behind")
    return tmp_path


def test_librispeech_has_texts_speakers_and_sexes(libri):
    dev = corpus.librispeech(libri, subset="dev-clean")
    assert [one.id for one in dev] == [
        "84-121123-0000",
        "84-121123-0001",
        "84-121550-0000",
        "1272-128104-0000",
    ]
    assert dev.texts[0] == "go do you hear" and dev.texts[2] == "'tis the dogs' don't"
    assert [one.sex for one in dev] == ["female"] * 3 + ["male"]
    assert [one.speaker for one in dev] == ["84"] * 3 + ["1272"] and dev[0].split == "dev"
    assert dev[1].sr == 16_000 and np.allclose(dev[1].y, tone(seed=1), atol=2**-15)
    for root in (libri / "LibriSpeech", str(libri / "LibriSpeech" / "dev-clean")):
        assert [one.id for one in corpus.librispeech(root, subset="dev-clean")] == [one.id for one in dev]
    assert corpus.librispeech(libri, subset="dev-clean", sr=8000)[0].sr == 8000


def test_librispeech_without_a_list_of_speakers(libri):
    (libri / "LibriSpeech" / "SPEAKERS.TXT").unlink()
    assert {one.sex for one in corpus.librispeech(libri, subset="dev-clean")} == {""}


FIRST = "LibriSpeech/dev-clean/84/121123/84-121123"
LIBRI_DAMAGE = {
    "a recording is missing": (
        lambda root: (root / f"{FIRST}-0001.flac").unlink(),
        "84-121123-0001.flac is missing",
    ),
    "a transcript is missing": (
        lambda root: (root / f"{FIRST}.trans.txt").write_text("84-121123-0000 GO DO YOU HEAR\n"),
        "84-121123-0001.flac has no line in 84-121123.trans.txt: get a fresh copy of dev-clean",
    ),
    "no transcripts": (lambda root: (root / f"{FIRST}.trans.txt").unlink(), "trans.txt is missing"),
    "no text": (
        lambda root: _append(root / f"{FIRST}.trans.txt", "84-121123-0002 \n"),
        "84-121123-0002 has no text",
    ),
    "a text twice": (
        lambda root: _append(root / f"{FIRST}.trans.txt", "84-121123-0001 TWICE\n"),
        "84-121123-0001 stands twice",
    ),
    "another chapter's file": (
        lambda root: write(root / f"{FIRST[:-3]}999-0000.flac"),
        "should have the name",
    ),
    "an odd name": (
        lambda root: write(root / f"{FIRST}-x.flac"),
        "should have the name 84-121123-<number>.flac",
    ),
    "speakers": (
        lambda root: (root / "LibriSpeech/SPEAKERS.TXT").write_text("84 F dev-clean"),
        "'84 F dev-clean' in .*SPEAKERS",
    ),
    "unknown sex": (
        lambda root: (root / "LibriSpeech/SPEAKERS.TXT").write_text("84|?|dev-clean|1|A"),
        "M or F.*fresh copy",
    ),
}


@pytest.mark.parametrize("name", LIBRI_DAMAGE)
def test_a_damaged_copy_of_librispeech_is_refused(libri, name):
    damage, message = LIBRI_DAMAGE[name]
    damage(libri)
    with pytest.raises(CorpusError, match=message):
        corpus.librispeech(libri, subset="dev-clean")


def test_librispeech_that_is_not_there_is_refused(libri):
    with pytest.raises(CorpusError, match="no subset 'dev'.*there are: dev-clean, dev-other"):
        corpus.librispeech(libri, subset="dev")
    with pytest.raises(CorpusError, match="no subset .*there are: dev-clean, dev-other"):
        corpus.librispeech(libri, subset=["dev-clean", "dev-other"])
    with pytest.raises(CorpusError, match="no folder test-clean in .*leave root out"):
        corpus.librispeech(libri, subset="test-clean")
    (libri / "LibriSpeech" / "test-clean").mkdir()
    with pytest.raises(CorpusError, match="holds no recordings: get a fresh copy of test-clean"):
        corpus.librispeech(libri, subset="test-clean")


# ---- Common Voice ----

COLUMNS = "client_id path sentence up_votes down_votes age gender accents variant locale segment".split()
ROWS = {
    "train": [
        [
            "aa",
            "common_voice_en_1.mp3",
            '"Don’t," she said.',
            "2",
            "0",
            "",
            "female_feminine",
            "",
            "",
            "en",
            "",
        ],
        [
            "aa",
            "common_voice_en_2.mp3",
            "It is 5 o'clock!",
            "2",
            "0",
            "",
            "female_feminine",
            "",
            "",
            "en",
            "",
        ],
    ],
    "dev": [["bb", "common_voice_en_3.mp3", '"The end', "3", "1", "teens", "", "Wales", "", "en", ""]],
    "test": [["cc", "common_voice_en_4.mp3", "Café…", "2", "0", "", "do_not_wish_to_say", "", "", "en", ""]],
}


def _table(path, rows, columns=COLUMNS):
    lines = ["\t".join(row) for row in [columns, *rows]]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.fixture
def voices(tmp_path):
    root = tmp_path / "cv-corpus-0.0"
    for split, rows in ROWS.items():
        for seed, row in enumerate(rows):
            write(root / "en" / "clips" / row[1], sr=32_000, seed=seed)
        _table(root / "en" / f"{split}.tsv", rows)
    return root


def test_common_voice_has_splits_and_normalized_texts(voices):
    people = corpus.common_voice(voices, language="en")
    assert people.texts == ["don't she said", "it is 5 o'clock", "the end", "café"]
    assert [one.split for one in people] == ["train", "train", "dev", "test"]
    assert [one.id for one in people][0] == "common_voice_en_1" and people.speakers == ["aa", "bb", "cc"]
    assert [one.sex for one in people] == ["female", "female", "", ""] and people[2].accent == "Wales"
    assert people[0].sr == 32_000 and abs(people[0].seconds - 0.2) < 0.1
    assert [one.id for one in corpus.common_voice(voices / "en", language="en")] == [one.id for one in people]


def test_mp3_is_read_and_resampled(voices):
    y = corpus.common_voice(voices, language="en", sr=16_000)[1].y
    spectrum = np.abs(np.fft.rfft(y, 16_000))
    assert spectrum[:2000].argmax() == pytest.approx(237, abs=6)
    assert 0.3 < np.abs(y).max() < 0.7


def test_common_voice_of_older_versions(voices):
    old = "client_id path sentence up_votes down_votes age gender accent".split()
    for split, rows in ROWS.items():
        _table(voices / "en" / f"{split}.tsv", [[*row[:6], "male", row[7]] for row in rows], old)
    people = corpus.common_voice(voices, language="en")
    assert {one.sex for one in people} == {"male"} and people[2].accent == "Wales"


def test_a_table_of_windows_and_an_empty_split_are_fine(voices):
    table = voices / "en" / "train.tsv"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    _table(voices / "en" / "dev.tsv", [])
    assert len(corpus.common_voice(voices, language="en")) == 3


def _row(**changes):
    """Write a test.tsv whose one row is changed."""
    row = dict(zip(COLUMNS, ROWS["test"][0], strict=True)) | changes
    return lambda root: _table(root / "en" / "test.tsv", [list(row.values())])


VOICE_DAMAGE = {
    "no table": (lambda root: (root / "en/dev.tsv").unlink(), "dev.tsv is missing"),
    "no clips": (
        lambda root: (root / "en/clips").rename(root / "en/audio"),
        "clips cannot be read.*fresh copy",
    ),
    "a clip is missing": (
        lambda root: (root / "en/clips/common_voice_en_2.mp3").unlink(),
        "1 of the recordings .* missing from clips, for example common_voice_en_2.mp3: unpack",
    ),
    "a clip in two splits": (_row(path="common_voice_en_1.mp3"), "line 2 of .*test.tsv names .*_1.mp3 again"),
    "no letters": (_row(sentence="?! …"), "line 2 of .*test.tsv has no letters in its sentence: remove"),
    "no sentence": (_row(sentence=""), "line 2 of .*test.tsv has no letters"),
    "no speaker": (_row(client_id=""), "line 2 of .*test.tsv names no speaker"),
    "a cell too many": (_row(sentence="a\tb"), "line 2 of .*too few or too many cells"),
    "a cell too few": (lambda root: _append(root / "en/test.tsv", "aa\tx.mp3\n"), "line 3 of .*too few"),
    "a path that leads out": (_row(path="../../secret.mp3"), "line 2 .*not the plain name of an MP3 file"),
    "an absolute path": (_row(path="/etc/secret.mp3"), "not the plain name"),
    "no MP3": (_row(path="common_voice_en_4.wav"), "not the plain name"),
    "another language": (_row(locale="de"), "is in the language 'de', not 'en'"),
    "no column": (lambda root: _table(root / "en/test.tsv", [], COLUMNS[1:]), "no column client_id"),
    "an empty table": (lambda root: (root / "en/test.tsv").write_text(""), "no column client_id"),
    "bytes": (
        lambda root: (root / "en/test.tsv").write_bytes(b"\xff\xff\n"),
        "test.tsv is missing or cannot be read",
    ),
    "a cell without end": (
        _row(sentence="a" * 200_000),
        "test.tsv, after line 1: field larger than field limit",
    ),
}


@pytest.mark.parametrize("name", VOICE_DAMAGE)
def test_a_damaged_copy_of_common_voice_is_refused(voices, name):
    damage, message = VOICE_DAMAGE[name]
    damage(voices)
    with pytest.raises(CorpusError, match=message):
        corpus.common_voice(voices, language="en")


def test_common_voice_says_how_to_get_it(voices, tmp_path):
    with pytest.raises(CorpusError, match="de/train.tsv is missing.*datacollective.mozillafoundation.org"):
        corpus.common_voice(voices, language="de")
    (tmp_path / "cv.tar.gz").write_bytes(b"")
    with pytest.raises(CorpusError, match="unpack it"):
        corpus.common_voice(tmp_path / "cv.tar.gz", language="en")
    for language in ("", "../en", "en/", "English please"):
        with pytest.raises(CorpusError, match="give a code like"):
            corpus.common_voice(voices, language=language)
    for split in ROWS:
        _table(voices / "en" / f"{split}.tsv", [])
    with pytest.raises(CorpusError, match="name no recordings"):
        corpus.common_voice(voices, language="en")


def test_a_build_without_mp3_is_an_error_that_helps(voices, monkeypatch):
    monkeypatch.setattr(soundfile, "available_formats", lambda: {"WAV": ""})
    with pytest.raises(CorpusError, match="cannot read MP3: install soundfile"):
        corpus.common_voice(voices, language="en")


@pytest.mark.parametrize("sr", [0, -8000, 8000.5, "8000", 10**9])
def test_a_rate_that_is_none_is_refused_at_once(commands, sr):
    for call in (
        lambda: corpus.speech_commands(commands, sr=sr),
        lambda: corpus.speech_commands_noise(commands, sr=sr),
        lambda: corpus.librispeech(commands, subset="dev-clean", sr=sr),
        lambda: corpus.common_voice(commands, language="en", sr=sr),
    ):
        with pytest.raises(CorpusError, match="sampling rate is a whole number"):
            call()


# ---- text ----


@pytest.mark.parametrize(
    ("text", "language", "wanted"),
    [
        ("Hello, World!", "en", "hello world"),
        ("DON’T ‘quote’ 'this' dogs'", "en", "don't quote this dogs"),
        ("rock ʼn` roll", "en", "rock n roll"),
        ("well-known – so—so", "en", "well known so so"),
        ("  a\u00a0b\tc\u3000d ", "en", "a b c d"),
        ("so\u00adft \ufefftext\u200e", "en", "soft text"),
        ("J\u030c e\u00ad\u0301", "en", "\u01f0 \u00e9"),
        ("U.S.A. costs $5 & 10%", "en", "u s a costs 5 10"),
        ("e\u0301te\u0301 L'homme", "fr", "été l'homme"),
        ("„Straße“ Ä", "de", "straße ä"),
        ("¿Qué? ¡Sí!", "es", "qué sí"),
        ("col·lecció", "ca", "col·lecció"),
        ("IĞDIR İstanbul", "tr", "ığdır istanbul"),
        ("ISTANBUL", "en", "istanbul"),
        ("你好，世界。", "zh-CN", "你好 世界"),
        ("می\u200cخواهم؟", "fa", "می\u200cخواهم"),
        ("हिन्दी।", "hi", "हिन्दी"),
        ("ΟΔΟΣ", "el", "οδος"),
        ("?!…", "en", ""),
        ("", "en", ""),
    ],
)
def test_normalize(text, language, wanted):
    assert corpus.normalize(text, language) == wanted


@settings(max_examples=50)
@given(st.text(), st.sampled_from(["en", "tr", "zh-CN"]))
def test_normalize_changes_nothing_twice_and_leaves_no_punctuation(text, language):
    once = corpus.normalize(text, language)
    assert corpus.normalize(once, language) == once
    assert once == unicodedata.normalize("NFC", once) == " ".join(once.split())
    assert not any(unicodedata.category(c)[0] in "PSZ" for c in once if c not in " " + public_corpora.INNER)


def test_normalize_treats_composed_and_decomposed_alike():
    text = "Crème Brûlée — ÀÉÎ, Å ệ"
    forms = {corpus.normalize(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}
    assert forms == {"crème brûlée àéî å ệ"}


# ---- what is known of the archives ----


def test_the_archives_are_those_published():
    assert public_corpora.SPEECH_COMMANDS.sha256.startswith("af14739e")  # version 1: 74393542
    sizes = [archive.size // 1_000_000 for archive in public_corpora.LIBRISPEECH.values()]
    assert sizes[:4] == [337, 314, 346, 328]  # as openslr.org/12 says
    for archive in (public_corpora.SPEECH_COMMANDS, *public_corpora.LIBRISPEECH.values()):
        assert archive.url.startswith("https://") and re.fullmatch("[0-9a-f]{64}", archive.sha256)
        assert archive.name.endswith(".tar.gz") and archive.unpacked > archive.size


def test_each_module_can_be_imported_first_and_opens_no_connection():
    code = """
import importlib, socket, sys
socket.socket = None
for name in ("public_corpora", "archives", "utterances", "corpus"):
    for loaded in [each for each in sys.modules if each.startswith("speechlib")]:
        del sys.modules[loaded]
    importlib.import_module(f"speechlib.{name}")
print("requests" in sys.modules, "pooch" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False False"


# ---- the download, from a server on this machine ----


def packed(folder, members=()):
    """A folder as tar.gz, its paths beginning with ./ as in Speech Commands, and then the members given."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as archive:
        if folder:
            archive.add(folder, arcname=".")
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def described(data, port, name="speech_commands_v0.02.tar.gz", **changes):
    about = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "unpacked": 5_000_000}
    return archives.Archive(f"http://127.0.0.1:{port}/{name}", **(about | changes))


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serve `server.data`, whole or from a byte on; send only `server.most` bytes of it."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            wanted = self.headers.get("Range")
            served.asked.append(wanted)
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and served.ranges else 0
            self.send_response(served.status or (206 if start else 200))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(served.data) - 1}/{len(served.data)}")
            if served.encoding:
                self.send_header("Content-Encoding", served.encoding)
            self.send_header("Content-Length", str(len(served.data) - start))
            self.end_headers()
            self.wfile.write(served.data[start:][: served.most])

        def log_message(self, *arguments):
            pass

    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.data, served.most, served.ranges, served.status, served.encoding = b"", None, True, None, None
    served.asked, served.cache = [], tmp_path / "cache"
    thread = threading.Thread(target=served.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setattr(archives, "cache", lambda: served.cache)
    yield served
    served.shutdown()
    served.server_close()
    thread.join()


@pytest.fixture
def offered(commands, server, monkeypatch):
    """The small Speech Commands, on the server."""
    server.data = packed(commands)
    monkeypatch.setattr(public_corpora, "SPEECH_COMMANDS", described(server.data, server.server_port))
    return server


def test_speech_commands_is_downloaded_once(offered, commands):
    assert len(corpus.speech_commands()) == 105
    assert content(offered.cache) == {f"speech_commands_v0.02/{name}" for name in content(commands)}
    assert os.listdir(offered.cache) == ["speech_commands_v0.02"]
    assert len(corpus.speech_commands_noise()) == 2 and offered.asked == [None]


def test_librispeech_is_downloaded_by_subset(libri, server, monkeypatch):
    inside = libri / "archive"
    inside.mkdir()
    (libri / "LibriSpeech").rename(inside / "LibriSpeech")
    server.data = packed(inside)
    archive = described(server.data, server.server_port, "dev-clean.tar.gz")
    monkeypatch.setitem(public_corpora.LIBRISPEECH, "dev-clean", archive)
    dev = corpus.librispeech(subset="dev-clean")
    assert len(dev) == 4 and dev[0].sex == "female" and len(dev[0].y) == 3200
    assert os.listdir(server.cache / "librispeech") == ["dev-clean"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_broke_off_goes_on_where_it_stopped(offered, ranges):
    offered.most, offered.ranges = len(offered.data) // 3, ranges
    with pytest.raises(CorpusError, match="[Cc]all again to go on where it stopped"):
        corpus.speech_commands()
    assert os.listdir(offered.cache) == ["speech_commands_v0.02.tar.gz.part"]
    part = (offered.cache / "speech_commands_v0.02.tar.gz.part").read_bytes()
    assert part == offered.data[: len(part)] and len(part) > 0
    offered.most = None
    assert len(corpus.speech_commands()) == 105
    assert offered.asked == [None, f"bytes={len(part)}-"]
    assert os.listdir(offered.cache) == ["speech_commands_v0.02"]


def test_control_c_in_a_download_keeps_what_has_come(offered, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(archives, "BLOCK", 10_000)
        patch.setattr(tqdm.tqdm, "update", interrupt)
        with pytest.raises(KeyboardInterrupt):
            corpus.speech_commands()
    (part,) = offered.cache.iterdir()
    assert part.read_bytes() == offered.data[:10_000]
    assert len(corpus.speech_commands()) == 105 and offered.asked == [None, "bytes=10000-"]


def test_control_c_while_unpacking_needs_no_second_download(offered, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(archives, "unpack", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            corpus.speech_commands()
    assert os.listdir(offered.cache) == ["speech_commands_v0.02.tar.gz"]
    assert len(corpus.speech_commands()) == 105 and offered.asked == [None]


def test_a_wrong_checksum_is_refused_and_removed(offered, monkeypatch):
    right = public_corpora.SPEECH_COMMANDS
    monkeypatch.setattr(public_corpora, "SPEECH_COMMANDS", dataclasses.replace(right, sha256="0" * 64))
    with pytest.raises(CorpusError, match="is not what was published .*was removed: call again"):
        corpus.speech_commands()
    assert os.listdir(offered.cache) == []


def test_a_part_of_something_else_is_found_out(offered):
    offered.cache.mkdir()
    (offered.cache / "speech_commands_v0.02.tar.gz.part").write_bytes(b"x" * 1000)
    with pytest.raises(CorpusError, match="is not what was published"):
        corpus.speech_commands()
    assert len(corpus.speech_commands()) == 105


def test_a_part_that_is_whole_needs_no_download(offered):
    offered.cache.mkdir()
    (offered.cache / "speech_commands_v0.02.tar.gz.part").write_bytes(offered.data)
    assert len(corpus.speech_commands()) == 105 and offered.asked == []


def test_more_than_announced_is_not_written_to_the_end(offered, monkeypatch):
    right = public_corpora.SPEECH_COMMANDS
    monkeypatch.setattr(public_corpora, "SPEECH_COMMANDS", dataclasses.replace(right, size=1000))
    monkeypatch.setattr(archives, "BLOCK", 600)
    with pytest.raises(CorpusError, match="is not what was published"):
        corpus.speech_commands()


def test_a_server_that_calls_the_archive_encoded_is_understood(offered):
    offered.encoding = "gzip"
    assert len(corpus.speech_commands()) == 105


@pytest.mark.parametrize("status", [403, 404, 500])
def test_an_answer_that_is_an_error_helps(offered, status):
    offered.status = status
    with pytest.raises(
        CorpusError, match=f"cannot download http.*{status}.*Without a network.*unpack it here"
    ):
        corpus.speech_commands()
    assert content(offered.cache) == set()


def test_offline_is_an_error_that_helps(offered, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, call in (
        ("SPEECH_COMMANDS", corpus.speech_commands),
        ("LIBRISPEECH", lambda: corpus.librispeech(subset="dev-clean")),
    ):
        archive = described(b"", port, size=10)
        monkeypatch.setattr(public_corpora, name, archive if name[0] == "S" else {"dev-clean": archive})
        with pytest.raises(CorpusError, match=r"cannot download.*Without a network.*call corpus\.[a-z_]+\('"):
            call()


def test_a_full_disk_is_an_error_that_helps_and_keeps_the_archive(offered, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", full)
        with pytest.raises(CorpusError, match="cannot be written .*No space.*is the disk full"):
            corpus.speech_commands()
    assert os.listdir(offered.cache) == ["speech_commands_v0.02.tar.gz"]
    assert len(corpus.speech_commands()) == 105 and offered.asked == [None]


def test_a_folder_that_cannot_be_written_is_an_error_that_helps(offered, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(archives, "cache", lambda: tmp_path / "file")
    with pytest.raises(CorpusError, match="cannot be written.*is the disk full, or read-only"):
        corpus.speech_commands()


# ---- archives that want to do harm ----


def member(name, kind=tarfile.REGTYPE, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def sparse():
    """A file that says of itself that it has holes: three bytes long, with none of them in the archive."""
    info = member("holes.wav")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "3"}
    return info, b"0\n".ljust(512, b"\0")


HARM = {
    "holes": ([sparse()], "'holes.wav', a link or a device"),
    "out": ([(member("../evil.wav"), b"x")], "unsafe path '../evil.wav'"),
    "out from within": ([(member("zero/../../evil.wav"), b"x")], "unsafe path"),
    "absolute": ([(member("/tmp/evil.wav"), b"x")], "unsafe path"),
    "backslash": ([(member("..\\evil.wav"), b"x")], "unsafe path"),
    "drive": ([(member("C:evil.wav"), b"x")], "unsafe path"),
    "symbolic link": ([(member("link", tarfile.SYMTYPE, "/etc"), b"")], "a link or a device"),
    "through a link": (
        [(member("link", tarfile.SYMTYPE, ".."), b""), (member("link/evil.wav"), b"x")],
        "a link or a device",
    ),
    "hard link": ([(member("link", tarfile.LNKTYPE, "/etc/passwd"), b"")], "a link or a device"),
    "device": ([(member("null", tarfile.CHRTYPE), b"")], "a link or a device"),
    "pipe": ([(member("pipe", tarfile.FIFOTYPE), b"")], "a link or a device"),
    "twice": ([(member("evil.wav"), b"x"), (member("./evil.wav"), b"y")], "evil.wav twice"),
    "a file as folder": ([(member("evil.wav"), b"x"), (member("evil.wav/a"), b"y")], "evil.wav twice"),
    "a bomb": ([(member(f"{n}.wav"), bytes(1_000_000)) for n in range(6)], "more than it should"),
}


@pytest.mark.parametrize("name", HARM)
def test_a_harmful_archive_is_refused_and_leaves_nothing(offered, tmp_path, monkeypatch, name):
    members, message = HARM[name]
    offered.data = packed(None, members)
    monkeypatch.setattr(public_corpora, "SPEECH_COMMANDS", described(offered.data, offered.server_port))
    before = content(tmp_path)
    with pytest.raises(CorpusError, match=message):
        corpus.speech_commands()
    assert content(tmp_path) - before == {"cache/speech_commands_v0.02.tar.gz"}
    assert os.listdir(offered.cache) == ["speech_commands_v0.02.tar.gz"]


def test_too_many_members_are_refused(offered, monkeypatch):
    monkeypatch.setattr(archives, "MOST_MEMBERS", 20)
    with pytest.raises(CorpusError, match="more than it should"):
        corpus.speech_commands()


def test_modes_and_owners_of_an_archive_are_not_taken_over(tmp_path):
    info = member("tool.wav")
    info.mode, info.uid = 0o6777, 4242
    (tmp_path / "a.tar.gz").write_bytes(packed(None, [(info, b"x")]))
    archives.unpack(tmp_path / "a.tar.gz", tmp_path / "out", 100)
    status = (tmp_path / "out" / "tool.wav").stat()
    assert status.st_mode & 0o7111 == 0 and status.st_uid == os.getuid()


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.5, 0.95])
def test_a_damaged_archive_is_refused(tmp_path, commands, keep):
    whole = packed(commands)
    (tmp_path / "a.tar.gz").write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(CorpusError, match="a.tar.gz is damaged.*get it again"):
        archives.unpack(tmp_path / "a.tar.gz", tmp_path / "out", 10**9)


def test_what_is_no_archive_is_refused(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(b"<html>sign in</html>" * 100)
    with pytest.raises(CorpusError, match="a.tar.gz is damaged"):
        archives.unpack(tmp_path / "a.tar.gz", tmp_path / "out", 10**9)


def test_paths_are_compared_as_written_on_any_system():
    assert archives._inside(Path("x"), member("./zero/a b é.wav"), "a") == Path("x/zero/a b é.wav")
