"""One exception for everything that a user can mend: what happened, what was got, how to fix it."""

from __future__ import annotations


class HopechoError(Exception):
    """An error that the user can act on.

    Parameters
    ----------
    what : str
        What happened, in one sentence.
    got : str, optional
        The offending value or observation.
    fix : str, optional
        What to do about it; names the config key where there is one.
    """

    def __init__(self, what: str, *, got: str | None = None, fix: str | None = None) -> None:
        self.what = what
        self.got = got
        self.fix = fix
        super().__init__(self._message())

    def _message(self) -> str:
        lines = [self.what]
        if self.got is not None:
            lines.append(f"  got: {self.got}")
        if self.fix is not None:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)
