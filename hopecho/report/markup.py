"""A few pieces of HTML; everything that is not marked as HTML already is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class Html(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


def text(value: object) -> Html:
    """Escape a value unless it is HTML already."""
    return value if isinstance(value, Html) else Html(html.escape(str(value)))


def tag(name: str, *content: object, css: str = "", identifier: str = "") -> Html:
    """Return one element; contents are escaped."""
    attributes = f' class="{text(css)}"' if css else ""
    attributes += f' id="{text(identifier)}"' if identifier else ""
    return Html(f"<{name}{attributes}>{join(content)}</{name}>")


def join(parts: Iterable[object], between: str = "") -> Html:
    """Concatenate contents, escaping each."""
    return Html(between.join(text(part) for part in parts))


def table(
    header: Sequence[object], rows: Iterable[Sequence[object]], *, numbers: Sequence[int] = ()
) -> Html:
    """Return a table that scrolls on its own when it is too wide.

    Parameters
    ----------
    header : sequence
        Column heads.
    rows : iterable of sequence
        Cells; a row of one cell spans the table as a heading.
    numbers : sequence of int
        Columns aligned to the right.
    """

    def cell(kind: str, column: int, content: object) -> Html:
        return tag(kind, content, css="number" if column in numbers else "")

    head = tag("tr", *(cell("th", k, h) for k, h in enumerate(header)))
    body = []
    for row in rows:
        if len(row) == 1:
            span = Html(f'<th class="group" colspan="{len(header)}">{text(row[0])}</th>')
            body.append(tag("tr", span))
        else:
            body.append(tag("tr", *(cell("td", k, c) for k, c in enumerate(row))))
    inner = tag("table", tag("thead", head), tag("tbody", *body))
    return tag("div", inner, css="scroll")


def file_name(path: str) -> Html:
    """Return a path that breaks after slashes only."""
    return Html(f"<code>{'/<wbr>'.join(text(part) for part in path.split('/'))}</code>")


def items(entries: Iterable[object]) -> Html:
    """Return a list."""
    return tag("ul", *(tag("li", entry) for entry in entries))


def details(summary: object, content: object) -> Html:
    """Return a part that the reader can unfold."""
    return tag("details", tag("summary", summary), content)


@dataclass(frozen=True)
class Drawing:
    """One figure of the page."""

    name: str
    """Unique in the page; the anchor."""
    svg: str
    title: str
    look_for: str
    """What the reader should look for."""
    files: Sequence[str]
    """Where the numbers are, relative to the results."""
    wide: bool = False

    def markup(self) -> Html:
        """Return the figure with its caption."""
        caption = tag(
            "figcaption",
            tag("strong", self.title, "."),
            " ",
            self.look_for,
            tag("div", "Files: ", join((file_name(f) for f in self.files), ", "), css="files"),
        )
        css = "wide" if self.wide else ""
        return tag("figure", Html(self.svg), caption, css=css, identifier=f"figure-{self.name}")
