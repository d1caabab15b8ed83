"""What stands behind the ports: chat models, embedding models, their prices, and the embedded ones.

What belongs here: HTTP, retries, processes. What does not: what is asked and how the answer is scored.
"""
