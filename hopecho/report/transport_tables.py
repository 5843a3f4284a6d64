"""Tables of mobility and structure: where D is read, temperature series, first shells."""

from __future__ import annotations

from collections.abc import Sequence

from hopecho.dynamics.rdf import first_shell
from hopecho.report.campaign import CampaignView
from hopecho.report.markup import Html, details, file_name, join, table, tag
from hopecho.report.words import ABSENT, number, say, value_text
from hopecho.units import QUANTITIES


def diffusion_table(view: CampaignView) -> Html:
    """Return D beside the MSD at the longest lag, its window, its axes, and the drift removed."""
    rows: list[list[object]] = []
    for case in sorted(view.cases, key=lambda c: (c.material, c.temperature_k)):
        path = f"{case.folder}/msd.json"
        record = view.record(path)
        low, high = record["window_ps"]
        slope, resolved = record["log_slope"], record["d_tracer"]["value"] is not None
        axes = ", ".join(number(d, 2) for d in record["d_axes_m2_s"])
        rows.append(
            [
                case.phase,
                case.temperature_k,
                say("d_tracer", record["d_tracer"]),
                value_text(record["d_at_longest_lag_m2_s"], "m2/s"),
                f"{number(low)} to {number(high)}" if resolved else ABSENT,
                f"{number(slope['value'], 2)} ± {number(slope['stderr'], 2)}",
                axes if resolved else ABSENT,
                f"{number(record['largest_drift_angstrom'], 2)}\u00a0Å",
                file_name(path),
            ]
        )
    head = [
        "phase", "T\u00a0(K)", "D", "MSD/(6 t) at the end", "window (ps)", "log slope",
        "D along x, y, z (m²/s)", "drift removed", "file",
    ]  # fmt: skip
    note = (
        "D is the slope of the MSD over 6 in the window in which the log slope d ln MSD / d ln t "
        "is 1 within 0.1 and two errors. MSD/(6 t) at the longest lag holds the cage as well, and "
        "is never zero: it is no diffusion coefficient where nothing diffuses. Positions are "
        "relative to the framework's centre of charge; the drift is how far that moved."
    )
    return join(
        (tag("h3", "Where D is read"), table(head, rows, numbers=[1]), tag("p", note, css="note"))
    )


def shell_table(view: CampaignView) -> Html:
    """Return the first shell of every ordered pair of elements, folded."""
    rows: list[list[object]] = []
    data = {case: view.table(f"{case.folder}/rdf.csv") for case in view.cases}
    pairs = dict.fromkeys(c[2:] for t in data.values() for c in t.columns if c.startswith("n_"))
    for pair in pairs:
        centre, _, other = pair.partition("-")
        own: list[list[object]] = []
        for case in sorted(data, key=lambda c: (c.material, c.temperature_k)):
            if f"n_{pair}" not in data[case].columns:
                continue
            names = ("r_angstrom", f"g_{pair}", f"n_{pair}")
            shell = first_shell(*(data[case][n].to_numpy(float) for n in names))
            if shell is None:
                continue
            own.append(
                [
                    case.phase,
                    case.temperature_k,
                    f"{shell.peak_angstrom:.2f}",
                    f"{shell.peak_g:.1f}",
                    f"{shell.end_angstrom:.2f}",
                    f"{shell.neighbours:.2f}",
                ]
            )
        rows += [[f"{other} around {centre}"], *own] if own else []
    if not rows:
        return Html("")
    head = ["phase", "T\u00a0(K)", "peak (Å)", "g there", "end of the shell (Å)", "neighbours"]
    note = (
        "The first peak of g(r) and the lowest point behind it, both of g smoothed over 0.2 Å; "
        "where g does not fall to near zero there, the number of neighbours depends on that end."
    )
    shown = join((table(head, rows, numbers=[1, 2, 3, 4, 5]), tag("p", note, css="note")))
    return details("First shells and coordination numbers", shown)


def series_table(view: CampaignView) -> Html:
    """Activation energies, extrapolations, and whether these were tested; empty for one T."""
    rows: list[list[object]] = []
    for material in view.materials:
        if len(view.temperatures(material)) < 2:
            continue
        for phase in view.phases(material):
            path = f"{material}/phases/{phase}/arrhenius.json"
            record = view.record(path)
            for name in ("d_tracer", "sigma_einstein"):
                rows.append([phase, QUANTITIES[name].label, *_series_row(record[name]), path])
                rows[-1][-1] = file_name(path)
    if not rows:
        return join(())
    head = ["phase", "quantity", "from (K)", "activation energy", "at 300 K", "tested", "file"]
    note = (
        "Only temperatures with a resolved value enter. The interval of an extrapolation is that "
        "of the line; that the same mechanism holds is tested by predicting the coldest "
        "temperature from the others, which needs three."
    )
    return join((tag("h3", "Temperature series"), table(head, rows), tag("p", note, css="note")))


def _series_row(entry: dict[str, object]) -> Sequence[object]:
    temperatures, z = entry["temperatures_k"], entry["surprise_z"]
    assert isinstance(temperatures, list)
    energy, cold = entry["activation_energy"], entry["at_300k"]
    assert isinstance(energy, dict)
    assert isinstance(cold, dict)
    if isinstance(z, float):
        tested = (
            f"coldest point {number(abs(z), 2)} errors {'above' if z > 0 else 'below'} the line"
        )
    else:
        tested = "not possible"
    return [
        ", ".join(f"{t:g}" for t in temperatures) or "none",
        say("activation_energy", energy),
        say("at 300 K", cold),
        tested,
    ]
