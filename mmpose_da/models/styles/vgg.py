from __future__ import annotations

from collections.abc import Mapping

import torch
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

#: VGG-19 up to conv4_1: output channels of 3 x 3 convolutions; None halves the size.
CHANNELS = (64, 64, None, 128, 128, None, 256, 256, 256, 256, None, 512)
#: Height and width of an image must be multiples of this.
STRIDE = 8


def conv3x3(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Create a convolution without a border of zeros, as in Huang and Belongie."""
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, padding_mode="reflect")
    # With PyTorch's default initialization, contrast fades over so many layers.
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv


class VGGEncoder(nn.Module):
    """VGG-19 up to relu4_1, with reflection padding.

    Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
    Recognition", ICLR 2015, as the encoder of Huang and Belongie, ICCV 2017, Sec. 6.1.
    The weights have the names of ``torchvision.models.vgg19``. They are fixed and
    receive no gradient.
    """

    #: Indices of relu1_1, relu2_1, relu3_1, and relu4_1 among the layers.
    TAPS = (1, 6, 11, 20)

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in CHANNELS:
            if width is None:
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [conv3x3(channels, width), nn.ReLU(inplace=True)]
                channels = width
        self.features = nn.Sequential(*layers)
        for name, value in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            buffer = torch.tensor(value)[:, None, None]
            self.register_buffer(name, buffer, persistent=False)
        self.requires_grad_(False)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Extract features of images.

        Args:
            pixels (Tensor): (B, 3, H, W), RGB in [0, 1].

        Returns:
            list[Tensor]: Outputs of relu1_1, relu2_1, relu3_1, and relu4_1, of shapes
            (B, 64, H, W), (B, 128, H/2, W/2), (B, 256, H/4, W/4), (B, 512, H/8, W/8).
        """
        size = tuple(pixels.shape[2:])
        if any(side % STRIDE or side < 2 * STRIDE for side in size):
            raise ValueError(
                f"height and width must be multiples of {STRIDE} and at least "
                f"{2 * STRIDE}, got {size}"
            )
        x, outputs = (pixels - self.mean) / self.std, []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.TAPS:
                outputs.append(x)
        return outputs


class VGGDecoder(nn.Sequential):
    """The mirrored encoder: from its last features (B, 512, H/8, W/8) to (B, 3, H, W).

    Nearest-neighbor upsampling replaces pooling (Huang and Belongie, ICCV 2017, Sec.
    6.1). The output is RGB with a nominal range of [0, 1], not clamped.
    """

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        inputs = [3, *(width for width in CHANNELS if width)]
        for width in reversed(CHANNELS):
            if width is None:
                layers.append(nn.Upsample(scale_factor=2))
            else:
                layers += [conv3x3(inputs.pop(), inputs[-1]), nn.ReLU(inplace=True)]
        super().__init__(*layers[:-1])  # a convolution comes last


def load_state(checkpoint: str) -> Mapping[str, Tensor]:
    """Load the state dict of a checkpoint from any location MMEngine supports."""
    content = CheckpointLoader.load_checkpoint(checkpoint, map_location="cpu")
    return content.get("state_dict", content)


def part_of(
    state: Mapping[str, Tensor], name: str, module: nn.Module
) -> dict[str, Tensor] | None:
    """Extract the weights of a module from a state dict that may contain others.

    Args:
        state (Mapping[str, Tensor]): State dict of a model that has the module under
            ``name``, or of the module itself.
        name (str): ``'encoder'`` or ``'decoder'``.
        module (nn.Module): The module.

    Returns:
        dict[str, Tensor] | None: Weights for the module, or None if any are missing.
    """
    for prefix in (f"{name}.", ""):
        if all(prefix + key in state for key in module.state_dict()):
            return {key: state[prefix + key] for key in module.state_dict()}
    return None


def load_encoder(checkpoint: str | None) -> VGGEncoder:
    """Load the encoder from a checkpoint; with None, its weights are random."""
    encoder = VGGEncoder()
    if checkpoint is not None:
        weights = part_of(load_state(checkpoint), "encoder", encoder)
        if weights is None:
            raise ValueError(
                f"the checkpoint '{checkpoint}' has no weights of VGG-19 up to conv4_1 "
                "under torchvision's names ('features.0.weight', ...)"
            )
        encoder.load_state_dict(weights)
    return encoder
