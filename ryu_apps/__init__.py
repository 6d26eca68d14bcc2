"""Everything that imports Ryu. Every Python process of the environment imports this package: keep this file empty."""
