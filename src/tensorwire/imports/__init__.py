"""Profiles from traces that people already have. Law: bytes in, a profile out; what a trace does not tell is noted."""
