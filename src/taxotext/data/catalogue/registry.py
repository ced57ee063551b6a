"""The corpora of the catalogue: what they are, their terms, what RAW must hold, and what was published of them."""

from __future__ import annotations

from taxotext.data.catalogue.entries import Count, Dataset, Option
from taxotext.data.catalogue.eurlex import LANGUAGES
from taxotext.errors import ConfigError, nearest

_APTEMOD = "README of the ApteMod version"
_REUTERS = "README 1.2 of Reuters-21578, VIII.B"
_LYRL = "Lewis et al. 2004 (LYRL2004)"
_HIAGM = "Zhou et al. 2020 (HiAGM)"
_HDLTEX = "README of HDLTex"
_SGM = "Yang et al. 2018 (SGM)"
_EURLEX = "Chalkidis et al. 2019"
_MULTI = "data card of MultiEURLEX"
_ATTENTION = "You et al. 2019 (AttentionXML)"
_BLURB = "README of the release"
_ALY = "Aly et al. 2019"

_TRAINING_LAWS = {
    **dict.fromkeys(("en", "de", "fr", "it", "nl", "el", "da"), 55_000),
    **{"es": 52_785, "pl": 23_197, "ro": 15_921, "hu": 22_664, "pt": 52_370, "cs": 23_187, "sv": 42_490},
    **{"bg": 15_986, "fi": 42_497, "sk": 22_971, "lt": 23_188, "hr": 7_944, "sl": 23_184, "et": 23_126},
    **{"lv": 23_208, "mt": 17_521},
}
"""Training documents of MultiEURLEX by language, from the metadata of its data card."""

_XML_FILES = (
    "train_raw_texts.txt or train_texts.txt, train_labels.txt and the same of test (AttentionXML)",
    "or X.trn.txt, Y.trn.npz, X.tst.txt, Y.tst.npz and output-items.txt (PECOS)",
)
_XML_REPOSITORY = "or trn.json.gz, tst.json.gz and Yf.txt (Extreme Classification Repository)"


def _documents(source: str, *numbers: int, **when: str) -> tuple[Count, ...]:
    """Published sizes: train and test, or train, validation and test."""
    splits = ("train", "test") if len(numbers) == 2 else ("train", "validation", "test")
    return tuple(
        Count(f"{split} documents", number, source, when) for split, number in zip(splits, numbers, strict=True)
    )


DATASETS: tuple[Dataset, ...] = (
    Dataset(
        name="reuters-21578",
        title="Reuters-21578",
        summary="newswire stories of 1987 with topics, flat; the split ModApte with 90 categories",
        terms="copyright Reuters Ltd. and Carnegie Group; free distribution for research purposes only",
        obtain="reuters21578.tar.gz, Distribution 1.0, from the home page of D. D. Lewis or the archives of UCI KDD",
        files=("reut2-000.sgm to reut2-021.sgm, loose or in reuters21578.tar.gz",),
        reader="reuters",
        counts=(
            *_documents(_APTEMOD, 7_769, 3_019, documents="labelled"),
            *_documents(_REUTERS, 9_603, 3_299, documents="all"),
            Count("labels", 90, _APTEMOD),
        ),
        options=(
            Option(
                "documents",
                ("labelled", "all"),
                "labelled: only documents with one of the 90 categories (ApteMod); all: those without one, too",
            ),
        ),
        notes=("There is no validation split; training takes a part of the training documents.",),
    ),
    Dataset(
        name="rcv1-v2",
        title="RCV1-v2",
        summary="Reuters news of 1996 and 1997 with a tree of 103 topics; the split LYRL2004",
        terms="texts: research agreement with NIST; appendices of LYRL2004: free for research",
        obtain="rcv1.tar.xz or the two CD-ROMs from NIST after signing; appendices 2, 8 and 12 of LYRL2004 from JMLR",
        files=(
            "rcv1-v2.topics.qrels (appendix 8)",
            "rcv1.topics.hier.orig (appendix 2)",
            "texts: *newsML.xml in folders, the zip files of the days or rcv1.tar.xz, or else "
            "lyrl2004_tokens_train.dat and lyrl2004_tokens_test_pt0.dat to _pt3.dat (appendix 12)",
        ),
        reader="rcv1",
        counts=(
            *_documents(_LYRL, 23_149, 781_265),
            Count("labels of the taxonomy", 103, _LYRL),
            Count("labels in train", 101, _LYRL),
            Count("roots", 4, _LYRL),
            Count("labels of each level", (4, 55, 43, 1), _LYRL),
        ),
        options=(
            Option("text", ("auto", "xml", "tokens"), "newsML.xml, or the token files; auto: XML where there is any"),
        ),
        notes=(
            "Two topics have no training document: macro-F1 over 103 topics counts at least two zeros.",
            "There is no validation split; papers hold out a tenth of the training documents, each its own.",
            "Papers that split the other way around (802,414 training documents) are not comparable.",
        ),
    ),
    Dataset(
        name="wos",
        title="Web of Science",
        summary="abstracts of papers, a domain and an area each; 7 domains, 134 areas",
        terms="CC BY 4.0 (Mendeley Data); the abstracts are those of their publishers",
        obtain="WebOfScience.zip from Mendeley Data, doi 10.17632/9rw3vkcfy4",
        files=(
            "Meta-data/Data.txt (the sheet Data.xls saved as 'Unicode text')",
            "or WOS46985/X.txt, YL1.txt, YL2.txt, or those of WOS11967 or WOS5736",
        ),
        reader="wos",
        counts=(
            Count("documents", 46_985, _HDLTEX, {"part": "46985"}),
            Count("documents", 11_967, _HDLTEX, {"part": "11967"}),
            Count("documents", 5_736, _HDLTEX, {"part": "5736"}),
            *_documents(_HIAGM, 30_070, 7_518, 9_397, part="46985"),
            Count("labels", 141, _HIAGM, {"part": "46985"}),
            Count("labels of each level", (7, 134), _HIAGM, {"part": "46985"}),
            Count("labels of each level", (7, 35), _HDLTEX, {"part": "11967"}),
            Count("labels of each level", (3, 11), _HDLTEX, {"part": "5736"}),
        ),
        options=(Option("part", ("46985", "11967", "5736"), "which of the three parts of the release"),),
        notes=("There are 7 top-level labels; statements that there are 4 are wrong.",),
    ),
    Dataset(
        name="nyt",
        title="New York Times Annotated Corpus",
        summary="36,471 articles of 1987 to 2007 with 166 labels in a tree of 8 levels",
        terms="licence of the Linguistic Data Consortium (LDC2008T19)",
        obtain="nyt_corpus_LDC2008T19.tgz from the LDC; lists and vocabulary from the data folder of HiAGM or HGCLR",
        files=(
            "idnewnyt_train.json, idnewnyt_val.json, idnewnyt_test.json and nyt_label.vocab",
            "the data folder of nyt_corpus_LDC2008T19.tgz, unpacked (its months may stay packed), or the *.xml",
        ),
        reader="nyt",
        counts=(
            *_documents(_HIAGM, 23_345, 5_834, 7_292),
            Count("labels of the taxonomy", 166, _HIAGM),
            Count("roots", 4, _HIAGM),
            Count("labels of each level", (4, 27, 51, 47, 17, 12, 6, 2), _HIAGM),
        ),
        notes=("Paragraphs are joined with spaces; published scripts fuse the words at their ends.",),
    ),
    Dataset(
        name="aapd",
        title="AAPD",
        summary="abstracts of arXiv papers in computer science with 54 subjects, flat",
        terms="none stated; the abstracts are those of their authors",
        obtain="the data archive that the SGM project links to",
        files=("text_train, label_train, text_val, label_val, text_test and label_test",),
        reader="aapd",
        counts=(*_documents(_SGM, 53_840, 1_000, 1_000), Count("documents", 55_840, _SGM), Count("labels", 54, _SGM)),
        notes=("Texts are tokenised and lower-cased in the release.",),
    ),
    Dataset(
        name="eurlex57k",
        title="EURLEX57K",
        summary="English laws of the EU with concepts of EuroVoc, 4,271 of them in use",
        terms="CC BY-SA 4.0 (data card); texts copyright European Union, reuse allowed",
        obtain="datasets.zip and eurovoc_en.json from the AUEB NLP group, or dataset.zip and "
        "eurovoc_concepts.jsonl from archive.org (EURLEX57K)",
        files=(
            "dataset/train/*.json, dev/*.json, test/*.json, or train.jsonl, dev.jsonl, test.jsonl, loose or in the zip",
            "and, for names and hierarchy, eurovoc_en.json or eurovoc_concepts.jsonl",
        ),
        reader="eurlex",
        counts=(*_documents(_EURLEX, 45_000, 6_000, 6_000), Count("labels", 4_271, _EURLEX)),
        options=(Option("attachments", ("yes", "no"), "whether a text ends with the attachments of the law"),),
        notes=(
            "Label sets are as assigned, without ancestors: compare with published results with data.closure=as_given.",
        ),
    ),
    Dataset(
        name="multi-eurlex",
        title="MultiEURLEX",
        summary="laws of the EU in 23 languages with concepts of EuroVoc at four granularities, split by time",
        terms="CC BY-SA 4.0 (data card); texts copyright European Union, reuse allowed",
        obtain="multi_eurlex.tar.gz from Zenodo; eurovoc_descriptors.json from the repository nlpaueb/multi-eurlex",
        files=(
            "train.jsonl, dev.jsonl and test.jsonl, loose or in multi_eurlex.tar.gz",
            "and, for names, eurovoc_descriptors.json",
        ),
        reader="eurlex",
        counts=(
            *(Count("train documents", number, _MULTI, {"language": key}) for key, number in _TRAINING_LAWS.items()),
            *(
                Count("validation documents", 2_500 if key == "hr" else 5_000, _MULTI, {"language": key})
                for key in LANGUAGES
            ),
            Count("test documents", 5_000, _MULTI),
            Count("labels", 21, _MULTI, {"level": "1", "language": "en"}),
            Count("labels", 127, _MULTI, {"level": "2", "language": "en"}),
        ),
        options=(
            Option("language", LANGUAGES, "the translation to take; laws without it are left out"),
            Option("level", ("3", "1", "2", "all"), "labels of one level of EuroVoc, or all: as assigned"),
        ),
        notes=("The release names the labels of each level but not which lies below which: there is no hierarchy.",),
    ),
    Dataset(
        name="eurlex-4k",
        title="EUR-Lex-4K",
        summary="laws of the EU with 3,956 labels, with texts (AttentionXML)",
        terms="none stated by the release; texts copyright European Union, reuse allowed",
        obtain="the archive EUR-Lex that AttentionXML links to, or eurlex-4k.tar.gz of PECOS (xmc-base)",
        files=_XML_FILES,
        reader="extreme",
        counts=(*_documents(_ATTENTION, 15_449, 3_865), Count("labels", 3_956, _ATTENTION)),
        notes=("The bag of words of the same name has another split and 3,993 labels; results do not compare.",),
    ),
    Dataset(
        name="wiki10-31k",
        title="Wiki10-31K",
        summary="Wikipedia articles with 30,938 social tags",
        terms="none stated by the release; articles of Wikipedia under CC BY-SA",
        obtain="the archive Wiki10-31K that AttentionXML links to, or wiki10-31k.tar.gz of PECOS (xmc-base)",
        files=_XML_FILES,
        reader="extreme",
        counts=(*_documents(_ATTENTION, 14_146, 6_616), Count("labels", 30_938, _ATTENTION)),
    ),
    Dataset(
        name="amazoncat-13k",
        title="AmazonCat-13K",
        summary="descriptions of products with 13,330 categories",
        terms="none stated by the release; from the Amazon product data of McAuley, for research",
        obtain="AmazonCat-13K.raw.zip of the Extreme Classification Repository, the archive that AttentionXML links "
        "to, or amazoncat-13k.tar.gz of PECOS (xmc-base)",
        files=(*_XML_FILES, _XML_REPOSITORY),
        reader="extreme",
        counts=(*_documents(_ATTENTION, 1_186_239, 306_782), Count("labels", 13_330, _ATTENTION)),
    ),
    Dataset(
        name="bgc",
        title="Blurb Genre Collection",
        summary="English book blurbs with 146 genres in a hierarchy of 4 levels",
        terms="CC BY-NC 4.0; blurbs copyright Penguin Random House",
        obtain="blurbgenrecollectionen.zip from the Language Technology group of Universität Hamburg",
        files=("BlurbGenreCollection_EN_train.txt, _dev.txt and _test.txt, and hierarchy.txt, loose or in the zip",),
        reader="blurb",
        counts=(
            *_documents(_BLURB, 58_715, 14_785, 18_394),
            Count("labels", 146, _ALY),
            Count("labels of each level", (7, 46, 77, 16), _ALY),
        ),
    ),
)


def find_dataset(name: str) -> Dataset:
    """The entry of this name.

    Raises:
        ConfigError: with the nearest name, and all there are.
    """
    for dataset in DATASETS:
        if dataset.name == name.lower():
            return dataset
    known = [dataset.name for dataset in DATASETS]
    raise ConfigError(f"There is no corpus {name!r} in the catalogue ({', '.join(known)}).{nearest(name, known)}")
