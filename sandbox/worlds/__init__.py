"""World files, and generators of more of them."""
