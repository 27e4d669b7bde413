"""The storage half of a capture: its contract, its arrays, and the check of a stored one.

Specifications are in `wire/`; what runs the job is in the service.
"""
