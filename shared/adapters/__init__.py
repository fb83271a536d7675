"""The only place that imports Microsoft's SDKs: each module puts one of them behind a port."""
