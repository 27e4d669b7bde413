"""The blocks of README and docs, and the machines that they run on; no page is named here."""
