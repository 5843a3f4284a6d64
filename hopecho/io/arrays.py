"""NumPy archives (.npz) from anywhere: plain arrays, never larger than the file can hold."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hopecho.errors import HopechoError

DEFLATE_RATIO = 1100
"""Deflate packs no more than 1032 bytes into one."""
_SMALL_BYTES = 1 << 16
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_DAMAGE = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    TypeError,
    SyntaxError,
    RuntimeError,
    NotImplementedError,
    MemoryError,
    OverflowError,
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,
)


def read_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """Read all arrays of an archive of `numpy.savez` or `numpy.savez_compressed`.

    Nothing in the file is executed: arrays of Python objects are refused. Before anything is
    allocated, the shape that an array claims is compared with the bytes that the file holds.

    Parameters
    ----------
    path : path of the ``.npz`` file

    Returns
    -------
    dict of str to array
        By name, without ``.npy``.

    Raises
    ------
    HopechoError
        The file is missing, damaged or no archive, holds objects, or claims more than it holds.
    """
    name = ""
    try:
        with zipfile.ZipFile(path) as archive:
            arrays: dict[str, NDArray[Any]] = {}
            for member in archive.infolist():
                name = member.filename
                _check_member(member, arrays)
                with archive.open(member) as stream:
                    arrays[name.removesuffix(".npy")] = _array(stream, member.file_size)
            return arrays
    except _DAMAGE as error:
        place = f", array {name}" if name else ""
        raise HopechoError(
            f"Cannot read arrays from {path}{place}",
            got=f"{type(error).__name__}: {error}",
            fix="give a whole .npz file of plain numbers and text; if a job was killed while"
            " writing it, delete it and run again",
        ) from error


def _check_member(member: zipfile.ZipInfo, known: dict[str, NDArray[Any]]) -> None:
    if not member.filename.endswith(".npy"):
        raise ValueError("no .npy array")
    if member.filename.removesuffix(".npy") in known:
        raise ValueError("it stands in the file twice")
    if member.file_size > _SMALL_BYTES + DEFLATE_RATIO * member.compress_size:
        raise ValueError(f"{member.file_size} bytes claimed, {member.compress_size} stored")


def _array(stream: IO[bytes], size: int) -> NDArray[Any]:
    """Read one array whose header must account for every byte of the member."""
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"format {version} of an array is not known")
    shape, fortran, dtype = _HEADERS[version](stream)
    if dtype.kind not in "biufcUS":
        raise ValueError(f"dtype {dtype} is no number and no text")
    if min(shape, default=1) < 0 or math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"shape {shape} of {dtype} claimed, {size} bytes stored")
    data = stream.read()
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{len(data)} bytes for shape {shape} of {dtype}")
    flat = np.frombuffer(data, dtype=dtype).copy() if data else np.empty(0, dtype=dtype)
    return flat.reshape(shape, order="F" if fortran else "C")
