//! The address of a connection, as text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The most bytes of an address: a `struct sockaddr_un`.
pub(super) const MAX_BYTES: usize = 110;

/// Returns the address in `bytes`, a `struct sockaddr`; none for a family that leads nowhere.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    let (family, rest) = bytes.split_first_chunk::<2>()?;
    let port = || rest.first_chunk().map(|port| u16::from_be_bytes(*port));
    match i32::from(u16::from_ne_bytes(*family)) {
        libc::AF_INET => {
            let ip: [u8; 4] = *rest.get(2..)?.first_chunk()?;
            Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(ip)), port()?).to_string())
        }
        libc::AF_INET6 => {
            let ip: [u8; 16] = *rest.get(6..)?.first_chunk()?;
            Some(SocketAddr::new(IpAddr::V6(Ipv6Addr::from(ip)), port()?).to_string())
        }
        libc::AF_UNIX => {
            let (sign, name) = match rest.split_first() {
                // An abstract name.
                Some((0, name)) => ("@", name),
                _ => ("", rest),
            };
            let end = name.iter().position(|byte| *byte == 0);
            let name = name.get(..end.unwrap_or(name.len()))?;
            Some(format!("unix:{sign}{}", String::from_utf8_lossy(name)))
        }
        _ => None,
    }
}

/// Returns a name for the sockets of `family`.
pub(super) fn family(family: i32) -> Option<&'static str> {
    match family {
        libc::AF_INET | libc::AF_INET6 => Some("an internet socket"),
        libc::AF_UNIX => Some("a UNIX socket"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_each_family_are_readable() {
        let inet = [2, 0, 0x01, 0xbb, 192, 0, 2, 1, 0, 0];
        assert_eq!(text(&inet).as_deref(), Some("192.0.2.1:443"));
        let mut inet6 = [0u8; 28];
        inet6[0] = 10;
        inet6[3] = 80;
        inet6[23] = 1;
        assert_eq!(text(&inet6).as_deref(), Some("[::1]:80"));
        assert_eq!(text(b"\x01\0/run/x\0junk").as_deref(), Some("unix:/run/x"));
        assert_eq!(text(b"\x01\0\0bus").as_deref(), Some("unix:@bus"));
        assert_eq!(text(b"\x02"), None);
        assert_eq!(text(&[2, 0, 1]), None);
        assert_eq!(text(&[16, 0, 0, 0]), None);
    }
}
