"""Which numbers a page's prose states, and which of them no cell of its notebook shows.

A number in prose is one that a cell of the same chapter printed, asserted or set. Looked at are decimal
numbers, percentages and integers above 100, rounded as the prose writes them; not looked at are years,
numbers of sections and pages, and whatever `page_text.prose` leaves out: formulas, code, targets of links.
"""

import re

# 0.5, .5, 12, 1,234.5, 3e-4; not C18, x2, 1.0.4
NUMBER = re.compile(r"(?<![\w.])(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)(?:[eE]([-−+]?\d+))?")
VERSION = re.compile(r"(?<![\w.])\d+(?:\.\d+){2,}")
PERCENT = re.compile(r"[ \u00a0\u202f]?(?:%|percent\b|per cent\b)")
CONFIDENCE = re.compile(r"\b9[059] ?%(?=[ -](?:Wilson|confidence|interval|level))")
PLACE = re.compile(
    r"(?:\b(?:sections?|sec\.|chapters?|chap\.|equations?|eqs?\.|figures?|fig\.|tables?|pages?|pp?\.|theorem|"
    r"algorithm|version)|§)[ \u00a0]*\d+(?:\.\d+)*",
    re.IGNORECASE,
)
UNIT = re.compile(r"[ \u00a0\u202f-]?(?:k?Hz|[mµ]?s\b|samples|frames|steps|utterances|clips|[kMG]B)")


def numbers(text):
    """Yield (as written, value, half of the last digit, is a percentage, what follows) of each number."""
    text = VERSION.sub(lambda found: " " * len(found[0]), text)
    for found in NUMBER.finditer(text):
        digits = found[1].replace(",", "")
        exponent = int((found[2] or "0").replace("−", "-"))
        decimals = len(digits.partition(".")[2])
        half = 0.5 * 10.0 ** (exponent - decimals)
        rest = text[found.end() :]
        yield found[0], float(digits) * 10.0**exponent, half, bool(PERCENT.match(rest)), rest


def shown(texts):
    """Return the values of all numbers in outputs and sources; a percentage also counts as its fraction."""
    values = set()
    for text in texts:
        for _, value, _, percent, _ in numbers(re.sub(r"(?<=\d)_(?=\d)", "", text)):
            values |= {value, value / 100} if percent else {value}
    return values


def stated(text):
    """Yield what `numbers` yields of those in a line of prose that need a cell behind them."""
    for pattern in (CONFIDENCE, PLACE):
        text = pattern.sub(lambda found: " " * len(found[0]), text)
    for written, value, half, percent, rest in numbers(text):
        whole = value == int(value) and not re.search(r"[.eE]", written)
        year = whole and 1900 <= value <= 2099 and "," not in written and not UNIT.match(rest)
        if percent or not whole or (value > 100 and not year):
            yield written + (" %" if percent else ""), value, half, percent


def unsupported(text, values):
    """Return the numbers of a line of prose that no value rounds to, as they are written."""
    missing = []
    for written, value, half, percent in stated(text):
        room = half * (1 + 1e-9)
        scales = (1, 100) if percent else (1,)
        if not any(abs(scale * known - value) <= room for known in values for scale in scales):
            missing.append(written)
    return missing
