"""What is run on a GPU, and the committed record of it."""

import pytest
from benchmarks.record import read

from benchmarks import gpu


@pytest.mark.parametrize("name", gpu.VARIANTS)
def test_a_variant_is_of_parameters_that_there_are(name: str) -> None:
    gpu.VARIANTS[name]()._check_parameters()


def test_the_page_is_that_of_the_record() -> None:
    assert gpu.page(read(gpu.RECORD)) == gpu.RECORD.with_suffix(".md").read_text()


def test_without_a_gpu_nothing_is_run(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["gpu", "--data-dir", str(tmp_path)])
    with pytest.raises(SystemExit):
        gpu.main()
    assert "no GPU" in capsys.readouterr().err
