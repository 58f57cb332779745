"""The page of a search: its trials, the score by trial, and the score against each parameter."""

import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from dimix.records import atomic_write
from dimix.records.search import SearchResult, Trial
from dimix.report.figures import WIDTH, as_png, panels
from dimix.report.page import Section, embedded, framed, terms
from dimix.report.plots import PALETTE, STYLE

TITLE = "dimix: a search over parameters"
SCORE = "held-out nats a sample"
IN_VIEW = 5.0
"""The worst score in view, as many times below the best as the median score is."""
COLUMNS, FEW_DECADES = 3, 1e3


def write_search_report(result: SearchResult, file: Path) -> None:
    """Write the page of a search, finished or not, as one file that needs no network."""
    with atomic_write(file) as out:
        out.write(search_page(result))


def search_page(result: SearchResult) -> str:
    """The whole page."""
    sections = [Section("trials", "Trials", table(result))]
    if result.ranked:
        sections[:0] = [
            Section("course", "Score by trial", course(result)),
            Section("parameters", "Score against each parameter", against(result)),
        ]
    return framed(TITLE, introduction(result), sections)


def introduction(result: SearchResult) -> str:
    """What was searched, and what is best so far."""
    best = result.best
    n_failed = len(result.trials) - len(result.ranked)
    facts = {
        "Model": result.model,
        "Method": f"{result.method}, seed {result.seed}",
        "Trials": f"{len(result.trials)}, of which {n_failed} failed",
        "Data": f"{result.n_rows:,} rows, of which {result.n_held_out:,} held out",
        "The same in all trials": listed(result.fixed) or "nothing",
        "Best": f"trial {best.number}: {best.score:.3f}" if best else "none yet",
        "Its parameters": listed(best.parameters) if best else "none yet",
    }
    return (
        "<p>Each trial fits the model with other parameters. Its score is the bound on held-out "
        f"data, mean nats a sample: higher is better, and no label is seen.</p>\n{terms(facts)}"
    )


def listed(parameters: Any) -> str:
    """Parameters in one line."""
    return ", ".join(f"{name} {text(value)}" for name, value in parameters.items())


def text(value: Any) -> str:
    """A value for people."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)


def table(result: SearchResult) -> str:
    """All trials, the best first and the failed ones last."""
    failed = [trial for trial in result.trials if trial.score is None]
    heads = ["trial", "score", "seconds", *result.searched, "note"]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "\n".join(map(line, [*result.ranked, *failed]))
    return (
        '<div class="scroll" role="region" aria-label="Trials" tabindex="0">'
        f'<table class="settings"><caption>{len(result.trials)} trials, best first</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def line(trial: Trial) -> str:
    """A trial in the table."""
    score = "failed" if trial.score is None else f"{trial.score:.3f}"
    values = map(text, trial.parameters.values())
    cells = [score, f"{trial.seconds:.0f}", *values, trial.note]
    body = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{trial.number}</th>{body}</tr>'


def course(result: SearchResult) -> str:
    """The scores in the order of the trials, and the best so far."""
    trials = sorted(result.ranked, key=lambda trial: trial.number)
    numbers, scores = [t.number for t in trials], scores_of(trials)
    with matplotlib.style.context(["default", STYLE]):
        figure, (ax,) = panels(1, 1, 3.0, width=0.7 * WIDTH)
        points(ax, numbers, scores)
        ax.step(numbers, np.maximum.accumulate(scores), where="post", color=PALETTE[2])
        ax.set(xlabel="trial", ylabel=SCORE)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    alt = f"Scores of {len(trials)} trials from {scores.min():.3f} to {scores.max():.3f}."
    return shown(figure, alt, "Points: trials. Line: the best so far.")


def against(result: SearchResult) -> str:
    """A panel for each parameter."""
    names = result.searched
    columns = min(COLUMNS, len(names))
    with matplotlib.style.context(["default", STYLE]):
        figure, axes = panels(
            math.ceil(len(names) / columns), columns, 2.8, width=WIDTH * columns / COLUMNS
        )
        for ax, name in zip(axes, names, strict=False):
            panel(ax, name, result)
        for ax in axes[len(names) :]:
            ax.set_axis_off()
    alt = f"Scatter plots of the score against {', '.join(names)}."
    return shown(figure, alt, "Each point is a trial.")


def panel(ax: Axes, name: str, result: SearchResult) -> None:
    """The score against one parameter: on an axis of numbers, or beside its options."""
    trials = result.ranked
    values = [trial.parameters[name] for trial in trials]
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        points(ax, values, scores_of(trials))
        if name in result.log_scale:
            log_axis(ax, values)
        elif all(isinstance(v, int) for v in values):
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        texts = [text(value) for value in values]
        options = sorted(set(texts))
        points(ax, [options.index(t) for t in texts], scores_of(trials))
        ax.set_xticks(range(len(options)), options)
        ax.set_xlim(-0.5, len(options) - 0.5)
    ax.set(xlabel=name, ylabel=SCORE)


def log_axis(ax: Axes, values: Sequence[float]) -> None:
    """A horizontal axis in logs, its numbers few enough not to overlap."""
    ax.set_xscale("log")
    subs = (1.0, 3.0) if max(values) < FEW_DECADES * min(values) else (1.0,)
    ax.xaxis.set_major_locator(LogLocator(subs=subs))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def points(ax: Axes, x: Sequence[float], scores: np.ndarray) -> None:
    """Trials as points; those far below the others at the lower edge, as triangles."""
    best, median = scores.max(), float(np.median(scores))
    lowest = max(scores.min(), best - IN_VIEW * (best - median))
    far = scores < lowest
    at = np.array(x)
    ax.plot(at[~far], scores[~far], "o", color=PALETTE[0], markersize=4)
    ax.plot(at[far], np.full(far.sum(), lowest), "v", color=PALETTE[3], markersize=5)


def scores_of(trials: Sequence[Trial]) -> np.ndarray:
    """The scores of trials that did not fail."""
    return np.array([trial.score for trial in trials], dtype=np.float64)


def shown(figure: Figure, alt: str, caption: str) -> str:
    """A figure in the page."""
    return embedded(*as_png(figure), alt, f"{caption} Triangles: far below the others.")
