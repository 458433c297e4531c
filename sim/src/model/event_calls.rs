//! How events happen and arrive.

use super::Sim;
use super::event::{Event, Pending, RestoreEvent, SentEvent};
use super::random::{hash, hex};
use super::restore::RestoreState;
use jiff::Timestamp;

impl Sim {
    /// The events that have arrived by now and were not taken before, in the order of their arrival; a lost one is
    /// not among them, a doubled one is there more than once.
    pub fn take_events(&mut self, now: Timestamp) -> Vec<Event> {
        self.run_jobs(now);
        self.send_due_events(now);
        let on_the_way = &mut self.event_schedule.on_the_way;
        let later = on_the_way.split_off(&(now, u64::MAX));
        std::mem::replace(on_the_way, later).into_values().collect()
    }

    /// Everything that happened so far.
    pub fn sent_events(&self) -> &[SentEvent] {
        &self.event_schedule.sent
    }

    /// Lets happen what is to happen by now. Whatever changes an object does this first, so that an event tells of
    /// the object as it was at its time.
    pub(crate) fn send_due_events(&mut self, now: Timestamp) {
        while let Some(next) = self.event_schedule.pending.first_entry().filter(|next| next.key().0 <= now) {
            let ((at, serial), pending) = next.remove_entry();
            if let Some(event) = self.event(&pending, at, serial) {
                self.event_schedule.send(&event);
            }
        }
    }

    /// The event, if what it announces is so: an upgrade moves the completion, an extension the expiry,
    /// a new or deleted object has neither.
    fn event(&self, pending: &Pending, at: Timestamp, serial: u64) -> Option<Event> {
        let bucket = self.buckets.get(&pending.object.bucket).filter(|bucket| bucket.sends_events())?;
        let version = bucket.find(&pending.object.key, Some(&pending.version_id)).ok()?;
        let object = version.object.as_ref()?;
        let retrieval = object.retrieval.as_ref()?;
        let holds = match pending.kind {
            RestoreEvent::Initiated => true,
            RestoreEvent::Completed => retrieval.ready_at == at,
            RestoreEvent::Expired => retrieval.expires == Some(at) && object.restore_at(at) == RestoreState::None,
        };
        let id = hex(hash(self.settings.seed ^ serial, &[&pending.object.key]), 32);
        let uuid = format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]);
        holds.then(|| Event {
            kind: pending.kind,
            object: pending.object.clone(),
            time: at,
            id: uuid,
            size: object.size(),
            etag: object.etag.clone(),
            class: object.class,
            expires: retrieval.expires,
            region: self.settings.region.clone(),
            account: self.settings.account.clone(),
        })
    }
}
