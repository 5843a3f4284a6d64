"""The ``hopecho`` command: check a configuration, follow a campaign, look into labels, export."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from hopecho.config import PROJECT_ROOT, Campaign, load
from hopecho.errors import HopechoError


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(prog="hopecho", description=__doc__)
    overlays = "overlays on config.yaml, as for snakemake"
    # One file each before the command: a list would swallow the command's name.
    top.add_argument("--configfile", action="append", default=[], metavar="FILE", help=overlays)
    after = argparse.ArgumentParser(add_help=False)
    after.add_argument(
        "--configfile", dest="overlays", nargs="+", default=[], metavar="FILE", help=overlays
    )
    commands = top.add_subparsers(dest="command", required=True)
    known = {
        "check": "validate the configuration and forecast its cost",
        "status": "rounds, nanoseconds done, failures, cost left",
        "labels": "list, verify, export or drop labels",
    }
    _, _, labels = (commands.add_parser(n, help=h, parents=[after]) for n, h in known.items())
    labels.add_argument("action", choices=["list", "verify", "export", "drop"])
    labels.add_argument("argument", nargs="?", help="file to export to, or hash to drop")
    export = commands.add_parser("export", help="write trajectory segments for OVITO or VMD")
    export.add_argument("segments", nargs="+", help="segment*.h5md, in order")
    export.add_argument("--output", required=True, help="extended XYZ file to write")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    args = parser().parse_args(argv)
    try:
        _run(args)
    except HopechoError as error:
        print(f"hopecho: error: {error}", file=sys.stderr)
        return 1
    return 0


def _run(args: argparse.Namespace) -> None:
    if args.command == "export":
        from hopecho.trajectory import export_extxyz

        print(f"{export_extxyz(args.segments, args.output)} frames -> {args.output}")
        return
    base = Path("config.yaml") if Path("config.yaml").is_file() else PROJECT_ROOT / "config.yaml"
    campaign = Campaign(load(base, *args.configfile, *args.overlays))
    if args.command == "labels":
        _labels(campaign, args.action, args.argument)
        return
    from hopecho.forecast import forecast_lines
    from hopecho.progress import status_lines

    lines = forecast_lines(campaign) if args.command == "check" else status_lines(campaign)
    print("\n".join(lines))


def _labels(campaign: Campaign, action: str, argument: str | None) -> None:
    from hopecho.labels import manage
    from hopecho.labels.store import LabelStore

    store = LabelStore(Path(campaign.get("labels.store")))
    if action in ("export", "drop") and argument is None:
        raise HopechoError(
            f"hopecho labels {action} needs an argument",
            fix="give a file to export to" if action == "export" else "give the label's hash",
        )
    if action == "drop":
        lines = manage.drop(store, str(argument), results=Path(campaign.get("results")))
    elif action == "export":
        lines = manage.export(store, str(argument))
    else:
        lines = manage.listing(store) if action == "list" else manage.verify(store)
    print("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
