#!/bin/sh
# Debian's prometheus 2.42.0+ds-5+deb12u1: promtool test rules.
#
# A test of alerts may name an alert that no rule defines. If it expects that this alert does not fire, it passes,
# whatever the series are: the exit code is 0, and there is no warning. So once an alert is renamed, the tests that it
# stays silent go on passing, and test nothing. Likewise, nothing is said about an alert that no test names.
#
# Seen, in both cases:
#     Unit Testing:  tests.yml
#       SUCCESS
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

apt-get download -qq -o APT::Sandbox::User=root prometheus=2.42.0+ds-5+deb12u1
dpkg-deb -x prometheus_*.deb .
promtool=usr/bin/promtool

cat > rules.yml <<'END'
groups:
  - name: example
    rules:
      - alert: InstanceDown
        expr: up == 0
END
tests() {
    cat <<END
rule_files: [rules.yml]
tests:
  - interval: 1m
    input_series: [{series: up, values: "$1"}]
    alert_rule_test: [{eval_time: 5m, alertname: $2}]
END
}

# The series is down: that the alert is silent is not true, and promtool says so if the name is right.
tests 0x10 InstanceDown > tests.yml
if $promtool test rules tests.yml > output 2>&1; then
    echo "changed: an alert that fires counts as silent" >&2
    exit 1
fi
grep -q FAILED output

tests 0x10 InstanceIsDown > tests.yml
if ! $promtool test rules tests.yml > output 2>&1 || ! grep -q SUCCESS output || grep -qi warn output; then
    echo "changed: an alert without a rule is reported:" >&2
    cat output >&2
    exit 1
fi
cat output
