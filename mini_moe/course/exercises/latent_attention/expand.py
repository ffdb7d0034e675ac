"""Lesson 02, `expand`: keys and values of every head."""

import torch

from mini_moe.course.checking.exercise import Exercise, Property, agrees_with, must_equal
from mini_moe.course.exercises.latent_attention.expand_mistakes import MISTAKES
from mini_moe.mla import expand


def memory_and_matrices(generator, B, H, S, P, R, C, W):
    memory = torch.randn(B, S, C + R, generator=generator)
    w_uk, w_uv = (torch.randn(H, width, C, generator=generator) / C**0.5 for width in (P, W))
    return memory, w_uk, w_uv


def _cases_of_expand(generator):
    # The third has square matrices, which run when they are transposed by mistake, and as many heads as positions.
    for sizes in ((1, 2, 1, 2, 2, 4, 3), (1, 2, 3, 2, 4, 3, 5), (2, 2, 2, 4, 2, 4, 4), (2, 2, 4, 3, 4, 5, 2)):
        yield memory_and_matrices(generator, *sizes)


def _one_rotated_key(function, memory, w_uk, w_uv):
    H, P, C = w_uk.shape
    got = function(memory, w_uk, w_uv)[0][..., P:]
    must_equal(
        got,
        memory[:, None, :, C:].expand(-1, H, -1, -1),
        "After its own P features, every head's key must end with the one rotated key, unchanged.",
    )


def _heads_apart(function, memory, w_uk, w_uv):
    together, alone = function(memory, w_uk, w_uv), function(memory, w_uk[-1:], w_uv[-1:])
    for what, one, all_heads in zip(("keys", "values"), alone, together, strict=True):
        must_equal(
            all_heads[:, -1:],
            one,
            f"The last head's {what} are not what its own matrices give: each head has its own, [h] of the first "
            "dimension.",
        )


def _rotated_key_only_there(function, memory, w_uk, w_uv):
    P, C = w_uk.shape[1:]
    (k, v), (other_k, other_v) = (
        function(m, w_uk, w_uv) for m in (memory, memory + torch.arange(memory.shape[-1]).ge(C))
    )
    must_equal(other_v, v, "Another rotated key changes the values: they come from the latent alone.")
    must_equal(other_k[..., :P], k[..., :P], "Another rotated key changes the P features that come from the latent.")


def _positions_apart(function, memory, w_uk, w_uv):
    for what, first, together in zip(
        ("keys", "values"), function(memory[:, :1], w_uk, w_uv), function(memory, w_uk, w_uv), strict=True
    ):
        must_equal(together[:, :, :1], first, f"The {what} of a token depend on other tokens: expand each by itself.")


EXERCISE = Exercise(
    reference=expand,
    cases=_cases_of_expand,
    properties=(
        Property("every head's key ends with the one rotated key", _one_rotated_key),
        Property("each head has its own matrices", _heads_apart),
        Property("values come from the latent alone", _rotated_key_only_there),
        Property("each token is expanded by itself", _positions_apart),
        Property("agrees with the library, gradients too", agrees_with(expand)),
    ),
    mistakes=MISTAKES,
    hints=(
        "Cut the memory in latent and key. The latent goes through each head's two matrices; the key is only copied.",
        "`torch.einsum('bsc,hpc->bhsp', latent, w_uk_HPC)` is every head's own features at once. "
        "`key[:, None].expand(-1, H, -1, -1)` shows the one key to all heads.",
        "k = torch.cat((k, key[:, None].expand(-1, H, -1, -1)), dim=-1), and v as k was before, with w_uv_HWC.",
    ),
    difficulty=2,
    minutes=10,
)
