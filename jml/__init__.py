"""The lifecycle of the MSSP tenant's accounts: who joins, moves and leaves, and the proof of it."""
