"""Lesson 02, `expand`: keys and values of every head."""

import torch

from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with
from mini_moe.course.checking.observe import close
from mini_moe.course.exercises.latent_attention.expand_mistakes import MISTAKES
from mini_moe.course.exercises.latent_attention.shared import any_layout, exact, memory_and_matrices
from mini_moe.mla import expand


def _cases_of_expand(generator):
    for sizes in (
        (1, 2, 1, 2, 2, 4, 3),
        (1, 2, 3, 2, 4, 3, 5),
        (2, 2, 2, 4, 2, 4, 4),  # square matrices, which run when transposed; as many heads as positions and sequences
        (2, 2, 4, 3, 4, 5, 2),
        (3, 1, 2, 3, 2, 1, 5),
        (1, 1, 1, 1, 2, 1, 1),
        (1, 3, 70, 2, 6, 2, 4),
    ):
        yield memory_and_matrices(generator, *sizes)


def _one_rotated_key(function, memory, w_uk, w_uv):
    H, P, C = w_uk.shape
    got, key = function(memory, w_uk, w_uv)[0][..., P:], memory[..., C:]
    if close(got, key[:, None].expand(-1, H, -1, -1)):
        return
    rule = "After its own P features, every head's key must end with the one rotated key"
    others = {tuple(row) for row in key.flatten(0, 1).tolist()}
    if others.issuperset(map(tuple, got.flatten(0, 2).tolist())):
        says = f"{rule} of its own token. Here some end with that of another token or sequence."
        raise Wrong(says, mistake="rotated key of another token")
    raise Wrong(f"{rule}, just as it is remembered.", mistake="rotated key not as it was")


def _heads_apart(function, memory, w_uk, w_uv):
    together, alone = function(memory, w_uk, w_uv), function(memory, w_uk[-1:], w_uv[-1:])
    for what, one, all_heads in zip(("keys", "values"), alone, together, strict=True):
        if not close(all_heads[:, -1:], one):
            raise Wrong(
                f"The last head's {what} are not what its own matrices give: each head has its own, [h] of the first "
                "dimension.",
                mistake="matrices of other heads",
            )


def _rotated_key_only_there(function, memory, w_uk, w_uv):
    P, C = w_uk.shape[1:]
    (k, v), (other_k, other_v) = (
        function(m, w_uk, w_uv) for m in (memory, memory + torch.arange(memory.shape[-1]).ge(C))
    )
    if not close(other_v, v):
        says = "Another rotated key changes the values: they come from the latent alone."
        raise Wrong(says, mistake="rotated key in the values")
    if not close(other_k[..., :P], k[..., :P]):
        says = "Another rotated key changes the P features that come from the latent: it stands behind them."
        raise Wrong(says, mistake="rotated key in a head's own features")


def _each_by_itself(function, memory, w_uk, w_uv):
    together = function(memory, w_uk, w_uv)
    sequence, token = function(memory[-1:], w_uk, w_uv), function(memory[:, :1], w_uk, w_uv)
    for what, among_all, last, first in zip(("keys", "values"), together, sequence, token, strict=True):
        if not close(among_all[-1:], last):
            says = f"A sequence alone gets other {what} than in a batch: expand each by itself."
            raise Wrong(says, mistake="depends on other sequences")
        if not close(among_all[:, :, :1], first):
            says = f"A token alone gets other {what} than among others: expand each by itself."
            raise Wrong(says, mistake="depends on other tokens")


def _in_proportion(function, memory, w_uk, w_uv):
    for what, large, once in zip(
        ("keys", "values"), function(1e3 * memory, w_uk, w_uv), function(memory, w_uk, w_uv), strict=True
    ):
        if not close(large, 1e3 * once):
            says = f"A memory 1,000 times as large must give {what} 1,000 times as large: there are only products here."
            raise Wrong(says, mistake="out of proportion")


EXERCISE = Exercise(
    reference=expand,
    cases=_cases_of_expand,
    properties=(
        Property("is as exact as its type", exact(expand)),
        Property("every head's key ends with the one rotated key", _one_rotated_key),
        Property("each head has its own matrices", _heads_apart),
        Property("values come from the latent alone", _rotated_key_only_there),
        Property("each token is expanded by itself", _each_by_itself),
        Property("large memories are nothing special", _in_proportion),
        Property("agrees with the library, gradients too", agrees_with(expand)),
        Property("takes inputs as they lie in memory", any_layout(expand)),
    ),
    mistakes=MISTAKES,
    hints=(
        "Cut the memory into latent and key. The latent goes through each head's two matrices; the key is only copied.",
        "`torch.einsum` makes the features of all heads at once, with a letter for each dimension; a loop over the "
        "heads does as well. Give the key a dimension for the heads, and a tensor's own `expand` shows it to all.",
        "The memory is cut into the latent, (B, S, C), and the key, (B, S, R). Each head's own features are "
        "(B, H, S, P). The key with a dimension for the heads is (B, 1, S, R), and shown to all of them (B, H, S, R); "
        "joined to the features it gives (B, H, S, P + R). Values are made as the features were, by the other "
        "matrix: (B, H, S, W).",
    ),
    difficulty=2,
    minutes=20,
)
