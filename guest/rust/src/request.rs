//! What a request has in both versions of the interface, apart from its streams.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::wait::nanoseconds;

/// A request without its streams.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) program: OsString,
    pub(crate) arg0: Option<OsString>,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) timeout: Option<Duration>,
}

/// A variable of the environment whose value is text, or is not.
pub(crate) type Texts = Vec<(String, String)>;
pub(crate) type Bytes = Vec<(String, Vec<u8>)>;

impl Request {
    pub(crate) fn new(program: &OsStr) -> Self {
        Self {
            program: program.to_owned(),
            arg0: None,
            args: Vec::new(),
            env: Vec::new(),
            cwd: None,
            timeout: None,
        }
    }

    pub(crate) fn program(&self) -> io::Result<String> {
        text(&self.program)
    }

    pub(crate) fn arg0(&self) -> io::Result<Option<String>> {
        self.arg0.as_deref().map(text).transpose()
    }

    pub(crate) fn cwd(&self) -> io::Result<Option<String>> {
        self.cwd
            .as_ref()
            .map(|path| text(path.as_os_str()))
            .transpose()
    }

    pub(crate) fn timeout_nanoseconds(&self) -> Option<u64> {
        self.timeout.map(nanoseconds)
    }

    /// Returns all arguments as text, or else all as bytes: the interface has one list or the
    /// other.
    pub(crate) fn args(&self) -> Result<Vec<String>, Vec<Vec<u8>>> {
        let texts: Option<Vec<String>> = self
            .args
            .iter()
            .map(|arg| Some(arg.to_str()?.to_owned()))
            .collect();
        let bytes = || {
            self.args
                .iter()
                .map(|arg| arg.as_encoded_bytes().to_vec())
                .collect()
        };
        texts.ok_or_else(bytes)
    }

    pub(crate) fn env(&self) -> io::Result<(Texts, Bytes)> {
        let (mut texts, mut bytes) = (Vec::new(), Vec::new());
        for (name, value) in &self.env {
            match value.to_str() {
                Some(value) => texts.push((text(name)?, value.to_owned())),
                None => bytes.push((text(name)?, value.as_encoded_bytes().to_vec())),
            }
        }
        Ok((texts, bytes))
    }
}

/// Returns the text of a name or path; only arguments and values may be other bytes.
fn text(string: &OsStr) -> io::Result<String> {
    string.to_str().map(str::to_owned).ok_or_else(|| {
        let message = format!("{string:?} is not UTF-8, which the host cannot pass to a program");
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })
}

/// Defines the methods by which a `Command` sets what both versions have.
macro_rules! setters {
    () => {
        /// Sets `argv[0]` to a name that the grant lists in `allow-arg0`.
        pub fn arg0(&mut self, arg0: impl AsRef<OsStr>) -> &mut Self {
            self.request.arg0 = Some(arg0.as_ref().to_owned());
            self
        }

        /// Adds an argument. One that is not UTF-8 needs `allow-bytes` in the grant.
        pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
            self.request.args.push(arg.as_ref().to_owned());
            self
        }

        /// Adds arguments.
        pub fn args<S: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = S>) -> &mut Self {
            let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
            self.request.args.extend(args);
            self
        }

        /// Sets a variable of the child's environment.
        pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
            self.env_remove(&name);
            let variable = (name.as_ref().to_owned(), value.as_ref().to_owned());
            self.request.env.push(variable);
            self
        }

        /// Sets variables of the child's environment.
        pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(
            &mut self,
            variables: impl IntoIterator<Item = (K, V)>,
        ) -> &mut Self {
            for (name, value) in variables {
                self.env(name, value);
            }
            self
        }

        /// Removes a variable that [`env`](Self::env) has set. One that the grant sets stays.
        pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
            self.request.env.retain(|(it, _)| it != name.as_ref());
            self
        }

        /// Removes all variables that [`env`](Self::env) has set. Those that the grant sets stay.
        pub fn env_clear(&mut self) -> &mut Self {
            self.request.env.clear();
            self
        }

        /// Sets the working directory, a path of the host as the child sees it.
        pub fn current_dir(&mut self, path: impl AsRef<Path>) -> &mut Self {
            self.request.cwd = Some(path.as_ref().to_owned());
            self
        }

        /// Ends the child `timeout` after its start, with
        /// [`KillReason::Timeout`](crate::KillReason::Timeout). The limit of the grant applies too.
        pub fn timeout(&mut self, timeout: Duration) -> &mut Self {
            self.request.timeout = Some(timeout);
            self
        }

        /// Returns the program.
        #[must_use]
        pub fn get_program(&self) -> &OsStr {
            &self.request.program
        }

        /// Returns the arguments.
        pub fn get_args(&self) -> impl ExactSizeIterator<Item = &OsStr> {
            self.request.args.iter().map(OsString::as_os_str)
        }

        /// Returns the variables that were set. The value is none for none of them, unlike in `std`.
        pub fn get_envs(&self) -> impl ExactSizeIterator<Item = (&OsStr, Option<&OsStr>)> {
            let variables = self.request.env.iter();
            variables.map(|(name, value)| (name.as_os_str(), Some(value.as_os_str())))
        }

        /// Returns the working directory, if one was set.
        #[must_use]
        pub fn get_current_dir(&self) -> Option<&Path> {
            self.request.cwd.as_deref()
        }
    };
}

/// Sets what both versions have in the options of one of them, and returns the arguments.
macro_rules! set_options {
    ($request:expr, $options:expr) => {{
        let (texts, bytes) = $request.env()?;
        if !texts.is_empty() {
            $options.set_env(&texts);
        }
        if !bytes.is_empty() {
            $options.set_env_bytes(&bytes);
        }
        if let Some(arg0) = $request.arg0()? {
            $options.set_arg0(&arg0);
        }
        if let Some(cwd) = $request.cwd()? {
            $options.set_cwd(&cwd);
        }
        if let Some(timeout) = $request.timeout_nanoseconds() {
            $options.set_timeout(timeout);
        }
        $request.args().unwrap_or_else(|bytes| {
            $options.set_args_bytes(&bytes);
            Vec::new()
        })
    }};
}

pub(crate) use {set_options, setters};
