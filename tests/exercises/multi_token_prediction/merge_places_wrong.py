"""Wrong answers to `merge`: which token, which hidden state, at which position."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.multi_token_prediction.merge_parts import later, learner_joins, learner_reads, refuse_illegal

from mini_moe.course.exercises.multi_token_prediction.merge import EXERCISE
from mini_moe.layers import rms_norm

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


def both(e, h, enorm, hnorm, w, eps):
    return F.linear(torch.cat((rms_norm(e, enorm, eps), rms_norm(h, hnorm, eps)), dim=-1), w)


@wrong("token at i in place of i + depth")
@learner_reads
def _(tokens, depth):
    return tokens


@wrong("token at i + depth - 1", "padded")
@learner_reads
def _(tokens, depth):
    return F.pad(tokens, (0, depth))[:, depth - 1 : depth - 1 + tokens.shape[1]]


@wrong("the answer read", "depth + 1")
@learner_reads
def _(tokens, depth):
    return later(tokens, depth + 1)


@wrong("the answer read", "rolled")
@learner_reads
def _(tokens, depth):
    return torch.roll(tokens, -depth - 1, 1)


@wrong("depth taken for 1")
@learner_reads
def _(tokens, depth):
    return torch.cat((tokens[:, 1:], torch.zeros_like(tokens[:, :1])), dim=1)


@wrong("moved the wrong way", "padded in front")
@learner_reads
def _(tokens, depth):
    return F.pad(tokens, (depth, 0))[:, : tokens.shape[1]]


@wrong("moved the wrong way", "roll")
@learner_reads
def _(tokens, depth):
    return tokens.roll(depth, dims=1)


@wrong("no token read", "the hidden state's half of the matrix")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    return rms_norm(hidden, hnorm, eps) @ w[:, hidden.shape[-1] :].T


@wrong("no token read", "the hidden state twice")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    h = rms_norm(hidden, hnorm, eps)
    return torch.cat((h, h), dim=-1) @ w.T


@wrong("no hidden state read")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    e = rms_norm(embedding[later(tokens, depth)], enorm, eps)
    return e @ w[:, : hidden.shape[-1]].T


@wrong("no hidden state read", "the embedding twice")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    e = rms_norm(embedding[later(tokens, depth)], enorm, eps)
    return F.linear(torch.cat((e, e), dim=-1), w)


@wrong("wrapped around", "roll")
@learner_reads
def _(tokens, depth):
    return torch.roll(tokens, shifts=-depth, dims=1)


@wrong("wrapped around", "of the embeddings")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    e = torch.roll(rms_norm(F.embedding(tokens, embedding), enorm, eps), -depth, dims=-2)
    return F.linear(torch.cat((e, rms_norm(hidden, hnorm, eps)), dim=-1), w)


@wrong("last token repeated", "clamp")
@learner_reads
def _(tokens, depth):
    T = tokens.shape[1]
    return tokens[:, (torch.arange(T) + depth).clamp(max=T - 1)]


@wrong("last token repeated", "the end of the text left as it is")
@learner_reads
def _(tokens, depth):
    return torch.cat((tokens[:, depth:], tokens[:, -depth:]), dim=1)


@wrong("another token at the end", "the last of the vocabulary")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    later = F.pad(tokens, (0, depth), value=len(embedding) - 1)[:, depth:]
    return both(embedding[later], hidden, enorm, hnorm, w, eps)


@wrong("zeros as the result")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    y = both(embedding[later(tokens, depth)], hidden, enorm, hnorm, w, eps)
    y[:, -depth:] = 0
    return y


@wrong("raises IndexError", "IGNORE looked up")
@learner_reads
def _(tokens, depth):
    return F.pad(tokens, (0, depth), value=-100)[:, depth:]


@wrong("own hidden state not read", "the last one for all")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    return both(embedding[later(tokens, depth)], hidden[:, -1:].expand_as(hidden), enorm, hnorm, w, eps)


@wrong("hidden state of another position", "the mean of all")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    mean = hidden.mean(dim=1, keepdim=True).expand_as(hidden)
    return both(embedding[later(tokens, depth)], mean, enorm, hnorm, w, eps)


@wrong("zeros in place of token 0", "embeddings padded")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    e = rms_norm(embedding[tokens], enorm, eps)
    e = F.pad(e, (0, 0, 0, depth))[:, depth:]
    return F.linear(torch.cat((e, rms_norm(hidden, hnorm, eps)), dim=-1), w)


@wrong("next row's tokens")
@learner_reads
def _(tokens, depth):
    flat = tokens.flatten()[depth:]
    return F.pad(flat, (0, tokens.numel() - len(flat))).reshape(tokens.shape)


@wrong("moved over the batch")
@learner_reads
def _(tokens, depth):
    return torch.roll(tokens, -depth, 0)


@wrong("last positions left out")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    e = rms_norm(embedding[tokens[:, depth:]], enorm, eps)
    return F.linear(torch.cat((e, rms_norm(hidden[:, :-depth], hnorm, eps)), dim=-1), w)


@wrong("text shorter than depth", "filled by depth")
@learner_reads
def _(tokens, depth):
    return F.pad(tokens[:, depth:], (0, depth))


@wrong("text shorter than depth", "a loop")
@learner_reads
def _(tokens, depth):
    rows = [row[depth:].tolist() + [0] * depth for row in tokens]
    return torch.tensor(rows)


@wrong("hidden states moved, too")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    hidden = F.pad(hidden, (0, 0, 0, depth))[:, depth:]
    return both(embedding[later(tokens, depth)], hidden, enorm, hnorm, w, eps)


@wrong("hidden states moved in place of tokens")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    hidden = F.pad(hidden, (0, 0, 0, depth))[:, depth:]
    return both(embedding[tokens], hidden, enorm, hnorm, w, eps)


@wrong("pairs stand too late")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    hidden = F.pad(hidden, (0, 0, depth, 0))[:, : tokens.shape[1]]
    return both(embedding[tokens], hidden, enorm, hnorm, w, eps)


@wrong("hidden state detached")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return both(e, h.detach(), enorm, hnorm, w, eps)


@wrong("embedding detached")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    with torch.no_grad():
        e = embedding[later(tokens, depth)]
    return both(e, hidden, enorm, hnorm, w, eps)


@wrong("token 0 does not learn", "padding_idx")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    return both(F.embedding(later(tokens, depth), embedding, padding_idx=0), hidden, enorm, hnorm, w, eps)


@wrong("texts not taken apart", "the first text's token for all")
@learner_reads
def _(tokens, depth):
    return later(tokens, depth)[:1].expand_as(tokens)


@wrong("changes its input", "the text moved in place")
@learner_reads
def _(tokens, depth):
    tokens[:, :-depth] = tokens[:, depth:].clone()
    tokens[:, -depth:] = 0
    return tokens


@wrong("wrong gradient", "the end's embeddings overwritten with copies")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    e = embedding[later(tokens, depth)]
    e[:, -depth:] = embedding[0].detach()
    return both(e, hidden, enorm, hnorm, w, eps)


@wrong("not refused")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    later = torch.zeros_like(tokens)
    for i in range(tokens.shape[1]):
        if 0 <= i + depth < tokens.shape[1]:
            later[:, i] = tokens[:, i + depth]
    return both(embedding[later], hidden, enorm, hnorm, w, eps)


@wrong("not refused", "depth 0")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    if depth < 0:
        raise ValueError(f"depth must be positive, got {depth}")
    return both(embedding[later(tokens, depth)], hidden, enorm, hnorm, w, eps)


@wrong("another error than documented", "assert")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    assert depth >= 1, f"depth must be at least 1, got {depth}"
    return both(embedding[later(tokens, depth)], hidden, enorm, hnorm, w, eps)


@wrong("error without the value")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    if depth < 1:
        raise ValueError("depth must be at least 1")
    return both(embedding[later(tokens, depth)], hidden, enorm, hnorm, w, eps)


@wrong("refuses a legal input", "depth 1")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    if depth <= 1:
        raise ValueError(f"depth must be at least 1, got {depth}")
    return both(embedding[later(tokens, depth)], hidden, enorm, hnorm, w, eps)


@wrong("returns None")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-6):
    refuse_illegal(depth)
    both(embedding[later(tokens, depth)], hidden, enorm, hnorm, w, eps)
