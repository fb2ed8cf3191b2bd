"""Which fields does a refusal of a Kubernetes API server name?

A schema, a webhook and a policy each word their refusals in their own way, and each names the
fields by their paths; a sentence about a field goes on until the next one begins.
"""

import re

_FIELD = r"(?:spec|metadata|status)(?:\.[\w-]+|\[[^\]]*\])*"
_SENTENCE = re.compile(rf"(?<![\w.\"\]]){_FIELD}: ")
_UNKNOWN = re.compile(rf'unknown field "({_FIELD})"')
_NAMESPACE = re.compile(r'^namespaces ("[^"]*") not found')
_WARNING = re.compile(r'^299 \S+ "(.*)"$', re.DOTALL)


def reasons(message: str) -> list[str]:
    """`field: what is wrong` for each field that the message names; else the message itself."""
    if lost := _NAMESPACE.match(message):
        return [f"metadata.namespace: Not found: {lost.group(1)}"]
    unknown = [f"{field}: unknown field" for field in _UNKNOWN.findall(message)]
    starts = [match.start() for match in _SENTENCE.finditer(message)]
    ends = [*starts[1:], len(message)]
    found = [message[a:b].rstrip(", ]") for a, b in zip(starts, ends, strict=False)]
    return unknown or found or [message]


def warning(header: str) -> str:
    """The text of a Warning header."""
    match = _WARNING.match(header)
    return match.group(1).replace('\\"', '"') if match else header
