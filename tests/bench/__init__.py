"""Benchmarks: every performance claim in docs/performance.md, measured beside what it is compared with."""
