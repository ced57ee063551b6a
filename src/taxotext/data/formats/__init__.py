"""The formats of corpora: each is one module here, or part of one, and one entry of the table.

To add a format, write ``read`` (and ``write``, if corpora are to be written in it), make a
:class:`~taxotext.data.formats.base.Format` of them, and name it in :data:`taxotext.data.formats.table.TABLE`. Reading,
conversion, the list of formats in settings and messages, and the recognition of files follow from the entry.
"""
