"""Reference values of encoders and losses, in plain NumPy (64 bits) and without Taxotext.

    python tests/reference/blocks.py      writes blocks.json

Every text is computed alone and without padding, step by step, from the published equations. Parameters come from a
formula, not from a random generator. Derivatives are central differences. tests/nn/test_reference_blocks.py gives our
blocks the same parameters and compares.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Parameters = dict[str, Array]
VALUES = Path(__file__).with_name("blocks.json")

VOCABULARY, WIDTH, LENGTH = 9, 4, 7
TEXTS: tuple[tuple[int, ...], ...] = ((3, 1, 8, 2, 5, 5, 7), (4, 6, 2, 1), (8,), (7, 3))
"""Word ids; 0 is padding."""

UNITS = 3  # of the GRU, in each direction
FILTERS, KERNEL, POOL, HIDDEN, EPSILON = 5, 3, 2, 4, 1e-5  # of TextCnn and its batch normalisation
KERNELS, KIM_FILTERS = (2, 3), 3

GRU = {
    f"{way}.{name}": shape
    for way in ("forwards", "backwards")
    for name, shape in {
        "input": (3 * UNITS, WIDTH),  # rows: reset, update, new
        "state": (3 * UNITS, UNITS),
        "input_bias": (3 * UNITS,),
        "state_bias": (3 * UNITS,),
    }.items()
}
SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "gru_attention": {
        "embedding": (VOCABULARY, WIDTH),
        **GRU,
        "attention": (2 * UNITS, 2 * UNITS),
        "attention_bias": (2 * UNITS,),
        "context": (2 * UNITS,),
    },
    "textcnn": {
        "embedding": (VOCABULARY, WIDTH),
        "first": (FILTERS, WIDTH, KERNEL),
        "first_bias": (FILTERS,),
        "second": (FILTERS, FILTERS, KERNEL),
        "second_bias": (FILTERS,),
        "hidden": (HIDDEN, FILTERS),
        "hidden_bias": (HIDDEN,),
        "scale": (HIDDEN,),
        "shift": (HIDDEN,),
        "mean": (HIDDEN,),
        "variance": (HIDDEN,),
    },
    "kim_cnn": {
        "embedding": (VOCABULARY, WIDTH),
        "filters_2": (KIM_FILTERS, WIDTH, 2),
        "bias_2": (KIM_FILTERS,),
        "filters_3": (KIM_FILTERS, WIDTH, 3),
        "bias_3": (KIM_FILTERS,),
    },
}

TARGETS = np.array([[1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 1, 1]], dtype=float)
DOCUMENT_WEIGHTS = np.array([1.0, 0.0, 2.5])
POSITIVE_WEIGHTS = np.array([1.0, 4.0, 0.5, 2.0])
EDGES = ((0, 1), (0, 2), (1, 3), (2, 3))
"""Parent, child: label 3 has two parents."""
ROWS = (4, 3)


def fill(shape: tuple[int, ...], number: int, scale: float = 0.8) -> Array:
    """Numbers between -scale and scale, without a pattern along rows or columns; ``number`` tells arrays apart."""
    place = np.arange(int(np.prod(shape)), dtype=float)
    return scale * np.sin(0.7 * place + 0.11 * place**2 + 1.9 * number + 0.5).reshape(shape)


def parameters(block: str) -> Parameters:
    """The parameters of a block by name."""
    found = {name: fill(shape, number) for number, (name, shape) in enumerate(SHAPES[block].items())}
    found["embedding"][0] = 0
    if "variance" in found:
        found["variance"] = 1 + 0.5 * found["variance"]
        found["shift"] += 1  # so that the ReLU behind it leaves most numbers
    return found


LOGITS = fill((3, 4), 20, 3.0)


# -- GRU with attention --------------------------------------------------------------------------------------------


def gru_states(words: Array, given: Parameters, way: str) -> Array:
    """States (n, H) of n words (n, D), in PyTorch's form of the unit (Cho et al. 2014 multiplies r and h first)."""
    state, states = np.zeros(UNITS), []
    for word in words:
        entering = given[f"{way}.input"] @ word + given[f"{way}.input_bias"]
        returning = given[f"{way}.state"] @ state + given[f"{way}.state_bias"]
        reset, update = (sigmoid(entering + returning)[gate * UNITS : (gate + 1) * UNITS] for gate in (0, 1))
        new = np.tanh(entering[2 * UNITS :] + reset * returning[2 * UNITS :])
        state = update * state + (1 - update) * new
        states.append(state)
    return np.array(states)


def gru_attention(given: Parameters) -> dict[str, Array]:
    """States of both directions, and [attention; maximum; mean] of them (Banerjee et al. 2019, section 3.1)."""
    tokens, pooled = np.zeros((len(TEXTS), LENGTH, 2 * UNITS)), []
    for row, text in enumerate(TEXTS):
        words = given["embedding"][list(text)]
        back = gru_states(words[::-1], given, "backwards")[::-1]
        states = np.concatenate([gru_states(words, given, "forwards"), back], 1)  # (n, 2H)
        scores = np.tanh(states @ given["attention"].T + given["attention_bias"]) @ given["context"]
        weights = np.exp(scores) / np.exp(scores).sum()
        tokens[row, : len(text)] = states
        pooled.append(np.concatenate([weights @ states, states.max(0), states.mean(0)]))
    return {"tokens": tokens, "pooled": np.array(pooled)}


# -- convolutional networks ----------------------------------------------------------------------------------------


def convolved(rows: Array, filters: Array, bias: Array, before: int, after: int) -> Array:
    """ReLU of all filters (F, D, k) at each place of (n, D) with so many zero rows before and after it: (places, F)."""
    size = filters.shape[2]
    line = np.concatenate([np.zeros((before, rows.shape[1])), rows, np.zeros((after, rows.shape[1]))])
    places = [
        [np.sum(kernel * line[at : at + size].T) + offset for kernel, offset in zip(filters, bias, strict=True)]
        for at in range(len(line) - size + 1)
    ]
    return np.maximum(np.array(places), 0)


def textcnn(given: Parameters, training: bool) -> dict[str, Array]:
    """Two convolutions with maxima, a layer with batch normalisation, ReLU."""
    middle = KERNEL // 2
    tokens, most = np.zeros((len(TEXTS), -(-LENGTH // POOL), FILTERS)), []
    for row, text in enumerate(TEXTS):
        found = convolved(given["embedding"][list(text)], given["first"], given["first_bias"], middle, middle)
        joined = np.array([found[at : at + POOL].max(0) for at in range(0, len(found), POOL)])
        found = convolved(joined, given["second"], given["second_bias"], middle, middle)
        tokens[row, : len(found)] = found
        most.append(found.max(0))
    hidden = np.array(most) @ given["hidden"].T + given["hidden_bias"]
    mean, variance = (hidden.mean(0), hidden.var(0)) if training else (given["mean"], given["variance"])
    normal = (hidden - mean) / np.sqrt(variance + EPSILON) * given["scale"] + given["shift"]
    return {"tokens": tokens, "pooled": np.maximum(normal, 0)}


def kim_cnn(given: Parameters) -> dict[str, Array]:
    """Filters of several widths; each sees at least one word, and its maximum is taken (Kim 2014)."""
    tokens, pooled = np.zeros((len(TEXTS), LENGTH, len(KERNELS) * KIM_FILTERS)), []
    for row, text in enumerate(TEXTS):
        most = []
        for number, size in enumerate(KERNELS):
            words, around = given["embedding"][list(text)], size - 1
            found = convolved(words, given[f"filters_{size}"], given[f"bias_{size}"], around, around)
            most.append(found.max(0))
            own = slice(number * KIM_FILTERS, (number + 1) * KIM_FILTERS)
            tokens[row, : len(text), own] = found[around:]  # those that begin at a word
        pooled.append(np.concatenate(most))
    return {"tokens": tokens, "pooled": np.array(pooled)}


# -- losses --------------------------------------------------------------------------------------------------------


def sigmoid(values: Array) -> Array:
    return 1 / (1 + np.exp(-values))


def cross_entropy(logits: Array, positive_weights: Array | float = 1.0) -> Array:
    chance = sigmoid(logits)
    return -(positive_weights * TARGETS * np.log(chance) + (1 - TARGETS) * np.log(1 - chance))


def focal(logits: Array, gamma: float, alpha: float | None) -> Array:
    """Lin et al. 2017, equation 5."""
    chance = sigmoid(logits)
    right = np.where(TARGETS == 1, chance, 1 - chance)
    weight = 1.0 if alpha is None else np.where(TARGETS == 1, alpha, 1 - alpha)
    return -weight * (1 - right) ** gamma * np.log(right)


def asymmetric(logits: Array, gamma_positive: float, gamma_negative: float, margin: float) -> Array:
    """Ridnik et al. 2021, equations 4 to 7."""
    chance = sigmoid(logits)
    shifted = np.maximum(chance - margin, 0)
    gold = (1 - chance) ** gamma_positive * np.log(chance)
    return -np.where(TARGETS == 1, gold, shifted**gamma_negative * np.log(1 - shifted))


def zlpr(logits: Array) -> Array:
    """Su et al. 2022, equation 9; one number for a document, hence (B, 1)."""
    negatives = np.log(1 + np.sum(np.exp(logits) * (1 - TARGETS), 1))
    positives = np.log(1 + np.sum(np.exp(-logits) * TARGETS, 1))
    return (negatives + positives)[:, None]


CELLS: dict[str, Callable[[Array], Array]] = {
    "bce": cross_entropy,
    "bce_positive_weights": lambda logits: cross_entropy(logits, POSITIVE_WEIGHTS),
    "focal": lambda logits: focal(logits, 2.0, 0.25),
    "focal_without_alpha": lambda logits: focal(logits, 0.5, None),
    "asymmetric": lambda logits: asymmetric(logits, 1.0, 3.0, 0.1),
    "asymmetric_without_margin": lambda logits: asymmetric(logits, 0.0, 2.0, 0.0),
    "zlpr": zlpr,
}
"""Losses of cells (B, N) before they are added up."""


def loss(cells: Array, mean_over_labels: bool = False, weights: Array | None = None) -> float:
    """Sum or mean over labels, weighted mean over documents."""
    documents = cells.mean(1) if mean_over_labels else cells.sum(1)
    return float(np.average(documents, weights=weights))


def recursive(rows: Array) -> float:
    """Gopal & Yang 2013: half the squared distance between the rows of parent and child."""
    return float(sum(0.5 * np.sum((rows[parent] - rows[child]) ** 2) for parent, child in EDGES))


# -- the file ------------------------------------------------------------------------------------------------------


def derivative(function: Callable[[Array], float], at: Array, step: float = 1e-5) -> Array:
    """Central differences."""
    found = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        moved = np.zeros_like(at)
        moved[place] = step
        found[place] = (function(at + moved) - function(at - moved)) / (2 * step)
    return found


def gru_derivatives() -> dict[str, Array]:
    """Of the sum of all pooled numbers, each multiplied with its number of :func:`fill`."""
    given = parameters("gru_attention")

    def total(name: str, values: Array) -> float:
        pooled = gru_attention({**given, name: values})["pooled"]
        return float(np.sum(pooled * fill(pooled.shape, 30)))

    return {
        name: derivative(lambda values, name=name: total(name, values), given[name])  # type: ignore[misc]
        for name in ("embedding", "forwards.state", "backwards.input", "backwards.state_bias", "context")
    }


def values() -> dict[str, Any]:
    """Everything, by block."""
    losses = {
        name: {
            "sum": loss(cells(LOGITS)),
            "mean": loss(cells(LOGITS), mean_over_labels=True),
            "weighted": loss(cells(LOGITS), weights=DOCUMENT_WEIGHTS),
            "derivative": derivative(lambda logits, cells=cells: loss(cells(logits)), LOGITS),  # type: ignore[misc]
        }
        for name, cells in CELLS.items()
    }
    rows = fill(ROWS, 21)
    return {
        "gru_attention": gru_attention(parameters("gru_attention")),
        "gru_attention derivatives": gru_derivatives(),
        "textcnn": textcnn(parameters("textcnn"), training=False),
        "textcnn in training": textcnn(parameters("textcnn"), training=True),
        "kim_cnn": kim_cnn(parameters("kim_cnn")),
        "losses": losses,
        "recursive": {"value": recursive(rows), "derivative": derivative(recursive, rows)},
    }


def rounded(found: Any) -> Any:
    """The same as lists of numbers with 7 decimals."""
    if isinstance(found, dict):
        return {key: rounded(value) for key, value in found.items()}
    return np.round(found, 7).tolist()


if __name__ == "__main__":
    lines = [f"{json.dumps(block)}: {json.dumps(found)}" for block, found in rounded(values()).items()]
    VALUES.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
