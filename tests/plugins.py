"""Makes an installed package, as pip leaves one, with a plugin in it: a module and its entry point."""

from __future__ import annotations

from pathlib import Path


def write_plugin(folder: Path, module: str, source: str) -> Path:
    """Install a plugin into a folder that is to be on PYTHONPATH. Returns the folder."""
    about = folder / f"{module}-1.0.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", encoding="utf-8"
    )
    (about / "entry_points.txt").write_text(f"[tui_scraper]\n{module} = {module}\n", encoding="utf-8")
    (folder / f"{module}.py").write_text(source, encoding="utf-8")
    return folder
