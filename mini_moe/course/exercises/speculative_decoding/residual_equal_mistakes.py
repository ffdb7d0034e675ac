"""Lesson 07, `residual`: the mistakes that people make where p equals q, or lest a sum is 0."""

import torch

from mini_moe.course.checking.exercise import Mistake
from mini_moe.course.exercises.speculative_decoding.residual_parts import divided, lacking, or_p, total
from mini_moe.speculative import residual

MISTAKES = tuple(
    Mistake(name, says, function)
    for name, says, functions in (
        (
            "NaN where the two are equal",
            "In a row where p equals q nothing is lacking, and 0 / 0 is NaN: give p there, row by row, also where "
            "other rows differ.",
            (
                lambda p, q: divided(lacking(p, q)),
                lambda p, q: p.clone() if torch.equal(p, q) else divided(lacking(p, q)),
            ),
        ),
        (
            "zeros where the two are equal",
            "In a row where p equals q all shares are 0, from which nothing can be drawn: give p there, so that each "
            "row is a distribution.",
            (
                lambda p, q: divided(lacking(p, q)).nan_to_num(),
                lambda p, q: p.clone() if torch.equal(p, q) else divided(lacking(p, q)).nan_to_num(),
                *(
                    lambda p, q, least=least: lacking(p, q) / (total(lacking(p, q)) + least)
                    for least in (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
                ),
                *(
                    lambda p, q, least=least: lacking(p, q) / total(lacking(p, q)).clamp(min=least)
                    for least in (1e-6, 1e-5, 1e-4, 1e-3)
                ),
            ),
        ),
        (
            "all alike where the two are equal",
            "In a row where p equals q all tokens get the same share: give p there.",
            (
                lambda p, q: torch.where(
                    (p == q).all(dim=-1, keepdim=True), torch.full_like(p, 1 / p.shape[-1]), residual(p, q)
                ),
            ),
        ),
        (
            "p in all rows, if one is equal",
            "One row in which p equals q makes p of all rows: ask in each row by itself.",
            (lambda p, q: p.clone() if (p == q).all(dim=-1).any() else residual(p, q),),
        ),
        (
            "p where single tokens do not lack",
            "Tokens of which nothing is lacking get their p, in rows whose others lack: p is for whole rows where the "
            "two are equal. Ask whether the row's *sum* is 0.",
            (
                or_p(lambda p, q: p > q),
                or_p(lambda p, q: p != q),
            ),
        ),
        (
            "p, if one token is equal",
            "One token to which both give the same makes p of its whole row: p is for rows in which *all* tokens are "
            "equal, so that nothing is lacking.",
            (or_p(lambda p, q: (p != q).all(dim=-1, keepdim=True)),),
        ),
        (
            "something added to the sum",
            "Something is added to the sum, so that the shares are too small where little is lacking: p is given where "
            "the sum is 0, so that nothing need be added.",
            tuple(
                lambda p, q, more=more: torch.where(
                    total(lacking(p, q)) > 0, lacking(p, q) / (total(lacking(p, q)) + more), p
                )
                for more in (1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
            ),
        ),
        (
            "nearly equal taken for equal",
            "Rows that differ by little are taken for equal: what is lacking may be little, and still it is all that "
            "is drawn. Ask whether its sum is positive.",
            tuple(
                or_p(lambda p, q, least=least: total(lacking(p, q)) > least) for least in (1e-5, 1e-4, 1e-3, 0.01, 0.1)
            ),
        ),
        (
            "something added to each token",
            "Each token keeps at least a little, also those of which nothing is lacking: 0 must stay 0 there. Only the "
            "sum may not be 0, in a row where the two are equal.",
            (
                *(
                    lambda p, q, least=least: divided((p - q).clamp(min=least))
                    for least in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12)
                ),
                *(
                    lambda p, q, more=more: divided(lacking(p, q) + more)
                    for more in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
                ),
            ),
        ),
    )
    for function in functions
)
