"""What engines reserve."""
