"""The service: app, routes, jobs, worker, engine wiring, settings and its command line."""
