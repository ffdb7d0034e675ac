"""Routing, balance and the expert product against plain loops, over random shapes."""

import math
import re

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from oracles.gradients import assert_same_with_gradients, random
from torch.func import functional_call
from transformers import DeepseekV3Config
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3MoE, DeepseekV3TopkRouter

from mini_moe import dispatch
from mini_moe.balance import batch_balance_loss, expert_load, sequence_balance_loss, update_bias
from mini_moe.config import tiny
from mini_moe.dispatch import PATHS, ExpertProduct
from mini_moe.hf import config_to_hf
from mini_moe.moe import MoE, mixture
from mini_moe.router import affinities, limit_to_groups, route

# `grouped` leaves fewer pairs than fill a room to `sliced`: here its batches work on any number.
ALL_PATHS = {**PATHS, "batches": ExpertProduct.apply}


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


@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6), st.booleans(), st.integers(0, 99))
def test_affinities_are_sigmoids_of_dot_products_in_float32(N, D, E, narrow, seed):
    dtype = torch.bfloat16 if narrow else torch.float64
    x, centroids = random(N, D, seed=seed, dtype=dtype).detach(), random(E, D, seed=seed + 1, dtype=dtype).detach()
    expected = [
        [1 / (1 + math.exp(-sum(a * b for a, b in zip(row, centroid, strict=True)))) for centroid in centroids.tolist()]
        for row in x.tolist()
    ]
    torch.testing.assert_close(affinities(x, centroids), torch.tensor(expected))


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.data())
def test_only_the_best_groups_stay_open(N, groups, per_group, data):
    kept = data.draw(st.integers(1, groups))
    choice = random(N, groups * per_group, seed=data.draw(st.integers(0, 99))).detach()
    expected = []
    for row in choice.tolist():
        cut = [row[start : start + per_group] for start in range(0, len(row), per_group)]
        best = sorted(range(groups), key=lambda g: sum(sorted(cut[g])[-2:]), reverse=True)[:kept]
        expected.append([score if g in best else -math.inf for g in range(groups) for score in cut[g]])
    assert limit_to_groups(choice, groups, kept).tolist() == expected


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


@given(st.integers(1, 3), st.integers(1, 7), st.integers(2, 6), st.integers(0, 99))
def test_batch_balance_loss_counts_the_tokens_of_all_sequences_together(B, T, E, seed):
    torch.manual_seed(seed)
    scores = torch.rand(B, T, E, dtype=torch.float64)
    experts = torch.rand(B, T, E).topk(1 + seed % E).indices
    tokens = scores.view(-1, E).tolist()
    chosen = experts.flatten().tolist()
    expected = 0.0
    for i in range(E):
        mean_share = sum(token[i] / sum(token) for token in tokens) / len(tokens)
        expected += 0.01 * E * chosen.count(i) / len(chosen) * mean_share
    assert batch_balance_loss(scores, experts, 0.01).item() == pytest.approx(expected, rel=1e-6)


def test_perfect_balance_costs_alpha():
    scores, experts = torch.full((1, 4, 4), 0.5), torch.tensor([[[0], [1], [2], [3]]])
    assert sequence_balance_loss(scores, experts, 0.25).item() == pytest.approx(0.25)


def test_bias_rises_for_idle_experts_only_by_gamma():
    bias = torch.tensor([0.5, 0.5, 0.5, 0.5])
    assert update_bias(bias, torch.tensor([[0, 4, 5, 0], [0, 6, 0, 5]]), 0.1).tolist() == pytest.approx(
        [0.6, 0.4, 0.5, 0.5]
    )
    assert bias.tolist() == [0.5] * 4


@pytest.mark.parametrize("shape", [(), (3,), (1, 2, 3), (3, 2), (2, 1), (2, 4)], ids=str)
def test_loads_that_have_no_row_a_part_and_column_an_expert_are_refused(shape):
    with pytest.raises(ValueError, match=re.escape(f"must be of shape (parts, 3), got {shape}.")):
        update_bias(torch.zeros(3), torch.ones(shape), 0.1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_bias_keeps_its_dtype_and_loads_are_not_rounded_to_it(dtype):
    moved = update_bias(torch.zeros(3, dtype=dtype), torch.tensor([[999.0, 1001.0, 1000.0]]), 0.5)
    assert moved.dtype == dtype and moved.tolist() == [0.5, -0.5, 0.0]


@given(st.integers(1, 4), st.integers(1, 9), st.sampled_from([1e-3, 0.1]), st.integers(0, 99))
def test_bias_moves_against_the_load_of_the_whole_batch(A, E, gamma, seed):
    """By whole numbers: E times an expert's load against the load of all."""
    generator = torch.Generator().manual_seed(seed)
    bias, loads = torch.randn(E, generator=generator), torch.randint(6, (A, E), generator=generator)
    load = [sum(loads[:, e].tolist()) for e in range(E)]
    signs = [(sum(load) > E * n) - (sum(load) < E * n) for n in load]
    expected = bias + gamma * torch.tensor(signs)
    torch.testing.assert_close(update_bias(bias, loads.float(), gamma), expected, rtol=0, atol=1e-6)
    in_one = update_bias(bias, loads.float().sum(dim=0, keepdim=True), gamma)
    assert torch.equal(update_bias(bias, loads.float(), gamma), in_one)


@st.composite
def choices(draw):
    """Experts of each token, (N, K), how many there are, D, I, seed; crowded: all tokens to the same K, many empty."""
    N, E, seed = draw(st.integers(1, 20)), draw(st.integers(1, 9)), draw(st.integers(0, 99))
    K, crowded = draw(st.integers(1, E)), draw(st.booleans())
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.randperm(E, generator=generator)[:K] for _ in range(N)]
    experts = torch.stack(rows[:1] * N if crowded else rows)
    return experts, E, draw(st.integers(1, 16)), draw(st.integers(1, 16)), seed


def random_float32(*shape, seed):
    """Small, so that values and gradients stay of size 1, and float32 is right to within the usual tolerance."""
    return (0.3 * random(*shape, seed=seed)).float().detach().requires_grad_()


def expert_written_out(gate_up, down):
    w_gate, w_up = gate_up.chunk(2)

    def run(x_D):
        gate = w_gate @ x_D
        return down @ (gate / (1 + torch.exp(-gate)) * (w_up @ x_D))

    return run


def product_and_definition(path, case, autocast=False):
    """What a path gives, what ``mixture`` gives in float64, and what both were given."""
    experts, E, D, I, seed = case
    shapes = (len(experts), D), experts.shape, (E, 2 * I, D), (E, D, I)
    x, weights, gate_up, down = inputs = [random_float32(*shape, seed=seed + i) for i, shape in enumerate(shapes)]
    routed = [expert_written_out(*pair) for pair in zip(gate_up.double(), down.double(), strict=True)]
    expected = mixture(x.double(), weights.double(), experts, routed, shared=torch.zeros_like)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        ours = ALL_PATHS[path](x, weights, experts, gate_up, down)
    assert ours.dtype == torch.float32
    return ours, expected.float(), inputs


# Of 8 experts, one gets 40 tokens, two none, the others 5 to 15: two batches, with room for 32 and 64.
UNEVEN = torch.tensor([[4, e] for e in (0, 1, 2, 5, 6, 0, 1, 1) for _ in range(5)])


@pytest.mark.parametrize("path", ALL_PATHS)
@given(case=choices(), room=st.sampled_from([2, dispatch.ROOM]))
@example(case=(torch.full((100, 1), 3), 5, 8, 8, 0), room=dispatch.ROOM)  # all tokens to one expert, the others empty
@example(case=(torch.arange(6).expand(40, 6), 6, 8, 16, 0), room=dispatch.ROOM)  # every token to every expert
@example(case=(UNEVEN, 8, 7, 5, 0), room=dispatch.ROOM)
@example(case=(torch.tensor([[2, 0, 1]]), 3, 8, 16, 0), room=dispatch.ROOM)  # one token, all experts
def test_each_dispatch_path_equals_the_definition_in_float64(path, case, room):
    """With little room, too: then few tokens fill many rooms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch, "ROOM", room)
        assert_same_with_gradients(*product_and_definition(path, case))


@pytest.mark.parametrize("path", ALL_PATHS)
def test_each_dispatch_path_computes_in_bfloat16_under_autocast(path):
    """Within 2 % of the whole tensor's size, in values and gradients."""
    ours, expected, inputs = product_and_definition(path, (UNEVEN, 8, 24, 16, 0), autocast=True)
    direction = torch.randn_like(ours)
    gradients = [torch.autograd.grad((y * direction).sum(), inputs) for y in (ours, expected)]
    for one, other in zip((ours, *gradients[0]), (expected, *gradients[1]), strict=True):
        assert one.dtype == torch.float32
        assert 1e-4 < (one - other).norm() / other.norm() < 2e-2


@pytest.mark.parametrize("path", dispatch.PATHS.values(), ids=dispatch.PATHS)
def test_each_dispatch_path_gives_the_type_of_the_tokens_whatever_that_of_the_gate_weights(path):
    E, D, I = 8, 24, 16
    x, gate_up, down = (random(*shape).detach().bfloat16() for shape in ((len(UNEVEN), D), (E, 2 * I, D), (E, D, I)))
    weights = random(*UNEVEN.shape).detach().float()
    y = path(x, weights, UNEVEN, gate_up, down)
    assert y.dtype == torch.bfloat16
    exact = dispatch.loop(x.double(), weights.double(), UNEVEN, gate_up.double(), down.double())
    assert (y - exact).norm() / exact.norm() < 2e-2


def test_the_router_scores_in_float32_under_autocast():
    """Choices hang on small differences, which bfloat16 would round away."""
    layer = MoE(tiny())
    torch.nn.init.normal_(layer.gate.weight)
    for dtype in (torch.float32, torch.bfloat16):
        x = random(20, tiny().hidden_size).detach().to(dtype)
        with torch.autocast("cpu", torch.bfloat16):
            scores = layer.gate(x)
        assert scores.dtype == torch.float32
        assert torch.equal(scores, affinities(x.float(), layer.gate.weight.float()))


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")  # the oracle's shared expert of width 0
@pytest.mark.parametrize("path", ALL_PATHS)
@given(
    case=routings(),
    sizes=st.tuples(st.integers(1, 2), st.integers(1, 9)),
    shared=st.integers(0, 2),
    crowded=st.booleans(),
)
@example(case=(4, 4, 1, 1, True, 2.5, 0), sizes=(2, 9), shared=1, crowded=False)  # K = E
@example(case=(8, 1, 4, 2, True, 1.0, 0), sizes=(2, 9), shared=1, crowded=True)  # all tokens to one expert
@example(case=(8, 2, 4, 2, False, 2.5, 0), sizes=(1, 1), shared=0, crowded=False)  # one token, no shared expert
def test_the_layer_and_its_gradients_equal_the_oracles(path, case, sizes, shared, crowded):
    """Crowded: the bias, of powers of 2 so that no two groups tie, sends every token to the same experts."""
    E, top_k, groups, kept, normalize, scale, seed = case
    config = tiny().replace(
        hidden_size=16, moe_intermediate_size=8, n_routed_experts=E, num_experts_per_tok=top_k, n_shared_experts=shared,
        n_group=groups, topk_group=kept, norm_topk_prob=normalize, routed_scaling_factor=scale,
    )  # fmt: skip
    layer, oracle = MoE(config, ALL_PATHS[path]), DeepseekV3MoE(DeepseekV3Config(**config_to_hf(config)))
    x, bias = random_float32(*sizes, 16, seed=seed), random_float32(E, seed=seed + 1).detach()
    weights = {
        name: random_float32(*parameter.shape, seed=seed + i)
        for i, (name, parameter) in enumerate(layer.named_parameters(), start=2)
    }
    state = weights | {"gate.e_score_correction_bias": 10 * 2.0 ** bias.argsort() if crowded else bias}
    ours, routing = functional_call(layer, state, (x,))
    assert_same_with_gradients(ours, functional_call(oracle, state, (x,)), (x, *weights.values()))
    gate = {name: state[f"gate.{name}"] for name in ("weight", "e_score_correction_bias")}
    logits, _, experts = functional_call(oracle.gate, gate, (x,))
    torch.testing.assert_close(routing.scores_BTE, logits.sigmoid().unflatten(0, sizes))
    chosen = routing.experts_BTK.flatten(0, 1)
    assert torch.equal(chosen.sort(dim=-1).values, experts.sort(dim=-1).values)
    if crowded:
        assert (chosen.sort(dim=-1).values == chosen[:1].sort(dim=-1).values).all()


def test_load_counts_each_choice():
    experts = torch.randint(tiny().n_routed_experts, (3, 50))
    expected = torch.stack([row.bincount(minlength=8) for row in experts]).float()
    assert torch.equal(expert_load(experts, 8), expected)


def test_without_choices_every_load_is_0():
    assert torch.equal(expert_load(torch.zeros(2, 0, dtype=torch.int64), 3), torch.zeros(2, 3))
