"""`python -m fine_tune.train`: one training job in SageMaker's container layout, from rows to a published adapter."""

import argparse
import json
import logging
import os
import shutil
import sys
import time
import traceback
import warnings
from contextlib import suppress

from fine_tune.container import Container
from fine_tune.interruption import Interruption
from fine_tune.job import Job, read_job
from fine_tune.refusal import Interrupted, Refusal, write_failure

STOPPED = 143  # 128 + SIGTERM, what a process says that ended by it


def say(stage: str, started: float, interruption: Interruption) -> None:
    """Between two stages: nothing more is begun after SIGTERM."""
    interruption.check()
    print(f"STAGE {stage} seconds={time.monotonic() - started:.1f}", file=sys.stderr, flush=True)


def run(container: Container, job: Job, started: float, interruption: Interruption) -> dict:
    """All stages; returns {"adapterId", ...metrics}. `model/` is complete when manifest.json is there."""
    from fine_tune.rows import hold_out, read_rows

    with suppress(ImportError):  # the image holds both packages; without this one a step is merely slower
        from influence.allocator import keep_freed_memory
        keep_freed_memory()
    folder, files = container.row_files()
    base = container.base()
    rows = read_rows(folder, files, [d["id"] for d in job.datanets])
    rows, held_rows = hold_out(rows, job.hyperparameters.evalFraction, job.hyperparameters.seed)
    say(f"rows trained={len(rows)} held-out={len(held_rows)}", started, interruption)

    from fine_tune import base_folder, evaluate, examples, influence_store, lora, manifest, training, watch

    influence_store.require(job)
    digest, base_files = base_folder.check_digest(base, job)
    tokenizer = base_folder.load_tokenizer(base)
    trained, held_out = examples.as_examples(tokenizer, rows), examples.as_examples(tokenizer, held_rows)
    model = lora.add_adapter(base_folder.load_model(base, job.method), job.hyperparameters)
    say("model", started, interruption)
    result = training.train(model, tokenizer, trained, held_out, job, container.checkpoints, started, interruption)
    say("trained", started, interruption)
    chosen = job.hyperparameters
    compared = evaluate.compare(model, held_out, chosen.maxSequenceLength, chosen.batchSize, tokenizer.pad_token_id)
    if compared:
        watch.metric(step=result["steps"], **compared)

    for entry in container.model.iterdir() if container.model.is_dir() else []:
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    lora.write_adapter(model, container.model, job.base_id)
    weights = lora.check_adapter(container.model)
    copied = base_folder.copy_tokenizer(base, container.model)
    positions = int(getattr(model.config, "max_position_embeddings", 0) or 0)
    del model
    say("checked", started, interruption)
    shown = result["steps"] * chosen.batchSize * sum(e.trained_tokens for e in trained) // max(1, len(trained))
    store, scorecard, spent = influence_store.fit(base, result["adapters"], trained, job, container.model, shown)
    say("influence", started, interruption)
    metrics = {"steps": result["steps"], "trainLoss": result["train_loss"], "trainableWeights": weights,
               "evalLoss": compared.get("eval_loss"), "baseEvalLoss": compared.get("base_eval_loss")}
    about_base = {"digest": digest, "tokenizerDigest": copied.get("tokenizer.json"), "positions": positions,
                  "templateDigest": copied.get("chat_template.jinja"), "unigramDigest": base_files.get("unigram.bin")}
    with interruption.noted():
        adapter = manifest.write_manifest(container.model, job, about_base, trained, held_rows, metrics, store, scorecard)
        manifest.write_costs(container.model, started, spent)
        shutil.rmtree(container.checkpoints, ignore_errors=True)
    watch.metric(rows=len(rows), total_seconds=time.monotonic() - started)
    return {"adapterId": adapter, **{name: manifest.plain(value) for name, value in metrics.items()}}


def main(argv: list[str] | None = None) -> int:
    """Exit 0 with a manifest, 143 after SIGTERM with what checkpoints hold, 1 with a reason in output/failure."""
    parser = argparse.ArgumentParser(prog="fine-tune", description=__doc__, epilog="The root is SAGEMAKER_BASE_DIR, else /opt/ml.")
    parser.parse_known_args(argv)  # SageMaker starts the container with the word `train`
    started = time.monotonic()
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    container = Container.here()
    (container.root / "output" / "failure").unlink(missing_ok=True)
    try:
        result = run(container, read_job(container), started, Interruption())
    except Interrupted as stop:
        print(f"STOPPED {stop}", file=sys.stderr)
        return STOPPED
    except Refusal as refusal:
        write_failure(container.root, str(refusal))
        print(f"FAILED {refusal}", file=sys.stderr)
        return 1
    except MemoryError:
        write_failure(container.root, "out-of-memory: take a smaller batchSize or maxSequenceLength, or a bigger instance")
        return 1
    except Exception as error:  # the reason must reach the builder whatever broke
        traceback.print_exc()
        memory = "out of memory" in str(error).lower()
        write_failure(container.root, f"{'out-of-memory' if memory else 'internal'}: {type(error).__name__}: {error}")
        return 1
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
