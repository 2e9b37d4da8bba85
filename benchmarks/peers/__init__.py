"""Quern beside its peers and beside itself: the programs behind benchmarks/compare and benchmarks/ablation."""
