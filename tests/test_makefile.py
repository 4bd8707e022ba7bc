"""What the Makefile says where something is missing, and the line that a Colab user pastes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def bare(tmp_path):
    """A folder with a space in its name, the Makefile and the lock, and nothing else."""
    folder = tmp_path / "a bare folder"
    folder.mkdir()
    for name in ("Makefile", "requirements.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


def make(folder, *arguments, path=None):
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "CHROMIUM")}
    if path is not None:
        environment["PATH"] = str(path)
    command = [shutil.which("make"), "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def program(path, text):
    path.write_text("#!/bin/sh\n" + text, encoding="utf-8")
    path.chmod(0o755)
    return path


def tools(folder, *, without):
    """A PATH with the basic commands and stand-ins for the rest, except one."""
    place = folder / "bin"
    place.mkdir()
    for name in ("sh", "bash", "rm", "touch", "env", "cat"):
        (place / name).symlink_to(shutil.which(name))
    for name in {"python3", "npm", "chromium"} - {without}:
        program(place / name, "exit 0\n")
    return place


def test_an_old_python_is_named_with_what_to_do(bare):
    old = program(bare / "old", 'case "$1" in --version) echo Python 3.9.1;; *) exit 1;; esac\n')
    said = make(bare, "book", f"PYTHON={old}")
    assert said.returncode != 0 and "Python 3.9.1 is too old" in said.stdout
    assert "3.11 or newer" in said.stdout and not (bare / ".venv").exists()


def test_a_python_without_venv_is_named_with_what_to_do(bare):
    code = 'case "$2" in *ensurepip*) exit 1;; *) exit 0;; esac\n'
    said = make(bare, "book", f"PYTHON={program(bare / 'lean', code)}")
    assert said.returncode != 0 and "python3-venv" in said.stdout and not (bare / ".venv").exists()


def test_a_missing_python_is_named(bare):
    said = make(bare, "book", "PYTHON=no-such-python")
    assert said.returncode != 0 and "'no-such-python' not found" in said.stdout


def test_a_failed_installation_says_so_and_is_tried_again(bare):
    real = f'[ "$1 $2" = "-m venv" ] || exec "{sys.executable}" "$@"\n'
    fail = (
        "mkdir -p .venv/bin; printf '#!/bin/sh\\nexit 1\\n' > .venv/bin/python; chmod +x .venv/bin/python\n"
    )
    python = program(bare / "python", real + fail)
    for _ in range(2):
        said = make(bare, "book", f"PYTHON={python}")
        assert said.returncode != 0 and "could not be installed" in said.stdout
        assert not (bare / ".venv/installed").exists()


@pytest.mark.parametrize(("missing", "word"), [("chromium", "no Chromium found"), ("npm", "npm not found")])
def test_what_the_tests_need_is_named(bare, missing, word):
    said = make(bare, "test", path=tools(bare, without=missing))
    assert said.returncode != 0 and word in said.stdout and len(said.stdout.splitlines()) == 1


def test_the_line_for_colab_brings_the_package_and_its_speech(tmp_path):
    sys.path.insert(0, str(ROOT / "_ext"))
    try:
        import book_site
    finally:
        sys.path.pop(0)
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    url = config["repository"]["url"]

    class App:
        class config:  # noqa: N801
            html_theme_options = {
                "repository_url": url,
                "repository_branch": config["repository"]["branch"],
                "launch_buttons": config["launch_buttons"],
            }

    fetch, then = book_site.address(App)["colab_line"].splitlines()
    assert url in fetch and fetch.startswith("!")
    clone = fetch[1:].split(" && ")[0].replace(url, ROOT.as_uri())
    subprocess.run(["git", "-c", "protocol.file.allow=always", *clone.split()[1:]], cwd=tmp_path, check=True)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    question = (
        "import speechlib; from speechlib import corpus; print(speechlib.__file__, len(corpus.digits()))"
    )
    said = subprocess.run(
        [sys.executable, "-c", f"{then}\n{question}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    where, many = said.stdout.split()
    assert Path(where).resolve().is_relative_to(tmp_path.resolve()) and int(many) > 2000
