"""What the training stages share: resume state, provenance and weights around the trainer."""

import os
from pathlib import Path
from typing import Any

from torch import nn

from cellscaper.devices import device
from cellscaper.diffusion.trainer import BatchLoss, clear_state, train
from cellscaper.progress import log
from cellscaper.provenance import code, digest, record
from cellscaper.stage import Arguments
from cellscaper.storage import atomic, write_weights


def fit(stage: str, args: Arguments, model: nn.Module, loss: BatchLoss, section: dict[str, Any], **facts: Any) -> None:
    """Train ``model`` and write ``args.model`` (weights with ``section`` and ``facts``) and ``args.losses`` (CSV).

    The state of an unfinished training and its losses so far lie in ``state/`` beside the model, which Snakemake does
    not know, so that a killed job resumes. The state is bound to the config, seed, inputs and code of the training.
    """
    provenance = record(stage, section, args.seed, args.inputs)
    state = Path(args.model).parent / "state"
    bound = [provenance["config"], provenance["inputs"], args.seed, code(f"cellscaper.stages.{stage}")]
    what = str(Path(args.model).parent)  # several trainings may talk into one terminal
    log(f"{what}: {sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters on {device()}, {args.threads} threads")
    weights = train(
        model,
        loss,
        {key: value for key, value in section["training"].items() if key != "batch"},
        state=state,
        fingerprint=digest(bound),
        seed=args.seed,
        log_path=state / "losses.csv",
        device=device(),
        what=what,
    )
    with atomic(args.losses) as partial:
        os.replace(state / "losses.csv", partial)
    write_weights(args.model, weights, provenance, section=section, **facts)
    clear_state(state)
