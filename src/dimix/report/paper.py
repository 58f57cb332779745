"""The paper's own Table 2, as far as its text can be read: CS and NMI on MNIST's test images."""

from dataclasses import dataclass

LATENT_DIMS = (8, 10, 16, 64)


@dataclass(frozen=True, slots=True)
class Printed:
    """A figure as the paper prints it: a number, a doubtful one, or all that is left, a range."""

    low: float
    high: float
    doubtful: bool = False

    @property
    def value(self) -> float | None:
        """The number, if one can be read."""
        return self.low if self.low == self.high else None

    @property
    def note(self) -> str:
        """What a reader must know about this figure; empty if nothing."""
        if self.value is None:
            return f"garbled: between {self.low:.2f} and {self.high:.2f}"
        return "doubtful" if self.doubtful else ""

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.low:.2f}–{self.high:.2f}"
        return f"{self.value:.2f}" + " ?" * self.doubtful


# CS and NMI at each of LATENT_DIMS. The paper's DP-GMM has 10 components, so rows truncated
# at 50 have no counterpart; what it prints for algorithm1-pretrained cannot be read.
READABLE = {
    "vae+gmm": ((0.77, 0.77), (0.82, 0.82), (0.84, 0.84), (0.67, 0.66)),
    "gmvae": ((0.69, 0.78), (0.74, 0.73), (0.83, 0.82), (0.67, 0.71)),
    "gmvae+dpgmm": ((0.80, 0.79), (0.80, 0.79), (0.72, 0.71), (0.81, 0.80)),
    "algorithm1-soft": ((0.77, 0.65), (0.76, 0.68), (0.68, 0.58), (0.70, 0.64)),
    "algorithm1-hard": ((0.69, 0.63), (0.73, 0.63), (0.67, 0.57), (0.60, 0.53)),
}
DOUBTFUL = {("gmvae", 8)}
GARBLED = {"vae+kmeans": (0.61, 0.64), "vae+dpgmm": (0.70, 0.83)}


def printed(row: str, latent_dim: int) -> tuple[Printed, Printed] | None:
    """CS and NMI that the paper prints for a row; None where it prints none that can be read.

    >>> [str(figure) for figure in printed("gmvae", 8)]
    ['0.69 ?', '0.78 ?']
    >>> [str(figure) for figure in printed("vae+kmeans", 64)]
    ['0.61–0.64', '0.61–0.64']
    """
    if latent_dim not in LATENT_DIMS:
        return None
    if row in GARBLED:
        return Printed(*GARBLED[row]), Printed(*GARBLED[row])
    if row not in READABLE:
        return None
    cs, nmi = READABLE[row][LATENT_DIMS.index(latent_dim)]
    doubtful = (row, latent_dim) in DOUBTFUL
    return Printed(cs, cs, doubtful), Printed(nmi, nmi, doubtful)
