"""Settings of the point denoiser: its network and how it is sampled."""

from pydantic import Field

from cellscaper.run.settings import Count, Positive, Precision, Settings


class PointNetwork(Settings):
    """The transformer that moves cells (`network.PointDenoiser`)."""

    width: Count = Field(128, description="features of a cell")
    layers: Count = Field(4, description="blocks of attention")
    heads: Count = Field(4, description="attention heads")
    neighbours: Count = Field(8, description="nearest cells whose offsets a cell sees")
    edge_width: Count = Field(48, description="features of a pair of cells")
    expansion: Count = Field(3, description="width of a block's inner layer, in multiples of the block's width")


class LevelSampling(Settings):
    """Falling noise levels, one call of the network each (two with ``heun``)."""

    steps: Count = Field(12, description="noise levels")
    sigma_max: Positive = Field(800.0, description="px, the first noise level")
    sigma_min: Positive = Field(1.0, description="px, the last noise level")
    rho: Positive = Field(
        1000.0, description="spacing of the levels (Karras et al. 2022, Eq. 5); at 1000 they are even in the logarithm"
    )
    heun: bool = Field(False, description="a second call of the network in each step (EDM, Algorithm 2)")
    churn: float = Field(
        0.0, ge=0, le=0.4142, description="fresh noise before a step, as a fraction of its noise level"
    )
    churn_above: float = Field(10.0, ge=0, description="px, the noise level down to which fresh noise is added")
    precision: Precision = Field("bf16", description="precision of the network's products; bf16 is faster")
    batch: Count = Field(32, description="layouts at once")
