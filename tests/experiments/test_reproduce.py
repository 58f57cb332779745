"""The grid on 8×8 digits: every row, stopped anywhere and resumed, the same records each time."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from dimix.data import load
from dimix.experiments import ROWS, Grid, estimate_seconds, find_rows, load_problem, reproduce
from dimix.experiments.cells import versions
from dimix.experiments.runner import claim
from dimix.models import Algorithm1
from dimix.records import Bundle, Record, read_curves, read_record, read_run, write_curves
from dimix.report import grid as grid_rows
from dimix.training import MIXTURE, epoch_seed
from narrow import narrow

pytestmark = [
    pytest.mark.usefixtures("small_networks"),
    pytest.mark.filterwarnings("ignore:n_clusters=10, but the bound supports"),
]


def grid(out: Path, rows: list[str] | None = None, **settings: object) -> Grid:
    defaults = {"dataset": "digits", "data_dir": None, "latent_dims": [2], "seeds": [0]}
    return Grid(rows=find_rows(rows or []), out=out, **defaults | {"epochs": 3} | settings)


def run(grid: Grid) -> list[Record]:
    records: list[Record] = []
    reproduce(grid, records.append)
    return records


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        narrow(patch)
        out = tmp_path_factory.mktemp("whole")
        run(grid(out))
    return out


def test_every_row_leaves_a_record_and_its_arrays(whole: Path) -> None:
    cells = {cell.record.row: cell for cell in read_run(whole)}
    assert set(cells) == set(ROWS)
    for name, cell in cells.items():
        own_network = ROWS[name].mixture is None
        assert set(cell.record.scores) == {"train", "test"}
        assert bool(cell.curves) == own_network
        assert (cell.bundle.reconstructions is not None) == own_network
        assert cell.bundle.samples.shape[1:] == (10, 8, 8)
        assert len(cell.bundle.map_xy) == len(cell.bundle.map_clusters)
        json.dumps(cell.record.settings)
    assert cells["vae"].record.scores["test"]["n_clusters"] == 1
    assert "one component" in cells["vae"].record.note
    assert cells["vae+dpgmm-50"].bundle.weights.shape == (50,)
    assert cells["vae+dpgmm-50"].bundle.weights.sum() == pytest.approx(1)


def test_rows_of_one_network_share_its_plane(whole: Path) -> None:
    cells = {cell.record.row: cell.bundle for cell in read_run(whole)}
    np.testing.assert_array_equal(cells["vae"].map_xy, cells["vae+gmm"].map_xy)
    np.testing.assert_array_equal(cells["vae"].map_labels, cells["gmvae"].map_labels)


def test_pretrained_row_starts_from_the_gmvae_after_seven_tenths(whole: Path) -> None:
    networks = whole / "networks" / "z2-seed0"
    start = (networks / "gmvae-start" / "curves.csv").read_text().splitlines()
    gmvae = (networks / "gmvae" / "curves.csv").read_text().splitlines()
    assert len(start) == 1 + round(0.7 * 3)
    assert gmvae[: len(start)] == start


@pytest.mark.slow
def test_one_pre_training_serves_both_infinite_rows(whole: Path, tmp_path: Path) -> None:
    """`infinite-k10`, which took it from `infinite`, is the same with one of its own."""
    (record,) = run(grid(tmp_path, ["infinite-k10"]))
    assert record.same_result(read_record(whole / record.cell / "record.json"))
    trained = [
        out / "networks/z2-seed0/infinite-k10/pretraining/curves.csv" for out in (whole, tmp_path)
    ]
    assert [curves.exists() for curves in trained] == [False, True]


def test_a_second_run_gives_the_same_records(whole: Path, tmp_path: Path) -> None:
    rows = ["vae+kmeans", "gmvae+dpgmm", "algorithm1-hard"]
    for record in run(grid(tmp_path, rows)):
        before = read_record(whole / record.cell / "record.json")
        assert record.same_result(before), record.row
        a, b = (Bundle.load(out / record.cell / "bundle.npz") for out in (whole, tmp_path))
        np.testing.assert_array_equal(a.samples, b.samples)


def test_finished_cells_are_never_computed_again(whole: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in whole.rglob("*") if file.is_file()}
    assert run(grid(whole)) == []
    assert {file: file.stat().st_mtime_ns for file in whole.rglob("*") if file.is_file()} == before


def test_a_run_stopped_between_cells_and_inside_one_goes_on(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def stop(record: Record) -> None:
        raise Killed

    with pytest.raises(Killed):
        reproduce(grid(tmp_path, ["vae", "gmvae"]), stop)

    def stop_later(rows: list, file: Path) -> None:
        write_curves(rows, file)
        if file.parent.name == "gmvae-start" and len(rows) == 2:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("dimix.training.callbacks.write_curves", stop_later)
        with pytest.raises(Killed):
            run(grid(tmp_path, ["vae", "gmvae"]))
    (record,) = run(grid(tmp_path, ["vae", "gmvae"]))
    assert record.row == "gmvae"
    assert record.same_result(read_record(whole / record.cell / "record.json"))


def test_a_network_that_diverges_is_recorded_at_its_last_good_epoch(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = Algorithm1.refit

    def fails_once_grown(self: Algorithm1, latents: torch.Tensor, seed: int) -> None:
        if seed == epoch_seed(seed_of_fit, 3, MIXTURE):
            raise ValueError("singular")
        fit(self, latents, seed)

    seed_of_fit = int(np.random.RandomState(0).randint(2**31))
    monkeypatch.setattr("dimix.models.Algorithm1.refit", fails_once_grown)
    (record,) = run(grid(tmp_path, ["algorithm1-hard"]))
    assert "diverged in epoch 3" in record.note
    assert "singular" in record.note
    assert record.settings["epochs"] == 2
    found, expected = (read_curves(out / record.cell / "curves.csv") for out in (tmp_path, whole))
    np.testing.assert_array_equal(found["val_loss"], expected["val_loss"][:2])


def test_another_data_set_or_length_is_refused(whole: Path) -> None:
    with pytest.raises(
        ValueError, match=r"holds a run of .*'epochs': 3.*this one is .*'epochs': 9"
    ):
        run(grid(whole, epochs=9))


def test_another_device_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells of one table cost what they cost on one kind of device."""
    claim(grid(tmp_path, device="auto"))
    claim(grid(tmp_path, device="cpu"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ValueError, match=r"'device': 'cuda'.*and device to go on"):
        claim(grid(tmp_path, device="auto"))


def test_validation_is_a_twelfth_and_nothing_is_shared_or_lost() -> None:
    problem, other = load_problem("digits", None, 0), load_problem("digits", None, 1)
    train = load("digits", "train")
    assert len(problem.validation.images) == round(len(train.images) / 12)
    together = np.concatenate([problem.train.images, problem.validation.images])
    rows = {image.tobytes() for image in together}
    assert rows == {image.tobytes() for image in train.images}
    assert len(together) == len(train.images)
    assert not np.array_equal(problem.validation.images, other.validation.images)


def test_unknown_row_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown row 'vea'; the rows are: vae, vae\+kmeans"):
        find_rows(["vea"])
    assert [row.name for row in find_rows(["gmvae", "vae"])] == ["vae", "gmvae"]


def test_the_report_knows_the_rows_in_their_order() -> None:
    assert tuple(ROWS) == grid_rows.ROWS


def test_estimate_grows_with_the_work(tmp_path: Path) -> None:
    problem = load_problem("digits", None, 0)
    one = estimate_seconds(grid(tmp_path, ["vae"]), problem)
    many = estimate_seconds(grid(tmp_path, epochs=300), problem)
    assert 0 < one < many


def test_a_record_names_the_gpu_that_was_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")
    assert versions("auto")["gpu"] == "a card"
    assert "gpu" not in versions("cpu")
