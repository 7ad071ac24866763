import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..layers.numerics import empty_sum, full_precision, promote, unit_vectors


@MODELS.register_module()
class ISALoss(nn.Module):
    """Intra-domain structure adaptation: labeled target guides unlabeled target.

    Section 3.3 of Xu et al., "Alleviating Human-level Shift: A Robust Domain
    Adaptation Method for Multi-person Pose Estimation", ACM MM 2020. For a labeled
    and an unlabeled image of the target domain, joint by joint::

        L_ISA = 1 / K * sum_k (1 - cos(h_k^labeled, h_k^unlabeled))

    averaged over pairs. Pair i consists of labeled image i and unlabeled image i; the
    shorter side is cycled. The paper's h_k is the flattened heatmap of joint k, which
    also pulls the joints' positions in the image together. With keypoint features of
    shape (B, K, C), the same loss compares appearance instead.

    A zero vector has cosine 0 with any other. The loss is exactly 0, with a graph, if a
    side is empty. The paper does not specify how images are paired, and whether the
    labeled side receives a gradient.

    In distributed runs, each rank pairs its own images. The average over ranks is the
    loss of the joint batch if every rank has as many images of one side as of the
    other.

    Args:
        detach_labeled (bool): Whether the labeled side is constant, so that only the
            unlabeled side is trained. Defaults to True.
    """

    def __init__(self, detach_labeled: bool = True) -> None:
        super().__init__()
        self.detach_labeled = detach_labeled

    def forward(self, labeled: Tensor, unlabeled: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            labeled (Tensor): Heatmaps or features of labeled target images, shape
                (l, K, ...).
            unlabeled (Tensor): The same for unlabeled target images, shape
                (u, K, ...).

        Returns:
            Tensor: The loss, a scalar in [0, 2].
        """
        if labeled.dim() < 3 or labeled.shape[1:] != unlabeled.shape[1:]:
            raise ValueError(
                "labeled and unlabeled must be of shapes (l, K, ...) and (u, K, ...) "
                "that differ only in the first dimension, got "
                f"{tuple(labeled.shape)} and {tuple(unlabeled.shape)}"
            )
        if labeled.numel() == 0 or unlabeled.numel() == 0:
            return empty_sum(labeled, unlabeled)
        if self.detach_labeled:
            labeled = labeled.detach()
        with full_precision(labeled):
            labeled = unit_vectors(promote(labeled).flatten(2))
            unlabeled = unit_vectors(promote(unlabeled).flatten(2))
            pair = torch.arange(
                max(len(labeled), len(unlabeled)), device=labeled.device
            )
            first, second = pair % len(labeled), pair % len(unlabeled)
            cosine = (labeled[first] * unlabeled[second]).sum(-1)
            return (1 - cosine).mean()
