"""What pw.x and gipaw.x print: who they are, and what went wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping

_STAND_IN_WORDS = "model surface stand-in"
_BANNERS = {name: re.compile(rf"Program {name} v\.(\S+)") for name in ("PWSCF", "GIPAW")}
_REVISION = re.compile(r"git revision (\w+)")
_ERROR = re.compile(r"Error in routine")
_SIGNS: Mapping[str, re.Pattern[str]] = {
    "geometry_warning": re.compile(r"atoms #.*overlap|overlapping atoms|distances smaller than"),
    # "ef = .. is above the highest band at k-point" is about bands, see _UNCONVERGED.
    "kpoint_warning": re.compile(r"^(?!.*\bef\s*=).*warning.*k-?\s?point.*$", re.I | re.M),
    "wall_time": re.compile(r"Maximum CPU time exceeded"),
    "io_error": re.compile(r"no space left|disk quota|Error in routine\s+davcio", re.I),
}
_UNCONVERGED = re.compile(
    r"convergence NOT achieved|eigenvalues not converged|is above the highest band"
    r"|too many iterations in bisection",
    re.I,
)
_THRESHOLD = re.compile(r"convergence threshold\s*=\s*(\S+)")
_ACCURACY = re.compile(r"estimated scf accuracy\s*<\s*(\S+)")
_FINISHED = "JOB DONE"
_CONVERGED = "convergence has been achieved"
_ELECTRONS = re.compile(r"number of electrons\s*=\s*(\S+)")
_SPECIES = re.compile(r"atomic species +valence +mass +pseudopotential\n((?:.*\S.*\n)+)")
_SITES = re.compile(r"positions \(alat units\)\n((?:.*\S.*\n)+)")
_FORCES = re.compile(r"Forces acting on atoms.*\n\s*\n((?: +atom .*\n)+)")
_CHARGE_E = 0.006
"""Electron numbers and valences are printed with two decimals."""


def espresso_reasons(text: str, *, version: str | None = None) -> list[str]:
    """Reasons found in the output of pw.x (last record only)."""
    record = last_record(text)
    reasons = [reason for reason, sign in _SIGNS.items() if sign.search(record)]
    if _charged(record):
        reasons.append("charged_cell")
    if _ERROR.search(record) and not set(reasons) & {
        "geometry_warning",
        "io_error",
        "charged_cell",
    }:
        reasons.append("code_error")
    finished = _FINISHED in record
    if finished and "wall_time" not in reasons:
        # A run that was cut short says nothing about convergence; earlier steps may fail freely.
        final = record[max(record.rfind("iteration #"), 0) :]
        if _UNCONVERGED.search(final) or not _accurate(record, final):
            reasons.append("scf_unconverged")
        elif _CONVERGED not in final:
            reasons.append("incomplete")
        elif not _in_order(record):
            reasons.append("atom_order")
    if not finished:
        reasons.append("incomplete")
    return reasons + _other_version(record, version, "PWSCF")


def _accurate(record: str, final: str) -> bool:
    """Whether the last SCF step came below the threshold, where pw.x prints both.

    With ``scf_must_converge = .false.`` it claims convergence whatever the accuracy.
    """
    threshold, accuracy = _THRESHOLD.search(record), _ACCURACY.findall(final)
    if threshold is None or not accuracy:
        return True
    try:
        return float(accuracy[-1]) <= float(threshold.group(1))
    except ValueError:
        return False


def gipaw_reasons(text: str, *, version: str | None = None) -> list[str]:
    """Reasons found in the output of gipaw.x (last record only)."""
    record = last_record(text, "GIPAW")
    names = ("wall_time", "io_error")
    reasons = [name for name in names if _SIGNS[name].search(record)]
    if _ERROR.search(record) and "io_error" not in reasons:
        reasons.append("code_error")
    if _FINISHED not in record:
        reasons.append("incomplete")
    return reasons + _other_version(record, version, "GIPAW")


def espresso_version(text: str, program: str = "PWSCF") -> str | None:
    """Version in what pw.x (``PWSCF``) or gipaw.x (``GIPAW``) prints first."""
    found = _BANNERS[program].search(text)
    return found.group(1) if found else None


def count_banners(text: str, program: str = "PWSCF") -> int:
    """How often a program said its name: more than once, it runs in separate copies."""
    return len(_BANNERS[program].findall(text))


def gipaw_revision(text: str) -> list[str]:
    """Revisions that gipaw.x prints: its version is that of Quantum ESPRESSO."""
    return _REVISION.findall(text)


def stand_in_lines(text: str) -> list[str]:
    """Lines by which a stand-in names itself and its surface."""
    return [line.strip() for line in text.splitlines() if _STAND_IN_WORDS in line]


def last_record(text: str, program: str = "PWSCF") -> str:
    """Text from the last start of the program on."""
    return text[max(text.rfind(f"Program {program}"), 0) :]


def _other_version(record: str, version: str | None, program: str) -> list[str]:
    printed = espresso_version(record, program)
    other = version is not None and printed is not None and printed != version
    return ["version_mismatch"] if other else []


def _charged(record: str) -> bool:
    """Whether there are more or fewer electrons than the pseudopotentials bring along."""
    electrons, species = _ELECTRONS.search(record), _SPECIES.search(record)
    sites = _SITES.search(record)
    if not (electrons and species and sites):
        return False
    try:
        rows = [line.split() for line in species.group(1).splitlines()]
        valence = {row[0]: float(row[1]) for row in rows}
        brought = sum(valence[line.split()[1]] for line in sites.group(1).splitlines())
        return abs(brought - float(electrons.group(1))) > _CHARGE_E
    except (ValueError, KeyError, IndexError):
        # A damaged table is for the reader to refuse.
        return False


def _in_order(record: str) -> bool:
    """Whether sites and forces are numbered from 1 on: they are matched by their place."""
    sites, forces = _SITES.search(record), _FORCES.findall(record)
    places = [line.split()[:1] for line in sites.group(1).splitlines()] if sites else []
    wanted = [[str(number)] for number in range(1, len(places) + 1)]
    rows = [line.split()[1:2] for line in forces[-1].splitlines()] if forces else wanted
    return places == wanted and rows[: len(wanted)] == wanted
