from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

#: VGG-19 up to conv4_1: output channels of 3 x 3 convolutions; None halves the size.
CHANNELS = (64, 64, None, 128, 128, None, 256, 256, 256, 256, None, 512)
Channels = Sequence[int | None]


def check_channels(channels: Channels) -> Channels:
    """Return a layout like :data:`CHANNELS` if it is valid.

    Raises:
        ValueError: If it does not begin and end with a convolution, or halves the size
            twice in a row.
    """
    layers = list(channels)
    numbers = [layer for layer in layers if layer is not None]
    pairs = zip(layers, layers[1:], strict=False)
    if (
        not layers
        or layers[0] is None
        or layers[-1] is None
        or any(a is None and b is None for a, b in pairs)
        or not all(isinstance(number, int) and number > 0 for number in numbers)
    ):
        raise ValueError(
            "channels must be the output channels of convolutions, with None between "
            f"them where the size is halved, such as (16, 16, None, 32), not {channels}"
        )
    return channels


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

    Args:
        channels (Sequence[int | None]): The layout. Another one makes a network of the
            same form, which :class:`ImageAutoencoder` can train. Defaults to
            :data:`CHANNELS`.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: Channels = CHANNELS) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        #: Indices of the first activation at each size; relu1_1 to relu4_1 for VGG-19.
        self.taps: list[int] = []
        inputs, is_first = 3, True
        for width in check_channels(channels):
            if width is None:
                layers.append(nn.MaxPool2d(2))
                is_first = True
                continue
            layers += [conv3x3(inputs, width), nn.ReLU(inplace=True)]
            if is_first:
                self.taps.append(len(layers) - 1)
            inputs, is_first = width, False
        #: Height and width of an image must be multiples of this.
        self.stride = 2 ** (len(self.taps) - 1)
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
            list[Tensor]: Outputs of the first activation at each size; of VGG-19
            relu1_1, relu2_1, relu3_1, and relu4_1, of shapes (B, 64, H, W),
            (B, 128, H/2, W/2), (B, 256, H/4, W/4), (B, 512, H/8, W/8).
        """
        size, stride = tuple(pixels.shape[2:]), self.stride
        if any(side % stride or side < 2 * stride for side in size):
            raise ValueError(
                f"height and width must be multiples of {stride} and at least "
                f"{2 * stride}, got {size}"
            )
        x, outputs = (pixels - self.mean) / self.std, []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.taps:
                outputs.append(x)
        return outputs


class VGGDecoder(nn.Sequential):
    """The mirrored encoder: from its last features (B, 512, H/8, W/8) to (B, 3, H, W).

    Nearest-neighbor upsampling replaces pooling (Huang and Belongie, ICCV 2017, Sec.
    6.1). The output is RGB with a nominal range of [0, 1], not clamped.

    Args:
        channels (Sequence[int | None]): The layout of the encoder. Defaults to
            :data:`CHANNELS`.
    """

    def __init__(self, channels: Channels = CHANNELS) -> None:
        layers: list[nn.Module] = []
        inputs = [3, *(width for width in check_channels(channels) if width)]
        for width in reversed(channels):
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


def load_encoder(checkpoint: str | None, channels: Channels = CHANNELS) -> VGGEncoder:
    """Load the encoder from a checkpoint; with None, its weights are random."""
    encoder = VGGEncoder(channels)
    if checkpoint is not None:
        weights = part_of(load_state(checkpoint), "encoder", encoder)
        if weights is None:
            raise ValueError(
                f"the checkpoint '{checkpoint}' has no weights of an encoder with "
                f"channels={tuple(channels)} under torchvision's names "
                "('features.0.weight', ...); with other channels than those of VGG-19, "
                "train one with ImageAutoencoder"
            )
        try:
            encoder.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(
                f"the encoder in '{checkpoint}' does not have "
                f"channels={tuple(channels)}: {error}"
            ) from error
    return encoder
