"""How far each stored form of a translator's predictions is from the whole: of a trained teacher and a trained student.

    python workflow/bench/translation_stores.py CORPUS TEACHER STUDENT --model transformer_small

CORPUS, TEACHER and STUDENT are folders of finished jobs under results/. For target tokens of val and each T: half the
absolute difference of the teacher's softmax(z/T) and what a form keeps of it (total variation, mean over tokens), and
the error of the loss that the student would have: KL of the form less KL of the whole, in nats, with the bound that the
store knows (`lskd.supervision.kd_top_k:most_error`).
"""

import argparse
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lskd.supervision.kd_sample import sample_weights
from lskd.supervision.kd_top_k import loss as top_k_loss
from lskd.supervision.kd_top_k import most_error
from lskd.training.schedules import generator
from lskd.translation import model
from lskd.translation.batches import composed, next_token_logits, samples
from lskd.translation.teacher_logits import drawn
from lskd.translation.user_dir.task import PairsTask, PairsTaskConfig

TEMPERATURES = (1.0, 2.0, 3.0, 64.0)
KEPT = (4, 8, 32)
DRAWS = 64


@torch.no_grad()
def logits_of(arguments: argparse.Namespace) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [N, V] of teacher and student on target tokens of val, spread over sentences of all lengths."""
    task = PairsTask.setup_task(PairsTaskConfig(data=str(arguments.corpus)))
    pairs, vocabulary = task.pairs("val"), len(task.target_dictionary)
    build = getattr(model, arguments.model)
    networks = [
        model.load_model(build, {"dropout": 0.0}, folder / "model.safetensors", vocabulary)
        for folder in (arguments.teacher, arguments.student)
    ]
    batches = composed(pairs.sentences, 1024, "val")
    chosen = batches[:: max(1, len(batches) * 700 // arguments.tokens)]
    said = [
        [next_token_logits(network, sample)[0] for network in networks]
        for sample in samples(pairs, chosen, torch.device("cpu"))
    ]
    teacher_nv, student_nv = (torch.cat(each) for each in zip(*said, strict=True))
    return teacher_nv, student_nv


def main() -> None:
    """Print a row for each form and T."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("student", type=Path)
    parser.add_argument("--model", default="transformer_small")
    parser.add_argument("--tokens", type=int, default=7000, help="of val, about")
    teacher_nv, student_nv = logits_of(parser.parse_args())
    print(f"# {len(teacher_nv):,} tokens of val, V {teacher_nv.shape[1]}")
    print("| form | T | total variation | error of KL, nats | its bound | KL of the whole |")
    print("|---|---|---|---|---|---|")
    for temperature in TEMPERATURES:
        p_nv = torch.softmax(teacher_nv.double() / temperature, 1)
        log_q_nv = torch.log_softmax(student_nv.double() / temperature, 1)
        whole = _kl(p_nv, log_q_nv)
        half_nv = torch.softmax(teacher_nv.half().double() / temperature, 1)
        _row("full, float16", temperature, _apart(half_nv, p_nv), _kl(half_nv, log_q_nv) - whole, None, whole)
        for k in KEPT:
            _rows_of_top_k(k, temperature, teacher_nv, student_nv, p_nv, whole)
        counts_nv = drawn(teacher_nv, DRAWS, generator("bench", 0))
        counts_nm, listed_nm = counts_nv.topk(DRAWS, 1)
        weights_nm = sample_weights(counts_nm, teacher_nv.gather(1, listed_nm), temperature).double()
        sampled_nv = torch.zeros_like(p_nv).scatter(1, listed_nm, weights_nm)
        _row(f"{DRAWS} draws", temperature, _apart(sampled_nv, p_nv), _kl(sampled_nv, log_q_nv) - whole, None, whole)


def _rows_of_top_k(
    k: int, temperature: float, teacher_nv: torch.Tensor, student_nv: torch.Tensor, p_nv: torch.Tensor, whole: float
) -> None:
    """With the rest's mass, and without."""
    p_nk, listed_nk = p_nv.topk(k, 1)
    rest_n = (1 - p_nk.sum(1)).clamp(min=0)
    labels_n = listed_nk[:, 0]
    kept = top_k_loss(
        student_nv, labels_n, listed_nk, p_nk.float(), rest_n.float(), temperature=temperature, t_squared=False
    )
    bound = most_error(student_nv, listed_nk, p_nk, rest_n, temperature).mean().item()
    # of the rest no order is known: spread evenly for the total variation
    spread_nv = (rest_n / (p_nv.shape[1] - k))[:, None].expand_as(p_nv).scatter(1, listed_nk, p_nk)
    _row(f"top {k} and the rest", temperature, _apart(spread_nv, p_nv), kept.item() - whole, bound, whole)
    cut_nv = torch.zeros_like(p_nv).scatter(1, listed_nk, p_nk / p_nk.sum(1, keepdim=True))
    log_q_nv = torch.log_softmax(student_nv.double() / temperature, 1)
    _row(f"top {k} alone", temperature, _apart(cut_nv, p_nv), _kl(cut_nv, log_q_nv) - whole, None, whole)


def _kl(p_nv: torch.Tensor, log_q_nv: torch.Tensor) -> float:
    return (torch.xlogy(p_nv, p_nv) - p_nv * log_q_nv).sum(1).mean().item()


def _apart(form_nv: torch.Tensor, p_nv: torch.Tensor) -> float:
    return ((form_nv - p_nv).abs().sum(1) / 2).mean().item()


def _row(form: str, temperature: float, apart: float, error: float, bound: float | None, whole: float) -> None:
    most = "" if bound is None else f"{bound:.3g}"
    print(f"| {form} | {temperature:g} | {apart:.3g} | {error:+.3g} | {most} | {whole:.3g} |")


if __name__ == "__main__":
    main()
