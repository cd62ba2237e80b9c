"""Reads objects of Kubernetes as YAML on standard input and writes them as JSON, or says what is wrong with them.

schemas.py json             the objects, as one JSON array
schemas.py check            checks them: built-in kinds, strictly, against the schemas of the three newest versions that the
                            package kubernetes-validate has, others against the definitions beside this script
"""

import copy
import functools
import json
import pathlib
import sys

import jsonschema
import kubernetes_validate
import yaml

# It would read the same few megabytes for each object.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)
# The faster of the two, where PyYAML has it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
NEWEST = list(dict.fromkeys(kubernetes_validate.utils.all_versions()))[-3:]


def closed(schema):
    """The schema, with fields that it does not name forbidden, as an API server does when asked to be strict."""
    schema = copy.deepcopy(schema)
    if schema.pop("x-kubernetes-int-or-string", False):
        schema.pop("type", None)
        schema["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if "properties" in schema:
        schema.setdefault("additionalProperties", False)
        schema["properties"] = {name: closed(field) for name, field in schema["properties"].items()}
    if "items" in schema:
        schema["items"] = closed(schema["items"])
    return schema


def definitions():
    """The schema of each kind that is defined beside this script."""
    found = {}
    for file in sorted(pathlib.Path(__file__).parent.glob("definitions/*.yaml")):
        for definition in yaml.load_all(file.read_text(), LOADER):
            spec = definition["spec"]
            for version in spec["versions"]:
                schema = closed(version["schema"]["openAPIV3Schema"])
                schema["properties"]["metadata"] = {"type": "object"}
                found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = schema
    return found


def wrongs(item, custom):
    """What is wrong with an object."""
    own = custom.get((item["apiVersion"], item["kind"]))
    if own is not None:
        for error in jsonschema.Draft202012Validator(own).iter_errors(item):
            yield error.json_path, error.message
        return
    for version in NEWEST:
        try:
            kubernetes_validate.validate(item, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield error.json_path, f"{error.message} (Kubernetes {version})"
        except kubernetes_validate.SchemaNotFoundError as error:
            yield "$", error.message


def main():
    items = [item for item in yaml.load_all(sys.stdin, LOADER) if item]
    if sys.argv[1] == "json":
        json.dump(items, sys.stdout)
        return 0
    custom = definitions()
    wrong = [
        f"{item['kind']} {item['metadata']['name']}: {path}: {what}"
        for item in items
        for path, what in wrongs(item, custom)
    ]
    print("\n".join([f"{len(items)} objects, Kubernetes {', '.join(NEWEST)}", *wrong]))
    return 1 if wrong or not items else 0


sys.exit(main())
