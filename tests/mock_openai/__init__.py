"""An OpenAI-compatible server that answers at once, always the same, and fails as often as it is told to.

What belongs here: `answers` (what is said), `record` (what was asked, and how it ended), `settings` (how it behaves),
`server` (HTTP). Run it by `python -m tests.mock_openai --port 0`; its first line of output is the port.
"""
