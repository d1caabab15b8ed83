"""What EvalOps reasons about, as plain values: standard library and numbers only, no clock, no I/O, no environment."""
