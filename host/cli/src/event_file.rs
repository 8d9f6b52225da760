//! The file of `--events`, which may be a pipe that nobody reads or lie on a disk that is full.
//!
//! A host that waits for it would be stopped by whoever reads its events, and an event that was
//! dropped in silence would be missed by nobody. So a write never waits for a reader or for room; what cannot be written is counted, and the
//! count is the next line that can be. Rejected: a thread with a queue, which holds events of a host that crashes, and
//! whose bound is reached all the same.

use std::fs;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use capspawn::{Event, EventKind};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use crate::streams::wait_for_room;

/// The longest that the end of the command waits for a reader of its last events: 1 s.
const PATIENCE: Duration = Duration::from_secs(1);

/// The file, and what could not be written to it.
#[derive(Debug)]
pub(crate) struct EventFile {
    file: fs::File,
    /// The rest of a line of which a part is written.
    rest: Vec<u8>,
    /// Events that were lost since the last event `lost`, the last of them here.
    lost: Option<(u64, Event)>,
    /// All events that were lost.
    all_lost: u64,
}

impl EventFile {
    /// Opens the file for appending, and creates it if there is none.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags =
            OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let mode = Mode::from_raw_mode(0o666);
        let is_fifo = fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo());
        // A named pipe opened for both needs no reader yet, and one that leaves and comes back finds it open.
        let both = is_fifo.then(|| open(path, flags | OFlags::RDWR, mode));
        let file: OwnedFd = match both {
            Some(Ok(file)) => file,
            _ => open(path, flags | OFlags::WRONLY, mode).map_err(no_reader)?,
        };
        Ok(Self {
            file: file.into(),
            rest: Vec::new(),
            lost: None,
            all_lost: 0,
        })
    }

    /// Writes one event as one line, or counts it as lost.
    pub(crate) fn write(&mut self, event: &Event) -> io::Result<()> {
        let written = self.flush().and_then(|()| self.write_line(event));
        if written.is_err() {
            let count = self.lost.take().map_or(0, |(count, _)| count);
            self.lost = Some((count + 1, event.clone()));
            self.all_lost += 1;
        }
        written
    }

    /// Writes what is left to write, and returns how many events were lost in all.
    pub(crate) fn finish(&mut self) -> u64 {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.flush() {
            let left = deadline.saturating_duration_since(Instant::now());
            let may_end = error.kind() == io::ErrorKind::WouldBlock;
            if !may_end || !wait_for_room(&self.file, left).unwrap_or(false) {
                break;
            }
        }
        // A line of which a part is missing is no event.
        self.all_lost + u64::from(!self.rest.is_empty())
    }

    /// Writes the rest of the last line, then the number of events lost since.
    fn flush(&mut self) -> io::Result<()> {
        self.write_rest()?;
        if let Some((count, last)) = &self.lost {
            let (component, tenant) = (last.component.clone(), last.tenant.clone());
            let lost = Event::new(
                EventKind::Lost { count: *count },
                component,
                tenant,
                last.guest,
            );
            self.write_line(&lost)?;
            self.lost = None;
            self.write_rest()?;
        }
        Ok(())
    }

    /// Writes a line, once the last one is complete. If there is room for a part of it only, the rest follows later.
    fn write_line(&mut self, event: &Event) -> io::Result<()> {
        self.rest = (event.to_json() + "\n").into_bytes();
        let whole = self.rest.len();
        let written = self.write_rest();
        if self.rest.len() < whole {
            return Ok(());
        }
        self.rest.clear();
        written
    }

    fn write_rest(&mut self) -> io::Result<()> {
        while !self.rest.is_empty() {
            match self.file.write(&self.rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => drop(self.rest.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Explains the error of a pipe without a reader, to which the system's text does not fit.
fn no_reader(errno: Errno) -> io::Error {
    match errno {
        Errno::NXIO => io::Error::new(
            io::ErrorKind::BrokenPipe,
            "it is a socket, or a pipe that nobody reads",
        ),
        errno => errno.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use capspawn_native::launch::Request;
    use rustix::fs::CWD;
    use serde_json::Value;

    use super::*;

    fn event(arg: &str) -> Event {
        let event = Event::new(
            EventKind::Suppressed {
                of: "refused",
                count: 1,
            },
            "c".into(),
            "t".into(),
            7,
        );
        event.about(&Request {
            args: vec![arg.to_owned()],
            ..Request::default()
        })
    }

    /// A named pipe that is full of events, the number of events that it took, and of those lost.
    fn full_pipe(dir: &Path) -> (EventFile, fs::File, u64) {
        let path = dir.join("pipe");
        rustix::fs::mknodat(
            CWD,
            &path,
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .expect("an empty folder");
        let mut file = EventFile::open(&path).expect("it needs no reader");
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let reader = open(&path, flags, Mode::empty())
            .expect("the pipe is there")
            .into();
        let mut written = 0;
        while file.write(&event(&"x".repeat(700))).is_ok() {
            written += 1;
        }
        // A shorter event might still fit.
        while file.file.write(b"\n").is_ok() {}
        (file, reader, written)
    }

    fn lines(reader: &mut fs::File) -> Vec<Value> {
        let mut text = Vec::new();
        // Ends with EAGAIN: the pipe is empty and has a writer.
        let _ = reader.read_to_end(&mut text);
        let text = String::from_utf8(text).expect("JSON is text");
        let lines = text.lines().filter(|line| !line.is_empty());
        let parsed = lines.map(serde_json::from_str);
        parsed
            .collect::<Result<_, _>>()
            .expect("each line is whole")
    }

    #[test]
    fn events_of_a_full_pipe_are_lost_and_their_number_is_the_next_event() {
        let dir = tempfile::tempdir().expect("/tmp is writable");
        let (mut file, mut reader, written) = full_pipe(dir.path());
        file.write(&event("lost")).expect_err("it is full");
        file.write(&event("lost too")).expect_err("it is full");
        let mut before = lines(&mut reader);
        file.write(&event("there is room")).expect("it was read");
        before.extend(lines(&mut reader));
        let tail = before.split_off(usize::try_from(written).expect("some dozens"));
        let [lost, next] = &tail[..] else {
            panic!("{tail:?}")
        };
        assert_eq!(
            (&lost["event"], &lost["count"]),
            (&"lost".into(), &3.into())
        );
        assert_eq!((&lost["tenant"], &lost["guest"]), (&"t".into(), &7.into()));
        assert_eq!(next["args"][0], "there is room");
        assert_eq!(file.finish(), 3, "the first that did not fit, and two more");
        file.write(&event("again")).expect("it is empty");
        assert_eq!(lines(&mut reader).len(), 1, "the number is reported once");
    }

    #[test]
    fn the_end_reports_what_was_lost_last() {
        let dir = tempfile::tempdir().expect("/tmp is writable");
        let (mut file, mut reader, _) = full_pipe(dir.path());
        lines(&mut reader);
        assert_eq!(file.finish(), 1);
        let last = lines(&mut reader).pop().expect("the number of lost events");
        assert_eq!(
            (&last["event"], &last["count"]),
            (&"lost".into(), &1.into())
        );
    }

    #[test]
    fn a_full_disk_loses_events_and_a_file_none() {
        let mut full = EventFile::open(Path::new("/dev/full")).expect("it can be opened");
        full.write(&event("a")).expect_err("it is full");
        full.write(&event("b")).expect_err("it is full");
        assert_eq!(full.finish(), 2);
        let file = tempfile::NamedTempFile::new().expect("/tmp is writable");
        let mut sink = EventFile::open(file.path()).expect("it exists");
        sink.write(&event("a")).expect("there is room");
        assert_eq!(sink.finish(), 0);
    }
}
