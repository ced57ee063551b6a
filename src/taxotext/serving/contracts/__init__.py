"""The contracts: what programs send and get back. Each is a module with ``router(service)``."""

from taxotext.serving.contracts import annif, hugging_face, label_studio, open_inference, own, page

ALL = (own, page, annif, label_studio, hugging_face, open_inference)
