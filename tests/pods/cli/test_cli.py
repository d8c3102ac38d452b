"""The command ``podvisor``: what it does, and what it says when it cannot."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pods import StoreUnavailable
from pods.cli import main as cli

ROOT = Path(__file__).parents[3]


def test_the_demo_runs_and_leaves_nothing_behind(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """G14: ``podvisor demo``, the whole of it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    code = cli.main(["demo", "--plain"])

    printed, complaints = capsys.readouterr()
    assert (code, complaints) == (0, "")
    for part in ("acme: ", "globex: ", "initech: ", "hibernated", "Spans where"):
        assert part in printed
    assert "\x1b" not in printed
    assert list(tmp_path.iterdir()) == []


def test_the_database_is_kept_where_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = _replace_the_demo(monkeypatch)

    code = cli.main(["demo", "--db", str(tmp_path / "kept.db")])

    assert code == 0
    assert demo.calls == [(tmp_path / "kept.db", False)]


def test_a_name_that_means_something_in_a_url_is_a_name(tmp_path: Path) -> None:
    file = tmp_path / "a b%20c?d#e.db"

    code = cli.main(["demo", "--plain", "--db", str(file)])

    assert code == 0
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_no_database_is_refused_and_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("Dear reader, " * 100)

    code = cli.main(["demo", "--db", str(file)])

    complaint = capsys.readouterr().err
    assert code == 1
    assert complaint.startswith("podvisor: [PV-E205] ")
    assert complaint.count("\n") == 1
    assert file.read_text() == "Dear reader, " * 100


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "required: COMMAND"),
        (["dance"], "invalid choice: 'dance'"),
        (["demo", "--slow"], "unrecognized arguments: --slow"),
        (["demo", "--db"], "expected one argument"),
        (["demo", "--db", "/no/such/folder/x.db"], "no folder '/no/such/folder'"),
        (["demo", "--db", "/"], "'/' is a folder"),
    ],
)
def test_wrong_arguments_are_explained(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)

    printed, complaint = capsys.readouterr()
    assert (ended.value.code, printed) == (2, "")
    assert said in complaint


def test_an_interrupted_demo_says_how_to_go_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _replace_the_demo(monkeypatch, KeyboardInterrupt())

    codes = [cli.main(["demo"]), cli.main(["demo", "--db", str(tmp_path / "x.db")])]

    assert codes == [130, 130]
    assert capsys.readouterr().err.splitlines() == [
        "podvisor: interrupted.",
        "podvisor: interrupted; the same command goes on from here.",
    ]


def test_an_error_in_a_group_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = StoreUnavailable("save", "the disk is full")
    group = ExceptionGroup("outer", [ExceptionGroup("inner", [error])])
    _replace_the_demo(monkeypatch, group)

    code = cli.main(["demo"])

    assert code == 1
    assert capsys.readouterr().err.startswith(
        "podvisor: [PV-E201] save failed: the disk is full."
    )


def test_a_demo_that_does_not_hold_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _replace_the_demo(monkeypatch, AssertionError("acme was touched"))

    code = cli.main(["demo"])

    assert code == 1
    assert capsys.readouterr().err == "podvisor: the demo failed: acme was touched.\n"


def test_a_mistake_of_podvisor_itself_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _replace_the_demo(monkeypatch, ZeroDivisionError())

    with pytest.raises(ZeroDivisionError):
        cli.main(["demo"])


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])

    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("podvisor ")


def test_help_needs_neither_the_database_nor_the_drawing_of_tables() -> None:
    program = (
        "import sys\n"
        "from pods.cli import main as cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'rich', 'sqlalchemy', 'opentelemetry.sdk'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)\n"
    )

    ended = subprocess.run(  # noqa: S603  the program stands above
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "demo" in ended.stdout


class _Demo:
    """Stands where the module of the demo would."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
        self.calls: list[tuple[Path | None, bool]] = []

    def run(self, database: Path | None, *, plain: bool) -> None:
        self.calls.append((database, plain))
        if self.error is not None:
            raise self.error


def _replace_the_demo(
    monkeypatch: pytest.MonkeyPatch, error: BaseException | None = None
) -> _Demo:
    demo = _Demo(error)
    monkeypatch.setattr(cli, "_demo_module", lambda: demo)
    return demo
