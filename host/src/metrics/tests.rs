//! What the facade receives for a child and for a refusal.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ::metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit, with_local_recorder,
};
use capspawn_native::{Command, Grants, Registry};

use super::*;

/// A recorder that keeps sums and counts by name and labels.
#[derive(Debug, Default, Clone)]
struct Kept(Arc<Mutex<BTreeMap<String, f64>>>);

#[derive(Debug)]
struct Series(Kept, String);

impl Series {
    fn add(&self, value: f64) {
        *self
            .0
            .0
            .lock()
            .expect("no test panics here")
            .entry(self.1.clone())
            .or_default() += value;
    }
}

impl CounterFn for Series {
    fn increment(&self, value: u64) {
        self.add(float(value));
    }
    fn absolute(&self, _: u64) {}
}

impl GaugeFn for Series {
    fn increment(&self, value: f64) {
        self.add(value);
    }
    fn decrement(&self, value: f64) {
        self.add(-value);
    }
    fn set(&self, _: f64) {}
}

impl HistogramFn for Series {
    fn record(&self, _: f64) {
        self.add(1.0);
    }
}

impl Kept {
    fn series(&self, key: &Key) -> Arc<Series> {
        let labels = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()));
        let labels: Vec<_> = labels.collect();
        Arc::new(Series(
            self.clone(),
            format!("{} {}", key.name(), labels.join(",")),
        ))
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.series(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.series(key))
    }
}

#[test]
fn a_child_and_a_refusal_are_counted_by_component_and_never_by_what_the_guest_wrote() {
    let kept = Kept::default();
    let text = "version = 1\n[[component.c.command]]\nname = \"echo\"\nprogram = \"/bin/echo\"\nargs = [\"x\"]\nsandbox = \"none\"\n";
    let grants = Grants::from_toml_str(text, "/".as_ref()).expect("a grant");
    let recorder = kept.clone();
    let registry = Registry::builder()
        .on_event(move |event| with_local_recorder(&recorder, || record(event)))
        .build()
        .expect("the registry starts");
    let guest = registry.guest(grants.component("c"), "");
    let child = guest
        .spawn(&Command::new("echo").arg("x"))
        .expect("it is allowed");
    child.wait_blocking(None).expect("it ends");
    guest
        .spawn(&Command::new("echo").arg("secret"))
        .expect_err("it is denied");
    registry.shutdown(std::time::Duration::from_secs(10));
    let kept = kept.0.lock().expect("no test panics here");
    for (series, value) in [
        (
            "capspawn_children_started_total component=c,confinement=none",
            1.0,
        ),
        (
            "capspawn_children_ended_total component=c,status=exited",
            1.0,
        ),
        ("capspawn_children_running component=c", 0.0),
        (
            "capspawn_requests_refused_total component=c,kind=denied",
            1.0,
        ),
        ("capspawn_child_seconds component=c", 1.0),
        ("capspawn_child_output_bytes component=c,stream=stdout", 1.0),
    ] {
        assert_eq!(kept.get(series), Some(&value), "{series}: {kept:?}");
    }
    assert!(
        !kept
            .keys()
            .any(|key| key.contains("secret") || key.contains("echo")),
        "{kept:?}"
    );
}
