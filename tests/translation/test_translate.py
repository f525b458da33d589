"""The stage that translates, against plain loops: one sentence, one prefix and one temperature at a time."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

pytest.importorskip("fairseq")
pytest.importorskip("sentencepiece")

import torch
from fairseq.sequence_generator import SequenceGenerator

from lskd.errors import UserError
from lskd.jobs import progress
from lskd.metrics import calibration
from lskd.translation import translate
from lskd.translation.model import dictionary, transformer_small
from lskd.translation.tokens import BOS, EOS, PAD, UNK, detokenise, read_tokens, vocabulary
from tests.metrics.made import drawn, quick
from tests.translation import translated


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folders of a corpus, of a training and of its translations."""
    root = tmp_path_factory.mktemp("results")
    data = translated.corpus(root)
    weights = translated.trained(root, data)
    return data, weights, translated.run(translated.work(root, data, weights))


def tables(folder):
    return pd.read_parquet(folder / "translations.parquet"), pd.read_parquet(folder / "tokens.parquet")


def test_no_sentence_is_dropped(folders):
    translations, tokens = tables(folders[2])
    for split in ("val", "test"):
        count = translated.COUNTS[split]
        assert count % 8
        references = [target for _, target in translated.pairs()[split]]
        for temperature in (1.0, 1.5):
            own = translations[(translations["split"] == split) & (translations["temperature"] == temperature)]
            assert own["sentence"].tolist() == list(range(count))
            assert own["reference"].tolist() == references
        target = read_tokens(folders[0] / "tokens.safetensors", split).target
        expected = [[*target[i], EOS] for i in range(count)]
        for _, own in tokens[tokens["split"] == split].groupby(["temperature", "is_fitted"]):
            assert own["token"].tolist() == [token for sentence in expected for token in sentence]
            assert own["position"].tolist() == [i for sentence in expected for i in range(len(sentence))]
            assert own["sentence"].tolist() == [i for i, sentence in enumerate(expected) for _ in sentence]
    assert set(translations["update"]) == set(tokens["update"]) == {-1}


class Softened(torch.nn.Module):
    """A network whose logits are divided by a temperature, whatever the beam search knows of one."""

    def __init__(self, network, temperature):
        super().__init__()
        self.encoder, self.decoder, self.max_decoder_positions = network.encoder, network.decoder, lambda: 99
        self.get_normalized_probs = lambda out, log_probs, sample: (out[0] / temperature).log_softmax(-1)


@pytest.mark.parametrize("temperature", [1.0, 1.5])
def test_each_translation_is_that_of_the_sentence_alone(folders, temperature):
    data, _, folder = folders
    network = translated.network(data)
    search = SequenceGenerator(
        [Softened(network, temperature)], dictionary(vocabulary(data / "pieces.txt")), beam_size=2, max_len_b=40
    )
    source = read_tokens(data / "tokens.safetensors", "test").source
    translations, _ = tables(folder)
    own = translations[(translations["split"] == "test") & (translations["temperature"] == temperature)]
    ended = 0
    for i, hypothesis in enumerate(own["hypothesis"]):
        inputs = {"src_tokens": torch.tensor([[*source[i], EOS]]), "src_lengths": torch.tensor([len(source[i]) + 1])}
        ids = search.generate([], {"net_input": inputs})[0][0]["tokens"].tolist()
        if len(ids) <= 25:  # no limit of length was near
            assert hypothesis == detokenise(ids, data / "pieces.model")
            ended += 1
    assert ended > 10
    assert own["hypothesis"].nunique() > 10


def test_a_temperature_changes_some_translation(folders):
    translations, _ = tables(folders[2])
    one, other = (part["hypothesis"].tolist() for _, part in translations.groupby("temperature"))
    assert len(one) == len(other)
    assert one != other


def test_next_tokens_are_those_of_each_prefix_alone(folders):
    data, _, folder = folders
    network = translated.network(data)
    sentences = read_tokens(data / "tokens.safetensors", "val")
    _, tokens = tables(folder)
    tokens = tokens[tokens["split"] == "val"].set_index(["temperature", "sentence", "position"])
    temperatures = tokens.index.get_level_values("temperature").unique()
    assert len(temperatures) == 3
    for i in range(len(sentences)):
        source, target = sentences.source[i].tolist(), [*sentences.target[i].tolist(), EOS]
        for position, token in enumerate(target):
            inputs = {"src_tokens": torch.tensor([[*source, EOS]]), "src_lengths": torch.tensor([len(source) + 1])}
            logits_v = network(**inputs, prev_output_tokens=torch.tensor([[EOS, *target[:position]]]))[0][0, -1].numpy()
            for temperature in temperatures:
                row = tokens.loc[(temperature, i, position)]
                log_p_v = log_softmax(logits_v.astype(np.float64) / temperature)
                assert row["nll"] == pytest.approx(-log_p_v[token], rel=1e-4, abs=1e-5)
                assert row["confidence"] == pytest.approx(math.exp(log_p_v.max()), abs=1e-5)
                assert row["is_correct"] == (log_p_v.argmax() == token)


def test_batches_hold_no_more_than_they_may_and_change_nothing(folders, tmp_path, monkeypatch):
    data, weights, folder = folders
    size = vocabulary(data / "pieces.txt")
    seen = []
    original = translate.next_tokens

    def watched(*arguments):
        for batch in original(*arguments):
            seen.append(batch[-1].numel())
            yield batch

    monkeypatch.setattr(translate, "next_tokens", watched)
    monkeypatch.setattr(translate, "LOGITS", 40 * size)
    small = translated.run(translated.work(tmp_path, data, weights))
    assert max(seen) <= 40 * size
    for one, other in zip(tables(small), tables(folder), strict=True):
        exact = [name for name in one if one[name].dtype.kind != "f"]
        pd.testing.assert_frame_equal(one[exact], other[exact])
        pd.testing.assert_frame_equal(one.drop(columns=exact), other.drop(columns=exact), rtol=1e-4, atol=1e-5)


@quick
@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 9), st.integers(1, 90))
def test_batches_are_a_partition_within_their_limits(lengths, most, tokens):
    lengths_n = np.array(lengths)
    batches = list(translate.by_length(lengths_n, most, tokens))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) <= most
        assert len(batch) == 1 or len(batch) * lengths_n[batch].max() <= tokens
    ordered = lengths_n[np.concatenate(batches)]
    assert (np.diff(ordered) <= 0).all()


def as_batches(labels_n, logits_nv, parts=3):
    """Logits as the stage's batches."""
    pairs = zip(np.array_split(labels_n, parts), np.array_split(logits_nv, parts), strict=True)
    return [(None, None, None, torch.from_numpy(one), torch.from_numpy(two)) for one, two in pairs]


@quick
@given(st.integers(0, 2**32 - 1), st.floats(0.2, 20))
def test_the_fitted_temperature_is_scipys(seed, scale):
    labels_n, logits_nv = drawn(seed, 60, 6)
    expected = calibration.fit_temperature(labels_n, scale * logits_nv)  # by scipy.optimize.minimize_scalar
    assert translate.fit_temperature(lambda: as_batches(labels_n, scale * logits_nv)) == pytest.approx(
        expected, rel=1e-4
    )


def test_the_temperature_has_bounds_and_none_is_fitted_without_an_error():
    labels_n, logits_nv = drawn(1, 40, 5)
    opposite_nv = -10 * np.eye(5)[labels_n]  # the likelier, the less right
    assert translate.fit_temperature(lambda: as_batches(labels_n, opposite_nv)) == pytest.approx(100, rel=1e-2)
    right_nv = logits_nv + 20 * np.eye(5)[labels_n]
    assert math.isnan(translate.fit_temperature(lambda: as_batches(labels_n, right_nv)))


def test_the_stage_fits_on_val(folders):
    _, tokens = tables(folders[2])
    of_val = tokens[tokens["split"] == "val"]
    (fitted,) = tokens.loc[tokens["is_fitted"], "temperature"].unique()
    by_temperature = of_val.groupby("temperature")["nll"].mean()
    assert by_temperature.idxmin() == fitted
    data = folders[0]
    words = dictionary(vocabulary(data / "pieces.txt"))
    network = translate.Network(translated.network(data), words, torch.device("cpu"))
    batches = list(translate.next_tokens(network, read_tokens(data / "tokens.safetensors", "val")))
    labels_n, logits_nv = (torch.cat([batch[i] for batch in batches]).numpy() for i in (3, 4))
    assert fitted == pytest.approx(calibration.fit_temperature(labels_n, logits_nv.astype(np.float64)), rel=1e-4)


def test_snapshots_are_translated_each(folders, tmp_path):
    data, weights, _ = folders
    spec = {"splits": ["val"], "temperatures": [1.0], "fit": False, "weights": "snapshots.safetensors"}
    translations, tokens = tables(translated.run(translated.work(tmp_path, data, weights, **spec)))
    assert translations["update"].unique().tolist() == list(translated.SNAPSHOTS)
    assert not tokens["is_fitted"].any()
    sentences = read_tokens(data / "tokens.safetensors", "val")
    for update in translated.SNAPSHOTS:
        net_input, target_bt = translated.plain_batch(sentences, range(len(sentences)))
        logits_btv = translated.network(data, update)(**net_input)[0]
        expected = torch.nn.functional.cross_entropy(logits_btv.transpose(1, 2), target_bt, ignore_index=PAD)
        assert tokens.loc[tokens["update"] == update, "nll"].mean() == pytest.approx(expected.item(), rel=1e-4)


def test_another_vocabulary_and_a_sentence_too_long_are_one_line(folders, tmp_path):
    data, weights, _ = folders
    other = translated.corpus(tmp_path, pieces=35)
    with pytest.raises(UserError, match=r"model\.safetensors: of a vocabulary of 44, .*39"):
        translated.run(translated.work(tmp_path / "a", other, weights))

    def short(*arguments, **options):
        network = transformer_small(*arguments, **options)
        network.decoder.max_target_positions = 5
        return network

    work = translated.work(tmp_path / "b", data, weights)
    work.functions["model"] = short
    with pytest.raises(UserError, match=r"a target sentence of \w+ has \d+ tokens, the network takes 5; shorten it"):
        work.functions["run"](work)
    assert not list(work.folder.iterdir())


def test_the_numbers_of_symbols_are_fairseqs():
    words = dictionary(9)
    assert (words.bos(), words.pad(), words.eos(), words.unk()) == (BOS, PAD, EOS, UNK)


def test_progress_is_told(folders, tmp_path, monkeypatch, capsys):
    data, weights, _ = folders
    monkeypatch.setattr(progress, "TICK_SECONDS", 0.0)
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    monkeypatch.setattr(translate, "SENTENCES", 8)
    translated.run(translated.work(tmp_path, data, weights, splits=["val"], temperatures=[1.0, 2.0], fit=False))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("made/run: sentence ")]
    assert [line.split()[2] for line in lines] == ["9/22", "12/22", "20/22", "22/22"]
    assert "sentences/s ETA 0:" in lines[-1]
