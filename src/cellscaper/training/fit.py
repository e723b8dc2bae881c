"""The common part of the training stages: resume state, provenance and weights around the trainer."""

import csv
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from cellscaper.disk.checked_csv import with_checks
from cellscaper.disk.files import write_text
from cellscaper.disk.hdf5 import Provenance
from cellscaper.disk.weights import write_weights
from cellscaper.plan.provenance import digest, record
from cellscaper.run import launch
from cellscaper.run.devices import device
from cellscaper.run.progress import log
from cellscaper.run.stage import Arguments
from cellscaper.training.contract import BatchLoss, Finish
from cellscaper.training.settings import Training
from cellscaper.training.state import Run
from cellscaper.training.trainer import clear_state, train


class Hook(Protocol):
    """A function of a run and the record of its training."""

    def __call__(self, run: Run, *, provenance: Provenance) -> None: ...


def fit(
    stage: str,
    args: Arguments,
    model: nn.Module,
    loss: BatchLoss,
    training: Training,
    section: Any,
    methods: Sequence[str] = (),
    on_step: Callable[[int, nn.Module], None] | None = None,
    finish: Finish | None = None,
    start: Hook | None = None,
    until: int | None = None,
    on_end: Hook | None = None,
    **facts: Any,
) -> None:
    """Train ``model`` and write ``args.model`` (weights with ``section`` and ``facts``) and ``args.losses`` (CSV).

    ``section`` is the JSON that a reader needs to build and use the model again; it is kept unchanged in the weights.
    With ``training.snapshot_every`` intermediate weights are saved in ``snapshots/`` in the folder of the model.
    The state of an unfinished training and its losses so far are in ``state/`` in the same folder. Snakemake does not
    know this folder, so that a killed job resumes. ``tensorboard/`` has the same losses. The state is valid only for
    the same section, seed, inputs and code of the training, including the code of the chosen ``methods`` (see
    :func:`cellscaper.plan.provenance.record`). ``on_step`` as in :func:`cellscaper.training.trainer.train`;
    ``finish`` turns the trained state dict into the weights to write and more facts. If there are several processes
    (torchrun), rank 0 writes.

    ``start``, ``until`` and ``on_end`` as there; the two functions also get the record of the training. With ``until``
    nothing else is written than what ``on_end`` writes.
    """
    provenance = record(stage, section, args.seed, args.inputs, methods)
    state = Path(args.model).parent / "state"
    bound = [*(provenance[key] for key in ("config", "inputs", "seed", "code")), until]
    what = str(Path(args.model).parent)  # several trainings may print to the same terminal
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    if launch.rank() == 0:
        several = f" each of {launch.count()} processes" if launch.count() > 1 else ""
        log(f"{what}: {millions:.2f} M parameters on {device(args.gpus).type}, {args.threads} threads{several}")

    def snapshot(step: int, weights: dict[str, Tensor]) -> None:
        path = Path(args.model).parent / "snapshots" / f"step{step:07d}.safetensors"
        write_weights(path, weights, provenance, section=section, step=step, **facts)

    weights = train(
        model,
        loss,
        training,
        state=state,
        fingerprint=digest(bound),
        seed=args.seed,
        log_path=state / "losses.csv",
        tensorboard=state.parent / "tensorboard",
        device=device(args.gpus),
        what=what,
        on_snapshot=snapshot,
        on_step=on_step,
        start=None if start is None else partial(start, provenance=provenance),
        until=until,
        on_end=None if on_end is None else partial(on_end, provenance=provenance),
    )
    if launch.rank() > 0:
        return
    if finish is not None:
        weights, found = finish(weights)
        facts |= found
    if until is None:
        write_weights(args.model, weights, provenance, section=section, **facts)
        header, *rows = csv.reader((state / "losses.csv").read_text(encoding="utf-8").splitlines())
        write_text(args.losses, with_checks(header, rows))
    (state / "losses.csv").unlink(missing_ok=True)
    clear_state(state)
