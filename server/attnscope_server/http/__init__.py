"""Between a request and the service: gate, access, problem documents, streaming, slices, metrics, routes.

Runs no job.
"""
