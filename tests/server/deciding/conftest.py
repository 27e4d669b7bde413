"""Array annotations of the statistics are checked while these tests run."""

from jaxtyping import install_import_hook

install_import_hook("attnscope_server.deciding", "beartype.beartype")
