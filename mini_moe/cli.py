"""The command ``mini-moe``: train a model, and let it write.

mini-moe train --preset tiny --seconds 60 --out runs/first
mini-moe train --resume runs/first
mini-moe generate --from runs/first --prompt "def "
mini-moe generate --from runs/first --prompt "def " --speculative
"""

import argparse
import io
import shlex
import sys
from pathlib import Path

from mini_moe import config, run
from mini_moe.dispatch import PATHS
from mini_moe.generate import DRAFTERS, Stats, write_text
from mini_moe.hf import load_pretrained, load_tokenizer
from mini_moe.model import Transformer
from mini_moe.train import PRECISIONS, Diverged, TrainConfig

PRESETS = {"tiny": config.tiny, "small": config.small}
STEPS = {"tiny": 1000, "small": 4000}  # a run without --steps and --seconds: minutes, and an evening
OPTIONS = {  # by which what the library names in its errors is given here
    **{"source": "--data", "learning_rate": "--learning-rate"},
    **{"path": "--from", "tokens_BT": "--prompt", "max_new_tokens": "--tokens"},
    **{name: f"--{name}" for name in ("steps", "seconds", "seed", "prompt", "temperature", "drafter", "gate")},
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status. What the caller did wrong is one line, not a traceback."""
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not so in a notebook
            stream.reconfigure(errors="backslashreplace")  # a model may write what a terminal cannot show
    try:
        return options.command(options)
    except KeyboardInterrupt as error:
        return _complain(error, "stopped.", status=130)
    except (ValueError, OSError) as error:
        return _complain(error, _as_typed(str(error), options), status=2)
    except Diverged as error:
        return _complain(error, str(error), status=1)


def _as_typed(told: str, options: argparse.Namespace) -> str:
    """What the library tells of an argument, "X must be ..., got ...", told of the option that gave it."""
    argument, space, rest = told.partition(" ")
    folder = "--resume" if getattr(options, "resume", None) else "--out"
    return {**OPTIONS, "folder": folder}.get(argument, argument) + space + rest


def _complain(error: BaseException, what: str, status: int) -> int:
    """On a line, and on the next what ``run`` noted on it."""
    print("\n".join([f"mini-moe: {what}", *getattr(error, "__notes__", ())]), file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mini-moe", description="Train a small DeepSeek-V3-style model on a CPU.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("train", help="train a model, or go on with a run")
    command.set_defaults(command=_train)
    where = command.add_mutually_exclusive_group()
    where.add_argument("--out", type=Path, help="folder for a new run (default: runs/PRESET)")
    where.add_argument("--resume", type=Path, metavar="DIR", help="go on with the run in DIR, exactly where it stopped")
    long = command.add_mutually_exclusive_group()
    long.add_argument("--steps", type=int, help=f"optimizer steps (default: {STEPS}); with --resume, in all")
    long.add_argument("--seconds", type=float, help="train for about so long; measuring comes on top")
    command.add_argument("--preset", choices=PRESETS, help="size of the model (default: tiny)")
    command.add_argument("--data", metavar="PATH", help="file or folder of text (default: Python's standard library)")
    rate = f"default: {TrainConfig.learning_rate}; may be changed with --resume"
    command.add_argument("--learning-rate", type=float, help=rate)
    command.add_argument("--precision", choices=PRECISIONS, help="of matrix products (default: what is faster here)")
    command.add_argument("--dispatch", choices=PATHS, help="path of the expert product (default: what is faster here)")
    command.add_argument("--seed", type=int, help="of the first weights and the batches (default: 0)")

    command = commands.add_parser("generate", help="let a trained model go on with a text")
    command.set_defaults(command=_generate)
    command.add_argument("--from", type=Path, required=True, dest="folder", metavar="DIR", help="folder of a run")
    command.add_argument("--prompt", default="def ", help='the text to go on with (default: "def ")')
    command.add_argument("--tokens", type=int, default=200, help="at most so many new tokens (default: 200)")
    command.add_argument("--temperature", type=float, default=0.8, help="0: always the likeliest (default: 0.8)")
    command.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    command.add_argument("--speculative", action="store_true", help="draft tokens, and tell at the end what it brought")
    command.add_argument("--drafter", choices=DRAFTERS, help="who drafts (default: the module, if the model has one)")
    share = "draft only while this share of the drafts is accepted (default: 0, always)"
    command.add_argument("--gate", type=float, metavar="SHARE", help=share)
    return parser


def _train(options: argparse.Namespace) -> int:
    names = ("steps", "learning_rate", "seed")
    settings = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.resume:
        for name in ("preset", "data", "seconds", "precision", "dispatch", "seed"):
            if getattr(options, name) is not None:
                raise ValueError(f"--{name} must not be given with --resume: the run keeps what it began with.")
        report = run.resume(options.resume, **settings)
    else:
        preset = options.preset or "tiny"
        report = run.start(
            options.out or Path("runs") / preset,
            PRESETS[preset](),
            TrainConfig(**{"steps": STEPS[preset]} | settings),
            options.data,
            seconds=options.seconds,
            precision=options.precision,
            dispatch=options.dispatch,
        )
    if report.bits_per_byte is None:
        print(f"Stopped after step {report.step} of {report.steps}; everything is kept in {report.folder}.")
        print(f"Go on with: {run.resume_command(report.folder)}")
        return 130
    _tell(report)
    return 0


def _tell(report: run.Report) -> None:
    result = run.read_result(report.folder)
    print(f"{report.step} steps; bits per byte on the held-out text ({result['heldout_bytes']:,} bytes):")
    for name in ("gzip -9", "xz -9"):
        print(f"  {name:12} {result[name]:.3f}")
    print(f"  {'this model':12} {report.bits_per_byte:.3f}")
    print("A sample:\n")
    _print_text(load_pretrained(report.folder), report.folder, "def ", tokens=120, temperature=0.8, seed=0)
    folder = shlex.quote(str(report.folder))
    print(f'\nKept in {report.folder}. Try: mini-moe generate --from {folder} --prompt "class "')


def _generate(options: argparse.Namespace) -> int:
    if not (options.folder / "model.safetensors").exists() and (options.folder / "run.json").exists():
        raise ValueError(
            f"--from must be a run that has ended, got one that was cut off: {run.resume_command(options.folder)}"
        )
    for name in ("drafter", "gate"):
        if getattr(options, name) is not None and not options.speculative:
            raise ValueError(f"--{name} must be given with --speculative.")
    model, stats = load_pretrained(options.folder), Stats()
    drafting = {
        "speculative": options.speculative,
        "drafter": options.drafter or ("module" if len(model.mtp) else "ngram"),
        "gate": options.gate or 0.0,
        "stats": stats,
    }
    how = {"temperature": options.temperature, "seed": options.seed}
    _print_text(model, options.folder, _unicode(options.prompt), options.tokens, **how, **drafting)
    if options.speculative:
        print(f"\nDrafted by {drafting['drafter']}: {stats}.", file=sys.stderr)
    return 0


def _unicode(prompt: str) -> str:
    """Where the locale is ASCII, Python hands over other bytes one by one, as halves of characters: join them again."""
    try:
        return prompt.encode("utf-8", "surrogateescape").decode()
    except UnicodeError:
        raise ValueError(f"prompt must be text in UTF-8, got {prompt!r}.") from None


def _print_text(model: Transformer, folder: Path, prompt: str, tokens: int, **how) -> None:
    pieces = write_text(model, load_tokenizer(folder), prompt, tokens, **how)
    print(prompt, end="", flush=True)
    for piece in pieces:
        print(piece, end="", flush=True)
    print()


if __name__ == "__main__":
    sys.exit(main())
