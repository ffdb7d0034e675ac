"""A matplotlib figure as an image that says what it shows, also to who cannot see it."""

import html
import io
from urllib.parse import quote

import numpy as np
from matplotlib.container import BarContainer

LONGEST = 700  # characters of a description: who listens to it cannot skip


def image(figure, what=""):
    """The figure as an ``<img>`` that holds its SVG, the same bytes every time; the figure is closed.

    It stands in a box, in which it can be moved sideways where the page is narrow.

    Args:
        what: a sentence that goes before the description read off the figure.
    """
    import matplotlib.pyplot as plt

    stream = io.BytesIO()
    description = " ".join(filter(None, (what, describe(figure))))
    try:
        with plt.rc_context({"svg.hashsalt": "mini-moe"}):
            figure.savefig(stream, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    finally:
        plt.close(figure)
    svg = quote(stream.getvalue(), safe=" /:;,.=()-_")  # shorter than base64, and it compresses well
    picture = f'<img class="mm-figure" alt="{html.escape(description)}" src="data:image/svg+xml,{svg}">'
    return f'<div class="mm-wide" tabindex="0">{picture}</div>'


def describe(figure):
    """What a figure shows, in words: titles, axes, bars with their values, where each line begins and ends.

    >>> import matplotlib.pyplot as plt
    >>> figure, axes = plt.subplots()
    >>> _ = axes.bar(["dense", "experts"], [1.755, 1.737]), axes.set(title="Quality", ylabel="bits per byte")
    >>> print(describe(figure))
    Quality. Vertical: bits per byte. Bars: dense 1.75, experts 1.74.
    >>> plt.close(figure)
    """
    figure.canvas.draw()  # ticks have labels only now
    text = " ".join(_axes(axes) for axes in figure.axes)
    return text if len(text) <= LONGEST else text[:LONGEST].rsplit(" ", 1)[0] + " ..."


def _axes(axes):
    says = [axes.get_title()]
    for name, label in ("Horizontal", axes.get_xlabel()), ("Vertical", axes.get_ylabel()):
        says.append(f"{name}: {label}" if label else "")
    for container in axes.containers:
        if isinstance(container, BarContainer):
            says.append(_named(container, "Bars: ") + ", ".join(_bars(axes, container)))
    says += [
        _line(axes, line) for line in axes.lines if line.get_transform() == axes.transData and len(line.get_xdata())
    ]
    says += [
        f"{image.get_array().shape[0]} rows of {image.get_array().shape[1]} coloured fields" for image in axes.images
    ]
    written = [text.get_text() for text in axes.texts]
    says.append(", ".join(" ".join(text.split()) for text in written if text.strip()))
    return " ".join(f"{sentence.strip().rstrip('.')}." for sentence in says if sentence.strip())


def _bars(axes, container):
    upright = container.orientation == "vertical"
    axis = axes.xaxis if upright else axes.yaxis
    names = dict(
        zip(np.round(axis.get_ticklocs(), 6).tolist(), (t.get_text() for t in axis.get_ticklabels()), strict=False)
    )
    for bar in container:
        place = bar.get_x() + bar.get_width() / 2 if upright else bar.get_y() + bar.get_height() / 2
        name = names.get(round(float(place), 6)) or f"{place:.3g}"
        yield f"{' '.join(name.split())} {bar.get_height() if upright else bar.get_width():.3g}"


def _line(axes, line):
    x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
    name = _named(line, "A line: ")
    if len(x) == 1:
        return f"{name}{y[0]:.3g} at {x[0]:,.5g}"
    return f"{name}from {y[0]:.3g} at {x[0]:,.5g} to {y[-1]:.3g} at {x[-1]:,.5g}"


def _named(artist, otherwise):
    label = str(artist.get_label())
    return otherwise if label.startswith("_") or not label else f"{label}: "
