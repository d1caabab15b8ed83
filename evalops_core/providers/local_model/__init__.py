"""The embedded model: a small instruct model and an embedding model on this machine, behind OpenAI's protocol.

What belongs here: its files (catalogue, download, files), the runtime (runtime, openmp, engine), the server (server,
request_log, serve) and its process (state, process). What does not: calling it, which is the same as calling any other
endpoint (chat, embeddings).
"""

from evalops_core.providers.local_model.catalogue import CATALOGUE, CHAT_MODEL_ID, EMBEDDING_MODEL_ID
from evalops_core.providers.local_model.files import FileState, ModelFiles, Progress, check, fetch
from evalops_core.providers.local_model.process import Endpoint, ModelServer, ModelServerError, ServerStatus

__all__ = [
    "CATALOGUE",
    "CHAT_MODEL_ID",
    "EMBEDDING_MODEL_ID",
    "Endpoint",
    "FileState",
    "ModelFiles",
    "ModelServer",
    "ModelServerError",
    "Progress",
    "ServerStatus",
    "check",
    "fetch",
]
