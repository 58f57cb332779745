"""What the README shows runs, and gives what it says."""

import re
from pathlib import Path

import numpy as np
from sklearn.datasets import make_blobs

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_python_examples_run(small_networks: None) -> None:
    X, _ = make_blobs(600, 2, centers=6, cluster_std=0.3, random_state=1)
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    names: dict[str, object] = {"X": X, "np": np, "images": images}
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(block, names)
    assert names["train"].images.shape == (1442, 8, 8)
    assert names["mixture"].n_clusters_ == 4
