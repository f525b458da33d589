"""Ways of teaching, one file each: its OPTIONS, whether it NEEDS_TEACHER, and its `loss`.

Planning reads OPTIONS and NEEDS_TEACHER, so that torch is imported where a loss is computed. N samples, K classes;
logits are raw; log is natural. A loss is the mean over the batch, in nats, computed in float32 at least. Targets are
labels, int64 [N], or distributions over the classes, float [N, K], where augmentation mixes images. Where a paper
minimises the cross-entropy of teacher and student (Mueller, section 4; Shen, eq. 4), `kd` is that less the teacher's
entropy: other values, the same gradient.

Which paper means what by distillation:
| paper | in a group of students |
|---|---|
| Hinton 2015 | `temperature: T, soft_weight: w` |
| Mueller 2019, fig. 5 | `temperature: T, soften_student: false, t_squared: false` |
| Mueller 2019, MNIST | `supervision: logit_mse, soft_weight: 0.6` |
| Shen 2021 | `temperature: 1`; table 9: `soft_weight` 0.7, 0.5, 0.3 |
| Yuan 2020 (their code) | `temperature: T, soft_weight: a, reduction: mean` |
| Chandrasegaran 2022 (their code) | `temperature: T` |
"""
