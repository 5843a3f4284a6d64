"""A code that fails: the stand-in, with faults planted in the first structures that it is given.

Usage: ``planted.py FOLDER castep|pw|gipaw ARGUMENTS``. Each new structure takes the next fault of
its program's list; the folder remembers which, so that a structure fails in the same way again.
"""

import fcntl
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

FAULTS = {
    "castep": [
        "unconverged", "nan", "killed", "truncated", "full disk", "wall time", "error", "charged",
        "k-points", "order", "magres order",
    ],
    "pw": [
        "unconverged", "nan", "killed", "truncated", "full disk", "wall time", "error", "order",
    ],
    "gipaw": ["overflow"],
}  # fmt: skip
REASONS = {
    "unconverged": "scf_unconverged", "killed": "killed", "full disk": "io_error",
    "wall time": "wall_time", "error": "code_error", "charged": "charged_cell",
    "k-points": "kpoint_warning", "order": "atom_order", "magres order": "atom_order",
    "truncated": "incomplete", "overflow": "unreadable_output",
}  # fmt: skip
"""Reason under which each fault is set aside; ``nan`` may be any of two."""


def fault_of(folder: Path, program: str, structure: str) -> str:
    """The fault of a structure; a new one takes the next of the list."""
    key = hashlib.sha256(structure.encode()).hexdigest()
    with open(folder / f"{program}.json", "a+", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.seek(0)
        known = json.loads(stream.read() or "{}")
        if key not in known:
            left = FAULTS[program][len(known) :]
            known[key] = left[0] if left else ""
            stream.truncate(0)
            stream.write(json.dumps(known))
    return known[key]


def damaged_castep(text: str, fault: str) -> str:
    before = {
        "unconverged": " *Warning* max. SCF cycles performed but system has not reached the"
        " groundstate.\n",
        "wall time": "Insufficient time for another iteration\n",
        "charged": " net charge of system                           :  1.000\n",
        "k-points": " *Warning* k-point set lacks symmetry\n",
    }
    if fault in before:
        return text.replace("Final energy", before[fault] + "Final energy")
    if fault == "nan":
        return re.sub(r"(\* P +1 +)\S+", r"\1NaN", text)
    if fault == "order":
        return re.sub(r"(x  P +1 +)\S+", r"\g<1>0.912345", text)
    if fault == "truncated":
        return text[: text.index("Stress Tensor")]
    return text


def castep(folder: Path, seed: str) -> int:
    fault = fault_of(folder, "castep", Path(f"{seed}.cell").read_text())
    magres = "magres" in Path(f"{seed}.param").read_text().lower()
    if fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "error":
        Path(f"{seed}.0001.err").write_text("Error in hybrid: not enough bands\n")
        return 1
    if fault == "full disk":
        try:
            with open("/dev/full", "w") as stream:
                stream.write(" " * 10_000)
        except OSError as error:
            Path(f"{seed}.0001.err").write_text(f"Error writing {seed}.check: {error}\n")
        return 1
    status = subprocess.run([sys.executable, "-m", "hopecho.standins.castep", seed]).returncode
    path = Path(f"{seed}.castep")
    if not magres:
        path.write_text(damaged_castep(path.read_text(), fault))
    elif fault == "magres order":
        lines = Path(f"{seed}.magres").read_text().splitlines()
        rows = [k for k, line in enumerate(lines) if line.strip().startswith("atom ")]
        words = [lines[k].split() for k in rows]
        # Positions of the first and the last atom, of two elements, change places.
        words[0][4:], words[-1][4:] = words[-1][4:], words[0][4:]
        for k, w in zip(rows, words):
            lines[k] = "  " + " ".join(w)
        Path(f"{seed}.magres").write_text("\n".join(lines) + "\n")
    return status


def damaged_espresso(text: str, fault: str) -> str:
    if fault == "unconverged":
        # As pw.x prints it: the numbers and JOB DONE follow all the same.
        return text.replace(
            "convergence has been achieved in   1", "convergence NOT achieved after 100"
        )
    if fault == "nan":
        return re.sub(r"(atom    1 type  1   force = ).*", r"\1     NaN    NaN    NaN", text)
    if fault == "truncated":
        return text[: text.index("JOB DONE") - 200]
    if fault == "wall time":
        return text.replace("!    total", "     Maximum CPU time exceeded\n!    total")
    if fault == "order":
        return re.sub(r"(tau\(   7\) = \( +)\S+", r"\g<1>0.3123456", text)
    if fault == "overflow":
        # Three digits for the index of an atom, and a lattice of more than 999 atoms.
        return re.sub(r"(?m)^( +Li +)  3( )", r"\1***\2", text)
    return text


def espresso(folder: Path, program: str, arguments: list[str]) -> int:
    source = Path(arguments[-1])
    command = [sys.executable, "-m", "hopecho.standins.espresso", program, *arguments]
    if not source.is_file():  # the question for the version
        return subprocess.run(command).returncode
    fault = fault_of(folder, program, Path("label.pwi").read_text())
    if fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault in ("error", "full disk"):
        said = "problems computing cholesky" if fault == "error" else "No space left on device"
        sys.stdout.write(
            "     Program PWSCF v.6.7MaX starts on\n"
            f"     Error in routine cdiaghg (1):\n     {said}\n"
        )
        return 1
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    sys.stdout.write(damaged_espresso(done.stdout, fault))
    return done.returncode


def main() -> int:
    folder, program, arguments = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    folder.mkdir(exist_ok=True)
    if program != "castep":
        return espresso(folder, program, arguments)
    if arguments == ["--version"]:
        command = [sys.executable, "-m", "hopecho.standins.castep", *arguments]
        return subprocess.run(command).returncode
    return castep(folder, arguments[0])


if __name__ == "__main__":
    sys.exit(main())
