"""The files of running jobs, written without any."""

import json
import os
import socket
import time

from lskd.jobs.progress import process_birth

HOST = socket.gethostname()


def status_of(address="a", **values):
    now = time.time()
    return {"title": f"run {address}", "address": address, "host": HOST, "pid": os.getpid(), "started": now - 100} | {
        "updated": now,
        "birth": process_birth(os.getpid()),
        **values,
    }


def write(folder, address="a", **values):
    folder.mkdir(exist_ok=True, parents=True)
    (folder / f"{address}.json").write_text(json.dumps(status_of(address, **values)))


def training(step, steps=100, **values):
    return {"step": step, "steps": steps, "epoch": step // 10 + 1, "epochs": steps // 10, **values}
