"""Answers to `affinities`: wrong ones as learners write them, right ones each in another way."""

import math

import torch
import torch.nn.functional as F
from exercises.answers import Answers, Claims

from mini_moe.course.exercises.mixture_of_experts.affinities import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong, right = ANSWERS.wrong, ANSWERS.right


class TestAffinities(Claims):
    answers = ANSWERS


@wrong("softmax in place of sigmoid", "F.softmax")
def _(x_ND, centroids_ED):
    logits = F.linear(x_ND.float(), centroids_ED.float())
    return F.softmax(logits, dim=-1)


@wrong("softmax in place of sigmoid", "by hand")
def _(x_ND, centroids_ED):
    e = torch.exp(x_ND.float() @ centroids_ED.float().T)
    return e / e.sum(1, keepdim=True)


@wrong("softmax over the tokens")
def _(x_ND, centroids_ED):
    return torch.softmax(torch.einsum("nd,ed->ne", x_ND.float(), centroids_ED.float()), 0)


@wrong("no sigmoid")
def _(x_ND, centroids_ED):
    return torch.einsum("nd,ed->ne", x_ND.float(), centroids_ED.float())


@wrong("sigmoid twice")
def _(x_ND, centroids_ED):
    scores = torch.sigmoid(x_ND.float() @ centroids_ED.float().mT)
    return torch.sigmoid(scores)


@wrong("sign of the exponent")
def _(x_ND, centroids_ED):
    z = x_ND.float() @ centroids_ED.float().T
    return 1 / (1 + torch.exp(z))


@wrong("another curve", "tanh")
def _(x_ND, centroids_ED):
    return torch.tanh(x_ND.float() @ centroids_ED.float().T)


@wrong("another curve", "exp")
def _(x_ND, centroids_ED):
    return (x_ND.float() @ centroids_ED.float().T).exp()


@wrong("normalised over the experts")
def _(x_ND, centroids_ED):
    s = torch.sigmoid(x_ND.float() @ centroids_ED.float().T)
    return s / s.sum(-1, keepdim=True)


@wrong("cosine in place of dot product", "F.cosine_similarity, then a sigmoid")
def _(x_ND, centroids_ED):
    return F.cosine_similarity(x_ND.float()[:, None], centroids_ED.float()[None], dim=-1).sigmoid()


@wrong("cosine in place of dot product", "without the sigmoid")
def _(x_ND, centroids_ED):
    x, c = x_ND.float(), centroids_ED.float()
    return (x / x.norm(dim=-1, keepdim=True)) @ (c / c.norm(dim=-1, keepdim=True)).T


@wrong("cosine in place of dot product", "centroids of length 1")
def _(x_ND, centroids_ED):
    c = centroids_ED.float()
    return torch.sigmoid(x_ND.float() @ (c / c.norm(dim=1, keepdim=True)).T)


@wrong("distance in place of dot product")
def _(x_ND, centroids_ED):
    difference = x_ND.float()[:, None] - centroids_ED.float()
    return torch.sigmoid(-difference.norm(dim=-1))


@wrong("divided by the root of D")
def _(x_ND, centroids_ED):
    scores = x_ND.float() @ centroids_ED.float().T / math.sqrt(x_ND.shape[-1])
    return scores.sigmoid()


@wrong("mean in place of sum")
def _(x_ND, centroids_ED):
    return (x_ND.float().unsqueeze(1) * centroids_ED.float()).mean(-1).sigmoid()


@wrong("sigmoid before the sum")
def _(x_ND, centroids_ED):
    return torch.sigmoid(x_ND.float().unsqueeze(1) * centroids_ED.float()).sum(-1)


@wrong("sigmoid before the product", "of the token")
def _(x_ND, centroids_ED):
    return torch.sigmoid(x_ND.float()) @ centroids_ED.float().T


@wrong("not in float32", "the type forgotten")
def _(x_ND, centroids_ED):
    return torch.sigmoid(x_ND @ centroids_ED.T)


@wrong("not in float32", "converted after the product")
def _(x_ND, centroids_ED):
    logits = F.linear(x_ND, centroids_ED).to(torch.float32)
    return logits.sigmoid()


@wrong("not in float32", "converted at the end")
def _(x_ND, centroids_ED):
    return F.linear(x_ND, centroids_ED).sigmoid().float()


@wrong("not in float32", "the result brought back")
def _(x_ND, centroids_ED):
    return F.linear(x_ND.float(), centroids_ED.float()).to(x_ND.dtype).sigmoid().float()


@wrong("not in float32", "half")
def _(x_ND, centroids_ED):
    return torch.sigmoid((x_ND.half() @ centroids_ED.half().T).to(torch.float32))


@wrong("softmax in place of sigmoid", "after a sigmoid")
def _(x_ND, centroids_ED):
    return F.linear(x_ND.float(), centroids_ED.float()).sigmoid().softmax(dim=-1)


@wrong("another curve", "silu")
def _(x_ND, centroids_ED):
    z = F.linear(x_ND.float(), centroids_ED.float())
    return z * torch.sigmoid(z)


@wrong("wrong dtype", "left in float64")
def _(x_ND, centroids_ED):
    return F.linear(x_ND.double(), centroids_ED.double()).sigmoid()


@wrong("transposed")
def _(x_ND, centroids_ED):
    return torch.sigmoid(torch.einsum("nd,ed->en", x_ND.float(), centroids_ED.float()))


@wrong("centroids detached")
def _(x_ND, centroids_ED):
    return F.linear(x_ND.float(), centroids_ED.data.float()).sigmoid()


@wrong("tokens detached")
def _(x_ND, centroids_ED):
    return F.linear(x_ND.detach().float(), centroids_ED.float()).sigmoid()


@wrong("router detached", "no_grad")
def _(x_ND, centroids_ED):
    with torch.no_grad():
        return F.linear(x_ND.float(), centroids_ED.float()).sigmoid()


@wrong("centroids not transposed")
def _(x_ND, centroids_ED):
    return torch.sigmoid(x_ND.float() @ centroids_ED.float())


@wrong("returns None")
def _(x_ND, centroids_ED):
    s = F.linear(x_ND.float(), centroids_ED.float())
    s.sigmoid_()


@wrong("sigmoid before the product", "of both")
def _(x_ND, centroids_ED):
    return F.linear(x_ND.float().sigmoid(), centroids_ED.float().sigmoid())


@wrong("not in float32", "the centroids brought to the tokens' type")
def _(x_ND, centroids_ED):
    return F.linear(x_ND.float(), centroids_ED.type_as(x_ND).float()).sigmoid()


@wrong("not in float32", "the product in the tokens' type")
def _(x_ND, centroids_ED):
    return torch.einsum("nd,ed->ne", x_ND, centroids_ED.to(x_ND.dtype)).float().sigmoid()


@wrong("not in float32", "rounded to bfloat16 first")
def _(x_ND, centroids_ED):
    return F.linear(x_ND.bfloat16().float(), centroids_ED.bfloat16().float()).sigmoid()


@wrong("fewer bits than float32", "the tokens rounded to float16")
def _(x_ND, centroids_ED):
    return F.linear(x_ND.half().float(), centroids_ED.float()).sigmoid()


@wrong("not in float32", "rounded at the end")
def _(x_ND, centroids_ED):
    return F.linear(x_ND.float(), centroids_ED.float()).sigmoid().to(x_ND.dtype).to(torch.float32)


@wrong("raises RuntimeError", "only the tokens converted")
def _(x_ND, centroids_ED):
    return torch.sigmoid(x_ND.float() @ centroids_ED.T)


@wrong("wrong dtype", "left in float64 where it was given")
def _(x_ND, centroids_ED):
    wide = torch.float64 if x_ND.dtype == torch.float64 else torch.float32
    return F.linear(x_ND.to(wide), centroids_ED.to(wide)).sigmoid()


@wrong("exp overflows")
def _(x_ND, centroids_ED):
    e = torch.exp(F.linear(x_ND.float(), centroids_ED.float()))
    return e / (e + 1)


@wrong("large dot products", "clamped")
def _(x_ND, centroids_ED):
    return F.linear(x_ND.float(), centroids_ED.float()).clamp(-10, 10).sigmoid()


@wrong("centroids not transposed", "only where that gives no error")
def _(x_ND, centroids_ED):
    square = centroids_ED.shape[0] == centroids_ED.shape[1]
    return (x_ND.float() @ (centroids_ED if square else centroids_ED.T).float()).sigmoid()


@wrong("wrong shape", "a single expert's dimension lost")
def _(x_ND, centroids_ED):
    return F.linear(x_ND.float(), centroids_ED.float()).sigmoid().squeeze(1)


@wrong("part of an input not used", "the first token for all")
def _(x_ND, centroids_ED):
    return F.linear(x_ND[:1].float(), centroids_ED.float()).sigmoid().repeat(len(x_ND), 1)


@wrong("changes its input", "where no gradient is needed")
def _(x_ND, centroids_ED):
    s = F.linear(x_ND.float(), centroids_ED.float()).sigmoid()
    if not x_ND.requires_grad:
        x_ND.zero_()
    return s


@right("einsum and the exponential")
def _(x_ND, centroids_ED):
    return 1 / (1 + torch.exp(-torch.einsum("nd,ed->ne", x_ND.float(), centroids_ED.float())))


@right("float64 inside")
def _(x_ND, centroids_ED):
    return torch.special.expit(x_ND.double() @ centroids_ED.double().T).float()


@right("expert by expert")
def _(x_ND, centroids_ED):
    columns = [torch.sigmoid((x_ND.float() * centroid).sum(-1)) for centroid in centroids_ED.float()]
    return torch.stack(columns, dim=1)


@right("in place, on its own scores")
def _(x_ND, centroids_ED):
    return torch.matmul(centroids_ED.to(torch.float32), x_ND.to(torch.float32).T).T.contiguous().sigmoid_()


@right("a softmax of the dot product against 0")
def _(x_ND, centroids_ED):
    z = (x_ND.float()[:, None] * centroids_ED.float()).sum(-1)
    return F.softmax(torch.stack((z, torch.zeros_like(z))), dim=0)[0]


@wrong("rounded")
def _(x, centroids):
    return torch.round(F.linear(x.float(), centroids.float()).sigmoid(), decimals=4)
