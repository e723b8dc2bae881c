"""Where the workflow's own files are: `Snakefile`, `config.yaml`, `workflow/`, `envs/`.

They stand in the repository, two folders above the package. `pip install .` puts copies of them into the package
(`setup.py`), so that a workflow that is deployed from elsewhere is planned without a checkout.
"""

from contextlib import suppress
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
INSTALLED = PACKAGE / "house"
ROOT = PACKAGE.parents[1] if (PACKAGE.parents[1] / "workflow" / "schemas").is_dir() else INSTALLED


def code_folder(state: Path) -> Path:
    """A folder with this package and nothing else that Python could import, for PYTHONPATH.

    In the repository that is `src/`. Of an installed package it is a link in the folder ``state``: the folder where
    pip puts packages would hide those of a conda environment.
    """
    if ROOT != INSTALLED:
        return PACKAGE.parent
    folder = state.absolute() / "cellscaper-code"
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / PACKAGE.name
    if link.is_symlink() and link.resolve() != PACKAGE:
        link.unlink()
    with suppress(FileExistsError):  # of an earlier run, or of another job at this moment
        link.symlink_to(PACKAGE)
    return folder
