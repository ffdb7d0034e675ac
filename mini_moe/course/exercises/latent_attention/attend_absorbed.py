"""Lesson 02, `attend_absorbed`: attention without keys and values."""

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with, must_equal
from mini_moe.course.checking.observe import flatten
from mini_moe.course.exercises.latent_attention.attend_absorbed_mistakes import MISTAKES
from mini_moe.course.exercises.latent_attention.shared import memory_and_matrices, of_heads
from mini_moe.layers import causal_attention
from mini_moe.mla import attend_absorbed, expand


def _cases_of_absorbed(generator):
    # The third has square matrices, which run when they are transposed or left out by mistake.
    for B, H, T, S, P, R, C, W in (
        (1, 1, 2, 2, 3, 2, 4, 2), (1, 2, 1, 4, 2, 4, 3, 5), (2, 2, 3, 3, 4, 2, 4, 4), (2, 3, 2, 5, 5, 2, 3, 6)
    ):  # fmt: skip
        q_nope, q_rope = (torch.randn(B, H, T, width, generator=generator) for width in (P, R))
        yield q_nope, q_rope, *memory_and_matrices(generator, B, H, S, P, R, C, W)


def _future_hidden(function, q_nope, q_rope, memory, w_uk, w_uv):
    other = torch.cat((memory[:, :-1], memory[:, -1:] + 3), dim=1)
    before, after = (function(q_nope, q_rope, m, w_uk, w_uv)[:, :, :-1] for m in (memory, other))
    must_equal(
        after,
        before,
        "Another last token changes the results before it: a query must not see what comes after.",
    )


def _own_seen(function, q_nope, q_rope, memory, w_uk, w_uv):
    other = torch.cat((memory[:, :-1], memory[:, -1:] + 3), dim=1)
    before, after = (function(q_nope, q_rope, m, w_uk, w_uv)[:, :, -1] for m in (memory, other))
    if torch.allclose(before, after):
        raise Wrong("Another last token does not change the last result: a query sees its own position, too.")


def _where_latents_agree(function, q_nope, q_rope, memory, w_uk, w_uv):
    C = w_uk.shape[-1]
    memory = torch.cat((memory[:, :1, :C].expand(-1, memory.shape[1], -1), memory[..., C:]), dim=-1)
    y = function(q_nope, q_rope, memory, w_uk, w_uv)
    must_equal(
        y,
        of_heads(memory[:, -1:, :C], w_uv).expand_as(y),
        "Where all latents are the same c, every query must get W_uv c, wherever it looks.",
    )


def _as_expanded(function, q_nope, q_rope, memory, w_uk, w_uv):
    q = torch.cat((q_nope, q_rope), dim=-1)
    must_equal(
        function(q_nope, q_rope, memory, w_uk, w_uv),
        causal_attention(q, *expand(memory, w_uk, w_uv), q.shape[-1] ** -0.5),
        "It is not what attention over the expanded keys and values gives: only the order of the products may differ.",
    )


class _Origins(TorchDispatchMode):
    """Follows every operation on tensors, and tells ``watch`` the names of the inputs that its results come from.

    Args:
        inputs: pairs of a name and a tensor.
        watch: is called with a set of names.
    """

    def __init__(self, inputs, watch):
        super().__init__()
        self.watch = watch
        self.names, self.alive = {}, []  # by storage, which views share; alive, or its address could come again
        for name, tensor in inputs:
            self._note(tensor, {name})

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = operation(*args, **kwargs)
        if not str(operation).startswith(_ONLY_SHAPES):
            names = set().union(*map(self._of, _tensors((args, *kwargs.values()))))
            self.watch(names)
            for tensor in _tensors(result):
                self._note(tensor, names)
        return result

    def _of(self, tensor):
        return self.names.get(tensor.untyped_storage().data_ptr(), frozenset())

    def _note(self, tensor, names):
        self.alive.append(tensor)
        self.names[tensor.untyped_storage().data_ptr()] = self._of(tensor) | names


# Operations that take no more than shape and type from the tensors they are given.
_ONLY_SHAPES = ("aten.new_", "aten.empty_like", "aten.zeros_like", "aten.ones_like", "aten.full_like")


def _tensors(value):
    return [leaf for _, leaf in flatten(value) if isinstance(leaf, Tensor)]


_CURES = (
    ("keys", "w_uk_HPC", "Fold it into the query; then the query meets the memory as it is."),
    ("values", "w_uv_HWC", "Take the weighted mean of the latents first, and apply it to that, once."),
)


def _never_expands(function, q_nope, q_rope, memory, w_uk, w_uv):
    def watch(names):
        for what, matrix, cure in _CURES:
            if names >= {"memory", matrix} and "query" not in names:
                raise Wrong(
                    f"It makes {what} of the heads, for every position: `{matrix}` meets the memory before any query "
                    f"does. {cure}",
                    mistake="expands the memory",
                )

    # One query against a longer memory, as in writing: there an einsum of three, too, chooses the cheaper way.
    arguments = q_nope[:, :, -1:].clone(), q_rope[:, :, -1:].clone(), memory.repeat(1, 8, 1), w_uk, w_uv
    names = "query", "query", "memory", "w_uk_HPC", "w_uv_HWC"
    with _Origins(zip(names, arguments, strict=True), watch):
        function(*arguments)


EXERCISE = Exercise(
    reference=attend_absorbed,
    cases=_cases_of_absorbed,
    properties=(
        Property("no query sees what comes after it", _future_hidden),
        Property("a query sees its own position", _own_seen),
        Property("where all latents are the same, the result is their value", _where_latents_agree),
        Property("equals attention over the expanded keys and values", _as_expanded),
        Property("never makes the keys and values of the heads", _never_expands),
        Property("agrees with the library, gradients too", agrees_with(attend_absorbed)),
    ),
    mistakes=MISTAKES,
    hints=(
        "To every head the memory is one shared key, C + R wide, and its first C features are one shared value. Which "
        "query fits that key?",
        "`torch.cat((q_nope @ w_uk, q_rope), dim=-1)` is that query, and `memory[:, None]` the key of all heads. "
        "`causal_attention` gives the mean of the latents, with the scale (P + R)^-0.5.",
        "return causal_attention(q, memory[:, None], memory[:, None, :, :C], scale) @ w_uv.mT",
    ),
    difficulty=3,
    minutes=15,
)
