"""A pytest plugin that lets nbval run cells as a notebook does, and compare what it leaves out.

nbval runs cells without a history, and then a semicolon at the end silences nothing. It skips PNG images, so
a stale figure would pass, and compares sounds byte by byte, so a last bit that rounds differently on another
machine would fail. Both are decoded here. On one machine nothing differs; the tolerances leave room for the
last bits of another one, far below what an eye or an ear would notice.
"""

import base64
import io
import re

import numpy as np
import pytest
import soundfile
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell, NbCellError
from notebooks import quantize
from PIL import Image

PIXEL_LEVELS = 48  # of 255: less is the palette or the edge of a line that moved by a fraction of a pixel
PIXEL_SHARE = 0.001  # a curve that moves by one pixel changes about three times as many
SOUND_SHARE = 0.05  # root mean square of the difference to that of the sound
SOUND_FLOOR = 1e-3  # and a step of silence
PLAYER = re.compile(r"data:audio/[\w.+-]+;base64,([A-Za-z0-9+/=]+)")


def images(outputs):
    """Return the PNG files among a cell's outputs."""
    found = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    return [base64.b64decode(data) for data in found]


def sounds(outputs):
    """Return the sound files in a cell's HTML outputs."""
    pages = ["".join(output.get("data", {}).get("text/html", "")) for output in outputs]
    return [base64.b64decode(data) for page in pages for data in PLAYER.findall(page)]


def image_difference(stored, new):
    """Say how two PNG files differ, or return None where no eye would tell."""
    if stored == new or stored == quantize(new):
        return None
    old, now = (Image.open(io.BytesIO(png)).convert("RGBA") for png in (stored, quantize(new)))
    old, now = np.asarray(old, int), np.asarray(now, int)
    if old.shape != now.shape:
        sizes = [f"{x.shape[1]}x{x.shape[0]}" for x in (old, now)]
        return f"the stored figure has {sizes[0]} pixels, the new one {sizes[1]}"
    share = np.mean(np.abs(old - now).max(axis=-1) > PIXEL_LEVELS)
    return f"{share:.2%} of the pixels of the stored figure are others now" if share > PIXEL_SHARE else None


def sound_difference(stored, new):
    """Say how two sound files differ, or return None where no ear would tell."""
    if stored == new:
        return None
    (old, old_rate), (now, now_rate) = (soundfile.read(io.BytesIO(data)) for data in (stored, new))
    if (old.shape, old_rate) != (now.shape, now_rate):
        sizes = [f"{len(x)} samples at {rate} Hz" for x, rate in ((old, old_rate), (now, now_rate))]
        return f"the stored sound has {sizes[0]}, the new one {sizes[1]}"
    difference, level = (np.sqrt(np.mean(np.square(x))) for x in (old - now, old))
    if difference > SOUND_SHARE * level + SOUND_FLOOR:
        return f"the stored sound is another now, by {difference / max(level, 1e-9):.0%} of its level"
    return None


def compare(stored_outputs, new_outputs):
    """Return what differs between the media of two lists of outputs, one sentence each."""
    faults = []
    for find, difference in ((images, image_difference), (sounds, sound_difference)):
        stored, new = find(stored_outputs), find(new_outputs)
        if len(stored) != len(new):
            faults.append(f"{len(stored)} {find.__name__} are stored, {len(new)} came out")
        faults += filter(None, map(difference, stored, new))
    return faults


def execute_with_history(kernel, source, allow_stdin=None):
    """Run a cell as a notebook does."""
    return kernel.kc.execute(source, allow_stdin=allow_stdin, stop_on_error=False)


RunningKernel.execute_cell_input = execute_with_history


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    result = yield
    if isinstance(item, IPyNbCell) and item.options["check"]:
        faults = compare(item.cell.outputs, item.test_outputs)
        if faults:
            raise NbCellError(item.cell_num, "; ".join(faults), item.cell.source)
    return result
