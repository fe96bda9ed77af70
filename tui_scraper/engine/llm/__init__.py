"""Calls to language models: how many, how fast, and what they cost."""
