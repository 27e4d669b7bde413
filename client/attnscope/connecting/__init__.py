"""Connections to a service: the address and key, HTTP, retries, and text made safe to show.

Knows no capture.
"""
