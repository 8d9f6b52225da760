"""Python imports this module by itself, before the program: the library is in place by then."""

import sys

if sys.platform == "wasi":
    from capspawn_guest import install

    install.install()
