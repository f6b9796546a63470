"""Python imports this at its start if PYTHONPATH names the folder: a script's children know the old names too."""

import old_names

old_names.install()
