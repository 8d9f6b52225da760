//! The host methods without any guest.
