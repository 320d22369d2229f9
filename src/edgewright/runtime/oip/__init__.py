"""The Open Inference Protocol, version 2: its types and messages, without any transport.

KServe's "Open Inference Protocol" (github.com/kserve/open-inference-protocol, ``specification/protocol``) with the
binary tensor, statistics and repository extensions that Triton's clients use.
"""
