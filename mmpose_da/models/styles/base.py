from __future__ import annotations

import torch
from torch import Tensor, nn

from ..layers.numerics import promote


class Style(nn.Module):
    """Renders the content of images in the style of others.

    A subclass implements :meth:`transfer`. Nothing is trained: there is no gradient.
    """

    def load(self) -> None:
        """Load weights from files, once; by default, there are none.

        All processes of a distributed run call this at the same time.
        """

    @torch.no_grad()
    def forward(self, content: Tensor, style: Tensor, strength: Tensor) -> Tensor:
        """Give each content image the style of the same index in the batch.

        Args:
            content (Tensor): Images (B, 3, H, W), RGB in [0, 1].
            style (Tensor): Images of the same shape for the style.
            strength (Tensor): (B,) in [0, 1]; 0 leaves an image exactly as it is.

        Returns:
            Tensor: Images (B, 3, H, W), RGB in [0, 1].
        """
        if content.dim() != 4 or content.shape[1] != 3 or style.shape != content.shape:
            raise ValueError(
                "content and style must have the same shape (B, 3, H, W), got "
                f"{tuple(content.shape)} and {tuple(style.shape)}"
            )
        if strength.shape != content.shape[:1]:
            raise ValueError(
                f"strength must be of shape ({len(content)},), one per image, got "
                f"{tuple(strength.shape)}"
            )
        if len(content) == 0:
            return content
        precise, strength = promote(content), strength.view(-1, 1, 1, 1)
        styled = self.transfer(precise, style.to(precise), strength.to(precise))
        styled = styled.clamp(0, 1).to(content.dtype)
        return torch.where(strength == 0, content, styled)

    def transfer(self, content: Tensor, style: Tensor, strength: Tensor) -> Tensor:
        """Like :meth:`forward`, for B > 0 and a strength of shape (B, 1, 1, 1).

        The result may exceed [0, 1].
        """
        raise NotImplementedError
