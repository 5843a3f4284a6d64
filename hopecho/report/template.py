"""The page around the sections, and its style sheet."""

from __future__ import annotations

from collections.abc import Sequence

from hopecho.report.markup import Html, join, tag, text

CSS = """
:root { --ink: #1b1b1b; --soft: #595959; --line: #d4d4d4; --blue: #0072b2; --red: #b24a00; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 0 20px 60px; max-width: 1060px; color: var(--ink);
  background: #fff; font: 15px/1.5 "Helvetica Neue", Arial, "DejaVu Sans", sans-serif; }
h1 { font-size: 26px; margin: 22px 0 8px; }
h2 { font-size: 20px; margin: 40px 0 8px; padding-top: 12px; border-top: 2px solid var(--ink); }
h3 { font-size: 16px; margin: 26px 0 4px; }
p, ul { margin: 6px 0 10px; max-width: 92ch; }
code { font: 12px/1.4 "DejaVu Sans Mono", Menlo, monospace; overflow-wrap: break-word; }
nav { font-size: 14px; margin: 10px 0; }
nav a { color: var(--blue); margin-right: 14px; white-space: nowrap; }
.banner { margin: 0 -20px; padding: 14px 20px; color: #fff; background: var(--red); }
.banner.neutral { background: #2b4a5e; }
.banner p { margin: 4px 0 0; max-width: none; }
.banner .source { font-size: 24px; font-weight: 700; letter-spacing: .02em; }
.banner .warning { font-weight: 700; border-top: 1px solid #ffffff88; margin-top: 8px;
  padding-top: 6px; }
.headline { border-left: 4px solid var(--blue); padding: 2px 0 2px 14px; margin: 12px 0; }
.headline p { margin: 3px 0; }
.note { color: var(--soft); font-size: 13.5px; }
.scroll { overflow-x: auto; margin: 8px 0 14px; }
table { border-collapse: collapse; font-size: 13px; line-height: 1.35; }
th, td { text-align: left; vertical-align: top; padding: 4px 12px 4px 0;
  border-bottom: 1px solid var(--line); }
thead th { border-bottom: 1.5px solid var(--ink); vertical-align: bottom; }
th.group { padding-top: 10px; background: #f5f5f5; padding-left: 6px; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
td.number { white-space: nowrap; }
.weak { color: var(--soft); }
.verdict { display: inline-block; padding: 0 7px; border-radius: 9px; white-space: nowrap;
  border: 1px solid; font-size: 12px; }
.resolved, .passed { color: #00644b; border-color: #00644b; }
.bound { color: #8a5a00; border-color: #8a5a00; }
.not_seen { color: #3d3d3d; border-color: #8a8a8a; }
.failed { color: #fff; background: var(--red); border-color: var(--red); }
.figures { display: grid; grid-template-columns: 1fr 1fr; gap: 26px 30px; align-items: start; }
figure { margin: 0; min-width: 0; break-inside: avoid; }
figure.wide { grid-column: 1 / -1; }
figure svg { width: 100%; height: auto; display: block; margin: 0 auto; }
figcaption { font-size: 13px; line-height: 1.4; margin-top: 4px; }
figcaption .files { color: var(--soft); font-size: 12px; }
details { margin: 8px 0; }
summary { cursor: pointer; color: var(--blue); }
@media (max-width: 760px) { .figures { grid-template-columns: 1fr; } }
@media print { body { max-width: none; } .scroll { overflow: visible; } }
"""


def page(title: str, banner: Html, sections: Sequence[tuple[str, str, Html]]) -> str:
    """Return the whole document.

    Parameters
    ----------
    title : str
        Of the document.
    banner : Html
        First of all.
    sections : sequence of (anchor, heading, content)
        In order.
    """
    links = join(
        (Html(f'<a href="#{text(anchor)}">{text(heading)}</a>') for anchor, heading, _ in sections)
    )
    body = join(
        tag("section", tag("h2", heading, identifier=anchor), content)
        for anchor, heading, content in sections
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n"
        f"{tag('header', banner, tag('h1', title), tag('nav', links))}\n"
        f"<main>{body}</main>\n</body>\n</html>\n"
    )
