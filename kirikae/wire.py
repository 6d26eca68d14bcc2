"""Link-layer conventions shared by switches, terminators and labs (design: the bounce and the gateway)."""

from __future__ import annotations

from netaddr import IPAddress

GATEWAY_MAC = "06:4b:00:00:00:01"
"""The access network's router MAC: every host's next hop, on every switch. Locally administered (IEEE 802, 8.4)."""

BOUNCE_MAC = "06:4b:00:00:00:02"
"""Destination of a bounce: an active terminator returns a request's original IP packet to this MAC."""


def derived_mac(address: IPAddress) -> str:
    """The MAC of a terminator's access interface unless the configuration states one: 02:4b + the low 32 bits.

    Derived, as VRRP derives its virtual MAC (RFC 5798 section 7.3), so that the switches need not resolve it.
    """
    low = int(address) & 0xFFFFFFFF
    return "02:4b:" + ":".join(f"{(low >> shift) & 0xFF:02x}" for shift in (24, 16, 8, 0))
