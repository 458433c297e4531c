//! Pictures as SVG. Places are percent of the width and heights are pixels, so that text keeps its size on every screen.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use thaw_core::Counts;

use crate::console::axis::Axis;
use crate::console::states::ObjectState;
use crate::console::timeline::{Change, Timeline};
use crate::console::words::number;
use crate::output::{time, times};

/// Heights in pixels: the room for the word "now", a lane with its label, the bar in it, and the times below.
const HEAD: u32 = 16;
const LANE: u32 = 44;
const LABEL: u32 = 14;
const BAR: u32 = 12;
const TIMES: u32 = 24;

/// Where a lane's bar begins.
fn top(lane: u32) -> u32 {
    HEAD + lane * LANE + LABEL + 6
}

/// Where the line with the times is, below so many lanes.
fn base(lanes: u32) -> u32 {
    HEAD + lanes * LANE
}

fn percent(value: f64) -> String {
    format!("{value:.2}%")
}

/// The objects of a restore by state, on one bar.
pub fn bar(counts: Counts) -> Markup {
    #[expect(clippy::cast_precision_loss, reason = "a share of a bar")]
    let share = |count: u64| count as f64 / counts.total.max(1) as f64 * 100.0;
    let mut from = 0.0;
    let parts = ObjectState::ALL.into_iter().map(|state| {
        let (at, width) = (from, share(state.count(counts)));
        from += width;
        (state, at, width)
    });
    let parts: Vec<_> = parts.filter(|(_, _, width)| *width > 0.0).collect();
    html! {
        svg.bar height="18" role="img" aria-label="Objects by state; the list below has the numbers" {
            rect.empty width="100%" height="18" {}
            @for (state, at, width) in parts {
                rect class=(state.as_str()) x=(percent(at)) width=(percent(width)) height="18" {
                    title { (number(state.count(counts))) " " (state.as_str()) }
                }
            }
        }
    }
}

/// The life of a restore. All that it shows is said in words beside it.
pub fn life(timeline: &Timeline, zone: &TimeZone) -> Markup {
    let Timeline { axis, requested, planned, ended, now, windows, changes, invalidations } = timeline;
    let of_changes = 1 + u32::try_from(windows.len()).unwrap_or(u32::MAX);
    let of_invalidations = of_changes + u32::from(!changes.is_empty());
    let lanes = of_invalidations + u32::from(!invalidations.is_empty());
    let end = ended.unwrap_or(*now);
    let label = match ended {
        Some(ended) => format!("From the request at {} to the end at {}", time(*requested, zone), time(*ended, zone)),
        None => format!("From the request at {} to now, {}", time(*requested, zone), time(*now, zone)),
    };
    html! {
        svg.life height=(base(lanes) + TIMES) role="img" aria-label=(label) {
            (scale(axis, zone, base(lanes)))
            (stretch(axis, [*requested, end], 0, "restore", &label))
            @if let Some(planned) = planned { (tick(axis, *planned, 0, "planned", &format!("planned {}", time(*planned, zone)))) }
            (point(axis, *requested, "requested", &format!("requested {}", time(*requested, zone))))
            @if let Some(ended) = ended { (point(axis, *ended, "ended", &format!("ended {}", time(*ended, zone)))) }
            @for (window, number) in windows.iter().zip(1..) {
                @let between = [window.earliest, window.typical];
                (stretch(axis, between, number, "window", &format!("typically readable {}", times(between, zone))))
                @for look in &window.looks {
                    (tick(axis, *look, number, if *look <= end { "look" } else { "look later" }, &format!("look scheduled {}", time(*look, zone))))
                }
            }
            (columns(axis, changes, of_changes, zone))
            @for between in invalidations {
                (stretch(axis, *between, of_invalidations, "invalidation", &format!("invalidation {}", times(*between, zone))))
            }
            @if ended.is_none() { (present(axis, *now, base(lanes))) }
            // Words last, so that nothing is drawn over them.
            (lane(0, match ended { Some(_) => "the restore", None => "the restore, so far" }))
            @for (window, number) in windows.iter().zip(1..) {
                (lane(number, &format!("{}, {}: typically readable", window.kind.name(), window.tier.as_str())))
            }
            @if !changes.is_empty() { (lane(of_changes, "objects published, readable or failed")) }
            @if !invalidations.is_empty() { (lane(of_invalidations, "CloudFront's invalidations")) }
        }
    }
}

/// Until when viewers get the objects. `from` is when the first of them could be read.
pub fn calendar(from: Timestamp, expire: [Timestamp; 2], now: Timestamp, zone: &TimeZone) -> Markup {
    let axis = Axis::over(expire, from);
    let label = format!("Copies expire {}", times(expire, zone));
    html! {
        svg.calendar height=(base(1) + TIMES) role="img" aria-label=(label) {
            (scale(&axis, zone, base(1)))
            (stretch(&axis, [from, expire[1]], 0, "some-copies", &label))
            (stretch(&axis, [from, expire[0]], 0, "all-copies", &label))
            @if now >= axis.from && now <= axis.to { (present(&axis, now, base(1))) }
            (lane(0, "viewers get the objects"))
        }
    }
}

/// The times below, and a faint line above each.
fn scale(axis: &Axis, zone: &TimeZone, height: u32) -> Markup {
    html! {
        g.scale {
            @for tick in axis.ticks(zone) {
                @let at = axis.percent(tick.at);
                line x1=(percent(at)) x2=(percent(at)) y1=(HEAD) y2=(height + 4) {}
                text x=(percent(at)) y=(height + 18) text-anchor=(anchor(at)) { (tick.label) }
            }
            line.base x1="0" x2="100%" y1=(height) y2=(height) {}
        }
    }
}

/// How a text stands at a place, so that all of it is inside.
fn anchor(at: f64) -> &'static str {
    match at {
        ..5.0 => "start",
        95.0.. => "end",
        _ => "middle",
    }
}

fn lane(number: u32, label: &str) -> Markup {
    html! { text.lane x="0" y=(top(number) - 6) { (label) } }
}

fn stretch(axis: &Axis, between: [Timestamp; 2], lane: u32, class: &str, title: &str) -> Markup {
    let [from, to] = between.map(|at| axis.percent(at));
    html! {
        rect class=(class) x=(percent(from)) width=(percent((to - from).max(0.3))) y=(top(lane)) height=(BAR) rx="3" { title { (title) } }
    }
}

/// A moment of the restore itself, in the first lane.
fn point(axis: &Axis, at: Timestamp, class: &str, title: &str) -> Markup {
    html! {
        circle class=(class) cx=(percent(axis.percent(at).clamp(0.6, 99.4))) cy=(top(0) + BAR / 2) r="6" { title { (title) } }
    }
}

fn tick(axis: &Axis, at: Timestamp, lane: u32, class: &str, title: &str) -> Markup {
    let at = percent(axis.percent(at));
    html! { line class=(class) x1=(at) x2=(at) y1=(top(lane) - 3) y2=(top(lane) + BAR + 3) { title { (title) } } }
}

/// Objects that came into a state, as columns whose heights compare with each other; states of the same time on each other.
fn columns(axis: &Axis, changes: &[Change], lane: u32, zone: &TimeZone) -> Markup {
    const HIGHEST: u32 = 20;
    let at_once =
        |at: Timestamp| changes.iter().filter(|change| change.at == at).map(|change| change.objects).sum::<u32>();
    let most = changes.iter().map(|change| at_once(change.at)).max().unwrap_or(1);
    let (mut last, mut bottom) = (None, top(lane) + BAR + 6);
    let placed = changes.iter().map(|change| {
        if last.replace(change.at) != Some(change.at) {
            bottom = top(lane) + BAR + 6;
        }
        let height = (change.objects * HIGHEST).div_ceil(most).max(3);
        bottom -= height;
        (change, bottom, height)
    });
    let placed: Vec<_> = placed.collect();
    html! {
        @for (change, y, height) in placed {
            rect class=(change.state.as_str()) x=(percent(axis.percent(change.at))) width="1.4%" y=(y) height=(height) {
                title { (change.objects) " " (change.state.as_str()) ", " (time(change.at, zone)) }
            }
        }
    }
}

/// The present.
fn present(axis: &Axis, now: Timestamp, height: u32) -> Markup {
    let at = axis.percent(now);
    let side = if at > 90.0 { "end" } else { "start" };
    html! {
        g.now {
            line x1=(percent(at)) x2=(percent(at)) y1=(HEAD - 2) y2=(height) {}
            text x=(percent(at)) y="11" dx=(if side == "end" { "-4" } else { "4" }) text-anchor=(side) { "now" }
        }
    }
}
