"""Neural machine translation: corpora, and the stages that fairseq trains and decodes in."""

import logging

logging.getLogger("fairseq").setLevel(logging.WARNING)  # it tells of each shared weight, and of what is not installed
