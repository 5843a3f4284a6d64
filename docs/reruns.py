"""Write the table of reruns.md from reruns.yaml: ``python docs/reruns.py``."""

import re
from collections import defaultdict
from pathlib import Path

import yaml

HERE = Path(__file__).parent
BEGIN, END = "<!-- made by docs/reruns.py -->\n", "<!-- end -->\n"


def shortened(keys, known):
    """Names of `keys`: a whole block as ``block.*``, the catalogues with placeholders."""
    found = []
    for key in keys:
        parts = key.split(".")
        name = key
        for depth in range(len(parts) - 1, 0, -1):
            block = ".".join(parts[:depth]) + "."
            if all(k in keys for k in known if k.startswith(block)):
                name = f"{block}*"
        found.append(
            re.sub(r"\b(beta|amorphous)\b", "<phase>", name.replace("li3ps4", "<material>"))
        )
    return list(dict.fromkeys(found))


def table(data):
    """Return the lines of the table, one a group of `data`, and one of keys that cannot change."""
    groups = defaultdict(list)
    for key, row in data["keys"].items():
        groups[row.get("group", "")].append(key)
    lines = ["| after editing | runs again |", "|---|---|"]
    for name, group in data["groups"].items():
        keys = ", ".join(f"`{key}`" for key in shortened(groups[name], data["keys"]))
        lines.append(f"| {keys} | {' '.join(group['words'].split())} |")
    keys = ", ".join(f"`{key}`" for key in shortened(groups[""], data["keys"]))
    lines.append(f"| {keys} | cannot be edited alone on this campaign: an error says why |")
    return "\n".join(lines) + "\n"


def page():
    """Return the text of reruns.md with its table made again."""
    text = (HERE / "reruns.md").read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    data = yaml.safe_load((HERE / "reruns.yaml").read_text(encoding="utf-8"))
    return before + BEGIN + table(data) + END + rest.split(END)[1]


if __name__ == "__main__":
    (HERE / "reruns.md").write_text(page(), encoding="utf-8")
