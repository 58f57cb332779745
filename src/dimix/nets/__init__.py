"""Encoders and decoders. A network returns a distribution, never a tuple of tensors.

Every network takes and gives flat rows, [B, P] with P = the number of entries of one sample,
so that models need not know whether a sample is an image or a row of a table; the
convolutional pair folds and unfolds by itself.

    encoder  x [B, P] -> Normal over z [B, D]
    decoder  z [B, D] -> Bernoulli or Normal over x [B, P]

Each is a body, made by `Networks` ("mlp", "conv" or one's own), and a head that is ours.
"""

from dimix.nets.bodies import (
    MLP,
    Architecture,
    Body,
    Convolutions,
    Likelihood,
    Networks,
    decoder_body,
    encoder_body,
    mlp,
    networks,
    suited,
)
from dimix.nets.heads import (
    Decoder,
    Encoder,
    NormalHead,
    Units,
    diagonal_normal,
    set_units,
    units_for,
)

__all__ = [
    "MLP",
    "Architecture",
    "Body",
    "Convolutions",
    "Decoder",
    "Encoder",
    "Likelihood",
    "Networks",
    "NormalHead",
    "Units",
    "decoder_body",
    "diagonal_normal",
    "encoder_body",
    "mlp",
    "networks",
    "set_units",
    "suited",
    "units_for",
]
