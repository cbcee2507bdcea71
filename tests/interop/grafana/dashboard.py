"""Checks that the dashboard has the form that Grafana expects, by Grafana's own types for Python.

They skip members that they do not know. So the dashboard is read, written again and compared.
"""
import importlib.metadata
import json
import pathlib

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

PATH = pathlib.Path(__file__).resolve().parents[3] / "configs/grafana/surfstore.json"


def differences(ours, theirs, place):
    """The places where `theirs` lacks what `ours` has, or has another value there. It may have more: defaults."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name, value in ours.items():
            yield from differences(value, theirs.get(name), f"{place}.{name}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, pair in enumerate(zip(ours, theirs)):
            yield from differences(*pair, f"{place}[{number}]")
    elif ours != theirs:
        yield f"{place}: {ours} became {theirs}"


register_default_plugins()
dashboard = json.loads(PATH.read_text(encoding="utf-8"))
written = json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))
found = list(differences(dashboard, written, "dashboard"))
assert not found, found
panels = dashboard["panels"]
assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
places = [(place["y"], place["x"], place["w"]) for place in (panel["gridPos"] for panel in panels)]
assert places == sorted(places) and all(x + w <= 24 for _, x, w in places), "panels are in order within 24 columns"
print("grafana-foundation-sdk", importlib.metadata.version("grafana-foundation-sdk"), f"reads {len(panels)} panels")
