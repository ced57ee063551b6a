"""Write the golden values of :mod:`golden.fits` with the package as it is: ``python tests/golden/write.py``.

Do so only in a commit that says why the fits may change.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from golden.fits import FITS, fit, write_sources
from golden.values import GOLDEN, chosen


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        sources = write_sources(Path(scratch))
        rows = [
            f'"{name}/{key}": {json.dumps([round(number, 7) for number in values.ravel().tolist()])}'
            for name in FITS
            for key, values in chosen(name, fit(name, sources)).items()
        ]
    GOLDEN.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
