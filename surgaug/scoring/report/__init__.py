"""What was found, in words, tables, JSON and as a page."""
