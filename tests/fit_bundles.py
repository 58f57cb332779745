"""Invented bundles of fitted models, for the tests of their schema and of their page."""

import dataclasses

import numpy as np

from dimix.records import FitBundle, Move

HOSTILE = '</script><img src=x onerror="window.hit=1">\'`${window.hit=1}\u2028&amp;'
K = 6


def blobs(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points around K places on a circle, and the place of each."""
    of = np.arange(n) % K
    angle = 2 * np.pi * of / K
    centre = np.column_stack([np.cos(angle), np.sin(angle)])
    return (5 * centre + 0.5 * rng.normal(size=(n, 2))).astype(np.float32), of


def bundle(n: int = 120, **given) -> FitBundle:
    """Six components, of which 0 and 1 merge first, then 2 with them, and so on."""
    rng = np.random.default_rng(0)
    xy, of = blobs(n, rng)
    own = rng.uniform(0.6, 1, n)
    linkage = [[0, 1], [2, 6], [3, 7], [4, 8], [5, 9]]
    heights = [0.5, 0.6, 2.0, 2.5, 3.0]
    fields = {
        "title": "Invented",
        "n_rows": n,
        "map_xy": xy,
        "map_name": "latent means, as they are",
        "rows": np.arange(n),
        "components": np.stack([of, (of + 1) % K], 1).astype(np.uint16),
        "probabilities": np.stack([own, 1 - own], 1).astype(np.float32),
        "distance": rng.random(n).astype(np.float32),
        "sizes": np.bincount(of, minlength=K) + np.arange(K) / 10.0,
        "n_clusters": 4,
        "linkage": np.column_stack([linkage, heights, np.arange(2, K + 1)]).astype(np.float64),
        "auto_clusters": 4,
        "auto_note": "4 clusters, a clear gap",
        "history": {
            "epoch": np.arange(1.0, 6),
            "train_loss": np.array([5.0, 4, 3, 2.5, 2]),
            "n_components": np.array([np.nan, np.nan, 8, 7, 6]),
        },
        "moves": (Move(4, "merge", 7, 3.5), Move(5, "merge", 6, 1.5)),
        "settings": {"model": "DeepInfiniteMixture", "latent_dim": 2},
        "versions": {"dimix": "0.1.0"},
        "notes": ("A note.",),
    }
    return FitBundle(**(fields | given))


def of_images(n: int = 120, **given) -> FitBundle:
    """The same with pictures of 8 × 6 pixels: one of every second point, brighter by component."""
    points = np.arange(0, n, 2)
    images = np.repeat(40 * (points % K + 1), 48).reshape(-1, 8, 6).astype(np.uint8)
    samples = np.repeat(40 * np.arange(1, K + 1), 3 * 48).reshape(K, 3, 8, 6).astype(np.uint8)
    shown = {
        "thumbnails": images,
        "thumbnail_points": points,
        "samples": samples,
        "originals": images[:5],
        "reconstructions": images[:5] // 2,
        "labels": np.arange(n) % 3 - 1,
        "label_names": ("cat", "dog"),
    }
    return bundle(n, **(shown | given))


def of_table(n: int = 120, **given) -> FitBundle:
    """The same with three columns: the component, noise with a gap, and a constant."""
    noise = np.random.default_rng(1).normal(size=n)
    noise[7] = np.nan
    columns = np.column_stack([np.arange(n) % K, noise, np.full(n, 2.5)]).astype(np.float32)
    shown = {
        "columns": columns,
        "column_names": ("component", "noise", "constant"),
        "samples": np.ones((K, 2, 3), np.float32),
        "originals": columns[:50],
        "reconstructions": columns[:50] * np.float32(0.5),
    }
    return bundle(n, **(shown | given))


def hostile() -> FitBundle:
    """A table with every text an attack."""
    plain = of_table()
    return dataclasses.replace(
        plain,
        title=HOSTILE,
        map_name=HOSTILE,
        auto_note=HOSTILE,
        names=(HOSTILE,) * len(plain.map_xy),
        labels=np.zeros(len(plain.map_xy), np.int64),
        label_names=(HOSTILE,),
        column_names=(HOSTILE, "__proto__", "constructor"),
        history={"epoch": np.array([1.0, 2]), HOSTILE: np.array([1.0, 2]), "__proto__": np.ones(2)},
        moves=(Move(1, HOSTILE, 3, 1.0), Move(2, "constructor", 3, 1.0)),
        settings={HOSTILE: HOSTILE, "model": HOSTILE},
        versions={HOSTILE: HOSTILE},
        notes=(HOSTILE,),
    )
