"""Lesson 06, `shifted_targets`: what is to be predicted at each position."""

import torch

from mini_moe.course.checking.exercise import Exercise, Illegal, Property, Wrong, agrees_with, must_equal, refuses
from mini_moe.course.checking.observe import close
from mini_moe.course.exercises.multi_token_prediction.shared import backwards, documents
from mini_moe.course.exercises.multi_token_prediction.shifted_targets_mistakes import MISTAKES
from mini_moe.data import IGNORE
from mini_moe.mtp import shifted_targets


def _cases_of_targets(generator):
    def text(B, T):
        return torch.randperm(90, generator=generator)[: B * T].view(B, T)  # no token twice

    yield text(1, 2), 0
    yield text(1, 3), 1
    yield text(1, 4), 1, documents(generator, (3, 1))
    yield text(2, 5), 1
    yield text(2, 5).int(), 0, documents(generator, (2, 3), (1, 4)).int()
    yield text(3, 6).int(), 2
    yield text(2, 7), 1, documents(generator, (3, 4), (1, 1, 5))
    yield backwards(text(3, 8)), 2, backwards(documents(generator, (4, 4), (5, 1, 2), (8,)))
    yield text(2, 9), 3, documents(generator, (1, 8), (6, 3))
    yield text(4, 3), 1, documents(generator, (1, 1, 1), (2, 1), (3,), (1, 2))  # fewer targets than documents
    yield text(2, 1), 0, documents(generator, (1,), (1,))  # one token each
    yield text(2, 3), 2  # as many tokens as it is ahead,
    yield text(2, 4), 4, documents(generator, (4,), (1, 3))  # one fewer,
    yield text(3, 2), 4  # and many
    yield text(1, 1), 1
    yield text(2, 4), 2, None


def _places(tokens):
    """A text in which each token is its own place."""
    return torch.arange(tokens.shape[1]).expand(tokens.shape).clone()


def _so_far_ahead(function, tokens, depth, *ids):
    place = _places(tokens)
    targets = function(place, depth)
    kept = targets != IGNORE
    distance = (targets - place)[kept]
    if len(distance) and not (distance == depth + 1).all():
        wrong = distance[distance != depth + 1][0].item()
        raise Wrong(
            f"At depth {depth} the target of position i stands at i + {depth + 1}. One of yours stands at "
            f"i + {wrong}, if it is a token of the text at all.".replace("+ -", "- "),
            mistake="not depth + 1 places on",
        )


def _none_at_the_end(function, tokens, depth, *ids):
    T = tokens.shape[1]
    ignored = function(tokens, depth) == IGNORE
    expected = (torch.arange(T) >= T - depth - 1).expand_as(ignored)
    if (expected & ~ignored).any():
        raise Wrong(
            f"At depth {depth} the text ends before i + {depth + 1} at some positions, the last: these must have the "
            f"target IGNORE, {IGNORE}.",
            mistake="targets after the end",
        )
    must_equal(
        ignored, expected, "Without documents, only the last depth + 1 positions have no target.", "targets left out"
    )


def _of_its_document(function, tokens, depth, ids=None):
    if ids is None:
        return
    targets = function(_places(tokens), depth, ids)
    kept = (targets >= 0) & (targets < tokens.shape[1])
    if (kept & (ids.gather(1, targets.where(kept, 0)) != ids)).any():
        raise Wrong(
            "A position has a target in another document than its own: nothing there follows from it. Compare its id "
            "with that of the *target*, depth + 1 places on.",
            mistake="a target of another document",
        )
    rows = ids.tolist()
    due = torch.tensor([[row[t] in row[t + depth + 1 : t + depth + 2] for t in range(len(row))] for row in rows])
    if (due & (targets != _places(tokens) + depth + 1)).any():
        raise Wrong(
            "A position that has its target in its own document must keep it.",
            mistake="targets left out",
        )
    if (~due & (targets != IGNORE)).any():
        raise Wrong(
            f"Where the document ends before i + depth + 1, the target must be IGNORE, {IGNORE}.",
            mistake="no IGNORE behind a document",
        )


def _names_of_documents(function, tokens, depth, ids=None):
    if ids is not None and not close(function(tokens, depth, 512 - 256 * ids), function(tokens, depth, ids)):
        raise Wrong(
            "With other numbers for the same documents other targets come out: an id is only a name. Ask whether two "
            "are equal, not which is larger, nor by how much, and keep the type that they have.",
            mistake="numbers of documents matter",
        )


def _rows_apart(function, tokens, depth, ids=None):
    rows = range(len(tokens))
    alone = [function(tokens[b : b + 1], depth, None if ids is None else ids[b : b + 1]) for b in rows]
    must_equal(
        function(tokens, depth, ids),
        torch.cat(alone),
        "A text alone has other targets than the same text in a batch: each row is a text by itself.",
        "rows not taken apart",
    )


def _negative(depth):
    return lambda tokens, *_: Illegal((tokens, depth), "depth", depth, why="There is nothing to predict in the past.")


def _ids_of(shape):
    def spoil(tokens, depth, *_):
        given = shape(*tokens.shape)
        if given != tokens.shape:
            ids = torch.zeros(given, dtype=torch.int64)
            why = "Each token must have an id of its own, and none may be stretched over others."
            return Illegal((tokens, depth, ids), "document_ids_BT.shape", given, why=why)

    return spoil


_SHAPES = (
    *(lambda B, T: (B, T + 1), lambda B, T: (B, T - 1), lambda B, T: (B + 1, T)),
    *(lambda B, T: (1, T), lambda B, T: (B, 1), lambda B, T: (T,), lambda B, T: (B, T, 1)),
)

EXERCISE = Exercise(
    reference=shifted_targets,
    cases=_cases_of_targets,
    properties=(
        Property("a target stands depth + 1 places on", _so_far_ahead),
        Property("where the text ends, there is no target", _none_at_the_end),
        Property("a target is of the same document", _of_its_document),
        Property("an id is only a name", _names_of_documents),
        Property("each text is taken by itself", _rows_apart),
        Property("agrees with the library", agrees_with(shifted_targets)),
        Property("a negative depth is refused", refuses(_negative(-1), _negative(-3))),
        Property("ids that do not fit are refused", refuses(*map(_ids_of, _SHAPES))),
    ),
    mistakes=MISTAKES,
    hints=(
        "Begin with IGNORE everywhere, in int64. Then the text, moved to the left by depth + 1, covers all but the "
        "end. What is left is to take back the targets of other documents.",
        "With `ahead = depth + 1`, the slice `[:, ahead:]` has what is to be predicted, and `[:, :-ahead]` where it "
        "goes; both are empty where the text is too short. The same two slices of the ids tell what to take back.",
        "First the two errors. Then `torch.full_like`, with another dtype: (B, T). Then one slice of it, "
        "(B, T - ahead), is filled from the tokens. If there are ids: where the two slices of them differ, a mask "
        "(B, T - ahead), that same slice of the targets gets IGNORE again.",
    ),
    difficulty=2,
    minutes=12,
)
