"""The report's page: one template that needs nothing from outside. Everything put into it is escaped."""

from analysis.report.style import GRID, HEAD, SCRIPT, STYLE

_BODY = """
<header>
<p class="quiet">Study report</p>
<h1>{{ study.name }}</h1>
{% if study.question %}<p class="lead">{{ study.question }}</p>{% endif %}
<p class="quiet">{{ state.done }} of {{ state.expected }} runs finished{% if budget %} · {{ budget }}{% endif %}{%
if study.profile %} · profile {{ study.profile }}{% endif %}</p>
{% if cautions %}<div class="warn" role="note"><p>Before you read on</p><ul>{% for c in cautions %}
<li>{{ c[0] | upper }}{{ c[1:] }}.</li>{% endfor %}</ul></div>{% endif %}
<nav aria-label="Sections"><ul>
{% for target, name in sections %}<li><a href="#{{ target }}">{{ name }}</a></li>
{% endfor %}</ul></nav>
</header>
<main>
<h2 id="findings">Findings</h2>
{% if verdicts %}
<p class="note">Effects are positive in the finding's direction. Intervals are 95 %, of differences paired by seed; they
cover seeds, not other languages, texts or budgets. p is adjusted for all lines together (Holm).</p>
{{ grid(verdict_grid) }}
<h3>How each was decided</h3>
<ul class="verdicts">
{% for v in verdicts %}
<li id="{{ anchor(v) }}"><span class="id">{{ v.finding }}</span>
<span class="word {{ v.verdict | replace(' ', '-') }}"><span aria-hidden="true">{{ marks[v.verdict] }}</span> {{
v.verdict }}</span>
<div class="body"><p>{{ v.statement }}, on <strong>{{ v.outcome }}</strong>.</p>
{% if v.seeds %}<p><span class="effect">{{ effect(v) }}</span> {{ v.measure }}
<span class="quiet">({{ v.seeds }} seed{{ "" if v.seeds == 1 else "s" }}{% if v.p_holm == v.p_holm
%}, p {{ p_text(v.p_holm) }} of {{ verdicts | length }} together, {{ p_text(v.p) }} alone{% endif %})</span></p>{%
endif %}
<p class="note">{{ v.rule }}{% if v.settle %} To settle it: {{ v.settle }}.{% endif %}</p>
{% for c in v.cautions %}<p class="note">Note: {{ c }}.</p>{% endfor %}
{% if v.details %}<details><summary>details</summary><dl>{% for name, value in v.details.items() %}
<dt>{{ name }}</dt><dd>{{ detail(value, v.digits) }}</dd>{% endfor %}</dl></details>{% endif %}
</div></li>
{% endfor %}
</ul>
{% else %}<p>The study names no findings to judge.</p>{% endif %}
{% if plateau %}<p class="note">{{ plateau[0] | upper }}{{ plateau[1:] }}.</p>{% endif %}

<h2 id="laws">Laws</h2>
<p class="note">Fitted to the bits per byte of finished runs; intervals are 95 %, from fits to resampled runs,
branches of one trunk together.</p>
{% for law, grids in laws %}<h3>{{ law.name }}</h3>
<p><code>{{ law.formula }}</code></p>
{% if law.absent %}<p class="note">Not fitted: {{ law.absent }}.</p>{% endif %}
{% if law.support %}<p class="note">Rests on {{ law.support }}; beyond that it is extrapolation.</p>{% endif %}
{% for g in grids %}{{ grid(g) }}{% endfor %}
{% for c in law.cautions %}<p class="note">{{ c[0] | upper }}{{ c[1:] }}.</p>{% endfor %}
{% endfor %}

<h2 id="figures">Figures</h2>
{% for d in drawings %}{% if not d.skipped %}<figure><div class="scroll" tabindex="0" role="region"
aria-label="{{ d.title }}"><img class="{{ d.size }}" alt="{{ d.title }}. {{ d.caption }}" src="{{ d.data }}"></div>
<figcaption><strong>{{ d.title }}.</strong> {{ d.caption }}{% if budget %} Budget: {{ budget }}.{% endif %}</figcaption>
</figure>
{% endif %}{% endfor %}
{% if skipped %}<h3>Not drawn</h3>
<ul class="note">{% for d in skipped %}<li>{{ d.title }}: {{ d.skipped }}</li>{% endfor %}</ul>{% endif %}

<h2 id="tables">Tables</h2>
<p class="note">Means over seeds ± half of the 95 % interval{% if most_seeds == 1 %} (one seed: no interval){%
elif most_seeds %} ({{ most_seeds }} seeds unless noted){% endif %}. A dash: not trained on or not measured. Press a
heading to sort.</p>
{% for title, note, grids in numbers %}<h3>{{ title }}</h3>
<p class="note">{{ note }}</p>
{% for g in grids %}{{ grid(g) }}{% endfor %}
{% endfor %}
{% if not bits %}<p>No finished run has recorded any bits per byte.</p>{% endif %}

<h2 id="cells">Cells: whole, partial, missing, stale</h2>
{% if cells.rows %}{{ grid(cells) }}{% else %}<p>No run has begun.</p>{% endif %}
{% if state.missing %}<details><summary>{{ state.missing | length }} runs that are not finished</summary>
<p>{% for run in state.missing %}<code>{{ run }}</code> {% endfor %}</p></details>{% endif %}

<h2 id="plan">Plan against actual</h2>
{% if actual.rows %}<p>{{ spent }}</p><p class="note">{{ actual_note }}</p>
{{ grid(actual) }}{% else %}<p>No run has begun.</p>{% endif %}

<h2 id="provenance">Where this comes from</h2>
<dl>
<dt>corpus</dt><dd>{{ study.corpus }}{% if study.corpus_note %}: {{ study.corpus_note }}{% endif %}</dd>
{% for name, members in study.groups.items() %}<dt>{{ name }} group</dt><dd>{{ members | join(", ") }}</dd>
{% endfor %}
{% for name, value in source.facts %}<dt>{{ name }}</dt><dd>{{ value }}</dd>
{% endfor %}
<dt>records</dt><dd>{{ records }} rows, schema {{ schema }}, in <code>records.parquet</code> beside this page; each
figure also as PNG, SVG, PDF and CSV in <code>figures/</code>; the same as LaTeX in <code>latex/</code></dd>
{% if study.command %}<dt>submitted by</dt><dd><code>{{ study.command }}</code></dd>{% endif %}
<dt>made again by</dt><dd><code>{{ redraw }}</code></dd>
</dl>
<h3>Code and versions</h3>
{% for text in source.drift %}<p class="note">{{ text[0] | upper }}{{ text[1:] }}.</p>{% endfor %}
{% if source.sources.rows %}{{ grid(source.sources) }}
<details><summary>every attempt</summary>{{ grid(source.attempts) }}</details>{% else
%}<p>No attempt has left a word.</p>{% endif %}
</main>
"""

_OVERVIEW = """
<header>
<p class="quiet">Report over {{ studies | length }} studies</p>
<h1>{{ studies | map(attribute="name") | join(", ") }}</h1>
<p class="quiet">{{ done }} of {{ expected }} runs finished. Each study has a page of its own.</p>
</header>
<main>
<h2>Studies</h2>
{{ grid(study_grid) }}
<h2>Findings</h2>
<p class="note">Effects are positive in the finding's direction; intervals are 95 %, of differences paired by seed. p is
adjusted for all {{ verdicts }} lines of this page together (Holm), so it is larger than on a study's own page.</p>
{% if verdicts %}{{ grid(verdict_grid) }}{% else %}<p>No study names findings to judge.</p>{% endif %}
<h2>Before you read on</h2>
{% for s in studies %}<h3>{{ s.name }}</h3>
{% if s.cautions %}<ul>{% for c in s.cautions %}<li>{{ c[0] | upper }}{{ c[1:] }}.</li>{% endfor %}</ul>{% else
%}<p>Whole, and nothing to be told first.</p>{% endif %}{% endfor %}
<p class="note">Made again by <code>{{ redraw }}</code></p>
</main>
"""


def _whole(title: str, body: str) -> str:
    head = f"<head>\n{HEAD}<title>{title}</title>\n{STYLE}</head>"
    return f'<!doctype html>\n<html lang="en">\n{head}\n<body>\n{GRID}{body}{SCRIPT}</body>\n</html>\n'


TEMPLATE = _whole("{{ study.name }}: report", _BODY)
OVERVIEW = _whole("Reports: {{ studies | map(attribute='name') | join(', ') }}", _OVERVIEW)
