"""Wrong answers to `loop` and to `sliced`: what happens inside an expert."""

import torch
import torch.nn.functional as F
from exercises.answers import Answers
from exercises.dispatch.parts import by_expert

ANSWERS = Answers(exercise=None)


def wrong(mistake, how=""):
    """Mark an expert, a function of its rows and its two matrices, as what is wrong in a layer that is right else."""

    def mark(expert):
        ANSWERS.wrong(mistake, how)(lambda *case: by_expert(*case, ffn=expert))

    return mark


@wrong("gate and up exchanged")
def _(x, gate_up, down):
    up, gate = F.linear(x, gate_up).chunk(2, dim=-1)
    return F.linear(F.silu(gate) * up, down)


@wrong("silu in both halves")
def _(x, gate_up, down):
    gate, up = F.silu(x @ gate_up.T).chunk(2, dim=-1)
    return (gate * up) @ down.T


@wrong("no silu")
def _(x, gate_up, down):
    gate, up = (x @ gate_up.T).chunk(2, dim=-1)
    return (gate * up) @ down.T


@wrong("silu after the product")
def _(x, gate_up, down):
    gate, up = (x @ gate_up.T).chunk(2, dim=-1)
    return F.silu(gate * up) @ down.T


@wrong("sigmoid in place of silu")
def _(x, gate_up, down):
    gate, up = (x @ gate_up.T).chunk(2, dim=-1)
    return (gate.sigmoid() * up) @ down.T


@wrong("added in place of multiplied")
def _(x, gate_up, down):
    gate, up = (x @ gate_up.T).chunk(2, dim=-1)
    return (F.silu(gate) + up) @ down.T


@wrong("another bend", "relu")
def _(x, gate_up, down):
    gate, up = (x @ gate_up.T).chunk(2, dim=-1)
    return (gate.clamp(min=0) * up) @ down.T


@wrong("another bend", "gelu")
def _(x, gate_up, down):
    gate, up = (x @ gate_up.T).chunk(2, dim=-1)
    return (F.gelu(gate) * up) @ down.T


@wrong("another bend", "gelu by tanh")
def _(x, gate_up, down):
    gate, up = (x @ gate_up.T).chunk(2, dim=-1)
    return (F.gelu(gate, approximate="tanh") * up) @ down.T


@wrong("no gate")
def _(x, gate_up, down):
    gate, up = (x @ gate_up.T).chunk(2, dim=-1)
    return F.silu(up) @ down.T


@wrong("no way up")
def _(x, gate_up, down):
    gate, up = (x @ gate_up.T).chunk(2, dim=-1)
    return F.silu(gate) @ down.T


@wrong("gate and up interleaved", "every other column")
def _(x, gate_up, down):
    both = x @ gate_up.T
    return (F.silu(both[:, ::2]) * both[:, 1::2]) @ down.T


@wrong("gate and up interleaved", "unflattened")
def _(x, gate_up, down):
    gate, up = (x @ gate_up.T).unflatten(-1, (-1, 2)).unbind(-1)
    return (F.silu(gate) * up) @ down.T


@wrong("matrix not transposed", "down")
def _(x, gate_up, down):
    gate, up = (x @ gate_up.T).chunk(2, dim=-1)
    return (F.silu(gate) * up) @ down


@wrong("matrix not transposed", "gate_up")
def _(x, gate_up, down):
    gate, up = (x @ gate_up).chunk(2, dim=-1)
    return (F.silu(gate) * up) @ down.T


@wrong("raises RuntimeError", "nothing transposed")
def _(x, gate_up, down):
    gate, up = (x @ gate_up).chunk(2, dim=-1)
    return (F.silu(gate) * up) @ down


@wrong("raises RuntimeError", "I taken for D")
def _(x, gate_up, down):
    D = x.shape[1]
    return (F.silu(x @ gate_up[:D].T) * (x @ gate_up[D:].T)) @ down.T


@wrong("gradient cut in the expert", "the gate")
def _(x, gate_up, down):
    gate, up = (x @ gate_up.T).chunk(2, dim=-1)
    return (F.silu(gate.detach()) * up) @ down.T


@wrong("gradient cut in the expert", "the way up")
def _(x, gate_up, down):
    gate, up = (x @ gate_up.T).chunk(2, dim=-1)
    return (F.silu(gate) * up.data) @ down.T


@wrong("gradient missing", "all of the expert")
def _(x, gate_up, down):
    with torch.no_grad():
        gate, up = (x @ gate_up.T).chunk(2, dim=-1)
        return (F.silu(gate) * up) @ down.T


@wrong("large numbers", "the gate kept below 4")
def _(x, gate_up, down):
    gate, up = (x @ gate_up.T).chunk(2, dim=-1)
    return (F.silu(gate.clamp(max=4)) * up) @ down.T


@wrong("large numbers", "an exponential that overflows")
def _(x, gate_up, down):
    gate, up = (x @ gate_up.T).chunk(2, dim=-1)
    return (gate * gate.exp() / (1 + gate.exp()) * up) @ down.T


@wrong("too few digits", "silu in bfloat16")
def _(x, gate_up, down):
    gate, up = (x @ gate_up.T).chunk(2, dim=-1)
    return (F.silu(gate.bfloat16()).to(up.dtype) * up) @ down.T


@wrong("too few digits", "the products in float16")
def _(x, gate_up, down):
    gate, up = (x.half() @ gate_up.half().T).chunk(2, dim=-1)
    return ((F.silu(gate) * up) @ down.half().T).to(x.dtype)


@wrong("a closed gate is passed", "1 added to the gate")
def _(x, gate_up, down):
    gate, up = (x @ gate_up.T).chunk(2, dim=-1)
    return ((1 + F.silu(gate)) * up) @ down.T
