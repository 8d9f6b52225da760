//! Variables by which a program loads or runs something else.
//!
//! No pattern in `env.allow` admits one of them: a grant writes their names in full, and `check` warns of it. A variable
//! is in the table if it names code, a program, options, a file of settings that may name one of these, or a directory
//! in which a program looks for one of these.

use super::names::is_one_of;

const LOADER: &str = "the loader and the C library take libraries and settings from it";
const SHELL: &str = "shells run or change commands by it";
const SEARCH: &str = "programs and their parts are looked up by it";
const LANGUAGE: &str = "an interpreter or a runtime loads code or takes options from it";
const BUILD: &str = "compilers and build tools take options, plugins or programs from it";
const PACKAGES: &str = "package managers take settings and sources of packages from it";
const STARTED: &str = "a program starts the program that it names";
const GIT: &str = "git and other version control systems run programs by it";
const SETTINGS: &str = "a program reads settings from where it points, which may name programs";
const PLUGINS: &str = "libraries load plugins from where it points";

/// The table. A `*` stands for any text.
#[rustfmt::skip]
const VARIABLES: &[(&str, &[&str])] = &[
    (LOADER, &[
        "LD_*", "DYLD_*", "GCONV_PATH", "GETCONF_DIR", "GLIBC_TUNABLES", "MALLOC_*", "LOCPATH", "NLSPATH",
        "NIS_PATH", "HOSTALIASES", "LOCALDOMAIN", "RES_OPTIONS", "RESOLV_HOST_CONF", "TZDIR", "*SAN_OPTIONS",
        "*_SYMBOLIZER_PATH", "GCOV_*", "LLVM_PROFILE_FILE", "FAKEROOT*", "PROOT_*",
    ]),
    (SHELL, &[
        "IFS", "ENV", "BASH_*", "BASHOPTS", "SHELLOPTS", "PS0", "PS1", "PS2", "PS3", "PS4", "PROMPT*", "RPROMPT*",
        "CDPATH", "GLOBIGNORE", "FPATH", "ZDOTDIR", "ZSH*", "KSH_*", "FIGNORE", "EXECIGNORE", "HISTFILE", "INPUTRC",
        "MAILPATH", "fish_*", "FISH_*", "POSIXLY_CORRECT", "SHELL", "COMSPEC", "CONFIG_SHELL",
    ]),
    (SEARCH, &[
        "PATH", "MANPATH", "INFOPATH", "*_EXEC_PATH", "*_EXEC_PREFIX",
    ]),
    (LANGUAGE, &[
        "PYTHON*", "PYENV_*", "VIRTUAL_ENV*", "PERL*", "RUBY*", "RBENV_*", "IRBRC", "PRYRC", "JRUBY_OPTS", "NODE_*",
        "BUN_*", "DENO_*", "TS_NODE_*", "ELECTRON_*", "PHPRC", "PHP_*", "LUA_*", "LUAJIT_*", "TCL*", "TK_LIBRARY",
        "R_*", "RSCRIPT_*", "JULIA_*", "OCTAVE_*", "GNUPLOT_*", "GUILE_*", "PLT*", "RACKET_*", "SCHEME*",
        "CHICKEN_*", "SBCL_*", "ERL_*", "ERLANG_*", "ELIXIR_*", "IEX_*", "GHC*", "CABAL_*", "STACK_*", "OCAML*",
        "CAML*", "OPAM*", "COQ*", "SWIPL*", "JAVA_*", "_JAVA_OPTIONS", "JDK_*", "JRE_*", "CLASSPATH",
        "*_JAVA_OPTIONS", "*_JVM_OPTS", "JAVACMD", "SCALA_*", "KOTLIN_*", "GROOVY_*", "CLOJURE_*", "LEIN_*",
        "DOTNET_*", "COMPlus_*", "CORECLR_*", "COREHOST_*", "MONO_*", "ASPNETCORE_*", "MSBUILD*", "NUGET_*",
        "EMACS*", "AWKPATH", "AWKLIBPATH", "M4PATH", "GAWK_*",
    ]),
    (BUILD, &[
        "MAKE*", "GNUMAKE*", "MFLAGS", "BMAKE*", "*FLAGS", "*_OPTS", "*_OPTIONS", "*_ARGS", "CC", "CXX", "CPP", "LD",
        "AR", "AS", "NM", "RANLIB", "STRIP", "OBJCOPY", "FC", "F77", "HOSTCC", "CC_*", "CXX_*", "AR_*", "TARGET_*",
        "HOST_*", "CPATH", "*_INCLUDE_PATH", "COMPILER_PATH", "LIBRARY_PATH", "DEPENDENCIES_OUTPUT",
        "SUNPRO_DEPENDENCIES", "GCC_*", "CLANG_*", "CCC_*", "CCACHE_*", "DISTCC_*", "SCCACHE_*", "ICECC*", "CMAKE_*",
        "CTEST_*", "NINJA_*", "MESON*", "PKG_CONFIG*", "ACLOCAL*", "AUTO*", "LIBTOOL*", "M4", "YACC", "LEX",
        "BISON_*", "RUSTC*", "RUSTDOC*", "RUSTUP_*", "RUSTFMT", "CARGO*", "GO*", "CGO_*", "MAVEN_*", "MVN_*", "M2_*",
        "GRADLE_*", "ANT_*", "SBT_*", "BAZEL*", "SCONS*", "RAKE*", "SWIFT_*", "DESTDIR", "QMAKE*", "TEX*",
        "BIBINPUTS", "BSTINPUTS", "MFINPUTS", "*INPUTS", "openout_any", "openin_any", "shell_escape*",
    ]),
    (PACKAGES, &[
        "npm_*", "NPM_*", "YARN_*", "PNPM_*", "COREPACK_*", "PIP_*", "PIPX_*", "PIPENV_*", "POETRY_*", "PDM_*",
        "UV_*", "CONDA_*", "MAMBA_*", "GEM_*", "BUNDLE*", "BUNDLER_*", "COMPOSER*", "CPAN*", "MIX_*", "HEX_*",
        "REBAR*", "APT_*", "DPKG_*", "DEB_*", "DEBIAN_*", "DEBCONF_*", "RPM_*", "HOMEBREW_*", "NIX_*", "GUIX_*",
        "SNAP*", "FLATPAK_*",
    ]),
    (STARTED, &[
        "*PAGER", "*EDITOR", "VISUAL", "*BROWSER", "*ASKPASS", "*PASSWORD_COMMAND", "*_COMMAND", "*_CMD", "*_PROG",
        "*_RSH", "*_SSH", "RSH", "LESS", "LESSOPEN", "LESSCLOSE", "LESSKEY*", "LESSEDIT", "MORE", "MOST_*", "LV",
        "MANOPT", "MANROFFOPT", "MANROFFSEQ", "MAN_*", "BAT_*", "FZF_*", "TERMINAL", "TERMCMD", "MAILCAP*", "MAILER",
        "TEXEDIT", "FCEDIT", "TAR_OPTIONS", "TAPE", "GZIP", "XZ_*", "BZIP*", "ZIPOPT", "ZIP", "UNZIP*", "RSYNC_*",
        "SSH_*", "SFTP_*", "SUDO_*", "EXINIT", "VIMINIT", "GVIMINIT", "NVIM_*", "MYVIMRC", "VIM", "VIMRUNTIME",
        "NVIM", "SELECTOR", "PINENTRY*", "WATCH_*", "DIFF*", "MERGE*", "SYSTEMD_*", "PSQL_*", "MYSQL_PS1",
        "*_PAGER_*", "DELTA_*", "TIG_*", "TMUX*", "SCREEN*", "GNUTAR", "FTP_*",
    ]),
    (GIT, &[
        "GIT_CONFIG*", "GIT_EXEC_PATH", "GIT_EXTERNAL_DIFF", "GIT_SSH*", "GIT_PROXY_*", "GIT_TEMPLATE_DIR",
        "GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_*OBJECT*", "GIT_ALLOW_PROTOCOL", "GIT_PROTOCOL*",
        "GIT_ATTR*", "GIT_TRACE*", "GIT_TR2*", "GIT_REDIRECT_*", "GIT_MERGE*", "GIT_SSL_*", "GIT_SHELL*",
        "GIT_DIFF_*", "GIT_GRAFT_FILE", "GITHUB_*", "GH_*", "HG*", "SVN_*", "CVS*", "BZR_*", "BRZ_*", "P4*",
        "FOSSIL_*", "VCS_*",
    ]),
    (SETTINGS, &[
        "HOME", "XDG_*", "*_CONFIG", "*_CONFIG_*", "*_CONF", "*_CONF_*", "*RC", "*_HOME", "*_RCFILE", "NETRC",
        "CURL_*", "OPENSSL_*", "SSL_*", "SSLKEYLOGFILE", "PG*", "MYSQL_*", "MARIADB_*", "SQLITE_*", "ODBC*",
        "TNS_ADMIN", "REDIS*", "DOCKER_*", "BUILDKIT_*", "COMPOSE_*", "PODMAN_*", "CONTAINER*", "KUBE*", "HELM_*",
        "TF_*", "TERRAFORM_*", "ANSIBLE_*", "VAGRANT_*", "PACKER_*", "AWS_*FILE", "AWS_CA_BUNDLE", "AWS_*COMMAND*",
        "GOOGLE_*", "CLOUDSDK_*", "AZURE_*", "GNUPG*", "GPG_*", "KRB5*", "SASL_*", "PASSWORD_STORE_*", "RIPGREP_*",
        "ACK*", "AG_*", "FD_*", "MAGICK_*", "MAGIC", "GS_*", "GROFF_*", "TERMINFO*", "TERMCAP", "TERMPATH", "NMAP*",
        "WINE*", "QEMU_*", "FONTCONFIG_*", "DBUS_*", "AT_SPI_*",
    ]),
    (PLUGINS, &[
        "GTK_*", "GTK2_*", "GTK3_*", "GDK_*", "GIO_*", "GST_*", "GI_*", "GSETTINGS_*", "QT_*", "QML*", "KDE_*",
        "LIBGL_*", "MESA_*", "__EGL_*", "EGL_*", "__GLX_*", "VK_*", "OCL_*", "OPENCL_*", "CUDA_*", "HSA_*",
        "LIBVA_*", "VDPAU_*", "ALSA_*", "PIPEWIRE_*", "PULSE_*", "SDL_*", "LADSPA_*", "LV2_*", "DSSI_*", "VST_*",
        "GDAL_*", "PROJ_*", "HDF5_*", "OMPI_*", "PMIX_*", "UCX_*", "I_MPI_*", "IM_*", "XMODIFIERS", "XLOCALEDIR",
        "XKB_*", "XFILESEARCHPATH", "XUSERFILESEARCHPATH", "XAPPLRESDIR", "XENVIRONMENT", "BABL_*", "GEGL_*",
        "GIMP*", "BLENDER_*", "FREI0R_*", "LIBMYSQL_*", "P11_*", "PKCS11_*", "*_PLUGIN_*", "*_PLUGINS", "*_MODULES",
        "*_MODULE_PATH", "*_PRELOAD",
    ]),
];

/// Returns why the variable `name` needs its full name in `env.allow`; none if a pattern may admit it.
pub(in crate::grant) fn danger(name: &str) -> Option<&'static str> {
    let found = VARIABLES.iter().find(|(_, names)| is_one_of(name, names));
    found.map(|(reason, _)| *reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_make_a_program_run_something_else_are_in_the_table() {
        for name in [
            "LD_PRELOAD",
            "LD_AUDIT",
            "DYLD_INSERT_LIBRARIES",
            "PATH",
            "IFS",
            "BASH_ENV",
            "ENV",
            "NODE_OPTIONS",
            "PYTHONPATH",
            "PERL5OPT",
            "PERLLIB",
            "RUBYOPT",
            "GIT_SSH_COMMAND",
            "GCONV_PATH",
            "GIT_CONFIG_COUNT",
            "GIT_CONFIG_KEY_0",
            "GIT_EXEC_PATH",
            "GIT_EXTERNAL_DIFF",
            "PAGER",
            "GIT_PAGER",
            "MANPAGER",
            "EDITOR",
            "GIT_EDITOR",
            "SVN_EDITOR",
            "LESSOPEN",
            "RUSTC_WRAPPER",
            "CARGO_HOME",
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER",
            "MAKEFLAGS",
            "JAVA_TOOL_OPTIONS",
            "_JAVA_OPTIONS",
            "JDK_JAVA_OPTIONS",
            "DOTNET_STARTUP_HOOKS",
            "OPENSSL_CONF",
            "GLIBC_TUNABLES",
            "BASH_FUNC_ls%%",
            "npm_config_script_shell",
            "NPM_CONFIG_PREFIX",
            "SSH_ASKPASS",
            "TAR_OPTIONS",
            "PS4",
            "HOME",
            "XDG_CONFIG_HOME",
            "CFLAGS",
            "RUSTFLAGS",
            "GOFLAGS",
            "GOROOT",
            "CC",
            "CMAKE_TOOLCHAIN_FILE",
            "PIP_INDEX_URL",
            "RIPGREP_CONFIG_PATH",
            "KUBECONFIG",
            "AWS_CONFIG_FILE",
            "VIMINIT",
            "GTK_MODULES",
            "ASAN_OPTIONS",
            "SHELLOPTS",
            "PSQLRC",
            "MAVEN_OPTS",
            "CLASSPATH",
            "TEXINPUTS",
        ] {
            assert!(danger(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_pattern_may_admit_ordinary_variables() {
        for name in [
            "LANG",
            "LC_ALL",
            "TZ",
            "TERM",
            "COLUMNS",
            "LINES",
            "USER",
            "LOGNAME",
            "TMPDIR",
            "DEBUG",
            "VERBOSE",
            "NO_COLOR",
            "LS_COLORS",
            "SOURCE_DATE_EPOCH",
            "CI",
            "REPORT_TITLE",
            "BUILD_NUMBER",
            "http_proxy",
            "APP_MODE",
        ] {
            assert_eq!(danger(name), None, "{name}");
        }
    }
}
