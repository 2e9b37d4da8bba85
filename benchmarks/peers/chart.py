"""A race as a picture: for each speed, a bar an engine, as long as its share of the fastest one's."""
from xml.sax.saxutils import escape

WIDTH, LABEL, BAR, GAP, HEAD = 760, 190, 15, 12, 34
COLOURS = ["#1f6f8b", "#e09f3e", "#b8804a", "#8d99ae", "#6c757d"]


def svg(result):
    engines = [(e["name"], f"{e['name']} {e['detail']}".strip()) for e in result["engines"]]
    rows = [row for row in result["rows"]
            if any(f.get("unit") == "tokens_per_s" for f in row["figures"].values())]
    lines, y = [], HEAD
    for i, (_, label) in enumerate(engines):
        x = i * WIDTH / len(engines)
        lines.append(f'<rect x="{x:.0f}" y="8" width="11" height="11" fill="{COLOURS[i % len(COLOURS)]}"/>')
        lines.append(f'<text x="{x + 16:.0f}" y="18">{escape(label)}</text>')
    for row in rows:
        medians = {name: f["median"] for name, f in row["figures"].items() if "median" in f}
        longest, middle = max(medians.values()), y + BAR * len(medians) / 2 + 4
        lines.append(f'<text x="{LABEL - 8}" y="{middle:.0f}" text-anchor="end">{escape(row["test"])}</text>')
        for i, (name, _) in enumerate(engines):
            if name not in medians:
                continue
            length = (WIDTH - LABEL - 60) * medians[name] / longest
            lines.append(f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR - 2}" fill="{COLOURS[i % len(COLOURS)]}"/>')
            lines.append(f'<text x="{LABEL + length + 5:.1f}" y="{y + 11}">{medians[name]:.0f}</text>')
            y += BAR
        y += GAP
    title = f"Tokens a second, {result['model']}, {result['threads']} threads, {result['machine']['cpu']} ({result['machine']['isa']})"
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" '
        'font-family="sans-serif" font-size="12" fill="#222">',
        f"<title>{escape(title)}</title>", f'<rect width="{WIDTH}" height="{y}" fill="#fff"/>', *lines, "</svg>"])
