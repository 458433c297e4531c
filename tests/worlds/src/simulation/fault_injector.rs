//! Chooses the faults that hit calls, invocations and events.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use thaw_steps::Step;

use crate::environment::Environment;
use crate::world::{CallFaultKind, EventFaultKind, InvocationFaultKind, Service, ServiceCall, ServiceOutage, World};

/// Counts what happens, because the faults of a world name the nth call, invocation or event.
#[derive(Default)]
pub(super) struct FaultInjector {
    calls: RefCell<BTreeMap<(Step, ServiceCall), u32>>,
    invocations: RefCell<BTreeMap<Step, u32>>,
    events: Cell<u32>,
    confirmations: Cell<u32>,
}

impl FaultInjector {
    /// The fault of the next call of this kind, of its own or by an outage.
    pub(super) fn for_call(&self, env: &Environment, step: Step, call: ServiceCall) -> Option<CallFaultKind> {
        let nth = next(&mut self.calls.borrow_mut(), (step, call));
        let faults = &env.world.call_faults;
        let fault = faults.iter().find(|fault| (fault.step, fault.call, fault.nth) == (step, call, nth));
        fault.map(|fault| fault.kind).or_else(|| outage(env, call.service()))
    }

    /// The fault of the next invocation of a function.
    pub(super) fn for_invocation(&self, world: &World, step: Step) -> Option<InvocationFaultKind> {
        let nth = next(&mut self.invocations.borrow_mut(), step);
        let fault = world.invocation_faults.iter().find(|fault| (fault.step, fault.nth) == (step, nth));
        fault.map(|fault| fault.kind)
    }

    /// The fault of the next event of S3.
    pub(super) fn for_event(&self, world: &World) -> Option<EventFaultKind> {
        let nth = self.events.get();
        self.events.set(nth + 1);
        let fault = world.event_faults.iter().find(|fault| fault.nth == nth).map(|fault| fault.kind);
        if world.event_rules_disabled { Some(EventFaultKind::Lost) } else { fault }
    }

    /// The fault of the next confirmation.
    pub(super) fn for_confirmation(&self, world: &World) -> Option<EventFaultKind> {
        let nth = self.confirmations.get();
        self.confirmations.set(nth + 1);
        world.confirmation_faults.iter().find(|fault| fault.nth == nth).map(|fault| fault.kind)
    }
}

/// Counts one more, and returns the number before.
fn next<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K) -> u32 {
    let count = counts.entry(key).or_default();
    *count += 1;
    *count - 1
}

/// The fault that an outage of a service causes now, if any.
pub(super) fn outage(env: &Environment, service: Service) -> Option<CallFaultKind> {
    if env.world.outages.is_empty() {
        return None;
    }
    let elapsed = env.now().duration_since(env.start).as_secs();
    let is_active = |outage: &&ServiceOutage| {
        outage.service == service && (0..i64::from(outage.seconds)).contains(&(elapsed - i64::from(outage.start)))
    };
    let outage = env.world.outages.iter().find(is_active)?;
    (env.random.next() % 100 < u64::from(outage.percent)).then_some(outage.kind)
}
