"""The validation against the surface as one self-contained HTML page."""

from pathlib import Path

from hopecho.report.validation import validation_page
from hopecho.script import arguments, run


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "results", "page", lists=["records"])
    page = validation_page(Path(args.results), [Path(p) for p in args.records])
    Path(args.page).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run(main)
