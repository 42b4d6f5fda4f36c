"""Cache shapes from what people have: a config.json, a form, a link."""
