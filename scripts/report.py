"""The campaign's report as one self-contained HTML page."""

from pathlib import Path

from hopecho.report.page import build_page
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "results", "summary", "page", lists=["validation"])
    validation = [Path(p) for p in args.validation]
    page = build_page(Path(args.results), Path(args.summary), validation)
    Path(args.page).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run(main)
