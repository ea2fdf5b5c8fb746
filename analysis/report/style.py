"""What the pages of reports share: their look, the macro of a table, and the script that sorts it.

Nothing is fetched: the policy in the head forbids it, and a browser says so in its console if a page tried.
"""

HEAD = """<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<link rel="icon" href="data:,">
"""

STYLE = """<style>
:root { --ink: #1c1c1c; --quiet: #595959; --line: #dedede; --wash: #f6f6f4; --link: #00568a;
  --yes: #006b4f; --no: #a63c00; --open: #505050; }
* { box-sizing: border-box; }
html { scroll-padding-top: .5rem; }
body { margin: 0 auto; max-width: 64rem; padding: 1.5rem 1.25rem 4rem; color: var(--ink); background: #fff;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: .2rem 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; padding-top: .8rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.6rem 0 .3rem; overflow-wrap: anywhere; }
p, li { max-width: 46rem; overflow-wrap: anywhere; } p { margin: .5rem 0; }
a { color: var(--link); }
a:focus-visible, summary:focus-visible, .scroll:focus-visible, th button:focus-visible {
  outline: 2px solid #0072B2; outline-offset: 2px; }
.lead { font-size: 1.15rem; }
.quiet, figcaption, .note { color: var(--quiet); font-size: .88rem; }
.warn { border-left: 4px solid #E69F00; background: #fff8e8; padding: .5rem .8rem; max-width: 46rem; margin: 1rem 0; }
.warn ul { margin: .2rem 0; padding-left: 1.2rem; } .warn p { margin: 0; font-weight: 600; }
code { font: .86em/1.4 ui-monospace, "DejaVu Sans Mono", Menlo, monospace; background: var(--wash);
  padding: .1em .3em; overflow-wrap: anywhere; }
nav ul { list-style: none; padding: 0; margin: .8rem 0; display: flex; flex-wrap: wrap; gap: .1rem 1.1rem;
  font-size: .9rem; } nav a { display: inline-block; padding: .2rem 0; }
.verdicts { list-style: none; padding: 0; margin: 1rem 0; }
.verdicts li { display: grid; grid-template-columns: 3.2rem 9.8rem minmax(0, 1fr); gap: .2rem .9rem; padding: .8rem 0;
  border-bottom: 1px solid var(--line); break-inside: avoid; max-width: none; }
.verdicts .id { font-weight: 700; }
.word { font-weight: 650; white-space: nowrap; align-self: start; padding: .05rem .55rem; border-radius: 1rem;
  border: 1.5px solid currentColor; font-size: .9rem; justify-self: start; }
.supported { color: var(--yes); } .not-supported { color: var(--no); } .cannot-tell { color: var(--open); }
.word.cannot-tell { border-style: dashed; } td.supported, td.not-supported { font-weight: 650; }
.effect { font-variant-numeric: tabular-nums; font-weight: 600; }
.verdicts p { margin: .15rem 0; max-width: none; }
details { margin: .3rem 0; font-size: .88rem; } summary { cursor: pointer; color: var(--quiet); }
figure { margin: 1.2rem 0 2rem; break-inside: avoid; }
.scroll { overflow-x: auto; max-width: 100%; margin: .4rem 0 1rem; }
figure img { display: block; height: auto; }
figure img.page { width: 100%; min-width: 34rem; max-width: 56rem; }
figure img.column { width: 100%; max-width: 29rem; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line);
  font-weight: 400; vertical-align: top; }
thead th { vertical-align: bottom; background: var(--wash); font-weight: 600; }
tbody th { text-align: left; position: sticky; left: 0; background: #fff; max-width: 15rem; white-space: normal;
  overflow-wrap: break-word; }
tbody .long { min-width: 9rem; } td.long { min-width: 12rem; }
thead th:first-child { text-align: left; position: sticky; left: 0; z-index: 1; }
td small { display: block; color: var(--quiet); line-height: 1.2; }
td.left, th.left { text-align: left; } td.left { max-width: 22rem; white-space: normal; }
th button { all: unset; cursor: pointer; }
th button::after { content: " \\2195"; color: #8a8a8a; font-weight: 400; }
th[aria-sort=ascending] button::after { content: " \\25B2"; color: inherit; }
th[aria-sort=descending] button::after { content: " \\25BC"; color: inherit; }
dl { display: grid; grid-template-columns: fit-content(45%) minmax(0, 1fr); gap: .3rem 1rem; }
dd { margin: 0; overflow-wrap: anywhere; }
dt { color: var(--quiet); }
@media (max-width: 40rem) {
  body { padding: 1rem .9rem 3rem; } h1 { font-size: 1.5rem; }
  .verdicts li { grid-template-columns: 3rem minmax(0, 1fr); } .verdicts .body { grid-column: 1 / -1; }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; } dd { margin-bottom: .5rem; }
  tbody th { max-width: 9rem; }
}
@media print {
  @page { margin: 14mm; }
  body { max-width: none; padding: 0; font-size: 10pt; } nav { display: none; }
  .scroll { overflow: visible; } details::details-content { content-visibility: visible; }
  table { font-size: 7.5pt; width: auto; } th, td { padding: .12rem .28rem; white-space: normal; }
  tbody th, thead th:first-child { position: static; }
  tbody .long, td.long { min-width: 0; } td:not(.left) { white-space: nowrap; }
  tr { break-inside: avoid; } td.left { overflow-wrap: anywhere; }
  th button { display: contents; } /* Chromium repeats a head's text on each page, and not a button */
  th button::after, th[aria-sort] button::after { content: none; } h2, h3 { break-after: avoid; }
  thead { display: table-header-group; } a { color: inherit; text-decoration: none; }
  figure img { max-height: 225mm; object-fit: contain; object-position: left; }
  figure img.page { min-width: 0; width: 100%; max-width: 100%; } figure img.column { width: 88mm; max-width: 100%; }
}
</style>
"""

GRID = """{% macro grid(g) %}
<div class="scroll" tabindex="0" role="region" aria-label="{{ g.label }}"><table class="sortable">
<thead><tr>{% for head in g.heads %}<th scope="col"{% if loop.index0 in g.left %} class="left"{% endif
%}><button type="button">{% for line in head %}{{ line }}{% if not loop.last %}<br>{% endif %}{% endfor
%}</button></th>{% endfor %}</tr></thead>
<tbody>{% for row in g.rows %}
<tr>{% for e in row %}{% set tag = "th" if loop.first else "td" %}<{{ tag }}{% if loop.first %} scope="row"{% endif %}{%
if e.key == e.key %} data-key="{{ e.key }}"{% endif %}{%
set text = loop.index0 in g.left %}{%
set style = [e.kind, "left" if text, "long" if text and e.text | length > 14] | select | join(" ") %}{%
if style %} class="{{ style }}"{% endif %}>{%
if e.link %}<a href="{{ e.link }}">{{ e.text }}</a>{% else %}{{ e.text }}{% endif %}{%
if e.note %}<small>{{ e.note }}</small>{% endif %}</{{ tag }}>{% endfor %}</tr>{%
endfor %}
</tbody></table></div>
{% endmacro %}
"""

SCRIPT = """<script>
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, i) => head.querySelector("button").addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach(h => h.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const numbers = [...body.rows].some(r => r.cells[i].dataset.key);
    const key = r => numbers ? parseFloat(r.cells[i].dataset.key ?? "NaN") : r.cells[i].textContent;
    const rows = [...body.rows].sort((a, b) => {
      const x = key(a), y = key(b);
      if (!numbers) return up ? x.localeCompare(y) : y.localeCompare(x);
      if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);
      return up ? x - y : y - x;
    });
    body.append(...rows);
  }));
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(d => d.open = true));
</script>
"""
