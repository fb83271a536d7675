"""What the app costs, measured against baselines of the same run: `python -m bench` (docs/performance.md)."""
