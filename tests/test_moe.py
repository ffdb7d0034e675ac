"""Routing, balance and the expert product against plain loops, over random shapes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3TopkRouter

from mini_moe.config import tiny
from mini_moe.dispatch import grouped, loop
from mini_moe.moe import expert_load, route, sequence_balance_loss, update_bias


@st.composite
def routings(draw):
    """E, K, groups, kept groups, normalise, scale, seed; at least two experts a group, as in the oracle."""
    groups = draw(st.sampled_from([1, 2, 4]))
    per_group = draw(st.integers(2, 5))
    kept = draw(st.integers(1, groups))
    top_k = draw(st.integers(1, kept * per_group))
    return (
        groups * per_group,
        top_k,
        groups,
        kept,
        draw(st.booleans()),
        draw(st.sampled_from([1.0, 2.5])),
        draw(st.integers(0, 99)),
    )


@given(routings(), st.sampled_from([1, 3, 17]))
def test_routing_equals_the_oracles(case, tokens):
    E, top_k, groups, kept, normalize, scale, seed = case
    torch.manual_seed(seed)
    oracle = DeepseekV3TopkRouter.__new__(DeepseekV3TopkRouter)
    torch.nn.Module.__init__(oracle)
    oracle.top_k, oracle.num_experts, oracle.hidden_dim = top_k, E, 8
    oracle.routed_scaling_factor, oracle.num_group, oracle.topk_group, oracle.norm_topk_prob = (
        scale,
        groups,
        kept,
        normalize,
    )
    oracle.weight = torch.nn.Parameter(torch.randn(E, 8))
    oracle.e_score_correction_bias = torch.randn(E) * 0.3
    x = torch.randn(tokens, 8)
    logits, weights, experts = oracle(x)
    ours_weights, ours_experts = route(
        logits.sigmoid(), oracle.e_score_correction_bias, top_k,
        n_group=groups, topk_group=kept, normalize=normalize, scale=scale,
    )  # fmt: skip
    assert [set(row) for row in ours_experts.tolist()] == [set(row) for row in experts.tolist()]
    dense, expected = (
        torch.zeros(tokens, E).scatter(1, e, w) for w, e in ((ours_weights, ours_experts), (weights, experts))
    )
    torch.testing.assert_close(dense, expected)


def test_no_gradient_reaches_the_bias_and_all_of_it_the_scores():
    scores, bias = torch.rand(4, 6).requires_grad_(), torch.zeros(6, requires_grad=True)
    weights, _ = route(scores, bias, 2, normalize=False)
    weights.sum().backward()
    assert bias.grad is None
    assert scores.grad.sum() == 8


def test_a_group_that_is_kept_may_be_all_negative():
    """Masking closed groups with 0 in place of -inf would choose from them."""
    scores, bias = torch.tensor([[0.1, 0.2, 0.3, 0.4]]), torch.tensor([-3.0, -3.0, -1.0, -1.0])
    assert set(route(scores, bias, 2, n_group=2, topk_group=1)[1][0].tolist()) == {2, 3}


def test_routing_names_what_is_wrong():
    with pytest.raises(ValueError, match="n_group must divide E"):
        route(torch.rand(2, 6), torch.zeros(6), 2, n_group=4)
    with pytest.raises(ValueError, match="top_k be at most"):
        route(torch.rand(2, 6), torch.zeros(6), 4, n_group=2, topk_group=1)


@given(st.integers(1, 3), st.integers(1, 7), st.integers(2, 6), st.integers(0, 99))
def test_balance_loss_equals_a_loop_over_its_definition(B, T, E, seed):
    torch.manual_seed(seed)
    K = 1 + seed % E
    scores = torch.rand(B, T, E, dtype=torch.float64, requires_grad=True)
    experts = torch.stack([torch.randperm(E)[:K] for _ in range(B * T)]).view(B, T, K)
    expected = 0.0
    for b in range(B):
        for i in range(E):
            count = sum(i in experts[b, t].tolist() for t in range(T))
            share = sum(scores[b, t, i] / scores[b, t].sum() for t in range(T)) / T
            expected = expected + 0.01 * E / (K * T) * count * share / B
    ours = sequence_balance_loss(scores, experts, 0.01)
    torch.testing.assert_close(ours, expected, check_dtype=False, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(
        *(torch.autograd.grad(loss, scores)[0] for loss in (ours, expected)), check_dtype=False, rtol=1e-5, atol=1e-9
    )


def test_perfect_balance_costs_alpha():
    scores, experts = torch.full((1, 4, 4), 0.5), torch.tensor([[[0], [1], [2], [3]]])
    assert sequence_balance_loss(scores, experts, 0.25).item() == pytest.approx(0.25)


def test_bias_rises_for_idle_experts_only_by_gamma():
    bias = torch.tensor([0.5, 0.5, 0.5, 0.5])
    assert update_bias(bias, torch.tensor([[0, 4, 5, 0], [0, 6, 0, 5]]), 0.1).tolist() == pytest.approx(
        [0.6, 0.4, 0.5, 0.5]
    )
    assert bias.tolist() == [0.5] * 4


@pytest.mark.parametrize("experts", ["random", "all to one", "one token", "every expert"])
def test_the_grouped_product_equals_the_loop(experts):
    torch.manual_seed(1)
    N, D, E, I, K = 13, 16, 5, 8, 2
    if experts == "one token":
        N = 1
    if experts == "every expert":
        K = E
    chosen = torch.stack([torch.randperm(E)[:K] for _ in range(N)])
    if experts == "all to one":
        chosen = torch.full((N, 1), 3)
    inputs = (
        torch.randn(N, D), torch.rand(chosen.shape), torch.randn(E, 2 * I, D) / 4, torch.randn(E, D, I) / 3
    )  # fmt: skip
    x, weights, gate_up, down = (tensor.requires_grad_() for tensor in inputs)
    ours, theirs = (product(x, weights, chosen, gate_up, down) for product in (grouped, loop))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    direction = torch.randn(N, D)
    for one, other in zip(
        torch.autograd.grad((ours * direction).sum(), (x, weights, gate_up, down)),
        torch.autograd.grad((theirs * direction).sum(), (x, weights, gate_up, down)),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_load_counts_each_choice():
    experts = torch.randint(tiny().n_routed_experts, (3, 50))
    expected = torch.stack([row.bincount(minlength=8) for row in experts]).float()
    assert torch.equal(expert_load(experts, 8), expected)
