"""What `jml` and `roles` both stand on: ports, ledger, the run loop, settings, policy files, doors."""
