"""The built wheel, in an empty environment outside the checkout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent


def run(*command: str | Path, cwd: Path) -> str:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout


def test_the_wheel_runs_in_an_empty_environment_and_is_typed(tmp_path: Path) -> None:
    uv = BIN / "uv"
    run(uv, "build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", tmp_path, cwd=ROOT)
    (wheel,) = tmp_path.glob("ecr_source-*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", "empty", cwd=tmp_path)
    constraints = tmp_path / "constraints.txt"
    frozen = run(uv, "pip", "freeze", "--exclude-editable", "--python", sys.executable, cwd=tmp_path)
    constraints.write_text(frozen)
    run(uv, "pip", "install", "--python", "empty", "--constraint", constraints, wheel, cwd=tmp_path)
    python = tmp_path / "empty/bin/python"
    assert "repositories" in run(tmp_path / "empty/bin/ecr-source", "tables", cwd=tmp_path)
    assert run(tmp_path / "empty/bin/ecr-source", "--version", cwd=tmp_path) == "ecr-source 0.1.0\n"
    code = (
        "import importlib.resources as r; from ecr_source import ecr_source; print(r.files('ecr_source') / 'py.typed')"
    )
    typed = Path(run(python, "-c", code, cwd=tmp_path).strip())
    assert typed.is_file()
    assert typed.is_relative_to(tmp_path)
    assert "CVE-2025-1001" in run(tmp_path / "empty/bin/ecr-source", "demo", cwd=tmp_path)
    done = subprocess.run([tmp_path / "empty/bin/ecr-source", "report"], cwd=tmp_path, capture_output=True, text=True)
    needed = 'ecr-source: the report as HTML needs its extra: pip install "ecr-source[report]"\n'
    assert (done.returncode, done.stderr) == (2, needed)
    assert {"report.css", "report.html.jinja", "report.js"} <= {path.name for path in typed.parent.rglob("assets/*")}
