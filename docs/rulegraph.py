"""Draw rulegraph.md from a finished campaign.

``snakemake --rulegraph --configfile campaigns/quick.yaml | python docs/rulegraph.py``
"""

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
BEGIN, END = "```mermaid\n", "```\n"


def stages():
    """Return the rules of every file of rules/, in the order of the Snakefile."""
    included = re.findall(
        r'^include: "rules/(\w+)\.smk"', (HERE / "../Snakefile").read_text(), re.M
    )
    named = r"^ *(?:rule|checkpoint) (\w+):"
    return {
        name: re.findall(named, (HERE / f"../rules/{name}.smk").read_text(), re.M)
        for name in included
    }


def chart(dot):
    """Return the Mermaid text of a rule graph that Snakemake prints for Graphviz."""
    names = dict(re.findall(r'^\s*(\d+)\[label = "(\w+)"', dot, re.M))
    arrows = re.findall(r"^\s*(\d+) -> (\d+)", dot, re.M)
    lines = ["flowchart TB"]
    for stage, rules in stages().items():
        drawn = [rule for rule in rules if rule in names.values()]
        if drawn:
            lines += [f"  subgraph {stage}_rules [{stage}]", *(f"    {r}" for r in drawn), "  end"]
    lines += sorted(f"  {names[a]} --> {names[b]}" for a, b in arrows)
    return "\n".join(lines) + "\n"


def page(dot):
    """Return the text of rulegraph.md with its graph drawn again."""
    text = (HERE / "rulegraph.md").read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return before + BEGIN + chart(dot) + END + rest.split(END, 1)[1]


if __name__ == "__main__":
    (HERE / "rulegraph.md").write_text(page(sys.stdin.read()), encoding="utf-8")
