//! The sandbox tier that the environment demands of a test run.

use std::env;
use std::fmt::Display;
use std::str::FromStr;

/// The variable that demands a tier: `A`, `B` or `C`.
pub const REQUIRE_TIER: &str = "CAPSPAWN_REQUIRE_TIER";

/// Whether the environment demands a tier. Tests that would skip a check on a
/// machine that lacks something then fail instead.
#[must_use]
pub fn is_tier_required() -> bool {
    env::var_os(REQUIRE_TIER).is_some()
}

/// Returns the tier that the environment demands, or `None` without a demand.
///
/// This crate does not know the type, which is `capspawn_native::sandbox::Tier`.
///
/// # Panics
///
/// The variable does not name a tier.
#[must_use]
pub fn required_tier<T>() -> Option<T>
where
    T: FromStr,
    T::Err: Display,
{
    let name = env::var(REQUIRE_TIER).ok()?;
    match name.parse() {
        Ok(tier) => Some(tier),
        Err(error) => panic!("{REQUIRE_TIER}={name}: {error}"),
    }
}
