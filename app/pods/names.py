"""Syntax of names in Kubernetes: labels, subdomains, qualified names, label values.

Inputs: texts. Outputs: yes or no, with the sentence that describes the syntax.
Rules: k8s.io/apimachinery/pkg/util/validation.
"""

import re
from functools import lru_cache

DNS_LABEL_SYNTAX = "at most 63 of a-z, 0-9 and -, beginning and ending with a letter or digit"
QUALIFIED_NAME_SYNTAX = "a name of at most 63 letters, digits, -, _ and ., with an optional DNS prefix and /"
LABEL_VALUE_SYNTAX = "at most 63 letters, digits, -, _ and ., beginning and ending with a letter or digit, or empty"

_QUALIFIED_NAME_CHARS_MAX = 253 + 1 + 63
_DNS_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?\Z")
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*\Z")
_NAME_PART = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?\Z")


def is_dns_label(text: str) -> bool:
    """Container, volume and namespace names."""
    return len(text) <= 63 and _DNS_LABEL.match(text) is not None


def is_dns_subdomain(text: str) -> bool:
    """Names of most objects: nodes, secrets, claims, service accounts."""
    return len(text) <= 253 and _DNS_SUBDOMAIN.match(text) is not None


def is_qualified_name(text: str) -> bool:
    """Keys of labels, annotations, taints and selectors, and names of resources: `name` or `prefix/name`."""
    return len(text) <= _QUALIFIED_NAME_CHARS_MAX and _is_qualified_name(text)


@lru_cache(maxsize=16_384)
def _is_qualified_name(text: str) -> bool:
    prefix, slash, name = text.rpartition("/")
    if slash and not is_dns_subdomain(prefix):
        return False
    return len(name) <= 63 and _NAME_PART.match(name) is not None


def is_label_value(text: str) -> bool:
    return text == "" or (len(text) <= 63 and _NAME_PART.match(text) is not None)
