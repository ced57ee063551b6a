"""One network trained by several processes: equal gradients, one writer, resumable, and what cannot be shared out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import taxotext
from hierarchies import wait_for
from taxotext import load
from taxotext.api.runs import train_run
from taxotext.cli import main
from taxotext.data import write_jsonl
from taxotext.errors import ConfigError
from taxotext.labels import write_taxonomy
from taxotext.models.registry import find
from taxotext.progress import Silent
from taxotext.settings import parse_settings
from taxotext.training.loader import TrainingLoader
from taxotext.training.parallel import Parallel
from taxotext.work import Workers
from tiny import make_encoder, tiny_corpus, tiny_settings, tiny_words

SOURCE = Path(taxotext.__file__).parents[1]


@pytest.mark.parametrize("weighted", [False, True])
def test_the_mean_gradient_of_the_shares_is_that_of_the_batch(weighted: bool, tiny_encoder: Path) -> None:
    corpus = tiny_corpus(count=13, weights=list(np.linspace(0.5, 2.0, 13)) if weighted else None)
    kind = find("bert")
    system: Any = kind(parse_settings(kind.Settings, tiny_settings("bert", tiny_encoder)), corpus.taxonomy)
    system.build(corpus)
    network = system.network.eval()  # no dropout
    windows = system.windows(corpus.texts)

    def gradients(place: tuple[int, int]) -> list[list[torch.Tensor]]:
        loader = TrainingLoader(
            windows,
            corpus.known_targets,
            corpus.weights,
            batch_size=4,  # 13 documents: the last batch has one, and no second process has a share of it
            epochs=1,
            seed=3,
            pad_id=system.tokenizer.pad_id,
            place=lambda: place,
        )
        found = []
        for batch in loader:
            network.zero_grad()
            (network(batch) * batch.share).backward()
            found.append([p.grad.clone() for p in network.parameters() if p.grad is not None])
        return found

    whole = gradients((0, 1))
    for processes in (2, 3):
        shares = [gradients((number, processes)) for number in range(processes)]
        assert {len(share) for share in shares} == {len(whole)}
        for number, batch in enumerate(whole):
            for place, gradient in enumerate(batch):
                mean = sum(share[number][place] for share in shares) / processes
                assert torch.allclose(mean, gradient, atol=1e-6)


def test_process_0_leads_and_all_others_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    two = Parallel(devices=2)
    assert not two.follows
    for name in names:
        for value in ("0", "1"):
            monkeypatch.setenv(name, value)
            assert two.follows == (value == "1")
            assert not Parallel().follows  # a training of one process has no others, whatever started it
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"devices": 0}, "devices is 0; give 1 or more"),
        ({"strategy": "dpd"}, "strategy is 'dpd'; choose from auto, ddp, .* Did you mean 'ddp'"),
        ({"strategy": "fsdp"}, "every process holds the whole network"),
    ],
)
def test_impossible_processes_are_a_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Parallel(**values)


@pytest.mark.parametrize(
    ("model", "settings", "sentence"),
    [
        ("linear", {}, "devices and num_nodes share out the batches of one network, and linear is not trained so"),
        ("htrans", {}, "htrans is not trained so; leave them out; its fits are shared out by executor='ray'"),
        (None, {}, "a system that is chosen for the data is not trained so"),
        ("bert", {"encoder": {"trainable": False}}, "encoder.trainable=false: one process computes the states"),
    ],
)
def test_what_cannot_be_shared_out_is_refused_before_anything_is_read(
    model: str | None, settings: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    values = {"data": {"train": "missing.jsonl"}, **settings} | ({} if model is None else {"model": model})
    with pytest.raises(ConfigError, match=sentence):
        train_run(values, tmp_path / "model", parallel=Parallel(devices=2), reporter=Silent())


def test_batches_of_one_network_are_not_sent_to_a_cluster(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="bert is trained as one piece; leave it out; devices shares out its batches"):
        train_run({"model": "bert"}, tmp_path / "model", workers=Workers("ray"), reporter=Silent())


@pytest.mark.integration  # five programs, one after the other
def test_two_processes_end_where_one_does_and_go_on_after_kill_9(tmp_path: Path) -> None:
    encoder = make_encoder(
        tmp_path / "encoder", tiny_words(), hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    corpus = tiny_corpus()
    write_jsonl(corpus, tmp_path / "train.jsonl")
    write_jsonl(corpus.subset(range(0, len(corpus), 3)), tmp_path / "validation.jsonl")
    write_taxonomy(corpus.taxonomy, tmp_path / "taxonomy.tsv")
    words = ["train", "--model=bert", f"encoder.source={encoder}", "seed=3", "--no-tune", "--device=cpu", "--threads=1"]
    words += [f"--{name}={tmp_path / name}.jsonl" for name in ("train", "validation")]
    words += [f"--taxonomy={tmp_path / 'taxonomy.tsv'}", "training.epochs=8", "training.patience=8"]
    words += ["training.batch_size=14", "training.learning_rate=1e-3", "training.head_learning_rate=1e-2"]
    words += ["training.checkpoint_minutes=0", "--precision=float32", "head.dropout=0", "text.max_tokens=32"]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}

    def started(output: str, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "taxotext", *words, "--output", str(tmp_path / output), *more],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )

    with pytest.raises(SystemExit) as end:
        main([*words, "--output", str(tmp_path / "one")])
    assert not end.value.code
    last = tmp_path / "two.run/checkpoints/last.ckpt"
    with started("two", "--devices=2") as process:
        assert wait_for(lambda: last.exists() or process.poll() is not None, 900)
        process.send_signal(signal.SIGKILL)
        process.communicate()  # the other process has ended too, else its end of the pipe stays open
    assert last.exists()
    with started("two", "--devices=2", "--resume") as process:
        _, told = process.communicate()
    assert process.returncode == 0, told
    assert told.count("Continuing the training in") == 1  # one of the two speaks
    assert told.count("Trained bert") <= 1
    one, two = (load(tmp_path / name) for name in ("one", "two"))
    assert len(two.manifest.metrics["history"]) == 8
    assert [epoch["micro_f1"] for epoch in two.manifest.metrics["history"]] == pytest.approx(
        [epoch["micro_f1"] for epoch in one.manifest.metrics["history"]], abs=0.02
    )
    assert one.manifest.metrics["history"][-1]["micro_f1"] > 0.5  # it learns something
    ours, theirs = (load_file(tmp_path / name / "weights.safetensors") for name in ("two", "one"))
    assert all(torch.allclose(ours[name], theirs[name], atol=2e-3) for name in theirs)
    left = sorted(path.name for path in tmp_path.glob("two.run/logs/csv/*"))
    assert left == ["version_0", "version_1"]  # of the killed one and the resumed one, each of process 0 alone
