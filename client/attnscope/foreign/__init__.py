"""Captures of other programs, read without trusting them; the reading of our own captures is not here."""

from attnscope.foreign.arrays import import_arrays
from attnscope.foreign.files import import_file
from attnscope.foreign.importing import import_reference
from attnscope.foreign.own import Described, write_arrays
from attnscope.foreign.refusals import ForeignFileError

__all__ = ["Described", "ForeignFileError", "import_arrays", "import_file", "import_reference", "write_arrays"]
