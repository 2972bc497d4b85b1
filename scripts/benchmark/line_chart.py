"""Panels of lines as one SVG picture, drawn by hand: no plotting library is needed for this."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10

WIDTH, HEIGHT = 420, 320  # pixels of a panel
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 40, 48  # margins of a panel
TICKS = 5  # at most, between 0 and the end of an axis
FONT = "font-family='Helvetica, Arial, sans-serif'"
INK, FAINT = "#333333", "#dddddd"


@dataclass(frozen=True)
class Line:
    """Points (x, y) in order of x, and how they are drawn."""

    name: str
    points: Sequence[tuple[float, float]]
    color: str
    dash: str = ""  # as in SVG's stroke-dasharray; empty for a solid line


@dataclass(frozen=True)
class Panel:
    """One pair of axes, both beginning at 0."""

    title: str
    x_name: str
    y_name: str
    lines: Sequence[Line]


def draw(panels: Sequence[Panel], summary: str) -> str:
    """Return an SVG with the panels side by side; `summary` says in words what it shows."""
    width = WIDTH * len(panels)
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {HEIGHT}' "
        f"width='{width}' height='{HEIGHT}' role='img'>",
        f"<title>{escape(summary)}</title>",
        f"<rect width='{width}' height='{HEIGHT}' fill='white'/>",
    ]
    for index, panel in enumerate(panels):
        parts += [f"<g transform='translate({index * WIDTH} 0)'>", *_draw_panel(panel), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def ticks(largest: float) -> list[float]:
    """Round values from 0 to the first that is not below `largest`, at most six of them."""
    step = _round_up(largest / TICKS)
    count = 0
    while count * step < largest * (1 - 1e-9):
        count += 1
    return [round(step * n, 10) for n in range(count + 1)]


def _round_up(step: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** floor(log10(step))
    return next(n * power for n in (1, 2, 5, 10) if n * power >= step * (1 - 1e-9))


def _draw_panel(panel: Panel) -> Iterator[str]:
    points = [point for line in panel.lines for point in line.points]
    across, up = (ticks(max(point[axis] for point in points)) for axis in (0, 1))
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + x / across[-1] * (right - LEFT),
            bottom - y / up[-1] * (bottom - TOP),
        )

    for value in up:
        _, y = place(0, value)
        yield f"<path d='M{LEFT} {y:.1f}H{right}' stroke='{FAINT}'/>"
        yield _text(f"{value:g}", LEFT - 6, y + 4, "end")
    for value in across:
        yield _text(f"{value:g}", place(value, 0)[0], bottom + 16, "middle")
    yield f"<path d='M{LEFT} {bottom}H{right}' stroke='{INK}'/>"
    yield _text(panel.title, LEFT, 18, "start", "bold")
    yield _text(panel.x_name, (LEFT + right) / 2, HEIGHT - 12, "middle")
    yield (
        f"<g transform='translate(14 {(TOP + bottom) / 2}) rotate(-90)'>"
        f"{_text(panel.y_name, 0, 0, 'middle')}</g>"
    )
    for index, line in enumerate(panel.lines):
        yield from _draw_line(line, [place(x, y) for x, y in line.points], TOP + 10 + 17 * index)


def _draw_line(line: Line, places: Sequence[tuple[float, float]], key_y: float) -> Iterator[str]:
    """The line with its points, and its entry in the key at the upper left."""
    dash = f" stroke-dasharray='{line.dash}'" if line.dash else ""
    stroke = f"fill='none' stroke='{line.color}' stroke-width='2'{dash}"
    way = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    yield f"<path d='M{way}' {stroke}/>"
    for x, y in places:
        yield f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3' fill='{line.color}'/>"
    yield f"<path d='M{LEFT + 8} {key_y - 4}h24' {stroke}/>"
    yield _text(line.name, LEFT + 38, key_y, "start")


def _text(text: str, x: float, y: float, anchor: str, weight: str = "normal") -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' font-size='12' {FONT} "
        f"font-weight='{weight}' fill='{INK}' stroke='white' stroke-width='4' "
        f"paint-order='stroke'>{escape(text)}</text>"
    )
