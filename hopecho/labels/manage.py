"""What ``hopecho labels`` does: list, verify, export and drop labels of the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hopecho.errors import HopechoError
from hopecho.io.extxyz import write_frames
from hopecho.io.results import read_json
from hopecho.labels.batch import read_labels
from hopecho.labels.store import LabelStore


def listing(store: LabelStore) -> Iterator[str]:
    """Yield one line a label and one a quarantined structure."""
    for key in sorted(store.keys()):
        label = store.get(key)
        if label is not None:
            tensors = "efg" if label.efg is not None else "no efg"
            yield f"{key[:16]}  {label.source}  {label.energy:.6f} eV  {tensors}"
    for key in store.keys(quarantined=True):
        record = store.quarantined(key)
        if record is not None:
            yield f"{key[:16]}  quarantined ({record.part}): {', '.join(record.reasons)}"


def verify(store: LabelStore) -> Iterator[str]:
    """Yield one line a damaged label, and the count of the good ones."""
    bad = store.verify()
    yield from (f"damaged: {entry}" for entry in bad)
    yield f"{len(store.keys())} labels, {len(bad)} damaged"


def export(store: LabelStore, path: str) -> Iterator[str]:
    """Write all labels to an extended XYZ file."""
    frames = read_labels(store.keys(), store)
    write_frames(path, frames)
    yield f"{len(frames)} labels -> {path}"


def drop(store: LabelStore, prefix: str, *, results: Path) -> Iterator[str]:
    """Remove one label and the batch indices that name it, so that exactly it is computed again.

    Raises
    ------
    HopechoError
        If the hash fits no label or several.
    """
    everything = set(store.keys()) | set(store.keys(quarantined=True))
    found = sorted(key for key in everything if key.startswith(prefix))
    if len(found) != 1:
        raise HopechoError(
            f"the hash {prefix!r} fits {len(found)} labels",
            got=", ".join(key[:16] for key in found[:4]) or f"no such hash in {store.root}",
            fix="give more digits of the hash (hopecho labels list)",
        )
    store.drop(found[0])
    yield f"dropped {found[0]}"
    named = [
        path
        for path in sorted(results.glob("**/labels*.json"))
        if found[0] in read_json(path).get("keys", [])
    ]
    for path in named:
        path.unlink()
        yield f"removed the index {path}"
    if named:
        # What was made from the label exists, so that the workflow would not miss it by itself.
        yield f"to compute it again: snakemake --cores 1 {' '.join(map(str, named))}"
