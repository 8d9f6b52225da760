//! The one way to a new child: admission, decision, plan, launch.
//!
//! The table is locked once to admit a request and once to insert its child. In
//! between, the decision is one value, the [`Plan`]: exactly what the plan says is started,
//! and [`start`] sees nothing of the request.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::{DupFlags, Errno, dup3, retry_on_intr};

use super::Guest;
use crate::approval::{self, Approved};
use crate::child::account::{Charge, Descriptors, Kind, Share};
use crate::child::capture::Capture;
use crate::child::pipe::UntakenPipes;
use crate::child::pipes::{HostStdio, Pipes, descriptors_of};
use crate::child::record::{Record, Started};
use crate::command::Command;
use crate::error::SpawnError;
use crate::event::EventKind;
use crate::grant::Decision;
use crate::handle::Child;
use crate::launch::{LaunchError, Plan, Process, Stage, errno_within};
use crate::registry::Core;
use crate::registry::supervisor::Supervised;
use crate::streams::{Stdin, Stdio};

/// The descriptors that a spawn opens at most, those for a moment included: 16.
const SPAWN_DESCRIPTORS: usize = 16;

impl Guest {
    /// Starts a child, and returns as soon as it runs.
    ///
    /// Similar to `posix_spawn` in POSIX, except that nothing is inherited: the
    /// grant and `command` define the environment and the descriptors. The calling
    /// thread blocks until the program executes, about as long as `posix_spawn`
    /// blocks it. A guest's first child under a confinement takes some milliseconds
    /// more, because its session is made; a launcher's first child also probes the
    /// host.
    ///
    /// Where the grant says `ask` this is a denial, even of a command that was
    /// approved for this guest before: nobody is asked. See
    /// [`Guest::spawn_with_approval`].
    ///
    /// # Errors
    ///
    /// Each [`SpawnError`] says which; on an error nothing runs, and nothing is used
    /// up but the rate.
    ///
    /// # Examples
    ///
    /// ```
    /// use capspawn_native::grant::Grants;
    /// use capspawn_native::{Command, DeniedItem, Registry, SpawnError};
    ///
    /// let grants = Grants::from_toml_str(
    ///     r#"
    ///     version = 1
    ///     [[component."report".command]]
    ///     name = "kernel"
    ///     program = "/bin/uname"
    ///     args = ["-s"]
    ///     sandbox = "none"    # written out: this child is not confined
    ///     "#,
    ///     "/".as_ref(),
    /// )?;
    /// let registry = Registry::builder().build()?;
    /// let guest = registry.guest(grants.component("report"), "");
    ///
    /// guest.spawn(&Command::new("kernel").arg("-s"))?;
    /// match guest.spawn(&Command::new("kernel").arg("-a")) {
    ///     Err(SpawnError::Denied(denial)) => assert_eq!(denial.item, DeniedItem::Argument),
    ///     other => panic!("the grant lists no other argument: {other:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn(&self, command: &Command) -> Result<Child, SpawnError> {
        self.report_refusal(command, self.try_spawn(command))
    }

    /// Does what [`Guest::spawn`] does, and asks the registry's
    /// [`Approver`](crate::Approver) where the grant says `ask`.
    ///
    /// While the question is open the request takes neither a slot nor a quota, the
    /// rate excepted. A guest has one open question at a time; further ones wait for
    /// their turn. After the answer the grant decides again, and what it then allows
    /// runs only if it is what was approved. Dropping the future abandons the
    /// question. Needs no particular async runtime.
    ///
    /// # Errors
    ///
    /// As [`Guest::spawn`]; a request that is not approved is
    /// [`SpawnError::Denied`] for its program.
    pub async fn spawn_with_approval(&self, command: &Command) -> Result<Child, SpawnError> {
        let result = self.try_spawn_with_approval(command).await;
        self.report_refusal(command, result)
    }

    /// Emits an event about a request that started nothing.
    fn report_refusal(
        &self,
        command: &Command,
        result: Result<Child, SpawnError>,
    ) -> Result<Child, SpawnError> {
        if let Err(error) = &result {
            let core = self.registry.core();
            core.emit(self.key.owner(), &command.request(), || {
                EventKind::refused(error)
            });
        }
        result
    }

    fn try_spawn(&self, command: &Command) -> Result<Child, SpawnError> {
        // First: a request that no grant can allow costs its owner nothing.
        command.validate()?;
        let permit = Permit::admit(self, command)?;
        match self.grant.decide_valid(command)? {
            Decision::Allow(plan) => start(permit, plan),
            Decision::Ask(plan) => Err(approval::denied(
                &plan.name,
                "it needs approval, and this call cannot wait for one",
            )),
        }
    }

    async fn try_spawn_with_approval(&self, command: &Command) -> Result<Child, SpawnError> {
        command.validate()?;
        let permit = Permit::admit(self, command)?;
        let approved = match self.grant.decide_valid(command)? {
            Decision::Allow(plan) => return start(permit, plan),
            Decision::Ask(plan) => {
                let approved = Approved::new(self.key.owner(), &plan)?;
                if self.approvals.allows(&approved) {
                    return start(permit, plan);
                }
                approved
            }
        };
        // No slot is held while somebody thinks; the request itself still takes memory.
        let request = permit.into_request();
        let core = self.registry.core();
        let sleep = |timeout| core.sleep(timeout);
        self.approvals.ask(core.hooks(), sleep, &approved).await?;
        let permit = Permit::readmit(self, command, request)?;
        // The program and the directory may have changed meanwhile.
        let plan = self.grant.decide_valid(command)?.into_plan();
        if Approved::new(self.key.owner(), &plan)? != approved {
            let reason = "it is no longer what was approved";
            return Err(approval::denied(&plan.name, reason));
        }
        start(permit, plan)
    }
}

/// Starts what `plan` says, in the place that `permit` holds.
fn start(permit: Permit<'_>, plan: Box<Plan>) -> Result<Child, SpawnError> {
    let Permit {
        place,
        request,
        descriptors,
    } = permit;
    let (guest, core) = (place.guest, place.core);
    core.hooks().admits(guest.key.owner(), &plan)?;
    let enforcement = core.launcher().enforcement(&plan.confinement);
    if !enforcement.admits(plan.confinement.sandbox) {
        let report = Box::new(Arc::unwrap_or_clone(enforcement));
        return Err(SpawnError::SandboxUnavailable(report));
    }
    let captures = place.captures(&plan)?;
    let launched = match launch(&place, &plan, request.stdin, descriptors) {
        Err(error) if is_short_of_descriptors(&error) && place.make_descriptors() => {
            // The first attempt has given back what it was charged.
            let stdin = place.hold(plan.streams.stdin.len())?;
            let descriptors = place.descriptors(
                &plan.streams.stdin,
                [plan.streams.stdout, plan.streams.stderr],
            )?;
            launch(&place, &plan, stdin, descriptors)
        }
        other => other,
    };
    let Launched {
        process,
        exit_fd,
        host,
        untaken,
    } = launched?;
    let record = Arc::new(Record::new(Started {
        id: core.next_id(),
        owner: guest.key.owner().clone(),
        plan,
        confinement: enforcement.summary(),
        arguments: request.strings,
        captures,
        untaken,
        process: Arc::clone(&process),
    }));
    place.hand_over(&record);
    let terms = guest.grant.detach();
    let child = Child::new(Arc::clone(&record), guest.registry.clone(), terms);
    core.emit_of(&record, || EventKind::Spawn {
        id: record.id(),
        pid: process.pid(),
        confinement: record.confinement(),
    });
    let supervised = Supervised::new(record, Arc::clone(core), process);
    core.handle().spawn(supervised.run(host, exit_fd));
    Ok(child)
}

/// A child that runs, and the host's ends of its pipes.
struct Launched {
    process: Arc<dyn Process>,
    exit_fd: rustix::io::Result<OwnedFd>,
    host: HostStdio,
    untaken: UntakenPipes,
}

/// Makes the pipes and launches the child; `stdin` and `descriptors` are what its owner is charged for
/// them.
fn launch(
    place: &Place<'_>,
    plan: &Plan,
    stdin: Charge,
    descriptors: Descriptors,
) -> Result<Launched, LaunchError> {
    let pipes = Pipes::new(&plan.streams, descriptors, stdin)?;
    let mut exit_fd = reserve_descriptor(&plan.program.file)?;
    let scope = place.guest.key.scope();
    let launched = place.core.launcher().launch(scope, plan, pipes.child)?;
    let process: Arc<dyn Process> = launched.into();
    let exit_fd = retry_on_intr(|| dup3(process.exit_fd(), &mut exit_fd, DupFlags::CLOEXEC))
        .map(|()| exit_fd);
    Ok(Launched {
        process,
        exit_fd,
        host: pipes.host,
        untaken: pipes.untaken,
    })
}

/// Whether the process, or the machine, has no descriptor left.
fn is_short_of_descriptors(error: &LaunchError) -> bool {
    matches!(
        errno_within(&error.source),
        Some(Errno::MFILE | Errno::NFILE)
    )
}

/// Reserves the descriptor for the child's pidfd now, so that no child can start
/// that could not be supervised. It is a copy of any open file until then.
fn reserve_descriptor(any: &File) -> Result<OwnedFd, LaunchError> {
    let reserved = any.try_clone().map(OwnedFd::from);
    reserved.map_err(|error| LaunchError::new(Stage::Pipe, error))
}

/// What one child takes of the host, given back where nothing starts.
struct Permit<'a> {
    place: Place<'a>,
    request: Held,
    descriptors: Descriptors,
}

/// The memory that a request takes, charged to its owner.
struct Held {
    strings: Charge,
    stdin: Charge,
}

impl<'a> Permit<'a> {
    /// Charges the rate, and takes a place, the quotas, and what the host is to hold.
    fn admit(guest: &'a Guest, command: &Command) -> Result<Self, SpawnError> {
        let core = guest.registry.core();
        core.admit(&guest.key, guest.grant.quotas())?;
        let place = Place::new(guest);
        let request = Held {
            strings: place.hold(command.strings_bytes())?,
            stdin: place.hold(command.stdin.len())?,
        };
        Self::new(place, command, request)
    }

    /// Takes a place and the quotas for a request whose rate and memory are charged already.
    fn readmit(guest: &'a Guest, command: &Command, request: Held) -> Result<Self, SpawnError> {
        let core = guest.registry.core();
        core.readmit(&guest.key, guest.grant.quotas())?;
        Self::new(Place::new(guest), command, request)
    }

    fn new(place: Place<'a>, command: &Command, request: Held) -> Result<Self, SpawnError> {
        let streams = [command.stdout, command.stderr];
        let descriptors = place.descriptors(&command.stdin, streams)?;
        Ok(Self {
            place,
            request,
            descriptors,
        })
    }

    /// Gives back all but the memory of the request.
    fn into_request(self) -> Held {
        self.request
    }
}

/// A slot and the quotas of one child, given back where nothing starts.
struct Place<'a> {
    guest: &'a Guest,
    core: &'a Arc<Core>,
    handed_over: bool,
}

impl<'a> Place<'a> {
    /// Of a child that the table has admitted.
    fn new(guest: &'a Guest) -> Self {
        Self {
            guest,
            core: guest.registry.core(),
            handed_over: false,
        }
    }

    fn share(&self) -> Share {
        self.guest.grant.quotas().share()
    }

    /// Charges the owner for `bytes` of the request.
    fn hold(&self, bytes: usize) -> Result<Charge, SpawnError> {
        self.core.hold(&self.guest.key, self.share(), bytes)
    }

    /// Charges the owner for the descriptors of a child with these streams.
    fn descriptors(
        &self,
        stdin: &Stdin,
        [out, err]: [Stdio; 2],
    ) -> Result<Descriptors, SpawnError> {
        let count = descriptors_of(stdin, out, err);
        let (core, guest) = (self.core, self.guest);
        core.hold_descriptors(&guest.key, self.share(), count)
    }

    /// Promises its memory to each stream that `plan` captures.
    fn captures(&self, plan: &Plan) -> Result<[Capture; 2], SpawnError> {
        let capture = |stdio, cap_bytes| {
            if stdio != Stdio::Captured {
                return Ok(Capture::default());
            }
            let promised = self.core.promise(&self.guest.key, self.share(), cap_bytes);
            promised.map(Capture::new)
        };
        Ok([
            capture(plan.streams.stdout, plan.capture.stdout_bytes)?,
            capture(plan.streams.stderr, plan.capture.stderr_bytes)?,
        ])
    }

    /// Closes pipes of the owner's oldest ended children, where the process has no descriptor left.
    /// Returns whether there were any.
    fn make_descriptors(&self) -> bool {
        let owner = self.guest.key.owner();
        self.core
            .make_room(owner, Kind::Descriptors, SPAWN_DESCRIPTORS)
            || self.core.make_room(owner, Kind::Descriptors, 1)
    }

    /// The child runs: its record gives the place back from now on.
    fn hand_over(mut self, record: &Arc<Record>) {
        self.handed_over = true;
        self.core.insert(&self.guest.key, record);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.handed_over {
            self.core.cancel(&self.guest.key);
        }
    }
}
