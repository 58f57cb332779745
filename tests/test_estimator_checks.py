"""scikit-learn's own checks of the deep estimators, on small networks."""

from collections.abc import Callable

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from dimix import GMVAE, VAE, DeepInfiniteMixture

pytestmark = [
    pytest.mark.usefixtures("small_networks"),
    pytest.mark.filterwarnings("ignore:n_clusters=.*but the bound supports"),
    pytest.mark.filterwarnings("ignore:.*SCIPY_ARRAY_API"),
]
QUICK = {"latent_dim": 2, "batch_size": 32, "progress": False, "random_state": 0}


TYPED = "sets parameters of wrong types, which the tests' own checks of annotations refuse"
FEW = "fifty rows are too few steps for a GMVAE to part its components"


def expected_failures(estimator: object) -> dict[str, str]:
    """Checks that cannot hold here, and why."""
    failures = {"check_do_not_raise_errors_in_init_or_set_params": TYPED}
    return failures | ({"check_clustering": FEW} if isinstance(estimator, GMVAE) else {})


@parametrize_with_checks(
    [
        VAE(**QUICK, epochs=2),
        GMVAE(**QUICK, epochs=2, n_components=3),
        DeepInfiniteMixture(
            **QUICK, n_components=8, pretrain_epochs=120, epochs=5, learning_rate=5e-3
        ),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learns_own_checks(estimator: object, check: Callable[[object], None]) -> None:
    check(estimator)
