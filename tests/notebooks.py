"""Execute, check and compare the book's notebooks.

    python tests/notebooks.py execute [NOTEBOOK ...]   run, normalize and store the outputs
    python tests/notebooks.py lint [FILE ...]          look for faults without running anything
    python tests/notebooks.py run [NOTEBOOK ...]       run again and compare with what is stored (nbval)

Without paths: every notebook of the book; `lint` reads its Markdown pages too. The published page is what is
stored, so `run` compares all of it: text exactly (nbval), figures and sounds within a tolerance
(nbval_media.py). That is why no hash of the package is stored: whatever changes a number, a figure or a
sound, in a cell, in `speechlib` or in the data, is seen when the notebook runs again.
"""

import argparse
import base64
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from PIL import Image

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
CELL_SECONDS = 120  # a cell that runs longer hangs: a whole chapter has 60 s
THREADS = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA")}


class NotebookError(Exception):
    """A notebook cannot be stored or read; the message names the cell and says what to do."""


def notebooks(root=None):
    """Return the paths of the book's notebooks, in alphabetical order."""
    root = root or ROOT
    found = [*root.glob("chapters/**/*.ipynb"), *root.glob("appendices/**/*.ipynb")]
    return sorted(path for path in found if ".ipynb_checkpoints" not in path.parts)


def relative(path):
    """Return a path as the reader knows it: from the repository's root where it lies inside."""
    path = Path(path).resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


def environment(home):
    """Return the environment of a kernel: one thread, this checkout's package, nobody's IPython profile."""
    path = os.pathsep.join(filter(None, [str(ROOT), str(TESTS), os.environ.get("PYTHONPATH")]))
    inherited = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}
    return {**inherited, **THREADS, "PYTHONPATH": path, "IPYTHONDIR": home, "JUPYTER_PLATFORM_DIRS": "1"}


def code_sha256(cells):
    """Return the hash of the code cells' sources, in their order."""
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()


def outputs_sha256(cells):
    """Return the hash of all stored outputs, those that nbval is told to ignore among them."""
    outputs = [cell.outputs for cell in cells if cell.cell_type == "code"]
    return hashlib.sha256(json.dumps(outputs, sort_keys=True).encode()).hexdigest()


# -- execute ----------------------------------------------------------------------------------------------


def execute(path):
    """Run a notebook in a fresh kernel, normalize it and store it; on any fault leave the file as it was."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        extra_arguments=["--log-level=CRITICAL"],
        resources={"metadata": {"path": str(path.parent)}},
    )
    with tempfile.TemporaryDirectory() as home, client.setup_kernel(env=environment(home)):
        for index, cell in enumerate(notebook.cells):
            try:
                client.execute_cell(cell, index)
            except CellExecutionError as error:
                trace = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip().splitlines()
                raise NotebookError(f"cell {index + 1} raised:\n    " + "\n    ".join(trace[-6:])) from None
            except (CellTimeoutError, DeadKernelError) as error:
                raise NotebookError(f"cell {index + 1}: {str(error).splitlines()[0]}") from None
        seconds, peak = usage(client)
    normalize(notebook)
    notebook.metadata["speechlib"] = {
        "code_sha256": code_sha256(notebook.cells),
        "outputs_sha256": outputs_sha256(notebook.cells),
        "seconds": round(seconds, 1),
        "peak_mb": round(peak),
    }
    write(notebook, path)
    return notebook.metadata["speechlib"]


def usage(client):
    """Ask the kernel what it used; a silent request leaves no trace in the notebook.

    Returns the seconds of computing (about what a reader on a quiet machine waits; a busy one hardly changes
    them) and the largest memory in MB.
    """
    used = "__import__('resource').getrusage(__import__('resource').RUSAGE_SELF)"
    questions = {key: f"{used}.ru_{key}" for key in ("utime", "stime", "maxrss")}

    async def ask():
        asked = {"silent": True, "user_expressions": questions}
        return await client.kc.execute("", **asked, reply=True, timeout=30)

    answers = run_sync(ask)()["content"]["user_expressions"]
    user, system, peak = (float(answers[key]["data"]["text/plain"]) for key in questions)
    unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux kilobytes
    return user + system, peak / unit


def normalize(notebook):
    """Make what is stored depend on the notebook alone, and refuse what a page must not show."""
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata.pop("widgets", None)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for index, cell in enumerate(notebook.cells):
        cell.setdefault("id", hashlib.sha256(f"{index} {cell.source}".encode()).hexdigest()[:8])
        for key in ("execution", "collapsed", "ExecuteTime", "scrolled"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.outputs = merge_streams(cell.outputs)
            for output in cell.outputs:
                if output.get("name") == "stderr":
                    first = "\n    ".join(output.text.strip().splitlines()[:3])
                    what = "remove the cause of the warning, or the progress bar"
                    raise NotebookError(f"cell {index + 1} wrote to stderr; {what}:\n    {first}")
                if "image/png" in output.get("data", {}):
                    data = quantize(base64.b64decode(output.data["image/png"]))
                    output.data["image/png"] = base64.b64encode(data).decode()


def merge_streams(outputs):
    """Join neighboring pieces of one stream: where the kernel cut them is chance."""
    merged = []
    for output in outputs:
        if merged and output.output_type == "stream" and merged[-1].get("name") == output.name:
            merged[-1].text += output.text
        else:
            merged.append(output)
    return merged


def quantize(data):
    """Return a PNG with at most 256 colors where that is smaller: a third of the bytes, no visible loss."""
    image = Image.open(io.BytesIO(data))
    if image.mode == "P":
        return data
    image = image.convert("RGBA")
    if image.getextrema()[3][0] == 255:
        image, method = image.convert("RGB"), Image.Quantize.MEDIANCUT
    else:
        method = Image.Quantize.FASTOCTREE  # the one that knows transparency
    few = image.quantize(256, method=method, kmeans=1, dither=Image.Dither.NONE)
    file = io.BytesIO()
    few.save(file, format="PNG", optimize=True)
    return file.getvalue() if len(file.getvalue()) < len(data) else data


def write(notebook, path):
    """Write a notebook in one step: another process sees the old file or the new one, never half of it."""
    nbformat.validate(notebook)
    text = nbformat.writes(notebook).rstrip("\n") + "\n"
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


# -- run --------------------------------------------------------------------------------------------------


def run(path):
    """Run one notebook under nbval, in a fresh kernel; return (passed, report)."""
    if not path.is_file():
        return False, f"{relative(path)}: there is no such file"
    command = [
        *[sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "--color=no", "-q", "--tb=short"],
        *["-c", str(TESTS / "nbval.ini"), "--rootdir", str(path.parent), "-p", "nbval_media"],
        *["--nbval-sanitize-with", str(TESTS / "nbval_sanitize.cfg")],
        *["--nbval-cell-timeout", str(CELL_SECONDS), str(path)],
    ]
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as home:
        result = subprocess.run(
            command, cwd=path.parent, env=environment(home), capture_output=True, text=True, check=False
        )
    last = f"{relative(path)}: {{}} ({time.perf_counter() - start:.0f} s)"
    if result.returncode == 0:
        cells = re.search(r"(\d+) passed", result.stdout)
        if cells:
            return True, last.format(f"{cells[1]} cells give what is stored")
    if result.returncode in (0, 5):
        return False, last.format("no code cell was run, so nothing was compared")
    return False, f"{result.stdout}{result.stderr}\n" + last.format("does not give what is stored")


# -- command line -----------------------------------------------------------------------------------------


def main(arguments=None):
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("command", choices=["execute", "lint", "run"])
    parser.add_argument("paths", nargs="*", type=Path, help="all of the book's where none is given")
    options = parser.parse_args(arguments)
    if options.command == "lint":
        import notebook_lint

        return notebook_lint.main(options.paths)
    paths = [path.resolve() for path in options.paths] or notebooks()
    if not paths:
        print("no notebook found under chapters/ or appendices/", file=sys.stderr)
        return 1
    failed = 0
    if options.command == "execute":
        for path in paths:
            try:
                done = execute(path)
            except (NotebookError, OSError, nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
                failed += 1
                print(f"{relative(path)} is left as it was: {error}", file=sys.stderr)
            else:
                print(f"{relative(path)}: {done['seconds']} s, {done['peak_mb']} MB", flush=True)
        return int(failed > 0)
    with ThreadPoolExecutor(2) as pool:
        for passed, report in pool.map(run, paths):
            failed += not passed
            print(report, flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
