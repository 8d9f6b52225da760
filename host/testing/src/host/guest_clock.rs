//! The host's clock as the guest's own: `wasi:clocks`, in both versions.
//!
//! A guest that sleeps for ten minutes is to take no longer than a child that does. wasmtime's own clocks sleep in the
//! system's time, whatever clock they show.

use std::time::{Duration, Instant};

use capspawn_native::clock::Clock;
use wasmtime::component::{Accessor, HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynPollable, Pollable, bindings::clocks as p2, subscribe};
use wasmtime_wasi::p3::bindings::clocks as p3;

use super::state::TestState;

/// The clock, and the table of the guest's resources.
pub(super) struct GuestClock<'a> {
    pub(super) clock: &'a Clock,
    pub(super) table: &'a mut ResourceTable,
}

/// The marker type for which the interfaces are implemented.
struct HasGuestClock;

impl HasData for HasGuestClock {
    type Data<'a> = GuestClock<'a>;
}

/// Replaces the clocks of WASI.
pub(super) fn add_to_linker(linker: &mut Linker<TestState>) -> wasmtime::Result<()> {
    let clock = TestState::guest_clock;
    p2::monotonic_clock::add_to_linker::<_, HasGuestClock>(linker, clock)?;
    p2::wall_clock::add_to_linker::<_, HasGuestClock>(linker, clock)?;
    p3::monotonic_clock::add_to_linker::<_, HasGuestClock>(linker, clock)?;
    p3::system_clock::add_to_linker::<_, HasGuestClock>(linker, clock)
}

impl GuestClock<'_> {
    /// Returns the nanoseconds that the guest has as its monotonic time: those of the day's time, which is one clock too.
    fn nanos(&self) -> u64 {
        u64::try_from(self.since_epoch().as_nanos()).unwrap_or(u64::MAX)
    }

    fn since_epoch(&self) -> Duration {
        let wall = self.clock.wall();
        let since = wall.duration_since(std::time::SystemTime::UNIX_EPOCH);
        since.unwrap_or_default()
    }

    fn in_nanos(&self, nanos: u64) -> Option<Instant> {
        self.clock.now().checked_add(Duration::from_nanos(nanos))
    }
}

/// A moment that a guest waits for; none never comes.
struct Moment {
    clock: Clock,
    at: Option<Instant>,
}

impl Moment {
    async fn wait(&self) {
        match self.at {
            Some(at) => self.clock.sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Pollable for Moment {
    async fn ready(&mut self) {
        self.wait().await;
    }
}

impl p2::monotonic_clock::Host for GuestClock<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.nanos())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let left = when.saturating_sub(self.nanos());
        self.subscribe_duration(left)
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let moment = Moment {
            clock: self.clock.clone(),
            at: self.in_nanos(duration),
        };
        let moment = self.table.push(moment)?;
        subscribe(self.table, moment)
    }
}

impl p2::wall_clock::Host for GuestClock<'_> {
    fn now(&mut self) -> wasmtime::Result<p2::wall_clock::Datetime> {
        let now = self.since_epoch();
        Ok(p2::wall_clock::Datetime {
            seconds: now.as_secs(),
            nanoseconds: now.subsec_nanos(),
        })
    }

    fn resolution(&mut self) -> wasmtime::Result<p2::wall_clock::Datetime> {
        Ok(p2::wall_clock::Datetime {
            seconds: 0,
            nanoseconds: 1,
        })
    }
}

impl<U: 'static> p3::monotonic_clock::HostWithStore<U> for HasGuestClock {
    async fn wait_until(store: &Accessor<U, Self>, when: u64) -> wasmtime::Result<()> {
        let left = store.with(|mut view| when.saturating_sub(view.get().nanos()));
        Self::wait_for(store, left).await
    }

    async fn wait_for(store: &Accessor<U, Self>, duration: u64) -> wasmtime::Result<()> {
        let moment = store.with(|mut view| {
            let view = view.get();
            Moment {
                clock: view.clock.clone(),
                at: view.in_nanos(duration),
            }
        });
        moment.wait().await;
        Ok(())
    }
}

impl p3::monotonic_clock::Host for GuestClock<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.nanos())
    }

    fn get_resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }
}

impl p3::system_clock::Host for GuestClock<'_> {
    fn now(&mut self) -> wasmtime::Result<p3::system_clock::Instant> {
        let now = self.since_epoch();
        Ok(p3::system_clock::Instant {
            seconds: now.as_secs().try_into()?,
            nanoseconds: now.subsec_nanos(),
        })
    }

    fn get_resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }
}
