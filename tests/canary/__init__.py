"""A small healthy notebook, and the ways to break it that the gates must notice.

A break is a function that damages an executed notebook in place; its docstring is its name in reports.
`LINTED` maps each break to a piece of the sentence that `lint` must say, `RUN` does the same for `run`.
"""

import base64
import io
import re

import nbformat
import numpy as np
import soundfile
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from notebooks import code_sha256, outputs_sha256, write
from PIL import Image, ImageChops

LABEL = "eq-canary-energy"  # the only formula of the healthy notebook
ALT = "A sine wave with three full periods; its height is half of what the axis allows."
CAPTION = "The tone swings between plus and minus 0.5."

CELLS = [
    """# A healthy canary

It lives in `tests/canary`. Below it prints 0.125, which is 12.5 % of one.

$$
E = \\tfrac{1}{2} x^2
$$ (eq-canary-energy)

Formula {eq}`eq-canary-energy` gives the energy.
""",
    """import time

import matplotlib.pyplot as plt
import numpy as np

from speechlib import book

rng = book.setup(seed=0)
y = 0.5 * np.sin(np.arange(4000) * 0.005)""",
    """energy = 0.5 * 0.5**2
assert energy == 0.125  # C01
print(f"energy {energy:.3f}")""",
    """fig, ax = plt.subplots()
ax.plot(y)
ax.set(xlabel="time (samples)", ylabel="amplitude", ylim=(-1, 1))
plt.show()""",
    """book.play(y, 8000, "A low tone")""",
    """start = time.perf_counter()
print(f"took {time.perf_counter() - start:.9f} s")
assert time.perf_counter() - start < 10""",
    """(claim-c01)=
:::{admonition} C01 · half true · Halving the amplitude halves the energy.
:class: claim half-true
It falls to 0.125.
:::
""",
    """:::{exercise} Add
:label: ex-canary-add

How much is one and one?
:::
""",
    """class check:
    @staticmethod
    def add(answer):
        print("Right." if answer == 2 else "Not yet.")


check.add(...)""",
    """:::{solution-start} ex-canary-add
:class: dropdown
:::
""",
    """check.add(1 + 1)
"a value that the semicolon silences";""",
    """:::{solution-end}
:::
""",
]


def healthy():
    """Return the healthy notebook, not yet executed."""
    starts = ("#", "(", ":")
    cells = [(new_markdown_cell if text.startswith(starts) else new_code_cell)(text) for text in CELLS]
    for number, cell in enumerate(cells):
        cell.id = f"canary-{number}"
        if "plt.show" in cell.source:
            figure = {"name": "fig-canary", "caption": CAPTION}
            cell.metadata["mystnb"] = {"image": {"alt": ALT}, "figure": figure}
        if "took" in cell.source:
            cell.metadata["tags"] = ["nbval-ignore-output"]
    return new_notebook(cells=cells)


def cell(notebook, piece):
    """Return the cell whose source contains a piece of text."""
    return next(cell for cell in notebook.cells if piece in cell.source)


def damaged(executed, folder, change):
    """Write a changed copy of an executed notebook, and return its path.

    The hashes are stored anew, as by one who hides what was done, save where noticing them is the point.
    """
    notebook = nbformat.read(executed, as_version=4)
    change(notebook)
    if change not in (edited_code, edited_output):
        run = {"code_sha256": code_sha256(notebook.cells), "outputs_sha256": outputs_sha256(notebook.cells)}
        notebook.metadata["speechlib"].update(run)
    path = folder / f"{change.__name__}.ipynb"
    write(notebook, path)
    return path


# -- what lint must notice ---------------------------------------------------------------------------------


def not_executed(notebook):
    """stripped of outputs and counts"""
    for each in notebook.cells:
        if each.cell_type == "code":
            each.outputs, each.execution_count = [], None


def count_out_of_order(notebook):
    """a cell executed twice"""
    cell(notebook, "energy =").execution_count = 9


def edited_code(notebook):
    """code edited without executing it again"""
    cell(notebook, "energy =").source += "  # edited"


def edited_output(notebook):
    """an output edited by hand in a cell that nbval ignores"""
    cell(notebook, "took").outputs[0].text = "took 0.000000001 s\n"


def no_alt(notebook):
    """a deleted alt text"""
    del cell(notebook, "plt.show").metadata["mystnb"]["image"]["alt"]


def file_name_as_alt(notebook):
    """a file name as alt text"""
    cell(notebook, "plt.show").metadata["mystnb"]["image"]["alt"] = "my_very_long_figure_name.png"


def no_caption(notebook):
    """a figure without a caption"""
    del cell(notebook, "plt.show").metadata["mystnb"]["figure"]


def vector_figure(notebook):
    """a figure that is not a PNG"""
    data = cell(notebook, "plt.show").outputs[0].data
    data["image/svg+xml"] = "<svg></svg>"


def ignored_without_assert(notebook):
    """an ignored output without an assertion"""
    took = cell(notebook, "took")
    took.source = took.source.replace("assert time", "time")


def ignored_by_comment(notebook):
    """an output ignored by a comment, without an assertion"""
    cell(notebook, "book.play").source = "# NBVAL_IGNORE_OUTPUT\n" + cell(notebook, "book.play").source


def skipped(notebook):
    """a skipped cell without a reason"""
    cell(notebook, "book.play").metadata["tags"] = ["nbval-skip"]


def own_path(notebook):
    """a path of one machine in the source"""
    cell(notebook, "energy =").source += "\nopen('/home/someone/x')"


def printed_path(notebook):
    """a path of one machine in an output"""
    cell(notebook, "energy =").outputs[0].text += "/home/someone/x\n"


def script_in_output(notebook):
    """a script from a content network in an output"""
    cell(notebook, "book.play").outputs[0].data["text/html"] += '<script src="https://cdn.example/x.js"></script>'


def image_from_elsewhere(notebook):
    """an image from elsewhere in the prose"""
    notebook.cells[0].source += "\n![A long enough description](https://example.org/x.png)\n"


def stderr(notebook):
    """a warning on stderr"""
    outputs = cell(notebook, "energy =").outputs
    outputs.append(nbformat.v4.new_output("stream", name="stderr", text="Warning: deprecated\n"))


def shown_error(notebook):
    """an error that is shown"""
    cell(notebook, "energy =").outputs.append(
        nbformat.v4.new_output("error", ename="ValueError", evalue="no", traceback=["ValueError: no"])
    )


def printed_object(notebook):
    """the name of an object as output"""
    cell(notebook, "energy =").outputs[0].text += "<function f at 0x7f00deadbeef>\n"


def long_cell(notebook):
    """a cell of more than twenty lines"""
    cell(notebook, "energy =").source += "\n" + "\n".join(f"x{i} = {i}" for i in range(20))


def slow(notebook):
    """a notebook that takes too long"""
    notebook.metadata["speechlib"]["seconds"] = 61.0


def greedy(notebook):
    """a notebook that takes too much memory"""
    notebook.metadata["speechlib"]["peak_mb"] = 1501


def silent_player(notebook):
    """a sound without a transcript"""
    data = cell(notebook, "book.play").outputs[0].data
    data["text/html"] = data["text/html"].replace("<figcaption>A low tone<", "<figcaption> <")


def unlabeled_formula(notebook):
    """a formula without a label"""
    notebook.cells[0].source = notebook.cells[0].source.replace("$$ (eq-canary-energy)", "$$")


def untested_formula(notebook):
    """a formula that no test names"""
    notebook.cells[0].source = notebook.cells[0].source.replace("(eq-canary-energy)", "(eq-canary-other)")


def bare_formula(notebook):
    """a formula outside of dollar signs"""
    notebook.cells[0].source += "\n\\begin{align}\nx &= 1\n\\end{align}\n"


def exercise_without_check(notebook):
    """an exercise that does not check itself"""
    stub = cell(notebook, "check.add(...)")
    stub.source = stub.source.replace("check.add(...)", "")


def exercise_without_solution(notebook):
    """an exercise without a solution"""
    notebook.cells = notebook.cells[:-3]


def unchecked_solution(notebook):
    """a solution that is not checked"""
    cell(notebook, "check.add(1 + 1)").source = "1 + 1;"


def open_solution(notebook):
    """a solution in plain sight"""
    start = cell(notebook, "solution-start")
    start.source = start.source.replace(":class: dropdown\n", "")


def verdict_and_class(notebook):
    """a claim whose class is another verdict"""
    claim = cell(notebook, "claim-c01")
    claim.source = claim.source.replace("claim half-true", "claim true")


def odd_verdict(notebook):
    """a claim with a verdict of its own"""
    claim = cell(notebook, "claim-c01")
    claim.source = claim.source.replace("half true ·", "mostly true ·").replace("half-true", "mostly-true")


def no_evidence(notebook):
    """a claim without evidence"""
    claim = cell(notebook, "claim-c01")
    claim.source = claim.source.replace("It falls to 0.125.\n", "")


def no_anchor(notebook):
    """a claim without an anchor"""
    claim = cell(notebook, "claim-c01")
    claim.source = claim.source.replace("(claim-c01)=\n", "")


def unmeasured(notebook):
    """a claim that no cell measures"""
    measure = cell(notebook, "# C01")
    measure.source = measure.source.replace("  # C01", "")


def filler(notebook):
    """a filler word"""
    notebook.cells[0].source += "\nThis is simply good.\n"


def exclamation(notebook):
    """an exclamation mark"""
    notebook.cells[0].source += "\nIt works!\n"


def british(notebook):
    """a word in another spelling"""
    notebook.cells[0].source += "\nIt has a colour.\n"


def number_in_prose(notebook):
    """a number in prose that no cell shows"""
    notebook.cells[0].source += "\nWe measure 0.377 of it.\n"


def percentage_in_prose(notebook):
    """a percentage in prose that no cell shows"""
    notebook.cells[0].source += "\nThat is 37.7 % of it.\n"


def number_in_caption(notebook):
    """a number in a caption that no cell shows"""
    cell(notebook, "plt.show").metadata["mystnb"]["figure"]["caption"] = "The curve reaches 0.377 at its top."


LINTED = {
    not_executed: "not executed",
    count_out_of_order: "execution count 9 instead of 2",
    edited_code: "code was edited",
    edited_output: "outputs were edited",
    no_alt: "no alt text",
    file_name_as_alt: "describes nothing",
    no_caption: "no caption",
    vector_figure: "image/svg+xml",
    ignored_without_assert: "nothing is asserted",
    ignored_by_comment: "nothing is asserted",
    skipped: "no reason",
    own_path: "path of one machine in its source",
    printed_path: "path of one machine in its output",
    script_in_output: "loads https://cdn.example/x.js",
    image_from_elsewhere: "loads https://example.org/x.png",
    stderr: "shows stderr",
    shown_error: "shows an error",
    printed_object: "prints an object",
    long_cell: "23 lines of code",
    slow: "61.0 s",
    greedy: "1501 MB",
    silent_player: "without a transcript",
    unlabeled_formula: "has no label",
    untested_formula: "eq-canary-other has no test",
    bare_formula: "begin{align}",
    exercise_without_check: "ex-canary-add has no check",
    exercise_without_solution: "ex-canary-add has no solution",
    unchecked_solution: "does not call its check",
    open_solution: "not folded",
    verdict_and_class: "C01 has the verdict",
    odd_verdict: "C01 is not written as",
    no_evidence: "C01 has no evidence",
    no_anchor: "C01 has no anchor",
    unmeasured: "C01 is not measured",
    filler: "'simply'",
    exclamation: "exclamation mark",
    british: "'colour'",
    number_in_prose: "states 0.377",
    percentage_in_prose: "states 37.7 %",
    number_in_caption: "states 0.377",
}


# -- what run must notice, although lint does not ----------------------------------------------------------


def wrong_number(notebook):
    """a wrong printed number"""
    output = cell(notebook, "energy =").outputs[0]
    output.text = output.text.replace("0.125", "0.126")


def raises(notebook):
    """a cell that raises"""
    cell(notebook, "energy =").source += "\nraise SystemError('canary')"


def stale_figure(notebook):
    """a figure of yesterday: the curve is drawn three pixels higher"""
    data = cell(notebook, "plt.show").outputs[0].data
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    file = io.BytesIO()
    ImageChops.offset(image.convert("RGB"), 0, -3).save(file, format="PNG")
    data["image/png"] = base64.b64encode(file.getvalue()).decode()


def stale_sound(notebook):
    """a sound of yesterday: a tenth louder"""
    data = cell(notebook, "book.play").outputs[0].data
    old = re.search(r"base64,([^\"]*)", data["text/html"])[1]
    y, sr = soundfile.read(io.BytesIO(base64.b64decode(old)))
    file = io.BytesIO()
    soundfile.write(file, np.clip(1.1 * y, -1, 1), sr, format="WAV", subtype="PCM_16")
    data["text/html"] = data["text/html"].replace(old, base64.b64encode(file.getvalue()).decode())


def no_code(notebook):
    """a notebook without code, in which nothing can be compared"""
    notebook.cells = notebook.cells[:1]


RUN = {
    wrong_number: "energy 0.126",
    raises: "SystemError",
    stale_figure: "of the stored figure",
    stale_sound: "the stored sound is another now",
    no_code: "nothing was compared",
}
