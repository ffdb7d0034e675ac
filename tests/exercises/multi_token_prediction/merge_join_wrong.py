"""Wrong answers to `merge`: the norms, and how the parts are put together."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.multi_token_prediction.merge_parts import later, learner_joins, refuse_illegal

from mini_moe.course.exercises.multi_token_prediction.merge import EXERCISE
from mini_moe.layers import rms_norm

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


def size(x, eps):
    return (x.pow(2).mean(-1, keepdim=True) + eps).sqrt()


@wrong("hidden state first", "as the paper prints it")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return F.linear(torch.cat((rms_norm(h, hnorm, eps), rms_norm(e, enorm, eps)), dim=-1), w)


@wrong("hidden state first", "two products")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    of_h, of_e = w.chunk(2, dim=1)
    return rms_norm(h, hnorm, eps) @ of_h.T + rms_norm(e, enorm, eps) @ of_e.T


@wrong("norms exchanged")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return F.linear(torch.cat((rms_norm(e, hnorm, eps), rms_norm(h, enorm, eps)), dim=-1), w)


@wrong("norms exchanged", "in the signature")
def _(hidden, tokens, depth, embedding, enorm, hnorm, w, eps=1e-6):
    refuse_illegal(depth)
    e = rms_norm(embedding[later(tokens, depth)], enorm, eps)
    return torch.cat((e, rms_norm(hidden, hnorm, eps)), dim=-1) @ w.T


@wrong("parts and norms exchanged")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return F.linear(torch.cat((rms_norm(h, enorm, eps), rms_norm(e, hnorm, eps)), dim=-1), w)


@wrong("rounded", "bfloat16 inside")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    e, h = rms_norm(e.bfloat16(), enorm, eps), rms_norm(h.bfloat16(), hnorm, eps)
    return F.linear(torch.cat((e, h), dim=-1), w.bfloat16()).to(w.dtype)


@wrong("one norm's weights for both", "enorm")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return torch.cat([rms_norm(part, enorm, eps) for part in (e, h)], -1) @ w.T


@wrong("one norm's weights for both", "hnorm")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return torch.cat([rms_norm(part, hnorm, eps) for part in (e, h)], -1) @ w.T


@wrong("embedding not normed")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return F.linear(torch.cat((e, rms_norm(h, hnorm, eps)), dim=-1), w)


@wrong("embedding not normed", "only weighed")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return F.linear(torch.cat((e * enorm, rms_norm(h, hnorm, eps)), dim=-1), w)


@wrong("hidden state not normed", "it comes from the model's last norm")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return F.linear(torch.cat((rms_norm(e, enorm, eps), h), dim=-1), w)


@wrong("neither normed")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return F.linear(torch.cat((e, h), dim=-1), w)


@wrong("normed together", "rms_norm")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return F.linear(rms_norm(torch.cat((e, h), dim=-1), torch.cat((enorm, hnorm)), eps), w)


@wrong("normed together", "F.rms_norm")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    joined = torch.cat((e, h), dim=-1)
    return F.linear(F.rms_norm(joined, joined.shape[-1:]), w)


@wrong("normed after the product")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    y = F.linear(torch.cat((rms_norm(e, enorm, eps), rms_norm(h, hnorm, eps)), dim=-1), w)
    return F.rms_norm(y, y.shape[-1:])


@wrong("weight of a norm left out", "both")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return F.linear(torch.cat((e / size(e, eps), h / size(h, eps)), dim=-1), w)


@wrong("weight of a norm left out", "the embedding's")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return F.linear(torch.cat((e / size(e, eps), rms_norm(h, hnorm, eps)), dim=-1), w)


@wrong("weight of a norm left out", "the hidden state's, by F.rms_norm")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return F.linear(torch.cat((rms_norm(e, enorm, eps), F.rms_norm(h, hnorm.shape, eps=eps)), dim=-1), w)


@wrong("LayerNorm in place of RMSNorm")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    e, h = (F.layer_norm(x, x.shape[-1:], weight, eps=eps) for x, weight in ((e, enorm), (h, hnorm)))
    return F.linear(torch.cat((e, h), dim=-1), w)


@wrong("length in place of root mean square")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return F.linear(torch.cat((F.normalize(e, dim=-1) * enorm, F.normalize(h, dim=-1) * hnorm), dim=-1), w)


@wrong("eps not handed on", "to both")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return F.linear(torch.cat((rms_norm(e, enorm), rms_norm(h, hnorm)), dim=-1), w)


@wrong("eps not handed on", "to the embedding's")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return F.linear(torch.cat((rms_norm(e, enorm), rms_norm(h, hnorm, eps)), dim=-1), w)


@wrong("eps not handed on", "none at all")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return F.linear(torch.cat((rms_norm(e, enorm, 0.0), rms_norm(h, hnorm, 0.0)), dim=-1), w)


@wrong("scaled before the norm", "by the root of D")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    e = rms_norm(e * e.shape[-1] ** 0.5, enorm, eps)
    return F.linear(torch.cat((e, rms_norm(h, hnorm, eps)), dim=-1), w)


@wrong("another default", "1e-5")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps=1e-5):
    refuse_illegal(depth)
    e = rms_norm(embedding[later(tokens, depth)], enorm, eps)
    return torch.cat((e, rms_norm(hidden, hnorm, eps)), dim=-1) @ w.T


@wrong("another default", "none")
def _(hidden, tokens, depth, embedding, hnorm, enorm, w, eps):
    refuse_illegal(depth)
    e = rms_norm(embedding[later(tokens, depth)], enorm, eps)
    return torch.cat((e, rms_norm(hidden, hnorm, eps)), dim=-1) @ w.T


@wrong("added in place of joined", "no matrix")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return rms_norm(e, enorm, eps) + rms_norm(h, hnorm, eps)


@wrong("added in place of joined", "the first half of the matrix")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return F.linear(rms_norm(e, enorm, eps) + rms_norm(h, hnorm, eps), w[:, : w.shape[0]])


@wrong("added in place of joined", "both halves")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    x = rms_norm(e, enorm, eps) + rms_norm(h, hnorm, eps)
    return F.linear(torch.cat((x, x), dim=-1), w)


@wrong("multiplied in place of joined")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return F.linear(rms_norm(e, enorm, eps) * rms_norm(h, hnorm, eps), w[:, : w.shape[0]])


@wrong("without the matrix")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return torch.cat((rms_norm(e, enorm, eps), rms_norm(h, hnorm, eps)), dim=-1)


@wrong("features interleaved")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    pairs = torch.stack((rms_norm(e, enorm, eps), rms_norm(h, hnorm, eps)), dim=-1)
    return F.linear(pairs.reshape(*e.shape[:2], -1), w)


@wrong("matrix read in another order")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return torch.cat((rms_norm(e, enorm, eps), rms_norm(h, hnorm, eps)), dim=-1) @ w.reshape(-1, w.shape[0])


@wrong("raises RuntimeError", "the matrix not transposed")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return torch.cat((rms_norm(e, enorm, eps), rms_norm(h, hnorm, eps)), dim=-1) @ w


@wrong("raises RuntimeError", "joined over the positions")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return F.linear(torch.cat((rms_norm(e, enorm, eps), rms_norm(h, hnorm, eps)), dim=1), w)


@wrong("raises RuntimeError", "view")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    h = rms_norm(h.view(-1, h.shape[-1]), hnorm, eps).view(h.shape)
    return F.linear(torch.cat((rms_norm(e, enorm, eps), h), dim=-1), w)


@wrong("something added to the result", "the hidden state")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    return h + F.linear(torch.cat((rms_norm(e, enorm, eps), rms_norm(h, hnorm, eps)), dim=-1), w)


@wrong("part of an input not used", "the last feature's weight")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    enorm = torch.cat((enorm[:-1], torch.ones(1))) if len(enorm) > 1 else enorm
    return F.linear(torch.cat((rms_norm(e, enorm, eps), rms_norm(h, hnorm, eps)), dim=-1), w)


@wrong("eps outside the root", "by a student who had not seen the checks")
@learner_joins
def _(e, h, enorm, hnorm, w, eps):
    e, h = (x / (x.pow(2).mean(-1, keepdim=True).sqrt() + eps) * weight for x, weight in ((e, enorm), (h, hnorm)))
    return F.linear(torch.cat((e, h), dim=-1), w)
