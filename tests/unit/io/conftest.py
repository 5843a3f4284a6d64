"""Damaged files for the readers, and what may come of reading them."""

import re
import resource
import signal
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from hopecho.errors import HopechoError
from hopecho.labels.interface import LabelFailure

SECONDS, BYTES = 20, 1 << 28
settings.register_profile("fuzz", derandomize=True, deadline=None, database=None)

NUMBER = re.compile(rb"-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
WORDS = [
    *(b"1000000000000 -1 0 1e999 nan inf -inf 1_0 **** 0x10 1000000000000000000000000".split()),
    b"",
    b"7" * 5000,
]


class Hang(BaseException):
    """Not an Exception: no reader may swallow it."""


@st.composite
def damages(draw, raw: bytes):
    """A kind of damage, and the bytes of a file that suffered it."""
    kind = draw(
        st.sampled_from(["cut", "flip", "number", "ends", "swap", "drop", "double", "junk", "long"])
    )
    place = draw(st.integers(0, len(raw) - 1))
    if kind == "cut":
        return kind, raw[:place]
    if kind == "flip":
        bits = draw(st.lists(st.integers(0, 8 * len(raw) - 1), min_size=1, max_size=4))
        hurt = bytearray(raw)
        for bit in bits:
            hurt[bit // 8] ^= 1 << bit % 8
        return kind, bytes(hurt)
    if kind == "number":
        found = list(NUMBER.finditer(raw))
        if found:
            spot = draw(st.sampled_from(found))
            return kind, raw[: spot.start()] + draw(st.sampled_from(WORDS)) + raw[spot.end() :]
    if kind == "junk":
        return kind, raw[:place] + draw(st.binary(min_size=1, max_size=40)) + raw[place:]
    if kind == "long":
        word = draw(st.sampled_from([b" ", b"[", b"9", b"warning ", b"\t\x0b", b"{", b"a:"]))
        return kind, raw[:place] + word * 20_000 + raw[place:]
    if kind == "ends":
        return kind, raw.replace(b"\n", draw(st.sampled_from([b"\r\n", b"\r"])))
    lines = raw.splitlines(keepends=True)
    first, second = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    if kind == "swap":
        lines[first], lines[second] = lines[second], lines[first]
    elif kind == "drop":
        del lines[min(first, second) : max(first, second) + 1]
    else:
        lines.insert(second, lines[first])
    return kind, b"".join(lines)


def _limited(call):
    """Call with a limit on time and on new memory."""

    def stop(*_):
        raise Hang(f"still reading after {SECONDS} s of CPU time")

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = signal.signal(signal.SIGPROF, stop)
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, hard))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        return call()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGPROF, before)


class Fuzz:
    """Draw damage, read, and judge the outcome."""

    damages = staticmethod(damages)

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, reader, name: str, content: bytes, *, intact: bool = False):
        """What a reader makes of a file: its result, or None after an error that names the file.

        A file that is `intact` must be read. Anything else (another exception, a hang, 256 MiB of
        new memory) fails the test.
        """
        path = self.folder / name
        path.write_bytes(content)
        try:
            return _limited(lambda: reader(path))
        except (HopechoError, LabelFailure) as error:
            self._judge(error, name)
        assert not intact, "a good file was refused"
        return None

    @staticmethod
    def _judge(error: BaseException | None, name: str) -> None:
        if isinstance(error, LabelFailure):
            assert error.reasons
            assert error.log
        else:
            assert name in error.what, f"the message does not name the file: {error}"
        while error is not None:
            assert not isinstance(error, MemoryError), "too much memory was asked for"
            error = error.__cause__ or error.__context__


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory) -> Fuzz:
    return Fuzz(tmp_path_factory.mktemp("fuzz"))
