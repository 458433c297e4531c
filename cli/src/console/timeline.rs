//! The life of a restore in time: what has happened, what is typical, and when thaw looks. Nothing is made up: a restore has no
//! percentage, and S3 promises no time.

use jiff::{SignedDuration, Timestamp};
use thaw_core::{ArchiveKind, Look, Status, Tier, Window, look};

use crate::answers::{Object, Restore};
use crate::console::axis::Axis;
use crate::console::states::ObjectState;

/// Into how many pieces the axis is divided for counting what happened.
const PIECES: u32 = 60;

/// The life of a restore.
#[derive(Debug, PartialEq)]
pub struct Timeline {
    pub axis: Axis,
    pub requested: Timestamp,
    /// When S3 could be asked from.
    pub planned: Option<Timestamp>,
    /// When it ended; a running restore has not.
    pub ended: Option<Timestamp>,
    /// The time at which this was true.
    pub now: Timestamp,
    pub windows: Vec<TypicalWindow>,
    pub changes: Vec<Change>,
    /// Each from when CloudFront was asked to when it was known to be done, or to now.
    pub invalidations: Vec<[Timestamp; 2]>,
}

/// When S3 is typically done with the objects of a kind.
#[derive(Debug, PartialEq)]
pub struct TypicalWindow {
    pub kind: ArchiveKind,
    pub tier: Tier,
    pub objects: u64,
    pub earliest: Timestamp,
    pub typical: Timestamp,
    /// When thaw looks for objects that no event has reported, as it is scheduled at the request.
    pub looks: Vec<Timestamp>,
}

/// How many objects came into a state in a piece of time.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    pub at: Timestamp,
    pub state: ObjectState,
    pub objects: u32,
}

/// The life of a restore as it is known at `now`. `objects` are those whose changes are shown.
pub fn timeline(restore: &Restore, objects: &[Object], now: Timestamp) -> Timeline {
    let requested = restore.requested_at;
    let windows = windows(restore);
    let ended = restore.completed_at;
    let until = ended.unwrap_or(now);
    let invalidations = restore.invalidations.iter().filter_map(|one| {
        let from = one.requested_at?;
        Some([from, one.completed_at.unwrap_or(until).max(from)])
    });
    let invalidations: Vec<_> = invalidations.collect();
    let ends = windows.iter().map(|window| window.typical).chain([until]);
    let axis = Axis::over(ends, requested);
    let windows = windows.into_iter().map(|window| match restore.batch_operations {
        // When a job asks for an object is not known here.
        true => window,
        false => {
            let until = all_came(window.kind, restore, objects).or(ended).unwrap_or(axis.to);
            TypicalWindow { looks: looks(&window, begun(restore), until), ..window }
        }
    });
    Timeline {
        axis,
        requested,
        planned: restore.planned_at,
        ended,
        now,
        windows: windows.collect(),
        changes: changes(objects, axis),
        invalidations,
    }
}

/// When S3 was asked, within minutes: after the plan.
fn begun(restore: &Restore) -> Timestamp {
    restore.planned_at.unwrap_or(restore.requested_at)
}

/// The typical windows of a restore's kinds; none if S3 was asked for nothing.
fn windows(restore: &Restore) -> Vec<TypicalWindow> {
    let is_refused = restore.problem.is_some() || (restore.status != Status::Running && restore.counts.total == 0);
    if restore.ready_between.is_none() || is_refused {
        return Vec::new();
    }
    let begun = begun(restore);
    let after = |window: Window| {
        let at = |duration| begun.checked_add(SignedDuration::try_from(duration).ok()?).ok();
        Some((at(window.earliest)?, at(window.typical)?))
    };
    let of_kind = |kind: ArchiveKind| match restore.batch_operations {
        true => kind.window_by_jobs(restore.tier),
        false => kind.window(restore.tier),
    };
    let kinds = restore.by_kind.iter().filter(|total| total.objects > 0);
    kinds
        .filter_map(|total| {
            let (earliest, typical) = of_kind(total.kind).and_then(after)?;
            let (kind, tier, objects) = (total.kind, restore.tier, total.objects);
            Some(TypicalWindow { kind, tier, objects, earliest, typical, looks: Vec::new() })
        })
        .collect()
}

/// When the last object of a kind came or failed, if that is known: there is nothing to look for any more.
fn all_came(kind: ArchiveKind, restore: &Restore, objects: &[Object]) -> Option<Timestamp> {
    let has_all = objects.len() as u64 == restore.counts.total;
    let of_kind = || objects.iter().filter(|object| object.kind == Some(kind));
    let is_awaited = |object: &Object| match ObjectState::named(&object.state) {
        Some(ObjectState::Restoring | ObjectState::Planned) | None => true,
        Some(
            ObjectState::Published
            | ObjectState::Restored
            | ObjectState::Available
            | ObjectState::Cancelled
            | ObjectState::Failed,
        ) => false,
    };
    if !has_all || of_kind().any(is_awaited) {
        return None;
    }
    of_kind().map(|object| object.since).max()
}

/// The looks at objects whose restore S3 accepted at `since`.
fn looks(window: &TypicalWindow, since: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    let (mut at, mut looks) = (since, Vec::new());
    loop {
        let (is_look, seconds) = match look(window.kind, window.tier, since, at) {
            Look::NotYet { seconds } => (false, seconds),
            Look::Due { again, late: _ } => (true, again),
            Look::Last => return looks,
        };
        if is_look {
            looks.push(at);
        }
        let next =
            i64::try_from(seconds).ok().and_then(|seconds| at.checked_add(SignedDuration::from_secs(seconds)).ok());
        match next.filter(|next| *next > at && *next <= until) {
            Some(next) => at = next,
            None => return looks,
        }
    }
}

/// What happened to these objects, counted by pieces of the axis.
fn changes(objects: &[Object], axis: Axis) -> Vec<Change> {
    let piece = axis.to.duration_since(axis.from) / i32::try_from(PIECES).unwrap_or(i32::MAX);
    let mut changes: Vec<Change> = Vec::new();
    for object in objects {
        let state = match ObjectState::named(&object.state) {
            Some(state @ (ObjectState::Published | ObjectState::Restored | ObjectState::Failed)) => state,
            Some(ObjectState::Restoring | ObjectState::Planned | ObjectState::Available | ObjectState::Cancelled) => {
                continue;
            }
            None => continue,
        };
        let seconds = object.since.duration_since(axis.from).as_secs().max(0) / piece.as_secs().max(1);
        let at = axis.from + piece * i32::try_from(seconds).unwrap_or(0).min(i32::try_from(PIECES).unwrap_or(0));
        match changes.iter_mut().find(|change| change.at == at && change.state == state) {
            Some(change) => change.objects += 1,
            None => changes.push(Change { at, state, objects: 1 }),
        }
    }
    changes.sort_by_key(|change| (change.at, ObjectState::ALL.iter().position(|state| *state == change.state)));
    changes
}

#[cfg(test)]
mod tests;
