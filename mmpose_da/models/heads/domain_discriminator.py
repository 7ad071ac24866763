from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn


def _check_maps(features: Tensor) -> None:
    if features.dim() != 4:
        raise ValueError(
            f"features must be of shape (B, C, h, w), got {tuple(features.shape)}"
        )


@MODELS.register_module()
class GlobalDomainDiscriminator(BaseModule):
    """Classifies the domain of an image from its pooled features, with one logit.

    Three layers on the global average pool, as in Ganin et al., "Domain-Adversarial
    Training of Neural Networks", JMLR 2016. Positive logits mean source. The caller
    applies gradient reversal (:func:`gradient_reversal`).

    Args:
        in_channels (int): Channels of the feature map.
        hidden_channels (int): Channels of both hidden layers. Defaults to 256.
        dropout (float): Dropout after each hidden layer. Defaults to 0.0.
        init_cfg (dict, optional): Initialization; see MMEngine's ``BaseModule``.
            Defaults to None.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int = 256,
        dropout: float = 0.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.layers = nn.Sequential(
            nn.Linear(in_channels, hidden_channels),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_channels, hidden_channels),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_channels, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Classify images.

        Args:
            features (Tensor): Shape (B, C, h, w).

        Returns:
            Tensor: Logits, shape (B, 1).
        """
        _check_maps(features)
        return self.layers(features.mean(dim=(2, 3)))


@MODELS.register_module()
class LocalDomainDiscriminator(BaseModule):
    """Classifies the domain of each position of a feature map separately.

    Three 1x1 convolutions, as in the strong local alignment of Saito et al.,
    "Strong-Weak Distribution Alignment for Adaptive Object Detection", CVPR 2019.
    Positive logits mean source. The caller applies gradient reversal
    (:func:`gradient_reversal`).

    Args:
        in_channels (int): Channels of the feature map.
        hidden_channels (int): Channels of both hidden layers. Defaults to 256.
        init_cfg (dict, optional): Initialization; see MMEngine's ``BaseModule``.
            Defaults to None.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int = 256,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, hidden_channels, 1),
            nn.ReLU(),
            nn.Conv2d(hidden_channels, hidden_channels, 1),
            nn.ReLU(),
            nn.Conv2d(hidden_channels, 1, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Classify positions.

        Args:
            features (Tensor): Shape (B, C, h, w).

        Returns:
            Tensor: Logits, shape (B, 1, h, w).
        """
        _check_maps(features)
        return self.layers(features)
