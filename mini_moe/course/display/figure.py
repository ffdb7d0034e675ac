"""A matplotlib figure as an image that says what it shows, also to who cannot see it."""

import html
import io
import re
from urllib.parse import quote

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.text import Annotation

FITS = 'style="max-width: 100%; height: auto"'
NARROW = 5.5  # inches: on a phone its letters can still be read
LONGEST = 700  # characters of a description: who listens to it cannot skip


def image(figure, what=""):
    """The figure as an ``<img>`` that holds its SVG, the same bytes every time; the figure is closed.

    A wide one stands in a box in which it can be moved sideways where the page is narrow.

    Args:
        what: a sentence that goes before the description read off the figure.
    """
    import matplotlib.pyplot as plt

    stream = io.BytesIO()
    try:
        with plt.rc_context({"svg.hashsalt": "mini-moe"}):
            figure.savefig(stream, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
        description = " ".join(filter(None, (what, describe(figure))))
    finally:
        plt.close(figure)
    svg = quote(stream.getvalue(), safe=" /:;,.=()-_")  # shorter than base64, and it compresses well
    picture = f'<img class="mm-figure" alt="{html.escape(description)}" src="data:image/svg+xml,{svg}" {FITS}>'
    if figure.get_figwidth() <= NARROW:
        return picture
    return f'<div class="mm-wide" tabindex="0" role="group" aria-label="wide figure">{picture}</div>'


def describe(figure):
    """What a figure shows, in words: titles, axes, bars with their values, where each line begins and ends.

    >>> import matplotlib.pyplot as plt
    >>> figure, axes = plt.subplots()
    >>> _ = axes.bar(["dense", "experts"], [1.755, 1.737]), axes.set(title="Quality", ylabel="bits per byte")
    >>> print(describe(figure))
    Quality. Vertical: bits per byte. Bars: dense 1.75, experts 1.74.
    >>> plt.close(figure)
    """
    figure.draw_without_rendering()  # ticks have labels only now
    text = " ".join(_axes(axes) for axes in figure.axes)
    return text if len(text) <= LONGEST else text[:LONGEST].rsplit(" ", 1)[0] + " ..."


def _axes(axes):
    says = [axes.get_title()]
    for name, label in ("Horizontal", axes.get_xlabel()), ("Vertical", axes.get_ylabel()):
        says.append(f"{name}: {label}" if label else "")
    bars = [container for container in axes.containers if isinstance(container, BarContainer)]
    says += [_named(container, "Bars: ") + ", ".join(_bars(axes, container)) for container in bars]
    whiskers = {
        part for container in axes.containers if isinstance(container, ErrorbarContainer) for part in container[1]
    }
    lines = [line for line in axes.lines if line.get_transform() == axes.transData and line not in whiskers]
    of_colour = {line.get_color(): _named(line, "") for line in reversed(lines)}  # the first of a colour has its label
    says += [_line(axes, line, of_colour[line.get_color()]) for line in lines]
    says += [f"{len(dots.get_offsets())} dots" for dots in axes.collections if isinstance(dots, PathCollection)]
    says += ["{} rows of {} coloured fields".format(*image.get_array().shape) for image in axes.images]
    says.append(_written([text for text in axes.texts if not (bars and isinstance(text, Annotation))], axes))
    says = [" ".join(sentence.split()) for sentence in says]
    return " ".join(sentence if sentence[-1] in ".?!" else f"{sentence}." for sentence in says if sentence)


def _bars(axes, container):
    upright = container.orientation == "vertical"
    for bar in container:
        middle = bar.get_x() + bar.get_width() / 2 if upright else bar.get_y() + bar.get_height() / 2
        name = _name(axes.xaxis if upright else axes.yaxis, middle) or _number(middle)
        yield f"{name} {_number(bar.get_height() if upright else bar.get_width())}"


def _line(axes, line, name):
    places = np.column_stack([line.get_xdata(orig=False), line.get_ydata(orig=False)]).astype(float)
    x, y = places[np.isfinite(places).all(axis=1)].T
    if not len(x):
        return ""
    row = _name(axes.yaxis, y[0]) if (y == y[0]).all() else None
    if row:
        return f"{name}{row} {_number(x.min())}" + (f" to {_number(x.max())}" if len(x) > 1 else "")
    begins, *ends = (f"{_number(y[at])} at {_name(axes.xaxis, x[at]) or _number(x[at])}" for at in (0, -1)[: len(x)])
    return (name or "A line: ") + (f"from {begins} to {ends[0]}" if ends else begins)


def _number(value):
    """Three or four digits, and no powers of ten where words would do."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e12 else f"{value:.3g}"


def _written(texts, axes):
    """What is written in the axes, by the name of its row where rows have names."""
    rows = {}
    for text in texts:
        x, y = getattr(text, "xy", None) or text.get_position()
        if text.get_text().strip():
            rows.setdefault(_name(axes.yaxis, y), []).append(" ".join(text.get_text().split()))
    return "; ".join((f"{name}: " if name else "") + ", ".join(words) for name, words in rows.items())


def _name(axis, place):
    """The words at a place of an axis, or near it; None where it has numbers."""
    if isinstance(place, str):
        return place
    labels = zip(axis.get_ticklocs(), (label.get_text() for label in axis.get_ticklabels()), strict=False)
    words = {at: " ".join(label.split()) for at, label in labels if re.search("[a-zA-Z]", label) and "$" not in label}
    near = min(words, key=lambda at: abs(at - place), default=None)
    return words[near] if words and abs(near - place) <= 0.5 else None


def _named(artist, otherwise):
    label = str(artist.get_label())
    return otherwise if label.startswith("_") or not label else f"{label}: "
