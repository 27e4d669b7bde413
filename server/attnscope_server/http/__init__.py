"""What stands between a request and the service: the gate, access, problem documents, streaming, slices, metrics, routes. Runs no job."""
