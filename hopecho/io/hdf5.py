"""HDF5 files from anywhere: plain numbers inside the file itself, and no more than it can hold."""

from __future__ import annotations

import contextlib
import errno
import functools
import math
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hopecho.errors import HopechoError
from hopecho.io.arrays import DEFLATE_RATIO

_MAX_LINKS = 8
_HEAP = b"GCOL\x01\0\0\0"
_MAX_CHUNK_BYTES = 1 << 28
_DAMAGE = (
    OSError,
    RuntimeError,
    KeyError,
    IndexError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
)


@contextlib.contextmanager
def reading(path: Path | str) -> Iterator[h5py.File]:
    """Open a file; whatever its content makes h5py raise becomes an error that names it.

    Raises
    ------
    HopechoError
        The file is missing, no HDF5, damaged, or of another layout than the reader expects.
    """
    try:
        status = Path(path).stat()
        _check_heaps(Path(path), status.st_mtime_ns, status.st_size)
        with h5py.File(path, "r") as file:
            yield file
    except FileNotFoundError:
        raise HopechoError(f"There is no file {path}", fix="check the path") from None
    except _DAMAGE as error:
        raise HopechoError(
            f"Cannot read {path}: no HDF5 file, or a damaged one",
            got=f"{type(error).__name__}: {error}",
            fix="if a job was killed while writing it, delete it and run again",
        ) from error


def reserve(path: Path | str, n_bytes: int) -> None:
    """Make sure that a file to be written has room; what stood there is gone.

    Where a write of HDF5 (1.14) fails, closing the file ends the process with a segmentation fault.

    Raises
    ------
    HopechoError
        The disk is full, or a quota or a limit on the size of files is reached.
    """
    with open(path, "wb") as stream:
        try:
            os.posix_fallocate(stream.fileno(), 0, n_bytes)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                return  # a file system that cannot say
            stream.truncate(0)
            raise HopechoError(
                f"{path} cannot be written: is the disk full?",
                got=f"{error.strerror}; {n_bytes} bytes are needed",
                fix="make space and run again: what is finished stays",
            ) from error


@functools.lru_cache(maxsize=1024)
def _check_heaps(path: Path, changed_ns: int, size: int) -> None:
    """Walk through the heaps that hold the text of attributes, as the HDF5 library will.

    It walks for ever where an object there has no size, in C, where no signal stops it (1.14).
    The result is kept until the file changes: a trajectory is opened for each of its blocks.

    Raises
    ------
    ValueError
        An object of a heap has no size or reaches beyond its heap.
    """
    if size == 0:
        raise ValueError("the file is empty")
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as raw:
        start = raw.find(_HEAP)
        while start >= 0:
            end = start + int.from_bytes(raw[start + 8 : start + 16], "little")
            place = start + 16
            if end > size:
                raise ValueError(f"the heap at byte {start} reaches beyond the file")
            while place + 16 <= end:
                free = raw[place : place + 2] == b"\0\0"
                length = int.from_bytes(raw[place + 8 : place + 16], "little")
                step = length if free else 16 + -(-length // 8) * 8
                if step < 16 or place + step > end:
                    raise ValueError(f"the heap at byte {start} is damaged at byte {place}")
                place += step
            start = raw.find(_HEAP, start + 1)


def member(group: h5py.Group, name: str, *, links: int = 0) -> h5py.Group | h5py.Dataset | None:
    """Return what stands under a name (``a/b``) in this very file, or None.

    Raises
    ------
    ValueError
        A link leads to another file or in circles.
    """
    here: Any = group
    for part in name.strip("/").split("/"):
        link = here.get(part, getlink=True) if isinstance(here, h5py.Group) else None
        if link is None:
            return None
        if isinstance(link, h5py.HardLink):
            here = here[part]
        elif isinstance(link, h5py.SoftLink) and links < _MAX_LINKS:
            start = here.file["/"] if link.path.startswith("/") else here
            here = member(start, link.path, links=links + 1)
        else:
            raise ValueError(f"{here.name}/{part} is a link to another file, or in circles")
    return here


def values(
    group: h5py.Group, name: str, *, frames: slice | None = None, kinds: str = "iuf"
) -> NDArray[Any]:
    """Read a dataset, or some of its rows.

    Parameters
    ----------
    group : h5py.Group
        Where `name` starts.
    name : str
        Path of the dataset.
    frames : slice, optional
        Rows of the first axis.
    kinds : str
        NumPy's letters of the kinds of numbers that are allowed.

    Raises
    ------
    ValueError
        There is no such dataset, it holds no numbers, or it is not as large as it claims.
    """
    found = dataset(group, name, kinds=kinds)
    return np.asarray(found[() if frames is None else frames])


def dataset(group: h5py.Group, name: str, *, kinds: str = "iuf") -> h5py.Dataset:
    """Return a dataset that is safe to read; arguments and errors of `values`.

    The size that it claims is compared with the bytes that are stored: a dataset whose chunks were
    never written reads as zeros without a word.
    """
    found = member(group, name)
    where = f"{group.name.rstrip('/')}/{name}"
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"{where} is no dataset")
    if found.dtype.kind not in kinds:
        raise ValueError(f"{where} holds {found.dtype}, not numbers (kinds {kinds})")
    if found.shape is None or found.is_virtual or found.external:
        raise ValueError(f"{where} holds no numbers in this file")
    claimed = math.prod(found.shape) * found.dtype.itemsize
    stored = min(found.id.get_storage_size(), Path(found.file.filename).stat().st_size)
    packed = DEFLATE_RATIO if found.chunks else 1
    if claimed > packed * stored:
        raise ValueError(f"{where} claims {claimed} bytes (shape {found.shape}), stored {stored}")
    if found.chunks:
        _check_chunks(found, where)
    return found


def _check_chunks(found: h5py.Dataset, where: str) -> None:
    if math.prod(found.chunks) * found.dtype.itemsize > _MAX_CHUNK_BYTES:
        raise ValueError(f"{where} has chunks of shape {found.chunks}")
    expected = math.prod(-(-n // size) for n, size in zip(found.shape, found.chunks, strict=True))
    if found.id.get_num_chunks() < expected:
        written = found.id.get_num_chunks()
        raise ValueError(f"{where}: {written} of {expected} chunks were written")
