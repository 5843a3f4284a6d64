"""Many dry runs from one interpreter: its imports, which cost most of a dry run, happen once.

``python dry_runs.py WORKERS < cases.json`` in a checkout; every case is a list of Snakemake's
arguments. Prints one list of ``[exit status, output]``.
"""

import gc
import importlib
import json
import os
import sys
import tempfile
from pathlib import Path

import snakemake.cli


def dry_run(arguments, output):
    """Call Snakemake in this process, everything that it says into a file; return its status."""
    for stream in (sys.stdout, sys.stderr):
        os.dup2(output.fileno(), stream.fileno())
    try:
        snakemake.cli.main(["-n", *arguments])
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except BaseException as error:
        print(repr(error), file=sys.stderr)
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def fork(arguments):
    """Start a child for one case; return its id and the file that it writes to."""
    output = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by `collect`)
    process = os.fork()
    if process:
        return process, output
    gc.disable()  # it would touch, and so copy, all the memory that is shared
    # No clean-up of the parent's: a child must not wait for threads that it does not have.
    os._exit(dry_run(arguments, output))


def collect(running, found):
    """Wait for one child and keep what it said."""
    process, status = os.wait()
    number, output = running.pop(process)
    with output:
        output.seek(0)
        found[number] = [os.waitstatus_to_exitcode(status), output.read()]


def main():
    sys.path.insert(0, os.getcwd())
    snakemake.cli.get_argument_parser()  # imports the plugins
    # What the Snakefile imports, and the sources that it parses.
    for name in ("config", "efg.grid", "environment", "ufp.grid", "versions"):
        importlib.import_module(f"hopecho.{name}")
    from hopecho.sources import source_files

    for script in Path("scripts").glob("*.py"):
        source_files(script)

    workers = int(sys.argv[1])
    running, found = {}, {}
    for number, arguments in enumerate(json.load(sys.stdin)):
        if len(running) == workers:
            collect(running, found)
        process, output = fork(arguments)
        running[process] = number, output
    while running:
        collect(running, found)
    json.dump([found[number] for number in sorted(found)], sys.stdout)


if __name__ == "__main__":
    main()
