"""Views: random copies of an image that show the same object."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample


@dataclass(frozen=True)
class RandomAffine:
    """Rotation, shear, scale and shift, each drawn evenly for every image.

    rotation in radians, scale as a share of the size, shear as a slope, shift as a share of
    half the width: each is the largest value to either side. What comes in from outside
    continues the image's border.
    """

    rotation: float = 0.2
    scale: float = 0.15
    shear: float = 0.2
    shift: float = 0.1

    def __call__(self, images: Float[Tensor, "B H W *C"]) -> Float[Tensor, "B H W *C"]:
        """A copy of each image, moved."""
        channels_first = (images[..., None] if images.ndim == 3 else images).movedim(-1, 1)
        grid = affine_grid(self._maps(images), list(channels_first.shape), align_corners=False)
        moved = grid_sample(channels_first, grid, padding_mode="border", align_corners=False)
        return moved.movedim(1, -1).reshape(images.shape)

    def _maps(self, images: Float[Tensor, "B H W *C"]) -> Float[Tensor, "B 2 3"]:
        """One affine map an image, from the new image's coordinates in [-1, 1] to the old's."""
        angle, size, slope, right, down = torch.empty(
            5, len(images), dtype=images.dtype, device=images.device
        ).uniform_(-1, 1)
        angle, size, slope = self.rotation * angle, 1 + self.scale * size, self.shear * slope
        cos, sin = angle.cos() * size, angle.sin() * size
        rows = (
            torch.stack([cos, cos * slope - sin, self.shift * right], dim=1),
            torch.stack([sin, sin * slope + cos, self.shift * down], dim=1),
        )
        return torch.stack(rows, dim=1)
