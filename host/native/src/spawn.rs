//! The one way to a new child: request, reservation, decision, plan, launch.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::io::{DupFlags, dup3, retry_on_intr};

use super::Shared;
use crate::approval::{self, Subject};
use crate::capture::Capture;
use crate::child::Child;
use crate::command::Command;
use crate::entry::{Entry, Start};
use crate::error::{LaunchError, Quota, SpawnError, Stage};
use crate::event::EventKind;
use crate::grant::Decision;
use crate::guest::Guest;
use crate::launch::{Plan, Process};
use crate::pipes;
use crate::supervisor::Supervised;

/// Starts what `command` asks for, if the guest's grant allows it.
pub(crate) fn spawn(guest: &Guest, command: &Command) -> Result<Child, SpawnError> {
    told(guest, command, try_spawn(guest, command))
}

/// The same, and asks the approver where the grant says so.
pub(crate) async fn spawn_asking(guest: &Guest, command: &Command) -> Result<Child, SpawnError> {
    told(guest, command, try_spawn_asking(guest, command).await)
}

/// Tells the operator of a request that came to nothing.
fn told(
    guest: &Guest,
    command: &Command,
    result: Result<Child, SpawnError>,
) -> Result<Child, SpawnError> {
    if let Err(error) = &result {
        let shared = guest.registry.shared();
        shared.emit(
            &guest.owner.component,
            &command.program,
            &command.args,
            || EventKind::refused(error),
        );
    }
    result
}

fn try_spawn(guest: &Guest, command: &Command) -> Result<Child, SpawnError> {
    match decide(guest, command)? {
        (permit, Decision::Allow(plan)) => start(permit, &plan, command),
        (_, Decision::Ask(plan)) => Err(approval::denied(
            &plan.name,
            "it needs approval, and this caller asks nobody",
        )),
    }
}

async fn try_spawn_asking(guest: &Guest, command: &Command) -> Result<Child, SpawnError> {
    let subject = match decide(guest, command)? {
        (permit, Decision::Allow(plan)) => return start(permit, &plan, command),
        (permit, Decision::Ask(plan)) => {
            let subject = Subject::new(&guest.owner, command, &plan)?;
            if guest.approvals.allows(&subject) {
                return start(permit, &plan, command);
            }
            subject
        }
    };
    // No slot is held while somebody thinks: the permit is gone by now.
    let shared = guest.registry.shared();
    guest.approvals.ask(shared, &subject).await?;
    let permit = Permit::take(guest)?;
    // The program and the directory may have changed meanwhile.
    let plan = guest.grant.decide(command)?.into_plan();
    if Subject::new(&guest.owner, command, &plan)? != subject {
        let reason = "it is no longer what was approved";
        return Err(approval::denied(&plan.name, reason));
    }
    start(permit, &plan, command)
}

/// Charges the rate, takes a permit and decides.
fn decide<'a>(guest: &'a Guest, command: &Command) -> Result<(Permit<'a>, Decision), SpawnError> {
    command.validate()?;
    let shared = guest.registry.shared();
    if !shared.state.lock().closed {
        let quotas = guest.grant.quotas();
        shared
            .charge_rate(&guest.owner, quotas)
            .map_err(SpawnError::Quota)?;
    }
    let permit = Permit::take(guest)?;
    let decision = guest.grant.decide(command)?;
    Ok((permit, decision))
}

fn start(permit: Permit<'_>, plan: &Plan, command: &Command) -> Result<Child, SpawnError> {
    let shared = permit.shared;
    shared
        .oversight
        .admits(&permit.guest.owner, command, plan)?;
    let enforcement = shared.launcher.enforcement(&plan.confinement);
    if !enforcement.admits(plan.confinement.sandbox) {
        return Err(SpawnError::SandboxUnavailable(Box::new(enforcement)));
    }
    let (child_stdio, mut host_stdio) = pipes::make(command)?;
    // A place for what the end is watched with, taken before there is a child that could not be.
    let place = plan.program.file.try_clone().map(OwnedFd::from);
    let mut exit_fd = place.map_err(|error| LaunchError::new(Stage::Pipe, error))?;
    let process: Arc<dyn Process> = shared
        .launcher
        .launch(permit.guest.scope, plan, child_stdio)?
        .into();
    let placed = retry_on_intr(|| dup3(process.exit_fd(), &mut exit_fd, DupFlags::CLOEXEC))
        .map(|()| exit_fd);
    let entry = Arc::new(Entry::new(Start {
        id: shared.next_id.fetch_add(1, Ordering::Relaxed),
        owner: permit.guest.owner.clone(),
        program: command.program.clone(),
        args: command.args.clone(),
        disclose_pid: plan.disclose_pid,
        confinement: enforcement.summary(),
        limits: plan.limits.clone(),
        stdout: Capture::new(plan.capture.stdout_bytes),
        stderr: Capture::new(plan.capture.stderr_bytes),
        untaken: std::mem::take(&mut host_stdio.untaken),
        process: Arc::clone(&process),
    }));
    let guest = permit.hand_over(&entry);
    let terms = guest.grant.detach();
    let child = Child::new(Arc::clone(&entry), guest.registry.clone(), terms);
    shared.emit(&entry.owner.component, &entry.program, &entry.args, || {
        EventKind::Spawn {
            id: entry.id,
            pid: process.pid(),
            confinement: entry.confinement,
        }
    });
    let supervised = Supervised {
        entry,
        shared: Arc::clone(shared),
        process,
    };
    shared.handle.spawn(supervised.run(host_stdio, placed));
    Ok(child)
}

/// A slot and the quotas of one child, given back where nothing starts.
struct Permit<'a> {
    guest: &'a Guest,
    shared: &'a Arc<Shared>,
    handed_over: bool,
}

impl<'a> Permit<'a> {
    fn take(guest: &'a Guest) -> Result<Self, SpawnError> {
        let shared = guest.registry.shared();
        if shared.state.lock().closed {
            return Err(SpawnError::Shutdown);
        }
        let quotas = guest.grant.quotas();
        shared
            .reserve(&guest.owner, quotas)
            .map_err(SpawnError::Quota)?;
        if !guest.take_total(quotas.max_total) {
            shared.unreserve(&guest.owner);
            return Err(SpawnError::Quota(Quota::TotalChildren));
        }
        Ok(Self {
            guest,
            shared,
            handed_over: false,
        })
    }

    /// The child runs: its entry gives back from now on.
    fn hand_over(mut self, entry: &Arc<Entry>) -> &'a Guest {
        self.handed_over = true;
        self.shared.insert(entry);
        entry.holder.enter(entry, &self.guest.running);
        self.guest
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.handed_over {
            self.shared.unreserve(&self.guest.owner);
            self.guest.give_back_total();
        }
    }
}
