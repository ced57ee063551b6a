"""Systems by name: imported when asked for, third-party ones through the entry-point group ``taxotext.systems``."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from taxotext.errors import ConfigError, nearest

if TYPE_CHECKING:
    from taxotext.composition.base import System

ENTRY_POINTS = "taxotext.systems"


@dataclass(frozen=True)
class Entry:
    """One system of the registry."""

    name: str  # what the user writes
    summary: str  # one line
    target: str  # `module:Class`

    def load(self) -> type[System]:
        """Import the class.

        Raises:
            ConfigError: when the module of a third-party system cannot be imported or is not a system.
        """
        from taxotext.composition.base import System

        module, _, attribute = self.target.partition(":")
        try:
            kind = getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"model {self.name!r}: {self.target} cannot be imported ({error}).") from error
        if not (isinstance(kind, type) and issubclass(kind, System)):
            raise ConfigError(
                f"model {self.name!r}: {self.target} is not a subclass of taxotext.composition.base.System."
            )
        return kind


BUILT_IN = (
    Entry(
        "linear",
        "TF-IDF and one linear classifier per label; cheap, strong, no GPU",
        "taxotext.models.linear:Linear",
    ),
    Entry(
        "label_tree_linear",
        "TF-IDF and trees of linear classifiers (Parabel, Bonsai); for thousands of labels, no GPU",
        "taxotext.models.label_tree_linear:LabelTreeLinear",
    ),
    Entry(
        "lexical",
        "names of labels that occur in the text, ranked; reaches labels without training documents, no GPU",
        "taxotext.models.lexical:Lexical",
    ),
    Entry("bert", "any Hugging Face encoder, fine-tuned with one output per label", "taxotext.models.bert:Bert"),
    Entry(
        "textcnn",
        "word vectors, two convolutions and a feed-forward layer; quick on a CPU",
        "taxotext.models.textcnn:TextCnn",
    ),
    Entry(
        "kim_cnn",
        "word vectors and convolutions of several widths (Kim 2014); quick on a CPU",
        "taxotext.models.kim_cnn:KimCnn",
    ),
    Entry(
        "xml_cnn",
        "word vectors, convolutions with maxima over parts of the text, a narrow layer (XML-CNN); for many labels",
        "taxotext.models.xml_cnn:XmlCnn",
    ),
    Entry(
        "gru_att_multi",
        "word vectors and a bidirectional GRU with attention, maximum and mean",
        "taxotext.models.gru_att_multi:GruAttMulti",
    ),
    Entry(
        "dgcnn",
        "graph of words and convolutions, labels tied to their parents (Peng et al. 2018)",
        "taxotext.models.dgcnn:Dgcnn",
    ),
    Entry(
        "c_hmcnn",
        "any encoder, scores that cannot contradict the taxonomy (C-HMCNN)",
        "taxotext.models.c_hmcnn:CHmcnn",
    ),
    Entry(
        "sgm",
        "word vectors, labels as a sequence from an LSTM with beam search (SGM)",
        "taxotext.models.sgm:Sgm",
    ),
    Entry(
        "encdec",
        "word vectors, labels as a sequence from a GRU with beam search (EncDec)",
        "taxotext.models.encdec:EncDec",
    ),
    Entry(
        "bert_sgm",
        "any Hugging Face encoder, labels as a sequence with beam search (BERT+SGM)",
        "taxotext.models.bert_sgm:BertSgm",
    ),
    Entry(
        "t5",
        "any Hugging Face encoder-decoder, labels as new tokens that its decoder writes (T5, BART)",
        "taxotext.models.t5:T5",
    ),
    Entry(
        "hilap",
        "any encoder, labels from the root of the taxonomy down until a policy stops (HiLAP)",
        "taxotext.models.hilap:HiLap",
    ),
    Entry(
        "conditional_softmax",
        "any encoder, probabilities of labels given their parents (Plaud et al. 2024)",
        "taxotext.models.conditional_softmax:ConditionalSoftmax",
    ),
    Entry(
        "hmcn",
        "any encoder, outputs for each level and for all labels (HMCN-F)",
        "taxotext.models.hmcn:Hmcn",
    ),
    Entry(
        "hiagm",
        "text features along the edges of the taxonomy: gated GCN or TreeLSTM (HiAGM)",
        "taxotext.models.hiagm:Hiagm",
    ),
    Entry(
        "himatch",
        "hiagm, with texts and labels matched in one space (HiMatch)",
        "taxotext.models.himatch:Himatch",
    ),
    Entry(
        "hitin",
        "messages up a coding tree of the taxonomy (HiTIN)",
        "taxotext.models.hitin:Hitin",
    ),
    Entry(
        "himtl",
        "a structure encoder and head for each branch of the taxonomy, trained together (HiMTL)",
        "taxotext.models.himtl:Himtl",
    ),
    Entry(
        "mixed",
        "a weighted mixture of two or more saved models of any kind",
        "taxotext.models.mixed:Mixed",
    ),
    Entry(
        "attention_xml",
        "a bidirectional LSTM over words, attention of each label to them; flat or along a label tree (AttentionXML)",
        "taxotext.models.attention_xml:AttentionXml",
    ),
    Entry(
        "light_attention",
        "label attention over the candidates of a label tree, trained together; for thousands of labels",
        "taxotext.models.light_attention:LightAttention",
    ),
    Entry(
        "gru_att",
        "one recurrent classifier per label, each with the best of some class weights",
        "taxotext.models.gru_att:GruAtt",
    ),
    Entry(
        "htrans",
        "one recurrent classifier per label, inherited along the taxonomy (HTrans)",
        "taxotext.models.htrans:HTrans",
    ),
)

SAVED_ONLY = (Entry("onnx", "the exported network of another system", "taxotext.models.onnx:Onnx"),)
"""Systems of model folders that are not trained but made of a trained model."""


def entries() -> dict[str, Entry]:
    """All systems by name, the built-in ones first."""
    found = {entry.name: entry for entry in BUILT_IN}
    for point in entry_points(group=ENTRY_POINTS):
        found.setdefault(point.name, Entry(point.name, _origin(point), point.value))
    return found


def _origin(point: EntryPoint) -> str:
    return f"from the package {point.dist.name}" if point.dist is not None else "from another package"


def find(name: str, *, saved: bool = False) -> type[System]:
    """Return the class of the system called ``name``.

    Args:
        name: of the system.
        saved: whether it is that of a saved model, and may be one that is never trained.

    Raises:
        ConfigError: when there is none, with the nearest name.
    """
    known, untrained = entries(), {entry.name: entry for entry in SAVED_ONLY}
    if name in untrained and name not in known:
        if saved:
            return untrained[name].load()
        raise ConfigError(
            f"model: {name!r} is {untrained[name].summary}, and cannot be trained; train another system and use "
            "`taxotext export`."
        )
    if name not in known:
        raise ConfigError(
            f"model: there is no system {name!r}.{nearest(name, known)} Known systems: {', '.join(known)}."
        )
    return known[name].load()
