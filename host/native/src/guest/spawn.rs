//! The one way to a new child: admission, decision, plan, launch.
//!
//! The table is locked once to admit a request and once to insert its child. In
//! between, the decision is one value, the [`Plan`]: exactly what the plan says is started,
//! and [`start`] sees nothing of the request.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::{DupFlags, dup3, retry_on_intr};

use super::{Guest, Member, files};
use crate::approval::{self, Approval, Approved};
use crate::child::account::{Charge, Descriptors, Need};
use crate::child::arguments::Arguments;
use crate::child::capture::Capture;
use crate::child::pipe::UntakenPipes;
use crate::child::pipes::{HostStdio, PassedEnds, Pipes, descriptors_of};
use crate::child::record::{Record, Started};
use crate::command::Command;
use crate::confinement::Sandbox;
use crate::error::SpawnError;
use crate::event::EventKind;
use crate::grant::Decision;
use crate::handle::Child;
use crate::launch::{LaunchError, Plan, Process, Stage};
use crate::registry::Core;
use crate::registry::supervisor::Supervised;
use crate::shortage::Shortage;
use crate::streams::{Stdio, TakenEnd};

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
    /// up but the rate, against which every request counts: also a denied and an invalid one.
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
    /// The decision and the launch run on a thread of the registry: the calling thread does not
    /// block, whatever the host's file systems and processes do. A child that has started when the
    /// future was dropped is killed.
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
            let core = self.0.registry.core();
            core.emit_refusal(&self.0.key, command, error);
        }
        result
    }

    fn try_spawn(&self, command: &Command) -> Result<Child, SpawnError> {
        self.0.validate(command)?;
        let permit = Permit::admit(&self.0)?;
        match self.0.grant.decide_valid(command)? {
            Decision::Allow(plan) => start(permit, plan),
            Decision::Ask(plan) => Err(approval::denied(
                &plan.name,
                "it needs approval, and this call cannot wait for one",
            )),
        }
    }

    async fn try_spawn_with_approval(&self, command: &Command) -> Result<Child, SpawnError> {
        self.0.validate(command)?;
        let permit = Permit::admit(&self.0)?;
        let core = self.0.registry.core();
        let request = command.clone();
        let decided = core.off_thread(move || decide(permit, &request));
        let approved = match decided.await?? {
            Decided::Started(child) => return Ok(child),
            // No quota is held while somebody thinks; the request itself still takes memory.
            Decided::Ask(approved) => approved,
        };
        let bytes = command.bytes();
        let waits = core.hold(&self.0.key, self.0.grant.quotas(), bytes)?;
        let sleep = |timeout| core.sleep(timeout);
        let asked = self.0.approvals.ask(core.hooks(), sleep, &approved);
        let approval = asked.await?;
        self.0.report_approval(command, approval);
        drop(waits);
        let permit = Permit::readmit(&self.0)?;
        let request = command.clone();
        let started = core.off_thread(move || start_approved(permit, &request, &approved));
        started.await?
    }
}

impl Member {
    /// Refuses a request that no grant can allow. It takes no place, and counts against the rate as
    /// every other: over the rate it is refused for that.
    fn validate(&self, command: &Command) -> Result<(), SpawnError> {
        command.validate().or_else(|error| {
            let core = self.registry.core();
            core.charge_rate(&self.key, self.grant.quotas())?;
            Err(error)
        })
    }

    fn report_approval(&self, command: &Command, approval: Approval) {
        let kind = || EventKind::Approved {
            scope: approval.scope(),
        };
        let core = self.registry.core();
        match approval {
            Approval::Remembered => core.emit_routine(&self.key, command, kind),
            Approval::Once | Approval::ForThisGuest => core.emit(&self.key, command, kind),
        }
    }
}

/// What a decision has led to.
enum Decided {
    Started(Child),
    Ask(Approved),
}

/// Decides, and starts the child unless somebody has to be asked first.
fn decide(permit: Permit, command: &Command) -> Result<Decided, SpawnError> {
    let guest = Arc::clone(&permit.guest);
    let plan = match guest.grant.decide_valid(command)? {
        Decision::Allow(plan) => plan,
        Decision::Ask(plan) => {
            let approved = Approved::new(guest.key.owner(), &plan)?;
            if !guest.approvals.allows(&approved) {
                return Ok(Decided::Ask(approved));
            }
            guest.report_approval(command, Approval::Remembered);
            plan
        }
    };
    start(permit, plan).map(Decided::Started)
}

/// Decides once more, and starts the child if it is still what was `approved`.
fn start_approved(
    permit: Permit,
    command: &Command,
    approved: &Approved,
) -> Result<Child, SpawnError> {
    let guest = Arc::clone(&permit.guest);
    // The program and the directory may have changed meanwhile.
    let plan = guest.grant.decide_valid(command)?.into_plan();
    if Approved::new(guest.key.owner(), &plan)? != *approved {
        let reason = "it is no longer what was approved";
        return Err(approval::denied(&plan.name, reason));
    }
    start(permit, plan)
}

/// Starts what `plan` says.
fn start(mut permit: Permit, plan: Box<Plan>) -> Result<Child, SpawnError> {
    let guest = Arc::clone(&permit.guest);
    let core = guest.registry.core();
    core.hooks().admits(guest.key.owner(), &plan)?;
    let enforcement = core.launcher().enforcement(&plan.confinement);
    if let Some(shortage) = enforcement.shortage()
        && plan.confinement.sandbox != Sandbox::None
    {
        return Err(SpawnError::Shortage(shortage));
    }
    if !enforcement.admits(plan.confinement.sandbox) {
        let report = Box::new(Arc::unwrap_or_clone(enforcement));
        return Err(SpawnError::SandboxUnavailable(report));
    }
    let launched = match launch(&mut permit, &plan) {
        // What nobody misses goes first.
        Err(Failure::Launch(error))
            if is_short_of_descriptors(&error)
                && (core.launcher().make_room() || permit.make_room()) =>
        {
            launch(&mut permit, &plan)
        }
        other => other,
    };
    let Launched {
        process,
        exit_fd,
        host,
        untaken,
        passed,
        captures,
        arguments,
    } = launched.map_err(SpawnError::from)?;
    let record = Arc::new(Record::new(Started {
        id: core.next_id(),
        owner: guest.key.owner().clone(),
        guest: guest.key.scope(),
        plan,
        confinement: enforcement.summary(),
        arguments,
        captures,
        untaken,
        process: Arc::clone(&process),
        clock: core.clock().clone(),
    }));
    permit.hand_over(&record);
    for end in passed {
        end.given();
    }
    let child = Child::new(Arc::clone(&record), guest.registry.clone(), guest.holder());
    core.emit_of(&record, || EventKind::Spawn {
        id: record.id(),
        number: child.number(),
        pid: process.pid(),
        confinement: record.confinement(),
    });
    let supervised = Supervised::new(record, Arc::clone(core), process);
    core.clock()
        .spawn(core.handle(), supervised.run(host, exit_fd));
    Ok(child)
}

/// A child that runs, the host's ends of its pipes, and what is charged for the rest.
struct Launched {
    process: Arc<dyn Process>,
    exit_fd: rustix::io::Result<OwnedFd>,
    host: HostStdio,
    untaken: UntakenPipes,
    passed: Vec<TakenEnd>,
    captures: [Capture; 2],
    arguments: Charge,
}

/// Why nothing was launched. An error of the launcher keeps the system's error number.
enum Failure {
    Refused(SpawnError),
    Launch(LaunchError),
}

impl From<LaunchError> for Failure {
    fn from(error: LaunchError) -> Self {
        Self::Launch(error)
    }
}

impl From<Failure> for SpawnError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(error) => error,
            Failure::Launch(error) => error.into(),
        }
    }
}

/// Takes the child's place and what the host is to hold for it, makes the pipes and launches it.
fn launch(permit: &mut Permit, plan: &Plan) -> Result<Launched, Failure> {
    let streams = &plan.streams;
    let caps = [
        (&streams.stdout, plan.capture.stdout_bytes),
        (&streams.stderr, plan.capture.stderr_bytes),
    ];
    let caps = caps.map(|(stdio, cap_bytes)| match stdio {
        Stdio::Captured => Some(usize::try_from(cap_bytes).unwrap_or(usize::MAX)),
        _ => None,
    });
    let promised = caps.iter().flatten();
    let need = Need {
        bytes: Arguments::bytes_of(&plan.request).saturating_add(streams.stdin.len()),
        promised: promised.fold(0, |sum: usize, cap| sum.saturating_add(*cap)),
        descriptors: descriptors_of(streams),
    };
    // Before anything else: what fails here costs the owner no ended child, and truncates no file.
    let passed = PassedEnds::take(streams, permit.guest.key.scope().0).map_err(Failure::Refused)?;
    // A refused file costs the owner no ended child, and a refused child changes no file.
    permit.may_take(plan, need).map_err(Failure::Refused)?;
    let files = files::open(plan).map_err(Failure::Refused)?;
    let (mut charge, descriptors) = permit.take(need).map_err(Failure::Refused)?;
    let stdin = charge.split(streams.stdin.len(), 0);
    let captures = caps.map(|cap_bytes| match cap_bytes {
        Some(cap_bytes) => Capture::new(charge.split(0, cap_bytes)),
        None => Capture::none(),
    });
    let pipes = Pipes::new(streams, files, passed, descriptors, stdin)?;
    let mut exit_fd = reserve_descriptor(&plan.program.file)?;
    let (scope, launcher) = (permit.guest.key.scope(), permit.core().launcher());
    let process: Arc<dyn Process> = launcher.launch(scope, plan, pipes.child)?.into();
    let exit_fd = retry_on_intr(|| dup3(process.exit_fd(), &mut exit_fd, DupFlags::CLOEXEC))
        .map(|()| exit_fd);
    Ok(Launched {
        process,
        exit_fd,
        host: pipes.host,
        untaken: pipes.untaken,
        passed: pipes.passed,
        captures,
        arguments: charge,
    })
}

/// Whether the process, or the machine, has no descriptor left. Not where the program may have run: it
/// must not be started again.
fn is_short_of_descriptors(error: &LaunchError) -> bool {
    use Shortage::{Descriptors, MachineDescriptors};
    matches!(error.shortage(), Some(Descriptors | MachineDescriptors))
}

/// Reserves the descriptor for the child's pidfd now, so that no child can start
/// that could not be supervised. It is a copy of any open file until then.
fn reserve_descriptor(any: &File) -> Result<OwnedFd, LaunchError> {
    let reserved = any.try_clone().map(OwnedFd::from);
    reserved.map_err(|error| LaunchError::new(Stage::Pipe, error))
}

/// The quotas and the place of one child, given back where nothing starts.
struct Permit {
    guest: Arc<Member>,
    has_place: bool,
    handed_over: bool,
}

impl Permit {
    /// Charges the rate, and takes the quotas.
    fn admit(guest: &Arc<Member>) -> Result<Self, SpawnError> {
        let core = guest.registry.core();
        core.admit(&guest.key, guest.grant.quotas())?;
        Ok(Self::new(guest))
    }

    /// Takes the quotas for a request whose rate is charged already.
    fn readmit(guest: &Arc<Member>) -> Result<Self, SpawnError> {
        let core = guest.registry.core();
        core.readmit(&guest.key, guest.grant.quotas())?;
        Ok(Self::new(guest))
    }

    fn core(&self) -> &Arc<Core> {
        self.guest.registry.core()
    }

    fn new(guest: &Arc<Member>) -> Self {
        Self {
            guest: Arc::clone(guest),
            has_place: false,
            handed_over: false,
        }
    }

    /// Refuses a child with files that [`Permit::take`] would refuse.
    fn may_take(&mut self, plan: &Plan, need: Need) -> Result<(), SpawnError> {
        self.give_back_place();
        match files::are_named(plan) {
            true => {
                let (key, quotas) = (&self.guest.key, self.guest.grant.quotas());
                self.core().may_take(key, quotas, need)
            }
            false => Ok(()),
        }
    }

    /// Takes a place for the child, and what the host is to hold for it.
    fn take(&mut self, need: Need) -> Result<(Charge, Descriptors), SpawnError> {
        self.give_back_place();
        let (key, quotas) = (&self.guest.key, self.guest.grant.quotas());
        let taken = self.core().take(key, quotas, need)?;
        self.has_place = true;
        Ok(taken)
    }

    fn give_back_place(&mut self) {
        if std::mem::take(&mut self.has_place) {
            self.core().give_back_place(&self.guest.key);
        }
    }

    /// Closes pipes of the owner's oldest ended children, where the process has no descriptor left.
    /// Returns whether there were any.
    fn make_room(&self) -> bool {
        let lack = |descriptors| Need {
            descriptors,
            ..Need::default()
        };
        let owner = self.guest.key.owner();
        self.core().make_room(owner, lack(SPAWN_DESCRIPTORS))
            || self.core().make_room(owner, lack(1))
    }

    /// The child runs: its record gives the place back from now on.
    fn hand_over(mut self, record: &Arc<Record>) {
        self.handed_over = true;
        self.core().insert(&self.guest.key, record);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.handed_over {
            self.give_back_place();
            self.core().cancel(&self.guest.key);
        }
    }
}
