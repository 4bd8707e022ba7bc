"""Recognizers that learn nothing: they keep examples, and name what a new utterance is closest to.

Two utterances of one word differ in tempo. Dynamic time warping stretches one along the other before it
compares them; what remains of the difference is the distance.
"""

import numpy as np
from scipy.spatial.distance import cdist

CHUNK = 256  # sequences that dtw_distances compares with one other at a time


def _accumulate(d):
    """From distances between frames to the cost of the cheapest path from (0, 0) to each (i, j), in place.

    d : np.ndarray [shape=(n, m, ...)]: axes behind the second are independent problems, solved side by side.
    """
    d[0] = np.cumsum(d[0], axis=0) + d[0, 0]  # (0, 0) counts twice, as if a diagonal step had led there
    for i in range(1, len(d)):
        best = np.minimum(d[i - 1, 1:], d[i - 1, :-1] + d[i, 1:])  # from above, or diagonally, at twice d
        d[i, 0] += d[i - 1, 0]
        for j in range(1, d.shape[1]):
            d[i, j] += np.minimum(best[j - 1], d[i, j - 1])  # or from the left
    return d


def dtw(x, y, *, band=None):
    """Dynamic time warping: the cheapest way to walk through two sequences side by side.

    A path begins at the first frame of both, ends at the last of both, and at each step advances by one frame
    in x, in y or in both. It pays the Euclidean distance between the frames it arrives at, and twice that for
    a step in both: so every path has the same weight, n + m, and the cost is the mean distance along it.

    Parameters
    ----------
    x : np.ndarray [shape=(n, bins)]
    y : np.ndarray [shape=(m, bins)]
    band : int >= 0 [frames] or None
        Pair frames i and j only where abs(i - j) <= band. None pairs freely.

    Returns
    -------
    cost : float
        In the unit of the features.
    path : np.ndarray [shape=(steps, 2)], int
        The pairs (i, j), from (0, 0) to (n - 1, m - 1).

    Raises
    ------
    ValueError
        If the shapes do not fit, a value is not finite, or the band is narrower than abs(n - m).

    Notes
    -----
    Source: Sakoe & Chiba 1978, "Dynamic programming algorithm optimization for spoken word recognition": the
    symmetric form without slope constraint (P = 0).

    Examples
    --------
    >>> slow = np.array([[0.0], [0.0], [1.0], [1.0], [2.0]])
    >>> cost, path = dtw(np.array([[0.0], [1.0], [2.0]]), slow)
    >>> cost, path.tolist()
    (0.0, [[0, 0], [0, 1], [1, 2], [1, 3], [2, 4]])
    """
    x, y = _sequences([x]), _sequences([y])
    _same_bins(x + y)
    d = cdist(x[0], y[0])
    n, m = d.shape
    if band is not None:
        if band < abs(n - m):
            raise ValueError(f"no path: {n} and {m} frames need a band of at least {abs(n - m)}, not {band}")
        d[np.abs(np.arange(n)[:, None] - np.arange(m)) > band] = np.inf
    total = _accumulate(d.copy())
    path = [(n - 1, m - 1)]
    while path[-1] != (0, 0):
        i, j = path[-1]
        steps = []  # where it can have come from, and the cost there
        if i and j:
            steps.append((total[i - 1, j - 1] + d[i, j], i - 1, j - 1))
        if i:
            steps.append((total[i - 1, j], i - 1, j))
        if j:
            steps.append((total[i, j - 1], i, j - 1))
        path.append(min(steps, key=lambda step: step[0])[1:])
    return float(total[-1, -1]) / (n + m), np.array(path[::-1])


def dtw_distances(xs, ys):
    """The cost of `dtw` between each of xs and each of ys, many pairs at a time.

    Parameters
    ----------
    xs, ys : list of np.ndarray [shape=(frames, bins)]

    Returns
    -------
    np.ndarray [shape=(len(xs), len(ys))]
        Equal to `dtw` within about 1e-7 of the size of the features.

    Raises
    ------
    ValueError
        As `dtw`, and if a list is empty.

    Notes
    -----
    One sequence walks the grid together with many others, padded to one size; the cost of a pair is read off
    at its own last frames, which no later frame can influence. Distances between frames are computed as
    ``sqrt(|x|^2 + |y|^2 - 2 x.y)``, whose middle term is a matrix product.
    Source: as `dtw`.

    Examples
    --------
    >>> a, b = np.zeros((3, 2)), np.ones((4, 2))
    >>> dtw_distances([a, b], [a, b]).round(3)
    array([[0.   , 1.414],
           [1.414, 0.   ]])
    """
    xs, ys = _sequences(xs), _sequences(ys)
    _same_bins(xs + ys)
    if len(xs) > len(ys):
        return dtw_distances(ys, xs).T  # the cost is symmetric, and the longer list fills the chunks
    lengths = np.array([len(y) for y in ys])
    order = np.argsort(lengths, kind="stable")
    out = np.empty((len(xs), len(ys)))
    for start in range(0, len(ys), CHUNK):
        chunk = order[start : start + CHUNK]
        padded = np.zeros((xs[0].shape[1], lengths[chunk].max(), len(chunk)))  # (bins, m, k)
        for k, j in enumerate(chunk):
            padded[:, : lengths[j], k] = ys[j].T
        squares = (padded**2).sum(axis=0)
        for row, x in zip(out, xs, strict=True):
            d = np.tensordot(-2 * x, padded, axes=1)  # (n, m, k)
            d += squares
            d += (x**2).sum(axis=1)[:, None, None]
            total = _accumulate(np.sqrt(np.maximum(d, 0, out=d), out=d))
            row[chunk] = total[-1, lengths[chunk] - 1, np.arange(len(chunk))] / (len(x) + lengths[chunk])
    return out


def medoids(features, groups):
    """The most typical member of each group: the one whose `dtw` distances to the others have the least sum.

    Parameters
    ----------
    features : list of np.ndarray [shape=(frames, bins)]
    groups : list of hashable
        To which group each belongs, for example its (label, speaker).

    Returns
    -------
    np.ndarray [shape=(groups,)], int
        One index into features a group, in increasing order. Of equally typical ones, the first.

    Raises
    ------
    ValueError
        If there is not one group for each of the features.

    Notes
    -----
    Source: Kaufman & Rousseeuw 1987, "Clustering by means of medoids".

    Examples
    --------
    >>> medoids([np.array([[value]]) for value in (1.0, 2.0, 9.0, 5.0)], ["a", "a", "a", "b"])
    array([1, 3])
    """
    if len(features) != len(groups):
        raise ValueError(f"{len(features)} features need as many groups, not {len(groups)}")
    members = {}
    for i, group in enumerate(groups):
        members.setdefault(group, []).append(i)
    chosen = []
    for indices in members.values():
        some = [features[i] for i in indices]
        chosen.append(indices[int(dtw_distances(some, some).sum(axis=1).argmin())])
    return np.sort(chosen)


class NearestTemplate:
    """Name an utterance after the template that is the closest to it under dynamic time warping.

    Notes
    -----
    Keeps every template it is given; `medoids` chooses a few from many.
    Source: Sakoe & Chiba 1978; Cover & Hart 1967, "Nearest neighbor pattern classification".

    Examples
    --------
    >>> up, down = np.arange(5.0)[:, None], np.arange(5.0)[::-1, None]
    >>> NearestTemplate().fit([up, down], ["up", "down"]).predict([np.repeat(up, 2, axis=0)])
    array(['up'], dtype='<U4')
    """

    def fit(self, features, labels):
        """Keep the templates, list of (frames, bins), and their labels; returns self."""
        self.templates, self.labels = _sequences(features), np.asarray(labels)
        _same_bins(self.templates)
        _one_label_each(self.templates, self.labels)
        return self

    def predict(self, features):
        """The label of the nearest template for each of a list of (frames, bins)."""
        _fitted(self, "templates")
        return self.labels[dtw_distances(features, self.templates).argmin(axis=1)]


class NearestMean:
    """Name an utterance after the class whose mean is the closest: one template a class, without warping.

    The features have one size for all utterances: `features.pool` makes it.

    Notes
    -----
    Source: Duda & Hart 1973, "Pattern Classification and Scene Analysis" (the minimum-distance classifier).

    Examples
    --------
    >>> model = NearestMean().fit(np.array([[0.0], [2.0], [10.0]]), [0, 0, 1])
    >>> model.means.ravel(), model.predict(np.array([[4.0], [7.0]]))
    (array([ 1., 10.]), array([0, 1]))
    """

    def fit(self, features, labels):
        """Average the features, np.ndarray [shape=(utterances, ...)], of each label; returns self."""
        x, labels = self._flat(features), np.asarray(labels)
        _one_label_each(x, labels)
        self.classes = np.unique(labels)
        self.means = np.array([x[labels == c].mean(axis=0) for c in self.classes])
        return self

    def predict(self, features):
        """The label of the nearest mean for each of np.ndarray [shape=(utterances, ...)]."""
        _fitted(self, "means")
        x = self._flat(features)
        if x.shape[1] != self.means.shape[1]:
            raise ValueError(f"features have {x.shape[1]} values, the means {self.means.shape[1]}")
        return self.classes[cdist(x, self.means).argmin(axis=1)]

    @staticmethod
    def _flat(features):
        x = np.asarray(features, dtype=float)
        if x.ndim < 2 or x.size == 0 or not np.isfinite(x).all():
            raise ValueError(f"need finite features (utterances, ...), not {x.shape}: see features.pool")
        return x.reshape(len(x), -1)


def _sequences(xs):
    xs = [np.asarray(x, dtype=float) for x in xs]
    if not xs:
        raise ValueError("need at least one sequence of features")
    for i, x in enumerate(xs):
        if x.ndim != 2 or len(x) == 0 or not np.isfinite(x).all():
            raise ValueError(f"need finite features of shape (frames, bins): number {i} has shape {x.shape}")
    return xs


def _same_bins(xs):
    if len({x.shape[1] for x in xs}) != 1:
        raise ValueError(
            f"need sequences with the same number of bins, computed with the same settings, not of shapes "
            f"{[x.shape for x in xs][:4]}"
        )


def _one_label_each(features, labels):
    if labels.shape != (len(features),):
        raise ValueError(f"{len(features)} utterances need one label each, not {labels.shape}")


def _fitted(model, attribute):
    if not hasattr(model, attribute):
        raise ValueError("nothing to compare with yet: call fit first")
