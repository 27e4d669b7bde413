"""A strategy that attnscope does not know, added by installing this package."""
