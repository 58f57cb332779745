"""Other mixtures: does each install here and run, and how does it do on one data set.

Every peer is installed by pip into a virtual environment of its own, thrown away afterwards;
one that needs PyTorch gets the version that we use ourselves. It then gets 2,000 rows of ten
clusters in four dimensions, as a user would call it, with one thread; peers that must be told the
number of clusters get the true one, which ours is not. Scores: agreement with the true labels
(ARI) and, where the peer has one, the mean log density of 2,000 fresh rows. pip's own last words
say why one does not install.
"""

import subprocess
import sys
import tempfile
import venv
from functools import partial
from importlib.metadata import version
from json import dumps, loads
from os import environ
from pathlib import Path
from time import perf_counter

import numpy as np
from benchmarks.mixture.data import clusters, random_axes
from benchmarks.record import ROOT, Case, rounded, run_missing
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import BayesianGaussianMixture

from dimix import DirichletProcessGaussianMixture

SIZES = [100, 120, 140, 160, 180, 200, 230, 260, 290, 320]
LIMIT = 300
SETTINGS = {
    "rows": sum(SIZES),
    "D": 4,
    "clusters": len(SIZES),
    "threads": 1,
    "limit_seconds": LIMIT,
}

ENDING = """
np.save("labels.npy", np.asarray(labels).ravel())
open("answer.json", "w").write(json.dumps({"seconds": seconds, "score": score}))
"""
BEGINNING = """
import json, time, numpy as np
x, fresh = np.load("x.npy"), np.load("fresh.npy")
score, started = None, time.perf_counter()
"""
DRIVERS = {
    "pyrichlet": """
from pyrichlet import mixture_models
model = mixture_models.DirichletProcessMixture(alpha=1, rng=0, total_iter=1000)
model.fit_variational(x, n_groups=30, tol=1e-3 * len(x))
seconds = time.perf_counter() - started
labels = model.var_map_cluster()
score = float(np.log(model.var_eap_density(fresh)).mean())
""",
    "dpgmm": """
import torch
from dpgmm.samplers import FullCovarianceCollapsedGibbsSampler
sampler = FullCovarianceCollapsedGibbsSampler(
    init_strategy="init_data_stats", max_clusters_num=30, batch_size=1)
result = sampler.fit(iterations_num=50, data=torch.as_tensor(x, dtype=torch.float32))
seconds = time.perf_counter() - started
labels = result["cluster_assignment"]
""",
    "tgmm": """
import torch
from tgmm import GaussianMixture
model = GaussianMixture(n_components=K, n_features=x.shape[1], random_state=0)
model.fit(torch.as_tensor(x, dtype=torch.float32))
seconds = time.perf_counter() - started
labels = model.predict(torch.as_tensor(x, dtype=torch.float32))
score = float(model.score(torch.as_tensor(fresh, dtype=torch.float32)))
""",
    "torchgmm": """
import torch
from torchgmm.bayes import GaussianMixture
model = GaussianMixture(K, covariance_type="full", trainer_params={
    "accelerator": "cpu", "max_epochs": 100, "enable_progress_bar": False, "logger": False})
model.fit(torch.as_tensor(x, dtype=torch.float32))
seconds = time.perf_counter() - started
labels = model.predict(torch.as_tensor(x, dtype=torch.float32))
score = -float(model.score(torch.as_tensor(fresh, dtype=torch.float32)))
""",
    "gmmx": """
from gmmx import GaussianMixtureSKLearn
model = GaussianMixtureSKLearn(n_components=K, random_state=0)
model.fit(x)
seconds = time.perf_counter() - started
labels = model.predict(x)
score = float(np.mean(model.score_samples(fresh)))
""",
    "dpmmlearn": """
from dpmmlearn import DPMM
from dpmmlearn.probability import NormInvWish
dim = x.shape[1]
prior = NormInvWish(x.mean(0), 1.0, np.cov(x.T), dim + 2)
model = DPMM(prior, alpha=1.0, max_iter=50, verbose=False)
model.fit(x)
seconds = time.perf_counter() - started
labels = model.labels_
""",
    "bnpy": "import bnpy\nlabels, seconds = np.zeros(len(x)), 0.0\n",
    "pycave": "import pycave\nlabels, seconds = np.zeros(len(x)), 0.0\n",
}
NEEDS_TORCH = ("dpgmm", "tgmm", "torchgmm", "pycave")
UNDECLARED = {"gmmx": ["scikit-learn"]}
"""What a peer imports without saying so in its metadata."""


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, their true labels, and fresh rows of the same clusters."""
    labels = np.repeat(np.arange(len(SIZES)), SIZES)
    rng = np.random.RandomState(0)
    factors = [random_axes(rng, 4) for _ in SIZES]
    means = clusters(rng, [1] * len(SIZES), 4, spread=15)
    x, fresh = (
        np.stack([means[k] + factors[k] @ rng.normal(size=4) for k in labels]) for _ in range(2)
    )
    order = rng.permutation(len(x))
    return x[order], labels[order], fresh


def peer(name: str) -> Case:
    """Install and run one package in a folder that does not outlive the call."""
    x, truth, fresh = data()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        venv.create(folder / "env", with_pip=True)
        python = str(folder / "env" / "bin" / "python")
        beside = ["torch==" + version("torch").split("+")[0]] if name in NEEDS_TORCH else []
        beside += UNDECLARED.get(name, [])
        install = [python, "-m", "pip", "install", "--quiet", name, *beside]
        done = _run(install, folder, 600)
        if done.returncode != 0:
            return {"installed": False, "why": _last_words(done.stderr, place)}
        show = "from importlib.metadata import version; print(version('{}'))"
        found = _run([python, "-c", show.format(name)], folder).stdout.strip()
        np.save(folder / "x.npy", x)
        np.save(folder / "fresh.npy", fresh)
        program = f"{BEGINNING}K = {len(SIZES)}\n{DRIVERS[name]}{ENDING}"
        done = _run([python, "-c", program], folder)
        if done.returncode != 0:
            return {"installed": True, "version": found, "why": _last_words(done.stderr, place)}
        answer = loads((folder / "answer.json").read_text())
        return {
            "installed": True,
            "version": found,
            **_scores(truth, np.load(folder / "labels.npy"), answer["seconds"], answer["score"]),
        }


def _run(
    command: list[str], folder: Path, limit: int = LIMIT
) -> "subprocess.CompletedProcess[str]":
    one = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    # What runs this must not lend the peer its packages.
    kept = {k: v for k, v in environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        return subprocess.run(
            command, cwd=folder, env=kept | one, capture_output=True, text=True, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"more than {limit} seconds")


def _last_words(text: str, place: str) -> str:
    """The last line that says what went wrong, without the name of any folder."""
    lines = [line.strip() for line in text.replace(place, "").splitlines()]
    told = [line for line in lines if "rror" in line or "seconds" in line or "conflicting" in line]
    return (told or lines or ["no message"])[-1][:200]


def _scores(truth: np.ndarray, labels: np.ndarray, seconds: float, score: float | None) -> Case:
    return {
        "seconds": rounded(seconds, 3),
        "clusters_found": len(np.unique(labels)),
        "ari": rounded(adjusted_rand_score(truth, labels)),
        "log_density": None if score is None else rounded(score, 5),
    }


def here(name: str) -> Case:
    """Ours and scikit-learn's, T = 30, on the same rows in a process of their own."""
    command = [sys.executable, "-m", "benchmarks.mixture.peers", name]
    env = environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    result: Case = loads(done.stdout)
    return result


def _fit_here(name: str) -> Case:
    x, truth, fresh = data()
    model = {
        "dimix": DirichletProcessGaussianMixture(30, random_state=0),
        "scikit-learn": BayesianGaussianMixture(
            n_components=30, tol=1e-3 * len(x), max_iter=1000, random_state=0
        ),
    }[name]
    started = perf_counter()
    model.fit(x)
    seconds = perf_counter() - started
    scores = _scores(truth, model.predict(x), seconds, float(model.score(fresh)))
    return {"installed": True, "version": version(name), **scores}


def run(file: Path) -> None:
    """The cases that the record lacks."""
    ours = {name: partial(here, name) for name in ("dimix", "scikit-learn")}
    run_missing(file, "peers", SETTINGS, ours | {name: partial(peer, name) for name in DRIVERS})


def summary(cases: dict[str, Case]) -> list[str]:
    """Lines of the table."""
    lines = [
        "| package | version | seconds | clusters found | ARI | log density of fresh rows |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, c in cases.items():
        if "why" in c:
            what = "installs, does not run" if c["installed"] else "does not install"
            lines.append(f"| {name} | {c.get('version', '')} | {what}: {c['why']} | | | |")
            continue
        density = "" if c["log_density"] is None else f"{c['log_density']:.3f}"
        lines.append(
            f"| {name} | {c['version']} | {c['seconds']} | {c['clusters_found']} "
            f"| {c['ari']:.3f} | {density} |"
        )
    return lines


if __name__ == "__main__":
    print(dumps(_fit_here(sys.argv[1])))
