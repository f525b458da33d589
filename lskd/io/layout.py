"""Where results lie and what their files are called, once. Standard library only."""

JOBS = ".jobs"  # where planning tells each job's process what to make, by address
PROCESS = "lskd.jobs.execute:main"  # what every job's process runs first
ROOMS = {  # the folder of each stage under results/
    "data": "data",
    "corpus": "corpora",
    "train": "runs",
    "predict": "predictions",
    "translate": "translations",
    "teacher_logits": "teacher_logits",
    "snapshots": "snapshots",
    "metrics": "metrics",
    "figure": "drawn",
}
TRACE = "trace.safetensors"  # beside a trained network, if it keeps one; its digest stands in the record's notes
FILES = {  # every file that a stage writes, beside the record that seals them
    "data": ("data.safetensors", "images.arrow", "samples.parquet", "classes.csv"),
    "corpus": ("corpus.parquet", "pieces.model", "pieces.txt", "tokens.safetensors"),
    "train": ("model.safetensors", "best.safetensors", "snapshots.safetensors", "history.jsonl"),
    "predict": (
        *("train.logits.parquet", "val.logits.parquet", "test.logits.parquet"),
        *("train.features.parquet", "val.features.parquet", "head.safetensors"),
    ),
    "translate": ("translations.parquet", "tokens.parquet"),
    "teacher_logits": ("logits.parquet",),
    "snapshots": ("snapshots.parquet",),
    "metrics": ("metrics.parquet",),
    "figure": tuple(f"figure.{ending}" for ending in ("png", "html", "svg", "pdf", "csv", "md", "tex", "json")),
}
