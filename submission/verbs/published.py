"""Print what others report for a recipe beside what this run got."""

from collections.abc import Mapping

from submission.recipes.recipe import Published


def published_lines(
    published: Published, split: str, ours: Mapping[str, float] | None
) -> list[str]:
    """Return a small table in percent; `ours` are fractions, None without ground truth."""
    columns = list(published.means)
    rows = [
        ["percent", *columns],
        ["ours", *(f"{100 * ours[column]:.2f}" if ours else "?" for column in columns)],
        ["published", *(f"{published.means[column]:.2f}" for column in columns)],
    ]
    lines = [f"  {row[0]:<9}" + "".join(f"  {word:>6}" for word in row[1:]) for row in rows]
    lines.append(f"  published: {published.source}, on {published.split}")
    if ours is None:
        lines.append("  ours: this split has no ground truth; the judge tells after an upload")
    elif split != published.split:
        lines.append(f"  ours is on {split}: the two rows are not of the same data")
    return lines
