"""Arrays of a capture or trial, remote or downloaded: what an index asks for, fetched in slices, maps or whole files."""
