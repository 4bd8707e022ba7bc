"""What the notebooks need to look alike: one set-up, one look for figures, players, tables and shown source.

>>> rng = setup(seed=0)
>>> float(rng.random())
0.6369616873214543
"""

import ast
import base64
import html
import inspect
import io
import os
import textwrap

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import soundfile
from IPython.display import HTML, Markdown, display
from threadpoolctl import threadpool_limits

# Okabe and Ito's palette (2008): told apart with every common form of color blindness.
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]

STYLE = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.prop_cycle": matplotlib.cycler(color=COLORS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": 144,
    "figure.figsize": (6.0, 3.0),
    "font.size": 11,
    "grid.alpha": 0.3,
    "image.cmap": "magma_r",  # strong is dark, like ink on paper
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "savefig.facecolor": "white",
}


def setup(seed=0):
    """Make a run repeatable and figures alike: one thread, one look, one source of chance.

    Sums taken in another order round differently, and the order depends on the number of threads. One thread
    makes a stored number the same number tomorrow.

    Parameters
    ----------
    seed : int
        Seed of the generator that is returned.

    Returns
    -------
    rng : np.random.Generator
        The chapter's only source of random numbers.
    """
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"  # for libraries that are imported later, PyTorch among them
    threadpool_limits(1)  # for those already here
    matplotlib.rcParams.update(STYLE)
    np.set_printoptions(precision=3, suppress=True, linewidth=88)
    return np.random.default_rng(seed)


def wav(y, sr):
    """Encode samples as the bytes of a 16-bit WAV file.

    Parameters
    ----------
    y : np.ndarray [shape=(samples,)]
        Samples in [-1, 1]; louder ones are scaled down together, so that nothing is clipped.
    sr : int
        Sampling rate in Hz.

    Returns
    -------
    data : bytes

    Examples
    --------
    >>> wav(np.zeros(80), 8000)[:4]
    b'RIFF'
    """
    y = np.asarray(y, dtype=np.float64)
    peak = np.max(np.abs(y), initial=0.0)
    file = io.BytesIO()
    soundfile.write(file, y / max(peak, 1.0), sr, format="WAV", subtype="PCM_16")
    return file.getvalue()


def player(y, sr, label):
    """Return the HTML of a sound player that needs neither a kernel nor a network.

    Parameters
    ----------
    y : np.ndarray [shape=(samples,)]
    sr : int
        Sampling rate in Hz.
    label : str
        What is heard: the words, and what was done to them. It stands beside the player for those who cannot
        hear it, and it names the player for a screen reader.

    Returns
    -------
    markup : str

    Raises
    ------
    ValueError
        If the label is empty: every sound in the book has a transcript.

    Examples
    --------
    >>> player(np.zeros(80), 8000, "Silence")[:48]
    '<figure class="player"><figcaption>Silence</figc'
    """
    if not label.strip():
        raise ValueError("a player needs a label that says what is heard")
    text = html.escape(label)
    data = base64.b64encode(wav(y, sr)).decode()
    return (
        f'<figure class="player"><figcaption>{text}</figcaption>'
        f'<audio controls preload="metadata" aria-label="{text}" src="data:audio/wav;base64,{data}"></audio>'
        "</figure>"
    )


def play(y, sr, label):
    """Show a sound player. Parameters as in `player`."""
    display(HTML(player(y, sr, label)))


def table(rows, caption=""):
    """Show a table that can be read aloud and that scrolls inside itself on a narrow screen.

    Parameters
    ----------
    rows : list of dict
        One dict a row, the same keys in each; the keys are the column heads, the first column heads its row.
    caption : str
        What the table says.

    Raises
    ------
    ValueError
        If there are no rows, or their keys differ.
    """
    if not rows or any(list(row) != list(rows[0]) for row in rows):
        raise ValueError("a table needs at least one row, and the same keys in the same order in each")
    heads = "".join(f'<th scope="col">{html.escape(str(key))}</th>' for key in rows[0])
    body = ""
    for row in rows:
        first, *rest = [html.escape(str(value)) for value in row.values()]
        body += f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in rest) + "</tr>"
    title = html.escape(caption)
    display(
        HTML(
            f'<div class="table-scroll" role="region" tabindex="0" aria-label="{title or "table"}"><table>'
            + (f"<caption>{title}</caption>" if title else "")
            + f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
        )
    )


def source(obj):
    """Return the source of a function or class with its docstring cut to the first line.

    Examples
    --------
    >>> print(source(play))
    def play(y, sr, label):
        '''Show a sound player. Parameters as in `player`.'''
        display(HTML(player(y, sr, label)))
    """
    text = textwrap.dedent(inspect.getsource(obj))
    lines = text.splitlines()
    for node in reversed(list(ast.walk(ast.parse(text)))):
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) or ast.get_docstring(node) is None:
            continue
        expression = node.body[0]
        first = ast.get_docstring(node).splitlines()[0]
        indent = " " * expression.col_offset
        lines[expression.lineno - 1 : expression.end_lineno] = [f"{indent}'''{first}'''"]
    return "\n".join(lines)


def show(*objects):
    """Show the source of functions or classes: the page prints the code that ran, not a copy of it."""
    code = "\n\n\n".join(source(obj) for obj in objects)
    display(Markdown(f"```python\n{code}\n```"))


def image(ax, x, *, extent, label, unit_x="time (s)", unit_y="mel band", vmin=None, vmax=None):
    """Draw a spectrogram or features: time to the right, the second axis upward, strong is dark.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    x : np.ndarray [shape=(frames, bins)]
    extent : tuple of float
        Left, right, bottom, top, in the units of the axes.
    label : str
        What the color means, with its unit; empty for no color bar.
    unit_x, unit_y : str
        Labels of the axes.
    vmin, vmax : float, optional
        Values of the lightest and the darkest color.
    """
    picture = ax.imshow(x.T, origin="lower", aspect="auto", extent=extent, vmin=vmin, vmax=vmax)
    ax.grid(False)
    ax.set(xlabel=unit_x, ylabel=unit_y)
    if label:
        plt.colorbar(picture, ax=ax, label=label)
