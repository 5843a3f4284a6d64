"""Tensors of a validation run, thinned: exact ones of the surface, or those of the EFG model."""

from hopecho.efg.model import load_model
from hopecho.io.efg_table import write_efg
from hopecho.io.h5md import read_segment
from hopecho.script import arguments, run
from hopecho.validation.runs import tensors_of


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv, __doc__, "h5md", "settings", "efg", lists=["model"])
    s = args.settings
    table = tensors_of(
        read_segment(args.h5md),
        every=round(s["echo_stride_ps"] / s["stride_ps"]),
        mobile=s["mobile"],
        model=load_model(args.model[0]) if args.model else None,
    )
    kind = "EFG model" if args.model else "exact"
    write_efg(args.efg, table, provenance={"labels": s["source"], "tensors": kind})


if __name__ == "__main__":
    run(main)
