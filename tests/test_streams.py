"""What is shown never costs what was computed."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from mrvae.streams import TolerantStream, notice, one_line, prepare_standard_streams, printable


def test_no_control_character_passes() -> None:
    hostile = "".join(map(chr, range(0x20))) + "\x7f\x9b31m\u202e\u2028\ud800"
    assert printable(hostile).replace("\n", "").isprintable()
    assert one_line(hostile).isprintable()
    plain = "−ELBO 85.2 ± 8.7 nats, λ = ½ …"
    assert printable(plain) == one_line(plain) == plain


def test_a_notice_is_one_printable_line(capsys: pytest.CaptureFixture[str]) -> None:
    notice("a field `\x1b[31m` of\na file")
    assert capsys.readouterr().err == "mrvae: a field `\\x1b[31m` of a file\n"


def test_a_long_message_keeps_its_beginning_and_its_end() -> None:
    line = one_line(f"begin {'x' * 900_000} end")
    assert len(line) <= 2000
    assert line.startswith("begin ")
    assert line.endswith(" end")


def test_a_broken_stream_takes_everything() -> None:
    with Path("/dev/full").open("w", buffering=1) as full:
        stream = TolerantStream(full)
        stream.write("lost\n")
        stream.flush()
        assert stream.broken
        with Path(os.devnull).open("w") as null:
            os.dup2(null.fileno(), full.fileno())
    kept = io.StringIO()
    working = TolerantStream(kept)
    working.write("seen")
    assert (kept.getvalue(), working.broken) == ("seen", False)


def test_an_encoding_without_a_character_gets_an_ascii_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    prepare_standard_streams()
    print("−1 ± 2 … λ ━ × あ", flush=True)
    assert raw.getvalue() == b"-1 +/- 2 ... lambda - x ?\n"


def test_a_stream_that_became_a_pipe_or_was_closed_does_not_end_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Setting its error handler asks for its position, which a pipe does not have."""
    reader, writer = os.pipe()
    with (tmp_path / "out").open("w", encoding="ascii") as became:
        os.dup2(writer, became.fileno())
        monkeypatch.setattr(sys, "stdout", became)
        monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO()))
        sys.stderr.close()
        prepare_standard_streams()
        print("−1", flush=True)
        monkeypatch.undo()
    os.close(writer)
    assert os.read(reader, 9) == b"-1\n"
    os.close(reader)
