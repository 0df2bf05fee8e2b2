"""Tables of text, as reports and commands print them."""

from collections.abc import Collection, Sequence


def aligned(
    lines: Sequence[Sequence[str]], numbers: Collection[int] = (), rule: bool = False
) -> list[str]:
    """Each line's cells in columns, two spaces apart.

    Args:
        lines: The header first.
        numbers: The columns that stand to the right.
        rule: Dashes below the header.
    """
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    if rule:
        lines = [lines[0], ["-" * width for width in widths], *lines[1:]]
    return [
        "  ".join(
            cell.rjust(width) if i in numbers else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
