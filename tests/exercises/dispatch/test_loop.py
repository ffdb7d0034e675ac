"""Answers to `loop`: wrong ones as learners write them, right ones each in another way."""

from exercises.answers import Claims
from exercises.dispatch import choices_wrong, expert_wrong, layer_right, loop_wrong, weights_wrong


class TestLoop(Claims):
    answers = sum(
        (others.ANSWERS for others in (expert_wrong, weights_wrong, choices_wrong, layer_right)), loop_wrong.ANSWERS
    )
