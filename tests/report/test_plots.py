"""What each plot helper draws, read back from the axes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import dendrogram

from dimix.mixture import Hierarchy
from dimix.report import plots
from fit_bundles import bundle, of_images


@pytest.fixture
def ax():
    return Figure().subplots()


def test_tile_puts_each_image_in_its_place():
    images = np.arange(1, 2 * 3 * 4 * 5 + 1, dtype=np.uint8).reshape(2, 3, 4, 5)
    picture = plots.tile(images, gap=2)
    assert picture.shape == (2 * 4 + 2, 3 * 5 + 2 * 2)
    for r in range(2):
        for c in range(3):
            assert (picture[r * 6 : r * 6 + 4, c * 7 : c * 7 + 5] == images[r, c]).all()
    assert picture.sum(dtype=int) == images.sum(dtype=int)


def test_image_labels_stand_at_the_middle_of_their_rows(ax):
    plots.image_panel(ax, np.zeros((2, 3, 5, 5), np.uint8), ("above", "below"))
    assert list(ax.get_yticks()) == [2, 9]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["above", "below"]


labellings = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12)), min_size=1, max_size=40)


@given(labellings)
def test_one_cluster_has_one_colour_and_perfect_clusters_the_labels_own(pairs):
    labels, clusters = (np.array(side) for side in zip(*pairs, strict=True))
    colours = plots.cluster_colours(clusters, labels)
    assert ((colours >= 0) & (colours <= 1)).all()
    for cluster in np.unique(clusters):
        assert len(np.unique(colours[clusters == cluster], axis=0)) == 1
    np.testing.assert_array_equal(
        plots.cluster_colours(labels + 7, labels), plots.class_colours(labels)
    )


def test_clusters_of_one_class_have_shades_of_its_colour():
    labels, clusters = np.zeros(6, int), np.array([4, 4, 4, 2, 2, 9])
    large, middle, small = plots.cluster_colours(clusters, labels)[[0, 3, 5]]
    own = np.array(to_rgb(plots.PALETTE[0]))
    np.testing.assert_allclose(large, own)
    np.testing.assert_allclose(middle, 0.55 * own)
    np.testing.assert_allclose(small, 0.55 * own + 0.45)


def test_loss_panel_draws_training_and_validation(ax):
    runs = {"vae": {"epoch": np.array([1.0, 2]), "train_loss": np.array([3.0, 2])}}
    runs["vae"]["val_loss"] = np.array([4.0, 3])
    plots.loss_panel(ax, runs, "loss")
    assert [list(line.get_ydata()) for line in ax.lines] == [[3, 2], [4, 3]]
    assert ax.get_yscale() == "linear"


@pytest.mark.parametrize("last", [1e6, np.nan])
def test_loss_panel_survives_divergence(ax, last):
    curves = {"epoch": np.array([1.0, 2]), "val_loss": np.array([100.0, last])}
    plots.loss_panel(ax, {"algorithm1-soft": curves}, "loss")
    assert ax.get_yscale() == ("log" if last > 1 else "linear")


def test_score_panel_leaves_out_rows_without_the_score(ax):
    scored = {"epoch": np.array([1.0]), "val_acc": np.array([0.5])}
    plots.score_panel(ax, {"vae": {"epoch": np.array([1.0])}, "gmvae": scored}, "val_acc", "acc")
    assert [line.get_label() for line in ax.lines] == ["gmvae"]
    assert ax.get_ylim() == (0, 1)


def test_weights_that_vanish_are_drawn_at_the_smallest(ax):
    plots.weight_panel(ax, {"vae+dpgmm": np.array([0.6, 0.4, 1e-20, 0.0])}, "4 components")
    drawn = list(ax.lines[0].get_ydata())
    assert drawn == [0.6, 0.4, plots.SMALLEST_WEIGHT, plots.SMALLEST_WEIGHT]
    assert ax.yaxis.get_major_formatter()(0.01, None) == "1%"


def test_group_names_stand_at_the_median(ax):
    xy = np.array([[0.0, 0], [2, 2], [50, 1], [9, 9]])
    plots.name_groups(ax, xy, np.array([3, 3, 3, 4]))
    assert [(t.get_text(), t.get_position()) for t in ax.texts] == [("3", (2, 1)), ("4", (9, 9))]


def test_every_helper_returns_its_axes(ax):
    xy = np.zeros((2, 2))
    assert plots.latent_panel(ax, xy, np.zeros((2, 3)), "map") is ax
    assert plots.weight_panel(ax, {}, "none") is ax
    assert plots.loss_panel(ax, {}, "none") is ax


def test_a_map_names_and_colours_its_clusters(ax):
    xy = np.array([[0.0, 0], [1, 1], [5, 5], [6, 6], [5.5, 5.6]])
    assert plots.plot_map(xy, np.array([0, 0, 2, 2, 2]), ax=ax) is ax
    assert ax.get_title(loc="left") + ax.get_title() == "2 clusters"
    assert {t.get_text() for t in ax.texts} == {"0", "2"}
    colours = ax.collections[0].get_facecolors()[:, :3]
    np.testing.assert_allclose(colours[2], to_rgb(plots.PALETTE[2]))


def test_a_dendrogram_is_scipys_with_its_heights_as_n_eff(ax):
    tree = bundle()
    plots.plot_dendrogram(tree, ax=ax)
    expected = dendrogram(tree.linkage, no_plot=True)
    drawn = sorted(path.vertices[1, 1] for c in ax.collections for path in c.get_paths())
    assert drawn == sorted(top for _, top, _, _ in expected["dcoord"])
    assert [t.get_text() for t in ax.get_xticklabels()] == expected["ivl"]
    assert ax.yaxis.get_major_formatter()(np.log(120 / 10), None) == "10"


def test_a_tree_of_one_component_is_drawn_as_none(ax):
    none = np.empty((0, 2), dtype=np.int64)
    alone = Hierarchy(np.array([0]), np.array([9.0]), none, np.empty(0), 1, n_features=6)
    assert "no tree" in plots.plot_dendrogram(alone, ax=ax).get_title()


def test_curves_mark_the_epochs_of_moves(ax):
    made = bundle()
    plots.plot_curves(made.history, made.moves, ax=ax)
    lines = {line.get_label(): line for line in ax.lines}
    assert list(lines["training"].get_ydata()) == [5, 4, 3, 2.5, 2]
    assert [line.get_xdata()[0] for line in ax.lines[1:]] == [4, 5]


def test_a_mixtures_bound_is_its_curve(ax):
    plots.plot_curves({"update": np.array([1.0, 2]), "bound": np.array([-9.0, -8])}, ax=ax)
    assert [list(line.get_ydata()) for line in ax.lines] == [[-9, -8]]


def test_samples_and_weights_have_a_row_and_a_rank_each(ax):
    plots.plot_samples(of_images().samples, ax=ax)
    assert [t.get_text() for t in ax.get_yticklabels()] == list("012345")
    other = Figure().subplots()
    plots.plot_weights(np.array([0.2, 0.7, 0.1]), ax=other)
    assert list(other.lines[0].get_ydata()) == [0.7, 0.2, 0.1]


def test_samples_in_colour_are_drawn_in_colour_with_white_between(ax):
    images = np.zeros((2, 3, 4, 4, 3), np.uint8)
    images[..., 0] = 200
    plots.plot_samples(images, ax=ax)
    drawn = ax.images[0].get_array()
    assert drawn.shape == (10, 16, 3)
    assert list(drawn[0, 0]) == [200, 0, 0]
    assert list(drawn[0, 4]) == [255, 255, 255]


def test_axes_may_be_left_out(monkeypatch):
    from matplotlib import pyplot

    monkeypatch.setattr(pyplot, "gca", Figure().subplots)
    assert plots.plot_weights(np.array([0.2, 0.8])).lines
