"""How closely a student follows its teacher."""

import numpy as np
from scipy.special import log_softmax

from lskd.errors import UserError
from lskd.metrics.inputs import Array, Row, RunData


def top1_agreement(teacher_nk: Array, student_nk: Array) -> float:
    """The share (0..1) of samples on which both have the same highest logit; logits [N, K] each."""
    return float((teacher_nk.argmax(1) == student_nk.argmax(1)).mean())


def kl_divergence(teacher_nk: Array, student_nk: Array) -> float:
    """Mean over samples of KL(p_teacher || p_student) = sum_k p_t (log p_t - log p_s), in nats, at T = 1.

    Logits [N, K] each. Shen 2021, eq. 3, without dropping the teacher's entropy.
    """
    teacher_log_nk, student_log_nk = log_softmax(teacher_nk, axis=1), log_softmax(student_nk, axis=1)
    return float((np.exp(teacher_log_nk) * (teacher_log_nk - student_log_nk)).sum(1).mean())


def measure(runs: list[RunData], options: Row) -> list[Row]:
    """Rows (split, metric, value): agreement_top1 and kl_teacher_student of each student, on val and test."""
    rows = []
    for run in runs:
        if run.teacher is None:
            continue
        for split in ("val", "test"):
            labels_n, student_nk = run.logits(split)
            teacher_labels_n, teacher_nk = run.teacher.logits(split)
            if not np.array_equal(labels_n, teacher_labels_n):
                raise UserError(
                    f"{run.row['run']}: its {split} images are not those of its teacher; predict both again"
                )
            values = {
                "agreement_top1": top1_agreement(teacher_nk, student_nk),
                "kl_teacher_student": kl_divergence(teacher_nk, student_nk),
            }
            rows += [run.row | {"split": split, "metric": name, "value": value} for name, value in values.items()]
    return rows
