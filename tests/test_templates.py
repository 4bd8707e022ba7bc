"""Templates: the cheapest path is the cheapest of all paths, and the fast way finds the same one."""

import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestCentroid

from speechlib import templates


def sequences(count, *, low=1, high=12, bins=3, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((rng.integers(low, high), bins)) for _ in range(count)]


def paths(n, m):
    """Every path from (0, 0) to (n - 1, m - 1)."""
    if n == 1 and m == 1:
        return [[(0, 0)]]
    before = [(a, b) for a, b in ((n - 1, m - 1), (n - 1, m), (n, m - 1)) if a and b]
    return [path + [(n - 1, m - 1)] for a, b in before for path in paths(a, b)]


def cost_of(path, x, y):
    """Sakoe and Chiba's weighted sum: each step weighs as much as it advances in x and y together."""
    total, at = 0.0, (-1, -1)
    for i, j in path:
        total += (i - at[0] + j - at[1]) * np.linalg.norm(x[i] - y[j])
        at = i, j
    return total / (len(x) + len(y))


@pytest.mark.parametrize("n, m", [(1, 1), (1, 4), (3, 2), (4, 4), (5, 4)])
@pytest.mark.parametrize("band", [None, 1, 2])
def test_dtw_is_the_least_of_all_paths(n, m, band):
    rng = np.random.default_rng(n + 10 * m)
    x, y = 1e4 * rng.standard_normal((n, 2)), 1e4 * rng.standard_normal((m, 2))
    if band is not None and band < abs(n - m):
        with pytest.raises(ValueError, match=f"band of at least {abs(n - m)}"):
            templates.dtw(x, y, band=band)
        return
    allowed = [p for p in paths(n, m) if band is None or all(abs(i - j) <= band for i, j in p)]
    best = min(allowed, key=lambda p: cost_of(p, x, y))
    cost, path = templates.dtw(x, y, band=band)
    assert cost == pytest.approx(cost_of(best, x, y), rel=1e-12)
    assert path.tolist() == [list(pair) for pair in best]


@pytest.mark.parametrize("seed", range(8))
def test_dtw_is_librosas_with_the_same_weights(seed):
    x, y = sequences(2, low=5, high=40, seed=seed)
    total, path = librosa.sequence.dtw(
        x.T, y.T, step_sizes_sigma=np.array([[1, 1], [0, 1], [1, 0]]), weights_mul=np.array([2.0, 1.0, 1.0])
    )
    cost, ours = templates.dtw(x, y)
    first = np.linalg.norm(x[0] - y[0])  # librosa counts the first pair once
    assert cost * (len(x) + len(y)) == pytest.approx(total[-1, -1] + first, rel=1e-12)
    np.testing.assert_array_equal(ours, path[::-1])


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 999))
def test_the_path_is_allowed_and_costs_what_dtw_says(n, m, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, 2)), rng.standard_normal((m, 2))
    cost, path = templates.dtw(x, y)
    assert path[0].tolist() == [0, 0] and path[-1].tolist() == [n - 1, m - 1]
    assert {tuple(step) for step in np.diff(path, axis=0)} <= {(1, 1), (1, 0), (0, 1)}
    assert cost == pytest.approx(cost_of(path.tolist(), x, y), abs=1e-12)
    assert templates.dtw(y, x)[0] == pytest.approx(cost, abs=1e-12)
    assert cdist(x, y).min() - 1e-12 <= cost <= cdist(x, y).max() + 1e-12  # a mean of distances
    wide = templates.dtw(x, y, band=abs(n - m))[0]
    assert wide >= cost - 1e-12 and templates.dtw(x, y, band=max(n, m))[0] == cost


@given(st.lists(st.integers(1, 4), min_size=2, max_size=8), st.integers(0, 999))
def test_a_change_of_tempo_costs_nothing(repeats, seed):
    x = np.random.default_rng(seed).standard_normal((len(repeats), 3))
    cost, path = templates.dtw(x, np.repeat(x, repeats, axis=0))
    assert cost == 0
    np.testing.assert_array_equal(path[:, 0], np.repeat(np.arange(len(x)), repeats))


def test_dtw_scales_with_the_features_and_forgets_a_common_offset():
    x, y = sequences(2, low=8, high=20)
    cost, path = templates.dtw(x, y)
    scaled, same = templates.dtw(3 * x + 5, 3 * y + 5)
    assert scaled == pytest.approx(3 * cost) and np.array_equal(path, same)


@pytest.mark.parametrize("counts", [(1, 1), (3, 7), (7, 3), (20, 20)])
@pytest.mark.parametrize("chunk", [2, 256])
def test_distances_are_dtw_pair_by_pair(counts, chunk, monkeypatch):
    monkeypatch.setattr(templates, "CHUNK", chunk)
    xs, ys = sequences(counts[0], seed=1), sequences(counts[1], seed=2)
    distances = templates.dtw_distances(xs, ys)
    expected = [[templates.dtw(x, y)[0] for y in ys] for x in xs]
    np.testing.assert_allclose(distances, expected, atol=1e-9)


def test_distances_do_not_change_what_they_compare():
    xs = sequences(3)
    before = [x.copy() for x in xs]
    distances = templates.dtw_distances(xs, xs)
    assert all(np.array_equal(a, b) for a, b in zip(xs, before, strict=True))
    np.testing.assert_allclose(np.diag(distances), 0, atol=1e-7)
    np.testing.assert_allclose(distances, distances.T, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_a_medoid_is_the_least_distant_member(seed):
    xs = sequences(15, seed=seed)
    groups = [("a", "b", "c")[i % 3] for i in range(15)]
    chosen = templates.medoids(xs, groups)
    assert sorted(groups[i] for i in chosen) == ["a", "b", "c"] and (np.diff(chosen) > 0).all()
    for i in chosen:
        members = [k for k in range(15) if groups[k] == groups[i]]
        sums = [sum(templates.dtw(xs[k], xs[other])[0] for other in members) for k in members]
        assert members[int(np.argmin(sums))] == i


def test_nearest_template_is_the_label_of_the_least_dtw():
    kept, heard = sequences(9, seed=1), sequences(12, seed=2)
    labels = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5])
    predicted = templates.NearestTemplate().fit(kept, labels).predict(heard)
    for x, label in zip(heard, predicted, strict=True):
        assert label == labels[int(np.argmin([templates.dtw(x, y)[0] for y in kept]))]


def test_nearest_template_recognizes_its_words_at_another_tempo():
    words = sequences(5, low=6, high=12, seed=3)
    model = templates.NearestTemplate().fit(words, list("abcde"))
    rng = np.random.default_rng(0)
    slower = [np.repeat(w, rng.integers(1, 4, len(w)), axis=0) + 0.05 * rng.standard_normal(3) for w in words]
    assert model.predict(slower).tolist() == list("abcde")


def test_nearest_mean_is_sklearns():
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((60, 4, 3)), rng.integers(0, 5, 60)
    test = rng.standard_normal((40, 4, 3))
    theirs = NearestCentroid().fit(x.reshape(60, -1), labels)
    ours = templates.NearestMean().fit(x, labels)
    np.testing.assert_allclose(ours.means, theirs.centroids_, atol=1e-12)
    np.testing.assert_array_equal(ours.predict(test), theirs.predict(test.reshape(40, -1)))


def test_nearest_mean_is_sure_of_its_means_and_moves_with_the_space():
    rng = np.random.default_rng(1)
    x, labels = rng.standard_normal((30, 5)), np.repeat(["no", "yes", "stop"], 10)
    model = templates.NearestMean().fit(x, labels)
    assert model.predict(model.means).tolist() == ["no", "stop", "yes"]
    rotation = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    moved = templates.NearestMean().fit(2 * x @ rotation + 7, labels)
    test = rng.standard_normal((20, 5))
    np.testing.assert_array_equal(moved.predict(2 * test @ rotation + 7), model.predict(test))


A = np.zeros((4, 3))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: templates.dtw(A, np.zeros((4, 2))), "same number of bins"),
        (lambda: templates.dtw(A, np.zeros(4)), r"\(frames, bins\)"),
        (lambda: templates.dtw(A, np.zeros((0, 3))), r"\(frames, bins\)"),
        (lambda: templates.dtw(A, A * np.nan), "finite"),
        (lambda: templates.dtw(A, A[:1], band=2), "band of at least 3"),
        (lambda: templates.dtw_distances([], [A]), "at least one"),
        (lambda: templates.dtw_distances([A], []), "at least one"),
        (lambda: templates.dtw_distances([A], [A[:, :2]]), "same number of bins"),
        (lambda: templates.medoids([A], ["a", "b"]), "as many groups"),
        (lambda: templates.NearestTemplate().fit([A], [1, 2]), "one label each"),
        (lambda: templates.NearestTemplate().fit([], []), "at least one"),
        (lambda: templates.NearestTemplate().predict([A]), "call fit first"),
        (lambda: templates.NearestMean().predict(A), "call fit first"),
        (lambda: templates.NearestMean().fit(A, [1, 2]), "one label each"),
        (lambda: templates.NearestMean().fit(np.zeros(4), [1, 2, 3, 4]), "features.pool"),
        (lambda: templates.NearestMean().fit(A, [1, 1, 2, 2]).predict(A[:, :2]), "2 values"),
    ],
)
def test_a_mistake_gets_an_error_that_names_it(call, message):
    with pytest.raises(ValueError, match=message):
        call()
