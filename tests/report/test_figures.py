"""Which figures a run gives, and that they depend on its cells alone."""

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from dimix.records import Bundle, Cell, read_run
from dimix.report.figures import (
    component_labels,
    component_samples,
    latent_maps,
    reconstructions,
    save,
    save_figures,
    sorted_weights,
    training_curves,
)
from dimix.report.plots import ROW_STYLES, STYLE, weight_panel

DRAWERS = [training_curves, reconstructions, latent_maps, component_samples, sorted_weights]


@pytest.fixture(autouse=True)
def _style():
    with matplotlib.style.context(["default", STYLE]):
        yield


def test_files_of_a_run(finished_run):
    _, files = finished_run
    names = {file.stem for file in files.figures}
    assert names == {
        *("z8-curves", "z8-reconstructions-vae", "z8-map-vae", "z8-samples-vae"),
        *("z10-curves", "z10-weights"),
        *(f"z10-reconstructions-{row}" for row in ("vae", "gmvae", "algorithm1-soft")),
        *(f"z10-map-{row}" for row in ("vae", "gmvae", "algorithm1-soft")),
        *(f"z10-samples-{row}" for row in ("vae", "vae+kmeans", "vae+dpgmm-50")),
        *(f"z10-samples-{row}" for row in ("gmvae", "gmvae+dpgmm", "algorithm1-soft")),
    }


def test_pictures_are_whole_and_say_nothing_of_when_they_were_made(finished_run):
    for file in finished_run[1].figures:
        with Image.open(file) as picture:
            picture.load()
            assert picture.format == "PNG"
            assert not picture.info.keys() - {"dpi"}
            low, high = picture.convert("L").getextrema()
            assert low < 128 < high


def test_a_file_keeps_the_colours_of_its_lines(tmp_path):
    figure = Figure(figsize=(10, 3.6))
    rng = np.random.default_rng(0)
    sizes = {row: 50 if row.endswith("50") else 10 for row in ROW_STYLES}
    weights = {row: np.sort(rng.dirichlet(np.ones(n)))[::-1] for row, n in sizes.items()}
    weight_panel(figure.subplots(), weights, "every row")
    width, height = save(figure, tmp_path / "lines.png")
    with Image.open(tmp_path / "lines.png") as picture:
        assert picture.size == (width, height) == (1100, 396)
        pixels = np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0).astype(int)
    for colour, _ in ROW_STYLES.values():
        assert np.abs(pixels - 255 * np.array(to_rgb(colour))).max(axis=1).min() <= 4


def test_drawing_leaves_no_settings_behind(add_cell, tmp_path):
    add_cell(tmp_path, "vae+gmm")
    before = dict(matplotlib.rcParams)
    assert save_figures(read_run(tmp_path), tmp_path)
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("draw", DRAWERS)
def test_cells_without_arrays_are_passed_over(make_record, draw):
    assert list(draw([Cell(make_record("vae"), Bundle()), Cell(make_record(), Bundle())])) == []


def test_a_map_has_the_labels_and_each_rows_clusters(add_cell, tmp_path):
    for row in ("vae", "vae+gmm", "vae+dpgmm-50"):
        add_cell(tmp_path, row)
    (drawing,) = latent_maps(sorted(read_run(tmp_path), key=lambda c: len(c.record.row)))
    titles = [ax.get_title(loc="left") for ax in drawing.figure.axes]
    assert titles == ["by label", "by cluster: vae+gmm (10)", "by cluster: vae+dpgmm-50 (40)"]
    assert "vae+gmm, vae+dpgmm-50" in drawing.alt


def test_a_map_without_labels_is_drawn_by_cluster(make_record):
    xy = np.eye(4, 2, dtype=np.float32)
    bundle = Bundle(map_xy=xy, map_clusters=np.arange(4))
    (drawing,) = latent_maps([Cell(make_record("gmvae"), bundle)])
    assert [ax.get_title(loc="left") for ax in drawing.figure.axes] == [
        *("test latents", "by cluster: gmvae (4)")
    ]


@pytest.mark.parametrize(("components", "columns"), [(1, 1), (10, 1), (17, 1), (18, 2), (50, 3)])
def test_samples_of_many_components_go_on_in_further_columns(make_record, components, columns):
    images = np.zeros((components, 10, 4, 4), np.uint8)
    (drawing,) = component_samples([Cell(make_record(), Bundle(samples=images))])
    axes = drawing.figure.axes
    assert len(axes) == columns
    labels = [t.get_text() for ax in axes for t in ax.get_yticklabels()]
    assert [t for t in labels if t] == [str(k + 1) for k in range(components)]


def test_components_are_labelled_by_weight():
    assert component_labels(3, np.array([0.6, 0.3996, 4e-4])) == ["60.0%", "40.0%", "< 0.1%"]


def test_weights_have_a_panel_for_each_number_of_components(add_cell, tmp_path):
    for row in ("vae+gmm", "gmvae+dpgmm", "vae+dpgmm-50"):
        add_cell(tmp_path, row)
    (drawing,) = sorted_weights(read_run(tmp_path))
    titles = [ax.get_title(loc="left") for ax in drawing.figure.axes]
    assert titles == ["10 components", "50 components"]


def test_curves_put_algorithm_1_beside_the_bounds(add_cell, tmp_path):
    for row in ("vae", "algorithm1-soft"):
        add_cell(tmp_path, row)
    (drawing,) = training_curves(read_run(tmp_path))
    drawn = [[t.get_text() for t in ax.get_legend().get_texts()] for ax in drawing.figure.axes]
    assert drawn == [["vae"], ["algorithm1-soft"], ["algorithm1-soft"], ["algorithm1-soft"]]
    assert "accuracy 0.60, NMI 0.50" in drawing.alt
