"""What the alert mails say and how they look: facts → subject, HTML, plain text and picture.

What belongs here: pure rendering. What does not: whether somebody is told (domain, run), delivery (providers).
`compose` is the door; `facts` are the values that go through it.
"""
