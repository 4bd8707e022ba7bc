"""Adaptation: a model that learned from many speakers learns more about one, without being told a word."""

import copy
from collections.abc import Callable

import numpy as np
from torch import nn

from .train import Examples, evaluate


def self_train(
    model: nn.Module,
    heard: list[np.ndarray],
    known: Examples,
    *,
    train: Callable,
    rounds: int = 3,
    share: float = 0.7,
    seed: int = 0,
) -> nn.Module:
    """Believe the surest answers, learn from them, and answer again.

    In each round the model answers all utterances of the new speaker; the share of which it is surest get its
    answers as labels, as many known examples are drawn to stand beside them, so that it does not forget what
    it was taught, and it is trained on both.

    Parameters
    ----------
    model : nn.Module
        Stays as it is.
    heard : list of np.ndarray [shape=(frames, bins), float]
        Utterances of the new speaker; nobody has said what was said in them.
    known : Examples
        With true labels, of the kind that the model was trained on.
    train : Callable
        `train(model, examples, seed)` trains a model further, in place; for instance with `train.fit`.
    rounds : int > 0
    share : float, above 0 up to 1
        Of the utterances that are believed.
    seed : int
        Of what is drawn here; each round gives `train` a seed of its own.

    Returns
    -------
    nn.Module
        A trained copy.

    Raises
    ------
    ValueError
        If nothing was heard, or `rounds` or `share` is out of its range.

    Notes
    -----
    Source: H. J. Scudder, "Probability of error of some adaptive pattern-recognition machines", 1965; for
    networks D.-H. Lee, "Pseudo-label: the simple and efficient semi-supervised learning method for deep
    neural networks", 2013. Wrong answers are learned like right ones: where most are wrong, it gets worse.

    Examples
    --------
    >>> from functools import partial
    >>> from speechlib import models, optim
    >>> from speechlib.train import fit
    >>> rng = np.random.default_rng(0)
    >>> def words(*means):
    ...     return [rng.normal(mean, 0.2, (5, 2)) for mean in means for _ in range(20)]
    >>> labels = np.repeat([0, 1], 20)
    >>> teach = Examples(words([-1, 0], [1, 0]), labels)           # words that differ in their first number
    >>> def train(model, data, seed):
    ...     fit(model, data, optimizer=partial(optim.SGD, lr=0.3), epochs=20, seed=seed, progress=False)
    >>> model = models.Softmax(2, 2, stretches=1)
    >>> for param in model.parameters():
    ...     _ = nn.init.zeros_(param)
    >>> train(model, teach, 0)
    >>> stranger = Examples(words([-0.1, -1], [0.1, 1]), labels)   # more alike, but for the second
    >>> adapted = self_train(model, stranger.features, teach, train=train)
    >>> round(evaluate(model, stranger).accuracy, 2), evaluate(adapted, stranger).accuracy
    (0.82, 1.0)
    """
    if rounds < 1 or not 0 < share <= 1:
        raise ValueError(f"need rounds of at least 1 and a share above 0 up to 1, not {rounds} and {share}")
    model, rng = copy.deepcopy(model), np.random.default_rng(seed)
    unknown = Examples(heard, np.zeros(len(heard), dtype=int))
    for each in rng.integers(2**31, size=rounds):
        answers = evaluate(model, unknown)
        sureness = answers.probabilities.max(axis=1)
        sure = np.argsort(-sureness, kind="stable")[: max(1, round(share * len(heard)))]
        beside = rng.choice(len(known), min(len(sure), len(known)), replace=False)
        believed = Examples(
            [unknown.features[i] for i in sure] + [known.features[i] for i in beside],
            np.concatenate([answers.predictions[sure], known.labels[beside]]),
        )
        train(model, believed, int(each))
    return model
