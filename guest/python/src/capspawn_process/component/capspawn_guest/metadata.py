"""The metadata of the distributions in the component, for importlib.metadata.

Programs read their own version and find plug-ins by it.
"""

import os

# Name: {file name: text}.
_distributions = {}
_FILES = ("METADATA", "entry_points.txt", "top_level.txt", "PKG-INFO")


def collect(roots, wanted):
    """Adds each distribution of the folders that has a wanted top-level module.

    Returns the modules that their entry points name, other than those of commands.
    """
    plugins = []
    for root in roots:
        if not os.path.isdir(root):
            continue
        for entry in os.scandir(root):
            if entry.name.endswith(".dist-info") and _modules(entry.path) & wanted:
                texts = {}
                for name in _FILES:
                    path = os.path.join(entry.path, name)
                    if os.path.exists(path):
                        with open(path, encoding="utf-8", errors="replace") as stream:
                            texts[name] = stream.read()
                _distributions[entry.name.partition("-")[0]] = texts
                plugins += _plugins(texts.get("entry_points.txt", ""))
    return plugins


def _modules(info):
    """Returns the names of the top-level modules of a distribution."""
    names = set()
    try:
        with open(os.path.join(info, "RECORD"), encoding="utf-8") as stream:
            for line in stream:
                first = line.split(",")[0].split("/")[0]
                names.add(first.removesuffix(".py"))
    except OSError:
        pass
    return names


def _plugins(text):
    group = ""
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            group = line.strip("[]")
        elif "=" in line and group not in ("console_scripts", "gui_scripts"):
            yield line.partition("=")[2].strip().partition(":")[0].partition("[")[0].strip()


def find(context):
    """Returns the distributions that `importlib.metadata` looks for."""
    from importlib.metadata import Distribution, Prepared

    class Frozen(Distribution):
        def __init__(self, texts):
            self._texts = texts

        def read_text(self, filename):
            return self._texts.get(str(filename))

        def locate_file(self, path):
            return path

    wanted = getattr(context, "name", None)
    if wanted is not None:
        normal = Prepared.normalize(wanted)
        return [Frozen(t) for n, t in _distributions.items() if Prepared.normalize(n) == normal]
    return [Frozen(texts) for texts in _distributions.values()]
