"""The part of ARM's template language that conf/azure uses, evaluated: a typo in a name is found before Azure finds it.

Microsoft's own compiler and linter are no packages of a registry. Functions that only Azure can answer
(reference, guid) give a stand-in of the right type.
"""

import base64
import json
import re

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/vision"
_TOKEN = re.compile(r"\s*(?:'((?:[^']|'')*)'|(\d+)|(\w+)|([().,\[\]]))")


class _Anything(dict):
    """What Azure will answer: every key leads on, and it reads as a string."""

    def __missing__(self, key):
        return _Anything()

    def __str__(self):
        return "11111111-1111-1111-1111-111111111111"


def evaluate_template(template, given):
    """Evaluate parameters, variables, resources and outputs; unknown names and parameters left out raise."""
    parameters = {}
    for name, declared in template["parameters"].items():
        if name not in given and "defaultValue" not in declared:
            raise KeyError(f"parameter {name} is missing")
        value = given.get(name, declared.get("defaultValue"))
        allowed = declared.get("allowedValues", [value])
        assert value in allowed, f"parameter {name}: {value} is none of {allowed}"
        assert isinstance(value, {"string": str, "int": int, "bool": bool}[declared["type"]])
        parameters[name] = value
    unknown = given.keys() - template["parameters"].keys()
    assert not unknown, f"unknown parameters: {unknown}"
    scope = _Scope(parameters, template["variables"])
    return {part: scope.resolve(template[part]) for part in ("resources", "outputs")}, scope.used


class _Scope:
    def __init__(self, parameters, variables):
        self.parameters, self.given_variables, self.used = parameters, variables, set()

    def resolve(self, value):
        if isinstance(value, dict):
            return {key: self.resolve(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if isinstance(value, str) and value.startswith("[") and not value.startswith("[["):
            assert value.endswith("]"), f"no closing bracket: {value}"
            found = _Parser(value[1:-1], self).parse()
            return str(found) if isinstance(found, _Anything) else self.resolve(found)
        return value

    def call(self, name, arguments):
        text = [str(argument) for argument in arguments]
        functions = {
            "parameters": lambda: self._use(self.parameters, "parameters", arguments[0]),
            "variables": lambda: self._use(self.given_variables, "variables", arguments[0]),
            "resourceGroup": lambda: {"id": GROUP, "location": "westeurope"},
            "resourceId": lambda: GROUP + _name_resource(text),
            "subscriptionResourceId": lambda: GROUP.partition("/resourceGroups")[0] + _name_resource(text),
            "reference": _Anything,
            "guid": lambda: str(_Anything()),
            "uniqueString": lambda: "abcdefghijklm",
            "concat": lambda: "".join(text),
            "format": lambda: text[0].format(*text[1:]),
            "replace": lambda: text[0].replace(text[1], text[2]),
            "string": lambda: text[0] if isinstance(arguments[0], str) else json.dumps(arguments[0]),
            "base64": lambda: base64.b64encode(text[0].encode()).decode(),
            "equals": lambda: arguments[0] == arguments[1],
            "if": lambda: arguments[1] if arguments[0] else arguments[2],
            "null": lambda: None,
        }
        return functions[name]()

    def _use(self, names, kind, name):
        self.used.add((kind, name))
        return self.resolve(names[name])


def _name_resource(text):
    kind, names = text[0].split("/"), text[1:]
    assert len(kind) - 1 == len(names), f"{text[0]} takes {len(kind) - 1} names, not {names}"
    parts = "".join(f"/{part}/{name}" for part, name in zip(kind[1:], names, strict=True))
    return f"/providers/{kind[0]}{parts}"


class _Parser:
    def __init__(self, text, scope):
        self._tokens, self._scope, place = [], scope, 0
        while place < len(text.rstrip()):
            matched = _TOKEN.match(text, place)
            assert matched, f"can't read: {text[place:]}"
            self._tokens.append(matched.groups())
            place = matched.end()

    def parse(self):
        value = self._expression()
        assert not self._tokens, f"left over: {self._tokens}"
        return value

    def _expression(self):
        string, number, word, _ = self._tokens.pop(0)
        if string is not None:
            return string.replace("''", "'")
        if number is not None:
            return int(number)
        assert self._take("("), f"{word} is no string, number or function"
        arguments = []
        while not self._take(")"):
            arguments.append(self._expression())
            self._take(",")
        value = self._scope.call(word, arguments)
        while self._take("."):
            value = value[self._tokens.pop(0)[2]]
        return value

    def _take(self, sign):
        if self._tokens and self._tokens[0][3] == sign:
            self._tokens.pop(0)
            return True
        return False
