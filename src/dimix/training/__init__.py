"""Training through Lightning: the plan, the data module, callbacks, one call that fits."""

from dimix.training.batches import CHUNK, as_float
from dimix.training.callbacks import (
    DivergedError,
    RefitMixture,
    Scorer,
    as_numbers,
    with_scores,
)
from dimix.training.evaluation import average_terms, device_of, in_chunks
from dimix.training.fit import LAST, Training, train
from dimix.training.precision import Fixed, Precision, resolve_precision
from dimix.training.progress import waiting
from dimix.training.ranks import Device, Ranks, check_device
from dimix.training.seeds import EVALUATION, MIXTURE, VIEWS, epoch_seed, own_random_numbers

__all__ = [
    "CHUNK",
    "EVALUATION",
    "LAST",
    "MIXTURE",
    "VIEWS",
    "Device",
    "DivergedError",
    "Fixed",
    "Precision",
    "Ranks",
    "RefitMixture",
    "Scorer",
    "Training",
    "as_float",
    "as_numbers",
    "average_terms",
    "check_device",
    "device_of",
    "epoch_seed",
    "in_chunks",
    "own_random_numbers",
    "resolve_precision",
    "train",
    "waiting",
    "with_scores",
]
