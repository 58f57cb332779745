"""Stochastic inference: a step is what the formula says, and the stream nears the batch fit."""

import numpy as np
import pytest
import torch

from dimix.mixture import FeatureChunks, FullCovariance, GaussianFamily, fit_batch, sweep
from dimix.mixture.inference.stochastic import StepSizes, StochasticState, stochastic_step
from mixture_cases import FAMILIES, blobs, make_prior, random_start

FAMILY = FullCovariance(2)
PRIOR = make_prior(FAMILY)


def starting_state(z: torch.Tensor, n_components: int = 5) -> StochasticState:
    chunks = FeatureChunks(FAMILY, z)
    return StochasticState(sweep(chunks, random_start(chunks, PRIOR, n_components))[0])


def test_a_step_mixes_old_and_scaled_new_statistics() -> None:
    z = blobs(60, 2)
    state = starting_state(z)
    batch = FeatureChunks(FAMILY, z[:20])
    phi = FAMILY.features(z[:20])
    resp = state.posterior(PRIOR).log_responsibilities(phi).exp()
    rho = (3 + 2.0) ** -0.7
    expected = (1 - rho) * state.statistics + rho * 60 / 20 * (resp.mT @ phi)
    before = StochasticState(state.statistics, step=3, rows_seen=10)
    after = stochastic_step(
        before, PRIOR, batch, n_rows=60, step_sizes=StepSizes(2.0, 0.7), reorder=False
    )
    torch.testing.assert_close(after.statistics, expected)
    assert (after.step, after.rows_seen) == (4, 30)


def test_a_first_step_on_all_rows_is_a_batch_update() -> None:
    z = blobs(60, 2)
    state, chunks = starting_state(z), FeatureChunks(FAMILY, z)
    after = stochastic_step(state, PRIOR, chunks)
    batch = fit_batch(chunks, state.posterior(PRIOR), max_iter=1)
    torch.testing.assert_close(after.posterior(PRIOR).means, batch.posterior.means)


def test_without_n_rows_the_counts_are_the_rows_seen() -> None:
    z = blobs(90, 2)
    state = starting_state(z[:7])
    for rows in (z[:30], z[30:50], z[50:]):
        state = stochastic_step(state, PRIOR, FeatureChunks(FAMILY, rows))
        assert float(state.statistics[:, 0].sum()) == pytest.approx(state.rows_seen)
    assert state.rows_seen == 90


def test_weights_count_rows() -> None:
    z = blobs(60, 2)
    state = starting_state(z)
    twice = FeatureChunks(FAMILY, z[:20], weights=torch.full((20,), 2.0))
    after = stochastic_step(state, PRIOR, twice, n_rows=60)
    other = stochastic_step(state, PRIOR, FeatureChunks(FAMILY, z[:20]), n_rows=60)
    torch.testing.assert_close(after.statistics, other.statistics)
    assert (after.rows_seen, other.rows_seen) == (40, 20)


def test_an_empty_minibatch_changes_nothing() -> None:
    state = starting_state(blobs(60, 2))
    nothing = FeatureChunks(FAMILY, blobs(4, 2), weights=torch.zeros(4))
    assert stochastic_step(state, PRIOR, nothing, n_rows=60) is state


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_stream_nears_the_batch_fit(kind: type[GaussianFamily]) -> None:
    family, z, prior = kind(2), blobs(2000, 2), make_prior(kind(2))
    whole, few = FeatureChunks(family, z), FeatureChunks(family, z[:50])
    # Both begin where a fit to few rows ends: from there on they share one optimum.
    start = fit_batch(few, random_start(few, prior, 6), max_iter=100).posterior
    batch = fit_batch(whole, start, tol=1e-5, max_iter=200)
    rng, state = np.random.default_rng(0), StochasticState(sweep(few, start)[0])
    gaps = []
    for _ in range(20):
        for rows in np.array_split(rng.permutation(2000), 10):
            minibatch = FeatureChunks(family, z[rows])
            state = stochastic_step(
                state, prior, minibatch, n_rows=2000, step_sizes=StepSizes(forgetting=0.6)
            )
        posterior = state.posterior(prior)
        bound = posterior.bound(sweep(whole, posterior)[1])
        gaps.append((batch.bounds[-1].total - bound.total) / 2000)
    assert abs(gaps[-1]) < 0.02  # nats a row
    assert gaps[-1] < gaps[0]


def test_step_sizes_that_cannot_converge_are_refused() -> None:
    sizes = [StepSizes()(step) for step in range(3)]
    assert sizes == pytest.approx([1, 2**-0.9, 3**-0.9])
    with pytest.raises(ValueError, match="delay must be >= 1, got 0"):
        StepSizes(delay=0)
    with pytest.raises(ValueError, match=r"forgetting must be in \(0.5, 1\], got 0.5"):
        StepSizes(forgetting=0.5)
