"""Lesson 04, `expert_load`: counting what each expert got."""

import torch

from mini_moe.balance import expert_load
from mini_moe.course.checking.exercise import Exercise, Property, Wrong, agrees_with
from mini_moe.course.checking.observe import close
from mini_moe.course.exercises.balance.expert_load_mistakes import MISTAKES
from mini_moe.course.exercises.balance.shared import backwards


def _cases_of_load(generator):
    yield torch.randint(0, 2, (1,), generator=generator).repeat(2), 3  # one expert twice, the last one never
    for shape, E in (((2, 5), 4), ((2, 3, 4), 6)):
        yield torch.randint(0, E, shape, generator=generator), E
    yield torch.zeros(1, 1, dtype=torch.int64), 1
    yield backwards(torch.randint(0, 5, (3, 2, 2, 4), generator=generator)), 5


def _idle_in_place(function, experts, n_experts):
    idle = function(torch.zeros_like(experts), n_experts)[..., 1:]
    if not close(idle, torch.zeros(*experts.shape[:-1], n_experts - 1)):
        says = "If all tokens went to expert 0, the others would still have their place, with a load of just 0."
        raise Wrong(says, mistake="idle experts not at 0")


def _every_choice_counts(function, experts, n_experts):
    n = experts.shape[-1]
    total = function(experts, n_experts).sum(dim=-1)
    if not close(total, torch.full_like(total, n)):
        says = f"Every choice counts once: the loads of a row add up to n, its number of choices, here {n}."
        raise Wrong(says, mistake="choices not counted once each")


def _twice_as_many(function, experts, n_experts):
    twice = function(torch.cat((experts, experts), dim=-1), n_experts)
    if not close(twice, 2 * function(experts, n_experts)):
        raise Wrong("The same choices made twice must give twice the load.", mistake="choices not counted once each")


def _rows_counted_apart(function, experts, n_experts):
    rows = experts, torch.zeros_like(experts)
    if not close(function(torch.stack(rows), n_experts), torch.stack([function(row, n_experts) for row in rows])):
        says = "A row's loads depend on the rows beside it: count each by itself."
        raise Wrong(says, mistake="rows not counted apart")


def _large_numbers(function, experts, n_experts):
    if experts.ndim > 1:  # one row is enough
        return
    for n in (301, 2_051, 33_001):
        got = function(experts[:1].repeat(n), n_experts)[experts[0]]
        if not close(got, torch.tensor(float(n))):
            raise Wrong(
                f"An expert that is chosen {n:,} times gets the load {got:,.0f}. Is that counted in a type too small "
                "for it? uint8 ends at 255, int16 at 32,767; bfloat16 skips numbers beyond 256, float16 beyond 2,048.",
                mistake="counted in too small a type",
            )
    got = function(torch.arange(300), 300)
    if not close(got, torch.ones(300)):
        raise Wrong(
            "Of 300 experts that are chosen once each, some have another load than 1. Are their *numbers* in a type "
            "too small for them, such as int8, uint8 or bfloat16?",
            mistake="expert numbers in too small a type",
        )


EXERCISE = Exercise(
    reference=expert_load,
    cases=_cases_of_load,
    properties=(
        Property("an idle expert keeps its place, with load 0", _idle_in_place),
        Property("every choice counts once", _every_choice_counts),
        Property("twice the tokens make twice the load", _twice_as_many),
        Property("each row is counted by itself", _rows_counted_apart),
        Property("agrees with the library", agrees_with(expert_load)),
        Property("counts and expert numbers may be large", _large_numbers),
    ),
    mistakes=MISTAKES,
    hints=(
        "Start with a zero for each expert, then let every choice add 1 in its expert's place.",
        "`counts.scatter_add(-1, experts, ones)` adds up even where an index comes twice; `ones` has the shape of "
        "`experts`. A sum of one-hot rows over the choices, made float, is the same.",
        "Two lines. The first makes zeros in whole numbers, of the shape of `experts` but with `n_experts` in place of "
        "n. The second adds a 1 for each choice, along the last dimension, and turns the counts into float32.",
    ),
    difficulty=1,
    minutes=10,
)
