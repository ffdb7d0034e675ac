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
    gate = (x @ w_gate.T).clamp(min=0)
    return (gate * (x @ w_up.T)) @ w_down.T


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


@right("einsum and the exponential")
def _(x, w_gate, w_up, w_down):
    z = torch.einsum("...d,id->...i", x, w_gate)
    inner = z / (1 + torch.exp(-z)) * torch.einsum("...d,id->...i", x, w_up)
    return torch.einsum("...i,di->...d", inner, w_down)


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
