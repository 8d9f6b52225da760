//! Conversions between this version's generated types and the native ones.

use super::bindings::types;

crate::convert::conversions!(types);
