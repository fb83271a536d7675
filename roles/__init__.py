"""Sentinel roles for the managed identities of customers' playbooks, through Lighthouse; it never imports `jml`."""
