"""What of a model's points and columns is shown: arrays in, arrays out."""

import warnings

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64, UInt16
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

TOP = 4
"""The components of each point whose probabilities are kept."""

Points = Float[np.ndarray, "n D"]
Labels = Int64[np.ndarray, " n"]


def subsample(n_rows: int, most: int, rng: np.random.Generator) -> Int64[np.ndarray, " n"]:
    """All rows, or so many of them drawn at random, in their order."""
    if n_rows <= most:
        return np.arange(n_rows)
    return np.sort(rng.choice(n_rows, most, replace=False))


def most_probable(
    probabilities: Float[np.ndarray, "n K"],
) -> tuple[UInt16[np.ndarray, "n m"], Float32[np.ndarray, "n m"]]:
    """The most probable components of each point, falling, and their probabilities."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
    highest = np.take_along_axis(probabilities, order, axis=1)
    return order.astype(np.uint16), highest.astype(np.float32)


def distance_from_mean(z: Points, labels: Labels) -> Float64[np.ndarray, " n"]:
    """Distance of each point from the mean of its label's points, in their spread.

    Root mean square over the features, each in its own standard deviations.
    """
    distance = np.zeros(len(z))
    for label in np.unique(labels):
        members = labels == label
        offset = z[members] - z[members].mean(0)
        var = (offset**2).mean(0)
        distance[members] = np.sqrt((offset**2 / np.where(var > 0, var, 1)).mean(1))
    return distance


def by_rank(ranked: Int64[np.ndarray, " n"], groups: Labels) -> Int64[np.ndarray, " n"]:
    """Points in the order in which pictures of them matter.

    ``ranked`` has the most typical points first. Every group's first and last come first, then
    its second and last but one, and so on.
    """
    place = np.empty(len(ranked), np.int64)
    for group in np.unique(groups):
        members = ranked[groups[ranked] == group]
        up = np.arange(len(members))
        place[members] = np.minimum(2 * up, 2 * up[::-1] + 1)
    return np.argsort(place, kind="stable")


def plane(z: Points, clusters: Labels) -> tuple[Float64[np.ndarray, "n 2"], str]:
    """The two directions that a map shows, and what they are called.

    Latents of two features are shown about their mean. Otherwise the two principal
    components, unless three clusters or more are told apart by the two linear discriminants for a
    larger share of the points.
    """
    z = np.asarray(z, dtype=np.float64)
    z = z - z.mean(0)  # a map keeps few digits
    if z.shape[1] == 2:
        return z, "about their mean"
    if z.shape[1] == 1:
        return np.column_stack([z, np.zeros(len(z))]), "along the one feature there is"
    components = PCA(2, random_state=0).fit_transform(z)
    if len(np.unique(clusters)) >= 3:
        discriminants = _discriminants(z, clusters)
        if told_apart(discriminants, clusters) > told_apart(components, clusters):
            return discriminants, "in the two directions that best tell the clusters apart"
    return components, "in the two directions of largest spread"


def _discriminants(z: Points, clusters: Labels) -> Float64[np.ndarray, "n 2"]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # collinear features do no harm to a map
        model = LinearDiscriminantAnalysis(n_components=2)
        return np.asarray(model.fit(z, clusters).transform(z))


def told_apart(xy: Float64[np.ndarray, "n 2"], clusters: Labels) -> float:
    """The share of points that lie nearer to their own cluster's mean than to any other's."""
    names = np.unique(clusters)
    means = np.stack([xy[clusters == name].mean(0) for name in names])
    nearest = np.argmin([((xy - mean) ** 2).sum(1) for mean in means], axis=0)
    return float((names[nearest] == clusters).mean())


def telling_columns(
    values: Float[np.ndarray, "n p"], clusters: Labels, most: int
) -> Int64[np.ndarray, " k"]:
    """At most so many columns, in their order: those with the largest share between clusters.

    The share of a column's variance that lies between the clusters' means, missing values
    left out.
    """
    if values.shape[1] <= most:
        return np.arange(values.shape[1])
    known = ~np.isnan(values)
    offset = np.where(known, values - np.nanmean(values, axis=0), 0).astype(np.float64)
    between = np.zeros(values.shape[1])
    for cluster in np.unique(clusters):
        members = clusters == cluster
        between += offset[members].sum(0) ** 2 / np.maximum(known[members].sum(0), 1)
    total = (offset**2).sum(0)
    share = between / np.where(total > 0, total, 1)
    return np.sort(np.argsort(-share, kind="stable")[:most])
