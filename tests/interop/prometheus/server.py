"""Lets Prometheus scrape running servers, evaluate the alerts, and answer every query of the dashboard for Grafana.

Prometheus runs with `configs/prometheus/scrape.yml`; only the targets and the intervals differ.
"""
import functools
import json
import pathlib
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import xmlrpc.client

TESTS = pathlib.Path(__file__).resolve().parents[2]
CONFIGS = TESTS.parent / "configs"

sys.dont_write_bytecode = True
sys.path.insert(0, str(TESTS))
import servers  # noqa: E402  (lies in another folder)

# How long Prometheus may take to start, to scrape all servers twice, or to notice a failure.
PROMETHEUS_SECONDS = 20

# What Grafana puts in the place of the dashboard's variables.
VARIABLES = {"$job": "surfstore", "$__rate_interval": "10s"}


def write_config(folder, ports):
    """Writes the configuration for these servers, and its rules, into the folder."""
    text = (CONFIGS / "prometheus/scrape.yml").read_text(encoding="utf-8")
    targets = json.dumps([f"localhost:{port}" for port in ports])
    for pattern, replacement in (r"targets: \[.*\]", f"targets: {targets}"), (r"interval: 5s", "interval: 1s"):
        text, count = re.subn(pattern, replacement, text)
        assert count > 0, pattern
    (folder / "scrape.yml").write_text(text, encoding="utf-8")
    (folder / "rules.yml").write_text((CONFIGS / "prometheus/rules.yml").read_text(encoding="utf-8"), encoding="utf-8")


class Prometheus:
    """A Prometheus with that configuration, ended with the `with` block."""

    def __init__(self, folder):
        self.port = servers.free_ports(1)[0]
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={folder}/scrape.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{self.port}"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def get(self, what, **parameters):
        """The data of an answer of the API; `None` if Prometheus does not answer yet."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=PROMETHEUS_SECONDS) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            # It is starting.
            if error.code == 503:
                return None
            raise AssertionError(f"{error.code} for {parameters}: {error.read().decode()}") from error
        except OSError:
            assert self.process.poll() is None, "Prometheus has ended"
            return None

    def query(self, expression):
        """The series that are the value of the expression now."""
        return (self.get("query", query=expression) or {"result": []})["result"]

    def rules(self):
        """All rules, with their health."""
        groups = (self.get("rules") or {"groups": []})["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def firing(self):
        """The alerts that fire: their names and instances."""
        alerts = (self.get("alerts") or {"alerts": []})["alerts"]
        firing = [alert["labels"] for alert in alerts if alert["state"] == "firing"]
        return {(labels["alertname"], labels.get("instance")) for labels in firing}


def expressions():
    """The queries of the dashboard, as Grafana sends them."""
    dashboard = json.loads((CONFIGS / "grafana/surfstore.json").read_text(encoding="utf-8"))
    for target in (target for panel in dashboard["panels"] for target in panel["targets"]):
        expression = target["expr"]
        for name, value in VARIABLES.items():
            expression = expression.replace(name, value)
        assert "$" not in expression, expression
        yield expression


def check_metrics(port):
    """Checks the names, units and help of a server's metrics by the conventions of Prometheus."""
    with urllib.request.urlopen(f"http://localhost:{port}/metrics") as response:
        text = response.read()
    found = subprocess.run(
        ["promtool", "check", "metrics"], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    assert found.returncode == 0, found.stdout.decode()


def main(ports):
    """Checks all of it on these servers."""
    def eventually(condition, what):
        return servers.eventually(condition, PROMETHEUS_SECONDS, what)

    check_metrics(ports[0])
    folder = pathlib.Path.cwd()
    write_config(folder, ports)
    with Prometheus(folder) as prometheus:
        twice = "sum(count_over_time(up{job='surfstore'}[1m]) >= bool 2) == 3 and sum(up) == 3"
        eventually(lambda: prometheus.query(twice), "all servers were scraped twice")
        queries = list(expressions())
        for query in queries:
            eventually(functools.partial(prometheus.query, query), f"there is a series for {query}")
        eventually(lambda: {rule["health"] for rule in prometheus.rules()} == {"ok"}, "all rules were evaluated")
        assert prometheus.firing() == set(), prometheus.firing()

        alerts = set()
        proxies = {port: xmlrpc.client.ServerProxy(f"http://localhost:{port}").surfstore for port in ports}
        for port in ports[:2]:
            assert proxies[port].crash() is True
            alerts.add(("SurfStoreCrashed", f"localhost:{port}"))
            eventually(lambda: prometheus.firing() >= alerts, "the alerts of the crashed servers fire")
        alerts.add(("SurfStoreNoMajority", None))
        eventually(lambda: prometheus.firing() >= alerts, "the alert of the lost majority fires")
        rules = prometheus.rules()
    return f"{len(queries)} queries and {len(rules)} alerts"


version = subprocess.run(["promtool", "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
print("prometheus", version.split()[2], "evaluates", main(sys.argv[1:]))
