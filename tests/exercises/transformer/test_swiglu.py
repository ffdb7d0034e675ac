"""Answers to `swiglu`: wrong ones as learners write them, right ones each in another way."""

import math

import torch
import torch.nn.functional as F
from exercises.answers import Answers, Claims

from mini_moe.course.exercises.transformer.swiglu import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong, right = ANSWERS.wrong, ANSWERS.right


class TestSwiglu(Claims):
    answers = ANSWERS


@wrong("gate and up exchanged")
def _(x, w_gate, w_up, w_down):
    up = F.silu(x @ w_up.T)
    gate = x @ w_gate.T
    return (gate * up) @ w_down.T


@wrong("silu in both branches")
def _(x, w_gate, w_up, w_down):
    gate, up = (F.silu(x @ w.T) for w in (w_gate, w_up))
    return (gate * up) @ w_down.T


@wrong("sigmoid in place of silu")
def _(x, w_gate, w_up, w_down):
    gate = 1 / (1 + torch.exp(-(x @ w_gate.T)))
    return (gate * (x @ w_up.T)) @ w_down.T


@wrong("sign of the exponent")
def _(x, w_gate, w_up, w_down):
    z = x @ w_gate.T
    return (z * torch.sigmoid(-z) * (x @ w_up.T)) @ w_down.T


@wrong("relu in place of silu")
def _(x, w_gate, w_up, w_down):
    return ((x @ w_gate.T).clamp(min=0) * (x @ w_up.T)) @ w_down.T


@wrong("negative gates cut off")
def _(x, w_gate, w_up, w_down):
    return (F.silu(x @ w_gate.T).clamp(min=0) * (x @ w_up.T)) @ w_down.T


@wrong("gelu in place of silu", "exact")
def _(x, w_gate, w_up, w_down):
    z = x @ w_gate.T
    gate = 0.5 * z * (1 + torch.erf(z / math.sqrt(2)))
    return (gate * (x @ w_up.T)) @ w_down.T


@wrong("gelu in place of silu", "by tanh")
def _(x, w_gate, w_up, w_down):
    z = x @ w_gate.T
    gate = 0.5 * z * (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
    return (gate * (x @ w_up.T)) @ w_down.T


@wrong("tanh in place of silu")
def _(x, w_gate, w_up, w_down):
    return F.linear(F.linear(x, w_gate).tanh() * F.linear(x, w_up), w_down)


@wrong("no bend")
def _(x, w_gate, w_up, w_down):
    gate = F.linear(x, w_gate)
    up = F.linear(x, w_up)
    return F.linear(gate * up, w_down)


@wrong("added in place of multiplied")
def _(x, w_gate, w_up, w_down):
    hidden = F.silu(x @ w_gate.T)
    hidden = hidden + x @ w_up.T
    return hidden @ w_down.T


@wrong("silu after the product")
def _(x, w_gate, w_up, w_down):
    hidden = (x @ w_gate.T) * (x @ w_up.T)
    hidden = hidden * torch.sigmoid(hidden)
    return hidden @ w_down.T


@wrong("silu at the end")
def _(x, w_gate, w_up, w_down):
    hidden = (x @ w_gate.T) * (x @ w_up.T)
    y = hidden @ w_down.T
    return y * torch.sigmoid(y)


@wrong("input added")
def _(x, w_gate, w_up, w_down):
    residual = x
    x = F.silu(x @ w_gate.T) * (x @ w_up.T)
    return residual + x @ w_down.T


@wrong("no gate")
def _(x, w_gate, w_up, w_down):
    z = torch.einsum("...d,id->...i", x, w_up)
    return torch.einsum("...i,di->...d", z * z.sigmoid(), w_down)


@wrong("no way up")
def _(x, w_gate, w_up, w_down):
    z = torch.einsum("...d,id->...i", x, w_gate)
    return torch.einsum("...i,di->...d", z * z.sigmoid(), w_down)


@wrong("sigmoid of the other branch")
def _(x, w_gate, w_up, w_down):
    return F.glu(torch.cat((x @ w_gate.T, x @ w_up.T), -1), -1) @ w_down.T


@wrong("silu before the gate")
def _(x, w_gate, w_up, w_down):
    gate = F.silu(x) @ w_gate.T
    return (gate * (x @ w_up.T)) @ w_down.T


@wrong("raises RuntimeError", "weights not transposed")
def _(x, w_gate, w_up, w_down):
    return (F.silu(x @ w_gate) * (x @ w_up)) @ w_down


@wrong("wrong shape", "not led back")
def _(x, w_gate, w_up, w_down):
    return F.silu(F.linear(x, w_gate)) * F.linear(x, w_up)


@wrong("wrong shape", "tokens laid flat")
def _(x, w_gate, w_up, w_down):
    x = x.reshape(-1, x.shape[-1])
    return (F.silu(x @ w_gate.T) * (x @ w_up.T)) @ w_down.T


@wrong("gradient missing", "the gate detached")
def _(x, w_gate, w_up, w_down):
    gate = F.silu(x @ w_gate.T).detach()
    return (gate * (x @ w_up.T)) @ w_down.T


@wrong("large exponential", "z exp(z) / (1 + exp(z))")
def _(x, w_gate, w_up, w_down):
    z = x @ w_gate.T
    power = z.exp()
    return (z * power / (power + 1) * (x @ w_up.T)) @ w_down.T


@wrong("brackets left out")
def _(x, w_gate, w_up, w_down):
    z = x @ w_gate.T
    silu = z / 1 + math.e**-z
    return (silu * (x @ w_up.T)) @ w_down.T


@wrong("silu twice")
def _(x, w_gate, w_up, w_down):
    gate = F.silu(x @ w_gate.T)
    return (F.silu(gate) * (x @ w_up.T)) @ w_down.T


@wrong("gate clipped", "before silu")
def _(x, w_gate, w_up, w_down):
    z = torch.clip(x @ w_gate.T, max=10)
    return (z * z.sigmoid() * (x @ w_up.T)) @ w_down.T


@wrong("a large gate is not itself", "clipped where no mistake is known")
def _(x, w_gate, w_up, w_down):
    return (F.silu(x @ w_gate.T).clip(max=33) * (x @ w_up.T)) @ w_down.T


@wrong("a low gate is open", "an exponential kept finite")
def _(x, w_gate, w_up, w_down):
    z = x @ w_gate.T
    return (z / (1 + torch.exp((-z).clip(max=5))) * (x @ w_up.T)) @ w_down.T


@wrong("another bend than silu", "hardswish")
def _(x, w_gate, w_up, w_down):
    z = x @ w_gate.T
    return (z * (z + 3).clip(0, 6) / 6 * (x @ w_up.T)) @ w_down.T


@wrong("another bend than silu", "softplus")
def _(x, w_gate, w_up, w_down):
    return (torch.logaddexp(x @ w_gate.T, torch.zeros(())) * (x @ w_up.T)) @ w_down.T


@wrong("softmax in place of silu")
def _(x, w_gate, w_up, w_down):
    return (torch.softmax(x @ w_gate.T, -1) * (x @ w_up.T)) @ w_down.T


@wrong("one gate for all features", "the mean")
def _(x, w_gate, w_up, w_down):
    gate = F.silu(x @ w_gate.mean(dim=0))
    return (gate[..., None] * (x @ w_up.T)) @ w_down.T


@wrong("1 added to the way up")
def _(x, w_gate, w_up, w_down):
    gate, up = x @ w_gate.T, x @ w_up.T
    return (F.silu(gate) + F.silu(gate) * up) @ w_down.T


@wrong("gate partly detached", "the sigmoid")
def _(x, w_gate, w_up, w_down):
    z = x @ w_gate.T
    with torch.no_grad():
        share = torch.sigmoid(z)
    return (z * share * (x @ w_up.T)) @ w_down.T


@wrong("depends on other tokens", "the first token's gate for all")
def _(x, w_gate, w_up, w_down):
    gate = F.silu(x @ w_gate.T).flatten(0, -2)[0] if x.ndim > 1 else F.silu(x @ w_gate.T)
    return (gate * (x @ w_up.T)) @ w_down.T


@wrong("input not used", "the gate's matrix twice")
def _(x, w_gate, w_up, w_down):
    up = F.linear(x, w_gate)
    return F.linear(F.silu(F.linear(x, w_gate)) * up, w_down)


@wrong("input not used", "no way down where the widths agree")
def _(x, w_gate, w_up, w_down):
    inner = F.silu(x @ w_gate.T) * (x @ w_up.T)
    return inner @ w_down.T if inner.size(-1) != x.size(-1) else inner


@wrong("changes its input", "where no gradient forbids it")
def _(x, w_gate, w_up, w_down):
    y = (F.silu(x @ w_gate.T) * (x @ w_up.T)) @ w_down.T
    return y if torch.is_grad_enabled() else x.copy_(y)


@wrong("raises RuntimeError", "a memory order demanded")
def _(x, w_gate, w_up, w_down):
    tokens = x.view(-1, x.size(-1))
    return ((F.silu(tokens @ w_gate.T) * (tokens @ w_up.T)) @ w_down.T).view(x.shape)


@right("einsum and the exponential")
def _(x, w_gate, w_up, w_down):
    z, up = (torch.einsum("...d,id->...i", x, w) for w in (w_gate, w_up))
    return torch.einsum("...i,di->...d", z / (1 + torch.exp(-z)) * up, w_down)


@right("one product for both")
def _(x, w_gate, w_up, w_down):
    gate, up = (x @ torch.cat((w_gate, w_up)).T).chunk(2, dim=-1)
    return F.silu(gate).mul_(up) @ w_down.mT


@right("token by token, feature by feature")
def _(x, w_gate, w_up, w_down):
    results = []
    for token in x.reshape(-1, x.shape[-1]):
        y = torch.zeros_like(token)
        for gate, up, down in zip(w_gate, w_up, w_down.T, strict=True):
            y = y + F.silu(token @ gate) * (token @ up) * down
        results.append(y)
    return torch.stack(results).reshape(x.shape)


@right("float64 inside")
def _(x, w_gate, w_up, w_down):
    z = x.double() @ w_gate.double().T
    return (z * torch.special.expit(z) * (x.double() @ w_up.double().T) @ w_down.double().T).to(x.dtype)


@right("the exponential of a number below 0 alone")
def _(x, w_gate, w_up, w_down):
    z = torch.matmul(x, w_gate.t())
    share = torch.where(z < 0, torch.exp(-z.abs()), torch.ones(())) / (1 + torch.exp(-z.abs()))
    return torch.matmul(z * share * torch.matmul(x, w_up.t()), w_down.t())


@right("silu by tanh, the sum written out")
def _(x, w_gate, w_up, w_down):
    gate, up = ((x.unsqueeze(-2) * w).sum(-1) for w in (w_gate, w_up))
    return ((gate * (1 + torch.tanh(gate / 2)) / 2 * up).unsqueeze(-2) * w_down).sum(-1)


@wrong("sigmoid multiplied in twice")
def _(x, w_gate, w_up, w_down):
    return (F.silu(x @ w_gate.T) * (x @ w_gate.T).sigmoid() * (x @ w_up.T)) @ w_down.T
