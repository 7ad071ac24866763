import torch
import torch.nn.functional as F
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..layers.numerics import empty_sum, promote


@MODELS.register_module()
class AdversarialLoss(nn.Module):
    """Loss of a discriminator that tells source (label 1) from target (label 0).

    Behind a gradient reversal layer, the same loss trains the features to confuse it.
    With p = sigmoid(logit) and p_y the probability of the true domain::

        bce            -log p_y
        least_squares  (1 - p_y)^2
        focal          -(1 - p_y)^gamma * log p_y

    Each side is averaged over its logits, and the loss is the mean of both sides,
    computed from the logits without overflow. ``bce`` is that of Ganin et al.,
    "Domain-Adversarial Training of Neural Networks", JMLR 2016; the others are those
    of Saito et al., "Strong-Weak Distribution Alignment for Adaptive Object
    Detection", CVPR 2019: least squares for its strong local alignment and focal for
    its weak global alignment. They serve as comparisons in Xu et al., "Alleviating
    Human-level Shift: A Robust Domain Adaptation Method for Multi-person Pose
    Estimation", ACM MM 2020, section 4.4, which does not specify their settings.

    The loss is exactly 0, with a graph, if a side is empty. In distributed runs with
    the same number of samples on each rank, the average over ranks is the loss of the
    joint batch.

    Args:
        mode (str): 'bce', 'least_squares', or 'focal'. Defaults to 'bce'.
        gamma (float): Exponent of the focal loss; unused in other modes. Defaults to
            3.0.
    """

    def __init__(self, mode: str = "bce", gamma: float = 3.0) -> None:
        super().__init__()
        if mode not in ("bce", "least_squares", "focal"):
            raise ValueError(
                f"mode must be 'bce', 'least_squares' or 'focal', got {mode!r}"
            )
        if gamma < 0:
            raise ValueError(f"gamma must not be negative, got {gamma}")
        self.mode = mode
        self.gamma = gamma

    def forward(self, source_logits: Tensor, target_logits: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            source_logits (Tensor): Logits of source samples or positions, any shape.
            target_logits (Tensor): Logits of target samples or positions, any shape.

        Returns:
            Tensor: The loss, a scalar.
        """
        if source_logits.numel() == 0 or target_logits.numel() == 0:
            return empty_sum(source_logits, target_logits)
        # In terms of the logit of the true domain, both sides have the same loss.
        return 0.5 * (self._side(source_logits) + self._side(-target_logits))

    def _side(self, logits: Tensor) -> Tensor:
        logits = promote(logits)
        if self.mode == "least_squares":
            return torch.sigmoid(-logits).square().mean()
        nll = -F.logsigmoid(logits)
        if self.mode == "focal":
            nll = torch.exp(self.gamma * F.logsigmoid(-logits)) * nll
        return nll.mean()
