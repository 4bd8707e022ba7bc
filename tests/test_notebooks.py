"""Executing and linting notebooks: each rule says its fault, and a healthy notebook has none."""

import base64
import io
import re

import canary
import matplotlib.pyplot as plt
import nbformat
import nbval_media
import notebook_lint
import notebooks
import numpy as np
import pytest
import soundfile
from canary import damaged
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbval.plugin import get_sanitize_patterns
from page_text import prose
from PIL import Image
from prose_numbers import shown, unsupported

# -- lint --------------------------------------------------------------------------------------------------


def test_a_healthy_notebook_has_no_fault(executed):
    assert notebook_lint.lint(executed, {canary.LABEL}) == []


@pytest.mark.parametrize("change", canary.LINTED, ids=lambda change: change.__doc__)
def test_every_rule_says_its_fault_and_nothing_else(executed, tmp_path, change):
    faults = notebook_lint.lint(damaged(executed, tmp_path, change), {canary.LABEL})
    assert faults and any(canary.LINTED[change] in fault for fault in faults), faults
    assert change is canary.not_executed or len(faults) == 1, faults
    assert all(re.match(r"\w+\.ipynb( cell \d+)?: \w", fault) for fault in faults)


@pytest.mark.parametrize("change", list(canary.RUN)[:-1], ids=lambda change: change.__doc__)
def test_what_only_running_shows_passes_the_lint(executed, tmp_path, change):
    assert notebook_lint.lint(damaged(executed, tmp_path, change), {canary.LABEL}) == []


def test_a_reason_excuses_a_skipped_cell_and_a_number(executed, tmp_path):
    def excused(notebook):
        play = canary.cell(notebook, "book.play")
        play.metadata.update(tags=["nbval-skip"], speechlib={"reason": "needs a download"})
        notebook.cells[0].source += "\nDavis (1980) reports 96.5 %.\n"
        notebook.cells[0].metadata["speechlib"] = {"numbers": "quoted"}

    assert notebook_lint.lint(damaged(executed, tmp_path, excused), {canary.LABEL}) == []


def test_a_file_that_is_too_large_or_unreadable_is_named(executed, tmp_path):
    broken = tmp_path / "broken.ipynb"
    broken.write_text("{", encoding="utf-8")
    assert "cannot be read" in notebook_lint.lint(broken, set())[0]

    def large(notebook):
        notebook.metadata["weight"] = "x" * (notebook_lint.MAX_BYTES + 1)

    assert "more than 3" in notebook_lint.lint(damaged(executed, tmp_path, large), {canary.LABEL})[0]


def test_two_claims_in_a_cell_are_told_apart(executed, tmp_path):
    def twice(notebook):
        claim = canary.cell(notebook, "claim-c01")
        other = claim.source.replace("01", "02").replace("half true", "false").replace("half-true", "false")
        claim.source += f"\nBetween the two.\n\n{other}"
        measure = canary.cell(notebook, "# C01")
        measure.source = measure.source.replace("# C01", "# C01, C02")

    assert notebook_lint.lint(damaged(executed, tmp_path, twice), {canary.LABEL}) == []


def test_two_cells_with_one_name_are_a_fault(executed, tmp_path):
    path = tmp_path / "twice.ipynb"
    text = executed.read_text(encoding="utf-8")
    path.write_text(text.replace('"canary-1"', '"canary-0"'), encoding="utf-8")
    assert "cannot be read" in notebook_lint.lint(path, {canary.LABEL})[0]


def test_a_markdown_page_is_read_too(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Page\n\nThis is crucial.\n\n![](x.png)\n", encoding="utf-8")
    faults = notebook_lint.lint(page, set())
    assert [fault.split(": ")[0] for fault in faults] == ["page.md", "page.md"]
    assert "x.png has no alt text" in faults[0] and "'crucial'" in faults[1]


def test_a_run_without_a_fault_exits_0_and_one_with_a_fault_1(executed, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("# Page\n\nGood.\n", encoding="utf-8")
    assert notebooks.main(["lint", str(page)]) == 0
    page.write_text("# Page\n\nGood!\n", encoding="utf-8")
    assert notebooks.main(["lint", str(page)]) == 1
    assert capsys.readouterr().out.endswith("1 pages, 1 faults\n")


def test_tested_formulas_are_strings_and_not_comments(tmp_path):
    path = tmp_path / "test_formulas_of_a_chapter.py"
    path.write_text("# eq-comment\nNAMES = {'eq-one': 1}\nf('eq-two and eq-three')\n", encoding="utf-8")
    assert notebook_lint.tested_formulas(tmp_path) == {"eq-one", "eq-two", "eq-three"}


# -- prose -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "`0.377`",
        "$0.377$ and $x = 0.377$",
        "$$\nx = 0.377\n$$ (eq-x)",
        "```python\nx = 0.377\n```",
        "```{code-block} python\nx = 0.377\n```",
        "[text](page_0.377.md)",
        "{cite}`p0.377`",
        "<!-- 0.377 -->",
        "(anchor-0.377)=",
        ":::{figure} 0.377.png\n:width: 0.377\n:::",
        "https://example.org/0.377",
        '<span style="width: 0.377em">',
    ],
)
def test_what_is_not_prose_is_left_out(source):
    assert "0.377" not in prose(source)
    assert prose(source).count("\n") == source.count("\n")


@pytest.mark.parametrize(
    "source",
    [
        "0.377",
        "# 0.377",
        "[0.377](page.md)",
        "| a | 0.377 |",
        "```{note}\n0.377\n```",
        ":::{admonition} Title 0.377\ntext\n:::",
        ":::{figure} x.png\n:alt: shows 0.377\n\ncaption\n:::",
        "```{note}\ntext\n```\n0.377\n```python\ncode\n```",
        "````{note}\n```python\ncode\n```\n0.377\n````",
        "costs $5 or 0.377 of it",
        "`code` 0.377 `code`",
    ],
)
def test_what_is_prose_stays(source):
    assert "0.377" in prose(source)


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ("about 0.13", "0.1251"),
        ("about 0.125", "0.1251"),
        ("85 %", "accuracy 0.853"),
        ("85 %", "85.3"),
        ("85.3%", "85.3 %"),
        ("0.853 of them", "85.3 %"),
        ("2,740 digits", "len 2740"),
        ("8000 Hz", "sr = 8_000"),
        ("1e-3", "lr=0.001"),
        ("−0.35", "[-0.352]"),
        ("in 1980 and 2024", ""),
        ("26 filters, 100 steps, version 1.0.4", ""),
        ("see section 12.5, Table 3.1 and p. 357", ""),
        ("a 95 % Wilson interval and a 95 % confidence interval", ""),
        ("C100 and x2.5 of it", ""),
    ],
)
def test_numbers_that_a_cell_shows_or_that_need_none(line, cells):
    assert unsupported(line, shown([cells])) == []


@pytest.mark.parametrize(
    ("line", "cells", "missing"),
    [
        ("about 0.126", "0.1251", ["0.126"]),
        ("0.1250", "0.1253", ["0.1250"]),
        ("85 %", "84.3 84 0.844", ["85 %"]),
        ("1.5 percent", "1.6", ["1.5 %"]),
        ("2000 Hz", "", ["2000"]),
        ("2,741", "2740", ["2,741"]),
        ("101 steps", "", ["101"]),
        ("between 0.2–0.3", "0.2", ["0.3"]),
        ("1e-4", "0.001", ["1e-4"]),
        (".5", "", [".5"]),
    ],
)
def test_numbers_that_no_cell_shows(line, cells, missing):
    assert unsupported(line, shown([cells])) == missing


# -- execute -----------------------------------------------------------------------------------------------


def test_executing_again_changes_nothing_but_the_timings(executed, tmp_path, capsys):
    path = damaged(executed, tmp_path, canary.not_executed)
    assert notebooks.main(["execute", str(path)]) == 0
    first, second = (nbformat.read(each, as_version=4) for each in (executed, path))
    for notebook in (first, second):
        canary.cell(notebook, "took").outputs = []
        run = notebook.metadata.pop("speechlib")
        assert 0 < run["seconds"] < 60 and 30 < run["peak_mb"] < 1500
    assert first == second


def test_a_failing_cell_is_named_and_the_file_stays(tmp_path, capsys):
    path = tmp_path / "bad.ipynb"
    cells = [new_markdown_cell("text"), new_code_cell("x = 1"), new_code_cell("x / 0")]
    notebooks.write(new_notebook(cells=cells), path)
    before = path.read_bytes()
    assert notebooks.main(["execute", str(path)]) == 1
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    said = capsys.readouterr().err
    assert "cell 3 raised" in said and "ZeroDivisionError" in said


def test_a_warning_is_refused(tmp_path, capsys):
    path = tmp_path / "warns.ipynb"
    notebooks.write(new_notebook(cells=[new_code_cell("import warnings\nwarnings.warn('old')")]), path)
    assert notebooks.main(["execute", str(path)]) == 1
    said = capsys.readouterr().err
    assert "cell 1 wrote to stderr" in said and "old" in said


def test_a_missing_file_is_named(tmp_path, capsys):
    assert notebooks.main(["execute", str(tmp_path / "none.ipynb")]) == 1
    assert "none.ipynb is left as it was" in capsys.readouterr().err
    assert notebooks.main(["run", str(tmp_path / "none.ipynb")]) == 1
    assert "there is no such file" in capsys.readouterr().out


def test_neighboring_pieces_of_a_stream_are_joined():
    pieces = [("stdout", "a"), ("stdout", "b"), ("stderr", "c"), ("stdout", "d")]
    merged = notebooks.merge_streams([new_output("stream", name=name, text=text) for name, text in pieces])
    found = [(output.name, output.text) for output in merged]
    assert found == [("stdout", "ab"), ("stderr", "c"), ("stdout", "d")]


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, format="PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def spectrogram():
    """A figure with many colors: a spectrogram, its color bar, and lines."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3), dpi=100)
    time, band = np.mgrid[0:100, 0:40]
    picture = axes[0].imshow(np.sin(time / 9) * np.cos(band / 7 + time / 30), cmap="magma_r")
    figure.colorbar(picture)
    for shift in range(7):
        axes[1].plot(np.sin(np.arange(50) / 5 + shift))
    file = io.BytesIO()
    figure.savefig(file, format="png")
    plt.close(figure)
    return file.getvalue()


def test_few_colors_look_the_same_and_come_out_the_same(spectrogram):
    few = notebooks.quantize(spectrogram)
    assert len(few) < 0.5 * len(spectrogram)
    assert few == notebooks.quantize(spectrogram) and notebooks.quantize(few) == few
    old, new = (np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), int) for data in (spectrogram, few))
    assert old.shape == new.shape
    assert np.abs(old - new).mean() < 1 and np.mean(np.abs(old - new) > nbval_media.PIXEL_LEVELS) < 1e-4
    assert nbval_media.image_difference(few, spectrogram) is None


def test_transparency_survives():
    pixels = np.zeros((64, 64, 4))
    pixels[:32] = [200, 30, 40, 255]
    kept = np.asarray(Image.open(io.BytesIO(notebooks.quantize(png(pixels)))).convert("RGBA"))
    assert (kept[:32, :, 3] == 255).all() and (kept[32:, :, 3] == 0).all()


# -- what nbval does not compare ---------------------------------------------------------------------------


def test_a_figure_that_moved_by_one_pixel_is_noticed():
    pixels = np.full((240, 320, 3), 255)
    pixels[100:102, 20:300] = 0
    moved = np.roll(pixels, 1, axis=0)
    assert "of the stored figure" in nbval_media.image_difference(png(pixels), png(moved))
    assert "pixels" in nbval_media.image_difference(png(pixels), png(pixels[:-1]))
    pixels[100:102, 20:300] += 20  # the edge of a line, rounded otherwise
    assert nbval_media.image_difference(png(pixels), png(np.where(pixels == 20, 0, pixels))) is None


def test_a_sound_may_differ_in_its_last_bits_only():
    y = 0.5 * np.sin(np.arange(4000) / 20)

    def wav(samples, sr=8000):
        file = io.BytesIO()
        soundfile.write(file, samples, sr, format="WAV", subtype="PCM_16")
        return file.getvalue()

    assert nbval_media.sound_difference(wav(y), wav(y + 2**-15)) is None
    assert "another now" in nbval_media.sound_difference(wav(y), wav(0.9 * y))
    assert "samples" in nbval_media.sound_difference(wav(y), wav(y[:-1]))
    assert "samples" in nbval_media.sound_difference(wav(y), wav(y, 16000))


def test_a_missing_figure_is_noticed(spectrogram):
    shown_once = [new_output("display_data", {"image/png": base64.b64encode(spectrogram).decode()})]
    assert nbval_media.compare(shown_once, []) == ["1 images are stored, 0 came out"]
    assert nbval_media.compare(shown_once, shown_once) == []


def test_the_sanitizer_hides_sounds_and_no_number():
    patterns = get_sanitize_patterns((notebooks.TESTS / "nbval_sanitize.cfg").read_text(encoding="utf-8"))
    assert len(patterns) == 1

    def sanitize(text):
        for pattern, replacement in patterns:
            text = re.sub(pattern, replacement, text)
        return text

    player = '<figcaption>3.5 s</figcaption><audio src="data:audio/wav;base64,UklGRg+/8=">'
    assert sanitize(player) == '<figcaption>3.5 s</figcaption><audio src="data:audio">'
    for path in notebooks.notebooks():
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", []):
                text = notebook_lint.DATA.sub("", notebook_lint.output_text({"outputs": [output]}))
                for found in re.finditer(r"\d", text):
                    changed = text[: found.start()] + str((int(found[0]) + 1) % 10) + text[found.end() :]
                    assert sanitize(changed) != sanitize(text)
