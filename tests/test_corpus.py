"""The corpus is what its card says, and a damaged, missing or foreign file is refused by name."""

import csv
import functools
import hashlib
import http.server
import io
import os
import shutil
import socket
import threading
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy import stats

from speechlib import corpus
from speechlib.corpus import Corpus, CorpusError

DATA = Path(corpus.__file__).resolve().parent.parent / "data"
KINDS = {
    "digits": corpus.digits,
    "strings": corpus.strings,
    "words": corpus.words,
    "mandarin_digits": corpus.mandarin_digits,
}
SPLITS = ("train", "dev", "test")


@functools.cache
def whole(kind):
    return KINDS[kind]()


# ---- what is in it ----


def test_it_takes_at_most_15_megabytes():
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) <= 15e6


def test_every_sound_file_has_a_checksum_and_every_checksum_a_file():
    listed = {line.split("  ")[1] for line in (DATA / "SHA256SUMS").read_text().splitlines()}
    present = {path.relative_to(DATA).as_posix() for path in DATA.rglob("*.flac")}
    assert listed == present | {"manifest.csv", "VERSIONS"}


def test_no_speaker_is_in_two_splits_in_any_kind():
    sides = {}
    for kind in KINDS:
        for utterance in whole(kind):
            sides.setdefault(utterance.speaker, set()).add(utterance.split)
    assert all(len(splits) == 1 for splits in sides.values()), sides
    assert sides["rms"] == sides["slt"] == {"test"}


def test_a_person_is_one_speaker_whatever_the_engine():
    engines = {utterance.engine for utterance in whole("digits") if utterance.speaker == "slt"}
    assert engines == {"flite", "festival"}


@pytest.mark.parametrize("kind", ["digits", "words", "mandarin_digits"])
@pytest.mark.parametrize("split", SPLITS)
def test_every_speaker_says_every_word_equally_often(kind, split):
    said = Counter((utterance.speaker, utterance.text) for utterance in whole(kind).split(split))
    texts = corpus.WORDS if kind == "words" else corpus.DIGITS
    for speaker in {speaker for speaker, _ in said}:
        assert len({said[speaker, text] for text in texts}) == 1


def test_the_test_digits_are_two_people_and_enough_for_three_points():
    test = whole("digits").split("test")
    assert Counter(utterance.speaker for utterance in test) == {"rms": len(test) // 2, "slt": len(test) // 2}
    assert len(test) >= 1100
    interval = stats.binomtest(len(test) // 2, len(test)).proportion_ci(method="wilson")
    assert (interval.high - interval.low) / 2 < 0.03


@pytest.mark.parametrize("kind", KINDS)
def test_every_clip_is_sound_of_a_plausible_length(kind):
    for utterance in whole(kind):
        y, count = utterance.y, len(utterance.text.split())
        assert utterance.sr == 8000 and y.dtype == np.float64 and y.ndim == 1
        assert 0.12 * count <= len(y) / 8000 <= 1.2 * count, utterance.id
        assert abs(20 * np.log10(np.abs(y).max()) + 1) < 0.05, utterance.id  # -1 dB: not clipped, not faint
        assert np.sqrt(np.mean(y**2)) > 0.03, utterance.id
        assert np.array_equal(y * 1024, np.rint(y * 1024)), utterance.id  # 11 bits
    assert len({utterance.id for utterance in whole(kind)}) == len(whole(kind))


def test_strings_have_three_to_seven_digits_and_use_all_ten():
    for split in SPLITS:
        texts = whole("strings").split(split).texts
        assert {len(text.split()) for text in texts} == {3, 4, 5, 6, 7}
        assert {word for text in texts for word in text.split()} == set(corpus.DIGITS)


def test_the_order_is_that_of_the_manifest_and_repeats():
    with open(DATA / "manifest.csv", encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table) if row["kind"] == "digits"]
    again = corpus.digits()
    assert [utterance.id for utterance in again] == [row["id"] for row in rows]
    assert all(np.array_equal(a.y, b.y) for a, b in zip(again, whole("digits"), strict=True))
    for split in SPLITS:
        part = corpus.digits(split)
        assert [utterance.id for utterance in part] == [row["id"] for row in rows if row["split"] == split]
        assert part.texts == again.split(split).texts


def test_loading_opens_no_connection(monkeypatch):
    def refuse(*arguments, **keywords):
        raise AssertionError("the corpus reached for the network")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert len(corpus.mandarin_digits("dev")) > 0


# ---- Corpus ----


def test_corpus_is_a_sequence():
    dev = whole("digits").split("dev")
    assert dev[0] is dev[np.int64(0)] and dev[-1] is list(dev)[-1]
    assert isinstance(dev[:3], Corpus) and len(dev[:3]) == 3
    with pytest.raises(IndexError):
        dev[len(dev)]
    with pytest.raises(TypeError):
        dev["zero"]
    assert repr(dev[:20]).startswith("Corpus(20 utterances, 1 speakers, ")


def test_labels_are_the_digits_and_the_places_of_the_words():
    dev = whole("digits").split("dev")
    assert dev.labels.dtype == np.int64
    assert [corpus.DIGITS[label] for label in dev.labels] == dev.texts
    words = whole("words").split("dev")
    assert [corpus.WORDS[label] for label in words.labels] == words.texts
    with pytest.raises(CorpusError, match="use .texts"):
        _ = whole("strings").labels


def test_manifest_has_all_but_the_samples():
    row = whole("digits").split("test").manifest[0]
    assert row["speaker"] == "rms" and row["text"] == "zero" and 0.2 < row["seconds"] < 1.2
    assert "y" not in row and {"id", "voice", "engine", "accent", "take", "kind", "split"} <= set(row)


def test_leave_one_speaker_out_parts_the_corpus():
    test = whole("digits").split("test")
    folds = list(test.leave_one_speaker_out())
    assert [speaker for speaker, _, _ in folds] == test.speakers == ["rms", "slt"]
    for speaker, others, own in folds:
        assert own.speakers == [speaker] and speaker not in others.speakers
        assert len(own) + len(others) == len(test)


def test_unknown_splits_are_named_with_the_known_ones():
    with pytest.raises(CorpusError, match="no split 'valid'; there are: train, dev, test"):
        corpus.digits("valid")
    with pytest.raises(CorpusError, match="no split 'dev' here; there are: test"):
        whole("digits").split("test").split("dev")
    with pytest.raises(CorpusError, match="the corpus is empty"):
        Corpus([]).split("train")


# ---- damage ----


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the part of data/ that `mandarin_digits("dev")` needs, to be damaged."""
    for name in ("manifest.csv", "SHA256SUMS"):
        shutil.copy(DATA / name, tmp_path / name)
    (tmp_path / "mandarin_digits").mkdir()
    for name in _files("mandarin_digits", "dev"):
        shutil.copy(DATA / name, tmp_path / name)
    monkeypatch.setenv("SPEECHLIB_DATA", str(tmp_path))
    assert len(corpus.mandarin_digits("dev")) > 0
    return tmp_path


def _files(kind, split):
    with open(DATA / "manifest.csv", encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table) if row["kind"] == kind and row["split"] == split]
    return list(dict.fromkeys(row["file"] for row in rows))


def _flip(content):
    return content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]


DAMAGES = {
    "one bit": _flip,
    "cut in half": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "one byte more": lambda content: content + b"\0",
    "line ends converted": lambda content: content.replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_flac_is_refused_by_name(copy, damage):
    name = _files("mandarin_digits", "dev")[1]
    content = (copy / name).read_bytes()
    assert damage(content) != content
    (copy / name).write_bytes(damage(content))
    with pytest.raises(CorpusError, match=rf"{name} in .* is damaged.*`git checkout -- data`.*`make data`"):
        corpus.mandarin_digits("dev")


def test_a_missing_flac_is_refused_by_name(copy):
    name = _files("mandarin_digits", "dev")[0]
    (copy / name).unlink()
    with pytest.raises(CorpusError, match=rf"{name} is missing.*`git checkout -- data`.*`make data`"):
        corpus.mandarin_digits("dev")


def test_a_changed_manifest_is_refused(copy):
    text = (copy / "manifest.csv").read_text()
    (copy / "manifest.csv").write_text(text.replace(",seven,", ",eight,", 1))
    with pytest.raises(CorpusError, match="manifest.csv in .* is damaged"):
        corpus.mandarin_digits("dev")


@pytest.mark.parametrize("name", ["manifest.csv", "SHA256SUMS"])
def test_a_missing_list_is_refused_by_name(copy, name):
    (copy / name).unlink()
    with pytest.raises(CorpusError, match=f"{name} is missing.*`make data`"):
        corpus.mandarin_digits("dev")


def test_a_file_without_a_checksum_is_refused_by_name(copy):
    name = _files("mandarin_digits", "dev")[0]
    lines = (copy / "SHA256SUMS").read_text().splitlines(keepends=True)
    (copy / "SHA256SUMS").write_text("".join(line for line in lines if name not in line))
    with pytest.raises(CorpusError, match=f"{name} is in the manifest but has no checksum"):
        corpus.mandarin_digits("dev")


def test_a_manifest_that_reaches_past_the_end_of_a_file_is_refused(copy):
    old = (copy / "manifest.csv").read_bytes()
    lines = old.decode().splitlines()
    last = max(n for n, line in enumerate(lines) if ",mandarin_digits," in line and line.endswith(",dev"))
    cells = lines[last].split(",")
    cells[3] = "999999"
    lines[last] = ",".join(cells)
    new = ("\n".join(lines) + "\n").encode()
    (copy / "manifest.csv").write_bytes(new)
    sums = (copy / "SHA256SUMS").read_text()
    digests = [hashlib.sha256(content).hexdigest() for content in (old, new)]
    (copy / "SHA256SUMS").write_text(sums.replace(*digests))
    with pytest.raises(CorpusError, match=f"manifest.csv puts {cells[0]} outside of {cells[1]}"):
        corpus.mandarin_digits("dev")


def test_a_folder_without_a_corpus_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SPEECHLIB_DATA", str(tmp_path))
    with pytest.raises(CorpusError, match="no corpus in .*`make data`"):
        corpus.digits()


# ---- FSDD: a local folder ----


@pytest.fixture
def little(monkeypatch):
    """Twelve files that stand for FSDD's three thousand, and their checksums."""
    rng = np.random.default_rng(0)
    files = {}
    for speaker in ("george", "theo"):
        for digit, take in ((7, 0), (7, 10), (7, 4), (7, 5), (3, 49), (0, 1)):
            sound = io.BytesIO()
            soundfile.write(sound, rng.uniform(-0.5, 0.5, 800), 8000, format="WAV", subtype="PCM_16")
            files[f"{digit}_{speaker}_{take}.wav"] = sound.getvalue()
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(corpus, "_read_sums", lambda text: sums)
    monkeypatch.delenv("SPEECHLIB_FSDD", raising=False)
    return files


def _unpack(files, folder):
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def test_fsdd_reads_either_folder_and_the_variable(little, tmp_path, monkeypatch):
    _unpack(little, tmp_path / "recordings")
    by_root, by_recordings = corpus.fsdd(tmp_path), corpus.fsdd(str(tmp_path / "recordings"))
    monkeypatch.setenv("SPEECHLIB_FSDD", str(tmp_path))
    for people in (by_root, by_recordings, corpus.fsdd()):
        assert [u.id for u in people][:6] == [
            "0_george_1", "3_george_49", "7_george_0", "7_george_4", "7_george_5", "7_george_10",
        ]  # fmt: skip
        assert people.labels.tolist() == [0, 3, 7, 7, 7, 7] * 2
        assert {u.take for u in people.split("test")} == {0, 1, 4}
        assert {u.take for u in people.split("train")} == {5, 10, 49}
        assert people.speakers == ["george", "theo"]
    assert by_root[0].engine == "human" and by_root[0].accent == "Greek" and by_root[0].y.dtype == np.float64


def test_fsdd_refuses_a_wrong_or_missing_file_by_name(little, tmp_path):
    _unpack(little, tmp_path / "recordings")
    (tmp_path / "recordings" / "7_theo_0.wav").write_bytes(b"RIFF")
    with pytest.raises(CorpusError, match="7_theo_0.wav in .* is damaged.*leave root out"):
        corpus.fsdd(tmp_path)
    (tmp_path / "recordings" / "7_theo_0.wav").unlink()
    with pytest.raises(CorpusError, match="7_theo_0.wav is missing"):
        corpus.fsdd(tmp_path)
    with pytest.raises(CorpusError, match="no folder"):
        corpus.fsdd(tmp_path / "elsewhere")


@pytest.mark.skipif("SPEECHLIB_FSDD" not in os.environ, reason="SPEECHLIB_FSDD names no copy of FSDD")
def test_the_real_fsdd_is_whole():
    people = corpus.fsdd(os.environ["SPEECHLIB_FSDD"])
    assert len(people) == 3000 and len(people.split("test")) == 300
    assert people.speakers == sorted(corpus.FSDD_ACCENTS)
    assert set(Counter((u.speaker, u.text) for u in people).values()) == {50}
    assert {u.sr for u in people} == {8000}


def test_the_checksums_of_fsdd_are_shipped():
    sums = corpus._read_sums(Path(corpus.__file__).with_name("fsdd.sha256").read_text())
    assert len(sums) == 3000 and all(len(digest) == 64 for digest in sums.values())
    assert corpus.FSDD_URL.startswith("https://")
    assert "26eb9aaf76e81b692f806f9140c2d2777410d7a1" in corpus.FSDD_URL


# ---- FSDD: the download, from a server on this machine ----


def _archive(files, extra=()):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as members:
        for name, content in files.items():
            members.writestr(f"free-spoken-digit-dataset-26eb9aaf/recordings/{name}", content)
        members.writestr("free-spoken-digit-dataset-26eb9aaf/README.md", "not asked for")
        for name in extra:
            members.writestr(name, "surprise")
    return packed.getvalue()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serve `server.content` at FSDD's address; count the requests."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            served.requests += 1
            self.send_response(200 if served.content else 404)
            if served.length is not None:
                self.send_header("Content-Length", str(served.length))
            self.end_headers()
            self.wfile.write(served.content or b"")

        def log_message(self, *arguments):
            pass

    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.content, served.length, served.requests = None, None, 0
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(corpus, "FSDD_URL", f"http://127.0.0.1:{served.server_port}/fsdd.zip")
    monkeypatch.setattr(corpus, "_cache", lambda: tmp_path / "cache")
    served.folder = tmp_path / "cache" / "fsdd" / "recordings"
    yield served
    served.shutdown()
    served.server_close()
    thread.join()


def _left(server):
    """What lies in the cache, temporary files and folders included."""
    top = server.folder.parent
    return {path.relative_to(top).as_posix() for path in top.rglob("*") if path != server.folder}


def test_fsdd_is_downloaded_once(little, server):
    server.content = _archive(little)
    assert len(corpus.fsdd()) == 12
    assert _left(server) == {f"recordings/{name}" for name in little}
    server.content = None
    assert len(corpus.fsdd()) == 12
    assert server.requests == 1


def test_only_what_is_missing_or_wrong_is_replaced(little, server):
    _unpack(little, server.folder)
    kept, wrong, missing = (server.folder / name for name in list(little)[:3])
    wrong.write_bytes(b"half of a fi")
    missing.unlink()
    before = kept.stat().st_mtime_ns, kept.stat().st_ino
    server.content = _archive(little)
    assert len(corpus.fsdd()) == 12
    assert (kept.stat().st_mtime_ns, kept.stat().st_ino) == before


def test_a_wrong_member_is_refused_and_the_good_ones_are_kept(little, server):
    bad = list(little)[5]
    server.content = _archive({**little, bad: b"something else"})
    with pytest.raises(CorpusError, match=f"{bad} in .* differs from its checksum"):
        corpus.fsdd()
    assert _left(server) == {f"recordings/{name}" for name in list(little)[:5]}
    server.content = _archive(little)
    assert len(corpus.fsdd()) == 12


def test_an_interrupted_call_leaves_whole_files_and_can_be_repeated(little, server, monkeypatch):
    server.content = _archive(little)
    replace, calls = os.replace, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return replace(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            corpus.fsdd()
    assert _left(server) == {f"recordings/{name}" for name in list(little)[:3]}
    assert len(corpus.fsdd()) == 12


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("announced", [True, False])
def test_a_truncated_archive_is_refused(little, server, keep, announced):
    whole_archive = _archive(little)
    server.content = whole_archive[: max(1, int(keep * len(whole_archive)))]
    server.length = len(whole_archive) if announced else None
    with pytest.raises(CorpusError, match="cannot download" if announced else "broke off.*again"):
        corpus.fsdd()
    assert _left(server) == set()


UNSAFE = ["../evil.wav", "top/recordings/../../evil.wav", "/evil.wav", "top\\..\\evil.wav"]


@pytest.mark.parametrize("name", UNSAFE)
def test_an_archive_with_an_unsafe_path_is_refused_whole(little, server, name):
    server.content = _archive(little, extra=[name])
    with pytest.raises(CorpusError, match="unsafe path"):
        corpus.fsdd()
    assert _left(server) == set() and not list(server.folder.parents[2].rglob("*evil*"))


def test_an_archive_that_lacks_files_is_refused(little, server):
    name = list(little)[0]
    server.content = _archive({other: content for other, content in little.items() if other != name})
    with pytest.raises(CorpusError, match=f"lacks 1 of the files, for example {name}"):
        corpus.fsdd()


def test_not_found_is_an_error_that_helps(little, server):
    with pytest.raises(CorpusError, match="cannot download http.*404.*unpack it here and call corpus.fsdd"):
        corpus.fsdd()


def test_offline_is_an_error_that_helps(little, server, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr(corpus, "FSDD_URL", f"http://127.0.0.1:{port}/fsdd.zip")
    with pytest.raises(CorpusError, match="cannot download.*Without a network.*unpack it here"):
        corpus.fsdd()
