"""Logged calls of models in the shapes that applications and tools write them in: their reading, without any I/O."""
