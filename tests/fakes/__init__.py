"""Stand-ins for the outside world that keep its rules: tables, messages, time, and Graph through the sandbox."""
