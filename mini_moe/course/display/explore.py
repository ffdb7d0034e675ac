"""An explorer: sliders over a picture. One cell, two lives.

In JupyterLab the kernel draws each state as it is asked for. In the published book there is no kernel: with
``MINI_MOE_BOOK=1`` the same cell draws every state of the grid while the book is built, and the page shows them with
native sliders and a few lines of script, from a file and offline too.
"""

import base64
import gzip
import html
import inspect
import itertools
import json

import ipywidgets

from mini_moe.course.display.card import Blocks, Card, Says
from mini_moe.course.display.figure import image
from mini_moe.course.display.style import STYLE
from mini_moe.course.occasion import in_book

# The states are packed, for they are alike. Sliders choose one by mixed-radix index: the last one moves fastest, as in
# itertools.product.
SCRIPT = """<script>(async function (root) {
  const packed = Uint8Array.from(atob(root.querySelector(".mm-states").textContent), letter => letter.charCodeAt(0));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const states = await new Response(unpacked).json();
  const sliders = [...root.querySelectorAll("input")];
  function update() {
    let index = 0;
    for (const slider of sliders) {
      const label = JSON.parse(slider.dataset.labels)[slider.value];
      slider.nextElementSibling.textContent = label;
      slider.setAttribute("aria-valuetext", label);
      index = index * (Number(slider.max) + 1) + Number(slider.value);
    }
    const view = root.querySelector(".mm-view"), moved = view.firstElementChild?.scrollLeft;
    view.innerHTML = states[index];
    if (moved) view.firstElementChild.scrollLeft = moved;  // a wide figure stays where it was moved to
  }
  for (const slider of sliders) { slider.disabled = false; slider.addEventListener("input", update); }
  update();
})(document.currentScript.parentElement);</script>
<noscript><p class="mm-foot">The sliders need JavaScript.</p></noscript>"""


class Explore:
    """Show ``fn(**state)``, a matplotlib figure or a string of HTML, for any state of a grid.

    Args:
        fn: what draws one state. To who cannot see a figure it is described by the first line of fn's docstring, the
            state, and what can be read off the figure.
        grid: name of each of fn's parameters -> the values of its slider, numbers or strings. The slider begins at the
            first; numbers then stand in order of size.

    Raises:
        ValueError: a name is no parameter of fn, or one is missing, or a slider has no values. What fn raises for the
            first state goes on to the caller.
    """

    def __init__(self, fn, **grid):
        if not grid:
            raise ValueError("grid must name at least one of fn's parameters, got none.")
        for name, values in grid.items():
            if len(values) == 0:
                raise ValueError(f"grid must give {name} one value or more, got none.")
        try:
            inspect.signature(fn).bind(**grid)
        except TypeError as error:
            raise ValueError(f"grid must fit the parameters of {fn.__name__}, got {', '.join(grid)}: {error}") from None
        self.fn, self.grid = fn, {name: _in_order(values) for name, values in grid.items()}
        self.start = {name: values[0] for name, values in grid.items()}
        self._drawn = {}
        self.draw(**self.start)  # now, so that what is missing is told as any cell's error is

    def __repr__(self):
        ranges = "; ".join(f"{_words(name)}: {', '.join(map(_label, values))}" for name, values in self.grid.items())
        return f"Explorer of {self._describe({})} ({ranges})"

    def _repr_mimebundle_(self, include=None, exclude=None):
        if in_book():
            return {"text/plain": repr(self), "text/html": self.static()}
        return self.live()._repr_mimebundle_() | {"text/plain": repr(self)}

    def live(self):
        """The widget: sliders that the kernel listens to, over the picture."""
        sliders = {
            name: ipywidgets.SelectionSlider(
                options=[(_label(value), value) for value in values],
                value=self.start[name],
                description=_words(name),
                style={"description_width": "9rem"},
                layout={"width": "min(100%, 32rem)"},
            )
            for name, values in self.grid.items()
        }
        view = ipywidgets.HTML(self.draw(**self.start))

        def update(_change):
            state = {name: slider.value for name, slider in sliders.items()}
            try:
                view.value = self.draw(**state)
            except Exception as error:  # behind a slider it would only reach a log
                view.value = self._failed(state, error).html()

        for slider in sliders.values():
            slider.observe(update, "value")
        return ipywidgets.VBox([*sliders.values(), view])

    def static(self):
        """The page without a kernel: every state is drawn now."""
        states = [
            self.draw(**dict(zip(self.grid, state, strict=True))) for state in itertools.product(*self.grid.values())
        ]
        packed = base64.b64encode(gzip.compress(json.dumps(states).encode(), mtime=0)).decode()
        sliders = "".join(
            f'<label class="mm-slider"><span class="mm-title">{html.escape(_words(name))}</span>'
            f'<input type="range" min="0" max="{len(values) - 1}" value="{values.index(self.start[name])}" disabled '
            f"data-labels='{html.escape(json.dumps([_label(value) for value in values]), quote=True)}'>"
            f"<output>{html.escape(_label(self.start[name]))}</output></label>"
            for name, values in self.grid.items()
        )
        return (
            f'{STYLE}<section class="mm mm-note">{sliders}<div class="mm-view">{self.draw(**self.start)}</div>'
            f'<p class="mm-foot">All {len(states)} states were computed when the book was built. '
            "In JupyterLab the kernel draws each as you ask for it.</p>"
            f'<script type="text/plain" class="mm-states">{packed}</script>{SCRIPT}</section>'
        )

    def draw(self, **state):
        """One state as HTML, drawn once; whatever fn raises goes on to the caller."""
        key = tuple(state.values())
        if key not in self._drawn:
            drawn = self.fn(**state)
            self._drawn[key] = drawn if isinstance(drawn, str) else image(drawn, self._describe(state) + ".")
        return self._drawn[key]

    def _failed(self, state, error):
        says = Says(f"This state could not be drawn: {type(error).__name__}: {error}")
        asked = "\n".join(f"{name} = {value!r}" for name, value in state.items())
        return Card(f"`{self.fn.__name__}`", "note", (says, Blocks((("State", asked),))))

    def _describe(self, state):
        what = (inspect.getdoc(self.fn) or _words(self.fn.__name__)).splitlines()[0].rstrip(".")
        return ", ".join([what, *(f"{_words(name)} {_label(value)}" for name, value in state.items())])


def _in_order(values):
    numbers = all(isinstance(value, int | float) for value in values)
    return tuple(sorted(values)) if numbers else tuple(values)


def _words(name):
    return name.replace("_", " ")


def _label(value):
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
