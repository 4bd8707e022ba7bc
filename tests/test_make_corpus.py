"""The maker makes the same bytes again, and its plan is what the manifest says."""

import csv
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parent.parent / "data"


def _load():
    spec = importlib.util.spec_from_file_location("make_corpus", DATA / "make_corpus.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


maker = _load()


def _rows(folder):
    with open(folder / "manifest.csv", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def _run(*arguments):
    command = [sys.executable, str(DATA / "make_corpus.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def _differences():
    """Why the same bytes cannot be expected here: engines that are missing or of another version."""
    if maker.missing():
        return "not installed: " + " ".join(maker.missing())
    made, here = (set(text.splitlines()) for text in ((DATA / "VERSIONS").read_text(), maker.versions()))
    # numpy and scipy may differ: what they compute is rounded to 11 bits.
    return ", ".join(sorted(line for line in here - made if line.split()[0] not in ("numpy", "scipy")))


def test_a_sample_is_made_again_byte_for_byte(tmp_path):
    if _differences():
        pytest.skip(f"the corpus was made by other engines than those here ({_differences()})")
    done = _run("--sample", 12, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    rows = _rows(tmp_path)
    names = {row["file"] for row in rows}
    assert len(names) == 12
    assert {row["kind"] for row in rows} == set(maker.PLAN)
    assert {row["engine"] for row in rows} == {"espeak", "flite", "festival"}
    assert rows == [row for row in _rows(DATA) if row["file"] in names]
    for name in names:
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes(), name


def test_the_plan_is_the_manifest():
    planned = [
        (take.id, f"{kind}/{voice.name}.flac", take.text, voice.speaker, voice.split)
        for kind, voice, count in maker.jobs()
        for take in maker.takes(voice, kind, count)
    ]
    assert planned == [
        (row["id"], row["file"], row["text"], row["speaker"], row["split"]) for row in _rows(DATA)
    ]


def test_the_data_card_names_every_version():
    card = (DATA / "README.md").read_text(encoding="utf-8")
    for line in (DATA / "VERSIONS").read_text().splitlines():
        name, version = line.split()
        assert f"`{name}` {version}" in card, line


def test_the_data_card_counts_right():
    card = (DATA / "README.md").read_text(encoding="utf-8")
    groups = {}
    for row in _rows(DATA):
        groups.setdefault((row["kind"], row["split"]), []).append(row)
    for (kind, split), rows in groups.items():
        speakers, voices = ({row[name] for row in rows} for name in ("speaker", "voice"))
        seconds = sum(int(row["frames"]) for row in rows) / 8000
        line = f"| {kind} | {split} | {len(rows):,} | {len(speakers)} | {len(voices)} | {seconds:.0f} |"
        assert line in card, line


def test_check_accepts_the_corpus_and_refuses_a_damaged_one(tmp_path):
    done = _run("--check")
    assert done.returncode == 0 and "every file matches" in done.stdout, done.stderr
    shutil.copytree(DATA / "words", tmp_path / "words")
    listed = (DATA / "SHA256SUMS").read_text().splitlines(keepends=True)
    (tmp_path / "SHA256SUMS").write_text("".join(line for line in listed if "  words/" in line))
    assert _run("--check", "--out", tmp_path).returncode == 0
    victim = next((tmp_path / "words").iterdir())
    victim.write_bytes(victim.read_bytes()[:-1])
    done = _run("--check", "--out", tmp_path)
    assert done.returncode != 0 and "differs from its checksums" in done.stderr


def test_a_sample_never_replaces_the_corpus():
    done = _run("--sample", 2)
    assert done.returncode != 0 and "--sample needs --out" in done.stderr


def test_without_the_engines_the_maker_says_what_to_install(tmp_path):
    command = [sys.executable, str(DATA / "make_corpus.py"), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": ""})
    assert done.returncode != 0 and "espeak-ng" in done.stderr and "apt-get install" in done.stderr
    assert not any(tmp_path.iterdir())


def test_left_out_variants_are_not_in_the_plan():
    used = {voice.speaker for _, voice, _ in maker.jobs()}
    assert not used & {"kaukovalta", "zac", "lee", "whisper", "whisperf", "croak", "demonic"}
