"""The command `mini-moe` trains, writes and goes on; what the caller did wrong is one line, before anything else."""

import json
import os
import subprocess
import sys

import pytest
from test_run import NANO, losses_of

from mini_moe import Transformer, cli, data
from mini_moe.cli import main
from mini_moe.generate import write_text
from mini_moe.hf import save_pretrained

CONTEXT = 64  # tokens
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}  # a locale that knows no more than ASCII


@pytest.fixture(scope="module")
def model(shared_home, tmp_path_factory):
    """A model that has learned nothing, with a short context, in a folder."""
    folder = tmp_path_factory.mktemp("model")
    model, tokenizer = Transformer(NANO.replace(max_position_embeddings=CONTEXT)), data.train_tokenizer(["ab"], 300)
    save_pretrained(model.requires_grad_(False), folder, tokenizer)
    return str(folder)


def test_the_command_trains_for_seconds_writes_and_resumes_further(tmp_path, corpus, monkeypatch, capsys):
    monkeypatch.setitem(cli.PRESETS, "tiny", lambda: NANO)
    out = str(tmp_path / "run")
    assert main(["train", "--seconds", "2", "--data", corpus, "--out", out]) == 0
    told = capsys.readouterr().out
    assert "bits per byte" in told and "xz -9" in told and "def " in told
    steps = json.loads((tmp_path / "run" / "run.json").read_text())["train"]["steps"]
    assert len(losses_of(tmp_path / "run")) == steps
    assert main(["train", "--resume", out, "--steps", str(steps + 2)]) == 0
    assert len(losses_of(tmp_path / "run")) == steps + 2
    assert main(["generate", "--from", out, "--prompt", "class ", "--tokens", "20"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] != ""


def test_the_same_seed_writes_the_same_text(model, capsys):
    texts = []
    for seed in ("5", "5", "6"):
        assert main(["generate", "--from", model, "--tokens", "30", "--temperature", "1", "--seed", seed]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "--resume", "nowhere"], "--resume must be the folder of a run, got nowhere, which has no run.json"),
        (["train", "--resume", "a file"], "--resume must be the folder of a run, got a file, which has no run.json"),
        (["train", "--out", "a file"], "--out must be a new folder, got a file, and a file is a file."),
        (["train", "--out", "a file/x"], "--out must be a new folder, got a file/x, and a file is a file."),
        (["train", "--out", "."], "--out must be a new or an empty folder, got ., which holds a file."),
        (["train", "--steps", "0", "--out", "x"], "--steps must be at least 1, got 0"),
        (["train", "--seconds", "-1", "--out", "x"], "--seconds must be above 0"),
        (["train", "--seconds", "nan", "--out", "x"], "--seconds must be above 0 and below 1e9, got nan"),
        (["train", "--seconds", "inf", "--out", "x"], "--seconds must be above 0 and below 1e9, got inf"),
        (["train", "--learning-rate", "nan", "--out", "x"], "--learning-rate must be a positive number, got nan"),
        (["train", "--learning-rate", "inf", "--out", "x"], "--learning-rate must be a positive number, got inf"),
        (["train", "--seed", "-1", "--out", "x"], "--seed must be from 0 to 2**63 - 1, got -1"),
        (["train", "--seed", str(2**64), "--out", "x"], "--seed must be from 0 to 2**63 - 1"),
        (
            ["train", "--data", "no/such/path", "--out", "x"],
            "--data must be a file, a folder or the name of a data set",
        ),
        (["train", "--data", "a file", "--out", "x"], "--data must hold at least 20 kB of readable text, got 'a file'"),
        (["generate", "--from", "nowhere"], "--from must be a folder with config.json, got nowhere"),
        (["generate", "--from", "a file"], "--from must be a folder with config.json, got a file"),
        (["train", "--resume", "x", "--seconds", "3"], "--seconds must not be given"),
    ],
)
def test_what_the_caller_did_wrong_is_one_line_and_leaves_no_folder(arguments, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").write_text("in the way")
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(f"mini-moe: {says}")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--temperature", "nan"], "--temperature must be a finite number, at least 0, got nan"),
        (["--temperature", "inf"], "--temperature must be a finite number, at least 0, got inf"),
        (["--temperature", "-1"], "--temperature must be a finite number, at least 0, got -1.0"),
        (["--tokens", "-1"], "--tokens must be from 0 to"),
        (["--tokens", "64"], "--tokens must be from 0 to"),
        (["--seed", "-1"], "--seed must be from 0 to 2**63 - 1, got -1"),
        (["--seed", str(2**64)], "--seed must be from 0 to 2**63 - 1"),
        (["--prompt", "0" * CONTEXT], f"--prompt must be at most {CONTEXT} tokens long, the model's context, got "),
        (["--prompt", "\udcff"], "--prompt must be text in UTF-8, got"),
    ],
)
def test_what_is_wrong_with_a_text_to_write_is_said_before_anything_is_printed(arguments, says, model, capsys):
    assert main(["generate", "--from", model, "--tokens", "4", *arguments]) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.startswith(f"mini-moe: {says}") and error.count("\n") == 1


@pytest.mark.parametrize("temperature", ["0", "1e-320", "1e-38", "1e-3", "1e300"])
def test_every_temperature_that_is_a_number_writes(temperature, model):
    assert main(["generate", "--from", model, "--tokens", "4", "--temperature", temperature]) == 0


@pytest.mark.skipif(os.name != "posix", reason="locales as POSIX has them")
@pytest.mark.parametrize("locale", [ASCII, {"LC_ALL": "C"}, {"LANG": "C"}], ids=["ASCII", "LC_ALL=C", "LANG=C"])
def test_a_prompt_in_any_script_is_understood_and_shown_in_any_locale(locale, model):
    """The model's text is that of the same prompt given in Python; where a terminal cannot show it, it is escaped."""
    prompt = "größe → 大"
    command = [sys.executable, "-m", "mini_moe.cli", "generate", "--from", model, "--prompt", prompt]
    command += ["--tokens", "9", "--temperature", "0"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))} | locale
    made = subprocess.run(command, env=environment, capture_output=True)
    assert made.returncode == 0, made.stderr
    written = write_text(cli.load_pretrained(model), cli.load_tokenizer(model), prompt, 9, temperature=0.0, seed=0)
    text = prompt + "".join(written) + "\n"
    assert made.stdout == (text.encode("ascii", "backslashreplace") if locale is ASCII else text.encode())


def test_half_a_character_is_refused_in_python_too(model):
    with pytest.raises(ValueError, match="prompt must be Unicode text, got half a character"):
        write_text(cli.load_pretrained(model), cli.load_tokenizer(model), "\ud83d", 1, temperature=0.0, seed=0)


def test_drafts_leave_the_text_as_it_is_and_tell_what_they_brought(tmp_path, capsys):
    tokenizer = data.train_tokenizer(["ab"], 300)
    model = Transformer(NANO.replace(num_nextn_predict_layers=1))
    save_pretrained(model.requires_grad_(False), tmp_path / "model", tokenizer)
    command = ["generate", "--from", str(tmp_path / "model"), "--tokens", "20", "--temperature", "0"]
    assert main(command) == 0
    plain = capsys.readouterr()
    assert "drafted" not in plain.err
    for drafter in ([], ["--drafter", "ngram"], ["--gate", "0.9"]):
        assert main([*command, "--speculative", *drafter]) == 0
        told = capsys.readouterr()
        assert told.out == plain.out
        assert "tokens a second" in told.err and "distinct experts" in told.err
        assert f"Drafted by {'ngram' if 'ngram' in drafter else 'module'}: " in told.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--gate", "0.5"], "--gate must be given with --speculative."),
        (["--drafter", "ngram"], "--drafter must be given with --speculative."),
        (["--speculative", "--gate", "-1"], "--gate must be a number, at least 0, got -1.0."),
        (["--speculative", "--drafter", "module"], "--drafter must be 'ngram' for a model without a prediction module"),
    ],
)
def test_what_is_wrong_with_drafting_is_one_line(model, capsys, options, told):
    assert main(["generate", "--from", model, "--tokens", "9", *options]) == 2
    assert capsys.readouterr().err.startswith(f"mini-moe: {told}")


def test_without_a_module_the_text_itself_drafts(model, capsys):
    assert main(["generate", "--from", model, "--tokens", "9", "--speculative"]) == 0
    assert "Drafted by ngram: " in capsys.readouterr().err
