"""A training that goes on from a shared beginning ends as if it had made all its steps itself."""

import csv
import math

import pytest
import torch
from torch import nn

from cellscaper.disk.weights import read_weights, write_weights
from cellscaper.errors import CellscaperError
from cellscaper.run.begins import Begins, acts_from, plain_beginning
from cellscaper.run.transfer import SWITCH
from cellscaper.training.beginning import Origin, load_beginning, write_beginning
from cellscaper.training.settings import Training
from cellscaper.training.trainer import train

STEPS, AFTER = 14, 0.4167
SHARED = acts_from(AFTER, STEPS)  # 6: inside an interval of the log
BEGINS = Begins("plain", "losses", "after")
EACH_STEP = 1e-9  # seconds between saved states
SETTINGS = Training(steps=STEPS, lr=0.01, weight_decay=0.1, ema=0.9, warmup=3, cooldown=0.4, grad_clip=0.1, log_every=4)


def recipe(**training):
    """The recipe of a training whose losses act late."""
    settings = {"width": 8, "losses": {"after": AFTER, "weight": 3.0}}
    return {"method": "late", "settings": settings, "training": {**SETTINGS.model_dump(), **training}}


def origin(recipe=recipe(), seed=1, cells="a", begins=BEGINS):  # noqa: B008
    """The origin of a training's beginning; with ``begins=None`` the training is that of the plain generator."""
    return Origin.of(recipe, begins, {"seed": seed, "inputs": {"cells": {"sha256": cells}}})


PLAIN = origin(plain_beginning(recipe(), BEGINS)[0], begins=None)


def make_model(width=8):
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, width, 3), nn.BatchNorm2d(width), nn.Dropout(0.5), nn.SiLU(), nn.Conv2d(width, 1, 1)]
    model = nn.Sequential(*layers)
    model[0].bias.requires_grad_(False)
    return model


def plain(model, generator, step, found=None):
    x = torch.randn(4, 2, 6, 6, generator=generator)
    out = model(x).float()
    error = (out - x[:, :1, 1:-1, 1:-1]).square().mean()
    if found is not None:
        found.append(out)
    return {"loss": error + 0.1 * error.sqrt(), "error": error}


def late(model, generator, step):
    """The plain loss, and one that acts late; ``shown`` is told from the first step on."""
    found = []
    losses = plain(model, generator, step, found)
    extra = 3.0 * found[0].abs().mean() if step >= AFTER * STEPS else torch.zeros(())
    return {"loss": losses["loss"] + extra, "extra": extra, "error": losses["error"], "shown": torch.tensor(7.0)}


def run(folder, loss, **named):
    named.setdefault("settings", SETTINGS)
    model, settings = named.pop("model", None) or make_model(), named.pop("settings")
    return train(model, loss, settings, folder, "f", 1, log_path=folder / "losses.csv", **named)


def make_beginning(folder, until=SHARED, made_for=PLAIN, **named):
    file = folder / "beginning.safetensors"
    run(
        folder,
        plain,
        until=until,
        on_end=lambda run: write_beginning(file, folder / "l.csv", run, made_for, {}, classes=["a"]),
        **named,
    )
    return file


def go_on(folder, file, loss=late, wanted=origin(), **named):  # noqa: B008
    return run(folder, loss, start=lambda run: load_beginning(file, run, wanted, "it"), **named)


class KilledError(Exception):
    pass


def kill_at(step):
    def hook(done, _):
        if done == step:
            raise KilledError

    return hook


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def table(folder):
    with open(folder / "losses.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_first_step_of_late_losses_is_that_of_the_comparison():
    for steps in (1, 7, 30, 350, 360_000):
        for after in (0.0, 0.1, 0.4167, 1 / 3, 0.5, 0.7, 1.0):
            assert acts_from(after, steps) == next((k for k in range(steps) if k >= after * steps), steps)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_shared_and_unshared_trainings_are_bit_for_bit_the_same(tmp_path, precision, ema):
    each = SETTINGS.model_copy(update={"precision": precision, "ema": ema})
    wholes = {loss: run(tmp_path / loss.__name__, loss, settings=each) for loss in (plain, late)}
    file = make_beginning(tmp_path / "s", settings=each)
    for loss, whole in wholes.items():
        wanted = origin() if loss is late else PLAIN
        model, other = make_model(), make_model()
        assert_same(go_on(tmp_path / f"{loss.__name__} on", file, loss, wanted, settings=each, model=model), whole)
        run(tmp_path / "again", loss, settings=each, model=other)
        assert_same(dict(model.named_parameters()), dict(other.named_parameters()))  # the last ones, too
    assert not torch.equal(wholes[plain]["0.weight"], wholes[late]["0.weight"])


@pytest.mark.parametrize("first", ["1", "0"])
def test_a_beginning_in_one_memory_format_goes_on_in_the_other(first, monkeypatch, tmp_path):
    """Made as on CUDA, channels last, and finished on a CPU, and the other way round."""

    def model():
        made = make_model()
        made[2] = nn.Identity()  # dropout takes its numbers in the order of the memory
        return made

    def look(step, made):
        formats.append(made[0].weight.is_contiguous(memory_format=torch.channels_last))

    whole, formats = run(tmp_path / "whole", late, model=model()), []
    monkeypatch.setenv(SWITCH, first)
    file = make_beginning(tmp_path / "s", model=model(), on_step=look)
    monkeypatch.setenv(SWITCH, "0" if first == "1" else "1")
    found = go_on(tmp_path / "on", file, model=model(), on_step=look)
    assert formats == [first == "1"] * SHARED + [first == "0"] * (STEPS - SHARED)
    for name, wanted in whole.items():
        torch.testing.assert_close(found[name], wanted, rtol=0, atol=1e-6)


def test_killed_in_the_beginning_and_in_the_rest_it_ends_the_same(tmp_path):
    each = SETTINGS.model_copy(update={"save_every": EACH_STEP})
    whole = run(tmp_path / "whole", late)
    for step in (2, 5):
        with pytest.raises(KilledError):
            make_beginning(tmp_path / "s", settings=each, on_step=kill_at(step))
    file = make_beginning(tmp_path / "s", settings=each)
    for step in (SHARED + 1, SHARED + 2, 12):
        with pytest.raises(KilledError):
            go_on(tmp_path / "on", file, settings=each, on_step=kill_at(step))
    file.unlink()  # the state alone is enough
    assert_same(go_on(tmp_path / "on", file, settings=each), whole)
    plainly = go_on(tmp_path / "undisturbed", make_beginning(tmp_path / "s2"))
    assert_same(plainly, whole)
    assert (tmp_path / "on/losses.csv").read_text() == (tmp_path / "undisturbed/losses.csv").read_text()


def test_a_beginning_that_is_the_whole_training_leaves_nothing_to_do(tmp_path):
    file = make_beginning(tmp_path / "s", until=STEPS)
    assert_same(go_on(tmp_path / "on", file, plain, PLAIN), run(tmp_path / "whole", plain))


def test_losses_are_whole_and_what_was_not_computed_is_empty(tmp_path):
    run(tmp_path / "whole", late, tensorboard=tmp_path / "e")
    go_on(tmp_path / "on", make_beginning(tmp_path / "s"), tensorboard=tmp_path / "e2")
    mine, theirs = table(tmp_path / "on"), table(tmp_path / "whole")
    assert [row["step"] for row in mine] == ["4", "8", "12", "14"]
    assert list(mine[0]) == list(theirs[0]) == ["step", "loss", "extra", "error", "shown", "grad_norm"]
    for name in ("step", "loss", "error", "grad_norm"):
        assert [row[name] for row in mine] == [row[name] for row in theirs]
    for name in ("extra", "shown"):
        assert [row[name] for row in mine] == ["", "", *(row[name] for row in theirs[2:])]
    written = (tmp_path / "s/l.csv").read_text().splitlines()
    assert len(written) == 2 and written[0] == "step,loss,error,grad_norm,check"
    assert written[1].startswith(",".join(mine[0][name] for name in ("step", "loss", "error", "grad_norm")))


def test_a_beginning_within_the_first_interval_has_a_header_alone(tmp_path):
    file = make_beginning(tmp_path / "s", until=3)
    assert (tmp_path / "s/l.csv").read_text() == "step,loss,error,grad_norm,check\n"
    assert_same(go_on(tmp_path / "on", file), run(tmp_path / "whole", late))


# -- files that do not fit ---------------------------------------------------------------------------------


def refused(folder, file, **named):
    with pytest.raises(CellscaperError) as caught:
        go_on(folder, file, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    return make_beginning(tmp_path_factory.mktemp("begun"))


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (origin(recipe(lr=0.02)), "is the beginning of a training with another recipe; run start_layout again"),
        (origin(seed=2), "is the beginning of a training with another seed"),
        (origin(cells="b"), "is the beginning of a training with other input files"),
    ],
)
def test_the_beginning_of_another_training_is_refused(begun, tmp_path, wanted, words):
    said = refused(tmp_path, begun, wanted=wanted)
    assert str(begun) in said and words in said


def test_what_does_not_count_before_the_losses_act_is_not_asked_for(begun, tmp_path):
    other = recipe(save_every=1.0)
    other["settings"]["losses"]["weight"] = 99.0
    go_on(tmp_path, begun, wanted=origin(other))


def test_a_beginning_beyond_the_first_late_step_is_refused(tmp_path):
    file = make_beginning(tmp_path / "s", until=SHARED + 1)
    assert f"ends after step {SHARED + 1}, but this training has only its first {SHARED} steps in common" in refused(
        tmp_path, file
    )


def test_other_parameters_are_refused(begun, tmp_path):
    said = refused(tmp_path, begun, model=make_model(9))
    assert "ema.0.weight is of shape (8, 2, 3, 3), expected of shape (9, 2, 3, 3) (" in said
    longer = nn.Sequential(*make_model(), nn.Conv2d(1, 1, 1))
    assert "ema.5.bias is missing, expected of shape (1,)" in refused(tmp_path, begun, model=longer)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "absent"])
def test_a_damaged_file_is_refused(begun, tmp_path, damage):
    file, data = tmp_path / "b.safetensors", begun.read_bytes()
    at = len(data) - 100
    made = {"cut": data[:at], "flipped": data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], "empty": b""}
    if damage != "absent":
        file.write_bytes(made[damage])
    said = refused(tmp_path, file)
    assert str(file) in said and ("damaged" in said or "does not exist" in said)


def test_weights_are_no_beginning(tmp_path):
    write_weights(tmp_path / "w.safetensors", make_model().state_dict(), {})
    said = refused(tmp_path, tmp_path / "w.safetensors")
    assert "holds weights but no beginning of a training; give a file of start_layout" in said


def test_the_file_holds_what_a_state_holds(begun):
    tensors, facts = read_weights(begun)
    told = facts["beginning"]
    assert told["step"] == SHARED and told["names"] == ["loss", "error", "grad_norm"]
    assert [row[0] for row in told["rows"]] == [4] and all(math.isfinite(one) for one in told["sums"])
    trained = {"0.weight", "1.weight", "1.bias", "4.weight", "4.bias"}
    assert {name.partition(".")[2] for name in tensors if name.startswith("ema.")} == trained
    moments = {f"optimizer.{name}.{key}" for name in trained for key in ("step", "exp_avg", "exp_avg_sq")}
    assert {name for name in tensors if name.startswith("optimizer.")} == moments


def rewritten(begun, folder, change):
    """The beginning with tensors changed in place, and a right digest."""
    tensors, facts = read_weights(begun)
    change(tensors)
    write_weights(folder / "b.safetensors", tensors, {}, **facts)
    return folder / "b.safetensors"


def drop(*names):
    return lambda tensors: [tensors.pop(name) for name in names]


MOMENTS = [f"optimizer.0.weight.{key}" for key in ("exp_avg", "exp_avg_sq", "step")]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop(MOMENTS[1]), "optimizer.0.weight.exp_avg_sq is missing, expected of shape"),
        (drop(*MOMENTS), "optimizer.0.weight.exp_avg is missing, expected of shape"),
        (
            lambda tensors: tensors.update({"optimizer.0.weight.odd": torch.zeros(1)}),
            "odd is of shape (1,), expected m",
        ),
        (lambda tensors: tensors["ema.0.weight"].fill_(math.nan), "ema.0.weight has values that are not finite"),
        (
            lambda tensors: tensors.update({"model.1.bias": tensors["model.1.bias"].double()}),
            "model.1.bias is float64 of shape (8,), expected of shape (8,)",
        ),
    ],
)
def test_a_beginning_that_lacks_something_or_is_not_finite_is_refused(begun, tmp_path, change, words):
    assert words in refused(tmp_path, rewritten(begun, tmp_path, change))
