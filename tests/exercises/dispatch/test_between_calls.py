"""What an answer does between calls, or without an end: told by name, and no answer twice, for it would remember."""

import torch
from pytest import MonkeyPatch, mark

from mini_moe.course import exercises
from mini_moe.course.checking import guard
from mini_moe.course.checking.examine import examine


def shapes(case):
    """What tells two inputs apart for who looks at their sizes only."""
    return tuple(value.shape if isinstance(value, torch.Tensor) else value for value in case)


def of_first_sizes(reference, kept):
    """The right function, but with the arguments numbered ``kept`` from its first call with inputs of these sizes."""
    known = {}

    def function(*case):
        first = known.setdefault(shapes(case), [case[i].detach().clone() for i in kept])
        case = list(case)
        for i, value in zip(kept, first, strict=True):
            case[i] = value
        return reference(*case)

    return function


@mark.parametrize(
    ("name", "kept"),
    (("loop", (2,)), ("sliced", (2,)), ("sort_by_expert", (0,)), ("sliced_linear", (2,))),
)
def test_an_answer_that_keeps_an_input_by_its_sizes_is_named(name, kept):
    exercise = exercises.find(name)
    outcome = examine(exercise, of_first_sizes(exercise.reference, kept))
    assert (outcome.status, outcome.mistake) == ("wrong", "keeps something from call to call")


def test_a_table_of_tiles_kept_by_its_sizes_is_named():
    exercise, known = exercises.find("tile_table"), {}

    def tile_table(ends_E, block):
        if (len(ends_E), block) not in known:
            known[len(ends_E), block] = exercise.reference(ends_E, block)
        return known[len(ends_E), block]

    assert examine(exercise, tile_table).mistake == "keeps something from call to call"


def test_a_block_that_makes_a_loop_endless_is_told_in_time():
    def tile_table(ends_E, block):
        experts, rows, start = [], [], 0
        for e, end in enumerate(ends_E.tolist()):
            left, z = end - start, 0
            while left > 0:
                experts.append(e)
                rows.append(start + z * block)
                left -= block
                z += bool(block)
                del experts[1000:], rows[1000:]
            start = end
        return torch.tensor(experts, dtype=torch.int64), torch.tensor(rows, dtype=torch.int64)

    with MonkeyPatch.context() as patch:
        patch.setattr(guard, "LIMIT_SECONDS", 2)
        outcome = examine(exercises.find("tile_table"), tile_table)
    assert (outcome.mistake, outcome.failed) == ("takes too long", "a block below 1 is refused")
