"""What a race found, as a table for people, as a picture or as JSON."""
import json
import statistics

from peers import chart

HUMAN = {"bytes": lambda v: f"{v / 2**20:.0f} MiB", "seconds": lambda v: f"{v:.3f} s", "tokens_per_s": lambda v: f"{v:.1f}"}


def figure(values, unit):
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "n": len(values), "unit": unit}


def markdown(result):
    engines = result["engines"]
    names = [e["name"] for e in engines]
    lines = [f"{result['model']}, {result['threads']} threads, {result['machine']['cpu']} ({result['machine']['isa']}), "
             f"{result['date']}, commit {result['commit']}. Medians of {result['rounds']} alternating rounds; in brackets how "
             "many times Quern's figure is better.", "",
             "| | " + " | ".join(f"{e['name']} {e['detail']}" for e in engines) + " | Quern's share of the bound |",
             "|---|" + "--:|" * (len(names) + 1)]
    for row in result["rows"]:
        cells, ours = [], row["figures"].get(names[0])
        for name in names:
            mine = row["figures"].get(name)
            if not mine or "error" in mine:
                cells.append("fails" if mine else "-")
                continue
            text = HUMAN[mine["unit"]](mine["median"])
            if name != names[0] and ours and "error" not in ours:
                ratio = ours["median"] / mine["median"]
                text += f" ({ratio if mine['unit'] == 'tokens_per_s' else 1 / ratio:.2f}x)"
            cells.append(text)
        share = f"{row['share_of_bound']:.0%} of {row['bound']}" if "share_of_bound" in row else ""
        if row.get("bound") == "reading":
            share += f" at {row['probe']:.1f} GB/s"
        lines.append("| " + " | ".join([row["test"], *cells, share]) + " |")
    notes = [f"{name}, {row['test']}: {f['error']}" for row in result["rows"] for name, f in row["figures"].items()
             if "error" in f]
    lines += [""] + [f"- {note}" for note in notes] if notes else []
    p = result["probes"]
    low, high = p.get("read_gbps_range", [p["read_gbps"]] * 2)
    lines += ["", f"Probes, taken in each round beside the engines, medians: read {p['read_gbps']:.1f} GB/s ({low:.1f} to "
              f"{high:.1f}), integer arithmetic {p['ops_gops']:.0f} Gop/s."]
    return "\n".join(lines)


def show(result, style):
    if style == "json":
        return json.dumps(result, indent=1)
    return chart.svg(result) if style == "svg" else markdown(result)
