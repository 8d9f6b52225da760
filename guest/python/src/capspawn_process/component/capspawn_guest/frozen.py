"""Modules inside the component.

A component has no file system of its own when it runs, so a module that is not loaded when
componentize-py takes its snapshot does not exist later. This importer keeps the compiled code of
every module that the program can reach, and runs it when the program imports it: an import inside a
function works, and a package that starts a program while it is imported starts it at run time.

Modules of the standard library that the program imports at its top are loaded into the snapshot,
because they have no such effects and the program then starts without their cost.
"""

import importlib.machinery
import importlib.util
import marshal
import os
import sys
import zlib

from . import metadata

# Name: (code, file, is a package, source or None). The code is marshalled and packed: a program can
# reach many more modules than it imports.
_modules = {}
# Data files of packages, by path.
_data = {}


# Encodings that programs name in strings. Others need `--include encodings.NAME`.
_ENCODINGS = (
    "ascii", "latin_1", "utf_8_sig", "utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le",
    "utf_32_be", "cp1252", "cp437",
    "iso8859_1", "iso8859_15", "idna", "punycode", "unicode_escape", "raw_unicode_escape",
    "hex_codec", "base64_codec", "rot_13",
)  # fmt: skip
# What the standard library imports inside functions for interactive use, for its own tests and for
# processes of Python. It is in the component if the program itself imports it.
_SELDOM = {
    "_pyrepl", "code", "concurrent", "ctypes", "doctest", "idlelib", "multiprocessing", "pdb", "pydoc",
    "pydoc_data", "rlcompleter", "tkinter", "unittest", "webbrowser", "xml", "xmlrpc",
}  # fmt: skip
# What `sysconfig` imports by a name that it computes.
_CONFIGURATION = "_sysconfigdata__wasi_wasm32-wasi"


class Loader:
    """Loads a module of the table."""

    def __init__(self, name):
        self._name = name

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(self.get_code(self._name), module.__dict__)

    def _entry(self, name):
        try:
            return _modules[name]
        except KeyError:
            raise ImportError(f"no module named {name!r} in this component", name=name) from None

    def get_code(self, name):
        return marshal.loads(zlib.decompress(self._entry(name)[0]))

    def get_filename(self, name):
        return self._entry(name)[1]

    def is_package(self, name):
        return self._entry(name)[2]

    def get_source(self, name):
        return self._entry(name)[3]

    def get_data(self, path):
        try:
            return _data[path]
        except KeyError:
            raise FileNotFoundError(2, "No such file in this component", path) from None


class Finder:
    """Finds modules of the table, after those that are in files."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        entry = _modules.get(name)
        if entry is None:
            return None
        spec = importlib.machinery.ModuleSpec(
            name, Loader(name), origin=entry[1], is_package=entry[2]
        )
        spec.has_location = True
        if entry[2]:
            spec.submodule_search_locations = [os.path.dirname(entry[1])]
        return spec

    @staticmethod
    def find_distributions(context=None):
        return iter(metadata.find(context))

    @staticmethod
    def invalidate_caches():
        pass


def install():
    if Finder not in sys.meta_path:
        sys.meta_path.append(Finder)


def main_code(file, source):
    """Compiles the program. Tracebacks show its lines."""
    import linecache

    text = source.decode("utf-8", "replace")
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    return compile(source, file, "exec", dont_inherit=True)


def forget_loaded():
    """Removes the code of modules that the snapshot has, and the traces of building it.

    Memory that was used and freed is part of the snapshot; memory of zeros takes no space in it.
    """
    import gc

    for name in [name for name, entry in _modules.items() if name in sys.modules and not entry[3]]:
        del _modules[name]
    gc.collect()
    zeros = [bytearray(_PIECE) for _ in range(_USED // _PIECE)]
    del zeros


# What building uses at most, about, and the pieces in which it is overwritten, in bytes.
_USED = 32 * 1024 * 1024
_PIECE = 128 * 1024


def collect(source, file, package, roots, include=()):
    """Adds every module that a source can reach.

    `roots` are the folders of the program; what is found elsewhere is the standard library. Returns
    the names of the standard library's modules that are imported at the top of a module.
    """
    return _Collector(roots).run(source, file, package, include)


def _positions(tree, is_import):
    """Returns the nodes inside functions, and those that run only if the module is the program."""
    import ast

    late, never = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            late.update(ast.walk(node))
        elif is_import and isinstance(node, ast.If) and "__name__" in ast.dump(node.test):
            for statement in node.body:
                never.update(ast.walk(statement))
    return late, never


class _Collector:
    def __init__(self, roots):
        self._roots = tuple(root.rstrip("/") + "/" for root in roots)
        self._wanted = []
        self._seen = set()
        self._top = []

    def run(self, source, file, package, include):
        self._main = file
        self._scan(source, file, package, True)
        for name in _ENCODINGS:
            self._want(f"encodings.{name}")
        self._want(_CONFIGURATION)
        for name in include:
            package = name.removesuffix(".*")
            self._want(package)
            if package != name:
                self._want_all(package)
        self._add_wanted()
        own = {name.partition(".")[0] for name, entry in _modules.items() if entry[3] is not None}
        for name in metadata.collect(self._roots, own):
            self._want(name)
        self._add_wanted()
        return self._top

    def _add_wanted(self):
        while self._wanted:
            self._add(self._wanted.pop())

    def _want(self, name):
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            whole = ".".join(parts[:count])
            if whole not in self._seen:
                self._seen.add(whole)
                self._wanted.append(whole)

    def _want_all(self, name):
        import pkgutil

        spec = self._find(name)
        if spec is None or not spec.submodule_search_locations:
            return
        for module in pkgutil.iter_modules(spec.submodule_search_locations, name + "."):
            self._want(module.name)
            if module.ispkg:
                self._want_all(module.name)

    @staticmethod
    def _find(name):
        """Finds a module without running its packages."""
        path = None
        spec = None
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            try:
                spec = importlib.machinery.PathFinder.find_spec(".".join(parts[:count]), path)
            except KeyError:
                # A namespace package inside a package that is not loaded.
                return None
            if spec is None:
                return None
            path = spec.submodule_search_locations
            if path is None and count < len(parts):
                return None
        return spec

    def _add(self, name):
        if name in _modules or name.split(".")[0] in ("capspawn_guest", "wit_world"):
            return
        spec = self._find(name)
        if spec is None or not spec.origin or not spec.origin.endswith(".py"):
            return
        with open(spec.origin, "rb") as stream:
            source = stream.read()
        own = spec.origin.startswith(self._roots)
        try:
            code = compile(source, spec.origin, "exec", dont_inherit=True)
        except SyntaxError:
            # A module for another version, imported in a `try`.
            return
        is_package = spec.submodule_search_locations is not None
        text = source.decode("utf-8", "replace") if own else None
        packed = zlib.compress(marshal.dumps(code), 6)
        _modules[name] = (packed, spec.origin, is_package, text)
        if own and is_package:
            self._add_data(os.path.dirname(spec.origin))
        package = name if is_package else name.rpartition(".")[0]
        self._scan(source, spec.origin, package, own)

    @staticmethod
    def _add_data(folder):
        for entry in os.scandir(folder):
            if entry.is_file() and not entry.name.endswith((".py", ".pyc", ".so")):
                with open(entry.path, "rb") as stream:
                    _data[entry.path] = stream.read()

    def _scan(self, source, file, package, own):
        import ast

        tree = ast.parse(source, file)
        late, never = _positions(tree, package is not None and file != self._main)
        for node in ast.walk(tree):
            if node in never:
                continue
            for name, certain in self._names(node, package):
                if not own and node in late and name.partition(".")[0] in _SELDOM:
                    continue
                self._want(name)
                if own and certain and node not in late:
                    self._note_top(name)

    def _note_top(self, name):
        spec = self._find(name)
        standard = spec is None or not (spec.origin or "").startswith(self._roots)
        if standard and name not in self._top:
            self._top.append(name)

    @staticmethod
    def _names(node, package):
        import ast

        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, True
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".") if package else []
                parts = parts[: len(parts) - node.level + 1]
                base = ".".join([*parts, base] if base else parts)
            if base:
                yield base, True
                for alias in node.names:
                    if alias.name != "*":
                        yield f"{base}.{alias.name}", False
