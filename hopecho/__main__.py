"""The ``hopecho`` command: check a configuration, follow a campaign, look into labels, publish."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hopecho import own_plan
from hopecho.config import Campaign, load
from hopecho.config_text import PROJECT_ROOT
from hopecho.errors import HopechoError

LABEL_ACTIONS: Mapping[str, str] = {
    "list": "",
    "show": "the hash of a structure (hopecho labels list)",
    "verify": "",
    "export": "a file to export to",
    "drop": "the hash of a label (hopecho labels list)",
    "retry": "",
}
"""What is done with labels, and the argument that it needs."""


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
        "labels": "list, show, verify, export, drop or retry labels",
    }
    check, status, labels = (
        commands.add_parser(n, help=h, parents=[after]) for n, h in known.items()
    )
    for one in (check, status):
        cores = "cores that the campaign may use, for its wall time (default: all)"
        one.add_argument("--cores", type=int, default=os.cpu_count(), metavar="N", help=cores)
    labels.add_argument("action", choices=list(LABEL_ACTIONS))
    labels.add_argument("argument", nargs="?", help="file to export to; hash to show or drop")
    pseudo = commands.add_parser("pseudo", help="write pseudopotential files of free packages")
    pseudo.add_argument("kind", choices=["gth", "paw"], help="gth for pw.x, paw for abinit")
    pseudo.add_argument("elements", nargs="+")
    pseudo.add_argument("--out", required=True, help="folder for the files")
    pseudo.add_argument("--source", help="file of GTH data, or folder of PAW setups")
    export = commands.add_parser("export", help="write trajectory segments for OVITO or VMD")
    export.add_argument("segments", nargs="+", help="segment*.h5md, in order")
    export.add_argument("--output", required=True, help="extended XYZ file to write")
    _add_own_data(commands, after)
    clean = commands.add_parser(
        "clean", help="remove the results of a campaign, never its labels", parents=[after]
    )
    clean.add_argument("--yes", action="store_true", help="do not ask")
    freeze = commands.add_parser(
        "freeze", help="copy a finished campaign's products, to be published", parents=[after]
    )
    freeze.add_argument("folder", help="a folder that does not exist")
    check_only = "compare a frozen campaign with its manifest instead"
    freeze.add_argument("--verify", action="store_true", help=check_only)
    return top


def _add_own_data(commands: Any, after: argparse.ArgumentParser) -> None:
    """Add the commands that analyse what somebody else has computed."""
    echo = commands.add_parser(
        "echo", help="analyse field gradients, or a trajectory, of your own", parents=[after]
    )
    transport = commands.add_parser(
        "transport", help="analyse trajectories of your own", parents=[after]
    )
    compare = commands.add_parser(
        "compare", help="compare two sets of trajectories of your own", parents=[after]
    )
    runs = "one run each: a file, or consecutive files joined by commas"
    for one in (echo, transport, compare):
        one.add_argument("runs", nargs="+", help=runs)
        one.add_argument("--output", required=True, help="folder for the results")
        if one is not compare:
            quench = "starting structure of each run"
            one.add_argument("--quench", nargs="+", type=int, help=quench)
        one.add_argument("--source", default="own data", help="where the data are from")
        one.add_argument("--material", help="entry of `materials` in the configuration")
        one.add_argument("--stride-ps", type=float, help="time between frames, ps (LAMMPS dumps)")
    others = "the runs of the other side, one each"
    compare.add_argument("--reference", nargs="+", required=True, help=others)
    echo.add_argument("--isotope", default="7Li", help="probe nucleus")
    echo.add_argument("--model", help="model.npz: the runs are trajectories, tensors are predicted")
    transport.add_argument("--temperature-k", type=float, required=True, help="temperature, K")


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
    if args.command == "pseudo":
        from hopecho.labels.pseudopotentials import write_set

        print("\n".join(write_set(args.kind, args.elements, Path(args.out), source=args.source)))
        return
    if args.command == "freeze" and args.verify:
        from hopecho.publish import verify_frozen

        print("\n".join(verify_frozen(Path(args.folder))))
        return
    base = Path("config.yaml") if Path("config.yaml").is_file() else PROJECT_ROOT / "config.yaml"
    campaign = Campaign(load(base, *args.configfile, *args.overlays))
    if args.command in ("echo", "transport"):
        from hopecho.own_analysis import own_echo, own_transport

        analyse = own_echo if args.command == "echo" else own_transport
        print("\n".join(str(path) for path in analyse(campaign, **_own(args))))
        return
    if args.command == "compare":
        from hopecho.validation.own import own_comparison

        print("\n".join(str(path) for path in own_comparison(campaign, **_own(args))))
        return
    if args.command == "labels":
        _labels(campaign, args.action, args.argument, [*args.configfile, *args.overlays])
        return
    if args.command in ("clean", "freeze"):
        _publish(campaign, args)
        return
    from hopecho.forecast import forecast_lines
    from hopecho.progress import status_lines

    if args.command == "check" and own_plan.learned(campaign.config):
        _check_labels(campaign)
    say = forecast_lines if args.command == "check" else status_lines
    print("\n".join(say(campaign, args.cores)))


def _publish(campaign: Campaign, args: argparse.Namespace) -> None:
    from hopecho import publish

    if args.command == "freeze":
        print("\n".join(publish.freeze(campaign, Path(args.folder))))
        return
    results = publish.removable(campaign)
    if not args.yes and input(f"remove {results} with everything in it? [yes/no] ") != "yes":
        raise HopechoError("nothing was removed", fix="answer yes, or give --yes")
    print(publish.clean(campaign))


def _own(args: argparse.Namespace) -> dict[str, Any]:
    """Arguments of an analysis of own data: every run is a list of files."""
    own = {"echo": ("quench", "isotope", "model"), "transport": ("quench", "temperature_k")}
    names = ("source", "material", "stride_ps", *own.get(args.command, ()))
    sides = ("runs", "reference") if args.command == "compare" else ("runs",)
    runs = {side: [run.split(",") for run in getattr(args, side)] for side in sides}
    return runs | {"output": Path(args.output)} | {n: getattr(args, n) for n in names}


def _check_labels(campaign: Campaign) -> None:
    """Ask the code of the labels for its version, and whether it takes its settings."""
    from hopecho.labels.campaign import backend_from_settings, check_source

    settings = campaign.get("labels")
    check_source(settings["source"], backend_from_settings(settings).source)


def _labels(campaign: Campaign, action: str, argument: str | None, overlays: Sequence[str]) -> None:
    from hopecho.labels import manage
    from hopecho.labels.store import LabelStore

    store = LabelStore(Path(campaign.get("labels.store")))
    wanted = LABEL_ACTIONS[action]
    if wanted and argument is None:
        raise HopechoError(f"hopecho labels {action} needs an argument", fix=f"give {wanted}")
    results = Path(campaign.get("results"))
    actions: Mapping[str, Callable[[], Iterator[str]]] = {
        "list": lambda: manage.listing(store),
        "show": lambda: manage.show(store, str(argument)),
        "verify": lambda: manage.verify(store),
        "export": lambda: manage.export(store, str(argument)),
        "drop": lambda: manage.drop(store, str(argument), results=results, overlays=overlays),
        "retry": lambda: manage.retry(
            store, retries=campaign.get("labels.retries"), results=results, overlays=overlays
        ),
    }
    print("\n".join(actions[action]()))


if __name__ == "__main__":
    sys.exit(main())
