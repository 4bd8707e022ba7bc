"""What the notebooks need to look alike: the set-up, players, tables and shown source."""

import base64
import io
import os
import re

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import soundfile
from bs4 import BeautifulSoup

from speechlib import book, optim


@pytest.fixture(autouse=True)
def restored():
    with matplotlib.rc_context():
        yield
    plt.close("all")


def shown(capture, monkeypatch):
    """What a call displays, as markup."""
    out = []
    monkeypatch.setattr(book, "display", lambda obj: out.append(obj.data))
    capture()
    return "".join(out)


def test_setup_repeats_itself_and_sets_one_thread():
    assert book.setup(seed=3).random() == book.setup(seed=3).random() != book.setup(seed=4).random()
    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert plt.rcParams["axes.prop_cycle"].by_key()["color"] == book.COLORS


def test_the_palette_is_told_apart_on_white():
    """Contrast of at least 1.9 with white for every line, and of 3 for the first three."""
    linear = [
        [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
        for rgb in map(matplotlib.colors.to_rgb, book.COLORS)
    ]
    contrast = [1.05 / (0.05 + 0.2126 * r + 0.7152 * g + 0.0722 * b) for r, g, b in linear]
    assert min(contrast) > 1.9 and min(contrast[:3]) > 3


def test_a_player_holds_the_samples_and_its_transcript():
    y = np.sin(np.arange(800) / 5) * 0.5
    page = BeautifulSoup(book.player(y, 8000, "“a” & <b>"), "html.parser")
    assert page.figcaption.text == "“a” & <b>" == page.audio["aria-label"] and page.audio.has_attr("controls")
    data = base64.b64decode(re.fullmatch("data:audio/wav;base64,(.*)", page.audio["src"])[1])
    back, sr = soundfile.read(io.BytesIO(data))
    assert sr == 8000 and np.abs(back - y).max() < 1 / 32768


def test_a_loud_sound_is_scaled_not_clipped():
    back, _ = soundfile.read(io.BytesIO(book.wav(np.array([0.0, 2.0, -4.0]), 8000)))
    assert np.allclose(back, [0, 0.5, -1], atol=1e-4)


def test_a_player_without_a_transcript_is_refused():
    with pytest.raises(ValueError, match="label"):
        book.player(np.zeros(8), 8000, " ")


def test_a_table_can_be_read_aloud(monkeypatch):
    rows = [{"split": "dev", "n": 300}, {"split": "<test>", "n": 1100}]
    page = BeautifulSoup(shown(lambda: book.table(rows, "Sizes"), monkeypatch), "html.parser")
    assert page.caption.text == "Sizes" and page.div["role"] == "region" and page.div["tabindex"] == "0"
    assert [th.text for th in page.thead.find_all("th", scope="col")] == ["split", "n"]
    assert [th.text for th in page.tbody.find_all("th", scope="row")] == ["dev", "<test>"]
    assert [td.text for td in page.find_all("td")] == ["300", "1100"]


@pytest.mark.parametrize("rows", [[], [{"a": 1}, {"b": 1}], [{"a": 1, "b": 2}, {"b": 2, "a": 1}]])
def test_a_ragged_table_is_refused(rows):
    with pytest.raises(ValueError, match="same keys"):
        book.table(rows)


def test_show_prints_the_code_that_runs_with_short_docstrings(monkeypatch):
    text = shown(lambda: book.show(optim.GradientDescent, book.play), monkeypatch)
    code = text.removeprefix("```python\n").removesuffix("\n```")
    compile(code, "shown", "exec")
    assert "class GradientDescent" in code and "Parameters\n" not in code and "display(HTML(player" in code


def test_image_puts_time_to_the_right_and_the_first_bin_at_the_bottom():
    x = np.zeros((5, 3))
    x[4, 0] = 1
    _, ax = plt.subplots()
    book.image(ax, x, extent=(0, 5, 0, 3), label="unit")
    (picture,) = ax.images
    assert (
        picture.get_array().shape == (3, 5) and picture.get_array()[0, 4] == 1 and picture.origin == "lower"
    )
    assert ax.get_xlabel() == "time (s)" and len(ax.figure.axes) == 2
