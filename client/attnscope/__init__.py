"""The laptop's side: connect to a service, submit captures, fetch slices, draw."""
