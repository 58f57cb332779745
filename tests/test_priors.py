"""The infinite mixture as a prior: its terms by brute force, its own step, its moves."""

import numpy as np
import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from dimix.mixture import FeatureChunks, FullCovariance, MixturePosterior, fit_batch, sweep
from dimix.nets import diagonal_normal
from dimix.priors import Climb, InfiniteMixture
from mixture_cases import blobs, make_prior, random_start

DIM, K, N = 2, 3, 40


def a_posterior(n_components: int = K) -> MixturePosterior:
    family = FullCovariance(DIM)
    latents = FeatureChunks(family, blobs(N, DIM))
    return random_start(latents, make_prior(family), n_components)


def a_mixture(views: int = 1, sharpness: float = 1.0, n_eff: float = N) -> InfiniteMixture:
    posterior = a_posterior()
    statistics, _ = sweep(FeatureChunks(posterior.family, blobs(N, DIM)), posterior)
    climb = Climb(n_rows=N, views=views, sharpness=sharpness)
    return InfiniteMixture(posterior.prior, views * statistics, climb, n_eff)


def a_batch(views: int, n: int = 7):
    generator = torch.Generator().manual_seed(3)
    mean, log_var = torch.randn(2, views, n, DIM, generator=generator)
    return diagonal_normal(mean.requires_grad_(), log_var - 1), mean


@pytest.mark.parametrize("views", [1, 3])
def test_terms_by_brute_force(views: int) -> None:
    mixture, (q, _) = a_mixture(views).eval(), a_batch(views)
    posterior = mixture.posterior
    log_weights = posterior.sticks.expected_log_weights()
    logits = log_weights.expand(7, K).clone()
    for v in range(views):
        phi = posterior.features(q.mean[v].double(), q.variance[v].double())
        logits += posterior.logits(phi) - log_weights
    terms = mixture.terms(q)
    torch.testing.assert_close(
        terms["allocation"].double(), logits.logsumexp(1), rtol=1e-4, atol=1e-4
    )
    normals = Normal(q.mean, q.stddev)
    torch.testing.assert_close(terms["entropy"], normals.entropy().sum((0, 2)))


def test_no_gradient_through_the_best_allocation_is_missed() -> None:
    mixture, (q, mean) = a_mixture(2).eval(), a_batch(2)
    mixture.terms(q)["allocation"].sum().backward()
    ours, mean.grad = mean.grad.clone(), None
    mixture.logits(mixture.features(q).sum(0), 2).logsumexp(1).sum().backward()
    torch.testing.assert_close(ours, mean.grad)


def test_a_sharper_allocation_is_a_lower_bound() -> None:
    q, _ = a_batch(2)
    best, sharp = (a_mixture(2, s).eval().terms(q)["allocation"] for s in (1.0, 4.0))
    assert bool((sharp <= best + 1e-5).all())
    assert float((best - sharp).detach().max()) > 1e-3


def test_rough_networks_leave_the_mixture_exact() -> None:
    mixture, (q, _) = a_mixture(2).eval(), a_batch(2)
    exact = mixture.terms(q)
    with torch.autocast("cpu", torch.bfloat16):
        assert (q.mean[0] @ torch.ones(DIM)).dtype == torch.bfloat16  # as a network's layer is
        rough = mixture.terms(q)
    torch.testing.assert_close(rough, exact, rtol=0, atol=0)


def test_a_pass_over_everything_is_the_conjugate_update_and_raises_the_bound() -> None:
    mixture = a_mixture()
    q, _ = a_batch(1, N)
    latents = FeatureChunks(
        mixture.prior.family, q.mean[0].double() - mixture.prior.centre, q.variance[0].double()
    )
    before = mixture.posterior
    expected = fit_batch(latents, before, tol=0, max_iter=1, reorder=False)
    mixture.train().terms(q)
    assert expected.bounds[1].total > expected.bounds[0].total
    torch.testing.assert_close(
        mixture.posterior.components.mean,
        expected.posterior.components.mean,
        rtol=1e-4,
        atol=1e-4,
    )


def test_without_training_nothing_moves() -> None:
    mixture, (q, _) = a_mixture().eval(), a_batch(1)
    before = mixture.statistics.clone()
    mixture.terms(q)
    assert torch.equal(mixture.statistics, before)


def test_views_count_for_the_gaussians_and_not_for_the_sticks() -> None:
    one, three = a_mixture(1).posterior, a_mixture(3).posterior
    torch.testing.assert_close(one.sticks.a, three.sticks.a)
    prior = one.prior.components
    torch.testing.assert_close(
        three.components.mean_precision - prior.mean_precision,
        3 * (one.components.mean_precision - prior.mean_precision),
    )


def test_coarsening_weighs_every_row() -> None:
    half = a_mixture(n_eff=N / 2)
    assert half.tempering == 0.5
    torch.testing.assert_close(
        half.posterior.sticks.a - 1, (a_mixture().posterior.sticks.a - 1) / 2
    )
    half.n_eff.fill_(N)
    torch.testing.assert_close(half.posterior.sticks.a, a_mixture().posterior.sticks.a)


def test_what_is_saved_is_the_whole_state() -> None:
    mixture, other = a_mixture(n_eff=11.0), a_mixture()
    other.load_state_dict(mixture.state_dict())
    assert torch.equal(other.posterior.components.scatter, mixture.posterior.components.scatter)
    assert other.tempering == mixture.tempering


def test_moves_go_both_ways() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [30.0, 0.0], [0.0, 30.0]])
    z = torch.from_numpy(np.repeat(centres, 100, 0) + rng.normal(size=(300, 2)))
    var = torch.full_like(z, 0.01)
    fitted = a_posterior(6)
    latents = FeatureChunks(fitted.family, z - fitted.prior.centre, var)
    shapes = {"together": torch.zeros(300, dtype=torch.int64), "apart": torch.arange(300) // 50}
    for labels in shapes.values():
        of_rows = torch.zeros(300, 6, dtype=torch.float64)
        of_rows[torch.arange(300), labels] = 1
        statistics = torch.cat([of_rows[rows].mT @ phi for rows, phi in latents])
        mixture = InfiniteMixture(fitted.prior, statistics, Climb(n_rows=300))
        kept = mixture.improve(z, var, np.random.RandomState(0))
        assert kept
        assert int((mixture.statistics[:, 0] > 1).sum()) == 3


@pytest.mark.parametrize("views", [1, 3])
def test_a_component_that_fades_holds_no_rows(views: int) -> None:
    mixture = a_mixture(views)
    assert mixture.n_filled == K
    mixture.statistics[0] *= 0.4 / (mixture.statistics[0, 0] / views)
    assert mixture.n_filled == K - 1


MIXED, OTHERS = [0, 3], [1, 2]
SOME = torch.tensor([True, False, False, True])


def of_some(training: bool = False) -> InfiniteMixture:
    """The mixture of two latents out of four."""
    whole = a_mixture(views=3)
    some = InfiniteMixture(whole.prior, whole.statistics, whole.climb, N, SOME)
    return some.train(training)


def of_four() -> Independent[Normal]:
    """q of four latents, for three views of seven objects."""
    mean, log_var = torch.randn(2, 3, 7, 4, generator=torch.Generator().manual_seed(3))
    return diagonal_normal(mean.requires_grad_(), log_var - 1)


@pytest.mark.parametrize("training", [False, True])
def test_others_have_the_terms_of_a_normal_and_no_part_in_the_mixture(training: bool) -> None:
    some, alone, q = of_some(training), a_mixture(views=3).train(training), of_four()
    mixed, others = (
        Independent(Normal(q.mean[..., d], q.stddev[..., d]), 1) for d in (MIXED, OTHERS)
    )
    terms = some.terms(q)
    normal = Independent(Normal(torch.zeros(2), 1.0), 1)
    expected = alone.terms(mixed) | {"prior": -kl_divergence(others, normal).sum(0)}
    torch.testing.assert_close(terms, expected)
    torch.testing.assert_close(some.statistics, alone.statistics, rtol=0, atol=0)


def test_the_density_of_all_latents_is_the_product_of_both_parts() -> None:
    z = torch.randn(9, 4, generator=torch.Generator().manual_seed(1))
    of_mixture = a_mixture(views=3).log_density(z[:, MIXED])
    of_normal = Normal(0.0, 1.0).log_prob(z[:, OTHERS]).sum(1)
    torch.testing.assert_close(of_some().log_density(z), of_mixture + of_normal)


def test_samples_have_the_others_from_a_normal() -> None:
    components = torch.arange(20_000) % K
    z = of_some().sample(components, torch.Generator().manual_seed(0))
    alone = a_mixture(views=3).sample(components, torch.Generator().manual_seed(0))
    torch.testing.assert_close(z[:, MIXED], alone)
    torch.testing.assert_close(torch.cov(z[:, OTHERS].mT), torch.eye(2), atol=0.05, rtol=0)
    assert abs(float(torch.corrcoef(z.mT)[0, 1])) < 0.03


def test_others_decide_no_move_and_no_start() -> None:
    z, var, noise = torch.randn(3, N, 4, generator=torch.Generator().manual_seed(2))
    kept, statistics = [], []
    for scale in (0.0, 50.0):
        mean = z + scale * noise * ~SOME
        some = InfiniteMixture.from_fit(
            a_posterior(), mean, var.exp(), Climb(n_rows=N, views=3), mixed=SOME
        )
        kept.append(some.improve(mean, var.exp(), np.random.RandomState(0)))
        statistics.append(some.statistics)
    assert kept[0]
    assert kept[0] == kept[1]
    torch.testing.assert_close(statistics[0], statistics[1], rtol=0, atol=0)


def test_the_state_says_which_latents_are_mixed() -> None:
    again = InfiniteMixture(
        a_posterior().prior, of_some().statistics, Climb(n_rows=N, views=3), N, ~SOME
    )
    again.load_state_dict(of_some().state_dict())
    assert again.mixed.tolist() == MIXED
    assert again.others.tolist() == OTHERS
