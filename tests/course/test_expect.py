"""What a lesson expects, and a name that is not there: a learner is told, a test fails."""

import nbformat
import pytest
from nbclient import NotebookClient

from mini_moe.course import expect
from mini_moe.course.checking import portfolio


def test_what_holds_is_not_spoken_of(capsys, monkeypatch):
    monkeypatch.setenv("MINI_MOE_STRICT", "1")
    expect(2 > 1, "two is more")
    assert capsys.readouterr().out == ""


def test_a_learner_is_told_and_goes_on(capsys, monkeypatch):
    monkeypatch.delenv("MINI_MOE_STRICT", raising=False)
    expect(1 > 2, "the loss has fallen")
    assert "expects that the loss has fallen, and it is not so" in capsys.readouterr().out


@pytest.mark.parametrize("occasion", ["MINI_MOE_STRICT", "MINI_MOE_BOOK"])
def test_a_test_and_the_book_insist(occasion, monkeypatch):
    monkeypatch.setenv(occasion, "1")
    with pytest.raises(AssertionError, match="the loss has fallen"):
        expect(1 > 2, "the loss has fallen")


def double(x):
    return 2 * x


def test_a_name_that_is_not_there_is_told_with_what_to_run_and_what_is_kept():
    portfolio.keep(double)
    take_back = 'from mini_moe.course import passed\ndouble = passed("double")'
    cells = ["import mini_moe.course", "model", "double(2)", f"{take_back}\ndouble(2)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=60, kernel_name="python3", allow_errors=True).execute()
    _, model, mine, again = (cell.outputs for cell in notebook.cells)
    told = ["\n".join(outputs[0]["traceback"]) for outputs in (model, mine)]
    for name, text in zip(("model", "double"), told, strict=True):
        assert f"name '{name}' is not defined\nIf a cell above makes `{name}`, run that first." in text
    assert "portfolio" not in told[0]
    assert [line.strip() for line in told[1].splitlines()[-2:]] == take_back.splitlines()
    assert again[0]["data"]["text/plain"] == "4"
