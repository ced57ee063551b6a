"""The contracts: what programs send and get back. Each is a module with ``router(service)``."""

from taxotext.serving.contracts import own, page

ALL = (own, page)
