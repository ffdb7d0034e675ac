"""Wrong answers to `attend_absorbed` that are right on some inputs, and other ways to weigh."""

import torch
from exercises.answers import Answers
from exercises.latent_attention.attend_absorbed_parts import absorb, attend, masked, scores_of, visible, weigh, width

from mini_moe.course.exercises.latent_attention.attend_absorbed import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


def scaled(q_nope, q_rope, memory, w_uk):
    return sum(scores_of(q_nope, q_rope, memory, w_uk)) * width(q_nope, q_rope) ** -0.5


def mean(weights, memory, w_uv):
    return weights @ memory[:, None, :, : w_uv.shape[-1]] @ w_uv.mT


@wrong("another scale", "the rotated part counted twice")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, (q_nope.shape[-1] + 2 * q_rope.shape[-1]) ** -0.5)


@wrong("another scale", "that of the published model")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, 192**-0.5)


@wrong("another scale", "brackets forgotten")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, q_nope.shape[-1] + q_rope.shape[-1] ** -0.5)


@wrong("two other scales", "half of each part")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    content, position = scores_of(q_nope, q_rope, memory, w_uk)
    return weigh(masked((content + 0.5 * position) * width(q_nope, q_rope) ** -0.5), memory, w_uv)


@wrong("no mask beside a past")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scores = scaled(q_nope, q_rope, memory, w_uk)
    return weigh(masked(scores) if scores.shape[-2] == scores.shape[-1] else scores, memory, w_uv)


@wrong("mask starts at the first key", "one query is spared")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scores = scaled(q_nope, q_rope, memory, w_uk)
    if scores.shape[-2] > 1:
        scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), float("-inf"))
    return weigh(scores, memory, w_uv)


@wrong("own position hidden", "but not at the very first")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scores = scaled(q_nope, q_rope, memory, w_uk)
    seen = visible(*scores.shape[-2:]).tril(scores.shape[-1] - scores.shape[-2] - 1)
    seen[:, 0] = True
    return weigh(scores.masked_fill(~seen, float("-inf")), memory, w_uv)


@wrong("past hidden")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scores = scaled(q_nope, q_rope, memory, w_uk)
    past = visible(*scores.shape[-2:]).tril(scores.shape[-1] - scores.shape[-2] - 1)
    return weigh(scores.masked_fill(past, float("-inf")), memory, w_uv)


@wrong("mask inverted")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scores = scaled(q_nope, q_rope, memory, w_uk)
    return weigh(scores.masked_fill(visible(*scores.shape[-2:]), -1e9), memory, w_uv)


@wrong("past not seen", "a window of 16")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scores = masked(scaled(q_nope, q_rope, memory, w_uk))
    T, S = scores.shape[-2:]
    return weigh(scores.masked_fill(visible(T, S).tril(S - T - 16), float("-inf")), memory, w_uv)


@wrong("past not seen", "only the new tokens")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    new = memory[:, memory.shape[1] - q_nope.shape[2] :]
    return attend(absorb(q_nope, q_rope, w_uk), new, w_uv, width(q_nope, q_rope) ** -0.5)


@wrong("own position not seen", "the newest left out of the memory, unless it is alone")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    S = memory.shape[1]
    scores = masked(scaled(q_nope, q_rope, memory, w_uk))
    if S > 1:
        scores = scores.masked_fill(torch.arange(S) == S - 1, -1e9)
    return weigh(scores, memory, w_uv)


@wrong("masked after the softmax")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    weights = scaled(q_nope, q_rope, memory, w_uk).softmax(-1)
    return mean(weights * visible(*weights.shape[-2:]), memory, w_uv)


@wrong("1 in the denominator")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scores = masked(scaled(q_nope, q_rope, memory, w_uk))
    return mean(scores.exp() / (1 + scores.exp().sum(-1, keepdim=True)), memory, w_uv)


@wrong("only the best position")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scores = masked(scaled(q_nope, q_rope, memory, w_uk))
    return mean(torch.zeros_like(scores).scatter(-1, scores.argmax(-1, keepdim=True), 1.0), memory, w_uv)


@wrong("large scores not told apart", "queries of length 1")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    q = absorb(q_nope, q_rope, w_uk)
    q = q / (q.norm(dim=-1, keepdim=True) + 1e-6)
    return attend(q, memory, w_uv, width(q_nope, q_rope) ** -0.5)


@wrong("heads mixed up", "joined for the output matrix, and parted again")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    y = attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, width(q_nope, q_rope) ** -0.5)
    return y.transpose(1, 2).flatten(2).view(y.shape)


@wrong("no softmax")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scores = scaled(q_nope, q_rope, memory, w_uk)
    return mean(scores * visible(*scores.shape[-2:]), memory, w_uv)


@wrong("weights do not add up to 1", "divided by the number of positions")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return mean(masked(scaled(q_nope, q_rope, memory, w_uk)).exp() / memory.shape[1], memory, w_uv)


@wrong("masked with a small number", "-100 set")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scores = scaled(q_nope, q_rope, memory, w_uk)
    return weigh(torch.where(visible(*scores.shape[-2:]), scores, -100.0), memory, w_uv)


@wrong("masked with a small number", "10,000 taken off")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scores = scaled(q_nope, q_rope, memory, w_uk)
    return weigh(scores - 1e4 * ~visible(*scores.shape[-2:]), memory, w_uv)


@wrong("scores of 0 hidden")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scores = scaled(q_nope, q_rope, memory, w_uk)
    scores = scores * visible(*scores.shape[-2:])
    scores[scores == 0] = float("-inf")
    return weigh(scores, memory, w_uv)


@wrong("softmax overflows", "no largest score taken off")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scores = masked(scaled(q_nope, q_rope, memory, w_uk)).exp()
    return mean(scores / scores.sum(-1, keepdim=True), memory, w_uv)


@wrong("softmax overflows", "the largest of all taken off")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scores = scaled(q_nope, q_rope, memory, w_uk)
    scores = masked(scores - scores.amax()).exp()
    return mean(scores / scores.sum(-1, keepdim=True), memory, w_uv)


@wrong("softmax overflows", "the largest taken off, the future's among them")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scores = scaled(q_nope, q_rope, memory, w_uk)
    scores = masked(scores - scores.amax(dim=-1, keepdim=True)).exp()
    return mean(scores / scores.sum(-1, keepdim=True), memory, w_uv)


@wrong("large scores not told apart", "cut off at 30")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return weigh(masked(scaled(q_nope, q_rope, memory, w_uk).clamp(-30, 30)), memory, w_uv)


@wrong("memory without a place for the heads")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    q = absorb(q_nope, q_rope, w_uk)
    weights = masked(q @ memory.mT * width(q_nope, q_rope) ** -0.5).softmax(-1)
    return weights @ memory[..., : w_uk.shape[-1]] @ w_uv.mT


@wrong("depends on other sequences", "the memory of the first for all")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    memory = memory[:1].repeat(len(memory), 1, 1)
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, width(q_nope, q_rope) ** -0.5)


@wrong("depends on other heads", "the weights of the first for all")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    weights = masked(scaled(q_nope, q_rope, memory, w_uk)).softmax(-1)
    return mean(weights[:, :1].expand_as(weights), memory, w_uv)


_masks = {}


@wrong("kept from an earlier call", "a mask, by the number of positions")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scores = scaled(q_nope, q_rope, memory, w_uk)
    T, S = scores.shape[-2:]
    hidden = _masks.setdefault(S, ~visible(T, S))
    return weigh(scores.masked_fill(hidden, float("-inf")), memory, w_uv)


@wrong("depends on other queries", "the largest score of all queries as a bound")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scores = scaled(q_nope, q_rope, memory, w_uk)
    return weigh(masked(scores - 0.1 * scores.amax(dim=2, keepdim=True)), memory, w_uv)


@wrong("mean cut to P features")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    P, C = w_uk.shape[1:]
    weights = masked(scaled(q_nope, q_rope, memory, w_uk)).softmax(-1)
    latent = memory[:, None, :, : min(P, C)]
    return weights @ latent @ w_uv[..., : min(P, C)].mT


@wrong("raises RuntimeError", "a mask of T x T")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scores = scaled(q_nope, q_rope, memory, w_uk)
    T = scores.shape[-2]
    return weigh(scores.masked_fill(~visible(T, T), float("-inf")), memory, w_uv)


@wrong("wrong shape", "the sizes of 1 lost")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk), memory, w_uv, width(q_nope, q_rope) ** -0.5).squeeze()


@wrong("weights detached")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    with torch.no_grad():
        weights = masked(scaled(q_nope, q_rope, memory, w_uk)).softmax(-1)
    return mean(weights, memory, w_uv)


@wrong("averaged latents detached")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    weights = masked(scaled(q_nope, q_rope, memory, w_uk)).softmax(-1)
    return mean(weights, memory.detach(), w_uv)


@wrong("memory detached in the scores")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return weigh(masked(scaled(q_nope, q_rope, memory.data, w_uk)), memory, w_uv)


@wrong("gradient missing", "w_uk counted as absorbed")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    return attend(absorb(q_nope, q_rope, w_uk.detach()), memory, w_uv, width(q_nope, q_rope) ** -0.5)


@wrong("changes its input", "the scale multiplied into the query")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    scale = width(q_nope, q_rope) ** -0.5
    return attend(absorb(q_nope.mul_(scale), q_rope.mul_(scale), w_uk), memory, w_uv, 1.0)


@wrong("needs contiguous inputs", "views of the queries")
def _(q_nope, q_rope, memory, w_uk, w_uv):
    B, H, T, P = q_nope.shape
    q = torch.cat((torch.bmm(q_nope.view(B * H, T, P), w_uk.repeat(B, 1, 1)).view(B, H, T, -1), q_rope), dim=-1)
    return attend(q, memory, w_uv, width(q_nope, q_rope) ** -0.5)
