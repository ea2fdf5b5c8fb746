"""The report's page: one template that needs nothing from outside. Everything put into it is escaped."""

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{{ study.name }}: report</title>
<style>
:root { --ink: #1c1c1c; --quiet: #5f5f5f; --line: #dedede; --wash: #f6f6f4;
  --yes: #006b4f; --no: #a63c00; --open: #5a5a5a; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 1.5rem 1.25rem 4rem; color: var(--ink); background: #fff;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: .2rem 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; padding-top: .8rem; border-top: 1px solid var(--line); }
p { margin: .5rem 0; max-width: 46rem; }
.lead { font-size: 1.15rem; }
.quiet, figcaption, .note { color: var(--quiet); font-size: .88rem; }
.warn { border-left: 4px solid #E69F00; background: #fff8e8; padding: .5rem .8rem; max-width: 46rem; }
code { font: .86em/1.4 ui-monospace, "DejaVu Sans Mono", Menlo, monospace; background: var(--wash);
  padding: .1em .3em; overflow-wrap: anywhere; }
.verdicts { list-style: none; padding: 0; margin: 1rem 0; }
.verdicts li { display: grid; grid-template-columns: 3.2rem 9.8rem 1fr; gap: .2rem .9rem; padding: .8rem 0;
  border-bottom: 1px solid var(--line); break-inside: avoid; }
.verdicts .id { font-weight: 700; }
.word { font-weight: 650; white-space: nowrap; align-self: start; padding: .05rem .55rem; border-radius: 1rem;
  border: 1.5px solid currentColor; font-size: .9rem; justify-self: start; }
.supported { color: var(--yes); } .not-supported { color: var(--no); } .cannot-tell { color: var(--open);
  border-style: dashed; }
.effect { font-variant-numeric: tabular-nums; font-weight: 600; }
.verdicts p { margin: .15rem 0; max-width: none; } .verdicts .quiet { white-space: nowrap; }
details { margin: .3rem 0; font-size: .88rem; } summary { cursor: pointer; color: var(--quiet); }
figure { margin: 1.2rem 0 2rem; break-inside: avoid; }
.scroll { overflow-x: auto; max-width: 100%; }
figure img { display: block; height: auto; }
figure img.page { width: 100%; min-width: 34rem; max-width: 56rem; }
figure img.column { width: 100%; max-width: 29rem; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff; }
thead th { vertical-align: bottom; background: var(--wash); font-weight: 600; }
thead th:first-child { background: var(--wash); }
td small { display: block; color: var(--quiet); line-height: 1.1; }
td.left, th.left { text-align: left; }
th button { all: unset; cursor: pointer; } th button:focus-visible { outline: 2px solid #0072B2; }
th[aria-sort=ascending] button::after { content: " ▲"; } th[aria-sort=descending] button::after { content: " ▼"; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1rem; }
dd { margin: 0; overflow-wrap: anywhere; }
dt { color: var(--quiet); }
@media (max-width: 40rem) {
  body { padding: 1rem .9rem 3rem; } h1 { font-size: 1.5rem; }
  .verdicts li { grid-template-columns: 3rem 1fr; } .verdicts .body { grid-column: 1 / -1; }
  th.left, td.left { display: none; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; } .scroll { overflow: visible; } details > * { display: block; }
  table { font-size: 7.5pt; } th, td { padding: .15rem .3rem; white-space: normal; } tr { break-inside: avoid; }
  th[aria-sort] button::after { content: ""; } h2 { break-after: avoid; } thead { display: table-header-group; }
}
</style>
</head>
<body>
{% macro scores(table, what) %}
<div class="scroll"><table class="sortable">
<thead><tr><th scope="col"><button type="button">language</button></th>
<th scope="col" class="left"><button type="button">groups</button></th>
{% for head in table.heads %}<th scope="col"><button type="button">{% for line in head %}{{ line }}{% if not loop.last
%}<br>{% endif %}{% endfor %}</button></th>{% endfor %}</tr></thead>
<tbody>{% for language, groups, entries in table.rows %}
<tr><td>{{ language }}</td><td class="left">{{ groups }}</td>{% for e in entries %}<td{% if e.key == e.key
%} data-key="{{ e.key }}"{% endif %}>{{ e.text }}{% if e.note %}<small>{{ e.note }}</small>{% endif %}</td>{% endfor
%}</tr>{% endfor %}
</tbody></table></div>
{% endmacro %}
<header>
<p class="quiet">Study report</p>
<h1>{{ study.name }}</h1>
{% if study.question %}<p class="lead">{{ study.question }}</p>{% endif %}
<p class="quiet">{{ state.done }} of {{ state.expected }} runs finished{% if budget %} · {{ budget }}{% endif %}{%
if study.profile %} · profile {{ study.profile }}{% endif %}</p>
{% if state.missing %}<p class="warn">{{ state.missing | length }} run{{ "" if state.missing | length == 1 else "s" }}
not finished: what follows rests on the others and may change.</p>{% endif %}
</header>

<h2>Findings</h2>
{% if verdicts %}
<p class="note">Effects are positive in the finding's direction. Brackets are 95 % Student-t intervals of differences
paired by seed; each line is judged alone. They cover seeds, not other languages, texts or budgets.</p>
<ul class="verdicts">
{% for v in verdicts %}
<li><span class="id">{{ v.finding }}</span>
<span class="word {{ v.verdict | replace(' ', '-') }}">{{ marks[v.verdict] }} {{ v.verdict }}</span>
<div class="body"><p>{{ v.statement }}, on <strong>{{ v.outcome }}</strong>.</p>
{% if v.seeds %}<p><span class="effect">{{ effect(v) }}</span> {{ v.measure }}
<span class="quiet">({{ v.seeds }} seed{{ "" if v.seeds == 1 else "s" }})</span></p>{% endif %}
<p class="note">{{ v.rule }}{% if v.settle %} To settle it: {{ v.settle }}.{% endif %}</p>
{% for c in v.cautions %}<p class="note">Note: {{ c }}.</p>{% endfor %}
{% if v.details %}<details><summary>details</summary><dl>{% for name, value in v.details.items() %}
<dt>{{ name }}</dt><dd>{{ detail(value, v.digits) }}</dd>{% endfor %}</dl></details>{% endif %}
</div></li>
{% endfor %}
</ul>
{% else %}<p>The study names no findings to judge.</p>{% endif %}
{% if plateau %}<p class="note">{{ plateau[0] | upper }}{{ plateau[1:] }}.</p>{% endif %}

<h2>Figures</h2>
{% for d in drawings %}{% if d.skipped %}<p class="note">Not drawn: {{ d.title }} ({{ d.skipped }}).</p>{% else %}
<figure><div class="scroll"><img class="{{ d.size }}" alt="{{ d.title }}"
src="data:image/svg+xml;base64,{{ d.data }}"></div>
<figcaption><strong>{{ d.title }}.</strong> {{ d.caption }}{% if budget %} Budget: {{ budget }}.{% endif %}</figcaption>
</figure>{% endif %}{% endfor %}

<h2>Bits per byte by language</h2>
{% if bits.rows %}<p class="note">Final held-out bits per byte, lower is better: mean ± half of the 95 % interval over
seeds{% if most_seeds == 1 %} (one seed: no interval){% elif most_seeds %} ({{ most_seeds }} seeds unless noted){%
endif %}. A dash: the language was not trained on or not measured. Press a heading to sort.</p>
{{ scores(bits, "bits") }}{% else %}<p>No finished run has recorded any.</p>{% endif %}

{% if accuracy.rows %}<h2>Accuracy by language</h2>
<p class="note">Intent accuracy, % of sentences, after fine-tuning on English: English is supervised, the others are
zero-shot. {{ guessing }}</p>
{{ scores(accuracy, "accuracy") }}{% endif %}

{% if epochs.rows %}<h2>Epochs by language</h2>
<p class="note">How many times each language's training text was passed.</p>
{{ scores(epochs, "epochs") }}{% endif %}

<h2>Cells</h2>
{% if cells %}<div class="scroll"><table class="sortable">
<thead><tr><th scope="col"><button type="button">cell</button></th><th scope="col"><button type="button">body
parameters</button></th><th scope="col"><button type="button">embedding parameters</button></th><th scope="col"><button
type="button">tokens</button></th><th scope="col"><button type="button">FLOPs</button></th><th scope="col">seeds
finished</th></tr></thead><tbody>
{% for c in cells %}<tr><td>{{ c.head | join(", ") }}</td><td data-key="{{ c.order[0] }}">{{ c.body }}</td>
<td data-key="{{ c.order[1] }}">{{ c.embeddings }}</td><td data-key="{{ c.order[2] }}">{{ c.tokens }}</td>
<td data-key="{{ c.order[3] }}">{{ c.flops }}</td><td>{{ c.seeds }}</td></tr>{% endfor %}
</tbody></table></div>{% else %}<p>No run has begun.</p>{% endif %}

<h2>Where this comes from</h2>
<dl>
<dt>corpus</dt><dd>{{ study.corpus }}{% if study.corpus_note %}: {{ study.corpus_note }}{% endif %}</dd>
{% for name, members in study.groups.items() %}<dt>{{ name }} group</dt><dd>{{ members | join(", ") }}</dd>{% endfor %}
<dt>runs</dt><dd>{{ state.done }} finished, {{ state.missing | length }} not{%
if state.missing %}:
<details><summary>which</summary>{% for run in state.missing %}<code>{{ run }}</code> {% endfor %}</details>{%
endif %}</dd>
<dt>records</dt><dd>{{ records }} rows, schema {{ schema }}, in <code>records.parquet</code> beside this page; each
figure also as PNG, SVG, PDF and CSV in <code>figures/</code></dd>
{% if study.command %}<dt>submitted by</dt><dd><code>{{ study.command }}</code></dd>{% endif %}
<dt>redrawn by</dt><dd><code>{{ redraw }}</code></dd>
</dl>
<script>
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, i) => head.querySelector("button")?.addEventListener("click", () => {
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
</body>
</html>
"""
