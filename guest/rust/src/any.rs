//! Waiting for several children at once.

use std::io;
use std::time::Duration;

use wasip2::io::poll::Pollable;

use crate::child::Child;
use crate::status::ExitStatus;
use crate::wait;

/// Blocks until one of `children` has ended, and returns its index and how it ended.
///
/// If several have ended, it is the first of them in `children`. Standard input stays open.
///
/// ```
/// use capspawn_guest::{Command, wait_any};
///
/// let mut children = vec![
///     Command::new("sleep").arg("60").spawn()?,
///     Command::new("true").spawn()?,
/// ];
/// let (first, status) = wait_any(&mut children)?;
/// assert_eq!(first, 1);
/// assert!(status.success());
/// // The other one is killed here.
/// drop(children);
/// # std::io::Result::Ok(())
/// ```
///
/// # Errors
///
/// [`InvalidInput`](io::ErrorKind::InvalidInput): there are no children.
pub fn wait_any(children: &mut [Child]) -> io::Result<(usize, ExitStatus)> {
    if children.is_empty() {
        let message = "there are no children to wait for";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let ended = wait_until(children, None)?;
    Ok(ended.expect("without a timeout it waits for an end"))
}

/// The same, for at most `timeout`; the result is none if no child has ended by then.
///
/// # Errors
///
/// None. The result has the type of that of [`wait_any`].
pub fn wait_any_timeout(
    children: &mut [Child],
    timeout: Duration,
) -> io::Result<Option<(usize, ExitStatus)>> {
    wait_until(children, Some(wait::timer(timeout)))
}

fn wait_until(
    children: &mut [Child],
    timer: Option<Pollable>,
) -> io::Result<Option<(usize, ExitStatus)>> {
    loop {
        for (index, child) in children.iter_mut().enumerate() {
            if let Some(status) = child.try_wait()? {
                return Ok(Some((index, status)));
            }
        }
        if timer.as_ref().is_some_and(Pollable::ready) {
            return Ok(None);
        }
        let pollables: Vec<Pollable> = children.iter().map(Child::subscribe).collect();
        let wanted: Vec<&Pollable> = pollables.iter().chain(&timer).collect();
        wait::block(&wanted);
    }
}
