"""Wrong answers to `sort_by_expert`: where each expert's pairs end."""

import torch
from exercises.answers import Answers

from mini_moe.course.exercises.dispatch.sort_by_expert import EXERCISE

ANSWERS = Answers(EXERCISE)
wrong = ANSWERS.wrong


@wrong("starts in place of ends", "searchsorted from the left")
def _(experts_NK, n_experts):
    values, pair = experts_NK.flatten().sort()
    return pair, torch.searchsorted(values, torch.arange(n_experts))


@wrong("starts in place of ends", "noted before the loop's body")
def _(experts_NK, n_experts):
    flat, pairs, ends = experts_NK.flatten().tolist(), [], []
    for e in range(n_experts):
        ends.append(len(pairs))
        pairs.extend(i for i, expert in enumerate(flat) if expert == e)
    return torch.tensor(pairs), torch.tensor(ends)


@wrong("counts in place of ends")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    return flat.argsort(), flat.bincount(minlength=n_experts)


@wrong("last places in place of ends")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    return flat.argsort(), flat.bincount(minlength=n_experts).cumsum(0) - 1


@wrong("a zero in front")
def _(experts_NK, n_experts):
    pairs, ends = [], [0]
    for e in range(n_experts):
        pairs.append((experts_NK.flatten() == e).nonzero().flatten())
        ends.append(ends[-1] + len(pairs[-1]))
    return torch.cat(pairs), torch.tensor(ends)


@wrong("experts without pairs left out", "unique")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    return flat.argsort(), flat.unique(return_counts=True)[1].cumsum(0)


@wrong("experts without pairs left out", "bincount without minlength")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    return flat.argsort(), flat.bincount().cumsum(0)


@wrong("experts without pairs left out", "where the sorted experts change")
def _(experts_NK, n_experts):
    values, pair = experts_NK.flatten().sort()
    change = (values[1:] != values[:-1]).nonzero().flatten() + 1
    return pair, torch.cat((change, torch.tensor([len(values)])))


@wrong("each expert counted once")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    counts = torch.zeros(n_experts, dtype=torch.int64)
    counts[flat] += 1
    return flat.argsort(), counts.cumsum(0)


@wrong("no end without pairs")
def _(experts_NK, n_experts):
    values, pair = experts_NK.flatten().sort()
    ends = torch.zeros(n_experts, dtype=torch.int64)
    for place, e in enumerate(values.tolist()):
        ends[e] = place + 1
    return pair, ends


@wrong("the next expert's ends", "experts counted from 1")
def _(experts_NK, n_experts):
    ends = [(experts_NK <= e).sum() for e in range(1, n_experts + 1)]
    return experts_NK.flatten().argsort(), torch.stack(ends)


@wrong("last end left out")
def _(experts_NK, n_experts):
    counts = torch.tensor([(experts_NK == e).sum() for e in range(n_experts - 1)], dtype=torch.int64)
    return experts_NK.flatten().argsort(), counts.cumsum(0)


@wrong("ends not where the pairs end", "cut to the number of tokens")
def _(experts_NK, n_experts):
    flat = experts_NK.flatten()
    return flat.argsort(), flat.bincount(minlength=n_experts).cumsum(0).clamp(max=len(experts_NK))


def with_counts(cumulate):
    """A sort whose ends come from counts in another type."""

    def sort(experts_NK, n_experts):
        flat = experts_NK.flatten()
        return flat.argsort(stable=True), cumulate(flat.bincount(minlength=n_experts)).long()

    return sort


wrong("large numbers", "counted in uint8")(with_counts(lambda count: count.to(torch.uint8).cumsum(0)))
wrong("large numbers", "counted in bfloat16")(with_counts(lambda count: count.bfloat16().cumsum(0)))
wrong("large numbers", "counted in float16")(with_counts(lambda count: count.half().cumsum(0)))
