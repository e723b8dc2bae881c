"""Settings of diffusion models: network, noise process, condition, DDIM sampling."""

from typing import Annotated, Literal

from pydantic import Field

from cellscaper.run.settings import Count, Fraction, Positive, Precision, Settings

Prediction = Literal["noise", "v", "data"]


class Network(Settings):
    """ADM's U-Net (Dhariwal and Nichol 2021; TC supplement, SD section 3)."""

    channels: Count = Field(256, description="channels of the first level")
    blocks: Count = Field(2, description="residual blocks a level")
    multipliers: tuple[Count, ...] = Field(
        (1, 1, 2, 2, 4, 4), min_length=1, description="factors of the channels, one for each level"
    )
    attention: tuple[Count, ...] = Field((32, 16, 8), description="sides of the feature maps with attention, pixels")
    head_channels: Count = Field(64, description="channels of an attention head; not used if heads is a number")
    heads: Count | None = Field(None, description="number of attention heads; null: head_channels decides")
    dropout: Fraction = Field(0.0, description="fraction of the features that a step leaves out")
    scale_shift: bool = Field(True, description="scale-shift group norm from the embedding")
    resample_in_blocks: bool = Field(True, description="residual up- and down-sampling")
    checkpoint: bool = Field(False, description="recompute activations: less memory, more time")
    fold: Count = Field(1, description="fold×fold pixels become channels: about fold² times less work (papers: 1)")


class Diffusion(Settings):
    """The noise process and the quantity that the network predicts."""

    schedule: Literal["linear", "cosine"] = Field("cosine", description="linear (SD) or cosine (TC)")
    steps: Count = Field(1000, description="noise levels of the training")
    prediction: Prediction = Field("noise", description="predicted quantity: noise (both papers), v or data")
    learn_variance: bool = Field(True, description="hybrid objective with a learned variance")
    p2_gamma: float = Field(
        0.0, description="P2 weight of the noise loss 1/(p2_k + SNR)^p2_gamma; SD: 1; values below 0 favour detail"
    )
    p2_k: Positive = Field(1.0, description="see p2_gamma")


class LayoutDiffusion(Diffusion):
    """The noise process of maps with layout channels and, in some methods, density channels."""

    density_prediction: Literal["noise", "v", "data", None] = Field(
        None, description="predicted quantity of the density channels; null: as for the layout (papers)"
    )
    density_weight: float = Field(
        1.0, ge=0, description="factor of the density channels' errors in the noise loss (papers: 1)"
    )


class Unconditional(Settings):
    """Layouts without a condition."""

    kind: Literal["none"] = "none"


class CategoryCondition(Settings):
    """Layouts conditioned on a category of the total count (SD)."""

    kind: Literal["count_category"]
    categories: int = Field(5, ge=2, description="number of count categories")
    edges: Literal["quantiles"] | tuple[float, ...] = Field(
        "quantiles",
        description="limits of the categories: quantiles of the training crops, or numbers",
        json_schema_extra={"expected": "quantiles or a list of numbers"},
    )


class CountsCondition(Settings):
    """Layouts conditioned on the counts of each class (TC)."""

    kind: Literal["class_counts"]
    scale: Positive = Field(50.0, description="divisor of the counts")
    drop: Fraction = Field(
        0.0, description="fraction of the training crops whose counts are withheld, for guidance (ours; papers: 0)"
    )


Condition = Annotated[Unconditional | CategoryCondition | CountsCondition, Field(discriminator="kind")]


class Ddim(Settings):
    """Sampling by DDIM."""

    steps: Count = Field(100, description="DDIM steps")
    eta: float = Field(0.0, ge=0, description="0 is deterministic DDIM, 1 is DDPM")
    batch: Count = Field(16, description="samples at once; in fp32 no result depends on it")


class MapSampling(Ddim):
    """Sampling of layout maps."""

    precision: Precision = Field("fp32", description="precision of the network; bf16 is faster, cells differ a little")
    guidance: float = Field(
        0.0, ge=0, description="classifier-free guidance on the counts, for twice the time; needs condition.drop (ours)"
    )
