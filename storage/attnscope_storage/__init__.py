"""The contract that service and client share: array schema, wire types, errors, reader, writer, words of refusals."""

__version__ = "0.1.0"
