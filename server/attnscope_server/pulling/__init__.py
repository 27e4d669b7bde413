"""Workers that ask a service for jobs over HTTP: the runner at the service, and the program at the other machine.

The routes between them are in `http/routes/workers.py`; the worker's child is the same as that of the service's own.
"""
