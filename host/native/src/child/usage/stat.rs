//! One process, as `/proc/PID/stat` shows it.

/// One process, as `/proc/PID/stat` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) pid: u32,
    pub(super) parent: u32,
    pub(super) group: u32,
    pub(super) threads: u64,
    /// When it was started, in ticks after the boot.
    pub(super) start_ticks: u64,
    /// Its own processor time, in ticks.
    pub(super) own_ticks: u64,
    /// The processor time of the children that it has reaped, and of theirs, in ticks.
    pub(super) reaped_ticks: u64,
    pub(super) resident_pages: u64,
    /// The first thread has ended and others run: the kernel then shows no memory here.
    pub(super) first_thread_ended: bool,
}

impl Stat {
    /// Parses `/proc/PID/stat`. The name is what the process chose: any bytes, with
    /// spaces and parentheses.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let name = line.iter().position(|byte| *byte == b'(')?;
        let end = line.iter().rposition(|byte| *byte == b')')?;
        let pid = std::str::from_utf8(line.get(..name)?).ok()?.trim();
        let rest = std::str::from_utf8(line.get(end + 1..)?).ok()?;
        // proc(5) numbers the fields from 1; the state after the name is field 3.
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let id = |field: usize| u32::try_from(number(field)?).ok();
        let threads = number(20)?;
        Some(Self {
            pid: pid.parse().ok()?,
            parent: id(4)?,
            group: id(5)?,
            threads,
            start_ticks: number(22)?,
            own_ticks: number(14)?.saturating_add(number(15)?),
            reaped_ticks: number(16)?.saturating_add(number(17)?),
            resident_pages: number(24)?,
            first_thread_ended: fields.first() == Some(&"Z") && threads > 1,
        })
    }

    /// Its processor time and that of the children it has reaped, in ticks.
    pub(super) fn ticks(&self) -> u64 {
        self.own_ticks.saturating_add(self.reaped_ticks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_full_of_parentheses_parses() {
        let line = b"12 (a) b (c) S 1 10 10 0 -1 4194304 1 0 0 0 5 6 7 8 20 0 3 0 99 1000 44 18446744073709551615";
        let expected = Stat {
            pid: 12,
            parent: 1,
            group: 10,
            threads: 3,
            start_ticks: 99,
            own_ticks: 11,
            reaped_ticks: 15,
            resident_pages: 44,
            first_thread_ended: false,
        };
        assert_eq!(Stat::parse(line), Some(expected.clone()));
        assert_eq!(Stat::parse(b"12 (cut off"), None);
        let renamed: Vec<u8> = [&b"12 (\xff\xfe) b (\xc3) "[..], &line[13..]].concat();
        assert_eq!(Stat::parse(&renamed), Some(expected), "{renamed:?}");
    }

    #[test]
    fn a_first_thread_that_has_ended_is_told_from_an_ended_process() {
        let with = |state: &str, threads: u32| {
            let line =
                format!("12 (a) {state} 1 10 10 0 -1 0 1 0 0 0 5 6 7 8 20 0 {threads} 0 99 0 0");
            Stat::parse(line.as_bytes()).expect("a whole line")
        };
        assert!(with("Z", 2).first_thread_ended);
        assert!(!with("Z", 1).first_thread_ended);
        assert!(!with("Z", 0).first_thread_ended);
        assert!(!with("S", 2).first_thread_ended);
    }
}
