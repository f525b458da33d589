"""Tables as Markdown and as LaTeX (booktabs), written by hand: no further package, fixed bytes."""

from collections.abc import Sequence

_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "±": r"$\pm$",
    "−": "$-$",
    "—": "---",
    "–": "--",
    "×": r"$\times$",
    "←": r"$\leftarrow$",
    "→": r"$\rightarrow$",
    "α": r"$\alpha$",
    "γ": r"$\gamma$",
    "η": r"$\eta$",
    "λ": r"$\lambda$",
    "²": r"$^2$",
    "₁": r"$_1$",
    "₂": r"$_2$",
    "…": r"\ldots{}",
}


def markdown(caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table under its caption."""
    lines = [_row(columns), _row([":--"] + ["--:"] * (len(columns) - 1)), *(_row(row) for row in rows)]
    return f"{_markdown(caption)}\n\n" + "\n".join(lines) + "\n"


def latex(caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A LaTeX table environment with booktabs rules; every text is escaped."""
    body = [" & ".join(map(escape, row)) + r" \\" for row in rows]
    head = " & ".join(map(escape, columns)) + r" \\"
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape(caption)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}",
            *(r"\toprule", head, r"\midrule", *body, r"\bottomrule"),
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def escape(text: str) -> str:
    """Text for LaTeX's text mode."""
    return "".join(_LATEX.get(character, character) for character in text)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_markdown, cells)) + " |"


def _markdown(text: str) -> str:
    for character in "\\|*_<`":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())
