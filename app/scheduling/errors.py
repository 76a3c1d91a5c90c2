"""The one error of a round that cannot be read or built: it names the wrong field.

Offenders inside a well-formed round (a job on an unknown node, a negative request) are no errors: they are
quarantined by the round itself (quarantine.py).
"""


class RoundError(ValueError):
    """A value of a round, or of its file, is wrong.

    `path` is the way to the value in the terms of the round file, e.g. `jobs[3].requests.cpu`; empty for the
    document as a whole. `message` is one sentence for the person who wrote it.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message


def field_path(path: str, name: str) -> str:
    """The path of a member of the object at `path`; names that are no words are quoted."""
    if name.replace("-", "").isidentifier():
        return f"{path}.{name}" if path else name
    return f'{path}["{name}"]'
