"""The use cases: each sequences decisions and I/O for one thing a user wants done, with collaborators handed in."""
