"""The scores of a feature over time, as people look at them."""
