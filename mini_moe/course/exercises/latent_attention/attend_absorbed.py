"""Lesson 02, `attend_absorbed`: attention without keys and values."""

import math

import torch

from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with, must_equal
from mini_moe.course.checking.observe import close
from mini_moe.course.exercises.latent_attention import (
    attend_absorbed_matrix_mistakes,
    attend_absorbed_scale_mistakes,
    attend_absorbed_weights_mistakes,
)
from mini_moe.course.exercises.latent_attention.attend_absorbed_origins import never_expands
from mini_moe.course.exercises.latent_attention.shared import (
    any_layout,
    exact,
    memory_and_matrices,
    of_heads,
)
from mini_moe.layers import causal_attention
from mini_moe.mla import attend_absorbed, expand


def _cases_of_absorbed(generator):
    for B, H, T, S, P, R, C, W in (
        (1, 1, 2, 2, 3, 2, 4, 2),
        (1, 2, 1, 4, 2, 4, 3, 5),
        (2, 2, 3, 3, 4, 2, 4, 4),  # square matrices, which run transposed or left out; as many heads as sequences
        (2, 3, 2, 5, 5, 2, 3, 6),
        (1, 1, 1, 1, 1, 2, 1, 1),
        (3, 1, 2, 40, 2, 4, 5, 3),
    ):
        q_nope, q_rope = (torch.randn(B, H, T, width, generator=generator) for width in (P, R))
        yield q_nope, q_rope, *memory_and_matrices(generator, B, H, S, P, R, C, W)


def _future_hidden(function, q_nope, q_rope, memory, w_uk, w_uv):
    before, after = (function(q_nope, q_rope, m, w_uk, w_uv)[:, :, :-1] for m in (memory, _moved(memory, -1)))
    must_equal(
        after,
        before,
        "Another last token changes the results before it: a query must not see what comes after.",
    )


def _moved(memory, position):
    """With another token there."""
    return memory + 3 * torch.arange(memory.shape[1]).eq(position % memory.shape[1])[:, None]


def _all_before_seen(function, q_nope, q_rope, memory, w_uk, w_uv):
    def last(memory):  # of queries that look at all alike
        return function(0 * q_nope, 0 * q_rope, memory, w_uk, w_uv)[:, :, -1]

    if last(memory).isnan().any():
        raise Wrong(
            "Where every score is 0, the result is NaN, though all that a query sees then counts alike. Is a score "
            "hidden, or divided by, because it is 0? Hide by position.",
            mistake="scores of 0 hidden",
        )
    if close(last(_moved(memory, -1)), last(memory)):
        says = "Another last token does not change the last result: a query sees its own position, too."
        raise Wrong(says, mistake="own position not seen")
    if close(last(_moved(memory, 0)), last(memory)):
        says = "Another first token does not change the last result: a query sees all that was before it, however long."
        raise Wrong(says, mistake="past not seen")


def _nothing_kept(function, q_nope, q_rope, memory, w_uk, w_uv):
    def right(queries, times):
        case = q_nope[:, :, -queries:], q_rope[:, :, -queries:], memory.repeat(1, times, 1), w_uk, w_uv
        return close(function(*case), attend_absorbed(*case))

    T = q_nope.shape[2]
    if right(1, times=3) and not right(T, times=3) and right(T, times=5):  # lengths not met before
        raise Wrong(
            "It is right on one input, and wrong on the next with as many positions but more queries: it keeps "
            "something from call to call, a mask perhaps.",
            mistake="kept from an earlier call",
        )


def _each_by_itself(function, q_nope, q_rope, memory, w_uk, w_uv):
    y = function(q_nope, q_rope, memory, w_uk, w_uv)
    if not close(function(q_nope[-1:], q_rope[-1:], memory[-1:], w_uk, w_uv), y[-1:]):
        says = "A sequence alone gets another result than in a batch: each has its own queries and memory."
        raise Wrong(says, mistake="depends on other sequences")
    if not close(function(q_nope[:, -1:], q_rope[:, -1:], memory, w_uk[-1:], w_uv[-1:]), y[:, -1:]):
        says = "A head alone gets another result than beside others: each has its own queries and matrices."
        raise Wrong(says, mistake="depends on other heads")
    if not close(function(q_nope[:, :, -1:], q_rope[:, :, -1:], memory, w_uk, w_uv), y[:, :, -1:]):
        says = "The last query alone gets another result than after others: what it sees does not depend on them."
        raise Wrong(says, mistake="depends on other queries")


def _where_latents_agree(function, q_nope, q_rope, memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    memory = torch.cat((memory[:, :1, :C].expand(-1, memory.shape[1], -1), memory[..., C:]), dim=-1)
    got = function(q_nope, q_rope, memory, w_uk, w_uv)
    expected = of_heads(memory[:, -1:, :C], w_uv).expand_as(got)
    if close(got, expected):
        return
    sums = (got * expected).sum(dim=-1, keepdim=True) / expected.square().sum(dim=-1, keepdim=True)
    if got.shape[-1] > 1 and close(got, sums * expected):
        worst = max(sums.flatten().tolist(), key=lambda total: abs(total - 1))
        raise Wrong(f"The weights of a query add up to {worst:.3f}, not to 1.", mistake="weights do not add up to 1")
    raise Wrong("Where all latents are the same c, every query must get w_uv c, wherever it looks.")


def _equal_scores(function, q_nope, q_rope, memory, w_uk, w_uv):
    latent = memory[..., : w_uk.shape[-1]]
    means = latent.cumsum(dim=1) / torch.arange(1, memory.shape[1] + 1)[:, None]
    must_equal(
        function(0 * q_nope, 0 * q_rope, memory, w_uk, w_uv),
        of_heads(means[:, -q_nope.shape[2] :], w_uv),
        "Where all scores are 0, a query must get w_uv times the plain mean of the latents that it sees.",
    )


def _scale(function, q_nope, q_rope, memory, w_uk, w_uv):
    """Read from the weights of two positions: the log of their quotient is the difference of their scores."""
    q_nope, q_rope, memory, w_uk, w_uv = q_nope[:1, :1, -1:], q_rope[:1, :1, -1:], memory[:1, :2], w_uk[:1], w_uv[:1]
    right, C = (q_nope.shape[-1] + q_rope.shape[-1]) ** -0.5, w_uk.shape[-1]
    if memory.shape[1] < 2:
        return
    by_content = (q_nope @ w_uk @ memory[..., :C].mT).diff().item()
    by_position = (q_rope @ memory[..., C:].mT).diff().item()
    first, second = of_heads(memory[..., :C], w_uv).flatten(0, 2)
    if min(abs(by_content), abs(by_position), (second - first).norm()) < 0.05:
        return

    def measured(score, a, b):
        y = function(a * q_nope, b * q_rope, memory, w_uk, w_uv).flatten()
        share = ((y - first) @ (second - first) / (second - first).square().sum()).item()
        if not 0 < share < 1 or not close(y, first.lerp(second, share)):
            return math.nan  # no mean of the two
        return math.log(share / (1 - share)) / score

    scores = 0.1 / right, 0.3 / right
    content = [measured(score, score / by_content, 0) for score in scores]
    position = [measured(score, 0, score / by_position) for score in scores]
    if not all(math.isclose(*pair, rel_tol=0.02, abs_tol=1e-3) for pair in (content, position)):
        return  # they do not grow with the query
    if all(math.isclose(scale, right, rel_tol=0.02) for scale in content + position):
        return
    wanted = f"with P + R = {round(right**-2)} it is {right:.3f}, (P + R)^-0.5"
    if math.isclose(content[0], position[0], rel_tol=0.02):
        raise Wrong(f"The scores are multiplied by {content[0]:.3f}: {wanted}.", mistake="another scale")
    raise Wrong(
        f"The part of the score that comes from the latent is multiplied by {content[0]:.3f}, that of the rotated key "
        f"by {position[0]:.3f}: {wanted}, for both.",
        mistake="two other scales",
    )


def _far_apart(q_nope, q_rope, memory, w_uk):
    """The same with scores a million apart, as many above 0 as below."""
    (B, H, T, _), S, C = q_nope.shape, memory.shape[1], w_uk.shape[-1]
    rank = (11 * torch.arange(S) + 3) % S + 1
    sign = 2 * ((torch.arange(B)[:, None, None] + torch.arange(H)[:, None] + torch.arange(T)) % 2) - 1
    q_rope, key = torch.zeros_like(q_rope), torch.zeros_like(memory[..., C:])
    q_rope[..., 0], key[..., 0] = 2**22 * sign, rank
    return torch.zeros_like(q_nope), q_rope, torch.cat((memory[..., :C], key), dim=-1)


def _hidden_for_good(function, q_nope, q_rope, memory, w_uk, w_uv):
    q_nope, q_rope, memory = _far_apart(q_nope, q_rope, memory, w_uk)
    other = torch.cat((_moved(memory, -1)[..., : w_uk.shape[-1]], memory[..., w_uk.shape[-1] :]), dim=-1)
    before, after = (function(q_nope, q_rope, m, w_uk, w_uv)[:, :, :-1] for m in (memory, other))
    if not close(after, before):
        raise Wrong(
            "Where what a query sees has scores below -1,000,000, the future has weight all the same: the number that "
            "hides it is not low enough. Use -inf.",
            mistake="masked with a small number",
        )


def _far_apart_told(function, q_nope, q_rope, memory, w_uk, w_uv):
    case = *_far_apart(q_nope, q_rope, memory, w_uk), w_uk, w_uv
    got = function(*case)
    if got.isnan().any():
        raise Wrong(
            "Where scores are large, or far apart, the result is NaN: exp overflows, or all of a row comes to 0. Take "
            "from each query's scores the largest that *it* sees first, as `softmax` does.",
            mistake="softmax overflows",
        )
    if not close(got, attend_absorbed(*case)):
        raise Wrong(
            "Where one score is a million above the others, its latent must get all the weight, also where all of them "
            "are large.",
            mistake="large scores not told apart",
        )


def _as_expanded(function, q_nope, q_rope, memory, w_uk, w_uv):
    q = torch.cat((q_nope, q_rope), dim=-1)
    must_equal(
        function(q_nope, q_rope, memory, w_uk, w_uv),
        causal_attention(q, *expand(memory, w_uk, w_uv), q.shape[-1] ** -0.5),
        "It is not what attention over the expanded keys and values gives: only the order of the products may differ.",
    )


EXERCISE = Exercise(
    reference=attend_absorbed,
    cases=_cases_of_absorbed,
    properties=(
        Property("is as exact as its type", exact(attend_absorbed)),
        Property("no query sees what comes after it", _future_hidden),
        Property("a query sees its own position and all before", _all_before_seen),
        Property("keeps nothing from call to call", _nothing_kept),
        Property("sequences, heads and queries do not mix", _each_by_itself),
        Property("where all latents are the same, the result is their value", _where_latents_agree),
        Property("equal scores give the plain mean", _equal_scores),
        Property("the scale is that of a head's query", _scale),
        Property("what is hidden stays hidden beside low scores", _hidden_for_good),
        Property("large scores are nothing special", _far_apart_told),
        Property("equals attention over the expanded keys and values", _as_expanded),
        Property("never makes the keys and values of the heads", never_expands),
        Property("agrees with the library, gradients too", agrees_with(attend_absorbed)),
        Property("takes inputs as they lie in memory", any_layout(attend_absorbed)),
    ),
    mistakes=(
        *attend_absorbed_scale_mistakes.MISTAKES,
        *attend_absorbed_weights_mistakes.MISTAKES,
        *attend_absorbed_matrix_mistakes.MISTAKES,
    ),
    hints=(
        "To every head the memory is one shared key, C + R wide, and its first C features are one shared value. Which "
        "query fits that key?",
        "Its first part is the query without position after w_uk, its last the rotated one. `memory[:, None]` is the "
        "key of all. `causal_attention` gives the mean of the latents, with the scale (P + R)^-0.5; w_uv remains.",
        "The query goes from (B, H, T, P) to (B, H, T, C), and with its rotated part to (B, H, T, L). Key: the memory, "
        "(B, 1, S, L). Value: its latents, (B, 1, S, C). The mean is (B, H, T, C), the result (B, H, T, W).",
    ),
    difficulty=3,
    minutes=30,
)
