"""Model folders that somebody else made: what they say about sizes, tokens and weights is checked before it is used."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

import taxotext
from sealing import Change, change_json
from taxotext import Classifier
from taxotext.errors import ModelFolderError
from taxotext.nn.sizes import limited
from tiny import make_encoder, tiny_corpus, tiny_fit, tiny_settings, tiny_words


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders ``kim_cnn`` and ``bert`` of tiny models; only to be read."""
    place = tmp_path_factory.mktemp("saved")
    tiny_fit("kim_cnn").save(place / "kim_cnn")
    encoder = make_encoder(place / "encoder", tiny_words())
    settings = tiny_settings("bert", encoder, training={"epochs": 1})
    corpus = tiny_corpus()
    Classifier("bert", **settings).fit(corpus, validation=corpus).save(place / "bert")
    return place


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Callable[[str], Path]:
    """``folder(name)``: a copy to be damaged."""
    return lambda name: Path(shutil.copytree(saved / name, tmp_path / name))


# -- sizes -----------------------------------------------------------------------------------------------------------


def test_a_module_is_stopped_before_its_weights_are_filled() -> None:
    error = ModelFolderError("too large")
    with pytest.raises(ModelFolderError, match="too large"), limited(10**6, 100, lambda: error):
        nn.Linear(200_000, 200_000)  # 160 GB
    with pytest.raises(ModelFolderError, match="too large"), limited(10**6, 100, lambda: error):
        nn.ModuleList(nn.Linear(2, 2) for _ in range(51))
    with limited(6, 2, lambda: error):
        nn.Linear(2, 2)
    nn.Linear(200, 200)  # nothing is counted behind the block


def test_modules_of_other_threads_are_not_counted() -> None:
    with limited(1, 1, lambda: ModelFolderError("too large")):
        thread = threading.Thread(target=lambda: made.append(nn.Linear(30, 30)))
        made: list[Any] = []
        thread.start()
        thread.join()
    assert made


SIZES: dict[str, tuple[str, str, Change]] = {
    "filters": ("kim_cnn", "config.json", lambda c: c["settings"]["encoder"].update(filters=16_000)),
    "kernels": ("kim_cnn", "config.json", lambda c: c["settings"]["encoder"].update(kernels=[1000] * 32)),
    "vectors": ("kim_cnn", "encoder.json", lambda c: c.update(embedding_width=10_000)),
    "layers": ("bert", "encoder.json", lambda c: c["config"].update(num_hidden_layers=10_000)),
    "width": ("bert", "encoder.json", lambda c: c["config"].update(hidden_size=2**20)),
    "positions": ("bert", "encoder.json", lambda c: c["config"].update(max_position_embeddings=2**31)),
    "words": ("bert", "encoder.json", lambda c: c["config"].update(vocab_size=2**33)),
    "inner": ("bert", "encoder.json", lambda c: c["config"].update(intermediate_size=2**30)),
}


@pytest.mark.parametrize("what", SIZES)
def test_made_up_sizes_are_refused_without_their_memory(what: str, folder: Callable[[str], Path]) -> None:
    system, name, how = SIZES[what]
    place = folder(system)
    change_json(place / name, how)
    sentence = "the weights do not fit the configuration" if what != "words" else "do not fit|does not describe"
    with pytest.raises(ModelFolderError, match=sentence):
        taxotext.load(place)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"num_attention_heads": 0}, "a division by zero"),
        ({"hidden_act": "nothing"}, "an unknown function"),
        ({"layer_norm_eps": "a"}, "text for a number"),
        ({"num_hidden_layers": -1}, "no layer"),
        ({"hidden_dropout_prob": 7}, "an impossible share"),
    ],
)
def test_what_the_library_raises_over_a_configuration_is_a_sentence(
    values: dict[str, Any], kind: str, folder: Callable[[str], Path]
) -> None:
    place = folder("bert")
    change_json(place / "encoder.json", lambda content: content["config"].update(values))
    with pytest.raises(ModelFolderError, match=str(place)):
        taxotext.load(place)


def test_the_form_in_which_the_library_returns_its_states_is_not_that_of_a_folder(
    folder: Callable[[str], Path],
) -> None:
    place = folder("bert")
    texts = ["a cat purrs", "the dog barks today"]
    expected = taxotext.load(place).predict_proba(texts)
    values = {"return_dict": False, "torchscript": True, "output_attentions": True, "output_hidden_states": True}
    change_json(place / "encoder.json", lambda content: content["config"].update(values, chunk_size_feed_forward=7))
    assert np.array_equal(taxotext.load(place).predict_proba(texts), expected)


# -- tokenizers ------------------------------------------------------------------------------------------------------

TOKENS: dict[str, tuple[Change, str]] = {
    "an id of 2^31": (lambda c: c["model"]["vocab"].update(cat=2**31), "the token id 2147483648 is beyond 20,000,000"),
    "an added id": (
        lambda c: c["added_tokens"].append({**c["added_tokens"][0], "id": 10**9}),
        "the token id 1000000000 is beyond",
    ),
    "an id without a vector": (lambda c: c["model"]["vocab"].update(purrs=9999), "gives the token id 9999"),
    "padding without a vector": (lambda c: c["padding"].update(pad_id=9999), "cannot be loaded .*Padding_idx"),
    "a chain": (
        lambda c: c.update(normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}] * 1000}),
        "more than 64",
    ),
    "a growing chain": (
        lambda c: c.update(
            normalizer={
                "type": "Sequence",
                "normalizers": [{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}] * 30,
            }
        ),
        "make a text 1,073,741,824 times as long",
    ),
    "a slow pattern": (
        lambda c: c.update(normalizer={"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": ""}),
        "repeats a group that repeats something",
    ),
    "an unknown step": (lambda c: c.update(normalizer={"type": "Nothing"}), "is not a sound tokenizer"),
    "no padding": (lambda c: c.update(padding=None), "names no padding token"),
    "no model": (lambda c: c.update(model=None), "is not a sound tokenizer"),
}


@pytest.mark.parametrize("what", TOKENS)
def test_tokenizers_that_nobody_can_use_are_refused(what: str, folder: Callable[[str], Path]) -> None:
    place = folder("kim_cnn")
    how, sentence = TOKENS[what]
    change_json(place / "tokenizer.json", how)
    with pytest.raises(ModelFolderError, match=sentence):
        taxotext.load(place).predict(["a cat purrs"])


def test_a_panic_of_the_library_of_tokenizers_is_a_sentence(
    folder: Callable[[str], Path],
) -> None:
    class PanicException(BaseException):  # as the library calls it
        pass

    def panic(*_: Any, **__: Any) -> None:
        raise PanicException("index out of bounds")

    model = taxotext.load(folder("kim_cnn"))

    class Panicking:
        encode_batch_fast = panic

    model.system.tokenizer._tokenizer = Panicking()
    with pytest.raises(ModelFolderError, match=r"is not a sound tokenizer \(index out of bounds\)"):
        model.predict(["a"])


# -- checksums -------------------------------------------------------------------------------------------------------


def test_a_flipped_bit_of_the_weights_is_noticed(folder: Callable[[str], Path]) -> None:
    place = folder("kim_cnn")
    path = place / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFolderError, match=r"weights.safetensors: is damaged \(its SHA-256"):
        taxotext.load(place)


@pytest.mark.parametrize("recorded", [3, {"weights.safetensors": 3}, ["x"]])
def test_damaged_checksums_are_named(recorded: Any, folder: Callable[[str], Path]) -> None:
    place = folder("kim_cnn")
    change_json(place / "config.json", lambda content: content.update(weights_sha256=recorded))
    with pytest.raises(ModelFolderError, match="weights_sha256 must name files"):
        taxotext.load(place)


def test_a_folder_without_checksums_is_read(folder: Callable[[str], Path]) -> None:
    place = folder("kim_cnn")
    change_json(place / "config.json", lambda content: content.pop("weights_sha256"))
    assert taxotext.load(place).predict(["a cat purrs"])


def test_an_error_of_ours_keeps_its_cause(folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("division by zero")

    place = folder("kim_cnn")
    monkeypatch.setattr("taxotext.composition.neural.load_weights", wrong)
    with pytest.raises(ModelFolderError, match=r"cannot be loaded \(ZeroDivisionError: .*--debug") as caught:
        taxotext.load(place)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


# -- privacy ---------------------------------------------------------------------------------------------------------


def test_no_path_of_this_machine_is_in_a_model_folder(saved: Path) -> None:
    for path in (saved / "bert").rglob("*"):
        assert str(saved).encode() not in path.read_bytes(), path
    config = json.loads((saved / "bert" / "config.json").read_text(encoding="utf-8"))
    assert config["settings"]["encoder"]["source"] == config["facts"]["encoder_source"] == "encoder"
    assert len(config["facts"]["encoder_sha256"]) == 64


def test_rights_survive_rewriting(folder: Callable[[str], Path], tmp_path: Path) -> None:
    place = folder("kim_cnn")
    for path in place.iterdir():
        path.chmod(0o600)
    place.chmod(0o700)
    model = taxotext.load(place)
    model.tune()
    model.update(place)
    assert {stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()} == {0o600}
    model.save(place, overwrite=True)
    assert {stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()} == {0o600}
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


# -- the network -----------------------------------------------------------------------------------------------------


def test_loading_never_asks_a_hub_whatever_a_folder_says(folder: Callable[[str], Path]) -> None:
    asked: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # named by the library
            asked.append(f"{self.command} {self.path} {self.headers.get('authorization')}")
            self.send_error(404)

        do_HEAD = do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    names = {"kernels": "kernels-community/flash-attn", "code": "someone/code--model.Model", "flex": "flex_attention"}
    place = folder("bert")
    record = json.loads((place / "encoder.json").read_text(encoding="utf-8"))
    wrong: list[dict[str, Any]] = [
        {"config": {**record["config"], "_attn_implementation": names["kernels"], "_name_or_path": "someone/model"}},
        {"config": {**record["config"], "attn_implementation": names["kernels"]}},
        {"config": {**record["config"], "_attn_implementation": names["flex"]}},
        {"config": {**record["config"], "auto_map": {"AutoModel": names["code"]}}},
        {"config": {**record["config"], "backbone": "someone/model", "use_pretrained_backbone": True}},
        {"config": {**record["config"], "quantization_config": {"quant_method": "gptq"}}},
        {"model_type": "dpt", "config": {"backbone": "someone/model", "use_pretrained_backbone": True}},
        {"model_type": "someone/model"},
        {"model_type": "timm_wrapper", "config": {"architecture": "hf-hub:someone/model"}},
        {"source": "someone/model"},
    ]
    server = HTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        script = (
            "import json, sys, taxotext\n"
            "from taxotext import TaxotextError\n"
            "record, loaded = json.load(open(sys.argv[1] + '/encoder.json')), 0\n"
            "for wrong in json.load(sys.stdin):\n"
            "    json.dump({**record, **wrong}, open(sys.argv[1] + '/encoder.json', 'w'))\n"
            "    try:\n"
            "        taxotext.load(sys.argv[1]).predict(['a cat'])\n"
            "        loaded += 1\n"
            "    except TaxotextError as error:\n"
            "        print(error, file=sys.stderr)\n"
            "print(loaded)\n"
        )
        environment = {
            **{
                "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
                "HF_TOKEN": "hf_secret",
                "OMP_NUM_THREADS": "1",
            },
            **{"HF_HUB_DISABLE_TELEMETRY": "0", "HF_HUB_OFFLINE": "0", "HOME": str(place.parent)},
            "PYTHONPATH": str(Path(taxotext.__file__).parents[1]),
        }
        done = subprocess.run(
            [sys.executable, "-c", script, str(place)],
            input=json.dumps(wrong),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        # Of what is said about code nothing is believed; other kinds of models are refused.
        assert done.stdout.strip() == "7", done.stderr
        assert done.stderr.count("does not describe a known encoder") == 3
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert asked == []
