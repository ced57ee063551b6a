"""omikuji in a process of its own, with little else in it.

Run as ``python -m taxotext.models.label_tree_worker PARENT EXAMPLES FOLDER THREADS HYPERPARAMETERS`` it trains one.
"""

from __future__ import annotations

import importlib.util
import json
import signal
import sys
from pathlib import Path
from typing import Any

from taxotext.errors import MissingExtraError
from taxotext.processes import end_with_parent


def library() -> Any:
    """Import omikuji, without the logger that it would install: it writes to the standard output of the program.

    Raises:
        MissingExtraError: it is not installed.
    """
    spec = importlib.util.find_spec("omikuji")
    if spec is None or spec.origin is None:
        raise MissingExtraError(
            "label_tree_linear needs omikuji; install it with `pip install 'taxotext[linear-tree]'`."
        )
    name = "omikuji._libomikuji__ffi"
    path = Path(spec.origin).with_name("_libomikuji__ffi.py")
    if name not in sys.modules and path.is_file():
        own = importlib.util.spec_from_file_location(name, path)
        if own is not None and own.loader is not None:
            module = importlib.util.module_from_spec(own)
            own.loader.exec_module(module)
            # cffi runs what bears this tag once; omikuji's own call, which starts the logger, comes second.
            module.ffi.init_once(lambda: None, "omikuji_init_logger")
            sys.modules[name] = module
    import omikuji

    return omikuji


def main(arguments: list[str]) -> int:
    """Train one forest, in a process that ends with its parent."""
    parent, examples, folder, threads, hyper_parameters = arguments
    end_with_parent(int(parent))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    omikuji = library()
    chosen = omikuji.Model.default_hyper_param()
    for name, value in json.loads(hyper_parameters).items():
        setattr(chosen, name, value)
    omikuji.Model.train_on_data(examples, chosen, int(threads)).save(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
