"""Wrong answers to `sliced` alone: what stands in which order."""

import torch
from exercises.answers import Answers
from exercises.dispatch.parts import rows_of

from mini_moe.course.exercises.dispatch.sliced import EXERCISE
from mini_moe.dispatch import sort_by_expert

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("left in sorted order", "reshaped")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    N, K = experts_NK.shape
    y = rows_of(x_ND[pair // K], gate_up, down, ends) * weights_NK.flatten()[pair].unsqueeze(-1)
    return y.view(N, K, -1).sum(1)


@wrong("left in sorted order", "reshaped the other way")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    N, K = experts_NK.shape
    y = rows_of(x_ND[pair // K], gate_up, down, ends) * weights_NK.flatten()[pair].unsqueeze(-1)
    return y.view(K, N, -1).sum(0)


@wrong("wrong shape", "the rows as they are")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    y = rows_of(x_ND[pair // experts_NK.shape[1]], gate_up, down, ends)
    return y * weights_NK.flatten()[pair, None]


@wrong("sorted again")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    N, K = experts_NK.shape
    y = rows_of(x_ND[pair // K], gate_up, down, ends) * weights_NK.flatten()[pair].unsqueeze(-1)
    return y[pair].view(N, K, -1).sum(1)


@wrong("weights not sorted")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.reshape(-1, 1)
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("weights by token")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.reshape(-1, 1)[token]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("weights sorted back")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    weights = torch.empty(len(pair)).scatter(0, pair, weights_NK.flatten())
    y = rows_of(x_ND[token], gate_up, down, ends) * weights[:, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("weights along the features")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("tokens not sorted")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    K = experts_NK.shape[1]
    y = rows_of(x_ND.repeat_interleave(K, 0), gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, pair // K, y)


@wrong("wrong token of a pair", "the remainder")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair % experts_NK.shape[1]
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("wrong token of a pair", "divided by the experts")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // len(down)
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("wrong token of a pair", "x repeated as a whole")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    K = experts_NK.shape[1]
    y = rows_of(x_ND.repeat(K, 1)[pair], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, pair // K, y)


@wrong("wrong token of a pair", "divided by the tokens")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = torch.div(pair, len(x_ND), rounding_mode="floor")
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("raises IndexError", "the pair for the token")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    y = rows_of(x_ND[pair], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, pair, y)


@wrong("gathered, not added")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return y[token].view(N, K, -1).sum(1)


@wrong("wrong token of a pair", "sorted back, but shaped (K, N)")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return y[pair.argsort()].view(K, N, -1).sum(0)


@wrong("weights sorted, rows sorted back")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    y = rows_of(x_ND[token], gate_up, down, ends)[pair.argsort()].view(N, K, -1)
    return (y * weights_NK.flatten()[pair].view(N, K, 1)).sum(1)


@wrong("weights laid flat by choice")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.T.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("wrong token of a pair", "added to the remainder")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, pair % K, y)


@wrong("wrong token of a pair", "added as if numbered by choice")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    N, K = experts_NK.shape
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // K
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, pair % N, y)


@wrong("weights sorted by size")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // experts_NK.shape[1]
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten().sort()[0][:, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("K taken for 2", "as in the example")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = pair // 2
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("K taken for 2", "kept within the tokens")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, len(down))
    token = (pair // 2).clamp(max=len(x_ND) - 1)
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)


@wrong("raises ValueError", "experts behind the last chosen one have no end")
def _(x_ND, weights_NK, experts_NK, gate_up, down):
    pair, ends = sort_by_expert(experts_NK, int(experts_NK.max()) + 1)
    token = pair // experts_NK.shape[1]
    y = rows_of(x_ND[token], gate_up, down, ends) * weights_NK.flatten()[pair, None]
    return torch.zeros_like(x_ND).index_add(0, token, y)
