"""Small environments and policies whose actions are several choices or vectors, or that see a grid; installable.

`environments` registers them with Gymnasium when it is imported, `policies` is a package's reader, and `installed`
makes both known to a service. No test's expectation lives here.
"""
