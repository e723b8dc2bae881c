"""Settings of a training: optimizer, averaging, precision, saving."""

from typing import Annotated

from pydantic import Field

from cellscaper.run.settings import Count, Fraction, Positive, Precision, Settings


class Training(Settings):
    """The block ``training`` of layout models, painters, detectors and feature networks."""

    steps: Count = Field(description="optimizer steps")
    batch: Count = Field(1, description="samples in each step")
    lr: Positive = Field(description="learning rate of AdamW, after the warm-up")
    weight_decay: float = Field(0.0, ge=0, description="weight decay of AdamW")
    ema: float = Field(0.0, ge=0, lt=1, description="decay of the averaged weights, 0 for none")
    precision: Precision = Field("fp32", description="fp32, or bf16: the forward pass in bf16 autocast")
    compile: bool = Field(
        False,
        description="torch.compile of the network, for batches of one shape (maps and images): faster on a GPU, needs "
        "a C compiler, takes minutes at the start",
    )
    grad_clip: Annotated[float, Field(gt=0)] | None = Field(None, description="largest gradient norm, null for none")
    save_every: Positive = Field(600.0, description="seconds between saved states")
    log_every: Count = Field(100, description="steps between rows of losses.csv")
    warmup: int = Field(0, ge=0, description="steps with a rising learning rate")
    cooldown: Fraction = Field(0.0, description="last fraction of the steps, in which the learning rate falls to 0")
    snapshot_every: Annotated[int, Field(ge=1)] | None = Field(
        None, description="steps between kept weights, null for none"
    )
