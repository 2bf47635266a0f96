"""The contract between a host and the Latensify server: declarations, messages, pixels. Needs neither torch nor OFX."""

__version__ = "0.1.0"
