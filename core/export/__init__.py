"""Tables and files to take away: what a page shows, as CSV or safetensors."""
