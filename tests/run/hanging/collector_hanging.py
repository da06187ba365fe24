"""A source whose call never comes back, whatever time it was given."""

import time
from types import MappingProxyType

from collector.hookspecs import hookimpl
from collector.model import Column, Due, Kind, Operation, Target, Task

api = 1


class Hanging:
    name = "hanging"
    title = "Never answers"
    options = ()
    discovery = ()
    errors = MappingProxyType({})
    kinds = (
        Kind(
            "hanging_thing",
            "Nothing",
            (Column("name", "VARCHAR", "nothing"),),
            ("name",),
            (Operation("hanging:list", "none"),),
        ),
    )

    def __init__(self, settings):
        pass

    def root(self):
        return Target("hanging", {"hanging": "1"})

    def discover(self, ask):
        return None

    def plan(self, found):
        return [Task(self.root(), ("hanging_thing",), (Due("hanging_thing", "hanging:list"),))]

    def collect(self, task, ask):
        ask("hanging:list")
        return iter(())

    def send(self, target, op, params, timeout):
        time.sleep(3600)

    @classmethod
    def permissions(cls, kinds):
        return "none"


@hookimpl
def collector_sources():
    return [Hanging]
