"""Self-training: what it learns from, what it leaves alone, and when it makes things worse."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from speechlib import models, optim
from speechlib.adapt import self_train
from speechlib.train import Examples, evaluate, fit

LABELS = np.repeat([0, 1], 20)


def words(rng, *means):
    return [rng.normal(mean, 0.2, (rng.integers(3, 9), 2)) for mean in means for _ in range(20)]


def train(model, data, seed):
    fit(model, data, optimizer=partial(optim.SGD, lr=0.3), epochs=20, seed=seed, progress=False)


@pytest.fixture
def taught():
    """A model that has learned to look at the first number, and its teachers."""
    known = Examples(words(np.random.default_rng(0), [-1, 0], [1, 0]), LABELS)
    model = models.Softmax(2, 2, stretches=1)
    for param in model.parameters():
        nn.init.zeros_(param)
    train(model, known, 0)
    return model, known


def stranger(first):
    """Who says the words with the first number at -first and first, and the second at -1 and 1."""
    return Examples(words(np.random.default_rng(1), [-first, -1], [first, 1]), LABELS)


def test_it_learns_what_distinguishes_the_words_of_the_new_speaker(taught):
    model, known = taught
    new = stranger(0.1)
    assert evaluate(model, new).accuracy < 0.9
    assert evaluate(self_train(model, new.features, known, train=train), new).accuracy == 1.0


def test_where_most_answers_are_wrong_it_makes_them_all_wrong(taught):
    model, known = taught
    new = stranger(-0.1)
    assert 0 < evaluate(model, new).accuracy < 0.5
    assert evaluate(self_train(model, new.features, known, train=train), new).accuracy == 0.0


def test_the_model_is_left_alone_and_the_seed_decides(taught):
    model, known = taught
    before = {name: value.clone() for name, value in model.state_dict().items()}
    heard = stranger(0.1).features
    runs = [self_train(model, heard, known, train=train, seed=seed).state_dict() for seed in (3, 3, 4)]
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
        assert torch.equal(runs[0][name], runs[1][name])
    assert not torch.equal(runs[0]["output.weight"], runs[2]["output.weight"])


@pytest.mark.parametrize("share, believed", [(0.7, 28), (1.0, 40), (0.001, 1)])
def test_it_believes_the_surest_answers_and_as_many_known_words(taught, share, believed):
    model, known = taught
    heard, seen = stranger(0.1).features, []

    def watch(model, data, seed):
        seen.append((data, seed))

    self_train(model, heard, known, train=watch, rounds=2, share=share)
    answers = evaluate(model, Examples(heard, LABELS))
    least = np.sort(answers.probabilities.max(axis=1))[-believed]
    assert len(seen) == 2 and seen[0][1] != seen[1][1]
    for data, _ in seen:
        assert len(data) == 2 * believed
        for x, label in zip(data.features[:believed], data.labels, strict=False):
            i = next(i for i, other in enumerate(heard) if other is x)
            assert answers.probabilities[i].max() >= least and label == answers.predictions[i]
        for x, label in zip(data.features[believed:], data.labels[believed:], strict=True):
            i = next(i for i, other in enumerate(known.features) if other is x)
            assert label == known.labels[i]


def test_each_round_answers_anew(taught):
    model, known = taught
    heard, labels = stranger(0.1).features, []

    def turn_round(model, data, seed):
        labels.append(data.labels[: len(heard)].copy())
        with torch.no_grad():
            for param in model.parameters():
                param.mul_(-1)

    self_train(model, heard, known, train=turn_round, rounds=2, share=1.0)
    ordered = [np.sort(one) for one in labels]
    assert np.array_equal(ordered[0], np.sort(1 - ordered[1]))


@pytest.mark.parametrize("options", [dict(rounds=0), dict(share=0.0), dict(share=1.1), dict(share=np.nan)])
def test_bad_options_are_refused(taught, options):
    model, known = taught
    with pytest.raises(ValueError, match="rounds .* share"):
        self_train(model, known.features, known, train=train, **options)


def test_nothing_heard_is_refused(taught):
    model, known = taught
    with pytest.raises(ValueError, match="one label an utterance"):
        self_train(model, [], known, train=train)
