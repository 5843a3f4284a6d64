"""Result versions of the expensive stages.

Everything up to and including a trajectory does not follow source files. Raise a stage's number
when a fix changes its results: it is a parameter of the stage's rules, which then run again.
"""

from __future__ import annotations

RESULT_VERSIONS = {
    "start": 1,
    "label": 1,
    "select": 1,
    "fit": 1,
    "sampling": 1,
    "structure": 1,
    "production": 1,
}
