"""What the site needs beyond Jupyter Book: nothing from outside, and pages collected from the chapters.

* scripts that Jupyter Book 1 loads although they are off (Thebe), and scripts emitted twice, are dropped;
* the repository's public address is taken from `_config.yml` (`repository: url`) wherever a page needs it;
* directives: `player` (a sound of the corpus), `claims-table`, `notebook-timings`, `scoreboard`.
"""

import json
import re
import sys
from pathlib import Path
from urllib.parse import quote

from docutils import nodes
from docutils.parsers.rst import directives
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style as PlainStyle
from pybtex.style.labels import BaseLabelStyle as LabelStyle
from sphinx.util.docutils import SphinxDirective


class AuthorYear(LabelStyle):
    """Labels such as "Goh 2017": the list of references names a work as the text does."""

    def format_labels(self, entries):
        for entry in entries:
            people = entry.persons.get("author") or entry.persons["editor"]
            names = [" ".join(person.prelast_names + person.last_names) or str(person) for person in people]
            few = " and ".join(names) if len(names) <= 2 else f"{names[0]} et al."
            yield f"{few} {entry.fields['year']}"


class Named(PlainStyle):
    """The plain style with these labels; `appendices/bibliography.md` asks for it by name."""

    default_label_style = AuthorYear


register_plugin("pybtex.style.formatting", "named", Named)

ROOT = Path(__file__).resolve().parent.parent
CLAIM = re.compile(
    r"^\((claim-c\d+)\)=\n:{3,}\{admonition\} (C\d+) · (true|half true|false|unverifiable) · (.+)$", re.M
)


def notebooks(app):
    """Yield (docname, notebook) of every chapter of the book, in the order of the table of contents."""
    for docname in app.env.toctree_includes.get(app.config.root_doc, []) or sorted(app.env.found_docs):
        path = Path(app.srcdir, docname + ".ipynb")
        if path.exists():
            yield docname, json.loads(path.read_text(encoding="utf-8"))


def markdown(notebook):
    """Return the prose of a notebook as one string."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    return "\n\n".join("".join(cell["source"]) for cell in cells)


def address(app):
    """Return what derives from the repository's address: the substitutions that pages may use."""
    context = app.config.html_theme_options
    url = context["repository_url"].rstrip("/")
    branch = context["repository_branch"]
    owner_name = "/".join(url.split("/")[-2:])
    binder = context["launch_buttons"]["binderhub_url"]
    return {
        "repository_url": url,
        "binder_url": f"{binder}/v2/gh/{owner_name}/{quote(branch, safe='')}",
        "colab_line": (
            f"!git clone --quiet --depth 1 {url} book && pip install --quiet soundfile pooch\n"
            'import sys; sys.path.insert(0, "book")'
        ),
    }


class Player(SphinxDirective):
    """`{player} UTTERANCE-ID`: a sound of the shipped corpus; `:label:` says what is heard."""

    required_arguments = 1
    option_spec = {"label": directives.unchanged_required}

    def run(self):
        sys.path.insert(0, str(ROOT))
        from speechlib import book, corpus

        wanted = self.arguments[0]
        for load in (corpus.strings, corpus.digits, corpus.words, corpus.mandarin_digits):
            for row in load().filter(lambda row: row.id == wanted):
                label = self.options.get("label") or row.text
                return [nodes.raw("", book.player(row.y, row.sr, label), format="html")]
        raise self.error(f"no utterance '{wanted}' in the corpus")


class Collected(SphinxDirective):
    """A table that is collected from the chapters or from stored results each time the book is built."""

    def table(self, heads, rows, caption):
        """Build a table; a cell may be a node, and the first cell heads its row."""
        group = nodes.tgroup(cols=len(heads))
        group += [nodes.colspec(colwidth=1) for _ in heads]
        head, body = nodes.thead(), nodes.tbody()
        group += [head, body]
        for target, cells in [(head, heads), *((body, row) for row in rows)]:
            line = nodes.row()
            for cell in cells:
                entry, paragraph = nodes.entry(), nodes.paragraph()
                paragraph += cell if isinstance(cell, nodes.Node) else nodes.Text(str(cell))
                entry += paragraph
                line += entry
            target += line
        return nodes.table("", nodes.title("", caption), group)

    def link(self, docname, anchor, text):
        """Build a link to an anchor of another page."""
        page = self.env.app.builder.get_relative_uri(self.env.docname, docname)
        return nodes.reference("", text, internal=True, refuri=f"{page}#{anchor}" if anchor else page)

    def run(self):
        self.env.note_reread()  # the chapters may have changed although this page did not
        return self.collect()


class Claims(Collected):
    """`{claims-table}`: every claim of every chapter, its verdict, and a link to its evidence."""

    def collect(self):
        found = []
        for docname, notebook in notebooks(self.env.app):
            for anchor, number, verdict, statement in CLAIM.findall(markdown(notebook)):
                found.append((number, (self.link(docname, anchor, number), statement, verdict)))
        if not found:
            raise self.error("no claim found in any chapter")
        found.sort(key=lambda row: row[0])
        caption = "Claims, with the verdict that a cell of the linked chapter has measured"
        return [self.table(["claim", "what one reads", "verdict"], [row for _, row in found], caption)]


class Timings(Collected):
    """`{notebook-timings}`: seconds and memory of each chapter, as `make execute` recorded them."""

    def collect(self):
        rows = []
        for docname, notebook in notebooks(self.env.app):
            run = notebook["metadata"].get("speechlib", {})
            if "seconds" in run:
                name = docname.split("/")[-1]
                rows.append((self.link(docname, "", name), f"{run['seconds']:.0f}", f"{run['peak_mb']:.0f}"))
        if not rows:
            raise self.error("no executed chapter found")
        heads = ["chapter", "seconds", "peak memory (MB)"]
        return [self.table(heads, rows, "One run of each chapter, one thread")]


class Scoreboard(Collected):
    """`{scoreboard}`: the stored run of benchmarks/scoreboard.py, as tables."""

    def collect(self):
        stored = json.loads((ROOT / "benchmarks/results/scoreboard.json").read_text(encoding="utf-8"))
        recognizers = [row["recognizer"] for row in stored["rows"]]
        measures = [
            [head, *(row[key] for row in stored["rows"])]
            for key, head in zip(stored["columns"], stored["heads"], strict=True)
        ]
        left_out = [row["results"]["speaker"]["fsdd_left_out"]["speakers"] for row in stored["rows"]]
        people = [
            [name, *(f"{100 * each[name]['accuracy']:.1f}" for each in left_out)]
            for name in sorted(left_out[0])
        ]
        caption = f"Accuracy in percent, with 95 % Wilson intervals; stored run of {stored['date'][:10]}"
        alone = "FSDD: each speaker after training on the other five, speaker’s mean removed (percent)"
        tables = [
            self.table(["measured on", *recognizers], measures, caption),
            self.table(["left out", *recognizers], people, alone),
        ]
        for row in stored["rows"]:
            by_seed = row["test_by_seed"]
            if by_seed:
                each = zip(by_seed["utterance"], by_seed["speaker"], strict=True)
                seeds = [
                    [str(seed), *(f"{100 * accuracy:.1f}" for accuracy in both)]
                    for seed, both in enumerate(each)
                ]
                heads = ["seed", "test", "test, speaker’s mean removed"]
                title = f"{row['recognizer']}: other random weights (percent)"
                tables.append(self.table(heads, seeds, title))
        return tables


def only_ours(app, pagename, templatename, context, doctree):
    """Drop Thebe, and every script that stands twice."""
    seen, kept = set(), []
    for script in context.get("script_files", []):
        name = str(getattr(script, "filename", "") or "")
        body = getattr(script, "attributes", {}).get("body", "") or ""
        key = name or body
        if "thebe" in key.lower() or key in seen:
            continue
        seen.add(key)
        kept.append(script)
    context["script_files"] = kept
    context["default_mode"] = "auto"


def plain_references(app, pagename, templatename, context, doctree):
    """Take from the list of references the ARIA roles that WAI-ARIA has withdrawn or that do not fit it."""
    body = context.get("body", "")
    if 'class="citation-list"' in body:
        body = body.replace('<div role="list" class="citation-list">', '<div class="citation-list">')
        context["body"] = re.sub(r'(<div class="citation" id="[^"]+") role="doc-biblioentry"', r"\1", body)


def configure(app, config):
    """Give every page the addresses that derive from `_config.yml`, and the theme what Jupyter Book lacks."""
    config.html_theme_options.update(show_toc_level=2, navigation_with_keys=True, navbar_persistent=[])
    config.toc_object_entries_show_parents = "hide"
    config.myst_substitutions = {**config.myst_substitutions, **address(app)}


def setup(app):
    app.connect("config-inited", configure, priority=100)
    app.connect("html-page-context", only_ours, priority=900)
    app.connect("html-page-context", plain_references)
    app.add_css_file("book.css")
    app.add_js_file("book.js", loading_method="defer")
    app.add_directive("player", Player)
    app.add_directive("claims-table", Claims)
    app.add_directive("notebook-timings", Timings)
    app.add_directive("scoreboard", Scoreboard)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
