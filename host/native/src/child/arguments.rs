//! The arguments of a child, kept for [`ChildInfo`](super::info::ChildInfo) and for events.
//!
//! One text and where each argument ends in it: a request of 1 MiB can have a hundred thousand
//! arguments, and as a vector of strings they would take six times as much.

use super::account::Charge;

/// An argument vector in one allocation for its text and one for its ends.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    text: Box<str>,
    ends: Box<[u32]>,
    /// Both, charged to the owner.
    _charge: Option<Charge>,
}

impl Arguments {
    /// Keeps `args`; `charge` is for the bytes of [`Arguments::bytes_of`] them.
    pub(crate) fn new(args: &[String], charge: Charge) -> Self {
        let text = args.concat().into_boxed_str();
        let mut end = 0u32;
        let ends: Box<[u32]> = args
            .iter()
            .map(|arg| {
                // A request has 1 MiB at most.
                end += u32::try_from(arg.len()).unwrap_or(u32::MAX);
                end
            })
            .collect();
        Self {
            text,
            ends,
            _charge: Some(charge),
        }
    }

    /// Returns the bytes that `args` will take.
    pub(crate) fn bytes_of(args: &[String]) -> usize {
        args.iter().map(|arg| arg.len() + size_of::<u32>()).sum()
    }

    /// Returns them as they were requested.
    pub(crate) fn to_vec(&self) -> Vec<String> {
        let mut start = 0;
        let ends = self
            .ends
            .iter()
            .filter_map(|end| usize::try_from(*end).ok());
        ends.map(|end| {
            let arg = self.text.get(start..end).unwrap_or_default().to_owned();
            start = end;
            arg
        })
        .collect()
    }

    /// Returns the bytes that they take.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len() + size_of_val(&*self.ends)
    }
}

#[cfg(test)]
mod tests {
    use super::super::account::{Account, Need, Share, Totals};
    use super::*;

    #[test]
    fn the_arguments_read_back_and_a_hundred_thousand_take_less_than_their_request() {
        let account = Account::new(Totals::new(10 << 20, 0));
        let share = Share {
            bytes: 10 << 20,
            descriptors: 0,
        };
        let few = ["", "a", "", "ä\n", "b c"].map(str::to_owned);
        let many = vec!["x".to_owned(); 104_000];
        for args in [&few[..], &many, &[]] {
            let need = Need {
                bytes: Arguments::bytes_of(args),
                ..Need::default()
            };
            let (charge, _) = account.take(share, need).expect("there is room");
            let kept = Arguments::new(args, charge);
            assert_eq!(kept.to_vec(), args);
            assert_eq!(kept.bytes(), need.bytes);
            assert!(kept.bytes() <= crate::limits::MAX_REQUEST_BYTES / 2);
        }
        assert!(account.is_empty());
    }
}
