"""What a lesson expects of a result: a test insists on it, a learner is only told.

A learner may change anything, and *Go further* asks for it. So what does not come out as the lesson says is shown, and
stops nothing.
"""

from IPython.display import display

from mini_moe.course.display.card import Card, Footer, Says
from mini_moe.course.occasion import strict


def expect(condition, words):
    """Say so if ``condition`` does not hold; ``words`` finish the sentence "this lesson expects that ...".

    Raises:
        AssertionError: it does not hold, and the run is `strict`.
    """
    if condition:
        return
    if strict():
        raise AssertionError(f"Expected: {words}.")
    why = "If you changed something, this is what it did. If not, run all cells above again, from the first."
    display(Card("Another result", "note", (Says(f"This lesson expects that {words}, and it is not so."), Footer(why))))
