"""Lesson 06, `merge`: the mistakes that people make with the tokens, the hidden states, and their places."""

import torch
import torch.nn.functional as F

from mini_moe.course.checking.exercise import Mistake
from mini_moe.layers import rms_norm
from mini_moe.mtp import merge


def later(x, n):
    """x_(i + n) at position i, and 0 where there is none; n may be negative. x: (B, T) or (B, T, D)."""
    rest = x[:, max(n, 0) : max(x.shape[1] + min(n, 0), 0)]
    missing = torch.zeros_like(x[:, : x.shape[1] - rest.shape[1]])
    return torch.cat((rest, missing) if n > 0 else (missing, rest), dim=1)


def side_by_side(e, h, w):
    return F.linear(torch.cat((e, h), dim=-1), w)


def merged(*, token=later, look_up=F.embedding, hidden=lambda h, depth: h, e_norm=rms_norm, h_norm=rms_norm, join=None):
    """The merge with one thing changed, for the mistakes.

    Args:
        token: ``token(tokens, depth)``, what is read.
        look_up: ``look_up(tokens, table)``.
        hidden: ``hidden(h, depth)``, what is thought.
        e_norm, h_norm: ``norm(x, weight, eps)`` of the embedding and of the hidden state.
        join: ``join(e, h, w)``, the result.
    """

    def function(h, tokens, depth, table, h_weight, e_weight, w, eps=1e-6):
        e = e_norm(look_up(token(tokens, depth), table), e_weight, eps)
        return (join or side_by_side)(e, h_norm(hidden(h, depth), h_weight, eps), w)

    return function


def _moved_after(move, places=lambda depth: depth):
    """With embeddings that ``move(e, n)`` moves, normed before, for the mistakes."""

    def function(h, tokens, depth, table, h_weight, e_weight, w, eps=1e-6):
        e = move(rms_norm(F.embedding(tokens, table), e_weight, eps), places(depth))
        return side_by_side(e, rms_norm(h, h_weight, eps), w)

    return function


def rolled(x, n):
    return x.roll(-n, dims=1)


def _last_repeated(x, n):
    return x[:, (torch.arange(x.shape[1]) + n).clamp(max=x.shape[1] - 1)]


def _next_row(tokens, n):
    return later(tokens.reshape(1, -1), n).view(tokens.shape)


def _filled(number):
    """Tokens filled up with ``number(V)``, for the mistakes."""

    def function(h, tokens, depth, table, *rest):
        end = (later(torch.ones_like(tokens), depth) == 0) * number(len(table))
        return merged(token=lambda tokens, depth: later(tokens, depth) + end)(h, tokens, depth, table, *rest)

    return function


def _zero_result(h, tokens, depth, *rest):
    return merge(h, tokens, depth, *rest) * later(torch.ones_like(tokens), depth)[..., None]


def _left_out(h, tokens, depth, *rest):
    return merge(h, tokens, depth, *rest)[:, : max(tokens.shape[1] - depth, 0)]


def _short_texts_stop(h, tokens, depth, *rest):
    if depth > tokens.shape[1]:
        raise RuntimeError
    return merge(h, tokens, depth, *rest)


def _part(w, start):
    D = w.shape[0]
    return w[:, start * D :][:, :D]


def _thought_late(h, tokens, depth, *rest):
    """h_(i - depth) beside t_i: the right pairs, at wrong positions."""
    return merged(token=lambda tokens, depth: tokens, hidden=lambda h, depth: later(h, -depth))(h, tokens, depth, *rest)


MISTAKES = tuple(
    Mistake(name, says, function)
    for name, says, functions in (
        (
            "token at i in place of i + depth",
            "Beside h_i stands t_i, which the model has read already: that is nothing new. A module of depth k reads "
            "the token at i + k, which came later.",
            (merged(token=lambda tokens, depth: tokens),),
        ),
        (
            "token at i + depth - 1",
            "The token is that at i + depth - 1, one too early: at depth 1 it is t_i, which the model has read "
            "already. Move the text by `depth`.",
            (
                merged(token=lambda tokens, depth: later(tokens, depth - 1)),
                merged(token=lambda tokens, depth: rolled(tokens, depth - 1)),
            ),
        ),
        (
            "the answer read",
            "The token is that at i + depth + 1: it is what the module is to predict, so it would only have to repeat "
            "it. Move the text by `depth`.",
            (
                merged(token=lambda tokens, depth: later(tokens, depth + 1)),
                merged(token=lambda tokens, depth: rolled(tokens, depth + 1)),
                _moved_after(later, lambda depth: depth + 1),
            ),
        ),
        (
            "depth taken for 1",
            "`depth` is not used: the token is always that at i + 1, as at depth 1. A module of depth k reads the one "
            "at i + k.",
            (
                merged(token=lambda tokens, depth: later(tokens, 1)),
                merged(token=lambda tokens, depth: rolled(tokens, 1)),
                _moved_after(later, lambda depth: 1),
            ),
        ),
        (
            "moved the wrong way",
            "The text is moved to the right: beside h_i stands a token that came *before* it. It is the one that came "
            "later, at i + depth.",
            (
                merged(token=lambda tokens, depth: later(tokens, -depth)),
                merged(token=lambda tokens, depth: rolled(tokens, -depth)),
                _moved_after(later, lambda depth: -depth),
                _moved_after(rolled, lambda depth: -depth),
            ),
        ),
        (
            "no token read",
            "No token is read: each guess is then made from h_i alone, as by the parallel heads of Medusa and of "
            "arXiv 2404.19737. Here a module knows the tokens between.",
            (
                *(merged(join=lambda e, h, w, start=start: F.linear(h, _part(w, start))) for start in (0, 1)),
                merged(join=lambda e, h, w: side_by_side(h, h, w)),
                merged(join=lambda e, h, w: h),
                merged(look_up=lambda tokens, table: torch.zeros(*tokens.shape, table.shape[1])),
            ),
        ),
        (
            "no hidden state read",
            "The hidden state is not read: the module would have to guess from one token, as if there were no text "
            "before it. Put h_i beside its embedding.",
            (
                *(merged(join=lambda e, h, w, start=start: F.linear(e, _part(w, start))) for start in (0, 1)),
                merged(join=lambda e, h, w: side_by_side(e, e, w)),
                merged(join=lambda e, h, w: e),
            ),
        ),
        (
            "wrapped around",
            "The last positions read tokens from the beginning: `roll` brings back what it pushes out. Where the text "
            "has ended, token 0 is read.",
            (
                merged(token=rolled),
                merged(token=lambda tokens, depth: tokens.reshape(-1).roll(-depth).view(tokens.shape)),
            ),
        ),
        (
            "last token repeated",
            "The last positions read the last token again: where the text has ended, token 0 is read.",
            (
                merged(token=_last_repeated),
                merged(token=lambda tokens, depth: torch.cat((tokens[:, depth:], tokens[:, -depth:]), dim=1)),
            ),
        ),
        (
            "another token at the end",
            "The last positions read another token than 0: where the text has ended, it goes on with zeros.",
            (_filled(lambda V: 1), _filled(lambda V: V - 1)),
        ),
        (
            "zeros as the result",
            "The last positions are 0: nothing is to be hidden there. They read token 0; their loss does not count.",
            (_zero_result,),
        ),
        (
            "zeros in place of token 0",
            "The last positions get an embedding of zeros: they read *token 0*, so fill up the tokens, before they are "
            "looked up.",
            (_moved_after(later),),
        ),
        (
            "next row's tokens",
            "The last positions of a row read the tokens of the next one: each row is a text by itself. Move along "
            "`dim=1`.",
            (merged(token=_next_row),),
        ),
        (
            "moved over the batch",
            "It moves rows and not positions: the dimensions are (B, T), so move along `dim=1`.",
            (
                merged(token=lambda tokens, depth: later(tokens.T, depth).T),
                merged(token=lambda tokens, depth: tokens.roll(-depth, dims=0)),
            ),
        ),
        (
            "last positions left out",
            "The last `depth` positions are left out: they read token 0, so that the result has T positions. Their "
            "loss does not count, and masks and caches fit.",
            (_left_out,),
        ),
        (
            "text shorter than depth",
            "It stops where the text has fewer tokens than `depth`: then each position reads token 0. Fill up with at "
            "most T zeros, `min(depth, T)`.",
            (_short_texts_stop,),
        ),
        (
            "hidden states moved, too",
            "Tokens and hidden states are both moved: then h_(i + depth) meets the token that it has read itself. The "
            "hidden states stay where they are.",
            (merged(hidden=later), merged(hidden=rolled), merged(hidden=rolled, token=rolled)),
        ),
        (
            "hidden states moved in place of tokens",
            "The hidden states are moved, and the tokens are not: h_(i + depth) has seen t_i long before. Move the "
            "tokens.",
            tuple(merged(token=lambda tokens, depth: tokens, hidden=hidden) for hidden in (later, rolled)),
        ),
        (
            "pairs stand too late",
            "Token and hidden state fit, but stand at i + depth: the hidden states were moved to the right. Move the "
            "tokens to the left, so that the result for h_i stands at i.",
            (
                _thought_late,
                merged(token=lambda tokens, depth: tokens, hidden=lambda h, depth: rolled(h, -depth)),
            ),
        ),
        (
            "hidden state detached",
            "The result is right, but no gradient passes through the hidden state: the loss of the module is to train "
            "the model before it, too.",
            (merged(hidden=lambda h, depth: h.detach()),),
        ),
        (
            "embedding detached",
            "The result is right, but no gradient reaches the embedding: it is the model's own, and the loss of the "
            "module is to train it, too.",
            (merged(look_up=lambda tokens, table: F.embedding(tokens, table.detach())),),
        ),
        (
            "token 0 does not learn",
            "The result is right, but row 0 of the embedding gets no gradient: `padding_idx` takes it for no token. It "
            "is one like any other.",
            (merged(look_up=lambda tokens, table: F.embedding(tokens, table, padding_idx=0)),),
        ),
    )
    for function in functions
)
