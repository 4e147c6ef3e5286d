"""Tokens: what they say, the keys they are sealed with, and whether they hold."""
