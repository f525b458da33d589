"""What is done to a teacher's stored logits before they teach, one file each: its OPTIONS and its `transform`.

`transform(logits_nk, labels_n, rng, **options)` gets the logits of one augmentation draw on all N training images, of
K classes, and their labels, int64 [N]; it gives back new logits of the same shape and type, computed in float64. It
is pure and NumPy alone: a metric recomputes what a student was taught. `rng` is np.random.default_rng(seed) of the
seed in the student's spec, anew at each draw, so what is drawn for an image is the same in all its draws, at each T
and for each option. A file may name what is fitted on the teacher's predictions on val (`FITS`, from labels and
logits to a number; NaN where nothing can be), which `transform` gets as `fitted`.
"""
