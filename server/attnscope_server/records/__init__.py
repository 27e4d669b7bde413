"""Jobs and keys in the database: states, transitions, pages. Starts nothing and serves nothing."""
