"""Suites as files: strict models of what a team writes, and the one door through which they become domain values."""
