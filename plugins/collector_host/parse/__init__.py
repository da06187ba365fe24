"""Parsers of the probe's sections: pure functions from frames to rows, gaps and stretches to hide."""
