//! The arguments of a child, kept for [`ChildInfo`](super::info::ChildInfo) and for events.
//!
//! One text and where each argument ends in it: a request of 1 MiB can have a hundred thousand
//! arguments, and as a vector of strings they would take six times as much.

use super::account::Charge;
use crate::launch::Request;

/// An argument vector in one allocation for its text and one for its ends.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    text: Box<str>,
    ends: Box<[u32]>,
    /// The arguments that are not UTF-8: their places, and their bytes.
    raw: Box<[(usize, Vec<u8>)]>,
    arg0: Option<Box<str>>,
    /// All of it, charged to the owner.
    _charge: Option<Charge>,
}

impl Arguments {
    /// Keeps those of `request`; `charge` is for the bytes of [`Arguments::bytes_of`] it.
    pub(crate) fn new(request: &Request, charge: Charge) -> Self {
        let args = &request.args;
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
            raw: request.raw_args.clone().into(),
            arg0: request.arg0.clone().map(String::into_boxed_str),
            _charge: Some(charge),
        }
    }

    /// Returns the bytes that the arguments of `request` will take.
    pub(crate) fn bytes_of(request: &Request) -> usize {
        let args = request.args.iter().map(|arg| arg.len() + size_of::<u32>());
        args.sum::<usize>()
            + raw_bytes(&request.raw_args)
            + request.arg0.as_deref().map_or(0, str::len)
    }

    /// Returns the `argv[0]` that the guest has set.
    pub(crate) fn arg0(&self) -> Option<&str> {
        self.arg0.as_deref()
    }

    /// Returns the arguments that are not UTF-8: their places, and their bytes.
    pub(crate) fn raw(&self) -> &[(usize, Vec<u8>)] {
        &self.raw
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
        let arg0 = self.arg0().map_or(0, str::len);
        self.text.len() + size_of_val(&*self.ends) + raw_bytes(&self.raw) + arg0
    }
}

fn raw_bytes(raw: &[(usize, Vec<u8>)]) -> usize {
    let each = raw.iter().map(|(_, bytes)| bytes.len());
    each.sum::<usize>() + size_of_val(raw)
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
            let request = Request {
                args: args.to_vec(),
                arg0: args.first().cloned(),
                raw_args: vec![(0, vec![0xff; args.len().min(3)])],
                program: "true".into(),
                env_names: Vec::new(),
            };
            let need = Need {
                bytes: Arguments::bytes_of(&request),
                ..Need::default()
            };
            let (charge, _) = account.take(share, need).expect("there is room");
            let kept = Arguments::new(&request, charge);
            assert_eq!(kept.to_vec(), args);
            assert_eq!(kept.raw(), request.raw_args);
            assert_eq!(kept.arg0(), request.arg0.as_deref());
            assert_eq!(kept.bytes(), need.bytes);
            assert!(kept.bytes() <= crate::limits::MAX_REQUEST_BYTES / 2);
        }
        assert!(account.is_empty());
    }
}
