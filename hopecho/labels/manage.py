"""What ``hopecho labels`` does: list, show, verify, export, drop and retry labels of the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hopecho.errors import HopechoError
from hopecho.io.extxyz import write_frames
from hopecho.io.results import read_json
from hopecho.labels.batch import read_labels
from hopecho.labels.interface import settings_hash
from hopecho.labels.quality import ADVICE
from hopecho.labels.store import LabelStore

_FEWEST_DIGITS = 4


def listing(store: LabelStore) -> Iterator[str]:
    """Yield one line a label and one a quarantined structure."""
    yield from _each(store, store.keys(), _label_line)
    yield from _each(store, store.keys(quarantined=True), _record_line)


def _each(
    store: LabelStore, keys: Sequence[str], line: Callable[[LabelStore, str], str]
) -> Iterator[str]:
    for key in keys:
        try:
            yield line(store, key)
        except HopechoError as error:
            yield f"{key[:16]}  damaged: {error.got}"


def _label_line(store: LabelStore, key: str) -> str:
    label = store.get(key)
    assert label is not None
    tensors = "efg" if label.efg is not None else "no efg"
    return f"{key[:16]}  {label.source}  {label.energy:.6f} eV  {tensors}"


def _record_line(store: LabelStore, key: str) -> str:
    record = store.quarantined(key)
    assert record is not None
    return f"{key[:16]}  quarantined ({record.part}): {', '.join(record.reasons)}"


def verify(store: LabelStore) -> Iterator[str]:
    """Yield one line a damaged label, and the count of the good ones."""
    bad = store.verify()
    yield from (f"damaged: {entry}" for entry in bad)
    yield f"{len(store.keys())} labels, {len(bad)} damaged"


def export(store: LabelStore, path: str) -> Iterator[str]:
    """Write all labels to an extended XYZ file."""
    frames = read_labels(store.keys(), store)
    try:
        write_frames(path, frames)
    except OSError as error:
        raise HopechoError(
            f"Cannot write the labels to {path}",
            got=str(error.strerror),
            fix="give a file in a folder that exists",
        ) from error
    yield f"{len(frames)} labels -> {path}"


def show(store: LabelStore, prefix: str) -> Iterator[str]:
    """Yield all that is known of one structure: its label, and the record of its failure.

    Raises
    ------
    HopechoError
        If the hash fits no structure or several.
    """
    key = _only(store, prefix)
    yield f"hash        {key}"
    yield f"structure   {store.atoms(key).get_chemical_formula()}"
    label = store.get(key)
    if label is not None:
        yield f"label       {label.source}, {label.label_set}, {label.cpu_s:.1f} CPU s"
        yield f"energy      {label.energy:.8f} eV"
        if label.changes:
            yield f"changed     {dict(label.changes)}"
        if label.imported:
            yield f"imported    {label.imported}"
    record = store.quarantined(key)
    if record is not None:
        kind = "transient" if record.transient else "scientific"
        yield f"quarantined {', '.join(record.reasons)} ({record.part}, {kind})"
        yield f"failures    {record.failures}"
        for attempt in record.attempts:
            yield f"tried       {dict(attempt['changes'])}: {', '.join(attempt['reasons'])}"
        yield from (f"advice      {ADVICE[r]}" for r in record.reasons if r in ADVICE)
        yield f"log\n{record.log}"


def drop(
    store: LabelStore, prefix: str, *, results: Path, overlays: Sequence[str] = ()
) -> Iterator[str]:
    """Remove one label and the batch indices that name it, so that exactly it is computed again.

    Raises
    ------
    HopechoError
        If the hash fits no label or several.
    """
    yield from _forget(store, [_only(store, prefix)], results, overlays)


def retry(
    store: LabelStore,
    *,
    retries: Sequence[Mapping[str, Any]],
    results: Path,
    overlays: Sequence[str] = (),
) -> Iterator[str]:
    """Have failed labels tried again: transient failures, and those with a retry not yet tried.

    Their batch indices go; the record of a scientific failure stays, so that only what was not
    tried before will be.
    """
    found = ((key, store.quarantined(key)) for key in store.keys(quarantined=True))
    records = {key: record for key, record in found if record is not None}
    transient = [key for key, record in records.items() if record.transient]
    wanted = {settings_hash(changes) for changes in retries}
    curable = [key for key, r in records.items() if wanted - r.tried and r.curable]
    yield f"{len(transient)} structures set aside after transient failures"
    yield f"{len(curable)} structures that labels.retries has not been tried on"
    for key in transient:
        store.release(key)
    yield from _forget(store, [*transient, *curable], results, overlays, keep_labels=True)


def _only(store: LabelStore, prefix: str) -> str:
    """Return the one key that begins with a prefix."""
    everything = set(store.keys()) | set(store.keys(quarantined=True))
    found = sorted(key for key in everything if key.startswith(prefix))
    if len(found) != 1 or len(prefix) < _FEWEST_DIGITS:
        known = "give more digits of the hash" if found else "see which there are"
        raise HopechoError(
            f"the hash {prefix!r} fits {len(found)} labels",
            got=", ".join(key[:16] for key in found[:4]) or f"no such hash in {store.root}",
            fix=f"{known} (hopecho labels list)",
        )
    return found[0]


def _forget(
    store: LabelStore,
    keys: Sequence[str],
    results: Path,
    overlays: Sequence[str],
    *,
    keep_labels: bool = False,
) -> Iterator[str]:
    """Drop labels, and remove the indices that name them; say how to compute them again."""
    for key in keys:
        if not keep_labels:
            store.drop(key)
            yield f"dropped {key}"
    named = [
        path
        for path in sorted(results.glob("**/labels*.json"))
        if set(keys).intersection(read_json(path).get("keys", []))
    ]
    for path in named:
        path.unlink()
        yield f"removed the index {path}"
    if named:
        # What was made from the label exists, so that the workflow would not miss it by itself.
        files = f" --configfile {' '.join(overlays)}" if overlays else ""
        yield f"to compute it again: snakemake --cores 1 {' '.join(map(str, named))}{files}"
    elif keys:
        yield f"no batch under {results} names it; for another campaign give its --configfile"
