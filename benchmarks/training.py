"""Training throughput beside a bare PyTorch loop: same network, batch, optimiser, machine, run.

    python benchmarks/training.py [--out results/benchmarks/training.json]

Both train the default VAE (784-500-500-2000-10 and mirrored) on random bytes, in turn, several
times; a ratio of 1 means that Lightning, the epoch's bookkeeping and the named terms cost
nothing. Prints every pair, the median ratio, and how far the bare loop itself is from the
floor: the network's multiplications over this machine's measured matrix-product rate.
"""

import argparse
import json
import statistics
import time
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from dimix import VAE
from dimix.experiments.cells import versions
from dimix.records import atomic_write

ROWS, BATCH, LATENT, PAIRS = 12_800, 256, 10, 5
WIDTHS = (784, 500, 500, 2000)


def layers(sizes: tuple[int, ...]) -> nn.Sequential:
    """Fully connected layers with ReLU between them."""
    parts: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        parts += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def bare_epoch_seconds(x: Tensor) -> float:
    """One epoch of the plainest loop that trains the same VAE."""
    encoder, decoder = layers((*WIDTHS, 2 * LATENT)), layers((LATENT, *WIDTHS[::-1]))
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, 1e-3, fused=True)
    seconds = 0.0
    for _ in range(2):  # the first epoch warms up, as in `dimix_epoch_seconds`
        started = time.perf_counter()
        for index in torch.randperm(len(x)).split(BATCH):
            batch = x[index].float() / 255
            mean, log_var = encoder(batch).chunk(2, dim=1)
            z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
            loss = binary_cross_entropy_with_logits(decoder(z), batch, reduction="sum")
            kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum()
            optimizer.zero_grad()
            ((loss + kl) / len(batch)).backward()
            optimizer.step()
        seconds = time.perf_counter() - started
    return seconds


def dimix_epoch_seconds(x: Tensor) -> float:
    """The second epoch of `VAE.fit`, its bookkeeping included."""
    given = {"likelihood": "bernoulli", "precision": "32-true", "progress": False}
    model = VAE(LATENT, epochs=2, batch_size=BATCH, **given)
    return model.fit(x.unflatten(1, (28, 28)).numpy()).history_[-1]["seconds"]


def floor_seconds(n: int) -> float:
    """The network's multiplications, forward and twice backward, at the matrix-product rate."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    a @ b
    started = time.perf_counter()
    for _ in range(10):
        a @ b
    rate = 10 * 2 * 2048**3 / (time.perf_counter() - started)
    pairs = zip((*WIDTHS, 2 * LATENT), (*WIDTHS[1:], 2 * LATENT), strict=False)
    weights = sum(i * o for i, o in pairs) + sum(
        i * o for i, o in zip((LATENT, *WIDTHS[::-1]), WIDTHS[::-1], strict=False)
    )
    return 3 * 2 * weights * n / rate


def main() -> None:
    """Time the pairs, print and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks/training.json"))
    out = parser.parse_args().out
    torch.manual_seed(0)
    x = torch.randint(0, 256, (ROWS, WIDTHS[0]), dtype=torch.uint8)
    pairs = []
    for _ in range(PAIRS):
        bare, ours = bare_epoch_seconds(x), dimix_epoch_seconds(x)
        pairs.append((bare, ours))
        speeds = f"bare {ROWS / bare:7.0f} rows/s   dimix {ROWS / ours:7.0f} rows/s"
        print(f"{speeds}   {bare / ours:.3f}")
    ratio = statistics.median(bare / ours for bare, ours in pairs)
    of_floor = floor_seconds(ROWS) / statistics.median(bare for bare, _ in pairs)
    print(f"throughput over the bare loop, median of {PAIRS}: {ratio:.3f}")
    print(f"matrix-product floor over the bare loop's time: {of_floor:.2f}")
    record = {
        "throughput_over_bare_loop": round(ratio, 4),
        "floor_over_bare_loop": round(of_floor, 4),
        "rows_per_second": {
            "bare": [round(ROWS / bare) for bare, _ in pairs],
            "dimix": [round(ROWS / ours) for _, ours in pairs],
        },
        "batch_size": BATCH,
        "versions": versions(),
    }
    with atomic_write(out) as file:
        json.dump(record, file, indent=1)


if __name__ == "__main__":
    main()
