//! The conversions of this version's types.

use super::bindings::types;

crate::convert::conversions!(types);
