"""Lesson 06, `merge`: a later token, and what was thought before it came."""

import torch

from mini_moe.course.checking.exercise import Exercise, Illegal, Property, Wrong, agrees_with, must_equal, refuses
from mini_moe.course.checking.observe import close
from mini_moe.course.exercises.multi_token_prediction import merge_join_mistakes, merge_token_mistakes
from mini_moe.course.exercises.multi_token_prediction.shared import backwards, exact
from mini_moe.mtp import merge


def _cases_of_merge(generator):
    def draw(B, T, D, V, depth):
        """Inputs whose tokens are unlike their neighbours, and not 0: what is read at the end then shows."""
        hidden = torch.randn(B, T, D, generator=generator)
        first = torch.randint(0, V, (B, 1), generator=generator)
        tokens = (first + torch.arange(T)) % max(V - 1, 1) + min(V - 1, 1)  # 1, 2, ..., V - 1, 1, ... from somewhere
        embedding = 0.3 * torch.randn(V, D, generator=generator)
        norms = torch.rand(2, D, generator=generator) + 0.5
        return hidden, tokens, depth, embedding, *norms, torch.randn(D, 2 * D, generator=generator) / D**0.5

    yield draw(1, 2, 2, 4, 1)
    yield *draw(1, 3, 2, 5, 1), 1e-6
    yield draw(2, 3, 4, 5, 2)
    yield *draw(3, 5, 3, 7, 2), 1e-6
    yield *map(_backwards, draw(2, 4, 5, 6, 1)), 1e-6
    yield *draw(2, 6, 3, 9, 3), 1e-6
    hidden, tokens, depth, embedding, *weights = draw(3, 4, 2, 6, 1)
    tokens[:, 1] = 0  # token 0 comes in the text, too
    yield 0.1 * hidden, tokens, depth, 0.3 * embedding, *weights, 1e-2  # eps is not small
    hidden, tokens, depth, embedding, *weights = draw(2, 3, 6, 5, 1)
    yield 1e-3 * hidden, tokens, depth, 3e-3 * embedding, *weights  # nor is its default
    yield draw(2, 2, 3, 4, 2)  # as many tokens as it is ahead,
    yield *draw(2, 3, 2, 5, 4), 1e-6  # one fewer,
    yield draw(2, 1, 4, 3, 3)  # and many
    yield *draw(1, 1, 1, 1, 1), 1e-6


def _backwards(value):
    return backwards(value) if isinstance(value, torch.Tensor) else value


def _meets_a_later_token(function, hidden, tokens, depth, embedding, *weights):
    B, T = tokens.shape
    if len(embedding) == 1:
        return
    before = function(hidden, tokens, depth, embedding, *weights)
    for j in range(T):
        changed = tokens.clone()
        changed[:, j] = (tokens[:, j] + 1) % len(embedding)
        moved = (function(hidden, changed, depth, embedding, *weights) != before).any(dim=-1).any(dim=0)
        places = moved.nonzero().flatten().tolist()
        due = [j - depth] if j >= depth else []
        if places != due:

            def named(places):
                return "no position" if not places else "position " + " and ".join(map(str, places))

            raise Wrong(
                f"With another token at position {j}, at depth {depth}, {named(due)} has to change: position i reads "
                f"the token at i + depth. What changes is {named(places)}.",
                mistake="another token than that at i + depth",
            )


def _meets_its_own_thought(function, hidden, *rest):
    T = hidden.shape[1]
    if hidden.shape[-1] == 1:  # of one number, only the sign is left
        return
    before = function(hidden, *rest)
    for j in range(T):
        changed = hidden.clone()
        changed[:, j] = hidden[:, j].flip(-1) - 2 * hidden[:, j]
        moved = (function(changed, *rest) != before).any(dim=-1).any(dim=0)
        if not moved[j]:
            raise Wrong(
                f"With another hidden state at position {j} the result has to change there, and does not: each "
                "position reads its own, the last ones, too.",
                mistake="own hidden state not read",
            )
        if moved.sum() > 1:
            raise Wrong(
                f"With another hidden state at position {j} the result changes elsewhere, too: the hidden states stay "
                "where they are, and each position reads its own.",
                mistake="hidden state of another position",
            )


def _embedding_first(function, hidden, tokens, depth, embedding, hnorm, enorm, eh_proj, *eps):
    D = hidden.shape[-1]
    for what, half, others in (
        ("second", slice(D, None), (-hidden, embedding)),
        ("first", slice(D), (hidden, -embedding)),
    ):
        cut = eh_proj.clone()
        cut[:, half] = 0
        one, other = (function(h, tokens, depth, e, hnorm, enorm, cut, *eps) for h, e in ((hidden, embedding), others))
        if not close(one, other):
            part = "hidden state" if what == "second" else "embedding"
            raise Wrong(
                f"The {part} meets the {what} D columns of `eh_proj`, and nothing else: the embedding stands first, as "
                "in the published weights.",
                mistake="parts meet the wrong columns",
            )


def _texts_apart(function, hidden, tokens, *rest):
    alone = [function(hidden[b : b + 1], tokens[b : b + 1], *rest) for b in range(len(tokens))]
    if not close(function(hidden, tokens, *rest), torch.cat(alone)):
        raise Wrong(
            "A text alone gives another result than the same text in a batch: each is taken by itself.",
            mistake="texts not taken apart",
        )


def _sizes_are_nothing(function, hidden, tokens, depth, embedding, hnorm, enorm, eh_proj, *_):
    def of(more_h, more_e):
        return function(more_h * hidden, tokens, depth, more_e * embedding, hnorm, enorm, eh_proj, 0.0)

    for what, sizes in (("hidden states", (1024, 1)), ("embeddings", (1, 1024))):
        if not close(of(*sizes), of(1, 1)):
            raise Wrong(
                f"With eps = 0, {what} 1,024 times as large must make no difference: each has a norm of its own, "
                "before the two are put together.",
                mistake=f"size of the {what} not normed away",
            )


def _zero_at_the_end(function, hidden, tokens, depth, *rest):
    padded = torch.cat((tokens, torch.zeros(len(tokens), depth, dtype=tokens.dtype)), dim=1)
    longer = torch.cat((hidden, hidden.new_ones(len(hidden), depth, hidden.shape[-1])), dim=1)
    must_equal(
        function(hidden, tokens, depth, *rest),
        function(longer, padded, depth, *rest)[:, : tokens.shape[1]],
        f"At depth {depth} position i reads token 0 where the text ends before i + {depth}: the result is as if it "
        "went on with zeros.",
        "not token 0 at the end",
    )


def _depth(depth):
    why = "At depth 0 a module would read the token that the model has read already."
    return lambda hidden, tokens, _, *rest: Illegal((hidden, tokens, depth, *rest), "depth", depth, why=why)


EXERCISE = Exercise(
    reference=merge,
    cases=_cases_of_merge,
    properties=(
        Property("is as exact as its type", exact(merge)),
        Property("position i reads the token at i + depth", _meets_a_later_token),
        Property("position i keeps its own hidden state", _meets_its_own_thought),
        Property("each text is taken by itself", _texts_apart),
        Property("neither part outweighs the other by its size", _sizes_are_nothing),
        Property("the embedding stands first, then the hidden state", _embedding_first),
        Property("at the end of the text it reads token 0", _zero_at_the_end),
        Property("agrees with the library, gradients too", agrees_with(merge)),
        Property("a depth below 1 is refused", refuses(*map(_depth, (0, -1, -2)))),
    ),
    mistakes=(*merge_token_mistakes.MISTAKES, *merge_join_mistakes.MISTAKES),
    hints=(
        "Three steps: move the text to the left by `depth`, and fill it up with 0; look the tokens up, and norm both "
        "parts, each with its own weights; put them side by side, the embedding first, and apply the matrix.",
        "`F.pad(x, (0, n))` puts n zeros at the end, and `F.embedding(tokens, table)` looks up rows. `rms_norm` is "
        "from lesson 01. `F.linear(x, w)` is x times w transposed. A text may have fewer tokens than `depth`.",
        "First the error. Then the tokens that came later, (B, T): the text from `depth` on, and as many zeros as are "
        "missing. Their normed embeddings: (B, T, D). Beside them the normed hidden states: (B, T, 2 D). The product: "
        "(B, T, D).",
    ),
    difficulty=2,
    minutes=15,
)
