"""The gates are tested too: the very commands of `make test` must reject what is broken.

They run in a small repository of their own, in a folder with a space in its name: this one's Makefile,
configuration and tests, with the healthy canary as the only chapter. Each gate must first let the healthy one
pass, so that it cannot reject the broken one for another reason.
"""

import os
import random
import re
import shutil
import subprocess
import sys

import canary
import nbformat
import notebook_lint
import notebooks
import pytest
from canary import damaged
from notebooks import ROOT, TESTS

PAGES = TESTS / "canary" / "pages"
TOOLS = ["notebooks.py", "notebook_lint.py", "page_text.py", "prose_numbers.py", "test_book.py"]
TOOLS += ["nbval_media.py", "nbval.ini", "nbval_sanitize.cfg"]
FILES = ["Makefile", "_config.yml", "requirements.txt", "pyproject.toml", "package.json", "package-lock.json"]
TOC = "format: jb-book\nroot: index\nchapters:\n"


@pytest.fixture(scope="module")
def repository(tmp_path_factory, executed):
    """The small repository."""
    root = tmp_path_factory.mktemp("gates") / "canary book"
    for folder in ("chapters", "tests"):
        (root / folder).mkdir(parents=True)
    for name in FILES:
        shutil.copy2(ROOT / name, root)
    for name in TOOLS:
        shutil.copy2(TESTS / name, root / "tests")
    for path in ROOT.glob("_[est]*/"):  # _ext, _static, _templates
        shutil.copytree(path, root / path.name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / ".venv").symlink_to(sys.prefix)
    (root / "node_modules").symlink_to(ROOT / "node_modules")
    shutil.copy(ROOT / "chapters" / "references.bib", root / "chapters")
    shutil.copy(executed, root / "chapters")
    (root / "tests" / "test_formulas.py").write_text(f'LABELS = {{"{canary.LABEL}"}}\n', encoding="utf-8")
    return pages(root)


def pages(root, *broken):
    """Put the first page and some broken ones into the book, and no other."""
    for path in root.glob("*.md"):
        path.unlink()
    for name in ("index", *broken):
        shutil.copy(PAGES / f"{name}.md", root)
    files = "".join(f"  - file: {name}\n" for name in ("chapters/healthy", *broken))
    (root / "_toc.yml").write_text(TOC + files, encoding="utf-8")
    return root


def run(root, *command, **environment):
    """Run a command in a folder; return (exit status, what it said)."""
    ours = ("MAKE", "MFLAGS", "PYTEST_")  # of the make and the pytest that run this test
    clean = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    env = {**clean, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def make(root, target):
    """Run a target of the Makefile, with the environment as it is."""
    return run(root, "make", "--old-file=.venv/installed", target)


def browse(root, **environment):
    """Run the browser's tests on what was built, as `make test` does."""
    command = [sys.executable, "-m", "pytest", "tests/test_book.py", "--color=no"]
    return run(root, *command, SPEECHLIB_BOOK_HTML=str(root / "_build" / "html"), **environment)


@pytest.fixture
def chapters(repository):
    """Return a function that puts damaged copies beside the healthy chapter, until the test ends."""
    folder = repository / "chapters"
    yield lambda *changes: [damaged(folder / "healthy.ipynb", folder, change) for change in changes]
    for path in folder.glob("*.ipynb"):
        if path.name != "healthy.ipynb":
            path.unlink()


@pytest.mark.parametrize("gate", ["lint", "notebooks"])
def test_the_healthy_canary_passes(repository, gate):
    status, said = make(pages(repository), gate)
    assert status == 0, said


def test_the_healthy_pages_pass_where_there_is_a_browser(repository):
    status, said = make(pages(repository), "book")
    assert status == 0, said
    status, said = browse(repository)
    assert status == 0 and "skipped" not in said, said
    status, said = browse(repository, PATH="", CHROMIUM="")
    assert status != 0 and "apt install chromium" in said, said


@pytest.mark.parametrize(
    "changes",
    [
        [canary.no_alt],
        [
            *[canary.not_executed, canary.edited_code, canary.edited_output, canary.ignored_without_assert],
            *[canary.script_in_output, canary.own_path, canary.number_in_prose, canary.untested_formula],
        ],
    ],
    ids=["a deleted alt text", "several"],
)
def test_lint_rejects(repository, chapters, changes):
    chapters(*changes)
    status, said = make(repository, "lint")
    assert status != 0
    for change in changes:
        assert re.search(rf"{change.__name__}\.ipynb.*: .*{re.escape(canary.LINTED[change])}", said), said
    assert "healthy.ipynb" not in said


@pytest.mark.parametrize(
    "changes", [[canary.wrong_number], list(canary.RUN)[1:]], ids=["a wrong number", "several"]
)
def test_running_rejects(repository, chapters, changes):
    chapters(*changes)
    status, said = make(repository, "notebooks")
    assert status != 0
    for change in changes:
        assert f"chapters/{change.__name__}.ipynb: " in said and canary.RUN[change] in said, said
    passed = re.findall(r"^chapters/(\w+)\.ipynb: \d+ cells give what is stored", said, re.MULTILINE)
    assert passed == ["healthy"], said


def test_the_build_rejects_broken_references(repository):
    status, said = make(pages(repository, "broken_references"), "book")
    assert status != 0
    numbers = "one two three four five six seven eight".split()
    assert [number for number in numbers if not re.search(rf"nowhere[-.]{number}", said)] == [], said


def test_the_browser_rejects_broken_pages(repository):
    expected = {
        "cdn": ["asks for https://cdn.example/script.js", "<script> loads https://cdn.example/script.js"],
        "console": ["the canary sings"],
        "contrast": ["color-contrast"],
        "formula": [r"Missing argument for \frac"],
        "link": ["nowhere.html leads nowhere", "#nothing-there: the page has no such anchor"],
        "picture": ["misses file://", "nowhere.png is described as None"],
        "player": ["broken: no controls", "broken: no transcript", "broken: cannot be decoded"],
        "table": ["the page is 10"],
    }
    status, said = make(pages(repository, *expected), "book")
    assert status == 0, said
    status, said = browse(repository)
    assert status != 0
    for page, faults in expected.items():
        for fault in faults:
            assert re.search(rf"^{page}\.html: .*{re.escape(fault)}", said, re.MULTILINE), (page, fault, said)
    assert "index.html:" not in said and "healthy.html:" not in said, said


def test_a_damaged_sound_is_named(tmp_path):
    """One byte of one sound file differs: the corpus does not load, and says which file."""
    copy = tmp_path / "data"
    shutil.copytree(ROOT / "data", copy, ignore=shutil.ignore_patterns("__pycache__"))
    parts = "corpus.digits(), corpus.strings(), corpus.words(), corpus.mandarin_digits()"
    load = f"from speechlib import corpus; {parts}"
    status, said = run(ROOT, sys.executable, "-c", load, SPEECHLIB_DATA=str(copy))
    assert status == 0, said
    victim = random.Random(0).choice(sorted(copy.rglob("*.flac")))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    status, said = run(ROOT, sys.executable, "-c", load, SPEECHLIB_DATA=str(copy))
    assert status != 0 and "CorpusError" in said and victim.name in said, said


# -- the chapters themselves -------------------------------------------------------------------------------


def printed(cell):
    """Return the outputs of a cell that are compared and contain a digit."""
    if cell.cell_type != "code" or notebook_lint.tags(cell):
        return []
    streams = [output for output in cell.outputs if output.output_type == "stream"]
    return [output for output in streams if re.search(r"\d", output.text)]


@pytest.mark.parametrize("chapter", notebooks.notebooks()[:2], ids=lambda path: path.stem)
def test_one_changed_digit_in_a_chapter_is_noticed(chapter, tmp_path):
    """The chapter's beginning, up to its first printed number, passes; with one digit changed it does not."""
    notebook = nbformat.read(chapter, as_version=4)
    last = next(index for index, cell in enumerate(notebook.cells) if printed(cell))
    notebook.cells = notebook.cells[: last + 1]
    notebooks.write(notebook, tmp_path / "kept.ipynb")
    output = printed(notebook.cells[last])[0]
    place = random.Random(0).choice([found.start() for found in re.finditer(r"\d", output.text)])
    digit = (int(output.text[place]) + 1) % 10
    output.text = f"{output.text[:place]}{digit}{output.text[place + 1 :]}"
    notebooks.write(notebook, tmp_path / "changed.ipynb")
    tool = [sys.executable, str(TESTS / "notebooks.py"), "run"]
    status, said = run(ROOT, *tool, str(tmp_path / "kept.ipynb"), str(tmp_path / "changed.ipynb"))
    assert status != 0
    assert re.search(r"^kept\.ipynb: \d+ cells give what is stored", said, re.MULTILINE), said
    assert re.search(r"^changed\.ipynb: does not give what is stored", said, re.MULTILINE), said


@pytest.mark.parametrize("chapter", notebooks.notebooks(), ids=lambda path: path.stem)
def test_any_changed_number_in_a_chapter_is_noticed_without_running(chapter):
    """Lint compares the outputs with their hash, so it sees even those that nbval is told to ignore."""
    page = notebook_lint.read(chapter, set())
    assert list(notebook_lint.fresh(page)) == []
    outputs = [output for _, cell in page.code for output in cell.outputs if "text" in output]
    outputs = [output for output in outputs if re.search(r"\d", output.text)]
    assert outputs
    for output in outputs:
        kept = output.text
        output.text = re.sub(r"\d", lambda found: str((int(found[0]) + 1) % 10), kept, count=1)
        assert "outputs were edited" in str(list(notebook_lint.fresh(page))), kept
        output.text = kept
