"""A Functions host for one Python app: HTTP, timers and Service Bus around Microsoft's own worker library."""
