"""A policy family that attnscope does not know, added by installing this package beside the server."""
