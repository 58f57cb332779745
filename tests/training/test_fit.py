"""One training: it learns, it repeats, and it resumes as if it had never stopped."""

import csv
import errno
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer

from dimix.models import GMVAE, VAE, Algorithm1, Model, Objective
from dimix.training import (
    DivergedError,
    RefitMixture,
    Training,
    denormals,
    own_random_numbers,
    train,
)
from dimix.training.fit import LAST

P = 12
TINY = torch.finfo(torch.float32).tiny
pytestmark = pytest.mark.usefixtures("small_networks")


def data(n: int = 200) -> torch.Tensor:
    """Rows that are one of two patterns, with some bits flipped."""
    torch.manual_seed(5)
    patterns = torch.tensor([[1.0, 0.0] * 6, [0.0, 1.0] * 6])
    rows = patterns[torch.randint(2, (n,))]
    return (rows - (torch.rand(n, P) < 0.1).float()).abs()


def model(kind: str) -> Model:
    torch.manual_seed(0)
    if kind == "vae":
        return VAE((P,), 2)
    return (GMVAE if kind == "gmvae" else Algorithm1)((P,), 2, n_components=3)


def training(*callbacks: Callback, **settings: object) -> Training:
    usual = {"epochs": 4, "batch_size": 50, "learning_rate": 1e-3, "seed": 7}
    return Training(callbacks=callbacks, **usual | settings)


def refits(model_: Model, x: torch.Tensor) -> list[Callback]:
    return [RefitMixture(model_, x, 7)] if isinstance(model_, Algorithm1) else []


class Interrupt(Callback):
    """Stands for a kill: raises in the middle of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, trainer, *_: object) -> None:
        if trainer.current_epoch == self.epoch and trainer.global_step % 4 == 2:
            raise RuntimeError("killed")


def without_seconds(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history]


@pytest.mark.parametrize("kind", ["vae", "gmvae", "algorithm1"])
def test_resumed_equals_uninterrupted(kind: str, tmp_path: Path) -> None:
    x, whole, broken = data(), model(kind), model(kind)
    expected = train(whole, x, training(*refits(whole, x)), x_val=x[:40])

    stopped = training(*refits(broken, x), Interrupt(2), checkpoint_dir=tmp_path)
    with pytest.raises(RuntimeError, match="killed"):
        train(broken, x, stopped, x_val=x[:40])
    resumed = model(kind)
    again = training(*refits(resumed, x), checkpoint_dir=tmp_path)
    history = train(resumed, x, again, x_val=x[:40])

    assert without_seconds(history) == without_seconds(expected)
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("kind", ["vae", "algorithm1"])
def test_finished_training_is_loaded_and_not_repeated(kind: str, tmp_path: Path) -> None:
    x, first, second = data(), model(kind), model(kind)
    expected = train(first, x, training(*refits(first, x), checkpoint_dir=tmp_path))
    written = (tmp_path / LAST).stat().st_mtime_ns
    history = train(second, x, training(*refits(second, x), checkpoint_dir=tmp_path))
    assert history == expected
    assert (tmp_path / LAST).stat().st_mtime_ns == written
    torch.testing.assert_close(second.state_dict(), first.state_dict(), rtol=0, atol=0)
    if kind == "algorithm1":
        assert torch.equal(second.assign(x[:5, :2]), first.assign(x[:5, :2]))


@pytest.mark.parametrize(("every", "stay"), [(denormals.EVERY, False), (10_000, True)])
def test_averages_without_gradients_become_denormal_and_do_not_stay_so(
    every: int, stay: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(denormals, "EVERY", every)
    vae, n_denormal = model("vae"), []

    class SwitchOffUnits(Callback):
        def on_train_batch_end(self, trainer, *_: object) -> None:
            if trainer.global_step == 8:
                vae.encoder.body[0].bias.data.fill_(-100.0)
            averages = next(iter(trainer.optimizers[0].state.values()))["exp_avg"]
            n_denormal.append(int(((averages != 0) & (averages.abs() < TINY)).sum()))

    train(vae, data(), training(SwitchOffUnits(), epochs=240))
    assert (n_denormal[-1] > 0) == stay
    assert n_denormal[400] == 0  # the averages still fall


def test_only_denormal_numbers_become_zero() -> None:
    numbers = torch.tensor([1e-3, -2 * TINY, 0.9 * TINY, -1e-45, 0.0, torch.inf, torch.nan])
    expected = torch.tensor([1e-3, -2 * TINY, 0.0, 0.0, 0.0, torch.inf, torch.nan])
    denormals.flush_(numbers)
    torch.testing.assert_close(numbers, expected, rtol=0, atol=0, equal_nan=True)


def test_a_checkpoint_of_which_only_a_part_fits_the_disk_leaves_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = data()
    train(model("vae"), x, training(epochs=1, checkpoint_dir=tmp_path))
    before = (tmp_path / LAST).read_bytes()

    def fill(self: Trainer, file: Path) -> None:
        Path(file).write_bytes(before[: len(before) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Trainer, "save_checkpoint", fill)
    with pytest.raises(OSError, match="No space left"):
        train(model("vae"), x, training(epochs=2, checkpoint_dir=tmp_path))
    assert (tmp_path / LAST).read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} == {LAST, "curves.csv"}


def test_a_part_of_a_checkpoint_is_refused(tmp_path: Path) -> None:
    train(model("vae"), data(), training(epochs=1, checkpoint_dir=tmp_path))
    whole = (tmp_path / LAST).read_bytes()
    (tmp_path / LAST).write_bytes(whole[:-100])
    with pytest.raises(
        ValueError, match=r"last\.ckpt: not a checkpoint of dimix, or not all of it"
    ):
        train(model("vae"), data(), training(checkpoint_dir=tmp_path))
    assert (tmp_path / LAST).read_bytes() == whole[:-100]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 8}, "of a training with seed="),
        ({"batch_size": 32}, "of a training with batch_size="),
        ({"learning_rate": 0.5}, "of a training with learning_rate="),
        ({"schedule": "linear"}, "of a training with schedule='constant'"),
        ({"epochs": 1}, "of 2 epochs, and this training has 1"),
    ],
)
def test_the_checkpoint_of_another_training_is_refused(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    given = {"epochs": 2, "checkpoint_dir": tmp_path}
    train(model("vae"), data(), training(**given))
    written = (tmp_path / LAST).read_bytes()
    with pytest.raises(ValueError, match=f"last.ckpt: {message}.*; move it away, or give another"):
        train(model("vae"), data(), training(**given | change))
    with pytest.raises(ValueError, match=r"last.ckpt: of a training on other data"):
        train(model("vae"), data()[1:], training(**given))
    with pytest.raises(ValueError, match=r"last.ckpt: of a training of another model"):
        train(model("gmvae"), data(), training(**given))
    assert (tmp_path / LAST).read_bytes() == written
    train(model("vae"), data(), training(**given | {"seed": 8, "any_seed": True}))


def test_more_epochs_are_another_training_where_the_learning_rate_falls(tmp_path: Path) -> None:
    given = {"schedule": "linear", "checkpoint_dir": tmp_path}
    stopped = training(Interrupt(2), **given, epochs=5)
    with pytest.raises(RuntimeError, match="killed"):
        train(model("vae"), data(), stopped)
    assert len(train(model("vae"), data(), training(**given, epochs=2))) == 2  # as far as it came
    with pytest.raises(ValueError, match="of a training with epochs=5, and this one has 3"):
        train(model("vae"), data(), training(**given, epochs=3))


def test_going_on_for_more_epochs_equals_training_them_at_once(tmp_path: Path) -> None:
    x, whole, staged = data(), model("gmvae"), model("gmvae")
    expected = train(whole, x, training(epochs=5))
    train(staged, x, training(epochs=2, checkpoint_dir=tmp_path))
    history = train(model("gmvae"), x, training(epochs=5, checkpoint_dir=tmp_path))
    assert without_seconds(history) == without_seconds(expected)


def test_training_climbs_the_bound_and_leaves_the_callers_generator_alone() -> None:
    x, vae = data(), model("vae")
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    history = train(vae, x, training(epochs=30, learning_rate=3e-3), x_val=x[:50])
    assert torch.equal(torch.rand(3), expected)
    assert history[-1]["val_loss"] < 0.8 * history[0]["val_loss"]
    assert [row["epoch"] for row in history] == list(range(1, 31))


def test_history_is_the_average_over_rows_and_adds_up() -> None:
    x, gmvae = data(), model("gmvae")
    row = train(gmvae, x, training(epochs=1), x_val=x[:30])[0]
    terms = ("reconstruction", "conditional_prior", "w_prior", "y_prior")
    for split in ("train", "val"):
        total = sum(row[f"{split}_{term}"] for term in terms)
        assert row[f"{split}_loss"] == pytest.approx(-total, rel=1e-5)


def test_curves_are_written_as_csv_after_every_epoch(tmp_path: Path) -> None:
    train(model("vae"), data(), training(checkpoint_dir=tmp_path), scorer=lambda: {"val_acc": 0.5})
    rows = list(csv.DictReader((tmp_path / "curves.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert {row["val_acc"] for row in rows} == {"0.5"}


class Diverging(Model):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def objective(self, x: torch.Tensor) -> Objective:
        value = self.weight * x.sum(1) * torch.nan
        return Objective(value.mean(), {"reconstruction": -value})


def test_where_no_bar_can_be_drawn_lines_say_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("dimix.training.progress.BETWEEN_LINES", 0.0)
    train(model("vae"), data(), training(progress="a model"))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("a model: ")]
    assert len(lines) == 4
    assert "a model: 1/4 epochs  loss " in lines[0]
    assert lines[-1].endswith("about 0:00:00 left")


def test_divergence_is_said_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match=r"diverged in epoch 1: the loss became nan"):
        train(Diverging(), data(), training(checkpoint_dir=tmp_path))
    assert not (tmp_path / LAST).exists()


def test_latents_that_no_mixture_fits_are_a_divergence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_, refit = model("algorithm1"), Algorithm1.refit

    def refit_or_fail(self: Algorithm1, latents: torch.Tensor, seed: int) -> None:
        if hasattr(self, "mixture"):
            latents = latents * torch.nan
        refit(self, latents, seed)

    monkeypatch.setattr(Algorithm1, "refit", refit_or_fail)
    with pytest.raises(DivergedError, match=r"in epoch 1: no mixture .* NaN") as found:
        train(model_, data(), training(*refits(model_, data()), checkpoint_dir=tmp_path))
    assert found.value.good_epochs == 0


def test_a_planted_pickle_is_not_executed(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "executed",))

    torch.save({"state_dict": Hostile()}, tmp_path / LAST)
    with pytest.raises(ValueError, match=r"nothing in it was executed"):
        train(model("vae"), data(), training(checkpoint_dir=tmp_path))
    assert not (tmp_path / "executed").exists()


def test_several_gpus_are_no_reason_for_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their generators are afterwards as they were; pytest makes an error of any warning."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: f"state of {device}")
    restored = []
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda *given: restored.append(given))
    train(model("vae"), data(), training(epochs=1))
    assert ("state of 0", 0) in restored
    assert ("state of 1", 1) in restored


def test_an_accelerator_that_is_no_gpu_of_nvidias_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 1)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("mps"))
    before = torch.get_rng_state()
    with own_random_numbers():
        torch.manual_seed(3)
        assert not torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(torch.get_rng_state(), before, rtol=0, atol=0)
