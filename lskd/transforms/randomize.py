"""Replace what a teacher tells of an image beyond its class by noise of the same size and shape: a control.

C images of a class, K classes.
"""

import numpy as np

from lskd.transforms.classes import Array, by_class

OPTIONS = ()


def transform(logits_nk: Array, labels_n: Array, rng: np.random.Generator) -> Array:
    """m_y + noise, with m_y the mean logits of the images of class y, and Gaussian noise that has their covariance.

    The noise is drawn given its mean and covariance, which are those of the class exactly, by a random rotation
    (Langsrud 2005, "Rotation tests"); of a class of K images or fewer the covariance is right in the mean.
    """
    out_nk = np.empty_like(logits_nk)
    for images in by_class(labels_n):
        own_ck = logits_nk[images].astype(np.float64)
        mean_k = own_ck.mean(0)
        noise_ck = rotation(rng, *own_ck.shape) @ root((own_ck - mean_k).T @ (own_ck - mean_k))
        out_nk[images] = mean_k + noise_ck
    return out_nk


def rotation(rng: np.random.Generator, images: int, classes: int) -> Array:
    """A random W [C, K] whose columns sum to 0, with W^T W = I, or where C <= K the identity in the mean."""
    normal_ck = rng.standard_normal((images, classes))
    left_cr, _, right_rk = np.linalg.svd(normal_ck - normal_ck.mean(0), full_matrices=False)
    rank = min(images - 1, classes)
    return np.sqrt(classes / max(rank, 1)) * left_cr[:, :rank] @ right_rk[:rank]


def root(matrix_kk: Array) -> Array:
    """The symmetric root of a matrix that has no negative eigenvalue but by rounding."""
    values_k, vectors_kk = np.linalg.eigh(matrix_kk)
    return vectors_kk * np.sqrt(values_k.clip(0)) @ vectors_kk.T
