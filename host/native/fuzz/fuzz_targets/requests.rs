//! The readers of a session's messages, on any bytes: none may panic, and what they return
//! must lie within the bytes.

#![no_main]

use capspawn_raw::wire;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = wire::Report::read(bytes);
    if let Some(configuration) = wire::Configuration::read(bytes) {
        assert!(configuration.operations().count() <= bytes.len());
    }
    let Some(spawn) = wire::Spawn::read(bytes) else {
        return;
    };
    assert!(spawn.limits().count() <= wire::MAX_LIMITS);
    let Some(strings) = spawn.strings else {
        return;
    };
    let mut pointers = [std::ptr::null(); 256];
    if spawn.split(strings, &mut pointers).is_some() {
        let range = strings.as_ptr_range();
        let used = spawn.arguments + spawn.variables + 2;
        let nulls = pointers[..used].iter().filter(|pointer| pointer.is_null());
        assert_eq!(nulls.count(), 2);
        let inside = |pointer: &&*const u8| pointer.is_null() || range.contains(*pointer);
        assert!(pointers[..used].iter().all(|pointer| inside(&pointer)));
    }
});
