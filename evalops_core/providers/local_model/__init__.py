"""The embedded model: a small instruct model and an embedding model on this machine, behind OpenAI's protocol.

What belongs here: its files (catalogue, download, files), the runtime (runtime, openmp, engine), the server (server,
request_log, serve) and its process (state, process). What does not: calling it, which is the same as calling any other
endpoint (chat, embeddings). Nothing is gathered here: who only asks for a model's name imports no server.
"""
