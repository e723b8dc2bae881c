"""Conditions: quantile categories against sorting, the MLP against numpy."""

import numpy as np
import pytest
import torch
from torch import nn

from cellscaper.diffusion.conditioning import WITHHELD, Denoiser, NoCondition, make_condition, withhold
from cellscaper.diffusion.settings import CategoryCondition, Condition, CountsCondition, Unconditional
from cellscaper.errors import CellscaperError
from cellscaper.run.settings import Settings, read

RELEASED = [73.0, 148.0, 194.0, 276.0]  # cut points of Spatial Diffusion
QUINTILES = CategoryCondition(kind="count_category", categories=5, edges=RELEASED)


def test_category_is_the_number_of_edges_at_or_below_the_total():
    condition = make_condition(QUINTILES, classes=3, width=8)
    totals = [0, 72, 73, 74, 147, 148, 194, 275, 276, 5000]
    counts = torch.tensor([[t // 3, t // 3, t - 2 * (t // 3)] for t in totals]).float()
    category = [sum(edge <= total for edge in RELEASED) for total in totals]
    assert condition.category(counts).tolist() == category
    torch.testing.assert_close(condition(counts), condition.embed.weight[category])


def test_categories_depend_on_the_total_alone():
    condition = make_condition(QUINTILES, classes=3, width=8)
    same = condition(torch.tensor([[100.0, 0, 0], [0, 50, 50]]))
    assert torch.equal(same[0], same[1])


def test_edges_travel_with_the_weights():
    other = make_condition(QUINTILES.model_copy(update={"edges": (1.0, 2.0, 3.0, 4.0)}), 3, 8)
    other.load_state_dict(make_condition(QUINTILES, 3, 8).state_dict())
    assert other.edges.tolist() == RELEASED


def test_class_counts_is_a_two_layer_mlp_of_scaled_counts():
    condition = make_condition(CountsCondition(kind="class_counts", scale=50.0), classes=3, width=16)
    counts = np.array([[10.0, 0.0, 200.0], [1.0, 2.0, 3.0]])
    (w1, b1), (w2, b2) = (
        (layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy())
        for layer in condition.mlp
        if isinstance(layer, nn.Linear)
    )
    hidden = counts / 50 @ w1.T + b1
    expected = hidden / (1 + np.exp(-hidden)) @ w2.T + b2
    np.testing.assert_allclose(condition(torch.from_numpy(counts)).detach().numpy(), expected, atol=1e-5)


def test_no_condition_is_zero_and_has_nothing_to_learn():
    condition = make_condition(Unconditional(), classes=3, width=8)
    assert torch.equal(condition(torch.tensor([[1.0, 2.0, 3.0]])), torch.zeros(1, 8))
    assert not list(condition.parameters())


class Conditioned(Settings):
    condition: Condition


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "text"}, "'text' .* the expected tags: 'none', 'count_category', 'class_counts'"),
        ({"kind": "count_category", "categories": 5, "edges": [1.0, 2.0]}, "need 4 rising edges"),
        ({"kind": "count_category", "categories": 3, "edges": [2.0, 2.0]}, "need 2 rising edges"),
        ({"kind": "class_counts", "scale": 0.0}, "condition.scale = 0.0: Input should be greater than 0"),
        ({"kind": "count_category", "categories": 5, "edges": "quartiles"}, "expected quantiles or a list of numbers"),
        ({"kind": "count_category", "categories": 5, "edges": "quantiles"}, "edges are found from the training crops"),
    ],
)
def test_bad_settings_are_refused(settings, words):
    with pytest.raises(CellscaperError, match=words):
        make_condition(read(Conditioned, {"condition": settings}, "train_layout").condition, classes=3, width=8)


def test_denoiser_gives_the_net_its_condition():
    class Net(nn.Module):
        def forward(self, x, t, condition):
            return x + t[:, None] + condition

    class Sum(NoCondition):
        def forward(self, counts):
            return counts.sum(dim=1, keepdim=True)

    out = Denoiser(Net(), Sum(1))(torch.zeros(2, 1), torch.tensor([10, 20]), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert out.tolist() == [[13], [27]]


def test_withheld_counts_have_a_vector_of_their_own_whatever_they_are():
    condition = make_condition(CountsCondition(kind="class_counts", drop=0.1), classes=3, width=4)
    told = make_condition(CountsCondition(kind="class_counts"), classes=3, width=4)
    assert told.state_dict().keys() == {name for name in condition.state_dict() if name != "withheld"}
    told.load_state_dict({name: value for name, value in condition.state_dict().items() if name != "withheld"})
    with torch.no_grad():
        condition.withheld += torch.arange(4)
    counts = torch.tensor([[1.0, 2, 3], [WITHHELD] * 3, [0, 0, 0]])
    vector = condition(counts)
    assert vector[1].tolist() == [0, 1, 2, 3]
    assert torch.equal(vector[[0, 2]], told(counts[[0, 2]]))


def test_withhold_takes_a_share_of_the_rows_and_draws_nothing_for_none():
    counts = torch.ones(4000, 2)
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    assert withhold(counts, 0.0, generator) is counts
    assert torch.equal(generator.get_state(), state)
    gone = withhold(counts, 0.1, generator) == WITHHELD
    assert torch.equal(gone[:, 0], gone[:, 1])
    assert gone[:, 0].float().mean().item() == pytest.approx(0.1, abs=0.02)
