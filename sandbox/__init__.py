"""A local cloud on loopback that the unmodified app runs against."""
