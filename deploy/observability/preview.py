"""Draws the dashboard's panels from a running Prometheus, for a look without Grafana: every query is asked as it
stands in dashboard.json, and drawn where the panel has its place. Grafana draws them in its own way.

    pip install matplotlib
    python3 deploy/observability/preview.py http://127.0.0.1:9090 dashboard.png [--minutes 5]
"""

import argparse
import datetime
import json
import pathlib
import re
import time
import urllib.parse
import urllib.request

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import FuncFormatter  # noqa: E402

DASHBOARD = pathlib.Path(__file__).with_name("dashboard.json")
SCALES = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")]


def ask(prometheus, query, start, end, step):
    words = urllib.parse.urlencode({"query": query, "start": start, "end": end, "step": step})
    with urllib.request.urlopen(f"{prometheus}/api/v1/query_range?{words}") as answer:
        return json.load(answer)["data"]["result"]


def shown(value, unit):
    """A number as the panel's unit has it."""
    if unit == "percentunit":
        return f"{value * 100:.0f} %"
    if unit == "s":
        return f"{value:.3g} s" if value >= 1 or value == 0 else f"{value * 1e3:.3g} ms"
    suffix = {"reqps": "/s", "bytes": "B", "Bps": "B/s"}.get(unit, "")
    for scale, letter in SCALES:
        if abs(value) >= scale:
            return f"{value / scale:.3g} {letter}{suffix}"
    return f"{value:.3g} {suffix}".strip()


def named(legend, labels):
    if not legend:
        return ", ".join(f"{key}={value}" for key, value in labels.items() if key != "__name__")
    # A request that did not fail has no error type.
    return re.sub(r"{{(\w+)}}", lambda match: labels.get(match[1], "whole"), legend)


def draw(axes, panel, asked):
    unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "short")
    count = 0
    for target in panel["targets"]:
        for series in asked(target["expr"]):
            points = [(float(at), float(value)) for at, value in series["values"] if value != "NaN"]
            times = [datetime.datetime.fromtimestamp(at) for at, _ in points]
            axes.plot(times, [value for _, value in points], label=named(target.get("legendFormat"), series["metric"]))
            count += len(points)
    axes.set_title(panel["title"], fontsize=9, loc="left")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, unit)))
    axes.tick_params(labelsize=6)
    axes.margins(x=0)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.xaxis.set_major_formatter(matplotlib.dates.DateFormatter("%H:%M"))
    if count:
        axes.legend(fontsize=5, loc="upper left", ncols=2, framealpha=0.6)
    else:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", color="grey")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prometheus")
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--minutes", type=float, default=5)
    args = parser.parse_args()
    end = time.time()
    start, step = end - args.minutes * 60, max(1, args.minutes * 60 / 200)

    def asked(query):
        for variable, value in (("$__rate_interval", "1m"), ("$job", ".*"), ("$instance", ".*")):
            query = query.replace(variable, value)
        return ask(args.prometheus, query, start, end, step)

    panels = json.loads(DASHBOARD.read_text())["panels"]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = plt.figure(figsize=(16, rows * 0.34), dpi=90)
    for panel in panels:
        place = panel["gridPos"]
        left, top = place["x"] / 24, 1 - place["y"] / rows
        width, height = place["w"] / 24, place["h"] / rows
        if panel["type"] == "row":
            figure.text(0.01, top - height * 0.7, panel["title"], fontsize=11, weight="bold")
            continue
        box = (left + 0.045, top - height * 0.86, width - 0.06, height * 0.68)
        draw(figure.add_axes(box), panel, asked)
    figure.savefig(args.file)


if __name__ == "__main__":
    main()
