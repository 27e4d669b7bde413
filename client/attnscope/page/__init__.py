"""The live page: a server on this machine's loopback that holds the key, and the modules that a browser runs.

Neither figures nor measures live here: a view is a cut or a reduction of stored arrays, and the browser draws it.
"""
