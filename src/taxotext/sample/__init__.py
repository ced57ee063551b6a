"""A small corpus of helpdesk messages; README.md says what it is."""
