"""The rules of a page, one function a rule; `python tests/notebooks.py lint` applies them all.

A rule takes a `Page` and yields faults: (cell, what is wrong and what to do). Cells are counted from 1,
Markdown cells included; 0 is the notebook as a whole.
"""

import ast
import re
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import nbformat
import notebooks
import prose_numbers
from bs4 import BeautifulSoup
from IPython.core.inputtransformer2 import TransformerManager
from page_text import FORMULA, blank, markup, prose

MAX_LINES = 20
MAX_SECONDS = 60
MAX_PEAK_MB = 1500
MAX_BYTES = 3 * 2**20
MIN_ALT = 20

UNCHECKED = {"nbval-ignore-output"}
EXEMPT = {"raises-exception", "nbval-raises-exception", "nbval-skip", "skip-execution"}
MARKERS = {"NBVAL_IGNORE_OUTPUT", "PYTEST_VALIDATE_IGNORE_OUTPUT", "NBVAL_RAISES_EXCEPTION", "NBVAL_SKIP"}
MIME_TYPES = {"text/plain", "text/html", "text/markdown", "text/latex", "image/png"}
LOADING = {"script": "src", "link": "href", "img": "src", "audio": "src", "video": "src", "source": "src"}
LOADING |= {"iframe": "src", "embed": "src", "object": "data", "use": "href"}

FILLERS = r"let['’]s|crucial|powerful|delv(?:e|es|ing)|seamless(?:ly)?|leverag\w+|simply|just|obviously"
BRITISH = (
    r"\w*colour\w*|behaviour\w*|neighbour\w*|favour\w*|labell\w+|modell\w+|centre[ds]?|grey|analyse[ds]?|"
    r"(?:normal|optim|recogn|general|initial|regular|minim|maxim|visual|summar|standard|synthes|emphas)"
    r"is(?:e[ds]?|ers?|ing|ation)"
)
BAD_WORDS = re.compile(rf"\b(?:{FILLERS}|{BRITISH})(?!\w)", re.IGNORECASE)
OUR_PATHS = re.compile(r"(?<![\w.~/-])/(?:home|Users|root|tmp|work)\b(?:/[^\s\"']*)?|\b[A-Z]:\\\w+")
DATA = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,[A-Za-z0-9+/=]+")
OBJECT = re.compile(r"\bat 0x[0-9a-f]{6,}|^(?:\[?<matplotlib|\[?<Axes|Text\(|\(?array\(\[<)", re.MULTILINE)

CLAIM = re.compile(
    r"(:{3,})\{admonition\} (C\d\d+) · (true|half true|false|unverifiable) · \S[^\n]*\n"
    r":class: claim ([a-z-]+)\n(.*?)^\1[ ]*$",
    re.MULTILINE | re.DOTALL,
)
EVENT = re.compile(
    r"^[`:]{3,}\{(exercise|solution-start|solution-end|solution)(?:-start)?\}[ ]*(\S*)[^\n]*\n"
    r"((?::[\w-]+:.*\n?)*)",
    re.MULTILINE,
)


@dataclass
class Page:
    """What the rules read: a notebook, or a Markdown page as a notebook without code."""

    path: Path
    cells: list
    metadata: dict
    formulas: set  # labels that tests/test_formulas*.py name

    @property
    def code(self):
        """Return (number, cell) of the code cells."""
        return [(n, cell) for n, cell in enumerate(self.cells, 1) if cell.cell_type == "code"]

    @property
    def text(self):
        """Return (number, cell) of the Markdown cells."""
        return [(n, cell) for n, cell in enumerate(self.cells, 1) if cell.cell_type == "markdown"]


def tags(cell):
    """Return the tags of a cell, nbval's comment markers among them."""
    comments = {line.strip().lstrip("# ") for line in cell.source.splitlines() if re.match(r"\s*#", line)}
    return {*cell.metadata.get("tags", []), *(word.lower().replace("_", "-") for word in comments & MARKERS)}


def asserts(cell):
    """Say whether a cell asserts something."""
    try:
        tree = ast.parse(TransformerManager().transform_cell(cell.source))
    except SyntaxError:
        return False
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    testing = any(getattr(call, "attr", getattr(call, "id", "")).startswith("assert_") for call in calls)
    return testing or any(isinstance(node, ast.Assert) for node in ast.walk(tree))


def figure(cell):
    """Return what a cell's metadata says of its image: (alt text, caption)."""
    options = cell.metadata.get("mystnb", {})
    alt = (options.get("image") or {}).get("alt") or ""
    return alt, (options.get("figure") or {}).get("caption") or ""


def html(cell):
    """Return the HTML outputs of a cell."""
    return ["".join(output.get("data", {}).get("text/html", "")) for output in cell.get("outputs", [])]


def output_text(cell):
    """Return what a reader reads in a cell's outputs: streams, results, tables; no bytes of sounds."""
    parts = []
    for output in cell.get("outputs", []):
        parts.append(output.get("text", ""))
        for kind, data in output.get("data", {}).items():
            if kind == "text/html":
                data = BeautifulSoup(DATA.sub("", data), "html.parser").get_text(" ")
            if kind.startswith("text/"):
                parts.append(data)
    return "\n".join(parts)


# -- rules for code and outputs ----------------------------------------------------------------------------


def executed(page):
    """Every code cell ran, in order, from a fresh kernel."""
    expected = 0
    for n, cell in page.code:
        if "skip-execution" in tags(cell):
            continue
        expected += 1
        if not cell.source.strip():
            yield n, "an empty code cell: remove it"
        elif cell.execution_count is None:
            yield n, "is not executed: run `make execute`"
        elif cell.execution_count != expected:
            yield n, f"has execution count {cell.execution_count} instead of {expected}: run `make execute`"


def fresh(page):
    """What is stored is what this code gave when it was last executed."""
    if page.code:
        stored = page.metadata.get("speechlib", {})
        if stored.get("code_sha256") != notebooks.code_sha256(page.cells):
            yield 0, "code was edited after it was last executed: run `make execute`"
        elif stored.get("outputs_sha256") != notebooks.outputs_sha256(page.cells):
            yield 0, "outputs were edited after they were stored: run `make execute`"


def budget(page):
    """A chapter runs in a minute on a small machine, and its file stays small."""
    if page.code:
        run = page.metadata.get("speechlib", {})
        for key, limit, unit in (("seconds", MAX_SECONDS, "s"), ("peak_mb", MAX_PEAK_MB, "MB")):
            if key not in run:
                yield 0, f"metadata has no speechlib.{key}: run `make execute`"
            elif run[key] > limit:
                yield 0, f"needs {run[key]} {unit}, more than {limit} {unit}: make it smaller"
    size = page.path.stat().st_size
    if size > MAX_BYTES:
        yield 0, f"has {size / 2**20:.1f} MB, more than {MAX_BYTES // 2**20}: show fewer sounds and figures"


def short(page):
    """A cell fits on a screen."""
    for n, cell in page.code:
        lines = sum(1 for line in cell.source.splitlines() if line.strip())
        if lines > MAX_LINES:
            yield n, f"has {lines} lines of code, more than {MAX_LINES}: split it, or move code to speechlib"


def checked(page):
    """Whatever nbval is told to ignore is asserted instead."""
    for n, cell in page.code:
        if tags(cell) & UNCHECKED and not asserts(cell):
            yield n, "nbval ignores its output and nothing is asserted: add an assert with the stated range"
        for tag in sorted(tags(cell) & EXEMPT):
            if not cell.metadata.get("speechlib", {}).get("reason"):
                yield n, f'has the tag {tag} and no reason: add speechlib: {{"reason": ...}} to its metadata'


def clean_outputs(page):
    """Outputs are what a reader should see, and come out alike on every machine."""
    for n, cell in page.code:
        for output in cell.outputs:
            if output.output_type == "error" and not tags(cell) & EXEMPT:
                yield n, f"shows an error ({output.ename}): catch it, or repair the cell"
            if output.get("name") == "stderr":
                yield n, "shows stderr: remove the cause of the warning, or the progress bar"
            for kind in sorted(set(output.get("data", {})) - MIME_TYPES):
                yield n, f"has an output of type {kind}: figures are PNG, everything else text or HTML"
        found = OBJECT.search(output_text(cell))
        if found:
            yield n, f"prints an object ({found[0].strip()!r}): end the cell with plt.show() or a semicolon"


def outside(page):
    """Nothing points to one machine, and nothing is loaded from elsewhere."""
    for n, cell in enumerate(page.cells, 1):
        source = cell.source if cell.cell_type == "code" else prose(cell.source)
        output = DATA.sub("", output_text(cell) + "".join(html(cell)))
        for where, text in (("source", source), ("output", output)):
            for found in OUR_PATHS.finditer(text):
                yield n, f"has a path of one machine in its {where} ({found[0]}): use a relative one"
        pages = html(cell) if cell.cell_type == "code" else [cell.source]
        for text in pages:
            for element in BeautifulSoup(text, "html.parser").find_all(list(LOADING)):
                target = element.get(LOADING[element.name], "") or ""
                if re.match(r"(?:https?:)?//", target):
                    yield n, f"loads {target}: nothing is fetched when the page is read, put it into the book"
            for found in re.finditer(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^\s\"')]*", text):
                yield n, f"loads {found[0]}: nothing is fetched when the page is read, put it into the book"


def described(page):
    """Whoever cannot see a figure reads what it shows, and its caption says what it says."""
    for n, cell in page.code:
        count = sum("image/png" in output.get("data", {}) for output in cell.outputs)
        if not count:
            continue
        alt, caption = figure(cell)
        if not alt:
            yield n, 'its image has no alt text: add mystnb: {"image": {"alt": ...}} to the cell\'s metadata'
        elif len(alt) < MIN_ALT or re.search(r"\.(png|svg|jpe?g)$", alt):
            yield n, f"its alt text {alt!r} describes nothing: say in a sentence what the image shows"
        if not caption:
            yield n, 'its image has no caption: add mystnb: {"figure": {"caption": ...}}, the finding'
        if count > 1:
            yield n, f"shows {count} images under one alt text: one image a cell"
    for n, cell in page.text:
        for found in re.finditer(r"!\[([^\]]*)\]\(([^)\s]*)", markup(cell.source)):
            if len(found[1]) < MIN_ALT:
                yield n, f"the image {found[2]} has no alt text: say in a sentence what it shows"
            if "//" in found[2]:
                yield n, f"loads {found[2]}: nothing is fetched when the page is read, put it into the book"
        if cell.get("attachments"):
            yield n, "has an image pasted into it: put the file into _static/, with an alt text"


def heard(page):
    """Beside every sound stands what is heard."""
    for n, cell in page.code:
        for text in html(cell):
            for audio in BeautifulSoup(text, "html.parser").find_all("audio"):
                player = audio.find_parent("figure", class_="player")
                caption = player.find("figcaption") if player else None
                if not caption or not caption.get_text(strip=True):
                    yield n, "has a sound without a transcript: use book.play(y, sr, label)"
                if not audio.has_attr("controls"):
                    yield n, "has a sound that cannot be played: use book.play(y, sr, label)"


# -- rules for prose ---------------------------------------------------------------------------------------


def labeled(page):
    """Every displayed formula has a label, and a test that names it."""
    for n, cell in page.text:
        text = markup(cell.source)
        for found in FORMULA.finditer(text):
            start, label = " ".join(found[1].split())[:30], found[2] or ""
            if not label.startswith("eq-"):
                yield n, f"the formula {start!r} has no label: write $$ ... $$ (eq-chapter-name)"
            elif label not in page.formulas:
                yield n, f"the formula {label} has no test: name it in tests/test_formulas*.py"
        for found in re.finditer(r"^[`:]{3,}\{math\}", cell.source, re.MULTILINE):
            yield n, f"has a formula as {found[0]}: write $$ ... $$ (eq-chapter-name)"
        for found in re.finditer(r"^\\begin\{\w+\*?\}", FORMULA.sub(blank, text), re.MULTILINE):
            yield n, f"has a formula as {found[0]}: write $$ ... $$ (eq-chapter-name)"


def solved(page):
    """Every exercise has a stub that checks itself, and a folded solution that passes the check."""
    exercise, inside, events = None, None, []
    for n, cell in enumerate(page.cells, 1):
        if cell.cell_type == "code":
            events.append((n, "code", "", cell.source))
        else:
            events += [(n, *found.groups()) for found in EVENT.finditer(markup(cell.source) + "\n")]
    exercises, checks, solutions, solution_checks = {}, set(), {}, set()
    for n, kind, label, rest in events:
        if kind == "exercise":
            found = re.search(r"^:label:[ ]*(\S+)", rest, re.MULTILINE)
            exercise, inside = found[1] if found else f"in cell {n}", None
            if not exercise.startswith("ex-"):
                yield n, "the exercise has no label that begins with ex-: add `:label: ex-chapter-name`"
            exercises[exercise] = n
        elif kind in ("solution", "solution-start"):
            solutions[label], inside = kind, label if kind == "solution-start" else None
            exercise = None
            if not re.search(r"^:class:.*\bdropdown\b", rest, re.MULTILINE):
                yield n, f"the solution of {label} is not folded: add `:class: dropdown`"
        elif kind == "solution-end":
            if inside is None:
                yield n, "has a solution-end without a solution-start"
            inside = None
        elif re.search(r"\bcheck\.\w+\(", rest):
            checks |= {exercise} if exercise else set()
            solution_checks |= {inside} if inside else set()
    if inside is not None:
        yield 0, f"the solution of {inside} has no end: add {{solution-end}}"
    for label, n in exercises.items():
        if label not in checks:
            yield n, f"the exercise {label} has no check: call check.<exercise>(...) in the cell after it"
        if label not in solutions:
            yield n, f"the exercise {label} has no solution: add {{solution-start}} {label}"
        elif solutions[label] == "solution-start" and label not in solution_checks:
            yield n, f"the solution of {label} does not call its check: call check.<exercise>(...) there too"


def judged(page):
    """Every claim has an anchor, a verdict of four, and a cell that measured it."""
    measured = ""
    form = "write (claim-cNN)=, then :::{admonition} CNN · verdict · statement, then :class: claim verdict"
    for n, cell in enumerate(page.cells, 1):
        if cell.cell_type == "code":
            measured += cell.source if asserts(cell) else ""
            continue
        text = markup(cell.source)
        good = set()
        for claim in CLAIM.finditer(text):
            _, name, verdict, kind, evidence = claim.groups()
            good.add(name)
            if not text[: claim.start()].rstrip(" ").endswith(f"(claim-{name.lower()})=\n"):
                yield n, f"{name} has no anchor on the line above it: {form}"
            if kind != verdict.replace(" ", "-"):
                yield n, f"{name} has the verdict {verdict!r} but the class {kind!r}"
            if not evidence.strip():
                yield n, f"{name} has no evidence: say what was measured"
            if verdict != "unverifiable" and page.path.suffix == ".ipynb" and name not in measured:
                yield n, f"{name} is not measured: let an earlier cell with an assert name it (# {name})"
        named = {*re.findall(r"^\(claim-(\w+)\)=", text, re.MULTILINE)}
        named |= {*re.findall(r"\{admonition\} (C\d+)\b", text)}
        for name in sorted({name.upper() for name in named} - good):
            yield n, f"the claim {name} is not written as the claims are: {form}"
        if len(re.findall(r"^:class:.*\bclaim\b", text, re.MULTILINE)) > len(good) and not named:
            yield n, f"has a claim without a number: {form}"


def plain(page):
    """Words that add nothing, and a spelling that the rest does not have."""
    for n, cell in enumerate(page.cells, 1):
        text = prose(cell.source) if cell.cell_type == "markdown" else "\n".join(figure(cell))
        for found in BAD_WORDS.finditer(text):
            yield n, f"says {found[0]!r}: leave it out, or say what is meant (American spelling)"
        for found in re.finditer(r"\S*!(?![=\[])", text):
            yield n, f"has an exclamation mark ({found[0]!r}): use a period"


def supported(page):
    """A number in prose is one that a cell of the same notebook shows."""
    if not page.code:
        return
    values = prose_numbers.shown(text for _, cell in page.code for text in (cell.source, output_text(cell)))
    references, solution = 0, False
    for n, cell in enumerate(page.cells, 1):
        if cell.metadata.get("speechlib", {}).get("numbers"):
            continue
        if cell.cell_type == "code":
            lines = "\n".join(figure(cell)).splitlines()
            solution_cell = False
        else:
            if re.search(r"\{solution-start\}", cell.source):
                solution = True
            solution_cell = solution or "{solution}" in cell.source
            if re.search(r"\{solution-end\}", cell.source):
                solution = False
            lines = prose(cell.source).splitlines()
        if solution_cell:
            continue
        for line in lines:
            heading = re.match(r"(#+) (.*)", line)
            if heading:
                depth = len(heading[1])
                if re.match(r"(?:References|Going further|Bibliography)", heading[2]):
                    references = depth
                elif depth <= references:
                    references = 0
            elif not references:
                for number in prose_numbers.unsupported(line, values):
                    cure = 'print it, or add speechlib: {"numbers": "why"} to the metadata'
                    yield n, f"states {number}, which no cell prints, asserts or sets: {cure}"


RULES = [
    *[executed, fresh, budget, short, checked, clean_outputs, outside, described, heard],
    *[labeled, solved, judged, plain, supported],
]
PAGE_RULES = [described, plain]  # the others are about chapters


# -- command line ------------------------------------------------------------------------------------------


def tested_formulas(folder=notebooks.TESTS):
    """Return the labels of formulas that occur as strings in the tests of the formulas."""
    labels = set()
    for path in folder.glob("test_formulas*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                labels |= {*re.findall(r"eq-[\w-]+", node.value)}
    return labels


def read(path, formulas):
    """Read a notebook or a Markdown page."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return Page(path, [nbformat.v4.new_markdown_cell(text)], {}, formulas)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # cells without an id, or with one id twice
        notebook = nbformat.reads(text, as_version=4)
        nbformat.validate(notebook)
    return Page(path, notebook.cells, notebook.metadata, formulas)


def lint(path, formulas):
    """Return the faults of one file, one line each."""
    name = notebooks.relative(path)
    try:
        page = read(path, formulas)
    except Exception as error:
        return [f"{name}: cannot be read: {str(error).splitlines()[0]}"]
    found = []
    for rule in RULES if path.suffix == ".ipynb" else PAGE_RULES:
        found += rule(page)
    counted = path.suffix == ".ipynb"
    found.sort(key=lambda fault: fault[0])
    return [f"{name} cell {n}: {what}" if n and counted else f"{name}: {what}" for n, what in found]


def pages():
    """Return the notebooks and the Markdown pages of the book, and the guides beside them."""
    found = [*notebooks.ROOT.glob("*.md"), *notebooks.ROOT.glob("chapters/**/*.md")]
    return [*notebooks.notebooks(), *sorted([*found, *notebooks.ROOT.glob("appendices/**/*.md")])]


def main(paths):
    paths = [Path(path).resolve() for path in paths] or pages()
    formulas = tested_formulas()
    faults = [fault for path in paths for fault in lint(path, formulas)]
    print("\n".join([*faults, f"{len(paths)} pages, {len(faults)} faults"]))
    return int(bool(faults)) if paths else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
