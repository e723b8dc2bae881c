"""The common form of both feature networks: an encoder, the rest of the network, and pooled features."""

from torch import Tensor, nn

MOMENTUM = 0.05  # weight of a batch in the features' running mean and variance: about the last 20 batches count


class FeatureNetwork(nn.Module):
    """Layout maps (B, C, H, W) → logits of the same shape; :meth:`encode` gives their features.

    ``encoder`` and ``decoder`` are applied one after the other, the result is cut to (H, W). ``pool`` turns the
    encoder's maps into (B, ``features``) values. With ``standardise``, training keeps their running mean and variance,
    so that the features are in units of their standard deviation over training crops, at any scale of the encoder.
    Without, they are raw, as in both papers' evaluations.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, pool: nn.Module, features: int, standardise: bool):
        super().__init__()
        self.encoder, self.decoder, self.pool, self.features = encoder, decoder, pool, features
        self.standardise = nn.BatchNorm1d(features, affine=False, momentum=MOMENTUM) if standardise else None

    def forward(self, maps: Tensor) -> Tensor:
        hidden = self.encoder(maps)
        if self.training and self.standardise is not None:
            self.standardise(self.pool(hidden.detach()).float())
        return self.decoder(hidden)[..., : maps.shape[-2], : maps.shape[-1]]

    def encode(self, maps: Tensor) -> Tensor:
        """Features (B, features) of layout maps (B, C, H, W)."""
        found = self.pool(self.encoder(maps)).float()
        return found if self.standardise is None else self.standardise(found)


def convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Convolution without bias, padded to keep (or, with a stride, divide and round up) the side; then batch norm.

    Batch norm is used because a norm over each sample would remove the number of its cells.
    """
    padding = dilation * (kernel // 2)
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


def global_average() -> nn.Sequential:
    """Maps (B, F, h, w) → their means (B, F)."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
