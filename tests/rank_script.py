"""What each process of a data-parallel training runs in the tests: `rank_script.py WHAT FOLDER`."""

import os
import sys
from pathlib import Path

from jaxtyping import install_import_hook

install_import_hook("dimix", "typechecker.check")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from sklearn.datasets import load_digits, make_blobs  # noqa: E402

from dimix import GMVAE, VAE, Algorithm1, DeepInfiniteMixture  # noqa: E402
from narrow import narrow  # noqa: E402

QUICK = {
    "latent_dim": 3,
    "batch_size": 64,
    "precision": "32-true",  # with bfloat16 it shows how the sums over ranks are rounded
    "random_state": 0,
    "progress": False,
}

MOVING = {"n_components": 12, "pretrain_epochs": 30, "epochs": 6, "learning_rate": 5e-3}
MOVING |= {"augment": None}  # with noise there is nothing left to be moved


def images() -> np.ndarray:
    """So many that the last minibatch is short and odd."""
    return (load_digits().images[:303] * 15).astype(np.uint8)


def table() -> np.ndarray:
    X, _ = make_blobs(403, 6, centers=8, cluster_std=0.3, random_state=1)
    return ((X - X.mean(0)) / X.std(0)).astype(np.float32)


def fits(devices: int) -> dict[str, np.ndarray]:
    """What every estimator finds with so many processes."""
    quick = QUICK | {"devices": devices}
    found = {}
    for name, X, model in (
        ("gmvae", images(), GMVAE(**quick, epochs=2, y_kl_min=0.5)),
        ("algorithm1", images(), Algorithm1(**quick, epochs=2, gumbel="hard")),
        ("conv", images(), VAE(**quick, epochs=1, architecture="conv")),
        ("views", images(), DeepInfiniteMixture(**quick, pretrain_epochs=2, epochs=5, views=2)),
        ("noise", table(), DeepInfiniteMixture(**quick, pretrain_epochs=2, epochs=2)),
        ("moves", table(), DeepInfiniteMixture(**quick | MOVING)),
    ):
        model.fit(X, X_val=X[:40])
        found[f"{name} latents"] = model.transform(X)
        names = sorted(set(model.history_[-1]) - {"seconds"})
        found[f"{name} history"] = np.array([model.history_[-1][key] for key in names])
        if isinstance(model, DeepInfiniteMixture):
            found[f"{name} labels"] = as_met(model.labels_)
            found[f"{name} moves"] = np.array([move[:1] + move[2:] for move in model.moves_])
    return found


def as_met(labels: np.ndarray) -> np.ndarray:
    """Clusters numbered as rows meet them: which of two equal sizes is first, rounding decides."""
    _, first, which = np.unique(labels, return_index=True, return_inverse=True)
    return first.argsort().argsort()[which]


def compare(folder: Path) -> None:
    """Fit with two processes; a start without a seed, and a resumed one, too."""
    found = fits(2)

    def vae(**options: object) -> np.ndarray:
        return VAE(**QUICK | {"devices": 2} | options).fit(images()).transform(images())

    found["seedless"] = vae(epochs=1, random_state=None)
    found["whole"] = vae(epochs=3)
    vae(epochs=2, checkpoint_dir=folder / "vae")
    found["resumed"] = vae(epochs=3, checkpoint_dir=folder / "vae")
    model, rank = VAE(**QUICK | {"devices": 2, "epochs": 1}).fit(images()), int(os.environ["RANK"])
    own = images()[: 5 + rank]  # what is no fit, each does for itself
    alone = VAE(**QUICK | {"epochs": 1}).fit(images())
    alone.model_.load_state_dict(model.model_.state_dict())
    assert model.score(own) == alone.score(own)
    np.savez(folder / f"{os.environ['RANK']}.npz", **found)


def refuse(folder: Path) -> None:
    """Fits that cannot be; what each process hears of it."""
    rank = int(os.environ["RANK"])
    bad = np.full((50, 4), np.nan)
    for name, X, options in (
        ("shards", table()[rank::2], {}),
        ("bad", bad if rank else table(), {}),
        ("few", table(), {"batch_size": 1}),
    ):
        try:
            VAE(**QUICK | {"devices": 2, "epochs": 1} | options).fit(X)
        except (ValueError, RuntimeError) as error:
            (folder / f"{name}{rank}").write_text(f"{type(error).__name__}: {error}")


def die(folder: Path) -> None:
    """Rank 1 ends in the second epoch."""

    def end(model: VAE) -> dict[str, float]:
        if os.environ["RANK"] == "1" and len(epochs) == 1:
            os._exit(3)
        epochs.append(1)
        return {}

    epochs = list[int]()
    VAE(**QUICK, devices=2, epochs=4).fit(images(), scorer=end)


def launch(folder: Path) -> None:
    """A script that nobody but Lightning starts twice."""
    found = VAE(**QUICK, devices=2, epochs=1).fit(images()).transform(images())
    np.save(folder / f"{os.environ['LOCAL_RANK']}.npy", found)


if __name__ == "__main__":
    torch.set_num_threads(1)
    narrow(pytest.MonkeyPatch())
    {f.__name__: f for f in (compare, refuse, die, launch)}[sys.argv[1]](Path(sys.argv[2]))
