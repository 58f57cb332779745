"""The paper's Table 1 and our own rows: each is a network and what clusters its latents."""

from dataclasses import dataclass
from typing import Literal

NetworkName = Literal[
    "vae",
    "gmvae",
    "algorithm1-soft",
    "algorithm1-hard",
    "algorithm1-pretrained",
    "infinite",
    "infinite-k10",
]
MixtureName = Literal["kmeans", "gmm", "dpgmm"]


@dataclass(frozen=True, slots=True)
class Row:
    """One method of the table.

    mixture: what is fitted to the network's latent means; None leaves the clusters to the
        network itself. n_components: K, or the truncation of a DP-GMM.
    """

    name: str
    network: NetworkName
    mixture: MixtureName | None
    n_components: int
    title: str


ROWS = {
    row.name: row
    for row in (
        Row("vae", "vae", None, 1, "VAE"),
        Row("vae+kmeans", "vae", "kmeans", 10, "VAE + K-means, K = 10"),
        Row("vae+gmm", "vae", "gmm", 10, "VAE + GMM, K = 10"),
        Row("vae+dpgmm", "vae", "dpgmm", 10, "VAE + DP-GMM, at most 10"),
        Row("vae+dpgmm-50", "vae", "dpgmm", 50, "VAE + DP-GMM, at most 50"),
        Row("gmvae", "gmvae", None, 10, "GMVAE, K = 10"),
        Row("gmvae+dpgmm", "gmvae", "dpgmm", 10, "GMVAE + DP-GMM, at most 10"),
        Row("gmvae+dpgmm-50", "gmvae", "dpgmm", 50, "GMVAE + DP-GMM, at most 50"),
        Row("algorithm1-soft", "algorithm1-soft", None, 10, "Algorithm 1, soft"),
        Row("algorithm1-hard", "algorithm1-hard", None, 10, "Algorithm 1, hard"),
        Row("algorithm1-pretrained", "algorithm1-pretrained", None, 10, "Algorithm 1, pretrained"),
        Row("infinite", "infinite", None, 50, "Deep infinite mixture, K found"),
        Row("infinite-k10", "infinite-k10", None, 50, "Deep infinite mixture, K = 10"),
    )
}


def find_rows(names: list[str]) -> list[Row]:
    """Rows by name, in the table's order; all of them if none is named.

    Raises:
        ValueError: an unknown name; the message lists the known ones.
    """
    unknown = sorted(set(names) - set(ROWS))
    if unknown:
        raise ValueError(f"unknown row {unknown[0]!r}; the rows are: {', '.join(ROWS)}")
    return [row for row in ROWS.values() if not names or row.name in names]
