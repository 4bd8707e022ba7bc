"""Checks of the chapter `sound`: the stub fails, the solution passes, typical mistakes get their hints."""

import numpy as np
import pytest

from speechlib import check, corpus, features

DEV = corpus.digits("dev").labels


def quantize(y, bits, *, round_=np.round, step=None, clip=True):
    step = step or 2 / 2**bits
    z = step * round_(y / step)
    return np.clip(z, -1, 1 - step) if clip else z


def warp(x, y, *, diagonal=2, start=2, divide=True):
    total = np.full((len(x) + 1, len(y) + 1), np.inf)
    total[0, 0] = 0
    for i, j in np.ndindex(len(x), len(y)):
        d = abs(x[i] - y[j])
        weight = start if i == j == 0 else diagonal
        total[i + 1, j + 1] = min(total[i, j + 1] + d, total[i + 1, j] + d, total[i, j] + weight * d)
    return total[-1, -1] / (len(x) + len(y) if divide else 1)


def some_wrong(share):
    answers = DEV.copy()
    wrong = np.arange(round(len(DEV) * (1 - share)))
    answers[wrong] = (answers[wrong] + 1) % 10
    return answers


CASES = {
    "alias_of_a_tone": (
        2500,
        {5500: "half the sampling rate", 1500: "that far below", -2500: "positive", 3: "two names"},
    ),
    "frames_in_a_second": (
        98,
        {100: "reach over the end", 97: "one frame more", 101: "both ends", 5: "at the latest"},
    ),
    "volume_knob": (
        0.6 * np.log(10),
        {0.69: "amplitude", 6: "in decibels", 0.6: "decimal logarithm", 4.6: "10 to the 0.6"},
    ),
    "fewer_bits": (
        quantize,
        {
            lambda y, b: quantize(y, b, round_=np.floor): "same side",
            lambda y, b: quantize(y, b, clip=False): "one more",
            lambda y, b: quantize(y, b, step=4 / 2**b): "2 / 2**bits",
            lambda y, b: y: "multiple",
            lambda y, b: y[:-1]: "as many samples",
        },
    ),
    "back_from_mel": (
        features.mel_to_hz,
        {
            lambda m: 200 * m / 3: "logarithmic piece",
            lambda m: 1000 * 6.4 ** ((m - 15) / 27): "straight line",
            lambda m: features.mel_to_hz(m, htk=True): "one frequency|HTK|by hand",
            lambda m: 5.0: "one frequency for each",
        },
    ),
    "axis_of_normalization": (
        lambda x: x - x.mean(axis=0),
        {
            lambda x: x - x.mean(axis=1, keepdims=True): "Which axis is time",
            lambda x: x - x.mean(): "one mean a bin",
            features.cmvn: "leave the deviation",
            lambda x: x: "must not change",
            lambda x: x[1:]: "the shape it takes",
        },
    ),
    "time_warping": (
        warp,
        {
            lambda x, y: warp(x, y, divide=False): "Divide",
            lambda x, y: warp(x, y, diagonal=1, start=1): "counts twice",
            lambda x, y: warp(x, y, start=1): "first pair",
            lambda x, y: 0.0: "should be",
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_stub_fails_solution_passes_and_mistakes_get_their_hint(name, capsys):
    exercise, (solution, mistakes) = getattr(check, name), CASES[name]
    assert exercise(...) is False and "No answer yet" in capsys.readouterr().out
    assert exercise(solution) is True and capsys.readouterr().out == "Right.\n"
    assert len(mistakes) >= 2
    for mistake, hint in mistakes.items():
        assert exercise(mistake) is False
        said = capsys.readouterr().out
        assert any(part in said for part in hint.split("|")), said


@pytest.mark.parametrize(
    ("answers", "right", "says"),
    [
        (some_wrong(0.85), True, "Right"),
        (some_wrong(0.74), False, "never met any"),
        (DEV, False, "labels themselves"),
        (DEV[::-1].copy(), False, "order of dev|never met"),
        (np.roll(DEV, 1), False, "order of dev"),
        (DEV[:-1], False, "one answer for each"),
        (DEV.astype(str), False, "integers"),
    ],
)
def test_digits_in_noise(answers, right, says, capsys):
    assert check.digits_in_noise(answers) is right
    said = capsys.readouterr().out
    assert any(part in said for part in says.split("|")), said


NONSENSE = ["text", [], {}, object(), lambda: 1, np.nan, np.array([[1, 2]]), lambda *arguments: None]


@pytest.mark.parametrize("name", [*CASES, "digits_in_noise"])
@pytest.mark.parametrize("nonsense", NONSENSE)
def test_a_check_survives_any_answer(name, nonsense, capsys):
    assert getattr(check, name)(nonsense) is False
    assert capsys.readouterr().out.startswith(("Not yet. ", "No answer yet"))


def test_a_function_that_returns_the_dots_of_its_stub_is_no_answer_yet(capsys):
    for name in ("fewer_bits", "back_from_mel", "time_warping"):
        assert getattr(check, name)(lambda *arguments: ...) is False
        assert capsys.readouterr().out.startswith("No answer yet")
