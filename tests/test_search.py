"""Searches: what a trial's score is, that they go on where they stopped, and what they refuse."""

import csv
import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
from optuna.storages import InMemoryStorage
from sklearn.datasets import make_blobs
from sklearn.model_selection import train_test_split
from torch import nn

import dimix
from dimix.search import SPACES, Choice, Range, SearchResult, read_space, search, study

X = make_blobs(60, 3, centers=3, random_state=0)[0]
SMALL = {"epochs": 2, "architecture": (8,), "latent_dim": 2}
SPACE = {"a": Range(0.0, 6.0), "b": Range(1e-3, 1e3, log=True)}
RATES = {"learning_rate": Range(1e-4, 1e-2, log=True), "batch_size": Choice((16, 32))}


def values_of(result: SearchResult) -> list[tuple[Any, ...]]:
    return [tuple(trial.parameters.values()) for trial in result.trials]


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Trials that take no time; the n-th is stopped by Ctrl-C."""

    def patch(stopped: int | None = None) -> None:
        calls = itertools.count()

        def attempt(_: str, parameters: dict[str, Any], *__: object) -> tuple[float, str]:
            if next(calls) == stopped:
                raise KeyboardInterrupt
            return -float(parameters["learning_rate"]), ""

        monkeypatch.setattr("dimix.search.run.attempt", attempt)

    return patch


@pytest.mark.parametrize(
    ("model", "kind", "space", "fixed"),
    [
        ("vae", dimix.VAE, RATES, SMALL),
        ("mixture", dimix.DirichletProcessGaussianMixture, {"n_components": Range(2, 4)}, {}),
    ],
)
def test_a_score_is_the_bound_on_rows_that_the_fit_did_not_see(
    model: str,
    kind: type,
    space: Any,
    fixed: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    numbers = {"seed": np.int64(3), "held_out": np.float32(0.25)}
    result = search(X, space, model=model, n_trials=1, parameters=fixed, **numbers)
    train, test = train_test_split(X, test_size=0.25, random_state=3)
    quiet = {"progress": False} if model == "vae" else {}
    alone = kind(**result.best_parameters, random_state=3, **quiet).fit(train)
    assert result.best is not None
    assert result.best.score == pytest.approx(alone.score(test), rel=1e-6)
    assert (result.n_rows, result.n_held_out) == (60, 15)


def test_the_flagships_score_weighs_every_term_with_one() -> None:
    """Whatever the weight and sharpness in training: E log p(x | z) + H[q] + logsumexp L."""
    fixed = SMALL | {"pretrain_epochs": 2, "n_components": 3, "prior_weight": 4.0}
    result = search(X, {"sharpness": Choice((5.0,))}, n_trials=1, parameters=fixed)
    train, test = train_test_split(X, test_size=0.2, random_state=0)
    model = dimix.DeepInfiniteMixture(**result.best_parameters, random_state=0, progress=False)
    terms = model.fit(train).bound_terms(test)
    _, var = (np.asarray(v, np.float64) for v in model.transform(test, return_var=True))
    entropy = 0.5 * (np.log(2 * np.pi * var) + 1).sum(1).mean()
    module = model.model_
    logits = module.mixture.logits(module.mixture.features(module.encoder(_flat(test)[None]))[0], 1)
    allocation = logits.double().logsumexp(1).mean().item()
    assert result.best is not None
    assert result.best.score == pytest.approx(
        terms["reconstruction"] + entropy + allocation, rel=1e-4
    )


@pytest.mark.parametrize(
    ("white", "likelihood"), [(np.uint8(255), "gaussian"), (True, "bernoulli")]
)
def test_the_likelihood_is_that_of_rows_as_a_fit_takes_them(white: Any, likelihood: str) -> None:
    """Bytes of a table are numbers, not parts of 255."""
    rows = (np.random.default_rng(0).random((40, 32)) < 0.5) * white
    result = search(rows, RATES, model="vae", n_trials=1, parameters=SMALL)
    assert result.best is not None
    assert result.fixed["likelihood"] == likelihood


def test_missing_values_are_taken_where_the_model_takes_them() -> None:
    rows, space = X.copy(), {"mean_precision_prior": Range(0.5, 2)}
    rows[::7, 1] = np.nan
    fixed = {"allow_missing": True, "n_components": 4}
    assert search(rows, space, model="mixture", n_trials=1, parameters=fixed).best is not None
    with pytest.raises(ValueError, match="contains NaN"):
        search(rows, space, model="mixture", n_trials=1)


def _flat(rows: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(rows.astype(np.float32))


def test_a_search_goes_on_up_to_n_trials_in_all(
    instant: Callable[..., None], tmp_path: Path
) -> None:
    instant()
    whole = search(X, RATES, model="vae", n_trials=6, parameters=SMALL)
    begun = search(X, RATES, model="vae", n_trials=2, parameters=SMALL, out=tmp_path)
    assert values_of(begun) == values_of(whole)[:2]
    rest = search(X, RATES, model="vae", n_trials=6, parameters=SMALL, out=tmp_path)
    assert values_of(rest) == values_of(whole)
    assert len(set(values_of(rest))) == 6
    again = search(X, RATES, model="vae", n_trials=4, parameters=SMALL, out=tmp_path)
    assert again.trials == rest.trials
    assert {file.name for file in tmp_path.iterdir()} == {
        *("search.json", "search.db", "trials.csv", "best.json"),
    }


@pytest.mark.parametrize("method", ["random", "grid", "tpe"])
def test_a_trial_that_ctrl_c_stopped_does_not_count(
    method: Any, instant: Callable[..., None], tmp_path: Path
) -> None:
    space = {"learning_rate": Choice((0.1, 0.2)), "batch_size": Choice((8, 16, 32))}
    more = {"model": "vae", "method": method, "n_trials": 6, "out": tmp_path}
    instant(3)
    with pytest.raises(KeyboardInterrupt):
        search(X, space, **more)
    assert len((tmp_path / "trials.csv").read_text().splitlines()) == 1 + 3
    instant()
    result = search(X, space, **more)
    assert len(result.trials) == 6
    if method == "grid":
        assert sorted(values_of(result)) == sorted(itertools.product((0.1, 0.2), (8, 16, 32)))


def test_a_grid_ends_when_it_has_no_other_point(instant: Callable[..., None]) -> None:
    instant()
    space = {"learning_rate": Range(1e-4, 1e-2, log=True), "batch_size": Range(8, 16, points=2)}
    result = search(X, space, model="vae", method="grid", n_trials=50)
    found = sorted(values_of(result))
    assert np.allclose(found, list(itertools.product((1e-4, 1e-3, 1e-2), (8, 16))))


def distance(method: str, seed: int) -> float:
    """How far the last of thirty trials are from the top of a hill, on average."""

    def hill(_: int, parameters: Any) -> tuple[float, str]:
        return -((parameters["a"] - 2) ** 2) - np.log(parameters["b"]) ** 2, ""

    task = study.Task("hill", SPACE, method, seed, 30)
    trials = study.run(task, InMemoryStorage(), hill, lambda *_: None)
    return float(np.mean([-trial.score for trial in trials[-10:] if trial.score is not None]))


def test_tpe_learns_from_earlier_trials() -> None:
    seeds = range(3)
    tpe, random = (sum(distance(m, seed) for seed in seeds) for m in ("tpe", "random"))
    assert tpe < 0.5 * random


def test_a_trial_that_diverges_has_failed_and_the_search_goes_on(tmp_path: Path) -> None:
    space = {"learning_rate": Choice((1e-3, 1e30))}
    result = search(
        X, space, model="vae", method="grid", n_trials=2, parameters=SMALL, out=tmp_path
    )
    notes = {trial.parameters["learning_rate"]: trial.note for trial in result.trials}
    assert "diverged" in notes[1e30]
    assert result.best is not None
    assert result.best.parameters == {"learning_rate": 1e-3}
    lines = table_of(tmp_path)
    assert {line["learning_rate"]: line["score"] == "" for line in lines} == {
        "0.001": False,
        "1e+30": True,
    }
    best = json.loads((tmp_path / "best.json").read_text())
    assert best["parameters"]["learning_rate"] == 1e-3
    assert best["parameters"]["architecture"] == [8]


def test_where_all_trials_fail_the_first_ones_reason_is_told() -> None:
    space = {"learning_rate": Choice((1e30,))}
    result = search(X, space, model="vae", n_trials=1, parameters=SMALL)
    assert result.best is None
    with pytest.raises(ValueError, match=r"none of 1 trials ended well; the first: .*diverged"):
        result.best_parameters  # noqa: B018


@pytest.mark.parametrize(
    ("space", "more", "message"),
    [
        ({"depth": Range(1, 2)}, {}, "space: depth is no parameter of the model vae"),
        ({"likelihood": Choice(("bernoulli",))}, {}, "space: likelihood is the same in all trials"),
        ({"latent_dim": Range(0, 4)}, {}, "space: latent_dim: latent_dim must be an integer >= 1"),
        ({"latent_dim": Range(1.5, 4)}, {}, "space: latent_dim: "),
        ({"learning_rate": Choice(("fast",))}, {}, "space: learning_rate: "),
        ({"architecture": Choice(((8, 0),))}, {}, "space: architecture: widths must be positive"),
        (RATES, {"parameters": {"batch_size": 8}}, "space: batch_size is fixed by parameters"),
        ({}, {}, "space must have an entry"),
        (
            RATES,
            {"parameters": {"epochs": 0}},
            "parameters: epochs must be None or an integer >= 1",
        ),
        (RATES, {"parameters": {"depth": 1}}, "parameters: depth is no parameter"),
        (RATES, {"parameters": {"random_state": 7}}, "parameters: random_state is not .* seed"),
        (RATES, {"parameters": {"checkpoint_dir": "x"}}, "parameters: checkpoint_dir is not for"),
        (
            RATES,
            {"parameters": {"architecture": nn.Identity()}},
            "parameters: architecture must be a number, a text or a tuple .* found Identity",
        ),
        (RATES, {"model": "algorithm1"}, "model must be one of 'infinite', 'gmvae'"),
        (RATES, {"n_trials": 0}, "n_trials must be an integer >= 1"),
        (RATES, {"held_out": 1.0}, "held_out must be a share below 1"),
        (RATES, {"X": np.full((9, 2), np.nan)}, "contains NaN"),
        (RATES, {"storage": "nonsense"}, "storage must be the URL of a database"),
        (RATES, {"storage": "sqlite:////no/such/folder/a.db"}, "storage must .* unable to open"),
        (
            {f"{name}": Range(1, 99, points=90) for name in ("latent_dim", "epochs", "batch_size")},
            {"method": "grid"},
            "a grid may have 100,000 points, and this space has 729,000",
        ),
    ],
)
def test_bad_input_is_one_error_and_leaves_nothing(
    space: Any, more: dict[str, Any], message: str, tmp_path: Path
) -> None:
    given = {"X": X, "model": "vae", "n_trials": 1, "out": tmp_path / "out"} | more
    with pytest.raises(ValueError, match=message):
        search(given.pop("X"), space, **given)
    assert not (tmp_path / "out").exists()


def test_a_password_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="storage must be") as caught:
        search(X, RATES, model="vae", storage="mysql+nodriver://me:secret@host/name")
    assert "secret" not in str(caught.value)


def test_another_search_in_the_folder_is_left_as_it_is(
    instant: Callable[..., None], tmp_path: Path
) -> None:
    instant()
    search(X, RATES, model="vae", n_trials=1, out=tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(FileExistsError, match="this one has another data, seed"):
        search(X + 1, RATES, model="vae", n_trials=1, out=tmp_path, seed=1)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    (tmp_path / "search.json").unlink()
    with pytest.raises(FileExistsError, match="found other files in it"):
        search(X, RATES, model="vae", n_trials=1, out=tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "expected an object with an entry for each parameter"),
        ("{", "not JSON"),
        ('{"a": 3}', "a: expected a list of values, or an object with low, high .* found 3"),
        ('{"a": {"low": 1}}', "a: expected a list of values, or an object .* found"),
        ('{"a": {"low": 1, "high": 2, "step": 1}}', "a: expected a list of values"),
        ('{"b": [1], "a": {"low": 2, "high": 1}}', "a: low must be below high"),
        ('{"a": {"low": 0, "high": 1, "log": true}}', "a: low must be positive with log"),
        ('{"a": {"low": "x", "high": 1}}', "a: low must be a number; found 'x'"),
        ('{"a": {"low": 1, "high": Infinity}}', "a: low and high must be finite numbers"),
        ('{"a": {"low": 0, "high": 1, "points": 1}}', "a: points must be 2 or more"),
        ('{"a": []}', "a: no options"),
        ('{"a": [{"b": 1}]}', "a: options are numbers, texts or tuples"),
    ],
)
def test_a_bad_space_is_one_error_that_names_the_entry(
    text: str, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "space.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=rf"space\.json: {message}"):
        read_space(file)


def test_a_space_comes_back_from_json(tmp_path: Path) -> None:
    space = {**SPACES["gmvae"], "architecture": Choice(((8, 4), "mlp"))}
    file = tmp_path / "space.json"
    file.write_text(json.dumps({name: entry.to_json() for name, entry in space.items()}))
    assert read_space(file) == space


@pytest.mark.parametrize("model", SPACES)
def test_the_spaces_that_are_built_in_are_good(model: str, instant: Callable[..., None]) -> None:
    from dimix.search.models import checked_space

    assert checked_space(model, None, {}) == SPACES[model]


def table_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "trials.csv").read_text().splitlines()))


SHARED = """
import sys
import numpy as np
from dimix.search import Range, search

X = np.random.default_rng(0).normal(size=(40, 2))
space = {"reg_covar": Range(1e-6, 1e-2, log=True)}
fixed = {"n_components": 2, "moves": False}
search(X, space, model="mixture", n_trials=12, storage=sys.argv[1], out=sys.argv[2],
       parameters=fixed, announce=lambda *_: print("one"))
"""


@pytest.mark.slow
def test_processes_share_a_study(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    command = [sys.executable, "-W", "error", "-c", SHARED, url]
    workers = [
        subprocess.Popen([*command, str(tmp_path / name)], stdout=subprocess.PIPE, text=True)
        for name in "ab"
    ]
    shares = [worker.communicate()[0].count("one") for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    tables = [
        list(csv.DictReader((tmp_path / n / "trials.csv").read_text().splitlines())) for n in "ab"
    ]
    longest = max(tables, key=len)
    assert 12 <= len(longest) == sum(shares) <= 13
    assert min(shares) > 0
    assert len({line["reg_covar"] for line in longest}) == len(longest)
