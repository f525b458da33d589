"""Ways of teaching, one file each: its OPTIONS, whether it NEEDS_TEACHER, and its `loss`.

Planning reads OPTIONS and NEEDS_TEACHER, so that torch is imported where a loss is computed. N samples, K classes;
logits are raw; log is natural. A loss is the mean over the batch, in nats, computed in float32 at least. Targets are
labels, int64 [N], or distributions over the classes, float [N, K], where augmentation mixes images. Where a paper
minimises the cross-entropy of teacher and student (Mueller, section 4; Shen, eq. 4), `kd` is that less the teacher's
entropy: other values, the same gradient. A loss that remembers earlier batches has a function `end_epoch` beside it and
gets a `state`, a dict of tensors that is empty before the first batch and part of every checkpoint.

Which paper means what by distillation:
| paper | in a group of students |
|---|---|
| Hinton 2015 | `temperature: T, soft_weight: w` |
| Mueller 2019, fig. 5 | `temperature: T, soften_student: false, t_squared: false` |
| Mueller 2019, MNIST | `supervision: logit_mse, soft_weight: 0.6` |
| Shen 2021 | `temperature: 1`; table 9: `soft_weight` 0.7, 0.5, 0.3 |
| Yuan 2020 (their code) | `temperature: T, soft_weight: a, reduction: mean` |
| Chandrasegaran 2022 (their code) | `temperature: T` |
| Zhao 2022, DKD (their code) | `supervision: dkd, temperature: 4`; alpha `target_weight`, beta `nontarget_weight` |
| Huang 2022, DIST (their code, CIFAR) | `supervision: dist, temperature: 4, inter_weight: 2, intra_weight: 2` |
| Yang 2023, NKD (their code) | `supervision: nkd, temperature: 1`; gamma `others_weight` |
| Zhou 2021, WSLD (their code) | `supervision: wsld, temperature: 2, kd_weight: 2.5` |
| Zheng & Yang 2024, WTTM | `supervision: wttm, temperature: 1/gamma`; beta `kd_weight`; TTM `weighted: false` |
| Sun 2024, logit standardisation | `supervision: standardized_kd`; lambda_CE `ce_weight`, lambda_KD `kd_weight` |
| one T for the teacher, one for the student | `temperature: T, teacher_temperature: T_t`; T^2 is the student's |

And in a group of teachers or baselines:
| paper | in the group |
|---|---|
| Szegedy 2016, Mueller 2019 | `label_smoothing: alpha` |
| Zhou 2025, MaxSup | `supervision: maxsup, suppression: alpha` |
| Zhang 2021, OLS | `supervision: online_smoothing, hard_weight: alpha` |
| Hui & Belkin 2021 | `supervision: squared_error, label_weight: k, label_value: M` |
| Yuan 2020, Tf-KD_reg (text) | `supervision: tf_kd_reg, temperature: T, soft_weight: alpha` |
| Yuan 2020, Tf-KD_reg (their code) | the same with `form: code, multiplier: 1` (or 50, 100) |
"""
