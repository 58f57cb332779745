"""The paper's figures against its text."""

import re

import pytest

from dimix.report.paper import LATENT_DIMS, printed

# As the paper's text reads: CS NMI at Z = 8, 10, 16 and 64.
TEXT = {
    "vae+gmm": ".77 .77 / .82 .82 / .84 .84 / .67 .66",
    "gmvae+dpgmm": ".80 .79 / .80 .79 / .72 .71 / .81 .80",
    "gmvae": ".69 .78 / .74 .73 / .83 .82 / .67 .71",
    "algorithm1-soft": ".77 .65 / .76 .68 / .68 .58 / .70 .64",
    "algorithm1-hard": ".69 .63 / .73 .63 / .67 .57 / .60 .53",
}


@pytest.mark.parametrize("row", TEXT)
def test_readable_figures_are_those_of_the_text(row):
    figures = [figure for z in (8, 10, 16, 64) for figure in printed(row, z)]
    assert [f.value for f in figures] == [float(t) for t in re.findall(r"\.\d\d", TEXT[row])]


def test_only_gmvae_at_8_is_doubtful():
    doubtful = {
        (row, z) for row in TEXT for z in LATENT_DIMS if any(f.doubtful for f in printed(row, z))
    }
    assert doubtful == {("gmvae", 8)}


@pytest.mark.parametrize(("row", "text"), [("vae+kmeans", "0.61–0.64"), ("vae+dpgmm", "0.70–0.83")])
def test_garbled_rows_are_ranges_without_a_value(row, text):
    for figure in printed(row, 16):
        assert str(figure) == text
        assert figure.value is None
        assert "garbled" in figure.note


@pytest.mark.parametrize(
    ("row", "latent_dim"),
    [("vae", 10), ("vae+dpgmm-50", 10), ("algorithm1-pretrained", 10), ("vae+gmm", 9)],
)
def test_what_the_paper_does_not_print_is_none(row, latent_dim):
    assert printed(row, latent_dim) is None
