"""Kirikae: failover between paired terminators on OpenFlow switches (JP5545888B2)."""

__version__ = "0.1.0"
