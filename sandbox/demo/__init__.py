"""The demo: somebody leaves, and one watches what happens to their MSSP account. `python -m sandbox.demo`."""
