"""What a node runs, and what it says to us beside its output.

The script is always the same, and user's commands are arguments of a shell of their own. Lines that begin with a mark
are ours: they are kept out of the output (`ci.sieve`) and carry the reports that tests left in files.
"""

import base64
import binascii
import gzip
import io
import zlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

MARK = b"\x1e"  # "record separator": no test prints it at the begin of a line
FILES, FILE_BYTES = 50, 8 * 1024 * 1024  # that are read of what a node reports

# Reports travel in pieces with a number, so that what comes twice is taken once.
SCRIPT = (
    f"most={FILES} bytes={FILE_BYTES}"
    + r"""
setup=$SLIPWAY_CI_SETUP test=$SLIPWAY_CI_TEST; unset SLIPWAY_CI_SETUP SLIPWAY_CI_TEST
export CI_REPORTS="${CI_REPORTS:-$HOME/test-reports}"; mkdir -p "$CI_REPORTS"
status=0
say() { printf -- '-----> Running %s command `%s`...\n' "$1" "$(printf %s "$2" | head -n 1)"; }
if [ -n "$setup" ]; then
  say test-setup "$setup"
  /bin/bash -c "$setup"; status=$?
  [ $status = 0 ] || printf '\036setup %s\n' $status
fi
if [ $status = 0 ]; then
  say test "$test"
  /bin/bash -c "$test"; status=$?
fi
n=0
for file in "$CI_REPORTS"/*.xml; do
  [ -f "$file" ] && [ ! -L "$file" ] || continue
  n=$((n + 1)); [ $n -le $most ] || break
  head -c $bytes "$file" | gzip -c 2>/dev/null | base64 -w 6000 2>/dev/null | {
    k=0; while IFS= read -r part; do printf '\036file %s %s %s\n' $n $k "$part"; k=$((k + 1)); done
  }
done
printf '\036end\n'
exit $status
"""
)

# Of a debug run: a shell that knows `ci setup`, `ci test` and `ci env`, as Heroku's does.
SHELL = """\
ci() {
  case "$1" in
    setup) /bin/bash -c "${CI_SETUP:-true}" ;;
    test) /bin/bash -c "$CI_TEST" ;;
    env) ;;
    *) echo "ci setup, ci test" ;;
  esac
}
"""
SHELL_COMMAND = 'printf %s "$SLIPWAY_CI_SHELL" > "$TMPDIR/ci" && exec /bin/bash --init-file "$TMPDIR/ci" -i'


@dataclass
class Told:
    """What a node told beside its output."""

    files: list[bytes] = field(default_factory=list)  # in order; each FILE_BYTES at most
    setup_status: int | None = None  # of a test-setup that failed
    over: bool = False  # the script came to its end


def read(lines: Iterable[bytes]) -> Told:
    """Put together what lines with a mark say. What makes no sense is left out: anybody's test may print such."""
    told, pieces = Told(), defaultdict[int, dict[int, bytes]](dict)
    for line in lines:
        words = line.removeprefix(MARK).split(b" ")
        match words:
            case [b"end"]:
                told.over = True
            case [b"setup", status] if status.isdigit() and len(status) < 4:
                told.setup_status = int(status)
            case [b"file", n, k, data] if n.isdigit() and k.isdigit() and len(n + k) < 12:
                pieces[int(n)].setdefault(int(k), data)
    for number in sorted(pieces)[:FILES]:
        data = b"".join(part for _, part in sorted(pieces[number].items()))
        if (found := _unpacked(data)) is not None:
            told.files.append(found)
    return told


def _unpacked(data: bytes) -> bytes | None:
    try:
        packed = base64.b64decode(data, validate=True)
        with gzip.open(io.BytesIO(packed)) as file:
            return file.read(FILE_BYTES)
    except (binascii.Error, OSError, EOFError, zlib.error):
        return None
