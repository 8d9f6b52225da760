//! The steps of a launch, and how one fails.
//!
//! A child cannot print why it failed: it reports the step and the error number. The host
//! names the step in its own error. Each step has a number, because the report is sent as bytes.

/// Defines [`Step`], the list of all and the conversion of a number from one list, so that
/// no step can be missing in one of them.
macro_rules! steps {
    ($($(#[$doc:meta])* $step:ident = $number:literal,)+) => {
        /// A step of a launch, named in the report of its failure.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Step {
            $($(#[$doc])* $step = $number,)+
        }

        impl Step {
            /// Every step.
            pub const ALL: &[Self] = &[$(Self::$step),+];

            /// Returns the step with this number, if there is one.
            pub const fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$step),)+
                    _ => None,
                }
            }
        }
    };
}

steps! {
    /// Resetting the signals: `rt_sigaction(2)`, `rt_sigprocmask(2)`.
    Signals = 1,
    /// Announcing the child's pid: `sendto(2)`.
    Announce = 2,
    /// Leading a session and a process group of its own: `setsid(2)`.
    Setsid = 3,
    /// Putting the standard streams in place: `dup3(2)`.
    Stdio = 4,
    /// Marking all other descriptors close-on-exec: `close_range(2)`.
    Descriptors = 5,
    /// Entering the working directory: `fchdir(2)`.
    WorkingDirectory = 6,
    /// Setting the resource limits: `prlimit(2)`.
    Limits = 7,
    /// Becoming the unprivileged user: `setresuid(2)` and its like.
    Identity = 8,
    /// Setting `no_new_privs`: `prctl(2)`.
    NoNewPrivileges = 9,
    /// Dropping all capabilities: `capset(2)`.
    Capabilities = 10,
    /// Restricting the file system: `landlock_restrict_self(2)`.
    Landlock = 11,
    /// Restricting the system calls: `seccomp(2)`.
    Seccomp = 12,
    /// Executing the program: `execveat(2)`.
    Exec = 13,
    /// Making a session's namespaces: `unshare(2)`, `clone(2)`.
    Namespaces = 14,
    /// Making a session's root directory: `mount_setattr(2)`, `pivot_root(2)` and the like.
    Root = 15,
    /// Reading a request, or a session's configuration.
    Request = 16,
    /// Entering the child's cgroup: `write(2)`.
    Cgroup = 17,
}

impl Step {
    /// Returns the step's number.
    pub const fn number(self) -> u32 {
        self as u32
    }
}

/// The step that failed, and its error number.
pub type Failure = (Step, i32);

/// A step that tests make fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The step; `None` makes none fail.
    pub step: Option<Step>,
    /// The error number that it fails with.
    pub errno: i32,
}

impl Fault {
    /// No fault: outside of tests there is none.
    pub const NONE: Self = Self {
        step: None,
        errno: 0,
    };

    /// Takes `step` through `action`, or makes it fail.
    ///
    /// # Errors
    ///
    /// `step`, with the error number of `action` or of the fault.
    #[inline(always)]
    pub fn guard<T>(
        self,
        step: Step,
        action: impl FnOnce() -> Result<T, i32>,
    ) -> Result<T, Failure> {
        if self.step == Some(step) {
            return Err((step, self.errno));
        }
        action().map_err(|errno| (step, errno))
    }
}
