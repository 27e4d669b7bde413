"""The contract of each kind of job, one file a kind; the wire reads them all, and nothing here runs a job."""
