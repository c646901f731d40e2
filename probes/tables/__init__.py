"""The tidy table of results, and how tables and files are written."""
