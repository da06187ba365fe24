"""The source `host`: a Linux machine, asked by one read-only shell probe."""
