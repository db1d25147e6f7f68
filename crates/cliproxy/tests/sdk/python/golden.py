"""The golden answers: models that give each as a body and as a stream, and those that break."""

import os

GOLDEN = os.environ["GOLDEN"].split()
BROKEN = os.environ["BROKEN"].split()


def without(value, *names):
    """A value without the members of these names, at every depth, and without those that say nothing."""
    if isinstance(value, dict):
        kept = {name: without(member, *names) for name, member in value.items() if name not in names}
        return {name: member for name, member in kept.items() if member not in (None, "")}
    if isinstance(value, list):
        return [without(element, *names) for element in value]
    return value
