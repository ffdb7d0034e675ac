"""What a notebook says of a name that it does not know yet.

After a restart a notebook still shows what its cells gave, but the kernel has forgotten all of it. Python then says
"name 'model' is not defined"; a learner wants to know what to do.
"""

from mini_moe.course.checking import portfolio


def explain_missing_names(shell):
    """Let IPython's ``shell`` add to each NameError which cells to run first."""
    shell.set_custom_exc((NameError,), _explain)


def _explain(shell, kind, error, trace, tb_offset=None):
    error.add_note(
        f"If a cell above makes `{error.name}`, run that first. "
        "After a restart: in the menu, Run, then Run All Above Selected Cell."
    )
    if error.name in portfolio.kept():
        error.add_note(
            f"Your own `{error.name}` that passed its check is in the portfolio:\n"
            f"    from mini_moe.course import passed\n"
            f'    {error.name} = passed("{error.name}")'
        )
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
