"""IWSLT's and WMT's archives: small ones of their layout."""

import hashlib

import pytest

from lskd.errors import UserError
from lskd.translation import iwslt, wmt14
from lskd.translation.segments import read_segments

WORDS = {"en": "sentence", "de": "Satz", "ru": "фраза"}
IWSLT_TESTS = ("TED.dev2010", "TEDX.dev2012", "TED.tst2010", "TED.tst2011", "TED.tst2012")


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def write_iwslt(root, sides, tests=IWSLT_TESTS, talks=3, length=20):
    """An unpacked archive; returns the plain sentences of train by language."""
    plain = {}
    for language in sides.split("-"):
        lines, plain[language] = [], []
        for talk in range(talks):
            texts = [f"{WORDS[language]} {talk} {n}" for n in range(length)]
            about = [f"title {talk}", f"about {talk}"]
            lines += [f"<url>http://talk/{talk}</url>", "<keywords>a, b</keywords>", f"<talkid>{talk}</talkid>"]
            lines += [f"<title>{about[0]}</title>", f"<description>{about[1]}</description>"]
            lines += [f" {text} " for text in texts]
            plain[language] += about + texts
        write(root / sides / f"train.tags.{sides}.{language}", lines)
        for name in tests:
            segments = [f'<seg id="{n}"> {WORDS[language]} &amp; {name} {n} </seg>' for n in (1, 2)]
            text = ["<mteval>", f'<srcset setid="x" srclang="{language}">', '<doc docid="535" genre="lectures">']
            write(root / sides / f"IWSLT14.{name}.{sides}.{language}.xml", [*text, *segments, "</doc>", "</srcset>"])
    return plain


@pytest.mark.parametrize(("source", "target"), [("de", "en"), ("en", "de")])
def test_iwslt_is_split_as_fairseqs_script_does(tmp_path, source, target):
    plain = write_iwslt(tmp_path, "de-en")
    for language in ("de", "en"):  # one whose sides differ too much in length: it is neither val nor counted for it
        path = tmp_path / f"de-en/train.tags.de-en.{language}"
        odd = "one two three four five six seven" if language == "de" else "one"
        path.write_text(path.read_text().replace(f"{WORDS[language]} 0 3", odd))
        plain[language] = [text for text in plain[language] if text != f"{WORDS[language]} 0 3"] + [odd]
    pairs = list(iwslt.load(tmp_path, source, target))
    expected = list(zip(plain[source], plain[target], strict=True))
    val = [pair for number, pair in enumerate(expected, 1) if number % 23 == 0]
    parts = {name: [(p.source, p.target) for p in pairs if p.split == name] for name in ("train", "val", "test")}
    assert parts["val"] == val and sorted(parts["train"]) == sorted(pair for pair in expected if pair not in val)
    first = (f"{WORDS[source]} & TED.dev2010 1", f"{WORDS[target]} & TED.dev2010 1")
    assert len(parts["test"]) == 10 and parts["test"][0] == first
    assert {pair.document for pair in pairs if pair.split != "test"} == {"train/00001", "train/00002", "train/00003"}
    assert pairs[-1].document == "TED.tst2012/535"
    assert len(iwslt.files(tmp_path, source, target)) == 12


def test_iwslt_english_russian_goes_without_tedx(tmp_path):
    write_iwslt(tmp_path, "ru-en", [name for name in IWSLT_TESTS if "TEDX" not in name])
    assert sum(pair.split == "test" for pair in iwslt.load(tmp_path, "en", "ru")) == 8
    assert len(iwslt.files(tmp_path, "en", "ru")) == 10


def test_what_iwslt_lacks_is_one_line(tmp_path):
    write_iwslt(tmp_path, "de-en")
    with pytest.raises(UserError, match=r"no folder en-ru or ru-en; there are de-en: unpack ru-en\.tgz"):
        iwslt.files(tmp_path, "en", "ru")
    path = tmp_path / "de-en/IWSLT14.TEDX.dev2012.de-en.de.xml"
    path.write_text(path.read_text().replace('id="2"', 'id="3"'))
    with pytest.raises(UserError, match=r"TEDX\.dev2012.*: 2 segments, and 2 in .*such as 2 of document 535"):
        list(iwslt.load(tmp_path, "en", "de"))
    path.unlink()
    with pytest.raises(UserError, match=r"TEDX\.dev2012\.de-en\.de\.xml: no such file; unpack de-en\.tgz"):
        iwslt.files(tmp_path, "de", "en")
    (tmp_path / "de-en/train.tags.de-en.en").write_text("one line\n")
    with pytest.raises(UserError, match=r"train\.tags\.de-en\.en: 1 lines, but train\.tags\.de-en\.de has"):
        list(iwslt.load(tmp_path, "de", "en"))


def write_wmt(root, version="v9", lines=150):
    names = ("training/europarl-v7", "commoncrawl", f"training/news-commentary-{version}")
    for language in ("de", "en"):
        for name in names:
            write(root / f"{name}.de-en.{language}", [f"{WORDS[language]} {name} {n}" for n in range(lines)])
        for side in ("src", "ref"):
            segments = ['<doc sysid="x" docid="abc" genre="news">', f'<seg id="1">{side} {language}</seg>', "</doc>"]
            write(root / f"test-full/newstest2014-deen-{side}.{language}.sgm", ["<refset>", *segments, "</refset>"])


@pytest.mark.parametrize("version", ["v9", "v12"])
def test_wmt_is_split_as_fairseqs_script_does(tmp_path, version):
    write_wmt(tmp_path, version)
    pairs = list(wmt14.load(tmp_path, "en", "de"))
    assert len(pairs) == 451 and [n for n, pair in enumerate(pairs, 1) if pair.split == "val"] == [100, 200, 300, 400]
    assert (pairs[-1].source, pairs[-1].target, pairs[-1].split) == ("src en", "ref de", "test")
    assert pairs[449].source == f"sentence training/news-commentary-{version} 149"
    assert len({pair.document for pair in pairs}) == 7
    assert next(wmt14.load(tmp_path, "de", "en")).source == "Satz training/europarl-v7 0"


def test_what_wmt_lacks_is_one_line(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="wmt14: found the pair en-fr; two different of de, en are there"):
        wmt14.files(tmp_path, "en", "fr")
    with pytest.raises(
        UserError, match=r"europarl-v7\.de-en\.en: no such file; unpack training-parallel-europarl-v7\.tgz"
    ):
        wmt14.files(tmp_path, "en", "de")
    write_wmt(tmp_path)
    name = "training-parallel-nc-v9.tgz"
    (tmp_path / name).write_bytes(b"another archive")
    with pytest.raises(UserError, match=r"nc-v9\.tgz: not the published archive \(SHA-256 "):
        list(wmt14.load(tmp_path, "en", "de"))
    monkeypatch.setitem(wmt14.ARCHIVES, name, hashlib.sha256(b"another archive").hexdigest())
    assert len(list(wmt14.load(tmp_path, "en", "de"))) == 451


def test_segments_over_several_lines_and_none_at_all(tmp_path):
    write(tmp_path / "a.sgm", ['<DOC docid="a">', '<seg id="1">One', "two</seg>", '<seg id="2">x &lt; y</seg>'])
    assert read_segments(tmp_path / "a.sgm") == {("a", "1"): "One two", ("a", "2"): "x < y"}
    write(tmp_path / "b.sgm", ["nothing"])
    with pytest.raises(UserError, match=r'b\.sgm: no <seg id="\.\.\.">'):
        read_segments(tmp_path / "b.sgm")
