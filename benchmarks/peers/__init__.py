"""Quern beside its peers: the program behind benchmarks/compare."""
