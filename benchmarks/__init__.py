"""What tensorwire promises of its own speed, held against limits; README.md says how to read it.

Law: both sides of a comparison get the same traffic, cores, memory settings and seconds, in turns.
"""
