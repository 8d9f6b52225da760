//! What one child received and wrote, in turns.
//!
//! A turn is what a child received, and what it wrote then. Where the guest had sent more before it could see an output, that
//! output does not end the turn: the guest did not wait for it, and when exactly it came is an accident of the schedule. So
//! a filter is one turn, and a dialogue has one for each answer. The end of standard input counts as sent. Rejected: every read and write in the order of time, which differs at each recording.

use capspawn_native::Signal;
use sha2::{Digest as _, Sha256};

use crate::dirs::Dirs;
use crate::format::{Content, Cut, Event, Input};
use crate::request::{Values, View};
use crate::text::{Hex, Piece, digits};

/// The most turns of one child that a tape has: 16,384, a dialogue of as many lines. Later ones are one turn.
const MAX_TURNS: usize = 16 * 1024;

/// Which output of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    Stdout,
    Stderr,
}

impl Output {
    pub(super) const BOTH: [Self; 2] = [Self::Stdout, Self::Stderr];
}

/// What one child received and wrote so far.
#[derive(Debug)]
pub(super) struct Journal {
    turns: Vec<Turn>,
    /// Whether the guest itself writes standard input, and so may wait for answers.
    is_dialogue: bool,
    /// After SIGKILL nothing that the host sends changes anything, and how often it sends it is an accident.
    is_killed: bool,
    /// All input so far; of what is over the bound the tape has the hash.
    all_input_bytes: u64,
    outputs: [Total; 2],
    max_stream_bytes: u64,
    values: Values,
}

/// All of one output.
#[derive(Debug, Default)]
struct Total {
    bytes: u64,
    hash: Sha256,
}

#[derive(Debug, Default)]
struct Turn {
    input_bytes: u64,
    input_hash: Sha256,
    /// The input itself, if the tape has it: all of it, or none of what is too long.
    input: Vec<u8>,
    /// Standard input was at its end.
    input_ended: bool,
    signals: Vec<u8>,
    outputs: [Vec<u8>; 2],
    /// An output that the guest may have waited for: what it sends next is another turn.
    is_answered: bool,
}

impl Journal {
    pub(super) fn new(is_dialogue: bool, max_stream_bytes: u64, values: Values) -> Self {
        Self {
            turns: vec![Turn::default()],
            is_dialogue,
            is_killed: false,
            all_input_bytes: 0,
            outputs: Default::default(),
            max_stream_bytes,
            values,
        }
    }

    /// The turn to which what the guest sends now belongs.
    fn asked(&mut self) -> &mut Turn {
        let has_room = self.turns.len() < MAX_TURNS;
        if self.last().is_answered && self.is_dialogue && has_room {
            self.turns.push(Turn::default());
        }
        self.last()
    }

    fn last(&mut self) -> &mut Turn {
        if self.turns.is_empty() {
            self.turns.push(Turn::default());
        }
        let last = self.turns.len() - 1;
        &mut self.turns[last]
    }

    /// The child was sent `bytes`.
    pub(super) fn input(&mut self, bytes: &[u8]) {
        self.all_input_bytes = self.all_input_bytes.saturating_add(bytes.len() as u64);
        let keeps = self.values == Values::Plain && self.all_input_bytes <= self.max_stream_bytes;
        if !self.last().signals.is_empty() {
            self.last().is_answered = true;
        }
        let turn = self.asked();
        turn.input_bytes += bytes.len() as u64;
        turn.input_hash.update(bytes);
        if keeps {
            turn.input.extend_from_slice(bytes);
        }
    }

    /// Standard input was at its end.
    pub(super) fn end_input(&mut self) {
        if !self.last().signals.is_empty() {
            self.last().is_answered = true;
        }
        self.asked().input_ended = true;
    }

    /// The child closed its standard input, or ended, and had not read all of it. How much it had is an accident.
    pub(super) fn abandon_input(&mut self) {
        let sent = self
            .turns
            .iter_mut()
            .rev()
            .find(|turn| turn.input_bytes > 0);
        if let Some(turn) = sent {
            turn.input_bytes = 0;
            turn.input.clear();
        }
        for turn in &mut self.turns {
            turn.input_ended = false;
        }
    }

    /// The host sent a signal of this number.
    pub(super) fn signal(&mut self, number: u8) {
        if !self.is_killed {
            self.asked().signals.push(number);
        }
        self.is_killed |= number == Signal::Kill.number();
    }

    /// Whether the host has sent SIGKILL.
    pub(super) fn is_killed(&self) -> bool {
        self.is_killed
    }

    /// The child wrote `bytes`. `is_awaited` is false where the guest had sent more already.
    pub(super) fn output(&mut self, output: Output, bytes: &[u8], is_awaited: bool) {
        let max = self.max_stream_bytes;
        let total = &mut self.outputs[output as usize];
        let room = usize::try_from(max.saturating_sub(total.bytes)).unwrap_or(usize::MAX);
        total.bytes += bytes.len() as u64;
        total.hash.update(bytes);
        let turn = self.last();
        turn.outputs[output as usize].extend_from_slice(&bytes[..bytes.len().min(room)]);
        turn.is_answered |= is_awaited;
    }

    /// Returns the events, without the start and the end.
    pub(super) fn events(self, view: &View) -> Vec<Event> {
        let mut events = Vec::new();
        for turn in self.turns {
            if turn.input_bytes > 0 {
                events.push(Event::Stdin(turn.input(self.values)));
            }
            if turn.input_ended {
                events.push(Event::StdinEnd);
            }
            events.extend(turn.signals.iter().map(|&number| Event::Signal { number }));
            let [stdout, stderr] = turn.outputs;
            events.extend(pieces(&view.dirs, &stdout).map(Event::Stdout));
            events.extend(pieces(&view.dirs, &stderr).map(Event::Stderr));
        }
        for (name, total) in ["stdout", "stderr"].into_iter().zip(self.outputs) {
            if total.bytes > self.max_stream_bytes {
                events.push(Event::Cut(Cut {
                    stream: name.to_owned(),
                    bytes: total.bytes,
                    sha256: digits(&total.hash.finalize()),
                }));
            }
        }
        events
    }
}

impl Turn {
    fn input(&self, values: Values) -> Input {
        let is_whole = self.input.len() as u64 == self.input_bytes;
        let content = match (values, std::str::from_utf8(&self.input)) {
            (Values::Plain, Ok(text)) if is_whole => Content::Text(text.to_owned()),
            (Values::Plain, Err(_)) if is_whole => Content::Hex(Hex(self.input.clone())),
            _ => Content::Sha256(digits(&self.input_hash.clone().finalize())),
        };
        Input {
            bytes: self.input_bytes,
            content,
        }
    }
}

fn pieces(dirs: &Dirs, bytes: &[u8]) -> impl Iterator<Item = Piece> {
    Piece::split(&dirs.hide(bytes)).into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(journal: Journal) -> Vec<String> {
        let events = journal.events(&View::default());
        events.iter().map(crate::tape::json).collect()
    }

    fn plain(is_dialogue: bool) -> Journal {
        Journal::new(is_dialogue, 8, Values::Plain)
    }

    #[test]
    fn a_dialogue_has_a_turn_for_each_answer() {
        let mut journal = plain(true);
        journal.output(Output::Stderr, b"> ", true);
        journal.input(b"1\n");
        journal.output(Output::Stdout, b"a\n", true);
        journal.input(b"2\n");
        journal.output(Output::Stdout, b"b\n", true);
        journal.end_input();
        journal.output(Output::Stdout, b"c\n", true);
        let expected = [
            r#"{"event":"stderr","text":"> "}"#,
            r#"{"event":"stdin","bytes":2,"text":"1\n"}"#,
            r#"{"event":"stdout","text":"a\n"}"#,
            r#"{"event":"stdin","bytes":2,"text":"2\n"}"#,
            r#"{"event":"stdout","text":"b\n"}"#,
            r#"{"event":"stdin-end"}"#,
            r#"{"event":"stdout","text":"c\n"}"#,
        ];
        assert_eq!(lines(journal), expected);
    }

    /// The same bytes, in whatever order the schedule moves them.
    #[test]
    fn a_filter_is_one_turn() {
        let expected = [
            r#"{"event":"stdin","bytes":4,"text":"abcd"}"#,
            r#"{"event":"stdin-end"}"#,
            r#"{"event":"stdout","text":"ABCD"}"#,
        ];
        let mut early = plain(true);
        early.input(b"ab");
        early.output(Output::Stdout, b"AB", false);
        early.input(b"cd");
        early.end_input();
        early.output(Output::Stdout, b"CD", true);
        assert_eq!(lines(early), expected);
        let mut given = plain(false);
        given.output(Output::Stdout, b"AB", true);
        given.input(b"abcd");
        given.end_input();
        given.output(Output::Stdout, b"CD", true);
        assert_eq!(lines(given), expected);
    }

    #[test]
    fn a_kill_is_written_once() {
        let mut journal = plain(true);
        journal.signal(15);
        journal.signal(9);
        journal.signal(9);
        assert!(journal.is_killed());
        let expected = [15, 9].map(|it| format!(r#"{{"event":"signal","number":{it}}}"#));
        assert_eq!(lines(journal), expected);
    }

    #[test]
    fn input_is_hashed_unless_it_is_requested_plain() {
        let mut journal = Journal::new(true, 8, Values::Hashed);
        journal.input(b"a secret");
        let [line] = lines(journal).try_into().expect("one line");
        assert!(
            !line.contains("secret") && line.contains("\"sha256\":\""),
            "{line}"
        );
    }

    #[test]
    fn plain_input_over_the_bound_is_hashed() {
        let mut journal = plain(true);
        journal.input(b"12345");
        journal.input(b"6789");
        let hash = crate::text::sha256(b"123456789");
        let expected = [format!(
            r#"{{"event":"stdin","bytes":9,"sha256":"{hash}"}}"#
        )];
        assert_eq!(lines(journal), expected);
    }

    #[test]
    fn a_long_stream_is_cut_and_the_rest_counted() {
        let mut journal = plain(true);
        journal.output(Output::Stdout, b"123456", true);
        journal.output(Output::Stdout, b"7890", true);
        let hash = crate::text::sha256(b"1234567890");
        let expected = [
            r#"{"event":"stdout","text":"12345678"}"#.to_owned(),
            format!(r#"{{"event":"cut","stream":"stdout","bytes":10,"sha256":"{hash}"}}"#),
        ];
        assert_eq!(lines(journal), expected);
    }

    #[test]
    fn input_that_the_child_did_not_read_is_left_out() {
        let mut journal = plain(true);
        journal.input(b"1\n");
        journal.output(Output::Stdout, b"one\n", true);
        journal.input(b"never read");
        journal.abandon_input();
        let expected = [
            r#"{"event":"stdin","bytes":2,"text":"1\n"}"#,
            r#"{"event":"stdout","text":"one\n"}"#,
        ];
        assert_eq!(lines(journal), expected);
    }
}
