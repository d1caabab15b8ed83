"""A stand-in for Resend's `POST /emails` that keeps idempotency keys as Resend does, and fails when it is told to.

What belongs here: `settings` (how it behaves), `record` (what it was asked, and the mails it took), `server` (HTTP),
`fixture` (for tests). Run it by `python -m tests.mock_resend --port 0`; its first line of output is the port.
"""
